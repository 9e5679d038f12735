/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The door: a dnstap payload comes in, records come out, and nothing else of it goes further. Pure:
 * no descriptor, no host.
 */
#ifndef DNSTAP_DOOR_PRIVATE_H
#define DNSTAP_DOOR_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>
#include <cofd/result.h>

/** Kinds of messages, by the order of the words of the option. */
enum tap_kind { TAP_AUTH, TAP_RESOLVER, TAP_CLIENT, TAP_FORWARDER, TAP_STUB, TAP_TOOL, TAP_KINDS };
/** Sections, likewise. */
enum tap_section { TAP_ANSWER, TAP_AUTHORITY, TAP_ADDITIONAL, TAP_SECTIONS };

extern const char *const tap_kind_words[TAP_KINDS + 1];
extern const char *const tap_section_words[TAP_SECTIONS + 1];

/** What payloads came to. */
struct door_counts {
  uint64_t payloads;         /* all of them */
  uint64_t unwanted;         /* queries, and responses of other kinds */
  uint64_t responses;        /* DNS messages looked into */
  uint64_t errors;           /* of these, with another RCODE than NOERROR and NXDOMAIN */
  uint64_t truncated;        /* of these, with TC */
  uint64_t records;          /* appended */
  uint64_t other_section;    /* records: of sections not wanted */
  uint64_t other_class;      /* records: of another class than IN */
  uint64_t meta;             /* records: OPT, TSIG and the like, which are no data */
  uint64_t out_of_bailiwick; /* records */
  uint64_t bad_records;      /* records: rdata not of its type's form */
  struct cof_error bad;      /* why, for the last of these */
};

struct door_options {
  uint32_t kinds, sections; /* bits by enum tap_kind, enum tap_section */
  const char *sensor_id;    /* for payloads without an identity, or NULL; borrowed */
};

struct door;

/** @return owned by the caller; NULL when out of memory */
struct door *door_create(const struct door_options *options);
void door_destroy(struct door **door);

/**
 * Take a payload, appending its records.
 * @param counts  added to
 * @return COF_OK; COF_REJECT with a reason, which names no address: not a dnstap payload, or its
 *         DNS message is malformed, nothing appended; COF_FATAL: out of memory, nothing appended
 *         and nothing counted
 */
enum cof_result door_take(struct door *door, const uint8_t *payload, size_t len,
                          struct cof_batch *batch, struct door_counts *counts,
                          struct cof_error *err);

/* --- message.c -------------------------------------------------------------------------------- */

/** A DNS message and what its frame says of it. */
struct message {
  const uint8_t *octets;
  size_t len;
  const char *zone; /* bailiwick, canonical; NULL: not known */
  size_t zone_len;
  uint32_t sections;
  int64_t time;
  const char *sensor_id;
  size_t sensor_len;
};

struct message_scratch;
struct message_scratch *message_scratch_create(void);
void message_scratch_destroy(struct message_scratch **scratch);

/** Append the records of a DNS message. Results as door_take(). */
enum cof_result message_read(struct message_scratch *scratch, const struct message *message,
                             struct cof_batch *batch, struct door_counts *counts,
                             struct cof_error *err);

#endif
