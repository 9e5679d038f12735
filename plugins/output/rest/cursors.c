/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "cursors_private.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS 4096u
/* Part of the memory that one account may have. */
#define SHARE 8
/* What an entry or account takes besides its texts, going by what malloc() adds. */
#define OVERHEAD ((size_t)64)

/* A list by age: the oldest first. */
struct age {
  struct entry *oldest, *newest;
};

struct account {
  struct account *next;
  size_t bytes;
  struct age age;
  char name[];
};

struct entry {
  struct entry *next;                  /* of the same bucket */
  struct entry *older, *newer;         /* of all */
  struct entry *own_older, *own_newer; /* of the same account */
  struct account *account;
  uint64_t id, before, question, used_ns;
  size_t bytes;
  struct place *place;
  char owner[];
};

struct cursors {
  pthread_mutex_t lock;
  size_t max, bytes, count;
  uint64_t expire_ns;
  struct age age;
  struct entry *entries[BUCKETS];
  struct account *accounts[BUCKETS];
};

struct cursors *cursors_create(uint64_t bytes, uint64_t expire_ns)
{
  struct cursors *c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  if (pthread_mutex_init(&c->lock, NULL) != 0) {
    free(c);
    return NULL;
  }
  c->max = (size_t)bytes;
  c->expire_ns = expire_ns;
  return c;
}

/* --- lists ---------------------------------------------------------------------------------- */

static void unlink_age(struct cursors *c, struct entry *e)
{
  struct age *all = &c->age, *own = &e->account->age;
  *(e->older != NULL ? &e->older->newer : &all->oldest) = e->newer;
  *(e->newer != NULL ? &e->newer->older : &all->newest) = e->older;
  *(e->own_older != NULL ? &e->own_older->own_newer : &own->oldest) = e->own_newer;
  *(e->own_newer != NULL ? &e->own_newer->own_older : &own->newest) = e->own_older;
}

static void link_age(struct cursors *c, struct entry *e)
{
  struct age *all = &c->age, *own = &e->account->age;
  e->older = all->newest;
  e->own_older = own->newest;
  e->newer = e->own_newer = NULL;
  *(e->older != NULL ? &e->older->newer : &all->oldest) = e;
  *(e->own_older != NULL ? &e->own_older->own_newer : &own->oldest) = e;
  all->newest = own->newest = e;
}

static struct entry **find(struct cursors *c, uint64_t id)
{
  struct entry **at = &c->entries[id % BUCKETS];
  while (*at != NULL && (*at)->id != id)
    at = &(*at)->next;
  return at;
}

static struct account **find_account(struct cursors *c, const char *name)
{
  uint32_t hash = 2166136261u;
  for (const char *p = name; *p != '\0'; p++)
    hash = (hash ^ (unsigned char)*p) * 16777619u;
  struct account **at = &c->accounts[hash % BUCKETS];
  while (*at != NULL && strcmp((*at)->name, name) != 0)
    at = &(*at)->next;
  return at;
}

static void drop_account(struct cursors *c, struct account *account)
{
  struct account **at = find_account(c, account->name);
  *at = account->next;
  c->bytes -= sizeof *account + strlen(account->name) + OVERHEAD;
  free(account);
}

static void drop(struct cursors *c, struct entry *e)
{
  struct account *account = e->account;
  *find(c, e->id) = e->next;
  unlink_age(c, e);
  c->bytes -= e->bytes;
  c->count--;
  account->bytes -= e->bytes;
  free(e->place);
  free(e);
  if (account->age.oldest == NULL)
    drop_account(c, account);
}

void cursors_destroy(struct cursors **cursors)
{
  struct cursors *c = *cursors;
  *cursors = NULL;
  if (c == NULL)
    return;
  while (c->age.oldest != NULL)
    drop(c, c->age.oldest);
  pthread_mutex_destroy(&c->lock);
  free(c);
}

static void expire(struct cursors *c, uint64_t now_ns)
{
  while (c->age.oldest != NULL && now_ns > c->age.oldest->used_ns &&
         now_ns - c->age.oldest->used_ns >= c->expire_ns)
    drop(c, c->age.oldest);
}

/* --- keeping -------------------------------------------------------------------------------- */

static struct account *take_account(struct cursors *c, const char *name)
{
  struct account **at = find_account(c, name);
  size_t len = strlen(name);
  if (*at == NULL) {
    *at = calloc(1, sizeof **at + len + 1);
    if (*at == NULL)
      return NULL;
    memcpy((*at)->name, name, len + 1);
    c->bytes += sizeof **at + len + OVERHEAD;
  }
  return *at;
}

