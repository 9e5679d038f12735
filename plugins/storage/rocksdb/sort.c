/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "sort_private.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "priority_private.h"

/*
 * Radix sort on seven octets of each key at a time, then the same within each run of equal ones on
 * the next seven. Short runs, and keys that are equal for long (rare, and within anybody's power to
 * send), go to a comparison sort.
 */
#define PART_OCTETS 7
#define RUN_SHORT   48
#define DEPTH_MAX   (8 * PART_OCTETS)
/* Items that a pass takes some 100 microseconds for. */
#define BLOCK 4096

/* In a pass, behind item `i`. What is shorter than a block is counted by sort_at(). */
static void offer(size_t i)
{
  if (i % BLOCK == BLOCK - 1)
    priority_offer(PRIORITY_OFFER / 4);
}

static int compare(const void *a, const void *b)
{
  const struct item *x = a, *y = b;
  size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;
  int c = memcmp(x->key, y->key, len);
  return c != 0 ? c : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static int compare_long(const void *a, const void *b)
{
  priority_offer(1);
  return compare(a, b);
}

/* Seven octets from `depth`, zero-padded, then how many there are (8: more): ordered as the keys
   are, and equal only where both keys end or both go on. */
static uint64_t part_at(const struct item *it, size_t depth)
{
  size_t left = it->key_len - depth;
  uint64_t part = 0;
  if (left >= 8) {
    memcpy(&part, it->key + depth, 8);
    return (__builtin_bswap64(part) & ~UINT64_C(0xff)) | 8;
  }
  for (size_t i = 0; i < left; i++)
    part |= (uint64_t)it->key[depth + i] << (56 - 8 * i);
  return part | left;
}

static void insertion(struct item *items, size_t count)
{
  for (size_t i = 1; i < count; i++) {
    struct item it = items[i];
    size_t j = i;
    for (; j > 0; j--) {
      const struct item *prev = &items[j - 1];
      if (prev->part < it.part || (prev->part == it.part && compare(prev, &it) <= 0))
        break;
      items[j] = *prev;
    }
    items[j] = it;
  }
}

/* Stable sort by `part`, octet by octet from the least significant, leaving out octets that are the
   same everywhere. */
static void radix(struct item *items, size_t count, struct item *scratch)
{
  size_t counts[8][256];
  memset(counts, 0, sizeof counts);
  for (size_t i = 0; i < count; i++) {
    offer(i);
    for (unsigned d = 0; d < 8; d++)
      counts[d][items[i].part >> (8 * d) & 0xff]++;
  }
  struct item *from = items, *to = scratch;
  for (unsigned d = 0; d < 8; d++) {
    if (counts[d][from[0].part >> (8 * d) & 0xff] == count)
      continue;
    size_t at = 0;
    for (unsigned v = 0; v < 256; v++) {
      size_t n = counts[d][v];
      counts[d][v] = at;
      at += n;
    }
    for (size_t i = 0; i < count; i++) {
      offer(i);
      to[counts[d][from[i].part >> (8 * d) & 0xff]++] = from[i];
    }
    struct item *swap = from;
    from = to;
    to = swap;
  }
  if (from != items)
    memcpy(items, from, count * sizeof *items);
}

static void sort_at(struct item *items, size_t count, struct item *scratch, size_t depth)
{
  priority_offer(1 + count % BLOCK / 4);
  if (depth > DEPTH_MAX) {
    qsort(items, count, sizeof *items, compare_long);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    offer(i);
    items[i].part = part_at(&items[i], depth);
  }
  if (count <= RUN_SHORT) {
    insertion(items, count);
    return;
  }
  radix(items, count, scratch);
  for (size_t start = 0, end; start < count; start = end) {
    uint64_t part = items[start].part;
    for (end = start + 1; end < count && items[end].part == part;)
      end++;
    if (end - start > 1 && (part & 0xff) == 8)
      sort_at(items + start, end - start, scratch, depth + PART_OCTETS);
  }
}

void items_sort(struct item *items, size_t count, struct item *scratch)
{
  if (count > 1)
    sort_at(items, count, scratch, 0);
}
