/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <cofd/passivedns.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <cofd/dns.h>
#include <cofd/json.h>

/* Columns in the order of a line. S and M share one. */
static const char columns[] = "HShcwsWpCQLTAltn";
#define COLUMNS (sizeof columns - 1)

struct span {
  const char *text;
  size_t len;
};

struct cof_passivedns {
  char letters[COLUMNS]; /* of this sensor's lines, in order */
  size_t count;
  size_t answer; /* index of A */
  char delimiter[COF_PASSIVEDNS_DELIMITER_MAX + 1];
  size_t delimiter_len;
  char *sensor;
  uint16_t sensor_len;
  bool count_lines;
  char name[COF_NAME_MAX];
  char rdata[COF_RDATA_MAX + 1];
};

/* --- making ---------------------------------------------------------------------------------- */

static enum cof_result read_fields(struct cof_passivedns *p, const char *fields,
                                   struct cof_error *err)
{
  for (const char *f = fields; *f != '\0'; f++)
    if (*f != 'M' && strchr(columns, *f) == NULL)
      return cof_fail(err, COF_REJECT, "fields: '%c' is no column of a passivedns line (%sM)", *f,
                      columns);
  for (size_t i = 0; i < COLUMNS; i++) {
    bool there = strchr(fields, columns[i]) != NULL;
    /* Microseconds without seconds are a column, though of no use. */
    if (columns[i] == 'S' && !there && strchr(fields, 'M') != NULL)
      p->letters[p->count++] = 'M';
    if (!there)
      continue;
    if (columns[i] == 'A')
      p->answer = p->count;
    p->letters[p->count++] = columns[i];
  }
  for (const char *need = "QTA"; *need != '\0'; need++)
    if (strchr(fields, *need) == NULL)
      return cof_fail(err, COF_REJECT, "fields: '%c' is missing; Q, T and A are needed", *need);
  if (strpbrk(fields, "SH") == NULL)
    return cof_fail(err, COF_REJECT, "fields: no time; S or H is needed");
  return COF_OK;
}

static enum cof_result build(struct cof_passivedns *p, const struct cof_passivedns_options *o,
                             struct cof_error *err)
{
  p->delimiter_len = strlen(o->delimiter);
  if (p->delimiter_len == 0 || p->delimiter_len > COF_PASSIVEDNS_DELIMITER_MAX)
    return cof_fail(err, COF_REJECT, "delimiter: %zu octets; expected 1 to %d", p->delimiter_len,
                    COF_PASSIVEDNS_DELIMITER_MAX);
  memcpy(p->delimiter, o->delimiter, p->delimiter_len + 1);
  p->count_lines = o->count_lines;
  if (o->sensor_id != NULL && o->sensor_id[0] != '\0') {
    size_t len = strnlen(o->sensor_id, COF_SENSOR_MAX);
    p->sensor = strndup(o->sensor_id, len);
    p->sensor_len = (uint16_t)len;
    if (p->sensor == NULL)
      return cof_fail(err, COF_FATAL, "out of memory");
  }
  return read_fields(p, o->fields, err);
}

struct cof_passivedns *cof_passivedns_create(const struct cof_passivedns_options *options,
                                             struct cof_error *err)
{
  struct cof_passivedns *p = calloc(1, sizeof *p);
  if (p == NULL) {
    cof_fail(err, COF_FATAL, "out of memory");
    return NULL;
  }
  if (build(p, options, err) != COF_OK)
    cof_passivedns_destroy(&p);
  return p;
}

void cof_passivedns_destroy(struct cof_passivedns **reader)
{
  if (*reader != NULL)
    free((*reader)->sensor);
  free(*reader);
  *reader = NULL;
}

/* --- columns --------------------------------------------------------------------------------- */

static bool blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span s)
{
  while (s.len > 0 && blank(s.text[0])) {
    s.text++;
    s.len--;
  }
  while (s.len > 0 && blank(s.text[s.len - 1]))
    s.len--;
  return s;
}

static const char *next_delimiter(const struct cof_passivedns *p, const char *from, const char *end)
{
  return memmem(from, (size_t)(end - from), p->delimiter, p->delimiter_len);
}

/* The last delimiter that ends at or before `end`. */
static const char *last_delimiter(const struct cof_passivedns *p, const char *from, const char *end)
{
  for (const char *at = end - p->delimiter_len; at >= from && end - from >= (long)p->delimiter_len;
       at--)
    if (memcmp(at, p->delimiter, p->delimiter_len) == 0)
      return at;
  return NULL;
}

