/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <signal.h>

#include <cmocka.h>

#include "host_private.h"
#include "model_private.h"

#define BATCHES       3
#define BATCH_RECORDS 4000

static int setup(void **state)
{
  struct test_host *h = malloc(sizeof *h);
  assert_non_null(h);
  test_host_init(h, test_directory());
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

static void write_all(struct test_host *h, const struct cof_batch *b)
{
  struct cof_ticket t = test_host_write(h, b);
  assert_int_equal(t.done, 1);
  if (t.result != COF_OK)
    fail_msg("write: %s", h->log);
  assert_int_equal(t.rejected, 0);
}

static void add(struct cof_batch *b, const char *name, uint16_t type, const char *rdata)
{
  struct cof_record r = {.rrname = name,
                         .rrname_len = (uint16_t)strlen(name),
                         .rrtype = type,
                         .rdata = rdata,
                         .rdata_len = (uint32_t)strlen(rdata),
                         .time_first = 1,
                         .time_last = 2,
                         .count = 1};
  assert_non_null(cof_batch_add(b, &r));
  assert_true(cof_batch_tally(b, "s", 1, 1));
}

/* The whole answer in pieces of `piece` records; a new cursor from a token after each where
   `resume`. */
static void ask(struct test_host *h, struct cof_query q, size_t piece, bool resume,
                struct cof_batch *into)
{
  static char token[COF_TOKEN_MAX];
  struct cof_error err;
  void *cursor = NULL;
  for (;;) {
    if (cursor == NULL && test_ops()->open(h->self, &q, &cursor, &err) != COF_OK)
      fail_msg("open: %s", err.text);
    size_t before = cof_batch_count(into);
    enum cof_result result = test_ops()->next(h->self, cursor, piece, into, &err);
    if (result != COF_OK)
      fail_msg("next: %s", err.text);
    assert_true(cof_batch_count(into) - before <= piece);
    if (cof_batch_count(into) == before)
      break;
    if (!resume)
      continue;
    assert_int_equal(test_ops()->token(h->self, cursor, token, sizeof token, &q.token_len), COF_OK);
    q.token = token;
    test_ops()->close(h->self, cursor);
    cursor = NULL;
  }
  assert_int_equal(test_ops()->next(h->self, cursor, piece, into, &err), COF_OK);
  test_ops()->close(h->self, cursor);
}

static size_t count(struct test_host *h, struct cof_query q)
{
  struct cof_batch *b = cof_batch_create();
  ask(h, q, 1000, false, b);
  size_t n = cof_batch_count(b);
  cof_batch_destroy(&b);
  return n;
}

/* Names stay together, and types ascend within a name, where the question promises that. */
static void check_order(const struct cof_batch *got, enum cof_query_kind kind)
{
  if (kind == COF_QUERY_RDATA_ADDR || kind == COF_QUERY_RDATA_SUBDOMAINS ||
      kind == COF_QUERY_RDATA_PREFIX)
    return; /* by target first */
  for (size_t i = 1; i < cof_batch_count(got); i++) {
    const struct cof_record *r = cof_batch_at(got, i), *last = cof_batch_at(got, i - 1);
    if (strcmp(r->rrname, last->rrname) == 0) {
      assert_true(r->rrtype >= last->rrtype);
      continue;
    }
    for (size_t j = 0; j < i; j++)
      assert_string_not_equal(cof_batch_at(got, j)->rrname, r->rrname);
  }
}

static void check_addr_order(const struct cof_batch *got)
{
  struct cof_addr last = {0}, addr;
  for (size_t i = 0; i < cof_batch_count(got); i++, last = addr) {
    const struct cof_record *r = cof_batch_at(got, i);
    assert_true(cof_addr_parse(r->rdata, r->rdata_len, &addr));
    assert_true(memcmp(last.bytes, addr.bytes, 16) <= 0);
  }
}

static void check_same(const struct cof_batch *got, const struct cof_batch *want)
{
  assert_int_equal(cof_batch_count(got), cof_batch_count(want));
  const struct cof_record **a = model_sorted(got), **b = model_sorted(want);
  for (size_t i = 0; i < cof_batch_count(want); i++) {
    assert_string_equal(a[i]->rrname, b[i]->rrname);
    assert_string_equal(a[i]->rdata, b[i]->rdata);
    assert_int_equal(a[i]->rrname_len, strlen(a[i]->rrname));
    assert_int_equal(a[i]->rdata_len, strlen(a[i]->rdata));
    assert_int_equal(a[i]->rrtype, b[i]->rrtype);
    assert_int_equal(a[i]->time_first, b[i]->time_first);
    assert_int_equal(a[i]->time_last, b[i]->time_last);
    assert_int_equal(a[i]->count, b[i]->count);
    assert_int_equal(a[i]->total, 0);
    assert_int_equal(a[i]->zones, b[i]->zones);
  }
  free(a);
  free(b);
}

static void check_limit(struct test_host *h, struct cof_query q, const struct cof_batch *whole)
{
  struct cof_batch *got = cof_batch_create();
  q.limit = 1 + (uint64_t)rand() % 8;
  ask(h, q, 3, false, got);
  size_t want = cof_batch_count(whole) < q.limit ? cof_batch_count(whole) : (size_t)q.limit;
  assert_int_equal(cof_batch_count(got), want);
  for (size_t i = 0; i < want; i++)
    assert_true(cof_record_same(cof_batch_at(got, i), cof_batch_at(whole, i)));
  cof_batch_destroy(&got);
}

/* The last two need a forward index. */
static const enum cof_query_kind kinds[] = {
    COF_QUERY_RRNAME,           COF_QUERY_SUBDOMAINS, COF_QUERY_RDATA_NAME,
    COF_QUERY_RDATA_ADDR,       COF_QUERY_RDATA_TEXT, COF_QUERY_ALL,
    COF_QUERY_RDATA_SUBDOMAINS, COF_QUERY_PREFIX,     COF_QUERY_RDATA_PREFIX};

static void random_question(struct cof_query *q, const struct conf *conf, char *text, size_t room,
                            uint16_t types[4])
{
  uint16_t type;
  *q = (struct cof_query)COF_QUERY_INIT;
  q->kind = kinds[rand() % (conf->forward_index ? 9 : 7)];
  q->name = text;
  model_rdata(&type, text, room, false);
  if (q->kind != COF_QUERY_RDATA_TEXT)
    model_name(text);
  if (q->kind == COF_QUERY_PREFIX || q->kind == COF_QUERY_RDATA_PREFIX) {
    char *dot = strrchr(text, '.'); /* of few names the last label is not the first */
    if (dot != NULL && dot != text && rand() % 4 != 0)
      *dot = '\0';
  }
  cof_addr_parse("10.255.255.250", 14, &q->first);
  cof_addr_parse("11.0.0.5", 8, &q->last);
  if (rand() % 2)
    q->first = q->last;
  if (rand() % 3 == 0)
    cof_network_parse("2001:db8::/123", 14, &q->first, &q->last, NULL);
  q->rrtypes = types;
  q->rrtypes_count = rand() % 2 ? (size_t)rand() % 4 : 0;
  for (size_t i = 0; i < q->rrtypes_count; i++) {
    char ignored[4 * COF_NAME_MAX];
    model_rdata(&types[i], ignored, sizeof ignored, false);
  }
  if (rand() % 4 == 0)
    q->bailiwick = model_bailiwick(q);
  if (conf->sensors && rand() % 2 == 0)
    q->sensor_id = model_sensor();
  if (rand() % 4 == 0)
    q->time_first_after = 1000 + rand() % 50;
  if (rand() % 4 == 0)
    q->time_last_before = 1050 + rand() % 100;
}

static void check_sensor(const struct cof_batch *got, const char *sensor)
{
  for (size_t i = 0; i < cof_batch_count(got); i++) {
    const struct cof_record *r = cof_batch_at(got, i);
    assert_int_equal(r->sensor_len, sensor != NULL ? strlen(sensor) : 0);
    if (sensor != NULL)
      assert_string_equal(r->sensor_id, sensor);
    else
      assert_null(r->sensor_id);
  }
}

static size_t check_question(struct test_host *h, const struct model *m)
{
  char text[4 * COF_NAME_MAX];
  uint16_t types[4];
  struct cof_query q;
  struct cof_batch *got = cof_batch_create(), *again = cof_batch_create(),
                   *want = cof_batch_create();
  random_question(&q, &h->conf, text, sizeof text, types);
  model_query(m, &q, want);
  ask(h, q, 1 + (size_t)rand() % 100, false, got);
  check_same(got, want);
  if (q.kind == COF_QUERY_RDATA_ADDR)
    check_addr_order(got);
  check_order(got, q.kind);
  check_sensor(got, q.sensor_id);
  ask(h, q, 1 + (size_t)rand() % 100, true, again);
  assert_int_equal(cof_batch_count(again), cof_batch_count(got));
  for (size_t i = 0; i < cof_batch_count(got); i++)
    assert_true(cof_record_same(cof_batch_at(got, i), cof_batch_at(again, i)));
  check_limit(h, q, got);
  size_t n = cof_batch_count(got);
  cof_batch_destroy(&got);
  cof_batch_destroy(&again);
  cof_batch_destroy(&want);
  return n;
}

struct seen_sensors {
  uint64_t sum, last;
  size_t count;
  char name[32];
};

static void see_sensor(void *arg, const char *sensor, uint64_t records)
{
  struct seen_sensors *s = arg;
  assert_true(s->count == 0 || records <= s->last);
  if (s->count != 0 && records == s->last)
    assert_true(strcmp(s->name, sensor) > 0);
  s->sum += records;
  s->last = records;
  s->count++;
  snprintf(s->name, sizeof s->name, "%s", sensor);
}

/* Both ways of writing, reopened now and then, every question against the model. With `index` the
   forward index comes and goes, with `sensors` half of the questions are about one. */
static void check_model(struct test_host *h, bool index, bool sensors)
{
  struct model m;
  struct cof_batch *b = cof_batch_create();
  uint64_t observations = 0, of_sensors = 0;
  size_t answered = 0;
  srand(6);
  model_init(&m);
  h->conf.bulk_records = 60;
  h->conf.forward_index = index;
  h->conf.sensors = sensors;
  start(h);
  for (int round = 0; round < 60; round++) {
    const struct cof_tally *tallies;
    cof_batch_clear(b);
    model_batch(b, (size_t)rand() % 120, false);
    write_all(h, b);
    model_apply(&m, b, NULL);
    observations += cof_batch_observations(b);
    for (size_t i = cof_batch_tallies(b, &tallies); i-- > 0;)
      of_sensors += tallies[i].records;
    if (round % 13 == 12) {
      assert_int_equal(test_host_stop(h), COF_OK);
      h->conf.forward_index = index && round % 26 == 25;
      start(h);
    }
    for (int i = 0; i < 25; i++)
      answered += check_question(h, &m);
  }
  assert_true(answered > 10000);
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  struct seen_sensors seen = {0};
  assert_int_equal(test_ops()->stats(h->self, &stats, see_sensor, &seen, NULL), COF_OK);
  assert_int_equal(stats.observations, observations);
  assert_true(stats.records > 0);
  assert_int_equal(seen.count, 5);
  assert_int_equal(seen.sum, of_sensors);
  assert_int_equal(h->dangling, 0);
  cof_batch_destroy(&b);
  model_free(&m);
}

static void test_model(void **state)
{
  check_model(*state, false, false);
}

static void test_model_index(void **state)
{
  check_model(*state, true, false);
}

static void test_model_sensors(void **state)
{
  check_model(*state, true, true);
}

static struct cof_query question(enum cof_query_kind kind, const char *name)
{
  struct cof_query q = COF_QUERY_INIT;
  q.kind = kind;
  q.name = name;
  return q;
}

static void expect_open(struct test_host *h, struct cof_query q, enum cof_result expected);

/* --- sensors ---------------------------------------------------------------------------------- */

static struct cof_query by_sensor(enum cof_query_kind kind, const char *name, const char *sensor)
{
  struct cof_query q = question(kind, name);
  q.sensor_id = sensor;
  return q;
}

/* A record that one sensor saw. */
static void add_seen(struct cof_batch *b, const char *name, const char *rdata, const char *sensor)
{
  add(b, name, COF_TYPE_A, rdata);
  struct cof_record *r = cof_batch_at(b, cof_batch_count(b) - 1), seen = *r;
  struct cof_record *sight = cof_batch_sight(b, r, sensor, strlen(sensor));
  assert_non_null(sight);
  cof_record_fold(sight, &seen);
}

static bool sensors_claimed(const struct test_host *h)
{
  return (test_ops()->caps(h->self) & COF_CAP_SENSOR) != 0;
}

/* What came before the option, or between, is nobody's; what is removed does not come again. */
static void test_sensors_option(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  const struct cof_query of_x = by_sensor(COF_QUERY_ALL, NULL, "x");
  struct cof_query x_address = by_sensor(COF_QUERY_RDATA_ADDR, NULL, "x");
  add_seen(b, "a.example", "192.0.2.1", "x");
  start(h);
  assert_false(sensors_claimed(h));
  write_all(h, b);
  assert_int_equal(test_host_stop(h), COF_OK);
  h->conf.sensors = true;
  start(h);
  assert_true(sensors_claimed(h));
  assert_int_equal(count(h, of_x), 0);
  int64_t since = ((struct store *)h->self)->sensors_since;
  assert_true(since > 0);
  cof_batch_clear(b);
  add_seen(b, "b.example", "192.0.2.1", "x");
  add_seen(b, "c.example", "192.0.2.1", "xy");
  write_all(h, b);
  assert_int_equal(count(h, of_x), 1);
  assert_int_equal(count(h, by_sensor(COF_QUERY_SUBDOMAINS, "example", "xy")), 1);
  assert_int_equal(count(h, by_sensor(COF_QUERY_RRNAME, "a.example", "x")), 0);
  cof_addr_parse("192.0.2.1", 9, &x_address.first);
  x_address.last = x_address.first;
  assert_int_equal(count(h, x_address), 1);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), 3);
  assert_int_equal(test_host_stop(h), COF_OK);
  start(h);
  assert_int_equal(((struct store *)h->self)->sensors_since, since);
  assert_int_equal(count(h, of_x), 1);
  assert_int_equal(test_host_stop(h), COF_OK);
  h->conf.sensors = false;
  start(h);
  assert_false(sensors_claimed(h));
  assert_int_equal(((struct store *)h->self)->sensors_since, -1);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), 3);
  assert_int_equal(test_host_stop(h), COF_OK);
  h->conf.sensors = true;
  start(h);
  assert_int_equal(count(h, of_x), 0);
  write_all(h, b);
  assert_int_equal(count(h, of_x), 1);
  cof_batch_destroy(&b);
}

