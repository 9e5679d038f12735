/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../src/cofread_private.h"

#define TEXT_MAX 4096

/* What one object gave: a line for each record. */
struct given {
  enum cof_result result;
  size_t added, refused;
  struct cof_error err;
  char records[TEXT_MAX];
};

static void describe(const struct cof_batch *batch, char *out)
{
  size_t n = 0;
  out[0] = '\0';
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    assert_int_equal(strlen(r->rrname), r->rrname_len);
    assert_int_equal(strlen(r->rdata), r->rdata_len);
    assert_int_equal(r->sensor_id != NULL ? strlen(r->sensor_id) : 0, r->sensor_len);
    assert_true(r->hash == cof_record_hash(r));
    n += (size_t)snprintf(out + n, TEXT_MAX - n, "%s %u %s %lld %lld +%llu =%llu %s", r->rrname,
                          r->rrtype, r->rdata, (long long)r->time_first, (long long)r->time_last,
                          (unsigned long long)r->count, (unsigned long long)r->total,
                          r->sensor_id != NULL ? r->sensor_id : "-");
    assert_true(n < TEXT_MAX);
    n += (size_t)snprintf(out + n, TEXT_MAX - n, r->zones != 0 ? " in %x\n" : "\n", r->zones);
    assert_true(n < TEXT_MAX);
  }
}

static void give_to(struct cof_reader *reader, const char *text, size_t len, struct given *g)
{
  struct cof_batch *batch = cof_batch_create();
  assert_non_null(batch);
  /* On the heap, and no longer than it is, so that reading beyond it is found. */
  char *copy = malloc(len != 0 ? len : 1);
  assert_non_null(copy);
  memcpy(copy, text, len);
  memset(g, 0, sizeof *g);
  g->result = cof_reader_object(reader, copy, len, batch, &g->added, &g->refused, &g->err);
  free(copy);
  assert_int_equal(g->added, cof_batch_count(batch));
  describe(batch, g->records);
  cof_batch_destroy(&batch);
}

static void give(const char *text, size_t len, struct given *g)
{
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  assert_non_null(reader);
  give_to(reader, text, len, g);
  cof_reader_destroy(&reader);
  assert_null(reader);
}

struct example {
  const char *text, *records;
};

static void check_examples(const struct example *examples, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    struct given g;
    give(examples[i].text, strlen(examples[i].text), &g);
    if (g.result != COF_OK)
      print_message("# %s: %s\n", examples[i].text, g.err.text);
    assert_string_equal(g.records, examples[i].records);
    assert_int_equal(g.result, COF_OK);
    assert_int_equal(g.refused, 0);
  }
}

static void check_refused(const struct example *examples, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    struct given g;
    give(examples[i].text, strlen(examples[i].text), &g);
    if (strstr(g.err.text, examples[i].records) == NULL)
      print_message("# %s: \"%s\" is not in \"%s\"\n", examples[i].text, examples[i].records,
                    g.err.text);
    assert_int_equal(g.result, COF_REJECT);
    assert_int_equal(g.refused, 1);
    assert_int_equal(g.added, 0);
    assert_non_null(strstr(g.err.text, examples[i].records));
  }
}

#define CHECK(examples)  check_examples(examples, sizeof examples / sizeof *examples)
#define REFUSE(examples) check_refused(examples, sizeof examples / sizeof *examples)

/* An object around a part of it; the rest is fine. */
#define NAME  "\"rrname\": \"a.example\", "
#define TYPE  "\"rrtype\": \"A\", "
#define RDATA "\"rdata\": \"192.0.2.1\", "
#define FIRST "\"time_first\": 10, "
#define LAST  "\"time_last\": 20, "
#define TIMES FIRST LAST
#define END   "\"x\": 1}"

