/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/json.h>

static struct cof_json *parse(const char *text)
{
  struct cof_error err = {.text = ""};
  struct cof_json *value = cof_json_parse(text, strlen(text), &err);
  if (value == NULL)
    fail_msg("%s: %s", text, err.text);
  return value;
}

static bool collect(void *arg, const char *key, const struct cof_json *value)
{
  char *text = arg;
  strcat(text, key);
  return cof_json_kind(value) != COF_JSON_NULL;
}

static void looks_at_values(void **state)
{
  (void)state;
  struct cof_json *doc =
      parse(" {\"t\":\"a\\u0000b\",\"i\":-9007199254740993,\"r\":1.5,\"b\":true,\"n\":null,"
            "\"a\":[1,\"x\"],\"o\":{\"k\":2},\"i\":7} ");
  size_t len;
  int64_t i;
  double d;
  char keys[64] = "";
  assert_int_equal(cof_json_kind(doc), COF_JSON_OBJECT);
  assert_int_equal(cof_json_count(doc), 7);
  assert_memory_equal(cof_json_text(cof_json_get(doc, "t"), &len), "a\0b", 4);
  assert_int_equal(len, 3);
  assert_true(cof_json_integer(cof_json_get(doc, "i"), &i));
  assert_int_equal(i, 7);
  assert_false(cof_json_integer(cof_json_get(doc, "r"), &i));
  assert_true(cof_json_number(cof_json_get(doc, "r"), &d) && d > 1.4 && d < 1.6);
  assert_true(cof_json_number(cof_json_get(doc, "i"), &d) && d > 6.9 && d < 7.1);
  assert_int_equal(cof_json_kind(cof_json_get(doc, "b")), COF_JSON_BOOL);
  assert_int_equal(cof_json_kind(cof_json_get(doc, "n")), COF_JSON_NULL);
  assert_int_equal(cof_json_count(cof_json_get(doc, "a")), 2);
  assert_string_equal(cof_json_text(cof_json_at(cof_json_get(doc, "a"), 1), &len), "x");
  assert_null(cof_json_at(cof_json_get(doc, "a"), 2));
  assert_true(cof_json_each(cof_json_get(doc, "o"), collect, keys));
  assert_false(cof_json_each(doc, collect, keys));
  assert_string_equal(keys, "ktirbn");
  cof_json_free(&doc);
  assert_null(doc);
}

static void takes_what_is_not_there(void **state)
{
  (void)state;
  size_t len;
  int64_t i;
  double d;
  char keys[8] = "";
  struct cof_json *doc = parse("[\"x\"]"), *none = NULL;
  assert_int_equal(cof_json_kind(NULL), COF_JSON_NONE);
  assert_null(cof_json_get(NULL, "a"));
  assert_null(cof_json_get(doc, "a"));
  assert_null(cof_json_get(cof_json_at(doc, 0), "a"));
  assert_null(cof_json_at(NULL, 0));
  assert_null(cof_json_text(NULL, &len));
  assert_null(cof_json_text(doc, &len));
  assert_false(cof_json_integer(NULL, &i));
  assert_false(cof_json_number(NULL, &d));
  assert_int_equal(cof_json_count(NULL), 0);
  assert_int_equal(cof_json_count(cof_json_at(doc, 0)), 0);
  assert_true(cof_json_each(NULL, collect, keys));
  assert_true(cof_json_each(doc, collect, keys));
  cof_json_free(&doc);
  cof_json_free(&none);
}

static void refuses(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "", "{", "{}x", "{\"a\":1,}", "1", "{\"a\":\"\xff\"}", "{\"a\":1e400}"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct cof_error err = {.text = ""};
    if (cof_json_parse(texts[i], strlen(texts[i]), &err) != NULL)
      fail_msg("taken: %s", texts[i]);
    assert_non_null(strstr(err.text, "no JSON: "));
  }
  /* Deep, but bounded. */
  char *deep = malloc(100000);
  struct cof_error err;
  assert_non_null(deep);
  memset(deep, '[', 100000);
  assert_null(cof_json_parse(deep, 100000, &err));
  free(deep);
  /* What stands there may be private. */
  assert_null(cof_json_parse("{\"a\":secret}", 12, &err));
  assert_null(strstr(err.text, "secret"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(looks_at_values),
                                     cmocka_unit_test(takes_what_is_not_there),
                                     cmocka_unit_test(refuses)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
