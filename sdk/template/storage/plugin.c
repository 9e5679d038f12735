/* SPDX-License-Identifier: MIT */
/*
 * @name@: a storage for cofd. It keeps all records in memory, and appends what it is given to a
 * file, from which it starts again. Put your own database in place of both.
 *
 * It does not claim COF_CAP_THREAD_SAFE, so none of its callbacks overlaps another, and it needs
 * no lock. It keeps no numbers of sensors.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cofd/plugin.h>

#define LINE_MAX_OCTETS (COF_NAME_MAX + COF_RDATA_MAX + 128)

/* What the option table fills. It is cofd's, and constant while the instance lives. */
struct conf {
  char *path;
};

static const struct cof_option options[] = {{.name = "path",
                                             .help = "File that holds the records.",
                                             .type = COF_OPT_PATH,
                                             .flags = COF_OPT_REQUIRED,
                                             COF_FIELD(struct conf, path)},
                                            {.name = NULL}};

/* One instance. There may be several, so nothing here is global. */
struct storage {
  struct cof_host *host;
  const struct conf *conf;
  FILE *file;
  struct cof_batch *all; /* what is stored: count is the number, total 0 */
  size_t *slots;         /* hash table: 1 + index in `all`; 0: free */
  size_t slots_count;    /* a power of two, at least twice the records */
  uint64_t observations;
};

/* --- records in memory ------------------------------------------------------------------------ */

static size_t *find_slot(const struct storage *s, const struct cof_record *r)
{
  size_t at = cof_record_hash(r) & (s->slots_count - 1);
  while (s->slots[at] != 0 && !cof_record_same(cof_batch_at(s->all, s->slots[at] - 1), r))
    at = (at + 1) & (s->slots_count - 1);
  return &s->slots[at];
}

/* Room for `more` records, so that applying a batch cannot fail half-way. */
static bool reserve(struct storage *s, size_t more)
{
  size_t need = (cof_batch_count(s->all) + more) * 2, count = s->slots_count;
  while (count < need)
    count *= 2;
  if (count == s->slots_count)
    return true;
  size_t *slots = calloc(count, sizeof *slots);
  if (slots == NULL)
    return false;
  free(s->slots);
  s->slots = slots;
  s->slots_count = count;
  for (size_t i = 0; i < cof_batch_count(s->all); i++)
    *find_slot(s, cof_batch_at(s->all, i)) = i + 1;
  return true;
}

/* The rule of struct cof_record. @return false: out of memory */
static bool apply(struct storage *s, const struct cof_record *r)
{
  size_t *slot = find_slot(s, r);
  if (*slot == 0) {
    struct cof_record fresh = *r;
    fresh.sensor_id = NULL;
    fresh.sensor_len = 0;
    fresh.count = r->count > r->total ? r->count : r->total;
    fresh.total = 0;
    if (cof_batch_add(s->all, &fresh) == NULL)
      return false;
    *slot = cof_batch_count(s->all);
    return true;
  }
  struct cof_record *stored = cof_batch_at(s->all, *slot - 1);
  uint64_t room = COF_COUNT_MAX - stored->count;
  stored->count += r->count < room ? r->count : room;
  stored->count = stored->count > r->total ? stored->count : r->total;
  if (r->time_first < stored->time_first)
    stored->time_first = r->time_first;
  if (r->time_last > stored->time_last)
    stored->time_last = r->time_last;
  return true;
}

/* --- the file: "+" for each change, and "." with the observations after each write ----------
 */

static bool put_record(FILE *file, const struct cof_record *r)
{
  return fprintf(file, "+ %s %u %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %s\n", r->rrname,
                 r->rrtype, r->time_first, r->time_last, r->count, r->total, r->rdata) > 0;
}

static bool get_record(const char *line, char *name, struct cof_record *r)
{
  int rdata = 0;
  if (sscanf(line, "+ %1007s %" SCNu16 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %n", name,
             &r->rrtype, &r->time_first, &r->time_last, &r->count, &r->total, &rdata) != 6)
    return false;
  r->rrname = name;
  r->rrname_len = (uint16_t)strlen(name);
  r->rdata = line + rdata;
  r->rdata_len = (uint32_t)strcspn(r->rdata, "\n");
  return true;
}

/* Write a batch durably, or leave the file as it was. */
static bool save(struct storage *s, const struct cof_batch *batch)
{
  long begin = ftell(s->file);
  bool ok = begin >= 0;
  for (size_t i = 0; ok && i < cof_batch_count(batch); i++)
    if (cof_batch_at(batch, i)->verdict == COF_KEEP)
      ok = put_record(s->file, cof_batch_at(batch, i));
  ok = ok && fprintf(s->file, ". %" PRIu64 "\n", cof_batch_observations(batch)) > 0 &&
       fflush(s->file) == 0 && fdatasync(fileno(s->file)) == 0;
  if (!ok)
    cof_log(s->host, COF_LOG_WARNING, "%s: %s", s->conf->path, strerror(errno));
  if (!ok && begin >= 0 &&
      (fseek(s->file, begin, SEEK_SET) != 0 || ftruncate(fileno(s->file), begin) != 0))
    cof_log(s->host, COF_LOG_ERROR, "%s: %s", s->conf->path, strerror(errno));
  return ok;
}

