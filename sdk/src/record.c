/* SPDX-License-Identifier: MIT */
#include <cofd/record.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "pages_private.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Strings live in blocks that never move; a cleared batch keeps its blocks and fills them again. */
#define BLOCK_SIZE    ((size_t)256 * 1024)
#define FIRST_RECORDS 256
/* A batch that has come so far goes on in steps of a huge page. */
#define LARGE_FROM ((size_t)1024 * 1024)

struct block {
  struct block *next;
  size_t size;
  char bytes[];
};

struct cof_batch {
  struct cof_record *records;
  size_t count, room;
  struct cof_record *sights; /* by the index plus one, as cof_record.sights has it */
  size_t sights_count, sights_room;
  struct block *blocks;  /* all, in the order of filling */
  struct block *current; /* being filled; those after it are empty */
  size_t used;           /* octets used of current */
  size_t full;           /* octets in blocks before current */
  struct cof_tally *tallies;
  size_t tallies_count, tallies_room;
  uint64_t observations;
  struct ttls *ttls; /* NULL until the first comes */
};

/* Powers of two have room when all else is taken. */
#define TTL_ROOM  (COF_TTLS_MAX + 33)
#define TTL_SLOTS 4096

struct ttls {
  size_t count;
  struct cof_ttl items[TTL_ROOM];
  uint16_t slots[TTL_SLOTS]; /* index of the item plus one; 0 is free */
};

struct cof_batch *cof_batch_create(void)
{
  return calloc(1, sizeof(struct cof_batch));
}

void cof_batch_destroy(struct cof_batch **batch)
{
  struct cof_batch *b = *batch;
  if (b == NULL)
    return;
  for (struct block *next, *block = b->blocks; block != NULL; block = next) {
    next = block->next;
    free(block);
  }
  free(b->records);
  free(b->sights);
  free(b->tallies);
  free(b->ttls);
  free(b);
  *batch = NULL;
}

void cof_batch_clear(struct cof_batch *b)
{
  b->count = 0;
  b->sights_count = 0;
  b->current = b->blocks;
  b->used = 0;
  b->full = 0;
  b->tallies_count = 0;
  b->observations = 0;
  if (b->ttls != NULL && b->ttls->count != 0)
    memset(b->ttls, 0, sizeof *b->ttls);
}

/* Make the block after the current one hold at least `need` octets. */
static bool next_block(struct cof_batch *b, size_t need)
{
  struct block **link = b->current != NULL ? &b->current->next : &b->blocks;
  struct block *block = *link;
  if (block == NULL || block->size < need) {
    size_t usual = b->full + b->used >= LARGE_FROM ? PAGES_HUGE - sizeof *block : BLOCK_SIZE;
    size_t size = need > usual ? need : usual;
    struct block *fresh = pages_alloc(sizeof *fresh + size);
    if (fresh == NULL)
      return false;
    fresh->size = size;
    fresh->next = block;
    *link = fresh;
    block = fresh;
  }
  b->full += b->used;
  b->current = block;
  b->used = 0;
  return true;
}

char *cof_batch_alloc(struct cof_batch *b, size_t len)
{
  if ((b->current == NULL || b->current->size - b->used <= len) && !next_block(b, len + 1))
    return NULL;
  char *p = b->current->bytes + b->used;
  b->used += len + 1;
  return p;
}

/* Once that is huge pages, room for many more: what is not touched costs nothing, whereas a copy
   touches memory that is soon given up. */
static size_t more_room(size_t room)
{
  bool becomes_huge = room * sizeof(struct cof_record) < PAGES_HUGE &&
                      2 * room * sizeof(struct cof_record) >= PAGES_HUGE;
  return becomes_huge ? 8 * room : 2 * room;
}

static struct cof_record *new_record(struct cof_batch *b)
{
  if (b->count == b->room) {
    size_t room = b->room != 0 ? more_room(b->room) : FIRST_RECORDS;
    struct cof_record *records =
        pages_grow(b->records, b->room * sizeof *records, room * sizeof *records);
    if (records == NULL)
      return NULL;
    b->records = records;
    b->room = room;
  }
  return &b->records[b->count];
}

struct cof_record *cof_batch_adopt_sized(struct cof_batch *b, const struct cof_record *record,
                                         size_t size)
{
  struct cof_record *r = new_record(b);
  if (r == NULL)
    return NULL;
  if (size >= sizeof *r) {
    *r = *record;
  } else { /* an older caller's */
    memset(r, 0, sizeof *r);
    memcpy(r, record, size);
  }
  r->verdict = COF_KEEP;
  r->reserved = 0;
  r->sights = 0;
  b->count++;
  return r;
}

