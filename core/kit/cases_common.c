/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What holds for plugins of every kind. */
#include <config.h>

#include <dirent.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../descriptor_private.h"
#include "../option_private.h"
#include "kit_private.h"
#include "rig_private.h"

#define WATCH_MS (200 * KIT_SLOWNESS)  /* for what must not happen */
#define CYCLES   8                     /* of an instance's life, for each measurement */
#define SPANS    15                    /* measurements at most, after a first one */
#define SMALL    (CYCLES * (size_t)16) /* octets in a span that are no leak */
#define LARGE    (CYCLES * (size_t)1024)
#define CLEAN    3 /* small spans that end the search */
#define LEAKS    5 /* spans alike, or large, that make a leak */

/* --- loading -------------------------------------------------------------------------------- */

static void load_object(struct trial *t)
{
  char path[4096];
  bool plain = strchr(t->plan->file, '/') == NULL;
  snprintf(path, sizeof path, "%s%s", plain ? "./" : "", t->plan->file);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL)
    trial_fail(t, "%s", dlerror());
  t->plugin = dlsym(handle, COF_PLUGIN_SYMBOL);
  if (t->plugin == NULL)
    trial_fail(t, "exports no symbol " COF_PLUGIN_SYMBOL "; put COF_PLUGIN_EXPORT before it");
}

void trial_open(struct trial *t)
{
  load_object(t);
}

static void case_loads(struct trial *t)
{
  load_object(t);
}

static void check_descriptor(struct trial *t)
{
  struct cof_error err;
  const struct cof_plugin *p = t->plugin;
  if (descriptor_check(p, (enum cof_kind)p->kind, p->name, &err) != COF_OK)
    trial_fail(t, "%s", err.text);
  size_t len = strlen(p->summary);
  if (len == 0 || strchr(p->summary, '\n') != NULL || p->summary[len - 1] == '.')
    trial_fail(t, "its summary is \"%s\"; expected one line without a full stop", p->summary);
  if (p->version[0] == '\0')
    trial_fail(t, "its version is empty");
}

static void case_descriptor(struct trial *t)
{
  static const uint64_t queries = COF_CAP_RRNAME | COF_CAP_SUBDOMAINS | COF_CAP_RDATA |
                                  COF_CAP_ADDR_RANGE | COF_CAP_RDATA_TEXT | COF_CAP_SCAN |
                                  COF_CAP_PREFIX | COF_CAP_RDATA_SUBDOMAINS | COF_CAP_RDATA_PREFIX |
                                  COF_CAP_NEW | COF_CAP_RRTYPE | COF_CAP_FENCES | COF_CAP_RESUME |
                                  COF_CAP_BAILIWICK | COF_CAP_SENSOR;
  static const uint64_t allowed[] = {0, COF_CAP_LOAD, COF_CAP_THREAD_SAFE,
                                     COF_CAP_THREAD_SAFE | queries, 0};
  trial_open(t);
  check_descriptor(t);
  const struct cof_plugin *p = t->plugin;
  if ((p->caps & ~allowed[p->kind]) != 0)
    trial_fail(t, "claims the capabilities 0x%" PRIx64 ", which its kind has no use for",
               p->caps & ~allowed[p->kind]);
  t->shared->kind = p->kind;
  t->shared->caps = p->caps;
  snprintf(t->shared->name, sizeof t->shared->name, "%s", p->name);
  snprintf(t->shared->version, sizeof t->shared->version, "%s", p->version);
}

static void case_file_name(struct trial *t)
{
  char want[160];
  trial_open(t);
  const char *slash = strrchr(t->plan->file, '/');
  const char *file = slash != NULL ? slash + 1 : t->plan->file;
  snprintf(want, sizeof want, "%s.so", t->plugin->name);
  if (strcmp(file, want) != 0)
    trial_fail(t, "the file is %s, expected %s, by which a configuration finds it", file, want);
}

/* --- options -------------------------------------------------------------------------------- */

struct probe {
  struct trial *t;
  const struct cof_option *option;
  void *conf;
  struct conf_memory *memory;
};

