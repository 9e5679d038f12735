/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The route of a chain: `a, b -> c -> d -> e`.
 */
#ifndef COFD_ROUTE_PRIVATE_H
#define COFD_ROUTE_PRIVATE_H

#include <stdbool.h>

#include "conf_private.h"

/** Most instances that one route names. */
#define ROUTE_MAX 256

/**
 * Resolve `chain->conf.route` into the chain's lists of instances and mark these as used.
 * @param line  of the route, for messages
 * @return false when out of memory; mistakes are in `problems`
 */
bool route_resolve(struct conf *conf, struct conf_chain *chain, int line,
                   struct problems *problems);

/**
 * After all routes: report an input or output in two chains.
 * @param route_lines  of each chain
 * @param warn         whether to warn of instances that are in no route
 */
void route_check_all(const struct conf *conf, const int *route_lines, bool warn,
                     struct problems *problems);

#endif
