/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "window_private.h"

#include <stdlib.h>
#include <string.h>

#include "pages_private.h"
#include "priority_private.h"

/* A slot holds the upper half of a hash and the index of its record plus one; 0 is free. */
#define FIRST_SLOTS 1024
#define INDEX_BITS  32
#define MANY_SLOTS  16384
#define HUGE_SLOTS  (PAGES_HUGE / sizeof(uint64_t))
/* How far ahead of the record in hand its slot is fetched into the cache, then the record that the
   slot names, and the text of that. */
#define PREFETCH_SLOT   12
#define PREFETCH_RECORD 8
#define PREFETCH_TEXT   4
/* More sensors or waiting batches than this close a window early: both are searched or walked. */
#define MAX_TALLIES 1024
#define MAX_WAITING 65536

struct waiting {
  struct instance *input;
  uint64_t token;
};

struct window {
  struct cof_batch *records;
  struct cof_batch *parts; /* of records of several paths; their texts lie in `records` */
  bool split;
  bool by_sensor;
  uint64_t *slots;
  size_t mask;
  size_t max_records, max_bytes;
  struct waiting *waiting;
  size_t waiting_count, waiting_room;
};

struct window *window_create(size_t max_records, size_t max_bytes)
{
  struct window *w = calloc(1, sizeof *w);
  if (w == NULL)
    return NULL;
  w->max_records = max_records;
  w->max_bytes = max_bytes;
  w->mask = FIRST_SLOTS - 1;
  w->slots = calloc(FIRST_SLOTS, sizeof *w->slots);
  w->records = cof_batch_create();
  w->parts = cof_batch_create();
  if (w->slots == NULL || w->records == NULL || w->parts == NULL)
    window_destroy(&w);
  return w;
}

void window_bound(struct window *w, size_t max_records)
{
  w->max_records = max_records;
}

void window_destroy(struct window **window)
{
  struct window *w = *window;
  if (w == NULL)
    return;
  cof_batch_destroy(&w->records);
  cof_batch_destroy(&w->parts);
  free(w->slots);
  free(w->waiting);
  free(w);
  *window = NULL;
}

static uint64_t slot_of(uint64_t hash, size_t index)
{
  return (hash >> INDEX_BITS << INDEX_BITS) | (uint64_t)(index + 1);
}

static struct cof_record *slot_record(const struct window *w, uint64_t slot)
{
  return cof_batch_at(w->records, (size_t)(slot & UINT32_MAX) - 1);
}

/* Double the table, or go on from MANY_SLOTS with a huge page. The hash is in the records, so that
   the slots can be laid out anew. */
static bool grow(struct window *w)
{
  bool many = w->mask >= MANY_SLOTS - 1 && w->mask < HUGE_SLOTS - 1;
  size_t mask = many ? HUGE_SLOTS - 1 : w->mask * 2 + 1;
  uint64_t *slots = pages_alloc((mask + 1) * sizeof *slots);
  if (slots == NULL)
    return false;
  /* Not calloc(): pages that are read before they are written are faulted in twice. */
  memset(slots, 0, (mask + 1) * sizeof *slots);
  size_t count = cof_batch_count(w->records);
  for (size_t i = 0; i < count; i++) {
    uint64_t hash = cof_batch_at(w->records, i)->hash;
    size_t at = (size_t)hash & mask;
    while (slots[at] != 0)
      at = (at + 1) & mask;
    slots[at] = slot_of(hash, i);
  }
  free(w->slots);
  w->slots = slots;
  w->mask = mask;
  return true;
}

/* The slot of a tuple: one that holds it, or the free one where it belongs. */
static uint64_t *find(const struct window *w, const struct cof_record *r)
{
  size_t at = (size_t)r->hash & w->mask;
  uint64_t tag = r->hash >> INDEX_BITS;
  for (; w->slots[at] != 0; at = (at + 1) & w->mask)
    if (w->slots[at] >> INDEX_BITS == tag && cof_record_same(slot_record(w, w->slots[at]), r))
      break;
  return &w->slots[at];
}

