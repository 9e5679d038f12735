/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What a client of DNSDB's API asks for, out of the raw path and parameters of its request.
 */
#ifndef COFD_REST_DNSDB_QUESTION_PRIVATE_H
#define COFD_REST_DNSDB_QUESTION_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/dns.h>

/** Most octets of a component of the path, before decoding. */
#define DNSDB_COMPONENT_MAX ((size_t)8 * 1024)
/** Most octets of an rdata given in hexadecimal. */
#define DNSDB_RAW_MAX (DNSDB_COMPONENT_MAX / 2)

/** What a path under /dnsdb/v2/ leads to. */
enum dnsdb_endpoint { DNSDB_NOWHERE, DNSDB_LOOKUP, DNSDB_SUMMARIZE, DNSDB_RATE_LIMIT, DNSDB_PING };

/** What is compared with what. */
enum dnsdb_subject {
  DNSDB_RRSET_NAME, /**< rrname with a name; rrset/raw comes to the same */
  DNSDB_RDATA_NAME, /**< name in rdata with a name */
  DNSDB_RDATA_IP,   /**< address in rdata with a range */
  DNSDB_RDATA_RAW   /**< beginning of rdata on the wire with octets */
};

/** Which names go with the name asked for. */
enum dnsdb_wild {
  DNSDB_EXACT,      /**< itself */
  DNSDB_BELOW,      /**< `*.name`: itself, and all below it */
  DNSDB_BEGINS,     /**< `name.*`: itself, and all that begin with its labels */
  DNSDB_ONE_BELOW,  /**< `+.name`: those with one label before it */
  DNSDB_ONE_BEHIND, /**< `name.+`: those with one label behind it */
};

/** Which types are asked for. */
enum dnsdb_types {
  DNSDB_ANY,    /**< all, or all but those of DNSSEC, as the server is set */
  DNSDB_DNSSEC, /**< those of DNSSEC */
  DNSDB_ONE     /**< one */
};

struct dnsdb_question {
  bool summarize;
  enum dnsdb_subject subject;
  enum dnsdb_wild wild;
  enum dnsdb_types types;
  uint16_t rrtype;    /**< of DNSDB_ONE */
  bool has_bailiwick; /**< a bailiwick was given */
  bool has_limit, humantime;
  uint64_t limit;     /**< 0: as many as the server gives */
  uint64_t offset;    /**< results to leave out first */
  uint64_t max_count; /**< 0: none */
  int64_t first_after, first_before, last_after, last_before;
  struct cof_addr first, last;
  size_t raw_len;
  char name[COF_NAME_MAX];      /**< canonical */
  char bailiwick[COF_NAME_MAX]; /**< canonical */
  uint8_t raw[DNSDB_RAW_MAX];
};

/**
 * Which endpoint a path leads to.
 * @param path  behind `/dnsdb/`, raw
 * @param rest  set to what follows the endpoint
 */
enum dnsdb_endpoint dnsdb_endpoint(const char *path, const char **rest);

/**
 * Read the path behind `lookup/` or `summarize/`, into a question that has no parameters yet.
 * @param path  raw; components are split at `/` and each decoded once
 * @return COF_OK, or COF_REJECT with what is wrong, in printable ASCII. Thread safe.
 */
enum cof_result dnsdb_read_path(const char *path, bool summarize, struct dnsdb_question *question,
                                struct cof_error *err);

/**
 * Read one parameter into the question; one that is not known is ignored.
 * @param key    raw
 * @param value  raw; NULL: none
 * @param now    seconds UTC, for times relative to now
 */
enum cof_result dnsdb_read_parameter(struct dnsdb_question *question, const char *key,
                                     const char *value, int64_t now, struct cof_error *err);

#endif
