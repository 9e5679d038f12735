/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/wire.h>

static size_t unhex(const char *hex, uint8_t *out)
{
  size_t n = 0;
  unsigned value;
  for (; *hex != '\0'; hex += hex[0] == ' ' ? 1 : 2)
    if (*hex != ' ' && sscanf(hex, "%2x", &value) == 1)
      out[n++] = (uint8_t)value;
  return n;
}

static uint16_t type_of(const char *text)
{
  uint16_t rrtype = 0;
  assert_true(cof_rrtype_parse(text, strlen(text), &rrtype));
  return rrtype;
}

/* --- names ------------------------------------------------------------------------------------ */

struct name_sample {
  const char *hex;
  size_t at;
  const char *name; /* NULL: refused */
  size_t end;
};

static void test_names(void **state)
{
  (void)state;
  static const struct name_sample samples[] = {
      {"00", 0, ".", 1},
      {"03777777 07 4558616d506c65 00", 0, "www.example", 13},
      {"01 61 00 01 62 c000 ff", 3, "b.a", 7},
      {"01 61 00 c000 c003 ff", 5, "a", 7}, /* a pointer to a pointer */
      {"04 2e5c00ff 00", 0, "\\.\\\\\\000\\255", 6},
      {"c000", 0, NULL, 0},            /* to itself */
      {"01 61 c000", 0, NULL, 0},      /* around in a circle */
      {"c002 01 61 00", 0, NULL, 0},   /* forward */
      {"01 61 c004 c002", 4, NULL, 0}, /* back and forth */
      {"c0", 0, NULL, 0},
      {"40 61 00", 0, NULL, 0},
      {"80 61 00", 0, NULL, 0},
      {"03 6161", 0, NULL, 0},
      {"03 616161", 0, NULL, 0},
      {"", 0, NULL, 0},
      {"00", 5, NULL, 0},
  };
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    uint8_t msg[64];
    char out[COF_NAME_MAX];
    const struct name_sample *s = &samples[i];
    size_t len = unhex(s->hex, msg), at = s->at;
    size_t n = cof_name_from_message(msg, len, &at, out);
    assert_int_equal(n, s->name != NULL ? strlen(s->name) : 0);
    assert_int_equal(at, s->name != NULL ? s->end : s->at);
    if (s->name != NULL)
      assert_string_equal(out, s->name);
  }
}

/* 127 labels of one octet are 255 octets; one more is too many, also through a pointer. */
static void test_long_names(void **state)
{
  (void)state;
  uint8_t msg[600];
  char out[COF_NAME_MAX];
  size_t n = 0, at = 0;
  for (int i = 0; i < 127; i++) {
    msg[n++] = 1;
    msg[n++] = 0xff;
  }
  msg[n++] = 0;
  assert_int_equal(cof_name_from_message(msg, n, &at, out), 127 * 4 + 126);
  assert_int_equal(at, 255);
  memcpy(msg + n, "\001a\300\000", 4);
  at = n;
  assert_int_equal(cof_name_from_message(msg, n + 4, &at, out), 0);
  memcpy(msg + n, "\001a\300\002", 4);
  assert_int_equal(cof_name_from_message(msg, n + 4, &at, out), 1 + 1 + 126 * 4 + 125);
  memset(msg, 63, 4 * 64);
  msg[4 * 64] = 0;
  at = 0;
  assert_int_equal(cof_name_from_message(msg, 4 * 64 + 1, &at, out), 0);
}

/* Chains of pointers are work: their length is bounded. */
static void test_pointer_chain(void **state)
{
  (void)state;
  uint8_t msg[1 + 2 * 127] = {0};
  char out[COF_NAME_MAX];
  for (size_t i = 1; i + 2 <= sizeof msg; i += 2) {
    msg[i] = 0xc0;
    msg[i + 1] = (uint8_t)(i < 2 ? 0 : i - 2);
  }
  size_t at = sizeof msg - 4;
  assert_int_equal(cof_name_from_message(msg, sizeof msg, &at, out), 1);
  assert_string_equal(out, ".");
  assert_int_equal(at, sizeof msg - 2);
  assert_int_equal(cof_name_from_message(msg, sizeof msg, &at, out), 0);
}

