/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The functions that a rig offers to its instance, each of which looks whether the instance keeps
 * the contract.
 */
#ifndef COFD_KIT_RIGHOST_PRIVATE_H
#define COFD_KIT_RIGHOST_PRIVATE_H

#include "rig_private.h"

extern const struct cof_host_api rig_host_api;

/** Gives acks and resumes, until `acker_ends`; a struct rig. */
void *rig_ack_main(void *arg);
/** Free what the functions made. */
void rig_host_free(struct rig *r);

#endif