/* In files: the keys of sensors are ingested with the records, and removed with their files. */
static void test_sensors_bulk(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  char name[64], longest[COF_SENSOR_MAX + 1];
  memset(longest, 0xff, COF_SENSOR_MAX);
  longest[COF_SENSOR_MAX] = '\0';
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "n%d.example", i);
    add_seen(b, name, "192.0.2.1", i % 5 == 0 ? longest : "y");
  }
  h->conf.bulk_records = 1;
  h->conf.sensors = true;
  start(h);
  write_all(h, b);
  write_all(h, b);
  assert_int_equal(count(h, by_sensor(COF_QUERY_ALL, NULL, longest)), 100);
  assert_int_equal(count(h, by_sensor(COF_QUERY_ALL, NULL, "y")), 400);
  assert_int_equal(count(h, by_sensor(COF_QUERY_ALL, NULL, "z")), 0);
  expect_open(h, by_sensor(COF_QUERY_ALL, NULL, ""), COF_REJECT);
  assert_int_equal(test_host_stop(h), COF_OK);
  h->conf.sensors = false;
  start(h);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), 500);
  assert_int_equal(test_host_stop(h), COF_OK);
  h->conf.sensors = true;
  start(h);
  assert_int_equal(count(h, by_sensor(COF_QUERY_ALL, NULL, "y")), 0);
  cof_batch_destroy(&b);
}

