/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "righost_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../instance_private.h"

#define MS UINT64_C(1000000)

struct cof_metric {
  struct cof_metric *next;
  struct rig *rig;
  char *name, *unit, *help;
  enum cof_metric_kind kind;
  int64_t value;
};

struct rig_held {
  struct rig_held *next;
  uint64_t token;
};

/* Of one write, on the stack of rig_write(). */
struct cof_ticket {
  struct rig *rig;
  const struct cof_batch *batch;
  bool done;
  enum cof_result result;
  bool *refused;
  bool *news; /* NULL: nobody asks */
};

/* A plugin that calls its host after destroy() still finds the rig, but not for long. */
static struct rig *rig_of(struct cof_host *host)
{
  struct rig *r = (struct rig *)host;
  pthread_mutex_lock(&r->lock);
  bool gone = r->state == RIG_GONE;
  pthread_mutex_unlock(&r->lock);
  if (gone)
    trial_fail(r->t, "called its host after destroy() returned");
  return r;
}

static void *need(struct rig *r, void *p)
{
  if (p == NULL)
    trial_fail(r->t, "out of memory");
  return p;
}

/* --- for every kind ------------------------------------------------------------------------- */

static void host_log(struct cof_host *host, enum cof_log_level level, const char *fmt, va_list ap)
{
  struct rig *r = rig_of(host);
  char text[2048];
  vsnprintf(text, sizeof text, fmt, ap);
  if (text[0] == '\0' || text[strlen(text) - 1] == '\n')
    trial_fail(r->t, "logged \"%s\"; expected a text without a newline at its end", text);
  if (level != COF_LOG_ERROR && level != COF_LOG_WARNING && level != COF_LOG_INFO &&
      level != COF_LOG_DEBUG)
    trial_fail(r->t, "logged at level %d; expected one of enum cof_log_level", (int)level);
  pthread_mutex_lock(&r->lock);
  r->errors += level == COF_LOG_ERROR;
  pthread_mutex_unlock(&r->lock);
  if (level != COF_LOG_DEBUG)
    fprintf(stderr, "log <%d>: %s\n", (int)level, text);
}

static int host_log_enabled(struct cof_host *host, enum cof_log_level level)
{
  (void)rig_of(host);
  (void)level;
  return 1;
}

static void host_reject(struct cof_host *host, uint64_t records, const char *fmt, va_list ap)
{
  struct rig *r = rig_of(host);
  char text[1024];
  vsnprintf(text, sizeof text, fmt, ap);
  pthread_mutex_lock(&r->lock);
  r->rejected += records;
  pthread_mutex_unlock(&r->lock);
  fprintf(stderr, "rejected %llu: %s\n", (unsigned long long)records, text);
}

