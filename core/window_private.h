/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The window folds repeated observations of one tuple into one record before storage. It also
 * keeps, in order, which input batches wait for its records to become durable. Not thread safe.
 */
#ifndef COFD_WINDOW_PRIVATE_H
#define COFD_WINDOW_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>

struct instance;
struct window;

/** What became of the records of a batch. */
struct window_counts {
  uint64_t kept;     /**< folded in, the next two included */
  uint64_t folded;   /**< of these, into a record that was there */
  uint64_t filtered; /**< verdict COF_DROP */
  uint64_t rejected; /**< verdict COF_REFUSE */
  uint64_t looped;   /**< via COF_VIA_LOOPED */
};

/** How a call of window_fold() ended. */
enum window_end {
  WINDOW_DONE,     /**< the batch is in */
  WINDOW_FULL,     /**< the bound is reached; write, clear, call again from `*from` */
  WINDOW_NO_MEMORY /**< likewise */
};

/** @param max_records,max_bytes  bounds; a window takes at least one record */
struct window *window_create(size_t max_records, size_t max_bytes);
void window_destroy(struct window **window);

/** Change that bound, of the window as it fills. */
void window_bound(struct window *window, size_t max_records);

/** Tell observations by different paths (cof_record.via) apart from now on: see window_part(). */
void window_split(struct window *window);

/** Keep what each sensor saw from now on: see cof_batch_sights(). */
void window_by_sensor(struct window *window);

/** Fold records `*from` and on of a batch; `*from` is advanced, `counts` added to. */
enum window_end window_fold(struct window *window, const struct cof_batch *batch, size_t *from,
                            struct window_counts *counts);

/** Note that a batch of `input` is settled with this window. @return false when out of memory */
bool window_await(struct window *window, struct instance *input, uint64_t token);

/** Call `fn` for each batch noted, in the order noted. */
void window_settle(const struct window *window,
                   void (*fn)(void *arg, struct instance *input, uint64_t token), void *arg);

/** The folded records with tallies; owned by the window. */
const struct cof_batch *window_batch(const struct window *window);
/**
 * The first part of a record whose via is COF_VIA_MIXED; of a part, the one after it; NULL at the
 * end. The parts of a record, one for each path, add up to it. Owned by the window.
 */
const struct cof_record *window_part(const struct window *window, const struct cof_record *record);
/** Number of all parts. */
size_t window_parts(const struct window *window);
/** Whether there is nothing to write and nobody to tell. */
bool window_empty(const struct window *window);
/** Whether no more should go in. */
bool window_full(const struct window *window);
/** Empty it, keeping its memory. */
void window_clear(struct window *window);

#endif
