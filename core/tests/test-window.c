/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../window_private.h"

static void add(struct cof_batch *b, const char *name, const char *rdata, int64_t time,
                const char *sensor)
{
  struct cof_record r = {.rrname = name,
                         .rrname_len = (uint16_t)strlen(name),
                         .rdata = rdata,
                         .rdata_len = (uint32_t)strlen(rdata),
                         .sensor_id = sensor,
                         .sensor_len = (uint16_t)(sensor != NULL ? strlen(sensor) : 0),
                         .rrtype = 1,
                         .time_first = time,
                         .time_last = time,
                         .count = 1};
  assert_non_null(cof_batch_add(b, &r));
}

static const struct cof_record *get(const struct window *w, const char *name)
{
  const struct cof_batch *b = window_batch(w);
  for (size_t i = 0; i < cof_batch_count(b); i++)
    if (strcmp(cof_batch_at(b, i)->rrname, name) == 0)
      return cof_batch_at(b, i);
  return NULL;
}

static void test_fold(void **state)
{
  (void)state;
  struct window *w = window_create(1000, 1 << 20);
  struct cof_batch *b = cof_batch_create();
  add(b, "a.example", "192.0.2.1", 50, "s1");
  add(b, "b.example", "192.0.2.1", 60, "s2");
  add(b, "a.example", "192.0.2.1", 40, "s2");
  add(b, "a.example", "192.0.2.1", 70, NULL);
  assert_true(cof_batch_ttl(b, 60, 4));
  cof_batch_at(b, 1)->observations = 7; /* an input has no say in it */
  cof_batch_at(b, 2)->observations = 7;
  struct window_counts counts = {0};
  size_t from = 0;
  assert_true(window_empty(w));
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_int_equal(counts.kept, 4);
  assert_int_equal(counts.folded, 2);
  const struct cof_record *a = get(w, "a.example");
  assert_int_equal(a->count, 3);
  assert_int_equal(a->observations, 3);
  assert_int_equal(a->time_first, 40);
  assert_int_equal(a->time_last, 70);
  assert_null(a->sensor_id);
  assert_int_equal(get(w, "b.example")->count, 1);
  assert_int_equal(get(w, "b.example")->observations, 1);
  const struct cof_ttl *ttls;
  assert_int_equal(cof_batch_ttls(window_batch(w), &ttls), 1);
  assert_int_equal(ttls[0].ttl, 60);
  assert_int_equal(ttls[0].hits, 4);
  const struct cof_tally *t;
  assert_int_equal(cof_batch_tallies(window_batch(w), &t), 2);
  assert_string_equal(t[1].sensor_id, "s2");
  assert_int_equal(t[1].records, 2);
  assert_int_equal(cof_batch_observations(window_batch(w)), 4);
  window_clear(w);
  assert_true(window_empty(w));
  assert_null(get(w, "a.example"));
  from = 0;
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_int_equal(get(w, "a.example")->count, 3);
  cof_batch_destroy(&b);
  window_destroy(&w);
  assert_null(w);
}

static void test_verdicts(void **state)
{
  (void)state;
  struct window *w = window_create(1000, 1 << 20);
  struct cof_batch *b = cof_batch_create();
  add(b, "a.example", "192.0.2.1", 50, "s1");
  add(b, "b.example", "192.0.2.1", 60, "s1");
  add(b, "c.example", "192.0.2.1", 60, "s1");
  cof_batch_at(b, 0)->verdict = COF_DROP;
  cof_batch_at(b, 2)->verdict = COF_REFUSE;
  struct window_counts counts = {0};
  size_t from = 0;
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_int_equal(counts.kept, 1);
  assert_int_equal(counts.filtered, 1);
  assert_int_equal(counts.rejected, 1);
  assert_int_equal(cof_batch_count(window_batch(w)), 1);
  assert_int_equal(cof_batch_observations(window_batch(w)), 1);
  cof_batch_destroy(&b);
  window_destroy(&w);
}

/* More tuples than a table of any of the sizes it grows to has room for, each seen twice. */
static void test_growth(void **state)
{
  (void)state;
  enum { NAMES = 150000 };
  struct window *w = window_create(NAMES + 1, 1 << 30);
  struct cof_batch *b = cof_batch_create();
  struct window_counts counts = {0};
  char name[32];
  for (int i = 0; i < NAMES; i++) {
    snprintf(name, sizeof name, "h%d.example", i);
    add(b, name, "192.0.2.1", i, NULL);
  }
  for (int round = 0; round < 2; round++) {
    size_t from = 0;
    assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
    assert_int_equal(counts.folded, round * NAMES);
  }
  assert_int_equal(cof_batch_count(window_batch(w)), NAMES);
  for (int i = 0; i < NAMES; i++) {
    const struct cof_record *r = cof_batch_at(window_batch(w), (size_t)i);
    snprintf(name, sizeof name, "h%d.example", i);
    assert_string_equal(r->rrname, name);
    assert_int_equal(r->count, 2);
    assert_int_equal(r->time_first, i);
  }
  assert_false(window_full(w));
  size_t from = 0;
  cof_batch_clear(b);
  add(b, "last.example", "192.0.2.1", 1, NULL);
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_true(window_full(w));
  assert_string_equal(get(w, "h19999.example")->rrname, "h19999.example");
  cof_batch_destroy(&b);
  window_destroy(&w);
}

