/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/dns.h>

static bool parse(const char *text, uint16_t *rrtype)
{
  *rrtype = 0xbeef;
  return cof_rrtype_parse(text, strlen(text), rrtype);
}

static void test_known(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    uint16_t rrtype;
  } known[] = {
      {"A", 1},
      {"a", 1},
      {"NS", 2},
      {"ns", 2},
      {"CNAME", 5},
      {"cName", 5},
      {"SOA", 6},
      {"NULL", 10},
      {"PTR", 12},
      {"HINFO", 13},
      {"MX", 15},
      {"TXT", 16},
      {"NSAP", 22},
      {"NSAP-PTR", 23},
      {"nsap-ptr", 23},
      {"AAAA", 28},
      {"SRV", 33},
      {"NAPTR", 35},
      {"DNAME", 39},
      {"DS", 43},
      {"RRSIG", 46},
      {"NSEC", 47},
      {"DNSKEY", 48},
      {"NSEC3PARAM", 51},
      {"OPENPGPKEY", 61},
      {"ZONEMD", 63},
      {"SVCB", 64},
      {"HTTPS", 65},
      {"https", 65},
      {"DSYNC", 66},
      {"HHIT", 67},
      {"BRID", 68},
      {"SPF", 99},
      {"EUI64", 109},
      {"NXNAME", 128},
      {"ANY", 255},
      {"*", 255},
      {"URI", 256},
      {"CAA", 257},
      {"AMTRELAY", 260},
      {"RESINFO", 261},
      {"WALLET", 262},
      {"CLA", 263},
      {"IPN", 264},
      {"TA", 32768},
      {"DLV", 32769},
      {"TYPE0", 0},
      {"type65", 65},
      {"TYPE65535", 65535},
      {"65", 65},
      {"0", 0},
      {"65535", 65535},
  };
  uint16_t rrtype;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (!parse(known[i].text, &rrtype))
      fail_msg("not known: %s", known[i].text);
    assert_int_equal(rrtype, known[i].rrtype);
  }
}

static void test_refused(void **state)
{
  (void)state;
  static const char *const bad[] = {
      "",          "AA",          "AAAAA",
      "Reserved",  "Unassigned",  "TYPE",
      "TYPE65536", "TYPE-1",      "TYPE1 ",
      " A",        "A ",          "65536",
      "-1",        "1a",          "TYPE000001",
      "CNAMEX",    "NSEC3PARAMS", "**",
      "999999999", "TYPEA",       "A-QUITE-LONG-MNEMONIC-THAT-IS-NONE"};
  uint16_t rrtype;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (parse(bad[i], &rrtype))
      fail_msg("taken: %s", bad[i]);
  }
  assert_false(cof_rrtype_parse("A\0", 2, &rrtype));
  assert_false(cof_rrtype_parse("NSEC3\0", 6, &rrtype));
}

/* All 65536: what is written is read, in either case, and names the same number. */
static void test_every_number(void **state)
{
  (void)state;
  char text[COF_RRTYPE_TEXT_MAX], lower[COF_RRTYPE_TEXT_MAX];
  size_t mnemonics = 0;
  for (unsigned i = 0; i <= UINT16_MAX; i++) {
    uint16_t rrtype;
    const char *mnemonic = cof_rrtype_mnemonic((uint16_t)i);
    assert_ptr_equal(cof_rrtype_text((uint16_t)i, text), text);
    assert_true(parse(text, &rrtype));
    assert_int_equal(rrtype, i);
    for (size_t k = 0; k < sizeof lower; k++)
      lower[k] = text[k] >= 'A' && text[k] <= 'Z' ? (char)(text[k] - 'A' + 'a') : text[k];
    assert_true(parse(lower, &rrtype));
    assert_int_equal(rrtype, i);
    if (mnemonic == NULL)
      assert_int_equal(strncmp(text, "TYPE", 4), 0);
    else
      assert_string_equal(text, mnemonic);
    mnemonics += mnemonic != NULL;
  }
  /* 1 to 68 without 54, 99 to 109, 128, 249 to 264, 32768, 32769 */
  assert_int_equal(mnemonics, 67 + 11 + 1 + 16 + 2);
  assert_string_equal(cof_rrtype_text(54, text), "TYPE54");
  assert_string_equal(cof_rrtype_text(65535, text), "TYPE65535");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_every_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
