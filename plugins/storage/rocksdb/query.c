/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "query_private.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "expire_private.h"
#include "names_private.h"

bool key_buf_room(struct key_buf *buf, size_t len)
{
  if (len <= buf->room)
    return true;
  size_t room = 2 * len > 256 ? 2 * len : 256;
  uint8_t *bytes = realloc(buf->bytes, room);
  if (bytes == NULL)
    return false;
  buf->bytes = bytes;
  buf->room = room;
  return true;
}

bool key_buf_set(struct key_buf *buf, const void *key, size_t len)
{
  if (!key_buf_room(buf, len))
    return false;
  memcpy(buf->bytes, key, len);
  buf->len = len;
  return true;
}

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

static bool set_text(struct cursor *c, const struct cof_query *q)
{
  if (q->kind != COF_QUERY_RDATA_TEXT)
    return true;
  c->text_len = strlen(q->name);
  c->text = strdup(q->name);
  return c->text != NULL;
}

static bool set_bailiwick(struct cursor *c, const struct cof_query *q)
{
  if (q->bailiwick != NULL)
    c->bailiwick = strdup(q->bailiwick);
  return q->bailiwick == NULL || c->bailiwick != NULL;
}

static bool set_sensor(struct cursor *c, const struct cof_query *q)
{
  if (q->sensor_id == NULL)
    return true;
  c->sensor = strdup(q->sensor_id);
  c->sensor_len = strlen(q->sensor_id);
  return c->sensor != NULL;
}

size_t query_head(const char *sensor, uint8_t out[KEY_HEAD_MAX])
{
  if (sensor != NULL)
    return key_sensor_head(out, sensor, strlen(sensor));
  out[0] = KEY_FORWARD;
  return 1;
}

/* What makes two questions the same, for tokens: all but limit, deadline and token. */
static uint64_t hash_question(const struct cursor *c)
{
  uint64_t hash = (uint64_t)c->kind;
  const int64_t fences[] = {c->first_after, c->first_before, c->last_after, c->last_before};
  for (size_t i = 0; i < c->spans_count; i++) {
    hash = XXH3_64bits_withSeed(c->spans[i].lower, c->spans[i].lower_len, hash);
    hash = XXH3_64bits_withSeed(c->spans[i].upper, c->spans[i].upper_len, hash);
  }
  hash = XXH3_64bits_withSeed(fences, sizeof fences, hash);
  if (c->types_count != 0)
    hash = XXH3_64bits_withSeed(c->types, c->types_count * sizeof *c->types, hash);
  if (c->bailiwick != NULL)
    hash = XXH3_64bits_withSeed(c->bailiwick, strlen(c->bailiwick), hash);
  if (c->sensor != NULL)
    hash = XXH3_64bits_withSeed(c->sensor, c->sensor_len, hash + KEY_SENSOR);
  return hash;
}

struct cursor *cursor_create(struct store *s, const struct cof_query *q, const struct span *spans,
                             size_t count)
{
  struct cursor *c = calloc(1, sizeof *c + count * sizeof *spans);
  if (c == NULL)
    return NULL;
  atomic_store(&s->asked_ns, cof_clock_ns(s->host));
  c->store = s;
  c->kind = q->kind;
  c->spans_count = count;
  memcpy(c->spans, spans, count * sizeof *spans);
  c->first_after = q->time_first_after;
  c->first_before = q->time_first_before;
  c->last_after = q->time_last_after;
  c->last_before = q->time_last_before;
  c->left = q->limit != 0 ? q->limit : UINT64_MAX;
  c->now = expire_now(s);
  c->deadline_ns = q->deadline_ns;
  if (query_is_reverse(q->kind))
    c->chunk = calloc(1, sizeof *c->chunk);
  if (!set_types(c, q) || !set_text(c, q) || !set_bailiwick(c, q) || !set_sensor(c, q) ||
      (query_is_reverse(q->kind) && c->chunk == NULL)) {
    query_close(NULL, c);
    return NULL;
  }
  c->question = hash_question(c);
  return c;
}

