/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include <cofd/follow.h>
#include <cofd/plugin.h>

struct conf {
  struct cof_follow_conf follow;
  int counts; /* enum cof_counts */
  char *sensor_id;
  int format; /* enum format */
};

enum format { FORMAT_AUTO, FORMAT_NDJSON, FORMAT_ARRAY };

struct cof_file {
  struct cof_host *host;
  struct cof_follow *follow;
  struct cof_reader *reader;
  struct cof_metric *odd_bailiwicks;
  uint64_t odd; /* of these, in the metric */
};

static const char *const counts_choices[] = {"add", "total", NULL};
static const char *const format_choices[] = {"auto", "ndjson", "array", NULL};

static const struct cof_option options[] = {
    COF_FOLLOW_PATH_OPTIONS(struct conf, follow, "no"),
    {.name = "counts",
     .help = "add: a count is so many new observations; total: so many up to now, and the larger "
             "of it and the stored one is kept.",
     .dflt = "add",
     .type = COF_OPT_ENUM,
     .choices = counts_choices,
     COF_FIELD(struct conf, counts)},
    {.name = "sensor_id",
     .help = "Sensor of records that name none; at most 255 octets.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, sensor_id)},
    {.name = "format",
     .help = "ndjson: a record a line; array: records between brackets, over several lines or "
             "several a line; auto: told by how a file begins.",
     .dflt = "auto",
     .type = COF_OPT_ENUM,
     .choices = format_choices,
     COF_FIELD(struct conf, format)},
    COF_FOLLOW_BATCH_OPTIONS(struct conf, follow),
    {.name = NULL}};

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  enum cof_result result = cof_follow_check(&c->follow, sizeof c->follow, diag);
  if (c->sensor_id != NULL && strlen(c->sensor_id) > COF_SENSOR_MAX) {
    cof_diag_error(diag, "sensor_id", "longer than %d octets", COF_SENSOR_MAX);
    result = COF_REJECT;
  }
  return result;
}

static enum cof_result read_line(void *arg, struct cof_follow_line *line, const char *text,
                                 size_t len, struct cof_batch *batch, struct cof_error *err)
{
  struct cof_file *f = arg;
  size_t refused = 0;
  enum cof_result result = cof_reader_object(f->reader, text, len, batch, NULL, &refused, err);
  line->refused = refused > 0 ? refused : 1;
  uint64_t odd = cof_reader_odd_bailiwicks(f->reader);
  if (odd != f->odd)
    cof_add(f->host, f->odd_bailiwicks, (int64_t)(odd - f->odd));
  f->odd = odd;
  return result;
}

static void destroy(void *self)
{
  struct cof_file *f = self;
  cof_follow_destroy(&f->follow);
  cof_reader_destroy(&f->reader);
  free(f);
}

static enum cof_follow_cut cut_of(int format)
{
  return format == FORMAT_NDJSON  ? COF_FOLLOW_LINES
         : format == FORMAT_ARRAY ? COF_FOLLOW_OBJECTS
                                  : COF_FOLLOW_EITHER;
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  const struct conf *c = conf;
  const struct cof_follow_ops ops = {.struct_size = sizeof ops,
                                     .conf_size = sizeof c->follow,
                                     .cut = cut_of(c->format),
                                     .line = read_line};
  struct cof_file *f = calloc(1, sizeof *f);
  if (f != NULL)
    f->reader = cof_reader_create(c->counts == 0 ? COF_COUNTS_ADD : COF_COUNTS_TOTAL);
  if (f == NULL || f->reader == NULL || cof_reader_set_sensor(f->reader, c->sensor_id) != COF_OK) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    if (f != NULL)
      destroy(f);
    return COF_FATAL;
  }
  f->host = host;
  f->odd_bailiwicks = cof_metric(host, COF_COUNTER, "odd_bailiwicks", "objects",
                                 "Objects read without their bailiwick, which is no zone that "
                                 "their rrname is in.");
  cof_reader_set_host(f->reader, host);
  f->follow = cof_follow_create(host, &c->follow, &ops, f);
  if (f->follow == NULL) {
    destroy(f);
    return COF_FATAL;
  }
  *self = f;
  return COF_OK;
}

COF_FOLLOW_CALLBACKS(struct cof_file);

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_INPUT,
    .caps = COF_CAP_LOAD,
    .name = "cof-file",
    .version = "0.1.0",
    .summary = "reads COF records from files and pipes, once or as they grow",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = follow_start,
    .stop = follow_stop,
    .destroy = destroy,
    .ops = &follow_ops,
};
