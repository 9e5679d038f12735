/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <zlib.h>

#include "client_private.h"
#include "fake-host_private.h"
#include "rest_private.h"

extern const struct cof_plugin cof_plugin;

#define BIG 20000
/* Longest wait for what is never waited for unless something is wrong. */
#define PATIENCE_MS 60000
#define NO_FAULT    ((struct fake_faults){.open = COF_OK})

static char loopback[] = "127.0.0.1";
static char origin_text[] = "origin not configured";

/* A running plugin. */
struct bench {
  struct fake *fake;
  struct rest_conf conf;
  void *self;
  unsigned port;
};

static char priorities[] = "NORMAL";
static const struct rest_conf base = {
    .listen = {loopback, 0},
    .origin = origin_text,
    .gzip = true,
    .max_records = 1000000,
    .query_timeout = 30000,
    .max_connections = 64,
    .idle_timeout = 20000,
    .threads = 2,
    .cursor_memory = 1 << 20,
    .cursor_expire = 600000,
    .bulk_items = 1000,
    .bulk_bytes = 256 * 1024,
    .sort_records = 10000,
    .stats_age = 3600000,
    .tls_priorities = priorities,
    .tracked_addresses = 64,
    .request_timeout = 60000,
    .answer_timeout = 120000,
    .dnsdb = {.limit = 10000, .max_limit = 1000000, .max_offset = 3000000, .scan = true}};

static void fill(struct fake *f)
{
  fake_add(f, "a.example", COF_TYPE_A, "192.0.2.1", 3, 10, 20);
  fake_add(f, "a.example", COF_TYPE_MX, "10 m.example", 1, 11, 12);
  fake_add(f, "b.example", COF_TYPE_A, "192.0.2.1", 1, 10, 20);
  fake_add(f, "b.example", COF_TYPE_MX, "10 m.example", 1, 10, 20);
  fake_add(f, "b.example", COF_TYPE_MX, "20 m.example", 1, 10, 20);
  fake_add(f, "b.example", COF_TYPE_NS, "m.example", 1, 10, 20);
  fake_add(f, "c.example", COF_TYPE_AAAA, "2001:db8::53", 1, 10, 20);
  fake_add(f, "odd.example", 65280, "\\# 1 FF", 1, 10, 20);
  fake_add(f, "xn--ngstrm-hua5l.example", COF_TYPE_TXT, "\"\\255\"", 1, 10, 20);
  fake_add(f, "xn--ihuvudetpevap-xfb.se", COF_TYPE_AAAA, "2a02:250:0:8::53", 1, 1657878272,
           1657878272);
  fake_sort(f);
  fake_generate(f, "big.example", BIG);
}

static void bench_start(struct bench *b, const struct rest_conf *conf)
{
  b->fake = fake_create();
  b->conf = *conf;
  fill(b->fake);
  assert_int_equal(cof_plugin.create(fake_host(b->fake), &b->conf, &b->self), COF_OK);
  assert_int_equal(cof_plugin.start(b->self), COF_OK);
  b->port = fake_port(b->fake);
  assert_int_not_equal(b->port, 0);
}

static uint64_t in_ms(struct bench *b, uint64_t ms)
{
  return cof_clock_ns(fake_host(b->fake)) + ms * 1000000;
}

static void bench_stop(struct bench *b)
{
  assert_int_equal(cof_plugin.stop(b->self, in_ms(b, PATIENCE_MS)), COF_OK);
  assert_int_equal(fake_cursors(b->fake), 0);
  assert_int_equal(fake_metric(b->fake, "active"), 0);
  cof_plugin.destroy(b->self);
  fake_destroy(&b->fake);
}

static int setup(void **state)
{
  struct bench *b = calloc(1, sizeof *b);
  if (b == NULL)
    return -1;
  bench_start(b, &base);
  *state = b;
  return 0;
}

static int teardown(void **state)
{
  bench_stop(*state);
  free(*state);
  return 0;
}

static void expect(struct bench *b, const char *target, int status, const char *body)
{
  struct reply r = client_fetch(b->port, target, "");
  if (r.status != status || strcmp(r.body, body) != 0)
    fail_msg("%s: %d with\n%s\nwhere %d was expected with\n%s", target, r.status, r.body, status,
             body);
  assert_true(r.whole);
  reply_free(&r);
}

static void check_error(struct reply r, const char *target, int status, const char *text)
{
  char type[256];
  json_error_t error;
  json_t *root = json_loads(r.body, 0, &error);
  const char *why = json_string_value(json_object_get(root, "error"));
  if (r.status != status || why == NULL || strstr(why, text) == NULL)
    fail_msg("%s: %d with %s where %d and '%s' were expected", target, r.status, r.body, status,
             text);
  assert_string_equal(reply_header(&r, "Content-Type", type), "application/json");
  assert_int_equal(r.body[r.len - 1], '\n');
  assert_ptr_equal(strchr(r.body, '\n'), r.body + r.len - 1);
  json_decref(root);
  reply_free(&r);
}

static void expect_error(struct bench *b, const char *target, int status, const char *text)
{
  check_error(client_fetch(b->port, target, ""), target, status, text);
}

static void expect_error_with(struct bench *b, const char *target, const char *cursor, int status,
                              const char *text)
{
  char headers[320];
  snprintf(headers, sizeof headers, "dribble-paginate-cursor: %s\r\n", cursor);
  check_error(client_fetch(b->port, target, headers), target, status, text);
}

#define LINE(first, last, count, type, name, data)                                                 \
  "{\"time_first\": " first ", \"time_last\": " last ", \"count\": " count ", \"rrtype\": " type   \
  ", \"rrname\": \"" name "\", \"rdata\": \"" data "\", \"origin\": \"origin not configured\"}\n"

