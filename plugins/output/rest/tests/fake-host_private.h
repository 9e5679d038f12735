/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A host with a storage in memory, for running the plugin alone.
 */
#ifndef COFD_FAKE_HOST_PRIVATE_H
#define COFD_FAKE_HOST_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/plugin.h>

struct fake;

/** What goes wrong; may be changed while nothing is asked. */
struct fake_faults {
  enum cof_result open;  /**< what opening gives, with `text`; COF_OK: no fault */
  enum cof_result next;  /**< what reading gives once `after` records were read in all */
  uint64_t after;        /**< records */
  enum cof_result stats; /**< what statistics give */
  const char *text;
};

struct fake *fake_create(void);
void fake_destroy(struct fake **fake);
struct cof_host *fake_host(struct fake *fake);
void fake_set_faults(struct fake *fake, const struct fake_faults *faults);

/** Add a record; all of them before fake_sort(). */
void fake_add(struct fake *fake, const char *rrname, uint16_t rrtype, const char *rdata,
              uint64_t count, int64_t first, int64_t last);
/** Put the records in the order of answers; before the first question. */
void fake_sort(struct fake *fake);
/** Let `rrname` have `records` A records, which are made up while they are read. */
void fake_generate(struct fake *fake, const char *rrname, uint64_t records);

/** Cursors open now, and records read in all. */
int fake_cursors(struct fake *fake);
uint64_t fake_read(struct fake *fake);
int64_t fake_metric(struct fake *fake, const char *name);
/** Whether a message with this text was logged. */
bool fake_logged(struct fake *fake, const char *text);
/** Port that the plugin said it listens on; 0: none yet. */
unsigned fake_port(struct fake *fake);

#endif
