/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Results of calls across the plugin boundary, and the text that goes with them.
 */
#ifndef COFD_RESULT_H
#define COFD_RESULT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Result of every fallible call between host and plugin. "No more" is never one of these. */
enum cof_result {
  COF_OK = 0,      /**< done */
  COF_AGAIN,       /**< no room now; the caller keeps what it has and calls again later */
  COF_RETRY,       /**< a passing fault; the whole call is worth repeating after a pause */
  COF_REJECT,      /**< what was given is bad, and will be bad next time too */
  COF_UNSUPPORTED, /**< well formed, but not among the callee's capabilities */
  COF_TIMEOUT,     /**< the deadline of the call passed */
  COF_STOPPED,     /**< the host or the instance is stopping; nothing was taken */
  COF_FATAL        /**< cannot go on; repeating is senseless without an operator */
};

/** Octets in cof_error.text, the terminating NUL included. */
#define COF_ERROR_MAX 256

/**
 * Why a call failed, for a person: what was wrong and what was expected, without a trailing full
 * stop or newline. Owned by the caller; the callee writes it only when it does not return COF_OK.
 */
struct cof_error {
  char text[COF_ERROR_MAX];
};

/**
 * Write a formatted reason into an error.
 *
 * @param err     where to write, or NULL to write nothing
 * @param result  what to return
 * @return `result`, so that a failing path is one statement: `return cof_fail(err, COF_REJECT, …)`
 *
 * Thread safe. Text beyond COF_ERROR_MAX - 1 octets is cut.
 */
enum cof_result cof_fail(struct cof_error *err, enum cof_result result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Name of a result in lower case ("ok", "again", …), for logs. Static; never NULL. */
const char *cof_result_name(enum cof_result result);

#ifdef __cplusplus
}
#endif
#endif
