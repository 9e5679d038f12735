/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "guard_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy_private.h"
#include "rest_private.h"

#define SCOPE_ALL ((unsigned)(SCOPE_QUERY | SCOPE_STATS | SCOPE_ADMIN))
/* Most octets of the headers in which proxies name their clients; what is before is not looked at.
 */
#define FORWARDED_MAX 2048

/* --- making --------------------------------------------------------------------------------- */

static enum cof_result read_scopes(struct guard *g, const struct rest_conf *conf,
                                   struct cof_error *err)
{
  g->anonymous = conf->users == NULL && conf->anonymous.count == 0 ? SCOPE_ALL : 0;
  for (size_t i = 0; i < conf->anonymous.count; i++) {
    const char *word = conf->anonymous.items[i];
    enum cof_result r = scope_parse(word, strlen(word), &g->anonymous, err);
    if (r != COF_OK)
      return r;
  }
  return COF_OK;
}

static enum cof_result read_limits(struct guard *g, const struct rest_conf *conf,
                                   struct cof_error *err)
{
  g->limits.quota = (uint64_t)conf->anonymous_quota;
  g->failures =
      (struct limits){.rate = (uint64_t)conf->auth_failures, .period_ns = UINT64_C(60000000000)};
  if (conf->anonymous_rate == NULL || conf->anonymous_rate[0] == '\0')
    return COF_OK;
  return limits_read_rate(&g->limits, conf->anonymous_rate, err);
}

/* All but the log, which is made only where nothing else is wrong. */
static enum cof_result read_all(struct guard *g, const struct rest_conf *conf,
                                const struct guard *before, const char **option,
                                struct cof_error *err)
{
  enum cof_result r;
  *option = "allow";
  if ((r = acl_read(&g->allow, &conf->allow, err)) != COF_OK)
    return r;
  *option = "deny";
  if ((r = acl_read(&g->deny, &conf->deny, err)) != COF_OK)
    return r;
  *option = "trusted_proxies";
  if ((r = acl_read(&g->proxies, &conf->trusted_proxies, err)) != COF_OK)
    return r;
  *option = "cors_origin";
  if ((r = cors_check(&conf->cors_origin, err)) != COF_OK)
    return r;
  *option = "anonymous";
  if ((r = read_scopes(g, conf, err)) != COF_OK)
    return r;
  *option = "anonymous_rate";
  if ((r = read_limits(g, conf, err)) != COF_OK)
    return r;
  *option = "users";
  if (conf->users == NULL)
    return COF_OK;
  g->users = users_read(conf->users, before != NULL ? before->users : NULL, err);
  return g->users != NULL ? COF_OK : COF_REJECT;
}

static bool has_limits(const struct limits *l)
{
  return l->rate != 0 || l->quota != 0;
}

/* Meters of addresses are made when they are first needed, and live as long as the instance. */
static enum cof_result make_meters(struct rest *rest, const struct guard *g, struct cof_error *err)
{
  size_t count = (size_t)rest->conf->tracked_addresses;
  if (has_limits(&g->limits) && rest->addresses == NULL)
    rest->addresses = addresses_create(count);
  if (g->users != NULL && g->failures.rate != 0 && rest->failures == NULL)
    rest->failures = addresses_create(count);
  bool ok = (!has_limits(&g->limits) || rest->addresses != NULL) &&
            (g->users == NULL || g->failures.rate == 0 || rest->failures != NULL);
  return ok ? COF_OK : cof_fail(err, COF_FATAL, "out of memory");
}

