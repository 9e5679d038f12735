/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What holds for storages: random writes and questions, against a model in memory. */
#include <config.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../instance_private.h"
#include "kit_private.h"
#include "rig_private.h"

#define RECORDS   300 /* of a batch at most */
#define BATCHES   6
#define QUESTIONS 60 /* of each kind */
#define RETRIES   20

struct bench {
  struct trial *t;
  struct rig *r;
  struct model model;
  uint64_t caps, refused;
};

static const struct {
  enum cof_query_kind kind;
  uint64_t cap;
  const char *name;
} kinds[] = {{COF_QUERY_RRNAME, COF_CAP_RRNAME, "rrname"},
             {COF_QUERY_SUBDOMAINS, COF_CAP_SUBDOMAINS, "subdomains"},
             {COF_QUERY_RDATA_NAME, COF_CAP_RDATA, "rdata name"},
             {COF_QUERY_RDATA_ADDR, COF_CAP_RDATA, "rdata address"},
             {COF_QUERY_RDATA_TEXT, COF_CAP_RDATA_TEXT, "rdata text"},
             {COF_QUERY_ALL, COF_CAP_SCAN, "all"},
             {COF_QUERY_PREFIX, COF_CAP_PREFIX, "prefix"},
             {COF_QUERY_RDATA_SUBDOMAINS, COF_CAP_RDATA_SUBDOMAINS, "rdata subdomains"},
             {COF_QUERY_RDATA_PREFIX, COF_CAP_RDATA_PREFIX, "rdata prefix"}};
#define KINDS (sizeof kinds / sizeof *kinds)

static struct cof_batch *empty(struct trial *t)
{
  struct cof_batch *batch = cof_batch_create();
  if (batch == NULL)
    trial_fail(t, "out of memory");
  return batch;
}

static void bench_begin(struct bench *b, struct trial *t)
{
  trial_open(t);
  *b = (struct bench){.t = t, .r = rig_create(t, 0)};
  model_init(&b->model);
  rig_make(b->r);
  rig_run(b->r);
  b->caps = rig_caps(b->r);
}

static void bench_end(struct bench *b)
{
  rig_stop(b->r, RIG_STOP_MS);
  rig_release(b->r);
  rig_destroy(&b->r);
  model_free(&b->model);
}

/* Written until it is durable, as a chain does. */
static void write_batch(struct bench *b, const struct cof_batch *batch, struct model *model)
{
  size_t count = cof_batch_count(batch), refused_count = 0;
  bool *refused = calloc(count + 1, sizeof *refused);
  enum cof_result result = COF_RETRY;
  for (int i = 0; refused != NULL && i < RETRIES && result == COF_RETRY; i++) {
    kit_sleep_ms(i);
    result = rig_write(b->r, batch, refused, NULL);
  }
  if (refused == NULL || result != COF_OK)
    trial_fail(b->t, "write() was concluded as %s", cof_result_name(result));
  for (size_t i = 0; i < count; i++)
    refused_count += refused[i];
  if (refused_count > count / 2)
    trial_fail(b->t, "write() refused %zu of %zu canonical records", refused_count, count);
  b->refused += refused_count;
  if (model != NULL)
    model_apply(model, batch, refused);
  free(refused);
}

static void fill(struct bench *b)
{
  for (int i = 0; i < BATCHES; i++) {
    struct cof_batch *batch = empty(b->t);
    model_batch(batch, i == 0 ? 1 : RECORDS, b->t->plan->known_types);
    write_batch(b, batch, &b->model);
    cof_batch_destroy(&batch);
  }
  struct cof_batch *none = empty(b->t);
  write_batch(b, none, &b->model);
  cof_batch_destroy(&none);
}

/* --- asking --------------------------------------------------------------------------------- */

static void *open_cursor(struct bench *b, const struct cof_query *q)
{
  struct cof_error err = {.text = ""};
  void *cursor = NULL;
  enum cof_result result = rig_open(b->r, q, &cursor, &err);
  if (result != COF_OK)
    trial_fail(b->t, "open() of a question it claims to answer gave %s: %s",
               cof_result_name(result), err.text);
  return cursor;
}

static size_t next_page(struct bench *b, void *cursor, size_t max, struct cof_batch *into)
{
  struct cof_error err = {.text = ""};
  size_t had = cof_batch_count(into);
  enum cof_result result = rig_next(b->r, cursor, max, into, &err);
  if (result != COF_OK)
    trial_fail(b->t, "next() gave %s: %s", cof_result_name(result), err.text);
  return cof_batch_count(into) - had;
}

