/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The commands of cofd(8). Each returns the exit status of the process: 0 done, 1 failed, 2 wrong
 * usage.
 */
#ifndef COFD_CLI_PRIVATE_H
#define COFD_CLI_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf_private.h"
#include "loader_private.h"

/** What the command line said. */
struct cli {
  const char *conf_file;   /**< -c FILE; default SYSCONFDIR/cofd/cofd.conf */
  bool conf_file_given;    /**< -c was there */
  const char *plugin_path; /**< -p DIR[:DIR…]; NULL: see loader_create and [cofd] plugin_path */
  const char *chain;       /**< --chain NAME (import) */
  const char **settings;   /**< -o KEY=VALUE (import: of the input), in order */
  size_t settings_count;
  const char *from, *to;       /**< --from, --to STORAGE (migrate, export) */
  const char *state_file;      /**< --state FILE (migrate, export) */
  const char *rrtypes;         /**< --rrtype LIST (export) */
  const char *under;           /**< --under DOMAIN (export) */
  const char *time_last_after; /**< --time-last-after TIME (export) */
  const char *output;          /**< -o FILE (export) */
  char *const *args;           /**< what follows the options */
  int args_count;
};

/**
 * The loader for a command: searches -p, else [cofd] plugin_path, else as loader_create says.
 * @return owned by the caller, or NULL with the reason on stderr
 */
struct loader *cli_loader(const struct cli *cli, const struct host_conf *host);

/** Print every problem on stderr, one a line. */
void cli_print_problems(const struct problems *problems);

int cmd_check(const struct cli *cli);
int cmd_plugins(const struct cli *cli);
/** For `cofd plugin`: prints how it is used. */
int cmd_plugin(const struct cli *cli);
/** The whole of `cofd plugin`; argv[0] is "plugin". */
int cmd_plugin_main(int argc, char **argv);
int cmd_version(const struct cli *cli);
int cmd_run(const struct cli *cli);     /**< core/run.c */
int cmd_import(const struct cli *cli);  /**< core/import.c */
int cmd_migrate(const struct cli *cli); /**< core/migrate.c */
int cmd_export(const struct cli *cli);  /**< core/export.c */

#endif
