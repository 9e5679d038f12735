/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "cli_private.h"

#include <stdio.h>

struct loader *cli_loader(const struct cli *cli, const struct host_conf *host)
{
  const char *path = cli->plugin_path != NULL ? cli->plugin_path : host->plugin_path;
  struct loader *loader = loader_create(path);
  if (loader == NULL)
    fprintf(stderr, "cofd: out of memory, or libltdl does not start\n");
  return loader;
}

void cli_print_problems(const struct problems *problems)
{
  for (size_t i = 0; i < problems_count(problems); i++)
    fprintf(stderr, "%s\n", problems_text(problems, i));
}
