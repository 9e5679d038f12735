/* SPDX-License-Identifier: MIT */
/* Any octets as a passivedns line: nothing may break, and what comes out is canonical. The first
   octet chooses the columns and the delimiter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/dns.h>
#include <cofd/passivedns.h>

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
  CHECK(r->count >= 1 && r->count <= COF_COUNT_MAX && r->total == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const fields[] = {COF_PASSIVEDNS_FIELDS, "HSMhcwsWpCQLTAltn", "SQTA", "HQTAn"};
  static const char *const delimiters[] = {"||", "|", "\t", "aa"};
  if (size == 0)
    return 0;
  struct cof_passivedns_options o = COF_PASSIVEDNS_INIT;
  o.fields = fields[data[0] & 3];
  o.delimiter = delimiters[data[0] >> 2 & 3];
  struct cof_error err = {.text = ""};
  struct cof_passivedns_line line = {.struct_size = sizeof line};
  struct cof_passivedns *reader = cof_passivedns_create(&o, &err);
  struct cof_batch *batch = cof_batch_create();
  if (reader == NULL || batch == NULL)
    abort();
  enum cof_result result =
      cof_passivedns_read(reader, (const char *)data + 1, size - 1, batch, &line, &err);
  CHECK(result == COF_OK || result == COF_REJECT);
  CHECK((result == COF_REJECT) == (err.text[0] != '\0'));
  bool stored = result == COF_OK && line.kind == COF_PASSIVEDNS_RECORD;
  CHECK(cof_batch_count(batch) == (stored ? 1 : 0));
  if (stored)
    check_record(cof_batch_at(batch, 0));
  cof_batch_destroy(&batch);
  cof_passivedns_destroy(&reader);
  return 0;
}
