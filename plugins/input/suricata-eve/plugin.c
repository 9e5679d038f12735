/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include <cofd/follow.h>
#include <cofd/plugin.h>

#include "eve_private.h"

struct conf {
  struct cof_follow_conf follow;
  char *sensor_id;
};

struct eve {
  struct cof_host *host;
  const char *sensor_id;
  struct cof_follow *follow;
  struct cof_metric *kinds[EVE_KINDS];
  struct cof_metric *no_rdata, *no_owner;
};

static const struct cof_option options[] = {
    COF_FOLLOW_PATH_OPTIONS(struct conf, follow, "yes"),
    COF_FOLLOW_SOCKET_OPTIONS(struct conf, follow),
    COF_FOLLOW_PEER_OPTIONS(struct conf, follow),
    {.name = "sensor_id",
     .help = "Sensor of all records, at most 255 octets; without it, the events' host, where they "
             "name one.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, sensor_id)},
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

/* --- lines ------------------------------------------------------------------------------------ */

static void count(struct eve *e, struct cof_metric *metric, size_t n)
{
  if (n != 0)
    cof_add(e->host, metric, (int64_t)n);
}

static enum cof_result read_line(void *arg, struct cof_follow_line *line, const char *text,
                                 size_t len, struct cof_batch *batch, struct cof_error *err)
{
  struct eve *e = arg;
  struct eve_line said;
  enum cof_result result = eve_read(e->sensor_id, text, len, batch, &said, err);
  if (result == COF_FATAL)
    return result;
  line->refused = said.refused > 0 ? said.refused : 1;
  if (result == COF_OK || said.refused > 0)
    count(e, e->kinds[said.kind], 1);
  count(e, e->no_rdata, said.no_rdata);
  count(e, e->no_owner, said.no_owner);
  return result;
}

/* --- life ------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
  struct eve *e = self;
  cof_follow_destroy(&e->follow);
  free(e);
}

static void make_metrics(struct eve *e)
{
  static const struct {
    const char *name, *help;
  } kinds[EVE_KINDS] = {
      [EVE_BLANK] = {"blank", "Lines without content."},
      [EVE_OTHER] = {"other_events", "Lines of events other than DNS."},
      [EVE_QUERY] = {"queries", "Lines of questions, which are not stored."},
      [EVE_FAILED] = {"failed", "Lines of answers with an error and no data."},
      [EVE_EMPTY] = {"empty", "Lines of answers without data."},
      [EVE_ANSWERS] = {"answers", "Lines of answers with data."},
  };
  for (size_t i = 0; i < EVE_KINDS; i++)
    e->kinds[i] = cof_metric(e->host, COF_COUNTER, kinds[i].name, "lines", kinds[i].help);
  e->no_rdata = cof_metric(e->host, COF_COUNTER, "no_rdata", "records",
                           "Answers of which Suricata logs no data.");
  e->no_owner = cof_metric(e->host, COF_COUNTER, "no_owner", "records",
                           "Grouped answers without the name that was asked for.");
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  const struct conf *c = conf;
  const struct cof_follow_ops ops = {.struct_size = sizeof ops,
                                     .conf_size = sizeof c->follow,
                                     .cut = COF_FOLLOW_LINES,
                                     .line = read_line};
  struct eve *e = calloc(1, sizeof *e);
  if (e == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  e->host = host;
  e->sensor_id = c->sensor_id;
  make_metrics(e);
  e->follow = cof_follow_create(host, &c->follow, &ops, e);
  if (e->follow == NULL) {
    destroy(e);
    return COF_FATAL;
  }
  *self = e;
  return COF_OK;
}

COF_FOLLOW_CALLBACKS(struct eve);

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_INPUT,
    .caps = COF_CAP_LOAD,
    .name = "suricata-eve",
    .version = "0.1.0",
    .summary = "reads DNS events of Suricata's EVE log from files, standard input and a socket",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = follow_start,
    .stop = follow_stop,
    .destroy = destroy,
    .ops = &follow_ops,
};
