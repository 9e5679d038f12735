/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The instance and its thread: text into batches, batches to the host.
 */
#ifndef COFD_FOLLOW_READER_PRIVATE_H
#define COFD_FOLLOW_READER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>

#include <cofd/follow.h>

#include "paths_private.h"
#include "positions_private.h"
#include "split_private.h"
#include "stream_private.h"

/* Text that was read and not taken yet. */
struct buffer {
  char *bytes;
  size_t room, len;
  size_t chunk; /* octets of one read */
  struct split split;
};

/* An open file, pipe or connection. */
struct source {
  int fd; /* -1: none */
  const char *path;
  struct known *known;   /* NULL for a pipe */
  struct stream *stream; /* of a pipe or of a compressed file; NULL for a plain file */
  struct buffer *own;    /* of a stream; a plain file is read into the reader's buffer */
  struct place place;    /* of a stream; that of a plain file is known->read.place */
  uint64_t counted;      /* octets of the stream that the counter has */
  uint64_t marked;       /* offset that the last mark said */
  void *state;           /* what the plugin's begin() gave */
  bool peer;             /* of a socket: it may break off, which is no fault of ours */
};

/* Why reading a file paused. */
enum turn {
  TURN_END,    /* all that is there was taken */
  TURN_CUT,    /* the same, but within compressed data */
  TURN_WAIT,   /* a pipe has nothing now */
  TURN_MORE,   /* there may be more, but others shall have their turn */
  TURN_BROKEN, /* compressed data are bad; logged and counted */
  TURN_FAILED, /* reading failed; logged and counted */
  TURN_STOPPED
};

struct listener;

struct reader {
  struct cof_host *host;
  const struct cof_follow_conf *conf;
  struct cof_follow_ops ops;
  void *arg; /* of the ops */
  /* Set in place of `conf->path` by load(). */
  const char *const *load_paths;
  size_t load_count;
  bool loading;

  pthread_t thread;
  bool running;
  int wake; /* eventfd: written to stop */
  atomic_bool stopping;
  atomic_uint_fast64_t done, total; /* for progress() */

  struct positions *positions;
  struct listener *listeners; /* sockets */
  struct cof_batch *batch;    /* being filled; NULL only between two */
  uint64_t batch_since;       /* clock of its first record; 0: empty */
  uint64_t passing;           /* records in it that cannot be read again */
  uint64_t token;
  bool stopped; /* the host takes nothing more */
  bool stdin_read;
  struct buffer shared;
  struct source *current; /* whose text is being cut */

  struct cof_metric *records, *bytes, *files, *lines, *errors;
  struct cof_metric *peers, *connections, *peers_refused; /* NULL where no socket is */
};

/** Thread: everything once, in order. */
void reader_once(struct reader *reader);
/** Thread: all that comes, until stopped. */
void reader_follow(struct reader *reader);

/** Whether the thread has to end. */
bool reader_ending(const struct reader *reader);

/**
 * Wait until a descriptor is ready, the time is over (ms < 0: never) or the reader is to stop.
 * @param fds  room for count + 1; the last one is filled in
 */
void reader_wait(struct reader *reader, struct pollfd *fds, size_t count, int ms);

/** Log that a file cannot be read, and count it. */
void reader_failed(struct reader *reader, const char *path, const char *why);

/** Emit what there is. @return false when the reader has to end */
bool reader_flush(struct reader *reader);
/** Emit what there is if it is older than batch_time. */
bool reader_flush_old(struct reader *reader);
/** Wait a second for memory to come back. @return false when the reader has to end */
bool reader_starved(struct reader *reader);
/** Once all is emitted: stay until it is durable and remembered. */
void reader_await_acks(struct reader *reader);
/** A fresh batch to fill. @return false when the reader has to end */
bool reader_new_batch(struct reader *reader);
/** Milliseconds until something has to be flushed or saved; -1: never. */
int reader_due(struct reader *reader);

/** The texts of `path`, or those given to load(). */
size_t reader_specs(const struct reader *reader, const char *const **specs);

/* --- source.c --------------------------------------------------------------------------------- */

enum opened {
  OPENED,
  OPENED_DONE,  /* there is nothing (more) to read in it */
  OPENED_FAILED /* `errno` says why; neither logged nor counted */
};

/**
 * Open a file where reading of it left off.
 * @param source  zero
 * @param path    must live as long as the source
 */
enum opened source_open(struct reader *reader, struct source *source, const char *path);

/** Read standard input. */
enum opened source_open_stdin(struct reader *reader, struct source *source);

/**
 * Read a connection, or a socket that takes datagrams.
 * @param fd  taken over, also when this fails
 */
enum opened source_open_socket(struct reader *reader, struct source *source, const char *name,
                               int fd, bool datagrams);

/** Close it. Tolerates one that is not open. */
void source_close(struct reader *reader, struct source *source);

/**
 * Read on.
 * @param final  what ends within a line ends there for good
 */
enum turn source_turn(struct reader *reader, struct source *source, bool final);

/** The batch being filled holds what was taken of this file. @return false: the reader has to end
 */
bool source_mark(struct reader *reader, struct source *source);

/** Log what is remarkable at the end of a source, which `state` told. */
void source_say_end(struct reader *reader, struct source *source, enum turn state);

/** The stream of a compressed file came to its end, good or bad: it is not read again. */
void source_complete(struct reader *reader, struct source *source);

/**
 * Whether a plain file is still the one of which `known` speaks; if not, it was emptied or written
 * anew, and reading begins at its beginning.
 */
bool source_refresh(struct reader *reader, struct source *source);

/** What a file is by its first octets; UNKNOWN while they are too few. */
enum packing source_packing(const struct source *source);

static inline bool source_is_open(const struct source *source)
{
  return source->fd >= 0;
}

#endif
