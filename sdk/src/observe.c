/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <cofd/observe.h>

#include <stdio.h>
#include <string.h>

#include <cofd/dns.h>

#include "cofread_private.h"

bool cof_time_parse(const char *text, size_t len, int64_t *seconds)
{
  int64_t t;
  if (!cofread_decimal(text, len, &t) && !cofread_rfc3339(text, len, &t))
    return false;
  if (t < 0 || t > COF_TIME_MAX)
    return false;
  *seconds = t;
  return true;
}

/* --- what logs show --------------------------------------------------------------------------- */

static int hex(char c)
{
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* The octet at `*at`, which moves behind it. @return whether it was spelled by an escape */
static bool take_octet(const char *text, size_t len, size_t *at, unsigned char *out)
{
  const char *p = text + *at;
  size_t left = len - *at;
  if (left >= 4 && p[0] == '\\' && p[1] == 'x' && hex(p[2]) >= 0 && hex(p[3]) >= 0) {
    *out = (unsigned char)(hex(p[2]) * 16 + hex(p[3]));
    *at += 4;
    return true;
  }
  *out = (unsigned char)p[0];
  bool escaped = left >= 2 && p[0] == '\\' && p[1] == '\\';
  *at += escaped ? 2 : 1;
  return escaped;
}

static char *put_decimal(char *to, unsigned char octet)
{
  *to++ = '\\';
  *to++ = (char)('0' + octet / 100);
  *to++ = (char)('0' + octet / 10 % 10);
  *to++ = (char)('0' + octet % 10);
  return to;
}

size_t cof_logged_name(const char *text, size_t len, char *out)
{
  char *to = out;
  for (size_t at = 0; at < len;) {
    unsigned char c;
    bool escaped = take_octet(text, len, &at, &c);
    /* A dot that was escaped is no end of a label. */
    if (c <= 0x20 || c >= 0x7f || strchr("\\\";()@$", c) != NULL || (escaped && c == '.'))
      to = put_decimal(to, c);
    else
      *to++ = (char)c;
  }
  *to = '\0';
  return (size_t)(to - out);
}

size_t cof_logged_text(const char *text, size_t len, char *out)
{
  char *to = out;
  *to++ = '"';
  for (size_t at = 0; at < len;) {
    unsigned char c;
    (void)take_octet(text, len, &at, &c);
    if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
      to = put_decimal(to, c);
    else
      *to++ = (char)c;
  }
  *to++ = '"';
  *to = '\0';
  return (size_t)(to - out);
}

/* --- records ---------------------------------------------------------------------------------- */

static enum cof_result fill(struct cof_record *record, const struct cof_observation *o, char *name,
                            char *rdata, size_t rdata_cap, struct cof_error *err)
{
  struct cof_error why = {.text = ""};
  size_t name_len, rdata_len;
  if (cof_name_canon(o->rrname, o->rrname_len, name, &name_len, &why) != COF_OK)
    return cof_fail(err, COF_REJECT, "rrname: %s", why.text);
  if (cof_rdata_canon(o->rrtype, o->rdata, o->rdata_len, rdata, rdata_cap, &rdata_len, &why) !=
      COF_OK)
    return cof_fail(err, COF_REJECT, "rdata: %s", why.text);
  *record = (struct cof_record){.rrname = name,
                                .rrname_len = (uint16_t)name_len,
                                .rdata = rdata,
                                .rdata_len = (uint32_t)rdata_len,
                                .rrtype = o->rrtype,
                                .time_first = o->time,
                                .time_last = o->time,
                                .count = o->count != 0 ? o->count : 1};
  if (o->sensor_id != NULL && o->sensor_id[0] != '\0') {
    record->sensor_id = o->sensor_id;
    record->sensor_len = (uint16_t)strnlen(o->sensor_id, COF_SENSOR_MAX);
  }
  return COF_OK;
}

enum cof_result cof_batch_observe(struct cof_batch *batch, const struct cof_observation *o,
                                  struct cof_error *err)
{
  char name[COF_NAME_MAX], rdata[COF_RDATA_MAX + 1];
  struct cof_record record;
  if (o->time < 0 || o->time > COF_TIME_MAX || o->count > COF_COUNT_MAX)
    return cof_fail(err, COF_REJECT, "time or count out of range");
  enum cof_result result = fill(&record, o, name, rdata, sizeof rdata, err);
  if (result != COF_OK)
    return result;
  if (cof_batch_add(batch, &record) == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  if (o->has_ttl && !cof_batch_ttl(batch, o->ttl, 1)) {
    cof_batch_truncate(batch, cof_batch_count(batch) - 1);
    return cof_fail(err, COF_FATAL, "out of memory");
  }
  return COF_OK;
}
