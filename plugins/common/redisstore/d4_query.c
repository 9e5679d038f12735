/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_cursor_private.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Sets that one name or rdata may lie in: each type, each spelling. */
#define SOURCES_MAX (D4_TYPES_MAX * D4_FORMS_MAX)

uint64_t d4_hash(struct d4_text text)
{
  return XXH3_64bits(text.len != 0 ? text.at : "", text.len);
}

uint64_t d4_hash_record(const struct cof_record *r)
{
  uint64_t hash = XXH3_64bits_withSeed(r->rrname, r->rrname_len, r->rrtype);
  return XXH3_64bits_withSeed(r->rdata, r->rdata_len, hash);
}

uint64_t d4_hash_source(const struct d4_source *source)
{
  return d4_hash(source->text) + source->rrtype;
}

static enum cof_result no_memory(struct cof_error *err)
{
  return cof_fail(err, COF_RETRY, "out of memory");
}

/* --- opening -------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
  const uint16_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static bool set_types(struct d4_cursor *c, const struct d4 *d4, const struct cof_query *q)
{
  c->all_types = q->rrtypes == NULL || q->rrtypes_count == 0;
  const uint16_t *from = c->all_types ? d4->types : q->rrtypes;
  size_t count = c->all_types ? d4->types_count : q->rrtypes_count;
  c->types = malloc(count * sizeof *c->types);
  if (c->types == NULL)
    return false;
  memcpy(c->types, from, count * sizeof *c->types);
  qsort(c->types, count, sizeof *c->types, by_number);
  for (size_t i = 0; i < count; i++)
    if (i == 0 || c->types[i] != c->types[c->types_count - 1])
      c->types[c->types_count++] = c->types[i];
  return true;
}

static bool set_target(struct d4_cursor *c, const struct cof_query *q)
{
  char text[COF_ADDR_TEXT_MAX];
  const char *target = q->name;
  if (q->kind == COF_QUERY_ALL)
    return true;
  if (q->kind == COF_QUERY_RDATA_ADDR) {
    cof_addr_text(&q->first, text);
    target = text;
  }
  c->target = strdup(target);
  if (q->kind == COF_QUERY_RDATA_ADDR || q->kind == COF_QUERY_RDATA_NAME)
    c->filter.target = c->target;
  if (c->filter.target != NULL)
    c->filter.target_len = strlen(c->target);
  return c->target != NULL;
}

/* What makes two questions the same, for tokens: all but limit, deadline and token. */
static uint64_t hash_question(const struct d4_cursor *c)
{
  const struct d4_filter *f = &c->filter;
  const int64_t fences[] = {f->first_after, f->first_before, f->last_after, f->last_before};
  uint64_t hash = XXH3_64bits_withSeed(fences, sizeof fences, (uint64_t)c->kind);
  if (c->target != NULL)
    hash = XXH3_64bits_withSeed(c->target, strlen(c->target), hash);
  if (!c->all_types)
    hash = XXH3_64bits_withSeed(c->types, c->types_count * sizeof *c->types, hash);
  return hash;
}

static enum cof_result check_query(const struct cof_query *q, struct cof_error *err)
{
  switch (q->kind) {
  case COF_QUERY_RRNAME:
  case COF_QUERY_RDATA_NAME:
  case COF_QUERY_RDATA_TEXT:
    return q->name != NULL && q->name[0] != '\0'
               ? COF_OK
               : cof_fail(err, COF_REJECT, "the question has no name");
  case COF_QUERY_RDATA_ADDR:
    if (q->first.family != q->last.family ||
        memcmp(q->first.bytes, q->last.bytes, cof_addr_len(&q->first)) != 0)
      return cof_fail(err, COF_UNSUPPORTED, "the layout d4 finds single addresses, no ranges");
    return COF_OK;
  case COF_QUERY_ALL:
    return COF_OK;
  default:
    return cof_fail(err, COF_UNSUPPORTED, "the layout d4 has no index for this kind of question");
  }
}