struct cof_record *cof_batch_add_sized(struct cof_batch *b, const struct cof_record *record,
                                       size_t size)
{
  size_t name = record->rrname_len, rdata = record->rdata_len;
  size_t sensor = record->sensor_id != NULL ? (size_t)record->sensor_len + 1 : 0;
  char *p = cof_batch_alloc(b, name + 1 + rdata + sensor);
  if (p == NULL)
    return NULL;
  struct cof_record *r = cof_batch_adopt_sized(b, record, size);
  if (r == NULL)
    return NULL;
  memcpy(p, record->rrname, name);
  p[name] = '\0';
  r->rrname = p;
  p += name + 1;
  memcpy(p, record->rdata, rdata);
  p[rdata] = '\0';
  r->rdata = p;
  if (sensor != 0) {
    p += rdata + 1;
    memcpy(p, record->sensor_id, sensor - 1);
    p[sensor - 1] = '\0';
    r->sensor_id = p;
  } else {
    r->sensor_id = NULL;
    r->sensor_len = 0;
  }
  return r;
}

size_t cof_batch_count(const struct cof_batch *b)
{
  return b->count;
}

struct cof_record *cof_batch_at(const struct cof_batch *b, size_t index)
{
  return &b->records[index];
}

size_t cof_batch_bytes(const struct cof_batch *b)
{
  return (b->count + b->sights_count) * sizeof *b->records + b->full + b->used;
}

void cof_batch_truncate(struct cof_batch *b, size_t count)
{
  if (count < b->count)
    b->count = count;
}

/* Sensors are few (the chain bounds them), and the latest is the likeliest to come again. */
static struct cof_tally *find_tally(struct cof_batch *b, const char *id, size_t len)
{
  for (size_t i = b->tallies_count; i-- > 0;) {
    struct cof_tally *t = &b->tallies[i];
    if (t->sensor_len == len && memcmp(t->sensor_id, id, len) == 0)
      return t;
  }
  return NULL;
}

static struct cof_tally *new_tally(struct cof_batch *b, const char *id, size_t len)
{
  if (b->tallies_count == b->tallies_room) {
    size_t room = b->tallies_room != 0 ? b->tallies_room * 2 : 16;
    struct cof_tally *tallies = realloc(b->tallies, room * sizeof *tallies);
    if (tallies == NULL)
      return NULL;
    b->tallies = tallies;
    b->tallies_room = room;
  }
  char *copy = cof_batch_alloc(b, len);
  if (copy == NULL)
    return NULL;
  memcpy(copy, id, len);
  copy[len] = '\0';
  struct cof_tally *t = &b->tallies[b->tallies_count++];
  *t = (struct cof_tally){.sensor_id = copy, .sensor_len = (uint16_t)len};
  return t;
}

bool cof_batch_tally(struct cof_batch *b, const char *sensor_id, size_t sensor_len,
                     uint64_t records)
{
  if (sensor_id != NULL) {
    if (sensor_len > COF_SENSOR_MAX)
      sensor_len = COF_SENSOR_MAX;
    struct cof_tally *t = find_tally(b, sensor_id, sensor_len);
    if (t == NULL)
      t = new_tally(b, sensor_id, sensor_len);
    if (t == NULL)
      return false;
    t->records += records;
  }
  b->observations += records;
  return true;
}

/* The sensor's text in the batch. A place in the tallies holds it. */
static const char *sensor_text(struct cof_batch *b, const char *id, size_t len)
{
  const struct cof_tally *t = find_tally(b, id, len);
  if (t == NULL)
    t = new_tally(b, id, len);
  return t != NULL ? t->sensor_id : NULL;
}

static struct cof_record *new_sight(struct cof_batch *b)
{
  if (b->sights_count == b->sights_room) {
    size_t room = b->sights_room != 0 ? b->sights_room * 2 : FIRST_RECORDS;
    struct cof_record *sights =
        room < UINT32_MAX ? realloc(b->sights, room * sizeof *sights) : NULL;
    if (sights == NULL)
      return NULL;
    b->sights = sights;
    b->sights_room = room;
  }
  return &b->sights[b->sights_count++];
}

