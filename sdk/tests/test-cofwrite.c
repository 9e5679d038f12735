/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/cofjson.h>
#include <cofd/dns.h>

static struct cof_record record(const char *name, uint16_t rrtype, const char *rdata)
{
  return (struct cof_record){.rrname = name,
                             .rrname_len = (uint16_t)strlen(name),
                             .rdata = rdata,
                             .rdata_len = (uint32_t)strlen(rdata),
                             .rrtype = rrtype,
                             .time_first = 1657878272,
                             .time_last = 1657878273,
                             .count = 1};
}

/* Write into exactly as much memory as the bound says. */
static void check(const struct cof_record *r, const char *origin, const char *expected)
{
  struct cof_write_options options = {.origin = origin};
  size_t bound = COF_JSON_BOUND(r, origin != NULL ? strlen(origin) : 0);
  char *out = malloc(bound + 1);
  assert_non_null(out);
  size_t n = cof_write_json(r, &options, out);
  assert_true(n <= bound);
  out[n] = '\0';
  assert_string_equal(out, expected);
  free(out);
}

static void test_reference_line(void **state)
{
  (void)state;
  struct cof_record r = record("xn--ihuvudetpevap-xfb.se", COF_TYPE_AAAA, "2a02:250:0:8::53");
  r.time_last = r.time_first;
  check(&r, "origin not configured",
        "{\"time_first\": 1657878272, \"time_last\": 1657878272, \"count\": 1, \"rrtype\": "
        "\"AAAA\", \"rrname\": \"xn--ihuvudetpevap-xfb.se\", \"rdata\": \"2a02:250:0:8::53\", "
        "\"origin\": \"origin not configured\"}\n");
}

#define HEAD "{\"time_first\": 1657878272, \"time_last\": 1657878273, \"count\": 1, \"rrtype\": "

static void test_without_origin(void **state)
{
  (void)state;
  struct cof_record r = record("a", COF_TYPE_A, "192.0.2.1");
  check(&r, NULL, HEAD "\"A\", \"rrname\": \"a\", \"rdata\": \"192.0.2.1\"}\n");
  char out[512];
  size_t n = cof_write_json(&r, NULL, out);
  assert_memory_equal(out, HEAD "\"A\", \"rrname\": \"a\", \"rdata\": \"192.0.2.1\"}\n", n);
}

static void test_rrtype(void **state)
{
  (void)state;
  struct cof_record r = record("a", 65280, "\\# 0");
  check(&r, "", HEAD "65280, \"rrname\": \"a\", \"rdata\": \"\\\\# 0\", \"origin\": \"\"}\n");
  r.rrtype = COF_TYPE_HTTPS;
  check(&r, NULL, HEAD "\"HTTPS\", \"rrname\": \"a\", \"rdata\": \"\\\\# 0\"}\n");
}

static void test_presentation(void **state)
{
  (void)state;
  struct cof_record r = record("a\\000b\\\"\xc3\x01\x7f/ ~", COF_TYPE_TXT, "\"x\\\\y\" \"\xff\"");
  check(&r, NULL,
        HEAD "\"TXT\", \"rrname\": \"a\\\\000b\\\\\\\"\\\\195\\\\001\\\\127/ ~\", \"rdata\": "
             "\"\\\"x\\\\\\\\y\\\" \\\"\\\\255\\\"\"}\n");
  /* An octet 0, which only a record that is not canonical can have. */
  r = record("a", COF_TYPE_A, "x");
  r.rdata = "\0z";
  r.rdata_len = 2;
  check(&r, NULL, HEAD "\"A\", \"rrname\": \"a\", \"rdata\": \"\\\\000z\"}\n");
}

