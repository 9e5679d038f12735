/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "d4_private.h"
#include "redistest.h"
#include "storehost.h"

struct fixture {
  struct redistest *server;
  struct storehost host;
};

static int set_up(void **state)
{
  struct fixture *f = calloc(1, sizeof *f);
  *state = f;
  if (f == NULL)
    return -1;
  if (redistest_available())
    f->server = redistest_start(NULL);
  return 0;
}

static int tear_down(void **state)
{
  struct fixture *f = *state;
  storehost_stop(&f->host);
  redistest_stop(&f->server);
  free(f);
  return 0;
}

static void need_server(const struct fixture *f)
{
  if (f->server == NULL) {
    print_message("redis-server is not on PATH: skipped\n");
    skip();
  }
}

static struct fixture *begin(void **state)
{
  struct fixture *f = *state;
  need_server(f);
  storehost_init(&f->host, redistest_port(f->server));
  assert_int_equal(storehost_start(&f->host, false), COF_OK);
  return f;
}

static void expect_text(struct fixture *f, const char *key, const char *value)
{
  redisReply *reply = redistest_command(f->server, "GET %s", key);
  if (reply->type != REDIS_REPLY_STRING || strcmp(reply->str, value) != 0)
    fail_msg("%s: '%s', expected '%s'", key, reply->str != NULL ? reply->str : "(nil)", value);
  freeReplyObject(reply);
}

static void expect_member(struct fixture *f, const char *key, const char *member)
{
  if (redistest_integer(f->server, "SISMEMBER %s %s", key, member) != 1)
    fail_msg("%s has no '%s'", key, member);
}

static void expect_size(const struct cof_batch *answer, size_t count)
{
  assert_int_equal(cof_batch_count(answer), count);
}

static struct cof_batch *ask(struct fixture *f, enum cof_query_kind kind, const char *text)
{
  struct cof_query q = query_of(kind, text);
  return storehost_ask(&f->host, &q, 7);
}

static void expect_record(const struct cof_batch *answer, const char *rrname, uint16_t rrtype,
                          const char *rdata, int64_t first, int64_t last, uint64_t count)
{
  const struct cof_record *r = find(answer, rrname, rrtype, rdata);
  if (r == NULL)
    fail_msg("no record %s %u %s among %zu", rrname, rrtype, rdata, cof_batch_count(answer));
  assert_int_equal(r->time_first, first);
  assert_int_equal(r->time_last, last);
  assert_int_equal(r->count, count);
}

/* --- writing -------------------------------------------------------------------------------- */

#define RECORD(name, data, sensor, first, last, n, type)                                           \
  {                                                                                                \
    .rrname = (name), .rdata = (data), .sensor_id = (sensor), .time_first = (first),               \
    .time_last = (last), .count = (n), .rrtype = (type)                                            \
  }

static void keys_as_the_reference_writes_them(void **state)
{
  struct fixture *f = begin(state);
  const struct cof_record records[] = {
      RECORD("www.example.com", "192.0.2.1", "x", 1500000000, 1500000100, 2, 1),
      RECORD("host.example", "2001:db8::1", "x", 5, 6, 1, 28),
      RECORD("example.com", "\"V=SPF1 -all\"", "y", 5, 6, 1, 16),
      RECORD("null.example", ".", NULL, 5, 6, 1, 15),
      RECORD("mx.example", "10 a.mx.example", NULL, 5, 6, 1, 15)};
  struct cof_batch *batch = batch_of(records, 5);
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  cof_batch_destroy(&batch);
  expect_text(f, "s:www.example.com:192.0.2.1:1", "1500000000");
  expect_text(f, "l:www.example.com:192.0.2.1:1", "1500000100");
  expect_text(f, "o:www.example.com:192.0.2.1:1", "2");
  expect_member(f, "r:www.example.com:1", "192.0.2.1");
  expect_member(f, "v:192.0.2.1:1", "www.example.com");
  expect_member(f, "v:2001:db8::1:28", "host.example");
  expect_text(f, "s:host.example:2001:db8::1:28", "5");
  expect_member(f, "r:example.com:16", "v=spf1 -all\"");
  expect_member(f, "v:v=spf1 -all\":16", "example.com");
  expect_member(f, "r:null.example:15", "");
  expect_member(f, "v::15", "null.example");
  expect_member(f, "v:10 a.mx.example:15", "mx.example");
  expect_member(f, "v:a.mx.example:15", "mx.example");
  expect_text(f, "stats:processed", "5");
  assert_int_equal(redistest_integer(f->server, "SCARD sensors:seen"), 2);
  redisReply *score = redistest_command(f->server, "ZSCORE stats:sensors x");
  assert_string_equal(score->str, "2");
  freeReplyObject(score);
  /* 5 x s, l, o, r, v; one name of an MX; three statistics. */
  assert_int_equal(redistest_integer(f->server, "DBSIZE"), 25 + 1 + 3);
}

static void distributions_of_what_sensors_log(void **state)
{
  struct fixture *f = begin(state);
  struct cof_record r = {.rrname = "www-google-analytics.l.google.com",
                         .rrtype = 28,
                         .rdata = "2a00:1450:400e:801::200e",
                         .time_first = 1548624738,
                         .time_last = 1548624738,
                         .count = 1};
  struct cof_batch *batch = batch_of(&r, 1);
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  assert_int_equal(redistest_integer(f->server, "EXISTS dist:ttl dist:class dist:type"), 0);
  assert_true(cof_batch_ttl(batch, 299, 1));
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  cof_batch_destroy(&batch);
  static const char *const fields[][2] = {
      {"dist:ttl", "299"}, {"dist:class", "IN"}, {"dist:type", "28"}};
  for (size_t i = 0; i < 3; i++) {
    redisReply *reply = redistest_command(f->server, "HGET %s %s", fields[i][0], fields[i][1]);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_string_equal(reply->str, "1");
    freeReplyObject(reply);
  }
}

