/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Who asks, what he may, and what remains of his quota. route.c admits each request before its
 * handler runs, so a handler is only ever entered for somebody who has the scope that access.c
 * demands for the path; the functions here tell it more. All are for the thread that serves the
 * request.
 */
#ifndef COFD_REST_AUTH_PRIVATE_H
#define COFD_REST_AUTH_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

struct answer;

/** What somebody may; admin includes the others. */
enum scope {
  SCOPE_QUERY = 1u << 0, /**< ask for records */
  SCOPE_STATS = 1u << 1, /**< see statistics: /info, /api/v1/stats */
  SCOPE_ADMIN = 1u << 2  /**< see how the server does: /metrics, reasons in /readyz */
};

/** Quota of somebody at this moment. */
struct quota_view {
  bool daily;         /**< there is a daily quota, and the next three fields are set */
  uint64_t limit;     /**< requests a day */
  uint64_t remaining; /**< of them, today */
  int64_t reset;      /**< seconds UTC at which it begins anew */
  bool rated;         /**< there is a rate, and the next two fields are set */
  uint64_t burst_size;
  uint64_t burst_window; /**< seconds in which `burst_size` requests are let through, at least 1 */
  int64_t expires;       /**< seconds UTC after which the entry is void; 0: never */
};

/** Name of who asks; "" for the anonymous. Valid until the request ends. */
const char *auth_name(const struct answer *answer);
/** Whether who asks has all of these scopes. */
bool auth_has(const struct answer *answer, unsigned scopes);
/** His quota. */
void auth_quota(const struct answer *answer, struct quota_view *view);
/**
 * Take `requests` more from quota and rate, beyond the one that admission took: for requests that
 * ask many questions at once.
 * @return whether there were so many; else nothing was taken, and 429 is due
 */
bool auth_charge(struct answer *answer, uint64_t requests);

#endif
