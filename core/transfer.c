/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "transfer_private.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine_private.h"
#include "host_private.h"
#include "log_private.h"
#include "progress_private.h"
#include "setup_private.h"
#include "suggest_private.h"

#define SAVE_INTERVAL_NS UINT64_C(1000000000)
#define RETRY_MIN_MS     100
#define RETRY_MAX_MS     30000

/* --- for the work -------------------------------------------------------------------------- */

void transfer_phase(struct transfer *t, const char *what, uint64_t done, uint64_t total)
{
  atomic_store(&t->what, what);
  atomic_store(&t->records, done);
  atomic_store(&t->total, total);
}

void transfer_scan(struct transfer *t, struct scan *scan, struct instance *storage,
                   const struct cof_query *query)
{
  scan_begin(scan, storage, t->writer, &t->stopped, query);
}

bool transfer_save(struct transfer *t, bool now)
{
  struct cof_error err;
  if (!now && clock_ns() - t->resume->saved_ns < SAVE_INTERVAL_NS)
    return true;
  if (resume_save(t->resume, &err) == COF_OK)
    return true;
  log_write("cofd", COF_LOG_ERROR, "%s", err.text);
  return false;
}

uint64_t transfer_estimate(struct instance *storage)
{
  struct cof_storage_stats stats = {.records = 0};
  struct cof_error err;
  enum cof_result r = cof_storage_stats(&storage->host, &stats, NULL, NULL, &err);
  return r == COF_OK ? stats.records : 0;
}

struct counters {
  char text[512];
  size_t len;
};

static void add_counter(void *arg, const struct cof_metric_view *view)
{
  struct counters *c = arg;
  if (view->type != COF_COUNTER || view->value == 0)
    return;
  size_t room = sizeof c->text - c->len;
  int len = snprintf(c->text + c->len, room, "%s%s %" PRId64, c->len > 0 ? ", " : "", view->name,
                     view->value);
  if (len > 0 && (size_t)len < room)
    c->len += (size_t)len;
  c->text[c->len] = '\0';
}

/* What a storage cannot give as a record is in none of the figures of the command. */
void transfer_tell_counters(const struct transfer *t)
{
  struct counters counters = {.len = 0};
  metrics_each(t->from->metrics, add_counter, &counters);
  if (counters.len > 0)
    log_write(
        "cofd", COF_LOG_WARNING,
        "%s has more than was read of it: %s; the manual of its plugin '%s' says what these are",
        t->from->source, counters.text, t->from->plugin->name);
}

double transfer_seconds(const struct transfer *t)
{
  return (double)(clock_ns() - t->begin_ns) / 1e9;
}

/* --- while it works ------------------------------------------------------------------------ */

struct working {
  struct transfer *transfer;
  int done_fd;
  bool result;
};

static void *work_main(void *arg)
{
  struct working *w = arg;
  uint64_t one = 1;
  w->result = w->transfer->work(w->transfer);
  ssize_t n = write(w->done_fd, &one, sizeof one);
  (void)n; /* only a counter at its maximum refuses */
  return NULL;
}

static void show(struct transfer *t)
{
  const char *what = atomic_load(&t->what);
  struct progress p = {.what = what,
                       .records = atomic_load(&t->records),
                       .records_total = atomic_load(&t->total),
                       .rejected = atomic_load(&t->refused),
                       .elapsed_ns = clock_ns() - t->begin_ns};
  p.records_before = p.records < t->before ? 0 : t->before;
  if (what != NULL)
    progress_show(&p);
}

/* Until the work is done: show how far it is, and stop it at a signal. A second signal ends the
   process. */
static void watch(struct transfer *t, int done_fd, int *signals)
{
  struct pollfd fds[] = {{.fd = done_fd, .events = POLLIN}, {.fd = *signals, .events = POLLIN}};
  int interval = (int)progress_interval_ms();
  for (;;) {
    int ready = poll(fds, *signals >= 0 ? 2 : 1, interval);
    if (ready < 0 && errno != EINTR)
      return; /* the thread is joined all the same */
    if (ready > 0 && fds[0].revents != 0)
      break;
    if (ready == 0)
      show(t);
    if (*signals >= 0 && setup_next_signal(*signals) != 0) {
      atomic_store(&t->stopped, true);
      writer_stop(t->writer);
      setup_signals_default(signals);
    }
  }
  if (progress_columns() > 0) {
    show(t);
    fprintf(stderr, "\n");
  }
}

