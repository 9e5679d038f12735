/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A host for unit tests: drives one plugin through its descriptor, without configuration file,
 * loader or chain, and shows what the plugin did. Thread safe. A misuse, such as an unknown option,
 * ends the test program with a message.
 */
#ifndef COFD_FAKEHOST_H
#define COFD_FAKEHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/plugin.h>

struct fakehost;

/** Make a host for an instance of that name. @param state_dir  NULL: none is configured */
struct fakehost *fakehost_create(const char *instance, const char *state_dir);
/** Ends its ack thread and frees all. After the plugin's destroy(). */
void fakehost_destroy(struct fakehost **host);
struct cof_host *fakehost_host(struct fakehost *host);

/* --- configuration -------------------------------------------------------------------------- */

/**
 * Fill a plugin's structure from its option table.
 * @param settings  "key=value" texts, ended by NULL; the rest are defaults
 * @return owned by the caller, freed by fakehost_conf_free
 */
void *fakehost_conf(const struct cof_plugin *plugin, const char *const *settings);
void fakehost_conf_free(const struct cof_plugin *plugin, void **conf);

/**
 * Call the plugin's check().
 * @param text  receives each "option: what" and a newline; "" where there is no mistake
 */
enum cof_result fakehost_check(const struct cof_plugin *plugin, const void *conf, char *text,
                               size_t cap);

/* --- the chain after an input ----------------------------------------------------------------- */

/** Send the acks of emitted batches to this input, from a thread of the host. Before start(). */
void fakehost_serve(struct fakehost *host, const struct cof_input_ops *ops, void *self);
/** Keep acks back (true) or give them at once with COF_OK (false, and how it begins). */
void fakehost_hold(struct fakehost *host, bool hold);
/** Give all acks kept back, in the order of emission, in this thread. @return how many */
size_t fakehost_settle(struct fakehost *host, enum cof_result result);
/** Give at most `max` of the acks kept back. @return how many */
size_t fakehost_settle_some(struct fakehost *host, size_t max, enum cof_result result);
/** Whether the chain is full: emit gives COF_AGAIN. */
void fakehost_full(struct fakehost *host, bool full);
/** From now on emit gives COF_STOPPED. Before stop(). */
void fakehost_stopping(struct fakehost *host);

/* --- what was seen ---------------------------------------------------------------------------- */

/** All records emitted so far, in order; do not touch while the plugin emits. */
const struct cof_batch *fakehost_records(struct fakehost *host);
size_t fakehost_count(struct fakehost *host);      /**< records emitted */
size_t fakehost_batches(struct fakehost *host);    /**< batches taken */
uint64_t fakehost_refusals(struct fakehost *host); /**< emit calls answered COF_AGAIN */
uint64_t fakehost_rejected(struct fakehost *host); /**< records refused by cof_reject */
bool fakehost_finished(struct fakehost *host);
/** Value of a metric; -1 when the plugin made none of that name. */
int64_t fakehost_metric(struct fakehost *host, const char *name);
/** Whether some log or reject line so far has `text` in it. */
bool fakehost_logged(struct fakehost *host, const char *text);
/** Number of log and reject lines so far that have `text` in them. */
size_t fakehost_log_count(struct fakehost *host, const char *text);
/** Write all log lines to standard error, to explain a failure. */
void fakehost_dump(struct fakehost *host);

/* --- waiting, up to a deadline ------------------------------------------------------------------
 */

/** Wait until `holds(arg)`. @return false when `ms` milliseconds passed before */
bool fakehost_wait(struct fakehost *host, bool (*holds)(void *arg), void *arg, int ms);
bool fakehost_wait_count(struct fakehost *host, size_t records, int ms);
bool fakehost_wait_finished(struct fakehost *host, int ms);
bool fakehost_wait_log_count(struct fakehost *host, const char *text, size_t lines, int ms);
bool fakehost_wait_logged(struct fakehost *host, const char *text, int ms);
/** Wait until emit was refused at least `refusals` times. */
bool fakehost_wait_refusals(struct fakehost *host, uint64_t refusals, int ms);
/** Wait until no emitted batch lacks its ack (of those not kept back). */
bool fakehost_wait_settled(struct fakehost *host, int ms);

#endif
