/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "d4_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long to block on an empty queue, and to wait for acks before looking at it again. */
#define BLOCK_SECONDS 5
#define ACK_WAIT_MS   100
/* Pause after what no waiting mends, unless an operator acts. */
#define FATAL_PAUSE_MS 30000
#define LEAST_PAUSE_MS 50
/* Entries asked for at first, and again whenever the queue runs dry. */
#define FIRST_WANT 16
/* Reasons of refusal that are logged for one batch, and octets of its entries that are kept for
   the dead-letter list. */
#define REASONS_MAX    8
#define DEAD_BYTES_MAX ((size_t)64 << 20)
#define RUN_ID_MAX     64

/*
 * The in-flight list from its right end: `known` entries that were emitted, of which the first
 * `acked` are durable; then `extra` entries that are still to be read. All of it is the account of
 * one life of the server (`run_id`); a new life begins a new epoch, in which everything on the list
 * is extra again, and acks of older epochs take nothing off it.
 */
struct worker {
  const struct shared *s;
  unsigned index;
  struct resp *resp;
  struct entry_reader *reader;
  char *list; /* key of the in-flight list */
  pthread_t thread;
  bool running, ran;

  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool stopping;         /* under the lock, as is what follows */
  bool frozen;           /* a batch came back unstored: nothing after it may be taken off */
  uint32_t epoch;        /* 26 bits */
  uint64_t known, acked; /* entries */
  uint64_t outstanding;  /* entries emitted and not acknowledged, of any epoch */

  /* of the thread */
  char run_id[RUN_ID_MAX];
  bool settled;      /* the account is good */
  bool complained;   /* the failure under way was logged */
  bool dry;          /* the queue was empty */
  uint64_t trimming; /* entries of a removal of unknown fate */
  uint64_t extra;
  uint64_t want;
};

/* --- tokens ----------------------------------------------------------------------------------- */

#define EPOCH_MASK UINT32_C(0x3ffffff)

static uint64_t token_make(unsigned worker, uint32_t epoch, uint64_t entries)
{
  return (uint64_t)worker << 58 | (uint64_t)epoch << 32 | entries;
}

unsigned worker_of_token(uint64_t token)
{
  return (unsigned)(token >> 58);
}

void worker_ack(struct worker *w, uint64_t token, enum cof_result result)
{
  uint32_t epoch = (uint32_t)(token >> 32) & EPOCH_MASK;
  uint64_t entries = token & UINT32_MAX;
  pthread_mutex_lock(&w->lock);
  w->outstanding -= entries;
  if (result != COF_OK)
    w->frozen = true;
  else if (!w->frozen && epoch == w->epoch)
    w->acked += entries;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
  cof_add(w->s->host, w->s->in_flight, -(int64_t)entries);
}

/* --- making ----------------------------------------------------------------------------------- */

struct resp_options worker_resp_options(const struct d4_conf *c, struct resp_endpoint *endpoint)
{
  bool given = c->server.host != NULL;
  *endpoint = (struct resp_endpoint){.host = given ? c->server.host : D4_SERVER_HOST,
                                     .port = given ? c->server.port : D4_SERVER_PORT};
  return (struct resp_options){.mode = RESP_STANDALONE,
                               .endpoints = endpoint,
                               .endpoints_count = c->socket != NULL ? 0 : 1,
                               .unix_path = c->socket,
                               .user = c->user,
                               .password = c->password,
                               .db = c->db,
                               .tls = c->tls,
                               .ca_file = c->ca_file,
                               .manual = true,
                               .connect_timeout_ms = (int)c->connect_timeout,
                               .command_timeout_ms = (int)c->command_timeout,
                               .max_pipeline = 4096};
}

/* The instance is part of the key, so that several can share a queue and find their own again. */
static char *list_key(const struct shared *s, unsigned index)
{
  char *key;
  int n = index == 0 ? asprintf(&key, "%s:cofd:%s", s->queue, cof_instance_name(s->host))
                     : asprintf(&key, "%s:cofd:%s:%u", s->queue, cof_instance_name(s->host), index);
  return n < 0 ? NULL : key;
}

static bool make_sync(struct worker *w)
{
  pthread_condattr_t attr;
  if (pthread_mutex_init(&w->lock, NULL) != 0)
    return false;
  if (pthread_condattr_init(&attr) != 0)
    return false;
  bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
            pthread_cond_init(&w->changed, &attr) == 0;
  pthread_condattr_destroy(&attr);
  return ok;
}

