/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What holds for filters, and for outputs. */
#include <config.h>

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit_private.h"
#include "rig_private.h"

#define RECORDS 400
#define ROUNDS  20
#define THREADS 4

static struct rig *run_filter(struct trial *t)
{
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_run(r);
  return r;
}

static struct cof_batch *make(struct trial *t, size_t records)
{
  struct cof_batch *batch = cof_batch_create();
  if (batch == NULL)
    trial_fail(t, "out of memory");
  model_batch(batch, records, false);
  return batch;
}

static void process(struct rig *r, struct cof_batch *batch)
{
  struct guard_call before = guard_enter(r->owner, "process()");
  atomic_store(&r->t->shared->where, "process()");
  ((const struct cof_filter_ops *)r->plugin->ops)->process(r->self, batch);
  guard_leave(before);
}

/* All that a filter may not change of a record, texts included. */
struct image {
  struct cof_record record;
  char *rrname, *rdata;
};

static struct image *photograph(struct trial *t, const struct cof_batch *batch)
{
  size_t count = cof_batch_count(batch);
  struct image *images = calloc(count + 1, sizeof *images);
  for (size_t i = 0; images != NULL && i < count; i++) {
    const struct cof_record *rec = cof_batch_at(batch, i);
    images[i] = (struct image){*rec, strdup(rec->rrname), strdup(rec->rdata)};
  }
  if (images == NULL)
    trial_fail(t, "out of memory");
  return images;
}

static void compare(struct trial *t, const struct image *images, const struct cof_batch *batch,
                    size_t count)
{
  if (cof_batch_count(batch) != count)
    trial_fail(t, "process() made %zu records of %zu", cof_batch_count(batch), count);
  for (size_t i = 0; i < count; i++) {
    struct cof_record now = *cof_batch_at(batch, i), was = images[i].record;
    if (strcmp(now.rrname, images[i].rrname) != 0 || strcmp(now.rdata, images[i].rdata) != 0)
      trial_fail(t, "process() changed the texts of a record, or the order of records");
    if (now.verdict > COF_REFUSE)
      trial_fail(t, "process() set the verdict %u; expected one of enum cof_verdict", now.verdict);
    if (was.verdict != COF_KEEP && now.verdict != was.verdict)
      trial_fail(t, "process() judged a record that was judged before");
    now.verdict = was.verdict;
    if (memcmp(&now, &was, sizeof now) != 0)
      trial_fail(t, "process() changed more than the verdict of %.200s", now.rrname);
  }
}

static void free_images(struct image *images, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    free(images[i].rrname);
    free(images[i].rdata);
  }
  free(images);
}

static void case_pure(struct trial *t)
{
  trial_open(t);
  struct rig *r = run_filter(t);
  for (int round = 0; round < ROUNDS; round++) {
    struct cof_batch *batch = make(t, round == 0 ? 0 : RECORDS);
    size_t count = cof_batch_count(batch);
    uint64_t observations = cof_batch_observations(batch);
    struct image *images = photograph(t, batch);
    process(r, batch);
    compare(t, images, batch, count);
    if (cof_batch_observations(batch) != observations)
      trial_fail(t, "process() changed the tallies of a batch");
    free_images(images, count);
    cof_batch_destroy(&batch);
  }
  rig_destroy(&r);
}

/* The record alone in a batch, judged again. */
static unsigned judge_alone(struct rig *r, const struct cof_record *rec)
{
  struct cof_batch *batch = make(r->t, 0);
  struct cof_record fresh = *rec;
  fresh.verdict = COF_KEEP;
  if (cof_batch_add(batch, &fresh) == NULL)
    trial_fail(r->t, "out of memory");
  process(r, batch);
  unsigned verdict = cof_batch_at(batch, 0)->verdict;
  cof_batch_destroy(&batch);
  return verdict;
}

static void case_same(struct trial *t)
{
  trial_open(t);
  struct rig *r = run_filter(t);
  struct cof_batch *batch = make(t, RECORDS);
  size_t count = cof_batch_count(batch);
  for (size_t i = 0; i < count; i++)
    cof_batch_at(batch, i)->verdict = COF_KEEP;
  process(r, batch);
  for (size_t n = 0; n < count; n++) {
    const struct cof_record *rec = cof_batch_at(batch, (size_t)rand() % count);
    unsigned alone = judge_alone(r, rec);
    if (alone != rec->verdict)
      trial_fail(t, "judged %.200s %.200s with %u among others, and with %u alone", rec->rrname,
                 rec->rdata, rec->verdict, alone);
  }
  cof_batch_destroy(&batch);
  rig_destroy(&r);
}

