/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cofd/dns.h>
#include <cofd/plugin.h>

#include "fakehost.h"

extern const struct cof_plugin cof_plugin;

#define TRIES 50
/* Longest wait for anything; never reached unless something is wrong. */
#define SOON 60000

struct fixture {
  char dir[64], path[96], socket[96], state_dir[80];
  struct fakehost *host;
  void *conf, *self;
};

static int setup(void **state)
{
  struct fixture *f = calloc(1, sizeof *f);
  if (f == NULL)
    return -1;
  strcpy(f->dir, "/tmp/cofd-pdns-XXXXXX");
  if (mkdtemp(f->dir) == NULL)
    return -1;
  snprintf(f->path, sizeof f->path, "%s/passivedns.log", f->dir);
  snprintf(f->socket, sizeof f->socket, "%s/s", f->dir);
  snprintf(f->state_dir, sizeof f->state_dir, "%s/state", f->dir);
  *state = f;
  return mkdir(f->state_dir, 0700);
}

static int teardown(void **state)
{
  struct fixture *f = *state;
  char positions[128];
  snprintf(positions, sizeof positions, "%s/log.positions", f->state_dir);
  unlink(positions);
  unlink(f->path);
  unlink(f->socket);
  rmdir(f->state_dir);
  rmdir(f->dir);
  free(f);
  return 0;
}

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void make(struct fixture *f, const char *const *settings)
{
  char text[512];
  f->host = fakehost_create("log", f->state_dir);
  f->conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(fakehost_check(&cof_plugin, f->conf, text, sizeof text), COF_OK);
  assert_int_equal(cof_plugin.create(fakehost_host(f->host), f->conf, &f->self), COF_OK);
  fakehost_serve(f->host, cof_plugin.ops, f->self);
}

static void begin(struct fixture *f, const char *const *settings)
{
  make(f, settings);
  if (cof_plugin.start(f->self) != COF_OK) {
    fakehost_dump(f->host);
    fail_msg("it does not start");
  }
}

static void end(struct fixture *f)
{
  fakehost_stopping(f->host);
  assert_int_equal(cof_plugin.stop(f->self, UINT64_MAX), COF_OK);
  assert_true(fakehost_wait_settled(f->host, SOON)); /* no ack comes after destroy() begins */
  cof_plugin.destroy(f->self);
  fakehost_conf_free(&cof_plugin, &f->conf);
  fakehost_destroy(&f->host);
}

static const char *option(const char *name, const char *value)
{
  static char texts[4][160];
  static unsigned next;
  char *text = texts[next++ % 4];
  snprintf(text, sizeof texts[0], "%s=%s", name, value);
  return text;
}

static void append(const char *path, const char *text)
{
  FILE *out = fopen(path, "a");
  assert_non_null(out);
  assert_true(fputs(text, out) >= 0);
  assert_int_equal(fclose(out), 0);
}

static void expect(struct fixture *f, size_t count)
{
  if (!fakehost_wait_count(f->host, count, SOON)) {
    fakehost_dump(f->host);
    fail_msg("%zu of %zu records", fakehost_count(f->host), count);
  }
}

struct value {
  struct fakehost *host;
  const char *name;
  int64_t value;
};

static bool has_value(void *arg)
{
  const struct value *v = arg;
  return fakehost_metric(v->host, v->name) == v->value;
}

static void expect_metric(struct fixture *f, const char *name, int64_t value)
{
  struct value v = {f->host, name, value};
  if (!fakehost_wait(f->host, has_value, &v, SOON)) {
    fakehost_dump(f->host);
    fail_msg("%s is %lld, not %lld", name, (long long)fakehost_metric(f->host, name),
             (long long)value);
  }
}

static bool has_rejected(void *arg)
{
  const struct value *v = arg;
  return (int64_t)fakehost_rejected(v->host) == v->value;
}

static void expect_rejected(struct fixture *f, int64_t value)
{
  struct value v = {f->host, NULL, value};
  if (!fakehost_wait(f->host, has_rejected, &v, SOON)) {
    fakehost_dump(f->host);
    fail_msg("%lld rejected", (long long)fakehost_rejected(f->host));
  }
}

#define LINE(name, address) "7.5||10.0.0.1||10.0.0.2||IN||" name ".||A||" address "||60||2\n"

