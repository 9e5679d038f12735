/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How many records of each type, and of each day on which they were first seen. No storage keeps
 * these numbers, so a thread counts, when somebody asks and the last count is old.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "info_private.h"
#include "rest_private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TYPES    65536
#define DAYS_MAX 100000
#define DAY      86400
#define BATCH    512
/* Longest time of a scan. */
#define SCAN_NS UINT64_C(600000000000)

struct day {
  int64_t day;
  uint64_t records;
};

/* What a scan found. */
struct count {
  uint64_t records;
  bool complete;
  int64_t taken;     /* seconds UTC */
  uint64_t taken_ns; /* monotonic */
  char failure[COF_ERROR_MAX];
  size_t days_count, days_room;
  struct day *days; /* by day */
  uint64_t other_days;
  uint64_t types[TYPES];
};

struct tally {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t thread;
  bool started, stop, wanted, running;
  uint64_t most, age_ns;
  struct count *last; /* NULL: none yet */
};

static void count_destroy(struct count *c)
{
  if (c != NULL)
    free(c->days);
  free(c);
}

struct tally *tally_create(const struct rest_conf *conf)
{
  struct tally *t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  if (pthread_mutex_init(&t->lock, NULL) != 0) {
    free(t);
    return NULL;
  }
  if (pthread_cond_init(&t->wake, NULL) != 0) {
    pthread_mutex_destroy(&t->lock);
    free(t);
    return NULL;
  }
  t->most = (uint64_t)conf->stats_records;
  t->age_ns = (uint64_t)conf->stats_age * UINT64_C(1000000);
  return t;
}

void tally_destroy(struct tally **tally)
{
  struct tally *t = *tally;
  *tally = NULL;
  if (t == NULL)
    return;
  pthread_cond_destroy(&t->wake);
  pthread_mutex_destroy(&t->lock);
  count_destroy(t->last);
  free(t);
}

/* --- counting ------------------------------------------------------------------------------- */

