/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Sorting keys in octet order.
 */
#ifndef ROCKSDB_SORT_PRIVATE_H
#define ROCKSDB_SORT_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

/** A key with its value right behind it. */
struct item {
  uint64_t part; /**< scratch of the sort */
  const uint8_t *key;
  uint32_t key_len, value_len;
};

/** Fetch the key of an item into the cache, where there is such an item. */
static inline void item_prefetch(const struct item *items, size_t count, size_t index)
{
  if (index < count) {
    __builtin_prefetch(items[index].key);
    __builtin_prefetch(items[index].key + 64);
  }
}

/**
 * Sort by key. Time is bounded by n log n comparisons whatever the keys are.
 * @param scratch  as many items, whose content is lost
 */
void items_sort(struct item *items, size_t count, struct item *scratch);

#endif
