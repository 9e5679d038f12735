/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ws_private.h"

static bool match(const struct filter *f, const char *name, uint16_t rrtype, bool is_new)
{
  struct cof_record r = {
      .rrname = name, .rrname_len = (uint16_t)strlen(name), .rrtype = rrtype, .rdata = ""};
  return filter_match(f, &r, is_new);
}

static struct filter *make(const char *name, const char *value)
{
  struct filter *f = calloc(1, sizeof *f);
  assert_non_null(f);
  assert_null(filter_set(f, name, value));
  return f;
}

static void test_all(void **state)
{
  (void)state;
  struct filter *f = make("token", "whatever");
  assert_true(match(f, "a.example", 1, false));
  filter_free(&f);
  f = make("new", "1");
  assert_false(match(f, "a.example", 1, false));
  assert_true(match(f, "a.example", 1, true));
  filter_free(&f);
  assert_null(f);
}

static void test_suffix(void **state)
{
  (void)state;
  struct filter *f = make("suffix", "Example.com.,net");
  static const char *const in[] = {"example.com", "a.example.com", "a\\\\.example.com", "net",
                                   "x.net"};
  static const char *const out[] = {
      "aexample.com", "com", "a\\.example.com", "a\\\\\\.example.com", "example.org", ".", "xnet"};
  for (size_t i = 0; i < sizeof in / sizeof *in; i++)
    assert_true(match(f, in[i], 1, false));
  for (size_t i = 0; i < sizeof out / sizeof *out; i++)
    assert_false(match(f, out[i], 1, false));
  filter_free(&f);
  f = make("suffix", ".");
  assert_true(match(f, ".", 1, false));
  assert_true(match(f, "a.example", 1, false));
  filter_free(&f);
}

static void test_refused(void **state)
{
  (void)state;
  static const char *const bad[][2] = {{"rrtype", ""},      {"rrtype", ","}, {"rrtype", "A,,NS"},
                                       {"rrtype", "65536"}, {"suffix", ""},  {"suffix", "a..b"},
                                       {"new", ""},         {"new", "01"},   {"", "x"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct filter *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_non_null(filter_set(f, bad[i][0], bad[i][1]));
    filter_free(&f);
  }
}

static struct tokens *read_text(const char *text, struct cof_error *err)
{
  char path[] = "/tmp/cofd-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
  struct tokens *t = tokens_read(path, err);
  unlink(path);
  return t;
}

static bool match_token(const struct tokens *t, const char *token)
{
  return tokens_match(t, token, strlen(token));
}

static void test_tokens(void **state)
{
  (void)state;
  struct cof_error err;
  char longest[TOKEN_MAX + 2];
  struct tokens *t = read_text("# comment\n\n  0123456789abcdef \r\nsecond-token-here", &err);
  assert_non_null(t);
  assert_true(match_token(t, "0123456789abcdef"));
  assert_true(match_token(t, "second-token-here"));
  assert_false(match_token(t, ""));
  assert_false(match_token(t, "0123456789abcde"));
  assert_false(match_token(t, "0123456789abcdeg"));
  assert_false(match_token(t, "0123456789abcdef "));
  memset(longest, 'x', sizeof longest);
  assert_false(tokens_match(t, longest, sizeof longest));
  tokens_free(&t);
  assert_null(t);
}

static void test_bad_tokens(void **state)
{
  (void)state;
  struct cof_error err;
  assert_null(read_text("", &err));
  assert_non_null(strstr(err.text, "has no token"));
  assert_null(read_text("good-enough-token\nshort\n", &err));
  assert_non_null(strstr(err.text, ":2: is no token"));
  assert_null(strstr(err.text, "short"));
  assert_null(read_text("two tokens-in-one-line\n", &err));
  assert_null(read_text("sixteen-octets-\xc3\xa4\n", &err));
  assert_null(tokens_read("/nonexistent/tokens", &err));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_suffix),
                                     cmocka_unit_test(test_refused), cmocka_unit_test(test_tokens),
                                     cmocka_unit_test(test_bad_tokens)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
