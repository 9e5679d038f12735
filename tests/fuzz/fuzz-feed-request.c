/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libFuzzer target: what a subscriber of the live feed, or a record from another cofd, may bring:
 * parameters `NAME=VALUE`, one a line, and paths. What is understood must be canonical; what is
 * refused must say why.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/via_private.h"
#include "../../plugins/output/cof-ws/ws_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what, const char *text)
{
  fprintf(stderr, "%s: %s\n", what, text);
  abort();
}

static void check_filter(const struct filter *f)
{
  if (f->rrtypes_count > RRTYPES_MAX || f->suffixes_count > SUFFIXES_MAX)
    broken("a bound does not hold", "");
  for (size_t i = 0; i < f->suffixes_count; i++) {
    const struct suffix *s = &f->suffixes[i];
    struct cof_record r = {.rrname = s->name,
                           .rrname_len = (uint16_t)s->len,
                           .rdata = "",
                           .rrtype = f->rrtypes_count != 0 ? f->rrtypes[0] : 1};
    char again[COF_NAME_MAX + 1];
    size_t len;
    if (cof_name_canon(s->name, s->len, again, &len, NULL) != COF_OK || len != s->len ||
        memcmp(again, s->name, len) != 0)
      broken("not canonical", s->name);
    if (!filter_match(f, &r, true))
      broken("a name is not below itself", s->name);
  }
}

static void check_path(const char *text, size_t len)
{
  struct via_table *t = via_table_create();
  struct cof_error err = {""};
  uint32_t via;
  if (t == NULL)
    return;
  enum cof_result r = via_learn(t, "here", text, len, &via, &err);
  if (r != COF_OK && (r != COF_REJECT || err.text[0] == '\0'))
    broken("refused without a reason", cof_result_name(r));
  if (r == COF_OK && via != COF_VIA_LOOPED &&
      (strlen(via_text(t, via)) != len || memcmp(via_text(t, via), text, len) != 0))
    broken("another path", via_text(t, via));
  via_table_destroy(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = malloc(size + 1);
  struct filter *f = calloc(1, sizeof *f);
  const char *wrong = NULL;
  if (text == NULL || f == NULL)
    abort();
  memcpy(text, data, size);
  text[size] = '\0';
  check_path(text, size);
  for (char *line = text, *next; line != NULL && wrong == NULL; line = next) {
    next = strchr(line, '\n');
    if (next != NULL)
      *next++ = '\0';
    char *value = strchr(line, '=');
    if (value != NULL) {
      *value++ = '\0';
      wrong = filter_set(f, line, value);
    }
  }
  if (wrong != NULL && wrong[0] == '\0')
    broken("refused without a reason", "");
  if (wrong == NULL)
    check_filter(f);
  filter_free(&f);
  free(text);
  return 0;
}
