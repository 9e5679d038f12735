/* SPDX-License-Identifier: MIT */
#include "reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Files that one batch may hold records of; bounds what an ack has to do. */
#define MARKS_MAX 4096
#define MS_NS     UINT64_C(1000000)

bool reader_ending(const struct reader *r)
{
  return r->stopped || atomic_load(&r->stopping);
}

void reader_wait(struct reader *r, struct pollfd *fds, size_t count, int ms)
{
  for (size_t i = 0; i <= count; i++)
    fds[i].revents = 0;
  fds[count] = (struct pollfd){.fd = r->wake, .events = POLLIN};
  if (poll(fds, (nfds_t)count + 1, ms) < 0 && errno != EINTR)
    cof_log(r->host, COF_LOG_ERROR, "poll: %s", strerror(errno));
}

void reader_failed(struct reader *r, const char *path, const char *why)
{
  cof_log(r->host, COF_LOG_ERROR, "%s: %s", path, why);
  cof_add(r->host, r->errors, 1);
}

size_t reader_specs(const struct reader *r, const char *const **specs)
{
  *specs = r->loading ? r->load_paths : (const char *const *)r->conf->path.items;
  return r->loading ? r->load_count : r->conf->path.count;
}

/* --- batches -----------------------------------------------------------------------------------
 */

bool reader_starved(struct reader *r)
{
  struct pollfd none[1];
  cof_log(r->host, COF_LOG_ERROR, "out of memory; trying again");
  reader_wait(r, none, 0, 1000);
  return !reader_ending(r);
}

bool reader_new_batch(struct reader *r)
{
  r->batch_since = 0;
  r->passing = 0;
  while ((r->batch = cof_batch_get(r->host)) == NULL)
    if (!reader_starved(r))
      return false;
  return true;
}

/* Say which files the batch speaks of. */
static bool seal(struct reader *r)
{
  if (r->current != NULL && !source_mark(r, r->current))
    return false;
  while (!positions_emit(r->positions, r->token + 1))
    if (!reader_starved(r))
      return false;
  r->token++;
  return true;
}

bool reader_flush(struct reader *r)
{
  size_t count = cof_batch_count(r->batch);
  if (reader_ending(r))
    return false;
  if (count == 0 && positions_marks(r->positions) == 0) {
    r->batch_since = 0;
    return true;
  }
  if (!seal(r))
    return false;
  for (;;) {
    enum cof_result result = cof_emit_wait(r->host, &r->batch, r->token, 200);
    if (result == COF_OK)
      break;
    if (result != COF_AGAIN) {
      if (result != COF_STOPPED)
        cof_log(r->host, COF_LOG_ERROR, "the chain takes nothing more: %s",
                cof_result_name(result));
      r->stopped = true;
      return false;
    }
    if (reader_ending(r))
      return false;
    positions_save(r->positions, false);
  }
  cof_add(r->host, r->records, (int64_t)count);
  positions_save(r->positions, false);
  return reader_new_batch(r);
}

static uint64_t batch_deadline(const struct reader *r)
{
  return r->batch_since + (uint64_t)r->conf->batch_time * MS_NS;
}

bool reader_flush_old(struct reader *r)
{
  if ((r->batch_since != 0 && cof_clock_ns(r->host) >= batch_deadline(r)) ||
      positions_marks(r->positions) >= MARKS_MAX)
    return reader_flush(r);
  return true;
}

int reader_due(struct reader *r)
{
  int due = positions_pending(r->positions) ? 1000 : -1;
  if (r->batch_since == 0)
    return due;
  uint64_t now = cof_clock_ns(r->host), until = batch_deadline(r);
  int ms = until <= now ? 0 : (int)((until - now + MS_NS - 1) / MS_NS);
  return due < 0 || ms < due ? ms : due;
}

/* --- everything once ---------------------------------------------------------------------------
 */

static void wait_for(struct reader *r, struct source *s)
{
  struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN}};
  reader_wait(r, fds, 1, reader_due(r));
  if (!reader_ending(r) && reader_flush_old(r))
    positions_save(r->positions, false);
}

static void read_source(struct reader *r, struct source *s)
{
  enum turn state;
  while ((state = source_turn(r, s, true)) == TURN_MORE || state == TURN_WAIT)
    if (state == TURN_WAIT)
      wait_for(r, s);
  if (state != TURN_STOPPED) {
    source_say_end(r, s, state);
    if (s->stream != NULL && state != TURN_FAILED)
      source_complete(r, s);
  }
  source_close(r, s);
}

static void read_path(struct reader *r, const char *path)
{
  struct source s;
  enum opened opened;
  if (path_is_stdin(path)) {
    if (r->stdin_read)
      return;
    r->stdin_read = true;
    opened = source_open_stdin(r, &s);
  } else {
    opened = source_open(r, &s, path);
  }
  if (opened == OPENED)
    read_source(r, &s);
  else if (opened == OPENED_FAILED && errno == ENOENT && !r->loading)
    cof_log(r->host, COF_LOG_WARNING, "%s: no such file", path);
  else if (opened == OPENED_FAILED)
    reader_failed(r, path, strerror(errno));
}

/* All files, in order. @return false when out of memory */
static bool expand(struct reader *r, struct path_list *list)
{
  const char *const *specs;
  size_t count = reader_specs(r, &specs);
  for (size_t i = 0; i < count; i++) {
    size_t before = list->count;
    if (path_is_stdin(specs[i]) ? !path_list_add(list, specs[i])
                                : !paths_expand(r->host, specs[i], true, list))
      return false;
    if (list->count == before)
      cof_log(r->host, COF_LOG_WARNING, "%s: no file of that name", specs[i]);
  }
  return true;
}

/* Octets of all of them; 0 when one has no size. */
static uint64_t total_size(const struct path_list *list)
{
  uint64_t total = 0;
  for (size_t i = 0; i < list->count; i++) {
    struct stat st;
    if (path_is_stdin(list->items[i]))
      return 0;
    if (stat(list->items[i], &st) != 0)
      continue;
    if (!S_ISREG(st.st_mode))
      return 0;
    total += (uint64_t)st.st_size;
  }
  return total;
}

void reader_await_acks(struct reader *r)
{
  while (!reader_ending(r) && positions_pending(r->positions)) {
    struct pollfd none[1];
    reader_wait(r, none, 0, 1000);
    positions_save(r->positions, false);
  }
}

void reader_once(struct reader *r)
{
  struct path_list list = {0};
  if (!reader_new_batch(r))
    return;
  if (!expand(r, &list))
    reader_failed(r, "path", "out of memory");
  if (r->loading)
    atomic_store(&r->total, total_size(&list));
  for (size_t i = 0; i < list.count && !reader_ending(r); i++) {
    read_path(r, list.items[i]);
    if (!reader_ending(r) && reader_flush_old(r))
      positions_save(r->positions, false);
  }
  path_list_free(&list);
  if (!reader_ending(r) && reader_flush(r)) {
    cof_finished(r->host);
    reader_await_acks(r);
  }
  if (r->passing != 0)
    cof_log(r->host, COF_LOG_WARNING, "stopped with %llu records from pipes not handed on",
            (unsigned long long)r->passing);
  cof_batch_put(r->host, &r->batch);
}
