/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A batch is written in two phases. The first sends the same commands for every record, about five,
 * none of which can move a time the wrong way: times are set where there are none, and what was
 * there comes back. The second moves those that have to move, by a script, so that two writers at
 * once end at the least and the greatest of all they saw.
 */
#include "config.h"

#include "d4_private.h"

#include <stdlib.h>
#include <string.h>

/* Octets of commands that are gathered before they are sent. */
#define CHUNK_BYTES ((size_t)4 << 20)
/* Keys of one call of the script, which nothing else interrupts. */
#define SCRIPT_KEYS 500

/* KEYS[i] becomes the least (`<`) or greatest (`>`) of what it is and a number, or their sum (`+`).
   Numbers are compared as digits, since Lua's have 53 bits. What is no number counts as missing,
   and a fraction is cut off. */
static const char script[] =
    "local function less(a, b) return #a < #b or (#a == #b and a < b) end\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local how, new = ARGV[2 * i - 1], ARGV[2 * i]\n"
    "  local old = redis.call('GET', key)\n"
    "  local whole = old and string.match(old, '^%s*0*(%d+)')\n"
    "  if how == '+' then\n"
    "    if old ~= whole then redis.call('SET', key, whole or '0', 'KEEPTTL') end\n"
    "    local sum = redis.pcall('INCRBY', key, new)\n"
    "    if type(sum) == 'table' and sum.err then\n"
    "      redis.call('SET', key, '9223372036854775807', 'KEEPTTL')\n"
    "    end\n"
    "  else\n"
    "    local best = new\n"
    "    if whole and ((how == '<' and less(whole, new)) or (how == '>' and less(new, whole))) "
    "then\n"
    "      best = whole\n"
    "    end\n"
    "    if best ~= old then redis.call('SET', key, best, 'KEEPTTL') end\n"
    "  end\n"
    "end\n"
    "return 1\n";

enum item_flag {
  ITEM_LOWER = 1u << 0,   /* s: has to move */
  ITEM_RAISE = 1u << 1,   /* l: has to move */
  ITEM_TOTAL = 1u << 2,   /* o: has to become at least the total */
  ITEM_ADD = 1u << 3,     /* o: is no number that the server can add to */
  ITEM_COUNTED = 1u << 4, /* o: has the count of this batch */
  ITEM_REFUSED = 1u << 5,
  ITEM_NEW = 1u << 6 /* s: was not there */
};

struct d4_writer;

struct item {
  const struct cof_record *record;
  struct d4_writer *writer;
  struct d4_text v;
  uint32_t index;
  uint32_t flags;
};

struct tally {
  bool counted;
};

/* Types that a batch's distribution tells apart before they are sent. */
#define TYPES_MAX 64

struct type_hits {
  uint16_t rrtype;
  uint64_t hits;
};

struct d4_writer {
  struct resp *client;
  struct item *items;
  size_t items_count, items_room;
  struct tally *tallies; /* one for each sensor, one for all records, one for distributions */
  size_t tallies_room;
  char **blocks; /* texts that differ from those of the batch */
  size_t blocks_count, blocks_room;
  uint64_t kept; /* fingerprint of the batch whose write failed; 0: none */
  bool plain;    /* the server does not know SET with NX and GET */
  bool repeat;   /* the first phase has to be repeated in the plain form */
};

struct d4_writer *d4_writer_create(void)
{
  return calloc(1, sizeof(struct d4_writer));
}

static void free_blocks(struct d4_writer *w)
{
  for (size_t i = 0; i < w->blocks_count; i++)
    free(w->blocks[i]);
  w->blocks_count = 0;
}

void d4_writer_destroy(struct d4_writer **writer)
{
  struct d4_writer *w = *writer;
  if (w == NULL)
    return;
  free_blocks(w);
  free(w->blocks);
  free(w->items);
  free(w->tallies);
  free(w);
  *writer = NULL;
}

void d4_writer_plain(struct d4_writer *w)
{
  w->plain = true;
}

/* --- preparing ------------------------------------------------------------------------------ */

static bool room_for(void **array, size_t *room, size_t count, size_t size)
{
  if (count <= *room)
    return true;
  void *more = realloc(*array, count * size);
  if (more == NULL)
    return false;
  memset((char *)more + *room * size, 0, (count - *room) * size);
  *array = more;
  *room = count;
  return true;
}

