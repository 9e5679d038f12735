/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Who is let in, and how his requests are noted: all that is in force for a request beside what it
 * asks. Where no option of it is set there is no guard, and a request pays nothing for it.
 */
#ifndef COFD_REST_GUARD_PRIVATE_H
#define COFD_REST_GUARD_PRIVATE_H

#include <microhttpd.h>

#include "access_private.h"
#include "accesslog_private.h"
#include "acl_private.h"
#include "auth_private.h"
#include "users_private.h"

struct rest;
struct rest_conf;

/** Immutable, but for what the users' file and the log keep. Belongs to the settings. */
struct guard {
  struct acl allow, deny, proxies;
  bool forwarded; /**< proxies send Forwarded, not X-Forwarded-For */
  bool screens;   /**< there is something that may refuse a request */
  struct users *users;
  unsigned anonymous;     /**< scopes of those without credentials */
  struct limits limits;   /**< of each address without credentials */
  struct limits failures; /**< of each address, of wrong credentials */
  char **origins;         /**< of CORS */
  size_t origins_count;
  struct access_log *log;
  bool hidden; /**< questions stay out of the log */
};

/**
 * Make a guard.
 * @param before  users so far, who keep what they have used; or NULL
 * @param guard   COF_OK: set, to NULL where nothing asks for one
 * @return COF_OK, or what is wrong, with the option that is to blame in `option`
 */
enum cof_result guard_create(struct rest *rest, const struct rest_conf *conf,
                             const struct guard *before, struct guard **guard, const char **option,
                             struct cof_error *err);
void guard_destroy(struct guard **guard);
/** What guard_create() would find wrong, without a trace. */
void guard_check(const struct rest_conf *conf, struct cof_diag *diag, bool *wrong);

/** A request, as the guard sees it. */
struct visit {
  const struct guard *guard; /**< NULL: nothing below is set */
  const struct access *access;
  struct cof_addr client;  /**< family 0: not known */
  const struct user *user; /**< NULL: anonymous */
  unsigned scopes;
  bool metered;    /**< the limits below count */
  bool under_way;  /**< counted in the user's account until it ends */
  bool preflight;  /**< a question of CORS, which is answered without the handlers */
  unsigned status; /**< of a refusal; 0: let in */
  const char *why; /**< of a refusal */
  uint64_t wait_s; /**< of a refusal: when to try again; 0: does not matter */
  struct remainder left;
  char *target; /**< for the log */
  const char *method, *version;
};

/** Look at a request whose header is read. Sets `status` where it is refused. */
void guard_admit(struct rest *rest, struct visit *visit, struct MHD_Connection *connection,
                 const char *url, const char *method, const char *version);
/** Headers that answers to this request carry. @return false: out of memory */
bool guard_headers(const struct visit *visit, struct MHD_Connection *connection,
                   struct MHD_Response *response, unsigned status);
/** The request has ended. */
void guard_leave(struct visit *visit, unsigned status, uint64_t bytes, uint64_t records,
                 uint64_t duration_ns);

/** CORS: whether this is a preflight that is to be answered, and the headers of an answer. */
bool cors_preflight(const struct guard *guard, struct MHD_Connection *connection,
                    const char *method);
bool cors_headers(const struct guard *guard, struct MHD_Connection *connection,
                  struct MHD_Response *response, bool preflight);
/** COF_OK, or what is wrong with the option. */
enum cof_result cors_check(const struct cof_list *origins, struct cof_error *err);

#endif
