/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The chain with an input, a filter and storages that live in this file and do as they are told.
 * What the other threads do is waited for, with a deadline, never slept for.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../chain_private.h"
#include "../host_private.h"

#define MAX_ACKS    4096
#define PATIENCE_MS 60000
#define DEADLINE_NS UINT64_C(60000000000)

/* Everything the fakes share with the test. */
static struct world {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint64_t tokens[MAX_ACKS];
  enum cof_result results[MAX_ACKS];
  size_t acks;
  size_t resumes;
  bool event_failed;
  int in_filter;   /* without a lock: the filter is not thread safe, so the host sees to it */
  size_t overlaps; /* calls that found another one at work */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

struct fake_storage {
  enum cof_result script[8]; /* results of the first writes; COF_OK afterwards */
  size_t writes;
  bool hold;   /* keep the ticket until released */
  bool thread; /* conclude from another thread */
  bool refuse_first;
  struct cof_host *host;
  struct cof_ticket *held;
  uint64_t counts; /* sum of the counts of what was written durably */
  uint64_t records;
};

static void signal_change(void)
{
  pthread_cond_broadcast(&world.changed);
}

#define WAIT_FOR(condition)                                                                        \
  do {                                                                                             \
    uint64_t until = clock_ns() + DEADLINE_NS;                                                     \
    pthread_mutex_lock(&world.lock);                                                               \
    while (!(condition)) {                                                                         \
      struct timespec ts;                                                                          \
      clock_gettime(CLOCK_REALTIME, &ts);                                                          \
      ts.tv_sec += 1;                                                                              \
      uint64_t before = clock_ns();                                                                \
      pthread_cond_timedwait(&world.changed, &world.lock, &ts);                                    \
      if (before > until && !(condition)) {                                                        \
        pthread_mutex_unlock(&world.lock);                                                         \
        fail_msg("waited in vain for " #condition);                                                \
      }                                                                                            \
    }                                                                                              \
    pthread_mutex_unlock(&world.lock);                                                             \
  } while (0)

/* --- the input ----------------------------------------------------------------------------- */

static void input_ack(void *self, uint64_t token, enum cof_result result)
{
  (void)self;
  pthread_mutex_lock(&world.lock);
  if (world.acks < MAX_ACKS) {
    world.tokens[world.acks] = token;
    world.results[world.acks++] = result;
  }
  signal_change();
  pthread_mutex_unlock(&world.lock);
}

static void input_resume(void *self)
{
  (void)self;
  pthread_mutex_lock(&world.lock);
  world.resumes++;
  signal_change();
  pthread_mutex_unlock(&world.lock);
}

static const struct cof_input_ops input_ops = {
    .struct_size = sizeof input_ops, .ack = input_ack, .resume = input_resume};

static enum cof_result any_create(struct cof_host *host, const void *conf, void **self)
{
  (void)host;
  *self = (void *)(uintptr_t)conf;
  return COF_OK;
}

static enum cof_result any_start(void *self)
{
  (void)self;
  return COF_OK;
}

static enum cof_result any_stop(void *self, uint64_t deadline_ns)
{
  (void)self;
  (void)deadline_ns;
  return COF_OK;
}

static void any_destroy(void *self)
{
  (void)self;
}

#define LIFE .create = any_create, .start = any_start, .stop = any_stop, .destroy = any_destroy

static const struct cof_plugin input_plugin = {COF_PLUGIN_HEADER, .kind = COF_KIND_INPUT,
                                               .name = "fake-input", LIFE, .ops = &input_ops};

/* --- the filter: drops what begins with its letter ------------------------------------------ */

static void filter_process(void *self, struct cof_batch *batch)
{
  const char *letter = self;
  world.overlaps += world.in_filter++ != 0;
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    struct cof_record *r = cof_batch_at(batch, i);
    if (r->verdict == COF_KEEP && r->rrname[0] == *letter)
      r->verdict = *letter == 'r' ? COF_REFUSE : COF_DROP;
  }
  world.in_filter--;
}

static enum cof_result filter_reload(void *self, const void *conf)
{
  (void)self;
  (void)conf;
  world.overlaps += world.in_filter++ != 0;
  for (volatile int i = 0; i < 1000; i++)
    ;
  world.in_filter--;
  return COF_OK;
}

static const struct cof_filter_ops filter_ops = {.struct_size = sizeof filter_ops,
                                                 .process = filter_process};
static const struct cof_plugin filter_plugin = {COF_PLUGIN_HEADER,       .kind = COF_KIND_FILTER,
                                                .name = "fake-filter",   LIFE,
                                                .reload = filter_reload, .ops = &filter_ops};

/* --- the storage ---------------------------------------------------------------------------- */

static enum cof_result storage_create(struct cof_host *host, const void *conf, void **self)
{
  struct fake_storage *s = (struct fake_storage *)(uintptr_t)conf;
  s->host = host;
  *self = s;
  return COF_OK;
}

static void *conclude(void *arg)
{
  struct fake_storage *s = arg;
  cof_ticket_done(s->host, s->held, COF_OK);
  return NULL;
}

static enum cof_result scripted(struct fake_storage *s, const struct cof_batch *batch)
{
  enum cof_result r = s->writes < 8 ? s->script[s->writes] : COF_OK;
  s->writes++;
  for (size_t i = 0; r == COF_OK && i < cof_batch_count(batch); i++) {
    s->records++;
    s->counts += cof_batch_at(batch, i)->count;
  }
  return r;
}

static void storage_write(void *self, const struct cof_batch *batch, struct cof_ticket *ticket)
{
  struct fake_storage *s = self;
  pthread_mutex_lock(&world.lock);
  enum cof_result r = scripted(s, batch);
  bool hold = s->hold, thread = s->thread;
  s->held = ticket;
  signal_change();
  pthread_mutex_unlock(&world.lock);
  if (s->refuse_first)
    cof_ticket_reject(s->host, ticket, 0, "told to");
  if (thread) {
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, conclude, s), 0);
    pthread_detach(t);
  } else if (!hold) {
    cof_ticket_done(s->host, ticket, r);
  }
}

