/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "api_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What narrows a question down. */
#define PARAMS_FILTER                                                                              \
  (PARAM_BIT(PARAM_RRTYPE) | PARAM_BIT(PARAM_BAILIWICK) | PARAMS_FENCES |                          \
   PARAM_BIT(PARAM_SENSOR_ID) | PARAM_BIT(PARAM_LIMIT) | PARAM_BIT(PARAM_FORMAT))

static enum MHD_Result serve_records(struct MHD_Connection *connection, struct answer *a);
static enum MHD_Result serve_stats(struct MHD_Connection *connection, struct answer *a);
static enum MHD_Result serve_openapi(struct MHD_Connection *connection, struct answer *a);
static enum MHD_Result serve_page(struct MHD_Connection *connection, struct answer *a);

const struct api_path api_paths[] = {
    {.path = "api/v1/records",
     .method = "GET",
     .id = "records",
     .summary = "Look up records",
     .help = "Exactly one of name, subdomains, rdata_name, address, network and range says what is "
             "asked for.",
     .params = PARAMS_QUESTION | PARAMS_FILTER | PARAM_BIT(PARAM_SORT) | PARAM_BIT(PARAM_CURSOR),
     .body = API_RECORDS,
     .serve = serve_records},
    {.path = "api/v1/bulk",
     .method = "POST",
     .id = "bulk",
     .summary = "Look up many names and addresses at once",
     .help = "The answers come in the order of the questions, as one stream: of a name, the "
             "records with this rrname; of an address, the A or AAAA records with it.",
     .params = PARAMS_FILTER,
     .body = API_RECORDS,
     .serve = bulk_serve},
    {.path = "api/v1/stats",
     .method = "GET",
     .id = "stats",
     .summary = "What the storage holds",
     .help = "Observations and unique records, observations by sensor, and, by a bounded scan in "
             "the background that is repeated when it is old, records by type and by the day they "
             "were first seen. The first request only starts the scan.",
     .body = API_OBJECT,
     .serve = serve_stats},
    {.path = "openapi.json",
     .method = "GET",
     .id = "openapi",
     .summary = "This document",
     .help = "OpenAPI 3.",
     .body = API_OBJECT,
     .serve = serve_openapi},
    {.path = "",
     .method = "GET",
     .id = "page",
     .summary = "A page for searching by hand",
     .help = "It asks this API.",
     .body = API_PAGE,
     .serve = serve_page},
    {.path = NULL},
};

static const struct api_path *path_of(const char *path)
{
  const struct api_path *p = api_paths;
  while (p->path != NULL && strcmp(p->path, path) != 0)
    p++;
  return p->path != NULL ? p : NULL;
}

bool api_owns(const char *path)
{
  return path_of(path) != NULL;
}

const char *api_allow(const char *path)
{
  const struct api_path *p = path_of(path);
  if (p == NULL)
    return NULL;
  return strcmp(p->method, "POST") == 0 ? "POST" : "GET, HEAD";
}

/* Whether the header says that the body is longer than may be; of one in chunks nobody knows. */
static bool too_long(struct MHD_Connection *connection, uint64_t max)
{
  const char *length =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return length != NULL && strtoull(length, NULL, 10) > max;
}

unsigned api_refusal(struct MHD_Connection *connection, struct answer *a, const char *path,
                     const char *method, const char **why)
{
  const struct api_path *p = path_of(path);
  bool post = strcmp(p->method, MHD_HTTP_METHOD_POST) == 0;
  if (strcmp(method, p->method) != 0 && (post || strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)) {
    *why = post ? "method not allowed: expected POST" : "method not allowed: expected GET or HEAD";
    return MHD_HTTP_METHOD_NOT_ALLOWED;
  }
  if (post && too_long(connection, a->worker->settings->bulk_bytes)) {
    *why = "body: too long: expected at most as many octets as bulk_bytes allows";
    return MHD_HTTP_CONTENT_TOO_LARGE;
  }
  a->uploads = post;
  return 0;
}

/* --- parameters ----------------------------------------------------------------------------- */

struct reading {
  struct params *params;
  uint32_t allowed;
  enum cof_result result;
  struct cof_error *err;
};

static enum MHD_Result take(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
  struct reading *r = cls;
  (void)kind;
  r->result = params_take(r->params, r->allowed, name, value, r->err);
  return r->result == COF_OK ? MHD_YES : MHD_NO;
}

static enum cof_result read_params(struct MHD_Connection *connection, uint32_t allowed,
                                   struct params *params, struct cof_error *err)
{
  struct reading reading = {params, allowed, COF_OK, err};
  params_init(params, (int64_t)time(NULL));
  (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take, &reading);
  return reading.result == COF_OK ? params_check(params, allowed, err) : reading.result;
}

static void set_bounds(struct answer *a, const struct params *p)
{
  bool limited = p->limit != 0 && (a->max == 0 || p->limit < a->max);
  if (limited && a->bulk == NULL)
    a->max = p->limit;
  a->paging = a->bulk == NULL && (p->given & PARAM_BIT(PARAM_SORT)) == 0 &&
              (cof_storage_caps(a->worker->rest->host) & COF_CAP_RESUME) != 0;
  a->whole = a->paging && a->max != 0 && a->max <= PAGE_RECORDS;
}

/* The storage may lack it for want of an option. */
static enum cof_result check_sensor(const struct answer *a, const struct params *p,
                                    struct cof_error *err)
{
  if (p->sensor[0] == '\0' || (cof_storage_caps(a->worker->rest->host) & COF_CAP_SENSOR) != 0)
    return COF_OK;
  return cof_fail(err, COF_UNSUPPORTED,
                  "sensor_id: the storage does not keep what single sensors see; rocksdb does with "
                  "sensors = yes. How much each has sent in all is in /api/v1/stats");
}

