/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char lower(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool d4_has_upper(struct d4_text text)
{
  for (size_t i = 0; i < text.len; i++)
    if (lower(text.at[i]) != text.at[i])
      return true;
  return false;
}

void d4_lower(struct d4_text text, char *out)
{
  for (size_t i = 0; i < text.len; i++)
    out[i] = lower(text.at[i]);
}

static bool quoted(uint16_t rrtype)
{
  return rrtype == COF_TYPE_TXT || rrtype == COF_TYPE_SPF;
}

bool d4_partial_target(uint16_t rrtype)
{
  size_t offset, length;
  switch (rrtype) {
  case COF_TYPE_NS:
  case COF_TYPE_CNAME:
  case COF_TYPE_PTR:
  case COF_TYPE_DNAME:
    return false;
  default:
    return cof_rdata_target(rrtype, "a", 1, &offset, &length) == COF_TARGET_NAME ||
           cof_rdata_target(rrtype, "1 a", 3, &offset, &length) == COF_TARGET_NAME ||
           rrtype == COF_TYPE_NAPTR;
  }
}

/* --- writing -------------------------------------------------------------------------------- */

size_t d4_rdata_put(uint16_t rrtype, const char *rdata, size_t len, char *out)
{
  struct d4_text text = {rdata, len};
  if (len == 1 && rdata[0] == '.')
    return 0;
  const char *quote = rrtype == COF_TYPE_TXT ? memchr(rdata, '"', len) : NULL;
  if (quote == NULL) {
    d4_lower(text, out);
    return len;
  }
  size_t before = (size_t)(quote - rdata);
  d4_lower((struct d4_text){rdata, before}, out);
  d4_lower((struct d4_text){quote + 1, len - before - 1}, out + before);
  return len - 1;
}

/* --- spellings ------------------------------------------------------------------------------ */

/* Take the `len` octets that were written behind the last form, unless it is there already. */
static void add_form(struct d4_forms *f, size_t len)
{
  const char *at =
      f->count == 0 ? f->block : f->forms[f->count - 1].at + f->forms[f->count - 1].len;
  if (f->count == D4_FORMS_MAX)
    return;
  for (size_t i = 0; i < f->count; i++)
    if (f->forms[i].len == len && (len == 0 || memcmp(f->forms[i].at, at, len) == 0))
      return;
  f->forms[f->count++] = (struct d4_text){at, len};
}

static char *form_room(struct d4_forms *f)
{
  return f->count == 0
             ? f->block
             : f->block + (f->forms[f->count - 1].at - f->block) + f->forms[f->count - 1].len;
}

static void add_copy(struct d4_forms *f, struct d4_text text, bool low)
{
  if (low)
    d4_lower(text, form_room(f));
  else if (text.len != 0)
    memcpy(form_room(f), text.at, text.len);
  add_form(f, text.len);
}

static bool begin_forms(struct d4_forms *f, size_t len)
{
  f->count = 0;
  f->block = malloc((D4_FORMS_MAX + 1) * (len + 1) + 1);
  return f->block != NULL;
}

/* The octets that a canonical name stands for. */
static size_t unescape(const char *text, size_t len, char *out)
{
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] != '\\' || i + 1 == len) {
      out[n++] = text[i];
    } else if (isdigit((unsigned char)text[i + 1]) && i + 3 < len) {
      out[n++] = (char)((text[i + 1] - '0') * 100 + (text[i + 2] - '0') * 10 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out[n++] = text[++i];
    }
  }
  return n;
}

static void add_dotted(struct d4_forms *f, const char *name, size_t len)
{
  char *room = form_room(f);
  memcpy(room, name, len);
  room[len] = '.';
  add_form(f, len + 1);
}

bool d4_name_forms(const char *name, size_t len, struct d4_forms *f)
{
  if (!begin_forms(f, len))
    return false;
  add_copy(f, (struct d4_text){name, len}, false);
  if (len == 1 && name[0] == '.')
    return true;
  add_dotted(f, name, len);
  if (memchr(name, '\\', len) != NULL)
    add_form(f, unescape(name, len, form_room(f)));
  return true;
}

static void add_txt(struct d4_forms *f, struct d4_text text, bool low)
{
  add_copy(f, text, low);
  if (text.len < 2 || text.at[0] != '"')
    return;
  add_copy(f, (struct d4_text){text.at + 1, text.len - 1}, low);
  if (text.at[text.len - 1] == '"')
    add_copy(f, (struct d4_text){text.at + 1, text.len - 2}, low);
}

bool d4_rdata_forms(uint16_t rrtype, const char *rdata, size_t len, struct d4_forms *f)
{
  size_t offset, length;
  struct d4_text text = {rdata, len};
  if (!begin_forms(f, len))
    return false;
  add_form(f, d4_rdata_put(rrtype, rdata, len, f->block));
  if (quoted(rrtype)) {
    add_txt(f, text, true);
    add_txt(f, text, false);
    return true;
  }
  add_copy(f, text, false);
  if (cof_rdata_target(rrtype, rdata, len, &offset, &length) == COF_TARGET_NAME &&
      rdata[len - 1] != '.')
    add_dotted(f, rdata, len);
  return true;
}

