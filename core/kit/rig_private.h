/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The kit's host for one instance: gives it what a host gives, and ends the case when the instance
 * breaks a rule of the contract.
 */
#ifndef COFD_KIT_RIG_PRIVATE_H
#define COFD_KIT_RIG_PRIVATE_H

#include <pthread.h>
#include <sys/types.h>

#include "../guard_private.h"
#include "kit_private.h"
#include "model_private.h"

enum rig_state { RIG_NEW, RIG_CREATED, RIG_RUNS, RIG_STOPS, RIG_STOPPED, RIG_GONE };

struct rig_held;
struct rig_line;

struct rig {
  struct cof_host host; /**< first, so that a plugin's pointer leads back here */
  struct trial *t;
  const struct cof_plugin *plugin;
  const struct guard_owner *owner;
  unsigned number;
  bool fresh; /**< the first of this number in its case */
  uint16_t port;
  char dir[KIT_DIR_MAX], state_dir[KIT_DIR_MAX + 8];
  struct conf_memory *memory;
  void *conf, *self;
  pid_t feed;

  pthread_mutex_t lock, serial; /**< `serial` is around what may not overlap */
  pthread_cond_t changed;
  enum rig_state state;
  pthread_t acker;
  bool acking, acker_runs, acker_ends;
  bool hold;     /**< acks are kept back */
  uint64_t room; /**< batches that will still be taken; UINT64_MAX: any number */
  bool paused;   /**< an emit was answered COF_AGAIN, and resume() is due */
  bool finished;
  unsigned wants; /**< of an output: enum cof_want */
  struct rig_held *held, **held_end;
  uint64_t batches, records, sum, refusals, early, rejected, errors;
  struct cof_metric *metrics;
  struct model *model; /**< what an output finds, or NULL */
};

/** A rig for an instance; `number` tells several of a case apart. Reads the options. */
struct rig *rig_create(struct trial *t, unsigned number);
/** create(), which must succeed. */
void rig_make(struct rig *r);
/** start(). @return COF_OK or COF_FATAL, anything else ends the case */
enum cof_result rig_start(struct rig *r);
/** start(), which must succeed; with the feed, where the command line gave one. */
void rig_run(struct rig *r);
/** load() in place of start(). */
void rig_load(struct rig *r, const char *path);
/** stop() within `ms`, which it must keep; then acks still out are given as COF_STOPPED. */
void rig_stop(struct rig *r, int ms);
/** destroy(). */
void rig_release(struct rig *r);
/** Free the rig; an instance that is left is stopped and destroyed. Nulls the pointer. */
void rig_destroy(struct rig **r);

/** The usual time for a stop, in milliseconds. */
#define RIG_STOP_MS (5000 * KIT_SLOWNESS)
/** How long to wait for something that should happen soon, in milliseconds. */
int rig_wait_ms(const struct trial *t);

/** Send the traffic of --feed to it; rig_feed_end() ends that. */
void rig_feed(struct rig *r);
void rig_feed_end(struct rig *r);

/** Set how many batches will be taken; tells the instance when there is room again. */
void rig_room(struct rig *r, uint64_t batches);
/** Keep acks back, or give them. */
void rig_hold(struct rig *r, bool hold);
uint64_t rig_records(struct rig *r);
uint64_t rig_refusals(struct rig *r);
/** Wait until all that is to come has come. @return false: not in time */
bool rig_wait_all(struct rig *r, int ms);
/** Wait until at least one record came. */
bool rig_wait_some(struct rig *r, int ms);
bool rig_wait_refusal(struct rig *r, int ms);

/**
 * Write a batch and wait until its ticket is done.
 * @param refused  set for each record
 * @param news     set where a record is new and not changed where it is not; NULL: nobody asks
 * @return what it was done with
 */
enum cof_result rig_write(struct rig *r, const struct cof_batch *batch, bool *refused, bool *news);
/** The storage's callbacks, one at a time where it demands that. */
enum cof_result rig_open(struct rig *r, const struct cof_query *q, void **cursor,
                         struct cof_error *err);
enum cof_result rig_next(struct rig *r, void *cursor, size_t max, struct cof_batch *into,
                         struct cof_error *err);
enum cof_result rig_token(struct rig *r, void *cursor, void *buf, size_t cap, size_t *len);
void rig_close(struct rig *r, void *cursor);
uint64_t rig_caps(struct rig *r);

#endif