/* --- rdata ------------------------------------------------------------------------------------ */

struct sample {
  const char *type, *hex, *text; /* NULL: refused */
};

#define PREFIX     "03777777 076578616d706c65 00" /* www.example. at 0, example. at 4 */
#define PREFIX_LEN 13

/* As text, and again as `\# n hex` where nothing is compressed. */
static void check(const struct sample *s, bool compressed)
{
  static char out[COF_RDATA_MAX + 1], again[COF_RDATA_MAX + 1], generic[4096];
  uint8_t msg[1024];
  struct cof_error err = {{0}};
  size_t head = unhex(PREFIX, msg), size = unhex(s->hex, msg + head), n, m;
  uint16_t rrtype = type_of(s->type);
  enum cof_result result =
      cof_rdata_from_message(rrtype, msg, head + size, head, size, out, sizeof out, &n, &err);
  if (s->text == NULL) {
    if (result == COF_OK)
      fail_msg("%s %s is taken: %s", s->type, s->hex, out);
    assert_string_not_equal(err.text, "");
    return;
  }
  if (result != COF_OK)
    fail_msg("%s %s: %s", s->type, s->hex, err.text);
  assert_string_equal(out, s->text);
  assert_int_equal(n, strlen(out));
  assert_int_equal(cof_rdata_canon(rrtype, out, n, again, sizeof again, &m, &err), COF_OK);
  assert_string_equal(again, out);
  if (n > 0) {
    result = cof_rdata_from_message(rrtype, msg, head + size, head, size, again, n, &m, &err);
    assert_int_equal(result, COF_REJECT);
    assert_non_null(strstr(err.text, "longer than"));
  }
  if (compressed)
    return;
  snprintf(generic, sizeof generic, "\\# %zu %s", size, s->hex);
  assert_int_equal(cof_rdata_canon(rrtype, generic, strlen(generic), again, sizeof again, &m, &err),
                   COF_OK);
  assert_string_equal(again, out);
}

static void check_all(const struct sample *samples, size_t count, bool compressed)
{
  for (size_t i = 0; i < count; i++)
    check(&samples[i], compressed);
}
#define CHECK_ALL(samples, compressed)                                                             \
  check_all(samples, sizeof samples / sizeof *samples, compressed)

