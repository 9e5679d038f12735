/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keys_private.h"

static struct cof_record record(const char *name, uint16_t type, const char *rdata)
{
  return (struct cof_record){.rrname = name,
                             .rrname_len = (uint16_t)strlen(name),
                             .rrtype = type,
                             .rdata = rdata,
                             .rdata_len = (uint32_t)strlen(rdata)};
}

static int compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
  int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

static void test_name_octets(void **state)
{
  (void)state;
  uint8_t key[KEY_NAME_MAX];
  static const char expected[] = "com\0example\0www\0";
  assert_int_equal(key_name(key, "www.example.com", 15), sizeof expected);
  assert_memory_equal(key, expected, sizeof expected);
  assert_int_equal(key_name(key, ".", 1), 1);
  assert_int_equal(key[0], 0);
  static const char escaped[] = "com\0a\1\1\1\2.b\0";
  assert_int_equal(key_name(key, "a\\000\\001\\.b.com", 16), sizeof escaped);
  assert_memory_equal(key, escaped, sizeof escaped);
}

static void test_name_refused(void **state)
{
  (void)state;
  static const char *const bad[] = {"", "..", "a..b", ".a", "a.", "a\\2", "a b"};
  uint8_t key[1024];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (key_name(key, bad[i], strlen(bad[i])) != 0)
      fail_msg("\"%s\" was encoded", bad[i]);
  char label[65];
  memset(label, 'a', 64);
  assert_int_equal(key_name(key, label, 64), 0);
  assert_int_equal(key_name(key, label, 63), 65);
}

