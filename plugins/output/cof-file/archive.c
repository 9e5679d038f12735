/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "archive_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS  UINT64_C(1000000)
#define SEC UINT64_C(1000000000)
/* Lines go into the queue by so many octets, and into frames by at most so many. */
#define PIECE ((size_t)256 << 10)
#define FRAME ((size_t)1 << 20)
/* A queue that once grew beyond this is not kept so large. */
#define KEEP ((size_t)8 << 20)
/* How often a waiting chain looks whether it is to stop, and a full disk is tried again. */
#define LOOK_NS  (200 * MS)
#define RETRY_NS SEC

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ns)
{
  struct timespec ts = {.tv_sec = (time_t)(until_ns / SEC), .tv_nsec = (long)(until_ns % SEC)};
  if (until_ns == UINT64_MAX)
    pthread_cond_wait(cond, lock);
  else
    pthread_cond_timedwait(cond, lock, &ts);
}

static bool lines_room(struct lines *l, size_t more)
{
  if (l->room - l->len >= more)
    return true;
  size_t room = l->room != 0 ? l->room : PIECE;
  while (room - l->len < more)
    room *= 2;
  char *bytes = realloc(l->bytes, room);
  if (bytes == NULL)
    return false;
  l->bytes = bytes;
  l->room = room;
  return true;
}

/* --- the chain's thread ---------------------------------------------------------------------- */

static bool has_room(const struct archive *a, size_t more)
{
  return a->queue.len == 0 || a->queue.len + more <= (size_t)a->conf.queue_bytes;
}

/* Under the lock. One line of the log when it begins. */
static void drop(struct archive *a, uint64_t count, const char *why)
{
  if (a->dropping == 0)
    cof_log(a->host, COF_LOG_ERROR, "%s; lines are dropped, which the metric `dropped` counts",
            why);
  a->dropping += count;
  cof_add(a->host, a->m_dropped, (int64_t)count);
}

static void enqueue(struct archive *a, const struct lines *piece)
{
  if (!lines_room(&a->queue, piece->len)) {
    drop(a, piece->count, "out of memory");
    return;
  }
  if (a->dropping != 0)
    cof_log(a->host, COF_LOG_WARNING, "takes lines again, after %llu that were dropped",
            (unsigned long long)a->dropping);
  a->dropping = 0;
  memcpy(a->queue.bytes + a->queue.len, piece->bytes, piece->len);
  a->queue.len += piece->len;
  a->queue.count += piece->count;
  a->queued += piece->len;
  cof_set(a->host, a->m_queue, (int64_t)a->queue.len);
  pthread_cond_signal(&a->work);
}

/* Give one piece of lines to the thread. */
static void hand_over(struct archive *a)
{
  struct lines *piece = &a->own;
  if (piece->len == 0)
    return;
  pthread_mutex_lock(&a->lock);
  while (a->conf.overflow == OVERFLOW_WAIT && !has_room(a, piece->len) && !cof_stopping(a->host))
    wait_until(&a->room, &a->lock, cof_clock_ns(a->host) + LOOK_NS);
  if (has_room(a, piece->len))
    enqueue(a, piece);
  else
    drop(a, piece->count, "the queue is full");
  pthread_mutex_unlock(&a->lock);
  piece->len = 0;
  piece->count = 0;
}

/* For sync = each: the inputs hear that the records are stored when they are safe here as well. */
static void wait_safe(struct archive *a)
{
  pthread_mutex_lock(&a->lock);
  while (a->safe < a->queued && !cof_stopping(a->host))
    wait_until(&a->room, &a->lock, cof_clock_ns(a->host) + LOOK_NS);
  pthread_mutex_unlock(&a->lock);
}

void archive_stored(void *self, const struct cof_stored *stored)
{
  struct archive *a = self;
  for (size_t i = 0; i < stored->count; i++) {
    const struct cof_record *r = stored->records[i];
    if (!lines_room(&a->own, feed_bound(&a->feed, r) + 1)) {
      pthread_mutex_lock(&a->lock);
      drop(a, 1, "out of memory");
      pthread_mutex_unlock(&a->lock);
      continue;
    }
    a->own.len += feed_write(&a->feed, r, a->own.bytes + a->own.len);
    a->own.bytes[a->own.len++] = '\n';
    a->own.count++;
    if (a->own.len >= PIECE)
      hand_over(a);
  }
  hand_over(a);
  if (a->conf.sync == SYNC_EACH)
    wait_safe(a);
}

