/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_query_private.h"

#include <stdlib.h>

#define ROUNDS_MAX 200

/* --- giving ---------------------------------------------------------------------------------- */

static bool name_asked(const struct cursor *c, const struct cof_record *r)
{
  switch (c->kind) {
  case COF_QUERY_RRNAME:
    return r->rrname_len == c->name_len && memcmp(r->rrname, c->name, c->name_len) == 0;
  case COF_QUERY_SUBDOMAINS:
    return cof_name_under(r->rrname, r->rrname_len, c->name, c->name_len);
  case COF_QUERY_RDATA_TEXT:
    return r->rdata_len == c->name_len && memcmp(r->rdata, c->name, c->name_len) == 0;
  default:
    return true;
  }
}

static bool times_asked(const struct cursor *c, const struct cof_record *r)
{
  int64_t ttl = store_expiry(c->c->store, r->rrtype);
  return r->time_first >= c->first_after && r->time_first <= c->first_before &&
         r->time_last >= c->last_after && r->time_last <= c->last_before &&
         (ttl == 0 || r->time_last >= c->now - ttl);
}

static bool zone_asked(const struct cursor *c, const struct cof_record *r)
{
  return c->bailiwick == NULL || (r->zones & cof_zone_bit(r->rrname, r->rrname_len, c->bailiwick,
                                                          strlen(c->bailiwick))) != 0;
}

enum cof_result answer_give(struct cursor *c, const uint8_t *key, size_t len,
                            const struct cof_record *times, struct cof_batch *into,
                            struct cof_error *err)
{
  struct ck_record parts;
  char name[COF_NAME_MAX], addr[COF_ADDR_TEXT_MAX];
  struct cof_record r = {.time_first = times->time_first,
                         .time_last = times->time_last,
                         .count = times->count,
                         .zones = times->zones};
  size_t name_len = 0, rdata_len = 0;
  if (ck_forward_split(key, len, &parts)) {
    r.rrtype = parts.rrtype;
    if (!cursor_type_asked(c, r.rrtype) || !times_asked(c, &r))
      return COF_OK;
    name_len = ck_name_text(parts.name, parts.name_len, name);
    r.rdata = ck_rdata_text(&parts, addr, &rdata_len);
  }
  if (name_len == 0 || r.rdata == NULL) {
    cof_add(c->c->store->host, c->c->store->m_unreadable, 1);
    return COF_OK;
  }
  r.rrname = name;
  r.rrname_len = (uint16_t)name_len;
  r.rdata_len = (uint32_t)rdata_len;
  if (!name_asked(c, &r) || !zone_asked(c, &r))
    return COF_OK;
  if (cof_batch_add(into, &r) == NULL)
    return walk_no_memory(err);
  c->left--;
  return COF_OK;
}

/* --- from reverse to forward entries --------------------------------------------------------- */

/* A reverse entry and what it leads to. */
struct want {
  const struct entry *entry;
  bool skip, exact, answered, missing, beyond, known;
  struct ck_field field; /* exact: in the forward tree */
  uint8_t *key;          /* exact: forward full key; else the reverse one; malloced */
  size_t key_len;
  uint64_t page, right;
  struct ck_value value;
};

/* Types whose rdata is the target and nothing else. */
static bool whole_target(uint16_t type)
{
  return type == COF_TYPE_NS || type == COF_TYPE_CNAME || type == COF_TYPE_PTR ||
         type == COF_TYPE_DNAME;
}

/* The rdata that a reverse entry leads to, where there is but one. NULL: unknown. */
static const void *known_rdata(const struct cursor *c, const struct ck_pointer *p, char *buf,
                               size_t *len)
{
  if (p->class == CK_ADDR4 || p->class == CK_ADDR6) {
    *len = p->target_len;
    return p->target;
  }
  *len = c->name_len;
  if (c->kind == COF_QUERY_RDATA_TEXT)
    return c->name;
  if (p->class != CK_NAME || !whole_target(p->rrtype))
    return NULL;
  *len = ck_name_text(p->target, p->target_len, buf);
  return *len != 0 ? buf : NULL;
}

