/* SPDX-License-Identifier: MIT */
#include "model_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
  if (p == NULL) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return p;
}

void model_init(struct model *m)
{
  m->all = need(cof_batch_create());
  for (size_t i = 0; i < MODEL_SENSORS; i++)
    m->sensors[i] = need(cof_batch_create());
  m->observations = 0;
}

void model_free(struct model *m)
{
  cof_batch_destroy(&m->all);
  for (size_t i = 0; i < MODEL_SENSORS; i++)
    cof_batch_destroy(&m->sensors[i]);
}

void model_name(char out[COF_NAME_MAX])
{
  static const char *const labels[] = {"a", "ab", "b", "b-", "x\\.y", "\\000", "\\001"};
  static const char *const tops[] = {"com", "net", "co"};
  int depth = rand() % 4;
  if (rand() % 50 == 0) {
    strcpy(out, ".");
    return;
  }
  out[0] = '\0';
  for (int i = 0; i < depth; i++) {
    strcat(out, labels[(size_t)rand() % (sizeof labels / sizeof *labels)]);
    strcat(out, ".");
  }
  strcat(out, tops[rand() % 3]);
}

void model_rdata(uint16_t *rrtype, char *out, size_t room, bool known_types)
{
  static const uint16_t types[] = {COF_TYPE_A,     COF_TYPE_A,   COF_TYPE_AAAA, COF_TYPE_NS,
                                   COF_TYPE_MX,    COF_TYPE_TXT, COF_TYPE_SRV,  COF_TYPE_SOA,
                                   COF_TYPE_CNAME, 65280};
  size_t choices = sizeof types / sizeof *types - (known_types ? 1 : 0); /* the last is unknown */
  char name[COF_NAME_MAX];
  model_name(name);
  *rrtype = types[(size_t)rand() % choices];
  switch (*rrtype) {
  case COF_TYPE_A:
    snprintf(out, room, "%s.%d", rand() % 2 ? "10.255.255" : "11.0.0",
             rand() % 2 * 240 + rand() % 16);
    break;
  case COF_TYPE_AAAA:
    snprintf(out, room, "2001:db8::%x", 1 + rand() % 40);
    break;
  case COF_TYPE_MX:
    snprintf(out, room, "%d %s", rand() % 2 * 10, name);
    break;
  case COF_TYPE_TXT:
    snprintf(out, room, "\"text %d\"", rand() % 20);
    break;
  case COF_TYPE_SRV:
    snprintf(out, room, "1 2 %d %s", rand() % 3, name);
    break;
  case COF_TYPE_SOA:
    snprintf(out, room, "%s host.%s %d 2 3 4 5", name, strcmp(name, ".") ? name : "a", rand() % 3);
    break;
  case COF_TYPE_NS:
  case COF_TYPE_CNAME:
    snprintf(out, room, "%s", name);
    break;
  default:
    snprintf(out, room, "\\# 1 %02X", (unsigned)rand() % 256);
    break;
  }
}

struct cof_record *model_find(const struct cof_batch *b, const struct cof_record *r)
{
  uint64_t hash = r->hash != 0 ? r->hash : cof_record_hash(r);
  for (size_t i = 0; i < cof_batch_count(b); i++)
    if (cof_batch_at(b, i)->hash == hash && cof_record_same(cof_batch_at(b, i), r))
      return cof_batch_at(b, i);
  return NULL;
}

static const char *const sensors[MODEL_SENSORS + 1] = {"sensor0", "sensor1", "sensor2",
                                                       "sensor3", "sensor4", "sensor"};

/* What the sensor saw is all of the record, or less. */
static void see(struct cof_batch *batch, struct cof_record *r, const char *sensor)
{
  struct cof_record seen = *r;
  if (rand() % 3 == 0) {
    seen.time_first = seen.time_last;
    seen.count = seen.count > 1 ? 1 : seen.count;
    seen.zones &= seen.zones - 1;
  }
  cof_record_fold(need(cof_batch_sight(batch, r, sensor, strlen(sensor))), &seen);
}

/* What comes of one record may come from several sensors, once the window has folded it. */
static void see_all(struct cof_batch *batch, struct cof_record *r, const char *sensor)
{
  if (sensor == NULL)
    return;
  see(batch, r, sensor);
  for (int more = rand() % 3; more > 0; more--)
    see(batch, r, sensors[rand() % MODEL_SENSORS]);
}

static void add(struct cof_batch *batch, struct cof_record *r, const char *sensor)
{
  r->rrname_len = (uint16_t)strlen(r->rrname);
  r->rdata_len = (uint32_t)strlen(r->rdata);
  r->hash = cof_record_hash(r);
  if (model_find(batch, r) != NULL)
    return;
  struct cof_record *new = need(cof_batch_add(batch, r));
  new->observations = 1;
  if (rand() % 20 == 0) {
    new->verdict = rand() % 2 ? COF_DROP : COF_REFUSE;
    return;
  }
  see_all(batch, new, sensor);
  if (!cof_batch_tally(batch, sensor, sensor != NULL ? strlen(sensor) : 0, 1))
    need(NULL);
}

