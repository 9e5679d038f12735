/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tallies_private.h"

#include <stdlib.h>
#include <string.h>

#include "log_private.h"

/* Most sensors of one batch. */
#define BATCH_SENSORS 256
#define PAUSE_MIN_MS  100

struct sensor {
  char *id;
  uint64_t records;
};

/* What a storage says of itself. */
struct known {
  uint64_t observations;
  struct sensor *sensors; /* by name */
  size_t count, room;
  bool no_memory;
};

static void take_sensor(void *arg, const char *id, uint64_t records)
{
  struct known *k = arg;
  if (k->count == k->room) {
    size_t room = k->room != 0 ? 2 * k->room : 64;
    struct sensor *sensors = realloc(k->sensors, room * sizeof *sensors);
    k->no_memory = k->no_memory || sensors == NULL;
    if (sensors == NULL)
      return;
    k->sensors = sensors;
    k->room = room;
  }
  char *copy = strdup(id);
  k->no_memory = k->no_memory || copy == NULL;
  if (copy != NULL)
    k->sensors[k->count++] = (struct sensor){copy, records};
}

static void forget(struct known *k)
{
  for (size_t i = 0; i < k->count; i++)
    free(k->sensors[i].id);
  free(k->sensors);
  *k = (struct known){.observations = 0};
}

static int by_name(const void *a, const void *b)
{
  const struct sensor *x = a, *y = b;
  return strcmp(x->id, y->id);
}

static enum cof_result ask_once(struct instance *storage, struct known *k, struct cof_error *err)
{
  struct cof_storage_stats stats = {.observations = 0};
  forget(k);
  enum cof_result r = cof_storage_stats(&storage->host, &stats, take_sensor, k, err);
  if (r == COF_OK && k->no_memory)
    r = cof_fail(err, COF_FATAL, "out of memory");
  k->observations = stats.observations;
  if (r == COF_OK && k->count != 0)
    qsort(k->sensors, k->count, sizeof *k->sensors, by_name);
  return r;
}

static enum cof_result ask(struct transfer *t, struct instance *storage, struct known *k)
{
  struct cof_error err = {""};
  uint64_t pause_ms = PAUSE_MIN_MS;
  enum cof_result r;
  while ((r = ask_once(storage, k, &err)) == COF_RETRY)
    if (!writer_pause(t->writer, &pause_ms))
      return COF_STOPPED;
  if (r == COF_OK)
    return r;
  log_write(storage->source, COF_LOG_ERROR, "its statistics cannot be read: %s", err.text);
  return COF_FATAL;
}

static uint64_t lack(const struct known *target, const struct sensor *s)
{
  const struct sensor *have =
      target->count == 0 ? NULL : bsearch(s, target->sensors, target->count, sizeof *s, by_name);
  uint64_t records = have != NULL ? have->records : 0;
  return s->records > records ? s->records - records : 0;
}

static enum cof_result write_tallies(struct transfer *t, struct cof_batch *batch)
{
  enum cof_result r =
      cof_batch_observations(batch) != 0 ? writer_write(t->writer, batch, NULL) : COF_OK;
  cof_batch_clear(batch);
  return r;
}

/* Observations of a sensor count as such, too; only what is left is added without one. */
static enum cof_result add_lacking(struct transfer *t, const struct known *source,
                                   const struct known *target, struct cof_batch *batch)
{
  const struct cof_tally *tallies;
  uint64_t left =
      source->observations > target->observations ? source->observations - target->observations : 0;
  enum cof_result r = COF_OK;
  bool ok = true;
  for (size_t i = 0; ok && r == COF_OK && i < source->count; i++) {
    const struct sensor *s = &source->sensors[i];
    uint64_t n = lack(target, s);
    ok = n == 0 || cof_batch_tally(batch, s->id, strlen(s->id), n);
    left -= n < left ? n : left;
    if (cof_batch_tallies(batch, &tallies) >= BATCH_SENSORS)
      r = write_tallies(t, batch);
  }
  ok = ok && (left == 0 || cof_batch_tally(batch, NULL, 0, left));
  if (!ok) {
    log_write("cofd", COF_LOG_ERROR, "out of memory");
    return COF_FATAL;
  }
  return r == COF_OK ? write_tallies(t, batch) : r;
}

enum cof_result tallies_move(struct transfer *t)
{
  struct known source = {.observations = 0}, target = {.observations = 0};
  struct cof_batch *batch = cof_batch_create();
  enum cof_result r = batch != NULL ? COF_OK : COF_FATAL;
  if (r == COF_OK)
    r = ask(t, t->from, &source);
  if (r == COF_OK)
    r = ask(t, t->to, &target);
  if (r == COF_OK)
    r = add_lacking(t, &source, &target, batch);
  forget(&source);
  forget(&target);
  cof_batch_destroy(&batch);
  return r;
}
