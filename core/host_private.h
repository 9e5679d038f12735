/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The functions behind struct cof_host, and the ticket of a write.
 */
#ifndef COFD_HOST_PRIVATE_H
#define COFD_HOST_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "instance_private.h"

extern const struct cof_host_api host_api;

/** What a storage lacks of capabilities `need`, in words ("resuming"); NULL: nothing. */
const char *host_storage_lacks(struct instance *storage, uint64_t need);

/** Log how many refusals were kept out of the log since the last one in it. */
void host_flush_warnings(struct instance *instance);

/** One write of one window to one storage. */
struct cof_ticket {
  struct instance *storage;
  const struct cof_batch *batch;
  pthread_mutex_t *lock; /**< of the chain that waits */
  pthread_cond_t *done_cond;
  bool done;              /**< under the lock */
  enum cof_result result; /**< under the lock, once done */
  uint64_t rejected;      /**< input records refused so far, under the lock */
  uint8_t *notes;         /**< enum note for each record, under the lock; NULL: nobody asks */
  bool news;              /**< somebody asks which records are new */
};

#endif
