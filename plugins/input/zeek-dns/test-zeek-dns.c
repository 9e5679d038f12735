/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cofd/dns.h>
#include <cofd/plugin.h>

#include "fakehost.h"
#include "zeek_private.h"

#define SOON 60000

static struct cof_batch *batch;
static struct zeek_header header;
static struct zeek_line line;
static struct cof_error err;

static int before(void **state)
{
  (void)state;
  batch = cof_batch_create();
  zeek_header_begin(&header);
  return batch == NULL;
}

static int after(void **state)
{
  (void)state;
  cof_batch_destroy(&batch);
  return 0;
}

static enum cof_result take_len(const char *text, size_t len, bool whole)
{
  cof_batch_clear(batch);
  err.text[0] = '\0';
  return zeek_read("z1", &header, text, len, whole, batch, &line, &err);
}

static enum cof_result take(const char *text)
{
  return take_len(text, strlen(text), true);
}

static void good(const char *text, enum zeek_kind kind)
{
  if (take(text) != COF_OK)
    fail_msg("%s: %s", text, err.text);
  assert_int_equal(line.kind, kind);
}

static void bad(const char *text, const char *reason)
{
  if (take(text) != COF_REJECT)
    fail_msg("taken: %s", text);
  if (strstr(err.text, reason) == NULL)
    fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, reason);
}

/* All records of the batch as "owner TYPE rdata" and a newline each. */
static const char *records(void)
{
  static char text[4096];
  size_t at = 0;
  text[0] = '\0';
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    char type[COF_RRTYPE_TEXT_MAX];
    at += (size_t)snprintf(text + at, sizeof text - at, "%s %s %s\n", r->rrname,
                           cof_rrtype_text(r->rrtype, type), r->rdata);
    assert_true(at < sizeof text);
  }
  return text;
}

#define HEADER                                                                                     \
  "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\tquery\tqclass\t" \
  "qclass_name\tqtype\tqtype_name\trcode\trcode_name\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected"

static void give_header(void)
{
  static const char *const lines[] = {"#separator \\x09",
                                      "#set_separator\t,",
                                      "#empty_field\t(empty)",
                                      "#unset_field\t-",
                                      "#path\tdns",
                                      "#open\t2016-03-31-20-03-03",
                                      HEADER,
                                      "#types\ttime\tstring"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    good(lines[i], ZEEK_LINE_HEADER);
    assert_true(line.context);
  }
}

/* A line with the columns that matter. */
static const char *tsv(const char *query, const char *number, const char *type, const char *answers,
                       const char *ttls)
{
  static char text[4096];
  snprintf(text, sizeof text,
           "1459468983.750000\tCOKlryLloBE6EB7oe\t192.168.1.1\t62834\t198.41.222.24\t53\tudp\t22543"
           "\t%s\t1\tC_INTERNET\t%s\t%s\t0\tNOERROR\tT\tF\tF\tF\t0\t%s\t%s\tF",
           query, number, type, answers, ttls);
  return text;
}

static void answers(const char *query, const char *number, const char *type, const char *list,
                    const char *want)
{
  good(tsv(query, number, type, list, "1.0"), ZEEK_LINE_ANSWERS);
  assert_string_equal(records(), want);
}

static void reads_tsv(void **state)
{
  (void)state;
  give_header();
  good("1459468983.750000\tCOKlryLloBE6EB7oe\t192.168.1.1\t62834\t198.41.222.24\t53\tudp\t22543\t"
       "www.reddit.com\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tT\tF\tF\tF\t0\t198.41.209.142,"
       "198.41.208.142\t300.000000,300.000000\tF\r",
       ZEEK_LINE_ANSWERS);
  assert_string_equal(records(), "www.reddit.com A 198.41.209.142\n"
                                 "www.reddit.com A 198.41.208.142\n");
  const struct cof_record *r = cof_batch_at(batch, 0);
  assert_int_equal(r->time_first, 1459468983);
  assert_int_equal(r->time_last, 1459468983);
  assert_int_equal(r->count, 1);
  assert_string_equal(r->sensor_id, "z1");
  const struct cof_ttl *ttls;
  assert_int_equal(cof_batch_ttls(batch, &ttls), 1);
  assert_int_equal(ttls[0].ttl, 300);
  assert_int_equal(ttls[0].hits, 2);
}

