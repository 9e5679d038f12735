/* SPDX-License-Identifier: MIT */
#include "positions_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define HEADER "cofd-positions 1\n"
/* A file that was not there for so long is forgotten. */
#define KEEP_SECONDS (INT64_C(30) * 86400)
#define SAVE_NS      UINT64_C(1000000000)
/* A save of very many files is made rarer, so that it takes no more than a part in so many. */
#define SAVE_SHARE 20

struct mark {
  struct known *known;
  uint32_t generation;
  struct position position;
};

/* A batch on its way: what is durable once it is. */
struct sent {
  struct sent *next;
  uint64_t token;
  bool settled;
  enum cof_result result;
  size_t count;
  struct mark marks[];
};

struct positions {
  struct cof_host *host;
  char *file, *lock_file;
  int lock_fd;          /* held while this is: two that save over each other would skip records */
  pthread_mutex_t lock; /* of everything but `marks`, and of the files' acked positions */
  struct known **table;
  size_t room, count;
  struct mark *marks; /* of the batch being filled; the reader's own */
  size_t marks_count, marks_room;
  struct sent *sent, **sent_end;
  bool frozen; /* some batch was not stored: nothing after it may be taken as done */
  bool dirty;
  uint64_t next_save;
  bool save_failed;
};

static uint64_t hash_octets(uint64_t hash, const void *octets, size_t len)
{
  const uint8_t *p = octets;
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
  return hash;
}

bool positions_head(int fd, uint32_t len, uint64_t *hash)
{
  char head[HEAD_MAX];
  size_t have = 0;
  while (have < len) {
    ssize_t n = pread(fd, head + have, len - have, (off_t)have);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    have += (size_t)n;
  }
  *hash = hash_octets(UINT64_C(0xcbf29ce484222325), head, len);
  return true;
}

struct positions *positions_create(struct cof_host *host, const char *file)
{
  struct positions *p = calloc(1, sizeof *p);
  if (p == NULL)
    return NULL;
  if (pthread_mutex_init(&p->lock, NULL) != 0) {
    free(p);
    return NULL;
  }
  p->host = host;
  p->sent_end = &p->sent;
  p->lock_fd = -1;
  p->file = file != NULL ? strdup(file) : NULL;
  if (file != NULL && (p->file == NULL || asprintf(&p->lock_file, "%s.lock", file) < 0)) {
    p->lock_file = NULL;
    positions_destroy(&p);
  }
  return p;
}

void positions_destroy(struct positions **positions)
{
  struct positions *p = *positions;
  if (p == NULL)
    return;
  for (size_t i = 0; i < p->room; i++)
    for (struct known *next, *k = p->table[i]; k != NULL; k = next) {
      next = k->next;
      free(k->path);
      free(k);
    }
  for (struct sent *next, *s = p->sent; s != NULL; s = next) {
    next = s->next;
    free(s);
  }
  if (p->lock_fd >= 0) {
    (void)unlink(p->lock_file); /* one that is left does no harm */
    close(p->lock_fd);
  }
  free(p->table);
  free(p->marks);
  free(p->file);
  free(p->lock_file);
  pthread_mutex_destroy(&p->lock);
  free(p);
  *positions = NULL;
}

/* --- the table ---------------------------------------------------------------------------------
 */