static bool want_forward(struct cursor *c, struct want *w, const struct ck_pointer *p)
{
  char buf[COF_NAME_MAX];
  size_t rdata_len;
  const void *rdata = known_rdata(c, p, buf, &rdata_len);
  w->exact = rdata != NULL;
  if (!w->exact)
    return true;
  uint8_t *key = malloc(p->name_len + 2 + rdata_len + 1);
  if (key == NULL)
    return false;
  memcpy(key, p->name, p->name_len);
  key[p->name_len] = (uint8_t)(p->rrtype >> 8);
  key[p->name_len + 1] = (uint8_t)p->rrtype;
  memcpy(key + p->name_len + 2, rdata, rdata_len);
  w->key_len = p->name_len + 2 + rdata_len;
  ck_field(&w->field, CK_FORWARD, key, w->key_len, p->name_len);
  free(w->key);
  w->key = key;
  return true;
}

/* What a reverse entry asks for. False: out of memory. */
static bool want_make(struct cursor *c, struct want *w, const struct found *f)
{
  struct ck_pointer p;
  w->entry = f->entry;
  w->skip = true;
  size_t len = walk_key(c, f);
  if (len == 0)
    return true;
  if (len == SIZE_MAX)
    return false;
  if (!ck_reverse_split(c->key, len, &p)) {
    cof_add(c->c->store->host, c->c->store->m_unreadable, 1);
    return true;
  }
  w->skip = !cursor_type_asked(c, p.rrtype);
  if (w->skip)
    return true;
  w->key = malloc(len);
  if (w->key == NULL)
    return false;
  w->key_len = len;
  memcpy(w->key, c->key, len);
  return want_forward(c, w, &p);
}

static bool take_value(void *arg, const redisReply *reply)
{
  struct want *w = arg;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
    return false;
  const redisReply *m = reply->element[0], *h = reply->element[1], *v = reply->element[2];
  w->answered = true;
  w->missing = m->type != REDIS_REPLY_STRING || m->len != CP_HEAD_LEN || m->str[0] != 0 ||
               h->type != REDIS_REPLY_STRING;
  if (w->missing)
    return false;
  w->right = id_get((const uint8_t *)m->str + 1);
  w->beyond =
      w->right != 0 && h->len != 0 && ck_compare(w->field.field, w->field.len, h->str, h->len) >= 0;
  w->known = !w->beyond && v->type == REDIS_REPLY_STRING &&
             ck_value_get(CK_FORWARD, (const uint8_t *)v->str, v->len, &w->value);
  return false;
}

static bool ask_value(struct cursor *c, struct want *w)
{
  char key[CP_KEY_LEN + 1];
  page_key(key, CK_FORWARD, w->page);
  resp_begin(c->client, 5, 1);
  resp_arg_str(c->client, "HMGET");
  resp_arg(c->client, key, CP_KEY_LEN);
  resp_arg_str(c->client, "m");
  resp_arg_str(c->client, "h");
  resp_arg(c->client, w->field.field, w->field.len);
  w->answered = false;
  return resp_end(c->client, take_value, w);
}

/* Pages of all exact entries that have none yet; inner pages are fetched many at a time. */
static enum resp_result locate(struct cursor *c, struct want *list, size_t count,
                               struct cof_error *err)
{
  struct tree *t = &c->c->trees[CK_FORWARD];
  for (int round = 0; round < ROUNDS_MAX; round++) {
    uint64_t ids[CHUNK], id;
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
      struct want *w = &list[i];
      if (w->skip || !w->exact || w->page != 0)
        continue;
      if (cache_find(t, w->field.field, w->field.len, 0, &id))
        w->page = id;
      else
        ids[missing++] = id;
    }
    if (missing == 0)
      return RESP_OK;
    enum resp_result result = tree_fetch(t, c->client, ids, missing, err);
    if (result != RESP_OK)
      return result;
  }
  cof_fail(err, COF_RETRY, "the pages on the way to records do not end");
  return RESP_PASSING;
}

