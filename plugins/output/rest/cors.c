/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>
#include <strings.h>

#include "guard_private.h"
#include "rest_private.h"

#define ORIGINS_MAX 64

static const char *header(struct MHD_Connection *connection, const char *name)
{
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

enum cof_result cors_check(const struct cof_list *origins, struct cof_error *err)
{
  if (origins->count > ORIGINS_MAX)
    return cof_fail(err, COF_REJECT, "%zu origins; expected at most %d", origins->count,
                    ORIGINS_MAX);
  for (size_t i = 0; i < origins->count; i++) {
    const char *o = origins->items[i], *host = strstr(o, "://");
    if (strcmp(o, "*") == 0)
      continue;
    if (host == NULL || host == o || host[3] == '\0' || strchr(host + 3, '/') != NULL ||
        o[strcspn(o, " \"<>\\^`{|}")] != '\0')
      return cof_fail(err, COF_REJECT,
                      "'%.64s' is no origin; expected * or scheme://host[:port] without a path", o);
  }
  return COF_OK;
}

/* What to answer to an origin: itself, `*`, or NULL where it is not among those allowed. */
static const char *allowed(const struct guard *guard, const char *origin)
{
  for (size_t i = 0; i < guard->origins_count; i++) {
    const char *o = guard->origins[i];
    if (strcmp(o, "*") == 0)
      return o;
    if (strcasecmp(o, origin) == 0)
      return origin;
  }
  return NULL;
}

bool cors_preflight(const struct guard *guard, struct MHD_Connection *connection,
                    const char *method)
{
  return guard->origins_count > 0 && strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0 &&
         header(connection, "Origin") != NULL &&
         header(connection, "Access-Control-Request-Method") != NULL;
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
  return MHD_add_response_header(response, name, value) == MHD_YES;
}

bool cors_headers(const struct guard *guard, struct MHD_Connection *connection,
                  struct MHD_Response *response, bool preflight)
{
  if (guard->origins_count == 0)
    return true;
  const char *origin = header(connection, "Origin");
  const char *answer = origin != NULL ? allowed(guard, origin) : NULL;
  /* A cache must not give one origin what another was told, nor what nobody was. */
  bool any = guard->origins_count == 1 && strcmp(guard->origins[0], "*") == 0;
  bool ok = any || add(response, MHD_HTTP_HEADER_VARY, "Origin");
  if (!ok || answer == NULL)
    return ok;
  ok = add(response, "Access-Control-Allow-Origin", answer);
  if (preflight)
    return ok && add(response, "Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS") &&
           add(response, "Access-Control-Allow-Headers",
               "Accept, Authorization, Content-Type, X-API-Key, dribble-disable-active-query, "
               "dribble-filter-rrtype, dribble-paginate-count, dribble-paginate-cursor") &&
           add(response, "Access-Control-Max-Age", "600");
  return ok && add(response, "Access-Control-Expose-Headers",
                   "Retry-After, X-Cofd-Cursor, X-Cofd-Limited, X-RateLimit-Limit, "
                   "X-RateLimit-Remaining, X-RateLimit-Reset, x-dribble-cursor, x-dribble-errors");
}
