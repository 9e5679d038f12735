/* SPDX-License-Identifier: MIT */
#include <cofd/dns.h>

#include "rdata_private.h"

/* Field number `index` of an rdata text, a quoted field being one. Returns how many there are. */
static size_t nth_field(const char *text, size_t len, size_t index, size_t *offset, size_t *length)
{
  size_t count = 0, i = 0;
  for (;;) {
    while (i < len && rdata_blank(text[i]))
      i++;
    if (i == len)
      return count;
    size_t start = i;
    bool quoted = false;
    for (; i < len && (quoted || !rdata_blank(text[i])); i++) {
      if (text[i] == '"')
        quoted = !quoted;
      else if (text[i] == '\\' && i + 1 < len)
        i++;
    }
    if (count++ == index) {
      *offset = start;
      *length = i - start;
    }
  }
}

static bool is_generic(const char *text, size_t len)
{
  return len >= 2 && text[0] == '\\' && text[1] == '#';
}

static bool is_name(const char *text, size_t len)
{
  uint8_t wire[255];
  return cof_name_to_wire(text, len, wire) != 0;
}

/* Find the name among several fields; false when the text has not the fields of the type. */
static bool find_name(const struct rdata_type *type, const char *rdata, size_t rdata_len,
                      size_t *offset, size_t *length)
{
  size_t fields = strlen(type->fields), index = strcspn(type->fields, "n");
  size_t count = nth_field(rdata, rdata_len, index, offset, length);
  if (count == 1 && (type->flags & RDATA_ALONE) != 0) {
    nth_field(rdata, rdata_len, 0, offset, length);
    return true;
  }
  bool open = strchr("kT", type->fields[fields - 1]) != NULL;
  return open ? count > index : count == fields;
}

enum cof_target_kind cof_rdata_target(uint16_t rrtype, const char *rdata, size_t rdata_len,
                                      size_t *offset, size_t *length)
{
  *offset = 0;
  *length = rdata_len;
  if (rrtype == COF_TYPE_A || rrtype == COF_TYPE_AAAA)
    return COF_TARGET_ADDR;
  const struct rdata_type *type = rdata_type(rrtype);
  if ((type->flags & RDATA_TARGET) == 0)
    return COF_TARGET_TEXT;
  if (type->fields[1] == '\0')
    return COF_TARGET_NAME;
  size_t at = 0, n = 0;
  if (!find_name(type, rdata, rdata_len, &at, &n))
    return COF_TARGET_TEXT;
  /* Of such types there is free text and `\# n hex` too, where a field is anything. */
  if ((type->flags & RDATA_LAX) != 0 && (is_generic(rdata, rdata_len) || !is_name(rdata + at, n)))
    return COF_TARGET_TEXT;
  *offset = at;
  *length = n;
  return COF_TARGET_NAME;
}
