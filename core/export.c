/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cofd/cofjson.h>

#include "cli_private.h"
#include "log_private.h"
#include "transfer_private.h"

#define BATCH_RECORDS 4096
#define BATCH_BYTES   ((size_t)8 << 20)
#define SAVE_NS       UINT64_C(1000000000)
#define TYPES_MAX     1024

/* Where the lines go. A regular file is written beside its place and moved there when complete. */
struct sink {
  const char *path; /* NULL: standard output */
  char *part;       /* the file being written; NULL: path itself, or standard output */
  FILE *file;
  char *line; /* room for one record */
  size_t room;
};

struct export
{
  struct cof_query query;
  char under[COF_NAME_MAX];
  uint16_t types[TYPES_MAX];
  struct sink sink;
};

/* --- the question --------------------------------------------------------------------------- */

static bool parse_types(struct export *e, const char *list)
{
  size_t len;
  for (const char *p = list; *p != '\0'; p += len + (p[len] == ',')) {
    len = strcspn(p, ",");
    if (e->query.rrtypes_count == TYPES_MAX ||
        !cof_rrtype_parse(p, len, &e->types[e->query.rrtypes_count])) {
      fprintf(
          stderr,
          "cofd export: --rrtype: '%.*s' is no record type; expected up to %d such as A, TYPE64 "
          "or 64, separated by commas\n",
          (int)(len < 64 ? len : 64), p, TYPES_MAX);
      return false;
    }
    e->query.rrtypes_count++;
  }
  e->query.rrtypes = e->types;
  if (e->query.rrtypes_count == 0)
    fprintf(stderr, "cofd export: --rrtype: expected at least one record type\n");
  return e->query.rrtypes_count != 0;
}

static bool parse_under(struct export *e, const char *text)
{
  struct cof_error err;
  size_t len;
  if (cof_name_canon(text, strlen(text), e->under, &len, &err) != COF_OK) {
    fprintf(stderr, "cofd export: --under: '%.256s' is no domain name: %s\n", text, err.text);
    return false;
  }
  e->query.kind = COF_QUERY_SUBDOMAINS;
  e->query.name = e->under;
  return true;
}

static bool parse_date(const char *text, int64_t *time)
{
  static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct tm tm = {.tm_mday = 1};
    const char *end = strptime(text, forms[i], &tm);
    if (end != NULL && *end == '\0') {
      *time = (int64_t)timegm(&tm);
      return true;
    }
  }
  return false;
}

static bool parse_time(struct export *e, const char *text)
{
  char *end;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  int64_t time = (int64_t)number;
  bool ok = *text != '\0' && *end == '\0' && errno == 0;
  if ((!ok && !parse_date(text, &time)) || time < 0 || time > COF_TIME_MAX) {
    fprintf(stderr,
            "cofd export: --time-last-after: '%.64s' is no time; expected seconds UTC, 2026-01-31 "
            "or 2026-01-31T12:00:00Z\n",
            text);
    return false;
  }
  e->query.time_last_after = time;
  return true;
}

static bool parse(struct export *e, const struct cli *cli)
{
  e->query = (struct cof_query)COF_QUERY_INIT;
  e->query.kind = COF_QUERY_ALL;
  return (cli->rrtypes == NULL || parse_types(e, cli->rrtypes)) &&
         (cli->under == NULL || parse_under(e, cli->under)) &&
         (cli->time_last_after == NULL || parse_time(e, cli->time_last_after));
}

static uint64_t needed_caps(const struct export *e, const struct cli *cli)
{
  return (e->query.kind == COF_QUERY_ALL ? COF_CAP_SCAN : COF_CAP_SUBDOMAINS) |
         (cli->rrtypes != NULL ? COF_CAP_RRTYPE : 0) |
         (cli->time_last_after != NULL ? COF_CAP_FENCES : 0) |
         (cli->state_file != NULL ? COF_CAP_RESUME : 0);
}

/* --- the sink ------------------------------------------------------------------------------- */

static bool sink_failed(const struct sink *s)
{
  log_write("cofd", COF_LOG_ERROR, "%s: cannot be written: %s",
            s->path != NULL ? (s->part != NULL ? s->part : s->path) : "standard output",
            strerror(errno));
  return false;
}

