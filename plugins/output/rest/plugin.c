/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "rest_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

static const char *const ip_query_words[] = {"exact", "pivot", NULL};
static const char *const proxy_header_words[] = {"x-forwarded-for", "forwarded", NULL};
static const char *const access_log_format_words[] = {"common", "json", NULL};
static const char *const access_log_query_words[] = {"full", "hidden", NULL};
static const char *const ready_inputs_words[] = {"all", "any", "none", NULL};

static const struct cof_option options[] = {
    {.name = "listen",
     .help = "Address or host name, and port, to serve on; port 0 takes a free one, which the log "
             "tells.",
     .dflt = "127.0.0.1:8400",
     .type = COF_OPT_ADDR,
     COF_FIELD(struct rest_conf, listen)},
    {.name = "origin",
     .help = "Value of the field origin in every record: who answers, often a URL; UTF-8, at most "
             "1024 octets.",
     .dflt = "origin not configured",
     .type = COF_OPT_STR,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, origin)},
    {.name = "ip_query",
     .help = "What /query/ADDRESS answers: exact, the records whose rdata is the address; pivot, "
             "as /fquery/ADDRESS, all records of every name that has it.",
     .dflt = "exact",
     .type = COF_OPT_ENUM,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, ip_query),
     .choices = ip_query_words},
    {.name = "gzip",
     .help = "Compress bodies over 256 octets for clients that accept it.",
     .dflt = "yes",
     .type = COF_OPT_BOOL,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, gzip)},
    {.name = "max_records",
     .help = "Most records in one answer; one that is cut says so by X-Cofd-Limited. 0: no bound.",
     .dflt = "1000000",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, max_records),
     .min = 0,
     .max = INT64_C(1000000000000),
     .unit = "records"},
    {.name = "dnsdb_limit",
     .help = "Results of a look-up under /dnsdb/v2/ whose client names no limit.",
     .dflt = "10000",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, dnsdb.limit),
     .min = 1,
     .max = INT64_C(1000000000000),
     .unit = "results"},
    {.name = "dnsdb_max_limit",
     .help = "Most results of one look-up under /dnsdb/v2/, and what limit=0 means; max_records "
             "bounds it, too.",
     .dflt = "1000000",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, dnsdb.max_limit),
     .min = 1,
     .max = INT64_C(1000000000000),
     .unit = "results"},
    {.name = "dnsdb_max_offset",
     .help = "Highest offset under /dnsdb/v2/; what is left out has to be read all the same.",
     .dflt = "3000000",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, dnsdb.max_offset),
     .min = 0,
     .max = INT64_C(1000000000000),
     .unit = "results"},
    {.name = "dnsdb_any_dnssec",
     .help = "Whether the rrtype ANY, and none, have the types of DNSSEC under /dnsdb/v2/, which "
             "that service leaves to ANY-DNSSEC.",
     .dflt = "no",
     .type = COF_OPT_BOOL,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, dnsdb.any_dnssec)},
    {.name = "dnsdb_scan",
     .help = "Whether rdata/raw under /dnsdb/v2/ may read all records of the storage for what no "
             "index finds, for at most query_timeout.",
     .dflt = "yes",
     .type = COF_OPT_BOOL,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, dnsdb.scan)},
    {.name = "query_timeout",
     .help = "Time from a question to the last record of its answer, after which the answer is cut "
             "off; it bounds how long a slow client holds a cursor of the storage.",
     .dflt = "30s",
     .type = COF_OPT_DURATION,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, query_timeout),
     .min = 10,
     .max = 86400000},
    {.name = "max_connections",
     .help = "Most connections at once, handed to the threads in turn; each may take about "
             "512 KiB while a long answer is sent.",
     .dflt = "1024",
     .type = COF_OPT_INT,
     COF_FIELD(struct rest_conf, max_connections),
     .min = 1,
     .max = 1000000,
     .unit = "connections"},
    {.name = "per_ip_connections",
     .help = "Most connections at once from one address. 0: no bound of its own.",
     .dflt = "0",
     .type = COF_OPT_INT,
     COF_FIELD(struct rest_conf, per_ip_connections),
     .min = 0,
     .max = 1000000,
     .unit = "connections"},
    {.name = "idle_timeout",
     .help = "Time without a sent or received octet after which a connection is closed; counted "
             "in whole seconds, rounded up.",
     .dflt = "60s",
     .type = COF_OPT_DURATION,
     COF_FIELD(struct rest_conf, idle_timeout),
     .min = 1000,
     .max = 3600000},
    {.name = "threads",
     .help = "Threads that serve. 0: as many as there are processors, at most 64.",
     .dflt = "0",
     .type = COF_OPT_INT,
     COF_FIELD(struct rest_conf, threads),
     .min = 0,
     .max = 64,
     .unit = "threads"},
    {.name = "tls_certificate",
     .help = "File with the certificate and its chain (PEM), with which HTTPS is served; read "
             "again by a reload. Without it HTTP is served.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, tls_certificate)},
    {.name = "tls_key",
     .help = "File with the private key of tls_certificate (PEM, without password); others "
             "than its owner and group must not be able to read it.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, tls_key)},
    {.name = "tls_priorities",
     .help = "Versions and ciphers that are offered, as a priority string of GnuTLS.",
     .dflt = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
     .type = COF_OPT_STR,
     COF_FIELD(struct rest_conf, tls_priorities)},
    {.name = "users",
     .help = "File of users and API keys, one a line: NAME HASH [ATTRIBUTE=VALUE]...; read "
             "again by a reload; at most 100000; others than its owner and group must not be "
             "able to read it.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, users)},
    {.name = "anonymous",
     .help = "What those without credentials may: query, stats, admin. Without this option all "
             "of it, or nothing where users is given.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, anonymous),
     .min = 0,
     .max = 3},
    {.name = "anonymous_rate",
     .help = "Rate of requests from one address without credentials, such as 10/s or 600/10m; "
             "IPv6 addresses count by their first 64 bits.",
     .type = COF_OPT_STR,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, anonymous_rate)},
    {.name = "anonymous_quota",
     .help = "Requests a day (UTC) from one address without credentials. 0: no bound.",
     .dflt = "0",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, anonymous_quota),
     .min = 0,
     .max = INT64_C(1000000000000),
     .unit = "requests"},
    {.name = "auth_failures",
     .help = "Wrong credentials a minute from one address, beyond which more are refused "
             "unread. 0: no bound.",
     .dflt = "20",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, auth_failures),
     .min = 0,
     .max = 1000000,
     .unit = "attempts"},
    {.name = "tracked_addresses",
     .help = "Addresses whose rate, quota and wrong credentials are remembered, at about 72 "
             "octets each; beyond it those that asked longest ago are forgotten.",
     .dflt = "65536",
     .type = COF_OPT_INT,
     COF_FIELD(struct rest_conf, tracked_addresses),
     .min = 64,
     .max = 16777216,
     .unit = "addresses"},
    {.name = "allow",
     .help = "Networks from which requests are let in; empty: from anywhere.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_RELOADABLE | COF_OPT_MULTI,
     COF_FIELD(struct rest_conf, allow),
     .min = 0,
     .max = ACL_MAX},
    {.name = "deny",
     .help = "Networks from which requests are refused; goes before allow.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_RELOADABLE | COF_OPT_MULTI,
     COF_FIELD(struct rest_conf, deny),
     .min = 0,
     .max = ACL_MAX},
    {.name = "trusted_proxies",
     .help = "Networks of proxies that are believed when they name the address of their "
             "client.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_RELOADABLE | COF_OPT_MULTI,
     COF_FIELD(struct rest_conf, trusted_proxies),
     .min = 0,
     .max = ACL_MAX},
    {.name = "proxy_header",
     .help = "Header by which trusted proxies do that; only the one that they set themselves "
             "may be named.",
     .dflt = "x-forwarded-for",
     .type = COF_OPT_ENUM,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, proxy_header),
     .choices = proxy_header_words},
    {.name = "cors_origin",
     .help = "Origins of web pages whose scripts may ask (CORS): scheme://host[:port], or * "
             "for all.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_RELOADABLE | COF_OPT_MULTI,
     COF_FIELD(struct rest_conf, cors_origin),
     .min = 0,
     .max = 64},
    {.name = "access_log",
     .help = "File to which a line is appended for each request, opened again by a reload; "
             "log: to the log of cofd.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, access_log)},
    {.name = "access_log_format",
     .help = "Form of these lines: common log format, or JSON.",
     .dflt = "common",
     .type = COF_OPT_ENUM,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, access_log_format),
     .choices = access_log_format_words},
    {.name = "access_log_query",
     .help = "Whether these lines have the questions: full, or hidden, with the path up to the "
             "question only.",
     .dflt = "full",
     .type = COF_OPT_ENUM,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, access_log_query),
     .choices = access_log_query_words},
    {.name = "request_timeout",
     .help = "Time for a client to send a request as a whole, from the connection or the "
             "answer before, however slowly it trickles in.",
     .dflt = "30s",
     .type = COF_OPT_DURATION,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, request_timeout),
     .min = 500,
     .max = 3600000},
    {.name = "answer_timeout",
     .help = "Time from a request to the last octet of its answer, after which the connection "
             "is closed.",
     .dflt = "5m",
     .type = COF_OPT_DURATION,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, answer_timeout),
     .min = 500,
     .max = 86400000},
    {.name = "ready_inputs",
     .help = "Which inputs have to be connected for /readyz: all, any of them, or none; those "
             "that connect to nothing always count as connected.",
     .dflt = "all",
     .type = COF_OPT_ENUM,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, ready_inputs),
     .choices = ready_inputs_words},
    {.name = "cursor_memory",
     .help = "Memory for the cursors that clients page with; each takes some 300 octets and its "
             "place in the storage (up to 128 KiB where that is a Redis in the layout d4). One "
             "client gets at most an eighth of it; the oldest go first.",
     .dflt = "16M",
     .type = COF_OPT_BYTES,
     COF_FIELD(struct rest_conf, cursor_memory),
     .min = 64 * 1024,
     .max = INT64_C(64) << 30},
    {.name = "cursor_expire",
     .help = "Time without use after which a cursor ends.",
     .dflt = "10m",
     .type = COF_OPT_DURATION,
     COF_FIELD(struct rest_conf, cursor_expire),
     .min = 100,
     .max = INT64_C(7) * 86400000},
    {.name = "bulk_items",
     .help = "Most names and addresses in one bulk look-up.",
     .dflt = "1000",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, bulk_items),
     .min = 1,
     .max = 1000000,
     .unit = "questions"},
    {.name = "bulk_bytes",
     .help = "Most octets in the body of a bulk look-up, which is held in memory.",
     .dflt = "256K",
     .type = COF_OPT_BYTES,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, bulk_bytes),
     .min = 1024,
     .max = 64 * 1024 * 1024},
    {.name = "sort_records",
     .help = "Most records in a sorted answer, which is held in memory, up to 64 MiB.",
     .dflt = "10000",
     .type = COF_OPT_INT,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct rest_conf, sort_records),
     .min = 1,
     .max = 1000000,
     .unit = "records"},
    {.name = "stats_records",
     .help = "Most records that the scan behind /api/v1/stats looks at, which counts them by type "
             "and by day; it runs in the background, when it is asked for. 0: no scan.",
     .dflt = "1000000",
     .type = COF_OPT_INT,
     COF_FIELD(struct rest_conf, stats_records),
     .min = 0,
     .max = INT64_C(1000000000000),
     .unit = "records"},
    {.name = "stats_age",
     .help = "Age from which the result of that scan is renewed.",
     .dflt = "1h",
     .type = COF_OPT_DURATION,
     COF_FIELD(struct rest_conf, stats_age),
     .min = 100,
     .max = INT64_C(30) * 86400000},
    {.name = NULL},
};

