/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dnsdb_object_private.h"

/* Records asked for at once. */
#define DNSDB_ASK_FIRST 64
#define ASK_MOST        512
#define BATCH_MOST      ((size_t)512 * 1024)
/* How long one call may keep a thread that others wait for, too. */
#define SLICE_NS UINT64_C(200000000)

struct dnsdb {
  struct dnsdb_question q;
  struct dnsdb_means means;
  struct dnsdb_plan plan;
  size_t part;
  struct cof_cursor *cursor; /**< of plan.parts[part]; NULL: it has no more */
  struct cof_batch *batch;
  size_t at, ask; /**< next record of the batch; records to ask for next */
  void *token;    /**< where a cursor goes on that follows another */
  size_t token_len;
  uint64_t deadline_ns;  /**< of the whole answer */
  uint64_t slice;        /**< ns that a cursor gets at a time */
  uint64_t slice_end;    /**< of the call under way */
  enum cof_result ended; /**< why the storage has failed; its good records are still given */
  struct cof_error failure;
  uint64_t limit, skipped;
  bool capped; /**< `limit` is the server's */
  struct dnsdb_sums sums;
  char *scratch;
  size_t scratch_room;
};

static struct cof_host *host_of(const struct answer *a)
{
  return a->worker->rest->host;
}

static enum cof_result no_memory(struct cof_error *err)
{
  return cof_fail(err, COF_FATAL, "out of memory");
}

/* --- cursors -------------------------------------------------------------------------------- */

