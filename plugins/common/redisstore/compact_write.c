/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_private.h"

#include <stdlib.h>

#define ROUNDS_MAX 200
/* Most records that one round writes to one page. What an ordered tree gets goes in parts of
   CP_RANGE, all in one round. */
#define GROUP_MAX 256
/* How many entries this writer adds before it asks again how many there are. */
#define ADDED_MAX 16

/* An entry on its way. */
struct item {
  const struct cof_record *record;
  struct ck_field field; /* its tail is gone after encoding; a near one ends `value` */
  uint64_t page;         /* where it is to go; 0: to be looked up */
  uint8_t tree;
  bool done, added, created;
  uint8_t value_len, old_len;
  uint8_t value[CK_VALUE_MAX]; /* to create */
  uint8_t *old;                /* what was there; malloced */
};

/* Neighbours that go to one page. */
struct group {
  struct writer *w;
  struct item **items;
  size_t count;
  uint64_t page;
  uint8_t tree;
  uint8_t high_len;
  bool headed, missing, no_script, changed;
  uint8_t head[CP_HEAD_LEN], high[CK_FIELD_MAX];
  long long added, length; /* HLEN, or -1 */
};

struct writer {
  struct compact *c;
  struct resp *client;
  struct item *items;
  struct item **order;  /* by tree and field */
  struct item **chosen; /* of the groups of a round */
  size_t count;
  uint8_t *key;
  size_t key_room;
  struct group *groups;
  size_t groups_count;
  struct work_list work;
  int64_t records; /* made, less removed */
  unsigned lost;   /* rounds in a row that met a missing page */
  int64_t now;
  struct refusal {
    size_t index;
    const char *why;
  } * refused;
  size_t refused_count;
};

/* --- encoding -------------------------------------------------------------------------------- */

static bool key_room(struct writer *w, size_t need)
{
  if (need <= w->key_room)
    return true;
  free(w->key);
  w->key = malloc(need);
  w->key_room = w->key != NULL ? need : 0;
  return w->key != NULL;
}

/* A far tail goes first, so that who finds its entry finds it too. */
static bool ask_tail(struct writer *w, const struct item *it)
{
  char key[CP_TAIL_KEY_LEN];
  const struct ck_field *f = &it->field;
  int64_t ttl = store_expiry(w->c->store, it->record->rrtype);
  int64_t ahead = it->record->time_last > w->now ? it->record->time_last - w->now : 0;
  bool expires = ttl != 0 && ahead < EXPIRE_SECONDS;
  tail_key(key, (enum ck_tree)it->tree, f->field);
  resp_begin(w->client, expires ? 5 : 3, 1);
  resp_arg_str(w->client, "SET");
  resp_arg(w->client, key, sizeof key);
  resp_arg(w->client, f->tail, f->tail_len);
  if (expires) {
    resp_arg_str(w->client, "EX");
    resp_arg_int(w->client, ttl + ahead + 2 * 86400);
  }
  return resp_end(w->client, NULL, NULL);
}

static bool encode_item(struct writer *w, struct item *it, enum ck_tree tree,
                        const struct cof_record *r, const uint8_t *key, size_t len, size_t group)
{
  struct cof_record settled = *r;
  it->record = r;
  it->tree = (uint8_t)tree;
  ck_field(&it->field, tree, key, len, group);
  settled.count = r->count > r->total ? r->count : r->total;
  uint64_t stamp = store_expiry(w->c->store, r->rrtype) != 0 ? (uint64_t)w->now / 3600 : 0;
  if (tree == CK_FORWARD)
    it->value_len = (uint8_t)ck_value_put(it->value, &settled, &it->field);
  else
    it->value_len = (uint8_t)ck_pointer_put(it->value, stamp, &it->field);
  return (it->field.flags & CK_FAR) == 0 || ask_tail(w, it);
}

static const char *check_record(const struct cof_record *r)
{
  if (r->time_first < 0 || r->time_first > r->time_last || r->time_last > COF_TIME_MAX)
    return "times are out of range";
  if (r->count > COF_COUNT_MAX || r->total > COF_COUNT_MAX)
    return "counts are out of range";
  return NULL;
}

