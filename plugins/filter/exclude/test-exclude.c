/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include <cofd/plugin.h>

#include "fakehost.h"

extern const struct cof_plugin cof_plugin;

struct fixture {
  struct fakehost *host;
  void *conf;
  void *self;
};

static const struct cof_filter_ops *ops(void)
{
  return cof_plugin.ops;
}

/* Without check(): a file that it read may have changed when start() reads it. */
static enum cof_result try_begin(struct fixture *f, const char *const *settings)
{
  f->host = fakehost_create("junk", NULL);
  f->conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(cof_plugin.create(fakehost_host(f->host), f->conf, &f->self), COF_OK);
  return cof_plugin.start(f->self);
}

static void begin(struct fixture *f, const char *const *settings)
{
  char text[1024];
  assert_int_equal(try_begin(f, settings), COF_OK);
  assert_int_equal(fakehost_check(&cof_plugin, f->conf, text, sizeof text), COF_OK);
}

static void end(struct fixture *f)
{
  assert_int_equal(cof_plugin.stop(f->self, 0), COF_OK);
  cof_plugin.destroy(f->self);
  fakehost_conf_free(&cof_plugin, &f->conf);
  fakehost_destroy(&f->host);
}

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void add(struct cof_batch *b, const char *name, uint16_t type, const char *rdata)
{
  struct cof_record r = {.rrname = name,
                         .rrname_len = (uint16_t)strlen(name),
                         .rdata = rdata,
                         .rdata_len = (uint32_t)strlen(rdata),
                         .rrtype = type,
                         .count = 1};
  assert_non_null(cof_batch_add(b, &r));
}

static bool drops_record(struct fixture *f, const char *name, uint16_t type, const char *rdata)
{
  struct cof_batch *b = cof_batch_create();
  add(b, name, type, rdata);
  ops()->process(f->self, b);
  bool dropped = cof_batch_at(b, 0)->verdict == COF_DROP;
  cof_batch_destroy(&b);
  return dropped;
}

static bool drops(struct fixture *f, const char *name)
{
  return drops_record(f, name, COF_TYPE_TXT, "\"x\"");
}

static void test_suffix(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, SETTINGS("suffix=ASN.Cymru.com., spamhaus.org", "suffix=.in-addr.arpa",
                     "suffix=a\\.b.test"));
  assert_true(drops(&f, "asn.cymru.com"));
  assert_true(drops(&f, "1.origin.asn.cymru.com"));
  assert_true(drops(&f, "zen.spamhaus.org"));
  assert_true(drops(&f, "1.2.3.4.in-addr.arpa"));
  assert_true(drops(&f, "www.a\\.b.test"));
  assert_false(drops(&f, "cymru.com"));
  assert_false(drops(&f, "xasn.cymru.com"));
  assert_false(drops(&f, "notspamhaus.org"));
  assert_false(drops(&f, "spamhaus.org.example"));
  assert_false(drops(&f, "b.test"));
  assert_false(drops(&f, "c\\.a\\.b.test"));
  assert_false(drops(&f, "www\\.spamhaus.org"));
  assert_false(drops(&f, "."));
  assert_int_equal(fakehost_metric(f.host, "excluded_suffix"), 5);
  assert_int_equal(fakehost_metric(f.host, "excluded_substring"), 0);
  end(&f);
}

/* A dot after an escaped backslash is a boundary; one after a lone backslash is not. */
static void test_suffix_escapes(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, SETTINGS("suffix=example.com"));
  assert_true(drops(&f, "a\\\\.example.com"));
  assert_false(drops(&f, "a\\.example.com"));
  assert_false(drops(&f, "a\\\\\\.example.com"));
  end(&f);
}

static void test_substring(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, SETTINGS("substring=.DNSBL., tracker", "substring=rackets"));
  assert_true(drops(&f, "1.2.3.4.dnsbl.example.com"));
  assert_true(drops(&f, "mytracker99.example.com"));
  assert_true(drops(&f, "trackets.example"));
  assert_false(drops(&f, "dnsbl.example.com"));
  assert_false(drops(&f, "tracke.r"));
  assert_int_equal(fakehost_metric(f.host, "excluded_substring"), 3);
  end(&f);
}

