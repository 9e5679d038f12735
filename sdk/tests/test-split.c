/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "split_private.h"

#define MAX_LEN 40

struct sink {
  char text[4096];
  size_t stop_after; /* 0: never */
  size_t objects;
};

/* Each event as one line, with what is blank at the ends of an object left out. */
static bool on_object(void *arg, const char *text, size_t len, uint64_t line)
{
  struct sink *s = arg;
  while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
    len--;
  if (len == 0)
    return true;
  size_t at = strlen(s->text);
  snprintf(s->text + at, sizeof s->text - at, "%d=%.*s\n", (int)line, (int)len, text);
  return ++s->objects != s->stop_after;
}

static void on_broken(void *arg, uint64_t line, const char *what)
{
  struct sink *s = arg;
  size_t at = strlen(s->text);
  snprintf(s->text + at, sizeof s->text - at, "%d!%.*s\n", (int)line, 11, what);
}

static struct split splitter(struct sink *sink)
{
  return (struct split){.max_len = MAX_LEN, .object = on_object, .broken = on_broken, .arg = sink};
}

/* Give the text in pieces that end at `a` and at `b`, as a reader does. */
static void cut_at(const char *text, size_t a, size_t b, uint8_t mode, struct sink *sink,
                   struct place *place)
{
  size_t len = strlen(text), ends[] = {a, b, len};
  struct split s = splitter(sink);
  size_t taken = 0;
  *place = (struct place){.mode = mode};
  for (size_t i = 0; i < 3; i++) {
    /* A copy of its own, so that a sanitizer sees a read beyond it. */
    size_t n = ends[i] - taken;
    char *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, text + taken, n);
    size_t more = split_take(&s, place, copy, n, i == 2);
    assert_true(more <= n);
    taken += more;
    assert_int_equal(place->offset, taken);
    if (i < 2)
      assert_true(ends[i] - taken <= MAX_LEN + 4);
    free(copy);
  }
  assert_int_equal(taken, len);
}

static void expect(const char *text, uint8_t mode, const char *expected, uint64_t lines)
{
  size_t len = strlen(text);
  for (size_t a = 0; a <= len; a++)
    for (size_t b = a; b <= len; b++) {
      struct sink sink = {.text = ""};
      struct place place;
      cut_at(text, a, b, mode, &sink, &place);
      if (strcmp(sink.text, expected) != 0)
        fprintf(stderr, "# cut at %zu and %zu of %s\n", a, b, text);
      assert_string_equal(sink.text, expected);
      assert_int_equal(place.line, lines);
    }
}

static void test_lines(void **state)
{
  (void)state;
  expect("{\"a\":1}\n{\"b\":2}\r\n\n \n{\"c\":3}", SPLIT_UNKNOWN,
         "1={\"a\":1}\n2={\"b\":2}\n5={\"c\":3}\n", 4);
  expect("\xef\xbb\xbf{\"a\":1}\n{\"b\":2}\n", SPLIT_UNKNOWN, "1={\"a\":1}\n2={\"b\":2}\n", 2);
  expect("\n\n{\"a\":1}\nx\n{\"b\":2}\n", SPLIT_UNKNOWN, "3={\"a\":1}\n4=x\n5={\"b\":2}\n", 5);
  expect("", SPLIT_UNKNOWN, "", 0);
  expect("\n \r\n", SPLIT_UNKNOWN, "", 2);
  expect("\xef\xbb", SPLIT_UNKNOWN, "1=\xef\xbb\n", 0);
}

/* A broken first line does not turn the lines after it into one large object. */
static void test_broken_first_line(void **state)
{
  (void)state;
  expect("{\"a\": \"x\n{\"b\":2}\n", SPLIT_UNKNOWN, "1={\"a\": \"x\n2={\"b\":2}\n", 2);
  expect("{\"a\": {\"x\":1\n{\"b\":2}\n", SPLIT_UNKNOWN, "1={\"a\": {\"x\":1\n2={\"b\":2}\n", 2);
  expect("a\":1}\n{\"b\":2}\n", SPLIT_UNKNOWN, "1=a\":1}\n2={\"b\":2}\n", 2);
  expect("{\"a\":1} x\n{\"b\":2}\n", SPLIT_UNKNOWN, "1={\"a\":1} x\n2={\"b\":2}\n", 2);
}

static void test_long_lines(void **state)
{
  (void)state;
  char text[256] = "{\"a\":1}\n", expected[] = "1={\"a\":1}\n2!line longer\n3={\"b\":2}\n";
  size_t at = strlen(text);
  memset(text + at, 'x', 90);
  strcpy(text + at + 90, "\n{\"b\":2}\n");
  expect(text, SPLIT_LINES, expected, 3);
  memset(text + at, 'x', MAX_LEN + 1);
  strcpy(text + at + MAX_LEN + 1, "\n{\"b\":2}\n");
  expect(text, SPLIT_LINES, expected, 3);
  strcpy(text + at + MAX_LEN + 1, "");
  expect(text, SPLIT_LINES, "1={\"a\":1}\n2!line longer\n", 1);
}

