/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "option_private.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A unit of a number; a list ends with word NULL and begins with the smallest. */
struct unit {
  const char *word;
  int64_t factor;
};

static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit bytes_units[] = {{"", 1},          {"K", 1 << 10},   {"M", 1 << 20},
                                          {"G", 1 << 30},   {"KiB", 1 << 10}, {"MiB", 1 << 20},
                                          {"GiB", 1 << 30}, {NULL, 0}};

size_t option_count(const struct cof_option *table)
{
  size_t count = 0;
  while (table != NULL && table[count].name != NULL)
    count++;
  return count;
}

const struct cof_option *option_find(const struct cof_option *table, const char *name)
{
  for (; table != NULL && table->name != NULL; table++)
    if (strcmp(table->name, name) == 0)
      return table;
  return NULL;
}

static void *field(const struct cof_option *option, void *conf)
{
  return (char *)conf + option->offset;
}

static const void *field_of(const struct cof_option *option, const void *conf)
{
  return (const char *)conf + option->offset;
}

bool option_is_bounded(const struct cof_option *option)
{
  return option->min != 0 || option->max != 0;
}

/* --- what is expected ----------------------------------------------------------------------- */

/* The number as an operator would write it: in the largest unit that divides it. */
static const char *number_text(const struct cof_option *option, int64_t value, char out[32])
{
  const struct unit *best = NULL;
  const struct unit *units = option->type == COF_OPT_DURATION ? duration_units
                             : option->type == COF_OPT_BYTES  ? bytes_units
                                                              : NULL;
  for (size_t i = 0; units != NULL && units[i].word != NULL; i++)
    if (strlen(units[i].word) < 3 && value != 0 && value % units[i].factor == 0)
      best = &units[i];
  snprintf(out, 32, "%" PRId64 "%s", best != NULL ? value / best->factor : value,
           best != NULL ? best->word : "");
  return out;
}

static void bounds_text(const struct cof_option *option, const char *before, char *out, size_t size)
{
  char min[32], max[32];
  out[0] = '\0';
  if (!option_is_bounded(option))
    return;
  if (option->max == INT64_MAX)
    snprintf(out, size, "%sat least %s", before, number_text(option, option->min, min));
  else if (option->min == INT64_MIN)
    snprintf(out, size, "%sat most %s", before, number_text(option, option->max, max));
  else
    snprintf(out, size, "%s%s to %s", before, number_text(option, option->min, min),
             number_text(option, option->max, max));
}

static void choices_text(const struct cof_option *option, char *out, size_t size)
{
  size_t used = (size_t)snprintf(out, size, "%s", option->choices[1] != NULL ? "one of " : "");
  for (size_t i = 0; option->choices[i] != NULL && used < size; i++)
    used +=
        (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "", option->choices[i]);
}

const char *option_expected(const struct cof_option *option, char out[OPTION_EXPECTED_MAX])
{
  char bounds[80];
  bounds_text(option, option->type == COF_OPT_INT || option->type == COF_OPT_LIST ? "" : ", ",
              bounds, sizeof bounds);
  switch (option->type) {
  case COF_OPT_INT:
    snprintf(out, OPTION_EXPECTED_MAX, "%s", bounds[0] != '\0' ? bounds : "a whole number");
    break;
  case COF_OPT_BOOL:
    snprintf(out, OPTION_EXPECTED_MAX, "yes or no");
    break;
  case COF_OPT_ENUM:
    choices_text(option, out, OPTION_EXPECTED_MAX);
    break;
  case COF_OPT_DURATION:
    snprintf(out, OPTION_EXPECTED_MAX, "a number with ms, s, m, h or d, such as 10s%s", bounds);
    break;
  case COF_OPT_BYTES:
    snprintf(out, OPTION_EXPECTED_MAX, "a number of octets, such as 64M (K, M, G)%s", bounds);
    break;
  case COF_OPT_ADDR:
    snprintf(out, OPTION_EXPECTED_MAX, "HOST:PORT, such as 192.0.2.1:80 or [2001:db8::1]:80");
    break;
  case COF_OPT_LIST:
    snprintf(out, OPTION_EXPECTED_MAX, "%s%stexts separated by commas", bounds,
             bounds[0] != '\0' ? " " : "");
    break;
  case COF_OPT_PATH:
    snprintf(out, OPTION_EXPECTED_MAX, "a file name");
    break;
  case COF_OPT_SECRET:
    snprintf(out, OPTION_EXPECTED_MAX, "a text, @FILE or @CREDENTIAL");
    break;
  case COF_OPT_STR:
    snprintf(out, OPTION_EXPECTED_MAX, "a text");
    break;
  }
  return out;
}

static enum cof_result refuse(const struct cof_option *option, struct cof_error *err,
                              const char *what)
{
  char expected[OPTION_EXPECTED_MAX];
  return cof_fail(err, COF_REJECT, "%s; expected %s", what, option_expected(option, expected));
}

/* --- parsing -------------------------------------------------------------------------------- */

