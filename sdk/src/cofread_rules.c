/* SPDX-License-Identifier: MIT */
#include "cofread_private.h"
#include "utf8_private.h"

#include <stdio.h>

/* Later than year 5138 in seconds; milliseconds since 1973. */
#define SECONDS_MAX INT64_C(100000000000)
/* Octets of a text that an error quotes. */
#define SHOWN 64

/* An untrusted text as an error may quote it. */
static const char *show(const char *text, size_t len, char out[SHOWN + 4])
{
  size_t n = len < SHOWN ? len : SHOWN;
  for (size_t i = 0; i < n; i++)
    out[i] = (char)(text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?');
  memcpy(out + n, len > n ? "..." : "", len > n ? 4 : 1);
  return out;
}

/* The forms of one time, in the order of preference. */
struct time_form {
  enum cofread_key key;
  const char *name;
  bool ms;
};
static const struct time_form time_forms[2][4] = {
    {{COFREAD_TIME_FIRST, "time_first", false},
     {COFREAD_TIME_FIRST_MS, "time_first_ms", true},
     {COFREAD_TIME_FIRST_RFC3339, "time_first_rfc3339", false},
     {COFREAD_ZONE_TIME_FIRST, "zone_time_first", false}},
    {{COFREAD_TIME_LAST, "time_last", false},
     {COFREAD_TIME_LAST_MS, "time_last_ms", true},
     {COFREAD_TIME_LAST_RFC3339, "time_last_rfc3339", false},
     {COFREAD_ZONE_TIME_LAST, "zone_time_last", false}},
};

static enum cof_result read_form(const struct time_form *form, const struct cofread_value *v,
                                 int64_t *out, struct cofread_out *to)
{
  int64_t t;
  bool number = true;
  if (v->kind == COFREAD_INTEGER || v->kind == COFREAD_FRACTION) {
    t = v->integer;
  } else if (v->kind == COFREAD_TEXT) {
    char shown[SHOWN + 4];
    number = cofread_decimal(v->text, v->len, &t);
    if (!number && (form->ms || !cofread_rfc3339(v->text, v->len, &t)))
      return cofread_refuse(to, "%s is neither a number nor an RFC 3339 time: \"%s\"", form->name,
                            show(v->text, v->len, shown));
  } else {
    return cofread_refuse(to, "%s is neither a number nor a string", form->name);
  }
  if (number && (form->ms || t > SECONDS_MAX))
    t /= 1000;
  if (t < 0)
    return cofread_refuse(to, "%s is before 1970", form->name);
  if (t > COF_TIME_MAX)
    return cofread_refuse(to, "%s is after the year 9999", form->name);
  *out = t;
  return COF_OK;
}

static enum cof_result __attribute__((noinline))
read_forms(const struct cofread_fields *fields, const struct time_form *forms, int64_t *out,
           struct cofread_out *to)
{
  for (size_t i = 0; i < 4; i++) {
    const struct cofread_value *v = cofread_get(fields, forms[i].key);
    if (v != NULL)
      return read_form(&forms[i], v, out, to);
  }
  return cofread_refuse(to, "%s is missing", forms[0].name);
}

/* Seconds as a number, mostly. */
static inline enum cof_result read_time(const struct cofread_fields *fields, int which,
                                        int64_t *out, struct cofread_out *to)
{
  const struct time_form *forms = time_forms[which];
  const struct cofread_value *v = cofread_get(fields, forms[0].key);
  if (v == NULL || v->kind != COFREAD_INTEGER || (uint64_t)v->integer > SECONDS_MAX)
    return read_forms(fields, forms, out, to);
  *out = v->integer;
  return COF_OK;
}

static enum cof_result read_times(const struct cofread_fields *fields, struct cof_record *record,
                                  struct cofread_out *to)
{
  int64_t first, last;
  if (read_time(fields, 0, &first, to) != COF_OK || read_time(fields, 1, &last, to) != COF_OK)
    return COF_REJECT;
  record->time_first = first < last ? first : last;
  record->time_last = first < last ? last : first;
  return COF_OK;
}

/* What another cofd says that the stored count must at least become. */
static enum cof_result read_total(const struct cofread_fields *fields, struct cof_record *record,
                                  struct cofread_out *to)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_TOTAL);
  if (v == NULL)
    return COF_OK;
  if (v->kind != COFREAD_INTEGER || v->integer < 0)
    return cofread_refuse(to, "cofd_total is not a whole number");
  if ((uint64_t)v->integer > record->total)
    record->total = (uint64_t)v->integer;
  return COF_OK;
}

