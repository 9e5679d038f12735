/* SPDX-License-Identifier: MIT */
#include "reader_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "priority_private.h"

/* Octets of one read; of one from a connection, of which there may be many. */
#define CHUNK      ((size_t)256 * 1024)
#define PEER_CHUNK ((size_t)64 * 1024)
/* Octets after which another file has its turn. */
#define TURN_OCTETS ((uint64_t)16 * 1024 * 1024)

/* --- objects -----------------------------------------------------------------------------------
 */

/* Memory ran out: give some back, or wait for others to do so. */
static bool recover(struct reader *r)
{
  if (cof_batch_count(r->batch) == 0)
    return reader_starved(r);
  /* The place is behind the object that is not in the batch: it must not be marked. */
  struct source *current = r->current;
  r->current = NULL;
  bool done = reader_flush(r);
  r->current = current;
  return done;
}

/* Note where the last run of context lines begins. */
static void note_context(struct place *p, bool context, uint64_t line_start)
{
  if (context && !p->in_context)
    p->context = line_start;
  p->in_context = context;
}

static struct place *place_of(struct source *s)
{
  return s->stream != NULL ? &s->place : &s->known->read.place;
}

static enum cof_result give_line(struct reader *r, struct source *s, struct cof_follow_line *line,
                                 const char *text, size_t len, struct cof_error *err)
{
  line->struct_size = sizeof *line;
  line->source = s->path;
  line->state = s->state;
  line->context = false;
  line->refused = 1;
  err->text[0] = '\0';
  return r->ops.line(r->arg, line, text, len, r->batch, err);
}

static bool full(const struct reader *r, size_t count)
{
  return count >= (size_t)r->conf->batch_records ||
         cof_batch_bytes(r->batch) >= (size_t)r->conf->batch_bytes;
}

static bool take_object(void *arg, const char *text, size_t len, uint64_t number)
{
  struct reader *r = arg;
  struct source *s = r->current;
  struct split *split = s->own != NULL ? &s->own->split : &r->shared.split;
  struct cof_follow_line line = {.number = number, .unfinished = split->unfinished};
  struct cof_error err;
  enum cof_result result;
  size_t before;
  priority_offer(1);
  /* A batch that recover() changed begins anew. */
  while (before = cof_batch_count(r->batch),
         (result = give_line(r, s, &line, text, len, &err)) == COF_FATAL)
    if (!recover(r))
      return false;
  struct place *place = place_of(s);
  note_context(place, line.context, place->offset - len - (split->unfinished ? 0 : 1));
  if (result != COF_OK)
    cof_reject(r->host, line.refused, "%s:%llu: %s", s->path, (unsigned long long)number, err.text);
  size_t count = cof_batch_count(r->batch);
  if (s->known == NULL)
    r->passing += count - before;
  if (count == 0)
    return true;
  if (before == 0)
    r->batch_since = cof_clock_ns(r->host);
  return full(r, count) ? reader_flush(r) : true;
}

static void broken_text(void *arg, uint64_t line, const char *what)
{
  struct reader *r = arg;
  place_of(r->current)->in_context = false;
  cof_reject(r->host, 1, "%s:%llu: %s", r->current->path, (unsigned long long)line, what);
}

/* --- buffers -----------------------------------------------------------------------------------
 */

static void buffer_begin(struct reader *r, struct buffer *b)
{
  b->len = 0;
  b->chunk = b->chunk != 0 ? b->chunk : CHUNK;
  b->split.max_len = (size_t)r->conf->max_line;
  b->split.object = take_object;
  b->split.broken = broken_text;
  b->split.arg = r;
  split_reset(&b->split);
}

/* Room for another read. What is left untaken is never longer than max_line, so this ends. */
static bool buffer_grow(struct reader *r, struct buffer *b)
{
  if (b->room - b->len >= b->chunk / 2)
    return true;
  size_t most = (size_t)r->conf->max_line + b->chunk;
  size_t room = b->room == 0 ? b->chunk : b->room * 2;
  if (room > most)
    room = most;
  if (room <= b->room)
    return b->len < b->room;
  char *bytes = realloc(b->bytes, room);
  if (bytes == NULL)
    return b->len < b->room;
  b->bytes = bytes;
  b->room = room;
  return true;
}

static void buffer_free(struct buffer **buffer)
{
  if (*buffer == NULL)
    return;
  free((*buffer)->bytes);
  free(*buffer);
  *buffer = NULL;
}

/* --- opening -----------------------------------------------------------------------------------
 */

