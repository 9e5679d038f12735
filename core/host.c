/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "host_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain_private.h"
#include "engine_private.h"
#include "tap_private.h"
#include "via_private.h"

static struct instance *instance_of(struct cof_host *host)
{
  return (struct instance *)host;
}

static void host_log(struct cof_host *host, enum cof_log_level level, const char *fmt, va_list ap)
{
  log_vwrite(instance_of(host)->source, level, fmt, ap);
}

static int host_log_enabled(struct cof_host *host, enum cof_log_level level)
{
  (void)host;
  return log_enabled(level);
}

static void warn_left_out(struct instance *i, uint64_t left_out)
{
  if (left_out > 0)
    log_write(i->source, COF_LOG_WARNING, "%llu more refusals were not logged",
              (unsigned long long)left_out);
}

void host_flush_warnings(struct instance *instance)
{
  warn_left_out(instance, log_limit_left_out(&instance->reject_log));
}

/* A warning at a bounded rate; the first one after a gap says how many were left out. */
static void limited_warning(struct instance *i, const char *fmt, va_list ap)
{
  uint64_t left_out;
  if (!log_limit_allow(&i->reject_log, clock_ns(), &left_out))
    return;
  log_vwrite(i->source, COF_LOG_WARNING, fmt, ap);
  warn_left_out(i, left_out);
}

static void host_reject(struct cof_host *host, uint64_t records, const char *fmt, va_list ap)
{
  struct instance *i = instance_of(host);
  if (i->rejected != NULL)
    metric_add(i->rejected, (int64_t)records);
  limited_warning(i, fmt, ap);
}

static struct cof_metric *host_metric(struct cof_host *host, enum cof_metric_kind kind,
                                      const char *name, const char *unit, const char *help)
{
  return metrics_get(instance_of(host)->metrics, kind, name, unit, help);
}

static struct cof_metric *host_histogram(struct cof_host *host, const char *name, const char *unit,
                                         const char *help, const int64_t *bounds, size_t count)
{
  return metrics_histogram(instance_of(host)->metrics, name, unit, help, bounds, count);
}

static void host_metrics_each(struct cof_host *host, cof_metric_fn fn, void *arg)
{
  engine_metrics_each(instance_of(host)->engine, fn, arg);
}

static uint64_t host_clock_ns(struct cof_host *host)
{
  (void)host;
  return clock_ns();
}

static const char *host_instance_name(struct cof_host *host)
{
  return instance_of(host)->name;
}

static const char *host_state_dir(struct cof_host *host)
{
  return engine_state_dir(instance_of(host)->engine);
}

/* --- inputs -------------------------------------------------------------------------------- */

static struct cof_batch *host_batch_get(struct cof_host *host)
{
  return chain_batch_get(instance_of(host)->chain);
}

static void host_batch_put(struct cof_host *host, struct cof_batch **batch)
{
  chain_batch_put(instance_of(host)->chain, batch);
}

static enum cof_result host_emit(struct cof_host *host, struct cof_batch **batch, uint64_t token,
                                 int wait_ms)
{
  struct instance *i = instance_of(host);
  return chain_emit(i->chain, i, batch, token, wait_ms);
}

static void host_finished(struct cof_host *host)
{
  struct instance *i = instance_of(host);
  atomic_store(&i->finished, true);
  engine_notify(i->engine, false);
}

/* --- storages ------------------------------------------------------------------------------ */

static void host_ticket_done(struct cof_host *host, struct cof_ticket *t, enum cof_result result)
{
  struct instance *i = instance_of(host);
  pthread_mutex_lock(t->lock);
  bool twice = t->done;
  if (!twice) {
    t->done = true;
    t->result = result;
    pthread_cond_broadcast(t->done_cond);
  }
  pthread_mutex_unlock(t->lock);
  if (twice)
    log_write(i->source, COF_LOG_ERROR, "the plugin %s concluded one write twice", i->plugin->name);
}

__attribute__((format(printf, 2, 3))) static void warn_limited(struct instance *i, const char *fmt,
                                                               ...)
{
  va_list ap;
  va_start(ap, fmt);
  limited_warning(i, fmt, ap);
  va_end(ap);
}

static void host_ticket_reject(struct cof_host *host, struct cof_ticket *t, size_t index,
                               const char *reason)
{
  struct instance *i = instance_of(host);
  if (index >= cof_batch_count(t->batch))
    return;
  const struct cof_record *r = cof_batch_at(t->batch, index);
  pthread_mutex_lock(t->lock);
  t->rejected += r->observations != 0 ? r->observations : 1;
  if (t->notes != NULL)
    t->notes[index] |= NOTE_REFUSED;
  pthread_mutex_unlock(t->lock);
  char type[COF_RRTYPE_TEXT_MAX];
  warn_limited(i, "refused %.256s %s %.256s: %s", r->rrname, cof_rrtype_text(r->rrtype, type),
               r->rdata, reason);
}

