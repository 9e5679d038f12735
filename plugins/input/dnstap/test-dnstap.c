/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plugin under a host that can be full, hold acks back, and stop at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cofd/plugin.h>

#include "dnstap.pb-c.h"
#include "fakehost.h"

extern const struct cof_plugin cof_plugin;

/* Longest wait for anything; never reached unless something is wrong. */
#define SOON 60000
#define START                                                                                      \
  "\0\0\0\0\0\0\0\042\0\0\0\002\0\0\0\001\0\0\0\026"                                               \
  "protobuf:dnstap.Dnstap"
#define START_LEN 42
#define STOP      "\0\0\0\0\0\0\0\004\0\0\0\003"
#define STOP_LEN  12

struct fixture {
  char dir[64], state_dir[80], path[96], setting[128];
  struct fakehost *host;
  void *conf;
  void *self;
};

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- what is sent -------------------------------------------------------------------------------
 */

/* A frame with a response about h<n>.test. @return its octets */
static size_t put_frame(uint8_t *out, unsigned n)
{
  uint8_t dns[64] = {0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0};
  size_t len = 12;
  int label = snprintf((char *)dns + len + 1, 16, "h%u", n);
  dns[len] = (uint8_t)label;
  len += (size_t)label + 1;
  memcpy(dns + len, "\004test\0\0\001\0\001\300\014\0\001\0\001\0\0\0\005\0\004\300\0\002\001", 26);
  len += 26;
  Tap__Message message = TAP__MESSAGE__INIT;
  Tap__Dnstap tap = TAP__DNSTAP__INIT;
  message.has_type = tap.has_type = message.has_response_time_sec = true;
  message.has_response_message = true;
  message.type = 4;
  message.response_time_sec = 1700000000;
  message.response_message = (ProtobufCBinaryData){len, dns};
  tap.type = 1;
  tap.message = &message;
  size_t size = tap__dnstap__pack(&tap, out + 4);
  out[0] = out[1] = 0;
  out[2] = (uint8_t)(size >> 8);
  out[3] = (uint8_t)size;
  return size + 4;
}

/* A stream of h<from>.test and so on; owned by the caller. */
static uint8_t *make_stream(unsigned from, unsigned count, bool stop, size_t *len)
{
  uint8_t *out = malloc(START_LEN + STOP_LEN + (size_t)count * 128);
  assert_non_null(out);
  memcpy(out, START, START_LEN);
  *len = START_LEN;
  for (unsigned i = from; i < from + count; i++)
    *len += put_frame(out + *len, i);
  memcpy(out + *len, STOP, STOP_LEN);
  *len += stop ? STOP_LEN : 0;
  return out;
}

static void write_stream(const struct fixture *f, unsigned count)
{
  size_t len;
  uint8_t *octets = make_stream(0, count, true, &len);
  FILE *out = fopen(f->path, "w");
  assert_non_null(out);
  assert_int_equal(fwrite(octets, 1, len, out), len);
  assert_int_equal(fclose(out), 0);
  free(octets);
}

static int connect_to(const struct fixture *f)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  memcpy(address.sun_path, f->path, strlen(f->path));
  assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* --- the plugin ---------------------------------------------------------------------------------
 */

static int setup(void **state)
{
  struct fixture *f = calloc(1, sizeof *f);
  if (f == NULL)
    return -1;
  strcpy(f->dir, "/tmp/cofd-tap-XXXXXX");
  if (mkdtemp(f->dir) == NULL)
    return -1;
  snprintf(f->state_dir, sizeof f->state_dir, "%s/state", f->dir);
  snprintf(f->path, sizeof f->path, "%s/tap", f->dir);
  *state = f;
  return mkdir(f->state_dir, 0700);
}

static void remove_all(const char *path)
{
  DIR *dir = opendir(path);
  if (dir == NULL)
    return;
  for (const struct dirent *e; (e = readdir(dir)) != NULL;)
    if (e->d_name[0] != '.')
      unlinkat(dirfd(dir), e->d_name, 0);
  closedir(dir);
  rmdir(path);
}

static int teardown(void **state)
{
  struct fixture *f = *state;
  remove_all(f->state_dir);
  remove_all(f->dir);
  free(f);
  return 0;
}

