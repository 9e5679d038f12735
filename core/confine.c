/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "confine_private.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "log_private.h"

#ifdef HAVE_SECCOMP

#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

/*
 * What cofd, its plugins and their libraries call once everything runs: files, sockets, memory,
 * threads, clocks. What no name here stands for is denied: running programs, becoming another
 * user, mounting, tracing, loading into the kernel, setting clocks, and all that comes later.
 * Names that an architecture or an older libseccomp does not know are passed over.
 */
static const char *const allowed[] = {
    /* files that are open */
    "read", "pread64", "readv", "preadv", "preadv2", "write", "pwrite64", "writev", "pwritev",
    "pwritev2", "lseek", "_llseek", "close", "close_range", "dup", "dup2", "dup3", "fcntl",
    "fcntl64", "flock", "fsync", "fdatasync", "sync_file_range", "sync_file_range2", "syncfs",
    "ftruncate", "ftruncate64", "fallocate", "fadvise64", "fadvise64_64", "readahead", "fstat",
    "fstat64", "fstatfs", "fstatfs64", "fchmod", "fchown", "futimesat", "utimensat",
    "utimensat_time64", "sendfile", "sendfile64", "copy_file_range", "splice", "pipe", "pipe2",
    /* files by name */
    "open", "openat", "openat2", "creat", "stat", "stat64", "lstat", "lstat64", "newfstatat",
    "fstatat64", "statx", "statfs", "statfs64", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents", "getdents64", "getcwd", "mkdir", "mkdirat", "rmdir", "unlink",
    "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
    "truncate", "truncate64", "chmod", "chown", "fchownat", "fchmodat", "umask", "inotify_init",
    "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
    /* waiting */
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "eventfd", "eventfd2", "signalfd", "signalfd4", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "timerfd_settime64", "timerfd_gettime64",
    /* sockets; which families, see below */
    "bind", "connect", "listen", "accept", "accept4", "shutdown", "getsockname", "getpeername",
    "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom",
    "recvmsg", "recvmmsg", "recvmmsg_time64",
    /* memory; mmap and mprotect, see below */
    "brk", "munmap", "mremap", "madvise", "msync", "mincore", "membarrier", "memfd_create",
    "get_mempolicy", "set_mempolicy", "mbind",
    /* threads; clone, see below */
    "futex", "futex_time64", "futex_waitv", "set_robust_list", "get_robust_list", "set_tid_address",
    "rseq", "gettid", "getpid", "getppid", "getpgrp", "tgkill", "exit", "exit_group", "sched_yield",
    "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "sched_get_priority_min", "sched_get_priority_max", "sched_setattr", "getpriority",
    "setpriority", "ioprio_get", "ioprio_set", "getcpu", "arch_prctl", "set_thread_area",
    /* signals */
    "rt_sigaction", "rt_sigprocmask", "rt_sigpending", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_sigreturn", "sigreturn", "rt_sigsuspend", "sigaltstack", "restart_syscall", "pause",
    /* clocks, read only */
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "gettimeofday",
    "time", "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "getitimer", "setitimer",
    "timer_create", "timer_settime", "timer_settime64", "timer_gettime", "timer_delete", "times",
    /* what the process is */
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "uname",
    "sysinfo", "getrusage", "getrlimit", "ugetrlimit", "prlimit64", "getrandom", "prctl", "capget",
    NULL};

/* Calls that a number of their arguments decides on. */
static int allow_some(scmp_filter_ctx filter)
{
  static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
  static const char *const mappings[] = {"mmap", "mmap2", "mprotect"};
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < sizeof families / sizeof *families; i++)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                          SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
  if (rc == 0)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                          SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
  /* No memory that can be written and run. */
  for (size_t i = 0; rc == 0 && i < sizeof mappings / sizeof *mappings; i++) {
    int call = seccomp_syscall_resolve_name(mappings[i]);
    if (call == __NR_SCMP_ERROR)
      continue;
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                          SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
    if (rc == 0)
      rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  }
  /* Threads, but no processes. The flags of clone3 cannot be seen: without it the C library asks
   * clone. */
  if (rc == 0)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  if (rc == 0)
    rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  /* FIONREAD, FIONBIO and their like, but no typing into a terminal. */
  if (rc == 0)
    rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                          SCMP_A1(SCMP_CMP_NE, 0x5412 /* TIOCSTI */));
  return rc;
}

static int allow_all(scmp_filter_ctx filter)
{
  for (size_t i = 0; allowed[i] != NULL; i++) {
    int call = seccomp_syscall_resolve_name(allowed[i]);
    int rc = call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    if (rc != 0)
      return rc;
  }
  return allow_some(filter);
}

/* @return 0, or what was wrong as -errno */
static int install(enum confine how)
{
  scmp_filter_ctx filter =
      seccomp_init(how == CONFINE_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
  if (filter == NULL)
    return -ENOMEM;
  int rc = allow_all(filter);
  if (rc == 0)
    rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  /* Let the system's audit log tell what was denied, where it does. */
  if (rc == 0)
    rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
  if (rc == -EOPNOTSUPP)
    rc = 0;
  if (rc == 0)
    rc = seccomp_load(filter);
  seccomp_release(filter);
  return rc;
}

bool confine_possible(void)
{
  return true;
}

bool confine(enum confine how)
{
  if (how == CONFINE_NO)
    return true;
  int rc = install(how);
  if (rc != 0) {
    log_write("cofd", COF_LOG_ERROR, "seccomp: the filter cannot be installed: %s", strerror(-rc));
    return false;
  }
  log_write("cofd", COF_LOG_INFO, "seccomp: a system call that cofd has no use for %s",
            how == CONFINE_KILL ? "ends it" : "fails");
  return true;
}

#else

bool confine_possible(void)
{
  return false;
}

bool confine(enum confine how)
{
  if (how != CONFINE_NO)
    log_write("cofd", COF_LOG_ERROR, "seccomp: this cofd was built without libseccomp");
  return how == CONFINE_NO;
}

#endif
