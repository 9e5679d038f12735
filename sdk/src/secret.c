/* SPDX-License-Identifier: MIT */
#include <cofd/secret.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum cof_result check_mode(const char *path, const struct stat *st, struct cof_error *err)
{
  if (!S_ISREG(st->st_mode))
    return cof_fail(err, COF_REJECT, "%s: not a regular file", path);
  if ((st->st_mode & (S_IRWXO | S_IWGRP)) != 0)
    return cof_fail(err, COF_REJECT,
                    "%s: its mode is %04o; expected one that keeps it from others, such as 0640 or "
                    "0600 (chmod o=,g-w)",
                    path, (unsigned)(st->st_mode & 07777));
  return COF_OK;
}

FILE *cof_secret_open(const char *path, struct cof_error *err)
{
  struct stat st;
  /* Not blocking, as it may be a FIFO, which is refused only after it is open. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st) != 0) {
    (void)cof_fail(err, COF_REJECT, "%s: %s", path, strerror(errno));
  } else if (check_mode(path, &st, err) == COF_OK) {
    FILE *file = fdopen(fd, "r");
    if (file != NULL)
      return file;
    (void)cof_fail(err, COF_FATAL, "%s: %s", path, strerror(errno));
  }
  if (fd >= 0)
    close(fd);
  return NULL;
}
