/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "suggest_private.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static size_t min3(size_t a, size_t b, size_t c)
{
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

static int same(char a, char b)
{
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t suggest_distance(const char *a, const char *b)
{
  size_t a_len = strlen(a), b_len = strlen(b);
  if (a_len > SUGGEST_WORD_MAX || b_len > SUGGEST_WORD_MAX)
    return SIZE_MAX;
  /* Three rows suffice: a swap of neighbours looks two rows back. */
  size_t rows[3][SUGGEST_WORD_MAX + 1];
  for (size_t j = 0; j <= b_len; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t differs = same(a[i - 1], b[j - 1]) ? 0 : 1;
      now[j] = min3(before[j] + 1, now[j - 1] + 1, before[j - 1] + differs);
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) &&
          earlier[j - 2] + 1 < now[j])
        now[j] = earlier[j - 2] + 1;
    }
  }
  return rows[a_len % 3][b_len];
}

void suggest_begin(struct suggest *search, const char *word)
{
  *search = (struct suggest){.word = word, .best = NULL, .distance = SIZE_MAX};
}

void suggest_offer(struct suggest *search, const char *candidate)
{
  size_t len = strlen(search->word);
  size_t distance = suggest_distance(search->word, candidate);
  size_t near = 1 + len / 4;
  if (near > 3)
    near = 3;
  if (len >= 3 && strlen(candidate) <= SUGGEST_WORD_MAX &&
      strncasecmp(candidate, search->word, len) == 0 && distance > near)
    distance = near; /* a word cut short is as near as a typing mistake */
  if (distance <= near && distance < len && distance < search->distance) {
    search->best = candidate;
    search->distance = distance;
  }
}
