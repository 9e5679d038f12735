/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A page of an answer: members of sets, the times and counts of their records, and these records in
 * their canonical form.
 */
#ifndef REDISSTORE_D4_PAGE_PRIVATE_H
#define REDISSTORE_D4_PAGE_PRIVATE_H

#include "d4_private.h"

/** Members that a server is asked for at once. What was given of such a page is in resume tokens.
 */
#define D4_SCAN_COUNT 500
/** Octets of members that an answer kept in memory as a whole may have. */
#define D4_WHOLE_BYTES ((size_t)64 << 20)
/** Octets of a scan's cursor: a number, or a key where Kvrocks is set up so. */
#define D4_CURSOR_MAX 60000

/** A set to read: r:TEXT:T, or v:TEXT:T. */
struct d4_source {
  struct d4_text text;
  struct d4_text cursor; /**< where to go on; empty: at the beginning */
  uint64_t members;
  uint16_t rrtype;
  bool done;
};

/** Times and count as they lie in the database. */
struct d4_times {
  uint64_t first, last, count;
  bool has_first, has_last, has_count;
};

/** A member of a set: a record, if there are times for it. */
struct d4_hit {
  struct d4_text name, v;
  struct d4_times times;
  uint32_t source; /**< index of the set it came from */
  uint16_t rrtype;
  bool guess; /**< the spelling in lower case of the hit before */
};

/** A record of the page. */
struct d4_entry {
  uint32_t record; /**< index in the page's batch */
  uint32_t hit;
};

/** In what order a page goes out. */
enum d4_order { D4_BY_NAME, D4_BY_SOURCE };

/** What is wanted of a page. */
struct d4_filter {
  int64_t first_after, first_before, last_after, last_before;
  const char *target; /**< canonical name or address that the rdata goes by, or NULL */
  size_t target_len;
};

struct d4_page {
  struct store *store;
  struct resp *client;     /**< lent for the call under way */
  uint64_t deadline_ns;    /**< or 0 */
  struct cof_batch *arena; /**< of texts */
  struct cof_batch *batch; /**< of records */
  struct d4_hit *hits;
  size_t hits_count, hits_room;
  struct d4_entry *entries;
  size_t entries_count, entries_room;
  char *rdata; /**< COF_RDATA_MAX + 1 octets */
  bool failed; /**< out of memory in a callback */
};

bool d4_page_create(struct d4_page *page, struct store *store);
void d4_page_free(struct d4_page *page);
void d4_page_clear(struct d4_page *page);

/** Copy octets into the page. @return false when out of memory */
bool d4_keep(struct d4_page *page, struct d4_text from, struct d4_text *to);

/** Run what was appended; COF_TIMEOUT past the deadline. */
enum cof_result d4_run(struct d4_page *page, struct cof_error *err);

/** Fill in how many members each set has. */
enum cof_result d4_count_members(struct d4_page *page, char kind, struct d4_source *sources,
                                 size_t count, struct cof_error *err);

/**
 * Read one page of each set that is not done.
 * @param kind  'r' or 'v'
 */
enum cof_result d4_read_sets(struct d4_page *page, char kind, struct d4_source *sources,
                             size_t count, struct cof_error *err);

/** Replace the hits from `from` on, NAMEs that have V in their rdata, by all members of r:NAME:T.
 */
enum cof_result d4_expand(struct d4_page *page, size_t from, struct cof_error *err);

/** Order of records by rrname, rrtype, rdata. */
int d4_compare(const struct cof_record *a, const struct cof_record *b);

/** Look the hits' times up, and make records of them, filtered, merged and in order. */
enum cof_result d4_make_records(struct d4_page *page, const struct d4_filter *filter,
                                enum d4_order order, struct cof_error *err);

#endif
