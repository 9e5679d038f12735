/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What the parts of the client share.
 */
#ifndef RESP_INNER_PRIVATE_H
#define RESP_INNER_PRIVATE_H

#include <stdatomic.h>

#include "resp_private.h"
#include "topology_private.h"

/* --- encode.c: octets of commands ------------------------------------------------------------ */

struct buffer {
  char *data;
  size_t len, cap;
  bool failed; /* out of memory since the command under way began */
};

void buffer_number(struct buffer *b, char kind, uint64_t n); /* "*3\r\n", "$12\r\n" */
void buffer_put(struct buffer *b, const void *data, size_t len);
void buffer_bulk(struct buffer *b, const void *data, size_t len);
size_t decimal(char out[20], uint64_t n); /* octets written */

/* --- conn.c: one connection ------------------------------------------------------------------ */

struct tls;

struct conn {
  int fd; /* -1: closed */
  redisReader *reader;
  struct tls *tls;
};

struct target {
  const char *host; /* or the path of a socket, with port 0 and `local` */
  uint16_t port;
  bool local;
};

enum conn_role { CONN_WRITE, CONN_READ_REPLICA, CONN_SENTINEL };

/* Connect and log in. `err` names the target. */
enum resp_result conn_open(struct resp *r, struct conn *c, const struct target *t,
                           enum conn_role role, struct cof_error *err);
void conn_close(struct conn *c);
/* Octets moved, 0: would block, -1: broken with errno, or 0 in errno at the end of the stream. */
ssize_t conn_write(struct conn *c, const struct iovec *iov, int count);
ssize_t conn_read(struct conn *c, void *buf, size_t cap);
short conn_events(const struct conn *c, bool want_write);
/* One command and its answer, which the caller frees. */
enum resp_result conn_call(struct resp *r, struct conn *c, const char *const *argv, size_t argc,
                           redisReply **reply, struct cof_error *err);
/* Whether an idle connection is still good. */
bool conn_alive(struct conn *c);
bool reader_feed(struct conn *c, const char *data, size_t len);
void target_text(const struct target *t, char *out, size_t cap);

/* --- tls.c ----------------------------------------------------------------------------------- */

struct tls_context;

struct tls_context *tls_context_create(const char *ca_file, struct cof_error *err);
void tls_context_destroy(struct tls_context **ctx);
struct tls *tls_create(struct tls_context *ctx, int fd, const char *host);
void tls_destroy(struct tls **tls);
/* 1: done, 0: wait for *events, -1: failed with a reason in `err`. */
int tls_handshake(struct tls *tls, short *events, struct cof_error *err);
ssize_t tls_write(struct tls *tls, const void *data, size_t len);
ssize_t tls_read(struct tls *tls, void *buf, size_t cap);
short tls_events(const struct tls *tls);
bool tls_buffered(const struct tls *tls);

/* --- client.c, pump.c, route.c --------------------------------------------------------------- */

#define ASKING_MARK UINT32_MAX
#define NO_NODE     UINT16_MAX
#define NODES_MAX   1024
#define ROUNDS_MAX  8 /* of re-issuing in one run */

enum route_kind { ROUTE_ANY, ROUTE_SLOT, ROUTE_NODE };

struct command {
  size_t offset; /* in the buffer */
  uint32_t len;
  uint16_t where; /* slot or node */
  uint16_t ask;   /* node that an ASK named, or NO_NODE */
  uint8_t route;
  bool done;
  resp_reply_fn fn;
  void *arg;
};

struct node {
  char host[RESP_HOST_MAX];
  uint16_t port;
  char name[RESP_HOST_MAX + 8];
  bool replica; /* log in with READONLY */
  struct conn conn;
  char *peer; /* what `conn` is connected to, for messages */
  /* When to look for a replica again, since this is a master in place of one; 0: it is not. */
  int64_t makeshift_ms;
  /* the round under way */
  uint32_t *queue; /* commands by index, or ASKING_MARK */
  size_t queued, cap;
  size_t sent;     /* elements wholly sent */
  size_t offset;   /* octets sent of the next one */
  size_t answered; /* elements answered */
  int64_t progress_ms;
};

struct resp {
  struct resp_options o; /* strings are copies */
  struct resp_endpoint endpoints[RESP_ENDPOINTS_MAX];
  size_t next_endpoint; /* where to begin looking */
  struct tls_context *tls;
  int wake[2]; /* a pipe, readable while interrupted */
  atomic_bool stopping;
  unsigned failures;    /* runs in a row */
  uint64_t connections; /* made so far */
  uint64_t random;

  struct buffer buffer;
  struct command *commands;
  size_t count, cap;
  struct command open; /* the one under way */
  size_t open_args;
  int open_key;
  size_t key_offset, key_len;

  struct node **nodes;
  size_t nodes_count;
  size_t masters;              /* nodes 0 to masters - 1 hold keys */
  uint16_t *owner, *reader_of; /* node of each slot, cluster only */
  bool stale;                  /* the map, or the server that has the role, is to be asked again */

  enum resp_result result; /* of the run under way */
  struct cof_error error;
  bool again, soon; /* another round is needed; after a pause */
  int block_ms;
  char *inbox; /* INBOX octets */
};

#define INBOX 65536

int64_t now_ms(void);
uint64_t random_next(struct resp *r);
__attribute__((format(printf, 3, 4))) void note(struct resp *r, enum resp_result result,
                                                const char *fmt, ...);
bool resp_stopping(struct resp *r);

/* pump.c: one round over all nodes with a queue */
bool node_queue(struct node *n, uint32_t element);
void pump_round(struct resp *r);
void command_finish(struct resp *r, struct command *c, const redisReply *reply);

/* route.c */
enum resp_result route_refresh(struct resp *r, struct cof_error *err);
struct node *route_node(struct resp *r, const struct command *c);
enum resp_result route_connect(struct resp *r, struct node *n, struct cof_error *err);
/* Follow a redirection. @return false when it is none, or not to be followed */
bool route_redirect(struct resp *r, struct command *c, const redisReply *reply);
struct node *route_add_node(struct resp *r, const char *host, uint16_t port, uint16_t *index);
void node_close(struct node *n);
void node_free(struct node *n);

#endif
