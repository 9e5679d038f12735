/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "storehost.h"

struct cof_metric {
  char kind; /* 'u': unreadable, 's': stale, '-': another */
};

static struct cof_metric unreadable = {'u'}, stale = {'s'}, other = {'-'};
static struct storehost *current;

static void host_log(struct cof_host *host, enum cof_log_level level, const char *fmt, va_list ap)
{
  struct storehost *h = (struct storehost *)host;
  if (level > COF_LOG_WARNING) {
    h->infos++;
    return;
  }
  h->errors++;
  vsnprintf(h->log, sizeof h->log, fmt, ap);
}

static struct cof_metric *host_metric(struct cof_host *host, enum cof_metric_kind kind,
                                      const char *name, const char *unit, const char *help)
{
  (void)kind;
  (void)unit;
  (void)help;
  current = (struct storehost *)host;
  return strcmp(name, "unreadable") == 0 ? &unreadable
         : strcmp(name, "stale") == 0    ? &stale
                                         : &other;
}

static void host_metric_add(struct cof_metric *metric, int64_t n)
{
  if (metric->kind == 'u')
    atomic_fetch_add(&current->unreadable, n);
  if (metric->kind == 's')
    atomic_fetch_add(&current->stale, n);
}

static uint64_t host_clock(struct cof_host *host)
{
  struct timespec now;
  (void)host;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void host_done(struct cof_host *host, struct cof_ticket *ticket, enum cof_result result)
{
  (void)host;
  ticket->done++;
  ticket->result = result;
}

static void host_reject(struct cof_host *host, struct cof_ticket *ticket, size_t index,
                        const char *reason)
{
  (void)host;
  (void)index;
  ticket->rejected += reason != NULL;
}

static const struct cof_host_api api = {.struct_size = sizeof(struct cof_host_api),
                                        .log = host_log,
                                        .metric = host_metric,
                                        .metric_add = host_metric_add,
                                        .clock_ns = host_clock,
                                        .ticket_done = host_done,
                                        .ticket_reject = host_reject};

void storehost_init(struct storehost *h, uint16_t port)
{
  memset(h, 0, sizeof *h);
  h->host.api = &api;
  snprintf(h->address, sizeof h->address, "127.0.0.1:%u", port);
  h->addresses[0] = h->address;
  h->conf = (struct conf){.server = {.items = h->addresses, .count = 1},
                          .mode = RESP_STANDALONE,
                          .connect_timeout = 5000,
                          .command_timeout = 20000,
                          .pipeline = 10000,
                          .readers = 4,
                          .layout = 1};
}

enum cof_result storehost_start(struct storehost *h, bool kvrocks)
{
  static const struct flavour flavours[] = {{"redis", false, 6379}, {"kvrocks", true, 6666}};
  void *self = NULL;
  enum cof_result result = store_create(&h->host, &h->conf, &flavours[kvrocks], &self);
  h->store = self;
  return result == COF_OK ? store_start(self) : result;
}

void storehost_stop(struct storehost *h)
{
  if (h->store == NULL)
    return;
  assert_int_equal(store_stop(h->store, host_clock(NULL) + UINT64_C(60000000000)), COF_OK);
  store_destroy(h->store);
  h->store = NULL;
}

struct cof_batch *batch_of(const struct cof_record *records, size_t count)
{
  struct cof_batch *batch = cof_batch_create();
  assert_non_null(batch);
  for (size_t i = 0; i < count; i++) {
    struct cof_record r = records[i];
    r.rrname_len = (uint16_t)strlen(r.rrname);
    r.rdata_len = (uint32_t)strlen(r.rdata);
    r.sensor_len = r.sensor_id != NULL ? (uint16_t)strlen(r.sensor_id) : 0;
    assert_non_null(cof_batch_add(batch, &r));
    assert_true(cof_batch_tally(batch, r.sensor_id, r.sensor_len, 1));
  }
  return batch;
}

struct cof_ticket storehost_write(struct storehost *h, const struct cof_batch *batch)
{
  struct cof_ticket ticket = {0};
  store_ops.write(h->store, batch, &ticket);
  assert_int_equal(ticket.done, 1);
  return ticket;
}

void storehost_put(struct storehost *h, const char *rrname, uint16_t rrtype, const char *rdata,
                   int64_t first, int64_t last, uint64_t count)
{
  struct cof_record r = {.rrname = rrname,
                         .rrtype = rrtype,
                         .rdata = rdata,
                         .time_first = first,
                         .time_last = last,
                         .count = count};
  struct cof_batch *batch = batch_of(&r, 1);
  struct cof_ticket ticket = storehost_write(h, batch);
  if (ticket.result != COF_OK || ticket.rejected != 0)
    fail_msg("%s %s: %s (%s)", rrname, rdata, cof_result_name(ticket.result), h->log);
  cof_batch_destroy(&batch);
}

struct cof_query query_of(enum cof_query_kind kind, const char *text)
{
  struct cof_query q = COF_QUERY_INIT;
  q.kind = kind;
  q.name = text;
  if (kind == COF_QUERY_RDATA_ADDR) {
    assert_true(cof_addr_parse(text, strlen(text), &q.first));
    q.last = q.first;
  }
  return q;
}

static void *open_cursor(struct storehost *h, const struct cof_query *query)
{
  struct cof_error err;
  void *cursor = NULL;
  if (store_ops.open(h->store, query, &cursor, &err) != COF_OK)
    fail_msg("open: %s", err.text);
  return cursor;
}

struct cof_batch *storehost_ask(struct storehost *h, const struct cof_query *query, size_t page)
{
  struct cof_error err;
  struct cof_batch *answer = cof_batch_create();
  void *cursor = open_cursor(h, query);
  size_t before;
  assert_non_null(answer);
  do {
    before = cof_batch_count(answer);
    if (store_ops.next(h->store, cursor, page, answer, &err) != COF_OK)
      fail_msg("next: %s", err.text);
    assert_true(cof_batch_count(answer) - before <= page);
  } while (cof_batch_count(answer) != before);
  store_ops.close(h->store, cursor);
  return answer;
}

struct cof_batch *storehost_ask_resuming(struct storehost *h, const struct cof_query *query,
                                         size_t page)
{
  static uint8_t token[COF_TOKEN_MAX];
  struct cof_error err;
  struct cof_query q = *query;
  struct cof_batch *answer = cof_batch_create();
  size_t before;
  assert_non_null(answer);
  do {
    void *cursor = open_cursor(h, &q);
    before = cof_batch_count(answer);
    if (store_ops.next(h->store, cursor, page, answer, &err) != COF_OK)
      fail_msg("next: %s", err.text);
    assert_int_equal(store_ops.token(h->store, cursor, token, sizeof token, &q.token_len), COF_OK);
    q.token = token;
    store_ops.close(h->store, cursor);
  } while (cof_batch_count(answer) != before);
  return answer;
}

const struct cof_record *find(const struct cof_batch *batch, const char *rrname, uint16_t rrtype,
                              const char *rdata)
{
  const struct cof_record *found = NULL;
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    if (r->rrtype != rrtype || strcmp(r->rrname, rrname) != 0 || strcmp(r->rdata, rdata) != 0)
      continue;
    if (found != NULL)
      fail_msg("%s %s: twice in an answer", rrname, rdata);
    found = r;
  }
  return found;
}
