/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "options_private.h"
#include "priority_private.h"
#include "write_private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Ingestion outruns compaction when it goes on for long, and each file that waits for compaction
   makes every query slower: then the writer waits, and its chain with it. Where nobody asks, as
   within an import, there is nothing to wait for until there are very many, nor to be read. */
#define WAIT_STEP_NS 5000000
#define WAIT_STEPS   1000
#define ASKED_NS     (UINT64_C(600) * 1000000000)
/* Keys lie in the order of records, and are wanted in their own. */
#define PREFETCH 8
/* Files that are ingested at once. */
#define PARTS_MAX 3
/* Sequences of items that go into one file. */
#define RUNS_MAX 2

typedef void (*sst_fn)(rocksdb_sstfilewriter_t *, const char *, size_t, const char *, size_t,
                       char **);

/* Items in key order. */
struct run {
  const struct item *items;
  size_t count;
  sst_fn add;
};

/* An SST file: a part of what the writer holds. */
struct part {
  const struct store *store;
  struct writer *writer;
  rocksdb_column_family_handle_t *family;
  void (*sort)(struct writer *);
  size_t (*runs)(const struct writer *, struct run runs[RUNS_MAX]); /* once sorted, in key order */
  char *path;
  char *error; /* of RocksDB; NULL: it is built */
};

static size_t names_runs(const struct writer *w, struct run runs[RUNS_MAX])
{
  runs[0] = (struct run){w->names, w->names_count, rocksdb_sstfilewriter_put};
  return 1;
}

static size_t forward_runs(const struct writer *w, struct run runs[RUNS_MAX])
{
  runs[0] = (struct run){w->forward, w->count, rocksdb_sstfilewriter_merge};
  return 1;
}

static size_t sights_runs(const struct writer *w, struct run runs[RUNS_MAX])
{
  runs[0] = (struct run){w->sights, w->sights_count, rocksdb_sstfilewriter_merge};
  return 1;
}

/* And the counters, whose space follows. */
static size_t reverse_runs(const struct writer *w, struct run runs[RUNS_MAX])
{
  runs[0] = (struct run){w->reverse, w->count, rocksdb_sstfilewriter_put};
  runs[1] = (struct run){w->stats, w->stats_count, rocksdb_sstfilewriter_merge};
  return 2;
}

static void add_items(rocksdb_sstfilewriter_t *sst, const struct run *run, char **error)
{
  for (size_t i = 0; i < run->count && *error == NULL; i++) {
    const struct item *it = &run->items[i];
    item_prefetch(run->items, run->count, i + PREFETCH);
    priority_offer(1);
    run->add(sst, (const char *)it->key, it->key_len, (const char *)it->key + it->key_len,
             it->value_len, error);
  }
}

/* Nothing is stored between the first and the last key, roughly: what little there is may be taken
   for nothing. RocksDB puts such a file where what has settled is, and does not compact it again
   until others overlap it: the first of a database, and those of records that come in order. Of
   reverse keys it does so with the first alone, as the counters are in every file; LZ4 for those
   after it does no harm. */
static bool lies_apart(const struct part *part, const struct run *run)
{
  if (run->count == 0)
    return false;
  const struct item *first = &run->items[0], *last = &run->items[run->count - 1];
  const char *from = (const char *)first->key, *to = (const char *)last->key;
  size_t from_len = first->key_len, to_len = last->key_len;
  uint64_t size = 0;
  char *error = NULL;
  rocksdb_approximate_sizes_cf(part->store->db, part->family, 1, &from, &from_len, &to, &to_len,
                               &size, &error);
  bool apart = error == NULL && size == 0;
  rocksdb_free(error);
  return apart;
}

static bool asked_lately(const struct store *s)
{
  uint64_t asked = atomic_load(&s->asked_ns);
  return asked != 0 && cof_clock_ns(s->host) - asked < ASKED_NS;
}

/* RocksDB has the kernel forget a file that it made, so that questions would wait for the disk. */
static void read_ahead(const char *path)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return; /* then it is read when it is wanted */
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
  close(fd);
}

