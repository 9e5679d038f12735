/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/follow.h>
#include <cofd/passivedns.h>
#include <cofd/plugin.h>

struct conf {
  struct cof_follow_conf follow;
  char *fields;
  char *delimiter;
  int count; /* enum count */
  char *sensor_id;
};

enum count { COUNT_SENSOR, COUNT_LINE };

struct passivedns_log {
  struct cof_host *host;
  struct cof_follow *follow;
  struct cof_passivedns *reader;
  struct cof_metric *blank, *negative, *other_class;
};

static const char *const count_choices[] = {"sensor", "line", NULL};

static const struct cof_option options[] = {
    COF_FOLLOW_PATH_OPTIONS(struct conf, follow, "yes"),
    COF_FOLLOW_SOCKET_OPTIONS(struct conf, follow),
    COF_FOLLOW_LISTEN_OPTIONS(struct conf, follow),
    COF_FOLLOW_PEER_OPTIONS(struct conf, follow),
    {.name = "fields",
     .help = "Columns of a line, as the sensor's -f takes them; JSON lines name theirs.",
     .dflt = COF_PASSIVEDNS_FIELDS,
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, fields)},
    {.name = "delimiter",
     .help = "Text between columns, as the sensor's -d takes it, 1 to 16 octets; \\t is a tab.",
     .dflt = COF_PASSIVEDNS_DELIMITER,
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, delimiter)},
    {.name = "count",
     .help = "What a line adds to a record's count: the sensor's own number, or 1 as "
             "analyzer-d4-passivedns does.",
     .dflt = "sensor",
     .type = COF_OPT_ENUM,
     .choices = count_choices,
     COF_FIELD(struct conf, count)},
    {.name = "sensor_id",
     .help = "Sensor of all records; at most 255 octets.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, sensor_id)},
    COF_FOLLOW_BATCH_OPTIONS(struct conf, follow),
    {.name = NULL}};

static struct cof_passivedns *make_reader(const struct conf *c, struct cof_error *err)
{
  struct cof_passivedns_options o = COF_PASSIVEDNS_INIT;
  o.fields = c->fields;
  o.delimiter = strcmp(c->delimiter, "\\t") == 0 ? "\t" : c->delimiter;
  o.sensor_id = c->sensor_id;
  o.count_lines = c->count == COUNT_LINE;
  return cof_passivedns_create(&o, err);
}

/* By making a reader of them, with a delimiter that is right. */
static bool check_fields(const struct conf *c, struct cof_diag *diag)
{
  static char delimiter[] = COF_PASSIVEDNS_DELIMITER;
  struct conf sound = *c;
  struct cof_error err;
  sound.delimiter = delimiter;
  struct cof_passivedns *reader = make_reader(&sound, &err);
  bool good = reader != NULL;
  const char *colon = good ? NULL : strstr(err.text, ": ");
  if (!good)
    cof_diag_error(diag, "fields", "%s", colon != NULL ? colon + 2 : err.text);
  cof_passivedns_destroy(&reader);
  return good;
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  enum cof_result result = cof_follow_check(&c->follow, sizeof c->follow, diag);
  if (!check_fields(c, diag))
    result = COF_REJECT;
  if (c->delimiter[0] == '\0' || strlen(c->delimiter) > COF_PASSIVEDNS_DELIMITER_MAX) {
    cof_diag_error(diag, "delimiter", "has to be 1 to %d octets", COF_PASSIVEDNS_DELIMITER_MAX);
    result = COF_REJECT;
  }
  if (c->sensor_id != NULL && strlen(c->sensor_id) > COF_SENSOR_MAX) {
    cof_diag_error(diag, "sensor_id", "longer than %d octets", COF_SENSOR_MAX);
    result = COF_REJECT;
  }
  return result;
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool is_json(const char *text, size_t len)
{
  size_t i = 0;
  while (i < len && (text[i] == ' ' || text[i] == '\t'))
    i++;
  return i < len && text[i] == '{';
}

static enum cof_result read_line(void *arg, struct cof_follow_line *line, const char *text,
                                 size_t len, struct cof_batch *batch, struct cof_error *err)
{
  struct passivedns_log *p = arg;
  struct cof_passivedns_line said = {.struct_size = sizeof said};
  size_t before = cof_batch_count(batch);
  /* A name that lost its end would be another name; JSON shows by itself whether it is whole. */
  if (line->unfinished && !is_json(text, len))
    return cof_fail(err, COF_REJECT, "no line end: it may have been cut off");
  enum cof_result result = cof_passivedns_read(p->reader, text, len, batch, &said, err);
  if (result != COF_OK)
    return result;
  if (said.kind == COF_PASSIVEDNS_BLANK)
    cof_add(p->host, p->blank, 1);
  else if (said.kind == COF_PASSIVEDNS_NEGATIVE)
    cof_add(p->host, p->negative, 1);
  else if (said.kind == COF_PASSIVEDNS_CLASS)
    cof_add(p->host, p->other_class, 1);
  else if (said.has_ttl && !cof_batch_ttl(batch, said.ttl, 1)) {
    cof_batch_truncate(batch, before);
    return cof_fail(err, COF_FATAL, "out of memory");
  }
  return COF_OK;
}

/* --- life ------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
  struct passivedns_log *p = self;
  cof_follow_destroy(&p->follow);
  cof_passivedns_destroy(&p->reader);
  free(p);
}

static void make_metrics(struct passivedns_log *p)
{
  p->blank = cof_metric(p->host, COF_COUNTER, "blank", "lines", "Empty lines and comments.");
  p->negative = cof_metric(p->host, COF_COUNTER, "negative", "lines",
                           "Errors that the sensor logged, such as NXDOMAIN.");
  p->other_class = cof_metric(p->host, COF_COUNTER, "other_class", "lines",
                              "Lines of a class other than IN, which are not stored.");
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  const struct conf *c = conf;
  const struct cof_follow_ops ops = {.struct_size = sizeof ops,
                                     .conf_size = sizeof c->follow,
                                     .cut = COF_FOLLOW_LINES,
                                     .line = read_line};
  struct cof_error err = {.text = "out of memory"};
  struct passivedns_log *p = calloc(1, sizeof *p);
  if (p != NULL) {
    p->host = host;
    p->reader = make_reader(c, &err);
  }
  if (p == NULL || p->reader == NULL) {
    cof_log(host, COF_LOG_ERROR, "%s", err.text);
    free(p);
    return COF_FATAL;
  }
  make_metrics(p);
  p->follow = cof_follow_create(host, &c->follow, &ops, p);
  if (p->follow == NULL) {
    destroy(p);
    return COF_FATAL;
  }
  *self = p;
  return COF_OK;
}

COF_FOLLOW_CALLBACKS(struct passivedns_log);

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_INPUT,
    .caps = COF_CAP_LOAD,
    .name = "passivedns-log",
    .version = "0.1.0",
    .summary = "reads the log of the passivedns sensor from files, standard input and sockets",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = follow_start,
    .stop = follow_stop,
    .destroy = destroy,
    .ops = &follow_ops,
};