static void forget_marker(struct store *s)
{
  char *error = NULL;
  rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
  rocksdb_delete(s->db, write, "Mnames", 6, &error);
  rocksdb_writeoptions_destroy(write);
  assert_null(error);
}

/* The index is made for what is stored, is dropped, and is made anew where it was not finished. */
static void test_forward_index(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  start(h);
  add(b, "www.example.com", COF_TYPE_NS, "ns1.example.net");
  add(b, "www.example.org", COF_TYPE_MX, "10 ns1.example.info");
  add(b, "example.com", COF_TYPE_A, "192.0.2.1");
  write_all(h, b);
  expect_open(h, question(COF_QUERY_PREFIX, "www"), COF_UNSUPPORTED);
  for (int round = 0; round < 3; round++) {
    assert_int_equal(test_host_stop(h), COF_OK);
    h->conf.forward_index = true;
    start(h);
    assert_int_equal(count(h, question(COF_QUERY_PREFIX, "www")), 2);
    assert_int_equal(count(h, question(COF_QUERY_PREFIX, "www.example.org")), 1);
    assert_int_equal(count(h, question(COF_QUERY_PREFIX, "ww")), 0);
    assert_int_equal(count(h, question(COF_QUERY_RDATA_PREFIX, "ns1.example")), 2);
    if (round == 1) {
      forget_marker(h->self);
      continue;
    }
    assert_int_equal(test_host_stop(h), COF_OK);
    h->conf.forward_index = false;
    start(h);
    assert_int_equal(count(h, question(COF_QUERY_RRNAME, "www.example.com")), 1);
    expect_open(h, question(COF_QUERY_PREFIX, "www"), COF_UNSUPPORTED);
  }
  cof_batch_destroy(&b);
}

