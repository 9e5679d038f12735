/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_page_private.h"

#include "d4_probe_private.h"

#include <stdlib.h>
#include <string.h>

/* Hits whose times are asked for in one run. */
#define HITS_RUN 4096

bool d4_page_create(struct d4_page *p, struct store *s)
{
  p->store = s;
  p->arena = cof_batch_create();
  p->batch = cof_batch_create();
  p->rdata = malloc(COF_RDATA_MAX + 1);
  return p->arena != NULL && p->batch != NULL && p->rdata != NULL;
}

void d4_page_free(struct d4_page *p)
{
  cof_batch_destroy(&p->arena);
  cof_batch_destroy(&p->batch);
  free(p->hits);
  free(p->entries);
  free(p->rdata);
}

void d4_page_clear(struct d4_page *p)
{
  cof_batch_clear(p->arena);
  cof_batch_clear(p->batch);
  p->hits_count = 0;
  p->entries_count = 0;
  p->failed = false;
}

bool d4_keep(struct d4_page *p, struct d4_text from, struct d4_text *to)
{
  char *copy = cof_batch_alloc(p->arena, from.len);
  if (copy == NULL)
    return false;
  if (from.len != 0)
    memcpy(copy, from.at, from.len);
  *to = (struct d4_text){copy, from.len};
  return true;
}

enum cof_result d4_run(struct d4_page *p, struct cof_error *err)
{
  if (p->failed) {
    resp_forget(p->client);
    return cof_fail(err, COF_RETRY, "out of memory");
  }
  if (p->deadline_ns != 0 && cof_clock_ns(p->store->host) >= p->deadline_ns) {
    resp_forget(p->client);
    return cof_fail(err, COF_TIMEOUT, "the deadline passed before the answer was complete");
  }
  enum cof_result result = store_result(resp_run(p->client, 0, err));
  return result == COF_OK && p->failed ? cof_fail(err, COF_RETRY, "out of memory") : result;
}

/* --- sets ----------------------------------------------------------------------------------- */

/* A key of another kind than expected is none of this layout: as if it were not there. */
static bool foreign(const redisReply *reply)
{
  return resp_is_error(reply, "WRONGTYPE");
}

static bool take_members(void *arg, const redisReply *reply)
{
  struct d4_source *source = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
    source->members = (uint64_t)reply->integer;
  return foreign(reply);
}

enum cof_result d4_count_members(struct d4_page *p, char kind, struct d4_source *sources,
                                 size_t count, struct cof_error *err)
{
  for (size_t i = 0; i < count; i++) {
    resp_begin(p->client, 2, 1);
    resp_arg(p->client, "SCARD", 5);
    d4_arg_set(p->client, kind, sources[i].text, sources[i].rrtype);
    if (!resp_end(p->client, take_members, &sources[i]))
      p->failed = true;
  }
  return d4_run(p, err);
}

static struct d4_hit *add_hit(struct d4_page *p)
{
  if (p->hits_count == p->hits_room) {
    size_t room = p->hits_room != 0 ? 2 * p->hits_room : 256;
    struct d4_hit *more = realloc(p->hits, room * sizeof *more);
    if (more == NULL)
      return NULL;
    p->hits = more;
    p->hits_room = room;
  }
  struct d4_hit *hit = &p->hits[p->hits_count];
  *hit = (struct d4_hit){0};
  return hit;
}

struct set_scan {
  struct d4_page *page;
  struct d4_source *source;
  struct d4_probe probe;
  uint32_t index;
  char kind;
};

static bool take_member(struct set_scan *scan, const redisReply *member)
{
  struct d4_text text;
  struct d4_hit *hit = add_hit(scan->page);
  if (hit == NULL || !d4_keep(scan->page, (struct d4_text){member->str, member->len}, &text))
    return false;
  hit->name = scan->kind == 'r' ? scan->source->text : text;
  hit->v = scan->kind == 'r' ? text : scan->source->text;
  hit->rrtype = scan->source->rrtype;
  hit->source = scan->index;
  scan->page->hits_count++;
  return true;
}

