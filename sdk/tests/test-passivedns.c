/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <cofd/dns.h>
#include <cofd/passivedns.h>

static struct cof_passivedns *reader;
static struct cof_batch *batch;
static struct cof_passivedns_line line;
static struct cof_error err;

static void use(const struct cof_passivedns_options *options)
{
  cof_passivedns_destroy(&reader);
  reader = cof_passivedns_create(options, &err);
  if (reader == NULL)
    fail_msg("%s", err.text);
}

static int before(void **state)
{
  (void)state;
  struct cof_passivedns_options o = COF_PASSIVEDNS_INIT;
  batch = cof_batch_create();
  use(&o);
  return batch == NULL;
}

static int after(void **state)
{
  (void)state;
  cof_passivedns_destroy(&reader);
  cof_batch_destroy(&batch);
  return 0;
}

static enum cof_result take(const char *text)
{
  cof_batch_clear(batch);
  err.text[0] = '\0';
  line = (struct cof_passivedns_line){.struct_size = sizeof line};
  return cof_passivedns_read(reader, text, strlen(text), batch, &line, &err);
}

static const struct cof_record *record(const char *text)
{
  if (take(text) != COF_OK)
    fail_msg("%s: %s", text, err.text);
  assert_int_equal(line.kind, COF_PASSIVEDNS_RECORD);
  assert_int_equal(cof_batch_count(batch), 1);
  return cof_batch_at(batch, 0);
}

static void assert_none(const char *text, enum cof_passivedns_kind kind)
{
  assert_int_equal(take(text), COF_OK);
  assert_int_equal(line.kind, kind);
  assert_int_equal(cof_batch_count(batch), 0);
}

static void assert_rejected(const char *text, const char *reason)
{
  if (take(text) != COF_REJECT)
    fail_msg("taken: %s", text);
  assert_int_equal(cof_batch_count(batch), 0);
  if (strstr(err.text, reason) == NULL)
    fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, reason);
}

static void reads_real_lines(void **state)
{
  (void)state;
  const struct cof_record *r = record("1548624738.280922||192.168.1.12||8.8.8.8||IN||"
                                      "wWw-google-Analytics.l.google.com.||AAAA||"
                                      "2A00:1450:400e:801:0::200e||299||12");
  assert_string_equal(r->rrname, "www-google-analytics.l.google.com");
  assert_string_equal(r->rdata, "2a00:1450:400e:801::200e");
  assert_int_equal(r->rrtype, COF_TYPE_AAAA);
  assert_int_equal(r->time_first, 1548624738);
  assert_int_equal(r->time_last, 1548624738);
  assert_int_equal(r->count, 12);
  assert_int_equal(r->total, 0);
  assert_null(r->sensor_id);
  assert_true(line.has_ttl);
  assert_int_equal(line.ttl, 299);
  assert_int_equal(line.rrclass, 1);
  assert_int_equal(line.rrtype, COF_TYPE_AAAA);
  r = record("1322849924.408858||10.1.1.1||8.8.8.8||IN||www.adobe.com.||CNAME||"
             "www.wip4.adobe.com.||43200||8\r\n");
  assert_string_equal(r->rdata, "www.wip4.adobe.com");
  r = record("1506885129.052785||64.91.238.211||190.85.239.19||IN||recalsa.org.||MX||"
             "mx1c76.carrierzone.com.||3600||1");
  assert_string_equal(r->rdata, "mx1c76.carrierzone.com");
}