static void test_every_type(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"A", "c0000201", "192.0.2.1"},
      {"AAAA", "20010db8000000000000000000000001", "2001:db8::1"},
      {"NS", "026e73 00", "ns"},
      {"CNAME", "00", "."},
      {"SOA", "016d00 016800 00000001 00000002 00000003 00000004 ffffffff",
       "m h 1 2 3 4 4294967295"},
      {"MX", "000a 024d58 00", "10 mx"},
      {"MX", "0000 00", "0 ."},
      {"TXT", "03 612262 00 04 015c20ff", "\"a\\\"b\" \"\" \"\\001\\\\ \\255\""},
      {"RP", "016100 00", "a ."},
      {"AFSDB", "0001 016100", "1 a"},
      {"SRV", "0001 0002 01bb 04 5f736970 00", "1 2 443 _sip"},
      {"NAPTR", "0064 000a 01 75 07 4532552b736970 02 2121 00",
       "100 10 \"u\" \"E2U+sip\" \"!!\" ."},
      {"KX", "0001 016100", "1 a"},
      {"CERT", "0001 0002 08 010203", "PKIX 2 8 AQID"},
      {"DNAME", "016100", "a"},
      {"APL", "0001 18 84 01020304", "!1:1.2.3.4/24"},
      {"DS", "1234 0d 02 abcdef", "4660 13 2 ABCDEF"},
      {"SSHFP", "0402 0a0b", "4 2 0A0B"},
      {"RRSIG", "0001 08 02 00000e10 60000000 50000000 1234 00 01",
       "A 8 2 3600 20210114082536 20120713110120 4660 . AQ=="},
      {"NSEC", "016100 0006400000000003", "a A RRSIG NSEC"},
      {"NSEC", "016100", "a"},
      {"NSEC", "016100 000100", "a"},
      {"NSEC", "016100 0006400000000003 010140", "a A RRSIG NSEC CAA"},
      {"DNSKEY", "0101 03 0d 01020304", "257 3 13 AQIDBA=="},
      {"DHCID", "010203", "AQID"},
      {"NSEC3", "01 00 0001 02 aabb 05 0001020304 00024001", "1 0 1 AABB 000g40o4 A MX"},
      {"NSEC3", "01 00 0001 00 01 ff 00024001", "1 0 1 - vs A MX"},
      {"NSEC3PARAM", "01 00 0001 00", "1 0 1 -"},
      {"TLSA", "03 01 01 aabbcc", "3 1 1 AABBCC"},
      {"OPENPGPKEY", "010203", "AQID"},
      {"CSYNC", "00000001 0003 000160", "1 3 A NS"},
      {"CSYNC", "00000001 0003", "1 3"},
      {"ZONEMD", "00000001 0101 aa", "1 1 1 AA"},
      {"SPF", "01 61", "\"a\""},
      {"EUI48", "010203040506", "01-02-03-04-05-06"},
      {"EUI64", "0102030405060708", "01-02-03-04-05-06-07-08"},
      {"NID", "0001 00144fff00000001", "1 0014:4FFF:0000:0001"},
      {"L32", "0001 c0000201", "1 192.0.2.1"},
      {"LP", "0001 016100", "1 a"},
      {"URI", "0001 0002 6874 7470", "1 2 \"http\""},
      {"CAA", "00 05 6973537565 2222", "0 issue \"\\\"\\\"\""},
      {"LOC", "00121612 80000000 80000000 00989680", "00 00 0.000 S 00 00 0.000 W 0m 1m 10000m 1m"},
      {"HINFO", "0161 0162", "\"a\" \"b\""},
      {"IPSECKEY", "01 03 02 016100 010203", "1 3 2 a AQID"},
      {"TYPE65280", "010203", "\\# 3 010203"},
      {"TYPE65280", "", "\\# 0"},
      /* Not of their type's form, and nothing in them could be a name. */
      {"TXT", "05 6161", "\\# 3 056161"},
      {"TLSA", "0301", "\\# 2 0301"},
      {"DS", "1234 0d 02", "\\# 4 12340D02"},
      {"CAA", "00 00", "\\# 2 0000"},
      {"NSEC3", "01 00 0001 00 00", "\\# 6 010000010000"},
  };
  CHECK_ALL(samples, false);
}

static void test_params(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"HTTPS", "0001 00", "1 ."},
      {"HTTPS", "0000 016100", "0 a"},
      {"HTTPS", "0001 00 0001 0006 02 6832 02 6833 0003 0002 01bb 0004 0004 c0000201",
       "1 . alpn=h2,h3 port=443 ipv4hint=192.0.2.1"},
      {"HTTPS", "0001 00 0000 0004 0001 0003 0001 0003 02 6832 0002 0000 0003 0002 0050",
       "1 . mandatory=alpn,port alpn=h2 no-default-alpn port=80"},
      {"SVCB", "0001 00 0005 0003 010203 0006 0010 20010db8000000000000000000000001",
       "1 . ech=AQID ipv6hint=2001:db8::1"},
      {"SVCB", "0001 00 0001 0004 03 612c5c", "1 . alpn=a\\\\,\\\\\\\\"},
      {"SVCB", "0001 00 ff00 0003 61 20 62", "1 . key65280=\"a b\""},
      {"SVCB", "0001 00 ff00 0002 00 ff", "1 . key65280=\\000\\255"},
  };
  static const struct sample refused[] = {
      {"HTTPS", "0001 00 0003 0002 01bb 0001 0003 02 6832", NULL}, /* order */
      {"HTTPS", "0001 00 0003 0002 01bb 0003 0002 01bb", NULL},    /* twice */
      {"HTTPS", "0001 00 0003 0003 01bb", NULL},
      {"HTTPS", "0001 00 0003 0001 01", NULL},
      {"HTTPS", "0001 00 0004 0003 c00002", NULL},
      {"HTTPS", "0001 00 0001 0003 05 6832", NULL},
      {"HTTPS", "0001 00 0002 0001 00", NULL},
      {"HTTPS", "0001 00 0003", NULL},
      {"HTTPS", "0001 00 ffff 0000", NULL},
  };
  CHECK_ALL(samples, false);
  CHECK_ALL(refused, true);
}

