/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "scan_private.h"

#include <stdlib.h>
#include <string.h>

#include "log_private.h"

/* Records asked for at once, so that a batch of long ones does not go far beyond its bound. */
#define SLICE        256
#define PAUSE_MIN_MS 100

void scan_begin(struct scan *s, struct instance *storage, struct writer *writer,
                atomic_bool *stopped, const struct cof_query *query)
{
  s->storage = storage;
  s->writer = writer;
  s->stopped = stopped;
  s->query = *query;
  s->resumes = (cof_storage_caps(&storage->host) & COF_CAP_RESUME) != 0;
  s->token_len = 0;
}

static bool token_room(struct scan *s)
{
  if (s->token == NULL)
    s->token = malloc(COF_TOKEN_MAX);
  return s->token != NULL;
}

bool scan_resume(struct scan *s, const void *token, size_t len)
{
  if (len > COF_TOKEN_MAX || !token_room(s))
    return false;
  memcpy(s->token, token, len);
  s->token_len = len;
  return true;
}

void scan_end(struct scan *s)
{
  if (s->cursor != NULL)
    cof_query_close(&s->storage->host, &s->cursor);
}

void scan_free(struct scan *s)
{
  scan_end(s);
  free(s->token);
  s->token = NULL;
}

static enum cof_result open_cursor(struct scan *s, struct cof_error *err)
{
  s->query.token = s->token_len != 0 ? s->token : NULL;
  s->query.token_len = s->token_len;
  return cof_query_open(&s->storage->host, &s->query, &s->cursor, err);
}

/* Some records, with the token behind them. */
static enum cof_result read_slice(struct scan *s, struct cof_batch *batch, size_t max,
                                  struct cof_error *err)
{
  enum cof_result r = s->cursor == NULL ? open_cursor(s, err) : COF_OK;
  size_t before = cof_batch_count(batch);
  if (r == COF_OK)
    r = cof_query_next(&s->storage->host, s->cursor, max < SLICE ? max : SLICE, batch, err);
  if (r != COF_OK || cof_batch_count(batch) == before || !s->resumes)
    return r;
  if (!token_room(s))
    return cof_fail(err, COF_FATAL, "out of memory");
  r = cof_query_token(&s->storage->host, s->cursor, s->token, COF_TOKEN_MAX, &s->token_len);
  return r == COF_OK ? r : cof_fail(err, COF_FATAL, "it gives no resume token");
}

/* A cursor is of no use after a fault; another goes on from the token. */
static bool can_retry(struct scan *s, enum cof_result r)
{
  bool begun = s->cursor != NULL;
  scan_end(s);
  return r == COF_RETRY && (s->resumes || !begun);
}

static enum cof_result read_patiently(struct scan *s, struct cof_batch *batch, size_t max)
{
  struct cof_error err = {""};
  uint64_t pause_ms = PAUSE_MIN_MS;
  size_t before = cof_batch_count(batch);
  for (unsigned attempt = 1; !atomic_load(s->stopped); attempt++) {
    enum cof_result r = read_slice(s, batch, max, &err);
    if (r == COF_OK && attempt > 1)
      log_write(s->storage->source, COF_LOG_INFO, "can be read again, at attempt %u", attempt);
    if (r == COF_OK)
      return COF_OK;
    cof_batch_truncate(batch, before);
    if (!can_retry(s, r)) {
      log_write(s->storage->source, COF_LOG_ERROR, "cannot be read: %s", err.text);
      return COF_FATAL;
    }
    if (attempt == 1)
      log_write(s->storage->source, COF_LOG_WARNING, "cannot be read: %s; trying again", err.text);
    if (!writer_pause(s->writer, &pause_ms))
      break;
  }
  return COF_STOPPED;
}

enum cof_result scan_next(struct scan *s, struct cof_batch *batch, size_t max_records,
                          size_t max_bytes)
{
  enum cof_result r = COF_OK;
  while (r == COF_OK && cof_batch_count(batch) < max_records &&
         cof_batch_bytes(batch) <= max_bytes) {
    size_t before = cof_batch_count(batch);
    r = read_patiently(s, batch, max_records - before);
    if (r == COF_OK && cof_batch_count(batch) == before)
      break;
  }
  return r;
}
