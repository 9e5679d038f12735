/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Writes batches to storages until they are durable: all storages at once, and again after a pause
 * where one cannot take a batch now.
 */
#ifndef COFD_WRITER_PRIVATE_H
#define COFD_WRITER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "instance_private.h"

struct writer;

/** What a writer is made of; all is borrowed until it is destroyed. */
struct writer_conf {
  const char *source; /**< for the log */
  struct instance *const *storages;
  size_t storages_count;
  uint64_t retry_min_ms, retry_max_ms; /**< pause before the first repetition, and longest one */
  struct cof_metric *retries;          /**< counts repetitions; or NULL */
  struct cof_metric *write_ms;         /**< counts time spent in writes; or NULL */
};

/** @return owned by the caller, or NULL when out of memory */
struct writer *writer_create(const struct writer_conf *conf);
/** Free a writer that no thread uses; tolerates NULL, nulls the pointer. */
void writer_destroy(struct writer **writer);

/**
 * Write a batch to every storage, and return once each said durable. One thread at a time.
 * @param rejected  set to the input records that the first storage refused; may be NULL
 * @return COF_OK; COF_STOPPED after writer_stop(); COF_FATAL after logging who cannot go on
 */
enum cof_result writer_write(struct writer *writer, const struct cof_batch *batch,
                             uint64_t *rejected);

/**
 * What to note of the records of the batches written from here on, with the first storage.
 * @param notes  zeroed by each writer_write(), an element for each record of the largest batch;
 *               borrowed; NULL: nothing
 * @param news   whether also which are new
 */
void writer_note(struct writer *writer, uint8_t *notes, bool news);

/** Pause, a little more or less than said, and double `pause_ms`. @return false: stopped */
bool writer_pause(struct writer *writer, uint64_t *pause_ms);

/** Repeat no write from here on; a write under way ends as it may. Any thread. */
void writer_stop(struct writer *writer);

/** Log which storages have not concluded a write. Any thread. */
void writer_blame(struct writer *writer);

#endif
