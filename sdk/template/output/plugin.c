/* SPDX-License-Identifier: MIT */
/*
 * @name@: an output for cofd. It writes the number of records of one name to a file, again and
 * again. Put your own way to ask and to answer in place of count_records() and write_count().
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cofd/plugin.h>

#define PAGE 100 /* records asked for at once */

/* What the option table fills. It is cofd's, and constant while the instance lives. */
struct conf {
  char *path, *name;
  int64_t interval; /* ms */
};

static const struct cof_option options[] = {
    {.name = "path",
     .help = "File that is written.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_REQUIRED,
     COF_FIELD(struct conf, path)},
    {.name = "name",
     .help = "Name whose records, and those of all below it, are counted.",
     .type = COF_OPT_STR,
     .dflt = ".",
     COF_FIELD(struct conf, name)},
    {.name = "interval",
     .help = "Time between two answers.",
     .type = COF_OPT_DURATION,
     .dflt = "10s",
     .min = 10,
     .max = 86400000,
     COF_FIELD(struct conf, interval)},
    {.name = NULL}};

/* One instance. There may be several, so nothing here is global. */
struct output {
  struct cof_host *host;
  const struct conf *conf;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t ends;
  bool started, stop; /* `stop` under the lock */
};

/* @return false with the reason in `err` */
static bool count_records(struct output *o, uint64_t *count, struct cof_error *err)
{
  char name[COF_NAME_MAX];
  size_t len;
  struct cof_query query = COF_QUERY_INIT;
  struct cof_cursor *cursor = NULL;
  if (cof_name_canon(o->conf->name, strlen(o->conf->name), name, &len, err) != COF_OK)
    return false;
  query.kind = COF_QUERY_SUBDOMAINS;
  query.name = name;
  if (cof_query_open(o->host, &query, &cursor, err) != COF_OK)
    return false;
  struct cof_batch *page = cof_batch_create();
  enum cof_result result = page != NULL ? COF_OK : cof_fail(err, COF_RETRY, "out of memory");
  size_t got = 1;
  for (*count = 0; result == COF_OK && got != 0; *count += got) {
    cof_batch_clear(page);
    result = cof_query_next(o->host, cursor, PAGE, page, err);
    got = cof_batch_count(page);
  }
  cof_batch_destroy(&page);
  cof_query_close(o->host, &cursor);
  return result == COF_OK;
}

static void write_count(struct output *o)
{
  uint64_t count;
  struct cof_error err = {.text = ""};
  if (!count_records(o, &count, &err)) {
    cof_log(o->host, COF_LOG_WARNING, "cannot count: %s", err.text);
    return;
  }
  FILE *file = fopen(o->conf->path, "we");
  bool written = file != NULL && fprintf(file, "%llu\n", (unsigned long long)count) > 0;
  if (file == NULL || fclose(file) != 0 || !written)
    cof_log(o->host, COF_LOG_WARNING, "%s: %s", o->conf->path, strerror(errno));
}

static void *write_main(void *arg)
{
  struct output *o = arg;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  pthread_mutex_lock(&o->lock);
  while (!o->stop) {
    pthread_mutex_unlock(&o->lock);
    write_count(o);
    pthread_mutex_lock(&o->lock);
    until.tv_nsec += (long)(o->conf->interval % 1000) * 1000000;
    until.tv_sec += (time_t)(o->conf->interval / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!o->stop && pthread_cond_timedwait(&o->ends, &o->lock, &until) != ETIMEDOUT)
      ;
  }
  pthread_mutex_unlock(&o->lock);
  return NULL;
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  pthread_condattr_t attr;
  struct output *o = calloc(1, sizeof *o);
  if (o == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  o->host = host;
  o->conf = conf;
  pthread_mutex_init(&o->lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&o->ends, &attr);
  pthread_condattr_destroy(&attr);
  *self = o;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct output *o = self;
  int e = pthread_create(&o->thread, NULL, write_main, o);
  if (e != 0) {
    cof_log(o->host, COF_LOG_ERROR, "no thread: %s", strerror(e));
    return COF_FATAL;
  }
  o->started = true;
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  struct output *o = self;
  (void)deadline_ns;
  pthread_mutex_lock(&o->lock);
  o->stop = true;
  pthread_cond_signal(&o->ends);
  pthread_mutex_unlock(&o->lock);
  if (o->started)
    pthread_join(o->thread, NULL);
  o->started = false;
  return COF_OK;
}

static void destroy(void *self)
{
  struct output *o = self;
  pthread_cond_destroy(&o->ends);
  pthread_mutex_destroy(&o->lock);
  free(o);
}

static const struct cof_output_ops ops = {.struct_size = sizeof ops};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {COF_PLUGIN_HEADER,
                                                        .kind = COF_KIND_OUTPUT,
                                                        .name = "@name@",
                                                        .version = "0.1.0",
                                                        .summary = "writes a count to a file",
                                                        .options = options,
                                                        .conf_size = sizeof(struct conf),
                                                        .create = create,
                                                        .start = start,
                                                        .stop = stop,
                                                        .destroy = destroy,
                                                        .ops = &ops};
