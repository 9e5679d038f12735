/* SPDX-License-Identifier: MIT */
/* What ldns does better than a page of code here would: rare fields, and wire forms of rare types.
 */
#include <cofd/dns.h>

#include <stdio.h>
#include <stdlib.h>

#include <ldns/ldns.h>

#include "rdata_private.h"

#define WORD_MAX     31
#define LOCATION_MAX 255

/* A word of `table`, or a number up to `max`; written as number where `number` is set, else as word
   where there is one. */
static bool word(struct rdata_work *w, ldns_lookup_table table[], uint32_t max, bool number)
{
  const char *text;
  char copy[WORD_MAX + 1], digits[12];
  size_t len, start = w->n;
  const ldns_lookup_table *entry = NULL;
  if (w->p < w->end && rdata_digit(*w->p)) {
    if (!rdata_number(w, max))
      return false;
    memcpy(digits, w->out + start, w->n - start);
    digits[w->n - start] = '\0';
    entry = ldns_lookup_by_id(table, (int)strtol(digits, NULL, 10));
  } else {
    if (!rdata_token(w, &text, &len) || len > WORD_MAX || memchr(text, '\0', len) != NULL)
      return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    entry = ldns_lookup_by_name(table, copy);
    if (entry == NULL)
      return false;
    snprintf(digits, sizeof digits, "%d", entry->id);
  }
  w->n = start;
  const char *out = number || entry == NULL ? digits : entry->name;
  return rdata_put_text(w, out, strlen(out));
}

/* The location as ldns prints it, NULL when it does not take it. The caller frees it. */
static char *reprint_location(const char *text)
{
  ldns_rdf *rdf = ldns_rdf_new_frm_str(LDNS_RDF_TYPE_LOC, text);
  char *again = rdf != NULL ? ldns_rdf2str(rdf) : NULL;
  ldns_rdf_deep_free(rdf);
  return again;
}

/* Written as ldns prints it, if it prints that again when it reads it. */
static bool location(struct rdata_work *w)
{
  char copy[LOCATION_MAX + 1];
  size_t len = rdata_left(w);
  if (len > LOCATION_MAX)
    return false;
  memcpy(copy, w->p, len);
  copy[len] = '\0';
  w->p = w->end;
  char *once = reprint_location(copy);
  char *twice = once != NULL ? reprint_location(once) : NULL;
  bool ok = twice != NULL && strcmp(once, twice) == 0 && rdata_put_text(w, once, strlen(once));
  free(once);
  free(twice);
  return ok;
}

bool rdata_ldns_field(struct rdata_work *w, char letter)
{
  switch (letter) {
  case 'g':
    return word(w, ldns_algorithms, UINT8_MAX, true);
  case 'C':
    return word(w, ldns_cert_algorithms, UINT16_MAX, false);
  case 'L':
    return location(w);
  default:
    return false;
  }
}

/* Whether the fields are the wire form octet by octet: no compression, nothing left over. */
static bool is_whole(const ldns_rr *rr, const uint8_t *wire, size_t len)
{
  for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
    const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
    size_t size = ldns_rdf_size(rdf);
    if (size > len || (size != 0 && memcmp(ldns_rdf_data(rdf), wire, size) != 0))
      return false;
    wire += size;
    len -= size;
  }
  return len == 0;
}

static char *print_fields(const ldns_rr *rr)
{
  ldns_buffer *buffer = ldns_buffer_new(512);
  if (buffer == NULL)
    return NULL;
  ldns_status status = LDNS_STATUS_OK;
  for (size_t i = 0; status == LDNS_STATUS_OK && i < ldns_rr_rd_count(rr); i++) {
    if (i != 0)
      ldns_buffer_printf(buffer, " ");
    status = ldns_rdf2buffer_str(buffer, ldns_rr_rdf(rr, i));
  }
  char *text = status == LDNS_STATUS_OK ? ldns_buffer_export2str(buffer) : NULL;
  ldns_buffer_free(buffer);
  return text;
}

char *rdata_wire_text(uint16_t rrtype, const uint8_t *wire, size_t len)
{
  ldns_rr *rr = ldns_rr_new();
  uint8_t *sized = malloc(len + 2);
  char *text = NULL;
  size_t at = 0;
  if (rr != NULL && sized != NULL) {
    sized[0] = (uint8_t)(len >> 8);
    sized[1] = (uint8_t)len;
    memcpy(sized + 2, wire, len);
    ldns_rr_set_type(rr, (ldns_rr_type)rrtype);
    if (ldns_wire2rdf(rr, sized, len + 2, &at) == LDNS_STATUS_OK && is_whole(rr, wire, len))
      text = print_fields(rr);
  }
  free(sized);
  ldns_rr_free(rr);
  return text;
}
