/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "expire_private.h"
#include "keys_private.h"
#include "names_private.h"
#include "options_private.h"
#include "sensors_private.h"

#define INGEST_DIR "ingest"

/* Octets of a database that is made compact when it is opened. */
#define SETTLE_MAX (UINT64_C(1) << 30)

/* How long a reopening waits for cursors to be closed. */
#define WAIT_STEP_NS 1000000
#define WAIT_STEPS   5000

static const char layout_key[] = {KEY_META, 'l', 'a', 'y', 'o', 'u', 't'};

enum cof_result db_error(char *text, const char *what, struct cof_error *err)
{
  static const char *const passing[] = {"IO error",
                                        "Resource busy",
                                        "Operation timed out",
                                        "Operation aborted",
                                        "Operation failed. Try again.",
                                        "Shutdown in progress",
                                        "Result incomplete"};
  enum cof_result result = COF_FATAL;
  for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
    if (strncmp(text, passing[i], strlen(passing[i])) == 0)
      result = COF_RETRY;
  cof_fail(err, result, "%s: %s", what, text);
  rocksdb_free(text);
  return result;
}

/* Some numbers RocksDB gives as text only. */
uint64_t db_number(const struct store *s, const char *property)
{
  uint64_t number = 0;
  char *text = rocksdb_property_value(s->db, property);
  if (text != NULL)
    number = strtoull(text, NULL, 10);
  rocksdb_free(text);
  return number;
}

uint64_t db_names_number(const struct store *s, const char *property)
{
  uint64_t number = 0;
  char *text = s->names != NULL ? rocksdb_property_value_cf(s->db, s->names, property) : NULL;
  if (text != NULL)
    number = strtoull(text, NULL, 10);
  rocksdb_free(text);
  return number;
}

void db_measure(const struct store *s)
{
  static const char size[] = "rocksdb.total-sst-files-size";
  cof_set(s->host, s->disk, (int64_t)db_number(s, size));
  cof_set(s->host, s->names_disk, (int64_t)db_names_number(s, size));
  cof_set(s->host, s->sensors_disk, (int64_t)sensors_disk(s));
}

static enum cof_result fatal(const struct store *s, const char *what, int error)
{
  cof_log(s->host, COF_LOG_ERROR, "%s: %s: %s", s->conf->path, what, strerror(error));
  return COF_FATAL;
}

static enum cof_result make_directory(const struct store *s, const char *path)
{
  struct stat st;
  if (mkdir(path, 0750) != 0 && errno != EEXIST) {
    int error = errno;
    if (error == ENOENT)
      cof_log(s->host, COF_LOG_ERROR,
              "%s: the directory that should hold it does not exist; create that first", path);
    else
      cof_log(s->host, COF_LOG_ERROR, "%s: cannot create the directory: %s", path, strerror(error));
    return COF_FATAL;
  }
  if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
    cof_log(s->host, COF_LOG_ERROR, "%s: not a directory; `path` must name one", path);
    return COF_FATAL;
  }
  if (access(path, R_OK | W_OK | X_OK) != 0)
    return fatal(s, "cannot be written to", errno);
  return COF_OK;
}

/* SST files that an earlier process built and did not get to ingest; they were never acknowledged.
   Only after the database is locked: they might be another process's. */
static enum cof_result clean_ingest(const struct store *s)
{
  DIR *dir = opendir(s->ingest_dir);
  if (dir == NULL)
    return fatal(s, "cannot read the subdirectory " INGEST_DIR, errno);
  enum cof_result result = COF_OK;
  for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
    size_t len = strlen(e->d_name);
    if (len < 5 || strcmp(e->d_name + len - 4, ".sst") != 0)
      continue;
    if (unlinkat(dirfd(dir), e->d_name, 0) != 0)
      result = fatal(s, "cannot remove an unfinished file from " INGEST_DIR, errno);
    else
      cof_log(s->host, COF_LOG_INFO, "removed the unfinished file %s/%s", s->ingest_dir, e->d_name);
  }
  closedir(dir);
  return result;
}

static enum cof_result prepare_ingest(struct store *s)
{
  size_t len = strlen(s->conf->path) + sizeof "/" INGEST_DIR;
  s->ingest_dir = malloc(len);
  if (s->ingest_dir == NULL)
    return fatal(s, "cannot open", ENOMEM);
  snprintf(s->ingest_dir, len, "%s/" INGEST_DIR, s->conf->path);
  enum cof_result result = make_directory(s, s->ingest_dir);
  return result == COF_OK ? clean_ingest(s) : result;
}

