/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Pages lose what expired when they are full. An ordered tree never is; so each write also reads on
 * where the last one stopped, twice as many entries of each tree as it wrote to it, and removes
 * those beyond their time: where as many expire as come, about a quarter of the entries is dead.
 *
 * The place is kept in the database, for the next writer to go on there. Several at once overwrite
 * it: then some is looked at twice.
 */
#include "compact_private.h"

#include <stdlib.h>

#define KEY "cofd:swept"
/* Entries that are looked at anyway. */
#define LEAST 16

/* A stretch of one tree. */
struct stretch {
  struct compact *c;
  enum ck_tree tree;
  struct range range;
  struct page *page;
  bool strange, no_memory, no_script;
  const struct entry **gone;
  size_t gone_count;
  int64_t removed;
};

static bool take_places(void *arg, const redisReply *reply)
{
  struct compact *c = arg;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != CK_TREES)
    return false;
  for (size_t i = 0; i < CK_TREES; i++) {
    const redisReply *r = reply->element[i];
    if (r->type != REDIS_REPLY_STRING || r->len > CK_FIELD_MAX)
      continue;
    c->trees[i].swept_len = (uint8_t)r->len;
    memcpy(c->trees[i].swept, r->str, r->len);
  }
  return false;
}

/* Where a sweep ended before this instance began. */
static enum resp_result read_places(struct compact *c, struct resp *client, struct cof_error *err)
{
  static const char *const argv[] = {"HMGET", KEY, "f", "r"};
  if (c->swept_known)
    return RESP_OK;
  enum resp_result result =
      compact_run(client, resp_append(client, 1, argv, 4, take_places, c), err);
  c->swept_known = result == RESP_OK;
  return result;
}

static bool ask_places(const struct compact *c, struct resp *client)
{
  static const char *const fields[CK_TREES] = {"f", "r"};
  resp_begin(client, 2 + 2 * CK_TREES, 1);
  resp_arg_str(client, "HSET");
  resp_arg_str(client, KEY);
  for (size_t i = 0; i < CK_TREES; i++) {
    resp_arg_str(client, fields[i]);
    resp_arg(client, c->trees[i].swept, c->trees[i].swept_len);
  }
  return resp_end(client, NULL, NULL);
}

static bool take_stretch(void *arg, const redisReply *reply)
{
  struct stretch *s = arg;
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    return false;
  s->page = range_parse(&s->range, reply, &s->strange);
  s->no_memory = s->page == NULL && !s->strange;
  return false;
}

static bool take_removed(void *arg, const redisReply *reply)
{
  struct stretch *s = arg;
  s->no_script = reply != NULL && resp_is_error(reply, "NOSCRIPT");
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
    s->removed = reply->integer;
  return s->no_script;
}

/* What expired among what was read. False: out of memory. */
static bool choose(struct stretch *s)
{
  const struct page *p = s->page;
  int64_t now = compact_now();
  s->gone = calloc(p->count + 1, sizeof *s->gone);
  for (size_t i = 0; s->gone != NULL && i < p->count; i++)
    if (entry_expired(s->c, s->tree, &p->entries[i], now))
      s->gone[s->gone_count++] = &p->entries[i];
  return s->gone != NULL;
}

/* Only those that nobody has changed since they were read. */
static bool ask_drop(struct stretch *s, struct resp *client, bool whole)
{
  char key[CP_KEY_LEN + 1];
  if (s->gone_count == 0)
    return true;
  page_key(key, s->tree, CP_LEAF);
  script_begin(s->c, client, SCRIPT_DROP, whole, key, 2 * s->gone_count);
  for (size_t i = 0; i < s->gone_count; i++) {
    resp_arg(client, s->gone[i]->field, s->gone[i]->field_len);
    resp_arg(client, s->gone[i]->value, s->gone[i]->value_len);
  }
  return resp_end(client, take_removed, s);
}

static enum resp_result read_stretches(struct compact *c, struct resp *client, size_t most,
                                       struct stretch list[CK_TREES], struct cof_error *err)
{
  bool good = true;
  for (enum ck_tree i = 0; good && i < CK_TREES; i++) {
    const struct tree *t = &c->trees[i];
    list[i] = (struct stretch){
        .c = c, .tree = i, .range = {.lower = t->swept, .lower_len = t->swept_len, .most = most}};
    good = range_ask(client, i, &list[i].range, take_stretch, &list[i]);
  }
  enum resp_result result = compact_run(client, good, err);
  for (size_t i = 0; result == RESP_OK && i < CK_TREES; i++) {
    if (list[i].strange) {
      cof_fail(err, COF_RETRY, "the answer to HRANGEBYLEX is no list of fields and values");
      return RESP_PASSING;
    }
    if (list[i].no_memory || !choose(&list[i]))
      return compact_no_memory(err);
  }
  return result;
}

static enum resp_result drop(struct compact *c, struct resp *client, struct stretch list[CK_TREES],
                             struct cof_error *err)
{
  bool good = true, whole = false;
  for (size_t i = 0; i < CK_TREES; i++) {
    struct tree *t = &c->trees[i];
    const struct page *p = list[i].page;
    t->swept_len = p->high_len; /* none: from the beginning again */
    memcpy(t->swept, p->high, p->high_len);
    good = good && ask_drop(&list[i], client, false);
  }
  enum resp_result result = compact_run(client, good && ask_places(c, client), err);
  for (size_t i = 0; result == RESP_OK && good && i < CK_TREES; i++)
    if (list[i].no_script) {
      whole = true;
      good = ask_drop(&list[i], client, true);
    }
  return result == RESP_OK && whole ? compact_run(client, good, err) : result;
}

static enum resp_result sweep(struct compact *c, struct resp *client, size_t most, int64_t *records,
                              struct cof_error *err)
{
  struct stretch list[CK_TREES] = {{.c = NULL}};
  enum resp_result result = read_stretches(c, client, most, list, err);
  if (result == RESP_OK)
    result = drop(c, client, list, err);
  if (result == RESP_OK)
    *records -= list[CK_FORWARD].removed;
  for (size_t i = 0; i < CK_TREES; i++) {
    free(list[i].page);
    free(list[i].gone);
  }
  return result;
}

enum resp_result sweep_run(struct compact *c, struct resp *client, size_t written, int64_t *records,
                           struct cof_error *err)
{
  size_t left = written + LEAST;
  if (!c->trees[CK_FORWARD].ordered || c->store->expiries_count == 0)
    return RESP_OK;
  enum resp_result result = read_places(c, client, err);
  while (result == RESP_OK && left > 0) {
    size_t most = left < CP_RANGE ? left : CP_RANGE;
    result = sweep(c, client, most, records, err);
    left -= most;
  }
  return result;
}
