/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_probe_private.h"

#include "d4_cursor_private.h"

bool d4_probe_wanted(const struct store *s, struct d4_text cursor)
{
  return s->flavour->kvrocks && cursor.len != 0 && !(cursor.len == 1 && cursor.at[0] == '0');
}

/* The first key or member of an answer to SCAN or SSCAN; NULL: there is none. */
static const redisReply *first_of(const redisReply *reply)
{
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
      reply->element[1]->type != REDIS_REPLY_ARRAY || reply->element[1]->elements == 0)
    return NULL;
  const redisReply *first = reply->element[1]->element[0];
  return first->type == REDIS_REPLY_STRING ? first : NULL;
}

static uint64_t hash_of(const redisReply *text)
{
  return d4_hash((struct d4_text){text->str, text->len});
}

void d4_probe_page(struct d4_probe *probe, const redisReply *reply)
{
  const redisReply *first = first_of(reply);
  probe->known = first != NULL;
  if (first != NULL)
    probe->first = hash_of(first);
}

bool d4_probe_take(void *arg, const redisReply *reply)
{
  struct d4_probe *probe = arg;
  const redisReply *first = first_of(reply);
  probe->forgotten = probe->known && first != NULL && hash_of(first) == probe->first;
  return resp_is_error(reply, "WRONGTYPE");
}

enum cof_result d4_begin_again(struct cof_error *err)
{
  return cof_fail(err, COF_FATAL,
                  "the server was replaced or started again while it was read; read it from the "
                  "beginning again");
}
