/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest_private.h"

#define FAMILY_MAX 256
/* Most metrics shown: each instance has 256 at most. */
#define SAMPLES_MAX 65536

/* One metric of one instance. */
struct sample {
  char family[FAMILY_MAX]; /* name by which the same metrics of several instances come together */
  char *kind, *instance, *plugin, *help;
  enum cof_metric_kind type;
  double scale; /* of the values, to the base unit */
  int64_t value, sum;
  size_t bounds_count;
  int64_t bounds[COF_HISTOGRAM_MAX];
  uint64_t counts[COF_HISTOGRAM_MAX + 1];
  size_t order;
};

struct samples {
  struct sample **items;
  size_t count, room;
  bool failed;
};

/* --- collecting ----------------------------------------------------------------------------- */

/* The base unit of a unit, as Prometheus wants it, and what to multiply by; "" for what is merely
   counted, since the name says it. */
static const char *base_unit(const char *unit, double *scale)
{
  static const struct {
    const char *unit, *base;
    double scale;
  } units[] = {{"seconds", "seconds", 1}, {"s", "seconds", 1},     {"ms", "seconds", 1e-3},
               {"us", "seconds", 1e-6},   {"ns", "seconds", 1e-9}, {"bytes", "bytes", 1},
               {"octets", "bytes", 1}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(unit, units[i].unit) == 0) {
      *scale = units[i].scale;
      return units[i].base;
    }
  *scale = 1;
  return "";
}