static int host_ticket_wants_new(struct cof_host *host, struct cof_ticket *t)
{
  (void)host;
  return t->notes != NULL && t->news;
}

static void host_ticket_new(struct cof_host *host, struct cof_ticket *t, size_t index)
{
  (void)host;
  if (t->notes == NULL || !t->news || index >= cof_batch_count(t->batch))
    return;
  pthread_mutex_lock(t->lock);
  t->notes[index] |= NOTE_NEW;
  pthread_mutex_unlock(t->lock);
}

/* --- other cofd ---------------------------------------------------------------------------- */

static const char *host_node(struct cof_host *host)
{
  return engine_node(instance_of(host)->engine);
}

static enum cof_result host_via(struct cof_host *host, const char *text, size_t len, uint32_t *via,
                                struct cof_error *err)
{
  struct engine *engine = instance_of(host)->engine;
  return via_learn(engine_vias(engine), engine_node(engine), text, len, via, err);
}

static const char *host_via_text(struct cof_host *host, uint32_t via)
{
  return via_text(engine_vias(instance_of(host)->engine), via);
}

/* --- outputs: what is stored ---------------------------------------------------------------- */

static void host_want(struct cof_host *host, unsigned wants)
{
  atomic_store(&instance_of(host)->wants, wants);
}

static int host_stopping(struct cof_host *host)
{
  const struct instance *i = instance_of(host);
  return i->chain != NULL && chain_cut_off(i->chain);
}

/* --- outputs ------------------------------------------------------------------------------- */

struct cof_cursor {
  struct instance *storage;
  void *self;
};

static const struct cof_storage_ops *storage_ops(const struct instance *storage)
{
  return storage->plugin->ops;
}

static struct guard_call enter(struct instance *storage, const char *callback)
{
  if ((storage->plugin->caps & COF_CAP_THREAD_SAFE) == 0)
    pthread_mutex_lock(&storage->serial);
  return guard_enter(storage->owner, callback);
}

static void leave(struct instance *storage, struct guard_call before)
{
  guard_leave(before);
  if ((storage->plugin->caps & COF_CAP_THREAD_SAFE) == 0)
    pthread_mutex_unlock(&storage->serial);
}

static uint64_t caps_of(struct instance *storage)
{
  uint64_t caps = storage->plugin->caps;
  if (storage_ops(storage)->caps != NULL) {
    struct guard_call before = enter(storage, "caps()");
    caps &= storage_ops(storage)->caps(storage->self);
    leave(storage, before);
  }
  return caps;
}

static uint64_t host_storage_caps(struct cof_host *host)
{
  return caps_of(instance_of(host)->storage);
}

/* What a question needs, each with the words an answer of COF_UNSUPPORTED uses. */
static const struct need {
  uint64_t cap;
  const char *what;
} needs[] = {
    {COF_CAP_RRNAME, "look-up by rrname"},
    {COF_CAP_SUBDOMAINS, "look-up of all below a domain"},
    {COF_CAP_RDATA, "look-up by rdata"},
    {COF_CAP_ADDR_RANGE, "look-up by address range"},
    {COF_CAP_RDATA_TEXT, "look-up by rdata text"},
    {COF_CAP_SCAN, "listing of all records"},
    {COF_CAP_PREFIX, "look-up by the first labels of a name"},
    {COF_CAP_RDATA_SUBDOMAINS, "look-up by rdata below a domain"},
    {COF_CAP_RDATA_PREFIX, "look-up by the first labels of a name in rdata"},
    {COF_CAP_RRTYPE, "filtering by rrtype"},
    {COF_CAP_FENCES, "filtering by time"},
    {COF_CAP_RESUME, "resuming"},
    {COF_CAP_NEW, "telling what is new"},
    {COF_CAP_BAILIWICK, "filtering by bailiwick"},
    {COF_CAP_SENSOR, "filtering by sensor"},
};

const char *host_storage_lacks(struct instance *storage, uint64_t need)
{
  uint64_t missing = need & ~caps_of(storage);
  for (size_t i = 0; missing != 0 && i < sizeof needs / sizeof *needs; i++)
    if ((missing & needs[i].cap) != 0)
      return needs[i].what;
  return NULL;
}

static uint64_t kind_needs(const struct cof_query *q)
{
  switch (q->kind) {
  case COF_QUERY_RRNAME:
    return COF_CAP_RRNAME;
  case COF_QUERY_SUBDOMAINS:
    return COF_CAP_SUBDOMAINS;
  case COF_QUERY_RDATA_NAME:
    return COF_CAP_RDATA;
  case COF_QUERY_RDATA_ADDR:
    return memcmp(&q->first, &q->last, sizeof q->first) == 0 ? COF_CAP_RDATA
                                                             : COF_CAP_RDATA | COF_CAP_ADDR_RANGE;
  case COF_QUERY_RDATA_TEXT:
    return COF_CAP_RDATA_TEXT;
  case COF_QUERY_ALL:
    return COF_CAP_SCAN;
  case COF_QUERY_PREFIX:
    return COF_CAP_PREFIX;
  case COF_QUERY_RDATA_SUBDOMAINS:
    return COF_CAP_RDATA_SUBDOMAINS;
  case COF_QUERY_RDATA_PREFIX:
    return COF_CAP_RDATA_PREFIX;
  }
  return 0;
}

