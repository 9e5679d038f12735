/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "value_private.h"

static void test_varints(void **state)
{
  (void)state;
  uint64_t back, values[130] = {0, UINT64_MAX};
  for (unsigned i = 0; i < 64; i++) {
    values[2 + 2 * i] = UINT64_C(1) << i;
    values[3 + 2 * i] = (UINT64_C(1) << i) - 1;
  }
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    uint8_t buf[VARINT_MAX];
    size_t len = varint_put(buf, values[i]);
    const uint8_t *p = buf;
    assert_true(len <= VARINT_MAX);
    assert_true(varint_get(&p, buf + len, &back));
    assert_ptr_equal(p, buf + len);
    assert_true(back == values[i]);
    p = buf;
    assert_false(varint_get(&p, buf + len - 1, &back));
    assert_ptr_equal(p, buf);
  }
}

static void test_varints_refused(void **state)
{
  (void)state;
  static const uint8_t longer[] = {0x80, 0x00}; /* 0, not in its shortest form */
  static const uint8_t above[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
  static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
  uint64_t v;
  const uint8_t *p = longer;
  assert_false(varint_get(&p, longer + sizeof longer, &v));
  p = above;
  assert_false(varint_get(&p, above + sizeof above, &v));
  p = endless;
  assert_false(varint_get(&p, endless + sizeof endless, &v));
}

static struct cof_record change(int64_t first, int64_t last, uint64_t count, uint64_t total)
{
  return (struct cof_record){
      .time_first = first, .time_last = last, .count = count, .total = total};
}

static void assert_same(const struct cof_record *a, const struct cof_record *b)
{
  assert_int_equal(a->time_first, b->time_first);
  assert_int_equal(a->time_last, b->time_last);
  assert_true(a->count == b->count);
  assert_true(a->total == b->total);
  assert_int_equal(a->zones, b->zones);
}

static void test_changes(void **state)
{
  (void)state;
  struct cof_record all[] = {change(0, 0, 1, 0),
                             change(1657800000, 1657800000, 1, 0),
                             change(1657800000, 1657800001, 2, 0),
                             change(5, COF_TIME_MAX, COF_COUNT_MAX, COF_COUNT_MAX),
                             change(COF_TIME_MAX, COF_TIME_MAX, 0, 7),
                             change(0, 0, 1, 0),
                             change(5, COF_TIME_MAX, COF_COUNT_MAX, COF_COUNT_MAX)};
  static const size_t lens[] = {2, 6, 8, 0, 0, 3, 0};
  all[5].zones = 4;
  all[6].zones = UINT32_MAX;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    uint8_t buf[CHANGE_MAX];
    struct cof_record back = {0};
    assert_true(change_valid(&all[i]));
    size_t len = change_put(buf, &all[i]);
    assert_true(len <= CHANGE_MAX);
    if (lens[i] != 0)
      assert_int_equal(len, lens[i]);
    assert_true(change_get(buf, len, &back));
    assert_same(&back, &all[i]);
    for (size_t cut = 0; cut < len; cut++)
      assert_false(change_get(buf, cut, &back));
    buf[len] = 0;
    assert_false(change_get(buf, len + 1, &back));
    buf[0] |= 16;
    assert_false(change_get(buf, len, &back));
  }
}

/* Zones of more bits than a record has. */
static void test_zones_refused(void **state)
{
  (void)state;
  static const uint8_t good[] = {8, 5, 0xff, 0xff, 0xff, 0xff, 0x0f};
  static const uint8_t bad[] = {8, 5, 0x80, 0x80, 0x80, 0x80, 0x10};
  struct cof_record r = {0};
  assert_true(change_get(good, sizeof good, &r));
  assert_true(r.zones == UINT32_MAX && r.time_first == 5 && r.count == 1);
  assert_false(change_get(bad, sizeof bad, &r));
}

static void test_changes_refused(void **state)
{
  (void)state;
  const struct cof_record bad[] = {
      change(-1, 0, 1, 0), change(2, 1, 1, 0), change(0, COF_TIME_MAX + 1, 1, 0),
      change(0, 0, COF_COUNT_MAX + 1, 0), change(0, 0, 0, COF_COUNT_MAX + 1)};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(change_valid(&bad[i]));
}

/* A database of its own with the merge operator. */
struct database {
  char path[512];
  rocksdb_options_t *options;
  rocksdb_writeoptions_t *write;
  rocksdb_readoptions_t *read;
  rocksdb_flushoptions_t *flush;
  rocksdb_t *db;
  char *error;
};

