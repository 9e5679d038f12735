/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What `cofd migrate` and `cofd export` have in common: storages of a configuration opened outside
 * of any chain, work in a thread of its own, and meanwhile signals and progress.
 */
#ifndef COFD_TRANSFER_PRIVATE_H
#define COFD_TRANSFER_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli_private.h"
#include "instance_private.h"
#include "resume_private.h"
#include "scan_private.h"
#include "writer_private.h"

/** One run. Fields marked "shown" are written by the work and read for the progress. */
struct transfer {
  const char *command;         /**< "cofd migrate" */
  const char *from_name;       /**< NULL: the only storage there is */
  const char *to_name;         /**< NULL: none */
  uint64_t from_caps, to_caps; /**< what the storages must offer */
  struct resume *resume;
  void *arg; /**< of the work */
  /** Called in a thread of its own. @return whether all is done; else the reason is logged */
  bool (*work)(struct transfer *transfer);

  struct instance *from, *to;
  struct writer *writer; /**< to `to`; without one, for pauses alone */
  uint64_t begin_ns;
  uint64_t before; /**< records of an earlier run */

  atomic_bool stopped;
  _Atomic(const char *) what;                   /**< shown: what goes on, static text */
  atomic_uint_fast64_t records, total, refused; /**< shown */
};

/**
 * Do it all, from the command line to the end of the work.
 * @return exit status
 */
int transfer_run(struct transfer *transfer, const struct cli *cli);

/** Begin another part of the work: what the progress says, and the records to expect. */
void transfer_phase(struct transfer *transfer, const char *what, uint64_t done, uint64_t total);

/** A scan of one of the storages. */
void transfer_scan(struct transfer *transfer, struct scan *scan, struct instance *storage,
                   const struct cof_query *query);

/** Save the state, at most once a second unless `now`. @return false after logging */
bool transfer_save(struct transfer *transfer, bool now);

/** Estimated number of records of a storage; 0: unknown. */
uint64_t transfer_estimate(struct instance *storage);

/** Log what the storage that was read has counted, such as entries that it left out. */
void transfer_tell_counters(const struct transfer *transfer);

/** Seconds since the beginning. */
double transfer_seconds(const struct transfer *transfer);

#endif
