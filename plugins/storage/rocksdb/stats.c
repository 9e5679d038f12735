/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store_private.h"

#include <stdlib.h>
#include <string.h>

#include "keys_private.h"
#include "sensors_private.h"
#include "value_private.h"

struct sensor {
  uint64_t records;
  char *id;
};

struct sensors {
  struct sensor *items;
  size_t count, room;
};

static bool add_sensor(struct sensors *all, const char *id, size_t len, uint64_t records)
{
  if (all->count == all->room) {
    size_t room = all->room != 0 ? 2 * all->room : 64;
    struct sensor *items = realloc(all->items, room * sizeof *items);
    if (items == NULL)
      return false;
    all->items = items;
    all->room = room;
  }
  char *copy = strndup(id, len);
  if (copy == NULL)
    return false;
  all->items[all->count++] = (struct sensor){records, copy};
  return true;
}

static int by_records(const void *a, const void *b)
{
  const struct sensor *x = a, *y = b;
  if (x->records != y->records)
    return x->records < y->records ? 1 : -1;
  return strcmp(y->id, x->id);
}

/* One counter: `o`, or `s` and a sensor. */
static enum cof_result take(const rocksdb_iterator_t *it, struct cof_storage_stats *stats,
                            struct sensors *all, struct cof_error *err)
{
  size_t key_len, value_len;
  const char *key = rocksdb_iter_key(it, &key_len), *value = rocksdb_iter_value(it, &value_len);
  uint64_t n = 0;
  if (key_len < 2 || !counter_get((const uint8_t *)value, value_len, &n))
    return cof_fail(err, COF_FATAL, "a counter of the database is corrupt");
  if (key[1] == 'o' && key_len == 2)
    stats->observations = n;
  else if (key[1] == 's' && all != NULL && !add_sensor(all, key + 2, key_len - 2, n))
    return cof_fail(err, COF_RETRY, "out of memory");
  return COF_OK;
}

static enum cof_result read_all(const struct store *s, struct cof_storage_stats *stats,
                                struct sensors *all, struct cof_error *err)
{
  static const char first[] = {KEY_STATS}, last[] = {KEY_STATS + 1};
  enum cof_result result = COF_OK;
  char *error = NULL;
  rocksdb_readoptions_t *read = rocksdb_readoptions_create();
  rocksdb_readoptions_set_total_order_seek(read, 1);
  rocksdb_readoptions_set_iterate_upper_bound(read, last, sizeof last);
  rocksdb_iterator_t *it = rocksdb_create_iterator(s->db, read);
  for (rocksdb_iter_seek(it, first, sizeof first); result == COF_OK && rocksdb_iter_valid(it);
       rocksdb_iter_next(it))
    result = take(it, stats, all, err);
  rocksdb_iter_get_error(it, &error);
  rocksdb_iter_destroy(it);
  rocksdb_readoptions_destroy(read);
  return error == NULL ? result : db_error(error, "cannot read statistics", err);
}

enum cof_result stats_read(void *self, struct cof_storage_stats *stats, cof_sensor_fn fn, void *arg,
                           struct cof_error *err)
{
  struct store *s = self;
  struct sensors all = {0};
  if (!db_enter(s))
    return cof_fail(err, COF_RETRY, "the database is closed after a fault");
  stats->observations = 0;
  /* Those that wait for merging or compaction count more than once. */
  stats->records = sensors_records(s, db_number(s, "rocksdb.estimate-num-keys"));
  stats->records_exact = false;
  enum cof_result result = read_all(s, stats, fn != NULL ? &all : NULL, err);
  db_leave(s);
  if (result == COF_OK && all.count != 0) {
    qsort(all.items, all.count, sizeof *all.items, by_records);
    for (size_t i = 0; i < all.count; i++)
      fn(arg, all.items[i].id, all.items[i].records);
  }
  for (size_t i = 0; i < all.count; i++)
    free(all.items[i].id);
  free(all.items);
  return result;
}