#define A_A   LINE("10", "20", "3", "\"A\"", "a.example", "192.0.2.1")
#define A_MX  LINE("11", "12", "1", "\"MX\"", "a.example", "10 m.example")
#define B_A   LINE("10", "20", "1", "\"A\"", "b.example", "192.0.2.1")
#define B_NS  LINE("10", "20", "1", "\"NS\"", "b.example", "m.example")
#define B_MX1 LINE("10", "20", "1", "\"MX\"", "b.example", "10 m.example")
#define B_MX2 LINE("10", "20", "1", "\"MX\"", "b.example", "20 m.example")
#define C_ALL LINE("10", "20", "1", "\"AAAA\"", "c.example", "2001:db8::53")
#define B_ALL B_A B_NS B_MX1 B_MX2

static void test_names(void **state)
{
  struct bench *b = *state;
  expect(b, "/query/a.example", 200, A_A A_MX);
  expect(b, "/query/A.EXAMPLE.", 200, A_A A_MX);
  expect(b, "/query/%61%2eexample?limit=1&x", 200, A_A A_MX);
  expect(b, "//query//a.example", 200, A_A A_MX);
  expect(b, "http://localhost/query/a.example", 200, A_A A_MX);
  expect(b, "/query/b.example", 200, B_ALL);
  expect(b, "/query/nope.example", 200, "");
  expect(b, "/query/odd.example", 200, LINE("10", "20", "1", "65280", "odd.example", "\\\\# 1 FF"));
  expect(b, "/query/%C3%A5ngstr%C3%B6m.example", 200,
         LINE("10", "20", "1", "\"TXT\"", "xn--ngstrm-hua5l.example", "\\\"\\\\255\\\""));
  expect(b, "/query/xn--ihuvudetpevap-xfb.se", 200,
         LINE("1657878272", "1657878272", "1", "\"AAAA\"", "xn--ihuvudetpevap-xfb.se",
              "2a02:250:0:8::53"));
}

static void test_addresses(void **state)
{
  struct bench *b = *state;
  expect(b, "/query/192.0.2.1", 200, A_A B_A);
  expect(b, "/query/2001:DB8:0::53", 200, C_ALL);
  expect(b, "/query/2001%3adb8%3a%3a53", 200, C_ALL);
  expect(b, "/query/192.0.2.2", 200, "");
}

static void test_pivot(void **state)
{
  struct bench *b = *state;
  expect(b, "/fquery/192.0.2.1", 200, A_A A_MX B_ALL);
  expect(b, "/fquery/m.example", 200, A_A A_MX B_ALL);
  expect(b, "/fquery/M.Example.", 200, A_A A_MX B_ALL);
  expect(b, "/fquery/2001:db8::53", 200, C_ALL);
  expect(b, "/fquery/a.example", 200, "");
}

static void test_refusals(void **state)
{
  struct bench *b = *state;
  static char path[9000];
  expect_error(b, "/query/", 400, "empty question");
  expect_error(b, "/query/a..b", 400, "'a..b' is neither a name nor an address");
  expect_error(b, "/query/%zz", 400, "percent escape");
  expect_error(b, "/query/%22%5c%ff", 400, "neither a name nor an address");
  expect_error(b, "/fquery/192.0.2.0/24", 400, "is a network");
  expect_error(b, "/x", 404, "/fquery/NAME");
  expect_error(b, "/query", 404, "no such path");
  expect_error(b, "/info/", 404, "no such path");
  expect_error(b, "/queryx/a.example", 404, "no such path");
  expect_error(b, "*", 404, "no such path");
  expect_error(b, "http://localhost", 404, "no such path");
  memset(path, 'a', sizeof path - 1);
  memcpy(path, "/query/", 7);
  expect_error(b, path, 414, "path too long");
  assert_int_equal(fake_metric(b->fake, "answers_4xx"), 12);
}

static struct reply send_request(struct bench *b, const char *request, bool no_body)
{
  int fd = client_connect(b->port);
  client_send(fd, request, strlen(request));
  struct reply r = client_read(fd, no_body);
  close(fd);
  return r;
}

static void test_methods(void **state)
{
  struct bench *b = *state;
  static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"};
  char request[256], value[256];
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    snprintf(request, sizeof request,
             "%s /query/a.example HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
             methods[i]);
    struct reply r = send_request(b, request, false);
    assert_int_equal(r.status, 405);
    assert_string_equal(reply_header(&r, "Allow", value), "GET, HEAD");
    assert_non_null(strstr(r.body, "\"error\""));
    reply_free(&r);
  }
  struct reply r = send_request(b, "POST /nope HTTP/1.1\r\nHost: x\r\n\r\n", false);
  assert_int_equal(r.status, 404);
  reply_free(&r);
}

/* What a client smuggles into a body must not be taken for a request. */
static void test_body_is_no_request(void **state)
{
  struct bench *b = *state;
  static const char *const heads[] = {"Content-Length: 46\r\n", "Transfer-Encoding: chunked\r\n"};
  for (size_t i = 0; i < 2; i++) {
    char request[512];
    snprintf(request, sizeof request,
             "GET /query/a.example HTTP/1.1\r\nHost: x\r\n%s\r\n"
             "GET /query/b.example HTTP/1.1\r\nHost: smuggle\r\n\r\n",
             heads[i]);
    int fd = client_connect(b->port);
    assert_true(client_send(fd, request, strlen(request)));
    struct reply r = client_read(fd, false);
    assert_true(r.status == 413 || r.status == 400);
    reply_free(&r);
    r = client_read(fd, false);
    assert_int_equal(r.status, 0);
    reply_free(&r);
    close(fd);
  }
}

