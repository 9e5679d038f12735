/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Keys and values as they may lie in a damaged database: decoding ends in a refusal, or in what
   encodes to the same octets again. Input: one octet to choose, then a key or a value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys_private.h"
#include "value_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
  do {                                                                                             \
    if (!(x)) {                                                                                    \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                      \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

/* A text out of an encoded name encodes to a name of that text. (Not always to the same octets: a
   damaged name may hold letters in upper case.) */
static size_t check_name(const uint8_t *key, size_t len, char text[COF_NAME_MAX])
{
  uint8_t again[COF_NAME_MAX + 2];
  char twice[COF_NAME_MAX];
  size_t n = key_name_text(key, len, text);
  if (n == 0)
    return 0;
  CHECK(n < COF_NAME_MAX && text[n] == '\0' && strlen(text) == n);
  size_t m = key_name(again, text, n);
  CHECK(m != 0 && m <= KEY_NAME_MAX && key_name_len(again, m) == m);
  CHECK(key_name_text(again, m, twice) == n && memcmp(text, twice, n) == 0);
  return n;
}

static void check_forward(const uint8_t *key, size_t len)
{
  struct key_forward_parts p;
  char text[COF_NAME_MAX], addr[COF_ADDR_TEXT_MAX];
  size_t rdata_len;
  if (!key_forward_split(key, len, &p))
    return;
  size_t head = key_head_len(key, len);
  CHECK(head != 0 && p.name == key + head && p.name + p.name_len + 2 == p.rdata &&
        p.rdata + p.rdata_len == key + len);
  CHECK(key_prefix(key, len) == head + p.name_len);
  const char *rdata = key_rdata_text(&p, addr, &rdata_len);
  size_t n = check_name(p.name, p.name_len, text);
  if (rdata == NULL || n == 0 || rdata_len > COF_RDATA_MAX)
    return;
  struct cof_record r = {.rrname = text,
                         .rrname_len = (uint16_t)n,
                         .rrtype = p.rrtype,
                         .rdata = rdata,
                         .rdata_len = (uint32_t)rdata_len};
  uint8_t *forward = malloc(key_forward_bound(&r)), *reverse = malloc(key_reverse_bound(&r));
  uint8_t *again = NULL;
  size_t forward_len, reverse_len;
  CHECK(forward != NULL && reverse != NULL);
  if (key_pair(&r, forward, &forward_len, reverse, &reverse_len) == NULL) {
    struct key_reverse_parts v;
    CHECK(forward_len <= key_forward_bound(&r) && reverse_len <= key_reverse_bound(&r));
    CHECK(forward_len <= KEY_MAX && reverse_len <= KEY_MAX);
    CHECK(key_reverse_split(reverse, reverse_len, &v));
    CHECK(key_prefix(reverse, reverse_len) == 2 + v.target_len);
    again = malloc(key_reverse_forward_bound(&v, rdata_len));
    CHECK(again != NULL);
    CHECK(key_reverse_forward(&v, rdata, rdata_len, again) == forward_len);
    CHECK(memcmp(again, forward, forward_len) == 0);
  }
  free(again);
  free(forward);
  free(reverse);
}

static void check_reverse(const uint8_t *key, size_t len)
{
  static const char text[] = "\"text\"";
  struct key_reverse_parts p;
  char name[COF_NAME_MAX];
  if (!key_reverse_split(key, len, &p))
    return;
  CHECK(p.target == key + 2 && p.name == p.target + p.target_len);
  CHECK(p.rest == p.name + p.name_len + 2 && p.rest + p.rest_len == key + len);
  check_name(p.name, p.name_len, name);
  size_t bound = key_reverse_forward_bound(&p, sizeof text - 1);
  uint8_t *forward = malloc(bound);
  CHECK(forward != NULL);
  size_t n = key_reverse_forward(&p, text, sizeof text - 1, forward);
  CHECK(n <= bound);
  if (n != 0)
    check_forward(forward, n);
  free(forward);
}

static void check_value(const uint8_t *value, size_t len)
{
  struct cof_record r = {0}, back = {0};
  uint8_t again[CHANGE_MAX];
  uint64_t counter;
  if (counter_get(value, len, &counter))
    CHECK(varint_put(again, counter) == len && memcmp(again, value, len) == 0);
  if (!change_get(value, len, &r))
    return;
  CHECK(change_valid(&r));
  size_t n = change_put(again, &r);
  CHECK(n <= len && change_get(again, n, &back));
  CHECK(back.time_first == r.time_first && back.time_last == r.time_last);
  CHECK(back.count == r.count && back.total == r.total);
  change_settle(&r);
  CHECK(r.total == 0 && r.count <= COF_COUNT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char text[COF_NAME_MAX];
  if (size == 0)
    return 0;
  size_t prefix = key_prefix(data + 1, size - 1);
  CHECK(prefix <= size - 1);
  switch (data[0]) {
  case 'n':
    check_name(data + 1, size - 1, text);
    break;
  case 'v':
    check_value(data + 1, size - 1);
    break;
  default:
    check_forward(data + 1, size - 1);
    check_reverse(data + 1, size - 1);
    break;
  }
  return 0;
}