static void test_bound(void **state)
{
  (void)state;
  struct window *w = window_create(3, 1 << 20);
  struct cof_batch *b = cof_batch_create();
  char name[32];
  for (int i = 0; i < 8; i++) {
    snprintf(name, sizeof name, "h%d.example", i);
    add(b, name, "192.0.2.1", i, NULL);
  }
  struct window_counts counts = {0};
  size_t from = 0, windows = 1;
  while (window_fold(w, b, &from, &counts) == WINDOW_FULL) {
    assert_int_equal(cof_batch_count(window_batch(w)), 3);
    window_clear(w);
    windows++;
  }
  assert_int_equal(windows, 3);
  assert_int_equal(cof_batch_count(window_batch(w)), 2);
  assert_int_equal(counts.kept, 8);
  cof_batch_destroy(&b);
  window_destroy(&w);
}

struct settled {
  uint64_t tokens[8];
  size_t count;
};

static void on_settled(void *arg, struct instance *input, uint64_t token)
{
  struct settled *s = arg;
  assert_null(input);
  s->tokens[s->count++] = token;
}

static void test_waiting(void **state)
{
  (void)state;
  struct window *w = window_create(3, 1 << 20);
  struct settled s = {.count = 0};
  assert_true(window_await(w, NULL, 7));
  assert_true(window_await(w, NULL, 3));
  assert_false(window_empty(w));
  window_settle(w, on_settled, &s);
  assert_int_equal(s.count, 2);
  assert_int_equal(s.tokens[0], 7);
  assert_int_equal(s.tokens[1], 3);
  window_clear(w);
  assert_true(window_empty(w));
  window_destroy(&w);
}

/* --- paths ----------------------------------------------------------------------------------- */

static void add_via(struct cof_batch *b, const char *name, uint32_t via)
{
  add(b, name, "192.0.2.1", 50, NULL);
  cof_batch_at(b, cof_batch_count(b) - 1)->via = via;
}

static uint64_t part_count(const struct window *w, const struct cof_record *whole, uint32_t via)
{
  uint64_t count = 0;
  for (const struct cof_record *p = window_part(w, whole); p != NULL; p = window_part(w, p)) {
    assert_string_equal(p->rrname, whole->rrname);
    assert_string_equal(p->rdata, whole->rdata);
    count += p->via == via ? p->count : 0;
  }
  return count;
}

static void test_paths(void **state)
{
  (void)state;
  struct window *w = window_create(1000, 1 << 20);
  struct cof_batch *b = cof_batch_create();
  static const uint32_t vias[] = {0, 3, 0, 5, 3, 3, COF_VIA_LOOPED, COF_VIA_MIXED};
  struct window_counts counts = {0};
  size_t from = 0;
  window_split(w);
  for (size_t i = 0; i < sizeof vias / sizeof *vias; i++)
    add_via(b, "a.example", vias[i]);
  add_via(b, "b.example", 3);
  add_via(b, "b.example", 3);
  cof_batch_at(b, 8)->parts = 17; /* an input has no say in it */
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_int_equal(counts.looped, 1);
  assert_int_equal(counts.kept, 9);
  const struct cof_record *a = get(w, "a.example"), *other = get(w, "b.example");
  assert_int_equal(a->via, COF_VIA_MIXED);
  assert_int_equal(a->count, 7);
  assert_int_equal(window_parts(w), 3);
  assert_int_equal(part_count(w, a, 0), 3);
  assert_int_equal(part_count(w, a, 3), 3);
  assert_int_equal(part_count(w, a, 5), 1);
  assert_int_equal(other->via, 3);
  assert_int_equal(other->count, 2);
  assert_null(window_part(w, other));
  window_clear(w);
  assert_int_equal(window_parts(w), 0);
  cof_batch_destroy(&b);
  window_destroy(&w);
}