/* Values of all exact entries. */
static enum cof_result look_up(struct cursor *c, struct want *list, size_t count,
                               struct cof_error *err)
{
  for (int round = 0; round < ROUNDS_MAX; round++) {
    bool more = false, good = true, missing = false;
    enum cof_result result = store_result(locate(c, list, count, err));
    for (size_t i = 0; result == COF_OK && good && i < count; i++)
      if (!list[i].skip && list[i].exact && (!list[i].answered || list[i].beyond))
        good = ask_value(c, &list[i]);
    if (result == COF_OK)
      result = walk_run(c, good, err);
    if (result != COF_OK)
      return result;
    for (size_t i = 0; i < count; i++) {
      struct want *w = &list[i];
      if (!w->beyond && !w->missing)
        continue;
      more = true;
      missing = missing || w->missing;
      w->page = w->missing ? 0 : w->right;
      w->answered = !w->missing;
      w->missing = false;
    }
    if (missing)
      cache_clear(&c->c->trees[CK_FORWARD]);
    if (!more)
      return COF_OK;
  }
  return cof_fail(err, COF_RETRY, "pages of the database are missing");
}

/* --- ranges of forward entries --------------------------------------------------------------- */

static bool has_target(const uint8_t *key, size_t len, const struct ck_pointer *p)
{
  struct ck_record parts;
  uint8_t target[1 + CK_NAME_MAX];
  if (!ck_forward_split(key, len, &parts))
    return false;
  size_t n = ck_target(target, parts.rrtype, (const char *)parts.rdata, parts.rdata_len);
  return parts.rrtype == p->rrtype && parts.name_len == p->name_len &&
         memcmp(parts.name, p->name, p->name_len) == 0 && n == 1 + p->target_len &&
         memcmp(target, p->target - 1, n) == 0;
}

static void range_make(struct span *s, const struct ck_pointer *p)
{
  size_t n = ck_group(s->lower, p->name, p->name_len);
  s->lower[n++] = (uint8_t)(p->rrtype >> 8);
  s->lower[n++] = (uint8_t)p->rrtype;
  s->lower_len = (uint8_t)n;
  span_prefix(s);
}

/* Entries of one leaf. `*ended`: there is no more in the range. */
static enum cof_result range_leaf(struct cursor *c, const struct ck_pointer *p,
                                  const struct span *s, size_t max, struct cof_batch *into,
                                  bool *ended, struct cof_error *err)
{
  struct page *page;
  struct found *found;
  size_t most = max - cof_batch_count(into);
  enum cof_result result = walk_leaf(c, CK_FORWARD, &c->inner, s, most, &page, err);
  if (result != COF_OK)
    return result;
  size_t from = walk_start(page, &c->inner), to = from;
  while (to < page->count && to - from < most &&
         span_holds(s, page->entries[to].field, page->entries[to].field_len))
    to++;
  result = walk_entries(c, CK_FORWARD, page, from, to, &found, err);
  size_t i = from;
  for (; result == COF_OK && i < to && c->left > 0; i++) {
    const struct found *f = &found[i - from];
    size_t len = walk_key(c, f);
    if (len == SIZE_MAX)
      result = walk_no_memory(err);
    else if (len != 0 && has_target(c->key, len, p))
      result = answer_give(c, c->key, len, &f->value.record, into, err);
    if (result == COF_OK)
      place_at(&c->inner, f->entry->field, f->entry->field_len, true);
  }
  if (found != NULL)
    walk_free(&found, to - from);
  if (result == COF_OK && i == page->count) {
    *ended = page->high_len == 0 || !span_holds(s, page->high, page->high_len);
    place_at(&c->inner, page->high, page->high_len, false);
  } else if (result == COF_OK && i == to) {
    *ended = !span_holds(s, page->entries[to].field, page->entries[to].field_len);
  }
  free(page);
  return result;
}

