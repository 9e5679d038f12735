/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "d4_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry_reader {
  enum d4_format format;
  struct cof_passivedns *passivedns;
  struct cof_reader *cof;
};

struct cof_passivedns_options entry_options(const struct d4_conf *conf,
                                            char delimiter[COF_PASSIVEDNS_DELIMITER_MAX + 2])
{
  struct cof_passivedns_options o = COF_PASSIVEDNS_INIT;
  bool tab = strcmp(conf->delimiter, "\\t") == 0;
  /* One octet more than is allowed, so that one too long is seen as such. */
  snprintf(delimiter, COF_PASSIVEDNS_DELIMITER_MAX + 2, "%s", tab ? "\t" : conf->delimiter);
  o.fields = conf->fields;
  o.delimiter = delimiter;
  o.sensor_id = conf->sensor_id;
  o.count_lines = conf->count == 1;
  return o;
}

struct entry_reader *entry_reader_create(const struct d4_conf *conf, struct cof_error *err)
{
  char delimiter[COF_PASSIVEDNS_DELIMITER_MAX + 2];
  struct cof_passivedns_options o = entry_options(conf, delimiter);
  struct entry_reader *r = calloc(1, sizeof *r);
  if (r == NULL) {
    cof_fail(err, COF_FATAL, "out of memory");
    return NULL;
  }
  r->format = (enum d4_format)conf->format;
  r->passivedns = cof_passivedns_create(&o, err);
  if (r->passivedns == NULL) {
    entry_reader_destroy(&r);
    return NULL;
  }
  r->cof = cof_reader_create(COF_COUNTS_ADD);
  if (r->cof == NULL || cof_reader_set_sensor(r->cof, conf->sensor_id) != COF_OK) {
    cof_fail(err, COF_FATAL, "out of memory");
    entry_reader_destroy(&r);
  }
  return r;
}

void entry_reader_destroy(struct entry_reader **reader)
{
  if (*reader == NULL)
    return;
  cof_passivedns_destroy(&(*reader)->passivedns);
  cof_reader_destroy(&(*reader)->cof);
  free(*reader);
  *reader = NULL;
}

static unsigned ttl_bucket(uint32_t ttl)
{
  static const uint32_t most[TTL_BUCKETS - 1] = {0, 60, 300, 3600, 86400};
  unsigned i = 0;
  while (i < TTL_BUCKETS - 1 && ttl > most[i])
    i++;
  return i;
}

static unsigned class_index(uint16_t rrclass)
{
  switch (rrclass) {
  case 1:
    return CLASS_IN;
  case 3:
    return CLASS_CH;
  case 4:
    return CLASS_HS;
  case 254:
    return CLASS_NONE;
  case 255:
    return CLASS_ANY;
  default:
    return CLASS_OTHER;
  }
}

static enum cof_result read_passivedns(struct entry_reader *r, const char *text, size_t len,
                                       struct cof_batch *batch, struct entry_counts *counts,
                                       struct cof_error *err)
{
  struct cof_passivedns_line line = {.struct_size = sizeof line};
  enum cof_result result = cof_passivedns_read(r->passivedns, text, len, batch, &line, err);
  if (result != COF_OK)
    return result;
  if (line.kind == COF_PASSIVEDNS_BLANK) {
    counts->blank++;
    return COF_OK;
  }
  counts->class[class_index(line.rrclass)]++;
  if (line.kind == COF_PASSIVEDNS_NEGATIVE) {
    counts->negative++;
  } else if (line.kind == COF_PASSIVEDNS_CLASS) {
    counts->other_class++;
  } else if (line.has_ttl) {
    counts->ttl[ttl_bucket(line.ttl)]++;
    if (!cof_batch_ttl(batch, line.ttl, 1))
      return cof_fail(err, COF_FATAL, "out of memory");
  }
  return COF_OK;
}

static bool looks_like_json(const char *text, size_t len)
{
  size_t i = 0;
  while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n'))
    i++;
  return i < len && text[i] == '{';
}

