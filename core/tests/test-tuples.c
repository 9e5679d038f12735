/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../checksum_private.h"
#include "../tuples_private.h"

#define CHECKSUM UINT64_C(0xbf798623f3b038c0)

static struct cof_record record(const char *name, uint16_t type, const char *rdata)
{
  return (struct cof_record){.rrname = name,
                             .rrname_len = (uint16_t)strlen(name),
                             .rrtype = type,
                             .rdata = rdata,
                             .rdata_len = (uint32_t)strlen(rdata),
                             .time_first = 5,
                             .time_last = 7,
                             .total = 3};
}

static void add(struct cof_batch *b, const struct cof_record *r)
{
  assert_non_null(cof_batch_add(b, r));
}

static void test_find(void **state)
{
  (void)state;
  struct tuples t = {.batch = NULL};
  struct cof_batch *b = cof_batch_create();
  struct cof_record probe = record("n5.example", 1, "192.0.2.1");
  assert_null(tuples_find(&t, &probe));
  for (int round = 0; round < 2; round++) { /* its memory is used again */
    int count = round == 0 ? 5000 : 10;
    cof_batch_clear(b);
    for (int i = 0; i < count; i++) {
      char name[32];
      snprintf(name, sizeof name, "n%d.example", i);
      struct cof_record r = record(name, 1, "192.0.2.1");
      add(b, &r);
    }
    assert_true(tuples_index(&t, b));
    assert_ptr_equal(tuples_find(&t, &probe), cof_batch_at(b, 5));
  }
  probe.rrtype = 2;
  assert_null(tuples_find(&t, &probe));
  probe = record("n11.example", 1, "192.0.2.1"); /* of the first round alone */
  assert_null(tuples_find(&t, &probe));
  tuples_free(&t);
  cof_batch_destroy(&b);
}

static void test_twice(void **state)
{
  (void)state;
  struct tuples t = {.batch = NULL};
  struct cof_batch *b = cof_batch_create();
  struct cof_record a = record("a.example", 1, "192.0.2.1"), other = record("b.example", 1, "x");
  struct cof_record again = a;
  again.total = 9;
  again.time_first = 2;
  add(b, &a);
  add(b, &other);
  add(b, &again);
  assert_true(tuples_index(&t, b));
  assert_int_equal(cof_batch_at(b, 0)->verdict, COF_KEEP);
  assert_int_equal(cof_batch_at(b, 0)->total, 9);
  assert_int_equal(cof_batch_at(b, 0)->count, 0);
  assert_int_equal(cof_batch_at(b, 0)->time_first, 2);
  assert_int_equal(cof_batch_at(b, 1)->verdict, COF_KEEP);
  assert_int_equal(cof_batch_at(b, 2)->verdict, COF_DROP);
  tuples_free(&t);
  cof_batch_destroy(&b);
}

/* It is kept in files, so it must never change; and every field counts. */
static void test_checksum(void **state)
{
  (void)state;
  struct cof_record r = record("a.example", 1, "192.0.2.1"), s = r;
  r.count = s.count = 3;
  uint64_t sum = checksum_record(&r);
  if (sum != CHECKSUM)
    fail_msg("checksum 0x%016llx", (unsigned long long)sum);
  s.count = 4;
  assert_true(checksum_record(&s) != sum);
  s = r;
  s.time_first = 4;
  assert_true(checksum_record(&s) != sum);
  s = r;
  s.time_last = 8;
  assert_true(checksum_record(&s) != sum);
  s = r;
  s.rrtype = 2;
  assert_true(checksum_record(&s) != sum);
  s = r;
  s.rdata_len--;
  assert_true(checksum_record(&s) != sum);
  s = r;
  s.rrname_len--;
  assert_true(checksum_record(&s) != sum);
  s = r;
  s.zones = 2;
  assert_true(checksum_record(&s) != sum);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_twice),
                                     cmocka_unit_test(test_checksum)};
  return cmocka_run_group_tests_name("tuples", tests, NULL, NULL);
}
