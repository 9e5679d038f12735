/* SPDX-License-Identifier: MIT */
#include <cofd/dns.h>

#include <string.h>

/* IANA registry "Resource Record (RR) TYPEs", by number. */
static const char *const mnemonics[] = {
    [1] = "A",         [2] = "NS",      [3] = "MD",          [4] = "MF",
    [5] = "CNAME",     [6] = "SOA",     [7] = "MB",          [8] = "MG",
    [9] = "MR",        [10] = "NULL",   [11] = "WKS",        [12] = "PTR",
    [13] = "HINFO",    [14] = "MINFO",  [15] = "MX",         [16] = "TXT",
    [17] = "RP",       [18] = "AFSDB",  [19] = "X25",        [20] = "ISDN",
    [21] = "RT",       [22] = "NSAP",   [23] = "NSAP-PTR",   [24] = "SIG",
    [25] = "KEY",      [26] = "PX",     [27] = "GPOS",       [28] = "AAAA",
    [29] = "LOC",      [30] = "NXT",    [31] = "EID",        [32] = "NIMLOC",
    [33] = "SRV",      [34] = "ATMA",   [35] = "NAPTR",      [36] = "KX",
    [37] = "CERT",     [38] = "A6",     [39] = "DNAME",      [40] = "SINK",
    [41] = "OPT",      [42] = "APL",    [43] = "DS",         [44] = "SSHFP",
    [45] = "IPSECKEY", [46] = "RRSIG",  [47] = "NSEC",       [48] = "DNSKEY",
    [49] = "DHCID",    [50] = "NSEC3",  [51] = "NSEC3PARAM", [52] = "TLSA",
    [53] = "SMIMEA",   [55] = "HIP",    [56] = "NINFO",      [57] = "RKEY",
    [58] = "TALINK",   [59] = "CDS",    [60] = "CDNSKEY",    [61] = "OPENPGPKEY",
    [62] = "CSYNC",    [63] = "ZONEMD", [64] = "SVCB",       [65] = "HTTPS",
    [66] = "DSYNC",    [67] = "HHIT",   [68] = "BRID",       [99] = "SPF",
    [100] = "UINFO",   [101] = "UID",   [102] = "GID",       [103] = "UNSPEC",
    [104] = "NID",     [105] = "L32",   [106] = "L64",       [107] = "LP",
    [108] = "EUI48",   [109] = "EUI64", [128] = "NXNAME",    [249] = "TKEY",
    [250] = "TSIG",    [251] = "IXFR",  [252] = "AXFR",      [253] = "MAILB",
    [254] = "MAILA",   [255] = "ANY",   [256] = "URI",       [257] = "CAA",
    [258] = "AVC",     [259] = "DOA",   [260] = "AMTRELAY",  [261] = "RESINFO",
    [262] = "WALLET",  [263] = "CLA",   [264] = "IPN"};

#define TYPE_TA  32768
#define TYPE_DLV 32769

struct entry {
  char name[14]; /* padded with NUL */
  uint16_t rrtype;
};

/* By name, for binary search. */
static const struct entry by_name[] = {
    {"A", 1},         {"A6", 38},         {"AAAA", 28},       {"AFSDB", 18},   {"AMTRELAY", 260},
    {"ANY", 255},     {"APL", 42},        {"ATMA", 34},       {"AVC", 258},    {"AXFR", 252},
    {"BRID", 68},     {"CAA", 257},       {"CDNSKEY", 60},    {"CDS", 59},     {"CERT", 37},
    {"CLA", 263},     {"CNAME", 5},       {"CSYNC", 62},      {"DHCID", 49},   {"DLV", 32769},
    {"DNAME", 39},    {"DNSKEY", 48},     {"DOA", 259},       {"DS", 43},      {"DSYNC", 66},
    {"EID", 31},      {"EUI48", 108},     {"EUI64", 109},     {"GID", 102},    {"GPOS", 27},
    {"HHIT", 67},     {"HINFO", 13},      {"HIP", 55},        {"HTTPS", 65},   {"IPN", 264},
    {"IPSECKEY", 45}, {"ISDN", 20},       {"IXFR", 251},      {"KEY", 25},     {"KX", 36},
    {"L32", 105},     {"L64", 106},       {"LOC", 29},        {"LP", 107},     {"MAILA", 254},
    {"MAILB", 253},   {"MB", 7},          {"MD", 3},          {"MF", 4},       {"MG", 8},
    {"MINFO", 14},    {"MR", 9},          {"MX", 15},         {"NAPTR", 35},   {"NID", 104},
    {"NIMLOC", 32},   {"NINFO", 56},      {"NS", 2},          {"NSAP", 22},    {"NSAP-PTR", 23},
    {"NSEC", 47},     {"NSEC3", 50},      {"NSEC3PARAM", 51}, {"NULL", 10},    {"NXNAME", 128},
    {"NXT", 30},      {"OPENPGPKEY", 61}, {"OPT", 41},        {"PTR", 12},     {"PX", 26},
    {"RESINFO", 261}, {"RKEY", 57},       {"RP", 17},         {"RRSIG", 46},   {"RT", 21},
    {"SIG", 24},      {"SINK", 40},       {"SMIMEA", 53},     {"SOA", 6},      {"SPF", 99},
    {"SRV", 33},      {"SSHFP", 44},      {"SVCB", 64},       {"TA", 32768},   {"TALINK", 58},
    {"TKEY", 249},    {"TLSA", 52},       {"TSIG", 250},      {"TXT", 16},     {"UID", 101},
    {"UINFO", 100},   {"UNSPEC", 103},    {"URI", 256},       {"WALLET", 262}, {"WKS", 11},
    {"X25", 19},      {"ZONEMD", 63}};