static struct d4_cursor *cursor_create(struct store *s, const struct cof_query *q)
{
  struct d4_cursor *c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  c->kind = q->kind;
  c->set_kind = q->kind == COF_QUERY_RRNAME || q->kind == COF_QUERY_ALL ? 'r' : 'v';
  c->state = q->kind == COF_QUERY_ALL ? D4_SCAN : D4_START;
  c->filter = (struct d4_filter){.first_after = q->time_first_after,
                                 .first_before = q->time_first_before,
                                 .last_after = q->time_last_after,
                                 .last_before = q->time_last_before};
  c->left = q->limit != 0 ? q->limit : UINT64_MAX;
  c->names = cof_batch_create();
  c->scan = d4_scan_create();
  if (!d4_page_create(&c->page, s) || c->names == NULL || c->scan == NULL ||
      !set_types(c, s->state, q) || !set_target(c, q)) {
    d4_close(s, c);
    return NULL;
  }
  c->page.deadline_ns = q->deadline_ns;
  c->question = hash_question(c);
  return c;
}

enum cof_result d4_open(struct store *s, const struct cof_query *q, void **cursor,
                        struct cof_error *err)
{
  enum cof_result result = check_query(q, err);
  if (result != COF_OK)
    return result;
  struct d4_cursor *c = cursor_create(s, q);
  if (c == NULL)
    return no_memory(err);
  if (q->token != NULL)
    result = d4_place_get(&c->resume, c->question, q->token, q->token_len, err);
  if (result != COF_OK) {
    d4_close(s, c);
    return result;
  }
  c->resuming = c->resume.begun;
  if (!d4_hashes_set(&c->seen, c->resume.texts[PLACE_SEEN]) ||
      !d4_hashes_set(&c->done, c->resume.texts[PLACE_DONE])) {
    d4_close(s, c);
    return no_memory(err);
  }
  *cursor = c;
  return COF_OK;
}

void d4_close(struct store *s, void *cursor)
{
  struct d4_cursor *c = cursor;
  (void)s;
  if (c == NULL)
    return;
  d4_page_free(&c->page);
  d4_scan_destroy(&c->scan);
  cof_batch_destroy(&c->names);
  free(c->sources);
  free(c->types);
  free(c->target);
  free(c->resume.block);
  free(c->seen.at);
  free(c->done.at);
  free(c->part.at);
  free(c->sets.at);
  free(c->token);
  free(c);
}

/* --- sources -------------------------------------------------------------------------------- */

bool d4_add_source(struct d4_cursor *c, struct d4_text text, uint16_t rrtype)
{
  if (c->sources_count == c->sources_room) {
    size_t room = c->sources_room != 0 ? 2 * c->sources_room : 256;
    struct d4_source *more = realloc(c->sources, room * sizeof *more);
    if (more == NULL)
      return false;
    c->sources = more;
    c->sources_room = room;
  }
  c->sources[c->sources_count++] = (struct d4_source){.text = text, .rrtype = rrtype};
  return true;
}

static bool keep_name(struct d4_cursor *c, struct d4_text from, struct d4_text *to)
{
  char *copy = cof_batch_alloc(c->names, from.len);
  if (copy == NULL)
    return false;
  if (from.len != 0)
    memcpy(copy, from.at, from.len);
  *to = (struct d4_text){copy, from.len};
  return true;
}

/* Whether rdata of this type may be what is asked for. */
static bool type_fits(const struct d4_cursor *c, uint16_t rrtype)
{
  size_t len = strlen(c->target), canon_len, offset, length;
  switch (c->kind) {
  case COF_QUERY_RDATA_ADDR:
    return rrtype == (strchr(c->target, ':') != NULL ? COF_TYPE_AAAA : COF_TYPE_A);
  case COF_QUERY_RDATA_NAME:
    return d4_partial_target(rrtype) ||
           cof_rdata_target(rrtype, c->target, len, &offset, &length) == COF_TARGET_NAME;
  case COF_QUERY_RDATA_TEXT:
    return cof_rdata_canon(rrtype, c->target, len, c->page.rdata, COF_RDATA_MAX + 1, &canon_len,
                           NULL) == COF_OK &&
           canon_len == len && memcmp(c->page.rdata, c->target, len) == 0;
  default:
    return true;
  }
}

