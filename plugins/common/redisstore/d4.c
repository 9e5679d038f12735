/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_private.h"

#include <stdlib.h>
#include <string.h>

/* Sensors that are asked for at once, and all that are shown. */
#define SENSORS_PAGE 1000
#define SENSORS_MAX  1000000
/* Pages of keys that are looked at for one of this layout. */
#define PROBE_PAGES 16
/* Of the keys of a record, three are its own, and it shares two with others. */
#define KEYS_PER_RECORD 4

/* --- which database is in this layout -------------------------------------------------------- */

static bool take_integer(void *arg, const redisReply *reply)
{
  long long *n = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
    *n += reply->integer;
  return false;
}

struct look {
  char cursor[64];
  bool found;
};

static bool take_look(void *arg, const redisReply *reply)
{
  struct look *look = arg;
  look->found = false;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
      reply->element[0]->str == NULL || reply->element[0]->len >= sizeof look->cursor)
    return false;
  memcpy(look->cursor, reply->element[0]->str, reply->element[0]->len + 1);
  const redisReply *keys = reply->element[1];
  for (size_t i = 0; i < keys->elements && !look->found; i++) {
    struct d4_text name;
    uint16_t rrtype;
    look->found = keys->element[i]->str != NULL &&
                  d4_key_split(keys->element[i]->str, keys->element[i]->len, &name, &rrtype);
  }
  return false;
}

/* Whether one of the first keys of a node is r:NAME:T. */
static enum resp_result look_at_node(struct resp *client, size_t node, bool *holds,
                                     struct cof_error *err)
{
  struct look look = {.cursor = "0"};
  for (int page = 0; page < PROBE_PAGES; page++) {
    resp_begin_node(client, 6, node);
    resp_arg_str(client, "SCAN");
    resp_arg_str(client, look.cursor);
    resp_arg_str(client, "MATCH");
    resp_arg_str(client, "r:*");
    resp_arg_str(client, "COUNT");
    resp_arg_int(client, 1000);
    strcpy(look.cursor, "0");
    if (!resp_end(client, take_look, &look)) {
      cof_fail(err, COF_RETRY, "out of memory");
      return RESP_PASSING;
    }
    enum resp_result result = resp_run(client, 0, err);
    *holds = look.found;
    if (result != RESP_OK || look.found || strcmp(look.cursor, "0") == 0)
      return result;
  }
  return RESP_OK;
}

static enum resp_result probe(struct resp *client, bool *holds, struct cof_error *err)
{
  static const char *const argv[] = {"EXISTS", "stats:processed"};
  long long n = 0;
  if (!resp_append(client, 1, argv, 2, take_integer, &n)) {
    cof_fail(err, COF_RETRY, "out of memory");
    return RESP_PASSING;
  }
  enum resp_result result = resp_run(client, 0, err);
  *holds = n != 0;
  if (result != RESP_OK || *holds)
    return result;
  size_t nodes = resp_nodes(client, &result, err);
  for (size_t i = 0; i < nodes && !*holds && result == RESP_OK; i++)
    result = look_at_node(client, i, holds, err);
  return result;
}

/* --- life ------------------------------------------------------------------------------------ */

static void destroy(void *state)
{
  struct d4 *d4 = state;
  if (d4 == NULL)
    return;
  d4_writer_destroy(&d4->writer);
  free(d4);
}

/* Types without a mnemonic are found by questions that name them, and by reading everything. */
static void *create(struct store *s)
{
  (void)s;
  struct d4 *d4 = calloc(1, sizeof *d4);
  if (d4 == NULL)
    return NULL;
  for (uint32_t t = 0; t <= UINT16_MAX && d4->types_count < D4_TYPES_MAX; t++)
    if (cof_rrtype_mnemonic((uint16_t)t) != NULL || t == 54 || t == 65535)
      d4->types[d4->types_count++] = (uint16_t)t;
  d4->writer = d4_writer_create();
  if (d4->writer == NULL) {
    destroy(d4);
    return NULL;
  }
  return d4;
}