static void test_text(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  static const char *const texts[] = {"192.0.2.1",
                                      "2001:db8::1",
                                      "ns.example.net",
                                      "10 mx.example.net",
                                      "1 2 3 srv.example.net",
                                      "\"a text\"",
                                      "ns.example.net host.example.net 1 2 3 4 5"};
  static const uint16_t types[] = {COF_TYPE_A,   COF_TYPE_AAAA, COF_TYPE_NS, COF_TYPE_MX,
                                   COF_TYPE_SRV, COF_TYPE_TXT,  COF_TYPE_SOA};
  start(h);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    add(b, "example.com", types[i], texts[i]);
  write_all(h, b);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    assert_int_equal(count(h, question(COF_QUERY_RDATA_TEXT, texts[i])), 1);
  assert_int_equal(count(h, question(COF_QUERY_RDATA_TEXT, "mx.example.net")), 0);
  assert_int_equal(count(h, question(COF_QUERY_RDATA_NAME, "mx.example.net")), 1);
  assert_int_equal(count(h, question(COF_QUERY_RDATA_NAME, "ns.example.net")), 2);
  cof_batch_destroy(&b);
}

static void test_refused_records(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  for (int path = 0; path < 2; path++) {
    h->conf.bulk_records = path == 0 ? 1 : 100;
    start(h);
    cof_batch_clear(b);
    add(b, "good.example.com", COF_TYPE_A, "192.0.2.1");
    add(b, "bad..example.com", COF_TYPE_A, "192.0.2.1");
    add(b, "time.example.com", COF_TYPE_A, "192.0.2.1");
    cof_batch_at(b, 2)->time_first = -1;
    struct cof_ticket t = test_host_write(h, b);
    assert_int_equal(t.result, COF_OK);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.rejected, 2);
    assert_int_equal(t.last, 2);
    assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), 1);
    assert_int_equal(test_host_stop(h), COF_OK);
  }
  cof_batch_destroy(&b);
}

static void test_empty(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  start(h);
  write_all(h, b);
  h->conf.bulk_records = 1;
  write_all(h, b);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), 0);
  assert_int_equal(count(h, question(COF_QUERY_SUBDOMAINS, ".")), 0);
  cof_batch_destroy(&b);
}

/* Tallies alone: what a migration writes at its end. */
static void test_tallies_alone(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  struct seen_sensors seen = {0};
  start(h);
  assert_true(cof_batch_tally(b, "s1", 2, 7) && cof_batch_tally(b, NULL, 0, 5));
  write_all(h, b);
  h->conf.bulk_records = 1;
  write_all(h, b);
  assert_int_equal(test_ops()->stats(h->self, &stats, see_sensor, &seen, NULL), COF_OK);
  assert_int_equal(stats.observations, 24);
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.sum, 14);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), 0);
  cof_batch_destroy(&b);
}

static void wait_settled(struct test_host *h)
{
  const struct timespec step = {.tv_nsec = 10000000};
  for (int i = 0; i < 6000 && db_number(h->self, "rocksdb.num-files-at-level0") != 0; i++)
    nanosleep(&step, NULL);
  assert_int_equal(db_number(h->self, "rocksdb.num-files-at-level0"), 0);
}

/* What an earlier process left in several files becomes one, without a write. */
static void test_settle(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  h->conf.bulk_records = 1;
  start(h);
  for (int i = 0; i < 3; i++) {
    cof_batch_clear(b);
    add(b, "a.com", COF_TYPE_A, "192.0.2.1");
    add(b, i == 0 ? "b.com" : "c.com", COF_TYPE_A, "192.0.2.1");
    write_all(h, b);
  }
  assert_true(db_number(h->self, "rocksdb.num-files-at-level0") > 1);
  assert_int_equal(test_host_stop(h), COF_OK);
  start(h);
  wait_settled(h);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), 3);
  cof_batch_destroy(&b);
}

