/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

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

#include "compact_private.h"
#include "compactmodel.h"
#include "redistest.h"

struct fixture {
  struct redistest *server;
  bool ordered;  /* as of a Kvrocks, by a proxy that makes HRANGEBYLEX known */
  pid_t proxy;   /* 0: none */
  uint16_t port; /* where the storage finds the server */
  struct storehost host;
  struct model model;
};

static void start_host(const struct fixture *f, struct storehost *h)
{
  storehost_init(h, f->port);
  h->conf.layout = 2;
  if (storehost_start(h, f->ordered) != COF_OK)
    fail_msg("start: %s", h->log);
}

/* The proxy says where it listens. */
static void start_proxy(struct fixture *f)
{
  const char *top = getenv("srcdir");
  char path[4096], port[8], said[16] = "";
  int out[2];
  snprintf(path, sizeof path, "%s/tests/e2e/lexproxy.py", top != NULL ? top : ".");
  snprintf(port, sizeof port, "%u", redistest_port(f->server));
  assert_int_equal(pipe(out), 0);
  f->proxy = fork();
  assert_true(f->proxy >= 0);
  if (f->proxy == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out[1], 1) == 1)
      execlp("python3", "python3", path, port, (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  for (size_t n = 0; n + 1 < sizeof said && strchr(said, '\n') == NULL; n++)
    if (read(out[0], said + n, 1) != 1)
      break;
  close(out[0]);
  f->port = (uint16_t)strtoul(said, NULL, 10);
}

static void stop_proxy(struct fixture *f)
{
  if (f->proxy <= 0)
    return;
  kill(f->proxy, SIGKILL);
  waitpid(f->proxy, NULL, 0);
  f->proxy = 0;
}

static int set_up(void **state)
{
  struct fixture *f = calloc(1, sizeof *f);
  *state = f;
  if (f == NULL)
    return -1;
  model_init(&f->model, 200000);
  srand(7);
  if (redistest_available()) {
    f->server = redistest_start(NULL);
    f->port = redistest_port(f->server);
  }
  return 0;
}

static int set_up_ordered(void **state)
{
  if (set_up(state) != 0)
    return -1;
  struct fixture *f = *state;
  f->ordered = true;
  if (f->server != NULL)
    start_proxy(f);
  return 0;
}

static int tear_down(void **state)
{
  struct fixture *f = *state;
  storehost_stop(&f->host);
  stop_proxy(f);
  redistest_stop(&f->server);
  model_free(&f->model);
  free(f);
  return 0;
}

static struct fixture *begin(void **state)
{
  struct fixture *f = *state;
  if (f->server == NULL) {
    print_message("redis-server is not on PATH: skipped\n");
    skip();
  }
  if (f->port == 0) {
    print_message("python3 does not run tests/e2e/lexproxy.py: skipped\n");
    skip();
  }
  start_host(f, &f->host);
  return f;
}

static void write_batch(struct storehost *h, const struct cof_batch *batch)
{
  struct cof_ticket ticket = storehost_write(h, batch);
  if (ticket.result != COF_OK || ticket.rejected != 0)
    fail_msg("write: %s, %zu rejected: %s", cof_result_name(ticket.result), ticket.rejected,
             h->log);
}

static void fill(struct fixture *f, size_t batches, size_t count, unsigned variety)
{
  for (size_t i = 0; i < batches; i++) {
    struct cof_batch *batch = model_batch(count, variety);
    write_batch(&f->host, batch);
    model_apply(&f->model, batch);
    cof_batch_destroy(&batch);
  }
}

static void check_all(struct fixture *f, struct storehost *h)
{
  struct cof_query q = COF_QUERY_INIT;
  q.kind = COF_QUERY_ALL;
  model_check(&f->model, h, &q);
}

static void check_some(struct fixture *f, struct storehost *h, int questions)
{
  check_all(f, h);
  for (int i = 0; i < questions; i++) {
    struct cof_query q = model_question(&f->model);
    model_check(&f->model, h, &q);
  }
  assert_int_equal(h->unreadable, 0);
  assert_int_equal(h->stale, 0);
}

static void few_records(void **state)
{
  struct fixture *f = begin(state);
  check_all(f, &f->host);
  for (int i = 0; i < 30; i++) {
    fill(f, 1, 1 + (size_t)rand() % 20, 10);
    check_some(f, &f->host, 5);
  }
}

static void many_records(void **state)
{
  struct fixture *f = begin(state);
  fill(f, 1, 20000, 100000); /* into one empty leaf */
  fill(f, 30, 1000, 100000);
  fill(f, 3, 10000, 2000);
  check_some(f, &f->host, 30);
}

static bool is_page(const char *key)
{
  return strncmp(key, "cofd:f:", 7) == 0 || strncmp(key, "cofd:r:", 7) == 0;
}

/* Every page is one flat block of bounded size. */
static void pages_stay_small(void **state)
{
  struct fixture *f = begin(state);
  size_t pages = 0;
  long long most = 0;
  fill(f, 20, 2000, 100000);
  redisReply *keys = redistest_command(f->server, "KEYS *");
  for (size_t i = 0; i < keys->elements; i++) {
    const char *key = keys->element[i]->str;
    if (!is_page(key))
      continue;
    long long n = redistest_integer(f->server, "HLEN %s", key);
    redisReply *level = redistest_command(f->server, "HGET %s m", key);
    redisReply *r = redistest_command(f->server, "OBJECT ENCODING %s", key);
    assert_int_equal(level->len, CP_HEAD_LEN);
    if (level->str[0] == 0)
      assert_string_equal(r->str, "listpack");
    freeReplyObject(level);
    freeReplyObject(r);
    most = n > most ? n : most;
    pages++;
  }
  freeReplyObject(keys);
  assert_true(pages > 400);
  assert_true(most <= CP_SPLIT + 2);
}

static void another_instance_sees_it(void **state)
{
  struct fixture *f = begin(state);
  struct storehost other;
  fill(f, 5, 1000, 5000);
  start_host(f, &other);
  check_some(f, &other, 10);
  fill(f, 20, 1000, 100000); /* what the other one remembers is old now */
  check_some(f, &other, 10);
  storehost_stop(&other);
}

static void take_sensors(void *arg, const char *sensor, uint64_t records)
{
  uint64_t *sum = arg;
  assert_memory_equal(sensor, "sensor", 6);
  *sum += records;
}

static void statistics(void **state)
{
  struct fixture *f = begin(state);
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  struct cof_error err;
  uint64_t sensors = 0, observations = 0;
  for (int i = 0; i < 5; i++) {
    struct cof_batch *batch = model_batch(1000, 3000);
    write_batch(&f->host, batch);
    model_apply(&f->model, batch);
    observations += cof_batch_observations(batch);
    cof_batch_destroy(&batch);
  }
  assert_int_equal(store_ops.stats(f->host.store, &stats, take_sensors, &sensors, &err), COF_OK);
  assert_int_equal(stats.observations, observations);
  assert_int_equal(sensors, observations);
  assert_int_equal(stats.records, cof_batch_count(f->model.all));
  assert_false(stats.records_exact);
}

static void counts_and_times_saturate(void **state)
{
  struct fixture *f = begin(state);
  for (int i = 0; i < 3; i++)
    storehost_put(&f->host, "big.example", COF_TYPE_A, "192.0.2.1", i == 1 ? 0 : 5,
                  i == 2 ? COF_TIME_MAX : 6, COF_COUNT_MAX - 1);
  struct cof_query q = query_of(COF_QUERY_RDATA_ADDR, "192.0.2.1");
  struct cof_batch *b = storehost_ask(&f->host, &q, 10);
  const struct cof_record *r = find(b, "big.example", COF_TYPE_A, "192.0.2.1");
  assert_non_null(r);
  assert_int_equal(r->count, COF_COUNT_MAX);
  assert_int_equal(r->time_first, 0);
  assert_int_equal(r->time_last, COF_TIME_MAX);
  cof_batch_destroy(&b);
}

static void bad_records_are_refused(void **state)
{
  struct fixture *f = begin(state);
  const struct cof_record list[] = {
      {.rrname = "a.example", .rrtype = COF_TYPE_A, .rdata = "no address", .count = 1},
      {.rrname = "a..example", .rrtype = COF_TYPE_NS, .rdata = "b.example", .count = 1},
      {.rrname = "b.example", .rrtype = COF_TYPE_A, .rdata = "192.0.2.1", .time_first = -1},
      {.rrname = "c.example", .rrtype = COF_TYPE_A, .rdata = "192.0.2.1", .count = 1}};
  struct cof_batch *b = batch_of(list, 4);
  struct cof_ticket ticket = storehost_write(&f->host, b);
  cof_batch_destroy(&b);
  assert_int_equal(ticket.result, COF_OK);
  assert_int_equal(ticket.rejected, 3);
  struct cof_query q = query_of(COF_QUERY_ALL, NULL);
  b = storehost_ask(&f->host, &q, 10);
  assert_int_equal(cof_batch_count(b), 1);
  cof_batch_destroy(&b);
}

static void longest_rdata(void **state)
{
  struct fixture *f = begin(state);
  static char text[COF_RDATA_MAX + 1];
  memset(text, 'x', COF_RDATA_MAX);
  text[0] = text[COF_RDATA_MAX - 1] = '"';
  storehost_put(&f->host, "long.example", COF_TYPE_TXT, text, 1, 2, 3);
  storehost_put(&f->host, "long.example", COF_TYPE_TXT, text, 1, 4, 3);
  struct cof_query q = query_of(COF_QUERY_RDATA_TEXT, text);
  struct cof_batch *b = storehost_ask_resuming(&f->host, &q, 1);
  const struct cof_record *r = find(b, "long.example", COF_TYPE_TXT, text);
  assert_non_null(r);
  assert_int_equal(r->count, 6);
  cof_batch_destroy(&b);
}

/* --- several writers -------------------------------------------------------------------------- */

#define WRITERS 3

struct writing {
  pthread_t thread;
  struct storehost host;
  struct cof_batch *batches[40];
  atomic_bool done;
  bool good;
};

static void *write_them(void *arg)
{
  struct writing *w = arg;
  w->good = true;
  for (size_t i = 0; i < sizeof w->batches / sizeof *w->batches; i++) {
    struct cof_ticket ticket = {0};
    store_ops.write(w->host.store, w->batches[i], &ticket);
    w->good = w->good && ticket.result == COF_OK && ticket.rejected == 0;
  }
  atomic_store(&w->done, true);
  return NULL;
}

/* All that was there before is answered, whatever the writers do meanwhile. */
static void ask_meanwhile(struct fixture *f, struct writing *w)
{
  struct cof_query q = query_of(COF_QUERY_ALL, NULL);
  struct model old;
  size_t count = cof_batch_count(f->model.all);
  do {
    struct cof_batch *b = storehost_ask_resuming(&f->host, &q, 300);
    model_init(&old, cof_batch_count(b));
    model_apply(&old, b);
    assert_int_equal(cof_batch_count(old.all), cof_batch_count(b));
    model_apply(&old, f->model.all);
    assert_int_equal(cof_batch_count(old.all), cof_batch_count(b));
    assert_true(cof_batch_count(b) >= count);
    model_free(&old);
    cof_batch_destroy(&b);
  } while (!atomic_load(&w->done));
}

/* Changes without totals commute, so that the order of writers does not matter. */
static struct cof_batch *commuting_batch(size_t count, unsigned variety)
{
  struct cof_batch *b = model_batch(count, variety);
  for (size_t i = 0; i < cof_batch_count(b); i++)
    cof_batch_at(b, i)->total = 0;
  return b;
}

static void writers_at_once(void **state)
{
  struct fixture *f = begin(state);
  static struct writing w[WRITERS];
  size_t each = sizeof w[0].batches / sizeof *w[0].batches;
  fill(f, 1, 3000, 2000);
  for (size_t i = 0; i < WRITERS; i++) {
    start_host(f, &w[i].host);
    for (size_t j = 0; j < each; j++)
      w[i].batches[j] = commuting_batch(j % 2 ? 300 : 20, j % 2 ? 3000 : 20);
  }
  for (size_t i = 0; i < WRITERS; i++)
    assert_int_equal(pthread_create(&w[i].thread, NULL, write_them, &w[i]), 0);
  ask_meanwhile(f, &w[0]);
  for (size_t i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_join(w[i].thread, NULL), 0);
    if (!w[i].good)
      fail_msg("%s", w[i].host.log);
    for (size_t j = 0; j < each; j++) {
      model_apply(&f->model, w[i].batches[j]);
      cof_batch_destroy(&w[i].batches[j]);
    }
  }
  check_some(f, &w[1].host, 50);
  for (size_t i = 0; i < WRITERS; i++)
    storehost_stop(&w[i].host);
}

