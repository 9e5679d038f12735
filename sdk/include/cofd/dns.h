/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Canonical forms of names, types, addresses and rdata. Ingest and query use these same functions,
 * so that what was stored under one spelling is found under every other.
 *
 * All functions are pure and thread safe.
 */
#ifndef COFD_DNS_H
#define COFD_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Type numbers that code speaks of by name (IANA DNS parameters); the rest go by cof_rrtype_*. */
enum {
  COF_TYPE_A = 1,
  COF_TYPE_NS = 2,
  COF_TYPE_CNAME = 5,
  COF_TYPE_SOA = 6,
  COF_TYPE_PTR = 12,
  COF_TYPE_MX = 15,
  COF_TYPE_TXT = 16,
  COF_TYPE_RP = 17,
  COF_TYPE_AFSDB = 18,
  COF_TYPE_AAAA = 28,
  COF_TYPE_SRV = 33,
  COF_TYPE_NAPTR = 35,
  COF_TYPE_KX = 36,
  COF_TYPE_DNAME = 39,
  COF_TYPE_RRSIG = 46,
  COF_TYPE_NSEC = 47,
  COF_TYPE_SVCB = 64,
  COF_TYPE_HTTPS = 65,
  COF_TYPE_SPF = 99,
  COF_TYPE_ANY = 255
};

/**
 * Canonical form of a domain name in presentation format (RFC 1035 section 5.1, RFC 4343): ASCII
 * lower case, no trailing dot, the root "."; octets outside 0x21..0x7e, and those special in master
 * files (`. ; ( ) \ " @ $` within a label), each in its one escaped spelling: `\X` for the special
 * ones, `\DDD` for the rest. Raw octets above 0x7e are taken as octets and escaped.
 *
 * @param text, len  the name, with or without trailing dot; need not be NUL-terminated
 * @param out        at least COF_NAME_MAX octets; receives a NUL-terminated name
 * @param out_len    its length without the NUL
 * @param err        the reason, or NULL
 * @return COF_OK, or COF_REJECT: empty, an empty label, a label over 63 octets, over 255 octets on
 *         the wire, or a broken escape
 */
enum cof_result cof_name_canon(const char *text, size_t len, char *out, size_t *out_len,
                               struct cof_error *err);

/**
 * Wire form (RFC 1035 section 3.1, no compression) of a canonical name.
 * @param out  at least 255 octets
 * @return octets written, 1 to 255; 0 if `name` is not canonical
 */
size_t cof_name_to_wire(const char *name, size_t len, uint8_t *out);

/**
 * Canonical name from its uncompressed wire form.
 * @param out  at least COF_NAME_MAX octets; receives a NUL-terminated name
 * @return octets written without the NUL; 0 if the wire form is broken or longer than `wire_len`
 */
size_t cof_name_from_wire(const uint8_t *wire, size_t wire_len, char *out);

/**
 * Type number of a mnemonic (any case), `TYPEn` (RFC 3597) or decimal number.
 * @return false when it is none of these or beyond 65535
 */
bool cof_rrtype_parse(const char *text, size_t len, uint16_t *rrtype);

/** Mnemonic of a type in upper case (IANA DNS parameters); NULL when it has none. Static. */
const char *cof_rrtype_mnemonic(uint16_t rrtype);

/** Octets that cof_rrtype_text may write, NUL included. */
#define COF_RRTYPE_TEXT_MAX 16

/** Mnemonic, or `TYPEn` (RFC 3597) where there is none. @return `out` */
const char *cof_rrtype_text(uint16_t rrtype, char out[COF_RRTYPE_TEXT_MAX]);

/** An IPv4 or IPv6 address. */
struct cof_addr {
  uint8_t family;    /**< 4 or 6 */
  uint8_t bytes[16]; /**< network order; 4 octets are used for IPv4, the rest are zero */
};

/** Octets that cof_addr_text may write, NUL included. */
#define COF_ADDR_TEXT_MAX 48

/**
 * Parse an address: IPv4 as four decimal octets without leading zeros, IPv6 in any spelling of
 * RFC 4291 section 2.2, no zone, no brackets.
 * @return false when it is neither
 */
bool cof_addr_parse(const char *text, size_t len, struct cof_addr *out);

/** Canonical text of an address (RFC 5952 for IPv6). @return its length without the NUL */
size_t cof_addr_text(const struct cof_addr *addr, char out[COF_ADDR_TEXT_MAX]);

