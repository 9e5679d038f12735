/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inner_private.h"
#include "reader_private.h"

static struct resp_options options(void)
{
  static const struct resp_endpoint here = {.host = "127.0.0.1", .port = 1};
  return (struct resp_options){.endpoints = &here,
                               .endpoints_count = 1,
                               .connect_timeout_ms = 1000,
                               .command_timeout_ms = 1000,
                               .max_pipeline = 100};
}

static struct resp *client(enum resp_mode mode)
{
  struct cof_error err;
  struct resp_options o = options();
  o.mode = mode;
  struct resp *r = resp_create(&o, &err);
  assert_non_null(r);
  return r;
}

static void assert_encoded(const struct resp *r, const char *text)
{
  assert_int_equal(r->buffer.len, strlen(text));
  assert_memory_equal(r->buffer.data, text, strlen(text));
}

static void encodes(void **state)
{
  (void)state;
  struct resp *r = client(RESP_STANDALONE);
  struct iovec parts[] = {{"s:", 2}, {"", 0}, {"x.y", 3}};
  resp_begin(r, 5, 1);
  resp_arg_str(r, "SET");
  resp_arg_parts(r, parts, 3);
  resp_arg(r, "a\0b", 3);
  resp_arg_int(r, INT64_MIN);
  resp_arg_int(r, 0);
  assert_true(resp_end(r, NULL, NULL));
  static const char want[] = "*5\r\n$3\r\nSET\r\n$5\r\ns:x.y\r\n$3\r\na\0b\r\n"
                             "$20\r\n-9223372036854775808\r\n$1\r\n0\r\n";
  assert_int_equal(resp_pending_bytes(r), sizeof want - 1);
  assert_memory_equal(r->buffer.data, want, sizeof want - 1);
  assert_int_equal(resp_pending(r), 1);
  resp_forget(r);
  assert_int_equal(resp_pending(r), 0);
  assert_int_equal(resp_pending_bytes(r), 0);
  resp_destroy(&r);
  assert_null(r);
}

static void counts_arguments(void **state)
{
  (void)state;
  struct resp *r = client(RESP_STANDALONE);
  const char *get[] = {"GET", "abcdefghijkl"};
  assert_true(resp_append(r, 1, get, 2, NULL, NULL));
  resp_begin(r, 3, 1);
  resp_arg_str(r, "GET");
  assert_false(resp_end(r, NULL, NULL));
  resp_begin(r, 1, 1);
  resp_arg_str(r, "GET");
  resp_arg_str(r, "x");
  assert_false(resp_end(r, NULL, NULL));
  assert_int_equal(resp_pending(r), 1);
  assert_encoded(r, "*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\n");
  resp_destroy(&r);
}

static void routes_by_key(void **state)
{
  (void)state;
  struct resp *r = client(RESP_CLUSTER);
  const char *set[] = {"SET", "123456789", "v"}, *mget[] = {"EVAL", "x", "1", "{123456789}a"};
  struct iovec parts[] = {{"1234", 4}, {"56789", 5}};
  assert_true(resp_append(r, 1, set, 3, NULL, NULL));
  assert_true(resp_append(r, 3, mget, 4, NULL, NULL));
  resp_begin(r, 2, 1);
  resp_arg_str(r, "GET");
  resp_arg_parts(r, parts, 2);
  assert_true(resp_end(r, NULL, NULL));
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(r->commands[i].route, ROUTE_SLOT);
    assert_int_equal(r->commands[i].where, 0x31c3);
  }
  assert_true(resp_append(r, RESP_ANY_NODE, set, 1, NULL, NULL));
  assert_int_equal(r->commands[3].route, ROUTE_ANY);
  resp_destroy(&r);
}

static void hashes_slots(void **state)
{
  (void)state;
  static const struct {
    const char *key;
    uint16_t slot;
  } vectors[] = {{"", 0},           {"123456789", 0x31c3}, {"foo", 12182}, {"{foo}.bar", 12182},
                 {"x{foo}", 12182}, {"bar", 5061},         {"hello", 866}};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
    assert_int_equal(resp_slot(vectors[i].key, strlen(vectors[i].key)), vectors[i].slot);
  /* No tag: empty, not closed, closed before it opens. */
  assert_int_not_equal(resp_slot("{}foo", 5), resp_slot("foo", 3));
  assert_int_not_equal(resp_slot("{foo", 4), resp_slot("foo", 3));
  assert_int_not_equal(resp_slot("}{foo", 5), resp_slot("foo", 3));
  assert_int_equal(resp_slot("{foo}{bar}", 10), resp_slot("foo", 3));
  assert_int_equal(resp_slot("{{foo}}", 7), resp_slot("{foo", 4));
}

