/* SPDX-License-Identifier: MIT */
/* Canonical rdata. Name and rdata together take (tests/bench/bench-canon.c, one EPYC core, ns): A
   42, TXT 45, NS 54, CNAME 58, MX 67, AAAA 69, SRV 79, SOA 133, HTTPS 170, DS 185; reading and
   printing the same records with ldns takes 2,000 to 20,000. So ldns is left to LOC and to the
   wire forms of rare types. */
#include <cofd/wire.h>

#include <stdio.h>
#include <stdlib.h>

#include "rdata_private.h"

/* Most octets of an rdata in wire form whose `\# n hex` is within COF_RDATA_MAX. */
#define WIRE_MAX ((COF_RDATA_MAX - 9) / 2)

bool rdata_fail(struct rdata_work *w, const char *what, const char *text, size_t len)
{
  char type[COF_RRTYPE_TEXT_MAX], quote[DNS_QUOTE_MAX];
  if (w->err == NULL)
    return false;
  cof_rrtype_text(w->rrtype, type);
  if (len == 0)
    cof_fail(w->err, COF_REJECT, "rdata of %s %s", type, what);
  else
    cof_fail(w->err, COF_REJECT, "rdata of %s %s: \"%s\"", type, what, dns_quote(text, len, quote));
  return false;
}

bool rdata_put_ddd(struct rdata_work *w, uint8_t c)
{
  const char ddd[4] = {'\\', (char)('0' + c / 100), (char)('0' + c / 10 % 10),
                       (char)('0' + c % 10)};
  return rdata_put_text(w, ddd, sizeof ddd);
}

/* Outer white space is no part of an rdata, but an escaped blank at its end is. */
static void trim(struct rdata_work *w)
{
  rdata_skip(w);
  const char *end = w->end;
  while (end > w->p && rdata_blank(end[-1]))
    end--;
  const char *back = end;
  while (back > w->p && back[-1] == '\\')
    back--;
  w->end = end < w->end && (end - back) % 2 == 1 ? end + 1 : end;
}

static bool canon_a(struct rdata_work *w)
{
  uint8_t bytes[4];
  size_t len = (size_t)(w->end - w->p);
  if (!dns_ipv4_parse(w->p, len, bytes))
    return rdata_fail(w, "is not an IPv4 address", w->p, len);
  return rdata_put_text(w, w->p, len); /* an address that parses has only this spelling */
}

static bool canon_aaaa(struct rdata_work *w)
{
  uint8_t bytes[16];
  if (!dns_ipv6_parse(w->p, rdata_left(w), bytes))
    return rdata_fail(w, "is not an IPv6 address", w->p, rdata_left(w));
  return rdata_put_ipv6(w, bytes);
}

/* -- character-strings ---------------------------------------------------------------------- */

/* Unescaped quotes in a text, and whether it ends in one. */
static size_t count_quotes(const char *p, const char *end, bool *at_end)
{
  size_t n = 0;
  *at_end = false;
  while (p < end) {
    *at_end = *p == '"';
    n += *at_end;
    p += *p == '\\' && p + 1 < end ? 2 : 1;
  }
  return n;
}

static bool canon_unquoted(struct rdata_work *w)
{
  bool at_end;
  size_t quotes = count_quotes(w->p, w->end, &at_end);
  if (!rdata_put(w, '"'))
    return false;
  if (at_end && quotes % 2 == 1) {
    /* An older store takes the first quote off: what is left belongs to the first string. */
    while (*w->p != '"') {
      if (!rdata_put_quoted(w, rdata_octet(w)))
        return false;
    }
    w->p++;
    if (!rdata_put(w, '"'))
      return false;
    rdata_skip(w);
    return w->p == w->end || (rdata_put(w, ' ') && rdata_strings(w));
  }
  while (w->p < w->end) {
    if (!rdata_put_quoted(w, rdata_octet(w)))
      return false;
  }
  return rdata_put(w, '"');
}

/* Whether the text is one quoted string of octets that have no other spelling. */
static bool is_plain_string(const char *p, size_t len)
{
  return len >= 2 && p[0] == '"' && p[len - 1] == '"' && rdata_even(p + 1, len - 2, '"', '\\');
}