/* A question about one name or one target stays within one prefix, so that filters may tell which
   files to leave out. */
static bool one_prefix(const struct cof_query *q)
{
  switch (q->kind) {
  case COF_QUERY_RRNAME:
  case COF_QUERY_RDATA_NAME:
  case COF_QUERY_RDATA_TEXT:
    return true;
  case COF_QUERY_RDATA_ADDR:
    return memcmp(q->first.bytes, q->last.bytes, cof_addr_len(&q->first)) == 0;
  default:
    return false;
  }
}

static void set_read(struct cursor *c, const struct cof_query *q)
{
  c->read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_total_order_seek(c->read, !one_prefix(q));
  if (c->kind == COF_QUERY_ALL)
    rocksdb_readoptions_set_fill_cache(c->read, 0);
  if (c->snapshot == NULL && (c->chunk != NULL || c->spans_count > 1))
    c->snapshot = rocksdb_create_snapshot(c->store->db);
  if (c->snapshot != NULL)
    rocksdb_readoptions_set_snapshot(c->read, c->snapshot);
}

enum cof_result cursor_open(struct store *s, const struct cof_query *query,
                            const rocksdb_snapshot_t *snapshot, struct cursor **cursor,
                            struct cof_error *err)
{
  struct span spans[SPANS_MAX];
  size_t count;
  enum cof_result result = spans_make(query, spans, &count, err);
  if (result != COF_OK)
    return result;
  struct cursor *c = cursor_create(s, query, spans, count);
  if (c == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  if (query->token != NULL)
    result = token_get(c, query->token, query->token_len, err);
  if (result != COF_OK) {
    query_close(s, c);
    return result;
  }
  c->entered = db_enter(s);
  if (!c->entered) {
    query_close(s, c);
    return cof_fail(err, COF_RETRY, "the database is closed after a fault");
  }
  /* What RocksDB counts of each step, of this thread, nobody reads. */
  rocksdb_set_perf_level(rocksdb_disable);
  c->snapshot = snapshot;
  c->shares = snapshot != NULL;
  set_read(c, query);
  *cursor = c;
  return COF_OK;
}

enum cof_result query_open(void *self, const struct cof_query *query, void **cursor,
                           struct cof_error *err)
{
  struct cursor *c = NULL;
  size_t sensor_len = query->sensor_id != NULL ? strlen(query->sensor_id) : 1;
  if (sensor_len == 0 || sensor_len > COF_SENSOR_MAX)
    return cof_fail(err, COF_REJECT, "a sensor_id of %zu octets; expected 1 to %d", sensor_len,
                    COF_SENSOR_MAX);
  if (names_answer(query->kind))
    return names_query(self, query, cursor, err);
  enum cof_result result = cursor_open(self, query, NULL, &c, err);
  if (result == COF_OK)
    *cursor = c;
  return result;
}

enum cof_result query_token(void *self, void *cursor, void *buf, size_t cap, size_t *len)
{
  (void)self;
  const struct cursor *c = cursor;
  size_t n = names_answer(c->kind) ? names_token(c, buf, cap) : token_put(c, buf, cap);
  if (n == 0)
    return COF_REJECT;
  *len = n;
  return COF_OK;
}

void query_close(void *self, void *cursor)
{
  struct cursor *c = cursor;
  if (c == NULL)
    return;
  query_close(self, c->inner);
  if (c->it != NULL)
    rocksdb_iter_destroy(c->it);
  if (c->snapshot != NULL && !c->shares)
    rocksdb_release_snapshot(c->store->db, c->snapshot);
  if (c->read != NULL)
    rocksdb_readoptions_destroy(c->read);
  if (c->entered)
    db_leave(c->store);
  if (c->chunk != NULL)
    free(c->chunk->bytes.bytes);
  free(c->chunk);
  free(c->position.bytes);
  free(c->pending.bytes);
  free(c->types);
  free(c->text);
  free(c->bailiwick);
  free(c->sensor);
  free(c);
}
