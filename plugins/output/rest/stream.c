/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <string.h>
#include <sys/socket.h>

/* Cut a stream: the connection ends without the last chunk, so that the client sees it. The library
   may leave a connection that it has given up open until its next event, so here is one. */
static ssize_t broken(struct answer *a, const char *why)
{
  struct rest *rest = a->worker->rest;
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(a->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  cof_add(rest->host, rest->metrics.broken, 1);
  cof_log(rest->host, COF_LOG_WARNING, "an answer was cut off after %llu records: %s",
          (unsigned long long)a->written, why);
  if (info != NULL)
    (void)shutdown(info->connect_fd, SHUT_RDWR); /* fails where the client has left */
  return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* The header is out, so the trailer says what cut the answer, and where to go on. */
static void tell_end(struct answer *a)
{
  struct rest *rest = a->worker->rest;
  if (!reply_end_headers(a, a->response, true))
    cof_log(rest->host, COF_LOG_WARNING, "no memory for the trailer X-Cofd-Limited");
  if (!a->limited)
    return;
  cof_add(rest->host, rest->metrics.limited, 1);
  cof_log(rest->host, COF_LOG_INFO, "an answer ended at max_records = %llu",
          (unsigned long long)a->settings->max_records);
}

static ssize_t refill(struct answer *a)
{
  struct rest *rest = a->worker->rest;
  struct cof_error err = {""};
  answer_rewind(a);
  if (atomic_load(&rest->cut))
    return broken(a, "cofd is stopping");
  enum cof_result r = answer_render(a, STREAM_STEP, &err);
  if (r != COF_OK)
    return broken(a, err.text);
  if (a->complete)
    tell_end(a);
  return 0;
}

/* Move text to where it is sent from, compressed or as it is. */
static size_t move(struct answer *a, char *buf, size_t max)
{
  size_t left = a->text_len - a->pos, used, n;
  if (a->gzip != NULL) {
    n = gzip_part(a->gzip, a->text + a->pos, left, a->complete, &used, buf, max);
  } else {
    n = used = left < max ? left : max;
    memcpy(buf, a->text + a->pos, n);
  }
  a->pos += used;
  return n;
}

ssize_t answer_stream(void *cls, uint64_t pos, char *buf, size_t max)
{
  struct answer *a = cls;
  struct rest *rest = a->worker->rest;
  (void)pos;
  for (;;) {
    size_t n = move(a, buf, max);
    if (n > 0) {
      cof_add(rest->host, rest->metrics.bytes, (int64_t)n);
      a->sent += n;
      return (ssize_t)n;
    }
    if (a->complete)
      return MHD_CONTENT_READER_END_OF_STREAM;
    ssize_t r = refill(a);
    if (r != 0)
      return r;
  }
}
