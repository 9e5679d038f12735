/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * How records are written into a body.
 */
#ifndef COFD_REST_FORMAT_PRIVATE_H
#define COFD_REST_FORMAT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cofd/record.h>

enum format { FORMAT_NDJSON = 0, FORMAT_JSON, FORMAT_CSV, FORMATS };

/** Words of the parameter `format`, by format; ends at NULL. */
extern const char *const format_words[];

/** Media type of a format, as sent. Static. */
const char *format_type(enum format format);

/**
 * Choose a format by a header Accept (RFC 9110 section 12.5.1).
 * @param header  NULL: none
 * @return false when none is acceptable
 */
bool format_accepted(const char *header, enum format *format);

/** Octets for what stands before the first or after the last record. */
#define FORMAT_FRAME ((size_t)128)

/** Most octets that a record takes. */
size_t format_bound(const struct cof_record *record, size_t origin_len);
/**
 * Write what stands before the first record, a record, what stands after the last.
 * @param all  whether JSON has also the bailiwicks and the sensor, where they are known
 * @return octets
 */
size_t format_begin(enum format format, char *out);
size_t format_record(enum format format, const struct cof_record *record, const char *origin,
                     bool all, bool first, char *out);
size_t format_end(enum format format, bool none, char *out);

#endif
