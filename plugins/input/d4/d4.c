/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct d4 {
  struct shared shared;
  struct worker *workers[D4_WORKERS_MAX];
  unsigned count;
};

static const char *const formats[] = {"auto", "passivedns", "cof", NULL};
static const char *const counts[] = {"sensor", "line", NULL};

static const struct cof_option options[] = {
    {.name = "server",
     .help = "Redis of the D4 server that holds the analyzer queues; 127.0.0.1:6380 where neither "
             "this nor a socket is given.",
     .type = COF_OPT_ADDR,
     COF_FIELD(struct d4_conf, server)},
    {.name = "socket",
     .help = "Unix socket of that Redis, in place of server.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct d4_conf, socket)},
    {.name = "db",
     .help = "Database that holds the queue.",
     .dflt = "2",
     .type = COF_OPT_INT,
     .min = 0,
     .max = 65535,
     COF_FIELD(struct d4_conf, db)},
    {.name = "user",
     .help = "ACL user to log in as; needs password.",
     .type = COF_OPT_STR,
     COF_FIELD(struct d4_conf, user)},
    {.name = "password",
     .help = "Password to log in with.",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct d4_conf, password)},
    {.name = "tls",
     .help = "Speak TLS; the server's certificate has to be for the host named in server.",
     .dflt = "no",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct d4_conf, tls)},
    {.name = "ca_file",
     .help = "PEM file of the authorities to trust; those of the system where absent.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct d4_conf, ca_file)},
    {.name = "uuid",
     .help = "UUID of the analyzer queue, with dashes (my-uuid of analyzer-d4-passivedns); the key "
             "is analyzer:8:UUID.",
     .type = COF_OPT_STR,
     COF_FIELD(struct d4_conf, uuid)},
    {.name = "queue",
     .help = "Key of the queue, in place of uuid.",
     .type = COF_OPT_STR,
     COF_FIELD(struct d4_conf, queue)},
    {.name = "format",
     .help = "What entries are; auto takes those that begin with a brace as COF.",
     .dflt = "auto",
     .type = COF_OPT_ENUM,
     .choices = formats,
     COF_FIELD(struct d4_conf, format)},
    {.name = "fields",
     .help = "Columns of a passivedns line, as the sensor's -f takes them.",
     .dflt = COF_PASSIVEDNS_FIELDS,
     .type = COF_OPT_STR,
     COF_FIELD(struct d4_conf, fields)},
    {.name = "delimiter",
     .help = "Text between the columns of a passivedns line, 1 to 16 octets; \\t is a tab.",
     .dflt = COF_PASSIVEDNS_DELIMITER,
     .type = COF_OPT_STR,
     COF_FIELD(struct d4_conf, delimiter)},
    {.name = "count",
     .help = "What a passivedns line adds to a record's count: the sensor's own number, or 1 as "
             "analyzer-d4-passivedns does.",
     .dflt = "sensor",
     .type = COF_OPT_ENUM,
     .choices = counts,
     COF_FIELD(struct d4_conf, count)},
    {.name = "sensor_id",
     .help = "Sensor of records that name none.",
     .type = COF_OPT_STR,
     COF_FIELD(struct d4_conf, sensor_id)},
    {.name = "batch_entries",
     .help = "Most entries taken in one go.",
     .dflt = "1000",
     .type = COF_OPT_INT,
     .min = 1,
     .max = D4_BATCH_MAX,
     .unit = "entries",
     COF_FIELD(struct d4_conf, batch_entries)},
    {.name = "max_in_flight",
     .help = "Most entries of each worker that are taken and not durable; bounds memory and what "
             "is counted twice after a crash.",
     .dflt = "500000",
     .type = COF_OPT_INT,
     .min = 1,
     .max = 10000000,
     .unit = "entries",
     COF_FIELD(struct d4_conf, max_in_flight)},
    {.name = "workers",
     .help = "Connections that take entries side by side, each with a thread.",
     .dflt = "1",
     .type = COF_OPT_INT,
     .min = 1,
     .max = D4_WORKERS_MAX,
     .unit = "workers",
     COF_FIELD(struct d4_conf, workers)},
    {.name = "dead_letter",
     .help = "Key of a list in the same database that receives entries which cannot be read.",
     .type = COF_OPT_STR,
     COF_FIELD(struct d4_conf, dead_letter)},
    {.name = "dead_letter_max",
     .help = "Most entries kept there; the oldest are dropped, so that it cannot fill the server.",
     .dflt = "10000",
     .type = COF_OPT_INT,
     .min = 1,
     .max = 10000000,
     .unit = "entries",
     COF_FIELD(struct d4_conf, dead_letter_max)},
    {.name = "connect_timeout",
     .help = "How long connecting and logging in may take.",
     .dflt = "5s",
     .type = COF_OPT_DURATION,
     .min = 100,
     .max = 60000,
     COF_FIELD(struct d4_conf, connect_timeout)},
    {.name = "command_timeout",
     .help = "How long the server may be silent while it owes answers.",
     .dflt = "20s",
     .type = COF_OPT_DURATION,
     .min = 100,
     .max = 600000,
     COF_FIELD(struct d4_conf, command_timeout)},
    {.name = NULL}};