static void reads_json(void **state)
{
  (void)state;
  good("{\"ts\":1504226037.090323,\"uid\":\"C\",\"id.orig_h\":\"192.168.1.1\",\"query\":"
       "\"www.Reddit.com\",\"qclass\":1,\"qtype\":1,\"qtype_name\":\"A\",\"rcode\":0,"
       "\"rcode_name\":\"NOERROR\",\"answers\":[\"reddit.map.fastly.net\",\"151.101.57.140\"],"
       "\"TTLs\":[100.0,3286499344.0],\"rejected\":false}",
       ZEEK_LINE_ANSWERS);
  assert_string_equal(records(), "www.reddit.com CNAME reddit.map.fastly.net\n"
                                 "reddit.map.fastly.net A 151.101.57.140\n");
  assert_int_equal(cof_batch_at(batch, 0)->time_first, 1504226037);
  const struct cof_ttl *ttls;
  assert_int_equal(cof_batch_ttls(batch, &ttls), 1);
  assert_int_equal(ttls[0].ttl, 100);
  good("{\"ts\":\"2019-08-27T21:00:00.058798Z\",\"query\":\"a.example\",\"qtype_name\":\"AAAA\","
       "\"answers\":[\"2001:DB8:0::1\"]}",
       ZEEK_LINE_ANSWERS);
  assert_string_equal(records(), "a.example AAAA 2001:db8::1\n");
  assert_int_equal(cof_batch_at(batch, 0)->time_first, 1566939600);
  /* No answers key. */
  good("{\"ts\":1504226037.1,\"query\":\"a.example\",\"qtype_name\":\"A\",\"rcode\":3}",
       ZEEK_LINE_EMPTY);
  assert_int_equal(cof_batch_count(batch), 0);
}

static void columns_by_name(void **state)
{
  (void)state;
  bad(tsv("a.example", "1", "A", "192.0.2.1", "1"), "no #fields line");
  good("#separator \\x7c", ZEEK_LINE_HEADER);
  good("#set_separator|;", ZEEK_LINE_HEADER);
  good("#unset_field|!", ZEEK_LINE_HEADER);
  good("#fields|answers|query|qtype_name|ts", ZEEK_LINE_HEADER);
  good("192.0.2.1;192.0.2.2|a.example|A|12.5", ZEEK_LINE_ANSWERS);
  assert_string_equal(records(), "a.example A 192.0.2.1\na.example A 192.0.2.2\n");
  good("!|a.example|A|12.5", ZEEK_LINE_EMPTY);
  bad("192.0.2.1|a.example|A", "3 columns instead of the 4");
  bad("192.0.2.1|a.example|A|12|x", "5 columns instead of the 4");
  /* They change within a file. */
  good("#fields|ts|query|qtype|answers", ZEEK_LINE_HEADER);
  good("13|b.example|1|192.0.2.3", ZEEK_LINE_ANSWERS);
  assert_string_equal(records(), "b.example A 192.0.2.3\n");
  good("#close|2016-03-31-20-03-03", ZEEK_LINE_HEADER);
  assert_false(line.context);
  bad("#fields|ts|query|qtype", "no column answers");
  bad("13|b.example|1|192.0.2.3", "no #fields line");
  /* A new header begins with what is usual. */
  give_header();
  good(tsv("a.example", "1", "A", "192.0.2.1", "1.0"), ZEEK_LINE_ANSWERS);
}

static void bounded_header(void **state)
{
  (void)state;
  static char text[8192] = "#fields";
  for (int i = 0; i <= ZEEK_COLUMNS_MAX; i++)
    strcat(text, "\tx");
  bad(text, "over 256 columns");
  bad("#separator 012345678901234567890123456789012", "#separator: not 1 to 32 octets");
  bad("#set_separator\t", "#set_separator");
  bad("#set_separator", "#set_separator");
}

