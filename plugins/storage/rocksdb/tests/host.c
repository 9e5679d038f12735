/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "host_private.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct cof_metric {
  const char *name;
};

/* The one metric that tests look at is told apart by its address. */
static struct cof_metric dangling_metric = {"reverse_dangling"}, other_metric = {"other"};
static struct test_host *dangling_host;

static void host_log(struct cof_host *host, enum cof_log_level level, const char *fmt, va_list ap)
{
  struct test_host *h = (struct test_host *)host;
  if (level > COF_LOG_WARNING)
    return;
  h->errors++;
  vsnprintf(h->log, sizeof h->log, fmt, ap);
}

static struct cof_metric *host_metric(struct cof_host *host, enum cof_metric_kind kind,
                                      const char *name, const char *unit, const char *help)
{
  (void)kind;
  (void)unit;
  (void)help;
  if (strcmp(name, dangling_metric.name) != 0)
    return &other_metric;
  dangling_host = (struct test_host *)host;
  return &dangling_metric;
}

static void host_metric_add(struct cof_metric *metric, int64_t n)
{
  if (metric == &dangling_metric)
    atomic_fetch_add(&dangling_host->dangling, n);
}

static void host_metric_set(struct cof_metric *metric, int64_t value)
{
  (void)metric;
  (void)value;
}

static uint64_t host_clock(struct cof_host *host)
{
  struct test_host *h = (struct test_host *)host;
  if (h != NULL && h->fake_clock != 0)
    return h->fake_clock++;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void host_done(struct cof_host *host, struct cof_ticket *ticket, enum cof_result result)
{
  (void)host;
  ticket->done++;
  ticket->result = result;
}

static void host_reject(struct cof_host *host, struct cof_ticket *ticket, size_t index,
                        const char *reason)
{
  (void)host;
  ticket->rejected += reason != NULL;
  ticket->last = index;
}

static const struct cof_host_api api = {.struct_size = sizeof(struct cof_host_api),
                                        .log = host_log,
                                        .metric = host_metric,
                                        .metric_add = host_metric_add,
                                        .metric_set = host_metric_set,
                                        .clock_ns = host_clock,
                                        .ticket_done = host_done,
                                        .ticket_reject = host_reject};

void test_host_init(struct test_host *h, char *path)
{
  memset(h, 0, sizeof *h);
  h->host.api = &api;
  h->conf = (struct conf){.path = path,
                          .cache_size = 64 << 20,
                          .write_buffer = 32 << 20,
                          .bulk_records = 50000,
                          .sync = true};
}

enum cof_result test_host_start(struct test_host *h)
{
  enum cof_result result = cof_plugin.create(&h->host, &h->conf, &h->self);
  return result == COF_OK ? cof_plugin.start(h->self) : result;
}

enum cof_result test_host_stop(struct test_host *h)
{
  enum cof_result result = cof_plugin.stop(h->self, host_clock(NULL) + UINT64_C(60000000000));
  cof_plugin.destroy(h->self);
  h->self = NULL;
  return result;
}

const struct cof_storage_ops *test_ops(void)
{
  return cof_plugin.ops;
}

struct cof_ticket test_host_write(struct test_host *h, const struct cof_batch *batch)
{
  struct cof_ticket ticket = {0};
  test_ops()->write(h->self, batch, &ticket);
  return ticket;
}

char *test_directory(void)
{
  const char *parent = getenv("TMPDIR");
  size_t room = (parent != NULL ? strlen(parent) : 4) + 32;
  char *name = malloc(room);
  if (name == NULL)
    abort();
  snprintf(name, room, "%s/cofd-rocksdb-XXXXXX", parent != NULL ? parent : "/tmp");
  if (mkdtemp(name) == NULL) {
    perror(name);
    abort();
  }
  return name;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

void test_remove(char *directory)
{
  if (nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
    perror(directory);
  free(directory);
}
