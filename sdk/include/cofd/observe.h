/* SPDX-License-Identifier: MIT */
/**
 * @file
 * From what a sensor's log says to a record: times, names as logs spell them, and the rules by
 * which a name, a type and an answer become one observation. What every input that reads a log of
 * answers needs.
 *
 * All functions are thread safe, as long as no two use one batch at once.
 */
#ifndef COFD_OBSERVE_H
#define COFD_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Seconds since 1970 of a time in text: a decimal number of seconds, or an RFC 3339 time (a blank
 * in place of the T, a comma in place of the point, and an offset without colon are taken). A
 * fraction is left out.
 * @return false when it is neither, or not from 0 to COF_TIME_MAX
 */
bool cof_time_parse(const char *text, size_t len, int64_t *seconds);

/** Most octets that cof_logged_name() and cof_logged_text() write for `len` octets, the NUL
 *  included. */
#define COF_LOGGED_BOUND(len) (4 * (len) + 3)

/**
 * Presentation form of a name that a log shows as octets between dots, where `\xHH` is an octet and
 * `\\` a backslash: what is special in presentation form is escaped, so that cof_name_canon() and
 * cof_rdata_canon() take it for what it is.
 * @param out  COF_LOGGED_BOUND(len) octets
 * @return octets written, without the NUL
 */
size_t cof_logged_name(const char *text, size_t len, char *out);

/** The same for a text: one character-string in quotes. */
size_t cof_logged_text(const char *text, size_t len, char *out);

/** One answer that was observed. Fields are only ever appended; the size comes first. */
struct cof_observation {
  size_t struct_size; /**< sizeof(struct cof_observation) */
  const char *rrname; /**< owner, in presentation form, as cof_name_canon() takes it */
  size_t rrname_len;
  const char *rdata; /**< in presentation form, as cof_rdata_canon() takes it */
  size_t rdata_len;
  const char *sensor_id; /**< or NULL; at most COF_SENSOR_MAX octets count */
  int64_t time;          /**< seconds since 1970, 0 to COF_TIME_MAX */
  uint64_t count;        /**< how often; 0 is 1 */
  uint16_t rrtype;
  bool has_ttl; /**< whether `ttl` is to be counted in the batch's statistics */
  uint32_t ttl;
};

/**
 * Append an observation as a record, canonicalised.
 * @return COF_OK; COF_REJECT with a reason that names "rrname" or "rdata", nothing appended;
 *         COF_FATAL: out of memory, nothing appended
 */
enum cof_result cof_batch_observe(struct cof_batch *batch,
                                  const struct cof_observation *observation, struct cof_error *err);

#ifdef __cplusplus
}
#endif
#endif
