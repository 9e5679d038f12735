/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "engine_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain_private.h"
#include "option_private.h"
#include "privileges_private.h"
#include "via_private.h"
#include "watchdog_private.h"

#define MS UINT64_C(1000000)

struct engine {
  struct loader *loader;
  struct conf *conf;      /* as started with; names and what is not reloadable stay in it */
  struct conf **reloaded; /* later ones that some instance still uses */
  size_t reloaded_count;
  struct instance **instances; /* as in conf->instances, NULL where not used; an import's last */
  size_t instances_count;
  struct instance *loading; /* the input of an import */
  const struct engine_import *import;
  const size_t *only; /* indices of storages to make without chains; NULL: not so */
  size_t only_count;
  struct chain **chains; /* as in conf->chains, NULL where not used */
  const char *state_dir; /* NULL: none that can be used */
  struct via_table *vias;
  int event_fd;
  atomic_bool failed;
  bool drained, ended; /* engine_drain() was there, and all threads came back */
  uint64_t stop_ns;    /* deadline of the stop */
  struct watchdog *dog;
};

void engine_notify(struct engine *e, bool failed)
{
  uint64_t one = 1;
  if (failed)
    atomic_store(&e->failed, true);
  /* Only a counter at its maximum fails, and then the main thread is awake already. */
  ssize_t n = write(e->event_fd, &one, sizeof one);
  (void)n;
}

static void on_chain_event(void *arg, bool failed)
{
  engine_notify(arg, failed);
}

int engine_event_fd(const struct engine *e)
{
  return e->event_fd;
}

bool engine_failed(const struct engine *e)
{
  return atomic_load(&e->failed);
}

struct instance *engine_import_input(struct engine *e)
{
  return e->loading;
}

const char *engine_state_dir(const struct engine *e)
{
  return e->state_dir;
}

const char *engine_node(const struct engine *e)
{
  return e->conf->host.node;
}

struct via_table *engine_vias(const struct engine *e)
{
  return e->vias;
}

void engine_metrics_each(struct engine *e, cof_metric_fn fn, void *arg)
{
  for (size_t i = 0; i < e->conf->chains_count; i++)
    if (e->chains[i] != NULL)
      metrics_each(chain_metrics(e->chains[i]), fn, arg);
  for (size_t i = 0; i < e->instances_count; i++)
    if (e->instances[i] != NULL)
      metrics_each(e->instances[i]->metrics, fn, arg);
}

int64_t engine_chain_metric(struct engine *e, const char *name)
{
  int64_t sum = 0;
  for (size_t i = 0; i < e->conf->chains_count; i++)
    if (e->chains[i] != NULL)
      sum += metrics_value(chain_metrics(e->chains[i]), name);
  return sum;
}

/* --- making -------------------------------------------------------------------------------- */

static struct instance *get_instance(struct engine *e, size_t index)
{
  const struct conf_instance *ci = &e->conf->instances[index];
  if (e->instances[index] == NULL)
    e->instances[index] = instance_create(e, ci->name, ci->plugin, ci->values);
  return e->instances[index];
}

static bool get_instances(struct engine *e, const size_t *indices, size_t count,
                          struct instance **out)
{
  for (size_t i = 0; i < count; i++)
    if ((out[i] = get_instance(e, indices[i])) == NULL)
      return false;
  return true;
}

/* Tie the inputs and outputs of a route to its chain. */
static bool attach(struct engine *e, const size_t *indices, size_t count, struct chain *chain,
                   struct instance *storage)
{
  for (size_t i = 0; i < count; i++) {
    struct instance *instance = get_instance(e, indices[i]);
    if (instance == NULL)
      return false;
    instance->chain = chain;
    instance->storage = storage;
  }
  return true;
}

/* An output that wants to be told what is stored. */
static bool tap(const struct engine *e, const struct conf_chain *cc, struct chain *chain)
{
  for (size_t i = 0; i < cc->outputs_count; i++) {
    struct instance *instance = e->instances[cc->outputs[i]];
    const struct cof_output_ops *ops = instance->plugin->ops;
    if (ops->struct_size >= offsetof(struct cof_output_ops, stored) + sizeof ops->stored &&
        ops->stored != NULL && !chain_tap(chain, instance))
      return false;
  }
  return true;
}

static bool attach_import(struct engine *e, struct chain *chain)
{
  const struct engine_import *im = e->import;
  struct instance *i = instance_create(e, im->name, im->plugin, im->values);
  e->instances[e->instances_count - 1] = i;
  e->loading = i;
  if (i != NULL)
    i->chain = chain;
  return i != NULL;
}

