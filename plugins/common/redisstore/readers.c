/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "store_private.h"

#include <stdlib.h>
#include <time.h>

static struct reader *reader_create(struct store *s, struct cof_error *err)
{
  struct reader *r = calloc(1, sizeof *r);
  if (r == NULL) {
    cof_fail(err, COF_RETRY, "out of memory");
    return NULL;
  }
  r->client = store_connect(s, true, err);
  if (r->client == NULL) {
    free(r);
    return NULL;
  }
  s->all_readers[s->readers_count++] = r;
  return r;
}

/* Wait until a reader may have come back. The host's clock is the monotonic one. */
static bool wait_idle(struct store *s, uint64_t until_ns)
{
  struct timespec ts = {.tv_sec = (time_t)(until_ns / UINT64_C(1000000000)),
                        .tv_nsec = (long)(until_ns % UINT64_C(1000000000))};
  return pthread_cond_timedwait(&s->idle, &s->lock, &ts) == 0;
}

enum cof_result reader_take(struct store *s, uint64_t deadline_ns, struct reader **reader,
                            struct cof_error *err)
{
  enum cof_result result = COF_OK;
  uint64_t until = deadline_ns;
  if (until == 0)
    until = cof_clock_ns(s->host) + (uint64_t)s->conf->command_timeout * UINT64_C(1000000);
  *reader = NULL;
  pthread_mutex_lock(&s->lock);
  while (*reader == NULL && result == COF_OK) {
    if (s->stopping) {
      result = cof_fail(err, COF_STOPPED, "stopping");
    } else if (s->free_readers != NULL) {
      *reader = s->free_readers;
      s->free_readers = (*reader)->next;
    } else if (s->readers_count < (size_t)s->conf->readers) {
      *reader = reader_create(s, err);
      result = *reader != NULL ? COF_OK : COF_RETRY;
    } else if (!wait_idle(s, until) && s->free_readers == NULL) {
      result = deadline_ns != 0 ? COF_TIMEOUT : COF_RETRY;
      cof_fail(err, result, "all %zu connections for questions are busy", s->readers_count);
    }
  }
  pthread_mutex_unlock(&s->lock);
  return result;
}

void reader_give(struct store *s, struct reader *reader)
{
  resp_forget(reader->client);
  pthread_mutex_lock(&s->lock);
  reader->next = s->free_readers;
  s->free_readers = reader;
  pthread_cond_signal(&s->idle);
  pthread_mutex_unlock(&s->lock);
}

void readers_stop(struct store *s)
{
  pthread_mutex_lock(&s->lock);
  s->stopping = true;
  for (size_t i = 0; i < s->readers_count; i++)
    resp_interrupt(s->all_readers[i]->client);
  pthread_cond_broadcast(&s->idle);
  pthread_mutex_unlock(&s->lock);
}

void readers_free(struct store *s)
{
  for (size_t i = 0; i < s->readers_count; i++) {
    resp_destroy(&s->all_readers[i]->client);
    free(s->all_readers[i]);
  }
  s->readers_count = 0;
  s->free_readers = NULL;
}
