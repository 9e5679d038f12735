/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The forward index: names in the order of their labels from the left, for questions about the
 * beginnings of names. LAYOUT.md says what it looks like.
 */
#ifndef ROCKSDB_NAMES_PRIVATE_H
#define ROCKSDB_NAMES_PRIVATE_H

#include "query_private.h"
#include "store_private.h"

/** Name of the column family. */
#define NAMES_FAMILY "names"

/** The first octet of a key of the index: where the name stands. */
enum names_class { NAMES_OWNER = 'o', NAMES_TARGET = 't' };

/** Most octets of a key of the index. */
#define NAMES_KEY_MAX (1 + KEY_NAME_MAX)

/**
 * Bring the index of a database that was just opened in line with the option: make and fill it, or
 * drop it. `store->names` is its column family, or NULL where there is none.
 * @return COF_OK, or COF_FATAL after logging
 */
enum cof_result names_open(struct store *store);

/** Whether a question is answered through the index. */
static inline bool names_answer(enum cof_query_kind kind)
{
  return kind == COF_QUERY_PREFIX || kind == COF_QUERY_RDATA_PREFIX;
}

/** The range of the index that a question asks for. @return COF_OK, or COF_REJECT */
enum cof_result names_span(const struct cof_query *query, struct span *span, struct cof_error *err);

/** As query_open, query_next and token, for questions that names_answer(). */
enum cof_result names_query(struct store *store, const struct cof_query *query, void **cursor,
                            struct cof_error *err);
enum cof_result names_next(struct cursor *cursor, size_t max, struct cof_batch *into,
                           struct cof_error *err);
size_t names_token(const struct cursor *cursor, uint8_t *buf, size_t cap);

#endif