/* --- checking --------------------------------------------------------------------------------- */

static bool is_uuid(const char *text)
{
  static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (strlen(text) != sizeof form - 1)
    return false;
  for (size_t i = 0; form[i] != '\0'; i++)
    if (form[i] == '-' ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL)
      return false;
  return true;
}

static const char *wrong_queue(const struct d4_conf *c, const char **option)
{
  *option = c->uuid == NULL && c->queue == NULL ? NULL : c->queue != NULL ? "queue" : "uuid";
  if ((c->uuid == NULL) == (c->queue == NULL))
    return "give either uuid or queue";
  if (c->uuid != NULL && !is_uuid(c->uuid))
    return "is no UUID in lower case with dashes, such as "
           "6072e072-bfaa-4395-9bb1-cdb3b470d715";
  if (c->queue != NULL && c->queue[0] == '\0')
    return "is empty";
  return NULL;
}

/* A rule across options, and what to say when it is broken. */
struct rule {
  bool broken;
  const char *option, *text;
};

static bool check_rules(const struct d4_conf *c, struct cof_diag *diag)
{
  bool good = true;
  const struct rule rules[] = {
      {c->socket != NULL && c->server.host != NULL, "socket",
       "goes in place of server; remove one of the two"},
      {c->user != NULL && c->password == NULL, "user", "needs a password"},
      {c->tls && !resp_has_tls(), "tls",
       "this build has no TLS; build with libssl-dev installed, or say tls = no"},
      {c->tls && c->socket != NULL, "tls", "is not for a Unix socket"},
      {c->ca_file != NULL && !c->tls, "ca_file", "is of use with tls = yes only"},
      {c->dead_letter != NULL && c->queue != NULL && strcmp(c->dead_letter, c->queue) == 0,
       "dead_letter", "is the queue itself"},
      {c->delimiter[0] == '\0' || strlen(c->delimiter) > COF_PASSIVEDNS_DELIMITER_MAX, "delimiter",
       "has to be 1 to 16 octets"},
  };
  _Static_assert(COF_PASSIVEDNS_DELIMITER_MAX == 16, "as said above");
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].broken) {
      cof_diag_error(diag, rules[i].option, "%s", rules[i].text);
      good = false;
    }
  if (c->sensor_id != NULL && strlen(c->sensor_id) > COF_SENSOR_MAX) {
    cof_diag_error(diag, "sensor_id", "longer than %d octets", COF_SENSOR_MAX);
    good = false;
  }
  return good;
}

