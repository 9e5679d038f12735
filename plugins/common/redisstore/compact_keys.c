/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_keys_private.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LABELS_MAX 127
#define WIRE_MAX   255

/* --- names ----------------------------------------------------------------------------------- */

size_t ck_name(uint8_t *out, const char *name, size_t len)
{
  uint8_t wire[WIRE_MAX];
  const uint8_t *labels[LABELS_MAX + 1];
  size_t count = 0, n = 0;
  if (cof_name_to_wire(name, len, wire) == 0)
    return 0;
  for (const uint8_t *p = wire; *p != 0; p += *p + 1)
    labels[count++] = p;
  while (count-- > 0) {
    const uint8_t *label = labels[count] + 1;
    for (size_t i = 0; i < label[-1]; i++) {
      if (label[i] <= 1) {
        out[n++] = 1;
        out[n++] = (uint8_t)(label[i] + 1);
      } else {
        out[n++] = label[i];
      }
    }
    out[n++] = 0;
  }
  out[n++] = 0;
  return n;
}

size_t ck_name_len(const uint8_t *key, size_t len)
{
  const uint8_t *p = key, *end = key + len;
  while (p < end && *p != 0) {
    p = memchr(p, 0, (size_t)(end - p));
    if (p == NULL)
      return 0;
    p++;
  }
  return p < end ? (size_t)(p - key) + 1 : 0;
}

/* One label into its wire form. 0: broken. */
static size_t label_wire(uint8_t out[64], const uint8_t *label, size_t len)
{
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    uint8_t c = label[i];
    if (c == 1) {
      if (++i == len || label[i] < 1 || label[i] > 2)
        return 0;
      c = (uint8_t)(label[i] - 1);
    }
    if (n == 63)
      return 0;
    out[1 + n++] = c;
  }
  out[0] = (uint8_t)n;
  return n == 0 ? 0 : 1 + n;
}

size_t ck_name_text(const uint8_t *key, size_t len, char *out)
{
  uint8_t wire[WIRE_MAX], label[64];
  size_t at = WIRE_MAX - 1;
  const uint8_t *p = key, *end = key + len;
  wire[at] = 0;
  while (p < end && *p != 0) {
    const uint8_t *stop = memchr(p, 0, (size_t)(end - p));
    size_t n = stop != NULL ? label_wire(label, p, (size_t)(stop - p)) : 0;
    if (n == 0 || n > at)
      return 0;
    at -= n;
    memcpy(wire + at, label, n);
    p = stop + 1;
  }
  return p + 1 == end ? cof_name_from_wire(wire + at, WIRE_MAX - at, out) : 0;
}

/* --- keys ------------------------------------------------------------------------------------ */

static void put_u64(uint8_t *out, uint64_t n)
{
  for (int i = 0; i < 8; i++)
    out[i] = (uint8_t)(n >> (56 - 8 * i));
}

static size_t target_addr(uint8_t *out, uint8_t family, const char *text, size_t len)
{
  struct cof_addr addr;
  if (!cof_addr_parse(text, len, &addr) || addr.family != family)
    return 0;
  out[0] = family == 4 ? CK_ADDR4 : CK_ADDR6;
  memcpy(out + 1, addr.bytes, cof_addr_len(&addr));
  return 1 + cof_addr_len(&addr);
}

size_t ck_target(uint8_t *out, uint16_t rrtype, const char *rdata, size_t rdata_len)
{
  size_t offset = 0, length = 0;
  if (rrtype == COF_TYPE_A || rrtype == COF_TYPE_AAAA)
    return target_addr(out, rrtype == COF_TYPE_A ? 4 : 6, rdata, rdata_len);
  if (cof_rdata_target(rrtype, rdata, rdata_len, &offset, &length) == COF_TARGET_NAME &&
      length <= COF_NAME_MAX) {
    size_t len = ck_name(out + 1, rdata + offset, length);
    out[0] = CK_NAME;
    if (len != 0)
      return 1 + len;
  }
  out[0] = CK_TEXT;
  put_u64(out + 1, XXH3_64bits(rdata, rdata_len));
  return 9;
}

