/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The filter of system calls, each time around a process of its own. */
#include <config.h>

#include "confine_private.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_private.h"

/* Run a function in a process with the filter. @return what waitpid() says of it */
static int confined(enum confine how, int (*fn)(void))
{
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    log_setup(LOG_FORMAT_TEXT, COF_LOG_ERROR);
    _exit(confine(how) ? fn() : 99);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

static int denied(long result)
{
  return result == -1 && errno == EPERM ? 0 : 1;
}

static int call_fork(void)
{
  pid_t pid = fork();
  if (pid == 0)
    _exit(0);
  return denied(pid);
}

static int call_exec(void)
{
  char *const argv[] = {(char *)(uintptr_t) "true", NULL};
  return denied(execv("/bin/true", argv));
}

static int call_ptrace(void)
{
  return denied(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int call_packet(void)
{
  return denied(socket(AF_PACKET, SOCK_RAW, 0));
}

static int call_setuid(void)
{
  return denied(setresuid((uid_t)-1, 1, (uid_t)-1));
}

static int call_write_and_run(void)
{
  void *at =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return denied(at == MAP_FAILED ? -1 : 0);
}

static int call_chroot(void)
{
  return denied(chroot("/"));
}

static void *run_thread(void *arg)
{
  *(int *)arg = denied(socket(AF_PACKET, SOCK_RAW, 0)) + 1;
  return arg;
}

/* Threads are made, and are behind the filter as well. */
static int make_thread(void)
{
  pthread_t thread;
  int found = 0;
  if (pthread_create(&thread, NULL, run_thread, &found) != 0 || pthread_join(thread, NULL) != 0)
    return 2;
  return found - 1;
}

static int serve_something(void)
{
  static const int families[] = {AF_INET, AF_UNIX};
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    int fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || close(fd) != 0)
      return 1;
  }
  void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at != MAP_FAILED && munmap(at, 4096) == 0 ? 0 : 1;
}

/* A thread that was there before the filter. */
static pthread_barrier_t before, after;

static void *wait_for_filter(void *arg)
{
  pthread_barrier_wait(&before);
  pthread_barrier_wait(&after);
  return run_thread(arg);
}

/* Skip a case where the filter cannot be had, or would stop what the test itself runs under. */
static void need_filter(void)
{
  const char *preload = getenv("LD_PRELOAD");
  if (!confine_possible()) {
    print_message("built without libseccomp: skipped\n");
    skip();
  }
  /* That makes memory that can be written and run, in the process that it watches. */
  if (preload != NULL && strstr(preload, "/vgpreload_") != NULL) {
    print_message("the filter denies what valgrind does: skipped\n");
    skip();
  }
}

static void test_denied(void **state)
{
  static int (*const calls[])(void) = {call_fork,   call_exec,          call_ptrace, call_packet,
                                       call_setuid, call_write_and_run, call_chroot};
  (void)state;
  need_filter();
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    print_message("call %zu\n", i);
    assert_int_equal(confined(CONFINE_ERRNO, calls[i]), 0);
    int status = confined(CONFINE_KILL, calls[i]);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
  }
}

static void test_allowed(void **state)
{
  (void)state;
  need_filter();
  assert_int_equal(confined(CONFINE_ERRNO, make_thread), 0);
  assert_int_equal(confined(CONFINE_ERRNO, serve_something), 0);
  assert_int_equal(confined(CONFINE_KILL, serve_something), 0);
}

static void test_older_threads(void **state)
{
  (void)state;
  need_filter();
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    pthread_t thread;
    int found = 0;
    log_setup(LOG_FORMAT_TEXT, COF_LOG_ERROR);
    if (pthread_barrier_init(&before, NULL, 2) != 0 || pthread_barrier_init(&after, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, wait_for_filter, &found) != 0)
      _exit(98);
    pthread_barrier_wait(&before);
    bool done = confine(CONFINE_ERRNO);
    pthread_barrier_wait(&after);
    _exit(done && pthread_join(thread, NULL) == 0 ? found - 1 : 99);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static void test_none(void **state)
{
  (void)state;
  int status = confined(CONFINE_NO, call_fork);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 1); /* it was not denied */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_denied),
      cmocka_unit_test(test_allowed),
      cmocka_unit_test(test_older_threads),
      cmocka_unit_test(test_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
