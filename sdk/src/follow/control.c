/* SPDX-License-Identifier: MIT */
#include "reader_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "listen_private.h"

struct cof_follow {
  struct reader reader;
  struct cof_follow_conf conf; /* texts in it are the host's */
};

const char *const cof_follow_socket_types[] = {"stream", "dgram", NULL};

/* --- checking ---------------------------------------------------------------------------------
 */

/* What a caller gives, as far as it knows it; the rest is zero. */
static void copy_known(void *to, size_t to_size, const void *from, size_t from_size)
{
  memset(to, 0, to_size);
  memcpy(to, from, from_size < to_size ? from_size : to_size);
}

enum cof_result cof_follow_check(const struct cof_follow_conf *conf, size_t size,
                                 struct cof_diag *diag)
{
  struct cof_follow_conf known;
  const struct cof_follow_conf *c = &known;
  copy_known(&known, sizeof known, conf, size);
  const size_t socket_max = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
  enum cof_result result = COF_OK;
  unsigned mode;
  if (c->path.count == 0 && c->socket == NULL && c->listen.host == NULL) {
    cof_diag_error(diag, "path",
                   "none is given%s; name files, globs, directories, or - for standard input",
                   c->socket_mode != NULL ? ", and no socket" : "");
    result = COF_REJECT;
  }
  if (!c->follow && c->path.count != 0 && (c->socket != NULL || c->listen.host != NULL)) {
    cof_diag_error(diag, "follow",
                   "has to be yes where there is a socket too; what is to be read "
                   "once needs an input of its own");
    result = COF_REJECT;
  }
  if (c->socket != NULL && (c->socket[0] == '\0' || strlen(c->socket) > socket_max)) {
    cof_diag_error(diag, "socket", "has %zu octets instead of 1 to %zu", strlen(c->socket),
                   socket_max);
    result = COF_REJECT;
  }
  if (c->socket_mode != NULL && !listen_mode(c->socket_mode, &mode)) {
    cof_diag_error(diag, "socket_mode", "\"%s\" is not three or four octal digits up to 0777",
                   c->socket_mode);
    result = COF_REJECT;
  }
  return result;
}

/* --- making -----------------------------------------------------------------------------------
 */

static enum cof_result fatal(struct cof_host *host, const char *what, int why)
{
  cof_log(host, COF_LOG_ERROR, "%s: %s", what, strerror(why));
  return COF_FATAL;
}

static void make_metrics(struct reader *r)
{
  struct cof_host *h = r->host;
  r->records = cof_metric(h, COF_COUNTER, "records", "records", "Records handed on.");
  r->bytes = cof_metric(h, COF_COUNTER, "bytes", "bytes", "Octets read, as they lie on disk.");
  r->files = cof_metric(h, COF_COUNTER, "files", "files", "Files begun.");
  r->lines = cof_metric(h, COF_COUNTER, "lines", "lines", "Lines read.");
  r->errors = cof_metric(h, COF_COUNTER, "errors", "files",
                         "Files that could not be read, or not to their end.");
  if (r->conf->socket == NULL && r->conf->listen.host == NULL)
    return;
  r->peers = cof_metric(h, COF_GAUGE, "peers", "connections", "Connections that are open.");
  r->connections = cof_metric(h, COF_COUNTER, "connections", "connections", "Connections taken.");
  r->peers_refused = cof_metric(h, COF_COUNTER, "peers_refused", "connections",
                                "Connections closed because max_peers were open.");
}

struct cof_follow *cof_follow_create(struct cof_host *host, const struct cof_follow_conf *conf,
                                     const struct cof_follow_ops *ops, void *arg)
{
  struct cof_follow *f = calloc(1, sizeof *f);
  if (f == NULL) {
    fatal(host, "create", ENOMEM);
    return NULL;
  }
  struct reader *r = &f->reader;
  r->host = host;
  copy_known(&r->ops, sizeof r->ops, ops, ops->struct_size);
  copy_known(&f->conf, sizeof f->conf, conf, ops->conf_size);
  r->conf = &f->conf;
  r->arg = arg;
  r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (r->wake < 0) {
    fatal(host, "eventfd", errno);
    cof_follow_destroy(&f);
    return NULL;
  }
  make_metrics(r);
  return f;
}