static bool set_v(struct d4_writer *w, struct item *item)
{
  const struct cof_record *r = item->record;
  bool same = r->rrtype == COF_TYPE_A || r->rrtype == COF_TYPE_AAAA ||
              (r->rrtype != COF_TYPE_TXT && !(r->rdata_len == 1 && r->rdata[0] == '.') &&
               !d4_has_upper((struct d4_text){r->rdata, r->rdata_len}));
  item->v = (struct d4_text){r->rdata, r->rdata_len};
  if (same)
    return true;
  if (w->blocks_count == w->blocks_room) {
    size_t room = w->blocks_room != 0 ? 2 * w->blocks_room : 64;
    char **more = realloc(w->blocks, room * sizeof *more);
    if (more == NULL)
      return false;
    w->blocks = more;
    w->blocks_room = room;
  }
  char *v = malloc((size_t)r->rdata_len + 1);
  if (v == NULL)
    return false;
  w->blocks[w->blocks_count++] = v;
  item->v = (struct d4_text){v, d4_rdata_put(r->rrtype, r->rdata, r->rdata_len, v)};
  return true;
}

/* Tells whether a batch is the one that failed the last time. Never 0. */
static uint64_t fingerprint(const struct cof_batch *batch)
{
  size_t count = cof_batch_count(batch);
  uint64_t sum = (uint64_t)(uintptr_t)batch ^ cof_batch_observations(batch);
  for (size_t i = 0; i < count; i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    sum = (sum << 7 | sum >> 57) ^ cof_record_hash(r);
    sum += r->count + 3 * r->total + 5 * (uint64_t)r->time_first + 7 * (uint64_t)r->time_last;
  }
  return sum | 1;
}

/* What was counted before the write failed is not counted again. */
static bool prepare(struct d4_writer *w, const struct cof_batch *batch)
{
  const struct cof_tally *tallies;
  size_t count = cof_batch_count(batch), sensors = cof_batch_tallies(batch, &tallies);
  bool again = w->kept != 0 && w->kept == fingerprint(batch);
  w->kept = 0;
  w->items_count = 0;
  free_blocks(w);
  if (!room_for((void **)&w->items, &w->items_room, count, sizeof *w->items) ||
      !room_for((void **)&w->tallies, &w->tallies_room, sensors + 2, sizeof *w->tallies))
    return false;
  if (!again)
    memset(w->tallies, 0, (sensors + 2) * sizeof *w->tallies);
  for (size_t i = 0; i < count; i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    if (r->verdict != COF_KEEP)
      continue;
    struct item *item = &w->items[w->items_count++];
    uint32_t counted = again ? item->flags & (ITEM_COUNTED | ITEM_NEW) : 0;
    *item = (struct item){.record = r, .writer = w, .index = (uint32_t)i, .flags = counted};
    if (!set_v(w, item))
      return false;
  }
  return true;
}

/* --- answers -------------------------------------------------------------------------------- */

/* @return whether an error was dealt with */
static bool take_error(struct item *item, const redisReply *reply)
{
  if (!resp_is_error(reply, "WRONGTYPE"))
    return false;
  item->flags |= ITEM_REFUSED;
  return true;
}

/* What was there before, where that has a say. @return whether the error was dealt with */
static bool take_old(struct item *item, const redisReply *reply, uint64_t *old, bool *odd)
{
  *old = 0;
  *odd = false;
  if (reply == NULL)
    return false;
  if (reply->type == REDIS_REPLY_ERROR && !item->writer->plain &&
      strstr(reply->str, "syntax error") != NULL) {
    item->writer->repeat = true;
    return true;
  }
  if (reply->type == REDIS_REPLY_ERROR)
    return take_error(item, reply);
  if (reply->type == REDIS_REPLY_STRING)
    *odd = !d4_number_plain(reply->str, reply->len) ||
           !d4_number_get(reply->str, reply->len, UINT64_MAX, old);
  return true;
}

static bool take_first(void *arg, const redisReply *reply)
{
  struct item *item = arg;
  uint64_t old;
  bool odd, good = take_old(item, reply, &old, &odd);
  if (good && reply->type == REDIS_REPLY_NIL && !item->writer->plain)
    item->flags |= ITEM_NEW;
  if (good && reply->type == REDIS_REPLY_STRING &&
      (odd || old > (uint64_t)item->record->time_first))
    item->flags |= ITEM_LOWER;
  return good;
}

