/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The routes of DNSDB's API, version 2: a question becomes some questions to the storage, asked one
 * after the other, and their records a stream of JSON lines framed as SAF has it.
 */
#ifndef COFD_REST_DNSDB_PRIVATE_H
#define COFD_REST_DNSDB_PRIVATE_H

#include <microhttpd.h>

#include <cofd/plugin.h>

#include "dnsdb_question_private.h"

struct answer;
struct rest;

/** What the options fill. */
struct dnsdb_conf {
  int64_t limit;      /**< results where the client names no limit */
  int64_t max_limit;  /**< most results */
  int64_t max_offset; /**< most results to leave out */
  bool any_dnssec;    /**< ANY has the types of DNSSEC */
  bool scan;          /**< all records may be read to answer a question that no index answers */
};

/** Most questions to the storage that one question needs. */
#define DNSDB_PARTS_MAX 6
/** Most types that a part is bound to. */
#define DNSDB_TYPES_MAX 16

/** A question to the storage. Types are ascending; none: all. */
struct dnsdb_part {
  enum cof_query_kind kind;
  struct cof_addr first, last;
  size_t only_count, not_count;
  uint16_t only[DNSDB_TYPES_MAX]; /**< types that it asks for */
  uint16_t not [DNSDB_TYPES_MAX]; /**< types that it leaves to others */
  char name[COF_NAME_MAX];
};

/** What the questions to the storage are. */
struct dnsdb_plan {
  size_t count;
  struct dnsdb_part parts[DNSDB_PARTS_MAX];
  bool partial; /**< rdata that no part finds may exist */
};

/** What the planner goes by. */
struct dnsdb_means {
  uint64_t caps;   /**< of the storage */
  bool scan;       /**< whether all records may be read to answer a question */
  bool any_dnssec; /**< whether ANY has the types of DNSSEC */
};

/** @return COF_OK; COF_UNSUPPORTED with the reason. Thread safe. */
enum cof_result dnsdb_plan(const struct dnsdb_question *question, const struct dnsdb_means *means,
                           struct dnsdb_plan *plan, struct cof_error *err);

/** Whether a record that a part finds is of the answer. */
bool dnsdb_wanted(const struct dnsdb_question *question, const struct dnsdb_means *means,
                  const struct dnsdb_part *part, const struct cof_record *record);

/** Whether a type is one of those that ANY-DNSSEC stands for. */
bool dnsdb_is_dnssec(uint16_t rrtype);

/**
 * An rdata with a dot behind each name.
 * @param out  at least `len` + DNSDB_DOTS_MAX(len) octets; not NUL-terminated
 * @return octets written
 */
size_t dnsdb_rdata_text(uint16_t rrtype, const char *rdata, size_t len, char *out);
/** Most dots that dnsdb_rdata_text adds: one for each field. */
#define DNSDB_DOTS_MAX(len) ((len) / 2 + 1)

/** Whether the wire form of an rdata begins with `raw`. One that has none does not. */
bool dnsdb_rdata_begins(uint16_t rrtype, const char *rdata, size_t rdata_len, const uint8_t *raw,
                        size_t raw_len);

/** State of a question under way. */
struct dnsdb;

/** Close the cursor of an answer's question, and free its state; there may be none. */
void dnsdb_close(struct answer *answer);

/** Whether the target of a request is one of these routes, so that errors are DNSDB's. */
bool dnsdb_is_path(const char *url);
/**
 * Serve a request.
 * @param path  raw, behind `/dnsdb/`
 */
enum MHD_Result dnsdb_serve(struct MHD_Connection *connection, struct answer *answer,
                            const char *path);
/** Send a status with `Error: text`. */
enum MHD_Result dnsdb_reply_error(struct MHD_Connection *connection, struct rest *rest,
                                  unsigned status, const char *text, bool close);

/* --- dnsdb_answer.c, for dnsdb_serve.c ------------------------------------------------------ */

/** Begin to answer: plan, and open the first cursor. @return as cof_query_open */
enum cof_result dnsdb_ask(struct answer *answer, const struct dnsdb_question *question,
                          struct cof_error *err);
/**
 * Render lines behind the answer's text until it has `target` octets, the answer is complete, or
 * some time has passed.
 */
enum cof_result dnsdb_render(struct answer *answer, size_t target, struct cof_error *err);
/** MHD_ContentReaderCallback of a streamed answer; `cls` is the answer. */
ssize_t dnsdb_stream(void *cls, uint64_t pos, char *buf, size_t max);

#endif
