/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What floors make of a line of gencof: fields found by strstr, plain keys of both directions.
   Whatever is not as expected ends the program. */
#ifndef FLOOR_LINE_H
#define FLOOR_LINE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIELD_MAX 4096
#define KEY_MAX   (3 * (FIELD_MAX + 1) + 2)

struct field {
  const char *text;
  size_t len;
};

/* rrname, rrtype, rdata; first and last time, count. */
struct line {
  struct field fields[3];
  unsigned long long values[3];
};

static inline void die(const char *what, const char *why)
{
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

/* From behind `begin` to before `end`. */
static inline struct field find(const char *line, const char *begin, const char *end)
{
  const char *text = strstr(line, begin);
  if (text == NULL)
    die("no such field", begin);
  text += strlen(begin);
  const char *stop = strstr(text, end);
  if (stop == NULL || stop - text > FIELD_MAX)
    die("field without an end", begin);
  return (struct field){text, (size_t)(stop - text)};
}

static inline struct line take_line(const char *text)
{
  return (struct line){.fields = {find(text, "\"rrname\": \"", "\""),
                                  find(text, "\"rrtype\": \"", "\""),
                                  find(text, "\"rdata\": \"", "\", \"time_first\"")},
                       .values = {strtoull(find(text, "\"time_first\": ", ",").text, NULL, 10),
                                  strtoull(find(text, "\"time_last\": ", ",").text, NULL, 10),
                                  strtoull(find(text, "\"count\": ", ",").text, NULL, 10)}};
}

/* 'f': rrname, rrtype, rdata; 'r': rdata, rrname, rrtype. Returns the length. */
static inline size_t make_key(char key[KEY_MAX], char space, const struct line *line)
{
  static const int forward[] = {0, 1, 2}, reverse[] = {2, 0, 1};
  const int *order = space == 'f' ? forward : reverse;
  size_t n = 0;
  key[n++] = space;
  key[n++] = ':';
  for (int i = 0; i < 3; i++) {
    const struct field *f = &line->fields[order[i]];
    memcpy(key + n, f->text, f->len);
    n += f->len;
    key[n++] = '\0';
  }
  return n - 1;
}

static inline double seconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
