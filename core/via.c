/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "via_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (2 * VIA_PATHS_MAX)

/* Open addressing; a slot has the number of a path, 0 is free. */
struct via_table {
  pthread_rwlock_t lock;
  uint32_t count;
  uint16_t slots[SLOTS];
  _Atomic(char *) texts[VIA_PATHS_MAX + 1]; /* by number, from 1 */
};

struct via_table *via_table_create(void)
{
  struct via_table *t = calloc(1, sizeof *t);
  if (t != NULL)
    pthread_rwlock_init(&t->lock, NULL);
  return t;
}

void via_table_destroy(struct via_table **table)
{
  struct via_table *t = *table;
  if (t == NULL)
    return;
  for (uint32_t i = 1; i <= t->count; i++)
    free(atomic_load(&t->texts[i]));
  pthread_rwlock_destroy(&t->lock);
  free(t);
  *table = NULL;
}

bool via_is_node(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
          c == '_' || c == '-'))
      return false;
  }
  return len > 0 && len <= COF_NODE_MAX;
}

/* @param looped  set where `node` is among the names */
static enum cof_result check_path(const char *text, size_t len, const char *node, bool *looped,
                                  struct cof_error *err)
{
  size_t node_len = node != NULL ? strlen(node) : 0, nodes = 0, at = 0;
  *looped = false;
  if (len > COF_VIA_TEXT_MAX)
    return cof_fail(err, COF_REJECT, "a path of %zu octets; expected at most %d", len,
                    COF_VIA_TEXT_MAX);
  do {
    const char *comma = memchr(text + at, ',', len - at);
    size_t n = comma != NULL ? (size_t)(comma - text) - at : len - at;
    if (!via_is_node(text + at, n))
      return cof_fail(err, COF_REJECT,
                      "name %zu is not 1 to %d letters, digits, dots, hyphens or underscores",
                      nodes + 1, COF_NODE_MAX);
    if (++nodes > COF_VIA_NODES_MAX)
      return cof_fail(err, COF_REJECT, "over %d nodes", COF_VIA_NODES_MAX);
    *looped = *looped || (n == node_len && memcmp(text + at, node, n) == 0);
    at += n + 1;
  } while (at <= len);
  return COF_OK;
}

static uint32_t hash(const char *text, size_t len)
{
  uint32_t h = UINT32_C(2166136261);
  for (size_t i = 0; i < len; i++)
    h = (h ^ (unsigned char)text[i]) * UINT32_C(16777619);
  return h;
}

/* The slot that has the path, or the free one where it belongs. Under the lock. */
static size_t find(struct via_table *t, const char *text, size_t len)
{
  size_t at = hash(text, len) % SLOTS;
  for (; t->slots[at] != 0; at = (at + 1) % SLOTS) {
    const char *there = atomic_load_explicit(&t->texts[t->slots[at]], memory_order_relaxed);
    if (strncmp(there, text, len) == 0 && there[len] == '\0')
      break;
  }
  return at;
}

static enum cof_result add(struct via_table *t, const char *text, size_t len, uint32_t *via,
                           struct cof_error *err)
{
  size_t at = find(t, text, len);
  if (t->slots[at] == 0) {
    if (t->count == VIA_PATHS_MAX)
      return cof_fail(err, COF_REJECT, "over %d different paths were seen", VIA_PATHS_MAX);
    char *copy = strndup(text, len);
    if (copy == NULL)
      return cof_fail(err, COF_REJECT, "out of memory for a path");
    atomic_store(&t->texts[++t->count], copy);
    t->slots[at] = (uint16_t)t->count;
  }
  *via = t->slots[at];
  return COF_OK;
}

enum cof_result via_learn(struct via_table *t, const char *node, const char *text, size_t len,
                          uint32_t *via, struct cof_error *err)
{
  bool looped;
  enum cof_result r = check_path(text, len, node, &looped, err);
  if (r != COF_OK || looped) {
    *via = looped ? COF_VIA_LOOPED : COF_VIA_NONE;
    return r;
  }
  pthread_rwlock_rdlock(&t->lock);
  *via = t->slots[find(t, text, len)];
  pthread_rwlock_unlock(&t->lock);
  if (*via != COF_VIA_NONE)
    return COF_OK;
  pthread_rwlock_wrlock(&t->lock);
  r = add(t, text, len, via, err);
  pthread_rwlock_unlock(&t->lock);
  return r;
}

const char *via_text(const struct via_table *t, uint32_t via)
{
  const char *text = via <= VIA_PATHS_MAX ? atomic_load(&t->texts[via]) : NULL;
  return text != NULL ? text : "";
}