/* The first time is what every record has; who sets it makes the record. */
static bool take_set(void *arg, const redisReply *reply)
{
  struct item *item = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_STATUS)
    item->flags |= ITEM_NEW;
  return false;
}

static bool take_last(void *arg, const redisReply *reply)
{
  struct item *item = arg;
  uint64_t old;
  bool odd, good = take_old(item, reply, &old, &odd);
  if (good && reply->type == REDIS_REPLY_STRING && (odd || old < (uint64_t)item->record->time_last))
    item->flags |= ITEM_RAISE;
  return good;
}

static bool take_total(void *arg, const redisReply *reply)
{
  struct item *item = arg;
  uint64_t old;
  bool odd, good = take_old(item, reply, &old, &odd);
  if (good && reply->type == REDIS_REPLY_STRING && (odd || old < item->record->total))
    item->flags |= ITEM_TOTAL;
  return good;
}

static bool take_sum(void *arg, const redisReply *reply)
{
  struct item *item = arg;
  if (reply == NULL)
    return false;
  if (reply->type == REDIS_REPLY_INTEGER) {
    item->flags |= ITEM_COUNTED;
    if (reply->integer < 0 || (uint64_t)reply->integer < item->record->total)
      item->flags |= ITEM_TOTAL;
    return true;
  }
  if (take_error(item, reply))
    return true;
  /* Not a number, or one that would overflow: plain ERR, and nothing that passes. */
  if (!resp_is_error(reply, "ERR") || resp_classify(reply) != RESP_FATAL)
    return false;
  item->flags |= ITEM_ADD;
  return true;
}

static bool take_member(void *arg, const redisReply *reply)
{
  return take_error(arg, reply);
}

static bool take_added(void *arg, const redisReply *reply)
{
  struct item *item = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
    item->flags |= ITEM_COUNTED;
  return false;
}

static bool take_tally(void *arg, const redisReply *reply)
{
  struct tally *tally = arg;
  if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
    tally->counted = true;
  return false;
}

/* --- first phase ---------------------------------------------------------------------------- */

static void arg_triple(struct resp *c, char kind, const struct item *item)
{
  const struct cof_record *r = item->record;
  d4_arg_triple(c, kind, (struct d4_text){r->rrname, r->rrname_len}, item->v, r->rrtype);
}

/* Set where there is nothing, and learn what there is. */
static bool put_if_missing(struct d4_writer *w, struct item *item, char kind, uint64_t value,
                           resp_reply_fn fn)
{
  struct resp *c = w->client;
  resp_begin(c, w->plain ? 4 : 5, 1);
  resp_arg(c, "SET", 3);
  arg_triple(c, kind, item);
  resp_arg_int(c, (int64_t)value);
  resp_arg(c, "NX", 2);
  if (!w->plain) {
    resp_arg(c, "GET", 3);
    return resp_end(c, fn, item);
  }
  if (!resp_end(c, kind == 's' ? take_set : NULL, kind == 's' ? item : NULL))
    return false;
  resp_begin(c, 2, 1);
  resp_arg(c, "GET", 3);
  arg_triple(c, kind, item);
  return resp_end(c, fn, item);
}

static bool put_count(struct d4_writer *w, struct item *item)
{
  const struct cof_record *r = item->record;
  struct resp *c = w->client;
  if (r->count == 0 && r->total != 0)
    return put_if_missing(w, item, 'o', r->total, take_total);
  if (item->flags & ITEM_COUNTED) {
    if (r->total != 0)
      item->flags |= ITEM_TOTAL;
    return true;
  }
  resp_begin(c, 3, 1);
  resp_arg(c, "INCRBY", 6);
  arg_triple(c, 'o', item);
  resp_arg_int(c, (int64_t)r->count);
  return resp_end(c, take_sum, item);
}

static bool put_member(struct resp *c, char kind, struct d4_text set, struct d4_text member,
                       struct item *item)
{
  resp_begin(c, 3, 1);
  resp_arg(c, "SADD", 4);
  d4_arg_set(c, kind, set, item->record->rrtype);
  resp_arg(c, member.at, member.len);
  return resp_end(c, take_member, item);
}

