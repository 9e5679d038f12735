/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "positions_private.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEADER      "cofd-dnstap-positions 1\n"
#define HEAD_MAX    1024
#define BUCKETS     4096
#define FORGET_DAYS 30
#define SAVE_NS     UINT64_C(1000000000)

struct mark {
  struct known *known;
  uint64_t offset, token;
};

struct positions {
  struct cof_host *host;
  char *file, *fresh; /* NULL: kept nowhere */
  pthread_mutex_t lock;
  struct known *buckets[BUCKETS];
  struct mark *marks;
  size_t count, room, unsent;
  bool changed, refused; /* an ack said that a batch is not durable: no later one counts */
  bool complained;
  uint64_t saved; /* clock of the last time */
};

struct positions *positions_create(struct cof_host *host, const char *file)
{
  struct positions *p = calloc(1, sizeof *p);
  if (p == NULL)
    return NULL;
  p->host = host;
  pthread_mutex_init(&p->lock, NULL);
  if (file == NULL)
    return p;
  p->file = strdup(file);
  if (asprintf(&p->fresh, "%s.new", file) < 0)
    p->fresh = NULL;
  if (p->file == NULL || p->fresh == NULL)
    positions_destroy(&p);
  return p;
}

void positions_destroy(struct positions **positions)
{
  struct positions *p = *positions;
  if (p == NULL)
    return;
  for (size_t i = 0; i < BUCKETS; i++)
    for (struct known *next, *k = p->buckets[i]; k != NULL; k = next) {
      next = k->next;
      free(k);
    }
  pthread_mutex_destroy(&p->lock);
  free(p->marks);
  free(p->file);
  free(p->fresh);
  free(p);
  *positions = NULL;
}

/* --- files ------------------------------------------------------------------------------------ */

static struct known **bucket(struct positions *p, uint64_t inode)
{
  return &p->buckets[inode % BUCKETS];
}

static struct known *add(struct positions *p, uint64_t device, uint64_t inode)
{
  struct known *k = calloc(1, sizeof *k), **at = bucket(p, inode);
  if (k == NULL)
    return NULL;
  k->device = device;
  k->inode = inode;
  pthread_mutex_lock(&p->lock);
  k->next = *at;
  *at = k;
  pthread_mutex_unlock(&p->lock);
  return k;
}

struct known *positions_find(struct positions *p, const struct stat *st)
{
  struct known *k = *bucket(p, (uint64_t)st->st_ino);
  while (k != NULL && (k->inode != (uint64_t)st->st_ino || k->device != (uint64_t)st->st_dev))
    k = k->next;
  if (k == NULL)
    k = add(p, (uint64_t)st->st_dev, (uint64_t)st->st_ino);
  if (k != NULL)
    k->seen = (int64_t)time(NULL);
  return k;
}

/* FNV-1a. @return false if there are not so many octets */
static bool hash_head(int fd, uint32_t len, uint64_t *hash)
{
  uint8_t head[HEAD_MAX];
  if (pread(fd, head, len, 0) != (ssize_t)len)
    return false;
  *hash = UINT64_C(0xcbf29ce484222325);
  for (uint32_t i = 0; i < len; i++)
    *hash = (*hash ^ head[i]) * UINT64_C(0x100000001b3);
  return true;
}

bool positions_check(struct positions *p, struct known *k, int fd, const struct stat *st)
{
  uint64_t hash = 0;
  if (k->taken == 0 || ((uint64_t)st->st_size >= k->taken && hash_head(fd, k->head_len, &hash) &&
                        hash == k->head_hash))
    return true;
  pthread_mutex_lock(&p->lock);
  for (size_t i = 0; i < p->count; i++)
    if (p->marks[i].known == k)
      p->marks[i].offset = 0;
  k->durable = 0;
  k->head_len = 0;
  p->changed = true;
  pthread_mutex_unlock(&p->lock);
  k->taken = k->marked = k->looked_at = 0;
  k->dropped = false;
  return false;
}

/* --- acks ------------------------------------------------------------------------------------- */

static bool make_room(struct positions *p)
{
  if (p->count < p->room)
    return true;
  size_t room = p->room != 0 ? p->room * 2 : 64;
  struct mark *marks = realloc(p->marks, room * sizeof *marks);
  if (marks == NULL)
    return false;
  p->marks = marks;
  p->room = room;
  return true;
}

bool positions_mark(struct positions *p, struct known *k, int fd, uint64_t token)
{
  uint32_t head = k->taken < HEAD_MAX ? (uint32_t)k->taken : HEAD_MAX;
  uint64_t hash;
  pthread_mutex_lock(&p->lock);
  if (k->head_len < head && hash_head(fd, head, &hash)) {
    k->head_len = head;
    k->head_hash = hash;
  }
  struct mark *last = p->count != 0 ? &p->marks[p->count - 1] : NULL;
  bool done = true;
  if (last != NULL && last->known == k && last->token == token)
    last->offset = k->taken;
  else if ((done = make_room(p))) {
    p->marks[p->count++] = (struct mark){k, k->taken, token};
    p->unsent++;
  }
  if (done)
    k->marked = k->taken;
  pthread_mutex_unlock(&p->lock);
  return done;
}

