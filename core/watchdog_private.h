/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Ends the process when a plugin does not come back from stop(), and names it.
 */
#ifndef COFD_WATCHDOG_PRIVATE_H
#define COFD_WATCHDOG_PRIVATE_H

#include <stdint.h>

struct watchdog;

/** How long past the deadline a plugin may take before the process ends, in nanoseconds. */
#define WATCHDOG_GRACE_NS UINT64_C(5000000000)

/** @return owned by the caller; NULL when it cannot be had, which all functions here tolerate */
struct watchdog *watchdog_start(uint64_t deadline_ns);
/** Who is to be blamed from here on; copied. */
void watchdog_watch(struct watchdog *watchdog, const char *source);
/** All came back in time. Frees it and nulls the pointer. */
void watchdog_stop(struct watchdog **watchdog);

#endif
