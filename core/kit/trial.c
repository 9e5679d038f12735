/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../guard_private.h"
#include "../instance_private.h"
#include "kit_private.h"

#define REPORT_MAX  16384 /* octets that a case may say */
#define STDERR_TAIL 4000  /* octets of its standard error that are shown when it fails */
#define TICK_MS     10

/* --- in the child --------------------------------------------------------------------------- */

static void report(struct trial *t, char what, const char *fmt, va_list ap)
{
  char text[1024];
  text[0] = what;
  int n = vsnprintf(text + 1, sizeof text - 2, fmt, ap);
  size_t len = n < 0 ? 0 : (size_t)n > sizeof text - 3 ? sizeof text - 3 : (size_t)n;
  for (size_t i = 1; i <= len; i++)
    text[i] = text[i] == '\n' ? ' ' : text[i];
  text[len + 1] = '\n';
  ssize_t written = write(t->report, text, len + 2);
  (void)written; /* the parent is gone then, and nobody cares */
}

void trial_fail(struct trial *t, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  report(t, 'F', fmt, ap);
  va_end(ap);
  _exit(1);
}

void trial_skip(struct trial *t, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  report(t, 'S', fmt, ap);
  va_end(ap);
  _exit(0);
}

void trial_note(struct trial *t, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  report(t, 'N', fmt, ap);
  va_end(ap);
}

void kit_sleep_ms(int ms)
{
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR)
    ;
}