static void rebuilds_owners(void **state)
{
  (void)state;
  give_header();
  answers("a.example", "1", "A", "b.example,c.example,192.0.2.1,192.0.2.2",
          "a.example CNAME b.example\nb.example CNAME c.example\nc.example A 192.0.2.1\n"
          "c.example A 192.0.2.2\n");
  answers("a.example", "28", "AAAA", "b.example,2001:db8::1",
          "a.example CNAME b.example\nb.example AAAA 2001:db8::1\n");
  /* The family of the address says which type it is. */
  answers("a.example", "28", "AAAA", "192.0.2.1", "a.example A 192.0.2.1\n");
  answers("example.com", "2", "NS", "ns1.example.net,ns2.example.net",
          "example.com NS ns1.example.net\nexample.com NS ns2.example.net\n");
  answers("example.com", "15", "MX", "mx.example.net", "example.com MX mx.example.net\n");
  answers("_x._tcp.example.com", "33", "SRV", "srv.example.net",
          "_x._tcp.example.com SRV srv.example.net\n");
  answers("example.com", "6", "SOA", "ns1.example.net", "example.com SOA ns1.example.net\n");
  answers("1.2.0.192.in-addr.arpa", "12", "PTR", "a.example",
          "1.2.0.192.in-addr.arpa PTR a.example\n");
  /* The type by number alone. */
  answers("a.example", "1", "-", "192.0.2.1", "a.example A 192.0.2.1\n");
}

static void leaves_out_what_cannot_be_told(void **state)
{
  (void)state;
  give_header();
  answers("example.com", "2", "NS", "ns1.example.net,192.0.2.1", "");
  assert_int_equal(line.undecided, 2);
  answers("example.com", "255", "*", "ns1.example.net", "");
  assert_int_equal(line.undecided, 1);
  answers("example.com", "65", "HTTPS", "cdn.example.net", "");
  assert_int_equal(line.undecided, 1);
  answers("example.com", "16", "TXT", "192.0.2.1", "");
  assert_int_equal(line.undecided, 1);
  answers("a.example", "1", "A", "192.0.2.1,RRSIG 1 example,<unknown type=65>,-,(empty),",
          "a.example A 192.0.2.1\n");
  assert_int_equal(line.summaries, 5);
  answers("a.example", "43", "DS", "DS 5 8", "");
  assert_int_equal(line.summaries, 1);
}

static void reads_texts(void **state)
{
  (void)state;
  give_header();
  answers("a.example", "16", "TXT", "TXT 11 v=spf1 -all", "a.example TXT \"v=spf1 -all\"\n");
  answers("a.example", "16", "TXT", "TXT 3 a b TXT 5 c \"d\\\\",
          "a.example TXT \"a b\" \"c \\\"d\\\\\"\n");
  answers("a.example", "16", "TXT", "TXT 5 a\\x2cb\\xc3\\xa9", "a.example TXT \"a,b\\195\\169\"\n");
  answers("a.example", "99", "SPF", "SPF 6 v=spf1", "a.example SPF \"v=spf1\"\n");
  answers("a.example", "16", "TXT", "b.example,TXT 0 ",
          "a.example CNAME b.example\nb.example TXT \"\"\n");
  bad(tsv("a.example", "16", "TXT", "TXT 9 short", "1"), "TXT LENGTH TEXT");
  bad(tsv("a.example", "16", "TXT", "TXT nine short", "1"), "TXT LENGTH TEXT");
  assert_int_equal(line.refused, 1);
}

