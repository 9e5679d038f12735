/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "archive_private.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#define ZSTD_LEVEL 3
#define GZIP_BITS  (15 + 16) /* the largest window, with gzip's frame */
#define SCRATCH    65536

struct packer {
  enum packing packing;
  ZSTD_CCtx *zstd;
  z_stream gzip;
  bool gzip_open;
  void *out;
  size_t room;
};

struct packer *packer_create(enum packing packing)
{
  struct packer *p = calloc(1, sizeof *p);
  if (p == NULL)
    return NULL;
  p->packing = packing;
  if (packing == PACK_ZSTD)
    p->zstd = ZSTD_createCCtx();
  if (packing == PACK_GZIP)
    p->gzip_open = deflateInit2(&p->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8,
                                Z_DEFAULT_STRATEGY) == Z_OK;
  if ((packing == PACK_ZSTD && p->zstd == NULL) || (packing == PACK_GZIP && !p->gzip_open))
    packer_destroy(&p);
  return p;
}

void packer_destroy(struct packer **packer)
{
  struct packer *p = *packer;
  if (p == NULL)
    return;
  ZSTD_freeCCtx(p->zstd);
  if (p->gzip_open)
    deflateEnd(&p->gzip);
  free(p->out);
  free(p);
  *packer = NULL;
}

static bool make_room(struct packer *p, size_t need)
{
  if (need <= p->room)
    return true;
  free(p->out);
  p->out = malloc(need);
  p->room = p->out != NULL ? need : 0;
  return p->out != NULL;
}

static size_t pack_gzip(struct packer *p, const char *bytes, size_t len)
{
  z_stream *z = &p->gzip;
  if (deflateReset(z) != Z_OK || !make_room(p, deflateBound(z, len)))
    return 0;
  z->next_in = (Bytef *)(uintptr_t)bytes;
  z->avail_in = (uInt)len;
  z->next_out = p->out;
  z->avail_out = (uInt)p->room;
  return deflate(z, Z_FINISH) == Z_STREAM_END ? p->room - z->avail_out : 0;
}

static size_t pack_zstd(struct packer *p, const char *bytes, size_t len)
{
  if (!make_room(p, ZSTD_compressBound(len)))
    return 0;
  size_t n = ZSTD_compressCCtx(p->zstd, p->out, p->room, bytes, len, ZSTD_LEVEL);
  return ZSTD_isError(n) ? 0 : n;
}

size_t packer_pack(struct packer *p, const char *bytes, size_t len, const void **out)
{
  *out = bytes;
  if (p->packing == PACK_NONE)
    return len;
  size_t n = p->packing == PACK_GZIP ? pack_gzip(p, bytes, len) : pack_zstd(p, bytes, len);
  *out = p->out;
  return n;
}

const char *packing_suffix(enum packing packing)
{
  return packing == PACK_GZIP ? ".gz" : packing == PACK_ZSTD ? ".zst" : "";
}

bool packing_begins(enum packing packing, const char *bytes, size_t len)
{
  static const struct {
    const char *bytes;
    size_t len;
  } begins[] = {{"{", 1}, {"\x1f\x8b", 2}, {"\x28\xb5\x2f\xfd", 4}};
  size_t n = begins[packing].len < len ? begins[packing].len : len;
  return memcmp(bytes, begins[packing].bytes, n) == 0;
}

static size_t whole_zstd(const char *bytes, size_t len)
{
  size_t good = 0;
  while (good < len) {
    size_t n = ZSTD_findFrameCompressedSize(bytes + good, len - good);
    if (ZSTD_isError(n) || n == 0)
      break;
    good += n;
  }
  return good;
}

/* Members are small: they were packed one piece of lines each. @return octets of the first; 0 */
static size_t first_member(z_stream *z, const char *bytes, size_t len)
{
  unsigned char scratch[SCRATCH];
  uInt given = len < UINT32_MAX ? (uInt)len : UINT32_MAX;
  int r = Z_OK;
  z->next_in = (Bytef *)(uintptr_t)bytes;
  z->avail_in = given;
  while (r == Z_OK) {
    z->next_out = scratch;
    z->avail_out = sizeof scratch;
    r = inflate(z, Z_NO_FLUSH);
  }
  return r == Z_STREAM_END ? given - z->avail_in : 0;
}

static size_t whole_gzip(const char *bytes, size_t len)
{
  z_stream z = {.zalloc = Z_NULL};
  size_t good = 0;
  if (inflateInit2(&z, GZIP_BITS) != Z_OK)
    return 0;
  while (good < len) {
    size_t n = first_member(&z, bytes + good, len - good);
    if (n == 0 || inflateReset(&z) != Z_OK)
      break;
    good += n;
  }
  inflateEnd(&z);
  return good;
}

size_t packing_whole(enum packing packing, const char *bytes, size_t len)
{
  if (packing == PACK_ZSTD)
    return whole_zstd(bytes, len);
  if (packing == PACK_GZIP)
    return whole_gzip(bytes, len);
  const char *end = len != 0 ? memrchr(bytes, '\n', len) : NULL;
  return end != NULL ? (size_t)(end - bytes) + 1 : 0;
}
