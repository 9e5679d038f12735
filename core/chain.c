/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "chain_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host_private.h"
#include "priority_private.h"
#include "tap_private.h"
#include "window_private.h"
#include "writer_private.h"

/* After its deadline a chain waits so long for storages to give its thread back. */
#define GRACE_NS UINT64_C(2000000000)
#define MS       UINT64_C(1000000)
/* Until so many records came, a window that is to be small takes no more unique ones than this. */
#define FEW_RECORDS   (UINT64_C(1) << 21)
#define WINDOW_OF_FEW (1 << 17)

struct entry {
  struct cof_batch *batch;
  struct instance *input;
  uint64_t token;
  uint64_t taken_ns;
};

/* An empty batch, and how much it held: about what its arena keeps. */
struct pooled {
  struct cof_batch *batch;
  size_t bytes;
};

struct chain {
  char *source;
  struct chain_conf conf;
  struct instance **filters, **storages;
  size_t filters_count, storages_count;
  struct writer *writer;
  struct tap *tap;
  uint8_t *notes; /* of the window being written; NULL: no output is to be told */
  chain_event_fn on_event;
  void *on_event_arg;

  pthread_mutex_t lock; /* guards all from here to the metrics */
  pthread_cond_t work;  /* for the folding thread: something changed */
  pthread_cond_t room;  /* for emitters: the queue got shorter, or an input stops */
  pthread_cond_t swap;  /* for both threads: `writing` changed */
  struct entry *queue;  /* a ring of conf.queue_batches */
  size_t queue_head, queue_count, queue_bytes;
  struct pooled *pool;
  size_t pool_count, pool_room, pool_bytes; /* at most conf.queue_bytes */
  uint64_t taken, settled;                  /* batches, ever */
  uint64_t unstored;                        /* of these, given back as COF_STOPPED */
  struct instance *resumes; /* inputs that wait for resume(), linked by next_resume */
  struct window *writing;   /* NULL: the writer has nothing to do */
  bool hurry;               /* write as soon as the queue is empty */
  bool draining;            /* inputs have stopped: end when all is written */
  bool cutoff;              /* the deadline passed, or the chain failed: write no more */
  bool fold_ended, write_ended;

  struct window *windows[2], *filling; /* filling: of the folding thread alone */
  uint64_t kept;                       /* records folded into windows, ever; likewise */
  uint64_t opened_ns;                  /* when the first record came into `filling` */
  uint64_t oldest_ns;                  /* when that record's batch was taken */
  uint64_t writing_oldest_ns;          /* the same of `writing` */
  pthread_t fold_thread, write_thread;
  bool fold_started, write_started;

  struct metrics *metrics;
  struct cof_metric *m_received, *m_filtered, *m_rejected, *m_folded, *m_stored, *m_writes,
      *m_retries, *m_looped, *m_untold, *m_queue, *m_pauses, *m_write_ms, *m_lag;
};

static void make_metrics(struct chain *c)
{
  static const int64_t lag_ms[] = {1,    2,    5,    10,    20,    50,    100,    200,    500,
                                   1000, 2000, 5000, 10000, 30000, 60000, 300000, 3600000};
  struct metrics *m = c->metrics;
  c->m_received = metrics_get(m, COF_COUNTER, "received", "records", "Records taken from inputs.");
  c->m_filtered =
      metrics_get(m, COF_COUNTER, "filtered", "records", "Records that a filter drops.");
  c->m_rejected = metrics_get(m, COF_COUNTER, "rejected", "records",
                              "Records that a filter or storage refused.");
  c->m_looped = metrics_get(m, COF_COUNTER, "looped", "records",
                            "Records that were here before, and came back by other cofd.");
  c->m_untold = metrics_get(m, COF_COUNTER, "untold", "records",
                            "Stored records that outputs were not told of for want of memory.");
  c->m_folded = metrics_get(m, COF_COUNTER, "folded", "records",
                            "Records the window folded into one that it held.");
  c->m_stored = metrics_get(m, COF_COUNTER, "stored", "records",
                            "Input records that are durable, folded ones included.");
  c->m_writes = metrics_get(m, COF_COUNTER, "writes", "windows", "Windows written.");
  c->m_retries = metrics_get(m, COF_COUNTER, "retries", "writes", "Writes that were repeated.");
  c->m_queue = metrics_get(m, COF_GAUGE, "queue", "batches", "Batches waiting for the filters.");
  c->m_pauses = metrics_get(m, COF_COUNTER, "pauses", "times", "Times the queue was full.");
  c->m_write_ms = metrics_get(m, COF_COUNTER, "write_time", "ms", "Time spent in writes.");
  c->m_lag = metrics_histogram(m, "ingest_lag", "ms",
                               "Time from taking the oldest batch of a window to its durability.",
                               lag_ms, sizeof lag_ms / sizeof *lag_ms);
}