static bool is_metric_name(const char *name)
{
  return name != NULL && *name != '\0' &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static struct cof_metric *new_metric(struct rig *r, enum cof_metric_kind kind, const char *name,
                                     const char *unit, const char *help)
{
  struct cof_metric *m = need(r, calloc(1, sizeof *m));
  *m = (struct cof_metric){.next = r->metrics,
                           .rig = r,
                           .name = need(r, strdup(name)),
                           .unit = need(r, strdup(unit)),
                           .help = need(r, strdup(help)),
                           .kind = kind};
  r->metrics = m;
  return m;
}

static struct cof_metric *host_metric(struct cof_host *host, enum cof_metric_kind kind,
                                      const char *name, const char *unit, const char *help)
{
  struct rig *r = rig_of(host);
  if (!is_metric_name(name))
    trial_fail(r->t, "metric \"%s\": expected lower case, digits and underscores",
               name != NULL ? name : "(null)");
  if ((kind != COF_COUNTER && kind != COF_GAUGE && kind != COF_HISTOGRAM) || unit == NULL ||
      help == NULL)
    trial_fail(r->t, "metric %s: its kind, unit or help is missing", name);
  pthread_mutex_lock(&r->lock);
  struct cof_metric *m = r->metrics;
  while (m != NULL && strcmp(m->name, name) != 0)
    m = m->next;
  if (m == NULL)
    m = new_metric(r, kind, name, unit, help);
  pthread_mutex_unlock(&r->lock);
  if (m->kind != kind)
    trial_fail(r->t, "metric %s: is a counter once and a gauge another time", name);
  return m;
}

static void host_metric_add(struct cof_metric *m, int64_t n)
{
  if (m->kind == COF_HISTOGRAM)
    trial_fail(m->rig->t, "metric %s: is a histogram, which observes", m->name);
  if (m->kind == COF_COUNTER && n < 0)
    trial_fail(m->rig->t, "metric %s: a counter only grows, and %lld was added", m->name,
               (long long)n);
  __atomic_add_fetch(&m->value, n, __ATOMIC_RELAXED);
}

static void host_metric_set(struct cof_metric *m, int64_t value)
{
  if (m->kind != COF_GAUGE)
    trial_fail(m->rig->t, "metric %s: is a counter, which cannot be set", m->name);
  __atomic_store_n(&m->value, value, __ATOMIC_RELAXED);
}

static struct cof_metric *host_histogram(struct cof_host *host, const char *name, const char *unit,
                                         const char *help, const int64_t *bounds, size_t count)
{
  struct rig *r = rig_of(host);
  bool ascending = bounds != NULL && count > 0 && count <= COF_HISTOGRAM_MAX;
  for (size_t i = 1; ascending && i < count; i++)
    ascending = bounds[i] > bounds[i - 1];
  if (!ascending)
    trial_fail(r->t, "histogram %s: expected 1 to %d ascending bounds",
               name != NULL ? name : "(null)", COF_HISTOGRAM_MAX);
  return host_metric(host, COF_HISTOGRAM, name, unit, help);
}

/* The value of a histogram is how many values it has seen. */
static void host_metric_observe(struct cof_metric *m, int64_t value)
{
  (void)value;
  if (m->kind != COF_HISTOGRAM)
    trial_fail(m->rig->t, "metric %s: is no histogram", m->name);
  __atomic_add_fetch(&m->value, 1, __ATOMIC_RELAXED);
}

static void host_metrics_each(struct cof_host *host, cof_metric_fn fn, void *arg)
{
  struct rig *r = rig_of(host);
  pthread_mutex_lock(&r->lock);
  const struct cof_metric *m = r->metrics;
  pthread_mutex_unlock(&r->lock);
  for (; m != NULL; m = m->next)
    if (m->kind != COF_HISTOGRAM)
      fn(arg, &(struct cof_metric_view){.kind = "output",
                                        .instance = "test",
                                        .plugin = r->plugin->name,
                                        .name = m->name,
                                        .unit = m->unit,
                                        .help = m->help,
                                        .type = m->kind,
                                        .value = __atomic_load_n(&m->value, __ATOMIC_RELAXED)});
}

static uint64_t host_clock_ns(struct cof_host *host)
{
  (void)rig_of(host);
  return clock_ns();
}

static const char *host_instance_name(struct cof_host *host)
{
  return rig_of(host)->number == 0 ? "test0" : "test1";
}

static const char *host_state_dir(struct cof_host *host)
{
  return rig_of(host)->state_dir;
}

/* --- inputs --------------------------------------------------------------------------------- */

static struct cof_batch *host_batch_get(struct cof_host *host)
{
  (void)rig_of(host);
  return cof_batch_create();
}

static void host_batch_put(struct cof_host *host, struct cof_batch **batch)
{
  (void)rig_of(host);
  cof_batch_destroy(batch);
}

static void check_texts(struct rig *r, const struct cof_record *rec)
{
  char name[COF_NAME_MAX], *rdata = need(r, malloc(COF_RDATA_MAX + 1));
  size_t len = 0;
  if (strlen(rec->rrname) != rec->rrname_len || strlen(rec->rdata) != rec->rdata_len)
    trial_fail(r->t, "emitted %.200s %.200s with a wrong rrname_len or rdata_len", rec->rrname,
               rec->rdata);
  if (cof_name_canon(rec->rrname, rec->rrname_len, name, &len, NULL) != COF_OK ||
      len != rec->rrname_len || memcmp(name, rec->rrname, len) != 0)
    trial_fail(r->t, "emitted the name \"%.200s\", which is not canonical (cof_name_canon)",
               rec->rrname);
  if (cof_rdata_canon(rec->rrtype, rec->rdata, rec->rdata_len, rdata, COF_RDATA_MAX + 1, &len,
                      NULL) != COF_OK ||
      len != rec->rdata_len || memcmp(rdata, rec->rdata, len) != 0)
    trial_fail(r->t,
               "emitted the rdata \"%.200s\" of type %u, which is not canonical"
               " (cof_rdata_canon)",
               rec->rdata, rec->rrtype);
  if ((rec->sensor_id == NULL) != (rec->sensor_len == 0) ||
      (rec->sensor_id != NULL &&
       (rec->sensor_len > COF_SENSOR_MAX || strlen(rec->sensor_id) != rec->sensor_len)))
    trial_fail(r->t, "emitted %.200s with a wrong sensor_len", rec->rrname);
  free(rdata);
}

static void check_record(struct rig *r, const struct cof_record *rec)
{
  if (rec->rrname == NULL || rec->rdata == NULL)
    trial_fail(r->t, "emitted a record without rrname or rdata");
  check_texts(r, rec);
  if (rec->time_first < 0 || rec->time_last > COF_TIME_MAX || rec->time_first > rec->time_last)
    trial_fail(r->t, "emitted %.200s with the times %lld to %lld; expected 0 <= first <= last",
               rec->rrname, (long long)rec->time_first, (long long)rec->time_last);
  if ((rec->count == 0 && rec->total == 0) || rec->count > COF_COUNT_MAX ||
      rec->total > COF_COUNT_MAX)
    trial_fail(r->t, "emitted %.200s with count %llu and total %llu; expected 1 to 2^63 - 1",
               rec->rrname, (unsigned long long)rec->count, (unsigned long long)rec->total);
  if (rec->verdict != COF_KEEP || rec->reserved != 0 || rec->observations > 1 || rec->parts != 0)
    trial_fail(r->t, "emitted %.200s with verdict, reserved, observations or parts set",
               rec->rrname);
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
  const unsigned char *s = data;
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ s[i]) * UINT64_C(1099511628211);
  return hash;
}

