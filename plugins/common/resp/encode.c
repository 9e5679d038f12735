/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "inner_private.h"

#include <stdlib.h>
#include <string.h>

size_t decimal(char out[20], uint64_t n)
{
  char reversed[20];
  size_t len = 0;
  do
    reversed[len++] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  for (size_t i = 0; i < len; i++)
    out[i] = reversed[len - 1 - i];
  return len;
}

static char *room(struct buffer *b, size_t len)
{
  if (b->cap - b->len < len) {
    size_t cap = b->cap < 4096 ? 4096 : b->cap;
    while (cap - b->len < len && cap < SIZE_MAX / 2)
      cap *= 2;
    char *data = cap - b->len < len ? NULL : realloc(b->data, cap);
    if (data == NULL) {
      b->failed = true;
      return NULL;
    }
    b->data = data;
    b->cap = cap;
  }
  return b->data + b->len;
}

void buffer_put(struct buffer *b, const void *data, size_t len)
{
  char *to = room(b, len);
  if (to == NULL || len == 0)
    return;
  memcpy(to, data, len);
  b->len += len;
}

static char *write_number(char *to, char kind, uint64_t n)
{
  *to++ = kind;
  if (n < 10)
    *to++ = (char)('0' + n);
  else
    to += decimal(to, n);
  *to++ = '\r';
  *to++ = '\n';
  return to;
}

void buffer_number(struct buffer *b, char kind, uint64_t n)
{
  char *to = room(b, 24);
  if (to != NULL)
    b->len = (size_t)(write_number(to, kind, n) - b->data);
}

void buffer_bulk(struct buffer *b, const void *data, size_t len)
{
  char *to = room(b, len + 26);
  if (to == NULL)
    return;
  to = write_number(to, '$', len);
  if (len != 0)
    memcpy(to, data, len);
  to += len;
  *to++ = '\r';
  *to++ = '\n';
  b->len = (size_t)(to - b->data);
}
