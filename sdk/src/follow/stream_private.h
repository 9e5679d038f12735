/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Reads a file descriptor from where it stands to its end: plain, gzip (any number of members) or
 * zstd (any number of frames), told apart by the first octets. Sockets are plain.
 */
#ifndef COFD_FOLLOW_STREAM_PRIVATE_H
#define COFD_FOLLOW_STREAM_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/result.h>

/** Octets that stream_sniff() wants to see. */
#define SNIFF_LEN 4

enum packing { PACKING_UNKNOWN, PACKING_NONE, PACKING_GZIP, PACKING_ZSTD };

/** What a file is, by its first octets. @param end  there are no more than `len` */
enum packing stream_sniff(const uint8_t *head, size_t len, bool end);

enum stream_result {
  STREAM_DATA,   /**< at least one octet was read */
  STREAM_WAIT,   /**< nothing there now: a pipe whose writer is slow */
  STREAM_END,    /**< the end */
  STREAM_CUT,    /**< the end, within compressed data; there may be more when the file grows */
  STREAM_BROKEN, /**< the compressed data are bad */
  STREAM_ERROR   /**< reading failed, or memory is out */
};

/** What a descriptor is. */
enum stream_kind {
  STREAM_FILE,
  STREAM_PIPE,      /**< reading may have to wait */
  STREAM_SOCKET,    /**< the same; non-blocking */
  STREAM_DATAGRAMS, /**< non-blocking; never ends; a line end is added to each that lacks it */
};

struct stream;

/**
 * @param fd    borrowed
 * @return the stream, owned by the caller, or NULL when out of memory
 */
struct stream *stream_create(int fd, enum stream_kind kind) __attribute__((warn_unused_result));
void stream_destroy(struct stream **stream);

/**
 * Read on.
 * @param got  octets written to buf
 * @param err  STREAM_BROKEN, STREAM_ERROR: why
 */
enum stream_result stream_read(struct stream *stream, char *buf, size_t cap, size_t *got,
                               struct cof_error *err);

/** Number of datagrams since the last call that were too long for the buffer, and left out. */
uint64_t stream_lost(struct stream *stream);

/** Octets read from the descriptor so far. */
uint64_t stream_octets(const struct stream *stream);

/** Whether octets that are no compressed data follow the compressed data (they were left unread).
 */
bool stream_trailing(const struct stream *stream);

enum packing stream_packing(const struct stream *stream);

#endif
