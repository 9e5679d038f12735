/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "verify_private.h"

#include <stdlib.h>
#include <string.h>

#include "checksum_private.h"
#include "log_private.h"
#include "tuples_private.h"

#define PAGE_RECORDS   4096
#define PAGE_BYTES     ((size_t)8 << 20)
#define ANSWER_RECORDS 1024
/* Most records that are named in the log. */
#define NAMED_MAX 10

static enum cof_result no_memory(void)
{
  log_write("cofd", COF_LOG_ERROR, "out of memory");
  return COF_FATAL;
}

enum cof_result verify_sum(struct transfer *t, struct instance *storage, uint64_t *records,
                           uint64_t *sum)
{
  struct scan scan = {.storage = NULL};
  struct cof_query query = COF_QUERY_INIT;
  struct cof_batch *page = cof_batch_create();
  enum cof_result r = page != NULL ? COF_OK : no_memory();
  query.kind = COF_QUERY_ALL;
  *records = 0;
  *sum = 0;
  transfer_scan(t, &scan, storage, &query);
  while (r == COF_OK) {
    cof_batch_clear(page);
    r = scan_next(&scan, page, PAGE_RECORDS, PAGE_BYTES);
    size_t count = cof_batch_count(page);
    if (r != COF_OK || count == 0)
      break;
    for (size_t i = 0; i < count; i++)
      *sum += checksum_record(cof_batch_at(page, i));
    *records += count;
    atomic_fetch_add(&t->records, count);
  }
  scan_free(&scan);
  cof_batch_destroy(&page);
  return r;
}

/* A comparison under way. A record of the page has its number in `total`, so that one that the
   storage gives twice folds into itself. It is COF_KEEP until it was found; then COF_DROP where
   it is as it should be, else COF_REFUSE. */
struct comparison {
  struct transfer *transfer;
  struct instance *in;
  bool exact;
  bool zones; /* both keep bailiwicks */
  struct verify_counts *counts;
  struct scan scan; /* of `in` */
  struct cof_batch *page, *answer;
  struct tuples tuples; /* of the page */
};

static bool as_it_should(const struct comparison *c, const struct cof_record *want,
                         const struct cof_record *have)
{
  if (c->zones && (c->exact ? have->zones != want->zones : (want->zones & ~have->zones) != 0))
    return false;
  if (c->exact)
    return have->time_first == want->time_first && have->time_last == want->time_last &&
           have->count == want->total;
  return have->time_first <= want->time_first && have->time_last >= want->time_last &&
         have->count >= want->total;
}

static size_t judge_answer(struct comparison *c)
{
  size_t found = 0;
  for (size_t i = 0; i < cof_batch_count(c->answer); i++) {
    const struct cof_record *have = cof_batch_at(c->answer, i);
    struct cof_record *want = tuples_find(&c->tuples, have);
    if (want == NULL || want->verdict != COF_KEEP)
      continue;
    want->verdict = as_it_should(c, want, have) ? COF_DROP : COF_REFUSE;
    found++;
  }
  return found;
}

/* Look up the `left` records of the page that share name and type with `first`. */
static enum cof_result ask(struct comparison *c, const struct cof_record *first, size_t left)
{
  struct cof_query query = COF_QUERY_INIT;
  enum cof_result r = COF_OK;
  query.kind = COF_QUERY_RRNAME;
  query.name = first->rrname;
  if ((cof_storage_caps(&c->in->host) & COF_CAP_RRTYPE) != 0) {
    query.rrtypes = &first->rrtype;
    query.rrtypes_count = 1;
  }
  transfer_scan(c->transfer, &c->scan, c->in, &query);
  while (r == COF_OK && left > 0) {
    cof_batch_clear(c->answer);
    r = scan_next(&c->scan, c->answer, ANSWER_RECORDS, PAGE_BYTES);
    if (r != COF_OK || cof_batch_count(c->answer) == 0)
      break;
    size_t found = judge_answer(c);
    left -= found < left ? found : left;
  }
  scan_end(&c->scan);
  return r;
}

static bool same_question(const struct cof_record *a, const struct cof_record *b)
{
  return a->rrtype == b->rrtype && a->rrname_len == b->rrname_len &&
         memcmp(a->rrname, b->rrname, a->rrname_len) == 0;
}

static void name_one(const struct comparison *c, const struct cof_record *r)
{
  char type[COF_RRTYPE_TEXT_MAX];
  if (c->counts->missing + c->counts->less > NAMED_MAX)
    return;
  log_write(c->in->source, COF_LOG_WARNING, "%.256s %s %.256s %s", r->rrname,
            cof_rrtype_text(r->rrtype, type), r->rdata,
            r->verdict == COF_KEEP ? "is missing"
            : c->exact             ? "is another there"
                                   : "is less there");
}

static void count_page(struct comparison *c)
{
  for (size_t i = 0; i < cof_batch_count(c->page); i++) {
    const struct cof_record *r = cof_batch_at(c->page, i);
    c->counts->missing += r->verdict == COF_KEEP;
    c->counts->less += r->verdict == COF_REFUSE;
    if (r->verdict != COF_DROP)
      name_one(c, r);
  }
  c->counts->records += cof_batch_count(c->page);
  atomic_fetch_add(&c->transfer->records, cof_batch_count(c->page));
}

static enum cof_result compare_page(struct comparison *c)
{
  size_t count = cof_batch_count(c->page), next;
  for (size_t i = 0; i < count; i++) {
    struct cof_record *record = cof_batch_at(c->page, i);
    record->total = record->count;
    record->count = 0;
  }
  enum cof_result r = tuples_index(&c->tuples, c->page) ? COF_OK : no_memory();
  for (size_t i = 0; r == COF_OK && i < count; i = next) {
    const struct cof_record *first = cof_batch_at(c->page, i);
    size_t left = 0;
    for (next = i; next < count && same_question(first, cof_batch_at(c->page, next)); next++)
      left += cof_batch_at(c->page, next)->verdict == COF_KEEP;
    if (left > 0)
      r = ask(c, first, left);
  }
  if (r == COF_OK)
    count_page(c);
  return r;
}

enum cof_result verify_each(struct transfer *t, struct instance *storage, struct instance *in,
                            bool exact, struct verify_counts *counts)
{
  struct comparison c = {.transfer = t, .in = in, .exact = exact, .counts = counts};
  struct scan scan = {.storage = NULL};
  struct cof_query query = COF_QUERY_INIT;
  c.zones =
      (cof_storage_caps(&storage->host) & cof_storage_caps(&in->host) & COF_CAP_BAILIWICK) != 0;
  *counts = (struct verify_counts){0};
  query.kind = COF_QUERY_ALL;
  c.page = cof_batch_create();
  c.answer = cof_batch_create();
  enum cof_result r = c.page != NULL && c.answer != NULL ? COF_OK : no_memory();
  transfer_scan(t, &scan, storage, &query);
  while (r == COF_OK) {
    cof_batch_clear(c.page);
    r = scan_next(&scan, c.page, PAGE_RECORDS, PAGE_BYTES);
    if (r != COF_OK || cof_batch_count(c.page) == 0)
      break;
    r = compare_page(&c);
  }
  scan_free(&scan);
  scan_free(&c.scan);
  tuples_free(&c.tuples);
  cof_batch_destroy(&c.page);
  cof_batch_destroy(&c.answer);
  return r;
}
