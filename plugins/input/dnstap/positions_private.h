/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * How far each file was read, remembered between runs once what was read is durable.
 */
#ifndef DNSTAP_POSITIONS_PRIVATE_H
#define DNSTAP_POSITIONS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/stat.h>

#include <cofd/host.h>

/** A file, known by device and inode, and by its first octets. */
struct known {
  struct known *next; /* in its bucket */
  uint64_t device, inode;
  uint64_t durable;   /* octets read and durable, whole frames; under the lock of the positions */
  uint64_t taken;     /* octets read, whole frames */
  uint64_t marked;    /* taken, at the last mark */
  uint64_t looked_at; /* its size when it was read to its end; 0: not yet in this run */
  uint64_t head_hash;
  uint32_t head_len; /* octets that head_hash is of; these two under the lock, too */
  int64_t seen;      /* when it was there last, seconds UTC */
  bool open;         /* is being read: not to be forgotten */
  bool dropped;      /* cannot be read; not tried again in this run */
};

struct positions;

/** @param file  where they are kept, or NULL: nowhere */
struct positions *positions_create(struct cof_host *host, const char *file);
void positions_destroy(struct positions **positions);
/** Read the file. @return false after logging why it cannot be */
bool positions_load(struct positions *positions);

/** The file of that device and inode, made if there is none. NULL: out of memory */
struct known *positions_find(struct positions *positions, const struct stat *st);
/** Whether an open file is still the one that `known` speaks of; if not, it is to be read anew. */
bool positions_check(struct positions *positions, struct known *known, int fd,
                     const struct stat *st);

/**
 * With the ack of `token`, `known` is durable up to its `taken`.
 * @param fd  the file, for its first octets
 * @return false: out of memory
 */
bool positions_mark(struct positions *positions, struct known *known, int fd, uint64_t token);
/** From any thread. */
void positions_ack(struct positions *positions, uint64_t token, bool durable);
/** Marks since positions_sent(). */
size_t positions_unsent(const struct positions *positions);
/** The batch of these marks is about to be emitted. */
void positions_sent(struct positions *positions);
/** Whether something waits to be saved or acknowledged. */
bool positions_pending(struct positions *positions);
/** Write the file if something changed; not more than once a second unless `now`. */
void positions_save(struct positions *positions, bool now);

#endif
