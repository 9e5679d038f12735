/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* DNS messages (RFC 1035 section 4). Malformed ones are refused as a whole before anything of them
   is taken. */
#include "door_private.h"

#include <stdlib.h>
#include <string.h>

#include <cofd/wire.h>

#define HEADER      12
#define RR_FIXED    10 /* type, class, TTL, length */
#define QR          0x8000u
#define OPCODE      0x7800u
#define TC          0x0200u
#define RCODE       0x000fu
#define NXDOMAIN    3
#define CLASS_IN    1
#define TYPE_OPT    41
#define TYPE_META   128 /* to 255: types of questions and of transactions (RFC 6895 section 3.1) */
#define CHAIN_MAX   16  /* names that an answer may lead through */
#define CHAIN_ROUND 16

struct rr {
  char owner[COF_NAME_MAX];
  size_t owner_len;
  uint16_t type, class;
  uint32_t ttl;
  size_t rdata, size;
};

struct chain_name {
  char text[COF_NAME_MAX];
  size_t len;
};

struct message_scratch {
  char rdata[COF_RDATA_MAX + 1];
  struct rr rr;
  struct chain_name chain[CHAIN_MAX];
  size_t chain_count;
};

/* What a first look found. */
struct outline {
  size_t records[TAP_SECTIONS]; /* whole ones */
  size_t begin;                 /* of the first */
};

struct message_scratch *message_scratch_create(void)
{
  return calloc(1, sizeof(struct message_scratch));
}

void message_scratch_destroy(struct message_scratch **scratch)
{
  free(*scratch);
  *scratch = NULL;
}

static uint16_t number(const uint8_t *p)
{
  return (uint16_t)(p[0] << 8 | p[1]);
}

/* Read a record up to its rdata, and step over that. False if it is not whole. */
static bool read_rr(const struct message *m, size_t *at, struct rr *rr)
{
  rr->owner_len = cof_name_from_message(m->octets, m->len, at, rr->owner);
  if (rr->owner_len == 0 || m->len - *at < RR_FIXED)
    return false;
  const uint8_t *p = m->octets + *at;
  rr->type = number(p);
  rr->class = number(p + 2);
  rr->ttl = (uint32_t)number(p + 4) << 16 | number(p + 6);
  rr->size = number(p + 8);
  rr->rdata = *at + RR_FIXED;
  if (m->len - rr->rdata < rr->size)
    return false;
  *at = rr->rdata + rr->size;
  return true;
}

static bool read_questions(struct message_scratch *s, const struct message *m, size_t *at)
{
  size_t count = number(m->octets + 4);
  s->chain_count = 0;
  for (size_t i = 0; i < count; i++) {
    struct chain_name *name = &s->chain[0];
    char other[COF_NAME_MAX];
    size_t len = cof_name_from_message(m->octets, m->len, at, i == 0 ? name->text : other);
    if (len == 0 || m->len - *at < 4)
      return false;
    *at += 4;
    if (i == 0) {
      name->len = len;
      s->chain_count = 1;
    }
  }
  return true;
}

/* Look at everything once, so that what is malformed at its end is not taken by half. Where TC says
   that it was cut off, its whole records are good. */
static enum cof_result look(struct message_scratch *s, const struct message *m, struct outline *o,
                            struct cof_error *err)
{
  size_t at = HEADER;
  bool cut = (number(m->octets + 2) & TC) != 0;
  *o = (struct outline){{0}, 0};
  if (!read_questions(s, m, &at))
    return cut ? COF_OK : cof_fail(err, COF_REJECT, "a DNS message with a broken question");
  o->begin = at;
  for (int section = 0; section < TAP_SECTIONS; section++) {
    size_t count = number(m->octets + 6 + 2 * section);
    for (size_t i = 0; i < count; i++) {
      if (!read_rr(m, &at, &s->rr))
        return cut ? COF_OK
                   : cof_fail(err, COF_REJECT,
                              "a DNS message with a broken record, number %zu of "
                              "its %s section",
                              i + 1, tap_section_words[section]);
      o->records[section]++;
    }
  }
  return COF_OK;
}

/* --- bailiwick -------------------------------------------------------------------------------- */

static bool in_chain(const struct message_scratch *s, const char *name, size_t len)
{
  for (size_t i = 0; i < s->chain_count; i++)
    if (s->chain[i].len == len && memcmp(s->chain[i].text, name, len) == 0)
      return true;
  return false;
}

static bool above_chain(const struct message_scratch *s, const char *name, size_t len)
{
  for (size_t i = 0; i < s->chain_count; i++)
    if (cof_name_under(s->chain[i].text, s->chain[i].len, name, len))
      return true;
  return false;
}

static bool add_to_chain(struct message_scratch *s, const char *name, size_t len)
{
  if (s->chain_count == CHAIN_MAX || in_chain(s, name, len))
    return false;
  struct chain_name *to = &s->chain[s->chain_count++];
  memcpy(to->text, name, len);
  to->len = len;
  return true;
}

