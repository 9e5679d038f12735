/* SPDX-License-Identifier: MIT */
/* What the sources behind cofd/dns.h share. Not exported from the library. */
#ifndef COFD_DNS_PRIVATE_H
#define COFD_DNS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/dns.h>

/* As cof_name_canon, with `out` of `cap` octets. Returns NULL, or what is wrong as it completes the
   sentence "the name has …". */
const char *dns_name_canon(const char *text, size_t len, char *out, size_t cap, size_t *out_len);

/* The reason of dns_name_canon when `cap` is too small. */
extern const char dns_name_full[];

/* The common case of dns_name_canon: reads up to the first octet that a name may have only in
   another spelling, a blank for one. Returns the octets read, 0 when it takes dns_name_canon to
   decide. */
size_t dns_name_plain(const char *text, size_t len, char *out, size_t cap, size_t *out_len);

/* Octets of text that an error quotes, each spelled in up to four. */
#define DNS_QUOTE_TAKES 60
#define DNS_QUOTE_MAX   (4 * DNS_QUOTE_TAKES + 4)

/* Text as an error may show it: at most DNS_QUOTE_MAX - 1 octets, printable. Returns `out`. */
const char *dns_quote(const char *text, size_t len, char out[DNS_QUOTE_MAX]);

/* cof_addr_parse for one family. */
bool dns_ipv4_parse(const char *text, size_t len, uint8_t out[4]);
bool dns_ipv6_parse(const char *text, size_t len, uint8_t out[16]);

#endif
