/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "route_private.h"

#include <ctype.h>
#include <string.h>

#include "suggest_private.h"

/* Most characters of a name that a message shows. */
#define SHOWN 60

/* A route being read. */
struct routing {
  struct conf *conf;
  struct conf_chain *chain;
  struct problems *problems;
  const char *file;
  int line;
  size_t indices[ROUTE_MAX]; /* instances so far */
  size_t count;
  size_t stage_begin;  /* first index of the stage at hand */
  enum cof_kind stage; /* kind of the stage before; 0 at first */
  bool stage_broken;   /* the stage at hand has a mistake already */
};

static void blame(const struct routing *routing, const char *what, const char *name, size_t len)
{
  problems_add(routing->problems, false, routing->file, routing->line, "route: '%.*s' %s",
               (int)(len < SHOWN ? len : SHOWN), name, what);
}

static void unknown_instance(const struct routing *routing, const char *name, size_t len)
{
  char word[SUGGEST_WORD_MAX + 2];
  snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), name);
  struct suggest search;
  suggest_begin(&search, word);
  for (size_t i = 0; i < routing->conf->instances_count; i++)
    suggest_offer(&search, routing->conf->instances[i].name);
  if (search.best != NULL)
    problems_add(routing->problems, false, routing->file, routing->line,
                 "route: no instance '%.*s'; did you mean '%s'?", SHOWN, word, search.best);
  else
    problems_add(routing->problems, false, routing->file, routing->line,
                 "route: no instance '%.*s'; expected the name of a section [kind.name]", SHOWN,
                 word);
}

static bool find_instance(const struct conf *conf, const char *name, size_t len, size_t *index)
{
  for (size_t i = 0; i < conf->instances_count; i++)
    if (strlen(conf->instances[i].name) == len && memcmp(conf->instances[i].name, name, len) == 0) {
      *index = i;
      return true;
    }
  return false;
}

static bool is_in_route(const struct routing *routing, size_t index)
{
  for (size_t i = 0; i < routing->count; i++)
    if (routing->indices[i] == index)
      return true;
  return false;
}

static void take_name(struct routing *routing, const char *name, size_t len)
{
  size_t index;
  if (len == 0) {
    if (!routing->stage_broken)
      problems_add(routing->problems, false, routing->file, routing->line,
                   "route: a name is missing beside '->' or ','; expected "
                   "inputs -> filters -> storages -> outputs");
    routing->stage_broken = true;
  } else if (!find_instance(routing->conf, name, len, &index)) {
    unknown_instance(routing, name, len);
    routing->stage_broken = true;
  } else if (is_in_route(routing, index)) {
    blame(routing, "is in it twice; name each instance once", name, len);
  } else if (routing->count == ROUTE_MAX) {
    blame(routing, "is one too many; expected at most 256 instances", name, len);
    routing->stage_broken = true;
  } else {
    routing->indices[routing->count++] = index;
    routing->conf->instances[index].used = true;
  }
}

/* What is wrong with a stage of `kind` after one of `before`; NULL: nothing. */
static const char *order_fault(enum cof_kind before, enum cof_kind kind)
{
  if (before == kind && kind != COF_KIND_FILTER)
    return "follows another of its kind; separate those by commas, not by '->'";
  if (before > kind)
    return "comes too late; the order is inputs -> filters -> storages -> outputs";
  if (before < COF_KIND_STORAGE && kind == COF_KIND_OUTPUT)
    return "is an output and has no storage before it; the order is "
           "inputs -> filters -> storages -> outputs";
  return NULL;
}

static void end_stage(struct routing *routing)
{
  const struct conf_instance *instances = routing->conf->instances;
  for (size_t i = routing->stage_begin; i < routing->count; i++) {
    const struct conf_instance *instance = &instances[routing->indices[i]];
    const struct conf_instance *first = &instances[routing->indices[routing->stage_begin]];
    const char *fault = i > routing->stage_begin ? NULL : order_fault(routing->stage, first->kind);
    if (instance->kind != first->kind)
      fault = "is of another kind than the names before its comma; put '->' between kinds";
    if (fault != NULL)
      blame(routing, fault, instance->name, strlen(instance->name));
  }
  if (routing->stage_begin < routing->count)
    routing->stage = instances[routing->indices[routing->count - 1]].kind;
  routing->stage_begin = routing->count;
  routing->stage_broken = false;
}

