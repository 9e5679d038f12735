/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_private.h"
#include "engine_private.h"
#include "log_private.h"
#include "progress_private.h"
#include "setup_private.h"

/* The input that loads the files, from the chain or from what is installed. */
struct chosen {
  struct engine_import import;
  const struct conf_instance *section; /* NULL: no section of the chain's inputs can load */
  struct conf_memory *memory;          /* of default values */
};

static const struct conf_chain *choose_chain(const struct conf *conf, const char *name)
{
  for (size_t i = 0; i < conf->chains_count; i++)
    if (name == NULL ? conf->chains_count == 1 : strcmp(conf->chains[i].name, name) == 0)
      return &conf->chains[i];
  fprintf(stderr, "cofd import: %s%s; chains here:", name != NULL ? "no chain " : "choose a chain",
          name != NULL ? name : " by --chain");
  for (size_t i = 0; i < conf->chains_count; i++)
    fprintf(stderr, " %s", conf->chains[i].name);
  fprintf(stderr, "\n");
  return NULL;
}

static const struct conf_instance *choose_section(const struct conf *conf,
                                                  const struct conf_chain *chain)
{
  for (size_t i = 0; i < chain->inputs_count; i++) {
    const struct conf_instance *ci = &conf->instances[chain->inputs[i]];
    if ((ci->plugin->caps & COF_CAP_LOAD) != 0)
      return ci;
  }
  return NULL;
}

/* No input of the chain reads files, so take the first installed plugin that does. */
static bool choose_installed(struct chosen *chosen, struct loader *loader, const struct cli *cli)
{
  const struct cof_plugin *plugin = loader_first(loader, COF_KIND_INPUT, COF_CAP_LOAD);
  if (plugin == NULL) {
    fprintf(stderr, "cofd import: no input plugin that loads files is installed\n");
    return false;
  }
  struct problems *problems = problems_create();
  if (problems == NULL)
    return false;
  void *values = conf_defaults(plugin, "import", cli->settings, cli->settings_count,
                               &chosen->memory, problems);
  for (size_t i = 0; i < problems_count(problems); i++)
    fprintf(stderr, "%s\n", problems_text(problems, i));
  problems_destroy(&problems);
  chosen->import.name = "import";
  chosen->import.plugin = plugin;
  chosen->import.values = values;
  return values != NULL;
}

static void free_texts(char **texts, size_t count)
{
  for (size_t i = 0; i < count; i++)
    free(texts[i]);
  free(texts);
}

/* "key=value" of the command line as "input.name.key=value". */
static char **prefix_settings(const struct cli *cli, const char *source)
{
  char **texts = calloc(cli->settings_count + 1, sizeof(char *));
  for (size_t i = 0; texts != NULL && i < cli->settings_count; i++) {
    size_t size = strlen(source) + strlen(cli->settings[i]) + 2;
    texts[i] = malloc(size);
    if (texts[i] == NULL) {
      free_texts(texts, i);
      return NULL;
    }
    snprintf(texts[i], size, "%s.%s", source, cli->settings[i]);
  }
  return texts;
}

/* Read the file again with the settings of the command line in the section they are for. */
static struct conf *read_with_settings(const struct cli *cli, struct loader *loader,
                                       const char *source)
{
  char **texts = prefix_settings(cli, source);
  if (texts == NULL)
    return NULL;
  struct conf *conf = setup_conf(cli, loader, (const char *const *)texts, cli->settings_count);
  free_texts(texts, cli->settings_count);
  return conf;
}

/* Fill in what to load with. @return the configuration to run, or NULL with the reason printed */
static struct conf *choose(struct chosen *chosen, const struct cli *cli, struct loader *loader)
{
  struct conf *conf = setup_conf(cli, loader, NULL, 0);
  if (conf == NULL)
    return NULL;
  const struct conf_chain *chain = choose_chain(conf, cli->chain);
  const struct conf_instance *section = chain != NULL ? choose_section(conf, chain) : NULL;
  if (section != NULL && cli->settings_count > 0) {
    struct conf *fresh = read_with_settings(cli, loader, section->source);
    conf_destroy(&conf);
    conf = fresh;
    chain = conf != NULL ? choose_chain(conf, cli->chain) : NULL;
    section = chain != NULL ? choose_section(conf, chain) : NULL;
  }
  chosen->import.chain = chain;
  if (section != NULL) {
    chosen->import.name = section->name;
    chosen->import.plugin = section->plugin;
    chosen->import.values = section->values;
  } else if (chain == NULL || !choose_installed(chosen, loader, cli)) {
    conf_destroy(&conf);
  }
  return conf;
}

