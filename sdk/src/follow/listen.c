/* SPDX-License-Identifier: MIT */
#include "listen_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
/* Seconds of silence after which the kernel asks whether a TCP peer is still there, and how often.
 */
#define KEEPALIVE_IDLE     60
#define KEEPALIVE_INTERVAL 15
#define KEEPALIVE_COUNT    4

struct listener {
  struct listener *next;
  struct cof_host *host;
  const struct cof_follow_conf *conf;
  int fd;
  bool datagrams;
  char *path; /* of a Unix socket */
  dev_t dev;  /* by which the socket's file is known as ours */
  ino_t ino;
  uint64_t number; /* of connections so far */
  uint64_t paused_until;
  int complained; /* errno that was logged last */
};

bool listen_mode(const char *text, unsigned *mode)
{
  size_t len = strlen(text);
  if (len < 3 || len > 4 || strspn(text, "01234567") != len)
    return false;
  *mode = (unsigned)strtoul(text, NULL, 8);
  return *mode <= 0777;
}

static struct listener *new_listener(struct cof_host *host, const struct cof_follow_conf *conf)
{
  struct listener *l = calloc(1, sizeof *l);
  if (l == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return NULL;
  }
  l->host = host;
  l->conf = conf;
  l->fd = -1;
  return l;
}

static void complain(struct listener *l, const char *what, int why)
{
  if (l->complained != why)
    cof_log(l->host, COF_LOG_ERROR, "%s: %s", what, strerror(why));
  l->complained = why;
}

/* --- Unix ----------------------------------------------------------------------------------- */

static bool fill_address(const char *path, struct sockaddr_un *address)
{
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  size_t len = strlen(path);
  if (len == 0 || len >= sizeof address->sun_path)
    return false;
  memcpy(address->sun_path, path, len + 1);
  return true;
}

/* What stands in the way of making the socket, NULL for nothing; a socket nobody has is removed. */
static const char *clear_path(const char *path, const struct sockaddr_un *address, int type)
{
  struct stat st;
  if (lstat(path, &st) != 0)
    return errno == ENOENT ? NULL : strerror(errno);
  if (!S_ISSOCK(st.st_mode))
    return "is there already, and is no socket";
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return strerror(errno);
  int why = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
  close(fd);
  if (why == ENOENT)
    return NULL;
  if (why != ECONNREFUSED)
    return why == 0 || why == EAGAIN || why == EPROTOTYPE ? "another process listens on it"
                                                          : strerror(why);
  return unlink(path) == 0 || errno == ENOENT ? NULL : strerror(errno);
}

/* Nobody but us may send before the permissions are as configured. */
static bool bind_unix(struct listener *l, const struct sockaddr_un *address, int type)
{
  unsigned mode = 0;
  struct stat st;
  (void)listen_mode(l->conf->socket_mode, &mode); /* cof_follow_check() saw to it */
  l->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (l->fd < 0 || fchmod(l->fd, 0600) != 0 ||
      bind(l->fd, (const struct sockaddr *)address, sizeof *address) != 0)
    return false;
  if (lstat(l->path, &st) != 0 || chmod(l->path, (mode_t)mode) != 0)
    return false;
  l->dev = st.st_dev;
  l->ino = st.st_ino;
  return l->datagrams || listen(l->fd, BACKLOG) == 0;
}

static bool open_unix(struct listener *l)
{
  struct sockaddr_un address;
  int type = l->datagrams ? SOCK_DGRAM : SOCK_STREAM;
  int old = l->fd;
  if (!fill_address(l->path, &address)) {
    complain(l, l->path, ENAMETOOLONG);
    return false;
  }
  const char *obstacle = clear_path(l->path, &address, type);
  if (obstacle != NULL) {
    if (l->complained != EADDRINUSE)
      cof_log(l->host, COF_LOG_ERROR, "socket %s: %s", l->path, obstacle);
    l->complained = EADDRINUSE;
    return false;
  }
  if (!bind_unix(l, &address, type)) {
    complain(l, l->path, errno);
    if (l->fd >= 0 && l->fd != old)
      close(l->fd);
    l->fd = old;
    return false;
  }
  if (old >= 0)
    close(old);
  l->complained = 0;
  cof_log(l->host, COF_LOG_INFO, "taking lines on unix %s", l->path);
  return true;
}

