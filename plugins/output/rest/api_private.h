/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The paths of the API: one table, which the serving of requests and /openapi.json share.
 */
#ifndef COFD_REST_API_PRIVATE_H
#define COFD_REST_API_PRIVATE_H

#include "rest_private.h"

/** What a path answers with. */
enum api_body { API_RECORDS, API_OBJECT, API_PAGE };

struct api_path {
  const char *path;   /**< without its leading slash */
  const char *method; /**< GET (then HEAD, too) or POST */
  const char *id, *summary, *help;
  uint32_t params; /**< bits of the parameters */
  enum api_body body;
  enum MHD_Result (*serve)(struct MHD_Connection *connection, struct answer *answer);
};

/** Ends at path == NULL. */
extern const struct api_path api_paths[];

/** A path's statuses other than 200, with what they mean; ends at status == 0. */
struct api_status {
  unsigned status;
  const char *help;
};
extern const struct api_status api_statuses[];

/** Whether a path may answer with a status. */
bool api_may(const struct api_path *path, unsigned status);

/** Octets of the page at /. */
extern const char page_text[];

#endif