void cof_follow_destroy(struct cof_follow **follow)
{
  if (*follow == NULL)
    return;
  struct reader *r = &(*follow)->reader;
  if (r->running)
    pthread_join(r->thread, NULL);
  /* The last acks came after stop(). */
  if (r->positions != NULL)
    positions_save(r->positions, true);
  positions_destroy(&r->positions);
  listen_close(&r->listeners);
  free(r->shared.bytes);
  if (r->wake >= 0)
    close(r->wake);
  free(*follow);
  *follow = NULL;
}

/* --- running ----------------------------------------------------------------------------------
 */

static void *run(void *arg)
{
  struct reader *r = arg;
  if ((r->conf->follow || r->listeners != NULL) && !r->loading)
    reader_follow(r);
  else
    reader_once(r);
  return NULL;
}

static enum cof_result begin(struct reader *r, const char *positions_file)
{
  r->positions = positions_create(r->host, positions_file);
  if (r->positions == NULL)
    return fatal(r->host, "start", ENOMEM);
  if (!r->loading && !listen_open(r->host, r->conf, &r->listeners))
    return COF_FATAL;
  if (!positions_load(r->positions))
    return COF_FATAL;
  int why = pthread_create(&r->thread, NULL, run, r);
  if (why != 0)
    return fatal(r->host, "thread", why);
  r->running = true;
  return COF_OK;
}

/* `<state_dir>/<instance>.positions`; owned by the caller. */
static char *positions_file(struct cof_host *host, const char *directory)
{
  char *name = strdup(cof_instance_name(host)), *file = NULL;
  if (name == NULL)
    return NULL;
  for (char *p = name; *p != '\0'; p++)
    if (*p == '/')
      *p = '_';
  if (asprintf(&file, "%s/%s.positions", directory, name) < 0)
    file = NULL;
  free(name);
  return file;
}

enum cof_result cof_follow_start(struct cof_follow *follow)
{
  struct reader *r = &follow->reader;
  const char *directory = cof_state_dir(r->host);
  if (directory == NULL) {
    if (r->conf->path.count != 0)
      cof_log(r->host, COF_LOG_INFO,
              "no state_dir is configured, so after a restart files are read from their beginning");
    return begin(r, NULL);
  }
  char *file = positions_file(r->host, directory);
  if (file == NULL)
    return fatal(r->host, "start", ENOMEM);
  enum cof_result result = begin(r, file);
  free(file);
  return result;
}

enum cof_result cof_follow_load(struct cof_follow *follow, const char *const *paths, size_t count)
{
  struct reader *r = &follow->reader;
  r->loading = true;
  r->load_paths = paths;
  r->load_count = count;
  return begin(r, NULL);
}

void cof_follow_progress(struct cof_follow *follow, uint64_t *done, uint64_t *total)
{
  *done = atomic_load(&follow->reader.done);
  *total = atomic_load(&follow->reader.total);
}

void cof_follow_ack(struct cof_follow *follow, uint64_t token, enum cof_result result)
{
  positions_ack(follow->reader.positions, token, result);
}

/* Join until a deadline of the host's clock. pthread wants one of the wall clock. */
static bool join_until(struct reader *r, uint64_t deadline_ns)
{
  uint64_t now = cof_clock_ns(r->host);
  uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  left += (uint64_t)until.tv_nsec;
  until.tv_sec += (time_t)(left / 1000000000);
  until.tv_nsec = (long)(left % 1000000000);
  return pthread_timedjoin_np(r->thread, NULL, &until) == 0;
}

enum cof_result cof_follow_stop(struct cof_follow *follow, uint64_t deadline_ns)
{
  struct reader *r = &follow->reader;
  uint64_t one = 1;
  if (!r->running)
    return COF_OK;
  atomic_store(&r->stopping, true);
  if (write(r->wake, &one, sizeof one) != (ssize_t)sizeof one)
    cof_log(r->host, COF_LOG_WARNING, "cannot wake the reader: %s", strerror(errno));
  if (!join_until(r, deadline_ns)) {
    cof_log(r->host, COF_LOG_WARNING, "a read does not end in time");
    return COF_TIMEOUT;
  }
  r->running = false;
  listen_close(&r->listeners);
  positions_save(r->positions, true);
  return COF_OK;
}
