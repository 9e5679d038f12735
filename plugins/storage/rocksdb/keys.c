/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "keys_private.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LABELS_MAX 127
#define WIRE_MAX   255

/* Octets that stand for themselves both in canonical text and in a key. */
static const uint8_t plain[256] = {
    ['!'] = 1, ['#'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, [','] = 1,
    ['-'] = 1, ['/'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1,  ['3'] = 1, ['4'] = 1, ['5'] = 1,
    ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, [':'] = 1,  ['<'] = 1, ['='] = 1, ['>'] = 1,
    ['?'] = 1, ['['] = 1, [']'] = 1, ['^'] = 1, ['_'] = 1,  ['`'] = 1, ['a'] = 1, ['b'] = 1,
    ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1,  ['h'] = 1, ['i'] = 1, ['j'] = 1,
    ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1,  ['p'] = 1, ['q'] = 1, ['r'] = 1,
    ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1,  ['x'] = 1, ['y'] = 1, ['z'] = 1,
    ['{'] = 1, ['|'] = 1, ['}'] = 1, ['~'] = 1};

/* Names without escapes, which is nearly all: straight from the text. 0: not that simple. */
static size_t name_plain(uint8_t *out, const char *name, size_t len)
{
  size_t n = 0;
  if (len > WIRE_MAX - 2)
    return 0;
  for (size_t end = len; end != (size_t)-1;) {
    size_t start = end;
    while (start > 0 && plain[(uint8_t)name[start - 1]])
      start--;
    size_t label = end - start;
    if (label == 0 || label > 63 || (start > 0 && name[start - 1] != '.'))
      return 0;
    memcpy(out + n, name + start, label);
    n += label;
    out[n++] = 0;
    end = start - 1;
  }
  out[n++] = 0;
  return n;
}

static size_t label_escape(uint8_t *out, const uint8_t *label, size_t len)
{
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (label[i] > 1) {
      out[n++] = label[i];
    } else {
      out[n++] = 1;
      out[n++] = (uint8_t)(label[i] + 1);
    }
  }
  out[n++] = 0;
  return n;
}

size_t key_name(uint8_t *out, const char *name, size_t len)
{
  size_t n = name_plain(out, name, len);
  if (n != 0)
    return n;
  uint8_t wire[WIRE_MAX];
  const uint8_t *labels[LABELS_MAX];
  size_t count = 0, wire_len = cof_name_to_wire(name, len, wire);
  if (wire_len == 0)
    return 0;
  for (const uint8_t *p = wire; *p != 0; p += *p + 1)
    labels[count++] = p;
  while (count-- > 0)
    n += label_escape(out + n, labels[count] + 1, labels[count][0]);
  out[n++] = 0;
  return n;
}

/* The high bit of the first octet of zero in memory order, and maybe of later octets. */
static uint64_t zeros(uint64_t octets)
{
  const uint64_t low = UINT64_C(0x0101010101010101);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  octets = __builtin_bswap64(octets);
#endif
  return (octets - low) & ~octets & low << 7;
}

/* Labels are not empty and hold no zero, so that the first two zeros in a row are the ends of the
   last label and of the name. RocksDB asks this several times of each key. */
size_t key_name_len(const uint8_t *key, size_t len)
{
  size_t i = 0;
  if (len != 0 && key[0] == 0)
    return 1;
  for (; len - i > 8; i += 8) {
    uint64_t here, next;
    memcpy(&here, key + i, 8);
    memcpy(&next, key + i + 1, 8);
    uint64_t both = zeros(here | next);
    if (both != 0)
      return i + (unsigned)__builtin_ctzll(both) / 8 + 2;
  }
  for (; i + 1 < len; i++)
    if ((key[i] | key[i + 1]) == 0)
      return i + 2;
  return 0;
}

/* One label, without its terminator, to its octets. SIZE_MAX: broken escape. */
static size_t label_unescape(uint8_t *out, const uint8_t *label, size_t len)
{
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    uint8_t c = label[i];
    if (c == 1) {
      if (++i == len || label[i] < 1 || label[i] > 2)
        return SIZE_MAX;
      c = (uint8_t)(label[i] - 1);
    }
    if (n == 63)
      return SIZE_MAX;
    out[n++] = c;
  }
  return n;
}

