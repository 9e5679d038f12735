/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <cofd/plugin.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rules_private.h"

struct conf {
  struct cof_list suffix;
  struct cof_list substring;
  struct cof_list network;
  char *file;
};

struct exclude {
  struct cof_host *host;
  const struct conf *conf;
  struct cof_metric *excluded[REASONS]; /* by reason */
  pthread_rwlock_t lock;                /* of the pointer: batches read it, a reload writes it */
  struct rules *rules;
};

static const struct cof_option options[] = {
    {.name = "suffix",
     .help = "Drop records whose rrname is one of these names or below it.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI | COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, suffix)},
    {.name = "substring",
     .help = "Drop records whose rrname contains one of these texts, in any case; 256 KiB of them "
             "at most, since a table is built of them.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI | COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, substring)},
    {.name = "network",
     .help = "Drop A and AAAA records whose address is one of these or in one of these networks "
             "(CIDR).",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI | COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, network)},
    {.name = "file",
     .help = "File of more exclusions, one a line: a network or address, *substring*, or suffix; "
             "# begins a comment. Read again on every reload.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct conf, file)},
    {.name = NULL}};

typedef enum cof_result (*add_fn)(struct rules *, const char *, struct cof_error *);

static enum cof_result add_list(struct rules *rules, const struct cof_list *list, add_fn add,
                                const char *option, struct cof_diag *diag)
{
  enum cof_result result = COF_OK;
  for (size_t i = 0; i < list->count; i++) {
    struct cof_error err;
    if (add(rules, list->items[i], &err) == COF_OK)
      continue;
    cof_diag_error(diag, option, "%s", err.text);
    result = COF_REJECT;
  }
  return result;
}

static enum cof_result add_lists(struct rules *rules, const struct conf *c, struct cof_diag *diag)
{
  enum cof_result a = add_list(rules, &c->suffix, rules_add_suffix, "suffix", diag);
  enum cof_result b = add_list(rules, &c->substring, rules_add_substring, "substring", diag);
  enum cof_result d = add_list(rules, &c->network, rules_add_network, "network", diag);
  return a == COF_OK && b == COF_OK && d == COF_OK ? COF_OK : COF_REJECT;
}

static void report_line(void *arg, const char *text)
{
  cof_diag_error(arg, "file", "%s", text);
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  if (c->suffix.count + c->substring.count + c->network.count == 0 && c->file == NULL) {
    cof_diag_error(diag, NULL, "nothing to exclude; give suffix, substring, network or file");
    return COF_REJECT;
  }
  struct rules *rules = rules_create();
  if (rules == NULL) {
    cof_diag_error(diag, NULL, "out of memory");
    return COF_REJECT;
  }
  enum cof_result result = add_lists(rules, c, diag);
  if (c->file != NULL && rules_add_file(rules, c->file, report_line, diag) != COF_OK)
    result = COF_REJECT;
  rules_destroy(&rules);
  return result;
}

/* Mistakes found at work go to the log. */
struct log_diag {
  struct cof_diag diag; /* first */
  struct cof_host *host;
};

static void log_option(struct cof_diag *diag, const char *option, const char *text)
{
  struct cof_host *host = ((struct log_diag *)diag)->host;
  cof_log(host, COF_LOG_ERROR, "%s: %s", option, text);
}

static void log_line(void *arg, const char *text)
{
  cof_log(arg, COF_LOG_ERROR, "%s", text);
}

/* Rules of the options and of the file they name, or NULL after logging every mistake. */
static struct rules *build(struct cof_host *host, const struct conf *c)
{
  struct log_diag diag = {.diag.report = log_option, .host = host};
  struct rules *rules = rules_create();
  if (rules == NULL) {
    log_line(host, "out of memory");
    return NULL;
  }
  enum cof_result result = add_lists(rules, c, &diag.diag);
  if (c->file != NULL && rules_add_file(rules, c->file, log_line, host) != COF_OK)
    result = COF_REJECT;
  if (result == COF_OK && rules_seal(rules) != COF_OK) {
    log_line(host, "out of memory");
    result = COF_FATAL;
  }
  if (result != COF_OK) {
    rules_destroy(&rules);
    return NULL;
  }
  cof_log(host, COF_LOG_INFO, "excluding %zu suffixes, %zu substrings, %zu networks",
          rules_count(rules, REASON_SUFFIX), rules_count(rules, REASON_SUBSTRING),
          rules_count(rules, REASON_NETWORK));
  return rules;
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  struct exclude *f = calloc(1, sizeof *f);
  if (f == NULL || pthread_rwlock_init(&f->lock, NULL) != 0) {
    log_line(host, "out of memory");
    free(f);
    return COF_FATAL;
  }
  f->host = host;
  f->conf = conf;
  f->excluded[REASON_SUFFIX] = cof_metric(host, COF_COUNTER, "excluded_suffix", "records",
                                          "Records dropped because of a suffix of their rrname.");
  f->excluded[REASON_SUBSTRING] = cof_metric(host, COF_COUNTER, "excluded_substring", "records",
                                             "Records dropped because of a part of their rrname.");
  f->excluded[REASON_NETWORK] = cof_metric(host, COF_COUNTER, "excluded_network", "records",
                                           "Records dropped because of their address.");
  *self = f;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  struct exclude *f = self;
  f->rules = build(f->host, f->conf);
  return f->rules != NULL ? COF_OK : COF_FATAL;
}

static enum cof_result reload(void *self, const void *conf)
{
  struct exclude *f = self;
  struct rules *fresh = build(f->host, conf);
  if (fresh == NULL)
    return COF_REJECT;
  pthread_rwlock_wrlock(&f->lock);
  struct rules *old = f->rules;
  f->rules = fresh;
  pthread_rwlock_unlock(&f->lock);
  f->conf = conf;
  rules_destroy(&old);
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
  struct exclude *f = self;
  rules_destroy(&f->rules);
  pthread_rwlock_destroy(&f->lock);
  free(f);
}

static void process(void *self, struct cof_batch *batch)
{
  struct exclude *f = self;
  int64_t counts[REASONS] = {0};
  size_t count = cof_batch_count(batch);
  pthread_rwlock_rdlock(&f->lock);
  for (size_t i = 0; i < count; i++) {
    struct cof_record *r = cof_batch_at(batch, i);
    if (r->verdict != COF_KEEP)
      continue;
    enum reason reason = rules_match(f->rules, r);
    if (reason == REASON_NONE)
      continue;
    r->verdict = COF_DROP;
    counts[reason]++;
  }
  pthread_rwlock_unlock(&f->lock);
  for (int reason = REASON_SUFFIX; reason < REASONS; reason++)
    if (counts[reason] != 0)
      cof_add(f->host, f->excluded[reason], counts[reason]);
}

static const struct cof_filter_ops ops = {.struct_size = sizeof ops, .process = process};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_FILTER,
    .caps = COF_CAP_THREAD_SAFE,
    .name = "exclude",
    .version = "0.1.0",
    .summary = "drops records by name or network",
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