/* Decimal digits with an optional minus sign. @return what follows them, or NULL */
static const char *parse_digits(const char *text, int64_t *value, bool *overflow)
{
  const char *digits = text[0] == '-' ? text + 1 : text;
  if (!isdigit((unsigned char)digits[0]))
    return NULL;
  char *end;
  errno = 0;
  *value = strtoll(text, &end, 10);
  *overflow = errno == ERANGE;
  return end;
}

static enum cof_result store_number(const struct cof_option *option, int64_t value, void *conf,
                                    struct cof_error *err)
{
  if (option_is_bounded(option) && (value < option->min || value > option->max))
    return refuse(option, err, "out of bounds");
  memcpy(field(option, conf), &value, sizeof value);
  return COF_OK;
}

static enum cof_result parse_int(const struct cof_option *option, const char *text, void *conf,
                                 struct cof_error *err)
{
  int64_t value;
  bool overflow;
  const char *end = parse_digits(text, &value, &overflow);
  if (end == NULL || *end != '\0')
    return refuse(option, err, "not a number");
  if (overflow)
    return refuse(option, err, "out of bounds");
  return store_number(option, value, conf, err);
}

static enum cof_result parse_scaled(const struct cof_option *option, const struct unit *units,
                                    const char *text, void *conf, struct cof_error *err)
{
  int64_t value;
  bool overflow;
  const char *end = text[0] == '-' ? NULL : parse_digits(text, &value, &overflow);
  if (end == NULL)
    return refuse(option, err, "not a number with a unit");
  if (overflow)
    return refuse(option, err, "out of bounds");
  if (value == 0 && *end == '\0')
    return store_number(option, 0, conf, err);
  bool any_case = option->type == COF_OPT_BYTES; /* k is K, but m is not ms */
  for (; units->word != NULL; units++)
    if ((any_case ? strcasecmp(units->word, end) : strcmp(units->word, end)) == 0)
      break;
  if (units->word == NULL)
    return refuse(option, err, *end == '\0' ? "no unit" : "unknown unit");
  if (__builtin_mul_overflow(value, units->factor, &value))
    return refuse(option, err, "out of bounds");
  return store_number(option, value, conf, err);
}

static enum cof_result parse_bool(const struct cof_option *option, const char *text, void *conf,
                                  struct cof_error *err)
{
  static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasecmp(text, words[i]) == 0) {
      bool value = i % 2 == 1;
      memcpy(field(option, conf), &value, sizeof value);
      return COF_OK;
    }
  return refuse(option, err, "neither yes nor no");
}

static enum cof_result parse_enum(const struct cof_option *option, const char *text, void *conf,
                                  struct cof_error *err)
{
  for (int i = 0; option->choices[i] != NULL; i++)
    if (strcmp(text, option->choices[i]) == 0) {
      memcpy(field(option, conf), &i, sizeof i);
      return COF_OK;
    }
  return refuse(option, err, "unknown choice");
}

static enum cof_result store_text(const struct cof_option *option, const char *text, size_t len,
                                  void *conf, struct conf_memory **memory, struct cof_error *err)
{
  char *copy = conf_memory_text(memory, text, len);
  if (copy == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  memcpy(field(option, conf), &copy, sizeof copy);
  return COF_OK;
}

static enum cof_result parse_text(const struct cof_option *option, const char *text, void *conf,
                                  struct conf_memory **memory, struct cof_error *err)
{
  bool may_be_empty = option->type == COF_OPT_STR && (option->flags & COF_OPT_REQUIRED) == 0;
  if (text[0] == '\0' && !may_be_empty)
    return refuse(option, err, "empty");
  return store_text(option, text, strlen(text), conf, memory, err);
}

static bool is_host_name(const char *text, size_t len)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (len == 0 || len > 253 || text[0] == '.' || text[0] == '-')
    return false;
  return strspn(text, allowed) >= len;
}

/* Digits and dots alone are meant to be an IPv4 address. */
static bool is_valid_host(const char *text, size_t len, bool bracketed)
{
  char host[254];
  struct in6_addr address;
  if (len >= sizeof host)
    return false;
  memcpy(host, text, len);
  host[len] = '\0';
  if (bracketed) {
    host[strcspn(host, "%")] = '\0'; /* a zone (RFC 4007) is the resolver's to judge */
    return inet_pton(AF_INET6, host, &address) == 1;
  }
  if (len > 0 && strspn(host, "0123456789.") == len)
    return inet_pton(AF_INET, host, &address) == 1;
  return is_host_name(host, len);
}

static bool parse_port(const char *text, uint16_t *port)
{
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 5 || text[digits] != '\0')
    return false;
  long value = strtol(text, NULL, 10);
  *port = (uint16_t)value;
  return value <= UINT16_MAX;
}

