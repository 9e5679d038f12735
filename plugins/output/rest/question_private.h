/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What a client asks for, out of the raw path of its request.
 */
#ifndef COFD_REST_QUESTION_PRIVATE_H
#define COFD_REST_QUESTION_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cofd/dns.h>

/** A name or an address, canonical. */
struct question {
  bool is_address;
  struct cof_addr address;
  char name[COF_NAME_MAX];
};

/**
 * Read the argument of /query/ and /fquery/: percent escapes decoded once, outer white space
 * stripped, IDN labels in UTF-8 turned into A-labels.
 *
 * @param raw,len  as in the request line; at most QUESTION_MAX octets
 * @return COF_OK, or COF_REJECT with what is wrong, in printable ASCII. Thread safe.
 */
enum cof_result question_parse(const char *raw, size_t len, struct question *question,
                               struct cof_error *err);

/** As question_parse(), for text without percent escapes. */
enum cof_result question_text(const char *text, size_t len, struct question *question,
                              struct cof_error *err);

/**
 * Decode percent escapes, once.
 * @param out  at least `len` octets; not NUL-terminated
 */
enum cof_result question_unescape(const char *raw, size_t len, char *out, size_t *out_len,
                                  struct cof_error *err);

/**
 * Canonical form of a decoded name, IDN labels in UTF-8 turned into A-labels; an address is taken
 * for the name that it spells.
 * @param len  at most QUESTION_MAX
 */
enum cof_result question_name(const char *text, size_t len, char name[COF_NAME_MAX],
                              struct cof_error *err);

/** Most octets of an argument. */
#define QUESTION_MAX ((size_t)8 * 1024)

#endif
