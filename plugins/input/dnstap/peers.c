/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnstap_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room of a connection that has sent no large frame. */
#define FIRST_ROOM ((size_t)64 * 1024)
/* Octets after which another connection has its turn. */
#define TURN_OCTETS ((size_t)1024 * 1024)
/* How long no connection is accepted after that failed for want of something. */
#define ACCEPT_PAUSE_MS 500
/* Seconds of silence after which a TCP peer is asked whether it is there; how often, how many times
   in vain. */
#define KEEP_IDLE     60
#define KEEP_INTERVAL 20
#define KEEP_COUNT    3
/* Lines about connections in one stretch of time; peers decide how many there could be. */
#define SAY_MAX 50
#define SAY_NS  UINT64_C(10000000000)

struct peer {
  int fd;
  struct stream stream;
  uint64_t deadline; /* clock, for the handshake; 0: it is over */
  uint8_t *octets;
  size_t room, len;
  bool alive;
  char name[NI_MAXHOST + 48];
};

struct peers {
  struct tap *t;
  struct listeners listeners;
  struct peer *list[CONNECTIONS_MAX];
  size_t count;
  size_t polled;      /* peers in the last peers_poll() */
  bool listening;     /* the listeners were, too */
  bool full;          /* said that no more are accepted */
  uint64_t pause_to;  /* clock until which none is accepted; 0: no pause */
  uint64_t told;      /* clock when the log last said why; 0: it never did */
  uint64_t say_since; /* clock of the first line in this stretch */
  uint64_t said;      /* lines in it, and those left out */
};

/* Log something about a peer, at a bounded rate. */
static void say(struct peers *p, enum cof_log_level level, const struct peer *peer,
                const char *what, const char *more)
{
  struct cof_host *host = p->t->host;
  uint64_t now = cof_clock_ns(host);
  if (!cof_log_enabled(host, level))
    return;
  if (now - p->say_since >= SAY_NS) {
    if (p->said > SAY_MAX)
      cof_log(host, COF_LOG_WARNING, "%llu more lines about connections were left out",
              (unsigned long long)(p->said - SAY_MAX));
    p->say_since = now;
    p->said = 0;
  }
  if (p->said++ < SAY_MAX)
    cof_log(host, level, "%s: %s%s", peer->name, what, more);
}