static enum cof_result check_origin(const char *origin, struct cof_diag *diag)
{
  size_t len = strlen(origin);
  json_t *utf8 = json_string(origin); /* takes nothing but UTF-8 */
  bool readable = utf8 != NULL;
  json_decref(utf8);
  if (!readable)
    cof_diag_error(diag, "origin", "not UTF-8; expected a text in UTF-8");
  else if (len > ORIGIN_MAX)
    cof_diag_error(diag, "origin", "%zu octets; expected at most %d", len, ORIGIN_MAX);
  return readable && len <= ORIGIN_MAX ? COF_OK : COF_REJECT;
}

/* Both files, and whether they belong together. */
static bool check_tls(const struct rest_conf *c, struct cof_diag *diag)
{
  const char *at;
  struct cof_error err;
  if ((c->tls_certificate == NULL) != (c->tls_key == NULL)) {
    cof_diag_error(diag, c->tls_key == NULL ? "tls_certificate" : "tls_key",
                   "without %s; expected both, or none",
                   c->tls_key == NULL ? "tls_key" : "tls_certificate");
    return false;
  }
  if (!tls_priorities_known(c->tls_priorities, &at)) {
    cof_diag_error(diag, "tls_priorities",
                   "not understood from '%.40s' on; expected a priority string of GnuTLS", at);
    return false;
  }
  if (c->tls_certificate == NULL)
    return true;
  struct identity *identity = identity_read(c->tls_certificate, c->tls_key, &err);
  if (identity == NULL)
    cof_diag_error(diag, "tls_certificate", "%s", err.text);
  bool good = identity != NULL;
  identity_drop(&identity);
  return good;
}

