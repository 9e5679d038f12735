/* SPDX-License-Identifier: MIT */
#include "watch_private.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "paths_private.h"

#define DATA_EVENTS (IN_MODIFY | IN_CLOSE_WRITE)
#define NAME_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB)
#define SELF_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF)

/* What one watch descriptor stands for: a file, or a directory under each of its spellings. */
struct watched {
  struct path_list paths;
  bool file;
};

struct watch {
  struct cof_host *host;
  int fd;
  struct watched *table; /* by watch descriptor */
  size_t room;
  bool said_full, said_remote;
};

struct watch *watch_create(struct cof_host *host)
{
  struct watch *w = calloc(1, sizeof *w);
  if (w == NULL) {
    cof_log(host, COF_LOG_ERROR, "out of memory");
    return NULL;
  }
  w->host = host;
  w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (w->fd < 0) {
    cof_log(host, COF_LOG_WARNING, "inotify: %s; looking at the files every poll_interval instead",
            strerror(errno));
    free(w);
    return NULL;
  }
  return w;
}

void watch_destroy(struct watch **watch)
{
  struct watch *w = *watch;
  if (w == NULL)
    return;
  for (size_t i = 0; i < w->room; i++)
    path_list_free(&w->table[i].paths);
  free(w->table);
  close(w->fd);
  free(w);
  *watch = NULL;
}

int watch_fd(const struct watch *w)
{
  return w->fd;
}

static bool has(const struct path_list *list, const char *path)
{
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->items[i], path) == 0)
      return true;
  return false;
}

static bool note(struct watch *w, int wd, const char *path, bool file)
{
  size_t i = (size_t)wd;
  if (i >= w->room) {
    size_t room = i * 2 + 16;
    struct watched *table = realloc(w->table, room * sizeof *table);
    if (table == NULL)
      return false;
    memset(table + w->room, 0, (room - w->room) * sizeof *table);
    w->table = table;
    w->room = room;
  }
  w->table[i].file = file;
  return has(&w->table[i].paths, path) || path_list_add(&w->table[i].paths, path);
}

/* inotify says nothing of what other machines do. */
static bool is_remote(const char *path)
{
  static const uint32_t remote[] = {0x6969 /* NFS */,      0xff534d42 /* CIFS */,
                                    0xfe534d42 /* SMB2 */, 0x517b /* SMB */,
                                    0x01021997 /* 9P */,   0x65735546 /* FUSE */,
                                    0x00c36400 /* CEPH */, 0x0bd00bd0 /* LUSTRE */,
                                    0x5346414f /* AFS */,  0x786f4256 /* VBOXSF */};
  struct statfs fs;
  if (statfs(path, &fs) != 0)
    return false;
  for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
    if ((uint32_t)fs.f_type == remote[i])
      return true;
  return false;
}

static bool add(struct watch *w, const char *path, uint32_t events, bool file)
{
  const char *name = *path != '\0' ? path : ".";
  int wd = inotify_add_watch(w->fd, name, events);
  if (wd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return true; /* gone already, and its parent tells when it comes again */
  if (wd < 0 || !note(w, wd, path, file)) {
    if (!w->said_full)
      cof_log(w->host, COF_LOG_WARNING,
              "watching %s: %s; looking at it every poll_interval instead", name, strerror(errno));
    w->said_full = true;
    return false;
  }
  if (!is_remote(name))
    return true;
  if (!w->said_remote)
    cof_log(w->host, COF_LOG_INFO,
            "%s is on a network file system; looking at it every poll_interval", name);
  w->said_remote = true;
  return false;
}

bool watch_directory(struct watch *w, const char *path)
{
  return add(w, path, DATA_EVENTS | NAME_EVENTS | SELF_EVENTS | IN_ONLYDIR, false);
}

bool watch_file(struct watch *w, const char *path)
{
  return add(w, path, DATA_EVENTS | IN_ATTRIB | SELF_EVENTS, true);
}

/* Path of an event under one of its spellings. @return owned by the caller, or NULL */
static char *event_path(const struct watched *watched, size_t i, const struct inotify_event *e)
{
  return watched->file ? strdup(watched->paths.items[i])
                       : path_join(watched->paths.items[i], e->name);
}

/* The callee may add watches, which moves the table: nothing of it is held across the call. */
static void tell_paths(struct watch *w, const struct inotify_event *e, watch_fn fn, void *arg)
{
  enum watch_event event = (e->mask & DATA_EVENTS) != 0 ? WATCH_DATA : WATCH_NAME;
  for (size_t i = 0; i < w->table[e->wd].paths.count; i++) {
    char *path = event_path(&w->table[e->wd], i, e);
    if (path != NULL)
      fn(arg, event, path);
    else
      cof_log(w->host, COF_LOG_ERROR, "out of memory; a change of a file goes unnoticed");
    free(path);
  }
}

static void tell(struct watch *w, const struct inotify_event *e, watch_fn fn, void *arg)
{
  if ((e->mask & IN_Q_OVERFLOW) != 0 || e->wd < 0 || (size_t)e->wd >= w->room)
    fn(arg, WATCH_TREE, NULL);
  else if (!w->table[e->wd].file && ((e->mask & IN_ISDIR) != 0 || e->len == 0))
    fn(arg, WATCH_TREE, NULL);
  else
    tell_paths(w, e, fn, arg);
  if ((e->mask & IN_IGNORED) != 0 && e->wd >= 0 && (size_t)e->wd < w->room)
    path_list_free(&w->table[e->wd].paths);
}

void watch_read(struct watch *w, watch_fn fn, void *arg)
{
  _Alignas(struct inotify_event) char events[16384];
  for (;;) {
    ssize_t n = read(w->fd, events, sizeof events);
    if (n <= 0)
      return;
    for (ssize_t at = 0; at < n;) {
      struct inotify_event e;
      memcpy(&e, events + at, sizeof e);
      tell(w, (const struct inotify_event *)(const void *)(events + at), fn, arg);
      at += (ssize_t)(sizeof e + e.len);
    }
  }
}
