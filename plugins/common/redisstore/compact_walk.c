/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_query_private.h"

#include <stdlib.h>

/* Pages to the right of the one that the cache led to, and times to look anew. */
#define STEPS_MAX 1000
#define LOOKS_MAX 3

enum cof_result walk_no_memory(struct cof_error *err)
{
  return cof_fail(err, COF_RETRY, "out of memory");
}

void place_at(struct place *place, const void *field, size_t len, bool after)
{
  place->len = (uint8_t)len;
  place->after = after;
  memmove(place->field, field, len);
}

bool walk_late(const struct cursor *c)
{
  return c->deadline_ns != 0 && cof_clock_ns(c->c->store->host) >= c->deadline_ns;
}

enum cof_result walk_run(struct cursor *c, bool appended, struct cof_error *err)
{
  if (!appended) {
    resp_forget(c->client);
    return walk_no_memory(err);
  }
  return store_result(resp_run(c->client, 0, err));
}

bool walk_room(struct cursor *c, size_t need)
{
  if (need <= c->key_room)
    return true;
  free(c->key);
  c->key = malloc(need);
  c->key_room = c->key != NULL ? need : 0;
  return c->key != NULL;
}

/* --- leaves ---------------------------------------------------------------------------------- */

struct leaf {
  uint64_t id;
  struct page *page;
  bool missing;
};

static bool take_leaf(void *arg, const redisReply *reply)
{
  struct leaf *l = arg;
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    return false;
  l->page = page_parse(l->id, reply, &l->missing);
  if (l->page != NULL && l->page->level != 0) {
    l->missing = true;
    free(l->page);
    l->page = NULL;
  }
  return false;
}

/* From the leaf that the cache says to the one that it is by now. */
static enum cof_result walk_right(struct cursor *c, enum ck_tree tree, const struct place *place,
                                  struct leaf *l, struct cof_error *err)
{
  for (int i = 0; i < STEPS_MAX; i++) {
    enum cof_result result = walk_run(c, page_ask(c->client, tree, l->id, take_leaf, l), err);
    if (result != COF_OK || l->missing)
      return result;
    if (l->page == NULL)
      return walk_no_memory(err);
    if (!page_beyond(l->page, place->field, place->len) || l->page->right == 0)
      return COF_OK;
    l->id = l->page->right;
    free(l->page);
    l->page = NULL;
  }
  return cof_fail(err, COF_RETRY, "the pages of the database do not end");
}

struct stretch {
  struct range range;
  struct page *page;
  bool missing;
};

static bool take_stretch(void *arg, const redisReply *reply)
{
  struct stretch *s = arg;
  if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
    s->page = range_parse(&s->range, reply, &s->missing);
  return false;
}

/* A page of an ordered tree. */
static enum cof_result walk_range(struct cursor *c, enum ck_tree tree, const struct range *range,
                                  struct page **page, struct cof_error *err)
{
  struct stretch s = {.range = *range};
  bool appended = range_ask(c->client, tree, &s.range, take_stretch, &s);
  enum cof_result result = walk_run(c, appended, err);
  *page = s.page;
  if (result != COF_OK)
    return result;
  if (s.missing)
    return cof_fail(err, COF_RETRY, "the answer to HRANGEBYLEX is no list of fields and values");
  return s.page != NULL ? COF_OK : walk_no_memory(err);
}

static enum cof_result walk_page(struct cursor *c, enum ck_tree tree, const struct place *place,
                                 struct page **page, struct cof_error *err)
{
  struct tree *t = &c->c->trees[tree];
  struct leaf l = {.id = 0};
  for (int look = 0; look < LOOKS_MAX; look++) {
    l = (struct leaf){.id = 0};
    enum resp_result found = tree_locate(t, c->client, place->field, place->len, 0, &l.id, err);
    if (found != RESP_OK)
      return store_result(found);
    enum cof_result result = walk_right(c, tree, place, &l, err);
    if (result != COF_OK)
      free(l.page);
    if (result != COF_OK || !l.missing) {
      *page = result == COF_OK ? l.page : NULL;
      return result;
    }
    cache_clear(t);
  }
  char key[CP_KEY_LEN + 1];
  page_key(key, tree, l.id);
  return cof_fail(err, COF_RETRY, "the page %s is missing", key);
}

