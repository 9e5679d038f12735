/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "gzip_private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>

/* A window of 16 KiB and little state: 128 KiB a stream, and records repeat within a few lines. */
#define WINDOW_BITS 14
#define MEM_LEVEL   7
#define GZIP_LEVEL  4
#define GZIP_FORMAT 16

struct gzip {
  z_stream z;
  bool ended;
};

/* q > 0, in the parameters that follow a coding: ";q=0.5". An unreadable q counts as refused. */
static bool weight_positive(const char *params, size_t len)
{
  const char *end = params + len;
  while (params < end && (*params == ';' || *params == ' ' || *params == '\t'))
    params++;
  if (params == end)
    return true;
  if (end - params < 3 || (params[0] != 'q' && params[0] != 'Q') || params[1] != '=')
    return false;
  bool digits = false;
  for (params += 2; params < end && (*params == '.' || (*params >= '0' && *params <= '9'));
       params++)
    digits |= *params >= '1' && *params <= '9';
  return digits;
}

bool gzip_accepted(const char *header)
{
  bool any = false;
  while (header != NULL && *header != '\0') {
    header += strspn(header, " \t,");
    size_t len = strcspn(header, ",");
    size_t word = strcspn(header, ",; \t");
    bool wanted = weight_positive(header + word, len - word);
    if ((word == 4 && strncasecmp(header, "gzip", 4) == 0) ||
        (word == 6 && strncasecmp(header, "x-gzip", 6) == 0))
      return wanted;
    if (word == 1 && *header == '*')
      any = wanted;
    header += len;
  }
  return any;
}

struct gzip *gzip_create(void)
{
  struct gzip *gzip = calloc(1, sizeof *gzip);
  if (gzip == NULL)
    return NULL;
  if (deflateInit2(&gzip->z, GZIP_LEVEL, Z_DEFLATED, WINDOW_BITS + GZIP_FORMAT, MEM_LEVEL,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    free(gzip);
    return NULL;
  }
  return gzip;
}

void gzip_destroy(struct gzip **gzip)
{
  if (*gzip == NULL)
    return;
  /* Z_DATA_ERROR only says that a stream was left before its end, as a client may do. */
  (void)deflateEnd(&(*gzip)->z);
  free(*gzip);
  *gzip = NULL;
}

size_t gzip_part(struct gzip *gzip, const char *text, size_t len, bool last, size_t *used,
                 char *out, size_t max)
{
  *used = 0;
  if (gzip->ended)
    return 0;
  uInt in = len < UINT_MAX ? (uInt)len : UINT_MAX;
  uInt room = max < UINT_MAX ? (uInt)max : UINT_MAX;
  gzip->z.next_in = (z_const Bytef *)text;
  gzip->z.avail_in = in;
  gzip->z.next_out = (Bytef *)out;
  gzip->z.avail_out = room;
  /* Z_BUF_ERROR says that there is nothing to do, which the counts say as well. */
  gzip->ended = deflate(&gzip->z, last && in == len ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
  *used = in - gzip->z.avail_in;
  return room - gzip->z.avail_out;
}

char *gzip_whole(struct gzip *gzip, const char *text, size_t len, size_t *out_len)
{
  if (deflateReset(&gzip->z) != Z_OK)
    return NULL;
  gzip->ended = false;
  size_t room = deflateBound(&gzip->z, (uLong)len), used;
  char *out = malloc(room);
  if (out == NULL)
    return NULL;
  *out_len = gzip_part(gzip, text, len, true, &used, out, room);
  if (!gzip->ended) {
    free(out);
    return NULL;
  }
  return out;
}
