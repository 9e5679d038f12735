/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include "zeek_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cofd/dns.h>
#include <cofd/json.h>
#include <cofd/observe.h>

#define PORT_NETBIOS 137
#define PORT_MDNS    5353
/* Most octets of a name as it is logged: each octet of 255 as \xHH. */
#define LOGGED_NAME_MAX 1024
/* Most octets of an answer: beyond that its data cannot be within COF_RDATA_MAX. */
#define ANSWER_MAX ((size_t)4 * COF_RDATA_MAX)

struct span {
  const char *text;
  size_t len;
};

/* A line while its answers are taken. */
struct event {
  struct cof_batch *batch;
  struct zeek_line *line;
  struct cof_error *err;
  struct cof_observation base; /* time, sensor */
  char owner[COF_LOGGED_BOUND(LOGGED_NAME_MAX)];
  size_t owner_len;
  uint16_t qtype;
  bool undecided; /* of a type whose answers tell neither owner nor type */
  char *scratch;  /* room for the line's longest answer */
  bool fatal;
};

static const char *const names[ZEEK_USED] = {
    [ZEEK_TS] = "ts",         [ZEEK_QUERY] = "query",
    [ZEEK_QCLASS] = "qclass", [ZEEK_QTYPE_NAME] = "qtype_name",
    [ZEEK_QTYPE] = "qtype",   [ZEEK_ANSWERS] = "answers",
    [ZEEK_TTLS] = "TTLs",     [ZEEK_RESP_P] = "id.resp_p"};

static bool span_is(struct span s, const char *text)
{
  return s.len == strlen(text) && memcmp(s.text, text, s.len) == 0;
}

static bool span_begins(struct span s, const char *text)
{
  size_t len = strlen(text);
  return s.len >= len && memcmp(s.text, text, len) == 0;
}

