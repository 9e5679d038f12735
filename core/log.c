/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "log_private.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A message octet becomes at most six (\u001b); the rest is for time, level and source. */
#define LINE_MAX_OCTETS (LOG_MESSAGE_MAX * 6 + 1024)
#define SOURCE_MAX      128

/* A process has one stderr, and so one of these. */
static _Atomic int chosen_format = LOG_FORMAT_TEXT;
static _Atomic int chosen_level = COF_LOG_INFO;

/* A line being put together. */
struct line {
  char *text;
  size_t len, cap;
};

/* systemd names device and inode of the stream that it connected. */
static bool stderr_is_journal(void)
{
  const char *stream = getenv("JOURNAL_STREAM");
  uintmax_t device, inode;
  char end;
  if (stream == NULL || sscanf(stream, "%" SCNuMAX ":%" SCNuMAX "%c", &device, &inode, &end) != 2)
    return false;
  struct stat st;
  return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_setup(enum log_format format, enum cof_log_level level)
{
  if (format == LOG_FORMAT_AUTO)
    format = stderr_is_journal() ? LOG_FORMAT_JOURNAL : LOG_FORMAT_TEXT;
  atomic_store(&chosen_format, (int)format);
  atomic_store(&chosen_level, (int)level);
}

enum cof_log_level log_level_at(int index)
{
  static const enum cof_log_level levels[] = {COF_LOG_ERROR, COF_LOG_WARNING, COF_LOG_INFO,
                                              COF_LOG_DEBUG};
  return index >= 0 && index < 4 ? levels[index] : COF_LOG_INFO;
}

bool log_enabled(enum cof_log_level level)
{
  return (int)level <= atomic_load_explicit(&chosen_level, memory_order_relaxed);
}

static const char *level_name(enum cof_log_level level)
{
  switch (level) {
  case COF_LOG_ERROR:
    return "error";
  case COF_LOG_WARNING:
    return "warning";
  case COF_LOG_INFO:
    return "info";
  case COF_LOG_DEBUG:
    return "debug";
  }
  return "unknown";
}

static void put(struct line *line, const char *text, size_t len)
{
  if (len <= line->cap - line->len) {
    memcpy(line->text + line->len, text, len);
    line->len += len;
  }
}

static void put_text(struct line *line, const char *text)
{
  put(line, text, strlen(text));
}

/* Octets of the well-formed UTF-8 character at `s` (RFC 3629 section 4); 0: none. */
static size_t utf8_length(const unsigned char *s)
{
  if (s[0] < 0x80)
    return 1;
  size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4)
    return 0;
  for (size_t i = 1; i < len; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
      (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
    return 0;
  return len;
}

/* C0, DEL and C1 (U+0080 to U+009F), which terminals act on. */
static bool is_control(const unsigned char *s)
{
  return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0);
}

static void put_json_char(struct line *line, const unsigned char *s, size_t len)
{
  char escape[8];
  if (len == 0)
    put_text(line, "\\ufffd");
  else if (*s == '"' || *s == '\\')
    put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\%c", *s));
  else if (is_control(s))
    put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", len == 2 ? s[1] : s[0]));
  else
    put(line, (const char *)s, len);
}

static void put_plain_char(struct line *line, const unsigned char *s, size_t len)
{
  char escape[8];
  if (len > 0 && !is_control(s)) {
    put(line, (const char *)s, len);
    return;
  }
  for (size_t i = 0; i < (len > 0 ? len : 1); i++)
    put(line, escape, (size_t)snprintf(escape, sizeof escape, "\\x%02x", s[i]));
}

static void put_escaped(struct line *line, const char *text, bool json)
{
  const unsigned char *s = (const unsigned char *)text;
  while (*s != '\0') {
    size_t len = utf8_length(s);
    if (json)
      put_json_char(line, s, len);
    else
      put_plain_char(line, s, len);
    s += len > 0 ? len : 1;
  }
}

/* RFC 3339, UTC, milliseconds. */
static void put_time(struct line *line)
{
  struct timespec now = {0};
  struct tm tm = {0};
  char text[64];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &tm);
  int len =
      snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900,
               tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
  if (len > 0 && (size_t)len < sizeof text)
    put(line, text, (size_t)len);
}