/* All of an answer, `page` records at a time. */
static struct cof_batch *ask(struct bench *b, const struct cof_query *q, size_t page)
{
  struct cof_batch *answer = empty(b->t);
  void *cursor = open_cursor(b, q);
  while (next_page(b, cursor, page, answer) != 0)
    ;
  if (next_page(b, cursor, page, answer) != 0)
    trial_fail(b->t, "next() gave records after the end of the answer");
  rig_close(b->r, cursor);
  return answer;
}

/* The same in a new cursor for each page, which goes on by the token of the one before. */
static struct cof_batch *ask_resuming(struct bench *b, const struct cof_query *q, size_t page)
{
  static unsigned char token[COF_TOKEN_MAX];
  struct cof_batch *answer = empty(b->t);
  struct cof_query part = *q;
  for (size_t got = 1; got != 0;) {
    size_t len = 0;
    part.limit = q->limit == 0 ? 0 : q->limit - cof_batch_count(answer);
    void *cursor = open_cursor(b, &part);
    got = next_page(b, cursor, page, answer);
    enum cof_result result = rig_token(b->r, cursor, token, sizeof token, &len);
    if (result != COF_OK || len > sizeof token)
      trial_fail(b->t, "token() gave %s and %zu octets", cof_result_name(result), len);
    if (got > 0 && len > 0 && rig_token(b->r, cursor, token, 0, &(size_t){0}) != COF_REJECT)
      trial_fail(b->t, "token() into no room did not give reject");
    rig_close(b->r, cursor);
    part.token = token;
    part.token_len = len;
    if (q->limit != 0 && cof_batch_count(answer) >= q->limit)
      break;
  }
  return answer;
}

/* --- comparing ------------------------------------------------------------------------------ */

static void describe(char out[600], const struct cof_record *r)
{
  char type[COF_RRTYPE_TEXT_MAX];
  snprintf(out, 600, "%.200s %s %.200s, %lld to %lld, count %llu", r->rrname,
           cof_rrtype_text(r->rrtype, type), r->rdata, (long long)r->time_first,
           (long long)r->time_last, (unsigned long long)r->count);
}

static void blame(struct bench *b, const char *what, const char *kind, const struct cof_query *q,
                  const struct cof_record *r)
{
  char text[600] = "";
  if (r != NULL)
    describe(text, r);
  trial_fail(b->t, "%s; asked by %s \"%.200s\", limit %llu%s%s", what, kind,
             q->name != NULL ? q->name : "", (unsigned long long)q->limit,
             r != NULL ? "; record " : "", text);
}

static void check_record(struct bench *b, const char *kind, const struct cof_query *q,
                         const struct cof_record *r)
{
  const struct cof_batch *all = model_about(&b->model, q);
  const struct cof_record *want = all != NULL ? model_find(all, r) : NULL;
  char text[600];
  if (want == NULL)
    blame(b, "answered a record that was not written", kind, q, r);
  if (!model_matches(want, q))
    blame(b, "answered a record that does not match", kind, q, r);
  describe(text, want);
  if (want->count != r->count || want->time_first != r->time_first ||
      want->time_last != r->time_last) {
    trial_note(b->t, "expected %s", text);
    blame(b, "times or count were not merged as told", kind, q, r);
  }
  if (q->sensor_id == NULL ? r->sensor_id != NULL
                           : r->sensor_id == NULL || strcmp(r->sensor_id, q->sensor_id) != 0)
    blame(b, "the sensor_id is not that of the question", kind, q, r);
  if (r->total != 0)
    blame(b, "total is not 0 in an answer", kind, q, r);
  if ((b->caps & COF_CAP_BAILIWICK) != 0 && want->zones != r->zones) {
    trial_note(b->t, "zones are 0x%x, expected 0x%x", r->zones, want->zones);
    blame(b, "zones were not merged as told", kind, q, r);
  }
}

static void check_unique(struct bench *b, const char *kind, const struct cof_query *q,
                         const struct cof_batch *answer)
{
  const struct cof_record **sorted = model_sorted(answer);
  for (size_t i = 1; i < cof_batch_count(answer); i++)
    if (cof_record_same(sorted[i - 1], sorted[i]))
      blame(b, "answered a record twice", kind, q, sorted[i]);
  free(sorted);
}

static bool by_rrname(const struct cof_query *q)
{
  return q->kind == COF_QUERY_RRNAME || q->kind == COF_QUERY_SUBDOMAINS ||
         q->kind == COF_QUERY_PREFIX;
}

