/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libFuzzer target: whatever octets a client sends to the REST output, which runs in this process
 * with its own HTTP library, its threads and records in memory. Each input is one connection that
 * ends its side after them. Answers must be HTTP and none a failure of the server (500); no cursor
 * may be left open once the connection has ended.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../../plugins/output/rest/rest_private.h"
#include "../../plugins/output/rest/tests/fake-host_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct cof_plugin cof_plugin;

/* Octets of answers that are looked at; the rest is read and forgotten. */
#define HEAD_OCTETS 64

static struct fake *fake;
static void *self;
static unsigned port;

static void broken(const char *what)
{
  fprintf(stderr, "%s\n", what);
  abort();
}

static void failed(const char *what)
{
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  abort();
}

static void end(void)
{
  cof_plugin.stop(self, cof_clock_ns(fake_host(fake)) + UINT64_C(5000000000));
  cof_plugin.destroy(self);
  fake_destroy(&fake);
}

static void begin(void)
{
  static char loopback[] = "127.0.0.1", origin[] = "fuzz", priorities[] = "NORMAL";
  static const struct rest_conf conf = {
      .listen = {loopback, 0},
      .origin = origin,
      .gzip = true,
      .max_records = 1000,
      .query_timeout = 5000,
      .max_connections = 64,
      .idle_timeout = 5000,
      .request_timeout = 5000,
      .answer_timeout = 5000,
      .threads = 1,
      .cursor_memory = 1 << 20,
      .cursor_expire = 1000,
      .bulk_items = 100,
      .bulk_bytes = 16 * 1024,
      .sort_records = 1000,
      .stats_age = 1000,
      .tls_priorities = priorities,
      .tracked_addresses = 64,
      .dnsdb = {.limit = 100, .max_limit = 1000, .max_offset = 1000, .scan = true}};
  fake = fake_create();
  fake_add(fake, "a.example", COF_TYPE_A, "192.0.2.1", 3, 10, 20);
  fake_add(fake, "a.example", COF_TYPE_MX, "10 m.example", 1, 11, 12);
  fake_add(fake, "b.example", COF_TYPE_AAAA, "2001:db8::53", 1, 10, 20);
  fake_add(fake, "odd.example", 65280, "\\# 1 FF", 1, 10, 20);
  fake_add(fake, "xn--ngstrm-hua5l.example", COF_TYPE_TXT, "\"\\255\"", 1, 10, 20);
  fake_sort(fake);
  fake_generate(fake, "big.example", 2000);
  if (cof_plugin.create(fake_host(fake), &conf, &self) != COF_OK ||
      cof_plugin.start(self) != COF_OK || atexit(end) != 0)
    broken("the plugin does not start");
  port = fake_port(fake);
}

static int connected(void)
{
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval patience = {.tv_usec = 10000};
  struct linger gone = {.l_onoff = 1}; /* or thousands of ports wait for their time to pass */
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone) != 0)
    failed("cannot make a socket");
  /* The fuzzer's alarm may come while it waits; the second call then waits on. */
  while (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
    if (errno != EINTR)
      failed("cannot connect");
  return fd;
}

/* The server may close before it has read all. */
static void send_all(int fd, const uint8_t *data, size_t size)
{
  while (size > 0) {
    ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    data += n;
    size -= (size_t)n;
  }
}

static void check_answer(const char *head, size_t len)
{
  static const char version[] = "HTTP/1.";
  if (len < sizeof version + 5)
    return; /* cut off by a reset */
  if (memcmp(head, version, sizeof version - 1) != 0 || head[8] != ' ')
    broken("an answer that is not HTTP");
  if (memcmp(head + 9, "500", 3) == 0) {
    fprintf(stderr, "%.*s\n", (int)len, head);
    broken("a failure of the server");
  }
}

/* A server that waits for more of a request is not waited for. */
static void read_all(int fd)
{
  char head[HEAD_OCTETS], rest[16384];
  size_t len = 0;
  ssize_t n;
  while ((n = recv(fd, rest, sizeof rest, 0)) > 0) {
    size_t some = (size_t)n < sizeof head - len ? (size_t)n : sizeof head - len;
    memcpy(head + len, rest, some);
    len += some;
  }
  check_answer(head, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (self == NULL)
    begin();
  int fd = connected();
  send_all(fd, data, size);
  read_all(fd);
  close(fd);
  /* A reset may have come before the server was through. */
  for (int i = 0; fake_cursors(fake) != 0; i++) {
    if (i > 60000)
      broken("a cursor is left open");
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return 0;
}
