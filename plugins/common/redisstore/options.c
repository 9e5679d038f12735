/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "options_private.h"

const char *const store_modes[] = {"standalone", "sentinel", "cluster", NULL};
const char *const store_read_from[] = {"primary", "replica", NULL};
const char *const store_wait_replica[] = {"auto", "no", "try", "yes", NULL};
