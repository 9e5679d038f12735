/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Secrets, and the header fields that are added to a request.
 */
#ifndef COF_WS_HEADERS_PRIVATE_H
#define COF_WS_HEADERS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cofd/result.h>

#include "conf_private.h"

/** Octets of a secret. */
#define SECRET_MAX 4096
/** Octets of all fields that are added, and of the file that holds some. */
#define HEADERS_MAX 16384
/** Octets of the proxy's user and password together; libwebsockets has room for no more. */
#define PROXY_LOGIN_MAX 93

/** Octets of a field's name where `text` begins with a name and a colon; else 0. */
size_t header_name_len(const char *text);

/**
 * Whether a field may be given by the operator.
 * @param login  whether the options log in, and so give the field Authorization
 * @return COF_OK, or COF_REJECT with a reason that holds no value
 */
enum cof_result header_check(const char *text, bool login, struct cof_error *err);

/**
 * Read a secret: the first line of a file, without white space around it.
 * @param out  receives it, NUL-terminated
 */
enum cof_result secret_read(const char *path, char out[SECRET_MAX + 1], struct cof_error *err);

/** Whether the options log in. */
bool headers_login(const struct conf *conf);

/**
 * Write the fields of a request, each with its line end; files are read anew, so that what rotates
 * is taken up at the next connection.
 */
enum cof_result headers_make(const struct conf *conf, char out[HEADERS_MAX], size_t *len,
                             struct cof_error *err);

/** The proxy as libwebsockets wants it: `user:password@host:port`. */
enum cof_result headers_proxy(const struct conf *conf, char *out, size_t cap,
                              struct cof_error *err);

#endif
