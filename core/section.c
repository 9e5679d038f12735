/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "section_private.h"

#include <stdarg.h>
#include <string.h>

#include "guard_private.h"
#include "option_private.h"
#include "suggest_private.h"

/* Longest list of valid keys that a message shows. */
#define KEYS_SHOWN 160

const char *section_place(const char *file, int line)
{
  return line > 0 ? file : COMMAND_LINE;
}

void section_blame(const struct filling *filling, int line, const char *fmt, ...)
{
  char text[768];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  problems_add(filling->problems, false, section_place(filling->file, line), line, "%s", text);
}

/* All keys of a table, separated by commas; false when they are too many to show. */
static bool list_keys(const struct filling *filling, char out[KEYS_SHOWN])
{
  size_t used = 0;
  out[0] = '\0';
  for (const struct cof_option *o = filling->table; o != NULL && o->name != NULL; o++) {
    if ((o->flags & COF_OPT_DEPRECATED) != 0)
      continue;
    int len = snprintf(out + used, KEYS_SHOWN - used, "%s%s", used > 0 ? ", " : "", o->name);
    if (len < 0 || (size_t)len >= KEYS_SHOWN - used)
      return false;
    used += (size_t)len;
  }
  return true;
}

static void unknown_key(const struct filling *filling, const struct ini_entry *entry)
{
  struct suggest search;
  suggest_begin(&search, entry->key);
  if (filling->reserved != NULL)
    suggest_offer(&search, filling->reserved);
  for (const struct cof_option *o = filling->table; o != NULL && o->name != NULL; o++)
    suggest_offer(&search, o->name);
  char keys[KEYS_SHOWN];
  if (search.best != NULL)
    section_blame(filling, entry->line, "unknown option '%.*s'; did you mean '%s'?", SHOWN,
                  entry->key, search.best);
  else if (filling->table == NULL || filling->table->name == NULL)
    section_blame(filling, entry->line, "unknown option '%.*s'; this plugin has none", SHOWN,
                  entry->key);
  else if (list_keys(filling, keys))
    section_blame(filling, entry->line, "unknown option '%.*s'; valid here: %s", SHOWN, entry->key,
                  keys);
  else
    section_blame(filling, entry->line,
                  "unknown option '%.*s'; 'cofd plugins %s' lists the valid ones", SHOWN,
                  entry->key, filling->reference != NULL ? filling->reference : "NAME");
}

static bool is_reserved(const struct filling *filling, const char *key)
{
  return filling->reserved != NULL && strcmp(filling->reserved, key) == 0;
}

/* Whether an indented line is an option of this section that was meant to stand for itself. */
static bool looks_like_option(const struct filling *filling, const char *text)
{
  char word[64];
  size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
  size_t gap = strspn(text + len, " \t");
  if (len == 0 || len >= sizeof word || (text[len + gap] != '=' && text[len + gap] != ':'))
    return false;
  memcpy(word, text, len);
  word[len] = '\0';
  return is_reserved(filling, word) || option_find(filling->table, word) != NULL;
}

/* Only lists go on over indented lines. */
static void check_more(const struct filling *filling, const struct ini_entry *entry,
                       const struct cof_option *option)
{
  for (const struct ini_entry *more = entry->more; more != NULL; more = more->next) {
    if (looks_like_option(filling, more->value))
      section_blame(filling, more->line,
                    "'%.*s' is indented, so it continues '%s'; begin it in the first column", SHOWN,
                    more->value, entry->key);
    else if (option == NULL || option->type != COF_OPT_LIST)
      section_blame(
          filling, more->line,
          "an indented line continues '%s', which takes one line; join the two, or begin this "
          "one in the first column",
          entry->key);
  }
}

static void given_again(const struct filling *filling, const struct ini_entry *entry,
                        const struct ini_entry *first)
{
  if (first->line > 0)
    section_blame(filling, entry->line, "'%s' is given again, first in line %d; keep one of them",
                  entry->key, first->line);
  else
    section_blame(filling, entry->line, "'%s' is given again; keep one of them", entry->key);
}

static void check_entries(const struct filling *filling)
{
  for (const struct ini_entry *entry = filling->section->entries; entry != NULL;
       entry = entry->next) {
    bool reserved = is_reserved(filling, entry->key);
    const struct cof_option *option = reserved ? NULL : option_find(filling->table, entry->key);
    if (!reserved && option == NULL) {
      unknown_key(filling, entry);
      continue;
    }
    const struct ini_entry *first = ini_entry(filling->section, entry->key);
    if (first != entry && (reserved || (option->flags & COF_OPT_MULTI) == 0))
      given_again(filling, entry, first);
    else if (option != NULL && (option->flags & COF_OPT_DEPRECATED) != 0)
      problems_add(filling->problems, true, section_place(filling->file, entry->line), entry->line,
                   "'%s' is deprecated: %s", entry->key, option->help);
    check_more(filling, entry, option);
  }
}