static void make(struct fixture *f, const char *const *settings)
{
  char text[512];
  f->host = fakehost_create("feed", f->state_dir);
  f->conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(fakehost_check(&cof_plugin, f->conf, text, sizeof text), COF_OK);
  assert_int_equal(cof_plugin.create(fakehost_host(f->host), f->conf, &f->self), COF_OK);
  fakehost_serve(f->host, cof_plugin.ops, f->self);
}

/* @param hold  whether acks wait for fakehost_settle() */
static void begin_held(struct fixture *f, const char *key, const char *more, bool hold)
{
  snprintf(f->setting, sizeof f->setting, "%s=%s", key, f->path);
  /* Held batches are counted: none is to be cut by time. */
  make(f, SETTINGS(f->setting, more, hold ? "batch_time=1h" : NULL));
  fakehost_hold(f->host, hold);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
}

static void begin(struct fixture *f, const char *key, const char *more)
{
  begin_held(f, key, more, false);
}

static uint64_t now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Stop as the host does; acks that are held back are answered COF_STOPPED. */
static void end(struct fixture *f)
{
  fakehost_stopping(f->host);
  assert_int_equal(cof_plugin.stop(f->self, now_ns() + SOON * UINT64_C(1000000)), COF_OK);
  assert_true(fakehost_wait_settled(f->host, SOON));
  fakehost_settle(f->host, COF_STOPPED);
  cof_plugin.destroy(f->self);
  fakehost_conf_free(&cof_plugin, &f->conf);
  fakehost_destroy(&f->host);
}

/* That the records are h<from>.test and so on, each once, in order. */
static void expect(struct fixture *f, unsigned from, unsigned count)
{
  if (!fakehost_wait_count(f->host, count, SOON))
    fakehost_dump(f->host);
  const struct cof_batch *b = fakehost_records(f->host);
  assert_int_equal(cof_batch_count(b), count);
  for (unsigned i = 0; i < count; i++) {
    char name[32];
    const struct cof_record *r = cof_batch_at(b, i);
    snprintf(name, sizeof name, "h%u.test", from + i);
    assert_string_equal(r->rrname, name);
    assert_string_equal(r->rdata, "192.0.2.1");
    assert_int_equal(r->time_first, 1700000000);
  }
}

/* --- sockets ------------------------------------------------------------------------------------
 */

/* While the chain is full, the peer cannot send without end; then all arrives. */
static void test_full_chain(void **state)
{
  struct fixture *f = *state;
  const unsigned count = 20000;
  size_t len, sent = 0;
  uint8_t *octets = make_stream(0, count, true, &len);
  begin(f, "socket", "batch_records=100");
  fakehost_full(f->host, true);
  int fd = connect_to(f);
  assert_int_equal(send(fd, octets, 20000, 0), 20000);
  assert_true(fakehost_wait_refusals(f->host, 1, SOON));
  sent = 20000;
  for (ssize_t n; sent < len && (n = send(fd, octets + sent, len - sent, MSG_DONTWAIT)) > 0;)
    sent += (size_t)n;
  assert_true(sent < len);
  assert_int_equal(fakehost_count(f->host), 0);
  fakehost_full(f->host, false);
  assert_int_equal(send(fd, octets + sent, len - sent, 0), len - sent);
  expect(f, 0, count);
  assert_int_equal(fakehost_rejected(f->host), 0);
  close(fd);
  free(octets);
  end(f);
}

static void test_stop_when_full(void **state)
{
  struct fixture *f = *state;
  size_t len;
  uint8_t *octets = make_stream(0, 500, false, &len);
  begin(f, "socket", "batch_records=10");
  fakehost_full(f->host, true);
  int fd = connect_to(f);
  assert_int_equal(send(fd, octets, len, 0), len);
  assert_true(fakehost_wait_refusals(f->host, 1, SOON));
  end(f);
  assert_int_equal(access(f->path, F_OK), -1);
  close(fd);
  free(octets);
}

/* A batch goes out by its age though it is not full. */
static void test_batch_time(void **state)
{
  struct fixture *f = *state;
  size_t len;
  uint8_t *octets = make_stream(0, 3, false, &len);
  begin(f, "socket", "batch_time=10ms");
  int fd = connect_to(f);
  assert_int_equal(send(fd, octets, len, 0), len);
  expect(f, 0, 3);
  close(fd);
  free(octets);
  end(f);
}

