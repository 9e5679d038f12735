/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Large memory in huge pages, where the kernel gives them for the asking
 * (/sys/kernel/mm/transparent_hugepage/enabled is "madvise" or "always"): each page that is touched
 * for the first time costs a fault, and small ones were a fifth of the time of an import.
 */
#ifndef COFD_PAGES_PRIVATE_H
#define COFD_PAGES_PRIVATE_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGES_HUGE ((size_t)2 * 1024 * 1024)

/** As malloc(); to be freed by free(). */
static inline void *pages_alloc(size_t size)
{
  if (size < PAGES_HUGE)
    return malloc(size);
  size_t whole = (size + PAGES_HUGE - 1) & ~(PAGES_HUGE - 1);
  void *pages = whole >= size ? aligned_alloc(PAGES_HUGE, whole) : NULL;
#ifdef MADV_HUGEPAGE
  if (pages != NULL)
    (void)madvise(pages, whole, MADV_HUGEPAGE); /* refused: small pages do as well, but slower */
#endif
  return pages;
}

/** As realloc(), for more than `old_size` octets. */
static inline void *pages_grow(void *old, size_t old_size, size_t size)
{
  if (size < PAGES_HUGE)
    return realloc(old, size);
  void *pages = pages_alloc(size);
  if (pages == NULL)
    return NULL;
  if (old_size != 0)
    memcpy(pages, old, old_size);
  free(old);
  return pages;
}

#endif