static void probe_begin(struct probe *p, struct trial *t, const struct cof_option *o)
{
  size_t size = t->plugin->conf_size;
  *p = (struct probe){.t = t, .option = o};
  p->conf = conf_memory_alloc(&p->memory, size != 0 ? size : 1);
  if (p->conf == NULL)
    trial_fail(t, "out of memory");
}

static bool take(struct probe *p, const char *text, struct cof_error *err)
{
  *err = (struct cof_error){.text = ""};
  return option_parse(p->option, text, p->conf, &p->memory, err) == COF_OK;
}

static void must_take(struct probe *p, const char *text)
{
  struct cof_error err;
  if (!take(p, text, &err))
    trial_fail(p->t, "option %s: refuses \"%s\": %s", p->option->name, text, err.text);
}

static void must_refuse(struct probe *p, const char *text)
{
  struct cof_error err;
  if (take(p, text, &err))
    trial_fail(p->t, "option %s: takes \"%s\"", p->option->name, text);
  if (err.text[0] == '\0')
    trial_fail(p->t, "option %s: refuses \"%s\" without a reason", p->option->name, text);
}

static int64_t number_of(const struct probe *p)
{
  int64_t number;
  memcpy(&number, (const char *)p->conf + p->option->offset, sizeof number);
  return number;
}

static void number_text(char out[32], const struct cof_option *o, int64_t n)
{
  snprintf(out, 32, "%" PRId64 "%s", n, o->type == COF_OPT_DURATION ? "ms" : "");
}

static void round_number(struct probe *p, int64_t n)
{
  char text[32];
  number_text(text, p->option, n);
  must_take(p, text);
  if (number_of(p) != n)
    trial_fail(p->t, "option %s: \"%s\" became %" PRId64, p->option->name, text, number_of(p));
}

static void round_choices(struct probe *p)
{
  for (int i = 0; p->option->choices[i] != NULL; i++) {
    int found;
    must_take(p, p->option->choices[i]);
    memcpy(&found, (const char *)p->conf + p->option->offset, sizeof found);
    if (found != i)
      trial_fail(p->t, "option %s: \"%s\" became choice %d, expected %d", p->option->name,
                 p->option->choices[i], found, i);
  }
}

static bool is_number(const struct cof_option *o)
{
  return o->type == COF_OPT_INT || o->type == COF_OPT_DURATION || o->type == COF_OPT_BYTES;
}

static void case_round_trip(struct trial *t)
{
  trial_open(t);
  const struct cof_option *o = t->plugin->options;
  for (; o != NULL && o->name != NULL; o++) {
    struct probe p;
    probe_begin(&p, t, o);
    if (o->help == NULL || o->help[0] == '\0')
      trial_fail(t, "option %s has no help, which is its whole documentation", o->name);
    if (o->dflt != NULL)
      must_take(&p, o->dflt);
    if (o->dflt != NULL && is_number(o))
      round_number(&p, number_of(&p));
    if (is_number(o) && option_is_bounded(o)) {
      round_number(&p, o->min);
      round_number(&p, o->max);
    }
    if (o->type == COF_OPT_ENUM)
      round_choices(&p);
    conf_memory_free(&p.memory);
  }
}

static void refuse_numbers(struct probe *p)
{
  char text[32];
  must_refuse(p, "12 apples");
  must_refuse(p, "99999999999999999999999");
  if (!option_is_bounded(p->option))
    return;
  if (p->option->min > INT64_MIN) {
    number_text(text, p->option, p->option->min - 1);
    must_refuse(p, text);
  }
  if (p->option->max < INT64_MAX) {
    number_text(text, p->option, p->option->max + 1);
    must_refuse(p, text);
  }
}

static void case_bad_values(struct trial *t)
{
  trial_open(t);
  const struct cof_option *o = t->plugin->options;
  for (; o != NULL && o->name != NULL; o++) {
    struct probe p;
    probe_begin(&p, t, o);
    if (is_number(o))
      refuse_numbers(&p);
    if (is_number(o) && !option_is_bounded(o))
      trial_fail(t, "option %s has no bounds; expected min and max", o->name);
    if (o->type == COF_OPT_ENUM || o->type == COF_OPT_BOOL)
      must_refuse(&p, "no such word");
    if (o->type == COF_OPT_ADDR)
      must_refuse(&p, "no port");
    conf_memory_free(&p.memory);
  }
}