static bool is_ours(const struct listener *l)
{
  struct stat st;
  return lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

bool listen_check(struct listener *l)
{
  if (l->path == NULL || is_ours(l))
    return false;
  if (l->complained == 0)
    cof_log(l->host, COF_LOG_WARNING, "%s: the socket was removed; making it again", l->path);
  return open_unix(l);
}

static bool add_unix(struct cof_host *host, const struct cof_follow_conf *conf,
                     struct listener **listeners)
{
  struct listener *l = new_listener(host, conf);
  if (l == NULL)
    return false;
  l->next = *listeners;
  *listeners = l;
  l->datagrams = conf->socket_type == COF_FOLLOW_DATAGRAM;
  l->path = strdup(conf->socket);
  if (l->path == NULL) {
    complain(l, conf->socket, ENOMEM);
    return false;
  }
  return open_unix(l);
}

/* --- TCP ------------------------------------------------------------------------------------ */

static void address_text(const struct sockaddr *address, socklen_t len, char *out, size_t cap)
{
  char host[96], port[16];
  if (getnameinfo(address, len, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    snprintf(out, cap, "tcp (unknown)");
  else
    snprintf(out, cap, address->sa_family == AF_INET6 ? "tcp [%s]:%s" : "tcp %s:%s", host, port);
}

static bool bind_tcp(struct listener *l, const struct addrinfo *info)
{
  int on = 1;
  l->fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (l->fd < 0 || setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    return false;
  if (info->ai_family == AF_INET6 &&
      setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
    return false;
  return bind(l->fd, info->ai_addr, info->ai_addrlen) == 0 && listen(l->fd, BACKLOG) == 0;
}

static bool add_tcp(struct cof_host *host, const struct cof_follow_conf *conf,
                    const struct addrinfo *info, struct listener **listeners)
{
  struct sockaddr_storage bound;
  socklen_t len = sizeof bound;
  char name[PEER_NAME_MAX];
  struct listener *l = new_listener(host, conf);
  if (l == NULL)
    return false;
  l->next = *listeners;
  *listeners = l;
  if (!bind_tcp(l, info)) {
    int why = errno;
    address_text(info->ai_addr, info->ai_addrlen, name, sizeof name);
    complain(l, name, why);
    return false;
  }
  if (getsockname(l->fd, (struct sockaddr *)&bound, &len) == 0) {
    address_text((struct sockaddr *)&bound, len, name, sizeof name);
    cof_log(host, COF_LOG_INFO, "taking lines on %s", name);
  }
  return true;
}

static bool add_host(struct cof_host *host, const struct cof_follow_conf *conf,
                     struct listener **listeners)
{
  char port[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *infos = NULL;
  snprintf(port, sizeof port, "%u", conf->listen.port);
  int why = getaddrinfo(conf->listen.host, port, &hints, &infos);
  if (why != 0) {
    cof_log(host, COF_LOG_ERROR, "listen %s: %s", conf->listen.host, gai_strerror(why));
    return false;
  }
  bool done = true;
  size_t count = 1;
  for (const struct addrinfo *i = infos; i != NULL && done && count < LISTENERS_MAX; i = i->ai_next)
    if (i->ai_family == AF_INET || i->ai_family == AF_INET6) {
      done = add_tcp(host, conf, i, listeners);
      count++;
    }
  freeaddrinfo(infos);
  return done;
}

/* --- both ----------------------------------------------------------------------------------- */

bool listen_open(struct cof_host *host, const struct cof_follow_conf *conf,
                 struct listener **listeners)
{
  return (conf->socket == NULL || add_unix(host, conf, listeners)) &&
         (conf->listen.host == NULL || add_host(host, conf, listeners));
}

void listen_close(struct listener **listeners)
{
  for (struct listener *next, *l = *listeners; l != NULL; l = next) {
    next = l->next;
    if (l->fd >= 0 && l->path != NULL && is_ours(l))
      unlink(l->path);
    if (l->fd >= 0)
      close(l->fd);
    free(l->path);
    free(l);
  }
  *listeners = NULL;
}

struct listener *listen_next(const struct listener *l)
{
  return l->next;
}

int listen_fd(const struct listener *l)
{
  return l->datagrams || cof_clock_ns(l->host) < l->paused_until ? -1 : l->fd;
}

uint64_t listen_paused_until(const struct listener *l)
{
  return cof_clock_ns(l->host) < l->paused_until ? l->paused_until : UINT64_MAX;
}

bool listen_is_datagram(const struct listener *l)
{
  return l->datagrams;
}

int listen_datagrams(const struct listener *l, char name[PEER_NAME_MAX])
{
  snprintf(name, PEER_NAME_MAX, "unix %s", l->path);
  return fcntl(l->fd, F_DUPFD_CLOEXEC, 3);
}

/* A peer whose machine is gone must not hold its place for ever. */
static void keep_alive(int fd)
{
  int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL, count = KEEPALIVE_COUNT;
  (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static int nothing_accepted(struct listener *l, int why)
{
  if (why == EAGAIN || why == EWOULDBLOCK || why == ECONNABORTED || why == EINTR)
    return -1;
  /* No descriptors or memory: what waits stays there, and asking at once again would not help. */
  complain(l, "accept", why);
  l->paused_until = cof_clock_ns(l->host) + UINT64_C(1000000000);
  return -1;
}

int listen_accept(struct listener *l, char name[PEER_NAME_MAX])
{
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  int fd = accept4(l->fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return nothing_accepted(l, errno);
  l->complained = 0;
  l->number++;
  if (l->path != NULL) {
    snprintf(name, PEER_NAME_MAX, "unix %s#%llu", l->path, (unsigned long long)l->number);
    return fd;
  }
  address_text((struct sockaddr *)&address, len, name, PEER_NAME_MAX);
  keep_alive(fd);
  return fd;
}
