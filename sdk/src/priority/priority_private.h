/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What threads get of processors that are wanted by more of them than there are: records can wait a
 * moment, who asks a question should not.
 *
 * On Linux all of this is of the calling thread alone, and of those that it starts later. What a
 * kernel does not know (slices of fair policies, before 6.12), it ignores.
 */
#ifndef COFD_PRIORITY_PRIVATE_H
#define COFD_PRIORITY_PRIVATE_H

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PRIORITY_NICE_MAX 19
/** The shortest time in ns that Linux lets a thread run before others have their turn. */
#define PRIORITY_SLICE 100000
/** Steps of up to a microsecond after which a thread that yields offers its processor. */
#define PRIORITY_OFFER 512
/** Offers after which a thread looks again whether it yields. */
#define PRIORITY_LOOK 64
/** Linux's SCHED_BATCH, which <sched.h> has for programs of GNU alone. */
#define PRIORITY_BATCH 3

/* sched_setattr(2), which C libraries did not declare for long. */
struct priority_attr {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

/* Give the thread a policy in place of SCHED_OTHER, with short slices. @return 0, or -1: errno */
static inline int priority_set(int policy, int nice)
{
#ifdef SYS_sched_setattr
  if (sched_getscheduler(0) != SCHED_OTHER) {
    errno = ENOTSUP; /* somebody has chosen for the process */
    return -1;
  }
  struct priority_attr attr = {
      .size = sizeof attr, .policy = (uint32_t)policy, .nice = nice, .runtime = PRIORITY_SLICE};
  return (int)syscall(SYS_sched_setattr, 0, &attr, 0);
#else
  (void)policy, (void)nice;
  errno = ENOSYS;
  return -1;
#endif
}

/**
 * Have the thread yield: nicer by `by` than the process is, never in place of another that runs,
 * and for a short time only. @return 0, or -1 with errno set where not even its nice value can be
 * changed
 */
static inline int priority_yield(int by)
{
  errno = 0;
  int nice = getpriority(PRIO_PROCESS, (id_t)getpid()); /* the first thread's */
  if (nice == -1 && errno != 0)
    return -1;
  nice = nice + by > PRIORITY_NICE_MAX ? PRIORITY_NICE_MAX : nice + by;
  if (priority_set(PRIORITY_BATCH, nice) == 0)
    return 0;
  return setpriority(PRIO_PROCESS, 0, nice);
}

/* Whether the thread yields, in short slices: not where somebody chose a policy for the process. */
static inline int priority_yields(void)
{
  return sched_getscheduler(0) == PRIORITY_BATCH && sched_getscheduler(getpid()) == SCHED_OTHER;
}

/**
 * Have a thread that yields offer its processor now and then; of others it changes nothing. Without
 * that, the kernel takes a processor away at the ends of its ticks only, each up to 10 ms long,
 * once a thread has come to be preferred because others had more than their share. For loops; call
 * it where no lock is held. By what was measured an offer costs the thread some of its share, the
 * more the longer its slices are: so it is for those alone whose slices are short.
 * Each source file counts for itself.
 * @param steps  done since the last call, of up to a microsecond each
 */
static inline void priority_offer(size_t steps)
{
  static _Thread_local size_t done;
  static _Thread_local unsigned looked;
  static _Thread_local int yields;
  done += steps;
  if (done < PRIORITY_OFFER)
    return;
  done = 0;
  if (looked++ % PRIORITY_LOOK == 0)
    yields = priority_yields();
  if (yields)
    (void)sched_yield();
}

/** Have the thread run soon once it has something to do, for a short time; or change nothing. */
static inline void priority_prompt(void)
{
  errno = 0;
  int nice = getpriority(PRIO_PROCESS, 0);
  if (nice != -1 || errno == 0)
    (void)priority_set(SCHED_OTHER, nice); /* answers are as right without */
}

#endif