struct diag {
  struct cof_diag diag; /* first */
  struct trial *t;
  unsigned said;
};

static void take_diag(struct cof_diag *diag, const char *option, const char *text)
{
  struct diag *d = (struct diag *)diag;
  d->said++;
  if (text == NULL || *text == '\0')
    trial_fail(d->t, "check() reported a mistake without a text");
  if (option != NULL && option_find(d->t->plugin->options, option) == NULL)
    trial_fail(d->t, "check() blamed the option \"%s\", which there is not", option);
}

static void run_check(struct trial *t, const void *conf, bool must_pass)
{
  struct diag d = {.diag.report = take_diag, .t = t};
  atomic_store(&t->shared->where, "check()");
  enum cof_result result = t->plugin->check(conf, &d.diag);
  if (result != COF_OK && result != COF_REJECT)
    trial_fail(t, "check() gave %s; expected ok or reject", cof_result_name(result));
  if ((result == COF_OK) != (d.said == 0))
    trial_fail(t,
               "check() gave %s and reported %u mistakes; it must report at least one where it "
               "rejects, and none else",
               cof_result_name(result), d.said);
  if (must_pass && result != COF_OK)
    trial_fail(t, "check() rejects the options of this run");
}

/* Its own check with every option in turn as small, as large, and as empty as it may be. */
static void case_check(struct trial *t)
{
  trial_open(t);
  if (t->plugin->check == NULL)
    trial_skip(t, "has no check()");
  struct rig *r = rig_create(t, 0);
  run_check(t, r->conf, true);
  for (const struct cof_option *o = t->plugin->options; o != NULL && o->name != NULL; o++) {
    void *saved = conf_memory_alloc(&r->memory, o->size);
    char *field = (char *)r->conf + o->offset;
    if (saved == NULL)
      trial_fail(t, "out of memory");
    memcpy(saved, field, o->size);
    if (is_number(o)) {
      memcpy(field, &o->min, o->size);
      run_check(t, r->conf, false);
      memcpy(field, &o->max, o->size);
      run_check(t, r->conf, false);
    } else if (o->dflt == NULL && (o->flags & COF_OPT_REQUIRED) == 0) {
      memset(field, 0, o->size);
      run_check(t, r->conf, false);
    }
    memcpy(field, saved, o->size);
  }
  rig_destroy(&r);
}

/* --- lifecycle ------------------------------------------------------------------------------ */

static void case_unstarted(struct trial *t)
{
  trial_open(t);
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_stop(r, RIG_STOP_MS);
  rig_release(r);
  kit_sleep_ms(WATCH_MS);
  rig_destroy(&r);
}

static void live_once(struct trial *t)
{
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_run(r);
  rig_stop(r, RIG_STOP_MS);
  rig_release(r);
  kit_sleep_ms(WATCH_MS);
  rig_destroy(&r);
}

static void case_lives(struct trial *t)
{
  trial_open(t);
  live_once(t);
}

static void case_lives_twice(struct trial *t)
{
  trial_open(t);
  live_once(t);
  live_once(t);
}

static void case_two_at_once(struct trial *t)
{
  trial_open(t);
  struct rig *a = rig_create(t, 0), *b = rig_create(t, 1);
  rig_make(a);
  rig_make(b);
  rig_run(b);
  rig_run(a);
  rig_destroy(&a);
  kit_sleep_ms(20);
  rig_destroy(&b);
}

static size_t count_entries(const char *dir)
{
  DIR *stream = opendir(dir);
  size_t n = 0;
  const struct dirent *entry;
  while (stream != NULL && (entry = readdir(stream)) != NULL)
    n += entry->d_name[0] != '.';
  if (stream != NULL)
    closedir(stream);
  return n;
}

/* Whoever opens a file, a socket or a pipe in start() is told that there are too many. */
static void case_start_fails(struct trial *t)
{
  trial_open(t);
  struct rig *r = rig_create(t, 0);
  struct rlimit usual, none;
  rig_make(r);
  getrlimit(RLIMIT_NOFILE, &usual);
  none = usual;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  enum cof_result result = rig_start(r);
  setrlimit(RLIMIT_NOFILE, &usual);
  rig_stop(r, RIG_STOP_MS);
  rig_release(r);
  rig_destroy(&r);
  trial_note(t, "start() without a free descriptor gave %s", cof_result_name(result));
  live_once(t);
}

