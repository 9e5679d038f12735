/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "fake-host_private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define METRICS_MAX  32
#define LOG_MAX      65536
#define FAKE_RECORDS 4096

struct cof_metric {
  enum cof_metric_kind kind;
  const char *name, *unit, *help;
  _Atomic int64_t value;
};

struct fake {
  struct cof_host host; /* first: the plugin's pointer is ours */
  struct cof_record *records;
  size_t count, room;
  char generated[COF_NAME_MAX];
  uint64_t generated_count;
  struct fake_faults faults;
  atomic_int cursors;
  _Atomic uint64_t read;
  struct cof_metric metrics[METRICS_MAX];
  size_t metrics_count;
  pthread_mutex_t lock;
  char log[LOG_MAX];
  size_t log_len;
};

struct cof_cursor {
  struct fake *fake;
  struct cof_query query;
  char name[COF_NAME_MAX];
  bool generated;
  uint64_t at, given;
};

static struct fake *fake_of(struct cof_host *host)
{
  return (struct fake *)host;
}

static void *need(void *p)
{
  if (p == NULL)
    exit(99); /* hard error to the test driver */
  return p;
}

/* --- log, metrics, clock ------------------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void
fake_log(struct cof_host *host, enum cof_log_level level, const char *fmt, va_list ap)
{
  struct fake *f = fake_of(host);
  (void)level;
  pthread_mutex_lock(&f->lock);
  size_t room = sizeof f->log - f->log_len;
  int n = vsnprintf(f->log + f->log_len, room, fmt, ap);
  if (n > 0 && (size_t)n + 1 < room) {
    f->log_len += (size_t)n;
    f->log[f->log_len++] = '\n';
    f->log[f->log_len] = '\0';
  }
  pthread_mutex_unlock(&f->lock);
}

static int fake_log_enabled(struct cof_host *host, enum cof_log_level level)
{
  (void)host;
  return level <= COF_LOG_INFO;
}

static struct cof_metric *fake_make_metric(struct cof_host *host, enum cof_metric_kind kind,
                                           const char *name, const char *unit, const char *help)
{
  struct fake *f = fake_of(host);
  if (f->metrics_count == METRICS_MAX)
    exit(99);
  struct cof_metric *m = &f->metrics[f->metrics_count++];
  m->kind = kind;
  m->name = name;
  m->unit = unit;
  m->help = help;
  return m;
}

static void metric_add(struct cof_metric *m, int64_t n)
{
  atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

static void metric_set(struct cof_metric *m, int64_t n)
{
  atomic_store(&m->value, n);
}

static struct cof_metric *fake_histogram(struct cof_host *host, const char *name, const char *unit,
                                         const char *help, const int64_t *bounds, size_t count)
{
  (void)bounds;
  (void)count;
  return fake_make_metric(host, COF_HISTOGRAM, name, unit, help);
}

static void metric_observe(struct cof_metric *m, int64_t value)
{
  (void)value;
  metric_add(m, 1);
}

static void metrics_each(struct cof_host *host, cof_metric_fn fn, void *arg)
{
  struct fake *f = fake_of(host);
  const struct cof_metric_view stored = {.kind = "storage",
                                         .instance = "db",
                                         .plugin = "fake",
                                         .name = "stored",
                                         .unit = "records",
                                         .help = "",
                                         .type = COF_COUNTER,
                                         .value = 7};
  fn(arg, &stored);
  for (size_t i = 0; i < f->metrics_count; i++) {
    static const int64_t bound = INT64_MAX;
    const uint64_t counts[] = {(uint64_t)atomic_load(&f->metrics[i].value), 0};
    const bool histogram = f->metrics[i].kind == COF_HISTOGRAM;
    const struct cof_metric_view view = {.bounds = histogram ? &bound : NULL,
                                         .bounds_count = histogram,
                                         .counts = histogram ? counts : NULL,
                                         .kind = "output",
                                         .instance = "api",
                                         .plugin = "rest",
                                         .name = f->metrics[i].name,
                                         .unit = f->metrics[i].unit,
                                         .help = f->metrics[i].help,
                                         .type = f->metrics[i].kind,
                                         .value = atomic_load(&f->metrics[i].value)};
    fn(arg, &view);
  }
}

static uint64_t clock_ns(struct cof_host *host)
{
  struct timespec ts;
  (void)host;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* --- the storage --------------------------------------------------------------------------- */