static bool build_chain(struct engine *e, size_t index)
{
  const struct conf_chain *cc = &e->conf->chains[index];
  struct instance **parts =
      calloc(cc->filters_count + cc->storages_count + 1, sizeof(struct instance *));
  if (parts == NULL)
    return false;
  struct instance **storages = parts + cc->filters_count;
  bool ok = get_instances(e, cc->filters, cc->filters_count, parts) &&
            get_instances(e, cc->storages, cc->storages_count, storages);
  struct chain_conf conf = cc->conf;
  if (e->import != NULL) { /* nobody asks */
    conf.nice = 0;
    conf.small_first = true;
  }
  if (ok)
    e->chains[index] = chain_create(cc->name, &conf, parts, cc->filters_count, storages,
                                    cc->storages_count, on_chain_event, e);
  struct chain *chain = e->chains[index];
  ok = ok && chain != NULL;
  if (ok && e->import != NULL)
    ok = attach_import(e, chain);
  else if (ok)
    ok = attach(e, cc->inputs, cc->inputs_count, chain, NULL) &&
         attach(e, cc->outputs, cc->outputs_count, chain, storages[0]) && tap(e, cc, chain);
  free(parts);
  return ok;
}

static bool build_storages(struct engine *e)
{
  for (size_t i = 0; i < e->only_count; i++) {
    struct instance *instance = get_instance(e, e->only[i]);
    if (instance == NULL)
      return false;
    instance->storage = instance;
  }
  return true;
}

static bool build(struct engine *e)
{
  e->instances_count = e->conf->instances_count + 1;
  e->instances = calloc(e->instances_count, sizeof(struct instance *));
  e->chains = calloc(e->conf->chains_count + 1, sizeof(struct chain *));
  e->vias = via_table_create();
  e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (e->instances == NULL || e->chains == NULL || e->vias == NULL || e->event_fd < 0)
    return false;
  if (e->only != NULL)
    return build_storages(e);
  for (size_t i = 0; i < e->conf->chains_count; i++)
    if ((e->import == NULL || e->import->chain == &e->conf->chains[i]) && !build_chain(e, i))
      return false;
  return true;
}

static void destroy(struct engine **engine)
{
  struct engine *e = *engine;
  for (size_t i = 0; e->instances != NULL && i < e->instances_count; i++)
    instance_destroy(&e->instances[i]);
  for (size_t i = 0; e->chains != NULL && i < e->conf->chains_count; i++)
    chain_destroy(&e->chains[i]);
  for (size_t i = 0; i < e->reloaded_count; i++)
    conf_destroy(&e->reloaded[i]);
  if (e->event_fd >= 0)
    close(e->event_fd);
  via_table_destroy(&e->vias);
  free(e->reloaded);
  free(e->chains);
  free(e->instances);
  conf_destroy(&e->conf);
  free(e);
  *engine = NULL;
}

/* `plan`: an engine whose `import` and `only` say what to make. */
static struct engine *create(struct conf *conf, struct loader *loader, const struct engine *plan)
{
  struct engine *e = calloc(1, sizeof *e);
  if (e == NULL) {
    conf_destroy(&conf);
    return NULL;
  }
  e->conf = conf;
  e->loader = loader;
  e->import = plan->import;
  e->only = plan->only;
  e->only_count = plan->only_count;
  e->event_fd = -1;
  if (!build(e)) {
    log_write("cofd", COF_LOG_ERROR, "cannot set up: %s", strerror(errno));
    destroy(&e);
  }
  return e;
}

struct engine *engine_create(struct conf *conf, struct loader *loader,
                             const struct engine_import *import)
{
  return create(conf, loader, &(struct engine){.import = import});
}

struct engine *engine_create_storages(struct conf *conf, struct loader *loader,
                                      const size_t *indices, size_t count)
{
  return create(conf, loader, &(struct engine){.only = indices, .only_count = count});
}

struct instance *engine_instance(struct engine *e, size_t index)
{
  return index < e->instances_count ? e->instances[index] : NULL;
}

/* --- starting ------------------------------------------------------------------------------ */

static bool start_kind(struct engine *e, enum cof_kind kind)
{
  for (size_t i = 0; i < e->instances_count; i++) {
    struct instance *instance = e->instances[i];
    if (instance == NULL || instance->plugin->kind != (uint32_t)kind)
      continue;
    bool ok = instance == e->loading
                  ? instance_load(instance, e->import->paths, e->import->paths_count)
                  : instance_start(instance);
    if (!ok)
      return false;
  }
  return true;
}

static bool start_chains(struct engine *e)
{
  for (size_t i = 0; i < e->conf->chains_count; i++)
    if (e->chains[i] != NULL && !chain_start(e->chains[i]))
      return false;
  return true;
}

