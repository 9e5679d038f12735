/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Sockets that wait for those who send lines: a Unix socket, and TCP addresses.
 */
#ifndef COFD_FOLLOW_LISTEN_PRIVATE_H
#define COFD_FOLLOW_LISTEN_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/follow.h>

/** Octets of a peer's name. */
#define PEER_NAME_MAX 192
/** Sockets of one instance: a Unix one, and one for each address of a host name. */
#define LISTENERS_MAX 9

struct listener;

/** Permissions out of octal digits. @return false when they are none */
bool listen_mode(const char *text, unsigned *mode);

/** Open what the options name. @return false after logging why */
bool listen_open(struct cof_host *host, const struct cof_follow_conf *conf,
                 struct listener **listeners);

/** Close all, and remove the Unix socket if it is still ours. */
void listen_close(struct listener **listeners);

struct listener *listen_next(const struct listener *listener);
/** Descriptor to wait for; -1 while accepting makes no sense, or for datagrams. */
int listen_fd(const struct listener *listener);
/** Clock until which accepting is paused, for want of descriptors; UINT64_MAX: it is not. */
uint64_t listen_paused_until(const struct listener *listener);
bool listen_is_datagram(const struct listener *listener);

/** A descriptor of its own for the datagrams of a listener. @return -1 with errno set */
int listen_datagrams(const struct listener *listener, char name[PEER_NAME_MAX]);

/**
 * The next connection, non-blocking.
 * @return -1 when there is none now
 */
int listen_accept(struct listener *listener, char name[PEER_NAME_MAX]);

/**
 * Look after a listener, every LISTEN_CHECK_NS: a Unix socket that somebody removed is made anew.
 * @return whether it was, so that listen_datagrams() has to be called again
 */
bool listen_check(struct listener *listener);

#define LISTEN_CHECK_NS UINT64_C(5000000000)

#endif