static void test_compressed(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"NS", "c000", "www.example"},
      {"CNAME", "01 61 c004", "a.example"},
      {"MX", "0001 c004", "1 example"},
      {"SOA", "c000 c004 00000001 00000002 00000003 00000004 00000005",
       "www.example example 1 2 3 4 5"},
      {"SRV", "0001 0002 0003 c000", "1 2 3 www.example"},
      {"NSEC", "c000 000140", "www.example A"},
      {"NS", "c00d", NULL},       /* to itself */
      {"NS", "01 61 c00d", NULL}, /* around */
      {"NS", "c0ff", NULL},       /* beyond the message */
      {"NS", "c000 00", NULL},    /* something follows */
      {"NS", "", NULL},
      {"A", "c00002", NULL},
      {"A", "c000020100", NULL},
      {"AAAA", "20010db8", NULL},
      {"MX", "00", NULL},
      {"MX", "0001", NULL},
      {"SOA", "c000 c004 00000001 00000002 00000003 00000004 000000", NULL},
      {"SRV", "0001 0002 0003", NULL},
      {"RRSIG", "0001 08 02 00000e10 60000000 50000000 1234 c004", NULL},
      {"NSEC", "c000 0000", NULL},
      {"NSEC", "c000 000140 000140", NULL},
      {"NSEC", "c000 0021 40", NULL},
      {"IPSECKEY", "01 03 02 c000 010203", NULL},
  };
  CHECK_ALL(samples, true);
}

static void test_bounds(void **state)
{
  (void)state;
  static const uint8_t msg[] = {0, 192, 0, 2, 1};
  char out[64];
  size_t n;
  struct cof_error err;
  assert_int_equal(cof_rdata_from_message(COF_TYPE_A, msg, 5, 2, 4, out, sizeof out, &n, &err),
                   COF_REJECT);
  assert_int_equal(cof_rdata_from_message(COF_TYPE_A, msg, 5, 6, 0, out, sizeof out, &n, &err),
                   COF_REJECT);
  assert_int_equal(
      cof_rdata_from_message(COF_TYPE_A, msg, 5, 1, SIZE_MAX, out, sizeof out, &n, &err),
      COF_REJECT);
  assert_int_equal(cof_rdata_from_message(COF_TYPE_A, msg, 5, 1, 4, out, 0, &n, &err), COF_REJECT);
  assert_int_equal(cof_rdata_from_message(COF_TYPE_A, msg, 5, 1, 4, out, sizeof out, &n, NULL),
                   COF_OK);
  assert_string_equal(out, "192.0.2.1");
}

/* The most octets that RDLENGTH can say. */
static void test_large(void **state)
{
  (void)state;
  static uint8_t msg[65535];
  static char out[COF_RDATA_MAX + 1];
  size_t n;
  struct cof_error err;
  memset(msg, 'a', sizeof msg);
  for (size_t i = 0; i < sizeof msg; i += 256)
    msg[i] = 255;
  msg[65280] = 254;
  assert_int_equal(cof_rdata_from_message(COF_TYPE_TXT, msg, sizeof msg, 0, sizeof msg, out,
                                          sizeof out, &n, &err),
                   COF_REJECT);
  assert_non_null(strstr(err.text, "longer than"));
  size_t size = 253 * 256;
  assert_int_equal(
      cof_rdata_from_message(COF_TYPE_TXT, msg, sizeof msg, 0, size, out, sizeof out, &n, &err),
      COF_OK);
  assert_int_equal(n, 253 * 258 - 1);
  assert_int_equal(
      cof_rdata_from_message(65280, msg, sizeof msg, 0, sizeof msg, out, sizeof out, &n, &err),
      COF_REJECT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),         cmocka_unit_test(test_long_names),
      cmocka_unit_test(test_pointer_chain), cmocka_unit_test(test_every_type),
      cmocka_unit_test(test_params),        cmocka_unit_test(test_compressed),
      cmocka_unit_test(test_bounds),        cmocka_unit_test(test_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
