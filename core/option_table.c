/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "option_private.h"

#include <string.h>

/* Size and alignment of the field that a type fills; 0 for an unknown type. */
static size_t type_size(enum cof_opt_type type, size_t *align)
{
  switch (type) {
  case COF_OPT_STR:
  case COF_OPT_PATH:
  case COF_OPT_SECRET:
    *align = _Alignof(char *);
    return sizeof(char *);
  case COF_OPT_INT:
  case COF_OPT_DURATION:
  case COF_OPT_BYTES:
    *align = _Alignof(int64_t);
    return sizeof(int64_t);
  case COF_OPT_BOOL:
    *align = _Alignof(bool);
    return sizeof(bool);
  case COF_OPT_ENUM:
    *align = _Alignof(int);
    return sizeof(int);
  case COF_OPT_ADDR:
    *align = _Alignof(struct cof_endpoint);
    return sizeof(struct cof_endpoint);
  case COF_OPT_LIST:
    *align = _Alignof(struct cof_list);
    return sizeof(struct cof_list);
  }
  return 0;
}

static enum cof_result check_field(const struct cof_option *option, size_t conf_size,
                                   struct cof_error *err)
{
  size_t align = 1, size = type_size(option->type, &align);
  if (size == 0)
    return cof_fail(err, COF_REJECT, "option '%s': type %d is unknown to this host", option->name,
                    (int)option->type);
  if (option->size != size)
    return cof_fail(err, COF_REJECT,
                    "option '%s': its field has %zu octets, its type needs %zu; use COF_FIELD",
                    option->name, option->size, size);
  if (option->offset > conf_size || size > conf_size - option->offset ||
      option->offset % align != 0)
    return cof_fail(err, COF_REJECT,
                    "option '%s': its field at offset %zu is not within conf_size (%zu)",
                    option->name, option->offset, conf_size);
  return COF_OK;
}

static bool is_option_name(const char *name)
{
  size_t len = strlen(name);
  return len > 0 && len <= 48 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* What is wrong with properties that do not fit each other; NULL: nothing. */
static const char *flag_fault(const struct cof_option *option, bool reloads)
{
  const uint32_t known = COF_OPT_REQUIRED | COF_OPT_RELOADABLE | COF_OPT_MULTI | COF_OPT_DEPRECATED;
  if ((option->flags & ~known) != 0)
    return "has unknown flags";
  if ((option->flags & COF_OPT_REQUIRED) != 0 && option->dflt != NULL)
    return "is required and has a default; remove one of the two";
  if ((option->flags & COF_OPT_MULTI) != 0 && option->type != COF_OPT_LIST)
    return "is COF_OPT_MULTI and no list";
  if ((option->flags & COF_OPT_RELOADABLE) != 0 && !reloads)
    return "is COF_OPT_RELOADABLE, and the plugin has no reload()";
  if (option->min > option->max)
    return "has a min above its max";
  if (option->type == COF_OPT_ENUM && (option->choices == NULL || option->choices[0] == NULL))
    return "is an ENUM without choices";
  if (option->help == NULL || option->help[0] == '\0')
    return "has no help";
  return NULL;
}

static enum cof_result check_default(const struct cof_option *option, size_t conf_size,
                                     struct cof_error *err)
{
  if (option->dflt == NULL)
    return COF_OK;
  struct conf_memory *memory = NULL;
  struct cof_error why;
  void *conf = conf_memory_alloc(&memory, conf_size);
  enum cof_result result = conf == NULL ? cof_fail(&why, COF_FATAL, "out of memory")
                                        : option_parse(option, option->dflt, conf, &memory, &why);
  conf_memory_free(&memory);
  if (result != COF_OK)
    return cof_fail(err, result, "option '%s': its default '%s' is %s", option->name, option->dflt,
                    why.text);
  return COF_OK;
}

static enum cof_result check_apart(const struct cof_option *table, const struct cof_option *option,
                                   struct cof_error *err)
{
  for (const struct cof_option *other = table; other < option; other++) {
    if (strcmp(other->name, option->name) == 0)
      return cof_fail(err, COF_REJECT, "option '%s' is in the table twice", option->name);
    if (option->offset < other->offset + other->size &&
        other->offset < option->offset + option->size)
      return cof_fail(err, COF_REJECT, "options '%s' and '%s' fill the same field", other->name,
                      option->name);
  }
  return COF_OK;
}

static enum cof_result check_option(const struct cof_option *table, const struct cof_option *option,
                                    size_t conf_size, bool reloads, struct cof_error *err)
{
  if (!is_option_name(option->name))
    return cof_fail(err, COF_REJECT,
                    "option '%.48s': a name has 1 to 48 lower case letters, digits, underscores",
                    option->name);
  if (strcmp(option->name, "plugin") == 0)
    return cof_fail(err, COF_REJECT, "option 'plugin': the name is the host's own");
  enum cof_result result = check_field(option, conf_size, err);
  if (result != COF_OK)
    return result;
  const char *fault = flag_fault(option, reloads);
  if (fault != NULL)
    return cof_fail(err, COF_REJECT, "option '%s' %s", option->name, fault);
  result = check_apart(table, option, err);
  return result == COF_OK ? check_default(option, conf_size, err) : result;
}

enum cof_result option_check_table(const struct cof_option *table, size_t conf_size, bool reloads,
                                   struct cof_error *err)
{
  if (conf_size > OPTION_CONF_MAX)
    return cof_fail(err, COF_REJECT, "conf_size is %zu; expected at most %d", conf_size,
                    OPTION_CONF_MAX);
  for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
    if (i == OPTION_TABLE_MAX)
      return cof_fail(err, COF_REJECT,
                      "more than %d options; end the table with an element of name NULL",
                      OPTION_TABLE_MAX);
    enum cof_result result = check_option(table, &table[i], conf_size, reloads, err);
    if (result != COF_OK)
      return result;
  }
  return COF_OK;
}
