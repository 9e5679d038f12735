/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

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

static void *yielding(void *arg)
{
  unsigned *seen = arg;
  work(PRIORITY_OFFER); /* and finds out that it does not yield */
  seen[0] = yields;
  seen[1] = priority_yield(1) == 0;
  work(PRIORITY_OFFER * PRIORITY_LOOK);
  yields = 0;
  work(PRIORITY_OFFER * 10 - 1);
  seen[2] = yields;
  work(1);
  seen[3] = yields;
  for (size_t i = 0; i < PRIORITY_SMALL * 8; i++)
    priority_offer_of(i);
  seen[4] = yields;
  return NULL;
}

static void who_yields_offers(void **state)
{
  (void)state;
  errno = 0;
  if (getpriority(PRIO_PROCESS, 0) >= PRIORITY_NICE_MAX || errno != 0)
    skip();
  unsigned seen[5] = {1, 0, 0, 0, 0};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, yielding, seen), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(seen[0], 0);
  assert_int_equal(seen[1], 1);
  assert_int_equal(seen[2], 9);
  assert_int_equal(seen[3], 10);
  assert_int_equal(seen[4], 12);
}

static void others_do_not(void **state)
{
  (void)state;
  yields = 0;
  work(PRIORITY_OFFER * PRIORITY_LOOK * 3);
  assert_int_equal(yields, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(who_yields_offers),
                                     cmocka_unit_test(others_do_not)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
