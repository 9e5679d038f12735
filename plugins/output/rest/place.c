/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where an answer stands, and how it goes on there. The place is the storage's token; that of a
 * pivot has two of them and the rrname between:
 *
 *     flags, length of the owners' token (4 octets), that token, length of the rrname (2 octets),
 *     the rrname, and the token of its records, where these are under way
 */
#include "auth_private.h"
#include "rest_private.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_OWNER_FOUND = 1, PLACE_UNDER_WAY = 2 };
#define PIVOT_HEAD  7
#define PIVOT_BOUND (PIVOT_HEAD + COF_NAME_MAX + 2 * (size_t)COF_TOKEN_MAX)

static enum cof_result token_of(struct answer *a, struct source *s, uint8_t *out, size_t *len,
                                struct cof_error *err)
{
  enum cof_result r = cof_query_token(a->worker->rest->host, s->cursor, out, COF_TOKEN_MAX, len);
  if (r != COF_OK)
    return cof_fail(err, r == COF_REJECT ? COF_FATAL : r,
                    "the storage gives no place to go on from");
  return COF_OK;
}

static enum cof_result pivot_take(struct answer *a, uint8_t *out, size_t *len,
                                  struct cof_error *err)
{
  size_t owners, name = strlen(a->owner), rest = 0;
  bool under_way = a->records.cursor != NULL;
  enum cof_result r = token_of(a, &a->owners, out + 5, &owners, err);
  if (r != COF_OK)
    return r;
  out[0] = (uint8_t)((a->owner_found ? PLACE_OWNER_FOUND : 0) | (under_way ? PLACE_UNDER_WAY : 0));
  for (int i = 0; i < 4; i++)
    out[1 + i] = (uint8_t)(owners >> (8 * i));
  uint8_t *p = out + 5 + owners;
  *p++ = (uint8_t)name;
  *p++ = (uint8_t)(name >> 8);
  memcpy(p, a->owner, name);
  p += name;
  if (under_way)
    r = token_of(a, &a->records, p, &rest, err);
  *len = (size_t)(p - out) + rest;
  return r;
}

enum cof_result place_take(struct answer *a, struct cof_error *err)
{
  struct place *place = malloc(sizeof *place + (a->pivot ? PIVOT_BOUND : COF_TOKEN_MAX));
  if (place == NULL)
    return cof_fail(err, COF_RETRY, "out of memory");
  size_t len;
  enum cof_result r = a->pivot ? pivot_take(a, place->token, &len, err)
                               : token_of(a, &a->records, place->token, &len, err);
  if (r == COF_OK) {
    place->fences = a->fences;
    place->len = len;
    free(a->place);
    struct place *fitting = realloc(place, sizeof *place + len);
    a->place = fitting != NULL ? fitting : place;
    return COF_OK;
  }
  free(place);
  return r;
}

static enum cof_result broken(struct cof_error *err)
{
  return cof_fail(err, COF_FATAL, "a place that was kept is broken");
}

static enum cof_result pivot_resume(struct answer *a, struct cof_query *query,
                                    const struct place *place, struct cof_error *err)
{
  const uint8_t *p = place->token, *end = p + place->len;
  size_t owners = 0, name;
  if (place->len < PIVOT_HEAD)
    return broken(err);
  for (int i = 0; i < 4; i++)
    owners |= (size_t)p[1 + i] << (8 * i);
  if (owners > place->len - PIVOT_HEAD)
    return broken(err);
  query->token = p + 5;
  query->token_len = owners;
  const uint8_t *at = p + 5 + owners;
  name = (size_t)at[0] | (size_t)at[1] << 8;
  at += 2;
  if (name >= sizeof a->owner || name > (size_t)(end - at))
    return broken(err);
  memcpy(a->owner, at, name);
  a->owner[name] = '\0';
  at += name;
  a->owner_found = (p[0] & PLACE_OWNER_FOUND) != 0;
  enum cof_result r = source_open(a, &a->owners, query, err);
  if (r == COF_OK && (p[0] & PLACE_UNDER_WAY) != 0)
    r = answer_open_owner(a, at, (size_t)(end - at), err);
  return r;
}

enum cof_result place_resume(struct answer *a, struct cof_query *query, const struct place *place,
                             struct cof_error *err)
{
  if (a->pivot)
    return pivot_resume(a, query, place, err);
  query->token = place->token;
  query->token_len = place->len;
  return source_open(a, &a->records, query, err);
}

/* --- cursors -------------------------------------------------------------------------------- */

/* The client's address: what the guard made of it, which knows of proxies, or the connection's. */
static struct cof_addr client_of(const struct answer *a)
{
  struct cof_addr addr = a->visit.client;
  if (a->visit.guard != NULL && addr.family != 0)
    return addr;
  memset(&addr, 0, sizeof addr);
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(a->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  const struct sockaddr *sa = info != NULL ? info->client_addr : NULL;
  if (sa != NULL && sa->sa_family == AF_INET) {
    addr.family = 4;
    memcpy(addr.bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
  } else if (sa != NULL && sa->sa_family == AF_INET6) {
    addr.family = 6;
    memcpy(addr.bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
  }
  return addr;
}

/* Whom a cursor's memory is counted for: the client's address, or its network of IPv6, whose
   addresses one client has plenty of. */
static void account_of(const struct answer *a, char out[COF_ADDR_TEXT_MAX])
{
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  struct cof_addr addr = client_of(a);
  out[0] = '\0';
  if (addr.family == 0)
    return;
  if (addr.family == 6 && memcmp(addr.bytes, mapped, sizeof mapped) != 0)
    memset(addr.bytes + 8, 0, 8);
  (void)cof_addr_text(&addr, out);
}

static struct cursor_use use_of(struct answer *a, char account[COF_ADDR_TEXT_MAX])
{
  account_of(a, account);
  const char *name = auth_name(a);
  return (struct cursor_use){.owner = name,
                             .account = name[0] != '\0' ? name : account,
                             .question = a->question,
                             .now_ns = cof_clock_ns(a->worker->rest->host)};
}

enum cof_result cursor_give(struct answer *a, struct cof_error *err)
{
  char account[COF_ADDR_TEXT_MAX];
  struct cursor_use use = use_of(a, account);
  struct place *place = a->place;
  a->place = NULL;
  return cursors_put(a->worker->rest->cursors, &use, place, a->came_by, &a->cursor, err);
}

enum cof_result cursor_take(struct answer *a, uint64_t id, struct place **place,
                            struct cof_error *err)
{
  char account[COF_ADDR_TEXT_MAX];
  *place = NULL;
  if (id == 0)
    return COF_OK;
  struct cursor_use use = use_of(a, account);
  a->came_by = id;
  enum cof_result r = cursors_get(a->worker->rest->cursors, &use, id, place, err);
  if (r == COF_OK)
    a->fences = (*place)->fences;
  return r;
}
