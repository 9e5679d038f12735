/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "compact_private.h"

#include <stdlib.h>

static const char digits[] = "0123456789abcdef";

void page_key(char out[CP_KEY_LEN + 1], enum ck_tree tree, uint64_t id)
{
  memcpy(out, tree == CK_FORWARD ? "cofd:f:" : "cofd:r:", 7);
  for (int i = 0; i < 16; i++)
    out[7 + i] = digits[id >> (60 - 4 * i) & 15];
  out[CP_KEY_LEN] = '\0';
}

void tail_key(char out[CP_TAIL_KEY_LEN], enum ck_tree tree, const uint8_t field[CK_FIELD_MAX])
{
  memcpy(out, tree == CK_FORWARD ? "cofd:fx:" : "cofd:rx:", 8);
  memcpy(out + 8, field + CK_FIELD_MAX - CK_TAIL_NAME, CK_TAIL_NAME);
}

uint64_t id_get(const uint8_t bytes[8])
{
  uint64_t id = 0;
  for (int i = 0; i < 8; i++)
    id = id << 8 | bytes[i];
  return id;
}

void id_put(uint8_t bytes[8], uint64_t id)
{
  for (int i = 0; i < 8; i++)
    bytes[i] = (uint8_t)(id >> (56 - 8 * i));
}

static int by_field(const void *a, const void *b)
{
  const struct entry *x = a, *y = b;
  return ck_compare(x->field, x->field_len, y->field, y->field_len);
}

size_t page_find(const struct page *p, const uint8_t *field, size_t len)
{
  size_t low = 0, high = p->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct entry *e = &p->entries[middle];
    if (ck_compare(e->field, e->field_len, field, len) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool page_beyond(const struct page *p, const uint8_t *field, size_t len)
{
  return p->high_len != 0 && ck_compare(field, len, p->high, p->high_len) >= 0;
}

/* --- parsing --------------------------------------------------------------------------------- */

static bool is_string(const redisReply *r, size_t most)
{
  return r->type == REDIS_REPLY_STRING && r->len <= most;
}

/* Fields m and h. False: it is no page. */
static bool parse_head(struct page *p, const redisReply *reply)
{
  const redisReply *head = NULL, *high = NULL;
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    const redisReply *f = reply->element[i];
    if (f->type != REDIS_REPLY_STRING || f->len != 1)
      continue;
    if (f->str[0] == 'm')
      head = reply->element[i + 1];
    else if (f->str[0] == 'h')
      high = reply->element[i + 1];
  }
  if (head == NULL || high == NULL || !is_string(head, CP_HEAD_LEN) || head->len != CP_HEAD_LEN ||
      !is_string(high, CK_FIELD_MAX) || (uint8_t)head->str[0] > CP_LEVELS)
    return false;
  p->level = (uint8_t)head->str[0];
  p->right = id_get((const uint8_t *)head->str + 1);
  p->high_len = (uint8_t)high->len;
  memcpy(p->high, high->str, high->len);
  return true;
}

/* In inner pages the letter before a separator is left out, so that fields of all levels compare.
 */
static bool good_entry(const struct page *p, const redisReply *f, const redisReply *v)
{
  if (p->level == 0)
    return f->len >= 4 && f->len <= CK_FIELD_MAX && v->len <= CK_VALUE_MAX;
  return f->str[0] == 's' && f->len <= 1 + CK_FIELD_MAX && v->len == 8;
}

static const uint8_t *keep(uint8_t **memory, const char *bytes, size_t len)
{
  uint8_t *at = *memory;
  memcpy(at, bytes, len);
  *memory += len;
  return at;
}

static void parse_entries(struct page *p, const redisReply *reply, uint8_t *memory)
{
  uint8_t head[CP_HEAD_LEN];
  size_t skip = p->level != 0;
  head[0] = p->level;
  id_put(head + 1, p->right);
  p->head = keep(&memory, (const char *)head, sizeof head);
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    const redisReply *f = reply->element[i], *v = reply->element[i + 1];
    if (f->type != REDIS_REPLY_STRING || v->type != REDIS_REPLY_STRING || f->len == 0 ||
        !good_entry(p, f, v)) {
      p->strange += !(f->len == 1 && (f->str[0] == 'm' || f->str[0] == 'h'));
      continue;
    }
    struct entry *e = &p->entries[p->total++];
    e->field_len = (uint32_t)(f->len - skip);
    e->field = keep(&memory, f->str + skip, e->field_len);
    e->value_len = (uint32_t)v->len;
    e->value = keep(&memory, v->str, v->len);
  }
  qsort(p->entries, p->total, sizeof *p->entries, by_field);
  p->count = p->total;
  while (p->count > 0 &&
         page_beyond(p, p->entries[p->count - 1].field, p->entries[p->count - 1].field_len))
    p->count--;
}

