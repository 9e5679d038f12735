/* SPDX-License-Identifier: MIT */
/**
 * @file
 * How a COF object is read, in three steps: a scanner takes the object apart (the fast one, or
 * jansson where the fast one finds something odd), both into the same fields; one set of rules
 * makes records of the fields.
 */
#ifndef COFREAD_PRIVATE_H
#define COFREAD_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cofd/cofjson.h>
#include <cofd/dns.h>
#include <cofd/host.h>

/** Keys that mean something. */
enum cofread_key {
  COFREAD_RRNAME,
  COFREAD_RRTYPE,
  COFREAD_RDATA,
  COFREAD_TIME_FIRST,
  COFREAD_TIME_LAST,
  COFREAD_COUNT,
  COFREAD_SENSOR_ID,
  COFREAD_TIME_FIRST_MS,
  COFREAD_TIME_LAST_MS,
  COFREAD_TIME_FIRST_RFC3339,
  COFREAD_TIME_LAST_RFC3339,
  COFREAD_ZONE_TIME_FIRST,
  COFREAD_ZONE_TIME_LAST,
  COFREAD_COND,
  COFREAD_OBJ,
  COFREAD_VIA,
  COFREAD_TOTAL,
  COFREAD_BAILIWICK,
  COFREAD_ZONES,
  COFREAD_KEYS,   /**< number of the above */
  COFREAD_UNKNOWN /**< any other key */
};

/** What kind of value a key has. */
enum cofread_kind {
  COFREAD_NULL,
  COFREAD_TEXT,
  COFREAD_INTEGER,  /**< a whole number, saturated to 64 bits */
  COFREAD_FRACTION, /**< a number with a fractional part, which `integer` leaves out */
  COFREAD_LIST,     /**< an array: cofread_fields.list */
  COFREAD_OTHER     /**< an object, true or false; an array where none is expected */
};

/** A value. Texts are borrowed: from the input, the reader's scratch memory, or jansson. */
struct cofread_value {
  union {
    const char *text; /**< without JSON's escapes */
    int64_t integer;
  };
  size_t len; /**< octets of text */
  enum cofread_kind kind;
};

/** An object taken apart. */
struct cofread_fields {
  uint32_t seen; /**< bit by key; `value` is set only where its bit is */
  bool empty;    /**< the object has no key at all, known or not */
  struct cofread_value value[COFREAD_KEYS];
  const struct cofread_value *list; /**< elements of rdata where it is an array */
  size_t list_count;
};

/** Memory that grows and is used again for each object. */
struct cofread_buffer {
  void *bytes;
  size_t size, used;
};

struct cof_reader {
  enum cof_counts counts;
  char *sensor; /**< for records that name none; NULL for none */
  size_t sensor_len;
  struct cof_host *host; /**< knows paths; NULL: they are ignored */
  uint32_t via;          /**< number of the path in via_text */
  size_t via_len;        /**< 0: none yet */
  char via_text[COF_VIA_TEXT_MAX];
  uint64_t odd_bailiwicks;     /**< left out */
  struct cofread_buffer texts; /**< unescaped strings */
  struct cofread_buffer list;  /**< struct cofread_value, elements of rdata */
  char number[32];             /**< a sensor_id given as a number */
  char name[COF_NAME_MAX + 1];
  char swapped[COF_NAME_MAX + 1];
  char rdata[COF_RDATA_MAX + 1];
};

/** Where the records of one object go. */
struct cofread_out {
  struct cof_batch *batch;
  size_t added, refused;
  struct cof_error *err;
};

/** How the fast scanner fared. */
enum cofread_scan {
  COFREAD_DONE,   /**< the fields are set */
  COFREAD_ODD,    /**< something is beyond it, or wrong: let jansson tell */
  COFREAD_NO_ROOM /**< out of memory */
};

/** Shortest text that cofread_fast looks at: it loads 16 octets at a time. No record is shorter. */
#define COFREAD_FAST_MIN 64

/**
 * Take one flat object, or one in a SAF wrapper, apart without allocating.
 * @param text,len  the object, without white space around it; at least COFREAD_FAST_MIN octets
 */
enum cofread_scan cofread_fast(struct cof_reader *reader, const char *text, size_t len,
                               struct cofread_fields *fields);

/**
 * Take any object apart by jansson and append its records.
 * @return COF_OK; COF_REJECT, counted in `out`; COF_FATAL when out of memory
 */
enum cof_result cofread_slow(struct cof_reader *reader, const char *text, size_t len,
                             struct cofread_out *out);

/** Apply the rules to the fields and append the records. Returns as cofread_slow does. */
enum cof_result cofread_append(struct cof_reader *reader, const struct cofread_fields *fields,
                               struct cofread_out *out);

/** Which key a text is. */
enum cofread_key cofread_key_of(const char *text, size_t len);

/** Make room for `size` octets in all; what `bytes` pointed to is lost when it grows. */
bool cofread_reserve(struct cofread_buffer *buffer, size_t size);

/** Count a refused object or element; the first one's reason is kept. Returns COF_REJECT. */
enum cof_result cofread_refuse(struct cofread_out *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * Whole part of a decimal number in text (`12`, `-1.5`, `1.6e9`), saturated to 64 bits; outer
 * blanks are ignored.
 * @return false when it is not a number
 */
bool cofread_decimal(const char *text, size_t len, int64_t *out);

/**
 * Seconds since 1970 of an RFC 3339 time; the fraction is left out, and the colon in the offset may
 * be.
 * @return false when it is none
 */
bool cofread_rfc3339(const char *text, size_t len, int64_t *out);

static inline const struct cofread_value *cofread_get(const struct cofread_fields *fields,
                                                      enum cofread_key key)
{
  if ((fields->seen >> key & 1) == 0 || fields->value[key].kind == COFREAD_NULL)
    return NULL;
  return &fields->value[key];
}

#endif
