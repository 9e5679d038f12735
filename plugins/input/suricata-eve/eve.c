/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include "eve_private.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cofd/dns.h>
#include <cofd/json.h>
#include <cofd/observe.h>

#define TYPE_SSHFP 44
/* Room beside what the texts of a line take, for numbers and what stands between fields. */
#define SCRATCH_MORE 512
/* Most octets of a text: beyond that the data cannot be within COF_RDATA_MAX. */
#define TEXT_MAX ((size_t)4 * COF_RDATA_MAX)

/* An event while its answers are taken. */
struct event {
  struct cof_batch *batch;
  struct eve_line *line;
  struct cof_error *err;
  struct cof_observation base;        /* time, sensor */
  char owner[COF_LOGGED_BOUND(1024)]; /* of grouped answers */
  size_t owner_len;
  char *scratch; /* room for all texts of the line */
  const char *scratch_end;
  bool fatal;
};

static const char *text_of(const struct cof_json *object, const char *key, size_t *len)
{
  return cof_json_text(cof_json_get(object, key), len);
}

static bool text_is(const struct cof_json *object, const char *key, const char *want)
{
  size_t len;
  const char *text = text_of(object, key, &len);
  return text != NULL && len == strlen(want) && strcasecmp(text, want) == 0;
}

/* --- data ------------------------------------------------------------------------------------- */

enum data { DATA_THERE, DATA_NONE, DATA_LONG };

static enum data put_name(char **to, const char *end, const char *text, size_t len)
{
  if (COF_LOGGED_BOUND(len) > (size_t)(end - *to))
    return DATA_LONG;
  *to += cof_logged_name(text, len, *to);
  return DATA_THERE;
}

/* One field of a structured rdata: a name, or a number. */
static enum data put_field(char **to, const char *end, const struct cof_json *value)
{
  size_t len;
  int64_t number;
  const char *text = cof_json_text(value, &len);
  if (text != NULL)
    return put_name(to, end, text, len);
  if (!cof_json_integer(value, &number))
    return DATA_NONE;
  if (end - *to < 32)
    return DATA_LONG;
  *to += snprintf(*to, 32, "%" PRId64, number);
  return DATA_THERE;
}

/* The fields of the types that are logged as objects, with the other names that they go by. */
struct form {
  uint16_t rrtype;
  const char *key; /* of the object, where it stands beside rdata */
  const char *fields[7][3];
};

static const struct form forms[] = {
    {COF_TYPE_SOA,
     "soa",
     {{"mname"}, {"rname"}, {"serial"}, {"refresh"}, {"retry"}, {"expire"}, {"minimum"}}},
    {COF_TYPE_SRV, "srv", {{"priority"}, {"weight"}, {"port"}, {"name", "target"}}},
    {COF_TYPE_MX, "mx", {{"preference", "priority"}, {"exchange", "name", "mname"}}},
    {TYPE_SSHFP, "sshfp", {{"algo", "algorithm"}, {"type", "fp_type"}, {"fingerprint"}}},
};

static const struct form *form_of(uint16_t rrtype)
{
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    if (forms[i].rrtype == rrtype)
      return &forms[i];
  return NULL;
}

static const struct cof_json *any_of(const struct cof_json *object, const char *const names[3])
{
  const struct cof_json *value = NULL;
  for (size_t i = 0; i < 3 && names[i] != NULL && value == NULL; i++)
    value = cof_json_get(object, names[i]);
  return value;
}

static enum data put_object(struct event *e, const struct form *form, const struct cof_json *object,
                            size_t *len)
{
  char *to = e->scratch;
  const char *end = e->scratch_end;
  for (size_t i = 0; i < 7 && form->fields[i][0] != NULL; i++) {
    if (i > 0)
      *to++ = ' '; /* each field leaves room for it, as an octet of a bound is for the NUL */
    enum data found = put_field(&to, end - 1, any_of(object, form->fields[i]));
    if (found != DATA_THERE)
      return found;
  }
  /* Fingerprints come with colons between octets. */
  char *write = e->scratch;
  for (const char *read = e->scratch; read < to; read++)
    if (form->rrtype != TYPE_SSHFP || *read != ':')
      *write++ = *read;
  *len = (size_t)(write - e->scratch);
  return DATA_THERE;
}

static bool is_text_type(uint16_t rrtype)
{
  return rrtype == COF_TYPE_TXT || rrtype == COF_TYPE_SPF;
}

/* Types whose rdata is a name; of some, sensors log only that, and perhaps all fields. */
static bool is_name(uint16_t rrtype, bool blank)
{
  switch (rrtype) {
  case COF_TYPE_NS:
  case COF_TYPE_CNAME:
  case COF_TYPE_PTR:
  case COF_TYPE_DNAME:
    return true;
  case COF_TYPE_MX:
  case COF_TYPE_SRV:
  case COF_TYPE_SOA:
    return !blank;
  default:
    return false;
  }
}

