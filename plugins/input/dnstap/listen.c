/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnstap_private.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static enum cof_result fatal(struct cof_host *host, const char *what, const char *name,
                             const char *why)
{
  cof_log(host, COF_LOG_ERROR, "%s %s: %s", what, name, why);
  return COF_FATAL;
}

/* --- Unix ---------------------------------------------------------------------------------------
 */

static void set_address(struct sockaddr_un *address, const char *path)
{
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, path, strlen(path)); /* check() measured it */
}

/* Whether somebody accepts connections there. `why` is set if that cannot be told. */
static bool is_served(const struct sockaddr_un *address, int *why)
{
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  *why = fd < 0 ? errno : 0;
  if (fd < 0)
    return false;
  int error = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
  close(fd);
  if (error == 0 || error == EAGAIN)
    return true;
  *why = error == ECONNREFUSED || error == ENOENT ? 0 : error;
  return false;
}

/* A socket that nobody serves any more is left over from a process that was killed. */
static enum cof_result remove_stale(struct cof_host *host, const char *path,
                                    const struct sockaddr_un *address)
{
  struct stat st;
  int why;
  if (lstat(path, &st) != 0)
    return errno == ENOENT ? COF_OK : fatal(host, "socket", path, strerror(errno));
  if (!S_ISSOCK(st.st_mode))
    return fatal(host, "socket", path, "something else than a socket has that name");
  if (is_served(address, &why))
    return fatal(host, "socket", path, "another process serves it");
  if (why != 0)
    return fatal(host, "socket", path, strerror(why));
  cof_log(host, COF_LOG_INFO, "socket %s: nobody serves it; taking its place", path);
  if (unlink(path) != 0 && errno != ENOENT)
    return fatal(host, "socket", path, strerror(errno));
  return COF_OK;
}

static enum cof_result set_owner(struct cof_host *host, const char *path, const struct conf *conf)
{
  unsigned mode;
  if (conf->socket_group != NULL) {
    errno = 0;
    const struct group *group = getgrnam(conf->socket_group);
    if (group == NULL)
      return fatal(host, "socket_group", conf->socket_group,
                   errno != 0 ? strerror(errno) : "no group of that name");
    if (chown(path, (uid_t)-1, group->gr_gid) != 0)
      return fatal(host, "socket_group", conf->socket_group, strerror(errno));
  }
  if (!conf_mode(conf->socket_mode, &mode) || chmod(path, (mode_t)mode) != 0)
    return fatal(host, "socket_mode", conf->socket_mode, strerror(errno));
  return COF_OK;
}

/* Nobody may connect before owner and mode are right: hence the mode of the descriptor, which the
   name in the file system begins with. */
static enum cof_result bind_unix(struct listeners *l, int fd, struct cof_host *host,
                                 const struct conf *conf)
{
  struct sockaddr_un address;
  struct stat st;
  set_address(&address, conf->socket);
  if (remove_stale(host, conf->socket, &address) != COF_OK)
    return COF_FATAL;
  if (fchmod(fd, 0) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
    return fatal(host, "socket", conf->socket, strerror(errno));
  if (lstat(conf->socket, &st) == 0) {
    l->path = conf->socket;
    l->device = (uint64_t)st.st_dev;
    l->inode = (uint64_t)st.st_ino;
  }
  if (set_owner(host, conf->socket, conf) != COF_OK)
    return COF_FATAL;
  if (listen(fd, BACKLOG) != 0)
    return fatal(host, "socket", conf->socket, strerror(errno));
  cof_log(host, COF_LOG_INFO, "taking dnstap on socket %s", conf->socket);
  return COF_OK;
}

static enum cof_result open_unix(struct listeners *l, struct cof_host *host,
                                 const struct conf *conf)
{
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return fatal(host, "socket", conf->socket, strerror(errno));
  l->is_unix[l->count] = true;
  l->fds[l->count++] = fd;
  return bind_unix(l, fd, host, conf);
}

/* --- TCP ----------------------------------------------------------------------------------------
 */

static void say_address(struct cof_host *host, int fd)
{
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  char name[NI_MAXHOST], port[NI_MAXSERV];
  if (getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
      getnameinfo((const struct sockaddr *)&address, len, name, sizeof name, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) == 0)
    cof_log(host, COF_LOG_INFO, "taking dnstap on tcp %s port %s", name, port);
}

/* @return a descriptor, or -1 with errno */
static int bind_tcp(const struct addrinfo *ai)
{
  int one = 1,
      fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
  if (fd < 0)
    return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
      bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

static enum cof_result open_tcp(struct listeners *l, struct cof_host *host, const struct conf *conf)
{
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  struct addrinfo *list = NULL;
  char port[8];
  snprintf(port, sizeof port, "%u", (unsigned)conf->listen.port);
  int error = getaddrinfo(conf->listen.host, port, &hints, &list);
  if (error != 0)
    return fatal(host, "listen", conf->listen.host, gai_strerror(error));
  int fd = -1, why = 0;
  for (const struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next) {
    fd = bind_tcp(ai);
    why = fd < 0 ? errno : 0;
  }
  freeaddrinfo(list);
  if (fd < 0) {
    cof_log(host, COF_LOG_ERROR, "listen %s port %s: %s", conf->listen.host, port, strerror(why));
    return COF_FATAL;
  }
  l->fds[l->count++] = fd;
  say_address(host, fd);
  return COF_OK;
}

enum cof_result listeners_open(struct listeners *l, struct cof_host *host, const struct conf *conf)
{
  *l = (struct listeners){.count = 0};
  enum cof_result result = COF_OK;
  if (conf->socket != NULL)
    result = open_unix(l, host, conf);
  if (result == COF_OK && conf->listen.host != NULL)
    result = open_tcp(l, host, conf);
  if (result != COF_OK)
    listeners_close(l);
  return result;
}

void listeners_close(struct listeners *l)
{
  struct stat st;
  for (size_t i = 0; i < l->count; i++)
    close(l->fds[i]);
  if (l->path != NULL && lstat(l->path, &st) == 0 && (uint64_t)st.st_dev == l->device &&
      (uint64_t)st.st_ino == l->inode)
    unlink(l->path);
  *l = (struct listeners){.count = 0};
}
