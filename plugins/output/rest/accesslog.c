/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "accesslog_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "access_private.h"

/* Most octets of a line, so that one write() takes it whole; what is longer is cut in its target.
 */
#define LINE_MAX_OCTETS 4096
#define TARGET_MAX      3000

struct access_log {
  struct cof_host *host;
  struct cof_metric *lost;
  atomic_bool failing; /* the last line could not be written, and the log says so */
  int fd;              /* -1: cofd's log */
  enum access_format format;
};

/* --- opening -------------------------------------------------------------------------------- */

static bool is_log(const char *path)
{
  return strcmp(path, "log") == 0;
}

struct access_log *access_log_open(struct cof_host *host, const char *path,
                                   enum access_format format, struct cof_error *err)
{
  struct access_log *log = calloc(1, sizeof *log);
  if (log == NULL) {
    (void)cof_fail(err, COF_FATAL, "out of memory");
    return NULL;
  }
  log->host = host;
  log->format = format;
  log->fd = -1;
  log->lost = cof_metric(host, COF_COUNTER, "access_log_lost", "lines",
                         "Lines that could not be written to the access log.");
  if (!is_log(path)) {
    log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (log->fd < 0) {
      (void)cof_fail(err, COF_REJECT, "%s: %s", path, strerror(errno));
      access_log_close(&log);
    }
  }
  return log;
}

void access_log_close(struct access_log **log)
{
  if (*log != NULL && (*log)->fd >= 0)
    close((*log)->fd);
  free(*log);
  *log = NULL;
}

enum cof_result access_log_check(const char *path, struct cof_error *err)
{
  const char *slash = strrchr(path, '/');
  char *dir =
      slash == NULL ? strdup(".") : strndup(path, slash > path ? (size_t)(slash - path) : 1);
  if (is_log(path) || access(path, W_OK) == 0) {
    free(dir);
    return COF_OK;
  }
  int saved = errno;
  enum cof_result r = COF_OK;
  if (dir == NULL)
    r = cof_fail(err, COF_FATAL, "out of memory");
  else if (saved != ENOENT)
    r = cof_fail(err, COF_REJECT, "%s: %s", path, strerror(saved));
  else if (access(dir, W_OK | X_OK) != 0)
    r = cof_fail(err, COF_REJECT, "%s: cannot be made in %s: %s", path, dir, strerror(errno));
  free(dir);
  return r;
}

/* --- what was asked ------------------------------------------------------------------------- */

/* A text of bounded size. */
struct buffer {
  char *at;
  size_t len, room;
};

static void put(struct buffer *b, const char *text, size_t len)
{
  if (len > b->room - b->len)
    len = b->room - b->len;
  memcpy(b->at + b->len, text, len);
  b->len += len;
}

static enum MHD_Result put_argument(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
  struct buffer *b = cls;
  (void)kind;
  put(b, memchr(b->at, '?', b->len) == NULL ? "?" : "&", 1);
  put(b, key, strlen(key));
  if (value != NULL) {
    put(b, "=", 1);
    put(b, value, strlen(value));
  }
  return b->len < b->room ? MHD_YES : MHD_NO;
}

char *access_target(struct MHD_Connection *connection, const char *url, bool hidden)
{
  struct buffer b = {malloc(TARGET_MAX + 1), 0, TARGET_MAX};
  if (b.at == NULL)
    return NULL;
  if (hidden) {
    size_t shown = access_prefix(url);
    put(&b, url, shown);
    if (url[shown] != '\0')
      put(&b, "-", 1);
  } else {
    put(&b, url, strlen(url));
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, put_argument, &b);
  }
  b.at[b.len] = '\0';
  return b.at;
}

/* --- lines ---------------------------------------------------------------------------------- */

/* Text of the client within quotes: whatever could end them, or a line, as an escape. */
static void put_quoted(struct buffer *b, const char *text, const char *escape)
{
  char one[16];
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\')
      put(b, text, 1);
    else
      put(b, one, (size_t)snprintf(one, sizeof one, escape, (unsigned)c));
  }
}

__attribute__((format(printf, 2, 3))) static void put_format(struct buffer *b, const char *fmt, ...)
{
  char text[160];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (n > 0)
    put(b, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static const char *client_text(const struct access_line *l, char out[COF_ADDR_TEXT_MAX])
{
  strcpy(out, "-");
  if (l->client->family != 0)
    cof_addr_text(l->client, out);
  return out;
}

static void write_common(struct buffer *b, const struct access_line *l, const struct tm *tm)
{
  static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char client[COF_ADDR_TEXT_MAX];
  put_format(b, "%s - %s [%02d/%s/%04d:%02d:%02d:%02d +0000] \"", client_text(l, client),
             l->user[0] != '\0' ? l->user : "-", tm->tm_mday, months[tm->tm_mon % 12],
             tm->tm_year + 1900, tm->tm_hour, tm->tm_min, tm->tm_sec);
  put_quoted(b, l->method, "\\x%02x");
  put(b, " ", 1);
  put_quoted(b, l->target, "\\x%02x");
  put_format(b, " %.16s\" %u %" PRIu64 "\n", l->version, l->status, l->bytes);
}

static void write_json(struct buffer *b, const struct access_line *l, const struct tm *tm)
{
  char client[COF_ADDR_TEXT_MAX];
  put_format(b, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\",\"client\":\"%s\",\"user\":\"%s\"",
             tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec,
             client_text(l, client), l->user);
  put(b, ",\"method\":\"", 11);
  put_quoted(b, l->method, "\\u%04x");
  put(b, "\",\"target\":\"", 12);
  put_quoted(b, l->target, "\\u%04x");
  put_format(b,
             "\",\"status\":%u,\"bytes\":%" PRIu64 ",\"records\":%" PRIu64 ",\"ms\":%" PRIu64
             ".%03u}\n",
             l->status, l->bytes, l->records, l->duration_ns / 1000000,
             (unsigned)(l->duration_ns / 1000 % 1000));
}

/* Once for each time that it begins. */
static void tell_failure(struct access_log *log, const char *why)
{
  cof_add(log->host, log->lost, 1);
  if (!atomic_exchange(&log->failing, true))
    cof_log(
        log->host, COF_LOG_ERROR,
        "the access log cannot be written: %s; the counter access_log_lost tells how many lines "
        "are lost",
        why);
}

void access_log_write(struct access_log *log, const struct access_line *line)
{
  char text[LINE_MAX_OCTETS * 7]; /* the target may become six times as long */
  struct buffer b = {text, 0, sizeof text - 1};
  struct tm tm;
  time_t now = time(NULL);
  if (gmtime_r(&now, &tm) == NULL)
    return;
  if (log->format == ACCESS_JSON)
    write_json(&b, line, &tm);
  else
    write_common(&b, line, &tm);
  text[b.len] = '\0';
  if (log->fd < 0) {
    cof_log(log->host, COF_LOG_INFO, "%.*s", (int)b.len - 1, text);
    return;
  }
  ssize_t n = write(log->fd, text, b.len);
  if (n == (ssize_t)b.len)
    atomic_store(&log->failing, false);
  else
    tell_failure(log, n < 0 ? strerror(errno) : "only a part of a line fitted");
}
