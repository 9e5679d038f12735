/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The cursor of a question, and its place for resume tokens.
 */
#ifndef REDISSTORE_D4_CURSOR_PRIVATE_H
#define REDISSTORE_D4_CURSOR_PRIVATE_H

#include "d4_page_private.h"

/**
 * Where a cursor stands: the texts of a token. A page that is read again may hold more or less than
 * before, as a server's table grows or shrinks; so what was given of it is remembered one by one,
 * and not by a place in an order.
 */
enum d4_place_text {
  PLACE_NODE,   /**< scan: the node */
  PLACE_RUN,    /**< scan: which run of its server; a cursor is good for that one only */
  PLACE_SCAN,   /**< scan: cursor of the page of keys */
  PLACE_DONE,   /**< scan: hashes of the sets of the page of keys that are done with */
  PLACE_SOURCE, /**< scan: the set */
  PLACE_CURSOR, /**< stream: cursor of the page of members */
  PLACE_SEEN,   /**< stream: hashes of the records of the page that were given */
  PLACE_NAME,   /**< read as a whole: rrname of the last record */
  PLACE_RDATA,  /**< and its rdata */
  PLACE_TEXTS
};

struct d4_place {
  struct d4_text texts[PLACE_TEXTS];
  uint64_t source_hash; /**< stream: of the set's text */
  uint16_t source_type; /**< of the set */
  uint16_t rrtype;      /**< of the last record */
  bool streaming;       /**< else the answer is read as a whole */
  bool begun;           /**< some record was given */
  char *block;          /**< holds the texts, where they are copies */
};

/** Octets of a place as a token; 0: `cap` is too small. */
size_t d4_place_put(const struct d4_place *place, uint64_t question, uint8_t *buf, size_t cap);
/** Read a token. @return COF_OK; COF_REJECT with a reason; COF_RETRY */
enum cof_result d4_place_get(struct d4_place *place, uint64_t question, const uint8_t *buf,
                             size_t len, struct cof_error *err);

/** Hashes of 32 bits each, one after the other. */
struct d4_hashes {
  uint8_t *at;
  size_t len, room; /**< octets */
};

/** @return false when out of memory */
bool d4_hashes_add(struct d4_hashes *hashes, uint64_t hash);
bool d4_hashes_set(struct d4_hashes *hashes, struct d4_text text);
bool d4_hashes_have(const struct d4_hashes *hashes, uint64_t hash);

struct d4_cursor;

/** How far a scan through all keys is. Texts are allocated each. */
struct d4_scan {
  struct d4_text node, run; /**< which node, and which run of its server */
  struct d4_text at, next;  /**< where this page of keys begins, and the next one */
  uint64_t nodes;           /**< hash of the names of all nodes; 0: not seen yet */
  bool begun;               /**< `node` is set */
  bool node_done;           /**< this page of keys is the last of the node */
};

/** @return NULL when out of memory */
struct d4_scan *d4_scan_create(void);
void d4_scan_destroy(struct d4_scan **scan);
uint64_t d4_hash(struct d4_text text);
uint64_t d4_hash_record(const struct cof_record *record);
uint64_t d4_hash_source(const struct d4_source *source);

enum d4_state { D4_START, D4_WHOLE, D4_STREAM, D4_SCAN, D4_END };

struct d4_cursor {
  struct d4_page page;
  struct d4_filter filter;
  enum cof_query_kind kind;
  char set_kind; /**< 'r' or 'v' */
  enum d4_state state;
  char *target; /**< what filter.target points to */
  uint16_t *types;
  size_t types_count;
  bool all_types; /**< no types were asked for */
  uint64_t left, question;

  struct cof_batch *names; /**< texts of the sources */
  struct d4_source *sources;
  size_t sources_count, sources_room;
  size_t at;                  /**< source that is read now */
  size_t group;               /**< sources of the page */
  size_t entry;               /**< next entry of the page */
  bool streaming;             /**< the page is one of several of sources[at] */
  struct d4_text page_cursor; /**< of sources[at], where the page began; in `names` */

  struct d4_scan *scan; /**< of D4_SCAN */

  struct d4_hashes seen; /**< records of a streamed page that an earlier cursor gave */
  struct d4_hashes done; /**< sets of a page of keys that an earlier cursor was done with */
  struct d4_hashes part; /**< scratch for place_now() */
  struct d4_hashes sets; /**< likewise */

  struct d4_place resume; /**< from the token; block != NULL while it is to be applied */
  bool resuming;
  uint8_t *token; /**< place after the last record of the page before */
  size_t token_len;
};

/** Append a set to read. @return false when out of memory */
bool d4_add_source(struct d4_cursor *cursor, struct d4_text text, uint16_t rrtype);

/** Read the next page of a scan through all keys. `state` is D4_END when there is no more. */
enum cof_result d4_scan_page(struct d4_cursor *cursor, struct cof_error *err);

/** Read a group of sources as a whole into the page. @param fits  false: it is too much for that */
enum cof_result d4_read_whole(struct d4_cursor *cursor, size_t from, size_t count, bool *fits,
                              struct cof_error *err);
/** Read the next page of members of sources[at]. */
enum cof_result d4_read_stream(struct d4_cursor *cursor, struct cof_error *err);

/** Take from the page what the token says was given already. */
void d4_skip_answered(struct d4_cursor *cursor);

/** Members that are read as a whole at most. */
#define D4_WHOLE_MEMBERS 20000

#endif
