/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * "Did you mean": the candidate nearest to a mistyped word.
 */
#ifndef COFD_SUGGEST_PRIVATE_H
#define COFD_SUGGEST_PRIVATE_H

#include <stddef.h>

/** Words longer than this are never compared. */
#define SUGGEST_WORD_MAX 64

/** A search in progress. */
struct suggest {
  const char *word; /**< borrowed until the end */
  const char *best; /**< nearest candidate so far, borrowed; NULL: none near enough */
  size_t distance;  /**< of `best` */
};

void suggest_begin(struct suggest *search, const char *word);

/** Compare one more candidate; of equally near ones the first is kept. */
void suggest_offer(struct suggest *search, const char *candidate);

/**
 * Number of insertions, deletions, replacements and swaps of neighbours between two words, case
 * aside (optimal string alignment distance); SIZE_MAX for words beyond SUGGEST_WORD_MAX.
 */
size_t suggest_distance(const char *a, const char *b);

#endif