/* @param octets  of an earlier run that are good; what is behind them is cut off */
static bool sink_open(struct sink *s, uint64_t octets)
{
  struct stat st;
  if (s->path == NULL) {
    s->file = stdout;
    return true;
  }
  bool special = stat(s->path, &st) == 0 && !S_ISREG(st.st_mode);
  if (!special && asprintf(&s->part, "%s.part", s->path) < 0)
    return sink_failed(s);
  s->file = fopen(special ? s->path : s->part, octets != 0 ? "r+e" : "we");
  if (s->file == NULL)
    return sink_failed(s);
  if (octets == 0 || special)
    return true;
  if (fstat(fileno(s->file), &st) != 0)
    return sink_failed(s);
  if ((uint64_t)st.st_size < octets) {
    log_write("cofd", COF_LOG_ERROR,
              "%s: has %lld octets, and %" PRIu64
              " were written before; it cannot be gone on with: remove the state file",
              s->part, (long long)st.st_size, octets);
    return false;
  }
  return (ftruncate(fileno(s->file), (off_t)octets) == 0 &&
          fseeko(s->file, (off_t)octets, SEEK_SET) == 0) ||
         sink_failed(s);
}

static bool sink_put(struct sink *s, const struct cof_record *r, uint64_t *octets)
{
  static const struct cof_write_options options = {.origin = NULL};
  size_t bound = COF_JSON_BOUND(r, 0) + COF_ZONES_BOUND(r);
  if (bound > s->room) {
    char *line = realloc(s->line, 2 * bound);
    if (line == NULL)
      return sink_failed(s);
    s->line = line;
    s->room = 2 * bound;
  }
  size_t len = cof_write_json(r, &options, s->line) - strlen("}\n");
  len += cof_write_zones(r, s->line + len);
  memcpy(s->line + len, "}\n", 2);
  len += 2;
  *octets += len;
  return fwrite(s->line, 1, len, s->file) == len || sink_failed(s);
}

/* On disk, where it is a file. */
static bool sink_flush(struct sink *s)
{
  if (fflush(s->file) != 0)
    return sink_failed(s);
  return s->part == NULL || fsync(fileno(s->file)) == 0 || sink_failed(s);
}

static bool sink_close(struct sink *s, bool complete)
{
  bool ok = true;
  if (s->file != NULL && s->file != stdout && fclose(s->file) != 0)
    ok = sink_failed(s);
  s->file = NULL;
  if (ok && complete && s->part != NULL && rename(s->part, s->path) != 0)
    ok = sink_failed(s);
  free(s->part);
  free(s->line);
  return ok;
}

/* --- the work ------------------------------------------------------------------------------- */

static enum cof_result begin(struct transfer *t, struct export *e)
{
  struct cof_error err;
  bool found;
  enum cof_result r = resume_load(t->resume, &found, &err);
  if (r != COF_OK) {
    log_write("cofd", COF_LOG_ERROR, "%s", err.text);
    return r;
  }
  if (found)
    log_write("cofd", COF_LOG_INFO, "going on after %" PRIu64 " records", t->resume->records);
  t->before = t->resume->begin_records = t->resume->records;
  return sink_open(&e->sink, t->resume->octets) ? COF_OK : COF_FATAL;
}

static bool remember(struct transfer *t, struct export *e, const struct scan *scan)
{
  if (t->resume->file == NULL || scan->token_len == 0)
    return true;
  if (!resume_set_token(t->resume, scan->token, scan->token_len))
    return false;
  /* What is remembered must be on disk first. */
  return (clock_ns() - t->resume->saved_ns < SAVE_NS) ||
         (sink_flush(&e->sink) && transfer_save(t, true));
}

static bool put_all(struct transfer *t, struct export *e, const struct cof_batch *batch)
{
  for (size_t i = 0; i < cof_batch_count(batch); i++)
    if (!sink_put(&e->sink, cof_batch_at(batch, i), &t->resume->octets))
      return false;
  t->resume->records += cof_batch_count(batch);
  atomic_store(&t->records, t->resume->records);
  return true;
}