const char *cof_rrtype_mnemonic(uint16_t rrtype)
{
  if (rrtype < sizeof mnemonics / sizeof *mnemonics)
    return mnemonics[rrtype];
  if (rrtype == TYPE_TA)
    return "TA";
  return rrtype == TYPE_DLV ? "DLV" : NULL;
}

const char *cof_rrtype_text(uint16_t rrtype, char out[COF_RRTYPE_TEXT_MAX])
{
  const char *name = cof_rrtype_mnemonic(rrtype);
  if (name != NULL) {
    memcpy(out, name, strlen(name) + 1);
    return out;
  }
  char digits[5];
  size_t n = 0, at = 4;
  unsigned value = rrtype;
  do {
    digits[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  memcpy(out, "TYPE", 4);
  while (n > 0)
    out[at++] = digits[--n];
  out[at] = '\0';
  return out;
}

static bool parse_number(const char *text, size_t len, uint16_t *rrtype)
{
  unsigned value = 0;
  if (len == 0 || len > 5)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    value = value * 10 + (unsigned)(text[i] - '0');
  }
  *rrtype = (uint16_t)value;
  return value <= UINT16_MAX;
}

static bool find_name(const char name[14], uint16_t *rrtype)
{
  size_t low = 0, high = sizeof by_name / sizeof *by_name;
  while (low < high) {
    size_t mid = (low + high) / 2;
    int order = memcmp(name, by_name[mid].name, sizeof by_name[mid].name);
    if (order == 0) {
      *rrtype = by_name[mid].rrtype;
      return true;
    }
    if (order < 0)
      high = mid;
    else
      low = mid + 1;
  }
  return false;
}

/* The few types that nearly all records have, told by all their octets at once. */
#define PACK(a, b, c, d, e)                                                                        \
  ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 |                \
   (uint64_t)(e) << 32)

static uint16_t find_hot(const char *text, size_t len)
{
  uint64_t packed = 0;
  for (size_t i = 0; i < len; i++)
    packed |= (uint64_t)(uint8_t)text[i] << 8 * i;
  switch (packed) {
  case PACK('A', 0, 0, 0, 0):
    return COF_TYPE_A;
  case PACK('A', 'A', 'A', 'A', 0):
    return COF_TYPE_AAAA;
  case PACK('N', 'S', 0, 0, 0):
    return COF_TYPE_NS;
  case PACK('C', 'N', 'A', 'M', 'E'):
    return COF_TYPE_CNAME;
  case PACK('P', 'T', 'R', 0, 0):
    return COF_TYPE_PTR;
  case PACK('M', 'X', 0, 0, 0):
    return COF_TYPE_MX;
  case PACK('T', 'X', 'T', 0, 0):
    return COF_TYPE_TXT;
  case PACK('S', 'O', 'A', 0, 0):
    return COF_TYPE_SOA;
  case PACK('S', 'R', 'V', 0, 0):
    return COF_TYPE_SRV;
  case PACK('H', 'T', 'T', 'P', 'S'):
    return COF_TYPE_HTTPS;
  case PACK('D', 'S', 0, 0, 0):
    return 43;
  case PACK('R', 'R', 'S', 'I', 'G'):
    return COF_TYPE_RRSIG;
  case PACK('N', 'S', 'E', 'C', 0):
    return COF_TYPE_NSEC;
  case PACK('C', 'A', 'A', 0, 0):
    return 257;
  default:
    return 0;
  }
}

bool cof_rrtype_parse(const char *text, size_t len, uint16_t *rrtype)
{
  char name[14] = {0};
  uint16_t hot = len != 0 && len <= 5 && text[len - 1] != 0 ? find_hot(text, len) : 0;
  if (hot != 0) {
    *rrtype = hot;
    return true;
  }
  if (len == 0 || len >= sizeof name)
    return false;
  if (text[0] >= '0' && text[0] <= '9')
    return parse_number(text, len, rrtype);
  for (size_t i = 0; i < len; i++)
    name[i] = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 'a' + 'A') : text[i];
  if (memcmp(name, "TYPE", 4) == 0)
    return parse_number(name + 4, len - 4, rrtype);
  if (len == 1 && name[0] == '*') {
    *rrtype = COF_TYPE_ANY;
    return true;
  }
  return memchr(text, '\0', len) == NULL && find_name(name, rrtype);
}