static bool check_times(const struct rest_conf *c, struct cof_diag *diag)
{
  if (c->answer_timeout >= c->query_timeout)
    return true;
  cof_diag_error(diag, "answer_timeout",
                 "%lld ms is less than query_timeout = %lld ms; expected at least as much",
                 (long long)c->answer_timeout, (long long)c->query_timeout);
  return false;
}

/* What would be read and do nothing, since another option is missing. */
static bool check_use(const struct rest_conf *c, struct cof_diag *diag)
{
  bool nobody = c->users != NULL && c->anonymous.count == 0;
  const struct {
    const char *option, *needed;
    bool idle;
  } rows[] = {
      {"anonymous_rate", "anonymous, where there are users,", nobody && c->anonymous_rate != NULL},
      {"anonymous_quota", "anonymous, where there are users,", nobody && c->anonymous_quota != 0},
      {"proxy_header", "trusted_proxies", c->trusted_proxies.count == 0 && c->proxy_header != 0},
      {"access_log_format", "access_log", c->access_log == NULL && c->access_log_format != 0},
      {"access_log_query", "access_log", c->access_log == NULL && c->access_log_query != 0},
  };
  bool good = true;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].idle) {
      cof_diag_error(diag, rows[i].option, "is of use with %s only", rows[i].needed);
      good = false;
    }
  return good;
}

