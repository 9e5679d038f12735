/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnstap_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const struct cof_option options[] = {
    {.name = "socket",
     .help = "Unix socket to take connections on; one that nobody serves any more is replaced.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, socket)},
    {.name = "socket_mode",
     .help = "Permissions of the Unix socket, in octal; who may write may connect.",
     .dflt = "0660",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, socket_mode)},
    {.name = "socket_group",
     .help = "Group of the Unix socket, by name, so that a resolver of that group may connect.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, socket_group)},
    {.name = "listen",
     .help = "Address and port to take TCP connections on; whoever can connect can write.",
     .type = COF_OPT_ADDR,
     COF_FIELD(struct conf, listen)},
    {.name = "path",
     .help = "Frame Streams files: names, globs, directories (the files in them that are not "
             "hidden).",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI,
     COF_FIELD(struct conf, path)},
    {.name = "follow",
     .help = "Go on reading files as they grow or appear, instead of reading them once.",
     .dflt = "no",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, follow)},
    {.name = "poll_interval",
     .help = "How often followed files are looked at.",
     .dflt = "1s",
     .type = COF_OPT_DURATION,
     .min = 10,
     .max = 3600000,
     COF_FIELD(struct conf, poll_interval)},
    {.name = "messages",
     .help = "Responses to take: resolver, forwarder, auth, client, stub, tool. Those to clients "
             "tell what people ask.",
     .dflt = "resolver, forwarder",
     .type = COF_OPT_LIST,
     .min = 1,
     .max = TAP_KINDS,
     COF_FIELD(struct conf, messages)},
    {.name = "sections",
     .help = "Sections of them to take: answer, authority, additional.",
     .dflt = "answer, authority, additional",
     .type = COF_OPT_LIST,
     .min = 1,
     .max = TAP_SECTIONS,
     COF_FIELD(struct conf, sections)},
    {.name = "sensor_id",
     .help = "Sensor of payloads that have no identity; at most 255 octets.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, sensor_id)},
    {.name = "max_connections",
     .help = "Most connections at once; others wait. Bounds memory and descriptors.",
     .dflt = "64",
     .type = COF_OPT_INT,
     .min = 1,
     .max = CONNECTIONS_MAX,
     .unit = "connections",
     COF_FIELD(struct conf, max_connections)},
    {.name = "handshake_timeout",
     .help = "How long a connection may take until payloads begin.",
     .dflt = "10s",
     .type = COF_OPT_DURATION,
     .min = 100,
     .max = 600000,
     COF_FIELD(struct conf, handshake_timeout)},
    {.name = "max_frame",
     .help = "Longest payload; what says to be longer ends a connection, and is skipped in a file. "
             "Bounds the memory of each connection.",
     .dflt = "1M",
     .type = COF_OPT_BYTES,
     .min = 4096,
     .max = INT64_C(64) << 20,
     COF_FIELD(struct conf, max_frame)},
    {.name = "batch_records",
     .help = "Records after which a batch is handed on.",
     .dflt = "4096",
     .type = COF_OPT_INT,
     .min = 1,
     .max = 65536,
     .unit = "records",
     COF_FIELD(struct conf, batch_records)},
    {.name = "batch_bytes",
     .help = "Memory of a batch after which it is handed on.",
     .dflt = "4M",
     .type = COF_OPT_BYTES,
     .min = 65536,
     .max = INT64_C(256) << 20,
     COF_FIELD(struct conf, batch_bytes)},
    {.name = "batch_time",
     .help = "Time after which a batch is handed on though it is not full.",
     .dflt = "200ms",
     .type = COF_OPT_DURATION,
     .min = 1,
     .max = 3600000,
     COF_FIELD(struct conf, batch_time)},
    {.name = NULL}};

/* --- checking -----------------------------------------------------------------------------------
 */

bool conf_words(const struct cof_list *list, const char *const *words, uint32_t *bits,
                const char **wrong)
{
  *bits = 0;
  for (size_t i = 0; i < list->count; i++) {
    size_t w = 0;
    while (words[w] != NULL && strcmp(words[w], list->items[i]) != 0)
      w++;
    if (words[w] == NULL) {
      *wrong = list->items[i];
      return false;
    }
    *bits |= UINT32_C(1) << w;
  }
  return true;
}

bool conf_mode(const char *text, unsigned *mode)
{
  size_t len = strlen(text);
  if (len == 0 || len > 4 || strspn(text, "01234567") != len)
    return false;
  *mode = (unsigned)strtoul(text, NULL, 8);
  return *mode <= 0777;
}

static enum cof_result check_words(const struct cof_list *list, const char *const *words,
                                   const char *option, struct cof_diag *diag)
{
  uint32_t bits;
  const char *wrong;
  char known[128] = "";
  if (conf_words(list, words, &bits, &wrong))
    return COF_OK;
  for (size_t i = 0; words[i] != NULL; i++) {
    strncat(known, i != 0 ? ", " : "", sizeof known - strlen(known) - 1);
    strncat(known, words[i], sizeof known - strlen(known) - 1);
  }
  cof_diag_error(diag, option, "\"%s\" is none of %s", wrong, known);
  return COF_REJECT;
}

static enum cof_result wrong(struct cof_diag *diag, const char *option, const char *what)
{
  cof_diag_error(diag, option, "%s", what);
  return COF_REJECT;
}

static enum cof_result check_socket(const struct conf *c, struct cof_diag *diag)
{
  enum cof_result result = COF_OK;
  unsigned mode;
  const size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
  if (c->socket != NULL && c->socket[0] == '\0')
    result = wrong(diag, "socket", "is empty");
  if (c->socket != NULL && strlen(c->socket) > most) {
    cof_diag_error(diag, "socket", "is longer than the %zu octets that the system allows", most);
    result = COF_REJECT;
  }
  if (!conf_mode(c->socket_mode, &mode))
    result = wrong(diag, "socket_mode", "is no octal number from 0 to 0777");
  if (c->socket_group != NULL && c->socket == NULL)
    result = wrong(diag, "socket_group", "is of use with socket only");
  return result;
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  enum cof_result result = check_socket(c, diag);
  if (c->socket == NULL && c->listen.host == NULL && c->path.count == 0)
    result = wrong(diag, NULL, "give at least one of socket, listen and path");
  if (c->follow && c->path.count == 0)
    result = wrong(diag, "follow", "is of use with path only");
  if (check_words(&c->messages, tap_kind_words, "messages", diag) != COF_OK)
    result = COF_REJECT;
  if (check_words(&c->sections, tap_section_words, "sections", diag) != COF_OK)
    result = COF_REJECT;
  if (c->sensor_id != NULL && strlen(c->sensor_id) > COF_SENSOR_MAX) {
    cof_diag_error(diag, "sensor_id", "longer than %d octets", COF_SENSOR_MAX);
    result = COF_REJECT;
  }
  return result;
}

/* --- making -------------------------------------------------------------------------------------
 */

static enum cof_result fatal(struct cof_host *host, const char *what, int why)
{
  cof_log(host, COF_LOG_ERROR, "%s: %s", what, strerror(why));
  return COF_FATAL;
}

static void make_more_metrics(struct tap *t)
{
  struct cof_host *h = t->host;
  struct tap_metrics *m = &t->metrics;
  m->other_section = cof_metric(h, COF_COUNTER, "other_section", "records",
                                "Records left out: of a section that is not taken.");
  m->other_class = cof_metric(h, COF_COUNTER, "other_class", "records",
                              "Records left out: of another class than IN.");
  m->meta = cof_metric(h, COF_COUNTER, "meta", "records",
                       "Records left out: OPT, TSIG and the like, which are no data.");
  m->out_of_bailiwick = cof_metric(h, COF_COUNTER, "out_of_bailiwick", "records",
                                   "Records left out: not for their sender to say.");
  m->connections = cof_metric(h, COF_GAUGE, "connections", "connections", "Connections open.");
  m->accepted = cof_metric(h, COF_COUNTER, "accepted", "connections", "Connections accepted.");
  m->broken = cof_metric(h, COF_COUNTER, "broken", "connections",
                         "Connections closed because of what came, or did not come.");
  m->files = cof_metric(h, COF_COUNTER, "files", "files", "Files begun.");
  m->errors = cof_metric(h, COF_COUNTER, "errors", "files",
                         "Files that could not be read, or not to their end.");
}

static void make_metrics(struct tap *t)
{
  struct cof_host *h = t->host;
  struct tap_metrics *m = &t->metrics;
  m->records = cof_metric(h, COF_COUNTER, "records", "records", "Records handed on.");
  m->bytes = cof_metric(h, COF_COUNTER, "bytes", "bytes", "Octets read.");
  m->payloads = cof_metric(h, COF_COUNTER, "payloads", "payloads", "Payloads read.");
  m->unwanted = cof_metric(h, COF_COUNTER, "unwanted", "payloads",
                           "Payloads left out: queries, and responses that messages leaves out.");
  m->responses = cof_metric(h, COF_COUNTER, "responses", "messages", "DNS responses looked into.");
  m->dns_errors = cof_metric(h, COF_COUNTER, "dns_errors", "messages",
                             "DNS responses left out: neither NOERROR nor NXDOMAIN.");
  m->truncated = cof_metric(h, COF_COUNTER, "truncated", "messages",
                            "DNS responses that say to be cut off; what is whole is taken.");
  make_more_metrics(t);
}

static void destroy(void *self)
{
  struct tap *t = self;
  if (t->running)
    pthread_join(t->thread, NULL);
  /* The last acks came after stop(). */
  if (t->positions != NULL)
    positions_save(t->positions, true);
  files_destroy(&t->files);
  peers_close(&t->peers);
  positions_destroy(&t->positions);
  door_destroy(&t->door);
  if (t->wake >= 0)
    close(t->wake);
  free(t);
}

static struct door *make_door(const struct conf *c)
{
  struct door_options o = {.sensor_id = c->sensor_id};
  const char *word;
  if (!conf_words(&c->messages, tap_kind_words, &o.kinds, &word) ||
      !conf_words(&c->sections, tap_section_words, &o.sections, &word))
    return NULL;
  return door_create(&o);
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct tap *t = calloc(1, sizeof *t);
  if (t == NULL)
    return fatal(host, "create", ENOMEM);
  t->host = host;
  t->conf = conf;
  t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (t->wake < 0) {
    int why = errno;
    destroy(t);
    return fatal(host, "eventfd", why);
  }
  t->door = make_door(conf);
  if (t->door == NULL) {
    destroy(t);
    return fatal(host, "create", ENOMEM);
  }
  make_metrics(t);
  *self = t;
  return COF_OK;
}

/* --- the thread ---------------------------------------------------------------------------------
 */

static int sooner(int a, int b)
{
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Wait for something to do, and do it. */
static void turn(struct tap *t)
{
  struct pollfd fds[CONNECTIONS_MAX + LISTENERS_MAX + 1];
  size_t count = t->peers != NULL ? peers_poll(t->peers, fds) : 0;
  int files = t->files != NULL ? files_due(t->files) : -1, ms = sooner(tap_due(t), files);
  if (t->peers != NULL)
    ms = sooner(ms, peers_due(t->peers));
  tap_wait(t, fds, count, ms);
  if (tap_ending(t))
    return;
  if (t->peers != NULL)
    peers_serve(t->peers, fds, count);
  if (t->files != NULL && files_due(t->files) == 0) {
    files_turn(t->files);
    if (!tap_ending(t) && files_due(t->files) != 0 && positions_unsent(t->positions) != 0)
      (void)tap_flush(t); /* tap_ending() tells */
  }
  if (!tap_ending(t) && tap_flush_old(t))
    positions_save(t->positions, false);
}

/* Once all is emitted: stay until it is durable and remembered. */
static void finish(struct tap *t)
{
  if (!tap_flush(t))
    return;
  cof_finished(t->host);
  while (!tap_ending(t) && positions_pending(t->positions)) {
    struct pollfd none[1];
    tap_wait(t, none, 0, 1000);
    positions_save(t->positions, false);
  }
}

static void *run(void *arg)
{
  struct tap *t = arg;
  bool ready = tap_new_batch(t);
  while (ready && !tap_ending(t) && (t->peers != NULL || files_due(t->files) >= 0))
    turn(t);
  if (ready && !tap_ending(t))
    finish(t);
  cof_batch_put(t->host, &t->batch);
  return NULL;
}

/* --- life ---------------------------------------------------------------------------------------
 */

/* `<state_dir>/<instance>.positions`; owned by the caller. */
static char *positions_file(struct cof_host *host, const char *directory)
{
  char *file = NULL;
  if (asprintf(&file, "%s/%s.positions", directory, cof_instance_name(host)) < 0)
    return NULL;
  for (char *p = file + strlen(directory) + 1; *p != '\0'; p++)
    if (*p == '/')
      *p = '_';
  return file;
}

static enum cof_result begin(struct tap *t, const char *file, bool has_files)
{
  t->positions = positions_create(t->host, file);
  if (t->positions == NULL)
    return fatal(t->host, "start", ENOMEM);
  if (!positions_load(t->positions))
    return COF_FATAL;
  if (has_files) {
    t->files = files_create(t);
    if (t->files == NULL)
      return fatal(t->host, "start", ENOMEM);
  }
  int why = pthread_create(&t->thread, NULL, run, t);
  if (why != 0)
    return fatal(t->host, "thread", why);
  t->running = true;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct tap *t = self;
  const struct conf *c = t->conf;
  const char *directory = cof_state_dir(t->host);
  char *file = NULL;
  if ((c->socket != NULL || c->listen.host != NULL) && peers_open(t, &t->peers) != COF_OK)
    return COF_FATAL;
  if (c->path.count != 0 && directory == NULL)
    cof_log(t->host, COF_LOG_INFO,
            "no state_dir is configured, so after a restart files are read from their beginning");
  if (c->path.count != 0 && directory != NULL) {
    file = positions_file(t->host, directory);
    if (file == NULL)
      return fatal(t->host, "start", ENOMEM);
  }
  enum cof_result result = begin(t, file, c->path.count != 0);
  free(file);
  return result;
}

static enum cof_result load(void *self, const char *const *paths, size_t count)
{
  struct tap *t = self;
  t->loading = true;
  t->load_paths = paths;
  t->load_count = count;
  return begin(t, NULL, true);
}

static void progress(void *self, uint64_t *done, uint64_t *total)
{
  struct tap *t = self;
  *done = atomic_load(&t->done);
  *total = atomic_load(&t->total);
}

/* Join until a deadline of the host's clock. pthread wants one of the wall clock. */
static bool join_until(struct tap *t, uint64_t deadline_ns)
{
  uint64_t now = cof_clock_ns(t->host), left = deadline_ns > now ? deadline_ns - now : 0;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  left += (uint64_t)until.tv_nsec;
  until.tv_sec += (time_t)(left / 1000000000);
  until.tv_nsec = (long)(left % 1000000000);
  return pthread_timedjoin_np(t->thread, NULL, &until) == 0;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  struct tap *t = self;
  uint64_t one = 1;
  atomic_store(&t->stopping, true);
  if (!t->running) {
    peers_close(&t->peers);
    return COF_OK;
  }
  if (write(t->wake, &one, sizeof one) != (ssize_t)sizeof one)
    cof_log(t->host, COF_LOG_WARNING, "cannot wake the reader: %s", strerror(errno));
  if (!join_until(t, deadline_ns)) {
    cof_log(t->host, COF_LOG_WARNING, "a read does not end in time");
    return COF_TIMEOUT;
  }
  t->running = false;
  peers_close(&t->peers);
  positions_save(t->positions, true);
  return COF_OK;
}

static void ack(void *self, uint64_t token, enum cof_result result)
{
  struct tap *t = self;
  positions_ack(t->positions, token, result == COF_OK);
}

static const struct cof_input_ops ops = {
    .struct_size = sizeof ops, .ack = ack, .load = load, .progress = progress};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_INPUT,
    .caps = COF_CAP_LOAD,
    .name = "dnstap",
    .version = "0.1.0",
    .summary = "takes the responses that resolvers tell by dnstap, from sockets and files",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops,
};