enum cof_result api_read(struct MHD_Connection *connection, struct answer *a, struct params *params,
                         struct cof_error *err)
{
  const char *accept =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
  enum cof_result r = read_params(connection, a->path->params, params, err);
  if (r == COF_OK)
    r = check_sensor(a, params, err);
  if (r != COF_OK)
    return r;
  a->varies = (params->given & PARAM_BIT(PARAM_FORMAT)) == 0;
  if (!a->varies)
    a->format = params->format;
  else if (!format_accepted(accept, &a->format))
    return cof_fail(err, COF_AGAIN,
                    "Accept: none of application/x-ndjson, application/json and text/csv is "
                    "accepted: expected one of them, or the parameter format");
  memcpy(a->types, params->types, sizeof a->types);
  a->types_count = params->types_count;
  memcpy(a->bailiwick, params->bailiwick, sizeof a->bailiwick);
  memcpy(a->sensor, params->sensor, sizeof a->sensor);
  a->fences = params->fences;
  a->question = params->fingerprint;
  set_bounds(a, params);
  return COF_OK;
}

/* --- the paths ------------------------------------------------------------------------------ */

static enum cof_result check_sort(struct answer *a, const struct params *p, struct cof_error *err)
{
  uint64_t most = a->settings->sort_records;
  a->sorts = (p->given & PARAM_BIT(PARAM_SORT)) != 0;
  if (!a->sorts)
    return COF_OK;
  if (p->limit > most)
    return cof_fail(err, COF_REJECT,
                    "limit: %llu records to sort: expected at most %llu (sort_records)",
                    (unsigned long long)p->limit, (unsigned long long)most);
  if (a->max == 0 || a->max > most)
    a->max = most;
  return COF_OK;
}

static enum cof_result ask(struct answer *a, const struct params *p, struct cof_error *err)
{
  struct cof_query query = COF_QUERY_INIT;
  struct place *from = NULL;
  query.kind = p->kind;
  query.name = p->kind == COF_QUERY_RDATA_ADDR ? NULL : p->name;
  query.first = p->first;
  query.last = p->last;
  enum cof_result r = check_sort(a, p, err);
  if (r == COF_OK && p->cursor != 0 && !a->paging)
    r = cof_fail(err, COF_UNSUPPORTED, "cursor: the storage cannot go on where a page ended");
  if (r == COF_OK)
    r = cursor_take(a, p->cursor, &from, err);
  if (r == COF_OK)
    r = answer_open(a, &query, false, from, err);
  free(from);
  if (r == COF_OK && a->sorts)
    r = sorted_make(a, p->sort, p->descending, err);
  return r == COF_OK ? answer_render(a, SMALL_BODY, err) : r;
}

enum MHD_Result api_refuse(struct MHD_Connection *connection, struct answer *a, enum cof_result r,
                           const struct cof_error *err)
{
  struct rest *rest = a->worker->rest;
  if (r == COF_AGAIN)
    return reply_error(connection, rest, MHD_HTTP_NOT_ACCEPTABLE, err->text);
  return reply_failure(connection, rest, r, err);
}

static enum MHD_Result serve_records(struct MHD_Connection *connection, struct answer *a)
{
  struct params params;
  struct cof_error err;
  enum cof_result r = api_read(connection, a, &params, &err);
  if (r != COF_OK)
    return api_refuse(connection, a, r, &err);
  r = ask(a, &params, &err);
  return r == COF_OK ? reply_answer(connection, a)
                     : reply_failure(connection, a->worker->rest, r, &err);
}

static enum cof_result no_params(struct MHD_Connection *connection, struct answer *a,
                                 struct cof_error *err)
{
  struct params params;
  return read_params(connection, a->path->params, &params, err);
}

static enum MHD_Result serve_stats(struct MHD_Connection *connection, struct answer *a)
{
  struct cof_error err;
  char *text;
  enum cof_result r = no_params(connection, a, &err);
  if (r == COF_OK)
    r = tally_text(a->worker->rest, &text, &err);
  if (r != COF_OK)
    return reply_failure(connection, a->worker->rest, r, &err);
  return reply_text(connection, a, text, strlen(text), "application/json");
}

static enum MHD_Result serve_openapi(struct MHD_Connection *connection, struct answer *a)
{
  struct cof_error err;
  enum cof_result r = no_params(connection, a, &err);
  char *text = r == COF_OK ? openapi_text(a->settings) : NULL;
  if (r == COF_OK && text == NULL)
    r = cof_fail(&err, COF_FATAL, "out of memory");
  if (r != COF_OK)
    return reply_failure(connection, a->worker->rest, r, &err);
  return reply_text(connection, a, text, strlen(text), "application/json");
}

static enum MHD_Result serve_page(struct MHD_Connection *connection, struct answer *a)
{
  struct cof_error err;
  enum cof_result r = no_params(connection, a, &err);
  char *text = r == COF_OK ? strdup(page_text) : NULL;
  if (r == COF_OK && text == NULL)
    r = cof_fail(&err, COF_FATAL, "out of memory");
  if (r != COF_OK)
    return reply_failure(connection, a->worker->rest, r, &err);
  return reply_text(connection, a, text, strlen(text), "text/html; charset=utf-8");
}

enum MHD_Result api_serve(struct MHD_Connection *connection, struct answer *a, const char *path)
{
  a->connection = connection;
  a->path = path_of(path);
  return a->path->serve(connection, a);
}
