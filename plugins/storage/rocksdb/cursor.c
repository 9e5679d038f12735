/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "query_private.h"

#include <string.h>

#include "expire_private.h"
#include "names_private.h"
#include "value_private.h"

/* Keys between two looks at the clock, less one. */
#define CLOCK_MASK 255u

static bool past_deadline(const struct cursor *c)
{
  return c->deadline_ns != 0 && cof_clock_ns(c->store->host) >= c->deadline_ns;
}

static enum cof_result timed_out(struct cof_error *err)
{
  return cof_fail(err, COF_TIMEOUT, "the deadline passed before the answer was complete");
}

static enum cof_result no_memory(struct cof_error *err)
{
  return cof_fail(err, COF_RETRY, "out of memory");
}

static enum cof_result corrupt(struct cof_error *err, const char *what)
{
  return cof_fail(err, COF_FATAL, "the database is corrupt: %s", what);
}

static enum cof_result seek(struct cursor *c, struct cof_error *err)
{
  const struct span *s = &c->spans[c->span];
  if (c->it == NULL) {
    rocksdb_readoptions_set_iterate_upper_bound(c->read, (const char *)s->upper, s->upper_len);
    c->it = rocksdb_create_iterator(c->store->db, c->read);
  }
  if (c->position.len == 0) {
    rocksdb_iter_seek(c->it, (const char *)s->lower, s->lower_len);
  } else {
    if (!key_buf_room(&c->position, c->position.len + 1))
      return no_memory(err);
    c->position.bytes[c->position.len] = 0;
    rocksdb_iter_seek(c->it, (const char *)c->position.bytes, c->position.len + 1);
  }
  c->state = CURSOR_NEXT;
  return COF_OK;
}

/* Go to the first key of the next type that is asked for, of the one name that is asked for. False:
   there is no such type. */
static bool skip_type(struct cursor *c, uint16_t type)
{
  uint8_t key[BOUND_MAX];
  for (size_t i = 0; i < c->types_count; i++) {
    if (c->types[i] <= type)
      continue;
    size_t len = c->spans[0].lower_len;
    memcpy(key, c->spans[0].lower, len - 2);
    key[len - 2] = (uint8_t)(c->types[i] >> 8);
    key[len - 1] = (uint8_t)c->types[i];
    rocksdb_iter_seek(c->it, (const char *)key, len);
    return true;
  }
  return false;
}

static bool type_asked(const struct cursor *c, uint16_t type)
{
  size_t low = 0, high = c->types_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (c->types[middle] == type)
      return true;
    if (c->types[middle] < type)
      low = middle + 1;
    else
      high = middle;
  }
  return c->types_count == 0;
}

/* Take a key apart, into `c->reverse` or `c->forward`. */
static bool key_type(struct cursor *c, const uint8_t *key, size_t len, uint16_t *type)
{
  bool ok = c->chunk != NULL ? key_reverse_split(key, len, &c->reverse)
                             : key_forward_split(key, len, &c->forward);
  *type = c->chunk != NULL ? c->reverse.rrtype : c->forward.rrtype;
  return ok;
}

/* Move to the next key of the span whose type is asked for. `*key` is NULL at the end of the span.
 */
static enum cof_result step(struct cursor *c, const uint8_t **key, size_t *len,
                            struct cof_error *err)
{
  struct key_buf *done = c->chunk != NULL ? &c->pending : &c->position;
  uint16_t type;
  *key = NULL;
  if ((++c->examined & CLOCK_MASK) == 0 && past_deadline(c))
    return timed_out(err);
  if (c->state == CURSOR_NEXT)
    rocksdb_iter_next(c->it);
  else if (seek(c, err) != COF_OK)
    return COF_RETRY;
  while (rocksdb_iter_valid(c->it)) {
    const uint8_t *at = (const uint8_t *)rocksdb_iter_key(c->it, len);
    if (!key_type(c, at, *len, &type))
      return corrupt(err, "a key is not of its form");
    if (type_asked(c, type)) {
      *key = at;
      return COF_OK;
    }
    if (!key_buf_set(done, at, *len))
      return no_memory(err);
    if ((++c->examined & CLOCK_MASK) == 0 && past_deadline(c))
      return timed_out(err);
    if (c->kind != COF_QUERY_RRNAME)
      rocksdb_iter_next(c->it);
    else if (!skip_type(c, type))
      return COF_OK;
  }
  char *error = NULL;
  rocksdb_iter_get_error(c->it, &error);
  return error == NULL ? COF_OK : db_error(error, "cannot read", err);
}

