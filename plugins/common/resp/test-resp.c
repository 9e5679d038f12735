/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "redistest.h"
#include "resp_private.h"

#define WAIT_SECONDS 180

static void need_server(void)
{
  if (!redistest_available()) {
    print_message("redis-server is not on PATH: skipped\n");
    skip();
  }
}

static struct resp_options base(struct resp_endpoint *at, uint16_t port)
{
  *at = (struct resp_endpoint){.host = "127.0.0.1", .port = port};
  return (struct resp_options){.endpoints = at,
                               .endpoints_count = 1,
                               .connect_timeout_ms = 5000,
                               .command_timeout_ms = 20000,
                               .max_pipeline = 10000};
}

static struct resp *make(const struct resp_options *o)
{
  struct cof_error err;
  struct resp *r = resp_create(o, &err);
  if (r == NULL)
    fail_msg("%s", err.text);
  return r;
}

static struct resp *connect_to(const struct redistest *server)
{
  struct resp_endpoint at;
  struct resp_options o = base(&at, redistest_port(server));
  return make(&o);
}

static enum resp_result run(struct resp *r, struct cof_error *err)
{
  err->text[0] = '\0';
  return resp_run(r, 0, err);
}

static void run_ok(struct resp *r)
{
  struct cof_error err;
  if (run(r, &err) != RESP_OK)
    fail_msg("%s", err.text);
}

#define COMMAND(r, key, ...)                                                                       \
  do {                                                                                             \
    const char *argv_[] = {__VA_ARGS__};                                                           \
    assert_true(resp_append(r, key, argv_, sizeof argv_ / sizeof *argv_, NULL, NULL));             \
  } while (0)

/* Checks that answers come in order, each once. */
struct tracker {
  size_t next, missing, errors;
  long long last;
};

struct expectation {
  struct tracker *tracker;
  size_t index;
};

static bool track(void *arg, const redisReply *reply)
{
  struct expectation *e = arg;
  assert_int_equal(e->index, e->tracker->next);
  e->tracker->next++;
  if (reply == NULL)
    e->tracker->missing++;
  else if (reply->type == REDIS_REPLY_ERROR)
    e->tracker->errors++;
  else if (reply->type == REDIS_REPLY_INTEGER)
    e->tracker->last = reply->integer;
  return false;
}

static bool keep_integer(void *arg, const redisReply *reply)
{
  *(long long *)arg = reply != NULL && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
  return false;
}

static bool keep_text(void *arg, const redisReply *reply)
{
  snprintf(arg, 64, "%s", reply != NULL && reply->str != NULL ? reply->str : "");
  return false;
}

/* --- waiting --------------------------------------------------------------------------------- */

static bool write_until_ok(struct resp *r, const char *key)
{
  struct cof_error err;
  for (time_t end = time(NULL) + WAIT_SECONDS; time(NULL) < end;) {
    COMMAND(r, 1, "SET", key, "1");
    enum resp_result result = run(r, &err);
    if (result == RESP_OK)
      return true;
    if (result != RESP_PASSING)
      break;
    assert_true(resp_sleep(r, 100));
  }
  print_error("%s\n", err.text);
  return false;
}