static void test_failed_start(void **state)
{
  struct fixture *f = *state;
  char text[256];
  snprintf(text, sizeof text, "socket=%s/no/such/dir", f->dir);
  for (int i = 0; i < 2; i++) {
    make(f, i == 0 ? SETTINGS(text) : SETTINGS("listen=192.0.2.1:1"));
    assert_int_equal(cof_plugin.start(f->self), COF_FATAL);
    end(f);
  }
  snprintf(text, sizeof text, "socket=%s", f->path);
  make(f, SETTINGS(text, "socket_group=no-such-group"));
  assert_int_equal(cof_plugin.start(f->self), COF_FATAL);
  assert_true(fakehost_logged(f->host, "no group of that name"));
  end(f);
  assert_int_equal(access(f->path, F_OK), -1);
  make(f, SETTINGS(text));
  end(f); /* without start() */
  make(f, SETTINGS(text));
  cof_plugin.destroy(f->self); /* without stop() */
  fakehost_conf_free(&cof_plugin, &f->conf);
  fakehost_destroy(&f->host);
}

/* --- files --------------------------------------------------------------------------------------
 */

static bool first_saved(void *arg)
{
  const struct fixture *f = arg;
  char name[128];
  struct stat st;
  snprintf(name, sizeof name, "%s/feed.positions", f->state_dir);
  return stat(name, &st) == 0 && st.st_size > 30;
}

static void test_file_once(void **state)
{
  struct fixture *f = *state;
  write_stream(f, 1000);
  begin(f, "path", "batch_records=64");
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect(f, 0, 1000);
  end(f);
  begin(f, "path", NULL);
  assert_true(fakehost_wait_finished(f->host, SOON));
  assert_int_equal(fakehost_count(f->host), 0);
  end(f);
}

/* What is not acknowledged is read again. */
static void test_file_acks(void **state)
{
  struct fixture *f = *state;
  write_stream(f, 1000);
  begin_held(f, "path", "batch_records=100", true);
  assert_true(fakehost_wait_finished(f->host, SOON));
  assert_int_equal(fakehost_settle_some(f->host, 3, COF_OK), 3);
  end(f);
  assert_true(first_saved(f));
  begin(f, "path", NULL);
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect(f, 300, 700);
  end(f);
}

/* Nothing later counts once a batch was not stored. */
static void test_file_refused(void **state)
{
  struct fixture *f = *state;
  write_stream(f, 500);
  begin_held(f, "path", "batch_records=100", true);
  assert_true(fakehost_wait_finished(f->host, SOON));
  assert_int_equal(fakehost_settle_some(f->host, 1, COF_OK), 1);
  assert_int_equal(fakehost_settle_some(f->host, 1, COF_STOPPED), 1);
  fakehost_settle(f->host, COF_OK);
  end(f);
  begin(f, "path", NULL);
  expect(f, 100, 400);
  end(f);
}

static void test_broken_positions(void **state)
{
  struct fixture *f = *state;
  char name[128], setting[160];
  write_stream(f, 1);
  snprintf(name, sizeof name, "%s/feed.positions", f->state_dir);
  FILE *out = fopen(name, "w");
  assert_non_null(out);
  fputs("cofd-dnstap-positions 1\n1 2 x\n", out);
  fclose(out);
  snprintf(setting, sizeof setting, "path=%s", f->path);
  make(f, SETTINGS(setting));
  assert_int_equal(cof_plugin.start(f->self), COF_FATAL);
  assert_true(fakehost_logged(f->host, "feed.positions:2:"));
  end(f);
}

static void test_load(void **state)
{
  struct fixture *f = *state;
  const struct cof_input_ops *ops = cof_plugin.ops;
  const char *const paths[] = {f->path, f->path};
  uint64_t done, total;
  write_stream(f, 300);
  for (int i = 0; i < 2; i++) { /* positions are neither read nor written */
    make(f, SETTINGS("batch_records=70", "socket=/nonexistent/dnstap.sock"));
    assert_int_equal(ops->load(f->self, paths, 2), COF_OK);
    assert_true(fakehost_wait_finished(f->host, SOON));
    expect(f, 0, 300);
    ops->progress(f->self, &done, &total);
    assert_int_equal(done, total / 2); /* it was named twice, and read once */
    end(f);
  }
  assert_false(first_saved(f));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_full_chain),   TEST(test_stop_when_full),   TEST(test_batch_time),
      TEST(test_failed_start), TEST(test_file_once),        TEST(test_file_acks),
      TEST(test_file_refused), TEST(test_broken_positions), TEST(test_load),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
