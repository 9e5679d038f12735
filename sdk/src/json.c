/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <cofd/json.h>

#include <string.h>

#include <jansson.h>

/* A value is jansson's; the type is there only so that callers need not know. */
static const json_t *of(const struct cof_json *value)
{
  return (const json_t *)(const void *)value;
}

static const struct cof_json *to(const json_t *value)
{
  return (const struct cof_json *)(const void *)value;
}

struct cof_json *cof_json_parse(const char *text, size_t len, struct cof_error *err)
{
  json_error_t why = {.line = 0}; /* left as it is where memory runs out at once */
  json_t *value = json_loadb(text, len, JSON_ALLOW_NUL, &why);
  if (value == NULL) {
    /* jansson quotes the text where it went wrong, which may be what is private. */
    char *quote = strstr(why.text, " near ");
    if (quote != NULL)
      *quote = '\0';
    cof_fail(err, COF_REJECT, "no JSON: %s, at octet %d", why.text, why.position);
  }
  return (struct cof_json *)(void *)value;
}

void cof_json_free(struct cof_json **document)
{
  json_decref((json_t *)(void *)*document);
  *document = NULL;
}

enum cof_json_kind cof_json_kind(const struct cof_json *value)
{
  if (value == NULL)
    return COF_JSON_NONE;
  switch (json_typeof(of(value))) {
  case JSON_OBJECT:
    return COF_JSON_OBJECT;
  case JSON_ARRAY:
    return COF_JSON_ARRAY;
  case JSON_STRING:
    return COF_JSON_TEXT;
  case JSON_INTEGER:
    return COF_JSON_INTEGER;
  case JSON_REAL:
    return COF_JSON_REAL;
  case JSON_TRUE:
  case JSON_FALSE:
    return COF_JSON_BOOL;
  case JSON_NULL:
    break;
  }
  return COF_JSON_NULL;
}

const struct cof_json *cof_json_get(const struct cof_json *object, const char *key)
{
  return object != NULL ? to(json_object_get(of(object), key)) : NULL;
}

size_t cof_json_count(const struct cof_json *value)
{
  if (value == NULL)
    return 0;
  return json_is_object(of(value)) ? json_object_size(of(value)) : json_array_size(of(value));
}

const struct cof_json *cof_json_at(const struct cof_json *array, size_t index)
{
  return array != NULL ? to(json_array_get(of(array), index)) : NULL;
}

bool cof_json_each(const struct cof_json *object, cof_json_fn fn, void *arg)
{
  /* jansson's iteration takes what is not const, and does not change it. */
  json_t *value = (json_t *)(uintptr_t)object;
  if (!json_is_object(value))
    return true;
  for (void *i = json_object_iter(value); i != NULL; i = json_object_iter_next(value, i))
    if (!fn(arg, json_object_iter_key(i), to(json_object_iter_value(i))))
      return false;
  return true;
}

const char *cof_json_text(const struct cof_json *value, size_t *len)
{
  if (value == NULL || !json_is_string(of(value)))
    return NULL;
  *len = json_string_length(of(value));
  return json_string_value(of(value));
}

bool cof_json_integer(const struct cof_json *value, int64_t *out)
{
  if (value == NULL || !json_is_integer(of(value)))
    return false;
  *out = json_integer_value(of(value));
  return true;
}

bool cof_json_number(const struct cof_json *value, double *out)
{
  if (value == NULL || !json_is_number(of(value)))
    return false;
  *out = json_number_value(of(value));
  return true;
}
