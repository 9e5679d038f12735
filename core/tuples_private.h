/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Finds records of a batch by their tuple. Single thread.
 */
#ifndef COFD_TUPLES_PRIVATE_H
#define COFD_TUPLES_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>

/** Zero-initialised; its memory is used again for the next batch. */
struct tuples {
  const struct cof_batch *batch; /**< borrowed */
  size_t *slots;                 /**< index + 1; 0: free */
  size_t room;                   /**< a power of two */
};

/**
 * Take up a batch. A record whose tuple an earlier one has is folded into that and gets the verdict
 * COF_DROP. Sets every record's hash.
 * @return false when out of memory
 */
bool tuples_index(struct tuples *tuples, struct cof_batch *batch);

/** The record of that tuple; NULL: there is none. */
struct cof_record *tuples_find(const struct tuples *tuples, const struct cof_record *record);

void tuples_free(struct tuples *tuples);

#endif