/* --- the archive's thread -------------------------------------------------------------------- */

static void report(struct archive *a, bool ok, const struct cof_error *err)
{
  if (ok && a->failing)
    cof_log(a->host, COF_LOG_INFO, "writing works again");
  if (!ok)
    cof_add(a->host, a->m_retries, 1);
  if (!ok && !a->failing)
    cof_log(a->host, COF_LOG_ERROR, "%s; trying again until it works", err->text);
  a->failing = !ok;
}

/* @return false when the time to stop came first */
static bool pause_retry(struct archive *a)
{
  uint64_t until = cof_clock_ns(a->host) + RETRY_NS;
  pthread_mutex_lock(&a->lock);
  while (cof_clock_ns(a->host) < until && !(a->stopping && cof_clock_ns(a->host) >= a->deadline_ns))
    wait_until(&a->work, &a->lock, a->stopping && a->deadline_ns < until ? a->deadline_ns : until);
  bool go_on = !a->stopping || cof_clock_ns(a->host) < a->deadline_ns;
  pthread_mutex_unlock(&a->lock);
  return go_on;
}

typedef bool (*step_fn)(struct archive *a, struct cof_error *err);

/* Repeat a step until it works or the time to stop has come. */
static bool insist(struct archive *a, step_fn step)
{
  struct cof_error err;
  for (;;) {
    bool ok = step(a, &err);
    report(a, ok, &err);
    if (ok)
      return true;
    if (!pause_retry(a))
      return false;
  }
}

/* Octets of the next frame: whole lines. A line is shorter than a frame. */
static size_t next_frame(const struct lines *l, size_t from)
{
  if (l->len - from <= FRAME)
    return l->len - from;
  const char *start = l->bytes + from, *end = memrchr(start, '\n', FRAME);
  return end != NULL ? (size_t)(end - start) + 1 : l->len - from;
}

static bool full(const struct archive *a)
{
  return a->part.fd >= 0 && a->conf.directory != NULL && a->conf.rotate_size != 0 &&
         a->part.good >= (uint64_t)a->conf.rotate_size;
}

/* One frame of `writing`, from where it is not written yet. */
static bool write_frame(struct archive *a, struct cof_error *err)
{
  const void *packed;
  struct lines *l = &a->writing;
  size_t len = next_frame(l, l->from);
  size_t n = packer_pack(a->packer, l->bytes + l->from, len, &packed);
  if (n == 0) {
    cof_fail(err, COF_RETRY, "out of memory for packing");
    return false;
  }
  if (!part_open(a, err) || !part_write(a, packed, n, err))
    return false;
  uint64_t count = 0;
  for (const char *p = l->bytes + l->from, *end = p + len; p < end; count++)
    p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
  l->from += len;
  l->count -= count;
  cof_add(a->host, a->m_lines, (int64_t)count);
  cof_add(a->host, a->m_bytes, (int64_t)n);
  return true;
}

static bool write_lines(struct archive *a)
{
  bool ok = true;
  while (ok && a->writing.from < a->writing.len) {
    ok = insist(a, write_frame);
    if (ok && full(a))
      ok = insist(a, part_finish);
  }
  if (ok && a->conf.sync == SYNC_EACH)
    ok = insist(a, part_sync);
  return ok;
}

/* When something is to be done without new lines. */
static uint64_t due_ns(const struct archive *a)
{
  const struct conf *c = &a->conf;
  uint64_t due = UINT64_MAX;
  if (a->part.fd < 0)
    return due;
  if (c->directory != NULL && c->rotate_time != 0)
    due = a->part.opened_ns + (uint64_t)c->rotate_time * MS;
  if (c->sync == SYNC_INTERVAL && a->part.dirty) {
    uint64_t sync = a->synced_ns + (uint64_t)c->sync_interval * MS;
    due = sync < due ? sync : due;
  }
  return due;
}