/* Batches whose records lie among those of others, or all behind them. */
static void write_batches(struct test_host *h, bool among)
{
  for (int batch = 0; batch < BATCHES; batch++) {
    struct cof_batch *b = cof_batch_create();
    for (int i = 0; i < BATCH_RECORDS; i++) {
      char name[64], rdata[64];
      int n = among ? i * BATCHES + batch : batch * BATCH_RECORDS + i;
      snprintf(name, sizeof name, "host-%06d.example.com", n);
      snprintf(rdata, sizeof rdata, "\"a text that is compressed %06d\"", n);
      add(b, name, COF_TYPE_TXT, rdata);
    }
    write_all(h, b);
    cof_batch_destroy(&b);
  }
}

struct sizes {
  uint64_t fresh, settled;
};

/* Octets of all files, as they were ingested and once they were compacted. */
static struct sizes sizes_with(struct test_host *h, enum conf_compression compression, bool among)
{
  struct sizes sizes;
  test_remove(h->conf.path);
  test_host_init(h, test_directory());
  h->conf.bulk_records = 1;
  h->conf.compression = (int)compression;
  start(h);
  write_batches(h, among);
  sizes.fresh = db_number(h->self, "rocksdb.total-sst-files-size");
  assert_int_equal(test_host_stop(h), COF_OK);
  start(h);
  wait_settled(h);
  sizes.settled = db_number(h->self, "rocksdb.total-sst-files-size");
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), BATCHES * BATCH_RECORDS);
  assert_int_equal(test_host_stop(h), COF_OK);
  return sizes;
}

static void test_compression(void **state)
{
  struct test_host *h = *state;
  struct sizes zstd = sizes_with(h, CONF_ZSTD, true), lz4 = sizes_with(h, CONF_LZ4, true),
               none = sizes_with(h, CONF_NONE, true);
  assert_true(lz4.fresh < none.fresh * 2 / 3);
  assert_true(lz4.fresh < zstd.fresh && zstd.fresh < none.fresh); /* but for the first it is new */
  assert_true(zstd.fresh > none.fresh * 2 / 3);
  assert_true(zstd.settled < lz4.settled && lz4.settled < none.settled * 2 / 3);
}

/* Files that RocksDB takes for settled at once. */
static void test_compression_in_order(void **state)
{
  struct test_host *h = *state;
  struct sizes zstd = sizes_with(h, CONF_ZSTD, false), none = sizes_with(h, CONF_NONE, false);
  assert_true(zstd.fresh < none.fresh * 2 / 3);
  assert_true(zstd.settled < none.settled * 2 / 3);
}

static void expect_open(struct test_host *h, struct cof_query q, enum cof_result expected)
{
  struct cof_error err = {""};
  void *cursor = NULL;
  enum cof_result result = test_ops()->open(h->self, &q, &cursor, &err);
  if (result == COF_OK)
    test_ops()->close(h->self, cursor);
  assert_int_equal(result, expected);
  assert_true(result == COF_OK || err.text[0] != '\0');
}

static void test_bad_questions(void **state)
{
  struct test_host *h = *state;
  start(h);
  expect_open(h, question(COF_QUERY_RRNAME, NULL), COF_REJECT);
  expect_open(h, question(COF_QUERY_RRNAME, "a..b"), COF_REJECT);
  expect_open(h, question(COF_QUERY_SUBDOMAINS, ""), COF_REJECT);
  expect_open(h, question(COF_QUERY_RDATA_NAME, "a b"), COF_REJECT);
  expect_open(h, question((enum cof_query_kind)99, "a"), COF_UNSUPPORTED);
  struct cof_query q = question(COF_QUERY_RDATA_ADDR, NULL);
  expect_open(h, q, COF_REJECT);
  cof_addr_parse("192.0.2.2", 9, &q.first);
  cof_addr_parse("192.0.2.1", 9, &q.last);
  expect_open(h, q, COF_REJECT);
  cof_addr_parse("2001:db8::", 10, &q.last);
  expect_open(h, q, COF_REJECT);
  q.last = q.first;
  expect_open(h, q, COF_OK);
}

static void test_tokens(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  char token[COF_TOKEN_MAX];
  size_t len;
  void *cursor;
  start(h);
  add(b, "a.example.com", COF_TYPE_A, "192.0.2.1");
  add(b, "b.example.com", COF_TYPE_A, "192.0.2.1");
  add(b, "d.example.com", COF_TYPE_A, "192.0.2.1");
  write_all(h, b);
  struct cof_query q = question(COF_QUERY_SUBDOMAINS, "example.com");
  assert_int_equal(test_ops()->open(h->self, &q, &cursor, NULL), COF_OK);
  cof_batch_clear(b);
  assert_int_equal(test_ops()->next(h->self, cursor, 2, b, NULL), COF_OK);
  assert_int_equal(test_ops()->token(h->self, cursor, token, 8, &len), COF_REJECT);
  assert_int_equal(test_ops()->token(h->self, cursor, token, sizeof token, &len), COF_OK);
  test_ops()->close(h->self, cursor);
  cof_batch_clear(b);
  add(b, "c.example.com", COF_TYPE_A, "192.0.2.1"); /* written behind the place of the token */
  write_all(h, b);
  q.token = token;
  q.token_len = len;
  assert_int_equal(count(h, q), 2);
  for (size_t cut = 0; cut < 10; cut++) {
    q.token_len = cut;
    expect_open(h, q, COF_REJECT);
  }
  q.token_len = len;
  q.name = "example.org";
  expect_open(h, q, COF_REJECT);
  q.name = "example.com";
  q.time_first_after = 1;
  expect_open(h, q, COF_REJECT);
  q.time_first_after = INT64_MIN;
  q.limit = 1;
  assert_int_equal(count(h, q), 1);
  token[10] ^= 1; /* the key begins here: outside of the range now */
  expect_open(h, q, COF_REJECT);
  memset(token, 'x', sizeof token);
  expect_open(h, q, COF_REJECT);
  q.token_len = sizeof token;
  expect_open(h, q, COF_REJECT);
  cof_batch_destroy(&b);
}

