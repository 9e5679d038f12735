/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What comes in by dnstap, as any octets. The first one chooses: a payload, a stream of frames, a
   DNS message, an rdata. Nothing may break, and what comes out is canonical. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include <cofd/wire.h>

#include "door_private.h"
#include "frames_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                      \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

#define TIME 1700000000

static void check_record(const struct cof_record *r)
{
  static char text[COF_RDATA_MAX + 1];
  size_t len;
  CHECK(r->rrname[r->rrname_len] == '\0' && r->rdata[r->rdata_len] == '\0');
  CHECK(cof_name_canon(r->rrname, r->rrname_len, text, &len, NULL) == COF_OK);
  CHECK(len == r->rrname_len && memcmp(text, r->rrname, len) == 0);
  CHECK(cof_rdata_canon(r->rrtype, r->rdata, r->rdata_len, text, sizeof text, &len, NULL) ==
        COF_OK);
  CHECK(len == r->rdata_len && memcmp(text, r->rdata, len) == 0);
  CHECK(r->time_first > 0 && r->time_first <= COF_TIME_MAX && r->time_last == r->time_first);
  CHECK(r->count == 1 && r->total == 0 && r->sensor_len <= COF_SENSOR_MAX);
}

/* --- payloads and streams -----------------------------------------------------------------------
 */

static struct door *make_door(uint8_t choice)
{
  struct door_options o = {.kinds = (choice & 1) != 0 ? 0x3f : 1u << TAP_RESOLVER,
                           .sections = (choice & 2) != 0 ? 7u : 1u << TAP_ADDITIONAL,
                           .sensor_id = (choice & 4) != 0 ? "sensor" : NULL};
  struct door *door = door_create(&o);
  CHECK(door != NULL);
  return door;
}

static void take(struct door *door, struct cof_batch *batch, const uint8_t *data, size_t size)
{
  struct door_counts counts = {0};
  struct cof_error err = {.text = ""};
  size_t before = cof_batch_count(batch);
  enum cof_result result = door_take(door, data, size, batch, &counts, &err);
  CHECK(result == COF_OK || result == COF_REJECT);
  CHECK((result == COF_REJECT) == (err.text[0] != '\0'));
  CHECK(counts.payloads == 1 && counts.records == cof_batch_count(batch) - before);
  CHECK(result == COF_OK || counts.records == 0);
  CHECK((counts.bad_records == 0) == (counts.bad.text[0] == '\0'));
}

static void check_batch(struct cof_batch **batch)
{
  for (size_t i = 0; i < cof_batch_count(*batch); i++)
    check_record(cof_batch_at(*batch, i));
  cof_batch_destroy(batch);
}

static void fuzz_payload(uint8_t choice, const uint8_t *data, size_t size)
{
  struct cof_batch *batch = cof_batch_create();
  struct door *door = make_door(choice);
  CHECK(batch != NULL);
  take(door, batch, data, size);
  take(door, batch, data, size);
  door_destroy(&door);
  check_batch(&batch);
}

static void fuzz_stream(uint8_t choice, const uint8_t *data, size_t size)
{
  static const enum stream_kind kinds[] = {STREAM_PEER, STREAM_FILE, STREAM_REST, STREAM_PEER};
  struct cof_batch *batch = cof_batch_create();
  struct door *door = make_door(choice);
  struct stream stream;
  enum stream_step step = STREAM_QUIET;
  CHECK(batch != NULL && stream_begin(&stream, kinds[choice >> 3 & 3]));
  for (size_t at = 0; step != STREAM_BROKEN && step != STREAM_CLOSED;) {
    struct frame frame;
    struct cof_error err = {.text = ""};
    if (frame_cut(data + at, size - at, 4096, &frame) != CUT_FRAME)
      break;
    CHECK(frame.whole <= size - at && frame.data + frame.len == data + at + frame.whole);
    step = stream_take(&stream, &frame, &err);
    CHECK((step == STREAM_BROKEN) == (err.text[0] != '\0'));
    CHECK(stream.reply_len <= sizeof stream.reply);
    CHECK(stream.reply_len == 0 || stream.kind == STREAM_PEER);
    CHECK(step != STREAM_PAYLOAD || (stream.open && !frame.control));
    if (step == STREAM_PAYLOAD)
      take(door, batch, frame.data, frame.len);
    at += frame.whole;
  }
  stream_end(&stream);
  door_destroy(&door);
  check_batch(&batch);
}

/* --- DNS messages -------------------------------------------------------------------------------
 */

static void fuzz_message(uint8_t choice, const uint8_t *data, size_t size)
{
  static const char *const zones[] = {NULL, ".", "example", "a.example"};
  struct message m = {.octets = data, .len = size, .sections = 7, .time = TIME};
  struct message_scratch *scratch = message_scratch_create();
  struct cof_batch *batch = cof_batch_create();
  struct door_counts counts = {0};
  struct cof_error err = {.text = ""};
  CHECK(scratch != NULL && batch != NULL);
  m.zone = zones[choice & 3];
  m.zone_len = m.zone != NULL ? strlen(m.zone) : 0;
  enum cof_result result = message_read(scratch, &m, batch, &counts, &err);
  CHECK(result == COF_OK || (result == COF_REJECT && counts.records == 0));
  CHECK(counts.records == cof_batch_count(batch));
  for (size_t i = 0; i < cof_batch_count(batch) && m.zone != NULL; i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    CHECK(cof_name_under(r->rrname, r->rrname_len, m.zone, m.zone_len));
  }
  message_scratch_destroy(&scratch);
  check_batch(&batch);
}

