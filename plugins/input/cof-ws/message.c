/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "message_private.h"

#include <stdlib.h>
#include <string.h>

/* Memory that is kept from one message to the next. */
#define KEEP_MAX   ((size_t)1 << 20)
#define ROOM_LEAST ((size_t)4096)

/* --- putting together --------------------------------------------------------------------------
 */

static bool reserve(struct message *m, size_t size)
{
  if (size <= m->room)
    return true;
  size_t room = m->room > ROOM_LEAST ? m->room : ROOM_LEAST;
  while (room < size)
    room *= 2;
  if (room > m->max)
    room = m->max;
  char *more = realloc(m->bytes, room);
  if (more == NULL)
    return false;
  m->bytes = more;
  m->room = room;
  return true;
}

void message_free(struct message *m)
{
  free(m->bytes);
  *m = (struct message){.max = m->max};
}

void message_reset(struct message *m)
{
  if (m->room > KEEP_MAX)
    message_free(m);
  m->open = m->too_long = false;
  m->len = 0;
}

enum message_state message_add(struct message *m, const char *part, size_t part_len, bool first,
                               bool final, const char **text, size_t *len)
{
  if (first || !m->open)
    message_reset(m);
  m->open = true;
  if (m->too_long || part_len > m->max - m->len) {
    m->too_long = true;
    m->len = 0;
  } else if (final && m->len == 0) {
    *text = part; /* as nearly all are: whole as they come, and not copied */
    *len = part_len;
    m->open = false;
    return MESSAGE_WHOLE;
  } else {
    if (!reserve(m, m->len + part_len))
      return MESSAGE_NO_MEMORY;
    if (part_len > 0)
      memcpy(m->bytes + m->len, part, part_len);
    m->len += part_len;
  }
  if (!final)
    return MESSAGE_MORE;
  m->open = false;
  *text = m->bytes;
  *len = m->len;
  return m->too_long ? MESSAGE_LONG : MESSAGE_WHOLE;
}

/* --- taking apart ------------------------------------------------------------------------------
 */

static enum cof_result read_object(const struct take *t, const char *text, size_t len,
                                   size_t *added, size_t *refused, struct cof_error *err)
{
  enum cof_result result;
  while ((result = cof_reader_object(t->reader, text, len, *t->batch, added, refused, err)) ==
         COF_FATAL)
    if (!t->starved(t->arg))
      break;
  return result;
}

/* A message in pieces. */
struct pieces {
  const struct take *take;
  bool stopped;
};

static bool on_object(void *arg, const char *text, size_t len, uint64_t line)
{
  struct pieces *p = arg;
  const struct take *t = p->take;
  struct cof_error err;
  size_t added = 0, refused = 0;
  enum cof_result result = read_object(t, text, len, &added, &refused, &err);
  if (result != COF_OK && result != COF_FATAL)
    t->refused(t->arg, refused > 0 ? refused : 1, line, err.text);
  p->stopped = result == COF_FATAL || !t->whole(t->arg, added);
  return !p->stopped;
}

static void on_broken(void *arg, uint64_t line, const char *what)
{
  const struct pieces *p = arg;
  p->take->refused(p->take->arg, 1, line, what);
}

static bool take_pieces(const struct take *t, const char *text, size_t len)
{
  struct pieces p = {.take = t};
  struct place place = {0};
  struct split split = {.max_len = t->max, .object = on_object, .broken = on_broken, .arg = &p};
  split_take(&split, &place, text, len, true);
  return !p.stopped;
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool take_message(const struct take *t, const char *text, size_t len)
{
  while (len > 0 && is_blank(text[len - 1]))
    len--;
  if (len == 0)
    return true;
  if (text[0] != '{' || memchr(text, '\n', len) != NULL)
    return take_pieces(t, text, len);
  struct cof_error err;
  size_t added = 0, refused = 0;
  enum cof_result result = read_object(t, text, len, &added, &refused, &err);
  if (result == COF_FATAL)
    return false;
  /* Not one object, then; several on a line, perhaps. */
  if (result != COF_OK && added == 0)
    return take_pieces(t, text, len);
  if (result != COF_OK)
    t->refused(t->arg, refused, 1, err.text);
  return t->whole(t->arg, added);
}