static void test_line_of_exactly_the_bound(void **state)
{
  (void)state;
  char text[128], expected[128];
  memset(text, 'x', MAX_LEN);
  strcpy(text + MAX_LEN, "\ny\n");
  snprintf(expected, sizeof expected, "1=%.*s\n2=y\n", MAX_LEN, text);
  expect(text, SPLIT_LINES, expected, 2);
}

static void test_array(void **state)
{
  (void)state;
  expect("[{\"a\":1}, {\"b\":{\"c\":2}},\n {\"d\":\"}{\\\"]\"}]\n", SPLIT_UNKNOWN,
         "1={\"a\":1}\n1={\"b\":{\"c\":2}}\n2={\"d\":\"}{\\\"]\"}\n", 2);
  expect("\xef\xbb\xbf \n[\n{\"a\":1}\n,\n{\"b\":2}\n]", SPLIT_UNKNOWN,
         "3={\"a\":1}\n5={\"b\":2}\n", 5);
  expect("[]", SPLIT_UNKNOWN, "", 0);
  expect("[\n  {\n    \"a\": 1\n  },\n  {\n    \"b\": 2\n  }\n]\n", SPLIT_UNKNOWN,
         "2={\n    \"a\": 1\n  }\n5={\n    \"b\": 2\n  }\n", 8);
}

static void test_objects_without_brackets(void **state)
{
  (void)state;
  expect("{\"a\":1}{\"b\":2} {\"c\":3}\n{\"d\":4}", SPLIT_UNKNOWN,
         "1={\"a\":1}\n1={\"b\":2}\n1={\"c\":3}\n2={\"d\":4}\n", 1);
  expect("{\n \"a\":1\n}\n{\n \"b\":2\n}\n", SPLIT_UNKNOWN, "1={\n \"a\":1\n}\n4={\n \"b\":2\n}\n",
         6);
}

static void test_broken_array(void **state)
{
  (void)state;
  expect("[{\"a\":1}, oops, 7, {\"b\":2}]", SPLIT_UNKNOWN,
         "1={\"a\":1}\n1!no record: \n1={\"b\":2}\n", 0);
  expect("[\n{\"a\":\"x},\n{\"b\":2},\n{\"c\":3}]", SPLIT_UNKNOWN,
         "2!a line ends\n3={\"b\":2}\n4={\"c\":3}\n", 3);
  expect("[\n{\"a\":{},\n{\"b\":2}\n]", SPLIT_UNKNOWN, "2!another rec\n3={\"b\":2}\n", 3);
  expect("[{\"a\":1},\n{\"b\":", SPLIT_UNKNOWN, "1={\"a\":1}\n2!the file en\n", 1);
}

static void test_long_objects(void **state)
{
  (void)state;
  char text[256] = "[{\"a\":\"{\\\"";
  size_t at = strlen(text);
  memset(text + at, 'x', 70);
  strcpy(text + at + 70, "\",\n \"b\":{}},\n{\"c\":3}]");
  expect(text, SPLIT_UNKNOWN, "1!record long\n3={\"c\":3}\n", 2);
}

/* Reading goes on behind the object at which it was stopped, also in another run. */
static void test_stop(void **state)
{
  (void)state;
  static const char *const texts[] = {"{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n",
                                      "[{\"a\":1}\n,{\"b\":2}\n,{\"c\":3}]"};
  for (size_t i = 0; i < 2; i++) {
    struct sink first = {.text = "", .stop_after = 2}, second = {.text = ""};
    struct split s = splitter(&first);
    struct place place = {0};
    size_t len = strlen(texts[i]), taken = split_take(&s, &place, texts[i], len, true);
    assert_string_equal(first.text, "1={\"a\":1}\n2={\"b\":2}\n");
    assert_int_equal(place.offset, taken);
    s = splitter(&second);
    assert_int_equal(split_take(&s, &place, texts[i] + taken, len - taken, true), len - taken);
    assert_string_equal(second.text, "3={\"c\":3}\n");
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines),        cmocka_unit_test(test_broken_first_line),
      cmocka_unit_test(test_long_lines),   cmocka_unit_test(test_line_of_exactly_the_bound),
      cmocka_unit_test(test_array),        cmocka_unit_test(test_objects_without_brackets),
      cmocka_unit_test(test_broken_array), cmocka_unit_test(test_long_objects),
      cmocka_unit_test(test_stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