static bool canon_txt(struct rdata_work *w)
{
  if (is_plain_string(w->p, rdata_left(w)))
    return rdata_put_text(w, w->p, rdata_left(w));
  return w->p < w->end && *w->p == '"' ? rdata_strings(w) : canon_unquoted(w);
}

/* -- free text ------------------------------------------------------------------------------ */

/* White space collapsed outside of quotes, octets outside 0x20..0x7e as \DDD. */
static bool canon_text(struct rdata_work *w)
{
  bool quoted = false;
  while (w->p < w->end) {
    char c = *w->p++;
    if (rdata_blank(c) && !quoted) {
      rdata_skip(w);
      if (!rdata_put(w, ' '))
        return false;
      continue;
    }
    if (c == '"')
      quoted = !quoted;
    if (c == '\\' && w->p < w->end) {
      c = *w->p++;
      if (c >= 0x20 && c <= 0x7e && !rdata_put(w, '\\'))
        return false;
    }
    if (c < 0x20 || c > 0x7e ? !rdata_put_ddd(w, (uint8_t)c) : !rdata_put(w, c))
      return false;
  }
  return true;
}

/* -- names, numbers and other fields -------------------------------------------------------- */

/* Whether there is but one field: sensors may log the name alone that it is looked up by. */
static bool is_alone(const struct rdata_work *w)
{
  struct rdata_work look = *w;
  const char *text;
  size_t len;
  return rdata_token(&look, &text, &len) && look.p == look.end;
}

static bool canon_fields(struct rdata_work *w, const struct rdata_type *type)
{
  bool alone = (type->flags & RDATA_ALONE) != 0, name_first = type->fields[0] == 'n';
  if (alone && !name_first && is_alone(w))
    return rdata_name(w);
  for (const char *f = type->fields; *f != '\0'; f++) {
    rdata_skip(w);
    if (w->p == w->end && strchr("kNoT", *f) != NULL)
      continue;
    if (w->p == w->end && alone && name_first && f == type->fields + 1)
      return true;
    if (f != type->fields && !rdata_put(w, ' '))
      return false;
    if (!rdata_field(w, *f))
      return false;
    if (w->p != w->end && !rdata_blank(*w->p))
      return rdata_fail(w, "has no blank before", w->p, rdata_left(w));
  }
  rdata_skip(w);
  return w->p == w->end || rdata_fail(w, "has more fields than the type", w->p, rdata_left(w));
}

/* Whether canon_text surely leaves this as it is. */
static bool is_collapsed(const char *p, size_t len)
{
  bool blank = false, blanks = false;
  for (size_t i = 0; i < len; i++) {
    blanks |= blank & (p[i] == ' ');
    blank = p[i] == ' ';
  }
  return !blanks && rdata_even(p, len, '\t', '\t');
}

/* The type's form if the text takes it, else the text. Both stay as they are when read again: the
   text was refused and will be. */
static bool canon_collapsed(struct rdata_work *w)
{
  const struct rdata_type *type = rdata_type(w->rrtype);
  struct rdata_work typed = *w;
  typed.err = NULL;
  if (type->fields[0] != '\0' && canon_fields(&typed, type)) {
    w->n = typed.n;
    return true;
  }
  w->full = typed.full;
  return !w->full && rdata_put_text(w, w->p, rdata_left(w));
}

static bool canon_uncollapsed(struct rdata_work *w)
{
  char text[COF_RDATA_MAX];
  struct rdata_work collapse = *w, collapsed = *w;
  collapse.out = text;
  collapse.n = 0;
  if (!canon_text(&collapse)) {
    w->full = collapse.full;
    return false;
  }
  collapsed.p = text;
  collapsed.end = text + collapse.n;
  bool ok = canon_collapsed(&collapsed);
  w->n = collapsed.n;
  w->full = collapsed.full;
  return ok;
}

static bool canon_lax(struct rdata_work *w)
{
  if (w->p == w->end)
    return rdata_fail(w, "is empty", w->p, 0);
  return is_collapsed(w->p, rdata_left(w)) ? canon_collapsed(w) : canon_uncollapsed(w);
}