static bool resumes(const struct dnsdb *d)
{
  return (d->means.caps & COF_CAP_RESUME) != 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/* Open a cursor for the present part, at its beginning or at the token. */
static enum cof_result open_part(struct answer *a, struct dnsdb *d, struct cof_error *err)
{
  const struct dnsdb_part *part = &d->plan.parts[d->part];
  struct cof_query query = COF_QUERY_INIT;
  query.kind = part->kind;
  query.name = part->name;
  query.first = part->first;
  query.last = part->last;
  if ((d->means.caps & COF_CAP_RRTYPE) != 0 && part->only_count != 0) {
    query.rrtypes = part->only;
    query.rrtypes_count = part->only_count;
  }
  if ((d->means.caps & COF_CAP_FENCES) != 0) {
    query.time_first_after = d->q.first_after;
    query.time_first_before = d->q.first_before;
    query.time_last_after = d->q.last_after;
    query.time_last_before = d->q.last_before;
  }
  if (d->q.has_bailiwick)
    query.bailiwick = d->q.bailiwick;
  query.deadline_ns = d->deadline_ns;
  if (resumes(d))
    query.deadline_ns = earlier(d->deadline_ns, cof_clock_ns(host_of(a)) + d->slice);
  if (d->token_len != 0) {
    query.token = d->token;
    query.token_len = d->token_len;
  }
  return cof_query_open(host_of(a), &query, &d->cursor, err);
}

/* The slice of a cursor is over: another one goes on where it stood. One that got nowhere gets
   more time. */
static enum cof_result reopen(struct answer *a, struct dnsdb *d, struct cof_error *err)
{
  size_t before = d->token_len, len = 0;
  if (d->token == NULL)
    d->token = malloc(2 * COF_TOKEN_MAX);
  if (d->token == NULL)
    return no_memory(err);
  unsigned char *fresh = (unsigned char *)d->token + COF_TOKEN_MAX;
  enum cof_result r = cof_query_token(host_of(a), d->cursor, fresh, COF_TOKEN_MAX, &len);
  if (r != COF_OK)
    return cof_fail(err, COF_FATAL, "the storage cannot say where the answer goes on: %s",
                    cof_result_name(r));
  if (before == len && memcmp(d->token, fresh, len) == 0)
    d->slice *= 2;
  memcpy(d->token, fresh, len);
  d->token_len = len;
  cof_query_close(host_of(a), &d->cursor);
  return open_part(a, d, err);
}

static void adapt(struct dnsdb *d)
{
  size_t bytes = cof_batch_bytes(d->batch);
  if (bytes > BATCH_MOST)
    d->ask = d->ask > 1 ? d->ask / 2 : 1;
  else if (bytes < BATCH_MOST / 4 && d->ask < ASK_MOST)
    d->ask *= 2;
}

/* Fill the batch. @return COF_OK, perhaps with nothing; else the storage has failed */
static enum cof_result refill(struct answer *a, struct dnsdb *d, struct cof_error *err)
{
  cof_batch_clear(d->batch);
  d->at = 0;
  enum cof_result r = cof_query_next(host_of(a), d->cursor, d->ask, d->batch, err);
  bool empty = cof_batch_count(d->batch) == 0;
  if (r == COF_TIMEOUT && resumes(d) && cof_clock_ns(host_of(a)) < d->deadline_ns)
    return reopen(a, d, err);
  if (r == COF_OK && empty)
    cof_query_close(host_of(a), &d->cursor);
  if (!empty)
    adapt(d);
  return r;
}

/* The next record that the storage finds; NULL at the end, or, with `*pause`, for now. Good records
   before a failure are given first. */
static enum cof_result next_record(struct answer *a, struct dnsdb *d,
                                   const struct cof_record **record, bool *pause,
                                   struct cof_error *err)
{
  *record = NULL;
  for (;;) {
    if (d->at < cof_batch_count(d->batch)) {
      *record = cof_batch_at(d->batch, d->at++);
      return COF_OK;
    }
    if (d->ended != COF_OK) {
      *err = d->failure;
      return d->ended;
    }
    *pause = cof_clock_ns(host_of(a)) >= d->slice_end;
    if (*pause)
      return COF_OK;
    if (d->cursor != NULL) {
      d->ended = refill(a, d, &d->failure);
    } else {
      if (d->part + 1 >= d->plan.count)
        return COF_OK;
      d->part++;
      d->token_len = 0;
      d->ended = open_part(a, d, &d->failure);
    }
  }
}

/* --- text ----------------------------------------------------------------------------------- */

static bool grow(char **text, size_t *room, size_t need)
{
  size_t size = *room != 0 ? *room : TEXT_FIRST;
  if (need <= *room)
    return true;
  while (size < need)
    size *= 2;
  char *bigger = realloc(*text, size);
  if (bigger == NULL)
    return false;
  *text = bigger;
  *room = size;
  return true;
}

static bool make_room(struct answer *a, size_t need)
{
  return grow(&a->text, &a->text_room, a->text_len + need);
}

static enum cof_result put_condition(struct answer *a, const char *condition, const char *message,
                                     struct cof_error *err)
{
  if (!make_room(a, DNSDB_FRAME_MAX))
    return no_memory(err);
  a->text_len += dnsdb_put_condition(condition, message, a->text + a->text_len);
  return COF_OK;
}

/* Look-ups of rrsets have one, where it is known: the one asked for, or the deepest. */
static const char *bailiwick(const struct dnsdb *d, const struct cof_record *r)
{
  size_t len;
  if (d->q.subject != DNSDB_RRSET_NAME)
    return NULL;
  return d->q.has_bailiwick ? d->q.bailiwick
                            : cof_zone_deepest(r->rrname, r->rrname_len, r->zones, &len);
}

static enum cof_result put_record(struct answer *a, struct dnsdb *d, const struct cof_record *r,
                                  struct cof_error *err)
{
  size_t need = DNSDB_LINE_MAX(r);
  if (!make_room(a, need) || !grow(&d->scratch, &d->scratch_room, need))
    return no_memory(err);
  a->text_len +=
      dnsdb_put_record(r, bailiwick(d, r), d->q.humantime, a->text + a->text_len, d->scratch);
  a->written++;
  return COF_OK;
}

/* The last lines of an answer. */
static enum cof_result finish(struct answer *a, struct dnsdb *d, const char *limited,
                              struct cof_error *err)
{
  if (limited == NULL && d->plan.partial)
    limited = "Rdata was not searched that no index of the storage goes by";
  if (limited != NULL)
    cof_add(host_of(a), a->worker->rest->metrics.limited, 1);
  if (!make_room(a, 2 * DNSDB_FRAME_MAX))
    return no_memory(err);
  if (d->q.summarize && d->sums.results > 0)
    a->text_len += dnsdb_put_sums(&d->sums, d->q.humantime, a->text + a->text_len);
  a->text_len += dnsdb_put_condition(limited != NULL ? "limited" : "succeeded", limited,
                                     a->text + a->text_len);
  a->complete = true;
  cof_query_close(host_of(a), &d->cursor);
  return COF_OK;
}

/* --- rendering ------------------------------------------------------------------------------ */

static enum cof_result take(struct answer *a, struct dnsdb *d, const struct cof_record *r,
                            struct cof_error *err)
{
  if (!dnsdb_wanted(&d->q, &d->means, &d->plan.parts[d->part], r))
    return COF_OK;
  if (d->skipped < d->q.offset) {
    d->skipped++;
    return COF_OK;
  }
  if (d->sums.results >= d->limit)
    return finish(a, d, d->capped ? "Result limit reached" : "Query limit reached", err);
  if (d->q.max_count > 0 && d->sums.count >= d->q.max_count)
    return finish(a, d, "Count limit reached", err);
  dnsdb_sums_add(&d->sums, r);
  return d->q.summarize ? COF_OK : put_record(a, d, r, err);
}

enum cof_result dnsdb_render(struct answer *a, size_t target, struct cof_error *err)
{
  struct dnsdb *d = a->dnsdb;
  const uint64_t before = a->written;
  const size_t start = a->text_len;
  enum cof_result r = COF_OK;
  bool pause = false;
  d->slice_end = cof_clock_ns(host_of(a)) + SLICE_NS;
  while (r == COF_OK && !pause && !a->complete && a->text_len < target) {
    const struct cof_record *record;
    r = next_record(a, d, &record, &pause, err);
    if (r == COF_OK && record != NULL)
      r = take(a, d, record, err);
    else if (r == COF_OK && !pause)
      r = finish(a, d, NULL, err);
  }
  /* Something to send, so that neither side takes the other for gone. */
  if (r == COF_OK && pause && a->text_len == start) {
    if (!make_room(a, 3))
      return no_memory(err);
    memcpy(a->text + a->text_len, "{}\n", 3);
    a->text_len += 3;
  }
  if (a->written != before)
    cof_add(host_of(a), a->worker->rest->metrics.records, (int64_t)(a->written - before));
  return r;
}

static void set_limit(struct answer *a, struct dnsdb *d)
{
  const struct settings *s = a->settings;
  uint64_t most = (uint64_t)s->dnsdb.max_limit, asked = d->q.limit;
  if (s->max_records > 0 && s->max_records < most)
    most = s->max_records;
  if (!d->q.has_limit)
    asked = (uint64_t)s->dnsdb.limit;
  d->capped = asked == 0 || asked > most;
  d->limit = d->capped ? most : asked;
}

enum cof_result dnsdb_ask(struct answer *a, const struct dnsdb_question *question,
                          struct cof_error *err)
{
  struct dnsdb *d = a->dnsdb = calloc(1, sizeof *d);
  if (d == NULL || (d->batch = cof_batch_create()) == NULL)
    return no_memory(err);
  d->q = *question;
  d->means.caps = cof_storage_caps(host_of(a));
  d->means.scan = a->settings->dnsdb.scan;
  d->means.any_dnssec = a->settings->dnsdb.any_dnssec;
  d->ask = DNSDB_ASK_FIRST;
  d->slice = SLICE_NS;
  d->deadline_ns = cof_clock_ns(host_of(a)) + a->settings->timeout_ns;
  set_limit(a, d);
  enum cof_result r = dnsdb_plan(&d->q, &d->means, &d->plan, err);
  if (r == COF_OK && d->plan.count > 0)
    r = open_part(a, d, err);
  return r == COF_OK ? put_condition(a, "begin", NULL, err) : r;
}

void dnsdb_close(struct answer *a)
{
  struct dnsdb *d = a->dnsdb;
  if (d == NULL)
    return;
  cof_query_close(host_of(a), &d->cursor);
  cof_batch_destroy(&d->batch);
  free(d->token);
  free(d->scratch);
  free(d);
  a->dnsdb = NULL;
}

/* --- streaming ------------------------------------------------------------------------------ */

/* What went wrong after the status was sent is the last line. */
static enum cof_result fail(struct answer *a, const char *why)
{
  struct rest *rest = a->worker->rest;
  struct cof_error err;
  cof_add(rest->host, rest->metrics.broken, 1);
  cof_log(rest->host, COF_LOG_WARNING, "an answer ended after %llu records: %s",
          (unsigned long long)a->written, why);
  cof_query_close(rest->host, &a->dnsdb->cursor);
  a->complete = true;
  return put_condition(a, "failed", why, &err);
}

static ssize_t more(struct answer *a)
{
  struct cof_error err = {""};
  enum cof_result r;
  answer_rewind(a);
  if (atomic_load(&a->worker->rest->cut))
    r = fail(a, "cofd is stopping");
  else if ((r = dnsdb_render(a, STREAM_STEP, &err)) != COF_OK)
    r = fail(a, err.text);
  return r == COF_OK ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Move text to where it is sent from, compressed or as it is. */
static size_t move(struct answer *a, char *buf, size_t max)
{
  size_t left = a->text_len - a->pos, used, n;
  if (a->gzip != NULL) {
    n = gzip_part(a->gzip, a->text + a->pos, left, a->complete, &used, buf, max);
  } else {
    n = used = left < max ? left : max;
    memcpy(buf, a->text + a->pos, n);
  }
  a->pos += used;
  return n;
}

ssize_t dnsdb_stream(void *cls, uint64_t pos, char *buf, size_t max)
{
  struct answer *a = cls;
  (void)pos;
  for (;;) {
    size_t n = move(a, buf, max);
    if (n > 0) {
      cof_add(host_of(a), a->worker->rest->metrics.bytes, (int64_t)n);
      a->sent += n;
      return (ssize_t)n;
    }
    if (a->complete)
      return MHD_CONTENT_READER_END_OF_STREAM;
    ssize_t r = more(a);
    if (r != 0)
      return r;
  }
}
