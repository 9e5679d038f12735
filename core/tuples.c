/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tuples_private.h"

#include <stdlib.h>
#include <string.h>

static size_t *find_slot(const struct tuples *t, const struct cof_record *r, uint64_t hash)
{
  size_t at = (size_t)hash & (t->room - 1);
  for (; t->slots[at] != 0; at = (at + 1) & (t->room - 1)) {
    const struct cof_record *other = cof_batch_at(t->batch, t->slots[at] - 1);
    if (other->hash == hash && cof_record_same(other, r))
      break;
  }
  return &t->slots[at];
}

static bool make_room(struct tuples *t, size_t count)
{
  size_t room = 64;
  while (room < 2 * count)
    room *= 2;
  if (room > t->room) {
    free(t->slots);
    t->slots = malloc(room * sizeof *t->slots);
    t->room = t->slots != NULL ? room : 0;
  }
  if (t->slots != NULL)
    memset(t->slots, 0, t->room * sizeof *t->slots);
  return t->slots != NULL;
}

bool tuples_index(struct tuples *t, struct cof_batch *batch)
{
  size_t count = cof_batch_count(batch);
  if (!make_room(t, count))
    return false;
  t->batch = batch;
  for (size_t i = 0; i < count; i++) {
    struct cof_record *r = cof_batch_at(batch, i);
    r->hash = cof_record_hash(r);
    size_t *slot = find_slot(t, r, r->hash);
    if (*slot == 0) {
      *slot = i + 1;
    } else {
      cof_record_fold(cof_batch_at(batch, *slot - 1), r);
      r->verdict = COF_DROP;
    }
  }
  return true;
}

struct cof_record *tuples_find(const struct tuples *t, const struct cof_record *record)
{
  if (t->slots == NULL)
    return NULL;
  size_t slot = *find_slot(t, record, cof_record_hash(record));
  return slot != 0 ? cof_batch_at(t->batch, slot - 1) : NULL;
}

void tuples_free(struct tuples *t)
{
  free(t->slots);
  *t = (struct tuples){.slots = NULL};
}