/* -- RFC 3597 ------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
  if (rdata_digit(c))
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_generic(const struct rdata_work *w)
{
  return w->end - w->p >= 3 && w->p[0] == '\\' && w->p[1] == '#' && rdata_blank(w->p[2]);
}

/* Read the octets of `\# n hex` into `wire`; false if it is not that. */
static bool read_generic(struct rdata_work *w, uint8_t *wire, size_t *wire_len)
{
  const char *text;
  size_t len, stated = 0, n = 0;
  int high = -1;
  w->p += 2;
  if (!rdata_token(w, &text, &len) || len > 5)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!rdata_digit(text[i]))
      return false;
    stated = stated * 10 + (size_t)(text[i] - '0');
  }
  if (stated > WIRE_MAX)
    return false;
  for (; w->p < w->end; w->p++) {
    int digit = hex_digit(*w->p);
    if (rdata_blank(*w->p))
      continue;
    if (digit < 0 || n == stated)
      return false;
    if (high < 0) {
      high = digit;
    } else {
      wire[n++] = (uint8_t)(high << 4 | digit);
      high = -1;
    }
  }
  *wire_len = n;
  return n == stated && high < 0;
}

static bool put_generic(struct rdata_work *w, const uint8_t *wire, size_t len)
{
  static const char digits[] = "0123456789ABCDEF";
  char head[16];
  int n = snprintf(head, sizeof head, len != 0 ? "\\# %zu " : "\\# %zu", len);
  if (!rdata_put_text(w, head, (size_t)n))
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!rdata_put(w, digits[wire[i] >> 4]) || !rdata_put(w, digits[wire[i] & 15]))
      return false;
  }
  return true;
}

static bool canon_typed(struct rdata_work *w);

/* Octets in wire form, of types that are left to ldns. */
static bool canon_wire_ldns(struct rdata_work *w, const uint8_t *wire, size_t len)
{
  struct rdata_work typed = *w;
  bool known = rdata_type(w->rrtype)->fields[0] != '\0', ok = false;
  char *text = known ? rdata_wire_text(w->rrtype, wire, len) : NULL;
  if (text != NULL) {
    typed.p = text;
    typed.end = text + strlen(text);
    typed.err = NULL;
    trim(&typed);
    ok = canon_typed(&typed) && typed.n != w->n; /* an empty text would read as none */
    w->full = typed.full;
  }
  free(text);
  if (ok)
    w->n = typed.n;
  return ok;
}

static bool has_name(const struct rdata_type *type)
{
  return strpbrk(type->fields, "nNW") != NULL;
}

/* Octets in wire form. Where they are not of the type's form, lax types keep `\# n hex`, unless
   pointers in them could lead out of them. */
static bool canon_wire(struct rdata_work *w, struct rdata_wire *r)
{
  const struct rdata_type *type = rdata_type(w->rrtype);
  const uint8_t *wire = r->msg + r->at;
  size_t len = r->end - r->at, start = w->n;
  enum rdata_wired wired = rdata_wire_read(r, w);
  if (wired == RDATA_WIRE_READ)
    return true;
  if (!w->full && wired == RDATA_WIRE_UNKNOWN && canon_wire_ldns(w, wire, len))
    return true;
  if (w->full || (type->flags & RDATA_LAX) == 0 || (r->pointers && has_name(type)))
    return false;
  w->n = start;
  return put_generic(w, wire, len);
}

static bool canon_generic(struct rdata_work *w)
{
  uint8_t wire[WIRE_MAX];
  const char *start = w->p;
  size_t len = 0;
  bool read = read_generic(w, wire, &len);
  struct rdata_wire r = {.msg = wire, .len = len, .end = len};
  if (read && (canon_wire(w, &r) || w->full))
    return !w->full;
  w->p = start;
  if ((rdata_type(w->rrtype)->flags & RDATA_LAX) == 0)
    return rdata_fail(w, read ? "is not the wire form of the type" : "is not `\\# length hex`",
                      start, rdata_left(w));
  return w->rrtype == COF_TYPE_TXT || w->rrtype == COF_TYPE_SPF ? canon_txt(w) : canon_lax(w);
}

/* -- any type ------------------------------------------------------------------------------- */

