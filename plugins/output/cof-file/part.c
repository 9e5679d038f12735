/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "archive_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MODE 0640
/* Files begun within one second. */
#define TRIES 10000

static bool failed(struct cof_error *err, const char *what, const char *name)
{
  cof_fail(err, COF_RETRY, "%s: %s: %s", name, what, strerror(errno));
  return false;
}

/* --- opening -------------------------------------------------------------------------------- */

/* Cut off what is no whole line, or no whole frame of them, at the end. */
static bool cut(enum packing packing, int fd, const char *name, uint64_t *good,
                struct cof_error *err)
{
  struct stat st;
  *good = 0;
  if (fstat(fd, &st) != 0)
    return failed(err, "cannot be looked at", name);
  if (!S_ISREG(st.st_mode) || st.st_size == 0)
    return true;
  char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED)
    return failed(err, "cannot be read", name);
  bool ours = packing_begins(packing, map, (size_t)st.st_size);
  *good = ours ? packing_whole(packing, map, (size_t)st.st_size) : 0;
  munmap(map, (size_t)st.st_size);
  if (!ours) {
    cof_fail(err, COF_REJECT,
             "%s: does not begin as a file with this compression does; move it away", name);
    return false;
  }
  if (*good != (uint64_t)st.st_size && ftruncate(fd, (off_t)*good) != 0)
    return failed(err, "cannot be cut", name);
  return true;
}

static bool open_one(struct archive *a, struct cof_error *err)
{
  const char *name = a->conf.path;
  struct part *p = &a->part;
  struct stat st;
  p->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, MODE);
  if (p->fd < 0)
    return failed(err, "cannot be opened", name);
  if (fstat(p->fd, &st) == 0 && S_ISREG(st.st_mode) && flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
    part_close(a);
    cof_fail(err, COF_RETRY, "%s: somebody else writes to it", name);
    return false;
  }
  if (!cut((enum packing)a->conf.compression, p->fd, name, &p->good, err)) {
    part_close(a);
    return false;
  }
  p->name = strdup(name);
  return p->name != NULL || failed(err, "cannot be opened", name);
}

static bool names(struct archive *a, const struct tm *tm, unsigned number)
{
  struct part *p = &a->part;
  const struct conf *c = &a->conf;
  char stamp[32];
  strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", tm);
  free(p->name);
  free(p->final);
  p->name = p->final = NULL;
  if (asprintf(&p->final, "%s/%s-%s-%04u.ndjson%s", c->directory, a->prefix, stamp, number,
               packing_suffix((enum packing)c->compression)) < 0)
    p->final = NULL;
  else if (asprintf(&p->name, "%s/.%s.part", c->directory, strrchr(p->final, '/') + 1) < 0)
    p->name = NULL;
  return p->name != NULL;
}

/*
 * Whether a part that was just made is ours alone: locked, not removed by another process that
 * starts and took it for the empty rest of a crash, and its final name not given meanwhile.
 */
static bool settled(const struct part *p)
{
  struct stat st;
  if (flock(p->fd, LOCK_EX | LOCK_NB) != 0 || fstat(p->fd, &st) != 0 || st.st_nlink == 0)
    return false;
  if (access(p->final, F_OK) != 0)
    return true;
  (void)unlink(p->name); /* the next start removes it otherwise, as it is empty */
  return false;
}

static bool open_next(struct archive *a, struct cof_error *err)
{
  struct part *p = &a->part;
  struct tm tm;
  time_t now = time(NULL);
  gmtime_r(&now, &tm);
  for (unsigned number = 1; number < TRIES; number++) {
    if (!names(a, &tm, number))
      return failed(err, "cannot be named", a->conf.directory);
    if (access(p->final, F_OK) == 0)
      continue;
    p->fd = open(p->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    if (p->fd >= 0 && settled(p))
      return true;
    if (p->fd < 0 && errno != EEXIST)
      return failed(err, "cannot be made", p->name);
    part_close(a);
  }
  errno = EEXIST;
  return failed(err, "has too many files of this second", a->conf.directory);
}

bool part_open(struct archive *a, struct cof_error *err)
{
  struct part *p = &a->part;
  if (p->fd >= 0)
    return true;
  p->good = 0;
  p->dirty = false;
  p->opened_ns = cof_clock_ns(a->host);
  bool ok = a->conf.path != NULL ? open_one(a, err) : open_next(a, err);
  if (ok && lseek(p->fd, (off_t)p->good, SEEK_SET) < 0 && errno != ESPIPE)
    ok = failed(err, "cannot be written", p->name);
  if (!ok)
    part_close(a);
  return ok;
}

void part_close(struct archive *a)
{
  struct part *p = &a->part;
  if (p->fd >= 0)
    close(p->fd);
  p->fd = -1;
  free(p->name);
  free(p->final);
  p->name = p->final = NULL;
}

/* --- writing -------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *bytes, size_t len)
{
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    bytes += n;
    len -= (size_t)n;
  }
  return true;
}

bool part_write(struct archive *a, const void *bytes, size_t len, struct cof_error *err)
{
  struct part *p = &a->part;
  p->dirty = true;
  if (write_all(p->fd, bytes, len)) {
    p->good += len;
    return true;
  }
  failed(err, "cannot be written", p->name);
  /* Where even this fails, the next run, or the next opening, cuts it. */
  if (ftruncate(p->fd, (off_t)p->good) != 0 || lseek(p->fd, (off_t)p->good, SEEK_SET) < 0)
    part_close(a);
  return false;
}

