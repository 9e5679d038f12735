/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/dns.h>

static const struct {
  const char *text, *canonical;
} good[] = {
    {".", "."},
    {"com", "com"},
    {"com.", "com"},
    {"WWW.Example.COM.", "www.example.com"},
    {"_dmarc.*.xn--bcher-kva.example", "_dmarc.*.xn--bcher-kva.example"},
    {"a!#%&'*+,-/:<=>?[]^_`{|}~.x", "a!#%&'*+,-/:<=>?[]^_`{|}~.x"},
    {"a\\.b.c", "a\\.b.c"},
    {"a\\046b.c", "a\\.b.c"},
    {"\\065\\066.\\120", "ab.x"},
    {"\\A\\b", "ab"},
    {"a;b(c)d\"e@f$g", "a\\;b\\(c\\)d\\\"e\\@f\\$g"},
    {"\\;\\(\\)\\\\\\\"\\@\\$", "\\;\\(\\)\\\\\\\"\\@\\$"},
    {"a b\tc", "a\\032b\\009c"},
    {"\\032\\127\\255\\000", "\\032\\127\\255\\000"},
    {"b\xc3\xbc"
     "cher.de",
     "b\\195\\188cher.de"},
    {"a\\.", "a\\."},
    {"a\\..", "a\\."},
    {"\\\\.", "\\\\"},
    {"@", "\\@"},
};

static const struct {
  const char *text, *reason;
} bad[] = {
    {"", "the name has no octets: \"\""},
    {"..", "the name has an empty label: \"..\""},
    {".com", "the name has an empty label: \".com\""},
    {"a..b", "the name has an empty label: \"a..b\""},
    {"a.b..", "the name has an empty label: \"a.b..\""},
    {"a\\", "the name has a broken escape: \"a\\\""},
    {"a\\25", "the name has a broken escape: \"a\\25\""},
    {"a\\256", "the name has a broken escape: \"a\\256\""},
    {"a\\1b2", "the name has a broken escape: \"a\\1b2\""},
};

static void test_canonical(void **state)
{
  (void)state;
  char out[COF_NAME_MAX], again[COF_NAME_MAX];
  size_t n, m;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(cof_name_canon(good[i].text, strlen(good[i].text), out, &n, NULL), COF_OK);
    assert_string_equal(out, good[i].canonical);
    assert_int_equal(n, strlen(out));
    assert_int_equal(cof_name_canon(out, n, again, &m, NULL), COF_OK);
    assert_string_equal(again, out);
  }
  assert_int_equal(cof_name_canon("a\0b", 3, out, &n, NULL), COF_OK);
  assert_string_equal(out, "a\\000b");
  assert_int_equal(cof_name_canon("com.example", 4, out, &n, NULL), COF_OK);
  assert_string_equal(out, "com");
}

static void test_refused(void **state)
{
  (void)state;
  char out[COF_NAME_MAX];
  struct cof_error err;
  size_t n;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(cof_name_canon(bad[i].text, strlen(bad[i].text), out, &n, &err), COF_REJECT);
    assert_string_equal(err.text, bad[i].reason);
  }
}

/* `count` labels of `each` letters, then one of `last` letters. */
static size_t labels(char *out, int count, int each, int last)
{
  size_t n = 0;
  for (int i = 0; i < count; i++)
    n += (size_t)sprintf(out + n, "%.*s.", each,
                         "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr");
  n += (size_t)sprintf(out + n, "%.*s", last,
                       "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQR");
  return n;
}

static void test_bounds(void **state)
{
  (void)state;
  char text[2048], out[COF_NAME_MAX];
  struct cof_error err;
  size_t n;
  assert_int_equal(cof_name_canon(text, labels(text, 0, 0, 63), out, &n, &err), COF_OK);
  assert_int_equal(cof_name_canon(text, labels(text, 0, 0, 64), out, &n, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "a label of more than 63 octets"));
  assert_int_equal(cof_name_canon(text, labels(text, 1, 64, 3), out, &n, &err), COF_REJECT);
  assert_int_equal(cof_name_canon(text, labels(text, 2, 63, 64), out, &n, &err), COF_REJECT);
  /* 3 * 64 + 62 + 1 octets on the wire */
  size_t len = labels(text, 3, 63, 61);
  assert_int_equal(cof_name_canon(text, len, out, &n, &err), COF_OK);
  assert_int_equal(n, 253);
  text[len++] = '.';
  assert_int_equal(cof_name_canon(text, len, out, &n, &err), COF_OK);
  assert_int_equal(n, 253);
  assert_int_equal(cof_name_canon(text, labels(text, 3, 63, 62), out, &n, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "more than 255 octets"));
  assert_int_equal(cof_name_canon(text, labels(text, 5, 63, 5), out, &n, &err), COF_REJECT);
}

