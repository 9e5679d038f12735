/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * One running instance of a plugin, and the host's functions as that plugin sees them.
 */
#ifndef COFD_INSTANCE_PRIVATE_H
#define COFD_INSTANCE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <cofd/plugin.h>

#include "guard_private.h"
#include "log_private.h"
#include "metrics_private.h"

struct chain;
struct engine;

/** How far an instance got; each is entered once, in this order. */
enum instance_state {
  INSTANCE_NEW,
  INSTANCE_CREATED,
  INSTANCE_STARTED,
  INSTANCE_STOPPED,
  INSTANCE_RELEASED
};

struct instance {
  struct cof_host host; /**< first, so that a plugin's pointer leads back here */
  struct engine *engine;
  char *name;   /**< in the configuration */
  char *source; /**< "kind.name" */
  const struct cof_plugin *plugin;
  const void *values; /**< configuration in force, owned by a conf of the engine */
  void *self;         /**< the plugin's own */
  enum instance_state state;
  const struct guard_owner *owner; /**< whom a crash or a hang in it is blamed on */

  struct metrics *metrics;
  struct cof_metric *rejected; /**< of an input or storage */
  struct log_limit reject_log;
  pthread_mutex_t serial; /**< around callbacks of a plugin without COF_CAP_THREAD_SAFE */

  struct chain *chain;      /**< of an input or output: the one that names it */
  struct instance *storage; /**< of an output: whom it asks; of a storage out of a chain: itself */
  atomic_bool stopping;     /**< of an input: emit no more */
  atomic_bool finished;     /**< of an input: cof_finished() was called */
  atomic_uint wants;        /**< of an output: see cof_want() */
  bool wants_resume;        /**< of an input: under the chain's lock; so is the next */
  struct instance *next_resume;
};

/**
 * Make an instance; nothing of the plugin is called yet.
 * @return owned by the caller, or NULL when out of memory
 */
struct instance *instance_create(struct engine *engine, const char *name,
                                 const struct cof_plugin *plugin, const void *values);
/** The plugin's destroy(), of a stopped instance, whose metrics stay. Main thread. */
void instance_release(struct instance *instance);
/** Stop it if it was created, with no time to drain; free it. Nulls the pointer. */
void instance_destroy(struct instance **instance);

/** The plugin's create() and start(), with errors logged. Main thread. */
bool instance_start(struct instance *instance);
/** The same with load() in place of start(). */
bool instance_load(struct instance *instance, const char *const *paths, size_t count);
/** The plugin's stop(), once; logs when it is late. */
void instance_stop(struct instance *instance, uint64_t deadline_ns);

/**
 * The plugin's reload(), alone where the plugin demands it. Main thread.
 * @return also COF_RETRY when another callback kept it waiting too long
 */
enum cof_result instance_reload(struct instance *instance, const void *values);

/** Run a filter over a batch, one at a time where the plugin demands it. */
void instance_filter(struct instance *instance, struct cof_batch *batch);
/** Hand a batch to a storage, one at a time where the plugin demands it. */
void instance_write(struct instance *instance, const struct cof_batch *batch,
                    struct cof_ticket *ticket);
/** Tell an input that there is room again. */
void instance_resume(struct instance *instance);
/** Settle a batch with its input. */
void instance_ack(struct instance *instance, uint64_t token, enum cof_result result);

/** Monotonic clock in nanoseconds. */
uint64_t clock_ns(void);

#endif