static const struct cof_storage_ops storage_ops = {.struct_size = sizeof storage_ops,
                                                   .write = storage_write};
static const struct cof_plugin storage_plugin = {
    COF_PLUGIN_HEADER,  .kind = COF_KIND_STORAGE, .name = "fake-storage", .create = storage_create,
    .start = any_start, .stop = any_stop,         .destroy = any_destroy, .ops = &storage_ops};

/* --- a chain of them ------------------------------------------------------------------------ */

struct rig {
  struct instance *input, *filters[2], *storages[2];
  struct fake_storage fakes[2];
  struct chain *chain;
};

static void on_event(void *arg, bool failed)
{
  (void)arg;
  pthread_mutex_lock(&world.lock);
  world.event_failed = world.event_failed || failed;
  signal_change();
  pthread_mutex_unlock(&world.lock);
}

static struct chain_conf default_conf(void)
{
  return (struct chain_conf){.queue_batches = 4,
                             .queue_bytes = 1 << 20,
                             .window_records = 1000,
                             .window_bytes = 1 << 20,
                             .window_time = 10,
                             .retry_min = 1,
                             .retry_max = 4};
}

static void rig_up(struct rig *g, struct chain_conf conf, size_t filters, size_t storages)
{
  static const char letters[] = "dr";
  world.acks = world.resumes = 0;
  world.event_failed = false;
  g->input = instance_create(NULL, "in", &input_plugin, "");
  assert_true(instance_start(g->input));
  for (size_t i = 0; i < filters; i++) {
    g->filters[i] = instance_create(NULL, "f", &filter_plugin, &letters[i]);
    assert_true(instance_start(g->filters[i]));
  }
  for (size_t i = 0; i < storages; i++) {
    g->storages[i] = instance_create(NULL, i == 0 ? "db" : "db2", &storage_plugin, &g->fakes[i]);
    assert_true(instance_start(g->storages[i]));
  }
  g->chain = chain_create("main", &conf, g->filters, filters, g->storages, storages, on_event, g);
  assert_non_null(g->chain);
  g->input->chain = g->chain;
  assert_true(chain_start(g->chain));
}

static void rig_down(struct rig *g)
{
  assert_true(chain_finish(g->chain, clock_ns() + DEADLINE_NS));
  assert_true(chain_idle(g->chain));
  instance_destroy(&g->input);
  for (size_t i = 0; i < 2; i++) {
    instance_destroy(&g->filters[i]);
    instance_destroy(&g->storages[i]);
  }
  chain_destroy(&g->chain);
}

static struct cof_batch *batch_of(struct rig *g, const char *prefix, int count)
{
  struct cof_batch *b = cof_batch_get(&g->input->host);
  assert_non_null(b);
  for (int i = 0; i < count; i++) {
    char name[64];
    int len = snprintf(name, sizeof name, "%s%d.example", prefix, i);
    struct cof_record r = {.rrname = name,
                           .rrname_len = (uint16_t)len,
                           .rdata = "192.0.2.1",
                           .rdata_len = 9,
                           .rrtype = 1,
                           .time_first = 1,
                           .time_last = 2,
                           .count = 1};
    assert_non_null(cof_batch_add(b, &r));
  }
  return b;
}

