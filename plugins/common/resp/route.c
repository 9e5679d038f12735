/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "inner_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How long a master is asked for want of a replica before one is looked for again. */
#define MAKESHIFT_MS 5000

void node_close(struct node *n)
{
  conn_close(&n->conn);
  free(n->peer);
  n->peer = NULL;
  n->makeshift_ms = 0;
}

void node_free(struct node *n)
{
  node_close(n);
  free(n->queue);
  free(n);
}

static bool same_place(const struct node *n, const char *host, uint16_t port)
{
  return n->port == port && strcasecmp(n->host, host) == 0;
}

static struct node *node_make(const char *host, uint16_t port)
{
  struct node *n = calloc(1, sizeof *n);
  if (n == NULL)
    return NULL;
  n->conn.fd = -1;
  n->port = port;
  snprintf(n->host, sizeof n->host, "%s", host);
  struct target t = {.host = n->host, .port = port};
  if (port != 0)
    target_text(&t, n->name, sizeof n->name);
  return n;
}

struct node *route_add_node(struct resp *r, const char *host, uint16_t port, uint16_t *index)
{
  for (size_t i = 0; i < r->nodes_count; i++)
    if (same_place(r->nodes[i], host, port)) {
      if (index != NULL)
        *index = (uint16_t)i;
      return r->nodes[i];
    }
  if (r->nodes_count == NODES_MAX)
    return NULL;
  struct node **more = realloc(r->nodes, (r->nodes_count + 1) * sizeof *more);
  if (more == NULL)
    return NULL;
  r->nodes = more;
  struct node *n = node_make(host, port);
  if (n == NULL)
    return NULL;
  if (index != NULL)
    *index = (uint16_t)r->nodes_count;
  r->nodes[r->nodes_count++] = n;
  return n;
}

/* --- one server ------------------------------------------------------------------------------ */

static bool set_peer(struct node *n, const struct target *t)
{
  char name[RESP_HOST_MAX + 16];
  target_text(t, name, sizeof name);
  free(n->peer);
  n->peer = strdup(name);
  return n->peer != NULL;
}

/* Whether the server on this connection has the role asked for. */
static enum resp_result verify_role(struct resp *r, struct node *n, bool replica,
                                    struct cof_error *err)
{
  const char *argv[] = {"ROLE"};
  redisReply *reply;
  struct cof_error why;
  enum resp_result result = conn_call(r, &n->conn, argv, 1, &reply, &why);
  if (result != RESP_OK) {
    cof_fail(err, COF_RETRY, "%s: %.200s", n->peer, why.text);
    return result;
  }
  result = resp_classify(reply);
  enum topology_role role = topology_role(reply);
  if (result != RESP_OK) {
    cof_fail(err, COF_RETRY, "%s: ROLE: %.200s", n->peer, reply->str);
  } else if (role != (replica ? ROLE_REPLICA : ROLE_MASTER)) {
    cof_fail(err, COF_RETRY, "%s: is no %s now", n->peer,
             replica ? "replica in step with its master" : "master");
    result = RESP_PASSING;
  }
  freeReplyObject(reply);
  return result;
}

/* Connect to one place; `verify` also demands the role. */
static enum resp_result try_target(struct resp *r, struct node *n, const struct target *t,
                                   bool verify, bool replica, struct cof_error *err)
{
  enum resp_result result = conn_open(r, &n->conn, t, CONN_WRITE, err);
  if (result != RESP_OK)
    return result;
  if (!set_peer(n, t)) {
    cof_fail(err, COF_FATAL, "out of memory");
    result = RESP_FATAL;
  } else if (verify) {
    result = verify_role(r, n, replica, err);
  }
  if (result != RESP_OK)
    node_close(n);
  return result;
}

static enum resp_result connect_alone(struct resp *r, struct node *n, bool replica,
                                      struct cof_error *err)
{
  if (r->o.unix_path != NULL) {
    struct target t = {.host = r->o.unix_path, .local = true};
    return try_target(r, n, &t, false, false, err);
  }
  enum resp_result result = RESP_PASSING;
  bool verify = r->o.endpoints_count > 1;
  for (size_t i = 0; i < r->o.endpoints_count && result == RESP_PASSING; i++) {
    struct resp_endpoint *e = &r->endpoints[(r->next_endpoint + i) % r->o.endpoints_count];
    struct target t = {.host = e->host, .port = e->port};
    result = try_target(r, n, &t, verify, replica, err);
  }
  if (result != RESP_OK)
    r->next_endpoint = (r->next_endpoint + 1) % r->o.endpoints_count;
  return result;
}

