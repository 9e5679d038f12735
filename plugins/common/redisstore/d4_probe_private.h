/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Whether a server still knows the cursor of SCAN or SSCAN that it is asked to go on from. Kvrocks
 * has its last 16384 ones in memory, and begins anew without a word when it is given another: after
 * a restart, or when many others were listing meanwhile. It lists in the order of its keys, so what
 * follows a cursor never begins with what comes first of all; that is asked for beside each page.
 */
#ifndef REDISSTORE_D4_PROBE_PRIVATE_H
#define REDISSTORE_D4_PROBE_PRIVATE_H

#include "d4_private.h"

struct d4_probe {
  uint64_t first; /**< hash of what the page begins with */
  bool known;     /**< the page has something to begin with */
  bool forgotten; /**< and it is what comes first of all */
};

/** Whether a page from this cursor on needs a probe. */
bool d4_probe_wanted(const struct store *store, struct d4_text cursor);
/** Remember what the page begins with, from its answer to SCAN or SSCAN. */
void d4_probe_page(struct d4_probe *probe, const redisReply *reply);
/** Take the answer to the same command from cursor 0 with COUNT 1, sent after that for the page.
 * @param arg  struct d4_probe */
bool d4_probe_take(void *arg, const redisReply *reply);

/** The answer has to be begun again. @return COF_FATAL */
enum cof_result d4_begin_again(struct cof_error *err);

#endif
