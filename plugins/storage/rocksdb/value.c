/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "value_private.h"

#include <stdlib.h>

#include "keys_private.h"

enum { FLAG_SPAN = 1, FLAG_COUNT = 2, FLAG_TOTAL = 4, FLAG_ZONES = 8, FLAGS = 15 };

size_t varint_put(uint8_t *out, uint64_t value)
{
  size_t n = 0;
  while (value >= 0x80) {
    out[n++] = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  out[n++] = (uint8_t)value;
  return n;
}

bool varint_get(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
  const uint8_t *q = *p;
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64 && q < end; shift += 7) {
    uint8_t c = *q++;
    if (shift == 63 && c > 1)
      return false;
    v |= (uint64_t)(c & 0x7f) << shift;
    if (c < 0x80) {
      if (c == 0 && shift != 0)
        return false;
      *p = q;
      *value = v;
      return true;
    }
  }
  return false;
}

bool change_valid(const struct cof_record *r)
{
  return r->time_first >= 0 && r->time_first <= r->time_last && r->time_last <= COF_TIME_MAX &&
         r->count <= COF_COUNT_MAX && r->total <= COF_COUNT_MAX;
}

size_t change_put(uint8_t *out, const struct cof_record *r)
{
  uint64_t span = (uint64_t)(r->time_last - r->time_first);
  uint8_t *p = out + 1;
  out[0] = (uint8_t)((span != 0 ? FLAG_SPAN : 0) | (r->count != 1 ? FLAG_COUNT : 0) |
                     (r->total != 0 ? FLAG_TOTAL : 0) | (r->zones != 0 ? FLAG_ZONES : 0));
  p += varint_put(p, (uint64_t)r->time_first);
  if (span != 0)
    p += varint_put(p, span);
  if (r->count != 1)
    p += varint_put(p, r->count);
  if (r->total != 0)
    p += varint_put(p, r->total);
  if (r->zones != 0)
    p += varint_put(p, r->zones);
  return (size_t)(p - out);
}

bool change_get(const uint8_t *value, size_t len, struct cof_record *r)
{
  const uint8_t *p = value + 1, *end = value + len;
  uint64_t first = 0, span = 0, count = 1, total = 0, zones = 0;
  if (len < 2 || value[0] > FLAGS || !varint_get(&p, end, &first))
    return false;
  if ((value[0] & FLAG_SPAN) != 0 && !varint_get(&p, end, &span))
    return false;
  if ((value[0] & FLAG_COUNT) != 0 && !varint_get(&p, end, &count))
    return false;
  if ((value[0] & FLAG_TOTAL) != 0 && !varint_get(&p, end, &total))
    return false;
  if ((value[0] & FLAG_ZONES) != 0 && !varint_get(&p, end, &zones))
    return false;
  if (p != end || first > (uint64_t)COF_TIME_MAX || span > (uint64_t)COF_TIME_MAX - first ||
      count > COF_COUNT_MAX || total > COF_COUNT_MAX || zones > UINT32_MAX)
    return false;
  r->time_first = (int64_t)first;
  r->time_last = (int64_t)(first + span);
  r->count = count;
  r->total = total;
  r->zones = (uint32_t)zones;
  return true;
}

bool counter_get(const uint8_t *value, size_t len, uint64_t *counter)
{
  const uint8_t *p = value, *end = value + len;
  return varint_get(&p, end, counter) && p == end;
}

void change_settle(struct cof_record *r)
{
  if (r->total > r->count)
    r->count = r->total;
  r->total = 0;
}

/* A merge under way: the values so far, folded. */
struct fold {
  struct cof_record change;
  uint64_t counter;
  bool counts; /* counters are folded, not changes */
  bool any;
};

static bool fold_add(struct fold *f, const char *value, size_t len)
{
  const uint8_t *v = (const uint8_t *)value;
  if (f->counts) {
    uint64_t n = 0;
    if (!counter_get(v, len, &n))
      return false;
    f->counter = n > UINT64_MAX - f->counter ? UINT64_MAX : f->counter + n;
    return true;
  }
  struct cof_record later = {0};
  if (!change_get(v, len, &later))
    return false;
  if (f->any)
    cof_record_fold(&f->change, &later);
  else
    f->change = later;
  f->any = true;
  return true;
}

static bool fold_all(struct fold *f, const char *key, size_t key_len, const char *const *operands,
                     const size_t *lens, int count)
{
  f->counts = key_len > 0 && key[0] == KEY_STATS;
  for (int i = 0; i < count; i++)
    if (!fold_add(f, operands[i], lens[i]))
      return false;
  return true;
}

static char *fold_result(const struct fold *f, bool ok, unsigned char *success, size_t *len)
{
  uint8_t *out = ok ? malloc(CHANGE_MAX) : NULL;
  *success = out != NULL;
  *len = 0;
  if (out != NULL)
    *len = f->counts ? varint_put(out, f->counter) : change_put(out, &f->change);
  return (char *)out;
}

static char *full_merge(void *state, const char *key, size_t key_len, const char *base,
                        size_t base_len, const char *const *operands, const size_t *lens, int count,
                        unsigned char *success, size_t *len)
{
  (void)state;
  struct fold f = {.counts = key_len > 0 && key[0] == KEY_STATS};
  bool ok = (base == NULL || fold_add(&f, base, base_len)) &&
            fold_all(&f, key, key_len, operands, lens, count);
  change_settle(&f.change);
  return fold_result(&f, ok, success, len);
}

static char *partial_merge(void *state, const char *key, size_t key_len,
                           const char *const *operands, const size_t *lens, int count,
                           unsigned char *success, size_t *len)
{
  (void)state;
  struct fold f = {.any = false};
  bool ok = fold_all(&f, key, key_len, operands, lens, count);
  return fold_result(&f, ok, success, len);
}

static void no_destructor(void *state)
{
  (void)state;
}

static const char *merge_name(void *state)
{
  (void)state;
  return "cofd.1";
}

rocksdb_mergeoperator_t *value_merge_operator(void)
{
  return rocksdb_mergeoperator_create(NULL, no_destructor, full_merge, partial_merge, NULL,
                                      merge_name);
}
