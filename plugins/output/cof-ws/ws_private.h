/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The live feed. A chain hands over copies of what it stored; one thread, which serves all
 * connections, writes each record once that some subscriber wants, and sends it to each at the pace
 * of its connection.
 */
#ifndef WS_PRIVATE_H
#define WS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include <cofd/plugin.h>

#include "feed_private.h"

enum overflow { OVERFLOW_DISCONNECT = 0, OVERFLOW_SKIP };

/** Filled from the option table in plugin.c. */
struct conf {
  struct cof_endpoint listen;
  int64_t connections;
  int64_t queue_messages, queue_bytes, backlog_bytes;
  int overflow; /**< enum overflow */
  char *tokens;
  struct cof_list allow_origin;
  char *certificate, *key;
  int64_t ping_interval, idle_timeout;
  char *origin;
  bool relay, page;
};

/** Records distributed at once. */
#define SLICE 4096
/** Bounds of what one subscriber asks for. */
#define RRTYPES_MAX  64
#define SUFFIXES_MAX 16
/** Octets of a reason: what fits a close frame. */
#define REASON_MAX 123
/** Octets of a bearer token. */
#define TOKEN_MIN 16
#define TOKEN_MAX 256

struct tokens;

/** What a subscriber wants. */
struct filter {
  size_t rrtypes_count, suffixes_count; /**< 0: all */
  uint16_t rrtypes[RRTYPES_MAX];
  struct suffix {
    char name[COF_NAME_MAX + 1];
    size_t len;
  } * suffixes; /**< owned */
  bool only_new;
};

/** Messages, one behind the other; shared by the subscribers that still have to get some. */
struct block {
  struct block *older, *newer; /**< in ws.blocks */
  size_t refs;
  size_t bytes; /**< of memory */
  size_t count;
  size_t *ends; /**< where each message ends in `text` */
  char *text;
};

/** Messages of one block that one subscriber still has to get. */
struct delivery {
  struct delivery *next;
  struct block *block;
  size_t at, count; /**< next of them, and how many in all */
  uint32_t *picked; /**< which of the block's; NULL: all */
};

/** One connection after its upgrade; memory of libwebsockets. */
struct sub {
  struct sub *next;
  struct lws *wsi;
  struct filter *filter; /**< NULL: not (or no longer) a subscriber */
  struct delivery *first, *last;
  size_t messages, bytes; /**< waiting */
  uint64_t skipped;       /**< to be told */
  int close;              /**< status to close with once that can be written; 0: none */
  char reason[REASON_MAX + 1];
  uint32_t *picked; /**< of the slice being distributed */
  size_t picked_count;
};

/** What the chain stored with one write, copied. */
struct handoff {
  struct handoff *next;
  struct cof_batch *batch;
  uint8_t *news; /**< NULL: not known */
  size_t at;     /**< records before it are distributed */
  size_t bytes;
};

struct ws {
  struct cof_host *host;
  struct conf conf; /**< a copy: after a reload its `tokens`, `certificate` and `key` are gone */
  bool secure;      /**< TLS is served */
  struct feed feed;

  pthread_mutex_t lock; /**< guards all from here to the thread's own */
  struct handoff *handoffs, **handoffs_end;
  size_t handoff_bytes;
  uint64_t missed; /**< records that were not handed over */
  struct tokens *tokens;
  struct ssl_ctx_st *tls; /**< certificate and key; NULL: no TLS, for as long as it runs */
  bool missing;           /**< the log has that records are not handed over */

  atomic_bool stopping;
  atomic_size_t wide; /**< subscribers that want more than new records */
  uint64_t stop_ns;   /**< by when all is to be closed; set before `stopping` */
  struct lws_context *context;
  pthread_t thread;
  bool running;

  struct sub *subs; /**< all below belongs to the thread */
  size_t subs_count, new_count;
  struct block *oldest, *newest;
  size_t block_bytes;
  lws_sorted_usec_list_t timer;
  uint64_t distributed_ns;
  char *out; /**< one message behind LWS_PRE octets */
  size_t out_room;
  struct lws_retry_bo policy;

  struct cof_metric *m_subscribers, *m_connections, *m_refused, *m_sent, *m_bytes, *m_skipped,
      *m_dropped, *m_disconnected, *m_missed, *m_backlog;
};

/* --- handoff.c: the chain's side -------------------------------------------------------------- */

/** Callback stored(). */
void handoff_stored(void *self, const struct cof_stored *stored);
/** The oldest that is not distributed wholly; stays in the list. */
struct handoff *handoff_first(struct ws *ws);
/** Free the oldest. */
void handoff_done(struct ws *ws);
/** Records that were not handed over since the last call. */
uint64_t handoff_missed(struct ws *ws);
/** Whether more than half of the room is taken. */
bool handoff_pressing(struct ws *ws);
void handoff_free_all(struct ws *ws);

/* --- filter.c --------------------------------------------------------------------------------- */

/** Read one parameter of the address. @return NULL, or what is wrong with it */
const char *filter_set(struct filter *filter, const char *name, const char *value);
bool filter_match(const struct filter *filter, const struct cof_record *record, bool is_new);
void filter_free(struct filter **filter);

/* --- tokens.c --------------------------------------------------------------------------------- */

/**
 * Read a file of tokens: one a line, `#` begins a comment.
 * @return owned by the caller, or NULL with a reason that holds no token
 */
struct tokens *tokens_read(const char *file, struct cof_error *err);
void tokens_free(struct tokens **tokens);
/** Whether a token is among them; takes the same time whichever it is like. */
bool tokens_match(const struct tokens *tokens, const char *token, size_t len);

/* --- tls.c ------------------------------------------------------------------------------------ */

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/**
 * Read certificate and key of a configuration that names both; libwebsockets says nothing of them.
 * @return owned by the caller; NULL: they cannot be used, and the log says why
 */
struct ssl_ctx_st *tls_read(struct cof_host *host, const struct conf *conf);
void tls_free(struct ssl_ctx_st **tls);
/** Have each handshake of a server show what is in `ws->tls` then. */
void tls_serve(struct ws *ws, struct ssl_ctx_st *server);

/* --- gate.c: who may come in ------------------------------------------------------------------ */

/** Why a request is refused. */
struct refusal {
  unsigned status; /**< of HTTP */
  char text[256];
};

/**
 * Look at the request for an upgrade, whose headers are there.
 * @return the filter, owned by the caller, or NULL with `why`
 */
struct filter *gate_look(struct ws *ws, struct lws *wsi, struct refusal *why);

/* --- subs.c: subscribers, blocks and deliveries ------------------------------------------------
 */

void sub_add(struct ws *ws, struct sub *sub, struct lws *wsi, struct filter *filter);
void sub_remove(struct ws *ws, struct sub *sub);
/** Have it closed with a status and reason, without what it still had to get. */
void sub_close(struct ws *ws, struct sub *sub, int status, const char *reason);
/** It did not take what came: by the option, close it, or skip ahead. */
void sub_overflow(struct ws *ws, struct sub *sub, const char *what);
/** The next message it has to get; NULL: none. */
const char *sub_message(const struct sub *sub, size_t *len);
/** That one was sent. */
void sub_sent(struct ws *ws, struct sub *sub);
/** Distribute what was handed over, as far as subscribers keep up. Service thread. */
void subs_pump(struct ws *ws);

/* --- server.c --------------------------------------------------------------------------------- */

bool server_start(struct ws *ws);
/** @return false when something was cut off */
bool server_stop(struct ws *ws, uint64_t deadline_ns);

#endif
