/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cofd/dns.h>

struct sample {
  const char *type, *text, *canonical; /* canonical NULL: as the text */
};

static uint16_t type_of(const char *text)
{
  uint16_t rrtype = 0;
  assert_true(cof_rrtype_parse(text, strlen(text), &rrtype));
  return rrtype;
}

static void check(const char *type, const char *text, size_t len, const char *canonical)
{
  static char out[COF_RDATA_MAX + 1], again[COF_RDATA_MAX + 1];
  struct cof_error err = {{0}};
  size_t n, m;
  uint16_t rrtype = type_of(type);
  if (cof_rdata_canon(rrtype, text, len, out, sizeof out, &n, &err) != COF_OK)
    fail_msg("%s %s: %s", type, text, err.text);
  assert_string_equal(out, canonical);
  assert_int_equal(n, strlen(out));
  assert_int_equal(cof_rdata_canon(rrtype, out, n, again, n + 1, &m, &err), COF_OK);
  assert_string_equal(again, out);
  assert_int_equal(cof_rdata_canon(rrtype, out, n, again, n, &m, &err), COF_REJECT);
  if (strstr(err.text, "longer than") == NULL)
    fail_msg("%s %s: %s", type, out, err.text);
}

static void check_all(const struct sample *samples, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    const struct sample *s = &samples[i];
    check(s->type, s->text, strlen(s->text), s->canonical != NULL ? s->canonical : s->text);
  }
}
#define CHECK_ALL(samples) check_all(samples, sizeof samples / sizeof *samples)

static void test_addresses(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"A", "192.0.2.1", NULL},
      {"A", " 192.0.2.1\r\n", "192.0.2.1"},
      {"AAAA", "2a02:250:0:8::53", NULL},
      {"AAAA", "2A02:0250:0:8:0:0:0:53", "2a02:250:0:8::53"},
      {"AAAA", "::FFFF:192.0.2.1", "::ffff:192.0.2.1"},
  };
  CHECK_ALL(samples);
}

static void test_names_and_numbers(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"NS", "a.root-servers.net", NULL},
      {"NS", "A.ROOT-SERVERS.NET.", "a.root-servers.net"},
      {"NS", "foo\\ ", "foo\\032"},
      {"CNAME", "a\\.b.example", NULL},
      {"PTR", ".", NULL},
      {"DNAME", "Example.ORG.", "example.org"},
      {"MB", "Mb.Example.", "mb.example"},
      {"MX", "10 mail.example.com", NULL},
      {"MX", "010\t  Mail.Example.COM. ", "10 mail.example.com"},
      {"MX", "0 .", NULL},
      {"MX", "00000000000000065535 .", "65535 ."},
      {"MX", ".", NULL},
      {"MX", "Mail.Example.COM.", "mail.example.com"},
      {"MX", "10", NULL},
      {"MX", "10 a\\ b.c", "10 a\\032b.c"},
      {"KX", "1 a", NULL},
      {"AFSDB", "1 A.", "1 a"},
      {"SRV", "0 5 5060 SIP.example.com.", "0 5 5060 sip.example.com"},
      {"SRV", "SIP.example.com.", "sip.example.com"},
      {"SOA", "a.root-servers.net nstld.verisign-grs.com 2018031200 1800 900 604800 86400", NULL},
      {"SOA", "A.x. B.x. 01 02 03 04 4294967295", "a.x b.x 1 2 3 4 4294967295"},
      {"SOA", "A.Root-Servers.Net.", "a.root-servers.net"},
      {"RP", "Admin.Example. .", "admin.example ."},
      {"RP", "Admin.Example.", "admin.example"},
      {"PX", "10 A.b. c", "10 a.b c"},
      {"MINFO", "a B", "a b"},
  };
  CHECK_ALL(samples);
}

