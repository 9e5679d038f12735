/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/dns.h>
#include <cofd/observe.h>

static void is_time(const char *text, int64_t want)
{
  int64_t have = -1;
  if (!cof_time_parse(text, strlen(text), &have) || have != want)
    fail_msg("%s: %lld instead of %lld", text, (long long)have, (long long)want);
}

static void parses_times(void **state)
{
  (void)state;
  static const char *const bad[] = {"",
                                    "-1",
                                    "x",
                                    "253402300800",
                                    "2019-13-01T00:00:00Z",
                                    "2019-08-27T21:00:00",
                                    "1969-12-31T23:59:59Z"};
  is_time("0", 0);
  is_time("1459468983.750000", 1459468983);
  is_time("1.5e3", 1500);
  is_time("253402300799", COF_TIME_MAX);
  is_time("2009-11-24T21:27:09.534255-0100", 1259101629);
  is_time("2009-11-24T21:27:09.534255+00:00", 1259098029);
  is_time("2019-08-27T21:00:00.058798Z", 1566939600);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int64_t t;
    if (cof_time_parse(bad[i], strlen(bad[i]), &t))
      fail_msg("taken: %s", bad[i]);
  }
}

static void name(const char *text, size_t len, const char *want)
{
  char out[COF_LOGGED_BOUND(64)], canonical[COF_NAME_MAX];
  size_t n = cof_logged_name(text, len, out);
  assert_int_equal(n, strlen(out));
  assert_int_equal(cof_name_canon(out, n, canonical, &n, NULL), COF_OK);
  assert_string_equal(canonical, want);
}

static void writes_logged_names(void **state)
{
  (void)state;
#define NAME(text, want) name(text, sizeof text - 1, want)
  NAME("Www.Example.com", "www.example.com");
  NAME("a.example.", "a.example");
  NAME("a b.example", "a\\032b.example");
  NAME("a\\x20b.example", "a\\032b.example");
  NAME("a\\x2eb.example", "a\\.b.example");
  NAME("a\\x5Cb", "a\\\\b");
  NAME("a\\\\x41", "a\\\\x41");
  NAME("a\\b", "a\\\\b");
  NAME("a\\x4", "a\\\\x4");
  NAME("a\\xg1", "a\\\\xg1");
  NAME("a\\", "a\\\\");
  NAME("\"(;)@$", "\\\"\\(\\;\\)\\@\\$");
  NAME("a\0b\xff\x7f", "a\\000b\\255\\127");
}

static void text(const char *logged, size_t len, const char *want)
{
  char out[COF_LOGGED_BOUND(64)], canonical[512];
  size_t n = cof_logged_text(logged, len, out);
  assert_int_equal(n, strlen(out));
  assert_int_equal(cof_rdata_canon(COF_TYPE_TXT, out, n, canonical, sizeof canonical, &n, NULL),
                   COF_OK);
  assert_string_equal(canonical, want);
}

static void writes_logged_texts(void **state)
{
  (void)state;
#define TEXT(logged, want) text(logged, sizeof logged - 1, want)
  TEXT("", "\"\"");
  TEXT("v=spf1  -all", "\"v=spf1  -all\"");
  TEXT("a\"b\\c\\x2c\\\\", "\"a\\\"b\\\\c,\\\\\"");
  TEXT("\0\n\xc3", "\"\\000\\010\\195\"");
}

static void observes(void **state)
{
  (void)state;
  struct cof_batch *batch = cof_batch_create();
  struct cof_error err = {.text = ""};
  struct cof_observation o = {.struct_size = sizeof o,
                              .rrname = "A.Example.",
                              .rrname_len = 10,
                              .rdata = "2001:DB8::0001",
                              .rdata_len = 14,
                              .sensor_id = "s",
                              .time = 12,
                              .rrtype = COF_TYPE_AAAA,
                              .has_ttl = true,
                              .ttl = 60};
  assert_non_null(batch);
  assert_int_equal(cof_batch_observe(batch, &o, &err), COF_OK);
  const struct cof_record *r = cof_batch_at(batch, 0);
  assert_string_equal(r->rrname, "a.example");
  assert_string_equal(r->rdata, "2001:db8::1");
  assert_string_equal(r->sensor_id, "s");
  assert_int_equal(r->time_first, 12);
  assert_int_equal(r->time_last, 12);
  assert_int_equal(r->count, 1);
  assert_int_equal(r->total, 0);
  const struct cof_ttl *ttls;
  assert_int_equal(cof_batch_ttls(batch, &ttls), 1);
  o.count = 5;
  o.sensor_id = "";
  o.has_ttl = false;
  assert_int_equal(cof_batch_observe(batch, &o, &err), COF_OK);
  assert_int_equal(cof_batch_at(batch, 1)->count, 5);
  assert_null(cof_batch_at(batch, 1)->sensor_id);
  o.rrname = "a..b";
  o.rrname_len = 4;
  assert_int_equal(cof_batch_observe(batch, &o, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "rrname: "));
  o.rrname_len = 1;
  o.rdata_len = 3;
  assert_int_equal(cof_batch_observe(batch, &o, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "rdata: "));
  o.time = -1;
  assert_int_equal(cof_batch_observe(batch, &o, &err), COF_REJECT);
  assert_int_equal(cof_batch_count(batch), 2);
  cof_batch_destroy(&batch);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parses_times), cmocka_unit_test(writes_logged_names),
      cmocka_unit_test(writes_logged_texts), cmocka_unit_test(observes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
