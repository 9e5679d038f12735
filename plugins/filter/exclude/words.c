/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "words_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct words {
  uint8_t class_of[256]; /* 0: in no word */
  size_t classes;
  uint32_t *next; /* [state * classes + class]; state 0 is the start */
  uint32_t *fail; /* only while building */
  bool *final;
  uint32_t states;
};

static void classify(struct words *w, const char *const *texts, size_t count)
{
  w->classes = 1;
  for (size_t i = 0; i < count; i++)
    for (const char *p = texts[i]; *p != '\0'; p++) {
      uint8_t *class = &w->class_of[(uint8_t)*p];
      if (*class == 0)
        *class = (uint8_t)w->classes++;
    }
}

/* The words as a tree; 0 stands for "no such child", since the start is nobody's child. */
static void plant(struct words *w, const char *const *texts, size_t count)
{
  w->states = 1;
  for (size_t i = 0; i < count; i++) {
    uint32_t state = 0;
    for (const char *p = texts[i]; *p != '\0'; p++) {
      uint32_t *child = &w->next[state * w->classes + w->class_of[(uint8_t)*p]];
      if (*child == 0)
        *child = w->states++;
      state = *child;
    }
    w->final[state] = true;
  }
}

/* Fill in, breadth first, where to go on when no child fits. */
static void link_states(struct words *w, uint32_t *queue)
{
  size_t head = 0, tail = 0;
  for (size_t c = 1; c < w->classes; c++)
    if (w->next[c] != 0)
      queue[tail++] = w->next[c];
  while (head < tail) {
    uint32_t state = queue[head++];
    uint32_t fail = w->fail[state];
    w->final[state] |= w->final[fail];
    for (size_t c = 1; c < w->classes; c++) {
      uint32_t *child = &w->next[state * w->classes + c];
      uint32_t other = w->next[fail * w->classes + c];
      if (*child == 0) {
        *child = other;
        continue;
      }
      w->fail[*child] = other;
      queue[tail++] = *child;
    }
  }
}

struct words *words_create(const char *const *texts, size_t count)
{
  struct words *w = calloc(1, sizeof *w);
  if (w == NULL)
    return NULL;
  size_t states = 1;
  for (size_t i = 0; i < count; i++)
    states += strlen(texts[i]);
  classify(w, texts, count);
  w->next = calloc(states * w->classes, sizeof *w->next);
  w->fail = calloc(states, sizeof *w->fail);
  w->final = calloc(states, sizeof *w->final);
  uint32_t *queue = calloc(states, sizeof *queue);
  if (w->next == NULL || w->fail == NULL || w->final == NULL || queue == NULL) {
    free(queue);
    words_destroy(&w);
    return NULL;
  }
  plant(w, texts, count);
  link_states(w, queue);
  free(queue);
  free(w->fail);
  w->fail = NULL;
  return w;
}

void words_destroy(struct words **words)
{
  struct words *w = *words;
  if (w == NULL)
    return;
  free(w->next);
  free(w->fail);
  free(w->final);
  free(w);
  *words = NULL;
}

bool words_found(const struct words *w, const char *text, size_t len)
{
  uint32_t state = 0;
  for (size_t i = 0; i < len; i++) {
    uint8_t class = w->class_of[(uint8_t)text[i]];
    state = class == 0 ? 0 : w->next[state * w->classes + class];
    if (w->final[state])
      return true;
  }
  return false;
}