static void times_move_outward_only(void **state)
{
  struct fixture *f = begin(state);
  for (int plain = 0; plain < 2; plain++) {
    struct d4 *d4 = f->host.store->state;
    if (plain)
      d4_writer_plain(d4->writer);
    redistest_do(f->server, "FLUSHALL");
    storehost_put(&f->host, "a.example", 1, "192.0.2.1", 1000, 2000, 1);
    storehost_put(&f->host, "a.example", 1, "192.0.2.1", 1500, 1600, 1);
    expect_text(f, "s:a.example:192.0.2.1:1", "1000");
    expect_text(f, "l:a.example:192.0.2.1:1", "2000");
    storehost_put(&f->host, "a.example", 1, "192.0.2.1", 999, 10000, 1);
    expect_text(f, "s:a.example:192.0.2.1:1", "999");
    expect_text(f, "l:a.example:192.0.2.1:1", "10000");
    expect_text(f, "o:a.example:192.0.2.1:1", "3");
    /* What is no number that the reference's server could read is made one. */
    redistest_do(f->server, "SET s:a.example:192.0.2.1:1 998.5");
    redistest_do(f->server, "SET l:a.example:192.0.2.1:1 garbage");
    redistest_do(f->server, "SET o:a.example:192.0.2.1:1 41.0");
    storehost_put(&f->host, "a.example", 1, "192.0.2.1", 5000, 6000, 1);
    expect_text(f, "s:a.example:192.0.2.1:1", "998");
    expect_text(f, "l:a.example:192.0.2.1:1", "6000");
    expect_text(f, "o:a.example:192.0.2.1:1", "42");
  }
}

static void put_total(struct fixture *f, uint64_t count, uint64_t total, const char *expected)
{
  struct cof_record r = {.rrname = "t.example",
                         .rrtype = 1,
                         .rdata = "192.0.2.1",
                         .time_first = 1,
                         .time_last = 1,
                         .count = count,
                         .total = total};
  struct cof_batch *batch = batch_of(&r, 1);
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  cof_batch_destroy(&batch);
  expect_text(f, "o:t.example:192.0.2.1:1", expected);
}

static void counts_add_up_and_totals_raise(void **state)
{
  struct fixture *f = begin(state);
  put_total(f, 0, 7, "7");
  put_total(f, 0, 5, "7");
  put_total(f, 2, 0, "9");
  put_total(f, 1, 20, "20");
  put_total(f, 1, 20, "21");
  put_total(f, 0, 100, "100");
  put_total(f, 0, COF_COUNT_MAX - 1, "9223372036854775806");
  put_total(f, 5, 0, "9223372036854775807");
}

struct racer {
  struct storehost host;
  uint64_t seed;
  bool good;
};

#define RACE_NAMES   50
#define RACE_BATCHES 60

static uint64_t draw(uint64_t *seed)
{
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *seed >> 33;
}

static void *race(void *arg)
{
  struct racer *r = arg;
  static const char *const address = "192.0.2.1";
  r->good = true;
  for (int b = 0; b < RACE_BATCHES && r->good; b++) {
    char names[RACE_NAMES][32];
    struct cof_record records[RACE_NAMES];
    for (int i = 0; i < RACE_NAMES; i++) {
      int64_t at = (int64_t)(1000000 + draw(&r->seed) % 1000000);
      snprintf(names[i], sizeof names[i], "n%d.example", i);
      records[i] = (struct cof_record){.rrname = names[i],
                                       .rdata = address,
                                       .rrtype = 1,
                                       .time_first = at,
                                       .time_last = at,
                                       .count = 1};
    }
    struct cof_batch *batch = batch_of(records, RACE_NAMES);
    r->good = storehost_write(&r->host, batch).result == COF_OK;
    cof_batch_destroy(&batch);
  }
  return NULL;
}

static void two_writers_at_once_end_at_the_extremes(void **state)
{
  struct fixture *f = *state;
  need_server(f);
  static struct racer racers[2];
  pthread_t threads[2];
  int64_t least[RACE_NAMES], most[RACE_NAMES];
  for (int i = 0; i < 2; i++) {
    storehost_init(&racers[i].host, redistest_port(f->server));
    racers[i].seed = (uint64_t)i + 17;
    assert_int_equal(storehost_start(&racers[i].host, false), COF_OK);
    assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
  }
  for (int n = 0; n < RACE_NAMES; n++) {
    least[n] = INT64_MAX;
    most[n] = 0;
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    assert_true(racers[i].good);
    storehost_stop(&racers[i].host);
    uint64_t seed = (uint64_t)i + 17;
    for (int b = 0; b < RACE_BATCHES; b++)
      for (int n = 0; n < RACE_NAMES; n++) {
        int64_t at = (int64_t)(1000000 + draw(&seed) % 1000000);
        least[n] = at < least[n] ? at : least[n];
        most[n] = at > most[n] ? at : most[n];
      }
  }
  for (int n = 0; n < RACE_NAMES; n++) {
    char key[64], value[32];
    snprintf(key, sizeof key, "s:n%d.example:192.0.2.1:1", n);
    snprintf(value, sizeof value, "%lld", (long long)least[n]);
    expect_text(f, key, value);
    key[0] = 'l';
    snprintf(value, sizeof value, "%lld", (long long)most[n]);
    expect_text(f, key, value);
    key[0] = 'o';
    snprintf(value, sizeof value, "%d", 2 * RACE_BATCHES);
    expect_text(f, key, value);
  }
}

