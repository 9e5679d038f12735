/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Brings what a storage knows of observations and sensors into another one.
 */
#ifndef COFD_TALLIES_PRIVATE_H
#define COFD_TALLIES_PRIVATE_H

#include <stdbool.h>

#include "transfer_private.h"

/**
 * Raise the counters of the target, all observations and those of each sensor, to at least those of
 * the source. Doing it again changes nothing.
 * @return COF_OK; COF_STOPPED; COF_FATAL after logging
 */
enum cof_result tallies_move(struct transfer *transfer);

#endif