static enum cof_result rest_check(const void *conf, struct cof_diag *diag)
{
  const struct rest_conf *c = conf;
  enum cof_result r = check_origin(c->origin, diag);
  if (c->threads > c->max_connections) {
    cof_diag_error(diag, "max_connections",
                   "%lld is less than threads = %lld; expected at least one for each thread",
                   (long long)c->max_connections, (long long)c->threads);
    r = COF_REJECT;
  }
  bool wrong = !check_tls(c, diag);
  wrong |= !check_times(c, diag);
  wrong |= !check_use(c, diag);
  guard_check(c, diag, &wrong);
  return wrong ? COF_REJECT : r;
}

static void make_metrics(struct rest *rest)
{
  static const int64_t latency_us[] = {
      50,     100,    200,    500,     1000,    2000,    5000,     10000,    20000,    50000,
      100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000, 30000000, 60000000, 300000000};
  struct cof_host *host = rest->host;
  struct rest_metrics *m = &rest->metrics;
  m->requests = cof_metric(host, COF_COUNTER, "requests", "requests", "Requests begun.");
  m->ok = cof_metric(host, COF_COUNTER, "answers_2xx", "answers", "Questions answered.");
  m->refused =
      cof_metric(host, COF_COUNTER, "answers_4xx", "answers", "Requests refused as wrong.");
  m->failed = cof_metric(host, COF_COUNTER, "answers_5xx", "answers",
                         "Questions that the storage did not answer.");
  m->records = cof_metric(host, COF_COUNTER, "records", "records", "Records written into answers.");
  m->bytes = cof_metric(host, COF_COUNTER, "bytes", "bytes", "Octets of bodies given to clients.");
  m->limited = cof_metric(host, COF_COUNTER, "limited", "answers", "Answers cut by max_records.");
  m->broken = cof_metric(host, COF_COUNTER, "broken", "answers",
                         "Answers whose connection was closed before their end.");
  m->denied = cof_metric(host, COF_COUNTER, "auth_failed", "requests",
                         "Requests refused for wrong credentials.");
  m->throttled = cof_metric(host, COF_COUNTER, "throttled", "requests",
                            "Requests refused by a rate, a quota or a bound on requests at once.");
  m->slow = cof_metric(host, COF_COUNTER, "slow_clients", "connections",
                       "Connections closed by request_timeout or answer_timeout.");
  m->latency = cof_histogram(host, "request_duration", "us",
                             "Time from the header of a request to the end of its answer.",
                             latency_us, sizeof latency_us / sizeof *latency_us);
  m->active = cof_metric(host, COF_GAUGE, "active", "requests", "Requests being answered.");
}