/* --- faults ----------------------------------------------------------------------------------- */

static void tokens_are_checked(void **state)
{
  struct fixture *f = begin(state);
  struct cof_error err;
  uint8_t token[COF_TOKEN_MAX];
  void *cursor = NULL;
  struct cof_query q = query_of(COF_QUERY_RRNAME, "a.example");
  size_t len;
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_OK);
  assert_int_equal(store_ops.token(f->host.store, cursor, token, sizeof token, &len), COF_OK);
  assert_int_equal(store_ops.token(f->host.store, cursor, token, 3, &len), COF_REJECT);
  store_ops.close(f->host.store, cursor);
  q.token = token;
  for (q.token_len = 0; q.token_len < len; q.token_len++)
    assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_REJECT);
  q.name = "b.example";
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "another question"));
  q.name = "a.example";
  assert_int_equal(store_ops.open(f->host.store, &q, &cursor, &err), COF_OK);
  store_ops.close(f->host.store, cursor);
}

static void an_unknown_version_is_refused(void **state)
{
  struct fixture *f = begin(state);
  storehost_stop(&f->host);
  redistest_do(f->server, "SET cofd:layout %s", "compact 99");
  storehost_init(&f->host, f->port);
  f->host.conf.layout = 0;
  assert_int_equal(storehost_start(&f->host, f->ordered), COF_FATAL);
  assert_non_null(strstr(f->host.log, "compact 99"));
}