static void records_expire_with_all_their_keys(void **state)
{
  struct fixture *f = *state;
  need_server(f);
  char text[] = "TXT:24000";
  char *items[] = {text};
  storehost_init(&f->host, redistest_port(f->server));
  f->host.conf.expire = (struct cof_list){items, 1};
  assert_int_equal(storehost_start(&f->host, false), COF_OK);
  storehost_put(&f->host, "e.example", 16, "\"x\"", 5, 6, 1);
  storehost_put(&f->host, "e.example", 1, "192.0.2.1", 5, 6, 1);
  static const char *const expiring[] = {"r:e.example:16", "v:x\":16", "s:e.example:x\":16",
                                         "l:e.example:x\":16", "o:e.example:x\":16"};
  for (size_t i = 0; i < 5; i++) {
    long long left = redistest_integer(f->server, "TTL %s", expiring[i]);
    assert_true(left > 23900 && left <= 24000);
    redistest_do(f->server, "EXPIRE %s 100", expiring[i]);
  }
  assert_int_equal(redistest_integer(f->server, "TTL r:e.example:1"), -1);
  /* Refreshed, also where a time has to move. */
  storehost_put(&f->host, "e.example", 16, "\"x\"", 4, 7, 1);
  for (size_t i = 0; i < 5; i++)
    assert_true(redistest_integer(f->server, "TTL %s", expiring[i]) > 23900);
}

static void members_of_expired_records_go(void **state)
{
  struct fixture *f = *state;
  need_server(f);
  char text[] = "A:24000";
  char *items[] = {text};
  storehost_init(&f->host, redistest_port(f->server));
  f->host.conf.expire = (struct cof_list){items, 1};
  assert_int_equal(storehost_start(&f->host, false), COF_OK);
  redistest_do(f->server, "SADD r:e.example:1 192.0.2.7 192.0.2.8");
  redistest_do(f->server, "SADD v:192.0.2.7:1 e.example other.example");
  redistest_do(f->server, "SET l:e.example:192.0.2.8:1 5");
  storehost_put(&f->host, "e.example", 1, "192.0.2.1", 5, 6, 1);
  assert_int_equal(redistest_integer(f->server, "SCARD r:e.example:1"), 2);
  expect_member(f, "r:e.example:1", "192.0.2.1");
  expect_member(f, "r:e.example:1", "192.0.2.8");
  assert_int_equal(redistest_integer(f->server, "SISMEMBER v:192.0.2.7:1 e.example"), 0);
  expect_member(f, "v:192.0.2.7:1", "other.example");
}

static void a_key_of_another_kind_refuses_its_record(void **state)
{
  struct fixture *f = begin(state);
  const struct cof_record records[] = {RECORD("a.example", "192.0.2.1", NULL, 5, 6, 1, 1),
                                       RECORD("b.example", "192.0.2.2", NULL, 5, 6, 1, 1)};
  redistest_do(f->server, "SET r:a.example:1 x");
  struct cof_batch *batch = batch_of(records, 2);
  struct cof_ticket ticket = storehost_write(&f->host, batch);
  cof_batch_destroy(&batch);
  assert_int_equal(ticket.result, COF_OK);
  assert_int_equal(ticket.rejected, 1);
  expect_member(f, "r:b.example:1", "192.0.2.2");
}

/* --- reading what others wrote ---------------------------------------------------------------- */

/* As the reference's programs write a record. */
static void reference_put(struct fixture *f, const char *name, const char *v, int type,
                          const char *first, const char *last, const char *count)
{
  redistest_do(f->server, "SADD r:%s:%d %s", name, type, v);
  redistest_do(f->server, "SADD v:%s:%d %s", v, type, name);
  if (first != NULL)
    redistest_do(f->server, "SET s:%s:%s:%d %s", name, v, type, first);
  if (last != NULL)
    redistest_do(f->server, "SET l:%s:%s:%d %s", name, v, type, last);
  if (count != NULL)
    redistest_do(f->server, "SET o:%s:%s:%d %s", name, v, type, count);
}

static void what_the_reference_wrote_is_read(void **state)
{
  struct fixture *f = begin(state);
  struct cof_batch *a;
  reference_put(f, "www-google-analytics.l.google.com", "2a00:1450:400e:801::200e", 28,
                "1548624738", "1548624738", "1");
  reference_put(f, "example.com", "v=spf1 -all\"", 16, "10", "20", "3");
  reference_put(f, "example.com", "", 15, "10", "20", "4");
  reference_put(f, "WWW.Example.com.", "192.0.2.1", 1, "1", "2", "1");
  reference_put(f, "two.example", "ns1.x", 2, "100", "200", "1");
  reference_put(f, "two.example", "ns1.x", 5, "300", "400", "2");
  reference_put(f, "float.example", "192.0.2.9", 1, "1657878272.5", "1657878273.5", "2");
  a = ask(f, COF_QUERY_RRNAME, "www-google-analytics.l.google.com");
  expect_record(a, "www-google-analytics.l.google.com", 28, "2a00:1450:400e:801::200e", 1548624738,
                1548624738, 1);
  cof_batch_destroy(&a);
  a = ask(f, COF_QUERY_RRNAME, "example.com");
  expect_size(a, 2);
  expect_record(a, "example.com", 16, "\"v=spf1 -all\"", 10, 20, 3);
  expect_record(a, "example.com", 15, ".", 10, 20, 4);
  cof_batch_destroy(&a);
  a = ask(f, COF_QUERY_RDATA_ADDR, "192.0.2.1");
  expect_size(a, 1);
  expect_record(a, "www.example.com", 1, "192.0.2.1", 1, 2, 1);
  cof_batch_destroy(&a);
  a = ask(f, COF_QUERY_RRNAME, "two.example");
  expect_record(a, "two.example", 2, "ns1.x", 100, 200, 1);
  expect_record(a, "two.example", 5, "ns1.x", 300, 400, 2);
  cof_batch_destroy(&a);
  a = ask(f, COF_QUERY_RRNAME, "float.example");
  expect_record(a, "float.example", 1, "192.0.2.9", 1657878272, 1657878273, 2);
  cof_batch_destroy(&a);
}

