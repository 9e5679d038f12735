/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "compactmodel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void model_init(struct model *m, size_t most)
{
  m->all = cof_batch_create();
  m->slots_count = 1;
  while (m->slots_count < 2 * most)
    m->slots_count *= 2;
  m->slots = calloc(m->slots_count, sizeof *m->slots);
  assert_non_null(m->all);
  assert_non_null(m->slots);
}

void model_free(struct model *m)
{
  cof_batch_destroy(&m->all);
  free(m->slots);
}

/* --- random records --------------------------------------------------------------------------- */

static const char *pick(const char *const *list, size_t count)
{
  return list[(size_t)rand() % count];
}

static void random_name(char out[COF_NAME_MAX], unsigned variety)
{
  static const char *const labels[] = {"a",
                                       "www",
                                       "b-",
                                       "x\\.y",
                                       "\\000",
                                       "\\001z",
                                       "a-rather-long-label-that-fills-much-of-a-field",
                                       "another-rather-long-label-so-that-groups-are-long-0123456"};
  static const char *const tops[] = {"com", "example.com", "co", "net", "b.example.org"};
  if (rand() % 200 == 0) {
    strcpy(out, ".");
    return;
  }
  size_t n = (size_t)sprintf(out, "h%x.", (unsigned)rand() % variety);
  for (int depth = rand() % 3; depth > 0; depth--)
    n += (size_t)sprintf(out + n, "%s.", pick(labels, sizeof labels / sizeof *labels));
  strcpy(out + n, pick(tops, sizeof tops / sizeof *tops));
}

static void random_text(char *out)
{
  static const int lengths[] = {1, 30, 50, 70, 100, 240};
  size_t n = (size_t)sprintf(out, "\"t%d ", rand() % 8);
  for (int i = lengths[rand() % 6]; i > 0; i--)
    out[n++] = 'x';
  strcpy(out + n, "\"");
}

static void random_rdata(uint16_t *type, char *out, unsigned variety)
{
  static const uint16_t types[] = {COF_TYPE_A,   COF_TYPE_A,   COF_TYPE_A,   COF_TYPE_AAAA,
                                   COF_TYPE_NS,  COF_TYPE_MX,  COF_TYPE_TXT, COF_TYPE_CNAME,
                                   COF_TYPE_SRV, COF_TYPE_SOA, 65280};
  char name[COF_NAME_MAX];
  random_name(name, variety / 4 + 1);
  *type = types[(size_t)rand() % (sizeof types / sizeof *types)];
  switch (*type) {
  case COF_TYPE_A:
    sprintf(out, "10.%d.%d.%d", rand() % 2 * 255, rand() % 4, rand() % 64);
    break;
  case COF_TYPE_AAAA:
    sprintf(out, "2001:db8:%x::%x", 1 + rand() % 2, 1 + rand() % 40);
    break;
  case COF_TYPE_MX:
    sprintf(out, "%d %s", rand() % 2 * 10, name);
    break;
  case COF_TYPE_TXT:
    random_text(out);
    break;
  case COF_TYPE_SRV:
    sprintf(out, "1 2 %d %s", rand() % 3, name);
    break;
  case COF_TYPE_SOA:
    sprintf(out, "%s host.%s %d 2 3 4 5", name, strcmp(name, ".") ? name : "a", rand() % 300);
    break;
  case 65280:
    sprintf(out, "\\# 1 %02X", (unsigned)rand() % 256);
    break;
  default:
    strcpy(out, name);
    break;
  }
}

static size_t *slot_of(const struct model *m, const struct cof_record *r)
{
  size_t i = cof_record_hash(r) & (m->slots_count - 1);
  while (m->slots[i] != 0 && !cof_record_same(cof_batch_at(m->all, m->slots[i] - 1), r))
    i = (i + 1) & (m->slots_count - 1);
  return &m->slots[i];
}

static void random_record(struct model *m, unsigned variety)
{
  char name[COF_NAME_MAX], rdata[4 * COF_NAME_MAX], sensor[16];
  struct cof_record r = {.rrname = name, .rdata = rdata, .time_first = 1000 + rand() % 100};
  random_name(name, variety);
  random_rdata(&r.rrtype, rdata, variety);
  if (r.rrtype == COF_TYPE_SOA && rand() % 2) /* many of one name */
    strcpy(name, "serials.example");
  r.rrname_len = (uint16_t)strlen(name);
  r.rdata_len = (uint32_t)strlen(rdata);
  r.time_last = r.time_first + rand() % 2 * (rand() % 100);
  if (rand() % 2 != 0)
    r.zones = (uint32_t)rand() & cof_zones_all(name, strlen(name));
  r.count = (uint64_t)(rand() % 3);
  r.total = rand() % 4 == 0 ? (uint64_t)(rand() % 20) : 0;
  sprintf(sensor, "sensor%d", rand() % 5);
  size_t *slot = slot_of(m, &r);
  if (*slot != 0)
    return;
  assert_non_null(cof_batch_add(m->all, &r));
  assert_true(cof_batch_tally(m->all, sensor, strlen(sensor), 1));
  *slot = cof_batch_count(m->all);
}

