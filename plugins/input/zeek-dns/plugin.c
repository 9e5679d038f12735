/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include <cofd/follow.h>
#include <cofd/plugin.h>

#include "zeek_private.h"

struct conf {
  struct cof_follow_conf follow;
  char *sensor_id;
};

struct zeek {
  struct cof_host *host;
  const char *sensor_id;
  struct cof_follow *follow;
  struct cof_metric *kinds[ZEEK_LINES];
  struct cof_metric *summaries, *undecided;
};

static const struct cof_option options[] = {COF_FOLLOW_PATH_OPTIONS(struct conf, follow, "yes"),
                                            {.name = "sensor_id",
                                             .help = "Sensor of all records; at most 255 octets.",
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

static void count(struct zeek *z, struct cof_metric *metric, size_t n)
{
  if (n != 0)
    cof_add(z->host, metric, (int64_t)n);
}

static enum cof_result read_line(void *arg, struct cof_follow_line *line, const char *text,
                                 size_t len, struct cof_batch *batch, struct cof_error *err)
{
  struct zeek *z = arg;
  struct zeek_line said;
  if (line->replayed && (len == 0 || text[0] != '#'))
    return COF_OK;
  enum cof_result result =
      zeek_read(z->sensor_id, line->state, text, len, !line->unfinished, batch, &said, err);
  if (result == COF_FATAL)
    return result;
  line->context = said.context;
  line->refused = said.refused > 0 ? said.refused : 1;
  if (line->replayed)
    return result;
  if (result == COF_OK || said.refused > 0)
    count(z, z->kinds[said.kind], 1);
  count(z, z->summaries, said.summaries);
  count(z, z->undecided, said.undecided);
  return result;
}

static void *begin(void *arg, const char *source)
{
  struct zeek_header *header = malloc(sizeof *header);
  (void)arg;
  (void)source;
  if (header != NULL)
    zeek_header_begin(header);
  return header;
}

static void end(void *arg, void *state)
{
  (void)arg;
  free(state);
}

/* --- life ------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
  struct zeek *z = self;
  cof_follow_destroy(&z->follow);
  free(z);
}

static void make_metrics(struct zeek *z)
{
  static const struct {
    const char *name, *help;
  } kinds[ZEEK_LINES] = {
      [ZEEK_LINE_BLANK] = {"blank", "Lines without content."},
      [ZEEK_LINE_HEADER] = {"headers", "Header lines."},
      [ZEEK_LINE_EMPTY] = {"empty", "Lines of questions without answers, or without a name."},
      [ZEEK_LINE_OTHER] = {"other_questions",
                           "Lines of NetBIOS, multicast DNS, unknown types, and classes other than "
                           "IN."},
      [ZEEK_LINE_ANSWERS] = {"answers", "Lines of answers."},
  };
  for (size_t i = 0; i < ZEEK_LINES; i++)
    z->kinds[i] = cof_metric(z->host, COF_COUNTER, kinds[i].name, "lines", kinds[i].help);
  z->summaries = cof_metric(z->host, COF_COUNTER, "summaries", "records",
                            "Answers of which Zeek logs a summary, or nothing.");
  z->undecided = cof_metric(z->host, COF_COUNTER, "undecided", "records",
                            "Answers whose owner or type cannot be told from the log.");
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  const struct conf *c = conf;
  const struct cof_follow_ops ops = {.struct_size = sizeof ops,
                                     .conf_size = sizeof c->follow,
                                     .cut = COF_FOLLOW_LINES,
                                     .line = read_line,
                                     .begin = begin,
                                     .end = end};
  struct zeek *z = calloc(1, sizeof *z);
  if (z == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  z->host = host;
  z->sensor_id = c->sensor_id;
  make_metrics(z);
  z->follow = cof_follow_create(host, &c->follow, &ops, z);
  if (z->follow == NULL) {
    destroy(z);
    return COF_FATAL;
  }
  *self = z;
  return COF_OK;
}

COF_FOLLOW_CALLBACKS(struct zeek);

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_INPUT,
    .caps = COF_CAP_LOAD,
    .name = "zeek-dns",
    .version = "0.1.0",
    .summary = "reads Zeek's dns.log, TSV or JSON, from files and standard input",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = follow_start,
    .stop = follow_stop,
    .destroy = destroy,
    .ops = &follow_ops,
};
