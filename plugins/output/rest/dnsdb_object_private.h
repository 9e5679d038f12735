/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The JSON lines of DNSDB's API: results, summaries, and the lines that frame them.
 */
#ifndef COFD_REST_DNSDB_OBJECT_PRIVATE_H
#define COFD_REST_DNSDB_OBJECT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>

/** What a summary says. */
struct dnsdb_sums {
  uint64_t results, count;
  int64_t first, last;
};

/** Add a record; the count saturates at COF_COUNT_MAX. */
void dnsdb_sums_add(struct dnsdb_sums *sums, const struct cof_record *record);

/** Most octets of a record's line, or of a scratch text for it. */
#define DNSDB_LINE_MAX(record)                                                                     \
  (256 + 5 * (2 * (size_t)(record)->rrname_len + 2 * (size_t)(record)->rdata_len))

/**
 * `{"obj":{…}}` and a newline for a record.
 * @param bailiwick     canonical, the owner or above it; NULL: not known, or not to be shown
 * @param out, scratch  DNSDB_LINE_MAX octets each
 * @return octets written
 */
size_t dnsdb_put_record(const struct cof_record *record, const char *bailiwick, bool humantime,
                        char *out, char *scratch);

/** Most octets of the other lines. */
#define DNSDB_FRAME_MAX 2048

/** `{"obj":{…}}` and a newline for a summary. */
size_t dnsdb_put_sums(const struct dnsdb_sums *sums, bool humantime, char *out);
/**
 * `{"cond":"…"}` and a newline.
 * @param message  NULL for none; at most COF_ERROR_MAX octets are taken
 */
size_t dnsdb_put_condition(const char *condition, const char *message, char *out);

#endif
