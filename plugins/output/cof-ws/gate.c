/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ws_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Octets of one parameter, of a header. libwebsockets bounds all headers together. */
#define ARGUMENT_MAX 8192

__attribute__((format(printf, 3, 4))) static bool refuse(struct refusal *why, unsigned status,
                                                         const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why->text, sizeof why->text, fmt, ap);
  va_end(ap);
  why->status = status;
  return false;
}

/* --- the parameters --------------------------------------------------------------------------- */

/* Names come from outside: an error quotes only what is harmless. */
static bool refuse_parameter(struct refusal *why, const char *name, const char *wrong)
{
  char shown[33];
  size_t n = 0;
  for (; n < sizeof shown - 1 && name[n] != '\0'; n++)
    shown[n] = (char)(name[n] > 0x20 && name[n] < 0x7f ? name[n] : '?');
  shown[n] = '\0';
  return refuse(why, 400, "bad parameter '%s': %s", shown, wrong);
}

/* @param token  receives the value of `token`; "" where there is none */
static bool read_parameters(struct lws *wsi, struct filter *f, char token[TOKEN_MAX + 1],
                            struct refusal *why)
{
  char text[ARGUMENT_MAX];
  token[0] = '\0';
  for (int n = 0;; n++) {
    int len = lws_hdr_copy_fragment(wsi, text, sizeof text, WSI_TOKEN_HTTP_URI_ARGS, n);
    if (len < 0 && lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, n) > 0)
      return refuse(why, 400, "a parameter is longer than %d octets", ARGUMENT_MAX);
    if (len <= 0)
      return true;
    if (strlen(text) != (size_t)len)
      return refuse(why, 400, "a parameter has a NUL octet in it");
    char *value = strchr(text, '=');
    if (value == NULL)
      return refuse_parameter(why, text, "expected NAME=VALUE");
    *value++ = '\0';
    const char *wrong = filter_set(f, text, value);
    if (wrong != NULL)
      return refuse_parameter(why, text, wrong);
    if (strcmp(text, "token") == 0) {
      size_t size = strlen(value) + 1;
      if (size <= TOKEN_MAX + 1)
        memcpy(token, value, size);
      explicit_bzero(text, sizeof text);
    }
  }
}

/* --- who asks ----------------------------------------------------------------------------------
 */

static bool header(struct lws *wsi, enum lws_token_indexes which, char *out, size_t cap)
{
  out[0] = '\0';
  return lws_hdr_total_length(wsi, which) == 0 || lws_hdr_copy(wsi, out, (int)cap, which) >= 0;
}

/* A page of another site must not read the feed with what its visitor can reach. */
static bool check_origin(const struct ws *ws, struct lws *wsi, struct refusal *why)
{
  const struct cof_list *allowed = &ws->conf.allow_origin;
  char origin[512], host[512], own[640];
  if (!header(wsi, WSI_TOKEN_ORIGIN, origin, sizeof origin) ||
      !header(wsi, WSI_TOKEN_HOST, host, sizeof host))
    return refuse(why, 400, "the header Origin or Host is too long");
  if (origin[0] == '\0')
    return true; /* no browser */
  snprintf(own, sizeof own, "%s://%s", ws->secure ? "https" : "http", host);
  bool good = host[0] != '\0' && strcasecmp(origin, own) == 0;
  for (size_t i = 0; !good && i < allowed->count; i++)
    good = strcmp(allowed->items[i], "*") == 0 || strcasecmp(allowed->items[i], origin) == 0;
  return good || refuse(why, 403, "pages of this origin may not subscribe (option allow_origin)");
}

static bool check_token(struct ws *ws, struct lws *wsi, const char *parameter, struct refusal *why)
{
  static const char bearer[] = "Bearer ";
  char text[TOKEN_MAX + sizeof bearer + 8];
  bool there = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, text, sizeof text);
  const char *token = parameter;
  if (there && strncasecmp(text, bearer, sizeof bearer - 1) == 0)
    token = text + sizeof bearer - 1;
  pthread_mutex_lock(&ws->lock);
  bool good = ws->tokens == NULL || tokens_match(ws->tokens, token, strlen(token));
  pthread_mutex_unlock(&ws->lock);
  explicit_bzero(text, sizeof text);
  return good || refuse(why, 401,
                        "expected a token, in a header 'Authorization: Bearer TOKEN' or the "
                        "parameter token");
}

static bool check_new(struct ws *ws, const struct filter *f, struct refusal *why)
{
  if (!f->only_new || (cof_storage_caps(ws->host) & COF_CAP_NEW) != 0)
    return true;
  return refuse(why, 501, "the storage of this chain cannot tell what is new");
}

static bool look(struct ws *ws, struct lws *wsi, struct filter *f, struct refusal *why)
{
  char token[TOKEN_MAX + 1], path[64];
  bool good = read_parameters(wsi, f, token, why) && check_origin(ws, wsi, why) &&
              check_token(ws, wsi, token, why) && check_new(ws, f, why);
  explicit_bzero(token, sizeof token);
  if (!good)
    return false;
  if (!header(wsi, WSI_TOKEN_GET_URI, path, sizeof path) || strcmp(path, "/") != 0)
    return refuse(why, 404, "the feed is at /");
  if (ws->subs_count >= (size_t)ws->conf.connections)
    return refuse(why, 503, "there are %lld subscribers already; try again later",
                  (long long)ws->conf.connections);
  return true;
}

struct filter *gate_look(struct ws *ws, struct lws *wsi, struct refusal *why)
{
  struct filter *f = calloc(1, sizeof *f);
  if (f == NULL)
    refuse(why, 503, "out of memory");
  else if (!look(ws, wsi, f, why))
    filter_free(&f);
  return f;
}
