/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Following: what is known of each path and connection, and what is to do next. All of it belongs
 * to the thread of the instance.
 */
#ifndef COFD_FOLLOW_FOLLOW_PRIVATE_H
#define COFD_FOLLOW_FOLLOW_PRIVATE_H

#include <poll.h>

#include "listen_private.h"
#include "reader_private.h"

/** Connections: what max_peers may be at most, and one socket for datagrams. */
#define PEERS_MAX 1025
#define MS_NS     UINT64_C(1000000)

struct watch;

/*
 * A path that is followed, or (retired) an open file whose path is another file's by now, or a
 * connection.
 */
struct tracked {
  struct tracked *next; /* of one slot of the table, of the retired ones, or of the peers */
  struct tracked *next_ready, *next_timed;
  char *path;
  struct source src;
  struct stat done; /* of what was read to its end for good */
  bool is_done, said_done;
  bool literal; /* given by that name, so it is waited for */
  bool retired, ready, timed, absent;
  int complained; /* errno that was logged last */
  uint64_t due;   /* timed: when to look whether it still grows */
  uint64_t at;    /* timed: octets taken when `due` was set */
  unsigned round;
  const struct listener *listener; /* of a peer */
  uint64_t active, octets;         /* of a peer: clock of its last octets, and how many by then */
};

struct follow {
  struct reader *r;
  struct watch *watch;
  bool poll;  /* the kernel does not tell of every change */
  bool links; /* some path is a symbolic link, behind which changes are not told */
  char **specs;
  size_t specs_count;
  struct tracked **table;
  size_t room, count;
  struct tracked *retired, *timed;
  uint64_t next_retired; /* clock */
  struct tracked *peers;
  size_t peers_count; /* connections, without a socket for datagrams */
  uint64_t next_check;
  uint64_t refused, refused_said; /* connections, and the clock of the last line about them */
  struct tracked *ready, **ready_end;
  size_t open;
  unsigned round;
  bool scan_wanted, first;
  uint64_t next_scan;
};

/* --- tracked.c: the table of paths, and the lists of what is to do ------------------------------
 */

/** The one of that path, or NULL. */
struct tracked *tracked_find(const struct follow *follow, const char *path);
/** The one of that path, made where there is none; NULL after logging that memory is out. */
struct tracked *tracked_add(struct follow *follow, const char *path);
/** One that is in no list yet; NULL when out of memory. */
struct tracked *tracked_new(const char *path);
/** Free one that is in no list of files or peers any more. */
void tracked_destroy(struct follow *follow, struct tracked *tracked);
/** Take one out of a slot of the table, or out of the retired ones or the peers. */
void tracked_unlink(struct tracked **list, struct tracked *tracked);
/** The slot of the table that a path is in. */
struct tracked **tracked_slot(const struct follow *follow, const char *path);
/** Octets taken of it so far. */
uint64_t tracked_taken(const struct tracked *tracked);

/** It may have something to read. */
void follow_make_ready(struct follow *follow, struct tracked *tracked);
void follow_not_ready(struct follow *follow, struct tracked *tracked);
/** The next one that may have something to read, or NULL. */
struct tracked *follow_next_ready(struct follow *follow);
/** Look at it again after rotate_wait, whether it still grew. */
void follow_set_timer(struct follow *follow, struct tracked *tracked);
void follow_clear_timer(struct follow *follow, struct tracked *tracked);

/* --- follow.c -----------------------------------------------------------------------------------
 */

/** Close it. Tolerates one that is closed. */
void follow_shut(struct follow *follow, struct tracked *tracked);
/** Read it to its end for good, and close it; frees one that is retired or a peer. */
void follow_conclude(struct follow *follow, struct tracked *tracked);

/* --- peers.c: those who send through sockets ----------------------------------------------------
 */

/** Begin to take datagrams, and to look after the sockets. */
void peers_begin(struct follow *follow);
/** Close one, and free it. */
void peers_remove(struct follow *follow, struct tracked *peer);
/** Take the connections that wait at a listener. */
void peers_accept(struct follow *follow, struct listener *listener);
/** Look after the sockets, now and then. */
void peers_check(struct follow *follow);
/** Close those who were silent for peer_timeout. */
void peers_close_silent(struct follow *follow);
/** Clock at which something of the above is due; UINT64_MAX: never. */
uint64_t peers_due(const struct follow *follow);

/**
 * What to wait for.
 * @param fds, peers  room for PEERS_MAX, or LISTENERS_MAX
 * @return number of elements written
 */
size_t peers_poll(const struct follow *follow, struct pollfd *fds, struct tracked **peers);
size_t peers_poll_listeners(const struct follow *follow, struct pollfd *fds,
                            struct listener **listeners);

#endif
