/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/record.h>

static struct cof_record record(const char *name, const char *rdata, const char *sensor)
{
  return (struct cof_record){.rrname = name,
                             .rrname_len = (uint16_t)strlen(name),
                             .rdata = rdata,
                             .rdata_len = (uint32_t)strlen(rdata),
                             .sensor_id = sensor,
                             .sensor_len = (uint16_t)(sensor != NULL ? strlen(sensor) : 0),
                             .rrtype = 1,
                             .time_first = 10,
                             .time_last = 20,
                             .count = 1};
}

static void test_add_copies(void **state)
{
  (void)state;
  struct cof_batch *b = cof_batch_create();
  char name[] = "www.example.com";
  struct cof_record r = record(name, "192.0.2.1", "s1");
  r.verdict = COF_DROP;
  assert_non_null(cof_batch_add(b, &r));
  memset(name, 'x', sizeof name - 1);
  const struct cof_record *got = cof_batch_at(b, 0);
  assert_string_equal(got->rrname, "www.example.com");
  assert_string_equal(got->rdata, "192.0.2.1");
  assert_string_equal(got->sensor_id, "s1");
  assert_int_equal(got->verdict, COF_KEEP);
  cof_batch_destroy(&b);
  assert_null(b);
  cof_batch_destroy(&b);
}

/* Of so many that the records themselves move several times, at last in huge pages. */
static void test_strings_never_move(void **state)
{
  (void)state;
  enum { RECORDS = 140000 };
  struct cof_batch *b = cof_batch_create();
  for (int round = 0; round < 3; round++) {
    const char *first = NULL;
    for (int i = 0; i < RECORDS; i++) {
      char name[64];
      snprintf(name, sizeof name, "host%d.example.com", i);
      struct cof_record r = record(name, "2001:db8::1", NULL);
      assert_non_null(cof_batch_add(b, &r));
      if (i == 0)
        first = cof_batch_at(b, 0)->rrname;
    }
    assert_ptr_equal(first, cof_batch_at(b, 0)->rrname);
    assert_string_equal(first, "host0.example.com");
    assert_string_equal(cof_batch_at(b, 19999)->rrname, "host19999.example.com");
    assert_string_equal(cof_batch_at(b, RECORDS - 1)->rrname, "host139999.example.com");
    assert_true(cof_batch_bytes(b) > RECORDS * sizeof(struct cof_record));
    cof_batch_clear(b);
    assert_int_equal(cof_batch_count(b), 0);
    assert_int_equal(cof_batch_bytes(b), 0);
  }
  cof_batch_destroy(&b);
}

static void test_large_strings(void **state)
{
  (void)state;
  struct cof_batch *b = cof_batch_create();
  static char big[COF_RDATA_MAX + 1];
  memset(big, 'a', COF_RDATA_MAX);
  for (int i = 0; i < 50; i++) {
    struct cof_record r = record("example.com", i % 2 != 0 ? "small" : big, NULL);
    assert_non_null(cof_batch_add(b, &r));
  }
  char *huge = cof_batch_alloc(b, 3000000);
  assert_non_null(huge);
  memset(huge, 'x', 3000001);
  for (size_t i = 0; i < 50; i++)
    assert_string_equal(cof_batch_at(b, i)->rdata, i % 2 != 0 ? "small" : big);
  cof_batch_destroy(&b);
}

static void test_tallies(void **state)
{
  (void)state;
  struct cof_batch *b = cof_batch_create();
  assert_true(cof_batch_tally(b, "a", 1, 2));
  assert_true(cof_batch_tally(b, "b", 1, 3));
  assert_true(cof_batch_tally(b, "a", 1, 5));
  assert_true(cof_batch_tally(b, NULL, 0, 7));
  const struct cof_tally *t;
  assert_int_equal(cof_batch_tallies(b, &t), 2);
  assert_string_equal(t[0].sensor_id, "a");
  assert_int_equal(t[0].records, 7);
  assert_int_equal(t[1].records, 3);
  assert_int_equal(cof_batch_observations(b), 17);
  cof_batch_clear(b);
  assert_int_equal(cof_batch_tallies(b, &t), 0);
  assert_int_equal(cof_batch_observations(b), 0);
  cof_batch_destroy(&b);
}

static void test_hash(void **state)
{
  (void)state;
  struct cof_record a = record("a.example", "b.example", NULL);
  struct cof_record b = a;
  assert_int_equal(cof_record_hash(&a), cof_record_hash(&b));
  b.time_first = 1;
  assert_int_equal(cof_record_hash(&a), cof_record_hash(&b));
  b.rrtype = 2;
  assert_int_not_equal(cof_record_hash(&a), cof_record_hash(&b));
  assert_false(cof_record_same(&a, &b));
  b = record("a.exampleb", ".example", NULL);
  assert_int_not_equal(cof_record_hash(&a), cof_record_hash(&b));
  assert_false(cof_record_same(&a, &b));
}

