/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Named counters, gauges and histograms of one instance. All functions are thread safe.
 */
#ifndef COFD_METRICS_PRIVATE_H
#define COFD_METRICS_PRIVATE_H

#include <stdint.h>

#include <cofd/host.h>

struct metrics;

/** Make an empty set; the texts are copied. NULL when out of memory. */
struct metrics *metrics_create(const char *kind, const char *instance, const char *plugin);
/** Free a set and its metrics; tolerates NULL and sets the caller's pointer to NULL. */
void metrics_destroy(struct metrics **metrics);

/** See cof_metric(). At most 256 a set; beyond, and out of memory, one that is not shown. */
struct cof_metric *metrics_get(struct metrics *metrics, enum cof_metric_kind type, const char *name,
                               const char *unit, const char *help);
/** See cof_histogram(). */
struct cof_metric *metrics_histogram(struct metrics *metrics, const char *name, const char *unit,
                                     const char *help, const int64_t *bounds, size_t count);
void metric_observe(struct cof_metric *metric, int64_t value);
void metric_add(struct cof_metric *metric, int64_t n);
void metric_set(struct cof_metric *metric, int64_t value);
int64_t metric_value(const struct cof_metric *metric);

/** Value of a metric by name, 0 where there is none. */
int64_t metrics_value(struct metrics *metrics, const char *name);

/** Call `fn` for each metric, in the order in which they were made. */
void metrics_each(struct metrics *metrics, cof_metric_fn fn, void *arg);

#endif
