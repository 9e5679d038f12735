/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The host's log. One line a message on stderr, written with a single write(2), so that lines of
 * several threads never mix. All functions are thread safe.
 */
#ifndef COFD_LOG_PRIVATE_H
#define COFD_LOG_PRIVATE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cofd/host.h>

/** How a line looks. */
enum log_format {
  LOG_FORMAT_AUTO,   /**< JOURNAL where stderr is a journald stream (JOURNAL_STREAM), else TEXT */
  LOG_FORMAT_TEXT,   /**< `2026-01-02T03:04:05.678Z warning input.samples: message` */
  LOG_FORMAT_JSON,   /**< {"time": …, "level": …, "source": …, "message": …} */
  LOG_FORMAT_JOURNAL /**< `<4>input.samples: message` (sd-daemon(3)) */
};

/** Most octets of a message; longer ones are cut and end in "…". */
#define LOG_MESSAGE_MAX 4096

/** Choose format and the least severe level that is written. Before: TEXT and INFO. */
void log_setup(enum log_format format, enum cof_log_level level);

/** Level number `index` of error, warning, info, debug, as host_conf.log_level counts them. */
enum cof_log_level log_level_at(int index);

/** Whether a message of this level is written. */
bool log_enabled(enum cof_log_level level);

/** Write a message; `source` is "cofd" or kind.instance. Control octets are escaped. */
void log_write(const char *source, enum cof_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void log_vwrite(const char *source, enum cof_log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/** A bound on the rate of lines: 10 at once, then 1 a second. Zero-initialised; lock-free. */
struct log_limit {
  _Atomic uint64_t state;
  _Atomic uint64_t left_out;
};

/**
 * Whether a line may be written now.
 * @param left_out  set to the number of lines refused since the last one written
 */
bool log_limit_allow(struct log_limit *limit, uint64_t now_ns, uint64_t *left_out);

/** The number of lines refused since the last one written, which is then 0. */
uint64_t log_limit_left_out(struct log_limit *limit);

#endif
