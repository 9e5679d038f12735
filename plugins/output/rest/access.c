/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "access_private.h"

#include <string.h>
#include <strings.h>

#include "auth_private.h"

/* The longest one that fits holds. */
static const struct access rules[] = {
    {"query/", SCOPE_QUERY, true, false},
    {"fquery/", SCOPE_QUERY, true, false},
    {"pdns/query/", SCOPE_QUERY, true, false},
    {"info", SCOPE_STATS, false, false},
    {"metrics", SCOPE_ADMIN, false, false},
    {"healthz", 0, false, false},
    {"readyz", 0, false, false},
    {"openapi.json", 0, false, false},
    {"api/v1/", SCOPE_QUERY, true, false},
    {"api/v1/records", SCOPE_QUERY, true, false},
    {"api/v1/bulk", SCOPE_QUERY, true, false},
    {"api/v1/stats", SCOPE_STATS, false, false},
    {"dnsdb/v2/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/lookup/rrset/name/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/lookup/rrset/raw/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/lookup/rdata/name/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/lookup/rdata/ip/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/lookup/rdata/raw/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/summarize/rrset/name/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/summarize/rrset/raw/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/summarize/rdata/name/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/summarize/rdata/ip/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/summarize/rdata/raw/", SCOPE_QUERY, true, true},
    {"dnsdb/v2/rate_limit", SCOPE_QUERY, false, true},
    {"dnsdb/v2/ping", 0, false, true},
};

/* The page for people, which asks by the rest; and what there is no rule for. */
static const struct access root = {"", 0, false, false};
static const struct access unknown = {"", SCOPE_QUERY, false, false};

const char *access_path(const char *url)
{
  size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                  : strncasecmp(url, "https://", 8) == 0 ? 8
                                                         : 0;
  if (scheme != 0) {
    const char *path = strchr(url + scheme, '/');
    url = path != NULL ? path : url + strlen(url);
  }
  return url + strspn(url, "/");
}

/* Octets of a path that a rule's prefix takes; 0: it does not fit. Slashes that are repeated within
   it count as one, as they do to the routes. */
static size_t fits(const struct access *rule, const char *path)
{
  const char *p = path, *prefix = rule->prefix;
  for (; *prefix != '\0'; prefix++) {
    if (*p++ != *prefix)
      return 0;
    while (*prefix == '/' && prefix[1] != '\0' && *p == '/')
      p++;
  }
  return prefix[-1] == '/' || *p == '\0' ? (size_t)(p - path) : 0;
}

static const struct access *rule_of(const char *path, size_t *taken)
{
  const struct access *best = *path == '\0' ? &root : &unknown;
  *taken = 0;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    size_t len = fits(&rules[i], path);
    if (len > *taken) {
      *taken = len;
      best = &rules[i];
    }
  }
  return best;
}

const struct access *access_of(const char *url)
{
  size_t taken;
  return rule_of(access_path(url), &taken);
}

size_t access_prefix(const char *url)
{
  size_t taken;
  const char *path = access_path(url);
  (void)rule_of(path, &taken);
  return (size_t)(path - url) + taken;
}
