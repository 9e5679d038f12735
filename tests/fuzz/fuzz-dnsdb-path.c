/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libFuzzer target: path and parameters of a request to DNSDB's API, as the network sends them, to
 * a question and to what the storage is asked. What is understood must be canonical and planned
 * within bounds; what is refused must say why in printable ASCII.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/output/rest/dnsdb_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW  INT64_C(1700000000)
#define CAPS 4 /* sets of capabilities that are tried */

static void broken(const char *what, const char *text)
{
  fprintf(stderr, "%s: %s\n", what, text);
  abort();
}

static void check_refusal(enum cof_result r, enum cof_result expected, const struct cof_error *err)
{
  if (r != expected || err->text[0] == '\0')
    broken("refused without a reason", cof_result_name(r));
  for (const char *p = err->text; *p != '\0'; p++)
    if (*p < ' ' || *p > '~')
      broken("unprintable reason", err->text);
}

static void check_name(const char *name)
{
  char again[COF_NAME_MAX];
  size_t len;
  struct cof_error err = {""};
  if (cof_name_canon(name, strlen(name), again, &len, &err) != COF_OK || strcmp(name, again) != 0)
    broken("not a canonical name", name);
}

static void check_question(const struct dnsdb_question *q)
{
  if (q->subject == DNSDB_RRSET_NAME || q->subject == DNSDB_RDATA_NAME)
    check_name(q->name);
  if (q->subject == DNSDB_RDATA_IP &&
      (q->first.family != q->last.family || (q->first.family != 4 && q->first.family != 6) ||
       memcmp(q->first.bytes, q->last.bytes, sizeof q->first.bytes) > 0))
    broken("not a range", "of addresses");
  if (q->raw_len > sizeof q->raw)
    broken("too long", "rdata");
}

static void check_plan(const struct dnsdb_question *q, unsigned number)
{
  static const uint64_t sets[CAPS] = {UINT64_MAX, COF_CAP_RRNAME | COF_CAP_RDATA,
                                      ~(uint64_t)(COF_CAP_PREFIX | COF_CAP_RDATA_PREFIX), 0};
  static struct dnsdb_plan plan;
  const struct dnsdb_means means = {.caps = sets[number], .scan = number != 2};
  const struct cof_record record = {.rrname = "a.example",
                                    .rrname_len = 9,
                                    .rrtype = COF_TYPE_MX,
                                    .rdata = "10 mx.example",
                                    .rdata_len = 13};
  struct cof_error err = {""};
  enum cof_result r = dnsdb_plan(q, &means, &plan, &err);
  if (r != COF_OK) {
    check_refusal(r, COF_UNSUPPORTED, &err);
    return;
  }
  if (plan.count > DNSDB_PARTS_MAX)
    broken("too many", "parts");
  for (size_t i = 0; i < plan.count; i++) {
    const struct dnsdb_part *part = &plan.parts[i];
    if (part->only_count > DNSDB_TYPES_MAX || part->not_count > DNSDB_TYPES_MAX)
      broken("too many", "types");
    if (part->kind != COF_QUERY_RDATA_ADDR && part->kind != COF_QUERY_ALL)
      check_name(part->name);
    dnsdb_wanted(q, &means, part, &record);
  }
}

/* `key=value&key=value`, as the HTTP library takes it apart. */
static enum cof_result read_parameters(struct dnsdb_question *q, char *query, struct cof_error *err)
{
  enum cof_result r = COF_OK;
  char *rest = NULL;
  for (char *one = strtok_r(query, "&", &rest); r == COF_OK && one != NULL;
       one = strtok_r(NULL, "&", &rest)) {
    char *value = strchr(one, '=');
    if (value != NULL)
      *value++ = '\0';
    r = dnsdb_read_parameter(q, one, value, NOW, err);
  }
  return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct dnsdb_question q;
  struct cof_error err = {""};
  const char *rest;
  char *url = strndup((const char *)data, size);
  if (url == NULL)
    return 0;
  char *query = strchr(url, '?');
  if (query != NULL)
    *query++ = '\0';
  enum dnsdb_endpoint endpoint = dnsdb_endpoint(url, &rest);
  if (endpoint == DNSDB_LOOKUP || endpoint == DNSDB_SUMMARIZE) {
    enum cof_result r = dnsdb_read_path(rest, endpoint == DNSDB_SUMMARIZE, &q, &err);
    if (r == COF_OK && query != NULL)
      r = read_parameters(&q, query, &err);
    if (r != COF_OK)
      check_refusal(r, COF_REJECT, &err);
    else
      check_question(&q);
    for (unsigned i = 0; r == COF_OK && i < CAPS; i++)
      check_plan(&q, i);
  }
  free(url);
  return 0;
}
