/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tap_private.h"

#include <stdlib.h>

struct tap {
  struct instance **outputs;
  size_t outputs_count;
  const struct cof_record **records; /* of the write that is told of */
  uint8_t *news;
  size_t count, room;
};

struct tap *tap_create(void)
{
  return calloc(1, sizeof(struct tap));
}

void tap_destroy(struct tap **tap)
{
  struct tap *t = *tap;
  if (t == NULL)
    return;
  free(t->outputs);
  free(t->records);
  free(t->news);
  free(t);
  *tap = NULL;
}

bool tap_add(struct tap *t, struct instance *output)
{
  struct instance **more = realloc(t->outputs, (t->outputs_count + 1) * sizeof(struct instance *));
  if (more == NULL)
    return false;
  t->outputs = more;
  t->outputs[t->outputs_count++] = output;
  return true;
}

bool tap_used(const struct tap *t)
{
  return t->outputs_count != 0;
}

unsigned tap_wants(const struct tap *t)
{
  unsigned wants = 0;
  for (size_t i = 0; i < t->outputs_count; i++)
    wants |= atomic_load_explicit(&t->outputs[i]->wants, memory_order_relaxed);
  return (wants & COF_WANT_STORED) != 0 ? wants : 0;
}

static bool make_room(struct tap *t, size_t count)
{
  if (count <= t->room)
    return true;
  free(t->records);
  free(t->news);
  t->records = malloc(count * sizeof *t->records);
  t->news = malloc(count);
  t->room = t->records != NULL && t->news != NULL ? count : 0;
  return t->room != 0;
}

static void put(struct tap *t, const struct cof_record *record, bool is_new)
{
  t->records[t->count] = record;
  t->news[t->count++] = is_new;
}

/* A record of several paths is told of by its parts. */
static void put_all(struct tap *t, const struct window *w, const uint8_t *notes)
{
  const struct cof_batch *batch = window_batch(w);
  size_t count = cof_batch_count(batch);
  t->count = 0;
  for (size_t i = 0; i < count; i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    unsigned note = notes != NULL ? notes[i] : 0;
    if ((note & NOTE_REFUSED) != 0)
      continue;
    if (r->via != COF_VIA_MIXED)
      put(t, r, (note & NOTE_NEW) != 0);
    else
      for (const struct cof_record *part = window_part(w, r); part != NULL;
           part = window_part(w, part))
        put(t, part, (note & NOTE_NEW) != 0);
  }
}

bool tap_tell(struct tap *t, const struct window *w, const uint8_t *notes, bool news)
{
  if (!make_room(t, cof_batch_count(window_batch(w)) + window_parts(w) + 1))
    return false;
  put_all(t, w, notes);
  struct cof_stored stored = {.struct_size = sizeof stored,
                              .count = t->count,
                              .records = t->records,
                              .news = news ? t->news : NULL};
  for (size_t i = 0; i < t->outputs_count; i++) {
    struct instance *output = t->outputs[i];
    const struct cof_output_ops *ops = output->plugin->ops;
    if ((atomic_load(&output->wants) & COF_WANT_STORED) == 0)
      continue;
    struct guard_call before = guard_enter(output->owner, "stored()");
    ops->stored(output->self, &stored);
    guard_leave(before);
  }
  return true;
}