/* The answer to SSCAN: a cursor and members. */
static bool take_scan(void *arg, const redisReply *reply)
{
  struct set_scan *scan = arg;
  struct d4_source *source = scan->source;
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
    source->done = foreign(reply);
    return source->done;
  }
  source->done = true;
  d4_probe_page(&scan->probe, reply);
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->str == NULL)
    return true;
  const redisReply *cursor = reply->element[0], *members = reply->element[1];
  if (cursor->len != 1 || cursor->str[0] != '0') {
    struct d4_text at = {cursor->str, cursor->len};
    source->done = false;
    if (at.len > D4_CURSOR_MAX || !d4_keep(scan->page, at, &source->cursor))
      scan->page->failed = true;
  }
  for (size_t i = 0; i < members->elements; i++)
    if (members->element[i]->str != NULL && !take_member(scan, members->element[i]))
      scan->page->failed = true;
  return true;
}

static void append_sscan(struct d4_page *p, char kind, struct set_scan *scan, struct d4_text cursor,
                         long long count, resp_reply_fn fn, void *arg)
{
  resp_begin(p->client, 5, 1);
  resp_arg(p->client, "SSCAN", 5);
  d4_arg_set(p->client, kind, scan->source->text, scan->source->rrtype);
  resp_arg(p->client, cursor.at, cursor.len);
  resp_arg(p->client, "COUNT", 5);
  resp_arg_int(p->client, count);
  if (!resp_end(p->client, fn, arg))
    p->failed = true;
}

static void append_scan(struct d4_page *p, char kind, struct set_scan *scan)
{
  static const struct d4_text begin = {"0", 1};
  struct d4_text cursor = scan->source->cursor.len != 0 ? scan->source->cursor : begin;
  append_sscan(p, kind, scan, cursor, D4_SCAN_COUNT, take_scan, scan);
  if (d4_probe_wanted(p->store, cursor))
    append_sscan(p, kind, scan, begin, 1, d4_probe_take, &scan->probe);
}