/* A random canonical name out of random octets, now and then of the longest kind. */
static size_t random_name(char *out)
{
  uint8_t wire[256];
  size_t n = 0, most = rand() % 8 == 0 ? 250 : (size_t)(rand() % 60);
  bool wild = rand() % 3 == 0;
  while (n < most) {
    size_t len = 1 + (size_t)rand() % 63;
    if (rand() % 2)
      len = 1 + len % 4;
    if (n + len + 2 > 255)
      len = 255 - n - 2;
    wire[n++] = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
      int c = wild ? rand() % 256 : "ab\1c"[rand() % 4];
      wire[n++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    if (n >= 253)
      break;
  }
  wire[n++] = 0;
  return cof_name_from_wire(wire, n, out);
}

static void test_name_round_trip(void **state)
{
  (void)state;
  srand(1);
  for (int i = 0; i < 20000; i++) {
    char name[COF_NAME_MAX], back[COF_NAME_MAX];
    uint8_t key[COF_NAME_MAX + 2];
    size_t len = random_name(name);
    assert_int_not_equal(len, 0);
    size_t key_len = key_name(key, name, len);
    assert_true(key_len != 0 && key_len <= KEY_NAME_MAX && key_len <= len + 2);
    assert_int_equal(key_name_len(key, key_len), key_len);
    assert_int_equal(key_name_text(key, key_len, back), len);
    uint8_t flipped[KEY_NAME_MAX], again[KEY_NAME_MAX];
    assert_int_equal(key_name_flip(key, key_len, flipped), key_len);
    assert_int_equal(key_name_flip(flipped, key_len, again), key_len);
    assert_memory_equal(key, again, key_len);
    assert_memory_equal(back, name, len);
  }
}

/* Octet by octet. */
static size_t length_of(const uint8_t *key, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (key[i] == 0 && (i == 0 || key[i - 1] == 0))
      return i + 1;
  return 0;
}

/* In memory of just its size, so that reading beyond it is seen. */
static void test_name_length(void **state)
{
  (void)state;
  srand(3);
  size_t found = 0;
  for (int i = 0; i < 50000; i++) {
    size_t len = (size_t)(rand() % 60);
    uint8_t *key = malloc(len);
    assert_true(key != NULL || len == 0);
    for (size_t k = 0; k < len; k++)
      key[k] = (uint8_t)(rand() % 6 == 0 ? 0 : rand() % 3 == 0 ? 0x80 | rand() % 2 : rand() % 3);
    assert_int_equal(key_name_len(key, len), length_of(key, len));
    found += key_name_len(key, len) != 0;
    free(key);
  }
  assert_true(found > 1000 && found < 49000);
}

/* Below a name is what the range says, and nothing else. */
static void test_name_ranges(void **state)
{
  (void)state;
  srand(2);
  size_t below = 0;
  for (int i = 0; i < 50000; i++) {
    char a[COF_NAME_MAX], b[2 * COF_NAME_MAX];
    uint8_t ka[1 + COF_NAME_MAX + 2], kb[1 + COF_NAME_MAX + 2], upper[1 + COF_NAME_MAX + 2];
    size_t a_len = random_name(a), b_len = random_name(b);
    if (rand() % 2) { /* make relatives likely */
      size_t head = (size_t)(rand() % 5);
      snprintf(b, sizeof b, "%.*s%s%s", (int)head, "x.y.z", rand() % 2 ? "." : "", a);
      b_len = strlen(b);
    }
    ka[0] = kb[0] = KEY_FORWARD;
    size_t ka_len = 1 + key_name(ka + 1, a, a_len), kb_len = 1 + key_name(kb + 1, b, b_len);
    if (kb_len == 1)
      continue;
    size_t upper_len = --ka_len;
    memcpy(upper, ka, ka_len);
    key_successor(upper, &upper_len);
    bool inside = compare(kb, kb_len, ka, ka_len) >= 0 && compare(kb, kb_len, upper, upper_len) < 0;
    bool under = cof_name_under(b, b_len, a, a_len);
    if (inside != under)
      fail_msg("\"%s\" below \"%s\": range says %d", b, a, inside);
    below += under;
  }
  assert_true(below > 1000);
}

static void test_order(void **state)
{
  (void)state;
  static const struct {
    const char *name;
    uint16_t type;
    const char *rdata;
  } rows[] = {
      {".", COF_TYPE_NS, "a.root-servers.net"},       {"com", COF_TYPE_NS, "a.gtld-servers.net"},
      {"example.com", COF_TYPE_A, "9.255.255.255"},   {"example.com", COF_TYPE_A, "10.0.0.1"},
      {"example.com", COF_TYPE_NS, "ns.example.com"}, {"a.example.com", COF_TYPE_A, "192.0.2.1"},
      {"z.a.example.com", COF_TYPE_A, "192.0.2.1"},   {"b.example.com", 256, "x"},
      {"example-.com", COF_TYPE_A, "192.0.2.1"},      {"net", COF_TYPE_A, "192.0.2.1"}};
  uint8_t last[256], key[256], reverse[512];
  size_t last_len = 0, len, reverse_len;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct cof_record r = record(rows[i].name, rows[i].type, rows[i].rdata);
    assert_null(key_pair(&r, key, &len, reverse, &reverse_len));
    assert_true(compare(last, last_len, key, len) < 0);
    memcpy(last, key, len);
    last_len = len;
  }
}

static void check_pair(const char *name, uint16_t type, const char *rdata, int class)
{
  struct cof_record r = record(name, type, rdata);
  uint8_t *forward = malloc(key_forward_bound(&r)), *reverse = malloc(key_reverse_bound(&r));
  size_t forward_len = 0, reverse_len = 0;
  assert_true(forward != NULL && reverse != NULL);
  assert_null(key_pair(&r, forward, &forward_len, reverse, &reverse_len));
  assert_true(forward_len <= key_forward_bound(&r) && reverse_len <= key_reverse_bound(&r));
  struct key_forward_parts f;
  struct key_reverse_parts v;
  char text[COF_NAME_MAX], addr[COF_ADDR_TEXT_MAX];
  assert_true(key_forward_split(forward, forward_len, &f));
  assert_int_equal(f.rrtype, type);
  assert_int_equal(key_name_text(f.name, f.name_len, text), strlen(name));
  assert_string_equal(text, name);
  size_t rdata_len;
  const char *back = key_rdata_text(&f, addr, &rdata_len);
  assert_non_null(back);
  assert_int_equal(rdata_len, r.rdata_len);
  assert_memory_equal(back, rdata, rdata_len);
  assert_true(key_reverse_split(reverse, reverse_len, &v));
  assert_int_equal(v.class, class);
  uint8_t *again = malloc(key_reverse_forward_bound(&v, r.rdata_len));
  assert_non_null(again);
  assert_int_equal(key_reverse_forward(&v, rdata, r.rdata_len, again), forward_len);
  assert_memory_equal(again, forward, forward_len);
  assert_int_equal(key_prefix(forward, forward_len), 1 + f.name_len);
  assert_int_equal(key_prefix(reverse, reverse_len), 2 + v.target_len);
  free(again);
  free(forward);
  free(reverse);
}