static const char *chosen(struct fixture *f, int wanted)
{
  storehost_stop(&f->host);
  storehost_init(&f->host, f->port);
  f->host.conf.layout = wanted;
  if (storehost_start(&f->host, f->ordered) != COF_OK)
    return "none";
  return atomic_load(&f->host.store->layout)->name;
}

static void the_database_tells_its_layout(void **state)
{
  struct fixture *f = begin(state);
  assert_string_equal(chosen(f, 0), "compact");
  assert_string_equal(chosen(f, 1), "none");
  redistest_do(f->server, "FLUSHALL");
  assert_string_equal(chosen(f, 0), "compact");
  redistest_do(f->server, "FLUSHALL");
  assert_string_equal(chosen(f, 1), "d4");
  storehost_put(&f->host, "a.example", COF_TYPE_A, "192.0.2.1", 1, 2, 3);
  assert_string_equal(chosen(f, 0), "d4");
  assert_string_equal(chosen(f, 2), "none");
  assert_non_null(strstr(f->host.log, "holds the layout d4"));
}

/* What a writer leaves that dies between two steps of a split. */
static void a_separator_is_mended(void **state)
{
  struct fixture *f = begin(state);
  fill(f, 1, 3000, 100000);
  redisReply *r = redistest_command(f->server, "HKEYS cofd:f:%016x", 0);
  assert_int_equal(r->type, REDIS_REPLY_ARRAY);
  size_t before = r->elements, gone = 0;
  for (size_t i = 0; i < r->elements; i++)
    if (r->element[i]->len > 1 && i % 2) {
      redistest_do(f->server, "HDEL cofd:f:%016x %b", 0, r->element[i]->str, r->element[i]->len);
      gone++;
    }
  freeReplyObject(r);
  assert_true(gone > 10);
  static struct storehost other; /* the fixture ends it, after this returned */
  start_host(f, &other);
  check_some(f, &other, 20);
  storehost_stop(&f->host); /* it knows the separators */
  f->host = other;
  fill(f, 1, 1500, 100000);
  assert_true((size_t)redistest_integer(f->server, "HLEN cofd:f:%016x", 0) >= before);
  check_some(f, &f->host, 20);
}

