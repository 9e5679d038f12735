/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Servers for tests: redis-server processes on free ports of the loopback, each in a directory of
 * its own, which die with the test. A server that cannot be started ends the test program with a
 * message.
 */
#ifndef REDISTEST_H
#define REDISTEST_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

struct redistest;

/** Whether there is a redis-server on PATH; without one tests are skipped. */
bool redistest_available(void);

/** Start one and wait until it answers. @param args  more arguments, ended by NULL; or NULL */
struct redistest *redistest_start(const char *const *args);
/** Start another instance of a sentinel: as redistest_start, with a configuration file's text. */
struct redistest *redistest_start_sentinel(const char *config);
uint16_t redistest_port(const struct redistest *server);
/** Path of its socket. */
const char *redistest_socket(const struct redistest *server);
/** Its working directory. */
const char *redistest_dir(const struct redistest *server);
/** End it by this signal and wait for it. */
void redistest_kill(struct redistest *server, int signal);
/** SIGSTOP or SIGCONT: it takes connections and does not answer, or goes on. */
void redistest_freeze(struct redistest *server, bool freeze);
/** Start it again, on the same port and directory, and wait until it answers. */
void redistest_restart(struct redistest *server);
/** Kill it and remove its directory; tolerates NULL and sets the caller's pointer to NULL. */
void redistest_stop(struct redistest **server);

/**
 * A command over a connection of its own, logged in as redistest_auth() says.
 * @return the answer, never NULL, freed by freeReplyObject
 */
redisReply *redistest_command(const struct redistest *server, const char *fmt, ...);
/** The integer that a command answers; fails the program when it is none. */
long long redistest_integer(const struct redistest *server, const char *fmt, ...);
/** A command for its effect; fails the program on an error reply. */
void redistest_do(const struct redistest *server, const char *fmt, ...);
/** Log in so from now on. */
void redistest_auth(struct redistest *server, const char *password);
/** A port of the loopback that was free a moment ago. */
uint16_t redistest_free_port(void);

#endif
