/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_private.h"

#include <stdlib.h>

#define BUCKETS_MIN 1024
#define STEPS_MAX   64 /* pages on the way to one, before the cache is taken to be wrong */
#define FETCH_MAX   64 /* rounds of fetching for one question */

bool tree_init(struct tree *t, enum ck_tree kind)
{
  t->kind = kind;
  t->buckets_count = BUCKETS_MIN;
  t->buckets = calloc(t->buckets_count, sizeof(struct page *));
  t->counts = calloc(CP_COUNTS, sizeof *t->counts);
  return pthread_mutex_init(&t->lock, NULL) == 0 && t->buckets != NULL && t->counts != NULL;
}

/* With the lock held, as are all functions here that begin so. */
static void held_clear(struct tree *t)
{
  for (size_t i = 0; t->buckets != NULL && i < t->buckets_count; i++)
    for (struct page *p; (p = t->buckets[i]) != NULL;) {
      t->buckets[i] = p->next;
      free(p);
    }
  t->pages = t->bytes = 0;
}

void tree_free(struct tree *t)
{
  held_clear(t);
  free(t->buckets);
  free(t->counts);
  pthread_mutex_destroy(&t->lock);
}

/* Ids are random, but for the first. */
static struct page **held_slot(struct tree *t, uint64_t id)
{
  struct page **slot = &t->buckets[id & (t->buckets_count - 1)];
  while (*slot != NULL && (*slot)->id != id)
    slot = &(*slot)->next;
  return slot;
}

static void held_drop(struct tree *t, uint64_t id)
{
  struct page **slot = held_slot(t, id), *p = *slot;
  if (p == NULL)
    return;
  *slot = p->next;
  t->pages--;
  t->bytes -= p->bytes;
  free(p);
}

static void held_grow(struct tree *t)
{
  size_t count = t->buckets_count * 2;
  struct page **buckets = t->pages < t->buckets_count ? NULL : calloc(count, sizeof *buckets);
  if (buckets == NULL)
    return;
  for (size_t i = 0; i < t->buckets_count; i++)
    for (struct page *p; (p = t->buckets[i]) != NULL;) {
      t->buckets[i] = p->next;
      p->next = buckets[p->id & (count - 1)];
      buckets[p->id & (count - 1)] = p;
    }
  free(t->buckets);
  t->buckets = buckets;
  t->buckets_count = count;
}

/* Pages of level 1 make nearly all; which of them go hardly matters. */
static void held_shrink(struct tree *t, uint64_t from)
{
  for (size_t i = 0; i < t->buckets_count && t->bytes > CP_CACHE_BYTES; i++) {
    struct page *p = t->buckets[(from + i) & (t->buckets_count - 1)];
    while (p != NULL && t->bytes > CP_CACHE_BYTES) {
      struct page *next = p->next;
      if (p->level == 1)
        held_drop(t, p->id);
      p = next;
    }
  }
}

void cache_put(struct tree *t, struct page *page)
{
  pthread_mutex_lock(&t->lock);
  held_drop(t, page->id);
  held_grow(t);
  struct page **slot = held_slot(t, page->id);
  page->next = NULL;
  *slot = page;
  t->pages++;
  t->bytes += page->bytes;
  if (t->bytes > CP_CACHE_BYTES)
    held_shrink(t, page->id + 1);
  pthread_mutex_unlock(&t->lock);
}

void cache_drop(struct tree *t, uint64_t id)
{
  pthread_mutex_lock(&t->lock);
  held_drop(t, id);
  pthread_mutex_unlock(&t->lock);
}

void cache_clear(struct tree *t)
{
  pthread_mutex_lock(&t->lock);
  held_clear(t);
  pthread_mutex_unlock(&t->lock);
}

bool cache_head(struct tree *t, uint64_t id, uint8_t head[CP_HEAD_LEN])
{
  pthread_mutex_lock(&t->lock);
  const struct page *p = *held_slot(t, id);
  if (p != NULL)
    memcpy(head, p->head, CP_HEAD_LEN);
  pthread_mutex_unlock(&t->lock);
  return p != NULL;
}

