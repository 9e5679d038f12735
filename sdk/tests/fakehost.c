/* SPDX-License-Identifier: MIT */
#include "fakehost.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct cof_metric {
  struct cof_metric *next;
  char *name;
  int64_t value;
};

struct line {
  struct line *next;
  char *text;
};

struct held {
  struct held *next;
  uint64_t token;
};

struct fakehost {
  struct cof_host host; /* first: the plugin's handle is this structure */
  char *instance;
  char *state_dir;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t acker;
  bool serving, ending;
  const struct cof_input_ops *ops;
  void *self;
  struct held *held, **held_end;
  bool acking; /* an ack is under way */
  bool hold, full, stopping, done;
  struct cof_batch *records;
  size_t batches;
  uint64_t refusals, rejected;
  struct cof_metric *metrics;
  struct line *lines, **lines_end;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  fputs("fakehost: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  exit(99);
}

static void *need(void *p)
{
  if (p == NULL)
    die("out of memory");
  return p;
}

static struct fakehost *of(struct cof_host *host)
{
  return (struct fakehost *)host;
}

static struct timespec after(int64_t ms)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += ms / 1000;
  t.tv_nsec += ms % 1000 * 1000000;
  if (t.tv_nsec >= 1000000000) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000;
  }
  return t;
}

/* --- the host's functions -------------------------------------------------------------------- */

static void keep_line(struct fakehost *f, const char *prefix, const char *fmt, va_list ap)
{
  char text[2048];
  int n = snprintf(text, sizeof text, "%s: ", prefix);
  vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
  struct line *line = need(calloc(1, sizeof *line));
  line->text = need(strdup(text));
  *f->lines_end = line;
  f->lines_end = &line->next;
  pthread_cond_broadcast(&f->changed);
}

static void host_log(struct cof_host *host, enum cof_log_level level, const char *fmt, va_list ap)
{
  struct fakehost *f = of(host);
  const char *prefix = level == COF_LOG_ERROR     ? "error"
                       : level == COF_LOG_WARNING ? "warning"
                       : level == COF_LOG_INFO    ? "info"
                                                  : "debug";
  pthread_mutex_lock(&f->lock);
  keep_line(f, prefix, fmt, ap);
  pthread_mutex_unlock(&f->lock);
}

static int host_log_enabled(struct cof_host *host, enum cof_log_level level)
{
  (void)host;
  (void)level;
  return 1;
}

static void host_reject(struct cof_host *host, uint64_t records, const char *fmt, va_list ap)
{
  struct fakehost *f = of(host);
  pthread_mutex_lock(&f->lock);
  f->rejected += records;
  keep_line(f, "reject", fmt, ap);
  pthread_mutex_unlock(&f->lock);
}

static struct cof_metric *host_metric(struct cof_host *host, enum cof_metric_kind kind,
                                      const char *name, const char *unit, const char *help)
{
  struct fakehost *f = of(host);
  if (kind != COF_COUNTER && kind != COF_GAUGE)
    die("metric %s: kind %d", name, (int)kind);
  if (unit == NULL || help == NULL)
    die("metric %s: unit or help is missing", name);
  pthread_mutex_lock(&f->lock);
  struct cof_metric *m = f->metrics;
  while (m != NULL && strcmp(m->name, name) != 0)
    m = m->next;
  if (m == NULL) {
    m = need(calloc(1, sizeof *m));
    m->name = need(strdup(name));
    m->next = f->metrics;
    f->metrics = m;
  }
  pthread_mutex_unlock(&f->lock);
  return m;
}

static struct cof_metric *host_histogram(struct cof_host *host, const char *name, const char *unit,
                                         const char *help, const int64_t *bounds, size_t count)
{
  if (bounds == NULL || count == 0 || count > COF_HISTOGRAM_MAX)
    die("histogram %s: %zu bounds", name, count);
  for (size_t i = 1; i < count; i++)
    if (bounds[i] <= bounds[i - 1])
      die("histogram %s: bound %zu is not above the one before", name, i);
  return host_metric(host, COF_COUNTER, name, unit, help);
}

/* The value of a histogram is how many values it has seen. */
static void host_metric_observe(struct cof_metric *metric, int64_t value)
{
  (void)value;
  __atomic_add_fetch(&metric->value, 1, __ATOMIC_RELAXED);
}

