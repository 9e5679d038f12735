/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dnsdb_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

/* Which fields of a type's rdata are names: bit 0 the first. */
#define FROM(field) (~0u << (field))
#define AT(field)   (1u << (field))

/* Types whose fields are fewer where a sensor has logged the name alone. */
static unsigned names_of(uint16_t rrtype, size_t fields)
{
  switch (rrtype) {
  case 6:  /* SOA */
  case 14: /* MINFO */
  case 17: /* RP */
  case 58: /* TALINK */
    return AT(0) | AT(1);
  case 15:  /* MX */
  case 18:  /* AFSDB */
  case 21:  /* RT */
  case 36:  /* KX */
  case 64:  /* SVCB */
  case 65:  /* HTTPS */
  case 107: /* LP */
    return fields == 1 ? AT(0) : AT(1);
  case 33: /* SRV */
    return fields == 1 ? AT(0) : AT(3);
  case 26: /* PX */
    return AT(1) | AT(2);
  case 24: /* SIG */
  case 46: /* RRSIG */
    return AT(7);
  case 35: /* NAPTR */
    return AT(5);
  case 55: /* HIP */
    return FROM(3);
  case 30: /* NXT */
  case 47: /* NSEC */
    return AT(0);
  case 2:  /* NS */
  case 3:  /* MD */
  case 4:  /* MF */
  case 5:  /* CNAME */
  case 7:  /* MB */
  case 8:  /* MG */
  case 9:  /* MR */
  case 12: /* PTR */
  case 23: /* NSAP-PTR */
  case 39: /* DNAME */
    return fields == 1 ? AT(0) : 0;
  default:
    return 0;
  }
}

/* Length of the field that begins a text; what is quoted is not split. */
static size_t field_len(const char *text, size_t len)
{
  bool quoted = false;
  size_t i = 0;
  for (; i < len && (quoted || text[i] != ' '); i++) {
    if (text[i] == '"')
      quoted = !quoted;
    else if (text[i] == '\\' && i + 1 < len)
      i++;
  }
  return i;
}

static size_t count_fields(const char *text, size_t len)
{
  size_t count = 0;
  while (len > 0) {
    size_t n = field_len(text, len);
    count++;
    n += n < len;
    text += n;
    len -= n;
  }
  return count;
}

static bool is_name(const char *text, size_t len)
{
  uint8_t wire[256];
  return cof_name_to_wire(text, len, wire) != 0;
}

size_t dnsdb_rdata_text(uint16_t rrtype, const char *rdata, size_t len, char *out)
{
  bool generic = len >= 2 && rdata[0] == '\\' && rdata[1] == '#';
  unsigned names = generic ? 0 : names_of(rrtype, count_fields(rdata, len));
  char *p = out;
  if (names == 0) {
    memcpy(out, rdata, len);
    return len;
  }
  for (unsigned field = 0; len > 0; field++) {
    size_t n = field_len(rdata, len);
    memcpy(p, rdata, n);
    p += n;
    bool named = (names >> (field < 31 ? field : 31) & 1) != 0;
    if (named && (n != 1 || *rdata != '.') && is_name(rdata, n))
      *p++ = '.';
    if (n < len)
      *p++ = rdata[n++];
    rdata += n;
    len -= n;
  }
  return (size_t)(p - out);
}

/* --- the wire form -------------------------------------------------------------------------- */

static bool fields_begin(const ldns_rr *rr, const uint8_t *raw, size_t raw_len)
{
  for (size_t i = 0; i < ldns_rr_rd_count(rr) && raw_len > 0; i++) {
    const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
    size_t n = ldns_rdf_size(rdf) < raw_len ? ldns_rdf_size(rdf) : raw_len;
    if (n > 0 && memcmp(ldns_rdf_data(rdf), raw, n) != 0)
      return false;
    raw += n;
    raw_len -= n;
  }
  return raw_len == 0;
}

static bool address_begins(const char *rdata, size_t rdata_len, const uint8_t *raw, size_t raw_len)
{
  struct cof_addr address;
  return cof_addr_parse(rdata, rdata_len, &address) && raw_len <= cof_addr_len(&address) &&
         memcmp(address.bytes, raw, raw_len) == 0;
}

bool dnsdb_rdata_begins(uint16_t rrtype, const char *rdata, size_t rdata_len, const uint8_t *raw,
                        size_t raw_len)
{
  char type[COF_RRTYPE_TEXT_MAX];
  ldns_rr *rr = NULL;
  bool begins = false;
  if (rrtype == COF_TYPE_A || rrtype == COF_TYPE_AAAA)
    return address_begins(rdata, rdata_len, raw, raw_len);
  char *line = malloc(32 + COF_RRTYPE_TEXT_MAX + rdata_len + DNSDB_DOTS_MAX(rdata_len));
  if (line == NULL)
    return false;
  int head = sprintf(line, ". 0 IN %s ", cof_rrtype_text(rrtype, type));
  size_t n = dnsdb_rdata_text(rrtype, rdata, rdata_len, line + head);
  line[(size_t)head + n] = '\0';
  if (ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL) == LDNS_STATUS_OK) {
    begins = fields_begin(rr, raw, raw_len);
    ldns_rr_free(rr);
  }
  free(line);
  return begins;
}
