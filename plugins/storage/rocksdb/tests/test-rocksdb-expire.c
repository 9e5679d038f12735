/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "expire_private.h"
#include "host_private.h"
#include "keys_private.h"

static char *items[] = {"TXT:3600", "TYPE99:600", "NS:3600"};

static int setup(void **state)
{
  struct test_host *h = malloc(sizeof *h);
  assert_non_null(h);
  test_host_init(h, test_directory());
  h->conf.expire = (struct cof_list){.items = items, .count = 3};
  *state = h;
  return 0;
}

static int teardown(void **state)
{
  struct test_host *h = *state;
  if (h->self != NULL)
    assert_int_equal(test_host_stop(h), COF_OK);
  test_remove(h->conf.path);
  free(h);
  return 0;
}

static void start(struct test_host *h)
{
  if (test_host_start(h) != COF_OK)
    fail_msg("start: %s", h->log);
}

/* Write one record that was last seen `ago` seconds ago. */
static void put(struct test_host *h, const char *name, uint16_t type, const char *rdata,
                int64_t ago)
{
  struct cof_batch *b = cof_batch_create();
  int64_t now = (int64_t)time(NULL);
  struct cof_record r = {.rrname = name,
                         .rrname_len = (uint16_t)strlen(name),
                         .rrtype = type,
                         .rdata = rdata,
                         .rdata_len = (uint32_t)strlen(rdata),
                         .time_first = now - 100000,
                         .time_last = now - ago,
                         .count = 1};
  assert_non_null(cof_batch_add(b, &r));
  struct cof_ticket t = test_host_write(h, b);
  assert_int_equal(t.result, COF_OK);
  cof_batch_destroy(&b);
}

/* Number of answers; the count of the last one in `last`. */
static size_t ask(struct test_host *h, enum cof_query_kind kind, const char *name, uint64_t *last)
{
  struct cof_query q = COF_QUERY_INIT;
  struct cof_batch *b = cof_batch_create();
  struct cof_error err;
  void *cursor;
  q.kind = kind;
  q.name = name;
  assert_int_equal(test_ops()->open(h->self, &q, &cursor, &err), COF_OK);
  assert_int_equal(test_ops()->next(h->self, cursor, 100, b, &err), COF_OK);
  test_ops()->close(h->self, cursor);
  size_t n = cof_batch_count(b);
  if (last != NULL && n != 0)
    *last = cof_batch_at(b, n - 1)->count;
  cof_batch_destroy(&b);
  return n;
}

static rocksdb_iterator_t *iterate(struct test_host *h)
{
  struct store *s = h->self;
  rocksdb_readoptions_t *read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_total_order_seek(read, 1);
  rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, read);
  rocksdb_readoptions_destroy(read);
  return it;
}

/* Keys on disk of one space. */
static size_t keys(struct test_host *h, char space)
{
  size_t n = 0, len;
  rocksdb_iterator_t *it = iterate(h);
  for (rocksdb_iter_seek(it, &space, 1); rocksdb_iter_valid(it); rocksdb_iter_next(it), n++)
    if (rocksdb_iter_key(it, &len)[0] != space)
      break;
  rocksdb_iter_destroy(it);
  return n;
}

/* A merge becomes a value in the first compaction, and is judged from the second on. */
static void compact(struct test_host *h)
{
  struct store *s = h->self;
  for (int i = 0; i < 3; i++)
    rocksdb_compact_range(s->db, NULL, 0, NULL, 0);
}

static void test_parse(void **state)
{
  (void)state;
  struct expiry e;
  static const char *const bad[] = {"",
                                    "TXT",
                                    "TXT:",
                                    "TXT:0",
                                    "TXT:-1",
                                    ":5",
                                    "XYZ:5",
                                    "TXT:1h",
                                    "TXT: 5",
                                    "TXT:+5",
                                    "TXT:5:",
                                    "TXT 5",
                                    "TXT:99999999999999999999"};
  assert_true(expire_parse("txt:24000", &e));
  assert_int_equal(e.rrtype, COF_TYPE_TXT);
  assert_int_equal(e.seconds, 24000);
  assert_true(expire_parse("TYPE64:1", &e));
  assert_int_equal(e.rrtype, 64);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (expire_parse(bad[i], &e))
      fail_msg("'%s' was taken", bad[i]);
}

static unsigned reports;

static void report(struct cof_diag *diag, const char *option, const char *text)
{
  (void)diag;
  assert_string_equal(option, "expire");
  assert_non_null(strstr(text, "expected"));
  reports++;
}

static void test_check(void **state)
{
  (void)state;
  struct cof_diag diag = {.report = report};
  char *wrong[] = {"TXT:5", "TXT:h", "A:7", "TYPE16:5"};
  struct conf conf = {.expire = {.items = items, .count = 3}};
  reports = 0;
  assert_int_equal(cof_plugin.check(&conf, &diag), COF_OK);
  assert_int_equal(reports, 0);
  conf.expire = (struct cof_list){.items = wrong, .count = 4};
  assert_int_equal(cof_plugin.check(&conf, &diag), COF_REJECT);
  assert_int_equal(reports, 2);
}