/* Both entries of a record. False: out of memory. */
static bool encode_record(struct writer *w, size_t index, const struct cof_record *r)
{
  uint8_t reverse[2 * CK_NAME_MAX + 3];
  size_t group, reverse_group = 0, name_len, len = 0, reverse_len = 0;
  const char *why = check_record(r);
  if (!key_room(w, CK_NAME_MAX + 2 + 16 + (size_t)r->rdata_len))
    return false;
  if (why == NULL) {
    len = ck_forward(w->key, r, &group, &why);
    name_len = group;
    if (len != 0)
      reverse_len = ck_reverse(reverse, r, w->key, name_len, &reverse_group, &why);
  }
  if (reverse_len == 0) {
    w->refused[w->refused_count++] = (struct refusal){index, why};
    return true;
  }
  struct item *it = &w->items[w->count];
  w->count += 2;
  return encode_item(w, it, CK_FORWARD, r, w->key, len, group) &&
         encode_item(w, it + 1, CK_REVERSE, r, reverse, reverse_len, reverse_group);
}

/* An item with the beginning of its field, which decides most comparisons. */
struct sorting {
  uint64_t head[2];
  struct item *item;
};

static int by_field(const void *a, const void *b)
{
  const struct sorting *x = a, *y = b;
  for (int i = 0; i < 2; i++)
    if (x->head[i] != y->head[i])
      return x->head[i] < y->head[i] ? -1 : 1;
  const struct ck_field *f = &x->item->field, *g = &y->item->field;
  return ck_compare(f->field, f->len, g->field, g->len);
}

/* In the order of places. Records of one name, type and target share their reverse entry. */
static bool sort_items(struct writer *w)
{
  size_t half = w->count / 2, count = 0;
  struct sorting *list = malloc((half + 1) * sizeof *list);
  if (list == NULL)
    return false;
  for (size_t tree = 0; tree < CK_TREES; tree++) {
    for (size_t i = 0; i < half; i++) {
      struct item *it = &w->items[2 * i + tree];
      list[i].item = it; /* fields are zero beyond their end */
      list[i].head[0] = id_get(it->field.field);
      list[i].head[1] = id_get(it->field.field + 8);
    }
    qsort(list, half, sizeof *list, by_field);
    for (size_t i = 0; i < half; i++)
      if (i == 0 || by_field(&list[i - 1], &list[i]) != 0)
        w->order[count++] = list[i].item;
  }
  w->count = count;
  free(list);
  return true;
}

static bool encode(struct writer *w, const struct cof_batch *batch)
{
  size_t count = cof_batch_count(batch);
  w->items = calloc(2 * count + 1, sizeof *w->items);
  w->order = calloc(2 * count + 1, sizeof(struct item *));
  w->chosen = calloc(2 * count + 1, sizeof(struct item *));
  w->groups = calloc(2 * count + 1, sizeof *w->groups);
  w->refused = calloc(count + 1, sizeof *w->refused);
  if (w->items == NULL || w->order == NULL || w->chosen == NULL || w->groups == NULL ||
      w->refused == NULL)
    return false;
  for (size_t i = 0; i < count; i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    if (r->verdict == COF_KEEP && !encode_record(w, i, r))
      return false;
  }
  return sort_items(w);
}

/* --- where entries go ------------------------------------------------------------------------ */

