/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "writer_private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host_private.h"
#include "tap_private.h"

#define MS UINT64_C(1000000)

struct writer {
  struct writer_conf conf;
  struct cof_ticket *tickets; /* one for each storage, their results under the lock */
  pthread_mutex_t lock;
  pthread_cond_t changed; /* a ticket is done, or `stopped` */
  bool stopped;           /* under the lock */
  uint8_t *notes;         /* of the first storage's ticket */
  bool news;
};

struct writer *writer_create(const struct writer_conf *conf)
{
  pthread_condattr_t attr;
  struct writer *w = calloc(1, sizeof *w);
  if (w == NULL)
    return NULL;
  w->conf = *conf;
  w->tickets = calloc(conf->storages_count + 1, sizeof *w->tickets);
  if (w->tickets == NULL) {
    free(w);
    return NULL;
  }
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->changed, &attr);
  pthread_condattr_destroy(&attr);
  return w;
}

void writer_destroy(struct writer **writer)
{
  struct writer *w = *writer;
  if (w == NULL)
    return;
  pthread_cond_destroy(&w->changed);
  pthread_mutex_destroy(&w->lock);
  free(w->tickets);
  free(w);
  *writer = NULL;
}

void writer_note(struct writer *w, uint8_t *notes, bool news)
{
  w->notes = notes;
  w->news = news;
}

/* What was new to an attempt that failed is new; what it refused comes again. */
static void reset_notes(struct writer *w, const struct cof_batch *batch, unsigned keep)
{
  if (w->notes == NULL)
    return;
  for (size_t i = 0; i < cof_batch_count(batch); i++)
    w->notes[i] &= (uint8_t)keep;
}

static void wait_ticket(struct writer *w, const struct cof_ticket *t)
{
  struct guard_call before = guard_enter(t->storage->owner, "write(), its ticket not concluded");
  pthread_mutex_lock(&w->lock);
  while (!t->done)
    pthread_cond_wait(&w->changed, &w->lock);
  pthread_mutex_unlock(&w->lock);
  guard_leave(before);
}

static void begin_ticket(struct writer *w, size_t index, const struct cof_batch *batch)
{
  if (index == 0)
    reset_notes(w, batch, NOTE_NEW);
  pthread_mutex_lock(&w->lock);
  w->tickets[index] = (struct cof_ticket){.storage = w->conf.storages[index],
                                          .batch = batch,
                                          .lock = &w->lock,
                                          .done_cond = &w->changed,
                                          .notes = index == 0 ? w->notes : NULL,
                                          .news = w->news};
  pthread_mutex_unlock(&w->lock);
  instance_write(w->conf.storages[index], batch, &w->tickets[index]);
}

/* Start a write to each storage that does not have the batch yet, then wait for all of them. */
static void write_round(struct writer *w, const struct cof_batch *batch)
{
  uint64_t begin = clock_ns();
  for (size_t i = 0; i < w->conf.storages_count; i++)
    if (!w->tickets[i].done || w->tickets[i].result != COF_OK)
      begin_ticket(w, i, batch);
  for (size_t i = 0; i < w->conf.storages_count; i++)
    wait_ticket(w, &w->tickets[i]);
  if (w->conf.write_ms != NULL)
    metric_add(w->conf.write_ms, (int64_t)((clock_ns() - begin) / MS));
}

/* The worst result of all storages: COF_OK, COF_RETRY, or what cannot be mended. */
static enum cof_result round_result(const struct writer *w, const struct instance **who)
{
  enum cof_result worst = COF_OK;
  for (size_t i = 0; i < w->conf.storages_count; i++) {
    enum cof_result r = w->tickets[i].result;
    if (r == COF_OK || (r == COF_RETRY && worst != COF_OK))
      continue;
    worst = r;
    *who = w->conf.storages[i];
  }
  return worst;
}

/* More or less by a quarter, so that several writers spread out. */
bool writer_pause(struct writer *w, uint64_t *pause_ms)
{
  uint64_t now = clock_ns();
  uint64_t until = now + *pause_ms * MS * (75 + now / 1000 % 50) / 100;
  struct timespec ts = {.tv_sec = (time_t)(until / 1000000000u),
                        .tv_nsec = (long)(until % 1000000000u)};
  pthread_mutex_lock(&w->lock);
  while (!w->stopped && clock_ns() < until)
    pthread_cond_timedwait(&w->changed, &w->lock, &ts);
  bool go_on = !w->stopped;
  pthread_mutex_unlock(&w->lock);
  *pause_ms = *pause_ms * 2 < w->conf.retry_max_ms ? *pause_ms * 2 : w->conf.retry_max_ms;
  return go_on;
}

/* Each storage counts its own; what the first one refused is not stored. */
static void count_refusals(struct writer *w, uint64_t *rejected)
{
  for (size_t i = 0; i < w->conf.storages_count; i++)
    metric_add(w->conf.storages[i]->rejected, (int64_t)w->tickets[i].rejected);
  if (rejected != NULL)
    *rejected = w->conf.storages_count != 0 ? w->tickets[0].rejected : 0;
}

enum cof_result writer_write(struct writer *w, const struct cof_batch *batch, uint64_t *rejected)
{
  const struct instance *who = NULL;
  uint64_t pause_ms =
      w->conf.retry_min_ms < w->conf.retry_max_ms ? w->conf.retry_min_ms : w->conf.retry_max_ms;
  pthread_mutex_lock(&w->lock);
  memset(w->tickets, 0, w->conf.storages_count * sizeof *w->tickets);
  pthread_mutex_unlock(&w->lock);
  reset_notes(w, batch, 0);
  for (unsigned attempt = 1;; attempt++) {
    write_round(w, batch);
    enum cof_result r = round_result(w, &who);
    if (r == COF_OK && attempt > 1)
      log_write(w->conf.source, COF_LOG_INFO, "%s takes writes again, at attempt %u", who->source,
                attempt);
    if (r == COF_OK) {
      count_refusals(w, rejected);
      return COF_OK;
    }
    if (r != COF_RETRY) {
      log_write(w->conf.source, COF_LOG_ERROR,
                "%s cannot go on (%s); writing stops, and nothing that waits is acknowledged",
                who->source, cof_result_name(r));
      return COF_FATAL;
    }
    if (attempt == 1)
      log_write(w->conf.source, COF_LOG_WARNING,
                "%s does not take writes; trying again, and taking no more meanwhile", who->source);
    if (!writer_pause(w, &pause_ms))
      return COF_STOPPED;
    if (w->conf.retries != NULL)
      metric_add(w->conf.retries, 1);
  }
}

void writer_stop(struct writer *w)
{
  pthread_mutex_lock(&w->lock);
  w->stopped = true;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->lock);
}

void writer_blame(struct writer *w)
{
  pthread_mutex_lock(&w->lock);
  for (size_t i = 0; i < w->conf.storages_count; i++)
    if (!w->tickets[i].done && w->tickets[i].storage != NULL)
      log_write(w->conf.source, COF_LOG_ERROR, "%s does not finish a write",
                w->conf.storages[i]->source);
  pthread_mutex_unlock(&w->lock);
}
