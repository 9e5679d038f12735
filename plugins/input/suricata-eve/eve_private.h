/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Reads one line of Suricata's EVE log.
 */
#ifndef SURICATA_EVE_PRIVATE_H
#define SURICATA_EVE_PRIVATE_H

#include <stddef.h>

#include <cofd/record.h>
#include <cofd/result.h>

/** What a line was. */
enum eve_kind {
  EVE_BLANK,   /**< nothing */
  EVE_OTHER,   /**< an event of another type */
  EVE_QUERY,   /**< a question */
  EVE_FAILED,  /**< an answer with an error and no data */
  EVE_EMPTY,   /**< an answer without data */
  EVE_ANSWERS, /**< an answer with data */
  EVE_KINDS
};

/** What a line said beside its records. */
struct eve_line {
  enum eve_kind kind;
  size_t no_rdata; /**< answers whose data Suricata does not log */
  size_t no_owner; /**< grouped answers of which nobody knows the owner */
  size_t refused;  /**< answers that were refused */
};

/**
 * Read a line and append its records, each one observation.
 * @param sensor_id  for all records; NULL: the event's `host`, where it has one
 * @param err        the first reason
 * @return COF_OK; COF_REJECT: no such line, or some answers were refused (the others are appended);
 *         COF_FATAL: out of memory, nothing appended
 */
enum cof_result eve_read(const char *sensor_id, const char *text, size_t len,
                         struct cof_batch *batch, struct eve_line *line, struct cof_error *err);

#endif
