/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "params_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "question_private.h"

/* Most octets of a value. */
#define VALUE_MAX 4096
/* Octets of a value that an error shows. */
#define SHOWN 64

#define TIME_HELP                                                                                  \
  " Seconds UTC; negative: so many before now; or 2026-01-31, or 2026-01-31T12:00:00Z. Inclusive."
#define TIME_PATTERN "^(-?[0-9]{1,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?)$"

static const char *const sort_words[] = {
    "time_first", "time_last", "count",   "rrtype",  "rrname", "rdata", "-time_first",
    "-time_last", "-count",    "-rrtype", "-rrname", "-rdata", NULL};
#define SORT_KEYS 6

const struct param_info param_table[PARAMS] = {
    [PARAM_NAME] = {.name = "name",
                    .help = "Records whose rrname is this name.",
                    .example = "www.example.com"},
    [PARAM_SUBDOMAINS] = {.name = "subdomains",
                          .help = "Records whose rrname is this name or below it.",
                          .example = "example.com"},
    [PARAM_RDATA_NAME] = {.name = "rdata_name",
                          .help = "Records whose rdata has this name as its target (CNAME, NS, MX, "
                                  "PTR, SRV and so on).",
                          .example = "ns1.example.net"},
    [PARAM_ADDRESS] = {.name = "address",
                       .help = "A and AAAA records with this address.",
                       .example = "192.0.2.1"},
    [PARAM_NETWORK] = {.name = "network",
                       .help = "A or AAAA records with an address in this network (CIDR).",
                       .example = "192.0.2.0/24"},
    [PARAM_RANGE] = {.name = "range",
                     .help = "A or AAAA records with an address from the first to the last, both "
                             "included.",
                     .example = "192.0.2.1-192.0.2.9"},
    [PARAM_RRTYPE] = {.name = "rrtype",
                      .help = "Only records of these types: mnemonics, TYPEn or numbers, up to 32, "
                              "separated by commas.",
                      .example = "A,AAAA"},
    [PARAM_BAILIWICK] = {.name = "bailiwick",
                         .help = "Only records that were seen in this zone. Of a storage that "
                                 "keeps no bailiwicks, this is answered by status 501.",
                         .example = "example.com"},
    [PARAM_TIME_FIRST_AFTER] = {.name = "time_first_after",
                                .help = "Only records first seen at this time or later." TIME_HELP,
                                .example = "2026-01-31",
                                .pattern = TIME_PATTERN},
    [PARAM_TIME_FIRST_BEFORE] = {.name = "time_first_before",
                                 .help =
                                     "Only records first seen at this time or earlier." TIME_HELP,
                                 .example = "-86400",
                                 .pattern = TIME_PATTERN},
    [PARAM_TIME_LAST_AFTER] = {.name = "time_last_after",
                               .help = "Only records last seen at this time or later." TIME_HELP,
                               .example = "1700000000",
                               .pattern = TIME_PATTERN},
    [PARAM_TIME_LAST_BEFORE] = {.name = "time_last_before",
                                .help = "Only records last seen at this time or earlier." TIME_HELP,
                                .example = "2026-01-31T12:00:00Z",
                                .pattern = TIME_PATTERN},
    [PARAM_SENSOR_ID] = {.name = "sensor_id",
                         .help = "Only what this sensor observed: its records, with the times, "
                                 "count and bailiwicks that are its own, which the other filters "
                                 "are about, too. Of a storage that does not keep what sensors "
                                 "see, this is answered by status 501. The sensors are in "
                                 "/api/v1/stats.",
                         .example = "sensor-1"},
    [PARAM_SORT] = {.name = "sort",
                    .help = "Sort by this field, descending with a leading -, and answer the first "
                            "of it. Not together with cursor, nor with a limit above sort_records "
                            "(see the server's configuration).",
                    .example = "-time_last",
                    .words = sort_words},
    [PARAM_LIMIT] = {.name = "limit",
                     .help = "Most records in the answer, or, in a bulk look-up, for each "
                             "question. Up to 1000, the answer is a page, which is sent as a "
                             "whole, with its cursor in the header; beyond, it is streamed, with "
                             "its cursor in the trailer.",
                     .example = "100",
                     .min = 1,
                     .max = LIMIT_MAX},
    [PARAM_CURSOR] = {.name = "cursor",
                      .help = "Go on where an earlier answer to the same question ended: the value "
                              "of its X-Cofd-Cursor.",
                      .example = "7346046680497455128",
                      .min = 1,
                      .max = INT64_MAX},
    [PARAM_FORMAT] = {.name = "format",
                      .help = "Format of the answer, in place of the header Accept.",
                      .example = "json",
                      .words = format_words},
};

