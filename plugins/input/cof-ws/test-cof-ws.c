/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backoff_private.h"
#include "headers_private.h"
#include "message_private.h"
#include "url_private.h"

/* --- addresses -------------------------------------------------------------------------------- */

static void check_url(const char *text, bool tls, const char *host, unsigned port, const char *path,
                      const char *shown)
{
  struct ws_url url;
  struct cof_error err;
  char out[WS_SHOWN_MAX];
  if (ws_url_parse(text, &url, &err) != COF_OK)
    fail_msg("%s: %s", text, err.text);
  assert_int_equal(url.tls, tls);
  assert_string_equal(url.host, host);
  assert_int_equal(url.port, port);
  assert_string_equal(url.path, path);
  assert_string_equal(ws_url_show(&url, out), shown);
}

static void test_url(void **state)
{
  (void)state;
  check_url("ws://feed.example", false, "feed.example", 80, "/", "ws://feed.example/");
  check_url("WSS://Feed.Example", true, "feed.example", 443, "/", "wss://feed.example/");
  check_url("ws://h:443/a/b?c=d,e&f=/?", false, "h", 443, "/a/b?c=d,e&f=/?", "ws://h:443/a/b");
  check_url("wss://192.0.2.1:65535?q", true, "192.0.2.1", 65535, "/?q", "wss://192.0.2.1:65535/");
  check_url("ws://[2001:DB8::1]:8888/", false, "2001:db8::1", 8888, "/",
            "ws://[2001:db8::1]:8888/");
  check_url("wss://[::1]/x", true, "::1", 443, "/x", "wss://[::1]/x");
  check_url("ws://a_b-c.example:080/", false, "a_b-c.example", 80, "/", "ws://a_b-c.example/");
}

static void check_no_url(const char *text, const char *why)
{
  struct ws_url url;
  struct cof_error err = {.text = ""};
  assert_int_equal(ws_url_parse(text, &url, &err), COF_REJECT);
  if (strstr(err.text, why) == NULL)
    fail_msg("%s: have \"%s\", want \"%s\"", text, err.text, why);
}

static void test_no_url(void **state)
{
  char longest[WS_PATH_MAX + 64];
  (void)state;
  check_no_url("", "expected ws://");
  check_no_url("feed.example", "expected ws://");
  check_no_url("http://feed.example/", "expected ws://");
  check_no_url("ws:/feed.example/", "expected ws://");
  check_no_url("ws://", "the host has 0 octets");
  check_no_url("ws:///path", "the host has 0 octets");
  check_no_url("ws://user:secret@h/", "give user and password as options");
  check_no_url("ws://h:/", "the port is none");
  check_no_url("ws://h:0/", "the port is none");
  check_no_url("ws://h:65536/", "the port is none");
  check_no_url("ws://h:99999999999999999999/", "the port is none");
  check_no_url("ws://h:8x/", "the port is none");
  check_no_url("ws://h h/", "no host name");
  check_no_url("ws://+/run/socket", "no host name");
  check_no_url("ws://[::1/", "no IPv6 address");
  check_no_url("ws://[192.0.2.1]/", "no IPv6 address");
  check_no_url("ws://[::1]x/", "no path");
  check_no_url("ws://h/a b", "write them as %XX");
  check_no_url("ws://h/\r\nX: y", "write them as %XX");
  check_no_url("ws://h/a#b", "write them as %XX");
  check_no_url("ws://h/\xc3\xa4", "write them as %XX");
  snprintf(longest, sizeof longest, "ws://h/%0*d", WS_PATH_MAX - 1, 0);
  struct ws_url url;
  assert_int_equal(ws_url_parse(longest, &url, NULL), COF_OK);
  snprintf(longest, sizeof longest, "ws://h/%0*d", WS_PATH_MAX, 0);
  check_no_url(longest, "at most 1900 are taken");
  snprintf(longest, sizeof longest, "ws://h?%0*d", WS_PATH_MAX - 1, 0);
  check_no_url(longest, "at most 1900 are taken");
  snprintf(longest, sizeof longest, "ws://%0*d/", WS_HOST_MAX, 0);
  assert_int_equal(ws_url_parse(longest, &url, NULL), COF_OK);
  snprintf(longest, sizeof longest, "ws://%0*d/", WS_HOST_MAX + 1, 0);
  check_no_url(longest, "expected 1 to 110");
}

static void check_join(texts_begin_fn begins, const char *glue, const char *const *in,
                       const char *const *want)
{
  struct cof_list list = {.items = (char **)(uintptr_t)in};
  struct texts texts;
  while (in[list.count] != NULL)
    list.count++;
  assert_true(texts_join(&list, begins, glue, &texts));
  for (size_t i = 0; i < texts.count; i++)
    assert_string_equal(texts.items[i], want[i]);
  assert_null(want[texts.count]);
  texts_free(&texts);
}