/* Neighbours mostly came by the same path. */
static enum cof_result read_via(struct cof_reader *reader, const struct cofread_fields *fields,
                                struct cof_record *record, struct cofread_out *to)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_VIA);
  struct cof_error why;
  if (v == NULL || reader->host == NULL)
    return COF_OK;
  if (v->kind != COFREAD_TEXT)
    return cofread_refuse(to, "cofd_via is not a string");
  if (v->len == 0 || v->len != reader->via_len || memcmp(v->text, reader->via_text, v->len) != 0) {
    reader->via_len = 0;
    if (cof_via(reader->host, v->text, v->len, &reader->via, &why) != COF_OK)
      return cofread_refuse(to, "cofd_via: %s", why.text);
    if (v->len <= sizeof reader->via_text) {
      memcpy(reader->via_text, v->text, v->len);
      reader->via_len = v->len;
    }
  }
  record->via = reader->via;
  return COF_OK;
}

static enum cof_result read_count(const struct cof_reader *reader,
                                  const struct cofread_fields *fields, struct cof_record *record,
                                  struct cofread_out *to)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_COUNT);
  int64_t n = 1;
  if (v != NULL) {
    if (v->kind == COFREAD_INTEGER || v->kind == COFREAD_FRACTION)
      n = v->integer;
    else if (v->kind != COFREAD_TEXT || !cofread_decimal(v->text, v->len, &n))
      return cofread_refuse(to, "count is not a number");
    if (n < 0)
      return cofread_refuse(to, "count is negative");
  }
  if (reader->counts == COF_COUNTS_TOTAL)
    record->total = (uint64_t)n;
  else
    record->count = (uint64_t)n;
  return COF_OK;
}

static enum cof_result read_rrtype(const struct cofread_fields *fields, struct cof_record *record,
                                   struct cofread_out *to)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_RRTYPE);
  if (v == NULL)
    return cofread_refuse(to, "rrtype is missing");
  if (v->kind == COFREAD_TEXT) {
    char shown[SHOWN + 4];
    if (!cof_rrtype_parse(v->text, v->len, &record->rrtype))
      return cofread_refuse(to, "rrtype is no known type, TYPEn or number: \"%s\"",
                            show(v->text, v->len, shown));
    return COF_OK;
  }
  if (v->kind != COFREAD_INTEGER || v->integer < 0 || v->integer > UINT16_MAX)
    return cofread_refuse(to, "rrtype is neither a string nor a number from 0 to 65535");
  record->rrtype = (uint16_t)v->integer;
  return COF_OK;
}

/* A sensor_id goes out again as JSON: it has to be text. */
static bool is_text(const char *text, size_t len)
{
  for (size_t i = 0; i < len;) {
    uint32_t c;
    size_t n = utf8_next((const unsigned char *)text + i, len - i, &c);
    if (n == 0 || c == 0)
      return false;
    i += n;
  }
  return true;
}

static enum cof_result read_sensor(struct cof_reader *reader, const struct cofread_fields *fields,
                                   struct cof_record *record, struct cofread_out *to)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_SENSOR_ID);
  const char *id = reader->sensor;
  size_t len = reader->sensor_len;
  if (v != NULL && v->kind == COFREAD_INTEGER) {
    id = reader->number;
    len = (size_t)snprintf(reader->number, sizeof reader->number, "%lld", (long long)v->integer);
  } else if (v != NULL && v->kind == COFREAD_TEXT && v->len != 0) {
    id = v->text;
    len = v->len;
    if (len > COF_SENSOR_MAX)
      return cofread_refuse(to, "sensor_id is over %d octets", COF_SENSOR_MAX);
    if (!is_text(id, len))
      return cofread_refuse(to, "sensor_id is not UTF-8 without NUL");
  }
  record->sensor_id = id;
  record->sensor_len = (uint16_t)len;
  return COF_OK;
}

