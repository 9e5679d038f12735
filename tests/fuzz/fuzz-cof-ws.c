/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any octets as messages of a websocket, cut into fragments: what comes out does not depend on how
   they were cut, and nothing is taken of a message that is too long. Each fragment is led by an
   octet: the high bit ends the message, the others are its length. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/dns.h>

#include "message_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 1024

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                      \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

/* What a message came to. */
struct result {
  struct cof_batch *batch;
  uint64_t refused;
  size_t added;
};

static bool on_starved(void *arg)
{
  (void)arg;
  return false;
}

static void on_refused(void *arg, uint64_t records, uint64_t line, const char *why)
{
  struct result *r = arg;
  CHECK(records > 0 && line > 0 && why[0] != '\0' && strlen(why) < COF_ERROR_MAX);
  r->refused += records;
}

static bool on_whole(void *arg, size_t records)
{
  struct result *r = arg;
  r->added += records;
  return true;
}

static void check_record(const struct cof_record *r)
{
  static char text[COF_RDATA_MAX + 1];
  size_t len;
  CHECK(r->rrname[r->rrname_len] == '\0' && r->rdata[r->rdata_len] == '\0');
  CHECK(cof_name_canon(r->rrname, r->rrname_len, text, &len, NULL) == COF_OK);
  CHECK(len == r->rrname_len && memcmp(text, r->rrname, len) == 0);
}

static struct result take(const char *text, size_t len)
{
  struct result r = {.batch = cof_batch_create()};
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  CHECK(r.batch != NULL && reader != NULL);
  struct take t = {.reader = reader,
                   .batch = &r.batch,
                   .max = MESSAGE_MAX,
                   .starved = on_starved,
                   .refused = on_refused,
                   .whole = on_whole,
                   .arg = &r};
  CHECK(take_message(&t, text, len));
  CHECK(r.added == cof_batch_count(r.batch));
  for (size_t i = 0; i < r.added; i++)
    check_record(cof_batch_at(r.batch, i));
  cof_reader_destroy(&reader);
  return r;
}

static void check_message(const char *text, size_t len, const char *whole, size_t whole_len)
{
  CHECK(len == whole_len && (len == 0 || memcmp(text, whole, len) == 0));
  struct result once = take(text, len), twice = take(whole, whole_len);
  CHECK(once.added == twice.added && once.refused == twice.refused);
  for (size_t i = 0; i < once.added; i++)
    CHECK(cof_record_same(cof_batch_at(once.batch, i), cof_batch_at(twice.batch, i)));
  cof_batch_destroy(&once.batch);
  cof_batch_destroy(&twice.batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct message m = {.max = MESSAGE_MAX};
  char *whole = malloc(size + 1);
  size_t whole_len = 0;
  bool first = true;
  CHECK(whole != NULL);
  for (size_t at = 0; at < size;) {
    bool final = (data[at] & 0x80) != 0;
    size_t part = data[at] & 0x7f, len;
    const char *text;
    at++;
    part = part < size - at ? part : size - at;
    memcpy(whole + whole_len, data + at, part);
    whole_len += part;
    enum message_state state =
        message_add(&m, (const char *)data + at, part, first, final, &text, &len);
    CHECK(state != MESSAGE_NO_MEMORY && m.len <= MESSAGE_MAX && m.room <= MESSAGE_MAX);
    CHECK((state == MESSAGE_MORE) == !final && (state == MESSAGE_MORE) == m.open);
    if (state == MESSAGE_WHOLE)
      check_message(text, len, whole, whole_len);
    if (final)
      CHECK((state == MESSAGE_LONG) == (whole_len > MESSAGE_MAX));
    first = final;
    whole_len = final ? 0 : whole_len;
    at += part;
  }
  message_free(&m);
  free(whole);
  return 0;
}
