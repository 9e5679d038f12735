/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_private.h"

#include <stdlib.h>

#define ROUNDS_MAX 100
/* Seconds beyond its time that a reverse entry is kept. */
#define STAMP_SLACK 86400

/* --- the list -------------------------------------------------------------------------------- */

static struct work *work_add(struct work_list *list)
{
  if (list->count == list->room) {
    size_t room = list->room != 0 ? 2 * list->room : 64;
    struct work *items = realloc(list->items, room * sizeof *items);
    if (items == NULL)
      return NULL;
    list->items = items;
    list->room = room;
  }
  struct work *w = &list->items[list->count++];
  memset(w, 0, sizeof *w);
  return w;
}

bool work_split(struct work_list *list, enum ck_tree tree, uint64_t id)
{
  struct work *w = work_add(list);
  if (w == NULL)
    return false;
  w->is_split = true;
  w->tree = tree;
  w->id = id;
  return true;
}

bool work_lead(struct work_list *list, enum ck_tree tree, unsigned level, uint64_t id,
               const uint8_t *sep, size_t sep_len)
{
  struct work *w = work_add(list);
  if (w == NULL)
    return false;
  w->tree = tree;
  w->level = (uint8_t)level;
  w->id = id;
  w->sep_len = (uint8_t)sep_len;
  memcpy(w->sep, sep, sep_len);
  return true;
}

/* --- splitting ------------------------------------------------------------------------------- */

/* Where a part of a page's entries goes. */
struct part {
  uint64_t id;
  size_t from, count;
  uint8_t sep_len; /* it begins at */
  uint8_t sep[CK_FIELD_MAX];
};

/* A page under the knife. */
struct split {
  enum ck_tree tree;
  uint64_t id;
  struct page *page;
  bool missing, no_memory, whole;
  size_t kept; /* entries that are neither astray nor expired; they come first in `order` */
  struct entry *order;
  size_t far; /* reserved for removed entries */
  struct part *parts;
  size_t parts_count; /* the first of them stays, but for the root */
  long long done;     /* answer to the script */
  bool no_script;
};

static bool take_page(void *arg, const redisReply *reply)
{
  struct split *s = arg;
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    return false;
  s->page = page_parse(s->id, reply, &s->missing);
  s->no_memory = s->page == NULL && !s->missing;
  return false;
}

bool entry_expired(const struct compact *c, enum ck_tree tree, const struct entry *e, int64_t now)
{
  struct ck_value v;
  if (c->store->expiries_count == 0 || !ck_value_get(tree, e->value, e->value_len, &v))
    return false;
  const uint8_t *type = ck_field_type(tree, e->field, e->field_len);
  if (type == NULL)
    return false;
  int64_t ttl = store_expiry(c->store, (uint16_t)(type[0] << 8 | type[1]));
  if (ttl == 0 || (tree == CK_REVERSE && (v.flags & CK_STAMP) == 0))
    return false;
  if (tree == CK_FORWARD)
    return v.record.time_last < now - ttl;
  return (int64_t)(v.stamp & 0xffffffffu) * 3600 < now - ttl - STAMP_SLACK;
}

/* Bring what stays before what goes, each in order. */
static bool sort_out(const struct compact *c, struct split *s)
{
  const struct page *p = s->page;
  size_t gone = 0;
  int64_t now = compact_now();
  s->order = calloc(p->total + 1, 2 * sizeof *s->order);
  if (s->order == NULL)
    return false;
  struct entry *out = s->order + p->total;
  for (size_t i = 0; i < p->total; i++) {
    bool stays = i < p->count && (p->level != 0 || !entry_expired(c, s->tree, &p->entries[i], now));
    if (stays)
      s->order[s->kept++] = p->entries[i];
    else
      out[gone++] = p->entries[i];
  }
  memmove(s->order + s->kept, out, gone * sizeof *out);
  return true;
}

/* The shortest separator between two fields. Inner pages must not begin below their first child. */
static void separator(struct part *part, const struct page *page, const struct entry *below,
                      const struct entry *above)
{
  size_t n = 0;
  while (n < below->field_len && n < above->field_len && below->field[n] == above->field[n])
    n++;
  part->sep_len = (uint8_t)(page->level == 0 ? n + 1 : above->field_len);
  memcpy(part->sep, above->field, part->sep_len);
}

static uint64_t new_id(struct compact *c)
{
  do {
    c->random ^= c->random >> 12;
    c->random ^= c->random << 25;
    c->random ^= c->random >> 27;
  } while (c->random * UINT64_C(2685821657736338717) <= CP_LEAF);
  return c->random * UINT64_C(2685821657736338717);
}