static void wait_replicas(const struct redistest *master, int count)
{
  for (int i = 0; i < WAIT_SECONDS * 50; i++) {
    redisReply *reply = redistest_command(master, "ROLE");
    size_t have = reply->element[2]->elements;
    freeReplyObject(reply);
    if (have == (size_t)count && redistest_integer(master, "WAIT %d 100", count) == count)
      return;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  fail_msg("the replicas do not come");
}

/* --- one server ------------------------------------------------------------------------------ */

static void pipelines_much(void **state)
{
  (void)state;
  need_server();
  enum { COMMANDS = 50000, SIZE = 1024 };
  struct redistest *server = redistest_start(NULL);
  struct resp *r = connect_to(server);
  struct tracker t = {0};
  struct expectation *e = calloc(2 * COMMANDS, sizeof *e);
  char value[SIZE];
  memset(value, 'v', sizeof value);
  for (size_t i = 0; i < 2 * COMMANDS; i++) {
    e[i] = (struct expectation){.tracker = &t, .index = i};
    resp_begin(r, i % 2 == 0 ? 3 : 2, 1);
    resp_arg_str(r, i % 2 == 0 ? "SET" : "GET"); /* as much comes back as goes out */
    resp_arg_int(r, (int64_t)(i / 2));
    if (i % 2 == 0)
      resp_arg(r, value, sizeof value);
    assert_true(resp_end(r, track, &e[i]));
  }
  assert_int_equal(resp_pending(r), 2 * COMMANDS);
  run_ok(r);
  assert_int_equal(t.next, 2 * COMMANDS);
  assert_int_equal(t.missing + t.errors, 0);
  assert_int_equal(redistest_integer(server, "DBSIZE"), COMMANDS);
  assert_int_equal(resp_pending(r), 0);
  free(e);
  resp_destroy(&r);
  redistest_stop(&server);
}

static void logs_in(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start((const char *[]){"--requirepass", "secret", NULL});
  redistest_auth(server, "secret");
  redistest_do(server, "ACL SETUSER reader on >word ~a* +get +select");
  struct resp_endpoint at;
  struct cof_error err;
  struct resp_options o = base(&at, redistest_port(server));
  o.db = 3;
  struct resp *r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_FATAL);
  assert_non_null(strstr(err.text, "NOAUTH"));
  resp_destroy(&r);
  o.password = "wrong";
  r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_FATAL);
  assert_non_null(strstr(err.text, "WRONGPASS"));
  assert_non_null(strstr(err.text, "127.0.0.1:"));
  assert_null(strstr(err.text, "wrong"));
  resp_destroy(&r);
  o.password = "secret";
  r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  run_ok(r);
  resp_destroy(&r);
  o.user = "reader";
  o.password = "word";
  r = make(&o);
  char text[64] = "";
  const char *get[] = {"GET", "a"};
  assert_true(resp_append(r, 1, get, 2, keep_text, text));
  run_ok(r);
  assert_string_equal(text, "1"); /* database 3, as before */
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_FATAL);
  assert_non_null(strstr(err.text, "NOPERM"));
  resp_destroy(&r);
  redistest_stop(&server);
}

static void uses_a_socket(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start(NULL);
  struct resp_endpoint at;
  struct cof_error err;
  struct resp_options o = base(&at, 0);
  o.endpoints_count = 0;
  o.unix_path = redistest_socket(server);
  struct resp *r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  run_ok(r);
  assert_int_equal(redistest_integer(server, "EXISTS a"), 1);
  redistest_kill(server, SIGKILL);
  COMMAND(r, 1, "SET", "a", "2");
  assert_int_equal(run(r, &err), RESP_PASSING);
  assert_non_null(strstr(err.text, redistest_socket(server)));
  resp_destroy(&r);
  redistest_stop(&server);
}

static void survives_a_restart(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start(NULL);
  struct resp *r = connect_to(server);
  struct cof_error err;
  COMMAND(r, 1, "SET", "a", "1");
  run_ok(r);
  assert_int_equal(resp_pause_ms(r), 0);
  redistest_kill(server, SIGKILL);
  int most = 100;
  for (int i = 0; i < 12; i++) {
    struct tracker t = {0};
    struct expectation e = {.tracker = &t};
    const char *get[] = {"GET", "a"};
    assert_true(resp_append(r, 1, get, 2, track, &e));
    assert_int_equal(run(r, &err), RESP_PASSING);
    assert_int_equal(t.missing, 1);
    assert_in_range(resp_pause_ms(r), most / 2, most);
    most = most * 2 > 30000 ? 30000 : most * 2;
  }
  assert_non_null(strstr(err.text, "refused"));
  redistest_restart(server);
  COMMAND(r, 1, "SET", "b", "1");
  run_ok(r);
  assert_int_equal(resp_pause_ms(r), 0);
  /* An idle connection that the server closed is nobody's failure. */
  redistest_restart(server);
  COMMAND(r, 1, "SET", "b", "1");
  run_ok(r);
  resp_destroy(&r);
  redistest_stop(&server);
}