static enum cof_result emit(struct rig *g, const char *prefix, int count, uint64_t token,
                            int wait_ms)
{
  struct cof_batch *b = batch_of(g, prefix, count);
  enum cof_result r = chain_emit(g->chain, g->input, &b, token, wait_ms);
  assert_true((r == COF_OK) == (b == NULL));
  cof_batch_put(&g->input->host, &b);
  return r;
}

static int64_t metric(struct rig *g, const char *name)
{
  return metrics_value(chain_metrics(g->chain), name);
}

static void check_acks(size_t count, enum cof_result result)
{
  assert_int_equal(world.acks, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(world.tokens[i], i);
    assert_int_equal(world.results[i], result);
  }
}

static void test_acks_once_in_order(void **state)
{
  (void)state;
  struct rig g = {0};
  rig_up(&g, default_conf(), 0, 1);
  for (uint64_t i = 0; i < 500; i++)
    assert_int_equal(emit(&g, "a", i % 7 == 0 ? 0 : 20, i, PATIENCE_MS), COF_OK);
  rig_down(&g);
  check_acks(500, COF_OK);
  uint64_t expected = 0;
  for (int i = 0; i < 500; i++)
    expected += i % 7 == 0 ? 0 : 20;
  assert_int_equal(g.fakes[0].counts, expected);
  assert_true(g.fakes[0].records <= expected);
}

static void test_durable_before_ack(void **state)
{
  (void)state;
  struct rig g = {0};
  g.fakes[0].hold = true;
  rig_up(&g, default_conf(), 0, 1);
  assert_int_equal(emit(&g, "a", 5, 0, PATIENCE_MS), COF_OK);
  WAIT_FOR(g.fakes[0].held != NULL);
  assert_int_equal(world.acks, 0);
  assert_false(chain_ended(g.chain));
  assert_false(chain_idle(g.chain));
  pthread_mutex_lock(&world.lock);
  g.fakes[0].hold = false;
  pthread_mutex_unlock(&world.lock);
  cof_ticket_done(g.fakes[0].host, g.fakes[0].held, COF_OK);
  WAIT_FOR(world.acks == 1);
  rig_down(&g);
  check_acks(1, COF_OK);
}

static void test_done_from_another_thread(void **state)
{
  (void)state;
  struct rig g = {0};
  g.fakes[0].thread = true;
  rig_up(&g, default_conf(), 0, 1);
  for (uint64_t i = 0; i < 50; i++)
    assert_int_equal(emit(&g, "a", 10, i, PATIENCE_MS), COF_OK);
  rig_down(&g);
  check_acks(50, COF_OK);
}

static void test_retry(void **state)
{
  (void)state;
  struct rig g = {0};
  for (int i = 0; i < 3; i++)
    g.fakes[0].script[i] = COF_RETRY;
  rig_up(&g, default_conf(), 0, 2);
  assert_int_equal(emit(&g, "a", 5, 0, PATIENCE_MS), COF_OK);
  WAIT_FOR(world.acks == 1);
  assert_int_equal(metric(&g, "retries"), 3);
  assert_int_equal(metric(&g, "stored"), 5);
  rig_down(&g);
  check_acks(1, COF_OK);
  assert_int_equal(g.fakes[0].writes, 4);
  assert_int_equal(g.fakes[0].counts, 5);
  /* The other storage had it at once and is not bothered again. */
  assert_int_equal(g.fakes[1].writes, 1);
  assert_int_equal(g.fakes[1].counts, 5);
}

static void test_fatal(void **state)
{
  (void)state;
  struct rig g = {0};
  g.fakes[0].script[0] = COF_FATAL;
  rig_up(&g, default_conf(), 0, 1);
  assert_int_equal(emit(&g, "a", 5, 0, PATIENCE_MS), COF_OK);
  WAIT_FOR(world.event_failed);
  WAIT_FOR(world.acks == 1);
  assert_int_equal(emit(&g, "a", 5, 1, 1000), COF_STOPPED);
  rig_down(&g);
  check_acks(1, COF_STOPPED);
  assert_int_equal(g.fakes[0].counts, 0);
}

