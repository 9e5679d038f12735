/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "layout_private.h"

#include <stdlib.h>
#include <time.h>

enum cof_result store_result(enum resp_result result)
{
  switch (result) {
  case RESP_OK:
    return COF_OK;
  case RESP_PASSING:
  case RESP_STOPPED:
    return COF_RETRY;
  default:
    return COF_FATAL;
  }
}

int64_t store_expiry(const struct store *s, uint16_t rrtype)
{
  for (size_t i = 0; i < s->expiries_count; i++)
    if (s->expiries[i].rrtype == rrtype)
      return s->expiries[i].seconds;
  return 0;
}

/* --- life ----------------------------------------------------------------------------------- */

static void init_sync(struct store *s)
{
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->idle, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->writing, NULL);
}

enum cof_result store_create(struct cof_host *host, const void *conf, const struct flavour *flavour,
                             void **self)
{
  struct store *s = calloc(1, sizeof *s);
  struct cof_error err;
  if (s == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  init_sync(s);
  s->host = host;
  s->conf = conf;
  s->flavour = flavour;
  for (size_t i = 0; i < s->conf->expire.count && s->expiries_count < EXPIRE_MAX; i++)
    if (expiry_parse(s->conf->expire.items[i], &s->expiries[s->expiries_count]))
      s->expiries_count++;
  s->m_failed =
      cof_metric(host, COF_COUNTER, "writes_failed", "batches",
                 "Attempts to write a batch that failed; each is repeated or stops the chain.");
  s->m_unreplicated = cof_metric(host, COF_COUNTER, "unreplicated", "batches",
                                 "Batches written that no replica confirmed in time.");
  s->m_unreadable = cof_metric(host, COF_COUNTER, "unreadable", "records",
                               "Entries met by questions that are no record and were left out.");
  s->m_stale = cof_metric(host, COF_COUNTER, "stale", "records",
                          "Entries met by questions whose times are gone and were left out.");
  s->writer = store_connect(s, false, &err);
  if (s->writer == NULL) {
    cof_log(host, COF_LOG_ERROR, "%s", err.text);
    store_destroy(s);
    return COF_FATAL;
  }
  *self = s;
  return COF_OK;
}

/* Find out the layout where it is not known yet. With `writing` held. */
static enum resp_result settle_layout(struct store *s, struct cof_error *err)
{
  const struct layout *chosen;
  if (atomic_load(&s->layout) != NULL)
    return RESP_OK;
  enum resp_result result = layout_choose(s, s->writer, &chosen, err);
  if (result != RESP_OK)
    return result;
  s->state = chosen->create(s);
  if (s->state == NULL) {
    cof_fail(err, COF_RETRY, "out of memory");
    return RESP_PASSING;
  }
  if (chosen->attach != NULL)
    result = chosen->attach(s, s->writer, err);
  if (result != RESP_OK) {
    chosen->destroy(s->state);
    s->state = NULL;
    return result;
  }
  cof_log(s->host, COF_LOG_INFO, "layout %s", chosen->name);
  atomic_store(&s->layout, chosen);
  return RESP_OK;
}

enum cof_result store_start(void *self)
{
  struct store *s = self;
  struct cof_error err;
  pthread_mutex_lock(&s->writing);
  enum resp_result result = settle_layout(s, &err);
  s->failing = result == RESP_PASSING;
  pthread_mutex_unlock(&s->writing);
  if (result == RESP_PASSING) {
    cof_log(s->host, COF_LOG_WARNING, "%s; trying again until it works", err.text);
    return COF_OK;
  }
  if (result != RESP_OK)
    cof_log(s->host, COF_LOG_ERROR, "%s", err.text);
  return result == RESP_OK ? COF_OK : COF_FATAL;
}

enum cof_result store_stop(void *self, uint64_t deadline_ns)
{
  struct store *s = self;
  if (s->writer != NULL)
    resp_interrupt(s->writer);
  readers_stop(s);
  return cof_clock_ns(s->host) > deadline_ns ? COF_TIMEOUT : COF_OK;
}

void store_destroy(void *self)
{
  struct store *s = self;
  if (s == NULL)
    return;
  const struct layout *layout = atomic_load(&s->layout);
  if (layout != NULL)
    layout->destroy(s->state);
  readers_free(s);
  resp_destroy(&s->writer);
  pthread_cond_destroy(&s->idle);
  pthread_mutex_destroy(&s->lock);
  pthread_mutex_destroy(&s->writing);
  free(s);
}

/* --- writing -------------------------------------------------------------------------------- */

/* Faults last, and the chain repeats a write many times: a line when they begin, and when they end.
 */
static void report(struct store *s, enum resp_result result, const struct cof_error *err)
{
  if (result == RESP_OK) {
    if (s->failing)
      cof_log(s->host, COF_LOG_INFO, "works again");
    s->failing = false;
    return;
  }
  cof_add(s->host, s->m_failed, 1);
  if (result == RESP_FATAL)
    cof_log(s->host, COF_LOG_ERROR, "%s", err->text);
  else if (!s->failing && result == RESP_PASSING)
    cof_log(s->host, COF_LOG_ERROR, "%s; trying again until it works", err->text);
  s->failing = true;
}

static void store_write(void *self, const struct cof_batch *batch, struct cof_ticket *ticket)
{
  struct store *s = self;
  struct cof_error err = {.text = ""};
  pthread_mutex_lock(&s->writing);
  enum resp_result result = settle_layout(s, &err);
  if (result == RESP_OK)
    result = atomic_load(&s->layout)->write(s, batch, ticket, &err);
  if (result == RESP_OK)
    result = store_replicate(s, &err);
  report(s, result, &err);
  pthread_mutex_unlock(&s->writing);
  cof_ticket_done(s->host, ticket, store_result(result));
}

/* --- asking --------------------------------------------------------------------------------- */

/* What every layout can answer, until it is known which one it is. */
static uint64_t store_caps(void *self)
{
  struct store *s = self;
  const struct layout *layout = atomic_load(&s->layout);
  uint64_t caps = STORE_CAPS;
  if (layout != NULL)
    return layout->caps | COF_CAP_THREAD_SAFE;
  for (size_t i = 0; layouts[i] != NULL; i++)
    caps &= layouts[i]->caps | COF_CAP_THREAD_SAFE;
  return caps;
}

/* A question may come before the first write, while the server was down at start. */
static enum cof_result need_layout(struct store *s, const struct layout **layout,
                                   struct cof_error *err)
{
  enum resp_result result = RESP_OK;
  *layout = atomic_load(&s->layout);
  if (*layout != NULL)
    return COF_OK;
  if (pthread_mutex_trylock(&s->writing) != 0)
    return cof_fail(err, COF_RETRY, "the server was not reached yet");
  result = settle_layout(s, err);
  pthread_mutex_unlock(&s->writing);
  *layout = atomic_load(&s->layout);
  return store_result(result);
}

static enum cof_result store_open(void *self, const struct cof_query *query, void **cursor,
                                  struct cof_error *err)
{
  struct store *s = self;
  const struct layout *layout;
  enum cof_result result = need_layout(s, &layout, err);
  return result == COF_OK ? layout->open(s, query, cursor, err) : result;
}

static enum cof_result store_next(void *self, void *cursor, size_t max, struct cof_batch *into,
                                  struct cof_error *err)
{
  struct store *s = self;
  return atomic_load(&s->layout)->next(s, cursor, max, into, err);
}

static enum cof_result store_token(void *self, void *cursor, void *buf, size_t cap, size_t *len)
{
  struct store *s = self;
  return atomic_load(&s->layout)->token(s, cursor, buf, cap, len);
}

static void store_close(void *self, void *cursor)
{
  struct store *s = self;
  atomic_load(&s->layout)->close(s, cursor);
}

static enum cof_result store_stats(void *self, struct cof_storage_stats *stats, cof_sensor_fn fn,
                                   void *arg, struct cof_error *err)
{
  struct store *s = self;
  const struct layout *layout;
  enum cof_result result = need_layout(s, &layout, err);
  return result == COF_OK ? layout->stats(s, stats, fn, arg, err) : result;
}

const struct cof_storage_ops store_ops = {.struct_size = sizeof(struct cof_storage_ops),
                                          .caps = store_caps,
                                          .write = store_write,
                                          .open = store_open,
                                          .next = store_next,
                                          .token = store_token,
                                          .close = store_close,
                                          .stats = store_stats};
