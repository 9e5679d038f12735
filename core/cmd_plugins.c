/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "cli_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suggest_private.h"

/* One plugin, kept after loader_each's call. */
struct row {
  struct row *next;
  struct loader_entry entry; /* its texts are copies in the same memory */
};

struct table {
  struct row *rows, **end;
  struct conf_memory *memory;
  size_t count, name_width, version_width;
  bool failed;
};

static const struct {
  uint64_t cap;
  const char *word;
} cap_words[] = {{COF_CAP_THREAD_SAFE, "thread-safe"},
                 {COF_CAP_LOAD, "load"},
                 {COF_CAP_RRNAME, "rrname"},
                 {COF_CAP_SUBDOMAINS, "subdomains"},
                 {COF_CAP_RDATA, "rdata"},
                 {COF_CAP_ADDR_RANGE, "address-range"},
                 {COF_CAP_RDATA_TEXT, "rdata-text"},
                 {COF_CAP_SCAN, "scan"},
                 {COF_CAP_PREFIX, "prefix"},
                 {COF_CAP_RDATA_SUBDOMAINS, "rdata-subdomains"},
                 {COF_CAP_RDATA_PREFIX, "rdata-prefix"},
                 {COF_CAP_RRTYPE, "rrtype"},
                 {COF_CAP_FENCES, "time-fences"},
                 {COF_CAP_RESUME, "resume"},
                 {COF_CAP_NEW, "new"},
                 {COF_CAP_BAILIWICK, "bailiwick"},
                 {COF_CAP_SENSOR, "sensor"}};

static size_t wider(size_t width, const char *text)
{
  size_t len = strlen(text);
  return len > width ? len : width;
}

static void add_row(void *arg, const struct loader_entry *entry)
{
  struct table *table = arg;
  struct row *row = conf_memory_alloc(&table->memory, sizeof *row);
  const char *error = entry->error != NULL ? entry->error : "";
  char *name = conf_memory_text(&table->memory, entry->name, strlen(entry->name));
  char *path = conf_memory_text(&table->memory, entry->path, strlen(entry->path));
  char *why = conf_memory_text(&table->memory, error, strlen(error));
  if (row == NULL || name == NULL || path == NULL || why == NULL) {
    table->failed = true;
    return;
  }
  row->entry = (struct loader_entry){.kind = entry->kind,
                                     .name = name,
                                     .path = path,
                                     .plugin = entry->plugin,
                                     .error = entry->error != NULL ? why : NULL};
  *table->end = row;
  table->end = &row->next;
  table->count++;
  table->name_width = wider(table->name_width, name);
  if (entry->plugin != NULL)
    table->version_width = wider(table->version_width, entry->plugin->version);
}

/* --- all of them ---------------------------------------------------------------------------- */

static void print_row(const struct table *table, const char *kind, const char *name,
                      const char *version, size_t summary_width, const char *summary,
                      const char *path)
{
  printf("%-7s  %-*s  %-*s  %-*s  %s\n", kind, (int)table->name_width, name,
         (int)table->version_width, version, (int)summary_width, summary, path);
}

static void print_all(struct table *table)
{
  size_t summary_width = strlen("SUMMARY");
  table->name_width = wider(table->name_width, "NAME");
  table->version_width = wider(table->version_width, "VERSION");
  for (const struct row *row = table->rows; row != NULL; row = row->next)
    if (row->entry.plugin != NULL)
      summary_width = wider(summary_width, row->entry.plugin->summary);
  print_row(table, "KIND", "NAME", "VERSION", summary_width, "SUMMARY", "PATH");
  for (const struct row *row = table->rows; row != NULL; row = row->next) {
    const struct loader_entry *entry = &row->entry;
    if (entry->plugin != NULL)
      print_row(table, kind_name(entry->kind), entry->name, entry->plugin->version, summary_width,
                entry->plugin->summary, entry->path);
    else
      print_row(table, kind_name(entry->kind), entry->name, "-", summary_width, "(not usable)",
                entry->path);
    if (entry->error != NULL)
      printf("         %s\n", entry->error);
  }
}

/* --- one of them ---------------------------------------------------------------------------- */

