/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnsdb_private.h"

#include <string.h>

static const uint16_t dnssec_types[] = {43, 46, 47, 48, 50, 51, 59, 60, 32768, 32769};

/* Types by how many octets stand before the name that they are looked up by. */
static const uint16_t name_at_0[] = {2, 5, 6, 12, 17, 39, 47};
static const uint16_t name_at_2[] = {15, 18, 21, 36, 64, 65};
static const uint16_t name_at_6[] = {33};

static bool among(uint16_t type, const uint16_t *types, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (types[i] == type)
      return true;
  return false;
}
#define AMONG(type, types) among(type, types, sizeof(types) / sizeof *(types))

bool dnsdb_is_dnssec(uint16_t rrtype)
{
  return AMONG(rrtype, dnssec_types);
}

static bool type_asked(const struct dnsdb_question *q, const struct dnsdb_means *means,
                       uint16_t type)
{
  switch (q->types) {
  case DNSDB_ONE:
    return type == q->rrtype;
  case DNSDB_DNSSEC:
    return dnsdb_is_dnssec(type);
  default:
    return means->any_dnssec || !dnsdb_is_dnssec(type);
  }
}

/* --- records -------------------------------------------------------------------------------- */

static size_t count_labels(const char *name)
{
  size_t count = 0;
  if (strcmp(name, ".") == 0)
    return 0;
  for (; *name != '\0'; name++) {
    if (*name == '\\' && name[1] != '\0')
      name++;
    else if (*name == '.')
      count++;
  }
  return count + 1;
}

/* The name of a record that the question compares with its own; cut off where too long. */
static bool one_label_more(const struct dnsdb_question *q, const struct cof_record *r)
{
  char name[COF_NAME_MAX];
  size_t offset = 0, len = r->rrname_len;
  const char *from = r->rrname;
  if (q->subject == DNSDB_RDATA_NAME) {
    if (cof_rdata_target(r->rrtype, r->rdata, r->rdata_len, &offset, &len) != COF_TARGET_NAME)
      return false;
    from = r->rdata + offset;
  }
  if (len >= sizeof name)
    return false;
  memcpy(name, from, len);
  name[len] = '\0';
  return count_labels(name) == count_labels(q->name) + 1;
}

bool dnsdb_wanted(const struct dnsdb_question *q, const struct dnsdb_means *means,
                  const struct dnsdb_part *part, const struct cof_record *r)
{
  if (!type_asked(q, means, r->rrtype) || among(r->rrtype, part->not, part->not_count) ||
      (part->only_count != 0 && !among(r->rrtype, part->only, part->only_count)))
    return false;
  if (r->time_first < q->first_after || r->time_first > q->first_before ||
      r->time_last < q->last_after || r->time_last > q->last_before)
    return false;
  if ((q->wild == DNSDB_ONE_BELOW || q->wild == DNSDB_ONE_BEHIND) && !one_label_more(q, r))
    return false;
  return q->subject != DNSDB_RDATA_RAW ||
         dnsdb_rdata_begins(r->rrtype, r->rdata, r->rdata_len, q->raw, q->raw_len);
}

/* --- questions ------------------------------------------------------------------------------ */

static struct dnsdb_part *add_part(struct dnsdb_plan *plan, enum cof_query_kind kind)
{
  struct dnsdb_part *part = &plan->parts[plan->count++];
  part->kind = kind;
  part->only_count = part->not_count = 0;
  part->name[0] = '\0';
  return part;
}

/* Bind a part to those of `types` that are asked for. False: there are none. */
static bool bind_types(struct dnsdb_part *part, const struct dnsdb_question *q,
                       const struct dnsdb_means *means, const uint16_t *types, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (type_asked(q, means, types[i]))
      part->only[part->only_count++] = types[i];
  return part->only_count != 0;
}

static void bind_question(struct dnsdb_part *part, const struct dnsdb_question *q,
                          const struct dnsdb_means *means)
{
  if (q->types == DNSDB_ONE)
    bind_types(part, q, means, &q->rrtype, 1);
  else if (q->types == DNSDB_DNSSEC)
    bind_types(part, q, means, dnssec_types, sizeof dnssec_types / sizeof *dnssec_types);
}

