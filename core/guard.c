/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "guard_private.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "log_private.h"

#define COMM_MAX    16           /* octets of a thread name, NUL included (prctl(2)) */
#define STACK_WORDS 2048         /* that are looked at for a return address */
#define STACK_SIZE  (64 * 1024u) /* of a signal handler */

struct guard_owner {
  atomic_bool used;
  char source[160];
  char plugin[96];
  char comm[COMM_MAX];  /* name of the threads it starts */
  uintptr_t begin, end; /* its object in memory; both 0: not known */
};

/* What one thread is in. Written by that thread, read by the watching one and by the handler. */
struct slot {
  atomic_bool used;
  _Atomic(const struct guard_owner *) owner;
  _Atomic(const char *) callback;
  atomic_uint turn; /* changes with each enter and leave */
};

/* What the watching thread has seen of a slot. */
struct seen {
  unsigned turn;
  uint64_t ms;   /* how long so */
  uint64_t tell; /* when to log it */
  const struct guard_owner *told;
  const char *callback;
};

static struct guard_owner owners[GUARD_OWNERS_MAX];
static struct guard_owner nobody = {.source = "a plugin instance", .plugin = "beyond the table"};
static struct slot slots[GUARD_THREADS_MAX];
static pthread_key_t slot_key;
static pthread_once_t slot_once = PTHREAD_ONCE_INIT;
static _Thread_local struct slot *own_slot;
static _Thread_local struct slot spare_slot; /* of a thread beyond the table */

static const struct {
  int number;
  const char *name;
} signals[] = {{SIGSEGV, "SIGSEGV"},
               {SIGBUS, "SIGBUS"},
               {SIGILL, "SIGILL"},
               {SIGFPE, "SIGFPE"},
               {SIGABRT, "SIGABRT"}};
#define SIGNALS (sizeof signals / sizeof *signals)
static struct sigaction before[SIGNALS];

/* --- who ------------------------------------------------------------------------------------ */

struct search {
  uintptr_t address;
  struct guard_owner *owner;
};

static int find_object(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct search *s = arg;
  uintptr_t begin = UINTPTR_MAX, end = 0;
  (void)size;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    if (p->p_type != PT_LOAD)
      continue;
    uintptr_t from = info->dlpi_addr + p->p_vaddr, to = from + p->p_memsz;
    begin = from < begin ? from : begin;
    end = to > end ? to : end;
  }
  if (s->address < begin || s->address >= end)
    return 0;
  s->owner->begin = begin;
  s->owner->end = end;
  return 1;
}

static struct guard_owner *claim_owner(size_t *index)
{
  for (size_t i = 0; i < GUARD_OWNERS_MAX; i++) {
    bool no = false;
    *index = i;
    if (atomic_compare_exchange_strong(&owners[i].used, &no, true))
      return &owners[i];
  }
  return NULL;
}

const struct guard_owner *guard_register(const char *source, const char *plugin,
                                         const void *address)
{
  size_t index;
  struct guard_owner *o = claim_owner(&index);
  if (o == NULL)
    return &nobody;
  const char *dot = strchr(source, '.');
  snprintf(o->source, sizeof o->source, "%s", source);
  snprintf(o->plugin, sizeof o->plugin, "%s", plugin);
  snprintf(o->comm, sizeof o->comm, "%.10s/%zu", dot != NULL ? dot + 1 : source, index);
  o->begin = o->end = 0;
  struct search s = {.address = (uintptr_t)address, .owner = o};
  if (address != NULL)
    dl_iterate_phdr(find_object, &s);
  return o;
}

void guard_unregister(const struct guard_owner **owner)
{
  if (*owner != NULL && *owner != &nobody)
    atomic_store(&owners[*owner - owners].used, false);
  *owner = NULL;
}

/* --- where ---------------------------------------------------------------------------------- */

static void release_slot(void *arg)
{
  struct slot *s = arg;
  own_slot = NULL;
  atomic_store(&s->owner, NULL);
  atomic_store(&s->used, false);
}

static void make_slot_key(void)
{
  if (pthread_key_create(&slot_key, release_slot) != 0)
    abort(); /* at the first callback, in a process that has no key left for anybody */
}

static struct slot *claim_slot(void)
{
  pthread_once(&slot_once, make_slot_key);
  for (size_t i = 0; i < GUARD_THREADS_MAX; i++) {
    bool no = false;
    if (!atomic_compare_exchange_strong(&slots[i].used, &no, true))
      continue;
    if (pthread_setspecific(slot_key, &slots[i]) == 0)
      return &slots[i];
    atomic_store(&slots[i].used, false);
    break;
  }
  return &spare_slot;
}

