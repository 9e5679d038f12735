/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <cofd/plugin.h>

#include "fakehost.h"
#include "redistest.h"

extern const struct cof_plugin cof_plugin;

#define UUID    "6072e072-bfaa-4395-9bb1-cdb3b470d715"
#define QUEUE   "analyzer:8:" UUID
#define LIST    QUEUE ":cofd:feed"
#define WAIT_MS 60000

struct fixture {
  struct fakehost *host;
  void *conf;
  void *self;
};

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- an instance ------------------------------------------------------------------------------ */

static enum cof_result try_begin(struct fixture *f, const struct redistest *server,
                                 const char *const *settings, bool hold)
{
  char at[32], text[1024];
  const char *all[32] = {at, "uuid=" UUID};
  size_t n = 2;
  snprintf(at, sizeof at, "server=127.0.0.1:%u", redistest_port(server));
  for (; settings != NULL && *settings != NULL; settings++)
    all[n++] = *settings;
  f->host = fakehost_create("feed", NULL);
  f->conf = fakehost_conf(&cof_plugin, all);
  assert_int_equal(fakehost_check(&cof_plugin, f->conf, text, sizeof text), COF_OK);
  assert_int_equal(cof_plugin.create(fakehost_host(f->host), f->conf, &f->self), COF_OK);
  fakehost_serve(f->host, cof_plugin.ops, f->self);
  fakehost_hold(f->host, hold);
  return cof_plugin.start(f->self);
}

static void begin(struct fixture *f, const struct redistest *server, const char *const *settings,
                  bool hold)
{
  if (try_begin(f, server, settings, hold) != COF_OK) {
    fakehost_dump(f->host);
    fail();
  }
}

static void stop(struct fixture *f)
{
  fakehost_stopping(f->host);
  assert_int_equal(cof_plugin.stop(f->self, 0), COF_OK);
}

static void destroy(struct fixture *f)
{
  cof_plugin.destroy(f->self);
  fakehost_conf_free(&cof_plugin, &f->conf);
  fakehost_destroy(&f->host);
}

static void end(struct fixture *f)
{
  stop(f);
  assert_true(fakehost_wait_settled(f->host, WAIT_MS)); /* no ack comes after destroy() begins */
  destroy(f);
}

/* As after kill -9: what was emitted is not known to be stored. */
static void lose(struct fixture *f)
{
  stop(f);
  fakehost_settle(f->host, COF_STOPPED);
  destroy(f);
}

static void expect_count(struct fixture *f, size_t records)
{
  if (!fakehost_wait_count(f->host, records, WAIT_MS)) {
    fakehost_dump(f->host);
    fail_msg("%zu records instead of %zu", fakehost_count(f->host), records);
  }
  assert_int_equal(fakehost_count(f->host), records);
}

/* --- a server --------------------------------------------------------------------------------- */

static struct redistest *start_server(const char *const *args)
{
  if (!redistest_available()) {
    print_message("redis-server is not on PATH: skipped\n");
    skip();
  }
  return redistest_start(args);
}

static redisContext *open_queue(const struct redistest *server)
{
  redisContext *c = redisConnect("127.0.0.1", redistest_port(server));
  assert_true(c != NULL && c->err == 0);
  freeReplyObject(redisCommand(c, "SELECT 2"));
  return c;
}

static long long ask(const struct redistest *server, const char *command, const char *key)
{
  redisContext *c = open_queue(server);
  redisReply *reply = redisCommand(c, "%s %s", command, key);
  assert_non_null(reply);
  assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
  long long n = reply->integer;
  freeReplyObject(reply);
  redisFree(c);
  return n;
}

/* As the D4 server's worker does for each line. */
static void push(const struct redistest *server, const char *line)
{
  redisContext *c = open_queue(server);
  redisReply *reply = redisCommand(c, "LPUSH %s %s", QUEUE, line);
  assert_true(reply != NULL && reply->type == REDIS_REPLY_INTEGER);
  freeReplyObject(reply);
  freeReplyObject(redisCommand(c, "LTRIM %s 0 100000000", QUEUE));
  redisFree(c);
}