static void dead_members_and_odd_spellings(void **state)
{
  struct fixture *f = begin(state);
  struct cof_batch *a;
  reference_put(f, "d.example", "192.0.2.1", 1, "1", "2", "1");
  reference_put(f, "d.example", "192.0.2.2", 1, NULL, NULL, "9"); /* expired */
  reference_put(f, "d.example", "192.0.2.3", 1, NULL, "7", NULL); /* its l: never expires */
  reference_put(f, "d.example", "192.0.2.4", 1, "8", NULL, NULL);
  reference_put(f, "d.example", "nxdomain", 1, "1", "2", "1");
  reference_put(f, "d.example", "\"Same\"", 16, "5", "9", "1");
  reference_put(f, "d.example", "same\"", 16, "3", "4", "2");
  reference_put(f, "d.example", "same", 16, "6", "11", "4");
  reference_put(f, "d.example.", "192.0.2.1", 1, "9", "10", "5");
  a = ask(f, COF_QUERY_RRNAME, "d.example");
  expect_record(a, "d.example", 1, "192.0.2.1", 1, 10, 6);
  expect_record(a, "d.example", 1, "192.0.2.3", 7, 7, 1);
  expect_record(a, "d.example", 1, "192.0.2.4", 8, 8, 1);
  expect_record(a, "d.example", 16, "\"same\"", 3, 11, 6);
  expect_record(a, "d.example", 16, "\"Same\"", 5, 9, 1);
  expect_size(a, 5);
  cof_batch_destroy(&a);
  assert_int_equal(atomic_load(&f->host.stale), 1);
  assert_int_equal(atomic_load(&f->host.unreadable), 1);
  a = ask(f, COF_QUERY_RDATA_TEXT, "\"Same\"");
  expect_size(a, 2);
  cof_batch_destroy(&a);
}

/* --- questions -------------------------------------------------------------------------------- */

static void reverse_questions(void **state)
{
  struct fixture *f = begin(state);
  struct cof_batch *a;
  storehost_put(&f->host, "a.example", 2, "ns.example", 1, 2, 1);
  storehost_put(&f->host, "a.example", 5, "ns.example", 3, 4, 1);
  storehost_put(&f->host, "b.example", 2, "ns.example", 5, 6, 1);
  storehost_put(&f->host, "b.example", 15, "10 ns.example", 7, 8, 1);
  storehost_put(&f->host, "b.example", 15, "20 other.example", 7, 8, 1);
  storehost_put(&f->host, "c.example", 33, "1 2 53 ns.example", 7, 8, 1);
  reference_put(f, "d.example", "ns.example", 15, "7", "8", "1");
  a = ask(f, COF_QUERY_RDATA_NAME, "ns.example");
  expect_size(a, 6);
  expect_record(a, "a.example", 5, "ns.example", 3, 4, 1);
  expect_record(a, "b.example", 15, "10 ns.example", 7, 8, 1);
  expect_record(a, "c.example", 33, "1 2 53 ns.example", 7, 8, 1);
  expect_record(a, "d.example", 15, "ns.example", 7, 8, 1);
  cof_batch_destroy(&a);
  a = ask(f, COF_QUERY_RDATA_TEXT, "10 ns.example");
  expect_size(a, 1);
  cof_batch_destroy(&a);
  storehost_put(&f->host, "e.example", 15, "0 .", 7, 8, 1);
  storehost_put(&f->host, "e.example", 2, ".", 7, 8, 1);
  a = ask(f, COF_QUERY_RDATA_NAME, ".");
  expect_size(a, 2);
  expect_record(a, "e.example", 15, "0 .", 7, 8, 1);
  cof_batch_destroy(&a);
  uint16_t types[] = {15, 2};
  struct cof_query q = query_of(COF_QUERY_RDATA_NAME, "ns.example");
  q.rrtypes = types;
  q.rrtypes_count = 2;
  q.time_last_after = 6;
  a = storehost_ask(&f->host, &q, 10);
  expect_size(a, 3);
  cof_batch_destroy(&a);
  q.limit = 2;
  a = storehost_ask(&f->host, &q, 10);
  expect_size(a, 2);
  cof_batch_destroy(&a);
  q.kind = COF_QUERY_SUBDOMAINS;
  void *cursor;
  struct cof_error err;
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_UNSUPPORTED);
}

static void fill_big(struct fixture *f, int members)
{
  redistest_do(f->server, "EVAL %s 0 %d",
               "for i = 1, tonumber(ARGV[1]) do "
               "local v = '10.' .. math.floor(i / 65536) .. '.' .. math.floor(i / 256) % 256 .. "
               "'.' .. i % 256 "
               "redis.call('SADD', 'r:big.example:1', v) "
               "redis.call('SET', 's:big.example:' .. v .. ':1', i) "
               "redis.call('SET', 'l:big.example:' .. v .. ':1', i + 1) "
               "redis.call('SET', 'o:big.example:' .. v .. ':1', 1) "
               "local n = 'n' .. i .. '.example' "
               "redis.call('SADD', 'v:ns.big:2', n) "
               "redis.call('SADD', 'r:' .. n .. ':2', 'ns.big') "
               "redis.call('SET', 's:' .. n .. ':ns.big:2', i) "
               "if i % 3 == 0 then "
               "redis.call('SADD', 'v:ns.big:5', n) "
               "redis.call('SADD', 'r:' .. n .. ':5', 'ns.big') "
               "redis.call('SET', 's:' .. n .. ':ns.big:5', i) end end",
               members);
}