static uint8_t first_mode(const struct reader *r)
{
  return r->ops.cut == COF_FOLLOW_LINES     ? SPLIT_LINES
         : r->ops.cut == COF_FOLLOW_OBJECTS ? SPLIT_OBJECTS
                                            : SPLIT_UNKNOWN;
}

static void state_end(struct reader *r, struct source *s)
{
  if (r->ops.begin != NULL && s->state != NULL)
    r->ops.end(r->arg, s->state);
  s->state = NULL;
}

static bool state_begin(struct reader *r, struct source *s)
{
  if (r->ops.begin == NULL)
    return true;
  s->state = r->ops.begin(r->arg, s->path);
  return s->state != NULL;
}

static enum opened fail(struct reader *r, struct source *s, int why)
{
  state_end(r, s);
  stream_destroy(&s->stream);
  buffer_free(&s->own);
  if (s->fd >= 0)
    close(s->fd);
  s->fd = -1;
  errno = why;
  return OPENED_FAILED;
}

static enum opened open_stream(struct reader *r, struct source *s, enum stream_kind kind)
{
  s->stream = stream_create(s->fd, kind);
  s->own = calloc(1, sizeof *s->own);
  if (s->stream == NULL || s->own == NULL || !state_begin(r, s))
    return fail(r, s, ENOMEM);
  s->own->chunk = kind == STREAM_SOCKET ? PEER_CHUNK : CHUNK;
  buffer_begin(r, s->own);
  s->place = (struct place){.mode = first_mode(r)};
  return OPENED;
}

static enum opened open_file(struct reader *r, struct source *s, enum stream_kind kind)
{
  enum opened opened = open_stream(r, s, kind);
  if (opened == OPENED)
    cof_add(r->host, r->files, 1);
  return opened;
}

