/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Users and API keys, out of a file. Immutable once read, but for the accounts and for what is
 * remembered of passwords that were right.
 */
#ifndef COFD_REST_USERS_PRIVATE_H
#define COFD_REST_USERS_PRIVATE_H

#include <pthread.h>

#include "quota_private.h"
#include "secret_private.h"

/** Most entries of a file, and octets of a line. */
#define USERS_MAX      100000
#define USERS_LINE_MAX 1024

struct user {
  char name[NAME_MAX_OCTETS + 1];
  unsigned scopes; /**< enum scope */
  int64_t expires; /**< seconds UTC from which on it is void; 0: never */
  struct limits limits;
  struct account *account;
  char *crypt;                   /**< hash of a password; NULL: it is a key */
  char *salt;                    /**< of a key */
  uint8_t digest[DIGEST_OCTETS]; /**< of a key */
  pthread_mutex_t lock;          /**< guards the next two */
  bool remembered;
  uint8_t proof[DIGEST_OCTETS]; /**< of the password that was right last */
};

struct users;

/**
 * Read a file.
 * @param before  the users so far, or NULL: whoever is in both keeps his account
 * @return NULL with what is wrong, beginning with `file:line: `
 */
struct users *users_read(const char *path, const struct users *before, struct cof_error *err);
void users_destroy(struct users **users);

/** What came of credentials. */
enum proof {
  PROOF_GOOD,
  PROOF_WRONG, /**< no such entry, or not its secret: which of them is not told, not by time either
                */
  PROOF_BUSY   /**< passwords are being checked already, as many as may be */
};

/** Whose credentials these are. @param user  PROOF_GOOD: set */
enum proof users_prove(struct users *users, const struct credentials *credentials,
                       const struct user **user);

/** Scopes by their words; an empty list gives none. @return COF_OK, or COF_REJECT with why */
enum cof_result scope_parse(const char *text, size_t len, unsigned *scopes, struct cof_error *err);

#endif