static void test_draft_and_feeds(void **state)
{
  (void)state;
  static const struct example examples[] = {
      {"{\"rrname\": \"www.example.com\", \"rrtype\": \"AAAA\", \"rdata\": \"2001:db8::1\", "
       "\"time_first\": 1657800000, \"time_last\": 1657800001, \"count\": 7, \"sensor_id\": "
       "\"s0\"}",
       "www.example.com 28 2001:db8::1 1657800000 1657800001 +7 =0 s0\n"},
      {"{\"count\":1909,\"rdata\":[\"cpa.circl.lu\"],\"rrname\":\"www.circl.lu\",\"rrtype\":"
       "\"CNAME\",\"time_first\":1315586409,\"time_last\":1449566799}",
       "www.circl.lu 5 cpa.circl.lu 1315586409 1449566799 +1909 =0 -\n"},
      {" { \"count\" : 102 ,\t\"time_first\": 1298412391, \"rrtype\": \"AAAA\", \"rrname\": "
       "\"WWW.ietf.org.\", \"rdata\": \"2001:1890:1112:1:0:0:0:20\", \"time_last\": 1302506851 } "
       "\r\n",
       "www.ietf.org 28 2001:1890:1112:1::20 1298412391 1302506851 +102 =0 -\n"},
      {"\xef\xbb\xbf{" NAME TYPE RDATA TIMES END "\r\n", "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{\n  " NAME "\n  " TYPE "\n  " RDATA "\n  " TIMES "\n  " END,
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{\"rrname\":\"a\",\"rrtype\":1,\"rdata\":\"1.2.3.4\",\"time_first\":1,\"time_last\":1}",
       "a 1 1.2.3.4 1 1 +1 =0 -\n"},
      {"{" NAME TYPE "\"rdata\": [\"192.0.2.1\", \"192.0.2.2\" ,\"192.0.2.3\"], " TIMES END,
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"
       "a.example 1 192.0.2.2 10 20 +1 =0 -\n"
       "a.example 1 192.0.2.3 10 20 +1 =0 -\n"},
      {"{" NAME "\"rrtype\": \"TXT\", \"rdata\": \"\\\"v=spf1 \\\\\\\" \\/ -all\\\"\", " TIMES END,
       "a.example 16 \"v=spf1 \\\" / -all\" 10 20 +1 =0 -\n"},
  };
  CHECK(examples);
}

static void test_unknown_keys(void **state)
{
  (void)state;
  static const struct example examples[] = {
      {"{" NAME TYPE RDATA TIMES "\"origin\": \"https://x.example\", \"ok\": true, \"no\": false, "
       "\"nil\": null, \"n\": 12, \"s\": \"a\\tb\", \"e\": \"\"}",
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{" NAME TYPE RDATA TIMES "\"o\": {\"a\": [1, {\"rrname\": \"b\"}]}, \"f\": -1.5e3, \"l\": "
       "[]}",
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{" NAME TYPE RDATA TIMES "\"\\u0061\": \"\\ud83d\\ude00\", \"rrnam\": 5, \"rrname2\": 6, "
       "\"time_firsT\": 7}",
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{" NAME TYPE RDATA TIMES "\"n\": 123456789012345678901234567890}",
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      /* The last of equal keys holds. */
      {"{" NAME TYPE RDATA TIMES "\"rrname\": \"b.example\"}",
       "b.example 1 192.0.2.1 10 20 +1 =0 -\n"},
  };
  CHECK(examples);
}

#define WITH(times) "{" NAME TYPE RDATA times END
#define GIVES(f, l) "a.example 1 192.0.2.1 " f " " l " +1 =0 -\n"

static void test_times(void **state)
{
  (void)state;
  static const struct example examples[] = {
      {WITH("\"time_first\": 1657878272.5, \"time_last\": 1657878272.999999, "),
       GIVES("1657878272", "1657878272")},
      {WITH("\"time_first\": \"1696798385\", \"time_last\": \" 1696798386.7 \", "),
       GIVES("1696798385", "1696798386")},
      {WITH("\"time_first\": 1.6e9, \"time_last\": \"1.6e9\", "),
       GIVES("1600000000", "1600000000")},
      {WITH("\"time_first\": \"2022-07-15T09:44:32Z\", \"time_last\": "
            "\"2022-07-15t11:44:33.25+02:00\", "),
       GIVES("1657878272", "1657878273")},
      {WITH("\"time_first\": \"2022-07-15 05:14:32-0430\", \"time_last\": "
            "\"2000-02-29T00:00:00Z\", "),
       GIVES("951782400", "1657878272")},
      {WITH("\"time_first\": \"1970-01-01T00:00:00Z\", \"time_last\": \"9999-12-31T23:59:59Z\", "),
       GIVES("0", "253402300799")},
      {WITH("\"time_first\": \"2016-12-31T23:59:60Z\", \"time_last\": 1483228801, "),
       GIVES("1483228800", "1483228801")},
      {WITH("\"time_first\": 1657878272123, \"time_last\": \"1657878273123\", "),
       GIVES("1657878272", "1657878273")},
      {WITH("\"time_first\": 1657878272123.5, \"time_last\": 100000000000, "),
       GIVES("1657878272", "100000000000")},
      {WITH("\"time_first_ms\": 1657878272123, \"time_last_ms\": \"5000\", "),
       GIVES("5", "1657878272")},
      {WITH("\"zone_time_first\": 5, \"zone_time_last\": \"6\", "), GIVES("5", "6")},
      {WITH("\"time_first_rfc3339\": \"2022-07-15T09:44:32Z\", \"time_last_rfc3339\": "
            "\"2022-07-15T09:44:33Z\", "),
       GIVES("1657878272", "1657878273")},
      {WITH(TIMES "\"zone_time_first\": 1, \"zone_time_last\": 2, \"time_first_ms\": 3000, "
                  "\"time_last_rfc3339\": \"x\", "),
       GIVES("10", "20")},
      {WITH("\"time_first\": null, \"zone_time_first\": 7, " LAST), GIVES("7", "20")},
      {WITH("\"time_first\": 30, \"time_last\": 20, "), GIVES("20", "30")},
      {WITH("\"time_first\": 100000000001, \"time_last\": 100000000, "),
       GIVES("100000000", "100000000")},
      {WITH("\"time_first\": 10, \"time_last\": 5, \"time_first\": 7, "), GIVES("5", "7")},
      {WITH("\"time_first\": 0, \"time_last\": 0, "), GIVES("0", "0")},
  };
  CHECK(examples);
}

static void test_bad_times(void **state)
{
  (void)state;
  static const struct example refused[] = {
      {WITH(LAST), "time_first is missing"},
      {WITH(FIRST), "time_last is missing"},
      {WITH(FIRST "\"time_last\": null, "), "time_last is missing"},
      {WITH("\"time_first\": -1, " LAST), "time_first is before 1970"},
      {WITH("\"time_first\": \"1969-12-31T23:59:59Z\", " LAST), "time_first is before 1970"},
      {WITH("\"time_first\": \"-5\", " LAST), "time_first is before 1970"},
      {WITH(FIRST "\"time_last\": 253402300800000, "), "time_last is after the year 9999"},
      {WITH(FIRST "\"time_last\": 1e300, "), "time_last is after the year 9999"},
      {WITH(FIRST "\"time_last\": 99999999999999999999, "), "time_last is after the year 9999"},
      {WITH(FIRST "\"zone_time_last\": \"99999999999999999999\", "),
       "zone_time_last is after the year 9999"},
      {WITH("\"time_first\": \"yesterday\", " LAST), "time_first is neither a number nor an RFC"},
      {WITH("\"time_first\": \"\", " LAST), "time_first is neither a number nor an RFC"},
      {WITH("\"time_first\": true, " LAST), "time_first is neither a number nor a string"},
      {WITH("\"time_first\": [1], " LAST), "time_first is neither a number nor a string"},
      {WITH("\"time_first_ms\": \"2022-07-15T09:44:32Z\", " LAST), "time_first_ms is neither"},
      {WITH("\"time_first\": \"2022-02-29T00:00:00Z\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"2100-02-29T00:00:00Z\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"2022-02-28T24:00:00Z\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"2022-02-28T00:00:00\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"2022-02-28T00:00:00.Z\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"2022-02-28T00:00:00Zx\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"2022-02-28T00:00:00+1\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"1e\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \".\", " LAST), "time_first is neither"},
      {WITH("\"time_first\": \"12x\", " LAST), "time_first is neither"},
  };
  REFUSE(refused);
}

#undef WITH
#undef GIVES

static void test_count(void **state)
{
  (void)state;
#define WITH(count) "{" NAME TYPE RDATA TIMES "\"count\": " count "}"
#define GIVES(n)    "a.example 1 192.0.2.1 10 20 +" n " =0 -\n"
  static const struct example examples[] = {
      {WITH("19"), GIVES("19")},
      {WITH("\"19\""), GIVES("19")},
      {WITH("2.9"), GIVES("2")},
      {WITH("\"2.9\""), GIVES("2")},
      {WITH("2.0"), GIVES("2")},
      /* Nearer to the next whole number than a double can tell. */
      {WITH("99999999999999.999999"), GIVES("100000000000000")},
      {WITH("null"), GIVES("1")},
      {WITH("0"), GIVES("0")},
      {WITH("9007199254740993"), GIVES("9007199254740993")},
      {WITH("9223372036854775807"), GIVES("9223372036854775807")},
      {WITH("18446744073709551615"), GIVES("9223372036854775807")},
      {WITH("\"99999999999999999999\""), GIVES("9223372036854775807")},
      {WITH("\"1e400\""), GIVES("9223372036854775807")},
      {WITH("\"15e-1\""), GIVES("1")},
      {WITH("1E2"), GIVES("100")},
  };
  CHECK(examples);
  static const struct example refused[] = {
      {WITH("-1"), "count is negative"},
      {WITH("\"-1\""), "count is negative"},
      {WITH("-1e30"), "count is negative"},
      {WITH("\"many\""), "count is not a number"},
      {WITH("\"\""), "count is not a number"},
      {WITH("true"), "count is not a number"},
      {WITH("{}"), "count is not a number"},
      {WITH("012"), "not JSON"},
      {WITH("1."), "not JSON"},
      {WITH("+1"), "not JSON"},
      {WITH("-"), "not JSON"},
      {WITH("1e"), "not JSON"},
      {WITH("1e999999"), "not JSON"},
      {WITH("nul"), "not JSON"},
      {WITH("1 2"), "not JSON"},
  };
  REFUSE(refused);
#undef WITH
#undef GIVES
}

static void test_counts_total(void **state)
{
  (void)state;
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_TOTAL);
  struct given g;
  static const char with[] = "{" NAME TYPE RDATA TIMES "\"count\": 5}";
  give_to(reader, with, sizeof with - 1, &g);
  assert_string_equal(g.records, "a.example 1 192.0.2.1 10 20 +0 =5 -\n");
  static const char without[] = "{" NAME TYPE RDATA TIMES END;
  give_to(reader, without, sizeof without - 1, &g);
  assert_string_equal(g.records, "a.example 1 192.0.2.1 10 20 +0 =1 -\n");
  cof_reader_destroy(&reader);
}

static void test_rrtype(void **state)
{
  (void)state;
#define WITH(type, rdata) "{" NAME "\"rrtype\": " type ", \"rdata\": \"" rdata "\", " TIMES END
  static const struct example examples[] = {
      {WITH("\"a\"", "192.0.2.1"), "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {WITH("1", "192.0.2.1"), "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {WITH("1.0", "192.0.2.1"), "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {WITH("\"1\"", "192.0.2.1"), "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {WITH("\"TYPE1\"", "192.0.2.1"), "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {WITH("\"type5\"", "B.example."), "a.example 5 b.example 10 20 +1 =0 -\n"},
      {WITH("65280", "\\\\# 2 abCD"), "a.example 65280 \\# 2 ABCD 10 20 +1 =0 -\n"},
      {WITH("\"MX\"", "10  Mail.example."), "a.example 15 10 mail.example 10 20 +1 =0 -\n"},
      {WITH("\"MX\"", "mail.example."), "a.example 15 mail.example 10 20 +1 =0 -\n"},
  };
  CHECK(examples);
  static const struct example refused[] = {
      {WITH("\"BOGUS\"", "x"), "rrtype is no known type, TYPEn or number: \"BOGUS\""},
      {WITH("\"\"", "x"), "rrtype is no known type"},
      {WITH("65536", "x"), "rrtype is neither"},
      {WITH("-1", "x"), "rrtype is neither"},
      {WITH("1.5", "x"), "rrtype is neither"},
      {WITH("true", "x"), "rrtype is neither"},
      {WITH("null", "x"), "rrtype is missing"},
      {WITH("\"TYPE65536\"", "x"), "rrtype is no known type"},
  };
  REFUSE(refused);
#undef WITH
}

static void test_names(void **state)
{
  (void)state;
#define WITH(name)  "{\"rrname\": " name ", " TYPE RDATA TIMES END
#define GIVES(name) name " 1 192.0.2.1 10 20 +1 =0 -\n"
  static const struct example examples[] = {
      {WITH("\"WwW.Example.\""), GIVES("www.example")},
      {WITH("\".\""), GIVES(".")},
      {WITH("\"a\\u0000b.example\""), GIVES("a\\000b.example")},
      {WITH("\"a\\\\000b.example\""), GIVES("a\\000b.example")},
      {WITH("\"\\u00e9.example\""), GIVES("\\195\\169.example")},
      {WITH("\"\xc3\xa9.example\""), GIVES("\\195\\169.example")},
      {WITH("\"\xe9\x80.example\""), GIVES("\\233\\128.example")},
      {WITH("\"a\\tb.example\""), GIVES("a\\009b.example")},
      {WITH("\"a\\\"b.example\""), GIVES("a\\\"b.example")},
      {WITH("\"a\\/b.example\""), GIVES("a/b.example")},
      /* Not UTF-8, and only jansson takes the rest. */
      {WITH("\"\xe9\xff.example\", \"x\": []"), GIVES("\\233\\255.example")},
      {WITH("\"\xe9\xc3\xa9\\u00e9.example\""), GIVES("\\233\\195\\169\\195\\169.example")},
  };
  CHECK(examples);
  static const struct example refused[] = {
      {WITH("\"\""), "rrname: "},
      {WITH("\"a..b\""), "rrname: "},
      {WITH("\"a\\\\9\""), "rrname: "},
      {WITH("5"), "rrname is not a string"},
      {WITH("[\"a\"]"), "rrname is not a string"},
      {WITH("null"), "rrname is missing"},
      {WITH("\"\\ud800\""), "not JSON"},
      {"{" TYPE RDATA TIMES END, "rrname is missing"},
      {"{" NAME RDATA TIMES END, "rrtype is missing"},
      {"{" NAME TYPE TIMES END, "rdata is missing"},
      {"{" NAME TYPE "\"rdata\": null, " TIMES END, "rdata is missing"},
      {"{" NAME TYPE "\"rdata\": 5, " TIMES END, "rdata is not a string"},
      {"{" NAME TYPE "\"rdata\": {}, " TIMES END, "rdata is not a string"},
      {"{" NAME TYPE "\"rdata\": [], " TIMES END, "rdata is an empty array"},
      {"{" NAME TYPE "\"rdata\": \"nowhere\", " TIMES END, "A"},
      {"{" NAME TYPE "\"rdata\": \"2001:db8::1\", " TIMES END, "A"},
      {"{\"foo\": 1}", "rrname is missing"},
  };
  REFUSE(refused);
#undef WITH
#undef GIVES
}

static void test_long_label(void **state)
{
  (void)state;
  char text[512], label[65];
  struct given g;
  memset(label, 'x', sizeof label - 1);
  label[64] = '\0';
  snprintf(text, sizeof text, "{\"rrname\": \"%s.example\", " TYPE RDATA TIMES END, label);
  give(text, strlen(text), &g);
  assert_int_equal(g.result, COF_REJECT);
  assert_non_null(strstr(g.err.text, "rrname: "));
  assert_non_null(strstr(g.err.text, "63 octets"));
}

static void test_elements(void **state)
{
  (void)state;
  struct given g;
  static const char text[] = "{" NAME TYPE "\"rdata\": [\"192.0.2.1\", \"nowhere\", 5, "
                             "[\"192.0.2.2\"], null, \"192.0.2.3\"], " TIMES END;
  give(text, sizeof text - 1, &g);
  assert_int_equal(g.result, COF_REJECT);
  assert_int_equal(g.added, 2);
  assert_int_equal(g.refused, 4);
  assert_non_null(strstr(g.err.text, "nowhere"));
  assert_string_equal(g.records, "a.example 1 192.0.2.1 10 20 +1 =0 -\n"
                                 "a.example 1 192.0.2.3 10 20 +1 =0 -\n");
}

static void test_many_elements(void **state)
{
  (void)state;
  enum { COUNT = 3000 };
  char *text = malloc(COUNT * 20 + 256);
  assert_non_null(text);
  size_t n = (size_t)sprintf(text, "{" NAME TYPE TIMES "\"rdata\": [");
  for (int i = 0; i < COUNT; i++)
    n += (size_t)sprintf(text + n, "%s\"10.0.%d.%d\"", i != 0 ? "," : "", i / 256, i % 256);
  n += (size_t)sprintf(text + n, "]}");
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct cof_batch *batch = cof_batch_create();
  size_t added, refused;
  assert_int_equal(cof_reader_object(reader, text, n, batch, &added, &refused, NULL), COF_OK);
  assert_int_equal(added, COUNT);
  assert_string_equal(cof_batch_at(batch, 2999)->rdata, "10.0.11.183");
  cof_batch_destroy(&batch);
  cof_reader_destroy(&reader);
  free(text);
}

static void test_swapped(void **state)
{
  (void)state;
#define WITH(type, name, rdata)                                                                    \
  "{\"rrtype\": \"" type "\", \"rrname\": \"" name "\", \"rdata\": " rdata                         \
  ", \"count\": \"19\", \"time_first\": \"1696798385\", \"time_last\": \"1697890824\"}"
#define REST " 1696798385 1697890824 +19 =0 -\n"
  static const struct example examples[] = {
      {WITH("A", "185.194.93.14", "\"circl.lu\""), "circl.lu 1 185.194.93.14" REST},
      {WITH("AAAA", "2001:DB8::1", "\"Circl.lu.\""), "circl.lu 28 2001:db8::1" REST},
      {WITH("MX", "10 cppy.circl.lu", "\"circl.lu\""), "circl.lu 15 10 cppy.circl.lu" REST},
      {WITH("A", "185.194.93.14", "[\"a.lu\", \"b.lu\"]"),
       "a.lu 1 185.194.93.14" REST "b.lu 1 185.194.93.14" REST},
      /* The right way round, and odd enough. */
      {WITH("A", "185.194.93.14", "\"192.0.2.1\""), "185.194.93.14 1 192.0.2.1" REST},
      {WITH("MX", "10.example", "\"20 b.example\""), "10.example 15 20 b.example" REST},
  };
  CHECK(examples);
  static const struct example refused[] = {
      {WITH("A", "2001:db8::1", "\"circl.lu\""), "circl.lu"},
      {WITH("A", "185.194.93.14", "\"not a name\""), "not a name"},
  };
  REFUSE(refused);
#undef WITH
#undef REST
}

static void test_saf(void **state)
{
  (void)state;
  static const struct example examples[] = {
      {"{\"cond\":\"begin\"}", ""},
      {"{\"cond\":\"succeeded\",\"msg\":\"a message that is long enough for either way to read\"}",
       ""},
      {"{}", ""},
      {" {  } ", ""},
      {"{                                                                                      }",
       ""},
      {"{\"obj\": {" NAME TYPE RDATA TIMES END "}", "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{\"cond\": \"ongoing\", \"obj\": {" NAME TYPE RDATA TIMES END "}",
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      /* What stands around the object is not its own. */
      {"{\"rrname\": \"x\", \"count\": 5, \"obj\": {" NAME TYPE RDATA TIMES END
       ", \"sensor_id\": \"s\", \"rrname\": \"y\"}",
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{\"obj\": {\"rrname\": \"x\"}, \"obj\": {" NAME TYPE RDATA TIMES END "}",
       "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{\"obj\": 5, " NAME TYPE RDATA TIMES "\"x\": {}}", "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"{\"obj\": {}, \"x\": \"                                                               \"}",
       ""},
      {"{\"cond\": \"x\", " NAME TYPE RDATA TIMES END, "a.example 1 192.0.2.1 10 20 +1 =0 -\n"},
      {"", ""},
      {" \t\r\n", ""},
      {"\xef\xbb\xbf", ""},
      {"\xef\xbb\xbf\r\n", ""},
  };
  CHECK(examples);
  static const struct example refused[] = {
      {"{\"cond\": \"ongoing\", \"obj\": {" NAME TYPE TIMES END "}", "rdata is missing"},
      {"{\"obj\": {\"rrtype\": \"A\", \"obj\": {" NAME TYPE RDATA TIMES END "}}",
       "rrname is missing"},
  };
  REFUSE(refused);
}

static void test_not_json(void **state)
{
  (void)state;
  static const struct example refused[] = {
      {"{" NAME TYPE RDATA TIMES END " x", "not JSON"},
      {"{" NAME TYPE RDATA TIMES END "{}", "not JSON"},
      {"{" NAME TYPE RDATA TIMES, "not JSON"},
      {"{" NAME TYPE RDATA TIMES "}", "not JSON"},
      {"{" NAME TYPE RDATA "\"time_first\": 10 \"time_last\": 20}", "not JSON"},
      {"{" NAME TYPE RDATA TIMES "\"x\": \"\x01\"}", "not JSON"},
      {"{" NAME TYPE RDATA TIMES "\"x\": \"a\\x\"}", "not JSON"},
      {"{" NAME TYPE RDATA TIMES "\"x", "not JSON"},
      {"{" NAME TYPE RDATA TIMES "\"x\\", "not JSON"},
      {"{" NAME TYPE RDATA TIMES "\"x\": 1", "not JSON"},
      {"{" NAME TYPE RDATA TIMES "x: 1}", "not JSON"},
      {"{" NAME TYPE RDATA TIMES "\"rrname\" \"x\"}", "not JSON"},
      {"{" NAME TYPE TIMES "\"rdata\": [\"192.0.2.1\",]}", "not JSON"},
      {"{" NAME TYPE TIMES "\"rdata\": [\"192.0.2.1\"", "not JSON"},
      {"[]", "not a JSON object"},
      {"[{" NAME TYPE RDATA TIMES END "]", "not a JSON object"},
      {"\"x\"", "not JSON"},
      {"passivedns||line||that||is||no||JSON||at||all||but||long||enough||for||the||scanner",
       "near octet 1"},
  };
  REFUSE(refused);
  struct given g;
  static const char nul[] = "{" NAME TYPE RDATA TIMES END "\0";
  give(nul, sizeof nul, &g);
  assert_int_equal(g.result, COF_REJECT);
  char deep[6000];
  memset(deep, '[', sizeof deep);
  give(deep, sizeof deep, &g);
  assert_int_equal(g.result, COF_REJECT);
}

static void test_sensor(void **state)
{
  (void)state;
#define WITH(id)  "{" NAME TYPE RDATA TIMES "\"sensor_id\": " id "}"
#define GIVES(id) "a.example 1 192.0.2.1 10 20 +1 =0 " id "\n"
  static const struct example examples[] = {
      {WITH("\"s 1\""), GIVES("s 1")},
      {WITH("\"\\u00fc\""), GIVES("\xc3\xbc")},
      {WITH("\"\xc3\xbc\""), GIVES("\xc3\xbc")},
      {WITH("12"), GIVES("12")},
      {WITH("-12"), GIVES("-12")},
      {WITH("\"\""), GIVES("-")},
      {WITH("null"), GIVES("-")},
      {WITH("true"), GIVES("-")},
      {WITH("{\"a\": 1}"), GIVES("-")},
      {WITH("\"a\\\\b\""), GIVES("a\\b")},
  };
  CHECK(examples);
  static const struct example refused[] = {
      {WITH("\"a\\u0000\""), "sensor_id is not UTF-8"},
      {WITH("\"\xfc\""), "sensor_id is not UTF-8"},
      {WITH("\"\xed\xa0\x80\""), "sensor_id is not UTF-8"},
      {WITH("\"\xc0\x80\""), "sensor_id is not UTF-8"},
  };
  REFUSE(refused);
#undef WITH
#undef GIVES
}

static void test_sensor_length(void **state)
{
  (void)state;
  char id[COF_SENSOR_MAX + 2], text[512];
  struct given g;
  memset(id, 's', sizeof id - 1);
  id[COF_SENSOR_MAX + 1] = '\0';
  snprintf(text, sizeof text, "{" NAME TYPE RDATA TIMES "\"sensor_id\": \"%s\"}", id);
  give(text, strlen(text), &g);
  assert_int_equal(g.result, COF_REJECT);
  assert_non_null(strstr(g.err.text, "sensor_id is over 255 octets"));
  id[COF_SENSOR_MAX] = '\0';
  snprintf(text, sizeof text, "{" NAME TYPE RDATA TIMES "\"sensor_id\": \"%s\"}", id);
  give(text, strlen(text), &g);
  assert_int_equal(g.result, COF_OK);
  assert_non_null(strstr(g.records, id));
}

static void test_default_sensor(void **state)
{
  (void)state;
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct given g;
  static const char without[] = "{" NAME TYPE RDATA TIMES END;
  static const char with[] = "{" NAME TYPE RDATA TIMES "\"sensor_id\": \"own\"}";
  assert_int_equal(cof_reader_set_sensor(reader, "default"), COF_OK);
  give_to(reader, without, sizeof without - 1, &g);
  assert_string_equal(g.records, "a.example 1 192.0.2.1 10 20 +1 =0 default\n");
  give_to(reader, with, sizeof with - 1, &g);
  assert_string_equal(g.records, "a.example 1 192.0.2.1 10 20 +1 =0 own\n");
  char id[COF_SENSOR_MAX + 20];
  memset(id, 's', sizeof id - 1);
  id[sizeof id - 1] = '\0';
  memcpy(id + COF_SENSOR_MAX - 1, "\xc3\xbc", 2);
  assert_int_equal(cof_reader_set_sensor(reader, id), COF_OK);
  give_to(reader, without, sizeof without - 1, &g);
  assert_int_equal(strlen(strstr(g.records, "sss")), COF_SENSOR_MAX - 1 + 1);
  assert_int_equal(cof_reader_set_sensor(reader, NULL), COF_OK);
  give_to(reader, without, sizeof without - 1, &g);
  assert_string_equal(g.records, "a.example 1 192.0.2.1 10 20 +1 =0 -\n");
  cof_reader_destroy(&reader);
  cof_reader_destroy(&reader);
}

static void check_zones(const char *keys, uint32_t zones, uint64_t odd)
{
  char text[512];
  struct cof_batch *batch = cof_batch_create();
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct cof_error err = {.text = ""};
  int len = snprintf(text, sizeof text, "{" TYPE RDATA TIMES "%s}", keys);
  assert_int_equal(cof_reader_object(reader, text, (size_t)len, batch, NULL, NULL, &err), COF_OK);
  assert_string_equal(err.text, "");
  assert_int_equal(cof_batch_count(batch), 1);
  assert_int_equal(cof_batch_at(batch, 0)->zones, zones);
  assert_int_equal(cof_reader_odd_bailiwicks(reader), odd);
  cof_batch_destroy(&batch);
  cof_reader_destroy(&reader);
}

#define OWNER "\"rrname\": \"A.Example.COM.\""

static void test_bailiwick(void **state)
{
  (void)state;
  check_zones(OWNER, 0, 0);
  check_zones("\"bailiwick\": \"com\", " OWNER, 2, 0);
  check_zones(OWNER ", \"bailiwick\": \".\"", 1, 0);
  check_zones(OWNER ", \"bailiwick\": \"EXAMPLE.com.\"", 4, 0);
  check_zones(OWNER ", \"bailiwick\": \"a.example.com\"", 8, 0);
  check_zones(OWNER ", \"bailiwick\": null", 0, 0);
  check_zones(OWNER ", \"bailiwick\": \"\"", 0, 0);
  check_zones(OWNER ", \"bailiwick\": \"example.net\"", 0, 1);
  check_zones(OWNER ", \"bailiwick\": \"b.a.example.com\"", 0, 1);
  check_zones(OWNER ", \"bailiwick\": \"a..com\"", 0, 1);
  check_zones(OWNER ", \"bailiwick\": 5", 0, 1);
  check_zones(OWNER ", \"bailiwick\": [\"com\"]", 0, 1);
  check_zones(OWNER ", \"bailiwick\": \"com\", \"cofd_zones\": 6", 6, 0);
  check_zones(OWNER ", \"cofd_zones\": 15", 15, 0);
  check_zones(OWNER ", \"cofd_zones\": 0", 0, 0);
  static const struct example bad[] = {
      {"{" NAME TYPE RDATA TIMES "\"cofd_zones\": 8}", "cofd_zones has zones of more labels"},
      {"{" NAME TYPE RDATA TIMES "\"cofd_zones\": -1}", "cofd_zones is not a whole number"},
      {"{" NAME TYPE RDATA TIMES "\"cofd_zones\": 4294967296}", "cofd_zones is not a whole"},
      {"{" NAME TYPE RDATA TIMES "\"cofd_zones\": \"1\"}", "cofd_zones is not a whole number"}};
  REFUSE(bad);
}

/* Both scanners on one text. */
static void compare(struct cof_reader *reader, const char *text, size_t len)
{
  struct cof_batch *fast = cof_batch_create(), *slow = cof_batch_create();
  struct cofread_out from_fast = {.batch = fast}, from_slow = {.batch = slow};
  struct cofread_fields fields;
  char a[TEXT_MAX], b[TEXT_MAX];
  char *copy = malloc(len);
  assert_non_null(copy);
  memcpy(copy, text, len);
  if (cofread_fast(reader, copy, len, &fields) == COFREAD_DONE) {
    enum cof_result result = cofread_append(reader, &fields, &from_fast);
    assert_int_equal(cofread_slow(reader, copy, len, &from_slow), result);
    assert_int_equal(from_fast.refused, from_slow.refused);
    describe(fast, a);
    describe(slow, b);
    assert_string_equal(a, b);
  }
  free(copy);
  cof_batch_destroy(&fast);
  cof_batch_destroy(&slow);
}

/* The fast scanner takes what feeds send, and for texts broken anywhere gives what jansson gives.
 */
static void check_agreement(const char *text, size_t len)
{
  static const char put[] = "\"\\{}[]:, 0e.-x\x80\x01\x1f";
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct cofread_fields fields;
  char *broken = malloc(len);
  assert_non_null(broken);
  memcpy(broken, text, len);
  assert_int_equal(cofread_fast(reader, broken, len, &fields), COFREAD_DONE);
  for (size_t i = 0; i < len; i++) {
    char was = broken[i];
    for (size_t j = 0; j < sizeof put - 1; j++) {
      broken[i] = put[j];
      compare(reader, broken, len);
    }
    broken[i] = was;
    if (i >= COFREAD_FAST_MIN)
      compare(reader, broken, i);
  }
  free(broken);
  cof_reader_destroy(&reader);
}

static void test_scanners_agree(void **state)
{
  (void)state;
  static const char text[] =
      "{\"rrname\": \"h\xe9.example\", \"rrtype\": \"TXT\", \"rdata\": "
      "[\"\\\"v=spf1\\\\\\\"\\\"\", "
      "\"b\"], \"time_first\": 1657800000.25, \"time_last\": 1657800001, \"count\": 12, "
      "\"sensor_id\": \"s0\", \"zone_time_first\": 1, \"other\": 12, \"n\": null, "
      "\"bailiwick\": \"example\", \"cofd_zones\": 3}";
  static const char wrapped[] =
      "{\"cond\": \"ongoing\", \"count\": 5, \"obj\": {\"rrname\": \"a.example\", \"rrtype\": "
      "\"A\", "
      "\"rdata\": [\"192.0.2.1\"], \"time_first\": 1, \"time_last\": 2}, \"count\": 7}";
  check_agreement(text, sizeof text - 1);
  check_agreement(wrapped, sizeof wrapped - 1);
}

static int allocations_left;

static void *failing_malloc(size_t size)
{
  return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Whichever allocation fails: fatal, and nothing is appended. */
static void test_out_of_memory(void **state)
{
  (void)state;
  static const char text[] =
      "{" NAME TYPE "\"rdata\": [\"192.0.2.1\", \"192.0.2.2\"], " TIMES "\"x\": {\"y\": [1.5]}}";
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct given g;
  int failed = 0;
  g.result = COF_FATAL;
  for (int n = 0; g.result != COF_OK && n < 1000; n++) {
    allocations_left = n;
    json_set_alloc_funcs(failing_malloc, free);
    give_to(reader, text, sizeof text - 1, &g);
    json_set_alloc_funcs(malloc, free);
    if (g.result == COF_OK)
      break;
    assert_int_equal(g.result, COF_FATAL);
    assert_int_equal(g.added, 0);
    assert_string_equal(g.records, "");
    assert_string_equal(g.err.text, "out of memory");
    failed++;
  }
  assert_true(failed > 10);
  assert_int_equal(g.result, COF_OK);
  assert_int_equal(g.added, 2);
  cof_reader_destroy(&reader);
}

static int adds_left = INT_MAX;

struct cof_record *__real_cof_batch_add_sized(struct cof_batch *batch,
                                              const struct cof_record *record, size_t size);
struct cof_record *__wrap_cof_batch_add_sized(struct cof_batch *batch,
                                              const struct cof_record *record, size_t size);

/* The linker has the reader call this. */
struct cof_record *__wrap_cof_batch_add_sized(struct cof_batch *batch,
                                              const struct cof_record *record, size_t size)
{
  return adds_left-- > 0 ? __real_cof_batch_add_sized(batch, record, size) : NULL;
}

static void test_no_room_in_batch(void **state)
{
  (void)state;
  static const char text[] =
      "{" NAME TYPE "\"rdata\": [\"192.0.2.1\", \"x\", \"192.0.2.2\"], " TIMES END;
  struct given g;
  adds_left = 1;
  give(text, sizeof text - 1, &g);
  adds_left = INT_MAX;
  assert_int_equal(g.result, COF_FATAL);
  assert_int_equal(g.added, 0);
  assert_string_equal(g.records, "");
  assert_string_equal(g.err.text, "out of memory");
}

static void test_optional_results(void **state)
{
  (void)state;
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct cof_batch *batch = cof_batch_create();
  assert_int_equal(cof_reader_object(reader, "{\"x\": 1}", 8, batch, NULL, NULL, NULL), COF_REJECT);
  assert_int_equal(cof_batch_count(batch), 0);
  cof_batch_destroy(&batch);
  cof_reader_destroy(&reader);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_draft_and_feeds),
      cmocka_unit_test(test_unknown_keys),
      cmocka_unit_test(test_times),
      cmocka_unit_test(test_bad_times),
      cmocka_unit_test(test_count),
      cmocka_unit_test(test_counts_total),
      cmocka_unit_test(test_rrtype),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_long_label),
      cmocka_unit_test(test_elements),
      cmocka_unit_test(test_many_elements),
      cmocka_unit_test(test_swapped),
      cmocka_unit_test(test_saf),
      cmocka_unit_test(test_not_json),
      cmocka_unit_test(test_sensor),
      cmocka_unit_test(test_sensor_length),
      cmocka_unit_test(test_default_sensor),
      cmocka_unit_test(test_bailiwick),
      cmocka_unit_test(test_scanners_agree),
      cmocka_unit_test(test_optional_results),
      cmocka_unit_test(test_out_of_memory),
      cmocka_unit_test(test_no_room_in_batch),
  };
  return cmocka_run_group_tests_name("cofread", tests, NULL, NULL);
}
