/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Log lines of the gamelinux passivedns sensor: reading untrusted lines into a batch.
 *
 *     timestamp||client||server||class||query||type||answer||ttl||count
 */
#ifndef COFD_PASSIVEDNS_H
#define COFD_PASSIVEDNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Columns of a line where the sensor was told nothing else. */
#define COF_PASSIVEDNS_FIELDS "SMcsCQTAtn"
/** Text between columns where the sensor was told nothing else. */
#define COF_PASSIVEDNS_DELIMITER "||"
/** Most octets of a delimiter. */
#define COF_PASSIVEDNS_DELIMITER_MAX 16

/** How to read lines. Fields are only ever appended; start from COF_PASSIVEDNS_INIT. */
struct cof_passivedns_options {
  size_t struct_size;
  /**
   * Letters of the columns, as the sensor's `-f` takes them, in any order; the line has them in
   * this one: `H` date and time in the sensor's local time, `S` seconds and `M` microseconds (one
   * column), `h` host, `c` client, `w` its MAC, `s` server, `W` its MAC, `p` protocol, `C` class,
   * `Q` query, `L` its length, `T` type, `A` answer, `l` its length, `t` TTL, `n` count. `Q`, `T`,
   * `A` and one of `S` and `H` are needed. `H` alone is taken to be in this machine's time zone.
   */
  const char *fields;
  const char *delimiter; /**< 1 to COF_PASSIVEDNS_DELIMITER_MAX octets */
  const char *sensor_id; /**< to write into records, or NULL */
  bool count_lines;      /**< every line counts 1, whatever its count column says */
};

#define COF_PASSIVEDNS_INIT                                                                        \
  {                                                                                                \
    .struct_size = sizeof(struct cof_passivedns_options), .fields = COF_PASSIVEDNS_FIELDS,         \
    .delimiter = COF_PASSIVEDNS_DELIMITER                                                          \
  }

/** What a line was. */
enum cof_passivedns_kind {
  COF_PASSIVEDNS_RECORD = 1, /**< a record, which was appended */
  COF_PASSIVEDNS_BLANK,      /**< nothing, or a comment (`#`) */
  COF_PASSIVEDNS_NEGATIVE,   /**< an error the sensor logged (`NXDOMAIN`, TTL 0): no record */
  COF_PASSIVEDNS_CLASS       /**< a class other than IN: not stored */
};

/** What a line said beside its record. Fields are only ever appended. */
struct cof_passivedns_line {
  size_t struct_size; /**< set by the caller */
  enum cof_passivedns_kind kind;
  uint32_t ttl;     /**< seconds */
  uint16_t rrtype;  /**< of a record */
  uint16_t rrclass; /**< class number; 1 (IN) where the line has none */
  bool has_ttl;     /**< whether `ttl` was in the line */
  uint8_t reserved[7];
};

/** Reads lines. Holds scratch memory only; not thread safe, one per thread. */
struct cof_passivedns;

/**
 * Make a reader.
 * @param options  copied
 * @return the reader, which the caller owns, or NULL with a reason: a letter that is no column, a
 *         column that is missing, a bad delimiter, out of memory
 */
struct cof_passivedns *cof_passivedns_create(const struct cof_passivedns_options *options,
                                             struct cof_error *err)
    __attribute__((warn_unused_result));

/** Free a reader; tolerates NULL and sets the caller's pointer to NULL. */
void cof_passivedns_destroy(struct cof_passivedns **reader);

/**
 * Read one line and append its record, canonicalised.
 *
 * Outer white space is ignored, so is a missing fraction of the time. Columns after the answer may
 * be missing from the end on, as old sensors have it: no count is 1, and so is a count of 0. Where
 * there are more columns than expected, the answer has the delimiter in it. The type is a mnemonic
 * in any case, a number, or `TYPEn`. The record is one observation of `count`, or of 1.
 *
 * A line that begins with a brace is the sensor's JSON (its `-j`), whatever `fields` says: the keys
 * `timestamp_s` or `timestamp` (this machine's time zone), `class`, `query`, `type`, `answer`,
 * `ttl` and `count`, of which `query`, `type`, `answer` and a time are needed; others are ignored.
 *
 * @param text,len  the line; need not be NUL-terminated
 * @param batch     receives the record
 * @param line      what the line said beside it
 * @param err       the reason, naming the column
 * @return COF_OK: see `line->kind`. COF_REJECT: not such a line; nothing appended. COF_FATAL: out
 *         of memory; nothing appended.
 */
enum cof_result cof_passivedns_read(struct cof_passivedns *reader, const char *text, size_t len,
                                    struct cof_batch *batch, struct cof_passivedns_line *line,
                                    struct cof_error *err);

#ifdef __cplusplus
}
#endif
#endif