static void test_head(void **state)
{
  struct bench *b = *state;
  char get[256], head[256];
  static const char *const names[] = {"Content-Length", "Content-Type", "Server"};
  struct reply g = client_fetch(b->port, "/query/a.example", "");
  struct reply h = send_request(b, "HEAD /query/a.example HTTP/1.1\r\nHost: x\r\n\r\n", true);
  assert_int_equal(h.status, 200);
  for (size_t i = 0; i < 3; i++)
    assert_string_equal(reply_header(&g, names[i], get), reply_header(&h, names[i], head));
  assert_string_equal(reply_header(&h, "Server", head), "cofd");
  assert_string_equal(reply_header(&h, "Content-Type", head), "application/x-ndjson");
  reply_free(&g);
  reply_free(&h);
  /* Of a long answer nothing but the header may come, be it asked for in one go with another. */
  int64_t bytes = fake_metric(b->fake, "bytes");
  static const char two[] = "HEAD /query/a.example HTTP/1.1\r\nHost: x\r\n\r\n"
                            "HEAD /query/big.example HTTP/1.1\r\nHost: x\r\n\r\n";
  int fd = client_connect(b->port);
  assert_true(client_send(fd, two, sizeof two - 1));
  for (int i = 0; i < 2; i++) {
    h = client_read(fd, true);
    assert_int_equal(h.status, 200);
    assert_string_equal(reply_header(&h, "Transfer-Encoding", head), "");
    reply_free(&h);
  }
  assert_int_equal(recv(fd, head, sizeof head, 0), 0);
  close(fd);
  assert_int_equal(fake_metric(b->fake, "bytes"), bytes);
}

static void test_keep_alive_and_pipeline(void **state)
{
  struct bench *b = *state;
  int fd = client_connect(b->port);
  for (int i = 0; i < 50; i++) {
    struct reply r = client_get(fd, i % 2 != 0 ? "/query/a.example" : "/query/big.example", "");
    assert_int_equal(r.status, 200);
    assert_true(r.whole);
    assert_int_equal(r.chunked, i % 2 == 0);
    reply_free(&r);
  }
  static const char one[] = "GET /query/c.example HTTP/1.1\r\nHost: x\r\n\r\n";
  for (int i = 0; i < 20; i++)
    assert_true(client_send(fd, one, sizeof one - 1));
  for (int i = 0; i < 20; i++) {
    struct reply r = client_read(fd, false);
    assert_string_equal(r.body, C_ALL);
    reply_free(&r);
  }
  close(fd);
}

static size_t lines(const char *text)
{
  size_t n = 0;
  for (; *text != '\0'; text++)
    n += *text == '\n';
  return n;
}

static void expect_big(const struct reply *r, size_t records)
{
  assert_int_equal(r->status, 200);
  assert_true(r->whole);
  assert_int_equal(lines(r->body), records);
  const char *line = r->body;
  for (size_t i = 0; i < records; i++) {
    char want[128];
    int n = snprintf(want, sizeof want, "{\"time_first\": 1, \"time_last\": 2, \"count\": %zu, ",
                     i + 1);
    assert_memory_equal(line, want, (size_t)n);
    line = strchr(line, '\n') + 1;
  }
}

static void test_stream(void **state)
{
  struct bench *b = *state;
  char value[256];
  struct reply r = client_fetch(b->port, "/query/big.example", "");
  assert_true(r.chunked);
  expect_big(&r, BIG);
  assert_string_equal(r.trailer, "\r\n");
  assert_string_equal(reply_header(&r, "Vary", value), "Accept-Encoding");
  assert_int_equal(fake_metric(b->fake, "bytes"), r.len);
  assert_int_equal(fake_metric(b->fake, "records"), BIG);
  reply_free(&r);
  r = send_request(b, "GET /query/big.example HTTP/1.0\r\n\r\n", false);
  assert_false(r.chunked);
  expect_big(&r, BIG);
  reply_free(&r);
}

static void inflate_reply(struct reply *r)
{
  size_t room = 64 * r->len + 65536;
  char *out = malloc(room);
  z_stream z = {.next_in = (Bytef *)r->body,
                .avail_in = (uInt)r->len,
                .next_out = (Bytef *)out,
                .avail_out = (uInt)room - 1};
  assert_non_null(out);
  assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
  assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
  out[z.total_out] = '\0';
  free(r->body);
  r->body = out;
  r->len = z.total_out;
  inflateEnd(&z);
}

static void test_gzip(void **state)
{
  struct bench *b = *state;
  char value[256];
  static const char *const targets[] = {"/query/b.example", "/query/big.example", "/info"};
  for (size_t i = 0; i < 3; i++) {
    struct reply r = client_fetch(b->port, targets[i], "Accept-Encoding: deflate, gzip;q=0.8\r\n");
    assert_string_equal(reply_header(&r, "Content-Encoding", value), "gzip");
    assert_string_equal(reply_header(&r, "Vary", value), "Accept-Encoding");
    inflate_reply(&r);
    if (i == 0)
      assert_string_equal(r.body, B_ALL);
    if (i == 1)
      expect_big(&r, BIG);
    if (i == 2)
      assert_non_null(strstr(r.body, "\"software\": \"cofd\""));
    reply_free(&r);
    r = client_fetch(b->port, targets[i], "Accept-Encoding: gzip;q=0, *\r\n");
    assert_string_equal(reply_header(&r, "Content-Encoding", value), "");
    assert_string_equal(reply_header(&r, "Vary", value), "Accept-Encoding");
    reply_free(&r);
  }
  struct reply r = client_fetch(b->port, "/query/c.example", "Accept-Encoding: gzip\r\n");
  assert_string_equal(reply_header(&r, "Content-Encoding", value), "");
  assert_string_equal(r.body, C_ALL);
  reply_free(&r);
}

/* Wait until the plugin has ended all requests, and all that it asked the storage. */
static void await_idle(struct bench *b)
{
  const struct timespec pause = {.tv_nsec = 1000000};
  for (int i = 0; i < 60000; i++) {
    if (fake_metric(b->fake, "active") == 0 && fake_cursors(b->fake) == 0)
      return;
    nanosleep(&pause, NULL);
  }
  fail_msg("%d requests and %d cursors are left", (int)fake_metric(b->fake, "active"),
           fake_cursors(b->fake));
}

