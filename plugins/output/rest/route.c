/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum route {
  ROUTE_NONE,
  ROUTE_QUERY,
  ROUTE_FQUERY,
  ROUTE_INFO,
  ROUTE_METRICS,
  ROUTE_HEALTH,
  ROUTE_READY,
  ROUTE_API,
  ROUTE_DNSDB
};

static const char *skip_slashes(const char *path)
{
  while (*path == '/')
    path++;
  return path;
}

/* The path of a request target in absolute form (RFC 9112 section 3.2.2), as proxies send it. */
static const char *skip_authority(const char *url)
{
  size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                  : strncasecmp(url, "https://", 8) == 0 ? 8
                                                         : 0;
  if (scheme == 0)
    return url;
  const char *path = strchr(url + scheme, '/');
  return path != NULL ? path : "";
}

/* Paths that take no argument. */
static enum route fixed_route(const char *path)
{
  static const struct {
    const char *path;
    enum route route;
  } fixed[] = {{"info", ROUTE_INFO},
               {"metrics", ROUTE_METRICS},
               {"healthz", ROUTE_HEALTH},
               {"readyz", ROUTE_READY}};
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
    if (strcmp(path, fixed[i].path) == 0)
      return fixed[i].route;
  return ROUTE_NONE;
}

/* Which route a path takes, and what follows it. Clients join base and question with one slash
   too many, so repeated ones count as one. */
