/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The log of requests: one line each, written at once when the answer has ended.
 */
#ifndef COFD_REST_ACCESSLOG_PRIVATE_H
#define COFD_REST_ACCESSLOG_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/dns.h>
#include <cofd/host.h>

/** Indices of the options' words. */
enum access_format { ACCESS_COMMON, ACCESS_JSON };

struct access_log;

/** One request. */
struct access_line {
  const struct cof_addr *client; /**< family 0: not known */
  const char *user;              /**< "": anonymous */
  const char *method, *version;
  const char *target; /**< as the client sent it, or as access_target() left it */
  unsigned status;    /**< 0: none was sent */
  uint64_t bytes, records;
  uint64_t duration_ns;
};

/**
 * Open a log. @param path  a file, which is made where there is none; or `log`: the log of cofd
 * @return NULL with what is wrong
 */
struct access_log *access_log_open(struct cof_host *host, const char *path,
                                   enum access_format format, struct cof_error *err);
void access_log_close(struct access_log **log);
void access_log_write(struct access_log *log, const struct access_line *line);
/** Whether a path could be opened, with nothing made. */
enum cof_result access_log_check(const char *path, struct cof_error *err);

/**
 * A copy of what was asked for, which the caller frees; NULL when out of memory.
 * @param hidden  leave the question and all parameters out
 */
struct MHD_Connection;
char *access_target(struct MHD_Connection *connection, const char *url, bool hidden);

#endif
