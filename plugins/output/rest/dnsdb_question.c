/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnsdb_question_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "question_private.h"

/* Most components behind the verb: rrset, name, NAME, RRTYPE, BAILIWICK, and one that is too many.
 */
#define COMPONENTS_MAX 6
/* Octets of a component that a message shows. */
#define SHOWN 64

/* A piece of the path as it came. */
struct piece {
  const char *at;
  size_t len;
};

/* A component, decoded. */
struct text {
  size_t len;
  char at[DNSDB_COMPONENT_MAX + 1];
};

static bool is(const struct piece *piece, const char *word)
{
  return piece->len == strlen(word) && memcmp(piece->at, word, piece->len) == 0;
}

/* As a message may show it: printable, and short. */
static const char *shown(const char *text, size_t len, char out[SHOWN + 4])
{
  size_t n = 0;
  for (; n < len && n < SHOWN; n++)
    out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
  memcpy(out + n, n < len ? "..." : "", n < len ? 4 : 1);
  return out;
}

/* --- the path ------------------------------------------------------------------------------- */

static const char *after(const char *path, const char *word)
{
  size_t len = strlen(word);
  return strncmp(path, word, len) == 0 ? path + len : NULL;
}

enum dnsdb_endpoint dnsdb_endpoint(const char *path, const char **rest)
{
  *rest = "";
  path = after(path, "v2/");
  if (path == NULL)
    return DNSDB_NOWHERE;
  if (strcmp(path, "ping") == 0)
    return DNSDB_PING;
  if (strcmp(path, "rate_limit") == 0)
    return DNSDB_RATE_LIMIT;
  *rest = after(path, "lookup/");
  if (*rest != NULL)
    return DNSDB_LOOKUP;
  *rest = after(path, "summarize/");
  return *rest != NULL ? DNSDB_SUMMARIZE : DNSDB_NOWHERE;
}

/* @return how many there are, at most COMPONENTS_MAX */
static size_t split(const char *path, struct piece pieces[COMPONENTS_MAX])
{
  size_t count = 0;
  for (;;) {
    size_t len = strcspn(path, "/");
    pieces[count++] = (struct piece){path, len};
    if (path[len] == '\0' || count == COMPONENTS_MAX)
      return count;
    path += len + 1;
  }
}

/* Clients that read questions from a file escape a slash twice. */
static void decode_slashes(struct text *text)
{
  size_t n = 0;
  for (size_t i = 0; i < text->len; i++) {
    if (text->len - i >= 3 && strncasecmp(text->at + i, "%2f", 3) == 0) {
      text->at[n++] = '/';
      i += 2;
    } else {
      text->at[n++] = text->at[i];
    }
  }
  text->len = n;
}

static enum cof_result decode(const struct piece *piece, const char *what, struct text *text,
                              struct cof_error *err)
{
  if (piece->len > DNSDB_COMPONENT_MAX)
    return cof_fail(err, COF_REJECT, "%s of %zu octets: expected at most %zu", what, piece->len,
                    DNSDB_COMPONENT_MAX);
  enum cof_result r = question_unescape(piece->at, piece->len, text->at, &text->len, err);
  if (r == COF_OK && text->len == 0)
    r = cof_fail(err, COF_REJECT, "no %s: expected one between the slashes", what);
  text->at[r == COF_OK ? text->len : 0] = '\0';
  return r;
}

/* --- names ---------------------------------------------------------------------------------- */

/* Where the last label begins, a dot at the end not counted; `len` is without that dot. */
static size_t last_label(const char *text, size_t len)
{
  size_t start = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '\\')
      i++;
    else if (text[i] == '.')
      start = i + 1;
  }
  return start;
}

/* Whether the dot at the end ends a label, and is not part of it. */
static bool ends_in_dot(const char *text, size_t len)
{
  return len > 1 && text[len - 1] == '.' && last_label(text, len) == len;
}

static bool has_star(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '\\')
      i++;
    else if (text[i] == '*')
      return true;
  }
  return false;
}

/* `*` or `+`, alone in the first or the last label. */
static bool is_mark(const char *text, size_t len)
{
  return len == 1 && (*text == '*' || *text == '+');
}

static enum cof_result bad_wildcard(const char *text, size_t len, struct cof_error *err)
{
  char show[SHOWN + 4];
  return cof_fail(err, COF_REJECT,
                  "'%s': a wildcard stands alone at one end of a name, as in *.example.com and "
                  "www.example.*",
                  shown(text, len, show));
}

