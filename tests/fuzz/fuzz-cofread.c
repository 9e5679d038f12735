/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any octets as a COF object: nothing may break, what comes out is canonical, and what the fast
   scanner takes is what jansson would have taken. The first octet chooses what counts mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sdk/src/cofread_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                      \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

static bool equal(const char *a, const char *b)
{
  return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void check_same(const struct cof_batch *a, const struct cof_batch *b)
{
  CHECK(cof_batch_count(a) == cof_batch_count(b));
  for (size_t i = 0; i < cof_batch_count(a); i++) {
    const struct cof_record *x = cof_batch_at(a, i), *y = cof_batch_at(b, i);
    CHECK(cof_record_same(x, y));
    CHECK(x->hash == y->hash);
    CHECK(x->time_first == y->time_first && x->time_last == y->time_last);
    CHECK(x->count == y->count && x->total == y->total);
    CHECK(equal(x->sensor_id, y->sensor_id));
  }
}

static void check_record(const struct cof_record *r)
{
  char name[COF_NAME_MAX];
  static char rdata[COF_RDATA_MAX + 1];
  size_t len;
  CHECK(strlen(r->rrname) == r->rrname_len && strlen(r->rdata) == r->rdata_len);
  CHECK(r->sensor_id == NULL || strlen(r->sensor_id) == r->sensor_len);
  CHECK(r->time_first >= 0 && r->time_first <= r->time_last && r->time_last <= COF_TIME_MAX);
  CHECK(r->count <= COF_COUNT_MAX && r->total <= COF_COUNT_MAX);
  CHECK(r->hash == cof_record_hash(r));
  CHECK(cof_name_canon(r->rrname, r->rrname_len, name, &len, NULL) == COF_OK);
  CHECK(strcmp(name, r->rrname) == 0);
  CHECK(cof_rdata_canon(r->rrtype, r->rdata, r->rdata_len, rdata, sizeof rdata, &len, NULL) ==
        COF_OK);
  CHECK(strcmp(rdata, r->rdata) == 0);
}

/* A written record is read as what it was, within the bound. */
static void check_written(struct cof_reader *reader, const struct cof_record *r)
{
  struct cof_write_options options = {.origin = r->sensor_id};
  char *line = malloc(COF_JSON_BOUND(r, (size_t)r->sensor_len));
  struct cof_batch *again = cof_batch_create();
  CHECK(line != NULL && again != NULL);
  size_t n = cof_write_json(r, &options, line);
  /* Seconds so late are taken for milliseconds. */
  if (r->time_last <= INT64_C(100000000000)) {
    CHECK(cof_reader_object(reader, line, n, again, NULL, NULL, NULL) == COF_OK);
    CHECK(cof_batch_count(again) == 1 && cof_record_same(r, cof_batch_at(again, 0)));
    CHECK(cof_batch_at(again, 0)->time_last == r->time_last);
  }
  cof_batch_destroy(&again);
  free(line);
}

static void check_scanners(struct cof_reader *reader, const char *text, size_t len)
{
  struct cofread_fields fields;
  if (len < COFREAD_FAST_MIN || cofread_fast(reader, text, len, &fields) != COFREAD_DONE)
    return;
  struct cof_batch *fast = cof_batch_create(), *slow = cof_batch_create();
  CHECK(fast != NULL && slow != NULL);
  struct cofread_out from_fast = {.batch = fast}, from_slow = {.batch = slow};
  enum cof_result result = cofread_append(reader, &fields, &from_fast);
  CHECK(cofread_slow(reader, text, len, &from_slow) == result);
  CHECK(from_fast.added == from_slow.added && from_fast.refused == from_slow.refused);
  check_same(fast, slow);
  cof_batch_destroy(&fast);
  cof_batch_destroy(&slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  struct cof_reader *reader = cof_reader_create(data[0] & 1 ? COF_COUNTS_TOTAL : COF_COUNTS_ADD);
  struct cof_batch *batch = cof_batch_create();
  const char *text = (const char *)data + 1;
  size_t added, refused;
  struct cof_error err = {.text = ""};
  CHECK(reader != NULL && batch != NULL);
  enum cof_result result = cof_reader_object(reader, text, size - 1, batch, &added, &refused, &err);
  CHECK(result == COF_OK || result == COF_REJECT);
  CHECK((result == COF_REJECT) == (refused != 0) && (refused != 0) == (err.text[0] != '\0'));
  CHECK(added == cof_batch_count(batch));
  for (size_t i = 0; i < added; i++) {
    check_record(cof_batch_at(batch, i));
    check_written(reader, cof_batch_at(batch, i));
  }
  check_scanners(reader, text, size - 1);
  cof_batch_destroy(&batch);
  cof_reader_destroy(&reader);
  return 0;
}
