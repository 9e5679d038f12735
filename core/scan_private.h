/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Reads the whole answer to a question, however long it takes: passing faults of the storage are
 * waited for. One thread at a time.
 */
#ifndef COFD_SCAN_PRIVATE_H
#define COFD_SCAN_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/host.h>

#include "instance_private.h"
#include "writer_private.h"

struct scan {
  struct instance *storage; /**< borrowed; one that can be asked (engine_create_storages) */
  struct writer *writer;    /**< borrowed, for its pauses */
  atomic_bool *stopped;     /**< borrowed; read no more */
  struct cof_query query;   /**< what it points to is borrowed */
  struct cof_cursor *cursor;
  bool resumes;     /**< the storage gives tokens */
  uint8_t *token;   /**< behind the last record given, COF_TOKEN_MAX octets; owned */
  size_t token_len; /**< 0: at the beginning */
};

/** Begin a scan, in a zero-initialised structure or one that was ended. Nothing is asked yet. */
void scan_begin(struct scan *scan, struct instance *storage, struct writer *writer,
                atomic_bool *stopped, const struct cof_query *query);

/** Go on after a token of an earlier scan. @return false when out of memory */
bool scan_resume(struct scan *scan, const void *token, size_t len);

/**
 * Append records to a batch until it has `max_records`, or more than `max_bytes` octets, or the
 * answer is over.
 * @return COF_OK, with nothing appended at the end of the answer; COF_STOPPED: what was appended is
 *         not accounted for in the token; COF_FATAL after logging
 */
enum cof_result scan_next(struct scan *scan, struct cof_batch *batch, size_t max_records,
                          size_t max_bytes);

/** End a scan, keeping its memory for another. */
void scan_end(struct scan *scan);
/** Free what it holds. */
void scan_free(struct scan *scan);

#endif
