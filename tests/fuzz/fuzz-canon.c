/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Canonical forms: what comes out goes in again unchanged, and all ways there agree.
   Input: two octets of type number, network order, then the text. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/dns.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
  do {                                                                                             \
    if (!(x)) {                                                                                    \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                      \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

/* The wire form spelled with every octet escaped and letters in upper case: the general way has to
   come to what the fast one did. */
static size_t respell(const uint8_t *wire, char *out)
{
  size_t n = 0;
  if (*wire == 0)
    return (size_t)sprintf(out, ".");
  for (; *wire != 0; wire += 1 + *wire) {
    for (size_t i = 1; i <= *wire; i++) {
      unsigned c = wire[i];
      n += (size_t)sprintf(out + n, "\\%03u", c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    out[n++] = '.';
  }
  return n;
}

static void check_name(const char *text, size_t len)
{
  char once[COF_NAME_MAX], twice[COF_NAME_MAX], spelled[4 * 255 + 1];
  uint8_t wire[255];
  size_t n, m;
  if (cof_name_canon(text, len, once, &n, NULL) != COF_OK) {
    CHECK(cof_name_to_wire(text, len, wire) == 0);
    return;
  }
  CHECK(n == strlen(once));
  CHECK(cof_name_canon(once, n, twice, &m, NULL) == COF_OK && n == m && strcmp(once, twice) == 0);
  size_t wire_len = cof_name_to_wire(once, n, wire);
  CHECK(wire_len >= 1 && wire_len <= 255);
  CHECK(cof_name_from_wire(wire, wire_len, twice) == n && strcmp(once, twice) == 0);
  CHECK(cof_name_from_wire(wire, wire_len - 1, twice) == 0);
  size_t spelled_len = respell(wire, spelled);
  CHECK(cof_name_canon(spelled, spelled_len, twice, &m, NULL) == COF_OK);
  CHECK(n == m && strcmp(once, twice) == 0);
  CHECK(cof_name_under(once, n, once, n) && cof_name_under(once, n, ".", 1));
  /* a text that has a wire form is canonical */
  size_t raw = cof_name_to_wire(text, len, wire);
  CHECK((raw != 0) == (len == n && memcmp(text, once, n) == 0));
}

static void check_wire(const uint8_t *data, size_t size)
{
  char name[COF_NAME_MAX], again[COF_NAME_MAX];
  size_t m, n = cof_name_from_wire(data, size, name);
  if (n == 0)
    return;
  CHECK(cof_name_canon(name, n, again, &m, NULL) == COF_OK && n == m && strcmp(name, again) == 0);
}

/* The system's functions know no other spelling than ours but that of "::192.0.2.1". */
static void check_addr(const char *text, size_t len)
{
  char copy[64], ours[COF_ADDR_TEXT_MAX], theirs[INET6_ADDRSTRLEN];
  struct cof_addr addr, again, last;
  uint8_t bytes[16] = {0};
  if (len >= sizeof copy || memchr(text, '\0', len) != NULL)
    return;
  memcpy(copy, text, len);
  copy[len] = '\0';
  bool ok = cof_addr_parse(text, len, &addr);
  bool v4 = inet_pton(AF_INET, copy, bytes) == 1, v6 = !v4 && inet_pton(AF_INET6, copy, bytes) == 1;
  CHECK(ok == (v4 || v6));
  cof_network_parse(text, len, &again, &last, NULL);
  if (!ok)
    return;
  CHECK(addr.family == (v4 ? 4 : 6) && memcmp(addr.bytes, bytes, 16) == 0);
  size_t n = cof_addr_text(&addr, ours);
  CHECK(n == strlen(ours) && cof_addr_parse(ours, n, &again));
  CHECK(memcmp(&addr, &again, sizeof addr) == 0);
  inet_ntop(v4 ? AF_INET : AF_INET6, bytes, theirs, sizeof theirs);
  CHECK(strcmp(ours, theirs) == 0 || (v6 && strncmp(theirs, "::", 2) == 0));
  CHECK(cof_network_parse(text, len, &again, &last, NULL) == COF_OK);
}

static void check_type(const char *text, size_t len)
{
  uint16_t rrtype, again;
  char out[COF_RRTYPE_TEXT_MAX];
  if (!cof_rrtype_parse(text, len, &rrtype))
    return;
  cof_rrtype_text(rrtype, out);
  CHECK(cof_rrtype_parse(out, strlen(out), &again) && again == rrtype);
}

static void check_target(uint16_t rrtype, const char *rdata, size_t len, bool canonical)
{
  size_t offset, length;
  uint8_t wire[255];
  struct cof_addr addr;
  enum cof_target_kind kind = cof_rdata_target(rrtype, rdata, len, &offset, &length);
  CHECK(offset <= len && length <= len - offset);
  if (canonical && kind == COF_TARGET_NAME)
    CHECK(cof_name_to_wire(rdata + offset, length, wire) != 0);
  if (canonical && kind == COF_TARGET_ADDR)
    CHECK(cof_addr_parse(rdata + offset, length, &addr));
}

static void check_rdata(uint16_t rrtype, const char *text, size_t len)
{
  static char once[COF_RDATA_MAX + 1], twice[COF_RDATA_MAX + 1];
  struct cof_error err = {{0}};
  size_t n, m;
  check_target(rrtype, text, len, false);
  if (cof_rdata_canon(rrtype, text, len, once, sizeof once, &n, &err) != COF_OK) {
    CHECK(err.text[0] != '\0' && memchr(err.text, '\0', sizeof err.text) != NULL);
    return;
  }
  CHECK(n == strlen(once) && n > 0);
  for (size_t i = 0; i < n; i++)
    CHECK(once[i] >= 0x20 && once[i] <= 0x7e);
  CHECK(cof_rdata_canon(rrtype, once, n, twice, n + 1, &m, &err) == COF_OK);
  CHECK(n == m && strcmp(once, twice) == 0);
  CHECK(cof_rdata_canon(rrtype, once, n, twice, n, &m, &err) == COF_REJECT);
  CHECK(strstr(err.text, "longer than") != NULL);
  check_target(rrtype, once, n, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2)
    return 0;
  /* A copy of exactly that size, so that a read beyond it is found. */
  size_t len = size - 2;
  char *text = malloc(len != 0 ? len : 1);
  if (text == NULL)
    return 0;
  memcpy(text, data + 2, len);
  check_name(text, len);
  check_wire(data + 2, len);
  check_addr(text, len);
  check_type(text, len);
  check_rdata((uint16_t)(data[0] << 8 | data[1]), text, len);
  free(text);
  return 0;
}
