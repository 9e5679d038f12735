/* SPDX-License-Identifier: MIT */
/* What the sources of cof_rdata_canon share. Not exported from the library. */
#ifndef COFD_RDATA_PRIVATE_H
#define COFD_RDATA_PRIVATE_H

#include <string.h>

#include "dns_private.h"

/* What is known of a type. */
enum {
  RDATA_LAX = 1,   /* text that does not fit is kept */
  RDATA_ALONE = 2, /* the name that is looked up by may stand alone */
  RDATA_TARGET = 4 /* the first name is what it is looked up by */
};

struct rdata_type {
  char fields[10]; /* a letter for each; see rdata_types.c. Empty where there is no grammar */
  uint8_t flags;
};

const struct rdata_type *rdata_type(uint16_t rrtype);

/* One rdata on its way. Every step returns false when it fails. */
struct rdata_work {
  const char *p, *end;   /* what is still to be read */
  char *out;             /* cap + 1 octets */
  size_t n, cap;         /* octets written; the most that may be, the NUL not counted */
  struct cof_error *err; /* receives the reason, but for want of room; NULL where it is lax */
  uint16_t rrtype;
  uint8_t gateway; /* what kind of gateway follows (IPSECKEY, AMTRELAY) */
  bool full;       /* failed for want of room, whatever the grammar */
};

static inline bool rdata_blank(char c)
{
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool rdata_digit(char c)
{
  return c >= '0' && c <= '9';
}

static inline void rdata_skip(struct rdata_work *w)
{
  while (w->p < w->end && rdata_blank(*w->p))
    w->p++;
}

static inline size_t rdata_left(const struct rdata_work *w)
{
  return (size_t)(w->end - w->p);
}

static inline bool rdata_put(struct rdata_work *w, char c)
{
  if (w->n == w->cap) {
    w->full = true;
    return false;
  }
  w->out[w->n++] = c;
  return true;
}

static inline bool rdata_put_text(struct rdata_work *w, const char *text, size_t len)
{
  if (len > w->cap - w->n) {
    w->full = true;
    return false;
  }
  memcpy(w->out + w->n, text, len);
  w->n += len;
  return true;
}

/* Any octet outside 0x20..0x7e, or one of the two given, in eight octets at once: not 0. */
static inline uint64_t rdata_odd8(const char *p, char one, char other)
{
  const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
  uint64_t x, a, b;
  memcpy(&x, p, sizeof x);
  a = x ^ ones * (uint8_t)one;
  b = x ^ ones * (uint8_t)other;
  return (((x - ones * 0x20) & ~x) | (x + ones) | x | ((a - ones) & ~a) | ((b - ones) & ~b)) & high;
}

/* Whether there is no such octet. */
static inline bool rdata_even(const char *p, size_t len, char one, char other)
{
  uint64_t odd = 0;
  if (len >= 8) {
    for (size_t i = 0; i + 8 < len; i += 8)
      odd |= rdata_odd8(p + i, one, other);
    return (odd | rdata_odd8(p + len - 8, one, other)) == 0;
  }
  for (size_t i = 0; i < len; i++)
    odd |= (uint64_t)(p[i] < 0x20 || p[i] > 0x7e || p[i] == one || p[i] == other);
  return odd == 0;
}

/* Fail for the reason `rdata of TYPE <what>: "text"`. */
bool rdata_fail(struct rdata_work *w, const char *what, const char *text, size_t len);

/* Write an octet as \DDD; as it stands within quotes. */
bool rdata_put_ddd(struct rdata_work *w, uint8_t c);
bool rdata_put_quoted(struct rdata_work *w, uint8_t c);

/* Read one octet, escaped or not. A backslash that begins no escape stands for itself. */
uint8_t rdata_octet(struct rdata_work *w);

/* The next field up to a blank; an escaped blank is part of it. False at the end. */
bool rdata_token(struct rdata_work *w, const char **text, size_t *len);

/* Read and write one field: a name, a number, a character-string. */
bool rdata_name(struct rdata_work *w);
bool rdata_number(struct rdata_work *w, uint32_t max);
bool rdata_string(struct rdata_work *w);

/* Read and write what is left, at least one character-string. */
bool rdata_strings(struct rdata_work *w);

bool rdata_put_ipv6(struct rdata_work *w, const uint8_t bytes[16]);

/* Read and write the field that `letter` stands for. */
bool rdata_field(struct rdata_work *w, char letter);

/* The parts of rdata_field that have files of their own: letters C, g, L; letter k. */
bool rdata_ldns_field(struct rdata_work *w, char letter);
bool rdata_params(struct rdata_work *w);

/* An rdata in wire form on its way. */
struct rdata_wire {
  const uint8_t *msg; /* what pointers of compressed names count from */
  size_t len;         /* of msg */
  size_t at, end;     /* what is still to be read of the rdata; end <= len */
  bool pointers;      /* names may be compressed */
};

enum rdata_wired {
  RDATA_WIRE_READ,
  RDATA_WIRE_UNKNOWN, /* not known here; nothing was read */
  RDATA_WIRE_BROKEN   /* not of the type's form, or no room: `full` says so */
};

/* Append the canonical text of an rdata. */
enum rdata_wired rdata_wire_read(struct rdata_wire *r, struct rdata_work *w);
/* Its part for the letter k. */
bool rdata_wire_params(struct rdata_wire *r, struct rdata_work *w);
bool rdata_put_base64(struct rdata_work *w, const uint8_t *data, size_t len);

/* Most parameters of SVCB; real ones have a handful. */
#define RDATA_PARAMS_MAX 32
/* Octets that rdata_param_key may write. */
#define RDATA_KEY_MAX 16
/* Name of a parameter's key, keyNNNNN where it has none; static, or `text`. */
const char *rdata_param_key(uint16_t key, char text[RDATA_KEY_MAX]);

/* Presentation text of an rdata in wire form, for cof_rdata_canon to go on with. NULL when it is
   not of the type's form; the caller frees it. */
char *rdata_wire_text(uint16_t rrtype, const uint8_t *wire, size_t len);

#endif
