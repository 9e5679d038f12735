/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compact_keys_private.h"

static struct cof_record record_of(const char *rrname, uint16_t type, const char *rdata)
{
  return (struct cof_record){.rrname = rrname,
                             .rrname_len = (uint16_t)strlen(rrname),
                             .rrtype = type,
                             .rdata = rdata,
                             .rdata_len = (uint32_t)strlen(rdata)};
}

static void names(void **state)
{
  (void)state;
  static const char *const list[] = {".", "com", "www.example.com", "\\000.\\001.x\\.y.com",
                                     "\\001\\000\\255.net"};
  uint8_t key[CK_NAME_MAX];
  char text[COF_NAME_MAX];
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    size_t len = ck_name(key, list[i], strlen(list[i]));
    assert_true(len > 0);
    assert_int_equal(ck_name_len(key, len), len);
    assert_int_equal(ck_name_len(key, len - 1), 0);
    assert_int_equal(ck_name_text(key, len, text), strlen(list[i]));
    assert_string_equal(text, list[i]);
  }
  assert_int_equal(ck_name(key, "example.com", 11), 13);
  assert_memory_equal(key, "com\0example\0\0", 13);
  assert_int_equal(ck_name(key, "a..b", 4), 0);
  assert_int_equal(ck_name_text((const uint8_t *)"a\001", 2, text), 0);
  assert_int_equal(ck_name_text((const uint8_t *)"a\001\003\0\0", 5, text), 0);
}

/* The longest name that there is: escapes double each octet. */
static void longest_name(void **state)
{
  (void)state;
  char name[COF_NAME_MAX], text[COF_NAME_MAX];
  uint8_t key[CK_NAME_MAX];
  size_t n = 0;
  for (int label = 0; label < 4; label++) {
    for (int i = 0; i < (label < 3 ? 63 : 61); i++)
      n += (size_t)sprintf(name + n, "\\001");
    if (label < 3)
      name[n++] = '.';
  }
  name[n] = '\0';
  size_t len = ck_name(key, name, n);
  assert_true(len > 500 && len <= CK_NAME_MAX);
  assert_int_equal(ck_name_text(key, len, text), n);
  assert_string_equal(text, name);
}

static void fields(void **state)
{
  (void)state;
  uint8_t key[4096], reverse[2 * CK_NAME_MAX + 3];
  const char *why = NULL;
  size_t group;
  struct ck_field f;
  struct cof_record r = record_of("www.example.com", COF_TYPE_A, "192.0.2.1");
  size_t len = ck_forward(key, &r, &group, &why);
  assert_int_equal(len, 17 + 2 + 4);
  assert_int_equal(group, 17);
  assert_memory_equal(key, "com\0example\0www\0\0\0\1\300\0\2\1", len);
  ck_field(&f, CK_FORWARD, key, len, group);
  assert_int_equal(f.flags, 0);
  assert_int_equal(f.len, len);
  assert_memory_equal(f.field, key, len);
  assert_ptr_equal(ck_field_type(CK_FORWARD, f.field, f.len), f.field + 17);
  size_t reverse_len = ck_reverse(reverse, &r, key, group, &group, &why);
  assert_int_equal(reverse_len, 5 + 17 + 2);
  assert_int_equal(group, 5);
  assert_memory_equal(reverse, "4\300\0\2\1com\0example\0www\0\0\0\1", reverse_len);
  r.rdata = "no address";
  r.rdata_len = 10;
  assert_int_equal(ck_forward(key, &r, &group, &why), 0);
  assert_non_null(why);
}

/* Key octets that a field and its tail hold between them. */
static void tails(void **state)
{
  (void)state;
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (size_t name_len = 1; name_len < 60; name_len++)
    for (size_t text = 1; text < 150; text++) {
      char name[64], rdata[160];
      uint8_t key[4096];
      size_t group;
      const char *why;
      struct ck_field f;
      for (size_t i = 0; i < name_len; i++)
        name[i] = letters[i % 36];
      name[name_len] = '\0';
      memset(rdata, 'x', text);
      rdata[text] = '\0';
      struct cof_record r = record_of(name, 65280, rdata);
      size_t len = ck_forward(key, &r, &group, &why);
      ck_field(&f, CK_FORWARD, key, len, group);
      assert_true(f.len <= CK_FIELD_MAX);
      const uint8_t *type = ck_field_type(CK_FORWARD, f.field, f.len);
      assert_memory_equal(type, "\377\0", 2);
      if (f.len < CK_FIELD_MAX) {
        assert_int_equal(f.len, len);
        continue;
      }
      size_t head = (f.flags & CK_LONG) != 0 ? CK_GROUP : CK_HEAD;
      assert_int_equal((f.flags & CK_LONG) != 0, group > CK_GROUP);
      assert_memory_equal(f.field, key, head);
      assert_int_equal(head + f.tail_len, len);
      assert_memory_equal(f.tail, key + head, f.tail_len);
      assert_int_equal((f.flags & CK_NEAR) != 0, f.tail_len <= CK_TAIL_NEAR);
      assert_int_equal((f.flags & CK_FAR) != 0, f.tail_len > CK_TAIL_NEAR);
      uint8_t prefix[CK_FIELD_MAX];
      size_t n = ck_group(prefix, key, group);
      assert_memory_equal(f.field, prefix, n);
    }
}