static bool add_forms(struct d4_cursor *c, uint16_t rrtype)
{
  struct d4_forms forms;
  struct d4_text text;
  size_t len = strlen(c->target);
  bool good = c->set_kind == 'r' ? d4_name_forms(c->target, len, &forms)
                                 : d4_rdata_forms(rrtype, c->target, len, &forms);
  for (size_t i = 0; good && i < forms.count && c->sources_count < SOURCES_MAX; i++)
    good = keep_name(c, forms.forms[i], &text) && d4_add_source(c, text, rrtype);
  free(forms.block);
  return good;
}

/* Leave out the sets that do not exist, but for the one that a token stands in. */
static void drop_empty(struct d4_cursor *c)
{
  const struct d4_place *place = &c->resume;
  size_t kept = 0;
  c->at = 0;
  for (size_t i = 0; i < c->sources_count; i++) {
    struct d4_source *source = &c->sources[i];
    bool here = c->resuming && place->streaming && source->rrtype == place->source_type &&
                d4_hash(source->text) == place->source_hash;
    if (here) {
      c->at = kept;
      source->cursor = place->texts[PLACE_CURSOR];
    }
    if (source->members != 0 || here)
      c->sources[kept++] = *source;
  }
  c->sources_count = kept;
}

/* Find the sets that hold the answer, and whether they can be read as a whole. */
static enum cof_result start(struct d4_cursor *c, struct cof_error *err)
{
  c->sources_count = 0;
  cof_batch_clear(c->names);
  for (size_t i = 0; i < c->types_count; i++)
    if (type_fits(c, c->types[i]) && !add_forms(c, c->types[i]))
      return no_memory(err);
  enum cof_result result =
      d4_count_members(&c->page, c->set_kind, c->sources, c->sources_count, err);
  if (result != COF_OK)
    return result;
  drop_empty(c);
  uint64_t members = 0;
  for (size_t i = 0; i < c->sources_count; i++)
    members += c->sources[i].members;
  bool whole = c->resuming ? !c->resume.streaming : members <= D4_WHOLE_MEMBERS;
  c->state = c->sources_count == 0 ? D4_END : whole ? D4_WHOLE : D4_STREAM;
  return COF_OK;
}

/* --- pages ---------------------------------------------------------------------------------- */

static enum cof_result whole_page(struct d4_cursor *c, struct cof_error *err)
{
  bool fits;
  enum cof_result result = d4_read_whole(c, 0, c->sources_count, &fits, err);
  if (result != COF_OK)
    return result;
  if (fits) {
    d4_skip_answered(c);
    c->state = D4_END;
    return COF_OK;
  }
  if (c->resuming)
    return cof_fail(err, COF_REJECT,
                    "the answer grew too large for this resume token; ask from the beginning");
  c->at = 0;
  c->state = D4_STREAM;
  return COF_OK;
}

static enum cof_result stream_page(struct d4_cursor *c, struct cof_error *err)
{
  enum cof_result result = d4_read_stream(c, err);
  if (result != COF_OK)
    return result;
  d4_skip_answered(c);
  c->resuming = false;
  if (c->sources[c->at].done)
    c->at++;
  if (c->at >= c->sources_count)
    c->state = D4_END;
  return COF_OK;
}

static enum cof_result read_page(struct d4_cursor *c, struct cof_error *err)
{
  switch (c->state) {
  case D4_START:
    return start(c, err);
  case D4_WHOLE:
    return whole_page(c, err);
  case D4_STREAM:
    return stream_page(c, err);
  default:
    return d4_scan_page(c, err);
  }
}

static struct d4_text hashes_text(const struct d4_hashes *h)
{
  return (struct d4_text){(const char *)h->at, h->len};
}

/* Of a streamed page: what was given of it. */
static bool place_seen(struct d4_cursor *c, struct d4_place *place)
{
  bool good = d4_hashes_set(&c->part, hashes_text(&c->seen));
  for (size_t i = 0; i < c->entry && good; i++)
    good = d4_hashes_add(&c->part,
                         d4_hash_record(cof_batch_at(c->page.batch, c->page.entries[i].record)));
  place->texts[PLACE_SEEN] = hashes_text(&c->part);
  place->texts[PLACE_CURSOR] = c->page_cursor;
  return good;
}