static void test_join(void **state)
{
  (void)state;
  check_join(texts_begin_url, ",", (const char *[]){"ws://a/?t=A", "AAAA&u=b", "ws://b/", NULL},
             (const char *[]){"ws://a/?t=A,AAAA&u=b", "ws://b/", NULL});
  check_join(texts_begin_url, ",", (const char *[]){"ws://a/", "b", NULL},
             (const char *[]){"ws://a/", "b", NULL});
  check_join(texts_begin_url, ",", (const char *[]){"b", NULL}, (const char *[]){"b", NULL});
  check_join(texts_begin_url, ",", (const char *[]){NULL}, (const char *[]){NULL});
  check_join(texts_begin_header, ", ",
             (const char *[]){"X-Date: Mon", "01 Jan 10:00", "Y:1", "2", NULL},
             (const char *[]){"X-Date: Mon, 01 Jan 10:00", "Y:1, 2", NULL});
}

/* --- pauses ----------------------------------------------------------------------------------- */

static void test_backoff(void **state)
{
  struct backoff b = {.min = 1000, .max = 60000};
  static const uint64_t longest[] = {2000, 4000, 8000, 16000, 32000, 60000, 60000};
  (void)state;
  for (size_t i = 0; i < sizeof longest / sizeof *longest; i++) {
    struct backoff again = b;
    assert_int_equal(backoff_next(&again, 0), 1000);
    again = b;
    assert_int_equal(backoff_next(&again, UINT32_MAX / 2), (1000 + longest[i]) / 2 - 1);
    assert_int_equal(backoff_next(&b, UINT32_MAX), longest[i]);
  }
  for (int i = 0; i < 200; i++)
    assert_int_equal(backoff_next(&b, UINT32_MAX), 60000);
  backoff_reset(&b);
  assert_int_equal(backoff_next(&b, UINT32_MAX), 2000);
  b = (struct backoff){.min = 500, .max = 500};
  assert_int_equal(backoff_next(&b, UINT32_MAX), 500);
  assert_int_equal(backoff_next(&b, 7), 500);
}

/* --- messages --------------------------------------------------------------------------------- */

/* What a message came to. */
struct seen {
  struct cof_batch *batch;
  uint64_t refused;
  uint64_t line;
  char why[COF_ERROR_MAX];
  size_t objects, stop_after;
};

static bool on_starved(void *arg)
{
  (void)arg;
  return false;
}

static void on_refused(void *arg, uint64_t records, uint64_t line, const char *why)
{
  struct seen *s = arg;
  if (s->refused == 0) {
    s->line = line;
    snprintf(s->why, sizeof s->why, "%s", why);
  }
  s->refused += records;
}

static bool on_whole(void *arg, size_t records)
{
  struct seen *s = arg;
  s->objects += records > 0;
  return s->stop_after == 0 || s->objects < s->stop_after;
}

static bool take(struct seen *s, const char *text)
{
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  assert_non_null(reader);
  if (s->batch == NULL)
    s->batch = cof_batch_create();
  assert_non_null(s->batch);
  struct take t = {.reader = reader,
                   .batch = &s->batch,
                   .max = 1 << 20,
                   .starved = on_starved,
                   .refused = on_refused,
                   .whole = on_whole,
                   .arg = s};
  bool go = take_message(&t, text, strlen(text));
  cof_reader_destroy(&reader);
  return go;
}

#define RECORD(name)                                                                               \
  "{\"rrname\":\"" name "\",\"rrtype\":\"A\",\"rdata\":\"192.0.2.1\",\"time_first\":1,"            \
  "\"time_last\":2}"

static void check_take(const char *text, size_t records, uint64_t refused)
{
  struct seen s = {0};
  assert_true(take(&s, text));
  assert_int_equal(cof_batch_count(s.batch), records);
  if (s.refused != refused)
    fail_msg("%s: %llu refused", text, (unsigned long long)s.refused);
  cof_batch_destroy(&s.batch);
}

