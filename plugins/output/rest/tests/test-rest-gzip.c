/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "gzip_private.h"

static void test_accept(void **state)
{
  (void)state;
  static const char *const yes[] = {
      "gzip", "GZip",       "x-gzip",      "deflate, gzip",     "gzip;q=0.5",
      "*",    "gzip ; q=1", "br,gzip;q=1", "identity, *;q=0.1", "*;q=0, gzip"};
  static const char *const no[] = {"",           "identity",     "gzip;q=0",     "gzip;q=0.000",
                                   "*;q=0",      "gzipped",      "deflate",      "gzip;q=0, *",
                                   "gzip;q=abc", "gzip;level=9", "not-gzip, br", ";;,;,,"};
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
    if (!gzip_accepted(yes[i]))
      fail_msg("refused: %s", yes[i]);
  for (size_t i = 0; i < sizeof no / sizeof *no; i++)
    if (gzip_accepted(no[i]))
      fail_msg("accepted: %s", no[i]);
  assert_false(gzip_accepted(NULL));
}

static void expect_inflated(const char *packed, size_t packed_len, const char *text, size_t len)
{
  char *out = malloc(len + 1);
  z_stream z = {.next_in = (z_const Bytef *)packed,
                .avail_in = (uInt)packed_len,
                .next_out = (Bytef *)out,
                .avail_out = (uInt)len + 1};
  assert_non_null(out);
  assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
  assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
  assert_int_equal(z.total_out, len);
  assert_int_equal(z.avail_in, 0);
  assert_memory_equal(out, text, len);
  inflateEnd(&z);
  free(out);
}

static char *sample(size_t len)
{
  char *text = malloc(len);
  assert_non_null(text);
  unsigned seed = 7;
  for (size_t i = 0; i < len; i++) {
    seed = seed * 1103515245u + 12345u;
    text[i] = (char)('a' + (seed >> 16) % 16);
  }
  return text;
}

static void test_whole_is_reusable(void **state)
{
  (void)state;
  struct gzip *gzip = gzip_create();
  char *text = sample(50000);
  for (size_t len = 1; len <= 50000; len *= 7) {
    size_t packed_len;
    char *packed = gzip_whole(gzip, text, len, &packed_len);
    assert_non_null(packed);
    expect_inflated(packed, packed_len, text, len);
    free(packed);
  }
  free(text);
  gzip_destroy(&gzip);
  assert_null(gzip);
  gzip_destroy(&gzip);
}

static void test_parts(void **state)
{
  (void)state;
  struct gzip *gzip = gzip_create();
  const size_t len = 300000, step = 1000;
  char *text = sample(len), *packed = malloc(len);
  assert_non_null(packed);
  size_t at = 0, out = 0, used, n = 0;
  for (size_t room = 1; at < len || n > 0; room = room % 97 + 1) {
    size_t part = len - at < step ? len - at : step;
    n = gzip_part(gzip, text + at, part, at + part == len, &used, packed + out, room);
    assert_true(n <= room && used <= part);
    at += used;
    out += n;
  }
  assert_int_equal(at, len);
  expect_inflated(packed, out, text, len);
  free(packed);
  free(text);
  gzip_destroy(&gzip);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accept),
      cmocka_unit_test(test_whole_is_reusable),
      cmocka_unit_test(test_parts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
