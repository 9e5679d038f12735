/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Compression of bodies.
 */
#ifndef COFD_REST_GZIP_PRIVATE_H
#define COFD_REST_GZIP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

/** Whether the value of an Accept-Encoding header (NULL: none) admits gzip with q > 0. */
bool gzip_accepted(const char *header);

/** A compressor; not thread safe. */
struct gzip;

/** @return owned by the caller; NULL when out of memory */
struct gzip *gzip_create(void) __attribute__((warn_unused_result));
/** Tolerates NULL and sets the caller's pointer to NULL. */
void gzip_destroy(struct gzip **gzip);

/**
 * Compress a whole text.
 * @return a text of the C heap, owned by the caller; NULL when out of memory
 */
char *gzip_whole(struct gzip *gzip, const char *text, size_t len, size_t *out_len);

/**
 * Compress a part of a stream.
 * @param used   octets taken of `text`
 * @param last   the stream ends with this text
 * @return octets written to `out`; 0 when it needs more text, or, with `last`, when all is written
 */
size_t gzip_part(struct gzip *gzip, const char *text, size_t len, bool last, size_t *used,
                 char *out, size_t max);

#endif
