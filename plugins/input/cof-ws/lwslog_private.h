/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Takes the log of libwebsockets, which knows neither contexts nor instances, to the instance whose
 * thread writes.
 */
#ifndef COF_WS_LWSLOG_PRIVATE_H
#define COF_WS_LWSLOG_PRIVATE_H

#include <cofd/host.h>

/** From now on take the library's log. What threads of nobody write goes to this host. */
void lwslog_begin(struct cof_host *host);
/** The host goes away. */
void lwslog_end(struct cof_host *host);

/** What the library logs in this thread is for this host; NULL: nobody's any more. */
void lwslog_thread(struct cof_host *host);

#endif
