/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The conformance kit behind `cofd plugin test`: runs any plugin under a host of its own and prints
 * TAP. Each case runs in a child process, so that a plugin which crashes or hangs spoils one case.
 */
#ifndef COFD_KIT_PRIVATE_H
#define COFD_KIT_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/plugin.h>

#include "../conf_private.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define KIT_SLOWNESS 4 /**< times are longer by this factor */
#else
#define KIT_SLOWNESS 1
#endif

#define KIT_DIR_MAX 512 /**< octets of the directory of a case */

/** What the command line said. */
struct kit_plan {
  const char *file;
  const char *const *settings; /**< KEY=VALUE */
  size_t settings_count;
  const char *feed;    /**< shell command that sends traffic to a started instance; or NULL */
  const char *prepare; /**< shell command before an instance is made; or NULL */
  const char *load;    /**< file for load(), or NULL */
  const char *only;    /**< run the cases whose title has this text, and what they need */
  uint64_t records;    /**< that come from what is prepared or fed; 0: not said */
  unsigned timeout_s;  /**< for one case */
  unsigned seed;
  bool known_types; /**< storages get records of types with a mnemonic only */
};

/** What cases tell each other, in memory that parent and children share. */
struct kit_shared {
  uint32_t kind;
  uint64_t caps;
  char name[128], version[64];
  bool flows;                  /**< an input emitted records */
  bool exact;                  /**< and then no more */
  uint64_t count;              /**< so many */
  uint64_t sum;                /**< of the hashes of them, in any order */
  _Atomic(const char *) where; /**< callback the child's main thread was in last; static text */
};

/** One case, in its child process. */
struct trial {
  const struct kit_plan *plan;
  struct kit_shared *shared;
  unsigned number;       /**< of the case, from 1 */
  char dir[KIT_DIR_MAX]; /**< its own */
  int report;            /**< pipe to the parent */
  const struct cof_plugin *plugin;
};

struct kit_case {
  const char *title;
  uint32_t kinds; /**< bits 1 << enum cof_kind */
  uint64_t caps;  /**< at least one of these, where any is set */
  void (*run)(struct trial *);
};

#define KIT_ANY      (~UINT32_C(0))
#define KIT_OF(kind) (UINT32_C(1) << (kind))

extern const struct kit_case kit_common_cases[], kit_input_cases[], kit_filter_cases[],
    kit_storage_cases[], kit_output_cases[]; /**< each ends at title == NULL */

/** Run every case that applies and print TAP. @return exit status */
int kit_run(const struct kit_plan *plan);

/** Make a plugin's sources out of the template. @return exit status */
int kit_new(const char *name, enum cof_kind kind, const char *directory);

/** End this case as failed, from any thread. */
__attribute__((noreturn, format(printf, 2, 3))) void trial_fail(struct trial *t, const char *fmt,
                                                                ...);
/** End this case as one that cannot be run; main thread. */
__attribute__((noreturn, format(printf, 2, 3))) void trial_skip(struct trial *t, const char *fmt,
                                                                ...);
/** A line for people below the result. */
__attribute__((format(printf, 2, 3))) void trial_note(struct trial *t, const char *fmt, ...);

/** Load the plugin and check its descriptor, so far as other cases depend on it. */
void trial_open(struct trial *t);

/** Pause; every wait of the kit is for a condition, and looks for it this often. */
void kit_sleep_ms(int ms);
/** Processor time of this process in milliseconds. */
uint64_t kit_cpu_ms(void);
/**
 * Milliseconds that this process has been running, without those in which all of it stood still, as
 * it can for seconds on a busy machine. Rather too few.
 */
uint64_t kit_ran_ms(void);

#endif
