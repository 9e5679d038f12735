/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Configuration files: arbitrary octets through the whole reader. No plugin is installed, so that
 * the values of instances are tried on a table of their own, line by line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/conf_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
  char *text;
  int64_t number, pause, size;
  bool flag;
  int choice;
  struct cof_endpoint listen;
  struct cof_list names;
};

static const char *const choices[] = {"red", "green", NULL};

static const struct cof_option options[] = {
    {.name = "text", .help = "T.", .type = COF_OPT_STR, COF_FIELD(struct values, text)},
    {.name = "number",
     .help = "N.",
     .type = COF_OPT_INT,
     .min = -5,
     .max = 5,
     COF_FIELD(struct values, number)},
    {.name = "pause", .help = "P.", .type = COF_OPT_DURATION, COF_FIELD(struct values, pause)},
    {.name = "size", .help = "S.", .type = COF_OPT_BYTES, COF_FIELD(struct values, size)},
    {.name = "flag", .help = "F.", .type = COF_OPT_BOOL, COF_FIELD(struct values, flag)},
    {.name = "choice",
     .help = "C.",
     .type = COF_OPT_ENUM,
     .choices = choices,
     COF_FIELD(struct values, choice)},
    {.name = "listen", .help = "L.", .type = COF_OPT_ADDR, COF_FIELD(struct values, listen)},
    {.name = "names",
     .help = "N.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI,
     .min = 0,
     .max = 8,
     COF_FIELD(struct values, names)},
    {0}};

static const struct cof_plugin plugin = {COF_PLUGIN_HEADER, .kind = COF_KIND_INPUT, .name = "fuzz",
                                         .options = options, .conf_size = sizeof(struct values)};

static void need(int condition)
{
  if (!condition)
    abort();
}

static void read_file(const uint8_t *data, size_t size, struct problems *problems)
{
  struct loader *loader = loader_create("");
  FILE *stream = fmemopen((void *)(uintptr_t)data, size, "r");
  need(loader != NULL && stream != NULL);
  struct conf *conf = conf_read_stream(stream, "fuzz", loader, NULL, 0, problems);
  /* Without a plugin there is no instance, and so no route that could be right. */
  need(conf == NULL && problems_errors(problems) > 0);
  for (size_t i = 0; i < problems_count(problems); i++)
    need(strlen(problems_text(problems, i)) > 0);
  fclose(stream);
  loader_destroy(&loader);
}

static void read_values(const uint8_t *data, size_t size, struct problems *problems)
{
  char *text = calloc(1, size + 1);
  const char *lines[64];
  size_t count = 0;
  need(text != NULL);
  memcpy(text, data, size);
  char *rest = text, *line;
  while (count < 64 && (line = strsep(&rest, "\n")) != NULL)
    lines[count++] = line;
  struct conf_memory *memory = NULL;
  size_t errors = problems_errors(problems);
  const struct values *values =
      conf_defaults(&plugin, "input.fuzz", lines, count, &memory, problems);
  need((values != NULL) == (problems_errors(problems) == errors));
  if (values != NULL)
    need(values->number >= -5 && values->number <= 5 && values->names.count <= 8 &&
         values->pause >= 0 && values->size >= 0 && values->choice >= 0 && values->choice < 2);
  conf_memory_free(&memory);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct problems *problems = problems_create();
  need(problems != NULL);
  if (size > 0)
    read_file(data, size, problems);
  read_values(data, size, problems);
  problems_destroy(&problems);
  return 0;
}