static bool run_work(struct transfer *t, int *signals)
{
  pthread_t thread;
  struct working w = {.transfer = t, .done_fd = eventfd(0, EFD_CLOEXEC)};
  t->begin_ns = clock_ns();
  int e = w.done_fd < 0 ? errno : pthread_create(&thread, NULL, work_main, &w);
  if (e == 0) {
    watch(t, w.done_fd, signals);
    pthread_join(thread, NULL);
  } else {
    log_write("cofd", COF_LOG_ERROR, "cannot start a thread: %s", strerror(e));
  }
  if (w.done_fd >= 0)
    close(w.done_fd);
  return w.result;
}

/* --- before and after ---------------------------------------------------------------------- */

static bool offers(const struct transfer *t, struct instance *storage, uint64_t caps)
{
  const char *missing = host_storage_lacks(storage, caps);
  if (missing != NULL)
    fprintf(stderr, "%s: %s (plugin %s) does not offer %s, which this needs\n", t->command,
            storage->source, storage->plugin->name, missing);
  return missing == NULL;
}

static bool with_storages(struct transfer *t, int *signals)
{
  struct instance *targets[] = {t->to};
  struct writer_conf conf = {.source = "cofd",
                             .storages = targets,
                             .storages_count = t->to != NULL ? 1 : 0,
                             .retry_min_ms = RETRY_MIN_MS,
                             .retry_max_ms = RETRY_MAX_MS};
  if (!offers(t, t->from, t->from_caps) || (t->to != NULL && !offers(t, t->to, t->to_caps)))
    return false;
  t->writer = writer_create(&conf);
  bool ok = t->writer != NULL && run_work(t, signals);
  writer_destroy(&t->writer);
  return ok;
}

static void list_storages(const struct conf *conf)
{
  fprintf(stderr, "; storages in %s:", conf->file);
  for (size_t i = 0; i < conf->instances_count; i++)
    if (conf->instances[i].kind == COF_KIND_STORAGE)
      fprintf(stderr, " %s", conf->instances[i].name);
  fprintf(stderr, "\n");
}

/* @param name  NULL: the only one */
static bool find_storage(const struct transfer *t, const struct conf *conf, const char *name,
                         size_t *index)
{
  struct suggest search;
  size_t count = 0;
  suggest_begin(&search, name != NULL ? name : "");
  for (size_t i = 0; i < conf->instances_count; i++) {
    if (conf->instances[i].kind != COF_KIND_STORAGE)
      continue;
    if (name == NULL || strcmp(conf->instances[i].name, name) == 0) {
      *index = i;
      count++;
    }
    suggest_offer(&search, conf->instances[i].name);
  }
  if (count == 1)
    return true;
  if (name == NULL)
    fprintf(stderr, "%s: choose a storage by --from", t->command);
  else
    fprintf(stderr, "%s: no storage '%s'", t->command, name);
  if (name != NULL && search.best != NULL)
    fprintf(stderr, "; did you mean '%s'?\n", search.best);
  else
    list_storages(conf);
  return false;
}

static int with_conf(struct transfer *t, struct conf *conf, struct loader *loader)
{
  size_t indices[2] = {0, 0}, count = t->to_name != NULL ? 2 : 1;
  if (!find_storage(t, conf, t->from_name, &indices[0]) ||
      (t->to_name != NULL && !find_storage(t, conf, t->to_name, &indices[1]))) {
    conf_destroy(&conf);
    return 1;
  }
  int signals = setup_signals();
  struct engine *engine = engine_create_storages(conf, loader, indices, count);
  if (engine == NULL)
    return 1;
  t->from = engine_instance(engine, indices[0]);
  t->to = t->to_name != NULL ? engine_instance(engine, indices[1]) : NULL;
  bool ok = signals >= 0 && engine_start(engine) && with_storages(t, &signals);
  setup_signals_default(&signals);
  return engine_stop(&engine) && ok ? 0 : 1;
}

/* The configuration as it is, without the warnings that `cofd check` is for: a storage that no
   route names is as good as any here. */
static struct conf *read_conf(const struct cli *cli, struct loader *loader)
{
  struct problems *problems = problems_create();
  if (problems == NULL)
    return NULL;
  struct conf *conf = conf_read(cli->conf_file, loader, NULL, 0, problems);
  if (conf == NULL)
    cli_print_problems(problems);
  problems_destroy(&problems);
  return conf;
}

int transfer_run(struct transfer *t, const struct cli *cli)
{
  struct loader *loader = setup_loader(cli, false);
  if (loader == NULL)
    return 1;
  struct conf *conf = read_conf(cli, loader);
  int status = conf != NULL ? with_conf(t, conf, loader) : 1;
  loader_destroy(&loader);
  return status;
}
