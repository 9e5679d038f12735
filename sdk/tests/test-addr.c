/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include <cofd/dns.h>

static void test_known(void **state)
{
  (void)state;
  static const struct {
    const char *text, *canonical;
  } known[] = {
      {"192.0.2.1", "192.0.2.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"2001:DB8::1", "2001:db8::1"},
      {"2001:0db8:0:0:0:0:0:0001", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"::FFFF:c000:201", "::ffff:192.0.2.1"},
      {"::192.0.2.1", "::c000:201"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"},
  };
  struct cof_addr addr;
  char out[COF_ADDR_TEXT_MAX];
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    assert_true(cof_addr_parse(known[i].text, strlen(known[i].text), &addr));
    assert_int_equal(cof_addr_text(&addr, out), strlen(known[i].canonical));
    assert_string_equal(out, known[i].canonical);
  }
}

static void test_refused(void **state)
{
  (void)state;
  static const char *const bad[] = {"",
                                    "1",
                                    "1.2.3",
                                    "1.2.3.4.",
                                    "1.2.3.4.5",
                                    "256.1.1.1",
                                    "01.2.3.4",
                                    "1.2.3.00",
                                    "1.2.3.4 ",
                                    " 1.2.3.4",
                                    "1..3.4",
                                    "-1.2.3.4",
                                    "0x1.2.3.4",
                                    "1.2.3.0004",
                                    "nxdomain",
                                    ":",
                                    ":::",
                                    "1:2",
                                    "1::2::3",
                                    "12345::",
                                    "1:2:3:4:5:6:7",
                                    "g::",
                                    "::1%eth0",
                                    "[::1]",
                                    ":1::2",
                                    "1::2:",
                                    "::1.2.3",
                                    "::1.2.3.4.5",
                                    "::1.2.3.4:5",
                                    "1.2.3.4::",
                                    "1:2:3:4:5:6:7:8:9",
                                    "1:2:3:4:5:6:7:8:",
                                    "1:2:3:4:5:6:7:8::",
                                    "::1:2:3:4:5:6:7:8",
                                    "1:2:3:4:5:6:7:1.2.3.4",
                                    "::256.1.1.1"};
  struct cof_addr addr;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (cof_addr_parse(bad[i], strlen(bad[i]), &addr))
      fail_msg("taken: %s", bad[i]);
  }
  assert_false(cof_addr_parse("1.2.3.4\0", 8, &addr));
}