static void test_texts(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"TXT", "\"v=spf1 -all\"", NULL},
      {"TXT", "v=spf1 -all", "\"v=spf1 -all\""},
      {"TXT", "", "\"\""},
      {"TXT", "\"\"", NULL},
      {"TXT", "\"", "\"\""},
      {"TXT", "abc\"", "\"abc\""},
      {"TXT", "\"abc", "\"abc\""},
      {"TXT", "a\" \"b\"", "\"a\" \"b\""},
      {"TXT", "\"a\" \"b\"", NULL},
      {"TXT", "\"a\"\t\"b\"", "\"a\" \"b\""},
      {"TXT", "\"a\"\"b\"", "\"a\" \"b\""},
      {"TXT", "\"a\" b", "\"a\" \"b\""},
      {"TXT", "say \"hi\"", "\"say \\\"hi\\\"\""},
      {"TXT", "5\" disk", "\"5\\\" disk\""},
      {"TXT", "\"a  B\"", NULL},
      {"TXT", "\"\\\"\\\\\"", NULL},
      {"TXT", "\"\\065\\010\\255\"", "\"A\\010\\255\""},
      {"TXT", "\"\\;\\a\"", "\";a\""},
      {"TXT", "\"\xc3\xbc\t\"", "\"\\195\\188\\009\""},
      {"TXT", "\\", "\"\\\\\""},
      {"TXT", "\\256\\1", "\"\\\\256\\\\1\""},
      {"TXT", "\\# 3 026162", "\"ab\""},
      {"TXT", "\\# 4 01610162", "\"a\" \"b\""},
      {"TXT", "\\# 0", "\"\""},
      {"TXT", "\\# 2 0561", NULL},
      {"TXT", "\\# x", "\"# x\""},
      {"SPF", "v=spf1 -all", "\"v=spf1 -all\""},
  };
  CHECK_ALL(samples);
  check("TXT", "a\0b", 3, "\"a\\000b\"");
}

static void test_long_text(void **state)
{
  (void)state;
  static char text[COF_RDATA_MAX + 8], out[COF_RDATA_MAX + 1];
  struct cof_error err;
  size_t n;
  memset(text, 'x', sizeof text);
  assert_int_equal(cof_rdata_canon(16, text, COF_RDATA_MAX - 2, out, sizeof out, &n, &err), COF_OK);
  assert_int_equal(n, COF_RDATA_MAX);
  assert_int_equal(cof_rdata_canon(16, out, n, text, sizeof text, &n, &err), COF_OK);
  assert_memory_equal(text, out, n + 1);
  memset(text, 'x', sizeof text);
  assert_int_equal(cof_rdata_canon(16, text, COF_RDATA_MAX - 1, out, sizeof out, &n, &err),
                   COF_REJECT);
  assert_string_equal(err.text, "rdata of TXT is longer than 65535 octets in canonical form");
  assert_int_equal(cof_rdata_canon(16, "a", 1, out, 0, &n, &err), COF_REJECT);
  assert_int_equal(cof_rdata_canon(1, "192.0.2.1", 9, out, 5, &n, &err), COF_REJECT);
  assert_string_equal(err.text, "rdata of A is longer than 4 octets in canonical form");
}

#define DS_COM "30909 8 2 E2D3C916F6DEEAC73294E8268FB5885044A833FC5459588F4A9184CFC41A5766"
#define KEY                                                                                        \
  "AwEAAagAIKlVZrpC6Ia7gEzahOR+9W29euxhJhVVLOyQbSEW0O8gcCjFFVQUTf6v58fLjwBd0YI0EzrAcQqBGCzh/RSt"   \
  "IoO8g0NfnfL2MTJRkxoXbfDaUeVPQuYEhg37NZWAJQ9VnMVDxP/VHL496M/QZxkjf5/Efucp2gaDX6RS6CXpoY68LsvP"   \
  "VjR0ZSwzz1apAzvN9dlzEheX7ICJBBtuA6G3LQpzW5hOA2hzCTMjJPJ8LbqF6dsV6DoBQzgul0sGIcGOYl7OyQdXfZ57"   \
  "relSQageu+ipAdTTJ25AsRTAoub8ONGcLmqrAmRLKBP1dfwhYB4N7knNnulqQxA+Uk1ihz0="