void positions_ack(struct positions *p, uint64_t token, bool durable)
{
  size_t n = 0;
  pthread_mutex_lock(&p->lock);
  p->refused = p->refused || !durable;
  for (; n < p->count && p->marks[n].token <= token; n++) {
    if (p->refused)
      continue;
    p->marks[n].known->durable = p->marks[n].offset;
    p->changed = true;
  }
  p->count -= n;
  if (n != 0)
    memmove(p->marks, p->marks + n, p->count * sizeof *p->marks);
  pthread_mutex_unlock(&p->lock);
}

size_t positions_unsent(const struct positions *p)
{
  return p->unsent;
}

void positions_sent(struct positions *p)
{
  p->unsent = 0;
}

bool positions_pending(struct positions *p)
{
  pthread_mutex_lock(&p->lock);
  bool pending = p->count != 0 || (p->changed && p->file != NULL);
  pthread_mutex_unlock(&p->lock);
  return pending;
}

/* --- the file --------------------------------------------------------------------------------- */

static bool is_marked(const struct positions *p, const struct known *k)
{
  for (size_t i = 0; i < p->count; i++)
    if (p->marks[i].known == k)
      return true;
  return false;
}

/* Files that have been gone for long would gather for ever. */
static void forget_gone(struct positions *p)
{
  int64_t oldest = (int64_t)time(NULL) - INT64_C(86400) * FORGET_DAYS;
  for (size_t i = 0; i < BUCKETS; i++)
    for (struct known **at = &p->buckets[i]; *at != NULL;) {
      struct known *k = *at;
      if (k->seen >= oldest || k->open || is_marked(p, k)) {
        at = &k->next;
        continue;
      }
      *at = k->next;
      free(k);
    }
}

static bool write_all(struct positions *p, FILE *out)
{
  fputs(HEADER, out);
  for (size_t i = 0; i < BUCKETS; i++)
    for (const struct known *k = p->buckets[i]; k != NULL; k = k->next)
      if (k->durable != 0)
        fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %016" PRIx64 " %" PRId64 "\n",
                k->device, k->inode, k->durable, k->head_len, k->head_hash, k->seen);
  return fflush(out) == 0 && !ferror(out) && fsync(fileno(out)) == 0;
}

/* Under the lock: it is small, and acks may wait. */
static bool write_file(struct positions *p)
{
  FILE *out = fopen(p->fresh, "we");
  if (out == NULL)
    return false;
  forget_gone(p);
  bool done = write_all(p, out);
  int why = errno;
  if (fclose(out) != 0 && done) {
    why = errno;
    done = false;
  }
  errno = why;
  return done && rename(p->fresh, p->file) == 0;
}

void positions_save(struct positions *p, bool now)
{
  uint64_t clock = cof_clock_ns(p->host);
  if (p->file == NULL || (!now && clock - p->saved < SAVE_NS))
    return;
  pthread_mutex_lock(&p->lock);
  bool done = true, tried = p->changed;
  if (p->changed) {
    p->saved = clock;
    done = write_file(p);
    p->changed = !done;
  }
  int why = errno;
  pthread_mutex_unlock(&p->lock);
  if (!tried)
    return;
  if (!done && !p->complained)
    cof_log(p->host, COF_LOG_ERROR,
            "%s: %s; after a restart, files are read again from where they "
            "were remembered last",
            p->file, strerror(why));
  p->complained = !done;
}

static bool read_line(struct positions *p, const char *line)
{
  uint64_t device, inode, durable, hash;
  uint32_t head;
  int64_t seen;
  int end = 0;
  if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNx64 " %" SCNd64 "\n%n",
             &device, &inode, &durable, &head, &hash, &seen, &end) != 6 ||
      line[end] != '\0' || head > HEAD_MAX || head > durable)
    return false;
  struct known *k = add(p, device, inode);
  if (k == NULL)
    return false;
  k->durable = k->taken = k->marked = durable;
  k->head_len = head;
  k->head_hash = hash;
  k->seen = seen;
  return true;
}

bool positions_load(struct positions *p)
{
  char line[256];
  unsigned long number = 1;
  FILE *in = p->file != NULL ? fopen(p->file, "re") : NULL;
  if (in == NULL) {
    if (p->file == NULL || errno == ENOENT)
      return true;
    cof_log(p->host, COF_LOG_ERROR, "%s: %s", p->file, strerror(errno));
    return false;
  }
  bool good = fgets(line, sizeof line, in) != NULL && strcmp(line, HEADER) == 0;
  while (good && fgets(line, sizeof line, in) != NULL) {
    number++;
    good = read_line(p, line);
  }
  good = good && !ferror(in);
  fclose(in);
  if (!good)
    cof_log(p->host, COF_LOG_ERROR,
            "%s:%lu: not what this program writes there; remove the file to "
            "read all files from their beginning",
            p->file, number);
  return good;
}
