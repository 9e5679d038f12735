/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "query_private.h"

#include <string.h>

#define TOKEN_VERSION 1
#define TOKEN_HEAD    (1 + 8 + 1)

_Static_assert(TOKEN_HEAD + KEY_MAX <= COF_TOKEN_MAX, "a token holds the longest key");

size_t token_put(const struct cursor *c, uint8_t *buf, size_t cap)
{
  size_t len = TOKEN_HEAD + c->position.len;
  if (len > cap)
    return 0;
  buf[0] = TOKEN_VERSION;
  for (int i = 0; i < 8; i++)
    buf[1 + i] = (uint8_t)(c->question >> (8 * i));
  buf[9] = (uint8_t)c->span;
  if (c->position.len != 0)
    memcpy(buf + TOKEN_HEAD, c->position.bytes, c->position.len);
  return len;
}

static int compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
  int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

enum cof_result token_get(struct cursor *c, const uint8_t *token, size_t len, struct cof_error *err)
{
  uint64_t question = 0;
  if (len < TOKEN_HEAD || len > TOKEN_HEAD + KEY_MAX || token[0] != TOKEN_VERSION)
    return cof_fail(err, COF_REJECT, "the resume token is not one of this storage");
  for (int i = 0; i < 8; i++)
    question |= (uint64_t)token[1 + i] << (8 * i);
  if (question != c->question || token[9] >= c->spans_count)
    return cof_fail(err, COF_REJECT, "the resume token belongs to another question");
  const struct span *s = &c->spans[token[9]];
  const uint8_t *key = token + TOKEN_HEAD;
  len -= TOKEN_HEAD;
  c->span = token[9];
  if (len == 0)
    return COF_OK;
  if (compare(key, len, s->lower, s->lower_len) < 0 ||
      compare(key, len, s->upper, s->upper_len) >= 0)
    return cof_fail(err, COF_REJECT, "the resume token lies outside of the question");
  return key_buf_set(&c->position, key, len) ? COF_OK : cof_fail(err, COF_RETRY, "out of memory");
}
