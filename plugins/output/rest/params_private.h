/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The parameters of the API: one table, which the reading of requests and /openapi.json share.
 */
#ifndef COFD_REST_PARAMS_PRIVATE_H
#define COFD_REST_PARAMS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/query.h>

#include "cursors_private.h"
#include "format_private.h"

/** Most rrtypes of a question. */
#define TYPES_MAX 32

enum param {
  PARAM_NAME = 0,
  PARAM_SUBDOMAINS,
  PARAM_RDATA_NAME,
  PARAM_ADDRESS,
  PARAM_NETWORK,
  PARAM_RANGE,
  PARAM_RRTYPE,
  PARAM_BAILIWICK,
  PARAM_TIME_FIRST_AFTER,
  PARAM_TIME_FIRST_BEFORE,
  PARAM_TIME_LAST_AFTER,
  PARAM_TIME_LAST_BEFORE,
  PARAM_SENSOR_ID,
  PARAM_SORT,
  PARAM_LIMIT,
  PARAM_CURSOR,
  PARAM_FORMAT,
  PARAMS
};

#define PARAM_BIT(param) (UINT32_C(1) << (param))
/** Those of which a look-up takes exactly one. */
#define PARAMS_QUESTION ((PARAM_BIT(PARAM_RANGE) << 1) - 1)
/** Time fences, in the order of struct fences. */
#define PARAMS_FENCES                                                                              \
  (PARAM_BIT(PARAM_TIME_FIRST_AFTER) | PARAM_BIT(PARAM_TIME_FIRST_BEFORE) |                        \
   PARAM_BIT(PARAM_TIME_LAST_AFTER) | PARAM_BIT(PARAM_TIME_LAST_BEFORE))

/** Largest limit. */
#define LIMIT_MAX INT64_C(1000000000000)

/** What documents a parameter. */
struct param_info {
  const char *name, *help;
  const char *example;
  const char *pattern;      /**< of a text; NULL: none */
  const char *const *words; /**< the values; NULL: others */
  int64_t min, max;         /**< of a number; both 0: a text */
};

extern const struct param_info param_table[PARAMS];

enum sort_key { SORT_TIME_FIRST, SORT_TIME_LAST, SORT_COUNT, SORT_RRTYPE, SORT_RRNAME, SORT_RDATA };

struct params {
  uint32_t given; /**< bits of those that were */
  enum cof_query_kind kind;
  char name[COF_NAME_MAX];
  struct cof_addr first, last;
  uint16_t types[TYPES_MAX];
  size_t types_count;
  char bailiwick[COF_NAME_MAX];    /**< canonical; empty: not given */
  char sensor[COF_SENSOR_MAX + 1]; /**< empty: not given */
  struct fences fences;
  enum sort_key sort;
  bool descending;
  uint64_t limit;       /**< 0: not given */
  uint64_t cursor;      /**< 0: none */
  enum format format;   /**< where given */
  uint64_t fingerprint; /**< of all that makes the question; whatever the order it came in */
  int64_t now;          /**< seconds UTC, which negative times count from */
};

void params_init(struct params *params, int64_t now);

/**
 * Take one parameter.
 *
 * @param allowed     bits of the parameters that the path takes
 * @param name,value  as in the request, with percent escapes, `+` already turned into a space;
 *                    `value` NULL where there is no `=`
 * @return COF_OK; COF_REJECT with the name of the field, what was wrong and what was expected.
 * Thread safe.
 */
enum cof_result params_take(struct params *params, uint32_t allowed, const char *name,
                            const char *value, struct cof_error *err);

/** Check what was taken as a whole. @param allowed  as before */
enum cof_result params_check(const struct params *params, uint32_t allowed, struct cof_error *err);

/** FNV-1a of some octets, going on from `hash`; 0: from the beginning. */
uint64_t params_hash(uint64_t hash, const void *data, size_t len);

/**
 * Read a decimal number.
 * @return false when it is none, or outside of min..max
 */
bool params_number(const char *text, int64_t min, int64_t max, int64_t *number);

#endif