enum cof_result peers_open(struct tap *t, struct peers **peers)
{
  struct peers *p = calloc(1, sizeof *p);
  if (p == NULL) {
    cof_log(t->host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  p->t = t;
  if (listeners_open(&p->listeners, t->host, t->conf) != COF_OK) {
    free(p);
    return COF_FATAL;
  }
  *peers = p;
  return COF_OK;
}

static void destroy(struct peer *peer)
{
  close(peer->fd);
  stream_end(&peer->stream);
  free(peer->octets);
  free(peer);
}

void peers_close(struct peers **peers)
{
  struct peers *p = *peers;
  if (p == NULL)
    return;
  listeners_close(&p->listeners);
  for (size_t i = 0; i < p->count; i++)
    destroy(p->list[i]);
  cof_add(p->t->host, p->t->metrics.connections, -(int64_t)p->count);
  free(p);
  *peers = NULL;
}

/* --- accepting ----------------------------------------------------------------------------------
 */

/* The peer is the resolver, not one of its clients. */
static void set_name(struct peer *peer, const struct tap *t, bool is_unix,
                     const struct sockaddr_storage *address, socklen_t len)
{
  char name[NI_MAXHOST], port[NI_MAXSERV];
  if (is_unix)
    snprintf(peer->name, sizeof peer->name, "socket %.300s", t->conf->socket);
  else if (getnameinfo((const struct sockaddr *)address, len, name, sizeof name, port, sizeof port,
                       NI_NUMERICHOST | NI_NUMERICSERV) == 0)
    snprintf(peer->name, sizeof peer->name, "tcp %s port %s", name, port);
  else
    snprintf(peer->name, sizeof peer->name, "tcp peer");
}

static void keep_alive(int fd)
{
  int on = 1, idle = KEEP_IDLE, interval = KEEP_INTERVAL, count = KEEP_COUNT;
  /* Without these, a peer that vanished holds its place for longer: no reason to refuse it. */
  (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static bool add_peer(struct peers *p, int fd, bool is_unix, const struct sockaddr_storage *address,
                     socklen_t len)
{
  struct tap *t = p->t;
  struct peer *peer = calloc(1, sizeof *peer);
  if (peer == NULL) {
    close(fd);
    return false;
  }
  peer->fd = fd;
  peer->octets = malloc(FIRST_ROOM);
  if (peer->octets == NULL || !stream_begin(&peer->stream, STREAM_PEER)) {
    destroy(peer);
    return false;
  }
  peer->room = FIRST_ROOM;
  peer->alive = true;
  peer->deadline = cof_clock_ns(t->host) + (uint64_t)t->conf->handshake_timeout * MS_NS;
  set_name(peer, t, is_unix, address, len);
  if (!is_unix)
    keep_alive(fd);
  p->list[p->count++] = peer;
  cof_add(t->host, t->metrics.connections, 1);
  cof_add(t->host, t->metrics.accepted, 1);
  say(p, COF_LOG_DEBUG, peer, "connected", "");
  return true;
}

static bool is_full(const struct peers *p)
{
  return p->count >= (size_t)p->t->conf->max_connections;
}

/* What is out may be so for long: the log is told once in a while. */
static void pause_accepting(struct peers *p, const char *why)
{
  uint64_t now = cof_clock_ns(p->t->host);
  if (p->told == 0 || now - p->told >= SAY_NS) {
    cof_log(p->t->host, COF_LOG_ERROR,
            "cannot accept a connection: %s; trying again until it works", why);
    p->told = now;
  }
  p->pause_to = now + ACCEPT_PAUSE_MS * MS_NS;
}

static void accept_some(struct peers *p, size_t listener)
{
  while (!is_full(p) && p->pause_to == 0) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int fd = accept4(p->listeners.fds[listener], (struct sockaddr *)&address, &len,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      if (!add_peer(p, fd, p->listeners.is_unix[listener], &address, len))
        pause_accepting(p, "out of memory");
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      pause_accepting(p, strerror(errno));
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      return;
    /* Others are of the connection that was to be accepted, which is gone. */
  }
  if (is_full(p) && !p->full)
    cof_log(p->t->host, COF_LOG_WARNING,
            "%zu connections, as many as max_connections allows; others have to wait", p->count);
  p->full = is_full(p);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static void hang_up(struct peers *p, struct peer *peer, const char *why)
{
  struct tap *t = p->t;
  if (why != NULL) {
    say(p, COF_LOG_WARNING, peer, why, "; closing the connection");
    cof_add(t->host, t->metrics.broken, 1);
  }
  peer->alive = false;
}

static void answer(struct peers *p, struct peer *peer)
{
  const struct stream *s = &peer->stream;
  /* It is short, and nothing else is ever sent: there is room, or the peer is no good. */
  if (s->reply_len != 0 &&
      send(peer->fd, s->reply, s->reply_len, MSG_NOSIGNAL) != (ssize_t)s->reply_len)
    hang_up(p, peer, "does not take the answer to its control frame");
}

static void take_frame(struct peers *p, struct peer *peer, const struct frame *frame)
{
  struct tap *t = p->t;
  struct cof_error err;
  switch (stream_take(&peer->stream, frame, &err)) {
  case STREAM_PAYLOAD:
    peer->alive = tap_take(t, frame, peer->name, UINT64_MAX) && peer->alive;
    break;
  case STREAM_QUIET:
    answer(p, peer);
    break;
  case STREAM_OPENED:
    peer->deadline = 0;
    say(p, COF_LOG_INFO, peer, "payloads begin", "");
    break;
  case STREAM_CLOSED:
    answer(p, peer);
    say(p, COF_LOG_INFO, peer, "said its end", "");
    peer->alive = false;
    break;
  case STREAM_BROKEN:
    hang_up(p, peer, err.text);
    break;
  }
}

static void too_big(struct peers *p, struct peer *peer, const struct frame *frame)
{
  char why[128];
  if (peer->deadline != 0)
    snprintf(why, sizeof why, "begins with no frame of this protocol");
  else
    snprintf(why, sizeof why, "a %s of %zu octets, more than %lld",
             frame->control ? "control frame" : "frame", frame->len,
             frame->control ? FSTRM_CONTROL_FRAME_LENGTH_MAX : (long long)p->t->conf->max_frame);
  hang_up(p, peer, why);
}

/* Emit a batch once it is full. */
static void flush_full(struct tap *t)
{
  if (cof_batch_count(t->batch) >= (size_t)t->conf->batch_records ||
      cof_batch_bytes(t->batch) >= (size_t)t->conf->batch_bytes)
    (void)tap_flush(t); /* tap_ending() tells */
}

static void take_frames(struct peers *p, struct peer *peer)
{
  size_t at = 0;
  /* Data before START is told by its first frame, however long it says to be. */
  size_t most = (size_t)p->t->conf->max_frame;
  while (peer->alive && !tap_ending(p->t)) {
    struct frame frame;
    enum cut cut = frame_cut(peer->octets + at, peer->len - at, most, &frame);
    if (cut == CUT_TOO_BIG)
      too_big(p, peer, &frame);
    if (cut != CUT_FRAME)
      break;
    take_frame(p, peer, &frame);
    at += frame.whole;
    flush_full(p->t);
  }
  peer->len -= at;
  memmove(peer->octets, peer->octets + at, peer->len);
}

/* Room for more: the buffer is full of one frame that goes on. */
static bool make_room(struct peers *p, struct peer *peer)
{
  size_t most = (size_t)p->t->conf->max_frame + CONTROL_HEAD;
  if (peer->len < peer->room)
    return true;
  size_t room = peer->room * 2 < most ? peer->room * 2 : most;
  if (room < FRAME_LEAST_ROOM)
    room = FRAME_LEAST_ROOM;
  uint8_t *octets = room > peer->room ? realloc(peer->octets, room) : NULL;
  if (octets == NULL) {
    hang_up(p, peer, "out of memory for its frame");
    return false;
  }
  peer->octets = octets;
  peer->room = room;
  return true;
}

/* Large frames are rare: do not hold the room for another one. */
static void give_back(struct peer *peer)
{
  if (peer->room <= FIRST_ROOM || peer->len != 0)
    return;
  uint8_t *octets = realloc(peer->octets, FIRST_ROOM);
  if (octets != NULL) {
    peer->octets = octets;
    peer->room = FIRST_ROOM;
  }
}

static void ended(struct peers *p, struct peer *peer, int why)
{
  if (why != 0)
    hang_up(p, peer, strerror(why));
  else if (peer->deadline != 0 && peer->len == 0 && !peer->stream.ready)
    say(p, COF_LOG_DEBUG, peer, "gone without a word", "");
  else if (peer->len != 0)
    hang_up(p, peer, "gone within a frame");
  else
    say(p, COF_LOG_INFO, peer, "gone without saying its end", "");
  peer->alive = false;
}

static void read_peer(struct peers *p, struct peer *peer)
{
  struct tap *t = p->t;
  size_t taken = 0;
  while (peer->alive && !tap_ending(t) && taken < TURN_OCTETS) {
    if (!make_room(p, peer))
      return;
    ssize_t n = recv(peer->fd, peer->octets + peer->len, peer->room - peer->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
      break;
    if (n <= 0) {
      ended(p, peer, n < 0 ? errno : 0);
      return;
    }
    cof_add(t->host, t->metrics.bytes, n);
    taken += (size_t)n;
    peer->len += (size_t)n;
    take_frames(p, peer);
  }
  give_back(peer);
}

/* --- turns --------------------------------------------------------------------------------------
 */

size_t peers_poll(struct peers *p, struct pollfd *fds)
{
  size_t n = 0;
  if (p->pause_to != 0 && cof_clock_ns(p->t->host) >= p->pause_to)
    p->pause_to = 0;
  for (; n < p->count; n++)
    fds[n] = (struct pollfd){.fd = p->list[n]->fd, .events = POLLIN};
  p->polled = n;
  p->full = p->full && is_full(p);
  p->listening = !is_full(p) && p->pause_to == 0;
  for (size_t i = 0; p->listening && i < p->listeners.count; i++)
    fds[n++] = (struct pollfd){.fd = p->listeners.fds[i], .events = POLLIN};
  return n;
}

int peers_due(const struct peers *p)
{
  uint64_t now = cof_clock_ns(p->t->host), due = p->pause_to;
  for (size_t i = 0; i < p->count; i++)
    if (p->list[i]->deadline != 0 && (due == 0 || p->list[i]->deadline < due))
      due = p->list[i]->deadline;
  return due == 0 ? -1 : due <= now ? 0 : (int)((due - now + MS_NS - 1) / MS_NS);
}

static void sweep(struct peers *p)
{
  uint64_t now = cof_clock_ns(p->t->host);
  size_t kept = 0;
  for (size_t i = 0; i < p->count; i++) {
    struct peer *peer = p->list[i];
    if (peer->alive && peer->deadline != 0 && now >= peer->deadline)
      hang_up(p, peer, "no handshake within handshake_timeout");
    if (peer->alive) {
      p->list[kept++] = peer;
      continue;
    }
    destroy(peer);
    cof_add(p->t->host, p->t->metrics.connections, -1);
  }
  p->count = kept;
}

void peers_serve(struct peers *p, const struct pollfd *fds, size_t count)
{
  size_t polled = p->polled;
  for (size_t i = 0; i < polled && !tap_ending(p->t); i++)
    if (fds[i].revents != 0)
      read_peer(p, p->list[i]);
  for (size_t i = polled; i < count && !tap_ending(p->t); i++)
    if (fds[i].revents != 0)
      accept_some(p, i - polled);
  sweep(p);
}