static void host_metric_add(struct cof_metric *metric, int64_t n)
{
  __atomic_add_fetch(&metric->value, n, __ATOMIC_RELAXED);
}

static void host_metric_set(struct cof_metric *metric, int64_t value)
{
  __atomic_store_n(&metric->value, value, __ATOMIC_RELAXED);
}

static void host_metrics_each(struct cof_host *host, cof_metric_fn fn, void *arg)
{
  (void)host;
  (void)fn;
  (void)arg;
}

static uint64_t host_clock_ns(struct cof_host *host)
{
  (void)host;
  struct timespec t = after(0);
  return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static const char *host_instance_name(struct cof_host *host)
{
  return of(host)->instance;
}

static const char *host_state_dir(struct cof_host *host)
{
  return of(host)->state_dir;
}

static struct cof_batch *host_batch_get(struct cof_host *host)
{
  (void)host;
  return cof_batch_create();
}

static void host_batch_put(struct cof_host *host, struct cof_batch **batch)
{
  (void)host;
  cof_batch_destroy(batch);
}

static void take(struct fakehost *f, struct cof_batch **batch, uint64_t token)
{
  for (size_t i = 0; i < cof_batch_count(*batch); i++)
    need(cof_batch_add(f->records, cof_batch_at(*batch, i)));
  cof_batch_destroy(batch);
  struct held *held = need(calloc(1, sizeof *held));
  held->token = token;
  *f->held_end = held;
  f->held_end = &held->next;
  f->batches++;
  pthread_cond_broadcast(&f->changed);
}

static enum cof_result host_emit(struct cof_host *host, struct cof_batch **batch, uint64_t token,
                                 int wait_ms)
{
  struct fakehost *f = of(host);
  struct timespec until = after(wait_ms);
  enum cof_result result = COF_OK;
  pthread_mutex_lock(&f->lock);
  while (f->full && !f->stopping && wait_ms > 0)
    if (pthread_cond_timedwait(&f->changed, &f->lock, &until) == ETIMEDOUT)
      break;
  if (f->stopping) {
    result = COF_STOPPED;
  } else if (f->full) {
    result = COF_AGAIN;
    f->refusals++;
    pthread_cond_broadcast(&f->changed);
  } else {
    take(f, batch, token);
  }
  pthread_mutex_unlock(&f->lock);
  return result;
}

static void host_finished(struct cof_host *host)
{
  struct fakehost *f = of(host);
  pthread_mutex_lock(&f->lock);
  if (f->done)
    die("cof_finished was called twice");
  f->done = true;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->lock);
}

static void host_ticket_done(struct cof_host *host, struct cof_ticket *ticket, enum cof_result r)
{
  (void)host;
  (void)ticket;
  (void)r;
  die("ticket_done: this host has no chain before a storage");
}

static void host_ticket_reject(struct cof_host *host, struct cof_ticket *ticket, size_t index,
                               const char *reason)
{
  (void)host;
  (void)ticket;
  (void)index;
  die("ticket_reject(%s): this host has no chain before a storage", reason);
}

static uint64_t host_storage_caps(struct cof_host *host)
{
  (void)host;
  return 0;
}

static enum cof_result host_query_open(struct cof_host *host, const struct cof_query *query,
                                       struct cof_cursor **cursor, struct cof_error *err)
{
  (void)host;
  (void)query;
  *cursor = NULL;
  return cof_fail(err, COF_UNSUPPORTED, "this host has no storage");
}

static enum cof_result host_query_next(struct cof_cursor *cursor, size_t max,
                                       struct cof_batch *into, struct cof_error *err)
{
  (void)cursor;
  (void)max;
  (void)into;
  return cof_fail(err, COF_FATAL, "this host has no storage");
}

static enum cof_result host_query_token(struct cof_cursor *cursor, void *buf, size_t cap,
                                        size_t *len)
{
  (void)cursor;
  (void)buf;
  (void)cap;
  (void)len;
  return COF_UNSUPPORTED;
}

static void host_query_close(struct cof_cursor **cursor)
{
  *cursor = NULL;
}

static enum cof_result host_storage_stats(struct cof_host *host, struct cof_storage_stats *stats,
                                          cof_sensor_fn fn, void *arg, struct cof_error *err)
{
  (void)host;
  (void)stats;
  (void)fn;
  (void)arg;
  return cof_fail(err, COF_UNSUPPORTED, "this host has no storage");
}

