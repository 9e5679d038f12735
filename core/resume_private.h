/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The file in which a migration or export remembers how far it is. Single thread.
 */
#ifndef COFD_RESUME_PRIVATE_H
#define COFD_RESUME_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/result.h>

/** Most octets of `what`. */
#define RESUME_WHAT_MAX 8192

/** How far it is. */
struct resume {
  const char *file;  /**< NULL: nothing is remembered */
  const char *what;  /**< what is moved where, on one line; the file is refused for anything else */
  uint64_t records;  /**< moved so far */
  uint64_t refused;  /**< of these, refused by the target */
  uint64_t sum;      /**< checksum of them, see checksum_private.h */
  uint64_t octets;   /**< of the output that are good */
  bool fresh;        /**< the target was empty at the beginning */
  uint8_t *token;    /**< where to go on; owned */
  size_t token_len;  /**< 0: from the beginning */
  uint64_t saved_ns; /**< when the file was written */
  uint64_t begin_records; /**< of `records`, those of an earlier run */
};

/**
 * Read the file.
 * @param found  COF_OK: whether there is one; else all is left as it was
 * @return COF_OK; COF_REJECT: it is not such a file, or one of something else; COF_FATAL
 */
enum cof_result resume_load(struct resume *resume, bool *found, struct cof_error *err);

/** Replace the token by a copy. @return false when out of memory */
bool resume_set_token(struct resume *resume, const void *token, size_t len);

/** Write the file, in one step and durably; nothing where there is none. */
enum cof_result resume_save(struct resume *resume, struct cof_error *err);

/** Remove the file: all is done. */
enum cof_result resume_remove(const struct resume *resume, struct cof_error *err);

/** Free the token. */
void resume_free(struct resume *resume);

#endif