/* Lines `from` to `to` - 1, each of a name of its own. */
static void push_many(const struct redistest *server, int from, int to)
{
  redisContext *c = open_queue(server);
  redisReply *reply;
  char line[256];
  for (int i = from; i < to; i++) {
    snprintf(line, sizeof line,
             "%d.280922||10.0.0.1||10.0.0.2||IN||Host%d.Example.||A||192.0.2.%d||%d||%d",
             1500000000 + i, i, i % 256, i % 7 * 100, i % 5 + 1);
    assert_int_equal(redisAppendCommand(c, "LPUSH %s %s", QUEUE, line), REDIS_OK);
    assert_int_equal(redisAppendCommand(c, "LTRIM %s 0 100000000", QUEUE), REDIS_OK);
  }
  for (int i = from; i < to; i++)
    for (int k = 0; k < 2; k++) {
      assert_int_equal(redisGetReply(c, (void **)&reply), REDIS_OK);
      freeReplyObject(reply);
    }
  redisFree(c);
}

struct emptiness {
  const struct redistest *server;
  const char *key;
};

static bool is_empty(void *arg)
{
  const struct emptiness *e = arg;
  return ask(e->server, "LLEN", e->key) == 0;
}

static void expect_empty(struct fixture *f, const struct redistest *server, const char *key)
{
  struct emptiness e = {server, key};
  if (!fakehost_wait(f->host, is_empty, &e, WAIT_MS)) {
    fakehost_dump(f->host);
    fail_msg("%s is not emptied", key);
  }
}

/* Marks which of the names hostN.example came; fails on any other. */
static void mark(const struct fixture *f, unsigned char *seen, int count)
{
  const struct cof_batch *b = fakehost_records(f->host);
  for (size_t i = 0; i < cof_batch_count(b); i++) {
    int n = -1;
    assert_int_equal(sscanf(cof_batch_at(b, i)->rrname, "host%d.example", &n), 1);
    assert_true(n >= 0 && n < count);
    seen[n] = (unsigned char)(seen[n] < 255 ? seen[n] + 1 : 255);
  }
}

