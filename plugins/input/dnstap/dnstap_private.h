/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The instance: its configuration, and its one thread, which reads sockets and files in turns.
 */
#ifndef DNSTAP_PRIVATE_H
#define DNSTAP_PRIVATE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/plugin.h>

#include "door_private.h"
#include "frames_private.h"
#include "positions_private.h"

#define CONNECTIONS_MAX 1024
#define LISTENERS_MAX   2
#define MS_NS           UINT64_C(1000000)

struct conf {
  char *socket, *socket_mode, *socket_group;
  struct cof_endpoint listen;
  struct cof_list path;
  bool follow;
  int64_t poll_interval;
  struct cof_list messages, sections;
  char *sensor_id;
  int64_t max_connections, handshake_timeout, max_frame;
  int64_t batch_records, batch_bytes, batch_time;
};

/** Bits of the words in a list. @return false with the word that is none of them in `wrong` */
bool conf_words(const struct cof_list *list, const char *const *words, uint32_t *bits,
                const char **wrong);
/** Octal permissions. @return false if the text is none */
bool conf_mode(const char *text, unsigned *mode);

struct tap_metrics {
  struct cof_metric *records, *bytes, *payloads, *unwanted, *responses, *dns_errors, *truncated,
      *other_section, *other_class, *meta, *out_of_bailiwick, *connections, *accepted, *broken,
      *files, *errors;
};

struct files;
struct peers;

struct tap {
  struct cof_host *host;
  const struct conf *conf;
  const char *const *load_paths; /* of load(), in place of conf->path */
  size_t load_count;
  bool loading;

  pthread_t thread;
  bool running;
  int wake; /* eventfd: written to stop */
  atomic_bool stopping;
  atomic_uint_fast64_t done, total; /* for progress() */

  struct positions *positions;
  struct files *files; /* NULL: none to read */
  struct peers *peers; /* NULL: no sockets */
  struct door *door;
  struct door_counts counts; /* not in the metrics yet */
  struct cof_batch *batch;   /* being filled; NULL only between two */
  uint64_t batch_since;      /* clock of its first record; 0: empty */
  uint64_t token;
  bool stopped; /* the host takes nothing more */
  struct tap_metrics metrics;
};

/* --- intake.c: payloads into batches, batches to the host ---------------------------------------
 */

/** Whether the thread has to end. */
bool tap_ending(const struct tap *tap);
/** A fresh batch to fill. @return false when the thread has to end */
bool tap_new_batch(struct tap *tap);
/**
 * Take the payload of a frame. What is wrong with it is counted and logged.
 * @param source, at  where it came from, and at which octet; `at` UINT64_MAX: not said
 * @return false when the thread has to end
 */
bool tap_take(struct tap *tap, const struct frame *frame, const char *source, uint64_t at);
/** Emit what there is. @return false when the thread has to end */
bool tap_flush(struct tap *tap);
/** Emit what there is if it is older than batch_time; bring the metrics up to date. */
bool tap_flush_old(struct tap *tap);
/** Milliseconds until something has to be flushed or saved; -1: never. */
int tap_due(struct tap *tap);
/** Wait for descriptors, the time or the stop. @param fds  room for count + 1 */
void tap_wait(struct tap *tap, struct pollfd *fds, size_t count, int ms);

/* --- files.c ------------------------------------------------------------------------------------
 */

struct files *files_create(struct tap *tap);
void files_destroy(struct files **files);
/** Read on for a while. */
void files_turn(struct files *files);
/** The batch being filled goes out with the next token: say how far it is. False: out of memory */
bool files_mark(struct files *files);
/** Milliseconds until there is something to read again; 0: now; -1: all was read. */
int files_due(const struct files *files);

/* --- listen.c -----------------------------------------------------------------------------------
 */

/** Sockets that peers connect to. */
struct listeners {
  int fds[LISTENERS_MAX];
  size_t count;
  char *path;                  /* of the Unix socket; owned by the configuration */
  uint64_t device, inode;      /* of the Unix socket */
  bool is_unix[LISTENERS_MAX]; /* of each */
};

/** Bind what the configuration says. @return COF_OK, or COF_FATAL after logging why */
enum cof_result listeners_open(struct listeners *listeners, struct cof_host *host,
                               const struct conf *conf);
/** Close them, and remove the Unix socket if it is still ours. Tolerates those that are zero. */
void listeners_close(struct listeners *listeners);

/* --- peers.c ------------------------------------------------------------------------------------
 */

/** Bind the sockets. @param peers  COF_OK: owned by the caller */
enum cof_result peers_open(struct tap *tap, struct peers **peers);
void peers_close(struct peers **peers);
/** Descriptors to wait for. @param fds  room for CONNECTIONS_MAX + LISTENERS_MAX */
size_t peers_poll(struct peers *peers, struct pollfd *fds);
/** Milliseconds until a peer is out of time; -1: none is to be. */
int peers_due(const struct peers *peers);
/** Deal with what poll() found. */
void peers_serve(struct peers *peers, const struct pollfd *fds, size_t count);

#endif