void model_batch(struct cof_batch *batch, size_t count, bool known_types)
{
  for (size_t i = 0; i < count; i++) {
    char name[COF_NAME_MAX], rdata[4 * COF_NAME_MAX];
    struct cof_record r = {.rrname = name, .rdata = rdata, .time_first = 1000 + rand() % 100};
    model_name(name);
    model_rdata(&r.rrtype, rdata, sizeof rdata, known_types);
    r.time_last = r.time_first + rand() % 2 * (rand() % 100);
    r.total = rand() % 4 == 0 ? 1 + (uint64_t)(rand() % 20) : 0;
    r.count = r.total != 0 ? (uint64_t)(rand() % 3) : 1 + (uint64_t)(rand() % 3);
    if (rand() % 2 != 0)
      r.zones = (uint32_t)rand() & cof_zones_all(name, strlen(name));
    add(batch, &r, rand() % 5 != 0 ? sensors[rand() % MODEL_SENSORS] : NULL);
  }
}

void model_rival(struct cof_batch *batch, size_t count, unsigned round)
{
  for (size_t i = 0; i < count; i++) {
    char name[64], rdata[64];
    struct cof_record r = {.rrname = name,
                           .rdata = rdata,
                           .rrtype = COF_TYPE_A,
                           .time_first = 1000,
                           .time_last = 1000,
                           .count = 1};
    snprintf(name, sizeof name, "r%u-%zu.rival.com", round, i);
    snprintf(rdata, sizeof rdata, "10.255.%u.%zu", round % 250, i % 250);
    add(batch, &r, NULL);
  }
}

static void apply(struct cof_batch *all, const struct cof_record *r)
{
  struct cof_record *stored = model_find(all, r);
  uint64_t n = stored != NULL ? stored->count + r->count : r->count;
  if (stored == NULL)
    stored = need(cof_batch_add(all, r));
  stored->count = n > r->total ? n : r->total;
  stored->total = 0;
  if (r->time_first < stored->time_first)
    stored->time_first = r->time_first;
  if (r->time_last > stored->time_last)
    stored->time_last = r->time_last;
  stored->zones |= r->zones;
}

static size_t sensor_number(const char *sensor)
{
  size_t i = 0;
  while (i < MODEL_SENSORS && strcmp(sensors[i], sensor) != 0)
    i++;
  return i;
}

void model_apply(struct model *m, const struct cof_batch *batch, const bool *refused)
{
  m->observations += cof_batch_observations(batch);
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    if (r->verdict != COF_KEEP || (refused != NULL && refused[i]))
      continue;
    apply(m->all, r);
    for (const struct cof_record *s = cof_batch_sights(batch, r); s != NULL;
         s = cof_batch_sights(batch, s))
      apply(m->sensors[sensor_number(s->sensor_id)], s);
  }
}

const struct cof_batch *model_about(const struct model *m, const struct cof_query *q)
{
  size_t sensor = q->sensor_id != NULL ? sensor_number(q->sensor_id) : 0;
  if (q->sensor_id == NULL)
    return m->all;
  return sensor < MODEL_SENSORS ? m->sensors[sensor] : NULL;
}

const char *model_sensor(void)
{
  return sensors[rand() % (MODEL_SENSORS + 1)];
}

static bool matches_addr(const struct cof_record *r, const struct cof_query *q)
{
  struct cof_addr addr;
  if (r->rrtype != COF_TYPE_A && r->rrtype != COF_TYPE_AAAA)
    return false;
  if (!cof_addr_parse(r->rdata, r->rdata_len, &addr) || addr.family != q->first.family)
    return false;
  return memcmp(addr.bytes, q->first.bytes, 16) >= 0 && memcmp(addr.bytes, q->last.bytes, 16) <= 0;
}

/* Whether the labels of `name` are the first of `text`. */
static bool begins(const char *text, size_t text_len, const char *name, size_t len)
{
  if (strcmp(name, ".") == 0)
    return true;
  return text_len >= len && memcmp(text, name, len) == 0 && (text_len == len || text[len] == '.');
}

static bool matches_target(const struct cof_record *r, enum cof_query_kind kind, const char *name,
                           size_t len)
{
  size_t offset, length;
  if (cof_rdata_target(r->rrtype, r->rdata, r->rdata_len, &offset, &length) != COF_TARGET_NAME)
    return false;
  if (kind == COF_QUERY_RDATA_PREFIX)
    return begins(r->rdata + offset, length, name, len);
  if (kind == COF_QUERY_RDATA_SUBDOMAINS)
    return cof_name_under(r->rdata + offset, length, name, len);
  return length == len && memcmp(r->rdata + offset, name, len) == 0;
}

