/* SPDX-License-Identifier: MIT */
#include "split_private.h"

#include <stdio.h>
#include <string.h>

void split_reset(struct split *s)
{
  s->searched = 0;
  s->scan = (struct scan){0};
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void too_long(struct split *s, uint64_t line, const char *what)
{
  char text[96];
  snprintf(text, sizeof text, "%s longer than max_line (%zu octets)", what, s->max_len);
  s->broken(s->arg, line, text);
}

/* --- lines -------------------------------------------------------------------------------------
 */

/* What stands behind the last line end. */
static size_t take_last_line(struct split *s, struct place *p, const char *text, size_t len,
                             bool end)
{
  s->searched = 0;
  if (p->skip == SKIP_LINE) {
    p->offset += len;
    return len;
  }
  if (len > s->max_len) {
    too_long(s, p->line + 1, "line");
    p->skip = SKIP_LINE;
    p->offset += len;
    return len;
  }
  if (end && len > 0) {
    p->offset += len;
    s->unfinished = true;
    s->object(s->arg, text, len, p->line + 1);
    s->unfinished = false;
    return len;
  }
  s->searched = len;
  return 0;
}

static size_t take_lines(struct split *s, struct place *p, const char *text, size_t len, bool end)
{
  size_t at = 0, from = s->searched;
  s->searched = 0;
  for (;;) {
    const char *line = text + at;
    const char *stop = memchr(line + from, '\n', len - at - from);
    if (stop == NULL)
      return at + take_last_line(s, p, line, len - at, end);
    size_t n = (size_t)(stop - line);
    from = 0;
    at += n + 1;
    p->offset += n + 1;
    p->line++;
    if (p->skip == SKIP_LINE)
      p->skip = SKIP_NONE;
    else if (n > s->max_len)
      too_long(s, p->line, "line");
    else if (!s->object(s->arg, line, n, p->line))
      return at;
  }
}

/* --- objects -----------------------------------------------------------------------------------
 */

enum found {
  FOUND_END,    /* the object ends before scan->at */
  FOUND_MORE,   /* the text ends first */
  FOUND_BROKEN, /* a line ends within a string: no JSON; scan->at is at that line end */
  FOUND_OTHER   /* a line begins with a brace, as only another object does; scan->at is there */
};

/* What an octet means to the search; outside strings, and within them. */
enum { PLAIN = 0, STOPS_OUTSIDE = 1, STOPS_INSIDE = 2 };
static const uint8_t meaning[256] = {['{'] = STOPS_OUTSIDE,
                                     ['}'] = STOPS_OUTSIDE,
                                     ['"'] = STOPS_OUTSIDE | STOPS_INSIDE,
                                     ['\n'] = STOPS_OUTSIDE | STOPS_INSIDE,
                                     ['\\'] = STOPS_INSIDE};

static size_t skip_plain(const char *text, size_t at, size_t len, uint8_t stops)
{
  while (at < len && (meaning[(uint8_t)text[at]] & stops) == 0)
    at++;
  return at;
}

/* Within a string. @return false at a line end, or at the end of the text */
static bool scan_string(struct scan *c, const char *text, size_t len)
{
  size_t at = c->at;
  while (at < len && text[at] != '\n') {
    if (c->escape) {
      c->escape = false;
      at++;
      continue;
    }
    at = skip_plain(text, at, len, STOPS_INSIDE);
    if (at == len || text[at] == '\n')
      break;
    c->escape = text[at] == '\\';
    c->in_string = c->escape;
    at++;
    if (!c->in_string)
      break;
  }
  c->at = at;
  return !c->in_string;
}

static enum found scan_object(struct scan *c, const char *text, size_t len)
{
  for (;;) {
    if (c->in_string && !scan_string(c, text, len))
      return c->at < len ? FOUND_BROKEN : FOUND_MORE;
    c->at = skip_plain(text, c->at, len, STOPS_OUTSIDE);
    if (c->at == len)
      return FOUND_MORE;
    char x = text[c->at];
    if (x == '{' && c->depth > 0 && c->at > 0 && text[c->at - 1] == '\n')
      return FOUND_OTHER;
    c->at++;
    c->in_string = x == '"';
    c->lines += x == '\n';
    c->depth += x == '{';
    if (x == '}' && --c->depth == 0)
      return FOUND_END;
  }
}

static void advance(struct place *p, size_t octets, uint64_t lines)
{
  p->offset += octets;
  p->line += lines;
}

/* The rest of an object that was too long. */
static size_t skip_object(struct place *p, const char *text, size_t len)
{
  struct scan c = {.depth = p->depth, .in_string = p->in_string, .escape = p->escape};
  enum found found = scan_object(&c, text, len);
  if (found == FOUND_MORE) {
    p->depth = c.depth;
    p->in_string = c.in_string;
    p->escape = c.escape;
  } else {
    p->skip = found == FOUND_BROKEN ? SKIP_JUNK : SKIP_NONE;
  }
  advance(p, c.at, c.lines);
  return c.at;
}

static size_t skip_junk(struct place *p, const char *text, size_t len)
{
  size_t at = 0;
  uint64_t lines = 0;
  for (; at < len && text[at] != '{'; at++)
    lines += text[at] == '\n';
  if (at < len)
    p->skip = SKIP_NONE;
  advance(p, at, lines);
  return at;
}

/* The text ends within an object. */
static size_t unfinished_object(struct split *s, struct place *p, size_t len, bool end)
{
  if (len <= s->max_len && !end)
    return 0;
  if (len > s->max_len) {
    too_long(s, p->line + 1, "record");
    p->skip = SKIP_OBJECT;
    p->depth = s->scan.depth;
    p->in_string = s->scan.in_string;
    p->escape = s->scan.escape;
  } else {
    s->broken(s->arg, p->line + 1, "the file ends within this record");
  }
  advance(p, len, s->scan.lines);
  s->scan = (struct scan){0};
  return len;
}

/* One object, which begins with the text. @return octets taken; *go is false to stop */
static size_t take_object(struct split *s, struct place *p, const char *text, size_t len, bool end,
                          bool *go)
{
  enum found found = scan_object(&s->scan, text, len);
  if (found == FOUND_MORE) {
    size_t taken = unfinished_object(s, p, len, end);
    *go = taken != 0;
    return taken;
  }
  struct scan c = s->scan;
  uint64_t line = p->line + 1;
  s->scan = (struct scan){0};
  advance(p, c.at, c.lines);
  if (found == FOUND_BROKEN) {
    s->broken(s->arg, line, "a line ends within a string of this record");
    p->skip = SKIP_JUNK;
  } else if (found == FOUND_OTHER) {
    s->broken(s->arg, line, "another record begins within this one");
  } else if (c.at > s->max_len) {
    too_long(s, line, "record");
  } else {
    *go = s->object(s->arg, text, c.at, line);
  }
  return c.at;
}

static size_t take_objects(struct split *s, struct place *p, const char *text, size_t len, bool end)
{
  size_t at = 0;
  bool go = true;
  while (at < len && go) {
    char c = text[at];
    if (p->skip == SKIP_OBJECT) {
      at += skip_object(p, text + at, len - at);
    } else if (p->skip != SKIP_NONE) {
      at += skip_junk(p, text + at, len - at);
    } else if (c == '{') {
      at += take_object(s, p, text + at, len - at, end, &go);
    } else if (is_blank(c) || c == ',' || c == '[' || c == ']') {
      advance(p, 1, c == '\n');
      at++;
    } else {
      s->broken(s->arg, p->line + 1, "no record: an object was expected");
      p->skip = SKIP_JUNK;
    }
  }
  return at;
}

/* --- which of the two --------------------------------------------------------------------------
 */

/* Blanks and byte order mark before the first object. */
static size_t take_blanks(struct place *p, const char *text, size_t len)
{
  static const char mark[] = "\xef\xbb\xbf";
  size_t at = p->offset == 0 && len >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
  uint64_t lines = 0;
  for (; at < len && is_blank(text[at]); at++)
    lines += text[at] == '\n';
  advance(p, at, lines);
  return at;
}

/* Whether something that could be a further object follows on the line where the first one ends. */
static enum split_mode mode_after(const char *rest, size_t len, bool end)
{
  size_t at = 0;
  while (at < len && rest[at] != '\n' && is_blank(rest[at]))
    at++;
  if (at == len)
    return end ? SPLIT_LINES : SPLIT_UNKNOWN;
  return rest[at] == '{' || rest[at] == ',' ? SPLIT_OBJECTS : SPLIT_LINES;
}

/* A broken first line must not make objects of lines, so what is no JSON counts as lines. */
static enum split_mode decide(const struct split *s, const char *text, size_t len, bool end)
{
  if (text[0] == '[')
    return SPLIT_OBJECTS;
  if (text[0] != '{')
    return SPLIT_LINES;
  struct scan c = {0};
  switch (scan_object(&c, text, len)) {
  case FOUND_END:
    return c.lines != 0 ? SPLIT_OBJECTS : mode_after(text + c.at, len - c.at, end);
  case FOUND_MORE:
    return end || len > s->max_len ? SPLIT_LINES : SPLIT_UNKNOWN;
  case FOUND_BROKEN:
  case FOUND_OTHER:
    break;
  }
  return SPLIT_LINES;
}

size_t split_take(struct split *s, struct place *p, const char *text, size_t len, bool end)
{
  size_t at = 0;
  if (p->mode == SPLIT_UNKNOWN) {
    /* The two other octets of a byte order mark may be still to come. */
    if (p->offset == 0 && len > 0 && len < 3 && text[0] == '\xef' && !end)
      return 0;
    at = take_blanks(p, text, len);
    if (at == len)
      return at;
    p->mode = (uint8_t)decide(s, text + at, len - at, end);
    if (p->mode == SPLIT_UNKNOWN)
      return at;
  }
  if (at == len)
    return at;
  if (p->mode == SPLIT_LINES)
    return at + take_lines(s, p, text + at, len - at, end);
  return at + take_objects(s, p, text + at, len - at, end);
}
