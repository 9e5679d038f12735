/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any octets as the answer of a hostile server: whatever is read of it stays within its bounds.
   Links plugins/common/resp (libresp) and hiredis. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/common/resp/reader_private.h"
#include "../../plugins/common/resp/resp_private.h"
#include "../../plugins/common/resp/topology_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                      \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

static void check_host(const char *host, uint16_t port)
{
  size_t len = strnlen(host, RESP_HOST_MAX);
  CHECK(len > 0 && len < RESP_HOST_MAX && port != 0);
}

static void check_map(const redisReply *reply, uint64_t choice)
{
  static struct slot_map map;
  struct cof_error err = {.text = ""};
  if (topology_slots(reply, "asked", choice, &map, &err) != COF_OK) {
    CHECK(err.text[0] != '\0');
    return;
  }
  CHECK(map.nodes_count >= 1 && map.nodes_count <= RESP_MAP_NODES);
  for (size_t i = 0; i < map.nodes_count; i++)
    check_host(map.nodes[i].host, map.nodes[i].port);
  for (size_t i = 0; i < RESP_SLOTS; i++) {
    CHECK(map.master[i] == RESP_NOBODY || map.master[i] < map.nodes_count);
    CHECK(map.replica[i] == RESP_NOBODY || map.replica[i] < map.nodes_count);
  }
}

static void check_reply(const redisReply *reply, uint64_t choice)
{
  char host[RESP_HOST_MAX];
  uint16_t port = 0;
  struct redirect to;
  check_map(reply, choice);
  (void)topology_role(reply);
  if (topology_address(reply, host, &port))
    check_host(host, port);
  if (topology_replica(reply, choice, host, &port))
    check_host(host, port);
  if (reply->type == REDIS_REPLY_ERROR && topology_redirect(reply->str, (size_t)reply->len, &to)) {
    CHECK(to.slot < RESP_SLOTS && to.port != 0);
    CHECK(strnlen(to.host, RESP_HOST_MAX) < RESP_HOST_MAX);
  }
  enum resp_result result = resp_classify(reply);
  CHECK((result == RESP_OK) == (reply->type != REDIS_REPLY_ERROR));
  if (resp_is_error(reply, "LOADING"))
    CHECK(reply->type == REDIS_REPLY_ERROR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  redisReader *reader = reader_create();
  if (reader == NULL || redisReaderFeed(reader, (const char *)data + 1, size - 1) != REDIS_OK)
    abort();
  void *reply = NULL;
  while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
    check_reply(reply, data[0]);
    freeReplyObject(reply);
  }
  reader_destroy(&reader);
  return 0;
}