enum cof_result walk_leaf(struct cursor *c, enum ck_tree tree, const struct place *place,
                          const struct span *span, size_t most, struct page **page,
                          struct cof_error *err)
{
  struct range range = {.lower = place->field,
                        .upper = span->upper,
                        .lower_len = place->len,
                        .upper_len = span->upper_len,
                        .most = most < CP_RANGE ? most : CP_RANGE,
                        .after = place->after};
  enum cof_result result = c->c->trees[tree].ordered ? walk_range(c, tree, &range, page, err)
                                                     : walk_page(c, tree, place, page, err);
  if (result == COF_OK && (*page)->strange != 0)
    cof_add(c->c->store->host, c->c->store->m_unreadable, (int64_t)(*page)->strange);
  return result;
}

size_t walk_start(const struct page *p, const struct place *place)
{
  size_t i = page_find(p, place->field, place->len);
  if (place->after && i < p->count && p->entries[i].field_len == place->len &&
      memcmp(p->entries[i].field, place->field, place->len) == 0)
    i++;
  return i;
}

/* --- entries --------------------------------------------------------------------------------- */

static bool take_tail(void *arg, const redisReply *reply)
{
  struct found *f = arg;
  if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len > CK_KEY_MAX)
    return false;
  f->tail = malloc(reply->len + 1);
  if (f->tail == NULL)
    return false;
  memcpy(f->tail, reply->str, reply->len);
  f->tail_len = reply->len;
  return false;
}

static bool ask_tail(struct cursor *c, enum ck_tree tree, struct found *f)
{
  char key[CP_TAIL_KEY_LEN];
  tail_key(key, tree, f->entry->field);
  resp_begin(c->client, 2, 1);
  resp_arg_str(c->client, "GET");
  resp_arg(c->client, key, sizeof key);
  return resp_end(c->client, take_tail, f);
}

enum cof_result walk_entries(struct cursor *c, enum ck_tree tree, const struct page *page,
                             size_t from, size_t to, struct found **found, struct cof_error *err)
{
  struct found *list = calloc(to - from + 1, sizeof *list);
  bool good = list != NULL, far = false;
  for (size_t i = from; good && i < to; i++) {
    struct found *f = &list[i - from];
    f->entry = &page->entries[i];
    f->broken = !ck_value_get(tree, f->entry->value, f->entry->value_len, &f->value);
    if (f->broken || (f->value.flags & CK_FAR) == 0 || f->entry->field_len != CK_FIELD_MAX)
      continue;
    far = true;
    good = ask_tail(c, tree, f);
  }
  enum cof_result result = !good || far ? walk_run(c, good, err) : COF_OK;
  *found = list;
  if (result != COF_OK)
    walk_free(found, to - from);
  return result;
}

void walk_free(struct found **found, size_t count)
{
  for (size_t i = 0; *found != NULL && i < count; i++)
    free((*found)[i].tail);
  free(*found);
  *found = NULL;
}

size_t walk_key(struct cursor *c, const struct found *f)
{
  const struct entry *e = f->entry;
  const uint8_t *tail = f->tail != NULL ? f->tail : f->value.tail;
  size_t tail_len = f->tail != NULL ? f->tail_len : f->value.tail_len;
  size_t head = e->field_len;
  if (head == CK_FIELD_MAX)
    head = (f->value.flags & CK_LONG) != 0 ? CK_GROUP : CK_HEAD;
  if (f->broken) {
    cof_add(c->c->store->host, c->c->store->m_unreadable, 1);
    return 0;
  }
  if ((f->value.flags & CK_FAR) != 0 && f->tail == NULL) {
    cof_add(c->c->store->host, c->c->store->m_stale, 1);
    return 0;
  }
  if (!walk_room(c, head + tail_len))
    return SIZE_MAX;
  memcpy(c->key, e->field, head);
  if (tail_len != 0)
    memcpy(c->key + head, tail, tail_len);
  return head + tail_len;
}