static int by_tuple(const void *a, const void *b)
{
  const struct cof_record *const *x = a, *const *y = b;
  int c = strcmp((*x)->rrname, (*y)->rrname);
  if (c == 0)
    c = (*x)->rrtype - (*y)->rrtype;
  return c != 0 ? c : strcmp((*x)->rdata, (*y)->rdata);
}

static const struct cof_record **sorted(const struct cof_batch *a)
{
  size_t count = cof_batch_count(a);
  const struct cof_record **all = calloc(count + 1, sizeof *all);
  assert_non_null(all);
  for (size_t i = 0; i < count; i++)
    all[i] = cof_batch_at(a, i);
  qsort(all, count, sizeof *all, by_tuple);
  return all;
}

/* No tuple twice. */
static void expect_unique(const struct cof_batch *a)
{
  const struct cof_record **all = sorted(a);
  for (size_t i = 1; i < cof_batch_count(a); i++)
    if (by_tuple(&all[i - 1], &all[i]) == 0)
      fail_msg("%s %u %s twice", all[i]->rrname, all[i]->rrtype, all[i]->rdata);
  free(all);
}

/* The order of large sets changes while the server rearranges them. */
static void same_answers(const struct cof_batch *a, const struct cof_batch *b)
{
  const struct cof_record **x = sorted(a), **y = sorted(b);
  assert_int_equal(cof_batch_count(a), cof_batch_count(b));
  for (size_t i = 0; i < cof_batch_count(a); i++)
    if (by_tuple(&x[i], &y[i]) != 0)
      fail_msg("%s %s and %s %s", x[i]->rrname, x[i]->rdata, y[i]->rrname, y[i]->rdata);
  free(x);
  free(y);
}

/* All records of one rrname next to each other. */
static void expect_grouped(const struct cof_batch *a, size_t names)
{
  size_t groups = 0;
  for (size_t i = 0; i < cof_batch_count(a); i++)
    groups += i == 0 || strcmp(cof_batch_at(a, i)->rrname, cof_batch_at(a, i - 1)->rrname) != 0;
  assert_int_equal(groups, names);
}

static void large_sets(struct fixture *f, int members)
{
  struct cof_batch *a, *b;
  struct cof_query q = query_of(COF_QUERY_RRNAME, "big.example");
  fill_big(f, members);
  a = storehost_ask(&f->host, &q, 1000);
  expect_size(a, (size_t)members);
  expect_unique(a);
  expect_record(a, "big.example", 1, "10.0.0.7", 7, 8, 1);
  b = storehost_ask_resuming(&f->host, &q, 777);
  same_answers(a, b);
  cof_batch_destroy(&a);
  cof_batch_destroy(&b);
  q = query_of(COF_QUERY_RDATA_NAME, "ns.big");
  a = storehost_ask(&f->host, &q, 1000);
  expect_size(a, (size_t)(members + members / 3));
  expect_unique(a);
  expect_grouped(a, (size_t)members);
  b = storehost_ask_resuming(&f->host, &q, 777);
  same_answers(a, b);
  cof_batch_destroy(&a);
  cof_batch_destroy(&b);
  q = query_of(COF_QUERY_ALL, NULL);
  a = storehost_ask(&f->host, &q, 1000);
  expect_size(a, (size_t)(2 * members + members / 3));
  expect_unique(a);
  b = storehost_ask_resuming(&f->host, &q, 5000);
  same_answers(a, b);
  cof_batch_destroy(&a);
  cof_batch_destroy(&b);
}

static void sets_beyond_200_are_answered_whole(void **state)
{
  large_sets(begin(state), 250);
}

static void sets_beyond_memory_are_answered_page_by_page(void **state)
{
  large_sets(begin(state), 25000);
}

static void deadlines_and_foreign_tokens(void **state)
{
  struct fixture *f = begin(state);
  struct cof_error err;
  void *cursor;
  struct cof_query q = query_of(COF_QUERY_RRNAME, "a.example");
  struct cof_batch *into = cof_batch_create();
  uint8_t token[COF_TOKEN_MAX];
  size_t len;
  storehost_put(&f->host, "a.example", 1, "192.0.2.1", 1, 2, 1);
  q.deadline_ns = 1;
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_OK);
  assert_int_equal(store_ops.next(f->host.store, cursor, 10, into, &err), COF_TIMEOUT);
  assert_int_equal(store_ops.token(f->host.store, cursor, token, sizeof token, &len), COF_OK);
  store_ops.close(f->host.store, cursor);
  q.deadline_ns = 0;
  q.token = token;
  q.token_len = len;
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_OK);
  assert_int_equal(store_ops.next(f->host.store, cursor, 10, into, &err), COF_OK);
  expect_size(into, 1);
  store_ops.close(f->host.store, cursor);
  q.name = "b.example";
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_REJECT);
  q.token_len = 3;
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_REJECT);
  cof_batch_destroy(&into);
}

static void take_sensor(void *arg, const char *id, uint64_t records)
{
  char *text = arg;
  size_t len = strlen(text);
  snprintf(text + len, 256 - len, "%s=%llu ", id, (unsigned long long)records);
}

static void statistics(void **state)
{
  struct fixture *f = begin(state);
  struct cof_error err;
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  char text[256] = "";
  redistest_do(f->server, "ZADD stats:sensors 5 a 7 b 5 c");
  assert_int_equal(store_ops.stats(f->host.store, &stats, take_sensor, text, &err), COF_OK);
  assert_string_equal(text, "b=7 c=5 a=5 ");
  assert_int_equal(stats.observations, 0);
  redistest_do(f->server, "SET stats:processed 12");
  assert_int_equal(store_ops.stats(f->host.store, &stats, NULL, NULL, &err), COF_OK);
  assert_int_equal(stats.observations, 12);
}

/* --- faults ----------------------------------------------------------------------------------- */

