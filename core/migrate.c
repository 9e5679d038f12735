/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checksum_private.h"
#include "cli_private.h"
#include "log_private.h"
#include "tallies_private.h"
#include "transfer_private.h"
#include "tuples_private.h"
#include "verify_private.h"

/* Batches grow, up to a size for which storages have a faster way, as long as writing one is quick:
   so that a slow storage has them in steps that can be shown and stopped between. */
#define BATCH_FIRST   1024
#define BATCH_RECORDS 65536
#define BATCH_BYTES   ((size_t)32 << 20)
#define BATCH_NS      UINT64_C(300000000)

static bool keeps_zones(struct instance *storage)
{
  return (cof_storage_caps(&storage->host) & COF_CAP_BAILIWICK) != 0;
}

static enum cof_result look_for_any(struct transfer *t, bool *fresh)
{
  struct scan scan = {.storage = NULL};
  struct cof_query query = COF_QUERY_INIT;
  struct cof_batch *batch = cof_batch_create();
  enum cof_result r = batch != NULL ? COF_OK : COF_FATAL;
  query.kind = COF_QUERY_ALL;
  query.limit = 1;
  transfer_scan(t, &scan, t->to, &query);
  if (r == COF_OK)
    r = scan_next(&scan, batch, 1, BATCH_BYTES);
  *fresh = r == COF_OK && cof_batch_count(batch) == 0;
  scan_free(&scan);
  cof_batch_destroy(&batch);
  return r;
}

/* Where to begin: what the state file says, or the beginning. */
static enum cof_result begin(struct transfer *t)
{
  struct cof_error err;
  bool found;
  enum cof_result r = resume_load(t->resume, &found, &err);
  if (r != COF_OK) {
    log_write("cofd", COF_LOG_ERROR, "%s", err.text);
    return r;
  }
  if (found) {
    log_write("cofd", COF_LOG_INFO, "going on after %" PRIu64 " records", t->resume->records);
    t->before = t->resume->records;
    return COF_OK;
  }
  r = look_for_any(t, &t->resume->fresh);
  if (r == COF_OK && !transfer_save(t, true))
    r = COF_FATAL;
  t->resume->saved_ns = 0; /* the first batch is worth remembering at once */
  return r;
}

/* What is stored becomes a statement of how often each was seen up to now, which says nothing new
   when it is written again. */
static void state_totals(struct cof_batch *batch)
{
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    struct cof_record *r = cof_batch_at(batch, i);
    r->total = r->count;
    r->count = 0;
  }
}

static void add_up(struct transfer *t, const struct cof_batch *batch)
{
  struct resume *resume = t->resume;
  bool zones = keeps_zones(t->to);
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    struct cof_record r = *cof_batch_at(batch, i);
    if (r.verdict != COF_KEEP)
      continue;
    r.count = r.total;
    r.zones = zones ? r.zones : 0;
    resume->sum += checksum_record(&r);
    resume->records++;
  }
}

static enum cof_result write_one(struct transfer *t, struct cof_batch *batch, struct tuples *tuples,
                                 const struct scan *scan)
{
  uint64_t refused = 0;
  state_totals(batch);
  if (!tuples_index(tuples, batch))
    return COF_FATAL;
  enum cof_result r = writer_write(t->writer, batch, &refused);
  if (r != COF_OK)
    return r;
  add_up(t, batch);
  t->resume->refused += refused;
  atomic_store(&t->records, t->resume->records);
  atomic_store(&t->refused, t->resume->refused);
  if (t->resume->file == NULL)
    return COF_OK;
  if (!resume_set_token(t->resume, scan->token, scan->token_len) || !transfer_save(t, false))
    return COF_FATAL;
  return COF_OK;
}

static enum cof_result move_records(struct transfer *t)
{
  struct scan scan = {.storage = NULL};
  struct cof_query query = COF_QUERY_INIT;
  struct tuples tuples = {.batch = NULL};
  struct cof_batch *batch = cof_batch_create();
  query.kind = COF_QUERY_ALL;
  transfer_scan(t, &scan, t->from, &query);
  transfer_phase(t, "moving", t->resume->records, transfer_estimate(t->from));
  enum cof_result r = batch != NULL && (t->resume->token_len == 0 ||
                                        scan_resume(&scan, t->resume->token, t->resume->token_len))
                          ? COF_OK
                          : COF_FATAL;
  for (size_t size = BATCH_FIRST; r == COF_OK;) {
    cof_batch_clear(batch);
    r = scan_next(&scan, batch, size, BATCH_BYTES);
    if (r != COF_OK || cof_batch_count(batch) == 0)
      break;
    uint64_t begin_ns = clock_ns();
    r = write_one(t, batch, &tuples, &scan);
    if (size < BATCH_RECORDS && clock_ns() - begin_ns < BATCH_NS)
      size *= 2;
  }
  scan_free(&scan);
  tuples_free(&tuples);
  cof_batch_destroy(&batch);
  return r;
}

/* --- verifying ----------------------------------------------------------------------------- */

static enum cof_result look_up_each(struct transfer *t, struct instance *storage,
                                    struct instance *in, bool exact, bool *good)
{
  struct verify_counts counts;
  t->before = 0;
  transfer_phase(t, "checking", 0, transfer_estimate(storage));
  enum cof_result r = verify_each(t, storage, in, exact, &counts);
  if (r != COF_OK)
    return r;
  uint64_t bad = counts.missing + counts.less;
  if (bad != 0)
    log_write("cofd", COF_LOG_ERROR,
              "of %" PRIu64 " records of %s, %" PRIu64 " are missing in %s and %" PRIu64 " %s",
              counts.records, storage->source, counts.missing, in->source, counts.less,
              exact ? "differ" : "have a later first, an earlier last or a smaller count there");
  *good = *good && bad == 0;
  return COF_OK;
}