static const struct cof_host_api api = {
    .struct_size = sizeof(struct cof_host_api),
    .log = host_log,
    .log_enabled = host_log_enabled,
    .reject = host_reject,
    .metric = host_metric,
    .metric_add = host_metric_add,
    .metric_set = host_metric_set,
    .metrics_each = host_metrics_each,
    .clock_ns = host_clock_ns,
    .instance_name = host_instance_name,
    .state_dir = host_state_dir,
    .batch_get = host_batch_get,
    .batch_put = host_batch_put,
    .emit = host_emit,
    .finished = host_finished,
    .ticket_done = host_ticket_done,
    .ticket_reject = host_ticket_reject,
    .storage_caps = host_storage_caps,
    .query_open = host_query_open,
    .query_next = host_query_next,
    .query_token = host_query_token,
    .query_close = host_query_close,
    .storage_stats = host_storage_stats,
    .histogram = host_histogram,
    .metric_observe = host_metric_observe,
};

/* --- its life ----------------------------------------------------------------------------------
 */

struct fakehost *fakehost_create(const char *instance, const char *state_dir)
{
  struct fakehost *f = need(calloc(1, sizeof *f));
  f->host.api = &api;
  f->instance = need(strdup(instance));
  f->state_dir = state_dir != NULL ? need(strdup(state_dir)) : NULL;
  f->records = need(cof_batch_create());
  f->held_end = &f->held;
  f->lines_end = &f->lines;
  pthread_mutex_init(&f->lock, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&f->changed, &attr);
  pthread_condattr_destroy(&attr);
  return f;
}

static void free_lists(struct fakehost *f)
{
  for (struct held *next, *h = f->held; h != NULL; h = next) {
    next = h->next;
    free(h);
  }
  for (struct line *next, *l = f->lines; l != NULL; l = next) {
    next = l->next;
    free(l->text);
    free(l);
  }
  for (struct cof_metric *next, *m = f->metrics; m != NULL; m = next) {
    next = m->next;
    free(m->name);
    free(m);
  }
}

void fakehost_destroy(struct fakehost **host)
{
  struct fakehost *f = *host;
  if (f == NULL)
    return;
  if (f->serving) {
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->acker, NULL);
  }
  free_lists(f);
  cof_batch_destroy(&f->records);
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->lock);
  free(f->instance);
  free(f->state_dir);
  free(f);
  *host = NULL;
}

struct cof_host *fakehost_host(struct fakehost *f)
{
  return &f->host;
}

/* --- acks --------------------------------------------------------------------------------------
 */

/* Called and returns with the lock held; gives it up while the plugin is in ack(). */
static void ack_one(struct fakehost *f, enum cof_result result)
{
  struct held *held = f->held;
  f->held = held->next;
  if (f->held == NULL)
    f->held_end = &f->held;
  f->acking = true;
  pthread_mutex_unlock(&f->lock);
  f->ops->ack(f->self, held->token, result);
  free(held);
  pthread_mutex_lock(&f->lock);
  f->acking = false;
  pthread_cond_broadcast(&f->changed);
}

static void *ack_thread(void *arg)
{
  struct fakehost *f = arg;
  pthread_mutex_lock(&f->lock);
  while (!f->ending) {
    if (f->held != NULL && !f->hold && !f->acking)
      ack_one(f, COF_OK);
    else
      pthread_cond_wait(&f->changed, &f->lock);
  }
  pthread_mutex_unlock(&f->lock);
  return NULL;
}

void fakehost_serve(struct fakehost *f, const struct cof_input_ops *ops, void *self)
{
  f->ops = ops;
  f->self = self;
  if (pthread_create(&f->acker, NULL, ack_thread, f) != 0)
    die("no thread for acks");
  f->serving = true;
}

static void set_flag(struct fakehost *f, bool *flag, bool value)
{
  pthread_mutex_lock(&f->lock);
  *flag = value;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->lock);
}

void fakehost_hold(struct fakehost *f, bool hold)
{
  set_flag(f, &f->hold, hold);
}

void fakehost_full(struct fakehost *f, bool full)
{
  set_flag(f, &f->full, full);
}

void fakehost_stopping(struct fakehost *f)
{
  set_flag(f, &f->stopping, true);
}

size_t fakehost_settle_some(struct fakehost *f, size_t max, enum cof_result result)
{
  size_t n = 0;
  pthread_mutex_lock(&f->lock);
  while (f->acking)
    pthread_cond_wait(&f->changed, &f->lock);
  for (; n < max && f->held != NULL; n++)
    ack_one(f, result);
  pthread_mutex_unlock(&f->lock);
  return n;
}