/*
 * Split from both ends, since the answer may hold the delimiter: what is before it from the left,
 * what is after it from the right, as far as there is any.
 */
static enum cof_result split(const struct cof_passivedns *p, struct span line, struct span *out,
                             struct cof_error *err)
{
  const char *from = line.text, *end = line.text + line.len;
  for (size_t i = 0; i < p->answer; i++) {
    const char *at = next_delimiter(p, from, end);
    if (at == NULL)
      return cof_fail(err, COF_REJECT, "%zu columns instead of at least %zu", i + 1, p->answer + 1);
    out[i] = (struct span){from, (size_t)(at - from)};
    from = at + p->delimiter_len;
  }
  size_t behind = 0, wanted = p->count - p->answer - 1;
  for (const char *at = from; behind < wanted && (at = next_delimiter(p, at, end)) != NULL;
       at += p->delimiter_len)
    behind++;
  for (size_t i = behind; i > 0; i--) {
    const char *at = last_delimiter(p, from, end);
    out[p->answer + i] =
        (struct span){at + p->delimiter_len, (size_t)(end - at) - p->delimiter_len};
    end = at;
  }
  out[p->answer] = (struct span){from, (size_t)(end - from)};
  for (size_t i = p->answer + behind + 1; i < p->count; i++)
    out[i] = (struct span){NULL, 0};
  return COF_OK;
}

/* --- values ---------------------------------------------------------------------------------- */

/* Decimal digits alone; values beyond `max` become `max`. */
static bool number(struct span s, uint64_t max, uint64_t *out)
{
  uint64_t n = 0;
  if (s.len == 0)
    return false;
  for (size_t i = 0; i < s.len; i++) {
    unsigned digit = (unsigned)(unsigned char)s.text[i] - '0';
    if (digit > 9)
      return false;
    n = n > (max - digit) / 10 ? max : n * 10 + digit;
  }
  *out = n;
  return true;
}

static bool read_seconds(struct span s, int64_t *out)
{
  uint64_t n, fraction;
  const char *point = memchr(s.text, '.', s.len);
  struct span whole = {s.text, point != NULL ? (size_t)(point - s.text) : s.len};
  struct span rest = {s.text + whole.len + 1, point != NULL ? s.len - whole.len - 1 : 0};
  if (!number(whole, INT64_MAX, &n) || n > (uint64_t)COF_TIME_MAX)
    return false;
  if (rest.len != 0 && !number(rest, INT64_MAX, &fraction))
    return false;
  *out = (int64_t)n;
  return true;
}

/* `YYYY-MM-DD HH:MM:SS`, a fraction ignored. */
static bool read_date(struct span s, int64_t *out)
{
  static const char form[] = "dddd-dd-dd dd:dd:dd";
  int part[6] = {0}, at = 0;
  if (s.len < sizeof form - 1 || (s.len > sizeof form - 1 && s.text[sizeof form - 1] != '.'))
    return false;
  for (size_t i = 0; form[i] != '\0'; i++) {
    if (form[i] != 'd') {
      at++;
      if (s.text[i] != form[i])
        return false;
    } else if (s.text[i] < '0' || s.text[i] > '9') {
      return false;
    } else {
      part[at] = part[at] * 10 + (s.text[i] - '0');
    }
  }
  if (part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31 || part[3] > 23 || part[4] > 59 ||
      part[5] > 60)
    return false;
  struct tm tm = {.tm_year = part[0] - 1900,
                  .tm_mon = part[1] - 1,
                  .tm_mday = part[2],
                  .tm_hour = part[3],
                  .tm_min = part[4],
                  .tm_sec = part[5],
                  .tm_isdst = -1};
  time_t t = mktime(&tm);
  *out = (int64_t)t;
  return t >= 0 && *out <= COF_TIME_MAX;
}

static bool read_class(struct span s, uint16_t *out)
{
  static const struct {
    const char *word;
    uint16_t number;
  } classes[] = {{"IN", 1}, {"CH", 3}, {"HS", 4}, {"NONE", 254}, {"ANY", 255}};
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    if (s.len == strlen(classes[i].word) && strncasecmp(s.text, classes[i].word, s.len) == 0) {
      *out = classes[i].number;
      return true;
    }
  uint64_t n;
  if (!number(s, UINT32_MAX, &n) || n > UINT16_MAX)
    return false;
  *out = (uint16_t)n;
  return true;
}

