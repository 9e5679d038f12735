/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rules_private.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "words_private.h"

/* A name within a table of suffixes. */
struct suffix {
  uint64_t hash; /* 0: empty slot */
  char *name;
  size_t len;
};

struct range {
  uint8_t first[16], last[16];
};

/* Addresses of one family: sorted and without overlaps once sealed. */
struct ranges {
  struct range *items;
  size_t count, room;
  size_t octets; /* of an address */
};

struct rules {
  struct suffix *suffixes; /* open addressing, at most half full */
  size_t suffixes_count, suffixes_room;
  size_t longest; /* octets of the longest suffix */
  char **substrings;
  size_t substrings_count, substrings_room, substrings_octets;
  struct words *words; /* of the substrings; NULL where there are none */
  struct ranges v4, v6;
};

struct rules *rules_create(void)
{
  struct rules *r = calloc(1, sizeof *r);
  if (r == NULL)
    return NULL;
  r->v4.octets = 4;
  r->v6.octets = 16;
  return r;
}

void rules_destroy(struct rules **rules)
{
  struct rules *r = *rules;
  if (r == NULL)
    return;
  for (size_t i = 0; i < r->suffixes_room; i++)
    free(r->suffixes[i].name);
  for (size_t i = 0; i < r->substrings_count; i++)
    free(r->substrings[i]);
  free(r->suffixes);
  free(r->substrings);
  words_destroy(&r->words);
  free(r->v4.items);
  free(r->v6.items);
  free(r);
  *rules = NULL;
}

/* The array with room for one more; NULL when out of memory, with the array unchanged. */
static void *grown(void *items, size_t *room, size_t count, size_t size)
{
  if (count < *room)
    return items;
  size_t more = *room != 0 ? *room * 2 : 64;
  void *fresh = realloc(items, more * size);
  if (fresh != NULL)
    *room = more;
  return fresh;
}

static enum cof_result no_memory(struct cof_error *err)
{
  return cof_fail(err, COF_FATAL, "out of memory");
}

/* --- suffixes ----------------------------------------------------------------------------------
 */

/* FNV-1a from the last octet to the first, so that one pass from the right meets every suffix. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_octet(uint64_t hash, char octet)
{
  return (hash ^ (uint8_t)octet) * UINT64_C(0x100000001b3);
}

static uint64_t hash_finish(uint64_t hash)
{
  hash ^= hash >> 32;
  return hash != 0 ? hash : 1;
}

static uint64_t hash_name(const char *name, size_t len)
{
  uint64_t hash = HASH_START;
  while (len > 0)
    hash = hash_octet(hash, name[--len]);
  return hash_finish(hash);
}

static struct suffix *find_slot(struct suffix *table, size_t room, uint64_t hash, const char *name,
                                size_t len)
{
  size_t i = (size_t)hash & (room - 1);
  while (table[i].hash != 0 &&
         (table[i].hash != hash || table[i].len != len || memcmp(table[i].name, name, len) != 0))
    i = (i + 1) & (room - 1);
  return &table[i];
}

static bool grow_suffixes(struct rules *r)
{
  if ((r->suffixes_count + 1) * 2 <= r->suffixes_room)
    return true;
  size_t room = r->suffixes_room != 0 ? r->suffixes_room * 2 : 64;
  struct suffix *table = calloc(room, sizeof *table);
  if (table == NULL)
    return false;
  for (size_t i = 0; i < r->suffixes_room; i++) {
    struct suffix *s = &r->suffixes[i];
    if (s->hash != 0)
      *find_slot(table, room, s->hash, s->name, s->len) = *s;
  }
  free(r->suffixes);
  r->suffixes = table;
  r->suffixes_room = room;
  return true;
}

enum cof_result rules_add_suffix(struct rules *r, const char *text, struct cof_error *err)
{
  char name[COF_NAME_MAX];
  size_t len;
  struct cof_error why;
  if (text[0] == '.' && text[1] != '\0')
    text++;
  if (text[0] == '*' && text[1] == '.')
    return cof_fail(err, COF_REJECT, "\"%.128s\": a suffix takes all names below it without \"*.\"",
                    text);
  if (cof_name_canon(text, strlen(text), name, &len, &why) != COF_OK)
    return cof_fail(err, COF_REJECT, "\"%.64s\" is no domain name: %.128s", text, why.text);
  if (strcmp(name, ".") == 0)
    return cof_fail(err, COF_REJECT, "the root as a suffix would exclude every record");
  if (r->suffixes_count >= RULES_MAX)
    return cof_fail(err, COF_REJECT, "more than %u suffixes", RULES_MAX);
  if (!grow_suffixes(r))
    return no_memory(err);
  uint64_t hash = hash_name(name, len);
  struct suffix *slot = find_slot(r->suffixes, r->suffixes_room, hash, name, len);
  if (slot->hash != 0)
    return COF_OK;
  char *copy = strdup(name);
  if (copy == NULL)
    return no_memory(err);
  *slot = (struct suffix){.hash = hash, .name = copy, .len = len};
  r->suffixes_count++;
  if (len > r->longest)
    r->longest = len;
  return COF_OK;
}

/* Whether the dot at `at` is part of a label: an odd number of backslashes stands before it. */
static bool escaped(const char *name, size_t at)
{
  size_t n = 0;
  while (n < at && name[at - n - 1] == '\\')
    n++;
  return n % 2 != 0;
}

