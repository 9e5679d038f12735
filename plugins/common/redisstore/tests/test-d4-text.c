/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "d4_cursor_private.h"

static struct d4_text text(const char *s)
{
  return (struct d4_text){s, strlen(s)};
}

static void written_forms(void **state)
{
  static const struct {
    uint16_t type;
    const char *rdata, *v;
  } cases[] = {
      {COF_TYPE_A, "192.0.2.1", "192.0.2.1"},
      {COF_TYPE_MX, ".", ""},
      {COF_TYPE_MX, "0 .", "0 ."},
      {COF_TYPE_MX, "10 mx.example", "10 mx.example"},
      {COF_TYPE_TXT, "\"V=SPF1 -all\"", "v=spf1 -all\""},
      {COF_TYPE_TXT, "\"A\" \"b\"", "a\" \"b\""},
      {COF_TYPE_SPF, "\"V=SPF1 -all\"", "\"v=spf1 -all\""},
      {43, "1 2 3 ABCD", "1 2 3 abcd"},
  };
  char out[128];
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t len = d4_rdata_put(cases[i].type, cases[i].rdata, strlen(cases[i].rdata), out);
    assert_int_equal(len, strlen(cases[i].v));
    assert_memory_equal(out, cases[i].v, len);
  }
}

static void read_forms(void **state)
{
  static const struct {
    uint16_t type;
    const char *v, *rdata; /* NULL: no record */
  } cases[] = {
      {COF_TYPE_TXT, "v=spf1 -all\"", "\"v=spf1 -all\""},
      {COF_TYPE_TXT, "\"v=spf1 -all\"", "\"v=spf1 -all\""},
      {COF_TYPE_TXT, "v=spf1", "\"v=spf1\""},
      {COF_TYPE_TXT, "a\" \"b\"", "\"a\" \"b\""},
      {COF_TYPE_TXT, "nxdomain", "\"nxdomain\""},
      {COF_TYPE_A, "nxdomain", NULL},
      {COF_TYPE_NS, "NXDOMAIN", NULL},
      {COF_TYPE_CNAME, "servfail", NULL},
      {COF_TYPE_PTR, "unknown-error-17", NULL},
      {COF_TYPE_MX, "", "."},
      {COF_TYPE_NS, "", "."},
      {COF_TYPE_A, "", NULL},
      {COF_TYPE_TXT, "", NULL},
      {COF_TYPE_A, " 192.0.2.1 ", "192.0.2.1"},
      {COF_TYPE_AAAA, "2001:DB8:0:0::1", "2001:db8::1"},
      {COF_TYPE_NS, "NS1.Example.", "ns1.example"},
  };
  char *out = malloc(COF_RDATA_MAX + 1);
  size_t len;
  (void)state;
  assert_non_null(out);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool good = d4_rdata_get(cases[i].type, text(cases[i].v), out, &len);
    if (good != (cases[i].rdata != NULL))
      fail_msg("'%s' of type %u", cases[i].v, cases[i].type);
    if (good)
      assert_string_equal(out, cases[i].rdata);
  }
  free(out);
}

static void numbers(void **state)
{
  static const struct {
    const char *text;
    bool good, plain;
    uint64_t n;
  } cases[] = {{"1657878272", true, true, 1657878272},
               {"1657878272.5", true, false, 1657878272},
               {"0", true, true, 0},
               {"007", true, false, 7},
               {" 12", true, false, 12},
               {"99999999999999999999999", true, false, INT64_MAX},
               {"-5", false, false, 0},
               {"None", false, false, 0},
               {"", false, false, 0},
               {"12x", false, false, 0}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t n = 0;
    size_t len = strlen(cases[i].text);
    assert_int_equal(d4_number_get(cases[i].text, len, INT64_MAX, &n), cases[i].good);
    assert_int_equal(n, cases[i].n);
    assert_int_equal(d4_number_plain(cases[i].text, len), cases[i].plain);
  }
}