/* Of a scan: the page of keys, and the sets of it that are done with. */
static bool place_scan(struct d4_cursor *c, struct d4_place *place, size_t source)
{
  bool good = d4_hashes_set(&c->sets, hashes_text(&c->done));
  for (size_t i = 0; i < source && good; i++)
    good = d4_hashes_add(&c->sets, d4_hash_source(&c->sources[i]));
  place->texts[PLACE_DONE] = hashes_text(&c->sets);
  place->texts[PLACE_NODE] = c->scan->node;
  place->texts[PLACE_RUN] = c->scan->run;
  place->texts[PLACE_SCAN] = c->scan->at;
  place->texts[PLACE_SOURCE] = c->sources[source].text;
  return good;
}

/* @return false when out of memory */
static bool place_now(struct d4_cursor *c, struct d4_place *place)
{
  bool good = true;
  *place = (struct d4_place){.streaming = c->streaming, .begun = c->entry != 0};
  if (c->entry == 0)
    return true;
  const struct d4_entry *e = &c->page.entries[c->entry - 1];
  size_t source = c->streaming ? c->group : c->group + c->page.hits[e->hit].source;
  if (c->kind == COF_QUERY_ALL)
    good = place_scan(c, place, source);
  if (c->kind == COF_QUERY_ALL || c->streaming) {
    place->source_hash = d4_hash(c->sources[source].text);
    place->source_type = c->sources[source].rrtype;
  }
  if (c->streaming)
    return place_seen(c, place) && good;
  const struct cof_record *r = cof_batch_at(c->page.batch, e->record);
  place->texts[PLACE_NAME] = (struct d4_text){r->rrname, r->rrname_len};
  place->texts[PLACE_RDATA] = (struct d4_text){r->rdata, r->rdata_len};
  place->rrtype = r->rrtype;
  return good;
}

/* Remember the place after the page that is done with. */
static bool keep_token(struct d4_cursor *c)
{
  struct d4_place place;
  if (c->entry == 0)
    return true;
  if (c->token == NULL && (c->token = malloc(COF_TOKEN_MAX)) == NULL)
    return false;
  if (!place_now(c, &place))
    return false;
  c->token_len = d4_place_put(&place, c->question, c->token, COF_TOKEN_MAX);
  return true;
}

static enum cof_result next_page(struct store *s, struct d4_cursor *c, struct cof_error *err)
{
  struct reader *reader;
  if (!keep_token(c))
    return no_memory(err);
  enum cof_result result = reader_take(s, c->page.deadline_ns, &reader, err);
  if (result != COF_OK)
    return result;
  c->page.client = reader->client;
  d4_page_clear(&c->page);
  c->entry = 0;
  result = read_page(c, err);
  if (result != COF_OK)
    c->page.entries_count = 0;
  c->page.client = NULL;
  reader_give(s, reader);
  return result;
}

enum cof_result d4_next(struct store *s, void *cursor, size_t max, struct cof_batch *into,
                        struct cof_error *err)
{
  struct d4_cursor *c = cursor;
  size_t given = 0;
  while (given < max && c->left != 0) {
    if (c->entry == c->page.entries_count) {
      if (c->state == D4_END)
        return COF_OK;
      enum cof_result result = next_page(s, c, err);
      if (result != COF_OK)
        return result;
      continue;
    }
    if (cof_batch_add(into, cof_batch_at(c->page.batch, c->page.entries[c->entry].record)) == NULL)
      return no_memory(err);
    c->entry++;
    c->left--;
    given++;
  }
  return COF_OK;
}

enum cof_result d4_token(struct store *s, void *cursor, void *buf, size_t cap, size_t *len)
{
  struct d4_cursor *c = cursor;
  struct d4_place place;
  (void)s;
  if (c->entry != 0 || (c->token == NULL && c->resume.block == NULL)) {
    if (!place_now(c, &place))
      return COF_RETRY;
    *len = d4_place_put(&place, c->question, buf, cap);
    return *len != 0 ? COF_OK : COF_REJECT;
  }
  if (c->token == NULL) {
    *len = d4_place_put(&c->resume, c->question, buf, cap);
    return *len != 0 ? COF_OK : COF_REJECT;
  }
  if (c->token_len == 0 || c->token_len > cap)
    return COF_REJECT;
  memcpy(buf, c->token, c->token_len);
  *len = c->token_len;
  return COF_OK;
}
