/* SPDX-License-Identifier: MIT */
/*
 * @name@: an input for cofd. It reads a file of lines "SECONDS RRNAME RRTYPE RDATA" once, from
 * beginning to end. Put your own source in place of read_line() and take_line().
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/plugin.h>

#define LINE_MAX_OCTETS 4096 /* of a line; longer ones are refused */
#define WAIT_MS         1000 /* in one call of emit; stop() ends it at once */

/* What the option table fills. It is cofd's, and constant while the instance lives. */
struct conf {
  char *path;
  char *sensor_id;
  int64_t batch_records;
};

static const struct cof_option options[] = {
    {.name = "path",
     .help = "File to read: lines of SECONDS RRNAME RRTYPE RDATA.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_REQUIRED,
     COF_FIELD(struct conf, path)},
    {.name = "sensor_id",
     .help = "Sensor that the records are counted for, at most 255 octets.",
     .type = COF_OPT_STR,
     .dflt = "@name@",
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, sensor_id)},
    {.name = "batch_records",
     .help = "Most records handed on at once; bounds memory.",
     .type = COF_OPT_INT,
     .dflt = "1000",
     .min = 1,
     .max = 100000,
     .unit = "records",
     COF_FIELD(struct conf, batch_records)},
    {.name = NULL}};

/* One instance. There may be several, so nothing here is global. */
struct input {
  struct cof_host *host;
  struct cof_metric *lines, *durable;
  FILE *file;
  size_t batch_records;
  uint64_t line; /* number of the one that was read last */
  pthread_t thread;
  bool started;
  atomic_bool stop;
  pthread_mutex_t lock; /* guards `conf`, which reload() replaces */
  const struct conf *conf;
};

/* --- from a line to a record ------------------------------------------------------------------ */

/* What is in a line, as canonical as everything else in cofd. */
struct parts {
  int64_t seconds;
  uint16_t rrtype;
  char rrname[COF_NAME_MAX], rdata[COF_RDATA_MAX + 1];
  size_t rrname_len, rdata_len;
};

/* @return false with the reason in `err` */
static bool take_line(const char *line, struct parts *p, struct cof_error *err)
{
  int name = 0, name_end = 0, type = 0, type_end = 0, rdata = 0; /* 0: the line ends before it */
  int found = sscanf(line, "%" SCNd64 " %n%*s%n %n%*s%n %n", &p->seconds, &name, &name_end, &type,
                     &type_end, &rdata);
  if (found < 1 || rdata == 0 || line[rdata] == '\0')
    return cof_fail(err, COF_REJECT, "expected SECONDS RRNAME RRTYPE RDATA") == COF_OK;
  if (p->seconds < 0 || p->seconds > COF_TIME_MAX)
    return cof_fail(err, COF_REJECT, "expected seconds since 1970 first") == COF_OK;
  if (!cof_rrtype_parse(line + type, (size_t)(type_end - type), &p->rrtype))
    return cof_fail(err, COF_REJECT, "unknown type '%.*s'", type_end - type, line + type) == COF_OK;
  return cof_name_canon(line + name, (size_t)(name_end - name), p->rrname, &p->rrname_len, err) ==
             COF_OK &&
         cof_rdata_canon(p->rrtype, line + rdata, strlen(line + rdata), p->rdata, sizeof p->rdata,
                         &p->rdata_len, err) == COF_OK;
}

/* @return false: out of memory */
static bool add_record(struct input *in, struct cof_batch *batch, const struct parts *p)
{
  pthread_mutex_lock(&in->lock);
  const char *sensor = in->conf->sensor_id;
  struct cof_record r = {.rrname = p->rrname,
                         .rrname_len = (uint16_t)p->rrname_len,
                         .rdata = p->rdata,
                         .rdata_len = (uint32_t)p->rdata_len,
                         .rrtype = p->rrtype,
                         .time_first = p->seconds,
                         .time_last = p->seconds,
                         .count = 1,
                         .sensor_id = sensor[0] != '\0' ? sensor : NULL,
                         .sensor_len = (uint16_t)strlen(sensor)};
  bool added = cof_batch_add(batch, &r) != NULL;
  pthread_mutex_unlock(&in->lock);
  return added;
}

/* --- reading ---------------------------------------------------------------------------------- */

enum line_end { LINE_GOOD, LINE_LONG, LINE_NONE };

static enum line_end read_line(struct input *in, char line[LINE_MAX_OCTETS])
{
  if (fgets(line, LINE_MAX_OCTETS, in->file) == NULL)
    return LINE_NONE;
  in->line++;
  size_t len = strcspn(line, "\n");
  if (line[len] == '\n' || feof(in->file)) {
    line[len] = '\0';
    return LINE_GOOD;
  }
  for (int c = 0; c != '\n' && c != EOF;)
    c = fgetc(in->file);
  return LINE_LONG;
}