/* --- answers --------------------------------------------------------------------------------- */

static redisReply *parse(const char *text)
{
  void *reply = NULL;
  redisReader *reader = reader_create();
  assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
  assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
  assert_non_null(reply);
  reader_destroy(&reader);
  return reply;
}

/* An array that announces more than anybody sends is refused before memory is taken for it. */
static void bounds_arrays(void **state)
{
  (void)state;
  static const char *const texts[] = {"*1048577\r\n", "*2147483647\r\n", "*1\r\n*1048577\r\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    void *reply = NULL;
    redisReader *reader = reader_create();
    assert_non_null(reader);
    assert_int_equal(redisReaderFeed(reader, texts[i], strlen(texts[i])), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_ERR);
    assert_null(reply);
    reader_destroy(&reader);
    assert_null(reader);
  }
}

static enum resp_result class_of(const char *text)
{
  redisReply *reply = parse(text);
  enum resp_result result = resp_classify(reply);
  freeReplyObject(reply);
  return result;
}

static void classifies(void **state)
{
  (void)state;
  static const char *const passing[] = {
      "-LOADING Redis is loading the dataset in memory\r\n",
      "-BUSY Redis is busy running a script.\r\n",
      "-CLUSTERDOWN The cluster is down\r\n",
      "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
      "-MASTERDOWN Link with MASTER is down\r\n",
      "-READONLY You can't write against a read only replica.\r\n",
      "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
      "-MISCONF Redis is configured to save RDB snapshots\r\n",
      "-NOREPLICAS Not enough good replicas to write.\r\n",
      "-ERR max number of clients reached\r\n",
      "-ERR write command not allowed when reached max-db-size.\r\n",
      "-ERR IO error: No space left on device\r\n",
      "-MOVED 1 127.0.0.1:1\r\n"};
  static const char *const fatal[] = {
      "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
      "-NOAUTH Authentication required.\r\n",
      "-ERR Invalid password\r\n",
      "-NOPERM this user has no permissions\r\n",
      "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
      "-ERR unknown command\r\n",
      "-LOADINGS\r\n",
      "-\r\n"};
  for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
    assert_int_equal(class_of(passing[i]), RESP_PASSING);
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
    assert_int_equal(class_of(fatal[i]), RESP_FATAL);
  assert_int_equal(class_of("+OK\r\n"), RESP_OK);
  assert_int_equal(class_of("$-1\r\n"), RESP_OK);
  assert_int_equal(resp_classify(NULL), RESP_PASSING);
}

static void knows_errors_by_word(void **state)
{
  (void)state;
  redisReply *plain = parse("-WRONGTYPE x\r\n");
  redisReply *wrapped = parse("-ERR Invalid argument: WRONGTYPE Operation\r\n");
  redisReply *status = parse("+WRONGTYPE\r\n");
  assert_true(resp_is_error(plain, "WRONGTYPE"));
  assert_true(resp_is_error(wrapped, "WRONGTYPE"));
  assert_false(resp_is_error(status, "WRONGTYPE"));
  assert_false(resp_is_error(plain, "WRONG"));
  assert_false(resp_is_error(NULL, "WRONGTYPE"));
  freeReplyObject(plain);
  freeReplyObject(wrapped);
  freeReplyObject(status);
}

static struct slot_map map;

static enum cof_result slots_of(const char *text, struct cof_error *err)
{
  redisReply *reply = parse(text);
  enum cof_result result = topology_slots(reply, "asked", 0, &map, err);
  freeReplyObject(reply);
  return result;
}

#define NODE(host_len, host, port) "*3\r\n$" host_len "\r\n" host "\r\n:" port "\r\n$2\r\nid\r\n"