/* Conditions that wait against the monotonic clock, which no clock jump disturbs. */
static void init_sync(struct chain *c)
{
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_mutex_init(&c->lock, NULL);
  pthread_cond_init(&c->work, &attr);
  pthread_cond_init(&c->room, &attr);
  pthread_cond_init(&c->swap, &attr);
  pthread_condattr_destroy(&attr);
}

static struct instance **copy_instances(struct instance *const *from, size_t count)
{
  struct instance **copy = calloc(count + 1, sizeof(struct instance *));
  for (size_t i = 0; copy != NULL && i < count; i++)
    copy[i] = from[i];
  return copy;
}

static char *chain_source(const char *name)
{
  size_t size = sizeof "chain." + strlen(name);
  char *source = malloc(size);
  if (source != NULL) {
    memcpy(source, "chain.", 6);
    memcpy(source + 6, name, size - 6);
  }
  return source;
}

/* Where nobody asks: memory is touched, and the storage begun with, for what comes; much of it
   makes large windows, which fold more and leave fewer files to be compacted. */
static size_t window_records(const struct chain *c)
{
  bool few = c->conf.small_first && c->kept < FEW_RECORDS;
  return few && c->conf.window_records > WINDOW_OF_FEW ? WINDOW_OF_FEW
                                                       : (size_t)c->conf.window_records;
}

static bool allocate(struct chain *c, const char *name)
{
  size_t records = window_records(c), bytes = (size_t)c->conf.window_bytes;
  c->source = chain_source(name);
  c->queue = calloc((size_t)c->conf.queue_batches, sizeof *c->queue);
  c->pool_room = (size_t)c->conf.queue_batches + 8;
  c->pool = calloc(c->pool_room, sizeof *c->pool);
  c->windows[0] = window_create(records, bytes);
  c->windows[1] = window_create(records, bytes);
  c->filling = c->windows[0];
  c->metrics = metrics_create("chain", name, "");
  c->tap = tap_create();
  return c->tap != NULL && c->source != NULL && c->queue != NULL && c->pool != NULL &&
         c->windows[0] != NULL && c->windows[1] != NULL && c->metrics != NULL;
}

static bool make_writer(struct chain *c)
{
  c->writer = writer_create(&(struct writer_conf){.source = c->source,
                                                  .storages = c->storages,
                                                  .storages_count = c->storages_count,
                                                  .retry_min_ms = (uint64_t)c->conf.retry_min,
                                                  .retry_max_ms = (uint64_t)c->conf.retry_max,
                                                  .retries = c->m_retries,
                                                  .write_ms = c->m_write_ms});
  return c->writer != NULL;
}

struct chain *chain_create(const char *name, const struct chain_conf *conf,
                           struct instance *const *filters, size_t filters_count,
                           struct instance *const *storages, size_t storages_count,
                           chain_event_fn event, void *arg)
{
  struct chain *c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  init_sync(c);
  c->conf = *conf;
  c->filters_count = filters_count;
  c->storages_count = storages_count;
  c->on_event = event;
  c->on_event_arg = arg;
  c->filters = copy_instances(filters, filters_count);
  c->storages = copy_instances(storages, storages_count);
  if (!allocate(c, name) || c->filters == NULL || c->storages == NULL) {
    chain_destroy(&c);
    return NULL;
  }
  make_metrics(c);
  if (!make_writer(c))
    chain_destroy(&c);
  return c;
}

