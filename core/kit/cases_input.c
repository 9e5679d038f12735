/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What holds for inputs. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../instance_private.h"
#include "kit_private.h"
#include "rig_private.h"

#define QUIET_MS (300 * KIT_SLOWNESS)  /* how long nothing must happen */
#define FLOW_MS  (5000 * KIT_SLOWNESS) /* for the first record */

static struct rig *run_input(struct trial *t)
{
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_run(r);
  return r;
}

static void end(struct rig **r)
{
  rig_stop(*r, RIG_STOP_MS);
  kit_sleep_ms(QUIET_MS);
  rig_release(*r);
  kit_sleep_ms(QUIET_MS);
  rig_destroy(r);
}

static void need_flow(struct trial *t)
{
  if (!t->shared->flows)
    trial_skip(t, "no records came; give options that lead it to some, or --feed COMMAND");
}

static void check_total(struct trial *t, struct rig *r)
{
  const struct kit_shared *s = t->shared;
  uint64_t records = rig_records(r);
  if (!s->exact)
    return;
  if (records != s->count)
    trial_fail(t, "%llu records came, and %llu in a run without pauses",
               (unsigned long long)records, (unsigned long long)s->count);
  if (r->sum != s->sum)
    trial_fail(t, "%llu records came, but not those of a run without pauses",
               (unsigned long long)records);
}

/* The first run, which the others are compared with. */
static void case_records(struct trial *t)
{
  trial_open(t);
  struct rig *r = run_input(t);
  rig_wait_some(r, t->plan->records != 0 ? rig_wait_ms(t) : FLOW_MS);
  bool all = rig_wait_all(r, t->plan->records != 0 ? rig_wait_ms(t) : FLOW_MS);
  uint64_t records = rig_records(r), want = t->plan->records;
  t->shared->flows = records != 0;
  if (want != 0 && !all)
    trial_fail(t, "%llu records came, expected %llu (--records)", (unsigned long long)records,
               (unsigned long long)want);
  kit_sleep_ms(QUIET_MS);
  rig_stop(r, RIG_STOP_MS);
  if (all) {
    t->shared->exact = true;
    t->shared->count = r->records;
    t->shared->sum = r->sum;
  }
  if (want != 0 && r->records != want)
    trial_fail(t, "%llu records came, expected %llu (--records)", (unsigned long long)r->records,
               (unsigned long long)want);
  trial_note(t, "%llu records in %llu batches%s", (unsigned long long)r->records,
             (unsigned long long)r->batches, all ? ", which was all" : "");
  rig_destroy(&r);
  need_flow(t);
}

static void case_stop_in_traffic(struct trial *t)
{
  trial_open(t);
  need_flow(t);
  struct rig *r = run_input(t);
  rig_wait_some(r, FLOW_MS);
  end(&r);
}

/* Called with the chain full since start(), until the instance ran into that. */
static void await_refusal(struct trial *t, struct rig *r)
{
  rig_feed(r);
  if (!rig_wait_refusal(r, rig_wait_ms(t)))
    trial_fail(t, "did not come back from emit, or emitted nothing, for %d ms", rig_wait_ms(t));
}

static void watch_pause(struct trial *t, struct rig *r)
{
  /* On a crowded machine the pause is longer than was asked for, and has more attempts. */
  uint64_t refusals = rig_refusals(r), cpu = kit_cpu_ms(), begin = clock_ns();
  kit_sleep_ms(2 * QUIET_MS);
  refusals = rig_refusals(r) - refusals;
  cpu = kit_cpu_ms() - cpu;
  uint64_t ms = (clock_ns() - begin) / 1000000u;
  if (cpu > (uint64_t)QUIET_MS)
    trial_fail(t,
               "used %llu ms of processor time in %llu ms in which the chain was full: a busy loop",
               (unsigned long long)cpu, (unsigned long long)ms);
  if (r->early != 0)
    trial_fail(t, "called cof_emit() again after COF_AGAIN, before resume()");
  if (refusals > ms / 2)
    trial_fail(t, "called emit %llu times in %llu ms in which the chain was full: a busy loop",
               (unsigned long long)refusals, (unsigned long long)ms);
}

static struct rig *run_full(struct trial *t)
{
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_room(r, 0);
  rig_run(r);
  await_refusal(t, r);
  return r;
}

static void case_pause(struct trial *t)
{
  trial_open(t);
  need_flow(t);
  struct rig *r = run_full(t);
  watch_pause(t, r);
  if (rig_records(r) != 0)
    trial_fail(t, "records came while the chain was full");
  rig_room(r, UINT64_MAX);
  if (!rig_wait_some(r, rig_wait_ms(t)))
    trial_fail(t, "did not go on when there was room again");
  end(&r);
}