/* Everything that the section has for a list, joined by commas; NULL when out of memory. */
static const char *join_values(const struct filling *filling, const struct ini_entry *first)
{
  size_t size = 1;
  for (const struct ini_entry *e = first; e != NULL; e = e->next)
    if (strcmp(e->key, first->key) == 0) {
      size += strlen(e->value) + 1;
      for (const struct ini_entry *m = e->more; m != NULL; m = m->next)
        size += strlen(m->value) + 1;
    }
  char *text = conf_memory_alloc(filling->memory, size);
  char *end = text;
  for (const struct ini_entry *e = first; e != NULL && text != NULL; e = e->next)
    if (strcmp(e->key, first->key) == 0) {
      end = stpcpy(stpcpy(end, e->value), ",");
      for (const struct ini_entry *m = e->more; m != NULL; m = m->next)
        end = stpcpy(stpcpy(end, m->value), ",");
    }
  return text;
}

static void bad_value(const struct filling *filling, const struct cof_option *option,
                      const struct ini_entry *entry, const struct cof_error *why)
{
  struct suggest search;
  suggest_begin(&search, entry->value);
  for (size_t i = 0; option->type == COF_OPT_ENUM && option->choices[i] != NULL; i++)
    suggest_offer(&search, option->choices[i]);
  bool secret = option->type == COF_OPT_SECRET;
  section_blame(filling, entry->line, "%s%s%.*s: %s%s%s%s", option->name, secret ? "" : " = ",
                secret ? 0 : SHOWN, entry->value, why->text,
                search.best != NULL ? "; did you mean '" : "",
                search.best != NULL ? search.best : "", search.best != NULL ? "'?" : "");
}

static void mark_unusable(const struct filling *filling, const struct cof_option *option)
{
  if (filling->unusable != NULL)
    filling->unusable[option - filling->table] = true;
}

static enum cof_result secret_of(const struct filling *filling, const struct ini_entry *entry,
                                 const char **secret, struct cof_error *why)
{
  struct secret_place place = {.command_line = entry->line == 0, .mode = filling->mode};
  return secret_resolve(entry->value, &place, secret, filling->memory, why);
}

/* @return false when out of memory */
static bool fill_option(const struct filling *filling, const struct cof_option *option)
{
  const struct ini_entry *entry = ini_entry(filling->section, option->name);
  struct cof_error why = {.text = "out of memory"};
  char expected[OPTION_EXPECTED_MAX];
  if (entry == NULL) {
    if ((option->flags & COF_OPT_REQUIRED) != 0) {
      section_blame(filling, filling->section->line,
                    "[%s] has no '%s', which is required; expected %s", filling->section->name,
                    option->name, option_expected(option, expected));
      mark_unusable(filling, option);
    }
    return true;
  }
  const char *text = option->type == COF_OPT_LIST ? join_values(filling, entry) : entry->value;
  enum cof_result result = text == NULL ? COF_FATAL : COF_OK;
  if (result == COF_OK && option->type == COF_OPT_SECRET)
    result = secret_of(filling, entry, &text, &why);
  if (result == COF_OK)
    result = option_parse(option, text, filling->values, filling->memory, &why);
  if (result == COF_REJECT) {
    bad_value(filling, option, entry, &why);
    mark_unusable(filling, option);
  }
  return result != COF_FATAL;
}

/* Fill a structure from a section; mistakes go to problems. @return false when out of memory */
bool section_fill(const struct filling *filling)
{
  struct cof_error why;
  check_entries(filling);
  if (option_defaults(filling->table, filling->values, filling->memory, &why) != COF_OK)
    return false;
  for (const struct cof_option *o = filling->table; o != NULL && o->name != NULL; o++)
    if (!fill_option(filling, o))
      return false;
  return true;
}

/* Lets a plugin's check() name an option, and adds its line. */
struct section_diag {
  struct cof_diag diag;
  const struct filling *filling;
  bool clean;
};

bool section_is_wrong(const struct filling *filling, const char *name)
{
  const struct cof_option *option = option_find(filling->table, name);
  return option != NULL && filling->unusable[option - filling->table];
}

static void report(struct cof_diag *diag, const char *option, const char *text)
{
  const struct section_diag *self = (struct section_diag *)diag;
  const struct filling *filling = self->filling;
  const struct ini_entry *entry = option != NULL ? ini_entry(filling->section, option) : NULL;
  if (!self->clean && (entry == NULL || section_is_wrong(filling, option)))
    return;
  int line = entry != NULL ? entry->line : filling->section->line;
  if (option != NULL)
    section_blame(filling, line, "%s: %s", option, text);
  else
    section_blame(filling, line, "[%s] %s", filling->section->name, text);
}

/* A plugin need not expect that a required option is not there. */
static bool has_required(const struct filling *filling)
{
  for (const struct cof_option *o = filling->table; o != NULL && o->name != NULL; o++)
    if ((o->flags & COF_OPT_REQUIRED) != 0 && filling->unusable[o - filling->table])
      return false;
  return true;
}

void section_check(const struct filling *filling, const struct cof_plugin *plugin, bool clean)
{
  if (plugin->check == NULL || !has_required(filling))
    return;
  size_t errors = problems_errors(filling->problems);
  struct section_diag diag = {{report}, filling, clean};
  const struct guard_owner *owner = guard_register(filling->section->name, plugin->name, plugin);
  struct guard_call before = guard_enter(owner, "check()");
  enum cof_result result = plugin->check(filling->values, &diag.diag);
  guard_leave(before);
  guard_unregister(&owner);
  if (clean && result != COF_OK && problems_errors(filling->problems) == errors)
    section_blame(
        filling, filling->section->line,
        "[%s] is refused by plugin '%s' without a reason (%s); that is a fault of the plugin",
        filling->section->name, plugin->name, cof_result_name(result));
}
