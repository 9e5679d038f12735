/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metrics_private.h"

static void test_counter_and_gauge(void **state)
{
  (void)state;
  struct metrics *set = metrics_create("input", "samples", "cof-file");
  struct cof_metric *counter = metrics_get(set, COF_COUNTER, "read", "records", "Records read.");
  struct cof_metric *gauge = metrics_get(set, COF_GAUGE, "open", "files", "Files open.");
  metric_add(counter, 3);
  metric_add(counter, -2); /* a counter only ever grows */
  metric_set(counter, 0);
  assert_int_equal(metric_value(counter), 3);
  metric_set(gauge, 7);
  metric_add(gauge, -9);
  assert_int_equal(metric_value(gauge), -2);
  assert_int_equal(metrics_value(set, "read"), 3);
  assert_int_equal(metrics_value(set, "unknown"), 0);
  metrics_destroy(&set);
  assert_null(set);
  metrics_destroy(&set);
}

static void test_same_name_is_same_metric(void **state)
{
  (void)state;
  char name[] = "read";
  struct metrics *set = metrics_create("input", "samples", "cof-file");
  struct cof_metric *first = metrics_get(set, COF_COUNTER, name, "records", NULL);
  name[0] = 'x';
  assert_ptr_equal(metrics_get(set, COF_COUNTER, "read", "records", NULL), first);
  assert_ptr_not_equal(metrics_get(set, COF_COUNTER, name, "records", NULL), first);
  metrics_destroy(&set);
}

static void see_histogram(void *arg, const struct cof_metric_view *view)
{
  struct cof_metric_view *seen = arg;
  static uint64_t counts[4];
  *seen = *view;
  memcpy(counts, view->counts, sizeof counts);
  seen->counts = counts;
}

static void test_histogram(void **state)
{
  const int64_t bounds[] = {1, 10, 100}, values[] = {-1, 0, 1, 2, 10, 11, 100, 101, INT64_MAX / 2};
  struct metrics *set = metrics_create("chain", "main", "");
  struct cof_metric *lag = metrics_histogram(set, "lag", "ms", "How late.", bounds, 3);
  struct cof_metric_view seen = {0};
  (void)state;
  assert_ptr_equal(metrics_histogram(set, "lag", "ms", "How late.", bounds, 3), lag);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    metric_observe(lag, values[i]);
  metric_add(lag, 5); /* nothing but values counts */
  metrics_each(set, see_histogram, &seen);
  assert_int_equal(seen.type, COF_HISTOGRAM);
  assert_int_equal(seen.value, 9);
  assert_int_equal(seen.bounds_count, 3);
  assert_int_equal(seen.counts[0], 3);
  assert_int_equal(seen.counts[1], 2);
  assert_int_equal(seen.counts[2], 2);
  assert_int_equal(seen.counts[3], 2);
  assert_int_equal(seen.sum, 224 + INT64_MAX / 2);
  metric_observe(metrics_get(set, COF_COUNTER, "other", "records", NULL), 5);
  assert_int_equal(metrics_value(set, "other"), 0);
  metrics_destroy(&set);
}

struct seen {
  size_t count;
  char text[4096];
};

static void see(void *arg, const struct cof_metric_view *view)
{
  struct seen *seen = arg;
  size_t used = strlen(seen->text);
  snprintf(seen->text + used, sizeof seen->text - used, "%s.%s(%s) %s[%s] %s %d=%lld\n", view->kind,
           view->instance, view->plugin, view->name, view->unit, view->help, (int)view->type,
           (long long)view->value);
  seen->count++;
}

static void test_each_in_order(void **state)
{
  (void)state;
  struct metrics *set = metrics_create("chain", "main", "");
  metric_add(metrics_get(set, COF_COUNTER, "z", "records", "Z."), 1);
  metric_set(metrics_get(set, COF_GAUGE, "a", "bytes", "A."), 2);
  struct seen seen = {0};
  metrics_each(set, see, &seen);
  assert_string_equal(seen.text, "chain.main() z[records] Z. 1=1\nchain.main() a[bytes] A. 2=2\n");
  metrics_destroy(&set);
}

static void test_bounded(void **state)
{
  (void)state;
  struct metrics *set = metrics_create("chain", "main", "");
  for (int i = 0; i < 300; i++) {
    char name[16];
    snprintf(name, sizeof name, "m%d", i);
    struct cof_metric *metric = metrics_get(set, COF_COUNTER, name, "", "");
    assert_non_null(metric);
    metric_add(metric, 1);
  }
  struct seen seen = {0};
  metrics_each(set, see, &seen);
  assert_int_equal(seen.count, 256);
  assert_int_equal(metrics_value(set, "m255"), 1);
  assert_int_equal(metrics_value(set, "m256"), 0);
  metrics_destroy(&set);
}

static void *add_many(void *arg)
{
  struct metrics *set = arg;
  for (int i = 0; i < 20000; i++) {
    char name[16];
    snprintf(name, sizeof name, "m%d", i % 64);
    metric_add(metrics_get(set, COF_COUNTER, name, "", ""), 1);
  }
  return NULL;
}

static void test_threads(void **state)
{
  (void)state;
  struct metrics *set = metrics_create("chain", "main", "");
  pthread_t threads[4];
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, add_many, set), 0);
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  struct seen seen = {0};
  metrics_each(set, see, &seen);
  assert_int_equal(seen.count, 64);
  int64_t sum = 0;
  for (int i = 0; i < 64; i++) {
    char name[16];
    snprintf(name, sizeof name, "m%d", i);
    sum += metrics_value(set, name);
  }
  assert_int_equal(sum, 80000);
  metrics_destroy(&set);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_counter_and_gauge),
                                     cmocka_unit_test(test_histogram),
                                     cmocka_unit_test(test_same_name_is_same_metric),
                                     cmocka_unit_test(test_each_in_order),
                                     cmocka_unit_test(test_bounded),
                                     cmocka_unit_test(test_threads)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
