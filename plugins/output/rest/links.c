/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <stdlib.h>
#include <sys/socket.h>

static int socket_of(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info != NULL ? info->connect_fd : -1;
}

static void hang_up(int fd)
{
  (void)shutdown(fd, SHUT_RDWR); /* fails where the client has left */
}

static void link_add(struct rest *rest, struct MHD_Connection *connection, void **context)
{
  struct link *link = calloc(1, sizeof *link);
  if (link == NULL) {
    hang_up(socket_of(connection)); /* without it nothing bounds how long it takes */
    return;
  }
  link->rest = rest;
  link->fd = socket_of(connection);
  uint64_t now = cof_clock_ns(rest->host);
  pthread_mutex_lock(&rest->lock);
  atomic_init(&link->deadline_ns, now + rest->settings->request_ns);
  link->next = rest->links;
  link->prev = &rest->links;
  if (link->next != NULL)
    link->next->prev = &link->next;
  rest->links = link;
  if (atomic_load(&rest->cut))
    hang_up(link->fd);
  pthread_mutex_unlock(&rest->lock);
  *context = link;
}

static void link_remove(struct rest *rest, struct link *link)
{
  pthread_mutex_lock(&rest->lock);
  *link->prev = link->next;
  if (link->next != NULL)
    link->next->prev = link->prev;
  if (rest->links == NULL)
    pthread_cond_signal(&rest->idle);
  pthread_mutex_unlock(&rest->lock);
  identity_drop(&link->identity);
  free(link);
}

struct link *link_of(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info != NULL ? info->socket_context : NULL;
}

struct identity *links_identity(struct MHD_Connection *connection)
{
  struct link *link = link_of(connection);
  if (link == NULL)
    return NULL;
  struct rest *rest = link->rest;
  pthread_mutex_lock(&rest->lock);
  if (link->identity == NULL && rest->identity != NULL)
    link->identity = identity_hold(rest->identity);
  pthread_mutex_unlock(&rest->lock);
  return link->identity;
}

unsigned links_sweep(struct rest *rest, uint64_t now_ns)
{
  unsigned count = 0;
  pthread_mutex_lock(&rest->lock);
  for (struct link *link = rest->links; link != NULL; link = link->next) {
    if (now_ns < atomic_load_explicit(&link->deadline_ns, memory_order_relaxed))
      continue;
    atomic_store_explicit(&link->deadline_ns, UINT64_MAX, memory_order_relaxed);
    hang_up(link->fd);
    count++;
  }
  pthread_mutex_unlock(&rest->lock);
  return count;
}

void links_notify(void *cls, struct MHD_Connection *connection, void **context,
                  enum MHD_ConnectionNotificationCode code)
{
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    link_add(cls, connection, context);
    return;
  }
  struct rest *rest = cls;
  if (*context != NULL)
    link_remove(rest, *context);
  *context = NULL;
  atomic_fetch_add(&rest->closed, 1);
}

/* Wait until there is no connection, or until a time. The lock is held. */
static bool await_none(struct rest *rest, const struct timespec *until)
{
  int rc = 0;
  while (rest->links != NULL && rc == 0)
    rc = pthread_cond_timedwait(&rest->idle, &rest->lock, until);
  return rest->links == NULL;
}

bool links_end(struct rest *rest, const struct timespec *until)
{
  const struct timespec settle = {.tv_nsec = 20000000};
  pthread_mutex_lock(&rest->lock);
  for (struct link *link = rest->links; link != NULL; link = link->next)
    hang_up(link->fd);
  bool none = await_none(rest, until);
  pthread_mutex_unlock(&rest->lock);
  if (!none)
    return false;
  /* One that was taken just before may not be in the list yet; link_add() hangs up on it. */
  nanosleep(&settle, NULL);
  pthread_mutex_lock(&rest->lock);
  none = await_none(rest, until);
  pthread_mutex_unlock(&rest->lock);
  return none;
}
