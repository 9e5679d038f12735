/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * An HTTP client that sends octets as they are, for tests. Its sockets give up after 20 s.
 */
#ifndef COFD_REST_CLIENT_PRIVATE_H
#define COFD_REST_CLIENT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

/** A response as it came. */
struct reply {
  int status;    /**< 0: none came */
  char *head;    /**< status line and headers */
  char *body;    /**< NUL-terminated, chunks put together; owned, like the others */
  char *trailer; /**< what follows the last chunk */
  size_t len;
  bool whole; /**< it ended as its headers announced */
  bool chunked;
};

/** @return a connected socket to 127.0.0.1, or -1 */
int client_connect(unsigned port);
/** @return whether all octets were sent */
bool client_send(int fd, const char *text, size_t len);
/** Read one response; `no_body` for the answer to HEAD. */
struct reply client_read(int fd, bool no_body);
/** Send a GET for a target with further header lines (each with CRLF), and read the response. */
struct reply client_get(int fd, const char *target, const char *headers);
/** As client_get, on a connection of its own. */
struct reply client_fetch(unsigned port, const char *target, const char *headers);
void reply_free(struct reply *reply);
/** Value of a header into `out`, "" where it is missing. @return `out` */
const char *reply_header(const struct reply *reply, const char *name, char out[256]);

#endif
