/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "users_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cofd/secret.h>
#include <crypt.h>

#include "auth_private.h"

#define QUOTA_MAX      INT64_C(1000000000000)
#define CONCURRENT_MAX 1000000
/* Passwords that are checked at once: their hashes are made to cost, and threads that check none
   have to be left for answers. */
#define CRYPTS_MAX 1

struct users {
  size_t count, room;
  struct user **items; /* by name */
  const char *decoy;   /* hash of some password, or NULL where there are keys only */
  atomic_int crypts;   /* passwords being checked */
  uint8_t key[DIGEST_OCTETS];
};

/* --- reading -------------------------------------------------------------------------------- */

/* A file being read, for messages. */
struct reading {
  const char *path;
  unsigned line;
  struct cof_error *err;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct reading *r, const char *fmt, ...)
{
  char text[COF_ERROR_MAX / 2];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  (void)cof_fail(r->err, COF_REJECT, "%.200s:%u: %s", r->path, r->line, text);
  return false;
}

enum cof_result scope_parse(const char *text, size_t len, unsigned *scopes, struct cof_error *err)
{
  static const struct {
    const char *word;
    unsigned scopes;
  } words[] = {{"query", SCOPE_QUERY},
               {"stats", SCOPE_STATS},
               {"admin", SCOPE_QUERY | SCOPE_STATS | SCOPE_ADMIN}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i].word) == len && memcmp(words[i].word, text, len) == 0) {
      *scopes |= words[i].scopes;
      return COF_OK;
    }
  return cof_fail(err, COF_REJECT, "'%.*s' is no scope; expected query, stats or admin",
                  (int)(len < 32 ? len : 32), text);
}

static bool read_scopes(struct reading *r, struct user *u, const char *text)
{
  struct cof_error why;
  u->scopes = 0;
  for (;;) {
    size_t len = strcspn(text, ",");
    if (scope_parse(text, len, &u->scopes, &why) != COF_OK)
      return wrong(r, "%s", why.text);
    if (text[len] == '\0')
      return true;
    text += len + 1;
  }
}

static bool read_count(struct reading *r, const char *what, const char *text, int64_t most,
                       uint64_t *out)
{
  char *end;
  errno = 0;
  long long n = strtoll(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n < 1 || n > most)
    return wrong(r, "%s=%.32s; expected a number of 1 to %lld", what, text, (long long)most);
  *out = (uint64_t)n;
  return true;
}

/* The day named is the last one on which the entry is good. */
static bool read_expires(struct reading *r, struct user *u, const char *text)
{
  struct tm day = {0};
  const char *end = strlen(text) == 10 ? strptime(text, "%Y-%m-%d", &day) : NULL;
  time_t at = end != NULL && *end == '\0' ? timegm(&day) : -1;
  if (at < 0)
    return wrong(r, "expires=%.32s; expected a date such as 2030-12-31", text);
  u->expires = (int64_t)at + 86400;
  return true;
}

static bool read_attribute(struct reading *r, struct user *u, const char *word)
{
  struct cof_error why;
  if (strncmp(word, "scopes=", 7) == 0)
    return read_scopes(r, u, word + 7);
  if (strncmp(word, "quota=", 6) == 0)
    return read_count(r, "quota", word + 6, QUOTA_MAX, &u->limits.quota);
  if (strncmp(word, "concurrent=", 11) == 0)
    return read_count(r, "concurrent", word + 11, CONCURRENT_MAX, &u->limits.concurrent);
  if (strncmp(word, "expires=", 8) == 0)
    return read_expires(r, u, word + 8);
  if (strncmp(word, "rate=", 5) != 0)
    return wrong(r, "'%.32s'; expected scopes=, rate=, quota=, concurrent= or expires=", word);
  return limits_read_rate(&u->limits, word + 5, &why) == COF_OK || wrong(r, "%s", why.text);
}

static bool read_name(struct reading *r, struct user *u, const char *word)
{
  static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@";
  size_t len = strlen(word);
  if (len > NAME_MAX_OCTETS || word[strspn(word, good)] != '\0')
    return wrong(r,
                 "'%.80s' is no name; expected 1 to 64 letters, digits, hyphens, underscores "
                 "and @",
                 word);
  memcpy(u->name, word, len + 1);
  return true;
}

static int hex_digit(char c)
{
  static const char digits[] = "0123456789abcdef";
  const char *at = c != '\0' ? strchr(digits, c) : NULL;
  return at != NULL ? (int)(at - digits) : -1;
}

