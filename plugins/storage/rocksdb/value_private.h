/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Values of the database and how they merge; see LAYOUT.md. Pure functions, thread safe.
 */
#ifndef ROCKSDB_VALUE_PRIVATE_H
#define ROCKSDB_VALUE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rocksdb/c.h>

#include <cofd/record.h>

/** Most octets of a varint of 64 bits. */
#define VARINT_MAX 10
/** Most octets of a change. */
#define CHANGE_MAX (1 + 5 * VARINT_MAX)

/** Write a varint. @return octets written, at most VARINT_MAX */
size_t varint_put(uint8_t *out, uint64_t value);

/** Read a varint in its shortest form, at most `end - *p` octets, and move `*p` beyond it. */
bool varint_get(const uint8_t **p, const uint8_t *end, uint64_t *value);

/** Whether times and counts of a record lie within what a change can hold. */
bool change_valid(const struct cof_record *record);

/** Write times, count, total and zones of a valid record. @return octets written, at most
 * CHANGE_MAX */
size_t change_put(uint8_t *out, const struct cof_record *record);

/** Read a whole change into times, count, total and zones of a record. False when it is corrupt. */
bool change_get(const uint8_t *value, size_t len, struct cof_record *record);

/** Read a whole counter. False when it is corrupt. */
bool counter_get(const uint8_t *value, size_t len, uint64_t *counter);

/** Apply a change to nothing: count becomes the stored number, total 0. */
void change_settle(struct cof_record *record);

/** The merge operator of the database; the caller owns it until options take it over. */
rocksdb_mergeoperator_t *value_merge_operator(void);

#endif