struct cof_batch *model_batch(size_t count, unsigned variety)
{
  struct model m;
  model_init(&m, count);
  for (size_t i = 0; i < count; i++)
    random_record(&m, variety);
  struct cof_batch *batch = m.all;
  m.all = NULL;
  model_free(&m);
  return batch;
}

void model_apply(struct model *m, const struct cof_batch *batch)
{
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    const struct cof_record *r = cof_batch_at(batch, i);
    size_t *slot = slot_of(m, r);
    bool fresh = *slot == 0;
    if (fresh) {
      assert_non_null(cof_batch_add(m->all, r));
      *slot = cof_batch_count(m->all);
    }
    struct cof_record *stored = cof_batch_at(m->all, *slot - 1);
    uint64_t n = fresh ? r->count : stored->count + r->count;
    stored->count = n > r->total ? n : r->total;
    stored->total = 0;
    stored->zones |= r->zones;
    if (r->time_first < stored->time_first)
      stored->time_first = r->time_first;
    if (r->time_last > stored->time_last)
      stored->time_last = r->time_last;
  }
}

/* --- questions -------------------------------------------------------------------------------- */

static bool matches_addr(const struct cof_record *r, const struct cof_query *q)
{
  struct cof_addr addr;
  if (r->rrtype != COF_TYPE_A && r->rrtype != COF_TYPE_AAAA)
    return false;
  if (!cof_addr_parse(r->rdata, r->rdata_len, &addr) || addr.family != q->first.family)
    return false;
  return memcmp(addr.bytes, q->first.bytes, 16) >= 0 && memcmp(addr.bytes, q->last.bytes, 16) <= 0;
}

static bool matches_kind(const struct cof_record *r, const struct cof_query *q)
{
  size_t offset, length, len = q->name != NULL ? strlen(q->name) : 0;
  switch (q->kind) {
  case COF_QUERY_RRNAME:
    return strcmp(r->rrname, q->name) == 0;
  case COF_QUERY_SUBDOMAINS:
    return cof_name_under(r->rrname, r->rrname_len, q->name, len);
  case COF_QUERY_RDATA_NAME:
    return cof_rdata_target(r->rrtype, r->rdata, r->rdata_len, &offset, &length) ==
               COF_TARGET_NAME &&
           length == len && memcmp(r->rdata + offset, q->name, len) == 0;
  case COF_QUERY_RDATA_ADDR:
    return matches_addr(r, q);
  case COF_QUERY_RDATA_TEXT:
    return strcmp(r->rdata, q->name) == 0;
  default:
    return true;
  }
}

static bool matches(const struct cof_record *r, const struct cof_query *q)
{
  bool type = q->rrtypes_count == 0;
  for (size_t i = 0; i < q->rrtypes_count; i++)
    type = type || q->rrtypes[i] == r->rrtype;
  if (q->bailiwick != NULL &&
      (r->zones & cof_zone_bit(r->rrname, r->rrname_len, q->bailiwick, strlen(q->bailiwick))) == 0)
    return false;
  return type && r->time_first >= q->time_first_after && r->time_first <= q->time_first_before &&
         r->time_last >= q->time_last_after && r->time_last <= q->time_last_before &&
         matches_kind(r, q);
}

static void ask_address(struct cof_query *q, const struct cof_record *r)
{
  q->kind = COF_QUERY_RDATA_ADDR;
  if (!cof_addr_parse(r->rdata, r->rdata_len, &q->first))
    assert_true(cof_addr_parse("10.255.0.7", 10, &q->first));
  q->last = q->first;
  if (rand() % 2)
    q->last.bytes[cof_addr_len(&q->last) - 1 - (size_t)rand() % 2] = 0xff;
  if (rand() % 8 == 0)
    memset(q->last.bytes, 0xff, cof_addr_len(&q->last));
}

/* The target of a record, or its rrname or a name above. */
static const char *name_near(const struct cof_record *r, bool target, char out[COF_NAME_MAX])
{
  size_t offset, length;
  snprintf(out, COF_NAME_MAX, "%s", r->rrname);
  if (target &&
      cof_rdata_target(r->rrtype, r->rdata, r->rdata_len, &offset, &length) == COF_TARGET_NAME)
    snprintf(out, COF_NAME_MAX, "%.*s", (int)length, r->rdata + offset);
  const char *dot = strchr(out, '.');
  if (!target && rand() % 2 && dot != NULL && dot > out && dot[-1] != '\\' && dot[1] != '\0')
    return dot + 1;
  return out;
}

