/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "conf_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "confine_private.h"
#include "ini_private.h"
#include "option_private.h"
#include "privileges_private.h"
#include "route_private.h"
#include "section_private.h"
#include "suggest_private.h"
#include "via_private.h"

/* Longest list of plugins that a message shows. */
#define NAMES_SHOWN 160

/* A configuration being made. */
struct builder {
  struct conf *conf;
  struct ini ini;
  struct loader *loader;
  struct problems *problems;
  mode_t mode;      /* of the file; 0: not a regular one */
  int *route_lines; /* of each chain */
  bool broken;      /* out of memory, or nothing could be read */
};

static void no_memory(struct builder *builder)
{
  if (!builder->broken)
    problems_add(builder->problems, false, builder->conf->file, 0, "out of memory");
  builder->broken = true;
}

/* --- sections into instances and chains ----------------------------------------------------- */

static bool is_instance_name(const char *name)
{
  size_t len = name != NULL ? strlen(name) : 0;
  return len > 0 && len <= 63 &&
         strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

/* The part of a section's name after its first dot; NULL: there is none. */
static const char *after_dot(const char *section)
{
  const char *dot = strchr(section, '.');
  return dot != NULL ? dot + 1 : NULL;
}

/* The kind of instance that a section declares; 0: it is a chain, [cofd] or nothing. */
static enum cof_kind section_kind(const char *section)
{
  char word[16];
  size_t len = strcspn(section, ".");
  if (section[len] == '\0' || len >= sizeof word)
    return 0;
  memcpy(word, section, len);
  word[len] = '\0';
  return kind_parse(word);
}

static bool is_chain(const char *section)
{
  return strncmp(section, "chain.", 6) == 0;
}

static void unknown_section(struct builder *builder, const struct ini_section *section)
{
  static const char *const words[] = {"input", "filter", "storage", "output", "chain", "cofd"};
  const char *name = after_dot(section->name);
  size_t len = strcspn(section->name, ".");
  char word[SUGGEST_WORD_MAX + 2];
  snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1),
           section->name);
  struct suggest search;
  suggest_begin(&search, word);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    suggest_offer(&search, words[i]);
  const char *best = search.best;
  bool is_host = best != NULL && strcmp(best, "cofd") == 0;
  if (best != NULL)
    problems_add(builder->problems, false, builder->conf->file, section->line,
                 "unknown section [%.*s]; did you mean [%s%s%.*s]?", SHOWN, section->name, best,
                 is_host ? "" : ".", SHOWN,
                 is_host        ? ""
                 : name != NULL ? name
                                : "NAME");
  else
    problems_add(builder->problems, false, builder->conf->file, section->line,
                 "unknown section [%.*s]; expected [cofd], [input.NAME], [filter.NAME], "
                 "[storage.NAME], [output.NAME] or [chain.NAME]",
                 SHOWN, section->name);
}

static bool is_first(const struct builder *builder, const struct ini_section *section)
{
  const struct ini_section *first = ini_section(&builder->ini, section->name);
  if (first != section)
    problems_add(builder->problems, false, builder->conf->file, section->line,
                 "section [%s] is there already, in line %d; put all its options there",
                 section->name, first->line);
  return first == section;
}

/* Whether a section can be used; says why not. */
static bool check_section(struct builder *builder, const struct ini_section *section)
{
  if (strcmp(section->name, "cofd") == 0)
    return is_first(builder, section);
  if (section_kind(section->name) == 0 && !is_chain(section->name)) {
    unknown_section(builder, section);
    return false;
  }
  if (!is_instance_name(after_dot(section->name))) {
    problems_add(builder->problems, false, builder->conf->file, section->line,
                 "[%.*s]: the name after the dot has 1 to 63 letters, digits, '-' and '_'", SHOWN,
                 section->name);
    return false;
  }
  return is_first(builder, section);
}

static int line_of(const struct filling *filling, const char *key)
{
  const struct ini_entry *entry = ini_entry(filling->section, key);
  return entry != NULL ? entry->line : filling->section->line;
}

