/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Typed options: everything that an option table drives. Pure but for the memory they are given.
 */
#ifndef COFD_OPTION_PRIVATE_H
#define COFD_OPTION_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cofd/option.h>
#include <cofd/plugin.h>

#include "memory_private.h"

/** Most options of one table. */
#define OPTION_TABLE_MAX 256
/** Most octets of the structure that a table fills. */
#define OPTION_CONF_MAX (1024 * 1024)
/** Room for what option_expected writes. */
#define OPTION_EXPECTED_MAX 192

/** Options of a table, which may be NULL. */
size_t option_count(const struct cof_option *table);

/** The option of that name, or NULL; `table` may be NULL. */
const struct cof_option *option_find(const struct cof_option *table, const char *name);

/** Whether `min` and `max` mean anything. */
bool option_is_bounded(const struct cof_option *option);

/**
 * Parse a text into the option's field of `conf`. The lines of a list come joined by commas.
 * @param memory  takes what the value points to
 * @return COF_OK; COF_REJECT: "not a number; expected 1 to 16"; COF_FATAL: out of memory
 */
enum cof_result option_parse(const struct cof_option *option, const char *text, void *conf,
                             struct conf_memory **memory, struct cof_error *err);

/** What a value must look like: "1 to 16", "a duration such as 10s, 10ms to 1h". @return `out` */
const char *option_expected(const struct cof_option *option, char out[OPTION_EXPECTED_MAX]);

/** Write the defaults of a whole table; returns as option_parse does. */
enum cof_result option_defaults(const struct cof_option *table, void *conf,
                                struct conf_memory **memory, struct cof_error *err);

/** Whether two structures hold the same value in the option's field. */
bool option_equal(const struct cof_option *option, const void *a, const void *b);

/** Copy the option's field; what it points to is shared. */
void option_copy(const struct cof_option *option, const void *from, void *to);

/**
 * Check a table itself: names, types against sizes, fields within `conf_size` octets and apart from
 * each other, bounds, choices, flags, and that each default is a valid value.
 * @param reloads  whether there is a reload() for reloadable options
 * @return COF_OK, or COF_REJECT naming the option
 */
enum cof_result option_check_table(const struct cof_option *table, size_t conf_size, bool reloads,
                                   struct cof_error *err);

/** Print one option as `cofd plugins NAME` shows it. */
void option_print(FILE *out, const struct cof_option *option);

#endif
