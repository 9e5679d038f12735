/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "write_private.h"

#include <string.h>
#include <sys/statvfs.h>

/* Failures in a row after which the database is opened again. */
#define REOPEN_AFTER 3

/* Octets that are free on a disk which is not full, beside those of a batch. */
#define ROOM ((uint64_t)4 << 20)

static struct writer *writer_take(struct store *s)
{
  pthread_mutex_lock(&s->lock);
  struct writer *w = s->idle;
  if (w != NULL)
    s->idle = w->next;
  pthread_mutex_unlock(&s->lock);
  return w != NULL ? w : writer_create();
}

static void writer_give(struct store *s, struct writer *w)
{
  writer_clear(w);
  pthread_mutex_lock(&s->lock);
  w->next = s->idle;
  s->idle = w;
  pthread_mutex_unlock(&s->lock);
}

void writers_free(struct store *s)
{
  while (s->idle != NULL) {
    struct writer *w = s->idle;
    s->idle = w->next;
    writer_destroy(&w);
  }
}

static void add_items(rocksdb_writebatch_t *batch, const struct item *items, size_t count,
                      void (*add)(rocksdb_writebatch_t *, const char *, size_t, const char *,
                                  size_t))
{
  for (size_t i = 0; i < count; i++)
    add(batch, (const char *)items[i].key, items[i].key_len,
        (const char *)items[i].key + items[i].key_len, items[i].value_len);
}

/* In key order, for neighbours go into the write buffer faster one after the other. */
static enum cof_result small_write(struct store *s, struct writer *w, struct cof_error *err)
{
  char *error = NULL;
  writer_sort_forward(w);
  writer_sort_reverse(w);
  writer_sort_names(w);
  writer_sort_sights(w);
  rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
  add_items(batch, w->forward, w->count, rocksdb_writebatch_merge);
  add_items(batch, w->sights, w->sights_count, rocksdb_writebatch_merge);
  add_items(batch, w->reverse, w->count, rocksdb_writebatch_put);
  for (size_t i = 0; s->names != NULL && i < w->names_count; i++)
    rocksdb_writebatch_put_cf(batch, s->names, (const char *)w->names[i].key, w->names[i].key_len,
                              "", 0);
  add_items(batch, w->stats, w->stats_count, rocksdb_writebatch_merge);
  rocksdb_write(s->db, s->write_options, batch, &error);
  rocksdb_writebatch_destroy(batch);
  return error == NULL ? COF_OK : db_error(error, "cannot write", err);
}

static enum cof_result write_either(struct store *s, struct writer *w, struct cof_error *err)
{
  bool bulk =
      w->count >= (uint64_t)s->conf->bulk_records || w->bytes > (uint64_t)s->conf->write_buffer;
  enum cof_result result = bulk ? bulk_write(s, w, err) : small_write(s, w, err);
  if (result == COF_OK) {
    cof_add(s->host, bulk ? s->bulk_writes : s->small_writes, 1);
    db_measure(s);
  }
  return result;
}

static bool is_there(const struct store *s, const struct item *item, char **error)
{
  rocksdb_pinnableslice_t *found =
      rocksdb_get_pinned(s->db, s->filter_read, (const char *)item->key, item->key_len, error);
  bool there = found != NULL;
  rocksdb_pinnableslice_destroy(found);
  return there;
}

/* Before the write: the filters of the files tell of most new keys without a look at data. The
   encoded records are those kept and not refused, in the order of the batch. */
static enum cof_result tell_new(struct store *s, const struct writer *w,
                                const struct cof_batch *batch, struct cof_ticket *ticket,
                                struct cof_error *err)
{
  size_t item = 0, refused = 0;
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    char *error = NULL;
    if (cof_batch_at(batch, i)->verdict != COF_KEEP)
      continue;
    if (refused < w->refused_count && w->refused[refused].index == i) {
      refused++;
      continue;
    }
    if (!is_there(s, &w->forward[item++], &error) && error == NULL)
      cof_ticket_new(s->host, ticket, i);
    if (error != NULL)
      return db_error(error, "cannot look up what is new", err);
  }
  return COF_OK;
}

static enum cof_result write_encoded(struct store *s, struct writer *w,
                                     const struct cof_batch *batch, struct cof_ticket *ticket,
                                     struct cof_error *err)
{
  if (w->count == 0 && w->stats_count == 0)
    return COF_OK;
  if (!db_enter(s))
    return cof_fail(err, COF_RETRY, "the database is closed after a fault");
  enum cof_result result =
      cof_ticket_wants_new(s->host, ticket) ? tell_new(s, w, batch, ticket, err) : COF_OK;
  if (result == COF_OK)
    result = write_either(s, w, err);
  db_leave(s);
  return result;
}

/* RocksDB goes on by itself once a full disk has room for a whole write buffer, and can be read
   meanwhile. Where there is less it never does, though there is enough for the batch: so it is left
   alone only while the disk is full indeed. */
static bool is_full(const struct store *s, uint64_t bytes, const struct cof_error *err)
{
  struct statvfs disk;
  if (strstr(err->text, "No space left") == NULL || statvfs(s->conf->path, &disk) != 0)
    return false;
  return disk.f_bavail * disk.f_frsize < ROOM + 2 * bytes;
}

/* Faults last, and the chain repeats a write many times: one line when they begin, one when they
   end. From most faults other than a full disk only a fresh start helps. */
static void report(struct store *s, enum cof_result result, uint64_t bytes,
                   const struct cof_error *err)
{
  if (result == COF_OK) {
    if (atomic_load(&s->failures) != 0 && atomic_exchange(&s->failures, 0) != 0)
      cof_log(s->host, COF_LOG_INFO, "%s: writing works again", s->conf->path);
    return;
  }
  cof_add(s->host, s->failed_writes, 1);
  if (result == COF_FATAL) {
    cof_log(s->host, COF_LOG_ERROR, "%s: %s", s->conf->path, err->text);
    return;
  }
  unsigned failures = atomic_fetch_add(&s->failures, 1) + 1;
  if (failures == 1)
    cof_log(s->host, COF_LOG_ERROR, "%s: %s; trying again until it works", s->conf->path,
            err->text);
  if (failures >= REOPEN_AFTER && !is_full(s, bytes, err))
    db_reopen(s);
}

void write_batch(void *self, const struct cof_batch *batch, struct cof_ticket *ticket)
{
  struct store *s = self;
  struct cof_error err;
  enum cof_result result;
  struct writer *w = writer_take(s);
  if (w != NULL) {
    w->with_names = s->conf->forward_index;
    w->with_sensors = s->conf->sensors;
  }
  if (w != NULL && writer_encode(w, batch))
    result = write_encoded(s, w, batch, ticket, &err);
  else
    result = cof_fail(&err, COF_RETRY, "out of memory for a batch of %zu records",
                      cof_batch_count(batch));
  report(s, result, w != NULL ? w->bytes : 0, &err);
  if (result == COF_OK)
    for (size_t i = 0; i < w->refused_count; i++)
      cof_ticket_reject(s->host, ticket, w->refused[i].index, w->refused[i].reason);
  if (w != NULL)
    writer_give(s, w);
  cof_ticket_done(s->host, ticket, result);
}
