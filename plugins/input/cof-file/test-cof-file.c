/* SPDX-License-Identifier: AGPL-3.0-or-later */
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
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cofd/plugin.h>

#include "fakehost.h"

extern const struct cof_plugin cof_plugin;

/* Longest wait for anything; never reached unless something is wrong. */
#define SOON 60000

struct fixture {
  char dir[64];
  char state_dir[80];
  struct fakehost *host;
  void *conf;
  void *self;
};

static const struct cof_input_ops *ops(void)
{
  return cof_plugin.ops;
}

/* --- files ------------------------------------------------------------------------------------ */

static const char *at(const struct fixture *f, const char *name)
{
  static char paths[8][256];
  static unsigned next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", f->dir, name);
  return path;
}

static void write_octets(const char *path, const char *mode, const void *octets, size_t len)
{
  FILE *out = fopen(path, mode);
  assert_non_null(out);
  assert_int_equal(fwrite(octets, 1, len, out), len);
  assert_int_equal(fclose(out), 0);
}

static void put(const struct fixture *f, const char *name, const char *text)
{
  write_octets(at(f, name), "w", text, strlen(text));
}

static void append(const struct fixture *f, const char *name, const char *text)
{
  write_octets(at(f, name), "a", text, strlen(text));
}

/* A record of that owner name; a line. In a ring of buffers, so that some can be used at once. */
static const char *rec(const char *name)
{
  static char lines[16][256];
  static unsigned next;
  char *line = lines[next++ % 16];
  snprintf(line, sizeof lines[0],
           "{\"rrname\":\"%s.test\",\"rrtype\":\"A\",\"rdata\":\"192.0.2.1\",\"time_first\":10,"
           "\"time_last\":20,\"count\":3}\n",
           name);
  return line;
}

static const char *cat(const char *a, const char *b, const char *c)
{
  static char texts[8][1024];
  static unsigned next;
  const char *parts[] = {a, b, c};
  char *text = texts[next++ % 8];
  size_t len = 0;
  for (size_t i = 0; i < 3; i++) {
    size_t n = strlen(parts[i]);
    assert_true(len + n < sizeof texts[0]);
    memmove(text + len, parts[i], n + 1);
    len += n;
  }
  return text;
}

static size_t gzip(const char *text, size_t len, uint8_t *out, size_t cap)
{
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = (Bytef *)(uintptr_t)text;
  z.avail_in = (uInt)len;
  z.next_out = out;
  z.avail_out = (uInt)cap;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  size_t n = cap - z.avail_out;
  deflateEnd(&z);
  return n;
}

static size_t zstd(const char *text, size_t len, uint8_t *out, size_t cap)
{
  size_t n = ZSTD_compress(out, cap, text, len, 3);
  assert_false(ZSTD_isError(n));
  return n;
}

typedef size_t (*pack_fn)(const char *, size_t, uint8_t *, size_t);

/* Many records, h0.test to hN.test; owned by the caller. */
static char *many(unsigned from, unsigned count, size_t *len)
{
  char *text = malloc((size_t)count * 160 + 1);
  assert_non_null(text);
  *len = 0;
  for (unsigned i = from; i < from + count; i++) {
    char name[16];
    snprintf(name, sizeof name, "h%u", i);
    const char *line = rec(name);
    memcpy(text + *len, line, strlen(line));
    *len += strlen(line);
  }
  return text;
}

static void remove_tree(const char *path)
{
  DIR *dir = opendir(path);
  if (dir != NULL) {
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
      char name[512];
      if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
        continue;
      snprintf(name, sizeof name, "%s/%s", path, e->d_name);
      if (unlink(name) != 0)
        remove_tree(name);
    }
    closedir(dir);
  }
  rmdir(path);
}

/* --- the plugin ------------------------------------------------------------------------------- */

static int setup(void **state)
{
  struct fixture *f = calloc(1, sizeof *f);
  if (f == NULL)
    return -1;
  strcpy(f->dir, "/tmp/cofd-file-XXXXXX");
  if (mkdtemp(f->dir) == NULL)
    return -1;
  snprintf(f->state_dir, sizeof f->state_dir, "%s-state", f->dir);
  *state = f;
  return mkdir(f->state_dir, 0700);
}

static int teardown(void **state)
{
  struct fixture *f = *state;
  remove_tree(f->dir);
  remove_tree(f->state_dir);
  free(f);
  return 0;
}

