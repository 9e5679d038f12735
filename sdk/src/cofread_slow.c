/* SPDX-License-Identifier: MIT */
#include "cofread_private.h"

#include <jansson.h>
#include <stdlib.h>

/* Octets that are not UTF-8 pass through jansson as characters that have no other use, the last
   128 of Unicode: U+10FF80 to U+10FFFF stand for 0x80 to 0xff. */
#define STANDIN_LEN 4

struct slow {
  struct cof_reader *reader;
  bool standins; /* the text has stand-ins instead of octets beyond ASCII */
  bool no_room;
};

static char *put_standins(const char *text, size_t len, size_t *out_len)
{
  if (len > SIZE_MAX / STANDIN_LEN)
    return NULL;
  char *copy = malloc(len * STANDIN_LEN);
  if (copy == NULL)
    return NULL;
  char *p = copy;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < 0x80) {
      *p++ = text[i];
      continue;
    }
    *p++ = (char)0xf4;
    *p++ = (char)0x8f;
    *p++ = (char)(0xbc | c >> 6);
    *p++ = (char)(0x80 | (c & 0x3f));
  }
  *out_len = (size_t)(p - copy);
  return copy;
}

/* Put the octets back, into the reader's memory: they are fewer than the text that stood in. */
static void restore(struct slow *s, struct cofread_value *v)
{
  struct cofread_buffer *texts = &s->reader->texts;
  char *start = (char *)texts->bytes + texts->used, *out = start;
  const char *p = v->text, *end = p + v->len;
  while (p < end) {
    if (end - p >= STANDIN_LEN && memcmp(p, "\xf4\x8f", 2) == 0 &&
        ((unsigned char)p[2] >> 1) == 0x5f) {
      *out++ = (char)(((unsigned char)p[2] & 3) << 6 | ((unsigned char)p[3] & 0x3f));
      p += STANDIN_LEN;
    } else {
      *out++ = *p++;
    }
  }
  v->text = start;
  v->len = (size_t)(out - start);
  texts->used += v->len;
}

static struct cofread_value of_real(double real)
{
  struct cofread_value v = {.kind = COFREAD_FRACTION};
  /* 2^63, the first double that does not fit. */
  if (real >= 9223372036854775808.0)
    v.integer = INT64_MAX;
  else if (real <= -9223372036854775808.0)
    v.integer = INT64_MIN;
  else
    v.integer = (int64_t)real;
  if ((double)v.integer >= real && (double)v.integer <= real)
    v.kind = COFREAD_INTEGER;
  return v;
}

static struct cofread_value value_of(struct slow *s, const json_t *json)
{
  struct cofread_value v = {.kind = COFREAD_OTHER};
  switch (json_typeof(json)) {
  case JSON_STRING:
    v.kind = COFREAD_TEXT;
    v.text = json_string_value(json);
    v.len = json_string_length(json);
    if (s->standins)
      restore(s, &v);
    break;
  case JSON_INTEGER:
    v.kind = COFREAD_INTEGER;
    v.integer = json_integer_value(json);
    break;
  case JSON_REAL:
    v = of_real(json_real_value(json));
    break;
  case JSON_NULL:
    v.kind = COFREAD_NULL;
    break;
  default:
    break;
  }
  return v;
}

static bool fill_list(struct slow *s, const json_t *array, struct cofread_fields *fields)
{
  struct cofread_buffer *list = &s->reader->list;
  size_t count = json_array_size(array);
  if (!cofread_reserve(list, count * sizeof(struct cofread_value)))
    return false;
  struct cofread_value *values = list->bytes;
  for (size_t i = 0; i < count; i++)
    values[i] = value_of(s, json_array_get(array, i));
  fields->list = values;
  fields->list_count = count;
  return true;
}

static bool fill(struct slow *s, json_t *object, struct cofread_fields *fields)
{
  const char *name;
  json_t *value;
  *fields = (struct cofread_fields){.empty = json_object_size(object) == 0};
  json_object_foreach(object, name, value)
  {
    enum cofread_key key = cofread_key_of(name, strlen(name));
    if (key == COFREAD_UNKNOWN)
      continue;
    fields->seen |= 1U << key;
    fields->value[key] = value_of(s, value);
    if (key == COFREAD_RDATA && json_is_array(value)) {
      fields->value[key].kind = COFREAD_LIST;
      if (!fill_list(s, value, fields))
        return false;
    }
  }
  return true;
}

static enum cof_result append(struct slow *s, json_t *root, struct cofread_out *out)
{
  struct cofread_fields fields;
  json_t *object = json_object_get(root, "obj");
  if (!json_is_object(root))
    return cofread_refuse(out, "not a JSON object");
  if (!fill(s, json_is_object(object) ? object : root, &fields))
    return COF_FATAL;
  return cofread_append(s->reader, &fields, out);
}

/* jansson tells integers beyond 64 bits from broken text; as doubles they saturate. */
static json_t *load(const char *text, size_t len, json_error_t *error)
{
  json_t *root = json_loadb(text, len, JSON_ALLOW_NUL, error);
  if (root == NULL && json_error_code(error) == json_error_numeric_overflow)
    root = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, error);
  return root;
}

static bool begins(const char *text, const char *with)
{
  return strncmp(text, with, strlen(with)) == 0;
}

/* jansson has no word for want of memory while it parses: it says nothing, or takes a string that
   it had no room for as a wrong token. A string that is really wrong has a reason of its own. */
static bool is_out_of_memory(const json_error_t *error)
{
  return json_error_code(error) == json_error_out_of_memory || error->text[0] == '\0' ||
         begins(error->text, "invalid token near '\"") ||
         begins(error->text, "string or '}' expected near '\"");
}

static json_t *load_standins(struct slow *s, const char *text, size_t len, json_error_t *error)
{
  size_t copy_len;
  char *copy = put_standins(text, len, &copy_len);
  if (copy == NULL || !cofread_reserve(&s->reader->texts, copy_len)) {
    free(copy);
    s->no_room = true;
    return NULL;
  }
  s->standins = true;
  json_t *root = load(copy, copy_len, error);
  free(copy);
  return root;
}

enum cof_result cofread_slow(struct cof_reader *reader, const char *text, size_t len,
                             struct cofread_out *out)
{
  struct slow s = {.reader = reader};
  json_error_t error = {.line = 0}; /* jansson leaves it as it is where memory runs out at once */
  reader->texts.used = 0;
  json_t *root = load(text, len, &error);
  if (root == NULL && json_error_code(&error) == json_error_invalid_utf8)
    root = load_standins(&s, text, len, &error);
  if (root == NULL) {
    if (s.no_room || is_out_of_memory(&error))
      return COF_FATAL;
    /* jansson goes on to quote the text, which is not for a log. */
    char *near = strstr(error.text, " near ");
    if (near != NULL)
      *near = '\0';
    if (s.standins) /* the position is not the text's */
      return cofread_refuse(out, "not JSON: %s", error.text);
    return cofread_refuse(out, "not JSON: %s near octet %d", error.text, error.position);
  }
  enum cof_result result = append(&s, root, out);
  json_decref(root);
  return result;
}