static void test_info(void **state)
{
  struct bench *b = *state;
  char value[256];
  expect(b, "/query/a.example", 200, A_A A_MX);
  await_idle(b);
  struct reply r = client_fetch(b->port, "/info", "");
  assert_int_equal(r.status, 200);
  assert_string_equal(reply_header(&r, "Content-Type", value), "application/json");
  static const char start[] =
      "{\"version\": \"" PACKAGE_VERSION "\", \"software\": \"cofd\", \"stats\": 3422, "
      "\"sensors\": [{\"sensor_id\": \"abc\", \"count\": 12}, "
      "{\"sensor_id\": \"s\\u00FCd \\\"1\\\"\", \"count\": 3}, "
      "{\"sensor_id\": \"bad\\\\255\", \"count\": 2}], \"plugins\": ["
      "{\"kind\": \"storage\", \"instance\": \"db\", \"plugin\": \"fake\", "
      "\"counters\": {\"stored\": 7}, \"gauges\": {}}, "
      "{\"kind\": \"output\", \"instance\": \"api\", \"plugin\": \"rest\", "
      "\"counters\": {\"requests\": 2, \"answers_2xx\": 1, \"answers_4xx\": 0, "
      "\"answers_5xx\": 0, \"records\": 2, ";
  if (strncmp(r.body, start, sizeof start - 1) != 0)
    fail_msg("%s", r.body);
  assert_int_not_equal(r.body[r.len - 1], '\n');
  assert_non_null(strstr(r.body, "\"gauges\": {\"active\": 1}}]}"));
  reply_free(&r);
}

static void test_storage_faults(void **state)
{
  struct bench *b = *state;
  static const struct {
    enum cof_result result;
    int status;
  } cases[] = {{COF_RETRY, 503},   {COF_AGAIN, 503}, {COF_STOPPED, 503}, {COF_UNSUPPORTED, 501},
               {COF_TIMEOUT, 504}, {COF_FATAL, 500}, {COF_REJECT, 400}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fake_set_faults(b->fake, &(struct fake_faults){.open = cases[i].result, .text = "why open"});
    expect_error(b, "/query/a.example", cases[i].status, "why open");
    fake_set_faults(b->fake, &(struct fake_faults){.next = cases[i].result, .text = "why next"});
    expect_error(b, "/fquery/192.0.2.1", cases[i].status, "why next");
    fake_set_faults(b->fake, &(struct fake_faults){.stats = cases[i].result, .text = "why stats"});
    expect_error(b, "/info", cases[i].status, "why stats");
  }
  fake_set_faults(b->fake, &(struct fake_faults){.open = COF_RETRY, .text = "away"});
  struct reply r = client_fetch(b->port, "/query/a.example", "");
  char value[256];
  assert_true(atoi(reply_header(&r, "Retry-After", value)) > 0);
  reply_free(&r);
  assert_true(fake_logged(b->fake, "the storage failed: why open"));
  fake_set_faults(b->fake, &NO_FAULT);
  expect(b, "/query/a.example", 200, A_A A_MX);
  await_idle(b);
}

static void test_fault_in_midstream(void **state)
{
  struct bench *b = *state;
  static const char *const encodings[] = {"", "Accept-Encoding: gzip\r\n"};
  for (size_t i = 0; i < 2; i++) {
    fake_set_faults(b->fake, &(struct fake_faults){.next = COF_FATAL,
                                                   .after = fake_read(b->fake) + 5000,
                                                   .text = "disk gone"});
    struct reply r = client_fetch(b->port, "/query/big.example", encodings[i]);
    assert_int_equal(r.status, 200);
    assert_true(r.chunked);
    assert_false(r.whole);
    if (i == 0)
      assert_in_range(lines(r.body), 100, 5000);
    reply_free(&r);
    assert_int_equal(fake_metric(b->fake, "broken"), i + 1);
  }
  assert_true(fake_logged(b->fake, "disk gone"));
  assert_true(fake_logged(b->fake, "after 5000 records"));
  fake_set_faults(b->fake, &NO_FAULT);
}

static void test_limits(void **state)
{
  (void)state;
  struct bench b;
  char value[256];
  struct rest_conf conf = base;
  conf.max_records = 2;
  bench_start(&b, &conf);
  struct reply r = client_fetch(b.port, "/query/b.example", "");
  assert_string_equal(r.body, B_A B_NS);
  assert_string_equal(reply_header(&r, "X-Cofd-Limited", value), "yes");
  reply_free(&r);
  r = client_fetch(b.port, "/fquery/192.0.2.1", "");
  assert_string_equal(r.body, A_A A_MX);
  assert_string_equal(reply_header(&r, "X-Cofd-Limited", value), "yes");
  reply_free(&r);
  r = client_fetch(b.port, "/query/a.example", "");
  assert_string_equal(r.body, A_A A_MX);
  assert_string_equal(reply_header(&r, "X-Cofd-Limited", value), "");
  reply_free(&r);
  assert_int_equal(fake_metric(b.fake, "limited"), 2);
  bench_stop(&b);

  conf.max_records = 5000;
  bench_start(&b, &conf);
  r = client_fetch(b.port, "/query/big.example", "");
  assert_true(r.chunked);
  expect_big(&r, 5000);
  assert_string_equal(r.trailer, "X-Cofd-Limited: yes\r\n\r\n");
  reply_free(&r);
  assert_int_equal(fake_metric(b.fake, "limited"), 1);
  assert_true(fake_read(b.fake) <= 5001);
  bench_stop(&b);

  conf.max_records = 0;
  bench_start(&b, &conf);
  r = client_fetch(b.port, "/query/big.example", "");
  expect_big(&r, BIG);
  reply_free(&r);
  bench_stop(&b);
}

static void test_reload(void **state)
{
  struct bench *b = *state;
  static char other[] = "https://pdns.example/\"\xc3\xbc";
  struct rest_conf fresh = b->conf;
  char value[256];
  fresh.origin = other;
  fresh.ip_query = 1;
  fresh.gzip = false;
  fresh.max_records = 3;
  int fd = client_connect(b->port);
  struct reply r = client_get(fd, "/query/192.0.2.1", "Accept-Encoding: gzip\r\n");
  assert_int_equal(r.status, 200);
  reply_free(&r);
  assert_int_equal(cof_plugin.reload(b->self, &fresh), COF_OK);
  r = client_get(fd, "/query/192.0.2.1", "Accept-Encoding: gzip\r\n");
  assert_string_equal(reply_header(&r, "Content-Encoding", value), "");
  assert_string_equal(reply_header(&r, "X-Cofd-Limited", value), "yes");
  assert_int_equal(lines(r.body), 3);
  assert_non_null(strstr(r.body, "a.example\", \"rdata\": \"10 m.example"));
  assert_non_null(strstr(r.body, "\"origin\": \"https://pdns.example/\\\"\\u00"));
  reply_free(&r);
  close(fd);
  assert_int_equal(cof_plugin.reload(b->self, &b->conf), COF_OK);
  expect(b, "/query/192.0.2.1", 200, A_A B_A);
}

