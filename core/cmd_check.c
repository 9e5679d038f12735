/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "cli_private.h"

#include <stdio.h>

#include "privileges_private.h"

static const char *plural(size_t count)
{
  return count == 1 ? "" : "s";
}

static void print_summary(const struct conf *conf)
{
  printf("%s: ok (%zu instance%s, %zu chain%s)\n", conf->file, conf->instances_count,
         plural(conf->instances_count), conf->chains_count, plural(conf->chains_count));
}

/* Root is asked what the user of the file would find. Whoever else asks is told of the file alone,
 * as is root of one whose user is wrong. */
static bool judge_as_user(const struct host_conf *host)
{
  struct cof_error why;
  const char *option;
  if (!privileges_root() || privileges_check(host->user, host->group, &option, &why) != COF_OK)
    return true;
  if (privileges_begin(host->user, host->group, false, &why) == COF_OK)
    return true;
  fprintf(stderr, "cofd: %s\n", why.text);
  return false;
}

static int check(const struct cli *cli, struct problems *problems)
{
  struct host_conf host;
  struct conf_memory *memory = NULL;
  struct loader *loader = NULL;
  struct conf *conf = NULL;
  int status = 1;
  if (conf_read_host(cli->conf_file, &host, &memory, problems) && judge_as_user(&host) &&
      (loader = cli_loader(cli, &host)) != NULL)
    conf = conf_read(cli->conf_file, loader, NULL, 0, problems);
  cli_print_problems(problems);
  if (conf != NULL) {
    print_summary(conf);
    status = fflush(stdout) == 0 ? 0 : 1;
  }
  conf_destroy(&conf);
  loader_destroy(&loader);
  conf_memory_free(&memory);
  return status;
}

int cmd_check(const struct cli *cli)
{
  struct problems *problems = problems_create();
  if (problems == NULL) {
    fprintf(stderr, "cofd: out of memory\n");
    return 1;
  }
  int status = check(cli, problems);
  problems_destroy(&problems);
  return status;
}