static void make(struct fixture *f, const char *state_dir, const char *const *settings)
{
  char text[512];
  f->host = fakehost_create("samples", state_dir);
  f->conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(fakehost_check(&cof_plugin, f->conf, text, sizeof text), COF_OK);
  assert_int_equal(cof_plugin.create(fakehost_host(f->host), f->conf, &f->self), COF_OK);
  fakehost_serve(f->host, ops(), f->self);
}

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void begin(struct fixture *f, const char *const *settings)
{
  make(f, f->state_dir, settings);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
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

static const char *path_of(const struct fixture *f, const char *name)
{
  return cat("path=", at(f, name), "");
}

/* Owner names without ".test", in order, separated by blanks; owned by the caller. */
static char *names(struct fixture *f)
{
  const struct cof_batch *b = fakehost_records(f->host);
  char *text = calloc(1, cof_batch_count(b) * 32 + 1);
  assert_non_null(text);
  for (size_t i = 0, len = 0; i < cof_batch_count(b); i++) {
    const struct cof_record *r = cof_batch_at(b, i);
    len += (size_t)sprintf(text + len, "%s%.*s", i > 0 ? " " : "", r->rrname_len - 5, r->rrname);
  }
  return text;
}

static void expect_names(struct fixture *f, const char *expected)
{
  char *got = names(f);
  if (strcmp(got, expected) != 0)
    fakehost_dump(f->host);
  assert_string_equal(got, expected);
  free(got);
}

/* That the records are h<from>.test to h<from+count-1>.test, each once, in order. */
static void expect_many(struct fixture *f, unsigned from, unsigned count)
{
  const struct cof_batch *b = fakehost_records(f->host);
  assert_int_equal(cof_batch_count(b), count);
  for (unsigned i = 0; i < count; i++) {
    char name[32];
    snprintf(name, sizeof name, "h%u.test", from + i);
    assert_string_equal(cof_batch_at(b, i)->rrname, name);
  }
}

/* One run over everything, to the end. */
static void run_once(struct fixture *f, const char *const *settings)
{
  begin(f, settings);
  assert_true(fakehost_wait_finished(f->host, SOON));
}

static void expect_run(struct fixture *f, const char *const *settings, const char *expected)
{
  run_once(f, settings);
  expect_names(f, expected);
  end(f);
}

/* --- reading once ----------------------------------------------------------------------------- */

static void test_ndjson(void **state)
{
  struct fixture *f = *state;
  char text[1024];
  snprintf(text, sizeof text, "\xef\xbb\xbf%s\r\n\n%.*s\r\n%.*s", rec("a"),
           (int)strlen(rec("b")) - 1, rec("b"), (int)strlen(rec("c")) - 1, rec("c"));
  put(f, "x.ndjson", text);
  run_once(f, SETTINGS(path_of(f, "x.ndjson"), "sensor_id=s1"));
  expect_names(f, "a b c");
  const struct cof_record *r = cof_batch_at(fakehost_records(f->host), 0);
  assert_string_equal(r->rdata, "192.0.2.1");
  assert_string_equal(r->sensor_id, "s1");
  assert_int_equal(r->count, 3);
  assert_int_equal(r->total, 0);
  assert_int_equal(fakehost_metric(f->host, "records"), 3);
  assert_int_equal(fakehost_metric(f->host, "files"), 1);
  assert_int_equal(fakehost_metric(f->host, "lines"), 4);
  assert_int_equal(fakehost_metric(f->host, "bytes"), strlen(text));
  assert_int_equal(fakehost_metric(f->host, "errors"), 0);
  assert_int_equal(fakehost_rejected(f->host), 0);
  end(f);
}

static void test_counts_total(void **state)
{
  struct fixture *f = *state;
  put(f, "x", rec("a"));
  run_once(f, SETTINGS(path_of(f, "x"), "counts=total"));
  const struct cof_record *r = cof_batch_at(fakehost_records(f->host), 0);
  assert_int_equal(r->count, 0);
  assert_int_equal(r->total, 3);
  end(f);
}

static void test_rejects(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), "{\"rrname\":\"x.test\"}\nnonsense\n{\"rrname\":\n", rec("b")));
  run_once(f, SETTINGS(path_of(f, "x")));
  expect_names(f, "a b");
  assert_int_equal(fakehost_rejected(f->host), 3);
  assert_true(fakehost_logged(f->host, cat("reject: ", at(f, "x"), ":2: ")));
  assert_true(fakehost_logged(f->host, cat("reject: ", at(f, "x"), ":3: ")));
  assert_true(fakehost_logged(f->host, cat("reject: ", at(f, "x"), ":4: ")));
  end(f);
}

/* Good elements of an rdata array are kept, and each bad one counts. */
static void test_part_of_a_record(void **state)
{
  struct fixture *f = *state;
  put(f, "x",
      "{\"rrname\":\"a.test\",\"rrtype\":\"A\",\"rdata\":[\"192.0.2.1\",\"bad\",\"192.0.2.2\",\"\"]"
      ","
      "\"time_first\":1,\"time_last\":2}\n");
  run_once(f, SETTINGS(path_of(f, "x")));
  expect_names(f, "a a");
  assert_int_equal(fakehost_rejected(f->host), 2);
  end(f);
}

static void test_long_line(void **state)
{
  struct fixture *f = *state;
  size_t len = 3 * 1024 * 1024;
  char *text = malloc(len + 1);
  assert_non_null(text);
  memset(text, 'x', len);
  text[len] = '\0';
  put(f, "x", rec("a"));
  append(f, "x", text);
  append(f, "x", cat("\n", rec("b"), "broken\n"));
  append(f, "x", text + len - 1025);
  free(text);
  run_once(f, SETTINGS(path_of(f, "x"), "max_line=1K"));
  expect_names(f, "a b");
  assert_int_equal(fakehost_rejected(f->host), 3);
  assert_true(fakehost_logged(f->host, "x:2: line longer than max_line (1024 octets)"));
  assert_true(fakehost_logged(f->host, "x:4: "));
  assert_true(fakehost_logged(f->host, "x:5: line longer than max_line"));
  end(f);
}

static void test_array(void **state)
{
  struct fixture *f = *state;
  put(f, "array", cat("[\n", rec("a"), cat(",", rec("b"), "]\n")));
  put(f, "object",
      "{\n \"rrname\": \"c.test\",\n \"rrtype\": \"TXT\", \"rdata\": \"}{\\\"\",\n"
      "\"time_first\": 1, \"time_last\": 2\n}\n{\n \"rrname\": \"d.test\"\n}\n");
  run_once(f, SETTINGS(path_of(f, "array"), path_of(f, "object")));
  expect_names(f, "a b c");
  assert_int_equal(fakehost_rejected(f->host), 1);
  assert_true(fakehost_logged(f->host, "object:6: "));
  end(f);
}

static void test_format_is_forced(void **state)
{
  struct fixture *f = *state;
  char two[512];
  snprintf(two, sizeof two, "%.*s%s", (int)strlen(rec("a")) - 1, rec("a"), rec("b"));
  put(f, "x", cat(rec("z"), two, ""));
  expect_run(f, SETTINGS(path_of(f, "x"), "format=array"), "z a b");
  remove_tree(f->state_dir);
  assert_int_equal(mkdir(f->state_dir, 0700), 0);
  run_once(f, SETTINGS(path_of(f, "x"), "format=ndjson"));
  expect_names(f, "z");
  assert_int_equal(fakehost_rejected(f->host), 1);
  end(f);
}

/* Larger than every buffer, in each packing and form. */
static void test_large(void **state)
{
  struct fixture *f = *state;
  size_t len;
  char *text = many(0, 40000, &len);
  write_octets(at(f, "lines"), "w", text, len);
  run_once(f, SETTINGS(path_of(f, "lines")));
  expect_many(f, 0, 40000);
  assert_int_equal(fakehost_metric(f->host, "lines"), 40000);
  assert_true(fakehost_batches(f->host) >= 40000 / 4096);
  end(f);
  put(f, "array", "[");
  for (size_t i = 0; i < len; i++)
    if (text[i] == '\n' && i + 1 < len)
      text[i] = ',';
  write_octets(at(f, "array"), "a", text, len);
  append(f, "array", "]");
  run_once(f, SETTINGS(path_of(f, "array"), "batch_records=1000"));
  expect_many(f, 0, 40000);
  assert_int_equal(fakehost_rejected(f->host), 0);
  end(f);
  free(text);
}