void chain_destroy(struct chain **chain)
{
  struct chain *c = *chain;
  if (c == NULL)
    return;
  for (size_t i = 0; i < c->pool_count; i++)
    cof_batch_destroy(&c->pool[i].batch);
  window_destroy(&c->windows[0]);
  window_destroy(&c->windows[1]);
  writer_destroy(&c->writer);
  tap_destroy(&c->tap);
  free(c->notes);
  metrics_destroy(&c->metrics);
  pthread_cond_destroy(&c->work);
  pthread_cond_destroy(&c->room);
  pthread_cond_destroy(&c->swap);
  pthread_mutex_destroy(&c->lock);
  free(c->pool);
  free(c->queue);
  free(c->filters);
  free(c->storages);
  free(c->source);
  free(c);
  *chain = NULL;
}

bool chain_tap(struct chain *c, struct instance *output)
{
  if (c->notes == NULL)
    c->notes = calloc((size_t)c->conf.window_records, 1);
  window_split(c->windows[0]);
  window_split(c->windows[1]);
  return c->notes != NULL && tap_add(c->tap, output);
}

struct metrics *chain_metrics(struct chain *c)
{
  return c->metrics;
}

/* Wait on a condition until a time of the monotonic clock; UINT64_MAX is for ever. */
static void wait_until(struct chain *c, pthread_cond_t *cond, uint64_t until_ns)
{
  if (until_ns == UINT64_MAX) {
    pthread_cond_wait(cond, &c->lock);
    return;
  }
  struct timespec ts = {.tv_sec = (time_t)(until_ns / 1000000000u),
                        .tv_nsec = (long)(until_ns % 1000000000u)};
  pthread_cond_timedwait(cond, &c->lock, &ts);
}

/* --- batches in ---------------------------------------------------------------------------- */

struct cof_batch *chain_batch_get(struct chain *c)
{
  struct cof_batch *batch = NULL;
  pthread_mutex_lock(&c->lock);
  if (c->pool_count > 0) {
    const struct pooled *last = &c->pool[--c->pool_count];
    batch = last->batch;
    c->pool_bytes -= last->bytes;
  }
  pthread_mutex_unlock(&c->lock);
  return batch != NULL ? batch : cof_batch_create();
}

void chain_batch_put(struct chain *c, struct cof_batch **batch)
{
  if (*batch == NULL)
    return;
  size_t bytes = cof_batch_bytes(*batch);
  cof_batch_clear(*batch);
  pthread_mutex_lock(&c->lock);
  if (c->pool_count < c->pool_room && c->pool_bytes + bytes <= (size_t)c->conf.queue_bytes) {
    c->pool[c->pool_count++] = (struct pooled){.batch = *batch, .bytes = bytes};
    c->pool_bytes += bytes;
    *batch = NULL;
  }
  pthread_mutex_unlock(&c->lock);
  cof_batch_destroy(batch);
}

/* A batch that is larger than the bound goes in alone, or it never could. */
static bool has_room(const struct chain *c, size_t bytes)
{
  return c->queue_count == 0 || (c->queue_count < (size_t)c->conf.queue_batches &&
                                 c->queue_bytes + bytes <= (size_t)c->conf.queue_bytes);
}

static bool closed_to(const struct chain *c, struct instance *input)
{
  return c->draining || c->cutoff || atomic_load(&input->stopping);
}

static void ask_resume(struct chain *c, struct instance *input)
{
  if (input->wants_resume)
    return;
  input->wants_resume = true;
  input->next_resume = c->resumes;
  c->resumes = input;
}