static void reads_json(void **state)
{
  (void)state;
  const struct cof_record *r =
      record("{\"timestamp\":\"2011-12-02 18:18:44.408856\",\"timestamp_s\":1322849924,"
             "\"timestamp_ms\":408856,\"hostname\":\"h\",\"client\":\"10.1.1.1\",\"server\":"
             "\"8.8.8.8\",\"proto\":\"udp\",\"class\":\"IN\",\"query\":\"Upload.youtube.com.\","
             "\"query_len\":19,\"type\":\"A\",\"answer\":\"74.125.43.117\",\"answer_len\":4,"
             "\"ttl\":46587,\"count\":5}\r");
  assert_string_equal(r->rrname, "upload.youtube.com");
  assert_string_equal(r->rdata, "74.125.43.117");
  assert_int_equal(r->time_first, 1322849924);
  assert_int_equal(r->count, 5);
  assert_true(line.has_ttl);
  assert_int_equal(line.ttl, 46587);
  /* Only what is needed, and in other types of value. */
  r = record("{\"timestamp_s\":\"7\",\"query\":\"a.\",\"type\":28,\"answer\":\"2001:db8::1\","
             "\"count\":\"0\"}");
  assert_int_equal(r->rrtype, COF_TYPE_AAAA);
  assert_int_equal(r->count, 1);
  assert_int_equal(r->time_first, 7);
  assert_false(line.has_ttl);
  setenv("TZ", "UTC", 1);
  tzset();
  r = record("{\"timestamp\":\"2011-12-02 18:18:44.408856\",\"query\":\"a.\",\"type\":\"A\","
             "\"answer\":\"192.0.2.1\"}");
  assert_int_equal(r->time_first, 1322849924);
  assert_none("{\"timestamp_s\":1,\"query\":\"a.\",\"type\":\"A\",\"answer\":\"NXDOMAIN\","
              "\"ttl\":0}",
              COF_PASSIVEDNS_NEGATIVE);
  assert_none("{\"timestamp_s\":1,\"class\":\"CH\",\"query\":\"a.\",\"type\":\"TXT\","
              "\"answer\":\"x\"}",
              COF_PASSIVEDNS_CLASS);
}

static void refuses_json(void **state)
{
  (void)state;
  assert_rejected("{\"timestamp_s\":1", "no JSON");
  assert_rejected("{\"timestamp_s\":1,\"type\":\"A\",\"answer\":\"192.0.2.1\"}", "query: missing");
  assert_rejected("{\"query\":\"a.\",\"type\":\"A\",\"answer\":\"192.0.2.1\"}",
                  "timestamp_s: missing");
  assert_rejected("{\"timestamp_s\":1,\"query\":5,\"type\":\"A\",\"answer\":\"192.0.2.1\"}",
                  "query: a number");
  assert_rejected("{\"timestamp_s\":[],\"query\":\"a.\",\"type\":\"A\",\"answer\":\"1\"}",
                  "timestamp_s: neither");
  assert_rejected("{\"timestamp_s\":-1,\"query\":\"a.\",\"type\":\"A\",\"answer\":\"192.0.2.1\"}",
                  "timestamp: ");
  assert_rejected("{\"timestamp_s\":1,\"query\":\"a.\",\"type\":65536,\"answer\":\"192.0.2.1\"}",
                  "type: ");
  assert_rejected("{\"timestamp_s\":1,\"query\":\"a.\",\"type\":\"A\",\"answer\":\"a.\"}",
                  "answer: ");
}

static void takes_fewer_columns(void **state)
{
  (void)state;
  const struct cof_record *r = record("1||c||s||IN||a.example.||A||192.0.2.1||60");
  assert_int_equal(r->count, 1);
  assert_int_equal(line.ttl, 60);
  record("1||c||s||IN||a.example.||A||192.0.2.1");
  assert_false(line.has_ttl);
  assert_rejected("1||c||s||IN||a.example.||A", "columns");
  assert_rejected("1", "1 columns instead of at least 7");
  assert_rejected("1||c||s||IN||a.example.||A||", "answer");
}

static void finds_the_answer_from_both_ends(void **state)
{
  (void)state;
  const struct cof_record *r = record("1||c||s||IN||a.example.||TXT||\"x||y|||z\"||60||3");
  assert_string_equal(r->rdata, "\"x||y|||z\"");
  assert_int_equal(line.ttl, 60);
  assert_int_equal(r->count, 3);
  r = record("1||c||s||IN||a.example.||TXT||\"||\"||60||3");
  assert_string_equal(r->rdata, "\"||\"");
  r = record("1||c||s||IN||a.example.||TXT||\"a b\\\"; c\"||60||3");
  assert_string_equal(r->rdata, "\"a b\\\"; c\"");
  assert_rejected("1||c||s||IN||a.example.||TXT||\"x||y\"", "ttl");
}

static void reads_times(void **state)
{
  (void)state;
#define TIME(t) record(t "||c||s||IN||a.example.||A||192.0.2.1||1||1")->time_first
  assert_int_equal(TIME("1322849924"), 1322849924);
  assert_int_equal(TIME("1322849924."), 1322849924);
  assert_int_equal(TIME("1322849924.9"), 1322849924);
  assert_int_equal(TIME(" 1322849924.999999 "), 1322849924);
  assert_int_equal(TIME("0"), 0);
  assert_int_equal(TIME("253402300799.5"), COF_TIME_MAX);
  static const char *const bad[] = {
      "",     ".5",   "x", "-1", "1.x", "1e9", "253402300800", "99999999999999999999999999",
      "0x10", "1.2.3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[128];
    snprintf(text, sizeof text, "%s||c||s||IN||a.example.||A||192.0.2.1||1||1", bad[i]);
    assert_rejected(text, "timestamp");
  }
}

