/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access_private.h"
#include "auth_private.h"
#include "proxy_private.h"
#include "quota_private.h"
#include "secret_private.h"

#define SECOND UINT64_C(1000000000)

static struct limits rate_of(const char *text)
{
  struct limits l = {0};
  struct cof_error err;
  assert_int_equal(limits_read_rate(&l, text, &err), COF_OK);
  return l;
}

static void test_rates_are_read(void **state)
{
  (void)state;
  struct limits l = rate_of("60/1m");
  assert_int_equal(l.rate, 60);
  assert_int_equal(l.period_ns, 60 * SECOND);
  assert_int_equal(rate_of("1/s").period_ns, SECOND);
  assert_int_equal(rate_of("1000000/24h").period_ns, 86400 * SECOND);
  static const char *const bad[] = {"",
                                    "1",
                                    "/s",
                                    "0/s",
                                    "1/",
                                    "1/d",
                                    "1/0s",
                                    "1/s ",
                                    "-1/s",
                                    " 1/s",
                                    "1/25h",
                                    "1000001/s",
                                    "1/1",
                                    "1/99999999999999999999s",
                                    "99999999999999999999/s"};
  struct cof_error err;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(limits_read_rate(&l, bad[i], &err), COF_REJECT);
}

/* So many of `tries` pass at one moment. */
static unsigned passes(struct meter *m, const struct limits *l, uint64_t at_ms, unsigned tries)
{
  struct remainder left;
  struct instant now = {at_ms * 1000000, (int64_t)(at_ms / 1000)};
  unsigned n = 0;
  while (tries-- > 0)
    n += meter_take(m, l, now, 1, &left) == VERDICT_OK;
  return n;
}

static void test_rate(void **state)
{
  (void)state;
  struct meter m = {0};
  const struct limits l = rate_of("4/2s");
  assert_int_equal(passes(&m, &l, 10000, 10), 4);
  assert_int_equal(passes(&m, &l, 10499, 10), 0);
  assert_int_equal(passes(&m, &l, 10500, 10), 1);
  assert_int_equal(passes(&m, &l, 12500, 10), 4);
  assert_int_equal(passes(&m, &l, 999000, 10), 4);
}

static void test_rate_tells_when(void **state)
{
  (void)state;
  struct meter m = {0};
  const struct limits l = rate_of("2/1m");
  struct instant now = {100 * SECOND, 5000};
  struct remainder left;
  assert_int_equal(meter_take(&m, &l, now, 1, &left), VERDICT_OK);
  assert_int_equal(left.rate, 1);
  assert_int_equal(meter_take(&m, &l, now, 1, &left), VERDICT_OK);
  assert_int_equal(left.rate, 0);
  assert_int_equal(meter_take(&m, &l, now, 0, &left), VERDICT_RATE);
  assert_in_range(left.wait_s, 30, 31);
  now.mono_ns += left.wait_s * SECOND;
  assert_int_equal(meter_take(&m, &l, now, 0, &left), VERDICT_OK);
  assert_int_equal(left.rate, 1);
}

/* Many at once pass where one would, and are waited for. */
static void test_rate_of_many(void **state)
{
  (void)state;
  struct meter m = {0};
  const struct limits l = rate_of("10/1s");
  struct remainder left;
  assert_int_equal(meter_take(&m, &l, (struct instant){SECOND, 1}, 50, &left), VERDICT_OK);
  assert_int_equal(passes(&m, &l, 5000, 10), 0);
  assert_int_equal(passes(&m, &l, 5100, 10), 1);
}

/* A debt that no clock can count is one all the same. */
static void test_rate_of_too_many(void **state)
{
  (void)state;
  struct meter m = {0};
  const struct limits l = rate_of("1/24h");
  struct remainder left;
  for (uint64_t requests = 213504; requests < UINT64_MAX / 4; requests *= 2) {
    m = (struct meter){0};
    assert_int_equal(meter_take(&m, &l, (struct instant){SECOND, 1}, requests, &left), VERDICT_OK);
    assert_int_equal(
        meter_take(&m, &l, (struct instant){SECOND * 86400 * 365, 86400 * 365}, 1, &left),
        VERDICT_RATE);
  }
}