static void test_clients_that_leave(void **state)
{
  struct bench *b = *state;
  static const char request[] = "GET /query/big.example HTTP/1.1\r\nHost: x\r\n"
                                "Accept-Encoding: identity\r\n\r\n";
  const struct linger at_once = {.l_onoff = 1};
  for (int i = 0; i < 40; i++) {
    char part[512];
    int fd = client_connect(b->port);
    assert_true(client_send(fd, request, sizeof request - 1));
    if (i % 2 == 0)
      assert_true(recv(fd, part, sizeof part, 0) > 0);
    if (i % 4 < 2)
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
  }
  await_idle(b);
  expect(b, "/query/c.example", 200, C_ALL);
}

/* On a busy machine the time for a question may be over before its answer has begun. */
static struct reply fetch_in_time(struct bench *b, const char *target)
{
  struct reply r = client_fetch(b->port, target, "");
  for (int i = 0; i < 50 && r.status == 504; i++) {
    reply_free(&r);
    r = client_fetch(b->port, target, "");
  }
  return r;
}

static void test_query_timeout(void **state)
{
  (void)state;
  struct bench b;
  struct rest_conf conf = base;
  conf.query_timeout = 200;
  conf.max_records = 0;
  bench_start(&b, &conf);
  fake_generate(b.fake, "big.example", UINT64_C(1) << 40);
  struct reply r = fetch_in_time(&b, "/query/big.example");
  assert_int_equal(r.status, 200);
  assert_false(r.whole);
  reply_free(&r);
  assert_true(fake_logged(b.fake, "the deadline passed"));
  bench_stop(&b);
}

/* A client in a thread of its own: it waits until new requests are refused, as they are while its
   answer is under way, and then reads that. */
struct reader {
  struct bench *bench;
  int fd;
  struct reply refused, reply;
};

static void *read_late(void *arg)
{
  struct reader *r = arg;
  do {
    reply_free(&r->refused);
    r->refused = client_fetch(r->bench->port, "/query/a.example", "");
  } while (r->refused.status == 200);
  r->reply = client_read(r->fd, false);
  return NULL;
}

static void test_stop_finishes_answers(void **state)
{
  (void)state;
  struct bench b;
  bench_start(&b, &base);
  static const char request[] = "GET /query/big.example HTTP/1.1\r\nHost: x\r\n\r\n";
  struct reader reader = {.bench = &b, .fd = client_connect(b.port)};
  int idle = client_connect(b.port), small = 65536;
  setsockopt(reader.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  fake_generate(b.fake, "big.example", 10 * BIG);
  assert_true(client_send(reader.fd, request, sizeof request - 1));
  char first;
  assert_int_equal(recv(reader.fd, &first, 1, MSG_PEEK), 1);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, read_late, &reader), 0);
  enum cof_result r = cof_plugin.stop(b.self, in_ms(&b, PATIENCE_MS));
  pthread_join(thread, NULL);
  assert_int_equal(r, COF_OK);
  assert_int_equal(fake_cursors(b.fake), 0);
  assert_int_equal(reader.refused.status, 503);
  expect_big(&reader.reply, 10 * BIG);
  reply_free(&reader.refused);
  reply_free(&reader.reply);
  assert_int_equal(recv(idle, &first, 1, 0), 0);
  assert_int_equal(client_connect(b.port), -1);
  close(reader.fd);
  close(idle);
  cof_plugin.destroy(b.self);
  fake_destroy(&b.fake);
}

struct gun {
  unsigned port;
  atomic_uint shots;
};

/* Sends malformed and half-sent requests until nobody listens. */
static void *fire(void *arg)
{
  static const char bad[] = "GET /query/a HTTP/1.x\r\n\r\n";
  struct gun *gun = arg;
  int fds[8];
  size_t open = 0;
  while ((fds[open] = client_connect(gun->port)) >= 0) {
    unsigned shot = atomic_fetch_add(&gun->shots, 1);
    client_send(fds[open], bad, shot % 2 == 0 ? sizeof bad - 1 : 10);
    if (open == 7)
      close(fds[open]);
    else
      open++;
  }
  while (open > 0)
    close(fds[--open]);
  return NULL;
}

static void test_stop_under_fire(void **state)
{
  (void)state;
  const struct timespec pause = {.tv_nsec = 100000};
  for (int round = 0; round < 10; round++) {
    struct bench b;
    pthread_t threads[2];
    bench_start(&b, &base);
    struct gun gun = {.port = b.port};
    for (size_t i = 0; i < 2; i++)
      assert_int_equal(pthread_create(&threads[i], NULL, fire, &gun), 0);
    while (atomic_load(&gun.shots) < 40)
      nanosleep(&pause, NULL);
    enum cof_result r = cof_plugin.stop(b.self, in_ms(&b, PATIENCE_MS));
    for (size_t i = 0; i < 2; i++)
      pthread_join(threads[i], NULL);
    assert_int_equal(r, COF_OK);
    assert_false(fake_logged(b.fake, "connections were still open"));
    cof_plugin.destroy(b.self);
    fake_destroy(&b.fake);
  }
}

