/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/dns.h>
#include <cofd/plugin.h>

#include "eve_private.h"
#include "fakehost.h"

static struct cof_batch *batch;
static struct eve_line line;
static struct cof_error err;

static int before(void **state)
{
  (void)state;
  batch = cof_batch_create();
  return batch == NULL;
}

static int after(void **state)
{
  (void)state;
  cof_batch_destroy(&batch);
  return 0;
}

static enum cof_result take(const char *text)
{
  cof_batch_clear(batch);
  err.text[0] = '\0';
  return eve_read(NULL, text, strlen(text), batch, &line, &err);
}

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

/* An event around its `dns` object. */
static const char *event(const char *dns)
{
  static char text[8192];
  snprintf(text, sizeof text,
           "{\"timestamp\":\"2009-11-24T21:27:09.534255-0100\",\"event_type\":\"dns\",\"src_ip\":"
           "\"192.168.1.1\",\"dns\":%s}",
           dns);
  return text;
}

static void good(const char *text, enum eve_kind kind, const char *want)
{
  if (take(text) != COF_OK)
    fail_msg("%s: %s", text, err.text);
  assert_int_equal(line.kind, kind);
  assert_string_equal(records(), want);
}

static void answer(const char *fields, const char *want)
{
  char dns[4096];
  snprintf(dns, sizeof dns, "{\"version\":2,\"type\":\"answer\",\"answers\":[{%s}]}", fields);
  good(event(dns), EVE_ANSWERS, want);
}

static void bad(const char *text, const char *reason)
{
  if (take(text) != COF_REJECT)
    fail_msg("taken: %s", text);
  if (strstr(err.text, reason) == NULL)
    fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, reason);
}

static void reads_version_1(void **state)
{
  (void)state;
  good("{\"timestamp\":\"2009-11-24T21:27:09.534255-0100\",\"event_type\":\"dns\",\"dns\":{"
       "\"type\":\"answer\",\"id\":16000,\"rcode\":\"NOERROR\",\"rrname\":\"Twitter.com\","
       "\"rrtype\":\"A\",\"ttl\":8,\"rdata\":\"199.16.156.6\"}}",
       EVE_ANSWERS, "twitter.com A 199.16.156.6\n");
  const struct cof_record *r = cof_batch_at(batch, 0);
  assert_int_equal(r->time_first, 1259101629);
  assert_int_equal(r->time_last, 1259101629);
  assert_int_equal(r->count, 1);
  assert_null(r->sensor_id);
  const struct cof_ttl *ttls;
  assert_int_equal(cof_batch_ttls(batch, &ttls), 1);
  assert_int_equal(ttls[0].ttl, 8);
  /* The same by number. */
  good(event("{\"version\":1,\"type\":\"answer\",\"rrname\":\"a.example\",\"rrtype\":\"A\","
             "\"rdata\":\"192.0.2.1\"}"),
       EVE_ANSWERS, "a.example A 192.0.2.1\n");
}

static void reads_version_2(void **state)
{
  (void)state;
  good(event("{\"version\":2,\"type\":\"answer\",\"rcode\":\"NOERROR\",\"answers\":[{\"rrname\":"
             "\"www.suricata-ids.org\",\"rrtype\":\"CNAME\",\"ttl\":3324,\"rdata\":"
             "\"suricata-ids.org\"},{\"rrname\":\"suricata-ids.org\",\"rrtype\":\"A\",\"ttl\":10,"
             "\"rdata\":\"192.0.78.24\"}]}"),
       EVE_ANSWERS,
       "www.suricata-ids.org CNAME suricata-ids.org\nsuricata-ids.org A 192.0.78.24\n");
  /* Both forms: the answers count. */
  good(event("{\"version\":2,\"type\":\"answer\",\"rrname\":\"a.example\",\"answers\":[{\"rrname\":"
             "\"a.example\",\"rrtype\":\"A\",\"rdata\":\"192.0.2.1\"}],\"grouped\":{\"A\":["
             "\"192.0.2.1\"]}}"),
       EVE_ANSWERS, "a.example A 192.0.2.1\n");
}

