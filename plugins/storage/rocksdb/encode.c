/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "write_private.h"

#include <stdlib.h>
#include <string.h>

#include "keys_private.h"
#include "names_private.h"
#include "pages_private.h"
#include "priority_private.h"
#include "value_private.h"

#define CHUNK_SIZE (PAGES_HUGE - sizeof(struct chunk))
/* Of each arena, between writes. */
#define KEEP_BYTES ((size_t)32 * 1024 * 1024)

struct chunk {
  struct chunk *next;
  size_t size;
  uint8_t bytes[];
};

struct writer *writer_create(void)
{
  return calloc(1, sizeof(struct writer));
}

static void free_chunks(struct chunk **link)
{
  for (struct chunk *next, *c = *link; c != NULL; c = next) {
    next = c->next;
    free(c);
  }
  *link = NULL;
}

void writer_destroy(struct writer **writer)
{
  struct writer *w = *writer;
  if (w == NULL)
    return;
  free_chunks(&w->keys.chunks);
  free_chunks(&w->reverse_keys.chunks);
  free(w->forward);
  free(w->sights);
  free(w->stats);
  free(w->refused);
  free(w);
  *writer = NULL;
}

static void arena_clear(struct arena *a)
{
  size_t kept = 0;
  for (struct chunk **link = &a->chunks; *link != NULL; link = &(*link)->next) {
    kept += (*link)->size;
    if (kept > KEEP_BYTES) {
      free_chunks(link);
      break;
    }
  }
  a->current = a->chunks;
  a->used = 0;
}

void writer_clear(struct writer *w)
{
  arena_clear(&w->keys);
  arena_clear(&w->reverse_keys);
  w->bytes = 0;
  w->count = 0;
  w->names_count = 0;
  w->sights_count = 0;
  w->stats_count = 0;
  w->refused_count = 0;
}

/* At least `need` octets at the end of the arena; arena_commit() takes what was used of them. */
static uint8_t *arena_reserve(struct arena *a, size_t need)
{
  if (a->current != NULL && a->current->size - a->used >= need)
    return a->current->bytes + a->used;
  struct chunk **link = a->current != NULL ? &a->current->next : &a->chunks;
  if (*link == NULL || (*link)->size < need) {
    size_t size = need > CHUNK_SIZE ? need : CHUNK_SIZE;
    struct chunk *c = pages_alloc(sizeof *c + size);
    if (c == NULL)
      return NULL;
    c->size = size;
    c->next = *link;
    *link = c;
  }
  a->current = *link;
  a->used = 0;
  return a->current->bytes;
}

static void arena_commit(struct writer *w, struct arena *a, size_t len)
{
  a->used += len;
  w->bytes += len;
}

/* All in one piece, which takes fewer huge pages than four; and an octet, for none is no error. */
static bool make_room(struct writer *w, size_t count)
{
  if (w->forward != NULL && count <= w->room && (w->names != NULL || !w->with_names))
    return true;
  if (count < w->room)
    count = w->room;
  free(w->forward);
  w->room = 0;
  w->names = NULL;
  w->forward = pages_alloc((w->with_names ? 6 : 4) * count * sizeof *w->forward + 1);
  if (w->forward == NULL)
    return false;
  w->reverse = w->forward + count;
  w->scratch = w->reverse + count;
  w->names = w->with_names ? w->scratch + 2 * count : NULL;
  w->room = count;
  return true;
}

static bool refuse(struct writer *w, size_t index, const char *reason)
{
  if (w->refused_count == w->refused_room) {
    size_t room = w->refused_room != 0 ? 2 * w->refused_room : 64;
    struct refused *refused = realloc(w->refused, room * sizeof *refused);
    if (refused == NULL)
      return false;
    w->refused = refused;
    w->refused_room = room;
  }
  w->refused[w->refused_count++] = (struct refused){index, reason};
  return true;
}

/* A key of the forward index, unless it is that of the name before; `before` is an item of the same
   class. */
static bool encode_name(struct writer *w, enum names_class class, const uint8_t *name, size_t len,
                        struct item *before)
{
  uint8_t *key = arena_reserve(&w->keys, 1 + len);
  if (key == NULL)
    return false;
  key[0] = (uint8_t) class;
  if (key_name_flip(name, len, key + 1) == 0 ||
      (before->key_len == 1 + len && memcmp(before->key, key, 1 + len) == 0))
    return true;
  arena_commit(w, &w->keys, 1 + len);
  *before = (struct item){.key = key, .key_len = (uint32_t)(1 + len)};
  w->names[w->names_count++] = *before;
  return true;
}

/* The names of the record encoded last. */
static bool encode_names(struct writer *w, struct item before[2])
{
  const struct item *forward = &w->forward[w->count - 1], *reverse = &w->reverse[w->count - 1];
  struct key_forward_parts f;
  struct key_reverse_parts r;
  if (!key_forward_split(forward->key, forward->key_len, &f) ||
      !encode_name(w, NAMES_OWNER, f.name, f.name_len, &before[0]))
    return false;
  return !key_reverse_split(reverse->key, reverse->key_len, &r) || r.class != KEY_NAME ||
         encode_name(w, NAMES_TARGET, r.target, r.target_len, &before[1]);
}

