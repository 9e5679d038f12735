/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sort_private.h"

#define COUNT 5000
#define LEN   200

static int compare(const void *a, const void *b)
{
  const struct item *x = a, *y = b;
  size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;
  int c = memcmp(x->key, y->key, len);
  return c != 0 ? c : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

/* `alphabet` octets, keys that are equal in the first `same` octets. */
static void check(size_t count, int alphabet, size_t same, size_t most)
{
  uint8_t *bytes = calloc(count + 1, LEN);
  struct item *items = calloc(count + 1, sizeof *items),
              *scratch = calloc(count + 1, sizeof *items), *want = calloc(count + 1, sizeof *items);
  assert_true(bytes != NULL && items != NULL && scratch != NULL && want != NULL);
  for (size_t i = 0; i < count; i++) {
    uint8_t *key = bytes + i * LEN;
    size_t len = same + (size_t)rand() % (most - same + 1);
    for (size_t j = same; j < len; j++)
      key[j] = (uint8_t)(rand() % alphabet);
    items[i] = (struct item){.key = key, .key_len = (uint32_t)len, .value_len = (uint32_t)i};
    want[i] = items[i];
  }
  qsort(want, count, sizeof *want, compare);
  items_sort(items, count, scratch);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(items[i].key_len, want[i].key_len);
    assert_memory_equal(items[i].key, want[i].key, want[i].key_len);
    assert_ptr_equal(items[i].key, bytes + (size_t)items[i].value_len * LEN);
  }
  free(bytes);
  free(items);
  free(scratch);
  free(want);
}

static void test_random(void **state)
{
  (void)state;
  srand(4);
  check(0, 256, 0, 10);
  check(1, 256, 0, 10);
  check(47, 256, 0, 30);
  check(COUNT, 256, 0, 30);
  check(COUNT, 2, 0, 30);
  check(COUNT, 2, 0, 9);
}

static void test_alike(void **state)
{
  (void)state;
  srand(5);
  check(COUNT, 3, 7, 20);
  check(COUNT, 3, 50, 60);
  check(COUNT, 2, 150, LEN);
  check(COUNT, 1, 0, LEN);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_alike)};
  return cmocka_run_group_tests_name("rocksdb sort", tests, NULL, NULL);
}