static void test_longest_spelling(void **state)
{
  (void)state;
  char text[2048], out[COF_NAME_MAX], again[COF_NAME_MAX];
  uint8_t wire[255];
  size_t n, len = 0;
  for (int i = 0; i < 250; i++)
    len += (size_t)sprintf(text + len, "%s\\%03d", i != 0 && i % 63 == 0 ? "." : "", 128 + i % 64);
  assert_int_equal(cof_name_canon(text, len, out, &n, NULL), COF_OK);
  assert_int_equal(n, len);
  assert_string_equal(out, text);
  assert_true(n < COF_NAME_MAX);
  assert_int_equal(cof_name_to_wire(out, n, wire), 255);
  assert_int_equal(cof_name_from_wire(wire, 255, again), n);
  assert_string_equal(again, out);
  len += (size_t)sprintf(text + len, "x");
  assert_int_equal(cof_name_canon(text, len, out, &n, NULL), COF_REJECT);
}

static void test_wire(void **state)
{
  (void)state;
  static const uint8_t expected[] = "\3a.b\2xy";
  uint8_t wire[255];
  char out[COF_NAME_MAX];
  assert_int_equal(cof_name_to_wire("a\\.b.xy", 7, wire), sizeof expected);
  assert_memory_equal(wire, expected, sizeof expected);
  assert_int_equal(cof_name_to_wire(".", 1, wire), 1);
  assert_int_equal(wire[0], 0);
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    size_t len = strlen(good[i].canonical);
    size_t n = cof_name_to_wire(good[i].canonical, len, wire);
    assert_int_not_equal(n, 0);
    assert_int_equal(cof_name_from_wire(wire, n, out), len);
    assert_string_equal(out, good[i].canonical);
    if (strcmp(good[i].text, good[i].canonical) != 0)
      assert_int_equal(cof_name_to_wire(good[i].text, strlen(good[i].text), wire), 0);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(cof_name_to_wire(bad[i].text, strlen(bad[i].text), wire), 0);
}

static void test_from_broken_wire(void **state)
{
  (void)state;
  uint8_t wire[300];
  char out[COF_NAME_MAX];
  assert_int_equal(cof_name_from_wire((const uint8_t *)"", 0, out), 0);
  assert_int_equal(cof_name_from_wire((const uint8_t *)"\3ab", 3, out), 0);
  assert_int_equal(cof_name_from_wire((const uint8_t *)"\1a", 2, out), 0);
  assert_int_equal(cof_name_from_wire((const uint8_t *)"\300\0", 3, out), 0);
  assert_int_equal(cof_name_from_wire((const uint8_t *)"\1A\0rest", 7, out), 1);
  assert_string_equal(out, "a");
  memset(wire, 1, sizeof wire);
  wire[254] = 0;
  assert_int_equal(cof_name_from_wire(wire, sizeof wire, out), 127 * 5 - 1);
  wire[254] = 1;
  wire[256] = 0;
  assert_int_equal(cof_name_from_wire(wire, sizeof wire, out), 0);
}