static bool expire_set(struct resp *c, char kind, struct d4_text set, struct item *item,
                       int64_t seconds)
{
  resp_begin(c, 3, 1);
  resp_arg(c, "EXPIRE", 6);
  d4_arg_set(c, kind, set, item->record->rrtype);
  resp_arg_int(c, seconds);
  return resp_end(c, NULL, NULL);
}

static bool expire_triple(struct resp *c, char kind, struct item *item, int64_t seconds)
{
  resp_begin(c, 3, 1);
  resp_arg(c, "EXPIRE", 6);
  arg_triple(c, kind, item);
  resp_arg_int(c, seconds);
  return resp_end(c, NULL, NULL);
}

/* The name within an rdata of several fields, by which it is looked up as well; the root is empty,
   as it is where the rdata is nothing else. */
static bool inner_target(const struct item *item, struct d4_text *target)
{
  const struct cof_record *r = item->record;
  size_t offset, length;
  if (cof_rdata_target(r->rrtype, r->rdata, r->rdata_len, &offset, &length) != COF_TARGET_NAME ||
      length == r->rdata_len)
    return false;
  bool root = length == 1 && r->rdata[offset] == '.';
  *target = (struct d4_text){r->rdata + offset, root ? 0 : length};
  return true;
}

/* s: before r:, since the other program's server breaks off at a member without times. */
static bool put_record(struct d4_writer *w, struct item *item, int64_t seconds)
{
  const struct cof_record *r = item->record;
  struct d4_text name = {r->rrname, r->rrname_len}, target;
  struct resp *c = w->client;
  bool inner = inner_target(item, &target);
  bool good = put_if_missing(w, item, 's', (uint64_t)r->time_first, take_first) &&
              put_if_missing(w, item, 'l', (uint64_t)r->time_last, take_last) &&
              put_count(w, item) && put_member(c, 'r', name, item->v, item) &&
              put_member(c, 'v', item->v, name, item) &&
              (!inner || put_member(c, 'v', target, name, item));
  if (!good || seconds == 0)
    return good;
  return expire_triple(c, 's', item, seconds) && expire_triple(c, 'l', item, seconds) &&
         expire_triple(c, 'o', item, seconds) && expire_set(c, 'r', name, item, seconds) &&
         expire_set(c, 'v', item->v, item, seconds) &&
         (!inner || expire_set(c, 'v', target, item, seconds));
}

static enum resp_result no_memory(struct resp *c, struct cof_error *err)
{
  resp_forget(c);
  cof_fail(err, COF_RETRY, "out of memory for a batch");
  return RESP_PASSING;
}

static enum resp_result run_if_full(struct resp *c, struct cof_error *err)
{
  return resp_pending_bytes(c) < CHUNK_BYTES ? RESP_OK : resp_run(c, 0, err);
}

static enum resp_result first_phase(struct store *s, struct d4_writer *w, struct cof_error *err)
{
  w->repeat = false;
  for (size_t i = 0; i < w->items_count; i++) {
    struct item *item = &w->items[i];
    item->flags &= (uint32_t) ~(ITEM_LOWER | ITEM_RAISE | ITEM_TOTAL);
    if (!put_record(w, item, store_expiry(s, item->record->rrtype)))
      return no_memory(w->client, err);
    enum resp_result result = run_if_full(w->client, err);
    if (result != RESP_OK)
      return result;
  }
  return resp_run(w->client, 0, err);
}

/* --- second phase --------------------------------------------------------------------------- */

/* One key to move. */
struct move {
  struct item *item;
  uint64_t value;
  char kind, how;
};

struct moves {
  struct d4_writer *writer;
  struct move list[SCRIPT_KEYS];
  size_t count, most;
};

static bool put_moves(struct moves *m, resp_reply_fn fn, void *arg)
{
  struct resp *c = m->writer->client;
  if (m->count == 0)
    return true;
  resp_begin(c, 3 + 3 * m->count, 3);
  resp_arg(c, "EVAL", 4);
  resp_arg(c, script, sizeof script - 1);
  resp_arg_int(c, (int64_t)m->count);
  for (size_t i = 0; i < m->count; i++)
    arg_triple(c, m->list[i].kind, m->list[i].item);
  for (size_t i = 0; i < m->count; i++) {
    resp_arg(c, &m->list[i].how, 1);
    resp_arg_int(c, (int64_t)m->list[i].value);
  }
  m->count = 0;
  return resp_end(c, fn, arg);
}

