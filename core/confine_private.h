/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A filter of system calls (seccomp(2)) around the running process. Main thread only.
 */
#ifndef COFD_CONFINE_PRIVATE_H
#define COFD_CONFINE_PRIVATE_H

#include <stdbool.h>

/** What becomes of a call that is not allowed; the choices of [cofd] seccomp. */
enum confine {
  CONFINE_NO,    /**< there is no filter */
  CONFINE_ERRNO, /**< it fails with EPERM */
  CONFINE_KILL   /**< it ends the process by SIGSYS */
};

/** Whether this build has libseccomp. */
bool confine_possible(void);

/**
 * Put the filter around all threads, for good.
 * @return false with the reason logged
 */
bool confine(enum confine how);

#endif