static void next_span(struct cursor *c)
{
  rocksdb_iter_destroy(c->it);
  c->it = NULL;
  c->state = CURSOR_END;
  if (c->span + 1 == c->spans_count)
    return;
  c->span++;
  c->state = CURSOR_SEEK;
  c->position.len = 0;
}

static bool decode_name(struct cursor *c, const struct key_forward_parts *p)
{
  if (p->name_len == c->name_len && memcmp(p->name, c->name, p->name_len) == 0)
    return true;
  if (p->name_len > sizeof c->name)
    return false;
  c->name_len = 0;
  c->name_text_len = key_name_text(p->name, p->name_len, c->name_text);
  if (c->name_text_len == 0)
    return false;
  memcpy(c->name, p->name, p->name_len);
  c->name_len = p->name_len;
  return true;
}

/* With the name decoded. */
static bool zone_asked(const struct cursor *c, uint32_t zones)
{
  return c->bailiwick == NULL || (zones & cof_zone_bit(c->name_text, c->name_text_len, c->bailiwick,
                                                       strlen(c->bailiwick))) != 0;
}

/* Append the record of a forward key and its value, if it lies within the fences. */
static enum cof_result give(struct cursor *c, const struct key_forward_parts *p, const char *value,
                            size_t value_len, struct cof_batch *into, struct cof_error *err)
{
  struct cof_record r = {0};
  char addr[COF_ADDR_TEXT_MAX];
  size_t rdata_len;
  if (!change_get((const uint8_t *)value, value_len, &r))
    return corrupt(err, "a value is not of its form");
  change_settle(&r);
  if (r.time_first < c->first_after || r.time_first > c->first_before ||
      r.time_last < c->last_after || r.time_last > c->last_before)
    return COF_OK;
  if (!decode_name(c, p))
    return corrupt(err, "a key is not of its form");
  if (!zone_asked(c, r.zones) || expire_over(c->store, p->rrtype, r.time_last, c->now))
    return COF_OK;
  r.rdata = key_rdata_text(p, addr, &rdata_len);
  if (r.rdata == NULL)
    return corrupt(err, "an address in a key is not of its type");
  r.rdata_len = (uint32_t)rdata_len;
  r.rrname = c->name_text;
  r.rrname_len = (uint16_t)c->name_text_len;
  r.rrtype = p->rrtype;
  r.sensor_id = c->sensor;
  r.sensor_len = (uint16_t)c->sensor_len;
  if (cof_batch_add(into, &r) == NULL)
    return no_memory(err);
  c->left--;
  return COF_OK;
}

static enum cof_result forward_next(struct cursor *c, struct cof_batch *into, struct cof_error *err)
{
  const uint8_t *key;
  size_t key_len, value_len;
  enum cof_result result = step(c, &key, &key_len, err);
  if (result != COF_OK)
    return result;
  if (key == NULL) {
    next_span(c);
    return COF_OK;
  }
  const char *value = rocksdb_iter_value(c->it, &value_len);
  result = give(c, &c->forward, value, value_len, into, err);
  if (result == COF_OK && !key_buf_set(&c->position, key, key_len))
    result = no_memory(err);
  return result;
}

/* Whether a forward key made from a reverse one is what was asked for: a text may share its target
   with others. */
static bool text_asked(const struct cursor *c, const uint8_t *key, size_t len)
{
  struct key_forward_parts p;
  char addr[COF_ADDR_TEXT_MAX];
  size_t text_len;
  if (c->text == NULL)
    return true;
  if (!key_forward_split(key, len, &p))
    return false;
  const char *text = key_rdata_text(&p, addr, &text_len);
  return text != NULL && text_len == c->text_len && memcmp(text, c->text, text_len) == 0;
}

static enum cof_result chunk_add(struct cursor *c, const uint8_t *key, size_t len,
                                 struct cof_error *err)
{
  struct chunk_keys *k = c->chunk;
  const struct key_reverse_parts *p = &c->reverse;
  uint8_t head[KEY_HEAD_MAX];
  size_t head_len = query_head(c->sensor, head);
  if (!key_buf_room(&k->bytes,
                    k->bytes.len + head_len + key_reverse_forward_bound(p, c->text_len)) ||
      !key_buf_set(&c->pending, key, len))
    return no_memory(err);
  uint8_t *forward = k->bytes.bytes + k->bytes.len;
  size_t forward_len = key_reverse_forward(p, c->text, c->text_len, forward + head_len - 1);
  if (forward_len == 0)
    return corrupt(err, "a reverse key leads to no forward key");
  memcpy(forward, head, head_len); /* the space, of one octet, is the head of a forward key */
  forward_len += head_len - 1;
  if (!text_asked(c, forward, forward_len))
    return COF_OK;
  k->offsets[k->count] = k->bytes.len;
  k->lens[k->count++] = forward_len;
  k->bytes.len += forward_len;
  return COF_OK;
}