/* Fill a batch. @return whether the file may have more */
static bool fill(struct input *in, struct cof_batch *batch, struct parts *p)
{
  char line[LINE_MAX_OCTETS];
  while (cof_batch_count(batch) < in->batch_records && !atomic_load(&in->stop)) {
    struct cof_error err = {.text = "out of memory"};
    enum line_end end = read_line(in, line);
    if (end == LINE_NONE)
      return false;
    cof_add(in->host, in->lines, 1);
    if (end == LINE_LONG)
      cof_reject(in->host, 1, "line %" PRIu64 ": over %d octets", in->line, LINE_MAX_OCTETS);
    else if (!take_line(line, p, &err) || !add_record(in, batch, p))
      cof_reject(in->host, 1, "line %" PRIu64 ": %s", in->line, err.text);
  }
  return true;
}

/* Hand a batch on, and wait as long as the chain is full. @return false: stop */
static bool emit(struct input *in, struct cof_batch **batch, uint64_t token)
{
  enum cof_result result = COF_AGAIN;
  while (result == COF_AGAIN)
    result = cof_emit_wait(in->host, batch, token, WAIT_MS);
  return result == COF_OK;
}

static void *read_main(void *arg)
{
  struct input *in = arg;
  struct parts *parts = malloc(sizeof *parts);
  bool more = parts != NULL;
  while (more) {
    struct cof_batch *batch = cof_batch_get(in->host);
    more = batch != NULL && fill(in, batch, parts);
    /* The token comes back in ack(): here the last line that the batch answers for. */
    if (batch == NULL || (cof_batch_count(batch) != 0 && !emit(in, &batch, in->line)))
      atomic_store(&in->stop, true);
    cof_batch_put(in->host, &batch);
    more = more && !atomic_load(&in->stop);
  }
  if (!atomic_load(&in->stop))
    cof_finished(in->host);
  free(parts);
  return NULL;
}

/* --- callbacks -------------------------------------------------------------------------------- */

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  if (c->sensor_id != NULL && strlen(c->sensor_id) > COF_SENSOR_MAX) {
    cof_diag_error(diag, "sensor_id", "is over %d octets", COF_SENSOR_MAX);
    return COF_REJECT;
  }
  return COF_OK;
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct input *in = calloc(1, sizeof *in);
  if (in == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  in->host = host;
  in->conf = conf;
  in->batch_records = (size_t)in->conf->batch_records;
  pthread_mutex_init(&in->lock, NULL);
  in->lines = cof_metric(host, COF_COUNTER, "lines", "lines", "Lines read.");
  in->durable = cof_metric(host, COF_GAUGE, "durable_line", "lines", "Last line that is durable.");
  *self = in;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct input *in = self;
  in->file = fopen(in->conf->path, "re");
  if (in->file == NULL) {
    cof_log(in->host, COF_LOG_ERROR, "%s: %s", in->conf->path, strerror(errno));
    return COF_FATAL;
  }
  int e = pthread_create(&in->thread, NULL, read_main, in);
  if (e != 0) {
    cof_log(in->host, COF_LOG_ERROR, "no thread: %s", strerror(e));
    return COF_FATAL;
  }
  in->started = true;
  return COF_OK;
}

static enum cof_result reload(void *self, const void *conf)
{
  struct input *in = self;
  pthread_mutex_lock(&in->lock);
  in->conf = conf;
  pthread_mutex_unlock(&in->lock);
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  struct input *in = self;
  (void)deadline_ns; /* emit returns COF_STOPPED by now, and nothing else here takes long */
  atomic_store(&in->stop, true);
  if (in->started)
    pthread_join(in->thread, NULL);
  in->started = false;
  return COF_OK;
}

static void destroy(void *self)
{
  struct input *in = self;
  if (in->file != NULL)
    fclose(in->file);
  pthread_mutex_destroy(&in->lock);
  free(in);
}

/* From a thread of cofd. A source that can be read again is told here how far it is done. */
static void ack(void *self, uint64_t token, enum cof_result result)
{
  struct input *in = self;
  if (result == COF_OK)
    cof_set(in->host, in->durable, (int64_t)token);
}

static const struct cof_input_ops ops = {.struct_size = sizeof ops, .ack = ack};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {COF_PLUGIN_HEADER,
                                                        .kind = COF_KIND_INPUT,
                                                        .name = "@name@",
                                                        .version = "0.1.0",
                                                        .summary = "reads lines of a file",
                                                        .options = options,
                                                        .conf_size = sizeof(struct conf),
                                                        .check = check,
                                                        .create = create,
                                                        .start = start,
                                                        .reload = reload,
                                                        .stop = stop,
                                                        .destroy = destroy,
                                                        .ops = &ops};