/* Where a day is, or belongs. */
static size_t find_day(const struct count *c, int64_t day)
{
  size_t low = 0, high = c->days_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (c->days[middle].day < day)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool add_day(struct count *c, int64_t day)
{
  size_t i = find_day(c, day);
  if (i < c->days_count && c->days[i].day == day) {
    c->days[i].records++;
    return true;
  }
  if (c->days_count == DAYS_MAX) {
    c->other_days++;
    return true;
  }
  if (c->days_count == c->days_room) {
    size_t room = c->days_room != 0 ? 2 * c->days_room : 256;
    struct day *days = realloc(c->days, room * sizeof *days);
    if (days == NULL)
      return false;
    c->days = days;
    c->days_room = room;
  }
  memmove(c->days + i + 1, c->days + i, (c->days_count - i) * sizeof *c->days);
  c->days[i] = (struct day){day, 1};
  c->days_count++;
  return true;
}

static bool add_batch(struct count *c, const struct cof_batch *batch)
{
  size_t n = cof_batch_count(batch);
  for (size_t i = 0; i < n; i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    c->types[r->rrtype]++;
    c->records++;
    if (!add_day(c, r->time_first / DAY))
      return false;
  }
  return true;
}

static bool is_stopped(struct tally *t)
{
  pthread_mutex_lock(&t->lock);
  bool stop = t->stop;
  pthread_mutex_unlock(&t->lock);
  return stop;
}

/* Read on to the end, or to one more than may be counted. */
static enum cof_result read_on(struct rest *rest, struct cof_cursor *cursor, struct count *c,
                               struct cof_batch *batch, struct cof_error *err)
{
  for (;;) {
    if (is_stopped(rest->tally))
      return cof_fail(err, COF_STOPPED, "cofd stopped");
    uint64_t left = rest->tally->most - c->records;
    cof_batch_clear(batch);
    enum cof_result r = cof_query_next(rest->host, cursor,
                                       left == 0      ? 1
                                       : left < BATCH ? (size_t)left
                                                      : BATCH,
                                       batch, err);
    if (r != COF_OK)
      return r;
    c->complete = cof_batch_count(batch) == 0;
    if (c->complete || left == 0)
      return COF_OK;
    if (!add_batch(c, batch))
      return cof_fail(err, COF_FATAL, "out of memory");
  }
}

static void scan(struct rest *rest, struct count *c)
{
  struct cof_query query = COF_QUERY_INIT;
  struct cof_cursor *cursor = NULL;
  struct cof_error err = {""};
  struct cof_batch *batch = cof_batch_create();
  query.kind = COF_QUERY_ALL;
  query.limit = rest->tally->most + 1;
  query.deadline_ns = cof_clock_ns(rest->host) + SCAN_NS;
  enum cof_result r = batch != NULL ? cof_query_open(rest->host, &query, &cursor, &err)
                                    : cof_fail(&err, COF_FATAL, "out of memory");
  if (r == COF_OK)
    r = read_on(rest, cursor, c, batch, &err);
  if (r != COF_OK)
    snprintf(c->failure, sizeof c->failure, "%s", err.text);
  if (cursor != NULL)
    cof_query_close(rest->host, &cursor);
  cof_batch_destroy(&batch);
  c->taken = (int64_t)time(NULL);
  c->taken_ns = cof_clock_ns(rest->host);
}

static void *work(void *arg)
{
  struct rest *rest = arg;
  struct tally *t = rest->tally;
  pthread_mutex_lock(&t->lock);
  while (!t->stop) {
    if (!t->wanted) {
      pthread_cond_wait(&t->wake, &t->lock);
      continue;
    }
    t->wanted = false;
    t->running = true;
    pthread_mutex_unlock(&t->lock);
    struct count *c = calloc(1, sizeof *c);
    if (c != NULL)
      scan(rest, c);
    else
      cof_log(rest->host, COF_LOG_ERROR, "out of memory for counting records");
    pthread_mutex_lock(&t->lock);
    t->running = false;
    if (c != NULL) {
      count_destroy(t->last);
      t->last = c;
    }
  }
  pthread_mutex_unlock(&t->lock);
  return NULL;
}

enum cof_result tally_start(struct rest *rest)
{
  sigset_t all, before;
  if (rest->tally->most == 0)
    return COF_OK;
  /* Signals are for the host's main thread. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rest->tally->started = pthread_create(&rest->tally->thread, NULL, work, rest) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rest->tally->started)
    return COF_OK;
  cof_log(rest->host, COF_LOG_ERROR, "cannot start the thread that counts records");
  return COF_FATAL;
}

void tally_stop(struct rest *rest)
{
  struct tally *t = rest->tally;
  if (!t->started)
    return;
  pthread_mutex_lock(&t->lock);
  t->stop = true;
  pthread_cond_signal(&t->wake);
  pthread_mutex_unlock(&t->lock);
  pthread_join(t->thread, NULL);
  t->started = false;
}

/* --- telling -------------------------------------------------------------------------------- */

static json_t *by_type(const struct count *c)
{
  char text[COF_RRTYPE_TEXT_MAX];
  json_t *out = json_object();
  bool ok = out != NULL;
  for (unsigned i = 0; i < TYPES && ok; i++)
    if (c->types[i] != 0)
      ok = json_object_set_new(out, cof_rrtype_text((uint16_t)i, text), info_number(c->types[i])) ==
           0;
  if (!ok) {
    json_decref(out);
    out = NULL;
  }
  return out;
}

static json_t *by_day(const struct count *c)
{
  json_t *out = json_object();
  bool ok = out != NULL;
  for (size_t i = 0; i < c->days_count && ok; i++) {
    char text[48];
    struct tm tm;
    time_t at = (time_t)(c->days[i].day * DAY);
    ok = gmtime_r(&at, &tm) != NULL && strftime(text, sizeof text, "%Y-%m-%d", &tm) != 0 &&
         json_object_set_new(out, text, info_number(c->days[i].records)) == 0;
  }
  if (ok && c->other_days != 0)
    ok = json_object_set_new(out, "other", info_number(c->other_days)) == 0;
  if (!ok) {
    json_decref(out);
    out = NULL;
  }
  return out;
}

/* What the last scan found. The lock is held. */
static bool add_count(json_t *out, struct rest *rest, const struct count *c)
{
  uint64_t now = cof_clock_ns(rest->host);
  uint64_t age = now > c->taken_ns ? (now - c->taken_ns) / 1000000000 : 0;
  return json_object_set_new(out, "taken", json_integer(c->taken)) == 0 &&
         json_object_set_new(out, "age", info_number(age)) == 0 &&
         json_object_set_new(out, "records", info_number(c->records)) == 0 &&
         json_object_set_new(out, "complete", json_boolean(c->complete)) == 0 &&
         (c->failure[0] == '\0' ||
          json_object_set_new(out, "failure", info_string(c->failure)) == 0) &&
         json_object_set_new(out, "by_type", by_type(c)) == 0 &&
         json_object_set_new(out, "by_day_first_seen", by_day(c)) == 0;
}

/* Start a scan where one is due. The lock is held. */
static const char *state(struct rest *rest)
{
  struct tally *t = rest->tally;
  if (t->most == 0)
    return "off";
  if ((cof_storage_caps(rest->host) & COF_CAP_SCAN) == 0)
    return "unsupported";
  uint64_t now = cof_clock_ns(rest->host);
  bool old = t->last == NULL || (now > t->last->taken_ns && now - t->last->taken_ns >= t->age_ns);
  if (old && !t->running && !t->wanted) {
    t->wanted = true;
    pthread_cond_signal(&t->wake);
  }
  return t->running || t->wanted ? "running" : "done";
}

static bool add_scan(json_t *root, struct rest *rest)
{
  struct tally *t = rest->tally;
  json_t *scan = json_object();
  pthread_mutex_lock(&t->lock);
  bool ok = scan != NULL && json_object_set_new(scan, "state", json_string(state(rest))) == 0 &&
            (t->most == 0 || json_object_set_new(scan, "most", info_number(t->most)) == 0) &&
            (t->last == NULL || add_count(scan, rest, t->last));
  pthread_mutex_unlock(&t->lock);
  if (ok)
    return json_object_set_new(root, "scan", scan) == 0;
  json_decref(scan);
  return false;
}

enum cof_result tally_text(struct rest *rest, char **out, struct cof_error *err)
{
  struct cof_storage_stats stats = {0};
  json_t *root = json_object(), *sensors = NULL;
  enum cof_result r = info_sensors(rest, &stats, &sensors, err);
  *out = NULL;
  if (r == COF_OK && root != NULL &&
      json_object_set_new(root, "observations", info_number(stats.observations)) == 0 &&
      json_object_set_new(root, "records", info_number(stats.records)) == 0 &&
      json_object_set_new(root, "records_exact", json_boolean(stats.records_exact)) == 0 &&
      json_object_set(root, "sensors", sensors) == 0 && add_scan(root, rest))
    *out = json_dumps(root, JSON_ENSURE_ASCII);
  json_decref(sensors);
  json_decref(root);
  if (r == COF_OK && *out == NULL)
    r = cof_fail(err, COF_FATAL, "out of memory");
  return r;
}
