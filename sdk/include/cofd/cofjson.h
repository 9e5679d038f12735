/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The Common Output Format as JSON (draft-dulaunoy-dnsop-passive-dns-cof): reading untrusted
 * objects into a batch, and writing records.
 */
#ifndef COFD_COFJSON_H
#define COFD_COFJSON_H

#include <stddef.h>

#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a `count` in the input means. */
enum cof_counts {
  COF_COUNTS_ADD = 0, /**< so many new observations; 1 where absent */
  COF_COUNTS_TOTAL /**< so many observations up to now; where absent, one observation up to now */
};

struct cof_host;

/** Reads COF objects. Holds scratch memory only; not thread safe, one per thread. */
struct cof_reader;

/**
 * Make a reader.
 * @return the reader, which the caller owns, or NULL when out of memory
 */
struct cof_reader *cof_reader_create(enum cof_counts counts) __attribute__((warn_unused_result));

/** Free a reader; tolerates NULL and sets the caller's pointer to NULL. */
void cof_reader_destroy(struct cof_reader **reader);

/**
 * Sensor to write into records that name none.
 * @param sensor_id  copied; NULL for none; at most COF_SENSOR_MAX octets are kept
 * @return COF_OK, or COF_FATAL when out of memory
 */
enum cof_result cof_reader_set_sensor(struct cof_reader *reader, const char *sensor_id);

/**
 * Have the paths of records from other cofd (key `cofd_via`) known to the host, in cof_record.via;
 * without it that key is ignored. Since ABI 1.1.
 * @param host  valid as long as the reader is used; NULL for none
 */
void cof_reader_set_host(struct cof_reader *reader, struct cof_host *host);

/**
 * How many objects had a `bailiwick` that was left out, so far: no domain name, neither the
 * record's owner nor above it, or over COF_ZONE_LABELS_MAX labels. Such a record is read without
 * one. Since ABI 1.2.
 */
uint64_t cof_reader_odd_bailiwicks(const struct cof_reader *reader);

/**
 * Read one JSON object (one line of NDJSON, one websocket message) and append its records, one for
 * each element of rdata, canonicalised.
 *
 * Takes what the draft demands and what is seen in practice: rdata a string or an array of strings;
 * rrtype a mnemonic, `TYPEn` or a number; times and count as integers, floats or numeric strings;
 * times also as `time_*_ms`, `zone_time_*`, `time_*_rfc3339` or RFC 3339 text in `time_*`; values
 * beyond 10^11 are milliseconds; first and last are swapped when reversed; a SAF wrapper
 * `{"cond": …, "obj": {…}}`; rrname and rdata swapped as CIRCL's service writes them; a UTF-8 byte
 * order mark; `bailiwick` (cof_record.zones); unknown keys. Of another cofd: `cofd_total`, what the
 * stored count must at least become (cof_record.total), `cofd_zones`, all of cof_record.zones where
 * there are several, and `cofd_via`, see cof_reader_set_host(). Blank input appends nothing and is
 * COF_OK.
 *
 * @param text,len  the object; need not be NUL-terminated
 * @param batch     receives the records
 * @param added     number of records appended; may be NULL
 * @param refused   number of rdata elements that were refused, or 1 for a refused object; may be
 * NULL
 * @param err       the first reason, naming the field
 * @return COF_OK: all appended. COF_REJECT: something was refused (good elements of an rdata array
 *         are appended nevertheless). COF_FATAL: out of memory; nothing appended.
 */
enum cof_result cof_reader_object(struct cof_reader *reader, const char *text, size_t len,
                                  struct cof_batch *batch, size_t *added, size_t *refused,
                                  struct cof_error *err);

/** What cof_write_json puts where. */
struct cof_write_options {
  const char *origin; /**< value of `origin`, UTF-8; NULL leaves the field out */
};

/**
 * Most octets that cof_write_json writes for a record: every octet of a text is at worst six
 * octets of JSON.
 */
#define COF_JSON_BOUND(record, origin_len)                                                         \
  (256 + 6 * ((size_t)(record)->rrname_len + (size_t)(record)->rdata_len + (size_t)(origin_len)))

/**
 * Write a record as one COF line, byte for byte in the spacing and order of analyzer-d4-passivedns:
 * `{"time_first": 1, "time_last": 2, "count": 3, "rrtype": "A", "rrname": "…", "rdata": "…",
 * "origin": "…"}` and a newline. rrtype is a number where the type has no mnemonic. ASCII only:
 * octets above 0x7e and control octets of rrname and rdata as `\DDD` presentation escapes, those of
 * origin as \uXXXX.
 *
 * @param out  at least COF_JSON_BOUND octets; not NUL-terminated
 * @return octets written. Thread safe.
 */
size_t cof_write_json(const struct cof_record *record, const struct cof_write_options *options,
                      char *out);

/** Most octets that cof_write_zones writes for a record. */
#define COF_ZONES_BOUND(record) (64 + 6 * (size_t)(record)->rrname_len)

/**
 * Write the bailiwicks of a record as keys for its object: `, "bailiwick": "…"`, the deepest, and
 * `, "cofd_zones": n` where there are several; nothing where none is known. Since ABI 1.2.
 *
 * @param out  at least COF_ZONES_BOUND octets; not NUL-terminated
 * @return octets written. Thread safe.
 */
size_t cof_write_zones(const struct cof_record *record, char *out);

/** Most octets that cof_write_sensor writes for a record. */
#define COF_SENSOR_BOUND(record) (32 + 6 * (size_t)(record)->sensor_len)

/**
 * Write the sensor of a record as a key for its object: `, "sensor_id": "…"`, in ASCII as the
 * origin is; nothing where there is none. Since ABI 1.3.
 *
 * @param out  at least COF_SENSOR_BOUND octets; not NUL-terminated
 * @return octets written. Thread safe.
 */
size_t cof_write_sensor(const struct cof_record *record, char *out);

#ifdef __cplusplus
}
#endif
#endif
