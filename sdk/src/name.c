/* SPDX-License-Identifier: MIT */
#include <cofd/dns.h>
#include <cofd/wire.h>

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "dns_private.h"

#define WIRE_MAX  255
#define LABEL_MAX 63

/* What an octet becomes in a canonical name: itself or its lower case; 0 is what is spelled with a
   backslash. The dot is itself, though within a label it is not. */
static const uint8_t fold[256] = {
    [0x20] = 0,   '!', 0,   '#', 0,   '%', '&', '\'', 0,   0,   '*', '+', ',', '-', '.', '/',
    [0x30] = '0', '1', '2', '3', '4', '5', '6', '7',  '8', '9', ':', 0,   '<', '=', '>', '?',
    [0x40] = 0,   'a', 'b', 'c', 'd', 'e', 'f', 'g',  'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    [0x50] = 'p', 'q', 'r', 's', 't', 'u', 'v', 'w',  'x', 'y', 'z', '[', 0,   ']', '^', '_',
    [0x60] = '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g',  'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    [0x70] = 'p', 'q', 'r', 's', 't', 'u', 'v', 'w',  'x', 'y', 'z', '{', '|', '}', '~', 0,
};

const char dns_name_full[] = "no room in the buffer";

const char *dns_quote(const char *text, size_t len, char out[DNS_QUOTE_MAX])
{
  size_t n = 0;
  for (size_t i = 0; i < len && i < DNS_QUOTE_TAKES; i++) {
    uint8_t c = (uint8_t)text[i];
    if (c >= 0x20 && c <= 0x7e) {
      out[n++] = (char)c;
    } else {
      out[n++] = '\\';
      out[n++] = (char)('0' + c / 100);
      out[n++] = (char)('0' + c / 10 % 10);
      out[n++] = (char)('0' + c % 10);
    }
  }
  if (len > DNS_QUOTE_TAKES) {
    memcpy(out + n, "...", 3);
    n += 3;
  }
  out[n] = '\0';
  return out;
}

static bool is_special(uint8_t c)
{
  return c < 0x80 && strchr(".;()\\\"@$", c) != NULL && c != '\0';
}

/* Spell one octet of a label; returns the octets written, up to 4. */
static size_t spell(uint8_t c, char *out)
{
  if (fold[c] != 0 && c != '.') {
    out[0] = (char)fold[c];
    return 1;
  }
  out[0] = '\\';
  if (is_special(c)) {
    out[1] = (char)c;
    return 2;
  }
  out[1] = (char)('0' + c / 100);
  out[2] = (char)('0' + c / 10 % 10);
  out[3] = (char)('0' + c % 10);
  return 4;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

/* Read what follows a backslash. Returns the octets read after it: 1, 3, or 0 if it is broken. */
static size_t unescape(const char *text, size_t len, uint8_t *octet)
{
  if (len == 0)
    return 0;
  if (!is_digit(text[0])) {
    *octet = (uint8_t)text[0];
    return 1;
  }
  if (len < 3 || !is_digit(text[1]) || !is_digit(text[2]))
    return 0;
  int value = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  *octet = (uint8_t)value;
  return value <= 255 ? 3 : 0;
}

#ifdef __SSE2__
/* Fold 16 octets that are letters, digits, `-`, `.`, `/` or `_`; false if there is any other. */
static inline bool fold_16(const char *text, char *out, unsigned *dots)
{
  __m128i v = _mm_loadu_si128((const __m128i *)(const void *)text);
  __m128i upper = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('A' - 1)),
                                _mm_cmplt_epi8(v, _mm_set1_epi8('Z' + 1)));
  v = _mm_or_si128(v, _mm_and_si128(upper, _mm_set1_epi8('a' - 'A')));
  __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('a' - 1)),
                                 _mm_cmplt_epi8(v, _mm_set1_epi8('z' + 1)));
  __m128i other = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('-' - 1)),
                                _mm_cmplt_epi8(v, _mm_set1_epi8('9' + 1)));
  other = _mm_or_si128(other, _mm_cmpeq_epi8(v, _mm_set1_epi8('_')));
  _mm_storeu_si128((__m128i *)(void *)out, v);
  *dots = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
  return _mm_movemask_epi8(_mm_or_si128(letter, other)) == 0xffff;
}

/* A name of usual octets and length, 16 octets at a time; the last 16 may overlap others. No label
   of 63 octets is too long, so only empty ones are looked for. 0 when it takes another look. */
