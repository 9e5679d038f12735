/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Whether a storage holds what another one holds.
 */
#ifndef COFD_VERIFY_PRIVATE_H
#define COFD_VERIFY_PRIVATE_H

#include <stdbool.h>

#include "transfer_private.h"

/**
 * Count the records of a storage and sum them up (checksum_private.h).
 * @return COF_OK; COF_STOPPED; COF_FATAL after logging
 */
enum cof_result verify_sum(struct transfer *transfer, struct instance *storage, uint64_t *records,
                           uint64_t *sum);

/** What verify_each() counts. */
struct verify_counts {
  uint64_t records; /**< looked at */
  uint64_t missing; /**< not in `in` at all */
  uint64_t less;    /**< there with a later first, an earlier last or a smaller count */
};

/**
 * Look up every record of `storage` in `in`; the first few that are not as they should are logged.
 * @param exact  they must be the same, not at least as wide; then `less` counts those that differ
 * @return COF_OK, whatever was found; COF_STOPPED; COF_FATAL after logging
 */
enum cof_result verify_each(struct transfer *transfer, struct instance *storage,
                            struct instance *in, bool exact, struct verify_counts *counts);

#endif