static void test_dnssec(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"DS", DS_COM, NULL},
      {"DS", "21707 8 1 6d92dd0d0db0e392fa9d5f08 ea15bbd297b8cbe2",
       "21707 8 1 6D92DD0D0DB0E392FA9D5F08EA15BBD297B8CBE2"},
      {"DS", "1 RSASHA256 1 ab", "1 8 1 AB"},
      {"CDS", "0 0 0 00", NULL},
      {"DLV", "1 8 1 ab", "1 8 1 AB"},
      {"TA", "1 8 1 ab", "1 8 1 AB"},
      {"DS", "\\# 6 00010801abcd", "1 8 1 ABCD"},
      {"DNSKEY", "257 3 8 " KEY, NULL},
      {"DNSKEY", "256  3 RSASHA256 AAAA BBBB", "256 3 8 AAAABBBB"},
      {"DNSKEY", "256 3 8 AAA", NULL},
      {"DNSKEY", "256 3 8 AAB=", NULL},
      {"NSEC", "aaa. NS SOA RRSIG NSEC DNSKEY", "aaa NS SOA RRSIG NSEC DNSKEY"},
      {"NSEC", "Aaa SOA NS TYPE1234 TYPE1 NS", "aaa A NS SOA TYPE1234"},
      {"NSEC", "aaa", NULL},
      {"NSEC", "\\# 13 03616161000006400000000003", "aaa A RRSIG NSEC"},
      {"NSEC3", "1 0 10 aabb 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A RRSIG",
       "1 0 10 AABB 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A RRSIG"},
      {"NSEC3PARAM", "1 0 10 -", NULL},
      {"RRSIG", "A 8 2 300 20180312000000 20180301000000 1234 Example.com. AAAA BBBB",
       "A 8 2 300 20180312000000 20180301000000 1234 example.com AAAABBBB"},
      {"RRSIG", "TYPE1 8 2 300 1520812800 1519862400 1234 . AAAA",
       "A 8 2 300 20180312000000 20180301000000 1234 . AAAA"},
  };
  CHECK_ALL(samples);
}

static void test_services(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"HTTPS", "1 . alpn=h3,h2 ipv4hint=192.0.2.1", NULL},
      {"HTTPS", "1  . ALPN=\"h3,h2\"  ", "1 . alpn=h3,h2"},
      {"HTTPS", "0 Foo.Example.", "0 foo.example"},
      {"HTTPS", "1 . ipv6hint=2001:DB8:0::1 alpn=h2 port=0443 no-default-alpn",
       "1 . alpn=h2 no-default-alpn port=443 ipv6hint=2001:db8::1"},
      {"SVCB", "16 foo.example key65333=\"a b\\\"\" key667=hello",
       "16 foo.example key667=hello key65333=\"a b\\\"\""},
      {"SVCB", "1 foo.example dohpath=/dns-query{?dns}", NULL},
      {"SVCB", "1 foo.example key7=/q{?dns}", "1 foo.example dohpath=/q{?dns}"},
      {"SVCB", "1 . alpn=\"f\\\\\\\\oo\\\\,bar\"", "1 . alpn=f\\\\\\\\oo\\\\,bar"},
      {"SVCB", "1 . alpn=h2 alpn=h3", NULL},
      {"SVCB", "1 Foo. ipv4hint=nonsense", NULL},
      {"HTTPS", "\\# 21 000100000100060268330268320004000468100101",
       "1 . alpn=h3,h2 ipv4hint=104.16.1.1"},
      {"NAPTR", "100 10 u E2U+sip \"!^.*$!sip:a b@y!\" Foo.",
       "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a b@y!\" foo"},
      {"CAA", "0 Issue letsencrypt.org", "0 issue \"letsencrypt.org\""},
      {"CAA", "128 issue \"ca.example; a=B\"", NULL},
      {"TLSA", "3 1 1 0d6f ce33", "3 1 1 0D6FCE33"},
      {"SSHFP", "4 2 ab", "4 2 AB"},
      {"URI", "10 1 http://x/", "10 1 \"http://x/\""},
  };
  CHECK_ALL(samples);
}

static void test_rare(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"HINFO", "PC \"Li nux\"", "\"PC\" \"Li nux\""},
      {"CERT", "PGP 1 RSASHA1 AAAA", "PGP 1 5 AAAA"},
      {"CERT", "3 1 5 AAAA", "PGP 1 5 AAAA"},
      {"LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
       "52 22 23.000 N 04 53 32.000 E -2m 0.00m 10000m 10m"},
      {"APL", "1:192.0.2.0/24 !2:2001:DB8::/32", "1:192.0.2.0/24 !2:2001:db8::/32"},
      {"APL", "\\# 0", NULL},
      {"IPSECKEY", "10 1 2 192.0.2.38 AAAA", NULL},
      {"IPSECKEY", "10 3 0 Mygateway.Example.", "10 3 0 mygateway.example"},
      {"IPSECKEY", "10 2 2 2001:0DB8::1 AAAA", "10 2 2 2001:db8::1 AAAA"},
      {"AMTRELAY", "10 0 3 Relay.Example.", "10 0 3 relay.example"},
      {"AMTRELAY", "10 1 0 .", NULL},
      {"HIP", "2 200100107b1a AwEA Rvs.x. b.", "2 200100107B1A AwEA rvs.x b"},
      {"EUI48", "00-00-5e-00-53-2a", "00-00-5E-00-53-2A"},
      {"EUI64", "00-00-5e-ef-10-00-00-2a", "00-00-5E-EF-10-00-00-2A"},
      {"NID", "10 14:4fff:ff20:ee64", "10 0014:4FFF:FF20:EE64"},
      {"L32", "10 192.0.2.1", NULL},
      {"CSYNC", "66 3 A NS", NULL},
      {"ZONEMD", "1 1 1 ab", "1 1 1 AB"},
  };
  CHECK_ALL(samples);
}

