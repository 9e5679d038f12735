/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Records that go away when they are not seen again: option `expire`.
 */
#ifndef ROCKSDB_EXPIRE_PRIVATE_H
#define ROCKSDB_EXPIRE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store_private.h"

/** How long records of a type stay after their time_last. */
struct expiry {
  uint16_t rrtype;
  int64_t seconds;
};

/** Read `TYPE:SECONDS`, seconds 1 to COF_TIME_MAX. */
bool expire_parse(const char *text, struct expiry *expiry);

/** The plugin's check() of the option; each type may stand there once. */
enum cof_result expire_check(const struct conf *conf, struct cof_diag *diag);

/** Take the option, checked before, into store->expiries. @return false when out of memory */
bool expire_setup(struct store *store);

/** Whether a record is over. `now` in seconds UTC. Thread safe. */
bool expire_over(const struct store *store, uint16_t rrtype, int64_t time_last, int64_t now);

/** Seconds UTC; 0 where nothing expires. */
int64_t expire_now(const struct store *store);

/**
 * The filter that compaction runs each key through: removes records that are over, and reverse keys
 * of expiring types whose record is over or gone. For rocksdb_compactionfilter_create; thread safe.
 * @param state  the store
 * @return 1 to remove the key
 */
unsigned char expire_filter(void *state, int level, const char *key, size_t key_len,
                            const char *value, size_t value_len, char **new_value,
                            size_t *new_value_len, unsigned char *changed);

/** A filter as RocksDB wants it, or NULL where nothing expires; the caller destroys it. */
rocksdb_compactionfilter_t *expire_make_filter(struct store *store);

#endif