/* Decide the parts. A page that somebody else has split already has one, and is left alone. */
static bool plan(struct compact *c, struct split *s)
{
  size_t count = s->kept > CP_SPLIT ? (s->kept + CP_FILL - 1) / CP_FILL : 1;
  s->parts = calloc(count, sizeof *s->parts);
  if (s->parts == NULL)
    return false;
  s->parts_count = count;
  for (size_t i = 0; i < count; i++) {
    struct part *part = &s->parts[i];
    part->from = s->kept * i / count;
    part->count = s->kept * (i + 1) / count - part->from;
    part->id = i == 0 && s->id != CP_ROOT ? s->id : new_id(c);
    if (i > 0)
      separator(part, s->page, &s->order[part->from - 1], &s->order[part->from]);
  }
  return true;
}

static void put_entry(struct resp *client, const struct page *p, const struct entry *e, bool value)
{
  struct iovec field[2] = {{.iov_base = (void *)(uintptr_t) "s", .iov_len = p->level != 0},
                           {.iov_base = (void *)(uintptr_t)e->field, .iov_len = e->field_len}};
  resp_arg_parts(client, field, 2);
  if (value)
    resp_arg(client, e->value, e->value_len);
}

static void put_head(struct resp *client, unsigned level, uint64_t right, const uint8_t *high,
                     size_t high_len)
{
  uint8_t head[CP_HEAD_LEN] = {(uint8_t)level};
  id_put(head + 1, right);
  resp_arg_str(client, "m");
  resp_arg(client, head, sizeof head);
  resp_arg_str(client, "h");
  resp_arg(client, high, high_len);
}

/* Bounds of a part: those of the next one, or of the page. */
static void put_part_head(struct resp *client, const struct split *s, size_t i)
{
  const struct page *p = s->page;
  if (i + 1 < s->parts_count)
    put_head(client, p->level, s->parts[i + 1].id, s->parts[i + 1].sep, s->parts[i + 1].sep_len);
  else
    put_head(client, p->level, p->right, p->high, p->high_len);
}

/* New pages, which nothing leads to yet. */
static bool ask_create(struct resp *client, const struct split *s)
{
  char key[CP_KEY_LEN + 1];
  for (size_t i = s->id != CP_ROOT; s->parts_count > 1 && i < s->parts_count; i++) {
    const struct part *part = &s->parts[i];
    page_key(key, s->tree, part->id);
    resp_begin(client, 2 + 4 + 2 * part->count, 1);
    resp_arg_str(client, "HSET");
    resp_arg(client, key, CP_KEY_LEN);
    put_part_head(client, s, i);
    for (size_t j = 0; j < part->count; j++)
      put_entry(client, s->page, &s->order[part->from + j], true);
    if (!resp_end(client, NULL, NULL))
      return false;
  }
  return true;
}

static bool take_done(void *arg, const redisReply *reply)
{
  struct split *s = arg;
  s->no_script = reply != NULL && resp_is_error(reply, "NOSCRIPT");
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
    s->done = reply->integer;
  return s->no_script;
}

static bool needs_cut(const struct split *s)
{
  return s->parts_count > 1 || s->kept < s->page->total;
}

/* The root's entries all go; other pages keep their first part. */
static bool ask_cut(const struct compact *c, struct resp *client, struct split *s)
{
  const struct page *p = s->page;
  bool root = s->id == CP_ROOT && s->parts_count > 1;
  size_t stay = root ? 0 : s->parts[0].count, gone = p->total - stay + 2;
  size_t more = root ? 2 + s->parts_count : 2;
  char key[CP_KEY_LEN + 1];
  page_key(key, s->tree, s->id);
  script_begin(c, client, SCRIPT_CUT, s->no_script, key, 3 + stay + 2 * gone + 2 * more);
  resp_arg_int(client, (int64_t)stay);
  resp_arg_int(client, (int64_t)gone);
  resp_arg_int(client, (int64_t)more);
  for (size_t i = 0; i < stay; i++)
    put_entry(client, p, &s->order[i], false);
  put_head(client, p->level, p->right, p->high, p->high_len);
  for (size_t i = stay; i < p->total; i++)
    put_entry(client, p, &s->order[i], true);
  if (!root) {
    put_part_head(client, s, 0);
  } else {
    put_head(client, p->level + 1u, 0, p->high, 0);
    for (size_t i = 0; i < s->parts_count; i++) {
      uint8_t id[8];
      struct iovec sep[2] = {{.iov_base = (void *)(uintptr_t) "s", .iov_len = 1},
                             {.iov_base = s->parts[i].sep, .iov_len = s->parts[i].sep_len}};
      resp_arg_parts(client, sep, 2);
      id_put(id, s->parts[i].id);
      resp_arg(client, id, sizeof id);
    }
  }
  return resp_end(client, take_done, s);
}

