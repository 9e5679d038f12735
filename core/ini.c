/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ini_private.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <string.h>

/* inih wants room for "\r\n" and the NUL beside the line. */
#define INIH_LINE (INI_FILE_LINE_MAX + 3)

/* A file being read. */
struct reading {
  FILE *stream;
  struct ini *ini;
  struct conf_memory **memory;
  struct problems *problems;
  struct ini_section *section; /* the one that lines belong to now */
  struct ini_entry *entry;     /* the one that an indented line continues */
  size_t octets;
  int line;
  int error;         /* errno of a failed read */
  bool in_file_head; /* no section so far */
  bool indented;     /* the line at hand */
  bool owes_a_value; /* inih has not called for the line at hand */
  bool crowded;      /* a bound was reported for this section */
  bool failed;       /* nothing more is read */
};

/* --- lines, for inih ------------------------------------------------------------------------ */

static void complain(struct reading *reading, const char *what)
{
  problems_add(reading->problems, false, reading->ini->file, reading->line, "%s", what);
}

/* The call for a line comes before the next one is asked for; without it the line was no pair. */
static void settle(struct reading *reading)
{
  if (reading->owes_a_value)
    complain(reading, "neither 'key = value' nor '[section]' nor a comment (#, ;)");
  reading->owes_a_value = false;
}

/* One line without its end. @return its length, or -1 at the end of the file */
static long take_line(struct reading *reading, char *line, bool *too_long, bool *binary)
{
  long len = 0;
  int c, before = 0;
  *too_long = *binary = false;
  while ((c = getc(reading->stream)) != EOF && ++reading->octets <= INI_FILE_MAX && c != '\n') {
    if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f || before == '\r')
      *binary = true;
    before = c;
    if (len < INI_FILE_LINE_MAX)
      line[len++] = (char)c;
    else
      *too_long = true;
  }
  if (c == EOF && ferror(reading->stream))
    reading->error = errno;
  return c == EOF && len == 0 ? -1 : len;
}