/* The same in each process and each order; without the times, which may be those of the clock. */
static uint64_t digest(const struct cof_record *rec)
{
  uint64_t hash = mix(UINT64_C(14695981039346656037), rec->rrname, rec->rrname_len);
  hash = mix(hash, &rec->rrtype, sizeof rec->rrtype);
  hash = mix(hash, rec->rdata, rec->rdata_len);
  hash = mix(hash, &rec->count, sizeof rec->count);
  return mix(hash, &rec->total, sizeof rec->total);
}

/* Called with the lock held. */
static void take(struct rig *r, struct cof_batch **batch, uint64_t token)
{
  for (size_t i = 0; i < cof_batch_count(*batch); i++) {
    check_record(r, cof_batch_at(*batch, i));
    r->sum += digest(cof_batch_at(*batch, i));
  }
  r->records += cof_batch_count(*batch);
  r->batches++;
  r->room -= r->room != UINT64_MAX;
  cof_batch_destroy(batch);
  struct rig_held *held = need(r, calloc(1, sizeof *held));
  held->token = token;
  *r->held_end = held;
  r->held_end = &held->next;
  pthread_cond_broadcast(&r->changed);
}

static void check_emit(struct rig *r, struct cof_batch *const *batch)
{
  if (r->plugin->kind != COF_KIND_INPUT)
    trial_fail(r->t, "emitted, which only inputs may");
  if (batch == NULL || *batch == NULL)
    trial_fail(r->t, "emitted NULL");
  if (r->state == RIG_NEW || r->state == RIG_CREATED)
    trial_fail(r->t, "emitted before start()");
  if (r->state == RIG_STOPPED)
    trial_fail(r->t, "called emit after stop() returned");
  if (r->finished)
    trial_fail(r->t, "emitted after cof_finished()");
}

static void refuse(struct rig *r, int wait_ms)
{
  r->refusals++;
  pthread_cond_broadcast(&r->changed);
  if (wait_ms > 0)
    return;
  if (((const struct cof_input_ops *)r->plugin->ops)->resume == NULL)
    trial_fail(r->t, "got COF_AGAIN from cof_emit() but has no resume(); use cof_emit_wait()");
  r->early += r->paused;
  r->paused = true;
}

static void wait_room(struct rig *r, int wait_ms)
{
  struct timespec until;
  uint64_t end = clock_ns() + (uint64_t)wait_ms * MS;
  until.tv_sec = (time_t)(end / 1000000000u);
  until.tv_nsec = (long)(end % 1000000000u);
  while (r->room == 0 && r->state == RIG_RUNS)
    if (pthread_cond_timedwait(&r->changed, &r->lock, &until) == ETIMEDOUT)
      break;
}

