/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Whether a plugin's descriptor is one that this host can use. Pure.
 */
#ifndef COFD_DESCRIPTOR_PRIVATE_H
#define COFD_DESCRIPTOR_PRIVATE_H

#include <stdbool.h>

#include <cofd/plugin.h>

/** Most octets of a plugin's name. */
#define PLUGIN_NAME_MAX 48

/** 1 to PLUGIN_NAME_MAX lower case letters, digits and hyphens. */
bool is_plugin_name(const char *name);

/**
 * Check a descriptor found in the folder of `kind` under a file name `name`.
 * @return COF_OK, or COF_REJECT: what was found, what was expected, how to mend it
 */
enum cof_result descriptor_check(const struct cof_plugin *plugin, enum cof_kind kind,
                                 const char *name, struct cof_error *err);

#endif
