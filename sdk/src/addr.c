/* SPDX-License-Identifier: MIT */
#include <cofd/dns.h>

#include <string.h>

#include "dns_private.h"

#define IPV4_TEXT_MIN 7  /* octets of 0.0.0.0 */
#define IPV4_TEXT_MAX 15 /* octets of 255.255.255.255 */

/* A number up to 255 without leading zeros at `p`, which some octet that is no digit ends. Returns
   what follows it, or NULL. */
static inline const char *read_octet(const char *p, uint8_t *out)
{
  unsigned value = (unsigned char)(p[0] - '0'), digit = (unsigned char)(p[1] - '0');
  if (value > 9)
    return NULL;
  if (digit > 9) {
    *out = (uint8_t)value;
    return p + 1;
  }
  if (value == 0)
    return NULL;
  value = value * 10 + digit;
  digit = (unsigned char)(p[2] - '0');
  if (digit > 9) {
    *out = (uint8_t)value;
    return p + 2;
  }
  value = value * 10 + digit;
  *out = (uint8_t)value;
  return value <= 255 ? p + 3 : NULL;
}

bool dns_ipv4_parse(const char *text, size_t len, uint8_t out[4])
{
  char copy[IPV4_TEXT_MAX + 1] = {0}; /* so that something ends it */
  if (len < IPV4_TEXT_MIN || len > IPV4_TEXT_MAX)
    return false;
  memcpy(copy, text, len);
  const char *p = copy;
  for (int part = 0; part < 3; part++) {
    p = read_octet(p, &out[part]);
    if (p == NULL || *p++ != '.')
      return false;
  }
  return read_octet(p, &out[3]) == copy + len;
}