static enum cof_result host_emit(struct cof_host *host, struct cof_batch **batch, uint64_t token,
                                 int wait_ms)
{
  struct rig *r = rig_of(host);
  enum cof_result result = COF_OK;
  pthread_mutex_lock(&r->lock);
  check_emit(r, batch);
  if (wait_ms > 0)
    wait_room(r, wait_ms);
  if (r->state != RIG_RUNS) {
    result = COF_STOPPED;
  } else if (r->room == 0) {
    refuse(r, wait_ms);
    result = COF_AGAIN;
  } else {
    take(r, batch, token);
  }
  pthread_mutex_unlock(&r->lock);
  return result;
}

static void host_finished(struct cof_host *host)
{
  struct rig *r = rig_of(host);
  pthread_mutex_lock(&r->lock);
  if (r->finished)
    trial_fail(r->t, "called cof_finished() twice");
  r->finished = true;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
}

/* Called and left with the lock held, which is given up for the callback. */
static void give_ack(struct rig *r)
{
  struct rig_held *held = r->held;
  r->held = held->next;
  if (r->held == NULL)
    r->held_end = &r->held;
  enum cof_result result = r->state == RIG_RUNS ? COF_OK : COF_STOPPED;
  pthread_mutex_unlock(&r->lock);
  struct guard_call before = guard_enter(r->owner, "ack()");
  ((const struct cof_input_ops *)r->plugin->ops)->ack(r->self, held->token, result);
  guard_leave(before);
  free(held);
  pthread_mutex_lock(&r->lock);
}

static void give_resume(struct rig *r)
{
  r->paused = false;
  pthread_mutex_unlock(&r->lock);
  struct guard_call before = guard_enter(r->owner, "resume()");
  ((const struct cof_input_ops *)r->plugin->ops)->resume(r->self);
  guard_leave(before);
  pthread_mutex_lock(&r->lock);
}

void *rig_ack_main(void *arg)
{
  struct rig *r = arg;
  pthread_mutex_lock(&r->lock);
  for (;;) {
    if (r->held != NULL && !r->hold)
      give_ack(r);
    else if (r->paused && r->room > 0 && r->state == RIG_RUNS)
      give_resume(r);
    else if (r->acker_ends)
      break;
    else
      pthread_cond_wait(&r->changed, &r->lock);
  }
  pthread_mutex_unlock(&r->lock);
  return NULL;
}

/* --- storages ------------------------------------------------------------------------------- */

static void host_ticket_done(struct cof_host *host, struct cof_ticket *ticket,
                             enum cof_result result)
{
  struct rig *r = rig_of(host);
  pthread_mutex_lock(&r->lock);
  if (ticket->done)
    trial_fail(r->t, "concluded one write twice");
  ticket->done = true;
  ticket->result = result;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
}

static void host_ticket_reject(struct cof_host *host, struct cof_ticket *ticket, size_t index,
                               const char *reason)
{
  struct rig *r = rig_of(host);
  pthread_mutex_lock(&r->lock);
  if (ticket->done)
    trial_fail(r->t, "refused a record of a write that was concluded");
  if (index >= cof_batch_count(ticket->batch))
    trial_fail(r->t, "refused record %zu of a batch of %zu", index, cof_batch_count(ticket->batch));
  if (reason == NULL || *reason == '\0')
    trial_fail(r->t, "refused a record without a reason");
  if (ticket->refused[index])
    trial_fail(r->t, "refused record %zu of a write twice", index);
  ticket->refused[index] = true;
  pthread_mutex_unlock(&r->lock);
}

static int host_ticket_wants_new(struct cof_host *host, struct cof_ticket *ticket)
{
  (void)rig_of(host);
  return ticket->news != NULL;
}

static void host_ticket_new(struct cof_host *host, struct cof_ticket *ticket, size_t index)
{
  struct rig *r = rig_of(host);
  pthread_mutex_lock(&r->lock);
  if (ticket->done)
    trial_fail(r->t, "told that a record is new after its write was concluded");
  if (index >= cof_batch_count(ticket->batch))
    trial_fail(r->t, "told that record %zu of a batch of %zu is new", index,
               cof_batch_count(ticket->batch));
  if (ticket->news != NULL)
    ticket->news[index] = true;
  pthread_mutex_unlock(&r->lock);
}

static void host_want(struct cof_host *host, unsigned wants)
{
  struct rig *r = rig_of(host);
  pthread_mutex_lock(&r->lock);
  r->wants = wants;
  pthread_mutex_unlock(&r->lock);
}