static void print_caps(uint64_t caps)
{
  char text[512] = "";
  size_t used = 0;
  for (size_t i = 0; i < sizeof cap_words / sizeof *cap_words; i++)
    if ((caps & cap_words[i].cap) != 0)
      used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? ", " : "",
                               cap_words[i].word);
  printf("Capabilities: %s\n", used > 0 ? text : "none");
}

static void print_plugin(const struct loader_entry *entry)
{
  const struct cof_plugin *plugin = entry->plugin;
  printf("%s/%s %s: %s\n", kind_name(entry->kind), plugin->name, plugin->version, plugin->summary);
  print_caps(plugin->caps);
  printf("Path: %s\n", entry->path);
  if (plugin->options == NULL || plugin->options->name == NULL) {
    printf("Options: none\n");
    return;
  }
  printf("Options:\n");
  conf_print_options(stdout, plugin->options);
}

/* Kind 0 stands for any. */
static bool is_wanted(const struct row *row, enum cof_kind kind, const char *name)
{
  return (kind == 0 || row->entry.kind == kind) && strcmp(row->entry.name, name) == 0;
}

static void print_missing(const struct table *table, const char *wanted, const char *name)
{
  struct suggest search;
  suggest_begin(&search, name);
  for (const struct row *row = table->rows; row != NULL; row = row->next)
    suggest_offer(&search, row->entry.name);
  if (search.best != NULL)
    fprintf(stderr, "cofd: no plugin '%s'; did you mean '%s'?\n", wanted, search.best);
  else
    fprintf(stderr, "cofd: no plugin '%s'; 'cofd plugins' lists what is installed\n", wanted);
}

/* NAME or KIND/NAME; each plugin of that name. */
static int print_wanted(const struct table *table, const char *wanted)
{
  const char *slash = strchr(wanted, '/');
  const char *name = slash != NULL ? slash + 1 : wanted;
  char word[16] = "";
  if (slash != NULL && (size_t)(slash - wanted) < sizeof word)
    memcpy(word, wanted, (size_t)(slash - wanted));
  enum cof_kind kind = kind_parse(word);
  if (slash != NULL && kind == 0) {
    fprintf(stderr,
            "cofd: '%s': expected NAME or KIND/NAME, with input, filter, storage or output "
            "as KIND\n",
            wanted);
    return 1;
  }
  size_t shown = 0, broken = 0;
  for (const struct row *row = table->rows; row != NULL; row = row->next) {
    if (!is_wanted(row, kind, name))
      continue;
    if (row->entry.plugin != NULL) {
      printf("%s", shown++ > 0 ? "\n" : "");
      print_plugin(&row->entry);
    } else if (strncmp(row->entry.error, "shadowed", 8) != 0) {
      broken++;
      fprintf(stderr, "cofd: %s\n", row->entry.error);
    }
  }
  if (shown + broken == 0)
    print_missing(table, wanted, name);
  return shown > 0 && broken == 0 ? 0 : 1;
}

/* The file's plugin path counts here as for a run; without a file the others do. */
static bool read_host(const struct cli *cli, struct host_conf *host, struct conf_memory **memory)
{
  *host = (struct host_conf){0};
  if (cli->plugin_path != NULL || (!cli->conf_file_given && access(cli->conf_file, R_OK) != 0))
    return true;
  struct problems *problems = problems_create();
  bool read = problems != NULL && conf_read_host(cli->conf_file, host, memory, problems);
  if (problems != NULL)
    cli_print_problems(problems);
  problems_destroy(&problems);
  return read;
}

int cmd_plugins(const struct cli *cli)
{
  struct host_conf host;
  struct table table = {.rows = NULL};
  table.end = &table.rows;
  struct loader *loader = NULL;
  int status = 1;
  if (read_host(cli, &host, &table.memory) && (loader = cli_loader(cli, &host)) != NULL) {
    loader_each(loader, add_row, &table);
    if (table.failed) {
      fprintf(stderr, "cofd: out of memory\n");
    } else if (cli->args_count > 0) {
      status = print_wanted(&table, cli->args[0]);
    } else {
      if (table.count == 0)
        fprintf(stderr, "cofd: no plugins in %s\n", loader_path(loader));
      print_all(&table);
      status = 0;
    }
  }
  if (fflush(stdout) != 0)
    status = 1;
  loader_destroy(&loader);
  conf_memory_free(&table.memory);
  return status;
}
