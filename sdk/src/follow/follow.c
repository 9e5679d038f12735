/* SPDX-License-Identifier: MIT */
#include "follow_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch_private.h"

/* Files kept open; a file beyond these is opened anew when it grows. */
#define FILES_OPEN 256
/* Compressed files whose end is waited for at once. */
#define UNFINISHED_MAX 16
/* Turns between two looks at what happened meanwhile. */
#define TURNS 64
/* Pipes waited for at once. */
#define PIPES_MAX 256
/* Looking at very many files is made rarer, so that it takes no more than a part in so many. */
#define SCAN_SHARE 20
/* Directories that appear while they are looked for: so often they are looked for again at once. */
#define WATCH_ROUNDS 10

static void serve(struct follow *f, struct tracked *t);

/* --- opening, closing, rotation ----------------------------------------------------------------
 */

void follow_shut(struct follow *f, struct tracked *t)
{
  if (!source_is_open(&t->src))
    return;
  if (t->src.known != NULL)
    t->src.known->owner = NULL;
  if (t->ready)
    follow_not_ready(f, t);
  if (t->timed)
    follow_clear_timer(f, t);
  source_close(f->r, &t->src);
  if (t->listener == NULL)
    f->open--;
}

static void remove_retired(struct follow *f, struct tracked *t)
{
  follow_shut(f, t);
  tracked_unlink(&f->retired, t);
  tracked_destroy(f, t);
}

static void remove_path(struct follow *f, struct tracked *t)
{
  follow_shut(f, t);
  tracked_unlink(tracked_slot(f, t->path), t);
  f->count--;
  tracked_destroy(f, t);
}

/* An open file passes from one path to another. */
static void hand_over(struct follow *f, struct tracked *from, struct tracked *to)
{
  bool was_current = f->r->current == &from->src;
  if (from->ready)
    follow_not_ready(f, from);
  if (from->timed)
    follow_clear_timer(f, from);
  to->src = from->src;
  to->src.path = to->path;
  from->src = (struct source){.fd = -1};
  if (to->src.known != NULL)
    to->src.known->owner = to;
  if (was_current)
    f->r->current = &to->src;
  follow_make_ready(f, to);
}

/* Nothing more is read of it: what is open without a path of its own goes as a whole. */
static void drop(struct follow *f, struct tracked *t)
{
  if (t->retired)
    remove_retired(f, t);
  else if (t->listener != NULL)
    peers_remove(f, t);
  else
    follow_shut(f, t);
}

/* Read a file to its end for good. */
void follow_conclude(struct follow *f, struct tracked *t)
{
  enum turn state;
  while ((state = source_turn(f->r, &t->src, true)) == TURN_MORE)
    ;
  if (state == TURN_STOPPED)
    return;
  source_say_end(f->r, &t->src, state);
  if (t->src.stream != NULL && state != TURN_FAILED)
    source_complete(f->r, &t->src);
  t->is_done = fstat(t->src.fd, &t->done) == 0;
  drop(f, t);
}

/* The path is no longer this file's. Its writers may learn of it late, so it is read for a while.
 */
static void retire(struct follow *f, struct tracked *t)
{
  struct tracked *o = t->src.known != NULL ? tracked_new(t->path) : NULL;
  if (o == NULL) {
    follow_conclude(f, t);
    follow_shut(f, t);
    return;
  }
  o->retired = true;
  o->next = f->retired;
  f->retired = o;
  hand_over(f, t, o);
  follow_set_timer(f, o);
}

static void complain(struct follow *f, struct tracked *t, int why)
{
  if (t->complained != why)
    reader_failed(f->r, t->path, strerror(why));
  t->complained = why;
  t->absent = false;
}

/* Close files before more are opened. */
static void make_room(struct follow *f)
{
  while (f->open >= FILES_OPEN && f->ready != NULL && !reader_ending(f->r))
    serve(f, follow_next_ready(f));
}