static size_t name_wire(const uint8_t *const *labels, const size_t *lens, size_t count,
                        uint8_t *wire)
{
  uint8_t content[64];
  size_t n = 0;
  while (count-- > 0) {
    size_t len = label_unescape(content, labels[count], lens[count]);
    if (len == SIZE_MAX || n + 1 + len + 1 > WIRE_MAX)
      return 0;
    wire[n++] = (uint8_t)len;
    memcpy(wire + n, content, len);
    n += len;
  }
  wire[n++] = 0;
  return n;
}

static size_t name_text_plain(const uint8_t *const *labels, const size_t *lens, size_t count,
                              char *out)
{
  size_t n = 0;
  while (count-- > 0) {
    if (lens[count] > 63 || n + lens[count] + 1 > WIRE_MAX - 1)
      return 0;
    for (size_t i = 0; i < lens[count]; i++) {
      if (!plain[labels[count][i]])
        return 0;
      out[n++] = (char)labels[count][i];
    }
    out[n++] = '.';
  }
  out[--n] = '\0';
  return n;
}

size_t key_name_text(const uint8_t *key, size_t len, char *out)
{
  const uint8_t *labels[LABELS_MAX], *end = key + len, *p = key;
  size_t lens[LABELS_MAX], count = 0;
  while (p < end && *p != 0) {
    const uint8_t *stop = memchr(p, 0, (size_t)(end - p));
    if (stop == NULL || count == LABELS_MAX)
      return 0;
    labels[count] = p;
    lens[count++] = (size_t)(stop - p);
    p = stop + 1;
  }
  if (p + 1 != end)
    return 0;
  size_t n = count != 0 ? name_text_plain(labels, lens, count, out) : 0;
  if (n != 0)
    return n;
  uint8_t wire[WIRE_MAX];
  n = name_wire(labels, lens, count, wire);
  return n != 0 ? cof_name_from_wire(wire, n, out) : 0;
}

size_t key_name_flip(const uint8_t *name, size_t len, uint8_t *out)
{
  const uint8_t *p = name, *end = name + len;
  uint8_t *to = out + len;
  if (len == 0)
    return 0;
  *--to = 0;
  while (p < end && *p != 0) {
    const uint8_t *stop = memchr(p, 0, (size_t)(end - p));
    if (stop == NULL || stop + 1 == end)
      return 0;
    size_t label = (size_t)(stop - p) + 1;
    to -= label;
    memcpy(to, p, label);
    p = stop + 1;
  }
  return p + 1 == end ? len : 0;
}

static bool target_addr(struct key_target *t, uint8_t family, const char *text, size_t len)
{
  struct cof_addr addr;
  if (!cof_addr_parse(text, len, &addr) || addr.family != family)
    return false;
  t->class = family == 4 ? KEY_ADDR4 : KEY_ADDR6;
  t->len = cof_addr_len(&addr);
  memcpy(t->bytes, addr.bytes, t->len);
  return true;
}

static void target_text(struct key_target *t, const char *text, size_t len)
{
  uint64_t hash = XXH3_64bits(text, len);
  t->class = KEY_TEXT;
  t->len = KEY_HASH_LEN;
  for (size_t i = 0; i < KEY_HASH_LEN; i++)
    t->bytes[i] = (uint8_t)(hash >> (8 * (KEY_HASH_LEN - 1 - i)));
}

