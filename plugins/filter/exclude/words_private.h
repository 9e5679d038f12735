/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Finds whether a text contains any of many words, in one pass over the text: the automaton of Aho
 * and Corasick, over classes of octets so that its table stays small.
 */
#ifndef EXCLUDE_WORDS_PRIVATE_H
#define EXCLUDE_WORDS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

struct words;

/**
 * Build the automaton.
 * @param texts  NUL-terminated, none of them empty
 * @param count  at least 1
 * @return owned by the caller, or NULL when out of memory
 */
struct words *words_create(const char *const *texts, size_t count)
    __attribute__((warn_unused_result));
void words_destroy(struct words **words);

/** Whether one of the words occurs in the text. Thread safe. */
bool words_found(const struct words *words, const char *text, size_t len);

#endif