/* The automaton against strstr on all small texts over a small alphabet. */
static void test_substring_exhaustively(void **state)
{
  (void)state;
  static const char *const words[] = {"abab", "bb", "cabc", "aac", "bca"};
  struct fixture f;
  begin(&f, SETTINGS("substring=abab,bb,cabc,aac,bca"));
  struct cof_batch *b = cof_batch_create();
  for (unsigned n = 0; n < 2187; n++) {
    char name[8] = "";
    for (unsigned i = 0, rest = n; i < 7; i++, rest /= 3)
      name[i] = (char)('a' + rest % 3);
    add(b, name, COF_TYPE_A, "192.0.2.1");
  }
  ops()->process(f.self, b);
  for (unsigned n = 0; n < 2187; n++) {
    const struct cof_record *r = cof_batch_at(b, n);
    bool expected = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
      expected |= strstr(r->rrname, words[i]) != NULL;
    assert_int_equal(r->verdict, expected ? COF_DROP : COF_KEEP);
  }
  cof_batch_destroy(&b);
  end(&f);
}

static void test_network(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, SETTINGS("network=10.0.0.0/8, 10.1.0.0/16, 192.0.2.7", "network=2001:db8::/32",
                     "network=9.255.255.255, 0.0.0.0/32"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_A, "10.0.0.0"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_A, "10.255.255.255"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_A, "9.255.255.255"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_A, "192.0.2.7"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_A, "0.0.0.0"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_AAAA, "2001:db8:ffff::1"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_A, "11.0.0.0"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_A, "9.255.255.254"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_A, "192.0.2.8"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_A, "255.255.255.255"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_AAAA, "2001:db9::"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_AAAA, "::"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_TXT, "10.0.0.0"));
  assert_int_equal(fakehost_metric(f.host, "excluded_network"), 6);
  end(&f);
}

static void test_everything_of_a_family(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, SETTINGS("network=0.0.0.0/0, 10.0.0.0/8"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_A, "255.255.255.255"));
  assert_true(drops_record(&f, "a.test", COF_TYPE_A, "0.0.0.0"));
  assert_false(drops_record(&f, "a.test", COF_TYPE_AAAA, "::1"));
  end(&f);
}

static void test_leaves_other_verdicts(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, SETTINGS("suffix=test"));
  struct cof_batch *b = cof_batch_create();
  add(b, "a.test", COF_TYPE_A, "192.0.2.1");
  cof_batch_at(b, 0)->verdict = COF_REFUSE;
  ops()->process(f.self, b);
  assert_int_equal(cof_batch_at(b, 0)->verdict, COF_REFUSE);
  assert_int_equal(fakehost_metric(f.host, "excluded_suffix"), 0);
  cof_batch_destroy(&b);
  end(&f);
}

static void expect_mistake(const char *const *settings, const char *option, const char *words)
{
  char text[2048];
  void *conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(fakehost_check(&cof_plugin, conf, text, sizeof text), COF_REJECT);
  assert_int_equal(strncmp(text, option, strlen(option)), 0);
  assert_non_null(strstr(text, words));
  fakehost_conf_free(&cof_plugin, &conf);
}

static void test_check(void **state)
{
  (void)state;
  expect_mistake((const char *const[]){NULL}, ":", "give suffix, substring, network or file");
  expect_mistake(SETTINGS("suffix=a..b"), "suffix:", "\"a..b\" is no domain name");
  expect_mistake(SETTINGS("suffix=*.example.com"), "suffix:", "without \"*.\"");
  expect_mistake(SETTINGS("suffix=."), "suffix:", "root");
  expect_mistake(SETTINGS("network=10.0.0.0/33"), "network:", "\"10.0.0.0/33\" is no network");
  expect_mistake(SETTINGS("network=example.com"), "network:", "\"example.com\"");
}

