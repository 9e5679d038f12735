/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Reads one line of Zeek's dns.log, in TSV or JSON.
 */
#ifndef ZEEK_DNS_PRIVATE_H
#define ZEEK_DNS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>
#include <cofd/result.h>

/** Most columns of a log. */
#define ZEEK_COLUMNS_MAX 256
/** Most octets of what stands between columns, between elements, or for no value. */
#define ZEEK_WORD_MAX 32

/** Columns that are used. */
enum zeek_column {
  ZEEK_TS,
  ZEEK_QUERY,
  ZEEK_QCLASS,
  ZEEK_QTYPE_NAME,
  ZEEK_QTYPE,
  ZEEK_ANSWERS,
  ZEEK_TTLS,
  ZEEK_RESP_P,
  ZEEK_USED
};

struct zeek_word {
  char text[ZEEK_WORD_MAX];
  size_t len;
};

/** What the header lines of a TSV log say; make one by zeek_header_begin(). */
struct zeek_header {
  struct zeek_word separator, set_separator, empty, unset;
  size_t columns;    /**< 0: no #fields line yet */
  int at[ZEEK_USED]; /**< -1: no such column */
};

/** What a line was. */
enum zeek_kind {
  ZEEK_LINE_BLANK,   /**< nothing */
  ZEEK_LINE_HEADER,  /**< a header line */
  ZEEK_LINE_EMPTY,   /**< a question without an answer, or without a name */
  ZEEK_LINE_OTHER,   /**< NetBIOS, multicast DNS, or a class other than IN */
  ZEEK_LINE_ANSWERS, /**< with answers */
  ZEEK_LINES
};

/** What a line said beside its records. */
struct zeek_line {
  enum zeek_kind kind;
  bool context;     /**< a header line that later lines depend on */
  size_t summaries; /**< answers of which Zeek logs no data, but a summary */
  size_t undecided; /**< answers whose owner or type cannot be told */
  size_t refused;   /**< answers that were refused */
};

void zeek_header_begin(struct zeek_header *header);

/**
 * Read a line and append its records, each one observation.
 * @param sensor_id  of all records, or NULL
 * @param header     of the file this line is from; header lines change it
 * @param whole      false: the line may have been cut off at its end
 * @param err        the first reason
 * @return COF_OK; COF_REJECT: no such line, or some answers were refused (the others are appended);
 *         COF_FATAL: out of memory, nothing appended
 */
enum cof_result zeek_read(const char *sensor_id, struct zeek_header *header, const char *text,
                          size_t len, bool whole, struct cof_batch *batch, struct zeek_line *line,
                          struct cof_error *err);

#endif