static enum cof_result open_error(const struct store *s, char *text)
{
  if (strstr(text, "While lock file") != NULL || strstr(text, "lock hold by current") != NULL)
    cof_log(s->host, COF_LOG_ERROR,
            "%s: in use by another process or another storage section (its lock is taken); stop "
            "the other one or give this one a `path` of its own",
            s->conf->path);
  else
    cof_log(s->host, COF_LOG_ERROR, "%s: cannot open the database: %s", s->conf->path, text);
  rocksdb_free(text);
  return COF_FATAL;
}

enum cof_result db_failed(const struct store *s, char *text, const char *what)
{
  struct cof_error err;
  db_error(text, what, &err);
  cof_log(s->host, COF_LOG_ERROR, "%s: %s", s->conf->path, err.text);
  return COF_FATAL;
}

enum cof_result db_read_meta(const struct store *s, const char *key, size_t key_len, char **value,
                             size_t *len, const char *what)
{
  char *error = NULL;
  rocksdb_readoptions_t *read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_total_order_seek(read, 1);
  *value = rocksdb_get(s->db, read, key, key_len, len, &error);
  rocksdb_readoptions_destroy(read);
  return error == NULL ? COF_OK : db_failed(s, error, what);
}

enum cof_result db_write_synced(const struct store *s, rocksdb_writebatch_t *batch,
                                const char *what)
{
  char *error = NULL;
  rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
  rocksdb_writeoptions_set_sync(write, 1);
  rocksdb_write(s->db, write, batch, &error);
  rocksdb_writeoptions_destroy(write);
  rocksdb_writebatch_destroy(batch);
  return error == NULL ? COF_OK : db_failed(s, error, what);
}

static bool is_empty(const struct store *s, const rocksdb_readoptions_t *read, char **error)
{
  rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, read);
  rocksdb_iter_seek_to_first(it);
  bool empty = !rocksdb_iter_valid(it);
  rocksdb_iter_get_error(it, error);
  rocksdb_iter_destroy(it);
  return empty;
}

static enum cof_result check_layout(const struct store *s, const rocksdb_readoptions_t *read)
{
  static const char what[] = "cannot read or write the layout version";
  char *error = NULL, *found;
  size_t len = 0;
  enum cof_result result = db_read_meta(s, layout_key, sizeof layout_key, &found, &len, what);
  if (result != COF_OK)
    return result;
  if (found != NULL) {
    bool same = len == strlen(LAYOUT_VERSION) && memcmp(found, LAYOUT_VERSION, len) == 0;
    if (!same)
      cof_log(s->host, COF_LOG_ERROR,
              "%s: the database has layout version \"%.*s\", and this version of the plugin reads "
              "and writes \"%s\" alone; use the cofd that made it, or a new `path`",
              s->conf->path, (int)(len < 32 ? len : 32), found, LAYOUT_VERSION);
    rocksdb_free(found);
    return same ? COF_OK : COF_FATAL;
  }
  bool empty = is_empty(s, read, &error);
  if (error != NULL)
    return db_failed(s, error, what);
  if (!empty) {
    cof_log(s->host, COF_LOG_ERROR,
            "%s: a RocksDB database without a layout version, so not cofd's: expected layout "
            "version \"%s\"; give a `path` of its own",
            s->conf->path, LAYOUT_VERSION);
    return COF_FATAL;
  }
  rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
  rocksdb_writebatch_put(batch, layout_key, sizeof layout_key, LAYOUT_VERSION,
                         strlen(LAYOUT_VERSION));
  return db_write_synced(s, batch, what);
}

static void create_options(struct store *s)
{
  s->cache = rocksdb_cache_create_lru((size_t)s->conf->cache_size);
  s->options = options_database(s->conf, s->cache);
  s->sst_options = options_sst(s->conf, s->cache, false);
  s->settled_options = options_sst(s->conf, s->cache, true);
  s->filter = expire_make_filter(s);
  if (s->filter != NULL)
    rocksdb_options_set_compaction_filter(s->options, s->filter);
  s->filter_read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_fill_cache(s->filter_read, 0);
  s->env_options = rocksdb_envoptions_create();
  s->write_options = rocksdb_writeoptions_create();
  rocksdb_writeoptions_set_sync(s->write_options, s->conf->sync);
  s->ingest_options = rocksdb_ingestexternalfileoptions_create();
  rocksdb_ingestexternalfileoptions_set_move_files(s->ingest_options, 1);
}

/* Whether the database has the forward index, which then has to be opened with it. Of one that does
   not exist yet, or cannot be read, opening it tells. */
static bool has_names(const struct store *s)
{
  char *error = NULL;
  size_t count = 0;
  bool found = false;
  char **families = rocksdb_list_column_families(s->options, s->conf->path, &count, &error);
  for (size_t i = 0; error == NULL && i < count; i++)
    found = found || strcmp(families[i], NAMES_FAMILY) == 0;
  rocksdb_list_column_families_destroy(families, count);
  rocksdb_free(error);
  return found;
}

