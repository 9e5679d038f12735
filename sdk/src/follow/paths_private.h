/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What the option `path` names: files, globs, directories, and `-` for standard input.
 */
#ifndef COFD_FOLLOW_PATHS_PRIVATE_H
#define COFD_FOLLOW_PATHS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cofd/host.h>

struct path_list {
  char **items;
  size_t count, room;
};

void path_list_free(struct path_list *list);
bool path_list_add(struct path_list *list, const char *path);

/** Whether this stands for standard input. */
bool path_is_stdin(const char *spec);

/**
 * Add the files that a spec names now, in the order of their names. A name that exists is taken as
 * it is; else it is a glob. A directory stands for the files in it that are not hidden.
 * @param log_errors  whether directories that cannot be read are logged
 * @return false when out of memory
 */
bool paths_expand(struct cof_host *host, const char *spec, bool log_errors, struct path_list *list);

/** Whether a spec has to be looked up among existing names: it is a glob or a directory. */
bool path_is_pattern(const char *spec);

/** Whether a spec names this file, without looking whether it exists. */
bool path_matches(const char *spec, const char *path);

/**
 * Add the directories in which files that a spec names appear and vanish. Where one does not exist,
 * its nearest ancestor that does.
 * @return false when out of memory
 */
bool paths_directories(const char *spec, struct path_list *list);

/** Name of a file in a directory as paths_expand() spells it. @return owned by the caller or NULL
 */
char *path_join(const char *directory, const char *name);

#endif