static void entries_astray_say_nothing(void **state)
{
  struct fixture *f = begin(state);
  fill(f, 5, 1000, 100000);
  uint8_t field[] = {'z', 'z', 0, 0, 0, 1, 10, 0, 0, 1}, value[] = {0, 1};
  redistest_do(f->server, "HSET cofd:f:%016x %b %b", 1, field, sizeof field, value, sizeof value);
  check_some(f, &f->host, 20);
  fill(f, 5, 1000, 100000); /* the page is split, and the entry goes */
  assert_int_equal(redistest_integer(f->server, "HEXISTS cofd:f:%016x %b", 1, field, sizeof field),
                   0);
  check_some(f, &f->host, 20);
}

static void an_emptied_database_is_begun_anew(void **state)
{
  struct fixture *f = begin(state);
  fill(f, 5, 1000, 100000);
  redistest_do(f->server, "FLUSHALL");
  model_free(&f->model);
  model_init(&f->model, 200000);
  fill(f, 2, 1000, 100000);
  check_all(f, &f->host);
}

static void a_restarted_server_knows_no_scripts(void **state)
{
  struct fixture *f = begin(state);
  fill(f, 2, 1000, 500);
  redistest_do(f->server, "SCRIPT FLUSH");
  fill(f, 2, 1000, 500);
  redistest_do(f->server, "SCRIPT FLUSH");
  fill(f, 5, 2000, 100000);
  check_some(f, &f->host, 20);
}