void ck_field(struct ck_field *out, enum ck_tree tree, const uint8_t *key, size_t len,
              size_t group_len)
{
  XXH128_canonical_t hash;
  bool forward = tree == CK_FORWARD, whole_group = group_len <= CK_GROUP;
  size_t head = whole_group ? CK_HEAD : CK_GROUP;
  out->flags = 0;
  out->tail = NULL;
  out->tail_len = 0;
  if (len < CK_FIELD_MAX && whole_group) {
    memcpy(out->field, key, len);
    out->len = (uint8_t)len;
    return;
  }
  XXH128_canonicalFromHash(&hash, XXH3_128bits(key, forward ? len : len - 2));
  uint8_t *p = out->field + head;
  memcpy(out->field, key, head);
  if (!whole_group) {
    put_u64(p, XXH3_64bits(key, group_len));
    p += 8;
  }
  if (forward && !whole_group) {
    memcpy(p, key + group_len, 2);
    p += 2;
  }
  size_t end = forward ? CK_FIELD_MAX : CK_FIELD_MAX - 2;
  memcpy(p, hash.digest, (size_t)(out->field + end - p));
  memcpy(out->field + end, key + len - 2, CK_FIELD_MAX - end);
  out->len = CK_FIELD_MAX;
  out->tail = key + head;
  out->tail_len = len - head;
  out->flags =
      (uint8_t)((out->tail_len <= CK_TAIL_NEAR ? CK_NEAR : CK_FAR) | (whole_group ? 0 : CK_LONG));
}

const uint8_t *ck_field_type(enum ck_tree tree, const uint8_t *field, size_t len)
{
  if (len < 4)
    return NULL;
  if (tree == CK_REVERSE)
    return field + len - 2;
  bool hashed = len == CK_FIELD_MAX;
  size_t name = ck_name_len(field, hashed ? CK_GROUP : len - 2);
  if (name != 0)
    return field + name;
  return hashed ? field + CK_GROUP + 8 : NULL;
}

size_t ck_group(uint8_t *out, const uint8_t *group, size_t len)
{
  memcpy(out, group, len < CK_GROUP ? len : CK_GROUP);
  if (len <= CK_GROUP)
    return len;
  put_u64(out + CK_GROUP, XXH3_64bits(group, len));
  return CK_GROUP + 8;
}

static size_t put_type(uint8_t *out, uint16_t rrtype)
{
  out[0] = (uint8_t)(rrtype >> 8);
  out[1] = (uint8_t)rrtype;
  return 2;
}

size_t ck_forward(uint8_t *out, const struct cof_record *r, size_t *group, const char **why)
{
  struct cof_addr addr;
  size_t n = ck_name(out, r->rrname, r->rrname_len);
  *group = n;
  if (n == 0) {
    *why = "rrname is not a canonical domain name";
    return 0;
  }
  if (r->rdata_len > COF_RDATA_MAX) {
    *why = "rdata is longer than 65535 octets";
    return 0;
  }
  n += put_type(out + n, r->rrtype);
  if (r->rrtype == COF_TYPE_A || r->rrtype == COF_TYPE_AAAA) {
    if (!cof_addr_parse(r->rdata, r->rdata_len, &addr) ||
        addr.family != (r->rrtype == COF_TYPE_A ? 4 : 6)) {
      *why = "rdata is not an address of the family that its type demands";
      return 0;
    }
    memcpy(out + n, addr.bytes, cof_addr_len(&addr));
    return n + cof_addr_len(&addr);
  }
  memcpy(out + n, r->rdata, r->rdata_len);
  return n + r->rdata_len;
}

size_t ck_reverse(uint8_t *out, const struct cof_record *r, const uint8_t *name, size_t name_len,
                  size_t *group, const char **why)
{
  size_t n = ck_target(out, r->rrtype, r->rdata, r->rdata_len);
  *group = n;
  if (n == 0) {
    *why = "rdata is not an address of the family that its type demands";
    return 0;
  }
  memcpy(out + n, name, name_len);
  n += name_len;
  return n + put_type(out + n, r->rrtype);
}

bool ck_forward_split(const uint8_t *key, size_t len, struct ck_record *out)
{
  out->name = key;
  out->name_len = ck_name_len(key, len);
  if (out->name_len == 0 || len - out->name_len < 2)
    return false;
  const uint8_t *p = key + out->name_len;
  out->rrtype = (uint16_t)(p[0] << 8 | p[1]);
  out->rdata = p + 2;
  out->rdata_len = len - out->name_len - 2;
  return out->rdata_len <= COF_RDATA_MAX;
}

const char *ck_rdata_text(const struct ck_record *parts, char buf[COF_ADDR_TEXT_MAX], size_t *len)
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