static void check_host(const struct filling *filling, const struct host_conf *host)
{
  const char *option;
  struct cof_error why;
  if (host->node != NULL && !via_is_node(host->node, strlen(host->node)))
    section_blame(filling, line_of(filling, "node"),
                  "node: '%.64s' is no name of a node; expected 1 to %d letters, digits, dots, "
                  "hyphens and underscores",
                  host->node, COF_NODE_MAX);
  if (privileges_check(host->user, host->group, &option, &why) != COF_OK)
    section_blame(filling, line_of(filling, option), "%s: %s", option, why.text);
  if (host->confine != CONFINE_NO && !confine_possible())
    section_blame(filling, line_of(filling, "seccomp"),
                  "seccomp: this cofd was built without libseccomp; expected no");
}

static void fill_host(struct builder *builder, const struct ini_section *section)
{
  static const struct ini_section none = {.name = "cofd"};
  struct filling filling = {.section = section != NULL ? section : &none,
                            .file = builder->conf->file,
                            .table = conf_host_options,
                            .values = &builder->conf->host,
                            .memory = &builder->conf->memory,
                            .problems = builder->problems};
  if (!section_fill(&filling))
    no_memory(builder);
  else
    check_host(&filling, &builder->conf->host);
}

struct name_list {
  enum cof_kind kind;
  char text[NAMES_SHOWN];
};

static void add_name(void *arg, const struct loader_entry *entry)
{
  struct name_list *list = arg;
  if (entry->kind != list->kind || entry->plugin == NULL)
    return;
  size_t used = strlen(list->text);
  if (used + strlen(entry->name) + 3 < sizeof list->text)
    snprintf(list->text + used, sizeof list->text - used, "%s%s", used > 0 ? ", " : "",
             entry->name);
}

static void no_plugin(struct builder *builder, const struct ini_section *section,
                      enum cof_kind kind)
{
  struct name_list list = {.kind = kind, .text = ""};
  bool vowel = kind == COF_KIND_INPUT || kind == COF_KIND_OUTPUT;
  loader_each(builder->loader, add_name, &list);
  problems_add(builder->problems, false, builder->conf->file, section->line,
               "[%s] has no 'plugin'; expected 'plugin = NAME' with the name of %s %s plugin%s%s",
               section->name, vowel ? "an" : "a", kind_name(kind), list.text[0] != '\0' ? ": " : "",
               list.text);
}

/* The plugin that a section names, or NULL with the reason reported. */
static const struct cof_plugin *
section_plugin(struct builder *builder, const struct ini_section *section, enum cof_kind kind)
{
  const struct ini_entry *entry = ini_entry(section, "plugin");
  if (entry == NULL) {
    no_plugin(builder, section, kind);
    return NULL;
  }
  const struct cof_plugin *plugin = NULL;
  struct cof_error why;
  if (loader_get(builder->loader, kind, entry->value, &plugin, &why) != COF_OK) {
    problems_add(builder->problems, false, section_place(builder->conf->file, entry->line),
                 entry->line, "plugin = %.*s: %s", SHOWN, entry->value,
                 loader_reason(builder->loader));
    return NULL;
  }
  return plugin;
}

/* Instance names are unique over all kinds, since a route gives no kind. */
static void check_unique(struct builder *builder, const struct conf_instance *instance)
{
  for (const struct conf_instance *other = builder->conf->instances; other < instance; other++)
    if (strcmp(other->name, instance->name) == 0) {
      problems_add(builder->problems, false, builder->conf->file, instance->line,
                   "[%s] has the name of [%s] in line %d, and a route could not tell them apart; "
                   "rename one",
                   instance->source, other->source, other->line);
      return;
    }
}

/* A mark for each option of a table; NULL when out of memory. */
static bool *marks(struct builder *builder, const struct cof_option *table)
{
  return conf_memory_alloc(&builder->conf->memory, (option_count(table) + 1) * sizeof(bool));
}

