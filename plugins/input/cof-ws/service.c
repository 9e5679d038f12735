/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "service_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "headers_private.h"
#include "lwslog_private.h"
#include "tls_private.h"

/* Octets read at once. At least a whole record of TLS, which is 16 KiB. */
#define READ_SIZE 65536
/* How long to wait for room in the chain before looking at the gauges again. */
#define EMIT_WAIT_MS 200
#define GAUGE_NS     (1000 * MS_NS)
/* How long to wait for servers to answer a good-bye. */
#define LEAVE_NS (500 * MS_NS)
/* Descriptors of the library itself. */
#define SPARE_FDS 8

static const struct lws_protocols protocols[] = {
    {.name = WS_PROTOCOL, .callback = stream_event, .rx_buffer_size = READ_SIZE}, {.name = NULL}};

/* --- making ----------------------------------------------------------------------------------- */

static enum cof_result fatal(struct service *s, const char *what, int why)
{
  cof_log(s->host, COF_LOG_ERROR, "%s: %s", what, strerror(why));
  return COF_FATAL;
}

static void make_metrics(struct service *s)
{
  struct cof_host *h = s->host;
  s->messages = cof_metric(h, COF_COUNTER, "messages", "messages", "Messages received.");
  s->bytes = cof_metric(h, COF_COUNTER, "bytes", "bytes", "Octets of messages received.");
  s->records = cof_metric(h, COF_COUNTER, "records", "records", "Records handed on.");
  s->reconnects = cof_metric(h, COF_COUNTER, "reconnects", "attempts",
                             "Attempts to connect again after a connection was lost or failed.");
  s->too_long = cof_metric(h, COF_COUNTER, "too_long", "messages",
                           "Messages longer than max_message; rejected.");
  s->cut = cof_metric(h, COF_COUNTER, "cut", "messages",
                      "Messages of which a part came before the connection was lost.");
  s->odd_bailiwicks = cof_metric(h, COF_COUNTER, "odd_bailiwicks", "objects",
                                 "Objects read without their bailiwick, which is no zone that "
                                 "their rrname is in.");
  s->connected = cof_metric(h, COF_GAUGE, "connected", "connections", "Connections open.");
  s->silence = cof_metric(h, COF_GAUGE, "seconds_since_message", "seconds",
                          "Seconds since the last message of any of the servers.");
}

static bool make_stream(struct service *s, struct stream *st, const char *text, size_t number)
{
  struct cof_error err;
  char name[48];
  st->service = s;
  st->message.max = (size_t)s->conf->max_message;
  st->backoff.min = (uint64_t)s->conf->reconnect_min;
  st->backoff.max = (uint64_t)s->conf->reconnect_max;
  if (ws_url_parse(text, &st->url, &err) != COF_OK) {
    cof_log(s->host, COF_LOG_ERROR, "url: %s", err.text);
    return false;
  }
  ws_url_show(&st->url, st->shown);
  if (s->streams_count == 1)
    return true;
  snprintf(name, sizeof name, "seconds_since_message_%zu", number + 1);
  st->silence = cof_metric(s->host, COF_GAUGE, name, "seconds",
                           "Seconds since the last message of this address, by its place in url.");
  return true;
}

static enum cof_result make_streams(struct service *s)
{
  struct texts urls;
  if (!texts_join(&s->conf->url, texts_begin_url, ",", &urls))
    return fatal(s, "create", ENOMEM);
  bool ok = (s->streams = calloc(urls.count, sizeof *s->streams)) != NULL;
  s->streams_count = ok ? urls.count : 0;
  if (!ok)
    cof_log(s->host, COF_LOG_ERROR, "out of memory");
  for (size_t i = 0; ok && i < urls.count; i++)
    ok = make_stream(s, &s->streams[i], urls.items[i], i);
  texts_free(&urls);
  return ok ? COF_OK : COF_FATAL;
}