static enum route route_of(const char *url, const char **argument)
{
  url = skip_authority(url);
  *argument = "";
  if (*url != '/')
    return ROUTE_NONE;
  url = skip_slashes(url);
  enum route route = fixed_route(url);
  if (route == ROUTE_NONE && api_owns(url)) {
    *argument = url;
    return ROUTE_API;
  }
  if (strncmp(url, "pdns/", 5) == 0 && strncmp(skip_slashes(url + 5), "query/", 6) == 0)
    url = skip_slashes(url + 5);
  if (strncmp(url, "query/", 6) == 0)
    route = ROUTE_QUERY;
  else if (strncmp(url, "fquery/", 7) == 0)
    route = ROUTE_FQUERY;
  else if (strncmp(url, "dnsdb/", 6) == 0)
    route = ROUTE_DNSDB;
  if (route == ROUTE_QUERY || route == ROUTE_FQUERY || route == ROUTE_DNSDB)
    *argument = skip_slashes(strchr(url, '/'));
  return route;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool has_body(struct MHD_Connection *connection)
{
  const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return (length != NULL && strcmp(length, "0") != 0) ||
         header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static enum MHD_Result serve_query(struct MHD_Connection *connection, struct answer *a,
                                   const char *argument, bool forced_pivot)
{
  struct rest *rest = a->worker->rest;
  struct question question;
  struct cof_error err;
  struct place *from = NULL;
  uint64_t cursor;
  enum cof_result r = question_parse(argument, strlen(argument), &question, &err);
  if (r == COF_OK)
    r = circl_headers(connection, a, &cursor, &err);
  if (r != COF_OK)
    return reply_failure(connection, rest, r, &err);
  bool pivot = forced_pivot || (question.is_address && a->settings->pivot);
  a->question = circl_fingerprint(a, &question, pivot);
  r = cursor_take(a, cursor, &from, &err);
  if (r == COF_OK)
    r = a->trouble == NULL ? answer_ask(a, &question, pivot, from, &err) : COF_OK;
  free(from);
  if (r == COF_OK)
    r = answer_render(a, SMALL_BODY, &err);
  if (r != COF_OK)
    return reply_failure(connection, rest, r, &err);
  return reply_answer(connection, a);
}

static enum MHD_Result serve_info(struct MHD_Connection *connection, struct answer *a)
{
  struct cof_error err;
  char *text;
  enum cof_result r = info_text(a->worker->rest, &text, &err);
  if (r != COF_OK)
    return reply_failure(connection, a->worker->rest, r, &err);
  return reply_text(connection, a, text, strlen(text), "application/json");
}

static enum MHD_Result serve_metrics(struct MHD_Connection *connection, struct answer *a)
{
  char *text = prom_text(a->worker->rest);
  if (text == NULL)
    return reply_error(connection, a->worker->rest, MHD_HTTP_INTERNAL_SERVER_ERROR,
                       "out of memory");
  return reply_text(connection, a, text, strlen(text), "text/plain; version=0.0.4; charset=utf-8");
}

static enum MHD_Result serve_health(struct MHD_Connection *connection, struct answer *a)
{
  char *text = strdup("{\"healthy\": true}\n");
  return text != NULL ? reply_text(connection, a, text, strlen(text), "application/json") : MHD_NO;
}

static enum MHD_Result serve_ready(struct MHD_Connection *connection, struct answer *a)
{
  bool ready;
  char *text = ready_text(a->worker->rest, a->settings->ready, auth_has(a, SCOPE_ADMIN), &ready);
  if (text == NULL)
    return MHD_NO;
  return reply_state(connection, a, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* What is refused before the request is read to its end. Such a connection is not used again,
   since what follows on it may be a body. */
static unsigned refusal(struct MHD_Connection *connection, struct answer *a, const char *method,
                        const char *url, const char **why)
{
  const struct rest *rest = a->worker->rest;
  const char *argument;
  if (strlen(url) > PATH_MAX_OCTETS) {
    *why = "path too long: expected at most 8192 octets";
    return MHD_HTTP_URI_TOO_LONG;
  }
  enum route route = route_of(url, &argument);
  if (route == ROUTE_NONE) {
    *why = "no such path: expected /query/NAME, /query/ADDRESS, /fquery/NAME, /fquery/ADDRESS, "
           "/dnsdb/v2/, /info, /metrics, /healthz, /readyz, or one of those in /openapi.json";
    return MHD_HTTP_NOT_FOUND;
  }
  unsigned status = route == ROUTE_API ? api_refusal(connection, a, argument, method, why) : 0;
  if (status != 0)
    return status;
  if (route != ROUTE_API && strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
      strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
    *why = "method not allowed: expected GET or HEAD";
    return MHD_HTTP_METHOD_NOT_ALLOWED;
  }
  if (strcmp(method, MHD_HTTP_METHOD_POST) != 0 && has_body(connection)) {
    *why = "request with a body: expected none";
    return MHD_HTTP_CONTENT_TOO_LARGE;
  }
  if (atomic_load_explicit(&rest->stopping, memory_order_relaxed)) {
    *why = "cofd is stopping";
    return MHD_HTTP_SERVICE_UNAVAILABLE;
  }
  return 0;
}

/* Look who asks, where that matters. The settings must outlive the request then. */
static unsigned admit(struct rest *rest, struct MHD_Connection *connection, struct answer *a,
                      const char *url, const char *method, const char *version)
{
  struct guard *guard = a->worker->settings->guard;
  if (guard == NULL)
    return 0;
  a->settings = settings_hold(a->worker->settings);
  a->holds = true;
  a->visit.guard = guard;
  guard_admit(rest, &a->visit, connection, url, method, version);
  return a->visit.status;
}

/* Methods of a path, for the header Allow. */
static const char *allowed(const char *url)
{
  const char *argument;
  return route_of(url, &argument) == ROUTE_API ? api_allow(argument) : "GET, HEAD";
}

/* The header is read: find an answer's memory, or refuse. */
static enum MHD_Result begin(struct rest *rest, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, void **context)
{
  struct link *link = link_of(connection);
  struct worker *w = worker_self(rest);
  struct answer *a = w != NULL ? worker_take(w) : NULL;
  if (a == NULL) {
    cof_log(rest->host, COF_LOG_ERROR, "out of memory; a connection is closed");
    return MHD_NO;
  }
  *context = a;
  cof_add(rest->host, rest->metrics.requests, 1);
  cof_add(rest->host, rest->metrics.active, 1);
  atomic_fetch_add(&rest->active, 1);
  a->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
  a->begun_ns = cof_clock_ns(rest->host);
  if (link != NULL)
    link->answer = a;
  const char *why;
  unsigned status = admit(rest, connection, a, url, method, version);
  /* What has no body is refused when it is read, so that the connection can go on. */
  if ((status != 0 || a->visit.preflight) && !has_body(connection))
    return MHD_YES;
  if (status != 0)
    return reply_last(connection, rest, status, a->visit.why);
  status = refusal(connection, a, method, url, &why);
  if (status != 0 && dnsdb_is_path(url))
    return dnsdb_reply_error(connection, rest, status, why, true);
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
    return reply_method(connection, rest, allowed(url));
  return status == 0 ? MHD_YES : reply_last(connection, rest, status, why);
}

/* The request is there; from now on it is the answer that must not take too long. */
static void bound_answer(struct MHD_Connection *connection, const struct answer *a)
{
  struct link *link = link_of(connection);
  if (link != NULL)
    atomic_store_explicit(&link->deadline_ns, a->begun_ns + a->settings->answer_ns,
                          memory_order_relaxed);
}

enum MHD_Result route_request(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **context)
{
  struct rest *rest = cls;
  struct answer *a = *context;
  const char *argument;
  if (a == NULL)
    return begin(rest, connection, url, method, version, context);
  if (*upload_size != 0) {
    /* Or it is of a request that begin() refused. */
    bool taken = bulk_upload(a, upload, *upload_size);
    *upload_size = 0;
    return taken ? MHD_YES : MHD_NO;
  }
  if (!a->holds)
    a->settings = a->worker->settings;
  bound_answer(connection, a);
  if (a->visit.status != 0)
    return reply_error(connection, rest, a->visit.status, a->visit.why);
  if (a->visit.preflight)
    return reply_preflight(connection, a);
  a->max = a->settings->max_records;
  switch (route_of(url, &argument)) {
  case ROUTE_QUERY:
    return serve_query(connection, a, argument, false);
  case ROUTE_FQUERY:
    return serve_query(connection, a, argument, true);
  case ROUTE_INFO:
    return serve_info(connection, a);
  case ROUTE_DNSDB:
    return dnsdb_serve(connection, a, argument);
  case ROUTE_METRICS:
    return serve_metrics(connection, a);
  case ROUTE_HEALTH:
    return serve_health(connection, a);
  case ROUTE_READY:
    return serve_ready(connection, a);
  case ROUTE_API:
    return api_serve(connection, a, argument);
  default:
    return MHD_NO;
  }
}

void route_completed(void *cls, struct MHD_Connection *connection, void **context,
                     enum MHD_RequestTerminationCode code)
{
  struct rest *rest = cls;
  struct answer *a = *context;
  (void)code;
  if (a == NULL)
    return;
  uint64_t now = cof_clock_ns(rest->host);
  struct link *link = link_of(connection);
  if (link != NULL) {
    link->answer = NULL;
    atomic_store_explicit(&link->deadline_ns, now + a->worker->settings->request_ns,
                          memory_order_relaxed);
  }
  cof_observe(rest->host, rest->metrics.latency, (int64_t)((now - a->begun_ns) / 1000));
  guard_leave(&a->visit, a->status, a->sent, a->written, now - a->begun_ns);
  worker_give(a);
  *context = NULL;
  cof_add(rest->host, rest->metrics.active, -1);
  if (atomic_fetch_sub(&rest->active, 1) == 1 && atomic_load(&rest->stopping)) {
    pthread_mutex_lock(&rest->lock);
    pthread_cond_signal(&rest->idle);
    pthread_mutex_unlock(&rest->lock);
  }
}
