/* SPDX-License-Identifier: MIT */
/* Parameters of SVCB and HTTPS (RFC 9460 section 2.1). */
#include <cofd/dns.h>

#include <stdio.h>

#include "rdata_private.h"

enum { PORT = 3, IPV4HINT = 4, IPV6HINT = 6, DOHPATH = 7 };

static const char *const keys[] = {
    "mandatory", "alpn",     "no-default-alpn", "port",  "ipv4hint",
    "ech",       "ipv6hint", "dohpath",         "ohttp", "tls-supported-groups"};
#define KEYS (sizeof keys / sizeof *keys)

const char *rdata_param_key(uint16_t key, char text[RDATA_KEY_MAX])
{
  if (key < KEYS)
    return keys[key];
  snprintf(text, RDATA_KEY_MAX, "key%u", (unsigned)key);
  return text;
}

struct param {
  const char *value; /* without quotes, escapes as they stand */
  size_t len;
  uint16_t key;
};

static bool same_key(const char *text, size_t len, const char *key)
{
  if (strlen(key) != len)
    return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    if (c != key[i])
      return false;
  }
  return true;
}

/* A key by name, or keyNNNNN. Values of the latter are in wire form, so that a key whose values
   have another form is taken by its name alone. */
static bool read_key(const char *text, size_t len, uint16_t *key)
{
  for (size_t i = 0; i < KEYS; i++) {
    *key = (uint16_t)i;
    if (same_key(text, len, keys[i]))
      return true;
  }
  if (len < 4 || len > 8 || !same_key(text, 3, "key") || (text[3] == '0' && len > 4))
    return false;
  unsigned value = 0;
  for (size_t i = 3; i < len; i++) {
    if (!rdata_digit(text[i]))
      return false;
    value = value * 10 + (unsigned)(text[i] - '0');
  }
  *key = (uint16_t)value;
  return value < UINT16_MAX && (value >= KEYS || value == DOHPATH);
}

/* One `key`, `key=value` or `key="value"`, up to a blank. */
static bool read_param(struct rdata_work *w, struct param *param)
{
  const char *start = w->p;
  while (w->p < w->end && *w->p != '=' && !rdata_blank(*w->p))
    w->p++;
  if (!read_key(start, (size_t)(w->p - start), &param->key))
    return false;
  param->value = w->p;
  param->len = 0;
  if (w->p == w->end || rdata_blank(*w->p))
    return true;
  w->p++;
  bool quoted = w->p < w->end && *w->p == '"';
  w->p += quoted;
  param->value = w->p;
  while (w->p < w->end && *w->p != '"' && (quoted || !rdata_blank(*w->p)))
    w->p += *w->p == '\\' && w->p + 1 < w->end ? 2 : 1;
  param->len = (size_t)(w->p - param->value);
  if (!quoted)
    return w->p == w->end || *w->p != '"';
  return w->p < w->end && (++w->p == w->end || rdata_blank(*w->p));
}

static bool put_address(struct rdata_work *w, uint16_t key, const char *text, size_t len)
{
  struct cof_addr addr;
  char again[COF_ADDR_TEXT_MAX];
  if (!cof_addr_parse(text, len, &addr) || addr.family != (key == IPV4HINT ? 4 : 6))
    return false;
  return rdata_put_text(w, again, cof_addr_text(&addr, again));
}

static bool put_addresses(struct rdata_work *w, const struct param *param)
{
  const char *p = param->value, *end = p + param->len;
  for (;;) {
    const char *comma = memchr(p, ',', (size_t)(end - p));
    size_t len = (size_t)((comma != NULL ? comma : end) - p);
    if (!put_address(w, param->key, p, len))
      return false;
    if (comma == NULL)
      return true;
    if (!rdata_put(w, ','))
      return false;
    p = comma + 1;
  }
}

/* Whether all octets stand for themselves, without quotes. */
static bool is_plain(const struct param *param)
{
  return rdata_even(param->value, param->len, ' ', '"') &&
         rdata_even(param->value, param->len, '(', ')') &&
         rdata_even(param->value, param->len, ';', '\\');
}

static bool needs_quotes(const struct rdata_work *value)
{
  for (struct rdata_work look = *value; look.p < look.end;) {
    uint8_t c = rdata_octet(&look);
    if (c == ' ' || c == '"' || c == ';' || c == '(' || c == ')')
      return true;
  }
  return false;
}

static bool put_port(struct rdata_work *w, const struct param *param)
{
  struct rdata_work value = *w;
  value.p = param->value;
  value.end = value.p + param->len;
  bool ok = rdata_number(&value, UINT16_MAX) && value.p == value.end;
  w->n = value.n;
  w->full = value.full;
  return ok;
}

static bool put_value(struct rdata_work *w, const struct param *param)
{
  struct rdata_work value = {.p = param->value, .end = param->value + param->len};
  if (param->key == PORT)
    return put_port(w, param);
  if (param->key == IPV4HINT || param->key == IPV6HINT)
    return put_addresses(w, param);
  if (is_plain(param))
    return rdata_put_text(w, param->value, param->len);
  bool quotes = needs_quotes(&value);
  if (quotes && !rdata_put(w, '"'))
    return false;
  while (value.p < value.end) {
    if (!rdata_put_quoted(w, rdata_octet(&value)))
      return false;
  }
  return !quotes || rdata_put(w, '"');
}

static bool put_param(struct rdata_work *w, const struct param *param)
{
  char number[RDATA_KEY_MAX];
  const char *key = rdata_param_key(param->key, number);
  if (!rdata_put_text(w, key, strlen(key)))
    return false;
  return param->len == 0 || (rdata_put(w, '=') && put_value(w, param));
}

/* In the order of their keys, as on the wire, each once. */
bool rdata_params(struct rdata_work *w)
{
  struct param list[RDATA_PARAMS_MAX], param;
  size_t count = 0;
  for (; w->p < w->end; rdata_skip(w)) {
    if (count == RDATA_PARAMS_MAX || !read_param(w, &param))
      return false;
    size_t at = count;
    while (at > 0 && list[at - 1].key > param.key)
      at--;
    if (at > 0 && list[at - 1].key == param.key)
      return false;
    memmove(list + at + 1, list + at, (count - at) * sizeof *list);
    list[at] = param;
    count++;
  }
  for (size_t i = 0; i < count; i++) {
    if ((i != 0 && !rdata_put(w, ' ')) || !put_param(w, &list[i]))
      return false;
  }
  return true;
}
