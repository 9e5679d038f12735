/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../progress_private.h"

#define SECOND UINT64_C(1000000000)

static void expect(const struct progress *p, unsigned columns, const char *want)
{
  char text[PROGRESS_MAX];
  assert_string_equal(progress_text(p, columns, text), want);
}

static void test_octets(void **state)
{
  (void)state;
  struct progress p = {.bytes_done = 1 << 20,
                       .bytes_total = 4 << 20,
                       .records = 1000,
                       .rejected = 3,
                       .elapsed_ns = 2 * SECOND};
  expect(&p, 0, " 25% 1.0 MiB of 4.0 MiB, 1000 records, 500/s, 3 rejected, ETA 0:06");
  p.bytes_total = 0;
  expect(&p, 0, "1.0 MiB, 1000 records, 500/s, 3 rejected");
}

static void test_records(void **state)
{
  (void)state;
  struct progress p = {
      .what = "moving", .records = 500, .records_total = 1000, .elapsed_ns = 5 * SECOND};
  expect(&p, 0, "moving:  50% 500 of about 1000 records, 100/s, 0 rejected, ETA 0:05");
  p.records_before = 400; /* of an earlier run: no merit of this one */
  expect(&p, 0, "moving:  50% 500 of about 1000 records, 20/s, 0 rejected, ETA 0:25");
  p.records = 2000; /* the estimate was too low */
  expect(&p, 0, "moving: 100% 2000 of about 1000 records, 320/s, 0 rejected");
  p.records_total = 0;
  expect(&p, 0, "moving: 2000 records, 320/s, 0 rejected");
}

static void test_bar(void **state)
{
  (void)state;
  char text[PROGRESS_MAX];
  struct progress p = {.records = 500, .records_total = 1000, .elapsed_ns = SECOND};
  progress_text(&p, 100, text);
  assert_int_equal(text[0], '[');
  assert_true(strlen(text) <= 100);
  assert_non_null(strstr(text, "#."));
  progress_text(&p, 40, text); /* no room */
  assert_int_equal(text[0], ' ');
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_octets), cmocka_unit_test(test_records),
                                     cmocka_unit_test(test_bar)};
  return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