static void reads_types_and_classes(void **state)
{
  (void)state;
#define TYPE(t, a) record("1||c||s||IN||a.example.||" t "||" a "||1||1")->rrtype
  assert_int_equal(TYPE("a", "192.0.2.1"), 1);
  assert_int_equal(TYPE("1", "192.0.2.1"), 1);
  assert_int_equal(TYPE("TYPE28", "2001:db8::1"), 28);
  assert_int_equal(TYPE("65", "\\# 3 000100"), 65);
  assert_int_equal(TYPE("SPF", "\"v=spf1 -all\""), 99);
  assert_rejected("1||c||s||IN||a.example.||NONSENSE||x||1||1", "type");
  assert_rejected("1||c||s||IN||a.example.||||x||1||1", "type");
  assert_rejected("1||c||s||IN||a.example.||65536||x||1||1", "type");
  record("1||c||s||in||a.example.||A||192.0.2.1||1||1");
  record("1||c||s||1||a.example.||A||192.0.2.1||1||1");
  assert_none("1||c||s||CH||version.bind.||TXT||\"9\"||0||1", COF_PASSIVEDNS_CLASS);
  assert_int_equal(line.rrclass, 3);
  assert_none("1||c||s||254||a.example.||A||192.0.2.1||0||1", COF_PASSIVEDNS_CLASS);
  assert_int_equal(line.rrclass, 254);
  assert_rejected("1||c||s||INN||a.example.||A||192.0.2.1||0||1", "class");
  assert_rejected("1||c||s||65536||a.example.||A||192.0.2.1||0||1", "class");
}

static void knows_error_lines(void **state)
{
  (void)state;
  static const char *const words[] = {"NXDOMAIN", "SERVFAIL", "FORMERR",         "NOTIMPL",
                                      "REFUSED",  "YXDOMAIN", "YXRRSET",         "NXRRSET",
                                      "NOTAUTH",  "NOTZONE",  "UNKNOWN-ERROR-16"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    char text[128];
    snprintf(text, sizeof text, "1506885129.05||10.1.1.1||8.8.8.8||IN||n.example.||1||%s||0||1",
             words[i]);
    assert_none(text, COF_PASSIVEDNS_NEGATIVE);
  }
  /* A target of that name ends with a dot or has a TTL, and its case is its own. */
  assert_string_equal(record("1||c||s||IN||a.example.||CNAME||NXDOMAIN.||0||1")->rdata, "nxdomain");
  assert_string_equal(record("1||c||s||IN||a.example.||CNAME||NXDOMAIN||7||1")->rdata, "nxdomain");
  assert_string_equal(record("1||c||s||IN||a.example.||CNAME||nxdomain||0||1")->rdata, "nxdomain");
}

static void reads_names(void **state)
{
  (void)state;
#define NAME(q) record("1||c||s||IN||" q "||A||192.0.2.1||1||1")->rrname
  assert_string_equal(NAME("."), ".");
  assert_string_equal(NAME("WWW.Example.COM."), "www.example.com");
  assert_string_equal(NAME("a\\.b.example."), "a\\.b.example");
  assert_string_equal(NAME("\\000\\255.example."), "\\000\\255.example");
  assert_string_equal(NAME("\xc3\x28.example."), "\\195\\(.example");
  assert_string_equal(NAME("_dmarc.example."), "_dmarc.example");
  assert_string_equal(record("1||c||s||IN||a.example.||MX||.||1||1")->rdata, ".");
  assert_rejected("1||c||s||IN||||A||192.0.2.1||1||1", "query");
  assert_rejected("1||c||s||IN||a..b.||A||192.0.2.1||1||1", "query");
  assert_rejected("1||c||s||IN||a.example.||A||a.example.||1||1", "answer");
}

