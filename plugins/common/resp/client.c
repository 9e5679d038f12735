/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "inner_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_MAX    ((size_t)512 << 20)
#define PAUSE_FIRST_MS 100
#define PAUSE_MOST_MS  30000
#define SOON_MS        20

int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* xorshift64*: for jitter and choices, nothing that has to be secret. */
uint64_t random_next(struct resp *r)
{
  r->random ^= r->random >> 12;
  r->random ^= r->random << 25;
  r->random ^= r->random >> 27;
  return r->random * UINT64_C(2685821657736338717) >> 16;
}

bool resp_stopping(struct resp *r)
{
  return atomic_load(&r->stopping);
}

void note(struct resp *r, enum resp_result result, const char *fmt, ...)
{
  if (result <= r->result)
    return;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(r->error.text, sizeof r->error.text, fmt, ap);
  va_end(ap);
  r->result = result;
}

/* --- making ---------------------------------------------------------------------------------- */

static bool copy(const char **text)
{
  if (*text == NULL)
    return true;
  *text = strdup(*text);
  return *text != NULL;
}

static bool copy_options(struct resp *r, const struct resp_options *o)
{
  r->o = *o;
  bool ok = copy(&r->o.unix_path);
  ok = copy(&r->o.master_name) && ok;
  ok = copy(&r->o.user) && ok;
  ok = copy(&r->o.password) && ok;
  ok = copy(&r->o.sentinel_password) && ok;
  ok = copy(&r->o.ca_file) && ok;
  for (size_t i = 0; i < o->endpoints_count; i++) {
    r->endpoints[i] = o->endpoints[i];
    ok = copy(&r->endpoints[i].host) && ok;
  }
  return ok;
}

static void wipe(const char *text)
{
  char *p = (char *)(uintptr_t)text;
  if (p != NULL)
    explicit_bzero(p, strlen(p));
  free(p);
}

static void free_options(struct resp *r)
{
  wipe(r->o.unix_path);
  wipe(r->o.master_name);
  wipe(r->o.user);
  wipe(r->o.password);
  wipe(r->o.sentinel_password);
  wipe(r->o.ca_file);
  for (size_t i = 0; i < r->o.endpoints_count; i++)
    wipe(r->endpoints[i].host);
}

static const char *mistake(const struct resp_options *o)
{
  if (o->unix_path == NULL && (o->endpoints_count < 1 || o->endpoints_count > RESP_ENDPOINTS_MAX))
    return "1 to 64 endpoints are needed";
  if (o->unix_path != NULL && (o->endpoints_count != 0 || o->mode != RESP_STANDALONE))
    return "a socket is for a single server";
  if (o->mode == RESP_SENTINEL && o->master_name == NULL)
    return "sentinel needs the name of the master";
  if (o->mode == RESP_CLUSTER && o->db != 0)
    return "a cluster has database 0 only";
  if (o->manual && o->mode == RESP_CLUSTER)
    return "a cluster connects by itself";
  if (o->user != NULL && o->password == NULL)
    return "a user needs a password";
  if (o->tls && o->unix_path != NULL)
    return "TLS is not for a socket";
  if (o->db < 0 || o->connect_timeout_ms < 1 || o->command_timeout_ms < 1 || o->max_pipeline < 1)
    return "a number is out of its range";
  return NULL;
}

