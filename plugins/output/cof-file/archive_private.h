/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * An archive of what was stored: lines wait in memory, up to a bound, for a thread that packs them
 * and writes them into files.
 */
#ifndef ARCHIVE_PRIVATE_H
#define ARCHIVE_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/plugin.h>

#include "feed_private.h"

enum packing { PACK_NONE = 0, PACK_GZIP, PACK_ZSTD };
enum syncing { SYNC_NEVER = 0, SYNC_ROTATE, SYNC_INTERVAL, SYNC_EACH };
enum overflow { OVERFLOW_WAIT = 0, OVERFLOW_DROP };

/** Filled from the option table in plugin.c. */
struct conf {
  char *path;      /**< one file; or NULL */
  char *directory; /**< of files that are rotated; or NULL */
  char *prefix;    /**< of their names; NULL: the name of the instance */
  int compression; /**< enum packing */
  int64_t rotate_size;
  int64_t rotate_time;
  int sync; /**< enum syncing */
  int64_t sync_interval;
  int64_t queue_bytes;
  int overflow; /**< enum overflow */
  char *origin;
  bool stamp;
};

/** Lines, each ended by a newline. */
struct lines {
  char *bytes;
  size_t from; /**< octets at the beginning that are written already */
  size_t len, room;
  uint64_t count; /**< lines behind `from` */
};

/** A file being written. */
struct part {
  int fd;        /**< -1: none */
  char *name;    /**< under which it is written */
  char *final;   /**< which it gets when complete; NULL: keeps its name */
  uint64_t good; /**< octets of whole lines, packed */
  uint64_t opened_ns;
  bool dirty; /**< something is not synced */
};

struct packer;

struct archive {
  struct cof_host *host;
  struct conf conf; /**< a copy: nothing of it can be reloaded, but a reload replaces it */
  struct feed feed;
  const char *prefix;
  struct lines own; /**< of the chain's thread: one piece on its way into the queue */

  pthread_mutex_t lock; /**< guards all from here to the thread's own */
  pthread_cond_t work;  /**< for the thread: lines came, rotate, stop */
  pthread_cond_t room;  /**< for the chain: the queue got shorter, or lines are safe */
  struct lines queue;   /**< waiting */
  uint64_t queued,
      safe;          /**< octets ever queued; of these, written as `sync` demands, or given up */
  uint64_t dropping; /**< lines dropped since the queue was full */
  bool rotate;       /**< begin a new file now */
  bool stopping, finished; /**< take no more and end; the thread is at its end */
  uint64_t deadline_ns;    /**< of the stop */

  pthread_t thread; /**< all below is its own */
  bool running;
  struct lines writing;
  struct part part;
  struct packer *packer;
  bool failing; /**< the log has the reason */
  uint64_t synced_ns;

  struct cof_metric *m_lines, *m_bytes, *m_dropped, *m_retries, *m_files, *m_queue;
};

/* --- archive.c ------------------------------------------------------------------------------ */

bool archive_start(struct archive *archive);
/** Callback stored(). */
void archive_stored(void *self, const struct cof_stored *stored);
/** Write all, until the deadline. @return whether nothing was lost */
bool archive_stop(struct archive *archive, uint64_t deadline_ns);

/* --- part.c: of one file; false with a reason in `err` --------------------------------------- */

/** Open the one file, or a new one in the directory, if none is open. */
bool part_open(struct archive *archive, struct cof_error *err);
/** Append whole frames; what could not be written wholly is cut off again. */
bool part_write(struct archive *archive, const void *bytes, size_t len, struct cof_error *err);
bool part_sync(struct archive *archive, struct cof_error *err);
/** Give it its name. */
bool part_finish(struct archive *archive, struct cof_error *err);
/** Close it as it lies, to be opened anew. */
void part_close(struct archive *archive);
/** Finish what an earlier run left in the directory. */
bool part_recover(struct archive *archive, struct cof_error *err);

/* --- pack.c ---------------------------------------------------------------------------------- */

/** @return NULL when out of memory */
struct packer *packer_create(enum packing packing);
void packer_destroy(struct packer **packer);
/**
 * Pack lines as one gzip member or zstd frame, or leave them as they are.
 * @param out  set to what is to be written, valid until the next call
 * @return octets of it; 0 when out of memory
 */
size_t packer_pack(struct packer *packer, const char *bytes, size_t len, const void **out);
/** ".gz", ".zst" or "". */
const char *packing_suffix(enum packing packing);
/** Whether octets may be the beginning of a file packed so. @param len  at least 1 */
bool packing_begins(enum packing packing, const char *bytes, size_t len);
/** How many octets of a file's beginning are whole lines, packed in whole frames. */
size_t packing_whole(enum packing packing, const char *bytes, size_t len);

#endif
