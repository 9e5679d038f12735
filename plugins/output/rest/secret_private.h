/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Hashes of keys and passwords, and credentials as requests carry them.
 */
#ifndef COFD_REST_SECRET_PRIVATE_H
#define COFD_REST_SECRET_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cofd/record.h>

#define DIGEST_OCTETS 32
/** Most octets of a name, and of a key's secret or a password. */
#define NAME_MAX_OCTETS   64
#define SECRET_MAX_OCTETS 256

/** Whether two blocks are the same, in a time that does not depend on where they differ. */
bool secret_same(const void *a, const void *b, size_t len);
/** SHA-256 of salt and secret, one behind the other. @return false: the library refused */
bool secret_digest(const char *salt, const char *secret, uint8_t out[DIGEST_OCTETS]);
/** HMAC-SHA-256 of two texts. @return false: the library refused */
bool secret_mac(const uint8_t key[DIGEST_OCTETS], const char *name, const char *secret,
                uint8_t out[DIGEST_OCTETS]);
/** Random octets. @return false: the library refused */
bool secret_random(void *out, size_t len);
/** Whether a password has a hash of crypt(3). Costs what the hash demands. */
bool secret_crypt_matches(const char *hash, const char *password);
/** Overwrite a secret. */
void secret_wipe(void *at, size_t len);

/** How a request says who it is from. */
enum credential_kind {
  CREDENTIAL_NONE,
  CREDENTIAL_TOKEN, /**< a key: name.secret */
  CREDENTIAL_BASIC, /**< name and password, or name and secret of a key */
  CREDENTIAL_BROKEN /**< there is something, and it is neither */
};

struct credentials {
  enum credential_kind kind;
  char name[NAME_MAX_OCTETS + 1];
  char secret[SECRET_MAX_OCTETS + 1];
};

/**
 * Read the headers Authorization (Basic, Bearer, or a bare token) and X-API-Key; the first one goes
 * before.
 * @param authorization, api_key  NULL: not there
 */
void credentials_read(struct credentials *out, const char *authorization, const char *api_key);

#endif
