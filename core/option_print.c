/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "option_private.h"

#include <ctype.h>
#include <string.h>

static void print_wrapped(FILE *out, unsigned indent, const char *text)
{
  size_t column = 0;
  while (*text != '\0') {
    size_t len = strcspn(text, " \n");
    if (column > 0 && column + 1 + len > 80) {
      fputc('\n', out);
      column = 0;
    }
    if (len > 0) {
      column +=
          column == 0 ? (size_t)fprintf(out, "%*s", (int)indent, "") : (size_t)fprintf(out, " ");
      column += fwrite(text, 1, len, out);
    }
    text += len;
    text += strspn(text, " \n");
  }
  fputc('\n', out);
}

static const char *type_word(enum cof_opt_type type)
{
  static const char *const words[] = {"",       "TEXT",     "NUMBER",   "yes|no",
                                      "CHOICE", "DURATION", "BYTES",    "HOST:PORT",
                                      "PATH",   "SECRET",   "TEXT, ..."};
  return words[type];
}

static const char *default_text(const struct cof_option *option)
{
  if (option->dflt != NULL)
    return option->type == COF_OPT_SECRET ? "not shown" : option->dflt;
  if (option->type == COF_OPT_INT || option->type == COF_OPT_DURATION ||
      option->type == COF_OPT_BYTES)
    return "0";
  if (option->type == COF_OPT_BOOL)
    return "no";
  return option->type == COF_OPT_ENUM ? option->choices[0] : "none";
}

/* "1 to 16 records; default 4; takes effect on reload" */
static void print_facts(FILE *out, const struct cof_option *option)
{
  char facts[1024], expected[OPTION_EXPECTED_MAX];
  bool number = option->type == COF_OPT_INT && option_is_bounded(option);
  size_t used = (size_t)snprintf(facts, sizeof facts, "%s%s", number ? "A number, " : "",
                                 option_expected(option, expected));
  facts[0] = (char)toupper((unsigned char)facts[0]);
  bool states_unit = option->unit != NULL && option->unit[0] != '\0' &&
                     (option->type == COF_OPT_INT || option->type == COF_OPT_LIST);
  if (states_unit)
    used += (size_t)snprintf(facts + used, sizeof facts - used, " (%.60s)", option->unit);
  if ((option->flags & COF_OPT_REQUIRED) != 0)
    used += (size_t)snprintf(facts + used, sizeof facts - used, "; required");
  else
    used += (size_t)snprintf(facts + used, sizeof facts - used, "; default: %.300s",
                             default_text(option));
  if ((option->flags & COF_OPT_MULTI) != 0)
    used += (size_t)snprintf(facts + used, sizeof facts - used, "; may be repeated");
  if ((option->flags & COF_OPT_RELOADABLE) != 0)
    used += (size_t)snprintf(facts + used, sizeof facts - used, "; taken anew on SIGHUP");
  if ((option->flags & COF_OPT_DEPRECATED) != 0)
    snprintf(facts + used, sizeof facts - used, "; deprecated");
  print_wrapped(out, 6, facts);
}

void option_print(FILE *out, const struct cof_option *option)
{
  fprintf(out, "  %s = %s\n", option->name, type_word(option->type));
  print_wrapped(out, 6, option->help);
  print_facts(out, option);
}
