/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The server's certificate and key. A connection keeps those that it began with, so they may be
 * replaced while it is open.
 */
#ifndef COFD_REST_TLS_PRIVATE_H
#define COFD_REST_TLS_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include <cofd/record.h>

struct MHD_Connection;

/** A certificate with its chain, and the key that belongs to it. Immutable and shared. */
struct identity;

/**
 * Read both files (PEM).
 * @return NULL with what is wrong, which names the file
 */
struct identity *identity_read(const char *certificate, const char *key, struct cof_error *err);
struct identity *identity_hold(struct identity *identity);
/** Give a reference back; tolerates NULL and sets the caller's pointer to NULL. */
void identity_drop(struct identity **identity);
/** When the certificate ends, in seconds UTC. */
int64_t identity_expires(const struct identity *identity);

/** The function for MHD_OPTION_HTTPS_CERT_CALLBACK, which asks links_identity(). */
void *tls_callback(void);
/** The identity for a connection's handshake, which keeps it; NULL: none. */
struct identity *links_identity(struct MHD_Connection *connection);

/**
 * Whether GnuTLS understands a priority string.
 * @param at  set to where it does not
 */
bool tls_priorities_known(const char *text, const char **at);

#endif
