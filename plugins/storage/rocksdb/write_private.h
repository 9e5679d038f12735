/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A batch on its way into the database: its keys and values, in memory that is used again.
 */
#ifndef ROCKSDB_WRITE_PRIVATE_H
#define ROCKSDB_WRITE_PRIVATE_H

#include "sort_private.h"
#include "store_private.h"

struct chunk;

/** A record that cannot be stored. */
struct refused {
  size_t index;
  const char *reason;
};

struct arena {
  struct chunk *chunks, *current;
  size_t used; /**< octets used of `current` */
};

/** Scratch memory of one write. */
struct writer {
  struct writer *next;       /**< in store.idle */
  struct arena keys;         /**< keys with their values, but for those of `reverse` */
  struct arena reverse_keys; /**< apart, since two threads read either in key order */
  size_t bytes;              /**< octets of all keys and values */
  struct item *forward;      /**< one piece of memory with `reverse`, `scratch` and `names` */
  struct item *reverse;
  size_t count, room;   /**< items in each of forward and reverse */
  struct item *scratch; /**< 2 * room: the halves for two sorts at once */
  bool with_names;      /**< there is a forward index; set before encoding */
  struct item *names;   /**< its keys, in the order of records until sorted */
  size_t names_count;   /**< at most 2 * room */
  bool with_sensors;    /**< sensors are kept; set before encoding */
  struct item *sights;  /**< what they saw, twice `sights_room`: the latter half is for the sort */
  size_t sights_count, sights_room;
  struct item *stats; /**< counters to add, their keys in order */
  size_t stats_count, stats_room;
  struct refused *refused;
  size_t refused_count, refused_room;
};

struct writer *writer_create(void);
void writer_destroy(struct writer **writer);

/** Forget what was encoded; memory beyond what an ordinary batch needs is given back. */
void writer_clear(struct writer *writer);

/** Encode the kept records, with what sensors saw of them, and the counters of a batch. False when
 * out of memory. */
bool writer_encode(struct writer *writer, const struct cof_batch *batch);

/** Put items in key order. These two may run at once, in two threads. */
void writer_sort_forward(struct writer *writer);
void writer_sort_reverse(struct writer *writer);
/** The same of what sensors saw; needs nothing of the others. */
void writer_sort_sights(struct writer *writer);
/** The same of the names, and leave each there once; not while another sort runs. */
void writer_sort_names(struct writer *writer);

/**
 * Sort what the writer holds, build SST files of it, and ingest them. Takes a second thread.
 * @return COF_OK once durable; COF_RETRY, COF_FATAL with nothing written
 */
enum cof_result bulk_write(struct store *store, struct writer *writer, struct cof_error *err);

#endif
