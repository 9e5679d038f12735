/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4() */
#endif
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "priority_private.h"
#include "rest_private.h"

/* Pause where there is room for no connection, or no descriptor or memory for one. */
#define FULL_MS 5
/* Such pauses in a row after which the library is asked how many connections there are. */
#define FULL_MANY 200

/*
 * Left to itself, the library has that of its threads take a connection which wakes first, and that
 * one takes all that wait: of a client's sixteen it may get fifteen, and keep them for as long as
 * they live. Handed over, they go to one thread after the other, by the numbers of their sockets.
 */
struct acceptor {
  struct rest *rest;
  pthread_t thread;
  unsigned max;   /* connections at once */
  unsigned taken; /* ever; less those that are closed, so many are open */
  unsigned waits; /* for room, in a row */
};

static unsigned library_counts(const struct acceptor *a)
{
  const union MHD_DaemonInfo *info =
      MHD_get_daemon_info(a->rest->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
  return info != NULL ? info->num_connections : 0;
}

/* Whoever comes beyond the bound waits in the socket's queue. */
static bool has_room(struct acceptor *a)
{
  unsigned closed = atomic_load(&a->rest->closed);
  if (a->taken - closed < a->max) {
    a->waits = 0;
    return true;
  }
  /* The library tells of no end where it had no memory to begin with a connection. Its own count
     leaves out those on their way to a thread: after so long, these are of one that is busy. */
  if (++a->waits % FULL_MANY == 0)
    a->taken = closed + library_counts(a);
  return false;
}

/* @return false when nobody is left to be taken now, with errno set */
static bool take_one(struct acceptor *a)
{
  struct sockaddr_storage ss;
  socklen_t len = sizeof ss;
  int fd = accept4(a->rest->listen_fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return false;
  /* On failure, as beyond per_ip_connections, the library closes it, and tells its log why. */
  if (MHD_add_connection(a->rest->daemon, fd, (struct sockaddr *)&ss, len) == MHD_YES)
    a->taken++;
  return true;
}

static void *acceptor_main(void *arg)
{
  struct acceptor *a = arg;
  struct pollfd listening = {.fd = a->rest->listen_fd, .events = POLLIN};
  priority_prompt();
  while (!atomic_load(&a->rest->cut)) {
    if (!has_room(a)) {
      (void)poll(NULL, 0, FULL_MS);
      continue;
    }
    if (take_one(a) || errno == EINTR || errno == ECONNABORTED)
      continue;
    if (errno == EAGAIN)
      (void)poll(&listening, 1, -1); /* stopping shuts the socket down, which wakes it */
    else
      (void)poll(NULL, 0, FULL_MS);
  }
  return NULL;
}

struct acceptor *acceptor_start(struct rest *rest, unsigned max_connections)
{
  struct acceptor *a = calloc(1, sizeof *a);
  if (a == NULL)
    return NULL;
  a->rest = rest;
  a->max = max_connections;
  if (pthread_create(&a->thread, NULL, acceptor_main, a) != 0) {
    free(a);
    return NULL;
  }
  return a;
}

void acceptor_stop(struct acceptor **acceptor)
{
  struct acceptor *a = *acceptor;
  *acceptor = NULL;
  if (a == NULL)
    return;
  (void)pthread_join(a->thread, NULL);
  free(a);
}
