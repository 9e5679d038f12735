/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "archive_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX_MAX 63

static const char *const packings[] = {"none", "gzip", "zstd", NULL};
static const char *const syncings[] = {"never", "rotate", "interval", "each", NULL};
static const char *const overflows[] = {"wait", "drop", NULL};

static const struct cof_option options[] = {
    {.name = "path",
     .help = "One file that lines are appended to, and that is opened anew on SIGHUP; it is not "
             "rotated. Either this or directory.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, path)},
    {.name = "directory",
     .help = "Directory of files that are rotated: written under a hidden name, and named "
             "PREFIX-TIME-NUMBER.ndjson, .gz or .zst when complete. Made where it is not there.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, directory)},
    {.name = "prefix",
     .help = "Beginning of the names of files in the directory, at most 63 letters, digits, "
             "hyphens and underscores; without it, the name of the instance.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, prefix)},
    {.name = "compression",
     .help = "How files are packed; what was written is whole after a crash in any of them.",
     .dflt = "none",
     .type = COF_OPT_ENUM,
     .choices = packings,
     COF_FIELD(struct conf, compression)},
    {.name = "rotate_size",
     .help = "Octets on disk from which on a file in the directory is complete; 0: no bound.",
     .dflt = "256M",
     .type = COF_OPT_BYTES,
     .min = 0,
     .max = INT64_C(1) << 40,
     COF_FIELD(struct conf, rotate_size)},
    {.name = "rotate_time",
     .help = "Time after its first line when a file in the directory is complete; 0: no bound.",
     .dflt = "1h",
     .type = COF_OPT_DURATION,
     .min = 0,
     .max = INT64_C(31) * 86400000,
     COF_FIELD(struct conf, rotate_time)},
    {.name = "fsync",
     .help = "When lines are forced to the disk: never; when a file is complete; every "
             "fsync_interval; or each write of the chain, before its inputs hear that it is done.",
     .dflt = "interval",
     .type = COF_OPT_ENUM,
     .choices = syncings,
     COF_FIELD(struct conf, sync)},
    {.name = "fsync_interval",
     .help = "Time between two syncs with fsync = interval.",
     .dflt = "1s",
     .type = COF_OPT_DURATION,
     .min = 10,
     .max = 3600000,
     COF_FIELD(struct conf, sync_interval)},
    {.name = "queue_bytes",
     .help = "Octets of lines that may wait to be written; bounds memory, to about twice this.",
     .dflt = "64M",
     .type = COF_OPT_BYTES,
     .min = INT64_C(1) << 20,
     .max = INT64_C(4) << 30,
     COF_FIELD(struct conf, queue_bytes)},
    {.name = "overflow",
     .help =
         "When the queue is full: wait, so that the chain stores nothing either; or drop lines, "
         "and count them.",
     .dflt = "wait",
     .type = COF_OPT_ENUM,
     .choices = overflows,
     COF_FIELD(struct conf, overflow)},
    {.name = "origin",
     .help = "Value of the field origin in every line; UTF-8, at most 1024 octets. Without it the "
             "field is left out.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, origin)},
    {.name = "stamp",
     .help = "Whether this node's name is added to the path of each record, for files that other "
             "cofd read; files to be read here again must not have it.",
     .dflt = "no",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, stamp)},
    {.name = NULL}};

static bool good_prefix(const char *prefix)
{
  size_t len = strlen(prefix);
  return len > 0 && len <= PREFIX_MAX &&
         strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  enum cof_result r = COF_OK;
  if ((c->path == NULL) == (c->directory == NULL)) {
    cof_diag_error(diag, c->path != NULL ? "path" : NULL,
                   "path and directory are %s; expected one of them",
                   c->path != NULL ? "both there" : "both missing");
    r = COF_REJECT;
  }
  if (c->prefix != NULL && !good_prefix(c->prefix)) {
    cof_diag_error(diag, "prefix",
                   "'%.64s'; expected 1 to %d letters, digits, hyphens and underscores", c->prefix,
                   PREFIX_MAX);
    r = COF_REJECT;
  }
  if (c->prefix != NULL && c->path != NULL) {
    cof_diag_error(diag, "prefix", "is for files in a directory; expected no prefix with path");
    r = COF_REJECT;
  }
  if (c->origin != NULL && strlen(c->origin) > FEED_ORIGIN_MAX) {
    cof_diag_error(diag, "origin", "%zu octets; expected at most %d", strlen(c->origin),
                   FEED_ORIGIN_MAX);
    r = COF_REJECT;
  }
  return r;
}

static void make_metrics(struct archive *a)
{
  struct cof_host *h = a->host;
  a->m_lines = cof_metric(h, COF_COUNTER, "lines", "lines", "Lines written.");
  a->m_bytes = cof_metric(h, COF_COUNTER, "bytes", "bytes", "Octets written, as packed.");
  a->m_dropped =
      cof_metric(h, COF_COUNTER, "dropped", "lines",
                 "Lines that were not written: the queue was full, or a stop too short.");
  a->m_retries = cof_metric(h, COF_COUNTER, "retries", "writes", "Attempts to write that failed.");
  a->m_files = cof_metric(h, COF_COUNTER, "files", "files", "Files completed.");
  a->m_queue = cof_metric(h, COF_GAUGE, "queue", "bytes", "Octets of lines waiting.");
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  const struct conf *c = conf;
  pthread_condattr_t attr;
  struct archive *a = calloc(1, sizeof *a);
  if (a != NULL)
    a->packer = packer_create((enum packing)c->compression);
  if (a == NULL || a->packer == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    free(a);
    return COF_FATAL;
  }
  a->host = host;
  a->conf = *c;
  a->part.fd = -1;
  a->prefix = c->prefix != NULL ? c->prefix : cof_instance_name(host);
  a->feed = (struct feed){.host = host,
                          .origin = c->origin,
                          .origin_len = c->origin != NULL ? strlen(c->origin) : 0,
                          .node = c->stamp ? cof_node(host) : NULL};
  pthread_mutex_init(&a->lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&a->work, &attr);
  pthread_cond_init(&a->room, &attr);
  pthread_condattr_destroy(&attr);
  make_metrics(a);
  *self = a;
  return COF_OK;
}

static bool make_directory(struct archive *a)
{
  const char *name = a->conf.directory;
  if (name == NULL)
    return true;
  if ((mkdir(name, 0750) == 0 || errno == EEXIST) && access(name, R_OK | W_OK | X_OK) == 0)
    return true;
  cof_log(a->host, COF_LOG_ERROR, "directory %s cannot be made or used: %s", name, strerror(errno));
  return false;
}

static enum cof_result start(void *self)
{
  struct archive *a = self;
  if (a->conf.stamp && a->feed.node == NULL)
    cof_log(a->host, COF_LOG_WARNING, "stamp = yes, but [cofd] has no node to name");
  if (!make_directory(a) || !archive_start(a))
    return COF_FATAL;
  cof_want(a->host, COF_WANT_STORED);
  return COF_OK;
}

/* A sign to begin a new file, for who moves files away; no option changes. */
static enum cof_result reload(void *self, const void *conf)
{
  struct archive *a = self;
  (void)conf;
  pthread_mutex_lock(&a->lock);
  a->rotate = true;
  pthread_cond_broadcast(&a->work);
  pthread_mutex_unlock(&a->lock);
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  return archive_stop(self, deadline_ns) ? COF_OK : COF_TIMEOUT;
}

static void destroy(void *self)
{
  struct archive *a = self;
  if (a == NULL)
    return;
  part_close(a);
  packer_destroy(&a->packer);
  free(a->own.bytes);
  free(a->queue.bytes);
  free(a->writing.bytes);
  pthread_cond_destroy(&a->work);
  pthread_cond_destroy(&a->room);
  pthread_mutex_destroy(&a->lock);
  free(a);
}

static const struct cof_output_ops ops = {.struct_size = sizeof(struct cof_output_ops),
                                          .stored = archive_stored};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_OUTPUT,
    .name = "cof-file",
    .version = PACKAGE_VERSION,
    .summary = "Archives what is stored in files of COF records, which cof-file reads again",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops};