static void enqueue(struct chain *c, struct instance *input, struct cof_batch **batch,
                    uint64_t token)
{
  size_t at = (c->queue_head + c->queue_count) % (size_t)c->conf.queue_batches;
  c->queue[at] =
      (struct entry){.batch = *batch, .input = input, .token = token, .taken_ns = clock_ns()};
  c->queue_count++;
  c->queue_bytes += cof_batch_bytes(*batch);
  c->taken++;
  metric_set(c->m_queue, (int64_t)c->queue_count);
  metric_add(c->m_received, (int64_t)cof_batch_count(*batch));
  pthread_cond_signal(&c->work);
  *batch = NULL;
}

/* Threads that make, fold or write records let those go first who answer. Once a thread. */
static void yield_to_questions(const struct chain *c)
{
  static _Thread_local bool yields;
  if (yields || c->conf.nice == 0)
    return;
  yields = true;
  if (priority_yield((int)c->conf.nice) != 0)
    log_write(c->source, COF_LOG_WARNING, "cannot lower the priority of a thread: %s",
              strerror(errno));
}

enum cof_result chain_emit(struct chain *c, struct instance *input, struct cof_batch **batch,
                           uint64_t token, int wait_ms)
{
  uint64_t until = clock_ns() + (uint64_t)wait_ms * MS;
  size_t bytes = cof_batch_bytes(*batch), count = cof_batch_count(*batch);
  enum cof_result r = COF_OK;
  yield_to_questions(c);
  pthread_mutex_lock(&c->lock);
  if (!has_room(c, bytes))
    metric_add(c->m_pauses, 1);
  while (wait_ms > 0 && !closed_to(c, input) && !has_room(c, bytes) && clock_ns() < until)
    wait_until(c, &c->room, until);
  if (closed_to(c, input))
    r = COF_STOPPED;
  else if (has_room(c, bytes))
    enqueue(c, input, batch, token);
  else
    r = COF_AGAIN;
  if (r == COF_AGAIN && wait_ms == 0)
    ask_resume(c, input);
  pthread_mutex_unlock(&c->lock);
  if (r == COF_OK)
    priority_offer(count); /* for what the plugin did */
  return r;
}

void chain_wake(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  pthread_cond_broadcast(&c->room);
  pthread_mutex_unlock(&c->lock);
}

/* --- settling ------------------------------------------------------------------------------ */

static void count_settled(struct chain *c, uint64_t n, enum cof_result result)
{
  pthread_mutex_lock(&c->lock);
  c->settled += n;
  c->unstored += result != COF_OK ? n : 0;
  bool tell = c->hurry && c->settled == c->taken;
  pthread_mutex_unlock(&c->lock);
  if (tell)
    c->on_event(c->on_event_arg, false);
}

struct settling {
  enum cof_result result;
  uint64_t count;
};

static void settle_one(void *arg, struct instance *input, uint64_t token)
{
  struct settling *s = arg;
  instance_ack(input, token, s->result);
  s->count++;
}

static void settle_window(struct chain *c, struct window *w, enum cof_result result)
{
  struct settling s = {.result = result};
  window_settle(w, settle_one, &s);
  window_clear(w);
  count_settled(c, s.count, result);
}

/* Write no more, and let the host know. */
static void fail(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  c->cutoff = true;
  pthread_cond_broadcast(&c->work);
  pthread_cond_broadcast(&c->room);
  pthread_cond_broadcast(&c->swap);
  pthread_mutex_unlock(&c->lock);
  writer_stop(c->writer);
  c->on_event(c->on_event_arg, true);
}

/* --- writing ------------------------------------------------------------------------------- */

/* Records are counted when they are durable; what the first storage refused is not stored. */
static void count_written(struct chain *c, const struct cof_batch *batch, uint64_t rejected)
{
  metric_add(c->m_writes, 1);
  metric_add(c->m_rejected, (int64_t)rejected);
  metric_add(c->m_stored, (int64_t)(cof_batch_observations(batch) - rejected));
}