static void reads_version_3(void **state)
{
  (void)state;
  good(event("{\"version\":3,\"type\":\"response\",\"rcode\":\"NOERROR\",\"queries\":[{\"rrname\":"
             "\"a.example\",\"rrtype\":\"A\"}],\"answers\":[{\"rrname\":\"a.example\",\"rrtype\":"
             "\"A\",\"ttl\":60,\"rdata\":\"192.0.2.1\"}]}"),
       EVE_ANSWERS, "a.example A 192.0.2.1\n");
  good(event("{\"version\":3,\"type\":\"response\",\"queries\":[{\"rrname\":\"a.example\"}],"
             "\"grouped\":{\"A\":[\"192.0.2.1\"]}}"),
       EVE_ANSWERS, "a.example A 192.0.2.1\n");
  good(event("{\"version\":3,\"type\":\"request\",\"queries\":[{\"rrname\":\"a.example\"}]}"),
       EVE_QUERY, "");
}

static void reads_grouped(void **state)
{
  (void)state;
  good(event("{\"version\":2,\"type\":\"answer\",\"rcode\":\"NOERROR\",\"rrname\":"
             "\"suricata-ids.org\",\"grouped\":{\"A\":[\"192.0.78.24\",\"192.0.78.25\"]}}"),
       EVE_ANSWERS, "suricata-ids.org A 192.0.78.24\nsuricata-ids.org A 192.0.78.25\n");
  /* The addresses are those of the alias' target, wherever it stands. */
  good(event("{\"version\":2,\"type\":\"answer\",\"rrname\":\"www.suricata-ids.org\",\"grouped\":{"
             "\"A\":[\"192.0.78.24\"],\"CNAME\":[\"b.example\",\"suricata-ids.org\"]}}"),
       EVE_ANSWERS,
       "www.suricata-ids.org CNAME b.example\nb.example CNAME suricata-ids.org\n"
       "suricata-ids.org A 192.0.78.24\n");
  good(event("{\"version\":2,\"type\":\"answer\",\"rrname\":\"example.com\",\"grouped\":{\"MX\":["
             "\"mx.example\"],\"TXT\":[\"v=spf1 -all\"],\"SRV\":[{\"priority\":1,\"weight\":2,"
             "\"port\":53,\"name\":\"ns.example\"}]}}"),
       EVE_ANSWERS,
       "example.com MX mx.example\nexample.com TXT \"v=spf1 -all\"\n"
       "example.com SRV 1 2 53 ns.example\n");
  /* Nobody knows whose addresses these are. */
  good(event("{\"version\":2,\"type\":\"answer\",\"rcode\":\"NOERROR\",\"grouped\":{\"A\":["
             "\"192.0.78.24\",\"192.0.78.25\"],\"CNAME\":[\"suricata-ids.org\"]}}"),
       EVE_ANSWERS, "");
  assert_int_equal(line.no_owner, 3);
}

static void formats_objects(void **state)
{
  (void)state;
  answer(
      "\"rrname\":\"example.com\",\"rrtype\":\"SOA\",\"soa\":{\"mname\":\"ns.example\",\"rname\":"
      "\"hostmaster.example\",\"serial\":1,\"refresh\":2,\"retry\":3,\"expire\":4,\"minimum\":5}",
      "example.com SOA ns.example hostmaster.example 1 2 3 4 5\n");
  answer("\"rrname\":\"example.com\",\"rrtype\":\"SOA\",\"rdata\":{\"mname\":\"ns.example\","
         "\"rname\":\"h.example\",\"serial\":1,\"refresh\":2,\"retry\":3,\"expire\":4,\"minimum\":"
         "5}",
         "example.com SOA ns.example h.example 1 2 3 4 5\n");
  answer("\"rrname\":\"_s._tcp.example\",\"rrtype\":\"SRV\",\"srv\":{\"priority\":10,\"weight\":60,"
         "\"port\":5060,\"name\":\"sip.example\"}",
         "_s._tcp.example SRV 10 60 5060 sip.example\n");
  answer("\"rrname\":\"a.example\",\"rrtype\":\"SSHFP\",\"sshfp\":{\"fingerprint\":"
         "\"12:34:56:78:9a:bc:de:f6:78:90:12:34:56:78:9a:bc:de:f6:78:90\",\"algo\":2,\"type\":1}",
         "a.example SSHFP 2 1 123456789ABCDEF67890123456789ABCDEF67890\n");
  answer("\"rrname\":\"example.com\",\"rrtype\":\"MX\",\"rdata\":{\"preference\":10,\"exchange\":"
         "\"mx.example\"}",
         "example.com MX 10 mx.example\n");
  answer("\"rrname\":\"example.com\",\"rrtype\":\"MX\",\"rdata\":\"10 mx.example\"",
         "example.com MX 10 mx.example\n");
  /* A part of it is nothing. */
  answer("\"rrname\":\"example.com\",\"rrtype\":\"SOA\",\"soa\":{\"mname\":\"ns.example\"}", "");
  assert_int_equal(line.no_rdata, 1);
}