static struct page *page_make(const struct page *head, const redisReply *reply)
{
  size_t bytes = CP_HEAD_LEN, entries = reply->elements / 2;
  for (size_t i = 0; i < reply->elements; i++)
    if (reply->element[i]->type == REDIS_REPLY_STRING)
      bytes += reply->element[i]->len;
  size_t all = sizeof *head + entries * sizeof(struct entry) + bytes;
  struct page *p = malloc(all);
  if (p == NULL)
    return NULL;
  *p = *head;
  p->bytes = all;
  p->entries = (struct entry *)(p + 1);
  parse_entries(p, reply, (uint8_t *)(p->entries + entries));
  return p;
}

struct page *page_parse(uint64_t id, const redisReply *reply, bool *missing)
{
  struct page head = {.id = id};
  *missing = reply->type != REDIS_REPLY_ARRAY || !parse_head(&head, reply);
  return *missing ? NULL : page_make(&head, reply);
}

bool page_ask(struct resp *client, enum ck_tree tree, uint64_t id, resp_reply_fn fn, void *arg)
{
  char key[CP_KEY_LEN + 1];
  page_key(key, tree, id);
  resp_begin(client, 2, 1);
  resp_arg_str(client, "HGETALL");
  resp_arg(client, key, CP_KEY_LEN);
  return resp_end(client, fn, arg);
}

/* --- ranges ---------------------------------------------------------------------------------- */

/* The last field of as many as were asked for is the high bound. One too long for the layout is
   stepped over, with all like it that follow. False: no field. */
static bool range_high(struct page *p, const redisReply *last)
{
  if (last->type != REDIS_REPLY_STRING)
    return false;
  bool strange = last->len > CK_FIELD_MAX;
  size_t len = strange ? CK_FIELD_MAX : last->len;
  memcpy(p->high, last->str, len);
  if (strange && !ck_successor(p->high, &len))
    len = 0;
  p->high_len = (uint8_t)len;
  return true;
}

struct page *range_parse(const struct range *r, const redisReply *reply, bool *missing)
{
  struct page head = {.id = CP_LEAF};
  *missing = reply->type != REDIS_REPLY_ARRAY;
  if (!*missing && reply->elements > 2 * r->most)
    *missing = !range_high(&head, reply->element[2 * r->most]);
  return *missing ? NULL : page_make(&head, reply);
}

static void put_bound(struct resp *client, const char *how, const uint8_t *field, size_t len)
{
  struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)how, .iov_len = 1},
                           {.iov_base = (void *)(uintptr_t)field, .iov_len = len}};
  resp_arg_parts(client, parts, 2);
}

bool range_ask(struct resp *client, enum ck_tree tree, const struct range *r, resp_reply_fn fn,
               void *arg)
{
  char key[CP_KEY_LEN + 1];
  page_key(key, tree, CP_LEAF);
  resp_begin(client, 7, 1);
  resp_arg_str(client, "HRANGEBYLEX");
  resp_arg(client, key, CP_KEY_LEN);
  if (r->lower_len == 0)
    resp_arg_str(client, "-");
  else
    put_bound(client, r->after ? "(" : "[", r->lower, r->lower_len);
  if (r->upper_len == 0)
    resp_arg_str(client, "+");
  else
    put_bound(client, "(", r->upper, r->upper_len);
  resp_arg_str(client, "LIMIT");
  resp_arg_str(client, "0");
  resp_arg_int(client, (int64_t)r->most + 1);
  return resp_end(client, fn, arg);
}

/* --- scripts --------------------------------------------------------------------------------- */

/* SET head {field old new}: put each new value whose old one is there, unless the page changed.
   Answers an empty string for a changed page, else 1 or 0 for each. */
static const char set_text[] = "local k, f, w, r = KEYS[1], {}, {}, {}\n"
                               "for i = 2, #ARGV, 3 do f[#f + 1] = ARGV[i] end\n"
                               "local now = redis.call('HMGET', k, 'm', unpack(f))\n"
                               "if now[1] ~= ARGV[1] then return '' end\n"
                               "for i = 1, #f do\n"
                               "  local same = now[i + 1] == ARGV[3 * i]\n"
                               "  if same then w[#w + 1] = f[i]; w[#w + 1] = ARGV[3 * i + 1] end\n"
                               "  r[i] = same and '1' or '0'\n"
                               "end\n"
                               "if #w > 0 then redis.call('HSET', k, unpack(w)) end\n"
                               "return table.concat(r)\n";

