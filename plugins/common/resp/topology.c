/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "topology_private.h"

#include <string.h>
#include <strings.h>

static bool is_text(const redisReply *r)
{
  return r != NULL && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS);
}

static bool is_array(const redisReply *r, size_t least)
{
  return r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements >= least;
}

static bool equals(const redisReply *r, const char *text)
{
  return is_text(r) && (size_t)r->len == strlen(text) && memcmp(r->str, text, (size_t)r->len) == 0;
}

static bool copy_host(char out[RESP_HOST_MAX], const char *text, size_t len)
{
  if (len == 0 || len >= RESP_HOST_MAX || memchr(text, '\0', len) != NULL)
    return false;
  memcpy(out, text, len);
  out[len] = '\0';
  return true;
}

static bool read_number(const char *text, size_t len, unsigned max, unsigned *out)
{
  unsigned n = 0;
  if (len == 0 || len > 5)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    n = n * 10 + (unsigned)(text[i] - '0');
  }
  *out = n;
  return n <= max;
}

static bool read_port(const char *text, size_t len, uint16_t *port)
{
  unsigned n;
  if (!read_number(text, len, UINT16_MAX, &n) || n == 0)
    return false;
  *port = (uint16_t)n;
  return true;
}

/* Index of a node in the map, added where new. */
static uint16_t map_node(struct slot_map *map, const redisReply *r, const char *asked, bool replica)
{
  struct map_node node = {.replica = replica};
  if (!is_array(r, 2) || r->element[1]->type != REDIS_REPLY_INTEGER || r->element[1]->integer < 1 ||
      r->element[1]->integer > UINT16_MAX)
    return RESP_NOBODY;
  node.port = (uint16_t)r->element[1]->integer;
  const redisReply *host = r->element[0];
  bool own = host->type == REDIS_REPLY_NIL || (is_text(host) && host->len == 0);
  if (!own && (!is_text(host) || equals(host, "?")))
    return RESP_NOBODY;
  if (!copy_host(node.host, own ? asked : host->str, own ? strlen(asked) : (size_t)host->len))
    return RESP_NOBODY;
  for (size_t i = 0; i < map->nodes_count; i++) {
    struct map_node *known = &map->nodes[i];
    if (known->port != node.port || strcasecmp(known->host, node.host) != 0)
      continue;
    known->replica = known->replica && replica;
    return (uint16_t)i;
  }
  if (map->nodes_count == RESP_MAP_NODES)
    return RESP_NOBODY;
  map->nodes[map->nodes_count] = node;
  return (uint16_t)map->nodes_count++;
}

static bool read_range(const redisReply *r, const char *asked, uint64_t choice,
                       struct slot_map *map, size_t *covered)
{
  if (!is_array(r, 3) || r->element[0]->type != REDIS_REPLY_INTEGER ||
      r->element[1]->type != REDIS_REPLY_INTEGER)
    return false;
  long long first = r->element[0]->integer, last = r->element[1]->integer;
  if (first < 0 || last < first || last >= RESP_SLOTS)
    return false;
  *covered += (size_t)(last - first + 1);
  if (*covered > RESP_SLOTS) /* ranges overlap: bounds the work, too */
    return false;
  uint16_t master = map_node(map, r->element[2], asked, false);
  uint16_t replica = RESP_NOBODY;
  if (r->elements > 3)
    replica = map_node(map, r->element[3 + choice % (r->elements - 3)], asked, true);
  for (long long slot = first; slot <= last; slot++) {
    map->master[slot] = master;
    map->replica[slot] = replica;
  }
  return true;
}

enum cof_result topology_slots(const redisReply *reply, const char *asked, uint64_t choice,
                               struct slot_map *map, struct cof_error *err)
{
  size_t covered = 0;
  map->nodes_count = 0;
  for (size_t i = 0; i < RESP_SLOTS; i++)
    map->master[i] = map->replica[i] = RESP_NOBODY;
  if (!is_array(reply, 0) || reply->elements > RESP_SLOTS)
    return cof_fail(err, COF_REJECT, "the answer to CLUSTER SLOTS is no list of slot ranges");
  for (size_t i = 0; i < reply->elements; i++)
    if (!read_range(reply->element[i], asked, choice + i, map, &covered))
      return cof_fail(err, COF_REJECT, "range %zu of the answer to CLUSTER SLOTS is malformed", i);
  if (map->nodes_count == 0)
    return cof_fail(err, COF_REJECT, "no node of the cluster holds any slot");
  return COF_OK;
}

enum topology_role topology_role(const redisReply *reply)
{
  if (!is_array(reply, 1))
    return ROLE_UNKNOWN;
  if (equals(reply->element[0], "master"))
    return ROLE_MASTER;
  if (!equals(reply->element[0], "slave") && !equals(reply->element[0], "replica"))
    return ROLE_UNKNOWN;
  if (reply->elements < 4 || !equals(reply->element[3], "connected"))
    return ROLE_REPLICA_UNLINKED;
  return ROLE_REPLICA;
}

bool topology_address(const redisReply *reply, char host[RESP_HOST_MAX], uint16_t *port)
{
  if (!is_array(reply, 2) || !is_text(reply->element[0]) || !is_text(reply->element[1]))
    return false;
  return copy_host(host, reply->element[0]->str, (size_t)reply->element[0]->len) &&
         read_port(reply->element[1]->str, (size_t)reply->element[1]->len, port);
}

static const redisReply *field(const redisReply *r, const char *name)
{
  for (size_t i = 0; i + 1 < r->elements; i += 2)
    if (equals(r->element[i], name))
      return r->element[i + 1];
  return NULL;
}

static bool replica_up(const redisReply *r, char host[RESP_HOST_MAX], uint16_t *port)
{
  static const char *const bad[] = {"s_down", "o_down", "disconnected"};
  if (!is_array(r, 6))
    return false;
  const redisReply *ip = field(r, "ip"), *number = field(r, "port"), *flags = field(r, "flags");
  if (!is_text(ip) || !is_text(number) || !is_text(flags))
    return false;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (memmem(flags->str, (size_t)flags->len, bad[i], strlen(bad[i])) != NULL)
      return false;
  return copy_host(host, ip->str, (size_t)ip->len) &&
         read_port(number->str, (size_t)number->len, port);
}

bool topology_replica(const redisReply *reply, uint64_t choice, char host[RESP_HOST_MAX],
                      uint16_t *port)
{
  if (!is_array(reply, 1))
    return false;
  for (size_t i = 0; i < reply->elements; i++)
    if (replica_up(reply->element[(choice + i) % reply->elements], host, port))
      return true;
  return false;
}

bool topology_redirect(const char *text, size_t len, struct redirect *out)
{
  size_t skip = len > 6 && memcmp(text, "MOVED ", 6) == 0 ? 6
                : len > 4 && memcmp(text, "ASK ", 4) == 0 ? 4
                                                          : 0;
  if (skip == 0)
    return false;
  out->ask = skip == 4;
  const char *slot = text + skip, *end = text + len;
  const char *space = memchr(slot, ' ', (size_t)(end - slot));
  unsigned n;
  if (space == NULL || !read_number(slot, (size_t)(space - slot), RESP_SLOTS - 1, &n))
    return false;
  out->slot = (uint16_t)n;
  const char *host = space + 1, *colon = memrchr(host, ':', (size_t)(end - host));
  if (colon == NULL || !read_port(colon + 1, (size_t)(end - colon - 1), &out->port))
    return false;
  out->host[0] = '\0';
  return colon == host || copy_host(out->host, host, (size_t)(colon - host));
}
