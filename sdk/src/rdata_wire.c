/* SPDX-License-Identifier: MIT */
/* Rdata in wire form, field by field, into the text that cof_rdata_canon leaves as it is. */
#include <cofd/wire.h>

#include <stdio.h>
#include <time.h>

#include "rdata_private.h"

/* As rdata_fields.c takes types in a bitmap: what has more is not of the type's form. */
#define TYPES_MAX 128

#define TYPE_NXT 30
#define TYPE_URI 256
#define TYPE_CAA 257

static inline size_t left(const struct rdata_wire *r)
{
  return r->end - r->at;
}

static inline const uint8_t *octets(const struct rdata_wire *r)
{
  return r->msg + r->at;
}

static bool take_number(struct rdata_wire *r, size_t size, uint32_t *value)
{
  if (left(r) < size)
    return false;
  *value = 0;
  for (size_t i = 0; i < size; i++)
    *value = *value << 8 | r->msg[r->at++];
  return true;
}

static bool put_decimal(struct rdata_work *w, uint32_t value)
{
  char digits[10];
  size_t n = sizeof digits;
  do
    digits[--n] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  return rdata_put_text(w, digits + n, sizeof digits - n);
}

static bool number(struct rdata_wire *r, struct rdata_work *w, size_t size)
{
  uint32_t value;
  return take_number(r, size, &value) && put_decimal(w, value);
}

/* Whether a good name has no pointer. */
static bool is_plain(const struct rdata_wire *r, size_t at)
{
  while (r->msg[at] != 0 && r->msg[at] < 0xc0)
    at += r->msg[at] + 1u;
  return r->msg[at] == 0;
}

static bool name(struct rdata_wire *r, struct rdata_work *w)
{
  char text[COF_NAME_MAX];
  size_t start = r->at, n = cof_name_from_message(r->msg, r->len, &r->at, text);
  if (n == 0 || r->at > r->end)
    return false;
  return (r->pointers || is_plain(r, start)) && rdata_put_text(w, text, n);
}

static bool put_string(struct rdata_work *w, const uint8_t *text, size_t len)
{
  if (!rdata_put(w, '"'))
    return false;
  if (rdata_even((const char *)text, len, '"', '\\')) {
    if (!rdata_put_text(w, (const char *)text, len))
      return false;
  } else {
    for (size_t i = 0; i < len; i++)
      if (!rdata_put_quoted(w, text[i]))
        return false;
  }
  return rdata_put(w, '"');
}

static bool string(struct rdata_wire *r, struct rdata_work *w)
{
  uint32_t len;
  /* The value of these goes to the end of the rdata (RFC 7553, RFC 8659). */
  if (w->rrtype == TYPE_URI || w->rrtype == TYPE_CAA)
    len = (uint32_t)left(r);
  else if (!take_number(r, 1, &len) || len > left(r))
    return false;
  r->at += len;
  return put_string(w, octets(r) - len, len);
}

static bool strings(struct rdata_wire *r, struct rdata_work *w)
{
  if (left(r) == 0)
    return rdata_put_text(w, "\"\"", 2);
  for (bool first = true; left(r) != 0; first = false)
    if ((!first && !rdata_put(w, ' ')) || !string(r, w))
      return false;
  return true;
}

static bool put_hex(struct rdata_work *w, const uint8_t *data, size_t len)
{
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < len; i++)
    if (!rdata_put(w, digits[data[i] >> 4]) || !rdata_put(w, digits[data[i] & 15]))
      return false;
  return true;
}

static bool hex(struct rdata_wire *r, struct rdata_work *w)
{
  size_t len = left(r);
  r->at = r->end;
  return len != 0 && put_hex(w, r->msg + r->end - len, len);
}

bool rdata_put_base64(struct rdata_work *w, const uint8_t *data, size_t len)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < len; i += 3) {
    size_t some = len - i < 3 ? len - i : 3;
    uint32_t v = (uint32_t)data[i] << 16;
    v |= some > 1 ? (uint32_t)data[i + 1] << 8 : 0;
    v |= some > 2 ? data[i + 2] : 0;
    const char text[4] = {digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63],
                          digits[v & 63]};
    if (!rdata_put_text(w, text, some + 1) || !rdata_put_text(w, "==", 3 - some))
      return false;
  }
  return true;
}

static bool base64(struct rdata_wire *r, struct rdata_work *w)
{
  size_t len = left(r);
  r->at = r->end;
  return len != 0 && rdata_put_base64(w, r->msg + r->end - len, len);
}

/* RFC 4648 section 7, without padding and in lower case (RFC 5155 section 3.3) */
static bool base32hex(struct rdata_wire *r, struct rdata_work *w)
{
  static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
  uint32_t len, bits = 0, held = 0;
  if (!take_number(r, 1, &len) || len == 0 || len > left(r))
    return false;
  for (const uint8_t *p = octets(r), *end = p + len; p < end || held > 0;) {
    if (held < 5 && p < end) {
      bits = bits << 8 | *p++;
      held += 8;
    } else if (held < 5) {
      bits <<= 5 - held;
      held = 5;
    }
    for (; held >= 5; held -= 5)
      if (!rdata_put(w, digits[bits >> (held - 5) & 31]))
        return false;
  }
  r->at += len;
  return true;
}

static bool salt(struct rdata_wire *r, struct rdata_work *w)
{
  uint32_t len;
  if (!take_number(r, 1, &len) || len > left(r))
    return false;
  r->at += len;
  return len == 0 ? rdata_put(w, '-') : put_hex(w, octets(r) - len, len);
}