static bool read_digest(const char *text, uint8_t out[DIGEST_OCTETS])
{
  for (size_t i = 0; i < DIGEST_OCTETS; i++) {
    int high = hex_digit(text[2 * i]), low = high >= 0 ? hex_digit(text[2 * i + 1]) : -1;
    if (low < 0)
      return false;
    out[i] = (uint8_t)(high * 16 + low);
  }
  return text[2 * DIGEST_OCTETS] == '\0';
}

static bool read_key(struct reading *r, struct user *u, const char *text)
{
  size_t salt = strcspn(text, ":");
  if (salt < 16 || salt > 64 || text[salt] != ':' || !read_digest(text + salt + 1, u->digest))
    return wrong(r,
                 "the hash of '%s' is broken; expected sha256:SALT:DIGEST with a salt of 16 to "
                 "64 characters and 64 hexadecimal digits in lower case",
                 u->name);
  u->salt = strndup(text, salt);
  return u->salt != NULL || wrong(r, "out of memory");
}

static bool read_hash(struct reading *r, struct user *u, const char *word)
{
  if (strncmp(word, "sha256:", 7) == 0)
    return read_key(r, u, word + 7);
  if (*word != '$' || crypt_checksalt(word) != CRYPT_SALT_OK)
    return wrong(r,
                 "the hash of '%s' is of no kind that can be used; expected sha256:SALT:DIGEST "
                 "for a key, or a hash of crypt(5) such as $y$... or $6$... for a password",
                 u->name);
  u->crypt = strdup(word);
  return u->crypt != NULL || wrong(r, "out of memory");
}

static void user_destroy(struct user *u)
{
  account_drop(&u->account);
  free(u->crypt);
  free(u->salt);
  pthread_mutex_destroy(&u->lock);
  secret_wipe(u, sizeof *u);
  free(u);
}

static struct user *user_create(void)
{
  struct user *u = calloc(1, sizeof *u);
  if (u == NULL)
    return NULL;
  if (pthread_mutex_init(&u->lock, NULL) != 0) {
    free(u);
    return NULL;
  }
  u->scopes = SCOPE_QUERY;
  return u;
}

static bool add(struct users *users, struct user *u)
{
  if (users->count == users->room) {
    size_t room = users->room != 0 ? 2 * users->room : 16;
    struct user **items = realloc(users->items, room * sizeof(struct user *));
    if (items == NULL)
      return false;
    users->items = items;
    users->room = room;
  }
  users->items[users->count++] = u;
  return true;
}

/* An entry: a name, a hash, and attributes. */
static bool read_entry(struct reading *r, struct users *users, char *line)
{
  char *rest, *name = strtok_r(line, " \t\r\n", &rest), *word = strtok_r(NULL, " \t\r\n", &rest);
  if (name == NULL || *name == '#')
    return true;
  if (users->count == USERS_MAX)
    return wrong(r, "more than %d entries", USERS_MAX);
  if (word == NULL)
    return wrong(r, "'%.80s' has no hash; expected NAME HASH [ATTRIBUTE=VALUE]...", name);
  struct user *u = user_create();
  bool ok = u != NULL ? read_name(r, u, name) && read_hash(r, u, word) : wrong(r, "out of memory");
  while (ok && (word = strtok_r(NULL, " \t\r\n", &rest)) != NULL)
    ok = read_attribute(r, u, word);
  ok = ok && (add(users, u) || wrong(r, "out of memory"));
  if (!ok && u != NULL)
    user_destroy(u);
  return ok;
}

static bool read_lines(struct reading *r, struct users *users, FILE *in)
{
  char line[USERS_LINE_MAX + 2];
  bool ok = true;
  while (ok && fgets(line, sizeof line, in) != NULL) {
    r->line++;
    if (strchr(line, '\n') == NULL && !feof(in))
      ok = wrong(r, "line of more than %d octets, or with a NUL", USERS_LINE_MAX);
    else
      ok = read_entry(r, users, line);
  }
  secret_wipe(line, sizeof line);
  return ok && (!ferror(in) || wrong(r, "%s", strerror(errno)));
}

static int by_name(const void *a, const void *b)
{
  return strcmp((*(struct user *const *)a)->name, (*(struct user *const *)b)->name);
}

static struct user *find(const struct users *users, const char *name)
{
  size_t low = 0, high = users->count;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    int order = strcmp(name, users->items[mid]->name);
    if (order == 0)
      return users->items[mid];
    if (order < 0)
      high = mid;
    else
      low = mid + 1;
  }
  return NULL;
}