/* By making a reader of them, with a delimiter that is right. */
static bool check_fields(const struct d4_conf *c, struct cof_diag *diag)
{
  static char delimiter[] = COF_PASSIVEDNS_DELIMITER;
  struct d4_conf sound = *c;
  struct cof_error err;
  sound.delimiter = delimiter;
  struct entry_reader *reader = entry_reader_create(&sound, &err);
  bool good = reader != NULL;
  const char *colon = good ? NULL : strstr(err.text, ": ");
  if (!good)
    cof_diag_error(diag, "fields", "%s", colon != NULL ? colon + 2 : err.text);
  entry_reader_destroy(&reader);
  return good;
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct d4_conf *c = conf;
  const char *option, *wrong = wrong_queue(c, &option);
  if (wrong != NULL)
    cof_diag_error(diag, option, "%s", wrong);
  bool rules = check_rules(c, diag), fields = check_fields(c, diag);
  return wrong == NULL && rules && fields ? COF_OK : COF_REJECT;
}

/* --- life ------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
  struct d4 *d = self;
  for (unsigned i = 0; i < d->count; i++)
    worker_destroy(&d->workers[i]);
  free(d->shared.queue);
  free(d);
}

static void make_metrics(struct cof_host *host, struct shared *s)
{
  entry_metrics_make(host, &s->metrics);
  s->connected = cof_metric(host, COF_GAUGE, "connected", "workers", "Workers with a connection.");
  s->queue_length =
      cof_metric(host, COF_GAUGE, "queue_length", "entries", "Entries that wait in the queue.");
  s->in_flight = cof_metric(host, COF_GAUGE, "in_flight", "entries",
                            "Entries taken off the queue and not durable yet.");
  s->recovered = cof_metric(host, COF_COUNTER, "recovered", "entries",
                            "Entries found in an in-flight list and taken up again.");
  s->dead = cof_metric(host, COF_COUNTER, "dead_letters", "entries",
                       "Entries put into the dead-letter list.");
  s->reconnects = cof_metric(host, COF_COUNTER, "connections", "connections", "Connections made.");
}

static enum cof_result build(struct d4 *d, struct cof_error *err)
{
  const struct d4_conf *c = d->shared.conf;
  int n = c->queue != NULL ? asprintf(&d->shared.queue, "%s", c->queue)
                           : asprintf(&d->shared.queue, "analyzer:8:%s", c->uuid);
  if (n < 0) {
    d->shared.queue = NULL;
    return cof_fail(err, COF_FATAL, "out of memory");
  }
  for (unsigned i = 0; i < (unsigned)c->workers; i++) {
    d->workers[i] = worker_create(&d->shared, i, err);
    if (d->workers[i] == NULL)
      return COF_FATAL;
    d->count++;
  }
  return COF_OK;
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct cof_error err;
  struct d4 *d = calloc(1, sizeof *d);
  if (d == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  d->shared.host = host;
  d->shared.conf = conf;
  make_metrics(host, &d->shared);
  if (build(d, &err) != COF_OK) {
    cof_log(host, COF_LOG_ERROR, "%s", err.text);
    destroy(d);
    return COF_FATAL;
  }
  *self = d;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct d4 *d = self;
  for (unsigned i = 0; i < d->count; i++)
    if (worker_start(d->workers[i]) != COF_OK)
      return COF_FATAL;
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  struct d4 *d = self;
  (void)deadline_ns; /* workers are interrupted, so that this ends at once */
  for (unsigned i = 0; i < d->count; i++)
    worker_stop(d->workers[i]);
  return COF_OK;
}

static void ack(void *self, uint64_t token, enum cof_result result)
{
  struct d4 *d = self;
  worker_ack(d->workers[worker_of_token(token)], token, result);
}

static const struct cof_input_ops ops = {.struct_size = sizeof ops, .ack = ack};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_INPUT,
    .name = "d4",
    .version = "0.1.0",
    .summary = "takes passivedns lines from the analyzer queue of a D4 server",
    .options = options,
    .conf_size = sizeof(struct d4_conf),
    .check = check,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops,
};
