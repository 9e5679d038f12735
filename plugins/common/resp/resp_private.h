/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Client for servers that speak RESP2: Redis and Kvrocks, alone, behind Sentinel, or as a cluster.
 * Built into each plugin that needs it; exports nothing.
 *
 * Commands are appended, then sent and answered together: resp_begin(), resp_arg() …, resp_end()
 * for each, and one resp_run(). Sending and receiving are interleaved, so that a run may be of any
 * size. A run does not repeat commands whose fate is unknown (the connection broke after they were
 * sent): their callbacks get NULL, and the caller decides.
 *
 * Threads: a client is used by one thread at a time, but for resp_interrupt(). Times are in
 * milliseconds.
 */
#ifndef RESP_PRIVATE_H
#define RESP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <hiredis/hiredis.h>

#include <cofd/result.h>

struct resp;

/** How a run ended; a larger value outranks a smaller one. */
enum resp_result {
  RESP_OK = 0,
  /** Worth repeating after resp_pause_ms(): refused, reset or timed-out connection, name not
   *  resolved, LOADING, BUSY, CLUSTERDOWN, TRYAGAIN, MASTERDOWN, NOREPLICAS, READONLY, OOM,
   *  MISCONF, too many clients, no space left, no RESP any more. */
  RESP_PASSING,
  /** resp_interrupt() was called. */
  RESP_STOPPED,
  /** Senseless to repeat: wrong password, missing permission, a mistake in the request, a peer that
   *  never spoke RESP, out of memory here. */
  RESP_FATAL
};

enum resp_mode { RESP_STANDALONE, RESP_SENTINEL, RESP_CLUSTER };

/** Where a server listens. */
struct resp_endpoint {
  const char *host; /**< name or address, without brackets */
  uint16_t port;
};

/** Most endpoints in struct resp_options. */
#define RESP_ENDPOINTS_MAX 64

/** What a client connects to. resp_create() copies all of it. */
struct resp_options {
  enum resp_mode mode;
  /** Standalone: the server; of several, the first that has the role asked for. Sentinel: the
   *  sentinels. Cluster: nodes to ask for the map. */
  const struct resp_endpoint *endpoints;
  size_t endpoints_count;        /**< 1 to RESP_ENDPOINTS_MAX, or 0 with unix_path */
  const char *unix_path;         /**< standalone: socket in place of endpoints; or NULL */
  const char *master_name;       /**< sentinel: name of the master */
  const char *user;              /**< ACL user, or NULL for AUTH with a password alone */
  const char *password;          /**< or NULL: no AUTH. Kvrocks: the token of the namespace */
  const char *sentinel_password; /**< sentinel: for the sentinels themselves, or NULL */
  int64_t db;                    /**< database number; standalone and sentinel only */
  bool tls;                      /**< only where resp_has_tls() */
  const char *ca_file;           /**< PEM file of trusted authorities; NULL: those of the system */
  bool read_replica;             /**< connect to replicas where there are any, for reading only */
  bool manual;                   /**< standalone, sentinel: only resp_connect() connects */
  bool kvrocks;                  /**< never SELECT, AUTH with one argument */
  int connect_timeout_ms;        /**< to connect and log in; above 0 */
  int command_timeout_ms;        /**< without an octet from or to a server that owes answers */
  uint32_t max_pipeline;         /**< commands sent and not answered, each server; above 0 */
};

/** Whether this build can use TLS. */
bool resp_has_tls(void);

/**
 * Make a client. Opens no connection; the first run does.
 * @return the client, which the caller owns, or NULL with the reason in `err` (options that do not
 *         go together, out of memory, no file descriptor)
 */
struct resp *resp_create(const struct resp_options *options, struct cof_error *err)
    __attribute__((warn_unused_result));

/** Close connections and free; tolerates NULL and sets the caller's pointer to NULL. */
void resp_destroy(struct resp **resp);

/* --- appending ------------------------------------------------------------------------------ */

/**
 * Receives the answer to one command, from within resp_run(), in the thread that called it. Must
 * not use the client.
 * @param reply  borrowed until it returns; NULL: not answered, and it is not known whether the
 *               server carried it out
 * @return whether an error reply was dealt with; false lets it decide the result of the run
 */
typedef bool (*resp_reply_fn)(void *arg, const redisReply *reply);

/** Values of `key` in resp_begin(). */
enum {
  RESP_ANY_NODE = -1 /**< no key: any node may answer */
};

/**
 * Begin a command.
 * @param argc  number of arguments that follow, the command's name included; at least 1
 * @param key   index of the argument that is the key, which decides the node in a cluster; or
 *              RESP_ANY_NODE
 */
void resp_begin(struct resp *resp, size_t argc, int key);