static void keys(void **state)
{
  static const struct {
    const char *key, *name; /* NULL: not of that form */
    uint16_t type;
  } cases[] = {{"r:www.example.com:1", "www.example.com", 1},
               {"r:a:b:28", "a:b", 28},
               {"r:x:65535", "x", 65535},
               {"r:x:65536", NULL, 0},
               {"r:x:A", NULL, 0},
               {"r:x:", NULL, 0},
               {"r:x", NULL, 0},
               {"v:x:1", NULL, 0}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct d4_text name = {NULL, 0};
    uint16_t type = 0;
    assert_int_equal(d4_key_split(cases[i].key, strlen(cases[i].key), &name, &type),
                     cases[i].name != NULL);
    if (cases[i].name == NULL)
      continue;
    assert_int_equal(name.len, strlen(cases[i].name));
    assert_memory_equal(name.at, cases[i].name, name.len);
    assert_int_equal(type, cases[i].type);
  }
}

static bool has_form(const struct d4_forms *f, const char *form)
{
  for (size_t i = 0; i < f->count; i++)
    if (f->forms[i].len == strlen(form) && memcmp(f->forms[i].at, form, strlen(form)) == 0)
      return true;
  return false;
}

static void spellings(void **state)
{
  struct d4_forms f;
  (void)state;
  assert_true(d4_name_forms("www.example", 11, &f));
  assert_int_equal(f.count, 2);
  assert_true(has_form(&f, "www.example") && has_form(&f, "www.example."));
  free(f.block);
  assert_true(d4_name_forms("a\\195\\168\\.b", 12, &f));
  assert_int_equal(f.count, 3);
  assert_true(has_form(&f, "a\303\250.b"));
  free(f.block);
  assert_true(d4_rdata_forms(COF_TYPE_TXT, "\"Ab\"", 4, &f));
  assert_int_equal(f.count, 6);
  assert_true(has_form(&f, "ab\"") && has_form(&f, "\"ab\"") && has_form(&f, "ab"));
  assert_true(has_form(&f, "Ab\"") && has_form(&f, "\"Ab\"") && has_form(&f, "Ab"));
  free(f.block);
  assert_true(d4_rdata_forms(COF_TYPE_NS, ".", 1, &f));
  assert_int_equal(f.count, 2);
  assert_true(has_form(&f, "") && has_form(&f, "."));
  free(f.block);
}

static void tokens(void **state)
{
  struct d4_place place = {.source_hash = 5, .source_type = 6, .rrtype = 7, .streaming = true},
                  back;
  struct cof_error err;
  uint8_t buf[256];
  (void)state;
  place.texts[PLACE_NAME] = text("www.example");
  place.texts[PLACE_RDATA] = text("192.0.2.1");
  place.texts[PLACE_CURSOR] = text("17");
  size_t len = d4_place_put(&place, 99, buf, sizeof buf);
  assert_true(len != 0);
  assert_int_equal(d4_place_put(&place, 99, buf, len - 1), 0);
  memset(&back, 0, sizeof back);
  assert_int_equal(d4_place_get(&back, 98, buf, len, &err), COF_REJECT);
  for (size_t cut = 0; cut < len; cut++) {
    memset(&back, 0, sizeof back);
    assert_int_equal(d4_place_get(&back, 99, buf, cut, &err), COF_REJECT);
  }
  memset(&back, 0, sizeof back);
  assert_int_equal(d4_place_get(&back, 99, buf, len, &err), COF_OK);
  assert_int_equal(back.source_hash, 5);
  assert_int_equal(back.rrtype, 7);
  assert_int_equal(back.texts[PLACE_RDATA].len, 9);
  assert_memory_equal(back.texts[PLACE_RDATA].at, "192.0.2.1", 9);
  free(back.block);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(written_forms), cmocka_unit_test(read_forms), cmocka_unit_test(numbers),
      cmocka_unit_test(keys),          cmocka_unit_test(spellings),  cmocka_unit_test(tokens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