static void writes_fail_and_are_repeated(void **state)
{
  struct fixture *f = begin(state);
  fill(f, 2, 1000, 500);
  redistest_kill(f->server, SIGKILL);
  struct cof_batch *b = model_batch(10, 10);
  assert_int_equal(storehost_write(&f->host, b).result, COF_RETRY);
  redistest_restart(f->server); /* empty: nothing was saved */
  write_batch(&f->host, b);
  model_free(&f->model);
  model_init(&f->model, 200000);
  model_apply(&f->model, b);
  check_all(f, &f->host);
  cof_batch_destroy(&b);
}

/* --- expiry ----------------------------------------------------------------------------------- */

static size_t answers(struct fixture *f, enum cof_query_kind kind, const char *text)
{
  struct cof_query q = query_of(kind, text);
  struct cof_batch *b = storehost_ask(&f->host, &q, 100);
  size_t n = cof_batch_count(b);
  cof_batch_destroy(&b);
  return n;
}

static void start_expiring(struct fixture *f)
{
  static char *items[] = {(char *)(uintptr_t) "A:1000"};
  storehost_stop(&f->host);
  storehost_init(&f->host, f->port);
  f->host.conf.layout = 2;
  f->host.conf.expire.items = items;
  f->host.conf.expire.count = 1;
  assert_int_equal(storehost_start(&f->host, f->ordered), COF_OK);
}

static void records_expire(void **state)
{
  struct fixture *f = begin(state);
  int64_t now = compact_now();
  start_expiring(f);
  storehost_put(&f->host, "old.example", COF_TYPE_A, "192.0.2.1", 5, now - 2000, 7);
  storehost_put(&f->host, "new.example", COF_TYPE_A, "192.0.2.1", 5, now - 500, 7);
  storehost_put(&f->host, "old.example", COF_TYPE_NS, "ns.example", 5, now - 2000, 7);
  assert_int_equal(answers(f, COF_QUERY_RRNAME, "old.example"), 1);
  assert_int_equal(answers(f, COF_QUERY_RDATA_ADDR, "192.0.2.1"), 1);
  storehost_put(&f->host, "old.example", COF_TYPE_A, "192.0.2.1", now - 9, now, 1);
  struct cof_query q = query_of(COF_QUERY_RDATA_ADDR, "192.0.2.1");
  struct cof_batch *b = storehost_ask(&f->host, &q, 100);
  const struct cof_record *r = find(b, "old.example", COF_TYPE_A, "192.0.2.1");
  assert_non_null(r);
  assert_int_equal(r->time_first, now - 9);
  assert_int_equal(r->count, 1);
  cof_batch_destroy(&b);
}