static void test_batch_bounds(void **state)
{
  struct fixture *f = *state;
  size_t len;
  char *text = many(0, 1000, &len);
  write_octets(at(f, "x"), "w", text, len);
  free(text);
  run_once(f, SETTINGS(path_of(f, "x"), "batch_records=7", "batch_time=60s"));
  assert_int_equal(fakehost_batches(f->host), 143);
  end(f);
  run_once(f, SETTINGS(path_of(f, "x")));
  assert_int_equal(fakehost_count(f->host), 0);
  end(f);
  assert_int_equal(unlink(cat(f->state_dir, "/samples.positions", "")), 0);
  run_once(f, SETTINGS(path_of(f, "x"), "batch_bytes=64K"));
  assert_true(fakehost_batches(f->host) > 1);
  expect_many(f, 0, 1000);
  end(f);
}

/* --- compressed files ------------------------------------------------------------------------- */

static void check_packed(struct fixture *f, pack_fn pack)
{
  size_t len, n, part;
  char *text = many(0, 20000, &len);
  uint8_t *packed = malloc(len);
  assert_non_null(packed);
  /* Three members, the ends of which fall within lines; the second is empty. */
  part = len / 3;
  n = pack(text, part, packed, len);
  n += pack("", 0, packed + n, len - n);
  n += pack(text + part, len - part, packed + n, len - n);
  write_octets(at(f, "whole"), "w", packed, n);
  run_once(f, SETTINGS(path_of(f, "whole")));
  expect_many(f, 0, 20000);
  assert_int_equal(fakehost_metric(f->host, "bytes"), n);
  assert_int_equal(fakehost_metric(f->host, "lines"), 20000);
  assert_int_equal(fakehost_metric(f->host, "errors"), 0);
  assert_false(fakehost_logged(f->host, "warning"));
  end(f);

  write_octets(at(f, "cut"), "w", packed, n - n / 4);
  run_once(f, SETTINGS(path_of(f, "cut"), "batch_records=100"));
  assert_true(fakehost_count(f->host) > 10000);
  assert_true(fakehost_count(f->host) < 20000);
  expect_many(f, 0, (unsigned)fakehost_count(f->host));
  assert_true(
      fakehost_logged(f->host, cat("warning: ", at(f, "cut"), ": the compressed data ends")));
  assert_int_equal(fakehost_metric(f->host, "errors"), 1);
  end(f);

  if (pack == gzip)
    packed[n - 8] ^= 0xff; /* its check sum */
  else
    memset(packed + n - n / 4, 0x55, n / 8);
  write_octets(at(f, "broken"), "w", packed, n);
  put(f, "next", rec("next"));
  run_once(f, SETTINGS(path_of(f, "broken"), path_of(f, "next")));
  assert_true(fakehost_count(f->host) > 1000);
  assert_true(fakehost_logged(f->host, cat("error: ", at(f, "broken"), ": broken ")));
  const struct cof_batch *b = fakehost_records(f->host);
  assert_string_equal(cof_batch_at(b, cof_batch_count(b) - 1)->rrname, "next.test");
  end(f);
  free(packed);
  free(text);
}

static void test_gzip(void **state)
{
  check_packed(*state, gzip);
}

static void test_zstd(void **state)
{
  check_packed(*state, zstd);
}

/* Zero octets pad archives; anything else behind the data is worth a warning. */
static void test_behind_gzip(void **state)
{
  struct fixture *f = *state;
  uint8_t packed[1024] = {0};
  size_t n = gzip(rec("a"), strlen(rec("a")), packed, sizeof packed);
  write_octets(at(f, "padded"), "w", packed, n + 100);
  run_once(f, SETTINGS(path_of(f, "padded")));
  expect_names(f, "a");
  assert_false(fakehost_logged(f->host, "warning"));
  end(f);
  memcpy(packed + n, "hello", 5);
  write_octets(at(f, "more"), "w", packed, n + 5);
  run_once(f, SETTINGS(path_of(f, "more")));
  expect_names(f, "a");
  assert_true(fakehost_logged(f->host, "warning: "));
  end(f);
}

/* --- what to read ----------------------------------------------------------------------------- */

static void test_paths(void **state)
{
  struct fixture *f = *state;
  assert_int_equal(mkdir(at(f, "d"), 0700), 0);
  assert_int_equal(mkdir(at(f, "d/sub"), 0700), 0);
  put(f, "d/2.json", rec("d2"));
  put(f, "d/1.json", rec("d1"));
  put(f, "d/10.json", rec("d10"));
  put(f, "d/.hidden", rec("hidden"));
  put(f, "d/sub/x", rec("sub"));
  assert_int_equal(symlink(at(f, "d/sub/x"), at(f, "d/3-link")), 0);
  put(f, "b.x", rec("b"));
  put(f, "a.x", rec("a"));
  put(f, "[z].x", rec("z"));
  expect_run(f, SETTINGS(path_of(f, "?.x"), path_of(f, "d"), path_of(f, "[z].x")),
             "a b d1 d10 d2 sub z");
}

/* One file under two names is read once. */
static void test_same_file_twice(void **state)
{
  struct fixture *f = *state;
  put(f, "a", rec("a"));
  assert_int_equal(link(at(f, "a"), at(f, "b")), 0);
  make(f, NULL, SETTINGS(path_of(f, "a"), path_of(f, "b"), path_of(f, "*")));
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect_names(f, "a");
  assert_int_equal(fakehost_log_count(f->host, "info: no state_dir"), 1);
  end(f);
}

static void test_unreadable(void **state)
{
  struct fixture *f = *state;
  put(f, "a", rec("a"));
  assert_int_equal(symlink("loop", at(f, "loop")), 0);
  run_once(f, SETTINGS(path_of(f, "missing"), path_of(f, "nothing*"), path_of(f, "loop"),
                       "path=/proc/self/mem", path_of(f, "a")));
  expect_names(f, "a");
  assert_true(fakehost_logged(f->host, cat("warning: ", at(f, "missing"), ": ")));
  assert_true(fakehost_logged(f->host, cat("warning: ", at(f, "nothing*"), ": no file")));
  assert_true(fakehost_logged(f->host, cat("error: ", at(f, "loop"), ": Too many levels")));
  assert_true(fakehost_logged(f->host, "error: /proc/self/mem: Input/output error"));
  assert_int_equal(fakehost_metric(f->host, "errors"), 2);
  end(f);
}

