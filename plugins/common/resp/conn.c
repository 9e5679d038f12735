/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "inner_private.h"
#include "reader_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Octets of one answer that is not complete yet: Redis itself stops at 512 MiB for a string. */
#define REPLY_MAX ((size_t)640 << 20)

void target_text(const struct target *t, char *out, size_t cap)
{
  if (t->local)
    snprintf(out, cap, "%s", t->host);
  else if (strchr(t->host, ':') != NULL)
    snprintf(out, cap, "[%s]:%u", t->host, t->port);
  else
    snprintf(out, cap, "%s:%u", t->host, t->port);
}

void conn_close(struct conn *c)
{
  tls_destroy(&c->tls);
  reader_destroy(&c->reader);
  if (c->fd >= 0)
    close(c->fd);
  c->fd = -1;
}

/* Wait for a descriptor. @return 1: ready, 0: the deadline passed, -1: interrupted */
static int wait_fd(struct resp *r, int fd, short events, int64_t deadline)
{
  for (;;) {
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = r->wake[0], .events = POLLIN}};
    int64_t left = deadline - now_ms();
    if (resp_stopping(r))
      return -1;
    if (left <= 0)
      return 0;
    int n = poll(fds, 2, (int)left);
    if (n > 0 && fds[0].revents != 0)
      return 1;
    if (n < 0 && errno != EINTR)
      return 0;
  }
}

static enum resp_result connect_failed(int error, const char *name, struct cof_error *err)
{
  cof_fail(err, COF_RETRY, "%s: cannot connect: %s", name, strerror(error));
  return RESP_PASSING;
}

static enum resp_result waited(int ready, const char *name, struct cof_error *err)
{
  if (ready < 0)
    return RESP_STOPPED;
  if (ready > 0)
    return RESP_OK;
  return connect_failed(ETIMEDOUT, name, err);
}

static enum resp_result connect_to(struct resp *r, struct conn *c, const struct sockaddr *to,
                                   socklen_t len, int64_t deadline, const char *name,
                                   struct cof_error *err)
{
  int error = 0, one = 1;
  socklen_t size = sizeof error;
  c->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0)
    return connect_failed(errno, name, err);
  if (connect(c->fd, to, len) != 0) {
    if (errno != EINPROGRESS)
      return connect_failed(errno, name, err);
    enum resp_result result = waited(wait_fd(r, c->fd, POLLOUT, deadline), name, err);
    if (result != RESP_OK)
      return result;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
      return connect_failed(error != 0 ? error : errno, name, err);
  }
  /* Only a hint: a server that refuses it works, with more delay. */
  if (to->sa_family != AF_UNIX) {
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  }
  return RESP_OK;
}

static enum resp_result connect_local(struct resp *r, struct conn *c, const char *path,
                                      int64_t deadline, struct cof_error *err)
{
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t len = strlen(path);
  if (len >= sizeof to.sun_path) {
    cof_fail(err, COF_REJECT, "%s: path of a socket over %zu octets", path, sizeof to.sun_path - 1);
    return RESP_FATAL;
  }
  memcpy(to.sun_path, path, len + 1);
  return connect_to(r, c, (struct sockaddr *)&to, sizeof to, deadline, path, err);
}

static enum resp_result connect_host(struct resp *r, struct conn *c, const struct target *t,
                                     int64_t deadline, const char *name, struct cof_error *err)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
  char port[8];
  snprintf(port, sizeof port, "%u", t->port);
  int error = getaddrinfo(t->host, port, &hints, &list);
  if (error != 0) {
    cof_fail(err, COF_RETRY, "%s: cannot resolve: %s", name, gai_strerror(error));
    return RESP_PASSING;
  }
  enum resp_result result = RESP_PASSING;
  for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
    result = connect_to(r, c, a->ai_addr, a->ai_addrlen, deadline, name, err);
    if (result != RESP_PASSING)
      break;
    conn_close(c);
  }
  freeaddrinfo(list);
  return result;
}

