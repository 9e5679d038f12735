/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Who is to blame: remembers which callback of which plugin each thread is in, so that a crash and
 * a callback that does not return are reported by name.
 *
 * A signal handler can be given nothing, so what it reads is static here: a table of those who may
 * be blamed, and one of threads. Neither is ever freed; both are bounded, and what goes beyond the
 * bound is not reported by name.
 */
#ifndef COFD_GUARD_PRIVATE_H
#define COFD_GUARD_PRIVATE_H

#include <stdint.h>

/** Most instances that are told apart. */
#define GUARD_OWNERS_MAX 1024
/** Most threads whose callbacks are looked at. */
#define GUARD_THREADS_MAX 512

/** An instance that may be blamed. */
struct guard_owner;

/** What a thread was in before; see guard_enter. */
struct guard_call {
  const struct guard_owner *owner;
  const char *callback;
};

/** Name the plugin in a crash of this process, then let the signal have its effect. Once. */
void guard_install(void);

/**
 * @param source   "kind.instance"; copied
 * @param plugin   name of the plugin; copied
 * @param address  something within the plugin's object, by which its code is known; or NULL
 * @return never NULL
 */
const struct guard_owner *guard_register(const char *source, const char *plugin,
                                         const void *address);
/** Forget an owner whose callbacks have all returned; nulls the pointer. */
void guard_unregister(const struct guard_owner **owner);

/**
 * This thread enters a callback; calls may nest.
 * @param callback  its name, a static text
 * @return for guard_leave
 */
struct guard_call guard_enter(const struct guard_owner *owner, const char *callback);
void guard_leave(struct guard_call before);

/**
 * As the two above, for callbacks that start threads: these inherit a thread name by which a crash
 * in one of them is told.
 */
struct guard_call guard_enter_named(const struct guard_owner *owner, const char *callback);
void guard_leave_named(struct guard_call before);

/** Have this thread report even a stack that is used up. */
void guard_thread(void);

/**
 * Log, from a thread of its own, callbacks that take longer than `limit_ms`. One at a time.
 * Nothing is watched where no thread is to be had, which is logged.
 */
void guard_watch_start(int64_t limit_ms);
void guard_watch_stop(void);

#endif
