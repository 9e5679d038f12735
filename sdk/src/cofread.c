/* SPDX-License-Identifier: MIT */
#include "cofread_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct cof_reader *cof_reader_create(enum cof_counts counts)
{
  struct cof_reader *reader = calloc(1, sizeof *reader);
  if (reader != NULL)
    reader->counts = counts;
  return reader;
}

void cof_reader_destroy(struct cof_reader **reader)
{
  struct cof_reader *r = *reader;
  if (r == NULL)
    return;
  free(r->sensor);
  free(r->texts.bytes);
  free(r->list.bytes);
  free(r);
  *reader = NULL;
}

enum cof_result cof_reader_set_sensor(struct cof_reader *reader, const char *sensor_id)
{
  char *copy = NULL;
  size_t len = 0;
  if (sensor_id != NULL && sensor_id[0] != '\0') {
    len = strlen(sensor_id);
    if (len > COF_SENSOR_MAX) {
      /* Between characters, not within one. */
      for (len = COF_SENSOR_MAX; len > 0 && ((unsigned char)sensor_id[len] & 0xc0) == 0x80;)
        len--;
    }
    copy = strndup(sensor_id, len);
    if (copy == NULL)
      return COF_FATAL;
  }
  free(reader->sensor);
  reader->sensor = copy;
  reader->sensor_len = len;
  return COF_OK;
}

void cof_reader_set_host(struct cof_reader *reader, struct cof_host *host)
{
  reader->host = host;
  reader->via_len = 0;
}

uint64_t cof_reader_odd_bailiwicks(const struct cof_reader *reader)
{
  return reader->odd_bailiwicks;
}

bool cofread_reserve(struct cofread_buffer *buffer, size_t size)
{
  if (buffer->size >= size)
    return true;
  size_t room = buffer->size != 0 ? buffer->size : 1024;
  while (room < size)
    room = room > SIZE_MAX / 2 ? size : room * 2;
  void *bytes = realloc(buffer->bytes, room);
  if (bytes == NULL)
    return false;
  buffer->bytes = bytes;
  buffer->size = room;
  return true;
}

enum cof_result cofread_refuse(struct cofread_out *out, const char *fmt, ...)
{
  if (out->refused++ == 0 && out->err != NULL) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->err->text, sizeof out->err->text, fmt, ap);
    va_end(ap);
  }
  return COF_REJECT;
}

#define IS(literal) (memcmp(text, literal, sizeof(literal) - 1) == 0)

enum cofread_key cofread_key_of(const char *text, size_t len)
{
  switch (len) {
  case 3:
    return IS("obj") ? COFREAD_OBJ : COFREAD_UNKNOWN;
  case 4:
    return IS("cond") ? COFREAD_COND : COFREAD_UNKNOWN;
  case 5:
    return IS("rdata") ? COFREAD_RDATA : IS("count") ? COFREAD_COUNT : COFREAD_UNKNOWN;
  case 6:
    return IS("rrname") ? COFREAD_RRNAME : IS("rrtype") ? COFREAD_RRTYPE : COFREAD_UNKNOWN;
  case 8:
    return IS("cofd_via") ? COFREAD_VIA : COFREAD_UNKNOWN;
  case 9:
    return IS("time_last")   ? COFREAD_TIME_LAST
           : IS("sensor_id") ? COFREAD_SENSOR_ID
           : IS("bailiwick") ? COFREAD_BAILIWICK
                             : COFREAD_UNKNOWN;
  case 10:
    return IS("time_first")   ? COFREAD_TIME_FIRST
           : IS("cofd_total") ? COFREAD_TOTAL
           : IS("cofd_zones") ? COFREAD_ZONES
                              : COFREAD_UNKNOWN;
  case 12:
    return IS("time_last_ms") ? COFREAD_TIME_LAST_MS : COFREAD_UNKNOWN;
  case 13:
    return IS("time_first_ms") ? COFREAD_TIME_FIRST_MS : COFREAD_UNKNOWN;
  case 14:
    return IS("zone_time_last") ? COFREAD_ZONE_TIME_LAST : COFREAD_UNKNOWN;
  case 15:
    return IS("zone_time_first") ? COFREAD_ZONE_TIME_FIRST : COFREAD_UNKNOWN;
  case 17:
    return IS("time_last_rfc3339") ? COFREAD_TIME_LAST_RFC3339 : COFREAD_UNKNOWN;
  case 18:
    return IS("time_first_rfc3339") ? COFREAD_TIME_FIRST_RFC3339 : COFREAD_UNKNOWN;
  default:
    return COFREAD_UNKNOWN;
  }
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static enum cof_result read_object(struct cof_reader *reader, const char *text, size_t len,
                                   struct cofread_out *out)
{
  if (len >= COFREAD_FAST_MIN) {
    struct cofread_fields fields;
    switch (cofread_fast(reader, text, len, &fields)) {
    case COFREAD_DONE:
      return cofread_append(reader, &fields, out);
    case COFREAD_ODD:
      break;
    case COFREAD_NO_ROOM:
      return COF_FATAL;
    }
  }
  return cofread_slow(reader, text, len, out);
}

enum cof_result cof_reader_object(struct cof_reader *reader, const char *text, size_t len,
                                  struct cof_batch *batch, size_t *added, size_t *refused,
                                  struct cof_error *err)
{
  if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
    text += 3;
    len -= 3;
  }
  while (len > 0 && is_blank(text[0])) {
    text++;
    len--;
  }
  while (len > 0 && is_blank(text[len - 1]))
    len--;

  struct cofread_out out = {.batch = batch, .err = err};
  size_t before = cof_batch_count(batch);
  enum cof_result result = len > 0 ? read_object(reader, text, len, &out) : COF_OK;
  if (result == COF_FATAL) {
    cof_batch_truncate(batch, before);
    out.added = 0;
    cof_fail(err, COF_FATAL, "out of memory");
  }
  if (added != NULL)
    *added = out.added;
  if (refused != NULL)
    *refused = out.refused;
  return result;
}