/* What to note of the next write; what is new only where the storage can tell. */
static unsigned wants_now(const struct chain *c)
{
  unsigned wants = tap_used(c->tap) ? tap_wants(c->tap) : 0;
  if ((wants & COF_WANT_NEW) != 0 && host_storage_lacks(c->storages[0], COF_CAP_NEW) != NULL)
    wants &= ~(unsigned)COF_WANT_NEW;
  return wants;
}

static void tell(struct chain *c, const struct window *w, unsigned wants)
{
  uint64_t count = cof_batch_count(window_batch(w));
  if (tap_tell(c->tap, w, c->notes, (wants & COF_WANT_NEW) != 0))
    return;
  metric_add(c->m_untold, (int64_t)count);
  log_write(c->source, COF_LOG_ERROR,
            "out of memory; %llu records that were stored are not told to outputs",
            (unsigned long long)count);
}

static void write_window(struct chain *c, struct window *w)
{
  const struct cof_batch *batch = window_batch(w);
  enum cof_result r = COF_OK;
  uint64_t rejected = 0;
  if (cof_batch_count(batch) != 0) {
    unsigned wants = wants_now(c);
    writer_note(c->writer, wants != 0 ? c->notes : NULL, (wants & COF_WANT_NEW) != 0);
    r = writer_write(c->writer, batch, &rejected);
    if (r == COF_OK) {
      count_written(c, batch, rejected);
      metric_observe(c->m_lag, (int64_t)((clock_ns() - c->writing_oldest_ns) / MS));
    }
    if (r == COF_OK && wants != 0)
      tell(c, w, wants);
  }
  if (r == COF_FATAL)
    fail(c);
  settle_window(c, w, r == COF_OK ? COF_OK : COF_STOPPED);
}

