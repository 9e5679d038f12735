/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A question as ranges of keys, and the cursor that walks them.
 */
#ifndef ROCKSDB_QUERY_PRIVATE_H
#define ROCKSDB_QUERY_PRIVATE_H

#include "keys_private.h"
#include "store_private.h"

/** Most octets of a bound: a target, or a name with a type behind it. */
#define BOUND_MAX (KEY_HEAD_MAX + KEY_NAME_MAX + 2)
/** Most ranges of a question: a text may be looked up as text, address, and names within it. */
#define SPANS_MAX 12
/** Reverse keys that are looked up in the forward direction at once. */
#define CHUNK_KEYS 64

/** Keys from `lower` to below `upper`. */
struct span {
  size_t lower_len, upper_len;
  uint8_t lower[BOUND_MAX], upper[BOUND_MAX];
};

/** A key in memory that grows. */
struct key_buf {
  uint8_t *bytes;
  size_t len, room;
};

/** Reverse keys' forward keys, one after the other; see chunk_read(). */
struct chunk_keys {
  struct key_buf bytes;
  size_t count;
  size_t offsets[CHUNK_KEYS], lens[CHUNK_KEYS];
};

/** State of a cursor, in the order in which it goes through them. */
enum cursor_state { CURSOR_SEEK, CURSOR_NEXT, CURSOR_END };

struct cursor {
  struct store *store;
  bool entered; /**< db_leave() is due */
  rocksdb_readoptions_t *read;
  const rocksdb_snapshot_t *snapshot; /**< NULL where one iterator alone gives the answer */
  bool shares;                        /**< `snapshot` is another cursor's */
  struct cursor *inner;               /**< forward index: over the records of the present name */
  bool unopened;          /**< forward index: `inner` of the present name is still to be opened */
  rocksdb_iterator_t *it; /**< over spans[span]; NULL: not made yet */

  enum cof_query_kind kind;
  size_t span, spans_count;
  enum cursor_state state; /**< whether to seek, or to go on from where `it` stands */
  struct key_buf position; /**< last key done with; empty: none of this span */
  struct key_buf pending;  /**< last key seen, which becomes `position` when done with */

  uint16_t *types; /**< ascending, each once */
  size_t types_count;
  int64_t first_after, first_before, last_after, last_before;
  uint64_t left; /**< records still to give */
  int64_t now;   /**< for records that expire */
  uint64_t deadline_ns;
  uint64_t question; /**< hash, for the token */
  unsigned examined; /**< keys, for looking at the clock now and then */

  char *text; /**< of COF_QUERY_RDATA_TEXT */
  size_t text_len;
  char *bailiwick; /**< NULL: any or none */
  char *sensor;    /**< NULL: the records, whoever saw them */
  size_t sensor_len;

  struct chunk_keys *chunk; /**< made for questions that go by reverse keys */

  /* The key that the iterator stands on, in parts. */
  struct key_forward_parts forward;
  struct key_reverse_parts reverse;

  /* The last name decoded: most keys have the name of the key before. */
  size_t name_len, name_text_len;
  uint8_t name[KEY_NAME_MAX];
  char name_text[COF_NAME_MAX];

  struct span spans[]; /**< spans_count of them */
};

/** Whether a question goes by reverse keys. */
static inline bool query_is_reverse(enum cof_query_kind kind)
{
  return kind == COF_QUERY_RDATA_NAME || kind == COF_QUERY_RDATA_ADDR ||
         kind == COF_QUERY_RDATA_TEXT || kind == COF_QUERY_RDATA_SUBDOMAINS;
}

/** A cursor that has no database yet; NULL when out of memory. */
struct cursor *cursor_create(struct store *store, const struct cof_query *query,
                             const struct span *spans, size_t count);

/**
 * As query_open, for questions that go by one index.
 * @param snapshot  what to read, which outlives the cursor; NULL: the present
 */
enum cof_result cursor_open(struct store *store, const struct cof_query *query,
                            const rocksdb_snapshot_t *snapshot, struct cursor **cursor,
                            struct cof_error *err);

/**
 * What stands before the name in the keys that hold the values of the answer.
 * @return octets
 */
size_t query_head(const char *sensor, uint8_t out[KEY_HEAD_MAX]);

/** Ranges of a question. @return COF_OK with `*count` of them, or COF_REJECT */
enum cof_result spans_make(const struct cof_query *query, struct span spans[SPANS_MAX],
                           size_t *count, struct cof_error *err);

/**
 * Where the cursor was, for token(): version, question, span, key.
 * @return octets; 0 when `cap` is too small
 */
size_t token_put(const struct cursor *cursor, uint8_t *buf, size_t cap);

/** Set a fresh cursor to go on after a token. @return COF_OK, COF_REJECT, COF_RETRY */
enum cof_result token_get(struct cursor *cursor, const uint8_t *token, size_t len,
                          struct cof_error *err);

/** Copy a key. False when out of memory. */
bool key_buf_set(struct key_buf *buf, const void *key, size_t len);

/** Room for `len` octets; content is kept. False when out of memory. */
bool key_buf_room(struct key_buf *buf, size_t len);

#endif