static bool ask_delete(struct resp *client, const struct split *s)
{
  char key[CP_KEY_LEN + 1];
  for (size_t i = s->id != CP_ROOT; s->parts_count > 1 && i < s->parts_count; i++) {
    page_key(key, s->tree, s->parts[i].id);
    const char *const argv[] = {"DEL", key};
    if (!resp_append(client, 1, argv, 2, NULL, NULL))
      return false;
  }
  return true;
}

static bool ask_all_cuts(const struct compact *c, struct resp *client, struct split *list,
                         size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (list[i].done == 0 && needs_cut(&list[i]) && !ask_cut(c, client, &list[i]))
      return false;
  return true;
}

static bool any_without_script(const struct split *list, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (list[i].no_script)
      return true;
  return false;
}

/* Read the pages and decide; then write new pages; then cut the old ones. */
static enum resp_result do_splits(struct compact *c, struct resp *client, struct split *list,
                                  size_t count, struct cof_error *err)
{
  bool good = true;
  for (size_t i = 0; good && i < count; i++)
    good = page_ask(client, list[i].tree, list[i].id, take_page, &list[i]);
  enum resp_result result = compact_run(client, good, err);
  for (size_t i = 0; result == RESP_OK && i < count; i++) {
    if (list[i].missing) {
      cof_fail(err, COF_RETRY, "a page that was there is missing");
      return RESP_PASSING;
    }
    if (list[i].page != NULL && list[i].page->strange != 0) {
      cof_fail(err, COF_FATAL, "a page holds %zu fields that are none of this layout",
               list[i].page->strange);
      return RESP_FATAL;
    }
    if (list[i].no_memory || !sort_out(c, &list[i]) || !plan(c, &list[i]))
      return compact_no_memory(err);
    good = good && ask_create(client, &list[i]);
  }
  if (result == RESP_OK)
    result = compact_run(client, good, err);
  if (result == RESP_OK)
    result = compact_run(client, ask_all_cuts(c, client, list, count), err);
  if (result == RESP_OK && any_without_script(list, count))
    result = compact_run(client, ask_all_cuts(c, client, list, count), err);
  return result;
}

/* What follows: separators for the parents; or, where the page changed meanwhile, once more. */
static bool follow_up(struct compact *c, struct resp *client, struct split *s,
                      struct work_list *next, int64_t *records)
{
  struct tree *t = &c->trees[s->tree];
  if (s->page->level != 0)
    cache_drop(t, s->id);
  else
    t->counts[s->id & (CP_COUNTS - 1)].id = 0;
  if (!needs_cut(s))
    return true;
  if (s->done == 0)
    return ask_delete(client, s) && work_split(next, s->tree, s->id);
  if (s->tree == CK_FORWARD && s->page->level == 0)
    *records -= (int64_t)(s->page->count - s->kept);
  if (s->id == CP_ROOT)
    return true;
  for (size_t i = 1; i < s->parts_count; i++)
    if (!work_lead(next, s->tree, s->page->level + 1u, s->parts[i].id, s->parts[i].sep,
                   s->parts[i].sep_len))
      return false;
  return true;
}

static enum resp_result splits(struct compact *c, struct resp *client, const struct work_list *now,
                               struct work_list *next, int64_t *records, struct cof_error *err)
{
  size_t count = 0;
  struct split *list = calloc(now->count + 1, sizeof *list);
  if (list == NULL)
    return compact_no_memory(err);
  for (size_t i = 0; i < now->count; i++) {
    const struct work *w = &now->items[i];
    bool known = !w->is_split;
    for (size_t j = count; !known && j-- > 0;)
      known = list[j].tree == w->tree && list[j].id == w->id;
    if (!known)
      list[count++] = (struct split){.tree = w->tree, .id = w->id};
  }
  enum resp_result result = count == 0 ? RESP_OK : do_splits(c, client, list, count, err);
  bool good = true;
  for (size_t i = 0; result == RESP_OK && good && i < count; i++)
    good = follow_up(c, client, &list[i], next, records);
  if (result == RESP_OK)
    result = compact_run(client, good, err);
  for (size_t i = 0; i < count; i++) {
    free(list[i].page);
    free(list[i].order);
    free(list[i].parts);
  }
  free(list);
  return result;
}

/* --- separators ------------------------------------------------------------------------------ */

struct lead {
  const struct work *work;
  uint64_t parent;
  long long fields;
  bool answered, no_script;
};

