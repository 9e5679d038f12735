/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ws_private.h"

#include <stdlib.h>

static void handoff_free(struct handoff *h)
{
  cof_batch_destroy(&h->batch);
  free(h->news);
  free(h);
}

/* @param only_new  nobody wants the others. @return NULL when out of memory */
static struct handoff *copy(const struct ws *ws, const struct cof_stored *stored, bool only_new)
{
  struct handoff *h = calloc(1, sizeof *h);
  if (h == NULL)
    return NULL;
  h->batch = cof_batch_create();
  h->news = stored->news != NULL ? malloc(stored->count + 1) : NULL;
  bool ok = h->batch != NULL && (h->news != NULL || stored->news == NULL);
  for (size_t i = 0; ok && i < stored->count; i++) {
    const struct cof_record *r = stored->records[i];
    bool is_new = stored->news != NULL && stored->news[i] != 0;
    if ((only_new && !is_new) || (!ws->conf.relay && r->via != COF_VIA_NONE))
      continue;
    if (h->news != NULL)
      h->news[cof_batch_count(h->batch)] = is_new;
    ok = cof_batch_add(h->batch, r) != NULL;
  }
  if (ok)
    h->bytes = cof_batch_bytes(h->batch);
  if (!ok) {
    handoff_free(h);
    h = NULL;
  }
  return h;
}

/* A write that is larger than the room goes in alone, or it never could. */
static bool has_room(struct ws *ws)
{
  pthread_mutex_lock(&ws->lock);
  bool room = ws->handoffs == NULL || ws->handoff_bytes < (size_t)ws->conf.backlog_bytes;
  pthread_mutex_unlock(&ws->lock);
  return room;
}

static void miss(struct ws *ws, uint64_t count)
{
  pthread_mutex_lock(&ws->lock);
  if (!ws->missing)
    cof_log(ws->host, COF_LOG_WARNING,
            "what is stored comes faster than it can be prepared for sending; records are left "
            "out, which the metric `missed` counts");
  ws->missing = true;
  ws->missed += count;
  pthread_mutex_unlock(&ws->lock);
  cof_add(ws->host, ws->m_missed, (int64_t)count);
}

static void append(struct ws *ws, struct handoff *h)
{
  pthread_mutex_lock(&ws->lock);
  *ws->handoffs_end = h;
  ws->handoffs_end = &h->next;
  ws->handoff_bytes += h->bytes;
  ws->missing = false;
  pthread_mutex_unlock(&ws->lock);
}

void handoff_stored(void *self, const struct cof_stored *stored)
{
  struct ws *ws = self;
  bool only_new = atomic_load(&ws->wide) == 0;
  if (only_new && stored->news == NULL)
    return; /* somebody came who asks for new ones, after this write had begun */
  struct handoff *h = has_room(ws) ? copy(ws, stored, only_new) : NULL;
  if (h == NULL)
    miss(ws, stored->count);
  else if (cof_batch_count(h->batch) == 0)
    handoff_free(h);
  else
    append(ws, h);
  lws_cancel_service(ws->context);
}

struct handoff *handoff_first(struct ws *ws)
{
  pthread_mutex_lock(&ws->lock);
  struct handoff *h = ws->handoffs;
  pthread_mutex_unlock(&ws->lock);
  return h;
}

void handoff_done(struct ws *ws)
{
  pthread_mutex_lock(&ws->lock);
  struct handoff *h = ws->handoffs;
  ws->handoffs = h->next;
  if (h->next == NULL)
    ws->handoffs_end = &ws->handoffs;
  ws->handoff_bytes -= h->bytes;
  pthread_mutex_unlock(&ws->lock);
  handoff_free(h);
}

uint64_t handoff_missed(struct ws *ws)
{
  pthread_mutex_lock(&ws->lock);
  uint64_t missed = ws->missed;
  ws->missed = 0;
  pthread_mutex_unlock(&ws->lock);
  return missed;
}

bool handoff_pressing(struct ws *ws)
{
  pthread_mutex_lock(&ws->lock);
  bool pressing = ws->handoff_bytes > (size_t)ws->conf.backlog_bytes / 2;
  pthread_mutex_unlock(&ws->lock);
  return pressing;
}

void handoff_free_all(struct ws *ws)
{
  while (ws->handoffs != NULL)
    handoff_done(ws);
}