static void expect_each_once(const unsigned char *seen, int count)
{
  for (int i = 0; i < count; i++)
    if (seen[i] != 1)
      fail_msg("line %d came %d times", i, seen[i]);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void takes_lines(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  push(server, "1548624738.280922||192.168.1.12||8.8.8.8||IN||WWW.Example.com.||AAAA||"
               "2a00:1450:400e:801:0::200e||299||12");
  push(server, "1548624739||192.168.1.12||8.8.8.8||IN||example.com.||MX||mail.example.com.||0||1");
  push(server, "1548624740.1||192.168.1.12||8.8.8.8||IN||nope.example.||A||NXDOMAIN||0||1");
  push(server, "1548624740.1||192.168.1.12||8.8.8.8||CH||version.bind.||TXT||\"9\"||0||1");
  push(server, "{\"rrname\":\"c.example\",\"rrtype\":\"A\",\"rdata\":[\"192.0.2.1\",\"192.0.2.2\"],"
               "\"time_first\":1,\"time_last\":2,\"count\":5,\"sensor_id\":\"own\"}");
  push(server, " \r");
  begin(&f, server, SETTINGS("sensor_id=edge"), false);
  expect_count(&f, 4);
  const struct cof_batch *b = fakehost_records(f.host);
  const struct cof_record *r = cof_batch_at(b, 0);
  assert_string_equal(r->rrname, "www.example.com");
  assert_string_equal(r->rdata, "2a00:1450:400e:801::200e");
  assert_int_equal(r->time_first, 1548624738);
  assert_int_equal(r->count, 12);
  assert_string_equal(r->sensor_id, "edge");
  assert_string_equal(cof_batch_at(b, 1)->rdata, "mail.example.com");
  assert_string_equal(cof_batch_at(b, 2)->rrname, "c.example");
  assert_string_equal(cof_batch_at(b, 3)->rdata, "192.0.2.2");
  assert_int_equal(cof_batch_at(b, 3)->count, 5);
  assert_string_equal(cof_batch_at(b, 3)->sensor_id, "own");
  expect_empty(&f, server, LIST);
  expect_empty(&f, server, QUEUE);
  assert_int_equal(fakehost_metric(f.host, "entries"), 6);
  assert_int_equal(fakehost_metric(f.host, "records"), 4);
  assert_int_equal(fakehost_metric(f.host, "negative"), 1);
  assert_int_equal(fakehost_metric(f.host, "other_class"), 1);
  assert_int_equal(fakehost_metric(f.host, "blank"), 1);
  assert_int_equal(fakehost_metric(f.host, "unparsable"), 0);
  assert_int_equal(fakehost_metric(f.host, "ttl_0"), 1);
  assert_int_equal(fakehost_metric(f.host, "ttl_61_300"), 1);
  assert_int_equal(fakehost_metric(f.host, "class_in"), 3);
  assert_int_equal(fakehost_metric(f.host, "class_ch"), 1);
  assert_int_equal(fakehost_metric(f.host, "type_aaaa"), 1);
  assert_int_equal(fakehost_metric(f.host, "type_mx"), 1);
  assert_int_equal(fakehost_metric(f.host, "type_a"), 2);
  /* It waits on the empty queue, and hears of what comes. */
  push_many(server, 0, 3);
  expect_count(&f, 7);
  expect_empty(&f, server, LIST);
  assert_true(fakehost_wait_settled(f.host, WAIT_MS)); /* the last ack() may still be at work */
  assert_int_equal(fakehost_metric(f.host, "in_flight"), 0);
  end(&f);
  redistest_stop(&server);
}

static void takes_other_forms(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  push(server, "1\ta.example.\tA\t192.0.2.1\t9");
  push(server, "{\"rrname\":\"c.example\",\"rrtype\":\"A\",\"rdata\":\"192.0.2.1\","
               "\"time_first\":1,\"time_last\":2}");
  begin(&f, server, SETTINGS("format=passivedns", "fields=SQTAn", "delimiter=\\t", "count=line"),
        false);
  expect_count(&f, 1);
  assert_int_equal(cof_batch_at(fakehost_records(f.host), 0)->count, 1);
  assert_true(fakehost_wait_logged(f.host, "query: missing", WAIT_MS));
  expect_empty(&f, server, LIST);
  end(&f);
  push(server, "1||c||s||IN||a.example.||A||192.0.2.1||1||1");
  begin(&f, server, SETTINGS("format=cof"), false);
  assert_true(fakehost_wait_logged(f.host, "reject: " QUEUE, WAIT_MS));
  expect_empty(&f, server, LIST);
  assert_int_equal(fakehost_rejected(f.host), 1);
  assert_int_equal(fakehost_count(f.host), 0);
  end(&f);
  redistest_stop(&server);
}

static void keeps_what_is_not_stored(void **state)
{
  (void)state;
  enum { LINES = 5000 };
  static unsigned char seen[LINES];
  struct redistest *server = start_server(NULL);
  struct fixture f;
  memset(seen, 0, sizeof seen);
  push_many(server, 0, LINES);
  begin(&f, server, SETTINGS("batch_entries=100"), true);
  expect_count(&f, LINES);
  assert_int_equal(ask(server, "LLEN", LIST), LINES);
  assert_int_equal(ask(server, "LLEN", QUEUE), 0);
  assert_int_equal(fakehost_metric(f.host, "in_flight"), LINES);
  lose(&f);
  assert_int_equal(ask(server, "LLEN", LIST), LINES);
  /* Some are stored this time, in the order of emission; then it is lost again. */
  begin(&f, server, SETTINGS("batch_entries=100"), true);
  expect_count(&f, LINES);
  assert_int_equal(fakehost_metric(f.host, "recovered"), LINES);
  assert_int_equal(fakehost_settle_some(f.host, 20, COF_OK), 20);
  const struct cof_batch *b = fakehost_records(f.host);
  for (size_t i = 0; i < 2000; i++) {
    int n = -1;
    assert_int_equal(sscanf(cof_batch_at(b, i)->rrname, "host%d.example", &n), 1);
    seen[n]++;
  }
  lose(&f);
  assert_int_equal(ask(server, "LLEN", LIST), LINES - 2000);
  begin(&f, server, NULL, false);
  expect_count(&f, LINES - 2000);
  mark(&f, seen, LINES);
  expect_each_once(seen, LINES);
  expect_empty(&f, server, LIST);
  end(&f);
  redistest_stop(&server);
}

static void takes_off_what_is_stored_after_stop(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  push_many(server, 0, 100);
  begin(&f, server, NULL, true);
  expect_count(&f, 100);
  stop(&f);
  assert_int_equal(ask(server, "LLEN", LIST), 100);
  assert_true(fakehost_settle(f.host, COF_OK) > 0);
  destroy(&f);
  assert_int_equal(ask(server, "LLEN", LIST), 0);
  redistest_stop(&server);
}

static bool is_blocked(void *arg)
{
  redisReply *reply = redistest_command(arg, "INFO clients");
  bool blocked = strstr(reply->str, "blocked_clients:1") != NULL;
  freeReplyObject(reply);
  return blocked;
}

/* The server would answer an idle one, blocked on the empty queue, in 5 s. Not on each try may the
   machine be so busy that stop() takes longer. */
static void stops_while_it_waits(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  struct timespec a, b;
  int tries = 0;
  do {
    begin(&f, server, NULL, false);
    assert_true(fakehost_wait(f.host, is_blocked, server, WAIT_MS));
    clock_gettime(CLOCK_MONOTONIC, &a);
    end(&f);
    clock_gettime(CLOCK_MONOTONIC, &b);
  } while (b.tv_sec - a.tv_sec > 2 && ++tries < 10);
  assert_true(tries < 10);
  redistest_stop(&server);
}

/* One batch waits for its ack, and the next for room, when the host stops. */
static void takes_off_what_was_emitted_before_a_refusal(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  push_many(server, 0, 30);
  begin(&f, server, SETTINGS("batch_entries=10"), true);
  expect_count(&f, 30);
  fakehost_full(f.host, true);
  push_many(server, 30, 37);
  assert_true(fakehost_wait_refusals(f.host, 1, WAIT_MS));
  uint64_t refused = (uint64_t)(ask(server, "LLEN", LIST) - 30);
  assert_true(refused > 0);
  stop(&f);
  assert_true(fakehost_settle(f.host, COF_OK) > 0);
  destroy(&f);
  assert_int_equal(ask(server, "LLEN", LIST), refused);
  /* These come now, and none of the others again. */
  begin(&f, server, NULL, false);
  expect_count(&f, 7);
  expect_empty(&f, server, LIST);
  end(&f);
  redistest_stop(&server);
}

static void is_bounded(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  push_many(server, 0, 1000);
  begin(&f, server, SETTINGS("max_in_flight=64", "batch_entries=20"), true);
  expect_count(&f, 64);
  assert_int_equal(ask(server, "LLEN", LIST), 64);
  assert_int_equal(ask(server, "LLEN", QUEUE), 936);
  /* Room for what one batch gives back. */
  size_t first = fakehost_batches(f.host);
  assert_int_equal(fakehost_settle_some(f.host, 1, COF_OK), 1);
  assert_true(first > 0 && fakehost_wait_count(f.host, 65, WAIT_MS));
  fakehost_hold(f.host, false);
  expect_count(&f, 1000);
  expect_empty(&f, server, LIST);
  end(&f);
  redistest_stop(&server);
}

static void waits_while_the_chain_is_full(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  begin(&f, server, SETTINGS("batch_entries=100"), false);
  fakehost_full(f.host, true);
  push_many(server, 0, 5000);
  assert_true(fakehost_wait_refusals(f.host, 1, WAIT_MS));
  size_t have = fakehost_count(f.host);
  assert_true(have + (size_t)ask(server, "LLEN", QUEUE) + 100 >= 5000);
  fakehost_full(f.host, false);
  expect_count(&f, 5000);
  end(&f);
  redistest_stop(&server);
}

static void survives_the_server(void **state)
{
  (void)state;
  enum { LINES = 4000 };
  static unsigned char seen[LINES];
  struct redistest *server =
      start_server(SETTINGS("--appendonly", "yes", "--appendfsync", "always"));
  struct fixture f;
  memset(seen, 0, sizeof seen);
  push_many(server, 0, LINES / 2);
  begin(&f, server, SETTINGS("batch_entries=50", "max_in_flight=500"), true);
  expect_count(&f, 500);
  redistest_kill(server, SIGKILL);
  assert_true(fakehost_settle(f.host, COF_OK) > 0); /* stored, but not to be taken off now */
  fakehost_hold(f.host, false);
  assert_true(fakehost_wait_logged(f.host, "trying again", WAIT_MS));
  redistest_restart(server);
  assert_true(fakehost_wait_logged(f.host, "is read again", WAIT_MS));
  push_many(server, LINES / 2, LINES);
  expect_empty(&f, server, QUEUE);
  expect_empty(&f, server, LIST);
  mark(&f, seen, LINES);
  for (int i = 0; i < LINES; i++)
    assert_true(seen[i] >= 1);
  assert_int_equal(fakehost_count(f.host), LINES + 500); /* those in flight came twice */
  end(&f);
  redistest_stop(&server);
}

static void keeps_its_account_over_a_lost_connection(void **state)
{
  (void)state;
  enum { LINES = 2000 };
  static unsigned char seen[LINES];
  struct redistest *server = start_server(NULL);
  struct fixture f;
  memset(seen, 0, sizeof seen);
  push_many(server, 0, LINES / 2);
  begin(&f, server, SETTINGS("batch_entries=50"), true);
  expect_count(&f, LINES / 2);
  redistest_do(server, "CLIENT KILL TYPE normal SKIPME yes");
  fakehost_settle(f.host, COF_OK);
  fakehost_hold(f.host, false);
  push_many(server, LINES / 2, LINES);
  expect_count(&f, LINES);
  expect_empty(&f, server, LIST);
  mark(&f, seen, LINES);
  expect_each_once(seen, LINES);
  assert_true(fakehost_metric(f.host, "connections") >= 2);
  end(&f);
  redistest_stop(&server);
}

static void starts_before_the_server(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  redistest_kill(server, SIGKILL);
  begin(&f, server, NULL, false);
  assert_true(fakehost_logged(f.host, "refused"));
  redistest_restart(server);
  push_many(server, 0, 10);
  expect_count(&f, 10);
  end(&f);
  redistest_stop(&server);
}

static void buries_what_it_cannot_read(void **state)
{
  (void)state;
  struct redistest *server = start_server(NULL);
  struct fixture f;
  char line[64];
  for (int i = 0; i < 30; i++) {
    snprintf(line, sizeof line, "garbage %d", i);
    push(server, line);
  }
  push_many(server, 0, 5);
  begin(&f, server, SETTINGS("dead_letter=dead", "dead_letter_max=10"), false);
  expect_count(&f, 5);
  expect_empty(&f, server, LIST);
  assert_int_equal(fakehost_rejected(f.host), 30);
  assert_int_equal(fakehost_metric(f.host, "unparsable"), 30);
  assert_int_equal(fakehost_metric(f.host, "dead_letters"), 30);
  assert_int_equal(ask(server, "LLEN", "dead"), 10);
  redisContext *c = open_queue(server);
  redisReply *reply = redisCommand(c, "LINDEX dead 0");
  assert_string_equal(reply->str, "garbage 29");
  freeReplyObject(reply);
  redisFree(c);
  end(&f);
  redistest_stop(&server);
}

static void shares_the_queue(void **state)
{
  (void)state;
  enum { LINES = 20000 };
  static unsigned char seen[LINES];
  struct redistest *server = start_server(NULL);
  struct fixture f;
  memset(seen, 0, sizeof seen);
  push_many(server, 0, LINES);
  begin(&f, server, SETTINGS("workers=4", "max_in_flight=2000"), true);
  expect_count(&f, 8000);
  assert_int_equal(ask(server, "LLEN", LIST), 2000);
  assert_int_equal(ask(server, "LLEN", LIST ":3"), 2000);
  lose(&f);
  /* Fewer workers take up the lists of those that are no more. */
  begin(&f, server, SETTINGS("workers=2"), false);
  expect_count(&f, LINES);
  mark(&f, seen, LINES);
  expect_each_once(seen, LINES);
  for (int i = 0; i < 4; i++) {
    char key[128];
    snprintf(key, sizeof key, i == 0 ? "%s" : "%s:%d", LIST, i);
    expect_empty(&f, server, key);
  }
  end(&f);
  redistest_stop(&server);
}

static void logs_in(void **state)
{
  (void)state;
  struct redistest *server = start_server(SETTINGS("--requirepass", "secret"));
  struct fixture f;
  redistest_auth(server, "secret");
  assert_int_equal(try_begin(&f, server, SETTINGS("password=wrong"), false), COF_FATAL);
  assert_true(fakehost_logged(f.host, "WRONGPASS"));
  end(&f);
  redistest_do(server, "ACL SETUSER cofd on >word ~" QUEUE "* +select +brpoplpush +rpoplpush "
                       "+lrange +ltrim +llen +lpush");
  begin(&f, server, SETTINGS("user=cofd", "password=word"), false);
  redistest_do(server, "SELECT 2");
  redisContext *c = redisConnect("127.0.0.1", redistest_port(server));
  freeReplyObject(redisCommand(c, "AUTH secret"));
  freeReplyObject(redisCommand(c, "SELECT 2"));
  freeReplyObject(
      redisCommand(c, "LPUSH %s %s", QUEUE, "1||c||s||IN||host1.example.||A||192.0.2.1||1||1"));
  redisFree(c);
  expect_count(&f, 1);
  end(&f);
  redistest_stop(&server);
}

static void checks_options(void **state)
{
  (void)state;
  char sensor[300] = "sensor_id=";
  memset(sensor + strlen(sensor), 'x', 256);
  const struct {
    const char *const settings[4];
    const char *says;
  } bad[] = {{{NULL}, "either uuid or queue"},
             {{"uuid=" UUID, "queue=x"}, "either uuid or queue"},
             {{"uuid=6072E072-bfaa-4395-9bb1-cdb3b470d715"}, "uuid: "},
             {{"uuid=6072e072bfaa43959bb1cdb3b470d715"}, "uuid: "},
             {{"queue=x", "user=u"}, "user: needs a password"},
             {{"queue=x", "ca_file=f"}, "ca_file: "},
             {{"queue=x", "tls=yes", "socket=/s"}, "tls: "},
             {{"queue=x", "server=192.0.2.1:1", "socket=/s"}, "socket: goes in place of server"},
             {{"queue=x", "fields=SQT"}, "fields: 'A' is missing"},
             {{"queue=x", "fields=SQT", "delimiter="}, "fields: 'A' is missing"},
             {{"queue=x", "fields=SQT", "delimiter=12345678901234567"}, "delimiter: has to be"},
             {{"queue=x", sensor}, "sensor_id: longer than 255"},
             {{"queue=x", "dead_letter=x"}, "dead_letter: "}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[1024];
    void *conf = fakehost_conf(&cof_plugin, bad[i].settings);
    assert_int_equal(fakehost_check(&cof_plugin, conf, text, sizeof text), COF_REJECT);
    if (strstr(text, bad[i].says) == NULL)
      fail_msg("\"%s\" does not say \"%s\"", text, bad[i].says);
    fakehost_conf_free(&cof_plugin, &conf);
  }
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {cmocka_unit_test(takes_lines),
                                     cmocka_unit_test(takes_other_forms),
                                     cmocka_unit_test(keeps_what_is_not_stored),
                                     cmocka_unit_test(takes_off_what_is_stored_after_stop),
                                     cmocka_unit_test(stops_while_it_waits),
                                     cmocka_unit_test(takes_off_what_was_emitted_before_a_refusal),
                                     cmocka_unit_test(is_bounded),
                                     cmocka_unit_test(waits_while_the_chain_is_full),
                                     cmocka_unit_test(survives_the_server),
                                     cmocka_unit_test(keeps_its_account_over_a_lost_connection),
                                     cmocka_unit_test(starts_before_the_server),
                                     cmocka_unit_test(buries_what_it_cannot_read),
                                     cmocka_unit_test(shares_the_queue),
                                     cmocka_unit_test(logs_in),
                                     cmocka_unit_test(checks_options)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
