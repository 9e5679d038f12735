/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Tells when files and directories change, by inotify.
 */
#ifndef COFD_FOLLOW_WATCH_PRIVATE_H
#define COFD_FOLLOW_WATCH_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cofd/host.h>

enum watch_event {
  WATCH_DATA, /**< the file was written to */
  WATCH_NAME, /**< the file appeared, vanished, or changed its permissions */
  WATCH_TREE  /**< a directory did, or events were lost; there is no path */
};

typedef void (*watch_fn)(void *arg, enum watch_event event, const char *path);

struct watch;

/** @return owned by the caller; NULL after logging why there is none */
struct watch *watch_create(struct cof_host *host) __attribute__((warn_unused_result));
void watch_destroy(struct watch **watch);

/** Descriptor that is readable when there are events. */
int watch_fd(const struct watch *watch);

/**
 * Watch the files of a directory ("" is the working directory), or one file that a symbolic link
 * leads to. Doing so again is harmless.
 * @return false when changes will not be told: the reason is logged once, and the caller has to
 *         look for itself
 */
bool watch_directory(struct watch *watch, const char *path);
bool watch_file(struct watch *watch, const char *path);

/** Give all events that are there to `fn`. */
void watch_read(struct watch *watch, watch_fn fn, void *arg);

#endif