/* Many records, of which few answer: the deadline passes on the way, and the token goes on from
   where the scan was. */
static void check_deadline(struct test_host *h, struct cof_query q, size_t expected)
{
  char token[COF_TOKEN_MAX];
  struct cof_batch *got = cof_batch_create();
  struct cof_error err;
  size_t timeouts = 0;
  for (;;) {
    void *cursor;
    h->fake_clock = 1;
    q.deadline_ns = 4; /* looked at for the fourth time */
    assert_int_equal(test_ops()->open(h->self, &q, &cursor, &err), COF_OK);
    enum cof_result result = test_ops()->next(h->self, cursor, 100000, got, &err);
    assert_int_equal(test_ops()->token(h->self, cursor, token, sizeof token, &q.token_len), COF_OK);
    test_ops()->close(h->self, cursor);
    q.token = token;
    if (result == COF_OK)
      break;
    assert_int_equal(result, COF_TIMEOUT);
    assert_true(++timeouts < 100);
  }
  h->fake_clock = 0;
  assert_true(timeouts >= 3);
  assert_int_equal(cof_batch_count(got), expected);
  for (size_t i = 1; i < cof_batch_count(got); i++)
    assert_string_not_equal(cof_batch_at(got, i - 1)->rrname, cof_batch_at(got, i)->rrname);
  cof_batch_destroy(&got);
}

static void test_deadline(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  static const uint16_t mx[] = {COF_TYPE_MX};
  start(h);
  for (int i = 0; i < 3000; i++) {
    char name[32];
    snprintf(name, sizeof name, "n%d.example.com", i);
    add(b, name, COF_TYPE_A, "192.0.2.1");
    add(b, name, COF_TYPE_NS, "a.example.net");
    if (i % 100 == 0)
      add(b, name, COF_TYPE_MX, "1 a.example.net");
  }
  write_all(h, b);
  struct cof_query q = question(COF_QUERY_SUBDOMAINS, "com");
  q.rrtypes = mx;
  q.rrtypes_count = 1;
  check_deadline(h, q, 30);
  q.kind = COF_QUERY_RDATA_NAME;
  q.name = "a.example.net";
  check_deadline(h, q, 30);
  q.rrtypes_count = 0;
  q.kind = COF_QUERY_RDATA_ADDR;
  cof_addr_parse("192.0.2.1", 9, &q.first);
  q.last = q.first;
  check_deadline(h, q, 3000);
  q = question(COF_QUERY_ALL, NULL);
  q.deadline_ns = 1;
  void *cursor;
  assert_int_equal(test_ops()->open(h->self, &q, &cursor, NULL), COF_OK);
  cof_batch_clear(b);
  assert_int_equal(test_ops()->next(h->self, cursor, 10, b, NULL), COF_TIMEOUT);
  assert_int_equal(cof_batch_count(b), 0);
  test_ops()->close(h->self, cursor);
  cof_batch_destroy(&b);
}

/* A cursor shows what was there when it was first read, whatever is written meanwhile. */
static void test_snapshot(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create(), *got = cof_batch_create();
  struct cof_query q = question(COF_QUERY_RDATA_ADDR, NULL);
  void *cursor;
  cof_addr_parse("192.0.2.1", 9, &q.first);
  q.last = q.first;
  start(h);
  for (char c = 'a'; c <= 'y'; c = (char)(c + 2))
    add(b, (char[]){c, '.', 'c', 'o', 'm', 0}, COF_TYPE_A, "192.0.2.1");
  write_all(h, b);
  assert_int_equal(test_ops()->open(h->self, &q, &cursor, NULL), COF_OK);
  assert_int_equal(test_ops()->next(h->self, cursor, 1, got, NULL), COF_OK);
  write_all(h, b);
  add(b, "z.com", COF_TYPE_A, "192.0.2.1");
  write_all(h, b);
  assert_int_equal(test_ops()->next(h->self, cursor, 100, got, NULL), COF_OK);
  assert_int_equal(cof_batch_count(got), 13);
  for (size_t i = 0; i < 13; i++)
    assert_int_equal(cof_batch_at(got, i)->count, 1);
  test_ops()->close(h->self, cursor);
  assert_int_equal(count(h, q), 14);
  cof_batch_destroy(&b);
  cof_batch_destroy(&got);
}

/* A second instance on the same directory, then again once the first is gone. */
static void test_locked(void **state)
{
  struct test_host *h = *state, other;
  start(h);
  test_host_init(&other, h->conf.path);
  assert_int_equal(test_host_start(&other), COF_FATAL);
  assert_non_null(strstr(other.log, "in use by another process"));
  assert_non_null(strstr(other.log, h->conf.path));
  test_host_stop(&other);
  assert_int_equal(test_host_stop(h), COF_OK);
  start(h);
}

