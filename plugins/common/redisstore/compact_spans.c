/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_query_private.h"

/* Beyond the highest type whose rdata has a target within it. */
#define TARGET_TYPES 512

void span_prefix(struct span *s)
{
  size_t len = s->lower_len;
  memcpy(s->upper, s->lower, len);
  s->upper_len = ck_successor(s->upper, &len) ? (uint8_t)len : 0;
}

bool span_holds(const struct span *s, const uint8_t *field, size_t len)
{
  return s->upper_len == 0 || ck_compare(field, len, s->upper, s->upper_len) < 0;
}

static void span_group(struct span *s, const uint8_t *group, size_t len)
{
  s->lower_len = (uint8_t)ck_group(s->lower, group, len);
  span_prefix(s);
}

static enum cof_result bad_name(struct cof_error *err)
{
  return cof_fail(err, COF_REJECT, "the name asked for is not a canonical domain name");
}

/* Names below another one begin with its labels; of long ones the head has to do. */
static enum cof_result span_below(struct span *s, const char *name, struct cof_error *err)
{
  uint8_t key[CK_NAME_MAX];
  size_t len = ck_name(key, name, strlen(name));
  if (len-- == 0)
    return bad_name(err);
  s->lower_len = (uint8_t)(len < CK_GROUP ? len : CK_GROUP);
  memcpy(s->lower, key, s->lower_len);
  span_prefix(s);
  return COF_OK;
}

static enum cof_result span_name(struct span *s, const char *name, bool target,
                                 struct cof_error *err)
{
  uint8_t key[1 + CK_NAME_MAX] = {CK_NAME};
  size_t len = ck_name(key + target, name, strlen(name));
  if (len == 0)
    return bad_name(err);
  span_group(s, key, target + len);
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
  s->lower[0] = first->family == 4 ? CK_ADDR4 : CK_ADDR6;
  s->lower_len = (uint8_t)(1 + len);
  memcpy(s->lower + 1, last->bytes, len);
  span_prefix(s);
  memcpy(s->lower + 1, first->bytes, len);
  return COF_OK;
}

/* A text is indexed by what its type looks up: so by each target that it has under any type. */
static enum cof_result span_text(struct span spans[SPANS_MAX], size_t *count, const char *text,
                                 struct cof_error *err)
{
  uint8_t key[1 + CK_NAME_MAX];
  size_t len = strlen(text);
  if (len > COF_RDATA_MAX)
    return cof_fail(err, COF_REJECT, "the text asked for is longer than %d octets", COF_RDATA_MAX);
  *count = 0;
  for (unsigned type = 0; type < TARGET_TYPES && *count < SPANS_MAX; type++) {
    struct span *s = &spans[*count];
    size_t key_len = ck_target(key, (uint16_t)type, text, len), i = 0;
    if (key_len == 0)
      continue;
    span_group(s, key, key_len);
    while (i < *count && (spans[i].lower_len != s->lower_len ||
                          memcmp(spans[i].lower, s->lower, s->lower_len) != 0))
      i++;
    *count += i == *count;
  }
  return COF_OK;
}

enum cof_result spans_make(const struct cof_query *q, struct span spans[SPANS_MAX], size_t *count,
                           struct cof_error *err)
{
  *count = 1;
  memset(spans, 0, SPANS_MAX * sizeof *spans);
  if (q->kind != COF_QUERY_RDATA_ADDR && q->kind != COF_QUERY_ALL && q->name == NULL)
    return cof_fail(err, COF_REJECT, "the question has no name");
  switch (q->kind) {
  case COF_QUERY_RRNAME:
    return span_name(spans, q->name, false, err);
  case COF_QUERY_SUBDOMAINS:
    return span_below(spans, q->name, err);
  case COF_QUERY_RDATA_NAME:
    return span_name(spans, q->name, true, err);
  case COF_QUERY_RDATA_ADDR:
    return span_addr(spans, &q->first, &q->last, err);
  case COF_QUERY_RDATA_TEXT:
    return span_text(spans, count, q->name, err);
  case COF_QUERY_ALL:
    return COF_OK;
  default:
    return cof_fail(err, COF_UNSUPPORTED, "questions of kind %d are not known here", (int)q->kind);
  }
}

/* --- tokens ---------------------------------------------------------------------------------- */

#define TOKEN_VERSION 1
#define TOKEN_HEAD    (1 + 8 + 1 + 1)

enum { TOKEN_PARTIAL = 1, TOKEN_AFTER = 2, TOKEN_INNER_AFTER = 4 };

static size_t put_place(uint8_t *out, const struct place *place)
{
  out[0] = place->len;
  memcpy(out + 1, place->field, place->len);
  return 1u + place->len;
}

size_t cursor_token(const struct cursor *c, uint8_t *buf, size_t cap)
{
  if (cap < TOKEN_HEAD + 2 * (1 + CK_FIELD_MAX))
    return 0;
  buf[0] = TOKEN_VERSION;
  for (int i = 0; i < 8; i++)
    buf[1 + i] = (uint8_t)(c->question >> (8 * i));
  buf[9] = (uint8_t)c->span;
  buf[10] = (uint8_t)((c->partial ? TOKEN_PARTIAL : 0) | (c->place.after ? TOKEN_AFTER : 0) |
                      (c->inner.after ? TOKEN_INNER_AFTER : 0));
  size_t len = TOKEN_HEAD + put_place(buf + TOKEN_HEAD, &c->place);
  return c->partial ? len + put_place(buf + len, &c->inner) : len;
}

static bool get_place(const uint8_t **p, const uint8_t *end, bool after, struct place *out)
{
  if (*p == end || **p > CK_FIELD_MAX || **p > end - *p - 1)
    return false;
  place_at(out, *p + 1, **p, after);
  *p += 1 + out->len;
  return true;
}

enum cof_result cursor_resume(struct cursor *c, const uint8_t *token, size_t len,
                              struct cof_error *err)
{
  uint64_t question = 0;
  const uint8_t *p = token + TOKEN_HEAD, *end = token + len;
  if (len < TOKEN_HEAD || token[0] != TOKEN_VERSION)
    return cof_fail(err, COF_REJECT, "the resume token is not one of this storage");
  for (int i = 0; i < 8; i++)
    question |= (uint64_t)token[1 + i] << (8 * i);
  if (question != c->question || token[9] > c->spans_count)
    return cof_fail(err, COF_REJECT, "the resume token belongs to another question");
  c->span = token[9];
  c->partial = (token[10] & TOKEN_PARTIAL) != 0;
  if (!get_place(&p, end, (token[10] & TOKEN_AFTER) != 0, &c->place) ||
      (c->partial && !get_place(&p, end, (token[10] & TOKEN_INNER_AFTER) != 0, &c->inner)) ||
      p != end)
    return cof_fail(err, COF_REJECT, "the resume token is cut short");
  if (c->span < c->spans_count) {
    const struct span *s = &c->spans[c->span];
    if (ck_compare(c->place.field, c->place.len, s->lower, s->lower_len) < 0)
      return cof_fail(err, COF_REJECT, "the resume token lies outside of the question");
  }
  return COF_OK;
}