static void *build(void *arg)
{
  struct part *part = arg;
  const struct store *s = part->store;
  struct run runs[RUNS_MAX];
  part->sort(part->writer);
  size_t count = part->runs(part->writer, runs);
  rocksdb_sstfilewriter_t *sst = rocksdb_sstfilewriter_create(
      s->env_options, lies_apart(part, &runs[0]) ? s->settled_options : s->sst_options);
  rocksdb_sstfilewriter_open(sst, part->path, &part->error);
  for (size_t i = 0; i < count && part->error == NULL; i++)
    add_items(sst, &runs[i], &part->error);
  if (part->error == NULL)
    rocksdb_sstfilewriter_finish(sst, &part->error);
  rocksdb_sstfilewriter_destroy(sst);
  if (part->error == NULL && asked_lately(s))
    read_ahead(part->path);
  return NULL;
}

/* The first in this thread, the second in one of its own, if there can be one, and the third, whose
   sort needs nothing of theirs, after the first. */
static void build_all(struct part *parts, size_t count)
{
  pthread_t thread;
  bool threaded = count > 1 && pthread_create(&thread, NULL, build, &parts[1]) == 0;
  build(&parts[0]);
  if (count > 2)
    build(&parts[2]);
  if (threaded)
    pthread_join(thread, NULL);
  else if (count > 1)
    build(&parts[1]);
}

static void wait_for_compaction(const struct store *s)
{
  const struct timespec step = {.tv_nsec = WAIT_STEP_NS};
  uint64_t most = asked_lately(s) ? OPTIONS_WAITING_FILES : OPTIONS_MOST_FILES;
  for (int i = 0; i < WAIT_STEPS; i++) {
    if (db_number(s, "rocksdb.num-files-at-level0") < most &&
        db_names_number(s, "rocksdb.num-files-at-level0") < most)
      return;
    nanosleep(&step, NULL);
  }
}

static bool choose_paths(struct store *s, struct part *parts, size_t count)
{
  size_t room = strlen(s->ingest_dir) + 32;
  bool ok = true;
  for (size_t i = 0; i < count; i++) {
    parts[i].path = malloc(room);
    if (parts[i].path == NULL)
      ok = false;
    else
      snprintf(parts[i].path, room, "%s/%" PRIuFAST64 ".sst", s->ingest_dir,
               atomic_fetch_add(&s->file, 1));
  }
  return ok;
}

/* All of the files or none. */
static enum cof_result ingest_built(struct store *s, const struct part *parts, size_t count,
                                    struct cof_error *err)
{
  const char *paths[PARTS_MAX];
  char *error = NULL;
  for (size_t i = 0; i < count; i++)
    paths[i] = parts[i].path;
  wait_for_compaction(s);
  rocksdb_ingest_external_file_cf(s->db, parts[0].family, paths, count, s->ingest_options, &error);
  return error == NULL ? COF_OK : db_error(error, "cannot ingest a file", err);
}

/* The first error, the others freed. */
static enum cof_result build_result(const struct part *parts, size_t count, struct cof_error *err)
{
  enum cof_result result = COF_OK;
  for (size_t i = 0; i < count; i++) {
    if (parts[i].error == NULL)
      continue;
    if (result == COF_OK)
      result = db_error(parts[i].error, "cannot build a file to ingest", err);
    else
      rocksdb_free(parts[i].error);
  }
  return result;
}

/* Files of one column family. */
static enum cof_result ingest(struct store *s, struct part *parts, size_t count,
                              struct cof_error *err)
{
  enum cof_result result = COF_OK;
  if (choose_paths(s, parts, count)) {
    build_all(parts, count);
    result = build_result(parts, count, err);
    if (result == COF_OK)
      result = ingest_built(s, parts, count, err);
    for (size_t i = 0; i < count && result != COF_OK; i++)
      unlink(parts[i].path);
  } else {
    result = cof_fail(err, COF_RETRY, "out of memory");
  }
  for (size_t i = 0; i < count; i++)
    free(parts[i].path);
  return result;
}

/* The forward index first: a name without records says nothing, records without their name would
   not be found by it. */
enum cof_result bulk_write(struct store *s, struct writer *w, struct cof_error *err)
{
  struct part names = {s, w, s->names, writer_sort_names, names_runs, NULL, NULL};
  struct part records[PARTS_MAX] = {
      {s, w, s->family, writer_sort_forward, forward_runs, NULL, NULL},
      {s, w, s->family, writer_sort_reverse, reverse_runs, NULL, NULL},
      {s, w, s->family, writer_sort_sights, sights_runs, NULL, NULL}};
  size_t count = w->sights_count != 0 ? PARTS_MAX : PARTS_MAX - 1;
  enum cof_result result = COF_OK;
  if (s->names != NULL && w->names_count != 0)
    result = ingest(s, &names, 1, err);
  return result == COF_OK ? ingest(s, records, count, err) : result;
}
