/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../via_private.h"

static enum cof_result learn(struct via_table *t, const char *text, uint32_t *via)
{
  struct cof_error err = {""};
  enum cof_result r = via_learn(t, "here", text, strlen(text), via, &err);
  assert_int_equal(err.text[0] == '\0', r == COF_OK);
  return r;
}

static void test_numbers(void **state)
{
  (void)state;
  struct via_table *t = via_table_create();
  uint32_t one, two, again;
  assert_int_equal(learn(t, "a,b", &one), COF_OK);
  assert_int_equal(learn(t, "a", &two), COF_OK);
  assert_int_equal(learn(t, "a,b", &again), COF_OK);
  assert_int_equal(one, again);
  assert_int_not_equal(one, two);
  assert_string_equal(via_text(t, one), "a,b");
  assert_string_equal(via_text(t, two), "a");
  assert_string_equal(via_text(t, COF_VIA_NONE), "");
  assert_string_equal(via_text(t, 99), "");
  assert_string_equal(via_text(t, COF_VIA_LOOPED), "");
  assert_string_equal(via_text(t, COF_VIA_MIXED), "");
  via_table_destroy(&t);
  assert_null(t);
}

static void test_loops(void **state)
{
  (void)state;
  static const char *const loops[] = {"here", "a,here", "here,a", "a,here,b"};
  static const char *const others[] = {"her", "heree", "a,hereb", "HERE", "h,ere"};
  struct via_table *t = via_table_create();
  uint32_t via;
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(learn(t, loops[i], &via), COF_OK);
    assert_int_equal(via, COF_VIA_LOOPED);
  }
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(learn(t, others[i], &via), COF_OK);
    assert_int_not_equal(via, COF_VIA_LOOPED);
  }
  assert_int_equal(via_learn(t, NULL, "here", 4, &via, NULL), COF_OK);
  assert_int_not_equal(via, COF_VIA_LOOPED);
  via_table_destroy(&t);
}

static void test_bad(void **state)
{
  (void)state;
  char name[COF_NODE_MAX + 2], many[COF_VIA_TEXT_MAX + 2];
  static const char *const bad[] = {"", ",", "a,", ",a", "a,,b", "a b", "a\n", "\xc3\xa4", "a/b"};
  struct via_table *t = via_table_create();
  uint32_t via;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(learn(t, bad[i], &via), COF_REJECT);
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  assert_int_equal(learn(t, name, &via), COF_REJECT);
  assert_int_equal(learn(t, name + 1, &via), COF_OK);
  for (size_t i = 0; i < COF_VIA_NODES_MAX; i++)
    memcpy(many + 2 * i, "n,", 3);
  assert_int_equal(learn(t, many, &via), COF_REJECT);
  many[2 * COF_VIA_NODES_MAX - 1] = '\0';
  assert_int_equal(learn(t, many, &via), COF_OK);
  via_table_destroy(&t);
}

static void test_bound(void **state)
{
  (void)state;
  struct via_table *t = via_table_create();
  uint32_t via;
  char name[16];
  for (int i = 0; i < VIA_PATHS_MAX; i++) {
    snprintf(name, sizeof name, "n%d", i);
    assert_int_equal(learn(t, name, &via), COF_OK);
  }
  assert_int_equal(learn(t, "more", &via), COF_REJECT);
  assert_int_equal(learn(t, "n0", &via), COF_OK);
  assert_string_equal(via_text(t, via), "n0");
  assert_int_equal(learn(t, "a,here", &via), COF_OK);
  assert_int_equal(via, COF_VIA_LOOPED);
  via_table_destroy(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_loops),
                                     cmocka_unit_test(test_bad), cmocka_unit_test(test_bound)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
