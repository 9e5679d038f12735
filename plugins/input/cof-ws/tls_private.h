/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Whom to trust.
 */
#ifndef COF_WS_TLS_PRIVATE_H
#define COF_WS_TLS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include <cofd/result.h>

/**
 * What connections by TLS share: TLS 1.2 or later, and the authorities in `ca_file`, in PEM, and no
 * others; those of the system where it is NULL.
 * @return owned by the caller, freed by SSL_CTX_free(); NULL with a reason
 */
SSL_CTX *tls_create(const char *ca_file, struct cof_error *err);

/**
 * Judge one certificate of a chain while it is verified; the last one also has to be for the host.
 * @param good  what OpenSSL found so far
 * @param why   receives the reason
 * @return whether it may go on
 */
bool tls_judge(X509_STORE_CTX *verify, bool good, const char *host, struct cof_error *why);

#endif
