/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "service_private.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "headers_private.h"
#include "tls_private.h"

/* The library's own pings and time-outs are off. */
static const lws_retry_bo_t no_policy;

static uint64_t now_ns(const struct stream *st)
{
  return cof_clock_ns(st->service->host);
}

/* --- coming and going ------------------------------------------------------------------------- */

static uint64_t pause_ns(struct stream *st)
{
  uint32_t random;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
    random = (uint32_t)now_ns(st); /* right after boot */
  return backoff_next(&st->backoff, random) * MS_NS;
}

/* @param told  whether this was said already since the connection stood last */
static void tell_down(struct stream *st, const char *what, bool told)
{
  cof_log(st->service->host, told ? COF_LOG_DEBUG : COF_LOG_WARNING,
          "%s: %s: %s; trying again until it works", st->shown, what, st->why.text);
}

static void wait_again(struct stream *st)
{
  st->state = STREAM_WAITING;
  st->wsi = NULL;
  st->due_ns = now_ns(st) + pause_ns(st);
  st->why.text[0] = '\0';
}

/* What the library says of a failure, for those who do not know the library. */
static const char *plain_words(const char *why)
{
  static const struct {
    const char *theirs, *ours;
  } words[] = {{"proxy", "the proxy does not let it through"},
               {"HS: PROTOCOL", "the server chose a subprotocol that was not offered"},
               {"connect SSL", "the handshake of TLS failed"},
               {"connect SYSCALL", "the handshake of TLS was broken off"},
               {"HS: ", "the server's answer to the handshake is no websocket's"}};
  if (why == NULL || why[0] == '\0')
    return "no connection";
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strncmp(why, words[i].theirs, strlen(words[i].theirs)) == 0)
      return words[i].ours;
  return why;
}

/* An attempt came to nothing. */
static void failed(struct stream *st, const char *why)
{
  if (st->state != STREAM_CONNECTING)
    return;
  if (st->why.text[0] == '\0' && st->status != 0 && st->status != 101)
    cof_fail(&st->why, COF_RETRY, "the server answered the handshake with HTTP status %u",
             st->status);
  if (st->why.text[0] == '\0')
    cof_fail(&st->why, COF_RETRY, "%s", plain_words(why));
  if (!service_ending(st->service))
    tell_down(st, "cannot connect", st->failure_told);
  st->failure_told = true;
  wait_again(st);
}

static void opened(struct stream *st)
{
  struct service *s = st->service;
  uint64_t now = now_ns(st);
  if (st->attempts > 1 || st->lost)
    cof_log(s->host, COF_LOG_INFO, "%s: connected%s, at attempt %u", st->shown,
            st->lost ? " again" : "", st->attempts);
  else
    cof_log(s->host, COF_LOG_INFO, "%s: connected", st->shown);
  cof_add(s->host, s->connected, 1);
  st->state = STREAM_OPEN;
  st->opened_ns = st->heard_ns = now;
  st->lost = st->failure_told = st->ping_due = st->ping_on = false;
  st->messages = 0;
  st->why.text[0] = '\0';
}

static void closed(struct stream *st, struct lws *wsi)
{
  struct service *s = st->service;
  bool cut = st->message.open, leaving = st->state == STREAM_CLOSING;
  if (st->state != STREAM_OPEN && !leaving)
    return;
  cut |= lws_remaining_packet_payload(wsi) != 0;
  if (cut)
    cof_add(s->host, s->cut, 1);
  message_reset(&st->message);
  cof_add(s->host, s->connected, -1);
  if (st->why.text[0] == '\0')
    cof_fail(&st->why, COF_RETRY, "it ended without a good-bye%s",
             cut ? ", in the middle of a message" : "");
  if (!leaving && !service_ending(s))
    tell_down(st, "connection lost", false);
  if (now_ns(st) - st->opened_ns >= st->backoff.max * MS_NS)
    backoff_reset(&st->backoff);
  st->attempts = 0;
  st->lost = true;
  wait_again(st);
}

/* --- connecting ------------------------------------------------------------------------------- */

