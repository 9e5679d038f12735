/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Files that hold secrets: keys, passwords, tokens.
 */
#ifndef COFD_SECRET_H
#define COFD_SECRET_H

#include <stdio.h>

#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Open a file that holds a secret, for reading. It must be a regular file that keeps its secret:
 * others have no access to it, and its group does not write. Any thread.
 * @return to be closed by fclose(), or NULL with `err` set: COF_REJECT naming the file and what is
 *         wrong with it, with the mode it has and the one expected; COF_FATAL where the system
 *         lacks what it takes
 */
FILE *cof_secret_open(const char *path, struct cof_error *err);

#ifdef __cplusplus
}
#endif
#endif
