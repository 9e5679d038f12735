/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The layout of analyzer-d4-passivedns: r:NAME:T, v:V:T, s:, l:, o:NAME:V:T, where T is a decimal
 * type. What others wrote into it is read as leniently as it has to be; what is written here can be
 * read by that program's server.
 */
#ifndef REDISSTORE_D4_PRIVATE_H
#define REDISSTORE_D4_PRIVATE_H

#include "layout_private.h"

/** Most types that a question without types goes through. */
#define D4_TYPES_MAX 256

/** State of an instance. */
struct d4 {
  uint16_t types[D4_TYPES_MAX]; /**< those that have a mnemonic, ascending */
  size_t types_count;
  struct d4_writer *writer;
};

/* --- d4_text.c: pure functions ---------------------------------------------------------------- */

/** Octets that are not NUL-terminated. */
struct d4_text {
  const char *at;
  size_t len;
};

/**
 * V as it is written, for a canonical rdata: lower case, the first quote of a TXT removed, nothing
 * for the root.
 * @param out  at least `len` octets
 * @return octets written
 */
size_t d4_rdata_put(uint16_t rrtype, const char *rdata, size_t len, char *out);

/** Most spellings of one name or rdata. */
#define D4_FORMS_MAX 8

/** Spellings under which others may have stored something; in one block that the caller frees. */
struct d4_forms {
  char *block;
  struct d4_text forms[D4_FORMS_MAX];
  size_t count;
};

/** Spellings of a canonical name: as it is, with a trailing dot, without escapes. @return false
 *  when out of memory */
bool d4_name_forms(const char *name, size_t len, struct d4_forms *out);
/** Spellings of a canonical rdata. */
bool d4_rdata_forms(uint16_t rrtype, const char *rdata, size_t len, struct d4_forms *out);

/** Canonical name of a NAME. @return false when it is none */
bool d4_name_get(struct d4_text text, char out[COF_NAME_MAX], size_t *len);
/** Canonical rdata of a V. @param out  COF_RDATA_MAX + 1 octets. @return false when it is none */
bool d4_rdata_get(uint16_t rrtype, struct d4_text text, char *out, size_t *len);

/** Time or count: a decimal number, of which a fraction is cut off. @return false when it is none
 */
bool d4_number_get(const char *text, size_t len, uint64_t most, uint64_t *out);
/** Whether a number is spelled as the other program's server can read it. */
bool d4_number_plain(const char *text, size_t len);

/** Split `r:NAME:T`. @return false when it is not of that form */
bool d4_key_split(const char *key, size_t len, struct d4_text *name, uint16_t *rrtype);

/** Whether an rdata of this type may have its target among other fields. */
bool d4_partial_target(uint16_t rrtype);

/** Whether a text has ASCII letters in upper case. */
bool d4_has_upper(struct d4_text text);
/** Copy in lower case. */
void d4_lower(struct d4_text text, char *out);

/* --- keys ------------------------------------------------------------------------------------- */

/** Next argument: `k:A:T`. */
void d4_arg_set(struct resp *client, char kind, struct d4_text text, uint16_t rrtype);
/** Next argument: `k:NAME:V:T`. */
void d4_arg_triple(struct resp *client, char kind, struct d4_text name, struct d4_text v,
                   uint16_t rrtype);

/* --- d4_write.c ------------------------------------------------------------------------------- */

struct d4_writer *d4_writer_create(void);
void d4_writer_destroy(struct d4_writer **writer);
/** Write as for servers before Redis 7, which do not take NX and GET in one SET; the writer finds
 *  that out by itself too. */
void d4_writer_plain(struct d4_writer *writer);
enum resp_result d4_write(struct store *store, const struct cof_batch *batch,
                          struct cof_ticket *ticket, struct cof_error *err);

/* --- d4_sweep.c ------------------------------------------------------------------------------- */

struct sweep;

/** @return NULL when out of memory */
struct sweep *d4_sweep_create(struct resp *client);
void d4_sweep_destroy(struct sweep **sweep);
/** Look at members of `kind`:TEXT:T, 'r' or 'v'; beyond some hundred sets of one batch it does
 *  nothing. The text is borrowed until d4_sweep_run(). */
void d4_sweep_add(struct sweep *sweep, char kind, struct d4_text text, uint16_t rrtype);
/** Remove what is dead among a few members of each set. */
enum resp_result d4_sweep_run(struct sweep *sweep, struct cof_error *err);

/* --- d4_query.c ------------------------------------------------------------------------------- */

enum cof_result d4_open(struct store *store, const struct cof_query *query, void **cursor,
                        struct cof_error *err);
enum cof_result d4_next(struct store *store, void *cursor, size_t max, struct cof_batch *into,
                        struct cof_error *err);
enum cof_result d4_token(struct store *store, void *cursor, void *buf, size_t cap, size_t *len);
void d4_close(struct store *store, void *cursor);

#endif