static enum cof_result write_records(struct transfer *t, struct export *e)
{
  struct scan scan = {.storage = NULL};
  struct cof_batch *batch = cof_batch_create();
  bool all = e->query.kind == COF_QUERY_ALL && e->query.rrtypes == NULL &&
             e->query.time_last_after == INT64_MIN;
  transfer_scan(t, &scan, t->from, &e->query);
  transfer_phase(t, "exporting", t->resume->records, all ? transfer_estimate(t->from) : 0);
  enum cof_result r = batch != NULL && (t->resume->token_len == 0 ||
                                        scan_resume(&scan, t->resume->token, t->resume->token_len))
                          ? COF_OK
                          : COF_FATAL;
  while (r == COF_OK) {
    cof_batch_clear(batch);
    r = scan_next(&scan, batch, BATCH_RECORDS, BATCH_BYTES);
    if (r != COF_OK || cof_batch_count(batch) == 0)
      break;
    if (!put_all(t, e, batch) || !remember(t, e, &scan))
      r = COF_FATAL;
  }
  scan_free(&scan);
  cof_batch_destroy(&batch);
  return r;
}

static void sum_up(const struct transfer *t, bool done)
{
  double seconds = transfer_seconds(t);
  const struct resume *s = t->resume;
  fprintf(stderr, "%s %" PRIu64 " records in %.1f s (%.0f/s), %" PRIu64 " octets%s\n",
          done ? "exported" : "interrupted after", s->records, seconds,
          seconds > 0 ? (double)(s->records - s->begin_records) / seconds : 0, s->octets,
          done              ? ""
          : s->file != NULL ? "; the same command goes on from there"
                            : "; what was written is not complete");
}

/* Interrupted: whole batches are in the sink, and the token stands behind the last of them. */
static bool save_rest(struct transfer *t, struct export *e)
{
  if (t->resume->file == NULL || t->resume->token_len == 0 || e->sink.file == NULL)
    return true;
  return sink_flush(&e->sink) && transfer_save(t, true);
}

static bool work(struct transfer *t)
{
  struct export *e = t->arg;
  struct cof_error err;
  enum cof_result r = begin(t, e);
  bool begun = r == COF_OK;
  if (r == COF_OK)
    r = write_records(t, e);
  if (r == COF_OK && !sink_flush(&e->sink))
    r = COF_FATAL;
  if (r == COF_STOPPED && !save_rest(t, e))
    r = COF_FATAL;
  if (!sink_close(&e->sink, r == COF_OK))
    r = COF_FATAL;
  if (r == COF_OK && resume_remove(t->resume, &err) != COF_OK)
    log_write("cofd", COF_LOG_WARNING, "%s", err.text);
  if (begun) {
    transfer_tell_counters(t);
    sum_up(t, r == COF_OK);
  }
  return r == COF_OK;
}

static const char *or_all(const char *text)
{
  return text != NULL ? text : "";
}

static char *describe(const struct cli *cli, const struct export *e)
{
  char *what = NULL;
  if (asprintf(&what, "export --from %s -o %s --rrtype %s --under %s --time-last-after %s",
               or_all(cli->from), e->sink.path != NULL ? e->sink.path : "-", or_all(cli->rrtypes),
               e->under, or_all(cli->time_last_after)) < 0)
    return NULL;
  return what;
}

static int run(const struct cli *cli, struct export *e)
{
  char *what = describe(cli, e);
  if (what == NULL)
    return 1;
  if (cli->state_file != NULL && (strlen(what) > RESUME_WHAT_MAX || strchr(what, '\n') != NULL)) {
    fprintf(stderr,
            "cofd export: with --state, the texts of the other options must fit on one "
            "line of %d octets\n",
            RESUME_WHAT_MAX);
    free(what);
    return 2;
  }
  struct resume resume = {.file = cli->state_file, .what = what};
  struct transfer transfer = {.command = "cofd export",
                              .from_name = cli->from,
                              .from_caps = needed_caps(e, cli),
                              .resume = &resume,
                              .arg = e,
                              .work = work};
  int status = transfer_run(&transfer, cli);
  resume_free(&resume);
  free(what);
  return status;
}

int cmd_export(const struct cli *cli)
{
  struct export *e = calloc(1, sizeof *e);
  if (e == NULL)
    return 1;
  bool twice = cli->settings_count > 1;
  if (twice)
    fprintf(stderr, "cofd export: -o is there twice; expected one file\n");
  if (cli->output != NULL && strcmp(cli->output, "-") != 0)
    e->sink.path = cli->output;
  int status = !twice && parse(e, cli) ? run(cli, e) : 2;
  free(e);
  return status;
}