/* Standard input is taken away and given back around these. */
static int replace_stdin(int fd)
{
  int saved = dup(STDIN_FILENO);
  assert_true(saved >= 0);
  assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
  close(fd);
  return saved;
}

static void restore_stdin(int saved)
{
  assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
  close(saved);
}

static void write_to(int fd, const char *text)
{
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void check_stdin(struct fixture *f, const char *follow)
{
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  int saved = replace_stdin(ends[0]);
  put(f, "x", rec("x"));
  begin(f, SETTINGS("path=-", follow, "batch_time=10ms"));
  write_to(ends[1], rec("a"));
  assert_true(fakehost_wait_count(f->host, 1, SOON));
  write_to(ends[1], "{\"rrname\":\"b.test\",\"rrtype\":\"A\",\"rda");
  write_to(ends[1], "ta\":\"192.0.2.1\",\"time_first\":1,\"time_last\":1}\n");
  assert_true(fakehost_wait_count(f->host, 2, SOON));
  write_to(ends[1], "{\"rrname\":\"c.test\",\"rrtype\":\"A\",\"rdata\":\"192.0.2.1\","
                    "\"time_first\":1,\"time_last\":1}");
  close(ends[1]);
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect_names(f, "a b c");
  end(f);
  restore_stdin(saved);
}

static void test_stdin(void **state)
{
  check_stdin(*state, "follow=no");
}

static void test_stdin_followed(void **state)
{
  check_stdin(*state, "follow=yes");
}

static void test_stdin_compressed(void **state)
{
  struct fixture *f = *state;
  uint8_t packed[1024];
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  int saved = replace_stdin(ends[0]);
  size_t n = gzip(rec("a"), strlen(rec("a")), packed, sizeof packed);
  begin(f, SETTINGS("path=-"));
  assert_int_equal(write(ends[1], packed, 1), 1);
  assert_int_equal(write(ends[1], packed + 1, n - 1), n - 1);
  close(ends[1]);
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect_names(f, "a");
  end(f);
  restore_stdin(saved);
}

/* A writer that says nothing keeps nobody from stopping. */
static void test_stop_while_waiting(void **state)
{
  struct fixture *f = *state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  int saved = replace_stdin(ends[0]);
  begin(f, SETTINGS("path=-", "batch_time=1ms"));
  write_to(ends[1], rec("a"));
  assert_true(fakehost_wait_count(f->host, 1, SOON));
  end(f);
  close(ends[1]);
  restore_stdin(saved);
}

/* --- back-pressure ---------------------------------------------------------------------------- */

static void test_back_pressure(void **state)
{
  struct fixture *f = *state;
  size_t len;
  char *text = many(0, 5000, &len);
  write_octets(at(f, "x"), "w", text, len);
  free(text);
  make(f, f->state_dir, SETTINGS(path_of(f, "x"), "batch_records=100"));
  fakehost_full(f->host, true);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
  assert_true(fakehost_wait_refusals(f->host, 2, SOON));
  assert_int_equal(fakehost_count(f->host), 0);
  fakehost_full(f->host, false);
  assert_true(fakehost_wait_count(f->host, 1000, SOON));
  fakehost_full(f->host, true);
  fakehost_full(f->host, false);
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect_many(f, 0, 5000);
  end(f);
}

static void test_stop_under_back_pressure(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), rec("b"), rec("c")));
  make(f, f->state_dir, SETTINGS(path_of(f, "x"), "batch_records=1"));
  fakehost_full(f->host, true);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
  assert_true(fakehost_wait_refusals(f->host, 1, SOON));
  end(f);
  expect_run(f, SETTINGS(path_of(f, "x")), "a b c");
}

/* --- positions -------------------------------------------------------------------------------- */

static void test_restart(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), "broken\n", rec("b")));
  expect_run(f, SETTINGS(path_of(f, "x")), "a b");
  run_once(f, SETTINGS(path_of(f, "x")));
  expect_names(f, "");
  assert_int_equal(fakehost_rejected(f->host), 0);
  end(f);
  append(f, "x", cat(rec("c"), "broken\n", ""));
  run_once(f, SETTINGS(path_of(f, "x")));
  expect_names(f, "c");
  assert_true(fakehost_logged(f->host, "x:5: "));
  end(f);
  /* The position belongs to the file, not to its name. */
  assert_int_equal(rename(at(f, "x"), at(f, "x.1")), 0);
  put(f, "x", rec("d"));
  append(f, "x.1", rec("e"));
  expect_run(f, SETTINGS(path_of(f, "x*")), "d e");
}

static void test_restart_within_an_array(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat("[", rec("a"), ","));
  expect_run(f, SETTINGS(path_of(f, "x")), "a");
  append(f, "x", cat(rec("b"), ",\nbad\n,", cat(rec("c"), "]", "")));
  run_once(f, SETTINGS(path_of(f, "x")));
  expect_names(f, "b c");
  assert_true(fakehost_logged(f->host, "x:4: "));
  end(f);
}

/* What was not stored is read again, and all that came after it. */
static void test_only_what_is_durable(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), rec("b"), rec("c")));
  append(f, "x", cat(rec("d"), rec("e"), ""));
  make(f, f->state_dir, SETTINGS(path_of(f, "x"), "batch_records=1"));
  fakehost_hold(f->host, true);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect_names(f, "a b c d e");
  assert_int_equal(fakehost_settle_some(f->host, 2, COF_OK), 2);
  assert_int_equal(fakehost_settle_some(f->host, 1, COF_STOPPED), 1);
  assert_int_equal(fakehost_settle_some(f->host, 1, COF_OK), 1);
  end(f);
  expect_run(f, SETTINGS(path_of(f, "x")), "c d e");
  expect_run(f, SETTINGS(path_of(f, "x")), "");
}

static void test_nothing_durable(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), rec("b"), ""));
  make(f, f->state_dir, SETTINGS(path_of(f, "x")));
  fakehost_hold(f->host, true);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
  assert_true(fakehost_wait_finished(f->host, SOON));
  end(f);
  expect_run(f, SETTINGS(path_of(f, "x")), "a b");
}

/* Acks in any order: only what everything before it is durable too counts. */
static void test_acks_out_of_order(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), rec("b"), rec("c")));
  make(f, f->state_dir, SETTINGS(path_of(f, "x"), "batch_records=1"));
  fakehost_hold(f->host, true);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
  assert_true(fakehost_wait_finished(f->host, SOON));
  ops()->ack(f->self, 3, COF_OK);
  ops()->ack(f->self, 1, COF_OK);
  end(f); /* the held acks come now: of 1 and 3 again, which is ignored, and COF_STOPPED of 2 */
  expect_run(f, SETTINGS(path_of(f, "x")), "b c");
}