static struct cof_batch *small_batch(void)
{
  struct cof_record r = RECORD("a.example", "192.0.2.1", NULL, 5, 6, 1, 1);
  return batch_of(&r, 1);
}

static void a_server_that_is_down(void **state)
{
  struct fixture *f = *state;
  need_server(f);
  struct cof_batch *batch = small_batch();
  struct cof_query q = query_of(COF_QUERY_RRNAME, "a.example");
  struct cof_error err;
  void *cursor;
  storehost_init(&f->host, redistest_port(f->server));
  redistest_kill(f->server, SIGKILL);
  assert_int_equal(storehost_start(&f->host, false), COF_OK);
  assert_int_equal(f->host.errors, 1);
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_RETRY);
  for (int i = 0; i < 3; i++)
    assert_int_equal(storehost_write(&f->host, batch).result, COF_RETRY);
  assert_int_equal(f->host.errors, 1);
  redistest_restart(f->server);
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  struct cof_batch *a = storehost_ask(&f->host, &q, 10);
  expect_size(a, 1);
  cof_batch_destroy(&a);
  cof_batch_destroy(&batch);
}

static void a_wrong_password_is_fatal(void **state)
{
  struct fixture *f = *state;
  need_server(f);
  char password[] = "wrong";
  redistest_do(f->server, "CONFIG SET requirepass right");
  storehost_init(&f->host, redistest_port(f->server));
  f->host.conf.password = password;
  assert_int_equal(storehost_start(&f->host, false), COF_FATAL);
  assert_non_null(strstr(f->host.log, "WRONGPASS"));
  redistest_auth(f->server, "right");
}

static void out_of_memory_counts_nothing_twice(void **state)
{
  struct fixture *f = begin(state);
  struct cof_batch *batch = small_batch();
  /* The count is taken, and the sets after it are not: the write has to be repeated. */
  redistest_do(f->server, "ACL SETUSER default on nopass ~* +@all -sadd");
  assert_int_equal(storehost_write(&f->host, batch).result, COF_FATAL);
  redistest_do(f->server, "ACL SETUSER default on nopass ~* +@all");
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  expect_text(f, "o:a.example:192.0.2.1:1", "1");
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  expect_text(f, "o:a.example:192.0.2.1:1", "2");
  redistest_do(f->server, "CONFIG SET maxmemory 1");
  assert_int_equal(storehost_write(&f->host, batch).result, COF_RETRY);
  assert_non_null(strstr(f->host.log, "OOM"));
  redistest_do(f->server, "CONFIG SET maxmemory 0");
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  expect_text(f, "o:a.example:192.0.2.1:1", "3");
  redistest_do(f->server, "REPLICAOF 127.0.0.1 %d", redistest_free_port());
  assert_int_equal(storehost_write(&f->host, batch).result, COF_RETRY);
  assert_non_null(strstr(f->host.log, "READONLY"));
  redistest_do(f->server, "REPLICAOF NO ONE");
  assert_int_equal(storehost_write(&f->host, batch).result, COF_OK);
  cof_batch_destroy(&batch);
}

static void a_restart_under_a_scan_is_noticed(void **state)
{
  struct fixture *f = begin(state);
  struct cof_error err;
  void *cursor;
  struct cof_query q = query_of(COF_QUERY_ALL, NULL);
  struct cof_batch *into = cof_batch_create();
  fill_big(f, 5000);
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_OK);
  assert_int_equal(store_ops.next(f->host.store, cursor, 10, into, &err), COF_OK);
  redistest_kill(f->server, SIGKILL);
  redistest_restart(f->server);
  fill_big(f, 5000);
  enum cof_result result = COF_OK;
  for (int i = 0; i < 20 && (result == COF_OK || result == COF_RETRY); i++)
    result = store_ops.next(f->host.store, cursor, 1000, into, &err);
  assert_int_equal(result, COF_FATAL);
  store_ops.close(f->host.store, cursor);
  cof_batch_destroy(&into);
}

/* --- cluster ---------------------------------------------------------------------------------- */

#define NODES         3
#define CLUSTER_TRIES 3000

struct cluster {
  struct redistest *nodes[NODES];
};

static bool cluster_ok(const struct cluster *c)
{
  bool ok = true;
  for (int i = 0; i < NODES && ok; i++) {
    redisReply *reply = redistest_command(c->nodes[i], "CLUSTER INFO");
    ok = strstr(reply->str, "cluster_state:ok") != NULL &&
         strstr(reply->str, "cluster_known_nodes:3") != NULL;
    freeReplyObject(reply);
  }
  return ok;
}