static size_t skip_bom(const struct reading *reading, const char *line)
{
  return reading->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static void open_section(struct reading *reading, const char *name, size_t len)
{
  struct ini *ini = reading->ini;
  reading->crowded = false;
  if (ini->count >= INI_SECTIONS_MAX) {
    if (ini->count == INI_SECTIONS_MAX)
      complain(reading, "too many sections; expected at most 1024");
    ini->count++;
    return;
  }
  struct ini_section *section = conf_memory_alloc(reading->memory, sizeof *section);
  char *copy = section != NULL ? conf_memory_text(reading->memory, name, len) : NULL;
  if (copy == NULL) {
    complain(reading, "out of memory");
    reading->failed = true;
    return;
  }
  *section = (struct ini_section){.name = copy, .line = reading->line};
  section->entries_end = &section->entries;
  *ini->sections_end = section;
  ini->sections_end = &section->next;
  ini->count++;
  reading->section = section;
}

static void note_section(struct reading *reading, const char *line)
{
  const char *name = line + 1 + strspn(line + 1, " \t");
  const char *end = strchr(name, ']');
  reading->entry = NULL;
  reading->section = NULL; /* what follows a broken one belongs to no other */
  reading->in_file_head = false;
  if (end == NULL) {
    complain(reading, "a section without ']'; expected [kind.name]");
    return;
  }
  const char *rest = end + 1 + strspn(end + 1, " \t\r");
  if (*rest != '\0' && *rest != ';' && *rest != '#')
    complain(reading, "text after ']'; a section stands on a line of its own");
  while (end > name && isspace((unsigned char)end[-1]))
    end--;
  open_section(reading, name, (size_t)(end - name));
}

/* Whether an indented line is a section all the same, and no address in a list: "[kind.name]". */
static bool is_plain_section(const char *text)
{
  size_t len = strcspn(text, "]");
  return text[0] == '[' && text[len] == ']' &&
         (strncmp(text, "[cofd]", 6) == 0 || memchr(text, '.', len) != NULL) &&
         memchr(text, ':', len) == NULL;
}

/* What kind of line comes next. @return whether inih gets it */
static bool note_line(struct reading *reading, char *line)
{
  char *text = line + strspn(line, " \t\r");
  reading->indented = text > line;
  if (*text == '\0' || *text == '#' || *text == ';')
    return false;
  bool continues = reading->indented && reading->entry != NULL;
  if (is_plain_section(text) || (*text == '[' && !continues)) {
    note_section(reading, text);
    memmove(line, text, strlen(text) + 1); /* or inih takes it for more of a value */
    return reading->section != NULL;
  }
  reading->owes_a_value = true;
  return true;
}

/* The reader that inih calls; as fgets(3). */
static char *next_line(char *buffer, int size, void *arg)
{
  struct reading *reading = arg;
  settle(reading);
  if (reading->failed || size < INIH_LINE)
    return NULL;
  bool too_long, binary;
  long len = take_line(reading, buffer, &too_long, &binary);
  if (len < 0)
    return NULL;
  reading->line++;
  buffer[len] = '\0';
  bool usable = false;
  if (reading->octets > INI_FILE_MAX) {
    complain(reading, "the file goes on beyond 1048576 octets; expected less");
    reading->failed = true;
  } else if (too_long) {
    complain(reading, "line longer than 65536 octets; break it into indented lines");
  } else if (binary) {
    complain(reading, "control characters; expected text");
  } else {
    size_t bom = skip_bom(reading, buffer);
    memmove(buffer, buffer + bom, (size_t)len - bom + 1);
    usable = note_line(reading, buffer);
  }
  if (!usable)
    buffer[0] = '\0';
  size_t end = strlen(buffer);
  buffer[end] = '\n';
  buffer[end + 1] = '\0';
  return buffer;
}

/* --- pairs, from inih ----------------------------------------------------------------------- */

static struct ini_entry *entry_create(struct conf_memory **memory, const char *key, size_t key_len,
                                      const char *value, int line)
{
  struct ini_entry *entry = conf_memory_alloc(memory, sizeof *entry);
  char *key_copy = conf_memory_text(memory, key, key_len);
  char *value_copy = conf_memory_text(memory, value, strlen(value));
  if (entry == NULL || key_copy == NULL || value_copy == NULL)
    return NULL;
  *entry = (struct ini_entry){.key = key_copy, .value = value_copy, .line = line};
  entry->more_end = &entry->more;
  return entry;
}

static void append(struct ini_section *section, struct ini_entry *entry)
{
  *section->entries_end = entry;
  section->entries_end = &entry->next;
  section->count++;
}

static void keep_pair(struct reading *reading, const char *key, const char *value)
{
  struct ini_section *section = reading->section;
  if (section->count >= INI_KEYS_MAX) {
    if (!reading->crowded)
      complain(reading, "too many lines in this section; expected at most 1024");
    reading->crowded = true;
    return;
  }
  bool continues = reading->indented && reading->entry != NULL;
  struct ini_entry *entry = entry_create(reading->memory, key, strlen(key), value, reading->line);
  if (entry == NULL) {
    complain(reading, "out of memory");
    reading->failed = true;
  } else if (continues) {
    *reading->entry->more_end = entry;
    reading->entry->more_end = &entry->next;
  } else {
    append(section, entry);
    reading->entry = entry;
  }
}

/* The handler that inih calls; it truncates long section names, so that ours counts. */
static int take_pair(void *arg, const char *section, const char *key, const char *value)
{
  struct reading *reading = arg;
  (void)section;
  reading->owes_a_value = false;
  if (key[0] == '\0') {
    complain(reading, "no key before '='; expected 'key = value'");
    reading->entry = NULL; /* nor does inih take an indented line after it for more of a value */
  } else if (reading->section != NULL) {
    keep_pair(reading, key, value);
  } else if (reading->in_file_head) {
    complain(reading, "an option before any section; expected [cofd] or [kind.name] above it");
  }
  return 1;
}

bool ini_read(FILE *stream, const char *file, struct ini *ini, struct conf_memory **memory,
              struct problems *problems)
{
  *ini = (struct ini){.file = file};
  ini->sections_end = &ini->sections;
  struct reading reading = {
      .stream = stream, .ini = ini, .memory = memory, .problems = problems, .in_file_head = true};
  ini_use_stack = false;
  ini_max_line = ini_initial_alloc = INIH_LINE;
  ini_allow_realloc = false;
  ini_allow_multiline = true;
  ini_allow_inline_comments = true;
  int result = ini_parse_stream(next_line, &reading, take_pair, &reading);
  settle(&reading);
  if (result < 0)
    complain(&reading, "out of memory");
  if (reading.error != 0) {
    problems_add(problems, false, file, 0, "cannot be read: %s", strerror(reading.error));
    return false;
  }
  return result >= 0 && !reading.failed;
}

struct ini_section *ini_section(const struct ini *ini, const char *name)
{
  for (struct ini_section *section = ini->sections; section != NULL; section = section->next)
    if (strcmp(section->name, name) == 0)
      return section;
  return NULL;
}

struct ini_entry *ini_entry(const struct ini_section *section, const char *key)
{
  for (struct ini_entry *entry = section->entries; entry != NULL; entry = entry->next)
    if (strcmp(entry->key, key) == 0)
      return entry;
  return NULL;
}

static void drop_key(struct ini_section *section, const char *key)
{
  struct ini_entry **link = &section->entries;
  while (*link != NULL) {
    if ((*link)->line > 0 && strcmp((*link)->key, key) == 0) {
      *link = (*link)->next;
      section->count--;
    } else {
      link = &(*link)->next;
    }
  }
  section->entries_end = link;
}

bool ini_override(struct ini_section *section, const char *key, size_t key_len, const char *value,
                  struct conf_memory **memory)
{
  struct ini_entry *entry = entry_create(memory, key, key_len, value, 0);
  if (entry == NULL)
    return false;
  drop_key(section, entry->key);
  append(section, entry);
  return true;
}
