/* SPDX-License-Identifier: MIT */
#include "follow_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Connections taken in one go, before those that are there have their turn. */
#define ACCEPTS 32
/* At most one line in so long says that connections are refused. */
#define REFUSED_NS UINT64_C(60000000000)

void peers_remove(struct follow *f, struct tracked *t)
{
  if (!listen_is_datagram(t->listener)) {
    cof_add(f->r->host, f->r->peers, -1);
    f->peers_count--;
  }
  cof_log(f->r->host, COF_LOG_DEBUG, "%s: gone", t->path);
  follow_shut(f, t);
  tracked_unlink(&f->peers, t);
  tracked_destroy(f, t);
}

static void add_peer(struct follow *f, const struct listener *l, int fd, const char *name)
{
  struct tracked *t = tracked_new(name);
  if (t == NULL) {
    reader_failed(f->r, name, "out of memory");
    close(fd);
    return;
  }
  t->listener = l;
  if (source_open_socket(f->r, &t->src, t->path, fd, listen_is_datagram(l)) != OPENED) {
    reader_failed(f->r, name, strerror(errno));
    tracked_destroy(f, t);
    return;
  }
  t->active = cof_clock_ns(f->r->host);
  t->next = f->peers;
  f->peers = t;
  if (!listen_is_datagram(l)) {
    cof_add(f->r->host, f->r->peers, 1);
    cof_add(f->r->host, f->r->connections, 1);
    f->peers_count++;
  }
  cof_log(f->r->host, COF_LOG_DEBUG, "%s: connected", t->path);
  follow_make_ready(f, t);
}

static void refuse_peer(struct follow *f, int fd, const char *name)
{
  uint64_t now = cof_clock_ns(f->r->host);
  close(fd);
  cof_add(f->r->host, f->r->peers_refused, 1);
  f->refused++;
  if (f->refused_said != 0 && now - f->refused_said < REFUSED_NS)
    return;
  cof_log(f->r->host, COF_LOG_WARNING,
          "%s: refused, as max_peers (%lld) are connected; %llu refused so far", name,
          (long long)f->r->conf->max_peers, (unsigned long long)f->refused);
  f->refused_said = now;
}

void peers_accept(struct follow *f, struct listener *l)
{
  char name[PEER_NAME_MAX];
  for (int i = 0; i < ACCEPTS && !reader_ending(f->r); i++) {
    int fd = listen_accept(l, name);
    if (fd < 0)
      return;
    if (f->peers_count >= (size_t)f->r->conf->max_peers)
      refuse_peer(f, fd, name);
    else
      add_peer(f, l, fd, name);
  }
}

static void add_datagrams(struct follow *f, const struct listener *l)
{
  char name[PEER_NAME_MAX];
  int fd = listen_datagrams(l, name);
  if (fd >= 0)
    add_peer(f, l, fd, name);
  else
    reader_failed(f->r, name, strerror(errno));
}

/* What was sent to a socket before its file was removed can still be read. */
static void replace_datagrams(struct follow *f, const struct listener *l)
{
  for (struct tracked *next, *t = f->peers; t != NULL; t = next) {
    next = t->next;
    if (t->listener != l)
      continue;
    while (source_turn(f->r, &t->src, false) == TURN_MORE)
      ;
    peers_remove(f, t);
  }
  add_datagrams(f, l);
}

static bool takes_datagrams(const struct follow *f, const struct listener *l)
{
  for (const struct tracked *t = f->peers; t != NULL; t = t->next)
    if (t->listener == l)
      return true;
  return false;
}

/* Reading datagrams may have failed meanwhile, as when memory was out: then begin again. */
void peers_check(struct follow *f)
{
  uint64_t now = cof_clock_ns(f->r->host);
  if (f->r->listeners == NULL || now < f->next_check)
    return;
  f->next_check = now + LISTEN_CHECK_NS;
  for (struct listener *l = f->r->listeners; l != NULL; l = listen_next(l))
    if (listen_is_datagram(l) && (listen_check(l) || !takes_datagrams(f, l)))
      replace_datagrams(f, l);
    else if (!listen_is_datagram(l))
      (void)listen_check(l);
}

static uint64_t silence_ends(const struct follow *f, const struct tracked *t)
{
  return t->active + (uint64_t)f->r->conf->peer_timeout * MS_NS;
}

/* While the chain was full nothing was read, so look once more before it is taken for silent. */
static void end_silent(struct follow *f, struct tracked *t)
{
  enum turn state = source_turn(f->r, &t->src, false);
  if (state == TURN_STOPPED)
    return;
  if (stream_octets(t->src.stream) != t->octets) {
    follow_make_ready(f, t);
    return;
  }
  cof_log(f->r->host, COF_LOG_DEBUG, "%s: silent for peer_timeout", t->path);
  if (state == TURN_WAIT && t->src.own->len != 0)
    cof_reject(f->r->host, 1, "%s:%llu: silence within this line", t->path,
               (unsigned long long)t->src.place.line + 1);
  if (state == TURN_END)
    follow_conclude(f, t);
  else
    peers_remove(f, t);
}

void peers_close_silent(struct follow *f)
{
  uint64_t now = cof_clock_ns(f->r->host);
  if (f->r->conf->peer_timeout == 0)
    return;
  for (struct tracked *next, *t = f->peers; t != NULL && !reader_ending(f->r); t = next) {
    next = t->next;
    if (listen_is_datagram(t->listener))
      continue;
    if (stream_octets(t->src.stream) != t->octets) {
      t->octets = stream_octets(t->src.stream);
      t->active = now;
    } else if (!t->ready && silence_ends(f, t) <= now) {
      end_silent(f, t);
    }
  }
}

void peers_begin(struct follow *f)
{
  f->next_check = cof_clock_ns(f->r->host) + LISTEN_CHECK_NS;
  for (const struct listener *l = f->r->listeners; l != NULL; l = listen_next(l))
    if (listen_is_datagram(l))
      add_datagrams(f, l);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

uint64_t peers_due(const struct follow *f)
{
  uint64_t due = f->r->listeners != NULL ? f->next_check : UINT64_MAX;
  for (const struct listener *l = f->r->listeners; l != NULL; l = listen_next(l))
    due = sooner(due, listen_paused_until(l));
  if (f->r->conf->peer_timeout == 0)
    return due;
  for (const struct tracked *t = f->peers; t != NULL; t = t->next)
    if (!listen_is_datagram(t->listener))
      due = sooner(due, silence_ends(f, t));
  return due;
}

size_t peers_poll(const struct follow *f, struct pollfd *fds, struct tracked **peers)
{
  size_t n = 0;
  for (struct tracked *t = f->peers; t != NULL && n < PEERS_MAX; t = t->next)
    if (!t->ready) {
      peers[n] = t;
      fds[n++] = (struct pollfd){.fd = t->src.fd, .events = POLLIN};
    }
  return n;
}

size_t peers_poll_listeners(const struct follow *f, struct pollfd *fds, struct listener **listeners)
{
  size_t n = 0;
  for (struct listener *l = f->r->listeners; l != NULL && n < LISTENERS_MAX; l = listen_next(l)) {
    listeners[n] = l;
    fds[n++] = (struct pollfd){.fd = listen_fd(l), .events = POLLIN};
  }
  return n;
}