static void test_quota(void **state)
{
  (void)state;
  struct meter m = {0};
  const struct limits l = {.quota = 5};
  struct instant now = {SECOND, 86400 * 3 + 86390};
  struct remainder left;
  assert_int_equal(meter_take(&m, &l, now, 3, &left), VERDICT_OK);
  assert_int_equal(left.quota, 2);
  assert_int_equal(meter_take(&m, &l, now, 3, &left), VERDICT_QUOTA);
  assert_int_equal(left.quota, 2);
  assert_int_equal(left.wait_s, 10);
  assert_int_equal(left.reset, 86400 * 4);
  assert_int_equal(meter_take(&m, &l, now, 2, &left), VERDICT_OK);
  assert_int_equal(meter_take(&m, &l, now, UINT64_MAX, &left), VERDICT_QUOTA);
  assert_int_equal(meter_take(&m, &l, now, 0, &left), VERDICT_QUOTA);
  now.utc += 10;
  assert_int_equal(meter_take(&m, &l, now, 5, &left), VERDICT_OK);
  assert_int_equal(meter_take(&m, &l, now, 1, &left), VERDICT_QUOTA);
}

static void test_addresses(void **state)
{
  (void)state;
  struct addresses *a = addresses_create(64);
  const struct limits l = rate_of("1/24h");
  struct remainder left;
  assert_non_null(a);
  for (unsigned i = 0; i < 10000; i++) {
    struct cof_addr addr = {.family = 4, .bytes = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
    struct instant now = {SECOND + i, 1};
    assert_int_equal(addresses_take(a, &addr, &l, now, 1, &left), VERDICT_OK);
    assert_int_equal(addresses_take(a, &addr, &l, now, 1, &left), VERDICT_RATE);
  }
  struct cof_addr one = {.family = 6, .bytes = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 9}}, other = one;
  other.bytes[15] = 7;
  assert_int_equal(addresses_take(a, &one, &l, (struct instant){SECOND, 1}, 1, &left), VERDICT_OK);
  assert_int_equal(addresses_take(a, &other, &l, (struct instant){SECOND, 1}, 1, &left),
                   VERDICT_RATE);
  other.bytes[7] = 2;
  assert_int_equal(addresses_take(a, &other, &l, (struct instant){SECOND, 1}, 1, &left),
                   VERDICT_OK);
  addresses_destroy(&a);
  assert_null(a);
  addresses_destroy(&a);
}

