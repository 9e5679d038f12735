/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "acl_private.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool is_mapped(const struct cof_addr *addr)
{
  static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return addr->family == 6 && memcmp(addr->bytes, mapped, sizeof mapped) == 0;
}

void addr_unmap(struct cof_addr *addr)
{
  if (!is_mapped(addr))
    return;
  memmove(addr->bytes, addr->bytes + 12, 4);
  memset(addr->bytes + 4, 0, 12);
  addr->family = 4;
}

enum cof_result acl_read(struct acl *acl, const struct cof_list *list, struct cof_error *err)
{
  *acl = (struct acl){0, NULL};
  if (list->count > ACL_MAX)
    return cof_fail(err, COF_REJECT, "%zu networks; expected at most %d", list->count, ACL_MAX);
  if (list->count == 0)
    return COF_OK;
  acl->networks = calloc(list->count, sizeof *acl->networks);
  if (acl->networks == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  for (size_t i = 0; i < list->count; i++) {
    struct network *n = &acl->networks[i];
    struct cof_error why;
    if (cof_network_parse(list->items[i], strlen(list->items[i]), &n->first, &n->last, &why) !=
        COF_OK)
      return cof_fail(err, COF_REJECT,
                      "'%.64s' is no network: %s; expected an address, or an address/length",
                      list->items[i], why.text);
    if (is_mapped(&n->first) && is_mapped(&n->last)) {
      addr_unmap(&n->first);
      addr_unmap(&n->last);
    }
    acl->count++;
  }
  return COF_OK;
}

void acl_clear(struct acl *acl)
{
  free(acl->networks);
  *acl = (struct acl){0, NULL};
}

bool acl_has(const struct acl *acl, const struct cof_addr *addr)
{
  for (size_t i = 0; i < acl->count; i++) {
    const struct network *n = &acl->networks[i];
    if (n->first.family == addr->family &&
        memcmp(addr->bytes, n->first.bytes, sizeof addr->bytes) >= 0 &&
        memcmp(addr->bytes, n->last.bytes, sizeof addr->bytes) <= 0)
      return true;
  }
  return false;
}

bool addr_of_socket(const struct sockaddr *sa, struct cof_addr *out)
{
  memset(out, 0, sizeof *out);
  if (sa == NULL)
    return false;
  if (sa->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
    out->family = 4;
    memcpy(out->bytes, &in->sin_addr, 4);
    return true;
  }
  if (sa->sa_family != AF_INET6)
    return false;
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
  out->family = 6;
  memcpy(out->bytes, &in6->sin6_addr, 16);
  addr_unmap(out);
  return true;
}