static bool refuse_state_dir(const char *dir, const char *what)
{
  char blame[PRIVILEGES_BLAME_MAX];
  int error = errno;
  log_write("cofd", COF_LOG_ERROR, "state_dir %s cannot be %s: %s%s", dir, what, strerror(error),
            privileges_blame(dir, error, blame));
  return false;
}

static bool make_state_dir(struct engine *e)
{
  const char *dir = e->conf->host.state_dir;
  if (dir == NULL)
    return true;
  if (e->import != NULL ||
      e->only != NULL) { /* its operator need not be the one whom the directory is for */
    e->state_dir = access(dir, R_OK | W_OK | X_OK) == 0 ? dir : NULL;
    return true;
  }
  if (mkdir(dir, 0750) != 0 && errno != EEXIST)
    return refuse_state_dir(dir, "made");
  struct stat st;
  if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode)) {
    log_write("cofd", COF_LOG_ERROR, "state_dir %s is not a directory", dir);
    return false;
  }
  if (faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) != 0)
    return refuse_state_dir(dir, "used");
  e->state_dir = dir;
  return true;
}

bool engine_start(struct engine *e)
{
  guard_watch_start(e->conf->host.slow_callback);
  return make_state_dir(e) && start_kind(e, COF_KIND_STORAGE) && start_kind(e, COF_KIND_FILTER) &&
         start_chains(e) && start_kind(e, COF_KIND_OUTPUT) && start_kind(e, COF_KIND_INPUT);
}

bool engine_finished(struct engine *e)
{
  for (size_t i = 0; i < e->instances_count; i++) {
    const struct instance *instance = e->instances[i];
    if (instance != NULL && instance->plugin->kind == COF_KIND_INPUT &&
        !atomic_load(&instance->finished))
      return false;
  }
  bool idle = true;
  for (size_t i = 0; i < e->conf->chains_count; i++) {
    if (e->chains[i] == NULL)
      continue;
    chain_hurry(e->chains[i]);
    idle = chain_idle(e->chains[i]) && idle;
  }
  return idle;
}

/* --- reloading ----------------------------------------------------------------------------- */

static const struct conf_instance *same_section(const struct conf *conf, const char *source)
{
  for (size_t i = 0; i < conf->instances_count; i++)
    if (strcmp(conf->instances[i].source, source) == 0)
      return &conf->instances[i];
  return NULL;
}

static void note_restart(void *arg, const char *option)
{
  const struct instance *i = arg;
  log_write(i->source, COF_LOG_WARNING, "%s changed in the file; it takes effect after a restart",
            option);
}

static void reload_instance(struct engine *e, size_t index, const struct conf *fresh)
{
  struct instance *i = e->instances[index];
  const struct conf_instance *ci = same_section(fresh, i->source);
  if (ci == NULL || ci->plugin != i->plugin) {
    log_write(i->source, COF_LOG_WARNING,
              "is gone from the file or has another plugin; it takes effect after a restart");
    return;
  }
  conf_merge_reloadable(i->plugin, e->conf->instances[index].values, ci->values, note_restart, i);
  if (i->plugin->reload == NULL)
    return;
  enum cof_result r = instance_reload(i, ci->values);
  if (r == COF_OK)
    i->values = ci->values;
  else
    log_write(i->source, COF_LOG_ERROR, "kept its old settings (%s)", cof_result_name(r));
}

/* The settings of [cofd] or a chain that differ and that a running process cannot take over. */
static void note_fixed(const char *source, const struct cof_option *table, const void *old,
                       const void *fresh)
{
  for (const struct cof_option *o = table; o->name != NULL; o++)
    if ((o->flags & COF_OPT_RELOADABLE) == 0 && !option_equal(o, old, fresh))
      log_write(source, COF_LOG_WARNING, "%s changed in the file; it takes effect after a restart",
                o->name);
}

static void note_new_sections(const struct engine *e, const struct conf *fresh)
{
  for (size_t i = 0; i < fresh->instances_count; i++)
    if (same_section(e->conf, fresh->instances[i].source) == NULL)
      log_write(fresh->instances[i].source, COF_LOG_WARNING,
                "is new in the file; it takes effect after a restart");
  note_fixed("cofd", conf_host_options, &e->conf->host, &fresh->host);
  bool same = fresh->chains_count == e->conf->chains_count;
  for (size_t i = 0; same && i < fresh->chains_count; i++)
    same = strcmp(fresh->chains[i].source, e->conf->chains[i].source) == 0;
  if (!same)
    log_write("cofd", COF_LOG_WARNING, "chains changed in the file; a restart is needed for them");
  for (size_t i = 0; same && i < fresh->chains_count; i++)
    note_fixed(fresh->chains[i].source, conf_chain_options, &e->conf->chains[i].conf,
               &fresh->chains[i].conf);
}