static void takes_odd_data(void **state)
{
  (void)state;
  answer("\"rrname\":\"a.example\",\"rrtype\":\"TXT\",\"rdata\":\"say \\\"x\\\" \\u00e9\"",
         "a.example TXT \"say \\\"x\\\" \\195\\169\"\n");
  answer("\"rrname\":\"a.example\",\"rrtype\":\"TXT\",\"rdata\":\"\\\"quoted\\\"\"",
         "a.example TXT \"quoted\"\n");
  answer("\"rrname\":\"A\\\\x20b.example.\",\"rrtype\":\"a\",\"rdata\":\"192.0.2.1\"",
         "a\\032b.example A 192.0.2.1\n");
  answer("\"rrname\":\"\",\"rrtype\":\"NS\",\"rdata\":\"a.root-servers.net\"",
         ". NS a.root-servers.net\n");
  answer("\"rrname\":\"a.example\",\"rrtype\":\"AAAA\",\"ttl\":-1,\"rdata\":"
         "\"2001:0db8:0000:0000:0000:0000:0000:0001\"",
         "a.example AAAA 2001:db8::1\n");
  answer("\"rrname\":\"a.example\",\"rrtype\":\"HTTPS\"", "");
  assert_int_equal(line.no_rdata, 1);
  answer("\"rrname\":\"a.example\",\"rrtype\":\"A\",\"rdata\":\"\"", "");
  assert_int_equal(line.no_rdata, 1);
}

static void passes_over_the_rest(void **state)
{
  (void)state;
  good("", EVE_BLANK, "");
  good(" \r", EVE_BLANK, "");
  good("{\"event_type\":\"flow\"}", EVE_OTHER, "");
  good("{\"event_type\":\"alert\",\"app_proto\":\"dns\",\"dns\":{\"type\":\"answer\"}}", EVE_OTHER,
       "");
  good(event("{\"type\":\"query\",\"rrname\":\"a.example\",\"rrtype\":\"A\"}"), EVE_QUERY, "");
  good(event("{\"version\":2,\"type\":\"answer\",\"rcode\":\"NXDOMAIN\",\"rrname\":\"a.example\"}"),
       EVE_FAILED, "");
  good(event("{\"version\":2,\"type\":\"answer\",\"rcode\":\"NOERROR\",\"rrname\":\"a.example\"}"),
       EVE_EMPTY, "");
  /* An alias that leads nowhere is a fact. */
  good(event("{\"version\":2,\"type\":\"answer\",\"rcode\":\"NXDOMAIN\",\"answers\":[{\"rrname\":"
             "\"a.example\",\"rrtype\":\"CNAME\",\"rdata\":\"b.example\"}]}"),
       EVE_ANSWERS, "a.example CNAME b.example\n");
}

static void refuses(void **state)
{
  (void)state;
  bad("{\"event_type\":\"dns\",\"dns\":{", "no JSON");
  assert_null(strstr(err.text, "near"));
  bad("garbage", "no JSON");
  bad("{\"event_type\":\"dns\",\"dns\":{\"type\":\"answer\"}}", "timestamp: missing");
  bad("{\"event_type\":\"dns\",\"timestamp\":\"now\",\"dns\":{\"type\":\"answer\"}}",
      "timestamp: missing, or no time");
  bad("{\"event_type\":\"dns\",\"dns\":{}}", "dns.type");
  bad("{\"event_type\":\"dns\",\"x\":\"dns\"}", "dns.type");
  assert_int_equal(line.refused, 0);
  /* What is good of it stays. */
  bad(event("{\"type\":\"answer\",\"answers\":[{\"rrname\":\"a..example\",\"rrtype\":\"A\","
            "\"rdata\":\"192.0.2.1\"},{\"rrname\":\"b.example\",\"rrtype\":\"A\",\"rdata\":"
            "\"192.0.2.1\"},{\"rrtype\":\"A\"},{\"rrname\":\"b.example\",\"rrtype\":\"NONSUCH\"},"
            "{\"rrname\":\"b.example\",\"rrtype\":\"A\",\"rdata\":\"b.example\"},7]}"),
      "rrname: ");
  assert_int_equal(line.refused, 5);
  assert_string_equal(records(), "b.example A 192.0.2.1\n");
}

