/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Questions to the layout compact: ranges of fields, and the cursor that walks them.
 */
#ifndef REDISSTORE_COMPACT_QUERY_PRIVATE_H
#define REDISSTORE_COMPACT_QUERY_PRIVATE_H

#include "compact_private.h"

/** Most ranges of a question: a text may be looked up as text, address, and names within it. */
#define SPANS_MAX 12
/** Reverse entries that are looked up in the forward tree at once. */
#define CHUNK 64

/** Fields from `lower` to below `upper`; no upper bound where upper_len is 0. */
struct span {
  uint8_t lower_len, upper_len;
  uint8_t lower[CK_FIELD_MAX], upper[CK_FIELD_MAX];
};

/** Where to go on: at a field, or after it. */
struct place {
  bool after;
  uint8_t len;
  uint8_t field[CK_FIELD_MAX];
};

struct cursor {
  struct compact *c;
  struct resp *client; /**< during next() */
  enum cof_query_kind kind;
  char *name; /**< what is asked for; NULL for addresses and all */
  size_t name_len;
  char *bailiwick; /**< NULL: any or none */
  struct span spans[SPANS_MAX];
  size_t spans_count, span;
  struct place place; /**< in the span, of the tree that the question goes by */
  bool partial;       /**< the reverse entry at `place` is not done with; `inner` tells how far */
  struct place inner; /**< among the forward entries it leads to */

  uint16_t *types; /**< ascending, each once */
  size_t types_count;
  int64_t first_after, first_before, last_after, last_before;
  uint64_t left;
  uint64_t deadline_ns;
  uint64_t question;
  int64_t now;

  uint8_t *key; /**< a full key being put together */
  size_t key_room;
};

static inline bool query_is_reverse(enum cof_query_kind kind)
{
  return kind == COF_QUERY_RDATA_NAME || kind == COF_QUERY_RDATA_ADDR ||
         kind == COF_QUERY_RDATA_TEXT;
}

/** Ranges of a question. @return COF_OK, or COF_REJECT */
enum cof_result spans_make(const struct cof_query *query, struct span spans[SPANS_MAX],
                           size_t *count, struct cof_error *err);
/** All fields that begin with spans->lower. */
void span_prefix(struct span *span);
/** Whether a field is below the upper bound. */
bool span_holds(const struct span *span, const uint8_t *field, size_t len);

bool cursor_type_asked(const struct cursor *cursor, uint16_t type);

size_t cursor_token(const struct cursor *cursor, uint8_t *buf, size_t cap);
enum cof_result cursor_resume(struct cursor *cursor, const uint8_t *token, size_t len,
                              struct cof_error *err);

/** An entry of a page, with the far tail that was fetched for it. */
struct found {
  const struct entry *entry;
  struct ck_value value;
  bool broken;
  uint8_t *tail; /**< malloced; NULL: none fetched */
  size_t tail_len;
};

/** The leaf in which a place lies, which the caller frees. Of an ordered tree so much of the span
 *  from the place on as `most` entries are, or CP_RANGE: a page that ends there. */
enum cof_result walk_leaf(struct cursor *cursor, enum ck_tree tree, const struct place *place,
                          const struct span *span, size_t most, struct page **page,
                          struct cof_error *err);
/** First entry of a leaf at a place or after it. */
size_t walk_start(const struct page *page, const struct place *place);
/** Entries `from` to below `to` with their tails; freed by walk_free(). */
enum cof_result walk_entries(struct cursor *cursor, enum ck_tree tree, const struct page *page,
                             size_t from, size_t to, struct found **found, struct cof_error *err);
void walk_free(struct found **found, size_t count);
/** Full key of an entry, in cursor->key. @return octets; 0: broken or gone, SIZE_MAX: no memory */
size_t walk_key(struct cursor *cursor, const struct found *found);
bool walk_room(struct cursor *cursor, size_t need);
void place_at(struct place *place, const void *field, size_t len, bool after);
bool walk_late(const struct cursor *cursor);
enum cof_result walk_no_memory(struct cof_error *err);
/** A run for a question: what it means for the host. */
enum cof_result walk_run(struct cursor *cursor, bool appended, struct cof_error *err);

/** Give a record with this forward key and these times, if the question asks for it. */
enum cof_result answer_give(struct cursor *cursor, const uint8_t *key, size_t len,
                            const struct cof_record *times, struct cof_batch *into,
                            struct cof_error *err);
/** A step of a question by reverse entries. `*ended`: there is no more in the span. */
enum cof_result answer_reverse(struct cursor *cursor, size_t max, struct cof_batch *into,
                               bool *ended, struct cof_error *err);

#endif