/* The stored count after a change, as struct cof_record defines it. */
static uint64_t apply(uint64_t n, const struct cof_record *r)
{
  n += r->count;
  return n > r->total ? n : r->total;
}

static void test_fold_is_composition(void **state)
{
  (void)state;
  static const struct {
    uint64_t count, total;
  } changes[] = {{1, 0}, {5, 0}, {0, 3}, {0, 9}, {0, 1}, {2, 7}};
  size_t n = sizeof changes / sizeof *changes;
  for (size_t i = 0; i < n * n * n; i++) {
    size_t pick[3] = {i % n, i / n % n, i / n / n};
    for (uint64_t stored = 0; stored < 12; stored++) {
      struct cof_record folded = record("a", "b", NULL);
      folded.count = changes[pick[0]].count;
      folded.total = changes[pick[0]].total;
      uint64_t expected = apply(stored, &folded);
      for (int k = 1; k < 3; k++) {
        struct cof_record later = record("a", "b", NULL);
        later.count = changes[pick[k]].count;
        later.total = changes[pick[k]].total;
        expected = apply(expected, &later);
        cof_record_fold(&folded, &later);
      }
      assert_int_equal(apply(stored, &folded), expected);
    }
  }
}

static void test_fold_bounds(void **state)
{
  (void)state;
  struct cof_record a = record("a", "b", NULL), b = a;
  b.time_first = 5;
  b.time_last = 15;
  a.count = COF_COUNT_MAX - 1;
  b.count = 5;
  cof_record_fold(&a, &b);
  assert_int_equal(a.time_first, 5);
  assert_int_equal(a.time_last, 20);
  assert_true(a.count == COF_COUNT_MAX);
  cof_record_fold(&a, &b);
  assert_true(a.count == COF_COUNT_MAX);
}

static void test_fold_zones(void **state)
{
  (void)state;
  struct cof_record a = record("a", "b", NULL), b = a;
  a.zones = 5;
  b.zones = 6;
  cof_record_fold(&a, &b);
  assert_int_equal(a.zones, 7);
  b.zones = 0;
  cof_record_fold(&a, &b);
  assert_int_equal(a.zones, 7);
}

/* A plugin that knew a record without its last field. */
static void test_older_record(void **state)
{
  (void)state;
  struct cof_record r = record("a", "b", NULL);
  r.zones = 3;
  struct cof_batch *b = cof_batch_create();
  const struct cof_record *added = cof_batch_add_sized(b, &r, offsetof(struct cof_record, zones));
  assert_non_null(added);
  assert_int_equal(added->zones, 0);
  assert_int_equal(added->count, r.count);
  assert_int_equal(cof_batch_add(b, &r)->zones, 3);
  cof_batch_destroy(&b);
}

static uint64_t ttl_hits(const struct cof_batch *b, uint32_t ttl)
{
  const struct cof_ttl *ttls;
  uint64_t hits = 0;
  size_t count = cof_batch_ttls(b, &ttls);
  for (size_t i = 0; i < count; i++)
    if (ttls[i].ttl == ttl) {
      assert_int_equal(hits, 0);
      hits = ttls[i].hits;
    }
  return hits;
}

static void test_ttls(void **state)
{
  (void)state;
  const struct cof_ttl *ttls;
  struct cof_batch *b = cof_batch_create();
  assert_int_equal(cof_batch_ttls(b, &ttls), 0);
  assert_true(cof_batch_ttl(b, 0, 1));
  assert_true(cof_batch_ttl(b, 299, 2));
  assert_true(cof_batch_ttl(b, 299, 3));
  assert_true(cof_batch_ttl(b, UINT32_MAX, 1));
  assert_int_equal(cof_batch_ttls(b, &ttls), 3);
  assert_int_equal(ttl_hits(b, 0), 1);
  assert_int_equal(ttl_hits(b, 299), 5);
  assert_int_equal(ttl_hits(b, UINT32_MAX), 1);
  cof_batch_clear(b);
  assert_int_equal(cof_batch_ttls(b, &ttls), 0);
  /* However many come, the batch stays small and none is lost. */
  for (uint32_t i = 0; i < 100000; i++)
    assert_true(cof_batch_ttl(b, 1000000 + i * 7919, 1));
  uint64_t sum = 0;
  size_t count = cof_batch_ttls(b, &ttls);
  assert_in_range(count, COF_TTLS_MAX, COF_TTLS_MAX + 33);
  for (size_t i = 0; i < count; i++)
    sum += ttls[i].hits;
  assert_int_equal(sum, 100000);
  assert_int_equal(ttl_hits(b, 1000000), 1);
  assert_true(ttl_hits(b, UINT32_C(1) << 28) > 1);
  cof_batch_destroy(&b);
}

