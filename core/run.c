/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cli_private.h"
#include "confine_private.h"
#include "engine_private.h"
#include "log_private.h"
#include "privileges_private.h"
#include "setup_private.h"

/* Serve until a signal or a failure ends it. */
static void serve(struct engine *engine, int signals)
{
  struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                         {.fd = engine_event_fd(engine), .events = POLLIN}};
  while (!engine_failed(engine)) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) {
      log_write("cofd", COF_LOG_ERROR, "poll: %s", strerror(errno));
      return;
    }
    uint64_t count;
    if (fds[1].revents != 0 && read(fds[1].fd, &count, sizeof count) < 0 && errno != EAGAIN)
      log_write("cofd", COF_LOG_ERROR, "event: %s", strerror(errno));
    int sig = setup_next_signal(signals);
    if (sig == SIGHUP) {
      engine_reload(engine);
    } else if (sig != 0) {
      log_write("cofd", COF_LOG_INFO, "%s: stopping", sig == SIGINT ? "SIGINT" : "SIGTERM");
      return;
    }
  }
}

static int run(struct conf *conf, struct loader *loader)
{
  int signals = setup_signals();
  size_t instances = conf->instances_count, chains = conf->chains_count;
  enum confine filter = (enum confine)conf->host.confine;
  struct engine *engine = engine_create(conf, loader, NULL);
  if (privileges_root())
    log_write("cofd", COF_LOG_WARNING, "runs as root; [cofd] user = NAME makes it another user");
  if (signals < 0 || engine == NULL) {
    if (engine != NULL)
      engine_stop(&engine);
    return 1;
  }
  bool started = engine_start(engine) && privileges_end() && confine(filter);
  if (!started && conf->host.user != NULL)
    log_write("cofd", COF_LOG_ERROR, "cofd runs as %s; what it opens has to be that user's to open",
              conf->host.user);
  if (started) {
    log_write("cofd", COF_LOG_INFO, "cofd %s runs %zu plugin instances in %zu chains",
              PACKAGE_VERSION, instances, chains);
    serve(engine, signals);
  }
  setup_signals_default(&signals);
  bool clean = engine_stop(&engine);
  log_write("cofd", COF_LOG_INFO, "stopped%s", clean ? "" : ", not everything was stored");
  return started && clean ? 0 : 1;
}

int cmd_run(const struct cli *cli)
{
  struct loader *loader = setup_loader(cli, true);
  if (loader == NULL)
    return 1;
  struct conf *conf = setup_conf(cli, loader, NULL, 0);
  int status = conf != NULL ? run(conf, loader) : 1;
  loader_destroy(&loader);
  return status;
}