static void *write_main(void *arg)
{
  struct chain *c = arg;
  guard_thread();
  yield_to_questions(c);
  pthread_mutex_lock(&c->lock);
  for (;;) {
    while (c->writing == NULL && !c->fold_ended)
      pthread_cond_wait(&c->swap, &c->lock);
    if (c->writing == NULL)
      break;
    pthread_mutex_unlock(&c->lock);
    write_window(c, c->writing);
    pthread_mutex_lock(&c->lock);
    c->writing = NULL;
    pthread_cond_broadcast(&c->swap);
  }
  c->write_ended = true;
  pthread_cond_broadcast(&c->swap);
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

/* --- folding ------------------------------------------------------------------------------- */

/*
 * Give the window that fills to the writer, once that has done with the other one. After a cut-off
 * it is settled as not stored instead, behind the other one, so that acks keep their order.
 */
static void hand_over(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  while (c->writing != NULL)
    pthread_cond_wait(&c->swap, &c->lock);
  bool cutoff = c->cutoff;
  struct window *full = c->filling;
  if (!cutoff) {
    c->writing = full;
    c->writing_oldest_ns = c->oldest_ns;
    c->filling = full == c->windows[0] ? c->windows[1] : c->windows[0];
    window_bound(c->filling, window_records(c));
    pthread_cond_broadcast(&c->swap);
  }
  pthread_mutex_unlock(&c->lock);
  if (cutoff)
    settle_window(c, full, COF_STOPPED);
}

/* Make room in the window that fills. @return false when there is no memory even for an empty one
 */
static bool make_room(struct chain *c, enum window_end end)
{
  if (end == WINDOW_NO_MEMORY && window_empty(c->filling))
    return false;
  hand_over(c);
  return true;
}

static void note_opened(struct chain *c, const struct entry *e)
{
  if (!window_empty(c->filling))
    return;
  c->opened_ns = clock_ns();
  c->oldest_ns = e->taken_ns;
}

/* @return false when memory ran out; then the batch is not settled */
static bool fold_batch(struct chain *c, const struct entry *e)
{
  struct window_counts counts = {0};
  size_t from = 0;
  enum window_end end;
  note_opened(c, e);
  while ((end = window_fold(c->filling, e->batch, &from, &counts)) != WINDOW_DONE) {
    if (!make_room(c, end))
      return false;
    note_opened(c, e);
  }
  while (!window_await(c->filling, e->input, e->token))
    if (!make_room(c, WINDOW_NO_MEMORY))
      return false;
  c->kept += counts.kept;
  metric_add(c->m_looped, (int64_t)counts.looped);
  metric_add(c->m_filtered, (int64_t)counts.filtered);
  metric_add(c->m_rejected, (int64_t)counts.rejected);
  metric_add(c->m_folded, (int64_t)counts.folded);
  return true;
}

static uint64_t due_ns(const struct chain *c)
{
  return c->opened_ns + (uint64_t)c->conf.window_time * MS;
}

static void settle_entry(struct chain *c, struct entry *e, enum cof_result result)
{
  instance_ack(e->input, e->token, result);
  chain_batch_put(c, &e->batch);
  count_settled(c, 1, result);
}

static void wait_written(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  while (c->writing != NULL)
    pthread_cond_wait(&c->swap, &c->lock);
  pthread_mutex_unlock(&c->lock);
}

/* The window that fills is empty then; the other one may still have older batches to settle. */
static void out_of_memory(struct chain *c, struct entry *e)
{
  log_write(c->source, COF_LOG_ERROR, "out of memory; the chain stops");
  fail(c);
  wait_written(c);
  settle_entry(c, e, COF_STOPPED);
}

/* Filter and fold one batch. */
static void take_batch(struct chain *c, struct entry *e)
{
  for (size_t i = 0; i < c->filters_count; i++)
    instance_filter(c->filters[i], e->batch);
  if (!fold_batch(c, e)) {
    out_of_memory(c, e);
    return;
  }
  chain_batch_put(c, &e->batch);
  if (window_full(c->filling) || clock_ns() >= due_ns(c))
    hand_over(c);
}

static void pop(struct chain *c, struct entry *e)
{
  *e = c->queue[c->queue_head];
  c->queue_head = (c->queue_head + 1) % (size_t)c->conf.queue_batches;
  c->queue_count--;
  c->queue_bytes -= cof_batch_bytes(e->batch);
  metric_set(c->m_queue, (int64_t)c->queue_count);
  pthread_cond_broadcast(&c->room);
}

/* Inputs are resumed at half a queue, so that they do not stop and go with every batch. */
static struct instance *take_resumes(struct chain *c)
{
  if (c->queue_count > (size_t)c->conf.queue_batches / 2)
    return NULL;
  struct instance *list = c->resumes;
  c->resumes = NULL;
  for (struct instance *i = list; i != NULL; i = i->next_resume)
    i->wants_resume = false;
  return list;
}

static void resume_all(struct instance *list)
{
  for (struct instance *next; list != NULL; list = next) {
    next = list->next_resume;
    if (!atomic_load(&list->stopping))
      instance_resume(list);
  }
}

enum step { STEP_BATCH, STEP_WRITE, STEP_END };

/* Wait for something to do; called and left with the lock held. */
static enum step next_step(struct chain *c, struct entry *e)
{
  for (;;) {
    bool waiting = !window_empty(c->filling);
    if (c->cutoff)
      return STEP_END;
    if (c->queue_count > 0) {
      pop(c, e);
      return STEP_BATCH;
    }
    if (waiting && (c->hurry || c->draining || clock_ns() >= due_ns(c)))
      return STEP_WRITE;
    if (!waiting && c->draining)
      return STEP_END;
    wait_until(c, &c->work, waiting ? due_ns(c) : UINT64_MAX);
  }
}

/* Settle what is left after a cut-off, oldest first. */
static void settle_rest(struct chain *c)
{
  if (!window_empty(c->filling))
    hand_over(c);
  pthread_mutex_lock(&c->lock);
  while (c->writing != NULL)
    pthread_cond_wait(&c->swap, &c->lock);
  while (c->queue_count > 0) {
    struct entry e;
    pop(c, &e);
    pthread_mutex_unlock(&c->lock);
    settle_entry(c, &e, COF_STOPPED);
    pthread_mutex_lock(&c->lock);
  }
  c->fold_ended = true;
  pthread_cond_broadcast(&c->swap);
  pthread_mutex_unlock(&c->lock);
}

static void *fold_main(void *arg)
{
  struct chain *c = arg;
  enum step step;
  guard_thread();
  yield_to_questions(c);
  do {
    struct entry e = {0};
    pthread_mutex_lock(&c->lock);
    step = next_step(c, &e);
    struct instance *resumes = take_resumes(c);
    pthread_mutex_unlock(&c->lock);
    resume_all(resumes);
    if (step == STEP_BATCH)
      take_batch(c, &e);
    else if (step == STEP_WRITE)
      hand_over(c);
  } while (step != STEP_END);
  settle_rest(c);
  return NULL;
}

/* --- life ---------------------------------------------------------------------------------- */

/* What each sensor saw, where a storage keeps it. */
static void ask_sensors(struct chain *c)
{
  for (size_t i = 0; i < c->storages_count; i++)
    if (host_storage_lacks(c->storages[i], COF_CAP_SENSOR) == NULL) {
      window_by_sensor(c->windows[0]);
      window_by_sensor(c->windows[1]);
    }
}

bool chain_start(struct chain *c)
{
  ask_sensors(c);
  int e = pthread_create(&c->write_thread, NULL, write_main, c);
  c->write_started = e == 0;
  if (e == 0) {
    e = pthread_create(&c->fold_thread, NULL, fold_main, c);
    c->fold_started = e == 0;
  }
  if (e != 0)
    log_write(c->source, COF_LOG_ERROR, "cannot start a thread: %s", strerror(e));
  return e == 0;
}

void chain_hurry(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  c->hurry = true;
  pthread_cond_signal(&c->work);
  pthread_mutex_unlock(&c->lock);
}

bool chain_idle(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  bool idle = c->settled == c->taken;
  pthread_mutex_unlock(&c->lock);
  return idle;
}

bool chain_all_stored(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  bool all = c->settled == c->taken && c->unstored == 0;
  pthread_mutex_unlock(&c->lock);
  return all;
}

bool chain_cut_off(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  bool cutoff = c->cutoff;
  pthread_mutex_unlock(&c->lock);
  return cutoff;
}

static bool ended(const struct chain *c)
{
  return (c->fold_ended || !c->fold_started) && (c->write_ended || !c->write_started);
}

bool chain_ended(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  bool all = ended(c);
  pthread_mutex_unlock(&c->lock);
  return all;
}

static void wait_ended(struct chain *c, uint64_t until_ns)
{
  while (!ended(c) && clock_ns() < until_ns)
    wait_until(c, &c->swap, until_ns);
}

void chain_drain(struct chain *c)
{
  pthread_mutex_lock(&c->lock);
  c->draining = true;
  c->fold_ended = c->fold_ended || !c->fold_started;
  pthread_cond_broadcast(&c->work);
  pthread_cond_broadcast(&c->room);
  pthread_cond_broadcast(&c->swap);
  pthread_mutex_unlock(&c->lock);
}

bool chain_finish(struct chain *c, uint64_t deadline_ns)
{
  chain_drain(c);
  pthread_mutex_lock(&c->lock);
  wait_ended(c, deadline_ns);
  if (!ended(c)) {
    log_write(c->source, COF_LOG_WARNING,
              "not all was written by the deadline; what is left stays "
              "with its inputs");
    c->cutoff = true;
    pthread_cond_broadcast(&c->work);
    pthread_cond_broadcast(&c->swap);
    writer_stop(c->writer);
    wait_ended(c, clock_ns() + GRACE_NS);
  }
  bool all = ended(c);
  if (!all)
    writer_blame(c->writer);
  pthread_mutex_unlock(&c->lock);
  if (all && c->fold_started)
    pthread_join(c->fold_thread, NULL);
  if (all && c->write_started)
    pthread_join(c->write_thread, NULL);
  if (all)
    c->fold_started = c->write_started = false;
  return all;
}