static bool match_suffix(const struct rules *r, const char *name, size_t len)
{
  if (r->suffixes_count == 0)
    return false;
  uint64_t hash = HASH_START;
  size_t stop = len > r->longest ? len - r->longest : 0;
  for (size_t i = len; i > stop;) {
    hash = hash_octet(hash, name[--i]);
    if (i != 0 && (name[i - 1] != '.' || escaped(name, i - 1)))
      continue;
    if (find_slot(r->suffixes, r->suffixes_room, hash_finish(hash), name + i, len - i)->hash != 0)
      return true;
  }
  return false;
}

/* --- substrings --------------------------------------------------------------------------------
 */

enum cof_result rules_add_substring(struct rules *r, const char *text, struct cof_error *err)
{
  size_t len = strlen(text);
  if (len == 0)
    return COF_OK;
  if (len > SUBSTRINGS_MAX - r->substrings_octets)
    return cof_fail(err, COF_REJECT, "all substrings together are longer than %zu octets",
                    SUBSTRINGS_MAX);
  char **items =
      grown(r->substrings, &r->substrings_room, r->substrings_count, sizeof *r->substrings);
  if (items == NULL)
    return no_memory(err);
  r->substrings = items;
  char *copy = strdup(text);
  if (copy == NULL)
    return no_memory(err);
  for (char *p = copy; *p != '\0'; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char)(*p - 'A' + 'a');
  r->substrings[r->substrings_count++] = copy;
  r->substrings_octets += len;
  return COF_OK;
}

/* --- networks ----------------------------------------------------------------------------------
 */

enum cof_result rules_add_network(struct rules *r, const char *text, struct cof_error *err)
{
  struct cof_addr first, last;
  struct cof_error why;
  if (cof_network_parse(text, strlen(text), &first, &last, &why) != COF_OK)
    return cof_fail(err, COF_REJECT, "\"%.64s\" is no network: %.128s", text, why.text);
  struct ranges *ranges = first.family == 4 ? &r->v4 : &r->v6;
  if (ranges->count >= RULES_MAX)
    return cof_fail(err, COF_REJECT, "more than %u networks of one family", RULES_MAX);
  struct range *items = grown(ranges->items, &ranges->room, ranges->count, sizeof *items);
  if (items == NULL)
    return no_memory(err);
  ranges->items = items;
  struct range *range = &ranges->items[ranges->count++];
  memcpy(range->first, first.bytes, sizeof range->first);
  memcpy(range->last, last.bytes, sizeof range->last);
  return COF_OK;
}

static int compare_ranges(const void *a, const void *b)
{
  return memcmp(((const struct range *)a)->first, ((const struct range *)b)->first, 16);
}

static void merge(struct ranges *ranges)
{
  if (ranges->count == 0)
    return;
  qsort(ranges->items, ranges->count, sizeof *ranges->items, compare_ranges);
  struct range *into = ranges->items;
  for (size_t i = 1; i < ranges->count; i++) {
    const struct range *next = &ranges->items[i];
    if (memcmp(next->first, into->last, 16) > 0)
      *++into = *next;
    else if (memcmp(next->last, into->last, 16) > 0)
      memcpy(into->last, next->last, 16);
  }
  ranges->count = (size_t)(into - ranges->items) + 1;
}

