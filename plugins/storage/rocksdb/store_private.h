/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The instance: configuration, the open database, and what the callbacks share.
 */
#ifndef ROCKSDB_STORE_PRIVATE_H
#define ROCKSDB_STORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rocksdb/c.h>

#include <cofd/plugin.h>

/** Filled from the option table in plugin.c. */
struct conf {
  char *path;
  int64_t cache_size;
  int64_t write_buffer;
  int64_t bulk_records;
  int compression; /**< enum conf_compression */
  bool sync;
  struct cof_list expire; /**< of TYPE:SECONDS */
  bool forward_index;
  bool sensors;
};

enum conf_compression { CONF_ZSTD = 0, CONF_LZ4, CONF_NONE };

/** Version that LAYOUT.md describes, as the database holds it. */
#define LAYOUT_VERSION "1"

struct writer;
struct expiry;

struct store {
  struct cof_host *host;
  const struct conf *conf;

  rocksdb_t *db; /**< NULL while closed; use it between db_enter() and db_leave() alone */
  rocksdb_column_family_handle_t *family;
  rocksdb_column_family_handle_t *names;                      /**< the forward index; NULL: none */
  rocksdb_options_t *options, *sst_options, *settled_options; /**< the latter two of SST files */
  rocksdb_cache_t *cache;
  rocksdb_envoptions_t *env_options;
  rocksdb_writeoptions_t *write_options;
  rocksdb_ingestexternalfileoptions_t *ingest_options;
  int64_t sensors_since; /**< seconds UTC from which on sensors are kept; -1: they are not */
  char *ingest_dir;      /**< where SST files are built */

  struct expiry *expiries; /**< what records expire, and when */
  size_t expiries_count;
  rocksdb_compactionfilter_t *filter; /**< NULL: nothing expires */
  rocksdb_readoptions_t *filter_read;
  _Atomic(rocksdb_t *) readable; /**< for the filter: NULL while opening and closing */

  pthread_mutex_t reopening;     /**< held while db_reopen() works */
  pthread_mutex_t lock;          /**< guards `idle` */
  struct writer *idle;           /**< scratch memory of writes that are over */
  atomic_uint_fast64_t file;     /**< number of the next SST file built */
  atomic_uint_fast64_t asked_ns; /**< cof_clock_ns() of the last question; 0: none yet */
  atomic_uint failures;          /**< writes that failed since one worked; the log has the first */
  atomic_uint users;             /**< between db_enter() and db_leave() */
  atomic_bool closed;            /**< db_enter() is refused */

  struct cof_metric *small_writes, *bulk_writes, *failed_writes, *dangling, *expired, *disk;
  struct cof_metric *names_disk, *sensors_disk, *sensors_since_metric;
};

/* --- db.c ---------------------------------------------------------------------------------- */

/** Open the database, making it where there is none. @return COF_OK, or COF_FATAL after logging */
enum cof_result db_open(struct store *store);

/** Close the database; tolerates one that is not open. */
void db_close(struct store *store);

/** Keep the database open until db_leave(). False: it is closed now. Never waits. */
bool db_enter(struct store *store);
void db_leave(struct store *store);

/**
 * Close and open the database, which is the only way out of some faults: RocksDB takes no write
 * after them. Not between db_enter() and db_leave(). Waits some seconds for those who are.
 */
void db_reopen(struct store *store);

/**
 * Judge an error of RocksDB and free its text.
 * @param text  from an errptr, not NULL
 * @return COF_RETRY for what may pass (input and output, space, contention), else COF_FATAL; with
 *         `what: text` in `err`
 */
enum cof_result db_error(char *text, const char *what, struct cof_error *err);

/** As db_error(), logged with the path. @return COF_FATAL, for what opens the database */
enum cof_result db_failed(const struct store *store, char *text, const char *what);

/**
 * Read what the database says of itself.
 * @param value  owned by the caller, rocksdb_free(); NULL: the key is not there
 * @return COF_OK, or COF_FATAL after logging
 */
enum cof_result db_read_meta(const struct store *store, const char *key, size_t key_len,
                             char **value, size_t *len, const char *what);
/** Write and sync a batch, and free it. @return COF_OK, or COF_FATAL after logging */
enum cof_result db_write_synced(const struct store *store, rocksdb_writebatch_t *batch,
                                const char *what);

/** Octets of a RocksDB property that is a number; 0 where there is none. */
uint64_t db_number(const struct store *store, const char *property);
/** The same of the forward index; 0 where there is no index. */
uint64_t db_names_number(const struct store *store, const char *property);
/** Set the gauges that tell what the data takes on disk. */
void db_measure(const struct store *store);

/* --- write.c -------------------------------------------------------------------------------- */

/** Callback write(). */
void write_batch(void *self, const struct cof_batch *batch, struct cof_ticket *ticket);

/** Free the scratch memory of writes. */
void writers_free(struct store *store);

/* --- query.c, cursor.c, stats.c: callbacks --------------------------------------------------- */

enum cof_result query_open(void *self, const struct cof_query *query, void **cursor,
                           struct cof_error *err);
enum cof_result query_next(void *self, void *cursor, size_t max, struct cof_batch *into,
                           struct cof_error *err);
enum cof_result query_token(void *self, void *cursor, void *buf, size_t cap, size_t *len);
void query_close(void *self, void *cursor);

enum cof_result stats_read(void *self, struct cof_storage_stats *stats, cof_sensor_fn fn, void *arg,
                           struct cof_error *err);

#endif
