/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "expire_private.h"
#include "store_private.h"

#include <stdlib.h>
#include <string.h>

static const char *const compressions[] = {"zstd", "lz4", "none", NULL};

static const struct cof_option options[] = {
    {.name = "path",
     .help = "directory of the database, made where missing (its parent must exist); one cofd at a "
             "time can use it",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_REQUIRED,
     COF_FIELD(struct conf, path)},
    {.name = "cache_size",
     .help = "memory for blocks, indexes and filters read from disk; 8M to 1T",
     .dflt = "64M",
     .type = COF_OPT_BYTES,
     .min = INT64_C(8) << 20,
     .max = INT64_C(1) << 40,
     COF_FIELD(struct conf, cache_size)},
    {.name = "write_buffer",
     .help = "memory that gathers small writes before they go to a file, twice this while one is "
             "being written; batches larger than this are ingested as a file; 1M to 1G",
     .dflt = "32M",
     .type = COF_OPT_BYTES,
     .min = INT64_C(1) << 20,
     .max = INT64_C(1) << 30,
     COF_FIELD(struct conf, write_buffer)},
    {.name = "bulk_records",
     .help = "batches of at least so many unique records are built into a file and ingested, "
             "smaller ones go through the write-ahead log; 1 to 1000000000",
     .dflt = "50000",
     .type = COF_OPT_INT,
     .min = 1,
     .max = 1000000000,
     .unit = "records",
     COF_FIELD(struct conf, bulk_records)},
    {.name = "sync",
     .help =
         "whether the write-ahead log is on disk before a small batch is acknowledged; with no, "
         "a crash of the machine (not of cofd) may lose the last of them",
     .dflt = "yes",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, sync)},
    {.name = "compression",
     .help =
         "of the data on disk: zstd for what has settled, lz4 for what is on its way there, and "
         "none for what is new; or lz4 for all; or none",
     .dflt = "zstd",
     .type = COF_OPT_ENUM,
     .choices = compressions,
     COF_FIELD(struct conf, compression)},
    {.name = "expire",
     .help = "TYPE:SECONDS each: records of that type go away when they were not seen for so long "
             "after their time_last, in answers at once, on disk by compaction; at most 64 types",
     .type = COF_OPT_LIST,
     .max = 64,
     .flags = COF_OPT_MULTI,
     COF_FIELD(struct conf, expire)},
    {.name = "forward_index",
     .help = "keep an index of names by their first labels, for questions such as www.example.*; a "
             "database without it gets it at the next start, and loses it with no",
     .dflt = "no",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, forward_index)},
    {.name = "sensors",
     .help =
         "keep what each sensor saw of a record, for questions by sensor_id: one more entry for "
         "each record and sensor; with no, what was kept is removed at the next start",
     .dflt = "no",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, sensors)},
    {.name = NULL}};

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  return expire_check(conf, diag);
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct store *s = calloc(1, sizeof *s);
  if (s != NULL)
    s->conf = conf;
  if (s == NULL || !expire_setup(s)) {
    free(s);
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->reopening, NULL);
  atomic_store(&s->closed, true);
  s->host = host;
  s->small_writes = cof_metric(host, COF_COUNTER, "writes_small", "batches",
                               "Batches written through the write-ahead log.");
  s->bulk_writes =
      cof_metric(host, COF_COUNTER, "writes_bulk", "batches", "Batches ingested as a file.");
  s->failed_writes =
      cof_metric(host, COF_COUNTER, "writes_failed", "batches",
                 "Attempts to write a batch that failed; each is repeated or stops the chain.");
  s->dangling = cof_metric(host, COF_COUNTER, "reverse_dangling", "keys",
                           "Reverse keys met by queries whose record does not exist.");
  s->expired = cof_metric(host, COF_COUNTER, "expired", "records",
                          "Records that compaction removed, as the option expire says.");
  s->disk = cof_metric(host, COF_GAUGE, "disk", "bytes",
                       "Size of the data files at the last write, without the write-ahead log.");
  s->names_disk = cof_metric(host, COF_GAUGE, "forward_index_disk", "bytes",
                             "Size of the forward index's data files at the last write.");
  s->sensors_disk = cof_metric(host, COF_GAUGE, "sensors_disk", "bytes",
                               "Size of what is kept of sensors in data files at the last write.");
  s->sensors_since_metric =
      cof_metric(host, COF_GAUGE, "sensors_since", "s",
                 "Seconds UTC from which on what sensors see is kept; -1: it is not.");
  *self = s;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct store *s = self;
  enum cof_result result = db_open(s);
  if (result == COF_OK)
    db_measure(s);
  if (result == COF_OK)
    cof_set(s->host, s->sensors_since_metric, s->sensors_since);
  return result;
}

/* Writes that were synced need nothing more; after a fault there is nothing that could be done. */
static enum cof_result sync_log(struct store *s)
{
  char *error = NULL;
  struct cof_error err;
  if (s->db == NULL || s->conf->sync || atomic_load(&s->failures) != 0)
    return COF_OK;
  rocksdb_flush_wal(s->db, 1, &error);
  if (error == NULL)
    return COF_OK;
  db_error(error, "cannot make the last writes durable", &err);
  cof_log(s->host, COF_LOG_ERROR, "%s: %s", s->conf->path, err.text);
  return COF_FATAL;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  struct store *s = self;
  enum cof_result result = sync_log(s);
  db_close(s);
  if (result == COF_OK && cof_clock_ns(s->host) > deadline_ns)
    result = COF_TIMEOUT;
  return result;
}

static void destroy(void *self)
{
  struct store *s = self;
  if (s == NULL)
    return;
  db_close(s);
  writers_free(s);
  free(s->expiries);
  pthread_mutex_destroy(&s->lock);
  pthread_mutex_destroy(&s->reopening);
  free(s);
}

#define ALL_CAPS                                                                                   \
  (COF_CAP_THREAD_SAFE | COF_CAP_RRNAME | COF_CAP_SUBDOMAINS | COF_CAP_RDATA |                     \
   COF_CAP_ADDR_RANGE | COF_CAP_RDATA_TEXT | COF_CAP_SCAN | COF_CAP_RRTYPE | COF_CAP_FENCES |      \
   COF_CAP_RESUME | COF_CAP_PREFIX | COF_CAP_RDATA_SUBDOMAINS | COF_CAP_RDATA_PREFIX |             \
   COF_CAP_NEW | COF_CAP_BAILIWICK | COF_CAP_SENSOR)

static uint64_t caps(void *self)
{
  const struct store *s = self;
  const uint64_t names = COF_CAP_PREFIX | COF_CAP_RDATA_PREFIX;
  return ALL_CAPS & ~(s->conf->forward_index ? 0 : names) &
         ~(s->conf->sensors ? 0 : (uint64_t)COF_CAP_SENSOR);
}

static const struct cof_storage_ops ops = {.struct_size = sizeof(struct cof_storage_ops),
                                           .caps = caps,
                                           .write = write_batch,
                                           .open = query_open,
                                           .next = query_next,
                                           .token = query_token,
                                           .close = query_close,
                                           .stats = stats_read};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_STORAGE,
    .caps = ALL_CAPS,
    .name = "rocksdb",
    .version = PACKAGE_VERSION,
    .summary = "Embedded storage on RocksDB, both directions indexed",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops};