/* Room for one batch at a time: whatever is dropped at a pause is missed in the end. */
static void case_lossless(struct trial *t)
{
  trial_open(t);
  need_flow(t);
  struct rig *r = run_full(t);
  for (int i = 0; i < 20; i++) {
    rig_room(r, 1);
    kit_sleep_ms(10);
  }
  rig_room(r, UINT64_MAX);
  if (t->shared->exact && !rig_wait_all(r, rig_wait_ms(t)))
    trial_fail(t, "%llu of %llu records came after pauses", (unsigned long long)rig_records(r),
               (unsigned long long)t->shared->count);
  kit_sleep_ms(t->shared->exact ? 50 : QUIET_MS);
  rig_stop(r, RIG_STOP_MS);
  check_total(t, r);
  rig_destroy(&r);
  if (!t->shared->exact)
    trial_note(t, "whether all came is not known: it has no end; --records N would tell");
}

static void case_stop_paused(struct trial *t)
{
  trial_open(t);
  need_flow(t);
  struct rig *r = run_full(t);
  end(&r);
}

static void case_late_acks(struct trial *t)
{
  trial_open(t);
  need_flow(t);
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_hold(r, true);
  rig_run(r);
  if (!rig_wait_some(r, rig_wait_ms(t)))
    trial_fail(t, "no records came with acks held back");
  kit_sleep_ms(QUIET_MS);
  rig_hold(r, false);
  if (t->shared->exact && !rig_wait_all(r, rig_wait_ms(t)))
    trial_fail(t, "%llu of %llu records came after acks were held back",
               (unsigned long long)rig_records(r), (unsigned long long)t->shared->count);
  kit_sleep_ms(50);
  rig_stop(r, RIG_STOP_MS);
  check_total(t, r);
  rig_destroy(&r);
}

/* stop() must not wait for acks, which may come after it, and as COF_STOPPED. */
static void case_stop_unacked(struct trial *t)
{
  trial_open(t);
  need_flow(t);
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_hold(r, true);
  rig_run(r);
  rig_wait_some(r, FLOW_MS);
  end(&r);
}

static void case_load(struct trial *t)
{
  uint64_t done = 0, total = 0;
  trial_open(t);
  if (t->plan->load == NULL)
    trial_skip(t, "give it a file by --load FILE");
  struct rig *r = rig_create(t, 0);
  const struct cof_input_ops *ops = t->plugin->ops;
  rig_make(r);
  rig_load(r, t->plan->load);
  ops->progress(r->self, &done, &total);
  for (int i = 0; i < rig_wait_ms(t); i += 5) {
    uint64_t before = done;
    kit_sleep_ms(5);
    ops->progress(r->self, &done, &total);
    if (done < before)
      trial_fail(t, "progress() went back from %llu to %llu", (unsigned long long)before,
                 (unsigned long long)done);
    pthread_mutex_lock(&r->lock);
    bool finished = r->finished;
    pthread_mutex_unlock(&r->lock);
    if (finished)
      break;
  }
  pthread_mutex_lock(&r->lock);
  bool finished = r->finished;
  pthread_mutex_unlock(&r->lock);
  if (!finished)
    trial_fail(t, "did not call cof_finished() after load()");
  if (rig_records(r) == 0)
    trial_fail(t, "load() of %s gave no records", t->plan->load);
  rig_stop(r, RIG_STOP_MS);
  rig_release(r);
  rig_destroy(&r);
}

const struct kit_case kit_input_cases[] = {
    {"input: records are canonical and within bounds", KIT_OF(COF_KIND_INPUT), 0, case_records},
    {"input: stop() keeps its deadline in traffic, nothing is emitted after it",
     KIT_OF(COF_KIND_INPUT), 0, case_stop_in_traffic},
    {"input: pauses on COF_AGAIN without a busy loop, and goes on", KIT_OF(COF_KIND_INPUT), 0,
     case_pause},
    {"input: loses nothing to COF_AGAIN", KIT_OF(COF_KIND_INPUT), 0, case_lossless},
    {"input: stop() keeps its deadline while the chain is full", KIT_OF(COF_KIND_INPUT), 0,
     case_stop_paused},
    {"input: acks that come late are accounted for", KIT_OF(COF_KIND_INPUT), 0, case_late_acks},
    {"input: stop() does not wait for acks, which come after it", KIT_OF(COF_KIND_INPUT), 0,
     case_stop_unacked},
    {"input: load() reads a file once and finishes", KIT_OF(COF_KIND_INPUT), COF_CAP_LOAD,
     case_load},
    {0}};