static void open_path(struct follow *f, struct tracked *t, const struct stat *st)
{
  make_room(f);
  struct known *known = S_ISREG(st->st_mode) ? positions_at(f->r->positions, st, t->path) : NULL;
  struct tracked *owner = known != NULL ? known->owner : NULL;
  if (owner != NULL) {
    bool retired = owner->retired;
    hand_over(f, owner, t);
    if (retired)
      remove_retired(f, owner);
    return;
  }
  switch (source_open(f->r, &t->src, t->path)) {
  case OPENED:
    if (t->src.known != NULL)
      t->src.known->owner = t;
    f->open++;
    t->complained = 0;
    t->is_done = false;
    follow_make_ready(f, t);
    break;
  case OPENED_DONE:
    t->done = *st;
    t->is_done = true;
    break;
  case OPENED_FAILED:
    complain(f, t, errno);
    break;
  }
}

static bool same_file(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether this is what was read to its end for good already. */
static bool is_done(struct follow *f, struct tracked *t, const struct stat *st)
{
  if (!t->is_done || !same_file(st, &t->done))
    return false;
  bool changed = st->st_size != t->done.st_size || st->st_mtim.tv_sec != t->done.st_mtim.tv_sec ||
                 st->st_mtim.tv_nsec != t->done.st_mtim.tv_nsec;
  if (changed && !t->said_done)
    cof_log(f->r->host, COF_LOG_INFO,
            "%s: it changed after it was read; it is read again at the next start", t->path);
  t->said_done |= changed;
  return true;
}

static void vanished(struct follow *f, struct tracked *t)
{
  struct stat st;
  f->links = f->links || (lstat(t->path, &st) == 0 && S_ISLNK(st.st_mode));
  if (source_is_open(&t->src))
    retire(f, t);
  t->is_done = false;
  if (!t->literal) {
    remove_path(f, t);
    return;
  }
  if (!t->absent)
    cof_log(f->r->host, COF_LOG_INFO, "%s: not there; waiting for it", t->path);
  t->absent = true;
  t->complained = 0;
}

/* Changes behind a symbolic link do not show in the directory of the link. */
static void watch_links(struct follow *f, struct tracked *t)
{
  struct stat st;
  if (lstat(t->path, &st) != 0 || (!S_ISLNK(st.st_mode) && st.st_nlink < 2))
    return;
  f->links = f->links || S_ISLNK(st.st_mode);
  if (f->watch != NULL && !watch_file(f->watch, t->path))
    f->poll = true;
}

/* Find out what is at a path now. May remove `t`. */
static void look(struct follow *f, struct tracked *t)
{
  struct stat st, old;
  if (stat(t->path, &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      vanished(f, t);
    else
      complain(f, t, errno);
    return;
  }
  if (S_ISDIR(st.st_mode)) {
    /* Its files are tracked, each by its own name. */
    if (source_is_open(&t->src))
      retire(f, t);
    remove_path(f, t);
    return;
  }
  t->absent = false;
  if (is_done(f, t, &st))
    return;
  if (source_is_open(&t->src)) {
    if (fstat(t->src.fd, &old) == 0 && same_file(&st, &old)) {
      follow_make_ready(f, t);
      return;
    }
    cof_log(f->r->host, COF_LOG_DEBUG, "%s: another file has that name now", t->path);
    retire(f, t);
  }
  watch_links(f, t);
  open_path(f, t, &st);
}

/* --- turns -------------------------------------------------------------------------------------
 */

/* An unfinished file holds memory, so only some are waited for. */
static void limit_timed(struct follow *f)
{
  size_t n = 0;
  struct tracked *oldest = NULL;
  for (struct tracked *t = f->timed; t != NULL; t = t->next_timed)
    if (!t->retired) {
      oldest = t;
      n++;
    }
  if (n > UNFINISHED_MAX)
    follow_conclude(f, oldest);
}

/* An empty file is taken for a plain one until there is something in it. @return whether it is */
static bool is_plain(struct follow *f, struct tracked *t)
{
  if (!source_refresh(f->r, &t->src) || t->src.known->read.place.offset != 0 || t->retired)
    return true;
  enum packing packing = source_packing(&t->src);
  if (packing == PACKING_NONE)
    return true;
  if (packing == PACKING_UNKNOWN) {
    if (f->open >= FILES_OPEN)
      follow_shut(f, t);
    return false;
  }
  follow_shut(f, t);
  look(f, t);
  return false;
}

static void serve(struct follow *f, struct tracked *t)
{
  if (t->src.stream == NULL && !is_plain(f, t))
    return;
  switch (source_turn(f->r, &t->src, false)) {
  case TURN_MORE:
    follow_make_ready(f, t);
    break;
  case TURN_END:
    if (t->src.stream != NULL)
      follow_conclude(f, t);
    else if (f->open >= FILES_OPEN && !t->retired)
      follow_shut(f, t);
    break;
  case TURN_CUT:
    follow_set_timer(f, t);
    limit_timed(f);
    break;
  case TURN_BROKEN:
    source_complete(f->r, &t->src);
    t->is_done = fstat(t->src.fd, &t->done) == 0;
    drop(f, t);
    break;
  case TURN_FAILED:
    drop(f, t);
    break;
  case TURN_WAIT:
  case TURN_STOPPED:
    break;
  }
}

/* Nothing tells what a late writer adds to a file whose name is no longer followed. */
static void look_at_retired(struct follow *f)
{
  uint64_t now = cof_clock_ns(f->r->host);
  if (f->retired == NULL || now < f->next_retired)
    return;
  for (struct tracked *t = f->retired; t != NULL; t = t->next)
    follow_make_ready(f, t);
  f->next_retired = now + (uint64_t)f->r->conf->poll_interval * MS_NS;
}

/* Timed files that grew meanwhile get more time, the others have ended. */
static void run_timers(struct follow *f)
{
  uint64_t now = cof_clock_ns(f->r->host);
  for (struct tracked *next, *t = f->timed; t != NULL && !reader_ending(f->r); t = next) {
    next = t->next_timed;
    if (t->due > now)
      continue;
    while (source_turn(f->r, &t->src, false) == TURN_MORE)
      ;
    if (reader_ending(f->r))
      return;
    if (tracked_taken(t) != t->at)
      follow_set_timer(f, t);
    else
      follow_conclude(f, t);
  }
}

/* --- looking at everything ---------------------------------------------------------------------
 */

static void watch_all(struct follow *f, const struct path_list *directories)
{
  for (size_t i = 0; i < directories->count; i++) {
    struct stat st;
    if (!watch_directory(f->watch, directories->items[i]))
      f->poll = true;
    f->links = f->links || (lstat(directories->items[i], &st) == 0 && S_ISLNK(st.st_mode));
  }
}

static bool same_list(const struct path_list *a, const struct path_list *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp(a->items[i], b->items[i]) != 0)
      return false;
  return true;
}

/* A directory that is made just before its parent is watched is not told of: hence look again. */
static void watch_spec(struct follow *f, const char *spec)
{
  struct path_list before = {0};
  bool settled = f->watch == NULL;
  for (int i = 0; i < WATCH_ROUNDS && !settled; i++) {
    struct path_list now = {0};
    if (!paths_directories(spec, &now))
      f->poll = true;
    settled = i > 0 && same_list(&before, &now);
    if (!settled)
      watch_all(f, &now);
    path_list_free(&before);
    before = now;
  }
  path_list_free(&before);
  f->scan_wanted = f->scan_wanted || !settled;
}

static void scan_spec(struct follow *f, const char *spec)
{
  struct path_list list = {0};
  /* Watch first: what appears between the two is then told. */
  watch_spec(f, spec);
  bool pattern = path_is_pattern(spec);
  if (!paths_expand(f->r->host, spec, f->first, &list))
    reader_failed(f->r, spec, "out of memory");
  if (list.count == 0 && f->first)
    cof_log(f->r->host, COF_LOG_INFO, "%s: no file of that name; waiting for one", spec);
  for (size_t i = 0; i < list.count && !reader_ending(f->r); i++) {
    struct tracked *t = tracked_add(f, list.items[i]);
    if (t == NULL)
      continue;
    t->literal = t->literal || !pattern;
    t->round = f->round;
    look(f, t);
  }
  path_list_free(&list);
}

/* What no spec gave in this round may have gone. */
static void look_at_rest(struct follow *f)
{
  for (size_t i = 0; i < f->room; i++)
    for (struct tracked *next, *t = f->table[i]; t != NULL; t = next) {
      next = t->next;
      if (t->round != f->round && !path_is_stdin(t->path))
        look(f, t);
    }
}

static void scan(struct follow *f)
{
  uint64_t began = cof_clock_ns(f->r->host);
  f->scan_wanted = false;
  f->poll = f->watch == NULL;
  f->round++;
  for (size_t i = 0; i < f->specs_count; i++)
    scan_spec(f, f->specs[i]);
  look_at_rest(f);
  f->poll = f->poll || f->links;
  f->first = false;
  uint64_t now = cof_clock_ns(f->r->host), pause = (now - began) * SCAN_SHARE;
  uint64_t least = (uint64_t)f->r->conf->poll_interval * MS_NS;
  f->next_scan = now + (pause > least ? pause : least);
}

static bool is_meant(const struct follow *f, const char *path)
{
  for (size_t i = 0; i < f->specs_count; i++)
    if (path_matches(f->specs[i], path))
      return true;
  return false;
}

static void on_event(void *arg, enum watch_event event, const char *path)
{
  struct follow *f = arg;
  struct tracked *t = path != NULL ? tracked_find(f, path) : NULL;
  if (event == WATCH_TREE)
    f->scan_wanted = true;
  else if (t != NULL && event == WATCH_DATA && source_is_open(&t->src))
    follow_make_ready(f, t);
  else if (t != NULL)
    look(f, t);
  else if (is_meant(f, path) && (t = tracked_add(f, path)) != NULL)
    look(f, t);
}

/* --- the loop ----------------------------------------------------------------------------------
 */

static int earlier(int a, int b)
{
  return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int ms_until(const struct follow *f, uint64_t when)
{
  uint64_t now = cof_clock_ns(f->r->host);
  return when <= now ? 0 : (int)((when - now + MS_NS - 1) / MS_NS);
}

static int time_to_wait(struct follow *f)
{
  if (f->ready != NULL || f->scan_wanted)
    return 0;
  int ms = reader_due(f->r);
  for (struct tracked *t = f->timed; t != NULL; t = t->next_timed)
    ms = earlier(ms, ms_until(f, t->due));
  if (f->retired != NULL)
    ms = earlier(ms, ms_until(f, f->next_retired));
  uint64_t peers = peers_due(f);
  if (peers != UINT64_MAX)
    ms = earlier(ms, ms_until(f, peers));
  return f->poll ? earlier(ms, ms_until(f, f->next_scan)) : ms;
}

static size_t add_pipes(struct follow *f, struct pollfd *fds, struct tracked **pipes)
{
  size_t n = 0;
  for (size_t i = 0; i < f->room; i++)
    for (struct tracked *t = f->table[i]; t != NULL && n < PIPES_MAX; t = t->next)
      if (source_is_open(&t->src) && t->src.known == NULL && !t->ready) {
        pipes[n] = t;
        fds[n++] = (struct pollfd){.fd = t->src.fd, .events = POLLIN};
      }
  return n;
}

/* Wait for something to do, and see what it is. */
static void wait_for_change(struct follow *f)
{
  struct pollfd fds[PIPES_MAX + PEERS_MAX + LISTENERS_MAX + 2];
  struct tracked *sources[PIPES_MAX + PEERS_MAX];
  struct listener *listeners[LISTENERS_MAX];
  size_t n = add_pipes(f, fds, sources);
  n += peers_poll(f, fds + n, sources + n);
  size_t m = peers_poll_listeners(f, fds + n, listeners), count = n + m;
  if (f->watch != NULL)
    fds[count++] = (struct pollfd){.fd = watch_fd(f->watch), .events = POLLIN};
  reader_wait(f->r, fds, count, time_to_wait(f));
  for (size_t i = 0; i < n; i++)
    if (fds[i].revents != 0)
      follow_make_ready(f, sources[i]);
  for (size_t i = 0; i < m; i++)
    if (fds[n + i].revents != 0)
      peers_accept(f, listeners[i]);
  if (f->watch != NULL)
    watch_read(f->watch, on_event, f);
}

/* Standard input was all there is to follow, and it has ended. */
static bool all_done(const struct follow *f)
{
  return f->specs_count == 0 && f->open == 0 && f->r->listeners == NULL;
}

static void loop(struct follow *f)
{
  scan(f);
  peers_begin(f);
  while (!reader_ending(f->r) && !all_done(f)) {
    struct tracked *t;
    look_at_retired(f);
    for (int i = 0; i < TURNS && !reader_ending(f->r) && (t = follow_next_ready(f)) != NULL; i++)
      serve(f, t);
    run_timers(f);
    peers_close_silent(f);
    peers_check(f);
    if (f->scan_wanted || (f->poll && cof_clock_ns(f->r->host) >= f->next_scan))
      scan(f);
    if (!reader_flush_old(f->r))
      return;
    positions_save(f->r->positions, false);
    if (!all_done(f))
      wait_for_change(f);
  }
  if (!reader_ending(f->r) && reader_flush(f->r)) {
    cof_finished(f->r->host);
    reader_await_acks(f->r);
  }
}

/* Copy of a spec without repeated slashes, as names in it are compared as text. */
static char *clean(const char *spec)
{
  char *copy = strdup(spec), *to = copy;
  if (copy == NULL)
    return NULL;
  for (const char *from = spec; *from != '\0'; from++)
    if (*from != '/' || from == spec || from[-1] != '/')
      *to++ = *from;
  *to = '\0';
  return copy;
}

static void follow_stdin(struct follow *f)
{
  struct tracked *t = tracked_find(f, "-") == NULL ? tracked_add(f, "-") : NULL;
  if (t == NULL)
    return;
  t->literal = true;
  if (source_open_stdin(f->r, &t->src) != OPENED) {
    complain(f, t, errno);
    return;
  }
  f->open++;
  follow_make_ready(f, t);
}

static bool prepare(struct follow *f)
{
  const char *const *specs;
  size_t count = reader_specs(f->r, &specs);
  f->specs = calloc(count + 1, sizeof *f->specs);
  if (f->specs == NULL)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (path_is_stdin(specs[i])) {
      follow_stdin(f);
      continue;
    }
    f->specs[f->specs_count] = clean(specs[i]);
    if (f->specs[f->specs_count] == NULL)
      return false;
    f->specs_count++;
  }
  return true;
}

/* What came by a way that cannot be read again, and is not handed on, must not go in silence. */
static void say_lost(const struct follow *f)
{
  uint64_t octets = 0;
  for (const struct tracked *t = f->peers; t != NULL; t = t->next)
    octets += t->src.own->len;
  for (size_t i = 0; i < f->room; i++)
    for (const struct tracked *t = f->table[i]; t != NULL; t = t->next)
      if (source_is_open(&t->src) && t->src.known == NULL)
        octets += t->src.own->len;
  if (octets != 0 || f->r->passing != 0)
    cof_log(f->r->host, COF_LOG_WARNING,
            "stopped with %llu records and %llu octets from sockets and pipes not handed on",
            (unsigned long long)f->r->passing, (unsigned long long)octets);
}

static void finish(struct follow *f)
{
  say_lost(f);
  while (f->peers != NULL)
    peers_remove(f, f->peers);
  while (f->retired != NULL)
    remove_retired(f, f->retired);
  for (size_t i = 0; i < f->room; i++)
    while (f->table[i] != NULL)
      remove_path(f, f->table[i]);
  for (size_t i = 0; i < f->specs_count; i++)
    free(f->specs[i]);
  free(f->specs);
  free(f->table);
  watch_destroy(&f->watch);
}

void reader_follow(struct reader *r)
{
  struct follow f = {.r = r, .first = true};
  f.ready_end = &f.ready;
  if (!reader_new_batch(r))
    return;
  f.watch = watch_create(r->host);
  if (prepare(&f))
    loop(&f);
  else
    reader_failed(r, "path", "out of memory; nothing is followed");
  finish(&f);
  cof_batch_put(r->host, &r->batch);
}