/* All records that an entry leads to by name and type. */
static enum cof_result range_give(struct cursor *c, const struct want *w, size_t max,
                                  struct cof_batch *into, struct cof_error *err)
{
  struct ck_pointer p;
  struct span s;
  bool ended = false, resumed = c->partial && c->place.len == w->entry->field_len &&
                                memcmp(c->place.field, w->entry->field, c->place.len) == 0;
  enum cof_result result = COF_OK;
  if (!ck_reverse_split(w->key, w->key_len, &p))
    return COF_OK;
  range_make(&s, &p);
  if (!resumed)
    place_at(&c->inner, s.lower, s.lower_len, false);
  place_at(&c->place, w->entry->field, w->entry->field_len, false);
  c->partial = true;
  while (result == COF_OK && !ended && c->left > 0 && cof_batch_count(into) < max) {
    if (walk_late(c))
      return cof_fail(err, COF_TIMEOUT, "the deadline passed before the answer was complete");
    result = range_leaf(c, &p, &s, max, into, &ended, err);
  }
  if (ended) {
    c->partial = false;
    c->place.after = true;
  }
  return result;
}

/* --- a step ---------------------------------------------------------------------------------- */

static enum cof_result give_all(struct cursor *c, const struct want *list, size_t count, size_t max,
                                struct cof_batch *into, bool *whole, struct cof_error *err)
{
  enum cof_result result = COF_OK;
  for (size_t i = 0; result == COF_OK && i < count; i++) {
    const struct want *w = &list[i];
    if (c->left == 0 || cof_batch_count(into) >= max)
      return COF_OK;
    if (!w->skip && !w->exact) {
      result = range_give(c, w, max, into, err);
      if (result != COF_OK || c->partial)
        return result;
      continue;
    }
    if (!w->skip && w->known)
      result = answer_give(c, w->key, w->key_len, &w->value.record, into, err);
    else if (!w->skip && c->kind != COF_QUERY_RDATA_TEXT)
      cof_add(c->c->store->host, c->c->store->m_stale, 1);
    if (result != COF_OK)
      return result;
    c->partial = false;
    place_at(&c->place, w->entry->field, w->entry->field_len, true);
  }
  *whole = true;
  return result;
}

static enum cof_result reverse_chunk(struct cursor *c, const struct page *page, size_t from,
                                     size_t to, size_t max, struct cof_batch *into, bool *whole,
                                     struct cof_error *err)
{
  struct found *found;
  size_t count = to - from;
  struct want *list = calloc(count + 1, sizeof *list);
  if (list == NULL)
    return walk_no_memory(err);
  enum cof_result result = walk_entries(c, CK_REVERSE, page, from, to, &found, err);
  for (size_t i = 0; result == COF_OK && i < count; i++)
    if (!want_make(c, &list[i], &found[i]))
      result = walk_no_memory(err);
  if (found != NULL)
    walk_free(&found, count);
  if (result == COF_OK)
    result = look_up(c, list, count, err);
  if (result == COF_OK)
    result = give_all(c, list, count, max, into, whole, err);
  for (size_t i = 0; i < count; i++)
    free(list[i].key);
  free(list);
  return result;
}

enum cof_result answer_reverse(struct cursor *c, size_t max, struct cof_batch *into, bool *ended,
                               struct cof_error *err)
{
  const struct span *s = &c->spans[c->span];
  struct page *page;
  bool whole = false;
  *ended = false;
  enum cof_result result = walk_leaf(c, CK_REVERSE, &c->place, s, CHUNK, &page, err);
  if (result != COF_OK)
    return result;
  size_t from = walk_start(page, &c->place), to = from;
  while (to < page->count && to - from < CHUNK &&
         span_holds(s, page->entries[to].field, page->entries[to].field_len))
    to++;
  result = reverse_chunk(c, page, from, to, max, into, &whole, err);
  if (result == COF_OK && whole) {
    if (to < page->count) {
      *ended = !span_holds(s, page->entries[to].field, page->entries[to].field_len);
    } else {
      *ended = page->high_len == 0 || !span_holds(s, page->high, page->high_len);
      place_at(&c->place, page->high, page->high_len, false);
    }
  }
  free(page);
  return result;
}