/* Let one record of the answer lengthen the chain. */
static bool lengthen(struct message_scratch *s, const struct message *m)
{
  const struct rr *rr = &s->rr;
  size_t at = rr->rdata;
  char target[COF_NAME_MAX];
  if (rr->class != CLASS_IN)
    return false;
  if (rr->type == COF_TYPE_DNAME)
    return above_chain(s, rr->owner, rr->owner_len) && add_to_chain(s, rr->owner, rr->owner_len);
  if (rr->type != COF_TYPE_CNAME || !in_chain(s, rr->owner, rr->owner_len))
    return false;
  size_t len = cof_name_from_message(m->octets, m->len, &at, target);
  return len != 0 && add_to_chain(s, target, len);
}

/* The names that the question leads to through the answer, in whatever order it stands. */
static void follow_chain(struct message_scratch *s, const struct message *m,
                         const struct outline *o)
{
  bool more = s->chain_count != 0;
  for (int round = 0; more && round < CHAIN_ROUND; round++) {
    size_t at = o->begin;
    more = false;
    for (size_t i = 0; i < o->records[TAP_ANSWER] && read_rr(m, &at, &s->rr); i++)
      more |= lengthen(s, m);
  }
}

static bool in_bailiwick(const struct message_scratch *s, const struct message *m, int section)
{
  const struct rr *rr = &s->rr;
  if (m->zone != NULL)
    return cof_name_under(rr->owner, rr->owner_len, m->zone, m->zone_len);
  return section == TAP_ANSWER && in_chain(s, rr->owner, rr->owner_len);
}

/* --- records ---------------------------------------------------------------------------------- */

static enum cof_result add_rr(struct message_scratch *s, const struct message *m,
                              struct cof_batch *batch, struct door_counts *counts)
{
  const struct rr *rr = &s->rr;
  size_t len;
  if (cof_rdata_from_message(rr->type, m->octets, m->len, rr->rdata, rr->size, s->rdata,
                             sizeof s->rdata, &len, &counts->bad) != COF_OK) {
    counts->bad_records++;
    return COF_OK;
  }
  struct cof_record record = {.rrname = rr->owner,
                              .rrname_len = (uint16_t)rr->owner_len,
                              .rrtype = rr->type,
                              .rdata = s->rdata,
                              .rdata_len = (uint32_t)len,
                              .sensor_id = m->sensor_id,
                              .sensor_len = (uint16_t)m->sensor_len,
                              .time_first = m->time,
                              .time_last = m->time,
                              .count = 1};
  if (m->zone != NULL)
    record.zones = cof_zone_bit(rr->owner, rr->owner_len, m->zone, m->zone_len);
  record.hash = cof_record_hash(&record);
  if (cof_batch_add(batch, &record) == NULL || !cof_batch_ttl(batch, rr->ttl, 1))
    return COF_FATAL;
  counts->records++;
  return COF_OK;
}

static enum cof_result take_rr(struct message_scratch *s, const struct message *m, int section,
                               struct cof_batch *batch, struct door_counts *counts)
{
  const struct rr *rr = &s->rr;
  if (rr->type == 0 || rr->type == TYPE_OPT || (rr->type >= TYPE_META && rr->type <= COF_TYPE_ANY))
    counts->meta++;
  else if ((m->sections >> section & 1) == 0)
    counts->other_section++;
  else if (rr->class != CLASS_IN)
    counts->other_class++;
  else if (!in_bailiwick(s, m, section))
    counts->out_of_bailiwick++;
  else
    return add_rr(s, m, batch, counts);
  return COF_OK;
}

static enum cof_result take_all(struct message_scratch *s, const struct message *m,
                                const struct outline *o, struct cof_batch *batch,
                                struct door_counts *counts)
{
  size_t at = o->begin;
  enum cof_result result = COF_OK;
  for (int section = 0; section < TAP_SECTIONS; section++)
    for (size_t i = 0; i < o->records[section] && result == COF_OK; i++)
      if (read_rr(m, &at, &s->rr))
        result = take_rr(s, m, section, batch, counts);
  return result;
}

enum cof_result message_read(struct message_scratch *s, const struct message *m,
                             struct cof_batch *batch, struct door_counts *counts,
                             struct cof_error *err)
{
  struct outline outline;
  size_t before = cof_batch_count(batch);
  if (m->len < HEADER)
    return cof_fail(err, COF_REJECT, "a DNS message of %zu octets, less than its header", m->len);
  unsigned flags = number(m->octets + 2), rcode = flags & RCODE;
  if ((flags & QR) == 0)
    return cof_fail(err, COF_REJECT, "a DNS message that is no response");
  if ((flags & OPCODE) != 0) {
    counts->unwanted++;
    return COF_OK;
  }
  enum cof_result result = look(s, m, &outline, err);
  if (result != COF_OK)
    return result;
  counts->responses++;
  counts->truncated += (flags & TC) != 0;
  if (rcode != 0 && rcode != NXDOMAIN) {
    counts->errors++;
    return COF_OK;
  }
  if (m->zone == NULL)
    follow_chain(s, m, &outline);
  if (take_all(s, m, &outline, batch, counts) == COF_OK)
    return COF_OK;
  cof_batch_truncate(batch, before);
  return cof_fail(err, COF_FATAL, "out of memory");
}
