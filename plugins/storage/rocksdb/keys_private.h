/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Keys of the database; LAYOUT.md says what they look like. Pure functions, thread safe.
 */
#ifndef ROCKSDB_KEYS_PRIVATE_H
#define ROCKSDB_KEYS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/dns.h>
#include <cofd/record.h>

/** The first octet of a key. In this order, as the files are written in key order. */
enum key_space {
  KEY_FORWARD = 'F',
  KEY_META = 'M',
  KEY_SENSOR = 'O', /**< who observed it */
  KEY_REVERSE = 'R',
  KEY_STATS = 'S'
};

/** The second octet of a reverse key. */
enum key_class { KEY_ADDR4 = '4', KEY_ADDR6 = '6', KEY_NAME = 'n', KEY_TEXT = 't' };

/** Most octets of an encoded name: each content octet doubled, a terminator a label, the end. */
#define KEY_NAME_MAX 512
/** Octets of the hash that stands for a text. */
#define KEY_HASH_LEN 8
/** Most octets of space, class and target. */
#define KEY_TARGET_MAX (2 + KEY_NAME_MAX)
/** Most octets of what stands before the name in a forward key or a sensor's: the space alone, or
 *  space, length, sensor. */
#define KEY_HEAD_MAX (2 + COF_SENSOR_MAX)
/** Most octets of any key. */
#define KEY_MAX (2 + 2 * KEY_NAME_MAX + 2 + 1 + COF_RDATA_MAX)

/** Most octets that key_forward and key_reverse write for a record. */
static inline size_t key_forward_bound(const struct cof_record *r)
{
  return 1 + (size_t)r->rrname_len + 2 + 2 + (r->rdata_len > 16 ? r->rdata_len : 16);
}
static inline size_t key_reverse_bound(const struct cof_record *r)
{
  return 2 + 2 * ((size_t)r->rdata_len + 16) + (size_t)r->rrname_len + 2 + 2 + 1;
}

/**
 * Encode a canonical name, its end included.
 * @param out  at least `len` + 2 octets
 * @return octets written; 0 when the name is not canonical
 */
size_t key_name(uint8_t *out, const char *name, size_t len);

/**
 * Length of the encoded name at the beginning of `key`, its end included; 0 when it has no end.
 * Nothing else of it is checked.
 */
size_t key_name_len(const uint8_t *key, size_t len);

/**
 * Canonical text of an encoded name.
 * @param key, len  all of the encoded name, its end included
 * @param out       COF_NAME_MAX octets; receives a NUL-terminated name
 * @return length of the text; 0 when the encoding is broken
 */
size_t key_name_text(const uint8_t *key, size_t len, char *out);

/**
 * The labels of an encoded name in the opposite order.
 * @param name, len  all of the encoded name, its end included
 * @param out        `len` octets
 * @return `len`; 0 when the encoding is broken
 */
size_t key_name_flip(const uint8_t *name, size_t len, uint8_t *out);

/** How an rdata is looked up: class, and where the target lies. */
struct key_target {
  enum key_class class;
  size_t len;    /**< octets of `bytes` */
  size_t before; /**< octets of rdata text before the target; 0 where it is not a part of it */
  size_t after;  /**< octets of rdata text from its end; rdata_len where there are none */
  uint8_t bytes[KEY_NAME_MAX];
};

/** Find the target of a canonical rdata. False: rdata of an address type that is no such address.
 */
bool key_target(struct key_target *target, uint16_t rrtype, const char *rdata, size_t rdata_len);

/**
 * Both keys of a record.
 * @param forward, reverse          at least the bounds above
 * @param forward_len, reverse_len  octets written
 * @return NULL, or what of the record is not canonical
 */
const char *key_pair(const struct cof_record *record, uint8_t *forward, size_t *forward_len,
                     uint8_t *reverse, size_t *reverse_len);

/**
 * What stands before the name in a sensor's keys, which otherwise are forward keys.
 * @param len  1 to COF_SENSOR_MAX
 * @return octets
 */
size_t key_sensor_head(uint8_t out[KEY_HEAD_MAX], const char *sensor, size_t len);

/** Octets before the name in a forward key, or in that of a sensor; 0 where it is neither. */
size_t key_head_len(const uint8_t *key, size_t len);

/** Parts of a forward key or of that of a sensor; they point into it. */
struct key_forward_parts {
  const uint8_t *name;
  const uint8_t *rdata;
  size_t name_len, rdata_len;
  uint16_t rrtype;
};

/** Take a forward key, or that of a sensor, apart. False when it is none; the text of its name is
 * not checked. */
bool key_forward_split(const uint8_t *key, size_t len, struct key_forward_parts *parts);

/**
 * Text of an rdata as a forward key holds it.
 * @param buf  for the text of addresses
 * @return the text (in the key or in `buf`), not NUL-terminated; NULL when it is not of its type
 */
const char *key_rdata_text(const struct key_forward_parts *parts, char buf[COF_ADDR_TEXT_MAX],
                           size_t *len);

/** Parts of a reverse key; they point into it. */
struct key_reverse_parts {
  enum key_class class;
  const uint8_t *target, *name, *rest;
  size_t target_len, name_len, rest_len;
  uint16_t rrtype;
};

/** Take a reverse key apart. False when it is none; the text of its names is not checked. */
bool key_reverse_split(const uint8_t *key, size_t len, struct key_reverse_parts *parts);

/** Most octets that key_reverse_forward writes. */
static inline size_t key_reverse_forward_bound(const struct key_reverse_parts *p, size_t text_len)
{
  return 1 + p->name_len + 2 + (p->class == KEY_TEXT ? text_len : p->rest_len + COF_NAME_MAX);
}

/**
 * The forward key that a reverse key leads to.
 * @param text, text_len  the text asked for, for keys of class KEY_TEXT
 * @return octets written; 0 when the reverse key is broken
 */
size_t key_reverse_forward(const struct key_reverse_parts *parts, const char *text, size_t text_len,
                           uint8_t *out);

/** Octets of the prefix that filters hold for a key; 0 when it has none. */
size_t key_prefix(const uint8_t *key, size_t len);

/** Make `key` the least key above all that begin with it. `key` must have an octet below 0xff. */
void key_successor(uint8_t *key, size_t *len);

#endif
