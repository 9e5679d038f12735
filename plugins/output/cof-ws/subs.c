/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ws_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What waits for subscribers that are half full is held back so long at most, for the others. */
#define HOLD_US 20000
#define HOLD_NS (UINT64_C(1000) * HOLD_US)
/* A connection that takes nothing has so long to take the reason why it is closed. */
#define CLOSE_WAIT_S 30
/* "Try Again Later", of the registry that RFC 6455 made; libwebsockets has no name for it. */
#define STATUS_TRY_AGAIN 1013

/* --- blocks ----------------------------------------------------------------------------------- */

static void block_drop(struct ws *ws, struct block *b)
{
  if (--b->refs != 0)
    return;
  *(b->older != NULL ? &b->older->newer : &ws->oldest) = b->newer;
  *(b->newer != NULL ? &b->newer->older : &ws->newest) = b->older;
  ws->block_bytes -= b->bytes;
  cof_set(ws->host, ws->m_backlog, (int64_t)ws->block_bytes);
  free(b->ends);
  free(b->text);
  free(b);
}

static void block_link(struct ws *ws, struct block *b)
{
  b->older = ws->newest;
  *(ws->newest != NULL ? &ws->newest->newer : &ws->oldest) = b;
  ws->newest = b;
  b->bytes = sizeof *b + b->count * sizeof *b->ends + (b->count != 0 ? b->ends[b->count - 1] : 0);
  ws->block_bytes += b->bytes;
  cof_set(ws->host, ws->m_backlog, (int64_t)ws->block_bytes);
}

static size_t message_begin(const struct block *b, size_t index)
{
  return index != 0 ? b->ends[index - 1] : 0;
}

/* --- deliveries ------------------------------------------------------------------------------- */

static void delivery_free(struct ws *ws, struct sub *sub)
{
  struct delivery *d = sub->first;
  sub->first = d->next;
  if (sub->first == NULL)
    sub->last = NULL;
  block_drop(ws, d->block);
  free(d->picked);
  free(d);
}

static void forget_all(struct ws *ws, struct sub *sub)
{
  while (sub->first != NULL)
    delivery_free(ws, sub);
  sub->messages = sub->bytes = 0;
}

static size_t current(const struct delivery *d)
{
  return d->picked != NULL ? d->picked[d->at] : d->at;
}

const char *sub_message(const struct sub *sub, size_t *len)
{
  const struct delivery *d = sub->first;
  if (d == NULL)
    return NULL;
  size_t index = current(d), begin = message_begin(d->block, index);
  *len = d->block->ends[index] - begin;
  return d->block->text + begin;
}

void sub_sent(struct ws *ws, struct sub *sub)
{
  struct delivery *d = sub->first;
  size_t index = current(d);
  sub->messages--;
  sub->bytes -= d->block->ends[index] - message_begin(d->block, index);
  if (++d->at == d->count)
    delivery_free(ws, sub);
}

/* What the subscriber picked of a block; with neither memory nor room it is as if too slow. */
static void deliver(struct ws *ws, struct sub *sub, struct block *b)
{
  struct delivery *d = calloc(1, sizeof *d);
  bool all = sub->picked_count == b->count, ok = d != NULL;
  if (ok && !all) {
    d->picked = malloc(sub->picked_count * sizeof *d->picked);
    ok = d->picked != NULL;
  }
  if (!ok) {
    free(d);
    sub->skipped += sub->picked_count;
    sub_overflow(ws, sub, "this server is out of memory");
    return;
  }
  if (!all)
    memcpy(d->picked, sub->picked, sub->picked_count * sizeof *d->picked);
  d->block = b;
  d->count = sub->picked_count;
  b->refs++;
  *(sub->last != NULL ? &sub->last->next : &sub->first) = d;
  sub->last = d;
  sub->messages += d->count;
  for (size_t i = 0; i < d->count; i++)
    sub->bytes += b->ends[sub->picked[i]] - message_begin(b, sub->picked[i]);
}

/* --- subscribers ------------------------------------------------------------------------------ */