static void test_stop_cuts_at_the_deadline(void **state)
{
  (void)state;
  struct bench b;
  struct rest_conf conf = base;
  conf.max_records = 0;
  bench_start(&b, &conf);
  fake_generate(b.fake, "big.example", UINT64_C(1) << 40);
  static const char request[] = "GET /query/big.example HTTP/1.1\r\nHost: x\r\n\r\n";
  int fd = client_connect(b.port);
  assert_true(client_send(fd, request, sizeof request - 1));
  char first;
  assert_int_equal(recv(fd, &first, 1, MSG_PEEK), 1);
  assert_int_equal(cof_plugin.stop(b.self, in_ms(&b, 100)), COF_TIMEOUT); /* has no other end */
  assert_int_equal(fake_cursors(b.fake), 0);
  assert_true(fake_logged(b.fake, "cut off by the stop"));
  close(fd);
  cof_plugin.destroy(b.self);
  fake_destroy(&b.fake);
}

static void test_failed_start(void **state)
{
  struct bench *b = *state;
  struct rest_conf conf = base;
  struct fake *fake = fake_create();
  void *self;
  conf.listen.port = (uint16_t)b->port;
  assert_int_equal(cof_plugin.create(fake_host(fake), &conf, &self), COF_OK);
  assert_int_equal(cof_plugin.start(self), COF_FATAL);
  assert_true(fake_logged(fake, "cannot listen on 127.0.0.1 port"));
  assert_int_equal(cof_plugin.stop(self, 0), COF_OK);
  cof_plugin.destroy(self);
  static char nowhere[] = "no-such-host.invalid";
  conf.listen.host = nowhere;
  assert_int_equal(cof_plugin.create(fake_host(fake), &conf, &self), COF_OK);
  assert_int_equal(cof_plugin.start(self), COF_FATAL);
  assert_true(fake_logged(fake, "cannot resolve 'no-such-host.invalid'"));
  assert_int_equal(cof_plugin.stop(self, 0), COF_OK);
  cof_plugin.destroy(self);
  fake_destroy(&fake);
}

static void test_ipv6_and_one_thread(void **state)
{
  (void)state;
  struct bench b;
  static char any[] = "::";
  struct rest_conf conf = base;
  int probe = socket(AF_INET6, SOCK_STREAM, 0);
  if (probe < 0)
    skip();
  close(probe);
  conf.listen.host = any;
  conf.threads = 1;
  bench_start(&b, &conf);
  assert_true(fake_logged(b.fake, "http://[::]:"));
  expect(&b, "/query/c.example", 200, C_ALL);
  bench_stop(&b);
}

/* What check() says; the host's part of it. */
struct diag {
  struct cof_diag diag;
  char option[32], text[256];
};

static void report(struct cof_diag *diag, const char *option, const char *text)
{
  struct diag *d = (struct diag *)diag;
  snprintf(d->option, sizeof d->option, "%s", option);
  snprintf(d->text, sizeof d->text, "%s", text);
}

static void test_check(void **state)
{
  (void)state;
  struct diag d = {.diag = {.report = report}};
  struct rest_conf conf = base;
  static char latin[] = "\xfc", big[ORIGIN_MAX + 2];
  assert_int_equal(cof_plugin.check(&conf, &d.diag), COF_OK);
  assert_string_equal(d.text, "");
  conf.origin = latin;
  assert_int_equal(cof_plugin.check(&conf, &d.diag), COF_REJECT);
  assert_string_equal(d.option, "origin");
  memset(big, 'x', ORIGIN_MAX + 1);
  conf.origin = big;
  assert_int_equal(cof_plugin.check(&conf, &d.diag), COF_REJECT);
  assert_non_null(strstr(d.text, "1025 octets"));
  big[ORIGIN_MAX] = '\0';
  conf.max_connections = 1;
  assert_int_equal(cof_plugin.check(&conf, &d.diag), COF_REJECT);
  assert_string_equal(d.option, "max_connections");
}

/* --- hostile clients ------------------------------------------------------------------------ */

static unsigned next_random(unsigned *seed)
{
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* A good request, with octets replaced, left out, doubled, or swapped for what parsers dislike. */
static size_t mutate(unsigned *seed, char *out, size_t room)
{
  static const char *const seeds[] = {
      "GET /query/a.example HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
      "HEAD /fquery/192.0.2.1 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
      "POST /query/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
      "GET /info HTTP/1.0\r\nContent-Length: 10\r\n\r\n0123456789",
      "GET /query/%C3%A5%2e%E2%80%AE HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
      "GET //query//2001%3adb8%3a%3a1?a=%00&b HTTP/1.1\r\nHost: x\r\n\r\n"};
  static const char *const nasty[] = {"\r\n", "\n",       "\r", "%",  "%00",
                                      "\xff", ":",        " ",  "\t", "99999999999999999999",
                                      "-1",   "HTTP/9.9", "/",  "..", "\\"};
  const char *from = seeds[next_random(seed) % (sizeof seeds / sizeof *seeds)];
  size_t len = strlen(from);
  memcpy(out, from, len);
  for (unsigned n = next_random(seed) % 6; n > 0; n--) {
    size_t at = next_random(seed) % len;
    const char *what = nasty[next_random(seed) % (sizeof nasty / sizeof *nasty)];
    size_t what_len = strlen(what);
    switch (next_random(seed) % 4) {
    case 0:
      out[at] = (char)next_random(seed);
      break;
    case 1:
      len = at + 1;
      break;
    case 2:
      memmove(out + at, out + at + 1, len - at - 1);
      len -= len > 1 ? 1 : 0;
      break;
    default:
      if (len + what_len < room) {
        memmove(out + at + what_len, out + at, len - at);
        memcpy(out + at, what, what_len);
        len += what_len;
      }
    }
  }
  return len;
}

static void test_bad_requests(void **state)
{
  (void)state;
  struct bench b;
  struct rest_conf conf = base;
  unsigned seed = 20250101;
  char request[1024], sink[4096];
  conf.max_connections = 400;
  conf.idle_timeout = 1000;
  bench_start(&b, &conf);
  for (int i = 0; i < 4000; i++) {
    int fd = client_connect(b.port);
    assert_true(fd >= 0);
    for (unsigned n = next_random(&seed) % 3 + 1; n > 0; n--)
      if (!client_send(fd, request, mutate(&seed, request, sizeof request)))
        break;
    if (i % 2 == 0)
      shutdown(fd, SHUT_WR);
    /* Some read to the end, which may be the server's idle timeout; the others just leave. */
    while (recv(fd, sink, sizeof sink, i % 400 == 0 ? 0 : MSG_DONTWAIT) > 0)
      continue;
    close(fd);
  }
  expect(&b, "/query/a.example", 200, A_A A_MX);
  await_idle(&b);
  assert_true(fake_metric(b.fake, "requests") > 1000);
  bench_stop(&b);
}

static void test_header_flood(void **state)
{
  struct bench *b = *state;
  static char flood[200000];
  size_t n = (size_t)snprintf(flood, sizeof flood, "GET /query/a.example HTTP/1.1\r\nHost: x\r\n");
  while (n + 32 < sizeof flood)
    n += (size_t)snprintf(flood + n, sizeof flood - n, "X-%zu: y\r\n", n);
  int fd = client_connect(b->port);
  client_send(fd, flood, n);
  struct reply r = client_read(fd, false);
  /* The reply may be lost in the reset that unread octets cause. */
  assert_true(r.status == 0 || r.status == 431 || r.status == 413);
  reply_free(&r);
  close(fd);
  expect(b, "/query/a.example", 200, A_A A_MX);
}

static size_t links_of(struct rest *rest)
{
  size_t n = 0;
  pthread_mutex_lock(&rest->lock);
  for (const struct link *link = rest->links; link != NULL; link = link->next)
    n++;
  pthread_mutex_unlock(&rest->lock);
  return n;
}

/* Three times as many half-sent requests as connections are allowed: there are never more than that
   at once, and they do not keep the others out for ever. */
static void test_half_sent(void **state)
{
  (void)state;
  struct bench b;
  struct rest_conf conf = base;
  int fds[24];
  conf.max_connections = 8;
  conf.idle_timeout = 1000;
  bench_start(&b, &conf);
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
    fds[i] = client_connect(b.port);
    assert_true(client_send(fds[i], "GET /query/a.exam", 17));
  }
  /* The first are hung up on after a second; until then the others wait. */
  for (int i = 0; i < 100; i++) {
    const struct timespec moment = {.tv_nsec = 5000000};
    assert_in_range(links_of(b.self), 0, conf.max_connections);
    nanosleep(&moment, NULL);
  }
  expect(&b, "/query/a.example", 200, A_A A_MX);
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
    close(fds[i]);
  bench_stop(&b);
}

