/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_cursor_private.h"

#include <stdlib.h>
#include <string.h>

static void rewind_sources(struct d4_cursor *c, size_t from, size_t count)
{
  for (size_t i = from; i < from + count; i++) {
    c->sources[i].done = false;
    c->sources[i].cursor.len = 0;
  }
}

enum cof_result d4_read_whole(struct d4_cursor *c, size_t from, size_t count, bool *fits,
                              struct cof_error *err)
{
  enum cof_result result = COF_OK;
  bool more = true;
  *fits = true;
  c->streaming = false;
  c->group = from;
  rewind_sources(c, from, count);
  while (more && result == COF_OK) {
    result = d4_read_sets(&c->page, c->set_kind, c->sources + from, count, err);
    more = false;
    for (size_t i = from; i < from + count; i++)
      more = more || !c->sources[i].done;
    if (cof_batch_bytes(c->page.arena) > D4_WHOLE_BYTES) {
      d4_page_clear(&c->page);
      rewind_sources(c, from, count);
      *fits = false;
      return result;
    }
  }
  if (result == COF_OK && c->kind == COF_QUERY_RDATA_NAME)
    result = d4_expand(&c->page, 0, err);
  if (result != COF_OK)
    return result;
  return d4_make_records(&c->page, &c->filter, c->kind == COF_QUERY_ALL ? D4_BY_SOURCE : D4_BY_NAME,
                         err);
}

/* --- page by page ---------------------------------------------------------------------------- */

static bool take_is_member(void *arg, const redisReply *reply)
{
  bool *is = arg;
  *is = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
  return resp_is_error(reply, "WRONGTYPE");
}

/* Ask of each name that was read in which of the other sets it is. */
static enum cof_result ask_elsewhere(struct d4_cursor *c, bool *is, struct cof_error *err)
{
  struct d4_page *p = &c->page;
  for (size_t i = 0; i < p->hits_count; i++)
    for (size_t k = 0; k < c->sources_count; k++) {
      if (k == c->at)
        continue;
      resp_begin(p->client, 3, 1);
      resp_arg(p->client, "SISMEMBER", 9);
      d4_arg_set(p->client, c->set_kind, c->sources[k].text, c->sources[k].rrtype);
      resp_arg(p->client, p->hits[i].name.at, p->hits[i].name.len);
      if (!resp_end(p->client, take_is_member, &is[i * c->sources_count + k]))
        p->failed = true;
    }
  return d4_run(p, err);
}

/* All records of a name go out together, at the first set that has it. */
static enum cof_result gather_names(struct d4_cursor *c, struct cof_error *err)
{
  struct d4_page *p = &c->page;
  size_t sets = c->sources_count, count = p->hits_count, kept = 0, n = 0;
  if (sets == 1 || count == 0)
    return COF_OK;
  bool *is = calloc(count * sets, sizeof *is);
  if (is == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  enum cof_result result = ask_elsewhere(c, is, err);
  for (size_t i = 0; i < count * sets; i++)
    n += is[i];
  struct d4_hit *hits = result == COF_OK ? calloc(count + n, sizeof *hits) : NULL;
  if (result == COF_OK && hits == NULL)
    result = cof_fail(err, COF_RETRY, "out of memory");
  for (size_t i = 0; result == COF_OK && i < count; i++) {
    const bool *row = is + i * sets;
    if (c->at != 0 && memchr(row, true, c->at * sizeof *row) != NULL)
      continue;
    hits[kept++] = p->hits[i];
    for (size_t k = c->at + 1; k < sets; k++)
      if (row[k]) {
        hits[kept] = p->hits[i];
        hits[kept].v = c->sources[k].text;
        hits[kept++].rrtype = c->sources[k].rrtype;
      }
  }
  free(is);
  if (result != COF_OK)
    return result;
  free(p->hits);
  p->hits = hits;
  p->hits_room = count + n;
  p->hits_count = kept;
  return COF_OK;
}

/* The cursor of the page outlives it. */
static bool keep_cursor(struct d4_cursor *c)
{
  struct d4_text from = c->sources[c->at].cursor;
  if (from.len == 0)
    from = (struct d4_text){"0", 1};
  char *copy = cof_batch_alloc(c->names, from.len);
  if (copy == NULL)
    return false;
  memcpy(copy, from.at, from.len);
  c->page_cursor = (struct d4_text){copy, from.len};
  c->sources[c->at].cursor = c->page_cursor;
  return true;
}

enum cof_result d4_read_stream(struct d4_cursor *c, struct cof_error *err)
{
  c->streaming = true;
  c->group = c->at;
  if (!c->resuming)
    c->seen.len = 0;
  struct d4_source *source = &c->sources[c->at];
  if (!keep_cursor(c))
    return cof_fail(err, COF_RETRY, "out of memory");
  enum cof_result result = d4_read_sets(&c->page, c->set_kind, source, 1, err);
  struct d4_text next;
  if (result == COF_OK && !source->done) {
    /* The next page's cursor lies in this page, which is cleared before it is used. */
    char *copy = cof_batch_alloc(c->names, source->cursor.len);
    if (copy == NULL)
      return cof_fail(err, COF_RETRY, "out of memory");
    memcpy(copy, source->cursor.at, source->cursor.len);
    next = (struct d4_text){copy, source->cursor.len};
  } else {
    next = c->page_cursor;
  }
  source->cursor = next;
  if (result == COF_OK && c->set_kind == 'v')
    result = gather_names(c, err);
  if (result == COF_OK && c->kind == COF_QUERY_RDATA_NAME)
    result = d4_expand(&c->page, 0, err);
  if (result == COF_OK)
    result = d4_make_records(&c->page, &c->filter, D4_BY_NAME, err);
  if (result != COF_OK) {
    source->cursor = c->page_cursor;
    source->done = false;
  }
  return result;
}

/* --- resuming -------------------------------------------------------------------------------- */

void d4_skip_answered(struct d4_cursor *c)
{
  if (!c->resuming)
    return;
  const struct d4_place *place = &c->resume;
  struct cof_record last = {.rrname = place->texts[PLACE_NAME].at,
                            .rrname_len = (uint16_t)place->texts[PLACE_NAME].len,
                            .rdata = place->texts[PLACE_RDATA].at,
                            .rdata_len = (uint32_t)place->texts[PLACE_RDATA].len,
                            .rrtype = place->rrtype};
  struct d4_page *p = &c->page;
  size_t kept = 0;
  for (size_t i = 0; i < p->entries_count; i++) {
    const struct cof_record *r = cof_batch_at(p->batch, p->entries[i].record);
    /* A scan begins with the set that the place is in. */
    bool beyond = c->kind == COF_QUERY_ALL && p->hits[p->entries[i].hit].source != 0;
    bool given = c->streaming ? d4_hashes_have(&c->seen, d4_hash_record(r))
                              : !beyond && d4_compare(r, &last) <= 0;
    if (!given)
      p->entries[kept++] = p->entries[i];
  }
  p->entries_count = kept;
}
