/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A chain takes batches from its inputs, filters and folds them in one thread, and writes windows
 * to its storages in another, so that one window fills while the other is written.
 *
 * Every batch taken is settled with its input exactly once and in order: COF_OK once every storage
 * said durable, COF_STOPPED when the chain ended before that.
 */
#ifndef COFD_CHAIN_PRIVATE_H
#define COFD_CHAIN_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf_private.h"
#include "instance_private.h"

struct chain;

/**
 * Called from a thread of the chain: with `failed` once, when it cannot go on; without, after
 * chain_hurry(), each time all that was emitted is settled.
 */
typedef void (*chain_event_fn)(void *arg, bool failed);

/**
 * @param conf      copied; `name` likewise
 * @param filters   in order, and `storages`: arrays of instances that outlive the chain; copied
 * @return owned by the caller, or NULL when out of memory
 */
struct chain *chain_create(const char *name, const struct chain_conf *conf,
                           struct instance *const *filters, size_t filters_count,
                           struct instance *const *storages, size_t storages_count,
                           chain_event_fn event, void *arg);
/** Free a chain that was never started or is finished; nulls the pointer. */
void chain_destroy(struct chain **chain);

/** Tell an output with stored() what is written. Before the start. @return false: out of memory */
bool chain_tap(struct chain *chain, struct instance *output);

/** Start its threads, with its storages started. @return false with the reason logged */
bool chain_start(struct chain *chain);

/** See cof_emit(); `wait_ms` 0 does not wait. Any thread. */
enum cof_result chain_emit(struct chain *chain, struct instance *input, struct cof_batch **batch,
                           uint64_t token, int wait_ms);
/** Have the waiting emits of a stopping input return. */
void chain_wake(struct chain *chain);

/** A batch out of the chain's pool, and back. Any thread. */
struct cof_batch *chain_batch_get(struct chain *chain);
void chain_batch_put(struct chain *chain, struct cof_batch **batch);

/** Take nothing more and begin to write what is there, without waiting. */
void chain_drain(struct chain *chain);
/**
 * Write what is there, with all inputs stopped, and end the threads; once more does nothing.
 * @return false when a storage did not give its thread back by the deadline: then neither the chain
 *         nor its instances may be destroyed
 */
bool chain_finish(struct chain *chain, uint64_t deadline_ns);

/** Whether it writes no more: the deadline of the stop passed, or it failed. Any thread. */
bool chain_cut_off(struct chain *chain);

/** Whether its threads ended, so that no more acks come from it. */
bool chain_ended(struct chain *chain);

/** Have windows written as soon as nothing waits before them, instead of when they are due. */
void chain_hurry(struct chain *chain);
/** Whether all that was emitted is settled. Any thread. */
bool chain_idle(struct chain *chain);
/** Whether all that was emitted is durable, with nothing given back as COF_STOPPED. Any thread. */
bool chain_all_stored(struct chain *chain);

struct metrics *chain_metrics(struct chain *chain);

#endif