/* The library does not say why it could not begin; most often, a name leads nowhere. */
static void explain(struct stream *st)
{
  const struct conf *c = st->service->conf;
  const char *name = c->proxy.host != NULL ? c->proxy.host : st->url.host;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  if (st->state != STREAM_CONNECTING)
    return;
  int result = st->why.text[0] == '\0' ? getaddrinfo(name, NULL, &hints, &found) : 0;
  if (result != 0)
    cof_fail(&st->why, COF_RETRY, "cannot resolve %s: %s", name, gai_strerror(result));
  else
    freeaddrinfo(found);
  failed(st, "the connection was refused");
}

static int tls_flags(const struct stream *st)
{
  /* The name in the certificate is checked by ours, which knows addresses too. */
  int flags = LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
  if (!st->url.tls)
    return 0;
  return st->service->conf->insecure
             ? flags | LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_EXPIRED | LCCSCF_ALLOW_INSECURE
             : flags;
}

static void connect_now(struct stream *st, uint64_t now)
{
  struct service *s = st->service;
  char authority[WS_HOST_MAX + 16], bracketed[WS_HOST_MAX + 3];
  /* What a proxy is asked for is a text with a port; what is resolved is the host alone. */
  bool proxied = s->conf->proxy.host != NULL;
  struct lws_client_connect_info info = {
      .context = s->context,
      .address = proxied ? ws_url_host(&st->url, bracketed) : st->url.host,
      .port = st->url.port,
      .ssl_connection = tls_flags(st) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
      .path = st->url.path,
      .host = ws_url_authority(&st->url, authority),
      .protocol = s->subprotocols,
      .local_protocol_name = WS_PROTOCOL,
      .alpn = "http/1.1",
      .userdata = st,
      .opaque_user_data = st,
      .pwsi = &st->wsi,
      .retry_and_idle_policy = &no_policy};
  if (st->attempts++ > 0 || st->lost)
    cof_add(s->host, s->reconnects, 1);
  st->state = STREAM_CONNECTING;
  st->status = 0;
  st->due_ns = now + (uint64_t)s->conf->connect_timeout * MS_NS;
  if (lws_client_connect_via_info(&info) == NULL)
    explain(st);
}

/* The request's own fields. @return 0, or -1 to give up */
static int add_headers(struct stream *st, char **at, size_t room)
{
  char headers[HEADERS_MAX];
  size_t len = 0;
  if (headers_make(st->service->conf, headers, &len, &st->why) != COF_OK)
    return -1;
  if (len > room) {
    cof_fail(&st->why, COF_RETRY, "the header fields are too long");
    return -1;
  }
  memcpy(*at, headers, len);
  *at += len;
  return 0;
}

/* @return 0: go on; 1: refused */
static int verify(struct stream *st, X509_STORE_CTX *ctx, bool good)
{
  if (!st->service->conf->insecure)
    return tls_judge(ctx, good, st->url.host, &st->why) ? 0 : 1;
  X509_STORE_CTX_set_error(ctx, X509_V_OK);
  return 0;
}

/* --- receiving -------------------------------------------------------------------------------- */

static int received(struct stream *st, struct lws *wsi, const char *part, size_t len)
{
  struct service *s = st->service;
  const char *text = NULL;
  size_t text_len = 0;
  enum message_state state;
  if (st->state != STREAM_OPEN)
    return 0;
  while ((state = message_add(&st->message, part, len, lws_is_first_fragment(wsi) != 0,
                              lws_is_final_fragment(wsi) != 0, &text, &text_len)) ==
         MESSAGE_NO_MEMORY)
    if (!service_starved(s))
      return 0;
  s->tally.octets += len;
  st->heard_ns = now_ns(st);
  st->ping_on = false;
  if (state == MESSAGE_MORE)
    return 0;
  s->tally.messages++;
  st->messages++;
  st->message_ns = st->heard_ns;
  backoff_reset(&st->backoff);
  if (state == MESSAGE_WHOLE) {
    /* Where it has to stop, the thread sees to that. */
    (void)service_take(s, st, text, text_len);
    return 0;
  }
  cof_add(s->host, s->too_long, 1);
  cof_reject(s->host, 1, "%s: message %llu is longer than max_message (%zu octets)", st->shown,
             (unsigned long long)st->messages, st->message.max);
  return 0;
}