static inline size_t fold_usual(const char *text, size_t len, char *out, size_t cap,
                                size_t *out_len)
{
  uint64_t all = 0;
  unsigned dots;
  if (len < 16 || len > LABEL_MAX || cap <= len)
    return 0;
  for (size_t i = 0; i + 16 <= len; i += 16) {
    if (!fold_16(text + i, out + i, &dots))
      return 0;
    all |= (uint64_t)dots << i;
  }
  if (!fold_16(text + len - 16, out + len - 16, &dots))
    return 0;
  all |= (uint64_t)dots << (len - 16);
  if ((all & 1) != 0 || (all & all << 1) != 0)
    return 0;
  *out_len = len - (all >> (len - 1));
  out[*out_len] = '\0';
  return len;
}
#else
static inline size_t fold_usual(const char *text, size_t len, char *out, size_t cap,
                                size_t *out_len)
{
  (void)text, (void)len, (void)out, (void)cap, (void)out_len;
  return 0;
}
#endif

/* Whether no label is over 63 octets; `name` is plain and has no empty label. */
static bool labels_fit(const char *name, size_t len)
{
  for (;;) {
    const char *dot = memchr(name, '.', len);
    size_t label = dot != NULL ? (size_t)(dot - name) : len;
    if (label > LABEL_MAX)
      return false;
    if (dot == NULL)
      return true;
    name += label + 1;
    len -= label + 1;
  }
}

/* The common case: nothing but octets that have one spelling. Dots are told from the others without
   a branch, as where they stand cannot be foretold. */
size_t dns_name_plain(const char *text, size_t len, char *out, size_t cap, size_t *out_len)
{
  if (fold_usual(text, len, out, cap, out_len) != 0)
    return len;
  size_t i = 0, limit = len < WIRE_MAX ? len : WIRE_MAX;
  bool empty = false, dot = true;
  if (cap <= limit)
    limit = cap != 0 ? cap - 1 : 0;
  for (; i < limit; i++) {
    uint8_t c = fold[(uint8_t)text[i]];
    if (c == 0)
      break;
    out[i] = (char)c;
    empty |= dot & (c == '.');
    dot = c == '.';
  }
  size_t n = dot && i != 0 ? i - 1 : i;
  if (n == 0 || n > WIRE_MAX - 2 || empty || (n > LABEL_MAX && !labels_fit(out, n)))
    return 0;
  out[n] = '\0';
  *out_len = n;
  return i;
}

static const char *canon_general(const char *text, size_t len, char *out, size_t cap,
                                 size_t *out_len)
{
  size_t n = 0, wire = 1, label = 0;
  for (size_t i = 0; i < len;) {
    uint8_t c = (uint8_t)text[i++];
    if (c == '.') {
      if (label == 0)
        return "an empty label";
      label = 0;
      continue;
    }
    if (c == '\\') {
      size_t used = unescape(text + i, len - i, &c);
      if (used == 0)
        return "a broken escape";
      i += used;
    }
    if (label == LABEL_MAX)
      return "a label of more than 63 octets";
    wire += label == 0 ? 2 : 1;
    if (wire > WIRE_MAX)
      return "more than 255 octets";
    char spelled[4];
    size_t dot = label == 0 && n != 0, used = spell(c, spelled);
    if (cap - n <= dot + used)
      return dns_name_full;
    if (dot != 0)
      out[n++] = '.';
    memcpy(out + n, spelled, used);
    n += used;
    label++;
  }
  out[n] = '\0';
  *out_len = n;
  return NULL;
}

const char *dns_name_canon(const char *text, size_t len, char *out, size_t cap, size_t *out_len)
{
  if (len == 0)
    return "no octets";
  if (dns_name_plain(text, len, out, cap, out_len) == len)
    return NULL;
  if (cap < 2)
    return dns_name_full;
  if (len == 1 && text[0] == '.') {
    memcpy(out, ".", 2);
    *out_len = 1;
    return NULL;
  }
  return canon_general(text, len, out, cap, out_len);
}

enum cof_result cof_name_canon(const char *text, size_t len, char *out, size_t *out_len,
                               struct cof_error *err)
{
  const char *why = dns_name_canon(text, len, out, COF_NAME_MAX, out_len);
  if (why == NULL)
    return COF_OK;
  char quote[DNS_QUOTE_MAX];
  return cof_fail(err, COF_REJECT, "the name has %s: \"%s\"", why, dns_quote(text, len, quote));
}

