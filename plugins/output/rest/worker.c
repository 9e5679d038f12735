/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <stdlib.h>

#include "priority_private.h"

/* Answers that a worker keeps for later: in flight at once, as a rule, is one. */
#define SPARE_MAX 16
/* Octets of a text or batch beyond which its memory is given back. */
#define KEEP_TEXT  SMALL_BODY
#define KEEP_BATCH ((size_t)1024 * 1024)

static struct worker *worker_create(struct rest *rest)
{
  struct worker *w = calloc(1, sizeof *w);
  if (w == NULL)
    return NULL;
  w->rest = rest;
  if (pthread_setspecific(rest->key, w) != 0) {
    free(w);
    return NULL;
  }
  pthread_mutex_lock(&rest->lock);
  w->settings = settings_hold(rest->settings);
  w->generation = atomic_load(&rest->generation);
  w->next = rest->workers;
  rest->workers = w;
  pthread_mutex_unlock(&rest->lock);
  priority_prompt();
  return w;
}

static void take_settings(struct worker *w)
{
  struct rest *rest = w->rest;
  settings_drop(&w->settings);
  pthread_mutex_lock(&rest->lock);
  w->settings = settings_hold(rest->settings);
  w->generation = atomic_load(&rest->generation);
  pthread_mutex_unlock(&rest->lock);
}

struct worker *worker_self(struct rest *rest)
{
  struct worker *w = pthread_getspecific(rest->key);
  if (w == NULL)
    return worker_create(rest);
  if (w->generation != atomic_load_explicit(&rest->generation, memory_order_acquire))
    take_settings(w);
  return w;
}

void workers_destroy(struct rest *rest)
{
  struct worker *w;
  while ((w = rest->workers) != NULL) {
    rest->workers = w->next;
    struct answer *a;
    while ((a = w->spare) != NULL) {
      w->spare = a->next;
      answer_destroy(&a);
    }
    gzip_destroy(&w->gzip);
    settings_drop(&w->settings);
    free(w);
  }
}

struct answer *worker_take(struct worker *worker)
{
  struct answer *a = worker->spare;
  if (a != NULL) {
    worker->spare = a->next;
    worker->spare_count--;
    a->next = NULL;
    return a;
  }
  a = calloc(1, sizeof *a);
  if (a != NULL) {
    a->worker = worker;
    answer_reset(a);
  }
  return a;
}

/* A batch that one answer made large would stay so for ever. */
static void shrink(struct source *source)
{
  if (source->peak <= KEEP_BATCH)
    return;
  cof_batch_destroy(&source->batch);
  source->peak = 0;
}

void worker_give(struct answer *answer)
{
  struct worker *w = answer->worker;
  answer_reset(answer);
  if (w->spare_count >= SPARE_MAX) {
    answer_destroy(&answer);
    return;
  }
  shrink(&answer->records);
  shrink(&answer->owners);
  if (answer->text_room > KEEP_TEXT) {
    free(answer->text);
    answer->text = NULL;
    answer->text_room = 0;
  }
  answer->next = w->spare;
  w->spare = answer;
  w->spare_count++;
}
