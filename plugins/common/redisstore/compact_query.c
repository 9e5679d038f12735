/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_query_private.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static int by_number(const void *a, const void *b)
{
  const uint16_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static bool set_types(struct cursor *c, const struct cof_query *q)
{
  if (q->rrtypes == NULL || q->rrtypes_count == 0)
    return true;
  c->types = malloc(q->rrtypes_count * sizeof *c->types);
  if (c->types == NULL)
    return false;
  memcpy(c->types, q->rrtypes, q->rrtypes_count * sizeof *c->types);
  qsort(c->types, q->rrtypes_count, sizeof *c->types, by_number);
  for (size_t i = 0; i < q->rrtypes_count; i++)
    if (i == 0 || c->types[i] != c->types[i - 1])
      c->types[c->types_count++] = c->types[i];
  return true;
}

bool cursor_type_asked(const struct cursor *c, uint16_t type)
{
  return c->types_count == 0 ||
         bsearch(&type, c->types, c->types_count, sizeof type, by_number) != NULL;
}

/* What makes two questions the same, for tokens: all but limit, deadline and token. */
static uint64_t hash_question(const struct cursor *c)
{
  uint64_t hash = (uint64_t)c->kind;
  const int64_t fences[] = {c->first_after, c->first_before, c->last_after, c->last_before};
  hash = XXH3_64bits_withSeed(c->spans, c->spans_count * sizeof *c->spans, hash);
  hash = XXH3_64bits_withSeed(fences, sizeof fences, hash);
  if (c->name != NULL)
    hash = XXH3_64bits_withSeed(c->name, c->name_len, hash);
  if (c->bailiwick != NULL)
    hash = XXH3_64bits_withSeed(c->bailiwick, strlen(c->bailiwick), hash);
  if (c->types_count != 0)
    hash = XXH3_64bits_withSeed(c->types, c->types_count * sizeof *c->types, hash);
  return hash;
}

static void begin_span(struct cursor *c)
{
  c->partial = false;
  if (c->span < c->spans_count)
    place_at(&c->place, c->spans[c->span].lower, c->spans[c->span].lower_len, false);
}

static bool set_question(struct cursor *c, const struct cof_query *q)
{
  c->kind = q->kind;
  c->first_after = q->time_first_after;
  c->first_before = q->time_first_before;
  c->last_after = q->time_last_after;
  c->last_before = q->time_last_before;
  c->left = q->limit != 0 ? q->limit : UINT64_MAX;
  c->deadline_ns = q->deadline_ns;
  c->now = compact_now();
  if (q->kind != COF_QUERY_RDATA_ADDR && q->kind != COF_QUERY_ALL) {
    c->name = strdup(q->name);
    c->name_len = strlen(q->name);
    if (c->name == NULL)
      return false;
  }
  if (q->bailiwick != NULL)
    c->bailiwick = strdup(q->bailiwick);
  if (!set_types(c, q) || (q->bailiwick != NULL && c->bailiwick == NULL))
    return false;
  c->question = hash_question(c);
  begin_span(c);
  return true;
}

enum cof_result compact_open(struct store *s, const struct cof_query *q, void **cursor,
                             struct cof_error *err)
{
  struct cursor *c = calloc(1, sizeof *c);
  if (c == NULL)
    return walk_no_memory(err);
  c->c = s->state;
  enum cof_result result = spans_make(q, c->spans, &c->spans_count, err);
  if (result == COF_OK && !set_question(c, q))
    result = walk_no_memory(err);
  if (result == COF_OK && q->token != NULL)
    result = cursor_resume(c, q->token, q->token_len, err);
  if (result == COF_OK)
    *cursor = c;
  else
    compact_close(s, c);
  return result;
}

/* Entries of one leaf of the forward tree. */
static enum cof_result step_forward(struct cursor *c, size_t max, struct cof_batch *into,
                                    bool *ended, struct cof_error *err)
{
  const struct span *s = &c->spans[c->span];
  struct page *page;
  struct found *found;
  *ended = false;
  size_t most = max - cof_batch_count(into);
  enum cof_result result = walk_leaf(c, CK_FORWARD, &c->place, s, most, &page, err);
  if (result != COF_OK)
    return result;
  size_t from = walk_start(page, &c->place), to = from;
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
    else if (len != 0)
      result = answer_give(c, c->key, len, &f->value.record, into, err);
    if (result == COF_OK)
      place_at(&c->place, f->entry->field, f->entry->field_len, true);
  }
  if (found != NULL)
    walk_free(&found, to - from);
  if (result == COF_OK && i == page->count) {
    *ended = page->high_len == 0 || !span_holds(s, page->high, page->high_len);
    place_at(&c->place, page->high, page->high_len, false);
  } else if (result == COF_OK && i == to) {
    *ended = !span_holds(s, page->entries[to].field, page->entries[to].field_len);
  }
  free(page);
  return result;
}

static enum cof_result answer(struct cursor *c, size_t max, struct cof_batch *into,
                              struct cof_error *err)
{
  enum cof_result result = COF_OK;
  while (result == COF_OK && c->span < c->spans_count && c->left > 0 &&
         cof_batch_count(into) < max) {
    bool ended;
    if (walk_late(c))
      return cof_fail(err, COF_TIMEOUT, "the deadline passed before the answer was complete");
    if (query_is_reverse(c->kind))
      result = answer_reverse(c, max, into, &ended, err);
    else
      result = step_forward(c, max, into, &ended, err);
    if (result == COF_OK && ended) {
      c->span++;
      begin_span(c);
    }
  }
  return result;
}

enum cof_result compact_next(struct store *s, void *cursor, size_t max, struct cof_batch *into,
                             struct cof_error *err)
{
  struct cursor *c = cursor;
  struct reader *reader;
  if (c->span >= c->spans_count || c->left == 0)
    return COF_OK;
  if (walk_late(c))
    return cof_fail(err, COF_TIMEOUT, "the deadline passed before the answer was complete");
  enum cof_result result = reader_take(s, c->deadline_ns, &reader, err);
  if (result != COF_OK)
    return result;
  c->client = reader->client;
  size_t room = SIZE_MAX - cof_batch_count(into);
  result = answer(c, cof_batch_count(into) + (max < room ? max : room), into, err);
  c->client = NULL;
  reader_give(s, reader);
  return result;
}

enum cof_result compact_token(struct store *s, void *cursor, void *buf, size_t cap, size_t *len)
{
  (void)s;
  size_t n = cursor_token(cursor, buf, cap);
  if (n == 0)
    return COF_REJECT;
  *len = n;
  return COF_OK;
}

void compact_close(struct store *s, void *cursor)
{
  (void)s;
  struct cursor *c = cursor;
  if (c == NULL)
    return;
  free(c->name);
  free(c->bailiwick);
  free(c->types);
  free(c->key);
  free(c);
}
