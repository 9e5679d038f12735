/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * How outputs write what a chain stored (struct cof_stored), so that another cofd that reads it
 * comes to the same records: a COF object, with `bailiwick` and `cofd_zones` where one is known
 * (cof_write_zones()), `cofd_total` where the change has a total, and `cofd_via` where it came, or
 * is to go, by other cofd. Thread safe.
 */
#ifndef FEED_PRIVATE_H
#define FEED_PRIVATE_H

#include <stddef.h>

#include <cofd/plugin.h>

/** How one output writes. */
struct feed {
  struct cof_host *host;
  const char *origin; /**< value of `origin`, UTF-8; NULL leaves the field out; borrowed */
  size_t origin_len;
  const char *node; /**< put at the end of the path; NULL: the path goes out as it came; borrowed */
};

/** Most octets of the value of `origin`. */
#define FEED_ORIGIN_MAX 1024

/** Octets that feed_write() writes at most. */
size_t feed_bound(const struct feed *feed, const struct cof_record *record);

/** Write one object, without a newline or NUL. @return octets written */
size_t feed_write(const struct feed *feed, const struct cof_record *record, char *out);

#endif
