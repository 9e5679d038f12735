/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Rates and daily quotas, of users and of addresses. The state is of fixed size; it is kept in
 * memory only, so a restart begins anew. All functions are thread safe.
 */
#ifndef COFD_REST_QUOTA_PRIVATE_H
#define COFD_REST_QUOTA_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/dns.h>
#include <cofd/record.h>

/** What somebody may use; 0: no bound. */
struct limits {
  uint64_t rate;       /**< requests in a period; so many may come at once */
  uint64_t period_ns;  /**< of the rate */
  uint64_t quota;      /**< requests a day (UTC) */
  uint64_t concurrent; /**< requests at once; of users only */
};

/** What somebody has used. */
struct meter {
  uint64_t full_ns;   /**< when the whole rate is there again */
  uint64_t day;       /**< days since 1970 that `used` is about */
  uint64_t used;      /**< requests on that day */
  uint64_t under_way; /**< requests at once */
};

/** A time on both clocks. */
struct instant {
  uint64_t mono_ns;
  int64_t utc; /**< seconds */
};

/** What came of asking. */
enum verdict {
  VERDICT_OK,
  VERDICT_RATE,      /**< too fast */
  VERDICT_QUOTA,     /**< nothing left today */
  VERDICT_CONCURRENT /**< too many at once */
};

/** What remains after a request. */
struct remainder {
  uint64_t rate;   /**< requests that could come at once now */
  uint64_t quota;  /**< requests of the day */
  int64_t reset;   /**< seconds UTC when the day ends */
  uint64_t wait_s; /**< of a refusal: seconds until another try makes sense, at least 1 */
};

/**
 * Read a rate, `N/PERIOD` with a PERIOD of s, m, h or a number of these: `10/s`, `60/1m`.
 * @return COF_OK, or COF_REJECT with what is wrong
 */
enum cof_result limits_read_rate(struct limits *limits, const char *text, struct cof_error *err);

/**
 * Take requests from a meter. More of them than the rate has left go through where one would, and
 * are waited for afterwards; of the daily quota all must be there.
 */
enum verdict meter_take(struct meter *meter, const struct limits *limits, struct instant now,
                        uint64_t requests, struct remainder *left);
/** What remains, with nothing taken. */
void meter_view(const struct meter *meter, const struct limits *limits, struct instant now,
                struct remainder *left);

/** The meter of a user, which outlives reloads. */
struct account {
  atomic_uint references;
  pthread_mutex_t lock;
  struct meter meter;
};

struct account *account_create(void);
struct account *account_hold(struct account *account);
/** Give a reference back; tolerates NULL and sets the caller's pointer to NULL. */
void account_drop(struct account **account);

/** Meters of addresses: IPv4 ones, and IPv6 ones by their first 64 bits. */
struct addresses;

/** @param count  meters; where there are more addresses, those that asked longest ago are forgotten
 */
struct addresses *addresses_create(size_t count);
void addresses_destroy(struct addresses **addresses);
/** See meter_take(). `requests` 0 asks whether one would be let through. */
enum verdict addresses_take(struct addresses *addresses, const struct cof_addr *addr,
                            const struct limits *limits, struct instant now, uint64_t requests,
                            struct remainder *left);

#endif
