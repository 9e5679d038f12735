/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Sets of networks. Immutable once made.
 */
#ifndef COFD_REST_ACL_PRIVATE_H
#define COFD_REST_ACL_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/socket.h>

#include <cofd/dns.h>
#include <cofd/option.h>
#include <cofd/record.h>

struct network {
  struct cof_addr first, last;
};

struct acl {
  size_t count;
  struct network *networks;
};

/** Most networks of a set, as each request is held against each. */
#define ACL_MAX 4096

/**
 * Read a set out of a list of `address` and `address/length`.
 * @return COF_OK, or COF_REJECT with what is wrong; freed by acl_clear() in any case
 */
enum cof_result acl_read(struct acl *acl, const struct cof_list *list, struct cof_error *err);
void acl_clear(struct acl *acl);
bool acl_has(const struct acl *acl, const struct cof_addr *addr);

/** Make IPv4 within IPv6 (::ffff:0:0/96) IPv4, so that one rule is enough for a client. */
void addr_unmap(struct cof_addr *addr);
/** The address of a socket; IPv4 within IPv6 as IPv4. @return false: of another family */
bool addr_of_socket(const struct sockaddr *sa, struct cof_addr *out);

#endif