/* Take a wildcard off a name. The name that is left is "." where nothing is. */
static enum cof_result take_wildcard(const char **text, size_t *len, enum dnsdb_wild *wild,
                                     struct cof_error *err)
{
  const char *whole = *text;
  size_t whole_len = *len, n = *len;
  *wild = DNSDB_EXACT;
  if (ends_in_dot(whole, n))
    n--;
  size_t last = last_label(whole, n);
  bool left = (n >= 2 && whole[1] == '.' && is_mark(whole, 1)) || (n == 1 && *whole == '*');
  bool right = last > 0 && is_mark(whole + last, n - last);
  if ((left && right) || (left && n == 2))
    return bad_wildcard(whole, whole_len, err);
  if (left) {
    *wild = *whole == '*' ? DNSDB_BELOW : DNSDB_ONE_BELOW;
    *text = n > 2 ? whole + 2 : ".";
    *len = n > 2 ? whole_len - 2 : 1;
  } else if (right) {
    *wild = whole[last] == '*' ? DNSDB_BEGINS : DNSDB_ONE_BEHIND;
    *len = last - 1;
  }
  return has_star(*text, *len) ? bad_wildcard(whole, whole_len, err) : COF_OK;
}

static enum cof_result read_name(const struct piece *piece, struct dnsdb_question *q,
                                 struct cof_error *err)
{
  struct text text;
  const char *at = text.at;
  enum cof_result r = decode(piece, "name", &text, err);
  if (r != COF_OK)
    return r;
  decode_slashes(&text);
  size_t len = text.len;
  r = take_wildcard(&at, &len, &q->wild, err);
  return r == COF_OK ? question_name(at, len, q->name, err) : r;
}

static enum cof_result read_bailiwick(const struct piece *piece, struct dnsdb_question *q,
                                      struct cof_error *err)
{
  struct text text;
  q->has_bailiwick = true;
  enum cof_result r = decode(piece, "bailiwick", &text, err);
  if (r != COF_OK)
    return r;
  decode_slashes(&text);
  return question_name(text.at, text.len, q->bailiwick, err);
}

/* --- hexadecimal ---------------------------------------------------------------------------- */

static int digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum cof_result read_hex(const struct piece *piece, struct dnsdb_question *q,
                                struct cof_error *err)
{
  struct text text;
  enum cof_result r = decode(piece, "hexadecimal octets", &text, err);
  if (r != COF_OK)
    return r;
  if (text.len % 2 != 0)
    return cof_fail(err, COF_REJECT, "%zu hexadecimal digits: expected two for each octet",
                    text.len);
  for (size_t i = 0; i < text.len; i += 2) {
    int high = digit(text.at[i]), low = digit(text.at[i + 1]);
    if (high < 0 || low < 0)
      return cof_fail(err, COF_REJECT, "no hexadecimal digits at %zu: expected 0-9 and a-f", i + 1);
    q->raw[i / 2] = (uint8_t)(high * 16 + low);
  }
  q->raw_len = text.len / 2;
  return COF_OK;
}

static enum cof_result read_raw_name(const struct piece *piece, struct dnsdb_question *q,
                                     struct cof_error *err)
{
  uint8_t again[256];
  enum cof_result r = read_hex(piece, q, err);
  if (r != COF_OK)
    return r;
  size_t len = cof_name_from_wire(q->raw, q->raw_len, q->name);
  if (len == 0 || cof_name_to_wire(q->name, len, again) != q->raw_len)
    return cof_fail(err, COF_REJECT,
                    "not the wire form of one name: expected labels with their lengths, up to the "
                    "root's 00");
  return COF_OK;
}

/* --- addresses ------------------------------------------------------------------------------ */

static enum cof_result bad_address(const struct text *text, const char *why, struct cof_error *err)
{
  char show[SHOWN + 4];
  return cof_fail(err, COF_REJECT,
                  "'%s': %s; expected ADDRESS, ADDRESS,PREFIX-LENGTH or ADDRESS-ADDRESS",
                  shown(text->at, text->len, show), why);
}

static enum cof_result read_range(const struct text *text, const char *dash,
                                  struct dnsdb_question *q, struct cof_error *err)
{
  size_t len = (size_t)(dash - text->at);
  if (!cof_addr_parse(text->at, len, &q->first) ||
      !cof_addr_parse(dash + 1, text->len - len - 1, &q->last))
    return bad_address(text, "no two addresses", err);
  if (q->first.family != q->last.family)
    return bad_address(text, "addresses of two families", err);
  if (memcmp(q->first.bytes, q->last.bytes, sizeof q->first.bytes) > 0)
    return bad_address(text, "the first address is above the last one", err);
  return COF_OK;
}

