/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "watchdog_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "log_private.h"

struct watchdog {
  pthread_mutex_t lock;
  pthread_cond_t stop;
  pthread_t thread;
  bool stopped;
  uint64_t until_ns;
  char source[128];
};

static void *watch_main(void *arg)
{
  struct watchdog *w = arg;
  struct timespec until = {.tv_sec = (time_t)(w->until_ns / 1000000000u),
                           .tv_nsec = (long)(w->until_ns % 1000000000u)};
  pthread_mutex_lock(&w->lock);
  int e = 0;
  while (!w->stopped && e != ETIMEDOUT)
    e = pthread_cond_timedwait(&w->stop, &w->lock, &until);
  if (!w->stopped) {
    log_write("cofd", COF_LOG_ERROR, "%s blocks past its deadline; ending without it", w->source);
    _exit(1);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

struct watchdog *watchdog_start(uint64_t deadline_ns)
{
  struct watchdog *w = calloc(1, sizeof *w);
  if (w == NULL)
    return NULL;
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->stop, &attr);
  pthread_condattr_destroy(&attr);
  w->until_ns = deadline_ns + WATCHDOG_GRACE_NS;
  if (pthread_create(&w->thread, NULL, watch_main, w) != 0) {
    pthread_cond_destroy(&w->stop);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
  }
  return w;
}

void watchdog_watch(struct watchdog *w, const char *source)
{
  if (w == NULL)
    return;
  pthread_mutex_lock(&w->lock);
  snprintf(w->source, sizeof w->source, "%s", source);
  pthread_mutex_unlock(&w->lock);
}

void watchdog_stop(struct watchdog **watchdog)
{
  struct watchdog *w = *watchdog;
  if (w == NULL)
    return;
  pthread_mutex_lock(&w->lock);
  w->stopped = true;
  pthread_cond_signal(&w->stop);
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->stop);
  pthread_mutex_destroy(&w->lock);
  free(w);
  *watchdog = NULL;
}
