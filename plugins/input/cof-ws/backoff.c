/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "backoff_private.h"

uint64_t backoff_next(struct backoff *b, uint32_t random)
{
  b->reach = b->reach == 0 ? b->min * 2 : b->reach * 2;
  if (b->reach > b->max)
    b->reach = b->max;
  uint64_t span = b->reach > b->min ? b->reach - b->min : 0;
  return b->min + span * random / UINT32_MAX;
}

void backoff_reset(struct backoff *b)
{
  b->reach = 0;
}