static void test_free_text(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"DS", "just  some\ttext", "just some text"},
      {"DS", "30909 8", NULL},
      {"WKS", "10.0.0.1 TCP  smtp", "10.0.0.1 TCP smtp"},
      {"TYPE65280", "foo   \"b  ar\"  x", "foo \"b  ar\" x"},
      {"TYPE65280", "\xff\x01", "\\255\\001"},
      {"TYPE65280", "a\\\tb", "a\\009b"},
      {"TYPE65280", "\\# 3 ab cdEF", "\\# 3 ABCDEF"},
      {"TYPE65280", "\\# 0", NULL},
      {"TYPE65280", "\\# 2 abcdef", NULL},
      {"TYPE65280", "\\# 2 abc", NULL},
      {"SVCB", "\\# 4 0001c000", "\\# 4 0001C000"},
  };
  CHECK_ALL(samples);
}

static void test_wire_forms(void **state)
{
  (void)state;
  static const struct sample samples[] = {
      {"A", "\\# 4 C0000201", "192.0.2.1"},
      {"AAAA", "\\# 16 20010db8 00000000 00000000 00000001", "2001:db8::1"},
      {"NS", "\\# 7 03 4E5331 01 78 00", "ns1.x"},
      {"MX", "\\# 3 000000", "0 ."},
      {"SRV", "\\# 9 0001 0002 0003 01 61 00", "1 2 3 a"},
      {"SOA", "\\# 22 00 00 00000001 00000002 00000003 00000004 FFFFFFFF",
       ". . 1 2 3 4 4294967295"},
      {"NS", "\\# 4 02 2E40 00", "\\.\\@"},
  };
  CHECK_ALL(samples);
}

static void test_refused(void **state)
{
  (void)state;
  static const struct {
    const char *type, *text, *reason;
  } bad[] = {
      {"A", "nxdomain", "rdata of A is not an IPv4 address: \"nxdomain\""},
      {"A", "", "rdata of A is not an IPv4 address"},
      {"A", "::1", "rdata of A is not an IPv4 address: \"::1\""},
      {"A", "\x01\xff", "rdata of A is not an IPv4 address: \"\\001\\255\""},
      {"A", "\\# 3 000000", "rdata of A is not the wire form of the type: \"\\# 3 000000\""},
      {"A", "\\# 4 00", "rdata of A is not `\\# length hex`: \"\\# 4 00\""},
      {"AAAA", "192.0.2.1", "rdata of AAAA is not an IPv6 address: \"192.0.2.1\""},
      {"NS", "", "rdata of NS ends where a name is expected"},
      {"NS", "a b", "rdata of NS has more fields than the type: \"b\""},
      {"NS", "a..b", "rdata of NS has a name with an empty label: \"a..b\""},
      {"CNAME", "\\300", "rdata of CNAME has a name with a broken escape: \"\\300\""},
      {"MX", "65536 a", "rdata of MX has something else than a number from 0 to 65535: \"65536\""},
      {"MX", "-1 a", "rdata of MX has something else than a number from 0 to 65535: \"-1\""},
      {"MX", "10 a b", "rdata of MX has more fields than the type: \"b\""},
      {"SRV", "0 5 a", "rdata of SRV has something else than a number from 0 to 65535: \"a\""},
      {"SRV", "0 5", "rdata of SRV ends where a number is expected"},
      {"SOA", "a b 1 2 3 4", "rdata of SOA ends where a number is expected"},
      {"SOA", "a b 1 2 3 4 4294967296",
       "rdata of SOA has something else than a number from 0 to 4294967295: \"4294967296\""},
      {"SOA", "a b 1 2 3 4 1h",
       "rdata of SOA has something else than a number from 0 to 4294967295: \"1h\""},
      {"DS", " \t", "rdata of DS is empty"},
      {"TYPE65280", "", "rdata of TYPE65280 is empty"},
      {"A", "0123456789012345678901234567890123456789012345678901234567890",
       "rdata of A is not an IPv4 address: "
       "\"012345678901234567890123456789012345678901234567890123456789...\""},
  };
  char out[COF_RDATA_MAX + 1];
  struct cof_error err;
  size_t n;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    size_t len = strlen(bad[i].text);
    assert_int_equal(
        cof_rdata_canon(type_of(bad[i].type), bad[i].text, len, out, sizeof out, &n, &err),
        COF_REJECT);
    assert_string_equal(err.text, bad[i].reason);
  }
}

