/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The floor for writing records into Redis: a loop over hiredis alone, pipelining the five commands
 * that the layout d4 needs for a record, SADD r:, SADD v:, SET s:, SET l:, INCRBY o:, without any
 * look at what was there. The input is read and taken apart before the clock starts.
 *
 *   floor-hiredis FILE.ndjson [PORT [RECORDS A PIPELINE]]
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>
#include <jansson.h>

#define LINE_MAX_OCTETS (1 << 20)
#define RECORDS_MAX     20000000

struct record {
  char *name, *rdata;
  long long first, last, count;
  int type;
};

struct records {
  struct record *list;
  size_t count, room;
};

static int type_number(const char *text)
{
  static const struct {
    const char *name;
    int number;
  } types[] = {{"A", 1},     {"NS", 2},     {"CNAME", 5}, {"SOA", 6},  {"PTR", 12},
               {"MX", 15},   {"TXT", 16},   {"AAAA", 28}, {"SRV", 33}, {"DS", 43},
               {"SVCB", 64}, {"HTTPS", 65}, {"SPF", 99},  {"CAA", 257}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i].name, text) == 0)
      return types[i].number;
  return 0;
}

static bool take_line(struct records *all, const char *line)
{
  json_t *o = json_loads(line, 0, NULL);
  const char *name = json_string_value(json_object_get(o, "rrname"));
  const char *type = json_string_value(json_object_get(o, "rrtype"));
  const char *rdata = json_string_value(json_object_get(o, "rdata"));
  bool good = name != NULL && type != NULL && rdata != NULL && all->count < RECORDS_MAX;
  if (good && all->count == all->room) {
    size_t room = all->room != 0 ? 2 * all->room : 65536;
    struct record *more = realloc(all->list, room * sizeof *more);
    good = more != NULL;
    if (good) {
      all->list = more;
      all->room = room;
    }
  }
  if (good) {
    struct record *r = &all->list[all->count++];
    *r = (struct record){.name = strdup(name), .rdata = strdup(rdata), .type = type_number(type)};
    r->first = json_integer_value(json_object_get(o, "time_first"));
    r->last = json_integer_value(json_object_get(o, "time_last"));
    r->count = json_integer_value(json_object_get(o, "count"));
    good = r->name != NULL && r->rdata != NULL;
  }
  json_decref(o);
  return good;
}

static bool read_file(struct records *all, const char *path)
{
  char *line = malloc(LINE_MAX_OCTETS);
  FILE *f = fopen(path, "r");
  bool good = line != NULL && f != NULL;
  while (good && fgets(line, LINE_MAX_OCTETS, f) != NULL)
    good = take_line(all, line);
  if (!good)
    fprintf(stderr, "%s: cannot be read, or a line is no COF record\n", path);
  if (f != NULL)
    fclose(f);
  free(line);
  return good;
}

static void append(redisContext *c, const struct record *r)
{
  redisAppendCommand(c, "SADD r:%s:%d %s", r->name, r->type, r->rdata);
  redisAppendCommand(c, "SADD v:%s:%d %s", r->rdata, r->type, r->name);
  redisAppendCommand(c, "SET s:%s:%s:%d %lld", r->name, r->rdata, r->type, r->first);
  redisAppendCommand(c, "SET l:%s:%s:%d %lld", r->name, r->rdata, r->type, r->last);
  redisAppendCommand(c, "INCRBY o:%s:%s:%d %lld", r->name, r->rdata, r->type,
                     r->count > 0 ? r->count : 1);
}

static bool take_answers(redisContext *c, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    redisReply *reply = NULL;
    if (redisGetReply(c, (void **)&reply) != REDIS_OK) {
      fprintf(stderr, "%s\n", c->errstr);
      return false;
    }
    bool good = reply->type != REDIS_REPLY_ERROR;
    if (!good)
      fprintf(stderr, "%s\n", reply->str);
    freeReplyObject(reply);
    if (!good)
      return false;
  }
  return true;
}

static double seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
  struct records all = {0};
  int port = argc > 2 ? atoi(argv[2]) : 6379;
  size_t pipeline = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
  if (argc < 2 || pipeline == 0) {
    fprintf(stderr, "usage: floor-hiredis FILE.ndjson [PORT [RECORDS_A_PIPELINE]]\n");
    return 2;
  }
  if (!read_file(&all, argv[1]))
    return 1;
  redisContext *c = redisConnect("127.0.0.1", port);
  if (c == NULL || c->err != 0) {
    fprintf(stderr, "127.0.0.1:%d: %s\n", port, c != NULL ? c->errstr : "out of memory");
    return 1;
  }
  double begin = seconds();
  for (size_t i = 0; i < all.count;) {
    size_t n = 0;
    for (; n < pipeline && i < all.count; n++)
      append(c, &all.list[i++]);
    if (!take_answers(c, 5 * n))
      return 1;
  }
  double took = seconds() - begin;
  printf("%zu records in %.2f s: %.0f records/s\n", all.count, took, (double)all.count / took);
  redisFree(c);
  return 0;
}
