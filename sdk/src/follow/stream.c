/* SPDX-License-Identifier: MIT */
#include "stream_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#define RAW_SIZE ((size_t)256 * 1024)

struct stream {
  int fd;
  enum stream_kind kind;
  enum packing packing;
  bool eof;      /* read() has said so; asked again, since a file may grow */
  bool within;   /* a member or frame has begun and not ended */
  bool begun;    /* some member or frame was read */
  bool trailing; /* other octets follow the last member */
  uint64_t octets;
  uint64_t lost;
  uint8_t *raw; /* octets as they lie in the file */
  size_t raw_at, raw_len;
  z_stream gzip;
  bool gzip_made;
  ZSTD_DStream *zstd;
};

enum packing stream_sniff(const uint8_t *head, size_t len, bool end)
{
  static const uint8_t gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
  /* A zstd file may begin with a skippable frame, 0x184d2a50 to 0x184d2a5f. */
  static const uint8_t skippable[] = {0x2a, 0x4d, 0x18};
  if (len >= sizeof gzip && memcmp(head, gzip, sizeof gzip) == 0)
    return PACKING_GZIP;
  if (len >= SNIFF_LEN && memcmp(head, zstd, sizeof zstd) == 0)
    return PACKING_ZSTD;
  if (len >= SNIFF_LEN && head[0] >> 4 == 5 && memcmp(head + 1, skippable, sizeof skippable) == 0)
    return PACKING_ZSTD;
  if (len >= SNIFF_LEN || end)
    return PACKING_NONE;
  bool may_be = len == 0 || (len < sizeof gzip && memcmp(head, gzip, len) == 0) ||
                memcmp(head, zstd, len) == 0 ||
                (head[0] >> 4 == 5 && memcmp(head + 1, skippable, len - 1) == 0);
  return may_be ? PACKING_UNKNOWN : PACKING_NONE;
}

struct stream *stream_create(int fd, enum stream_kind kind)
{
  struct stream *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->fd = fd;
  s->kind = kind;
  if (kind == STREAM_SOCKET || kind == STREAM_DATAGRAMS) {
    s->packing = PACKING_NONE;
    return s;
  }
  s->raw = malloc(RAW_SIZE);
  if (s->raw == NULL)
    stream_destroy(&s);
  return s;
}

void stream_destroy(struct stream **stream)
{
  struct stream *s = *stream;
  if (s == NULL)
    return;
  if (s->gzip_made)
    inflateEnd(&s->gzip);
  ZSTD_freeDStream(s->zstd);
  free(s->raw);
  free(s);
  *stream = NULL;
}

uint64_t stream_lost(struct stream *s)
{
  uint64_t lost = s->lost;
  s->lost = 0;
  return lost;
}

uint64_t stream_octets(const struct stream *s)
{
  return s->octets;
}

bool stream_trailing(const struct stream *s)
{
  return s->trailing;
}

enum packing stream_packing(const struct stream *s)
{
  return s->packing;
}

static enum stream_result read_datagram(struct stream *s, char *buf, size_t cap, size_t *got,
                                        struct cof_error *err)
{
  ssize_t n;
  do
    n = recv(s->fd, buf, cap - 1, MSG_TRUNC);
  while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return STREAM_WAIT;
  if (n < 0) {
    cof_fail(err, COF_FATAL, "%s", strerror(errno));
    return STREAM_ERROR;
  }
  s->octets += (uint64_t)n;
  size_t len = (size_t)n;
  if (len > cap - 1) {
    s->lost++;
    return STREAM_DATA;
  }
  if (len > 0 && buf[len - 1] != '\n')
    buf[len++] = '\n';
  *got = len;
  return STREAM_DATA;
}

/* Read from the descriptor. STREAM_END here means that there is nothing more now. */
static enum stream_result read_raw(struct stream *s, void *buf, size_t cap, size_t *got,
                                   struct cof_error *err)
{
  *got = 0;
  if (s->kind == STREAM_DATAGRAMS)
    return read_datagram(s, buf, cap, got, err);
  if (s->kind == STREAM_PIPE) {
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    if (poll(&p, 1, 0) <= 0)
      return STREAM_WAIT;
  }
  ssize_t n;
  do
    n = read(s->fd, buf, cap);
  while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return STREAM_WAIT;
  if (n < 0) {
    cof_fail(err, COF_FATAL, "%s", strerror(errno));
    return STREAM_ERROR;
  }
  s->eof = n == 0;
  *got = (size_t)n;
  s->octets += (uint64_t)n;
  return n > 0 ? STREAM_DATA : STREAM_END;
}

/* Add to the raw octets that are still unread. */
static enum stream_result fill(struct stream *s, struct cof_error *err)
{
  if (s->raw_at > 0) {
    memmove(s->raw, s->raw + s->raw_at, s->raw_len - s->raw_at);
    s->raw_len -= s->raw_at;
    s->raw_at = 0;
  }
  size_t got;
  enum stream_result result = read_raw(s, s->raw + s->raw_len, RAW_SIZE - s->raw_len, &got, err);
  s->raw_len += got;
  return result;
}

