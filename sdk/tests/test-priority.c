/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>

#include "priority_private.h"

static _Thread_local unsigned yields;

/* In place of the C library's. */
int sched_yield(void)
{
  yields++;
  return 0;
}

static void work(unsigned steps)
{
  for (unsigned i = 0; i < steps; i++)
    priority_offer(1);
}

struct seen {
  unsigned before, after[2];
  bool yields;
};

static void *yielding(void *arg)
{
  struct seen *seen = arg;
  work(PRIORITY_OFFER); /* and finds out that it does not yield */
  seen->before = yields;
  (void)priority_yield(1);
  seen->yields = priority_yields();
  work(PRIORITY_OFFER * PRIORITY_LOOK);
  yields = 0;
  work(PRIORITY_OFFER * 10 - 1);
  seen->after[0] = yields;
  work(1);
  seen->after[1] = yields;
  return NULL;
}

static void who_yields_offers(void **state)
{
  (void)state;
  struct seen seen = {.before = 1};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, yielding, &seen), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(seen.before, 0);
  if (!seen.yields) /* such as within a container that does not let it */
    skip();
  assert_int_equal(seen.after[0], 9);
  assert_int_equal(seen.after[1], 10);
}

/* Nicer alone is not enough: its slices are long. */
static void *nicer(void *arg)
{
  unsigned *offered = arg;
  (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1);
  work(PRIORITY_OFFER * PRIORITY_LOOK * 3);
  *offered = yields;
  return NULL;
}

static void others_do_not(void **state)
{
  (void)state;
  yields = 0;
  work(PRIORITY_OFFER * PRIORITY_LOOK * 3);
  assert_int_equal(yields, 0);
  unsigned offered = 1;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, nicer, &offered), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(offered, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(who_yields_offers),
                                     cmocka_unit_test(others_do_not)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
