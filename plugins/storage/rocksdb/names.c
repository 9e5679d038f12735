/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "names_private.h"

#include <string.h>
#include <time.h>

/* Names that are written at once while the index is filled. */
#define FILL_BATCH 1000
/* Time between two lines that tell how far it is. */
#define TELL_NS UINT64_C(5000000000)

static const char marker_key[] = {KEY_META, 'n', 'a', 'm', 'e', 's'};
static const char marker[] = {'1'};

/* --- the marker: the index has all names ----------------------------------------------------- */

static enum cof_result has_marker(const struct store *s, bool *has)
{
  char *found;
  size_t len = 0;
  enum cof_result result = db_read_meta(s, marker_key, sizeof marker_key, &found, &len,
                                        "cannot read the state of the forward index");
  if (result != COF_OK)
    return result;
  *has = found != NULL && len == sizeof marker && memcmp(found, marker, len) == 0;
  rocksdb_free(found);
  return COF_OK;
}

static enum cof_result set_marker(const struct store *s, bool set)
{
  rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
  if (set)
    rocksdb_writebatch_put(batch, marker_key, sizeof marker_key, marker, sizeof marker);
  else
    rocksdb_writebatch_delete(batch, marker_key, sizeof marker_key);
  return db_write_synced(s, batch, "cannot write the state of the forward index");
}

/* --- filling -------------------------------------------------------------------------------- */

/* What goes on while the names of a database are gathered. */
struct fill {
  struct store *store;
  rocksdb_writeoptions_t *write;
  rocksdb_writebatch_t *batch;
  int pending; /* names in `batch` */
  uint64_t keys, names, all, begun_ns, told_ns;
  size_t last_len; /* the name written last */
  uint8_t last[NAMES_KEY_MAX];
};

static char *flush(struct fill *f)
{
  char *error = NULL;
  if (f->pending > 0)
    rocksdb_write(f->store->db, f->write, f->batch, &error);
  rocksdb_writebatch_clear(f->batch);
  f->pending = 0;
  return error;
}

static void tell(struct fill *f)
{
  uint64_t now = cof_clock_ns(f->store->host);
  if (now - f->told_ns < TELL_NS)
    return;
  f->told_ns = now;
  cof_log(f->store->host, COF_LOG_INFO,
          "%s: making the forward index: about %llu %% done, %llu names so far",
          f->store->conf->path,
          (unsigned long long)(f->all > f->keys ? 100 * f->keys / f->all : 99),
          (unsigned long long)f->names);
}

/* Add a name of the database, as it is encoded there, unless it is the one before. */
static char *add_name(struct fill *f, enum names_class class, const uint8_t *name, size_t len)
{
  uint8_t key[NAMES_KEY_MAX];
  if ((++f->keys & 4095) == 0)
    tell(f);
  key[0] = (uint8_t) class;
  size_t n = len < NAMES_KEY_MAX ? key_name_flip(name, len, key + 1) : 0;
  if (n == 0 || (n + 1 == f->last_len && memcmp(key, f->last, n + 1) == 0))
    return NULL; /* one of a broken form is found by nobody */
  memcpy(f->last, key, n + 1);
  f->last_len = n + 1;
  f->names++;
  rocksdb_writebatch_put_cf(f->batch, f->store->names, (const char *)key, n + 1, "", 0);
  return ++f->pending < FILL_BATCH ? NULL : flush(f);
}

static char *add_key(struct fill *f, const uint8_t *key, size_t len)
{
  struct key_forward_parts forward;
  struct key_reverse_parts reverse;
  if (key_forward_split(key, len, &forward))
    return add_name(f, NAMES_OWNER, forward.name, forward.name_len);
  if (key_reverse_split(key, len, &reverse))
    return add_name(f, NAMES_TARGET, reverse.target, reverse.target_len);
  return NULL;
}