static bool in_use(const struct engine *e, const struct conf *conf)
{
  for (size_t i = 0; i < conf->instances_count; i++)
    for (size_t k = 0; k < e->instances_count; k++)
      if (e->instances[k] != NULL && e->instances[k]->values == conf->instances[i].values)
        return true;
  return false;
}

/* Keep the new configuration and those that an instance, whose reload failed, still looks into. */
static void prune(struct engine *e)
{
  size_t kept = 0;
  for (size_t i = 0; i < e->reloaded_count; i++) {
    if (in_use(e, e->reloaded[i]))
      e->reloaded[kept++] = e->reloaded[i];
    else
      conf_destroy(&e->reloaded[i]);
  }
  e->reloaded_count = kept;
}

static struct conf *read_again(struct engine *e)
{
  struct problems *problems = problems_create();
  if (problems == NULL)
    return NULL;
  struct conf *fresh = conf_read(e->conf->file, e->loader, NULL, 0, problems);
  for (size_t i = 0; i < problems_count(problems); i++)
    log_write("cofd", fresh == NULL ? COF_LOG_ERROR : COF_LOG_WARNING, "%s",
              problems_text(problems, i));
  problems_destroy(&problems);
  return fresh;
}

void engine_reload(struct engine *e)
{
  struct conf **list = realloc(e->reloaded, (e->reloaded_count + 1) * sizeof(struct conf *));
  if (list != NULL)
    e->reloaded = list;
  struct conf *fresh = list != NULL ? read_again(e) : NULL;
  if (fresh == NULL) {
    log_write("cofd", COF_LOG_ERROR, "%s was not reloaded; all settings stay as they were",
              e->conf->file);
    return;
  }
  e->reloaded[e->reloaded_count++] = fresh;
  conf_apply_log(&fresh->host);
  note_new_sections(e, fresh);
  for (size_t i = 0; i < e->conf->instances_count; i++)
    if (e->instances[i] != NULL)
      reload_instance(e, i, fresh);
  prune(e);
  log_write("cofd", COF_LOG_INFO, "reloaded %s", e->conf->file);
}

/* --- stopping ------------------------------------------------------------------------------ */

static void stop_kind(struct engine *e, enum cof_kind kind)
{
  for (size_t i = 0; i < e->instances_count; i++) {
    struct instance *instance = e->instances[i];
    if (instance == NULL || instance->plugin->kind != (uint32_t)kind)
      continue;
    watchdog_watch(e->dog, instance->source);
    instance_stop(instance, e->stop_ns);
  }
}

/* All drain at the same time, so that one which is stuck takes none from the others' time. */
static bool finish_chains(struct engine *e, uint64_t deadline_ns)
{
  bool all = true;
  for (size_t i = 0; i < e->conf->chains_count; i++)
    if (e->chains[i] != NULL)
      chain_drain(e->chains[i]);
  for (size_t i = 0; i < e->conf->chains_count; i++)
    if (e->chains[i] != NULL)
      all = chain_finish(e->chains[i], deadline_ns) && all;
  return all;
}

/*
 * Free the inputs that have had their last ack, before anything that may hang: some write down only
 * then how far they are, and would repeat what is stored.
 */
static void release_inputs(struct engine *e)
{
  for (size_t i = 0; i < e->instances_count; i++) {
    struct instance *instance = e->instances[i];
    if (instance == NULL || instance->plugin->kind != COF_KIND_INPUT ||
        !chain_ended(instance->chain))
      continue;
    watchdog_watch(e->dog, instance->source);
    instance_release(instance);
  }
}

void engine_drain(struct engine *e)
{
  if (e->drained)
    return;
  e->drained = true;
  e->stop_ns = clock_ns() + (uint64_t)e->conf->host.stop_timeout * MS;
  e->dog = watchdog_start(e->stop_ns);
  stop_kind(e, COF_KIND_INPUT);
  watchdog_watch(e->dog, "cofd");
  e->ended = finish_chains(e, e->stop_ns);
  release_inputs(e);
}

bool engine_stop(struct engine **engine)
{
  struct engine *e = *engine;
  engine_drain(e);
  bool clean = !engine_failed(e);
  for (size_t i = 0; i < e->conf->chains_count; i++)
    if (e->chains[i] != NULL && !chain_all_stored(e->chains[i]))
      clean = false;
  if (!e->ended) {
    log_write("cofd", COF_LOG_ERROR, "ends without the thread that a storage keeps");
    _exit(1);
  }
  stop_kind(e, COF_KIND_OUTPUT);
  stop_kind(e, COF_KIND_FILTER);
  stop_kind(e, COF_KIND_STORAGE);
  watchdog_stop(&e->dog);
  destroy(engine);
  guard_watch_stop();
  return clean;
}