/* A generator of our own: the same numbers everywhere. */
static uint64_t next_random(uint64_t *seed)
{
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

/* Random addresses with many zero groups, against what the system makes of them. */
static void test_against_system_print(void **state)
{
  (void)state;
  uint64_t seed = 42;
  char ours[COF_ADDR_TEXT_MAX], theirs[INET6_ADDRSTRLEN];
  for (int round = 0; round < 200000; round++) {
    struct cof_addr addr = {.family = round % 4 == 0 ? 4 : 6}, again;
    uint64_t zeros = next_random(&seed), small = next_random(&seed);
    for (size_t i = 0; i < cof_addr_len(&addr); i += 2) {
      uint64_t value = next_random(&seed) >> (small >> i & 3) * 4;
      addr.bytes[i] = (zeros >> i & 3) != 0 ? (uint8_t)(value >> 8) : 0;
      addr.bytes[i + 1] = (zeros >> i & 3) != 0 ? (uint8_t)value : 0;
    }
    bool compatible = addr.family == 6 && memcmp(addr.bytes, (uint8_t[12]){0}, 12) == 0;
    if (compatible)
      continue; /* the system prints ::192.0.2.1, RFC 5952 does not ask for it */
    assert_non_null(
        inet_ntop(addr.family == 4 ? AF_INET : AF_INET6, addr.bytes, theirs, sizeof theirs));
    assert_int_equal(cof_addr_text(&addr, ours), strlen(theirs));
    assert_string_equal(ours, theirs);
    assert_true(cof_addr_parse(ours, strlen(ours), &again));
    assert_memory_equal(&addr, &again, sizeof addr);
  }
}

/* Random texts out of what addresses are made of: what the system takes is taken, nothing else. */
static void test_against_system_parse(void **state)
{
  (void)state;
  static const char *const parts[] = {":",  "::",   ".",   "0",   "1",
                                      "ab", "FFFF", "255", "256", "12345"};
  uint64_t seed = 7;
  size_t taken = 0;
  for (int round = 0; round < 400000; round++) {
    char text[128] = "";
    struct cof_addr addr;
    uint8_t bytes[16] = {0};
    size_t count = 1 + next_random(&seed) % 17;
    const char *separator = next_random(&seed) % 3 == 0 ? "." : ":";
    for (size_t i = 0; i < count; i++) {
      bool random = next_random(&seed) % 8 == 0;
      strcat(text, random || i % 2 == 0 ? parts[next_random(&seed) % 10] : separator);
    }
    bool v4 = inet_pton(AF_INET, text, bytes) == 1;
    bool v6 = !v4 && inet_pton(AF_INET6, text, bytes) == 1;
    if (cof_addr_parse(text, strlen(text), &addr) != (v4 || v6))
      fail_msg("differs: %s", text);
    if (v4 || v6) {
      taken++;
      assert_int_equal(addr.family, v4 ? 4 : 6);
      assert_memory_equal(addr.bytes, bytes, 16);
    }
  }
  assert_true(taken > 1000);
}

static void check_network(const char *text, const char *first, const char *last)
{
  struct cof_addr a, b;
  char out[COF_ADDR_TEXT_MAX];
  assert_int_equal(cof_network_parse(text, strlen(text), &a, &b, NULL), COF_OK);
  cof_addr_text(&a, out);
  assert_string_equal(out, first);
  cof_addr_text(&b, out);
  assert_string_equal(out, last);
}

/* Every four of these, whole and without the first octet. */
static void test_numbers_of_ipv4(void **state)
{
  (void)state;
  static const char *const parts[] = {"",    "0",   "9",   "00",  "01",  "10",  "99",   "1x", "/",
                                      "100", "255", "256", "299", "999", "099", "1000", ":9", " 1"};
  const size_t count = sizeof parts / sizeof *parts;
  char text[32];
  for (size_t i = 0; i < count * count * count * count; i++) {
    size_t len = (size_t)snprintf(text, sizeof text, "%s.%s.%s.%s", parts[i % count],
                                  parts[i / count % count], parts[i / count / count % count],
                                  parts[i / count / count / count]);
    for (size_t cut = 0; cut < 2 && cut < len; cut++) {
      struct cof_addr addr;
      uint8_t bytes[4];
      memmove(text, text + cut, len - cut + 1);
      bool ours = cof_addr_parse(text, len - cut, &addr) && addr.family == 4;
      assert_int_equal(ours, inet_pton(AF_INET, text, bytes) == 1);
      if (ours)
        assert_memory_equal(addr.bytes, bytes, sizeof bytes);
    }
  }
}

static void test_networks(void **state)
{
  (void)state;
  check_network("192.0.2.1", "192.0.2.1", "192.0.2.1");
  check_network("192.0.2.1/32", "192.0.2.1", "192.0.2.1");
  check_network("192.0.2.77/24", "192.0.2.0", "192.0.2.255");
  check_network("192.0.2.77/27", "192.0.2.64", "192.0.2.95");
  check_network("192.0.2.77/0", "0.0.0.0", "255.255.255.255");
  check_network("2001:db8::1", "2001:db8::1", "2001:db8::1");
  check_network("2001:db8:ffff::1/33", "2001:db8:8000::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
  check_network("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  check_network("::1/128", "::1", "::1");
}

static void test_bad_networks(void **state)
{
  (void)state;
  static const struct {
    const char *text, *reason;
  } bad[] = {
      {"", "not an IPv4 or IPv6 address or network: \"\""},
      {"/24", "not an IPv4 or IPv6 address or network: \"/24\""},
      {"example.com", "not an IPv4 or IPv6 address or network: \"example.com\""},
      {"192.0.2.0/", "prefix length is not a number from 0 to 32: \"192.0.2.0/\""},
      {"192.0.2.0/33", "prefix length is not a number from 0 to 32: \"192.0.2.0/33\""},
      {"192.0.2.0/024", "prefix length is not a number from 0 to 32: \"192.0.2.0/024\""},
      {"192.0.2.0/2/4", "prefix length is not a number from 0 to 32: \"192.0.2.0/2/4\""},
      {"::/129", "prefix length is not a number from 0 to 128: \"::/129\""},
      {"::/-1", "prefix length is not a number from 0 to 128: \"::/-1\""},
  };
  struct cof_addr a, b;
  struct cof_error err;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(cof_network_parse(bad[i].text, strlen(bad[i].text), &a, &b, &err), COF_REJECT);
    assert_string_equal(err.text, bad[i].reason);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_against_system_print),
      cmocka_unit_test(test_against_system_parse),
      cmocka_unit_test(test_numbers_of_ipv4),
      cmocka_unit_test(test_networks),
      cmocka_unit_test(test_bad_networks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
