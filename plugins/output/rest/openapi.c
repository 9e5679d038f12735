/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The document at /openapi.json, made from the same tables that requests are served by, so that the
 * two cannot disagree.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "api_private.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

const struct api_status api_statuses[] = {
    {400, "A parameter, or the body, is wrong; the text begins with the name of the field."},
    {401, "Authentication is needed, or is wrong."},
    {403, "Not allowed."},
    {406, "No media type that the header Accept admits."},
    {413, "The body is too long."},
    {415, "The body is of a type that is not read."},
    {429, "Too many requests; see Retry-After."},
    {500, "The storage failed."},
    {501, "The storage cannot answer this question."},
    {503, "The storage cannot be reached now; see Retry-After."},
    {504, "The time for an answer was over before it began."},
    {0, NULL},
};

bool api_may(const struct api_path *path, unsigned status)
{
  bool records = path->body == API_RECORDS, post = strcmp(path->method, "POST") == 0;
  bool asks = records || strcmp(path->id, "stats") == 0;
  switch (status) {
  case 406:
    return records;
  case 413:
  case 415:
    return post;
  case 501:
  case 504:
    return asks;
  default:
    return true;
  }
}

/* --- parameters ----------------------------------------------------------------------------- */

static json_t *words_of(const char *const *words)
{
  json_t *list = json_array();
  for (; *words != NULL; words++)
    json_array_append_new(list, json_string(*words));
  return list;
}

static json_t *schema_of(enum param param)
{
  const struct param_info *info = &param_table[param];
  if (info->words != NULL)
    return json_pack("{s:s, s:o}", "type", "string", "enum", words_of(info->words));
  if (info->max != 0)
    return json_pack("{s:s, s:s, s:I, s:I}", "type", "integer", "format", "int64", "minimum",
                     (json_int_t)info->min, "maximum", (json_int_t)info->max);
  if (info->pattern != NULL)
    return json_pack("{s:s, s:s}", "type", "string", "pattern", info->pattern);
  return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
}

static json_t *example_of(enum param param)
{
  const struct param_info *info = &param_table[param];
  int64_t n;
  if (info->max != 0 && params_number(info->example, info->min, info->max, &n))
    return json_integer(n);
  return json_string(info->example);
}

static json_t *parameters_of(const struct api_path *path)
{
  json_t *list = json_array();
  for (int i = 0; i < PARAMS; i++)
    if ((path->params & PARAM_BIT(i)) != 0)
      json_array_append_new(
          list, json_pack("{s:s, s:s, s:s, s:b, s:o, s:o}", "name", param_table[i].name, "in",
                          "query", "description", param_table[i].help, "required", 0, "schema",
                          schema_of((enum param)i), "example", example_of((enum param)i)));
  return list;
}

/* --- answers -------------------------------------------------------------------------------- */

static json_t *reference(const char *kind, const char *name)
{
  char text[64];
  snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
  return json_pack("{s:s}", "$ref", text);
}

static json_t *content_of(enum api_body body)
{
  if (body == API_PAGE)
    return json_pack("{s:{s:{s:s}}}", "text/html", "schema", "type", "string");
  if (body == API_OBJECT)
    return json_pack("{s:{s:{s:s}}}", "application/json", "schema", "type", "object");
  return json_pack("{s:{s:o}, s:{s:{s:s, s:o}}, s:{s:{s:s}}}", "application/x-ndjson", "schema",
                   reference("schemas", "Record"), "application/json", "schema", "type", "array",
                   "items", reference("schemas", "Record"), "text/csv", "schema", "type", "string");
}

static json_t *header_of(const char *help, const char *type)
{
  return json_pack("{s:s, s:{s:s}}", "description", help, "schema", "type", type);
}

static json_t *ok_of(const struct api_path *path)
{
  json_t *ok =
      json_pack("{s:s, s:o}", "description",
                path->body == API_RECORDS ? "Records; none where nothing is found." : "Here it is.",
                "content", content_of(path->body));
  if (path->body != API_RECORDS)
    return ok;
  json_t *headers = json_object();
  json_object_set_new(headers, "X-Cofd-Limited",
                      header_of("yes: there is more than was sent. In the trailer of an answer "
                                "that is streamed.",
                                "string"));
  if ((path->params & PARAM_BIT(PARAM_CURSOR)) != 0)
    json_object_set_new(headers, "X-Cofd-Cursor",
                        header_of("Where the next page begins; absent on the last one. In the "
                                  "trailer of an answer that is streamed.",
                                  "integer"));
  json_object_set_new(ok, "headers", headers);
  return ok;
}

static json_t *responses_of(const struct api_path *path)
{
  json_t *list = json_object();
  char code[16];
  json_object_set_new(list, "200", ok_of(path));
  for (const struct api_status *s = api_statuses; s->status != 0; s++) {
    if (!api_may(path, s->status))
      continue;
    snprintf(code, sizeof code, "%u", s->status);
    json_object_set_new(list, code,
                        json_pack("{s:s, s:{s:{s:o}}}", "description", s->help, "content",
                                  "application/json", "schema", reference("schemas", "Error")));
  }
  return list;
}

