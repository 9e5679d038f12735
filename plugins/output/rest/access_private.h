/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What each path demands of who asks for it.
 */
#ifndef COFD_REST_ACCESS_PRIVATE_H
#define COFD_REST_ACCESS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

struct access {
  const char *prefix; /**< of the path; where it ends in a slash, a question may follow */
  unsigned scope;     /**< enum scope; 0: open to all */
  bool counted;       /**< takes from rate and quota */
  bool dnsdb;         /**< is refused the way clients of DNSDB understand */
};

/** The rule of a path, which may be in absolute form. Never NULL. */
const struct access *access_of(const char *url);
/** Octets of a path that tell nothing about the question. */
size_t access_prefix(const char *url);
/** The path of a request target, without scheme and authority and without repeated slashes. */
const char *access_path(const char *url);

#endif