static void fill_instance(struct builder *builder, const struct ini_section *section)
{
  struct conf *conf = builder->conf;
  struct conf_instance *instance = &conf->instances[conf->instances_count++];
  instance->kind = section_kind(section->name);
  instance->source = section->name;
  instance->name = after_dot(section->name);
  instance->line = section->line;
  check_unique(builder, instance);
  instance->plugin = section_plugin(builder, section, instance->kind);
  if (instance->plugin == NULL)
    return;
  instance->values = conf_memory_alloc(&conf->memory, instance->plugin->conf_size);
  const char *reference =
      conf_memory_format(&conf->memory, "%s/%s", kind_name(instance->kind), instance->plugin->name);
  struct filling filling = {.section = section,
                            .file = conf->file,
                            .reserved = "plugin",
                            .table = instance->plugin->options,
                            .reference = reference,
                            .mode = builder->mode,
                            .values = instance->values,
                            .memory = &conf->memory,
                            .problems = builder->problems,
                            .unusable = marks(builder, instance->plugin->options)};
  size_t errors = problems_errors(builder->problems);
  if (instance->values == NULL || reference == NULL || filling.unusable == NULL ||
      !section_fill(&filling))
    no_memory(builder);
  else
    section_check(&filling, instance->plugin, problems_errors(builder->problems) == errors);
}

static void check_chain(const struct filling *filling, const struct chain_conf *chain)
{
  if (chain->retry_min <= chain->retry_max || section_is_wrong(filling, "retry_min") ||
      section_is_wrong(filling, "retry_max"))
    return;
  const struct ini_entry *entry = ini_entry(filling->section, "retry_min");
  if (entry == NULL)
    entry = ini_entry(filling->section, "retry_max");
  section_blame(filling, entry != NULL ? entry->line : filling->section->line,
                "retry_min (%lldms) is above retry_max (%lldms); expected at most that",
                (long long)chain->retry_min, (long long)chain->retry_max);
}

static void fill_chain(struct builder *builder, const struct ini_section *section)
{
  struct conf *conf = builder->conf;
  const struct ini_entry *route = ini_entry(section, "route");
  builder->route_lines[conf->chains_count] = route != NULL ? route->line : section->line;
  struct conf_chain *chain = &conf->chains[conf->chains_count++];
  chain->source = section->name;
  chain->name = after_dot(section->name);
  chain->line = section->line;
  struct filling filling = {.section = section,
                            .file = conf->file,
                            .table = conf_chain_options,
                            .values = &chain->conf,
                            .memory = &conf->memory,
                            .problems = builder->problems,
                            .unusable = marks(builder, conf_chain_options)};
  if (filling.unusable == NULL || !section_fill(&filling))
    no_memory(builder);
  else
    check_chain(&filling, &chain->conf);
}

/* --- the whole ------------------------------------------------------------------------------ */

/* Lay "section.key=value" over the file. */
static void lay_over(struct builder *builder, const char *text)
{
  const char *equals = strchr(text, '=');
  size_t head = equals != NULL ? (size_t)(equals - text) : 0;
  const char *dot = head > 0 ? memrchr(text, '.', head) : NULL;
  if (dot == NULL || dot == text || dot + 1 == equals) {
    problems_add(builder->problems, false, COMMAND_LINE, 0,
                 "'%.*s' is no setting; expected SECTION.KEY=VALUE", SHOWN, text);
    return;
  }
  struct conf_memory **memory = &builder->conf->memory;
  const char *name = conf_memory_text(memory, text, (size_t)(dot - text));
  struct ini_section *section = name != NULL ? ini_section(&builder->ini, name) : NULL;
  if (name == NULL)
    no_memory(builder);
  else if (section == NULL)
    problems_add(builder->problems, false, COMMAND_LINE, 0,
                 "'%.*s': no section [%.*s] in %s; expected one that is there", SHOWN, text, SHOWN,
                 name, builder->conf->file);
  else if (!ini_override(section, dot + 1, (size_t)(equals - dot - 1), equals + 1, memory))
    no_memory(builder);
}

