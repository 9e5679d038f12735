/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnstap_private.h"

#include <errno.h>
#include <string.h>

/* Files that one batch may hold records of; bounds what an ack has to do. */
#define MARKS_MAX 4096

bool tap_ending(const struct tap *t)
{
  return t->stopped || atomic_load(&t->stopping);
}

void tap_wait(struct tap *t, struct pollfd *fds, size_t count, int ms)
{
  fds[count] = (struct pollfd){.fd = t->wake, .events = POLLIN};
  if (poll(fds, (nfds_t)count + 1, ms) >= 0)
    return;
  for (size_t i = 0; i <= count; i++)
    fds[i].revents = 0;
  if (errno != EINTR)
    cof_log(t->host, COF_LOG_ERROR, "poll: %s", strerror(errno));
}

/* Wait for memory to come back. */
static bool starved(struct tap *t)
{
  struct pollfd none[1];
  cof_log(t->host, COF_LOG_ERROR, "out of memory; trying again");
  tap_wait(t, none, 0, 1000);
  return !tap_ending(t);
}

bool tap_new_batch(struct tap *t)
{
  t->batch_since = 0;
  while ((t->batch = cof_batch_get(t->host)) == NULL)
    if (!starved(t))
      return false;
  return true;
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void add(struct tap *t, struct cof_metric *metric, uint64_t n)
{
  if (n != 0)
    cof_add(t->host, metric, (int64_t)n);
}

static void count(struct tap *t)
{
  const struct door_counts *c = &t->counts;
  const struct tap_metrics *m = &t->metrics;
  add(t, m->unwanted, c->unwanted);
  add(t, m->responses, c->responses);
  add(t, m->dns_errors, c->errors);
  add(t, m->truncated, c->truncated);
  add(t, m->other_section, c->other_section);
  add(t, m->other_class, c->other_class);
  add(t, m->meta, c->meta);
  add(t, m->out_of_bailiwick, c->out_of_bailiwick);
  add(t, m->payloads, c->payloads); /* the last, so that who sees it sees what came of them */
  t->counts = (struct door_counts){0};
}

/* --- batches ---------------------------------------------------------------------------------- */

static bool emit(struct tap *t)
{
  for (;;) {
    enum cof_result result = cof_emit_wait(t->host, &t->batch, t->token, 200);
    if (result == COF_OK)
      return true;
    if (result != COF_AGAIN) {
      if (result != COF_STOPPED)
        cof_log(t->host, COF_LOG_ERROR, "the chain takes nothing more: %s",
                cof_result_name(result));
      t->stopped = true;
      return false;
    }
    if (tap_ending(t))
      return false;
    positions_save(t->positions, false);
  }
}

bool tap_flush(struct tap *t)
{
  size_t records = cof_batch_count(t->batch);
  if (tap_ending(t))
    return false;
  while (t->files != NULL && !files_mark(t->files))
    if (!starved(t))
      return false;
  if (records == 0 && positions_unsent(t->positions) == 0) {
    t->batch_since = 0;
    count(t);
    return true;
  }
  t->token++;
  positions_sent(t->positions);
  if (!emit(t))
    return false;
  add(t, t->metrics.records, records);
  count(t);
  positions_save(t->positions, false);
  return tap_new_batch(t);
}

static uint64_t batch_deadline(const struct tap *t)
{
  return t->batch_since + (uint64_t)t->conf->batch_time * MS_NS;
}

bool tap_flush_old(struct tap *t)
{
  if (t->batch_since == 0)
    count(t);
  if ((t->batch_since != 0 && cof_clock_ns(t->host) >= batch_deadline(t)) ||
      positions_unsent(t->positions) >= MARKS_MAX)
    return tap_flush(t);
  return true;
}

int tap_due(struct tap *t)
{
  int due = positions_pending(t->positions) ? 1000 : -1;
  if (t->batch_since == 0)
    return due;
  uint64_t now = cof_clock_ns(t->host), until = batch_deadline(t);
  int ms = until <= now ? 0 : (int)((until - now + MS_NS - 1) / MS_NS);
  return due < 0 || ms < due ? ms : due;
}

/* --- payloads --------------------------------------------------------------------------------- */

static void refuse(struct tap *t, uint64_t records, const char *source, uint64_t at,
                   const char *why)
{
  if (at == UINT64_MAX)
    cof_reject(t->host, records, "%s: %s", source, why);
  else
    cof_reject(t->host, records, "%s: at octet %llu: %s", source, (unsigned long long)at, why);
}

bool tap_take(struct tap *t, const struct frame *frame, const char *source, uint64_t at)
{
  struct cof_error err;
  enum cof_result result;
  while ((result = door_take(t->door, frame->data, frame->len, t->batch, &t->counts, &err)) ==
         COF_FATAL)
    if (cof_batch_count(t->batch) == 0 ? !starved(t) : !tap_flush(t))
      return false;
  if (result != COF_OK)
    refuse(t, 1, source, at, err.text);
  if (t->counts.bad_records != 0) {
    refuse(t, t->counts.bad_records, source, at, t->counts.bad.text);
    t->counts.bad_records = 0;
  }
  if (t->batch_since == 0 && cof_batch_count(t->batch) != 0)
    t->batch_since = cof_clock_ns(t->host);
  return true;
}
