/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * One section of the configuration into the structure that its option table describes.
 */
#ifndef COFD_SECTION_PRIVATE_H
#define COFD_SECTION_PRIVATE_H

#include <stdbool.h>

#include "conf_private.h"
#include "ini_private.h"
#include "secret_private.h"

/** What messages call the place of texts that come from the command line. */
#define COMMAND_LINE "command line"
/** Most octets of a value that a message shows. */
#define SHOWN 60

/** One section being filled in; all is borrowed. */
struct filling {
  const struct ini_section *section;
  const char *file;
  const char *reserved; /* key that is not in the table */
  const struct cof_option *table;
  const char *reference; /* "storage/rocksdb": where all options are listed, or NULL */
  mode_t mode;           /* of the file; 0: not a regular one */
  void *values;
  struct conf_memory **memory;
  struct problems *problems;
  bool *unusable; /* by place in the table: wrong, or required and missing; NULL: not asked for */
};

/**
 * Fill a structure from a section: defaults first, then what is given. Mistakes go to problems.
 * @return false when out of memory
 */
bool section_fill(const struct filling *filling);

/**
 * The plugin's own check, across its options, after section_fill().
 * @param clean  whether that found no mistake. If it did, only what the plugin says of options that
 *               are given, and that are right in themselves, is reported: the rest may follow from
 *               the mistake.
 */
void section_check(const struct filling *filling, const struct cof_plugin *plugin, bool clean);

/** Whether what the section gives for an option is wrong, or missing though required. */
bool section_is_wrong(const struct filling *filling, const char *option);

/** Report a mistake in a line of the section; line 0 is the command line. */
void section_blame(const struct filling *filling, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** The file for a line, the command line for line 0. */
const char *section_place(const char *file, int line);

#endif