/* --- reading -------------------------------------------------------------------------------- */

static struct d4_text trim(struct d4_text text)
{
  while (text.len != 0 && isspace((unsigned char)text.at[0])) {
    text.at++;
    text.len--;
  }
  while (text.len != 0 && isspace((unsigned char)text.at[text.len - 1]))
    text.len--;
  return text;
}

bool d4_name_get(struct d4_text text, char out[COF_NAME_MAX], size_t *len)
{
  text = trim(text);
  return cof_name_canon(text.at, text.len, out, len, NULL) == COF_OK;
}

/* Sensors log what a server answered in place of a record. */
static bool is_rcode(struct d4_text text)
{
  static const char *const words[] = {"nxdomain", "servfail", "formerr", "notimpl", "refused",
                                      "yxdomain", "yxrrset",  "nxrrset", "notauth", "notzone"};
  static const char unknown[] = "unknown-error-";
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (text.len == strlen(words[i]) && strncasecmp(text.at, words[i], text.len) == 0)
      return true;
  return text.len >= sizeof unknown - 1 && strncasecmp(text.at, unknown, sizeof unknown - 1) == 0;
}

bool d4_rdata_get(uint16_t rrtype, struct d4_text text, char *out, size_t *len)
{
  size_t offset, length;
  text = trim(text);
  if (!quoted(rrtype) && is_rcode(text))
    return false;
  if (text.len == 0) {
    text = (struct d4_text){".", 1};
    if (cof_rdata_target(rrtype, ".", 1, &offset, &length) != COF_TARGET_NAME)
      return false;
  }
  return cof_rdata_canon(rrtype, text.at, text.len, out, COF_RDATA_MAX + 1, len, NULL) == COF_OK;
}

bool d4_number_plain(const char *text, size_t len)
{
  if (len == 0 || len > 20 || (text[0] == '0' && len > 1))
    return false;
  for (size_t i = 0; i < len; i++)
    if (text[i] < '0' || text[i] > '9')
      return false;
  return true;
}

bool d4_number_get(const char *at, size_t len, uint64_t most, uint64_t *out)
{
  struct d4_text text = trim((struct d4_text){at, len});
  uint64_t n = 0;
  size_t i = 0;
  for (; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++) {
    uint64_t digit = (uint64_t)(text.at[i] - '0');
    n = n > (most - digit) / 10 ? most : n * 10 + digit;
  }
  if (i == 0 || (i < text.len && text.at[i] != '.'))
    return false;
  *out = n < most ? n : most;
  return true;
}

bool d4_key_split(const char *key, size_t len, struct d4_text *name, uint16_t *rrtype)
{
  const char *colon = len > 3 ? memrchr(key + 2, ':', len - 2) : NULL;
  if (colon == NULL || key[0] != 'r' || key[1] != ':')
    return false;
  uint64_t n = 0;
  size_t digits = len - (size_t)(colon + 1 - key);
  if (!d4_number_plain(colon + 1, digits) || digits > 5 ||
      !d4_number_get(colon + 1, digits, UINT64_MAX, &n) || n > UINT16_MAX)
    return false;
  *name = (struct d4_text){key + 2, (size_t)(colon - key) - 2};
  *rrtype = (uint16_t)n;
  return true;
}

/* --- keys ----------------------------------------------------------------------------------- */

/* `:T`, in decimal. */
static size_t type_text(char out[8], uint16_t rrtype)
{
  char digits[5];
  size_t count = 0, len = 0;
  do
    digits[count++] = (char)('0' + rrtype % 10);
  while ((rrtype /= 10) != 0);
  out[len++] = ':';
  while (count != 0)
    out[len++] = digits[--count];
  return len;
}

void d4_arg_set(struct resp *client, char kind, struct d4_text text, uint16_t rrtype)
{
  char head[2] = {kind, ':'}, tail[8];
  struct iovec parts[3] = {
      {head, 2}, {(void *)(uintptr_t)text.at, text.len}, {tail, type_text(tail, rrtype)}};
  resp_arg_parts(client, parts, 3);
}

void d4_arg_triple(struct resp *client, char kind, struct d4_text name, struct d4_text v,
                   uint16_t rrtype)
{
  char head[2] = {kind, ':'}, colon = ':', tail[8];
  struct iovec parts[5] = {{head, 2},
                           {(void *)(uintptr_t)name.at, name.len},
                           {&colon, 1},
                           {(void *)(uintptr_t)v.at, v.len},
                           {tail, type_text(tail, rrtype)}};
  resp_arg_parts(client, parts, 5);
}
