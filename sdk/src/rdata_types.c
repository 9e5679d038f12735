/* SPDX-License-Identifier: MIT */
#include <cofd/dns.h>

#include "rdata_private.h"

/*
 * 1 2 4  a number of that many octets      n  a name            N  names, to the end
 * s      a character-string                S  character-strings, to the end
 * x      hexadecimal, to the end           X  in one word       e  in one word, or "-" for none
 * b      base64, to the end                B  in one word       o  to the end, may be missing
 * h      base32hex in one word             t  a type            T  types, to the end
 * g      DNSSEC algorithm                  C  kind of certificate
 * d      a time of RRSIG                   c  a tag of CAA
 * a 6    an address of IPv4, of IPv6        P  address prefixes, to the end
 * w      what kind of gateway W is         k  parameters of SVCB, to the end
 * L      a location, to the end            E F I  EUI-48, EUI-64, ILNP locator
 */
static const struct rdata_type types[] = {
    [1] = {"a", 0},                                /* A */
    [2] = {"n", RDATA_TARGET},                     /* NS */
    [3] = {"n", 0},                                /* MD */
    [4] = {"n", 0},                                /* MF */
    [5] = {"n", RDATA_TARGET},                     /* CNAME */
    [6] = {"nn44444", RDATA_ALONE | RDATA_TARGET}, /* SOA */
    [7] = {"n", 0},                                /* MB */
    [8] = {"n", 0},                                /* MG */
    [9] = {"n", 0},                                /* MR */
    [12] = {"n", RDATA_TARGET},                    /* PTR */
    [13] = {"ss", RDATA_LAX},                      /* HINFO */
    [14] = {"nn", 0},                              /* MINFO */
    [15] = {"2n", RDATA_ALONE | RDATA_TARGET},     /* MX */
    [16] = {"S", RDATA_LAX},                       /* TXT */
    [17] = {"nn", RDATA_ALONE | RDATA_TARGET},     /* RP */
    [18] = {"2n", RDATA_ALONE | RDATA_TARGET},     /* AFSDB */
    [19] = {"s", RDATA_LAX},                       /* X25 */
    [20] = {"S", RDATA_LAX},                       /* ISDN */
    [21] = {"2n", RDATA_ALONE | RDATA_TARGET},     /* RT */
    [23] = {"n", 0},                               /* NSAP-PTR */
    [24] = {"tg14dd2nb", RDATA_LAX},               /* SIG */
    [25] = {"21gb", RDATA_LAX},                    /* KEY */
    [26] = {"2nn", 0},                             /* PX */
    [27] = {"sss", RDATA_LAX},                     /* GPOS */
    [28] = {"6", 0},                               /* AAAA */
    [29] = {"L", RDATA_LAX},                       /* LOC */
    [30] = {"nT", RDATA_LAX | RDATA_TARGET},       /* NXT */
    [31] = {"x", RDATA_LAX},                       /* EID */
    [32] = {"x", RDATA_LAX},                       /* NIMLOC */
    [33] = {"222n", RDATA_ALONE | RDATA_TARGET},   /* SRV */
    [35] = {"22sssn", RDATA_LAX | RDATA_TARGET},   /* NAPTR */
    [36] = {"2n", RDATA_ALONE | RDATA_TARGET},     /* KX */
    [37] = {"C2gb", RDATA_LAX},                    /* CERT */
    [39] = {"n", RDATA_TARGET},                    /* DNAME */
    [42] = {"P", RDATA_LAX},                       /* APL */
    [43] = {"2g1x", RDATA_LAX},                    /* DS */
    [44] = {"11x", RDATA_LAX},                     /* SSHFP */
    [45] = {"1w1Wo", RDATA_LAX},                   /* IPSECKEY */
    [46] = {"tg14dd2nb", RDATA_LAX},               /* RRSIG */
    [47] = {"nT", RDATA_LAX | RDATA_TARGET},       /* NSEC */
    [48] = {"21gb", RDATA_LAX},                    /* DNSKEY */
    [49] = {"b", RDATA_LAX},                       /* DHCID */
    [50] = {"112ehT", RDATA_LAX},                  /* NSEC3 */
    [51] = {"112e", RDATA_LAX},                    /* NSEC3PARAM */
    [52] = {"111x", RDATA_LAX},                    /* TLSA */
    [53] = {"111x", RDATA_LAX},                    /* SMIMEA */
    [55] = {"1XBN", RDATA_LAX},                    /* HIP */
    [56] = {"S", RDATA_LAX},                       /* NINFO */
    [57] = {"21gb", RDATA_LAX},                    /* RKEY */
    [58] = {"nn", 0},                              /* TALINK */
    [59] = {"2g1x", RDATA_LAX},                    /* CDS */
    [60] = {"21gb", RDATA_LAX},                    /* CDNSKEY */
    [61] = {"b", RDATA_LAX},                       /* OPENPGPKEY */
    [62] = {"42T", RDATA_LAX},                     /* CSYNC */
    [63] = {"411x", RDATA_LAX},                    /* ZONEMD */
    [64] = {"2nk", RDATA_LAX | RDATA_TARGET},      /* SVCB */
    [65] = {"2nk", RDATA_LAX | RDATA_TARGET},      /* HTTPS */
    [99] = {"S", RDATA_LAX},                       /* SPF */
    [104] = {"2I", RDATA_LAX},                     /* NID */
    [105] = {"2a", RDATA_LAX},                     /* L32 */
    [106] = {"2I", RDATA_LAX},                     /* L64 */
    [107] = {"2n", 0},                             /* LP */
    [108] = {"E", RDATA_LAX},                      /* EUI48 */
    [109] = {"F", RDATA_LAX},                      /* EUI64 */
    [256] = {"22s", RDATA_LAX},                    /* URI */
    [257] = {"1cs", RDATA_LAX},                    /* CAA */
    [258] = {"S", RDATA_LAX},                      /* AVC */
    [260] = {"11wW", RDATA_LAX},                   /* AMTRELAY */
    [261] = {"S", RDATA_LAX},                      /* RESINFO */
    [262] = {"S", RDATA_LAX},                      /* WALLET */
};

#define TYPE_TA  32768
#define TYPE_DLV 32769

const struct rdata_type *rdata_type(uint16_t rrtype)
{
  static const struct rdata_type ds = {"2g1x", RDATA_LAX}, none = {"", RDATA_LAX};
  if (rrtype == TYPE_TA || rrtype == TYPE_DLV)
    return &ds;
  if (rrtype >= sizeof types / sizeof *types || types[rrtype].fields[0] == '\0')
    return &none;
  return &types[rrtype];
}