/* Pipes and terminals cannot be synced, and need not be. */
static bool sync_fd(int fd)
{
  return fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
}

bool part_sync(struct archive *a, struct cof_error *err)
{
  struct part *p = &a->part;
  if (p->fd < 0 || !p->dirty)
    return true;
  if (!sync_fd(p->fd))
    return failed(err, "cannot be synced", p->name);
  p->dirty = false;
  return true;
}

static bool sync_directory(const char *directory)
{
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && sync_fd(fd);
  if (fd >= 0)
    close(fd);
  return ok;
}

/* The name is there only once what it names is complete. */
static bool settle_name(struct archive *a, int fd, const char *name, const char *final,
                        struct cof_error *err)
{
  bool sync = a->conf.sync != SYNC_NEVER;
  if (sync && !sync_fd(fd))
    return failed(err, "cannot be synced", name);
  if (rename(name, final) != 0)
    return failed(err, "cannot be renamed", name);
  if (sync && !sync_directory(a->conf.directory))
    return failed(err, "cannot be synced", a->conf.directory);
  cof_add(a->host, a->m_files, 1);
  return true;
}

bool part_finish(struct archive *a, struct cof_error *err)
{
  struct part *p = &a->part;
  bool ok = true;
  if (p->fd < 0)
    return true;
  if (p->final == NULL)
    ok = a->conf.sync == SYNC_NEVER || part_sync(a, err);
  else if (p->good == 0)
    ok = unlink(p->name) == 0 || failed(err, "cannot be removed", p->name);
  else
    ok = settle_name(a, p->fd, p->name, p->final, err);
  if (ok)
    part_close(a);
  return ok;
}

/* --- what an earlier run left ---------------------------------------------------------------- */

/* @param name  within the directory. @return the packing of a part of ours, or -1 */
static int part_packing(const struct archive *a, const char *name)
{
  static const char *const ends[] = {".ndjson.part", ".ndjson.gz.part", ".ndjson.zst.part"};
  size_t len = strlen(name), prefix = strlen(a->prefix);
  if (name[0] != '.' || strncmp(name + 1, a->prefix, prefix) != 0 || name[1 + prefix] != '-')
    return -1;
  for (int i = 0; i < 3; i++) {
    size_t end = strlen(ends[i]);
    /* The time and the number, which tell `a-` from a prefix `a-b`. */
    if (len == 1 + prefix + 1 + strlen("20260131T120000Z-0001") + end &&
        strcmp(name + len - end, ends[i]) == 0)
      return i;
  }
  return -1;
}

static bool recover_one(struct archive *a, const char *name, enum packing packing,
                        struct cof_error *err)
{
  char *from = NULL, *to = NULL;
  uint64_t good = 0;
  if (asprintf(&from, "%s/%s", a->conf.directory, name) < 0)
    return failed(err, "cannot be finished", name);
  int fd = open(from, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  bool ok = true;
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
    cof_log(a->host, COF_LOG_INFO, "%s: left alone, somebody writes to it", from);
  } else if (fd < 0 || !cut(packing, fd, from, &good, err)) {
    ok = fd >= 0 ? false : failed(err, "cannot be opened", from);
  } else if (good == 0) {
    ok = unlink(from) == 0 || failed(err, "cannot be removed", from);
  } else if (asprintf(&to, "%s/%.*s", a->conf.directory, (int)(strlen(name) - strlen("..part")),
                      name + 1) < 0) {
    to = NULL;
    ok = failed(err, "cannot be finished", from);
  } else {
    cof_log(a->host, COF_LOG_INFO, "%s: finished what an earlier run left", to);
    ok = settle_name(a, fd, from, to, err);
  }
  if (fd >= 0)
    close(fd);
  free(from);
  free(to);
  return ok;
}

bool part_recover(struct archive *a, struct cof_error *err)
{
  if (a->conf.directory == NULL)
    return true;
  DIR *dir = opendir(a->conf.directory);
  if (dir == NULL)
    return failed(err, "cannot be read", a->conf.directory);
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(dir)) != NULL;) {
    int packing = part_packing(a, entry->d_name);
    if (packing >= 0)
      ok = recover_one(a, entry->d_name, (enum packing)packing, err);
  }
  closedir(dir);
  return ok;
}