static void write_file(const char *path, const char *text)
{
  FILE *out = fopen(path, "w");
  assert_non_null(out);
  assert_int_equal(fputs(text, out) < 0, 0);
  assert_int_equal(fclose(out), 0);
}

static void temporary(char *path, const char *text)
{
  strcpy(path, "/tmp/cofd-exclude-XXXXXX");
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  write_file(path, text);
}

static const char entries[] = "# what we do not want\r\n"
                              "\r\n"
                              "  spamhaus.org  # lists\n"
                              "*TRACK*\n"
                              "192.0.2.0/24\n"
                              "2001:db8::1\n"
                              "198.51.100.1";

static void test_file(void **state)
{
  (void)state;
  struct fixture f;
  char path[64], setting[80];
  temporary(path, entries);
  snprintf(setting, sizeof setting, "file=%s", path);
  begin(&f, SETTINGS(setting, "suffix=test"));
  assert_true(drops(&f, "zen.spamhaus.org"));
  assert_true(drops(&f, "xtrackx.example"));
  assert_true(drops(&f, "a.test"));
  assert_true(drops_record(&f, "a.example", COF_TYPE_A, "192.0.2.255"));
  assert_true(drops_record(&f, "a.example", COF_TYPE_A, "198.51.100.1"));
  assert_true(drops_record(&f, "a.example", COF_TYPE_AAAA, "2001:db8::1"));
  assert_false(drops_record(&f, "a.example", COF_TYPE_AAAA, "2001:db8::2"));
  assert_false(drops(&f, "lists.example"));
  unlink(path);
  end(&f);
}

static void test_file_mistakes(void **state)
{
  (void)state;
  struct fixture f;
  char path[64], setting[80], expected[128];
  char text[6000] = "good.example\nbad..name\n10.0.0.0/99\n**\n";
  temporary(path, "");
  size_t len = strlen(text);
  memset(text + len, 'a', 5000);
  strcpy(text + len + 5000, "\nlast..one\n");
  write_file(path, text);
  snprintf(setting, sizeof setting, "file=%s", path);
  assert_int_equal(try_begin(&f, SETTINGS(setting)), COF_FATAL);
  static const char *const words[] = {"2: \"bad..name\"", "3: \"10.0.0.0/99\"", "4: nothing stands",
                                      "5: the line is longer", "6: \"last..one\""};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    snprintf(expected, sizeof expected, "error: %s:%s", path, words[i]);
    assert_true(fakehost_logged(f.host, expected));
  }
  assert_int_equal(fakehost_log_count(f.host, path), 5);
  unlink(path);
  end(&f);
}

static void test_check_reads_file(void **state)
{
  (void)state;
  char path[64], setting[80];
  temporary(path, "good.example\nbad..name\n");
  snprintf(setting, sizeof setting, "file=%s", path);
  expect_mistake(SETTINGS(setting), "file:", ":2: \"bad..name\"");
  unlink(path);
  expect_mistake(SETTINGS(setting), "file:", "No such file");
}

static void test_file_missing(void **state)
{
  (void)state;
  struct fixture f;
  assert_int_equal(try_begin(&f, SETTINGS("file=/nonexistent/list")), COF_FATAL);
  assert_true(fakehost_logged(f.host, "error: /nonexistent/list: No such file"));
  end(&f);
}

