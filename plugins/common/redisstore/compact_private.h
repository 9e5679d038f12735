/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The layout compact: pages, their cache, and what writing and asking share. See COMPACT.md.
 */
#ifndef REDISSTORE_COMPACT_PRIVATE_H
#define REDISSTORE_COMPACT_PRIVATE_H

#include "compact_keys_private.h"
#include "layout_private.h"

#define CP_ROOT UINT64_C(0)
#define CP_LEAF UINT64_C(1)
/** Entries above which a page is split; its hash then has two fields more. */
#define CP_SPLIT 120
/** Entries that a new page gets at most when a page is split. */
#define CP_FILL 90
/** Octets of field m. */
#define CP_HEAD_LEN 9
/** Octets of a page's key. */
#define CP_KEY_LEN (sizeof "cofd:f:" - 1 + 16)
/** Octets of the key of a far tail. */
#define CP_TAIL_KEY_LEN (sizeof "cofd:fx:" - 1 + CK_TAIL_NAME)
/** Highest level of a page. */
#define CP_LEVELS 16
/** Memory for inner pages, each tree. */
#define CP_CACHE_BYTES ((size_t)128 * 1024 * 1024)
/** Most entries that one command reads, writes or removes in an ordered tree. */
#define CP_RANGE 500
/** Slots in which the number of entries of leaves is remembered, each tree; a power of two. */
#define CP_COUNTS 65536u

/** One entry of a page; points into the page. */
struct entry {
  const uint8_t *field, *value;
  uint32_t field_len, value_len;
};

/** A page as it was read. Never changes. */
struct page {
  struct page *next; /**< in the cache */
  uint64_t id, right;
  size_t bytes;   /**< of memory */
  size_t count;   /**< entries below the high bound */
  size_t total;   /**< those above, which say nothing, included; they come last */
  size_t strange; /**< entries that are no entries of the layout; not among the others */
  struct entry *entries;
  const uint8_t *head; /**< CP_HEAD_LEN octets */
  uint8_t level;
  uint8_t high_len; /**< 0: no bound */
  uint8_t high[CK_FIELD_MAX];
};

/** How many entries a leaf has. */
struct leaf_count {
  uint64_t id;
  uint32_t count; /**< when it was last asked, and those added since */
  uint32_t added; /**< since it was last asked */
};

/** One tree. The cache is shared by all threads, the rest belongs to the writer. */
struct tree {
  enum ck_tree kind;
  /** The server keeps fields in their order: all is in the first leaf, which is read by ranges and
   *  never split; there are no inner pages. Settled before any other use. */
  bool ordered;
  pthread_mutex_t lock;
  struct page **buckets;
  size_t buckets_count, pages, bytes;
  struct leaf_count *counts;
  uint8_t swept_len; /**< expired entries below `swept` were removed last */
  uint8_t swept[CK_FIELD_MAX];
};

/** Scripts of the layout. */
enum script { SCRIPT_SET, SCRIPT_CUT, SCRIPT_LEAD, SCRIPT_NEW, SCRIPT_DROP, SCRIPTS };

/** State of an instance. */
struct compact {
  struct store *store;
  struct tree trees[CK_TREES];
  uint64_t random;
  bool settled;     /**< `ordered` of the trees is as the database says */
  bool swept_known; /**< where the last sweep came to was read */
  char sha[SCRIPTS][41];
};

/* --- compact.c ------------------------------------------------------------------------------- */

/** Seconds since 1970. */
int64_t compact_now(void);
/** Make the layout's mark and first pages where they are not there yet, and learn which form it is
 *  of. */
enum resp_result compact_prepare(struct compact *c, struct resp *client, struct cof_error *err);
/** Learn the digests of the scripts, once. A server that does not know them gets their text. */
enum resp_result compact_scripts(struct compact *c, struct resp *client, struct cof_error *err);
enum resp_result compact_no_memory(struct cof_error *err);
/** Send what was appended and take the answers; where appending failed for want of memory, forget
 * it. */
enum resp_result compact_run(struct resp *client, bool appended, struct cof_error *err);

/* --- compact_page.c -------------------------------------------------------------------------- */

void page_key(char out[CP_KEY_LEN + 1], enum ck_tree tree, uint64_t id);
void tail_key(char out[CP_TAIL_KEY_LEN], enum ck_tree tree, const uint8_t field[CK_FIELD_MAX]);
uint64_t id_get(const uint8_t bytes[8]);
void id_put(uint8_t bytes[8], uint64_t id);

/** A page from the answer to HGETALL. @return NULL: out of memory, or it is no page, with
 *  `*missing` telling which */
struct page *page_parse(uint64_t id, const redisReply *reply, bool *missing);

/** First entry at or above `field` among the good ones. */
size_t page_find(const struct page *page, const uint8_t *field, size_t len);