static void test_paths_not_asked_for(void **state)
{
  (void)state;
  struct window *w = window_create(1000, 1 << 20);
  struct cof_batch *b = cof_batch_create();
  struct window_counts counts = {0};
  size_t from = 0;
  add_via(b, "a.example", 3);
  add_via(b, "a.example", 0);
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_int_equal(get(w, "a.example")->count, 2);
  assert_int_equal(window_parts(w), 0);
  cof_batch_destroy(&b);
  window_destroy(&w);
}

static uint64_t sight_count(const struct window *w, const char *name, const char *sensor)
{
  const struct cof_batch *b = window_batch(w);
  uint64_t count = 0;
  for (const struct cof_record *s = cof_batch_sights(b, get(w, name)); s != NULL;
       s = cof_batch_sights(b, s))
    count += strcmp(s->sensor_id, sensor) == 0 ? s->count : 0;
  return count;
}

/* What each sensor saw is kept beside the whole, and beside what came by each path. */
static void test_sensors(void **state)
{
  (void)state;
  struct window *w = window_create(1000, 1 << 20);
  struct cof_batch *b = cof_batch_create();
  struct window_counts counts = {0};
  size_t from = 0;
  window_by_sensor(w);
  window_split(w);
  add(b, "a.example", "192.0.2.1", 50, "s1");
  add(b, "a.example", "192.0.2.1", 40, "s2");
  add(b, "b.example", "192.0.2.1", 60, "s2");
  add(b, "a.example", "192.0.2.1", 70, "s1");
  add(b, "a.example", "192.0.2.1", 80, NULL);
  add(b, "c.example", "192.0.2.1", 80, NULL);
  add(b, "a.example", "192.0.2.1", 90, "s1");
  cof_batch_at(b, 3)->via = 3;
  cof_batch_at(b, 6)->verdict = COF_DROP;
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  const struct cof_record *a = get(w, "a.example");
  assert_int_equal(a->count, 4);
  assert_null(a->sensor_id);
  assert_int_equal(a->via, COF_VIA_MIXED);
  assert_int_equal(part_count(w, a, 0), 3);
  assert_int_equal(part_count(w, a, 3), 1);
  assert_int_equal(sight_count(w, "a.example", "s1"), 2);
  assert_int_equal(sight_count(w, "a.example", "s2"), 1);
  assert_int_equal(sight_count(w, "b.example", "s1"), 0);
  assert_int_equal(sight_count(w, "b.example", "s2"), 1);
  assert_null(cof_batch_sights(window_batch(w), get(w, "c.example")));
  const struct cof_record *s = cof_batch_sights(window_batch(w), get(w, "b.example"));
  assert_int_equal(s->time_first, 60);
  assert_int_equal(s->time_last, 60);
  window_clear(w);
  from = 3; /* s1 alone from here on */
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_int_equal(sight_count(w, "a.example", "s1"), 1);
  assert_int_equal(sight_count(w, "a.example", "s2"), 0);
  cof_batch_destroy(&b);
  window_destroy(&w);
}

static void test_sensors_not_asked_for(void **state)
{
  (void)state;
  struct window *w = window_create(1000, 1 << 20);
  struct cof_batch *b = cof_batch_create();
  struct window_counts counts = {0};
  size_t from = 0;
  add(b, "a.example", "192.0.2.1", 50, "s1");
  add(b, "a.example", "192.0.2.1", 50, "s2");
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_DONE);
  assert_null(cof_batch_sights(window_batch(w), get(w, "a.example")));
  cof_batch_destroy(&b);
  window_destroy(&w);
}

/* What they saw counts for the bound of a window. */
static void test_sensors_bound(void **state)
{
  (void)state;
  enum { SENSORS = 1000, BYTES = 64 * 1024 };
  struct window *w = window_create(1000000, BYTES);
  struct cof_batch *b = cof_batch_create();
  struct window_counts counts = {0};
  size_t from = 0;
  window_by_sensor(w);
  for (int i = 0; i < SENSORS; i++) {
    char sensor[16];
    snprintf(sensor, sizeof sensor, "s%d", i);
    add(b, "a.example", "192.0.2.1", 50, sensor);
  }
  assert_int_equal(window_fold(w, b, &from, &counts), WINDOW_FULL);
  assert_in_range(from, 100, BYTES / sizeof(struct cof_record));
  assert_int_equal(get(w, "a.example")->count, from);
  assert_int_equal(sight_count(w, "a.example", "s99"), 1);
  cof_batch_destroy(&b);
  window_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_paths_not_asked_for),
      cmocka_unit_test(test_fold),
      cmocka_unit_test(test_verdicts),
      cmocka_unit_test(test_growth),
      cmocka_unit_test(test_bound),
      cmocka_unit_test(test_waiting),
      cmocka_unit_test(test_sensors),
      cmocka_unit_test(test_sensors_not_asked_for),
      cmocka_unit_test(test_sensors_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
