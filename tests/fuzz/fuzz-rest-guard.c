/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libFuzzer target: what a client says of itself in its headers: credentials, and the clients that
 * a proxy names. The first octet chooses the header; the rest is its value.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/output/rest/proxy_private.h"
#include "../../plugins/output/rest/secret_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what)
{
  fprintf(stderr, "%s\n", what);
  abort();
}

static void check_credentials(const char *authorization, const char *api_key)
{
  struct credentials c;
  memset(&c, 0xff, sizeof c);
  credentials_read(&c, authorization, api_key);
  if (memchr(c.name, '\0', sizeof c.name) == NULL ||
      memchr(c.secret, '\0', sizeof c.secret) == NULL)
    broken("a text without end");
  bool whole = c.name[0] != '\0' && c.secret[0] != '\0';
  if ((c.kind == CREDENTIAL_TOKEN || c.kind == CREDENTIAL_BASIC) && !whole)
    broken("credentials without name or secret");
  if (c.kind == CREDENTIAL_NONE)
    broken("credentials that were there are not");
}

/* Whatever a client sends: it is where the proxy says that it is. */
static void check_appended(const char *text, bool forwarded)
{
  static const char *const said[] = {", 192.0.2.1", ", for=\"192.0.2.1:80\";proto=http"};
  struct network all[] = {{{4, {10}}, {4, {10, 255, 255, 255}}}};
  const struct acl trusted = {1, all};
  const struct cof_addr client = {4, {192, 0, 2, 1}};
  struct cof_addr addr = {4, {10, 0, 0, 1}};
  size_t len = strlen(text), more = strlen(said[forwarded]) + 1;
  char *whole = malloc(len + more);
  if (whole == NULL)
    return;
  memcpy(whole, text, len);
  memcpy(whole + len, said[forwarded], more);
  proxy_client(whole, forwarded, &trusted, &addr);
  if (addr.family != client.family || memcmp(addr.bytes, client.bytes, 4) != 0)
    broken("a client that is elsewhere than its proxy says");
  free(whole);
}

static void check_client(const char *text, bool forwarded)
{
  struct network all[] = {{{4, {10}}, {4, {10, 255, 255, 255}}}};
  const struct acl trusted = {1, all};
  struct cof_addr addr = {4, {10, 0, 0, 1}};
  proxy_client(text, forwarded, &trusted, &addr);
  if (addr.family != 4 && addr.family != 6)
    broken("no address");
  /* An address that no proxy of ours has written may only be the last one. */
  if (!acl_has(&trusted, &addr) && strchr(text, '.') == NULL && strchr(text, ':') == NULL)
    broken("an address out of nothing");
  check_appended(text, forwarded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  char *text = malloc(size);
  if (text == NULL)
    return 0;
  memcpy(text, data + 1, size - 1);
  text[size - 1] = '\0';
  switch (data[0] % 4) {
  case 0:
    check_credentials(text, NULL);
    break;
  case 1:
    check_credentials(NULL, text);
    break;
  default:
    check_client(text, data[0] % 4 == 2);
  }
  free(text);
  return 0;
}
