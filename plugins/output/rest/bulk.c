/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Bulk look-up: a list of names and addresses, whose answers follow each other in one stream.
 */
#include "auth_private.h"
#include "rest_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

/* Octets of a body beyond its bound that are read, so that the client gets to see why not. */
#define DISCARD_MAX ((size_t)1024 * 1024)

struct bulk {
  char *body;
  size_t len, room, discarded;
  json_t *list;         /* of strings, each of them good */
  size_t at;            /* question that is next */
  uint64_t each, given; /* most records for a question (0: no bound), and those it has got */
};

void bulk_destroy(struct bulk **bulk)
{
  struct bulk *b = *bulk;
  *bulk = NULL;
  if (b == NULL)
    return;
  json_decref(b->list);
  free(b->body);
  free(b);
}

static bool append(struct bulk *b, const char *data, size_t len)
{
  if (len > b->room - b->len) {
    size_t room = b->room != 0 ? b->room : 4096;
    while (room - b->len < len)
      room *= 2;
    char *body = realloc(b->body, room);
    if (body == NULL)
      return false;
    b->body = body;
    b->room = room;
  }
  memcpy(b->body + b->len, data, len);
  b->len += len;
  return true;
}

bool bulk_upload(struct answer *a, const char *data, size_t len)
{
  if (!a->uploads)
    return true;
  if (a->bulk == NULL)
    a->bulk = calloc(1, sizeof *a->bulk);
  struct bulk *b = a->bulk;
  if (b == NULL)
    return false;
  size_t max = (size_t)a->worker->settings->bulk_bytes;
  /* A reload may have lowered the bound since the body began. */
  if (b->discarded == 0 && b->len <= max && len <= max - b->len)
    return append(b, data, len);
  b->discarded += len;
  return b->discarded <= DISCARD_MAX;
}

/* --- the list ------------------------------------------------------------------------------- */

static enum cof_result read_lines(struct bulk *b, struct cof_error *err)
{
  b->list = json_array();
  /* Without a body there are no octets to point behind. */
  for (const char *p = b->body, *end = b->len > 0 ? p + b->len : p; b->list != NULL && p < end;) {
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    size_t len = (size_t)((stop != NULL ? stop : end) - p), text = len;
    while (text > 0 && strchr(" \t\r", p[text - 1]) != NULL && p[text - 1] != '\0')
      text--;
    json_t *line = text > 0 ? json_stringn(p, text) : NULL;
    if (text > 0 && line == NULL)
      return cof_fail(err, COF_REJECT, "body: item %zu is not UTF-8: expected text",
                      json_array_size(b->list) + 1);
    if (line != NULL && json_array_append_new(b->list, line) != 0)
      return cof_fail(err, COF_FATAL, "out of memory");
    p += len + 1;
  }
  return b->list != NULL ? COF_OK : cof_fail(err, COF_FATAL, "out of memory");
}

static enum cof_result read_json(struct bulk *b, struct cof_error *err)
{
  json_error_t why = {.line = 0}; /* left as it is where memory runs out at once */
  b->list = json_loadb(b->body != NULL ? b->body : "", b->len, JSON_ALLOW_NUL, &why);
  if (b->list == NULL)
    return cof_fail(err, COF_REJECT, "body: not JSON, at octet %d: expected an array of strings",
                    why.position);
  if (!json_is_array(b->list))
    return cof_fail(err, COF_REJECT, "body: not an array: expected an array of strings");
  return COF_OK;
}

static enum cof_result question_at(const struct bulk *b, size_t i, struct question *question,
                                   struct cof_error *err)
{
  const json_t *item = json_array_get(b->list, i);
  struct cof_error why;
  if (!json_is_string(item))
    return cof_fail(err, COF_REJECT, "body: item %zu is no string: expected a name or an address",
                    i + 1);
  enum cof_result r =
      question_text(json_string_value(item), json_string_length(item), question, &why);
  return r == COF_OK ? r : cof_fail(err, r, "body: item %zu: %s", i + 1, why.text);
}

