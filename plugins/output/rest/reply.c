/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
  return MHD_add_response_header(response, name, value) == MHD_YES;
}

static void count_status(struct rest *rest, unsigned status)
{
  struct cof_metric *m = status < 300   ? rest->metrics.ok
                         : status < 500 ? rest->metrics.refused
                                        : rest->metrics.failed;
  cof_add(rest->host, m, 1);
}

static enum MHD_Result give_up(struct rest *rest, struct MHD_Response *response)
{
  if (response != NULL)
    MHD_destroy_response(response);
  cof_add(rest->host, rest->metrics.broken, 1);
  cof_log(rest->host, COF_LOG_ERROR, "no memory for a reply; its connection is closed");
  return MHD_NO;
}

/* Queue a response and give it up. */
static enum MHD_Result queue(struct MHD_Connection *connection, struct rest *rest, unsigned status,
                             struct MHD_Response *response)
{
  struct link *link = link_of(connection);
  struct answer *a = link != NULL ? link->answer : NULL;
  if (a != NULL) {
    a->status = status;
    if (a->visit.guard != NULL && !guard_headers(&a->visit, connection, response, status))
      return give_up(rest, response);
  }
  count_status(rest, status);
  enum MHD_Result r = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return r;
}

static bool wants_gzip(struct MHD_Connection *connection, const struct answer *a)
{
  return a->settings->gzip && gzip_accepted(MHD_lookup_connection_value(
                                  connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING));
}

/* Compress a whole body; the plain one is sent where that fails or does not pay. */
static char *compress_whole(struct answer *a, const char *text, size_t len, size_t *out_len)
{
  struct worker *w = a->worker;
  if (w->gzip == NULL)
    w->gzip = gzip_create();
  char *out = w->gzip != NULL ? gzip_whole(w->gzip, text, len, out_len) : NULL;
  if (out != NULL && *out_len >= len) {
    free(out);
    out = NULL;
  }
  return out;
}

static bool add_vary(const struct answer *a, struct MHD_Response *response, bool encoding)
{
  const char *value =
      a->varies ? encoding ? "Accept, Accept-Encoding" : "Accept" : "Accept-Encoding";
  return (!a->varies && !encoding) || add(response, MHD_HTTP_HEADER_VARY, value);
}

static bool add_end(struct MHD_Response *response, bool trailer, const char *name,
                    const char *value)
{
  return (trailer ? MHD_add_response_footer(response, name, value)
                  : MHD_add_response_header(response, name, value)) == MHD_YES;
}

bool reply_end_headers(struct answer *a, struct MHD_Response *response, bool trailer)
{
  char cursor[24], limited[80];
  const char *trouble = a->trouble;
  bool cut = a->limited || (!a->circl && (a->more || a->cut));
  if (a->circl && a->limited && trouble == NULL) {
    snprintf(limited, sizeof limited, "{\"limit\": \"the answer is cut after %llu records\"}",
             (unsigned long long)a->written);
    trouble = limited;
  }
  snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)a->cursor);
  return (!cut || add_end(response, trailer, "X-Cofd-Limited", "yes")) &&
         (a->cursor == 0 ||
          add_end(response, trailer, a->circl ? "x-dribble-cursor" : "X-Cofd-Cursor", cursor)) &&
         (trouble == NULL || trailer || add_end(response, false, "x-dribble-errors", trouble));
}