/* Behind the plugin's back. */
static void put_foreign(const char *path, const char *key, size_t key_len, const char *value)
{
  char *error = NULL;
  rocksdb_options_t *o = rocksdb_options_create();
  rocksdb_writeoptions_t *w = rocksdb_writeoptions_create();
  rocksdb_options_set_create_if_missing(o, 1);
  rocksdb_t *db = rocksdb_open(o, path, &error);
  assert_null(error);
  rocksdb_put(db, w, key, key_len, value, strlen(value), &error);
  assert_null(error);
  rocksdb_close(db);
  rocksdb_writeoptions_destroy(w);
  rocksdb_options_destroy(o);
}

static void test_layout(void **state)
{
  struct test_host *h = *state;
  start(h);
  assert_int_equal(test_host_stop(h), COF_OK);
  put_foreign(h->conf.path, "Mlayout", 7, "2");
  assert_int_equal(test_host_start(h), COF_FATAL);
  assert_non_null(strstr(h->log, "layout version \"2\""));
  assert_non_null(strstr(h->log, "\"1\""));
}

static void test_foreign(void **state)
{
  struct test_host *h = *state;
  put_foreign(h->conf.path, "key", 3, "value");
  assert_int_equal(test_host_start(h), COF_FATAL);
  assert_non_null(strstr(h->log, "without a layout version"));
}

static enum cof_result first_answer(struct test_host *h, struct cof_query q, struct cof_error *err)
{
  struct cof_batch *b = cof_batch_create();
  void *cursor;
  assert_int_equal(test_ops()->open(h->self, &q, &cursor, err), COF_OK);
  enum cof_result result = test_ops()->next(h->self, cursor, 10, b, err);
  test_ops()->close(h->self, cursor);
  cof_batch_destroy(&b);
  return result;
}

static void test_dangling(void **state)
{
  struct test_host *h = *state;
  static const char key[] = "R4\300\0\2\1com\0a\0\0\0\1";
  struct cof_query q = question(COF_QUERY_RDATA_ADDR, NULL);
  struct cof_batch *b = cof_batch_create();
  cof_addr_parse("192.0.2.1", 9, &q.first);
  q.last = q.first;
  h->conf.bulk_records = 1; /* nothing in the log that would need the merge operator */
  start(h);
  add(b, "b.com", COF_TYPE_A, "192.0.2.1");
  write_all(h, b);
  assert_int_equal(test_host_stop(h), COF_OK);
  put_foreign(h->conf.path, key, sizeof key - 1, "");
  start(h);
  assert_int_equal(count(h, q), 1);
  assert_int_equal(h->dangling, 1);
  cof_batch_destroy(&b);
}

static void test_corrupt(void **state)
{
  struct test_host *h = *state;
  static const char value[] = "Fcom\0a\0\0\0\1\300\0\2\1", addr[] = "Fcom\0b\0\0\0\1\300",
                    reverse[] = "Rxcom";
  struct cof_error err = {""};
  struct cof_query q = question(COF_QUERY_RDATA_NAME, ".");
  start(h);
  assert_int_equal(test_host_stop(h), COF_OK);
  put_foreign(h->conf.path, value, sizeof value - 1, "\377");
  put_foreign(h->conf.path, addr, sizeof addr - 1, "");
  put_foreign(h->conf.path, "Rn\0\1", 4, "");
  put_foreign(h->conf.path, reverse, sizeof reverse - 1, "");
  start(h);
  assert_int_equal(first_answer(h, question(COF_QUERY_RRNAME, "a.com"), &err), COF_FATAL);
  assert_non_null(strstr(err.text, "corrupt"));
  assert_int_equal(first_answer(h, question(COF_QUERY_RRNAME, "b.com"), &err), COF_FATAL);
  assert_int_equal(first_answer(h, question(COF_QUERY_ALL, NULL), &err), COF_FATAL);
  assert_int_equal(first_answer(h, q, &err), COF_FATAL);
}

#define TOGETHER 20 /* records of a batch, which are seen all or not at all */

struct race {
  struct test_host *host;
  atomic_uint acked, wrong, looked;
  atomic_bool over;
};

static size_t seen(struct race *r, unsigned number)
{
  char name[64];
  struct cof_query q = COF_QUERY_INIT;
  struct cof_batch *b = cof_batch_create();
  void *cursor;
  snprintf(name, sizeof name, "b%u.example.com", number);
  q.kind = number % 2 ? COF_QUERY_SUBDOMAINS : COF_QUERY_RDATA_NAME;
  q.name = name;
  bool ok = test_ops()->open(r->host->self, &q, &cursor, NULL) == COF_OK;
  ok = ok && test_ops()->next(r->host->self, cursor, 1000, b, NULL) == COF_OK;
  test_ops()->close(r->host->self, cursor);
  size_t n = ok ? cof_batch_count(b) : SIZE_MAX;
  cof_batch_destroy(&b);
  return n;
}

static void *look(void *arg)
{
  struct race *r = arg;
  for (unsigned i = 0; !atomic_load(&r->over); i++) {
    unsigned acked = atomic_load(&r->acked), number = i % (acked + 2);
    size_t n = seen(r, number);
    if (n != TOGETHER && (n != 0 || number < acked))
      atomic_fetch_add(&r->wrong, 1);
    atomic_fetch_add(&r->looked, 1);
  }
  return NULL;
}

static void fill_together(struct cof_batch *b, unsigned number)
{
  cof_batch_clear(b);
  for (unsigned i = 0; i < TOGETHER; i++) {
    char name[64], target[64];
    snprintf(name, sizeof name, "r%u.b%u.example.com", i, number);
    snprintf(target, sizeof target, "b%u.example.com", number);
    add(b, name, COF_TYPE_NS, target);
  }
}

