/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What servers say about who holds what: read from answers that may be hostile. Pure functions.
 */
#ifndef RESP_TOPOLOGY_PRIVATE_H
#define RESP_TOPOLOGY_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include <cofd/result.h>

#define RESP_SLOTS     16384
#define RESP_HOST_MAX  256 /* octets of a host name with its NUL */
#define RESP_MAP_NODES 1000
#define RESP_NOBODY    UINT16_MAX

struct map_node {
  char host[RESP_HOST_MAX];
  uint16_t port;
  bool replica; /* of some range, and master of none */
};

/** Who holds each slot. */
struct slot_map {
  uint16_t master[RESP_SLOTS];  /**< index into nodes, or RESP_NOBODY */
  uint16_t replica[RESP_SLOTS]; /**< one of the replicas, or RESP_NOBODY */
  struct map_node nodes[RESP_MAP_NODES];
  size_t nodes_count;
};

/**
 * Read the answer to CLUSTER SLOTS.
 * @param asked   host of the server that answered: what an empty host means
 * @param choice  chooses among the replicas of a range
 * @return COF_OK; COF_REJECT with a reason: not of that form, or it names no slot
 */
enum cof_result topology_slots(const redisReply *reply, const char *asked, uint64_t choice,
                               struct slot_map *map, struct cof_error *err);

enum topology_role { ROLE_UNKNOWN, ROLE_MASTER, ROLE_REPLICA, ROLE_REPLICA_UNLINKED };

/** Read the answer to ROLE. */
enum topology_role topology_role(const redisReply *reply);

/** Read the answer to SENTINEL get-master-addr-by-name. @return false: unknown or malformed */
bool topology_address(const redisReply *reply, char host[RESP_HOST_MAX], uint16_t *port);

/** Read the answer to SENTINEL replicas: one that is up. @return false when there is none */
bool topology_replica(const redisReply *reply, uint64_t choice, char host[RESP_HOST_MAX],
                      uint16_t *port);

struct redirect {
  bool ask; /* else MOVED */
  uint16_t slot;
  char host[RESP_HOST_MAX]; /* "" means the server that answered */
  uint16_t port;
};

/** Read `MOVED slot host:port` or `ASK slot host:port`. @return false when it is neither */
bool topology_redirect(const char *text, size_t len, struct redirect *out);

#endif
