/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "suggest_private.h"

static const char *nearest(const char *word)
{
  static const char *const words[] = {"path",      "log_level", "log_format", "cof-file",
                                      "websocket", "d4",        "rocksdb"};
  struct suggest search;
  suggest_begin(&search, word);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    suggest_offer(&search, words[i]);
  return search.best;
}

static void test_distance(void **state)
{
  (void)state;
  assert_int_equal(suggest_distance("", ""), 0);
  assert_int_equal(suggest_distance("", "abc"), 3);
  assert_int_equal(suggest_distance("abc", ""), 3);
  assert_int_equal(suggest_distance("path", "PATH"), 0);
  assert_int_equal(suggest_distance("path", "pth"), 1);
  assert_int_equal(suggest_distance("path", "paath"), 1);
  assert_int_equal(suggest_distance("path", "pafh"), 1);
  assert_int_equal(suggest_distance("path", "ptah"), 1);
  assert_int_equal(suggest_distance("kitten", "sitting"), 3);
  assert_int_equal(suggest_distance("ca", "abc"), 3);
}

static void test_long_words_are_not_compared(void **state)
{
  (void)state;
  char word[SUGGEST_WORD_MAX + 2];
  memset(word, 'a', sizeof word);
  word[SUGGEST_WORD_MAX + 1] = '\0';
  assert_true(suggest_distance(word, word) == SIZE_MAX);
  assert_null(nearest(word));
  word[SUGGEST_WORD_MAX] = '\0';
  assert_int_equal(suggest_distance(word, word), 0);
}

static void test_nearest(void **state)
{
  (void)state;
  assert_string_equal(nearest("pth"), "path");
  assert_string_equal(nearest("log_lvl"), "log_level");
  assert_string_equal(nearest("log_fromat"), "log_format");
  assert_string_equal(nearest("cof-fil"), "cof-file");
  assert_string_equal(nearest("cof"), "cof-file");
  assert_string_equal(nearest("Rocks"), "rocksdb");
}

static void test_far_words_get_none(void **state)
{
  (void)state;
  assert_null(nearest("x"));
  assert_null(nearest(""));
  assert_null(nearest("zz"));
  assert_null(nearest("compression"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distance), cmocka_unit_test(test_long_words_are_not_compared),
      cmocka_unit_test(test_nearest), cmocka_unit_test(test_far_words_get_none)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
