/* SPDX-License-Identifier: MIT */
#include "follow_private.h"

#include <stdlib.h>
#include <string.h>

/* --- the table of paths ------------------------------------------------------------------------
 */

static size_t slot_of(const struct follow *f, const char *path)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (; *path != '\0'; path++)
    hash = (hash ^ (uint8_t)*path) * UINT64_C(0x100000001b3);
  return (size_t)(hash ^ hash >> 32) & (f->room - 1);
}

struct tracked **tracked_slot(const struct follow *f, const char *path)
{
  return &f->table[slot_of(f, path)];
}

struct tracked *tracked_find(const struct follow *f, const char *path)
{
  if (f->room == 0)
    return NULL;
  struct tracked *t = f->table[slot_of(f, path)];
  while (t != NULL && strcmp(t->path, path) != 0)
    t = t->next;
  return t;
}

static bool grow(struct follow *f)
{
  if (f->count < f->room)
    return true;
  struct tracked **old = f->table;
  size_t old_room = f->room, room = old_room != 0 ? old_room * 2 : 64;
  struct tracked **table = calloc(room, sizeof *table);
  if (table == NULL)
    return false;
  f->table = table;
  f->room = room;
  for (size_t i = 0; i < old_room; i++)
    for (struct tracked *next, *t = old[i]; t != NULL; t = next) {
      next = t->next;
      size_t slot = slot_of(f, t->path);
      t->next = table[slot];
      table[slot] = t;
    }
  free(old);
  return true;
}

struct tracked *tracked_new(const char *path)
{
  struct tracked *t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  t->src.fd = -1;
  t->path = strdup(path);
  if (t->path == NULL) {
    free(t);
    return NULL;
  }
  return t;
}

struct tracked *tracked_add(struct follow *f, const char *path)
{
  struct tracked *t = tracked_find(f, path);
  if (t != NULL)
    return t;
  t = grow(f) ? tracked_new(path) : NULL;
  if (t == NULL) {
    reader_failed(f->r, path, "out of memory; not followed");
    return NULL;
  }
  size_t slot = slot_of(f, path);
  t->next = f->table[slot];
  f->table[slot] = t;
  f->count++;
  return t;
}

void tracked_unlink(struct tracked **list, struct tracked *t)
{
  while (*list != NULL && *list != t)
    list = &(*list)->next;
  if (*list != NULL)
    *list = t->next;
}

/* --- lists of what is to do --------------------------------------------------------------------
 */

void follow_make_ready(struct follow *f, struct tracked *t)
{
  if (t->ready || !source_is_open(&t->src))
    return;
  t->ready = true;
  t->next_ready = NULL;
  *f->ready_end = t;
  f->ready_end = &t->next_ready;
}

struct tracked *follow_next_ready(struct follow *f)
{
  struct tracked *t = f->ready;
  if (t == NULL)
    return NULL;
  f->ready = t->next_ready;
  if (f->ready == NULL)
    f->ready_end = &f->ready;
  t->ready = false;
  return t;
}

void follow_not_ready(struct follow *f, struct tracked *t)
{
  struct tracked **at = &f->ready;
  while (*at != NULL && *at != t)
    at = &(*at)->next_ready;
  if (*at == NULL)
    return;
  *at = t->next_ready;
  if (*at == NULL)
    f->ready_end = at;
  t->ready = false;
}

uint64_t tracked_taken(const struct tracked *t)
{
  return t->src.stream != NULL ? stream_octets(t->src.stream) : t->src.known->read.place.offset;
}

void follow_set_timer(struct follow *f, struct tracked *t)
{
  t->due = cof_clock_ns(f->r->host) + (uint64_t)f->r->conf->rotate_wait * MS_NS;
  t->at = tracked_taken(t);
  if (t->timed)
    return;
  t->timed = true;
  t->next_timed = f->timed;
  f->timed = t;
}

void follow_clear_timer(struct follow *f, struct tracked *t)
{
  struct tracked **at = &f->timed;
  while (*at != NULL && *at != t)
    at = &(*at)->next_timed;
  if (*at != NULL)
    *at = t->next_timed;
  t->timed = false;
}

void tracked_destroy(struct follow *f, struct tracked *t)
{
  if (t->ready)
    follow_not_ready(f, t);
  if (t->timed)
    follow_clear_timer(f, t);
  free(t->path);
  free(t);
}
