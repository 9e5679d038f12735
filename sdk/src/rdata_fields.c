/* SPDX-License-Identifier: MIT */
#include <cofd/dns.h>

#include <time.h>

#include "rdata_private.h"

/* Most types in a bitmap; real ones have a dozen. */
#define TYPES_MAX 128

bool rdata_token(struct rdata_work *w, const char **text, size_t *len)
{
  rdata_skip(w);
  const char *p = w->p;
  while (p < w->end && !rdata_blank(*p))
    p += *p == '\\' && p + 1 < w->end ? 2 : 1;
  *text = w->p;
  *len = (size_t)(p - w->p);
  w->p = p;
  return *len != 0;
}

bool rdata_name(struct rdata_work *w)
{
  size_t n = 0, len = (size_t)(w->end - w->p);
  size_t used = dns_name_plain(w->p, len, w->out + w->n, w->cap - w->n + 1, &n);
  if (used != 0 && (used == len || rdata_blank(w->p[used]))) {
    w->p += used;
    w->n += n;
    return true;
  }
  const char *text;
  if (!rdata_token(w, &text, &len))
    return rdata_fail(w, "ends where a name is expected", text, len);
  const char *why = dns_name_canon(text, len, w->out + w->n, w->cap - w->n + 1, &n);
  if (why == dns_name_full) {
    w->full = true;
    return false;
  }
  if (why != NULL) {
    char what[80] = "has a name with ";
    strncat(what, why, sizeof what - strlen(what) - 1);
    return rdata_fail(w, what, text, len);
  }
  w->n += n;
  return true;
}

static bool not_number(struct rdata_work *w, uint32_t max)
{
  const char *text;
  size_t len;
  if (!rdata_token(w, &text, &len))
    return rdata_fail(w, "ends where a number is expected", text, 0);
  return rdata_fail(w,
                    max == UINT8_MAX    ? "has something else than a number from 0 to 255"
                    : max == UINT16_MAX ? "has something else than a number from 0 to 65535"
                                        : "has something else than a number from 0 to 4294967295",
                    text, len);
}

bool rdata_number(struct rdata_work *w, uint32_t max)
{
  const char *p = w->p;
  while (w->end - p > 1 && *p == '0' && rdata_digit(p[1]))
    p++;
  const char *start = p;
  uint64_t value = 0;
  while (p < w->end && p - start < 10 && rdata_digit(*p))
    value = value * 10 + (uint64_t)(*p++ - '0');
  if (p == start || value > max || (p < w->end && !rdata_blank(*p)))
    return not_number(w, max);
  size_t len = (size_t)(p - start);
  if (w->cap - w->n < len) {
    w->full = true;
    return false;
  }
  w->p = p;
  while (start < p)
    w->out[w->n++] = *start++;
  return true;
}

bool rdata_put_quoted(struct rdata_work *w, uint8_t c)
{
  if (c < 0x20 || c > 0x7e)
    return rdata_put_ddd(w, c);
  if (c == '"' || c == '\\')
    return rdata_put(w, '\\') && rdata_put(w, (char)c);
  return rdata_put(w, (char)c);
}

uint8_t rdata_octet(struct rdata_work *w)
{
  uint8_t c = (uint8_t)*w->p++;
  if (c != '\\' || w->p == w->end)
    return c;
  if (!rdata_digit(*w->p))
    return (uint8_t)*w->p++;
  if (w->end - w->p >= 3 && rdata_digit(w->p[1]) && rdata_digit(w->p[2])) {
    int value = (w->p[0] - '0') * 100 + (w->p[1] - '0') * 10 + (w->p[2] - '0');
    if (value <= 255) {
      w->p += 3;
      return (uint8_t)value;
    }
  }
  return c;
}

/* One character-string: up to its closing quote, or to a blank or quote where it has no quotes. */
bool rdata_string(struct rdata_work *w)
{
  bool quoted = w->p < w->end && *w->p == '"';
  if (quoted)
    w->p++;
  if (!rdata_put(w, '"'))
    return false;
  while (w->p < w->end && *w->p != '"' && (quoted || !rdata_blank(*w->p))) {
    if (!rdata_put_quoted(w, rdata_octet(w)))
      return false;
  }
  if (quoted && w->p < w->end)
    w->p++;
  return rdata_put(w, '"');
}

