/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "format_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cofd/cofjson.h>
#include <cofd/dns.h>

#define CSV_HEAD "time_first,time_last,count,rrtype,rrname,rdata\r\n"

const char *const format_words[] = {"ndjson", "json", "csv", NULL};

static const char *const types[FORMATS] = {"application/x-ndjson", "application/json",
                                           "text/csv; charset=us-ascii; header=present"};

const char *format_type(enum format format)
{
  return types[format];
}

/* --- Accept --------------------------------------------------------------------------------- */

/* Media ranges that a format answers to, in the order in which they are preferred when a client
   likes several equally. */
static const struct {
  const char *range;
  enum format format;
} ranges[] = {{"application/x-ndjson", FORMAT_NDJSON},
              {"application/ndjson", FORMAT_NDJSON},
              {"application/json", FORMAT_JSON},
              {"text/csv", FORMAT_CSV},
              {"application/*", FORMAT_NDJSON},
              {"text/*", FORMAT_CSV},
              {"*/*", FORMAT_NDJSON}};

static size_t trimmed(const char *text, size_t len)
{
  while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
    len--;
  return len;
}

/* The weight among a range's parameters, in thousandths. */
static int weight_of(const char *params, size_t len)
{
  const char *end = params + len;
  while (params < end) {
    params += strspn(params, "; \t");
    size_t n = strcspn(params, ";,");
    if (n >= 2 && (params[0] == 'q' || params[0] == 'Q') && params[1] == '=') {
      double q = atof(params + 2);
      return q >= 1 ? 1000 : q > 0 ? (int)(q * 1000 + 0.5) : 0;
    }
    params += n;
    if (n == 0)
      break;
  }
  return 1000;
}

static int specific(const char *range)
{
  return strcmp(range, "*/*") == 0 ? 1 : strchr(range, '*') != NULL ? 2 : 3;
}

/* What a client thinks of a format: the weight of the most specific range that names it. */
struct liking {
  int weight, specific;
  size_t rank;
};

static void like(struct liking liked[FORMATS], const char *range, size_t len, int weight)
{
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    if (strlen(ranges[i].range) != len || strncasecmp(ranges[i].range, range, len) != 0)
      continue;
    int s = specific(ranges[i].range);
    for (int f = 0; f < FORMATS; f++) {
      bool hit = s == 1 || ranges[i].format == (enum format)f ||
                 (s == 2 && strncmp(types[f], range, len - 1) == 0);
      if (hit && s >= liked[f].specific)
        liked[f] = (struct liking){weight, s, i};
    }
  }
}

bool format_accepted(const char *header, enum format *format)
{
  struct liking liked[FORMATS] = {{0, 0, 0}};
  *format = FORMAT_NDJSON;
  if (header == NULL || header[strspn(header, " \t")] == '\0')
    return true;
  for (const char *p = header; *p != '\0';) {
    p += strspn(p, ", \t");
    size_t len = strcspn(p, ","), type = strcspn(p, ";,");
    like(liked, p, trimmed(p, type), weight_of(p + type, len - type));
    p += len;
  }
  int best = 0;
  for (int f = 1; f < FORMATS; f++)
    if (liked[f].weight > liked[best].weight ||
        (liked[f].weight == liked[best].weight && liked[f].specific > liked[best].specific))
      best = f;
  *format = (enum format)best;
  return liked[best].weight > 0;
}

/* --- records -------------------------------------------------------------------------------- */

size_t format_bound(const struct cof_record *record, size_t origin_len)
{
  return COF_JSON_BOUND(record, origin_len) + COF_ZONES_BOUND(record) + COF_SENSOR_BOUND(record) +
         4;
}

size_t format_begin(enum format format, char *out)
{
  const char *text = format == FORMAT_JSON ? "[" : format == FORMAT_CSV ? CSV_HEAD : "";
  size_t len = strlen(text);
  memcpy(out, text, len);
  return len;
}

size_t format_end(enum format format, bool none, char *out)
{
  const char *text = format == FORMAT_JSON ? (none ? "]\n" : "\n]\n") : "";
  size_t len = strlen(text);
  memcpy(out, text, len);
  return len;
}

/* A field of CSV (RFC 4180), quoted where it must be; octets that are not printable as \DDD. */
static char *csv_text(char *out, const char *text, size_t len)
{
  bool quote = memchr(text, '"', len) != NULL || memchr(text, ',', len) != NULL;
  if (quote)
    *out++ = '"';
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < ' ' || c > '~')
      out += sprintf(out, "\\%03u", (unsigned)c);
    else if (c == '"')
      out = stpcpy(out, "\"\"");
    else
      *out++ = (char)c;
  }
  if (quote)
    *out++ = '"';
  return out;
}

static size_t csv_record(const struct cof_record *r, char *out)
{
  char type[COF_RRTYPE_TEXT_MAX], *p = out;
  p += sprintf(p, "%lld,%lld,%llu,%s,", (long long)r->time_first, (long long)r->time_last,
               (unsigned long long)r->count, cof_rrtype_text(r->rrtype, type));
  p = csv_text(p, r->rrname, r->rrname_len);
  *p++ = ',';
  p = csv_text(p, r->rdata, r->rdata_len);
  p = stpcpy(p, "\r\n");
  return (size_t)(p - out);
}

size_t format_record(enum format format, const struct cof_record *record, const char *origin,
                     bool all, bool first, char *out)
{
  const struct cof_write_options options = {.origin = origin};
  size_t before = 0;
  if (format == FORMAT_CSV)
    return csv_record(record, out);
  if (format == FORMAT_JSON)
    before = (size_t)(stpcpy(out, first ? "\n" : ",\n") - out);
  size_t len = cof_write_json(record, &options, out + before);
  if (all) {
    char *end = out + before + len - strlen("}\n");
    size_t used = cof_write_zones(record, end);
    used += cof_write_sensor(record, end + used);
    memcpy(end + used, "}\n", 2);
    len += used;
  }
  return before + (format == FORMAT_JSON ? len - 1 : len); /* its newline is the next one's */
}