/* Value of each hexadecimal digit plus one. */
static const uint8_t hex_value[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* Move what was read after "::" to the end, and fill the gap with zeros. */
static void open_gap(uint8_t out[16], size_t gap, size_t used)
{
  size_t tail = used - gap;
  memmove(out + 16 - tail, out + gap, tail);
  memset(out + gap, 0, 16 - used);
}

/* Read one group of up to four digits at `text`; returns the digits read, 0 for none. */
static size_t read_group(const char *text, size_t len, uint8_t *out)
{
  unsigned value = 0;
  size_t i = 0;
  for (; i < len && i < 4; i++) {
    unsigned digit = hex_value[(uint8_t)text[i]];
    if (digit == 0)
      break;
    value = value << 4 | (digit - 1);
  }
  out[0] = (uint8_t)(value >> 8);
  out[1] = (uint8_t)value;
  return i;
}

bool dns_ipv6_parse(const char *text, size_t len, uint8_t out[16])
{
  size_t used = 0, gap = SIZE_MAX, i = 0;
  if (len >= 2 && text[0] == ':' && text[1] == ':') {
    gap = 0;
    i = 2;
  }
  while (i < len && used < 16) {
    size_t digits = read_group(text + i, len - i, out + used);
    if (digits == 0)
      return false;
    if (i + digits < len && text[i + digits] == '.') {
      if (used > 12 || !dns_ipv4_parse(text + i, len - i, out + used))
        return false;
      used += 4;
      i = len;
      break;
    }
    used += 2;
    i += digits;
    if (i == len)
      break;
    if (text[i++] != ':' || i == len)
      return false;
    if (text[i] == ':') {
      if (gap != SIZE_MAX)
        return false;
      gap = used;
      i++;
    }
  }
  if (i != len || (gap == SIZE_MAX ? used != 16 : used == 16))
    return false;
  if (gap != SIZE_MAX)
    open_gap(out, gap, used);
  return true;
}

bool cof_addr_parse(const char *text, size_t len, struct cof_addr *out)
{
  uint8_t bytes[16] = {0};
  uint8_t family = 0;
  if (dns_ipv4_parse(text, len, bytes))
    family = 4;
  else if (dns_ipv6_parse(text, len, bytes))
    family = 6;
  else
    return false;
  out->family = family;
  memcpy(out->bytes, bytes, sizeof bytes);
  if (family == 4)
    memset(out->bytes + 4, 0, 12);
  return true;
}

static size_t put_decimal(unsigned value, char *out)
{
  size_t n = 0;
  if (value >= 100)
    out[n++] = (char)('0' + value / 100);
  if (value >= 10)
    out[n++] = (char)('0' + value / 10 % 10);
  out[n++] = (char)('0' + value % 10);
  return n;
}

static size_t put_ipv4(const uint8_t *bytes, char *out)
{
  size_t n = put_decimal(bytes[0], out);
  for (int i = 1; i < 4; i++) {
    out[n++] = '.';
    n += put_decimal(bytes[i], out + n);
  }
  return n;
}

static size_t put_group(unsigned value, char *out)
{
  static const char digits[] = "0123456789abcdef";
  size_t n = 0;
  if (value >= 0x1000)
    out[n++] = digits[value >> 12];
  if (value >= 0x100)
    out[n++] = digits[value >> 8 & 15];
  if (value >= 0x10)
    out[n++] = digits[value >> 4 & 15];
  out[n++] = digits[value & 15];
  return n;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952 section 4.2). */
static void longest_gap(const unsigned groups[8], int *start, int *length)
{
  *start = -1;
  *length = 1;
  for (int i = 0; i < 8; i++) {
    int from = i;
    while (i < 8 && groups[i] == 0)
      i++;
    if (i - from > *length) {
      *start = from;
      *length = i - from;
    }
  }
}

static size_t put_ipv6(const uint8_t *bytes, char *out)
{
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (memcmp(bytes, mapped, sizeof mapped) == 0) {
    memcpy(out, "::ffff:", 7);
    return 7 + put_ipv4(bytes + 12, out + 7);
  }
  unsigned groups[8];
  int start = 0, length = 0;
  for (int i = 0; i < 8; i++)
    groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
  longest_gap(groups, &start, &length);
  size_t n = 0;
  for (int i = 0; i < 8; i++) {
    if (i == start) {
      memcpy(out + n, "::", 2);
      n += 2;
      i += length - 1;
      continue;
    }
    if (i != 0 && i != start + length)
      out[n++] = ':';
    n += put_group(groups[i], out + n);
  }
  return n;
}

size_t cof_addr_text(const struct cof_addr *addr, char out[COF_ADDR_TEXT_MAX])
{
  size_t n = addr->family == 4 ? put_ipv4(addr->bytes, out) : put_ipv6(addr->bytes, out);
  out[n] = '\0';
  return n;
}

/* Decimal 0 to `max` without leading zeros; returns -1 for anything else. */
static int prefix_length(const char *text, size_t len, int max)
{
  int value = 0;
  if (len == 0 || len > 3 || (len > 1 && text[0] == '0'))
    return -1;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9')
      return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value <= max ? value : -1;
}

enum cof_result cof_network_parse(const char *text, size_t len, struct cof_addr *first,
                                  struct cof_addr *last, struct cof_error *err)
{
  char quote[DNS_QUOTE_MAX];
  const char *slash = len != 0 ? memchr(text, '/', len) : NULL;
  size_t addr_len = slash != NULL ? (size_t)(slash - text) : len;
  if (!cof_addr_parse(text, addr_len, first))
    return cof_fail(err, COF_REJECT, "not an IPv4 or IPv6 address or network: \"%s\"",
                    dns_quote(text, len, quote));
  int bits = (int)cof_addr_len(first) * 8, prefix = bits;
  if (slash != NULL)
    prefix = prefix_length(slash + 1, len - addr_len - 1, bits);
  if (prefix < 0)
    return cof_fail(err, COF_REJECT, "prefix length is not a number from 0 to %d: \"%s\"", bits,
                    dns_quote(text, len, quote));
  *last = *first;
  for (int i = 0; i < bits; i++) {
    uint8_t bit = (uint8_t)(0x80 >> i % 8);
    if (i >= prefix) {
      first->bytes[i / 8] = (uint8_t)(first->bytes[i / 8] & ~bit);
      last->bytes[i / 8] |= bit;
    }
  }
  return COF_OK;
}
