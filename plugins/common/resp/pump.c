/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "inner_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECES      64           /* of one write */
#define WRITE_BYTES (256 * 1024) /* of one write, about */

static const char asking[] = "*1\r\n$6\r\nASKING\r\n";

bool node_queue(struct node *n, uint32_t element)
{
  if (n->queued == n->cap) {
    size_t cap = n->cap == 0 ? 256 : n->cap * 2;
    uint32_t *queue = realloc(n->queue, cap * sizeof *queue);
    if (queue == NULL)
      return false;
    n->queue = queue;
    n->cap = cap;
  }
  n->queue[n->queued++] = element;
  return true;
}

void command_finish(struct resp *r, struct command *c, const redisReply *reply)
{
  (void)r;
  c->done = true;
  if (c->fn != NULL)
    c->fn(c->arg, reply);
}

static const char *peer(const struct node *n)
{
  return n->peer != NULL ? n->peer : n->name[0] != '\0' ? n->name : "server";
}

/* The node is lost: nobody knows what became of what it was sent. */
static void node_fail(struct resp *r, struct node *n, enum resp_result result, const char *why)
{
  note(r, result, "%s: %s", peer(n), why);
  node_close(n);
  r->stale = true;
  for (size_t i = n->answered; i < n->queued; i++)
    if (n->queue[i] != ASKING_MARK)
      command_finish(r, &r->commands[n->queue[i]], NULL);
  n->queued = n->sent = n->answered = 0;
}

static void piece(const struct resp *r, uint32_t element, const char **data, size_t *len)
{
  if (element == ASKING_MARK) {
    *data = asking;
    *len = sizeof asking - 1;
  } else {
    *data = r->buffer.data + r->commands[element].offset;
    *len = r->commands[element].len;
  }
}

/* Gather what may be sent; commands that lie next to each other become one piece. */
static int gather(const struct resp *r, const struct node *n, struct iovec iov[PIECES])
{
  int count = 0;
  size_t total = 0, offset = n->offset;
  for (size_t i = n->sent;
       i < n->queued && i - n->answered < r->o.max_pipeline && total < WRITE_BYTES; i++) {
    const char *data;
    size_t len;
    piece(r, n->queue[i], &data, &len);
    data += offset;
    len -= offset;
    offset = 0;
    total += len;
    if (count > 0 && (const char *)iov[count - 1].iov_base + iov[count - 1].iov_len == data) {
      iov[count - 1].iov_len += len;
      continue;
    }
    if (count == PIECES)
      break;
    iov[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = len};
  }
  return count;
}

static void advance(const struct resp *r, struct node *n, size_t octets)
{
  while (octets > 0) {
    const char *data;
    size_t len;
    piece(r, n->queue[n->sent], &data, &len);
    len -= n->offset;
    if (octets < len) {
      n->offset += octets;
      return;
    }
    octets -= len;
    n->offset = 0;
    n->sent++;
  }
}

static bool may_send(const struct resp *r, const struct node *n)
{
  return n->sent < n->queued && n->sent - n->answered < r->o.max_pipeline;
}

static void node_lost(struct resp *r, struct node *n)
{
  char why[128];
  snprintf(why, sizeof why, "connection lost: %s",
           errno != 0 ? strerror(errno) : "closed by the server");
  node_fail(r, n, RESP_PASSING, why);
}

static void node_send(struct resp *r, struct node *n)
{
  while (may_send(r, n)) {
    struct iovec iov[PIECES];
    ssize_t moved = conn_write(&n->conn, iov, gather(r, n, iov));
    if (moved < 0) {
      node_lost(r, n);
      return;
    }
    if (moved == 0)
      return;
    advance(r, n, (size_t)moved);
    n->progress_ms = now_ms();
  }
}

static void judge(struct resp *r, struct node *n, const redisReply *reply)
{
  note(r, resp_classify(reply), "%s: %.200s", peer(n), reply->str);
  /* Whoever answers so may not be the one to ask any more. */
  static const char *const elsewhere[] = {"READONLY", "MASTERDOWN", "CLUSTERDOWN", "LOADING"};
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
    if (resp_is_error(reply, elsewhere[i]))
      r->stale = true;
}

/* Whoever logged us in speaks RESP: what is no answer now came about on the way, or in a server
   that is about to die, and another connection may do.
   @return false when the server answers more than it was asked */
static bool take(struct resp *r, struct node *n, const redisReply *reply)
{
  if (n->answered == n->sent)
    return false;
  uint32_t element = n->queue[n->answered++];
  if (element == ASKING_MARK)
    return true;
  struct command *c = &r->commands[element];
  if (reply->type != REDIS_REPLY_ERROR) {
    command_finish(r, c, reply);
    return true;
  }
  if (r->o.mode == RESP_CLUSTER && route_redirect(r, c, reply))
    return true;
  c->done = true;
  if (c->fn == NULL || !c->fn(c->arg, reply))
    judge(r, n, reply);
  return true;
}