bool rdata_strings(struct rdata_work *w)
{
  do {
    if (!rdata_string(w))
      return false;
    rdata_skip(w);
  } while (w->p < w->end && rdata_put(w, ' '));
  return w->p == w->end;
}

static bool put_lower(struct rdata_work *w, char c)
{
  return rdata_put(w, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
}

static bool put_upper(struct rdata_work *w, char c)
{
  return rdata_put(w, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
}

/* Each hexadecimal digit in upper case. */
static const char upper_hex[256] = {
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['a'] = 'A', ['b'] = 'B',
    ['c'] = 'C', ['d'] = 'D', ['e'] = 'E', ['f'] = 'F', ['A'] = 'A', ['B'] = 'B',
    ['C'] = 'C', ['D'] = 'D', ['E'] = 'E', ['F'] = 'F'};

static bool is_hex(char c)
{
  return upper_hex[(uint8_t)c] != 0;
}

static bool hex_word(struct rdata_work *w, const char *text, size_t len)
{
  if (w->cap - w->n < len) {
    w->full = true;
    return false;
  }
  char *out = w->out + w->n;
  w->n += len;
  for (size_t i = 0; i < len; i++) {
    out[i] = upper_hex[(uint8_t)text[i]];
    if (out[i] == 0)
      return false;
  }
  return true;
}

/* One word, or all words as one, of hexadecimal octets. */
static bool hex(struct rdata_work *w, bool rest)
{
  const char *text;
  size_t len, digits = 0;
  do {
    if (!rdata_token(w, &text, &len) || !hex_word(w, text, len))
      return false;
    digits += len;
    if (rest)
      rdata_skip(w);
  } while (rest && w->p < w->end);
  return digits % 2 == 0;
}

/* `count` octets as hexadecimal with dashes between (RFC 7043 sections 3.2 and 4.2) */
static bool dashed(struct rdata_work *w, size_t count)
{
  const char *text;
  size_t len;
  if (!rdata_token(w, &text, &len) || len != 3 * count - 1)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!(i % 3 == 2 ? text[i] == '-' : is_hex(text[i])) || !put_upper(w, text[i]))
      return false;
  }
  return true;
}

/* Four groups of up to four hexadecimal digits (RFC 6742 section 2.1.2), written with all four. */
static bool groups(struct rdata_work *w)
{
  const char *text;
  size_t len, at = 0;
  if (!rdata_token(w, &text, &len))
    return false;
  for (int group = 0; group < 4; group++) {
    size_t digits = 0;
    while (at + digits < len && digits < 4 && is_hex(text[at + digits]))
      digits++;
    if (digits == 0 || !rdata_put_text(w, "0000", 4 - digits))
      return false;
    for (size_t i = 0; i < digits; i++) {
      if (!put_upper(w, text[at + i]))
        return false;
    }
    at += digits;
    if (group < 3 && (at == len || text[at++] != ':' || !rdata_put(w, ':')))
      return false;
  }
  return at == len;
}

static bool hex_or_dash(struct rdata_work *w)
{
  if (w->p < w->end && *w->p == '-') {
    w->p++;
    return rdata_put(w, '-');
  }
  return hex(w, false);
}

static bool is_base64(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || rdata_digit(c) || c == '+' || c == '/';
}

/* Whether what is written from `start` on is base64 with its padding. Bits that stand for nothing
   have to be 0, so that there is one spelling. */
static bool is_padded(const struct rdata_work *w, size_t start)
{
  const char *text = w->out + start;
  size_t len = w->n - start, pads = 0;
  while (pads < 2 && pads < len && text[len - pads - 1] == '=')
    pads++;
  if (len == 0 || len % 4 != 0)
    return false;
  for (size_t i = 0; i < len - pads; i++) {
    if (!is_base64(text[i]))
      return false;
  }
  char last = text[len - pads - 1];
  return pads == 0 || strchr(pads == 1 ? "AEIMQUYcgkosw048" : "AQgw", last) != NULL;
}