/* Equal names together; within one name, for the kinds that say so, by type. */
static void check_order(struct bench *b, const char *kind, const struct cof_query *q,
                        const struct cof_batch *answer)
{
  for (size_t i = 1; i < cof_batch_count(answer); i++) {
    const struct cof_record *last = cof_batch_at(answer, i - 1), *r = cof_batch_at(answer, i);
    bool same = strcmp(last->rrname, r->rrname) == 0;
    for (size_t k = 0; !same && k + 1 < i && by_rrname(q); k++)
      if (strcmp(cof_batch_at(answer, k)->rrname, r->rrname) == 0)
        blame(b, "records of one name are not next to each other", kind, q, r);
    if (same && by_rrname(q) && last->rrtype > r->rrtype)
      blame(b, "records of one name are not in the order of rrtype", kind, q, r);
  }
}

static void check_same(struct bench *b, const char *kind, const struct cof_query *q,
                       const struct cof_batch *one, const struct cof_batch *two, const char *what)
{
  if (cof_batch_count(one) != cof_batch_count(two))
    blame(b, what, kind, q, NULL);
  for (size_t i = 0; i < cof_batch_count(one); i++)
    if (!cof_record_same(cof_batch_at(one, i), cof_batch_at(two, i)))
      blame(b, what, kind, q, cof_batch_at(two, i));
}

static void check_answer(struct bench *b, const char *kind, const struct cof_query *q,
                         const struct cof_batch *answer)
{
  struct cof_batch *want = empty(b->t);
  model_query(&b->model, q, want);
  size_t count = cof_batch_count(want);
  if (q->limit != 0 && count > q->limit)
    count = q->limit;
  for (size_t i = 0; i < cof_batch_count(answer); i++)
    check_record(b, kind, q, cof_batch_at(answer, i));
  check_unique(b, kind, q, answer);
  if (cof_batch_count(answer) != count) {
    trial_note(b->t, "%zu records, expected %zu", cof_batch_count(answer), count);
    blame(b, "the number of records is wrong", kind, q, NULL);
  }
  check_order(b, kind, q, answer);
  cof_batch_destroy(&want);
}

static void add_conditions(struct bench *b, struct cof_query *q)
{
  static const uint16_t types[] = {COF_TYPE_A, COF_TYPE_MX, 65280};
  if (rand() % 4 == 0)
    q->limit = 1 + (uint64_t)(rand() % 20);
  if ((b->caps & COF_CAP_RRTYPE) != 0 && rand() % 3 == 0) {
    q->rrtypes = types;
    q->rrtypes_count = 1 + (size_t)(rand() % 3);
  }
  if ((b->caps & COF_CAP_BAILIWICK) != 0 && rand() % 4 == 0)
    q->bailiwick = model_bailiwick(q);
  if ((b->caps & COF_CAP_SENSOR) != 0 && rand() % 3 == 0)
    q->sensor_id = model_sensor();
  if ((b->caps & COF_CAP_FENCES) == 0 || rand() % 3 != 0)
    return;
  int64_t at = 1000 + rand() % 150;
  switch (rand() % 4) {
  case 0:
    q->time_first_after = at;
    break;
  case 1:
    q->time_first_before = at;
    break;
  case 2:
    q->time_last_after = at;
    break;
  default:
    q->time_last_before = at;
    break;
  }
}

static void widen(struct bench *b, struct cof_query *q)
{
  if (q->kind != COF_QUERY_RDATA_ADDR || (b->caps & COF_CAP_ADDR_RANGE) == 0 || rand() % 2 == 0)
    return;
  size_t last = cof_addr_len(&q->first) - 1;
  q->first.bytes[last] = (uint8_t)(q->first.bytes[last] & 0xf0);
  q->last.bytes[last] = (uint8_t)(q->last.bytes[last] | 0x0f);
}

static void ask_kind(struct bench *b, size_t k, bool resuming)
{
  static char name[COF_RDATA_MAX + 1];
  struct cof_query q;
  for (int i = 0; i < (kinds[k].kind == COF_QUERY_ALL ? 4 : QUESTIONS); i++) {
    model_question(&b->model, kinds[k].kind, &q, name);
    widen(b, &q);
    add_conditions(b, &q);
    size_t page = 1 + (size_t)(rand() % 50);
    struct cof_batch *answer = ask(b, &q, page), *again = NULL;
    check_answer(b, kinds[k].name, &q, answer);
    again = resuming ? ask_resuming(b, &q, page) : ask(b, &q, 7);
    check_same(b, kinds[k].name, &q, answer, again,
               resuming ? "an answer resumed by tokens differs from one in one go"
                        : "the same question was answered in another order");
    cof_batch_destroy(&answer);
    cof_batch_destroy(&again);
  }
}