/* Read one octet in its canonical spelling; returns the octets read, 0 if it is not canonical. */
static size_t read_canonical(const char *text, size_t len, uint8_t *octet)
{
  char again[4];
  size_t used = 1;
  *octet = (uint8_t)text[0];
  if (text[0] == '\\')
    used += unescape(text + 1, len - 1, octet);
  size_t n = spell(*octet, again);
  return n == used && memcmp(again, text, n) == 0 ? n : 0;
}

size_t cof_name_to_wire(const char *name, size_t len, uint8_t *out)
{
  size_t n = 1, head = 0;
  if (len == 1 && name[0] == '.')
    len = 0;
  else if (len == 0)
    return 0;
  for (size_t i = 0; i < len;) {
    uint8_t c = (uint8_t)name[i];
    if (c == '.') {
      if (n - head - 2 >= LABEL_MAX || i + 1 == len)
        return 0;
      out[head] = (uint8_t)(n - head - 1);
      head = n++;
      i++;
      continue;
    }
    size_t used = fold[c] == c && c != 0 ? 1 : read_canonical(name + i, len - i, &c);
    if (used == 0 || n >= WIRE_MAX - 1)
      return 0;
    out[n++] = c;
    i += used;
  }
  if (len == 0) {
    out[0] = 0;
    return 1;
  }
  if (n - head - 2 >= LABEL_MAX)
    return 0;
  out[head] = (uint8_t)(n - head - 1);
  out[n++] = 0;
  return n;
}

size_t cof_name_from_wire(const uint8_t *wire, size_t wire_len, char *out)
{
  size_t n = 0, i = 0;
  for (;;) {
    if (i >= wire_len || i >= WIRE_MAX)
      return 0;
    size_t label = wire[i++];
    if (label == 0)
      break;
    if (label > LABEL_MAX || label >= wire_len - i || label >= WIRE_MAX - i)
      return 0;
    if (n != 0)
      out[n++] = '.';
    for (size_t end = i + label; i < end; i++)
      n += spell(wire[i], out + n);
  }
  if (n == 0)
    out[n++] = '.';
  out[n] = '\0';
  return n;
}

/* Pointers in one name. Real ones have one or two; long chains are made to cost time. */
#define POINTERS_MAX 126

/* Where a name is being read. */
struct trail {
  size_t at;
  size_t before; /* what the next pointer has to lead to begins before this */
  size_t after;  /* what follows the name: behind its first pointer; 0: there was none */
  int pointers;
};

/* Go on to the next label, behind any pointers. False if they are broken. */
static bool follow(const uint8_t *msg, size_t len, struct trail *t)
{
  while (t->at < len && msg[t->at] >= 0xc0) {
    if (len - t->at < 2 || t->pointers++ == POINTERS_MAX)
      return false;
    size_t to = (size_t)(msg[t->at] & 0x3f) << 8 | msg[t->at + 1];
    if (t->after == 0)
      t->after = t->at + 2;
    if (to >= t->before)
      return false;
    t->at = t->before = to;
  }
  return t->at < len && msg[t->at] <= LABEL_MAX;
}

size_t cof_name_from_message(const uint8_t *msg, size_t len, size_t *at, char *out)
{
  size_t n = 0, wire = 1;
  struct trail t = {.at = *at, .before = *at};
  for (;;) {
    if (!follow(msg, len, &t))
      return 0;
    size_t label = msg[t.at++];
    if (label == 0)
      break;
    wire += label + 1;
    if (label >= len - t.at || wire > WIRE_MAX)
      return 0;
    if (n != 0)
      out[n++] = '.';
    for (size_t end = t.at + label; t.at < end; t.at++)
      n += spell(msg[t.at], out + n);
  }
  if (n == 0)
    out[n++] = '.';
  out[n] = '\0';
  *at = t.after != 0 ? t.after : t.at;
  return n;
}

bool cof_name_under(const char *name, size_t len, const char *suffix, size_t suffix_len)
{
  if (suffix_len == 1 && suffix[0] == '.')
    return true;
  if (suffix_len > len || memcmp(name + len - suffix_len, suffix, suffix_len) != 0)
    return false;
  if (suffix_len == len)
    return true;
  size_t dot = len - suffix_len - 1, back = dot;
  if (name[dot] != '.')
    return false;
  while (back > 0 && name[back - 1] == '\\')
    back--;
  return (dot - back) % 2 == 0;
}
