/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define MARK_PAGES   "compact 1"
#define MARK_ORDERED "compact-ordered 1"
#define SENSORS_MAX  1000000

int64_t compact_now(void)
{
  return (int64_t)time(NULL);
}

enum resp_result compact_no_memory(struct cof_error *err)
{
  cof_fail(err, COF_RETRY, "out of memory");
  return RESP_PASSING;
}

enum resp_result compact_run(struct resp *client, bool appended, struct cof_error *err)
{
  if (appended)
    return resp_run(client, 0, err);
  resp_forget(client);
  return compact_no_memory(err);
}

/* --- marks ----------------------------------------------------------------------------------- */

struct text {
  bool there;
  char text[64];
};

static bool take_text(void *arg, const redisReply *reply)
{
  struct text *t = arg;
  t->there = reply != NULL && reply->type == REDIS_REPLY_STRING;
  if (t->there)
    snprintf(t->text, sizeof t->text, "%s", reply->str);
  return false;
}

static enum resp_result read_mark(struct resp *client, struct text *mark, struct cof_error *err)
{
  static const char *const argv[] = {"GET", "cofd:layout"};
  return compact_run(client, resp_append(client, 1, argv, 2, take_text, mark), err);
}

static enum resp_result probe(struct resp *client, bool *holds, struct cof_error *err)
{
  struct text mark = {.there = false};
  enum resp_result result = read_mark(client, &mark, err);
  *holds = mark.there;
  return result;
}

static bool ask_new(struct resp *client, enum ck_tree tree, uint64_t id, const char *field,
                    const void *value, size_t len)
{
  char key[CP_KEY_LEN + 1];
  page_key(key, tree, id);
  resp_begin(client, 4, 1);
  resp_arg_str(client, "HSETNX");
  resp_arg(client, key, CP_KEY_LEN);
  resp_arg_str(client, field);
  resp_arg(client, value, len);
  return resp_end(client, NULL, NULL);
}

/* First leaf and root of both trees: only what is not there yet, and the head last, so that nobody
   takes a page for one that has but begun. An ordered tree has no root. */
static bool ask_pages(struct resp *client, bool ordered)
{
  uint8_t leaf[8], head[2][CP_HEAD_LEN] = {{0}, {1}};
  bool good = true;
  id_put(leaf, CP_LEAF);
  for (enum ck_tree tree = 0; tree < CK_TREES; tree++)
    good = good && ask_new(client, tree, CP_LEAF, "h", "", 0) &&
           ask_new(client, tree, CP_LEAF, "m", head[0], CP_HEAD_LEN) &&
           (ordered || (ask_new(client, tree, CP_ROOT, "s", leaf, sizeof leaf) &&
                        ask_new(client, tree, CP_ROOT, "h", "", 0) &&
                        ask_new(client, tree, CP_ROOT, "m", head[1], CP_HEAD_LEN)));
  return good;
}

static bool take_sha(void *arg, const redisReply *reply)
{
  char *sha = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == 40)
    memcpy(sha, reply->str, 41);
  return false;
}

static bool ask_scripts(struct compact *c, struct resp *client)
{
  for (enum script i = 0; i < SCRIPTS; i++) {
    const char *const argv[] = {"SCRIPT", "LOAD", script_text(i)};
    if (!resp_append(client, RESP_ANY_NODE, argv, 3, take_sha, c->sha[i]))
      return false;
  }
  return true;
}

enum resp_result compact_scripts(struct compact *c, struct resp *client, struct cof_error *err)
{
  if (c->sha[SCRIPTS - 1][0] != '\0')
    return RESP_OK;
  return compact_run(client, ask_scripts(c, client), err);
}

/* --- forms ----------------------------------------------------------------------------------- */

/* A server before HRANGEBYLEX came has no such command. */
static bool take_range(void *arg, const redisReply *reply)
{
  bool *can = arg;
  *can = reply != NULL && reply->type == REDIS_REPLY_ARRAY;
  return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
         strstr(reply->str, "unknown command") != NULL;
}

/* Whether fields can be had by ranges: what Kvrocks keeps in order, and Redis does not. */
static enum resp_result can_range(const struct compact *c, struct resp *client, bool *can,
                                  struct cof_error *err)
{
  const struct range one = {.most = 1};
  *can = false;
  if (!c->store->flavour->kvrocks)
    return RESP_OK;
  return compact_run(client, range_ask(client, CK_FORWARD, &one, take_range, can), err);
}

