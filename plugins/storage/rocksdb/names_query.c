/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Questions about beginnings of names: the index gives the names, and a cursor for each of them
   the records. */
#include "names_private.h"

#include <stdlib.h>
#include <string.h>

/* A token within a name: version, length of the outer token, outer token, inner token. */
#define TOKEN_WITHIN 2
#define TOKEN_HEAD   3

enum cof_result names_span(const struct cof_query *q, struct span *s, struct cof_error *err)
{
  uint8_t name[COF_NAME_MAX + 2];
  size_t len = q->name != NULL ? strlen(q->name) : 0;
  size_t name_len = len <= COF_NAME_MAX ? key_name(name, q->name != NULL ? q->name : "", len) : 0;
  s->lower[0] = q->kind == COF_QUERY_PREFIX ? NAMES_OWNER : NAMES_TARGET;
  if (name_len == 0 || name_len > KEY_NAME_MAX || key_name_flip(name, name_len, s->lower + 1) == 0)
    return cof_fail(err, COF_REJECT, "the name asked for is not a canonical domain name");
  s->lower_len = name_len; /* without its end, so that others go on behind it */
  memcpy(s->upper, s->lower, s->lower_len);
  s->upper_len = s->lower_len;
  key_successor(s->upper, &s->upper_len);
  return COF_OK;
}

/* Open the cursor for the name that `position` holds. */
static enum cof_result open_name(struct cursor *c, const void *token, size_t token_len,
                                 struct cof_error *err)
{
  uint8_t key[KEY_NAME_MAX];
  char name[COF_NAME_MAX];
  size_t len = c->position.len - 1;
  if (len > sizeof key || key_name_flip(c->position.bytes + 1, len, key) == 0 ||
      key_name_text(key, len, name) == 0)
    return cof_fail(err, COF_FATAL,
                    "the database is corrupt: a name of the forward index is not "
                    "of its form");
  struct cof_query q = COF_QUERY_INIT;
  q.kind = c->kind == COF_QUERY_PREFIX ? COF_QUERY_RRNAME : COF_QUERY_RDATA_NAME;
  q.name = name;
  q.rrtypes = c->types;
  q.rrtypes_count = c->types_count;
  q.time_first_after = c->first_after;
  q.time_first_before = c->first_before;
  q.time_last_after = c->last_after;
  q.time_last_before = c->last_before;
  q.deadline_ns = c->deadline_ns;
  q.bailiwick = c->bailiwick;
  q.sensor_id = c->sensor;
  q.token = token;
  q.token_len = token_len;
  enum cof_result result = cursor_open(c->store, &q, c->snapshot, &c->inner, err);
  c->unopened = result != COF_OK;
  return result;
}

static enum cof_result resume(struct cursor *c, const uint8_t *token, size_t len, size_t *inner,
                              struct cof_error *err)
{
  *inner = len;
  if (len < TOKEN_HEAD || token[0] != TOKEN_WITHIN)
    return token_get(c, token, len, err);
  size_t outer = (size_t)(token[1] << 8 | token[2]);
  if (outer > len - TOKEN_HEAD)
    return cof_fail(err, COF_REJECT, "the resume token is not one of this storage");
  *inner = TOKEN_HEAD + outer;
  enum cof_result result = token_get(c, token + TOKEN_HEAD, outer, err);
  if (result == COF_OK && c->position.len == 0)
    result = cof_fail(err, COF_REJECT, "the resume token is not one of this storage");
  return result;
}