/* What is odd costs the record its bailiwick and nothing else. */
static void read_bailiwick(struct cof_reader *reader, const struct cofread_fields *fields,
                           struct cof_record *record)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_BAILIWICK);
  char zone[COF_NAME_MAX];
  size_t len;
  if (v == NULL || (v->kind == COFREAD_TEXT && v->len == 0))
    return;
  if (v->kind == COFREAD_TEXT && cof_name_canon(v->text, v->len, zone, &len, NULL) == COF_OK)
    record->zones = cof_zone_bit(record->rrname, record->rrname_len, zone, len);
  reader->odd_bailiwicks += record->zones == 0;
}

static enum cof_result read_zones(struct cof_reader *reader, const struct cofread_fields *fields,
                                  struct cof_record *record, struct cofread_out *to)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_ZONES);
  read_bailiwick(reader, fields, record);
  if (v == NULL)
    return COF_OK;
  if (v->kind != COFREAD_INTEGER || v->integer < 0 || v->integer > UINT32_MAX)
    return cofread_refuse(to, "cofd_zones is not a whole number below 2^32");
  if (((uint32_t)v->integer & ~cof_zones_all(record->rrname, record->rrname_len)) != 0)
    return cofread_refuse(to, "cofd_zones has zones of more labels than rrname has");
  record->zones |= (uint32_t)v->integer;
  return COF_OK;
}

static enum cof_result add(struct cof_record *record, struct cofread_out *to)
{
  record->hash = cof_record_hash(record);
  if (cof_batch_add(to->batch, record) == NULL)
    return COF_FATAL;
  to->added++;
  return COF_OK;
}

/* `10 mail.example`: an MX rdata where the rrname should be. */
static bool has_preference(const struct cofread_value *v)
{
  size_t i = 0;
  while (i < v->len && v->text[i] >= '0' && v->text[i] <= '9')
    i++;
  return i > 0 && i < v->len && (v->text[i] == ' ' || v->text[i] == '\t');
}

/* CIRCL's service answers with rrname and rdata in each other's place. Append the record the right
   way round, if that makes sense; COF_REJECT, uncounted, if not. */
static enum cof_result add_swapped(struct cof_reader *reader, const struct cof_record *base,
                                   const struct cofread_value *rrname,
                                   const struct cofread_value *rdata, struct cofread_out *to)
{
  struct cof_record record = *base;
  size_t name_len, rdata_len;
  if (memchr(rdata->text, ' ', rdata->len) != NULL ||
      cof_name_canon(rdata->text, rdata->len, reader->swapped, &name_len, NULL) != COF_OK ||
      cof_rdata_canon(record.rrtype, rrname->text, rrname->len, reader->rdata, sizeof reader->rdata,
                      &rdata_len, NULL) != COF_OK)
    return COF_REJECT;
  record.rrname = reader->swapped;
  record.rrname_len = (uint16_t)name_len;
  record.zones = 0; /* they were those of the other name */
  record.rdata = reader->rdata;
  record.rdata_len = (uint32_t)rdata_len;
  return add(&record, to);
}

static enum cof_result refuse_rdata(struct cof_reader *reader, const struct cof_record *base,
                                    const struct cofread_value *rrname,
                                    const struct cofread_value *rdata, struct cofread_out *to,
                                    const struct cof_error *why)
{
  if (base->rrtype == COF_TYPE_A || base->rrtype == COF_TYPE_AAAA) {
    enum cof_result result = add_swapped(reader, base, rrname, rdata, to);
    if (result != COF_REJECT)
      return result;
  }
  return cofread_refuse(to, "%s", why->text);
}