static void takes_garbage_names(void **state)
{
  (void)state;
  give_header();
  answers("\\x1e\\xd1x y.example", "1", "A", "192.0.2.1",
          "\\030\\209x\\032y.example A 192.0.2.1\n");
  answers("a\\x2eb.example", "1", "A", "192.0.2.1", "a\\.b.example A 192.0.2.1\n");
  answers("a\\\\b.example", "1", "A", "192.0.2.1", "a\\\\b.example A 192.0.2.1\n");
  good("{\"ts\":1,\"query\":\"\\u001e\\u00d1.example\",\"qtype_name\":\"A\",\"answers\":"
       "[\"192.0.2.1\"]}",
       ZEEK_LINE_ANSWERS);
  assert_string_equal(records(), "\\030\\195\\145.example A 192.0.2.1\n");
  good("{\"ts\":1,\"query\":\"a\\u0000b\",\"qtype_name\":\"A\",\"answers\":[\"192.0.2.1\"]}",
       ZEEK_LINE_EMPTY);
  good("{\"ts\":1,\"query\":\"a\",\"qtype_name\":\"A\",\"answers\":[\"b\\u0000c\"]}",
       ZEEK_LINE_ANSWERS);
  assert_int_equal(cof_batch_count(batch), 0);
  /* Neither a name nor an address: the good answers stay. */
  assert_int_equal(take(tsv("a.example", "1", "A", "a..b,192.0.2.1", "1")), COF_REJECT);
  assert_int_equal(line.refused, 2);
  char name[1200];
  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  bad(tsv(name, "1", "A", "192.0.2.1", "1"), "query: over 1024");
  bad(tsv("a.example", "1", "A", name, "1"), "over 1024");
}

static void passes_over_other_questions(void **state)
{
  (void)state;
  give_header();
  good(tsv("WORKGROUP", "32", "NBSTAT", "192.0.2.1", "1"), ZEEK_LINE_OTHER);
  good(tsv("a", "4711", "query-4711", "192.0.2.1", "1"), ZEEK_LINE_OTHER);
  good(tsv("a", "-", "-", "192.0.2.1", "1"), ZEEK_LINE_OTHER);
  good(tsv("-", "1", "A", "192.0.2.1", "1"), ZEEK_LINE_EMPTY);
  good(tsv("(empty)", "1", "A", "192.0.2.1", "1"), ZEEK_LINE_EMPTY);
  good(tsv("a", "1", "A", "-", "-"), ZEEK_LINE_EMPTY);
  good(tsv("a", "1", "A", "(empty)", "-"), ZEEK_LINE_EMPTY);
  good("{\"ts\":1,\"id.resp_p\":5353,\"query\":\"a\",\"qtype_name\":\"A\",\"answers\":"
       "[\"192.0.2.1\"]}",
       ZEEK_LINE_OTHER);
  good("{\"ts\":1,\"id.resp_p\":137,\"query\":\"a\",\"qtype_name\":\"NB\",\"answers\":"
       "[\"192.0.2.1\"]}",
       ZEEK_LINE_OTHER);
  good("{\"ts\":1,\"id.resp_p\":53,\"qclass\":3,\"query\":\"version.bind\",\"qtype_name\":\"TXT\","
       "\"answers\":[\"TXT 1 9\"]}",
       ZEEK_LINE_OTHER);
  good("", ZEEK_LINE_BLANK);
  good("\r", ZEEK_LINE_BLANK);
}

static void refuses(void **state)
{
  (void)state;
  give_header();
  bad("{\"ts\":1", "no JSON");
  bad("{\"query\":\"a\",\"qtype_name\":\"A\",\"answers\":[\"192.0.2.1\"]}", "ts: missing");
  bad("{\"ts\":\"yesterday\",\"query\":\"a\",\"qtype_name\":\"A\",\"answers\":[\"192.0.2.1\"]}",
      "ts: missing, or neither");
  bad("{\"ts\":-1,\"query\":\"a\",\"qtype_name\":\"A\",\"answers\":[\"192.0.2.1\"]}", "ts: ");
  bad("{\"ts\":1,\"query\":\"a\",\"qtype_name\":\"A\",\"answers\":[1]}", "array of strings");
  /* What may be cut off is not taken, unless it shows that it is whole. */
  const char *text = tsv("a", "1", "A", "192.0.2.1", "1");
  assert_int_equal(take_len(text, strlen(text), false), COF_REJECT);
  text = "{\"ts\":1,\"query\":\"a\",\"qtype_name\":\"A\",\"answers\":[\"192.0.2.1\"]}";
  assert_int_equal(take_len(text, strlen(text), false), COF_OK);
}