static bool negative(struct span answer)
{
  static const char *const words[] = {"NXDOMAIN", "SERVFAIL", "FORMERR", "NOTIMPL", "REFUSED",
                                      "YXDOMAIN", "YXRRSET",  "NXRRSET", "NOTAUTH", "NOTZONE"};
  static const char unknown[] = "UNKNOWN-ERROR-";
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (answer.len == strlen(words[i]) && memcmp(answer.text, words[i], answer.len) == 0)
      return true;
  return answer.len >= sizeof unknown && memcmp(answer.text, unknown, sizeof unknown - 1) == 0 &&
         answer.text[answer.len - 1] != '.';
}

/* --- lines ----------------------------------------------------------------------------------- */

struct values {
  struct span query, answer, type;
  int64_t seconds, date;
  bool has_seconds;
  bool type_is_number; /* in JSON alone */
  int32_t type_number; /* -1: out of range */
  uint64_t count;
};

#define SHOW(s) (int)((s).len < 60 ? (s).len : 60), (s).text

static enum cof_result read_column(char letter, struct span s, struct values *v,
                                   struct cof_passivedns_line *line, struct cof_error *err)
{
  uint64_t n = 0;
  switch (letter) {
  case 'S':
    v->has_seconds = true;
    if (!read_seconds(s, &v->seconds))
      return cof_fail(err, COF_REJECT, "timestamp: \"%.*s\" is no number of seconds", SHOW(s));
    return COF_OK;
  case 'H':
    if (!read_date(s, &v->date))
      return cof_fail(err, COF_REJECT, "timestamp: \"%.*s\" is no date and time", SHOW(s));
    return COF_OK;
  case 'C':
    if (!read_class(s, &line->rrclass))
      return cof_fail(err, COF_REJECT, "class: \"%.*s\" is none", SHOW(s));
    return COF_OK;
  case 'Q':
    v->query = s;
    return COF_OK;
  case 'T':
    v->type = s;
    return COF_OK;
  case 'A':
    v->answer = s;
    return COF_OK;
  case 't':
    if (!number(s, UINT32_MAX, &n))
      return cof_fail(err, COF_REJECT, "ttl: \"%.*s\" is no number", SHOW(s));
    line->ttl = (uint32_t)n;
    line->has_ttl = true;
    return COF_OK;
  case 'n':
    if (!number(s, COF_COUNT_MAX, &n))
      return cof_fail(err, COF_REJECT, "count: \"%.*s\" is no number", SHOW(s));
    v->count = n != 0 ? n : 1;
    return COF_OK;
  default: /* lengths, addresses, host names: nothing that is kept */
    return COF_OK;
  }
}

static enum cof_result read_columns(const struct cof_passivedns *p, struct span text,
                                    struct values *v, struct cof_passivedns_line *line,
                                    struct cof_error *err)
{
  struct span spans[COLUMNS];
  enum cof_result result = split(p, text, spans, err);
  for (size_t i = 0; i < p->count && result == COF_OK; i++)
    if (spans[i].text != NULL)
      result = read_column(p->letters[i], trim(spans[i]), v, line, err);
  return result;
}

static enum cof_result append(struct cof_passivedns *p, const struct values *v, uint16_t rrtype,
                              struct cof_batch *batch, struct cof_error *err)
{
  struct cof_error why = {.text = ""};
  size_t name_len, rdata_len;
  if (cof_name_canon(v->query.text, v->query.len, p->name, &name_len, &why) != COF_OK)
    return cof_fail(err, COF_REJECT, "query: %s", why.text);
  if (cof_rdata_canon(rrtype, v->answer.text, v->answer.len, p->rdata, sizeof p->rdata, &rdata_len,
                      &why) != COF_OK)
    return cof_fail(err, COF_REJECT, "answer: %s", why.text);
  int64_t time = v->has_seconds ? v->seconds : v->date;
  struct cof_record record = {.rrname = p->name,
                              .rrname_len = (uint16_t)name_len,
                              .rdata = p->rdata,
                              .rdata_len = (uint32_t)rdata_len,
                              .sensor_id = p->sensor,
                              .sensor_len = p->sensor_len,
                              .rrtype = rrtype,
                              .time_first = time,
                              .time_last = time,
                              .count = p->count_lines ? 1 : v->count};
  if (cof_batch_add(batch, &record) == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  return COF_OK;
}

/* --- JSON ------------------------------------------------------------------------------------ */

/* Keys of the sensor's JSON, and the columns that they are. */
static const struct {
  const char *key;
  char letter;
  bool needed;
} keys[] = {{"timestamp", 'H', false}, {"timestamp_s", 'S', false}, {"class", 'C', false},
            {"query", 'Q', true},      {"type", 'T', true},         {"answer", 'A', true},
            {"ttl", 't', false},       {"count", 'n', false}};

static enum cof_result read_value(char letter, const char *key, const struct cof_json *value,
                                  struct values *v, struct cof_passivedns_line *line,
                                  struct cof_error *err)
{
  char digits[32];
  struct span s = {NULL, 0};
  int64_t n;
  s.text = cof_json_text(value, &s.len);
  if (s.text == NULL && cof_json_integer(value, &n)) {
    /* Text is kept for later, so only what is read at once may be a number. */
    if (letter == 'Q' || letter == 'A')
      return cof_fail(err, COF_REJECT, "%s: a number instead of a string", key);
    if (letter == 'T') {
      v->type_number = n >= 0 && n <= UINT16_MAX ? (int32_t)n : -1;
      v->type_is_number = true;
      return COF_OK;
    }
    s.len = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)n);
    s.text = digits;
  }
  if (s.text == NULL)
    return cof_fail(err, COF_REJECT, "%s: neither a string nor a whole number", key);
  return read_column(letter, trim(s), v, line, err);
}