/** Begin a command for one node of a cluster, by its index in resp_nodes(); 0 elsewhere. */
void resp_begin_node(struct resp *resp, size_t argc, size_t node);

/** Next argument. */
void resp_arg(struct resp *resp, const void *data, size_t len);
/** Next argument, NUL-terminated. */
void resp_arg_str(struct resp *resp, const char *text);
/** Next argument, the parts put together. */
void resp_arg_parts(struct resp *resp, const struct iovec *parts, size_t count);
/** Next argument, in decimal. */
void resp_arg_int(struct resp *resp, int64_t number);

/**
 * End a command.
 * @param fn,arg  receives the answer, exactly once; NULL where only the run's result matters
 * @return false when out of memory, or when the arguments are not as many as announced or over
 *         512 MiB: the command is not appended and `fn` not called
 */
bool resp_end(struct resp *resp, resp_reply_fn fn, void *arg) __attribute__((warn_unused_result));

/** One command in one call, with `count` NUL-terminated arguments. See resp_begin, resp_end. */
bool resp_append(struct resp *resp, int key, const char *const *argv, size_t count,
                 resp_reply_fn fn, void *arg) __attribute__((warn_unused_result));

/** Commands appended since the last run. */
size_t resp_pending(const struct resp *resp);
/** Octets of these commands: what bounds are measured by. */
size_t resp_pending_bytes(const struct resp *resp);
/** Forget the commands appended; their callbacks are not called. */
void resp_forget(struct resp *resp);

/* --- running -------------------------------------------------------------------------------- */

/**
 * Send what was appended and receive all answers. Connects where needed. In a cluster follows MOVED
 * and ASK, keeping the order of the commands of one key, and asks for the map again.
 * @param block_ms  how long a blocking command among them may block, added to the time-out
 * @param err       RESP_PASSING, RESP_FATAL: the first reason of that rank, naming the server and
 *                  its words
 * @return the worst of all answers; afterwards nothing is pending
 */
enum resp_result resp_run(struct resp *resp, int block_ms, struct cof_error *err)
    __attribute__((warn_unused_result));

/**
 * Connect now, where there is no good connection. With `manual` a run never does that by itself, so
 * that a caller who keeps account of what the server holds learns of every new connection, and
 * with it, that the server may be another one or have forgotten.
 * @param fresh  set to whether the connection is new
 * @return as resp_run(). Not for a cluster.
 */
enum resp_result resp_connect(struct resp *resp, bool *fresh, struct cof_error *err)
    __attribute__((warn_unused_result));

/** How many connections were made so far: whether two runs went over the same ones. */
uint64_t resp_connections(const struct resp *resp);

/**
 * Jittered exponential pause before the next run: 0 after RESP_OK, else 100 ms doubled for each
 * failure in a row, up to 30 s, of which half to all.
 */
int resp_pause_ms(struct resp *resp);

/** End a run under way, and every later one, with RESP_STOPPED. Any thread; async-signal-safe. */
void resp_interrupt(struct resp *resp);
/** Let runs work again. Not while resp_interrupt() may be called. */
void resp_resume(struct resp *resp);
/** Pause, ended early by resp_interrupt(). @return false when interrupted */
bool resp_sleep(struct resp *resp, int ms);

/* --- looking -------------------------------------------------------------------------------- */

/** Slot of a key in a cluster, 0 to 16383, `{tag}` respected. */
uint16_t resp_slot(const void *key, size_t len);

/**
 * Number of nodes that hold keys, for commands that go to each (SCAN, DBSIZE): 1 unless cluster.
 * Asks for the map where it is not known or found old.
 * @return 0 with a reason in `err`, and how the run would have ended in `result`
 */
size_t resp_nodes(struct resp *resp, enum resp_result *result, struct cof_error *err);

/** Name of a node ("host:port"), by which a scan finds it again after the map changed; borrowed
 *  until the next run. */
const char *resp_node_name(const struct resp *resp, size_t node);

/** What an answer means: RESP_OK unless it is an error; never RESP_STOPPED. NULL is RESP_PASSING.
 */
enum resp_result resp_classify(const redisReply *reply);

/** Whether an answer is an error that begins with this word ("WRONGTYPE"); Kvrocks' "ERR Invalid
 *  argument: " before it is skipped. */
bool resp_is_error(const redisReply *reply, const char *word);

/**
 * Read `host:port`, `host`, `[2001:db8::1]:port`, `2001:db8::1`.
 * @param host  receives the host without brackets, at most `cap` octets with the NUL
 * @return false when it is none of these
 */
bool resp_endpoint_parse(const char *text, uint16_t default_port, char *host, size_t cap,
                         uint16_t *port);

#endif
