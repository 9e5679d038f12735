/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What each sensor saw: option `sensors`. LAYOUT.md says what it looks like.
 */
#ifndef ROCKSDB_SENSORS_PRIVATE_H
#define ROCKSDB_SENSORS_PRIVATE_H

#include "store_private.h"

/**
 * Bring a database that was just opened in line with the option: note since when sensors are kept,
 * or remove what was kept of them. Sets `store->sensors_since`.
 * @return COF_OK, or COF_FATAL after logging
 */
enum cof_result sensors_open(struct store *store);

/**
 * How many records there are, from the number of all keys: two a record, and those of sensors,
 * whose part is told by the space that they take.
 */
uint64_t sensors_records(const struct store *store, uint64_t keys);

/** Octets that the keys of sensors take in data files, about. */
uint64_t sensors_disk(const struct store *store);

#endif