static int open_database(void **state)
{
  struct database *d = calloc(1, sizeof *d);
  assert_non_null(d);
  const char *parent = getenv("TMPDIR");
  snprintf(d->path, sizeof d->path, "%s/cofd-rocksdb-merge-XXXXXX",
           parent != NULL ? parent : "/tmp");
  assert_non_null(mkdtemp(d->path));
  d->options = rocksdb_options_create();
  rocksdb_options_set_create_if_missing(d->options, 1);
  rocksdb_options_set_merge_operator(d->options, value_merge_operator());
  d->write = rocksdb_writeoptions_create();
  d->read = rocksdb_readoptions_create();
  d->flush = rocksdb_flushoptions_create();
  d->db = rocksdb_open(d->options, d->path, &d->error);
  *state = d;
  return d->error != NULL;
}

static int close_database(void **state)
{
  struct database *d = *state;
  rocksdb_close(d->db);
  rocksdb_destroy_db(d->options, d->path, &d->error);
  rocksdb_flushoptions_destroy(d->flush);
  rocksdb_readoptions_destroy(d->read);
  rocksdb_writeoptions_destroy(d->write);
  rocksdb_options_destroy(d->options);
  int result = d->error != NULL;
  free(d->error);
  free(d);
  return result;
}

static struct cof_record random_change(void)
{
  int64_t first = rand() % 1000;
  struct cof_record c = change(first, first + rand() % 5, (uint64_t)(rand() % 4), 0);
  if (rand() % 3 == 0)
    c.total = (uint64_t)(rand() % 40);
  if (rand() % 30 == 0)
    c.count = COF_COUNT_MAX - 1;
  c.zones = rand() % 2 != 0 ? UINT32_C(1) << rand() % 32 : 0;
  return c;
}

/* The definition in struct cof_record. */
static void apply(struct cof_record *stored, const struct cof_record *c, bool fresh)
{
  uint64_t sum =
      stored->count + c->count < COF_COUNT_MAX ? stored->count + c->count : COF_COUNT_MAX;
  stored->count = sum > c->total ? sum : c->total;
  if (fresh || c->time_first < stored->time_first)
    stored->time_first = c->time_first;
  if (c->time_last > stored->time_last)
    stored->time_last = c->time_last;
  stored->zones |= c->zones;
}

/* Changes applied one by one through RocksDB itself, flushed and compacted at random moments so
   that full and partial merges happen. */
static void test_merge(void **state)
{
  struct database *d = *state;
  srand(3);
  for (unsigned round = 0; round < 60; round++) {
    char key[2] = {'F', (char)round};
    struct cof_record want = {0}, got = {0};
    for (int i = 0, n = 1 + rand() % 12; i < n; i++) {
      uint8_t buf[CHANGE_MAX];
      struct cof_record c = random_change();
      apply(&want, &c, i == 0);
      rocksdb_merge(d->db, d->write, key, 2, (char *)buf, change_put(buf, &c), &d->error);
      if (rand() % 3 == 0)
        rocksdb_flush(d->db, d->flush, &d->error);
      if (rand() % 5 == 0)
        rocksdb_compact_range(d->db, NULL, 0, NULL, 0);
      assert_null(d->error);
    }
    size_t len;
    char *value = rocksdb_get(d->db, d->read, key, 2, &len, &d->error);
    assert_null(d->error);
    assert_true(change_get((uint8_t *)value, len, &got));
    change_settle(&got);
    assert_same(&got, &want);
    rocksdb_free(value);
  }
}

static void test_merge_counters(void **state)
{
  struct database *d = *state;
  size_t len;
  for (char i = 1; i <= 3; i++)
    rocksdb_merge(d->db, d->write, "So", 2, &i, 1, &d->error);
  char *sum = rocksdb_get(d->db, d->read, "So", 2, &len, &d->error);
  assert_null(d->error);
  assert_int_equal(len, 1);
  assert_int_equal(sum[0], 6);
  rocksdb_free(sum);
}

static void test_merge_corrupt(void **state)
{
  struct database *d = *state;
  size_t len;
  rocksdb_merge(d->db, d->write, "Fbad", 4, "\377\377", 2, &d->error);
  assert_null(d->error);
  assert_null(rocksdb_get(d->db, d->read, "Fbad", 4, &len, &d->error));
  assert_non_null(d->error);
  assert_memory_equal(d->error, "Corruption", 10);
  rocksdb_free(d->error);
  d->error = NULL;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_varints),        cmocka_unit_test(test_varints_refused),
      cmocka_unit_test(test_changes),        cmocka_unit_test(test_changes_refused),
      cmocka_unit_test(test_zones_refused),  cmocka_unit_test(test_merge),
      cmocka_unit_test(test_merge_counters), cmocka_unit_test(test_merge_corrupt)};
  return cmocka_run_group_tests_name("rocksdb values", tests, open_database, close_database);
}
