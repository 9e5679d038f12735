/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "ws_private.h"

#include <stdlib.h>
#include <string.h>

static const char *const overflows[] = {"disconnect", "skip", NULL};

static const struct cof_option options[] = {
    {.name = "listen",
     .help = "Address or host name, and port, to serve on; port 0 takes a free one, which the log "
             "tells.",
     .dflt = "127.0.0.1:8888",
     .type = COF_OPT_ADDR,
     COF_FIELD(struct conf, listen)},
    {.name = "connections",
     .help = "Most subscribers at once.",
     .dflt = "64",
     .type = COF_OPT_INT,
     .min = 1,
     .max = 10000,
     .unit = "connections",
     COF_FIELD(struct conf, connections)},
    {.name = "queue_messages",
     .help = "Messages that may wait for one subscriber; bounds how far it may fall behind.",
     .dflt = "100000",
     .type = COF_OPT_INT,
     .min = 1,
     .max = 100000000,
     .unit = "messages",
     COF_FIELD(struct conf, queue_messages)},
    {.name = "queue_bytes",
     .help = "Octets of messages that may wait for one subscriber.",
     .dflt = "32M",
     .type = COF_OPT_BYTES,
     .min = 1 << 16,
     .max = INT64_C(4) << 30,
     COF_FIELD(struct conf, queue_bytes)},
    {.name = "backlog_bytes",
     .help = "Octets that wait for all subscribers together, who share what they wait for, and as "
             "many of what is stored and not prepared yet; bounds memory.",
     .dflt = "128M",
     .type = COF_OPT_BYTES,
     .min = 1 << 20,
     .max = INT64_C(16) << 30,
     COF_FIELD(struct conf, backlog_bytes)},
    {.name = "overflow",
     .help = "What becomes of a subscriber for whom more is to wait: disconnect it with status "
             "1013, or skip what waits for it and tell it how much that was.",
     .dflt = "disconnect",
     .type = COF_OPT_ENUM,
     .choices = overflows,
     COF_FIELD(struct conf, overflow)},
    {.name = "tokens",
     .help = "File of tokens, one a line, at most 1024, one of which a subscriber must show; "
             "without it everybody may subscribe. Read again on SIGHUP.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, tokens)},
    {.name = "allow_origin",
     .help = "Web sites (https://www.example.com) besides this server whose pages may subscribe; * "
             "for all. At most 64.",
     .type = COF_OPT_LIST,
     .max = 64,
     .flags = COF_OPT_MULTI,
     COF_FIELD(struct conf, allow_origin)},
    {.name = "certificate",
     .help = "File of the certificate, with its chain, in PEM; with it, only TLS is served. Read "
             "again on SIGHUP.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, certificate)},
    {.name = "key",
     .help = "File of the certificate's private key in PEM. Read again on SIGHUP.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, key)},
    {.name = "ping_interval",
     .help = "Time without a sign of life from a subscriber after which it is sent a ping; counted "
             "in whole seconds, rounded up.",
     .dflt = "30s",
     .type = COF_OPT_DURATION,
     .min = 1000,
     .max = 3600000,
     COF_FIELD(struct conf, ping_interval)},
    {.name = "idle_timeout",
     .help = "Time without a sign of life after which a subscriber is disconnected; whole seconds.",
     .dflt = "90s",
     .type = COF_OPT_DURATION,
     .min = 2000,
     .max = 36000000,
     COF_FIELD(struct conf, idle_timeout)},
    {.name = "origin",
     .help = "Value of the field origin in every record; UTF-8, at most 1024 octets. Without it "
             "the field is left out.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, origin)},
    {.name = "relay",
     .help = "Whether records that came here from other cofd are sent as well; no where each sends "
             "to all others directly.",
     .dflt = "yes",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, relay)},
    {.name = "page",
     .help = "Whether a browser that asks for / gets a page that shows the feed.",
     .dflt = "yes",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, page)},
    {.name = NULL}};

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  enum cof_result r = COF_OK;
  if ((c->certificate == NULL) != (c->key == NULL)) {
    cof_diag_error(diag, c->certificate != NULL ? "certificate" : "key",
                   "%s is missing; expected certificate and key, or none of them",
                   c->certificate != NULL ? "key" : "certificate");
    r = COF_REJECT;
  }
  if (c->idle_timeout <= c->ping_interval) {
    cof_diag_error(diag, "idle_timeout",
                   "%lldms is not above ping_interval = %lldms; expected time for an answer",
                   (long long)c->idle_timeout, (long long)c->ping_interval);
    r = COF_REJECT;
  }
  if (c->origin != NULL && strlen(c->origin) > FEED_ORIGIN_MAX) {
    cof_diag_error(diag, "origin", "%zu octets; expected at most %d", strlen(c->origin),
                   FEED_ORIGIN_MAX);
    r = COF_REJECT;
  }
  for (size_t i = 0; i < c->allow_origin.count; i++)
    if (strcmp(c->allow_origin.items[i], "*") != 0 &&
        strstr(c->allow_origin.items[i], "://") == NULL) {
      cof_diag_error(diag, "allow_origin",
                     "'%.128s'; expected a scheme and host such as https://www.example.com, or *",
                     c->allow_origin.items[i]);
      r = COF_REJECT;
    }
  return r;
}

static void make_metrics(struct ws *ws)
{
  struct cof_host *h = ws->host;
  ws->m_subscribers =
      cof_metric(h, COF_GAUGE, "subscribers", "subscribers", "Subscribers connected.");
  ws->m_connections =
      cof_metric(h, COF_COUNTER, "subscriptions", "subscribers", "Subscribers that ever came.");
  ws->m_refused =
      cof_metric(h, COF_COUNTER, "refused", "requests", "Requests to subscribe that were refused.");
  ws->m_sent = cof_metric(h, COF_COUNTER, "sent", "messages", "Messages sent.");
  ws->m_bytes = cof_metric(h, COF_COUNTER, "bytes", "bytes", "Octets of messages sent.");
  ws->m_skipped = cof_metric(h, COF_COUNTER, "skipped", "messages",
                             "Messages that subscribers were too slow for, with overflow = skip.");
  ws->m_dropped = cof_metric(h, COF_COUNTER, "dropped", "messages",
                             "Messages that waited for a subscriber whose connection ended.");
  ws->m_disconnected = cof_metric(h, COF_COUNTER, "disconnected", "subscribers",
                                  "Subscribers disconnected because they were too slow.");
  ws->m_missed = cof_metric(h, COF_COUNTER, "missed", "records",
                            "Records that were stored faster than they could be prepared.");
  ws->m_backlog = cof_metric(h, COF_GAUGE, "backlog", "bytes", "Octets waiting for subscribers.");
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  const struct conf *c = conf;
  struct ws *ws = calloc(1, sizeof *ws);
  if (ws == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  ws->host = host;
  ws->conf = *c;
  ws->feed = (struct feed){.host = host,
                           .origin = c->origin,
                           .origin_len = c->origin != NULL ? strlen(c->origin) : 0,
                           .node = cof_node(host)};
  ws->handoffs_end = &ws->handoffs;
  pthread_mutex_init(&ws->lock, NULL);
  make_metrics(ws);
  *self = ws;
  return COF_OK;
}

/* @return false: one of them cannot be used, and the log says why; `tokens` and `tls` are NULL */
static bool read_files(const struct ws *ws, const struct conf *c, struct tokens **tokens,
                       struct ssl_ctx_st **tls)
{
  struct cof_error err;
  *tls = NULL;
  *tokens = c->tokens != NULL ? tokens_read(c->tokens, &err) : NULL;
  if (c->tokens != NULL && *tokens == NULL) {
    cof_log(ws->host, COF_LOG_ERROR, "tokens: %s", err.text);
    return false;
  }
  if (c->certificate != NULL && (*tls = tls_read(ws->host, c)) == NULL) {
    tokens_free(tokens);
    return false;
  }
  return true;
}

static enum cof_result start(void *self)
{
  struct ws *ws = self;
  if (!read_files(ws, &ws->conf, &ws->tokens, &ws->tls))
    return COF_FATAL;
  ws->secure = ws->tls != NULL;
  /* Of all contexts of this process; what matters is told by the instance itself. */
  lws_set_log_level(0, NULL);
  return server_start(ws) ? COF_OK : COF_FATAL;
}

/* Who is connected stays so; who comes is asked for the new tokens and shown the new certificate.
 */
static enum cof_result reload(void *self, const void *conf)
{
  struct ws *ws = self;
  const struct conf *c = conf;
  struct tokens *tokens, *old_tokens;
  struct ssl_ctx_st *tls, *old_tls;
  if ((c->certificate != NULL) != ws->secure) {
    cof_log(ws->host, COF_LOG_ERROR, "certificate: TLS is switched on and off by a restart only");
    return COF_REJECT;
  }
  if (!read_files(ws, c, &tokens, &tls))
    return COF_REJECT;
  pthread_mutex_lock(&ws->lock);
  old_tokens = ws->tokens;
  ws->tokens = tokens;
  old_tls = ws->tls;
  ws->tls = tls;
  pthread_mutex_unlock(&ws->lock);
  tokens_free(&old_tokens);
  tls_free(&old_tls);
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  return server_stop(self, deadline_ns) ? COF_OK : COF_TIMEOUT;
}

static void destroy(void *self)
{
  struct ws *ws = self;
  if (ws == NULL)
    return;
  handoff_free_all(ws);
  tokens_free(&ws->tokens);
  tls_free(&ws->tls);
  pthread_mutex_destroy(&ws->lock);
  free(ws->out);
  free(ws);
}

static const struct cof_output_ops ops = {.struct_size = sizeof(struct cof_output_ops),
                                          .stored = handoff_stored};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_OUTPUT,
    .name = "cof-ws",
    .version = PACKAGE_VERSION,
    .summary = "Live feed of what is stored, as COF records over websockets",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops};