static void test_cut_off_keeps_order(void **state)
{
  (void)state;
  struct rig g = {0};
  for (int i = 0; i < 8; i++)
    g.fakes[0].script[i] = COF_RETRY;
  struct chain_conf conf = default_conf();
  conf.retry_min = conf.retry_max = 60000;
  conf.window_records = 10;
  rig_up(&g, conf, 0, 1);
  uint64_t taken = 0;
  char prefix[] = "a";
  while (emit(&g, prefix, 10, taken, 50) == COF_OK) {
    taken++;
    prefix[0]++;
  }
  assert_true(taken >= 4);
  WAIT_FOR(g.fakes[0].writes >= 1);
  assert_true(chain_finish(g.chain, clock_ns() + 20000000));
  check_acks(taken, COF_STOPPED);
  assert_false(chain_all_stored(g.chain));
  rig_down(&g);
}

/* Windows of what is little are small where that is wanted; they grow to what is allowed. */
static void test_windows_grow(void **state)
{
  (void)state;
  struct rig g = {0};
  struct chain_conf conf = default_conf();
  conf.window_records = 1 << 18;
  conf.small_first = true;
  conf.window_bytes = conf.queue_bytes = 1 << 28;
  conf.window_time = PATIENCE_MS * 1000;
  rig_up(&g, conf, 0, 1);
  uint64_t token = 0;
  const int some = 1 << 16;
  for (const char *prefix = "ab"; *prefix != '\0'; prefix++)
    assert_int_equal(emit(&g, (char[]){*prefix, '\0'}, some, token++, PATIENCE_MS), COF_OK);
  WAIT_FOR(g.fakes[0].writes == 1);
  assert_int_equal(g.fakes[0].records, 1 << 17);
  /* Many times the same stays one batch, which another makes a window of. */
  for (int i = 0; i < 32; i++)
    assert_int_equal(emit(&g, "c", some, token++, PATIENCE_MS), COF_OK);
  for (const char *prefix = "defgh"; *prefix != '\0'; prefix++)
    assert_int_equal(emit(&g, (char[]){*prefix, '\0'}, some, token++, PATIENCE_MS), COF_OK);
  WAIT_FOR(g.fakes[0].writes == 3);
  assert_int_equal(g.fakes[0].records, (1 << 17) + (1 << 17) + (1 << 18));
  rig_down(&g);
}

static void test_full_then_resume(void **state)
{
  (void)state;
  struct rig g = {0};
  g.fakes[0].hold = true;
  struct chain_conf conf = default_conf();
  conf.window_records = 1;
  rig_up(&g, conf, 0, 1);
  uint64_t taken = 0;
  /* Distinct names, so that every batch closes a window. */
  char prefix[16];
  /* One window is written, one waits behind it, and the queue holds four. */
  for (; taken < 6; taken++) {
    snprintf(prefix, sizeof prefix, "n%d-", (int)taken);
    assert_int_equal(emit(&g, prefix, 1, taken, PATIENCE_MS), COF_OK);
  }
  assert_int_equal(emit(&g, "late", 1, taken, 0), COF_AGAIN);
  WAIT_FOR(g.fakes[0].held != NULL);
  assert_int_equal(emit(&g, "late", 1, taken, 20), COF_AGAIN);
  assert_true(metric(&g, "pauses") >= 1);
  pthread_mutex_lock(&world.lock);
  size_t resumes = world.resumes;
  g.fakes[0].hold = false;
  pthread_mutex_unlock(&world.lock);
  cof_ticket_done(g.fakes[0].host, g.fakes[0].held, COF_OK);
  WAIT_FOR(world.resumes > resumes);
  assert_int_equal(emit(&g, "last", 1, taken++, PATIENCE_MS), COF_OK);
  rig_down(&g);
  check_acks(taken, COF_OK);
  assert_int_equal(g.fakes[0].counts, taken);
}

static void test_drain_does_not_wait_for_finish(void **state)
{
  (void)state;
  struct rig g = {0};
  struct chain_conf conf = default_conf();
  conf.window_time = 3600000;
  rig_up(&g, conf, 0, 1);
  assert_int_equal(emit(&g, "a", 5, 0, PATIENCE_MS), COF_OK);
  chain_drain(g.chain);
  WAIT_FOR(world.acks == 1);
  assert_int_equal(emit(&g, "a", 5, 1, 1000), COF_STOPPED);
  rig_down(&g);
  check_acks(1, COF_OK);
}

static void test_stopping_input(void **state)
{
  (void)state;
  struct rig g = {0};
  rig_up(&g, default_conf(), 0, 1);
  atomic_store(&g.input->stopping, true);
  assert_int_equal(emit(&g, "a", 1, 0, 10000), COF_STOPPED);
  assert_int_equal(emit(&g, "a", 1, 0, 0), COF_STOPPED);
  rig_down(&g);
  check_acks(0, COF_OK);
}

