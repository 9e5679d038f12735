/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * How long to wait before connecting again.
 */
#ifndef COF_WS_BACKOFF_PRIVATE_H
#define COF_WS_BACKOFF_PRIVATE_H

#include <stdint.h>

/** All in milliseconds. */
struct backoff {
  uint64_t min, max;
  uint64_t reach; /**< what the next pause is below; 0: nothing failed yet */
};

/**
 * The next pause: anywhere between `min` and a bound that begins at twice `min` and doubles each
 * time up to `max`; so clients that lost one server come back spread out.
 * @param random  any number; all of its bits count
 */
uint64_t backoff_next(struct backoff *backoff, uint32_t random);

/** It works again. */
void backoff_reset(struct backoff *backoff);

#endif