struct cof_record *cof_batch_sight(struct cof_batch *b, struct cof_record *r, const char *sensor_id,
                                   size_t sensor_len)
{
  if (sensor_len > COF_SENSOR_MAX)
    sensor_len = COF_SENSOR_MAX;
  const char *id = sensor_text(b, sensor_id, sensor_len);
  for (uint32_t at = r->sights; at != 0; at = b->sights[at - 1].sights)
    if (b->sights[at - 1].sensor_id == id)
      return &b->sights[at - 1];
  struct cof_record *sight = id != NULL ? new_sight(b) : NULL;
  if (sight == NULL)
    return NULL;
  *sight = (struct cof_record){.rrname = r->rrname,
                               .rdata = r->rdata,
                               .sensor_id = id,
                               .hash = r->hash,
                               .time_first = INT64_MAX,
                               .time_last = INT64_MIN,
                               .rdata_len = r->rdata_len,
                               .rrname_len = r->rrname_len,
                               .rrtype = r->rrtype,
                               .sensor_len = (uint16_t)sensor_len,
                               .sights = r->sights};
  r->sights = (uint32_t)b->sights_count;
  return sight;
}

/* A part that nothing was folded into is none. */
const struct cof_record *cof_batch_sights(const struct cof_batch *b, const struct cof_record *r)
{
  uint32_t at = r->sights;
  while (at != 0 && b->sights[at - 1].time_first > b->sights[at - 1].time_last)
    at = b->sights[at - 1].sights;
  return at != 0 ? &b->sights[at - 1] : NULL;
}

size_t cof_batch_tallies(const struct cof_batch *b, const struct cof_tally **tallies)
{
  *tallies = b->tallies;
  return b->tallies_count;
}

uint64_t cof_batch_observations(const struct cof_batch *b)
{
  return b->observations;
}

static uint16_t *ttl_slot(struct ttls *t, uint32_t ttl)
{
  size_t at = ttl * UINT32_C(2654435761) >> 20;
  while (t->slots[at] != 0 && t->items[t->slots[at] - 1].ttl != ttl)
    at = (at + 1) % TTL_SLOTS;
  return &t->slots[at];
}

bool cof_batch_ttl(struct cof_batch *b, uint32_t ttl, uint64_t hits)
{
  if (b->ttls == NULL && (b->ttls = calloc(1, sizeof *b->ttls)) == NULL)
    return false;
  struct ttls *t = b->ttls;
  uint16_t *slot = ttl_slot(t, ttl);
  if (*slot == 0 && t->count >= COF_TTLS_MAX) {
    while ((ttl & (ttl - 1)) != 0)
      ttl &= ttl - 1;
    slot = ttl_slot(t, ttl);
  }
  if (*slot == 0) {
    t->items[t->count++] = (struct cof_ttl){.ttl = ttl};
    *slot = (uint16_t)t->count;
  }
  t->items[*slot - 1].hits += hits;
  return true;
}

size_t cof_batch_ttls(const struct cof_batch *b, const struct cof_ttl **ttls)
{
  *ttls = b->ttls != NULL ? b->ttls->items : NULL;
  return b->ttls != NULL ? b->ttls->count : 0;
}

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)(uintptr_t)&now;
  }
}

uint64_t cof_record_hash(const struct cof_record *r)
{
  pthread_once(&seed_once, make_seed);
  uint64_t name = XXH3_64bits_withSeed(r->rrname, r->rrname_len, seed);
  uint64_t all = XXH3_64bits_withSeed(r->rdata, r->rdata_len, name + r->rrtype);
  return all != 0 ? all : 1;
}

bool cof_record_same(const struct cof_record *a, const struct cof_record *b)
{
  return a->rrtype == b->rrtype && a->rrname_len == b->rrname_len && a->rdata_len == b->rdata_len &&
         memcmp(a->rrname, b->rrname, a->rrname_len) == 0 &&
         memcmp(a->rdata, b->rdata, a->rdata_len) == 0;
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
  return a >= COF_COUNT_MAX || b >= COF_COUNT_MAX - a ? COF_COUNT_MAX : a + b;
}

static uint32_t add_observations(uint32_t a, uint32_t b)
{
  uint64_t sum = (uint64_t)(a != 0 ? a : 1) + (b != 0 ? b : 1);
  return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

void cof_record_fold(struct cof_record *into, const struct cof_record *later)
{
  if (later->time_first < into->time_first)
    into->time_first = later->time_first;
  if (later->time_last > into->time_last)
    into->time_last = later->time_last;
  /* max(max(n + c1, t1) + c2, t2) = max(n + (c1 + c2), max(t1 + c2, t2)); a total of 0 states
     nothing and stays 0, for n + c1 + c2 is at least c2. */
  uint64_t total = into->total != 0 ? saturating_add(into->total, later->count) : 0;
  into->total = total > later->total ? total : later->total;
  into->count = saturating_add(into->count, later->count);
  into->observations = add_observations(into->observations, later->observations);
  into->zones |= later->zones;
}
