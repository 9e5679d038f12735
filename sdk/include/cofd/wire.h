/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Names and rdata out of DNS messages (RFC 1035 section 4), straight into their canonical forms
 * (cofd/dns.h). The octets are untrusted: nothing is read outside of the message, and whatever they
 * are, the work is bounded by their number.
 *
 * All functions are pure and thread safe.
 */
#ifndef COFD_WIRE_H
#define COFD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/dns.h>
#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Canonical name out of a message, compressed or not (RFC 1035 section 4.1.4). A pointer has to
 * lead to octets before those that it was reached from, so that there is no loop; a name may have
 * up to 126 of them.
 *
 * @param msg, len  the message from its first octet
 * @param at        where the name begins; set to what follows it there. Unchanged when it fails
 * @param out       at least COF_NAME_MAX octets; receives a NUL-terminated name
 * @return its length without the NUL; 0 if the name is broken, over 255 octets, or beyond `len`
 */
size_t cof_name_from_message(const uint8_t *msg, size_t len, size_t *at, char *out);

/**
 * Canonical text of an rdata in a message; what cof_rdata_canon makes of its `\# n hex` when its
 * names are not compressed. Names are uncompressed wherever a type has one.
 *
 * Octets that are not of the type's form are refused where the type has a name in its rdata, or is
 * an address; for other types, they are kept as `\# n hex`, as the rdata of unknown types is.
 *
 * @param rrtype    type number
 * @param msg, len  the message from its first octet
 * @param at, size  where the rdata begins, and its RDLENGTH
 * @param out, cap  where to write; COF_RDATA_MAX + 1 octets are always enough; the result is
 *                  NUL-terminated
 * @param out_len   its length without the NUL
 * @param err       the reason, or NULL
 * @return COF_OK, or COF_REJECT with a reason: not of the type's form, beyond the message, or over
 *         COF_RDATA_MAX or `cap`
 */
enum cof_result cof_rdata_from_message(uint16_t rrtype, const uint8_t *msg, size_t len, size_t at,
                                       size_t size, char *out, size_t cap, size_t *out_len,
                                       struct cof_error *err);

#ifdef __cplusplus
}
#endif
#endif