static void test_reload(void **state)
{
  (void)state;
  struct fixture f;
  char path[64], setting[80];
  temporary(path, "old.example\n");
  snprintf(setting, sizeof setting, "file=%s", path);
  begin(&f, SETTINGS(setting));
  assert_true(drops(&f, "old.example"));
  assert_false(drops(&f, "new.example"));
  write_file(path, "new.example\n");
  void *fresh = fakehost_conf(&cof_plugin, SETTINGS(setting, "suffix=listed.example"));
  assert_int_equal(cof_plugin.reload(f.self, fresh), COF_OK);
  assert_false(drops(&f, "old.example"));
  assert_true(drops(&f, "new.example"));
  assert_true(drops(&f, "listed.example"));
  write_file(path, "other.example\nbad..name\n");
  assert_int_equal(cof_plugin.reload(f.self, fresh), COF_REJECT);
  assert_true(fakehost_logged(f.host, ":2: \"bad..name\""));
  assert_true(drops(&f, "new.example"));
  assert_false(drops(&f, "other.example"));
  unlink(path);
  assert_int_equal(cof_plugin.reload(f.self, fresh), COF_REJECT);
  assert_true(drops(&f, "new.example"));
  end(&f);
  fakehost_conf_free(&cof_plugin, &fresh);
}

struct racer {
  struct fixture *f;
  bool done, wrong;
};

static void *race(void *arg)
{
  struct racer *r = arg;
  while (!__atomic_load_n(&r->done, __ATOMIC_ACQUIRE))
    if (!drops(r->f, "always.example"))
      r->wrong = true;
  return NULL;
}

static void test_reload_while_working(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, SETTINGS("suffix=example"));
  void *other = fakehost_conf(&cof_plugin, SETTINGS("substring=always"));
  struct racer racer = {.f = &f};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, race, &racer), 0);
  for (int i = 0; i < 200; i++)
    assert_int_equal(cof_plugin.reload(f.self, i % 2 == 0 ? other : f.conf), COF_OK);
  __atomic_store_n(&racer.done, true, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  assert_false(racer.wrong);
  end(&f);
  fakehost_conf_free(&cof_plugin, &other);
}

/* Thousands of entries of each kind: every one of them is found, and nothing else. */
static void test_many(void **state)
{
  (void)state;
  struct fixture f;
  char path[64], setting[80], name[64];
  temporary(path, "");
  FILE *out = fopen(path, "w");
  assert_non_null(out);
  for (unsigned i = 0; i < 20000; i++)
    fprintf(out, "zone%u.example\n*needle%05u*\n10.%u.%u.0/25\n2001:db8:%x::/48\n", i, i % 10000,
            i / 256, i % 256, i);
  assert_int_equal(fclose(out), 0);
  snprintf(setting, sizeof setting, "file=%s", path);
  begin(&f, SETTINGS(setting));
  for (unsigned i = 0; i < 20000; i += 97) {
    snprintf(name, sizeof name, "www.zone%u.example", i);
    assert_true(drops(&f, name));
    snprintf(name, sizeof name, "zone%u.example.net", i);
    assert_false(drops(&f, name));
    snprintf(name, sizeof name, "a.needle%05u.test", i % 10000);
    assert_true(drops(&f, name));
    snprintf(name, sizeof name, "10.%u.%u.127", i / 256, i % 256);
    assert_true(drops_record(&f, "a.test", COF_TYPE_A, name));
    snprintf(name, sizeof name, "10.%u.%u.128", i / 256, i % 256);
    assert_false(drops_record(&f, "a.test", COF_TYPE_A, name));
    snprintf(name, sizeof name, "2001:db8:%x:ffff::1", i);
    assert_true(drops_record(&f, "a.test", COF_TYPE_AAAA, name));
  }
  unlink(path);
  end(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_suffix),
      cmocka_unit_test(test_suffix_escapes),
      cmocka_unit_test(test_substring),
      cmocka_unit_test(test_substring_exhaustively),
      cmocka_unit_test(test_network),
      cmocka_unit_test(test_everything_of_a_family),
      cmocka_unit_test(test_leaves_other_verdicts),
      cmocka_unit_test(test_check),
      cmocka_unit_test(test_file),
      cmocka_unit_test(test_file_mistakes),
      cmocka_unit_test(test_check_reads_file),
      cmocka_unit_test(test_file_missing),
      cmocka_unit_test(test_reload),
      cmocka_unit_test(test_reload_while_working),
      cmocka_unit_test(test_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
