/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "rig_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../instance_private.h"
#include "../loader_private.h"
#include "righost_private.h"

#define MS      UINT64_C(1000000)
#define LATE_MS (1000 * KIT_SLOWNESS) /* what a stop() may be late by */

extern char **environ;

static void *need(struct trial *t, void *p)
{
  if (p == NULL)
    trial_fail(t, "out of memory");
  return p;
}

/* --- options -------------------------------------------------------------------------------- */

/* The first port that outgoing connections may get. */
static unsigned first_outgoing_port(void)
{
  unsigned low = 0;
  FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
  if (range != NULL && fscanf(range, "%u", &low) != 1)
    low = 0;
  if (range != NULL)
    fclose(range);
  return low;
}

/* @param port  0: any. @return the port, or 0 when it is not free */
static uint16_t try_port(uint16_t port)
{
  struct sockaddr_in a = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
      getsockname(fd, (struct sockaddr *)&a, &len) != 0)
    a.sin_port = 0;
  if (fd >= 0)
    close(fd);
  return ntohs(a.sin_port);
}

/*
 * Below those of outgoing connections, where there is room: else one of them, of a feed or of other
 * tests, may have it before the instance does. Not by rand(), which is the same in several runs.
 */
static uint16_t free_port(void)
{
  enum { LEAST = 10000, ENOUGH = 1000, TRIES = 100 };
  unsigned low = first_outgoing_port(), number;
  for (int i = 0; low >= LEAST + ENOUGH && low <= UINT16_MAX && i < TRIES; i++) {
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
      break;
    uint16_t port = try_port((uint16_t)(LEAST + number % (low - LEAST)));
    if (port != 0)
      return port;
  }
  return try_port(0);
}

/* The words @dir@, @port@ and @n@ stand for what each instance has for itself. */
static const char *expand(struct rig *r, const char *text)
{
  char port[16], number[16];
  snprintf(port, sizeof port, "%u", (unsigned)r->port);
  snprintf(number, sizeof number, "%u", r->t->number * 2 + r->number);
  const char *const words[][2] = {{"@dir@", r->dir}, {"@port@", port}, {"@n@", number}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    const char *at;
    while ((at = strstr(text, words[i][0])) != NULL)
      text = need(r->t, conf_memory_format(&r->memory, "%.*s%s%s", (int)(at - text), text,
                                           words[i][1], at + strlen(words[i][0])));
  }
  return text;
}

static bool is_given(const struct kit_plan *plan, const char *name)
{
  size_t len = strlen(name);
  for (size_t i = 0; i < plan->settings_count; i++)
    if (strncmp(plan->settings[i], name, len) == 0 && plan->settings[i][len] == '=')
      return true;
  return false;
}

static void read_conf(struct rig *r, const char *source)
{
  const struct kit_plan *plan = r->t->plan;
  struct problems *problems = need(r->t, problems_create());
  const char **settings = need(r->t, calloc(plan->settings_count + 1, sizeof *settings));
  for (const struct cof_option *o = r->plugin->options; o != NULL && o->name != NULL; o++)
    if ((o->flags & COF_OPT_REQUIRED) != 0 && !is_given(plan, o->name))
      trial_fail(r->t, "the option %s is required; give it after -- as %s=VALUE", o->name, o->name);
  for (size_t i = 0; i < plan->settings_count; i++)
    settings[i] = expand(r, plan->settings[i]);
  r->conf = conf_defaults(r->plugin, source, settings, plan->settings_count, &r->memory, problems);
  if (r->conf == NULL)
    trial_fail(r->t, "%s",
               problems_count(problems) > 0 ? problems_text(problems, 0)
                                            : "options cannot be read");
  free(settings);
  problems_destroy(&problems);
}

/* --- processes beside it -------------------------------------------------------------------- */

/* The environment of this process with the two added; not by setenv(), which never frees. */
static pid_t spawn_shell(struct rig *r, const char *command)
{
  char dir[KIT_DIR_MAX + 32], port[32];
  char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)command, NULL};
  size_t count = 0;
  pid_t pid;
  while (environ[count] != NULL)
    count++;
  char **env = need(r->t, calloc(count + 3, sizeof *env));
  memcpy(env, environ, count * sizeof *env);
  snprintf(dir, sizeof dir, "COFD_TEST_DIR=%s", r->dir);
  snprintf(port, sizeof port, "COFD_TEST_PORT=%u", (unsigned)r->port);
  env[count] = dir;
  env[count + 1] = port;
  int e = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, env);
  free(env);
  if (e != 0)
    trial_fail(r->t, "sh does not start: %s", strerror(e));
  return pid;
}