/* The list in the configuration may go away before the last answer does. */
static enum cof_result copy_origins(struct guard *g, const struct cof_list *list,
                                    struct cof_error *err)
{
  if (list->count == 0)
    return COF_OK;
  g->origins = calloc(list->count, sizeof(char *));
  if (g->origins == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  for (size_t i = 0; i < list->count; i++) {
    g->origins[i] = strdup(list->items[i]);
    if (g->origins[i] == NULL)
      return cof_fail(err, COF_FATAL, "out of memory");
    g->origins_count++;
  }
  return COF_OK;
}

static void guard_clear(struct guard *g)
{
  acl_clear(&g->allow);
  acl_clear(&g->deny);
  acl_clear(&g->proxies);
  users_destroy(&g->users);
  access_log_close(&g->log);
  for (size_t i = 0; i < g->origins_count; i++)
    free(g->origins[i]);
  free(g->origins);
}

enum cof_result guard_create(struct rest *rest, const struct rest_conf *conf,
                             const struct guard *before, struct guard **guard, const char **option,
                             struct cof_error *err)
{
  struct guard *g = calloc(1, sizeof *g);
  *guard = NULL;
  *option = "users";
  if (g == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  enum cof_result r = read_all(g, conf, before, option, err);
  if (r == COF_OK)
    r = make_meters(rest, g, err);
  if (r == COF_OK && conf->access_log != NULL) {
    *option = "access_log";
    g->log = access_log_open(rest->host, conf->access_log,
                             (enum access_format)conf->access_log_format, err);
    r = g->log != NULL ? COF_OK : COF_REJECT;
  }
  *option = r == COF_OK ? "cors_origin" : *option;
  if (r == COF_OK)
    r = copy_origins(g, &conf->cors_origin, err);
  g->forwarded = conf->proxy_header == 1;
  g->hidden = conf->access_log_query == 1;
  g->screens = g->users != NULL || g->anonymous != SCOPE_ALL || has_limits(&g->limits) ||
               g->allow.count > 0 || g->deny.count > 0;
  if (r != COF_OK || (!g->screens && g->log == NULL && g->origins_count == 0))
    guard_destroy(&g);
  *guard = g;
  return r;
}

void guard_destroy(struct guard **guard)
{
  struct guard *g = *guard;
  *guard = NULL;
  if (g == NULL)
    return;
  guard_clear(g);
  free(g);
}

void guard_check(const struct rest_conf *conf, struct cof_diag *diag, bool *wrong)
{
  struct guard g = {0};
  struct cof_error err;
  const char *option;
  enum cof_result r = read_all(&g, conf, NULL, &option, &err);
  if (r == COF_OK && conf->access_log != NULL) {
    option = "access_log";
    r = access_log_check(conf->access_log, &err);
  }
  if (r != COF_OK) {
    cof_diag_error(diag, option, "%s", err.text);
    *wrong = true;
  }
  guard_clear(&g);
}

/* --- who asks ------------------------------------------------------------------------------- */

/* Lines of one header, joined by commas. What is too long loses its beginning, which is what the
   proxies that are trusted did not write. */
struct joined {
  const char *name;
  size_t len;
  char text[FORWARDED_MAX];
};

static enum MHD_Result join(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
  struct joined *j = cls;
  (void)kind;
  if (strcasecmp(key, j->name) != 0 || value == NULL)
    return MHD_YES;
  size_t len = strlen(value), most = sizeof j->text - 2;
  if (len > most) {
    value += len - most;
    len = most;
  }
  if (j->len + 1 + len > most) {
    size_t drop = j->len + 1 + len - most;
    drop = drop < j->len ? drop : j->len;
    memmove(j->text, j->text + drop, j->len - drop);
    j->len -= drop;
  }
  if (j->len > 0)
    j->text[j->len++] = ',';
  memcpy(j->text + j->len, value, len);
  j->len += len;
  return MHD_YES;
}

static void find_client(const struct guard *g, struct MHD_Connection *connection,
                        struct cof_addr *addr)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (!addr_of_socket(info != NULL ? info->client_addr : NULL, addr) || !acl_has(&g->proxies, addr))
    return;
  struct joined j;
  j.name = g->forwarded ? "Forwarded" : "X-Forwarded-For";
  j.len = 0;
  (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, join, &j);
  j.text[j.len] = '\0';
  proxy_client(j.text, g->forwarded, &g->proxies, addr);
}

static void refuse(struct visit *v, unsigned status, const char *why, uint64_t wait_s)
{
  v->status = status;
  v->why = why;
  v->wait_s = wait_s;
}

static struct instant now_of(struct rest *rest)
{
  return (struct instant){cof_clock_ns(rest->host), (int64_t)time(NULL)};
}

/* Credentials that are wrong. What the clients of DNSDB expect is not what others do. */
static void refuse_unknown(struct visit *v)
{
  if (v->access->dnsdb)
    refuse(v, MHD_HTTP_FORBIDDEN, "Provided API key is not valid.", 0);
  else
    refuse(v, MHD_HTTP_UNAUTHORIZED, "wrong credentials", 0);
}

static void prove(struct rest *rest, struct visit *v, const struct credentials *c)
{
  const struct guard *g = v->guard;
  struct instant now = now_of(rest);
  struct remainder left;
  if (g->failures.rate != 0 &&
      addresses_take(rest->failures, &v->client, &g->failures, now, 0, &left) != VERDICT_OK) {
    refuse(v, MHD_HTTP_TOO_MANY_REQUESTS, "too many wrong credentials from this address",
           left.wait_s);
    return;
  }
  switch (users_prove(g->users, c, &v->user)) {
  case PROOF_BUSY:
    refuse(v, MHD_HTTP_SERVICE_UNAVAILABLE, "too many passwords are being checked", 1);
    return;
  case PROOF_WRONG:
    cof_add(rest->host, rest->metrics.denied, 1);
    if (g->failures.rate != 0)
      (void)addresses_take(rest->failures, &v->client, &g->failures, now, 1, &left);
    refuse_unknown(v);
    return;
  default:
    break;
  }
  if (v->user->expires != 0 && now.utc >= v->user->expires) {
    refuse(v, MHD_HTTP_UNAUTHORIZED, "these credentials have expired", 0);
    return;
  }
  v->scopes = v->user->scopes;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void authenticate(struct rest *rest, struct visit *v, struct MHD_Connection *connection)
{
  const char *authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
  const char *api_key = header(connection, "X-API-Key");
  v->scopes = v->guard->anonymous;
  if (v->guard->users == NULL || (authorization == NULL && api_key == NULL))
    return;
  struct credentials c;
  credentials_read(&c, authorization, api_key);
  prove(rest, v, &c);
  secret_wipe(&c, sizeof c);
}

/* Whether he has the scope that the path asks for. */
static void authorise(struct visit *v)
{
  unsigned lacks = v->access->scope & ~v->scopes;
  if (lacks == 0)
    return;
  if (v->user == NULL && v->access->dnsdb)
    refuse(v, MHD_HTTP_FORBIDDEN, "Provided API key is not valid.", 0);
  else if (v->user == NULL && v->guard->users != NULL)
    refuse(v, MHD_HTTP_UNAUTHORIZED, "credentials needed: a name and password, or an API key", 0);
  else
    refuse(v, MHD_HTTP_FORBIDDEN,
           (lacks & SCOPE_QUERY) != 0   ? "not allowed: the scope query is needed"
           : (lacks & SCOPE_STATS) != 0 ? "not allowed: the scope stats is needed"
                                        : "not allowed: the scope admin is needed",
           0);
}

/* --- quota ---------------------------------------------------------------------------------- */

static const struct limits *limits_of(const struct visit *v)
{
  return v->user != NULL ? &v->user->limits : &v->guard->limits;
}

/* Take from the account of a user, or of an address. */
static enum verdict take(struct rest *rest, struct visit *v, uint64_t requests)
{
  struct limits limits = *limits_of(v);
  const struct limits *l = &limits;
  struct instant now = now_of(rest);
  if (v->user == NULL)
    return addresses_take(rest->addresses, &v->client, l, now, requests, &v->left);
  if (v->under_way)
    limits.concurrent = 0; /* this request itself is one of them */
  struct account *account = v->user->account;
  pthread_mutex_lock(&account->lock);
  enum verdict verdict = meter_take(&account->meter, l, now, requests, &v->left);
  if (verdict == VERDICT_OK && requests > 0 && l->concurrent != 0 && !v->under_way) {
    account->meter.under_way++;
    v->under_way = true;
  }
  pthread_mutex_unlock(&account->lock);
  return verdict;
}

static void meter(struct rest *rest, struct visit *v)
{
  const struct limits *l = limits_of(v);
  v->metered = has_limits(l);
  if (!v->access->counted || (!v->metered && l->concurrent == 0))
    return;
  switch (take(rest, v, 1)) {
  case VERDICT_OK:
    return;
  case VERDICT_RATE:
    refuse(v, MHD_HTTP_TOO_MANY_REQUESTS, "too many requests: the rate is used up", v->left.wait_s);
    break;
  case VERDICT_QUOTA:
    refuse(v, MHD_HTTP_TOO_MANY_REQUESTS, "too many requests: the quota of this day is used up",
           v->left.wait_s);
    break;
  case VERDICT_CONCURRENT:
    refuse(v, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at once", v->left.wait_s);
    break;
  }
  cof_add(rest->host, rest->metrics.throttled, 1);
}

/* --- the request ---------------------------------------------------------------------------- */

static bool let_in(const struct guard *g, const struct cof_addr *client)
{
  return !acl_has(&g->deny, client) && (g->allow.count == 0 || acl_has(&g->allow, client));
}

static void screen(struct rest *rest, struct visit *v, struct MHD_Connection *connection)
{
  if (!let_in(v->guard, &v->client)) {
    refuse(v, MHD_HTTP_FORBIDDEN, "requests from this address are not let in", 0);
    return;
  }
  v->scopes = v->guard->anonymous;
  if (v->preflight)
    return;
  authenticate(rest, v, connection);
  if (v->access->scope == 0) {
    refuse(v, 0, NULL, 0); /* who he is may show more, but keeps nobody out */
    return;
  }
  if (v->status == 0)
    authorise(v);
  if (v->status == 0)
    meter(rest, v);
}

void guard_admit(struct rest *rest, struct visit *v, struct MHD_Connection *connection,
                 const char *url, const char *method, const char *version)
{
  const struct guard *g = v->guard;
  v->access = access_of(url);
  v->method = method;
  v->version = version;
  v->preflight = cors_preflight(g, connection, method);
  find_client(g, connection, &v->client);
  if (g->log != NULL)
    v->target = access_target(connection, url, g->hidden);
  if (g->screens)
    screen(rest, v, connection);
  else
    v->scopes = SCOPE_ALL;
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
  return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_number(struct MHD_Response *response, const char *name, uint64_t value)
{
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  return add(response, name, text);
}

/* Of the daily quota where there is one, else of the rate. */
static bool add_limits(const struct visit *v, struct MHD_Response *response)
{
  const struct limits *l = limits_of(v);
  const struct remainder *left = &v->left;
  if (l->quota != 0)
    return add_number(response, "X-RateLimit-Limit", l->quota) &&
           add_number(response, "X-RateLimit-Remaining", left->quota) &&
           add_number(response, "X-RateLimit-Reset", (uint64_t)left->reset);
  uint64_t missing = l->rate - (left->rate < l->rate ? left->rate : l->rate);
  uint64_t refill = missing * (l->period_ns / l->rate) / UINT64_C(1000000000) + (missing != 0);
  return add_number(response, "X-RateLimit-Limit", l->rate) &&
         add_number(response, "X-RateLimit-Remaining", left->rate) &&
         add_number(response, "X-RateLimit-Reset", (uint64_t)time(NULL) + refill);
}

bool guard_headers(const struct visit *v, struct MHD_Connection *connection,
                   struct MHD_Response *response, unsigned status)
{
  bool ok = cors_headers(v->guard, connection, response, v->preflight);
  if (ok && v->metered && v->access->counted)
    ok = add_limits(v, response);
  if (ok && v->wait_s != 0)
    ok = add_number(response, MHD_HTTP_HEADER_RETRY_AFTER, v->wait_s);
  if (ok && status == MHD_HTTP_UNAUTHORIZED)
    ok = add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
             "Basic realm=\"cofd\", charset=\"UTF-8\"") &&
         add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"cofd\"");
  return ok;
}

void guard_leave(struct visit *v, unsigned status, uint64_t bytes, uint64_t records,
                 uint64_t duration_ns)
{
  if (v->guard == NULL)
    return;
  if (v->under_way) {
    struct account *account = v->user->account;
    pthread_mutex_lock(&account->lock);
    account->meter.under_way--;
    pthread_mutex_unlock(&account->lock);
  }
  if (v->guard->log != NULL) {
    const struct access_line line = {
        .client = &v->client,
        .user = v->user != NULL ? v->user->name : "",
        .method = v->method,
        .version = v->version,
        .target = v->target != NULL ? v->target : "-",
        .status = status,
        .bytes = bytes,
        .records = records,
        .duration_ns = duration_ns,
    };
    access_log_write(v->guard->log, &line);
  }
  free(v->target);
  memset(v, 0, sizeof *v);
}

/* --- for handlers --------------------------------------------------------------------------- */

const char *auth_name(const struct answer *answer)
{
  return answer->visit.user != NULL ? answer->visit.user->name : "";
}

bool auth_has(const struct answer *answer, unsigned scopes)
{
  return answer->visit.guard == NULL || (scopes & ~answer->visit.scopes) == 0;
}

void auth_quota(const struct answer *answer, struct quota_view *view)
{
  struct visit v = answer->visit;
  memset(view, 0, sizeof *view);
  if (v.guard == NULL)
    return;
  const struct limits *l = limits_of(&v);
  if (has_limits(l))
    (void)take(answer->worker->rest, &v, 0);
  if (l->quota != 0) {
    view->daily = true;
    view->limit = l->quota;
    view->remaining = v.left.quota;
    view->reset = v.left.reset;
  }
  if (l->rate != 0) {
    uint64_t seconds = l->period_ns / UINT64_C(1000000000);
    view->rated = true;
    view->burst_size = l->rate;
    view->burst_window = seconds != 0 ? seconds : 1;
  }
  view->expires = v.user != NULL ? v.user->expires : 0;
}

bool auth_charge(struct answer *answer, uint64_t requests)
{
  struct visit *v = &answer->visit;
  if (v->guard == NULL || requests == 0 || !has_limits(limits_of(v)))
    return true;
  enum verdict verdict = take(answer->worker->rest, v, requests);
  v->wait_s = verdict == VERDICT_OK ? 0 : v->left.wait_s;
  return verdict == VERDICT_OK;
}