static bool paths_readable(const struct cli *cli)
{
  bool ok = cli->args_count > 0;
  if (!ok)
    fprintf(stderr, "cofd import: name the files to load, or - for standard input\n");
  for (int i = 0; i < cli->args_count; i++) {
    if (strcmp(cli->args[i], "-") != 0 && access(cli->args[i], R_OK) != 0) {
      fprintf(stderr, "cofd import: %s: %s\n", cli->args[i], strerror(errno));
      ok = false;
    }
  }
  return ok;
}

/* --- while it runs ------------------------------------------------------------------------- */

static struct progress count(struct engine *engine, uint64_t begin_ns)
{
  struct progress p = {.elapsed_ns = clock_ns() - begin_ns};
  const struct instance *input = engine_import_input(engine);
  p.rejected = (uint64_t)(metrics_value(input->metrics, "rejected") +
                          engine_chain_metric(engine, "rejected"));
  p.records = (uint64_t)engine_chain_metric(engine, "received") +
              (uint64_t)metrics_value(input->metrics, "rejected");
  return p;
}

static struct progress look(struct engine *engine, uint64_t begin_ns)
{
  struct progress p = count(engine, begin_ns);
  struct instance *input = engine_import_input(engine);
  const struct cof_input_ops *ops = input->plugin->ops;
  struct guard_call before = guard_enter(input->owner, "progress()");
  ops->progress(input->self, &p.bytes_done, &p.bytes_total);
  guard_leave(before);
  return p;
}

static void show(struct engine *engine, uint64_t begin_ns)
{
  struct progress p = look(engine, begin_ns);
  progress_show(&p);
}

/* @return true when all is loaded, false when a signal or a failure came first */
static bool wait_loaded(struct engine *engine, int signals, uint64_t begin_ns)
{
  struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                         {.fd = engine_event_fd(engine), .events = POLLIN}};
  uint64_t interval = UINT64_C(1000000) * progress_interval_ms(), next = begin_ns + interval;
  while (!engine_finished(engine)) {
    uint64_t now = clock_ns(), count;
    if (now >= next) {
      show(engine, begin_ns);
      next = now + interval;
    }
    if (poll(fds, 2, (int)((next - now) / 1000000u) + 1) < 0 && errno != EINTR)
      return false;
    if (fds[1].revents != 0 && read(fds[1].fd, &count, sizeof count) < 0 && errno != EAGAIN)
      return false;
    if (setup_next_signal(signals) != 0 || engine_failed(engine))
      return false;
  }
  if (progress_columns() > 0)
    show(engine, begin_ns);
  return true;
}

static void summarise(struct engine *engine, bool loaded, uint64_t begin_ns)
{
  struct progress p = count(engine, begin_ns);
  double seconds = (double)p.elapsed_ns / 1e9;
  if (progress_columns() > 0)
    fprintf(stderr, "\n");
  printf("%s %" PRIu64 " records in %.1f s (%.0f/s): %" PRId64 " stored, %" PRId64
         " of them folded into others, %" PRId64 " filtered, %" PRIu64 " rejected\n",
         loaded ? "loaded" : "interrupted after", p.records, seconds,
         seconds > 0 ? (double)p.records / seconds : 0, engine_chain_metric(engine, "stored"),
         engine_chain_metric(engine, "folded"), engine_chain_metric(engine, "filtered"),
         p.rejected);
  fflush(stdout);
}

static int64_t failed_files(struct engine *engine)
{
  return metrics_value(engine_import_input(engine)->metrics, "errors");
}

static int import(struct conf *conf, struct loader *loader, const struct engine_import *what)
{
  int signals = setup_signals();
  struct engine *engine = engine_create(conf, loader, what);
  uint64_t begin = clock_ns();
  if (engine == NULL)
    return 1;
  bool ok = signals >= 0 && engine_start(engine);
  if (ok) {
    ok = wait_loaded(engine, signals, begin);
    setup_signals_default(&signals);
    engine_drain(engine);
    summarise(engine, ok, begin);
    ok = ok && failed_files(engine) == 0;
  }
  setup_signals_default(&signals);
  return engine_stop(&engine) && ok ? 0 : 1;
}

int cmd_import(const struct cli *cli)
{
  if (!paths_readable(cli))
    return cli->args_count > 0 ? 1 : 2;
  struct loader *loader = setup_loader(cli, false);
  if (loader == NULL)
    return 1;
  struct chosen chosen = {
      .import = {.paths = (const char *const *)cli->args, .paths_count = (size_t)cli->args_count}};
  struct conf *conf = choose(&chosen, cli, loader);
  int status = conf != NULL ? import(conf, loader, &chosen.import) : 1;
  conf_memory_free(&chosen.memory);
  loader_destroy(&loader);
  return status;
}