static void test_credentials(void **state)
{
  (void)state;
  static const struct {
    const char *authorization, *api_key;
    enum credential_kind kind;
    const char *name, *secret;
  } cases[] = {
      {NULL, NULL, CREDENTIAL_NONE, "", ""},
      {NULL, "a.b", CREDENTIAL_TOKEN, "a", "b"},
      {NULL, "a.b.c", CREDENTIAL_TOKEN, "a", "b.c"},
      {"Bearer a.b", "c.d", CREDENTIAL_TOKEN, "a", "b"},
      {"BEARER   a.b", NULL, CREDENTIAL_TOKEN, "a", "b"},
      {"a.b", NULL, CREDENTIAL_TOKEN, "a", "b"},
      {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", NULL, CREDENTIAL_BASIC, "Aladdin", "open sesame"},
      {"basic YTpiOmM=", NULL, CREDENTIAL_BASIC, "a", "b:c"},
      {NULL, "", CREDENTIAL_BROKEN, NULL, NULL},
      {NULL, "a", CREDENTIAL_BROKEN, NULL, NULL},
      {NULL, ".b", CREDENTIAL_BROKEN, NULL, NULL},
      {NULL, "a.", CREDENTIAL_BROKEN, NULL, NULL},
      {"Basic", NULL, CREDENTIAL_BROKEN, NULL, NULL},
      {"Basic ", NULL, CREDENTIAL_BROKEN, NULL, NULL},
      {"Basic !", NULL, CREDENTIAL_BROKEN, NULL, NULL},
      {"Basic YQ==", NULL, CREDENTIAL_BROKEN, NULL, NULL},     /* a */
      {"Basic YTpiAGM=", NULL, CREDENTIAL_BROKEN, NULL, NULL}, /* a:b, NUL, c */
      {"Bearer", NULL, CREDENTIAL_BROKEN, NULL, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct credentials c;
    credentials_read(&c, cases[i].authorization, cases[i].api_key);
    assert_int_equal(c.kind, cases[i].kind);
    if (cases[i].name == NULL)
      continue;
    assert_string_equal(c.name, cases[i].name);
    assert_string_equal(c.secret, cases[i].secret);
  }
}

static const char *client_of(const char *header, bool forwarded, char out[COF_ADDR_TEXT_MAX])
{
  static char loopback[] = "127.0.0.0/8", net[] = "10.0.0.0/8", six[] = "2001:db8:1::/48";
  static char *items[] = {loopback, net, six};
  const struct cof_list list = {items, 3};
  struct acl trusted;
  struct cof_error err;
  struct cof_addr addr;
  assert_int_equal(acl_read(&trusted, &list, &err), COF_OK);
  assert_true(cof_addr_parse("127.0.0.1", 9, &addr));
  proxy_client(header, forwarded, &trusted, &addr);
  acl_clear(&trusted);
  cof_addr_text(&addr, out);
  return out;
}

static void test_proxies(void **state)
{
  (void)state;
  static const struct {
    bool forwarded;
    const char *header, *client;
  } cases[] = {
      {false, "", "127.0.0.1"},
      {false, "192.0.2.1", "192.0.2.1"},
      {false, "192.0.2.9, 192.0.2.1", "192.0.2.1"},
      {false, "192.0.2.1, 10.0.0.1, 2001:db8:1::5", "192.0.2.1"},
      {false, "10.0.0.2,10.0.0.1", "10.0.0.2"},
      {false, "192.0.2.1, nonsense, 10.0.0.1", "10.0.0.1"},
      {false, "[2001:db8::7]:443", "2001:db8::7"},
      {false, "192.0.2.1:80", "192.0.2.1"},
      {false, "192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"},
      {false, "::ffff:192.0.2.1", "192.0.2.1"},
      {false, "\"192.0.2.1", "127.0.0.1"},
      {true, "for=192.0.2.1", "192.0.2.1"},
      {true, "For=\"[2001:db8::7]:80\";by=10.0.0.1", "2001:db8::7"},
      {true, "for=192.0.2.1;proto=http, for=10.0.0.9", "192.0.2.1"},
      {true, "for=\"a,for=192.0.2.66\"", "127.0.0.1"},
      {true, "for=_x", "127.0.0.1"},
      {true, "by=192.0.2.1", "127.0.0.1"},
      {true, "for=\"\\", "127.0.0.1"},
      /* A client that leaves a quote open before what its proxy adds. */
      {false, "192.0.2.66:\", 192.0.2.1", "192.0.2.1"},
      {false, "[192.0.2.66]\", 192.0.2.1", "192.0.2.1"},
      {false, "192.0.2.66:\\\", 192.0.2.1", "192.0.2.1"},
      {true, "for=192.0.2.66;x=\", for=192.0.2.1", "192.0.2.1"},
      {true, "for=192.0.2.66;x=\", for=\"[2001:db8::7]:80\"", "2001:db8::7"},
      {true, "for=192.0.2.66;x=\"\\,for=\"192.0.2.1\"", "192.0.2.1"},
      {true, "for=\"a\\\"b\";for=192.0.2.1;x=\"a\\\\\"", "192.0.2.1"},
      /* What follows an address is a port. */
      {false, "192.0.2.66:80 x", "127.0.0.1"},
      {false, "192.0.2.66:", "127.0.0.1"},
      {false, "[2001:db8::7]x", "127.0.0.1"},
      {true, "for=\"192.0.2.1:_a-1\"", "192.0.2.1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[COF_ADDR_TEXT_MAX];
    assert_string_equal(client_of(cases[i].header, cases[i].forwarded, text), cases[i].client);
  }
}

static bool within(const char *network, const char *address)
{
  char text[64];
  char *items[] = {text};
  const struct cof_list list = {items, 1};
  struct acl acl;
  struct cof_error err;
  struct cof_addr addr;
  snprintf(text, sizeof text, "%s", network);
  assert_int_equal(acl_read(&acl, &list, &err), COF_OK);
  assert_true(cof_addr_parse(address, strlen(address), &addr));
  bool has = acl_has(&acl, &addr);
  acl_clear(&acl);
  return has;
}

static void test_networks(void **state)
{
  (void)state;
  assert_true(within("192.0.2.0/24", "192.0.2.255"));
  assert_false(within("192.0.2.0/24", "192.0.3.0"));
  assert_false(within("0.0.0.0/0", "::1"));
  assert_false(within("::/0", "192.0.2.1"));
  assert_true(within("::/0", "ffff::"));
  assert_true(within("::ffff:192.0.2.0/120", "192.0.2.7"));
  assert_true(within("::/80", "::1:2:3"));
  assert_false(within("::/80", "0:0:0:0:1::"));
}

static void test_access(void **state)
{
  (void)state;
  static const struct {
    const char *url;
    unsigned scope;
    bool counted;
    size_t prefix;
  } cases[] = {
      {"/query/a", SCOPE_QUERY, true, 7},
      {"//query//a", SCOPE_QUERY, true, 8},
      {"http://h/fquery/a", SCOPE_QUERY, true, 16},
      {"/pdns/query/a", SCOPE_QUERY, true, 12},
      {"//pdns///query//a", SCOPE_QUERY, true, 15},
      {"/dnsdb//v2/lookup/rrset/name/a", SCOPE_QUERY, true, 29},
      {"/dnsdb//v2/ping", 0, false, 15},
      {"/dnsdb", SCOPE_QUERY, false, 1},
      {"/info", SCOPE_STATS, false, 5},
      {"/infos", SCOPE_QUERY, false, 1},
      {"/metrics", SCOPE_ADMIN, false, 8},
      {"/metrics/", SCOPE_QUERY, false, 1},
      {"/healthz", 0, false, 8},
      {"/dnsdb/v2/ping", 0, false, 14},
      {"/dnsdb/v2/rate_limit", SCOPE_QUERY, false, 20},
      {"/dnsdb/v2/lookup/rrset/name/a/A", SCOPE_QUERY, true, 28},
      {"/dnsdb/v2/lookup/rrset/hidden", SCOPE_QUERY, true, 10},
      {"/api/v1/stats", SCOPE_STATS, false, 13},
      {"/api/v1/bulk", SCOPE_QUERY, true, 12},
      {"/api/v1/other", SCOPE_QUERY, true, 8},
      {"/", 0, false, 1},
      {"http://h", 0, false, 8},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct access *access = access_of(cases[i].url);
    assert_int_equal(access->scope, cases[i].scope);
    assert_int_equal(access->counted, cases[i].counted);
    assert_int_equal(access_prefix(cases[i].url), cases[i].prefix);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rates_are_read),   cmocka_unit_test(test_rate),
      cmocka_unit_test(test_rate_tells_when),  cmocka_unit_test(test_rate_of_many),
      cmocka_unit_test(test_rate_of_too_many), cmocka_unit_test(test_quota),
      cmocka_unit_test(test_addresses),        cmocka_unit_test(test_credentials),
      cmocka_unit_test(test_proxies),          cmocka_unit_test(test_networks),
      cmocka_unit_test(test_access),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
