/* SPDX-License-Identifier: MIT */
#include "utf8_private.h"

#include <cofd/cofjson.h>
#include <cofd/dns.h>

#include <string.h>

static char *put(char *p, const char *text, size_t len)
{
  memcpy(p, text, len);
  return p + len;
}
#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

/* Two digits at a time: a division takes longer than all else here. */
static char *put_number(char *p, uint64_t n)
{
  static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                              "25262728293031323334353637383940414243444546474849"
                              "50515253545556575859606162636465666768697071727374"
                              "75767778798081828384858687888990919293949596979899";
  char digits[20];
  size_t i = sizeof digits;
  for (; n >= 100; n /= 100)
    memcpy(digits + (i -= 2), pairs + n % 100 * 2, 2);
  if (n >= 10)
    memcpy(digits + (i -= 2), pairs + n * 2, 2);
  else
    digits[--i] = (char)('0' + n);
  return put(p, digits + i, sizeof digits - i);
}

/* Times are never negative in a record, but the caller may be wrong. */
static char *put_time(char *p, int64_t t)
{
  if (t >= 0)
    return put_number(p, (uint64_t)t);
  *p++ = '-';
  return put_number(p, -(uint64_t)t);
}

#define EACH(octet) (UINT64_C(0x0101010101010101) * (octet))

/* Whether JSON takes eight octets as they are: none is below 0x20, above 0x7e, '"' or '\\'. Where
   the high bit of each is clear, a subtraction sets it in the first octet that is too small, and x
   - 1 in one that is 0. */
static bool eight_plain(const unsigned char *p)
{
  uint64_t w;
  memcpy(&w, p, sizeof w);
  uint64_t small = w - EACH(0x20), del = (w ^ EACH(0x7f)) - EACH(1);
  uint64_t quote = (w ^ EACH('"')) - EACH(1), slash = (w ^ EACH('\\')) - EACH(1);
  return ((w | small | del | quote | slash) & EACH(0x80)) == 0;
}

/* Octets of p that JSON takes as they are. */
static size_t plain(const unsigned char *p, size_t len)
{
  size_t i = 0;
  while (len - i >= 8 && eight_plain(p + i))
    i += 8;
  while (i < len && p[i] >= 0x20 && p[i] <= 0x7e && p[i] != '"' && p[i] != '\\')
    i++;
  return i;
}

static char *put_presentation(char *p, const char *text, size_t len)
{
  const unsigned char *from = (const unsigned char *)text, *end = from + len;
  while (from < end) {
    size_t n = plain(from, (size_t)(end - from));
    p = put(p, (const char *)from, n);
    from += n;
    if (from == end)
      break;
    unsigned char c = *from++;
    *p++ = '\\';
    if (c == '"' || c == '\\') {
      *p++ = (char)c;
      continue;
    }
    *p++ = '\\';
    *p++ = (char)('0' + c / 100);
    *p++ = (char)('0' + c / 10 % 10);
    *p++ = (char)('0' + c % 10);
  }
  return p;
}

static char *put_unit(char *p, unsigned unit)
{
  static const char hex[] = "0123456789abcdef";
  *p++ = '\\';
  *p++ = 'u';
  for (int shift = 12; shift >= 0; shift -= 4)
    *p++ = hex[unit >> shift & 15];
  return p;
}

/* The character at *from; U+FFFD, and one octet on, where there is none. */
static uint32_t next_char(const unsigned char **from, const unsigned char *end)
{
  uint32_t c;
  size_t n = utf8_next(*from, (size_t)(end - *from), &c);
  *from += n != 0 ? n : 1;
  return n != 0 ? c : 0xfffd;
}

static char *put_char(char *p, uint32_t c)
{
  static const char shorts[] = {'b', 't', 'n', 0, 'f', 'r'};
  if (c == '"' || c == '\\') {
    *p++ = '\\';
    *p++ = (char)c;
    return p;
  }
  if (c >= 0x08 && c <= 0x0d && shorts[c - 0x08] != 0) {
    *p++ = '\\';
    *p++ = shorts[c - 0x08];
    return p;
  }
  if (c >= 0x20 && c < 0x80) {
    *p++ = (char)c;
    return p;
  }
  if (c < 0x10000)
    return put_unit(p, c);
  p = put_unit(p, 0xd800 + ((c - 0x10000) >> 10));
  return put_unit(p, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static char *put_text(char *p, const char *text)
{
  const unsigned char *from = (const unsigned char *)text, *end = from + strlen(text);
  while (from < end) {
    size_t n = plain(from, (size_t)(end - from));
    p = put(p, (const char *)from, n);
    from += n;
    if (from < end)
      p = put_char(p, next_char(&from, end));
  }
  return p;
}

static char *put_rrtype(char *p, uint16_t rrtype)
{
  const char *mnemonic = cof_rrtype_mnemonic(rrtype);
  if (mnemonic == NULL)
    return put_number(p, rrtype);
  *p++ = '"';
  p = put(p, mnemonic, strlen(mnemonic));
  *p++ = '"';
  return p;
}

size_t cof_write_json(const struct cof_record *record, const struct cof_write_options *options,
                      char *out)
{
  char *p = PUT(out, "{\"time_first\": ");
  p = put_time(p, record->time_first);
  p = PUT(p, ", \"time_last\": ");
  p = put_time(p, record->time_last);
  p = PUT(p, ", \"count\": ");
  p = put_number(p, record->count);
  p = PUT(p, ", \"rrtype\": ");
  p = put_rrtype(p, record->rrtype);
  p = PUT(p, ", \"rrname\": \"");
  p = put_presentation(p, record->rrname, record->rrname_len);
  p = PUT(p, "\", \"rdata\": \"");
  p = put_presentation(p, record->rdata, record->rdata_len);
  if (options != NULL && options->origin != NULL) {
    p = PUT(p, "\", \"origin\": \"");
    p = put_text(p, options->origin);
  }
  p = PUT(p, "\"}\n");
  return (size_t)(p - out);
}

size_t cof_write_zones(const struct cof_record *record, char *out)
{
  size_t len;
  uint32_t zones = record->zones & cof_zones_all(record->rrname, record->rrname_len);
  const char *deepest = cof_zone_deepest(record->rrname, record->rrname_len, zones, &len);
  if (deepest == NULL)
    return 0;
  char *p = PUT(out, ", \"bailiwick\": \"");
  p = put_presentation(p, deepest, len);
  *p++ = '"';
  if ((zones & (zones - 1)) != 0) {
    p = PUT(p, ", \"cofd_zones\": ");
    p = put_number(p, zones);
  }
  return (size_t)(p - out);
}

size_t cof_write_sensor(const struct cof_record *record, char *out)
{
  if (record->sensor_id == NULL)
    return 0;
  char *p = PUT(out, ", \"sensor_id\": \"");
  p = put_text(p, record->sensor_id);
  *p++ = '"';
  return (size_t)(p - out);
}