static void read_route(struct routing *routing)
{
  const char *text = routing->chain->conf.route;
  for (;;) {
    text += strspn(text, " \t");
    const char *arrow = strstr(text, "->");
    size_t len = strcspn(text, ",");
    bool ends_stage = arrow != NULL && (size_t)(arrow - text) < len;
    if (ends_stage)
      len = (size_t)(arrow - text);
    bool ends_route = text[len] == '\0';
    size_t trimmed = len;
    while (trimmed > 0 && isspace((unsigned char)text[trimmed - 1]))
      trimmed--;
    take_name(routing, text, trimmed);
    if (ends_stage || ends_route)
      end_stage(routing);
    if (ends_route)
      return;
    text += len + (ends_stage ? 2 : 1);
  }
}

/* Copy the instances of one kind, in the order of the route. */
static bool pick(const struct routing *routing, enum cof_kind kind, size_t **indices, size_t *count)
{
  *indices = conf_memory_alloc(&routing->conf->memory, (routing->count + 1) * sizeof **indices);
  if (*indices == NULL)
    return false;
  *count = 0;
  for (size_t i = 0; i < routing->count; i++)
    if (routing->conf->instances[routing->indices[i]].kind == kind)
      (*indices)[(*count)++] = routing->indices[i];
  return true;
}

bool route_resolve(struct conf *conf, struct conf_chain *chain, int line, struct problems *problems)
{
  struct routing routing = {
      .conf = conf, .chain = chain, .problems = problems, .file = conf->file, .line = line};
  size_t errors = problems_errors(problems);
  read_route(&routing);
  if (!pick(&routing, COF_KIND_INPUT, &chain->inputs, &chain->inputs_count) ||
      !pick(&routing, COF_KIND_FILTER, &chain->filters, &chain->filters_count) ||
      !pick(&routing, COF_KIND_STORAGE, &chain->storages, &chain->storages_count) ||
      !pick(&routing, COF_KIND_OUTPUT, &chain->outputs, &chain->outputs_count))
    return false;
  if (problems_errors(problems) > errors)
    return true; /* what is missing may be what was misspelt */
  if (chain->storages_count == 0)
    problems_add(problems, false, conf->file, line,
                 "route: no storage; expected inputs -> filters -> storages -> outputs");
  else if (chain->inputs_count == 0 && chain->outputs_count == 0)
    problems_add(problems, false, conf->file, line,
                 "route: neither input nor output; expected one or the other");
  return true;
}

static bool names_instance(const struct conf_chain *chain, size_t index)
{
  for (size_t i = 0; i < chain->inputs_count; i++)
    if (chain->inputs[i] == index)
      return true;
  for (size_t i = 0; i < chain->outputs_count; i++)
    if (chain->outputs[i] == index)
      return true;
  return false;
}

void route_check_all(const struct conf *conf, const int *route_lines, bool warn,
                     struct problems *problems)
{
  for (size_t i = 0; i < conf->instances_count; i++) {
    const struct conf_instance *instance = &conf->instances[i];
    const struct conf_chain *first = NULL;
    for (size_t c = 0; c < conf->chains_count; c++) {
      if (!names_instance(&conf->chains[c], i))
        continue;
      if (first != NULL)
        problems_add(problems, false, conf->file, route_lines[c],
                     "route: '%s' is in [%s] already; an %s belongs to one chain", instance->name,
                     first->source, kind_name(instance->kind));
      else
        first = &conf->chains[c];
    }
    if (warn && !instance->used)
      problems_add(problems, true, conf->file, instance->line,
                   "[%s] is in no route, so it does nothing; name it in one", instance->source);
  }
}