/* The target was empty, so it must now hold what was read and nothing else. Where sums differ, both
   are compared record by record: the one that was read may give a record twice. */
static enum cof_result verify_fresh(struct transfer *t, bool *good)
{
  uint64_t records, sum;
  t->before = 0;
  transfer_phase(t, "checking", 0, t->resume->records);
  enum cof_result r = verify_sum(t, t->to, &records, &sum);
  if (r != COF_OK || (records == t->resume->records && sum == t->resume->sum))
    return r;
  log_write("cofd", COF_LOG_WARNING,
            "%" PRIu64 " records were read and %" PRIu64
            " are in %s, or their checksums differ; comparing each",
            t->resume->records, records, t->to->source);
  r = look_up_each(t, t->from, t->to, true, good);
  return r == COF_OK ? look_up_each(t, t->to, t->from, true, good) : r;
}

static enum cof_result verify(struct transfer *t, bool *good)
{
  *good = true;
  enum cof_result r =
      t->resume->fresh ? verify_fresh(t, good) : look_up_each(t, t->from, t->to, false, good);
  if (r == COF_OK && t->resume->refused != 0) {
    log_write("cofd", COF_LOG_ERROR, "%s refused %" PRIu64 " records", t->to->source,
              t->resume->refused);
    *good = false;
  }
  return r;
}

/* --- the command --------------------------------------------------------------------------- */

static void sum_up(const struct transfer *t, enum cof_result r, bool good)
{
  double seconds = transfer_seconds(t);
  const struct resume *s = t->resume;
  uint64_t here = s->records - s->begin_records;
  printf("%s %" PRIu64 " records in %.1f s (%.0f/s), %" PRIu64 " refused: %s\n",
         r == COF_OK ? "moved" : "interrupted after", s->records, seconds,
         seconds > 0 ? (double)here / seconds : 0, s->refused,
         r != COF_OK ? (s->file != NULL ? "the same command goes on from there"
                                        : "the same command begins anew, which does no harm")
         : !good     ? "NOT all of it is as it should be"
         : s->fresh  ? "verified, both hold the same"
                     : "verified, all of it is there");
  fflush(stdout);
}

static void log_failure(const struct transfer *t, enum cof_result r)
{
  if (r == COF_STOPPED)
    log_write("cofd", COF_LOG_INFO, "stopped by a signal");
  else if (r == COF_FATAL)
    log_write("cofd", COF_LOG_ERROR, "%s did not get through", t->command);
}

static bool work(struct transfer *t)
{
  struct cof_error err;
  bool good = false;
  enum cof_result r = begin(t);
  if (r != COF_OK)
    return false;
  if (keeps_zones(t->from) && !keeps_zones(t->to))
    log_write("cofd", COF_LOG_WARNING, "%s keeps no bailiwicks: those of %s do not go along",
              t->to->source, t->from->source);
  if ((cof_storage_caps(&t->from->host) & COF_CAP_SENSOR) != 0)
    log_write("cofd", COF_LOG_WARNING, "what single sensors saw of the records of %s stays there",
              t->from->source);
  t->resume->begin_records = t->resume->records;
  r = move_records(t);
  if (r == COF_OK && t->resume->file != NULL && !transfer_save(t, true))
    r = COF_FATAL;
  transfer_tell_counters(t);
  if (r == COF_OK)
    r = tallies_move(t);
  if (r == COF_OK)
    r = verify(t, &good);
  if (r != COF_OK && !transfer_save(t, true))
    r = COF_FATAL;
  if (r == COF_OK && resume_remove(t->resume, &err) != COF_OK)
    log_write("cofd", COF_LOG_WARNING, "%s", err.text);
  log_failure(t, r);
  sum_up(t, r, good);
  return r == COF_OK && good;
}

static bool usage_right(const struct cli *cli)
{
  if (cli->from == NULL || cli->to == NULL)
    fprintf(stderr, "cofd migrate: %s is missing; name a [storage.NAME] of the configuration\n",
            cli->from == NULL ? "--from" : "--to");
  else if (strcmp(cli->from, cli->to) == 0)
    fprintf(stderr, "cofd migrate: --from and --to both name '%s'; expected two storages\n",
            cli->to);
  else
    return true;
  return false;
}

int cmd_migrate(const struct cli *cli)
{
  char *what = NULL;
  if (!usage_right(cli))
    return 2;
  if (asprintf(&what, "migrate --from %s --to %s", cli->from, cli->to) < 0)
    return 1;
  struct resume resume = {.file = cli->state_file, .what = what};
  struct transfer transfer = {.command = "cofd migrate",
                              .from_name = cli->from,
                              .to_name = cli->to,
                              .from_caps = COF_CAP_SCAN,
                              .to_caps = COF_CAP_SCAN | COF_CAP_RRNAME,
                              .resume = &resume,
                              .work = work};
  if (cli->state_file != NULL)
    transfer.from_caps |= COF_CAP_RESUME;
  int status = transfer_run(&transfer, cli);
  resume_free(&resume);
  free(what);
  return status;
}
