/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "quota_private.h"

#include <stdlib.h>
#include <string.h>

#include "secret_private.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define DAY           INT64_C(86400)
#define RATE_MAX      UINT64_C(1000000)
#define PERIOD_MAX_S  UINT64_C(86400)

/* --- reading -------------------------------------------------------------------------------- */

static bool read_number(const char **at, uint64_t most, uint64_t *out)
{
  uint64_t n = 0;
  const char *p = *at;
  while (*p >= '0' && *p <= '9' && n <= most)
    n = n * 10 + (uint64_t)(*p++ - '0');
  bool ok = p != *at && n > 0 && n <= most;
  *at = p;
  *out = n;
  return ok;
}

static uint64_t unit_seconds(char c)
{
  switch (c) {
  case 's':
    return 1;
  case 'm':
    return 60;
  case 'h':
    return 3600;
  default:
    return 0;
  }
}

enum cof_result limits_read_rate(struct limits *limits, const char *text, struct cof_error *err)
{
  const char *p = text;
  uint64_t rate, period = 1, unit = 0;
  bool ok = read_number(&p, RATE_MAX, &rate) && *p++ == '/';
  if (ok && *p >= '0' && *p <= '9')
    ok = read_number(&p, PERIOD_MAX_S, &period);
  if (ok)
    unit = unit_seconds(*p);
  if (unit == 0 || p[1] != '\0' || period * unit > PERIOD_MAX_S)
    return cof_fail(err, COF_REJECT,
                    "'%.32s' is no rate; expected requests/time such as 10/s or 600/10m, at most "
                    "1000000 requests, and a day",
                    text);
  limits->rate = rate;
  limits->period_ns = period * unit * NS_PER_SECOND;
  return COF_OK;
}

/* --- meters --------------------------------------------------------------------------------- */

static uint64_t step_ns(const struct limits *l)
{
  return l->period_ns / l->rate;
}

/* Time that so many requests take of the rate, at most some centuries. */
static uint64_t cost_ns(const struct limits *l, uint64_t requests)
{
  uint64_t step = step_ns(l), most = UINT64_MAX / 4;
  return requests <= most / (step != 0 ? step : 1) ? requests * step : most;
}

/* Time until the whole rate is there again. */
static uint64_t behind_ns(const struct meter *m, struct instant now)
{
  return m->full_ns > now.mono_ns ? m->full_ns - now.mono_ns : 0;
}

static uint64_t used_today(const struct meter *m, struct instant now)
{
  return m->day == (uint64_t)(now.utc / DAY) ? m->used : 0;
}

void meter_view(const struct meter *m, const struct limits *l, struct instant now,
                struct remainder *left)
{
  uint64_t behind = behind_ns(m, now), used = used_today(m, now);
  memset(left, 0, sizeof *left);
  if (l->rate != 0 && behind < l->period_ns)
    left->rate = (l->period_ns - behind) / step_ns(l);
  if (l->quota > used)
    left->quota = l->quota - used;
  left->reset = (now.utc / DAY + 1) * DAY;
}

static enum verdict judge(const struct meter *m, const struct limits *l, struct instant now,
                          uint64_t requests, struct remainder *left)
{
  uint64_t behind = behind_ns(m, now), used = used_today(m, now);
  uint64_t need = requests != 0 ? requests : 1;
  if (l->quota != 0 && (used >= l->quota || need > l->quota - used)) {
    left->wait_s = (uint64_t)(left->reset - now.utc);
    return VERDICT_QUOTA;
  }
  if (l->rate != 0 && behind + step_ns(l) > l->period_ns) {
    left->wait_s = (behind + step_ns(l) - l->period_ns) / NS_PER_SECOND + 1;
    return VERDICT_RATE;
  }
  if (l->concurrent != 0 && m->under_way >= l->concurrent) {
    left->wait_s = 1;
    return VERDICT_CONCURRENT;
  }
  return VERDICT_OK;
}

enum verdict meter_take(struct meter *m, const struct limits *l, struct instant now,
                        uint64_t requests, struct remainder *left)
{
  meter_view(m, l, now, left);
  enum verdict v = judge(m, l, now, requests, left);
  if (v != VERDICT_OK || requests == 0)
    return v;
  if (l->rate != 0)
    m->full_ns = now.mono_ns + behind_ns(m, now) + cost_ns(l, requests);
  m->used = used_today(m, now) + requests;
  m->day = (uint64_t)(now.utc / DAY);
  meter_view(m, l, now, left);
  return VERDICT_OK;
}