static bool make_subprotocols(struct service *s)
{
  const struct cof_list *list = &s->conf->subprotocol;
  size_t len = 1;
  for (size_t i = 0; i < list->count; i++)
    len += strlen(list->items[i]) + 2;
  if (list->count == 0)
    return true;
  s->subprotocols = calloc(1, len);
  for (size_t i = 0; s->subprotocols != NULL && i < list->count; i++) {
    strcat(s->subprotocols, i > 0 ? ", " : "");
    strcat(s->subprotocols, list->items[i]);
  }
  return s->subprotocols != NULL;
}

static void on_refused(void *arg, uint64_t records, uint64_t line, const char *why)
{
  struct service *s = arg;
  cof_reject(s->host, records, "%s: message %llu, line %llu: %s", s->speaking->shown,
             (unsigned long long)s->speaking->messages, (unsigned long long)line, why);
}

static bool on_starved(void *arg)
{
  return service_starved(arg);
}

static bool on_whole(void *arg, size_t records);

enum cof_result service_build(struct service *s)
{
  s->reader = cof_reader_create(s->conf->counts == 0 ? COF_COUNTS_ADD : COF_COUNTS_TOTAL);
  if (s->reader != NULL)
    cof_reader_set_host(s->reader, s->host);
  if (s->reader == NULL || cof_reader_set_sensor(s->reader, s->conf->sensor_id) != COF_OK ||
      !make_subprotocols(s))
    return fatal(s, "create", ENOMEM);
  s->take = (struct take){.reader = s->reader,
                          .batch = &s->batch,
                          .max = (size_t)s->conf->max_message,
                          .starved = on_starved,
                          .refused = on_refused,
                          .whole = on_whole,
                          .arg = s};
  make_metrics(s);
  return make_streams(s);
}

void service_free(struct service *s)
{
  if (s->running)
    pthread_join(s->thread, NULL);
  lwslog_thread(s->host);
  if (s->context != NULL) {
    lws_sul_cancel(&s->alarm);
    lws_context_destroy(s->context);
  }
  lwslog_thread(NULL);
  lwslog_end(s->host);
  for (size_t i = 0; i < s->streams_count; i++)
    message_free(&s->streams[i].message);
  free(s->streams);
  cof_reader_destroy(&s->reader);
  SSL_CTX_free(s->tls);
  free(s->subprotocols);
  free(s);
}

/* --- handing on ------------------------------------------------------------------------------- */

bool service_ending(const struct service *s)
{
  return s->stopped || atomic_load(&s->stopping);
}

bool service_starved(struct service *s)
{
  struct timespec pause = {.tv_nsec = (long)(100 * MS_NS)};
  cof_log(s->host, COF_LOG_ERROR, "out of memory; trying again");
  for (int i = 0; i < 10 && !service_ending(s); i++)
    nanosleep(&pause, NULL);
  return !service_ending(s);
}

static bool fresh_batch(struct service *s)
{
  s->batch_since = 0;
  while ((s->batch = cof_batch_get(s->host)) == NULL)
    if (!service_starved(s))
      return false;
  return true;
}

static void show_silence(struct service *s, uint64_t now)
{
  uint64_t latest = 0;
  if (now < s->gauged_ns + GAUGE_NS)
    return;
  s->gauged_ns = now;
  for (size_t i = 0; i < s->streams_count; i++) {
    const struct stream *st = &s->streams[i];
    if (st->silence != NULL)
      cof_set(s->host, st->silence, (int64_t)((now - st->message_ns) / (1000 * MS_NS)));
    latest = st->message_ns > latest ? st->message_ns : latest;
  }
  cof_set(s->host, s->silence, (int64_t)((now - latest) / (1000 * MS_NS)));
}

static void add_tally(struct service *s)
{
  if (s->tally.messages != 0)
    cof_add(s->host, s->messages, (int64_t)s->tally.messages);
  if (s->tally.octets != 0)
    cof_add(s->host, s->bytes, (int64_t)s->tally.octets);
  s->tally.messages = s->tally.octets = 0;
  uint64_t odd = cof_reader_odd_bailiwicks(s->reader);
  if (odd != s->odd)
    cof_add(s->host, s->odd_bailiwicks, (int64_t)(odd - s->odd));
  s->odd = odd;
}