/* --- statistics ------------------------------------------------------------------------------ */

struct sensors {
  cof_sensor_fn fn;
  void *arg;
  size_t count;
};

static bool take_sensors(void *arg, const redisReply *reply)
{
  struct sensors *sensors = arg;
  sensors->count = 0;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
    return resp_is_error(reply, "WRONGTYPE");
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    const redisReply *id = reply->element[i], *score = reply->element[i + 1];
    if (id->str == NULL || score->str == NULL)
      continue;
    double n = strtod(score->str, NULL);
    sensors->fn(sensors->arg, id->str, n >= 1 && n < 9.2e18 ? (uint64_t)n : 0);
  }
  sensors->count = reply->elements / 2;
  return true;
}

static enum cof_result read_sensors(struct resp *client, struct sensors *sensors,
                                    struct cof_error *err)
{
  for (size_t at = 0; at < SENSORS_MAX; at += SENSORS_PAGE) {
    resp_begin(client, 5, 1);
    resp_arg_str(client, "ZREVRANGE");
    resp_arg_str(client, "stats:sensors");
    resp_arg_int(client, (int64_t)at);
    resp_arg_int(client, (int64_t)at + SENSORS_PAGE - 1);
    resp_arg_str(client, "WITHSCORES");
    if (!resp_end(client, take_sensors, sensors))
      return cof_fail(err, COF_RETRY, "out of memory");
    enum cof_result result = store_result(resp_run(client, 0, err));
    if (result != COF_OK || sensors->count < SENSORS_PAGE)
      return result;
  }
  return COF_OK;
}

static bool take_processed(void *arg, const redisReply *reply)
{
  uint64_t *n = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_STRING)
    (void)d4_number_get(reply->str, reply->len, COF_COUNT_MAX, n);
  return false;
}

static enum cof_result read_numbers(struct resp *client, struct cof_storage_stats *stats,
                                    struct cof_error *err)
{
  static const char *const get[] = {"GET", "stats:processed"}, *const size[] = {"DBSIZE"};
  long long keys = 0;
  enum resp_result result;
  size_t nodes = resp_nodes(client, &result, err);
  if (nodes == 0)
    return store_result(result);
  stats->observations = 0;
  bool good = resp_append(client, 1, get, 2, take_processed, &stats->observations);
  for (size_t i = 0; i < nodes && good; i++) {
    resp_begin_node(client, 1, i);
    resp_arg_str(client, size[0]);
    good = resp_end(client, take_integer, &keys);
  }
  if (!good) {
    resp_forget(client);
    return cof_fail(err, COF_RETRY, "out of memory");
  }
  result = resp_run(client, 0, err);
  stats->records = (uint64_t)keys / KEYS_PER_RECORD;
  stats->records_exact = false;
  return store_result(result);
}

static enum cof_result read_stats(struct store *s, struct cof_storage_stats *stats,
                                  cof_sensor_fn fn, void *arg, struct cof_error *err)
{
  struct sensors sensors = {.fn = fn, .arg = arg};
  struct reader *reader;
  enum cof_result result = reader_take(s, 0, &reader, err);
  if (result != COF_OK)
    return result;
  result = read_numbers(reader->client, stats, err);
  if (result == COF_OK && fn != NULL)
    result = read_sensors(reader->client, &sensors, err);
  reader_give(s, reader);
  return result;
}

const struct layout layout_d4 = {.name = "d4",
                                 .caps = COF_CAP_RRNAME | COF_CAP_RDATA | COF_CAP_RDATA_TEXT |
                                         COF_CAP_SCAN | COF_CAP_RRTYPE | COF_CAP_FENCES |
                                         COF_CAP_RESUME | COF_CAP_NEW,
                                 .probe = probe,
                                 .create = create,
                                 .destroy = destroy,
                                 .write = d4_write,
                                 .open = d4_open,
                                 .next = d4_next,
                                 .token = d4_token,
                                 .close = d4_close,
                                 .stats = read_stats};