static int host_stopping(struct cof_host *host)
{
  struct rig *r = rig_of(host);
  pthread_mutex_lock(&r->lock);
  bool stops = r->state != RIG_RUNS;
  pthread_mutex_unlock(&r->lock);
  return stops;
}

static struct guard_call enter_storage(struct rig *r, const char *callback)
{
  if ((r->plugin->caps & COF_CAP_THREAD_SAFE) == 0)
    pthread_mutex_lock(&r->serial);
  atomic_store(&r->t->shared->where, callback);
  return guard_enter(r->owner, callback);
}

static void leave_storage(struct rig *r, struct guard_call before)
{
  guard_leave(before);
  if ((r->plugin->caps & COF_CAP_THREAD_SAFE) == 0)
    pthread_mutex_unlock(&r->serial);
}

static const struct cof_storage_ops *storage(const struct rig *r)
{
  return r->plugin->ops;
}

static uint64_t digest_batch(const struct cof_batch *batch)
{
  uint64_t hash = 1;
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    const struct cof_record *rec = cof_batch_at(batch, i);
    hash = mix(hash, rec, sizeof *rec);
    hash += digest(rec);
  }
  return hash;
}

enum cof_result rig_write(struct rig *r, const struct cof_batch *batch, bool *refused, bool *news)
{
  struct cof_ticket ticket = {.rig = r, .batch = batch, .refused = refused, .news = news};
  uint64_t before = digest_batch(batch), until = clock_ns() + (uint64_t)rig_wait_ms(r->t) * MS;
  memset(refused, 0, cof_batch_count(batch) * sizeof *refused);
  struct guard_call call = enter_storage(r, "write()");
  storage(r)->write(r->self, batch, &ticket);
  leave_storage(r, call);
  pthread_mutex_lock(&r->lock);
  while (!ticket.done) {
    pthread_mutex_unlock(&r->lock);
    if (clock_ns() > until)
      trial_fail(r->t, "write() was not concluded (cof_ticket_done) within %d ms",
                 rig_wait_ms(r->t));
    kit_sleep_ms(1);
    pthread_mutex_lock(&r->lock);
  }
  enum cof_result result = ticket.result;
  pthread_mutex_unlock(&r->lock);
  if (digest_batch(batch) != before)
    trial_fail(r->t, "write() changed the batch, which is the host's");
  return result;
}

enum cof_result rig_open(struct rig *r, const struct cof_query *q, void **cursor,
                         struct cof_error *err)
{
  struct guard_call before = enter_storage(r, "open()");
  enum cof_result result = storage(r)->open(r->self, q, cursor, err);
  leave_storage(r, before);
  return result;
}

enum cof_result rig_next(struct rig *r, void *cursor, size_t max, struct cof_batch *into,
                         struct cof_error *err)
{
  size_t had = cof_batch_count(into);
  struct guard_call before = enter_storage(r, "next()");
  enum cof_result result = storage(r)->next(r->self, cursor, max, into, err);
  leave_storage(r, before);
  if (cof_batch_count(into) > had + max || cof_batch_count(into) < had)
    trial_fail(r->t, "next() was asked for at most %zu records and left %zu where there were %zu",
               max, cof_batch_count(into), had);
  return result;
}

enum cof_result rig_token(struct rig *r, void *cursor, void *buf, size_t cap, size_t *len)
{
  struct guard_call before = enter_storage(r, "token()");
  enum cof_result result = storage(r)->token(r->self, cursor, buf, cap, len);
  leave_storage(r, before);
  return result;
}

void rig_close(struct rig *r, void *cursor)
{
  struct guard_call before = enter_storage(r, "close()");
  storage(r)->close(r->self, cursor);
  leave_storage(r, before);
}

uint64_t rig_caps(struct rig *r)
{
  uint64_t caps = r->plugin->caps;
  if (storage(r)->caps == NULL)
    return caps;
  struct guard_call before = enter_storage(r, "caps()");
  uint64_t own = storage(r)->caps(r->self);
  leave_storage(r, before);
  if ((own & ~caps) != 0)
    trial_fail(r->t, "caps() claims 0x%llx, which the descriptor does not",
               (unsigned long long)(own & ~caps));
  return own;
}

/* --- outputs: the storage is the model ------------------------------------------------------ */

struct cof_cursor {
  struct cof_batch *answer;
  size_t next;
};

