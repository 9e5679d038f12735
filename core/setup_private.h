/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * From a command line to a checked configuration, as every command that runs a chain needs it.
 */
#ifndef COFD_SETUP_PRIVATE_H
#define COFD_SETUP_PRIVATE_H

#include <stdbool.h>

#include "cli_private.h"
#include "conf_private.h"
#include "loader_private.h"

/**
 * Read [cofd], set up the log, become its user, make a loader.
 * @param ports  see privileges_begin()
 * @return owned by the caller, or NULL with the reason on stderr
 */
struct loader *setup_loader(const struct cli *cli, bool ports);

/**
 * Read and check the configuration; mistakes go to stderr.
 * @param overrides  see conf_read
 * @return owned by the caller, or NULL
 */
struct conf *setup_conf(const struct cli *cli, struct loader *loader, const char *const *overrides,
                        size_t overrides_count);

/**
 * Block SIGTERM, SIGINT and SIGHUP in this thread and those it will make, ignore SIGPIPE.
 * @return a descriptor to read struct signalfd_siginfo from, or -1 with the reason logged
 */
int setup_signals(void);
/**
 * Give SIGTERM and SIGINT their usual effect again, so that a second one ends the process at once.
 * SIGHUP stays blocked: a request to reload must not cut a stop short.
 */
void setup_signals_default(int *fd);
/** Number of the next signal, 0 when there is none. */
int setup_next_signal(int fd);

#endif
