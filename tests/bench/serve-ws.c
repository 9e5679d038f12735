/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A websocket server that costs next to nothing, so that what is measured is its client: all frames
 * are made before anybody connects, and are then sent in large pieces.
 *
 *     ./serve-ws PORT FILE    a line of FILE a text message, to each client on 127.0.0.1, one after
 *                             the other, until standard input ends; a client is then left waiting,
 *                             as a live feed does, until it closes
 *
 * Writes "ready" once it listens, and "begin SECONDS" of the monotonic clock before the first octet
 * to each client.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libwebsockets.h>

struct frames {
  char *bytes;
  size_t len, room;
};

static int put(struct frames *f, const void *data, size_t len)
{
  if (f->room - f->len < len) {
    size_t room = 2 * f->room + len + 65536;
    char *more = realloc(f->bytes, room);
    if (more == NULL)
      return 0;
    f->bytes = more;
    f->room = room;
  }
  memcpy(f->bytes + f->len, data, len);
  f->len += len;
  return 1;
}

static int put_frame(struct frames *f, const char *text, size_t len)
{
  unsigned char head[4] = {0x81, (unsigned char)len};
  size_t n = 2;
  if (len > 65535)
    return 0;
  if (len > 125) {
    head[1] = 126;
    head[2] = (unsigned char)(len >> 8);
    head[3] = (unsigned char)len;
    n = 4;
  }
  return put(f, head, n) && put(f, text, len);
}

static int frame_file(struct frames *f, const char *path)
{
  FILE *in = fopen(path, "r");
  char *line = NULL;
  size_t room = 0;
  ssize_t len;
  int ok = in != NULL;
  while (ok && (len = getline(&line, &room, in)) > 0)
    ok = put_frame(f, line, (size_t)len - (line[len - 1] == '\n'));
  free(line);
  if (in != NULL)
    fclose(in);
  return ok;
}

static int listen_on(uint16_t port)
{
  struct sockaddr_in at = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 8) == 0 ? fd
                                                                                           : -1;
}

/* Reads the request and answers it. */
static int shake_hands(int fd)
{
  static const char field[] = "Sec-WebSocket-Key: ";
  char request[8192], joined[128], answer[256], accept[64];
  unsigned char sha[20];
  size_t have = 0;
  do {
    ssize_t n = read(fd, request + have, sizeof request - 1 - have);
    if (n <= 0)
      return 0;
    have += (size_t)n;
    request[have] = '\0';
  } while (strstr(request, "\r\n\r\n") == NULL);
  const char *key = strstr(request, field);
  if (key == NULL)
    return 0;
  key += sizeof field - 1;
  int n = snprintf(joined, sizeof joined, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                   (int)strcspn(key, "\r"), key);
  lws_SHA1((unsigned char *)joined, (size_t)n, sha);
  lws_b64_encode_string((const char *)sha, sizeof sha, accept, sizeof accept);
  n = snprintf(answer, sizeof answer,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n\r\n",
               accept);
  return write(fd, answer, (size_t)n) == n;
}

static void replay(int fd, const struct frames *f)
{
  struct timespec now;
  char c[4096];
  if (!shake_hands(fd))
    return;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("begin %lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
  fflush(stdout);
  for (size_t at = 0; at < f->len;) {
    size_t some = f->len - at < 262144 ? f->len - at : 262144;
    ssize_t n = send(fd, f->bytes + at, some, MSG_NOSIGNAL);
    if (n <= 0)
      return;
    at += (size_t)n;
  }
  while (read(fd, c, sizeof c) > 0)
    continue;
}

int main(int argc, char **argv)
{
  struct frames f = {0};
  if (argc != 3) {
    fprintf(stderr, "usage: %s PORT FILE\n", argv[0]);
    return 2;
  }
  int listener = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
  if (!frame_file(&f, argv[2]) || listener < 0) {
    fprintf(stderr, "cannot serve %s on 127.0.0.1:%s\n", argv[2], argv[1]);
    return 1;
  }
  puts("ready");
  fflush(stdout);
  struct pollfd fds[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  while (poll(fds, 2, -1) > 0 && fds[1].revents == 0) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
      continue;
    replay(fd, &f);
    close(fd);
  }
  free(f.bytes);
  close(listener);
  return 0;
}