static void plan_name(struct dnsdb_plan *plan, const struct dnsdb_question *q,
                      const struct dnsdb_means *means)
{
  static const enum cof_query_kind kinds[][2] = {
      [DNSDB_EXACT] = {COF_QUERY_RRNAME, COF_QUERY_RDATA_NAME},
      [DNSDB_BELOW] = {COF_QUERY_SUBDOMAINS, COF_QUERY_RDATA_SUBDOMAINS},
      [DNSDB_BEGINS] = {COF_QUERY_PREFIX, COF_QUERY_RDATA_PREFIX},
      [DNSDB_ONE_BELOW] = {COF_QUERY_SUBDOMAINS, COF_QUERY_RDATA_SUBDOMAINS},
      [DNSDB_ONE_BEHIND] = {COF_QUERY_PREFIX, COF_QUERY_RDATA_PREFIX}};
  struct dnsdb_part *part = add_part(plan, kinds[q->wild][q->subject == DNSDB_RDATA_NAME]);
  memcpy(part->name, q->name, sizeof part->name);
  bind_question(part, q, means);
}

static void plan_addresses(struct dnsdb_plan *plan, const struct dnsdb_question *q)
{
  struct dnsdb_part *part = add_part(plan, COF_QUERY_RDATA_ADDR);
  part->first = q->first;
  part->last = q->last;
}

/* --- rdata by its wire form ------------------------------------------------------------------ */

/* Which types a plan covers so far. */
struct covered {
  size_t count;
  uint16_t types[DNSDB_TYPES_MAX];
};

static void cover(struct covered *c, const uint16_t *types, size_t count)
{
  for (size_t i = 0; i < count && c->count < DNSDB_TYPES_MAX; i++)
    c->types[c->count++] = types[i];
}

/* Addresses that begin with the octets; there are none where these are more than an address has. */
static void plan_raw_addresses(struct dnsdb_plan *plan, struct covered *c,
                               const struct dnsdb_question *q, const struct dnsdb_means *means,
                               uint16_t type)
{
  struct cof_addr first = {.family = type == COF_TYPE_A ? 4 : 6}, last = first;
  size_t len = cof_addr_len(&first);
  bool one = q->raw_len == len;
  if (!one && q->raw_len < len && (means->caps & COF_CAP_ADDR_RANGE) == 0)
    return;
  cover(c, &type, 1);
  if (q->raw_len > len || !type_asked(q, means, type))
    return;
  memset(last.bytes, 0xff, len);
  memcpy(first.bytes, q->raw, q->raw_len);
  memcpy(last.bytes, q->raw, q->raw_len);
  struct dnsdb_part *part = add_part(plan, COF_QUERY_RDATA_ADDR);
  part->first = first;
  part->last = last;
  bind_types(part, q, means, &type, 1);
}

/* What octets begin with, as a name: whole labels of it, and whether it is all there. */
enum name_found { NAME_NONE, NAME_BEGUN, NAME_WHOLE, NAME_IMPOSSIBLE };

static enum name_found find_name(const uint8_t *raw, size_t len, char *name)
{
  uint8_t wire[256];
  size_t n = 0;
  while (n < len && raw[n] != 0) {
    if (raw[n] > 63 || n + 1 + raw[n] > 254)
      return NAME_IMPOSSIBLE;
    if (n + 1 + raw[n] > len)
      break;
    n += 1u + raw[n];
  }
  bool whole = n < len && raw[n] == 0;
  if (n == 0 && !whole)
    return NAME_NONE;
  memcpy(wire, raw, n);
  wire[n] = 0;
  if (cof_name_from_wire(wire, n + 1, name) == 0)
    return NAME_IMPOSSIBLE;
  return whole ? NAME_WHOLE : NAME_BEGUN;
}

