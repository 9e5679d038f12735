/* SPDX-License-Identifier: MIT */
/** @file UTF-8 as RFC 3629 defines it. */
#ifndef UTF8_PRIVATE_H
#define UTF8_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

/**
 * Decode the character at `p`.
 * @param left  octets there, at least 1
 * @return its octets; 0 where there is no character (broken, overlong, a surrogate)
 */
static inline size_t utf8_next(const unsigned char *p, size_t left, uint32_t *out)
{
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  uint32_t c = p[0];
  *out = c;
  if (c < 0x80)
    return 1;
  size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
  if (c < 0xc2 || c > 0xf4 || left < n)
    return 0;
  c &= 0xffU >> (n + 1);
  for (size_t i = 1; i < n; i++) {
    if ((p[i] & 0xc0) != 0x80)
      return 0;
    c = c << 6 | (p[i] & 0x3fU);
  }
  *out = c;
  return c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

#endif