/* Nothing of a text that is too long is written anywhere. */
static void bounds_data(void **state)
{
  (void)state;
  static const char *const forms[] = {
      "\"rrtype\":\"TXT\",\"rdata\":\"%s\"",
      "\"rrtype\":\"MX\",\"rdata\":{\"preference\":1,\"exchange\":\"%s\"}"};
  static const size_t lengths[] = {65000, 70000, 262140, 262141, 900000};
  size_t room = 1000000;
  char *name = malloc(room), *fields = malloc(room), *dns = malloc(room);
  assert_true(name != NULL && fields != NULL && dns != NULL);
  for (size_t i = 0; i < 2; i++)
    for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
      memset(name, 'x', lengths[j]);
      name[lengths[j]] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
      snprintf(fields, room, forms[i], name);
#pragma GCC diagnostic pop
      snprintf(dns, room,
               "{\"timestamp\":\"2009-11-24T21:27:09Z\",\"event_type\":\"dns\",\"dns\":{"
               "\"type\":\"answer\",\"rrname\":\"a\",%s}}",
               fields);
      bool fits = i == 0 && lengths[j] == 65000;
      assert_int_equal(take(dns), fits ? COF_OK : COF_REJECT);
      assert_int_equal(cof_batch_count(batch), fits ? 1 : 0);
    }
  free(name);
  free(fields);
  free(dns);
}

static void names_the_sensor(void **state)
{
  (void)state;
  static const char text[] =
      "{\"timestamp\":\"2009-11-24T21:27:09Z\",\"host\":\"ids1\",\"event_type\":\"dns\",\"dns\":{"
      "\"type\":\"answer\",\"rrname\":\"a.example\",\"rrtype\":\"A\",\"rdata\":\"192.0.2.1\"}}";
  assert_int_equal(take(text), COF_OK);
  assert_string_equal(cof_batch_at(batch, 0)->sensor_id, "ids1");
  assert_int_equal(eve_read("mine", text, strlen(text), batch, &line, &err), COF_OK);
  assert_string_equal(cof_batch_at(batch, 1)->sensor_id, "mine");
}

extern const struct cof_plugin cof_plugin;

static void check_options(const char *const *settings, const char *want)
{
  char text[512];
  void *conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(fakehost_check(&cof_plugin, conf, text, sizeof text),
                   want != NULL ? COF_REJECT : COF_OK);
  if (want != NULL && strstr(text, want) == NULL)
    fail_msg("\"%s\" does not say \"%s\"", text, want);
  fakehost_conf_free(&cof_plugin, &conf);
}

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void checks_options(void **state)
{
  (void)state;
  char path[160] = "socket=/";
  memset(path + 8, 'x', 120);
  check_options(SETTINGS("sensor_id=x"), "path: none is given");
  check_options(SETTINGS("path=eve.json"), NULL);
  check_options(SETTINGS("socket=/run/eve.sock"), NULL);
  check_options(SETTINGS("socket=/run/eve.sock", "path=-"), NULL);
  check_options(SETTINGS("socket=/run/eve.sock", "path=-", "follow=no"), "follow: has to be yes");
  check_options(SETTINGS("socket=/run/eve.sock", "socket_mode=rw"), "octal digits");
  check_options(SETTINGS("socket=/run/eve.sock", "socket_mode=4755"), "octal digits");
  check_options(SETTINGS("socket=/run/eve.sock", "socket_mode=600"), NULL);
  check_options((const char *const[]){path, NULL}, "instead of 1 to 107");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)
  const struct CMUnitTest tests[] = {TEST(reads_version_1),
                                     TEST(reads_version_2),
                                     TEST(reads_version_3),
                                     TEST(reads_grouped),
                                     TEST(formats_objects),
                                     TEST(takes_odd_data),
                                     TEST(passes_over_the_rest),
                                     TEST(refuses),
                                     TEST(bounds_data),
                                     TEST(names_the_sensor),
                                     cmocka_unit_test(checks_options)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
