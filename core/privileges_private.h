/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * From root to the user of [cofd], in two steps. The first is taken before plugins are loaded and
 * the configuration is read: all files are opened and made as that user, and of root's power only
 * binding ports below 1024 is left. The second, when everything has started, gives that up too, in
 * all threads. Main thread only.
 */
#ifndef COFD_PRIVILEGES_PRIVATE_H
#define COFD_PRIVILEGES_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cofd/result.h>

/** Room for what privileges_blame() writes. */
#define PRIVILEGES_BLAME_MAX 512

/**
 * Whether there are such a user and group, and whether they are none of root's.
 * @param user,group  as in [cofd]; NULL: not given
 * @param option      set on failure to the name of the option that is wrong
 * @return COF_OK, or COF_REJECT saying why not
 */
enum cof_result privileges_check(const char *user, const char *group, const char **option,
                                 struct cof_error *err);

/** Whether this process is root, and so can become another user. */
bool privileges_root(void);

/**
 * The first step: become that user with its groups, for good but for what privileges_end() gives
 * up. Nothing happens when no user is given, or when the process is that user already.
 * @param ports  whether ports below 1024 are bound later; false: the second step at once
 * @return COF_OK, or COF_REJECT with the reason: then the process must end
 */
enum cof_result privileges_begin(const char *user, const char *group, bool ports,
                                 struct cof_error *err);

/**
 * The second step, which nothing undoes. Any number of times; nothing happens without the first.
 * @return false with the reason logged: then the process must end
 */
bool privileges_end(void);

/**
 * Whose a file is that could not be used, and who asks: "; it belongs to root:root (0755), and cofd
 * runs as www-data". Empty when that is not why. For what is not there, about its directory.
 * @param error  errno of the attempt
 * @return `out`
 */
const char *privileges_blame(const char *path, int error, char out[PRIVILEGES_BLAME_MAX]);

#endif