/* The chain is asked only for what somebody wants. */
static void tell_host(struct ws *ws)
{
  atomic_store(&ws->wide, ws->subs_count - ws->new_count);
  cof_want(ws->host,
           (ws->subs_count != 0 ? COF_WANT_STORED : 0u) | (ws->new_count != 0 ? COF_WANT_NEW : 0u));
  cof_set(ws->host, ws->m_subscribers, (int64_t)ws->subs_count);
}

void sub_add(struct ws *ws, struct sub *sub, struct lws *wsi, struct filter *filter)
{
  memset(sub, 0, sizeof *sub);
  sub->wsi = wsi;
  sub->filter = filter;
  sub->next = ws->subs;
  ws->subs = sub;
  ws->subs_count++;
  ws->new_count += filter->only_new;
  tell_host(ws);
}

void sub_remove(struct ws *ws, struct sub *sub)
{
  if (sub->filter == NULL)
    return;
  for (struct sub **link = &ws->subs; *link != NULL; link = &(*link)->next)
    if (*link == sub) {
      *link = sub->next;
      break;
    }
  cof_add(ws->host, ws->m_dropped, (int64_t)sub->messages);
  forget_all(ws, sub);
  ws->subs_count--;
  ws->new_count -= sub->filter->only_new;
  filter_free(&sub->filter);
  tell_host(ws);
}

void sub_close(struct ws *ws, struct sub *sub, int status, const char *reason)
{
  if (sub->close != 0)
    return;
  cof_add(ws->host, ws->m_dropped, (int64_t)sub->messages);
  forget_all(ws, sub);
  sub->close = status;
  snprintf(sub->reason, sizeof sub->reason, "%s", reason);
  lws_set_timeout(sub->wsi, PENDING_FLUSH_STORED_SEND_BEFORE_CLOSE, CLOSE_WAIT_S);
  lws_callback_on_writable(sub->wsi);
}

void sub_overflow(struct ws *ws, struct sub *sub, const char *what)
{
  char reason[REASON_MAX + 1];
  if (sub->close != 0)
    return;
  if (ws->conf.overflow == OVERFLOW_SKIP) {
    sub->skipped += sub->messages;
    cof_add(ws->host, ws->m_skipped, (int64_t)sub->messages);
    forget_all(ws, sub);
    lws_callback_on_writable(sub->wsi);
    return;
  }
  snprintf(reason, sizeof reason, "%s; %zu messages were waiting", what, sub->messages);
  cof_log(ws->host, COF_LOG_INFO, "a subscriber is disconnected: %s", reason);
  cof_add(ws->host, ws->m_disconnected, 1);
  sub_close(ws, sub, STATUS_TRY_AGAIN, reason);
}

static void check_bounds(struct ws *ws)
{
  for (struct sub *s = ws->subs; s != NULL; s = s->next)
    if (s->messages > (size_t)ws->conf.queue_messages || s->bytes > (size_t)ws->conf.queue_bytes)
      sub_overflow(ws, s, "too slow for this feed");
  while (ws->block_bytes > (size_t)ws->conf.backlog_bytes && ws->oldest != ws->newest) {
    const struct block *oldest = ws->oldest;
    for (struct sub *s = ws->subs; s != NULL && ws->oldest == oldest; s = s->next)
      if (s->first != NULL && s->first->block == oldest)
        sub_overflow(ws, s, "too slow for this feed");
    if (ws->oldest == oldest)
      break;
  }
}

/* --- distribution ----------------------------------------------------------------------------- */

/* Whether a record is wanted by anybody; notes by whom. */
static bool pick(struct ws *ws, const struct cof_record *r, bool is_new, size_t index)
{
  bool any = false;
  for (struct sub *s = ws->subs; s != NULL; s = s->next)
    if (s->close == 0 && s->picked != NULL && filter_match(s->filter, r, is_new)) {
      s->picked[s->picked_count++] = (uint32_t)index;
      any = true;
    }
  return any;
}

static bool grow(struct block *b, size_t *room, size_t need)
{
  if (need <= *room)
    return true;
  size_t more = 2 * need;
  char *text = realloc(b->text, more);
  if (text == NULL)
    return false;
  b->text = text;
  *room = more;
  return true;
}