enum cof_result d4_read_sets(struct d4_page *p, char kind, struct d4_source *sources, size_t count,
                             struct cof_error *err)
{
  struct set_scan *scans = calloc(count != 0 ? count : 1, sizeof *scans);
  if (scans == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  for (size_t i = 0; i < count; i++) {
    if (sources[i].done)
      continue;
    scans[i] =
        (struct set_scan){.page = p, .source = &sources[i], .index = (uint32_t)i, .kind = kind};
    append_scan(p, kind, &scans[i]);
  }
  enum cof_result result = d4_run(p, err);
  for (size_t i = 0; i < count && result == COF_OK; i++)
    if (scans[i].probe.forgotten)
      result = d4_begin_again(err);
  free(scans);
  return result;
}

enum cof_result d4_expand(struct d4_page *p, size_t from, struct cof_error *err)
{
  size_t count = p->hits_count - from, kept = from, sources_count = 0;
  struct d4_source *sources = calloc(count != 0 ? count : 1, sizeof *sources);
  enum cof_result result = COF_OK;
  if (sources == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  for (size_t i = from; i < from + count; i++) {
    struct d4_hit hit = p->hits[i];
    if (d4_partial_target(hit.rrtype))
      sources[sources_count++] = (struct d4_source){.text = hit.name, .rrtype = hit.rrtype};
    else
      p->hits[kept++] = hit;
  }
  p->hits_count = kept;
  for (bool more = sources_count != 0; more && result == COF_OK;) {
    result = d4_read_sets(p, 'r', sources, sources_count, err);
    more = false;
    for (size_t i = 0; i < sources_count; i++)
      more = more || !sources[i].done;
    if (result == COF_OK && cof_batch_bytes(p->arena) > D4_WHOLE_BYTES)
      result =
          cof_fail(err, COF_FATAL, "the answer needs more than %zu octets at once", D4_WHOLE_BYTES);
  }
  free(sources);
  return result;
}

/* --- times ---------------------------------------------------------------------------------- */

static bool take_number(const redisReply *reply, uint64_t most, uint64_t *out, bool *has)
{
  if (reply != NULL && reply->type == REDIS_REPLY_STRING)
    *has = d4_number_get(reply->str, reply->len, most, out);
  return foreign(reply);
}

static bool take_first(void *arg, const redisReply *reply)
{
  struct d4_times *t = arg;
  return take_number(reply, (uint64_t)COF_TIME_MAX, &t->first, &t->has_first);
}

static bool take_last(void *arg, const redisReply *reply)
{
  struct d4_times *t = arg;
  return take_number(reply, (uint64_t)COF_TIME_MAX, &t->last, &t->has_last);
}

static bool take_count(void *arg, const redisReply *reply)
{
  struct d4_times *t = arg;
  return take_number(reply, COF_COUNT_MAX, &t->count, &t->has_count);
}

static bool append_get(struct d4_page *p, char kind, struct d4_hit *hit, resp_reply_fn fn)
{
  resp_begin(p->client, 2, 1);
  resp_arg(p->client, "GET", 3);
  d4_arg_triple(p->client, kind, hit->name, hit->v, hit->rrtype);
  return resp_end(p->client, fn, &hit->times);
}

static enum cof_result read_times(struct d4_page *p, struct cof_error *err)
{
  enum cof_result result = COF_OK;
  for (size_t i = 0; i < p->hits_count && result == COF_OK; i++) {
    struct d4_hit *hit = &p->hits[i];
    if (!append_get(p, 's', hit, take_first) || !append_get(p, 'l', hit, take_last) ||
        !append_get(p, 'o', hit, take_count))
      p->failed = true;
    if ((i + 1) % HITS_RUN == 0)
      result = d4_run(p, err);
  }
  return result == COF_OK ? d4_run(p, err) : result;
}

/* The other program's server looks times up in lower case, whatever the members' spelling: the
   record that this finds is the same. */
static bool add_guesses(struct d4_page *p)
{
  size_t count = p->hits_count, upper = 0;
  for (size_t i = 0; i < count; i++)
    upper += d4_has_upper(p->hits[i].name) || d4_has_upper(p->hits[i].v);
  if (upper == 0)
    return true;
  struct d4_hit *hits = calloc(count + upper, sizeof *hits);
  if (hits == NULL)
    return false;
  size_t n = 0;
  bool good = true;
  for (size_t i = 0; i < count && good; i++) {
    struct d4_hit hit = p->hits[i];
    hits[n++] = hit;
    if (!d4_has_upper(hit.name) && !d4_has_upper(hit.v))
      continue;
    char *text = cof_batch_alloc(p->arena, hit.name.len + hit.v.len);
    good = text != NULL;
    if (!good)
      break;
    d4_lower(hit.name, text);
    d4_lower(hit.v, text + hit.name.len);
    hit.name.at = text;
    hit.v.at = text + hit.name.len;
    hit.guess = true;
    hits[n++] = hit;
  }
  free(p->hits);
  p->hits = hits;
  p->hits_room = count + upper;
  p->hits_count = n;
  return good;
}

/* --- records -------------------------------------------------------------------------------- */

static bool alive(const struct d4_hit *hit)
{
  return hit->times.has_first || hit->times.has_last;
}

static void set_times(struct cof_record *r, const struct d4_times *t)
{
  r->time_first = (int64_t)(t->has_first ? t->first : t->last);
  r->time_last = (int64_t)(t->has_last ? t->last : t->first);
  if (r->time_last < r->time_first)
    r->time_last = r->time_first;
  r->count = t->has_count ? t->count : 1;
}

static bool on_target(const struct d4_filter *f, const struct cof_record *r)
{
  size_t offset, length;
  if (f->target == NULL)
    return true;
  cof_rdata_target(r->rrtype, r->rdata, r->rdata_len, &offset, &length);
  return length == f->target_len && memcmp(r->rdata + offset, f->target, length) == 0;
}

/* @return false when out of memory */
static bool add_entry(struct d4_page *p, size_t index, const struct d4_filter *f)
{
  char name[COF_NAME_MAX];
  const struct d4_hit *hit = &p->hits[index];
  struct cof_record r = {.rrtype = hit->rrtype, .rrname = name, .rdata = p->rdata};
  size_t name_len, rdata_len;
  if (!d4_name_get(hit->name, name, &name_len) ||
      !d4_rdata_get(hit->rrtype, hit->v, p->rdata, &rdata_len)) {
    cof_add(p->store->host, p->store->m_unreadable, hit->guess ? 0 : 1);
    return true;
  }
  r.rrname_len = (uint16_t)name_len;
  r.rdata_len = (uint32_t)rdata_len;
  set_times(&r, &hit->times);
  if (!on_target(f, &r))
    return true;
  p->entries[p->entries_count++] =
      (struct d4_entry){(uint32_t)cof_batch_count(p->batch), (uint32_t)index};
  return cof_batch_add(p->batch, &r) != NULL;
}

/* A member without times is left over from a record that expired. */
static void count_stale(struct d4_page *p)
{
  int64_t stale = 0;
  for (size_t i = 0; i < p->hits_count; i++) {
    bool twin = i + 1 < p->hits_count && p->hits[i + 1].guess;
    stale += !p->hits[i].guess && !alive(&p->hits[i]) && !(twin && alive(&p->hits[i + 1]));
  }
  if (stale != 0)
    cof_add(p->store->host, p->store->m_stale, stale);
}

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
  size_t len = a_len < b_len ? a_len : b_len;
  int c = len != 0 ? memcmp(a, b, len) : 0;
  return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

int d4_compare(const struct cof_record *a, const struct cof_record *b)
{
  int c = compare_text(a->rrname, a->rrname_len, b->rrname, b->rrname_len);
  if (c == 0)
    c = (a->rrtype > b->rrtype) - (a->rrtype < b->rrtype);
  return c != 0 ? c : compare_text(a->rdata, a->rdata_len, b->rdata, b->rdata_len);
}

static int compare_raw(const struct d4_hit *a, const struct d4_hit *b)
{
  int c = compare_text(a->name.at, a->name.len, b->name.at, b->name.len);
  return c != 0 ? c : compare_text(a->v.at, a->v.len, b->v.at, b->v.len);
}

struct sorting {
  const struct d4_page *page;
  enum d4_order order;
};

static int compare_entries(const void *a, const void *b, void *arg)
{
  const struct d4_entry *x = a, *y = b;
  const struct sorting *s = arg;
  const struct d4_hit *h = &s->page->hits[x->hit], *k = &s->page->hits[y->hit];
  if (s->order == D4_BY_SOURCE && h->source != k->source)
    return h->source < k->source ? -1 : 1;
  int c =
      d4_compare(cof_batch_at(s->page->batch, x->record), cof_batch_at(s->page->batch, y->record));
  return c != 0 ? c : compare_raw(h, k);
}

static void merge_record(struct cof_record *into, const struct cof_record *other)
{
  if (other->time_first < into->time_first)
    into->time_first = other->time_first;
  if (other->time_last > into->time_last)
    into->time_last = other->time_last;
  into->count =
      other->count > COF_COUNT_MAX - into->count ? COF_COUNT_MAX : into->count + other->count;
}

/* One record for each tuple; what was met twice under one spelling counts once. */
static void merge_entries(struct d4_page *p)
{
  size_t kept = 0, raw = 0;
  for (size_t i = 0; i < p->entries_count; i++) {
    struct d4_entry e = p->entries[i];
    const struct cof_record *r = cof_batch_at(p->batch, e.record);
    struct cof_record *last =
        kept != 0 ? cof_batch_at(p->batch, p->entries[kept - 1].record) : NULL;
    if (last == NULL || d4_compare(last, r) != 0)
      p->entries[kept++] = e;
    else if (compare_raw(&p->hits[raw], &p->hits[e.hit]) != 0)
      merge_record(last, r);
    raw = e.hit;
  }
  p->entries_count = kept;
}

static bool within(const struct d4_filter *f, const struct cof_record *r)
{
  return r->time_first >= f->first_after && r->time_first <= f->first_before &&
         r->time_last >= f->last_after && r->time_last <= f->last_before;
}

enum cof_result d4_make_records(struct d4_page *p, const struct d4_filter *f, enum d4_order order,
                                struct cof_error *err)
{
  if (!add_guesses(p))
    return cof_fail(err, COF_RETRY, "out of memory");
  enum cof_result result = read_times(p, err);
  if (result != COF_OK)
    return result;
  if (p->hits_count > p->entries_room) {
    struct d4_entry *more = realloc(p->entries, p->hits_count * sizeof *more);
    if (more == NULL)
      return cof_fail(err, COF_RETRY, "out of memory");
    p->entries = more;
    p->entries_room = p->hits_count;
  }
  for (size_t i = 0; i < p->hits_count; i++)
    if (alive(&p->hits[i]) && !add_entry(p, i, f))
      return cof_fail(err, COF_RETRY, "out of memory");
  count_stale(p);
  struct sorting sorting = {p, order};
  if (p->entries_count != 0)
    qsort_r(p->entries, p->entries_count, sizeof *p->entries, compare_entries, &sorting);
  merge_entries(p);
  size_t kept = 0;
  for (size_t i = 0; i < p->entries_count; i++)
    if (within(f, cof_batch_at(p->batch, p->entries[i].record)))
      p->entries[kept++] = p->entries[i];
  p->entries_count = kept;
  return COF_OK;
}