struct cof_query model_question(const struct model *m)
{
  static char name[COF_NAME_MAX];
  static const uint16_t types[] = {COF_TYPE_A, COF_TYPE_MX, COF_TYPE_SOA};
  struct cof_query q = COF_QUERY_INIT;
  const struct cof_record *r = cof_batch_at(m->all, (size_t)rand() % cof_batch_count(m->all));
  int kind = rand() % 20;
  q.kind = COF_QUERY_RRNAME;
  q.name = r->rrname;
  if (kind == 0) {
    q.kind = COF_QUERY_ALL;
    q.name = NULL;
  } else if (kind < 5) {
    q.kind = COF_QUERY_SUBDOMAINS;
    q.name = name_near(r, false, name);
  } else if (kind < 9) {
    q.kind = COF_QUERY_RDATA_NAME;
    q.name = name_near(r, true, name);
  } else if (kind < 13) {
    q.name = NULL;
    ask_address(&q, r);
  } else if (kind < 16) {
    q.kind = COF_QUERY_RDATA_TEXT;
    q.name = r->rdata;
  }
  if (rand() % 4 == 0) {
    q.rrtypes = types;
    q.rrtypes_count = 1 + (size_t)rand() % 3;
  }
  if (rand() % 4 == 0)
    q.time_first_after = 1000 + rand() % 100;
  if (rand() % 4 == 0)
    q.bailiwick = rand() % 2 != 0 ? "com" : ".";
  if (rand() % 4 == 0)
    q.time_last_before = 1000 + rand() % 200;
  return q;
}

/* --- checks ----------------------------------------------------------------------------------- */

/* Records of one name side by side, their types ascending; addresses ascending. */
static void check_order(const struct cof_batch *got, const struct cof_query *q)
{
  struct cof_addr last = {0}, addr;
  struct model names;
  model_init(&names, cof_batch_count(got) + 1);
  for (size_t i = 0; i < cof_batch_count(got); i++) {
    const struct cof_record *r = cof_batch_at(got, i), *before = i > 0 ? r - 1 : NULL;
    if (q->kind == COF_QUERY_RDATA_ADDR) {
      assert_true(cof_addr_parse(r->rdata, r->rdata_len, &addr));
      assert_true(memcmp(last.bytes, addr.bytes, 16) <= 0);
      last = addr;
    } else if (q->kind == COF_QUERY_RDATA_TEXT) {
      continue;
    } else if (before != NULL && strcmp(before->rrname, r->rrname) == 0) {
      assert_true(before->rrtype <= r->rrtype);
    } else {
      struct cof_record name = {.rrname = r->rrname, .rrname_len = r->rrname_len, .rdata = ""};
      size_t *slot = slot_of(&names, &name);
      if (*slot != 0)
        fail_msg("%s: not together in the answer", r->rrname);
      assert_non_null(cof_batch_add(names.all, &name));
      *slot = cof_batch_count(names.all);
    }
  }
  model_free(&names);
}

static void check_answer(const struct model *m, const struct cof_batch *got,
                         const struct cof_query *q)
{
  size_t want = 0;
  struct model seen;
  model_init(&seen, cof_batch_count(got) + 1);
  for (size_t i = 0; i < cof_batch_count(m->all); i++)
    want += matches(cof_batch_at(m->all, i), q);
  for (size_t i = 0; i < cof_batch_count(got); i++) {
    const struct cof_record *r = cof_batch_at(got, i);
    size_t *slot = slot_of(m, r), *twice = slot_of(&seen, r);
    const struct cof_record *stored = *slot != 0 ? cof_batch_at(m->all, *slot - 1) : NULL;
    if (stored == NULL || !matches(stored, q) || *twice != 0)
      fail_msg("%s %u %s: not asked for, or twice", r->rrname, r->rrtype, r->rdata);
    assert_non_null(cof_batch_add(seen.all, r));
    *twice = cof_batch_count(seen.all);
    assert_int_equal(r->time_first, stored->time_first);
    assert_int_equal(r->zones, stored->zones);
    assert_int_equal(r->time_last, stored->time_last);
    assert_int_equal(r->count, stored->count);
    assert_int_equal(r->total, 0);
  }
  if (cof_batch_count(got) != want)
    fail_msg("kind %d, '%s': %zu records, expected %zu", (int)q->kind,
             q->name != NULL ? q->name : "", cof_batch_count(got), want);
  model_free(&seen);
}

void model_check(const struct model *m, struct storehost *host, const struct cof_query *query)
{
  struct cof_query q = *query;
  struct cof_batch *got = storehost_ask(host, &q, 1 + (size_t)rand() % 400), *pieces;
  size_t count = cof_batch_count(got);
  check_answer(m, got, &q);
  check_order(got, &q);
  pieces = storehost_ask_resuming(host, &q, 1 + (size_t)rand() % 30 + count / 20);
  assert_int_equal(cof_batch_count(pieces), count);
  for (size_t i = 0; i < count; i++)
    assert_true(cof_record_same(cof_batch_at(got, i), cof_batch_at(pieces, i)));
  cof_batch_destroy(&pieces);
  q.limit = 1 + (uint64_t)rand() % (count + 2);
  pieces = storehost_ask(host, &q, 1 + (size_t)rand() % 50);
  assert_int_equal(cof_batch_count(pieces), q.limit < count ? q.limit : count);
  cof_batch_destroy(&pieces);
  cof_batch_destroy(&got);
}
