/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "store_private.h"

/* How long a replica has to confirm a write, and how long it is not waited for after it did not. */
#define CONFIRM_MS   250
#define UNHEALTHY_NS UINT64_C(10000000000)

struct confirmation {
  long long least; /* replicas that confirmed, of the master that has fewest; -1: none answered */
  bool unknown;    /* the server has no such command */
};

static bool take_replicas(void *arg, const redisReply *reply)
{
  struct confirmation *c = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER &&
      (c->least < 0 || reply->integer < c->least))
    c->least = reply->integer;
  c->unknown = c->unknown || resp_is_error(reply, "ERR unknown command");
  return c->unknown;
}

static enum conf_wait wanted(const struct store *s)
{
  if (s->flavour->kvrocks)
    return CONF_WAIT_NO;
  if (s->conf->wait_replica != CONF_WAIT_AUTO)
    return (enum conf_wait)s->conf->wait_replica;
  return s->conf->mode == RESP_STANDALONE ? CONF_WAIT_NO : CONF_WAIT_TRY;
}

/* WAIT counts what this connection wrote, hence goes to each master over the writer's own. */
static enum resp_result ask(struct store *s, struct confirmation *c, struct cof_error *err)
{
  enum resp_result result;
  size_t nodes = resp_nodes(s->writer, &result, err);
  for (size_t i = 0; i < nodes; i++) {
    resp_begin_node(s->writer, 3, i);
    resp_arg_str(s->writer, "WAIT");
    resp_arg_int(s->writer, 1);
    resp_arg_int(s->writer, CONFIRM_MS);
    if (!resp_end(s->writer, take_replicas, c)) {
      resp_forget(s->writer);
      cof_fail(err, COF_RETRY, "out of memory");
      return RESP_PASSING;
    }
  }
  return nodes == 0 ? result : resp_run(s->writer, CONFIRM_MS, err);
}

enum resp_result store_replicate(struct store *s, struct cof_error *err)
{
  enum conf_wait want = wanted(s);
  struct confirmation c = {.least = -1};
  if (want == CONF_WAIT_NO || (want == CONF_WAIT_TRY && cof_clock_ns(s->host) < s->unhealthy_until))
    return RESP_OK;
  uint64_t connections = resp_connections(s->writer);
  enum resp_result result = ask(s, &c, err);
  if (result != RESP_OK)
    return result;
  if (resp_connections(s->writer) != connections) {
    cof_fail(err, COF_RETRY, "the connection was lost before a replica confirmed a write");
    return RESP_PASSING;
  }
  bool confirmed = c.least > 0;
  if (confirmed != !s->unreplicated && want == CONF_WAIT_TRY)
    cof_log(s->host, confirmed ? COF_LOG_INFO : COF_LOG_WARNING,
            confirmed ? "a replica confirms what is written"
                      : "no replica confirms what is written; what a failing master has "
                        "acknowledged may be lost with it");
  s->unreplicated = !confirmed;
  if (confirmed)
    return RESP_OK;
  cof_add(s->host, s->m_unreplicated, 1);
  s->unhealthy_until = cof_clock_ns(s->host) + UNHEALTHY_NS;
  if (want == CONF_WAIT_TRY)
    return RESP_OK;
  cof_fail(err, COF_RETRY, "no replica confirmed a write within %d ms%s", CONFIRM_MS,
           c.unknown ? ": the server knows no WAIT" : "");
  return c.unknown ? RESP_FATAL : RESP_PASSING;
}
