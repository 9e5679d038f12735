/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * How RocksDB is set up.
 */
#ifndef ROCKSDB_OPTIONS_PRIVATE_H
#define ROCKSDB_OPTIONS_PRIVATE_H

#include "store_private.h"

/** Files without order among each other beyond which writes wait for compaction while questions are
    asked, which look into each of them; and beyond which writes wait in any case. */
#define OPTIONS_WAITING_FILES 32
#define OPTIONS_MOST_FILES    1024

/** Options of the database; the caller destroys them. */
rocksdb_options_t *options_database(const struct conf *conf, rocksdb_cache_t *cache);

/** Options of SST files built for ingestion, to be compacted soon, or where they have settled at
   once; the caller destroys them. */
rocksdb_options_t *options_sst(const struct conf *conf, rocksdb_cache_t *cache, bool settled);

#endif