static void reads_slots(void **state)
{
  (void)state;
  struct cof_error err;
  assert_int_equal(slots_of("*3\r\n"
                            "*4\r\n:0\r\n:100\r\n" NODE("3", "n:1", "7000") NODE("2", "n2", "7001")
                            /* as Redis 7 adds: meta data; and the server itself without a name */
                            "*3\r\n:102\r\n:16383\r\n*4\r\n$0\r\n\r\n:7002\r\n$2\r\nid\r\n*0\r\n"
                            "*4\r\n:101\r\n:101\r\n" NODE("3", "n:1", "7000")
                                NODE("1", "?", "7009"),
                            &err),
                   COF_OK);
  assert_int_equal(map.nodes_count, 3);
  assert_string_equal(map.nodes[map.master[0]].host, "n:1");
  assert_int_equal(map.nodes[map.master[100]].port, 7000);
  assert_int_equal(map.master[101], map.master[100]);
  assert_string_equal(map.nodes[map.replica[100]].host, "n2");
  assert_true(map.nodes[map.replica[100]].replica);
  assert_false(map.nodes[map.master[0]].replica);
  assert_int_equal(map.replica[101], RESP_NOBODY);
  assert_string_equal(map.nodes[map.master[16383]].host, "asked");
  assert_int_equal(map.nodes[map.master[16383]].port, 7002);
}

static void refuses_bad_slots(void **state)
{
  (void)state;
  static const char *const bad[] = {
      "+OK\r\n",
      "*0\r\n",
      "*1\r\n:5\r\n",
      "*1\r\n*2\r\n:0\r\n:1\r\n",
      "*1\r\n*3\r\n:-1\r\n:1\r\n" NODE("1", "n", "1"),
      "*1\r\n*3\r\n:5\r\n:4\r\n" NODE("1", "n", "1"),
      "*1\r\n*3\r\n:5\r\n:16384\r\n" NODE("1", "n", "1"),
      "*2\r\n*3\r\n:0\r\n:16383\r\n" NODE("1", "n", "1") "*3\r\n:0\r\n:0\r\n" NODE("1", "n", "1"),
      "*1\r\n*3\r\n:0\r\n:1\r\n" NODE("1", "n", "65536"),
      "*1\r\n*3\r\n:0\r\n:1\r\n" NODE("1", "n", "0"),
      "*1\r\n*3\r\n:0\r\n:1\r\n:4\r\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct cof_error err = {.text = ""};
    assert_int_equal(slots_of(bad[i], &err), COF_REJECT);
    assert_string_not_equal(err.text, "");
  }
}

static enum topology_role role_of(const char *text)
{
  redisReply *reply = parse(text);
  enum topology_role role = topology_role(reply);
  freeReplyObject(reply);
  return role;
}

static void reads_roles(void **state)
{
  (void)state;
  assert_int_equal(role_of("*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n"), ROLE_MASTER);
  assert_int_equal(role_of("*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1\r\n"),
                   ROLE_REPLICA);
  assert_int_equal(role_of("*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$4\r\nsync\r\n:1\r\n"),
                   ROLE_REPLICA_UNLINKED);
  assert_int_equal(role_of("*1\r\n$5\r\nslave\r\n"), ROLE_REPLICA_UNLINKED);
  assert_int_equal(role_of("*2\r\n$8\r\nsentinel\r\n*0\r\n"), ROLE_UNKNOWN);
  assert_int_equal(role_of("*0\r\n"), ROLE_UNKNOWN);
  assert_int_equal(role_of("*1\r\n:4\r\n"), ROLE_UNKNOWN);
  assert_int_equal(role_of("-ERR\r\n"), ROLE_UNKNOWN);
}

static void reads_sentinels(void **state)
{
  (void)state;
  char host[RESP_HOST_MAX];
  uint16_t port;
  redisReply *reply = parse("*2\r\n$3\r\n::1\r\n$4\r\n6379\r\n");
  assert_true(topology_address(reply, host, &port));
  assert_string_equal(host, "::1");
  assert_int_equal(port, 6379);
  freeReplyObject(reply);
  reply = parse("*-1\r\n");
  assert_false(topology_address(reply, host, &port));
  freeReplyObject(reply);
  reply = parse("*2\r\n$1\r\nh\r\n$5\r\n70000\r\n");
  assert_false(topology_address(reply, host, &port));
  freeReplyObject(reply);
  reply = parse("*2\r\n"
                "*6\r\n$2\r\nip\r\n$1\r\na\r\n$4\r\nport\r\n$1\r\n1\r\n$5\r\nflags\r\n"
                "$12\r\ns_down,slave\r\n"
                "*6\r\n$2\r\nip\r\n$1\r\nb\r\n$4\r\nport\r\n$1\r\n2\r\n$5\r\nflags\r\n"
                "$5\r\nslave\r\n");
  for (uint64_t choice = 0; choice < 4; choice++) {
    assert_true(topology_replica(reply, choice, host, &port));
    assert_string_equal(host, "b");
    assert_int_equal(port, 2);
  }
  freeReplyObject(reply);
}