static void prepare(struct rig *r)
{
  int status;
  if (r->t->plan->prepare == NULL || !r->fresh)
    return;
  pid_t pid = spawn_shell(r, r->t->plan->prepare);
  if (waitpid(pid, &status, 0) != pid || status != 0)
    trial_fail(r->t, "the command of --prepare ended with status %d", WEXITSTATUS(status));
}

void rig_feed(struct rig *r)
{
  if (r->t->plan->feed != NULL && r->feed == 0)
    r->feed = spawn_shell(r, r->t->plan->feed);
}

void rig_feed_end(struct rig *r)
{
  int status;
  if (r->feed <= 0)
    return;
  kill(r->feed, SIGTERM);
  waitpid(r->feed, &status, 0);
  r->feed = 0;
}

/* --- life ----------------------------------------------------------------------------------- */

struct rig *rig_create(struct trial *t, unsigned number)
{
  struct rig *r = need(t, calloc(1, sizeof *r));
  char source[64];
  pthread_condattr_t attr;
  r->host.api = &rig_host_api;
  r->t = t;
  r->plugin = t->plugin;
  r->number = number;
  r->room = UINT64_MAX;
  r->held_end = &r->held;
  r->port = free_port();
  snprintf(r->dir, sizeof r->dir, "%.*s/i%u", KIT_DIR_MAX - 16, t->dir, number);
  snprintf(r->state_dir, sizeof r->state_dir, "%s/state", r->dir);
  r->fresh = mkdir(r->dir, 0700) == 0;
  if ((!r->fresh || mkdir(r->state_dir, 0700) != 0) && errno != EEXIST)
    trial_fail(t, "%s: %s", r->state_dir, strerror(errno));
  pthread_mutex_init(&r->lock, NULL);
  pthread_mutex_init(&r->serial, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&r->changed, &attr);
  pthread_condattr_destroy(&attr);
  snprintf(source, sizeof source, "%s.test%u", kind_name((enum cof_kind)t->plugin->kind), number);
  r->owner = guard_register(source, t->plugin->name, t->plugin);
  read_conf(r, source);
  return r;
}

static struct guard_call enter(struct rig *r, const char *callback)
{
  atomic_store(&r->t->shared->where, callback);
  return guard_enter_named(r->owner, callback);
}

static void set_state(struct rig *r, enum rig_state state)
{
  pthread_mutex_lock(&r->lock);
  r->state = state;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
}

static uint64_t get(struct rig *r, const uint64_t *number)
{
  pthread_mutex_lock(&r->lock);
  uint64_t n = *number;
  pthread_mutex_unlock(&r->lock);
  return n;
}

static void check_errors(struct rig *r, const char *callback, uint64_t errors)
{
  if (get(r, &r->errors) == errors)
    trial_fail(r->t, "%s failed without logging why (cof_log with COF_LOG_ERROR)", callback);
}

void rig_make(struct rig *r)
{
  prepare(r);
  uint64_t errors = get(r, &r->errors);
  struct guard_call before = enter(r, "create()");
  enum cof_result result = r->plugin->create(&r->host, r->conf, &r->self);
  guard_leave_named(before);
  if (result != COF_OK) {
    check_errors(r, "create()", errors);
    trial_fail(r->t, "create() gave %s", cof_result_name(result));
  }
  if (r->batches != 0)
    trial_fail(r->t, "emitted in create(), before start()");
  set_state(r, RIG_CREATED);
}

/* Acks and resumes come from a thread of the host. */
static void begin_acks(struct rig *r)
{
  if (r->plugin->kind != COF_KIND_INPUT)
    return;
  if (pthread_create(&r->acker, NULL, rig_ack_main, r) != 0)
    trial_fail(r->t, "no thread for acks");
  r->acker_runs = true;
}

enum cof_result rig_start(struct rig *r)
{
  uint64_t errors = get(r, &r->errors);
  begin_acks(r);
  set_state(r, RIG_RUNS);
  struct guard_call before = enter(r, "start()");
  enum cof_result result = r->plugin->start(r->self);
  guard_leave_named(before);
  if (result != COF_OK && result != COF_FATAL)
    trial_fail(r->t, "start() gave %s; expected ok or fatal", cof_result_name(result));
  if (result == COF_FATAL)
    check_errors(r, "start()", errors);
  return result;
}

