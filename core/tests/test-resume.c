/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resume_private.h"
#include "support_private.h"

struct place {
  char *directory, *file;
};

static int setup(void **state)
{
  struct place *p = calloc(1, sizeof *p);
  assert_non_null(p);
  p->directory = support_directory();
  p->file = support_file(p->directory, "state", "");
  assert_int_equal(unlink(p->file), 0);
  *state = p;
  return 0;
}

static int teardown(void **state)
{
  struct place *p = *state;
  support_remove(p->directory);
  free(p->file);
  free(p);
  return 0;
}

static void test_round(void **state)
{
  static const char token[] = {0, '\n', (char)0xff, ' ', 't'};
  const struct place *p = *state;
  struct cof_error err;
  bool found = true;
  struct resume r = {.file = p->file, .what = "migrate a b"}, again = r;
  assert_int_equal(resume_load(&r, &found, &err), COF_OK);
  assert_false(found);
  assert_int_equal(resume_save(&r, &err), COF_OK); /* without a token: at the beginning */
  assert_int_equal(resume_load(&again, &found, &err), COF_OK);
  assert_true(found);
  assert_int_equal(again.token_len, 0);
  r.records = 12;
  r.refused = 1;
  r.sum = UINT64_MAX;
  r.octets = UINT64_C(1) << 40;
  r.fresh = true;
  assert_true(resume_set_token(&r, token, sizeof token));
  assert_int_equal(resume_save(&r, &err), COF_OK);
  assert_int_equal(resume_load(&again, &found, &err), COF_OK);
  assert_int_equal(again.records, 12);
  assert_int_equal(again.refused, 1);
  assert_true(again.sum == UINT64_MAX);
  assert_true(again.octets == UINT64_C(1) << 40);
  assert_true(again.fresh);
  assert_int_equal(again.token_len, sizeof token);
  assert_memory_equal(again.token, token, sizeof token);
  assert_int_equal(resume_remove(&r, &err), COF_OK);
  assert_int_equal(access(p->file, F_OK), -1);
  assert_int_equal(resume_remove(&r, &err), COF_OK);
  resume_free(&r);
  resume_free(&again);
}

static void expect_refused(const struct place *p, const char *text, const char *why)
{
  struct cof_error err;
  bool found = true;
  struct resume r = {.file = p->file, .what = "migrate a b", .records = 7};
  free(support_file(p->directory, "state", text));
  assert_int_equal(resume_load(&r, &found, &err), COF_REJECT);
  assert_false(found);
  assert_int_equal(r.records, 7);
  assert_null(r.token);
  if (strstr(err.text, why) == NULL || strstr(err.text, p->file) == NULL)
    fail_msg("'%s' does not say '%s'", err.text, why);
}

static void test_refused(void **state)
{
#define BEGIN "cofd-resume 1\nwhat migrate a b\nrecords 1\nrefused 0\nsum 5\n"
  const struct place *p = *state;
  expect_refused(p, "", "not a state file");
  expect_refused(p, "cofd-resume 2\n", "not a state file");
  expect_refused(p, "cofd-resume 1\nwhat migrate a c\n", "belongs to \"migrate a c\"");
  expect_refused(p, BEGIN, "damaged");
  expect_refused(p, BEGIN "octets -1\nfresh 1\ntoken 00\n", "damaged");
  expect_refused(p, BEGIN "octets 18446744073709551616\nfresh 1\ntoken 00\n", "damaged");
  expect_refused(p, BEGIN "octets 0\nfresh 1\ntoken 0\n", "damaged");
  expect_refused(p, BEGIN "octets 0\nfresh 1\ntoken 0g\n", "damaged");
  expect_refused(p, BEGIN "octets 0\nfresh 1\ntoken 00", "damaged");
  expect_refused(p, BEGIN "octets 0\nfresh 1\ntoken 00\nmore\n", "damaged");
  expect_refused(p, BEGIN "fresh 1\noctets 0\ntoken 00\n", "damaged");
}

static void test_unwritable(void **state)
{
  const struct place *p = *state;
  struct cof_error err;
  bool found;
  char *below = NULL;
  free(support_file(p->directory, "state", "x"));
  assert_true(asprintf(&below, "%s/below", p->file) > 0);
  struct resume r = {.file = below, .what = "x"};
  assert_int_equal(resume_load(&r, &found, &err), COF_FATAL);
  assert_int_equal(resume_save(&r, &err), COF_FATAL);
  assert_non_null(strstr(err.text, "cannot be written: Not a directory"));
  r.file = NULL;
  assert_int_equal(resume_load(&r, &found, &err), COF_OK);
  assert_int_equal(resume_save(&r, &err), COF_OK);
  assert_int_equal(resume_remove(&r, &err), COF_OK);
  free(below);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_round, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_unwritable, setup, teardown)};
  return cmocka_run_group_tests_name("resume", tests, NULL, NULL);
}