/* A body that is known as a whole. `owned` text passes to the response. */
static enum MHD_Result reply_whole(struct MHD_Connection *connection, struct answer *a, char *text,
                                   size_t len, bool owned, const char *type)
{
  struct rest *rest = a->worker->rest;
  bool varies = len > GZIP_MIN && a->settings->gzip, packed = false;
  if (varies && wants_gzip(connection, a)) {
    size_t packed_len;
    char *out = compress_whole(a, text, len, &packed_len);
    packed = out != NULL;
    if (packed) {
      if (owned)
        free(text);
      text = out;
      len = packed_len;
      owned = true;
    }
  }
  struct MHD_Response *response = MHD_create_response_from_buffer(
      len, text, owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
  if (response == NULL && owned)
    free(text);
  if (response == NULL || !add(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) ||
      !add(response, MHD_HTTP_HEADER_SERVER, "cofd") || !add_vary(a, response, varies) ||
      (packed && !add(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip")) ||
      !reply_end_headers(a, response, false))
    return give_up(rest, response);
  if (a->limited)
    cof_add(rest->host, rest->metrics.limited, 1);
  if (!a->head && len > 0) {
    cof_add(rest->host, rest->metrics.bytes, (int64_t)len);
    a->sent += len;
  }
  return queue(connection, rest, MHD_HTTP_OK, response);
}

/* libmicrohttpd ends even the answer to HEAD with a last chunk, which the client would take for the
   next response: there the connection is closed instead. */
static bool frame_stream(const struct answer *a, struct MHD_Response *response)
{
  if (a->head)
    return MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) ==
           MHD_YES;
  return add(response, MHD_HTTP_HEADER_TRAILER,
             a->paging ? "X-Cofd-Limited, X-Cofd-Cursor" : "X-Cofd-Limited");
}

static enum MHD_Result reply_stream(struct MHD_Connection *connection, struct answer *a)
{
  struct rest *rest = a->worker->rest;
  /* The worker's settings may be replaced before the stream ends. */
  if (!a->holds)
    a->settings = settings_hold(a->settings);
  a->holds = true;
  bool varies = a->settings->gzip;
  if (wants_gzip(connection, a))
    a->gzip = gzip_create();
  struct MHD_Response *response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_STEP, answer_stream, a, NULL);
  if (response == NULL || !add(response, MHD_HTTP_HEADER_CONTENT_TYPE, format_type(a->format)) ||
      !add(response, MHD_HTTP_HEADER_SERVER, "cofd") || !frame_stream(a, response) ||
      !add_vary(a, response, varies) ||
      (a->gzip != NULL && !add(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip")))
    return give_up(rest, response);
  a->response = response;
  a->connection = connection;
  return queue(connection, rest, MHD_HTTP_OK, response);
}

enum MHD_Result reply_answer(struct MHD_Connection *connection, struct answer *a)
{
  if (!a->complete)
    return reply_stream(connection, a);
  return reply_whole(connection, a, a->text_len > 0 ? a->text : (char *)"", a->text_len, false,
                     format_type(a->format));
}

enum MHD_Result reply_text(struct MHD_Connection *connection, struct answer *a, char *text,
                           size_t len, const char *type)
{
  return reply_whole(connection, a, text, len, true, type);
}

/* {"error": "…"} and a newline; octets outside printable ASCII as \DDD, the way names spell them.
   `out` has room for 5 octets for each of `text`, and 16 more. */
static size_t error_body(const char *text, char *out)
{
  char *p = out;
  p += sprintf(p, "{\"error\": \"");
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\')
      p += sprintf(p, "\\%c", *text);
    else if (*text >= ' ' && *text <= '~')
      *p++ = *text;
    else
      p += sprintf(p, "\\\\%03u", (unsigned)(unsigned char)*text);
  }
  p += sprintf(p, "\"}\n");
  return (size_t)(p - out);
}

/* What a refusal of the guard is to somebody who speaks DNSDB: a line of text. */
static const struct visit *dnsdb_refusal(struct MHD_Connection *connection)
{
  const struct link *link = link_of(connection);
  const struct visit *v = link != NULL && link->answer != NULL ? &link->answer->visit : NULL;
  return v != NULL && v->guard != NULL && v->status != 0 && v->access->dnsdb ? v : NULL;
}

/* Unless the refusal says itself when to try again. */
static bool says_when(struct MHD_Connection *connection)
{
  const struct link *link = link_of(connection);
  return link != NULL && link->answer != NULL && link->answer->visit.wait_s != 0;
}

static bool add_error_headers(struct MHD_Connection *connection, struct MHD_Response *response,
                              unsigned status)
{
  const char *type = dnsdb_refusal(connection) != NULL ? "text/plain" : "application/json";
  bool ok = add(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) &&
            add(response, MHD_HTTP_HEADER_SERVER, "cofd");
  if (status == MHD_HTTP_SERVICE_UNAVAILABLE && !says_when(connection))
    ok = ok && add(response, MHD_HTTP_HEADER_RETRY_AFTER, "5");
  return ok;
}

/* For the access log. */
static void count_body(struct MHD_Connection *connection, size_t len)
{
  const struct link *link = link_of(connection);
  if (link != NULL && link->answer != NULL && !link->answer->head)
    link->answer->sent += len;
}

static enum MHD_Result send_error(struct MHD_Connection *connection, struct rest *rest,
                                  unsigned status, const char *text, bool close, const char *allow)
{
  char body[5 * COF_ERROR_MAX + 16], cut[COF_ERROR_MAX];
  snprintf(cut, sizeof cut, "%s", text);
  size_t len = dnsdb_refusal(connection) != NULL
                   ? (size_t)snprintf(body, sizeof body, "Error: %s\n", cut)
                   : error_body(cut, body);
  struct MHD_Response *response = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_COPY);
  if (response == NULL || !add_error_headers(connection, response, status) ||
      (close && !add(response, MHD_HTTP_HEADER_CONNECTION, "close")) ||
      (allow != NULL && !add(response, MHD_HTTP_HEADER_ALLOW, allow)))
    return give_up(rest, response);
  count_body(connection, len);
  return queue(connection, rest, status, response);
}

enum MHD_Result reply_state(struct MHD_Connection *connection, struct answer *a, unsigned status,
                            char *text)
{
  struct rest *rest = a->worker->rest;
  size_t len = strlen(text);
  struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
  if (response == NULL)
    free(text);
  if (response == NULL || !add_error_headers(connection, response, status) ||
      !add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"))
    return give_up(rest, response);
  count_body(connection, len);
  return queue(connection, rest, status, response);
}

enum MHD_Result reply_preflight(struct MHD_Connection *connection, struct answer *a)
{
  struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
  if (response == NULL || !add(response, MHD_HTTP_HEADER_SERVER, "cofd"))
    return give_up(a->worker->rest, response);
  return queue(connection, a->worker->rest, MHD_HTTP_NO_CONTENT, response);
}

enum MHD_Result reply_error(struct MHD_Connection *connection, struct rest *rest, unsigned status,
                            const char *text)
{
  return send_error(connection, rest, status, text, false, NULL);
}

enum MHD_Result reply_last(struct MHD_Connection *connection, struct rest *rest, unsigned status,
                           const char *text)
{
  return send_error(connection, rest, status, text, true, NULL);
}

enum MHD_Result reply_method(struct MHD_Connection *connection, struct rest *rest,
                             const char *allow)
{
  char text[64];
  snprintf(text, sizeof text, "method not allowed: expected %s", allow);
  return send_error(connection, rest, MHD_HTTP_METHOD_NOT_ALLOWED, text, true, allow);
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

enum MHD_Result reply_failure(struct MHD_Connection *connection, struct rest *rest,
                              enum cof_result result, const struct cof_error *err)
{
  unsigned status = status_of(result);
  if (status == MHD_HTTP_INTERNAL_SERVER_ERROR)
    cof_log(rest->host, COF_LOG_ERROR, "the storage failed: %s", err->text);
  return reply_error(connection, rest, status, err->text);
}

enum MHD_Result reply_queue(struct MHD_Connection *connection, struct rest *rest, unsigned status,
                            struct MHD_Response *response)
{
  return queue(connection, rest, status, response);
}
