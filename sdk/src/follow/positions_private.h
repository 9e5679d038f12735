/* SPDX-License-Identifier: MIT */
/**
 * @file
 * How far each file was read, and how far what was read is durable. The latter is remembered in a
 * file between runs.
 *
 * The reader's thread calls everything but positions_ack(), which comes from a thread of the host.
 */
#ifndef COFD_FOLLOW_POSITIONS_PRIVATE_H
#define COFD_FOLLOW_POSITIONS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cofd/host.h>

#include "split_private.h"

/** First octets of a file by which it is told from another one that got its inode number. */
#define HEAD_MAX 1024

/** A state of reading one file. */
struct position {
  struct place place;
  uint64_t head_hash; /**< of the first head_len octets */
  uint32_t head_len;
  bool complete; /**< a compressed file, read as a whole when it was that large and that old */
  int64_t size, mtime_ns; /**< of a complete file */
};

/** A file, known by device and inode. */
struct known {
  uint64_t dev, ino;
  struct position read; /**< the reader's own */
  void *owner;          /**< who has it open; the reader's own */
  /* The rest belongs to positions.c. */
  struct position acked;
  struct known *next;
  char *path;
  uint32_t generation;
  int64_t seen; /* unix time at which it was last there */
};

struct positions;

/**
 * @param file  where to remember; NULL to remember nothing
 * @return owned by the caller; NULL when out of memory
 */
struct positions *positions_create(struct cof_host *host, const char *file)
    __attribute__((warn_unused_result));
void positions_destroy(struct positions **positions);

/**
 * Read what an earlier run remembered. A file that is not there is an empty one; a line that cannot
 * be understood is left out with a warning.
 * Until it is destroyed, nobody else can load the same file.
 * @return false after logging why, when the file cannot be read, is of another version, or in use
 */
bool positions_load(struct positions *positions);

/**
 * The file of that identity, made where it is not known.
 * @param path  last name of the file
 * @return owned by positions, valid until positions_destroy(); NULL when out of memory
 */
struct known *positions_at(struct positions *positions, const struct stat *st, const char *path);

/** Begin a file anew: what was read or acknowledged of it no longer counts. */
void positions_forget(struct positions *positions, struct known *known);

/** The batch being filled holds records of that file up to known->read. @return false: no memory */
bool positions_mark(struct positions *positions, struct known *known);

/** Number of files that the batch being filled holds records of. */
size_t positions_marks(const struct positions *positions);

/** The batch being filled is about to be emitted with that token. @return false: no memory */
bool positions_emit(struct positions *positions, uint64_t token);

/** See cof_input_ops.ack. */
void positions_ack(struct positions *positions, uint64_t token, enum cof_result result);

/**
 * Write the file when something changed, and not too often unless `force`. A failure is logged.
 * Any thread, one at a time.
 */
void positions_save(struct positions *positions, bool force);

/** Whether a save will become necessary, now or when acks come in. */
bool positions_pending(struct positions *positions);

/** Hash of the first octets of a file, read by pread. @return false when it is shorter */
bool positions_head(int fd, uint32_t len, uint64_t *hash);

#endif