static bool fenced(const struct cof_query *q)
{
  return q->time_first_after != INT64_MIN || q->time_last_after != INT64_MIN ||
         q->time_first_before != INT64_MAX || q->time_last_before != INT64_MAX;
}

static enum cof_result check_query(struct instance *storage, const struct cof_query *q,
                                   struct cof_error *err)
{
  uint64_t need = kind_needs(q);
  if (need == 0)
    return cof_fail(err, COF_REJECT, "unknown kind of query %d", (int)q->kind);
  need |= (q->rrtypes != NULL ? COF_CAP_RRTYPE : 0) | (fenced(q) ? COF_CAP_FENCES : 0) |
          (q->token != NULL ? COF_CAP_RESUME : 0) | (q->bailiwick != NULL ? COF_CAP_BAILIWICK : 0) |
          (q->sensor_id != NULL ? COF_CAP_SENSOR : 0);
  const char *missing = host_storage_lacks(storage, need);
  if (missing != NULL)
    return cof_fail(err, COF_UNSUPPORTED, "%s (plugin %s) does not offer %s", storage->source,
                    storage->plugin->name, missing);
  return COF_OK;
}

/* A plugin of an older minor number asks with fewer fields, which a storage need not know of. */
static struct cof_query whole_query(const struct cof_query *query)
{
  struct cof_query q = COF_QUERY_INIT;
  memcpy(&q, query, query->struct_size < sizeof q ? query->struct_size : sizeof q);
  q.struct_size = sizeof q;
  return q;
}

static enum cof_result host_query_open(struct cof_host *host, const struct cof_query *query,
                                       struct cof_cursor **cursor, struct cof_error *err)
{
  struct instance *storage = instance_of(host)->storage;
  struct cof_query whole = whole_query(query);
  enum cof_result r = check_query(storage, &whole, err);
  if (r != COF_OK)
    return r;
  struct cof_cursor *c = malloc(sizeof *c);
  if (c == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  c->storage = storage;
  struct guard_call before = enter(storage, "open()");
  r = storage_ops(storage)->open(storage->self, &whole, &c->self, err);
  leave(storage, before);
  if (r == COF_OK)
    *cursor = c;
  else
    free(c);
  return r;
}

static enum cof_result host_query_next(struct cof_cursor *c, size_t max, struct cof_batch *into,
                                       struct cof_error *err)
{
  struct guard_call before = enter(c->storage, "next()");
  enum cof_result r = storage_ops(c->storage)->next(c->storage->self, c->self, max, into, err);
  leave(c->storage, before);
  return r;
}

static enum cof_result host_query_token(struct cof_cursor *c, void *buf, size_t cap, size_t *len)
{
  if ((caps_of(c->storage) & COF_CAP_RESUME) == 0)
    return COF_UNSUPPORTED;
  struct guard_call before = enter(c->storage, "token()");
  enum cof_result r = storage_ops(c->storage)->token(c->storage->self, c->self, buf, cap, len);
  leave(c->storage, before);
  return r;
}

static void host_query_close(struct cof_cursor **cursor)
{
  struct cof_cursor *c = *cursor;
  if (c == NULL)
    return;
  struct guard_call before = enter(c->storage, "close()");
  storage_ops(c->storage)->close(c->storage->self, c->self);
  leave(c->storage, before);
  free(c);
  *cursor = NULL;
}

static enum cof_result host_storage_stats(struct cof_host *host, struct cof_storage_stats *stats,
                                          cof_sensor_fn fn, void *arg, struct cof_error *err)
{
  struct instance *storage = instance_of(host)->storage;
  struct guard_call before = enter(storage, "stats()");
  enum cof_result r = storage_ops(storage)->stats(storage->self, stats, fn, arg, err);
  leave(storage, before);
  return r;
}

const struct cof_host_api host_api = {
    .struct_size = sizeof(struct cof_host_api),
    .log = host_log,
    .log_enabled = host_log_enabled,
    .reject = host_reject,
    .metric = host_metric,
    .metric_add = metric_add,
    .metric_set = metric_set,
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
    .metric_observe = metric_observe,
    .ticket_wants_new = host_ticket_wants_new,
    .ticket_new = host_ticket_new,
    .want = host_want,
    .stopping = host_stopping,
    .node = host_node,
    .via = host_via,
    .via_text = host_via_text,
};