static void test_take(void **state)
{
  (void)state;
  check_take("", 0, 0);
  check_take(" \r\n\t", 0, 0);
  check_take(RECORD("a"), 1, 0);
  check_take("  " RECORD("a") "\r\n", 1, 0);
  check_take("\xef\xbb\xbf" RECORD("a"), 1, 0);
  check_take(RECORD("a") "\n" RECORD("b") "\r\n\n" RECORD("c"), 3, 0);
  check_take(RECORD("a") RECORD("b"), 2, 0);
  check_take(RECORD("a") ", " RECORD("b") " " RECORD("c"), 3, 0);
  check_take("[" RECORD("a") "," RECORD("b") "]", 2, 0);
  check_take("{\n\"rrname\":\"a\",\n\"rrtype\":1,\"rdata\":[\"1.2.3.4\",\"1.2.3.5\"],"
             "\"time_first\":1,\"time_last\":1\n}",
             2, 0);
  check_take("{\"rrname\":\"a\",\"rrtype\":1,\"rdata\":[\"1.2.3.4\",\"x\",\"y\"],"
             "\"time_first\":1,\"time_last\":1}",
             1, 2);
  check_take("{\"rrname\":\"a\",\"rrtype\":1,\"rdata\":[\"x\",\"y\"],"
             "\"time_first\":1,\"time_last\":1}",
             0, 2);
  check_take("{\"rrname\":\"a\"}", 0, 1);
  check_take("{", 0, 1);
  check_take("nothing", 0, 1);
  check_take(RECORD("a") "\nnothing\n" RECORD("b"), 2, 1);
}

static void test_take_why(void **state)
{
  struct seen s = {0};
  (void)state;
  assert_true(take(&s, RECORD("a") "\n\n{\"rrname\":\"b\"}"));
  assert_int_equal(s.line, 3);
  assert_non_null(strstr(s.why, "rrtype"));
  cof_batch_destroy(&s.batch);
}

static void test_take_stop(void **state)
{
  struct seen s = {.stop_after = 2};
  (void)state;
  assert_false(take(&s, RECORD("a") "\n" RECORD("b") "\n" RECORD("c")));
  assert_int_equal(cof_batch_count(s.batch), 2);
  s.stop_after = 3;
  assert_false(take(&s, RECORD("c")));
  cof_batch_destroy(&s.batch);
}

static void test_message(void **state)
{
  struct message m = {.max = 8};
  const char *text = NULL, part[] = "abcdefgh";
  size_t len = 0;
  (void)state;
  assert_int_equal(message_add(&m, part, 8, true, true, &text, &len), MESSAGE_WHOLE);
  assert_ptr_equal(text, part);
  assert_int_equal(message_add(&m, "", 0, true, true, &text, &len), MESSAGE_WHOLE);
  assert_int_equal(len, 0);
  assert_int_equal(message_add(&m, "", 0, true, false, &text, &len), MESSAGE_MORE);
  assert_int_equal(message_add(&m, "abc", 3, false, false, &text, &len), MESSAGE_MORE);
  assert_true(m.open);
  assert_int_equal(message_add(&m, "de", 2, false, false, &text, &len), MESSAGE_MORE);
  assert_int_equal(message_add(&m, "fgh", 3, false, true, &text, &len), MESSAGE_WHOLE);
  assert_false(m.open);
  assert_int_equal(len, 8);
  assert_memory_equal(text, "abcdefgh", 8);
  assert_int_equal(message_add(&m, "abc", 3, true, false, &text, &len), MESSAGE_MORE);
  assert_int_equal(message_add(&m, "", 0, false, true, &text, &len), MESSAGE_WHOLE);
  assert_int_equal(len, 3);
  message_free(&m);
}

static void test_message_long(void **state)
{
  struct message m = {.max = 8};
  const char *text = NULL;
  size_t len = 0;
  (void)state;
  assert_int_equal(message_add(&m, "abcdefghi", 9, true, true, &text, &len), MESSAGE_LONG);
  assert_int_equal(message_add(&m, "abcdefgh", 8, true, false, &text, &len), MESSAGE_MORE);
  assert_int_equal(message_add(&m, "i", 1, false, false, &text, &len), MESSAGE_MORE);
  assert_int_equal(message_add(&m, "j", 1, false, true, &text, &len), MESSAGE_LONG);
  assert_int_equal(message_add(&m, "abcdefghi", 9, true, false, &text, &len), MESSAGE_MORE);
  message_reset(&m);
  assert_false(m.open);
  assert_int_equal(message_add(&m, "abc", 3, true, true, &text, &len), MESSAGE_WHOLE);
  assert_int_equal(len, 3);
  message_free(&m);
}

/* --- header fields ---------------------------------------------------------------------------- */

static void test_header(void **state)
{
  static const char *const bad[] = {"",
                                    "x",
                                    "x y: z",
                                    ": x",
                                    "a\nb: c",
                                    "x: a\nb",
                                    "Host: x",
                                    "sec-websocket-key: x",
                                    "UPGRADE:x",
                                    "connection:",
                                    "content-length: 1",
                                    NULL};
  (void)state;
  assert_int_equal(header_name_len("X-Key: v"), 5);
  assert_int_equal(header_name_len("X-Key"), 0);
  assert_int_equal(header_check("X-Key: v", true, NULL), COF_OK);
  assert_int_equal(header_check("X-Key:", true, NULL), COF_OK);
  assert_int_equal(header_check("Hosts: v\tw \xc3\xa4", true, NULL), COF_OK);
  assert_int_equal(header_check("Authorization: x", false, NULL), COF_OK);
  assert_int_equal(header_check("authorization: x", true, NULL), COF_REJECT);
  for (size_t i = 0; bad[i] != NULL; i++)
    assert_int_equal(header_check(bad[i], false, NULL), COF_REJECT);
}

