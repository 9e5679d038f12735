/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The paths by which records came through other cofd, each known by a number. Thread safe. A path
 * once known is never forgotten, so that its text can be lent out.
 */
#ifndef COFD_VIA_PRIVATE_H
#define COFD_VIA_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>

/** Most paths that are known; one more is refused. */
#define VIA_PATHS_MAX 4096

struct via_table;

/** @return owned by the caller, or NULL when out of memory */
struct via_table *via_table_create(void);
/** Free it and all its texts; tolerates NULL, nulls the pointer. */
void via_table_destroy(struct via_table **table);

/** Whether a text is the name of a node: 1 to COF_NODE_MAX of `A-Za-z0-9._-`. */
bool via_is_node(const char *text, size_t len);

/** See cof_via(). @param node  this node's name, or NULL */
enum cof_result via_learn(struct via_table *table, const char *node, const char *text, size_t len,
                          uint32_t *via, struct cof_error *err);

/** See cof_via_text(). */
const char *via_text(const struct via_table *table, uint32_t via);

#endif
