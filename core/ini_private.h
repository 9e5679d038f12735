/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * An INI file as it was written: sections, keys and values with their lines, nothing judged yet.
 * Reading is inih's; what inih passes over in silence (a broken line after the first, an empty
 * section, a line beyond its buffer) is noticed here. Main thread only: inih has global settings.
 */
#ifndef COFD_INI_PRIVATE_H
#define COFD_INI_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf_private.h"
#include "memory_private.h"

#define INI_FILE_LINE_MAX 65536         /**< octets of a line */
#define INI_FILE_MAX      (1024 * 1024) /**< octets of a file */
#define INI_SECTIONS_MAX  1024          /**< sections of a file */
#define INI_KEYS_MAX      1024          /**< keys of a section */

/** A key with its value; or, in the list `more`, an indented line that continues it. */
struct ini_entry {
  struct ini_entry *next;
  const char *key, *value;
  int line; /**< 0: laid over the file by the command line */
  struct ini_entry *more, **more_end;
};

struct ini_section {
  struct ini_section *next;
  const char *name; /**< between the brackets */
  int line;
  struct ini_entry *entries, **entries_end;
  size_t count;
};

struct ini {
  const char *file; /**< name for messages */
  struct ini_section *sections, **sections_end;
  size_t count;
};

/**
 * Read a stream.
 * @param memory  takes everything that `ini` points to
 * @return false when it could not be read at all; broken lines are in `problems` only
 */
bool ini_read(FILE *stream, const char *file, struct ini *ini, struct conf_memory **memory,
              struct problems *problems);

/** The section of that name, or NULL. */
struct ini_section *ini_section(const struct ini *ini, const char *name);

/** First entry with that key, or NULL. */
struct ini_entry *ini_entry(const struct ini_section *section, const char *key);

/**
 * Set a key in place of all entries that the file has for it.
 * @return false when out of memory
 */
bool ini_override(struct ini_section *section, const char *key, size_t key_len, const char *value,
                  struct conf_memory **memory);

#endif
