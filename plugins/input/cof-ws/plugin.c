/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "headers_private.h"
#include "service_private.h"

static const char *const counts_choices[] = {"add", "total", NULL};

static const struct cof_option options[] = {
    {.name = "url",
     .help = "Websockets to subscribe to: ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH; at most "
             "64, as one thread serves them.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI,
     COF_FIELD(struct conf, url)},
    {.name = "counts",
     .help = "add: a count is so many new observations; total: so many up to now, and the larger "
             "of it and the stored one is kept.",
     .dflt = "add",
     .type = COF_OPT_ENUM,
     .choices = counts_choices,
     COF_FIELD(struct conf, counts)},
    {.name = "sensor_id",
     .help = "Sensor of records that name none; at most 255 octets.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, sensor_id)},
    {.name = "ca_file",
     .help = "PEM file of the authorities to trust for wss://, and no others; those of the system "
             "where absent.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, ca_file)},
    {.name = "insecure",
     .help = "Take any certificate, whoever made it and for whatever host: no protection against "
             "forgery.",
     .dflt = "no",
     .type = COF_OPT_BOOL,
     COF_FIELD(struct conf, insecure)},
    {.name = "user",
     .help = "User for basic authentication; needs password or password_file.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, user)},
    {.name = "password",
     .help = "Password of user.",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct conf, password)},
    {.name = "password_file",
     .help = "File that holds the password in its first line, read for each connection.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, password_file)},
    {.name = "token",
     .help = "Bearer token to log in with.",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct conf, token)},
    {.name = "token_file",
     .help = "File that holds the bearer token in its first line, read for each connection.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, token_file)},
    {.name = "header",
     .help = "Further header fields of the request, NAME: VALUE; at most 16 KiB with all others.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI,
     COF_FIELD(struct conf, header)},
    {.name = "header_file",
     .help = "File of further header fields, one a line, for those that hold secrets; read for "
             "each connection.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, header_file)},
    {.name = "subprotocol",
     .help = "Subprotocols to offer, in order of preference; at most 16.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI,
     COF_FIELD(struct conf, subprotocol)},
    {.name = "proxy",
     .help = "HTTP proxy to go through, by CONNECT; none where absent, whatever the environment "
             "says.",
     .type = COF_OPT_ADDR,
     COF_FIELD(struct conf, proxy)},
    {.name = "proxy_user",
     .help = "User for the proxy; needs proxy_password or proxy_password_file.",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, proxy_user)},
    {.name = "proxy_password",
     .help = "Password of proxy_user; both together have at most 92 octets.",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct conf, proxy_password)},
    {.name = "proxy_password_file",
     .help = "File that holds the password of proxy_user in its first line, read at the start.",
     .type = COF_OPT_PATH,
     COF_FIELD(struct conf, proxy_password_file)},
    {.name = "max_message",
     .help = "Longest message; longer ones are rejected. Bounds memory.",
     .dflt = "1M",
     .type = COF_OPT_BYTES,
     .min = 1024,
     .max = INT64_C(64) << 20,
     COF_FIELD(struct conf, max_message)},
    {.name = "batch_records",
     .help = "Records after which a batch is handed on.",
     .dflt = "4096",
     .type = COF_OPT_INT,
     .min = 1,
     .max = 65536,
     .unit = "records",
     COF_FIELD(struct conf, batch_records)},
    {.name = "batch_bytes",
     .help = "Memory of a batch after which it is handed on.",
     .dflt = "4M",
     .type = COF_OPT_BYTES,
     .min = 65536,
     .max = INT64_C(256) << 20,
     COF_FIELD(struct conf, batch_bytes)},
    {.name = "batch_time",
     .help = "Time after which a batch is handed on though it is not full.",
     .dflt = "200ms",
     .type = COF_OPT_DURATION,
     .min = 1,
     .max = 3600000,
     COF_FIELD(struct conf, batch_time)},
    {.name = "connect_timeout",
     .help = "How long connecting may take, up to the answer to the handshake.",
     .dflt = "10s",
     .type = COF_OPT_DURATION,
     .min = 100,
     .max = 600000,
     COF_FIELD(struct conf, connect_timeout)},
    {.name = "ping_interval",
     .help = "After so long a silence of the server a ping is sent; 0: never.",
     .dflt = "30s",
     .type = COF_OPT_DURATION,
     .max = 86400000,
     COF_FIELD(struct conf, ping_interval)},
    {.name = "idle_timeout",
     .help = "After so long a silence, pings included, a connection is given up; 0: never.",
     .dflt = "90s",
     .type = COF_OPT_DURATION,
     .max = 86400000,
     COF_FIELD(struct conf, idle_timeout)},
    {.name = "reconnect_min",
     .help = "Shortest pause before connecting again.",
     .dflt = "1s",
     .type = COF_OPT_DURATION,
     .min = 10,
     .max = 3600000,
     COF_FIELD(struct conf, reconnect_min)},
    {.name = "reconnect_max",
     .help = "Longest pause before connecting again.",
     .dflt = "60s",
     .type = COF_OPT_DURATION,
     .min = 10,
     .max = 3600000,
     COF_FIELD(struct conf, reconnect_max)},
    {.name = NULL}};

/* --- checking --------------------------------------------------------------------------------- */

/* Collects whether anything was wrong. */
struct checking {
  struct cof_diag *diag;
  enum cof_result result;
};

static void wrong(struct checking *k, bool condition, const char *option, const char *what)
{
  if (!condition)
    return;
  cof_diag_error(k->diag, option, "%s", what);
  k->result = COF_REJECT;
}

static void check_urls(struct checking *k, const struct conf *c)
{
  struct texts urls;
  bool tls = false;
  wrong(k, c->url.count == 0, "url",
        "none is given; name a websocket, ws://HOST[:PORT]/PATH or "
        "wss://HOST[:PORT]/PATH");
  if (!texts_join(&c->url, texts_begin_url, ",", &urls)) {
    wrong(k, true, "url", "out of memory");
    return;
  }
  wrong(k, urls.count > WS_URLS_MAX, "url", "more than 64 are given; make another instance");
  for (size_t i = 0; i < urls.count; i++) {
    struct ws_url url;
    struct cof_error err;
    if (ws_url_parse(urls.items[i], &url, &err) != COF_OK) {
      cof_diag_error(k->diag, "url", "number %zu %s", i + 1, err.text);
      k->result = COF_REJECT;
    }
    tls |= url.tls;
  }
  texts_free(&urls);
  wrong(k, c->ca_file != NULL && !tls, "ca_file", "is of use with wss:// only");
  wrong(k, c->insecure && !tls, "insecure", "is of use with wss:// only");
  wrong(k, c->ca_file != NULL && c->insecure, "ca_file", "is not looked at with insecure = yes");
}

static void check_login(struct checking *k, const struct conf *c)
{
  wrong(k, c->user != NULL && (c->password == NULL) == (c->password_file == NULL), "user",
        "needs either password or password_file");
  wrong(k, c->user == NULL && c->password != NULL, "password", "needs a user");
  wrong(k, c->user == NULL && c->password_file != NULL, "password_file", "needs a user");
  wrong(k, c->user != NULL && strchr(c->user, ':') != NULL, "user", "may not hold a colon");
  wrong(k, c->user != NULL && strlen(c->user) > SECRET_MAX, "user", "is longer than 4096 octets");
  wrong(k, c->token != NULL && c->token_file != NULL, "token", "give token or token_file");
  wrong(k, c->user != NULL && (c->token != NULL || c->token_file != NULL), "user",
        "is for basic authentication, and token for bearer authentication; give one of them");
}

static void check_headers(struct checking *k, const struct conf *c)
{
  struct texts texts;
  if (!texts_join(&c->header, texts_begin_header, ", ", &texts)) {
    wrong(k, true, "header", "out of memory");
    return;
  }
  for (size_t i = 0; i < texts.count; i++) {
    struct cof_error err;
    if (header_check(texts.items[i], headers_login(c), &err) != COF_OK)
      wrong(k, true, "header", err.text);
  }
  texts_free(&texts);
}

/* Each has to be a token, as the name of a header field is. */
static void check_subprotocols(struct checking *k, const struct conf *c)
{
  wrong(k, c->subprotocol.count > 16, "subprotocol", "more than 16 are given");
  for (size_t i = 0; i < c->subprotocol.count; i++) {
    char field[130];
    int n = snprintf(field, sizeof field, "%s:", c->subprotocol.items[i]);
    wrong(k, n < 0 || (size_t)n >= sizeof field || header_name_len(field) != (size_t)n - 1,
          "subprotocol", "is no name of a subprotocol: letters, digits and signs, at most 128");
  }
}

static void check_proxy(struct checking *k, const struct conf *c)
{
  bool proxy = c->proxy.host != NULL, user = c->proxy_user != NULL;
  wrong(k, user && !proxy, "proxy_user", "needs a proxy");
  wrong(k, user && (c->proxy_password == NULL) == (c->proxy_password_file == NULL), "proxy_user",
        "needs either proxy_password or proxy_password_file");
  wrong(k, !user && c->proxy_password != NULL, "proxy_password", "needs a proxy_user");
  wrong(k, !user && c->proxy_password_file != NULL, "proxy_password_file", "needs a proxy_user");
  wrong(k, user && strchr(c->proxy_user, ':') != NULL, "proxy_user", "may not hold a colon");
  wrong(k, proxy && strlen(c->proxy.host) > WS_HOST_MAX, "proxy",
        "has a name of more than 110 octets");
  wrong(k,
        user && c->proxy_password != NULL &&
            strlen(c->proxy_user) + 1 + strlen(c->proxy_password) > PROXY_LOGIN_MAX,
        "proxy_password", "has more than 92 octets together with proxy_user");
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  struct checking k = {.diag = diag, .result = COF_OK};
  check_urls(&k, c);
  check_login(&k, c);
  check_headers(&k, c);
  check_subprotocols(&k, c);
  check_proxy(&k, c);
  wrong(&k, c->sensor_id != NULL && strlen(c->sensor_id) > COF_SENSOR_MAX, "sensor_id",
        "is longer than 255 octets");
  wrong(&k, c->reconnect_min > c->reconnect_max, "reconnect_min", "is above reconnect_max");
  wrong(&k, c->idle_timeout > 0 && c->ping_interval >= c->idle_timeout, "ping_interval",
        "is not below idle_timeout, so that no ping could be answered in time");
  return k.result;
}

/* --- life ------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
  service_free(self);
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct service *s = calloc(1, sizeof *s);
  if (s == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  s->host = host;
  s->conf = conf;
  atomic_init(&s->stopping, false);
  if (service_build(s) != COF_OK) {
    service_free(s);
    return COF_FATAL;
  }
  *self = s;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  return service_start(self);
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  struct service *s = self;
  if (service_stop(s, deadline_ns))
    return COF_OK;
  cof_log(s->host, COF_LOG_WARNING, "looking up a name does not end in time");
  return COF_TIMEOUT;
}

static void ack(void *self, uint64_t token, enum cof_result result)
{
  (void)self; /* a websocket has nothing to take a message off */
  (void)token;
  (void)result;
}

static const struct cof_input_ops ops = {.struct_size = sizeof ops, .ack = ack};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_INPUT,
    .name = "cof-ws",
    .version = "0.1.0",
    .summary = "subscribes to COF records of websockets",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops,
};