static void reads_a_log(void **state)
{
  struct fixture *f = *state;
  append(f->path, LINE("a.example", "192.0.2.1") "\n# comment\n");
  append(f->path, "7||10.0.0.1||10.0.0.2||CH||version.bind.||TXT||x||0||1\n");
  append(f->path, "7||10.0.0.1||10.0.0.2||IN||nope.example.||A||NXDOMAIN||0||1\n");
  append(f->path, "7||10.0.0.1||10.0.0.2||IN||bad.example.||A||nope||0||1\n");
  append(f->path, "7||10.0.0.1||10.0.0.2||IN||old.example.||A||192.0.2.2\n");
  append(f->path, "{\"timestamp_s\":8,\"query\":\"j.example.\",\"type\":\"A\",\"answer\":"
                  "\"192.0.2.3\"}\n");
  begin(f, SETTINGS(option("path", f->path), "sensor_id=me"));
  expect(f, 3);
  const struct cof_batch *all = fakehost_records(f->host);
  assert_string_equal(cof_batch_at(all, 0)->rrname, "a.example");
  assert_int_equal(cof_batch_at(all, 0)->count, 2);
  assert_string_equal(cof_batch_at(all, 0)->sensor_id, "me");
  assert_string_equal(cof_batch_at(all, 1)->rrname, "old.example");
  assert_string_equal(cof_batch_at(all, 2)->rrname, "j.example");
  assert_int_equal(fakehost_rejected(f->host), 1);
  assert_true(fakehost_logged(f->host, "passivedns.log:6: answer: "));
  assert_false(fakehost_logged(f->host, "10.0.0.1"));
  expect_metric(f, "blank", 2);
  expect_metric(f, "other_class", 1);
  expect_metric(f, "negative", 1);
  expect_metric(f, "lines", 8);
  expect_metric(f, "records", 3);
  end(f);
}

/* What a sensor that is killed leaves must not become another name. */
static void refuses_what_may_be_cut_off(void **state)
{
  struct fixture *f = *state;
  append(f->path, LINE("a.example", "192.0.2.1"));
  append(f->path, "7||c||s||IN||b.example.||CNAME||www.exam");
  begin(f, SETTINGS(option("path", f->path), "follow=no"));
  assert_true(fakehost_wait_finished(f->host, SOON));
  assert_int_equal(fakehost_count(f->host), 1);
  assert_int_equal(fakehost_rejected(f->host), 1);
  assert_true(fakehost_logged(f->host, "passivedns.log:2: no line end"));
  end(f);
}

static void takes_its_options(void **state)
{
  struct fixture *f = *state;
  append(f->path, "7\ta.example.\tA\t192.0.2.1\t9\n");
  begin(f, SETTINGS(option("path", f->path), "fields=nATQS", "delimiter=\\t", "count=line"));
  expect(f, 1);
  assert_int_equal(cof_batch_at(fakehost_records(f->host), 0)->count, 1);
  end(f);
}

static void check_options(const char *const *settings, const char *want)
{
  char text[512];
  void *conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(fakehost_check(&cof_plugin, conf, text, sizeof text), COF_REJECT);
  if (strstr(text, want) == NULL)
    fail_msg("\"%s\" does not say \"%s\"", text, want);
  fakehost_conf_free(&cof_plugin, &conf);
}

static void checks_options(void **state)
{
  (void)state;
  char sensor[300] = "sensor_id=";
  memset(sensor + 10, 'x', 256);
  check_options(SETTINGS("count=line"), "path: none is given");
  check_options(SETTINGS("path=x", "fields=SQT", "delimiter="), "fields: 'A' is missing");
  check_options(SETTINGS("path=x", "fields=Z"), "fields: 'Z' is no column");
  check_options(SETTINGS("path=x", "delimiter=12345678901234567"), "delimiter: has to be");
  check_options(SETTINGS("path=x", sensor), "longer than 255");
  check_options(SETTINGS("path=x", "follow=no", "listen=127.0.0.1:1"), "follow: has to be yes");
}

/* --- sockets ---------------------------------------------------------------------------------- */