static void cluster_start(struct cluster *c)
{
  int bus[NODES];
  for (int i = 0; i < NODES; i++) {
    char port[8];
    bus[i] = redistest_free_port();
    snprintf(port, sizeof port, "%d", bus[i]);
    c->nodes[i] =
        redistest_start((const char *[]){"--cluster-enabled", "yes", "--cluster-port", port, NULL});
    redistest_do(c->nodes[i], "CLUSTER ADDSLOTSRANGE %d %d", i * 16384 / NODES,
                 (i + 1) * 16384 / NODES - 1);
    redistest_do(c->nodes[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
  }
  for (int i = 1; i < NODES; i++)
    redistest_do(c->nodes[0], "CLUSTER MEET 127.0.0.1 %d %d", (int)redistest_port(c->nodes[i]),
                 bus[i]);
  for (int i = 0; i < CLUSTER_TRIES; i++) {
    if (cluster_ok(c))
      return;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  fail_msg("the cluster does not come up");
}

#define CLUSTER_NAMES 500

static void put_names(struct fixture *f, int64_t first, int64_t last)
{
  static char names[CLUSTER_NAMES][32];
  static struct cof_record records[CLUSTER_NAMES];
  for (int i = 0; i < CLUSTER_NAMES; i++) {
    snprintf(names[i], sizeof names[i], "n%d.example", i);
    records[i] = (struct cof_record){.rrname = names[i],
                                     .rdata = "192.0.2.1",
                                     .rrtype = 1,
                                     .time_first = first,
                                     .time_last = last,
                                     .count = 1};
  }
  struct cof_batch *batch = batch_of(records, CLUSTER_NAMES);
  struct cof_ticket ticket = storehost_write(&f->host, batch);
  if (ticket.result != COF_OK)
    fail_msg("%s", f->host.log);
  cof_batch_destroy(&batch);
}

static void a_cluster_holds_it_too(void **state)
{
  struct fixture *f = *state;
  struct cluster c = {{NULL}};
  need_server(f);
  cluster_start(&c);
  storehost_init(&f->host, redistest_port(c.nodes[1]));
  f->host.conf.mode = RESP_CLUSTER;
  assert_int_equal(storehost_start(&f->host, false), COF_OK);
  put_names(f, 10, 20);
  put_names(f, 5, 30);
  for (int i = 0; i < NODES; i++)
    assert_true(redistest_integer(c.nodes[i], "DBSIZE") > CLUSTER_NAMES);
  struct cof_query q = query_of(COF_QUERY_ALL, NULL);
  struct cof_batch *a = storehost_ask(&f->host, &q, 100), *b;
  expect_size(a, CLUSTER_NAMES);
  expect_record(a, "n7.example", 1, "192.0.2.1", 5, 30, 2);
  b = storehost_ask_resuming(&f->host, &q, 33);
  same_answers(a, b);
  cof_batch_destroy(&b);
  q = query_of(COF_QUERY_RDATA_ADDR, "192.0.2.1");
  b = storehost_ask_resuming(&f->host, &q, 33);
  same_answers(a, b);
  cof_batch_destroy(&a);
  cof_batch_destroy(&b);
  storehost_stop(&f->host);
  for (int i = 0; i < NODES; i++)
    redistest_stop(&c.nodes[i]);
}

/* --- kvrocks ---------------------------------------------------------------------------------- */

static bool on_path(const char *program)
{
  char file[4096];
  for (const char *path = getenv("PATH"); path != NULL && *path != '\0';) {
    size_t len = strcspn(path, ":");
    snprintf(file, sizeof file, "%.*s/%s", (int)len, path, program);
    if (access(file, X_OK) == 0)
      return true;
    path += len + (path[len] == ':');
  }
  return false;
}

struct kvrocks {
  char dir[32];
  uint16_t port;
  pid_t pid;
};

static pid_t kvrocks_start(const char *dir, uint16_t port)
{
  char file[64];
  snprintf(file, sizeof file, "%s/kvrocks.conf", dir);
  FILE *conf = fopen(file, "w");
  assert_non_null(conf);
  fprintf(conf, "bind 127.0.0.1\nport %u\ndir %s\ndaemonize no\n", port, dir);
  assert_int_equal(fclose(conf), 0);
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid != 0)
    return pid;
  char log[64];
  snprintf(log, sizeof log, "%s/output", dir);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (freopen(log, "w", stdout) == NULL || dup2(fileno(stdout), STDERR_FILENO) < 0)
    _exit(127);
  execlp("kvrocks", "kvrocks", "-c", file, (char *)NULL);
  _exit(127);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

/* It may replay its log for a while before it answers. */
static bool kvrocks_answers(uint16_t port)
{
  for (int i = 0; i < CLUSTER_TRIES; i++) {
    redisContext *c = redisConnect("127.0.0.1", port);
    redisReply *reply = c != NULL && c->err == 0 ? redisCommand(c, "PING") : NULL;
    bool good = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (reply != NULL)
      freeReplyObject(reply);
    if (c != NULL)
      redisFree(c);
    if (good)
      return true;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  return false;
}

static struct kvrocks kvrocks_begin(void)
{
  struct kvrocks k = {.dir = "/tmp/cofd-kvrocks-XXXXXX"};
  if (!on_path("kvrocks")) {
    print_message("kvrocks is not on PATH: skipped\n");
    skip();
  }
  assert_non_null(mkdtemp(k.dir));
  k.port = redistest_free_port();
  k.pid = kvrocks_start(k.dir, k.port);
  assert_true(kvrocks_answers(k.port));
  return k;
}

static void kvrocks_kill(const struct kvrocks *k)
{
  kill(k->pid, SIGKILL);
  waitpid(k->pid, NULL, 0);
}

static void kvrocks_end(const struct kvrocks *k)
{
  kvrocks_kill(k);
  nftw(k->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void kvrocks_holds_it_too(void **state)
{
  struct fixture *f = *state;
  char text[] = "TXT:24000";
  char *items[] = {text};
  struct kvrocks k = kvrocks_begin();
  storehost_init(&f->host, k.port);
  f->host.conf.expire = (struct cof_list){items, 1};
  assert_int_equal(storehost_start(&f->host, true), COF_OK);
  put_names(f, 10, 20);
  put_names(f, 5, 30);
  storehost_put(&f->host, "t.example", 16, "\"x\"", 5, 6, 1);
  struct cof_query q = query_of(COF_QUERY_ALL, NULL);
  struct cof_batch *a = storehost_ask(&f->host, &q, 100), *b;
  expect_size(a, CLUSTER_NAMES + 1);
  expect_record(a, "n7.example", 1, "192.0.2.1", 5, 30, 2);
  expect_record(a, "t.example", 16, "\"x\"", 5, 6, 1);
  b = storehost_ask_resuming(&f->host, &q, 33);
  same_answers(a, b);
  cof_batch_destroy(&a);
  cof_batch_destroy(&b);
  q = query_of(COF_QUERY_RDATA_ADDR, "192.0.2.1");
  b = storehost_ask_resuming(&f->host, &q, 33);
  expect_size(b, CLUSTER_NAMES);
  cof_batch_destroy(&b);
  storehost_stop(&f->host);
  kvrocks_end(&k);
}

/* Names enough for several pages of SCAN. */
static void put_many(struct fixture *f, int count)
{
  struct cof_batch *batch = cof_batch_create();
  assert_non_null(batch);
  for (int i = 0; i < count; i++) {
    char name[32];
    snprintf(name, sizeof name, "n%05d.example", i);
    const struct cof_record r = {.rrname = name,
                                 .rrname_len = (uint16_t)strlen(name),
                                 .rdata = "192.0.2.1",
                                 .rdata_len = 9,
                                 .rrtype = 1,
                                 .time_first = 5,
                                 .time_last = 6,
                                 .count = 1};
    assert_true(cof_batch_add(batch, &r));
  }
  struct cof_ticket ticket = storehost_write(&f->host, batch);
  assert_int_equal(ticket.result, COF_OK);
  assert_int_equal(ticket.rejected, 0);
  cof_batch_destroy(&batch);
}

/* Kvrocks begins anew without a word when it is given a cursor of before its restart. */
static void kvrocks_forgets_its_cursors(void **state)
{
  struct fixture *f = *state;
  struct cof_error err;
  void *cursor;
  struct kvrocks k = kvrocks_begin();
  storehost_init(&f->host, k.port);
  assert_int_equal(storehost_start(&f->host, true), COF_OK);
  put_many(f, 4000);
  struct cof_query q = query_of(COF_QUERY_ALL, NULL);
  struct cof_batch *into = cof_batch_create();
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_OK);
  assert_int_equal(store_ops.next(f->host.store, cursor, 10, into, &err), COF_OK);
  kvrocks_kill(&k);
  k.pid = kvrocks_start(k.dir, k.port);
  assert_true(kvrocks_answers(k.port));
  enum cof_result result = COF_OK;
  for (int i = 0; i < 20 && (result == COF_OK || result == COF_RETRY); i++)
    result = store_ops.next(f->host.store, cursor, 1000, into, &err);
  assert_int_equal(result, COF_FATAL);
  store_ops.close(f->host.store, cursor);
  cof_batch_destroy(&into);
  storehost_stop(&f->host);
  kvrocks_end(&k);
}

/* --- options ---------------------------------------------------------------------------------- */

struct counting_diag {
  struct cof_diag diag;
  const char *option;
  int count;
};

static void count_report(struct cof_diag *diag, const char *option, const char *text)
{
  struct counting_diag *d = (struct counting_diag *)diag;
  assert_non_null(text);
  d->option = option;
  d->count++;
}

static void expect_blame(const struct conf *conf, const char *option)
{
  static const struct flavour flavour = {"redis", false, 6379};
  struct counting_diag d = {.diag = {.report = count_report}};
  assert_int_equal(conf_check(conf, &flavour, &d.diag), option != NULL ? COF_REJECT : COF_OK);
  assert_int_equal(d.count, option != NULL);
  if (option != NULL)
    assert_string_equal(d.option, option);
}

static void options_that_do_not_go_together(void **state)
{
  char good[] = "[::1]:6379", bad[] = "host:port", txt[] = "TXT:0", mixed[] = "txt:24000",
       x[] = "x";
  char *servers[] = {good}, *wrong[] = {bad}, *expiry[] = {mixed}, *no_expiry[] = {txt};
  struct conf base = {.server = {servers, 1}, .expire = {expiry, 1}}, conf;
  (void)state;
  expect_blame(&base, NULL);
  conf = base;
  conf.server.items = wrong;
  expect_blame(&conf, "server");
  conf = base;
  conf.expire.items = no_expiry;
  expect_blame(&conf, "expire");
  conf = base;
  conf.socket = x;
  expect_blame(&conf, "socket");
  conf = base;
  conf.mode = RESP_SENTINEL;
  expect_blame(&conf, "master");
  conf = base;
  conf.mode = RESP_CLUSTER;
  conf.database = 1;
  expect_blame(&conf, "database");
  conf = base;
  conf.user = x;
  expect_blame(&conf, "user");
  conf = base;
  conf.ca_file = x;
  expect_blame(&conf, "ca_file");
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      WITH_SERVER(keys_as_the_reference_writes_them),
      WITH_SERVER(distributions_of_what_sensors_log),
      WITH_SERVER(times_move_outward_only),
      WITH_SERVER(counts_add_up_and_totals_raise),
      WITH_SERVER(two_writers_at_once_end_at_the_extremes),
      WITH_SERVER(records_expire_with_all_their_keys),
      WITH_SERVER(members_of_expired_records_go),
      WITH_SERVER(a_key_of_another_kind_refuses_its_record),
      WITH_SERVER(what_the_reference_wrote_is_read),
      WITH_SERVER(dead_members_and_odd_spellings),
      WITH_SERVER(reverse_questions),
      WITH_SERVER(sets_beyond_200_are_answered_whole),
      WITH_SERVER(sets_beyond_memory_are_answered_page_by_page),
      WITH_SERVER(deadlines_and_foreign_tokens),
      WITH_SERVER(statistics),
      WITH_SERVER(a_server_that_is_down),
      WITH_SERVER(a_wrong_password_is_fatal),
      WITH_SERVER(out_of_memory_counts_nothing_twice),
      WITH_SERVER(a_restart_under_a_scan_is_noticed),
      WITH_SERVER(a_cluster_holds_it_too),
      cmocka_unit_test_setup_teardown(kvrocks_holds_it_too, set_up, tear_down),
      cmocka_unit_test_setup_teardown(kvrocks_forgets_its_cursors, set_up, tear_down),
      cmocka_unit_test(options_that_do_not_go_together),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
