/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Tells the outputs of a chain what was stored (cof_output_ops.stored). Adding is for before the
 * chain starts; the rest for the chain's writing thread.
 */
#ifndef COFD_TAP_PRIVATE_H
#define COFD_TAP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "instance_private.h"
#include "window_private.h"

/** What is noted of a record of a write. */
enum note {
  NOTE_NEW = 1,    /**< cof_ticket_new() */
  NOTE_REFUSED = 2 /**< cof_ticket_reject() by the first storage */
};

struct tap;

/** @return owned by the caller, or NULL when out of memory */
struct tap *tap_create(void);
/** Tolerates NULL, nulls the pointer. */
void tap_destroy(struct tap **tap);

/** Add an output that has stored(). @return false when out of memory */
bool tap_add(struct tap *tap, struct instance *output);
/** Whether there is any. */
bool tap_used(const struct tap *tap);

/** What the outputs want now, together; enum cof_want. */
unsigned tap_wants(const struct tap *tap);

/**
 * Tell the outputs that want it of a window that is durable.
 * @param notes  enum note for each of its records; NULL: nothing was noted
 * @param news   whether NOTE_NEW was noted where it applies
 * @return false when out of memory, with nobody told
 */
bool tap_tell(struct tap *tap, const struct window *window, const uint8_t *notes, bool news);

#endif