size_t fakehost_settle(struct fakehost *f, enum cof_result result)
{
  return fakehost_settle_some(f, SIZE_MAX, result);
}

/* --- what was seen -----------------------------------------------------------------------------
 */

const struct cof_batch *fakehost_records(struct fakehost *f)
{
  return f->records;
}

size_t fakehost_count(struct fakehost *f)
{
  pthread_mutex_lock(&f->lock);
  size_t n = cof_batch_count(f->records);
  pthread_mutex_unlock(&f->lock);
  return n;
}

size_t fakehost_batches(struct fakehost *f)
{
  pthread_mutex_lock(&f->lock);
  size_t n = f->batches;
  pthread_mutex_unlock(&f->lock);
  return n;
}

static uint64_t read_number(struct fakehost *f, const uint64_t *number)
{
  pthread_mutex_lock(&f->lock);
  uint64_t n = *number;
  pthread_mutex_unlock(&f->lock);
  return n;
}

uint64_t fakehost_refusals(struct fakehost *f)
{
  return read_number(f, &f->refusals);
}

uint64_t fakehost_rejected(struct fakehost *f)
{
  return read_number(f, &f->rejected);
}

bool fakehost_finished(struct fakehost *f)
{
  pthread_mutex_lock(&f->lock);
  bool done = f->done;
  pthread_mutex_unlock(&f->lock);
  return done;
}

int64_t fakehost_metric(struct fakehost *f, const char *name)
{
  int64_t value = -1;
  pthread_mutex_lock(&f->lock);
  for (struct cof_metric *m = f->metrics; m != NULL; m = m->next)
    if (strcmp(m->name, name) == 0)
      value = __atomic_load_n(&m->value, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&f->lock);
  return value;
}

size_t fakehost_log_count(struct fakehost *f, const char *text)
{
  size_t n = 0;
  pthread_mutex_lock(&f->lock);
  for (struct line *l = f->lines; l != NULL; l = l->next)
    n += strstr(l->text, text) != NULL;
  pthread_mutex_unlock(&f->lock);
  return n;
}

bool fakehost_logged(struct fakehost *f, const char *text)
{
  return fakehost_log_count(f, text) != 0;
}

void fakehost_dump(struct fakehost *f)
{
  pthread_mutex_lock(&f->lock);
  for (struct line *l = f->lines; l != NULL; l = l->next)
    fprintf(stderr, "# %s\n", l->text);
  fprintf(stderr, "# %zu records in %zu batches, %llu rejected\n", cof_batch_count(f->records),
          f->batches, (unsigned long long)f->rejected);
  pthread_mutex_unlock(&f->lock);
}

/* --- waiting -----------------------------------------------------------------------------------
 */

bool fakehost_wait(struct fakehost *f, bool (*holds)(void *), void *arg, int ms)
{
  struct timespec until = after(ms);
  for (;;) {
    /* The clock first: this process may stand still between the two. */
    struct timespec now = after(0), soon = after(10);
    if (holds(arg))
      return true;
    if (now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec)) {
      fakehost_dump(f);
      return false;
    }
    pthread_mutex_lock(&f->lock);
    pthread_cond_timedwait(&f->changed, &f->lock, &soon);
    pthread_mutex_unlock(&f->lock);
  }
}

struct condition {
  struct fakehost *host;
  uint64_t number;
  const char *text;
};

static bool has_count(void *arg)
{
  struct condition *c = arg;
  return fakehost_count(c->host) >= c->number;
}

static bool has_finished(void *arg)
{
  struct condition *c = arg;
  return fakehost_finished(c->host);
}

static bool has_logged(void *arg)
{
  struct condition *c = arg;
  return fakehost_logged(c->host, c->text);
}

static bool has_log_count(void *arg)
{
  struct condition *c = arg;
  return fakehost_log_count(c->host, c->text) >= c->number;
}

static bool has_refusals(void *arg)
{
  struct condition *c = arg;
  return fakehost_refusals(c->host) >= c->number;
}

static bool has_settled(void *arg)
{
  struct condition *c = arg;
  pthread_mutex_lock(&c->host->lock);
  bool settled = !c->host->acking && (c->host->hold || c->host->held == NULL);
  pthread_mutex_unlock(&c->host->lock);
  return settled;
}

