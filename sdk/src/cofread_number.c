/* SPDX-License-Identifier: MIT */
#include "cofread_private.h"

#define MAX_EXPONENT 100

static bool digit(char c)
{
  return c >= '0' && c <= '9';
}

/* A decimal number in its parts. */
struct decimal {
  const char *whole, *fraction;
  size_t whole_len, fraction_len;
  int exponent;
  bool negative;
};

static size_t digits(const char *p, const char *end)
{
  const char *start = p;
  while (p < end && digit(*p))
    p++;
  return (size_t)(p - start);
}

static bool take_exponent(const char *p, const char *end, int *out)
{
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+'))
    p++;
  if (p == end || digits(p, end) != (size_t)(end - p))
    return false;
  int n = 0;
  for (; p < end; p++) {
    if (n < MAX_EXPONENT)
      n = n * 10 + (*p - '0');
  }
  if (n > MAX_EXPONENT)
    n = MAX_EXPONENT;
  *out = negative ? -n : n;
  return true;
}

static bool take_parts(const char *p, const char *end, struct decimal *d)
{
  d->negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+'))
    p++;
  d->whole = p;
  d->whole_len = digits(p, end);
  p += d->whole_len;
  d->fraction = p;
  d->fraction_len = 0;
  if (p < end && *p == '.') {
    d->fraction = p + 1;
    d->fraction_len = digits(p + 1, end);
    p += 1 + d->fraction_len;
  }
  if (d->whole_len + d->fraction_len == 0)
    return false;
  d->exponent = 0;
  if (p < end && (*p == 'e' || *p == 'E'))
    return take_exponent(p + 1, end, &d->exponent);
  return p == end;
}

/* The exponent moves the point: the whole part is so many digits of whole and fraction together. */
static int64_t whole_part(const struct decimal *d)
{
  int64_t value = 0;
  size_t back = d->exponent < 0 ? (size_t)-d->exponent : 0;
  size_t take = d->whole_len;
  if (back != 0)
    take = take > back ? take - back : 0;
  else
    take += (size_t)d->exponent;
  for (size_t i = 0; i < take; i++) {
    int n = 0;
    if (i < d->whole_len)
      n = d->whole[i] - '0';
    else if (i - d->whole_len < d->fraction_len)
      n = d->fraction[i - d->whole_len] - '0';
    if (value > (INT64_MAX - n) / 10)
      return d->negative ? -INT64_MAX : INT64_MAX;
    value = value * 10 + n;
  }
  return d->negative ? -value : value;
}

bool cofread_decimal(const char *text, size_t len, int64_t *out)
{
  const char *end = text + len;
  while (text < end && (*text == ' ' || *text == '\t'))
    text++;
  while (text < end && (end[-1] == ' ' || end[-1] == '\t'))
    end--;
  struct decimal d;
  if (!take_parts(text, end, &d))
    return false;
  *out = whole_part(&d);
  return true;
}

/* Read exactly `count` digits between `min` and `max`. */
static bool fixed(const char **p, const char *end, int count, int min, int max, int *out)
{
  int value = 0;
  if (end - *p < count)
    return false;
  for (int i = 0; i < count; i++) {
    char c = *(*p)++;
    if (!digit(c))
      return false;
    value = value * 10 + (c - '0');
  }
  *out = value;
  return value >= min && value <= max;
}

static bool one_of(const char **p, const char *end, const char *set)
{
  if (*p == end || **p == '\0' || strchr(set, **p) == NULL)
    return false;
  (*p)++;
  return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days(int year, int month, int day)
{
  /* Years that start in March have their leap day last. */
  int64_t y = month > 2 ? year : year - 1;
  int64_t m = month > 2 ? month - 3 : month + 9;
  int64_t leaps = y >= 0 ? y / 4 - y / 100 + y / 400 : -1;
  return y * 365 + leaps + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static bool day_exists(int year, int month, int day)
{
  static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= length[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool take_offset(const char **p, const char *end, int *seconds)
{
  *seconds = 0;
  if (one_of(p, end, "Zz"))
    return true;
  int sign = *p < end && **p == '-' ? -1 : 1;
  int hours, minutes;
  if (!one_of(p, end, "+-") || !fixed(p, end, 2, 0, 23, &hours))
    return false;
  one_of(p, end, ":");
  if (!fixed(p, end, 2, 0, 59, &minutes))
    return false;
  *seconds = sign * (hours * 3600 + minutes * 60);
  return true;
}

bool cofread_rfc3339(const char *text, size_t len, int64_t *out)
{
  const char *p = text, *end = text + len;
  int year, month, day, hour, minute, second, offset;
  if (!fixed(&p, end, 4, 0, 9999, &year) || !one_of(&p, end, "-") ||
      !fixed(&p, end, 2, 1, 12, &month) || !one_of(&p, end, "-") ||
      !fixed(&p, end, 2, 1, 31, &day) || !day_exists(year, month, day))
    return false;
  /* 60 is a leap second. */
  if (!one_of(&p, end, "Tt ") || !fixed(&p, end, 2, 0, 23, &hour) || !one_of(&p, end, ":") ||
      !fixed(&p, end, 2, 0, 59, &minute) || !one_of(&p, end, ":") ||
      !fixed(&p, end, 2, 0, 60, &second))
    return false;
  if (one_of(&p, end, ".,")) {
    size_t n = digits(p, end);
    if (n == 0)
      return false;
    p += n;
  }
  if (!take_offset(&p, end, &offset) || p != end)
    return false;
  *out = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
  return true;
}