static void test_pairs(void **state)
{
  (void)state;
  check_pair("example.com", COF_TYPE_A, "192.0.2.1", KEY_ADDR4);
  check_pair("example.com", COF_TYPE_A, "0.0.0.0", KEY_ADDR4);
  check_pair(".", COF_TYPE_AAAA, "2001:db8::1", KEY_ADDR6);
  check_pair(".", COF_TYPE_NS, "a.root-servers.net", KEY_NAME);
  check_pair("example.com", COF_TYPE_CNAME, ".", KEY_NAME);
  check_pair("example.com", COF_TYPE_MX, "10 mx.example.com", KEY_NAME);
  check_pair("example.com", COF_TYPE_MX, "0 .", KEY_NAME);
  check_pair("_sip._tcp.example.com", COF_TYPE_SRV, "1 2 5060 sip.example.com", KEY_NAME);
  check_pair("example.com", COF_TYPE_SOA, "ns.example.com host.example.com 1 2 3 4 5", KEY_NAME);
  check_pair("example.com", COF_TYPE_TXT, "\"v=spf1 -all\"", KEY_TEXT);
  check_pair("example.com", 65280, "\\# 2 ABCD", KEY_TEXT);
  check_pair("a\\.b\\000\\001.example.com", COF_TYPE_NS, "\\000\\001.net", KEY_NAME);
}

static void test_long_pair(void **state)
{
  (void)state;
  char *rdata = malloc(COF_RDATA_MAX + 1);
  char name[COF_NAME_MAX];
  assert_non_null(rdata);
  memset(rdata, 'x', COF_RDATA_MAX);
  rdata[COF_RDATA_MAX] = '\0';
  uint8_t wire[255];
  memset(wire, 1, sizeof wire); /* content 01 is doubled */
  wire[0] = wire[64] = wire[128] = 63;
  wire[192] = 61;
  wire[254] = 0;
  assert_int_not_equal(cof_name_from_wire(wire, sizeof wire, name), 0);
  check_pair(name, COF_TYPE_TXT, rdata, KEY_TEXT);
  check_pair(name, COF_TYPE_NS, name, KEY_NAME);
  free(rdata);
}

static void test_pair_refused(void **state)
{
  (void)state;
  uint8_t forward[1024], reverse[1024];
  size_t a, b;
  struct cof_record r = record("a..b", COF_TYPE_A, "192.0.2.1");
  assert_non_null(key_pair(&r, forward, &a, reverse, &b));
  r = record("a.b", COF_TYPE_A, "2001:db8::1");
  assert_non_null(key_pair(&r, forward, &a, reverse, &b));
  r = record("a.b", COF_TYPE_AAAA, "192.0.2.1");
  assert_non_null(key_pair(&r, forward, &a, reverse, &b));
}