static int by_id(const void *a, const void *b)
{
  const uint64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* Look up the pages of all that have none, fetching inner pages many at a time. */
static enum resp_result locate(struct writer *w, struct cof_error *err)
{
  uint64_t *missing = malloc((w->count + 1) * sizeof *missing);
  enum resp_result result = missing != NULL ? RESP_OK : compact_no_memory(err);
  for (int round = 0; result == RESP_OK; round++) {
    size_t count[CK_TREES] = {0}, used = 0;
    for (size_t i = 0; i < w->count; i++) {
      struct item *it = w->order[i];
      if (it->page != 0)
        continue;
      uint64_t id;
      if (cache_find(&w->c->trees[it->tree], it->field.field, it->field.len, 0, &id)) {
        it->page = id;
      } else if (used == 0 || missing[used - 1] != id || count[it->tree] == 0) {
        missing[used++] = id;
        count[it->tree]++;
      }
    }
    if (used == 0)
      break;
    if (round == ROUNDS_MAX) {
      cof_fail(err, COF_RETRY, "the pages on the way to records do not end");
      result = RESP_PASSING;
    }
    for (size_t t = 0, at = 0; result == RESP_OK && t < CK_TREES; at += count[t++]) {
      qsort(missing + at, count[t], sizeof *missing, by_id);
      if (count[t] != 0)
        result = tree_fetch(&w->c->trees[t], w->client, missing + at, count[t], err);
    }
  }
  free(missing);
  return result;
}

static bool ordered_at(const struct writer *w, uint8_t tree)
{
  return w->c->trees[tree].ordered;
}

/* Of many items for one page some from all over are taken, so that its parts grow alike when it is
   split; the others are looked up anew. */
static struct item **choose(struct writer *w, struct item **next, size_t from, size_t to)
{
  size_t room = ordered_at(w, w->order[from]->tree) ? CP_RANGE : GROUP_MAX, taken = 0;
  size_t count = to - from, most = count < room ? count : room;
  for (size_t i = 0; i < count; i++) {
    if (taken < most && i == taken * count / most) {
      *next++ = w->order[from + i];
      taken++;
    } else {
      w->order[from + i]->page = 0;
    }
  }
  return next;
}

static void make_groups(struct writer *w)
{
  struct item **next = w->chosen;
  w->groups_count = 0;
  for (size_t to, from = 0; from < w->count; from = to) {
    const struct item *first = w->order[from];
    to = from + 1;
    while (to < w->count && w->order[to]->tree == first->tree &&
           w->order[to]->page == first->page &&
           (to - from < CP_RANGE || !ordered_at(w, first->tree)))
      to++;
    struct group *g = &w->groups[w->groups_count++];
    *g = (struct group){
        .w = w, .items = next, .page = first->page, .tree = first->tree, .length = -1};
    next = choose(w, next, from, to);
    g->count = (size_t)(next - g->items);
  }
}

/* --- the first step: create ------------------------------------------------------------------ */

static bool take_created(void *arg, const redisReply *reply)
{
  struct item *it = arg;
  it->created = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
  return false;
}

static bool take_added(void *arg, const redisReply *reply)
{
  struct group *g = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
    g->added += reply->integer;
  return false;
}

static bool take_length(void *arg, const redisReply *reply)
{
  struct group *g = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
    g->length = reply->integer;
  return false;
}

static void take_old(struct item *it, const redisReply *r)
{
  it->old_len = 0;
  if (it->created || r->type != REDIS_REPLY_STRING || r->len == 0 || r->len > CK_VALUE_MAX)
    return;
  if (it->old == NULL)
    it->old = malloc(CK_VALUE_MAX);
  if (it->old == NULL)
    return;
  it->old_len = (uint8_t)r->len;
  memcpy(it->old, r->str, r->len);
}

/* m, h, and what the fields hold. */
static bool take_head(void *arg, const redisReply *reply)
{
  struct group *g = arg;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
    return false;
  const redisReply *m = reply->element[0], *h = reply->element[1];
  g->headed = true;
  g->missing = m->type != REDIS_REPLY_STRING || m->len != CP_HEAD_LEN || m->str[0] != 0 ||
               h->type != REDIS_REPLY_STRING || h->len > CK_FIELD_MAX;
  if (g->missing)
    return false;
  memcpy(g->head, m->str, CP_HEAD_LEN);
  g->high_len = (uint8_t)h->len;
  memcpy(g->high, h->str, h->len);
  for (size_t i = 0; i < g->count && i + 2 < reply->elements; i++)
    take_old(g->items[i], reply->element[i + 2]);
  return false;
}

/* In an ordered tree the script made all that was not there. */
static bool take_new(void *arg, const redisReply *reply)
{
  struct group *g = arg;
  g->no_script = reply != NULL && resp_is_error(reply, "NOSCRIPT");
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    return g->no_script;
  g->headed = true;
  g->missing = reply->type != REDIS_REPLY_ARRAY || reply->elements != g->count;
  for (size_t i = 0; i < g->count && !g->missing; i++) {
    g->items[i]->created = reply->element[i]->type == REDIS_REPLY_NIL;
    take_old(g->items[i], reply->element[i]);
  }
  return false;
}

/* One command in place of many: where pages take a few entries each, this takes hundreds. */
static bool ask_new(struct group *g, bool whole)
{
  struct resp *client = g->w->client;
  char key[CP_KEY_LEN + 1];
  page_key(key, CK_FORWARD, g->page);
  script_begin(g->w->c, client, SCRIPT_NEW, whole, key, 1 + 2 * g->count);
  resp_arg(client, g->head, CP_HEAD_LEN); /* that of a leaf alone: all zero */
  for (size_t i = 0; i < g->count; i++) {
    const struct item *it = g->items[i];
    resp_arg(client, it->field.field, it->field.len);
    resp_arg(client, it->value, it->value_len);
  }
  return resp_end(client, take_new, g);
}

static bool ask_items(struct group *g, struct resp *client, const char *key)
{
  if (g->tree == CK_REVERSE) {
    resp_begin(client, 2 + 2 * g->count, 1);
    resp_arg_str(client, "HSET");
    resp_arg(client, key, CP_KEY_LEN);
    for (size_t i = 0; i < g->count; i++) {
      const struct item *it = g->items[i];
      resp_arg(client, it->field.field, it->field.len);
      resp_arg(client, it->value, it->value_len);
    }
    return resp_end(client, take_added, g);
  }
  for (size_t i = 0; i < g->count; i++) {
    struct item *it = g->items[i];
    resp_begin(client, 4, 1);
    resp_arg_str(client, "HSETNX");
    resp_arg(client, key, CP_KEY_LEN);
    resp_arg(client, it->field.field, it->field.len);
    resp_arg(client, it->value, it->value_len);
    if (!resp_end(client, take_created, it))
      return false;
  }
  return true;
}

static struct leaf_count *leaf_count(const struct group *g)
{
  return &g->w->c->trees[g->tree].counts[g->page & (CP_COUNTS - 1)];
}

static bool ask_length(struct group *g, struct resp *client, const char *key)
{
  const struct leaf_count *n = leaf_count(g);
  if (ordered_at(g->w, g->tree))
    return true;
  if (n->id == g->page && n->added + g->count <= ADDED_MAX && n->count + g->count <= CP_SPLIT)
    return true;
  const char *const argv[] = {"HLEN", key};
  return resp_append(client, 1, argv, 2, take_length, g);
}

static bool ask_create(struct group *g, struct resp *client)
{
  char key[CP_KEY_LEN + 1];
  if (g->tree == CK_FORWARD && ordered_at(g->w, g->tree))
    return ask_new(g, false);
  page_key(key, (enum ck_tree)g->tree, g->page);
  if (!ask_items(g, client, key))
    return false;
  size_t fields = g->tree == CK_FORWARD ? g->count : 0;
  resp_begin(client, 4 + fields, 1);
  resp_arg_str(client, "HMGET");
  resp_arg(client, key, CP_KEY_LEN);
  resp_arg_str(client, "m");
  resp_arg_str(client, "h");
  for (size_t i = 0; i < fields; i++)
    resp_arg(client, g->items[i]->field.field, g->items[i]->field.len);
  return resp_end(client, take_head, g) && ask_length(g, client, key);
}

/* Whether the page is too full now. */
static bool remember_length(struct group *g)
{
  struct leaf_count *n = leaf_count(g);
  if (ordered_at(g->w, g->tree))
    return false;
  if (g->length >= 0)
    *n = (struct leaf_count){.id = g->page, .count = (uint32_t)(g->length > 2 ? g->length - 2 : 0)};
  else if (n->id == g->page) {
    n->count += (uint32_t)g->added;
    n->added += (uint32_t)g->added;
  }
  return !g->missing && n->id == g->page && n->count > CP_SPLIT;
}

/* --- what came of it ------------------------------------------------------------------------- */

/* What went to a page that does not hold it any more is taken away again. */
static bool ask_removal(struct group *g, size_t from)
{
  struct resp *client = g->w->client;
  char key[CP_KEY_LEN + 1];
  page_key(key, (enum ck_tree)g->tree, g->page);
  resp_begin(client, 2 + g->count - from, 1);
  resp_arg_str(client, "HDEL");
  resp_arg(client, key, CP_KEY_LEN);
  for (size_t i = from; i < g->count; i++)
    resp_arg(client, g->items[i]->field.field, g->items[i]->field.len);
  return resp_end(client, NULL, NULL);
}

/* How many of a group the page holds. */
static size_t within(const struct group *g)
{
  size_t n = g->missing ? 0 : g->count;
  while (n > 0 && !g->missing && g->high_len != 0 &&
         ck_compare(g->items[n - 1]->field.field, g->items[n - 1]->field.len, g->high,
                    g->high_len) >= 0)
    n--;
  return n;
}

/* Astray: on to the page on the right, and its parent shall know of it. */
static bool send_right(struct group *g, size_t from)
{
  struct compact *c = g->w->c;
  uint64_t right = g->missing ? 0 : id_get(g->head + 1);
  for (size_t i = from; i < g->count; i++)
    g->items[i]->page = right;
  if (g->missing)
    cache_clear(&c->trees[g->tree]);
  else if (right != 0 &&
           !work_lead(&g->w->work, (enum ck_tree)g->tree, 1, right, g->high, g->high_len))
    return false;
  return ask_removal(g, from);
}

static bool settle_group(struct group *g)
{
  struct writer *w = g->w;
  size_t good = within(g);
  for (size_t i = 0; i < good; i++) {
    struct item *it = g->items[i];
    it->done = g->tree == CK_REVERSE || it->created;
    w->records += g->tree == CK_FORWARD && it->created;
    g->added += g->tree == CK_FORWARD && it->created;
  }
  w->lost += g->missing;
  if (remember_length(g) && !work_split(&w->work, (enum ck_tree)g->tree, g->page))
    return false;
  return good == g->count || send_right(g, good);
}

/* --- the second step: merge ------------------------------------------------------------------ */

/* The value that a record makes of the old one. A broken old value is replaced. */
static size_t merged(const struct writer *w, const struct item *it, uint8_t out[CK_VALUE_MAX])
{
  struct ck_value old;
  struct ck_field field = it->field;
  int64_t ttl = store_expiry(w->c->store, it->record->rrtype);
  bool good = ck_value_get(CK_FORWARD, it->old, it->old_len, &old);
  if (!good || (ttl != 0 && old.record.time_last < w->now - ttl)) {
    memcpy(out, it->value, it->value_len);
    return it->value_len;
  }
  cof_record_fold(&old.record, it->record);
  if (old.record.total > old.record.count)
    old.record.count = old.record.total;
  field.tail = it->value + it->value_len - ((field.flags & CK_NEAR) != 0 ? field.tail_len : 0);
  return ck_value_put(out, &old.record, &field);
}

static bool take_set(void *arg, const redisReply *reply)
{
  struct group *g = arg;
  g->no_script = reply != NULL && resp_is_error(reply, "NOSCRIPT");
  if (reply == NULL || reply->type != REDIS_REPLY_STRING)
    return g->no_script;
  for (size_t i = 0, at = 0; i < g->count && at < reply->len; i++) {
    if (g->items[i]->done || g->items[i]->old_len == 0)
      continue;
    g->items[i]->done = reply->str[at++] == '1';
  }
  return false;
}

/* Those of a group that were there before. */
static bool ask_set(struct group *g, bool whole)
{
  struct writer *w = g->w;
  size_t good = within(g), count = 0;
  for (size_t i = 0; i < good; i++)
    count += !g->items[i]->done && g->items[i]->old_len != 0;
  g->count = good;
  if (count == 0)
    return true;
  char key[CP_KEY_LEN + 1];
  page_key(key, (enum ck_tree)g->tree, g->page);
  script_begin(w->c, w->client, SCRIPT_SET, whole, key, 1 + 3 * count);
  resp_arg(w->client, g->head, CP_HEAD_LEN);
  for (size_t i = 0; i < good; i++) {
    const struct item *it = g->items[i];
    if (it->done || it->old_len == 0)
      continue;
    uint8_t value[CK_VALUE_MAX];
    size_t len = merged(w, it, value);
    resp_arg(w->client, it->field.field, it->field.len);
    resp_arg(w->client, it->old, it->old_len);
    resp_arg(w->client, value, len);
  }
  return resp_end(w->client, take_set, g);
}

static enum resp_result run(struct writer *w, bool appended, struct cof_error *err)
{
  return compact_run(w->client, appended, err);
}

/* Removals of the first step go along. What is not done after this goes round again. */
static enum resp_result merge(struct writer *w, struct cof_error *err)
{
  bool good = true, whole = false;
  for (size_t i = 0; good && i < w->groups_count; i++)
    if (w->groups[i].tree == CK_FORWARD)
      good = ask_set(&w->groups[i], false);
  enum resp_result result = run(w, good, err);
  for (size_t i = 0; result == RESP_OK && good && i < w->groups_count; i++)
    if (w->groups[i].no_script) {
      whole = true;
      good = ask_set(&w->groups[i], true);
    }
  return result == RESP_OK && whole ? run(w, good, err) : result;
}

/* What is not there yet, but for what the script of an unknown digest would have made. */
static enum resp_result create(struct writer *w, struct cof_error *err)
{
  bool good = true, whole = false;
  for (size_t i = 0; good && i < w->groups_count; i++)
    good = ask_create(&w->groups[i], w->client);
  enum resp_result result = run(w, good, err);
  for (size_t i = 0; result == RESP_OK && good && i < w->groups_count; i++)
    if (w->groups[i].no_script) {
      whole = true;
      good = ask_new(&w->groups[i], true);
    }
  return result == RESP_OK && whole ? run(w, good, err) : result;
}

static enum resp_result one_round(struct writer *w, struct cof_error *err)
{
  enum resp_result result = locate(w, err);
  if (result != RESP_OK)
    return result;
  make_groups(w);
  bool good = true;
  result = create(w, err);
  unsigned lost = w->lost;
  for (size_t i = 0; result == RESP_OK && good && i < w->groups_count; i++)
    good = settle_group(&w->groups[i]);
  w->lost = w->lost == lost ? 0 : lost + 1;
  if (result == RESP_OK && !good)
    return run(w, false, err);
  if (result == RESP_OK)
    result = merge(w, err);
  if (w->lost != 0)
    w->work.count = 0; /* of a tree that is not there; whoever comes by will find it again */
  if (result == RESP_OK)
    result = work_run(w->c, w->client, &w->work, &w->records, err);
  return result;
}

/* Leave what is done out of the rounds that follow. */
static void drop_done(struct writer *w)
{
  size_t count = 0;
  for (size_t i = 0; i < w->count; i++)
    if (!w->order[i]->done)
      w->order[count++] = w->order[i];
  w->count = count;
}

/* A page that is missing though a parent leads to it: the database was emptied, or lost it. */
static enum resp_result look_again(struct writer *w, struct cof_error *err)
{
  for (size_t i = 0; i < w->count; i++)
    w->order[i]->page = 0;
  for (enum ck_tree tree = 0; tree < CK_TREES; tree++)
    cache_clear(&w->c->trees[tree]);
  if (w->lost > 2) {
    cof_fail(err, COF_RETRY, "a page of the database is missing");
    return RESP_PASSING;
  }
  return compact_prepare(w->c, w->client, err);
}

static enum resp_result write_items(struct writer *w, struct cof_error *err)
{
  enum resp_result result = run(w, true, err); /* far tails */
  for (int round = 0; result == RESP_OK && w->count != 0; round++) {
    if (round == ROUNDS_MAX) {
      cof_fail(err, COF_RETRY, "too many others write to the same pages");
      return RESP_PASSING;
    }
    result = one_round(w, err);
    drop_done(w);
    if (result == RESP_OK && w->lost != 0)
      result = look_again(w, err);
  }
  return result;
}

/* --- counters -------------------------------------------------------------------------------- */

static bool ask_counter(struct resp *client, const char *letter, const char *name, size_t len,
                        int64_t n)
{
  struct iovec field[2] = {
      {.iov_base = (void *)(uintptr_t)letter, .iov_len = 1},
      {.iov_base = (void *)(uintptr_t)(name != NULL ? name : ""), .iov_len = len}};
  if (n == 0)
    return true;
  resp_begin(client, 4, 1);
  resp_arg_str(client, "HINCRBY");
  resp_arg_str(client, "cofd:stats");
  resp_arg_parts(client, field, 2);
  resp_arg_int(client, n);
  return resp_end(client, NULL, NULL);
}

static enum resp_result count(struct writer *w, const struct cof_batch *batch,
                              struct cof_error *err)
{
  const struct cof_tally *tallies;
  size_t n = cof_batch_tallies(batch, &tallies);
  bool good = ask_counter(w->client, "o", NULL, 0, (int64_t)cof_batch_observations(batch)) &&
              ask_counter(w->client, "r", NULL, 0, w->records);
  for (size_t i = 0; good && i < n; i++)
    good = ask_counter(w->client, "s", tallies[i].sensor_id, tallies[i].sensor_len,
                       (int64_t)tallies[i].records);
  return run(w, good, err);
}

/* What is not known yet, or was found to be gone. */
static enum resp_result prepare(struct compact *c, struct resp *client, struct cof_error *err)
{
  uint8_t head[CP_HEAD_LEN];
  enum resp_result result = compact_scripts(c, client, err);
  bool known = c->trees[CK_FORWARD].ordered || (cache_head(&c->trees[CK_FORWARD], CP_ROOT, head) &&
                                                cache_head(&c->trees[CK_REVERSE], CP_ROOT, head));
  return result == RESP_OK && !known ? compact_prepare(c, client, err) : result;
}

/* Also of a write that failed later on: the entries are there now. */
static void tell_new(const struct writer *w, const struct cof_batch *batch,
                     struct cof_ticket *ticket)
{
  struct cof_host *host = w->c->store->host;
  if (w->items == NULL || !cof_ticket_wants_new(host, ticket))
    return;
  for (size_t i = 0; i < 2 * cof_batch_count(batch); i++) {
    const struct item *it = &w->items[i];
    if (it->record != NULL && it->tree == CK_FORWARD && it->done && it->created)
      cof_ticket_new(host, ticket, (size_t)(it->record - cof_batch_at(batch, 0)));
  }
}

enum resp_result compact_write(struct store *store, const struct cof_batch *batch,
                               struct cof_ticket *ticket, struct cof_error *err)
{
  struct writer w = {.c = store->state, .client = store->writer, .now = compact_now()};
  enum resp_result result = prepare(w.c, w.client, err);
  if (result != RESP_OK)
    return result;
  if (encode(&w, batch)) {
    size_t entries = w.count;
    result = write_items(&w, err);
    if (result == RESP_OK)
      result = sweep_run(w.c, w.client, entries, &w.records, err);
    if (result == RESP_OK)
      result = count(&w, batch, err);
  } else {
    result = run(&w, false, err);
  }
  tell_new(&w, batch, ticket);
  for (size_t i = 0; result == RESP_OK && i < w.refused_count; i++)
    cof_ticket_reject(store->host, ticket, w.refused[i].index, w.refused[i].why);
  for (size_t i = 0; i < 2 * cof_batch_count(batch) && w.items != NULL; i++)
    free(w.items[i].old);
  free(w.items);
  free(w.order);
  free(w.chosen);
  free(w.groups);
  free(w.refused);
  free(w.key);
  free(w.work.items);
  return result;
}