static bool positions_written(void *arg)
{
  struct fixture *f = arg;
  struct stat st;
  char path[128];
  snprintf(path, sizeof path, "%s/samples.positions", f->state_dir);
  return stat(path, &st) == 0 && st.st_size > 20;
}

/* Positions reach the disk while the plugin works, not only when it stops. */
static void test_saved_while_working(void **state)
{
  struct fixture *f = *state;
  put(f, "x", rec("a"));
  begin(f, SETTINGS(path_of(f, "x"), "follow=yes", "batch_time=1ms"));
  assert_true(fakehost_wait(f->host, positions_written, f, SOON));
  end(f);
}

static void test_many_files_in_a_batch(void **state)
{
  struct fixture *f = *state;
  assert_int_equal(mkdir(at(f, "d"), 0700), 0);
  for (unsigned i = 0; i < 500; i++) {
    char file[32], name[32];
    snprintf(file, sizeof file, "d/%03u", i);
    snprintf(name, sizeof name, "h%u", i);
    put(f, file, i % 5 == 0 ? "\n" : rec(name));
  }
  run_once(f, SETTINGS(path_of(f, "d"), "batch_time=60s"));
  assert_int_equal(fakehost_count(f->host), 400);
  assert_true(fakehost_batches(f->host) <= 2);
  end(f);
  append(f, "d/123", rec("more"));
  expect_run(f, SETTINGS(path_of(f, "d")), "more");
}

/* An inode number is given to another file, or a file is written anew: neither is a continuation.
 */
static void test_other_content(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), rec("b"), ""));
  expect_run(f, SETTINGS(path_of(f, "x")), "a b");
  put(f, "x", cat(rec("c"), rec("d"), rec("e")));
  run_once(f, SETTINGS(path_of(f, "x")));
  expect_names(f, "c d e");
  assert_true(fakehost_logged(f->host, "x: its content is not what was read of it"));
  end(f);
  put(f, "x", rec("f"));
  run_once(f, SETTINGS(path_of(f, "x")));
  expect_names(f, "f");
  assert_true(fakehost_logged(f->host, "x: it is shorter than what was read of it"));
  end(f);
  expect_run(f, SETTINGS(path_of(f, "x")), "");
}

static void test_compressed_once(void **state)
{
  struct fixture *f = *state;
  uint8_t packed[1024];
  size_t n = gzip(rec("a"), strlen(rec("a")), packed, sizeof packed);
  write_octets(at(f, "x.gz"), "w", packed, n);
  expect_run(f, SETTINGS(path_of(f, "x.gz")), "a");
  expect_run(f, SETTINGS(path_of(f, "x.gz")), "");
  n = gzip(rec("bb"), strlen(rec("bb")), packed, sizeof packed);
  write_octets(at(f, "x.gz"), "w", packed, n);
  expect_run(f, SETTINGS(path_of(f, "x.gz")), "bb");
  put(f, "x.gz", rec("plain"));
  expect_run(f, SETTINGS(path_of(f, "x.gz")), "plain");
}

static void test_positions_file(void **state)
{
  struct fixture *f = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/samples.positions", f->state_dir);
  put(f, "with \\ and\nline", rec("a"));
  expect_run(f, SETTINGS(path_of(f, "with*")), "a");
  expect_run(f, SETTINGS(path_of(f, "with*")), "");
  write_octets(path, "a", "17 garbage\n", 11);
  run_once(f, SETTINGS(path_of(f, "with*")));
  expect_names(f, "");
  assert_true(fakehost_logged(f->host, cat("warning: ", path, ":3: ")));
  end(f);
  write_octets(path, "w", "cofd-positions 2\n", 17);
  make(f, f->state_dir, SETTINGS(path_of(f, "with*")));
  assert_int_equal(cof_plugin.start(f->self), COF_FATAL);
  assert_true(fakehost_logged(f->host, cat("error: ", path, ": the first line is not")));
  end(f);
}

/* Two that remember in one file would each skip what the other one has read. */
static void test_positions_in_use(void **state)
{
  struct fixture *f = *state, other = *f;
  put(f, "x", rec("a"));
  begin(f, SETTINGS(path_of(f, "x")));
  assert_true(fakehost_wait_finished(f->host, SOON));
  make(&other, f->state_dir, SETTINGS(path_of(f, "x")));
  assert_int_equal(cof_plugin.start(other.self), COF_FATAL);
  assert_true(fakehost_logged(other.host, "samples.positions: in use by another cofd"));
  end(&other);
  expect_names(f, "a");
  end(f);
  expect_run(f, SETTINGS(path_of(f, "x")), "");
  char path[128];
  snprintf(path, sizeof path, "%s/samples.positions.lock", f->state_dir);
  assert_int_equal(access(path, F_OK), -1);
}

static void test_positions_cannot_be_written(void **state)
{
  struct fixture *f = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/samples.positions.new", f->state_dir);
  assert_int_equal(mkdir(path, 0700), 0);
  put(f, "x", rec("a"));
  begin(f, SETTINGS(path_of(f, "x")));
  assert_true(fakehost_wait_logged(f->host, "cannot remember positions: Is a directory", SOON));
  assert_int_equal(rmdir(path), 0);
  assert_true(fakehost_wait_logged(f->host, "positions are remembered again", SOON));
  expect_names(f, "a");
  end(f);
  expect_run(f, SETTINGS(path_of(f, "x")), "");
}

/* --- following -------------------------------------------------------------------------------- */

static void follow(struct fixture *f, const char *path)
{
  begin(f,
        SETTINGS(path, "follow=yes", "batch_time=1ms", "rotate_wait=50ms", "poll_interval=20ms"));
}

static void await(struct fixture *f, size_t count)
{
  assert_true(fakehost_wait_count(f->host, count, SOON));
}

