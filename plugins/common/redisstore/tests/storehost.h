/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A host for one instance of the storages redis and kvrocks, and short ways to write and to ask.
 * Whatever a test cannot do without ends the test with a message.
 */
#ifndef REDISSTORE_STOREHOST_H
#define REDISSTORE_STOREHOST_H

#include <stdatomic.h>

#include "layout_private.h"

struct cof_ticket {
  int done; /**< how often cof_ticket_done() was called */
  enum cof_result result;
  size_t rejected; /**< records refused */
};

struct storehost {
  struct cof_host host; /**< first, so that the one is the other */
  char log[2048];       /**< last message of severity warning or worse */
  unsigned errors;      /**< number of such messages */
  unsigned infos;       /**< lines of severity info */
  atomic_long unreadable, stale;
  struct conf conf;
  char address[64];
  char *addresses[1];
  struct store *store;
};

/** Prepare for a server on this port of the loopback, with the options' defaults but layout = d4.
 */
void storehost_init(struct storehost *host, uint16_t port);
/** Create and start an instance. */
enum cof_result storehost_start(struct storehost *host, bool kvrocks);
/** Stop and destroy it, where it was made. */
void storehost_stop(struct storehost *host);

/** A batch; the caller destroys it. */
struct cof_batch *batch_of(const struct cof_record *records, size_t count);
struct cof_ticket storehost_write(struct storehost *host, const struct cof_batch *batch);
/** Write one record that must be taken. */
void storehost_put(struct storehost *host, const char *rrname, uint16_t rrtype, const char *rdata,
                   int64_t first, int64_t last, uint64_t count);

/** Ask, `page` records at a time. @return the answer, destroyed by the caller */
struct cof_batch *storehost_ask(struct storehost *host, const struct cof_query *query, size_t page);
/** As above, in a new cursor by token after each page. */
struct cof_batch *storehost_ask_resuming(struct storehost *host, const struct cof_query *query,
                                         size_t page);
/** A question by name, address, or text. */
struct cof_query query_of(enum cof_query_kind kind, const char *text);
/** The record of a tuple in an answer; NULL: none. */
const struct cof_record *find(const struct cof_batch *batch, const char *rrname, uint16_t rrtype,
                              const char *rdata);

#endif