static bool move(struct moves *m, struct item *item, char kind, char how, uint64_t value)
{
  m->list[m->count++] = (struct move){item, value, kind, how};
  return m->count < m->most || put_moves(m, NULL, NULL);
}

static bool move_item(struct moves *m, struct item *item)
{
  const struct cof_record *r = item->record;
  if (item->flags & ITEM_REFUSED)
    return true;
  if ((item->flags & ITEM_ADD) && !(item->flags & ITEM_COUNTED)) {
    if (!put_moves(m, NULL, NULL))
      return false;
    m->list[m->count++] = (struct move){item, r->count, 'o', '+'};
    if (!put_moves(m, take_added, item))
      return false;
    if (r->total != 0)
      item->flags |= ITEM_TOTAL;
  }
  return (!(item->flags & ITEM_LOWER) || move(m, item, 's', '<', (uint64_t)r->time_first)) &&
         (!(item->flags & ITEM_RAISE) || move(m, item, 'l', '>', (uint64_t)r->time_last)) &&
         (!(item->flags & ITEM_TOTAL) || move(m, item, 'o', '>', r->total));
}

static enum resp_result second_phase(struct store *s, struct d4_writer *w, struct cof_error *err)
{
  /* The keys of one call must lie on one node. */
  struct moves m = {.writer = w, .most = s->conf->mode == RESP_CLUSTER ? 1 : SCRIPT_KEYS};
  for (size_t i = 0; i < w->items_count; i++) {
    if (!move_item(&m, &w->items[i]))
      return no_memory(w->client, err);
    enum resp_result result = run_if_full(w->client, err);
    if (result != RESP_OK)
      return result;
  }
  if (!put_moves(&m, NULL, NULL))
    return no_memory(w->client, err);
  return resp_run(w->client, 0, err);
}

/* --- statistics ----------------------------------------------------------------------------- */

static bool put_sensor(struct d4_writer *w, const struct cof_tally *t, struct tally *tally)
{
  struct resp *c = w->client;
  resp_begin(c, 3, 1);
  resp_arg_str(c, "SADD");
  resp_arg_str(c, "sensors:seen");
  resp_arg(c, t->sensor_id, t->sensor_len);
  if (!resp_end(c, NULL, NULL))
    return false;
  resp_begin(c, 4, 1);
  resp_arg_str(c, "ZINCRBY");
  resp_arg_str(c, "stats:sensors");
  resp_arg_int(c, (int64_t)t->records);
  resp_arg(c, t->sensor_id, t->sensor_len);
  return resp_end(c, take_tally, tally);
}

static bool put_hits(struct d4_writer *w, const char *key, const char *field, uint64_t number,
                     uint64_t hits, struct tally *tally)
{
  struct resp *c = w->client;
  resp_begin(c, 4, 1);
  resp_arg_str(c, "HINCRBY");
  resp_arg_str(c, key);
  if (field != NULL)
    resp_arg_str(c, field);
  else
    resp_arg_int(c, (int64_t)number);
  resp_arg_int(c, (int64_t)hits);
  return resp_end(c, tally != NULL ? take_tally : NULL, tally);
}

static bool put_types(struct d4_writer *w, uint64_t *all)
{
  struct type_hits types[TYPES_MAX];
  size_t count = 0;
  bool good = true;
  for (size_t i = 0; i < w->items_count && good; i++) {
    const struct cof_record *r = w->items[i].record;
    uint64_t hits = r->observations != 0 ? r->observations : 1;
    size_t k = 0;
    *all += hits;
    while (k < count && types[k].rrtype != r->rrtype)
      k++;
    if (k < count)
      types[k].hits += hits;
    else if (count < TYPES_MAX)
      types[count++] = (struct type_hits){r->rrtype, hits};
    else
      good = put_hits(w, "dist:type", NULL, r->rrtype, hits, NULL);
  }
  for (size_t k = 0; k < count && good; k++)
    good = put_hits(w, "dist:type", NULL, types[k].rrtype, types[k].hits, NULL);
  return good;
}