static void refuse(struct event *e, const char *what)
{
  if (e->line->refused++ == 0)
    cof_fail(e->err, COF_REJECT, "%s", what);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void add(struct event *e, uint16_t rrtype, const char *rdata, size_t rdata_len, double ttl)
{
  struct cof_observation o = e->base;
  struct cof_error why = {.text = ""};
  o.rrname = e->owner;
  o.rrname_len = e->owner_len;
  o.rdata = rdata;
  o.rdata_len = rdata_len;
  o.rrtype = rrtype;
  /* Above that, a TTL is nonsense (RFC 2181 section 8). */
  o.has_ttl = ttl >= 0 && ttl <= INT32_MAX;
  o.ttl = o.has_ttl ? (uint32_t)ttl : 0;
  switch (cof_batch_observe(e->batch, &o, &why)) {
  case COF_OK:
    return;
  case COF_FATAL:
    e->fatal = true;
    return;
  default:
    refuse(e, why.text);
  }
}

static bool set_owner(struct event *e, struct span name)
{
  if (name.len == 0 || name.len > LOGGED_NAME_MAX)
    return false;
  e->owner_len = cof_logged_name(name.text, name.len, e->owner);
  return true;
}

static void add_name(struct event *e, uint16_t rrtype, struct span name, double ttl)
{
  if (name.len > LOGGED_NAME_MAX)
    refuse(e, "rdata: a name of over 1024 octets");
  else
    add(e, rrtype, e->scratch, cof_logged_name(name.text, name.len, e->scratch), ttl);
}

/* What the question's name is an alias of has the answers that follow. */
static void add_alias(struct event *e, struct span name, double ttl)
{
  add_name(e, COF_TYPE_CNAME, name, ttl);
  (void)set_owner(e, name);
}

static bool is_address(struct span answer, uint16_t *rrtype)
{
  struct cof_addr addr;
  if (!cof_addr_parse(answer.text, answer.len, &addr))
    return false;
  *rrtype = addr.family == 4 ? COF_TYPE_A : COF_TYPE_AAAA;
  return true;
}

/* Octets of one or several "TXT 23 v=spf1 -all", as the log has them: an octet may be four. */
static bool take_string(struct span *s, const char *word, struct span *out)
{
  size_t wanted = 0, digits = 0, at = strlen(word);
  if (!span_begins(*s, word))
    return false;
  for (; at < s->len && s->text[at] >= '0' && s->text[at] <= '9' && digits < 5; at++, digits++)
    wanted = wanted * 10 + (size_t)(s->text[at] - '0');
  if (digits == 0 || at == s->len || s->text[at] != ' ')
    return false;
  out->text = s->text + ++at;
  for (; wanted > 0 && at < s->len; wanted--) {
    size_t left = s->len - at;
    bool hex = left >= 4 && s->text[at] == '\\' && s->text[at + 1] == 'x';
    at += hex ? 4 : left >= 2 && s->text[at] == '\\' && s->text[at + 1] == '\\' ? 2 : 1;
  }
  out->len = (size_t)(s->text + at - out->text);
  s->text += at;
  s->len -= at;
  return wanted == 0;
}

static void add_text(struct event *e, uint16_t rrtype, struct span answer, double ttl)
{
  const char *word = span_begins(answer, "SPF ") ? "SPF " : "TXT ";
  char *to = e->scratch;
  struct span s = answer, one;
  while (s.len > 0) {
    if (!take_string(&s, word, &one)) {
      refuse(e, "answers: a text that is not of the form TXT LENGTH TEXT");
      return;
    }
    if (to != e->scratch)
      *to++ = ' ';
    to += cof_logged_text(one.text, one.len, to);
    if (s.len > 0 && s.text[0] == ' ') {
      s.text++;
      s.len--;
    }
  }
  add(e, rrtype, e->scratch, (size_t)(to - e->scratch), ttl);
}

static bool is_text_type(uint16_t rrtype)
{
  return rrtype == COF_TYPE_TXT || rrtype == COF_TYPE_SPF;
}

/* Types of which Zeek logs a name and nothing else. */
static bool is_name_type(uint16_t rrtype)
{
  switch (rrtype) {
  case COF_TYPE_NS:
  case COF_TYPE_CNAME:
  case COF_TYPE_SOA:
  case COF_TYPE_PTR:
  case COF_TYPE_MX:
  case COF_TYPE_SRV:
  case COF_TYPE_DNAME:
    return true;
  default:
    return false;
  }
}

static bool is_address_type(uint16_t rrtype)
{
  return rrtype == COF_TYPE_A || rrtype == COF_TYPE_AAAA;
}

/* One answer. Texts apart, what has a blank in it is a summary of what Zeek does not log. */
static void add_answer(struct event *e, struct span answer, double ttl)
{
  uint16_t rrtype;
  bool text = span_begins(answer, "TXT ") || span_begins(answer, "SPF ");
  if (answer.len == 0 || memchr(answer.text, '\0', answer.len) != NULL || span_is(answer, "-") ||
      span_is(answer, "(empty)"))
    e->line->summaries++;
  else if (answer.len > ANSWER_MAX)
    refuse(e, "answers: one of over 262140 octets");
  else if (text && is_text_type(e->qtype))
    add_text(e, e->qtype, answer, ttl);
  else if (memchr(answer.text, ' ', answer.len) != NULL || answer.text[0] == '<')
    e->line->summaries++;
  else if (e->undecided)
    e->line->undecided++;
  else if (is_name_type(e->qtype))
    add_name(e, e->qtype, answer, ttl);
  else if (is_address_type(e->qtype) && is_address(answer, &rrtype))
    add(e, rrtype, answer.text, answer.len, ttl);
  else if (is_address(answer, &rrtype))
    e->line->undecided++;
  else
    add_alias(e, answer, ttl);
}

/*
 * Before the answers: names and addresses as answers of one question show neither owner nor type,
 * nor does anything of a type that is logged as a summary at best.
 */
static void look_at(struct event *e, struct span answer)
{
  uint16_t rrtype;
  if (is_name_type(e->qtype))
    e->undecided = e->undecided || is_address(answer, &rrtype);
  else if (!is_address_type(e->qtype) && !is_text_type(e->qtype))
    e->undecided = true;
}

/* --- what a line says as a whole -------------------------------------------------------------- */

/* Names of NetBIOS, and of types that Zeek does not know. */
static bool read_type(struct span name, struct span number, uint16_t *rrtype)
{
  if (name.text != NULL && cof_rrtype_parse(name.text, name.len, rrtype))
    return true;
  return number.text != NULL && cof_rrtype_parse(number.text, number.len, rrtype);
}

static bool is_port(struct span s, unsigned port)
{
  unsigned n = 0;
  for (size_t i = 0; i < s.len && i < 6; i++)
    n = n * 10 + (unsigned)(unsigned char)s.text[i] - '0';
  return s.text != NULL && n == port;
}

/* Values that are not there have no text. @return whether the answers are to be taken */
static enum cof_result begin_event(struct event *e, const struct span v[ZEEK_USED], bool *go)
{
  *go = false;
  e->line->kind = ZEEK_LINE_OTHER;
  if (is_port(v[ZEEK_RESP_P], PORT_NETBIOS) || is_port(v[ZEEK_RESP_P], PORT_MDNS) ||
      (v[ZEEK_QCLASS].text != NULL && !span_is(v[ZEEK_QCLASS], "1")) ||
      (v[ZEEK_QTYPE_NAME].text != NULL &&
       (span_is(v[ZEEK_QTYPE_NAME], "NBSTAT") || span_begins(v[ZEEK_QTYPE_NAME], "query-"))))
    return COF_OK;
  e->line->kind = ZEEK_LINE_EMPTY;
  if (v[ZEEK_QUERY].text == NULL || v[ZEEK_QUERY].len == 0 ||
      memchr(v[ZEEK_QUERY].text, '\0', v[ZEEK_QUERY].len) != NULL)
    return COF_OK;
  if (!set_owner(e, v[ZEEK_QUERY]))
    return cof_fail(e->err, COF_REJECT, "query: over %d octets", LOGGED_NAME_MAX);
  if (v[ZEEK_TS].text == NULL || !cof_time_parse(v[ZEEK_TS].text, v[ZEEK_TS].len, &e->base.time))
    return cof_fail(e->err, COF_REJECT, "ts: missing, or neither seconds nor a time of RFC 3339");
  if (!read_type(v[ZEEK_QTYPE_NAME], v[ZEEK_QTYPE], &e->qtype)) {
    e->line->kind = ZEEK_LINE_OTHER;
    return COF_OK;
  }
  *go = true;
  return COF_OK;
}

static enum cof_result end_event(struct event *e)
{
  if (e->fatal)
    return cof_fail(e->err, COF_FATAL, "out of memory");
  return e->line->refused != 0 ? COF_REJECT : COF_OK;
}

/* --- TSV header ------------------------------------------------------------------------------- */

static bool next_part(struct span *rest, struct span separator, struct span *part)
{
  if (rest->text == NULL)
    return false;
  const char *at = memmem(rest->text, rest->len, separator.text, separator.len);
  *part = *rest;
  if (at == NULL) {
    *rest = (struct span){NULL, 0};
    return true;
  }
  part->len = (size_t)(at - rest->text);
  rest->text = at + separator.len;
  rest->len -= part->len + separator.len;
  return true;
}

static struct span span_of(const struct zeek_word *word)
{
  return (struct span){word->text, word->len};
}

/* A word of the header; `\xHH` is an octet. @return false when it is empty or too long */
static bool set_word(struct zeek_word *word, struct span s, size_t least)
{
  struct zeek_word fresh = {.len = 0};
  for (size_t i = 0; i < s.len;) {
    char hex[3] = {0};
    bool escape = s.len - i >= 4 && s.text[i] == '\\' && s.text[i + 1] == 'x';
    if (fresh.len == sizeof fresh.text)
      return false;
    if (escape)
      memcpy(hex, s.text + i + 2, 2);
    fresh.text[fresh.len++] = escape ? (char)strtoul(hex, NULL, 16) : s.text[i];
    i += escape ? 4 : 1;
  }
  if (fresh.len < least)
    return false;
  *word = fresh;
  return true;
}

static void set_default(struct zeek_word *word, const char *text)
{
  word->len = strlen(text);
  memcpy(word->text, text, word->len);
}

void zeek_header_begin(struct zeek_header *h)
{
  *h = (struct zeek_header){.columns = 0};
  set_default(&h->separator, "\t");
  set_default(&h->set_separator, ",");
  set_default(&h->empty, "(empty)");
  set_default(&h->unset, "-");
  for (size_t i = 0; i < ZEEK_USED; i++)
    h->at[i] = -1;
}

static enum cof_result set_fields(struct zeek_header *h, struct span rest, struct cof_error *err)
{
  struct span part;
  int column = 0;
  for (size_t i = 0; i < ZEEK_USED; i++)
    h->at[i] = -1;
  h->columns = 0;
  for (; next_part(&rest, span_of(&h->separator), &part); column++) {
    if (column == ZEEK_COLUMNS_MAX)
      return cof_fail(err, COF_REJECT, "#fields: over %d columns", ZEEK_COLUMNS_MAX);
    for (size_t i = 0; i < ZEEK_USED; i++)
      if (span_is(part, names[i]))
        h->at[i] = column;
  }
  static const enum zeek_column needed[] = {ZEEK_TS, ZEEK_QUERY, ZEEK_ANSWERS};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    if (h->at[needed[i]] < 0)
      return cof_fail(err, COF_REJECT, "#fields: no column %s; is this a dns.log?",
                      names[needed[i]]);
  if (h->at[ZEEK_QTYPE_NAME] < 0 && h->at[ZEEK_QTYPE] < 0)
    return cof_fail(err, COF_REJECT, "#fields: neither a column qtype_name nor qtype");
  h->columns = (size_t)column;
  return COF_OK;
}

/* The separator itself stands behind a blank, all else behind the separator. */
static enum cof_result read_header(struct zeek_header *h, struct span text, struct zeek_line *line,
                                   struct cof_error *err)
{
  static const char key_separator[] = "#separator ";
  struct span rest = text, key, value = {NULL, 0};
  line->kind = ZEEK_LINE_HEADER;
  line->context = !span_begins(text, "#close");
  if (span_begins(text, key_separator)) {
    /* A new header: what an earlier one said no longer holds. */
    zeek_header_begin(h);
    value =
        (struct span){text.text + sizeof key_separator - 1, text.len - (sizeof key_separator - 1)};
    return set_word(&h->separator, value, 1)
               ? COF_OK
               : cof_fail(err, COF_REJECT, "#separator: not 1 to %d octets", ZEEK_WORD_MAX);
  }
  (void)next_part(&rest, span_of(&h->separator), &key);
  bool done = true;
  if (span_is(key, "#fields"))
    return set_fields(h, rest, err);
  if (span_is(key, "#set_separator"))
    done = set_word(&h->set_separator, rest, 1);
  else if (span_is(key, "#empty_field"))
    done = set_word(&h->empty, rest, 0);
  else if (span_is(key, "#unset_field"))
    done = set_word(&h->unset, rest, 0);
  return done ? COF_OK
              : cof_fail(err, COF_REJECT, "%.*s: not 1 to %d octets", (int)key.len, key.text,
                         ZEEK_WORD_MAX);
}

/* --- TSV lines -------------------------------------------------------------------------------- */

static double number_of(struct span s)
{
  char text[40], *end;
  if (s.text == NULL || s.len == 0 || s.len >= sizeof text)
    return -1;
  memcpy(text, s.text, s.len);
  text[s.len] = '\0';
  double value = strtod(text, &end);
  return *end == '\0' ? value : -1;
}

static enum cof_result split_line(const struct zeek_header *h, struct span text,
                                  struct span v[ZEEK_USED], struct cof_error *err)
{
  struct span rest = text, part;
  size_t column = 0;
  for (; next_part(&rest, span_of(&h->separator), &part); column++)
    for (size_t i = 0; i < ZEEK_USED; i++)
      if (h->at[i] == (int)column && !span_is(part, "") &&
          !(part.len == h->unset.len && memcmp(part.text, h->unset.text, part.len) == 0) &&
          !(part.len == h->empty.len && memcmp(part.text, h->empty.text, part.len) == 0))
        v[i] = part;
  if (column != h->columns)
    return cof_fail(err, COF_REJECT, "%zu columns instead of the %zu that #fields names", column,
                    h->columns);
  return COF_OK;
}

static void add_vector(struct event *e, const struct zeek_header *h, const struct span *v)
{
  struct span rest = v[ZEEK_ANSWERS], ttls = v[ZEEK_TTLS], answer, ttl;
  while (next_part(&rest, span_of(&h->set_separator), &answer))
    look_at(e, answer);
  rest = v[ZEEK_ANSWERS];
  while (!e->fatal && next_part(&rest, span_of(&h->set_separator), &answer)) {
    bool has_ttl = next_part(&ttls, span_of(&h->set_separator), &ttl);
    add_answer(e, answer, has_ttl ? number_of(ttl) : -1);
  }
}

static enum cof_result read_tsv(struct event *e, const struct zeek_header *h, struct span text)
{
  struct span v[ZEEK_USED] = {{NULL, 0}};
  bool go = false;
  if (h->columns == 0)
    return cof_fail(e->err, COF_REJECT, "no #fields line of a dns.log comes before this one");
  enum cof_result result = split_line(h, text, v, e->err);
  if (result == COF_OK)
    result = begin_event(e, v, &go);
  if (result != COF_OK || !go || v[ZEEK_ANSWERS].text == NULL)
    return result;
  e->line->kind = ZEEK_LINE_ANSWERS;
  add_vector(e, h, v);
  return end_event(e);
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* A value as text; numbers are written to `digits`. */
static struct span value_of(const struct cof_json *value, char digits[40])
{
  struct span s = {NULL, 0};
  double number;
  s.text = cof_json_text(value, &s.len);
  if (s.text != NULL || !cof_json_number(value, &number) || number < 0 || number > 1e15)
    return s;
  uint64_t n = (uint64_t)number;
  char *to = digits + 40;
  do
    *--to = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  return (struct span){to, (size_t)(digits + 40 - to)};
}

static void add_array(struct event *e, const struct cof_json *answers, const struct cof_json *ttls)
{
  struct span s;
  double ttl;
  for (size_t i = 0; i < cof_json_count(answers); i++)
    if ((s.text = cof_json_text(cof_json_at(answers, i), &s.len)) != NULL)
      look_at(e, s);
  for (size_t i = 0; i < cof_json_count(answers) && !e->fatal; i++) {
    s.text = cof_json_text(cof_json_at(answers, i), &s.len);
    if (s.text == NULL)
      refuse(e, "answers: not an array of strings");
    else
      add_answer(e, s, cof_json_number(cof_json_at(ttls, i), &ttl) ? ttl : -1);
  }
}

static enum cof_result read_object(struct event *e, const struct cof_json *object)
{
  struct span v[ZEEK_USED] = {{NULL, 0}};
  char digits[ZEEK_USED][40];
  bool go;
  for (size_t i = 0; i < ZEEK_USED; i++)
    v[i] = value_of(cof_json_get(object, names[i]), digits[i]);
  const struct cof_json *answers = cof_json_get(object, names[ZEEK_ANSWERS]);
  enum cof_result result = begin_event(e, v, &go);
  if (result != COF_OK || !go || cof_json_count(answers) == 0)
    return result;
  e->line->kind = ZEEK_LINE_ANSWERS;
  add_array(e, answers, cof_json_get(object, names[ZEEK_TTLS]));
  return end_event(e);
}

/* --- lines ------------------------------------------------------------------------------------ */

static enum cof_result read_data(struct event *e, const struct zeek_header *h, struct span text,
                                 bool whole)
{
  if (text.text[0] == '{') {
    struct cof_json *object = cof_json_parse(text.text, text.len, e->err);
    if (object == NULL)
      return COF_REJECT;
    enum cof_result result = read_object(e, object);
    cof_json_free(&object);
    return result;
  }
  /* A name that lost its end would be another name. */
  if (!whole)
    return cof_fail(e->err, COF_REJECT, "no line end: it may have been cut off");
  return read_tsv(e, h, text);
}

enum cof_result zeek_read(const char *sensor_id, struct zeek_header *header, const char *text,
                          size_t len, bool whole, struct cof_batch *batch, struct zeek_line *line,
                          struct cof_error *err)
{
  struct event e = {.batch = batch, .line = line, .err = err};
  size_t before = cof_batch_count(batch);
  if (len > 0 && text[len - 1] == '\r')
    len--;
  *line = (struct zeek_line){.kind = ZEEK_LINE_BLANK};
  if (len == 0)
    return COF_OK;
  if (text[0] == '#')
    return read_header(header, (struct span){text, len}, line, err);
  e.base = (struct cof_observation){.struct_size = sizeof e.base, .sensor_id = sensor_id};
  e.scratch = malloc(2 * COF_LOGGED_BOUND(len < ANSWER_MAX ? len : ANSWER_MAX));
  if (e.scratch == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  enum cof_result result = read_data(&e, header, (struct span){text, len}, whole);
  free(e.scratch);
  if (result == COF_FATAL)
    cof_batch_truncate(batch, before);
  return result;
}