static bool match_network(const struct rules *r, const struct cof_record *record)
{
  if ((record->rrtype != COF_TYPE_A || r->v4.count == 0) &&
      (record->rrtype != COF_TYPE_AAAA || r->v6.count == 0))
    return false;
  struct cof_addr addr;
  if (!cof_addr_parse(record->rdata, record->rdata_len, &addr))
    return false;
  const struct ranges *ranges = addr.family == 4 ? &r->v4 : &r->v6;
  size_t low = 0, high = ranges->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (memcmp(ranges->items[middle].last, addr.bytes, ranges->octets) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < ranges->count && memcmp(ranges->items[low].first, addr.bytes, ranges->octets) <= 0;
}

/* --- a file of entries -------------------------------------------------------------------------
 */

#define MISTAKES_MAX 20

struct file {
  struct rules *rules;
  const char *path;
  size_t line;
  size_t mistakes;
  void (*mistake)(void *arg, const char *text);
  void *arg;
};

static void report(struct file *f, const char *what)
{
  char text[COF_ERROR_MAX + 512];
  if (f->mistakes++ >= MISTAKES_MAX)
    return;
  snprintf(text, sizeof text, "%.400s:%zu: %s", f->path, f->line, what);
  f->mistake(f->arg, text);
}

/* Cut a line's comment, line end and outer blanks away. */
static char *trim(char *text)
{
  char *end = strchr(text, '#');
  if (end == NULL)
    end = text + strlen(text);
  while (end > text && strchr(" \t\r\n", end[-1]) != NULL)
    end--;
  *end = '\0';
  return text + strspn(text, " \t");
}

static enum cof_result add_entry(struct rules *r, char *text, struct cof_error *err)
{
  struct cof_addr addr;
  size_t len = strlen(text);
  if (strchr(text, '/') != NULL || cof_addr_parse(text, len, &addr))
    return rules_add_network(r, text, err);
  if (len >= 2 && text[0] == '*' && text[len - 1] == '*') {
    text[len - 1] = '\0';
    if (text[1] == '\0')
      return cof_fail(err, COF_REJECT, "nothing stands between the asterisks");
    return rules_add_substring(r, text + 1, err);
  }
  return rules_add_suffix(r, text, err);
}

static enum cof_result add_lines(struct file *f, FILE *in)
{
  enum cof_result result = COF_OK;
  char line[4096];
  while (fgets(line, sizeof line, in) != NULL) {
    struct cof_error err;
    f->line++;
    size_t len = strlen(line);
    if (len == sizeof line - 1 && line[len - 1] != '\n') {
      int c;
      while ((c = getc(in)) != EOF && c != '\n')
        ;
      report(f, "the line is longer than 4094 octets");
      result = COF_REJECT;
      continue;
    }
    char *text = trim(line);
    enum cof_result one = *text != '\0' ? add_entry(f->rules, text, &err) : COF_OK;
    if (one == COF_OK)
      continue;
    report(f, err.text);
    result = one;
    if (one == COF_FATAL)
      return one;
  }
  return result;
}

enum cof_result rules_add_file(struct rules *r, const char *path,
                               void (*mistake)(void *arg, const char *text), void *arg)
{
  struct file f = {.rules = r, .path = path, .mistake = mistake, .arg = arg};
  char text[512];
  FILE *in = fopen(path, "re");
  if (in == NULL) {
    snprintf(text, sizeof text, "%.400s: %s", path, strerror(errno));
    mistake(arg, text);
    return COF_REJECT;
  }
  errno = 0;
  enum cof_result result = add_lines(&f, in);
  if (ferror(in) != 0) {
    report(&f, strerror(errno));
    result = COF_REJECT;
  }
  fclose(in);
  if (f.mistakes > MISTAKES_MAX) {
    snprintf(text, sizeof text, "%.400s: %zu more mistakes", path, f.mistakes - MISTAKES_MAX);
    mistake(arg, text);
  }
  return result;
}

/* --- all of it ---------------------------------------------------------------------------------
 */

enum cof_result rules_seal(struct rules *r)
{
  merge(&r->v4);
  merge(&r->v6);
  if (r->substrings_count != 0) {
    r->words = words_create((const char *const *)r->substrings, r->substrings_count);
    if (r->words == NULL)
      return COF_FATAL;
  }
  return COF_OK;
}

enum reason rules_match(const struct rules *r, const struct cof_record *record)
{
  if (match_suffix(r, record->rrname, record->rrname_len))
    return REASON_SUFFIX;
  if (r->words != NULL && words_found(r->words, record->rrname, record->rrname_len))
    return REASON_SUBSTRING;
  if (match_network(r, record))
    return REASON_NETWORK;
  return REASON_NONE;
}

size_t rules_count(const struct rules *r, enum reason kind)
{
  switch (kind) {
  case REASON_SUFFIX:
    return r->suffixes_count;
  case REASON_SUBSTRING:
    return r->substrings_count;
  case REASON_NETWORK:
    return r->v4.count + r->v6.count;
  case REASON_NONE:
  case REASONS:
    break;
  }
  return 0;
}
