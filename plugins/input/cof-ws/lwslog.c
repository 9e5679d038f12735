/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "lwslog_private.h"

#include <pthread.h>
#include <string.h>

#include <libwebsockets.h>

/* The library calls back with a level and a line, and nothing to tell by whose they are. */
static _Thread_local struct cof_host *thread_host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cof_host *any_host; /* under the lock */

/* What fails on the way to a server is told by the stream, once, and not by every attempt. */
static void put(struct cof_host *host, const char *line)
{
  cof_log(host, COF_LOG_DEBUG, "libwebsockets: %.*s", (int)strcspn(line, "\r\n"), line);
}

static void emit(int level, const char *line)
{
  (void)level;
  if (thread_host != NULL) {
    put(thread_host, line);
    return;
  }
  pthread_mutex_lock(&lock);
  if (any_host != NULL)
    put(any_host, line);
  pthread_mutex_unlock(&lock);
}

void lwslog_begin(struct cof_host *host)
{
  pthread_mutex_lock(&lock);
  any_host = host;
  lws_set_log_level(LLL_ERR | LLL_WARN | LLL_NOTICE, emit);
  pthread_mutex_unlock(&lock);
}

void lwslog_end(struct cof_host *host)
{
  pthread_mutex_lock(&lock);
  if (any_host == host)
    any_host = NULL;
  pthread_mutex_unlock(&lock);
}

void lwslog_thread(struct cof_host *host)
{
  thread_host = host;
}
