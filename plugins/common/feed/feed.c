/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "feed_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <cofd/cofjson.h>

/* `, "cofd_total": ` and its number, `, "cofd_via": "", ` and the end. */
#define FRAME 128

size_t feed_bound(const struct feed *feed, const struct cof_record *record)
{
  return COF_JSON_BOUND(record, feed->origin_len) + COF_ZONES_BOUND(record) + COF_VIA_TEXT_MAX + 1 +
         COF_NODE_MAX + FRAME;
}

static char *put(char *p, const char *text)
{
  size_t len = strlen(text);
  memcpy(p, text, len);
  return p + len;
}

/* Names of nodes need no escapes. */
static char *put_via(char *p, const char *via, const char *node)
{
  if (via[0] == '\0' && node == NULL)
    return p;
  p = put(put(p, ", \"cofd_via\": \""), via);
  if (node != NULL)
    p = put(put(p, via[0] != '\0' ? "," : ""), node);
  return put(p, "\"");
}

size_t feed_write(const struct feed *feed, const struct cof_record *record, char *out)
{
  const struct cof_write_options options = {.origin = feed->origin};
  size_t len = cof_write_json(record, &options, out);
  char *p = out + len - 2; /* on the brace, before the newline */
  p += cof_write_zones(record, p);
  if (record->total != 0)
    p += snprintf(p, FRAME / 2, ", \"cofd_total\": %" PRIu64, record->total);
  p = put_via(p, cof_via_text(feed->host, record->via), feed->node);
  *p++ = '}';
  return (size_t)(p - out);
}