void rig_run(struct rig *r)
{
  enum cof_result result = rig_start(r);
  if (result != COF_OK)
    trial_fail(r->t, "start() gave %s; the log below says why", cof_result_name(result));
  rig_feed(r);
}

void rig_load(struct rig *r, const char *path)
{
  const struct cof_input_ops *ops = r->plugin->ops;
  const char **paths = need(r->t, conf_memory_alloc(&r->memory, 2 * sizeof *paths));
  paths[0] = path;
  begin_acks(r);
  set_state(r, RIG_RUNS);
  struct guard_call before = enter(r, "load()");
  enum cof_result result = ops->load(r->self, paths, 1);
  guard_leave_named(before);
  if (result != COF_OK)
    trial_fail(r->t, "load() gave %s", cof_result_name(result));
}

static void end_acks(struct rig *r)
{
  if (!r->acker_runs)
    return;
  pthread_mutex_lock(&r->lock);
  r->acker_ends = true;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
  pthread_join(r->acker, NULL);
  r->acker_runs = false;
}

void rig_stop(struct rig *r, int ms)
{
  set_state(r, RIG_STOPS);
  uint64_t begin = kit_ran_ms();
  struct guard_call before = enter(r, "stop()");
  enum cof_result result = r->plugin->stop(r->self, clock_ns() + (uint64_t)ms * MS);
  guard_leave_named(before);
  uint64_t took = kit_ran_ms() - begin;
  set_state(r, RIG_STOPPED);
  if (result != COF_OK && result != COF_TIMEOUT)
    trial_fail(r->t, "stop() gave %s; expected ok or timeout", cof_result_name(result));
  if (took > (uint64_t)ms + LATE_MS)
    trial_fail(r->t, "stop() came back %.1f s after its deadline",
               (double)(took - (uint64_t)ms) / 1e3);
  rig_hold(r, false);
  end_acks(r);
}

void rig_release(struct rig *r)
{
  struct guard_call before = enter(r, "destroy()");
  r->plugin->destroy(r->self);
  guard_leave_named(before);
  set_state(r, RIG_GONE);
}

void rig_destroy(struct rig **rig)
{
  struct rig *r = *rig;
  rig_feed_end(r);
  if (r->state == RIG_CREATED || r->state == RIG_RUNS)
    rig_stop(r, RIG_STOP_MS);
  if (r->state == RIG_STOPPED)
    rig_release(r);
  guard_unregister(&r->owner);
  rig_host_free(r);
  conf_memory_free(&r->memory);
  pthread_cond_destroy(&r->changed);
  pthread_mutex_destroy(&r->serial);
  pthread_mutex_destroy(&r->lock);
  free(r);
  *rig = NULL;
}

int rig_wait_ms(const struct trial *t)
{
  int most = 20000 + 10000 * KIT_SLOWNESS, half = (int)t->plan->timeout_s * 500;
  return half < most ? half : most;
}

/* --- the chain ------------------------------------------------------------------------------ */

void rig_room(struct rig *r, uint64_t batches)
{
  pthread_mutex_lock(&r->lock);
  r->room = batches;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
}

void rig_hold(struct rig *r, bool hold)
{
  pthread_mutex_lock(&r->lock);
  r->hold = hold;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
}

uint64_t rig_records(struct rig *r)
{
  return get(r, &r->records);
}

uint64_t rig_refusals(struct rig *r)
{
  return get(r, &r->refusals);
}

static bool has_all(struct rig *r)
{
  uint64_t want = r->t->plan->records;
  pthread_mutex_lock(&r->lock);
  bool all = want != 0 ? r->records >= want : r->finished;
  pthread_mutex_unlock(&r->lock);
  return all;
}

bool rig_wait_all(struct rig *r, int ms)
{
  uint64_t until = clock_ns() + (uint64_t)ms * MS;
  while (!has_all(r)) {
    if (clock_ns() > until)
      return false;
    kit_sleep_ms(5);
  }
  return true;
}

static bool wait_number(struct rig *r, const uint64_t *number, int ms)
{
  uint64_t until = clock_ns() + (uint64_t)ms * MS;
  while (get(r, number) == 0) {
    if (clock_ns() > until)
      return false;
    kit_sleep_ms(5);
  }
  return true;
}

bool rig_wait_some(struct rig *r, int ms)
{
  return wait_number(r, &r->records, ms);
}

bool rig_wait_refusal(struct rig *r, int ms)
{
  return wait_number(r, &r->refusals, ms);
}