static struct guard_call change(const struct guard_owner *owner, const char *callback)
{
  struct slot *s = own_slot;
  if (s == NULL)
    s = own_slot = claim_slot();
  struct guard_call old = {atomic_load_explicit(&s->owner, memory_order_relaxed),
                           atomic_load_explicit(&s->callback, memory_order_relaxed)};
  atomic_store_explicit(&s->callback, callback, memory_order_relaxed);
  atomic_store_explicit(&s->owner, owner, memory_order_release);
  atomic_fetch_add_explicit(&s->turn, 1, memory_order_release);
  return old;
}

struct guard_call guard_enter(const struct guard_owner *owner, const char *callback)
{
  return change(owner, callback);
}

void guard_leave(struct guard_call call)
{
  change(call.owner, call.callback);
}

static char process_comm[COMM_MAX];

struct guard_call guard_enter_named(const struct guard_owner *owner, const char *callback)
{
  if (process_comm[0] == '\0')
    prctl(PR_GET_NAME, process_comm);
  if (owner != &nobody)
    prctl(PR_SET_NAME, owner->comm);
  return change(owner, callback);
}

void guard_leave_named(struct guard_call call)
{
  change(call.owner, call.callback);
  prctl(PR_SET_NAME, process_comm);
}

/* --- crashes -------------------------------------------------------------------------------- */

static const struct guard_owner *owner_of_address(uintptr_t address)
{
  for (size_t i = 0; i < GUARD_OWNERS_MAX; i++)
    if (atomic_load(&owners[i].used) && address >= owners[i].begin && address < owners[i].end)
      return &owners[i];
  return NULL;
}

static const struct guard_owner *owner_of_comm(void)
{
  char comm[COMM_MAX] = "";
  prctl(PR_GET_NAME, comm);
  for (size_t i = 0; i < GUARD_OWNERS_MAX; i++)
    if (atomic_load(&owners[i].used) && strcmp(owners[i].comm, comm) == 0)
      return &owners[i];
  return NULL;
}

/*
 * The first plugin whose code stands on the stack. What lies there is copied by the kernel, which
 * stops at the stack's end where reading it would fault.
 */