static void reads_redirections(void **state)
{
  (void)state;
  struct redirect to;
#define READ(text) topology_redirect(text, sizeof(text) - 1, &to)
  assert_true(READ("MOVED 3999 127.0.0.1:6381"));
  assert_false(to.ask);
  assert_int_equal(to.slot, 3999);
  assert_string_equal(to.host, "127.0.0.1");
  assert_int_equal(to.port, 6381);
  assert_true(READ("ASK 16383 ::1:65535"));
  assert_true(to.ask);
  assert_string_equal(to.host, "::1");
  assert_true(READ("MOVED 1 :6381"));
  assert_string_equal(to.host, "");
  assert_false(READ("MOVED 16384 h:1"));
  assert_false(READ("MOVED 1 h:0"));
  assert_false(READ("MOVED 1 h:65536"));
  assert_false(READ("MOVED 1 h"));
  assert_false(READ("MOVED 1"));
  assert_false(READ("MOVED "));
  assert_false(READ("MOVED -1 h:1"));
  assert_false(READ("ERR MOVED 1 h:1"));
}

static void reads_endpoints(void **state)
{
  (void)state;
  char host[16];
  uint16_t port;
#define ENDPOINT(text) resp_endpoint_parse(text, 6379, host, sizeof host, &port)
  assert_true(ENDPOINT("db:7000"));
  assert_string_equal(host, "db");
  assert_int_equal(port, 7000);
  assert_true(ENDPOINT("db"));
  assert_int_equal(port, 6379);
  assert_true(ENDPOINT("[2001:db8::1]:7"));
  assert_string_equal(host, "2001:db8::1");
  assert_int_equal(port, 7);
  assert_true(ENDPOINT("::1"));
  assert_string_equal(host, "::1");
  assert_int_equal(port, 6379);
  assert_true(ENDPOINT("[::1]"));
  assert_string_equal(host, "::1");
  assert_false(ENDPOINT(""));
  assert_false(ENDPOINT(":1"));
  assert_false(ENDPOINT("h:"));
  assert_false(ENDPOINT("h:0"));
  assert_false(ENDPOINT("h:65536"));
  assert_false(ENDPOINT("h:1x"));
  assert_false(ENDPOINT("h:-1"));
  assert_false(ENDPOINT("[::1"));
  assert_false(ENDPOINT("[::1]x"));
  assert_false(ENDPOINT("a-name-too-long-by-far:1"));
}

static void checks_options(void **state)
{
  (void)state;
  struct cof_error err;
  struct resp_options o = options();
  o.endpoints_count = 0;
  assert_null(resp_create(&o, &err));
  o = options();
  o.mode = RESP_SENTINEL;
  assert_null(resp_create(&o, &err));
  assert_non_null(strstr(err.text, "master"));
  o = options();
  o.mode = RESP_CLUSTER;
  o.db = 1;
  assert_null(resp_create(&o, &err));
  o = options();
  o.user = "u";
  assert_null(resp_create(&o, &err));
  o = options();
  o.unix_path = "/x";
  assert_null(resp_create(&o, &err));
  o = options();
  o.tls = true;
  o.ca_file = "/no/such/file";
  assert_null(resp_create(&o, &err));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(encodes),
                                     cmocka_unit_test(counts_arguments),
                                     cmocka_unit_test(routes_by_key),
                                     cmocka_unit_test(hashes_slots),
                                     cmocka_unit_test(bounds_arrays),
                                     cmocka_unit_test(classifies),
                                     cmocka_unit_test(knows_errors_by_word),
                                     cmocka_unit_test(reads_slots),
                                     cmocka_unit_test(refuses_bad_slots),
                                     cmocka_unit_test(reads_roles),
                                     cmocka_unit_test(reads_sentinels),
                                     cmocka_unit_test(reads_redirections),
                                     cmocka_unit_test(reads_endpoints),
                                     cmocka_unit_test(checks_options)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