/* As the other program keeps them for what sensors log, which is what comes with TTLs. */
static bool put_distributions(struct d4_writer *w, const struct cof_batch *batch,
                              struct tally *tally)
{
  const struct cof_ttl *ttls;
  size_t count = cof_batch_ttls(batch, &ttls);
  uint64_t all = 0;
  if (count == 0 || tally->counted)
    return true;
  for (size_t i = 0; i < count; i++)
    if (!put_hits(w, "dist:ttl", NULL, ttls[i].ttl, ttls[i].hits, NULL))
      return false;
  return put_types(w, &all) && put_hits(w, "dist:class", "IN", 0, all, tally);
}

static enum resp_result put_stats(struct d4_writer *w, const struct cof_batch *batch,
                                  struct cof_error *err)
{
  const struct cof_tally *tallies;
  size_t count = cof_batch_tallies(batch, &tallies);
  for (size_t i = 0; i < count; i++)
    if (!w->tallies[i].counted && !put_sensor(w, &tallies[i], &w->tallies[i]))
      return no_memory(w->client, err);
  uint64_t observations = cof_batch_observations(batch);
  if (observations != 0 && !w->tallies[count].counted) {
    resp_begin(w->client, 3, 1);
    resp_arg_str(w->client, "INCRBY");
    resp_arg_str(w->client, "stats:processed");
    resp_arg_int(w->client, (int64_t)observations);
    if (!resp_end(w->client, take_tally, &w->tallies[count]))
      return no_memory(w->client, err);
  }
  if (!put_distributions(w, batch, &w->tallies[count + 1]))
    return no_memory(w->client, err);
  return resp_run(w->client, 0, err);
}

/* --- what expired --------------------------------------------------------------------------- */

static enum resp_result sweep(struct store *s, struct d4_writer *w, struct cof_error *err)
{
  struct sweep *sweep = s->expiries_count != 0 ? d4_sweep_create(w->client) : NULL;
  if (s->expiries_count == 0)
    return RESP_OK;
  if (sweep == NULL)
    return no_memory(w->client, err);
  for (size_t i = 0; i < w->items_count; i++) {
    const struct cof_record *r = w->items[i].record;
    if (store_expiry(s, r->rrtype) == 0)
      continue;
    d4_sweep_add(sweep, 'r', (struct d4_text){r->rrname, r->rrname_len}, r->rrtype);
    d4_sweep_add(sweep, 'v', w->items[i].v, r->rrtype);
  }
  enum resp_result result = d4_sweep_run(sweep, err);
  d4_sweep_destroy(&sweep);
  return result;
}

/* --- all ------------------------------------------------------------------------------------ */

/* Also of a write that failed later on: the keys are there now. */
static void tell_new(const struct store *s, const struct d4_writer *w, struct cof_ticket *ticket)
{
  if (!cof_ticket_wants_new(s->host, ticket))
    return;
  for (size_t i = 0; i < w->items_count; i++)
    if (w->items[i].flags & ITEM_NEW)
      cof_ticket_new(s->host, ticket, w->items[i].index);
}

enum resp_result d4_write(struct store *s, const struct cof_batch *batch, struct cof_ticket *ticket,
                          struct cof_error *err)
{
  struct d4 *d4 = s->state;
  struct d4_writer *w = d4->writer;
  w->client = s->writer;
  if (!prepare(w, batch)) {
    cof_fail(err, COF_RETRY, "out of memory for a batch of %zu records", cof_batch_count(batch));
    return RESP_PASSING;
  }
  enum resp_result result = first_phase(s, w, err);
  if (w->repeat && !w->plain && (result == RESP_OK || result == RESP_PASSING)) {
    w->plain = true;
    result = first_phase(s, w, err);
  }
  if (result == RESP_OK)
    result = second_phase(s, w, err);
  if (result == RESP_OK)
    result = put_stats(w, batch, err);
  if (result == RESP_OK)
    result = sweep(s, w, err);
  tell_new(s, w, ticket);
  if (result != RESP_OK) {
    w->kept = fingerprint(batch);
    return result;
  }
  for (size_t i = 0; i < w->items_count; i++)
    if (w->items[i].flags & ITEM_REFUSED)
      cof_ticket_reject(s->host, ticket, w->items[i].index,
                        "a key of this record is of another kind in the database");
  return RESP_OK;
}