/* One word, or all words as one, of base64. */
static bool base64(struct rdata_work *w, bool rest)
{
  const char *text;
  size_t len, start = w->n;
  do {
    if (!rdata_token(w, &text, &len) || !rdata_put_text(w, text, len))
      return false;
    if (rest)
      rdata_skip(w);
  } while (rest && w->p < w->end);
  return is_padded(w, start);
}

static bool base32hex(struct rdata_work *w)
{
  const char *text;
  size_t len;
  if (!rdata_token(w, &text, &len))
    return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    bool ok = rdata_digit(c) || (c >= 'a' && c <= 'v') || (c >= 'A' && c <= 'V');
    if (!ok || !put_lower(w, c))
      return false;
  }
  return true;
}

static bool read_type(struct rdata_work *w, uint16_t *rrtype)
{
  const char *text;
  size_t len;
  return rdata_token(w, &text, &len) && text[0] >= 'A' && cof_rrtype_parse(text, len, rrtype);
}

static bool put_type(struct rdata_work *w, uint16_t rrtype)
{
  char text[COF_RRTYPE_TEXT_MAX];
  const char *name = cof_rrtype_mnemonic(rrtype);
  if (name == NULL)
    name = cof_rrtype_text(rrtype, text);
  return rdata_put_text(w, name, strlen(name));
}

static bool type(struct rdata_work *w)
{
  uint16_t rrtype;
  return read_type(w, &rrtype) && put_type(w, rrtype);
}

/* The types of a bitmap: ascending, each once. */
static bool types(struct rdata_work *w)
{
  uint16_t list[TYPES_MAX], rrtype;
  size_t count = 0;
  for (; w->p < w->end; rdata_skip(w)) {
    if (count == TYPES_MAX || !read_type(w, &rrtype))
      return false;
    size_t at = count;
    while (at > 0 && list[at - 1] > rrtype)
      at--;
    if (at > 0 && list[at - 1] == rrtype)
      continue;
    memmove(list + at + 1, list + at, (count - at) * sizeof *list);
    list[at] = rrtype;
    count++;
  }
  for (size_t i = 0; i < count; i++) {
    if ((i != 0 && !rdata_put(w, ' ')) || !put_type(w, list[i]))
      return false;
  }
  return true;
}

static bool names(struct rdata_work *w)
{
  for (bool first = true; w->p < w->end; first = false, rdata_skip(w)) {
    if ((!first && !rdata_put(w, ' ')) || !rdata_name(w))
      return false;
  }
  return true;
}

static bool two_digits(const char *p, int least, int most)
{
  int value = (p[0] - '0') * 10 + (p[1] - '0');
  return value >= least && value <= most;
}

/* YYYYMMDDHHmmSS, or seconds since 1970 (RFC 4034 section 3.2). */
static bool date(struct rdata_work *w)
{
  const char *p;
  size_t len;
  uint64_t value = 0;
  if (!rdata_token(w, &p, &len) || len > 14)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!rdata_digit(p[i]))
      return false;
    value = value * 10 + (uint64_t)(p[i] - '0');
  }
  if (len == 14)
    return two_digits(p + 4, 1, 12) && two_digits(p + 6, 1, 31) && two_digits(p + 8, 0, 23) &&
           two_digits(p + 10, 0, 59) && two_digits(p + 12, 0, 59) && rdata_put_text(w, p, len);
  time_t when = (time_t)value;
  struct tm tm;
  char text[16];
  if (value > UINT32_MAX || gmtime_r(&when, &tm) == NULL ||
      strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm) != 14)
    return false;
  return rdata_put_text(w, text, 14);
}

/* A property tag (RFC 8659 section 4.1): letters and digits of any case. */
static bool tag(struct rdata_work *w)
{
  const char *text;
  size_t len;
  if (!rdata_token(w, &text, &len))
    return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    bool ok = rdata_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!ok || !put_lower(w, c))
      return false;
  }
  return true;
}

static bool ipv4(struct rdata_work *w)
{
  const char *text;
  size_t len;
  uint8_t bytes[4];
  rdata_token(w, &text, &len);
  return dns_ipv4_parse(text, len, bytes) && rdata_put_text(w, text, len);
}