uint64_t params_hash(uint64_t hash, const void *data, size_t len)
{
  const unsigned char *p = data;
  hash = hash != 0 ? hash : UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
  return hash;
}

void params_init(struct params *params, int64_t now)
{
  memset(params, 0, sizeof *params);
  params->fences = (struct fences)FENCES_NONE;
  params->now = now;
}

/* --- values --------------------------------------------------------------------------------- */

static const char *shown(const char *text, char out[SHOWN + 4])
{
  size_t n = 0;
  for (; n < SHOWN && text[n] != '\0'; n++)
    out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
  memcpy(out + n, text[n] != '\0' ? "..." : "", text[n] != '\0' ? 4 : 1);
  return out;
}

__attribute__((format(printf, 4, 5))) static enum cof_result
wrong(enum param param, const char *value, struct cof_error *err, const char *expected, ...)
{
  char show[SHOWN + 4], text[COF_ERROR_MAX];
  va_list ap;
  va_start(ap, expected);
  vsnprintf(text, sizeof text, expected, ap);
  va_end(ap);
  return cof_fail(err, COF_REJECT, "%s: '%s' %s", param_table[param].name, shown(value, show),
                  text);
}

bool params_number(const char *text, int64_t min, int64_t max, int64_t *number)
{
  char *end;
  size_t digits = strspn(text + (*text == '-'), "0123456789");
  if (digits == 0 || text[digits + (*text == '-')] != '\0')
    return false;
  errno = 0;
  long long n = strtoll(text, &end, 10);
  *number = (int64_t)n;
  return errno == 0 && n >= min && n <= max;
}

/* Seconds UTC of a date of the forms that TIME_HELP tells. */
static bool parse_date(const char *text, int64_t *time)
{
  int year, month, day, hour = 0, minute = 0, second = 0, used = 0;
  size_t len = strlen(text);
  bool date = len == 10 && sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3;
  bool full = len == 20 && sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour,
                                  &minute, &second, &used) == 6;
  for (size_t i = 0; i < len; i++)
    if (strchr("0123456789-T:Z", text[i]) == NULL)
      return false;
  if ((!date && !full) || (size_t)used != len)
    return false;
  struct tm tm = {.tm_year = year - 1900,
                  .tm_mon = month - 1,
                  .tm_mday = day,
                  .tm_hour = hour,
                  .tm_min = minute,
                  .tm_sec = second};
  *time = (int64_t)timegm(&tm);
  /* The library carries a 30th of February over to March. */
  return tm.tm_year == year - 1900 && tm.tm_mon == month - 1 && tm.tm_mday == day &&
         tm.tm_hour == hour && tm.tm_min == minute && tm.tm_sec == second;
}

static enum cof_result take_time(struct params *p, enum param param, const char *value,
                                 struct cof_error *err)
{
  int64_t *const fences[] = {&p->fences.first_after, &p->fences.first_before, &p->fences.last_after,
                             &p->fences.last_before};
  int64_t time;
  bool ok = params_number(value, -COF_TIME_MAX, COF_TIME_MAX, &time);
  if (ok && value[0] == '-')
    time += p->now;
  if (!ok && (!parse_date(value, &time) || time < 0 || time > COF_TIME_MAX))
    return wrong(param, value, err,
                 "is no time: expected seconds UTC, negative ones before now, 2026-01-31 or "
                 "2026-01-31T12:00:00Z");
  *fences[param - PARAM_TIME_FIRST_AFTER] = time;
  return COF_OK;
}

static enum cof_result take_types(struct params *p, const char *value, struct cof_error *err)
{
  size_t len;
  for (const char *s = value;; s += len + 1) {
    len = strcspn(s, ",");
    if (p->types_count == TYPES_MAX)
      return wrong(PARAM_RRTYPE, value, err, "has more than %d types: expected up to that many",
                   TYPES_MAX);
    if (len == 0 || !cof_rrtype_parse(s, len, &p->types[p->types_count]))
      return wrong(PARAM_RRTYPE, value, err,
                   "is no list of record types: expected such as A, TYPE64 or 64, separated by "
                   "commas");
    p->types_count++;
    if (s[len] == '\0')
      return COF_OK;
  }
}

