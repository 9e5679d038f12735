/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Fields and values of the layout compact; COMPACT.md says what they look like. Pure functions.
 */
#ifndef REDISSTORE_COMPACT_KEYS_PRIVATE_H
#define REDISSTORE_COMPACT_KEYS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cofd/dns.h>
#include <cofd/record.h>

/** Most octets of an encoded name: 253 content octets and 127 ends at worst, doubled by escapes. */
#define CK_NAME_MAX 512
/** Octets of a field, at most. */
#define CK_FIELD_MAX 64
/** Longest group that a field holds whole. */
#define CK_GROUP 38
/** Octets of the key that a field of CK_FIELD_MAX begins with when its group is no longer than
 * that, else CK_GROUP; the tail is what follows. */
#define CK_HEAD 48
/** Longest tail that stands in the value. */
#define CK_TAIL_NEAR 52
/** Octets of a field that name its far tail. */
#define CK_TAIL_NAME 24
/** Most octets of a full key. */
#define CK_KEY_MAX (1 + CK_NAME_MAX + CK_NAME_MAX + 2 + COF_RDATA_MAX)
/** Most octets of a value without a tail, and with a near one. */
#define CK_CHANGE_MAX 32
#define CK_VALUE_MAX  (CK_CHANGE_MAX + CK_TAIL_NEAR)

enum ck_tree { CK_FORWARD = 0, CK_REVERSE = 1, CK_TREES = 2 };

enum ck_class { CK_ADDR4 = '4', CK_ADDR6 = '6', CK_NAME = 'n', CK_TEXT = 't' };

enum ck_flags {
  CK_SPAN = 1,
  CK_COUNT = 2,
  CK_STAMP = 4,
  CK_NEAR = 8,
  CK_FAR = 16,
  CK_LONG = 32,
  CK_ZONES = 64,
  CK_ALL = 127
};

/** Order of fields. */
static inline int ck_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
  int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

/** Encode a canonical name. @param out  CK_NAME_MAX octets @return octets; 0: not canonical */
size_t ck_name(uint8_t *out, const char *name, size_t len);
/** Length of the encoded name at the beginning, its end included; 0: it has no end. */
size_t ck_name_len(const uint8_t *key, size_t len);
/** Text of an encoded name. @param out  COF_NAME_MAX octets @return length; 0: broken */
size_t ck_name_text(const uint8_t *key, size_t len, char *out);

/** Class and target of a canonical rdata. @param out  1 + CK_NAME_MAX octets @return octets; 0: an
 *  address type with no such address */
size_t ck_target(uint8_t *out, uint16_t rrtype, const char *rdata, size_t rdata_len);

/** A full key as it lies in a tree. */
struct ck_field {
  uint8_t field[CK_FIELD_MAX];
  uint8_t len;         /**< octets of `field` */
  uint8_t flags;       /**< CK_NEAR or CK_FAR where there is a tail, and CK_LONG */
  const uint8_t *tail; /**< points into the key */
  size_t tail_len;
};

/** Field of a full key whose group has `group_len` octets; forward keys of a record hold the type
 *  behind the group, reverse ones at their end. */
void ck_field(struct ck_field *out, enum ck_tree tree, const uint8_t *key, size_t len,
              size_t group_len);

/** Where the type stands in a field. NULL: nowhere. */
const uint8_t *ck_field_type(enum ck_tree tree, const uint8_t *field, size_t len);

/** What the fields of a group begin with. @param out  CK_FIELD_MAX octets @return octets */
size_t ck_group(uint8_t *out, const uint8_t *group, size_t len);

/**
 * Forward full key of a record.
 * @param out    rrname_len + rdata_len + CK_NAME_MAX octets are always enough
 * @param group  set to the length of its group
 * @return octets; 0 with a reason in `why`
 */
size_t ck_forward(uint8_t *out, const struct cof_record *record, size_t *group, const char **why);

/** Reverse full key from an encoded name. @param out  2 * CK_NAME_MAX + 3 octets; as ck_forward */
size_t ck_reverse(uint8_t *out, const struct cof_record *record, const uint8_t *name,
                  size_t name_len, size_t *group, const char **why);

/** Parts of a forward full key. */
struct ck_record {
  const uint8_t *name, *rdata;
  size_t name_len, rdata_len;
  uint16_t rrtype;
};
bool ck_forward_split(const uint8_t *key, size_t len, struct ck_record *out);
/** Text of its rdata, in the key or in `buf`; NULL: not of its type. */
const char *ck_rdata_text(const struct ck_record *parts, char buf[COF_ADDR_TEXT_MAX], size_t *len);

/** Parts of a reverse full key. */
struct ck_pointer {
  const uint8_t *target, *name;
  size_t target_len, name_len;
  uint16_t rrtype;
  enum ck_class class;
};
bool ck_reverse_split(const uint8_t *key, size_t len, struct ck_pointer *out);

/** A value taken apart. */
struct ck_value {
  struct cof_record record; /**< times and count; forward values only */
  uint64_t stamp;           /**< hours; with CK_STAMP */
  uint8_t flags;
  const uint8_t *tail; /**< with CK_NEAR */
  size_t tail_len;
};
bool ck_value_get(enum ck_tree tree, const uint8_t *value, size_t len, struct ck_value *out);

/** Value of a record (count is taken, total is not), with the tail of its field.
 *  @param out  CK_VALUE_MAX octets @return octets */
size_t ck_value_put(uint8_t *out, const struct cof_record *record, const struct ck_field *field);

/** Value of a reverse entry. @param stamp  hours, or 0 for none. As ck_value_put */
size_t ck_pointer_put(uint8_t *out, uint64_t stamp, const struct ck_field *field);

/** Least field above all that begin with `key`: in place. False: there is none. */
bool ck_successor(uint8_t *key, size_t *len);

#endif