/* --- users ---------------------------------------------------------------------------------- */

struct account *account_create(void)
{
  struct account *a = calloc(1, sizeof *a);
  if (a == NULL)
    return NULL;
  if (pthread_mutex_init(&a->lock, NULL) != 0) {
    free(a);
    return NULL;
  }
  atomic_init(&a->references, 1);
  return a;
}

struct account *account_hold(struct account *account)
{
  atomic_fetch_add_explicit(&account->references, 1, memory_order_relaxed);
  return account;
}

void account_drop(struct account **account)
{
  struct account *a = *account;
  *account = NULL;
  if (a == NULL || atomic_fetch_sub_explicit(&a->references, 1, memory_order_acq_rel) != 1)
    return;
  pthread_mutex_destroy(&a->lock);
  free(a);
}

/* --- addresses ------------------------------------------------------------------------------ */

/* Meters that an address may have; among them the one that asked longest ago gives way. */
#define WAYS   8
#define SHARDS 64

struct slot {
  uint8_t family; /* 0: free */
  uint8_t bytes[8];
  uint64_t asked_ns;
  struct meter meter;
};

struct addresses {
  uint64_t seed[2];
  size_t groups;
  pthread_mutex_t locks[SHARDS]; /* of the groups whose number has this remainder */
  struct slot slots[];           /* WAYS for each group */
};

struct addresses *addresses_create(size_t count)
{
  size_t groups = (count + WAYS - 1) / WAYS, ready = 0;
  struct addresses *a = calloc(1, sizeof *a + groups * WAYS * sizeof(struct slot));
  if (a == NULL)
    return NULL;
  a->groups = groups;
  bool ok = secret_random(a->seed, sizeof a->seed);
  while (ok && ready < SHARDS && pthread_mutex_init(&a->locks[ready], NULL) == 0)
    ready++;
  if (ready == SHARDS)
    return a;
  while (ready > 0)
    pthread_mutex_destroy(&a->locks[--ready]);
  free(a);
  return NULL;
}

void addresses_destroy(struct addresses **addresses)
{
  struct addresses *a = *addresses;
  if (a == NULL)
    return;
  for (size_t i = 0; i < SHARDS; i++)
    pthread_mutex_destroy(&a->locks[i]);
  free(a);
  *addresses = NULL;
}

/* Which group an address is in, so that nobody can tell whom he would displace. */
static size_t group_of(const struct addresses *a, const struct cof_addr *addr)
{
  uint64_t x;
  memcpy(&x, addr->bytes, sizeof x);
  x = (x ^ a->seed[0] ^ addr->family) * (a->seed[1] | 1);
  x ^= x >> 32;
  x *= UINT64_C(0x9e3779b97f4a7c15);
  x ^= x >> 29;
  return (size_t)(x % a->groups);
}

/* The slot of an address, made where there is none. The group's lock is held. */
static struct slot *slot_of(struct addresses *a, size_t group, const struct cof_addr *addr)
{
  struct slot *first = &a->slots[group * WAYS], *oldest = first;
  for (struct slot *s = first; s < first + WAYS; s++) {
    if (s->family == addr->family && memcmp(s->bytes, addr->bytes, sizeof s->bytes) == 0)
      return s;
    if (oldest->family != 0 && (s->family == 0 || s->asked_ns < oldest->asked_ns))
      oldest = s;
  }
  memset(oldest, 0, sizeof *oldest);
  oldest->family = addr->family;
  memcpy(oldest->bytes, addr->bytes, sizeof oldest->bytes);
  return oldest;
}

enum verdict addresses_take(struct addresses *a, const struct cof_addr *addr,
                            const struct limits *limits, struct instant now, uint64_t requests,
                            struct remainder *left)
{
  size_t group = group_of(a, addr);
  pthread_mutex_t *lock = &a->locks[group % SHARDS];
  pthread_mutex_lock(lock);
  struct slot *slot = slot_of(a, group, addr);
  slot->asked_ns = now.mono_ns;
  enum verdict v = meter_take(&slot->meter, limits, now, requests, left);
  pthread_mutex_unlock(lock);
  return v;
}