static enum cof_result build(struct resp *r, const struct resp_options *o, struct cof_error *err)
{
  if (!copy_options(r, o))
    return cof_fail(err, COF_FATAL, "out of memory");
  if (o->tls && (r->tls = tls_context_create(o->ca_file, err)) == NULL)
    return COF_FATAL;
  if (pipe2(r->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
    r->wake[0] = r->wake[1] = -1;
    return cof_fail(err, COF_FATAL, "cannot make a pipe: %s", strerror(errno));
  }
  r->inbox = malloc(INBOX);
  if (r->inbox == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  if (o->mode == RESP_CLUSTER) {
    r->owner = malloc(RESP_SLOTS * sizeof *r->owner);
    r->reader_of = malloc(RESP_SLOTS * sizeof *r->reader_of);
    if (r->owner == NULL || r->reader_of == NULL)
      return cof_fail(err, COF_FATAL, "out of memory");
    r->stale = true;
    return COF_OK;
  }
  if (route_add_node(r, "", 0, NULL) == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  r->masters = 1;
  return COF_OK;
}

struct resp *resp_create(const struct resp_options *options, struct cof_error *err)
{
  const char *wrong = mistake(options);
  if (wrong != NULL) {
    cof_fail(err, COF_REJECT, "%s", wrong);
    return NULL;
  }
  struct resp *r = calloc(1, sizeof *r);
  if (r == NULL) {
    cof_fail(err, COF_FATAL, "out of memory");
    return NULL;
  }
  r->wake[0] = r->wake[1] = -1;
  if (getrandom(&r->random, sizeof r->random, GRND_NONBLOCK) != sizeof r->random)
    r->random = (uint64_t)now_ms() ^ (uint64_t)(uintptr_t)r;
  r->random |= 1;
  if (build(r, options, err) != COF_OK)
    resp_destroy(&r);
  return r;
}

void resp_destroy(struct resp **resp)
{
  struct resp *r = *resp;
  if (r == NULL)
    return;
  for (size_t i = 0; i < r->nodes_count; i++)
    node_free(r->nodes[i]);
  free(r->nodes);
  free_options(r);
  tls_context_destroy(&r->tls);
  for (int i = 0; i < 2; i++)
    if (r->wake[i] >= 0)
      close(r->wake[i]);
  free(r->owner);
  free(r->reader_of);
  free(r->inbox);
  free(r->buffer.data);
  free(r->commands);
  free(r);
  *resp = NULL;
}

/* --- appending ------------------------------------------------------------------------------- */

static void begin(struct resp *r, size_t argc, enum route_kind route, int key, size_t node)
{
  r->buffer.failed = false;
  r->open = (struct command){
      .offset = r->buffer.len, .route = (uint8_t)route, .where = (uint16_t)node, .ask = NO_NODE};
  r->open_args = argc;
  r->open_key = key;
  r->key_len = 0;
  r->key_offset = r->buffer.len;
  buffer_number(&r->buffer, '*', argc);
}

void resp_begin(struct resp *r, size_t argc, int key)
{
  bool slot = key >= 0 && r->o.mode == RESP_CLUSTER;
  begin(r, argc, slot ? ROUTE_SLOT : ROUTE_ANY, slot ? key : -1, 0);
}

void resp_begin_node(struct resp *r, size_t argc, size_t node)
{
  begin(r, argc, ROUTE_NODE, -1, node);
}

static void arg_done(struct resp *r, size_t len)
{
  if (r->open_args-- == 0)
    r->buffer.failed = true;
  if (r->open_key-- == 0) {
    r->key_len = len;
    r->key_offset = r->buffer.len - len - 2;
  }
}

void resp_arg(struct resp *r, const void *data, size_t len)
{
  buffer_bulk(&r->buffer, data, len);
  arg_done(r, len);
}

void resp_arg_str(struct resp *r, const char *text)
{
  resp_arg(r, text, strlen(text));
}

void resp_arg_parts(struct resp *r, const struct iovec *parts, size_t count)
{
  size_t len = 0;
  for (size_t i = 0; i < count; i++)
    len += parts[i].iov_len;
  buffer_number(&r->buffer, '$', len);
  for (size_t i = 0; i < count; i++)
    buffer_put(&r->buffer, parts[i].iov_base, parts[i].iov_len);
  buffer_put(&r->buffer, "\r\n", 2);
  arg_done(r, len);
}

void resp_arg_int(struct resp *r, int64_t number)
{
  char text[21];
  size_t sign = number < 0;
  text[0] = '-';
  uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  resp_arg(r, text, sign + decimal(text + sign, magnitude));
}

static bool grow_commands(struct resp *r)
{
  if (r->count < r->cap)
    return true;
  size_t cap = r->cap == 0 ? 256 : r->cap * 2;
  if (cap > UINT32_MAX - 1)
    return false;
  struct command *more = realloc(r->commands, cap * sizeof *more);
  if (more == NULL)
    return false;
  r->commands = more;
  r->cap = cap;
  return true;
}

bool resp_end(struct resp *r, resp_reply_fn fn, void *arg)
{
  size_t len = r->buffer.len - r->open.offset;
  if (r->buffer.failed || r->open_args != 0 || len > COMMAND_MAX || !grow_commands(r)) {
    r->buffer.len = r->open.offset;
    r->buffer.failed = false;
    return false;
  }
  r->open.len = (uint32_t)len;
  if (r->open.route == ROUTE_SLOT)
    r->open.where = resp_slot(r->buffer.data + r->key_offset, r->key_len);
  r->open.fn = fn;
  r->open.arg = arg;
  r->commands[r->count++] = r->open;
  return true;
}

bool resp_append(struct resp *r, int key, const char *const *argv, size_t count, resp_reply_fn fn,
                 void *arg)
{
  resp_begin(r, count, key);
  for (size_t i = 0; i < count; i++)
    resp_arg_str(r, argv[i]);
  return resp_end(r, fn, arg);
}

size_t resp_pending(const struct resp *r)
{
  return r->count;
}

size_t resp_pending_bytes(const struct resp *r)
{
  return r->buffer.len;
}

void resp_forget(struct resp *r)
{
  r->count = 0;
  r->buffer.len = 0;
}

/* --- running --------------------------------------------------------------------------------- */

/* Hand each command that is left to its node. */
static void route_all(struct resp *r)
{
  for (size_t i = 0; i < r->nodes_count; i++) {
    struct node *n = r->nodes[i];
    n->queued = n->sent = n->offset = n->answered = 0;
  }
  for (size_t i = 0; i < r->count; i++) {
    struct command *c = &r->commands[i];
    if (c->done)
      continue;
    struct node *n = route_node(r, c);
    if (n == NULL) {
      note(r, RESP_PASSING, "slot %u is served by no node of the cluster", c->where);
      r->stale = true;
      command_finish(r, c, NULL);
    } else if ((c->ask != NO_NODE && !node_queue(n, ASKING_MARK)) || !node_queue(n, (uint32_t)i)) {
      note(r, RESP_FATAL, "out of memory");
      command_finish(r, c, NULL);
    }
    c->ask = NO_NODE;
  }
}

static void give_up(struct resp *r)
{
  for (size_t i = 0; i < r->count; i++)
    if (!r->commands[i].done)
      command_finish(r, &r->commands[i], NULL);
}

static void run_rounds(struct resp *r)
{
  for (int round = 0; round < ROUNDS_MAX; round++) {
    struct cof_error why = {.text = ""};
    /* Not between rounds: a new map numbers the nodes anew, which commands that follow an ASK must
       not see, and the one who draws it may know less than the one who redirected a command. */
    if (r->o.mode == RESP_CLUSTER && r->stale && round == 0) {
      enum resp_result result = route_refresh(r, &why);
      if (result != RESP_OK) {
        note(r, result, "%s", why.text);
        return;
      }
    }
    r->again = r->soon = false;
    route_all(r);
    pump_round(r);
    if (!r->again || resp_stopping(r))
      return;
    if (r->soon && !resp_sleep(r, SOON_MS))
      return;
  }
  note(r, RESP_PASSING, "the cluster kept redirecting commands");
}

static void conclude(struct resp *r)
{
  if (r->result == RESP_OK)
    r->failures = 0;
  else if (r->result == RESP_PASSING && r->failures < 30)
    r->failures++;
}

enum resp_result resp_run(struct resp *r, int block_ms, struct cof_error *err)
{
  r->result = RESP_OK;
  r->block_ms = block_ms;
  if (r->count == 0)
    return RESP_OK;
  if (!resp_stopping(r))
    run_rounds(r);
  if (resp_stopping(r))
    note(r, RESP_STOPPED, "interrupted");
  give_up(r);
  resp_forget(r);
  conclude(r);
  if (r->result != RESP_OK)
    cof_fail(err, COF_RETRY, "%s", r->error.text);
  return r->result;
}

int resp_pause_ms(struct resp *r)
{
  if (r->failures == 0)
    return 0;
  int64_t most = PAUSE_FIRST_MS;
  for (unsigned i = 1; i < r->failures && most < PAUSE_MOST_MS; i++)
    most *= 2;
  if (most > PAUSE_MOST_MS)
    most = PAUSE_MOST_MS;
  return (int)(most / 2 + (int64_t)(random_next(r) % (uint64_t)(most / 2 + 1)));
}

void resp_interrupt(struct resp *r)
{
  int error = errno;
  atomic_store(&r->stopping, true);
  /* A full pipe wakes as well as one more octet. */
  ssize_t n = write(r->wake[1], "", 1);
  (void)n;
  errno = error;
}

void resp_resume(struct resp *r)
{
  char sink[64];
  while (read(r->wake[0], sink, sizeof sink) > 0)
    continue;
  atomic_store(&r->stopping, false);
}

bool resp_sleep(struct resp *r, int ms)
{
  int64_t end = now_ms() + ms;
  while (!resp_stopping(r)) {
    struct pollfd fd = {.fd = r->wake[0], .events = POLLIN};
    int64_t left = end - now_ms();
    if (left <= 0)
      return true;
    if (poll(&fd, 1, (int)left) < 0 && errno != EINTR)
      return true;
  }
  return false;
}

enum resp_result resp_connect(struct resp *r, bool *fresh, struct cof_error *err)
{
  struct node *n = r->nodes[0];
  *fresh = false;
  r->result = RESP_OK;
  if (resp_stopping(r))
    return RESP_STOPPED;
  if (!r->stale && conn_alive(&n->conn))
    return RESP_OK;
  node_close(n);
  r->result = route_connect(r, n, err);
  r->stale = false;
  *fresh = r->result == RESP_OK;
  if (r->result != RESP_OK)
    conclude(r);
  return r->result;
}

uint64_t resp_connections(const struct resp *r)
{
  return r->connections;
}

size_t resp_nodes(struct resp *r, enum resp_result *result, struct cof_error *err)
{
  *result = RESP_OK;
  if (r->o.mode == RESP_CLUSTER && r->stale)
    *result = route_refresh(r, err);
  if (*result != RESP_OK) {
    r->result = *result;
    conclude(r);
    return 0;
  }
  return r->masters;
}

const char *resp_node_name(const struct resp *r, size_t node)
{
  return r->nodes[node]->name;
}

bool resp_endpoint_parse(const char *text, uint16_t default_port, char *host, size_t cap,
                         uint16_t *port)
{
  const char *colon = strrchr(text, ':'), *end = text + strlen(text), *number = NULL;
  if (*text == '[') {
    const char *close = strchr(text, ']');
    if (close == NULL || (close[1] != '\0' && close[1] != ':'))
      return false;
    number = close[1] == ':' ? close + 2 : NULL;
    text++;
    end = close;
  } else if (colon != NULL && strchr(text, ':') == colon) {
    number = colon + 1;
    end = colon;
  }
  size_t len = (size_t)(end - text);
  if (len == 0 || len >= cap)
    return false;
  unsigned long n = default_port;
  if (number != NULL) {
    char *rest;
    n = strtoul(number, &rest, 10);
    if (*number < '0' || *number > '9' || *rest != '\0' || n == 0 || n > UINT16_MAX)
      return false;
  }
  memcpy(host, text, len);
  host[len] = '\0';
  *port = (uint16_t)n;
  return true;
}
