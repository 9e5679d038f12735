/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "door_private.h"

#include <stdlib.h>
#include <string.h>

#include <cofd/wire.h>

#include "dnstap.pb-c.h"

#define DNSTAP_MESSAGE 1
/* What protobuf-c may take for a payload, beyond twice its octets. */
#define ARENA_LEAST ((size_t)16 * 1024)
#define ALIGN       ((size_t)16)

const char *const tap_kind_words[] = {"auth", "resolver", "client", "forwarder",
                                      "stub", "tool",     NULL};
const char *const tap_section_words[] = {"answer", "authority", "additional", NULL};

/* Memory of one payload: bounded, and given back as a whole. */
struct arena {
  uint8_t *octets;
  size_t room, used;
};

struct door {
  struct door_options options;
  struct message_scratch *scratch;
  struct arena arena;
  ProtobufCAllocator allocator;
};

static void *arena_alloc(void *data, size_t size)
{
  struct arena *a = data;
  if (size > a->room - a->used)
    return NULL;
  void *p = a->octets + a->used;
  size_t step = (size + ALIGN - 1) & ~(ALIGN - 1);
  a->used = step < a->room - a->used ? a->used + step : a->room;
  return p;
}

static void arena_free(void *data, void *p)
{
  (void)data, (void)p;
}

static bool arena_begin(struct arena *a, size_t payload)
{
  size_t want = payload * 2 + ARENA_LEAST;
  a->used = 0;
  if (a->room >= want)
    return true;
  uint8_t *octets = realloc(a->octets, want);
  if (octets == NULL)
    return false;
  a->octets = octets;
  a->room = want;
  return true;
}

struct door *door_create(const struct door_options *options)
{
  struct door *door = calloc(1, sizeof *door);
  if (door == NULL)
    return NULL;
  door->options = *options;
  door->allocator = (ProtobufCAllocator){arena_alloc, arena_free, &door->arena};
  door->scratch = message_scratch_create();
  if (door->scratch == NULL)
    door_destroy(&door);
  return door;
}

void door_destroy(struct door **door)
{
  if (*door == NULL)
    return;
  message_scratch_destroy(&(*door)->scratch);
  free((*door)->arena.octets);
  free(*door);
  *door = NULL;
}

static bool is_continuation(uint8_t c)
{
  return (c & 0xc0) == 0x80;
}

/* Octets of the character at `p` in UTF-8 (RFC 3629); 0: there is none. */
static size_t utf8(const uint8_t *p, size_t left)
{
  size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  if (n == 0 || p[0] > 0xf4 || n > left)
    return 0;
  for (size_t i = 1; i < n; i++)
    if (!is_continuation(p[i]))
      return 0;
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
      (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
    return 0;
  return n;
}

/* It goes out again as JSON: it has to be text, on a line of its own. */
static bool is_sensor(const uint8_t *text, size_t len)
{
  for (size_t i = 0, n; i < len; i += n) {
    n = utf8(text + i, len - i);
    if (n == 0 || text[i] < 0x20 || text[i] == 0x7f)
      return false;
  }
  return len <= COF_SENSOR_MAX;
}

static enum cof_result set_sensor(const struct door *door, const Tap__Dnstap *tap,
                                  struct message *m, struct cof_error *err)
{
  m->sensor_id = door->options.sensor_id;
  m->sensor_len = m->sensor_id != NULL ? strlen(m->sensor_id) : 0;
  if (!tap->has_identity || tap->identity.len == 0)
    return COF_OK;
  if (!is_sensor(tap->identity.data, tap->identity.len))
    return cof_fail(err, COF_REJECT, "the identity is not text of at most %d octets",
                    COF_SENSOR_MAX);
  m->sensor_id = (const char *)tap->identity.data;
  m->sensor_len = tap->identity.len;
  return COF_OK;
}

/* A time of 0 is what writes no time down. */
static enum cof_result set_time(const Tap__Message *tap, struct message *m, struct cof_error *err)
{
  uint64_t time = tap->has_response_time_sec ? tap->response_time_sec : 0;
  if (time == 0 && tap->has_query_time_sec)
    time = tap->query_time_sec;
  if (time == 0)
    return cof_fail(err, COF_REJECT, "the response has no time");
  if (time > (uint64_t)COF_TIME_MAX)
    return cof_fail(err, COF_REJECT, "the response's time is %llu s, beyond the year 9999",
                    (unsigned long long)time);
  m->time = (int64_t)time;
  return COF_OK;
}

static enum cof_result set_zone(const Tap__Message *tap, char zone[COF_NAME_MAX], struct message *m,
                                struct cof_error *err)
{
  size_t at = 0;
  if (!tap->has_query_zone || tap->query_zone.len == 0)
    return COF_OK;
  m->zone_len = cof_name_from_message(tap->query_zone.data, tap->query_zone.len, &at, zone);
  if (m->zone_len == 0 || at != tap->query_zone.len)
    return cof_fail(err, COF_REJECT, "the query zone is no name in wire form");
  m->zone = zone;
  return COF_OK;
}

static enum cof_result take_response(struct door *door, const Tap__Dnstap *tap,
                                     struct cof_batch *batch, struct door_counts *counts,
                                     struct cof_error *err)
{
  char zone[COF_NAME_MAX];
  const Tap__Message *t = tap->message;
  if (!t->has_response_message)
    return cof_fail(err, COF_REJECT, "a response without its DNS message");
  struct message m = {.octets = t->response_message.data,
                      .len = t->response_message.len,
                      .sections = door->options.sections};
  enum cof_result result = set_sensor(door, tap, &m, err);
  if (result == COF_OK)
    result = set_time(t, &m, err);
  if (result == COF_OK)
    result = set_zone(t, zone, &m, err);
  return result == COF_OK ? message_read(door->scratch, &m, batch, counts, err) : result;
}

/* Responses have even numbers: auth 2, resolver 4 and so on. */
static bool is_wanted(const struct door *door, const Tap__Message *message)
{
  uint32_t type = message->has_type ? message->type : 0;
  return type != 0 && type % 2 == 0 && type / 2 <= TAP_KINDS &&
         (door->options.kinds >> (type / 2 - 1) & 1) != 0;
}

enum cof_result door_take(struct door *door, const uint8_t *payload, size_t len,
                          struct cof_batch *batch, struct door_counts *counts,
                          struct cof_error *err)
{
  struct door_counts before = *counts;
  enum cof_result result = COF_OK;
  if (!arena_begin(&door->arena, len))
    return cof_fail(err, COF_FATAL, "out of memory");
  counts->payloads++;
  Tap__Dnstap *tap = tap__dnstap__unpack(&door->allocator, len, payload);
  if (tap == NULL)
    return cof_fail(err, COF_REJECT, "a frame of %zu octets that is no dnstap payload", len);
  if (!tap->has_type || tap->type != DNSTAP_MESSAGE || tap->message == NULL ||
      !is_wanted(door, tap->message))
    counts->unwanted++;
  else
    result = take_response(door, tap, batch, counts, err);
  if (result == COF_FATAL)
    *counts = before;
  return result;
}