/* Another may do the same: the mark that is there afterwards is the one that holds. */
static enum resp_result make_mark(struct resp *client, bool ordered, struct text *mark,
                                  struct cof_error *err)
{
  const char *const mark_it[] = {"SET", "cofd:layout", ordered ? MARK_ORDERED : MARK_PAGES, "NX"};
  enum resp_result result = compact_run(client, ask_pages(client, ordered), err);
  if (result == RESP_OK)
    result = compact_run(client, resp_append(client, 1, mark_it, 4, NULL, NULL), err);
  if (result == RESP_OK)
    result = read_mark(client, mark, err);
  if (result != RESP_OK || mark->there)
    return result;
  cof_fail(err, COF_RETRY, "the mark cofd:layout was removed as soon as it was made");
  return RESP_PASSING;
}

/* The form of the database, by its mark. */
static enum resp_result settle(struct compact *c, const char *mark, bool can, struct cof_error *err)
{
  bool ordered = strcmp(mark, MARK_ORDERED) == 0, pages = strcmp(mark, MARK_PAGES) == 0;
  if (ordered && !can)
    cof_fail(err, COF_FATAL,
             "the database has the layout '" MARK_ORDERED "', which only a Kvrocks with the "
             "command HRANGEBYLEX and the storage kvrocks can read; expected '" MARK_PAGES
             "' here");
  else if (!ordered && !pages)
    cof_fail(err, COF_FATAL,
             "the database has the layout '%s'; this version knows '" MARK_PAGES
             "' and '" MARK_ORDERED "'; use the version that wrote it, or another database",
             mark);
  else if (c->settled && ordered != c->trees[CK_FORWARD].ordered)
    cof_fail(err, COF_FATAL,
             "the database was emptied, and now has the layout '%s', expected '%s'; start again",
             mark, ordered ? MARK_PAGES : MARK_ORDERED);
  else {
    for (enum ck_tree tree = 0; !c->settled && tree < CK_TREES; tree++)
      c->trees[tree].ordered = ordered;
    c->settled = true;
    return RESP_OK;
  }
  return RESP_FATAL;
}

enum resp_result compact_prepare(struct compact *c, struct resp *client, struct cof_error *err)
{
  struct text mark = {.there = false};
  bool can = c->settled && c->trees[CK_FORWARD].ordered;
  enum resp_result result = read_mark(client, &mark, err);
  if (result == RESP_OK && !c->settled)
    result = can_range(c, client, &can, err);
  /* Ordered trees lie on two slots of a cluster, pages on all. */
  bool ordered = can && (c->settled || c->store->conf->mode != RESP_CLUSTER);
  if (result == RESP_OK && !mark.there)
    result = make_mark(client, ordered, &mark, err);
  return result == RESP_OK ? settle(c, mark.text, can, err) : result;
}

static enum resp_result attach(struct store *store, struct resp *client, struct cof_error *err)
{
  return compact_prepare(store->state, client, err);
}

/* --- life ------------------------------------------------------------------------------------ */

static void destroy(void *state)
{
  struct compact *c = state;
  if (c == NULL)
    return;
  for (enum ck_tree tree = 0; tree < CK_TREES; tree++)
    tree_free(&c->trees[tree]);
  free(c);
}

static void *create(struct store *store)
{
  struct compact *c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  c->store = store;
  if (getrandom(&c->random, sizeof c->random, GRND_NONBLOCK) != sizeof c->random)
    c->random = cof_clock_ns(store->host) ^ (uint64_t)(uintptr_t)c;
  c->random |= 1;
  bool good = tree_init(&c->trees[CK_FORWARD], CK_FORWARD);
  good = tree_init(&c->trees[CK_REVERSE], CK_REVERSE) && good;
  if (!good)
    destroy(c);
  return good ? c : NULL;
}

/* --- statistics ------------------------------------------------------------------------------ */

struct sensor {
  char *id;
  uint64_t records;
};

struct tally {
  struct cof_storage_stats *stats;
  struct sensor *list;
  size_t count, room;
  bool no_memory;
  char cursor[64];
};

static void take_sensor(struct tally *t, const redisReply *name, uint64_t n)
{
  if (t->count == t->room) {
    size_t room = t->room != 0 ? 2 * t->room : 64;
    struct sensor *list = room <= SENSORS_MAX ? realloc(t->list, room * sizeof *list) : NULL;
    t->no_memory = list == NULL;
    if (list == NULL)
      return;
    t->list = list;
    t->room = room;
  }
  char *id = strndup(name->str + 1, name->len - 1);
  t->no_memory = id == NULL;
  if (id != NULL)
    t->list[t->count++] = (struct sensor){id, n};
}

