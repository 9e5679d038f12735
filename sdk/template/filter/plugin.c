/* SPDX-License-Identifier: MIT */
/*
 * @name@: a filter for cofd. It drops the records of some names and all below them. Put your own
 * question in place of is_unwanted().
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/plugin.h>

/* What the option table fills. It is cofd's, and constant while the instance lives. */
struct conf {
  struct cof_list under;
};

static const struct cof_option options[] = {
    {.name = "under",
     .help = "Names whose records, and those of all below them, are dropped.",
     .type = COF_OPT_LIST,
     .min = 0,
     .max = 100,
     COF_FIELD(struct conf, under)},
    {.name = NULL}};

struct suffix {
  char text[COF_NAME_MAX];
  size_t len;
};

/* One instance. There may be several, so nothing here is global. */
struct filter {
  struct suffix *suffixes; /* canonical; nothing changes them, so threads need no lock */
  size_t count;
};

static bool is_unwanted(const struct filter *f, const struct cof_record *r)
{
  for (size_t i = 0; i < f->count; i++)
    if (cof_name_under(r->rrname, r->rrname_len, f->suffixes[i].text, f->suffixes[i].len))
      return true;
  return false;
}

/* Judges by the record alone: the same record gets the same verdict, whatever came before it. */
static void process(void *self, struct cof_batch *batch)
{
  for (size_t i = 0; i < cof_batch_count(batch); i++) {
    struct cof_record *r = cof_batch_at(batch, i);
    if (r->verdict == COF_KEEP && is_unwanted(self, r))
      r->verdict = COF_DROP;
  }
}

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct conf *c = conf;
  char name[COF_NAME_MAX];
  size_t len;
  struct cof_error err;
  for (size_t i = 0; i < c->under.count; i++)
    if (cof_name_canon(c->under.items[i], strlen(c->under.items[i]), name, &len, &err) != COF_OK) {
      cof_diag_error(diag, "under", "'%s' is no name: %s", c->under.items[i], err.text);
      return COF_REJECT;
    }
  return COF_OK;
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  const struct conf *c = conf;
  struct filter *f = calloc(1, sizeof *f);
  struct suffix *suffixes = calloc(c->under.count + 1, sizeof *suffixes);
  for (size_t i = 0; f != NULL && suffixes != NULL && i < c->under.count; i++)
    if (cof_name_canon(c->under.items[i], strlen(c->under.items[i]), suffixes[i].text,
                       &suffixes[i].len, NULL) == COF_OK)
      f->count++; /* check() has refused what is no name */
  if (f == NULL || suffixes == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    free(f);
    free(suffixes);
    return COF_FATAL;
  }
  f->suffixes = suffixes;
  *self = f;
  return COF_OK;
}

static enum cof_result start(void *self)
{
  (void)self;
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
  struct filter *f = self;
  free(f->suffixes);
  free(f);
}

static const struct cof_filter_ops ops = {.struct_size = sizeof ops, .process = process};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {COF_PLUGIN_HEADER,
                                                        .kind = COF_KIND_FILTER,
                                                        .caps = COF_CAP_THREAD_SAFE,
                                                        .name = "@name@",
                                                        .version = "0.1.0",
                                                        .summary = "drops records below some names",
                                                        .options = options,
                                                        .conf_size = sizeof(struct conf),
                                                        .check = check,
                                                        .create = create,
                                                        .start = start,
                                                        .stop = stop,
                                                        .destroy = destroy,
                                                        .ops = &ops};