/* Put them in order, and give each an account. */
static bool settle(struct reading *r, struct users *users, const struct users *before)
{
  if (users->count > 1)
    qsort(users->items, users->count, sizeof *users->items, by_name);
  for (size_t i = 0; i < users->count; i++) {
    struct user *u = users->items[i];
    const struct user *old = before != NULL ? find(before, u->name) : NULL;
    if (i > 0 && strcmp(u->name, users->items[i - 1]->name) == 0)
      return wrong(r, "'%s' stands twice in the file", u->name);
    u->account = old != NULL ? account_hold(old->account) : account_create();
    if (u->account == NULL)
      return wrong(r, "out of memory");
    if (u->crypt != NULL && users->decoy == NULL)
      users->decoy = u->crypt;
  }
  return secret_random(users->key, sizeof users->key) || wrong(r, "no random numbers");
}

struct users *users_read(const char *path, const struct users *before, struct cof_error *err)
{
  struct reading r = {.path = path, .err = err};
  FILE *in = cof_secret_open(path, err);
  if (in == NULL)
    return NULL;
  struct users *users = calloc(1, sizeof *users);
  bool ok = users != NULL ? read_lines(&r, users, in) && settle(&r, users, before)
                          : wrong(&r, "out of memory");
  fclose(in);
  if (!ok)
    users_destroy(&users);
  return users;
}

void users_destroy(struct users **users)
{
  struct users *u = *users;
  if (u == NULL)
    return;
  for (size_t i = 0; i < u->count; i++)
    user_destroy(u->items[i]);
  free(u->items);
  secret_wipe(u, sizeof *u);
  free(u);
  *users = NULL;
}

/* --- proving -------------------------------------------------------------------------------- */

static bool key_matches(const struct user *u, const char *secret)
{
  static const char decoy[] = "0000000000000000";
  static const uint8_t none[DIGEST_OCTETS] = {0};
  uint8_t digest[DIGEST_OCTETS];
  bool key = u != NULL && u->salt != NULL;
  if (!secret_digest(key ? u->salt : decoy, secret, digest))
    return false;
  bool same = secret_same(digest, key ? u->digest : none, sizeof digest);
  return same && key;
}

/* One of few at once. */
static enum proof check_crypt(struct users *users, const char *hash, const char *password)
{
  bool good = false, turn = atomic_fetch_add(&users->crypts, 1) < CRYPTS_MAX;
  if (turn)
    good = secret_crypt_matches(hash, password);
  atomic_fetch_sub(&users->crypts, 1);
  return !turn ? PROOF_BUSY : good ? PROOF_GOOD : PROOF_WRONG;
}

static bool is_remembered(struct user *u, const uint8_t proof[DIGEST_OCTETS])
{
  pthread_mutex_lock(&u->lock);
  bool same = u->remembered && secret_same(u->proof, proof, DIGEST_OCTETS);
  pthread_mutex_unlock(&u->lock);
  return same;
}

static void remember(struct user *u, const uint8_t proof[DIGEST_OCTETS])
{
  pthread_mutex_lock(&u->lock);
  memcpy(u->proof, proof, DIGEST_OCTETS);
  u->remembered = true;
  pthread_mutex_unlock(&u->lock);
}

/* A password costs a tenth of a second to check; one that was right is known again at once. */
static enum proof prove_password(struct users *users, struct user *u, const char *password)
{
  uint8_t proof[DIGEST_OCTETS];
  if (!secret_mac(users->key, u->name, password, proof))
    return PROOF_WRONG;
  if (is_remembered(u, proof))
    return PROOF_GOOD;
  enum proof p = check_crypt(users, u->crypt, password);
  if (p == PROOF_GOOD)
    remember(u, proof);
  return p;
}

enum proof users_prove(struct users *users, const struct credentials *c, const struct user **user)
{
  if (c->kind != CREDENTIAL_TOKEN && c->kind != CREDENTIAL_BASIC)
    return PROOF_WRONG;
  struct user *u = find(users, c->name);
  enum proof p;
  if (c->kind == CREDENTIAL_BASIC && u != NULL && u->crypt != NULL)
    p = prove_password(users, u, c->secret);
  else
    p = key_matches(u, c->secret) ? PROOF_GOOD : PROOF_WRONG;
  /* What is no user's takes as long as a password that is wrong. */
  if (p == PROOF_WRONG && c->kind == CREDENTIAL_BASIC && users->decoy != NULL &&
      (u == NULL || u->crypt == NULL) && check_crypt(users, users->decoy, c->secret) == PROOF_BUSY)
    p = PROOF_BUSY;
  if (p == PROOF_GOOD)
    *user = u;
  return p;
}