static enum cof_result query_open(struct cof_host *host, const struct cof_query *query,
                                  struct cof_cursor **cursor, struct cof_error *err)
{
  struct fake *f = fake_of(host);
  if (f->faults.open != COF_OK)
    return cof_fail(err, f->faults.open, "%s", f->faults.text);
  struct cof_cursor *c = need(calloc(1, sizeof *c));
  c->fake = f;
  c->query = *query;
  if (query->name != NULL)
    snprintf(c->name, sizeof c->name, "%s", query->name);
  c->query.name = c->name;
  c->generated = query->kind == COF_QUERY_RRNAME && strcmp(c->name, f->generated) == 0;
  if (query->kind == COF_QUERY_RRNAME && !c->generated) {
    size_t low = 0, high = f->count;
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (strcmp(f->records[middle].rrname, c->name) < 0)
        low = middle + 1;
      else
        high = middle;
    }
    c->at = low;
  }
  if (query->token != NULL && query->token_len == sizeof c->at)
    memcpy(&c->at, query->token, sizeof c->at);
  atomic_fetch_add(&f->cursors, 1);
  *cursor = c;
  return COF_OK;
}

static uint64_t storage_caps(struct cof_host *host)
{
  (void)host;
  return COF_CAP_RRNAME | COF_CAP_RDATA | COF_CAP_RESUME;
}

static enum cof_result query_token(struct cof_cursor *c, void *buf, size_t cap, size_t *len)
{
  *len = sizeof c->at;
  if (cap < *len)
    return COF_REJECT;
  memcpy(buf, &c->at, *len);
  return COF_OK;
}

static bool matches(const struct cof_cursor *c, const struct cof_record *r)
{
  size_t offset, length;
  if (c->query.kind == COF_QUERY_RRNAME)
    return strcmp(r->rrname, c->name) == 0;
  enum cof_target_kind kind = cof_rdata_target(r->rrtype, r->rdata, r->rdata_len, &offset, &length);
  if (c->query.kind == COF_QUERY_RDATA_NAME)
    return kind == COF_TARGET_NAME && strlen(c->name) == length &&
           memcmp(r->rdata + offset, c->name, length) == 0;
  struct cof_addr addr;
  return kind == COF_TARGET_ADDR && cof_addr_parse(r->rdata + offset, length, &addr) &&
         addr.family == c->query.first.family &&
         memcmp(addr.bytes, c->query.first.bytes, sizeof addr.bytes) == 0;
}

static bool add(struct cof_batch *into, const struct cof_record *record)
{
  return cof_batch_add(into, record) != NULL;
}

static bool make_up(struct cof_cursor *c, struct cof_batch *into)
{
  char rdata[16];
  if (c->at >= c->fake->generated_count)
    return false;
  int n = snprintf(rdata, sizeof rdata, "10.%u.%u.%u", (unsigned)(c->at >> 16) & 255,
                   (unsigned)(c->at >> 8) & 255, (unsigned)c->at & 255);
  struct cof_record r = {.rrname = c->name,
                         .rrname_len = (uint16_t)strlen(c->name),
                         .rrtype = COF_TYPE_A,
                         .rdata = rdata,
                         .rdata_len = (uint32_t)n,
                         .time_first = 1,
                         .time_last = 2,
                         .count = c->at + 1};
  c->at++;
  return add(into, &r);
}

static bool find(struct cof_cursor *c, struct cof_batch *into)
{
  struct fake *f = c->fake;
  if (c->generated)
    return make_up(c, into);
  for (; c->at < f->count; c->at++) {
    if (matches(c, &f->records[c->at]))
      return add(into, &f->records[c->at++]);
    if (c->query.kind == COF_QUERY_RRNAME)
      return false;
  }
  return false;
}

static enum cof_result query_next(struct cof_cursor *c, size_t max, struct cof_batch *into,
                                  struct cof_error *err)
{
  struct fake *f = c->fake;
  if (c->query.deadline_ns != 0 && clock_ns(NULL) > c->query.deadline_ns)
    return cof_fail(err, COF_TIMEOUT, "the deadline passed");
  for (size_t i = 0; i < max && (c->query.limit == 0 || c->given < c->query.limit); i++) {
    if (f->faults.next != COF_OK && atomic_load(&f->read) >= f->faults.after)
      return cof_fail(err, f->faults.next, "%s", f->faults.text);
    if (!find(c, into))
      break;
    c->given++;
    atomic_fetch_add_explicit(&f->read, 1, memory_order_relaxed);
  }
  return COF_OK;
}

static void query_close(struct cof_cursor **cursor)
{
  if (*cursor == NULL)
    return;
  atomic_fetch_sub(&(*cursor)->fake->cursors, 1);
  free(*cursor);
  *cursor = NULL;
}