static void worker_free(struct worker *w)
{
  resp_destroy(&w->resp);
  entry_reader_destroy(&w->reader);
  free(w->list);
  free(w);
}

struct worker *worker_create(const struct shared *shared, unsigned index, struct cof_error *err)
{
  struct resp_endpoint endpoint;
  struct resp_options o = worker_resp_options(shared->conf, &endpoint);
  struct worker *w = calloc(1, sizeof *w);
  if (w == NULL) {
    cof_fail(err, COF_FATAL, "out of memory");
    return NULL;
  }
  w->s = shared;
  w->index = index;
  w->want = FIRST_WANT;
  cof_fail(err, COF_FATAL, "out of memory");
  w->list = list_key(shared, index);
  w->reader = w->list != NULL ? entry_reader_create(shared->conf, err) : NULL;
  w->resp = w->reader != NULL ? resp_create(&o, err) : NULL;
  if (w->resp == NULL || !make_sync(w)) {
    worker_free(w);
    return NULL;
  }
  return w;
}

/* --- account ---------------------------------------------------------------------------------- */

/* A failed run leaves open what the server did. */
static enum resp_result run(struct worker *w, int block_ms, struct cof_error *err)
{
  enum resp_result result = resp_run(w->resp, block_ms, err);
  if (result != RESP_OK)
    w->settled = false;
  return result;
}

static enum resp_result no_memory(struct worker *w, struct cof_error *err)
{
  resp_forget(w->resp);
  cof_fail(err, COF_FATAL, "out of memory");
  return RESP_PASSING;
}