static bool encode_record(struct writer *w, size_t index, const struct cof_record *r)
{
  if (!change_valid(r))
    return refuse(w, index, "times or counts are out of range");
  size_t forward_len, reverse_len;
  uint8_t *forward = arena_reserve(&w->keys, key_forward_bound(r) + CHANGE_MAX);
  uint8_t *reverse = arena_reserve(&w->reverse_keys, key_reverse_bound(r));
  if (forward == NULL || reverse == NULL)
    return false;
  const char *reason = key_pair(r, forward, &forward_len, reverse, &reverse_len);
  if (reason != NULL)
    return refuse(w, index, reason);
  size_t value_len = change_put(forward + forward_len, r);
  arena_commit(w, &w->keys, forward_len + value_len);
  arena_commit(w, &w->reverse_keys, reverse_len);
  w->forward[w->count] = (struct item){
      .key = forward, .key_len = (uint32_t)forward_len, .value_len = (uint32_t)value_len};
  w->reverse[w->count] = (struct item){.key = reverse, .key_len = (uint32_t)reverse_len};
  w->count++;
  return true;
}

static struct item *new_sight(struct writer *w)
{
  if (w->sights_count == w->sights_room) {
    size_t room = w->sights_room != 0 ? 2 * w->sights_room : 256;
    struct item *sights = realloc(w->sights, 2 * room * sizeof *sights);
    if (sights == NULL)
      return NULL;
    w->sights = sights;
    w->sights_room = room;
  }
  return &w->sights[w->sights_count++];
}

/* What one sensor saw of the record encoded last, as a key of its own. */
static bool encode_sight(struct writer *w, const struct cof_record *sight)
{
  const struct item *forward = &w->forward[w->count - 1];
  size_t tail_len = forward->key_len - 1;
  uint8_t *key = arena_reserve(&w->keys, KEY_HEAD_MAX + tail_len + CHANGE_MAX);
  struct item *item = key != NULL ? new_sight(w) : NULL;
  if (item == NULL)
    return false;
  size_t len = key_sensor_head(key, sight->sensor_id, sight->sensor_len);
  memcpy(key + len, forward->key + 1, tail_len);
  len += tail_len;
  size_t value_len = change_put(key + len, sight);
  arena_commit(w, &w->keys, len + value_len);
  *item = (struct item){.key = key, .key_len = (uint32_t)len, .value_len = (uint32_t)value_len};
  return true;
}

static bool encode_sights(struct writer *w, const struct cof_batch *batch,
                          const struct cof_record *record)
{
  for (const struct cof_record *s = cof_batch_sights(batch, record); s != NULL;
       s = cof_batch_sights(batch, s))
    if (change_valid(s) && !encode_sight(w, s))
      return false;
  return true;
}

static bool encode_counter(struct writer *w, const char *key, size_t key_len, uint64_t counter)
{
  if (counter == 0)
    return true;
  uint8_t *p = arena_reserve(&w->keys, 1 + key_len + VARINT_MAX);
  if (p == NULL)
    return false;
  p[0] = KEY_STATS;
  memcpy(p + 1, key, key_len);
  size_t value_len = varint_put(p + 1 + key_len, counter);
  arena_commit(w, &w->keys, 1 + key_len + value_len);
  w->stats[w->stats_count++] =
      (struct item){.key = p, .key_len = (uint32_t)(1 + key_len), .value_len = (uint32_t)value_len};
  return true;
}

static bool encode_counters(struct writer *w, const struct cof_batch *batch)
{
  const struct cof_tally *tallies;
  size_t count = cof_batch_tallies(batch, &tallies);
  if (count + 1 > w->stats_room) {
    free(w->stats);
    w->stats = malloc(2 * (count + 1) * sizeof *w->stats);
    w->stats_room = w->stats != NULL ? count + 1 : 0;
    if (w->stats == NULL)
      return false;
  }
  if (!encode_counter(w, "o", 1, cof_batch_observations(batch)))
    return false;
  for (size_t i = 0; i < count; i++) {
    char key[1 + COF_SENSOR_MAX] = "s";
    size_t len = tallies[i].sensor_len < COF_SENSOR_MAX ? tallies[i].sensor_len : COF_SENSOR_MAX;
    memcpy(key + 1, tallies[i].sensor_id, len);
    if (!encode_counter(w, key, 1 + len, tallies[i].records))
      return false;
  }
  items_sort(w->stats, w->stats_count, w->stats + w->stats_room);
  return true;
}

bool writer_encode(struct writer *w, const struct cof_batch *batch)
{
  size_t count = cof_batch_count(batch);
  struct item before[2] = {{.key_len = 0}, {.key_len = 0}};
  if (!make_room(w, count))
    return false;
  for (size_t i = 0; i < count; i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    size_t encoded = w->count;
    priority_offer(1);
    if (r->verdict == COF_KEEP && !encode_record(w, i, r))
      return false;
    if (w->with_names && w->count > encoded && !encode_names(w, before))
      return false;
    if (w->with_sensors && w->count > encoded && !encode_sights(w, batch, r))
      return false;
  }
  return encode_counters(w, batch);
}

void writer_sort_forward(struct writer *w)
{
  items_sort(w->forward, w->count, w->scratch);
}

void writer_sort_reverse(struct writer *w)
{
  items_sort(w->reverse, w->count, w->scratch + w->room);
}

void writer_sort_sights(struct writer *w)
{
  items_sort(w->sights, w->sights_count, w->sights + w->sights_room);
}

void writer_sort_names(struct writer *w)
{
  items_sort(w->names, w->names_count, w->scratch);
  size_t n = 0;
  for (size_t i = 0; i < w->names_count; i++) {
    const struct item *last = n > 0 ? &w->names[n - 1] : NULL, *it = &w->names[i];
    if (last == NULL || last->key_len != it->key_len ||
        memcmp(last->key, it->key, it->key_len) != 0)
      w->names[n++] = *it;
  }
  w->names_count = n;
}