static const struct guard_owner *owner_of_stack(const void *context)
{
  uintptr_t pc = 0, sp = 0;
#if defined __x86_64__
  const ucontext_t *u = context;
  pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
  sp = (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
#elif defined __aarch64__
  const ucontext_t *u = context;
  pc = (uintptr_t)u->uc_mcontext.pc;
  sp = (uintptr_t)u->uc_mcontext.sp;
#else
  (void)context;
#endif
  const struct guard_owner *owner = owner_of_address(pc);
  for (size_t done = 0; owner == NULL && sp != 0 && done < STACK_WORDS; done += 64) {
    uintptr_t words[64];
    struct iovec to = {words, sizeof words},
                 from = {(void *)(sp + done * sizeof *words), sizeof words};
    ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    for (size_t i = 0; owner == NULL && n > 0 && i < (size_t)n / sizeof *words; i++)
      owner = owner_of_address(words[i]);
    if (n != (ssize_t)sizeof words)
      break;
  }
  return owner;
}

struct message {
  char text[512];
  size_t len;
};

static void say(struct message *m, const char *text)
{
  while (*text != '\0' && m->len < sizeof m->text)
    m->text[m->len++] = *text++;
}

static void say_owner(struct message *m, const struct guard_owner *owner, const char *how)
{
  say(m, how);
  say(m, owner->source);
  say(m, " (plugin ");
  say(m, owner->plugin);
  say(m, ")");
}

static void say_who(struct message *m, const void *context)
{
  const struct slot *s = own_slot;
  const struct guard_owner *owner = s != NULL ? atomic_load(&s->owner) : NULL;
  if (owner != NULL) {
    say_owner(m, owner, " in ");
    say(m, ", in its callback ");
    say(m, atomic_load(&s->callback));
  } else if ((owner = owner_of_comm()) != NULL) {
    say_owner(m, owner, " in ");
    say(m, ", in a thread of its own");
  } else if ((owner = owner_of_stack(context)) != NULL) {
    say_owner(m, owner, " in code called by ");
  } else {
    say(m, ", not in a plugin that is known");
  }
}

static size_t signal_index(int number)
{
  size_t i = 0;
  while (i < SIGNALS - 1 && signals[i].number != number)
    i++;
  return i;
}

/* Only what is async-signal-safe; the log is not. */
static void on_crash(int number, siginfo_t *info, void *context)
{
  int saved = errno;
  struct message m = {.len = 0};
  size_t i = signal_index(number);
  say(&m, "cofd: crashed by ");
  say(&m, signals[i].name);
  say_who(&m, context);
  say(&m, "\n");
  ssize_t n = write(STDERR_FILENO, m.text, m.len);
  (void)n;
  /* A fault happens again when this returns, and then ends the process as if nobody had looked. */
  sigaction(number, &before[i], NULL);
  if (info->si_code <= 0)
    raise(number);
  errno = saved;
}

static _Thread_local char *own_stack;
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

static void free_stack(void *arg)
{
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  own_stack = NULL;
  free(arg);
}

static void make_stack_key(void)
{
  if (pthread_key_create(&stack_key, free_stack) != 0)
    abort(); /* as for the slots */
}

void guard_thread(void)
{
  stack_t now = {.ss_flags = 0};
  if (own_stack != NULL || sigaltstack(NULL, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0)
    return; /* a sanitizer has its own */
  pthread_once(&stack_once, make_stack_key);
  own_stack = malloc(STACK_SIZE);
  stack_t stack = {.ss_sp = own_stack, .ss_size = STACK_SIZE};
  if (own_stack == NULL)
    return;
  if (pthread_setspecific(stack_key, own_stack) == 0 && sigaltstack(&stack, NULL) == 0)
    return;
  free(own_stack);
  own_stack = NULL;
}

/* The main thread's stack is not made by malloc, for it is never freed. */
static char main_stack[STACK_SIZE];

void guard_install(void)
{
  struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  stack_t now = {.ss_flags = 0}, stack = {.ss_sp = main_stack, .ss_size = sizeof main_stack};
  sigemptyset(&action.sa_mask);
  if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0)
    sigaltstack(&stack, NULL);
  for (size_t i = 0; i < SIGNALS; i++)
    sigaction(signals[i].number, &action, &before[i]);
}

/* --- callbacks that do not return ----------------------------------------------------------- */

static struct {
  pthread_mutex_t lock;
  pthread_cond_t ended;
  pthread_t thread;
  bool running, stop;
  uint64_t limit_ms, tick_ms;
  struct seen seen[GUARD_THREADS_MAX];
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void look_at(struct slot *s, struct seen *seen)
{
  unsigned turn = atomic_load_explicit(&s->turn, memory_order_acquire);
  const struct guard_owner *owner = atomic_load_explicit(&s->owner, memory_order_acquire);
  const char *callback = atomic_load_explicit(&s->callback, memory_order_acquire);
  if (turn != seen->turn || owner == NULL) {
    if (seen->told != NULL)
      log_write("cofd", COF_LOG_INFO, "%s (plugin %s) came back from %s", seen->told->source,
                seen->told->plugin, seen->callback);
    *seen = (struct seen){.turn = turn, .tell = watch.limit_ms};
    return;
  }
  seen->ms += watch.tick_ms;
  if (seen->ms < seen->tell)
    return;
  log_write("cofd", COF_LOG_WARNING, "%s (plugin %s) has been in its callback %s for over %.1f s",
            owner->source, owner->plugin, callback, (double)seen->tell / 1e3);
  seen->tell *= 4;
  seen->told = owner;
  seen->callback = callback;
}

static void *watch_main(void *arg)
{
  (void)arg;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  pthread_mutex_lock(&watch.lock);
  while (!watch.stop) {
    until.tv_nsec += (long)(watch.tick_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(watch.tick_ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!watch.stop && pthread_cond_timedwait(&watch.ended, &watch.lock, &until) != ETIMEDOUT)
      ;
    for (size_t i = 0; !watch.stop && i < GUARD_THREADS_MAX; i++)
      look_at(&slots[i], &watch.seen[i]);
  }
  pthread_mutex_unlock(&watch.lock);
  return NULL;
}

void guard_watch_start(int64_t limit_ms)
{
  pthread_condattr_t attr;
  if (watch.running)
    return;
  watch.stop = false;
  watch.limit_ms = (uint64_t)limit_ms;
  watch.tick_ms = (uint64_t)(limit_ms < 4000 ? (limit_ms + 3) / 4 : 1000);
  memset(watch.seen, 0, sizeof watch.seen);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&watch.ended, &attr);
  pthread_condattr_destroy(&attr);
  int e = pthread_create(&watch.thread, NULL, watch_main, NULL);
  watch.running = e == 0;
  if (e != 0)
    log_write("cofd", COF_LOG_WARNING, "callbacks are not watched: %s", strerror(e));
}

void guard_watch_stop(void)
{
  if (!watch.running)
    return;
  pthread_mutex_lock(&watch.lock);
  watch.stop = true;
  pthread_cond_signal(&watch.ended);
  pthread_mutex_unlock(&watch.lock);
  pthread_join(watch.thread, NULL);
  pthread_cond_destroy(&watch.ended);
  watch.running = false;
}