static bool take_stats(void *arg, const redisReply *reply)
{
  struct tally *t = arg;
  snprintf(t->cursor, sizeof t->cursor, "0");
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
      reply->element[0]->type != REDIS_REPLY_STRING)
    return false;
  const redisReply *list = reply->element[1];
  snprintf(t->cursor, sizeof t->cursor, "%s", reply->element[0]->str);
  for (size_t i = 0; i + 1 < list->elements && !t->no_memory; i += 2) {
    const redisReply *f = list->element[i], *v = list->element[i + 1];
    if (f->type != REDIS_REPLY_STRING || f->len == 0 || v->type != REDIS_REPLY_STRING)
      continue;
    long long n = strtoll(v->str, NULL, 10);
    uint64_t number = n > 0 ? (uint64_t)n : 0;
    if (f->len == 1 && f->str[0] == 'o')
      t->stats->observations = number;
    else if (f->len == 1 && f->str[0] == 'r')
      t->stats->records = number;
    else if (f->str[0] == 's' && f->len <= 1 + COF_SENSOR_MAX)
      take_sensor(t, f, number);
  }
  return false;
}

static enum cof_result read_stats(struct resp *client, struct tally *t, struct cof_error *err)
{
  snprintf(t->cursor, sizeof t->cursor, "0");
  do {
    const char *const argv[] = {"HSCAN", "cofd:stats", t->cursor, "COUNT", "1000"};
    enum resp_result result =
        compact_run(client, resp_append(client, 1, argv, 5, take_stats, t), err);
    if (result != RESP_OK)
      return store_result(result);
    if (t->no_memory)
      return cof_fail(err, COF_RETRY, "out of memory, or more than %d sensors", SENSORS_MAX);
  } while (strcmp(t->cursor, "0") != 0);
  return COF_OK;
}

static int by_id(const void *a, const void *b)
{
  const struct sensor *x = a, *y = b;
  return strcmp(x->id, y->id);
}

static int by_records(const void *a, const void *b)
{
  const struct sensor *x = a, *y = b;
  int c = (x->records < y->records) - (x->records > y->records);
  return c != 0 ? c : strcmp(x->id, y->id);
}

/* A scan may answer a field twice. */
static void tell_sensors(struct tally *t, cof_sensor_fn fn, void *arg)
{
  size_t count = 0;
  if (t->count == 0 || fn == NULL)
    return;
  qsort(t->list, t->count, sizeof *t->list, by_id);
  for (size_t i = 0; i < t->count; i++)
    if (i + 1 < t->count && strcmp(t->list[i].id, t->list[i + 1].id) == 0)
      free(t->list[i].id);
    else
      t->list[count++] = t->list[i];
  t->count = count;
  qsort(t->list, t->count, sizeof *t->list, by_records);
  for (size_t i = 0; i < t->count; i++)
    fn(arg, t->list[i].id, t->list[i].records);
}

enum cof_result compact_stats(struct store *store, struct cof_storage_stats *stats,
                              cof_sensor_fn fn, void *arg, struct cof_error *err)
{
  struct tally t = {.stats = stats};
  struct reader *reader;
  stats->observations = stats->records = 0;
  stats->records_exact = false;
  enum cof_result result = reader_take(store, 0, &reader, err);
  if (result != COF_OK)
    return result;
  result = read_stats(reader->client, &t, err);
  reader_give(store, reader);
  if (result == COF_OK)
    tell_sensors(&t, fn, arg);
  for (size_t i = 0; i < t.count; i++)
    free(t.list[i].id);
  free(t.list);
  return result;
}

const struct layout layout_compact = {.name = "compact",
                                      .caps = COF_CAP_RRNAME | COF_CAP_SUBDOMAINS | COF_CAP_RDATA |
                                              COF_CAP_ADDR_RANGE | COF_CAP_RDATA_TEXT |
                                              COF_CAP_SCAN | COF_CAP_RRTYPE | COF_CAP_FENCES |
                                              COF_CAP_RESUME | COF_CAP_NEW | COF_CAP_BAILIWICK,
                                      .probe = probe,
                                      .attach = attach,
                                      .create = create,
                                      .destroy = destroy,
                                      .write = compact_write,
                                      .open = compact_open,
                                      .next = compact_next,
                                      .token = compact_token,
                                      .close = compact_close,
                                      .stats = compact_stats};