static enum resp_result start_tls(struct resp *r, struct conn *c, const struct target *t,
                                  int64_t deadline, const char *name, struct cof_error *err)
{
  struct cof_error why = {.text = ""};
  c->tls = tls_create(r->tls, c->fd, t->host);
  if (c->tls == NULL) {
    cof_fail(err, COF_FATAL, "%s: TLS: out of memory", name);
    return RESP_FATAL;
  }
  for (;;) {
    short events = POLLIN;
    int done = tls_handshake(c->tls, &events, &why);
    if (done > 0)
      return RESP_OK;
    if (done < 0) {
      cof_fail(err, COF_RETRY, "%s: TLS: %.200s", name, why.text);
      return RESP_PASSING;
    }
    enum resp_result result = waited(wait_fd(r, c->fd, events, deadline), name, err);
    if (result != RESP_OK)
      return result;
  }
}

/* A command of the login; its answer must be no error. */
static enum resp_result say(struct resp *r, struct conn *c, const char *name,
                            const char *const *argv, size_t argc, struct cof_error *err)
{
  redisReply *reply;
  struct cof_error why;
  enum resp_result result = conn_call(r, c, argv, argc, &reply, &why);
  if (result != RESP_OK) {
    cof_fail(err, COF_RETRY, "%s: %.200s", name, why.text);
    return result;
  }
  result = resp_classify(reply);
  if (result != RESP_OK)
    cof_fail(err, COF_REJECT, "%s: %s: %.180s", name, argv[0], reply->str);
  freeReplyObject(reply);
  return result;
}

static enum resp_result login(struct resp *r, struct conn *c, const char *name, enum conn_role role,
                              struct cof_error *err)
{
  const char *user = role == CONN_SENTINEL || r->o.kvrocks ? NULL : r->o.user;
  const char *password = role == CONN_SENTINEL ? r->o.sentinel_password : r->o.password;
  enum resp_result result = RESP_OK;
  if (password != NULL) {
    const char *one[] = {"AUTH", password}, *two[] = {"AUTH", user, password};
    result = user != NULL ? say(r, c, name, two, 3, err) : say(r, c, name, one, 2, err);
  }
  if (result == RESP_OK && role != CONN_SENTINEL && r->o.db != 0 && !r->o.kvrocks &&
      r->o.mode != RESP_CLUSTER) {
    char number[20];
    number[decimal(number, (uint64_t)r->o.db)] = '\0';
    const char *argv[] = {"SELECT", number};
    result = say(r, c, name, argv, 2, err);
  }
  if (result == RESP_OK && role == CONN_READ_REPLICA && r->o.mode == RESP_CLUSTER) {
    const char *argv[] = {"READONLY"};
    result = say(r, c, name, argv, 1, err);
  }
  return result;
}

enum resp_result conn_open(struct resp *r, struct conn *c, const struct target *t,
                           enum conn_role role, struct cof_error *err)
{
  char name[RESP_HOST_MAX + 16];
  int64_t deadline = now_ms() + r->o.connect_timeout_ms;
  target_text(t, name, sizeof name);
  enum resp_result result = t->local ? connect_local(r, c, t->host, deadline, err)
                                     : connect_host(r, c, t, deadline, name, err);
  if (result == RESP_OK && r->tls != NULL)
    result = start_tls(r, c, t, deadline, name, err);
  if (result == RESP_OK && (c->reader = reader_create()) == NULL) {
    cof_fail(err, COF_FATAL, "%s: out of memory", name);
    result = RESP_FATAL;
  }
  if (result == RESP_OK)
    result = login(r, c, name, role, err);
  if (result != RESP_OK)
    conn_close(c);
  return result;
}

ssize_t conn_write(struct conn *c, const struct iovec *iov, int count)
{
  if (c->tls != NULL)
    return tls_write(c->tls, iov[0].iov_base, iov[0].iov_len);
  struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
  ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    return 0;
  return n;
}