static void test_follow_growth(void **state)
{
  struct fixture *f = *state;
  put(f, "x", rec("a"));
  follow(f, path_of(f, "x"));
  await(f, 1);
  append(f, "x", "{\"rrname\":\"b.test\",\"rrtype\":\"A\",");
  append(f, "x", "\"rdata\":\"192.0.2.1\",\"time_first\":1,\"time_last\":1}\nbroken\n");
  await(f, 2);
  assert_true(fakehost_wait_logged(f->host, "x:3: ", SOON));
  append(f, "x", rec("c"));
  await(f, 3);
  expect_names(f, "a b c");
  assert_false(fakehost_finished(f->host));
  assert_int_equal(fakehost_rejected(f->host), 1);
  end(f);
  append(f, "x", rec("d"));
  follow(f, path_of(f, "x"));
  await(f, 1);
  expect_names(f, "d");
  end(f);
}

/* The writer goes on in the old file for a moment, and leaves its last line unended.
   @return false when that took too long to say anything: the old file may have ended before */
static bool check_rename(struct fixture *f)
{
  put(f, "x", rec("a"));
  begin(f, SETTINGS(path_of(f, "x"), "follow=yes", "batch_time=1ms", "rotate_wait=2s",
                    "poll_interval=20ms"));
  await(f, 1);
  FILE *writer = fopen(at(f, "x"), "a");
  assert_non_null(writer);
  uint64_t before = now_ns();
  assert_int_equal(rename(at(f, "x"), at(f, "x.1")), 0);
  put(f, "x", rec("new"));
  await(f, 2);
  fprintf(writer, "%s%.*s", rec("b"), (int)strlen(rec("c")) - 1, rec("c"));
  assert_int_equal(fclose(writer), 0);
  bool in_time = now_ns() - before < UINT64_C(2000000000);
  if (in_time) {
    await(f, 4);
    append(f, "x", rec("newer"));
    await(f, 5);
    expect_names(f, "a new b c newer");
  }
  end(f);
  return in_time;
}

static void test_follow_rename(void **state)
{
  struct fixture *f = *state;
  for (int i = 0; i < 20; i++) {
    if (check_rename(f))
      return;
    remove_tree(f->dir);
    remove_tree(f->state_dir);
    assert_int_equal(mkdir(f->dir, 0700) | mkdir(f->state_dir, 0700), 0);
  }
  fail_msg("the machine is too busy");
}

/* What comes late is not kept until the old file has ended. */
static void test_follow_late_writer(void **state)
{
  struct fixture *f = *state;
  put(f, "x", rec("a"));
  begin(f, SETTINGS(path_of(f, "x"), "follow=yes", "batch_time=1ms", "rotate_wait=1h",
                    "poll_interval=20ms"));
  await(f, 1);
  assert_int_equal(rename(at(f, "x"), at(f, "x.1")), 0);
  put(f, "x", rec("new"));
  await(f, 2);
  append(f, "x.1", rec("b"));
  await(f, 3);
  append(f, "x.1", rec("c"));
  await(f, 4);
  expect_names(f, "a new b c");
  end(f);
}

/* The rotated file still fits the glob: it is known under its new name. */
static void test_follow_rename_within_glob(void **state)
{
  struct fixture *f = *state;
  put(f, "x", rec("a"));
  follow(f, path_of(f, "x*"));
  await(f, 1);
  assert_int_equal(rename(at(f, "x"), at(f, "x.1")), 0);
  put(f, "x", rec("b"));
  await(f, 2);
  append(f, "x.1", rec("c"));
  await(f, 3);
  assert_int_equal(rename(at(f, "x.1"), at(f, "x.2")), 0);
  assert_int_equal(rename(at(f, "x"), at(f, "x.1")), 0);
  put(f, "x", rec("d"));
  await(f, 4);
  append(f, "x.2", rec("e"));
  await(f, 5);
  append(f, "x.1", rec("f"));
  await(f, 6);
  expect_names(f, "a b c d e f");
  end(f);
}

static void test_follow_truncation(void **state)
{
  struct fixture *f = *state;
  put(f, "x", cat(rec("a"), rec("b"), ""));
  follow(f, path_of(f, "x"));
  await(f, 2);
  assert_int_equal(truncate(at(f, "x"), 0), 0);
  append(f, "x", rec("c"));
  await(f, 3);
  assert_true(fakehost_logged(f->host, "reading it from its beginning"));
  append(f, "x", rec("d"));
  await(f, 4);
  expect_names(f, "a b c d");
  end(f);
  follow(f, path_of(f, "x"));
  append(f, "x", rec("e"));
  await(f, 1);
  expect_names(f, "e");
  end(f);
}

static void test_follow_replacement(void **state)
{
  struct fixture *f = *state;
  put(f, "x", rec("a"));
  follow(f, path_of(f, "x"));
  await(f, 1);
  assert_int_equal(unlink(at(f, "x")), 0);
  assert_true(fakehost_wait_logged(f->host, "x: not there; waiting for it", SOON));
  put(f, "x", rec("b"));
  await(f, 2);
  put(f, "x.new", rec("c"));
  assert_int_equal(rename(at(f, "x.new"), at(f, "x")), 0);
  await(f, 3);
  expect_names(f, "a b c");
  end(f);
}

static void test_follow_absent(void **state)
{
  struct fixture *f = *state;
  follow(f, path_of(f, "d/e/x"));
  assert_true(fakehost_wait_logged(f->host, "waiting for it", SOON));
  assert_int_equal(mkdir(at(f, "d"), 0700), 0);
  assert_int_equal(mkdir(at(f, "d/e"), 0700), 0);
  put(f, "d/e/x", rec("a"));
  await(f, 1);
  append(f, "d/e/x", rec("b"));
  await(f, 2);
  expect_names(f, "a b");
  end(f);
}

static void test_follow_directory(void **state)
{
  struct fixture *f = *state;
  assert_int_equal(mkdir(at(f, "d"), 0700), 0);
  put(f, "d/1", rec("a"));
  follow(f, path_of(f, "d/"));
  await(f, 1);
  put(f, "d/.hidden", rec("hidden"));
  put(f, "d/2", rec("b"));
  await(f, 2);
  put(f, "other", rec("moved"));
  assert_int_equal(rename(at(f, "other"), at(f, "d/3")), 0);
  await(f, 3);
  append(f, "d/1", rec("c"));
  await(f, 4);
  expect_names(f, "a b moved c");
  end(f);
}

static void test_follow_absent_directory(void **state)
{
  struct fixture *f = *state;
  follow(f, path_of(f, "d"));
  assert_true(fakehost_wait_logged(f->host, "d: not there; waiting for it", SOON));
  /* Each time another record: a file of the same inode and content would be the same file. */
  static const char *const names[] = {"a", "b", "c"};
  for (size_t i = 1; i <= 3; i++) {
    assert_int_equal(mkdir(at(f, "d"), 0700), 0);
    put(f, "d/x", rec(names[i - 1]));
    await(f, i);
    remove_tree(at(f, "d"));
    assert_true(fakehost_wait_log_count(f->host, "d: not there; waiting for it", i + 1, SOON));
  }
  assert_int_equal(fakehost_metric(f->host, "errors"), 0);
  end(f);
}