/* A number that nobody can guess, and that no other cursor has. */
static bool make_id(struct cursors *c, uint64_t *id)
{
  do {
    if (getrandom(id, sizeof *id, 0) != (ssize_t)sizeof *id)
      return false;
    *id &= INT64_MAX;
  } while (*id == 0 || *find(c, *id) != NULL);
  return true;
}

/* Let go of what no page will need, of what one has too much, and of what all have. The newest
   entry stays. */
static void make_room(struct cursors *c, struct entry *e, uint64_t after)
{
  struct entry *page = after != 0 ? *find(c, after) : NULL;
  struct entry *before = page != NULL && page->before != 0 ? *find(c, page->before) : NULL;
  if (before != NULL && before->account == e->account && before != e)
    drop(c, before);
  while (e->account->bytes > c->max / SHARE && e->account->age.oldest != e)
    drop(c, e->account->age.oldest);
  while (c->bytes > c->max && c->age.oldest != e)
    drop(c, c->age.oldest);
}

static enum cof_result put(struct cursors *c, const struct cursor_use *use, struct place *place,
                           struct entry *e, uint64_t after)
{
  struct account *account = take_account(c, use->account);
  if (account == NULL)
    return COF_RETRY;
  if (!make_id(c, &e->id)) {
    if (account->age.oldest == NULL)
      drop_account(c, account);
    return COF_RETRY;
  }
  e->account = account;
  e->before = after;
  e->question = use->question;
  e->used_ns = use->now_ns;
  e->bytes = sizeof *e + strlen(use->owner) + sizeof *place + place->len + 2 * OVERHEAD;
  e->place = place;
  struct entry **at = find(c, e->id);
  *at = e;
  link_age(c, e);
  c->bytes += e->bytes;
  account->bytes += e->bytes;
  c->count++;
  make_room(c, e, after);
  return COF_OK;
}

enum cof_result cursors_put(struct cursors *c, const struct cursor_use *use, struct place *place,
                            uint64_t after, uint64_t *id, struct cof_error *err)
{
  size_t owner_len = strlen(use->owner);
  struct entry *e = calloc(1, sizeof *e + owner_len + 1);
  enum cof_result r = COF_RETRY;
  if (e != NULL) {
    memcpy(e->owner, use->owner, owner_len + 1);
    pthread_mutex_lock(&c->lock);
    expire(c, use->now_ns);
    r = put(c, use, place, e, after);
    if (r == COF_OK)
      *id = e->id;
    pthread_mutex_unlock(&c->lock);
  }
  if (r == COF_OK)
    return r;
  free(e);
  free(place);
  return cof_fail(err, r, "out of memory or randomness for a cursor");
}

static struct place *copy(const struct place *place)
{
  size_t size = sizeof *place + place->len;
  struct place *to = malloc(size);
  if (to != NULL)
    memcpy(to, place, size);
  return to;
}

static enum cof_result get(struct cursors *c, const struct cursor_use *use, uint64_t id,
                           struct place **place, struct cof_error *err)
{
  expire(c, use->now_ns);
  struct entry *e = *find(c, id);
  if (e == NULL || strcmp(e->owner, use->owner) != 0)
    return cof_fail(err, COF_REJECT,
                    "cursor: unknown, or no longer kept: expected one that an answer gave within "
                    "the last %llu s; ask from the beginning",
                    (unsigned long long)(c->expire_ns / 1000000000));
  if (e->question != use->question)
    return cof_fail(err, COF_REJECT,
                    "cursor: belongs to another question: expected the same question and filters "
                    "on each page");
  *place = copy(e->place);
  if (*place == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  e->used_ns = use->now_ns;
  unlink_age(c, e);
  link_age(c, e);
  return COF_OK;
}

enum cof_result cursors_get(struct cursors *c, const struct cursor_use *use, uint64_t id,
                            struct place **place, struct cof_error *err)
{
  pthread_mutex_lock(&c->lock);
  enum cof_result r = get(c, use, id, place, err);
  pthread_mutex_unlock(&c->lock);
  return r;
}

void cursors_size(struct cursors *c, size_t *count, size_t *bytes)
{
  pthread_mutex_lock(&c->lock);
  *count = c->count;
  *bytes = c->bytes;
  pthread_mutex_unlock(&c->lock);
}