static bool make_condition(pthread_cond_t *cond)
{
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0)
    return false;
  bool ok =
      pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(cond, &attr) == 0;
  pthread_condattr_destroy(&attr);
  return ok;
}

static enum cof_result rest_create(struct cof_host *host, const void *conf, void **self)
{
  struct rest *rest = calloc(1, sizeof *rest);
  if (rest == NULL)
    goto no_memory;
  rest->host = host;
  rest->conf = conf;
  rest->listen_fd = -1;
  rest->readiness = readiness_create();
  rest->cursors = cursors_create((uint64_t)rest->conf->cursor_memory,
                                 (uint64_t)rest->conf->cursor_expire * UINT64_C(1000000));
  rest->tally = tally_create(rest->conf);
  if (rest->readiness == NULL || rest->cursors == NULL || rest->tally == NULL)
    goto no_memory;
  if (pthread_key_create(&rest->key, NULL) != 0)
    goto no_memory;
  if (pthread_mutex_init(&rest->lock, NULL) != 0)
    goto no_lock;
  if (!make_condition(&rest->idle))
    goto no_condition;
  make_metrics(rest);
  *self = rest;
  return COF_OK;

no_condition:
  pthread_mutex_destroy(&rest->lock);
no_lock:
  pthread_key_delete(rest->key);
no_memory:
  if (rest != NULL) {
    readiness_destroy(&rest->readiness);
    cursors_destroy(&rest->cursors);
    tally_destroy(&rest->tally);
  }
  free(rest);
  cof_log(host, COF_LOG_ERROR, "out of memory or thread keys");
  return COF_FATAL;
}

#define DAY 86400