/* A text that is quoted already is taken as it is. The scratch memory is large enough. */
static size_t put_text(struct event *e, uint16_t rrtype, const char *text, size_t len)
{
  bool quoted = len >= 2 && text[0] == '"' && text[len - 1] == '"';
  if (is_text_type(rrtype) && !quoted)
    return cof_logged_text(text, len, e->scratch);
  if (is_name(rrtype, memchr(text, ' ', len) != NULL))
    return cof_logged_name(text, len, e->scratch);
  memcpy(e->scratch, text, len);
  return len;
}

/* Presentation text of an answer's data, in e->scratch. */
static enum data put_rdata(struct event *e, uint16_t rrtype, const struct cof_json *rdata,
                           size_t *len)
{
  const struct form *form = form_of(rrtype);
  size_t text_len = 0;
  const char *text = cof_json_text(rdata, &text_len);
  if (text_len > TEXT_MAX)
    return DATA_LONG;
  if (text != NULL && text_len != 0) {
    *len = put_text(e, rrtype, text, text_len);
    return DATA_THERE;
  }
  if (form != NULL && cof_json_kind(rdata) == COF_JSON_OBJECT)
    return put_object(e, form, rdata, len);
  return DATA_NONE;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void refuse(struct event *e, const char *what)
{
  if (e->line->refused++ == 0)
    cof_fail(e->err, COF_REJECT, "%s", what);
}

static void add(struct event *e, const char *owner, size_t owner_len, uint16_t rrtype,
                const struct cof_json *rdata, const struct cof_json *ttl)
{
  struct cof_observation o = e->base;
  struct cof_error why = {.text = ""};
  int64_t seconds;
  switch (put_rdata(e, rrtype, rdata, &o.rdata_len)) {
  case DATA_NONE:
    e->line->no_rdata++;
    return;
  case DATA_LONG:
    refuse(e, "rdata: too long");
    return;
  case DATA_THERE:
    break;
  }
  o.rdata = e->scratch;
  o.rrname = owner;
  o.rrname_len = owner_len;
  o.rrtype = rrtype;
  o.has_ttl = cof_json_integer(ttl, &seconds) && seconds >= 0 && seconds <= UINT32_MAX;
  o.ttl = o.has_ttl ? (uint32_t)seconds : 0;
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

static bool read_type(struct event *e, const char *text, size_t len, uint16_t *rrtype)
{
  if (text != NULL && cof_rrtype_parse(text, len, rrtype))
    return true;
  refuse(e, "rrtype: missing, or no known type");
  return false;
}

/* An object with rrname, rrtype, and rdata or an object by the type's name. */
static void add_answer(struct event *e, const struct cof_json *answer)
{
  char owner[sizeof e->owner];
  size_t name_len, type_len = 0;
  uint16_t rrtype;
  const char *name = text_of(answer, "rrname", &name_len);
  const char *type = text_of(answer, "rrtype", &type_len);
  if (name == NULL || COF_LOGGED_BOUND(name_len) > sizeof owner) {
    refuse(e, name == NULL ? "rrname: missing" : "rrname: over 1024 octets");
    return;
  }
  if (!read_type(e, type, type_len, &rrtype))
    return;
  const struct form *form = form_of(rrtype);
  const struct cof_json *rdata = cof_json_get(answer, "rdata");
  if (form != NULL && cof_json_kind(rdata) <= COF_JSON_NULL)
    rdata = cof_json_get(answer, form->key);
  /* The root is logged as an empty name. */
  size_t owner_len =
      name_len == 0 ? cof_logged_name(".", 1, owner) : cof_logged_name(name, name_len, owner);
  add(e, owner, owner_len, rrtype, rdata, cof_json_get(answer, "ttl"));
}

/* --- grouped answers -------------------------------------------------------------------------- */

static bool set_owner(struct event *e, const struct cof_json *name)
{
  size_t len;
  const char *text = cof_json_text(name, &len);
  if (text == NULL || len == 0 || COF_LOGGED_BOUND(len) > sizeof e->owner)
    return false;
  e->owner_len = cof_logged_name(text, len, e->owner);
  return true;
}

/* Each CNAME belongs to the one before it, and what is no CNAME to the last. */
static void add_chain(struct event *e, const struct cof_json *names)
{
  for (size_t i = 0; i < cof_json_count(names) && !e->fatal; i++) {
    add(e, e->owner, e->owner_len, COF_TYPE_CNAME, cof_json_at(names, i), NULL);
    (void)set_owner(e, cof_json_at(names, i));
  }
}

static bool add_group(void *arg, const char *key, const struct cof_json *values)
{
  struct event *e = arg;
  uint16_t rrtype;
  if (!read_type(e, key, strlen(key), &rrtype) || rrtype == COF_TYPE_CNAME)
    return true;
  for (size_t i = 0; i < cof_json_count(values) && !e->fatal; i++)
    add(e, e->owner, e->owner_len, rrtype, cof_json_at(values, i), NULL);
  return !e->fatal;
}

static bool count_group(void *arg, const char *key, const struct cof_json *values)
{
  struct event *e = arg;
  (void)key;
  e->line->no_owner += cof_json_count(values);
  return true;
}

static void add_grouped(struct event *e, const struct cof_json *dns, const struct cof_json *grouped)
{
  const struct cof_json *question = cof_json_at(cof_json_get(dns, "queries"), 0);
  if (!set_owner(e, cof_json_get(dns, "rrname")) &&
      !set_owner(e, cof_json_get(question, "rrname"))) {
    (void)cof_json_each(grouped, count_group, e);
    return;
  }
  add_chain(e, cof_json_get(grouped, "CNAME"));
  if (!e->fatal)
    (void)cof_json_each(grouped, add_group, e);
}

/* --- events ----------------------------------------------------------------------------------- */

static void add_answers(struct event *e, const struct cof_json *dns)
{
  const struct cof_json *answers = cof_json_get(dns, "answers");
  const struct cof_json *grouped = cof_json_get(dns, "grouped");
  e->line->kind = EVE_ANSWERS;
  if (cof_json_count(answers) != 0)
    for (size_t i = 0; i < cof_json_count(answers) && !e->fatal; i++)
      add_answer(e, cof_json_at(answers, i));
  else if (cof_json_count(grouped) != 0)
    add_grouped(e, dns, grouped);
  else if (cof_json_kind(cof_json_get(dns, "rdata")) > COF_JSON_NULL)
    add_answer(e, dns);
  else
    e->line->kind = text_is(dns, "rcode", "NOERROR") ? EVE_EMPTY : EVE_FAILED;
}

static enum cof_result read_event(struct event *e, const struct cof_json *object)
{
  const struct cof_json *dns = cof_json_get(object, "dns");
  size_t len = 0, host_len = 0;
  e->line->kind = EVE_OTHER;
  if (!text_is(object, "event_type", "dns"))
    return COF_OK;
  e->line->kind = EVE_QUERY;
  if (text_is(dns, "type", "query") || text_is(dns, "type", "request"))
    return COF_OK;
  if (!text_is(dns, "type", "answer") && !text_is(dns, "type", "response"))
    return cof_fail(e->err, COF_REJECT,
                    "dns.type: none of answer, response, query and request, or missing");
  const char *time = text_of(object, "timestamp", &len);
  if (time == NULL || !cof_time_parse(time, len, &e->base.time))
    return cof_fail(e->err, COF_REJECT, "timestamp: missing, or no time of RFC 3339");
  const char *host = text_of(object, "host", &host_len);
  if (e->base.sensor_id == NULL && host != NULL && host_len <= COF_SENSOR_MAX &&
      strlen(host) == host_len)
    e->base.sensor_id = host;
  add_answers(e, dns);
  if (e->fatal)
    return cof_fail(e->err, COF_FATAL, "out of memory");
  return e->line->refused != 0 ? COF_REJECT : COF_OK;
}

static bool is_blank(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
      return false;
  return true;
}

static enum cof_result read_json(struct event *e, const char *text, size_t len)
{
  struct cof_json *object = cof_json_parse(text, len, e->err);
  if (object == NULL)
    return COF_REJECT;
  enum cof_result result = COF_FATAL;
  size_t room = COF_LOGGED_BOUND(len < TEXT_MAX ? len : TEXT_MAX) + SCRATCH_MORE;
  e->scratch = malloc(room);
  if (e->scratch != NULL) {
    e->scratch_end = e->scratch + room;
    result = read_event(e, object);
  } else {
    cof_fail(e->err, COF_FATAL, "out of memory");
  }
  free(e->scratch);
  cof_json_free(&object);
  return result;
}

enum cof_result eve_read(const char *sensor_id, const char *text, size_t len,
                         struct cof_batch *batch, struct eve_line *line, struct cof_error *err)
{
  static const char needle[] = "\"dns\"";
  struct event e = {.batch = batch, .line = line, .err = err};
  size_t before = cof_batch_count(batch);
  *line = (struct eve_line){.kind = EVE_BLANK};
  if (is_blank(text, len))
    return COF_OK;
  line->kind = EVE_OTHER;
  /* Most lines of a log are of other events, and need no parsing to be told. */
  if (memmem(text, len, needle, sizeof needle - 1) == NULL && text[len - 1] == '}')
    return COF_OK;
  e.base = (struct cof_observation){.struct_size = sizeof e.base, .sensor_id = sensor_id};
  enum cof_result result = read_json(&e, text, len);
  if (result == COF_FATAL)
    cof_batch_truncate(batch, before);
  return result;
}