static bool take_all(struct resp *r, struct node *n)
{
  void *reply = NULL;
  while (redisReaderGetReply(n->conn.reader, &reply) == REDIS_OK) {
    if (reply == NULL)
      return true;
    bool expected = take(r, n, reply);
    freeReplyObject(reply);
    if (!expected) {
      node_fail(r, n, RESP_PASSING, "answers more than it was asked");
      return false;
    }
  }
  char why[160];
  snprintf(why, sizeof why, "does not speak RESP: %s", n->conn.reader->errstr);
  node_fail(r, n, RESP_PASSING, why);
  return false;
}

static void node_receive(struct resp *r, struct node *n)
{
  do {
    ssize_t got = conn_read(&n->conn, r->inbox, INBOX);
    if (got < 0) {
      node_lost(r, n);
      return;
    }
    if (got == 0)
      return;
    n->progress_ms = now_ms();
    if (!reader_feed(&n->conn, r->inbox, (size_t)got)) {
      node_fail(r, n, RESP_PASSING, "an answer is too large");
      return;
    }
    if (!take_all(r, n))
      return;
  } while (n->conn.tls != NULL && tls_buffered(n->conn.tls));
}

/* Connect where needed. @return whether the node has work and can do it */
static bool node_ready(struct resp *r, struct node *n)
{
  if (n->queued == 0)
    return false;
  n->progress_ms = now_ms();
  bool look_again = (r->o.mode != RESP_CLUSTER && r->stale) ||
                    (n->makeshift_ms != 0 && n->progress_ms >= n->makeshift_ms);
  if (!look_again && conn_alive(&n->conn))
    return true;
  if (r->o.manual) {
    node_fail(r, n, RESP_PASSING, "not connected");
    return false;
  }
  node_close(n);
  struct cof_error why = {.text = ""};
  enum resp_result result = route_connect(r, n, &why);
  if (result == RESP_OK) {
    n->progress_ms = now_ms();
    return true;
  }
  note(r, result, "%s", why.text);
  node_fail(r, n, result, "not connected");
  return false;
}

static size_t watch(struct resp *r, struct pollfd *fds, struct node **watched, int64_t *deadline)
{
  size_t count = 0;
  *deadline = INT64_MAX;
  for (size_t i = 0; i < r->nodes_count; i++) {
    struct node *n = r->nodes[i];
    if (n->answered == n->queued)
      continue;
    int64_t end = n->progress_ms + r->o.command_timeout_ms + r->block_ms;
    if (end < *deadline)
      *deadline = end;
    watched[count] = n;
    fds[count++] =
        (struct pollfd){.fd = n->conn.fd, .events = conn_events(&n->conn, may_send(r, n))};
  }
  return count;
}

static void drop_late(struct resp *r, struct node *const *watched, size_t count)
{
  int64_t now = now_ms();
  for (size_t i = 0; i < count; i++) {
    struct node *n = watched[i];
    int64_t quiet = now - n->progress_ms;
    if (n->answered == n->queued || quiet < (int64_t)r->o.command_timeout_ms + r->block_ms)
      continue;
    char why[64];
    snprintf(why, sizeof why, "no answer within %lld ms", (long long)quiet);
    node_fail(r, n, RESP_PASSING, why);
  }
}

static void pump_loop(struct resp *r, struct pollfd *fds, struct node **watched)
{
  int64_t deadline;
  size_t count;
  while (!resp_stopping(r) && (count = watch(r, fds, watched, &deadline)) > 0) {
    fds[count] = (struct pollfd){.fd = r->wake[0], .events = POLLIN};
    int64_t left = deadline - now_ms();
    int ready = poll(fds, count + 1, left <= 0 ? 0 : (int)left);
    if (ready < 0 && errno != EINTR) {
      note(r, RESP_FATAL, "poll: %s", strerror(errno));
      return;
    }
    for (size_t i = 0; ready > 0 && i < count; i++) {
      struct node *n = watched[i];
      if ((fds[i].revents & (POLLIN | POLLERR | POLLHUP)) ||
          (fds[i].revents != 0 && n->conn.tls != NULL))
        node_receive(r, n);
      if (n->answered < n->queued)
        node_send(r, n);
    }
    if (ready == 0)
      drop_late(r, watched, count);
  }
}

void pump_round(struct resp *r)
{
  for (size_t i = 0; i < r->nodes_count; i++)
    if (node_ready(r, r->nodes[i]))
      node_send(r, r->nodes[i]);
  if (r->o.mode != RESP_CLUSTER)
    r->stale = false;
  /* Redirections may add nodes meanwhile; those have no work before the next round. */
  size_t most = r->nodes_count;
  struct pollfd *fds = calloc(most + 1, sizeof *fds);
  struct node **watched = calloc(most + 1, sizeof *watched);
  if (fds != NULL && watched != NULL)
    pump_loop(r, fds, watched);
  else
    note(r, RESP_FATAL, "out of memory");
  free(fds);
  free(watched);
  /* What was cut off would be answered later, into the wrong hands. */
  for (size_t i = 0; i < r->nodes_count; i++)
    if (r->nodes[i]->answered != r->nodes[i]->queued)
      node_close(r->nodes[i]);
}