static void test_broken(void **state)
{
  (void)state;
  struct key_forward_parts f;
  struct key_reverse_parts v;
  char name[COF_NAME_MAX];
  assert_false(key_forward_split((const uint8_t *)"", 0, &f));
  assert_false(key_forward_split((const uint8_t *)"Fcom", 4, &f));
  assert_false(key_forward_split((const uint8_t *)"Fcom\0\0\0", 7, &f));
  assert_false(key_forward_split((const uint8_t *)"Rcom\0\0\0\1", 8, &f));
  assert_true(key_forward_split((const uint8_t *)"Fcom\0\0\0\1", 8, &f));
  assert_false(key_reverse_split((const uint8_t *)"R4\1\2\3", 5, &v));
  assert_false(key_reverse_split((const uint8_t *)"R4\1\2\3\4com\0\0\0", 12, &v));
  assert_true(key_reverse_split((const uint8_t *)"R4\1\2\3\4com\0\0\0\1", 13, &v));
  assert_false(key_reverse_split((const uint8_t *)"Rx\1\2\3\4com\0\0\0\1", 13, &v));
  assert_int_equal(key_name_text((const uint8_t *)"com\0a\1\0", 8, name), 0);
  assert_int_equal(key_name_text((const uint8_t *)"com\0a\1\3\0", 9, name), 0);
  assert_int_equal(key_name_text((const uint8_t *)"com\0", 4, name), 0);
  assert_int_equal(key_name_text((const uint8_t *)"com\0\0x", 6, name), 0);
  uint8_t flipped[16];
  assert_int_equal(key_name_flip((const uint8_t *)"com\0", 4, flipped), 0);
  assert_int_equal(key_name_flip((const uint8_t *)"com\0\0x", 6, flipped), 0);
  assert_int_equal(key_name_flip((const uint8_t *)"com", 3, flipped), 0);
  assert_int_equal(key_name_flip((const uint8_t *)"", 0, flipped), 0);
  assert_int_equal(key_name_flip((const uint8_t *)"com\0a\0\0", 7, flipped), 7);
  assert_memory_equal(flipped, "a\0com\0\0", 7);
  assert_int_equal(key_prefix((const uint8_t *)"Mlayout", 7), 0);
}

/* A sensor's keys: the forward ones behind its name, apart from those of any other sensor. */
static void test_sensor(void **state)
{
  (void)state;
  struct key_forward_parts f;
  uint8_t key[KEY_HEAD_MAX + 32], longest[COF_SENSOR_MAX];
  static const char tail[] = "com\0a\0\0\0\1\300\0\2\1";
  size_t tail_len = sizeof tail - 1, len = key_sensor_head(key, "S1", 2);
  assert_int_equal(len, 4);
  assert_memory_equal(key, "O\2S1", 4);
  assert_int_equal(key_head_len(key, len), 4);
  memcpy(key + len, tail, tail_len);
  assert_true(key_forward_split(key, len + tail_len, &f));
  assert_ptr_equal(f.name, key + 4);
  assert_int_equal(f.name_len, 7);
  assert_int_equal(f.rrtype, COF_TYPE_A);
  assert_int_equal(f.rdata_len, 4);
  assert_int_equal(key_prefix(key, len + tail_len), 4 + 7);
  memset(longest, 0xff, sizeof longest);
  len = key_sensor_head(key, (const char *)longest, sizeof longest);
  assert_int_equal(len, KEY_HEAD_MAX);
  memcpy(key + len, tail, tail_len);
  assert_true(key_forward_split(key, len + tail_len, &f));
  assert_int_equal(key_prefix(key, len + tail_len), len + 7);
  assert_int_equal(key_head_len((const uint8_t *)"O\3S1", 4), 0);
  assert_int_equal(key_head_len((const uint8_t *)"O\0com", 5), 0);
  assert_int_equal(key_head_len((const uint8_t *)"O", 1), 0);
  assert_int_equal(key_head_len((const uint8_t *)"R4", 2), 0);
  assert_false(key_forward_split((const uint8_t *)"O\1xcom", 6, &f));
  assert_int_equal(key_prefix((const uint8_t *)"O\1xcom", 6), 0);
}

static void test_successor(void **state)
{
  (void)state;
  uint8_t key[] = {'R', '4', 10, 255, 255, 255};
  size_t len = sizeof key;
  key_successor(key, &len);
  assert_int_equal(len, 3);
  assert_memory_equal(key, "R4\13", 3);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_name_octets),     cmocka_unit_test(test_name_refused),
      cmocka_unit_test(test_name_round_trip), cmocka_unit_test(test_name_ranges),
      cmocka_unit_test(test_name_length),     cmocka_unit_test(test_order),
      cmocka_unit_test(test_pairs),           cmocka_unit_test(test_long_pair),
      cmocka_unit_test(test_pair_refused),    cmocka_unit_test(test_broken),
      cmocka_unit_test(test_successor),       cmocka_unit_test(test_sensor)};
  return cmocka_run_group_tests_name("rocksdb keys", tests, NULL, NULL);
}
