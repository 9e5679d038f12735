/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A set lives as long as its youngest record, so where records expire it keeps members whose times
 * are gone. Each write of such a record looks at a few members of its sets, at random, and takes
 * the dead ones out: sets stay mostly alive, at a bounded cost.
 *
 * Another writer may bring a record back between the look and the removal. It writes times before
 * members; so after the removal the times are looked at again, and members put back where there are
 * some.
 */
#include "config.h"

#include "d4_private.h"

#include <stdlib.h>
#include <string.h>

/* Sets that one batch looks at, and members of each. */
#define SWEEP_SETS    512
#define SWEEP_MEMBERS 3

struct suspect {
  struct sweep *sweep;
  struct d4_text name, v;
  uint16_t rrtype;
  bool alive;
};

/* A set that is looked at. */
struct look {
  struct sweep *sweep;
  struct d4_text text;
  uint16_t rrtype;
  char kind;
};

struct sweep {
  struct resp *client;
  struct cof_batch *arena;
  struct look looks[SWEEP_SETS];
  size_t looks_count;
  struct suspect suspects[SWEEP_SETS * SWEEP_MEMBERS];
  size_t suspects_count;
  bool failed;
};

struct sweep *d4_sweep_create(struct resp *client)
{
  struct sweep *w = calloc(1, sizeof *w);
  if (w == NULL)
    return NULL;
  w->client = client;
  w->arena = cof_batch_create();
  if (w->arena == NULL)
    d4_sweep_destroy(&w);
  return w;
}

void d4_sweep_destroy(struct sweep **sweep)
{
  if (*sweep == NULL)
    return;
  cof_batch_destroy(&(*sweep)->arena);
  free(*sweep);
  *sweep = NULL;
}

void d4_sweep_add(struct sweep *w, char kind, struct d4_text text, uint16_t rrtype)
{
  if (w->looks_count < SWEEP_SETS && (kind == 'r' || !d4_partial_target(rrtype)))
    w->looks[w->looks_count++] = (struct look){w, text, rrtype, kind};
}

static enum resp_result run(struct sweep *w, struct cof_error *err)
{
  if (!w->failed)
    return resp_run(w->client, 0, err);
  resp_forget(w->client);
  cof_fail(err, COF_RETRY, "out of memory");
  return RESP_PASSING;
}

static bool take_members(void *arg, const redisReply *reply)
{
  const struct look *look = arg;
  struct sweep *w = look->sweep;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
    return resp_is_error(reply, "WRONGTYPE");
  for (size_t i = 0; i < reply->elements && i < SWEEP_MEMBERS; i++) {
    const redisReply *member = reply->element[i];
    char *copy = member->str != NULL ? cof_batch_alloc(w->arena, member->len) : NULL;
    if (copy == NULL) {
      w->failed = true;
      return true;
    }
    memcpy(copy, member->str, member->len);
    struct d4_text text = {copy, member->len};
    w->suspects[w->suspects_count++] =
        (struct suspect){.sweep = w,
                         .name = look->kind == 'r' ? look->text : text,
                         .v = look->kind == 'r' ? text : look->text,
                         .rrtype = look->rrtype};
  }
  return true;
}

static enum resp_result look_at_members(struct sweep *w, struct cof_error *err)
{
  for (size_t i = 0; i < w->looks_count; i++) {
    resp_begin(w->client, 3, 1);
    resp_arg(w->client, "SRANDMEMBER", 11);
    d4_arg_set(w->client, w->looks[i].kind, w->looks[i].text, w->looks[i].rrtype);
    resp_arg_int(w->client, SWEEP_MEMBERS);
    w->failed |= !resp_end(w->client, take_members, &w->looks[i]);
  }
  return run(w, err);
}

static bool take_exists(void *arg, const redisReply *reply)
{
  struct suspect *s = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer != 0)
    s->alive = true;
  return false;
}

/* Look for times of all that are not known to be alive. */
static enum resp_result look_at_times(struct sweep *w, struct cof_error *err)
{
  static const char kinds[] = {'s', 'l'};
  for (size_t i = 0; i < w->suspects_count; i++) {
    struct suspect *s = &w->suspects[i];
    for (size_t k = 0; k < sizeof kinds; k++) {
      resp_begin(w->client, 2, 1);
      resp_arg(w->client, "EXISTS", 6);
      d4_arg_triple(w->client, kinds[k], s->name, s->v, s->rrtype);
      w->failed |= !resp_end(w->client, take_exists, s);
    }
  }
  return run(w, err);
}

static void change_members(struct sweep *w, const char *command, const struct suspect *s)
{
  const struct d4_text sets[] = {s->name, s->v}, members[] = {s->v, s->name};
  /* A target among other fields may be indexed for another record of the name: that one stays. */
  size_t count = d4_partial_target(s->rrtype) ? 1 : 2;
  for (size_t i = 0; i < count; i++) {
    resp_begin(w->client, 3, 1);
    resp_arg_str(w->client, command);
    d4_arg_set(w->client, i == 0 ? 'r' : 'v', sets[i], s->rrtype);
    resp_arg(w->client, members[i].at, members[i].len);
    w->failed |= !resp_end(w->client, NULL, NULL);
  }
}

enum resp_result d4_sweep_run(struct sweep *w, struct cof_error *err)
{
  enum resp_result result = look_at_members(w, err);
  if (result == RESP_OK)
    result = look_at_times(w, err);
  if (result != RESP_OK)
    return result;
  size_t dead = 0;
  for (size_t i = 0; i < w->suspects_count; i++)
    if (!w->suspects[i].alive)
      w->suspects[dead++] = w->suspects[i];
  w->suspects_count = dead;
  for (size_t i = 0; i < dead; i++)
    change_members(w, "SREM", &w->suspects[i]);
  result = run(w, err);
  if (result == RESP_OK)
    result = look_at_times(w, err);
  for (size_t i = 0; i < dead && result == RESP_OK; i++)
    if (w->suspects[i].alive)
      change_members(w, "SADD", &w->suspects[i]);
  return result == RESP_OK ? run(w, err) : result;
}