/* Types whose rdata has `before` octets and then a name. */
static void plan_raw_names(struct dnsdb_plan *plan, struct covered *c,
                           const struct dnsdb_question *q, const struct dnsdb_means *means,
                           size_t before, const uint16_t *types, size_t count)
{
  char name[COF_NAME_MAX];
  enum name_found found =
      q->raw_len > before ? find_name(q->raw + before, q->raw_len - before, name) : NAME_NONE;
  bool indexed = (found == NAME_WHOLE && (means->caps & COF_CAP_RDATA) != 0) ||
                 (found == NAME_BEGUN && (means->caps & COF_CAP_RDATA_PREFIX) != 0);
  if (!indexed && found != NAME_IMPOSSIBLE)
    return;
  cover(c, types, count);
  if (found == NAME_IMPOSSIBLE)
    return;
  struct dnsdb_part *part =
      add_part(plan, found == NAME_WHOLE ? COF_QUERY_RDATA_NAME : COF_QUERY_RDATA_PREFIX);
  memcpy(part->name, name, sizeof name);
  if (!bind_types(part, q, means, types, count))
    plan->count--;
}
#define PLAN_NAMES(before, types)                                                                  \
  plan_raw_names(plan, &c, q, means, before, types, sizeof(types) / sizeof *(types))

/* First what indexes find; what they do not find, by reading all that there is. */
static enum cof_result plan_raw(struct dnsdb_plan *plan, const struct dnsdb_question *q,
                                const struct dnsdb_means *means, struct cof_error *err)
{
  struct covered c = {0};
  if ((means->caps & COF_CAP_RDATA) != 0) {
    plan_raw_addresses(plan, &c, q, means, COF_TYPE_A);
    plan_raw_addresses(plan, &c, q, means, COF_TYPE_AAAA);
    PLAN_NAMES(0, name_at_0);
    PLAN_NAMES(2, name_at_2);
    PLAN_NAMES(6, name_at_6);
  }
  if (q->types == DNSDB_ONE && among(q->rrtype, c.types, c.count))
    return COF_OK;
  plan->partial = (means->caps & COF_CAP_SCAN) == 0 || !means->scan;
  if (plan->partial && (plan->count == 0 || q->types == DNSDB_ONE))
    return cof_fail(err, COF_UNSUPPORTED,
                    "no index of the storage goes by the wire form of such "
                    "rdata, and reading all records for it is %s",
                    means->scan ? "not among what the storage offers" : "not allowed here");
  if (plan->partial)
    return COF_OK;
  struct dnsdb_part *part = add_part(plan, COF_QUERY_ALL);
  memcpy(part->not, c.types, sizeof c.types);
  part->not_count = c.count;
  bind_question(part, q, means);
  return COF_OK;
}

static uint64_t need(const struct dnsdb_part *part)
{
  switch (part->kind) {
  case COF_QUERY_PREFIX:
    return COF_CAP_PREFIX;
  case COF_QUERY_RDATA_PREFIX:
    return COF_CAP_RDATA_PREFIX;
  default:
    return 0; /* the host tells */
  }
}

enum cof_result dnsdb_plan(const struct dnsdb_question *q, const struct dnsdb_means *means,
                           struct dnsdb_plan *plan, struct cof_error *err)
{
  plan->count = 0;
  plan->partial = false;
  if (q->has_bailiwick && (means->caps & COF_CAP_BAILIWICK) == 0)
    return cof_fail(
        err, COF_UNSUPPORTED,
        "the storage keeps no bailiwicks: ask without one, as in rrset/name/NAME/RRTYPE");
  if (q->subject == DNSDB_RDATA_RAW)
    return plan_raw(plan, q, means, err);
  if (q->subject == DNSDB_RDATA_IP)
    plan_addresses(plan, q);
  else
    plan_name(plan, q, means);
  if ((need(plan->parts) & ~means->caps) != 0)
    return cof_fail(err, COF_UNSUPPORTED,
                    "the storage has no index for wildcards at the right-hand end of a name; "
                    "rocksdb has one with forward_index = yes");
  return COF_OK;
}