/* Questions from several threads while both ways of writing are at work. */
static void test_threads(void **state)
{
  struct race r = {.host = *state};
  pthread_t readers[3];
  struct cof_batch *b = cof_batch_create();
  start(r.host);
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_create(&readers[i], NULL, look, &r), 0);
  for (unsigned number = 0; number < 150 || atomic_load(&r.looked) < 1000; number++) {
    fill_together(b, number);
    r.host->conf.bulk_records = number % 3 == 0 ? 1 : 1000;
    write_all(r.host, b);
    atomic_store(&r.acked, number + 1);
  }
  atomic_store(&r.over, true);
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_join(readers[i], NULL), 0);
  assert_int_equal(r.wrong, 0);
  cof_batch_destroy(&b);
}

static void test_paths(void **state)
{
  struct test_host *h = *state;
  char *path = h->conf.path, sub[512];
  struct stat st;
  snprintf(sub, sizeof sub, "%s/none/db", path);
  h->conf.path = sub;
  assert_int_equal(test_host_start(h), COF_FATAL);
  assert_non_null(strstr(h->log, "does not exist"));
  test_host_stop(h);
  snprintf(sub, sizeof sub, "%s/db", path);
  start(h);
  assert_int_equal(test_host_stop(h), COF_OK);
  assert_int_equal(stat(sub, &st), 0);
  assert_int_equal(st.st_mode & 0777 & ~0750u, 0);
  snprintf(sub, sizeof sub, "%s/file", path);
  FILE *f = fopen(sub, "w");
  assert_non_null(f);
  fclose(f);
  assert_int_equal(test_host_start(h), COF_FATAL);
  assert_non_null(strstr(h->log, "not a directory"));
  test_host_stop(h);
  h->conf.path = path;
}

/* A file-size limit stands for a full disk. */
static void check_full(struct test_host *h, const struct cof_batch *b, rlim_t most)
{
  struct rlimit old, tight;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  tight = old;
  tight.rlim_cur = most;
  unsigned errors = h->errors;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
  struct cof_ticket first = test_host_write(h, b), second = test_host_write(h, b);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_int_equal(first.result, COF_RETRY);
  assert_int_equal(second.result, COF_RETRY);
  assert_int_equal(h->errors, errors + 1);
}

/* Random records, all of them for the storage. */
static void batch_to_keep(struct cof_batch *b)
{
  model_batch(b, 500, false);
  for (size_t i = 0; i < cof_batch_count(b); i++)
    cof_batch_at(b, i)->verdict = COF_KEEP;
}

static void test_full_bulk(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  srand(7);
  signal(SIGXFSZ, SIG_IGN);
  batch_to_keep(b);
  h->conf.bulk_records = 1;
  start(h);
  check_full(h, b, 4096);
  write_all(h, b);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), cof_batch_count(b));
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  assert_int_equal(test_ops()->stats(h->self, &stats, NULL, NULL, NULL), COF_OK);
  assert_int_equal(stats.observations, cof_batch_observations(b));
  cof_batch_destroy(&b);
}

static void test_full_small(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  struct cof_ticket t = {0};
  srand(8);
  signal(SIGXFSZ, SIG_IGN);
  batch_to_keep(b);
  start(h);
  check_full(h, b, 4096);
  for (int i = 0; i < 3 && (i == 0 || t.result == COF_RETRY); i++)
    t = test_host_write(h, b);
  assert_int_equal(t.result, COF_OK);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), cof_batch_count(b));
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  assert_int_equal(test_ops()->stats(h->self, &stats, NULL, NULL, NULL), COF_OK);
  assert_int_equal(stats.observations, cof_batch_observations(b));
  cof_batch_destroy(&b);
}

/* Stopping while writes fail says so and does not end the process. */
static void test_stop_failing(void **state)
{
  struct test_host *h = *state;
  struct cof_batch *b = cof_batch_create();
  srand(9);
  signal(SIGXFSZ, SIG_IGN);
  batch_to_keep(b);
  h->conf.sync = false;
  start(h);
  check_full(h, b, 4096);
  assert_int_equal(test_host_stop(h), COF_OK);
  start(h);
  write_all(h, b);
  assert_int_equal(count(h, question(COF_QUERY_ALL, NULL)), cof_batch_count(b));
  cof_batch_destroy(&b);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      STORE_TEST(test_model),         STORE_TEST(test_model_index),
      STORE_TEST(test_model_sensors), STORE_TEST(test_sensors_option),
      STORE_TEST(test_sensors_bulk),  STORE_TEST(test_forward_index),
      STORE_TEST(test_text),          STORE_TEST(test_refused_records),
      STORE_TEST(test_empty),         STORE_TEST(test_tallies_alone),
      STORE_TEST(test_bad_questions), STORE_TEST(test_settle),
      STORE_TEST(test_compression),   STORE_TEST(test_compression_in_order),
      STORE_TEST(test_tokens),        STORE_TEST(test_deadline),
      STORE_TEST(test_snapshot),      STORE_TEST(test_locked),
      STORE_TEST(test_layout),        STORE_TEST(test_foreign),
      STORE_TEST(test_paths),         STORE_TEST(test_full_bulk),
      STORE_TEST(test_full_small),    STORE_TEST(test_stop_failing),
      STORE_TEST(test_dangling),      STORE_TEST(test_corrupt),
      STORE_TEST(test_threads)};
  return cmocka_run_group_tests_name("rocksdb store", tests, NULL, NULL);
}
