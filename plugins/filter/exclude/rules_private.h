/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A set of exclusions, looked up in time that does not depend on their number. Filled once, then
 * sealed, then read by any number of threads.
 */
#ifndef EXCLUDE_RULES_PRIVATE_H
#define EXCLUDE_RULES_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cofd/plugin.h>

/** Most entries of one kind. */
#define RULES_MAX 4000000u
/** Most octets of all substrings together; bounds the automaton. */
#define SUBSTRINGS_MAX ((size_t)256 * 1024)

/** Why a record is excluded. */
enum reason { REASON_NONE, REASON_SUFFIX, REASON_SUBSTRING, REASON_NETWORK, REASONS };

struct rules;
struct rules *rules_create(void) __attribute__((warn_unused_result));
void rules_destroy(struct rules **rules);

/** Add one entry. @return COF_OK; COF_REJECT with what is wrong; COF_FATAL when out of memory */
enum cof_result rules_add_suffix(struct rules *rules, const char *text, struct cof_error *err);
enum cof_result rules_add_substring(struct rules *rules, const char *text, struct cof_error *err);
enum cof_result rules_add_network(struct rules *rules, const char *text, struct cof_error *err);

/**
 * Add every entry of a file.
 * @param mistake  called for each line that is wrong, with a text that names file and line
 * @return COF_OK; COF_REJECT after at least one mistake; COF_FATAL when out of memory (said through
 *         `mistake` too)
 */
enum cof_result rules_add_file(struct rules *rules, const char *path,
                               void (*mistake)(void *arg, const char *text), void *arg);

/** No more will be added. @return COF_OK or COF_FATAL when out of memory */
enum cof_result rules_seal(struct rules *rules);

/** Whether a record is excluded, and why. Thread safe once sealed. */
enum reason rules_match(const struct rules *rules, const struct cof_record *record);

/** Entries of one kind; networks are counted after overlapping ones were merged. */
size_t rules_count(const struct rules *rules, enum reason kind);

#endif
