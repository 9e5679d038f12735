/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Cursors that clients hold: numbers that stand for places in an answer.
 *
 * A place is what a storage calls a token, of up to 128 KiB: too long for a header, and more than
 * the 63 bits that clients take. So places are kept here, each under a random number, which nobody
 * can guess. What is kept is bounded in octets and in time; who is to have more than an eighth of
 * it loses his own oldest places, and when all is full, the oldest of all goes.
 */
#ifndef COFD_REST_CURSORS_PRIVATE_H
#define COFD_REST_CURSORS_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include <cofd/result.h>

/** Time fences, inclusive, as in struct cof_query. */
struct fences {
  int64_t first_after, first_before, last_after, last_before;
};
#define FENCES_NONE                                                                                \
  {                                                                                                \
    INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX                                                     \
  }

/** A place in an answer. */
struct place {
  struct fences fences; /**< those in seconds UTC that the first page was asked with */
  size_t len;           /**< octets */
  uint8_t token[];
};

/** All cursors. Thread safe. */
struct cursors;

/** @param bytes  most octets of memory; @param expire_ns  time without use after which one ends */
struct cursors *cursors_create(uint64_t bytes, uint64_t expire_ns)
    __attribute__((warn_unused_result));
/** Tolerates NULL and sets the caller's pointer to NULL. */
void cursors_destroy(struct cursors **cursors);

/** Whose a cursor is, and of which question. */
struct cursor_use {
  const char *owner;   /**< who may use it: a name of the authentication; "": anybody */
  const char *account; /**< whom its memory is counted for */
  uint64_t question;   /**< fingerprint */
  uint64_t now_ns;     /**< monotonic */
};

/**
 * Keep a place.
 * @param place  taken over, also where this fails; of the C heap
 * @param after  the cursor of the page before, whose own predecessor is no longer needed; 0: none
 * @param id     COF_OK: its number, 1 to 2^63 - 1
 * @return COF_OK, COF_RETRY: out of memory or randomness
 */
enum cof_result cursors_put(struct cursors *cursors, const struct cursor_use *use,
                            struct place *place, uint64_t after, uint64_t *id,
                            struct cof_error *err);

/**
 * Get a place back; its cursor stays, so that a page can be asked for again.
 * @param place  COF_OK: a copy of the C heap, the caller's
 * @return COF_OK; COF_REJECT: there is none, it expired, it is somebody else's (all told alike), or
 *         it belongs to another question; COF_RETRY: out of memory
 */
enum cof_result cursors_get(struct cursors *cursors, const struct cursor_use *use, uint64_t id,
                            struct place **place, struct cof_error *err);

/** Cursors kept, and octets that they take. */
void cursors_size(struct cursors *cursors, size_t *count, size_t *bytes);

#endif
