/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "info_private.h"
#include "rest_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Being built from callbacks, any of which may run out of memory. */
struct info {
  json_t *sensors, *plugins;
  bool failed;
};

json_t *info_string(const char *s)
{
  json_t *j = json_string(s);
  if (j != NULL)
    return j;
  char *out = malloc(4 * strlen(s) + 1), *p = out;
  if (out == NULL)
    return NULL;
  for (; *s != '\0'; s++) {
    if ((unsigned char)*s <= 0x7e)
      *p++ = *s;
    else
      p += sprintf(p, "\\%03u", (unsigned)(unsigned char)*s);
  }
  *p = '\0';
  j = json_string(out);
  free(out);
  return j;
}

json_t *info_number(uint64_t n)
{
  return json_integer(n <= INT64_MAX ? (json_int_t)n : INT64_MAX);
}

static void add_sensor(void *arg, const char *sensor_id, uint64_t records)
{
  struct info *info = arg;
  json_t *sensor = json_object();
  if (sensor == NULL || json_object_set_new(sensor, "sensor_id", info_string(sensor_id)) != 0 ||
      json_object_set_new(sensor, "count", info_number(records)) != 0) {
    json_decref(sensor);
    info->failed = true;
    return;
  }
  info->failed |= json_array_append_new(info->sensors, sensor) != 0;
}

static bool is_of(const json_t *plugin, const struct cof_metric_view *view)
{
  const char *kind = json_string_value(json_object_get(plugin, "kind"));
  const char *instance = json_string_value(json_object_get(plugin, "instance"));
  return kind != NULL && instance != NULL && strcmp(kind, view->kind) == 0 &&
         strcmp(instance, view->instance) == 0;
}

/* The object of a metric's instance: the last one, since metrics come instance by instance. */
static json_t *plugin_of(struct info *info, const struct cof_metric_view *view)
{
  size_t count = json_array_size(info->plugins);
  json_t *plugin = count > 0 ? json_array_get(info->plugins, count - 1) : NULL;
  if (plugin != NULL && is_of(plugin, view))
    return plugin;
  plugin = json_object();
  if (plugin == NULL || json_object_set_new(plugin, "kind", info_string(view->kind)) != 0 ||
      json_object_set_new(plugin, "instance", info_string(view->instance)) != 0 ||
      json_object_set_new(plugin, "plugin", info_string(view->plugin)) != 0 ||
      json_object_set_new(plugin, "counters", json_object()) != 0 ||
      json_object_set_new(plugin, "gauges", json_object()) != 0) {
    json_decref(plugin);
    return NULL;
  }
  return json_array_append_new(info->plugins, plugin) == 0 ? plugin : NULL;
}

static void add_metric(void *arg, const struct cof_metric_view *view)
{
  struct info *info = arg;
  if (view->type == COF_HISTOGRAM)
    return; /* these are for /metrics */
  json_t *plugin = plugin_of(info, view);
  json_t *group = json_object_get(plugin, view->type == COF_COUNTER ? "counters" : "gauges");
  info->failed |= json_object_set_new(group, view->name, json_integer(view->value)) != 0;
}

/* All in one object, keys in the order in which clients have known them. */
static char *dump(struct info *info, const struct cof_storage_stats *stats)
{
  json_t *root = json_object();
  char *out = NULL;
  if (root != NULL && !info->failed &&
      json_object_set_new(root, "version", json_string(PACKAGE_VERSION)) == 0 &&
      json_object_set_new(root, "software", json_string("cofd")) == 0 &&
      json_object_set_new(root, "stats", info_number(stats->observations)) == 0 &&
      json_object_set(root, "sensors", info->sensors) == 0 &&
      json_object_set(root, "plugins", info->plugins) == 0)
    out = json_dumps(root, JSON_ENSURE_ASCII);
  json_decref(root);
  return out;
}

enum cof_result info_sensors(struct rest *rest, struct cof_storage_stats *stats, json_t **sensors,
                             struct cof_error *err)
{
  struct info info = {json_array(), NULL, false};
  enum cof_result r = COF_OK;
  if (info.sensors != NULL)
    r = cof_storage_stats(rest->host, stats, add_sensor, &info, err);
  if (r == COF_OK && (info.sensors == NULL || info.failed))
    r = cof_fail(err, COF_FATAL, "out of memory");
  if (r == COF_OK)
    *sensors = info.sensors;
  else
    json_decref(info.sensors);
  return r;
}

enum cof_result info_text(struct rest *rest, char **out, struct cof_error *err)
{
  struct cof_storage_stats stats = {0};
  struct info info = {json_array(), json_array(), false};
  enum cof_result r = COF_OK;
  info.failed = info.sensors == NULL || info.plugins == NULL;
  if (!info.failed)
    r = cof_storage_stats(rest->host, &stats, add_sensor, &info, err);
  if (r == COF_OK && !info.failed)
    cof_metrics_each(rest->host, add_metric, &info);
  if (r == COF_OK) {
    *out = dump(&info, &stats);
    if (*out == NULL)
      r = cof_fail(err, COF_FATAL, "out of memory");
  }
  json_decref(info.sensors);
  json_decref(info.plugins);
  return r;
}