/* Hand the batch on, waiting for room. @return false: the thread has to end */
static bool flush(struct service *s)
{
  size_t count = cof_batch_count(s->batch);
  enum cof_result result;
  bool waited = false;
  add_tally(s);
  while ((result = cof_emit_wait(s->host, &s->batch, ++s->token, EMIT_WAIT_MS)) == COF_AGAIN) {
    waited = true;
    show_silence(s, cof_clock_ns(s->host));
  }
  if (waited)
    for (size_t i = 0; i < s->streams_count; i++)
      stream_was_deaf(&s->streams[i], cof_clock_ns(s->host));
  if (result == COF_OK) {
    cof_add(s->host, s->records, (int64_t)count);
    return fresh_batch(s);
  }
  if (result != COF_STOPPED)
    cof_log(s->host, COF_LOG_ERROR, "the chain takes nothing more: %s", cof_result_name(result));
  s->stopped = true;
  return false;
}

static bool on_whole(void *arg, size_t records)
{
  struct service *s = arg;
  size_t count = cof_batch_count(s->batch);
  if (count == records && count > 0)
    s->batch_since = cof_clock_ns(s->host);
  if (count >= (size_t)s->conf->batch_records ||
      cof_batch_bytes(s->batch) >= (size_t)s->conf->batch_bytes)
    return flush(s);
  return true;
}

