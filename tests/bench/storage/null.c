/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A storage that keeps nothing, to measure what comes before it. It logs when it has been given so
   many observations as were announced, by the monotonic clock. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <cofd/plugin.h>

struct conf {
  int64_t announced;
};

struct null {
  struct cof_host *host;
  const struct conf *conf;
  uint64_t observations;
};

static const struct cof_option options[] = {{.name = "announced",
                                             .help = "Observations after which to write a line.",
                                             .type = COF_OPT_INT,
                                             .dflt = "0",
                                             .min = 0,
                                             .max = INT64_MAX,
                                             COF_FIELD(struct conf, announced)},
                                            {.name = NULL}};

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct null *n = calloc(1, sizeof *n);
  if (n == NULL)
    return COF_FATAL;
  n->host = host;
  n->conf = conf;
  *self = n;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  (void)self;
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  (void)self;
  (void)deadline_ns;
  return COF_OK;
}

static void write_batch(void *self, const struct cof_batch *batch, struct cof_ticket *ticket)
{
  struct null *n = self;
  struct timespec now;
  uint64_t before = n->observations, announced = (uint64_t)n->conf->announced;
  n->observations += cof_batch_observations(batch);
  if (before < announced && n->observations >= announced) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    cof_log(n->host, COF_LOG_INFO, "%" PRIu64 " observations at %lld.%09ld", n->observations,
            (long long)now.tv_sec, now.tv_nsec);
  }
  cof_ticket_done(n->host, ticket, COF_OK);
}

static enum cof_result open_query(void *self, const struct cof_query *query, void **cursor,
                                  struct cof_error *err)
{
  (void)self;
  (void)query;
  (void)cursor;
  return cof_fail(err, COF_UNSUPPORTED, "this storage keeps nothing");
}

static enum cof_result next(void *self, void *cursor, size_t max, struct cof_batch *into,
                            struct cof_error *err)
{
  (void)self;
  (void)cursor;
  (void)max;
  (void)into;
  (void)err;
  return COF_OK;
}

static void close_query(void *self, void *cursor)
{
  (void)self;
  (void)cursor;
}

static enum cof_result stats(void *self, struct cof_storage_stats *s, cof_sensor_fn fn, void *arg,
                             struct cof_error *err)
{
  struct null *n = self;
  (void)fn;
  (void)arg;
  (void)err;
  s->observations = n->observations;
  s->records = 0;
  s->records_exact = true;
  return COF_OK;
}

static const struct cof_storage_ops ops = {.struct_size = sizeof ops,
                                           .write = write_batch,
                                           .open = open_query,
                                           .next = next,
                                           .close = close_query,
                                           .stats = stats};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_STORAGE,
    .name = "null",
    .version = "0.1.0",
    .summary = "keeps nothing, for measuring",
    .options = options,
    .conf_size = sizeof(struct conf),
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = free,
    .ops = &ops,
};
