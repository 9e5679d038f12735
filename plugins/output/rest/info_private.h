/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Pieces of JSON that /info and /api/v1/stats share.
 */
#ifndef COFD_REST_INFO_PRIVATE_H
#define COFD_REST_INFO_PRIVATE_H

#include <stdint.h>

#include <jansson.h>

#include "rest_private.h"

/** A string; where it is no UTF-8, its octets above 0x7e as \DDD. NULL when out of memory. */
json_t *info_string(const char *text);
/** A number, at most 2^63 - 1. NULL when out of memory. */
json_t *info_number(uint64_t number);
/**
 * Statistics of the storage, and its sensors.
 * @param sensors  COF_OK: an array of objects with sensor_id and count, the caller's
 */
enum cof_result info_sensors(struct rest *rest, struct cof_storage_stats *stats, json_t **sensors,
                             struct cof_error *err);

#endif
