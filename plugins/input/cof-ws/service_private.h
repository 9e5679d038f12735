/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The instance and its thread, which serves all connections, and hands on what they bring.
 *
 * Back-pressure: while the chain takes nothing, the thread waits within the callback that brought
 * the last message, and so nothing is read from any of the sockets, and TCP holds the peers.
 * lws_rx_flow_control() would not do: libwebsockets closes a connection at once that is reset while
 * its reading is off, and then drops what had arrived of it.
 */
#ifndef COF_WS_SERVICE_PRIVATE_H
#define COF_WS_SERVICE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>
#include <openssl/ssl.h>

#include <cofd/plugin.h>

#include "backoff_private.h"
#include "conf_private.h"
#include "message_private.h"
#include "url_private.h"

#define MS_NS UINT64_C(1000000)

struct service;

enum stream_state {
  STREAM_WAITING,    /* for the time to connect */
  STREAM_CONNECTING, /* up to the answer to the handshake */
  STREAM_OPEN,
  STREAM_CLOSING /* by us */
};

/* One address, and its connection. */
struct stream {
  struct service *service;
  struct ws_url url;
  char shown[WS_SHOWN_MAX];
  enum stream_state state;
  struct lws *wsi;        /* not NULL while connecting, open, closing */
  uint64_t due_ns;        /* WAITING: when to connect; CONNECTING: when to give up */
  uint64_t opened_ns;     /* OPEN: since when */
  uint64_t heard_ns;      /* the last octet of the server */
  uint64_t message_ns;    /* the last message; before the first one, the start */
  uint64_t messages;      /* received in this connection */
  unsigned attempts;      /* to connect, since it worked last */
  unsigned status;        /* HTTP status of the answer to the handshake; 0: none yet */
  bool lost;              /* it was connected, and is no more */
  bool failure_told;      /* why it cannot connect */
  bool ping_due, ping_on; /* to send; sent and not answered by anything yet */
  struct backoff backoff;
  struct message message;
  struct cof_error why; /* the trouble under way; empty: not known yet */
  struct cof_metric *silence;
};

struct service {
  struct cof_host *host;
  const struct conf *conf;
  struct stream *streams;
  size_t streams_count;
  struct cof_reader *reader;
  struct take take;
  char *subprotocols; /* as they are offered; NULL: none */
  struct lws_context *context;
  SSL_CTX *tls; /* NULL where no address needs it */
  lws_sorted_usec_list_t alarm;

  pthread_t thread;
  bool running;
  atomic_bool stopping;

  /* of the thread */
  struct cof_batch *batch; /* NULL only when memory is out */
  uint64_t batch_since;    /* clock of its first record; 0: empty */
  uint64_t token;
  uint64_t gauged_ns;
  bool stopped;            /* the host takes nothing more */
  struct stream *speaking; /* whose message is being taken apart */
  struct {
    uint64_t messages, octets;
  } tally;      /* not added to the metrics yet */
  uint64_t odd; /* bailiwicks left out, in the metric */

  struct cof_metric *messages, *bytes, *records, *reconnects, *too_long, *cut, *connected, *silence;
  struct cof_metric *odd_bailiwicks;
};

/* --- service.c -------------------------------------------------------------------------------- */

/** Make what needs no network. @return COF_OK, or COF_FATAL after logging why */
enum cof_result service_build(struct service *service);
/** Prepare connections and start the thread. */
enum cof_result service_start(struct service *service);
/** End the thread. @return whether it ended in time */
bool service_stop(struct service *service, uint64_t deadline_ns);
void service_free(struct service *service);

/** Whether the thread has to end. */
bool service_ending(const struct service *service);
/** Take what a stream received apart into records. @return false: the thread has to end */
bool service_take(struct service *service, struct stream *stream, const char *text, size_t len);
/** Memory is out: wait a second. @return false: the thread has to end */
bool service_starved(struct service *service);

/* --- stream.c --------------------------------------------------------------------------------- */

/** What libwebsockets calls. */
int stream_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                 size_t len);
/**
 * Do what time asks for: connect, give up, ping, close.
 * @return when to do it next, of the host's clock
 */
uint64_t stream_step(struct stream *stream, uint64_t now);
/** Say good-bye to the server. @return whether there was a connection to say it on */
bool stream_leave(struct stream *stream);
/** The thread was deaf for a while; what it did not hear meanwhile says nothing. */
void stream_was_deaf(struct stream *stream, uint64_t now);

/** Name of the one protocol of the library's table. */
#define WS_PROTOCOL "cof-ws"

#endif
