/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "store_private.h"

#include <stdlib.h>
#include <string.h>

#define HOST_MAX 256

bool expiry_parse(const char *text, struct expiry *out)
{
  const char *colon = strchr(text, ':');
  if (colon == NULL || !cof_rrtype_parse(text, (size_t)(colon - text), &out->rrtype))
    return false;
  char *end;
  if (colon[1] < '0' || colon[1] > '9')
    return false;
  long long n = strtoll(colon + 1, &end, 10);
  out->seconds = n;
  return *end == '\0' && n >= 1 && n <= EXPIRE_SECONDS;
}

static void check_servers(const struct conf *conf, const struct flavour *flavour,
                          struct cof_diag *diag, bool *good)
{
  char host[HOST_MAX];
  uint16_t port;
  for (size_t i = 0; i < conf->server.count; i++) {
    if (resp_endpoint_parse(conf->server.items[i], flavour->port, host, sizeof host, &port))
      continue;
    cof_diag_error(diag, "server", "'%s' is no address; expected host:port or [IPv6]:port",
                   conf->server.items[i]);
    *good = false;
  }
}

/* The type that an entry begins with is in an earlier one already. */
static bool is_there_already(const struct conf *conf, size_t at, const struct expiry *e)
{
  struct expiry other;
  for (size_t i = 0; i < at; i++)
    if (expiry_parse(conf->expire.items[i], &other) && other.rrtype == e->rrtype)
      return true;
  return false;
}

static void check_expire(const struct conf *conf, struct cof_diag *diag, bool *good)
{
  for (size_t i = 0; i < conf->expire.count; i++) {
    struct expiry e;
    const char *item = conf->expire.items[i];
    bool parsed = expiry_parse(item, &e), twice = parsed && is_there_already(conf, i, &e);
    if (!parsed)
      cof_diag_error(diag, "expire",
                     "'%s': expected a type, a colon and 1 to 3153600000 seconds, as in TXT:24000",
                     item);
    else if (twice)
      cof_diag_error(diag, "expire", "'%s': this type is there twice; expected it once", item);
    *good = *good && parsed && !twice;
  }
}

/* A rule across options, and what to say when it is broken. */
struct rule {
  bool broken;
  const char *option, *text;
};

enum cof_result conf_check(const struct conf *conf, const struct flavour *flavour,
                           struct cof_diag *diag)
{
  bool good = true, cluster = conf->mode == RESP_CLUSTER, sentinel = conf->mode == RESP_SENTINEL;
  const struct rule rules[] = {
      {conf->socket != NULL && conf->server.count != 0, "socket",
       "goes in place of server; remove one of the two"},
      {conf->socket != NULL && conf->mode != RESP_STANDALONE, "socket", "is for mode = standalone"},
      {conf->socket != NULL && conf->tls, "tls", "is not for a socket"},
      {sentinel && conf->master == NULL, "master", "is needed with mode = sentinel"},
      {!sentinel && conf->master != NULL, "master", "is for mode = sentinel"},
      {!sentinel && conf->sentinel_password != NULL, "sentinel_password", "is for mode = sentinel"},
      {cluster && conf->database != 0, "database", "is 0 in a cluster; there is no other"},
      {conf->user != NULL && conf->password == NULL, "user", "needs a password"},
      {conf->tls && !resp_has_tls(), "tls", "is not in this build; it needs OpenSSL"},
      {!conf->tls && conf->ca_file != NULL, "ca_file", "is for tls = yes"},
  };
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].broken) {
      cof_diag_error(diag, rules[i].option, "%s", rules[i].text);
      good = false;
    }
  check_servers(conf, flavour, diag, &good);
  check_expire(conf, diag, &good);
  return good ? COF_OK : COF_REJECT;
}

static size_t endpoints(const struct store *s, char hosts[RESP_ENDPOINTS_MAX][HOST_MAX],
                        struct resp_endpoint out[RESP_ENDPOINTS_MAX])
{
  const struct conf *conf = s->conf;
  if (conf->socket != NULL)
    return 0;
  if (conf->server.count == 0) {
    out[0] = (struct resp_endpoint){.host = "127.0.0.1", .port = s->flavour->port};
    return 1;
  }
  size_t count = 0;
  for (size_t i = 0; i < conf->server.count && count < RESP_ENDPOINTS_MAX; i++)
    if (resp_endpoint_parse(conf->server.items[i], s->flavour->port, hosts[count], HOST_MAX,
                            &out[count].port)) {
      out[count].host = hosts[count];
      count++;
    }
  return count;
}

struct resp *store_connect(const struct store *s, bool reader, struct cof_error *err)
{
  char hosts[RESP_ENDPOINTS_MAX][HOST_MAX];
  struct resp_endpoint list[RESP_ENDPOINTS_MAX];
  const struct conf *conf = s->conf;
  struct resp_options o = {.mode = (enum resp_mode)conf->mode,
                           .endpoints = list,
                           .endpoints_count = endpoints(s, hosts, list),
                           .unix_path = conf->socket,
                           .master_name = conf->master,
                           .user = conf->user,
                           .password = conf->password,
                           .sentinel_password = conf->sentinel_password,
                           .db = conf->database,
                           .tls = conf->tls,
                           .ca_file = conf->ca_file,
                           .read_replica = reader && conf->read_from == CONF_REPLICA,
                           .kvrocks = s->flavour->kvrocks,
                           .connect_timeout_ms = (int)conf->connect_timeout,
                           .command_timeout_ms = (int)conf->command_timeout,
                           .max_pipeline = (uint32_t)conf->pipeline};
  return resp_create(&o, err);
}