struct worker {
  pthread_t thread;
  struct rig *rig;
  struct cof_batch *batch;
};

static void *work(void *arg)
{
  struct worker *w = arg;
  process(w->rig, w->batch);
  return NULL;
}

static void case_threads(struct trial *t)
{
  trial_open(t);
  struct rig *r = run_filter(t);
  struct worker workers[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    srand(t->plan->seed);
    workers[i] = (struct worker){.rig = r, .batch = make(t, RECORDS)};
  }
  for (size_t i = 0; i < THREADS; i++)
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
      trial_fail(t, "no thread");
  for (size_t i = 0; i < THREADS; i++)
    pthread_join(workers[i].thread, NULL);
  for (size_t i = 0; i < THREADS; i++) {
    for (size_t k = 0; k < cof_batch_count(workers[0].batch); k++)
      if (cof_batch_at(workers[i].batch, k)->verdict != cof_batch_at(workers[0].batch, k)->verdict)
        trial_fail(t, "judged one record in two ways in two threads");
    if (i > 0)
      cof_batch_destroy(&workers[i].batch);
  }
  cof_batch_destroy(&workers[0].batch);
  rig_destroy(&r);
}

const struct kit_case kit_filter_cases[] = {
    {"filter: changes nothing but verdicts, and keeps the order", KIT_OF(COF_KIND_FILTER), 0,
     case_pure},
    {"filter: judges each record by itself alone", KIT_OF(COF_KIND_FILTER), 0, case_same},
    {"filter: judges the same in several threads at once", KIT_OF(COF_KIND_FILTER),
     COF_CAP_THREAD_SAFE, case_threads},
    {0}};

/* --- outputs -------------------------------------------------------------------------------- */

/* Tell it what was stored, so long as it wants to know; a thread, as a chain has one. */
static void *tell_main(void *arg)
{
  struct rig *r = arg;
  const struct cof_output_ops *ops = r->plugin->ops;
  size_t count = cof_batch_count(r->model->all);
  const struct cof_record **records = model_sorted(r->model->all);
  uint8_t *news = calloc(count + 1, 1);
  if (news == NULL)
    trial_fail(r->t, "out of memory");
  for (int i = 0; i < 50; i++) {
    pthread_mutex_lock(&r->lock);
    unsigned wants = r->state == RIG_RUNS ? r->wants : 0;
    pthread_mutex_unlock(&r->lock);
    struct cof_stored stored = {.struct_size = sizeof stored,
                                .count = count,
                                .records = records,
                                .news = (wants & COF_WANT_NEW) != 0 ? news : NULL};
    struct guard_call before = guard_enter(r->owner, "stored()");
    if ((wants & COF_WANT_STORED) != 0)
      ops->stored(r->self, &stored);
    guard_leave(before);
    kit_sleep_ms(5);
  }
  free(news);
  free(records);
  return NULL;
}

static bool has_stored(const struct cof_plugin *p)
{
  const struct cof_output_ops *ops = p->ops;
  return ops->struct_size >= offsetof(struct cof_output_ops, stored) + sizeof ops->stored &&
         ops->stored != NULL;
}

static void case_output(struct trial *t)
{
  struct model model;
  trial_open(t);
  model_init(&model);
  struct cof_batch *batch = make(t, RECORDS);
  model_apply(&model, batch, NULL);
  cof_batch_destroy(&batch);
  struct rig *r = rig_create(t, 0);
  r->model = &model;
  rig_make(r);
  rig_run(r);
  pthread_t teller;
  bool tells = has_stored(t->plugin);
  if (tells && pthread_create(&teller, NULL, tell_main, r) != 0)
    trial_fail(t, "no thread");
  kit_sleep_ms(500 * KIT_SLOWNESS);
  if (tells)
    pthread_join(teller, NULL);
  rig_stop(r, RIG_STOP_MS);
  kit_sleep_ms(200 * KIT_SLOWNESS);
  rig_release(r);
  rig_destroy(&r);
  model_free(&model);
  if (t->plan->feed == NULL)
    trial_note(t, "nobody asked it anything; --feed COMMAND would");
}

const struct kit_case kit_output_cases[] = {
    {"output: stop() keeps its deadline while it is asked, nothing is asked after it",
     KIT_OF(COF_KIND_OUTPUT), 0, case_output},
    {0}};
