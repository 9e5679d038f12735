/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "instance_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain_private.h"
#include "host_private.h"
#include "loader_private.h"

/* How long a reload() waits for its turn. */
#define RELOAD_WAIT_S 5

uint64_t clock_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static char *source_name(enum cof_kind kind, const char *name)
{
  size_t size = strlen(kind_name(kind)) + strlen(name) + 2;
  char *source = malloc(size);
  if (source != NULL)
    snprintf(source, size, "%s.%s", kind_name(kind), name);
  return source;
}

struct instance *instance_create(struct engine *engine, const char *name,
                                 const struct cof_plugin *plugin, const void *values)
{
  struct instance *i = calloc(1, sizeof *i);
  if (i == NULL)
    return NULL;
  enum cof_kind kind = (enum cof_kind)plugin->kind;
  i->host.api = &host_api;
  i->engine = engine;
  i->plugin = plugin;
  i->values = values;
  pthread_mutex_init(&i->serial, NULL);
  i->name = strdup(name);
  i->source = source_name(kind, name);
  i->owner = guard_register(i->source != NULL ? i->source : name, plugin->name, plugin);
  i->metrics = metrics_create(kind_name(kind), name, plugin->name);
  if (i->name == NULL || i->source == NULL || i->metrics == NULL) {
    instance_destroy(&i);
    return NULL;
  }
  if (kind == COF_KIND_INPUT || kind == COF_KIND_STORAGE)
    i->rejected =
        metrics_get(i->metrics, COF_COUNTER, "rejected", "records",
                    kind == COF_KIND_INPUT ? "Input records that were refused before the chain."
                                           : "Input records that the storage refused.");
  return i;
}

void instance_release(struct instance *i)
{
  if (i->state != INSTANCE_STOPPED)
    return;
  i->state = INSTANCE_RELEASED;
  struct guard_call before = guard_enter(i->owner, "destroy()");
  i->plugin->destroy(i->self);
  guard_leave(before);
  i->self = NULL;
  host_flush_warnings(i);
}

void instance_destroy(struct instance **instance)
{
  struct instance *i = *instance;
  if (i == NULL)
    return;
  if (i->state == INSTANCE_CREATED || i->state == INSTANCE_STARTED)
    instance_stop(i, clock_ns());
  instance_release(i);
  metrics_destroy(&i->metrics);
  guard_unregister(&i->owner);
  pthread_mutex_destroy(&i->serial);
  free(i->source);
  free(i->name);
  free(i);
  *instance = NULL;
}

static bool create_self(struct instance *i)
{
  struct guard_call before = guard_enter_named(i->owner, "create()");
  enum cof_result r = i->plugin->create(&i->host, i->values, &i->self);
  guard_leave_named(before);
  if (r != COF_OK) {
    log_write(i->source, COF_LOG_ERROR, "could not be created (%s)", cof_result_name(r));
    return false;
  }
  i->state = INSTANCE_CREATED;
  return true;
}

static bool started(struct instance *i, enum cof_result r)
{
  if (r != COF_OK) {
    log_write(i->source, COF_LOG_ERROR, "did not start (%s)", cof_result_name(r));
    return false;
  }
  i->state = INSTANCE_STARTED;
  return true;
}

bool instance_start(struct instance *i)
{
  if (!create_self(i))
    return false;
  struct guard_call before = guard_enter_named(i->owner, "start()");
  enum cof_result r = i->plugin->start(i->self);
  guard_leave_named(before);
  return started(i, r);
}

bool instance_load(struct instance *i, const char *const *paths, size_t count)
{
  const struct cof_input_ops *ops = i->plugin->ops;
  if (!create_self(i))
    return false;
  struct guard_call before = guard_enter_named(i->owner, "load()");
  enum cof_result r = ops->load(i->self, paths, count);
  guard_leave_named(before);
  return started(i, r);
}

void instance_stop(struct instance *i, uint64_t deadline_ns)
{
  if (i->state != INSTANCE_CREATED && i->state != INSTANCE_STARTED)
    return;
  i->state = INSTANCE_STOPPED;
  atomic_store(&i->stopping, true);
  if (i->plugin->kind == COF_KIND_INPUT && i->chain != NULL)
    chain_wake(i->chain);
  uint64_t begin = clock_ns();
  struct guard_call before = guard_enter(i->owner, "stop()");
  enum cof_result r = i->plugin->stop(i->self, deadline_ns);
  guard_leave(before);
  uint64_t end = clock_ns();
  if (r == COF_TIMEOUT)
    log_write(i->source, COF_LOG_WARNING, "cut off unfinished work to stop in time");
  else if (r != COF_OK)
    log_write(i->source, COF_LOG_ERROR, "did not stop cleanly (%s)", cof_result_name(r));
  if (begin < deadline_ns && end > deadline_ns)
    log_write(i->source, COF_LOG_WARNING, "stopped %.1f s after its deadline",
              (double)(end - deadline_ns) / 1e9);
}

static bool thread_safe(const struct instance *i)
{
  return (i->plugin->caps & COF_CAP_THREAD_SAFE) != 0;
}

/* Bounded, for a write that hangs must not make the main thread deaf to SIGTERM. */
static bool enter_for_reload(struct instance *i)
{
  if (thread_safe(i))
    return true;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += RELOAD_WAIT_S;
  return pthread_mutex_timedlock(&i->serial, &until) == 0;
}

enum cof_result instance_reload(struct instance *i, const void *values)
{
  if (!enter_for_reload(i)) {
    log_write(i->source, COF_LOG_ERROR, "is busy with one call for %d s; reload again later",
              RELOAD_WAIT_S);
    return COF_RETRY;
  }
  struct guard_call before = guard_enter_named(i->owner, "reload()");
  enum cof_result r = i->plugin->reload(i->self, values);
  guard_leave_named(before);
  if (!thread_safe(i))
    pthread_mutex_unlock(&i->serial);
  return r;
}

void instance_filter(struct instance *i, struct cof_batch *batch)
{
  const struct cof_filter_ops *ops = i->plugin->ops;
  if (!thread_safe(i))
    pthread_mutex_lock(&i->serial);
  struct guard_call before = guard_enter(i->owner, "process()");
  ops->process(i->self, batch);
  guard_leave(before);
  if (!thread_safe(i))
    pthread_mutex_unlock(&i->serial);
}

void instance_write(struct instance *i, const struct cof_batch *batch, struct cof_ticket *ticket)
{
  const struct cof_storage_ops *ops = i->plugin->ops;
  if (!thread_safe(i))
    pthread_mutex_lock(&i->serial);
  struct guard_call before = guard_enter(i->owner, "write()");
  ops->write(i->self, batch, ticket);
  guard_leave(before);
  if (!thread_safe(i))
    pthread_mutex_unlock(&i->serial);
}

void instance_resume(struct instance *i)
{
  const struct cof_input_ops *ops = i->plugin->ops;
  if (ops->resume == NULL)
    return;
  struct guard_call before = guard_enter(i->owner, "resume()");
  ops->resume(i->self);
  guard_leave(before);
}

void instance_ack(struct instance *i, uint64_t token, enum cof_result result)
{
  const struct cof_input_ops *ops = i->plugin->ops;
  struct guard_call before = guard_enter(i->owner, "ack()");
  ops->ack(i->self, token, result);
  guard_leave(before);
}
