/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libFuzzer target: the query of a request to the API, as the network sends it, to parameters; and
 * the header Accept. What is understood must be within bounds; what is refused must name a field
 * and say why in printable ASCII.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/output/rest/params_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1800000000)

static void broken(const char *what, const char *text)
{
  fprintf(stderr, "%s: %s\n", what, text);
  abort();
}

static void check_refusal(enum cof_result r, const struct cof_error *err)
{
  if ((r != COF_REJECT && r != COF_UNSUPPORTED) || strchr(err->text, ':') == NULL)
    broken("refused without a field", cof_result_name(r));
  for (const char *p = err->text; *p != '\0'; p++)
    if (*p < ' ' || *p > '~')
      broken("unprintable reason", err->text);
}

static void check_name(const struct params *p)
{
  char again[COF_NAME_MAX];
  size_t len;
  if (p->name[0] == '\0')
    return;
  if (cof_name_canon(p->name, strlen(p->name), again, &len, NULL) != COF_OK ||
      strcmp(p->name, again) != 0)
    broken("not canonical", p->name);
}

static void check_params(const struct params *p)
{
  const int64_t times[] = {p->fences.first_after, p->fences.first_before, p->fences.last_after,
                           p->fences.last_before};
  check_name(p);
  if (p->types_count > TYPES_MAX || p->limit > (uint64_t)LIMIT_MAX || p->cursor > INT64_MAX ||
      p->format >= FORMATS || p->sort > SORT_RDATA)
    broken("out of bounds", "a parameter");
  for (size_t i = 0; i < 4; i++)
    if (times[i] != INT64_MIN && times[i] != INT64_MAX &&
        (times[i] < NOW - COF_TIME_MAX || times[i] > COF_TIME_MAX))
      broken("out of bounds", "a time");
  if (p->first.family != p->last.family ||
      (p->first.family != 0 && memcmp(p->first.bytes, p->last.bytes, sizeof p->first.bytes) > 0))
    broken("out of order", "addresses");
}

/* Take the parameters of a text apart as the HTTP library does. */
static void take_all(char *text, uint32_t allowed)
{
  struct params p;
  struct cof_error err = {""};
  enum cof_result r = COF_OK;
  char *rest = text, *part;
  params_init(&p, NOW);
  while (r == COF_OK && (part = strsep(&rest, "&")) != NULL) {
    char *value = strchr(part, '=');
    if (value != NULL)
      *value++ = '\0';
    r = params_take(&p, allowed, part, value, &err);
  }
  if (r == COF_OK) {
    check_params(&p);
    r = params_check(&p, allowed, &err);
  }
  if (r != COF_OK)
    check_refusal(r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = malloc(size + 1);
  enum format format;
  if (text == NULL)
    return 0;
  if (size > 0)
    memcpy(text, data, size);
  text[size] = '\0';
  if (format_accepted(text, &format) && format >= FORMATS)
    broken("no format", text);
  for (char *p = text; *p != '\0'; p++)
    if (*p == '+')
      *p = ' ';
  take_all(text, (PARAM_BIT(PARAMS - 1) << 1) - 1);
  free(text);
  return 0;
}
