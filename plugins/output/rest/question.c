/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "question_private.h"

#include <stdlib.h>
#include <string.h>

#include <idn2.h>

/* Octets of a question that a message shows. */
#define SHOWN 64

/* A text being built in a buffer of known size. */
struct text {
  char *at;
  size_t len, room;
};

static int hex(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

enum cof_result question_unescape(const char *raw, size_t len, char *out, size_t *out_len,
                                  struct cof_error *err)
{
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (raw[i] != '%') {
      out[n++] = raw[i];
      continue;
    }
    int high = i + 2 < len ? hex(raw[i + 1]) : -1, low = i + 2 < len ? hex(raw[i + 2]) : -1;
    if (high < 0 || low < 0)
      return cof_fail(err, COF_REJECT,
                      "broken percent escape at octet %zu of the question: expected %% and two "
                      "hexadecimal digits",
                      i + 1);
    out[n++] = (char)(high * 16 + low);
    i += 2;
  }
  *out_len = n;
  return COF_OK;
}

static bool is_space(char c)
{
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static void strip(const char **text, size_t *len)
{
  while (*len > 0 && is_space(**text)) {
    (*text)++;
    (*len)--;
  }
  while (*len > 0 && is_space((*text)[*len - 1]))
    (*len)--;
}

/* A question as a message may show it: printable, and short. */
static const char *shown(const char *text, size_t len, char out[SHOWN + 4])
{
  size_t n = 0;
  for (; n < len && n < SHOWN; n++)
    out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
  memcpy(out + n, n < len ? "..." : "", n < len ? 4 : 1);
  return out;
}

static bool append(struct text *out, const char *text, size_t len)
{
  if (len > out->room - out->len)
    return false;
  memcpy(out->at + out->len, text, len);
  out->len += len;
  return true;
}

/* Octets up to the next dot that no backslash escapes. */
static size_t label_length(const char *text, size_t len)
{
  size_t i = 0;
  while (i < len && text[i] != '.')
    i += text[i] == '\\' && i + 1 < len ? 2 : 1;
  return i;
}

static bool has_octet(const char *text, size_t len, bool (*is)(char))
{
  for (size_t i = 0; i < len; i++)
    if (is(text[i]))
      return true;
  return false;
}

static bool is_high(char c)
{
  return ((unsigned char)c & 0x80) != 0;
}

static bool is_escape(char c)
{
  return c == '\\' || c == '\0';
}

/* One label in UTF-8, which may hold an ideographic full stop and so come out as several. */
static enum cof_result label_to_ascii(const char *label, size_t len, struct text *out,
                                      struct cof_error *err)
{
  if (has_octet(label, len, is_escape))
    return cof_fail(err, COF_REJECT,
                    "a label holds both an escape and octets above 0x7e: write "
                    "all of them as \\DDD, or none");
  char *copy = strndup(label, len), *ascii = NULL;
  if (copy == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  int rc = idn2_to_ascii_8z(copy, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (rc != IDN2_OK)
    rc = idn2_to_ascii_8z(copy, &ascii, IDN2_NFC_INPUT | IDN2_TRANSITIONAL);
  free(copy);
  if (rc != IDN2_OK)
    return cof_fail(err, COF_REJECT, "a label is no internationalised name: %s", idn2_strerror(rc));
  bool fits = append(out, ascii, strlen(ascii));
  idn2_free(ascii);
  return fits ? COF_OK : cof_fail(err, COF_REJECT, "name longer than 255 octets");
}

static enum cof_result name_to_ascii(const char *text, size_t len, struct text *out,
                                     struct cof_error *err)
{
  while (len > 0) {
    size_t label = label_length(text, len), dot = label < len ? 1 : 0;
    if (has_octet(text, label, is_high)) {
      enum cof_result r = label_to_ascii(text, label, out, err);
      if (r != COF_OK)
        return r;
    } else if (!append(out, text, label)) {
      return cof_fail(err, COF_REJECT, "name longer than 255 octets");
    }
    if (!append(out, ".", dot))
      return cof_fail(err, COF_REJECT, "name longer than 255 octets");
    text += label + dot;
    len -= label + dot;
  }
  return COF_OK;
}

/* Four decimal numbers, or hexadecimal groups between two or more colons: somebody means an
   address, and an empty answer would hide the slip. */
static bool resembles_address(const char *text, size_t len)
{
  size_t dots = 0, colons = 0, others = 0, letters = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '.' && i + 1 < len)
      dots++;
    else if (text[i] == ':')
      colons++;
    else if (hex(text[i]) >= 10)
      letters++;
    else if (hex(text[i]) < 0)
      others++;
  }
  return others == 0 && (colons >= 2 || (dots == 3 && colons == 0 && letters == 0));
}

static bool parse_address(const char *text, size_t len, struct cof_addr *address)
{
  if (cof_addr_parse(text, len, address))
    return true;
  return len > 2 && text[0] == '[' && text[len - 1] == ']' &&
         cof_addr_parse(text + 1, len - 2, address) && address->family == 6;
}

static enum cof_result refuse_address(const char *text, size_t len, struct cof_error *err)
{
  char show[SHOWN + 4];
  struct cof_addr first, last;
  if (memchr(text, '/', len) != NULL && cof_network_parse(text, len, &first, &last, NULL) == COF_OK)
    return cof_fail(err, COF_REJECT, "'%s' is a network: expected a name or one address",
                    shown(text, len, show));
  if (resembles_address(text, len))
    return cof_fail(err, COF_REJECT,
                    "'%s' is no address: expected four decimal numbers of 0 to 255 without leading "
                    "zeros, or IPv6 (RFC 4291)",
                    shown(text, len, show));
  return COF_OK;
}

enum cof_result question_name(const char *text, size_t len, char name[COF_NAME_MAX],
                              struct cof_error *err)
{
  char ascii[QUESTION_MAX + 1], show[SHOWN + 4];
  struct cof_error why = {""};
  struct text out = {ascii, 0, sizeof ascii};
  size_t name_len;
  enum cof_result r = COF_OK;
  if (has_octet(text, len, is_high)) {
    r = name_to_ascii(text, len, &out, &why);
    text = out.at;
    len = r == COF_OK ? out.len : 0;
  }
  if (r == COF_OK)
    r = cof_name_canon(text, len, name, &name_len, &why);
  if (r != COF_OK)
    return cof_fail(err, r, "'%s' is neither a name nor an address: %s", shown(text, len, show),
                    why.text);
  return COF_OK;
}

enum cof_result question_text(const char *text, size_t len, struct question *question,
                              struct cof_error *err)
{
  if (len > QUESTION_MAX)
    return cof_fail(err, COF_REJECT, "question of %zu octets: expected at most %zu", len,
                    QUESTION_MAX);
  strip(&text, &len);
  if (len == 0)
    return cof_fail(err, COF_REJECT, "empty question: expected a name or an address");
  question->is_address = parse_address(text, len, &question->address);
  if (question->is_address)
    return COF_OK;
  enum cof_result r = refuse_address(text, len, err);
  return r == COF_OK ? question_name(text, len, question->name, err) : r;
}

enum cof_result question_parse(const char *raw, size_t len, struct question *question,
                               struct cof_error *err)
{
  char decoded[QUESTION_MAX];
  if (len > sizeof decoded)
    return cof_fail(err, COF_REJECT, "question of %zu octets: expected at most %zu", len,
                    sizeof decoded);
  enum cof_result r = question_unescape(raw, len, decoded, &len, err);
  return r == COF_OK ? question_text(decoded, len, question, err) : r;
}