static void case_late_stop(struct trial *t)
{
  trial_open(t);
  struct rig *r = rig_create(t, 0);
  rig_make(r);
  rig_run(r);
  kit_sleep_ms(20);
  rig_stop(r, 0);
  rig_release(r);
  rig_destroy(&r);
}

static void case_reload(struct trial *t)
{
  trial_open(t);
  if (t->plugin->reload == NULL)
    trial_skip(t, "has no reload()");
  struct rig *r = rig_create(t, 0), *fresh = rig_create(t, 1);
  rig_make(r);
  rig_run(r);
  for (int i = 0; i < 4; i++) {
    /* What reload() is given has the old values of what is not reloadable. */
    void *conf = i % 2 ? fresh->conf : r->conf, *old = i % 2 ? r->conf : fresh->conf;
    for (const struct cof_option *o = t->plugin->options; i == 1 && o->name != NULL; o++)
      if ((o->flags & COF_OPT_RELOADABLE) == 0)
        option_copy(o, old, conf);
    atomic_store(&t->shared->where, "reload()");
    enum cof_result result = t->plugin->reload(r->self, conf);
    if (result != COF_OK)
      trial_fail(t, "reload() of settings it runs with gave %s", cof_result_name(result));
    kit_sleep_ms(10);
  }
  rig_stop(r, RIG_STOP_MS);
  rig_release(r);
  rig_destroy(&r);
  rig_destroy(&fresh);
}

/* --- what is left --------------------------------------------------------------------------- */

static void exercise(struct rig *r)
{
  bool refused[64];
  struct cof_batch *batch = cof_batch_create();
  if (batch == NULL)
    trial_fail(r->t, "out of memory");
  model_batch(batch, 50, r->t->plan->known_types);
  if (r->plugin->kind == COF_KIND_FILTER)
    ((const struct cof_filter_ops *)r->plugin->ops)->process(r->self, batch);
  if (r->plugin->kind == COF_KIND_STORAGE)
    (void)rig_write(r, batch, refused, NULL);
  if (r->plugin->kind == COF_KIND_INPUT && r->t->shared->flows)
    (void)rig_wait_some(r, rig_wait_ms(r->t));
  cof_batch_destroy(&batch);
}

static void cycle(struct trial *t)
{
  struct rig *r = rig_create(t, 0);
  srand(1); /* the same records each time, so that a storage does not grow */
  rig_make(r);
  rig_run(r);
  exercise(r);
  rig_stop(r, RIG_STOP_MS);
  rig_release(r);
  rig_destroy(&r);
}

/* A thread that was joined may be there for a moment, and so may what it leaves. */
static size_t settled_entries(const char *dir, size_t most, int ms)
{
  size_t n = count_entries(dir);
  for (int i = 0; n > most && i < ms / 10; i++) {
    kit_sleep_ms(10);
    n = count_entries(dir);
  }
  return n;
}

static void note_descriptors(struct trial *t)
{
  for (int fd = 3; fd < 256; fd++) {
    char name[64], target[256];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, target, sizeof target - 1);
    if (len > 0)
      trial_note(t, "descriptor %d is %.*s", fd, (int)len, target);
  }
}

/*
 * What libraries keep for the whole process after their first use is no leak; what is more after
 * each life of an instance is one.
 */