enum cof_result entry_read(struct entry_reader *r, const char *text, size_t len,
                           struct cof_batch *batch, struct entry_counts *counts,
                           struct cof_error *err)
{
  size_t before = cof_batch_count(batch);
  uint64_t odd = cof_reader_odd_bailiwicks(r->cof);
  bool json = r->format == D4_COF || (r->format == D4_AUTO && looks_like_json(text, len));
  enum cof_result result;
  counts->entries++;
  if (len > D4_ENTRY_MAX)
    result =
        cof_fail(err, COF_REJECT, "%zu octets, of which at most %zu are read", len, D4_ENTRY_MAX);
  else if (json)
    result = cof_reader_object(r->cof, text, len, batch, NULL, NULL, err);
  else
    result = read_passivedns(r, text, len, batch, counts, err);
  if (result == COF_REJECT)
    counts->bad++;
  counts->odd_bailiwicks += cof_reader_odd_bailiwicks(r->cof) - odd;
  counts->records += cof_batch_count(batch) - before;
  return result;
}

/* --- metrics ---------------------------------------------------------------------------------- */

void entry_metrics_make(struct cof_host *host, struct entry_metrics *m)
{
  static const char *const ttl[TTL_BUCKETS] = {"ttl_0",        "ttl_1_60",       "ttl_61_300",
                                               "ttl_301_3600", "ttl_3601_86400", "ttl_above_86400"};
  static const char *const class[CLASSES] = {"class_in",   "class_ch",  "class_hs",
                                             "class_none", "class_any", "class_other"};
  m->entries = cof_metric(host, COF_COUNTER, "entries", "entries", "Entries taken.");
  m->records = cof_metric(host, COF_COUNTER, "records", "records", "Records read from entries.");
  m->blank = cof_metric(host, COF_COUNTER, "blank", "entries", "Entries without content.");
  m->negative = cof_metric(host, COF_COUNTER, "negative", "entries",
                           "Errors that the sensor logged, such as NXDOMAIN.");
  m->other_class = cof_metric(host, COF_COUNTER, "other_class", "entries",
                              "Entries of a class other than IN, which are not stored.");
  m->bad = cof_metric(host, COF_COUNTER, "unparsable", "entries",
                      "Entries of which all or a part was refused.");
  m->odd_bailiwicks = cof_metric(host, COF_COUNTER, "odd_bailiwicks", "entries",
                                 "COF entries read without their bailiwick, which is no zone that "
                                 "their rrname is in.");
  for (int i = 0; i < TTL_BUCKETS; i++)
    m->ttl[i] =
        cof_metric(host, COF_COUNTER, ttl[i], "records", "Records with a TTL of so many seconds.");
  for (int i = 0; i < CLASSES; i++)
    m->class[i] = cof_metric(host, COF_COUNTER, class[i], "entries", "Entries of this class.");
}

static void add_some(struct cof_host *host, struct cof_metric *metric, uint64_t n)
{
  if (n != 0)
    cof_add(host, metric, (int64_t)n);
}

static void add_type(struct cof_host *host, uint16_t rrtype, uint64_t n)
{
  /* Only mnemonics: a flood of odd numbers must not become a flood of metrics. */
  char name[32];
  const char *mnemonic = cof_rrtype_mnemonic(rrtype);
  snprintf(name, sizeof name, "type_%s", mnemonic != NULL ? mnemonic : "other");
  for (char *c = name; *c != '\0'; c++) {
    if (*c >= 'A' && *c <= 'Z')
      *c = (char)(*c - 'A' + 'a');
    else if (*c == '-' || *c == '*')
      *c = '_';
  }
  add_some(host, cof_metric(host, COF_COUNTER, name, "records", "Records of this type."), n);
}

static void add_types(struct cof_host *host, const struct cof_batch *batch)
{
  uint64_t common[TYPES] = {0};
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    uint16_t rrtype = cof_batch_at(batch, i)->rrtype;
    if (rrtype < TYPES)
      common[rrtype]++;
    else
      add_type(host, rrtype, 1);
  }
  for (unsigned t = 0; t < TYPES; t++)
    if (common[t] != 0)
      add_type(host, (uint16_t)t, common[t]);
}

void entry_metrics_add(struct cof_host *host, const struct entry_metrics *m,
                       const struct entry_counts *c, const struct cof_batch *batch)
{
  add_some(host, m->entries, c->entries);
  add_some(host, m->records, c->records);
  add_some(host, m->blank, c->blank);
  add_some(host, m->negative, c->negative);
  add_some(host, m->other_class, c->other_class);
  add_some(host, m->bad, c->bad);
  add_some(host, m->odd_bailiwicks, c->odd_bailiwicks);
  for (int i = 0; i < TTL_BUCKETS; i++)
    add_some(host, m->ttl[i], c->ttl[i]);
  for (int i = 0; i < CLASSES; i++)
    add_some(host, m->class[i], c -> class[i]);
  add_types(host, batch);
}
