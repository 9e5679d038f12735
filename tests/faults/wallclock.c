/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Preloaded into cofd: the wall clock is off by the seconds that stand in the file
   $COFD_TEST_CLOCK, read each time. The monotonic clock, and waits in the kernel, are left alone,
   as they are where an administrator sets the clock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void)
{
  char text[32] = "";
  const char *path = getenv("COFD_TEST_CLOCK");
  int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0)
    return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  return n > 0 ? atoll(text) : 0;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
  int result = (int)syscall(SYS_clock_gettime, id, ts);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
    ts->tv_sec += (time_t)offset();
  return result;
}

time_t time(time_t *out)
{
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  if (out != NULL)
    *out = ts.tv_sec;
  return ts.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
  struct timespec ts;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &ts);
  *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
  return 0;
}
