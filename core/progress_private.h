/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * How far an import, a migration or an export is: a bar on a terminal, a line now and then
 * elsewhere.
 */
#ifndef COFD_PROGRESS_PRIVATE_H
#define COFD_PROGRESS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** What is shown. */
struct progress {
  uint64_t bytes_done, bytes_total; /**< total 0: unknown */
  const char *what;                 /**< "checking", before the rest; NULL: nothing */
  uint64_t records, rejected;
  uint64_t records_before; /**< of `records`, those of an earlier run: not counted in the speed */
  uint64_t records_total;  /**< estimate, in place of octets where their total is 0; 0: unknown */
  uint64_t elapsed_ns;
};

/** Most octets that progress_text() writes, NUL included. */
#define PROGRESS_MAX 320

/**
 * One line: with a bar where `columns` leaves room for one and the total is known, else without.
 * @param columns  of the terminal; 0 for a plain line
 * @return `out`
 */
char *progress_text(const struct progress *progress, unsigned columns, char out[PROGRESS_MAX]);

/** Columns of the terminal that standard error is; 0: it is none. */
unsigned progress_columns(void);
/** Milliseconds between two shows: shorter for a bar on a terminal than for lines elsewhere. */
unsigned progress_interval_ms(void);
/** Show it on standard error. */
void progress_show(const struct progress *progress);

#endif