static bool put_type(struct rdata_work *w, uint16_t rrtype)
{
  char text[COF_RRTYPE_TEXT_MAX];
  const char *mnemonic = cof_rrtype_mnemonic(rrtype);
  if (mnemonic == NULL)
    mnemonic = cof_rrtype_text(rrtype, text);
  return rdata_put_text(w, mnemonic, strlen(mnemonic));
}

static bool type(struct rdata_wire *r, struct rdata_work *w)
{
  uint32_t value;
  return take_number(r, 2, &value) && put_type(w, (uint16_t)value);
}

/* One block of a bitmap of types; `next` is the lowest window it may have. */
static bool window(struct rdata_wire *r, struct rdata_work *w, uint32_t *next, size_t *count)
{
  uint32_t block, len;
  if (!take_number(r, 1, &block) || !take_number(r, 1, &len) || block < *next || len == 0 ||
      len > 32 || len > left(r))
    return false;
  *next = block + 1;
  for (uint32_t bit = 0; bit < len * 8; bit++) {
    if ((octets(r)[bit / 8] & 0x80 >> bit % 8) == 0)
      continue;
    if ((*count != 0 && !rdata_put(w, ' ')) || (*count)++ == TYPES_MAX ||
        !put_type(w, (uint16_t)(block << 8 | bit)))
      return false;
  }
  r->at += len;
  return true;
}

/* RFC 4034 section 4.1.2 */
static bool types(struct rdata_wire *r, struct rdata_work *w)
{
  uint32_t next = 0;
  size_t count = 0, start = w->n;
  while (left(r) != 0)
    if (!window(r, w, &next, &count))
      return false;
  if (count == 0)
    w->n = start - 1; /* the blank before what is not there */
  return true;
}

static bool date(struct rdata_wire *r, struct rdata_work *w)
{
  uint32_t value;
  struct tm tm;
  char text[16];
  if (!take_number(r, 4, &value))
    return false;
  time_t when = (time_t)value;
  return gmtime_r(&when, &tm) != NULL && strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm) == 14 &&
         rdata_put_text(w, text, 14);
}

static bool tag(struct rdata_wire *r, struct rdata_work *w)
{
  uint32_t len;
  if (!take_number(r, 1, &len) || len == 0 || len > left(r))
    return false;
  for (uint32_t i = 0; i < len; i++) {
    char c = (char)r->msg[r->at++];
    if (c >= 'A' && c <= 'Z')
      c = (char)(c - 'A' + 'a');
    if (!(rdata_digit(c) || (c >= 'a' && c <= 'z')) || !rdata_put(w, c))
      return false;
  }
  return true;
}

static bool address(struct rdata_wire *r, struct rdata_work *w, size_t size)
{
  struct cof_addr addr = {.family = size == 4 ? 4 : 6};
  char text[COF_ADDR_TEXT_MAX];
  if (left(r) < size)
    return false;
  memcpy(addr.bytes, octets(r), size);
  r->at += size;
  return rdata_put_text(w, text, cof_addr_text(&addr, text));
}

/* Octets in hexadecimal, `group` of them together. */
static bool grouped(struct rdata_wire *r, struct rdata_work *w, size_t size, size_t group,
                    char between)
{
  if (left(r) < size)
    return false;
  for (size_t i = 0; i < size; i += group, r->at += group)
    if ((i != 0 && !rdata_put(w, between)) || !put_hex(w, octets(r), group))
      return false;
  return true;
}

static bool rare_field(struct rdata_wire *r, struct rdata_work *w, char letter)
{
  switch (letter) {
  case 'h':
    return base32hex(r, w);
  case 'e':
    return salt(r, w);
  case 'c':
    return tag(r, w);
  case 'd':
    return date(r, w);
  case 't':
    return type(r, w);
  case 'T':
    return types(r, w);
  case 'E':
    return grouped(r, w, 6, 1, '-');
  case 'F':
    return grouped(r, w, 8, 1, '-');
  case 'I':
    return grouped(r, w, 8, 2, ':');
  default:
    return rdata_wire_params(r, w);
  }
}

static bool field(struct rdata_wire *r, struct rdata_work *w, char letter)
{
  switch (letter) {
  case 'n':
    return name(r, w);
  case '1':
  case 'g':
    return number(r, w, 1);
  case '2':
    return number(r, w, 2);
  case '4':
    return number(r, w, 4);
  case 'a':
    return address(r, w, 4);
  case '6':
    return address(r, w, 16);
  case 's':
    return string(r, w);
  case 'S':
    return strings(r, w);
  case 'x':
    return hex(r, w);
  case 'b':
    return base64(r, w);
  default:
    return rare_field(r, w, letter);
  }
}

enum rdata_wired rdata_wire_read(struct rdata_wire *r, struct rdata_work *w)
{
  const char *fields = rdata_type(w->rrtype)->fields;
  size_t start = w->n;
  if (fields[0] == '\0' || w->rrtype == TYPE_NXT ||
      strspn(fields, "n124gasS6xbhecdtTEFIk") != strlen(fields))
    return RDATA_WIRE_UNKNOWN;
  for (const char *f = fields; *f != '\0'; f++) {
    if (left(r) == 0 && strchr("kT", *f) != NULL)
      continue;
    if ((f != fields && !rdata_put(w, ' ')) || !field(r, w, *f)) {
      w->n = start;
      return RDATA_WIRE_BROKEN;
    }
  }
  if (left(r) == 0)
    return RDATA_WIRE_READ;
  w->n = start;
  return RDATA_WIRE_BROKEN;
}
