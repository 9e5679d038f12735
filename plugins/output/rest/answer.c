/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <stdlib.h>
#include <string.h>

/* Records asked for at once: few for a start, since most names have few; then as many as fit. */
#define ASK_MOST   512
#define BATCH_MOST ((size_t)512 * 1024)

enum cof_result source_open(struct answer *a, struct source *s, const struct cof_query *query,
                            struct cof_error *err)
{
  if (s->batch == NULL)
    s->batch = cof_batch_create();
  if (s->batch == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  cof_batch_clear(s->batch);
  s->at = 0;
  s->ask = ASK_FIRST;
  s->ended = COF_OK;
  s->dry = false;
  return cof_query_open(a->worker->rest->host, query, &s->cursor, err);
}

void source_close(struct answer *a, struct source *s)
{
  if (s->cursor != NULL)
    cof_query_close(a->worker->rest->host, &s->cursor);
}

/* Ask for as many records as keep the batch within its bound, going by those that came. */
static void adapt(struct source *s, size_t bytes)
{
  if (bytes > s->peak)
    s->peak = bytes;
  if (bytes > BATCH_MOST)
    s->ask = s->ask > 1 ? s->ask / 2 : 1;
  else if (bytes < BATCH_MOST / 4 && s->ask < ASK_MOST)
    s->ask *= 2;
}

/* The next record of a cursor; NULL at its end. Good records before a failure are given first. */
static enum cof_result source_next(struct answer *a, struct source *s,
                                   const struct cof_record **record, struct cof_error *err)
{
  *record = NULL;
  if (s->at >= cof_batch_count(s->batch) && s->ended == COF_OK && !s->dry) {
    cof_batch_clear(s->batch);
    s->at = 0;
    size_t ask = s->cap != 0 && s->cap < s->ask ? s->cap : s->ask;
    s->ended = cof_query_next(a->worker->rest->host, s->cursor, ask, s->batch, &s->failure);
    s->dry = cof_batch_count(s->batch) == 0;
    if (!s->dry)
      adapt(s, cof_batch_bytes(s->batch));
  }
  if (s->at < cof_batch_count(s->batch))
    *record = cof_batch_at(s->batch, s->at++);
  else if (s->ended != COF_OK)
    *err = s->failure;
  return *record != NULL ? COF_OK : s->ended;
}

static void set_types(const struct answer *a, struct cof_query *query)
{
  if (a->types_count == 0)
    return;
  query->rrtypes = a->types;
  query->rrtypes_count = a->types_count;
}

static bool type_asked(const struct answer *a, uint16_t rrtype)
{
  for (size_t i = 0; i < a->types_count; i++)
    if (a->types[i] == rrtype)
      return true;
  return a->types_count == 0;
}

/* Pivot: ask for the records of the rrname in `owner`, from a place on. */
static enum cof_result open_owner(struct answer *a, const void *token, size_t token_len,
                                  struct cof_error *err)
{
  struct cof_query query = COF_QUERY_INIT;
  query.kind = COF_QUERY_RRNAME;
  query.name = a->owner;
  query.deadline_ns = a->deadline_ns;
  query.token = token;
  query.token_len = token_len;
  set_types(a, &query);
  return source_open(a, &a->records, &query, err);
}

/* Pivot: go on to the records of the next rrname. `given` is a record to give as it is, or NULL;
   `end` tells that there is none. */
static enum cof_result next_owner(struct answer *a, const struct cof_record **given, bool *end,
                                  struct cof_error *err)
{
  const struct cof_record *record;
  source_close(a, &a->records);
  do {
    enum cof_result r = source_next(a, &a->owners, &record, err);
    if (r != COF_OK)
      return r;
    *end = record == NULL;
    if (*end)
      return COF_OK;
    if (!a->owner_found && strcmp(record->rrname, a->owner) == 0 && type_asked(a, record->rrtype)) {
      *given = record;
      return COF_OK;
    }
  } while (strcmp(record->rrname, a->owner) == 0);
  memcpy(a->owner, record->rrname, (size_t)record->rrname_len + 1);
  a->owner_found = false;
  return open_owner(a, NULL, 0, err);
}

/* The next record of the answer; NULL at its end. A storage may hold records which it finds by
   rdata and not by rrname (names that others have stored in upper case): these stand for
   themselves. */
enum cof_result answer_next(struct answer *a, const struct cof_record **record,
                            struct cof_error *err)
{
  bool end = false;
  for (;;) {
    *record = NULL;
    if (a->records.cursor != NULL) {
      enum cof_result r = source_next(a, &a->records, record, err);
      a->owner_found = a->owner_found || *record != NULL;
      if (r != COF_OK || *record != NULL || !a->pivot)
        return r;
      source_close(a, &a->records);
      if (!a->owner_found) {
        *record = cof_batch_at(a->owners.batch, a->owners.at - 1);
        if (type_asked(a, (*record)->rrtype))
          return COF_OK;
        *record = NULL;
      }
    }
    enum cof_result r = next_owner(a, record, &end, err);
    if (r != COF_OK || end || *record != NULL)
      return r;
  }
}

enum cof_result answer_open(struct answer *a, struct cof_query *query, bool pivot,
                            const struct place *from, struct cof_error *err)
{
  struct rest *rest = a->worker->rest;
  if (a->deadline_ns == 0)
    a->deadline_ns = cof_clock_ns(rest->host) + a->settings->timeout_ns;
  query->deadline_ns = a->deadline_ns;
  query->time_first_after = a->fences.first_after;
  query->time_first_before = a->fences.first_before;
  query->time_last_after = a->fences.last_after;
  query->time_last_before = a->fences.last_before;
  a->pivot = pivot;
  if (!pivot)
    set_types(a, query);
  if (a->bailiwick[0] != '\0')
    query->bailiwick = a->bailiwick;
  if (a->sensor[0] != '\0')
    query->sensor_id = a->sensor;
  /* One more than is sent tells whether there was more. */
  if (!pivot && a->max > 0 && !a->sorts)
    query->limit = a->max + 1;
  if (from != NULL)
    return place_resume(a, query, from, err);
  return source_open(a, pivot ? &a->owners : &a->records, query, err);
}

enum cof_result answer_open_owner(struct answer *a, const void *token, size_t token_len,
                                  struct cof_error *err)
{
  return open_owner(a, token, token_len, err);
}

enum cof_result answer_ask(struct answer *a, const struct question *question, bool pivot,
                           const struct place *from, struct cof_error *err)
{
  struct cof_query query = COF_QUERY_INIT;
  query.kind = COF_QUERY_RRNAME;
  query.name = question->name;
  if (question->is_address) {
    query.kind = COF_QUERY_RDATA_ADDR;
    query.name = NULL;
    query.first = query.last = question->address;
  } else if (pivot) {
    query.kind = COF_QUERY_RDATA_NAME;
  }
  return answer_open(a, &query, pivot, from, err);
}

void answer_rewind(struct answer *a)
{
  a->pos = a->text_len = 0;
  if (a->text_room <= 4 * STREAM_STEP)
    return;
  free(a->text);
  a->text = NULL;
  a->text_room = 0;
}

bool answer_room(struct answer *a, size_t need)
{
  if (need <= a->text_room - a->text_len)
    return true;
  size_t room = a->text_room != 0 ? a->text_room : TEXT_FIRST;
  while (room - a->text_len < need)
    room *= 2;
  char *text = realloc(a->text, room);
  if (text == NULL)
    return false;
  a->text = text;
  a->text_room = room;
  return true;
}

/* What comes next, whatever the answer is made of. */
static enum cof_result next_of(struct answer *a, const struct cof_record **record,
                               struct cof_error *err)
{
  if (a->sorted != NULL)
    return sorted_next(a, record);
  if (a->bulk != NULL)
    return bulk_next(a, record, err);
  return answer_next(a, record, err);
}

/* Whether a page is full: by records, or by octets once nothing is read ahead. */
static bool is_full(const struct answer *a)
{
  return (a->max > 0 && a->written >= a->max) ||
         (a->paging && a->whole && a->text_len >= PAGE_OCTETS &&
          a->records.at >= cof_batch_count(a->records.batch));
}

/* Read no further than the page goes, so that the storage's place is that of the page. */
static void bound_reading(struct answer *a, bool full)
{
  if (!a->paging)
    return;
  uint64_t left = full ? 1 : a->max != 0 ? a->max - a->written : SIZE_MAX;
  a->records.cap = a->whole && left > ASK_FIRST ? ASK_FIRST : (size_t)left;
  a->owners.cap = 1;
}

/* The next record to send; none where the answer is complete. */
static enum cof_result to_send(struct answer *a, const struct cof_record **record,
                               struct cof_error *err)
{
  bool full = is_full(a);
  enum cof_result r = COF_OK;
  bound_reading(a, full);
  if (full && a->paging)
    r = place_take(a, err);
  if (r != COF_OK)
    return r;
  r = next_of(a, record, err);
  bool late = r == COF_TIMEOUT && a->paging && a->whole && a->written > 0;
  if (late) { /* what there is makes a page */
    r = full ? COF_OK : place_take(a, err);
    full = true;
  }
  if (r != COF_OK)
    return r;
  a->more = full && (*record != NULL || late);
  a->complete = *record == NULL || full;
  if (a->complete)
    *record = NULL;
  return COF_OK;
}

static enum cof_result put_record(struct answer *a, const struct cof_record *record,
                                  struct cof_error *err)
{
  if (!answer_room(a, format_bound(record, a->settings->origin_len)))
    return cof_fail(err, COF_FATAL, "out of memory");
  a->text_len += format_record(a->format, record, a->settings->origin, a->path != NULL,
                               a->written == 0, a->text + a->text_len);
  a->written++;
  return COF_OK;
}

/* What stands before the first record, and after the last. */
static enum cof_result put_frame(struct answer *a, bool end, struct cof_error *err)
{
  if (!answer_room(a, FORMAT_FRAME))
    return cof_fail(err, COF_FATAL, "out of memory");
  a->text_len += end ? format_end(a->format, a->written == 0, a->text + a->text_len)
                     : format_begin(a->format, a->text + a->text_len);
  return COF_OK;
}

static enum cof_result end_answer(struct answer *a, struct cof_error *err)
{
  enum cof_result r = put_frame(a, true, err);
  bool page = a->circl && a->paging;
  a->limited =
      a->more && !page && a->settings->max_records > 0 && a->written >= a->settings->max_records;
  if (r == COF_OK && a->more && a->paging)
    r = cursor_give(a, err);
  return r;
}

enum cof_result answer_render(struct answer *a, size_t target, struct cof_error *err)
{
  const uint64_t before = a->written;
  enum cof_result r = COF_OK;
  if (!a->begun)
    r = put_frame(a, false, err);
  a->begun = true;
  while (r == COF_OK && !a->complete && (a->text_len < target || a->whole)) {
    const struct cof_record *record = NULL;
    r = to_send(a, &record, err);
    if (r == COF_OK)
      r = record != NULL ? put_record(a, record, err) : end_answer(a, err);
  }
  if (a->complete || r != COF_OK) {
    /* The client may take its time; the storage need not wait for it. */
    source_close(a, &a->records);
    source_close(a, &a->owners);
  }
  if (a->written != before)
    cof_add(a->worker->rest->host, a->worker->rest->metrics.records,
            (int64_t)(a->written - before));
  return r;
}

static void drop_references(struct answer *a)
{
  source_close(a, &a->records);
  source_close(a, &a->owners);
  dnsdb_close(a);
  gzip_destroy(&a->gzip);
  bulk_destroy(&a->bulk);
  sorted_destroy(&a->sorted);
  free(a->place);
  a->place = NULL;
  if (a->holds)
    settings_drop(&a->settings);
}

void answer_reset(struct answer *a)
{
  drop_references(a);
  a->settings = NULL;
  a->holds = a->pivot = a->complete = a->limited = a->head = false;
  a->written = a->sent = 0;
  a->status = 0;
  a->begun = a->more = a->paging = a->whole = a->sorts = a->circl = a->varies = false;
  a->cut = a->uploads = false;
  a->path = NULL;
  a->deadline_ns = 0;
  a->fences = (struct fences)FENCES_NONE;
  a->format = FORMAT_NDJSON;
  a->types_count = 0;
  a->bailiwick[0] = '\0';
  a->sensor[0] = '\0';
  a->records.cap = a->owners.cap = 0;
  a->written = a->max = a->cursor = a->question = a->came_by = 0;
  a->place_len = 0;
  a->trouble = NULL;
  a->text_len = a->pos = 0;
  a->response = NULL;
  a->connection = NULL;
  a->owner[0] = '\0';
  a->owner_found = true;
}

void answer_destroy(struct answer **answer)
{
  struct answer *a = *answer;
  if (a == NULL)
    return;
  drop_references(a);
  cof_batch_destroy(&a->records.batch);
  cof_batch_destroy(&a->owners.batch);
  free(a->text);
  free(a);
  *answer = NULL;
}