static struct cof_record *add_named(struct cof_batch *b, const char *name)
{
  struct cof_record r = {.rrname = name,
                         .rrname_len = (uint16_t)strlen(name),
                         .rdata = "192.0.2.1",
                         .rdata_len = 9,
                         .rrtype = 1,
                         .time_first = 10,
                         .time_last = 20,
                         .count = 1,
                         .sights = 77}; /* whatever a plugin left in it */
  struct cof_record *added = cof_batch_add(b, &r);
  assert_non_null(added);
  return added;
}

static void see(struct cof_batch *b, struct cof_record *r, const char *sensor, int64_t time)
{
  struct cof_record *sight = cof_batch_sight(b, r, sensor, strlen(sensor));
  assert_non_null(sight);
  assert_string_equal(sight->rrname, r->rrname);
  cof_record_fold(sight, &(struct cof_record){.time_first = time, .time_last = time, .count = 2});
}

static void test_sights(void **state)
{
  (void)state;
  struct cof_batch *b = cof_batch_create();
  struct cof_record *one = add_named(b, "one.example");
  assert_null(cof_batch_sights(b, one));
  see(b, one, "x", 15);
  see(b, one, "xy", 17);
  see(b, one, "x", 12);
  assert_non_null(cof_batch_sight(b, one, "none", 4)); /* nothing is folded into it */
  uint64_t seen = 0;
  for (const struct cof_record *s = cof_batch_sights(b, one); s != NULL;
       s = cof_batch_sights(b, s)) {
    bool is_x = strcmp(s->sensor_id, "x") == 0;
    assert_true(is_x || strcmp(s->sensor_id, "xy") == 0);
    assert_int_equal(s->sensor_len, is_x ? 1 : 2);
    assert_int_equal(s->count, is_x ? 4 : 2);
    assert_int_equal(s->time_first, is_x ? 12 : 17);
    assert_int_equal(s->time_last, is_x ? 15 : 17);
    assert_true(cof_record_same(s, one));
    seen += s->count;
  }
  assert_int_equal(seen, 6);
  cof_batch_clear(b);
  assert_null(cof_batch_sights(b, add_named(b, "two.example")));
  cof_batch_destroy(&b);
}

/* Enough that their memory moves; what is longer than a sensor can be is cut off. */
static void test_many_sights(void **state)
{
  (void)state;
  enum { RECORDS = 700 };
  char name[32], longest[COF_SENSOR_MAX + 10];
  struct cof_batch *b = cof_batch_create();
  memset(longest, 's', sizeof longest);
  for (int i = 0; i < RECORDS; i++) {
    snprintf(name, sizeof name, "n%d.example", i);
    add_named(b, name);
  }
  size_t bytes = cof_batch_bytes(b);
  for (size_t i = 0; i < RECORDS; i++) {
    struct cof_record *r = cof_batch_at(b, i), *sight;
    see(b, r, "a", (int64_t)i);
    sight = cof_batch_sight(b, r, longest, sizeof longest);
    assert_non_null(sight);
    cof_record_fold(sight, r);
  }
  assert_true(cof_batch_bytes(b) >= bytes + 2 * RECORDS * sizeof(struct cof_record));
  for (size_t i = 0; i < RECORDS; i++) {
    const struct cof_record *s = cof_batch_sights(b, cof_batch_at(b, i));
    assert_int_equal(s->sensor_len, COF_SENSOR_MAX);
    assert_int_equal(strlen(s->sensor_id), COF_SENSOR_MAX);
    assert_true(cof_record_same(s, cof_batch_at(b, i)));
    s = cof_batch_sights(b, s);
    assert_int_equal(s->time_first, i);
    assert_null(cof_batch_sights(b, s));
  }
  cof_batch_destroy(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_add_copies),    cmocka_unit_test(test_strings_never_move),
      cmocka_unit_test(test_large_strings), cmocka_unit_test(test_tallies),
      cmocka_unit_test(test_hash),          cmocka_unit_test(test_fold_is_composition),
      cmocka_unit_test(test_fold_bounds),   cmocka_unit_test(test_ttls),
      cmocka_unit_test(test_fold_zones),    cmocka_unit_test(test_older_record),
      cmocka_unit_test(test_sights),        cmocka_unit_test(test_many_sights),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