static void reports_errors_by_rank(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start((const char *[]){"--maxmemory", "3mb", NULL});
  struct resp *r = connect_to(server);
  struct cof_error err;
  char *value = calloc(1, 4 << 20);
  memset(value, 'v', (4 << 20) - 1);
  redistest_do(server, "LPUSH list x");
  COMMAND(r, 1, "SET", "big", value);
  enum resp_result result = run(r, &err);
  COMMAND(r, 1, "SET", "a", "1");
  if (result == RESP_OK)
    result = run(r, &err);
  assert_int_equal(result, RESP_PASSING);
  assert_non_null(strstr(err.text, "OOM"));
  resp_forget(r);
  COMMAND(r, 1, "SET", "a", "1");
  COMMAND(r, 1, "GET", "list");
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_FATAL);
  assert_non_null(strstr(err.text, "WRONGTYPE"));
  free(value);
  resp_destroy(&r);
  redistest_stop(&server);
}

static bool deal(void *arg, const redisReply *reply)
{
  *(bool *)arg = resp_is_error(reply, "WRONGTYPE");
  return true;
}

static void leaves_errors_to_the_caller(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start(NULL);
  struct resp *r = connect_to(server);
  redistest_do(server, "LPUSH list x");
  bool wrong = false;
  const char *get[] = {"GET", "list"};
  assert_true(resp_append(r, 1, get, 2, deal, &wrong));
  run_ok(r);
  assert_true(wrong);
  resp_destroy(&r);
  redistest_stop(&server);
}

static void times_out(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start(NULL);
  struct resp_endpoint at;
  struct cof_error err;
  struct resp_options o = base(&at, redistest_port(server));
  o.command_timeout_ms = 200;
  struct resp *r = make(&o);
  assert_true(write_until_ok(r, "a")); /* a busy machine may need several tries */
  redistest_freeze(server, true);
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_PASSING);
  assert_non_null(strstr(err.text, "no answer within"));
  redistest_freeze(server, false);
  /* The late answer belongs to nobody: the next run has a connection of its own. */
  char text[64] = "";
  const char *get[] = {"GET", "a"};
  for (int i = 0; i < WAIT_SECONDS && text[0] == '\0'; i++) {
    assert_true(resp_append(r, 1, get, 2, keep_text, text));
    (void)run(r, &err);
  }
  assert_string_equal(text, "1");
  /* A blocking command may take its time. */
  assert_true(write_until_ok(r, "a"));
  COMMAND(r, 1, "BLPOP", "nothing", "0.5");
  assert_int_equal(resp_run(r, WAIT_SECONDS * 1000, &err), RESP_OK);
  resp_destroy(&r);
  redistest_stop(&server);
}

static void *interrupt_soon(void *arg)
{
  nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
  resp_interrupt(arg);
  return NULL;
}

static void is_interrupted(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start(NULL);
  struct resp *r = connect_to(server);
  struct cof_error err;
  pthread_t thread;
  struct tracker t = {0};
  struct expectation e = {.tracker = &t};
  const char *pop[] = {"BLPOP", "nothing", "0"};
  assert_true(resp_append(r, 1, pop, 3, track, &e));
  assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, r), 0);
  assert_int_equal(resp_run(r, 3600000, &err), RESP_STOPPED);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(t.missing, 1);
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_STOPPED);
  assert_false(resp_sleep(r, 3600000));
  resp_resume(r);
  assert_true(resp_sleep(r, 1));
  COMMAND(r, 1, "SET", "a", "1");
  run_ok(r);
  resp_destroy(&r);
  redistest_stop(&server);
}

