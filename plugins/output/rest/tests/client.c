/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "client_private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Octets read, one by one where the end is not known, so that the next response stays unread. */
struct buffer {
  char *at;
  size_t len, room;
};

static void put(struct buffer *b, const char *text, size_t len)
{
  if (b->len + len + 1 > b->room) {
    b->room = 2 * (b->len + len + 1);
    b->at = realloc(b->at, b->room);
    if (b->at == NULL)
      exit(99);
  }
  memcpy(b->at + b->len, text, len);
  b->len += len;
  b->at[b->len] = '\0';
}

int client_connect(unsigned port)
{
  const struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const struct timeval patience = {.tv_sec = 60};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
      connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
    return fd;
  close(fd);
  return -1;
}

bool client_send(int fd, const char *text, size_t len)
{
  while (len > 0) {
    ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    text += n;
    len -= (size_t)n;
  }
  return true;
}

/* Read up to and with `end`. */
static bool read_until(int fd, struct buffer *b, const char *end)
{
  size_t end_len = strlen(end), from = b->len;
  char c;
  while (recv(fd, &c, 1, 0) == 1) {
    put(b, &c, 1);
    if (b->len - from >= end_len && memcmp(b->at + b->len - end_len, end, end_len) == 0)
      return true;
  }
  return false;
}

static bool read_exactly(int fd, struct buffer *b, size_t len)
{
  char part[65536];
  while (len > 0) {
    ssize_t n = recv(fd, part, len < sizeof part ? len : sizeof part, 0);
    if (n <= 0)
      return false;
    put(b, part, (size_t)n);
    len -= (size_t)n;
  }
  return true;
}

static bool read_chunks(int fd, struct buffer *body, struct buffer *trailer)
{
  for (;;) {
    struct buffer line = {0};
    put(&line, "", 0);
    bool ok = read_until(fd, &line, "\r\n");
    size_t size = strtoul(line.at, NULL, 16);
    free(line.at);
    if (!ok)
      return false;
    if (size == 0)
      break;
    struct buffer crlf = {0};
    ok = read_exactly(fd, body, size) && read_exactly(fd, &crlf, 2);
    free(crlf.at);
    if (!ok)
      return false;
  }
  size_t before;
  do {
    before = trailer->len;
    if (!read_until(fd, trailer, "\r\n"))
      return false;
  } while (trailer->len - before > 2);
  return true;
}

struct reply client_read(int fd, bool no_body)
{
  struct buffer head = {0}, body = {0}, trailer = {0};
  struct reply r = {0};
  char value[256];
  put(&head, "", 0);
  put(&body, "", 0);
  put(&trailer, "", 0);
  r.whole = read_until(fd, &head, "\r\n\r\n");
  r.head = head.at;
  r.status = strncmp(head.at, "HTTP/1.", 7) == 0 ? atoi(head.at + 9) : 0;
  r.chunked = strcasecmp(reply_header(&r, "Transfer-Encoding", value), "chunked") == 0;
  if (r.whole && !no_body) {
    if (r.chunked)
      r.whole = read_chunks(fd, &body, &trailer);
    else if (*reply_header(&r, "Content-Length", value) != '\0')
      r.whole = read_exactly(fd, &body, strtoul(value, NULL, 10));
    else
      read_exactly(fd, &body, (size_t)-1);
  }
  r.body = body.at;
  r.len = body.len;
  r.trailer = trailer.at;
  return r;
}

struct reply client_get(int fd, const char *target, const char *headers)
{
  struct buffer request = {0};
  put(&request, "GET ", 4);
  put(&request, target, strlen(target));
  static const char rest[] = " HTTP/1.1\r\nHost: localhost\r\n";
  put(&request, rest, sizeof rest - 1);
  put(&request, headers, strlen(headers));
  put(&request, "\r\n", 2);
  client_send(fd, request.at, request.len); /* a failure shows in what is read */
  free(request.at);
  return client_read(fd, false);
}

struct reply client_fetch(unsigned port, const char *target, const char *headers)
{
  int fd = client_connect(port);
  struct reply r = client_get(fd, target, headers);
  close(fd);
  return r;
}

void reply_free(struct reply *reply)
{
  free(reply->head);
  free(reply->body);
  free(reply->trailer);
  *reply = (struct reply){0};
}

const char *reply_header(const struct reply *reply, const char *name, char out[256])
{
  size_t len = strlen(name);
  const char *line = reply->head;
  *out = '\0';
  while ((line = strstr(line, "\r\n")) != NULL) {
    line += 2;
    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
      continue;
    line += len + 1;
    line += strspn(line, " ");
    snprintf(out, 256, "%.*s", (int)strcspn(line, "\r\n"), line);
    break;
  }
  return out;
}