static int unix_peer(const struct fixture *f, int type)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  strcpy(address.sun_path, f->socket);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* @return false when the plugin has hung up */
static bool try_tell(int fd, const char *text)
{
  return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static void tell(int fd, const char *text)
{
  assert_true(try_tell(fd, text));
}

static void expect_closed(int fd)
{
  char octet;
  ssize_t n = recv(fd, &octet, 1, 0);
  assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
  close(fd);
}

static void listens_on_a_unix_socket(void **state)
{
  struct fixture *f = *state;
  struct stat st;
  begin(f, SETTINGS(option("socket", f->socket), "socket_mode=0600", "max_peers=2"));
  assert_int_equal(stat(f->socket, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  int a = unix_peer(f, SOCK_STREAM), b = unix_peer(f, SOCK_STREAM);
  tell(a, "7||c||s||IN||a.exa");
  tell(b, LINE("b.example", "192.0.2.1") LINE("c.example", "192.0.2.1"));
  expect(f, 2);
  tell(a, "mple.||A||192.0.2.1||60||1\n");
  expect(f, 3);
  expect_metric(f, "peers", 2);
  expect_closed(unix_peer(f, SOCK_STREAM));
  expect_metric(f, "peers_refused", 1);
  close(b);
  expect_metric(f, "peers", 1);
  int c = unix_peer(f, SOCK_STREAM);
  tell(c, "{\"timestamp_s\":8,\"query\":\"j.example.\",\"type\":\"A\",\"answer\":\"192.0.2.3\"}");
  close(c); /* JSON shows that it is whole */
  expect(f, 4);
  tell(a, "7||c||s||IN||a.exa");
  close(a);
  expect_rejected(f, 1);
  assert_true(fakehost_logged(f->host, "no line end"));
  expect_metric(f, "connections", 3);
  expect_metric(f, "peers", 0);
  assert_false(fakehost_finished(f->host));
  end(f);
  assert_int_equal(access(f->socket, F_OK), -1);
}

static void bounds_lines_of_a_peer(void **state)
{
  struct fixture *f = *state;
  char text[5001];
  begin(f, SETTINGS(option("socket", f->socket), "max_line=1024"));
  int a = unix_peer(f, SOCK_STREAM);
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  for (int i = 0; i < 40; i++)
    tell(a, text);
  tell(a, "\n" LINE("a.example", "192.0.2.1"));
  expect(f, 1);
  expect_rejected(f, 1);
  assert_true(fakehost_logged(f->host, "longer than max_line (1024 octets)"));
  close(a);
  end(f);
}

static void takes_datagrams(void **state)
{
  struct fixture *f = *state;
  begin(f, SETTINGS(option("socket", f->socket), "socket_type=dgram"));
  int a = unix_peer(f, SOCK_DGRAM);
  tell(a, LINE("a.example", "192.0.2.1"));
  tell(a, "");
  tell(a, "7||c||s||IN||b.example.||A||192.0.2.1||60||1");
  tell(a, LINE("c.example", "192.0.2.1") LINE("d.example", "192.0.2.1"));
  expect(f, 4);
  assert_int_equal(fakehost_rejected(f->host), 0);
  close(a);
  end(f);
  assert_int_equal(access(f->socket, F_OK), -1);
}

static void ends_silence(void **state)
{
  struct fixture *f = *state;
  begin(f, SETTINGS(option("socket", f->socket), "peer_timeout=500ms"));
  expect_closed(unix_peer(f, SOCK_STREAM));
  expect_metric(f, "peers", 0);
  assert_int_equal(fakehost_rejected(f->host), 0);
  /* On a busy machine the time may be over before anything is said. */
  for (int i = 0; i < TRIES && fakehost_rejected(f->host) == 0; i++) {
    int b = unix_peer(f, SOCK_STREAM);
    (void)try_tell(b, "7||c||s||IN||b.exa");
    expect_closed(b);
    expect_metric(f, "peers", 0);
  }
  expect_rejected(f, 1);
  assert_true(fakehost_logged(f->host, "silence within this line"));
  end(f);
}

struct held {
  struct fakehost *host;
  uint64_t refusals;
};

static bool is_held_or_alone(void *arg)
{
  const struct held *h = arg;
  return fakehost_refusals(h->host) > h->refusals || fakehost_metric(h->host, "peers") != 2;
}

/* While the chain is full nobody is read, and nobody is taken for silent. */
static void holds_peers_while_the_chain_is_full(void **state)
{
  struct fixture *f = *state;
  begin(f, SETTINGS(option("socket", f->socket), "peer_timeout=500ms", "batch_records=1"));
  int a = -1, b = -1;
  size_t before = 0;
  bool both = false;
  /* On a busy machine the time may be over before the chain is full for them. */
  for (int i = 1; i <= TRIES && !both; i++) {
    fakehost_full(f->host, false);
    close(a);
    close(b);
    expect_metric(f, "peers", 0);
    before = fakehost_count(f->host);
    a = unix_peer(f, SOCK_STREAM);
    b = unix_peer(f, SOCK_STREAM);
    expect_metric(f, "connections", 2 * i);
    fakehost_full(f->host, true);
    struct held held = {f->host, fakehost_refusals(f->host)};
    both = try_tell(a, LINE("a.example", "192.0.2.1")) &&
           fakehost_wait(f->host, is_held_or_alone, &held, SOON) &&
           fakehost_metric(f->host, "peers") == 2;
  }
  assert_true(both);
  tell(b, LINE("b.example", "192.0.2.1"));
  /* More than the silence allowed: each is 200 ms. */
  assert_true(fakehost_wait_refusals(f->host, fakehost_refusals(f->host) + 4, SOON));
  fakehost_full(f->host, false);
  expect(f, before + 2);
  close(a);
  close(b);
  end(f);
}

static void says_what_is_not_handed_on(void **state)
{
  struct fixture *f = *state;
  begin(f, SETTINGS(option("socket", f->socket), "batch_records=1"));
  int a = unix_peer(f, SOCK_STREAM);
  fakehost_full(f->host, true);
  tell(a, LINE("a.example", "192.0.2.1"));
  assert_true(fakehost_wait_refusals(f->host, 1, SOON));
  fakehost_stopping(f->host);
  assert_int_equal(cof_plugin.stop(f->self, UINT64_MAX), COF_OK);
  assert_true(fakehost_logged(f->host, "stopped with 1 records"));
  cof_plugin.destroy(f->self);
  fakehost_conf_free(&cof_plugin, &f->conf);
  fakehost_destroy(&f->host);
  close(a);
}

static void leaves_other_sockets_alone(void **state)
{
  struct fixture *f = *state;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
  strcpy(address.sun_path, f->socket);
  for (size_t i = 0; i < 2; i++) {
    int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    if (types[i] == SOCK_STREAM)
      assert_int_equal(listen(fd, 1), 0);
    make(f, SETTINGS(option("socket", f->socket)));
    assert_int_equal(cof_plugin.start(f->self), COF_FATAL);
    assert_true(fakehost_logged(f->host, "another process listens on it"));
    end(f);
    assert_int_equal(access(f->socket, F_OK), 0);
    /* Nobody has it any more. */
    close(fd);
    begin(f, SETTINGS(option("socket", f->socket)));
    int peer = unix_peer(f, SOCK_STREAM);
    tell(peer, LINE("a.example", "192.0.2.1"));
    expect(f, 1);
    close(peer);
    end(f);
  }
}

static void does_not_start_where_it_cannot_listen(void **state)
{
  struct fixture *f = *state;
  char port[32];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
  assert_int_equal(listen(fd, 1), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
  snprintf(port, sizeof port, "listen=127.0.0.1:%u", ntohs(address.sin_port));
  make(f, SETTINGS(port, option("socket", f->socket)));
  assert_int_equal(cof_plugin.start(f->self), COF_FATAL);
  assert_true(fakehost_logged(f->host, strerror(EADDRINUSE)));
  end(f);
  assert_int_equal(access(f->socket, F_OK), -1);
  close(fd);
  make(f, SETTINGS("socket=/nonsuch/directory/s"));
  assert_int_equal(cof_plugin.start(f->self), COF_FATAL);
  end(f);
}

static void loads_without_sockets(void **state)
{
  struct fixture *f = *state;
  const char *const paths[] = {f->path};
  append(f->path, LINE("a.example", "192.0.2.1"));
  make(f, SETTINGS(option("socket", f->socket)));
  assert_int_equal(((const struct cof_input_ops *)cof_plugin.ops)->load(f->self, paths, 1), COF_OK);
  assert_true(fakehost_wait_finished(f->host, SOON));
  assert_int_equal(fakehost_count(f->host), 1);
  assert_int_equal(access(f->socket, F_OK), -1);
  end(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {TEST(reads_a_log),
                                     TEST(refuses_what_may_be_cut_off),
                                     TEST(takes_its_options),
                                     TEST(checks_options),
                                     TEST(listens_on_a_unix_socket),
                                     TEST(bounds_lines_of_a_peer),
                                     TEST(takes_datagrams),
                                     TEST(ends_silence),
                                     TEST(holds_peers_while_the_chain_is_full),
                                     TEST(says_what_is_not_handed_on),
                                     TEST(leaves_other_sockets_alone),
                                     TEST(does_not_start_where_it_cannot_listen),
                                     TEST(loads_without_sockets)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