/* Addresses from `a` to `b`, of one family and in order. */
static bool in_order(const struct cof_addr *a, const struct cof_addr *b)
{
  return a->family == b->family && memcmp(a->bytes, b->bytes, cof_addr_len(a)) <= 0;
}

static enum cof_result take_addresses(struct params *p, enum param param, const char *value,
                                      struct cof_error *err)
{
  const char *dash = strchr(value, '-');
  struct cof_error why;
  p->kind = COF_QUERY_RDATA_ADDR;
  switch (param) {
  case PARAM_ADDRESS:
    if (!cof_addr_parse(value, strlen(value), &p->first))
      return wrong(param, value, err, "is no address: expected such as 192.0.2.1 or 2001:db8::1");
    p->last = p->first;
    return COF_OK;
  case PARAM_NETWORK:
    if (strchr(value, '/') == NULL ||
        cof_network_parse(value, strlen(value), &p->first, &p->last, &why) != COF_OK)
      return wrong(param, value, err,
                   "is no network: expected such as 192.0.2.0/24 or 2001:db8::/32");
    return COF_OK;
  default:
    if (dash == NULL || !cof_addr_parse(value, (size_t)(dash - value), &p->first) ||
        !cof_addr_parse(dash + 1, strlen(dash + 1), &p->last) || !in_order(&p->first, &p->last))
      return wrong(param, value, err,
                   "is no range: expected two addresses of one family, the lower one first, such "
                   "as 192.0.2.1-192.0.2.9");
    return COF_OK;
  }
}

/* A canonical name. */
static enum cof_result read_name(enum param param, const char *value, char name[COF_NAME_MAX],
                                 struct cof_error *err)
{
  struct question question;
  struct cof_error why;
  enum cof_result r = question_text(value, strlen(value), &question, &why);
  if (r != COF_OK)
    return cof_fail(err, r, "%s: %s; expected such as %s", param_table[param].name, why.text,
                    param_table[param].example);
  if (question.is_address)
    return wrong(param, value, err, "is an address: expected a name; see the parameter address");
  memcpy(name, question.name, COF_NAME_MAX);
  return COF_OK;
}

static enum cof_result take_name(struct params *p, enum param param, const char *value,
                                 struct cof_error *err)
{
  p->kind = param == PARAM_NAME         ? COF_QUERY_RRNAME
            : param == PARAM_SUBDOMAINS ? COF_QUERY_SUBDOMAINS
                                        : COF_QUERY_RDATA_NAME;
  return read_name(param, value, p->name, err);
}

static enum cof_result take_sensor(struct params *p, const char *value, struct cof_error *err)
{
  size_t len = strlen(value);
  if (len >= sizeof p->sensor)
    return wrong(PARAM_SENSOR_ID, value, err, "has %zu octets: expected at most %d", len,
                 COF_SENSOR_MAX);
  memcpy(p->sensor, value, len + 1);
  return COF_OK;
}

static enum cof_result take_word(struct params *p, enum param param, const char *value,
                                 struct cof_error *err)
{
  const char *const *words = param_table[param].words;
  char list[COF_ERROR_MAX] = "";
  for (size_t i = 0, len = 0; words[i] != NULL; i++) {
    if (strcmp(words[i], value) == 0 && param == PARAM_FORMAT)
      p->format = (enum format)i;
    if (strcmp(words[i], value) == 0 && param == PARAM_SORT) {
      p->sort = (enum sort_key)(i % SORT_KEYS);
      p->descending = i >= SORT_KEYS;
    }
    if (strcmp(words[i], value) == 0)
      return COF_OK;
    if (words[i][0] != '-')
      len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", words[i]);
  }
  return wrong(param, value, err, "is not known: expected %s%s", list,
               param == PARAM_SORT ? ", with a leading - for descending" : "");
}

static enum cof_result take_number(struct params *p, enum param param, const char *value,
                                   struct cof_error *err)
{
  int64_t n;
  const struct param_info *info = &param_table[param];
  if (!params_number(value, info->min, info->max, &n))
    return wrong(param, value, err, "is not in range: expected a number from %lld to %lld",
                 (long long)info->min, (long long)info->max);
  *(param == PARAM_LIMIT ? &p->limit : &p->cursor) = (uint64_t)n;
  return COF_OK;
}