static enum cof_result parse_addr(const struct cof_option *option, const char *text, void *conf,
                                  struct conf_memory **memory, struct cof_error *err)
{
  bool bracketed = text[0] == '[';
  const char *colon = strrchr(text, ':');
  const char *host = bracketed ? text + 1 : text;
  const char *end = bracketed ? strchr(text, ']') : colon;
  if (end == NULL || colon == NULL || colon < end || (bracketed && colon != end + 1))
    return refuse(option, err, "no port");
  if (!bracketed && strchr(text, ':') != colon)
    return refuse(option, err, "an IPv6 address needs brackets");
  if (!is_valid_host(host, (size_t)(end - host), bracketed))
    return refuse(option, err, "not an address or host name");
  struct cof_endpoint endpoint;
  if (!parse_port(colon + 1, &endpoint.port))
    return refuse(option, err, "port not within 0 to 65535");
  endpoint.host = conf_memory_text(memory, host, (size_t)(end - host));
  if (endpoint.host == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  memcpy(field(option, conf), &endpoint, sizeof endpoint);
  return COF_OK;
}

/* Next text of a list, without the white space around it; false at the end. */
static bool next_item(const char **cursor, const char **item, size_t *len)
{
  while (**cursor == ',' || isspace((unsigned char)**cursor))
    (*cursor)++;
  *item = *cursor;
  *len = strcspn(*cursor, ",");
  *cursor += *len;
  while (*len > 0 && isspace((unsigned char)(*item)[*len - 1]))
    (*len)--;
  return *len > 0;
}

static enum cof_result parse_list(const struct cof_option *option, const char *text, void *conf,
                                  struct conf_memory **memory, struct cof_error *err)
{
  const char *cursor = text, *item;
  size_t len, count = 0;
  struct cof_list list = {0};
  while (next_item(&cursor, &item, &len))
    count++;
  if (option_is_bounded(option) && ((int64_t)count < option->min || (int64_t)count > option->max))
    return refuse(option, err, count == 0 ? "empty" : "wrong number of texts");
  list.items = conf_memory_alloc(memory, (count + 1) * sizeof *list.items);
  if (list.items == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  cursor = text;
  while (next_item(&cursor, &item, &len)) {
    list.items[list.count] = conf_memory_text(memory, item, len);
    if (list.items[list.count] == NULL)
      return cof_fail(err, COF_FATAL, "out of memory");
    list.count++;
  }
  memcpy(field(option, conf), &list, sizeof list);
  return COF_OK;
}

enum cof_result option_parse(const struct cof_option *option, const char *text, void *conf,
                             struct conf_memory **memory, struct cof_error *err)
{
  switch (option->type) {
  case COF_OPT_INT:
    return parse_int(option, text, conf, err);
  case COF_OPT_BOOL:
    return parse_bool(option, text, conf, err);
  case COF_OPT_ENUM:
    return parse_enum(option, text, conf, err);
  case COF_OPT_DURATION:
    return parse_scaled(option, duration_units, text, conf, err);
  case COF_OPT_BYTES:
    return parse_scaled(option, bytes_units, text, conf, err);
  case COF_OPT_ADDR:
    return parse_addr(option, text, conf, memory, err);
  case COF_OPT_LIST:
    return parse_list(option, text, conf, memory, err);
  case COF_OPT_STR:
  case COF_OPT_PATH:
  case COF_OPT_SECRET:
    return parse_text(option, text, conf, memory, err);
  }
  return cof_fail(err, COF_REJECT, "type %d is unknown to this host", (int)option->type);
}

enum cof_result option_defaults(const struct cof_option *table, void *conf,
                                struct conf_memory **memory, struct cof_error *err)
{
  for (; table != NULL && table->name != NULL; table++) {
    if (table->dflt == NULL)
      continue;
    enum cof_result result = option_parse(table, table->dflt, conf, memory, err);
    if (result != COF_OK)
      return result;
  }
  return COF_OK;
}

/* --- comparing ------------------------------------------------------------------------------ */

static bool same_text(const char *a, const char *b)
{
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const struct cof_list *a, const struct cof_list *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (!same_text(a->items[i], b->items[i]))
      return false;
  return true;
}

bool option_equal(const struct cof_option *option, const void *a, const void *b)
{
  const void *x = field_of(option, a), *y = field_of(option, b);
  switch (option->type) {
  case COF_OPT_STR:
  case COF_OPT_PATH:
  case COF_OPT_SECRET:
    return same_text(*(char *const *)x, *(char *const *)y);
  case COF_OPT_ADDR: {
    const struct cof_endpoint *p = x, *q = y;
    return p->port == q->port && same_text(p->host, q->host);
  }
  case COF_OPT_LIST:
    return same_list(x, y);
  case COF_OPT_INT:
  case COF_OPT_BOOL:
  case COF_OPT_ENUM:
  case COF_OPT_DURATION:
  case COF_OPT_BYTES:
    break;
  }
  return memcmp(x, y, option->size) == 0;
}

void option_copy(const struct cof_option *option, const void *from, void *to)
{
  memcpy(field(option, to), field_of(option, from), option->size);
}