/* The library's threads take what is handed to them in their own time. */
static void await_links(struct rest *rest, size_t want)
{
  const struct timespec moment = {.tv_nsec = 1000000};
  for (int i = 0; i < 60000 && links_of(rest) != want; i++)
    nanosleep(&moment, NULL);
  assert_int_equal(links_of(rest), want);
}

/* More from one address are hung up on; once one has left, another is served. */
static void test_per_address(void **state)
{
  (void)state;
  struct bench b;
  struct rest_conf conf = base;
  int fds[4];
  char octet;
  conf.per_ip_connections = 4;
  bench_start(&b, &conf);
  for (size_t i = 0; i < 4; i++) {
    fds[i] = client_connect(b.port);
    assert_true(client_send(fds[i], "GET /query/a.exam", 17));
  }
  int fifth = client_connect(b.port);
  assert_true(read(fifth, &octet, 1) <= 0);
  close(fifth);
  await_links(b.self, 4);
  close(fds[0]);
  await_links(b.self, 3);
  /* The library counts addresses a moment after it tells of the end. */
  struct reply r = client_fetch(b.port, "/query/a.example", "");
  for (int i = 0; i < 60000 && r.status == 0; i++) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    reply_free(&r);
    r = client_fetch(b.port, "/query/a.example", "");
  }
  assert_int_equal(r.status, 200);
  reply_free(&r);
  for (size_t i = 1; i < 4; i++)
    close(fds[i]);
  bench_stop(&b);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* Pages of big.example, whose records count from 1. */
static void expect_page(struct bench *b, const char *cursor, unsigned first, unsigned count,
                        char next[256])
{
  char headers[400], text[64];
  snprintf(headers, sizeof headers, "dribble-paginate-count: 100\r\n%s%s%s",
           cursor != NULL ? "dribble-paginate-cursor: " : "", cursor != NULL ? cursor : "",
           cursor != NULL ? "\r\n" : "");
  struct reply r = client_fetch(b->port, "/query/big.example", headers);
  if (r.status != 200)
    fail_msg("after cursor %s: %d %s", cursor != NULL ? cursor : "", r.status, r.body);
  unsigned lines = 0;
  for (const char *p = r.body; (p = strstr(p, "\"count\": ")) != NULL; p++, lines++) {
    snprintf(text, sizeof text, "\"count\": %u,", first + lines);
    assert_int_equal(strncmp(p, text, strlen(text)), 0);
  }
  assert_int_equal(lines, count);
  assert_string_not_equal(reply_header(&r, "x-dribble-cursor", next), "");
  reply_free(&r);
}

/* What was read before the time was over makes a page, and nothing of it is lost. */
static void test_page_timeout(void **state)
{
  struct bench *b = *state;
  char cursor[256], next[256];
  expect_page(b, NULL, 1, 100, cursor);
  fake_set_faults(b->fake, &(struct fake_faults){.next = COF_TIMEOUT,
                                                 .after = fake_read(b->fake) + 30,
                                                 .text = "the deadline passed"});
  expect_page(b, cursor, 101, 30, next);
  /* No record is in time, or only the one after a whole page is not. */
  expect_error_with(b, "/query/big.example", next, 504, "the deadline passed");
  fake_set_faults(b->fake, &(struct fake_faults){.next = COF_TIMEOUT,
                                                 .after = fake_read(b->fake) + 100,
                                                 .text = "the deadline passed"});
  expect_page(b, next, 131, 100, cursor);
  fake_set_faults(b->fake, &NO_FAULT);
  expect_page(b, cursor, 231, 100, next);
}

#define BY_DNSDB "/dnsdb/v2/lookup/rrset/name/"