/* Old records go in place of a split: the database does not grow. */
static void expired_records_make_room(void **state)
{
  struct fixture *f = begin(state);
  start_expiring(f);
  for (int i = 0; i < 1000; i++) {
    char name[32];
    snprintf(name, sizeof name, "n%d.example", i);
    storehost_put(&f->host, name, COF_TYPE_A, "192.0.2.1", 5, 6, 7);
  }
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  struct cof_error err;
  long long fields = redistest_integer(f->server, "HLEN cofd:f:%016x", 1);
  assert_true(fields <= CP_SPLIT + 2);
  assert_int_equal(store_ops.stats(f->host.store, &stats, NULL, NULL, &err), COF_OK);
  assert_int_equal(stats.records, fields - 2);
  assert_int_equal(redistest_integer(f->server, "HLEN cofd:f:%016x", 0), 3);
  assert_int_equal(answers(f, COF_QUERY_ALL, NULL), 0);
}

/* --- ordered trees ---------------------------------------------------------------------------- */

static void check_mark(struct fixture *f, const char *want)
{
  redisReply *r = redistest_command(f->server, "GET cofd:layout");
  assert_string_equal(r->str, want);
  freeReplyObject(r);
}

/* All is in one hash of each tree, and nothing but far tails elsewhere. */
static void an_ordered_tree_is_one_key(void **state)
{
  struct fixture *f = begin(state);
  fill(f, 10, 2000, 100000);
  check_mark(f, "compact-ordered 1");
  assert_int_equal(redistest_integer(f->server, "EXISTS cofd:f:%016x cofd:r:%016x", 0, 0), 0);
  assert_int_equal(redistest_integer(f->server, "HLEN cofd:f:%016x", 1),
                   2 + cof_batch_count(f->model.all));
  redisReply *keys = redistest_command(f->server, "KEYS cofd:[fr]:*");
  for (size_t i = 0; i < keys->elements; i++)
    assert_true(strstr(keys->element[i]->str, ":0000000000000001") != NULL);
  freeReplyObject(keys);
  check_some(f, &f->host, 20);
}

/* What a storage says that is to use this server. */
static const char *refused(struct fixture *f, uint16_t port, bool kvrocks)
{
  storehost_stop(&f->host);
  storehost_init(&f->host, port);
  f->host.conf.layout = 0;
  return storehost_start(&f->host, kvrocks) == COF_FATAL ? f->host.log : "it is taken";
}

static void an_ordered_database_needs_ranges(void **state)
{
  struct fixture *f = begin(state);
  static const bool kvrocks[] = {true, false, false};
  fill(f, 2, 100, 1000);
  for (size_t i = 0; i < 3; i++) {
    const char *said = refused(f, i < 2 ? redistest_port(f->server) : f->port, kvrocks[i]);
    assert_non_null(strstr(said, "'compact-ordered 1'"));
    assert_non_null(strstr(said, "HRANGEBYLEX"));
    assert_non_null(strstr(said, "expected 'compact 1'"));
  }
  storehost_stop(&f->host);
  start_host(f, &f->host);
  check_some(f, &f->host, 10);
}

/* A server that knows no ranges gets pages, and what has pages keeps them. */
static void pages_stay_pages(void **state)
{
  struct fixture *f = begin(state);
  storehost_stop(&f->host);
  redistest_do(f->server, "FLUSHALL");
  storehost_init(&f->host, redistest_port(f->server));
  f->host.conf.layout = 2;
  assert_int_equal(storehost_start(&f->host, true), COF_OK);
  check_mark(f, "compact 1");
  fill(f, 5, 1000, 100000);
  storehost_stop(&f->host);
  start_host(f, &f->host);
  fill(f, 5, 1000, 100000);
  check_mark(f, "compact 1");
  assert_true(redistest_integer(f->server, "HLEN cofd:f:%016x", 0) > 20);
  check_some(f, &f->host, 20);
}

/* Emptied, and begun in the other form by somebody else meanwhile. */
static void another_form_is_refused(void **state)
{
  struct fixture *f = begin(state);
  struct storehost other;
  fill(f, 2, 100, 1000);
  redistest_do(f->server, "FLUSHALL");
  storehost_init(&other, redistest_port(f->server));
  other.conf.layout = 2;
  assert_int_equal(storehost_start(&other, false), COF_OK);
  struct cof_batch *b = model_batch(10, 10);
  redistest_do(f->server, "HSET cofd:f:%016x m x", 1); /* seen at the next write */
  assert_int_equal(storehost_write(&f->host, b).result, COF_FATAL);
  assert_non_null(strstr(f->host.log, "has the layout 'compact 1', expected 'compact-ordered 1'"));
  cof_batch_destroy(&b);
  storehost_stop(&other);
}