uint64_t kit_cpu_ms(void)
{
  struct timespec used = {0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

static atomic_uint_fast64_t ticks;

__attribute__((noreturn)) static void *count_ticks(void *unused)
{
  (void)unused;
  for (;;) {
    kit_sleep_ms(TICK_MS);
    atomic_fetch_add(&ticks, 1);
  }
}

uint64_t kit_ran_ms(void)
{
  return atomic_load(&ticks) * TICK_MS;
}

/* One thread for a whole case, so that cases which count threads and memory see no change. */
static void start_ticks(struct trial *t)
{
  pthread_t thread;
  int e = pthread_create(&thread, NULL, count_ticks, NULL);
  if (e != 0 || (e = pthread_detach(thread)) != 0)
    trial_fail(t, "the case cannot be set up: %s", strerror(e));
}

__attribute__((noreturn)) static void run_child(struct trial *t, const struct kit_case *c,
                                                pid_t parent)
{
  char log[KIT_DIR_MAX + 16];
  snprintf(log, sizeof log, "%s/stderr", t->dir);
  int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (out < 0 || null < 0 || dup2(out, STDERR_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0 ||
      dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
    trial_fail(t, "the case cannot be set up: %s", strerror(errno));
  close(out);
  close(null);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(1);
  signal(SIGPIPE, SIG_IGN);
  srand(t->plan->seed + t->number);
  start_ticks(t);
  c->run(t);
  _exit(0);
}

/* --- in the parent -------------------------------------------------------------------------- */

struct outcome {
  char said[REPORT_MAX];
  size_t len;
  int status;
  bool late;
};

static void read_report(struct outcome *o, int fd)
{
  while (o->len < sizeof o->said - 1) {
    ssize_t n = read(fd, o->said + o->len, sizeof o->said - 1 - o->len);
    if (n <= 0)
      break;
    o->len += (size_t)n;
  }
  o->said[o->len] = '\0';
}

/* The child leads a group of processes, which all end with it. */
static void await(struct outcome *o, pid_t pid, int fd, unsigned timeout_s)
{
  uint64_t until = clock_ns() + (uint64_t)timeout_s * UINT64_C(1000000000);
  bool ended = false;
  while (!ended && !o->late) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 20) > 0)
      read_report(o, fd);
    if (p.revents != 0 && (p.revents & POLLIN) == 0)
      kit_sleep_ms(1);
    ended = waitpid(pid, &o->status, WNOHANG) == pid;
    o->late = !ended && clock_ns() > until;
  }
  kill(-pid, SIGKILL);
  if (!ended)
    waitpid(pid, &o->status, 0);
  read_report(o, fd);
}

static char *read_tail(const char *dir)
{
  char path[KIT_DIR_MAX + 16];
  snprintf(path, sizeof path, "%s/stderr", dir);
  FILE *file = fopen(path, "re");
  char *text = calloc(1, STDERR_TAIL + 1);
  if (file != NULL && text != NULL) {
    if (fseek(file, 0, SEEK_END) == 0 && ftell(file) > STDERR_TAIL)
      (void)fseek(file, -STDERR_TAIL, SEEK_END);
    else
      rewind(file);
    text[fread(text, 1, STDERR_TAIL, file)] = '\0';
  }
  if (file != NULL)
    fclose(file);
  return text;
}

/* What a sanitizer printed, which does not end a process that leaves by _exit. */
static bool find_sanitizer(const char *dir, char *line, size_t size)
{
  char path[KIT_DIR_MAX + 16];
  snprintf(path, sizeof path, "%s/stderr", dir);
  FILE *file = fopen(path, "re");
  bool found = false;
  while (file != NULL && !found && fgets(line, (int)size, file) != NULL)
    found = strstr(line, "Sanitizer") != NULL || strstr(line, "runtime error:") != NULL;
  if (file != NULL)
    fclose(file);
  line[strcspn(line, "\n")] = '\0';
  return found;
}

static void print_notes(const struct outcome *o, char what)
{
  for (const char *s = o->said; *s != '\0'; s += strcspn(s, "\n") + 1)
    if (*s == what)
      printf("# %.*s\n", (int)strcspn(s + 1, "\n"), s + 1);
}

static void print_lines(const char *text)
{
  while (text != NULL && *text != '\0') {
    size_t len = strcspn(text, "\n");
    printf("# | %.*s\n", (int)len, text);
    text += len + (text[len] == '\n');
  }
}

static const char *find_line(const struct outcome *o, char what)
{
  for (const char *s = o->said; *s != '\0'; s += strcspn(s, "\n") + 1)
    if (*s == what)
      return s + 1;
  return NULL;
}

static const char *where(const struct trial *t)
{
  const char *callback = atomic_load(&t->shared->where);
  return callback != NULL ? callback : "loading it";
}

static bool judge(const struct trial *t, const struct kit_case *c, const struct outcome *o)
{
  char line[1024] = "";
  const char *skip = find_line(o, 'S');
  bool failed = find_line(o, 'F') != NULL, sanitizer = find_sanitizer(t->dir, line, sizeof line);
  bool good =
      !failed && !o->late && !sanitizer && WIFEXITED(o->status) && WEXITSTATUS(o->status) == 0;
  if (good && skip != NULL)
    printf("ok %u - %s # SKIP %.*s\n", t->number, c->title, (int)strcspn(skip, "\n"), skip);
  else
    printf("%s %u - %s\n", good ? "ok" : "not ok", t->number, c->title);
  print_notes(o, 'F');
  print_notes(o, 'N');
  if (!good && o->late)
    printf("# did not come back within %u s; the main thread was in %s\n", t->plan->timeout_s,
           where(t));
  else if (WIFSIGNALED(o->status))
    printf("# killed by SIG%s (%s); the main thread was in %s\n", sigabbrev_np(WTERMSIG(o->status)),
           strsignal(WTERMSIG(o->status)), where(t));
  else if (!good && !failed && !sanitizer)
    printf("# the process ended with status %d; the main thread was in %s\n",
           WEXITSTATUS(o->status), where(t));
  if (sanitizer)
    printf("# %s\n", line);
  if (!good) {
    char *tail = read_tail(t->dir);
    print_lines(tail);
    free(tail);
  }
  return good;
}

static bool run_case(struct trial *t, const struct kit_case *c)
{
  static struct outcome o;
  int fds[2];
  o = (struct outcome){.len = 0};
  if (mkdir(t->dir, 0700) != 0 || pipe2(fds, O_CLOEXEC) != 0) {
    printf("not ok %u - %s\n# %s: %s\n", t->number, c->title, t->dir, strerror(errno));
    return false;
  }
  atomic_store(&t->shared->where, NULL);
  fflush(stdout);
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    close(fds[0]);
    t->report = fds[1];
    run_child(t, c, parent);
  }
  close(fds[1]);
  if (pid > 0) {
    setpgid(pid, pid); /* whoever of the two is first */
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    await(&o, pid, fds[0], t->plan->timeout_s);
  } else {
    o.status = 1 << 8;
  }
  close(fds[0]);
  bool good = judge(t, c, &o);
  fflush(stdout);
  return good;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

struct run {
  const struct kit_plan *plan;
  struct kit_shared *shared;
  char dir[KIT_DIR_MAX / 2];
  unsigned number, bad;
};

static bool run_one(struct run *run, const struct kit_case *c)
{
  struct trial t = {.plan = run->plan, .shared = run->shared, .number = ++run->number};
  snprintf(t.dir, sizeof t.dir, "%s/%u", run->dir, t.number);
  bool good = run_case(&t, c);
  nftw(t.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  run->bad += !good;
  return good;
}

/* Inputs are first seen in the case that the others compare themselves with. */
static bool is_wanted(const struct run *run, const struct kit_case *c)
{
  return run->plan->only == NULL || strstr(c->title, run->plan->only) != NULL ||
         c == &kit_input_cases[0];
}

static void run_list(struct run *run, const struct kit_case *list)
{
  for (const struct kit_case *c = list; c->title != NULL; c++)
    if ((c->kinds & KIT_OF(run->shared->kind)) != 0 && is_wanted(run, c) &&
        (c->caps == 0 || (c->caps & run->shared->caps) != 0))
      run_one(run, c);
}

static void run_all(struct run *run)
{
  const struct kit_case *c = kit_common_cases;
  /* Without the first two nothing else can be asked of it. */
  if (!run_one(run, &c[0]) || !run_one(run, &c[1])) {
    printf("# the other cases need a plugin that loads\n");
    return;
  }
  printf("# plugin %s %s\n", run->shared->name, run->shared->version);
  run_list(run, &c[2]);
  run_list(run, kit_input_cases);
  run_list(run, kit_filter_cases);
  run_list(run, kit_storage_cases);
  run_list(run, kit_output_cases);
}

int kit_run(const struct kit_plan *plan)
{
  const char *parent = getenv("TMPDIR");
  struct run run = {.plan = plan};
  snprintf(run.dir, sizeof run.dir, "%s/cofd-plugin-XXXXXX", parent != NULL ? parent : "/tmp");
  void *shared =
      mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || mkdtemp(run.dir) == NULL) {
    fprintf(stderr, "cofd: %s: %s\n", run.dir, strerror(errno));
    if (shared != MAP_FAILED)
      munmap(shared, sizeof *run.shared);
    return 1;
  }
  run.shared = shared;
  printf("TAP version 13\n# seed %u\n", plan->seed);
  run_all(&run);
  printf("1..%u\n", run.number);
  nftw(run.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  munmap(shared, sizeof *run.shared);
  return fflush(stdout) == 0 && run.bad == 0 ? 0 : 1;
}
