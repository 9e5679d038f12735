/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Whom a proxy names as its client.
 */
#ifndef COFD_REST_PROXY_PRIVATE_H
#define COFD_REST_PROXY_PRIVATE_H

#include <stdbool.h>

#include "acl_private.h"

/**
 * Go back along a header X-Forwarded-For, or Forwarded (RFC 7239), from its end, while what is
 * there is a trusted proxy.
 *
 * @param text     the header; several of them joined by commas, in their order
 * @param forwarded  whether it is Forwarded
 * @param trusted  proxies that are believed
 * @param addr     in: a trusted proxy, which sent this. Out: the first address that is not a
 *                 trusted proxy; or the last trusted one, before which nothing readable stands
 */
void proxy_client(const char *text, bool forwarded, const struct acl *trusted,
                  struct cof_addr *addr);

#endif
