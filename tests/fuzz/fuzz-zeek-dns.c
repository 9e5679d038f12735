/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any octets as the lines of a dns.log, one after another: nothing may break, and what comes out is
   canonical. The last line counts as cut off where it has no end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/dns.h>

#include "zeek_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                      \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

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
  CHECK(r->time_first >= 0 && r->time_first <= COF_TIME_MAX && r->time_last == r->time_first);
  CHECK(r->count == 1 && r->total == 0);
}

static void read_line(struct zeek_header *header, const char *text, size_t len, bool whole,
                      struct cof_batch *batch)
{
  struct cof_error err = {.text = ""};
  struct zeek_line line;
  enum cof_result result = zeek_read("s", header, text, len, whole, batch, &line, &err);
  CHECK(result == COF_OK || result == COF_REJECT);
  CHECK((result == COF_REJECT) == (err.text[0] != '\0'));
  CHECK(line.refused == 0 || result == COF_REJECT);
  CHECK(cof_batch_count(batch) == 0 || line.kind == ZEEK_LINE_ANSWERS);
  CHECK(!line.context || line.kind == ZEEK_LINE_HEADER);
  CHECK(header->columns <= ZEEK_COLUMNS_MAX);
  for (size_t i = 0; i < cof_batch_count(batch); i++)
    check_record(cof_batch_at(batch, i));
  cof_batch_clear(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct zeek_header header;
  struct cof_batch *batch = cof_batch_create();
  const char *text = (const char *)data;
  if (batch == NULL)
    abort();
  zeek_header_begin(&header);
  while (size > 0) {
    const char *end = memchr(text, '\n', size);
    size_t len = end != NULL ? (size_t)(end - text) : size;
    /* A copy of its own, so that a sanitizer sees a read beyond it. */
    char *copy = malloc(len + 1);
    if (copy == NULL)
      abort();
    memcpy(copy, text, len);
    char *exact = len > 0 ? realloc(copy, len) : copy;
    read_line(&header, exact, len, end != NULL, batch);
    free(exact);
    size -= len + (end != NULL ? 1 : 0);
    text += len + (end != NULL ? 1 : 0);
  }
  cof_batch_destroy(&batch);
  return 0;
}
