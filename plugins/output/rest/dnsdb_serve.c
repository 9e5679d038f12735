/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access_private.h"
#include "auth_private.h"

#define NDJSON "application/x-ndjson"

bool dnsdb_is_path(const char *url)
{
  return strncmp(access_path(url), "dnsdb/", 6) == 0;
}

/* --- errors --------------------------------------------------------------------------------- */

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
  return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_headers(struct MHD_Response *response, unsigned status, bool close)
{
  return add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain") &&
         add(response, MHD_HTTP_HEADER_SERVER, "cofd") &&
         (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
          add(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD")) &&
         (status != MHD_HTTP_SERVICE_UNAVAILABLE ||
          add(response, MHD_HTTP_HEADER_RETRY_AFTER, "5")) &&
         (!close || add(response, MHD_HTTP_HEADER_CONNECTION, "close"));
}

/* Clients show the first line of the body. */
enum MHD_Result dnsdb_reply_error(struct MHD_Connection *connection, struct rest *rest,
                                  unsigned status, const char *text, bool close)
{
  char body[COF_ERROR_MAX + 16];
  int n = snprintf(body, sizeof body - 1, "Error: %.*s", COF_ERROR_MAX, text);
  size_t len = n < (int)sizeof body - 1 ? (size_t)n : sizeof body - 2;
  for (size_t i = 0; i < len; i++)
    if (body[i] < ' ' || body[i] > '~')
      body[i] = '?';
  body[len++] = '\n';
  struct MHD_Response *response = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_COPY);
  if (response != NULL && add_headers(response, status, close))
    return reply_queue(connection, rest, status, response);
  if (response != NULL)
    MHD_destroy_response(response);
  cof_add(rest->host, rest->metrics.broken, 1);
  cof_log(rest->host, COF_LOG_ERROR, "no memory for a reply; its connection is closed");
  return MHD_NO;
}

static unsigned status_of(enum cof_result result)
{
  switch (result) {
  case COF_REJECT:
    return MHD_HTTP_BAD_REQUEST;
  case COF_UNSUPPORTED:
    return MHD_HTTP_NOT_IMPLEMENTED;
  case COF_TIMEOUT:
    return MHD_HTTP_GATEWAY_TIMEOUT;
  case COF_AGAIN:
  case COF_RETRY:
  case COF_STOPPED:
    return MHD_HTTP_SERVICE_UNAVAILABLE;
  default:
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
  }
}

static enum MHD_Result reply_failed(struct MHD_Connection *connection, struct answer *a,
                                    enum cof_result result, const struct cof_error *err)
{
  struct rest *rest = a->worker->rest;
  unsigned status = status_of(result);
  if (status == MHD_HTTP_INTERNAL_SERVER_ERROR)
    cof_log(rest->host, COF_LOG_ERROR, "the storage failed: %s", err->text);
  return dnsdb_reply_error(connection, rest, status, err->text, false);
}

/* --- answers -------------------------------------------------------------------------------- */

static enum MHD_Result reply_copy(struct MHD_Connection *connection, struct answer *a,
                                  const char *text, size_t len, const char *type)
{
  char *copy = malloc(len > 0 ? len : 1);
  if (copy == NULL)
    return MHD_NO;
  memcpy(copy, text, len);
  return reply_text(connection, a, copy, len, type);
}

/* The library ends even the answer to HEAD with a last chunk: there the connection is closed. */
static bool frame(struct MHD_Response *response, bool head)
{
  return !head || MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT,
                                           MHD_RO_END) == MHD_YES;
}