static void ask_all(struct bench *b, bool resuming)
{
  for (size_t k = 0; k < KINDS; k++)
    if ((b->caps & kinds[k].cap) != 0)
      ask_kind(b, k, resuming);
}

static void case_model(struct trial *t)
{
  struct bench b;
  bench_begin(&b, t);
  fill(&b);
  ask_all(&b, false);
  trial_note(t, "%zu records, %llu refused", cof_batch_count(b.model.all),
             (unsigned long long)b.refused);
  bench_end(&b);
}

/* A statement and observations in every order must give the same as the model. */
static void case_merge(struct trial *t)
{
  struct bench b;
  bench_begin(&b, t);
  for (int i = 0; i < 40; i++) {
    struct cof_batch *batch = empty(t);
    struct cof_record r = {.rrname = "merge.example",
                           .rrname_len = 13,
                           .rdata = "192.0.2.1",
                           .rdata_len = 9,
                           .rrtype = COF_TYPE_A,
                           .time_first = 500 + rand() % 1000,
                           .count = (uint64_t)(rand() % 3),
                           .total = (uint64_t)(rand() % 2 * (rand() % 30))};
    r.time_last = r.time_first + rand() % 100;
    r.count += r.count == 0 && r.total == 0;
    r.zones = rand() % 2 != 0 ? UINT32_C(1) << rand() % 3 : 0;
    if (i == 39)
      r.count = COF_COUNT_MAX - 100; /* does not saturate yet */
    r.hash = cof_record_hash(&r);
    if (cof_batch_add(batch, &r) == NULL || !cof_batch_tally(batch, NULL, 0, 1))
      trial_fail(t, "out of memory");
    write_batch(&b, batch, &b.model);
    struct cof_query q = COF_QUERY_INIT;
    q.kind = COF_QUERY_RRNAME;
    q.name = "merge.example";
    if ((b.caps & COF_CAP_RRNAME) != 0) {
      struct cof_batch *answer = ask(&b, &q, 10);
      check_answer(&b, "rrname", &q, answer);
      cof_batch_destroy(&answer);
    }
    cof_batch_destroy(&batch);
  }
  bench_end(&b);
}

static void case_durable(struct trial *t)
{
  struct bench b;
  bench_begin(&b, t);
  fill(&b);
  rig_stop(b.r, RIG_STOP_MS);
  rig_release(b.r);
  rig_destroy(&b.r);
  b.r = rig_create(t, 0);
  rig_make(b.r);
  rig_run(b.r);
  ask_all(&b, false);
  bench_end(&b);
}

static void case_tokens(struct trial *t)
{
  struct bench b;
  bench_begin(&b, t);
  if ((b.caps & COF_CAP_RESUME) == 0)
    trial_skip(t, "claims no resume tokens with these options");
  fill(&b);
  ask_all(&b, true);
  bench_end(&b);
}

static void case_bad_tokens(struct trial *t)
{
  static unsigned char token[COF_TOKEN_MAX];
  static char name[COF_RDATA_MAX + 1];
  struct bench b;
  struct cof_query q;
  bench_begin(&b, t);
  if ((b.caps & COF_CAP_RESUME) == 0)
    trial_skip(t, "claims no resume tokens with these options");
  fill(&b);
  for (int i = 0; i < 300; i++) {
    size_t k = (size_t)rand() % KINDS, len = (size_t)(rand() % 80);
    struct cof_error err = {.text = ""};
    void *cursor = NULL;
    if ((b.caps & kinds[k].cap) == 0)
      continue;
    model_question(&b.model, kinds[k].kind, &q, name);
    for (size_t n = 0; n < len; n++)
      token[n] = (unsigned char)rand();
    q.token = token;
    q.token_len = len;
    enum cof_result result = rig_open(b.r, &q, &cursor, &err);
    if (result == COF_REJECT && err.text[0] == '\0')
      trial_fail(t, "open() refused a bad token without a reason");
    if (result != COF_REJECT && result != COF_OK)
      trial_fail(t, "open() of a bad token gave %s; expected reject", cof_result_name(result));
    if (result == COF_OK) {
      struct cof_batch *answer = empty(t);
      (void)rig_next(b.r, cursor, 100, answer, &err);
      for (size_t n = 0; n < cof_batch_count(answer); n++)
        check_record(&b, kinds[k].name, &q, cof_batch_at(answer, n));
      cof_batch_destroy(&answer);
      rig_close(b.r, cursor);
    }
  }
  bench_end(&b);
}