/* Without its sensor, which goes into the tallies. */
static bool append(struct window *w, const struct cof_record *r, uint64_t *slot)
{
  struct cof_record copy = *r;
  copy.sensor_id = NULL;
  copy.sensor_len = 0;
  copy.parts = 0;
  size_t index = cof_batch_count(w->records);
  if (cof_batch_add(w->records, &copy) == NULL)
    return false;
  *slot = slot_of(r->hash, index);
  return true;
}

/* --- observations of one tuple by several paths -------------------------------------------- */

void window_split(struct window *w)
{
  w->split = true;
}

const struct cof_record *window_part(const struct window *w, const struct cof_record *r)
{
  return r->parts != 0 ? cof_batch_at(w->parts, r->parts - 1) : NULL;
}

size_t window_parts(const struct window *w)
{
  return cof_batch_count(w->parts);
}

/* A part of `whole`, whose texts it shares, with the numbers of `r`. */
static bool add_part(struct window *w, struct cof_record *whole, const struct cof_record *r)
{
  struct cof_record part = *r;
  part.rrname = whole->rrname;
  part.rdata = whole->rdata;
  part.sensor_id = NULL;
  part.sensor_len = 0;
  part.parts = whole->parts;
  if (cof_batch_adopt(w->parts, &part) == NULL)
    return false;
  whole->parts = (uint32_t)cof_batch_count(w->parts);
  return true;
}

/* Note an observation of another path than those before. @return false when out of memory */
static bool fold_part(struct window *w, struct cof_record *whole, const struct cof_record *r)
{
  if (whole->via != COF_VIA_MIXED) {
    if (!add_part(w, whole, whole))
      return false;
    whole->via = COF_VIA_MIXED;
  }
  for (uint32_t at = whole->parts; at != 0;) {
    struct cof_record *part = cof_batch_at(w->parts, at - 1);
    if (part->via == r->via) {
      cof_record_fold(part, r);
      return true;
    }
    at = part->parts;
  }
  return add_part(w, whole, r);
}

/* --- observations of one tuple by several sensors ------------------------------------------- */

void window_by_sensor(struct window *w)
{
  w->by_sensor = true;
}

/* A place for what a sensor saw, before anything is folded that cannot be taken back. */
static bool place_sight(struct window *w, struct cof_record *into, const struct cof_record *r,
                        struct cof_record **sight)
{
  *sight = NULL;
  if (__builtin_expect(!w->by_sensor, 1) || r->sensor_len == 0)
    return true;
  *sight = cof_batch_sight(w->records, into, r->sensor_id, r->sensor_len);
  return *sight != NULL;
}

/* All of a record or, without memory, nothing of it: it comes again for the next window. */
static bool fold_one(struct window *w, struct cof_record *r, struct window_counts *counts)
{
  if (cof_batch_count(w->records) * 2 > w->mask && !grow(w))
    return false;
  uint64_t *slot = find(w, r);
  bool there = *slot != 0;
  struct cof_record *sight;
  size_t before = cof_batch_count(w->records);
  if (!there && !append(w, r, slot))
    return false;
  struct cof_record *into = slot_record(w, *slot);
  /* A place for the tally first, since a part that is folded cannot be taken back. */
  bool other_path = __builtin_expect(into->via != r->via, 0) && w->split;
  bool placed = place_sight(w, into, r, &sight);
  if (placed && other_path &&
      !(cof_batch_tally(w->records, r->sensor_id, r->sensor_len, 0) && fold_part(w, into, r)))
    return false;
  if (!placed || !cof_batch_tally(w->records, r->sensor_id, r->sensor_len, 1)) {
    cof_batch_truncate(w->records, before);
    *slot = there ? *slot : 0;
    return false;
  }
  if (sight != NULL)
    cof_record_fold(sight, r);
  if (there) {
    cof_record_fold(into, r);
    counts->folded++;
  }
  counts->kept++;
  return true;
}

bool window_full(const struct window *w)
{
  const struct cof_tally *tallies;
  return cof_batch_count(w->records) >= w->max_records ||
         cof_batch_bytes(w->records) + cof_batch_bytes(w->parts) >= w->max_bytes ||
         cof_batch_tallies(w->records, &tallies) > MAX_TALLIES || w->waiting_count >= MAX_WAITING;
}