static void fill(struct test_host *h)
{
  put(h, "a.example", COF_TYPE_TXT, "\"old\"", 4000);
  put(h, "a.example", COF_TYPE_TXT, "\"new\"", 3000);
  put(h, "a.example", 99, "\"old\"", 700);
  put(h, "b.example", 99, "\"new\"", 500);
  put(h, "b.example", COF_TYPE_NS, "ns.example", 4000);
  put(h, "c.example", COF_TYPE_NS, "ns.example", 10);
  put(h, "d.example", COF_TYPE_A, "192.0.2.1", 90000);
  put(h, "d.example", COF_TYPE_TXT, "\"ahead\"", -5000);
}

static void expect_answers(struct test_host *h)
{
  assert_int_equal(ask(h, COF_QUERY_ALL, NULL, NULL), 5);
  assert_int_equal(ask(h, COF_QUERY_RRNAME, "a.example", NULL), 1);
  assert_int_equal(ask(h, COF_QUERY_SUBDOMAINS, "example", NULL), 5);
  assert_int_equal(ask(h, COF_QUERY_RDATA_TEXT, "\"old\"", NULL), 0);
  assert_int_equal(ask(h, COF_QUERY_RDATA_TEXT, "\"new\"", NULL), 2);
  assert_int_equal(ask(h, COF_QUERY_RDATA_NAME, "ns.example", NULL), 1);
}

/* Both ways of writing: what is over is not answered from the moment on, and leaves the disk with
   its reverse keys. */
static void test_removed(void **state)
{
  struct test_host *h = *state;
  for (int path = 0; path < 2; path++) {
    h->conf.bulk_records = path == 0 ? 50000 : 1;
    start(h);
    fill(h);
    expect_answers(h);
    if (path == 0) { /* ingested files may have been compacted by now */
      assert_int_equal(keys(h, KEY_FORWARD), 8);
      assert_int_equal(keys(h, KEY_REVERSE), 8);
    }
    compact(h);
    assert_int_equal(keys(h, KEY_FORWARD), 5);
    assert_int_equal(keys(h, KEY_REVERSE), 5);
    expect_answers(h);
    assert_int_equal(h->dangling, 0);
    assert_int_equal(test_host_stop(h), COF_OK);
    test_remove(h->conf.path);
    h->conf.path = test_directory();
  }
}

/* Without the option nothing goes away, nor does it when the option comes and goes. */
static void test_without(void **state)
{
  struct test_host *h = *state;
  h->conf.expire.count = 0;
  start(h);
  fill(h);
  compact(h);
  assert_int_equal(ask(h, COF_QUERY_ALL, NULL, NULL), 8);
  assert_int_equal(test_host_stop(h), COF_OK);
  h->conf.expire.count = 3;
  start(h);
  expect_answers(h);
  assert_int_equal(test_host_stop(h), COF_OK);
  h->conf.expire.count = 0;
  start(h);
  assert_int_equal(ask(h, COF_QUERY_ALL, NULL, NULL), 8);
}

/* Seen again after compaction took it: it begins anew, and both directions find it. */
static void test_again(void **state)
{
  struct test_host *h = *state;
  uint64_t n = 0;
  start(h);
  for (int i = 0; i < 3; i++)
    put(h, "a.example", COF_TYPE_TXT, "\"old\"", 4000);
  compact(h);
  assert_int_equal(keys(h, KEY_FORWARD), 0);
  assert_int_equal(keys(h, KEY_REVERSE), 0);
  put(h, "a.example", COF_TYPE_TXT, "\"old\"", 1);
  compact(h);
  assert_int_equal(ask(h, COF_QUERY_RDATA_TEXT, "\"old\"", &n), 1);
  assert_int_equal(n, 1);
  assert_int_equal(ask(h, COF_QUERY_RRNAME, "a.example", NULL), 1);
}

struct copy {
  char *bytes;
  size_t len;
};

static struct copy copy_of(const char *bytes, size_t len)
{
  struct copy c = {.bytes = malloc(len + 1), .len = len};
  assert_non_null(c.bytes);
  memcpy(c.bytes, bytes, len);
  return c;
}

static unsigned judge(struct test_host *h, const struct copy *key, const struct copy *value)
{
  char *fresh = NULL;
  size_t fresh_len = 0;
  unsigned char changed = 1;
  unsigned removed = expire_filter(h->self, 6, key->bytes, key->len, value->bytes, value->len,
                                   &fresh, &fresh_len, &changed);
  assert_int_equal(changed, 0);
  return removed;
}

