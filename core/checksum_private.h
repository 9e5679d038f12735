/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A checksum of any number of records whatever their order: the sum, modulo 2^64, of a hash of each
 * one's tuple, times and count. The same in every process and version, for it is kept in files.
 */
#ifndef COFD_CHECKSUM_PRIVATE_H
#define COFD_CHECKSUM_PRIVATE_H

#include <stdint.h>

#include <cofd/record.h>

/** What one stored record (count the number, total 0) adds to the sum. */
uint64_t checksum_record(const struct cof_record *record);

#endif