static bool canon_typed(struct rdata_work *w)
{
  switch (w->rrtype) {
  case COF_TYPE_A:
    return canon_a(w);
  case COF_TYPE_AAAA:
    return canon_aaaa(w);
  case COF_TYPE_TXT:
  case COF_TYPE_SPF:
    return canon_txt(w);
  default:
    return canon_fields(w, rdata_type(w->rrtype));
  }
}

static bool canon(struct rdata_work *w)
{
  if (is_generic(w))
    return canon_generic(w);
  const struct rdata_type *type = rdata_type(w->rrtype);
  if ((type->flags & RDATA_LAX) == 0 || w->rrtype == COF_TYPE_TXT || w->rrtype == COF_TYPE_SPF)
    return canon_typed(w);
  return canon_lax(w);
}

/* What runs out of room on the way may fit in the end, and `cap` must not change the result. */
static bool canon_roomy(struct rdata_work *w, const char *text, size_t len)
{
  char out[COF_RDATA_MAX + 1];
  struct rdata_work roomy = *w;
  roomy.p = text;
  roomy.end = text + len;
  roomy.out = out;
  roomy.n = 0;
  roomy.cap = COF_RDATA_MAX;
  roomy.full = false;
  trim(&roomy);
  if (!canon(&roomy)) {
    w->full = roomy.full;
    return false;
  }
  w->n = 0;
  w->full = false;
  return rdata_put_text(w, out, roomy.n);
}

/* The reason where there was no room. */
static enum cof_result no_room(const struct rdata_work *w)
{
  char type[COF_RRTYPE_TEXT_MAX];
  return cof_fail(w->err, COF_REJECT, "rdata of %s is longer than %zu octets in canonical form",
                  cof_rrtype_text(w->rrtype, type), w->cap);
}

enum cof_result cof_rdata_canon(uint16_t rrtype, const char *text, size_t len, char *out,
                                size_t cap, size_t *out_len, struct cof_error *err)
{
  struct rdata_work w = {.p = text, .end = text + len, .out = out, .err = err, .rrtype = rrtype};
  if (cap == 0)
    return cof_fail(err, COF_REJECT, "no room for an rdata");
  w.cap = cap <= COF_RDATA_MAX ? cap - 1 : COF_RDATA_MAX;
  trim(&w);
  if (canon(&w) || (w.full && w.cap < COF_RDATA_MAX && canon_roomy(&w, text, len))) {
    out[w.n] = '\0';
    *out_len = w.n;
    return COF_OK;
  }
  return w.full ? no_room(&w) : COF_REJECT;
}

/* As canon_roomy, for wire forms. */
static bool canon_wire_roomy(struct rdata_work *w, struct rdata_wire *r)
{
  char out[COF_RDATA_MAX + 1];
  struct rdata_work roomy = *w;
  roomy.out = out;
  roomy.n = 0;
  roomy.cap = COF_RDATA_MAX;
  roomy.full = false;
  bool done = canon_wire(&roomy, r);
  w->n = 0;
  w->full = roomy.full;
  return done && rdata_put_text(w, out, roomy.n);
}

enum cof_result cof_rdata_from_message(uint16_t rrtype, const uint8_t *msg, size_t len, size_t at,
                                       size_t size, char *out, size_t cap, size_t *out_len,
                                       struct cof_error *err)
{
  struct rdata_work w = {.out = out, .err = err, .rrtype = rrtype};
  struct rdata_wire r = {.msg = msg, .len = len, .at = at, .pointers = true};
  if (at > len || size > len - at)
    return cof_fail(err, COF_REJECT, "the rdata ends beyond the message");
  if (cap == 0)
    return cof_fail(err, COF_REJECT, "no room for an rdata");
  r.end = at + size;
  w.cap = cap <= COF_RDATA_MAX ? cap - 1 : COF_RDATA_MAX;
  struct rdata_wire again = r;
  if (!canon_wire(&w, &r) && !(w.full && w.cap < COF_RDATA_MAX && canon_wire_roomy(&w, &again))) {
    if (!w.full)
      rdata_fail(&w, "is not the wire form of the type", "", 0);
    return w.full ? no_room(&w) : COF_REJECT;
  }
  out[w.n] = '\0';
  *out_len = w.n;
  return COF_OK;
}