static enum cof_result storage_stats(struct cof_host *host, struct cof_storage_stats *stats,
                                     cof_sensor_fn fn, void *arg, struct cof_error *err)
{
  struct fake *f = fake_of(host);
  if (f->faults.stats != COF_OK)
    return cof_fail(err, f->faults.stats, "%s", f->faults.text);
  stats->observations = 3422;
  stats->records = f->count;
  stats->records_exact = true;
  fn(arg, "abc", 12);
  fn(arg,
     "s\xc3\xbc"
     "d \"1\"",
     3);
  fn(arg, "bad\xff", 2);
  return COF_OK;
}

static const struct cof_host_api api = {.struct_size = sizeof api,
                                        .log = fake_log,
                                        .log_enabled = fake_log_enabled,
                                        .metric = fake_make_metric,
                                        .metric_add = metric_add,
                                        .metric_set = metric_set,
                                        .metrics_each = metrics_each,
                                        .clock_ns = clock_ns,
                                        .storage_caps = storage_caps,
                                        .query_token = query_token,
                                        .query_open = query_open,
                                        .query_next = query_next,
                                        .query_close = query_close,
                                        .storage_stats = storage_stats,
                                        .histogram = fake_histogram,
                                        .metric_observe = metric_observe};

/* --- for tests ----------------------------------------------------------------------------- */

struct fake *fake_create(void)
{
  struct fake *f = need(calloc(1, sizeof *f));
  f->host.api = &api;
  pthread_mutex_init(&f->lock, NULL);
  return f;
}

void fake_destroy(struct fake **fake)
{
  struct fake *f = *fake;
  if (f == NULL)
    return;
  for (size_t i = 0; i < f->count; i++) {
    free((char *)(uintptr_t)f->records[i].rrname);
    free((char *)(uintptr_t)f->records[i].rdata);
  }
  free(f->records);
  pthread_mutex_destroy(&f->lock);
  free(f);
  *fake = NULL;
}

struct cof_host *fake_host(struct fake *f)
{
  return &f->host;
}

void fake_set_faults(struct fake *f, const struct fake_faults *faults)
{
  f->faults = *faults;
}

void fake_add(struct fake *f, const char *rrname, uint16_t rrtype, const char *rdata,
              uint64_t count, int64_t first, int64_t last)
{
  if (f->count == f->room) {
    f->room = f->room != 0 ? 2 * f->room : FAKE_RECORDS;
    f->records = need(realloc(f->records, f->room * sizeof *f->records));
  }
  f->records[f->count++] = (struct cof_record){.rrname = need(strdup(rrname)),
                                               .rrname_len = (uint16_t)strlen(rrname),
                                               .rrtype = rrtype,
                                               .rdata = need(strdup(rdata)),
                                               .rdata_len = (uint32_t)strlen(rdata),
                                               .count = count,
                                               .time_first = first,
                                               .time_last = last};
}

static int compare(const void *a, const void *b)
{
  const struct cof_record *x = a, *y = b;
  int by_name = strcmp(x->rrname, y->rrname);
  if (by_name != 0)
    return by_name;
  return x->rrtype != y->rrtype ? (x->rrtype < y->rrtype ? -1 : 1) : strcmp(x->rdata, y->rdata);
}

void fake_sort(struct fake *f)
{
  if (f->count > 0)
    qsort(f->records, f->count, sizeof *f->records, compare);
}

void fake_generate(struct fake *f, const char *rrname, uint64_t records)
{
  snprintf(f->generated, sizeof f->generated, "%s", rrname);
  f->generated_count = records;
}

int fake_cursors(struct fake *f)
{
  return atomic_load(&f->cursors);
}

uint64_t fake_read(struct fake *f)
{
  return atomic_load(&f->read);
}

int64_t fake_metric(struct fake *f, const char *name)
{
  for (size_t i = 0; i < f->metrics_count; i++)
    if (strcmp(f->metrics[i].name, name) == 0)
      return atomic_load(&f->metrics[i].value);
  return -1;
}

bool fake_logged(struct fake *f, const char *text)
{
  pthread_mutex_lock(&f->lock);
  bool found = strstr(f->log, text) != NULL;
  pthread_mutex_unlock(&f->lock);
  return found;
}

unsigned fake_port(struct fake *f)
{
  unsigned port = 0;
  pthread_mutex_lock(&f->lock);
  const char *at = strstr(f->log, "listening on http://");
  for (; at != NULL && *at != '\n'; at++)
    if (*at == ':')
      port = (unsigned)strtoul(at + 1, NULL, 10);
  pthread_mutex_unlock(&f->lock);
  return port;
}