static void test_dnsdb_faults(void **state)
{
  struct bench *b = *state;
  static const struct {
    enum cof_result result;
    int status;
  } cases[] = {{COF_RETRY, 503},   {COF_STOPPED, 503}, {COF_UNSUPPORTED, 501},
               {COF_TIMEOUT, 504}, {COF_FATAL, 500},   {COF_REJECT, 400}};
  expect(b, BY_DNSDB "a.example/A", 200,
         "{\"cond\":\"begin\"}\n{\"obj\":{\"count\":3,\"time_first\":10,\"time_last\":20,"
         "\"rrname\":\"a.example.\",\"rrtype\":\"A\",\"rdata\":[\"192.0.2.1\"]}}\n"
         "{\"cond\":\"succeeded\"}\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fake_set_faults(b->fake, &(struct fake_faults){.open = cases[i].result, .text = "why open"});
    expect(b, BY_DNSDB "a.example", cases[i].status, "Error: why open\n");
    if (cases[i].result == COF_TIMEOUT)
      continue; /* in reading it only ends a slice */
    fake_set_faults(b->fake, &(struct fake_faults){.next = cases[i].result, .text = "why\n\xff"});
    expect(b, BY_DNSDB "a.example", cases[i].status, "Error: why??\n");
  }
  fake_set_faults(b->fake, &NO_FAULT);
  await_idle(b);
}

static const char *last_line(const struct reply *r)
{
  const char *p = r->body + r->len;
  assert_true(r->len > 1 && p[-1] == '\n');
  for (p--; p > r->body && p[-1] != '\n'; p--)
    continue;
  return p;
}

/* What fails once the status is sent ends in a line that says so, and not in a broken connection.
 */
static void test_dnsdb_fault_in_midstream(void **state)
{
  struct bench *b = *state;
  fake_set_faults(b->fake, &(struct fake_faults){
                               .next = COF_FATAL, .after = 5000, .text = "disk \"gone\" \xff"});
  struct reply r = client_fetch(b->port, BY_DNSDB "big.example", "");
  assert_int_equal(r.status, 200);
  assert_true(r.chunked && r.whole);
  assert_string_equal(last_line(&r),
                      "{\"cond\":\"failed\",\"msg\":\"disk \\\"gone\\\" \\\\255\"}\n");
  assert_int_equal(lines(r.body), 5002);
  reply_free(&r);
  assert_int_equal(fake_metric(b->fake, "broken"), 1);
  fake_set_faults(b->fake, &NO_FAULT);
}

static size_t count_text(const char *text, const char *what)
{
  size_t n = 0;
  for (; (text = strstr(text, what)) != NULL; text += strlen(what))
    n++;
  return n;
}

static size_t read_some(int fd, char *text, size_t len, size_t room)
{
  ssize_t n = recv(fd, text + len, room - 1 - len, 0);
  assert_true(n > 0);
  text[len + (size_t)n] = '\0';
  return len + (size_t)n;
}

/* While nothing is found, something is sent now and then, and others are served by the same
 * thread.
 */
static void test_dnsdb_search_in_vain(void **state)
{
  struct bench b;
  struct rest_conf conf = base;
  char text[4096] = "";
  (void)state;
  conf.query_timeout = 3600000;
  conf.answer_timeout = 3600000;
  conf.threads = 1;
  bench_start(&b, &conf);
  fake_generate(b.fake, "endless.example", UINT64_MAX);
  int fd = client_connect(b.port);
  static const char request[] =
      "GET " BY_DNSDB "endless.example?time_first_after=100 HTTP/1.1\r\nHost: x\r\n\r\n";
  assert_true(fd >= 0 && client_send(fd, request, sizeof request - 1));
  expect(&b, "/query/a.example", 200, A_A A_MX);
  for (size_t len = 0; count_text(text, "\n{}\n") < 3;)
    len = read_some(fd, text, len, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.1 200", 12), 0);
  close(fd);
  bench_stop(&b);
}

/* Such a search ends with the time for it, and says so. */
static void test_dnsdb_search_timeout(void **state)
{
  struct bench b;
  struct rest_conf conf = base;
  (void)state;
  conf.query_timeout = 500;
  bench_start(&b, &conf);
  fake_generate(b.fake, "endless.example", UINT64_MAX);
  struct reply r = fetch_in_time(&b, BY_DNSDB "endless.example?time_first_after=100");
  assert_int_equal(r.status, 200);
  assert_true(r.whole);
  assert_int_equal(strncmp(last_line(&r), "{\"cond\":\"failed\"", 16), 0);
  reply_free(&r);
  bench_stop(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      WITH_SERVER(test_dnsdb_faults),
      WITH_SERVER(test_dnsdb_fault_in_midstream),
      cmocka_unit_test(test_dnsdb_search_in_vain),
      cmocka_unit_test(test_dnsdb_search_timeout),
      WITH_SERVER(test_names),
      WITH_SERVER(test_addresses),
      WITH_SERVER(test_pivot),
      WITH_SERVER(test_refusals),
      WITH_SERVER(test_methods),
      WITH_SERVER(test_body_is_no_request),
      WITH_SERVER(test_head),
      WITH_SERVER(test_keep_alive_and_pipeline),
      WITH_SERVER(test_stream),
      WITH_SERVER(test_gzip),
      WITH_SERVER(test_info),
      WITH_SERVER(test_storage_faults),
      WITH_SERVER(test_fault_in_midstream),
      WITH_SERVER(test_page_timeout),
      cmocka_unit_test(test_limits),
      WITH_SERVER(test_reload),
      WITH_SERVER(test_clients_that_leave),
      cmocka_unit_test(test_query_timeout),
      cmocka_unit_test(test_stop_finishes_answers),
      cmocka_unit_test(test_stop_cuts_at_the_deadline),
      cmocka_unit_test(test_stop_under_fire),
      WITH_SERVER(test_failed_start),
      cmocka_unit_test(test_ipv6_and_one_thread),
      cmocka_unit_test(test_check),
      cmocka_unit_test(test_bad_requests),
      WITH_SERVER(test_header_flood),
      cmocka_unit_test(test_half_sent),
      cmocka_unit_test(test_per_address),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