static size_t slot_of(const struct positions *p, uint64_t dev, uint64_t ino)
{
  uint64_t hash = (ino ^ (dev << 32 | dev >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(hash >> 32) & (p->room - 1);
}

static bool grow_table(struct positions *p)
{
  if (p->count < p->room)
    return true;
  struct known **old = p->table;
  size_t old_room = p->room, room = old_room != 0 ? old_room * 2 : 64;
  struct known **table = calloc(room, sizeof *table);
  if (table == NULL)
    return false;
  p->table = table;
  p->room = room;
  for (size_t i = 0; i < old_room; i++)
    for (struct known *next, *k = old[i]; k != NULL; k = next) {
      next = k->next;
      size_t slot = slot_of(p, k->dev, k->ino);
      k->next = table[slot];
      table[slot] = k;
    }
  free(old);
  return true;
}

static struct known *find(const struct positions *p, uint64_t dev, uint64_t ino)
{
  if (p->room == 0)
    return NULL;
  struct known *k = p->table[slot_of(p, dev, ino)];
  while (k != NULL && (k->dev != dev || k->ino != ino))
    k = k->next;
  return k;
}

static struct known *add(struct positions *p, uint64_t dev, uint64_t ino)
{
  struct known *k = grow_table(p) ? calloc(1, sizeof *k) : NULL;
  if (k == NULL)
    return NULL;
  k->dev = dev;
  k->ino = ino;
  size_t slot = slot_of(p, dev, ino);
  k->next = p->table[slot];
  p->table[slot] = k;
  p->count++;
  return k;
}

static bool set_path(struct known *k, const char *path)
{
  if (k->path != NULL && strcmp(k->path, path) == 0)
    return true;
  char *copy = strdup(path);
  if (copy == NULL)
    return false;
  free(k->path);
  k->path = copy;
  return true;
}

struct known *positions_at(struct positions *p, const struct stat *st, const char *path)
{
  pthread_mutex_lock(&p->lock);
  uint64_t dev = (uint64_t)st->st_dev, ino = (uint64_t)st->st_ino;
  struct known *k = find(p, dev, ino);
  if (k == NULL)
    k = add(p, dev, ino);
  if (k != NULL && !set_path(k, path))
    k = NULL;
  if (k != NULL) {
    k->seen = (int64_t)time(NULL);
  }
  pthread_mutex_unlock(&p->lock);
  return k;
}

void positions_forget(struct positions *p, struct known *k)
{
  pthread_mutex_lock(&p->lock);
  k->generation++;
  k->read = (struct position){0};
  k->acked = (struct position){0};
  p->dirty = true;
  pthread_mutex_unlock(&p->lock);
}

/* --- batches on their way ----------------------------------------------------------------------
 */

bool positions_mark(struct positions *p, struct known *k)
{
  if (p->file == NULL)
    return true;
  struct mark *last = p->marks_count != 0 ? &p->marks[p->marks_count - 1] : NULL;
  if (last == NULL || last->known != k) {
    if (p->marks_count == p->marks_room) {
      size_t room = p->marks_room != 0 ? p->marks_room * 2 : 16;
      struct mark *marks = realloc(p->marks, room * sizeof *marks);
      if (marks == NULL)
        return false;
      p->marks = marks;
      p->marks_room = room;
    }
    last = &p->marks[p->marks_count++];
  }
  *last = (struct mark){.known = k, .generation = k->generation, .position = k->read};
  return true;
}

size_t positions_marks(const struct positions *p)
{
  return p->marks_count;
}

bool positions_emit(struct positions *p, uint64_t token)
{
  if (p->file == NULL)
    return true;
  struct sent *s = malloc(sizeof *s + p->marks_count * sizeof *s->marks);
  if (s == NULL)
    return false;
  *s = (struct sent){.token = token, .count = p->marks_count};
  if (p->marks_count != 0)
    memcpy(s->marks, p->marks, p->marks_count * sizeof *s->marks);
  p->marks_count = 0;
  pthread_mutex_lock(&p->lock);
  *p->sent_end = s;
  p->sent_end = &s->next;
  pthread_mutex_unlock(&p->lock);
  return true;
}

static void apply(struct positions *p, const struct sent *s)
{
  for (size_t i = 0; i < s->count; i++) {
    const struct mark *m = &s->marks[i];
    if (m->generation == m->known->generation)
      m->known->acked = m->position;
  }
  p->dirty = p->dirty || s->count != 0;
}

void positions_ack(struct positions *p, uint64_t token, enum cof_result result)
{
  pthread_mutex_lock(&p->lock);
  struct sent *s = p->sent;
  while (s != NULL && s->token != token)
    s = s->next;
  if (s != NULL) {
    s->settled = true;
    s->result = result;
  }
  /* Only what everything before it is durable too may count. */
  while (p->sent != NULL && p->sent->settled) {
    struct sent *first = p->sent;
    p->sent = first->next;
    if (p->sent == NULL)
      p->sent_end = &p->sent;
    if (first->result != COF_OK)
      p->frozen = true;
    else if (!p->frozen)
      apply(p, first);
    free(first);
  }
  pthread_mutex_unlock(&p->lock);
}

bool positions_pending(struct positions *p)
{
  pthread_mutex_lock(&p->lock);
  bool pending = p->file != NULL && (p->dirty || p->sent != NULL);
  pthread_mutex_unlock(&p->lock);
  return pending;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static void write_path(FILE *out, const char *path)
{
  for (; *path != '\0'; path++) {
    if (*path == '\n')
      fputs("\\n", out);
    else if (*path == '\\')
      fputs("\\\\", out);
    else
      fputc(*path, out);
  }
  fputc('\n', out);
}

static bool is_there(const struct known *k)
{
  struct stat st;
  return k->path != NULL && stat(k->path, &st) == 0 && (uint64_t)st.st_dev == k->dev &&
         (uint64_t)st.st_ino == k->ino;
}

/* What is not read as a whole has a place of its context lines in the column of the size. */
static void write_known(FILE *out, const struct known *k)
{
  const struct position *a = &k->acked;
  int64_t size = a->complete ? a->size : (int64_t)a->place.context;
  fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %u %" PRIu32 " %d %d", k->dev,
          k->ino, a->place.offset, a->place.line, a->place.mode, a->place.skip, a->place.depth,
          a->place.in_string, a->place.escape);
  fprintf(out, " %" PRIu32 " %" PRIx64 " %d %" PRId64 " %" PRId64 " %" PRId64 " ", a->head_len,
          a->head_hash, a->complete, size, a->mtime_ns, k->seen);
  write_path(out, k->path != NULL ? k->path : "");
}

/* The whole text, so that acks need not wait for the disk. */
static char *compose(struct positions *p, size_t *len)
{
  char *text = NULL;
  FILE *out = open_memstream(&text, len);
  if (out == NULL)
    return NULL;
  int64_t now = (int64_t)time(NULL);
  fputs(HEADER, out);
  for (size_t i = 0; i < p->room; i++)
    for (struct known *k = p->table[i]; k != NULL; k = k->next) {
      if (k->acked.place.offset == 0 && !k->acked.complete)
        continue;
      if (now - k->seen > KEEP_SECONDS && (k->owner != NULL || is_there(k)))
        k->seen = now;
      if (now - k->seen <= KEEP_SECONDS)
        write_known(out, k);
    }
  if (ferror(out) != 0) {
    fclose(out);
    free(text);
    return NULL;
  }
  if (fclose(out) != 0) {
    free(text);
    return NULL;
  }
  return text;
}

static bool write_all(int fd, const char *text, size_t len)
{
  while (len > 0) {
    ssize_t n = write(fd, text, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    text += n;
    len -= (size_t)n;
  }
  return true;
}

static bool sync_directory(const char *file)
{
  char *copy = strdup(file);
  if (copy == NULL)
    return false;
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool done = fd >= 0 && fsync(fd) == 0;
  int why = errno;
  if (fd >= 0)
    close(fd);
  free(copy);
  errno = why;
  return done;
}

/* Replace the file: after a crash it is the old one or the new one, whole. */
static bool replace(const char *file, const char *text, size_t len)
{
  char *fresh = NULL;
  if (asprintf(&fresh, "%s.new", file) < 0)
    return false;
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool done = fd >= 0 && write_all(fd, text, len) && fsync(fd) == 0;
  int why = errno;
  if (fd >= 0 && close(fd) != 0 && done) {
    why = errno;
    done = false;
  }
  if (done && (rename(fresh, file) != 0 || !sync_directory(file))) {
    why = errno;
    done = false;
  }
  free(fresh);
  errno = why;
  return done;
}

static void say_saved(struct positions *p, bool done)
{
  if (!done && !p->save_failed)
    cof_log(p->host, COF_LOG_ERROR, "%s: cannot remember positions: %s; trying again", p->file,
            strerror(errno));
  if (done && p->save_failed)
    cof_log(p->host, COF_LOG_INFO, "%s: positions are remembered again", p->file);
  p->save_failed = !done;
}

void positions_save(struct positions *p, bool force)
{
  uint64_t now = cof_clock_ns(p->host);
  size_t len = 0;
  pthread_mutex_lock(&p->lock);
  bool due = p->file != NULL && p->dirty && (force || now >= p->next_save);
  char *text = due ? compose(p, &len) : NULL;
  if (text != NULL)
    p->dirty = false;
  pthread_mutex_unlock(&p->lock);
  if (!due)
    return;
  errno = ENOMEM;
  bool done = text != NULL && replace(p->file, text, len);
  say_saved(p, done);
  free(text);
  uint64_t after = cof_clock_ns(p->host), pause = (after - now) * SAVE_SHARE;
  pthread_mutex_lock(&p->lock);
  p->dirty = p->dirty || !done;
  p->next_save = after + (pause > SAVE_NS ? pause : SAVE_NS);
  pthread_mutex_unlock(&p->lock);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static bool read_path(const char *text, struct known *k)
{
  size_t len = strlen(text), at = 0;
  char *path = malloc(len + 1);
  if (path == NULL)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '\\' && i + 1 < len)
      path[at++] = text[++i] == 'n' ? '\n' : text[i];
    else
      path[at++] = text[i];
  }
  path[at] = '\0';
  free(k->path);
  k->path = path;
  return true;
}

static bool plausible(const struct position *a)
{
  return a->place.mode <= SPLIT_OBJECTS && a->place.skip <= SKIP_JUNK && a->head_len <= HEAD_MAX &&
         a->place.offset <= INT64_MAX && a->place.context <= a->place.offset;
}

/* One line of the file. */
static bool read_known(struct positions *p, const char *line)
{
  uint64_t dev, ino;
  unsigned mode, skip;
  int in_string, escape, complete, path_at = -1;
  int64_t seen;
  struct position a = {0};
  int n =
      sscanf(line,
             "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %u %u %" SCNu32 " %d %d %" SCNu32
             " %" SCNx64 " %d %" SCNd64 " %" SCNd64 " %" SCNd64 "%n",
             &dev, &ino, &a.place.offset, &a.place.line, &mode, &skip, &a.place.depth, &in_string,
             &escape, &a.head_len, &a.head_hash, &complete, &a.size, &a.mtime_ns, &seen, &path_at);
  if (n != 15 || path_at < 0 || line[path_at] != ' ' || mode > UINT8_MAX || skip > UINT8_MAX)
    return false;
  a.place.mode = (uint8_t)mode;
  a.place.skip = (uint8_t)skip;
  a.place.in_string = in_string != 0;
  a.place.escape = escape != 0;
  a.complete = complete != 0;
  if (!a.complete && a.size >= 0) {
    a.place.context = (uint64_t)a.size;
    a.size = 0;
  }
  if (!plausible(&a))
    return false;
  struct known *k = find(p, dev, ino);
  if (k == NULL)
    k = add(p, dev, ino);
  if (k == NULL || !read_path(line + path_at + 1, k))
    return false;
  k->read = k->acked = a;
  k->seen = seen;
  return true;
}

static bool read_lines(struct positions *p, FILE *in)
{
  char *line = NULL;
  size_t room = 0, number = 1;
  ssize_t len;
  while ((len = getline(&line, &room, in)) >= 0) {
    number++;
    if (len > 0 && line[len - 1] == '\n')
      line[len - 1] = '\0';
    if (!read_known(p, line))
      cof_log(p->host, COF_LOG_WARNING,
              "%s:%zu: not the position of a file; the file it was for is read from its beginning",
              p->file, number);
  }
  free(line);
  return ferror(in) == 0;
}

/* @return false with errno; EWOULDBLOCK: another one holds it */
static bool take_lock(struct positions *p)
{
  struct stat st;
  for (;;) {
    p->lock_fd = open(p->lock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (p->lock_fd < 0)
      return false;
    bool taken = flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0 && fstat(p->lock_fd, &st) == 0;
    if (taken && st.st_nlink > 0)
      return true;
    int why = errno;
    close(p->lock_fd);
    p->lock_fd = -1;
    errno = why;
    if (!taken) /* else its holder removed it just now */
      return false;
  }
}

bool positions_load(struct positions *p)
{
  if (p->file == NULL)
    return true;
  if (!take_lock(p) && errno == EWOULDBLOCK) {
    cof_log(p->host, COF_LOG_ERROR,
            "%s: in use by another cofd; stop that one, or give this one a state_dir of its own",
            p->file);
    return false;
  }
  if (p->lock_fd < 0) /* a full disk, say: that must not keep it from reading */
    cof_log(p->host, COF_LOG_WARNING, "%s: %s", p->lock_file, strerror(errno));
  FILE *in = fopen(p->file, "re");
  if (in == NULL && errno == ENOENT)
    return true;
  if (in == NULL) {
    cof_log(p->host, COF_LOG_ERROR, "%s: %s", p->file, strerror(errno));
    return false;
  }
  char header[sizeof HEADER] = "";
  bool done = fgets(header, sizeof header, in) != NULL && strcmp(header, HEADER) == 0;
  if (!done) {
    cof_log(p->host, COF_LOG_ERROR,
            "%s: the first line is not \"%.*s\"; remove the file to read everything from its "
            "beginning",
            p->file, (int)strlen(HEADER) - 1, HEADER);
  } else if (!read_lines(p, in)) {
    cof_log(p->host, COF_LOG_ERROR, "%s: %s", p->file, strerror(errno));
    done = false;
  }
  fclose(in);
  return done;
}