/* An old state, alone in the files that are compacted, while a newer one lies elsewhere. */
static void test_newer_elsewhere(void **state)
{
  struct test_host *h = *state;
  static const char spaces[] = {KEY_FORWARD, KEY_REVERSE};
  struct copy key[2], value[2];
  uint64_t n = 0;
  start(h);
  put(h, "a.example", COF_TYPE_TXT, "\"old\"", 4000);
  for (int i = 0; i < 2; i++) {
    size_t len;
    rocksdb_iterator_t *it = iterate(h);
    rocksdb_iter_seek(it, &spaces[i], 1);
    assert_true(rocksdb_iter_valid(it));
    const char *bytes = rocksdb_iter_key(it, &len);
    key[i] = copy_of(bytes, len);
    bytes = rocksdb_iter_value(it, &len);
    value[i] = copy_of(bytes, len);
    rocksdb_iter_destroy(it);
    assert_int_equal(judge(h, &key[i], &value[i]), 1);
  }
  put(h, "a.example", COF_TYPE_TXT, "\"old\"", 10);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(judge(h, &key[i], &value[i]), 0);
    free(key[i].bytes);
    free(value[i].bytes);
  }
  compact(h);
  assert_int_equal(ask(h, COF_QUERY_RRNAME, "a.example", &n), 1);
  assert_int_equal(n, 2);
}

/* More texts of one name than the filter looks through: reverse keys stay, which does no harm. */
static void test_many_texts(void **state)
{
  struct test_host *h = *state;
  start(h);
  for (int i = 0; i < 400; i++) {
    char text[32];
    snprintf(text, sizeof text, "\"t%d\"", i);
    put(h, "a.example", COF_TYPE_TXT, text, i % 2 == 0 ? 4000 : 10);
  }
  compact(h);
  assert_int_equal(keys(h, KEY_FORWARD), 200);
  assert_true(keys(h, KEY_REVERSE) >= 200);
  assert_int_equal(ask(h, COF_QUERY_RDATA_TEXT, "\"t1\"", NULL), 1);
  assert_int_equal(ask(h, COF_QUERY_RDATA_TEXT, "\"t399\"", NULL), 1);
  assert_int_equal(ask(h, COF_QUERY_RDATA_TEXT, "\"t0\"", NULL), 0);
}

/* A record that two sensors saw, each at its own time. */
static void put_seen(struct test_host *h, int64_t ago_x, int64_t ago_y)
{
  struct cof_batch *b = cof_batch_create();
  int64_t now = (int64_t)time(NULL);
  struct cof_record r = {.rrname = "a.example",
                         .rrname_len = 9,
                         .rrtype = COF_TYPE_TXT,
                         .rdata = "\"t\"",
                         .rdata_len = 3,
                         .time_first = now - 100000,
                         .time_last = now - ago_x,
                         .count = 1};
  struct cof_record *whole = cof_batch_add(b, &r);
  assert_non_null(whole);
  cof_record_fold(cof_batch_sight(b, whole, "x", 1), &r);
  r.time_last = now - ago_y;
  cof_record_fold(cof_batch_sight(b, whole, "y", 1), &r);
  cof_record_fold(whole, &r);
  assert_int_equal(test_host_write(h, b).result, COF_OK);
  cof_batch_destroy(&b);
}

static size_t ask_sensor(struct test_host *h, const char *sensor)
{
  struct cof_query q = COF_QUERY_INIT;
  struct cof_batch *b = cof_batch_create();
  struct cof_error err;
  void *cursor;
  q.kind = COF_QUERY_RDATA_TEXT;
  q.name = "\"t\"";
  q.sensor_id = sensor;
  assert_int_equal(test_ops()->open(h->self, &q, &cursor, &err), COF_OK);
  assert_int_equal(test_ops()->next(h->self, cursor, 100, b, &err), COF_OK);
  test_ops()->close(h->self, cursor);
  size_t n = cof_batch_count(b);
  cof_batch_destroy(&b);
  return n;
}

/* What a sensor saw goes by when that sensor saw it last. */
static void test_sensors(void **state)
{
  struct test_host *h = *state;
  h->conf.sensors = true;
  start(h);
  put_seen(h, 4000, 10);
  assert_int_equal(ask(h, COF_QUERY_ALL, NULL, NULL), 1);
  assert_int_equal(ask_sensor(h, "x"), 0);
  assert_int_equal(ask_sensor(h, "y"), 1);
  assert_int_equal(keys(h, KEY_SENSOR), 2);
  compact(h);
  assert_int_equal(keys(h, KEY_FORWARD), 1);
  assert_int_equal(keys(h, KEY_SENSOR), 1);
  assert_int_equal(ask_sensor(h, "y"), 1);
}

static void test_all_sensors(void **state)
{
  struct test_host *h = *state;
  h->conf.sensors = true;
  start(h);
  put_seen(h, 4000, 5000);
  compact(h);
  assert_int_equal(keys(h, KEY_FORWARD), 0);
  assert_int_equal(keys(h, KEY_REVERSE), 0);
  assert_int_equal(keys(h, KEY_SENSOR), 0);
}

#define EXPIRE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse), cmocka_unit_test(test_check), EXPIRE_TEST(test_removed),
      EXPIRE_TEST(test_without),    EXPIRE_TEST(test_again),      EXPIRE_TEST(test_newer_elsewhere),
      EXPIRE_TEST(test_many_texts), EXPIRE_TEST(test_sensors),    EXPIRE_TEST(test_all_sensors)};
  return cmocka_run_group_tests_name("rocksdb expire", tests, NULL, NULL);
}