static bool prepare(struct stream *s)
{
  if (s->packing == PACKING_GZIP) {
    s->gzip_made = inflateInit2(&s->gzip, 15 + 16) == Z_OK;
    return s->gzip_made;
  }
  if (s->packing == PACKING_ZSTD) {
    s->zstd = ZSTD_createDStream();
    return s->zstd != NULL;
  }
  return true;
}

/* Find out what the file is. @return STREAM_DATA once known */
static enum stream_result begin(struct stream *s, struct cof_error *err)
{
  while (s->packing == PACKING_UNKNOWN) {
    enum stream_result result = fill(s, err);
    if (result == STREAM_END && s->raw_len == 0)
      return STREAM_END;
    if (result != STREAM_DATA && result != STREAM_END)
      return result;
    s->packing = stream_sniff(s->raw, s->raw_len, result == STREAM_END);
  }
  if (!prepare(s)) {
    cof_fail(err, COF_FATAL, "out of memory");
    s->packing = PACKING_UNKNOWN;
    return STREAM_ERROR;
  }
  return STREAM_DATA;
}

static enum stream_result read_plain(struct stream *s, char *buf, size_t cap, size_t *got,
                                     struct cof_error *err)
{
  size_t n = s->raw_len - s->raw_at;
  if (n == 0)
    return read_raw(s, buf, cap, got, err);
  *got = n < cap ? n : cap;
  memcpy(buf, s->raw + s->raw_at, *got);
  s->raw_at += *got;
  return STREAM_DATA;
}

/* Whether another gzip member begins here; zero octets may pad the file (as tape writers do). */
static bool next_member(struct stream *s)
{
  const uint8_t *p = s->raw + s->raw_at;
  size_t n = s->raw_len - s->raw_at;
  if (n == 0)
    return false;
  if (p[0] == 0x1f && inflateReset(&s->gzip) == Z_OK)
    return true;
  for (size_t i = 0; i < n; i++)
    s->trailing |= p[i] != 0;
  s->raw_at = s->raw_len;
  return false;
}

static enum stream_result inflate_some(struct stream *s, char *buf, size_t cap, size_t *got,
                                       struct cof_error *err)
{
  if (!s->within) {
    if (s->trailing || (s->begun && !next_member(s))) {
      s->raw_at = s->raw_len;
      return STREAM_WAIT;
    }
    s->within = s->begun = true;
  }
  z_stream *z = &s->gzip;
  z->next_in = s->raw + s->raw_at;
  z->avail_in = (uInt)(s->raw_len - s->raw_at);
  z->next_out = (Bytef *)buf;
  z->avail_out = cap > UINT32_MAX ? UINT32_MAX : (uInt)cap;
  uInt room = z->avail_out;
  int result = inflate(z, Z_NO_FLUSH);
  s->raw_at = s->raw_len - z->avail_in;
  *got = room - z->avail_out;
  if (result == Z_STREAM_END)
    s->within = false;
  if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR)
    return STREAM_DATA;
  cof_fail(err, COF_REJECT, "broken gzip data: %s", z->msg != NULL ? z->msg : zError(result));
  return STREAM_BROKEN;
}

static enum stream_result unzstd_some(struct stream *s, char *buf, size_t cap, size_t *got,
                                      struct cof_error *err)
{
  ZSTD_inBuffer in = {.src = s->raw, .size = s->raw_len, .pos = s->raw_at};
  ZSTD_outBuffer out = {.dst = buf, .size = cap, .pos = 0};
  size_t result = ZSTD_decompressStream(s->zstd, &out, &in);
  s->raw_at = in.pos;
  *got = out.pos;
  if (ZSTD_isError(result)) {
    cof_fail(err, COF_REJECT, "broken zstd data: %s", ZSTD_getErrorName(result));
    return STREAM_BROKEN;
  }
  s->within = result != 0;
  return STREAM_DATA;
}

/* Unpack until something comes out. What a decoder holds back comes out before more is read. */
static enum stream_result read_packed(struct stream *s, char *buf, size_t cap, size_t *got,
                                      struct cof_error *err)
{
  for (;;) {
    if (s->raw_at < s->raw_len || s->within) {
      enum stream_result result = s->packing == PACKING_GZIP ? inflate_some(s, buf, cap, got, err)
                                                             : unzstd_some(s, buf, cap, got, err);
      if (*got > 0 && result == STREAM_DATA)
        return result;
      if (result == STREAM_BROKEN)
        return result;
      if (s->raw_at < s->raw_len)
        continue;
    }
    enum stream_result result = fill(s, err);
    if (result == STREAM_END)
      return s->within ? STREAM_CUT : STREAM_END;
    if (result != STREAM_DATA)
      return result;
  }
}

enum stream_result stream_read(struct stream *s, char *buf, size_t cap, size_t *got,
                               struct cof_error *err)
{
  *got = 0;
  if (s->packing == PACKING_UNKNOWN) {
    enum stream_result result = begin(s, err);
    if (result != STREAM_DATA)
      return result;
  }
  if (s->packing == PACKING_NONE)
    return read_plain(s, buf, cap, got, err);
  return read_packed(s, buf, cap, got, err);
}