static bool take_integer(void *arg, const redisReply *reply)
{
  if (reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
    *(uint64_t *)arg = (uint64_t)reply->integer;
  return false;
}

/* Which life of the server this is; one that may not be asked is new every time. */
static bool take_run_id(void *arg, const redisReply *reply)
{
  static const char field[] = "\nrun_id:";
  char *out = arg;
  out[0] = '\0';
  if (reply == NULL || reply->type != REDIS_REPLY_STRING)
    return reply != NULL && resp_classify(reply) == RESP_FATAL;
  const char *at = strstr(reply->str, field);
  if (at == NULL)
    return true;
  at += sizeof field - 1;
  size_t len = strcspn(at, "\r\n");
  if (len < RUN_ID_MAX) {
    memcpy(out, at, len);
    out[len] = '\0';
  }
  return true;
}

static void new_epoch(struct worker *w)
{
  pthread_mutex_lock(&w->lock);
  w->epoch = (w->epoch + 1) & EPOCH_MASK;
  w->known = w->acked = 0;
  pthread_mutex_unlock(&w->lock);
  w->trimming = 0;
}

static void subtract(struct worker *w, uint64_t entries)
{
  pthread_mutex_lock(&w->lock);
  w->known -= entries;
  w->acked -= entries;
  pthread_mutex_unlock(&w->lock);
}

/* Compare what is known with what lies on the list. */
static enum resp_result account(struct worker *w, struct cof_error *err)
{
  char run_id[RUN_ID_MAX] = "";
  uint64_t length = 0;
  const char *info[] = {"INFO", "server"}, *llen[] = {"LLEN", w->list};
  if (!resp_append(w->resp, RESP_ANY_NODE, info, 2, take_run_id, run_id) ||
      !resp_append(w->resp, RESP_ANY_NODE, llen, 2, take_integer, &length))
    return no_memory(w, err);
  enum resp_result result = run(w, 0, err);
  if (result != RESP_OK)
    return result;
  bool same = run_id[0] != '\0' && strcmp(run_id, w->run_id) == 0;
  strcpy(w->run_id, run_id);
  if (!same)
    new_epoch(w);
  /* Nothing else ever shortens the list. */
  if (w->trimming != 0 && length < w->known)
    subtract(w, w->trimming);
  w->trimming = 0;
  if (length < w->known) {
    cof_log(w->s->host, COF_LOG_WARNING,
            "%s holds %llu entries where %llu were expected: somebody else changed it", w->list,
            (unsigned long long)length, (unsigned long long)w->known);
    new_epoch(w);
  }
  w->extra = length - w->known;
  w->settled = true;
  return RESP_OK;
}

/* Entries of a worker that the configuration had and has no more. */
static enum resp_result adopt(struct worker *w, const char *list, struct cof_error *err)
{
  uint64_t length = 0;
  const char *llen[] = {"LLEN", list}, *move[] = {"RPOPLPUSH", list, w->list};
  if (!resp_append(w->resp, RESP_ANY_NODE, llen, 2, take_integer, &length))
    return no_memory(w, err);
  enum resp_result result = run(w, 0, err);
  while (result == RESP_OK && length > 0) {
    uint64_t some = length < D4_BATCH_MAX ? length : D4_BATCH_MAX;
    for (uint64_t i = 0; i < some; i++)
      if (!resp_append(w->resp, RESP_ANY_NODE, move, 3, NULL, NULL))
        return no_memory(w, err);
    result = run(w, 0, err);
    length -= some;
  }
  return result;
}

static enum resp_result adopt_all(struct worker *w, struct cof_error *err)
{
  enum resp_result result = RESP_OK;
  for (unsigned i = (unsigned)w->s->conf->workers; i < D4_WORKERS_MAX && result == RESP_OK; i++) {
    char *list = list_key(w->s, i);
    result = list != NULL ? adopt(w, list, err) : no_memory(w, err);
    free(list);
  }
  return result;
}

static enum resp_result settle(struct worker *w, struct cof_error *err)
{
  enum resp_result result = RESP_OK;
  if (w->index == 0 && w->run_id[0] == '\0')
    result = adopt_all(w, err);
  if (result == RESP_OK)
    result = account(w, err);
  if (result == RESP_OK && w->extra != 0) {
    cof_log(w->s->host, COF_LOG_INFO, "taking up %llu entries again that lie in %s",
            (unsigned long long)w->extra, w->list);
    cof_add(w->s->host, w->s->recovered, (int64_t)w->extra);
  }
  return result;
}

/* Take what is durable off the list. */
static enum resp_result trim(struct worker *w, struct cof_error *err)
{
  pthread_mutex_lock(&w->lock);
  uint64_t entries = w->acked;
  pthread_mutex_unlock(&w->lock);
  if (entries == 0)
    return RESP_OK;
  resp_begin(w->resp, 4, RESP_ANY_NODE);
  resp_arg_str(w->resp, "LTRIM");
  resp_arg_str(w->resp, w->list);
  resp_arg_int(w->resp, 0);
  resp_arg_int(w->resp, -(int64_t)entries - 1);
  if (!resp_end(w->resp, NULL, NULL))
    return no_memory(w, err);
  w->trimming = entries;
  enum resp_result result = run(w, 0, err);
  if (result != RESP_OK)
    return result;
  w->trimming = 0;
  subtract(w, entries);
  return RESP_OK;
}

/* --- taking ----------------------------------------------------------------------------------- */

struct dead {
  char *text;
  size_t len;
};

/* One batch in the making. */
struct take {
  struct worker *w;
  struct cof_batch *batch;
  struct entry_counts counts;
  uint64_t queue_length;
  bool failed; /* out of memory */
  size_t reasons_count;
  struct cof_error reasons[REASONS_MAX];
  struct dead *dead;
  size_t dead_count, dead_room, dead_bytes;
  uint64_t dead_left_out;
};

static bool keep_dead(struct take *t, const char *text, size_t len)
{
  if (t->dead_bytes + len > DEAD_BYTES_MAX) {
    t->dead_left_out++;
    return true;
  }
  if (t->dead_count == t->dead_room) {
    size_t room = t->dead_room != 0 ? t->dead_room * 2 : 16;
    struct dead *more = realloc(t->dead, room * sizeof *more);
    if (more == NULL)
      return false;
    t->dead = more;
    t->dead_room = room;
  }
  char *copy = malloc(len != 0 ? len : 1);
  if (copy == NULL)
    return false;
  memcpy(copy, text, len);
  t->dead[t->dead_count++] = (struct dead){copy, len};
  t->dead_bytes += len;
  return true;
}

static void take_entry(struct take *t, const char *text, size_t len)
{
  struct cof_error err;
  enum cof_result result = entry_read(t->w->reader, text, len, t->batch, &t->counts, &err);
  if (result == COF_OK)
    return;
  if (result != COF_REJECT) {
    t->failed = true;
    return;
  }
  if (t->reasons_count < REASONS_MAX)
    t->reasons[t->reasons_count++] = err;
  if (t->w->s->conf->dead_letter != NULL && !keep_dead(t, text, len))
    t->failed = true;
}

static bool on_entry(void *arg, const redisReply *reply)
{
  struct take *t = arg;
  if (reply != NULL && reply->type == REDIS_REPLY_STRING)
    take_entry(t, reply->str, (size_t)reply->len);
  return false;
}

/* The oldest is the last. */
static bool on_entries(void *arg, const redisReply *reply)
{
  struct take *t = arg;
  if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
    return false;
  for (size_t i = reply->elements; i-- > 0;)
    if (reply->element[i]->type == REDIS_REPLY_STRING)
      take_entry(t, reply->element[i]->str, (size_t)reply->element[i]->len);
  return false;
}

/* What lies on the in-flight list and was not read in this life. */
static enum resp_result take_extra(struct take *t, uint64_t most, struct cof_error *err)
{
  struct worker *w = t->w;
  uint64_t some = w->extra < most ? w->extra : most;
  resp_begin(w->resp, 4, RESP_ANY_NODE);
  resp_arg_str(w->resp, "LRANGE");
  resp_arg_str(w->resp, w->list);
  resp_arg_int(w->resp, (int64_t)(w->extra - some));
  resp_arg_int(w->resp, (int64_t)w->extra - 1);
  if (!resp_end(w->resp, on_entries, t))
    return no_memory(w, err);
  enum resp_result result = run(w, 0, err);
  if (result == RESP_OK && t->counts.entries != some) {
    w->settled = false;
    cof_fail(err, COF_RETRY, "%s changed while it was read", w->list);
    return RESP_PASSING;
  }
  if (result == RESP_OK)
    w->extra -= some;
  return result;
}

static enum resp_result take_blocking(struct take *t, struct cof_error *err)
{
  struct worker *w = t->w;
  resp_begin(w->resp, 4, RESP_ANY_NODE);
  resp_arg_str(w->resp, "BRPOPLPUSH");
  resp_arg_str(w->resp, w->s->queue);
  resp_arg_str(w->resp, w->list);
  resp_arg_int(w->resp, BLOCK_SECONDS);
  if (!resp_end(w->resp, on_entry, t))
    return no_memory(w, err);
  return run(w, BLOCK_SECONDS * 1000, err);
}

static enum resp_result take_many(struct take *t, uint64_t most, struct cof_error *err)
{
  struct worker *w = t->w;
  const char *move[] = {"RPOPLPUSH", w->s->queue, w->list}, *llen[] = {"LLEN", w->s->queue};
  uint64_t some = w->want < most ? w->want : most, before = t->counts.entries;
  for (uint64_t i = 0; i < some; i++)
    if (!resp_append(w->resp, RESP_ANY_NODE, move, 3, on_entry, t))
      return no_memory(w, err);
  if (!resp_append(w->resp, RESP_ANY_NODE, llen, 2, take_integer, &t->queue_length))
    return no_memory(w, err);
  enum resp_result result = run(w, 0, err);
  if (result != RESP_OK)
    return result;
  cof_set(w->s->host, w->s->queue_length, (int64_t)t->queue_length);
  bool full = t->counts.entries - before == some;
  w->want = full ? w->want * 2 : FIRST_WANT;
  if (w->want > (uint64_t)w->s->conf->batch_entries)
    w->want = (uint64_t)w->s->conf->batch_entries;
  w->dry = !full;
  return RESP_OK;
}

static enum resp_result take_any(struct take *t, uint64_t most, bool may_block,
                                 struct cof_error *err)
{
  struct worker *w = t->w;
  if (w->extra != 0)
    return take_extra(t, most, err);
  if (w->dry && may_block) {
    enum resp_result result = take_blocking(t, err);
    if (result != RESP_OK || t->counts.entries == 0 || most == 1)
      return result;
    most--;
  }
  return take_many(t, most, err);
}

/* --- handing on ------------------------------------------------------------------------------- */

/* Before the entries can leave the in-flight list. */
static enum resp_result bury(struct take *t, struct cof_error *err)
{
  struct worker *w = t->w;
  const char *key = w->s->conf->dead_letter;
  if (t->dead_count == 0)
    return RESP_OK;
  for (size_t i = 0; i < t->dead_count; i++) {
    resp_begin(w->resp, 3, RESP_ANY_NODE);
    resp_arg_str(w->resp, "LPUSH");
    resp_arg_str(w->resp, key);
    resp_arg(w->resp, t->dead[i].text, t->dead[i].len);
    if (!resp_end(w->resp, NULL, NULL))
      return no_memory(w, err);
  }
  resp_begin(w->resp, 4, RESP_ANY_NODE);
  resp_arg_str(w->resp, "LTRIM");
  resp_arg_str(w->resp, key);
  resp_arg_int(w->resp, 0);
  resp_arg_int(w->resp, w->s->conf->dead_letter_max - 1);
  if (!resp_end(w->resp, NULL, NULL))
    return no_memory(w, err);
  enum resp_result result = run(w, 0, err);
  if (result == RESP_OK)
    cof_add(w->s->host, w->s->dead, (int64_t)t->dead_count);
  return result;
}

static void report(const struct take *t)
{
  struct cof_host *host = t->w->s->host;
  const char *queue = t->w->s->queue;
  for (size_t i = 0; i < t->reasons_count; i++)
    cof_reject(host, 1, "%s: %s", queue, t->reasons[i].text);
  if (t->counts.bad > t->reasons_count)
    cof_reject(host, t->counts.bad - t->reasons_count, "%s: more such entries in the same batch",
               queue);
  if (t->dead_left_out != 0)
    cof_log(host, COF_LOG_WARNING,
            "%llu unreadable entries were not kept: over %zu octets of them in one batch",
            (unsigned long long)t->dead_left_out, DEAD_BYTES_MAX);
  entry_metrics_add(host, &t->w->s->metrics, &t->counts, t->batch);
}

/* The last entries that were taken stay on the list. It is no ack: those before them may still get
   theirs. */
static void take_back(struct worker *w, uint64_t entries)
{
  pthread_mutex_lock(&w->lock);
  w->known -= entries;
  w->outstanding -= entries;
  pthread_mutex_unlock(&w->lock);
  w->extra += entries;
  cof_add(w->s->host, w->s->in_flight, -(int64_t)entries);
}

static enum resp_result hand_on(struct take *t)
{
  struct worker *w = t->w;
  uint64_t entries = t->counts.entries;
  report(t);
  pthread_mutex_lock(&w->lock);
  w->known += entries;
  w->outstanding += entries;
  uint64_t token = token_make(w->index, w->epoch, entries);
  pthread_mutex_unlock(&w->lock);
  cof_add(w->s->host, w->s->in_flight, (int64_t)entries);
  enum cof_result result;
  do
    result = cof_emit_wait(w->s->host, &t->batch, token, 1000);
  while (result == COF_AGAIN);
  if (result == COF_OK)
    return RESP_OK;
  take_back(w, entries);
  return RESP_STOPPED;
}

static void take_free(struct take *t)
{
  cof_batch_put(t->w->s->host, &t->batch);
  for (size_t i = 0; i < t->dead_count; i++)
    free(t->dead[i].text);
  free(t->dead);
}

static enum resp_result take_and_hand_on(struct worker *w, uint64_t most, bool may_block,
                                         struct cof_error *err)
{
  struct take t = {.w = w, .batch = cof_batch_get(w->s->host)};
  if (t.batch == NULL)
    return no_memory(w, err);
  enum resp_result result = take_any(&t, most, may_block, err);
  if (result == RESP_OK && t.failed) {
    w->settled = false; /* what was moved is found again as extra */
    result = no_memory(w, err);
  }
  if (result == RESP_OK)
    result = bury(&t, err);
  if (result == RESP_OK && t.counts.entries != 0)
    result = hand_on(&t);
  take_free(&t);
  return result;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Wait for acks: all the time where nothing more may be taken, else not for long. */
static void wait_ack(struct worker *w, bool full)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += ACK_WAIT_MS * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  pthread_mutex_lock(&w->lock);
  int error = 0;
  while (!w->stopping && w->acked == 0 && error == 0 &&
         (full ? w->outstanding >= (uint64_t)w->s->conf->max_in_flight : w->outstanding != 0))
    error = full ? pthread_cond_wait(&w->changed, &w->lock)
                 : pthread_cond_timedwait(&w->changed, &w->lock, &until);
  pthread_mutex_unlock(&w->lock);
}

static enum resp_result connect_server(struct worker *w, struct cof_error *err)
{
  bool fresh;
  enum resp_result result = resp_connect(w->resp, &fresh, err);
  if (fresh) {
    w->settled = false;
    cof_add(w->s->host, w->s->reconnects, 1);
  }
  return result;
}

static enum resp_result step(struct worker *w, struct cof_error *err)
{
  enum resp_result result = connect_server(w, err);
  if (result == RESP_OK && !w->settled)
    result = settle(w, err);
  if (result == RESP_OK && w->complained) {
    cof_log(w->s->host, COF_LOG_INFO, "%s is read again", w->s->queue);
    w->complained = false;
  }
  if (result == RESP_OK)
    result = trim(w, err);
  if (result != RESP_OK)
    return result;
  pthread_mutex_lock(&w->lock);
  uint64_t outstanding = w->outstanding, bound = (uint64_t)w->s->conf->max_in_flight;
  pthread_mutex_unlock(&w->lock);
  if (outstanding >= bound || (w->dry && w->extra == 0 && outstanding != 0)) {
    wait_ack(w, outstanding >= bound);
    if (outstanding >= bound)
      return RESP_OK;
  }
  uint64_t most = bound - outstanding;
  if (most > (uint64_t)w->s->conf->batch_entries)
    most = (uint64_t)w->s->conf->batch_entries;
  return take_and_hand_on(w, most, outstanding == 0, err);
}

static void complain(struct worker *w, enum resp_result result, const char *why)
{
  if (result == RESP_FATAL)
    cof_log(w->s->host, COF_LOG_ERROR, "%s; trying again in %d s, which will not help by itself",
            why, FATAL_PAUSE_MS / 1000);
  else
    cof_log(w->s->host, w->complained ? COF_LOG_DEBUG : COF_LOG_WARNING, "%s; trying again", why);
  w->complained = true;
}

static bool is_stopping(struct worker *w)
{
  pthread_mutex_lock(&w->lock);
  bool stopping = w->stopping;
  pthread_mutex_unlock(&w->lock);
  return stopping;
}

static void *work(void *arg)
{
  struct worker *w = arg;
  bool up = false;
  while (!is_stopping(w)) {
    struct cof_error err;
    enum resp_result result = step(w, &err);
    if (result == RESP_STOPPED)
      break;
    if (up != (result == RESP_OK)) {
      up = !up;
      cof_add(w->s->host, w->s->connected, up ? 1 : -1);
    }
    if (result == RESP_OK)
      continue;
    complain(w, result, err.text);
    int pause = result == RESP_FATAL ? FATAL_PAUSE_MS : resp_pause_ms(w->resp);
    if (!resp_sleep(w->resp, pause > LEAST_PAUSE_MS ? pause : LEAST_PAUSE_MS))
      break;
  }
  if (up)
    cof_add(w->s->host, w->s->connected, -1);
  return NULL;
}

enum cof_result worker_start(struct worker *w)
{
  struct cof_error err;
  /* One is enough to tell a wrong password from a server that is down. */
  enum resp_result result = w->index == 0 ? connect_server(w, &err) : RESP_OK;
  if (result == RESP_FATAL) {
    cof_log(w->s->host, COF_LOG_ERROR, "%s", err.text);
    return COF_FATAL;
  }
  if (result != RESP_OK)
    complain(w, result, err.text);
  int error = pthread_create(&w->thread, NULL, work, w);
  if (error != 0) {
    cof_log(w->s->host, COF_LOG_ERROR, "cannot start a thread: %s", strerror(error));
    return COF_FATAL;
  }
  w->running = w->ran = true;
  return COF_OK;
}

void worker_stop(struct worker *w)
{
  if (!w->running)
    return;
  pthread_mutex_lock(&w->lock);
  w->stopping = true;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
  resp_interrupt(w->resp);
  pthread_join(w->thread, NULL);
  w->running = false;
}

/* Acks came in after the thread ended. Should this fail, the entries are counted twice later. */
static void trim_last(struct worker *w)
{
  struct cof_error err;
  if (!w->ran || w->acked == 0)
    return;
  resp_resume(w->resp);
  enum resp_result result = connect_server(w, &err);
  if (result == RESP_OK && !w->settled)
    result = account(w, &err);
  if (result == RESP_OK)
    result = trim(w, &err);
  if (result != RESP_OK)
    cof_log(w->s->host, COF_LOG_WARNING,
            "%s; %llu stored entries stay in %s and will be counted again", err.text,
            (unsigned long long)w->acked, w->list);
}

void worker_destroy(struct worker **worker)
{
  struct worker *w = *worker;
  if (w == NULL)
    return;
  trim_last(w);
  pthread_cond_destroy(&w->changed);
  pthread_mutex_destroy(&w->lock);
  worker_free(w);
  *worker = NULL;
}