/* --- rdata --------------------------------------------------------------------------------------
 */

/* The fields as ldns prints them, where they are all of the rdata; NULL: it does not take it. */
static char *ldns_text(uint16_t rrtype, const uint8_t *rdata, size_t size)
{
  ldns_rr *rr = ldns_rr_new();
  uint8_t *sized = malloc(size + 2);
  size_t at = 0, whole = 0;
  char *text = NULL;
  CHECK(rr != NULL && sized != NULL);
  sized[0] = (uint8_t)(size >> 8);
  sized[1] = (uint8_t)size;
  memcpy(sized + 2, rdata, size);
  ldns_rr_set_type(rr, (ldns_rr_type)rrtype);
  if (ldns_wire2rdf(rr, sized, size + 2, &at) == LDNS_STATUS_OK) {
    ldns_buffer *buffer = ldns_buffer_new(1024);
    CHECK(buffer != NULL);
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
      whole += ldns_rdf_size(ldns_rr_rdf(rr, i));
      ldns_buffer_printf(buffer, i != 0 ? " " : "");
      ldns_rdf2buffer_str(buffer, ldns_rr_rdf(rr, i));
    }
    text = whole == size ? ldns_buffer_export2str(buffer) : NULL;
    ldns_buffer_free(buffer);
  }
  free(sized);
  ldns_rr_free(rr);
  return text;
}

/* ldns writes parameters of SVCB in another way, times of signatures after 2038 as before 1970, and
   takes NSAP-PTR for a character-string. */
static bool is_comparable(uint16_t rrtype, const uint8_t *rdata, size_t size)
{
  bool signature = rrtype == COF_TYPE_RRSIG || rrtype == 24;
  return rrtype != COF_TYPE_SVCB && rrtype != COF_TYPE_HTTPS && rrtype != 23 &&
         !(signature && size > 12 && ((rdata[8] | rdata[12]) & 0x80) != 0);
}

static void compare(uint16_t rrtype, const uint8_t *rdata, size_t size, const char *have)
{
  static char want[COF_RDATA_MAX + 1];
  size_t len;
  if (!is_comparable(rrtype, rdata, size) || have[0] == '\\')
    return;
  char *text = ldns_text(rrtype, rdata, size);
  bool padded =
      rrtype == 50 && text != NULL && strchr(text, '=') != NULL; /* NSEC3 has no padding */
  if (text != NULL && text[0] != '\0' && !padded &&
      cof_rdata_canon(rrtype, text, strlen(text), want, sizeof want, &len, NULL) == COF_OK &&
      strcmp(want, have) != 0) {
    fprintf(stderr, "type %u: have %s, want %s, from %s\n", (unsigned)rrtype, have, want, text);
    abort();
  }
  free(text);
}

static void fuzz_rdata(const uint8_t *data, size_t size)
{
  static char out[COF_RDATA_MAX + 1], again[COF_RDATA_MAX + 1];
  struct cof_error err = {.text = ""};
  size_t len, more;
  if (size < 3)
    return;
  uint16_t rrtype = (uint16_t)(data[0] << 8 | data[1]);
  size_t at = data[2] < size - 3 ? data[2] : 0; /* what is before it, pointers may lead to */
  const uint8_t *msg = data + 3;
  size -= 3;
  enum cof_result result =
      cof_rdata_from_message(rrtype, msg, size, at, size - at, out, sizeof out, &len, &err);
  CHECK(result == COF_OK || (result == COF_REJECT && err.text[0] != '\0'));
  if (result != COF_OK)
    return;
  CHECK(strlen(out) == len);
  CHECK(cof_rdata_canon(rrtype, out, len, again, sizeof again, &more, NULL) == COF_OK);
  CHECK(more == len && memcmp(out, again, len) == 0);
  CHECK(cof_rdata_from_message(rrtype, msg, size, at, size - at, again, len + 1, &more, NULL) ==
        COF_OK);
  CHECK(len == 0 || cof_rdata_from_message(rrtype, msg, size, at, size - at, again, len, &more,
                                           NULL) == COF_REJECT);
  if (at == 0)
    compare(rrtype, msg, size, out);
}

static void fuzz_name(const uint8_t *data, size_t size)
{
  char name[COF_NAME_MAX], flat[COF_NAME_MAX];
  uint8_t wire[255];
  for (size_t i = 0; i < size && i < 64; i++) {
    size_t at = i, len = cof_name_from_message(data, size, &at, name);
    CHECK(len == 0 ? at == i : at > i && at <= size && len == strlen(name));
    if (len == 0)
      continue;
    size_t n = cof_name_to_wire(name, len, wire);
    CHECK(n != 0 && cof_name_from_wire(wire, n, flat) == len && memcmp(flat, name, len) == 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  switch (data[0] & 3) {
  case 0:
    fuzz_payload(data[0] >> 2, data + 1, size - 1);
    break;
  case 1:
    fuzz_stream(data[0] >> 2, data + 1, size - 1);
    break;
  case 2:
    fuzz_message(data[0] >> 2, data + 1, size - 1);
    break;
  default:
    fuzz_rdata(data + 1, size - 1);
    fuzz_name(data + 1, size - 1);
    break;
  }
  return 0;
}
