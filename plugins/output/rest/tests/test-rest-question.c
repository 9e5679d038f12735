/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "question_private.h"

static enum cof_result parse(const char *raw, struct question *q, struct cof_error *err)
{
  memset(q, 0, sizeof *q);
  return question_parse(raw, strlen(raw), q, err);
}

static void expect_name(const char *raw, const char *name)
{
  struct question q;
  struct cof_error err = {""};
  if (parse(raw, &q, &err) != COF_OK)
    fail_msg("%s: %s", raw, err.text);
  if (q.is_address)
    fail_msg("%s: taken for an address", raw);
  assert_string_equal(q.name, name);
}

static void expect_address(const char *raw, const char *address)
{
  struct question q;
  struct cof_error err = {""};
  char text[COF_ADDR_TEXT_MAX];
  if (parse(raw, &q, &err) != COF_OK)
    fail_msg("%s: %s", raw, err.text);
  if (!q.is_address)
    fail_msg("%s: taken for a name", raw);
  cof_addr_text(&q.address, text);
  assert_string_equal(text, address);
}

static void expect_refused(const char *raw, const char *why)
{
  struct question q;
  struct cof_error err = {""};
  if (parse(raw, &q, &err) != COF_REJECT)
    fail_msg("%s: not refused", raw);
  if (strstr(err.text, why) == NULL)
    fail_msg("%s: '%s' does not say '%s'", raw, err.text, why);
  for (const char *p = err.text; *p != '\0'; p++)
    if (*p < ' ' || *p > '~')
      fail_msg("%s: the message is not printable ASCII", raw);
}

static void test_names(void **state)
{
  (void)state;
  expect_name("example.com", "example.com");
  expect_name("EXAMPLE.com.", "example.com");
  expect_name("%65xample%2Ecom", "example.com");
  expect_name("%20%09example.com%0d%0A", "example.com");
  expect_name("  example.com ", "example.com");
  expect_name("_dmarc.example.com", "_dmarc.example.com");
  expect_name("%2A.example.com", "*.example.com");
  expect_name("a/b.example", "a/b.example");
  expect_name("a+b.example", "a+b.example");
  expect_name("a%2Bb.example", "a+b.example");
  expect_name("a%252fb.example", "a%2fb.example");
  expect_name(".", ".");
  expect_name("0/26.2.0.192.in-addr.arpa", "0/26.2.0.192.in-addr.arpa");
  expect_name("a%5C.b.example", "a\\.b.example");
  expect_name("a%00b.example", "a\\000b.example");
  expect_name("a%20b.example", "a\\032b.example");
  expect_name("\\255.example", "\\255.example");
  expect_name("1.2.3", "1.2.3");
  expect_name("1.2.3.4.5", "1.2.3.4.5");
  expect_name("a.b.c.d", "a.b.c.d");
  expect_name("face:b00k", "face:b00k");
}

static void test_idn(void **state)
{
  (void)state;
  expect_name("%C3%A5ngstr%C3%B6m.example", "xn--ngstrm-hua5l.example");
  expect_name("\xc3\xa5ngstr\xc3\xb6m.example", "xn--ngstrm-hua5l.example");
  expect_name("%C3%85NGSTR%C3%96M.Example.", "xn--ngstrm-hua5l.example");
  expect_name("stra%C3%9Fe.example", "xn--strae-oqa.example");
  expect_name("a%CC%8Angstr%C3%B6m.example", "xn--ngstrm-hua5l.example");
  /* Labels without such octets stay as they are, whatever IDNA thinks of them. */
  expect_name("_a--b.r3---sn-x.%C3%A5ngstr%C3%B6m.example",
              "_a--b.r3---sn-x.xn--ngstrm-hua5l.example");
  expect_name("a%5C.b.%C3%A5ngstr%C3%B6m", "a\\.b.xn--ngstrm-hua5l");
  expect_name("%E6%97%A5%E6%9C%AC%E3%80%82jp", "xn--wgv71a.jp");
}

static void test_addresses(void **state)
{
  (void)state;
  expect_address("192.0.2.1", "192.0.2.1");
  expect_address("%31%39%32.0.2.1", "192.0.2.1");
  expect_address("2001:db8::1", "2001:db8::1");
  expect_address("2001%3ADB8%3A0%3a0%3a0%3a0%3a0%3a1", "2001:db8::1");
  expect_address("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1");
  expect_address("[2001:db8::1]", "2001:db8::1");
  expect_address(" 2a02:250:0:8::53 ", "2a02:250:0:8::53");
  expect_address("::", "::");
}

static void test_refused(void **state)
{
  (void)state;
  expect_refused("", "empty question");
  expect_refused("%20%09", "empty question");
  expect_refused("a..b", "neither a name nor an address");
  expect_refused("..", "neither a name nor an address");
  expect_refused("%zz", "percent escape at octet 1");
  expect_refused("a%", "percent escape at octet 2");
  expect_refused("a%4", "percent escape at octet 2");
  expect_refused("a%4g", "percent escape at octet 2");
  expect_refused("192.0.2.0/24", "is a network");
  expect_refused("2001:db8::%2F32", "is a network");
  expect_refused("192.0.2.256", "is no address");
  expect_refused("192.0.2.01", "is no address");
  expect_refused("2001:db8::1::2", "is no address");
  expect_refused("1:2:3:4:5:6:7:8:9", "is no address");
  expect_refused("%FF%FE.example", "neither a name nor an address");
  expect_refused("%C3%A5%5C065.example", "both an escape");
  expect_refused("%C3%A5%00.example", "both an escape");
  expect_refused("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
                 "neither a name nor an address");
}

static void test_bounds(void **state)
{
  (void)state;
  static char raw[QUESTION_MAX + 2];
  struct question q;
  struct cof_error err;
  memset(raw, 'a', sizeof raw);
  assert_int_equal(question_parse(raw, QUESTION_MAX + 1, &q, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "8193 octets"));
  assert_int_equal(question_parse(raw, QUESTION_MAX, &q, &err), COF_REJECT);
  for (size_t i = 0; i + 1 < QUESTION_MAX; i += 4)
    memcpy(raw + i, "\xc3\xa5.", 3);
  assert_int_equal(question_parse(raw, QUESTION_MAX, &q, &err), COF_REJECT);
  for (size_t i = 0; i < 253; i++)
    raw[i] = i % 2 != 0 ? '.' : 'x';
  assert_int_equal(question_parse(raw, 253, &q, &err), COF_OK);
  assert_int_equal(strlen(q.name), 253);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),     cmocka_unit_test(test_idn),
      cmocka_unit_test(test_addresses), cmocka_unit_test(test_refused),
      cmocka_unit_test(test_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
