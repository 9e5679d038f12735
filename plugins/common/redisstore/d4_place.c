/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_cursor_private.h"

#include <stdlib.h>
#include <string.h>

/* Version, question, whether it streams, the set, two types, and the length of each text. */
#define TOKEN_VERSION 1
#define HEAD_LEN      (1 + 8 + 1 + 8 + 2 + 2 + 4 * PLACE_TEXTS)

static uint8_t *put(uint8_t *at, uint64_t n, int octets)
{
  for (int i = 0; i < octets; i++)
    *at++ = (uint8_t)(n >> (8 * i));
  return at;
}

static uint64_t get(const uint8_t **at, int octets)
{
  uint64_t n = 0;
  for (int i = 0; i < octets; i++)
    n |= (uint64_t) * (*at)++ << (8 * i);
  return n;
}

bool d4_hashes_add(struct d4_hashes *h, uint64_t hash)
{
  if (h->room - h->len < 4) {
    size_t room = h->room != 0 ? 2 * h->room : 1024;
    uint8_t *more = realloc(h->at, room);
    if (more == NULL)
      return false;
    h->at = more;
    h->room = room;
  }
  put(h->at + h->len, hash, 4);
  h->len += 4;
  return true;
}

bool d4_hashes_set(struct d4_hashes *h, struct d4_text text)
{
  h->len = 0;
  for (size_t i = 0; i + 4 <= text.len; i += 4) {
    const uint8_t *at = (const uint8_t *)text.at + i;
    if (!d4_hashes_add(h, get(&at, 4)))
      return false;
  }
  return true;
}

bool d4_hashes_have(const struct d4_hashes *h, uint64_t hash)
{
  uint8_t wanted[4];
  put(wanted, hash, 4);
  for (size_t i = 0; i < h->len; i += 4)
    if (memcmp(h->at + i, wanted, 4) == 0)
      return true;
  return false;
}

size_t d4_place_put(const struct d4_place *p, uint64_t question, uint8_t *buf, size_t cap)
{
  size_t len = HEAD_LEN;
  for (size_t i = 0; i < PLACE_TEXTS; i++)
    len += p->texts[i].len;
  if (len > cap)
    return 0;
  uint8_t *at = put(buf, TOKEN_VERSION, 1);
  at = put(at, question, 8);
  at = put(at, (uint64_t)p->streaming | (uint64_t)p->begun << 1, 1);
  at = put(at, p->source_hash, 8);
  at = put(at, p->source_type, 2);
  at = put(at, p->rrtype, 2);
  for (size_t i = 0; i < PLACE_TEXTS; i++)
    at = put(at, p->texts[i].len, 4);
  for (size_t i = 0; i < PLACE_TEXTS; i++) {
    if (p->texts[i].len != 0)
      memcpy(at, p->texts[i].at, p->texts[i].len);
    at += p->texts[i].len;
  }
  return len;
}

enum cof_result d4_place_get(struct d4_place *p, uint64_t question, const uint8_t *buf, size_t len,
                             struct cof_error *err)
{
  const uint8_t *at = buf;
  if (len < HEAD_LEN || get(&at, 1) != TOKEN_VERSION)
    return cof_fail(err, COF_REJECT, "the resume token is not one of this storage");
  if (get(&at, 8) != question)
    return cof_fail(err, COF_REJECT, "the resume token belongs to another question");
  uint64_t flags = get(&at, 1);
  p->streaming = (flags & 1) != 0;
  p->begun = (flags & 2) != 0;
  p->source_hash = get(&at, 8);
  p->source_type = (uint16_t)get(&at, 2);
  p->rrtype = (uint16_t)get(&at, 2);
  size_t left = len - HEAD_LEN;
  for (size_t i = 0; i < PLACE_TEXTS; i++) {
    p->texts[i].len = get(&at, 4);
    if (p->texts[i].len > left)
      return cof_fail(err, COF_REJECT, "the resume token is broken");
    left -= p->texts[i].len;
  }
  if (left != 0 || p->texts[PLACE_NAME].len > COF_NAME_MAX ||
      p->texts[PLACE_RDATA].len > COF_RDATA_MAX)
    return cof_fail(err, COF_REJECT, "the resume token is broken");
  p->block = malloc(len);
  if (p->block == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  memcpy(p->block, at, len - HEAD_LEN);
  char *text = p->block;
  for (size_t i = 0; i < PLACE_TEXTS; i++) {
    p->texts[i].at = text;
    text += p->texts[i].len;
  }
  return COF_OK;
}