/* The close of the server: two octets of status, and a text. */
static void told_close(struct stream *st, const unsigned char *in, size_t len)
{
  char text[128] = "";
  if (st->state != STREAM_OPEN)
    return;
  for (size_t i = 2; i < len && i - 2 < sizeof text - 1; i++)
    text[i - 2] = (char)(in[i] >= ' ' && in[i] <= '~' ? in[i] : '?');
  if (len < 2)
    cof_fail(&st->why, COF_RETRY, "closed by the server, which gave no status");
  else
    cof_fail(&st->why, COF_RETRY, "closed by the server with status %u%s%s%s", in[0] * 256u + in[1],
             text[0] != '\0' ? " (" : "", text, text[0] != '\0' ? ")" : "");
}

/* @return 0, or -1 to close */
static int writable(struct stream *st, struct lws *wsi)
{
  static const char word[] = "cofd";
  unsigned char ping[LWS_PRE + sizeof word];
  if (st->state == STREAM_CLOSING) {
    lws_close_reason(wsi, LWS_CLOSE_STATUS_GOINGAWAY, NULL, 0);
    return -1;
  }
  if (!st->ping_due)
    return 0;
  st->ping_due = false;
  memcpy(ping + LWS_PRE, word, sizeof word);
  return lws_write(wsi, ping + LWS_PRE, sizeof word - 1, LWS_WRITE_PING) < 0 ? -1 : 0;
}

static void ended(struct stream *st, struct lws *wsi)
{
  if (st->wsi != wsi)
    return;
  failed(st, NULL);
  closed(st, wsi);
}

int stream_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                 size_t len)
{
  struct stream *st = wsi != NULL ? lws_get_opaque_user_data(wsi) : NULL;
  if (st == NULL)
    return 0;
  switch (reason) {
  case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
    return verify(st, user, len != 0);
  case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
    return add_headers(st, in, len);
  case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
    st->status = lws_http_client_http_response(wsi);
    return 0;
  case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    failed(st, in);
    return 0;
  case LWS_CALLBACK_CLIENT_ESTABLISHED:
    opened(st);
    return 0;
  case LWS_CALLBACK_CLIENT_RECEIVE:
    return received(st, wsi, in, len);
  case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
    st->heard_ns = now_ns(st);
    st->ping_on = false;
    return 0;
  case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    told_close(st, in, len);
    return 0;
  case LWS_CALLBACK_CLIENT_WRITEABLE:
    return writable(st, wsi);
  case LWS_CALLBACK_CLIENT_CLOSED:
    closed(st, wsi);
    return 0;
  case LWS_CALLBACK_WSI_DESTROY:
    ended(st, wsi);
    return 0;
  default:
    return 0;
  }
}

/* --- time ------------------------------------------------------------------------------------- */

static void drop(struct stream *st)
{
  struct lws *wsi = st->wsi;
  lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

/* @return when to look again */
static uint64_t step_open(struct stream *st, uint64_t now)
{
  const struct conf *c = st->service->conf;
  uint64_t ping = st->heard_ns + (uint64_t)c->ping_interval * MS_NS;
  uint64_t idle = st->heard_ns + (uint64_t)c->idle_timeout * MS_NS;
  if (c->idle_timeout > 0 && now >= idle) {
    cof_fail(&st->why, COF_RETRY, "nothing came for %lld ms, not even the answer to a ping",
             (long long)c->idle_timeout);
    drop(st);
    return now;
  }
  uint64_t next = c->idle_timeout > 0 ? idle : UINT64_MAX;
  if (c->ping_interval == 0 || st->ping_on)
    return next;
  if (now < ping)
    return ping < next ? ping : next;
  st->ping_on = st->ping_due = true;
  lws_callback_on_writable(st->wsi);
  return next;
}

uint64_t stream_step(struct stream *st, uint64_t now)
{
  if (st->state == STREAM_OPEN)
    return step_open(st, now);
  if (st->state == STREAM_CLOSING)
    return UINT64_MAX;
  if (now < st->due_ns)
    return st->due_ns;
  if (st->state == STREAM_WAITING) {
    connect_now(st, now);
    return st->due_ns;
  }
  if (st->why.text[0] == '\0')
    cof_fail(&st->why, COF_RETRY, "no answer within connect_timeout (%lld ms)",
             (long long)st->service->conf->connect_timeout);
  drop(st);
  return now;
}

bool stream_leave(struct stream *st)
{
  if (st->state != STREAM_OPEN)
    return false;
  st->state = STREAM_CLOSING;
  lws_callback_on_writable(st->wsi);
  return true;
}

void stream_was_deaf(struct stream *st, uint64_t now)
{
  st->heard_ns = now;
}