/* --- paths ---------------------------------------------------------------------------------- */

static json_t *body_of(const struct settings *settings)
{
  char help[160];
  snprintf(help, sizeof help,
           "Names and addresses, at most %llu of them in at most %llu octets: one a line, or an "
           "array of strings.",
           (unsigned long long)settings->bulk_items, (unsigned long long)settings->bulk_bytes);
  return json_pack("{s:s, s:b, s:{s:{s:{s:s}, s:s}, s:{s:{s:s, s:i, s:I, s:{s:s}}, s:[s, s]}}}",
                   "description", help, "required", 1, "content", "text/plain", "schema", "type",
                   "string", "example", "www.example.com\n192.0.2.1\n", "application/json",
                   "schema", "type", "array", "minItems", 1, "maxItems",
                   (json_int_t)settings->bulk_items, "items", "type", "string", "example",
                   "www.example.com", "192.0.2.1");
}

static json_t *operation_of(const struct api_path *path, bool head, const struct settings *settings)
{
  char id[64];
  snprintf(id, sizeof id, "%s%s", path->id, head ? "Head" : "");
  json_t *op = json_pack("{s:s, s:s, s:s, s:o, s:o}", "operationId", id, "summary", path->summary,
                         "description", path->help, "parameters", parameters_of(path), "responses",
                         responses_of(path));
  if (strcmp(path->method, "POST") == 0)
    json_object_set_new(op, "requestBody", body_of(settings));
  return op;
}

static json_t *paths_of(const struct settings *settings)
{
  json_t *list = json_object();
  for (const struct api_path *p = api_paths; p->path != NULL; p++) {
    char path[64];
    bool post = strcmp(p->method, "POST") == 0;
    json_t *item = json_object();
    snprintf(path, sizeof path, "/%s", p->path);
    json_object_set_new(item, post ? "post" : "get", operation_of(p, false, settings));
    if (!post)
      json_object_set_new(item, "head", operation_of(p, true, settings));
    json_object_set_new(list, path, item);
  }
  return list;
}

static json_t *field(const char *type, const char *help)
{
  return json_pack("{s:s, s:s}", "type", type, "description", help);
}

static json_t *record_schema(void)
{
  return json_pack(
      "{s:s, s:s, s:[s, s, s, s, s, s], s:{s:o, s:o, s:o, s:{s:[{s:s}, {s:s}], s:s}, s:o, s:o, "
      "s:o, s:o, s:o, s:o}}",
      "type", "object", "description",
      "A record of the Passive DNS Common Output Format (draft-dulaunoy-dnsop-passive-dns-cof).",
      "required", "time_first", "time_last", "count", "rrtype", "rrname", "rdata", "properties",
      "time_first", field("integer", "First seen, seconds UTC."), "time_last",
      field("integer", "Last seen, seconds UTC."), "count",
      field("integer", "How often it was seen."), "rrtype", "oneOf", "type", "string", "type",
      "integer", "description", "Mnemonic; the number of a type that has none.", "rrname",
      field("string", "Owner name, in lower case, without a trailing dot."), "rdata",
      field("string", "In presentation format."), "origin",
      field("string", "Who answers; not in CSV."), "bailiwick",
      field("string", "Zone that it was seen in, where that is known; of several the one with the "
                      "most labels. Not in CSV."),
      "cofd_zones",
      field("integer", "Where it was seen in several zones: bit n, from 0 on, stands for the zone "
                       "that is the last n labels of rrname. Not in CSV."),
      "sensor_id",
      field("string",
            "The sensor that was asked for, whose times and count these are. Not in CSV."));
}

static json_t *schemas(void)
{
  return json_pack("{s:o, s:{s:s, s:[s], s:{s:o}}}", "Record", record_schema(), "Error", "type",
                   "object", "required", "error", "properties", "error",
                   field("string", "What was wrong, and what was expected."));
}

/* Credentials are needed where the server has users; see cofd-output-rest(5). */
static json_t *security(void)
{
  return json_pack("[{}, {s:[]}, {s:[]}, {s:[]}]", "key", "bearer", "basic");
}

static json_t *security_schemes(void)
{
  return json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s}, s:{s:s, s:s}}", "key", "type", "apiKey", "in",
                   "header", "name", "X-API-Key", "bearer", "type", "http", "scheme", "bearer",
                   "basic", "type", "http", "scheme", "basic");
}

char *openapi_text(const struct settings *settings)
{
  json_t *root = json_pack(
      "{s:s, s:{s:s, s:s, s:s, s:{s:s}}, s:o, s:o, s:{s:o, s:o}}", "openapi", "3.0.3", "info",
      "title", "cofd", "version", PACKAGE_VERSION, "description",
      "Passive DNS: which records a name had, and when, and which names had an address.", "license",
      "name", "AGPL-3.0-or-later", "paths", paths_of(settings), "security", security(),
      "components", "schemas", schemas(), "securitySchemes", security_schemes());
  char *text = root != NULL ? json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;
  json_decref(root);
  return text;
}