bool service_take(struct service *s, struct stream *stream, const char *text, size_t len)
{
  if (service_ending(s))
    return false;
  s->speaking = stream;
  return take_message(&s->take, text, len);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Ends the library's wait, which it would only begin after this. */
static void on_alarm(lws_sorted_usec_list_t *alarm)
{
  struct service *s = lws_container_of(alarm, struct service, alarm);
  lws_cancel_service(s->context);
}

/* Serve what is there, or comes until a moment of the host's clock. */
static void serve_until(struct service *s, uint64_t until_ns)
{
  uint64_t now = cof_clock_ns(s->host);
  uint64_t us = until_ns > now ? (until_ns - now) / 1000 + 1 : 1;
  lws_sul_schedule(s->context, 0, &s->alarm, on_alarm, (lws_usec_t)us);
  if (lws_service(s->context, 0) < 0 && !service_ending(s)) {
    cof_log(s->host, COF_LOG_ERROR, "libwebsockets does not serve any more");
    s->stopped = true;
  }
}

/* What time asks for. @return when to look again */
static uint64_t step(struct service *s)
{
  uint64_t now = cof_clock_ns(s->host), batch_time = (uint64_t)s->conf->batch_time * MS_NS;
  if (s->batch_since != 0 && now >= s->batch_since + batch_time && !flush(s))
    return now;
  show_silence(s, now);
  uint64_t next = s->gauged_ns + GAUGE_NS;
  if (s->batch_since != 0 && s->batch_since + batch_time < next)
    next = s->batch_since + batch_time;
  for (size_t i = 0; i < s->streams_count; i++) {
    uint64_t due = stream_step(&s->streams[i], now);
    next = due < next ? due : next;
  }
  return next;
}

static void leave(struct service *s)
{
  uint64_t until = cof_clock_ns(s->host) + LEAVE_NS;
  bool there = false;
  for (size_t i = 0; i < s->streams_count; i++)
    there |= stream_leave(&s->streams[i]);
  while (there && cof_clock_ns(s->host) < until) {
    serve_until(s, until);
    there = false;
    for (size_t i = 0; i < s->streams_count; i++)
      there |= s->streams[i].wsi != NULL;
  }
}

static void *work(void *arg)
{
  struct service *s = arg;
  uint64_t now = cof_clock_ns(s->host);
  lwslog_thread(s->host);
  for (size_t i = 0; i < s->streams_count; i++)
    s->streams[i].message_ns = s->streams[i].due_ns = now;
  bool go = fresh_batch(s);
  while (go && !service_ending(s)) {
    uint64_t next = step(s);
    if (!service_ending(s))
      serve_until(s, next);
    add_tally(s);
  }
  size_t left = s->batch != NULL ? cof_batch_count(s->batch) : 0;
  if (left > 0)
    cof_log(s->host, COF_LOG_INFO, "%zu records that came right before the stop are not taken",
            left);
  leave(s);
  cof_batch_put(s->host, &s->batch);
  lwslog_thread(NULL);
  return NULL;
}

/* --- start and stop --------------------------------------------------------------------------- */

static enum cof_result make_context(struct service *s, struct cof_error *err)
{
  char proxy[2 * WS_HOST_MAX + PROXY_LOGIN_MAX];
  int seconds = (int)((s->conf->connect_timeout + 999) / 1000);
  enum cof_result result = headers_proxy(s->conf, proxy, sizeof proxy, err);
  if (result != COF_OK)
    return result;
  /* Its own time-outs come after ours. */
  struct lws_context_creation_info info = {
      .port = CONTEXT_PORT_NO_LISTEN,
      .protocols = protocols,
      .options = s->tls != NULL ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
      .provided_client_ssl_ctx = s->tls,
      .http_proxy_address = proxy,
      .fd_limit_per_thread = (unsigned)s->streams_count + SPARE_FDS,
      .pt_serv_buf_size = READ_SIZE + HEADERS_MAX,
      .max_http_header_data2 = 16384,
      .timeout_secs = (unsigned)seconds + 5,
      .connect_timeout_secs = (unsigned)seconds + 5,
      .user = s};
  lwslog_begin(s->host);
  lwslog_thread(s->host);
  s->context = lws_create_context(&info);
  lwslog_thread(NULL);
  return s->context != NULL ? COF_OK : cof_fail(err, COF_FATAL, "libwebsockets does not start");
}

/* What is wrong now will be wrong later: better said before anything runs. */
static enum cof_result prepare(struct service *s, struct cof_error *err)
{
  char headers[HEADERS_MAX];
  size_t len;
  bool tls = false, plain = false;
  for (size_t i = 0; i < s->streams_count; i++)
    *(s->streams[i].url.tls ? &tls : &plain) = true;
  enum cof_result result = headers_make(s->conf, headers, &len, err);
  if (result != COF_OK)
    return result;
  if (tls && (s->tls = tls_create(s->conf->ca_file, err)) == NULL)
    return COF_FATAL;
  if (plain && headers_login(s->conf))
    cof_log(s->host, COF_LOG_WARNING, "password or token travel in clear over ws://; use wss://");
  if (tls && s->conf->insecure)
    cof_log(s->host, COF_LOG_WARNING,
            "insecure = yes: anybody on the way can read and forge what is received");
  return make_context(s, err);
}

enum cof_result service_start(struct service *s)
{
  struct cof_error err;
  if (prepare(s, &err) != COF_OK) {
    cof_log(s->host, COF_LOG_ERROR, "%s", err.text);
    return COF_FATAL;
  }
  int why = pthread_create(&s->thread, NULL, work, s);
  if (why != 0)
    return fatal(s, "thread", why);
  s->running = true;
  return COF_OK;
}

/* Join until a deadline of the host's clock. pthread wants one of the wall clock. */
static bool join_until(struct service *s, uint64_t deadline_ns)
{
  uint64_t now = cof_clock_ns(s->host);
  uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  left += (uint64_t)until.tv_nsec;
  until.tv_sec += (time_t)(left / 1000000000);
  until.tv_nsec = (long)(left % 1000000000);
  return pthread_timedjoin_np(s->thread, NULL, &until) == 0;
}

bool service_stop(struct service *s, uint64_t deadline_ns)
{
  if (!s->running)
    return true;
  atomic_store(&s->stopping, true);
  lws_cancel_service(s->context);
  s->running = !join_until(s, deadline_ns);
  return !s->running;
}
