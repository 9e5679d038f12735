/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Storages answer in an order of their own. To answer in another one, all records of the answer are
 * looked at, and the first so many of that order are kept: in a heap with the last of them on top.
 */
#include "rest_private.h"

#include <stdlib.h>
#include <string.h>

/* Most octets that the records kept may take. */
#define SORT_OCTETS ((size_t)64 * 1024 * 1024)

struct kept {
  struct cof_record record;
  char texts[];
};

struct sorted {
  enum sort_key key;
  bool descending;
  size_t count, room, max, at, octets;
  struct kept **items;
};

static int by_number(uint64_t a, uint64_t b)
{
  return (a > b) - (a < b);
}

static int by_key(enum sort_key key, const struct cof_record *a, const struct cof_record *b)
{
  switch (key) {
  case SORT_TIME_FIRST:
    return by_number((uint64_t)a->time_first, (uint64_t)b->time_first);
  case SORT_TIME_LAST:
    return by_number((uint64_t)a->time_last, (uint64_t)b->time_last);
  case SORT_COUNT:
    return by_number(a->count, b->count);
  case SORT_RRTYPE:
    return by_number(a->rrtype, b->rrtype);
  case SORT_RRNAME:
    return strcmp(a->rrname, b->rrname);
  default:
    return strcmp(a->rdata, b->rdata);
  }
}

/* Equal ones go by rrname, type and rdata, so that the same answer comes the same each time. */
static int compare(const struct sorted *s, const struct cof_record *a, const struct cof_record *b)
{
  int c = by_key(s->key, a, b);
  if (c != 0)
    return s->descending ? -c : c;
  c = strcmp(a->rrname, b->rrname);
  if (c == 0)
    c = by_number(a->rrtype, b->rrtype);
  return c != 0 ? c : strcmp(a->rdata, b->rdata);
}

/* Let the item at `i` sink below those that come later. */
static void sink(struct sorted *s, size_t i, size_t count)
{
  for (;;) {
    size_t last = i;
    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++)
      if (compare(s, &s->items[child]->record, &s->items[last]->record) > 0)
        last = child;
    if (last == i)
      return;
    struct kept *swap = s->items[i];
    s->items[i] = s->items[last];
    s->items[last] = swap;
    i = last;
  }
}

static void rise(struct sorted *s, size_t i)
{
  while (i > 0) {
    size_t above = (i - 1) / 2;
    if (compare(s, &s->items[i]->record, &s->items[above]->record) <= 0)
      return;
    struct kept *swap = s->items[i];
    s->items[i] = s->items[above];
    s->items[above] = swap;
    i = above;
  }
}

static size_t size_of(const struct cof_record *r)
{
  return sizeof(struct kept) + (size_t)r->rrname_len + 1 + r->rdata_len + 1 + r->sensor_len + 1;
}

static struct kept *copy(const struct cof_record *r)
{
  struct kept *k = malloc(size_of(r));
  if (k == NULL)
    return NULL;
  char *rdata = k->texts + r->rrname_len + 1, *sensor = rdata + r->rdata_len + 1;
  k->record = *r;
  k->record.rrname = memcpy(k->texts, r->rrname, (size_t)r->rrname_len + 1);
  k->record.rdata = memcpy(rdata, r->rdata, (size_t)r->rdata_len + 1);
  if (r->sensor_id != NULL)
    k->record.sensor_id = memcpy(sensor, r->sensor_id, (size_t)r->sensor_len + 1);
  return k;
}

static bool grow(struct sorted *s)
{
  if (s->count < s->room)
    return true;
  size_t room = s->room != 0 ? 2 * s->room : 64;
  struct kept **items = realloc(s->items, room * sizeof(struct kept *));
  if (items == NULL)
    return false;
  s->items = items;
  s->room = room;
  return true;
}

static enum cof_result keep(struct sorted *s, const struct cof_record *record,
                            struct cof_error *err)
{
  bool full = s->count == s->max;
  if (full && compare(s, record, &s->items[0]->record) >= 0)
    return COF_OK;
  if (full)
    s->octets -= size_of(&s->items[0]->record);
  s->octets += size_of(record);
  if (s->octets > SORT_OCTETS)
    return cof_fail(err, COF_REJECT,
                    "sort: the records to sort take more than %zu MiB: expected a smaller limit",
                    SORT_OCTETS >> 20);
  struct kept *k = copy(record);
  if (k == NULL || !grow(s)) {
    free(k);
    return cof_fail(err, COF_FATAL, "out of memory");
  }
  if (full) {
    free(s->items[0]);
    s->items[0] = k;
    sink(s, 0, s->count);
  } else {
    s->items[s->count] = k;
    rise(s, s->count++);
  }
  return COF_OK;
}

/* A heap becomes an array in order: its top, the last one, goes to the end. */
static void arrange(struct sorted *s)
{
  for (size_t left = s->count; left > 1; left--) {
    struct kept *last = s->items[0];
    s->items[0] = s->items[left - 1];
    s->items[left - 1] = last;
    sink(s, 0, left - 1);
  }
}

enum cof_result sorted_make(struct answer *a, enum sort_key key, bool descending,
                            struct cof_error *err)
{
  struct sorted *s = calloc(1, sizeof *s);
  const struct cof_record *record;
  uint64_t seen = 0, most = a->settings->max_records;
  enum cof_result r = COF_OK;
  if (s == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  if (most == 0)
    most = UINT64_MAX;
  s->key = key;
  s->descending = descending;
  s->max = (size_t)a->max;
  while (r == COF_OK && (r = answer_next(a, &record, err)) == COF_OK && record != NULL) {
    seen++;
    r = seen <= most ? keep(s, record, err)
                     : cof_fail(err, COF_REJECT,
                                "sort: more than %llu records to sort (max_records): expected a "
                                "narrower question, by rrtype or times",
                                (unsigned long long)most);
  }
  source_close(a, &a->records);
  if (r == COF_OK) {
    arrange(s);
    a->cut = seen > s->count;
  }
  a->sorted = s;
  return r;
}

enum cof_result sorted_next(struct answer *a, const struct cof_record **record)
{
  struct sorted *s = a->sorted;
  *record = s->at < s->count ? &s->items[s->at++]->record : NULL;
  return COF_OK;
}

void sorted_destroy(struct sorted **sorted)
{
  struct sorted *s = *sorted;
  *sorted = NULL;
  if (s == NULL)
    return;
  for (size_t i = 0; i < s->count; i++)
    free(s->items[i]);
  free(s->items);
  free(s);
}
