/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Reading JSON that somebody else wrote: parse a text, look at its values. For logs of sensors; COF
 * objects have a reader of their own (cofd/cofjson.h).
 *
 * A document is read by any number of threads at once, as long as none frees it.
 */
#ifndef COFD_JSON_H
#define COFD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A value. The outermost one is the document, which the caller owns; those within belong to it. */
struct cof_json;

/** What a value is. */
enum cof_json_kind {
  COF_JSON_NONE = 0, /**< there is no value (NULL was given) */
  COF_JSON_NULL,
  COF_JSON_BOOL,
  COF_JSON_INTEGER, /**< a number without fraction and exponent that 64 bits hold */
  COF_JSON_REAL,
  COF_JSON_TEXT,
  COF_JSON_ARRAY,
  COF_JSON_OBJECT
};

/**
 * Parse one object or array; blanks around it are allowed, anything else is not. Of a key that
 * occurs twice in an object, the last value counts.
 * @param text,len  need not be NUL-terminated
 * @param err       what was wrong, and at which octet
 * @return owned by the caller; NULL: no JSON, nested over 2048 levels, or out of memory
 */
struct cof_json *cof_json_parse(const char *text, size_t len, struct cof_error *err)
    __attribute__((warn_unused_result));

/** Free a document; tolerates NULL and sets the caller's pointer to NULL. */
void cof_json_free(struct cof_json **document);

/** Every function below takes NULL for a value that is not there. */
enum cof_json_kind cof_json_kind(const struct cof_json *value);

/** Value of a key of an object; NULL when there is none, or `object` is no object. */
const struct cof_json *cof_json_get(const struct cof_json *object, const char *key);

/** Number of elements of an array or an object; 0 for anything else. */
size_t cof_json_count(const struct cof_json *value);

/** Element of an array; NULL beyond its end, or when `array` is none. */
const struct cof_json *cof_json_at(const struct cof_json *array, size_t index);

/** Receives a key and its value; the key is NUL-terminated. @return false to stop */
typedef bool (*cof_json_fn)(void *arg, const char *key, const struct cof_json *value);

/** Call `fn` for each key of an object, in their order. @return false when `fn` stopped it */
bool cof_json_each(const struct cof_json *object, cof_json_fn fn, void *arg);

/**
 * Octets of a text, UTF-8 and NUL-terminated; NULL when the value is none.
 * @param len  number of octets, which may have NULs among them
 */
const char *cof_json_text(const struct cof_json *value, size_t *len);

/** Value of an integer. @return false when the value is none */
bool cof_json_integer(const struct cof_json *value, int64_t *out);

/** Value of an integer or a real number. @return false when the value is neither */
bool cof_json_number(const struct cof_json *value, double *out);

#ifdef __cplusplus
}
#endif
#endif