static void bounds_answers(void **state)
{
  (void)state;
  static const size_t lengths[] = {200, 60000, 66000, 262000, 262141, 900000};
  char *text = malloc(1000000);
  assert_non_null(text);
  good("#fields\tts\tquery\tqtype_name\tanswers", ZEEK_LINE_HEADER);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    int at = sprintf(text, "1\ta\tTXT\tTXT %zu ", lengths[i]);
    memset(text + at, '"', lengths[i]);
    text[(size_t)at + lengths[i]] = '\0';
    bool fits = lengths[i] == 200;
    assert_int_equal(take(text), fits ? COF_OK : COF_REJECT);
    assert_int_equal(cof_batch_count(batch), fits ? 1 : 0);
  }
  free(text);
}

/* --- the plugin ------------------------------------------------------------------------------- */

extern const struct cof_plugin cof_plugin;

static void append(const char *path, const char *text)
{
  FILE *out = fopen(path, "a");
  assert_non_null(out);
  assert_true(fputs(text, out) >= 0 && fputc('\n', out) != EOF);
  assert_int_equal(fclose(out), 0);
}

static void write_header(const char *path, const char *fields)
{
  append(path, "#separator \\x09");
  append(path, "#set_separator\t,");
  append(path, fields);
}

/* A run over the file, up to so many records; the acks of those come before it stops. */
static void run(const char *path, const char *state_dir, size_t count, int64_t headers)
{
  char option[128];
  snprintf(option, sizeof option, "path=%s", path);
  const char *const settings[] = {option, "follow=yes", "batch_time=1ms", NULL};
  struct fakehost *host = fakehost_create("zeek", state_dir);
  void *conf = fakehost_conf(&cof_plugin, settings), *self;
  assert_int_equal(cof_plugin.create(fakehost_host(host), conf, &self), COF_OK);
  fakehost_serve(host, cof_plugin.ops, self);
  assert_int_equal(cof_plugin.start(self), COF_OK);
  if (!fakehost_wait_count(host, count, SOON)) {
    fakehost_dump(host);
    fail_msg("%zu of %zu records", fakehost_count(host), count);
  }
  assert_true(fakehost_wait_settled(host, SOON));
  fakehost_stopping(host);
  assert_int_equal(cof_plugin.stop(self, UINT64_MAX), COF_OK);
  assert_int_equal(fakehost_count(host), count);
  assert_int_equal(fakehost_rejected(host), 0);
  assert_int_equal(fakehost_metric(host, "headers"), headers);
  cof_plugin.destroy(self);
  fakehost_conf_free(&cof_plugin, &conf);
  fakehost_destroy(&host);
}

/* The header stands before the remembered position, so it has to be read again. */
static void keeps_the_header_over_a_restart(void **state)
{
  (void)state;
  char dir[] = "/tmp/cofd-zeek-XXXXXX", path[64], positions[64];
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/dns.log", dir);
  snprintf(positions, sizeof positions, "%s/zeek.positions", dir);
  write_header(path, HEADER);
  append(path, tsv("a.example", "1", "A", "192.0.2.1,192.0.2.2", "1,1"));
  run(path, dir, 2, 3);
  append(path, tsv("b.example", "1", "A", "192.0.2.1", "1"));
  run(path, dir, 1, 0);
  /* The next log was appended, with other columns. */
  append(path, "#close\t2016-03-31-20-03-03");
  write_header(path, "#fields\tts\tquery\tqtype_name\tanswers");
  append(path, "7\tc.example\tA\t192.0.2.1");
  append(path, "8\td.example\tA\t192.0.2.1");
  run(path, dir, 2, 4);
  append(path, "9\te.example\tA\t192.0.2.1");
  run(path, dir, 1, 0);
  /* Again, behind data lines. */
  append(path, "9\tf.example\tA\t192.0.2.1");
  run(path, dir, 1, 0);
  unlink(path);
  unlink(positions);
  rmdir(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)
  const struct CMUnitTest tests[] = {TEST(reads_tsv),
                                     TEST(reads_json),
                                     TEST(columns_by_name),
                                     TEST(bounded_header),
                                     TEST(rebuilds_owners),
                                     TEST(leaves_out_what_cannot_be_told),
                                     TEST(reads_texts),
                                     TEST(takes_garbage_names),
                                     TEST(passes_over_other_questions),
                                     TEST(refuses),
                                     TEST(bounds_answers),
                                     cmocka_unit_test(keeps_the_header_over_a_restart)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
