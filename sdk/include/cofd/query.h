/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Questions to a storage.
 */
#ifndef COFD_QUERY_H
#define COFD_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/dns.h>
#include <cofd/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is asked. Each needs the capability named with it (cofd/plugin.h). */
enum cof_query_kind {
  COF_QUERY_RRNAME = 1, /**< records whose rrname is `name`: COF_CAP_RRNAME */
  COF_QUERY_SUBDOMAINS, /**< records whose rrname is `name` or below it: COF_CAP_SUBDOMAINS */
  COF_QUERY_RDATA_NAME, /**< records whose rdata goes by `name` (cof_rdata_target): COF_CAP_RDATA */
  COF_QUERY_RDATA_ADDR, /**< A and AAAA records whose address is `first` to `last`, inclusive and of
                             one family: COF_CAP_RDATA; COF_CAP_ADDR_RANGE where they differ */
  COF_QUERY_RDATA_TEXT, /**< records whose whole canonical rdata is `name`: COF_CAP_RDATA_TEXT */
  COF_QUERY_ALL,        /**< every record: COF_CAP_SCAN */
  COF_QUERY_PREFIX,     /**< records whose rrname is `name` or begins with all its labels, counted
                             from the left: `www.example` finds www.example.org: COF_CAP_PREFIX */
  COF_QUERY_RDATA_SUBDOMAINS, /**< records whose rdata goes by `name` or a name below it:
                                   COF_CAP_RDATA_SUBDOMAINS */
  COF_QUERY_RDATA_PREFIX      /**< records whose rdata goes by `name` or a name that begins with its
                                   labels: COF_CAP_RDATA_PREFIX */
};

/** Most octets of a resume token. */
#define COF_TOKEN_MAX (2 * COF_RDATA_MAX)

/**
 * A question. All texts are canonical. Fields are only ever appended; `struct_size` says how many
 * the asker knew. Start from COF_QUERY_INIT. A storage is given all that the host knows, those that
 * the asker did not know being zero.
 *
 * Order of the answer: RRNAME, SUBDOMAINS and PREFIX by rrname, rrtype, rdata; the RDATA kinds by
 * target, and within one target with all records of one rrname next to each other; the same
 * question on the same data always in the same order. "By rrname" and "by rdata" are any
 * total order that keeps equal ones together.
 */
struct cof_query {
  size_t struct_size;
  enum cof_query_kind kind;
  const char *name; /**< NUL-terminated; see the kinds */
  struct cof_addr first, last;
  const uint16_t *rrtypes;  /**< types to answer, or NULL for all: COF_CAP_RRTYPE */
  size_t rrtypes_count;     /**< elements of `rrtypes` */
  int64_t time_first_after; /**< inclusive fences, seconds UTC: COF_CAP_FENCES where any is set */
  int64_t time_first_before;
  int64_t time_last_after;
  int64_t time_last_before;
  uint64_t limit;        /**< most records to answer; 0: no limit */
  uint64_t deadline_ns;  /**< cof_clock_ns() after which next() gives COF_TIMEOUT; 0: none */
  const void *token;     /**< go on after the place that token() gave: COF_CAP_RESUME; or NULL */
  size_t token_len;      /**< octets */
  const char *bailiwick; /**< NUL-terminated canonical name: only records whose zones have it
                              (cof_zone_bit()): COF_CAP_BAILIWICK; or NULL; since ABI 1.2 */
  const char *sensor_id; /**< NUL-terminated, 1 to COF_SENSOR_MAX octets: the answer is as if this
                              sensor alone had observed anything: its records, with its times,
                              count and zones, which the other conditions are about, too:
                              COF_CAP_SENSOR; or NULL; since ABI 1.3 */
};

/** A question without fences, limit, deadline or token. */
#define COF_QUERY_INIT                                                                             \
  {                                                                                                \
    .struct_size = sizeof(struct cof_query), .time_first_after = INT64_MIN,                        \
    .time_first_before = INT64_MAX, .time_last_after = INT64_MIN, .time_last_before = INT64_MAX    \
  }

/** What a storage knows of itself, for /info. Counts only; the sensors come by callback. */
struct cof_storage_stats {
  size_t struct_size;    /**< set by the asker */
  uint64_t observations; /**< input records stored since the storage was made */
  uint64_t records;      /**< unique records, possibly estimated */
  bool records_exact;    /**< whether `records` is exact */
};

/** Receives one sensor with its number of input records; `sensor_id` is valid during the call. */
typedef void (*cof_sensor_fn)(void *arg, const char *sensor_id, uint64_t records);

#ifdef __cplusplus
}
#endif
#endif
