/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Where the text of a COF_OPT_SECRET comes from: a file, a credential of systemd, or the
 * configuration file itself, as long as that one is kept from others.
 */
#ifndef COFD_SECRET_PRIVATE_H
#define COFD_SECRET_PRIVATE_H

#include <stdbool.h>
#include <sys/types.h>

#include <cofd/result.h>

#include "memory_private.h"

/** Most octets of the first line of a file that holds a secret. */
#define SECRET_OCTETS_MAX 4096

/** Where a value of a secret stands. */
struct secret_place {
  bool command_line; /**< where everybody's `ps` shows it */
  mode_t mode;       /**< of the file; 0: not a regular file */
};

/**
 * The secret that a value means: `@PATH` (with a slash) the first line of a file, `@NAME` that of
 * the credential NAME, `@@TEXT` the text @TEXT, all else itself.
 * @param memory  takes the secret
 * @return COF_OK; COF_REJECT with what is wrong, in which neither the value nor the secret is;
 *         COF_FATAL: out of memory
 */
enum cof_result secret_resolve(const char *value, const struct secret_place *place,
                               const char **secret, struct conf_memory **memory,
                               struct cof_error *err);

#endif