static void compose(struct line *line, const char *source, enum cof_log_level level,
                    const char *message)
{
  char priority[16];
  switch ((enum log_format)atomic_load_explicit(&chosen_format, memory_order_relaxed)) {
  case LOG_FORMAT_JSON:
    put_text(line, "{\"time\": \"");
    put_time(line);
    put_text(line, "\", \"level\": \"");
    put_text(line, level_name(level));
    put_text(line, "\", \"source\": \"");
    put_escaped(line, source, true);
    put_text(line, "\", \"message\": \"");
    put_escaped(line, message, true);
    put_text(line, "\"}");
    break;
  case LOG_FORMAT_JOURNAL:
    snprintf(priority, sizeof priority, "<%d>", (int)level);
    put_text(line, priority);
    put_escaped(line, source, false);
    put_text(line, ": ");
    put_escaped(line, message, false);
    break;
  case LOG_FORMAT_AUTO:
  case LOG_FORMAT_TEXT:
    put_time(line);
    put_text(line, " ");
    put_text(line, level_name(level));
    put_text(line, " ");
    put_escaped(line, source, false);
    put_text(line, ": ");
    put_escaped(line, message, false);
    break;
  }
  line->text[line->len++] = '\n';
}

/* A stderr that others made non-blocking is waited for as a blocking one would be. */
static void write_all(const char *text, size_t len)
{
  while (len > 0) {
    ssize_t n = write(STDERR_FILENO, text, len);
    if (n >= 0) {
      text += n;
      len -= (size_t)n;
    } else if (errno == EAGAIN) {
      struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
      if (poll(&ready, 1, -1) < 0 && errno != EINTR)
        return;
    } else if (errno != EINTR) {
      return; /* there is no other place to say so */
    }
  }
}

/* End a text of LOG_MESSAGE_MAX octets in "…", between two characters. */
static void cut(char *message)
{
  size_t end = LOG_MESSAGE_MAX - 3;
  while (end > LOG_MESSAGE_MAX - 8 && ((unsigned char)message[end] & 0xc0) == 0x80)
    end--;
  memcpy(message + end, "…", sizeof "…");
}

void log_vwrite(const char *source, enum cof_log_level level, const char *fmt, va_list ap)
{
  if (!log_enabled(level))
    return;
  int saved = errno;
  char message[LOG_MESSAGE_MAX + 1];
  int len = vsnprintf(message, sizeof message, fmt, ap);
  if (len < 0)
    snprintf(message, sizeof message, "a message that cannot be formatted: %s", fmt);
  else if (len > LOG_MESSAGE_MAX)
    cut(message);
  char short_source[SOURCE_MAX];
  snprintf(short_source, sizeof short_source, "%s", source);
  char text[LINE_MAX_OCTETS];
  struct line line = {.text = text, .cap = sizeof text - 1};
  compose(&line, short_source, level, message);
  write_all(line.text, line.len);
  errno = saved;
}

void log_write(const char *source, enum cof_log_level level, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  log_vwrite(source, level, fmt, ap);
  va_end(ap);
}

/*
 * A leaky bucket in one word: `state` is the time at which all lines written so far are paid for,
 * at one a second. It may lie nine seconds ahead, so that ten lines fit at once.
 */
bool log_limit_allow(struct log_limit *limit, uint64_t now_ns, uint64_t *left_out)
{
  const uint64_t cost = UINT64_C(1000000000), ahead = 9 * cost;
  uint64_t paid = atomic_load_explicit(&limit->state, memory_order_relaxed);
  uint64_t next;
  do {
    uint64_t from = paid > now_ns ? paid : now_ns;
    if (from - now_ns > ahead) {
      atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
      return false;
    }
    next = from + cost;
  } while (!atomic_compare_exchange_weak_explicit(&limit->state, &paid, next, memory_order_relaxed,
                                                  memory_order_relaxed));
  *left_out = log_limit_left_out(limit);
  return true;
}

uint64_t log_limit_left_out(struct log_limit *limit)
{
  return atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
}
