/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ws_private.h"

#include <stdlib.h>
#include <string.h>

static const char *set_rrtype(struct filter *f, const char *value)
{
  size_t len;
  if (f->rrtypes_count != 0)
    return "rrtype is there twice; expected one list separated by commas";
  for (const char *p = value; *p != '\0'; p += len + (p[len] == ',')) {
    len = strcspn(p, ",");
    if (f->rrtypes_count == RRTYPES_MAX)
      return "rrtype: expected at most 64 types";
    if (!cof_rrtype_parse(p, len, &f->rrtypes[f->rrtypes_count]))
      return "rrtype: expected record types such as A, TYPE64 or 64, separated by commas";
    f->rrtypes_count++;
  }
  return f->rrtypes_count != 0 ? NULL : "rrtype: expected at least one record type";
}

static const char *set_suffix(struct filter *f, const char *value)
{
  size_t len;
  if (f->suffixes != NULL)
    return "suffix is there twice; expected one list separated by commas";
  f->suffixes = calloc(SUFFIXES_MAX, sizeof *f->suffixes);
  if (f->suffixes == NULL)
    return "out of memory";
  for (const char *p = value; *p != '\0'; p += len + (p[len] == ',')) {
    len = strcspn(p, ",");
    if (f->suffixes_count == SUFFIXES_MAX)
      return "suffix: expected at most 16 domain names";
    struct suffix *s = &f->suffixes[f->suffixes_count];
    if (cof_name_canon(p, len, s->name, &s->len, NULL) != COF_OK)
      return "suffix: expected domain names separated by commas";
    f->suffixes_count++;
  }
  return f->suffixes_count != 0 ? NULL : "suffix: expected at least one domain name";
}

const char *filter_set(struct filter *f, const char *name, const char *value)
{
  if (strcmp(name, "rrtype") == 0)
    return set_rrtype(f, value);
  if (strcmp(name, "suffix") == 0)
    return set_suffix(f, value);
  if (strcmp(name, "new") == 0) {
    f->only_new = strcmp(value, "1") == 0;
    return f->only_new || strcmp(value, "0") == 0 ? NULL : "new: expected 1 or 0";
  }
  if (strcmp(name, "token") == 0)
    return NULL;
  return "unknown parameter; expected rrtype, suffix, new or token";
}

/* A dot that is part of a label has a backslash before it, which no backslash escapes. */
static bool is_escaped(const char *name, size_t at)
{
  size_t n = 0;
  while (n < at && name[at - n - 1] == '\\')
    n++;
  return n % 2 == 1;
}

static bool below(const struct cof_record *r, const struct suffix *s)
{
  if (s->len == 1 && s->name[0] == '.')
    return true;
  if (r->rrname_len < s->len || memcmp(r->rrname + r->rrname_len - s->len, s->name, s->len) != 0)
    return false;
  if (r->rrname_len == s->len)
    return true;
  size_t dot = r->rrname_len - s->len - 1;
  return r->rrname[dot] == '.' && !is_escaped(r->rrname, dot);
}

bool filter_match(const struct filter *f, const struct cof_record *r, bool is_new)
{
  if (f->only_new && !is_new)
    return false;
  bool match = f->rrtypes_count == 0;
  for (size_t i = 0; !match && i < f->rrtypes_count; i++)
    match = f->rrtypes[i] == r->rrtype;
  if (!match || f->suffixes_count == 0)
    return match;
  for (size_t i = 0; i < f->suffixes_count; i++)
    if (below(r, &f->suffixes[i]))
      return true;
  return false;
}

void filter_free(struct filter **filter)
{
  struct filter *f = *filter;
  if (f == NULL)
    return;
  free(f->suffixes);
  free(f);
  *filter = NULL;
}