static void write_file(const char *path, const char *text, size_t len)
{
  FILE *out = fopen(path, "w");
  assert_non_null(out);
  assert_int_equal(fwrite(text, 1, len, out), len);
  assert_int_equal(fclose(out), 0);
}

static void test_files(void **state)
{
  char path[] = "/tmp/test-cof-ws-XXXXXX", secret[SECRET_MAX + 1], out[HEADERS_MAX];
  static char many[HEADERS_MAX + 8];
  int fd = mkstemp(path);
  struct conf conf = {.header_file = path};
  struct cof_error err;
  size_t len;
  (void)state;
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(secret_read(path, secret, &err), COF_RETRY);
  write_file(path, " \t\nword", 7);
  assert_int_equal(secret_read(path, secret, &err), COF_RETRY);
  write_file(path, "  wo rd\t\r\nmore", 14);
  assert_int_equal(secret_read(path, secret, &err), COF_OK);
  assert_string_equal(secret, "wo rd");
  write_file(path, "a\0b", 3);
  assert_int_equal(secret_read(path, secret, &err), COF_RETRY);
  write_file(path, "a\001b", 3);
  assert_int_equal(secret_read(path, secret, &err), COF_RETRY);
  write_file(path, "A: 1\n\n# none\n  B: 2 \r\nC:3", 25);
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_OK);
  assert_int_equal(len, 17);
  assert_memory_equal(out, "A: 1\r\nB: 2\r\nC:3\r\n", 17);
  write_file(path, "A: 1\nHost: 2\n", 13);
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_RETRY);
  assert_non_null(strstr(err.text, ":2: Host is set by the websocket"));
  memset(many, 'x', sizeof many);
  many[1] = ':';
  write_file(path, many, HEADERS_MAX + 1);
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_RETRY);
  write_file(path, many, HEADERS_MAX);
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_RETRY);
  write_file(path, many, HEADERS_MAX - 3);
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_OK);
  assert_int_equal(len, HEADERS_MAX - 1);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_RETRY);
}

static void test_login(void **state)
{
  char user[] = "Aladdin", password[] = "open sesame", token[] = "tok", out[HEADERS_MAX];
  struct conf conf = {.user = user, .password = password};
  struct cof_error err;
  size_t len;
  (void)state;
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_OK);
  static const char basic[] = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
  assert_int_equal(len, sizeof basic - 1);
  assert_memory_equal(out, basic, len);
  conf = (struct conf){.token = token};
  assert_int_equal(headers_make(&conf, out, &len, &err), COF_OK);
  assert_int_equal(len, 27);
  assert_memory_equal(out, "Authorization: Bearer tok\r\n", 27);
}

static void test_proxy(void **state)
{
  char host[] = "proxy", six[] = "::1", user[] = "me", password[] = "p@:x", out[256], little[8];
  struct conf conf = {0};
  struct cof_error err;
  (void)state;
  assert_int_equal(headers_proxy(&conf, out, sizeof out, &err), COF_OK);
  assert_string_equal(out, ":0");
  conf.proxy = (struct cof_endpoint){.host = host, .port = 3128};
  assert_int_equal(headers_proxy(&conf, out, sizeof out, &err), COF_OK);
  assert_string_equal(out, "proxy:3128");
  conf.proxy_user = user;
  conf.proxy_password = password;
  conf.proxy.host = six;
  assert_int_equal(headers_proxy(&conf, out, sizeof out, &err), COF_OK);
  assert_string_equal(out, "me:p@:x@[::1]:3128");
  assert_int_equal(headers_proxy(&conf, little, sizeof little, &err), COF_REJECT);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_url),          cmocka_unit_test(test_no_url),
      cmocka_unit_test(test_join),         cmocka_unit_test(test_backoff),
      cmocka_unit_test(test_take),         cmocka_unit_test(test_take_why),
      cmocka_unit_test(test_take_stop),    cmocka_unit_test(test_message),
      cmocka_unit_test(test_message_long), cmocka_unit_test(test_header),
      cmocka_unit_test(test_files),        cmocka_unit_test(test_login),
      cmocka_unit_test(test_proxy)};
  return cmocka_run_group_tests_name("cof-ws", tests, NULL, NULL);
}