static bool take_fields(void *arg, const redisReply *reply)
{
  struct lead *l = arg;
  l->no_script = reply != NULL && resp_is_error(reply, "NOSCRIPT");
  l->answered = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
  if (l->answered)
    l->fields = reply->integer;
  return l->no_script;
}

/* The page known to be the parent at this moment. */
static enum resp_result find_parent(struct compact *c, struct resp *client, struct lead *l,
                                    uint8_t head[CP_HEAD_LEN], struct cof_error *err)
{
  struct tree *t = &c->trees[l->work->tree];
  for (int i = 0; i < ROUNDS_MAX; i++) {
    enum resp_result result =
        tree_locate(t, client, l->work->sep, l->work->sep_len, l->work->level, &l->parent, err);
    if (result != RESP_OK || cache_head(t, l->parent, head))
      return result;
    result = tree_fetch(t, client, &l->parent, 1, err);
    if (result != RESP_OK)
      return result;
  }
  cof_fail(err, COF_RETRY, "a page's parent cannot be kept in memory");
  return RESP_PASSING;
}

static bool ask_lead(const struct compact *c, struct resp *client, struct lead *l,
                     const uint8_t head[CP_HEAD_LEN])
{
  char key[CP_KEY_LEN + 1];
  uint8_t id[8];
  const struct work *w = l->work;
  struct iovec sep[2] = {{.iov_base = (void *)(uintptr_t) "s", .iov_len = 1},
                         {.iov_base = (void *)(uintptr_t)w->sep, .iov_len = w->sep_len}};
  page_key(key, w->tree, l->parent);
  id_put(id, w->id);
  script_begin(c, client, SCRIPT_LEAD, l->no_script, key, 3);
  resp_arg(client, head, CP_HEAD_LEN);
  resp_arg_parts(client, sep, 2);
  resp_arg(client, id, sizeof id);
  return resp_end(client, take_fields, l);
}

/* Finding parents fetches pages, which runs the client: so all are found before any is asked. */
static enum resp_result do_leads(struct compact *c, struct resp *client, struct lead *list,
                                 size_t count, struct cof_error *err)
{
  uint8_t(*heads)[CP_HEAD_LEN] = calloc(count, CP_HEAD_LEN);
  enum resp_result result = heads != NULL ? RESP_OK : compact_no_memory(err);
  for (size_t i = 0; result == RESP_OK && i < count; i++)
    result = find_parent(c, client, &list[i], heads[i], err);
  bool good = true;
  for (size_t i = 0; result == RESP_OK && good && i < count; i++)
    good = ask_lead(c, client, &list[i], heads[i]);
  if (result == RESP_OK)
    result = compact_run(client, good, err);
  bool whole = false;
  for (size_t i = 0; result == RESP_OK && good && i < count; i++)
    if (list[i].no_script) {
      whole = true;
      good = ask_lead(c, client, &list[i], heads[i]);
    }
  if (result == RESP_OK && whole)
    result = compact_run(client, good, err);
  free(heads);
  return result;
}

static enum resp_result leads(struct compact *c, struct resp *client, const struct work_list *now,
                              struct work_list *next, struct cof_error *err)
{
  size_t count = 0;
  struct lead *list = calloc(now->count + 1, sizeof *list);
  if (list == NULL)
    return compact_no_memory(err);
  for (size_t i = 0; i < now->count; i++)
    if (!now->items[i].is_split)
      list[count++].work = &now->items[i];
  enum resp_result result = count == 0 ? RESP_OK : do_leads(c, client, list, count, err);
  for (size_t i = 0; result == RESP_OK && i < count; i++) {
    const struct work *w = list[i].work;
    bool good = true;
    cache_drop(&c->trees[w->tree], list[i].parent);
    if (list[i].answered && list[i].fields == 0)
      good = work_lead(next, w->tree, w->level, w->id, w->sep, w->sep_len);
    else if (list[i].answered && list[i].fields > CP_SPLIT + 2)
      good = work_split(next, w->tree, list[i].parent);
    if (!good)
      result = compact_no_memory(err);
  }
  free(list);
  return result;
}

enum resp_result work_run(struct compact *c, struct resp *client, struct work_list *list,
                          int64_t *records, struct cof_error *err)
{
  enum resp_result result = RESP_OK;
  for (int i = 0; result == RESP_OK && list->count != 0 && i < ROUNDS_MAX; i++) {
    struct work_list next = {0};
    result = leads(c, client, list, &next, err);
    if (result == RESP_OK)
      result = splits(c, client, list, &next, records, err);
    free(list->items);
    *list = next;
  }
  if (result == RESP_OK && list->count != 0) {
    cof_fail(err, COF_RETRY, "too many others write to the same pages");
    result = RESP_PASSING;
  }
  list->count = 0;
  return result;
}