static void test_targets(void **state)
{
  (void)state;
  static const struct {
    const char *type, *rdata;
    enum cof_target_kind kind;
    const char *target;
  } targets[] = {
      {"A", "192.0.2.1", COF_TARGET_ADDR, "192.0.2.1"},
      {"AAAA", "2001:db8::1", COF_TARGET_ADDR, "2001:db8::1"},
      {"NS", "a.example", COF_TARGET_NAME, "a.example"},
      {"CNAME", "a\\032b.example", COF_TARGET_NAME, "a\\032b.example"},
      {"PTR", ".", COF_TARGET_NAME, "."},
      {"DNAME", "x", COF_TARGET_NAME, "x"},
      {"MX", "10 mail.example", COF_TARGET_NAME, "mail.example"},
      {"MX", "mail.example", COF_TARGET_NAME, "mail.example"},
      {"AFSDB", "1 a", COF_TARGET_NAME, "a"},
      {"KX", "1 a", COF_TARGET_NAME, "a"},
      {"RT", "1 a", COF_TARGET_NAME, "a"},
      {"SRV", "0 5 5060 sip.example", COF_TARGET_NAME, "sip.example"},
      {"SRV", "sip.example", COF_TARGET_NAME, "sip.example"},
      {"SRV", "0 5 5060", COF_TARGET_TEXT, "0 5 5060"},
      {"SVCB", "1 foo.example alpn=h2", COF_TARGET_NAME, "foo.example"},
      {"HTTPS", "1 .", COF_TARGET_NAME, "."},
      {"HTTPS", "1", COF_TARGET_TEXT, "1"},
      {"HTTPS", "some Free text", COF_TARGET_TEXT, "some Free text"},
      {"SVCB", "\\# 4 0001C000", COF_TARGET_TEXT, "\\# 4 0001C000"},
      {"SOA", "a.example b.example 1 2 3 4 5", COF_TARGET_NAME, "a.example"},
      {"SOA", "a.example", COF_TARGET_NAME, "a.example"},
      {"RP", "a.example .", COF_TARGET_NAME, "a.example"},
      {"NSEC", "a.example A NS", COF_TARGET_NAME, "a.example"},
      {"NSEC", "\\@.example A", COF_TARGET_NAME, "\\@.example"},
      {"NXT", "a.example", COF_TARGET_NAME, "a.example"},
      {"NAPTR", "100 10 \"u\" \"a b\\\" c\" \"\" x.example", COF_TARGET_NAME, "x.example"},
      {"NAPTR", "100 10 \"u\" x.example", COF_TARGET_TEXT, "100 10 \"u\" x.example"},
      {"TXT", "\"a b\"", COF_TARGET_TEXT, "\"a b\""},
      {"DS", DS_COM, COF_TARGET_TEXT, DS_COM},
      {"MB", "a.example", COF_TARGET_TEXT, "a.example"},
      {"TYPE65280", "x", COF_TARGET_TEXT, "x"},
      {"MX", "", COF_TARGET_TEXT, ""},
      {"NSEC", "", COF_TARGET_TEXT, ""},
  };
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    size_t offset, length;
    const char *rdata = targets[i].rdata;
    assert_int_equal(
        cof_rdata_target(type_of(targets[i].type), rdata, strlen(rdata), &offset, &length),
        targets[i].kind);
    assert_int_equal(length, strlen(targets[i].target));
    assert_memory_equal(rdata + offset, targets[i].target, length);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_addresses),  cmocka_unit_test(test_names_and_numbers),
      cmocka_unit_test(test_texts),      cmocka_unit_test(test_long_text),
      cmocka_unit_test(test_dnssec),     cmocka_unit_test(test_services),
      cmocka_unit_test(test_rare),       cmocka_unit_test(test_free_text),
      cmocka_unit_test(test_wire_forms), cmocka_unit_test(test_refused),
      cmocka_unit_test(test_targets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
