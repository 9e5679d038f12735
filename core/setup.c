/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "setup_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "log_private.h"
#include "privileges_private.h"

void conf_apply_log(const struct host_conf *host)
{
  log_setup((enum log_format)host->log_format, log_level_at(host->log_level));
}

/* Become the user of [cofd]. What is wrong with it in the file, and the file itself, is read again
 * and reported with its line by conf_read(), but by then it would be too late. */
static bool lower(const struct cli *cli, const struct host_conf *host, bool ports)
{
  struct cof_error why;
  if (privileges_begin(host->user, host->group, ports, &why) == COF_OK)
    return true;
  fprintf(stderr, "%s: error: [cofd] %s\n", cli->conf_file, why.text);
  return false;
}

struct loader *setup_loader(const struct cli *cli, bool ports)
{
  struct problems *problems = problems_create();
  struct conf_memory *memory = NULL;
  struct host_conf host;
  struct loader *loader = NULL;
  if (problems == NULL) {
    fprintf(stderr, "cofd: out of memory\n");
    return NULL;
  }
  if (conf_read_host(cli->conf_file, &host, &memory, problems)) {
    conf_apply_log(&host);
    if (lower(cli, &host, ports))
      loader = cli_loader(cli, &host);
  } else {
    cli_print_problems(problems);
  }
  conf_memory_free(&memory);
  problems_destroy(&problems);
  return loader;
}

struct conf *setup_conf(const struct cli *cli, struct loader *loader, const char *const *overrides,
                        size_t overrides_count)
{
  struct problems *problems = problems_create();
  if (problems == NULL)
    return NULL;
  struct conf *conf = conf_read(cli->conf_file, loader, overrides, overrides_count, problems);
  cli_print_problems(problems);
  problems_destroy(&problems);
  return conf;
}

static void ending_signals(sigset_t *set)
{
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
}

int setup_signals(void)
{
  sigset_t set;
  ending_signals(&set);
  sigaddset(&set, SIGHUP);
  int e = pthread_sigmask(SIG_BLOCK, &set, NULL);
  int fd = e == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
  if (fd < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
    log_write("cofd", COF_LOG_ERROR, "cannot set up signals: %s", strerror(e != 0 ? e : errno));
    if (fd >= 0)
      close(fd);
    return -1;
  }
  return fd;
}

void setup_signals_default(int *fd)
{
  sigset_t set;
  if (*fd < 0)
    return;
  ending_signals(&set);
  /* What is pending, of the same kind that began the stop, must not end it at once. */
  while (setup_next_signal(*fd) != 0)
    ;
  close(*fd);
  *fd = -1;
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int setup_next_signal(int fd)
{
  struct signalfd_siginfo info;
  ssize_t n = read(fd, &info, sizeof info);
  return n == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}