static void test_filters_and_refusals(void **state)
{
  (void)state;
  struct rig g = {0};
  g.fakes[0].refuse_first = true;
  rig_up(&g, default_conf(), 2, 1);
  assert_int_equal(emit(&g, "drop", 3, 0, PATIENCE_MS), COF_OK);
  assert_int_equal(emit(&g, "refuse", 4, 1, PATIENCE_MS), COF_OK);
  WAIT_FOR(world.acks == 2);
  assert_int_equal(g.fakes[0].writes, 0);
  assert_int_equal(emit(&g, "keep", 5, 2, PATIENCE_MS), COF_OK);
  WAIT_FOR(world.acks == 3);
  assert_int_equal(metric(&g, "received"), 12);
  assert_int_equal(metric(&g, "filtered"), 3);
  assert_int_equal(metric(&g, "rejected"), 5);
  assert_int_equal(metric(&g, "stored"), 4);
  rig_down(&g);
  check_acks(3, COF_OK);
}

static void test_reload_overlaps_nothing(void **state)
{
  (void)state;
  struct rig g = {0};
  rig_up(&g, default_conf(), 1, 1);
  uint64_t taken = 0;
  for (; taken < 200; taken++) {
    assert_int_equal(emit(&g, "keep", 50, taken, PATIENCE_MS), COF_OK);
    assert_int_equal(instance_reload(g.filters[0], ""), COF_OK);
  }
  rig_down(&g);
  check_acks(taken, COF_OK);
  assert_int_equal(world.overlaps, 0);
}

static void test_every_storage_counts_refusals(void **state)
{
  (void)state;
  struct rig g = {0};
  g.fakes[1].refuse_first = true;
  g.fakes[1].script[0] = COF_RETRY;
  rig_up(&g, default_conf(), 0, 2);
  assert_int_equal(emit(&g, "a", 5, 0, PATIENCE_MS), COF_OK);
  WAIT_FOR(world.acks == 1);
  assert_int_equal(metric(&g, "stored"), 5);
  assert_int_equal(metric(&g, "rejected"), 0);
  assert_int_equal(metrics_value(g.storages[0]->metrics, "rejected"), 0);
  assert_int_equal(metrics_value(g.storages[1]->metrics, "rejected"), 1);
  rig_down(&g);
}

static void test_batch_larger_than_window(void **state)
{
  (void)state;
  struct rig g = {0};
  struct chain_conf conf = default_conf();
  conf.window_records = 7;
  rig_up(&g, conf, 0, 1);
  assert_int_equal(emit(&g, "a", 1000, 0, PATIENCE_MS), COF_OK);
  WAIT_FOR(world.acks == 1);
  assert_true(chain_finish(g.chain, clock_ns() + DEADLINE_NS));
  assert_true(chain_all_stored(g.chain));
  assert_true(chain_ended(g.chain));
  rig_down(&g);
  check_acks(1, COF_OK);
  assert_int_equal(g.fakes[0].records, 1000);
  assert_int_equal(g.fakes[0].writes, 143);
}

static void test_batch_larger_than_queue(void **state)
{
  (void)state;
  struct rig g = {0};
  struct chain_conf conf = default_conf();
  conf.queue_bytes = 1024;
  rig_up(&g, conf, 0, 1);
  assert_int_equal(emit(&g, "a", 1000, 0, PATIENCE_MS), COF_OK);
  assert_int_equal(emit(&g, "a", 1000, 1, PATIENCE_MS), COF_OK);
  rig_down(&g);
  check_acks(2, COF_OK);
}

int main(void)
{
  log_setup(LOG_FORMAT_TEXT, COF_LOG_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_acks_once_in_order),
      cmocka_unit_test(test_durable_before_ack),
      cmocka_unit_test(test_done_from_another_thread),
      cmocka_unit_test(test_retry),
      cmocka_unit_test(test_fatal),
      cmocka_unit_test(test_cut_off_keeps_order),
      cmocka_unit_test(test_windows_grow),
      cmocka_unit_test(test_full_then_resume),
      cmocka_unit_test(test_drain_does_not_wait_for_finish),
      cmocka_unit_test(test_stopping_input),
      cmocka_unit_test(test_filters_and_refusals),
      cmocka_unit_test(test_reload_overlaps_nothing),
      cmocka_unit_test(test_every_storage_counts_refusals),
      cmocka_unit_test(test_batch_larger_than_window),
      cmocka_unit_test(test_batch_larger_than_queue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