bool fakehost_wait_count(struct fakehost *f, size_t records, int ms)
{
  struct condition c = {.host = f, .number = records};
  return fakehost_wait(f, has_count, &c, ms);
}

bool fakehost_wait_finished(struct fakehost *f, int ms)
{
  struct condition c = {.host = f};
  return fakehost_wait(f, has_finished, &c, ms);
}

bool fakehost_wait_logged(struct fakehost *f, const char *text, int ms)
{
  struct condition c = {.host = f, .text = text};
  return fakehost_wait(f, has_logged, &c, ms);
}

bool fakehost_wait_log_count(struct fakehost *f, const char *text, size_t lines, int ms)
{
  struct condition c = {.host = f, .number = lines, .text = text};
  return fakehost_wait(f, has_log_count, &c, ms);
}

bool fakehost_wait_refusals(struct fakehost *f, uint64_t refusals, int ms)
{
  struct condition c = {.host = f, .number = refusals};
  return fakehost_wait(f, has_refusals, &c, ms);
}

bool fakehost_wait_settled(struct fakehost *f, int ms)
{
  struct condition c = {.host = f};
  return fakehost_wait(f, has_settled, &c, ms);
}

/* --- configuration -----------------------------------------------------------------------------
 */

static int64_t number_of(const struct cof_option *o, const char *text)
{
  static const struct {
    const char *unit;
    enum cof_opt_type type;
    int64_t factor;
  } units[] = {{"", COF_OPT_INT, 1},
               {"", COF_OPT_BYTES, 1},
               {"K", COF_OPT_BYTES, 1 << 10},
               {"M", COF_OPT_BYTES, 1 << 20},
               {"G", COF_OPT_BYTES, 1 << 30},
               {"ms", COF_OPT_DURATION, 1},
               {"s", COF_OPT_DURATION, 1000},
               {"m", COF_OPT_DURATION, 60000},
               {"h", COF_OPT_DURATION, 3600000},
               {"d", COF_OPT_DURATION, 86400000}};
  char *end;
  errno = 0;
  int64_t n = strtoll(text, &end, 10);
  if (errno != 0 || end == text)
    die("option %s: \"%s\" is no number", o->name, text);
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (o->type == units[i].type && strcmp(end, units[i].unit) == 0) {
      n *= units[i].factor;
      if ((o->min != 0 || o->max != 0) && (n < o->min || n > o->max))
        die("option %s: %s is not within its bounds", o->name, text);
      return n;
    }
  die("option %s: \"%s\" has an unknown unit", o->name, text);
}

static bool truth_of(const struct cof_option *o, const char *text)
{
  static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off",
                                                                              "0"};
  for (size_t i = 0; i < 4; i++) {
    if (strcasecmp(text, yes[i]) == 0)
      return true;
    if (strcasecmp(text, no[i]) == 0)
      return false;
  }
  die("option %s: \"%s\" is neither yes nor no", o->name, text);
}

static int choice_of(const struct cof_option *o, const char *text)
{
  for (int i = 0; o->choices[i] != NULL; i++)
    if (strcmp(o->choices[i], text) == 0)
      return i;
  die("option %s: \"%s\" is no choice", o->name, text);
}

static void add_item(struct cof_list *list, const char *text, size_t len)
{
  while (len > 0 && (*text == ' ' || *text == '\t')) {
    text++;
    len--;
  }
  while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
    len--;
  if (len == 0)
    return;
  list->items = need(realloc(list->items, (list->count + 1) * sizeof *list->items));
  list->items[list->count++] = need(strndup(text, len));
}

static void add_items(struct cof_list *list, const char *text)
{
  for (;;) {
    size_t len = strcspn(text, ",");
    add_item(list, text, len);
    if (text[len] == '\0')
      return;
    text += len + 1;
  }
}