/* Every octet, plain and as \DDD, comes to the same. */
static void test_every_octet(void **state)
{
  (void)state;
  char text[8], plain[COF_NAME_MAX], escaped[COF_NAME_MAX];
  uint8_t wire[255];
  size_t n, m;
  for (unsigned c = 0; c < 256; c++) {
    sprintf(text, "x\\%03uy", c);
    assert_int_equal(cof_name_canon(text, 6, escaped, &n, NULL), COF_OK);
    assert_int_equal(cof_name_to_wire(escaped, n, wire), 5);
    assert_int_equal(wire[2], c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    if (c == '.' || c == '\\')
      continue;
    const char raw[3] = {'x', (char)c, 'y'};
    assert_int_equal(cof_name_canon(raw, 3, plain, &m, NULL), COF_OK);
    assert_string_equal(plain, escaped);
  }
}

static bool under(const char *name, const char *suffix)
{
  return cof_name_under(name, strlen(name), suffix, strlen(suffix));
}

static void test_under(void **state)
{
  (void)state;
  assert_true(under("a.example.com", "example.com"));
  assert_true(under("example.com", "example.com"));
  assert_true(under("example.com", "."));
  assert_true(under(".", "."));
  assert_false(under(".", "com"));
  assert_false(under("notexample.com", "example.com"));
  assert_false(under("com", "example.com"));
  assert_false(under("a.example.com", "example.net"));
  assert_false(under("a\\.example.com", "example.com"));
  assert_true(under("a\\\\.example.com", "example.com"));
  assert_false(under("a\\\\\\.example.com", "example.com"));
}

static uint32_t bit(const char *name, const char *zone)
{
  return cof_zone_bit(name, strlen(name), zone, strlen(zone));
}

static void test_zone_bit(void **state)
{
  (void)state;
  assert_int_equal(bit("a.example.com", "."), 1);
  assert_int_equal(bit("a.example.com", "com"), 2);
  assert_int_equal(bit("a.example.com", "example.com"), 4);
  assert_int_equal(bit("a.example.com", "a.example.com"), 8);
  assert_int_equal(bit("a.example.com", "b.a.example.com"), 0);
  assert_int_equal(bit("a.example.com", "net"), 0);
  assert_int_equal(bit("notexample.com", "example.com"), 0);
  assert_int_equal(bit(".", "."), 1);
  assert_int_equal(bit("b.a\\.x\\\\.com", "a\\.x\\\\.com"), 4);
}

static void check_deepest(const char *name, uint32_t zones, const char *expected)
{
  size_t len = 99;
  const char *zone = cof_zone_deepest(name, strlen(name), zones, &len);
  if (expected == NULL) {
    assert_null(zone);
    return;
  }
  assert_non_null(zone);
  assert_string_equal(zone, expected);
  assert_int_equal(len, strlen(expected));
}

static void test_zone_deepest(void **state)
{
  (void)state;
  check_deepest("a.example.com", 0, NULL);
  check_deepest("a.example.com", 1, ".");
  check_deepest("a.example.com", 3, "com");
  check_deepest("a.example.com", 7, "example.com");
  check_deepest("a.example.com", 8, "a.example.com");
  check_deepest("a.example.com", 0x12, "com");
  check_deepest("a.example.com", 0x10, NULL);
  check_deepest(".", UINT32_MAX, ".");
  check_deepest("b.a\\.x\\\\.com", 4, "a\\.x\\\\.com");
  check_deepest("b.a\\.x\\\\.com", 2, "com");
  assert_int_equal(cof_zones_all("a.example.com", 13), 15);
  assert_int_equal(cof_zones_all(".", 1), 1);
}

/* Of more labels than a mask has bits. */
static void test_zone_deep(void **state)
{
  (void)state;
  char name[256] = "com";
  for (int labels = 2; labels <= 40; labels++) {
    memmove(name + 2, name, strlen(name) + 1);
    memcpy(name, "a.", 2);
    const char *zone31 = name + 2 * (labels > 31 ? labels - 31 : 0);
    assert_int_equal(bit(name, name), labels <= 31 ? UINT32_C(1) << labels : 0);
    assert_int_equal(bit(name, zone31), UINT32_C(1) << (labels < 31 ? labels : 31));
    check_deepest(name, cof_zones_all(name, strlen(name)), zone31);
  }
  assert_true(cof_zones_all(name, strlen(name)) == UINT32_MAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_canonical),   cmocka_unit_test(test_refused),
      cmocka_unit_test(test_bounds),      cmocka_unit_test(test_longest_spelling),
      cmocka_unit_test(test_wire),        cmocka_unit_test(test_from_broken_wire),
      cmocka_unit_test(test_every_octet), cmocka_unit_test(test_under),
      cmocka_unit_test(test_zone_bit),    cmocka_unit_test(test_zone_deepest),
      cmocka_unit_test(test_zone_deep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