bool key_target(struct key_target *t, uint16_t rrtype, const char *rdata, size_t rdata_len)
{
  size_t offset = 0, length = 0;
  t->before = 0;
  t->after = rdata_len;
  if (rrtype == COF_TYPE_A)
    return target_addr(t, 4, rdata, rdata_len);
  if (rrtype == COF_TYPE_AAAA)
    return target_addr(t, 6, rdata, rdata_len);
  if (cof_rdata_target(rrtype, rdata, rdata_len, &offset, &length) == COF_TARGET_NAME &&
      length <= COF_NAME_MAX - 2) {
    uint8_t name[COF_NAME_MAX];
    t->len = key_name(name, rdata + offset, length);
    if (t->len != 0 && t->len <= sizeof t->bytes) {
      memcpy(t->bytes, name, t->len);
      t->class = KEY_NAME;
      t->before = offset;
      t->after = offset + length;
      return true;
    }
  }
  target_text(t, rdata, rdata_len);
  return true;
}

static uint8_t *put_type(uint8_t *p, uint16_t rrtype)
{
  *p++ = (uint8_t)(rrtype >> 8);
  *p++ = (uint8_t)rrtype;
  return p;
}

static uint8_t *put(uint8_t *p, const void *bytes, size_t len)
{
  memcpy(p, bytes, len);
  return p + len;
}

const char *key_pair(const struct cof_record *r, uint8_t *forward, size_t *forward_len,
                     uint8_t *reverse, size_t *reverse_len)
{
  struct key_target t;
  size_t name_len = key_name(forward + 1, r->rrname, r->rrname_len);
  if (name_len == 0)
    return "rrname is not a canonical domain name";
  if (r->rdata_len > COF_RDATA_MAX)
    return "rdata is longer than 65535 octets";
  if (!key_target(&t, r->rrtype, r->rdata, r->rdata_len))
    return "rdata is not an address of the family that its type demands";
  if (memchr(r->rdata, 0, t.before) != NULL)
    return "rdata is not canonical text: it holds a NUL";
  bool addr = t.class == KEY_ADDR4 || t.class == KEY_ADDR6;
  forward[0] = KEY_FORWARD;
  uint8_t *p = put_type(forward + 1 + name_len, r->rrtype);
  p = addr ? put(p, t.bytes, t.len) : put(p, r->rdata, r->rdata_len);
  *forward_len = (size_t)(p - forward);
  reverse[0] = KEY_REVERSE;
  reverse[1] = (uint8_t)t.class;
  p = put(reverse + 2, t.bytes, t.len);
  p = put_type(put(p, forward + 1, name_len), r->rrtype);
  if (t.before != 0 || t.after != r->rdata_len) {
    p = put(p, r->rdata, t.before);
    *p++ = 0;
    p = put(p, r->rdata + t.after, r->rdata_len - t.after);
  }
  *reverse_len = (size_t)(p - reverse);
  return NULL;
}

_Static_assert(KEY_HEAD_MAX + KEY_NAME_MAX + 2 + COF_RDATA_MAX <= KEY_MAX,
               "a sensor's key is no longer than a reverse key");

size_t key_sensor_head(uint8_t out[KEY_HEAD_MAX], const char *sensor, size_t len)
{
  out[0] = KEY_SENSOR;
  out[1] = (uint8_t)len;
  memcpy(out + 2, sensor, len);
  return 2 + len;
}

size_t key_head_len(const uint8_t *key, size_t len)
{
  if (len >= 1 && key[0] == KEY_FORWARD)
    return 1;
  if (len < 2 || key[0] != KEY_SENSOR || key[1] == 0 || len < 2 + (size_t)key[1])
    return 0;
  return 2 + (size_t)key[1];
}

bool key_forward_split(const uint8_t *key, size_t len, struct key_forward_parts *parts)
{
  size_t head = key_head_len(key, len);
  if (head == 0)
    return false;
  size_t name_len = key_name_len(key + head, len - head);
  if (name_len == 0 || len - head - name_len < 2)
    return false;
  const uint8_t *p = key + head + name_len;
  parts->name = key + head;
  parts->name_len = name_len;
  parts->rrtype = (uint16_t)(p[0] << 8 | p[1]);
  parts->rdata = p + 2;
  parts->rdata_len = len - head - name_len - 2;
  return parts->rdata_len <= COF_RDATA_MAX;
}

