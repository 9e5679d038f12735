/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "url_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cofd/dns.h>

#include "headers_private.h"

static bool is_alpha(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static const char *take_scheme(const char *text, struct ws_url *url)
{
  url->tls = strncasecmp(text, "wss://", 6) == 0;
  if (url->tls)
    return text + 6;
  return strncasecmp(text, "ws://", 5) == 0 ? text + 5 : NULL;
}

static void put_lower(char *out, const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
  out[len] = '\0';
}

/* What stands between brackets. @return what follows, or NULL */
static const char *take_literal(const char *at, struct ws_url *url, struct cof_error *err)
{
  struct cof_addr addr;
  const char *end = strchr(at, ']');
  if (end == NULL || (size_t)(end - at) > WS_HOST_MAX ||
      !cof_addr_parse(at, (size_t)(end - at), &addr) || addr.family != 6) {
    cof_fail(err, COF_REJECT, "what stands in brackets is no IPv6 address");
    return NULL;
  }
  put_lower(url->host, at, (size_t)(end - at));
  return end + 1;
}

static const char *take_name(const char *at, struct ws_url *url, struct cof_error *err)
{
  size_t len = strcspn(at, ":/?#");
  if (len == 0 || len > WS_HOST_MAX) {
    cof_fail(err, COF_REJECT, "the host has %zu octets; expected 1 to %d", len, WS_HOST_MAX);
    return NULL;
  }
  for (size_t i = 0; i < len; i++)
    if (!is_alpha(at[i]) && !is_digit(at[i]) && strchr(".-_", at[i]) == NULL) {
      cof_fail(err, COF_REJECT, "the host has a character that no host name has");
      return NULL;
    }
  put_lower(url->host, at, len);
  return at + len;
}

static const char *take_port(const char *at, struct ws_url *url, struct cof_error *err)
{
  unsigned long port = 0;
  size_t len = 0;
  url->port = url->tls ? 443 : 80;
  if (*at != ':')
    return at;
  for (at++; len < 6 && is_digit(at[len]); len++)
    port = port * 10 + (unsigned long)(at[len] - '0');
  if (port < 1 || port > 65535 || (at[len] != '\0' && strchr("/?#", at[len]) == NULL)) {
    cof_fail(err, COF_REJECT, "the port is none; expected 1 to 65535");
    return NULL;
  }
  url->port = (uint16_t)port;
  return at + len;
}

static enum cof_result take_path(const char *at, struct ws_url *url, struct cof_error *err)
{
  size_t len = strlen(at), slash = *at == '/' ? 0 : 1;
  if (*at != '\0' && *at != '/' && *at != '?')
    return cof_fail(err, COF_REJECT, "what follows the host is no path");
  if (len + slash > WS_PATH_MAX)
    return cof_fail(err, COF_REJECT, "path and query have %zu octets; at most %d are taken", len,
                    WS_PATH_MAX);
  for (size_t i = 0; i < len; i++)
    if (at[i] <= ' ' || at[i] > '~' || at[i] == '#')
      return cof_fail(err, COF_REJECT,
                      "path and query may hold neither blanks nor # nor octets beyond ASCII; write "
                      "them as %%XX");
  url->path[0] = '/';
  memcpy(url->path + slash, at, len + 1);
  return COF_OK;
}

enum cof_result ws_url_parse(const char *text, struct ws_url *url, struct cof_error *err)
{
  *url = (struct ws_url){0};
  const char *at = take_scheme(text, url);
  if (at == NULL)
    return cof_fail(err, COF_REJECT,
                    "is no address of a websocket; expected ws://HOST[:PORT]/PATH "
                    "or wss://HOST[:PORT]/PATH");
  if (memchr(at, '@', strcspn(at, "/?#")) != NULL)
    return cof_fail(err, COF_REJECT, "holds a user; give user and password as options");
  at = *at == '[' ? take_literal(at + 1, url, err) : take_name(at, url, err);
  if (at != NULL)
    at = take_port(at, url, err);
  return at != NULL ? take_path(at, url, err) : COF_REJECT;
}

const char *ws_url_host(const struct ws_url *url, char out[WS_HOST_MAX + 3])
{
  bool literal = strchr(url->host, ':') != NULL;
  snprintf(out, WS_HOST_MAX + 3, "%s%s%s", literal ? "[" : "", url->host, literal ? "]" : "");
  return out;
}

const char *ws_url_authority(const struct ws_url *url, char out[WS_HOST_MAX + 16])
{
  char host[WS_HOST_MAX + 3];
  ws_url_host(url, host);
  if (url->port == (url->tls ? 443 : 80))
    snprintf(out, WS_HOST_MAX + 16, "%s", host);
  else
    snprintf(out, WS_HOST_MAX + 16, "%s:%u", host, url->port);
  return out;
}

const char *ws_url_show(const struct ws_url *url, char out[WS_SHOWN_MAX])
{
  char authority[WS_HOST_MAX + 16];
  snprintf(out, WS_SHOWN_MAX, "%s://%s%.*s", url->tls ? "wss" : "ws",
           ws_url_authority(url, authority), (int)strcspn(url->path, "?"), url->path);
  return out;
}

/* --- lists ------------------------------------------------------------------------------------ */

bool texts_begin_url(const char *piece, const char *before)
{
  size_t len = 0;
  while (is_alpha(piece[len]))
    len++;
  return (len > 0 && strncmp(piece + len, "://", 3) == 0) || before == NULL ||
         strchr(before, '?') == NULL;
}

bool texts_begin_header(const char *piece, const char *before)
{
  return header_name_len(piece) > 0 || before == NULL;
}

void texts_free(struct texts *texts)
{
  for (size_t i = 0; i < texts->count; i++)
    free(texts->items[i]);
  free(texts->items);
  *texts = (struct texts){0};
}

bool texts_join(const struct cof_list *list, texts_begin_fn begins, const char *glue,
                struct texts *texts)
{
  *texts = (struct texts){.items = calloc(list->count + 1, sizeof *texts->items)};
  if (texts->items == NULL)
    return false;
  for (size_t i = 0; i < list->count; i++) {
    char **last = texts->count > 0 ? &texts->items[texts->count - 1] : NULL, *item;
    bool fresh = begins(list->items[i], last != NULL ? *last : NULL);
    int n = fresh ? asprintf(&item, "%s", list->items[i])
                  : asprintf(&item, "%s%s%s", *last, glue, list->items[i]);
    if (n < 0) {
      texts_free(texts);
      return false;
    }
    if (fresh) {
      texts->items[texts->count++] = item;
    } else {
      free(*last);
      *last = item;
    }
  }
  return true;
}