static bool allocate(struct builder *builder)
{
  struct conf *conf = builder->conf;
  size_t sections = 0;
  for (const struct ini_section *s = builder->ini.sections; s != NULL; s = s->next)
    sections++;
  conf->instances = conf_memory_alloc(&conf->memory, sections * sizeof *conf->instances);
  conf->chains = conf_memory_alloc(&conf->memory, sections * sizeof *conf->chains);
  builder->route_lines = conf_memory_alloc(&conf->memory, sections * sizeof(int));
  return conf->instances != NULL && conf->chains != NULL && builder->route_lines != NULL;
}

static void fill_sections(struct builder *builder)
{
  const struct ini_section *host = NULL;
  for (const struct ini_section *s = builder->ini.sections; s != NULL; s = s->next) {
    if (!check_section(builder, s))
      continue;
    if (strcmp(s->name, "cofd") == 0)
      host = s;
    else if (is_chain(s->name))
      fill_chain(builder, s);
    else
      fill_instance(builder, s);
  }
  fill_host(builder, host);
}

static void resolve_routes(struct builder *builder)
{
  struct conf *conf = builder->conf;
  size_t errors = problems_errors(builder->problems);
  if (conf->chains_count == 0)
    problems_add(builder->problems, false, conf->file, 0,
                 "no [chain.NAME]; expected one with 'route = INPUT -> STORAGE -> OUTPUT'");
  for (size_t i = 0; i < conf->chains_count; i++)
    if (conf->chains[i].conf.route != NULL &&
        !route_resolve(conf, &conf->chains[i], builder->route_lines[i], builder->problems))
      no_memory(builder);
  /* An instance that no route names may be one that a broken route meant. */
  bool warn = conf->chains_count > 0 && problems_errors(builder->problems) == errors;
  route_check_all(conf, builder->route_lines, warn, builder->problems);
}

static void build(struct builder *builder, FILE *stream, const char *const *overrides,
                  size_t overrides_count)
{
  struct conf *conf = builder->conf;
  if (!ini_read(stream, conf->file, &builder->ini, &conf->memory, builder->problems)) {
    builder->broken = true;
    return;
  }
  for (size_t i = 0; i < overrides_count; i++)
    lay_over(builder, overrides[i]);
  if (!allocate(builder)) {
    no_memory(builder);
    return;
  }
  fill_sections(builder);
  resolve_routes(builder);
}

/* What the mode of the file is, where it has one that says who reads it. */
static mode_t mode_of(FILE *stream)
{
  struct stat st;
  int fd = fileno(stream);
  return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_mode : 0;
}

struct conf *conf_read_stream(FILE *stream, const char *file, struct loader *loader,
                              const char *const *overrides, size_t overrides_count,
                              struct problems *problems)
{
  struct conf *conf = calloc(1, sizeof *conf);
  if (conf != NULL)
    conf->file = conf_memory_text(&conf->memory, file, strlen(file));
  if (conf == NULL || conf->file == NULL) {
    problems_add(problems, false, file, 0, "out of memory");
    conf_destroy(&conf);
    return NULL;
  }
  size_t errors = problems_errors(problems);
  struct builder builder = {
      .conf = conf, .loader = loader, .problems = problems, .mode = mode_of(stream)};
  build(&builder, stream, overrides, overrides_count);
  if (builder.broken || problems_errors(problems) > errors)
    conf_destroy(&conf);
  return conf;
}

static FILE *open_file(const char *file, struct problems *problems)
{
  FILE *stream = fopen(file, "re");
  int error = errno;
  char blame[PRIVILEGES_BLAME_MAX];
  if (stream == NULL)
    problems_add(problems, false, file, 0, "cannot be opened: %s%s", strerror(error),
                 privileges_blame(file, error, blame));
  return stream;
}

struct conf *conf_read(const char *file, struct loader *loader, const char *const *overrides,
                       size_t overrides_count, struct problems *problems)
{
  FILE *stream = open_file(file, problems);
  if (stream == NULL)
    return NULL;
  struct conf *conf = conf_read_stream(stream, file, loader, overrides, overrides_count, problems);
  fclose(stream);
  return conf;
}