bool rdata_put_ipv6(struct rdata_work *w, const uint8_t bytes[16])
{
  struct cof_addr addr = {.family = 6};
  char text[COF_ADDR_TEXT_MAX];
  memcpy(addr.bytes, bytes, 16);
  if (w->cap - w->n < COF_ADDR_TEXT_MAX)
    return rdata_put_text(w, text, cof_addr_text(&addr, text));
  w->n += cof_addr_text(&addr, w->out + w->n);
  return true;
}

static bool ipv6(struct rdata_work *w)
{
  const char *text;
  size_t len;
  uint8_t bytes[16];
  rdata_token(w, &text, &len);
  return dns_ipv6_parse(text, len, bytes) && rdata_put_ipv6(w, bytes);
}

static bool gateway_kind(struct rdata_work *w)
{
  size_t start = w->n;
  if (!rdata_number(w, 3))
    return false;
  w->gateway = (uint8_t)(w->out[start] - '0');
  return true;
}

/* RFC 4025 section 3.2, RFC 8777 section 4.3 */
static bool gateway(struct rdata_work *w)
{
  switch (w->gateway) {
  case 0:
    if (w->p == w->end || *w->p++ != '.')
      return false;
    return rdata_put(w, '.');
  case 1:
    return ipv4(w);
  case 2:
    return ipv6(w);
  default:
    return rdata_name(w);
  }
}

/* [!]family:address/length (RFC 3123 section 5) */
static bool prefix(struct rdata_work *w, const char *text, size_t len)
{
  if (len != 0 && text[0] == '!') {
    if (!rdata_put(w, '!'))
      return false;
    text++;
    len--;
  }
  struct cof_addr first, last;
  if (len < 2 || text[1] != ':' || memchr(text, '/', len) == NULL ||
      cof_network_parse(text + 2, len - 2, &first, &last, NULL) != COF_OK ||
      text[0] != (first.family == 4 ? '1' : '2'))
    return false;
  /* The bits beyond the prefix are part of what was sent: keep them. */
  size_t slash = (size_t)((const char *)memchr(text, '/', len) - text);
  char address[COF_ADDR_TEXT_MAX];
  cof_addr_parse(text + 2, slash - 2, &first);
  return rdata_put_text(w, text, 2) && rdata_put_text(w, address, cof_addr_text(&first, address)) &&
         rdata_put_text(w, text + slash, len - slash);
}

static bool prefixes(struct rdata_work *w)
{
  const char *text;
  size_t len;
  for (bool first = true; w->p < w->end; first = false, rdata_skip(w)) {
    rdata_token(w, &text, &len);
    if ((!first && !rdata_put(w, ' ')) || !prefix(w, text, len))
      return false;
  }
  return true;
}

/* Fields that few types have. */
static bool rare_field(struct rdata_work *w, char letter)
{
  switch (letter) {
  case 'N':
    return names(w);
  case 'S':
    return rdata_strings(w);
  case 'X':
    return hex(w, false);
  case 'B':
    return base64(w, false);
  case 'a':
    return ipv4(w);
  case '6':
    return ipv6(w);
  case 'w':
    return gateway_kind(w);
  case 'W':
    return gateway(w);
  case 'P':
    return prefixes(w);
  case 'c':
    return tag(w);
  case 'E':
    return dashed(w, 6);
  case 'F':
    return dashed(w, 8);
  case 'I':
    return groups(w);
  case 'e':
    return hex_or_dash(w);
  case 'h':
    return base32hex(w);
  default:
    return rdata_ldns_field(w, letter);
  }
}

bool rdata_field(struct rdata_work *w, char letter)
{
  switch (letter) {
  case 'n':
    return rdata_name(w);
  case '1':
    return rdata_number(w, UINT8_MAX);
  case '2':
    return rdata_number(w, UINT16_MAX);
  case '4':
    return rdata_number(w, UINT32_MAX);
  case 's':
    return rdata_string(w);
  case 'k':
    return rdata_params(w);
  case 'x':
    return hex(w, true);
  case 'b':
  case 'o':
    return base64(w, true);
  case 't':
    return type(w);
  case 'T':
    return types(w);
  case 'd':
    return date(w);
  default:
    return rare_field(w, letter);
  }
}