/* Fields that are none of the layout do not end a range, however long and many. */
static void strange_fields_are_stepped_over(void **state)
{
  struct fixture *f = begin(state);
  char field[200];
  fill(f, 1, 3000, 100000);
  memset(field, 'c', sizeof field);
  for (int i = 0; i < 3 * CP_RANGE; i++) {
    memcpy(field, i % 2 ? "com" : "net", 4);
    field[70] = (char)(i % 128);
    field[71] = (char)(i / 128);
    redistest_do(f->server, "HSET cofd:f:%016x %b x", 1, field, sizeof field);
  }
  struct cof_query q = query_of(COF_QUERY_ALL, NULL);
  struct cof_batch *b = storehost_ask_resuming(&f->host, &q, 100);
  assert_int_equal(cof_batch_count(b), cof_batch_count(f->model.all));
  assert_true(f->host.unreadable > 0);
  cof_batch_destroy(&b);
}

static void put_many(struct fixture *f, uint16_t type, const char *rdata, int64_t last)
{
  struct cof_batch *b = cof_batch_create();
  for (int i = 0; i < 2000; i++) {
    char name[32];
    snprintf(name, sizeof name, "n%d.example", i);
    struct cof_record r = {.rrname = name,
                           .rrname_len = (uint16_t)strlen(name),
                           .rrtype = type,
                           .rdata = rdata,
                           .rdata_len = (uint32_t)strlen(rdata),
                           .time_first = 5,
                           .time_last = last,
                           .count = 1};
    assert_non_null(cof_batch_add(b, &r));
  }
  write_batch(&f->host, b);
  cof_batch_destroy(&b);
}

/* Each writer goes on where the last one stopped, so that all is swept by starts however short. */
static void expired_records_are_swept(void **state)
{
  struct fixture *f = begin(state);
  int64_t now = compact_now();
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  struct cof_error err;
  put_many(f, COF_TYPE_A, "192.0.2.1", 6); /* by one that lets nothing expire */
  put_many(f, COF_TYPE_A, "192.0.2.2", now);
  put_many(f, COF_TYPE_NS, "ns.example", 6);
  assert_int_equal(redistest_integer(f->server, "HLEN cofd:f:%016x", 1), 6002);
  for (int i = 0; i < 40; i++) {
    start_expiring(f);
    storehost_put(&f->host, "a.example", COF_TYPE_NS, "b.example", 5, 6, 1);
  }
  long long left = redistest_integer(f->server, "HLEN cofd:f:%016x", 1);
  assert_true(left < 6003 && left > 5000);
  redistest_do(f->server, "SCRIPT FLUSH");
  for (int i = 0; i < 3; i++)
    put_many(f, COF_TYPE_A, "192.0.2.3", 6);
  put_many(f, COF_TYPE_A, "192.0.2.2", now);
  assert_int_equal(redistest_integer(f->server, "HLEN cofd:f:%016x", 1), 4003);
  assert_int_equal(answers(f, COF_QUERY_ALL, NULL), 4001);
  assert_int_equal(store_ops.stats(f->host.store, &stats, NULL, NULL, &err), COF_OK);
  assert_int_equal(stats.records, 4001);
}

/* --- cluster ---------------------------------------------------------------------------------- */

#define NODES         3
#define CLUSTER_TRIES 3000

static bool cluster_ok(struct redistest *const nodes[NODES])
{
  bool ok = true;
  for (int i = 0; i < NODES && ok; i++) {
    redisReply *reply = redistest_command(nodes[i], "CLUSTER INFO");
    ok = strstr(reply->str, "cluster_state:ok") != NULL &&
         strstr(reply->str, "cluster_known_nodes:3") != NULL;
    freeReplyObject(reply);
  }
  return ok;
}

