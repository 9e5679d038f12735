/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnsdb_object_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cofd/dns.h>

#include "dnsdb_private.h"

void dnsdb_sums_add(struct dnsdb_sums *s, const struct cof_record *r)
{
  if (s->results == 0 || r->time_first < s->first)
    s->first = r->time_first;
  if (s->results == 0 || r->time_last > s->last)
    s->last = r->time_last;
  s->results++;
  s->count = r->count > COF_COUNT_MAX - s->count ? COF_COUNT_MAX : s->count + r->count;
}

static char *put(char *p, const char *text)
{
  size_t len = strlen(text);
  memcpy(p, text, len);
  return p + len;
}

static char *put_number(char *p, uint64_t n)
{
  char digits[20];
  size_t i = sizeof digits;
  do {
    digits[--i] = (char)('0' + n % 10);
    n /= 10;
  } while (n != 0);
  memcpy(p, digits + i, sizeof digits - i);
  return p + (sizeof digits - i);
}

static bool is_plain(unsigned char c)
{
  return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\';
}

/* Within a JSON string, in ASCII; octets outside of it as names spell them. */
static char *put_escaped(char *p, const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    size_t start = i;
    while (i < len && is_plain((unsigned char)text[i]))
      i++;
    memcpy(p, text + start, i - start);
    p += i - start;
    if (i == len)
      break;
    unsigned char c = (unsigned char)text[i];
    if (c < 0x20 || c > 0x7e) {
      *p++ = '\\';
      *p++ = '\\';
      *p++ = (char)('0' + c / 100);
      *p++ = (char)('0' + c / 10 % 10);
      *p++ = (char)('0' + c % 10);
      continue;
    }
    if (c == '"' || c == '\\')
      *p++ = '\\';
    *p++ = (char)c;
  }
  return p;
}

static char *put_time(char *p, int64_t seconds, bool humantime)
{
  struct tm tm;
  time_t t = (time_t)seconds;
  if (humantime && gmtime_r(&t, &tm) != NULL)
    return p + strftime(p, 32, "\"%Y-%m-%dT%H:%M:%SZ\"", &tm);
  /* Times are never negative in a record, but the caller may be wrong. */
  if (seconds < 0)
    *p++ = '-';
  return put_number(p, seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds);
}

static char *put_times(char *p, int64_t first, int64_t last, bool humantime)
{
  p = put(p, ",\"time_first\":");
  p = put_time(p, first, humantime);
  p = put(p, ",\"time_last\":");
  return put_time(p, last, humantime);
}

/* With a dot at the end. */
static char *put_name(char *p, const char *name)
{
  p = put_escaped(p, name, strlen(name));
  return strcmp(name, ".") != 0 ? put(p, ".") : p;
}

size_t dnsdb_put_record(const struct cof_record *r, const char *bailiwick, bool humantime,
                        char *out, char *scratch)
{
  char type[COF_RRTYPE_TEXT_MAX];
  uint64_t count = r->count < COF_COUNT_MAX ? r->count : COF_COUNT_MAX;
  char *p = put_number(put(out, "{\"obj\":{\"count\":"), count);
  p = put_times(p, r->time_first, r->time_last, humantime);
  p = put(p, ",\"rrname\":\"");
  p = put_name(p, r->rrname);
  p = put(p, "\",\"rrtype\":\"");
  p = put(p, cof_rrtype_text(r->rrtype, type));
  if (bailiwick != NULL)
    p = put_name(put(p, "\",\"bailiwick\":\""), bailiwick);
  p = put(p, "\",\"rdata\":[\"");
  p = put_escaped(p, scratch, dnsdb_rdata_text(r->rrtype, r->rdata, r->rdata_len, scratch));
  p = put(p, "\"]}}\n");
  return (size_t)(p - out);
}

size_t dnsdb_put_sums(const struct dnsdb_sums *s, bool humantime, char *out)
{
  char *p = out + sprintf(out, "{\"obj\":{\"count\":%" PRIu64 ",\"num_results\":%" PRIu64, s->count,
                          s->results);
  p = put_times(p, s->first, s->last, humantime);
  return (size_t)(put(p, "}}\n") - out);
}

size_t dnsdb_put_condition(const char *condition, const char *message, char *out)
{
  char *p = out + sprintf(out, "{\"cond\":\"%s\"", condition);
  if (message != NULL) {
    p = put(p, ",\"msg\":\"");
    p = put_escaped(p, message, strnlen(message, COF_ERROR_MAX));
    *p++ = '"';
  }
  return (size_t)(put(p, "}\n") - out);
}