static void set_endpoint(const struct cof_option *o, struct cof_endpoint *e, const char *text)
{
  const char *colon = strrchr(text, ':');
  if (colon == NULL)
    die("option %s: \"%s\" has no port", o->name, text);
  bool brackets = *text == '[' && colon > text && colon[-1] == ']';
  e->host = need(strndup(text + brackets, (size_t)(colon - text) - 2 * brackets));
  e->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

static void set_option(const struct cof_option *o, void *conf, const char *text)
{
  char *field = (char *)conf + o->offset;
  switch (o->type) {
  case COF_OPT_STR:
  case COF_OPT_PATH:
  case COF_OPT_SECRET:
    free(*(char **)field);
    *(char **)field = need(strdup(text));
    return;
  case COF_OPT_INT:
  case COF_OPT_DURATION:
  case COF_OPT_BYTES:
    *(int64_t *)field = number_of(o, text);
    return;
  case COF_OPT_BOOL:
    *(bool *)field = truth_of(o, text);
    return;
  case COF_OPT_ENUM:
    *(int *)field = choice_of(o, text);
    return;
  case COF_OPT_ADDR:
    free(((struct cof_endpoint *)field)->host);
    set_endpoint(o, (struct cof_endpoint *)field, text);
    return;
  case COF_OPT_LIST:
    add_items((struct cof_list *)field, text);
    return;
  }
  die("option %s: unknown type %d", o->name, (int)o->type);
}

static size_t size_of(enum cof_opt_type type)
{
  switch (type) {
  case COF_OPT_STR:
  case COF_OPT_PATH:
  case COF_OPT_SECRET:
    return sizeof(char *);
  case COF_OPT_INT:
  case COF_OPT_DURATION:
  case COF_OPT_BYTES:
    return sizeof(int64_t);
  case COF_OPT_BOOL:
    return sizeof(bool);
  case COF_OPT_ENUM:
    return sizeof(int);
  case COF_OPT_ADDR:
    return sizeof(struct cof_endpoint);
  case COF_OPT_LIST:
    return sizeof(struct cof_list);
  }
  return 0;
}

void *fakehost_conf(const struct cof_plugin *plugin, const char *const *settings)
{
  void *conf = need(calloc(1, plugin->conf_size != 0 ? plugin->conf_size : 1));
  for (const struct cof_option *o = plugin->options; o != NULL && o->name != NULL; o++) {
    if (o->size != size_of(o->type) || o->offset + o->size > plugin->conf_size)
      die("option %s: the field does not fit its type", o->name);
    if (o->help == NULL || *o->help == '\0')
      die("option %s: help is missing", o->name);
    if (o->dflt != NULL)
      set_option(o, conf, o->dflt);
  }
  for (; settings != NULL && *settings != NULL; settings++) {
    size_t len = strcspn(*settings, "=");
    const struct cof_option *o = plugin->options;
    while (o != NULL && o->name != NULL &&
           (strlen(o->name) != len || memcmp(o->name, *settings, len) != 0))
      o++;
    if (o == NULL || o->name == NULL || (*settings)[len] == '\0')
      die("setting \"%s\": unknown option", *settings);
    set_option(o, conf, *settings + len + 1);
  }
  return conf;
}

void fakehost_conf_free(const struct cof_plugin *plugin, void **conf)
{
  if (*conf == NULL)
    return;
  for (const struct cof_option *o = plugin->options; o != NULL && o->name != NULL; o++) {
    char *field = (char *)*conf + o->offset;
    if (o->type == COF_OPT_STR || o->type == COF_OPT_PATH || o->type == COF_OPT_SECRET)
      free(*(char **)field);
    if (o->type == COF_OPT_ADDR)
      free(((struct cof_endpoint *)field)->host);
    if (o->type == COF_OPT_LIST) {
      struct cof_list *list = (struct cof_list *)field;
      for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
      free(list->items);
    }
  }
  free(*conf);
  *conf = NULL;
}

struct collector {
  struct cof_diag diag; /* first */
  char *text;
  size_t cap, len;
};

static void collect(struct cof_diag *diag, const char *option, const char *text)
{
  struct collector *c = (struct collector *)diag;
  int n =
      snprintf(c->text + c->len, c->cap - c->len, "%s: %s\n", option != NULL ? option : "", text);
  if (n < 0 || (size_t)n >= c->cap - c->len)
    die("no room for what check() says");
  c->len += (size_t)n;
}

enum cof_result fakehost_check(const struct cof_plugin *plugin, const void *conf, char *text,
                               size_t cap)
{
  struct collector c = {.diag.report = collect, .text = text, .cap = cap};
  text[0] = '\0';
  enum cof_result result = plugin->check != NULL ? plugin->check(conf, &c.diag) : COF_OK;
  if ((result == COF_OK) != (c.len == 0))
    die("check() gave %s, and said \"%s\"", cof_result_name(result), text);
  return result;
}
