/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX   64
#define NS_PER_SECOND UINT64_C(1000000000)
/* Descriptors that the rest of the process may need besides connections. */
#define OTHER_FILES 256
/* Connections that a thread has room for beyond its share of them, which may not be equal. */
#define SPARE_LINKS 64
/* Time for the library to notice that all clients were hung up on. */
#define HANG_UP_NS (2 * NS_PER_SECOND)

/* --- the socket ----------------------------------------------------------------------------- */

static int try_listen(const struct addrinfo *ai)
{
  int one = 1, zero = 0;
  int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
  if (fd < 0)
    return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
      (ai->ai_family != AF_INET6 ||
       setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) == 0) &&
      bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
    return fd;
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

/* Listen on the first address of the host that lets us. */
static enum cof_result open_socket(struct rest *rest)
{
  const struct cof_endpoint *at = &rest->conf->listen;
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *list;
  char port[8];
  snprintf(port, sizeof port, "%u", at->port);
  int rc = getaddrinfo(at->host, port, &hints, &list);
  if (rc != 0) {
    cof_log(rest->host, COF_LOG_ERROR, "listen: cannot resolve '%s': %s", at->host,
            gai_strerror(rc));
    return COF_FATAL;
  }
  for (const struct addrinfo *ai = list; ai != NULL && rest->listen_fd < 0; ai = ai->ai_next)
    rest->listen_fd = try_listen(ai);
  if (rest->listen_fd < 0)
    cof_log(rest->host, COF_LOG_ERROR, "cannot listen on %s port %u: %s", at->host, at->port,
            strerror(errno));
  freeaddrinfo(list);
  return rest->listen_fd >= 0 ? COF_OK : COF_FATAL;
}

static void log_address(struct rest *rest)
{
  struct sockaddr_storage ss;
  socklen_t len = sizeof ss;
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getsockname(rest->listen_fd, (struct sockaddr *)&ss, &len) != 0 ||
      getnameinfo((struct sockaddr *)&ss, len, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return;
  bool v6 = ss.ss_family == AF_INET6;
  cof_log(rest->host, COF_LOG_INFO, "listening on http%s://%s%s%s:%s",
          rest->identity != NULL ? "s" : "", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

/* --- the daemon ----------------------------------------------------------------------------- */

/* The path stays as it was sent: question_parse() decodes it, once. */
static size_t keep_raw(void *cls, struct MHD_Connection *connection, char *s)
{
  (void)cls;
  (void)connection;
  return strlen(s);
}

/* What the library says is about single clients; nobody can act on it. */
__attribute__((format(printf, 2, 0))) static void library_log(void *cls, const char *fmt,
                                                              va_list ap)
{
  struct rest *rest = cls;
  char line[512];
  if (!cof_log_enabled(rest->host, COF_LOG_DEBUG))
    return;
  int n = vsnprintf(line, sizeof line, fmt, ap);
  if (n > 0 && (size_t)n < sizeof line && line[n - 1] == '\n')
    line[n - 1] = '\0';
  if (n > 0)
    cof_log(rest->host, COF_LOG_DEBUG, "libmicrohttpd: %s", line);
}

static unsigned thread_count(const struct rest_conf *conf)
{
  long n = conf->threads > 0 ? (long)conf->threads : sysconf(_SC_NPROCESSORS_ONLN);
  if (n < 1)
    n = 1;
  return (unsigned)(n < THREADS_MAX ? n : THREADS_MAX);
}

static void warn_of_files(struct rest *rest)
{
  struct rlimit limit;
  rlim_t need = (rlim_t)rest->conf->max_connections + OTHER_FILES;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < need)
    cof_log(rest->host, COF_LOG_WARNING,
            "max_connections = %lld needs about %llu open files, and the limit is %llu: raise it "
            "(LimitNOFILE=, ulimit -n) or lower max_connections",
            (long long)rest->conf->max_connections, (unsigned long long)need,
            (unsigned long long)limit.rlim_cur);
}

static struct MHD_Daemon *start_daemon(struct rest *rest)
{
  const struct rest_conf *conf = rest->conf;
  unsigned threads = thread_count(conf);
  unsigned connections = (unsigned)conf->max_connections + threads * SPARE_LINKS;
  unsigned tls = rest->identity != NULL ? MHD_USE_TLS : 0;
  struct MHD_OptionItem more[4] = {{MHD_OPTION_END, 0, NULL}};
  size_t n = 0;
  /* A pool of one is not a pool to the library, which would complain. */
  if (threads > 1)
    more[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
  if (tls != 0) {
    more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_callback()};
    more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, conf->tls_priorities};
  }
  more[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
  return MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC | MHD_USE_ERROR_LOG |
          tls,
      0, NULL, NULL, route_request, rest, MHD_OPTION_EXTERNAL_LOGGER, library_log, rest,
      MHD_OPTION_UNESCAPE_CALLBACK, keep_raw, NULL, MHD_OPTION_NOTIFY_COMPLETED, route_completed,
      rest, MHD_OPTION_NOTIFY_CONNECTION, links_notify, rest, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT, connections,
      MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)conf->per_ip_connections,
      MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((conf->idle_timeout + 999) / 1000),
      MHD_OPTION_ARRAY, more, MHD_OPTION_END);
}

