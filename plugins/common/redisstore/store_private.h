/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The instance that the storages redis and kvrocks have in common: configuration, connections, and
 * what the layouts work with.
 *
 * Threads: one client writes, held by whoever is in write(); up to `readers` others are lent to
 * questions for the length of one call, never for the life of a cursor.
 */
#ifndef REDISSTORE_STORE_PRIVATE_H
#define REDISSTORE_STORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/plugin.h>

#include "resp_private.h"

struct layout;

/** Filled from the option tables. */
struct conf {
  struct cof_list server;
  char *socket;
  int mode; /**< enum resp_mode */
  char *master;
  char *user, *password, *sentinel_password;
  int64_t database;
  bool tls;
  char *ca_file;
  int64_t connect_timeout, command_timeout; /**< ms */
  int64_t pipeline;
  int64_t readers;
  int read_from;    /**< enum conf_read_from */
  int wait_replica; /**< enum conf_wait */
  int layout;       /**< 0: auto; else 1 + index into layouts[] */
  struct cof_list expire;
};

enum conf_read_from { CONF_PRIMARY = 0, CONF_REPLICA };
enum conf_wait { CONF_WAIT_AUTO = 0, CONF_WAIT_NO, CONF_WAIT_TRY, CONF_WAIT_YES };

/** Most elements of `expire`, and the longest time in it. */
#define EXPIRE_MAX     256
#define EXPIRE_SECONDS INT64_C(3153600000)

/** What tells redis from kvrocks. */
struct flavour {
  const char *name;
  bool kvrocks;
  uint16_t port; /**< where a server listens when nothing is said */
};

/** After how many seconds records of one type expire. */
struct expiry {
  uint16_t rrtype;
  int64_t seconds;
};

/** A client for questions. */
struct reader {
  struct resp *client;
  struct reader *next;
};

struct store {
  struct cof_host *host;
  const struct conf *conf;
  const struct flavour *flavour;
  struct expiry expiries[EXPIRE_MAX];
  size_t expiries_count;

  pthread_mutex_t writing; /**< held while `writer` is in use */
  struct resp *writer;
  bool failing;             /**< the last write failed, and the log says so */
  bool unreplicated;        /**< no replica confirmed the last write that it was asked for */
  uint64_t unhealthy_until; /**< cof_clock_ns() until which none is waited for */

  pthread_mutex_t lock; /**< guards the readers */
  pthread_cond_t idle;  /**< a reader came back */
  struct reader *free_readers;
  size_t readers_count; /**< those lent included */
  struct reader *all_readers[64];
  bool stopping;

  _Atomic(const struct layout *) layout; /**< NULL: not known yet */
  void *state;                           /**< of the layout; set before `layout` */

  struct cof_metric *m_failed, *m_unreplicated, *m_unreadable, *m_stale;
};

/* --- connect.c ------------------------------------------------------------------------------ */

/** Check across options. @return COF_OK, or COF_REJECT after saying why */
enum cof_result conf_check(const struct conf *conf, const struct flavour *flavour,
                           struct cof_diag *diag);

/** Read `TYPE:seconds`. @return false when it is not of that form */
bool expiry_parse(const char *text, struct expiry *out);

/** A client as the options say. @param reader  whether it only reads */
struct resp *store_connect(const struct store *store, bool reader, struct cof_error *err);

/* --- replicate.c ---------------------------------------------------------------------------- */

/**
 * Have a replica confirm what the writer has written since it was last asked, as `wait_replica`
 * says. With `writing` held.
 * @return RESP_OK: confirmed, or not demanded
 */
enum resp_result store_replicate(struct store *store, struct cof_error *err);

/* --- readers.c ------------------------------------------------------------------------------ */

/**
 * Borrow a client for questions; waits while all are lent.
 * @param deadline_ns  cof_clock_ns() until which to wait; 0: as long as a command may take
 * @return COF_OK; COF_TIMEOUT; COF_RETRY, COF_FATAL with a reason
 */
enum cof_result reader_take(struct store *store, uint64_t deadline_ns, struct reader **reader,
                            struct cof_error *err);
void reader_give(struct store *store, struct reader *reader);
/** End what readers do, and lend none any more. */
void readers_stop(struct store *store);
void readers_free(struct store *store);

/* --- store.c: callbacks, but for what differs between the two plugins ------------------------ */

enum cof_result store_create(struct cof_host *host, const void *conf, const struct flavour *flavour,
                             void **self);
enum cof_result store_start(void *self);
enum cof_result store_stop(void *self, uint64_t deadline_ns);
void store_destroy(void *self);
extern const struct cof_storage_ops store_ops;

/** Capabilities of any layout. */
#define STORE_CAPS                                                                                 \
  (COF_CAP_THREAD_SAFE | COF_CAP_RRNAME | COF_CAP_SUBDOMAINS | COF_CAP_RDATA |                     \
   COF_CAP_ADDR_RANGE | COF_CAP_RDATA_TEXT | COF_CAP_SCAN | COF_CAP_RRTYPE | COF_CAP_FENCES |      \
   COF_CAP_RESUME | COF_CAP_NEW | COF_CAP_BAILIWICK)

/** What a run means for the host: passing and interrupted are COF_RETRY. */
enum cof_result store_result(enum resp_result result);

/** Seconds after which records of a type expire; 0: never. */
int64_t store_expiry(const struct store *store, uint16_t rrtype);

#endif
