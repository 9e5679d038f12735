/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "expire_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keys_private.h"
#include "value_private.h"

/* Most texts of one name and type that are looked through for the one that a reverse key means. */
#define TEXTS_MAX 256

bool expire_parse(const char *text, struct expiry *e)
{
  char *end;
  const char *colon = strchr(text, ':');
  if (colon == NULL || colon[1] < '0' || colon[1] > '9' ||
      !cof_rrtype_parse(text, (size_t)(colon - text), &e->rrtype))
    return false;
  errno = 0;
  long long seconds = strtoll(colon + 1, &end, 10);
  e->seconds = (int64_t)seconds;
  return errno == 0 && *end == '\0' && e->seconds >= 1 && e->seconds <= COF_TIME_MAX;
}

enum cof_result expire_check(const struct conf *conf, struct cof_diag *diag)
{
  enum cof_result result = COF_OK;
  for (size_t i = 0; i < conf->expire.count; i++) {
    struct expiry e, other;
    bool good = expire_parse(conf->expire.items[i], &e), twice = false;
    if (!good)
      cof_diag_error(diag, "expire",
                     "'%.60s'; expected TYPE:SECONDS such as TXT:24000, at least 1 second",
                     conf->expire.items[i]);
    for (size_t j = 0; good && j < i; j++)
      twice = twice || (expire_parse(conf->expire.items[j], &other) && other.rrtype == e.rrtype);
    if (twice)
      cof_diag_error(diag, "expire", "'%.60s': this type is there twice; expected it once",
                     conf->expire.items[i]);
    if (!good || twice)
      result = COF_REJECT;
  }
  return result;
}

bool expire_setup(struct store *s)
{
  if (s->conf->expire.count == 0)
    return true;
  s->expiries = calloc(s->conf->expire.count, sizeof *s->expiries);
  for (size_t i = 0; s->expiries != NULL && i < s->conf->expire.count; i++)
    if (expire_parse(s->conf->expire.items[i], &s->expiries[s->expiries_count]))
      s->expiries_count++;
  return s->expiries != NULL;
}

static const struct expiry *find(const struct store *s, uint16_t rrtype)
{
  for (size_t i = 0; i < s->expiries_count; i++)
    if (s->expiries[i].rrtype == rrtype)
      return &s->expiries[i];
  return NULL;
}

bool expire_over(const struct store *s, uint16_t rrtype, int64_t time_last, int64_t now)
{
  const struct expiry *e = find(s, rrtype);
  return e != NULL && now - time_last >= e->seconds;
}

int64_t expire_now(const struct store *s)
{
  return s->expiries_count != 0 ? (int64_t)time(NULL) : 0;
}

/* Whether a change alone, of nothing before, would be over. */
static bool value_over(const struct store *s, uint16_t rrtype, const char *value, size_t len)
{
  struct cof_record r = {0};
  return change_get((const uint8_t *)value, len, &r) &&
         expire_over(s, rrtype, r.time_last, expire_now(s));
}

/* Whether a record is over or not there, with all that is written of it. When in doubt it is not.
 */
static bool record_over(const struct store *s, rocksdb_t *db, const void *key, size_t key_len,
                        uint16_t rrtype)
{
  char *error = NULL;
  size_t len = 0;
  rocksdb_pinnableslice_t *found = rocksdb_get_pinned(db, s->filter_read, key, key_len, &error);
  if (error != NULL) {
    rocksdb_free(error);
    return false;
  }
  if (found == NULL)
    return true;
  const char *value = rocksdb_pinnableslice_value(found, &len);
  bool over = value_over(s, rrtype, value, len);
  rocksdb_pinnableslice_destroy(found);
  return over;
}

/* Of a forward key or a sensor's. Compaction sees an old state of the record, while a later
   observation may lie in a file or in memory that it does not look at. */
static bool forward_over(const struct store *s, rocksdb_t *db, const char *key, size_t key_len,
                         const char *value, size_t value_len)
{
  struct key_forward_parts p;
  return key_forward_split((const uint8_t *)key, key_len, &p) && find(s, p.rrtype) != NULL &&
         value_over(s, p.rrtype, value, value_len) && record_over(s, db, key, key_len, p.rrtype);
}

/* A reverse key by hash: whether no text of the name and type that has this hash is still there.
   `stem` is what forward keys of the name and type begin with. */
static bool texts_over(const struct store *s, rocksdb_t *db, const struct key_reverse_parts *r,
                       const uint8_t *stem, size_t stem_len)
{
  bool over = true;
  size_t seen = 0;
  char *error = NULL;
  rocksdb_iterator_t *it = rocksdb_create_iterator(db, s->filter_read);
  for (rocksdb_iter_seek(it, (const char *)stem, stem_len); over && rocksdb_iter_valid(it);
       rocksdb_iter_next(it)) {
    struct key_forward_parts p;
    struct key_target t;
    size_t len, value_len;
    const char *key = rocksdb_iter_key(it, &len);
    if (len < stem_len || memcmp(key, stem, stem_len) != 0)
      break;
    const char *value = rocksdb_iter_value(it, &value_len);
    bool same = key_forward_split((const uint8_t *)key, len, &p) &&
                key_target(&t, p.rrtype, (const char *)p.rdata, p.rdata_len) &&
                t.class == KEY_TEXT && memcmp(t.bytes, r->target, KEY_HASH_LEN) == 0;
    over = ++seen <= TEXTS_MAX && !(same && !value_over(s, p.rrtype, value, value_len));
  }
  rocksdb_iter_get_error(it, &error);
  rocksdb_iter_destroy(it);
  if (error != NULL) {
    rocksdb_free(error);
    return false;
  }
  return over;
}

/* Each write of a record writes its reverse key again, in the same step: when the record is over,
   the reverse keys that compaction can see are old ones. */
static bool reverse_over(const struct store *s, rocksdb_t *db, const char *key, size_t key_len)
{
  struct key_reverse_parts p;
  if (!key_reverse_split((const uint8_t *)key, key_len, &p) || find(s, p.rrtype) == NULL)
    return false;
  uint8_t *forward = malloc(key_reverse_forward_bound(&p, 0));
  if (forward == NULL)
    return false;
  size_t len = key_reverse_forward(&p, "", 0, forward);
  bool over = len != 0 && (p.class == KEY_TEXT ? texts_over(s, db, &p, forward, len)
                                               : record_over(s, db, forward, len, p.rrtype));
  free(forward);
  return over;
}

unsigned char expire_filter(void *state, int level, const char *key, size_t key_len,
                            const char *value, size_t value_len, char **new_value,
                            size_t *new_value_len, unsigned char *changed)
{
  struct store *s = state;
  rocksdb_t *db = atomic_load(&s->readable);
  (void)level;
  (void)new_value;
  (void)new_value_len;
  *changed = 0;
  if (db == NULL || key_len == 0)
    return 0;
  if (key[0] == KEY_REVERSE)
    return reverse_over(s, db, key, key_len);
  if ((key[0] != KEY_FORWARD && key[0] != KEY_SENSOR) ||
      !forward_over(s, db, key, key_len, value, value_len))
    return 0;
  if (key[0] == KEY_FORWARD)
    cof_add(s->host, s->expired, 1);
  return 1;
}

static void no_destructor(void *state)
{
  (void)state;
}

static const char *filter_name(void *state)
{
  (void)state;
  return "cofd.expire.1";
}

rocksdb_compactionfilter_t *expire_make_filter(struct store *s)
{
  if (s->expiries_count == 0)
    return NULL;
  return rocksdb_compactionfilter_create(s, no_destructor, expire_filter, filter_name);
}