static void test_origin(void **state)
{
  (void)state;
  struct cof_record r = record("a", COF_TYPE_A, "x");
#define ORIGIN(text) HEAD "\"A\", \"rrname\": \"a\", \"rdata\": \"x\", \"origin\": \"" text "\"}\n"
  check(&r, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", ORIGIN("\\u00fc\\u20ac\\ud83d\\ude00"));
  check(&r, "\"\\/\b\t\n\v\f\r\x1f\x7f", ORIGIN("\\\"\\\\/\\b\\t\\n\\u000b\\f\\r\\u001f\x7f"));
  check(&r, "\xff.\xc3.\xed\xa0\x80.\xf4\x90\x80\x80.\xc0\x80.\xe2\x82",
        ORIGIN("\\ufffd.\\ufffd.\\ufffd\\ufffd\\ufffd.\\ufffd\\ufffd\\ufffd\\ufffd.\\ufffd\\ufffd."
               "\\ufffd\\ufffd"));
  check(&r, "\xf4\x8f\xbf\xbf\xef\xbf\xbf", ORIGIN("\\udbff\\udfff\\uffff"));
#undef ORIGIN
}

/* The worst that every part can be, in exactly so much memory: nothing is written beyond it. */
static void test_bound(void **state)
{
  (void)state;
  static const char octets[] = {'\xff', '"', '\\', '\x01', 'a', '\xc3'};
  char *text = malloc(COF_RDATA_MAX + 1);
  assert_non_null(text);
  for (size_t i = 0; i < sizeof octets; i++) {
    memset(text, octets[i], COF_RDATA_MAX);
    text[COF_RDATA_MAX] = '\0';
    struct cof_record r = {.rrname = text, .rrname_len = UINT16_MAX, .rdata = text};
    r.rdata_len = COF_RDATA_MAX;
    r.rrtype = 51; /* NSEC3PARAM: none is longer */
    r.time_first = INT64_MIN;
    r.time_last = INT64_MIN;
    r.count = UINT64_MAX;
    struct cof_write_options options = {.origin = text};
    size_t bound = COF_JSON_BOUND(&r, COF_RDATA_MAX);
    char *out = malloc(bound);
    assert_non_null(out);
    size_t n = cof_write_json(&r, &options, out);
    assert_true(n <= bound);
    assert_memory_equal(out + n - 3, "\"}\n", 3);
    r.rrname_len = 0;
    r.rdata_len = 0;
    options.origin = "";
    assert_true(cof_write_json(&r, &options, out) <= COF_JSON_BOUND(&r, 0));
    free(out);
  }
  free(text);
}

static void check_zones(const char *name, uint32_t zones, const char *expected)
{
  struct cof_record r = record(name, COF_TYPE_A, "192.0.2.1");
  r.zones = zones;
  char *out = malloc(COF_ZONES_BOUND(&r) + 1);
  assert_non_null(out);
  size_t n = cof_write_zones(&r, out);
  assert_true(n <= COF_ZONES_BOUND(&r));
  out[n] = '\0';
  assert_string_equal(out, expected);
  free(out);
}

static void test_zones(void **state)
{
  (void)state;
  check_zones("a.example", 0, "");
  check_zones("a.example", 8, "");
  check_zones("a.example", 1, ", \"bailiwick\": \".\"");
  check_zones("a.example", 2, ", \"bailiwick\": \"example\"");
  check_zones("a.example", 10, ", \"bailiwick\": \"example\"");
  check_zones("a.example", 7, ", \"bailiwick\": \"a.example\", \"cofd_zones\": 7");
  check_zones("a.\\000", 2, ", \"bailiwick\": \"\\\\000\"");
  check_zones("\x01\x01\x01\x01.\x01", 6,
              ", \"bailiwick\": \"\\\\001\\\\001\\\\001\\\\001.\\\\001\", \"cofd_zones\": 6");
}

static void check_sensor(const char *sensor, const char *expected)
{
  struct cof_record r = record("a.example", COF_TYPE_A, "192.0.2.1");
  r.sensor_id = sensor;
  r.sensor_len = (uint16_t)(sensor != NULL ? strlen(sensor) : 0);
  char *out = malloc(COF_SENSOR_BOUND(&r) + 1);
  assert_non_null(out);
  size_t n = cof_write_sensor(&r, out);
  assert_true(n <= COF_SENSOR_BOUND(&r));
  out[n] = '\0';
  assert_string_equal(out, expected);
  free(out);
}

static void test_sensor(void **state)
{
  (void)state;
  check_sensor(NULL, "");
  check_sensor("s1", ", \"sensor_id\": \"s1\"");
  check_sensor("\"\xc3\xbc\" \\", ", \"sensor_id\": \"\\\"\\u00fc\\\" \\\\\"");
  check_sensor("\x01\xff", ", \"sensor_id\": \"\\u0001\\ufffd\"");
}

static void test_read_back(void **state)
{
  (void)state;
  struct cof_record r = record("a\\000b.example", COF_TYPE_TXT, "\"x\\\\ \\255\" \"y\"");
  struct cof_write_options options = {.origin = "https://pdns.example/\xc3\xbc"};
  char line[1024];
  size_t n = cof_write_json(&r, &options, line);
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct cof_batch *batch = cof_batch_create();
  assert_int_equal(cof_reader_object(reader, line, n, batch, NULL, NULL, NULL), COF_OK);
  assert_int_equal(cof_batch_count(batch), 1);
  const struct cof_record *got = cof_batch_at(batch, 0);
  assert_true(cof_record_same(&r, got));
  assert_int_equal(got->time_first, r.time_first);
  assert_int_equal(got->time_last, r.time_last);
  assert_int_equal(got->count, r.count);
  cof_batch_destroy(&batch);
  cof_reader_destroy(&reader);
}

/* Every octet at every place, since texts are looked at in steps of eight. */
static void test_every_octet(void **state)
{
  (void)state;
  char text[] = "abcdefghijklmnopqrstuvw", escaped[8], expected[256];
  for (size_t at = 0; at < sizeof text - 1; at++) {
    char kept = text[at];
    for (unsigned octet = 1; octet < 256; octet++) {
      text[at] = (char)octet;
      if (octet == '"' || octet == '\\')
        snprintf(escaped, sizeof escaped, "\\%c", (char)octet);
      else
        snprintf(escaped, sizeof escaped, octet < 0x20 || octet > 0x7e ? "\\\\%03u" : "%c", octet);
      snprintf(expected, sizeof expected,
               HEAD "\"A\", \"rrname\": \"%.*s%s%s\", \"rdata\": \"x\"}\n", (int)at, text, escaped,
               text + at + 1);
      struct cof_record r = record(text, COF_TYPE_A, "x");
      check(&r, NULL, expected);
    }
    text[at] = kept;
  }
}

static void check_number(uint64_t n)
{
  char expected[256];
  struct cof_record r = record("a", COF_TYPE_A, "x");
  r.count = n;
  snprintf(expected, sizeof expected,
           "{\"time_first\": 1657878272, \"time_last\": 1657878273, \"count\": %llu, \"rrtype\": "
           "\"A\", \"rrname\": \"a\", \"rdata\": \"x\"}\n",
           (unsigned long long)n);
  check(&r, NULL, expected);
}

static void test_numbers(void **state)
{
  (void)state;
  for (uint64_t n = 0; n < 1100; n++)
    check_number(n);
  for (uint64_t power = 1000; power < UINT64_MAX / 10; power *= 10) {
    check_number(power - 1);
    check_number(power);
    check_number(power + 42);
  }
  check_number(UINT64_MAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reference_line), cmocka_unit_test(test_without_origin),
      cmocka_unit_test(test_rrtype),         cmocka_unit_test(test_presentation),
      cmocka_unit_test(test_origin),         cmocka_unit_test(test_bound),
      cmocka_unit_test(test_read_back),      cmocka_unit_test(test_every_octet),
      cmocka_unit_test(test_numbers),        cmocka_unit_test(test_zones),
      cmocka_unit_test(test_sensor),
  };
  return cmocka_run_group_tests_name("cofwrite", tests, NULL, NULL);
}
