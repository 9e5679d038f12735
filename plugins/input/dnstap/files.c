/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnstap_private.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Octets of one read. */
#define CHUNK ((size_t)256 * 1024)
/* Octets after which sockets have their turn. */
#define TURN_OCTETS ((uint64_t)4 * 1024 * 1024)

struct files {
  struct tap *t;
  glob_t list; /* what is to be read in this round */
  bool listed;
  size_t next;        /* of the list */
  uint64_t next_look; /* clock; files are followed */
  bool first;         /* round */

  /* The open file. */
  int fd; /* -1: none */
  const char *path;
  struct known *known;
  struct stream stream;
  uint64_t read, skip; /* octets read; octets of a frame too big, to be skipped */
  uint8_t *octets;
  size_t len;
};

static size_t room(const struct files *f)
{
  return (size_t)f->t->conf->max_frame + CONTROL_HEAD + CHUNK;
}

struct files *files_create(struct tap *t)
{
  struct files *f = calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  f->t = t;
  f->fd = -1;
  f->first = true;
  f->octets = malloc(room(f));
  if (f->octets == NULL)
    files_destroy(&f);
  return f;
}

static void close_file(struct files *f)
{
  if (f->fd >= 0) {
    close(f->fd);
    f->known->open = false;
  }
  f->fd = -1;
  stream_end(&f->stream);
}

void files_destroy(struct files **files)
{
  struct files *f = *files;
  if (f == NULL)
    return;
  close_file(f);
  if (f->listed)
    globfree(&f->list);
  free(f->octets);
  free(f);
  *files = NULL;
}

bool files_mark(struct files *f)
{
  return f->fd < 0 || f->known->taken == f->known->marked ||
         positions_mark(f->t->positions, f->known, f->fd, f->t->token + 1);
}

/* --- which ------------------------------------------------------------------------------------ */

static void failed(struct files *f, const char *path, const char *why)
{
  cof_log(f->t->host, COF_LOG_ERROR, "%s: %s", path, why);
  cof_add(f->t->host, f->t->metrics.errors, 1);
}

