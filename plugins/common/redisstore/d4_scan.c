/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Every record: SCAN for the keys r:*, node by node in the order of their names. A cursor of SCAN
 * means nothing to another server, not even to a replica that takes over, so each page makes sure
 * that it asks the same run of the same one.
 */
#include "config.h"

#include "d4_cursor_private.h"
#include "d4_probe_private.h"

#include <stdlib.h>
#include <string.h>

/* Keys that a server looks at for one page. */
#define KEYS_COUNT 1000
#define RUN_MAX    64

static bool set_text(struct d4_text *to, struct d4_text from)
{
  char *copy = malloc(from.len + 1);
  if (copy == NULL)
    return false;
  if (from.len != 0)
    memcpy(copy, from.at, from.len);
  free((void *)(uintptr_t)to->at);
  *to = (struct d4_text){copy, from.len};
  return true;
}

static bool same_text(struct d4_text a, struct d4_text b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static int compare_text(struct d4_text a, struct d4_text b)
{
  size_t len = a.len < b.len ? a.len : b.len;
  int c = len != 0 ? memcmp(a.at, b.at, len) : 0;
  return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

struct d4_scan *d4_scan_create(void)
{
  return calloc(1, sizeof(struct d4_scan));
}

void d4_scan_destroy(struct d4_scan **scan)
{
  struct d4_scan *s = *scan;
  if (s == NULL)
    return;
  free((void *)(uintptr_t)s->node.at);
  free((void *)(uintptr_t)s->run.at);
  free((void *)(uintptr_t)s->at.at);
  free((void *)(uintptr_t)s->next.at);
  free(s);
  *scan = NULL;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static struct d4_text node_name(const struct resp *client, size_t node)
{
  const char *name = resp_node_name(client, node);
  return (struct d4_text){name, strlen(name)};
}

/* Nodes must be the same from the first page to the last. */
static enum cof_result check_nodes(struct d4_cursor *c, size_t *count, struct cof_error *err)
{
  enum resp_result result;
  uint64_t sum = 1;
  *count = resp_nodes(c->page.client, &result, err);
  if (*count == 0)
    return store_result(result);
  for (size_t i = 0; i < *count; i++)
    sum += d4_hash(node_name(c->page.client, i));
  if (sum == 0 || (c->scan->nodes != 0 && c->scan->nodes != sum))
    return cof_fail(err, COF_FATAL,
                    "the nodes of the cluster changed while it was read; read it from the "
                    "beginning again");
  c->scan->nodes = sum;
  return COF_OK;
}

/* The node that the scan is at. */
static enum cof_result find_node(struct d4_cursor *c, size_t *node, struct cof_error *err)
{
  size_t count;
  enum cof_result result = check_nodes(c, &count, err);
  if (result != COF_OK)
    return result;
  for (*node = 0; *node < count; (*node)++)
    if (same_text(node_name(c->page.client, *node), c->scan->node))
      return COF_OK;
  return cof_fail(err, COF_FATAL,
                  "%.*s is no node of the cluster any more; read from the beginning again",
                  (int)c->scan->node.len, c->scan->node.at);
}

/* Go to the next node. D4_END: there is none. */
static enum cof_result next_node(struct d4_cursor *c, struct cof_error *err)
{
  struct d4_scan *s = c->scan;
  size_t count, best = SIZE_MAX;
  enum cof_result result = check_nodes(c, &count, err);
  if (result != COF_OK)
    return result;
  for (size_t i = 0; i < count; i++) {
    struct d4_text name = node_name(c->page.client, i);
    if (s->begun && compare_text(name, s->node) <= 0)
      continue;
    if (best == SIZE_MAX || compare_text(name, node_name(c->page.client, best)) < 0)
      best = i;
  }
  if (best == SIZE_MAX) {
    c->state = D4_END;
    return COF_OK;
  }
  if (!set_text(&s->node, node_name(c->page.client, best)) ||
      !set_text(&s->run, (struct d4_text){"", 0}) || !set_text(&s->next, (struct d4_text){"0", 1}))
    return cof_fail(err, COF_RETRY, "out of memory");
  s->begun = true;
  s->node_done = false;
  return COF_OK;
}

/* --- keys ------------------------------------------------------------------------------------ */

struct keys_page {
  struct d4_cursor *cursor;
  char run[RUN_MAX];
  size_t run_len;
  struct d4_text next; /* in the cursor's names */
  struct d4_probe probe;
  bool answered, failed;
};

static bool take_info(void *arg, const redisReply *reply)
{
  static const char field[] = "run_id:";
  struct keys_page *k = arg;
  if (reply == NULL || reply->type != REDIS_REPLY_STRING)
    return resp_is_error(reply, "NOPERM");
  const char *at = strstr(reply->str, field);
  if (at == NULL)
    return true;
  at += sizeof field - 1;
  k->run_len = strcspn(at, "\r\n");
  if (k->run_len > sizeof k->run)
    k->run_len = sizeof k->run;
  memcpy(k->run, at, k->run_len);
  return true;
}

static bool wanted(const struct d4_cursor *c, uint16_t rrtype)
{
  if (c->all_types)
    return true;
  for (size_t i = 0; i < c->types_count; i++)
    if (c->types[i] == rrtype)
      return true;
  return false;
}

static bool keep(struct d4_cursor *c, struct d4_text from, struct d4_text *to)
{
  char *copy = cof_batch_alloc(c->names, from.len);
  if (copy == NULL)
    return false;
  if (from.len != 0)
    memcpy(copy, from.at, from.len);
  *to = (struct d4_text){copy, from.len};
  return true;
}

static bool take_keys(void *arg, const redisReply *reply)
{
  struct keys_page *k = arg;
  struct d4_cursor *c = k->cursor;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
      reply->element[0]->str == NULL)
    return false;
  struct d4_text next = {reply->element[0]->str, reply->element[0]->len};
  d4_probe_page(&k->probe, reply);
  k->failed = next.len > D4_CURSOR_MAX || !keep(c, next, &k->next);
  const redisReply *keys = reply->element[1];
  for (size_t i = 0; i < keys->elements && !k->failed; i++) {
    struct d4_text name;
    uint16_t rrtype;
    const redisReply *key = keys->element[i];
    if (key->str == NULL || !d4_key_split(key->str, key->len, &name, &rrtype)) {
      cof_add(c->page.store->host, c->page.store->m_unreadable, 1);
      continue;
    }
    if (wanted(c, rrtype))
      k->failed = !keep(c, name, &name) || !d4_add_source(c, name, rrtype);
  }
  k->answered = true;
  return true;
}

static int compare_sources(const void *a, const void *b)
{
  const struct d4_source *x = a, *y = b;
  int c = compare_text(x->text, y->text);
  return c != 0 ? c : (x->rrtype > y->rrtype) - (x->rrtype < y->rrtype);
}

static void sort_sources(struct d4_cursor *c)
{
  size_t kept = 0;
  if (c->sources_count == 0)
    return;
  qsort(c->sources, c->sources_count, sizeof *c->sources, compare_sources);
  for (size_t i = 0; i < c->sources_count; i++)
    if (kept == 0 || compare_sources(&c->sources[kept - 1], &c->sources[i]) != 0)
      c->sources[kept++] = c->sources[i];
  c->sources_count = kept;
}

/* Leave out the sets that were done with, and begin with the one that the token stands in. */
static void skip_sources(struct d4_cursor *c)
{
  const struct d4_place *place = &c->resume;
  struct d4_source mark = {.text = place->texts[PLACE_SOURCE], .rrtype = place->source_type};
  size_t kept = 0, at = SIZE_MAX;
  if (!c->resuming) {
    c->done.len = 0;
    return;
  }
  for (size_t i = 0; i < c->sources_count; i++) {
    if (d4_hashes_have(&c->done, d4_hash_source(&c->sources[i])))
      continue;
    if (compare_sources(&c->sources[i], &mark) == 0)
      at = kept;
    c->sources[kept++] = c->sources[i];
  }
  c->sources_count = kept;
  c->resuming = at != SIZE_MAX;
  if (!c->resuming)
    return;
  mark = c->sources[at];
  c->sources[at] = c->sources[0];
  c->sources[0] = mark;
  if (place->streaming)
    c->sources[0].cursor = place->texts[PLACE_CURSOR];
}

static bool append_keys(struct resp *client, size_t node, struct d4_text cursor, long long count,
                        resp_reply_fn fn, void *arg)
{
  resp_begin_node(client, 6, node);
  resp_arg_str(client, "SCAN");
  resp_arg(client, cursor.at, cursor.len);
  resp_arg_str(client, "MATCH");
  resp_arg_str(client, "r:*");
  resp_arg_str(client, "COUNT");
  resp_arg_int(client, count);
  return resp_end(client, fn, arg);
}

static enum cof_result ask_keys(struct d4_cursor *c, size_t node, struct keys_page *k,
                                struct cof_error *err)
{
  struct resp *client = c->page.client;
  resp_begin_node(client, 2, node);
  resp_arg_str(client, "INFO");
  resp_arg_str(client, "server");
  bool good = resp_end(client, take_info, k);
  good = append_keys(client, node, c->scan->next, KEYS_COUNT, take_keys, k) && good;
  if (d4_probe_wanted(c->page.store, c->scan->next))
    good = append_keys(client, node, (struct d4_text){"0", 1}, 1, d4_probe_take, &k->probe) && good;
  c->page.failed = !good;
  enum cof_result result = d4_run(&c->page, err);
  if (result == COF_OK && k->failed)
    return cof_fail(err, COF_RETRY, "out of memory");
  if (result == COF_OK && !k->answered)
    return cof_fail(err, COF_FATAL, "the answer to SCAN is none");
  return result;
}

static enum cof_result read_keys(struct d4_cursor *c, struct cof_error *err)
{
  struct d4_scan *s = c->scan;
  struct keys_page k = {.cursor = c};
  size_t node;
  cof_batch_clear(c->names);
  c->sources_count = c->at = 0;
  enum cof_result result = find_node(c, &node, err);
  if (result == COF_OK)
    result = ask_keys(c, node, &k, err);
  if (result == COF_OK) {
    struct d4_text run = {k.run, k.run_len};
    if (k.probe.forgotten || (s->run.len != 0 && !same_text(s->run, run)))
      result = d4_begin_again(err);
    else if (!set_text(&s->run, run))
      result = cof_fail(err, COF_RETRY, "out of memory");
  }
  if (result == COF_OK) {
    sort_sources(c);
    result = d4_count_members(&c->page, 'r', c->sources, c->sources_count, err);
  }
  if (result == COF_OK && (!set_text(&s->at, s->next) || !set_text(&s->next, k.next)))
    result = cof_fail(err, COF_RETRY, "out of memory");
  if (result != COF_OK) {
    c->sources_count = 0;
    return result;
  }
  s->node_done = s->next.len == 1 && s->next.at[0] == '0';
  skip_sources(c);
  return COF_OK;
}

/* --- records --------------------------------------------------------------------------------- */

static enum cof_result read_group(struct d4_cursor *c, struct cof_error *err)
{
  size_t count = 0;
  uint64_t members = 0;
  bool fits = false, streaming = c->resuming && c->resume.streaming;
  streaming = streaming || c->sources[c->at].cursor.len != 0;
  while (!streaming && c->at + count < c->sources_count) {
    members += c->sources[c->at + count].members;
    if (members > D4_WHOLE_MEMBERS)
      break;
    count++;
  }
  enum cof_result result = COF_OK;
  if (count != 0)
    result = d4_read_whole(c, c->at, count, &fits, err);
  if (result != COF_OK)
    return result;
  if (!fits)
    result = d4_read_stream(c, err);
  if (result != COF_OK)
    return result;
  d4_skip_answered(c);
  c->resuming = false;
  if (fits)
    c->at += count;
  else if (c->sources[c->at].done)
    c->at++;
  return COF_OK;
}

/* Go to the place of the token. */
static enum cof_result resume(struct d4_cursor *c, struct cof_error *err)
{
  struct d4_scan *s = c->scan;
  const struct d4_text *texts = c->resume.texts;
  if (!set_text(&s->node, texts[PLACE_NODE]) || !set_text(&s->run, texts[PLACE_RUN]) ||
      !set_text(&s->next, texts[PLACE_SCAN]))
    return cof_fail(err, COF_RETRY, "out of memory");
  s->begun = true;
  return COF_OK;
}

enum cof_result d4_scan_page(struct d4_cursor *c, struct cof_error *err)
{
  enum cof_result result = COF_OK;
  if (c->at < c->sources_count)
    return read_group(c, err);
  if (!c->scan->begun && c->resuming)
    result = resume(c, err);
  else if (!c->scan->begun || c->scan->node_done)
    result = next_node(c, err);
  if (result == COF_OK && c->state != D4_END)
    result = read_keys(c, err);
  return result;
}