const char *key_rdata_text(const struct key_forward_parts *parts, char buf[COF_ADDR_TEXT_MAX],
                           size_t *len)
{
  *len = parts->rdata_len;
  if (parts->rrtype != COF_TYPE_A && parts->rrtype != COF_TYPE_AAAA)
    return (const char *)parts->rdata;
  struct cof_addr addr = {.family = parts->rrtype == COF_TYPE_A ? 4 : 6};
  if (parts->rdata_len != cof_addr_len(&addr))
    return NULL;
  memcpy(addr.bytes, parts->rdata, parts->rdata_len);
  *len = cof_addr_text(&addr, buf);
  return buf;
}

static size_t target_len(const uint8_t *key, size_t len)
{
  size_t n = 0;
  switch (key[0]) {
  case KEY_ADDR4:
    n = 4;
    break;
  case KEY_ADDR6:
    n = 16;
    break;
  case KEY_TEXT:
    n = KEY_HASH_LEN;
    break;
  case KEY_NAME:
    n = key_name_len(key + 1, len - 1);
    break;
  default:
    break;
  }
  return n <= len - 1 ? n : 0;
}

bool key_reverse_split(const uint8_t *key, size_t len, struct key_reverse_parts *parts)
{
  if (len < 3 || key[0] != KEY_REVERSE)
    return false;
  parts->target_len = target_len(key + 1, len - 1);
  if (parts->target_len == 0)
    return false;
  const uint8_t *end = key + len;
  parts->class = key[1];
  parts->target = key + 2;
  parts->name = parts->target + parts->target_len;
  parts->name_len = key_name_len(parts->name, (size_t)(end - parts->name));
  const uint8_t *type = parts->name + parts->name_len;
  if (parts->name_len == 0 || end - type < 2)
    return false;
  parts->rrtype = (uint16_t)(type[0] << 8 | type[1]);
  parts->rest = type + 2;
  parts->rest_len = (size_t)(end - parts->rest);
  return true;
}

/* rdata text of a name target with what stands around it. */
static uint8_t *rdata_around(const struct key_reverse_parts *parts, uint8_t *p)
{
  char name[COF_NAME_MAX];
  const uint8_t *split = parts->rest, *end = parts->rest + parts->rest_len;
  size_t len = key_name_text(parts->target, parts->target_len, name);
  if (len == 0)
    return NULL;
  if (split != end) {
    split = memchr(parts->rest, 0, parts->rest_len);
    if (split == NULL)
      return NULL;
    p = put(p, parts->rest, (size_t)(split - parts->rest));
    split++;
  }
  p = put(p, name, len);
  return put(p, split, (size_t)(end - split));
}

size_t key_reverse_forward(const struct key_reverse_parts *parts, const char *text, size_t text_len,
                           uint8_t *out)
{
  out[0] = KEY_FORWARD;
  uint8_t *p = put_type(put(out + 1, parts->name, parts->name_len), parts->rrtype);
  if (parts->class == KEY_NAME)
    p = rdata_around(parts, p);
  else if (parts->rest_len != 0)
    return 0;
  else if (parts->class == KEY_TEXT)
    p = put(p, text, text_len);
  else
    p = put(p, parts->target, parts->target_len);
  return p != NULL ? (size_t)(p - out) : 0;
}

size_t key_prefix(const uint8_t *key, size_t len)
{
  size_t n = 0, head = key_head_len(key, len);
  if (head != 0) {
    n = key_name_len(key + head, len - head);
  } else if (len >= 3 && key[0] == KEY_REVERSE) {
    head = 2;
    n = target_len(key + 1, len - 1);
  }
  return n != 0 ? head + n : 0;
}

void key_successor(uint8_t *key, size_t *len)
{
  while (key[*len - 1] == 0xff)
    --*len;
  key[*len - 1]++;
}