/* Memory for what each subscriber picks of a slice; one without it does without the slice. */
static void begin_slice(struct ws *ws, size_t count)
{
  for (struct sub *s = ws->subs; s != NULL; s = s->next) {
    s->picked_count = 0;
    s->picked = s->close == 0 ? malloc(count * sizeof *s->picked) : NULL;
    if (s->close == 0 && s->picked == NULL) {
      s->skipped += count;
      sub_overflow(ws, s, "this server is out of memory");
    }
  }
}

static void end_slice(struct ws *ws, struct block *b)
{
  for (struct sub *s = ws->subs; s != NULL; s = s->next) {
    if (s->picked_count != 0 && s->close == 0) {
      bool idle = s->first == NULL;
      deliver(ws, s, b);
      if (idle)
        lws_callback_on_writable(s->wsi);
    }
    free(s->picked);
    s->picked = NULL;
    s->picked_count = 0;
  }
}

/* Write the records of a slice that are wanted. @return false when out of memory */
static bool write_slice(struct ws *ws, const struct handoff *h, size_t end, struct block *b)
{
  size_t room = 0, used = 0;
  b->ends = malloc((end - h->at) * sizeof *b->ends);
  if (b->ends == NULL)
    return false;
  for (size_t i = h->at; i < end; i++) {
    const struct cof_record *r = cof_batch_at(h->batch, i);
    if (!pick(ws, r, h->news != NULL && h->news[i] != 0, b->count))
      continue;
    if (!grow(b, &room, used + feed_bound(&ws->feed, r)))
      return false;
    used += feed_write(&ws->feed, r, b->text + used);
    b->ends[b->count++] = used;
  }
  return true;
}

/* Nobody gets any of a slice that there was no memory for. */
static void lose_slice(struct ws *ws, struct block *b)
{
  b->count = 0;
  for (struct sub *s = ws->subs; s != NULL; s = s->next) {
    s->skipped += s->picked_count;
    if (s->picked_count != 0)
      sub_overflow(ws, s, "this server is out of memory");
    s->picked_count = 0;
  }
}

static void distribute(struct ws *ws, struct handoff *h)
{
  size_t count = cof_batch_count(h->batch), end = h->at + SLICE < count ? h->at + SLICE : count;
  struct block *b = calloc(1, sizeof *b);
  if (b == NULL) {
    for (struct sub *s = ws->subs; s != NULL; s = s->next) {
      s->skipped += end - h->at;
      sub_overflow(ws, s, "this server is out of memory");
    }
  } else {
    b->refs = 1;
    begin_slice(ws, end - h->at);
    if (!write_slice(ws, h, end, b))
      lose_slice(ws, b);
    char *fit = b->count != 0 ? realloc(b->text, b->ends[b->count - 1]) : NULL;
    if (fit != NULL)
      b->text = fit;
    block_link(ws, b);
    end_slice(ws, b);
    block_drop(ws, b);
  }
  h->at = end;
  ws->distributed_ns = cof_clock_ns(ws->host);
  if (end == count)
    handoff_done(ws);
}

static bool all_keep_up(const struct ws *ws)
{
  for (const struct sub *s = ws->subs; s != NULL; s = s->next)
    if (s->messages > (size_t)ws->conf.queue_messages / 2 ||
        s->bytes > (size_t)ws->conf.queue_bytes / 2)
      return false;
  return ws->block_bytes <= (size_t)ws->conf.backlog_bytes / 2;
}

static void tell_missed(struct ws *ws)
{
  uint64_t missed = handoff_missed(ws);
  for (struct sub *s = ws->subs; s != NULL && missed != 0; s = s->next) {
    s->skipped += ws->conf.overflow == OVERFLOW_SKIP ? missed : 0;
    sub_overflow(ws, s, "the feed is faster than this server");
  }
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
  subs_pump(lws_container_of(timer, struct ws, timer));
}

void subs_pump(struct ws *ws)
{
  struct handoff *h;
  tell_missed(ws);
  while ((h = handoff_first(ws)) != NULL) {
    uint64_t now = cof_clock_ns(ws->host);
    if (ws->subs == NULL) {
      handoff_done(ws);
      continue;
    }
    if (!all_keep_up(ws) && !handoff_pressing(ws) && now < ws->distributed_ns + HOLD_NS) {
      lws_sul_schedule(ws->context, 0, &ws->timer, on_timer, HOLD_US);
      return;
    }
    distribute(ws, h);
    check_bounds(ws);
  }
}