/**
 * Parse an address with an optional prefix length `/n` into the first and last address it covers;
 * bits beyond the prefix are ignored. Without a prefix length first and last are the same.
 * @return COF_OK, or COF_REJECT with a reason
 */
enum cof_result cof_network_parse(const char *text, size_t len, struct cof_addr *first,
                                  struct cof_addr *last, struct cof_error *err);

/** Octets in use of an address: 4 or 16. */
static inline size_t cof_addr_len(const struct cof_addr *addr)
{
  return addr->family == 4 ? 4 : 16;
}

/**
 * Canonical presentation text of an rdata.
 *
 * A, AAAA: the address (RFC 5952). NS, CNAME, PTR, DNAME and the names within MX, SRV, SOA, …: in
 * the form of cof_name_canon, numbers in decimal without leading zeros, single spaces between
 * fields. A target alone is accepted where sensors log no more (MX, SRV, SOA, RP). TXT, SPF: each
 * character-string quoted, `"` and `\` escaped by a backslash, octets outside 0x20..0x7e as \DDD;
 * unquoted text is taken as one string. Types with hexadecimal fields: upper case (as RFC 4034
 * writes DS). RFC 3597 `\# n hex` is read for every type, and is how unknown types are written.
 * Text that the type's grammar does not take is refused for types whose rdata is an address, a
 * name, or a name with numbers; for the others it is kept with its white space collapsed and its
 * other octets outside 0x20..0x7e as \DDD, since sensors abbreviate.
 *
 * @param rrtype    type number
 * @param text,len  the rdata; need not be NUL-terminated; outer white space is ignored
 * @param out, cap  where to write; COF_RDATA_MAX + 1 octets are always enough; the result is
 *                  NUL-terminated
 * @param out_len   its length without the NUL
 * @param err       the reason, or NULL
 * @return COF_OK, or COF_REJECT with a reason: not of the type's form, or over COF_RDATA_MAX or
 *         `cap`. Canonical text is returned unchanged.
 */
enum cof_result cof_rdata_canon(uint16_t rrtype, const char *text, size_t len, char *out,
                                size_t cap, size_t *out_len, struct cof_error *err);

/** What an rdata is looked up by. */
enum cof_target_kind {
  COF_TARGET_TEXT, /**< the whole text: no address and no name in it */
  COF_TARGET_ADDR, /**< an address: A, AAAA */
  COF_TARGET_NAME  /**< a domain name: all of it (NS, CNAME, PTR, DNAME), or a field of it */
};

/**
 * Which part of a canonical rdata a reverse look-up goes by: the address of A and AAAA; the name in
 * NS, CNAME, PTR, DNAME; exchange of MX, AFSDB, KX, RT; target of SRV, SVCB, HTTPS; MNAME of SOA;
 * first name of RP, NSEC, NXT; replacement of NAPTR; else the whole text.
 *
 * @param offset, length  set to the part within `rdata`
 */
enum cof_target_kind cof_rdata_target(uint16_t rrtype, const char *rdata, size_t rdata_len,
                                      size_t *offset, size_t *length);

/** Whether canonical `name` is `suffix` or below it, on label boundaries. Everything is below ".".
 */
bool cof_name_under(const char *name, size_t len, const char *suffix, size_t suffix_len);

/** Most labels of a zone that cof_record.zones has a bit for. */
#define COF_ZONE_LABELS_MAX 31

/**
 * The bit of cof_record.zones that stands for a zone, both names canonical. Since ABI 1.2.
 * @return 0 where `zone` is neither the name nor above it, or has over COF_ZONE_LABELS_MAX labels
 */
uint32_t cof_zone_bit(const char *name, size_t len, const char *zone, size_t zone_len);

/** All bits that cof_record.zones may have for a canonical name. Since ABI 1.2. */
uint32_t cof_zones_all(const char *name, size_t len);

/**
 * The deepest of the zones that a mask stands for; bits that the name cannot have are ignored.
 * Since ABI 1.2.
 * @param zone_len  set to its octets
 * @return where it begins in the canonical `name`, or "."; NULL: there is none
 */
const char *cof_zone_deepest(const char *name, size_t len, uint32_t zones, size_t *zone_len);

#ifdef __cplusplus
}
#endif
#endif
