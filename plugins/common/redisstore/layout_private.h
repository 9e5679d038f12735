/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A layout of keys: how records lie in the database, how they are written, and what can be asked.
 */
#ifndef REDISSTORE_LAYOUT_PRIVATE_H
#define REDISSTORE_LAYOUT_PRIVATE_H

#include "store_private.h"

/** One layout. All callbacks but attach() are required. */
struct layout {
  const char *name; /**< as in `layout =` */
  uint64_t caps;    /**< enum cof_caps: what it answers */

  /** Whether the database holds records in this layout. Cheap. `client` has nothing pending. */
  enum resp_result (*probe)(struct resp *client, bool *holds, struct cof_error *err);

  /** State of the instance, kept in store->state. @return NULL when out of memory */
  void *(*create)(struct store *store);
  void (*destroy)(void *state);

  /** This layout was chosen and has its state: check or leave marks in the database. May be NULL.
   *  From start() or the first call that reaches the server, with the writing client, until it
   *  works. */
  enum resp_result (*attach)(struct store *store, struct resp *client, struct cof_error *err);

  /**
   * Write a batch through store->writer, which has nothing pending and is the caller's alone.
   * Records are refused (cof_ticket_reject) only when the result is RESP_OK; the ticket is not
   * concluded here.
   * @return RESP_OK: all is written; else nothing may be taken as written, with a reason in `err`
   */
  enum resp_result (*write)(struct store *store, const struct cof_batch *batch,
                            struct cof_ticket *ticket, struct cof_error *err);

  /** As in struct cof_storage_ops; any thread; clients by reader_take(). */
  enum cof_result (*open)(struct store *store, const struct cof_query *query, void **cursor,
                          struct cof_error *err);
  enum cof_result (*next)(struct store *store, void *cursor, size_t max, struct cof_batch *into,
                          struct cof_error *err);
  enum cof_result (*token)(struct store *store, void *cursor, void *buf, size_t cap, size_t *len);
  void (*close)(struct store *store, void *cursor);
  enum cof_result (*stats)(struct store *store, struct cof_storage_stats *stats, cof_sensor_fn fn,
                           void *arg, struct cof_error *err);
};

/** All layouts, ended by NULL. An empty database gets the last one. */
extern const struct layout *const layouts[];
/** Words for `layout =`: auto, then the names of layouts[] in their order; ended by NULL. */
extern const char *const layout_words[];

extern const struct layout layout_d4, layout_compact;

/**
 * Choose the layout: the one configured, or the one that the database holds, or the last.
 * A database that holds another one than the one configured is refused.
 */
enum resp_result layout_choose(struct store *store, struct resp *client,
                               const struct layout **chosen, struct cof_error *err);

#endif