static void reads_counts(void **state)
{
  (void)state;
#define COUNT(n) record("1||c||s||IN||a.example.||A||192.0.2.1||1||" n)->count
  assert_int_equal(COUNT("7"), 7);
  assert_int_equal(COUNT("0"), 1);
  assert_true(COUNT("99999999999999999999999") == COF_COUNT_MAX);
  assert_rejected("1||c||s||IN||a.example.||A||192.0.2.1||1||x", "count");
  assert_rejected("1||c||s||IN||a.example.||A||192.0.2.1||1||-1", "count");
  assert_rejected("1||c||s||IN||a.example.||A||192.0.2.1||x||1", "ttl");
  record("1||c||s||IN||a.example.||A||192.0.2.1||99999999999||1");
  assert_int_equal(line.ttl, UINT32_MAX);
  struct cof_passivedns_options o = COF_PASSIVEDNS_INIT;
  o.count_lines = true;
  o.sensor_id = "edge";
  use(&o);
  const struct cof_record *r = record("1||c||s||IN||a.example.||A||192.0.2.1||1||7");
  assert_int_equal(r->count, 1);
  assert_string_equal(r->sensor_id, "edge");
  assert_int_equal(r->sensor_len, 4);
}

static void passes_over_blanks(void **state)
{
  (void)state;
  assert_none("", COF_PASSIVEDNS_BLANK);
  assert_none(" \t\r\n", COF_PASSIVEDNS_BLANK);
  assert_none("# 1||c||s||IN||a.example.||A||192.0.2.1||1||1", COF_PASSIVEDNS_BLANK);
  assert_rejected("||||||||||||||||", "timestamp");
}

static void takes_other_columns(void **state)
{
  (void)state;
  struct cof_passivedns_options o = COF_PASSIVEDNS_INIT;
  /* Whatever the order of letters, the line has its own. */
  o.fields = "ntlALTQCpWswchMSH";
  o.delimiter = "\t";
  use(&o);
  const struct cof_record *r =
      record("2020-01-01 00:00:00.5\t1500000000.5\thost\tc\tmac\ts\tmac\tudp\tIN\ta.example.\t9\t"
             "A\t192.0.2.1\t9\t60\t5");
  assert_string_equal(r->rrname, "a.example");
  assert_int_equal(r->time_first, 1500000000);
  assert_int_equal(r->count, 5);
  o.fields = "SQTA";
  o.delimiter = ",";
  use(&o);
  assert_int_equal(record("1500000000,a.example.,A,192.0.2.1")->time_first, 1500000000);
  assert_string_equal(record("1,a.example.,TXT,\"x,y\"")->rdata, "\"x,y\"");
  o.fields = "HQTA";
  use(&o);
  assert_int_equal(record("2017-10-01 20:05:29.052785,a.example.,A,192.0.2.1")->time_first,
                   1506888329);
  assert_int_equal(record("2017-10-01 20:05:29,a.example.,A,192.0.2.1")->time_first, 1506888329);
  assert_rejected("2017-13-01 20:05:29,a.example.,A,192.0.2.1", "timestamp");
  assert_rejected("2017-10-01T20:05:29,a.example.,A,192.0.2.1", "timestamp");
  assert_rejected("1899-10-01 20:05:29,a.example.,A,192.0.2.1", "timestamp");
  o.fields = "MHQTAn";
  use(&o);
  assert_int_equal(record("2017-10-01 20:05:29,1,a.example.,A,192.0.2.1,4")->count, 4);
}

static void checks_options(void **state)
{
  (void)state;
  static const struct {
    const char *fields, *delimiter, *reason;
  } bad[] = {{"SQT", "||", "'A' is missing"},
             {"STA", "||", "'Q' is missing"},
             {"SQA", "||", "'T' is missing"},
             {"QTA", "||", "no time"},
             {"MQTA", "||", "no time"},
             {"SQTAz", "||", "'z' is no column"},
             {"", "||", "is missing"},
             {"SQTA", "", "delimiter"},
             {"SQTA", "12345678901234567", "delimiter"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct cof_passivedns_options o = COF_PASSIVEDNS_INIT;
    o.fields = bad[i].fields;
    o.delimiter = bad[i].delimiter;
    assert_null(cof_passivedns_create(&o, &err));
    if (strstr(err.text, bad[i].reason) == NULL)
      fail_msg("\"%s\" does not say \"%s\"", err.text, bad[i].reason);
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, before, after)

int main(void)
{
  setenv("TZ", "UTC", 1);
  tzset();
  const struct CMUnitTest tests[] = {TEST(reads_real_lines),
                                     TEST(reads_json),
                                     TEST(refuses_json),
                                     TEST(takes_fewer_columns),
                                     TEST(finds_the_answer_from_both_ends),
                                     TEST(reads_times),
                                     TEST(reads_types_and_classes),
                                     TEST(knows_error_lines),
                                     TEST(reads_names),
                                     TEST(reads_counts),
                                     TEST(passes_over_blanks),
                                     TEST(takes_other_columns),
                                     TEST(checks_options)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
