/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ws_private.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "page.h"

/* Connections beyond those of subscribers: being refused, or reading the page. */
#define SPARE_CONNECTIONS 64
/* Messages written to one connection before the others get their turn. */
#define BURST 64
/* Octets of all headers of a request. */
#define HEADERS_MAX 8192
#define NS_PER_S    UINT64_C(1000000000)

static struct ws *ws_of(struct lws *wsi)
{
  return lws_context_user(lws_get_context(wsi));
}

/* --- plain HTTP ------------------------------------------------------------------------------- */

static bool add(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                unsigned char *end)
{
  return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
                                     (int)strlen(value), p, end) == 0;
}

static bool add_headers(struct lws *wsi, unsigned status, unsigned char **p, unsigned char *end)
{
  static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'; "
                               "script-src 'unsafe-inline'; connect-src 'self' ws: wss:; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return (status != 401 || add(wsi, "www-authenticate:", "Bearer", p, end)) &&
         (status != 405 || add(wsi, "allow:", "GET, HEAD", p, end)) &&
         add(wsi, "x-content-type-options:", "nosniff", p, end) &&
         add(wsi, "referrer-policy:", "no-referrer", p, end) &&
         add(wsi, "content-security-policy:", policy, p, end);
}

/* Answer whole and at once: what is answered fits any socket's buffer. @return false: failed */
static bool answer(struct lws *wsi, unsigned status, const char *type, const char *body, size_t len,
                   bool head)
{
  unsigned char headers[LWS_PRE + 2048], *start = headers + LWS_PRE, *p = start;
  unsigned char *end = headers + sizeof headers - 1;
  if (lws_add_http_common_headers(wsi, status, type, len, &p, end) != 0 ||
      !add_headers(wsi, status, &p, end) ||
      lws_finalize_write_http_header(wsi, start, &p, end) != 0)
    return false;
  if (head || len == 0)
    return true;
  unsigned char *copy = malloc(LWS_PRE + len);
  if (copy == NULL)
    return false;
  memcpy(copy + LWS_PRE, body, len);
  int n = lws_write(wsi, copy + LWS_PRE, len, LWS_WRITE_HTTP_FINAL);
  free(copy);
  return n >= 0;
}

static bool answer_text(struct lws *wsi, unsigned status, const char *text, bool head)
{
  char line[300];
  int n = snprintf(line, sizeof line, "%s\n", text);
  return answer(wsi, status, "text/plain; charset=utf-8", line, (size_t)n, head);
}