static enum cof_result open_families(struct store *s)
{
  static const char *const families[] = {"default", NAMES_FAMILY};
  const rocksdb_options_t *const options[] = {s->options, s->options};
  rocksdb_column_family_handle_t *handles[2] = {NULL, NULL};
  char *error = NULL;
  s->db = rocksdb_open_column_families(s->options, s->conf->path, has_names(s) ? 2 : 1, families,
                                       options, handles, &error);
  if (error != NULL) {
    s->db = NULL;
    return open_error(s, error);
  }
  s->family = handles[0];
  s->names = handles[1];
  return COF_OK;
}

static enum cof_result open_all(struct store *s)
{
  if (make_directory(s, s->conf->path) != COF_OK)
    return COF_FATAL;
  create_options(s);
  if (open_families(s) != COF_OK)
    return COF_FATAL;
  rocksdb_readoptions_t *read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_total_order_seek(read, 1);
  enum cof_result result = check_layout(s, read);
  rocksdb_readoptions_destroy(read);
  if (result == COF_OK)
    result = prepare_ingest(s);
  if (result == COF_OK)
    result = names_open(s);
  return result == COF_OK ? sensors_open(s) : result;
}

/* What came in small amounts, or shortly before the end of an earlier process, waits for more to be
   compacted with. Have it done now, in the background, where little has to be written anew for it;
   in a large database it hardly counts. */
static void settle(const struct store *s)
{
  char *error = NULL;
  if (db_number(s, "rocksdb.num-files-at-level0") < 2 ||
      db_number(s, "rocksdb.total-sst-files-size") > SETTLE_MAX)
    return;
  rocksdb_suggest_compact_range_cf(s->db, s->family, NULL, 0, NULL, 0, &error);
  if (error != NULL)
    cof_log(s->host, COF_LOG_WARNING, "%s: cannot compact what is there: %s", s->conf->path, error);
  rocksdb_free(error);
}

enum cof_result db_open(struct store *s)
{
  enum cof_result result = open_all(s);
  if (result == COF_OK)
    atomic_store(&s->readable, s->db);
  atomic_store(&s->closed, result != COF_OK);
  if (result == COF_OK)
    settle(s);
  return result;
}

bool db_enter(struct store *s)
{
  atomic_fetch_add(&s->users, 1);
  if (!atomic_load(&s->closed))
    return true;
  atomic_fetch_sub(&s->users, 1);
  return false;
}

void db_leave(struct store *s)
{
  atomic_fetch_sub(&s->users, 1);
}

void db_reopen(struct store *s)
{
  const struct timespec step = {.tv_nsec = WAIT_STEP_NS};
  if (pthread_mutex_trylock(&s->reopening) != 0)
    return; /* another chain is at it */
  bool was_closed = atomic_exchange(&s->closed, true);
  for (int i = 0; i < WAIT_STEPS && atomic_load(&s->users) != 0; i++)
    nanosleep(&step, NULL);
  if (atomic_load(&s->users) != 0) {
    atomic_store(&s->closed, was_closed);
    cof_log(s->host, COF_LOG_WARNING, "%s: cannot be reopened while queries go on", s->conf->path);
  } else {
    cof_log(s->host, COF_LOG_WARNING, "%s: opening the database again after a fault",
            s->conf->path);
    db_close(s);
    if (db_open(s) != COF_OK)
      db_close(s);
  }
  pthread_mutex_unlock(&s->reopening);
}

void db_close(struct store *s)
{
  atomic_store(&s->closed, true);
  atomic_store(&s->readable, NULL);
  /* A filter may be reading now. */
  if (s->db != NULL && s->filter != NULL)
    rocksdb_cancel_all_background_work(s->db, 1);
  if (s->family != NULL)
    rocksdb_column_family_handle_destroy(s->family);
  if (s->names != NULL)
    rocksdb_column_family_handle_destroy(s->names);
  if (s->db != NULL)
    rocksdb_close(s->db);
  s->family = NULL;
  s->names = NULL;
  s->db = NULL;
  if (s->cache == NULL)
    return;
  rocksdb_options_destroy(s->options);
  rocksdb_options_destroy(s->sst_options);
  rocksdb_options_destroy(s->settled_options);
  if (s->filter != NULL)
    rocksdb_compactionfilter_destroy(s->filter);
  s->filter = NULL;
  rocksdb_readoptions_destroy(s->filter_read);
  rocksdb_envoptions_destroy(s->env_options);
  rocksdb_writeoptions_destroy(s->write_options);
  rocksdb_ingestexternalfileoptions_destroy(s->ingest_options);
  rocksdb_cache_destroy(s->cache);
  s->cache = NULL;
  free(s->ingest_dir);
  s->ingest_dir = NULL;
}