static enum cof_result read_address(const struct piece *piece, struct dnsdb_question *q,
                                    struct cof_error *err)
{
  struct text text;
  enum cof_result r = decode(piece, "address", &text, err);
  if (r != COF_OK)
    return r;
  if (text.len >= COF_ADDR_TEXT_MAX * 2 || memchr(text.at, '/', text.len) != NULL ||
      memchr(text.at, '\0', text.len) != NULL)
    return bad_address(&text, "not an address", err);
  const char *dash = memchr(text.at, '-', text.len);
  if (dash != NULL)
    return read_range(&text, dash, q, err);
  char *comma = memchr(text.at, ',', text.len);
  if (comma != NULL)
    *comma = '/';
  r = cof_network_parse(text.at, text.len, &q->first, &q->last, NULL);
  if (comma != NULL)
    *comma = ',';
  return r == COF_OK ? COF_OK : bad_address(&text, "not an address or network", err);
}

/* --- types ---------------------------------------------------------------------------------- */

static enum cof_result read_type(const struct piece *piece, struct dnsdb_question *q,
                                 struct cof_error *err)
{
  struct text text;
  char show[SHOWN + 4];
  enum cof_result r = decode(piece, "rrtype", &text, err);
  if (r != COF_OK)
    return r;
  if (strcasecmp(text.at, "ANY-DNSSEC") == 0 && text.len == strlen("ANY-DNSSEC")) {
    q->types = DNSDB_DNSSEC;
    return COF_OK;
  }
  if (digit(text.at[0]) >= 0 && text.at[0] <= '9')
    return cof_fail(err, COF_REJECT, "'%s' is no rrtype: expected a mnemonic such as A, or TYPE%s",
                    shown(text.at, text.len, show), shown(text.at, text.len, show));
  if (!cof_rrtype_parse(text.at, text.len, &q->rrtype))
    return cof_fail(err, COF_REJECT,
                    "'%s' is no rrtype: expected a mnemonic such as A, TYPE65280, ANY or "
                    "ANY-DNSSEC",
                    shown(text.at, text.len, show));
  q->types = q->rrtype == COF_TYPE_ANY ? DNSDB_ANY : DNSDB_ONE;
  return COF_OK;
}

static enum cof_result check_address_type(struct dnsdb_question *q, struct cof_error *err)
{
  bool good = q->types == DNSDB_ANY ||
              (q->types == DNSDB_ONE && (q->rrtype == COF_TYPE_A || q->rrtype == COF_TYPE_AAAA));
  if (!good)
    return cof_fail(err, COF_REJECT,
                    "rdata/ip knows the rrtypes A, AAAA and ANY alone, which all "
                    "mean: addresses");
  q->types = DNSDB_ANY;
  return COF_OK;
}

/* --- together ------------------------------------------------------------------------------- */

static const struct form {
  const char *side, *what;
  enum dnsdb_subject subject;
  size_t components; /* most, with side and what */
  enum cof_result (*read)(const struct piece *piece, struct dnsdb_question *q,
                          struct cof_error *err);
} forms[] = {
    {"rrset", "name", DNSDB_RRSET_NAME, 5, read_name},
    {"rrset", "raw", DNSDB_RRSET_NAME, 4, read_raw_name},
    {"rdata", "name", DNSDB_RDATA_NAME, 4, read_name},
    {"rdata", "ip", DNSDB_RDATA_IP, 4, read_address},
    {"rdata", "raw", DNSDB_RDATA_RAW, 4, read_hex},
};

static const struct form *find_form(const struct piece *pieces, size_t count)
{
  for (size_t i = 0; i < sizeof forms / sizeof *forms && count >= 3; i++)
    if (is(&pieces[0], forms[i].side) && is(&pieces[1], forms[i].what))
      return &forms[i];
  return NULL;
}

enum cof_result dnsdb_read_path(const char *path, bool summarize, struct dnsdb_question *q,
                                struct cof_error *err)
{
  struct piece pieces[COMPONENTS_MAX];
  size_t count = split(path, pieces);
  const struct form *form = find_form(pieces, count);
  memset(q, 0, sizeof *q);
  q->summarize = summarize;
  q->first_after = q->last_after = INT64_MIN;
  q->first_before = q->last_before = INT64_MAX;
  if (form == NULL)
    return cof_fail(err, COF_REJECT,
                    "path not understood: expected rrset/name/NAME[/RRTYPE[/BAILIWICK]], "
                    "rrset/raw/HEX[/RRTYPE], rdata/name/NAME[/RRTYPE], rdata/ip/ADDRESS or "
                    "rdata/raw/HEX[/RRTYPE]");
  if (count > form->components)
    return cof_fail(err, COF_REJECT,
                    "path not understood: more behind %s/%s than expected; a slash within a value "
                    "is written %%2F, and that of a network as a comma",
                    form->side, form->what);
  q->subject = form->subject;
  enum cof_result r = form->read(&pieces[2], q, err);
  if (r == COF_OK && count > 3)
    r = read_type(&pieces[3], q, err);
  if (r == COF_OK && form->subject == DNSDB_RDATA_IP)
    r = check_address_type(q, err);
  if (r == COF_OK && count > 4)
    r = read_bailiwick(&pieces[4], q, err);
  return r;
}