/* Ask one sentinel where the master, or a replica of it, is. */
static enum resp_result ask_sentinel(struct resp *r, const struct resp_endpoint *e, bool replica,
                                     char host[RESP_HOST_MAX], uint16_t *port,
                                     struct cof_error *err)
{
  struct conn c = {.fd = -1};
  struct target t = {.host = e->host, .port = e->port};
  struct cof_error why;
  redisReply *reply;
  enum resp_result result = conn_open(r, &c, &t, CONN_SENTINEL, err);
  if (result != RESP_OK)
    return result;
  const char *argv[] = {"SENTINEL", replica ? "replicas" : "get-master-addr-by-name",
                        r->o.master_name};
  result = conn_call(r, &c, argv, 3, &reply, &why);
  conn_close(&c);
  if (result != RESP_OK) {
    cof_fail(err, COF_RETRY, "sentinel %s:%u: %.200s", e->host, e->port, why.text);
    return result;
  }
  bool found = replica ? topology_replica(reply, random_next(r), host, port)
                       : topology_address(reply, host, port);
  if (!found) {
    cof_fail(err, COF_RETRY, "sentinel %s:%u: knows no %s of \"%.100s\"%s%.60s", e->host, e->port,
             replica ? "replica" : "address", r->o.master_name,
             reply->type == REDIS_REPLY_ERROR ? ": " : "",
             reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    result = resp_is_error(reply, "NOAUTH") || resp_is_error(reply, "NOPERM") ? RESP_FATAL
                                                                              : RESP_PASSING;
  }
  freeReplyObject(reply);
  return result;
}

static enum resp_result connect_by_sentinel(struct resp *r, struct node *n, bool replica,
                                            struct cof_error *err)
{
  enum resp_result result = RESP_PASSING;
  for (size_t i = 0; i < r->o.endpoints_count && result == RESP_PASSING; i++) {
    char host[RESP_HOST_MAX];
    uint16_t port;
    struct resp_endpoint *e = &r->endpoints[(r->next_endpoint + i) % r->o.endpoints_count];
    result = ask_sentinel(r, e, replica, host, &port, err);
    if (result != RESP_OK)
      continue;
    struct target t = {.host = host, .port = port};
    result = try_target(r, n, &t, true, replica, err);
  }
  if (result != RESP_OK)
    r->next_endpoint = (r->next_endpoint + 1) % r->o.endpoints_count;
  return result;
}

enum resp_result route_connect(struct resp *r, struct node *n, struct cof_error *err)
{
  r->connections++;
  if (r->o.mode == RESP_CLUSTER) {
    struct target t = {.host = n->host, .port = n->port};
    return conn_open(r, &n->conn, &t, n->replica ? CONN_READ_REPLICA : CONN_WRITE, err);
  }
  enum resp_result (*connect)(struct resp *, struct node *, bool, struct cof_error *) =
      r->o.mode == RESP_SENTINEL ? connect_by_sentinel : connect_alone;
  enum resp_result result = connect(r, n, r->o.read_replica, err);
  if (result == RESP_PASSING && r->o.read_replica) {
    result = connect(r, n, false, err);
    n->makeshift_ms = now_ms() + MAKESHIFT_MS;
  }
  return result;
}

/* --- cluster --------------------------------------------------------------------------------- */

static enum resp_result ask_map(struct resp *r, const struct target *t, struct slot_map *map,
                                struct cof_error *err)
{
  struct conn c = {.fd = -1};
  struct cof_error why;
  char name[RESP_HOST_MAX + 16];
  redisReply *reply;
  const char *argv[] = {"CLUSTER", "SLOTS"};
  target_text(t, name, sizeof name);
  enum resp_result result = conn_open(r, &c, t, CONN_WRITE, err);
  if (result != RESP_OK)
    return result;
  result = conn_call(r, &c, argv, 2, &reply, &why);
  conn_close(&c);
  if (result != RESP_OK) {
    cof_fail(err, COF_RETRY, "%s: %.200s", name, why.text);
    return result;
  }
  result = resp_classify(reply);
  if (result != RESP_OK) {
    cof_fail(err, COF_RETRY, "%s: CLUSTER SLOTS: %.180s", name, reply->str);
  } else if (topology_slots(reply, t->host, random_next(r), map, &why) != COF_OK) {
    cof_fail(err, COF_RETRY, "%s: %.200s", name, why.text);
    result = RESP_PASSING;
  }
  freeReplyObject(reply);
  return result;
}

/* Nodes in the order of the map, masters first, each with the connection it had. */
static bool take_nodes(struct resp *r, const struct slot_map *map, uint16_t *index)
{
  size_t count = 0;
  struct node **nodes = calloc(map->nodes_count, sizeof *nodes);
  if (nodes == NULL)
    return false;
  for (int replicas = 0; replicas < 2; replicas++) {
    for (size_t i = 0; i < map->nodes_count; i++) {
      const struct map_node *m = &map->nodes[i];
      if (m->replica != (replicas == 1))
        continue;
      struct node *n = NULL;
      for (size_t k = 0; k < r->nodes_count && n == NULL; k++)
        if (r->nodes[k] != NULL && same_place(r->nodes[k], m->host, m->port)) {
          n = r->nodes[k];
          r->nodes[k] = NULL;
        }
      if (n == NULL && (n = node_make(m->host, m->port)) == NULL)
        continue; /* its slots are unserved until the next refresh */
      if (n->replica != m->replica)
        node_close(n);
      n->replica = m->replica;
      index[i] = (uint16_t)count;
      nodes[count++] = n;
    }
    if (replicas == 0)
      r->masters = count;
  }
  for (size_t k = 0; k < r->nodes_count; k++)
    if (r->nodes[k] != NULL)
      node_free(r->nodes[k]);
  free(r->nodes);
  r->nodes = nodes;
  r->nodes_count = count;
  return true;
}

static bool take_map(struct resp *r, const struct slot_map *map)
{
  uint16_t index[RESP_MAP_NODES];
  for (size_t i = 0; i < RESP_MAP_NODES; i++)
    index[i] = NO_NODE;
  if (!take_nodes(r, map, index))
    return false;
  for (size_t s = 0; s < RESP_SLOTS; s++) {
    r->owner[s] = map->master[s] != RESP_NOBODY ? index[map->master[s]] : NO_NODE;
    r->reader_of[s] = map->replica[s] != RESP_NOBODY ? index[map->replica[s]] : r->owner[s];
  }
  r->stale = false;
  return true;
}

enum resp_result route_refresh(struct resp *r, struct cof_error *err)
{
  struct slot_map *map = malloc(sizeof *map);
  if (map == NULL) {
    cof_fail(err, COF_FATAL, "out of memory");
    return RESP_FATAL;
  }
  enum resp_result result = RESP_PASSING;
  size_t start = r->nodes_count != 0 ? random_next(r) % r->nodes_count : 0;
  for (size_t i = 0; i < r->nodes_count && result == RESP_PASSING; i++) {
    struct node *n = r->nodes[(start + i) % r->nodes_count];
    struct target t = {.host = n->host, .port = n->port};
    result = ask_map(r, &t, map, err);
  }
  for (size_t i = 0; i < r->o.endpoints_count && result == RESP_PASSING; i++) {
    struct resp_endpoint *e = &r->endpoints[i];
    struct target t = {.host = e->host, .port = e->port};
    result = ask_map(r, &t, map, err);
  }
  if (result == RESP_OK && !take_map(r, map)) {
    cof_fail(err, COF_FATAL, "out of memory");
    result = RESP_FATAL;
  }
  free(map);
  return result;
}

struct node *route_node(struct resp *r, const struct command *c)
{
  uint16_t index = 0;
  if (c->ask != NO_NODE)
    index = c->ask;
  else if (c->route == ROUTE_NODE)
    index = c->where;
  else if (c->route == ROUTE_SLOT)
    index = r->o.read_replica ? r->reader_of[c->where] : r->owner[c->where];
  else if (r->masters > 1)
    index = (uint16_t)(random_next(r) % r->masters);
  return index < r->nodes_count ? r->nodes[index] : NULL;
}

bool route_redirect(struct resp *r, struct command *c, const redisReply *reply)
{
  struct redirect to;
  if (c->route != ROUTE_SLOT)
    return false;
  if (resp_is_error(reply, "TRYAGAIN")) {
    r->again = r->soon = true;
    return true;
  }
  if (!topology_redirect(reply->str, (size_t)reply->len, &to) || to.host[0] == '\0')
    return false;
  uint16_t index;
  if (route_add_node(r, to.host, to.port, &index) == NULL)
    return false;
  if (to.ask) {
    c->ask = index;
  } else {
    r->owner[to.slot] = r->reader_of[to.slot] = index;
    r->stale = true;
  }
  r->again = true;
  return true;
}
