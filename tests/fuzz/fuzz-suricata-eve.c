/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any octets as a line of EVE: nothing may break, and what comes out is canonical. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/dns.h>

#include "eve_private.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct cof_error err = {.text = ""};
  struct eve_line line;
  struct cof_batch *batch = cof_batch_create();
  if (batch == NULL)
    abort();
  enum cof_result result = eve_read(NULL, (const char *)data, size, batch, &line, &err);
  CHECK(result == COF_OK || result == COF_REJECT);
  CHECK((result == COF_REJECT) == (err.text[0] != '\0'));
  CHECK(line.refused == 0 || result == COF_REJECT);
  CHECK(cof_batch_count(batch) == 0 || line.kind == EVE_ANSWERS);
  for (size_t i = 0; i < cof_batch_count(batch); i++)
    check_record(cof_batch_at(batch, i));
  cof_batch_destroy(&batch);
  return 0;
}
