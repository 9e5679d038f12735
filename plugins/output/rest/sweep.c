/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "rest_private.h"

/* How often it looks: a bound is kept to within this. */
#define STEP_NS UINT64_C(250000000)

/* Slow clients are hung up on from a thread of its own, since the library only knows of silence:
   one octet now and then keeps a connection busy for ever. */
struct sweeper {
  struct rest *rest;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool ends; /* under the lock */
};

static void add_step(struct timespec *ts)
{
  ts->tv_nsec += (long)STEP_NS;
  if (ts->tv_nsec >= 1000000000) {
    ts->tv_nsec -= 1000000000;
    ts->tv_sec++;
  }
}

static void sweep(struct rest *rest)
{
  unsigned n = links_sweep(rest, cof_clock_ns(rest->host));
  if (n > 0)
    cof_add(rest->host, rest->metrics.slow, (int64_t)n);
}

static void *sweeper_main(void *arg)
{
  struct sweeper *s = arg;
  struct timespec until;
  pthread_mutex_lock(&s->lock);
  while (!s->ends) {
    clock_gettime(CLOCK_MONOTONIC, &until);
    add_step(&until);
    (void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);
    sweep(s->rest);
    pthread_mutex_lock(&s->lock);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

static bool make_wake(pthread_cond_t *cond)
{
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0)
    return false;
  bool ok =
      pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(cond, &attr) == 0;
  pthread_condattr_destroy(&attr);
  return ok;
}

struct sweeper *sweeper_start(struct rest *rest)
{
  struct sweeper *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->rest = rest;
  if (pthread_mutex_init(&s->lock, NULL) != 0)
    goto no_lock;
  if (!make_wake(&s->wake))
    goto no_wake;
  if (pthread_create(&s->thread, NULL, sweeper_main, s) != 0)
    goto no_thread;
  return s;

no_thread:
  pthread_cond_destroy(&s->wake);
no_wake:
  pthread_mutex_destroy(&s->lock);
no_lock:
  free(s);
  return NULL;
}

void sweeper_stop(struct sweeper **sweeper)
{
  struct sweeper *s = *sweeper;
  *sweeper = NULL;
  if (s == NULL)
    return;
  pthread_mutex_lock(&s->lock);
  s->ends = true;
  pthread_cond_signal(&s->wake);
  pthread_mutex_unlock(&s->lock);
  (void)pthread_join(s->thread, NULL);
  pthread_cond_destroy(&s->wake);
  pthread_mutex_destroy(&s->lock);
  free(s);
}