static bool is_directory(const char *path)
{
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool exists(const char *path)
{
  struct stat st;
  return lstat(path, &st) == 0;
}

/* Characters that glob() takes as they are. */
static size_t escape(const char *path, char *out, size_t cap)
{
  size_t n = 0;
  for (; *path != '\0' && n + 2 < cap; path++) {
    if (strchr("*?[\\", *path) != NULL)
      out[n++] = '\\';
    out[n++] = *path;
  }
  out[n] = '\0';
  return *path == '\0' ? n : cap;
}

/* Add what a name stands for. False: out of memory, or too long */
static bool add_spec(struct files *f, const char *spec)
{
  char pattern[PATH_MAX + 2];
  int flags = GLOB_NOCHECK | (f->listed ? GLOB_APPEND : 0);
  if (exists(spec)) {
    size_t n = escape(spec, pattern, PATH_MAX);
    if (n >= PATH_MAX)
      return false;
    if (is_directory(spec)) {
      memcpy(pattern + n, "/*", 3);
      flags &= ~GLOB_NOCHECK;
    }
    spec = pattern;
  }
  int result = glob(spec, flags, NULL, &f->list);
  f->listed = true;
  return result == 0 || result == GLOB_NOMATCH;
}

static void look(struct files *f)
{
  struct tap *t = f->t;
  const char *const *specs = t->loading ? t->load_paths : (const char *const *)t->conf->path.items;
  size_t count = t->loading ? t->load_count : t->conf->path.count;
  if (f->listed)
    globfree(&f->list);
  f->listed = false;
  f->list = (glob_t){0};
  f->next = 0;
  for (size_t i = 0; i < count; i++)
    if (!add_spec(f, specs[i]))
      failed(f, specs[i], "out of memory, or a name too long");
  f->next_look = cof_clock_ns(t->host) + (uint64_t)t->conf->poll_interval * MS_NS;
}

static bool is_over(const struct files *f)
{
  return f->fd < 0 && f->listed && f->next >= f->list.gl_pathc;
}

int files_due(const struct files *f)
{
  if (!is_over(f))
    return 0;
  if (!f->t->conf->follow || f->t->loading)
    return -1;
  uint64_t now = cof_clock_ns(f->t->host);
  return now >= f->next_look ? 0 : (int)((f->next_look - now + MS_NS - 1) / MS_NS);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void missing(struct files *f, const char *path)
{
  if (f->t->loading || errno != ENOENT)
    failed(f, path, strerror(errno));
  else if (f->first)
    cof_log(f->t->host, COF_LOG_WARNING, "%s: no file of that name%s", path,
            f->t->conf->follow ? "; waiting for one" : "");
}

/* Whether there is something to read in a file, told before it is opened. */
static bool has_news(struct files *f, const char *path, struct stat *st)
{
  struct known *k;
  if (stat(path, st) != 0) {
    missing(f, path);
    return false;
  }
  if (S_ISDIR(st->st_mode))
    return false;
  if (!S_ISREG(st->st_mode)) {
    if (f->first)
      failed(f, path, "not a regular file");
    return false;
  }
  k = positions_find(f->t->positions, st);
  if (k == NULL) {
    failed(f, path, "out of memory");
    return false;
  }
  f->known = k;
  uint64_t size = (uint64_t)st->st_size;
  return size < k->taken || (!k->dropped && size != k->taken && size != k->looked_at);
}

static bool begin_file(struct files *f, const struct stat *st)
{
  struct known *k = f->known;
  if (!positions_check(f->t->positions, k, f->fd, st))
    cof_log(f->t->host, COF_LOG_INFO, "%s: not what was read of it; reading it from its beginning",
            f->path);
  if (k->taken > (uint64_t)INT64_MAX || lseek(f->fd, (off_t)k->taken, SEEK_SET) < 0)
    return false;
  f->read = k->taken;
  f->skip = 0;
  f->len = 0;
  if (k->looked_at == 0)
    cof_add(f->t->host, f->t->metrics.files, 1);
  return stream_begin(&f->stream, k->taken != 0 ? STREAM_REST : STREAM_FILE);
}

static void open_file(struct files *f, const char *path)
{
  struct stat st;
  if (!has_news(f, path, &st))
    return;
  f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (f->fd < 0) {
    missing(f, path);
    return;
  }
  f->path = path;
  /* It may be another one by now. */
  struct known *known = fstat(f->fd, &st) == 0 ? positions_find(f->t->positions, &st) : NULL;
  f->known = known != NULL ? known : f->known;
  f->known->open = true;
  if (known == NULL || !begin_file(f, &st)) {
    failed(f, path, "out of memory, or it cannot be read from where reading left off");
    close_file(f);
  }
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Where the octets in the buffer begin. */
static uint64_t place(const struct files *f)
{
  return f->read - f->len;
}

static void drop_file(struct files *f, const char *why)
{
  cof_log(f->t->host, COF_LOG_ERROR, "%s: at octet %llu: %s; it is not read any further", f->path,
          (unsigned long long)place(f), why);
  cof_add(f->t->host, f->t->metrics.errors, 1);
  f->known->dropped = true;
}

/* Say what is remarkable, and let its position go out with the batch. */
static void end_file(struct files *f)
{
  struct tap *t = f->t;
  bool follow = t->conf->follow && !t->loading;
  f->known->looked_at = f->read;
  if (!f->known->dropped && !follow && (f->len != 0 || f->skip != 0))
    cof_log(t->host, COF_LOG_WARNING, "%s: ends within a frame, which is left out", f->path);
  if (!files_mark(f))
    cof_log(t->host, COF_LOG_ERROR, "%s: out of memory; it will be read again", f->path);
  close_file(f);
}

/* @return false: no further */
static bool take_frame(struct files *f, const struct frame *frame)
{
  struct cof_error err;
  uint64_t at = place(f);
  switch (stream_take(&f->stream, frame, &err)) {
  case STREAM_PAYLOAD:
    return tap_take(f->t, frame, f->path, at);
  case STREAM_BROKEN:
    drop_file(f, err.text);
    return false;
  default:
    return true;
  }
}

/* A frame that is longer than any: what is behind it may be good. */
static bool skip_frame(struct files *f, const struct frame *frame)
{
  if (frame->control || !f->stream.open) {
    drop_file(f, frame->control ? "a control frame of more than 512 octets"
                                : "begins with no frame of this protocol");
    return false;
  }
  cof_reject(f->t->host, 1, "%s: at octet %llu: a frame of %zu octets, more than max_frame (%lld)",
             f->path, (unsigned long long)place(f), frame->len, (long long)f->t->conf->max_frame);
  f->skip = frame->whole;
  return true;
}

static void skip_some(struct files *f)
{
  size_t some = f->len < f->skip ? f->len : (size_t)f->skip;
  if (some == 0)
    return;
  f->len -= some;
  f->skip -= some;
  memmove(f->octets, f->octets + some, f->len);
  if (f->skip == 0)
    f->known->taken = place(f);
}

static bool flush_full(struct tap *t)
{
  if (cof_batch_count(t->batch) < (size_t)t->conf->batch_records &&
      cof_batch_bytes(t->batch) < (size_t)t->conf->batch_bytes)
    return true;
  return tap_flush(t);
}

/* Take what is whole in the buffer, up to a frame that is too big. @return false: no further */
static bool take_frames(struct files *f)
{
  size_t all = f->len, at = 0;
  bool good = true;
  while (good && f->skip == 0) {
    struct frame frame;
    enum cut cut = frame_cut(f->octets + at, all - at, (size_t)f->t->conf->max_frame, &frame);
    if (cut == CUT_MORE)
      break;
    if (cut == CUT_TOO_BIG) {
      good = skip_frame(f, &frame);
      break;
    }
    good = take_frame(f, &frame);
    if (!good)
      break;
    at += frame.whole;
    f->len = all - at; /* for place() */
    f->known->taken = place(f);
    good = flush_full(f->t);
  }
  f->len = all - at;
  memmove(f->octets, f->octets + at, f->len);
  return good;
}

static void read_some(struct files *f)
{
  struct tap *t = f->t;
  ssize_t n = read(f->fd, f->octets + f->len, room(f) - f->len);
  if (n < 0 && errno == EINTR)
    return;
  if (n < 0) {
    failed(f, f->path, strerror(errno));
    f->known->dropped = true;
  }
  if (n <= 0) {
    end_file(f);
    return;
  }
  f->read += (uint64_t)n;
  f->len += (size_t)n;
  cof_add(t->host, t->metrics.bytes, n);
  atomic_fetch_add(&t->done, (uint_fast64_t)n);
  bool good;
  do {
    skip_some(f);
    good = take_frames(f);
  } while (good && f->skip != 0 && f->len != 0);
  if (!good && !tap_ending(t))
    end_file(f);
}

static void total(struct files *f)
{
  struct stat st;
  uint64_t sum = 0;
  for (size_t i = 0; i < f->list.gl_pathc; i++)
    if (stat(f->list.gl_pathv[i], &st) == 0 && S_ISREG(st.st_mode))
      sum += (uint64_t)st.st_size;
  atomic_store(&f->t->total, sum);
}

void files_turn(struct files *f)
{
  uint64_t until = f->read + TURN_OCTETS;
  if (!f->listed || is_over(f)) {
    f->first = !f->listed;
    look(f);
    if (f->t->loading)
      total(f);
  }
  while (f->fd < 0 && f->next < f->list.gl_pathc && !tap_ending(f->t)) {
    open_file(f, f->list.gl_pathv[f->next++]);
    until = f->read + TURN_OCTETS;
  }
  while (f->fd >= 0 && f->read < until && !tap_ending(f->t))
    read_some(f);
}