static bool timed_work(struct archive *a)
{
  const struct conf *c = &a->conf;
  uint64_t now = cof_clock_ns(a->host);
  bool ok = true;
  if (c->sync == SYNC_INTERVAL && now >= a->synced_ns + (uint64_t)c->sync_interval * MS) {
    ok = insist(a, part_sync);
    a->synced_ns = cof_clock_ns(a->host);
  }
  if (ok && a->part.fd >= 0 && c->directory != NULL && c->rotate_time != 0 &&
      now >= a->part.opened_ns + (uint64_t)c->rotate_time * MS)
    ok = insist(a, part_finish);
  return ok;
}

/* Wait for lines or something due; take both. @return false at the end */
static bool next_work(struct archive *a, bool *rotate, uint64_t *upto)
{
  pthread_mutex_lock(&a->lock);
  cof_set(a->host, a->m_queue, (int64_t)a->queue.len); /* what was taken before is written */
  while (a->queue.len == 0 && !a->stopping && !a->rotate && cof_clock_ns(a->host) < due_ns(a))
    wait_until(&a->work, &a->lock, due_ns(a));
  struct lines taken = a->queue;
  a->queue = a->writing;
  a->writing = taken;
  a->queue.from = a->queue.len = 0;
  a->queue.count = 0;
  if (a->queue.room > KEEP) {
    free(a->queue.bytes);
    a->queue = (struct lines){.bytes = NULL};
  }
  *rotate = a->rotate;
  a->rotate = false;
  *upto = a->queued;
  bool go_on = taken.len != 0 || !a->stopping;
  cof_set(a->host, a->m_queue, (int64_t)taken.len);
  pthread_cond_broadcast(&a->room);
  pthread_mutex_unlock(&a->lock);
  return go_on;
}

static void note_safe(struct archive *a, uint64_t upto)
{
  pthread_mutex_lock(&a->lock);
  a->safe = upto;
  pthread_cond_broadcast(&a->room);
  pthread_mutex_unlock(&a->lock);
}

/* What could not be written by the end of the stop. */
static void give_up(struct archive *a)
{
  pthread_mutex_lock(&a->lock);
  uint64_t lost = a->writing.count + a->queue.count;
  if (lost != 0)
    drop(a, lost, "could not write all in time to stop");
  a->queue.len = a->writing.len = 0;
  a->queue.count = a->writing.count = 0;
  a->safe = a->queued;
  pthread_cond_broadcast(&a->room);
  pthread_mutex_unlock(&a->lock);
}

static void *archive_main(void *arg)
{
  struct archive *a = arg;
  bool rotate, ok = true;
  uint64_t upto;
  while (ok && next_work(a, &rotate, &upto)) {
    /* First the new file: what is stored after a reload is never in a file that was moved away. */
    ok = (!rotate || insist(a, part_finish)) && write_lines(a) && timed_work(a);
    if (ok)
      note_safe(a, upto);
  }
  if (ok)
    ok = insist(a, part_finish);
  give_up(a);
  part_close(a);
  pthread_mutex_lock(&a->lock);
  a->finished = ok;
  pthread_mutex_unlock(&a->lock);
  return NULL;
}

/* --- life ------------------------------------------------------------------------------------ */

bool archive_start(struct archive *a)
{
  struct cof_error err;
  a->synced_ns = cof_clock_ns(a->host);
  if (!part_recover(a, &err) || (a->conf.path != NULL && !part_open(a, &err))) {
    cof_log(a->host, COF_LOG_ERROR, "%s", err.text);
    return false;
  }
  int e = pthread_create(&a->thread, NULL, archive_main, a);
  if (e != 0)
    cof_log(a->host, COF_LOG_ERROR, "cannot start a thread: %s", strerror(e));
  a->running = e == 0;
  return a->running;
}

bool archive_stop(struct archive *a, uint64_t deadline_ns)
{
  if (!a->running)
    return true;
  pthread_mutex_lock(&a->lock);
  a->stopping = true;
  a->deadline_ns = deadline_ns;
  pthread_cond_broadcast(&a->work);
  pthread_mutex_unlock(&a->lock);
  pthread_join(a->thread, NULL);
  a->running = false;
  return a->finished;
}