static void test_follow_glob_of_directories(void **state)
{
  struct fixture *f = *state;
  follow(f, path_of(f, "logs/*/*.json"));
  assert_true(fakehost_wait_logged(f->host, "waiting for one", SOON));
  assert_int_equal(mkdir(at(f, "logs"), 0700), 0);
  assert_int_equal(mkdir(at(f, "logs/one"), 0700), 0);
  put(f, "logs/one/a.json", rec("a"));
  await(f, 1);
  assert_int_equal(mkdir(at(f, "logs/two"), 0700), 0);
  put(f, "logs/two/no.txt", rec("no"));
  put(f, "logs/two/b.json", rec("b"));
  await(f, 2);
  append(f, "logs/one/a.json", rec("c"));
  await(f, 3);
  expect_names(f, "a b c");
  end(f);
}

/* A change behind a symbolic link, in a directory that nobody named. */
static void test_follow_link(void **state)
{
  struct fixture *f = *state;
  assert_int_equal(mkdir(at(f, "real"), 0700), 0);
  put(f, "real/1", rec("a"));
  assert_int_equal(symlink("real/1", at(f, "current")), 0);
  follow(f, path_of(f, "current"));
  await(f, 1);
  append(f, "real/1", rec("b"));
  await(f, 2);
  put(f, "real/2", rec("c"));
  assert_int_equal(symlink("real/2", at(f, "fresh")), 0);
  assert_int_equal(rename(at(f, "fresh"), at(f, "current")), 0);
  await(f, 3);
  assert_int_equal(rename(at(f, "real/2"), at(f, "real/3")), 0);
  assert_true(fakehost_wait_logged(f->host, "current: not there", SOON));
  put(f, "real/2", rec("d"));
  await(f, 4);
  expect_names(f, "a b c d");
  end(f);
}

/* Looking does not end: here, only looking tells, and nothing is opened that could begin it anew.
 */
static void test_follow_broken_link(void **state)
{
  struct fixture *f = *state;
  assert_int_equal(mkdir(at(f, "real"), 0700), 0);
  put(f, "real/1", rec("a"));
  assert_int_equal(symlink("real/1", at(f, "one")), 0);
  assert_int_equal(symlink("real/2", at(f, "two")), 0);
  begin(f, SETTINGS(path_of(f, "one"), path_of(f, "two"), "follow=yes", "poll_interval=10ms"));
  for (size_t i = 1; i < 5; i++) {
    assert_true(fakehost_wait_log_count(f->host, "two: not there", i, SOON));
    assert_int_equal(symlink("2", at(f, "real/2")), 0);
    assert_true(fakehost_wait_log_count(f->host, "two: Too many levels", i, SOON));
    assert_int_equal(unlink(at(f, "real/2")), 0);
  }
  end(f);
}

/* A compressed file that is being written is waited for; a complete one is read once. */
static void test_follow_compressed(void **state)
{
  struct fixture *f = *state;
  uint8_t packed[4096];
  size_t n = gzip(rec("a"), strlen(rec("a")), packed, sizeof packed);
  assert_int_equal(mkdir(at(f, "d"), 0700), 0);
  begin(f, SETTINGS(path_of(f, "d"), "follow=yes", "batch_time=1ms", "rotate_wait=1h"));
  FILE *out = fopen(at(f, "d/x.gz"), "w");
  assert_non_null(out);
  setbuf(out, NULL);
  for (size_t i = 0; i < n; i++)
    assert_int_equal(fwrite(packed + i, 1, 1, out), 1);
  assert_int_equal(fclose(out), 0);
  await(f, 1);
  assert_true(fakehost_wait_logged(f->host, "x.gz: compressed, so it is read once", SOON));
  n = zstd(rec("b"), strlen(rec("b")), packed, sizeof packed);
  write_octets(at(f, "d/y.zst"), "w", packed, n);
  await(f, 2);
  /* Its end may not have been seen yet; it is before a file that came later is read. */
  put(f, "d/z", rec("c"));
  await(f, 3);
  expect_names(f, "a b c");
  assert_int_equal(fakehost_rejected(f->host), 0);
  assert_false(fakehost_logged(f->host, "warning"));
  write_octets(at(f, "d/y.zst"), "a", packed, n);
  assert_true(fakehost_wait_logged(f->host, "y.zst: it changed after it was read", SOON));
  end(f);
}

static void test_follow_truncated_compressed(void **state)
{
  struct fixture *f = *state;
  uint8_t packed[4096];
  size_t len;
  char *text = many(0, 100, &len);
  size_t n = gzip(text, len, packed, sizeof packed);
  free(text);
  write_octets(at(f, "x.gz"), "w", packed, n - 6);
  follow(f, path_of(f, "x.gz"));
  assert_true(fakehost_wait_logged(f->host, "warning: ", SOON));
  assert_true(fakehost_logged(f->host, "x.gz: the compressed data ends early"));
  await(f, 100);
  expect_many(f, 0, 100);
  end(f);
}

static void test_follow_fifo(void **state)
{
  struct fixture *f = *state;
  assert_int_equal(mkfifo(at(f, "fifo"), 0600), 0);
  put(f, "x", rec("x"));
  begin(f, SETTINGS(path_of(f, "fifo"), path_of(f, "x"), "follow=yes", "batch_time=1ms"));
  await(f, 1);
  for (int i = 1; i <= 2; i++) {
    append(f, "fifo", rec(i == 1 ? "a" : "b"));
    await(f, (size_t)i + 1);
  }
  expect_names(f, "x a b");
  end(f);
}

/* More files than are kept open at once; each of them grows. */
static void test_follow_many_files(void **state)
{
  struct fixture *f = *state;
  char file[32], name[32];
  assert_int_equal(mkdir(at(f, "d"), 0700), 0);
  for (unsigned i = 0; i < 700; i++) {
    snprintf(file, sizeof file, "d/%03u", i);
    snprintf(name, sizeof name, "h%u", i);
    put(f, file, i % 10 == 0 ? "" : rec(name));
  }
  follow(f, path_of(f, "d"));
  await(f, 630);
  for (unsigned i = 0; i < 700; i += 7) {
    snprintf(file, sizeof file, "d/%03u", i);
    append(f, file, rec("more"));
  }
  await(f, 730);
  assert_int_equal(fakehost_count(f->host), 730);
  assert_int_equal(fakehost_metric(f->host, "errors"), 0);
  end(f);
}

