/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Input from the analyzer queue of a D4 server, a Redis list that is filled from the left and
 * consumed from the right.
 *
 * Each worker moves entries from the queue to a list of its own in the same database, the in-flight
 * list, and takes them off that list's right end once they are durable. So at every moment an entry
 * is in one of the two lists, or stored.
 */
#ifndef D4_PRIVATE_H
#define D4_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <cofd/passivedns.h>
#include <cofd/plugin.h>

#include "resp_private.h"

#define D4_WORKERS_MAX 64
/* Octets of an entry; larger ones are refused. */
#define D4_ENTRY_MAX ((size_t)1 << 20)
/* A token is what its ack needs: worker, epoch, entries. */
#define D4_BATCH_MAX 100000

enum d4_format { D4_AUTO, D4_PASSIVEDNS, D4_COF };

/** Redis of a D4 server, where neither an address nor a socket is given. */
#define D4_SERVER_HOST "127.0.0.1"
#define D4_SERVER_PORT 6380

struct d4_conf {
  struct cof_endpoint server;
  char *socket;
  int64_t db;
  char *user, *password;
  bool tls;
  char *ca_file;
  char *uuid, *queue;
  int format;
  char *fields, *delimiter;
  int count;
  char *sensor_id;
  int64_t batch_entries, max_in_flight, workers;
  char *dead_letter;
  int64_t dead_letter_max;
  int64_t connect_timeout, command_timeout;
};

/* --- entry.c: reading entries ----------------------------------------------------------------- */

enum { TTL_BUCKETS = 6, TYPES = 256 };
enum { CLASS_IN, CLASS_CH, CLASS_HS, CLASS_NONE, CLASS_ANY, CLASS_OTHER, CLASSES };

/** Counters shared by the workers. */
struct entry_metrics {
  struct cof_metric *entries, *records, *blank, *negative, *other_class, *bad, *odd_bailiwicks;
  struct cof_metric *ttl[TTL_BUCKETS], *class[CLASSES];
};

/** What one batch of entries came to. */
struct entry_counts {
  uint64_t entries, records, blank, negative, other_class, bad, odd_bailiwicks;
  uint64_t ttl[TTL_BUCKETS], class[CLASSES];
};

/** Reads entries of either format. One per worker. */
struct entry_reader;

struct entry_reader *entry_reader_create(const struct d4_conf *conf, struct cof_error *err);
void entry_reader_destroy(struct entry_reader **reader);

/**
 * Read one entry, appending its records and counting what it was.
 * @return COF_OK, COF_REJECT with a reason, or COF_FATAL: out of memory
 */
enum cof_result entry_read(struct entry_reader *reader, const char *text, size_t len,
                           struct cof_batch *batch, struct entry_counts *counts,
                           struct cof_error *err);

void entry_metrics_make(struct cof_host *host, struct entry_metrics *metrics);
/** Add the counts of a batch, and the types of its records. */
void entry_metrics_add(struct cof_host *host, const struct entry_metrics *metrics,
                       const struct entry_counts *counts, const struct cof_batch *batch);
/** Options of a passivedns reader; `delimiter` receives the text with `\t` read as a tab. */
struct cof_passivedns_options entry_options(const struct d4_conf *conf,
                                            char delimiter[COF_PASSIVEDNS_DELIMITER_MAX + 2]);

/* --- worker.c --------------------------------------------------------------------------------- */

struct worker;

/** What the workers of an instance share; set by the instance, and not changed while they live. */
struct shared {
  struct cof_host *host;
  const struct d4_conf *conf;
  char *queue; /* key */
  struct entry_metrics metrics;
  struct cof_metric *connected, *queue_length, *in_flight, *recovered, *dead, *reconnects;
};

struct resp_options worker_resp_options(const struct d4_conf *conf, struct resp_endpoint *endpoint);

struct worker *worker_create(const struct shared *shared, unsigned index, struct cof_error *err);
/** Takes off the list what was acknowledged last, if the server is there. After worker_stop(). */
void worker_destroy(struct worker **worker);
/** Connect once, so that what no waiting mends is known at once, and start the thread. */
enum cof_result worker_start(struct worker *worker);
/** End the thread and wait for it. */
void worker_stop(struct worker *worker);
/** From the host's thread. */
void worker_ack(struct worker *worker, uint64_t token, enum cof_result result);
/** Worker a token belongs to. */
unsigned worker_of_token(uint64_t token);

#endif