static void cluster_start(struct redistest *nodes[NODES])
{
  int bus[NODES];
  for (int i = 0; i < NODES; i++) {
    char port[8];
    bus[i] = redistest_free_port();
    snprintf(port, sizeof port, "%d", bus[i]);
    nodes[i] =
        redistest_start((const char *[]){"--cluster-enabled", "yes", "--cluster-port", port, NULL});
    redistest_do(nodes[i], "CLUSTER ADDSLOTSRANGE %d %d", i * 16384 / NODES,
                 (i + 1) * 16384 / NODES - 1);
    redistest_do(nodes[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
  }
  for (int i = 1; i < NODES; i++)
    redistest_do(nodes[0], "CLUSTER MEET 127.0.0.1 %d %d", (int)redistest_port(nodes[i]), bus[i]);
  for (int i = 0; i < CLUSTER_TRIES; i++) {
    if (cluster_ok(nodes))
      return;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  fail_msg("the cluster does not come up");
}

static void a_cluster_shares_it(void **state)
{
  struct fixture *f = begin(state);
  struct redistest *nodes[NODES];
  storehost_stop(&f->host);
  cluster_start(nodes);
  storehost_init(&f->host, redistest_port(nodes[1]));
  f->host.conf.mode = RESP_CLUSTER;
  f->host.conf.layout = 2;
  assert_int_equal(storehost_start(&f->host, f->ordered), COF_OK);
  fill(f, 10, 1000, 100000);
  fill(f, 5, 2000, 2000);
  long long all = 0, keys[NODES];
  for (int i = 0; i < NODES; i++)
    all += keys[i] = redistest_integer(nodes[i], "DBSIZE");
  for (int i = 0; i < NODES; i++)
    assert_true(keys[i] > all / NODES / 2);
  check_some(f, &f->host, 50);
  storehost_stop(&f->host);
  for (int i = 0; i < NODES; i++)
    redistest_stop(&nodes[i]);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
/* The same test again, of ordered trees. */
#define ORDERED(test)                                                                              \
  {                                                                                                \
    "ordered: " #test, test, set_up_ordered, tear_down, NULL                                       \
  }

int main(void)
{
  const struct CMUnitTest tests[] = {WITH_SERVER(few_records),
                                     WITH_SERVER(many_records),
                                     WITH_SERVER(pages_stay_small),
                                     WITH_SERVER(another_instance_sees_it),
                                     WITH_SERVER(statistics),
                                     WITH_SERVER(counts_and_times_saturate),
                                     WITH_SERVER(bad_records_are_refused),
                                     WITH_SERVER(longest_rdata),
                                     WITH_SERVER(writers_at_once),
                                     WITH_SERVER(tokens_are_checked),
                                     WITH_SERVER(an_unknown_version_is_refused),
                                     WITH_SERVER(the_database_tells_its_layout),
                                     WITH_SERVER(a_separator_is_mended),
                                     WITH_SERVER(entries_astray_say_nothing),
                                     WITH_SERVER(an_emptied_database_is_begun_anew),
                                     WITH_SERVER(a_restarted_server_knows_no_scripts),
                                     WITH_SERVER(writes_fail_and_are_repeated),
                                     WITH_SERVER(records_expire),
                                     WITH_SERVER(expired_records_make_room),
                                     WITH_SERVER(a_cluster_shares_it),
                                     ORDERED(few_records),
                                     ORDERED(many_records),
                                     ORDERED(another_instance_sees_it),
                                     ORDERED(statistics),
                                     ORDERED(counts_and_times_saturate),
                                     ORDERED(bad_records_are_refused),
                                     ORDERED(longest_rdata),
                                     ORDERED(writers_at_once),
                                     ORDERED(tokens_are_checked),
                                     ORDERED(an_unknown_version_is_refused),
                                     ORDERED(the_database_tells_its_layout),
                                     ORDERED(an_emptied_database_is_begun_anew),
                                     ORDERED(a_restarted_server_knows_no_scripts),
                                     ORDERED(writes_fail_and_are_repeated),
                                     ORDERED(records_expire),
                                     ORDERED(an_ordered_tree_is_one_key),
                                     ORDERED(an_ordered_database_needs_ranges),
                                     ORDERED(pages_stay_pages),
                                     ORDERED(another_form_is_refused),
                                     ORDERED(strange_fields_are_stepped_over),
                                     ORDERED(expired_records_are_swept)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