static enum cof_result take_value(struct params *p, enum param param, const char *value,
                                  struct cof_error *err)
{
  switch (param) {
  case PARAM_NAME:
  case PARAM_SUBDOMAINS:
  case PARAM_RDATA_NAME:
    return take_name(p, param, value, err);
  case PARAM_ADDRESS:
  case PARAM_NETWORK:
  case PARAM_RANGE:
    return take_addresses(p, param, value, err);
  case PARAM_RRTYPE:
    return take_types(p, value, err);
  case PARAM_BAILIWICK:
    return read_name(param, value, p->bailiwick, err);
  case PARAM_SENSOR_ID:
    return take_sensor(p, value, err);
  case PARAM_SORT:
  case PARAM_FORMAT:
    return take_word(p, param, value, err);
  case PARAM_LIMIT:
  case PARAM_CURSOR:
    return take_number(p, param, value, err);
  default:
    return take_time(p, param, value, err);
  }
}

/* --- all of them ---------------------------------------------------------------------------- */

static enum cof_result unknown(const char *name, uint32_t allowed, struct cof_error *err)
{
  char show[SHOWN + 4], list[COF_ERROR_MAX];
  size_t len = 0;
  list[0] = '\0';
  for (int i = 0; i < PARAMS; i++)
    if ((allowed & PARAM_BIT(i)) != 0 && len < sizeof list)
      len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len > 0 ? ", " : "",
                              param_table[i].name);
  return cof_fail(err, COF_REJECT, "%s: no such parameter here: expected %s", shown(name, show),
                  len > 0 ? list : "none");
}

enum cof_result params_take(struct params *p, uint32_t allowed, const char *name, const char *value,
                            struct cof_error *err)
{
  char decoded[VALUE_MAX + 1];
  struct cof_error why;
  size_t len;
  int i = 0;
  while (i < PARAMS && strcmp(param_table[i].name, name) != 0)
    i++;
  if (i == PARAMS || (allowed & PARAM_BIT(i)) == 0)
    return unknown(name, allowed, err);
  if ((p->given & PARAM_BIT(i)) != 0)
    return cof_fail(err, COF_REJECT, "%s: given twice: expected it once", name);
  if (value == NULL || value[0] == '\0')
    return cof_fail(err, COF_REJECT, "%s: without a value: expected such as %s=%s", name, name,
                    param_table[i].example);
  if (strlen(value) > VALUE_MAX)
    return cof_fail(err, COF_REJECT, "%s: value of %zu octets: expected at most %d", name,
                    strlen(value), VALUE_MAX);
  if (question_unescape(value, strlen(value), decoded, &len, &why) != COF_OK)
    return cof_fail(err, COF_REJECT, "%s: %s", name, why.text);
  decoded[len] = '\0';
  if (strlen(decoded) != len)
    return cof_fail(err, COF_REJECT, "%s: a NUL in the value: expected text", name);
  p->given |= PARAM_BIT(i);
  if (i != PARAM_LIMIT && i != PARAM_CURSOR && i != PARAM_FORMAT)
    p->fingerprint += params_hash(params_hash(0, name, strlen(name) + 1), decoded, len);
  return take_value(p, (enum param)i, decoded, err);
}

enum cof_result params_check(const struct params *p, uint32_t allowed, struct cof_error *err)
{
  uint32_t question = p->given & PARAMS_QUESTION;
  if ((allowed & PARAMS_QUESTION) != 0 && (question == 0 || (question & (question - 1)) != 0))
    return cof_fail(err, COF_REJECT,
                    "%s: expected exactly one of name, subdomains, rdata_name, address, network "
                    "and range",
                    question == 0 ? "name: no question is given" : "name: several questions");
  if (p->fences.first_after > p->fences.first_before)
    return cof_fail(err, COF_REJECT,
                    "time_first_after: later than time_first_before: nothing lies between");
  if (p->fences.last_after > p->fences.last_before)
    return cof_fail(err, COF_REJECT,
                    "time_last_after: later than time_last_before: nothing lies between");
  if ((p->given & PARAM_BIT(PARAM_SORT)) != 0 && p->cursor != 0)
    return cof_fail(err, COF_REJECT, "cursor: a sorted answer has no pages: expected no sort");
  return COF_OK;
}