/** Whether a field lies at or above the page's high bound. */
bool page_beyond(const struct page *page, const uint8_t *field, size_t len);

/** Append HGETALL of a page. */
bool page_ask(struct resp *client, enum ck_tree tree, uint64_t id, resp_reply_fn fn, void *arg);

/** Some of an ordered tree: what lies at a field, or after it, up to below another. */
struct range {
  const uint8_t *lower, *upper;
  size_t lower_len, upper_len; /**< upper_len 0: no bound */
  size_t most;                 /**< entries, up to CP_RANGE */
  bool after;
};

/** Append HRANGEBYLEX, for one entry more than asked for: where it comes, it is the high bound. */
bool range_ask(struct resp *client, enum ck_tree tree, const struct range *range, resp_reply_fn fn,
               void *arg);
/** A page that holds the range, from the answer. @return NULL: out of memory, or it is no range,
 *  with `*missing` telling which */
struct page *range_parse(const struct range *range, const redisReply *reply, bool *missing);

/** Begin a call of a script with one key and `args` arguments, which follow. @param whole  send its
 *  text in place of its digest */
void script_begin(const struct compact *c, struct resp *client, enum script script, bool whole,
                  const char *key, size_t args);
const char *script_text(enum script script);

/* --- compact_cache.c ------------------------------------------------------------------------- */

bool tree_init(struct tree *tree, enum ck_tree kind);
void tree_free(struct tree *tree);

/**
 * Find the page of a level that should hold a field, as far as the cache knows.
 * @param id  the page; or, where false is returned, the inner page to fetch first
 */
bool cache_find(struct tree *tree, const uint8_t *field, size_t len, unsigned level, uint64_t *id);
/** Take an inner page over. */
void cache_put(struct tree *tree, struct page *page);
void cache_drop(struct tree *tree, uint64_t id);
void cache_clear(struct tree *tree);
/** Head of a cached page. False: it is not there. */
bool cache_head(struct tree *tree, uint64_t id, uint8_t head[CP_HEAD_LEN]);

/** Fetch inner pages into the cache. @param ids  may repeat */
enum resp_result tree_fetch(struct tree *tree, struct resp *client, const uint64_t *ids,
                            size_t count, struct cof_error *err);

/** cache_find with fetching. */
enum resp_result tree_locate(struct tree *tree, struct resp *client, const uint8_t *field,
                             size_t len, unsigned level, uint64_t *id, struct cof_error *err);

/* --- compact_split.c ------------------------------------------------------------------------- */

/** A page that is to be split or a separator that its parent is to get. */
struct work {
  bool is_split;
  enum ck_tree tree;
  uint8_t level; /**< of the page that gets the separator */
  uint64_t id;   /**< page to split, or page that begins at the separator */
  uint8_t sep_len;
  uint8_t sep[CK_FIELD_MAX];
};

struct work_list {
  struct work *items;
  size_t count, room;
};

bool work_split(struct work_list *list, enum ck_tree tree, uint64_t id);
bool work_lead(struct work_list *list, enum ck_tree tree, unsigned level, uint64_t id,
               const uint8_t *sep, size_t sep_len);
/** Do all of it, and what follows from it. Empties the list.
 *  @param records  what was removed of them is subtracted */
enum resp_result work_run(struct compact *c, struct resp *client, struct work_list *list,
                          int64_t *records, struct cof_error *err);

/** Whether an entry of a leaf is beyond the time of its type. */
bool entry_expired(const struct compact *c, enum ck_tree tree, const struct entry *entry,
                   int64_t now);

/* --- compact_sweep.c ------------------------------------------------------------------------- */

/** Remove expired entries of ordered trees among the next ones behind where the last sweep ended:
 * of each as many as were written to both. Does nothing for pages, or where nothing expires.
 *  @param records  what was removed of them is subtracted */
enum resp_result sweep_run(struct compact *c, struct resp *client, size_t written, int64_t *records,
                           struct cof_error *err);

/* --- compact_write.c, compact_query.c, compact_stats.c --------------------------------------- */

enum resp_result compact_write(struct store *store, const struct cof_batch *batch,
                               struct cof_ticket *ticket, struct cof_error *err);
enum cof_result compact_open(struct store *store, const struct cof_query *query, void **cursor,
                             struct cof_error *err);
enum cof_result compact_next(struct store *store, void *cursor, size_t max, struct cof_batch *into,
                             struct cof_error *err);
enum cof_result compact_token(struct store *store, void *cursor, void *buf, size_t cap,
                              size_t *len);
void compact_close(struct store *store, void *cursor);
enum cof_result compact_stats(struct store *store, struct cof_storage_stats *stats,
                              cof_sensor_fn fn, void *arg, struct cof_error *err);

#endif