/* The record that find() will most likely find for record `index` of a batch. */
static const struct cof_record *likely(const struct window *w, const struct cof_record *records,
                                       size_t index)
{
  uint64_t hash = records[index].hash, slot = w->slots[(size_t)hash & w->mask];
  return slot != 0 && slot >> INDEX_BITS == hash >> INDEX_BITS ? slot_record(w, slot) : NULL;
}

static void prefetch(const struct window *w, const struct cof_record *records, size_t index,
                     size_t count)
{
  if (index + PREFETCH_SLOT >= count)
    return;
  __builtin_prefetch(&w->slots[(size_t)records[index + PREFETCH_SLOT].hash & w->mask]);
  const struct cof_record *r = likely(w, records, index + PREFETCH_RECORD);
  if (r != NULL) {
    __builtin_prefetch(r);
    __builtin_prefetch(&r->sights);
  }
  r = likely(w, records, index + PREFETCH_TEXT);
  if (r != NULL) {
    __builtin_prefetch(r->rrname);
    __builtin_prefetch(r->rdata);
  }
}

/* Should memory end amid this, some are counted twice: statistics, not records. */
static bool fold_ttls(struct window *w, const struct cof_batch *batch)
{
  const struct cof_ttl *ttls;
  size_t count = cof_batch_ttls(batch, &ttls);
  for (size_t i = 0; i < count; i++)
    if (!cof_batch_ttl(w->records, ttls[i].ttl, ttls[i].hits))
      return false;
  return true;
}

enum window_end window_fold(struct window *w, const struct cof_batch *batch, size_t *from,
                            struct window_counts *counts)
{
  size_t count = cof_batch_count(batch);
  for (; *from < count; ++*from) {
    struct cof_record *r = cof_batch_at(batch, *from);
    prefetch(w, cof_batch_at(batch, 0), *from, count);
    if (r->verdict == COF_DROP) {
      counts->filtered++;
    } else if (r->verdict != COF_KEEP) {
      counts->rejected++;
    } else if (r->via == COF_VIA_LOOPED) {
      counts->looped++;
    } else {
      priority_offer(1);
      if (window_full(w))
        return WINDOW_FULL;
      if (r->via == COF_VIA_MIXED)
        r->via = COF_VIA_NONE;
      r->observations = 1; /* whatever a plugin left in it: it is one of those received */
      if (r->hash == 0)
        r->hash = cof_record_hash(r);
      if (!fold_one(w, r, counts))
        return WINDOW_NO_MEMORY;
    }
  }
  return fold_ttls(w, batch) ? WINDOW_DONE : WINDOW_NO_MEMORY;
}

bool window_await(struct window *w, struct instance *input, uint64_t token)
{
  if (w->waiting_count == w->waiting_room) {
    size_t room = w->waiting_room != 0 ? w->waiting_room * 2 : 64;
    struct waiting *waiting = realloc(w->waiting, room * sizeof *waiting);
    if (waiting == NULL)
      return false;
    w->waiting = waiting;
    w->waiting_room = room;
  }
  w->waiting[w->waiting_count++] = (struct waiting){.input = input, .token = token};
  return true;
}

void window_settle(const struct window *w,
                   void (*fn)(void *arg, struct instance *input, uint64_t token), void *arg)
{
  for (size_t i = 0; i < w->waiting_count; i++)
    fn(arg, w->waiting[i].input, w->waiting[i].token);
}

const struct cof_batch *window_batch(const struct window *w)
{
  return w->records;
}

bool window_empty(const struct window *w)
{
  return cof_batch_count(w->records) == 0 && w->waiting_count == 0;
}

void window_clear(struct window *w)
{
  if (cof_batch_count(w->records) != 0)
    memset(w->slots, 0, (w->mask + 1) * sizeof *w->slots);
  cof_batch_clear(w->records);
  cof_batch_clear(w->parts);
  w->waiting_count = 0;
}