static bool ends_with(const char *text, const char *end)
{
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static void name_family(struct sample *s, const struct cof_metric_view *view)
{
  const char *unit = base_unit(view->unit, &s->scale);
  bool told = *unit == '\0' || ends_with(view->name, unit);
  snprintf(s->family, sizeof s->family, "cofd_%s_%s%s%s%s", view->kind, view->name, told ? "" : "_",
           told ? "" : unit,
           view->type == COF_COUNTER && !ends_with(view->name, "_total") ? "_total" : "");
  for (char *p = s->family; *p != '\0'; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
      *p = '_';
}

static void sample_destroy(struct sample *s)
{
  if (s == NULL)
    return;
  free(s->kind);
  free(s->instance);
  free(s->plugin);
  free(s->help);
  free(s);
}

static struct sample *sample_create(const struct cof_metric_view *view)
{
  struct sample *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->kind = strdup(view->kind);
  s->instance = strdup(view->instance);
  s->plugin = strdup(view->plugin);
  s->help = strdup(view->help);
  if (s->kind == NULL || s->instance == NULL || s->plugin == NULL || s->help == NULL) {
    sample_destroy(s);
    return NULL;
  }
  s->type = view->type;
  s->value = view->value;
  if (view->type == COF_HISTOGRAM && view->bounds_count <= COF_HISTOGRAM_MAX) {
    s->sum = view->sum;
    s->bounds_count = view->bounds_count;
    memcpy(s->bounds, view->bounds, s->bounds_count * sizeof *s->bounds);
    memcpy(s->counts, view->counts, (s->bounds_count + 1) * sizeof *s->counts);
  }
  name_family(s, view);
  return s;
}

static void collect(void *arg, const struct cof_metric_view *view)
{
  struct samples *all = arg;
  if (all->failed || all->count == SAMPLES_MAX)
    return;
  if (all->count == all->room) {
    size_t room = all->room != 0 ? 2 * all->room : 64;
    struct sample **items = realloc(all->items, room * sizeof(struct sample *));
    all->failed = items == NULL;
    if (all->failed)
      return;
    all->items = items;
    all->room = room;
  }
  struct sample *s = sample_create(view);
  all->failed = s == NULL;
  if (s == NULL)
    return;
  s->order = all->count;
  all->items[all->count++] = s;
}

static int by_family(const void *a, const void *b)
{
  const struct sample *x = *(struct sample *const *)a, *y = *(struct sample *const *)b;
  int order = strcmp(x->family, y->family);
  if (order == 0 && x->type != y->type)
    order = x->type < y->type ? -1 : 1;
  return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

/* --- writing -------------------------------------------------------------------------------- */

/* With the escapes of a label's value, or, with `label` false, of a help text. */
static void write_escaped(FILE *out, const char *text, bool label)
{
  for (; *text != '\0'; text++) {
    if (*text == '\n')
      fputs("\\n", out);
    else if (*text == '\\' || (label && *text == '"'))
      fprintf(out, "\\%c", *text);
    else
      fputc(*text, out);
  }
}

static void write_labels(FILE *out, const struct sample *s)
{
  fputs("instance_name=\"", out);
  write_escaped(out, s->instance, true);
  if (s->plugin[0] != '\0') {
    fputs("\",plugin=\"", out);
    write_escaped(out, s->plugin, true);
  }
  fputc('"', out);
}

static void write_value(FILE *out, const struct sample *s, int64_t value)
{
  if (s->scale == 1)
    fprintf(out, "%" PRId64 "\n", value);
  else
    fprintf(out, "%.9g\n", (double)value * s->scale);
}

static void write_histogram(FILE *out, const struct sample *s)
{
  uint64_t sum = 0;
  for (size_t i = 0; i <= s->bounds_count; i++) {
    sum += s->counts[i];
    fprintf(out, "%s_bucket{", s->family);
    write_labels(out, s);
    if (i < s->bounds_count)
      fprintf(out, ",le=\"%.9g\"} %" PRIu64 "\n", (double)s->bounds[i] * s->scale, sum);
    else
      fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
  }
  fprintf(out, "%s_sum{", s->family);
  write_labels(out, s);
  fputs("} ", out);
  write_value(out, s, s->sum);
  fprintf(out, "%s_count{", s->family);
  write_labels(out, s);
  fprintf(out, "} %" PRIu64 "\n", sum);
}

static void write_head(FILE *out, const struct sample *s)
{
  static const char *const words[] = {
      [COF_COUNTER] = "counter", [COF_GAUGE] = "gauge", [COF_HISTOGRAM] = "histogram"};
  fprintf(out, "# HELP %s ", s->family);
  write_escaped(out, s->help, false);
  fprintf(out, "\n# TYPE %s %s\n", s->family, words[s->type]);
}

/* A family has one type; a metric of the same name and another type is given a name of its own. */
static void tell_apart(struct samples *all)
{
  for (size_t i = 1; i < all->count; i++) {
    struct sample *s = all->items[i];
    const struct sample *before = all->items[i - 1];
    size_t len = strlen(s->family);
    if (strcmp(s->family, before->family) == 0 && s->type != before->type)
      for (size_t k = i; k < all->count && strcmp(all->items[k]->family, before->family) == 0; k++)
        if (all->items[k]->type == COF_HISTOGRAM)
          snprintf(all->items[k]->family + len, FAMILY_MAX - len, "_histogram");
  }
}

static void write_all(FILE *out, struct samples *all)
{
  fputs("# HELP cofd_build_info Version of cofd.\n# TYPE cofd_build_info gauge\n"
        "cofd_build_info{version=\"" PACKAGE_VERSION "\"} 1\n",
        out);
  for (size_t i = 0; i < all->count; i++) {
    const struct sample *s = all->items[i];
    if (i == 0 || strcmp(s->family, all->items[i - 1]->family) != 0)
      write_head(out, s);
    if (s->type == COF_HISTOGRAM) {
      write_histogram(out, s);
      continue;
    }
    fprintf(out, "%s{", s->family);
    write_labels(out, s);
    fputs("} ", out);
    write_value(out, s, s->value);
  }
}

char *prom_text(struct rest *rest)
{
  struct samples all = {NULL, 0, 0, false};
  char *text = NULL;
  size_t len = 0;
  cof_metrics_each(rest->host, collect, &all);
  FILE *out = all.failed ? NULL : open_memstream(&text, &len);
  if (out != NULL) {
    if (all.count > 1)
      qsort(all.items, all.count, sizeof *all.items, by_family);
    tell_apart(&all);
    write_all(out, &all);
    if (fclose(out) != 0) {
      free(text);
      text = NULL;
    }
  }
  for (size_t i = 0; i < all.count; i++)
    sample_destroy(all.items[i]);
  free(all.items);
  return text;
}