static void values(void **state)
{
  (void)state;
  static const struct cof_record list[] = {
      {.time_first = 0, .time_last = 0, .count = 0},
      {.time_first = 1657800000, .time_last = 1657800000, .count = 1},
      {.time_first = 5, .time_last = COF_TIME_MAX, .count = COF_COUNT_MAX},
      {.time_first = 0, .time_last = 0, .count = 1, .zones = 4},
      {.time_first = 5, .time_last = COF_TIME_MAX, .count = COF_COUNT_MAX, .zones = UINT32_MAX}};
  uint8_t out[CK_VALUE_MAX];
  struct ck_value v;
  struct ck_field f = {.flags = CK_NEAR, .tail = (const uint8_t *)"tail", .tail_len = 4};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    size_t len = ck_value_put(out, &list[i], &f);
    assert_true(ck_value_get(CK_FORWARD, out, len, &v));
    assert_int_equal(v.record.time_first, list[i].time_first);
    assert_int_equal(v.record.zones, list[i].zones);
    assert_int_equal(v.record.time_last, list[i].time_last);
    assert_int_equal(v.record.count, list[i].count);
    assert_int_equal(v.tail_len, 4);
    assert_memory_equal(v.tail, "tail", 4);
    for (size_t cut = 0; cut + 4 < len; cut++)
      assert_false(ck_value_get(CK_FORWARD, out, cut, &v));
  }
  f = (struct ck_field){.flags = 0};
  assert_int_equal(ck_value_put(out, &list[1], &f), 6);
  assert_int_equal(ck_pointer_put(out, 0, &f), 0);
  assert_true(ck_value_get(CK_REVERSE, out, 0, &v));
  size_t len = ck_pointer_put(out, 480000, &f);
  assert_true(ck_value_get(CK_REVERSE, out, len, &v));
  assert_int_equal(v.stamp, 480000);
  assert_false(ck_value_get(CK_REVERSE, (const uint8_t *)"\200", 1, &v));
  assert_false(ck_value_get(CK_REVERSE, (const uint8_t *)"\030", 1, &v));
  assert_false(ck_value_get(CK_REVERSE, (const uint8_t *)"\000x", 2, &v));
}

static void successors(void **state)
{
  (void)state;
  uint8_t key[4] = {'a', 0xff, 0xff};
  size_t len = 3;
  assert_true(ck_successor(key, &len));
  assert_int_equal(len, 1);
  assert_int_equal(key[0], 'b');
  key[0] = 0xff;
  assert_false(ck_successor(key, &len));
}

static void hostile_keys(void **state)
{
  (void)state;
  uint8_t key[64];
  srand(3);
  for (int i = 0; i < 100000; i++) {
    struct ck_pointer p;
    struct ck_record r;
    struct ck_value v;
    size_t len = (size_t)rand() % sizeof key;
    uint8_t *exact = malloc(len + 1);
    assert_non_null(exact);
    for (size_t j = 0; j < len; j++)
      exact[j] = (uint8_t)(rand() % 3 ? rand() % 4 : "46nt"[rand() % 4]);
    if (ck_reverse_split(exact, len, &p))
      assert_int_equal(1 + p.target_len + p.name_len + 2, len);
    if (ck_forward_split(exact, len, &r))
      assert_int_equal(r.name_len + 2 + r.rdata_len, len);
    if (ck_value_get(CK_FORWARD, exact, len, &v))
      assert_true(v.record.time_first <= v.record.time_last);
    free(exact);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(names),       cmocka_unit_test(longest_name),
                                     cmocka_unit_test(fields),      cmocka_unit_test(tails),
                                     cmocka_unit_test(values),      cmocka_unit_test(successors),
                                     cmocka_unit_test(hostile_keys)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name("compact-keys", tests, NULL, NULL);
}