/* CUT stay gone new {field} {field value} {field value}: unless the page has other fields than the
   `stay + gone` given, or other values in those that go, put in its place the `new` ones and what
   the others hold by now. Answers 1 or 0. */
static const char cut_text[] =
    "local k, stay, gone, new = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "if redis.call('HLEN', k) ~= stay + gone then return 0 end\n"
    "local all, now = redis.call('HGETALL', k), {}\n"
    "for i = 1, #all, 2 do now[all[i]] = all[i + 1] end\n"
    "for i = 4, 3 + stay do if not now[ARGV[i]] then return 0 end end\n"
    "for i = 4 + stay, 2 + stay + 2 * gone, 2 do\n"
    "  if now[ARGV[i]] ~= ARGV[i + 1] then return 0 end\n"
    "end\n"
    "redis.call('DEL', k)\n"
    "local w = {}\n"
    "local function put(f, v)\n"
    "  w[#w + 1] = f\n"
    "  w[#w + 1] = v\n"
    "  if #w == 1000 then redis.call('HSET', k, unpack(w)); w = {} end\n"
    "end\n"
    "local at = 3 + stay + 2 * gone\n"
    "for i = 1, new do put(ARGV[at + 2 * i - 1], ARGV[at + 2 * i]) end\n"
    "for i = 1, stay do put(ARGV[3 + i], now[ARGV[3 + i]]) end\n"
    "if #w > 0 then redis.call('HSET', k, unpack(w)) end\n"
    "return 1\n";

/* LEAD head {field id}: add separators, unless the page changed. Answers the number of fields, or
   0 for a changed page. */
static const char lead_text[] =
    "local k = KEYS[1]\n"
    "if redis.call('HGET', k, 'm') ~= ARGV[1] then return 0 end\n"
    "for i = 2, #ARGV, 2 do redis.call('HSETNX', k, ARGV[i], ARGV[i + 1]) end\n"
    "return redis.call('HLEN', k)\n";

/* NEW head {field value}: put those that are not there, unless the page changed. Answers an empty
   string for a changed page, else the value that was there, or nil, for each. */
static const char new_text[] =
    "local k, f, w = KEYS[1], {}, {}\n"
    "for i = 2, #ARGV, 2 do f[#f + 1] = ARGV[i] end\n"
    "local now = redis.call('HMGET', k, 'm', unpack(f))\n"
    "if table.remove(now, 1) ~= ARGV[1] then return '' end\n"
    "for i = 1, #f do\n"
    "  if not now[i] then w[#w + 1] = f[i]; w[#w + 1] = ARGV[2 * i + 1] end\n"
    "end\n"
    "if #w > 0 then redis.call('HSET', k, unpack(w)) end\n"
    "return now\n";

/* DROP {field value}: remove those that still have this value. Answers their number. */
static const char drop_text[] = "local k, f, gone = KEYS[1], {}, {}\n"
                                "for i = 1, #ARGV, 2 do f[#f + 1] = ARGV[i] end\n"
                                "local now = redis.call('HMGET', k, unpack(f))\n"
                                "for i = 1, #f do\n"
                                "  if now[i] == ARGV[2 * i] then gone[#gone + 1] = f[i] end\n"
                                "end\n"
                                "return #gone > 0 and redis.call('HDEL', k, unpack(gone)) or 0\n";

const char *script_text(enum script script)
{
  static const char *const texts[] = {[SCRIPT_SET] = set_text,
                                      [SCRIPT_CUT] = cut_text,
                                      [SCRIPT_LEAD] = lead_text,
                                      [SCRIPT_NEW] = new_text,
                                      [SCRIPT_DROP] = drop_text};
  return texts[script];
}

void script_begin(const struct compact *c, struct resp *client, enum script script, bool whole,
                  const char *key, size_t args)
{
  resp_begin(client, 4 + args, 3);
  resp_arg_str(client, whole ? "EVAL" : "EVALSHA");
  resp_arg_str(client, whole ? script_text(script) : c->sha[script]);
  resp_arg_str(client, "1");
  resp_arg(client, key, CP_KEY_LEN);
}
