/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "conf_private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Beyond this many a file is no configuration; the rest is counted only. */
#define PROBLEMS_MAX 1000

struct problem {
  int line;
  char *text;
};

struct problems {
  struct problem *items; /* sorted by line */
  size_t count, cap, errors;
  bool full; /* nothing more is kept */
};

struct problems *problems_create(void)
{
  return calloc(1, sizeof(struct problems));
}

void problems_destroy(struct problems **problems)
{
  if (problems == NULL || *problems == NULL)
    return;
  for (size_t i = 0; i < (*problems)->count; i++)
    free((*problems)->items[i].text);
  free((*problems)->items);
  free(*problems);
  *problems = NULL;
}

/* Takes over `text`, and puts it behind all of its line and of those before. */
static void keep(struct problems *problems, int line, char *text)
{
  if (problems->count == problems->cap) {
    size_t cap = problems->cap == 0 ? 16 : problems->cap * 2;
    struct problem *items = realloc(problems->items, cap * sizeof *items);
    if (items == NULL) {
      free(text);
      problems->full = true;
      return;
    }
    problems->items = items;
    problems->cap = cap;
  }
  size_t place = problems->count++;
  for (; place > 0 && problems->items[place - 1].line > line; place--)
    problems->items[place] = problems->items[place - 1];
  problems->items[place] = (struct problem){line, text};
}

/* Terminals act on control octets, and the texts quote what a file holds. */
static void tame(char *text)
{
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f)
      *text = '?';
}

static void add_text(struct problems *problems, bool warning, const char *file, int line,
                     const char *what)
{
  const char *word = warning ? "warning" : "error";
  char *text = NULL;
  int len = line > 0 ? asprintf(&text, "%s:%d: %s: %s", file, line, word, what)
                     : asprintf(&text, "%s: %s: %s", file, word, what);
  if (len < 0) {
    problems->full = true;
    return;
  }
  tame(text);
  keep(problems, line, text);
}

void problems_add(struct problems *problems, bool warning, const char *file, int line,
                  const char *fmt, ...)
{
  if (!warning)
    problems->errors++;
  if (problems->full)
    return;
  if (problems->count == PROBLEMS_MAX) {
    problems->full = true;
    add_text(problems, true, file, 0, "more mistakes than are shown here");
    return;
  }
  char *what = NULL;
  va_list ap;
  va_start(ap, fmt);
  int len = vasprintf(&what, fmt, ap);
  va_end(ap);
  add_text(problems, warning, file, line, len < 0 ? "out of memory" : what);
  if (len >= 0)
    free(what);
}

size_t problems_errors(const struct problems *problems)
{
  return problems->errors;
}

size_t problems_count(const struct problems *problems)
{
  return problems->count;
}

const char *problems_text(const struct problems *problems, size_t index)
{
  return problems->items[index].text;
}
