/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "resp_private.h"

#include <string.h>

/* CRC-16/XMODEM, four bits at a time: polynomial 0x1021. */
static uint16_t crc16(const uint8_t *data, size_t len)
{
  static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                     0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                     0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
  uint16_t crc = 0;
  for (size_t i = 0; i < len; i++) {
    crc = (uint16_t)((crc << 4) ^ table[(crc >> 12) ^ (data[i] >> 4)]);
    crc = (uint16_t)((crc << 4) ^ table[(crc >> 12) ^ (data[i] & 0x0f)]);
  }
  return crc;
}

uint16_t resp_slot(const void *key, size_t len)
{
  const uint8_t *text = key;
  const uint8_t *open = len == 0 ? NULL : memchr(text, '{', len);
  if (open != NULL) {
    const uint8_t *tag = open + 1;
    const uint8_t *close = memchr(tag, '}', len - (size_t)(tag - text));
    if (close != NULL && close != tag) {
      text = tag;
      len = (size_t)(close - tag);
    }
  }
  return crc16(text, len) & 16383;
}
