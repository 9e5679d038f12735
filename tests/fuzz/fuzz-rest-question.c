/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libFuzzer target: the path of a request, as the network sends it, to a question. What is
 * understood must be canonical; what is refused must say why in printable ASCII.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/output/rest/question_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what, const char *text)
{
  fprintf(stderr, "%s: %s\n", what, text);
  abort();
}

static void check_refusal(enum cof_result r, const struct cof_error *err)
{
  if (r != COF_REJECT || err->text[0] == '\0')
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
  if (cof_name_canon(name, strlen(name), again, &len, &err) != COF_OK)
    broken("not a name", name);
  if (strcmp(name, again) != 0)
    broken("not canonical", name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct question q;
  struct cof_error err = {""};
  enum cof_result r = question_parse((const char *)data, size, &q, &err);
  if (r != COF_OK)
    check_refusal(r, &err);
  else if (!q.is_address)
    check_name(q.name);
  return 0;
}
