/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "sensors_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keys_private.h"

/* Octets of data files from which on their sizes tell numbers: they are known by blocks. */
#define SIZES_MIN (UINT64_C(1) << 20)
#define TIME_TEXT 24

static const char marker_key[] = {KEY_META, 's', 'e', 'n', 's', 'o', 'r', 's'};
static const char all[] = {KEY_SENSOR}, all_end[] = {KEY_SENSOR + 1};

/* --- the marker: since when all that sensors saw is kept -------------------------------------- */

/* @param since  seconds UTC; -1 where there is no marker */
static enum cof_result read_marker(const struct store *s, int64_t *since)
{
  char text[TIME_TEXT] = "", *found;
  size_t len = 0;
  enum cof_result result = db_read_meta(s, marker_key, sizeof marker_key, &found, &len,
                                        "cannot read since when sensors are kept");
  if (result != COF_OK)
    return result;
  *since = -1;
  if (found != NULL) {
    memcpy(text, found, len < sizeof text ? len : sizeof text - 1);
    *since = (int64_t)strtoll(text, NULL, 10);
  }
  rocksdb_free(found);
  return COF_OK;
}

static enum cof_result begin(struct store *s)
{
  char text[TIME_TEXT];
  rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
  s->sensors_since = (int64_t)time(NULL);
  int len = snprintf(text, sizeof text, "%lld", (long long)s->sensors_since);
  rocksdb_writebatch_put(batch, marker_key, sizeof marker_key, text, (size_t)len);
  return db_write_synced(s, batch, "cannot write since when sensors are kept");
}

/* Whole files go at once, the rest with the next compactions. Where the process ends amid this, the
   files are no less gone: their keys are deleted first. */
static enum cof_result drop(struct store *s)
{
  char *error = NULL;
  rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
  cof_log(s->host, COF_LOG_WARNING,
          "%s: removing what was kept of sensors, as sensors = no: it cannot be made again",
          s->conf->path);
  rocksdb_writebatch_delete_range(batch, all, sizeof all, all_end, sizeof all_end);
  rocksdb_writebatch_delete(batch, marker_key, sizeof marker_key);
  enum cof_result result = db_write_synced(s, batch, "cannot remove what was kept of sensors");
  if (result != COF_OK)
    return result;
  s->sensors_since = -1;
  rocksdb_delete_file_in_range_cf(s->db, s->family, all, sizeof all, all_end, sizeof all_end,
                                  &error);
  if (error == NULL)
    rocksdb_suggest_compact_range_cf(s->db, s->family, all, sizeof all, all_end, sizeof all_end,
                                     &error);
  return error == NULL ? COF_OK : db_failed(s, error, "cannot remove what was kept of sensors");
}

static enum cof_result has_records(const struct store *s, bool *has)
{
  char *error = NULL;
  static const char first[] = {KEY_FORWARD}, end[] = {KEY_FORWARD + 1};
  rocksdb_readoptions_t *read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_total_order_seek(read, 1);
  rocksdb_readoptions_set_iterate_upper_bound(read, end, sizeof end);
  rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, read);
  rocksdb_iter_seek(it, first, sizeof first);
  *has = rocksdb_iter_valid(it);
  rocksdb_iter_get_error(it, &error);
  rocksdb_iter_destroy(it);
  rocksdb_readoptions_destroy(read);
  return error == NULL ? COF_OK : db_failed(s, error, "cannot read");
}

enum cof_result sensors_open(struct store *s)
{
  int64_t since = -1;
  bool records = false;
  enum cof_result result = read_marker(s, &since);
  s->sensors_since = since;
  if (result != COF_OK || s->conf->sensors == (since >= 0))
    return result;
  if (!s->conf->sensors)
    return drop(s);
  result = has_records(s, &records);
  if (result == COF_OK && records)
    cof_log(s->host, COF_LOG_WARNING,
            "%s: what sensors see is kept from now on; of the records that are stored already "
            "nobody knows who saw them",
            s->conf->path);
  return result == COF_OK ? begin(s) : result;
}

/* --- sizes ----------------------------------------------------------------------------------- */

static void sizes(const struct store *s, uint64_t *records, uint64_t *sensors)
{
  static const char forward[] = {KEY_FORWARD}, forward_end[] = {KEY_FORWARD + 1};
  const char *const starts[] = {forward, all}, *const ends[] = {forward_end, all_end};
  const size_t lens[] = {1, 1};
  uint64_t got[2] = {0, 0};
  char *error = NULL;
  rocksdb_approximate_sizes_cf(s->db, s->family, 2, starts, lens, ends, lens, got, &error);
  rocksdb_free(error);
  *records = got[0];
  *sensors = got[1];
}

/* Keys of both take about the same space. Of a small database one sensor a record is assumed. */
uint64_t sensors_records(const struct store *s, uint64_t keys)
{
  uint64_t records, sensors;
  if (!s->conf->sensors)
    return keys / 2;
  sizes(s, &records, &sensors);
  double each = records >= SIZES_MIN ? (double)sensors / (double)records : 1;
  return (uint64_t)((double)keys / (2 + each));
}

uint64_t sensors_disk(const struct store *s)
{
  uint64_t records, sensors = 0;
  if (s->conf->sensors)
    sizes(s, &records, &sensors);
  return sensors;
}
