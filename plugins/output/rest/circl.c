/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What CIRCL's passive DNS service and its clients agreed on for paging and filtering: headers
 * whose names begin with "dribble". dribble-disable-active-query asks that the names not be
 * resolved, which nobody does here.
 */
#include "rest_private.h"

#include <stdlib.h>
#include <string.h>

static const char *header(struct MHD_Connection *connection, const char *name)
{
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* A value as an error may show it. */
static void shown(const char *value, char out[64])
{
  size_t n = 0;
  for (; n < 63 && value[n] != '\0'; n++)
    out[n] = value[n] >= ' ' && value[n] <= '~' ? value[n] : '?';
  out[n] = '\0';
}

static enum cof_result number_header(struct MHD_Connection *connection, const char *name,
                                     int64_t min, uint64_t *number, struct cof_error *err)
{
  const char *value = header(connection, name);
  char show[64];
  int64_t n;
  if (value == NULL)
    return COF_OK;
  if (!params_number(value, min, INT64_MAX, &n)) {
    shown(value, show);
    return cof_fail(err, COF_REJECT, "%s: '%s' is no number: expected one from %lld to %lld", name,
                    show, (long long)min, (long long)INT64_MAX);
  }
  *number = (uint64_t)n;
  return COF_OK;
}

static void filter(struct MHD_Connection *connection, struct answer *a)
{
  const char *value = header(connection, "dribble-filter-rrtype");
  if (value == NULL)
    return;
  /* That client takes an unknown type for one that no record has. */
  if (!cof_rrtype_parse(value, strlen(value), &a->types[0]))
    a->trouble = "{\"rrtype\": \"dribble-filter-rrtype is no record type: expected one such as A, "
                 "TYPE64 or 64\"}";
  else
    a->types_count = 1;
}

enum cof_result circl_headers(struct MHD_Connection *connection, struct answer *a, uint64_t *cursor,
                              struct cof_error *err)
{
  struct rest *rest = a->worker->rest;
  uint64_t count = 0;
  *cursor = 0;
  a->connection = connection;
  a->circl = true;
  a->fences = (struct fences)FENCES_NONE;
  enum cof_result r = number_header(connection, "dribble-paginate-count", 1, &count, err);
  if (r == COF_OK)
    r = number_header(connection, "dribble-paginate-cursor", 0, cursor, err);
  if (r != COF_OK)
    return r;
  filter(connection, a);
  a->complete = a->trouble != NULL;
  if (count == 0 && *cursor == 0)
    return COF_OK;
  if ((cof_storage_caps(rest->host) & COF_CAP_RESUME) == 0)
    return cof_fail(err, COF_UNSUPPORTED,
                    "dribble-paginate-count: the storage cannot go on where a page ended: expected "
                    "no paging");
  a->paging = a->whole = true;
  a->max = count == 0 || count > PAGE_RECORDS ? PAGE_RECORDS : count;
  return COF_OK;
}

uint64_t circl_fingerprint(const struct answer *a, const struct question *question, bool pivot)
{
  uint64_t hash = params_hash(0, pivot ? "pivot" : "query", 5);
  if (question->is_address)
    hash = params_hash(hash, question->address.bytes, cof_addr_len(&question->address));
  else
    hash = params_hash(hash, question->name, strlen(question->name) + 1);
  return params_hash(hash, a->types, a->types_count * sizeof *a->types);
}