ssize_t conn_read(struct conn *c, void *buf, size_t cap)
{
  if (c->tls != NULL)
    return tls_read(c->tls, buf, cap);
  ssize_t n = recv(c->fd, buf, cap, 0);
  if (n > 0)
    return n;
  if (n == 0) {
    errno = 0;
    return -1;
  }
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

short conn_events(const struct conn *c, bool want_write)
{
  short events = want_write ? POLLIN | POLLOUT : POLLIN;
  return c->tls != NULL ? (short)(events | tls_events(c->tls)) : events;
}

bool conn_alive(struct conn *c)
{
  char octet;
  struct pollfd fd = {.fd = c->fd, .events = POLLIN};
  if (c->fd < 0)
    return false;
  if (poll(&fd, 1, 0) == 0)
    return true;
  /* TLS has messages of its own; anything else is the end, or nothing that was asked for. */
  return c->tls != NULL && tls_read(c->tls, &octet, 1) == 0;
}

bool reader_feed(struct conn *c, const char *data, size_t len)
{
  return redisReaderFeed(c->reader, data, len) == REDIS_OK && c->reader->len <= REPLY_MAX;
}

/* A server that never spoke RESP is none that Redis listens at, which no patience mends. */
static enum resp_result broken(const struct resp *r, const struct conn *c, struct cof_error *err)
{
  if (c->reader->err == REDIS_ERR_OOM) {
    cof_fail(err, COF_RETRY, "an answer is too large");
    return RESP_PASSING;
  }
  if (c->reader->err != 0) {
    cof_fail(err, COF_REJECT, "does not speak RESP: %s", c->reader->errstr);
    return r->connections == 0 ? RESP_FATAL : RESP_PASSING;
  }
  cof_fail(err, COF_RETRY, "connection lost: %s",
           errno != 0 ? strerror(errno) : "closed by the server");
  return RESP_PASSING;
}

/* Send all of `b`, then read one answer. */
static enum resp_result exchange(struct resp *r, struct conn *c, const struct buffer *b,
                                 redisReply **reply, struct cof_error *err)
{
  char in[4096];
  size_t sent = 0;
  void *got = NULL;
  int64_t deadline = now_ms() + r->o.connect_timeout_ms;
  for (;;) {
    struct iovec iov = {.iov_base = b->data + sent, .iov_len = b->len - sent};
    ssize_t n = iov.iov_len != 0 ? conn_write(c, &iov, 1) : conn_read(c, in, sizeof in);
    if (n < 0)
      return broken(r, c, err);
    if (n == 0) {
      short events = iov.iov_len != 0 ? conn_events(c, true) : conn_events(c, false);
      int ready = wait_fd(r, c->fd, events, deadline);
      if (ready <= 0) {
        cof_fail(err, COF_RETRY, "no answer within %d ms", r->o.connect_timeout_ms);
        return ready < 0 ? RESP_STOPPED : RESP_PASSING;
      }
    } else if (iov.iov_len != 0) {
      sent += (size_t)n;
    } else {
      errno = 0;
      if (!reader_feed(c, in, (size_t)n) || redisReaderGetReply(c->reader, &got) != REDIS_OK)
        return broken(r, c, err);
      if (got != NULL) {
        *reply = got;
        return RESP_OK;
      }
    }
  }
}

enum resp_result conn_call(struct resp *r, struct conn *c, const char *const *argv, size_t argc,
                           redisReply **reply, struct cof_error *err)
{
  struct buffer b = {0};
  buffer_number(&b, '*', argc);
  for (size_t i = 0; i < argc; i++)
    buffer_bulk(&b, argv[i], strlen(argv[i]));
  enum resp_result result = RESP_FATAL;
  if (b.failed)
    cof_fail(err, COF_FATAL, "out of memory");
  else
    result = exchange(r, c, &b, reply, err);
  free(b.data);
  return result;
}