static int serve(struct ws *ws, struct lws *wsi, const char *path)
{
  bool head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
  bool good;
  if (!head && lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0)
    good = answer_text(wsi, 405, "expected GET or HEAD", false);
  else if (strcmp(path, "/") != 0)
    good = answer_text(wsi, 404, "the feed is at /, by websocket", head);
  else if (!ws->conf.page)
    good = answer_text(wsi, 426, "the feed is here by websocket", head);
  else
    good = answer(wsi, 200, "text/html; charset=utf-8", page_html, sizeof page_html - 1, head);
  return !good || lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

/* --- subscribers ------------------------------------------------------------------------------ */

static int confirm(struct ws *ws, struct lws *wsi)
{
  struct refusal why;
  struct filter *filter = gate_look(ws, wsi, &why);
  bool in = filter != NULL && !atomic_load(&ws->stopping);
  filter_free(&filter);
  if (in)
    return 0;
  if (atomic_load(&ws->stopping))
    return -1;
  cof_add(ws->host, ws->m_refused, 1);
  cof_log(ws->host, COF_LOG_DEBUG, "a request is refused (%u): %s", why.status, why.text);
  return answer_text(wsi, why.status, why.text, false) ? 1 : -1;
}

/* The same headers once more, as the connection has its memory only now. */
static int establish(struct ws *ws, struct lws *wsi, struct sub *sub)
{
  struct refusal why;
  memset(sub, 0, sizeof *sub);
  struct filter *filter = gate_look(ws, wsi, &why);
  if (filter == NULL) {
    lws_close_reason(wsi, LWS_CLOSE_STATUS_POLICY_VIOLATION, (unsigned char *)why.text,
                     strnlen(why.text, REASON_MAX));
    return -1;
  }
  sub_add(ws, sub, wsi, filter);
  cof_add(ws->host, ws->m_connections, 1);
  return 0;
}

static bool send_text(struct ws *ws, struct lws *wsi, const char *text, size_t len)
{
  if (ws->out_room < LWS_PRE + len) {
    char *out = realloc(ws->out, LWS_PRE + 2 * len);
    if (out == NULL)
      return false;
    ws->out = out;
    ws->out_room = LWS_PRE + 2 * len;
  }
  memcpy(ws->out + LWS_PRE, text, len);
  return lws_write(wsi, (unsigned char *)ws->out + LWS_PRE, len, LWS_WRITE_TEXT) >= (int)len;
}

/* In the framing that readers of COF streams know and pass over. */
static bool send_skipped(struct ws *ws, struct sub *sub)
{
  char text[128];
  int n = snprintf(text, sizeof text,
                   "{\"cond\": \"ongoing\", \"msg\": \"skipped %llu records\", "
                   "\"cofd_skipped\": %llu}",
                   (unsigned long long)sub->skipped, (unsigned long long)sub->skipped);
  sub->skipped = 0;
  return send_text(ws, sub->wsi, text, (size_t)n);
}

static bool send_next(struct ws *ws, struct sub *sub)
{
  size_t len;
  const char *text = sub_message(sub, &len);
  if (!send_text(ws, sub->wsi, text, len))
    return false;
  sub_sent(ws, sub);
  cof_add(ws->host, ws->m_sent, 1);
  cof_add(ws->host, ws->m_bytes, (int64_t)len);
  return true;
}

/* All is sent, and nothing more will come. */
static bool is_over(struct ws *ws, const struct sub *sub)
{
  return atomic_load(&ws->stopping) && sub->first == NULL && handoff_first(ws) == NULL;
}

static int writable(struct ws *ws, struct sub *sub)
{
  if (sub->close == 0 && sub->skipped != 0 && !send_skipped(ws, sub))
    return -1;
  for (int i = 0; i < BURST && sub->first != NULL && !lws_send_pipe_choked(sub->wsi); i++)
    if (!send_next(ws, sub))
      return -1;
  if (sub->close == 0 && is_over(ws, sub))
    sub_close(ws, sub, LWS_CLOSE_STATUS_GOINGAWAY, "this server stops");
  if (sub->close != 0) {
    lws_close_reason(sub->wsi, (enum lws_close_status)sub->close, (unsigned char *)sub->reason,
                     strlen(sub->reason));
    return -1;
  }
  if (sub->first != NULL)
    lws_callback_on_writable(sub->wsi);
  subs_pump(ws);
  return 0;
}

/* Subscribers have nothing to say. */
static int receive(struct ws *ws, struct sub *sub)
{
  sub_close(ws, sub, LWS_CLOSE_STATUS_POLICY_VIOLATION, "this feed takes no messages");
  return 0;
}

static void woken(struct ws *ws)
{
  subs_pump(ws);
  if (atomic_load(&ws->stopping))
    for (struct sub *s = ws->subs; s != NULL; s = s->next)
      lws_callback_on_writable(s->wsi);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
  switch ((int)reason) {
  case LWS_CALLBACK_HTTP:
    return serve(ws_of(wsi), wsi, in);
  case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    return confirm(ws_of(wsi), wsi);
  case LWS_CALLBACK_ESTABLISHED:
    return establish(ws_of(wsi), wsi, user);
  case LWS_CALLBACK_SERVER_WRITEABLE:
    return writable(ws_of(wsi), user);
  case LWS_CALLBACK_RECEIVE:
    return receive(ws_of(wsi), user);
  case LWS_CALLBACK_CLOSED:
    sub_remove(ws_of(wsi), user);
    return 0;
  case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
    woken(ws_of(wsi));
    return 0;
  case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
    tls_serve(ws_of(wsi), user);
    return 0;
  default:
    return lws_callback_http_dummy(wsi, reason, user, in, len);
  }
}

/* --- life ------------------------------------------------------------------------------------- */

/* libwebsockets does not say why it cannot bind. @param host  receives the address in digits */
static bool try_address(struct ws *ws, char host[NI_MAXHOST], int *family)
{
  const struct cof_endpoint *e = &ws->conf.listen;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
  char port[8];
  int one = 1;
  snprintf(port, sizeof port, "%u", e->port);
  int gai = getaddrinfo(e->host, port, &hints, &list);
  if (gai != 0) {
    cof_log(ws->host, COF_LOG_ERROR, "listen: %s cannot be resolved: %s", e->host,
            gai_strerror(gai));
    return false;
  }
  int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(fd, list->ai_addr, list->ai_addrlen) == 0 && listen(fd, 1) == 0;
  if (!good)
    cof_log(ws->host, COF_LOG_ERROR, "cannot listen on %s port %u: %s", e->host, e->port,
            strerror(errno));
  *family = list->ai_family;
  good = good && getnameinfo(list->ai_addr, list->ai_addrlen, host, NI_MAXHOST, NULL, 0,
                             NI_NUMERICHOST) == 0;
  if (fd >= 0)
    close(fd);
  freeaddrinfo(list);
  return good;
}

static bool is_any(const char *host)
{
  return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static struct lws_context *make_context(struct ws *ws, const char *host, int family)
{
  static const struct lws_protocols protocols[] = {
      {.name = "cof", .callback = callback, .per_session_data_size = sizeof(struct sub)}, {0}};
  static const struct lws_retry_bo none = {.secs_since_valid_ping = 0};
  const struct conf *c = &ws->conf;
  struct lws_retry_bo policy = none;
  struct lws_context_creation_info info = {
      .port = c->listen.port,
      .iface = is_any(host) ? NULL : host,
      .protocols = protocols,
      .user = ws,
      .gid = -1,
      .uid = -1,
      .options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                 (family == AF_INET ? LWS_SERVER_OPTION_DISABLE_IPV6 : 0) |
                 (c->certificate != NULL ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
      .ssl_cert_filepath = c->certificate,
      .ssl_private_key_filepath = c->key,
      .alpn = "http/1.1",
      .server_string = "cofd",
      .max_http_header_data2 = HEADERS_MAX,
      .timeout_secs = 20,
      .keepalive_timeout = 5,
      .fd_limit_per_thread = (unsigned)c->connections + SPARE_CONNECTIONS,
  };
  policy.secs_since_valid_ping = (uint16_t)((c->ping_interval + 999) / 1000);
  policy.secs_since_valid_hangup = (uint16_t)((c->idle_timeout + 999) / 1000);
  ws->policy = policy;
  info.retry_and_idle_policy = &ws->policy;
  return lws_create_context(&info);
}

/* Until all are told, or the time is over. */
static bool go_on(struct ws *ws)
{
  return !atomic_load(&ws->stopping) || (ws->subs != NULL && cof_clock_ns(ws->host) < ws->stop_ns);
}

static void *service(void *arg)
{
  struct ws *ws = arg;
  while (go_on(ws) && lws_service(ws->context, 0) >= 0)
    ;
  return NULL;
}

static void say_where(struct ws *ws, const char *host, int family)
{
  int port = lws_get_vhost_listen_port(lws_get_vhost_by_name(ws->context, "default"));
  cof_log(ws->host, COF_LOG_INFO, "listening on %s://%s%s%s:%d/", ws->secure ? "wss" : "ws",
          family == AF_INET6 ? "[" : "", host, family == AF_INET6 ? "]" : "", port);
}

bool server_start(struct ws *ws)
{
  char host[NI_MAXHOST];
  int family;
  if (!try_address(ws, host, &family))
    return false;
  ws->context = make_context(ws, host, family);
  if (ws->context == NULL) {
    cof_log(ws->host, COF_LOG_ERROR, "cannot serve on %s port %u: libwebsockets does not start",
            host, ws->conf.listen.port);
    return false;
  }
  int e = pthread_create(&ws->thread, NULL, service, ws);
  if (e != 0) {
    cof_log(ws->host, COF_LOG_ERROR, "cannot start a thread: %s", strerror(e));
    lws_context_destroy(ws->context);
    ws->context = NULL;
    return false;
  }
  ws->running = true;
  say_where(ws, host, family);
  return true;
}

bool server_stop(struct ws *ws, uint64_t deadline_ns)
{
  if (!ws->running)
    return true;
  /* Some of the time is for what stops later. */
  uint64_t now = cof_clock_ns(ws->host), most = now + 5 * NS_PER_S;
  ws->stop_ns = deadline_ns < most ? deadline_ns : most;
  atomic_store(&ws->stopping, true);
  lws_cancel_service(ws->context);
  pthread_join(ws->thread, NULL);
  ws->running = false;
  bool clean = ws->subs == NULL;
  lws_context_destroy(ws->context);
  ws->context = NULL;
  handoff_free_all(ws);
  return clean;
}