static void case_deadline(struct trial *t)
{
  static char name[COF_RDATA_MAX + 1];
  struct bench b;
  struct cof_query q;
  bench_begin(&b, t);
  fill(&b);
  for (size_t k = 0; k < KINDS; k++) {
    if ((b.caps & kinds[k].cap) == 0)
      continue;
    struct cof_error err = {.text = ""};
    struct cof_batch *answer = empty(t);
    void *cursor = NULL;
    model_question(&b.model, kinds[k].kind, &q, name);
    q.deadline_ns = 1;
    enum cof_result result = rig_open(b.r, &q, &cursor, &err);
    if (result != COF_OK && result != COF_TIMEOUT)
      trial_fail(t, "open() past the deadline gave %s", cof_result_name(result));
    if (result == COF_OK) {
      result = rig_next(b.r, cursor, 1000, answer, &err);
      if (result != COF_OK && result != COF_TIMEOUT)
        trial_fail(t, "next() past the deadline gave %s; expected timeout",
                   cof_result_name(result));
      for (size_t n = 0; n < cof_batch_count(answer); n++)
        check_record(&b, kinds[k].name, &q, cof_batch_at(answer, n));
      rig_close(b.r, cursor);
    }
    cof_batch_destroy(&answer);
  }
  bench_end(&b);
}

/* --- several threads ------------------------------------------------------------------------ */

struct rival {
  pthread_t thread;
  struct bench *b;
  unsigned first;
  atomic_bool *end;
};

static void *rival_main(void *arg)
{
  struct rival *v = arg;
  for (unsigned round = v->first; !atomic_load(v->end) && round < v->first + 500; round++) {
    struct cof_batch *batch = empty(v->b->t);
    bool refused[32];
    model_rival(batch, 20, round);
    enum cof_result result = rig_write(v->b->r, batch, refused, NULL);
    if (result != COF_OK && result != COF_RETRY)
      trial_fail(v->b->t, "write() while others read gave %s", cof_result_name(result));
    cof_batch_destroy(&batch);
  }
  return NULL;
}

static bool is_rival(const struct cof_record *r)
{
  static const char suffix[] = "rival.com";
  return cof_name_under(r->rrname, r->rrname_len, suffix, sizeof suffix - 1);
}

/* What was there before a cursor was opened has to be in its answer, once. */
static void ask_among_rivals(struct bench *b, size_t k)
{
  static char name[COF_RDATA_MAX + 1];
  struct cof_query q;
  model_question(&b->model, kinds[k].kind, &q, name);
  struct cof_batch *answer = empty(b->t), *own = empty(b->t), *want = empty(b->t);
  void *cursor = open_cursor(b, &q);
  while (next_page(b, cursor, 20, answer) != 0)
    ;
  rig_close(b->r, cursor);
  check_unique(b, kinds[k].name, &q, answer);
  for (size_t i = 0; i < cof_batch_count(answer); i++)
    if (!is_rival(cof_batch_at(answer, i)) && cof_batch_add(own, cof_batch_at(answer, i)) == NULL)
      trial_fail(b->t, "out of memory");
  for (size_t i = 0; i < cof_batch_count(own); i++)
    check_record(b, kinds[k].name, &q, cof_batch_at(own, i));
  model_query(&b->model, &q, want);
  if (cof_batch_count(own) != cof_batch_count(want))
    blame(b, "records are missing while others are written", kinds[k].name, &q, NULL);
  cof_batch_destroy(&answer);
  cof_batch_destroy(&own);
  cof_batch_destroy(&want);
}

static void case_concurrent(struct trial *t)
{
  struct bench b;
  atomic_bool end = false;
  bench_begin(&b, t);
  fill(&b);
  struct rival rivals[2] = {{.b = &b, .first = 0, .end = &end},
                            {.b = &b, .first = 1000, .end = &end}};
  size_t writers = (t->plugin->caps & COF_CAP_THREAD_SAFE) != 0 ? 2 : 1;
  for (size_t i = 0; i < writers; i++)
    if (pthread_create(&rivals[i].thread, NULL, rival_main, &rivals[i]) != 0)
      trial_fail(t, "no thread");
  uint64_t until = clock_ns() + UINT64_C(1500000000);
  for (unsigned round = 0; round < 20 || (round < 200 && clock_ns() < until); round++) {
    size_t k = (size_t)rand() % KINDS;
    if ((b.caps & kinds[k].cap) != 0)
      ask_among_rivals(&b, k);
  }
  atomic_store(&end, true);
  for (size_t i = 0; i < writers; i++)
    pthread_join(rivals[i].thread, NULL);
  bench_end(&b);
}