static enum cof_result read_json(const struct cof_json *object, struct values *v,
                                 struct cof_passivedns_line *line, struct cof_error *err)
{
  bool time = false;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const struct cof_json *value = cof_json_get(object, keys[i].key);
    if (value == NULL && keys[i].needed)
      return cof_fail(err, COF_REJECT, "%s: missing", keys[i].key);
    if (value == NULL)
      continue;
    time = time || keys[i].letter == 'H' || keys[i].letter == 'S';
    enum cof_result result = read_value(keys[i].letter, keys[i].key, value, v, line, err);
    if (result != COF_OK)
      return result;
  }
  if (!time)
    return cof_fail(err, COF_REJECT, "timestamp_s: missing, and there is no timestamp");
  return COF_OK;
}

/* --- both forms ------------------------------------------------------------------------------ */

static enum cof_result take_values(struct cof_passivedns *p, const struct values *v,
                                   struct cof_batch *batch, struct cof_passivedns_line *line,
                                   struct cof_error *err)
{
  line->kind = COF_PASSIVEDNS_CLASS;
  if (line->rrclass != 1)
    return COF_OK;
  line->kind = COF_PASSIVEDNS_NEGATIVE;
  if (line->ttl == 0 && negative(v->answer))
    return COF_OK;
  line->kind = COF_PASSIVEDNS_RECORD;
  if (v->type_is_number && v->type_number < 0)
    return cof_fail(err, COF_REJECT, "type: not from 0 to 65535");
  if (v->type_is_number)
    line->rrtype = (uint16_t)v->type_number;
  else if (!cof_rrtype_parse(v->type.text, v->type.len, &line->rrtype))
    return cof_fail(err, COF_REJECT, "type: \"%.*s\" is none", SHOW(v->type));
  return append(p, v, line->rrtype, batch, err);
}

static enum cof_result take_json(struct cof_passivedns *p, struct span text,
                                 struct cof_batch *batch, struct cof_passivedns_line *line,
                                 struct cof_error *err)
{
  struct values v = {.count = 1};
  struct cof_json *object = cof_json_parse(text.text, text.len, err);
  if (object == NULL)
    return COF_REJECT;
  enum cof_result result = read_json(object, &v, line, err);
  if (result == COF_OK)
    result = take_values(p, &v, batch, line, err);
  cof_json_free(&object);
  return result;
}

enum cof_result cof_passivedns_read(struct cof_passivedns *p, const char *text, size_t len,
                                    struct cof_batch *batch, struct cof_passivedns_line *line,
                                    struct cof_error *err)
{
  struct span whole = trim((struct span){text, len});
  struct values v = {.count = 1};
  *line = (struct cof_passivedns_line){
      .struct_size = line->struct_size, .kind = COF_PASSIVEDNS_BLANK, .rrclass = 1};
  if (whole.len == 0 || whole.text[0] == '#')
    return COF_OK;
  if (whole.text[0] == '{')
    return take_json(p, whole, batch, line, err);
  enum cof_result result = read_columns(p, whole, &v, line, err);
  return result == COF_OK ? take_values(p, &v, batch, line, err) : result;
}