static char *fill_range(struct fill *f, const char *lower, size_t lower_len, const char *upper,
                        size_t upper_len)
{
  char *error = NULL;
  rocksdb_readoptions_t *read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_total_order_seek(read, 1);
  rocksdb_readoptions_set_fill_cache(read, 0);
  rocksdb_readoptions_set_iterate_upper_bound(read, upper, upper_len);
  rocksdb_iterator_t *it = rocksdb_create_iterator(f->store->db, read);
  for (rocksdb_iter_seek(it, lower, lower_len); error == NULL && rocksdb_iter_valid(it);
       rocksdb_iter_next(it)) {
    size_t len;
    const char *key = rocksdb_iter_key(it, &len);
    error = add_key(f, (const uint8_t *)key, len);
  }
  if (error == NULL)
    rocksdb_iter_get_error(it, &error);
  rocksdb_iter_destroy(it);
  rocksdb_readoptions_destroy(read);
  return error != NULL ? error : flush(f);
}

static char *fill_all(struct fill *f)
{
  static const char records[] = {KEY_FORWARD}, records_end[] = {KEY_FORWARD + 1};
  static const char targets[] = {KEY_REVERSE, KEY_NAME},
                    targets_end[] = {KEY_REVERSE, KEY_NAME + 1};
  char *error = fill_range(f, records, sizeof records, records_end, sizeof records_end);
  if (error == NULL)
    error = fill_range(f, targets, sizeof targets, targets_end, sizeof targets_end);
  if (error == NULL) {
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flush_cf(f->store->db, options, f->store->names, &error);
    rocksdb_flushoptions_destroy(options);
  }
  return error;
}

/* Without a log: what a crash leaves unfinished has no marker and is made anew. */
static enum cof_result fill(struct store *s)
{
  struct fill f = {.store = s, .all = db_number(s, "rocksdb.estimate-num-keys") / 2};
  f.write = rocksdb_writeoptions_create();
  rocksdb_writeoptions_disable_WAL(f.write, 1);
  f.batch = rocksdb_writebatch_create();
  f.begun_ns = f.told_ns = cof_clock_ns(s->host);
  if (f.all > 0)
    cof_log(s->host, COF_LOG_INFO, "%s: making the forward index of what is stored", s->conf->path);
  char *error = fill_all(&f);
  rocksdb_writebatch_destroy(f.batch);
  rocksdb_writeoptions_destroy(f.write);
  if (error != NULL)
    return db_failed(s, error, "cannot make the forward index");
  if (f.names > 0)
    cof_log(s->host, COF_LOG_INFO, "%s: the forward index was made in %.1f s, of %llu names",
            s->conf->path, (double)(cof_clock_ns(s->host) - f.begun_ns) / 1e9,
            (unsigned long long)f.names);
  return set_marker(s, true);
}

/* --- opening -------------------------------------------------------------------------------- */

static enum cof_result drop(struct store *s)
{
  char *error = NULL;
  enum cof_result result = set_marker(s, false);
  if (result != COF_OK)
    return result;
  rocksdb_drop_column_family(s->db, s->names, &error);
  rocksdb_column_family_handle_destroy(s->names);
  s->names = NULL;
  return error == NULL ? COF_OK : db_failed(s, error, "cannot remove the forward index");
}

static enum cof_result make(struct store *s)
{
  char *error = NULL;
  s->names = rocksdb_create_column_family(s->db, s->options, NAMES_FAMILY, &error);
  if (error != NULL) {
    s->names = NULL;
    return db_failed(s, error, "cannot make the forward index");
  }
  return fill(s);
}

enum cof_result names_open(struct store *s)
{
  bool complete = false;
  enum cof_result result = has_marker(s, &complete);
  if (result != COF_OK || (s->names == NULL && !s->conf->forward_index))
    return result;
  if (s->names != NULL && s->conf->forward_index && complete)
    return COF_OK;
  if (s->names != NULL) {
    cof_log(s->host, COF_LOG_INFO, "%s: removing the forward index, %s", s->conf->path,
            s->conf->forward_index ? "which was not finished" : "as forward_index = no");
    result = drop(s);
  }
  return result == COF_OK && s->conf->forward_index ? make(s) : result;
}