static void test_follow_under_load(void **state)
{
  struct fixture *f = *state;
  size_t len;
  follow(f, path_of(f, "x*"));
  for (unsigned i = 0; i < 10; i++) {
    char *text = many(i * 2000, 2000, &len);
    /* In pieces that end anywhere, so that unfinished lines are met. */
    for (size_t from = 0; from < len; from += 7777)
      write_octets(at(f, "x"), "a", text + from, len - from < 7777 ? len - from : 7777);
    free(text);
    if (i % 3 == 2) {
      char to[16];
      snprintf(to, sizeof to, "x.%u", i);
      assert_int_equal(rename(at(f, "x"), at(f, to)), 0);
    }
  }
  await(f, 20000);
  assert_int_equal(fakehost_count(f->host), 20000);
  assert_int_equal(fakehost_rejected(f->host), 0);
  end(f);
}

/* --- import ----------------------------------------------------------------------------------- */

static void load(struct fixture *f, const char *const *settings, const char *const *paths,
                 size_t count)
{
  make(f, f->state_dir, settings);
  assert_int_equal(ops()->load(f->self, paths, count), COF_OK);
  assert_true(fakehost_wait_finished(f->host, SOON));
}

static void test_load(void **state)
{
  struct fixture *f = *state;
  uint8_t packed[1024];
  uint64_t done, total;
  put(f, "x", rec("a"));
  expect_run(f, SETTINGS(path_of(f, "x")), "a");
  size_t n = gzip(rec("b"), strlen(rec("b")), packed, sizeof packed);
  write_octets(at(f, "y.gz"), "w", packed, n);
  const char *paths[] = {at(f, "x"), at(f, "missing"), at(f, "y.gz")};
  for (int i = 0; i < 2; i++) {
    load(f, SETTINGS(path_of(f, "ignored"), "follow=yes"), paths, 3);
    expect_names(f, "a b");
    assert_true(fakehost_logged(f->host, cat("error: ", at(f, "missing"), ": No such file")));
    assert_int_equal(fakehost_metric(f->host, "errors"), 1);
    ops()->progress(f->self, &done, &total);
    assert_int_equal(done, total);
    assert_int_equal(total, strlen(rec("a")) + n);
    end(f);
  }
  expect_run(f, SETTINGS(path_of(f, "x")), "");
}

static void test_load_without_options(void **state)
{
  struct fixture *f = *state;
  uint64_t done, total;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  int saved = replace_stdin(ends[0]);
  write_to(ends[1], rec("a"));
  close(ends[1]);
  f->host = fakehost_create("import", NULL);
  f->conf = fakehost_conf(&cof_plugin, NULL);
  assert_int_equal(cof_plugin.create(fakehost_host(f->host), f->conf, &f->self), COF_OK);
  fakehost_serve(f->host, ops(), f->self);
  const char *paths[] = {"-"};
  assert_int_equal(ops()->load(f->self, paths, 1), COF_OK);
  assert_true(fakehost_wait_finished(f->host, SOON));
  expect_names(f, "a");
  ops()->progress(f->self, &done, &total);
  assert_int_equal(done, strlen(rec("a")));
  assert_int_equal(total, 0);
  end(f);
  restore_stdin(saved);
}

static void test_check(void **state)
{
  (void)state;
  char text[1024], setting[400] = "sensor_id=";
  void *conf = fakehost_conf(&cof_plugin, NULL);
  assert_int_equal(fakehost_check(&cof_plugin, conf, text, sizeof text), COF_REJECT);
  assert_non_null(strstr(text, "path: none is given"));
  fakehost_conf_free(&cof_plugin, &conf);
  memset(setting + 10, 's', 256);
  conf = fakehost_conf(&cof_plugin, SETTINGS("path=x", setting));
  assert_int_equal(fakehost_check(&cof_plugin, conf, text, sizeof text), COF_REJECT);
  assert_non_null(strstr(text, "sensor_id: longer than 255"));
  fakehost_conf_free(&cof_plugin, &conf);
}

/* The host destroys what it never started. */
static void test_never_started(void **state)
{
  struct fixture *f = *state;
  make(f, f->state_dir, SETTINGS("path=x"));
  end(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_ndjson),
      TEST(test_counts_total),
      TEST(test_rejects),
      TEST(test_part_of_a_record),
      TEST(test_long_line),
      TEST(test_array),
      TEST(test_format_is_forced),
      TEST(test_large),
      TEST(test_batch_bounds),
      TEST(test_gzip),
      TEST(test_zstd),
      TEST(test_behind_gzip),
      TEST(test_paths),
      TEST(test_same_file_twice),
      TEST(test_unreadable),
      TEST(test_stdin),
      TEST(test_stdin_followed),
      TEST(test_stdin_compressed),
      TEST(test_stop_while_waiting),
      TEST(test_back_pressure),
      TEST(test_stop_under_back_pressure),
      TEST(test_restart),
      TEST(test_restart_within_an_array),
      TEST(test_only_what_is_durable),
      TEST(test_nothing_durable),
      TEST(test_acks_out_of_order),
      TEST(test_saved_while_working),
      TEST(test_many_files_in_a_batch),
      TEST(test_other_content),
      TEST(test_compressed_once),
      TEST(test_positions_file),
      TEST(test_positions_in_use),
      TEST(test_positions_cannot_be_written),
      TEST(test_follow_growth),
      TEST(test_follow_rename),
      TEST(test_follow_late_writer),
      TEST(test_follow_rename_within_glob),
      TEST(test_follow_truncation),
      TEST(test_follow_replacement),
      TEST(test_follow_absent),
      TEST(test_follow_directory),
      TEST(test_follow_absent_directory),
      TEST(test_follow_glob_of_directories),
      TEST(test_follow_link),
      TEST(test_follow_broken_link),
      TEST(test_follow_compressed),
      TEST(test_follow_truncated_compressed),
      TEST(test_follow_fifo),
      TEST(test_follow_many_files),
      TEST(test_follow_under_load),
      TEST(test_load),
      TEST(test_load_without_options),
      TEST(test_check),
      TEST(test_never_started),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