static uint64_t host_storage_caps(struct cof_host *host)
{
  return rig_of(host)->model == NULL
             ? 0
             : COF_CAP_RRNAME | COF_CAP_SUBDOMAINS | COF_CAP_RDATA | COF_CAP_ADDR_RANGE |
                   COF_CAP_RDATA_TEXT | COF_CAP_SCAN | COF_CAP_PREFIX | COF_CAP_RDATA_SUBDOMAINS |
                   COF_CAP_RDATA_PREFIX | COF_CAP_RRTYPE | COF_CAP_FENCES | COF_CAP_BAILIWICK |
                   COF_CAP_SENSOR;
}

static enum cof_result host_query_open(struct cof_host *host, const struct cof_query *q,
                                       struct cof_cursor **cursor, struct cof_error *err)
{
  struct rig *r = rig_of(host);
  if (r->model == NULL || q->token != NULL)
    return cof_fail(err, COF_UNSUPPORTED, "the kit's storage does not offer this");
  pthread_mutex_lock(&r->lock);
  bool stopped = r->state == RIG_STOPPED;
  pthread_mutex_unlock(&r->lock);
  if (stopped)
    trial_fail(r->t, "asked the storage after stop() returned");
  struct cof_cursor *c = need(r, calloc(1, sizeof *c));
  c->answer = need(r, cof_batch_create());
  model_query(r->model, q, c->answer);
  if (q->limit != 0)
    cof_batch_truncate(c->answer, q->limit);
  *cursor = c;
  return COF_OK;
}

static enum cof_result host_query_next(struct cof_cursor *c, size_t max, struct cof_batch *into,
                                       struct cof_error *err)
{
  for (; max > 0 && c->next < cof_batch_count(c->answer); max--)
    if (cof_batch_add(into, cof_batch_at(c->answer, c->next++)) == NULL)
      return cof_fail(err, COF_RETRY, "out of memory");
  return COF_OK;
}

static enum cof_result host_query_token(struct cof_cursor *c, void *buf, size_t cap, size_t *len)
{
  (void)c;
  (void)buf;
  (void)cap;
  *len = 0;
  return COF_UNSUPPORTED;
}

static void host_query_close(struct cof_cursor **cursor)
{
  if (*cursor == NULL)
    return;
  cof_batch_destroy(&(*cursor)->answer);
  free(*cursor);
  *cursor = NULL;
}

static enum cof_result host_storage_stats(struct cof_host *host, struct cof_storage_stats *stats,
                                          cof_sensor_fn fn, void *arg, struct cof_error *err)
{
  struct rig *r = rig_of(host);
  (void)fn;
  (void)arg;
  if (r->model == NULL)
    return cof_fail(err, COF_UNSUPPORTED, "the kit has no storage here");
  stats->observations = r->model->observations;
  stats->records = cof_batch_count(r->model->all);
  stats->records_exact = true;
  return COF_OK;
}

void rig_host_free(struct rig *r)
{
  for (struct cof_metric *next, *m = r->metrics; m != NULL; m = next) {
    next = m->next;
    free(m->name);
    free(m->unit);
    free(m->help);
    free(m);
  }
  for (struct rig_held *next, *h = r->held; h != NULL; h = next) {
    next = h->next;
    free(h);
  }
}

const struct cof_host_api rig_host_api = {
    .struct_size = sizeof(struct cof_host_api),
    .log = host_log,
    .log_enabled = host_log_enabled,
    .reject = host_reject,
    .metric = host_metric,
    .metric_add = host_metric_add,
    .metric_set = host_metric_set,
    .metrics_each = host_metrics_each,
    .clock_ns = host_clock_ns,
    .instance_name = host_instance_name,
    .state_dir = host_state_dir,
    .batch_get = host_batch_get,
    .batch_put = host_batch_put,
    .emit = host_emit,
    .finished = host_finished,
    .ticket_done = host_ticket_done,
    .ticket_reject = host_ticket_reject,
    .storage_caps = host_storage_caps,
    .query_open = host_query_open,
    .query_next = host_query_next,
    .query_token = host_query_token,
    .query_close = host_query_close,
    .storage_stats = host_storage_stats,
    .histogram = host_histogram,
    .metric_observe = host_metric_observe,
    .ticket_wants_new = host_ticket_wants_new,
    .ticket_new = host_ticket_new,
    .want = host_want,
    .stopping = host_stopping,
};