enum cof_result server_start(struct rest *rest)
{
  sigset_t all, before;
  if (open_socket(rest) != COF_OK)
    return COF_FATAL;
  warn_of_files(rest);
  /* Signals are for the host's main thread. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rest->daemon = start_daemon(rest);
  int saved = errno;
  if (rest->daemon != NULL)
    rest->sweeper = sweeper_start(rest);
  if (rest->sweeper != NULL)
    rest->acceptor = acceptor_start(rest, (unsigned)rest->conf->max_connections);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rest->daemon == NULL) {
    cof_log(rest->host, COF_LOG_ERROR, "cannot start the HTTP server: %s", strerror(saved));
    close(rest->listen_fd);
    rest->listen_fd = -1;
    return COF_FATAL;
  }
  if (rest->sweeper == NULL) {
    cof_log(rest->host, COF_LOG_ERROR, "cannot start a thread against slow clients");
    return COF_FATAL; /* stop() ends the rest */
  }
  if (rest->acceptor == NULL) {
    cof_log(rest->host, COF_LOG_ERROR, "cannot start a thread that takes connections");
    return COF_FATAL;
  }
  log_address(rest);
  return COF_OK;
}

/* --- the end -------------------------------------------------------------------------------- */

static struct timespec wait_until(struct rest *rest, uint64_t deadline_ns)
{
  struct timespec ts;
  uint64_t now = cof_clock_ns(rest->host);
  uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  uint64_t nsec = (uint64_t)ts.tv_nsec + left % NS_PER_SECOND;
  ts.tv_sec += (time_t)(left / NS_PER_SECOND + nsec / NS_PER_SECOND);
  ts.tv_nsec = (long)(nsec % NS_PER_SECOND);
  return ts;
}

/* @return requests that did not end in time */
static unsigned drain(struct rest *rest, uint64_t deadline_ns)
{
  struct timespec until = wait_until(rest, deadline_ns);
  int rc = 0;
  pthread_mutex_lock(&rest->lock);
  while (atomic_load(&rest->active) > 0 && rc == 0)
    rc = pthread_cond_timedwait(&rest->idle, &rest->lock, &until);
  pthread_mutex_unlock(&rest->lock);
  return atomic_load(&rest->active);
}

/* The library crashes where it is stopped while it is refusing a malformed request, so let no
   connection be left by then. Also past the deadline, this is worth a moment. */
static void hang_up(struct rest *rest)
{
  struct timespec until = wait_until(rest, cof_clock_ns(rest->host) + HANG_UP_NS);
  atomic_store(&rest->cut, true);
  (void)shutdown(rest->listen_fd, SHUT_RDWR); /* wakes who waits for clients */
  acceptor_stop(&rest->acceptor);
  close(rest->listen_fd);
  rest->listen_fd = -1;
  if (!links_end(rest, &until))
    cof_log(rest->host, COF_LOG_WARNING, "connections were still open when the server stopped");
}

/* Until the answers under way are out, newcomers are taken, and told to come back later. */
enum cof_result server_stop(struct rest *rest, uint64_t deadline_ns)
{
  if (rest->daemon == NULL)
    return COF_OK;
  atomic_store(&rest->stopping, true);
  unsigned left = drain(rest, deadline_ns);
  sweeper_stop(&rest->sweeper);
  hang_up(rest);
  MHD_stop_daemon(rest->daemon);
  rest->daemon = NULL;
  if (left == 0)
    return COF_OK;
  cof_log(rest->host, COF_LOG_WARNING, "%u answers were cut off by the stop", left);
  return COF_TIMEOUT;
}