/* A certificate that ends soon is worth a word, as the next to notice would be the clients. */
static void warn_of_end(struct rest *rest, const struct identity *identity)
{
  int64_t left = identity_expires(identity) - (int64_t)time(NULL);
  if (left <= 0)
    cof_log(rest->host, COF_LOG_WARNING, "tls_certificate: it has expired");
  else if (left < 14 * DAY)
    cof_log(rest->host, COF_LOG_WARNING, "tls_certificate: it expires in %lld days",
            (long long)(left / DAY));
}

static enum cof_result read_identity(struct rest *rest, const struct rest_conf *conf,
                                     struct identity **identity)
{
  struct cof_error err;
  *identity = NULL;
  if (conf->tls_certificate == NULL)
    return COF_OK;
  *identity = identity_read(conf->tls_certificate, conf->tls_key, &err);
  if (*identity == NULL) {
    cof_log(rest->host, COF_LOG_ERROR, "tls_certificate: %s", err.text);
    return COF_FATAL;
  }
  warn_of_end(rest, *identity);
  return COF_OK;
}

static enum cof_result rest_start(void *self)
{
  struct rest *rest = self;
  enum cof_result r = read_identity(rest, rest->conf, &rest->identity);
  if (r == COF_OK)
    rest->settings = settings_create(rest, rest->conf, NULL);
  if (rest->settings == NULL || tally_start(rest) != COF_OK)
    return COF_FATAL;
  return server_start(rest);
}

static enum cof_result rest_reload(void *self, const void *conf)
{
  struct rest *rest = self;
  const struct rest_conf *c = conf;
  struct settings *fresh, *old;
  struct identity *identity;
  if ((c->tls_certificate != NULL) != (rest->identity != NULL)) {
    cof_log(rest->host, COF_LOG_ERROR,
            "tls_certificate was %s; HTTP and HTTPS change places only by a restart",
            c->tls_certificate != NULL ? "added" : "taken away");
    return COF_REJECT;
  }
  if (read_identity(rest, conf, &identity) != COF_OK)
    return COF_REJECT;
  fresh = settings_create(rest, conf, rest->settings);
  if (fresh == NULL) {
    identity_drop(&identity);
    return COF_REJECT;
  }
  pthread_mutex_lock(&rest->lock);
  old = rest->settings;
  rest->settings = fresh;
  struct identity *old_identity = rest->identity;
  rest->identity = identity;
  rest->conf = conf;
  atomic_fetch_add(&rest->generation, 1);
  pthread_mutex_unlock(&rest->lock);
  settings_drop(&old);
  identity_drop(&old_identity);
  return COF_OK;
}

static enum cof_result rest_stop(void *self, uint64_t deadline_ns)
{
  enum cof_result r = server_stop(self, deadline_ns);
  tally_stop(self);
  return r;
}

static void rest_destroy(void *self)
{
  struct rest *rest = self;
  workers_destroy(rest);
  settings_drop(&rest->settings);
  identity_drop(&rest->identity);
  addresses_destroy(&rest->addresses);
  addresses_destroy(&rest->failures);
  readiness_destroy(&rest->readiness);
  cursors_destroy(&rest->cursors);
  tally_destroy(&rest->tally);
  pthread_cond_destroy(&rest->idle);
  pthread_mutex_destroy(&rest->lock);
  pthread_key_delete(rest->key);
  free(rest);
}

static const struct cof_output_ops ops = {.struct_size = sizeof(struct cof_output_ops)};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_OUTPUT,
    .name = "rest",
    .version = PACKAGE_VERSION,
    .summary = "Answers questions over HTTP in the Passive DNS Common Output Format",
    .options = options,
    .conf_size = sizeof(struct rest_conf),
    .check = rest_check,
    .create = rest_create,
    .start = rest_start,
    .reload = rest_reload,
    .stop = rest_stop,
    .destroy = rest_destroy,
    .ops = &ops,
};
