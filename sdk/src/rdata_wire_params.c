/* SPDX-License-Identifier: MIT */
/* Parameters of SVCB and HTTPS in wire form (RFC 9460 section 2.2). */
#include <cofd/wire.h>

#include <stdio.h>
#include <stdlib.h>

#include "rdata_private.h"

enum { MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT, IPV4HINT, ECH, IPV6HINT };

/* The octets that a parameter's value has in text, before they are quoted. */
struct value {
  uint8_t *octets;
  size_t n;
};

static void put(struct value *v, const char *text)
{
  while (*text != '\0')
    v->octets[v->n++] = (uint8_t)*text++;
}

static uint32_t number(const uint8_t *p)
{
  return (uint32_t)p[0] << 8 | p[1];
}

static bool key_list(struct value *v, const uint8_t *p, size_t len)
{
  if (len == 0 || len % 2 != 0)
    return false;
  for (size_t i = 0; i < len; i += 2) {
    char text[RDATA_KEY_MAX];
    if (i != 0)
      put(v, ",");
    put(v, rdata_param_key((uint16_t)number(p + i), text));
  }
  return true;
}

/* Character-strings, of which commas and backslashes are escaped (RFC 9460 appendix A.1). */
static bool alpn_list(struct value *v, const uint8_t *p, size_t len)
{
  for (size_t i = 0; i < len;) {
    size_t end = i + 1 + p[i];
    if (p[i] == 0 || end > len)
      return false;
    if (i != 0)
      put(v, ",");
    for (i++; i < end; i++) {
      if (p[i] == ',' || p[i] == '\\')
        put(v, "\\");
      v->octets[v->n++] = p[i];
    }
  }
  return len != 0;
}

static bool address_list(struct value *v, const uint8_t *p, size_t len, size_t size)
{
  struct cof_addr addr = {.family = size == 4 ? 4 : 6};
  if (len == 0 || len % size != 0)
    return false;
  for (size_t i = 0; i < len; i += size) {
    char text[COF_ADDR_TEXT_MAX];
    memcpy(addr.bytes, p + i, size);
    cof_addr_text(&addr, text);
    if (i != 0)
      put(v, ",");
    put(v, text);
  }
  return true;
}

static bool read_value(struct value *v, uint16_t key, const uint8_t *p, size_t len)
{
  char text[16];
  switch (key) {
  case MANDATORY:
    return key_list(v, p, len);
  case ALPN:
    return alpn_list(v, p, len);
  case NO_DEFAULT_ALPN:
    return len == 0;
  case PORT:
    if (len == 2)
      snprintf(text, sizeof text, "%u", (unsigned)number(p));
    else
      return false;
    put(v, text);
    return true;
  case IPV4HINT:
    return address_list(v, p, len, 4);
  case IPV6HINT:
    return address_list(v, p, len, 16);
  default:
    memcpy(v->octets, p, len);
    v->n = len;
    return true;
  }
}

static bool must_quote(const struct value *v)
{
  for (size_t i = 0; i < v->n; i++)
    if (v->octets[i] != '\0' && strchr(" \";()", v->octets[i]) != NULL)
      return true;
  return false;
}

static bool put_value(struct rdata_work *w, const struct value *v)
{
  bool quotes = must_quote(v);
  if (v->n == 0)
    return true;
  if (!rdata_put(w, '=') || (quotes && !rdata_put(w, '"')))
    return false;
  for (size_t i = 0; i < v->n; i++)
    if (!rdata_put_quoted(w, v->octets[i]))
      return false;
  return !quotes || rdata_put(w, '"');
}

static bool param(struct rdata_wire *r, struct rdata_work *w, struct value *v, int32_t *last)
{
  const uint8_t *p = r->msg + r->at;
  char text[RDATA_KEY_MAX];
  if (r->end - r->at < 4)
    return false;
  uint16_t key = (uint16_t)number(p);
  size_t len = number(p + 2);
  if (len > r->end - r->at - 4 || key <= *last || key == UINT16_MAX)
    return false;
  *last = key;
  r->at += 4 + len;
  v->n = 0;
  const char *name = rdata_param_key(key, text);
  if (key == ECH)
    return rdata_put_text(w, "ech", 3) &&
           (len == 0 || (rdata_put(w, '=') && rdata_put_base64(w, p + 4, len)));
  return rdata_put_text(w, name, strlen(name)) && read_value(v, key, p + 4, len) && put_value(w, v);
}

bool rdata_wire_params(struct rdata_wire *r, struct rdata_work *w)
{
  size_t size = r->end - r->at, count = 0;
  int32_t last = -1;
  /* The longest text is that of keys: for two octets, a name of up to 20 and a comma. */
  struct value v = {.octets = malloc(size * 11 + 16)};
  bool ok = v.octets != NULL;
  for (; ok && r->at < r->end; count++)
    ok = count < RDATA_PARAMS_MAX && (count == 0 || rdata_put(w, ' ')) && param(r, w, &v, &last);
  free(v.octets);
  return ok;
}
