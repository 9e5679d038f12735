/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "query_private.h"

#include <string.h>

/* Beyond the highest type whose rdata has a target within it. */
#define TARGET_TYPES 512

static void span_prefix(struct span *s)
{
  memcpy(s->upper, s->lower, s->lower_len);
  s->upper_len = s->lower_len;
  key_successor(s->upper, &s->upper_len);
}

static enum cof_result span_all(struct span *s, const struct cof_query *q)
{
  s->lower_len = query_head(q->sensor_id, s->lower);
  span_prefix(s);
  return COF_OK;
}

/* The lowest and the highest type asked for narrow a name. */
static void span_types(struct span *s, const uint16_t *types, size_t count)
{
  uint16_t low = UINT16_MAX, high = 0;
  for (size_t i = 0; i < count; i++) {
    low = types[i] < low ? types[i] : low;
    high = types[i] > high ? types[i] : high;
  }
  memcpy(s->upper, s->lower, s->lower_len);
  s->upper_len = s->lower_len;
  s->lower[s->lower_len++] = (uint8_t)(low >> 8);
  s->lower[s->lower_len++] = (uint8_t)low;
  s->upper[s->upper_len++] = (uint8_t)(high >> 8);
  s->upper[s->upper_len++] = (uint8_t)high;
  key_successor(s->upper, &s->upper_len);
}

static enum cof_result span_forward(struct span *s, const struct cof_query *q,
                                    struct cof_error *err)
{
  size_t len = strlen(q->name);
  size_t head = query_head(q->sensor_id, s->lower);
  size_t name_len = len <= COF_NAME_MAX ? key_name(s->lower + head, q->name, len) : 0;
  if (name_len == 0)
    return cof_fail(err, COF_REJECT, "the name asked for is not a canonical domain name");
  s->lower_len = head + name_len;
  if (q->kind == COF_QUERY_SUBDOMAINS)
    s->lower_len--;
  if (q->kind == COF_QUERY_RRNAME && q->rrtypes_count != 0)
    span_types(s, q->rrtypes, q->rrtypes_count);
  else
    span_prefix(s);
  return COF_OK;
}

static enum cof_result span_name(struct span *s, const char *name, bool below,
                                 struct cof_error *err)
{
  size_t len = strlen(name), name_len = len <= COF_NAME_MAX ? key_name(s->lower + 2, name, len) : 0;
  if (name_len == 0)
    return cof_fail(err, COF_REJECT, "the name asked for is not a canonical domain name");
  s->lower[0] = KEY_REVERSE;
  s->lower[1] = KEY_NAME;
  s->lower_len = 2 + name_len;
  if (below)
    s->lower_len--;
  span_prefix(s);
  return COF_OK;
}

static enum cof_result span_addr(struct span *s, const struct cof_addr *first,
                                 const struct cof_addr *last, struct cof_error *err)
{
  if ((first->family != 4 && first->family != 6) || first->family != last->family)
    return cof_fail(err, COF_REJECT, "expected two addresses of one family, got families %u and %u",
                    first->family, last->family);
  size_t len = cof_addr_len(first);
  if (memcmp(first->bytes, last->bytes, len) > 0)
    return cof_fail(err, COF_REJECT, "the first address is above the last one");
  s->lower[0] = s->upper[0] = KEY_REVERSE;
  s->lower[1] = s->upper[1] = first->family == 4 ? KEY_ADDR4 : KEY_ADDR6;
  memcpy(s->lower + 2, first->bytes, len);
  memcpy(s->upper + 2, last->bytes, len);
  s->lower_len = s->upper_len = 2 + len;
  key_successor(s->upper, &s->upper_len);
  return COF_OK;
}

static void add_target(struct span spans[SPANS_MAX], size_t *count, const struct key_target *t)
{
  struct span *s = &spans[*count];
  s->lower[0] = KEY_REVERSE;
  s->lower[1] = (uint8_t)t->class;
  memcpy(s->lower + 2, t->bytes, t->len);
  s->lower_len = 2 + t->len;
  span_prefix(s);
  for (size_t i = 0; i < *count; i++)
    if (spans[i].lower_len == s->lower_len && memcmp(spans[i].lower, s->lower, s->lower_len) == 0)
      return;
  ++*count;
}

/* A text is indexed by what its type looks up: so by each target that it has under any type. */
static enum cof_result span_text(struct span spans[SPANS_MAX], size_t *count, const char *text,
                                 struct cof_error *err)
{
  size_t len = strlen(text), seen_count = 0;
  struct {
    enum cof_target_kind kind;
    size_t offset, length;
  } seen[SPANS_MAX];
  if (len > COF_RDATA_MAX)
    return cof_fail(err, COF_REJECT, "the text asked for is longer than %d octets", COF_RDATA_MAX);
  *count = 0;
  for (unsigned type = 0; type < TARGET_TYPES && *count < SPANS_MAX; type++) {
    size_t offset = 0, length = 0, i = 0;
    enum cof_target_kind kind = cof_rdata_target((uint16_t)type, text, len, &offset, &length);
    while (i < seen_count && kind != COF_TARGET_ADDR &&
           (seen[i].kind != kind || seen[i].offset != offset || seen[i].length != length))
      i++;
    if (i < seen_count && kind != COF_TARGET_ADDR)
      continue;
    if (kind != COF_TARGET_ADDR && seen_count < SPANS_MAX) {
      seen[seen_count].kind = kind;
      seen[seen_count].offset = offset;
      seen[seen_count++].length = length;
    }
    struct key_target target;
    if (key_target(&target, (uint16_t)type, text, len))
      add_target(spans, count, &target);
  }
  return COF_OK;
}

enum cof_result spans_make(const struct cof_query *q, struct span spans[SPANS_MAX], size_t *count,
                           struct cof_error *err)
{
  *count = 1;
  if (q->kind != COF_QUERY_RDATA_ADDR && q->kind != COF_QUERY_ALL && q->name == NULL)
    return cof_fail(err, COF_REJECT, "the question has no name");
  switch (q->kind) {
  case COF_QUERY_RRNAME:
  case COF_QUERY_SUBDOMAINS:
    return span_forward(spans, q, err);
  case COF_QUERY_RDATA_NAME:
    return span_name(spans, q->name, false, err);
  case COF_QUERY_RDATA_SUBDOMAINS:
    return span_name(spans, q->name, true, err);
  case COF_QUERY_RDATA_ADDR:
    return span_addr(spans, &q->first, &q->last, err);
  case COF_QUERY_RDATA_TEXT:
    return span_text(spans, count, q->name, err);
  case COF_QUERY_ALL:
    return span_all(spans, q);
  default:
    return cof_fail(err, COF_UNSUPPORTED, "questions of kind %d are not known here", (int)q->kind);
  }
}
