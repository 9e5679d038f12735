/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "metrics_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_MAX 256

/* Counts of a histogram's ranges. */
struct ranges {
  size_t count; /* bounds */
  int64_t bounds[COF_HISTOGRAM_MAX];
  _Atomic uint64_t counts[COF_HISTOGRAM_MAX + 1];
};

struct cof_metric {
  _Atomic int64_t value; /* of a histogram: the sum */
  enum cof_metric_kind type;
  char *name, *unit, *help;
  struct ranges *ranges; /* of a histogram */
};

/* Metrics are only ever added, so readers need no lock: `count` is raised once a slot is filled. */
struct metrics {
  char *kind, *instance, *plugin;
  pthread_mutex_t lock; /* held while a metric is added */
  _Atomic size_t count;
  struct cof_metric *items[METRICS_MAX];
  struct cof_metric hidden; /* what there was no room for */
};

struct metrics *metrics_create(const char *kind, const char *instance, const char *plugin)
{
  struct metrics *metrics = calloc(1, sizeof *metrics);
  if (metrics == NULL)
    return NULL;
  if (pthread_mutex_init(&metrics->lock, NULL) != 0) {
    free(metrics);
    return NULL;
  }
  metrics->hidden.type = COF_GAUGE;
  metrics->kind = strdup(kind);
  metrics->instance = strdup(instance);
  metrics->plugin = strdup(plugin);
  if (metrics->kind == NULL || metrics->instance == NULL || metrics->plugin == NULL)
    metrics_destroy(&metrics);
  return metrics;
}

static void metric_free(struct cof_metric *metric)
{
  if (metric == NULL)
    return;
  free(metric->name);
  free(metric->unit);
  free(metric->help);
  free(metric->ranges);
  free(metric);
}

void metrics_destroy(struct metrics **metrics)
{
  if (metrics == NULL || *metrics == NULL)
    return;
  struct metrics *m = *metrics;
  for (size_t i = 0; i < m->count; i++)
    metric_free(m->items[i]);
  pthread_mutex_destroy(&m->lock);
  free(m->kind);
  free(m->instance);
  free(m->plugin);
  free(m);
  *metrics = NULL;
}

static struct cof_metric *find(struct metrics *metrics, const char *name)
{
  size_t count = atomic_load_explicit(&metrics->count, memory_order_acquire);
  for (size_t i = 0; i < count; i++)
    if (strcmp(metrics->items[i]->name, name) == 0)
      return metrics->items[i];
  return NULL;
}

static struct cof_metric *metric_create(enum cof_metric_kind type, const char *name,
                                        const char *unit, const char *help)
{
  struct cof_metric *metric = calloc(1, sizeof *metric);
  if (metric == NULL)
    return NULL;
  metric->type = type;
  metric->name = strdup(name);
  metric->unit = strdup(unit != NULL ? unit : "");
  metric->help = strdup(help != NULL ? help : "");
  if (metric->name == NULL || metric->unit == NULL || metric->help == NULL) {
    metric_free(metric);
    return NULL;
  }
  return metric;
}

static struct ranges *ranges_create(const int64_t *bounds, size_t count)
{
  struct ranges *ranges = calloc(1, sizeof *ranges);
  if (ranges == NULL)
    return NULL;
  ranges->count = count < COF_HISTOGRAM_MAX ? count : COF_HISTOGRAM_MAX;
  memcpy(ranges->bounds, bounds, ranges->count * sizeof *bounds);
  return ranges;
}

/* `ranges` are taken by a metric that is made, and set to NULL. */
static struct cof_metric *get(struct metrics *metrics, enum cof_metric_kind type, const char *name,
                              const char *unit, const char *help, struct ranges **ranges)
{
  struct cof_metric *metric = find(metrics, name);
  if (metric != NULL)
    return metric;
  pthread_mutex_lock(&metrics->lock);
  metric = find(metrics, name); /* another thread may have been first */
  size_t count = atomic_load_explicit(&metrics->count, memory_order_relaxed);
  if (metric == NULL && count < METRICS_MAX) {
    metric = metric_create(type, name, unit, help);
    if (metric != NULL) {
      metric->ranges = *ranges;
      *ranges = NULL;
      metrics->items[count] = metric;
      atomic_store_explicit(&metrics->count, count + 1, memory_order_release);
    }
  }
  pthread_mutex_unlock(&metrics->lock);
  return metric != NULL ? metric : &metrics->hidden;
}

struct cof_metric *metrics_get(struct metrics *metrics, enum cof_metric_kind type, const char *name,
                               const char *unit, const char *help)
{
  struct ranges *none = NULL;
  return get(metrics, type, name, unit, help, &none);
}

struct cof_metric *metrics_histogram(struct metrics *metrics, const char *name, const char *unit,
                                     const char *help, const int64_t *bounds, size_t count)
{
  struct ranges *ranges = ranges_create(bounds, count);
  struct cof_metric *metric =
      ranges != NULL ? get(metrics, COF_HISTOGRAM, name, unit, help, &ranges) : &metrics->hidden;
  free(ranges); /* where there was one of the name */
  return metric;
}

void metric_observe(struct cof_metric *metric, int64_t value)
{
  struct ranges *r = metric->ranges;
  if (r == NULL)
    return;
  size_t i = 0;
  while (i < r->count && value > r->bounds[i])
    i++;
  atomic_fetch_add_explicit(&r->counts[i], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_add(struct cof_metric *metric, int64_t n)
{
  if ((n < 0 && metric->type == COF_COUNTER) || metric->type == COF_HISTOGRAM)
    return; /* a counter only ever grows, and a histogram observes */
  atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void metric_set(struct cof_metric *metric, int64_t value)
{
  if (metric->type == COF_GAUGE)
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct cof_metric *metric)
{
  return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

int64_t metrics_value(struct metrics *metrics, const char *name)
{
  const struct cof_metric *metric = find(metrics, name);
  return metric != NULL ? metric_value(metric) : 0;
}

/* The number of values is that of the ranges added up, so that both always agree. */
static void view_ranges(struct cof_metric_view *view, const struct cof_metric *metric,
                        uint64_t counts[COF_HISTOGRAM_MAX + 1])
{
  const struct ranges *r = metric->ranges;
  uint64_t sum = 0;
  for (size_t i = 0; i <= r->count; i++)
    sum += counts[i] = atomic_load_explicit(&r->counts[i], memory_order_relaxed);
  view->sum = view->value;
  view->value = (int64_t)sum;
  view->bounds = r->bounds;
  view->bounds_count = r->count;
  view->counts = counts;
}

void metrics_each(struct metrics *metrics, cof_metric_fn fn, void *arg)
{
  size_t count = atomic_load_explicit(&metrics->count, memory_order_acquire);
  for (size_t i = 0; i < count; i++) {
    const struct cof_metric *metric = metrics->items[i];
    struct cof_metric_view view = {.kind = metrics->kind,
                                   .instance = metrics->instance,
                                   .plugin = metrics->plugin,
                                   .name = metric->name,
                                   .unit = metric->unit,
                                   .help = metric->help,
                                   .type = metric->type,
                                   .value = metric_value(metric)};
    uint64_t counts[COF_HISTOGRAM_MAX + 1];
    if (metric->ranges != NULL)
      view_ranges(&view, metric, counts);
    fn(arg, &view);
  }
}
