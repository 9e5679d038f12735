/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cursors_private.h"

#define MEMORY   ((uint64_t)64 * 1024)
#define EXPIRE   UINT64_C(1000)
#define QUESTION 42

static int setup(void **state)
{
  *state = cursors_create(MEMORY, EXPIRE);
  return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
  struct cursors *c = *state;
  cursors_destroy(&c);
  assert_null(c);
  cursors_destroy(&c);
  return 0;
}

static struct place *make(const char *text, size_t len)
{
  struct place *p = calloc(1, sizeof *p + len);
  assert_non_null(p);
  p->fences.first_after = 7;
  p->len = len;
  if (text != NULL)
    memcpy(p->token, text, strlen(text));
  return p;
}

static struct cursor_use use_of(const char *owner, const char *account, uint64_t now)
{
  return (struct cursor_use){owner, account, QUESTION, now};
}

static uint64_t put(struct cursors *c, const char *owner, const char *account, uint64_t now,
                    size_t len, uint64_t after)
{
  struct cursor_use use = use_of(owner, account, now);
  struct cof_error err;
  uint64_t id = 0;
  assert_int_equal(cursors_put(c, &use, make("token", len), after, &id, &err), COF_OK);
  assert_true(id > 0 && id <= INT64_MAX);
  return id;
}

static enum cof_result get(struct cursors *c, const char *owner, uint64_t now, uint64_t id,
                           struct cof_error *err)
{
  struct cursor_use use = use_of(owner, "any", now);
  struct place *place = NULL;
  enum cof_result r = cursors_get(c, &use, id, &place, err);
  if (r == COF_OK) {
    assert_memory_equal(place->token, "token", 5);
    assert_int_equal(place->fences.first_after, 7);
  }
  free(place);
  return r;
}

static void test_kept(void **state)
{
  struct cof_error err;
  uint64_t a = put(*state, "", "x", 1, 5, 0), b = put(*state, "", "x", 1, 5, 0);
  assert_int_not_equal(a, b);
  assert_int_equal(get(*state, "", 2, a, &err), COF_OK);
  assert_int_equal(get(*state, "", 2, a, &err), COF_OK);
  assert_int_equal(get(*state, "", 2, b, &err), COF_OK);
  assert_int_equal(get(*state, "", 2, a ^ 1, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "unknown"));
}

/* Whose cursor it is must not show: one of somebody else is as good as none. */
static void test_owners(void **state)
{
  struct cof_error theirs, none;
  uint64_t a = put(*state, "alice", "alice", 1, 5, 0);
  assert_int_equal(get(*state, "alice", 2, a, &theirs), COF_OK);
  assert_int_equal(get(*state, "bob", 2, a, &theirs), COF_REJECT);
  assert_int_equal(get(*state, "bob", 2, a ^ 1, &none), COF_REJECT);
  assert_string_equal(theirs.text, none.text);
  assert_int_equal(get(*state, "", 2, a, &theirs), COF_REJECT);
  struct cursor_use other = {"bob", "bob", QUESTION + 1, 2};
  struct place *place = NULL;
  assert_int_equal(cursors_get(*state, &other, a, &place, &theirs), COF_REJECT);
  assert_string_equal(theirs.text, none.text);
  other.owner = "alice";
  assert_int_equal(cursors_get(*state, &other, a, &place, &theirs), COF_REJECT);
  assert_non_null(strstr(theirs.text, "another question"));
}

static void test_expiry(void **state)
{
  struct cof_error err;
  size_t count, bytes;
  uint64_t a = put(*state, "", "x", 100, 5, 0), b = put(*state, "", "x", 100, 5, 0);
  assert_int_equal(get(*state, "", 100 + EXPIRE - 1, a, &err), COF_OK);
  assert_int_equal(get(*state, "", 100 + EXPIRE, b, &err), COF_REJECT);
  assert_int_equal(get(*state, "", 100 + EXPIRE, a, &err), COF_OK);
  /* The clock of another thread may be a little behind. */
  assert_int_equal(get(*state, "", 50, a, &err), COF_OK);
  assert_int_equal(get(*state, "", 100 + 4 * EXPIRE, a, &err), COF_REJECT);
  cursors_size(*state, &count, &bytes);
  assert_int_equal(count, 0);
  assert_int_equal(bytes, 0);
}

/* Of one paging, two pages are kept: that which the client has, and that which it asks for. */
static void test_pages(void **state)
{
  struct cof_error err;
  size_t count, bytes;
  uint64_t id = 0, before = 0;
  for (int i = 0; i < 50; i++) {
    uint64_t next = put(*state, "", "x", 1, 5, id);
    before = id;
    id = next;
  }
  cursors_size(*state, &count, &bytes);
  assert_int_equal(count, 2);
  assert_int_equal(get(*state, "", 1, id, &err), COF_OK);
  assert_int_equal(get(*state, "", 1, before, &err), COF_OK);
}

/* Nobody may name another's cursor as the page before, so as to be rid of it. */
static void test_not_others(void **state)
{
  struct cof_error err;
  uint64_t a = put(*state, "a", "a", 1, 5, 0), b = put(*state, "a", "a", 1, 5, a);
  (void)put(*state, "b", "b", 1, 5, b);
  assert_int_equal(get(*state, "a", 1, a, &err), COF_OK);
  assert_int_equal(get(*state, "a", 1, b, &err), COF_OK);
}

/* One that takes all there is harms himself, and no other. */
static void test_share(void **state)
{
  struct cof_error err;
  size_t count, bytes;
  uint64_t theirs = put(*state, "", "modest", 1, 100, 0), first = 0, last = 0;
  for (int i = 0; i < 5000; i++) {
    last = put(*state, "", "greedy", 1, 100, 0);
    first = i == 0 ? last : first;
    cursors_size(*state, &count, &bytes);
    assert_true(bytes <= MEMORY / 4);
  }
  assert_int_equal(get(*state, "", 1, theirs, &err), COF_OK);
  assert_int_equal(get(*state, "", 1, last, &err), COF_OK);
  assert_int_equal(get(*state, "", 1, first, &err), COF_REJECT);
}

static void test_bound(void **state)
{
  struct cof_error err;
  size_t count, bytes;
  char account[32];
  uint64_t last = 0;
  for (int i = 0; i < 5000; i++) {
    snprintf(account, sizeof account, "account %d", i);
    last = put(*state, "", account, 1, (size_t)(5 + i % 3000), 0);
    cursors_size(*state, &count, &bytes);
    assert_true(bytes <= MEMORY);
    assert_true(count > 0);
  }
  assert_int_equal(get(*state, "", 1, last, &err), COF_OK);
}

/* A place larger than all the memory is kept alone: its client is to get on. */
static void test_large(void **state)
{
  struct cof_error err;
  size_t count, bytes;
  uint64_t small = put(*state, "", "x", 1, 5, 0), large = put(*state, "", "x", 1, 4 * MEMORY, 0);
  assert_int_equal(get(*state, "", 1, large, &err), COF_OK);
  assert_int_equal(get(*state, "", 1, small, &err), COF_REJECT);
  small = put(*state, "", "x", 1, 5, 0);
  assert_int_equal(get(*state, "", 1, small, &err), COF_OK);
  cursors_size(*state, &count, &bytes);
  assert_true(count == 1 && bytes <= MEMORY);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
      cmocka_unit_test_setup_teardown(test_owners, setup, teardown),
      cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
      cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
      cmocka_unit_test_setup_teardown(test_not_others, setup, teardown),
      cmocka_unit_test_setup_teardown(test_share, setup, teardown),
      cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
      cmocka_unit_test_setup_teardown(test_large, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