static void finds_the_one_with_the_role(void **state)
{
  (void)state;
  need_server();
  struct redistest *master = redistest_start(NULL), *replica = redistest_start(NULL);
  redistest_do(replica, "REPLICAOF 127.0.0.1 %d", (int)redistest_port(master));
  wait_replicas(master, 1); /* while it loads, its answer is another */
  struct resp_endpoint at[2] = {{"127.0.0.1", redistest_port(replica)},
                                {"127.0.0.1", redistest_port(master)}};
  struct resp_options o = base(&at[0], redistest_port(replica));
  o.endpoints = at;
  o.endpoints_count = 2;
  struct resp *r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  run_ok(r);
  resp_destroy(&r);
  /* Alone, a replica says no to writing. */
  o.endpoints_count = 1;
  r = make(&o);
  struct cof_error err;
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_PASSING);
  assert_non_null(strstr(err.text, "READONLY"));
  resp_destroy(&r);
  redistest_stop(&replica);
  redistest_stop(&master);
}

/* --- sentinel -------------------------------------------------------------------------------- */

/* Without a replica the master is asked; once there is one again, that. */
static void returns_to_the_replica(void **state)
{
  (void)state;
  need_server();
  struct redistest *master = redistest_start(NULL), *replica = redistest_start(NULL);
  struct resp_endpoint at[2] = {{"127.0.0.1", redistest_port(replica)},
                                {"127.0.0.1", redistest_port(master)}};
  struct resp_options o = base(&at[0], redistest_port(replica));
  o.endpoints = at;
  o.endpoints_count = 2;
  o.read_replica = true;
  redistest_do(replica, "REPLICAOF 127.0.0.1 %d", (int)redistest_free_port()); /* nobody */
  struct resp *r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  run_ok(r);
  assert_int_equal(redistest_integer(master, "EXISTS a"), 1);
  redistest_do(replica, "REPLICAOF 127.0.0.1 %d", (int)redistest_port(master));
  wait_replicas(master, 1);
  char text[64] = "";
  const char *set[] = {"SET", "a", "1"};
  for (int i = 0; i < WAIT_SECONDS * 50 && strstr(text, "READONLY") == NULL; i++) {
    struct cof_error err;
    assert_true(resp_append(r, 1, set, 3, keep_text, text));
    (void)run(r, &err);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  assert_non_null(strstr(text, "READONLY"));
  resp_destroy(&r);
  redistest_stop(&replica);
  redistest_stop(&master);
}

static void wait_sentinel(const struct redistest *sentinel)
{
  for (int i = 0; i < WAIT_SECONDS * 50; i++) {
    redisReply *reply = redistest_command(sentinel, "SENTINEL replicas db");
    bool known = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;
    for (size_t k = 0; known && k + 1 < reply->element[0]->elements; k += 2)
      if (strcmp(reply->element[0]->element[k]->str, "flags") == 0)
        known = strcmp(reply->element[0]->element[k + 1]->str, "slave") == 0;
    freeReplyObject(reply);
    if (known)
      return;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  fail_msg("the sentinel does not find the replica");
}

static void follows_a_sentinel(void **state)
{
  (void)state;
  need_server();
  struct redistest *master = redistest_start(NULL), *replica = redistest_start(NULL);
  redistest_do(replica, "REPLICAOF 127.0.0.1 %d", (int)redistest_port(master));
  wait_replicas(master, 1);
  char config[256];
  snprintf(config, sizeof config,
           "sentinel monitor db 127.0.0.1 %u 1\nsentinel down-after-milliseconds db 3600000\n"
           "sentinel failover-timeout db 3000\n",
           redistest_port(master));
  struct redistest *sentinel = redistest_start_sentinel(config);
  struct resp_endpoint at[2] = {{"127.0.0.1", redistest_free_port()}, /* nobody */
                                {"127.0.0.1", redistest_port(sentinel)}};
  struct resp_options o = base(&at[0], at[0].port);
  o.endpoints = at;
  o.endpoints_count = 2;
  o.mode = RESP_SENTINEL;
  o.master_name = "db";
  struct resp *r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  run_ok(r);
  assert_int_equal(redistest_integer(master, "EXISTS a"), 1);
  wait_sentinel(sentinel);
  o.read_replica = true;
  struct resp *reader = make(&o);
  char text[64] = "";
  const char *set[] = {"SET", "a", "1"};
  /* Until the sentinel takes the replica for a good one, the master is asked. */
  for (int i = 0; i < WAIT_SECONDS && strstr(text, "READONLY") == NULL; i++) {
    struct cof_error err;
    assert_true(resp_append(reader, 1, set, 3, keep_text, text));
    (void)run(reader, &err);
    assert_true(resp_sleep(reader, 100));
  }
  assert_non_null(strstr(text, "READONLY"));
  redistest_kill(master, SIGKILL);
  /* Only now: on a busy machine also a good master is silent for a while. */
  redistest_do(sentinel, "SENTINEL SET db down-after-milliseconds 500");
  assert_true(write_until_ok(r, "b"));
  assert_int_equal(redistest_integer(replica, "EXISTS b"), 1);
  resp_destroy(&reader);
  resp_destroy(&r);
  redistest_stop(&sentinel);
  redistest_stop(&replica);
  redistest_stop(&master);
}

/* --- cluster --------------------------------------------------------------------------------- */

#define NODES 3

struct cluster {
  struct redistest *node[NODES];
  char id[NODES][64];
};

static void node_id(const struct redistest *s, char id[64])
{
  redisReply *reply = redistest_command(s, "CLUSTER MYID");
  snprintf(id, 64, "%s", reply->str);
  freeReplyObject(reply);
}

static bool cluster_ok(const struct cluster *c)
{
  for (int i = 0; i < NODES; i++) {
    redisReply *reply = redistest_command(c->node[i], "CLUSTER INFO");
    bool ok = strstr(reply->str, "cluster_state:ok") != NULL &&
              strstr(reply->str, "cluster_slots_ok:16384") != NULL &&
              strstr(reply->str, "cluster_known_nodes:3") != NULL;
    freeReplyObject(reply);
    if (!ok)
      return false;
  }
  return true;
}

static void cluster_start(struct cluster *c)
{
  uint16_t bus[NODES];
  for (int i = 0; i < NODES; i++) {
    char port[8];
    bus[i] = redistest_free_port();
    snprintf(port, sizeof port, "%u", bus[i]);
    c->node[i] = redistest_start((const char *[]){"--cluster-enabled", "yes", "--cluster-port",
                                                  port, "--cluster-node-timeout", "60000",
                                                  "--cluster-require-full-coverage", "no", NULL});
    node_id(c->node[i], c->id[i]);
    redistest_do(c->node[i], "CLUSTER ADDSLOTSRANGE %d %d", i * 16384 / NODES,
                 (i + 1) * 16384 / NODES - 1);
    redistest_do(c->node[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
  }
  for (int i = 1; i < NODES; i++)
    redistest_do(c->node[0], "CLUSTER MEET 127.0.0.1 %d %d", (int)redistest_port(c->node[i]),
                 (int)bus[i]);
  for (int i = 0; i < WAIT_SECONDS * 50; i++) {
    if (cluster_ok(c))
      return;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  fail_msg("the cluster does not come up");
}

static void cluster_stop(struct cluster *c)
{
  for (int i = 0; i < NODES; i++)
    redistest_stop(&c->node[i]);
}

static struct resp *cluster_client(const struct cluster *c)
{
  struct resp_endpoint at;
  struct resp_options o = base(&at, redistest_port(c->node[1]));
  o.mode = RESP_CLUSTER;
  return make(&o);
}

static int owner_of(const char *key)
{
  for (int i = 0; i < NODES; i++)
    if (resp_slot(key, strlen(key)) < (i + 1) * 16384 / NODES)
      return i;
  return -1;
}

static void increments(struct resp *r, const char *key, int times, long long *last)
{
  const char *incr[] = {"INCR", key};
  for (int i = 0; i < times; i++)
    assert_true(resp_append(r, 1, incr, 2, keep_integer, last));
}

/* As a resharding tool: move one slot, with its keys in the state between. */
static void begin_move(const struct cluster *c, int slot, int from, int to)
{
  redistest_do(c->node[to], "CLUSTER SETSLOT %d IMPORTING %s", slot, c->id[from]);
  redistest_do(c->node[from], "CLUSTER SETSLOT %d MIGRATING %s", slot, c->id[to]);
}

static void end_move(const struct cluster *c, const char *key, int slot, int from, int to)
{
  redistest_do(c->node[from], "MIGRATE 127.0.0.1 %d %s 0 5000", (int)redistest_port(c->node[to]),
               key);
  redistest_do(c->node[to], "CLUSTER SETSLOT %d NODE %s", slot, c->id[to]);
  redistest_do(c->node[from], "CLUSTER SETSLOT %d NODE %s", slot, c->id[to]);
}

static void writes_to_all(struct resp *r)
{
  enum { KEYS = 3000 };
  for (int i = 0; i < KEYS; i++) {
    resp_begin(r, 2, 1);
    resp_arg_str(r, "INCR");
    resp_arg_int(r, i);
    assert_true(resp_end(r, NULL, NULL));
  }
  run_ok(r);
  enum resp_result result;
  struct cof_error err;
  long long sum = 0, size[NODES];
  assert_int_equal(resp_nodes(r, &result, &err), NODES);
  for (size_t i = 0; i < NODES; i++) {
    resp_begin_node(r, 1, i);
    resp_arg_str(r, "DBSIZE");
    assert_true(resp_end(r, keep_integer, &size[i]));
  }
  run_ok(r);
  for (size_t i = 0; i < NODES; i++) {
    assert_true(size[i] > KEYS / NODES / 2);
    sum += size[i];
  }
  assert_int_equal(sum, KEYS);
}

static void follows_slots(void **state)
{
  (void)state;
  need_server();
  struct cluster c;
  cluster_start(&c);
  struct resp *r = cluster_client(&c);
  writes_to_all(r);
  const char *key = "moving";
  int slot = resp_slot(key, strlen(key)), from = owner_of(key), to = (from + 1) % NODES;
  long long last = 0;
  increments(r, key, 10, &last);
  run_ok(r);
  assert_int_equal(last, 10);
  /* A key that is not there yet is to be made on the node that imports: ASK. */
  char other[64];
  snprintf(other, sizeof other, "{%s}2", key);
  begin_move(&c, slot, from, to);
  increments(r, key, 10, &last);
  run_ok(r);
  assert_int_equal(last, 20);
  increments(r, other, 100, &last);
  run_ok(r);
  assert_int_equal(last, 100);
  assert_int_equal(redistest_integer(c.node[from], "CLUSTER COUNTKEYSINSLOT %d", slot), 1);
  assert_int_equal(redistest_integer(c.node[to], "CLUSTER COUNTKEYSINSLOT %d", slot), 1);
  end_move(&c, key, slot, from, to);
  /* Now MOVED, and the order of the key's commands stays. */
  increments(r, key, 1000, &last);
  run_ok(r);
  assert_int_equal(last, 1020);
  increments(r, other, 1, &last);
  run_ok(r);
  assert_int_equal(last, 101);
  resp_destroy(&r);
  cluster_stop(&c);
}

static void loses_a_node(void **state)
{
  (void)state;
  need_server();
  struct cluster c;
  cluster_start(&c);
  struct resp *r = cluster_client(&c);
  struct cof_error err;
  long long last = 0;
  writes_to_all(r);
  const char *here = "a", *there = "b";
  assert_int_not_equal(owner_of(here), owner_of(there));
  redistest_kill(c.node[owner_of(here)], SIGKILL);
  long long unanswered = 0;
  increments(r, here, 1, &unanswered);
  increments(r, there, 1, &last);
  assert_int_equal(run(r, &err), RESP_PASSING);
  assert_int_equal(unanswered, -1);
  assert_int_equal(last, 1); /* what other nodes hold goes on */
  redistest_restart(c.node[owner_of(here)]);
  assert_true(write_until_ok(r, here));
  resp_destroy(&r);
  cluster_stop(&c);
}

static void refuses_what_is_no_cluster(void **state)
{
  (void)state;
  need_server();
  struct redistest *server = redistest_start(NULL);
  struct resp_endpoint at;
  struct cof_error err;
  struct resp_options o = base(&at, redistest_port(server));
  o.mode = RESP_CLUSTER;
  struct resp *r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_FATAL);
  assert_non_null(strstr(err.text, "cluster support disabled"));
  resp_destroy(&r);
  redistest_stop(&server);
}

/* --- TLS ------------------------------------------------------------------------------------- */

static void speaks_tls(void **state)
{
  (void)state;
  need_server();
  char dir[] = "/tmp/cofd-tls-XXXXXX", command[512], cert[64], key[64], port[8];
  if (!resp_has_tls() || system("command -v openssl >/dev/null") != 0) {
    print_message("no TLS, or no openssl command: skipped\n");
    skip();
  }
  assert_non_null(mkdtemp(dir));
  snprintf(cert, sizeof cert, "%s/cert", dir);
  snprintf(key, sizeof key, "%s/key", dir);
  snprintf(command, sizeof command,
           "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
           "-subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
           key, cert);
  assert_int_equal(system(command), 0);
  snprintf(port, sizeof port, "%u", redistest_free_port());
  struct redistest *server =
      redistest_start((const char *[]){"--tls-port", port, "--tls-cert-file", cert,
                                       "--tls-key-file", key, "--tls-auth-clients", "no", NULL});
  struct resp_endpoint at;
  struct cof_error err;
  struct resp_options o = base(&at, (uint16_t)atoi(port));
  o.tls = true;
  struct resp *r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_PASSING); /* nobody vouches for it */
  assert_non_null(strstr(err.text, "TLS"));
  resp_destroy(&r);
  o.ca_file = cert;
  r = make(&o);
  for (int i = 0; i < 3; i++) {
    long long last = 0;
    increments(r, "n", 20000, &last);
    run_ok(r);
    assert_int_equal(last, 20000 * (i + 1));
  }
  resp_destroy(&r);
  at.host = "localhost"; /* not what the certificate is for */
  r = make(&o);
  COMMAND(r, 1, "SET", "a", "1");
  assert_int_equal(run(r, &err), RESP_PASSING);
  assert_non_null(strstr(err.text, "ostname"));
  resp_destroy(&r);
  redistest_stop(&server);
  assert_int_equal(unlink(cert) | unlink(key) | rmdir(dir), 0);
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {cmocka_unit_test(pipelines_much),
                                     cmocka_unit_test(logs_in),
                                     cmocka_unit_test(uses_a_socket),
                                     cmocka_unit_test(survives_a_restart),
                                     cmocka_unit_test(reports_errors_by_rank),
                                     cmocka_unit_test(leaves_errors_to_the_caller),
                                     cmocka_unit_test(times_out),
                                     cmocka_unit_test(is_interrupted),
                                     cmocka_unit_test(finds_the_one_with_the_role),
                                     cmocka_unit_test(returns_to_the_replica),
                                     cmocka_unit_test(follows_a_sentinel),
                                     cmocka_unit_test(follows_slots),
                                     cmocka_unit_test(loses_a_node),
                                     cmocka_unit_test(refuses_what_is_no_cluster),
                                     cmocka_unit_test(speaks_tls)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
