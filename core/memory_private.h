/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Memory that lives as long as a configuration: blocks that are freed, and wiped, all at once.
 * Single thread.
 */
#ifndef COFD_MEMORY_PRIVATE_H
#define COFD_MEMORY_PRIVATE_H

#include <stddef.h>

struct conf_memory;

/**
 * Zeroed octets, aligned for any type.
 * @param memory  `*memory` NULL is an empty one; it changes with every block
 * @return owned by `memory`; NULL when out of memory
 */
void *conf_memory_alloc(struct conf_memory **memory, size_t size);

/** A NUL-terminated copy of `len` octets; NULL when out of memory. */
char *conf_memory_text(struct conf_memory **memory, const char *text, size_t len);

/** A formatted text; NULL when out of memory. */
char *conf_memory_format(struct conf_memory **memory, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Wipe and free every block; tolerates NULL and sets the caller's pointer to NULL. */
void conf_memory_free(struct conf_memory **memory);

#endif