void conf_destroy(struct conf **conf)
{
  if (conf == NULL || *conf == NULL)
    return;
  conf_memory_free(&(*conf)->memory);
  free(*conf);
  *conf = NULL;
}

/* What cannot be read keeps its default; mistakes are not reported here. */
static bool read_leniently(FILE *stream, const char *file, struct host_conf *host,
                           struct conf_memory **memory, struct problems *unseen)
{
  struct ini ini;
  struct cof_error why;
  ini_read(stream, file, &ini, memory, unseen);
  if (option_defaults(conf_host_options, host, memory, &why) != COF_OK)
    return false;
  const struct ini_section *section = ini_section(&ini, "cofd");
  for (const struct cof_option *o = conf_host_options; o->name != NULL; o++) {
    const struct ini_entry *entry = section != NULL ? ini_entry(section, o->name) : NULL;
    if (entry != NULL && option_parse(o, entry->value, host, memory, &why) == COF_FATAL)
      return false;
  }
  return true;
}

bool conf_read_host(const char *file, struct host_conf *host, struct conf_memory **memory,
                    struct problems *problems)
{
  *host = (struct host_conf){0};
  FILE *stream = open_file(file, problems);
  if (stream == NULL)
    return false;
  struct problems *unseen = problems_create();
  bool done = unseen != NULL && read_leniently(stream, file, host, memory, unseen);
  if (!done)
    problems_add(problems, false, file, 0, "out of memory");
  problems_destroy(&unseen);
  fclose(stream);
  return done;
}

/* --- without a section ---------------------------------------------------------------------- */

/* A section as if `settings` had been written in a file. */
static bool settings_section(struct ini_section *section, const char *source,
                             const char *const *settings, size_t settings_count,
                             struct conf_memory **memory, struct problems *problems)
{
  *section = (struct ini_section){.name = source};
  section->entries_end = &section->entries;
  for (size_t i = 0; i < settings_count; i++) {
    const char *equals = strchr(settings[i], '=');
    if (equals == NULL || equals == settings[i])
      problems_add(problems, false, COMMAND_LINE, 0, "'%.*s' is no setting; expected KEY=VALUE",
                   SHOWN, settings[i]);
    else if (!ini_override(section, settings[i], (size_t)(equals - settings[i]), equals + 1,
                           memory))
      return false;
  }
  return true;
}

void *conf_defaults(const struct cof_plugin *plugin, const char *source,
                    const char *const *settings, size_t settings_count, struct conf_memory **memory,
                    struct problems *problems)
{
  size_t errors = problems_errors(problems);
  struct ini_section section;
  void *values = conf_memory_alloc(memory, plugin->conf_size);
  const char *reference =
      conf_memory_format(memory, "%s/%s", kind_name((enum cof_kind)plugin->kind), plugin->name);
  struct filling filling = {.section = &section,
                            .file = COMMAND_LINE,
                            .table = plugin->options,
                            .reference = reference,
                            .values = values,
                            .memory = memory,
                            .problems = problems};
  if (values == NULL || reference == NULL ||
      !settings_section(&section, source, settings, settings_count, memory, problems) ||
      !section_fill(&filling))
    problems_add(problems, false, COMMAND_LINE, 0, "out of memory");
  return problems_errors(problems) == errors ? values : NULL;
}

bool conf_merge_reloadable(const struct cof_plugin *plugin, const void *old, void *fresh,
                           void (*note)(void *arg, const char *option), void *arg)
{
  bool differs = false;
  for (const struct cof_option *o = plugin->options; o != NULL && o->name != NULL; o++) {
    bool same = option_equal(o, old, fresh);
    if ((o->flags & COF_OPT_RELOADABLE) != 0) {
      differs = differs || !same;
    } else {
      if (!same)
        note(arg, o->name);
      option_copy(o, old, fresh);
    }
  }
  return differs;
}

void conf_print_options(FILE *out, const struct cof_option *options)
{
  for (const struct cof_option *o = options; o != NULL && o->name != NULL; o++)
    option_print(out, o);
}