/* --- statistics ----------------------------------------------------------------------------- */

struct sensors {
  struct trial *t;
  uint64_t last, sum;
};

static void take_sensor(void *arg, const char *sensor_id, uint64_t records)
{
  struct sensors *s = arg;
  if (sensor_id == NULL || *sensor_id == '\0')
    trial_fail(s->t, "stats() gave a sensor without a name");
  if (records > s->last)
    trial_fail(s->t, "stats() gave sensors in a wrong order; expected descending numbers");
  s->last = records;
  s->sum += records;
}

static void case_stats(struct trial *t)
{
  struct bench b;
  bench_begin(&b, t);
  const struct cof_storage_ops *ops = t->plugin->ops;
  fill(&b);
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  struct sensors sensors = {.t = t, .last = UINT64_MAX};
  struct cof_error err = {.text = ""};
  atomic_store(&t->shared->where, "stats()");
  enum cof_result result = ops->stats(b.r->self, &stats, take_sensor, &sensors, &err);
  if (result != COF_OK)
    trial_fail(t, "stats() gave %s: %s", cof_result_name(result), err.text);
  if (stats.observations != b.model.observations)
    trial_fail(t, "stats() gave %llu observations, expected %llu",
               (unsigned long long)stats.observations, (unsigned long long)b.model.observations);
  if (sensors.sum > stats.observations)
    trial_fail(t, "stats() gave more records of sensors than observations");
  if (stats.records_exact && stats.records != cof_batch_count(b.model.all))
    trial_fail(t, "stats() gave exactly %llu records, expected %zu",
               (unsigned long long)stats.records, cof_batch_count(b.model.all));
  if (ops->stats(b.r->self, &stats, NULL, NULL, &err) != COF_OK)
    trial_fail(t, "stats() without a function for sensors failed");
  bench_end(&b);
}

/* What is new is known from the model; in a write that failed half-way it may be missing. */
static void case_news(struct trial *t)
{
  static bool refused[RECORDS], news[RECORDS];
  struct bench b;
  bench_begin(&b, t);
  if ((b.caps & COF_CAP_NEW) == 0)
    trial_skip(t, "does not tell what is new with these options");
  for (int i = 0; i < BATCHES; i++) {
    struct cof_batch *batch = empty(t);
    model_batch(batch, RECORDS, t->plan->known_types);
    memset(news, 0, sizeof news);
    enum cof_result result = rig_write(b.r, batch, refused, news);
    if (result != COF_OK)
      trial_fail(t, "write() was concluded as %s", cof_result_name(result));
    for (size_t k = 0; k < cof_batch_count(batch); k++) {
      const struct cof_record *r = cof_batch_at(batch, k);
      bool known = model_find(b.model.all, r) != NULL;
      if (r->verdict == COF_KEEP && !refused[k] && news[k] == known)
        trial_fail(t, "%.200s %.200s was %s, and was told to be %s", r->rrname, r->rdata,
                   known ? "there" : "not there", news[k] ? "new" : "known");
    }
    model_apply(&b.model, batch, refused);
    cof_batch_destroy(&batch);
  }
  bench_end(&b);
}

#define STORAGE KIT_OF(COF_KIND_STORAGE)

const struct kit_case kit_storage_cases[] = {
    {"storage: random writes and questions agree with a model", STORAGE, 0, case_model},
    {"storage: changes of one record merge as told", STORAGE, 0, case_merge},
    {"storage: what was durable is there after a restart", STORAGE, 0, case_durable},
    {"storage: answers resumed by tokens are whole", STORAGE, COF_CAP_RESUME, case_tokens},
    {"storage: bad tokens are refused", STORAGE, COF_CAP_RESUME, case_bad_tokens},
    {"storage: a deadline that passed is told", STORAGE, 0, case_deadline},
    {"storage: cursors are right while others write", STORAGE, 0, case_concurrent},
    {"storage: statistics agree with what was written", STORAGE, 0, case_stats},
    {"storage: tells what is new", STORAGE, COF_CAP_NEW, case_news},
    {0}};