enum cof_result names_query(struct store *s, const struct cof_query *q, void **cursor,
                            struct cof_error *err)
{
  struct span span;
  size_t inner = 0;
  if (!s->conf->forward_index)
    return cof_fail(err, COF_UNSUPPORTED, "there is no forward index: see forward_index");
  enum cof_result result = names_span(q, &span, err);
  if (result != COF_OK)
    return result;
  struct cursor *c = cursor_create(s, q, &span, 1);
  if (c == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  c->entered = db_enter(s);
  if (!c->entered)
    result = cof_fail(err, COF_RETRY, "the database is closed after a fault");
  if (result == COF_OK) {
    c->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_total_order_seek(c->read, 1);
    c->snapshot = rocksdb_create_snapshot(s->db);
    rocksdb_readoptions_set_snapshot(c->read, c->snapshot);
  }
  if (result == COF_OK && q->token != NULL)
    result = resume(c, q->token, q->token_len, &inner, err);
  if (result == COF_OK && inner < q->token_len && q->token != NULL)
    result = open_name(c, (const uint8_t *)q->token + inner, q->token_len - inner, err);
  if (result == COF_OK)
    *cursor = c;
  else
    query_close(s, c);
  return result;
}

/* Go to the next name. `state` is CURSOR_END where there is none. */
static enum cof_result next_name(struct cursor *c, struct cof_error *err)
{
  const struct span *s = &c->spans[0];
  size_t len;
  if (c->it == NULL) {
    rocksdb_readoptions_set_iterate_upper_bound(c->read, (const char *)s->upper, s->upper_len);
    c->it = rocksdb_create_iterator_cf(c->store->db, c->read, c->store->names);
  }
  if (c->state == CURSOR_NEXT) {
    rocksdb_iter_next(c->it);
  } else if (c->position.len == 0) {
    rocksdb_iter_seek(c->it, (const char *)s->lower, s->lower_len);
  } else {
    if (!key_buf_room(&c->position, c->position.len + 1))
      return cof_fail(err, COF_RETRY, "out of memory");
    c->position.bytes[c->position.len] = 0;
    rocksdb_iter_seek(c->it, (const char *)c->position.bytes, c->position.len + 1);
  }
  c->state = CURSOR_NEXT;
  if (!rocksdb_iter_valid(c->it)) {
    char *error = NULL;
    rocksdb_iter_get_error(c->it, &error);
    c->state = error == NULL ? CURSOR_END : CURSOR_SEEK;
    return error == NULL ? COF_OK : db_error(error, "cannot read", err);
  }
  const char *key = rocksdb_iter_key(c->it, &len);
  if (!key_buf_set(&c->position, key, len)) {
    c->state = CURSOR_SEEK;
    return cof_fail(err, COF_RETRY, "out of memory");
  }
  return open_name(c, NULL, 0, err);
}

static enum cof_result name_next(struct cursor *c, size_t max, struct cof_batch *into,
                                 struct cof_error *err)
{
  size_t before = cof_batch_count(into);
  enum cof_result result = query_next(c->store, c->inner, max, into, err);
  size_t given = cof_batch_count(into) - before;
  c->left -= given;
  if (result == COF_OK && given == 0) {
    query_close(c->store, c->inner);
    c->inner = NULL;
  }
  return result;
}

enum cof_result names_next(struct cursor *c, size_t max, struct cof_batch *into,
                           struct cof_error *err)
{
  size_t end = cof_batch_count(into) + (max < c->left ? max : (size_t)c->left);
  enum cof_result result = COF_OK;
  while (result == COF_OK && cof_batch_count(into) < end &&
         (c->inner != NULL || c->unopened || c->state != CURSOR_END)) {
    if (c->deadline_ns != 0 && cof_clock_ns(c->store->host) >= c->deadline_ns)
      return cof_fail(err, COF_TIMEOUT, "the deadline passed before the answer was complete");
    if (c->inner != NULL)
      result = name_next(c, end - cof_batch_count(into), into, err);
    else
      result = c->unopened ? open_name(c, NULL, 0, err) : next_name(c, err);
  }
  return result;
}

size_t names_token(const struct cursor *c, uint8_t *buf, size_t cap)
{
  if (c->inner == NULL)
    return token_put(c, buf, cap);
  if (cap < TOKEN_HEAD)
    return 0;
  size_t outer = token_put(c, buf + TOKEN_HEAD, cap - TOKEN_HEAD);
  if (outer == 0)
    return 0;
  buf[0] = TOKEN_WITHIN;
  buf[1] = (uint8_t)(outer >> 8);
  buf[2] = (uint8_t)outer;
  size_t inner = token_put(c->inner, buf + TOKEN_HEAD + outer, cap - TOKEN_HEAD - outer);
  return inner != 0 ? TOKEN_HEAD + outer + inner : 0;
}
