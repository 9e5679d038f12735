/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * All instances and chains of a configuration, from start to stop. Main thread only, except where a
 * function says otherwise.
 */
#ifndef COFD_ENGINE_PRIVATE_H
#define COFD_ENGINE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf_private.h"
#include "instance_private.h"
#include "loader_private.h"

struct engine;

/** What an import needs in place of the configured inputs and outputs. */
struct engine_import {
  const struct conf_chain *chain;
  const char *name; /**< of the input instance */
  const struct cof_plugin *plugin;
  const void *values;
  const char *const *paths;
  size_t paths_count;
};

/**
 * Make the instances and chains.
 * @param conf    owned by the engine from here on, also on failure
 * @param import  NULL to run everything; else only that chain, with that one input and no output
 * @return owned by the caller, or NULL with the reason logged
 */
struct engine *engine_create(struct conf *conf, struct loader *loader,
                             const struct engine_import *import);
/**
 * Make some storages and nothing else, each of which can be asked through its own host
 * (cof_query_open and the like).
 * @param indices  of storages in conf->instances
 * @return as engine_create
 */
struct engine *engine_create_storages(struct conf *conf, struct loader *loader,
                                      const size_t *indices, size_t count);
/** The instance made of conf->instances[index]; NULL where none was. */
struct instance *engine_instance(struct engine *engine, size_t index);
/** Start storages, filters, chains, outputs, inputs. @return false with the reason logged */
bool engine_start(struct engine *engine);
/** Take the file's new reloadable values; logs what it did. */
void engine_reload(struct engine *engine);
/** Stop inputs and drain chains: the counters are final then. engine_stop() goes on from there. */
void engine_drain(struct engine *engine);
/**
 * Stop inputs, drain chains, stop outputs and storages, free all; nulls the pointer. Ends the
 * process when a plugin does not give a thread back.
 * @return false when something was cut off or had failed
 */
bool engine_stop(struct engine **engine);

/** Readable (poll) when the engine failed or an input finished. */
int engine_event_fd(const struct engine *engine);
/** Whether a chain failed and the engine should be stopped. Any thread. */
bool engine_failed(const struct engine *engine);
/** Whether every input has finished and all it emitted is settled; hurries the chains then. */
bool engine_finished(struct engine *engine);
/** The one input of an import. */
struct instance *engine_import_input(struct engine *engine);
/** Sum of a chain metric over all chains. */
int64_t engine_chain_metric(struct engine *engine, const char *name);

/** Any thread: wake the main thread; `failed` marks a failure. */
void engine_notify(struct engine *engine, bool failed);
/** See cof_metrics_each(). Any thread. */
void engine_metrics_each(struct engine *engine, cof_metric_fn fn, void *arg);
/** See cof_node(). Any thread. */
const char *engine_node(const struct engine *engine);
/** The paths known here. Any thread. */
struct via_table *engine_vias(const struct engine *engine);
/** See cof_state_dir(). Any thread. */
const char *engine_state_dir(const struct engine *engine);

#endif