static enum cof_result check_list(const struct answer *a, const struct bulk *b,
                                  struct cof_error *err)
{
  struct question question;
  size_t count = json_array_size(b->list);
  if (count == 0)
    return cof_fail(err, COF_REJECT, "body: no question: expected names or addresses");
  if (count > a->settings->bulk_items)
    return cof_fail(err, COF_REJECT, "body: %zu questions: expected at most %llu (bulk_items)",
                    count, (unsigned long long)a->settings->bulk_items);
  for (size_t i = 0; i < count; i++) {
    enum cof_result r = question_at(b, i, &question, err);
    if (r != COF_OK)
      return r;
  }
  return COF_OK;
}

/* --- the answers ---------------------------------------------------------------------------- */

enum cof_result bulk_next(struct answer *a, const struct cof_record **record, struct cof_error *err)
{
  struct bulk *b = a->bulk;
  struct question question;
  for (;;) {
    *record = NULL;
    if (a->records.cursor != NULL) {
      enum cof_result r = answer_next(a, record, err);
      if (r != COF_OK)
        return r;
      if (*record != NULL && (b->each == 0 || b->given < b->each)) {
        b->given++;
        return COF_OK;
      }
      a->cut = a->cut || *record != NULL;
      source_close(a, &a->records);
    }
    *record = NULL;
    if (b->at == json_array_size(b->list))
      return COF_OK;
    b->given = 0;
    enum cof_result r = question_at(b, b->at++, &question, err);
    if (r == COF_OK)
      r = answer_ask(a, &question, false, NULL, err);
    if (r != COF_OK)
      return r;
  }
}

/* Whether a media type, its parameters left aside, is the one given. */
static bool is_type(const char *header, const char *type)
{
  size_t len = strlen(type);
  return strncasecmp(header, type, len) == 0 && strchr(" ;\t", header[len]) != NULL;
}

static bool read_body(struct MHD_Connection *connection, struct answer *a, unsigned *status,
                      struct cof_error *err)
{
  struct bulk *b = a->bulk;
  const char *type =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
  bool json = type != NULL && is_type(type, "application/json");
  *status = 0;
  if (b->discarded != 0) {
    *status = MHD_HTTP_CONTENT_TOO_LARGE;
    (void)cof_fail(err, COF_REJECT, "body: too long: expected at most %llu octets (bulk_bytes)",
                   (unsigned long long)a->settings->bulk_bytes);
    return false;
  }
  if (!json && (type == NULL || !is_type(type, "text/plain"))) {
    *status = MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    (void)cof_fail(err, COF_REJECT,
                   "Content-Type: not known: expected text/plain with a name or address a line, or "
                   "application/json with an array of strings");
    return false;
  }
  enum cof_result r = json ? read_json(b, err) : read_lines(b, err);
  if (r == COF_OK)
    r = check_list(a, b, err);
  if (r == COF_FATAL)
    *status = MHD_HTTP_INTERNAL_SERVER_ERROR;
  else if (r != COF_OK)
    *status = MHD_HTTP_BAD_REQUEST;
  free(b->body);
  b->body = NULL;
  b->len = b->room = 0;
  return r == COF_OK;
}

enum MHD_Result bulk_serve(struct MHD_Connection *connection, struct answer *a)
{
  struct rest *rest = a->worker->rest;
  struct params params;
  struct cof_error err;
  unsigned status;
  if (a->bulk == NULL)
    a->bulk = calloc(1, sizeof *a->bulk);
  if (a->bulk == NULL)
    return MHD_NO;
  enum cof_result r = api_read(connection, a, &params, &err);
  if (r != COF_OK)
    return api_refuse(connection, a, r, &err);
  if (!read_body(connection, a, &status, &err))
    return reply_error(connection, rest, status, err.text);
  /* Admission has taken one request already. */
  if (!auth_charge(a, json_array_size(a->bulk->list) - 1))
    return reply_error(connection, rest, MHD_HTTP_TOO_MANY_REQUESTS,
                       "the quota has no room for so many questions: expected fewer, or later");
  a->bulk->each = params.limit;
  r = answer_render(a, SMALL_BODY, &err);
  return r == COF_OK ? reply_answer(connection, a) : reply_failure(connection, rest, r, &err);
}