bool ck_reverse_split(const uint8_t *key, size_t len, struct ck_pointer *out)
{
  if (len < 2)
    return false;
  out->class = (enum ck_class)key[0];
  out->target = key + 1;
  switch (out->class) {
  case CK_ADDR4:
    out->target_len = 4;
    break;
  case CK_ADDR6:
    out->target_len = 16;
    break;
  case CK_TEXT:
    out->target_len = 8;
    break;
  case CK_NAME:
    out->target_len = ck_name_len(key + 1, len - 1);
    break;
  default:
    return false;
  }
  if (out->target_len == 0 || len < 1 + out->target_len + 3)
    return false;
  out->name = out->target + out->target_len;
  out->name_len = ck_name_len(out->name, len - 1 - out->target_len);
  if (out->name_len == 0 || 1 + out->target_len + out->name_len + 2 != len)
    return false;
  out->rrtype = (uint16_t)(key[len - 2] << 8 | key[len - 1]);
  return true;
}

/* --- values ---------------------------------------------------------------------------------- */

static size_t varint_put(uint8_t *out, uint64_t value)
{
  size_t n = 0;
  for (; value >= 0x80; value >>= 7)
    out[n++] = (uint8_t)(value | 0x80);
  out[n++] = (uint8_t)value;
  return n;
}

static bool varint_get(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
    uint8_t c = *(*p)++;
    if (shift == 63 && c > 1)
      return false;
    v |= (uint64_t)(c & 0x7f) << shift;
    if (c < 0x80) {
      *value = v;
      return true;
    }
  }
  return false;
}

static size_t tail_put(uint8_t *out, const struct ck_field *field)
{
  if ((field->flags & CK_NEAR) == 0)
    return 0;
  memcpy(out, field->tail, field->tail_len);
  return field->tail_len;
}

size_t ck_value_put(uint8_t *out, const struct cof_record *r, const struct ck_field *field)
{
  uint64_t span = (uint64_t)(r->time_last - r->time_first);
  out[0] = (uint8_t)((span != 0 ? CK_SPAN : 0) | (r->count != 1 ? CK_COUNT : 0) |
                     (r->zones != 0 ? CK_ZONES : 0) | field->flags);
  size_t n = 1 + varint_put(out + 1, (uint64_t)r->time_first);
  if (span != 0)
    n += varint_put(out + n, span);
  if (r->count != 1)
    n += varint_put(out + n, r->count);
  if (r->zones != 0)
    n += varint_put(out + n, r->zones);
  return n + tail_put(out + n, field);
}

size_t ck_pointer_put(uint8_t *out, uint64_t stamp, const struct ck_field *field)
{
  size_t n = 1;
  out[0] = (uint8_t)((stamp != 0 ? CK_STAMP : 0) | field->flags);
  if (out[0] == 0)
    return 0;
  if (stamp != 0)
    n += varint_put(out + n, stamp);
  return n + tail_put(out + n, field);
}

static bool change_get(const uint8_t **p, const uint8_t *end, uint8_t flags, struct cof_record *r)
{
  uint64_t first = 0, span = 0, count = 1, zones = 0;
  if (!varint_get(p, end, &first) || ((flags & CK_SPAN) != 0 && !varint_get(p, end, &span)) ||
      ((flags & CK_COUNT) != 0 && !varint_get(p, end, &count)) ||
      ((flags & CK_ZONES) != 0 && !varint_get(p, end, &zones)))
    return false;
  if (first > (uint64_t)COF_TIME_MAX || span > (uint64_t)COF_TIME_MAX - first ||
      count > COF_COUNT_MAX || zones > UINT32_MAX)
    return false;
  r->zones = (uint32_t)zones;
  r->time_first = (int64_t)first;
  r->time_last = (int64_t)(first + span);
  r->count = count;
  return true;
}

bool ck_value_get(enum ck_tree tree, const uint8_t *value, size_t len, struct ck_value *out)
{
  const uint8_t *p = value + 1, *end = value + len;
  memset(out, 0, sizeof *out);
  if (len == 0)
    return tree == CK_REVERSE;
  out->flags = value[0];
  if ((out->flags & ~CK_ALL) != 0 || (out->flags & (CK_NEAR | CK_FAR)) == (CK_NEAR | CK_FAR))
    return false;
  if (tree == CK_FORWARD && !change_get(&p, end, out->flags, &out->record))
    return false;
  if ((out->flags & CK_STAMP) != 0 && !varint_get(&p, end, &out->stamp))
    return false;
  out->tail = p;
  out->tail_len = (size_t)(end - p);
  return (out->flags & CK_NEAR) != 0 || p == end;
}

bool ck_successor(uint8_t *key, size_t *len)
{
  while (*len > 0 && key[*len - 1] == 0xff)
    --*len;
  if (*len == 0)
    return false;
  key[*len - 1]++;
  return true;
}