static bool matches_kind(const struct cof_record *r, const struct cof_query *q)
{
  size_t len = q->name != NULL ? strlen(q->name) : 0;
  switch (q->kind) {
  case COF_QUERY_RRNAME:
    return len == r->rrname_len && memcmp(r->rrname, q->name, len) == 0;
  case COF_QUERY_SUBDOMAINS:
    return cof_name_under(r->rrname, r->rrname_len, q->name, len);
  case COF_QUERY_PREFIX:
    return begins(r->rrname, r->rrname_len, q->name, len);
  case COF_QUERY_RDATA_NAME:
  case COF_QUERY_RDATA_SUBDOMAINS:
  case COF_QUERY_RDATA_PREFIX:
    return matches_target(r, q->kind, q->name, len);
  case COF_QUERY_RDATA_ADDR:
    return matches_addr(r, q);
  case COF_QUERY_RDATA_TEXT:
    return len == r->rdata_len && memcmp(r->rdata, q->name, len) == 0;
  default:
    return true;
  }
}

static bool matches_zone(const struct cof_record *r, const struct cof_query *q)
{
  return q->bailiwick == NULL || (r->zones & cof_zone_bit(r->rrname, r->rrname_len, q->bailiwick,
                                                          strlen(q->bailiwick))) != 0;
}

bool model_matches(const struct cof_record *r, const struct cof_query *q)
{
  bool type = q->rrtypes_count == 0;
  for (size_t i = 0; i < q->rrtypes_count; i++)
    type = type || q->rrtypes[i] == r->rrtype;
  return type && r->time_first >= q->time_first_after && r->time_first <= q->time_first_before &&
         r->time_last >= q->time_last_after && r->time_last <= q->time_last_before &&
         matches_zone(r, q) && matches_kind(r, q);
}

void model_query(const struct model *m, const struct cof_query *q, struct cof_batch *answer)
{
  const struct cof_batch *all = model_about(m, q);
  for (size_t i = 0; all != NULL && i < cof_batch_count(all); i++)
    if (model_matches(cof_batch_at(all, i), q))
      need(cof_batch_add(answer, cof_batch_at(all, i)));
}

/* Keep some of the first labels of a name. */
static void shorten(char *name)
{
  for (char *s = name; *s != '\0'; s++) {
    if (*s == '\\' && s[1] != '\0')
      s++;
    else if (*s == '.' && s[1] != '\0' && rand() % 2 == 0)
      *s-- = '\0';
    if (s < name || *s == '\0')
      return;
  }
}

static void random_address(struct cof_query *q, const struct cof_record *r)
{
  if (r == NULL || !cof_addr_parse(r->rdata, r->rdata_len, &q->first))
    cof_addr_parse("10.255.255.3", 12, &q->first);
  q->last = q->first;
}

void model_question(const struct model *m, enum cof_query_kind kind, struct cof_query *q,
                    char name[COF_RDATA_MAX + 1])
{
  size_t count = cof_batch_count(m->all);
  const struct cof_record *r =
      count > 0 && rand() % 4 != 0 ? cof_batch_at(m->all, (size_t)rand() % count) : NULL;
  *q = (struct cof_query)COF_QUERY_INIT;
  q->kind = kind;
  q->name = name;
  model_name(name);
  if (kind == COF_QUERY_RDATA_ADDR)
    random_address(q, r);
  else if (kind == COF_QUERY_RDATA_TEXT && r != NULL)
    memcpy(name, r->rdata, r->rdata_len + 1);
  else if ((kind == COF_QUERY_RRNAME || kind == COF_QUERY_SUBDOMAINS) && r != NULL)
    memcpy(name, r->rrname, (size_t)r->rrname_len + 1);
  if (kind == COF_QUERY_PREFIX || kind == COF_QUERY_RDATA_PREFIX)
    shorten(name);
}

const char *model_bailiwick(const struct cof_query *q)
{
  static const char *const zones[] = {".", "com", "net", "a.com", "ab.net"};
  bool owner = q->kind == COF_QUERY_RRNAME || q->kind == COF_QUERY_SUBDOMAINS;
  return owner && rand() % 3 == 0 ? q->name : zones[rand() % 5];
}

static int by_tuple(const void *a, const void *b)
{
  const struct cof_record *x = *(const struct cof_record *const *)a;
  const struct cof_record *y = *(const struct cof_record *const *)b;
  int c = strcmp(x->rrname, y->rrname);
  if (c == 0)
    c = (x->rrtype > y->rrtype) - (x->rrtype < y->rrtype);
  return c != 0 ? c : strcmp(x->rdata, y->rdata);
}

const struct cof_record **model_sorted(const struct cof_batch *batch)
{
  size_t count = cof_batch_count(batch);
  const struct cof_record **list = need(calloc(count + 1, sizeof *list));
  for (size_t i = 0; i < count; i++)
    list[i] = cof_batch_at(batch, i);
  qsort(list, count, sizeof *list, by_tuple);
  return list;
}
