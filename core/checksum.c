/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "checksum_private.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void put(uint8_t out[8], uint64_t number)
{
  for (int i = 0; i < 8; i++)
    out[i] = (uint8_t)(number >> (8 * i));
}

uint64_t checksum_record(const struct cof_record *r)
{
  uint8_t numbers[28];
  put(numbers, (uint64_t)r->time_first);
  put(numbers + 8, (uint64_t)r->time_last);
  put(numbers + 16, r->count);
  uint64_t hash = XXH3_64bits_withSeed(r->rrname, r->rrname_len, r->rrtype);
  hash = XXH3_64bits_withSeed(r->rdata, r->rdata_len, hash);
  for (int i = 0; i < 4; i++)
    numbers[24 + i] = (uint8_t)(r->zones >> (8 * i));
  /* Without zones it is what it always was: state files hold such sums. */
  return XXH3_64bits_withSeed(numbers, r->zones != 0 ? sizeof numbers : 24, hash);
}