/* Gather up to `max` forward keys. `*ended`: the span has no more. */
static enum cof_result chunk_read(struct cursor *c, size_t max, bool *ended, struct cof_error *err)
{
  enum cof_result result = COF_OK;
  c->chunk->count = 0;
  c->chunk->bytes.len = 0;
  *ended = false;
  while (result == COF_OK && c->chunk->count < max && c->chunk->count < CHUNK_KEYS) {
    const uint8_t *key;
    size_t len;
    result = step(c, &key, &len, err);
    if (result != COF_OK)
      break;
    *ended = key == NULL;
    if (*ended)
      break;
    result = chunk_add(c, key, len, err);
  }
  return result;
}

static enum cof_result chunk_give(struct cursor *c, rocksdb_pinnableslice_t **values, char **errors,
                                  struct cof_batch *into, struct cof_error *err)
{
  const struct chunk_keys *k = c->chunk;
  enum cof_result result = COF_OK;
  for (size_t i = 0; i < k->count; i++) {
    if (errors[i] != NULL) {
      result = db_error(errors[i], "cannot read", err);
    } else if (values[i] == NULL) {
      if (c->sensor == NULL) /* which did not see all records */
        cof_add(c->store->host, c->store->dangling, 1);
    } else if (result == COF_OK) {
      size_t len;
      const char *value = rocksdb_pinnableslice_value(values[i], &len);
      struct key_forward_parts p;
      result = key_forward_split(k->bytes.bytes + k->offsets[i], k->lens[i], &p)
                   ? give(c, &p, value, len, into, err)
                   : corrupt(err, "a key is not of its form");
    }
    if (values[i] != NULL)
      rocksdb_pinnableslice_destroy(values[i]);
  }
  return result;
}

static enum cof_result chunk_fetch(struct cursor *c, struct cof_batch *into, struct cof_error *err)
{
  const struct chunk_keys *k = c->chunk;
  const char *keys[CHUNK_KEYS];
  rocksdb_pinnableslice_t *values[CHUNK_KEYS] = {0};
  char *errors[CHUNK_KEYS] = {0};
  if (k->count == 0)
    return COF_OK;
  for (size_t i = 0; i < k->count; i++)
    keys[i] = (const char *)k->bytes.bytes + k->offsets[i];
  rocksdb_batched_multi_get_cf(c->store->db, c->read, c->store->family, k->count, keys, k->lens,
                               values, errors, false);
  return chunk_give(c, values, errors, into, err);
}

static enum cof_result reverse_next(struct cursor *c, size_t max, struct cof_batch *into,
                                    struct cof_error *err)
{
  bool ended;
  size_t count = cof_batch_count(into);
  uint64_t left = c->left;
  c->pending.len = 0;
  enum cof_result read = chunk_read(c, max, &ended, err);
  if (read != COF_OK && read != COF_TIMEOUT)
    return read;
  enum cof_result result = chunk_fetch(c, into, err);
  if (result != COF_OK) {
    cof_batch_truncate(into, count);
    c->left = left;
    return result;
  }
  if (c->pending.len != 0) {
    struct key_buf swap = c->position;
    c->position = c->pending;
    c->pending = swap;
  }
  if (ended)
    next_span(c);
  return read;
}

enum cof_result query_next(void *self, void *cursor, size_t max, struct cof_batch *into,
                           struct cof_error *err)
{
  (void)self;
  struct cursor *c = cursor;
  enum cof_result result = COF_OK;
  size_t end = cof_batch_count(into) + (max < c->left ? max : (size_t)c->left);
  if (names_answer(c->kind))
    return names_next(c, max, into, err);
  if (past_deadline(c))
    return timed_out(err);
  while (result == COF_OK && c->state != CURSOR_END && cof_batch_count(into) < end)
    result = c->chunk != NULL ? reverse_next(c, end - cof_batch_count(into), into, err)
                              : forward_next(c, into, err);
  /* After a fault the next call begins again behind the last key done with. */
  if (result == COF_RETRY || result == COF_FATAL)
    c->state = CURSOR_SEEK;
  return result;
}