static int64_t mtime_ns(const struct stat *st)
{
  return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void again(struct reader *r, struct source *s, const char *why)
{
  cof_log(r->host, COF_LOG_INFO, "%s: %s; reading it from its beginning", s->path, why);
  positions_forget(r->positions, s->known);
  /* What was said in the lines before no longer holds. */
  if (s->state != NULL) {
    state_end(r, s);
    if (!state_begin(r, s))
      reader_failed(r, s->path, "out of memory");
  }
  s->marked = 0;
  s->known->read.place.mode = first_mode(r);
}

bool source_refresh(struct reader *r, struct source *s)
{
  const struct position *read = &s->known->read;
  struct stat st;
  uint64_t hash;
  if (read->place.offset == 0 || fstat(s->fd, &st) != 0)
    return true;
  if ((uint64_t)st.st_size < read->place.offset) {
    again(r, s, "it is shorter than what was read of it");
    return false;
  }
  if (read->head_len == 0 ||
      (positions_head(s->fd, read->head_len, &hash) && hash == read->head_hash))
    return true;
  again(r, s, "its content is not what was read of it");
  return false;
}

static enum opened open_packed(struct reader *r, struct source *s, const struct stat *st)
{
  struct position *read = &s->known->read;
  if (read->complete && read->size == st->st_size && read->mtime_ns == mtime_ns(st)) {
    close(s->fd);
    s->fd = -1;
    return OPENED_DONE;
  }
  if (read->complete || read->place.offset != 0)
    again(r, s, "it changed since it was read");
  if (r->conf->follow && !r->loading)
    cof_log(r->host, COF_LOG_INFO, "%s: compressed, so it is read once and not followed", s->path);
  return open_file(r, s, STREAM_FILE);
}

/* Hand the last run of context lines to the plugin again. @return false when reading failed */
static bool replay(struct reader *r, struct source *s)
{
  struct place *p = &s->known->read.place;
  if (s->state == NULL || p->offset == 0)
    return true;
  size_t room = COF_FOLLOW_CONTEXT_MAX;
  if (p->offset - p->context < room)
    room = (size_t)(p->offset - p->context);
  char *text = malloc(room + 1);
  ssize_t len = text != NULL ? pread(s->fd, text, room, (off_t)p->context) : -1;
  size_t at = 0, before = cof_batch_count(r->batch);
  p->in_context = true;
  while (len >= 0 && p->in_context) {
    const char *end = memchr(text + at, '\n', (size_t)len - at);
    if (end == NULL)
      break;
    struct cof_follow_line line = {.replayed = true};
    struct cof_error err;
    size_t n = (size_t)(end - text) - at;
    (void)give_line(r, s, &line, text + at, n, &err); /* what is wrong in it was logged before */
    p->in_context = line.context;
    at += n + 1;
  }
  cof_batch_truncate(r->batch, before);
  free(text);
  return len >= 0;
}

enum packing source_packing(const struct source *s)
{
  uint8_t head[SNIFF_LEN];
  ssize_t n = pread(s->fd, head, sizeof head, 0);
  return n > 0 ? stream_sniff(head, (size_t)n, false) : PACKING_UNKNOWN;
}

static enum opened open_regular(struct reader *r, struct source *s, const struct stat *st)
{
  s->known = positions_at(r->positions, st, s->path);
  if (s->known == NULL)
    return fail(r, s, ENOMEM);
  enum packing packing = source_packing(s);
  if (packing == PACKING_GZIP || packing == PACKING_ZSTD)
    return open_packed(r, s, st);
  struct position *read = &s->known->read;
  if (read->complete)
    again(r, s, "it is no longer compressed");
  if (read->place.offset == 0 || source_refresh(r, s)) {
    if (read->place.mode == SPLIT_UNKNOWN)
      read->place.mode = first_mode(r);
  }
  if (read->place.offset == 0)
    cof_add(r->host, r->files, 1);
  s->marked = read->place.offset;
  if ((s->state == NULL && !state_begin(r, s)) || !replay(r, s))
    return fail(r, s, errno != 0 ? errno : ENOMEM);
  return OPENED;
}

enum opened source_open(struct reader *r, struct source *s, const char *path)
{
  struct stat st;
  *s = (struct source){.fd = -1, .path = path};
  bool following = r->conf->follow && !r->loading;
  if (stat(path, &st) != 0)
    return OPENED_FAILED;
  if (S_ISDIR(st.st_mode))
    return fail(r, s, EISDIR);
  /* Open for writing too, a named pipe does not end when a writer leaves it. */
  int flags = S_ISFIFO(st.st_mode) && following ? O_RDWR : O_RDONLY;
  s->fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (s->fd < 0 || fstat(s->fd, &st) != 0)
    return fail(r, s, errno);
  if (S_ISDIR(st.st_mode))
    return fail(r, s, EISDIR);
  if (!S_ISREG(st.st_mode))
    return open_file(r, s, STREAM_PIPE);
  (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return open_regular(r, s, &st);
}

enum opened source_open_stdin(struct reader *r, struct source *s)
{
  *s = (struct source){.fd = -1, .path = "-"};
  s->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  return s->fd < 0 ? OPENED_FAILED : open_file(r, s, STREAM_PIPE);
}

enum opened source_open_socket(struct reader *r, struct source *s, const char *name, int fd,
                               bool datagrams)
{
  *s = (struct source){.fd = fd, .path = name, .peer = true};
  return open_stream(r, s, datagrams ? STREAM_DATAGRAMS : STREAM_SOCKET);
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Note in the known file by what octets it can be told from another one. */
static void update_head(struct source *s)
{
  struct position *read = &s->known->read;
  uint32_t len = read->place.offset < HEAD_MAX ? (uint32_t)read->place.offset : HEAD_MAX;
  uint64_t hash;
  if (read->head_len == len || !positions_head(s->fd, len, &hash))
    return;
  read->head_len = len;
  read->head_hash = hash;
}

static bool mark_known(struct reader *r, struct known *known)
{
  while (!positions_mark(r->positions, known))
    if (!reader_starved(r))
      return false;
  if (r->batch_since == 0 && positions_marks(r->positions) != 0)
    r->batch_since = cof_clock_ns(r->host);
  return true;
}

bool source_mark(struct reader *r, struct source *s)
{
  if (s->known == NULL || s->stream != NULL || s->marked == s->known->read.place.offset)
    return true;
  update_head(s);
  s->marked = s->known->read.place.offset;
  return mark_known(r, s->known);
}

void source_close(struct reader *r, struct source *s)
{
  if (s->fd < 0)
    return;
  state_end(r, s);
  close(s->fd);
  s->fd = -1;
  stream_destroy(&s->stream);
  buffer_free(&s->own);
  if (r->current == s)
    r->current = NULL;
}

void source_complete(struct reader *r, struct source *s)
{
  struct stat st;
  if (s->known == NULL || fstat(s->fd, &st) != 0)
    return;
  s->known->read =
      (struct position){.complete = true, .size = (int64_t)st.st_size, .mtime_ns = mtime_ns(&st)};
  (void)mark_known(r, s->known); /* false: it is not remembered, and read again */
}

void source_say_end(struct reader *r, struct source *s, enum turn state)
{
  if (state == TURN_CUT) {
    cof_log(r->host, COF_LOG_WARNING,
            "%s: the compressed data ends early; what could be read of it is kept", s->path);
    cof_add(r->host, r->errors, 1);
  }
  if (s->stream != NULL && stream_trailing(s->stream))
    cof_log(r->host, COF_LOG_WARNING, "%s: what follows the compressed data was left unread",
            s->path);
}

static enum turn failed(struct reader *r, struct source *s, const char *why)
{
  reader_failed(r, s->path, why);
  return TURN_FAILED;
}

static enum turn fill_plain(struct reader *r, struct source *s, struct buffer *b, size_t *got)
{
  ssize_t n;
  off_t at = (off_t)(s->known->read.place.offset + b->len);
  do
    n = pread(s->fd, b->bytes + b->len, b->room - b->len, at);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return failed(r, s, strerror(errno));
  *got = (size_t)n;
  return n > 0 ? TURN_MORE : TURN_END;
}

/* A peer is gone without an orderly end: an everyday matter, unless it leaves a part of a line. */
static enum turn broken_off(struct reader *r, struct source *s, const struct buffer *b,
                            const char *why)
{
  if (b->len != 0)
    cof_reject(r->host, 1, "%s:%llu: %s within this line", s->path,
               (unsigned long long)s->place.line + 1, why);
  else
    cof_log(r->host, COF_LOG_DEBUG, "%s: %s", s->path, why);
  return TURN_FAILED;
}

static enum turn fill_stream(struct reader *r, struct source *s, struct buffer *b, size_t *got)
{
  struct cof_error err;
  enum stream_result result =
      stream_read(s->stream, b->bytes + b->len, b->room - b->len, got, &err);
  uint64_t octets = stream_octets(s->stream);
  cof_add(r->host, r->bytes, (int64_t)(octets - s->counted));
  atomic_fetch_add(&r->done, octets - s->counted);
  s->counted = octets;
  uint64_t lost = stream_lost(s->stream);
  if (lost != 0)
    cof_reject(r->host, lost, "%s: datagram over %zu octets", s->path, b->room - b->len - 1);
  switch (result) {
  case STREAM_DATA:
    return TURN_MORE;
  case STREAM_WAIT:
    return TURN_WAIT;
  case STREAM_END:
    return TURN_END;
  case STREAM_CUT:
    return TURN_CUT;
  case STREAM_BROKEN:
    reader_failed(r, s->path, err.text);
    return TURN_BROKEN;
  case STREAM_ERROR:
    break;
  }
  return s->peer ? broken_off(r, s, b, err.text) : failed(r, s, err.text);
}

/* Cut what is in the buffer, and count it. */
static void take(struct reader *r, struct source *s, struct buffer *b, bool end)
{
  struct place *place = place_of(s);
  uint64_t offset = place->offset, line = place->line;
  r->current = s;
  size_t taken = split_take(&b->split, place, b->bytes, b->len, end);
  b->len -= taken;
  if (taken > 0 && b->len > 0)
    memmove(b->bytes, b->bytes + taken, b->len);
  if (place->line != line)
    cof_add(r->host, r->lines, (int64_t)(place->line - line));
  if (s->stream == NULL && place->offset != offset) {
    cof_add(r->host, r->bytes, (int64_t)(place->offset - offset));
    atomic_fetch_add(&r->done, place->offset - offset);
  }
}

static enum turn turn(struct reader *r, struct source *s, struct buffer *b, bool final)
{
  for (uint64_t octets = 0; octets < TURN_OCTETS;) {
    size_t got = 0;
    if (reader_ending(r))
      return TURN_STOPPED;
    if (!buffer_grow(r, b))
      return failed(r, s, "out of memory");
    enum turn state = s->stream != NULL ? fill_stream(r, s, b, &got) : fill_plain(r, s, b, &got);
    b->len += got;
    octets += got;
    bool end = state == TURN_BROKEN || (final && (state == TURN_END || state == TURN_CUT));
    if (got > 0 || end)
      take(r, s, b, end);
    if (r->stopped || !reader_flush_old(r))
      return TURN_STOPPED;
    if (state != TURN_MORE)
      return state;
  }
  return TURN_MORE;
}

enum turn source_turn(struct reader *r, struct source *s, bool final)
{
  struct buffer *b = s->own != NULL ? s->own : &r->shared;
  if (b == &r->shared)
    buffer_begin(r, b); /* what another file left there is read again in that file's turn */
  enum turn state = turn(r, s, b, final);
  return state != TURN_STOPPED && source_mark(r, s) ? state : TURN_STOPPED;
}