/* The child that begins at or below a field. */
static uint64_t child(const struct page *p, const uint8_t *field, size_t len)
{
  size_t i = page_find(p, field, len);
  bool exact = i < p->count && p->entries[i].field_len == len &&
               memcmp(p->entries[i].field, field, len) == 0;
  if (!exact && i > 0)
    i--;
  return i < p->count ? id_get(p->entries[i].value) : CP_ROOT;
}

static bool held_find(struct tree *t, const uint8_t *field, size_t len, unsigned level,
                      uint64_t *id)
{
  *id = CP_ROOT;
  for (int i = 0; i < STEPS_MAX; i++) {
    const struct page *p = *held_slot(t, *id);
    if (p == NULL)
      return false;
    if (page_beyond(p, field, len) && p->right != CP_ROOT) {
      *id = p->right;
      continue;
    }
    if (p->level <= level)
      return true;
    *id = child(p, field, len);
    if (p->level == level + 1)
      return *id != CP_ROOT;
  }
  held_clear(t);
  *id = CP_ROOT;
  return false;
}

bool cache_find(struct tree *t, const uint8_t *field, size_t len, unsigned level, uint64_t *id)
{
  *id = CP_LEAF;
  if (t->ordered)
    return true;
  pthread_mutex_lock(&t->lock);
  bool found = held_find(t, field, len, level, id);
  pthread_mutex_unlock(&t->lock);
  return found;
}

/* --- fetching -------------------------------------------------------------------------------- */

struct fetch {
  struct tree *tree;
  uint64_t id;
  bool missing, no_memory;
};

static bool take_page(void *arg, const redisReply *reply)
{
  struct fetch *f = arg;
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    return false;
  struct page *p = page_parse(f->id, reply, &f->missing);
  f->no_memory = p == NULL && !f->missing;
  if (p != NULL && (p->level == 0 || p->count == 0)) {
    f->missing = true;
    free(p);
  } else if (p != NULL) {
    cache_put(f->tree, p);
  }
  return false;
}

static enum resp_result fetched(struct tree *t, const struct fetch *list, size_t count,
                                struct cof_error *err)
{
  for (size_t i = 0; i < count; i++) {
    if (list[i].no_memory)
      return compact_no_memory(err);
    if (!list[i].missing)
      continue;
    char key[CP_KEY_LEN + 1];
    page_key(key, t->kind, list[i].id);
    cache_clear(t);
    cof_fail(err, COF_RETRY, "the page %s is missing or no inner page", key);
    return RESP_PASSING;
  }
  return RESP_OK;
}

enum resp_result tree_fetch(struct tree *t, struct resp *client, const uint64_t *ids, size_t count,
                            struct cof_error *err)
{
  size_t used = 0;
  struct fetch *list = calloc(count, sizeof *list);
  bool good = list != NULL;
  for (size_t i = 0; good && i < count; i++) {
    if (i > 0 && ids[i] == ids[i - 1])
      continue;
    list[used] = (struct fetch){.tree = t, .id = ids[i]};
    good = page_ask(client, t->kind, ids[i], take_page, &list[used]);
    used += good;
  }
  enum resp_result result = RESP_PASSING;
  if (good)
    result = resp_run(client, 0, err);
  else
    resp_forget(client);
  if (result == RESP_OK)
    result = fetched(t, list, used, err);
  free(list);
  return good ? result : compact_no_memory(err);
}

enum resp_result tree_locate(struct tree *t, struct resp *client, const uint8_t *field, size_t len,
                             unsigned level, uint64_t *id, struct cof_error *err)
{
  for (int i = 0; i < FETCH_MAX; i++) {
    if (cache_find(t, field, len, level, id))
      return RESP_OK;
    enum resp_result result = tree_fetch(t, client, id, 1, err);
    if (result != RESP_OK)
      return result;
  }
  cof_fail(err, COF_RETRY, "the pages on the way to a record do not end");
  return RESP_PASSING;
}