/* Changes since the last "." were not concluded, so they are forgotten. */
static bool load(struct storage *s, char *line)
{
  char name[COF_NAME_MAX];
  long good = 0;
  struct cof_batch *batch = cof_batch_create();
  bool ok = batch != NULL;
  while (ok && fgets(line, LINE_MAX_OCTETS, s->file) != NULL) {
    struct cof_record r = {.hash = 0};
    uint64_t observations;
    if (sscanf(line, ". %" SCNu64, &observations) == 1 && strchr(line, '\n') != NULL) {
      ok = reserve(s, cof_batch_count(batch));
      for (size_t i = 0; ok && i < cof_batch_count(batch); i++)
        ok = apply(s, cof_batch_at(batch, i));
      cof_batch_clear(batch);
      s->observations += observations;
      good = ftell(s->file);
    } else if (get_record(line, name, &r)) {
      ok = cof_batch_add(batch, &r) != NULL;
    }
  }
  cof_batch_destroy(&batch);
  return ok && ftruncate(fileno(s->file), good) == 0 && fseek(s->file, good, SEEK_SET) == 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_batch(void *self, const struct cof_batch *batch, struct cof_ticket *ticket)
{
  struct storage *s = self;
  enum cof_result result = COF_RETRY;
  if (reserve(s, cof_batch_count(batch)) && save(s, batch)) {
    result = COF_OK;
    for (size_t i = 0; result == COF_OK && i < cof_batch_count(batch); i++)
      if (cof_batch_at(batch, i)->verdict == COF_KEEP && !apply(s, cof_batch_at(batch, i)))
        result = COF_FATAL; /* it is in the file, and is read from there at the next start */
    s->observations += cof_batch_observations(batch);
  }
  cof_ticket_done(s->host, ticket, result);
}

/* --- asking: an answer is a copy, sorted, so that writes do not disturb it ---------------------
 */

struct cursor {
  struct cof_batch *answer;
  const struct cof_record **sorted;
  size_t next, count;
  uint64_t deadline_ns;
};

static bool matches(const struct cof_query *q, const struct cof_record *r)
{
  bool type = q->rrtypes == NULL;
  for (size_t i = 0; i < q->rrtypes_count; i++)
    type = type || q->rrtypes[i] == r->rrtype;
  if (!type || r->time_first < q->time_first_after || r->time_first > q->time_first_before ||
      r->time_last < q->time_last_after || r->time_last > q->time_last_before)
    return false;
  if (q->kind == COF_QUERY_RRNAME)
    return strcmp(q->name, r->rrname) == 0;
  if (q->kind == COF_QUERY_SUBDOMAINS)
    return cof_name_under(r->rrname, r->rrname_len, q->name, strlen(q->name));
  return true;
}

static int compare(const char *name, uint16_t rrtype, const char *rdata, const struct cof_record *r)
{
  int c = strcmp(name, r->rrname);
  if (c == 0)
    c = (rrtype > r->rrtype) - (rrtype < r->rrtype);
  return c != 0 ? c : strcmp(rdata, r->rdata);
}

static int by_tuple(const void *a, const void *b)
{
  const struct cof_record *x = *(const struct cof_record *const *)a;
  return compare(x->rrname, x->rrtype, x->rdata, *(const struct cof_record *const *)b);
}

/* Tokens come from outside: nothing in one is believed. "RRNAME RRTYPE RDATA" and a NUL. */
static enum cof_result skip_to_token(struct cursor *c, const struct cof_query *q,
                                     struct cof_error *err)
{
  char name[COF_NAME_MAX];
  uint16_t rrtype;
  int rdata = 0;
  const char *token = q->token;
  if (q->token_len == 0 || token[q->token_len - 1] != '\0' ||
      sscanf(token, "%1007s %" SCNu16 " %n", name, &rrtype, &rdata) != 2 || rdata == 0)
    return cof_fail(err, COF_REJECT, "this token was not given by this storage");
  while (c->next < c->count && compare(name, rrtype, token + rdata, c->sorted[c->next]) >= 0)
    c->next++;
  return COF_OK;
}

static bool collect(struct storage *s, const struct cof_query *q, struct cursor *c)
{
  for (size_t i = 0; i < cof_batch_count(s->all); i++)
    if (matches(q, cof_batch_at(s->all, i)) &&
        cof_batch_add(c->answer, cof_batch_at(s->all, i)) == NULL)
      return false;
  c->count = cof_batch_count(c->answer);
  c->sorted = calloc(c->count + 1, sizeof *c->sorted);
  for (size_t i = 0; c->sorted != NULL && i < c->count; i++)
    c->sorted[i] = cof_batch_at(c->answer, i);
  if (c->sorted != NULL)
    qsort(c->sorted, c->count, sizeof *c->sorted, by_tuple);
  return c->sorted != NULL;
}

static void close_cursor(void *self, void *cursor)
{
  struct cursor *c = cursor;
  (void)self;
  cof_batch_destroy(&c->answer);
  free(c->sorted);
  free(c);
}

static enum cof_result open_cursor(void *self, const struct cof_query *q, void **cursor,
                                   struct cof_error *err)
{
  struct cursor *c = calloc(1, sizeof *c);
  if (c == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  c->deadline_ns = q->deadline_ns;
  c->answer = cof_batch_create();
  enum cof_result result = COF_OK;
  if (c->answer == NULL || !collect(self, q, c))
    result = cof_fail(err, COF_RETRY, "out of memory");
  else if (q->token != NULL)
    result = skip_to_token(c, q, err);
  if (result != COF_OK) {
    close_cursor(self, c);
    return result;
  }
  if (q->limit != 0 && c->count - c->next > q->limit)
    c->count = c->next + q->limit;
  *cursor = c;
  return COF_OK;
}

static enum cof_result next(void *self, void *cursor, size_t max, struct cof_batch *into,
                            struct cof_error *err)
{
  struct storage *s = self;
  struct cursor *c = cursor;
  for (; max > 0 && c->next < c->count; max--) {
    if (c->deadline_ns != 0 && cof_clock_ns(s->host) > c->deadline_ns)
      return cof_fail(err, COF_TIMEOUT, "the deadline passed");
    if (cof_batch_add(into, c->sorted[c->next]) == NULL)
      return cof_fail(err, COF_RETRY, "out of memory");
    c->next++;
  }
  return COF_OK;
}

static enum cof_result token(void *self, void *cursor, void *buf, size_t cap, size_t *len)
{
  const struct cursor *c = cursor;
  (void)self;
  const struct cof_record *r = c->next > 0 ? c->sorted[c->next - 1] : NULL;
  /* Before the first record: a token that no name is below. */
  int n = r != NULL ? snprintf(buf, cap, "%s %u %s", r->rrname, r->rrtype, r->rdata)
                    : snprintf(buf, cap, "! 0 !");
  if (n < 0 || (size_t)n >= cap)
    return COF_REJECT;
  *len = (size_t)n + 1;
  return COF_OK;
}

static enum cof_result stats(void *self, struct cof_storage_stats *out, cof_sensor_fn fn, void *arg,
                             struct cof_error *err)
{
  const struct storage *s = self;
  (void)fn; /* no sensors are kept */
  (void)arg;
  (void)err;
  out->observations = s->observations;
  out->records = cof_batch_count(s->all);
  out->records_exact = true;
  return COF_OK;
}

/* --- life ------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
  struct storage *s = self;
  if (s->file != NULL)
    fclose(s->file);
  cof_batch_destroy(&s->all);
  free(s->slots);
  free(s);
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct storage *s = calloc(1, sizeof *s);
  if (s != NULL) {
    s->host = host;
    s->conf = conf;
    s->slots_count = 1024;
    s->slots = calloc(s->slots_count, sizeof *s->slots);
    s->all = cof_batch_create();
  }
  if (s == NULL || s->slots == NULL || s->all == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    if (s != NULL)
      destroy(s);
    return COF_FATAL;
  }
  *self = s;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct storage *s = self;
  char *line = malloc(LINE_MAX_OCTETS);
  s->file = fopen(s->conf->path, "a+e");
  bool ok = line != NULL && s->file != NULL && fseek(s->file, 0, SEEK_SET) == 0 && load(s, line);
  if (!ok)
    cof_log(s->host, COF_LOG_ERROR, "%s: %s", s->conf->path, strerror(errno));
  free(line);
  return ok ? COF_OK : COF_FATAL;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  (void)self; /* every write that was concluded is in the file */
  (void)deadline_ns;
  return COF_OK;
}

static const struct cof_storage_ops ops = {.struct_size = sizeof ops,
                                           .write = write_batch,
                                           .open = open_cursor,
                                           .next = next,
                                           .token = token,
                                           .close = close_cursor,
                                           .stats = stats};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_STORAGE,
    .caps = COF_CAP_RRNAME | COF_CAP_SUBDOMAINS | COF_CAP_SCAN | COF_CAP_RRTYPE | COF_CAP_FENCES |
            COF_CAP_RESUME,
    .name = "@name@",
    .version = "0.1.0",
    .summary = "keeps records in memory and in a file",
    .options = options,
    .conf_size = sizeof(struct conf),
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops};
