/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <cofd/plugin.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (65536 / 64)

/* One bit for each type: set where records of the type are kept. */
struct set {
  uint64_t words[WORDS];
};

struct conf {
  struct cof_list accept;
  struct cof_list reject;
};

struct rrtype {
  struct cof_host *host;
  const struct conf *conf;
  struct cof_metric *dropped;
  pthread_rwlock_t lock; /* of `kept`: batches read it, a reload writes it */
  struct set kept;
};

static const struct cof_option options[] = {
    {.name = "accept",
     .help = "Types to keep: mnemonics, TYPEn or numbers. All others are dropped.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI | COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, accept)},
    {.name = "reject",
     .help = "Types to drop: mnemonics, TYPEn or numbers. All others are kept.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI | COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, reject)},
    {.name = NULL}};

static enum cof_result check_types(const struct cof_list *list, const char *option,
                                   struct cof_diag *diag)
{
  enum cof_result result = COF_OK;
  for (size_t i = 0; i < list->count; i++) {
    uint16_t type;
    if (cof_rrtype_parse(list->items[i], strlen(list->items[i]), &type))
      continue;
    cof_diag_error(diag, option,
                   "\"%.64s\" is no record type; a mnemonic (AAAA), TYPEn or a number from 0 to "
                   "65535 was expected",
                   list->items[i]);
    result = COF_REJECT;
  }
  return result;
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  enum cof_result result = check_types(&c->accept, "accept", diag);
  if (check_types(&c->reject, "reject", diag) != COF_OK)
    result = COF_REJECT;
  if (c->accept.count != 0 && c->reject.count != 0) {
    cof_diag_error(diag, "reject", "accept is given too; give one of them");
    result = COF_REJECT;
  }
  if (c->accept.count == 0 && c->reject.count == 0) {
    cof_diag_error(diag, NULL, "neither accept nor reject is given; give one of them");
    result = COF_REJECT;
  }
  return result;
}

/* Mistakes found by a reload go to the log. */
struct log_diag {
  struct cof_diag diag; /* first */
  struct cof_host *host;
};

static void log_mistake(struct cof_diag *diag, const char *option, const char *text)
{
  struct cof_host *host = ((struct log_diag *)diag)->host;
  cof_log(host, COF_LOG_ERROR, "%s%s%s", option != NULL ? option : "", option != NULL ? ": " : "",
          text);
}

static void fill(struct set *set, const struct conf *conf)
{
  bool accept = conf->accept.count != 0;
  const struct cof_list *list = accept ? &conf->accept : &conf->reject;
  memset(set->words, accept ? 0 : 0xff, sizeof set->words);
  for (size_t i = 0; i < list->count; i++) {
    uint16_t type;
    if (!cof_rrtype_parse(list->items[i], strlen(list->items[i]), &type))
      continue;
    uint64_t bit = UINT64_C(1) << (type % 64);
    if (accept)
      set->words[type / 64] |= bit;
    else
      set->words[type / 64] &= ~bit;
  }
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct rrtype *f = calloc(1, sizeof *f);
  if (f == NULL || pthread_rwlock_init(&f->lock, NULL) != 0) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    free(f);
    return COF_FATAL;
  }
  f->host = host;
  f->conf = conf;
  f->dropped =
      cof_metric(host, COF_COUNTER, "dropped", "records", "Records dropped because of their type.");
  *self = f;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct rrtype *f = self;
  fill(&f->kept, f->conf);
  return COF_OK;
}

static enum cof_result reload(void *self, const void *conf)
{
  struct rrtype *f = self;
  struct log_diag diag = {.diag.report = log_mistake, .host = f->host};
  if (check(conf, &diag.diag) != COF_OK)
    return COF_REJECT;
  struct set fresh;
  fill(&fresh, conf);
  pthread_rwlock_wrlock(&f->lock);
  f->kept = fresh;
  pthread_rwlock_unlock(&f->lock);
  f->conf = conf;
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  (void)self;
  (void)deadline_ns;
  return COF_OK;
}

static void destroy(void *self)
{
  struct rrtype *f = self;
  pthread_rwlock_destroy(&f->lock);
  free(f);
}

static void process(void *self, struct cof_batch *batch)
{
  struct rrtype *f = self;
  int64_t dropped = 0;
  size_t count = cof_batch_count(batch);
  pthread_rwlock_rdlock(&f->lock);
  for (size_t i = 0; i < count; i++) {
    struct cof_record *r = cof_batch_at(batch, i);
    if (r->verdict != COF_KEEP || (f->kept.words[r->rrtype / 64] >> (r->rrtype % 64) & 1) != 0)
      continue;
    r->verdict = COF_DROP;
    dropped++;
  }
  pthread_rwlock_unlock(&f->lock);
  if (dropped != 0)
    cof_add(f->host, f->dropped, dropped);
}

static const struct cof_filter_ops ops = {.struct_size = sizeof ops, .process = process};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_FILTER,
    .caps = COF_CAP_THREAD_SAFE,
    .name = "rrtype",
    .version = "0.1.0",
    .summary = "keeps or drops records by their type",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
    .ops = &ops,
};
