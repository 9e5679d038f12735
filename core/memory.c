/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "memory_private.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One block; they form a list, the newest first. */
struct conf_memory {
  struct conf_memory *older;
  size_t size;
  _Alignas(max_align_t) unsigned char bytes[];
};

void *conf_memory_alloc(struct conf_memory **memory, size_t size)
{
  if (size > SIZE_MAX - sizeof(struct conf_memory) - 1)
    return NULL;
  struct conf_memory *block = calloc(1, sizeof *block + size + 1);
  if (block == NULL)
    return NULL;
  block->older = *memory;
  block->size = size;
  *memory = block;
  return block->bytes;
}

char *conf_memory_text(struct conf_memory **memory, const char *text, size_t len)
{
  char *copy = conf_memory_alloc(memory, len);
  if (copy != NULL && len > 0)
    memcpy(copy, text, len);
  return copy;
}

char *conf_memory_format(struct conf_memory **memory, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  int len = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (len < 0)
    return NULL;
  char *text = conf_memory_alloc(memory, (size_t)len + 1);
  if (text == NULL)
    return NULL;
  va_start(ap, fmt);
  vsnprintf(text, (size_t)len + 1, fmt, ap);
  va_end(ap);
  return text;
}

void conf_memory_free(struct conf_memory **memory)
{
  while (*memory != NULL) {
    struct conf_memory *block = *memory;
    *memory = block->older;
    explicit_bzero(block->bytes, block->size);
    free(block);
  }
}