/* `record` has all but the rdata. */
static enum cof_result add_rdata(struct cof_reader *reader, struct cof_record *record,
                                 const struct cofread_value *rrname,
                                 const struct cofread_value *rdata, struct cofread_out *to)
{
  struct cof_error why;
  size_t len;
  if (rdata->kind != COFREAD_TEXT)
    return cofread_refuse(to, "rdata is not a string or an array of strings");
  if (record->rrtype == COF_TYPE_MX && has_preference(rrname)) {
    enum cof_result result = add_swapped(reader, record, rrname, rdata, to);
    if (result != COF_REJECT)
      return result;
  }
  if (cof_rdata_canon(record->rrtype, rdata->text, rdata->len, reader->rdata, sizeof reader->rdata,
                      &len, &why) != COF_OK)
    return refuse_rdata(reader, record, rrname, rdata, to, &why);
  record->rdata = reader->rdata;
  record->rdata_len = (uint32_t)len;
  return add(record, to);
}

static enum cof_result add_each(struct cof_reader *reader, struct cof_record *record,
                                const struct cofread_fields *fields, struct cofread_out *to)
{
  const struct cofread_value *rrname = &fields->value[COFREAD_RRNAME];
  const struct cofread_value *rdata = &fields->value[COFREAD_RDATA];
  if (rdata->kind != COFREAD_LIST)
    return add_rdata(reader, record, rrname, rdata, to);
  if (fields->list_count == 0)
    return cofread_refuse(to, "rdata is an empty array");
  for (size_t i = 0; i < fields->list_count; i++) {
    if (add_rdata(reader, record, rrname, &fields->list[i], to) == COF_FATAL)
      return COF_FATAL;
  }
  return to->refused != 0 ? COF_REJECT : COF_OK;
}

static enum cof_result read_rrname(struct cof_reader *reader, const struct cofread_fields *fields,
                                   struct cof_record *record, struct cofread_out *to)
{
  const struct cofread_value *v = cofread_get(fields, COFREAD_RRNAME);
  struct cof_error why;
  size_t len;
  if (v == NULL)
    return cofread_refuse(to, "rrname is missing");
  if (v->kind != COFREAD_TEXT)
    return cofread_refuse(to, "rrname is not a string");
  if (cof_name_canon(v->text, v->len, reader->name, &len, &why) != COF_OK)
    return cofread_refuse(to, "rrname: %s", why.text);
  record->rrname = reader->name;
  record->rrname_len = (uint16_t)len;
  return COF_OK;
}

/* Begin, end and keep-alive of the Streaming API Framing: nothing to store, nothing wrong. */
static bool is_framing(const struct cofread_fields *fields)
{
  uint32_t record = 1U << COFREAD_RRNAME | 1U << COFREAD_RRTYPE | 1U << COFREAD_RDATA;
  return fields->empty || ((fields->seen >> COFREAD_COND & 1) != 0 && (fields->seen & record) == 0);
}

enum cof_result cofread_append(struct cof_reader *reader, const struct cofread_fields *fields,
                               struct cofread_out *out)
{
  struct cof_record base = {.rrname = NULL};
  if (is_framing(fields))
    return COF_OK;
  if (read_rrname(reader, fields, &base, out) != COF_OK ||
      read_rrtype(fields, &base, out) != COF_OK)
    return COF_REJECT;
  if (cofread_get(fields, COFREAD_RDATA) == NULL)
    return cofread_refuse(out, "rdata is missing");
  if (read_times(fields, &base, out) != COF_OK ||
      read_count(reader, fields, &base, out) != COF_OK ||
      read_sensor(reader, fields, &base, out) != COF_OK ||
      read_total(fields, &base, out) != COF_OK || read_via(reader, fields, &base, out) != COF_OK ||
      read_zones(reader, fields, &base, out) != COF_OK)
    return COF_REJECT;
  return add_each(reader, &base, fields, out);
}