/* --- parameters ----------------------------------------------------------------------------- */

#define VALUE_MAX 64

static enum cof_result bad_value(const char *key, const char *value, const char *expected,
                                 struct cof_error *err)
{
  char show[SHOWN + 4];
  return cof_fail(err, COF_REJECT, "%s=%s: expected %s", key, shown(value, strlen(value), show),
                  expected);
}

/* Digits, perhaps behind a minus. */
static bool read_number(const char *text, int64_t *number)
{
  bool negative = *text == '-';
  int64_t n = 0;
  text += negative;
  if (*text == '\0')
    return false;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9' || n > (INT64_MAX - (*text - '0')) / 10)
      return false;
    n = n * 10 + (*text - '0');
  }
  *number = negative ? -n : n;
  return true;
}

static bool is_word(const char *text, const char *const *words)
{
  for (; *words != NULL; words++)
    if (strcasecmp(text, *words) == 0)
      return true;
  return false;
}

static bool read_boolean(const char *text, bool *value)
{
  static const char *const yes[] = {"t", "true", "1", "y", "yes", NULL};
  static const char *const no[] = {"f", "false", "0", "n", "no", NULL};
  *value = is_word(text, yes);
  return *value || is_word(text, no);
}

static int64_t *fence(struct dnsdb_question *q, const char *key)
{
  if (strcmp(key, "time_first_after") == 0)
    return &q->first_after;
  if (strcmp(key, "time_first_before") == 0)
    return &q->first_before;
  if (strcmp(key, "time_last_after") == 0)
    return &q->last_after;
  return strcmp(key, "time_last_before") == 0 ? &q->last_before : NULL;
}

static enum cof_result read_fence(int64_t *at, const char *key, const char *value, int64_t now,
                                  struct cof_error *err)
{
  int64_t n;
  if (!read_number(value, &n))
    return bad_value(key, value, "seconds since 1970, or a minus and seconds before now", err);
  *at = n < 0 ? now + n : n;
  return COF_OK;
}

static enum cof_result read_amount(struct dnsdb_question *q, const char *key, const char *value,
                                   struct cof_error *err)
{
  int64_t n;
  bool sum = strcmp(key, "max_count") == 0, skip = strcmp(key, "offset") == 0;
  if (!read_number(value, &n) || n < (sum ? 1 : 0) || *value == '-')
    return bad_value(key, value, sum ? "a number from 1 on" : "a number from 0 on", err);
  if (sum && !q->summarize)
    return cof_fail(err, COF_REJECT, "max_count is for summarize alone");
  if (skip && q->summarize && n != 0)
    return cof_fail(err, COF_REJECT, "offset is for lookup alone");
  if (sum)
    q->max_count = (uint64_t)n;
  else if (skip)
    q->offset = (uint64_t)n;
  else
    q->limit = (uint64_t)n;
  q->has_limit = q->has_limit || (!sum && !skip);
  return COF_OK;
}

enum cof_result dnsdb_read_parameter(struct dnsdb_question *q, const char *key, const char *raw,
                                     int64_t now, struct cof_error *err)
{
  char value[VALUE_MAX + 1];
  size_t len = raw != NULL ? strlen(raw) : 0;
  int64_t *at = fence(q, key);
  bool amount =
      strcmp(key, "limit") == 0 || strcmp(key, "offset") == 0 || strcmp(key, "max_count") == 0;
  bool human = strcmp(key, "humantime") == 0, aggregate = true;
  if (at == NULL && !amount && !human && strcmp(key, "aggr") != 0)
    return COF_OK;
  if (len > VALUE_MAX)
    return bad_value(key, raw, "at most 64 octets", err);
  enum cof_result r = question_unescape(raw != NULL ? raw : "", len, value, &len, err);
  if (r != COF_OK)
    return r;
  value[len] = '\0';
  if (strlen(value) != len)
    return bad_value(key, value, "no NUL within it", err);
  if (at != NULL)
    return read_fence(at, key, value, now, err);
  if (amount)
    return read_amount(q, key, value, err);
  if (!read_boolean(value, human ? &q->humantime : &aggregate))
    return bad_value(key, value, "true or false", err);
  return COF_OK;
}
