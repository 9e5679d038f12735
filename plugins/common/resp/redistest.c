/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "redistest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX      64
#define START_SECONDS 120

struct redistest {
  pid_t pid;
  uint16_t port;
  char port_text[8];
  char dir[64];
  char socket[96];
  char config[96]; /* of a sentinel, else "" */
  char *password;
  char *args[ARGS_MAX]; /* as given */
  size_t args_count;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  fputs("redistest: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  exit(99);
}

bool redistest_available(void)
{
  const char *path = getenv("PATH");
  char file[4096];
  while (path != NULL && *path != '\0') {
    size_t len = strcspn(path, ":");
    snprintf(file, sizeof file, "%.*s/redis-server", (int)len, path);
    if (access(file, X_OK) == 0)
      return true;
    path += len + (path[len] == ':');
  }
  return false;
}

uint16_t redistest_free_port(void)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
      getsockname(fd, (struct sockaddr *)&a, &len) != 0)
    die("no free port: %s", strerror(errno));
  close(fd);
  return ntohs(a.sin_port);
}

static void run_server(struct redistest *s)
{
  const char *argv[ARGS_MAX + 32];
  size_t n = 0;
  char log[96];
  snprintf(log, sizeof log, "%s/log", s->dir);
  argv[n++] = "redis-server";
  if (s->config[0] != '\0') {
    argv[n++] = s->config;
    argv[n++] = "--sentinel";
  }
  const char *common[] = {"--bind", "127.0.0.1", "--port", s->port_text,  "--dir",
                          s->dir,   "--logfile", log,      "--daemonize", "no"};
  for (size_t i = 0; i < sizeof common / sizeof *common; i++)
    argv[n++] = common[i];
  const char *store[] = {"--unixsocket", s->socket, "--save", ""};
  for (size_t i = 0; s->config[0] == '\0' && i < sizeof store / sizeof *store; i++)
    argv[n++] = store[i];
  for (size_t i = 0; i < s->args_count; i++)
    argv[n++] = s->args[i];
  argv[n] = NULL;
  int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
    _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  execvp(argv[0], (char *const *)(uintptr_t)argv);
  _exit(127);
}

static redisContext *dial(const struct redistest *s)
{
  struct timeval limit = {.tv_sec = 60};
  redisContext *c = redisConnectWithTimeout("127.0.0.1", s->port, limit);
  if (c == NULL || c->err != 0 || redisSetTimeout(c, limit) != REDIS_OK) {
    redisFree(c);
    return NULL;
  }
  if (s->password != NULL)
    freeReplyObject(redisCommand(c, "AUTH %s", s->password));
  return c;
}

static bool answers(const struct redistest *s)
{
  redisContext *c = dial(s);
  if (c == NULL)
    return false;
  redisReply *reply = redisCommand(c, "PING");
  /* An error such as NOAUTH is an answer as well. */
  bool ok =
      reply != NULL && (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "LOADING", 7));
  freeReplyObject(reply);
  redisFree(c);
  return ok;
}

static bool launch(struct redistest *s)
{
  s->pid = fork();
  if (s->pid < 0)
    die("fork: %s", strerror(errno));
  if (s->pid == 0)
    run_server(s);
  for (int i = 0; i < START_SECONDS * 100; i++) {
    if (answers(s))
      return true;
    if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
      s->pid = 0;
      return false;
    }
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  die("redis-server does not answer within %d s", START_SECONDS);
}

static struct redistest *make(void)
{
  struct redistest *s = calloc(1, sizeof *s);
  if (s == NULL)
    die("out of memory");
  strcpy(s->dir, "/tmp/cofd-redis-XXXXXX");
  if (mkdtemp(s->dir) == NULL)
    die("%s: %s", s->dir, strerror(errno));
  snprintf(s->socket, sizeof s->socket, "%s/socket", s->dir);
  return s;
}

static void launch_somewhere(struct redistest *s)
{
  for (int i = 0; i < 10; i++) {
    s->port = redistest_free_port();
    snprintf(s->port_text, sizeof s->port_text, "%u", s->port);
    if (launch(s))
      return;
  }
  die("redis-server ends at once; see its output above");
}

struct redistest *redistest_start(const char *const *args)
{
  struct redistest *s = make();
  for (; args != NULL && *args != NULL && s->args_count < ARGS_MAX; args++)
    if ((s->args[s->args_count++] = strdup(*args)) == NULL)
      die("out of memory");
  launch_somewhere(s);
  return s;
}

struct redistest *redistest_start_sentinel(const char *config)
{
  struct redistest *s = make();
  snprintf(s->config, sizeof s->config, "%s/sentinel.conf", s->dir);
  FILE *f = fopen(s->config, "we");
  if (f == NULL || fputs(config, f) == EOF || fclose(f) != 0)
    die("%s: %s", s->config, strerror(errno));
  launch_somewhere(s);
  return s;
}

uint16_t redistest_port(const struct redistest *s)
{
  return s->port;
}

const char *redistest_socket(const struct redistest *s)
{
  return s->socket;
}

const char *redistest_dir(const struct redistest *s)
{
  return s->dir;
}

void redistest_kill(struct redistest *s, int signal)
{
  if (s->pid <= 0)
    return;
  kill(s->pid, signal);
  waitpid(s->pid, NULL, 0);
  s->pid = 0;
}

void redistest_freeze(struct redistest *s, bool freeze)
{
  int status;
  if (kill(s->pid, freeze ? SIGSTOP : SIGCONT) != 0 ||
      waitpid(s->pid, &status, freeze ? WUNTRACED : WCONTINUED) != s->pid)
    die("cannot freeze the server: %s", strerror(errno));
}

void redistest_restart(struct redistest *s)
{
  redistest_kill(s, SIGTERM);
  /* A connection of somebody else may have got the port meanwhile, and gives it back. */
  for (int i = 0; i < START_SECONDS * 10; i++) {
    if (launch(s))
      return;
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  }
  die("redis-server does not start again on port %u", s->port);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

void redistest_stop(struct redistest **server)
{
  struct redistest *s = *server;
  if (s == NULL)
    return;
  redistest_kill(s, SIGKILL);
  if (nftw(s->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
    die("cannot remove %s: %s", s->dir, strerror(errno));
  for (size_t i = 0; i < s->args_count; i++)
    free(s->args[i]);
  free(s->password);
  free(s);
  *server = NULL;
}

void redistest_auth(struct redistest *s, const char *password)
{
  free(s->password);
  s->password = strdup(password);
}

static redisReply *command(const struct redistest *s, const char *fmt, va_list ap)
{
  redisContext *c = dial(s);
  if (c == NULL)
    die("cannot connect to port %u", s->port);
  redisReply *reply = redisvCommand(c, fmt, ap);
  if (reply == NULL)
    die("%s: %s", fmt, c->errstr);
  redisFree(c);
  return reply;
}

redisReply *redistest_command(const struct redistest *s, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  redisReply *reply = command(s, fmt, ap);
  va_end(ap);
  return reply;
}

long long redistest_integer(const struct redistest *s, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  redisReply *reply = command(s, fmt, ap);
  va_end(ap);
  if (reply->type != REDIS_REPLY_INTEGER)
    die("%s: no integer: %s", fmt, reply->str != NULL ? reply->str : "?");
  long long n = reply->integer;
  freeReplyObject(reply);
  return n;
}

void redistest_do(const struct redistest *s, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  redisReply *reply = command(s, fmt, ap);
  va_end(ap);
  if (reply->type == REDIS_REPLY_ERROR)
    die("%s: %s", fmt, reply->str);
  freeReplyObject(reply);
}