static void case_leftovers(struct trial *t)
{
  trial_open(t);
  size_t begin = count_entries("/proc/self/task");
  cycle(t);
  /* Those of a library stay, which is not waited for long. */
  size_t threads = settled_entries("/proc/self/task", begin, 1000);
  size_t fds = count_entries("/proc/self/fd");
  for (int i = 0; i < 4; i++)
    cycle(t);
  size_t now = settled_entries("/proc/self/task", threads, rig_wait_ms(t));
  if (now > threads)
    trial_fail(t, "%zu threads are left after four more lives of an instance", now - threads);
  if (threads > begin)
    trial_note(t, "%zu threads stay for the process, their number does not grow", threads - begin);
  size_t fds_now = settled_entries("/proc/self/fd", fds, rig_wait_ms(t));
  if (fds_now > fds) {
    note_descriptors(t);
    trial_fail(t, "%zu descriptors are left after four lives of an instance", fds_now - fds);
  }
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
/* A leak is the same nearly each time, or large; what a library or malloc keeps for later is
 * neither. */
static bool is_alike(size_t a, size_t b)
{
  return (a >= LARGE && b >= LARGE) || (a >= b ? a - b : b - a) <= b / 20 + 64;
}

/* How many of the spans are like the last one, with itself. */
static size_t like_the_last(const size_t *grown, size_t count)
{
  size_t alike = 0;
  for (size_t i = 0; i < count; i++)
    alike += grown[i] >= SMALL && is_alike(grown[i], grown[count - 1]);
  return alike;
}

struct lives {
  struct trial *trial;
  int count;
};

static void *run_lives(void *arg)
{
  const struct lives *lives = arg;
  for (int i = 0; i < lives->count; i++)
    cycle(lives->trial);
  return NULL;
}

static size_t memory_used(void)
{
  malloc_trim(0);
  return mallinfo2().uordblks + mallinfo2().hblkhd;
}

/* In a thread of their own: what malloc keeps for a thread's next calls looks as if it were in use,
 * and is given back when the thread ends. */
static long memory_left_by(struct trial *t, int count)
{
  struct lives lives = {.trial = t, .count = count};
  size_t before = memory_used();
  pthread_t thread;
  int e = pthread_create(&thread, NULL, run_lives, &lives);
  if (e == 0)
    e = pthread_join(thread, NULL);
  if (e != 0)
    trial_fail(t, "a thread of this case failed: %s", strerror(e));
  return (long)memory_used() - (long)before;
}
#endif

static void case_memory(struct trial *t)
{
  trial_open(t);
  int (*leaks)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "__lsan_do_recoverable_leak_check");
  if (leaks != NULL) {
    for (int i = 0; i < 3; i++)
      cycle(t);
    if (leaks() != 0)
      trial_fail(t, "memory is left after three lives of an instance");
    return;
  }
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
  trial_skip(t, "this build cannot tell; one with -fsanitize=address, or with none, can");
#else
  size_t grown[SPANS], small = 0;
  memory_left_by(t, CYCLES);
  for (size_t i = 0; i < SPANS && small < CLEAN; i++) {
    /* Libraries keep something for each thread that ever called them: it is in both. */
    long one = memory_left_by(t, 1), more = memory_left_by(t, 1 + CYCLES);
    grown[i] = more > one ? (size_t)(more - one) : 0;
    small += grown[i] < SMALL;
    if (grown[i] >= SMALL && like_the_last(grown, i + 1) >= LEAKS)
      trial_fail(t, "%zu octets more are left after each %d lives of an instance", grown[i],
                 CYCLES);
  }
#endif
}

const struct kit_case kit_common_cases[] = {
    {"loads, and exports " COF_PLUGIN_SYMBOL, KIT_ANY, 0, case_loads},
    {"descriptor is sane", KIT_ANY, 0, case_descriptor},
    {"file is named after the plugin", KIT_ANY, 0, case_file_name},
    {"options: defaults and bounds are taken as they are written", KIT_ANY, 0, case_round_trip},
    {"options: bad values are refused with a message", KIT_ANY, 0, case_bad_values},
    {"options: check() takes what is good and gives reasons", KIT_ANY, 0, case_check},
    {"life: created, never started, stopped, destroyed", KIT_ANY, 0, case_unstarted},
    {"life: created, started, stopped, destroyed", KIT_ANY, 0, case_lives},
    {"life: twice, one after the other", KIT_ANY, 0, case_lives_twice},
    {"life: two instances at once", KIT_ANY, 0, case_two_at_once},
    {"life: again after a start() that had no descriptors", KIT_ANY, 0, case_start_fails},
    {"life: stop() whose deadline has passed", KIT_ANY, 0, case_late_stop},
    {"life: reload() while it works", KIT_ANY, 0, case_reload},
    {"leaves no thread and no descriptor", KIT_ANY, 0, case_leftovers},
    {"leaves no memory", KIT_ANY, 0, case_memory},
    {0}};