static enum MHD_Result reply_stream(struct MHD_Connection *connection, struct answer *a)
{
  const char *accepted =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
  /* The worker's settings may be replaced before the stream ends. */
  if (!a->holds)
    a->settings = settings_hold(a->settings);
  a->holds = true;
  if (a->settings->gzip && gzip_accepted(accepted))
    a->gzip = gzip_create();
  struct MHD_Response *response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_STEP, dnsdb_stream, a, NULL);
  if (response == NULL || !add(response, MHD_HTTP_HEADER_CONTENT_TYPE, NDJSON) ||
      !add(response, MHD_HTTP_HEADER_SERVER, "cofd") || !frame(response, a->head) ||
      (a->settings->gzip && !add(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding")) ||
      (a->gzip != NULL && !add(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip"))) {
    if (response != NULL)
      MHD_destroy_response(response);
    return MHD_NO;
  }
  a->response = response;
  a->connection = connection;
  return reply_queue(connection, a->worker->rest, MHD_HTTP_OK, response);
}

/* --- questions ------------------------------------------------------------------------------ */

struct reading {
  struct dnsdb_question *question;
  int64_t now;
  enum cof_result result;
  struct cof_error *err;
};

static enum MHD_Result read_parameter(void *cls, enum MHD_ValueKind kind, const char *key,
                                      const char *value)
{
  struct reading *r = cls;
  (void)kind;
  r->result = dnsdb_read_parameter(r->question, key, value, r->now, r->err);
  return r->result == COF_OK ? MHD_YES : MHD_NO;
}

static enum cof_result read_question(struct MHD_Connection *connection, const char *path,
                                     bool summarize, struct dnsdb_question *question,
                                     struct cof_error *err)
{
  struct reading reading = {question, (int64_t)time(NULL), COF_OK, err};
  enum cof_result r = dnsdb_read_path(path, summarize, question, err);
  if (r != COF_OK)
    return r;
  MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, read_parameter, &reading);
  return reading.result;
}

static enum MHD_Result serve_question(struct MHD_Connection *connection, struct answer *a,
                                      const char *path, bool summarize)
{
  struct dnsdb_question question;
  struct cof_error err;
  enum cof_result r = read_question(connection, path, summarize, &question, &err);
  if (r != COF_OK)
    return reply_failed(connection, a, r, &err);
  if (question.offset > (uint64_t)a->settings->dnsdb.max_offset) {
    cof_fail(&err, COF_REJECT, "offset %" PRIu64 " is too large: expected at most %" PRId64,
             question.offset, a->settings->dnsdb.max_offset);
    return dnsdb_reply_error(connection, a->worker->rest, MHD_HTTP_RANGE_NOT_SATISFIABLE, err.text,
                             false);
  }
  r = dnsdb_ask(a, &question, &err);
  if (r == COF_OK)
    r = dnsdb_render(a, SMALL_BODY, &err);
  if (r != COF_OK)
    return reply_failed(connection, a, r, &err);
  return a->complete ? reply_answer(connection, a) : reply_stream(connection, a);
}

/* --- the rest ------------------------------------------------------------------------------- */

static uint64_t results_max(const struct settings *s)
{
  uint64_t most = (uint64_t)s->dnsdb.max_limit;
  return s->max_records > 0 && s->max_records < most ? s->max_records : most;
}

static enum MHD_Result serve_rate_limit(struct MHD_Connection *connection, struct answer *a)
{
  struct quota_view quota;
  char text[512];
  auth_quota(a, &quota);
  int n;
  if (quota.daily)
    n = sprintf(text,
                "{\"rate\":{\"reset\":%" PRId64 ",\"limit\":%" PRIu64 ",\"remaining\":%" PRIu64,
                quota.reset, quota.limit, quota.remaining);
  else
    n = sprintf(text, "{\"rate\":{\"reset\":\"n/a\",\"limit\":\"unlimited\",\"remaining\":\"n/a\"");
  if (quota.expires != 0)
    n += sprintf(text + n, ",\"expires\":%" PRId64, quota.expires);
  n += sprintf(text + n, ",\"results_max\":%" PRIu64 ",\"offset_max\":%" PRId64,
               results_max(a->settings), a->settings->dnsdb.max_offset);
  if (quota.rated)
    n += sprintf(text + n, ",\"burst_size\":%" PRIu64 ",\"burst_window\":%" PRIu64,
                 quota.burst_size, quota.burst_window);
  n += sprintf(text + n, "}}\n");
  return reply_copy(connection, a, text, (size_t)n, "application/json");
}

enum MHD_Result dnsdb_serve(struct MHD_Connection *connection, struct answer *a, const char *path)
{
  static const char pong[] = "{\"ping\":\"ok\"}\n";
  const char *rest;
  switch (dnsdb_endpoint(path, &rest)) {
  case DNSDB_LOOKUP:
    return serve_question(connection, a, rest, false);
  case DNSDB_SUMMARIZE:
    return serve_question(connection, a, rest, true);
  case DNSDB_RATE_LIMIT:
    return serve_rate_limit(connection, a);
  case DNSDB_PING:
    return reply_copy(connection, a, pong, sizeof pong - 1, "application/json");
  default:
    return dnsdb_reply_error(connection, a->worker->rest, MHD_HTTP_NOT_FOUND,
                             "no such path: expected lookup/, summarize/, rate_limit or ping under "
                             "/dnsdb/v2/",
                             false);
  }
}
