/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Lines out of files, pipes and sockets: all that an input plugin needs besides reading one line.
 *
 * It finds files by name, glob or directory, plain or compressed (gzip, zstd), reads them once or
 * follows them over growth, rotation and emptying, remembers how far they are stored, reads
 * standard input and named pipes, listens on a Unix socket and on TCP, cuts what comes into lines,
 * fills batches, hands them on with back-pressure, and takes the acks.
 *
 * A plugin puts a struct cof_follow_conf into its configuration, the option macros below into its
 * table, and calls cof_follow_check(), _create(), _start(), _load(), _progress(), _ack(), _stop()
 * and _destroy() from the callbacks of the same names. What is left to it is cof_follow_ops.line.
 *
 * Files lose nothing: the position of a file is remembered once the storage has all before it, so
 * that after a crash what was not stored is read again. What came through a socket, a pipe or
 * standard input cannot be read again; what of it could not be handed on when the host stops is
 * counted in the log.
 */
#ifndef COFD_FOLLOW_H
#define COFD_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/host.h>
#include <cofd/option.h>
#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- options -------------------------------------------------------------------------------- */

/** Values of the options below. Fields are only ever appended. */
struct cof_follow_conf {
  struct cof_list path; /**< files, globs, directories, `-` for standard input */
  bool follow;          /**< go on as files grow */
  int64_t max_line;
  int64_t batch_records, batch_bytes, batch_time;
  int64_t poll_interval, rotate_wait;
  char *socket;               /**< Unix socket to listen on, or NULL */
  char *socket_mode;          /**< its permissions, octal digits */
  int socket_type;            /**< enum cof_follow_socket */
  struct cof_endpoint listen; /**< TCP address to listen on; host is NULL for none */
  int64_t max_peers;          /**< most connections at once */
  int64_t peer_timeout;       /**< milliseconds of silence after which one is closed; 0: never */
};

/** Type of a Unix socket, in the order of cof_follow_socket_types. */
enum cof_follow_socket { COF_FOLLOW_STREAM = 0, COF_FOLLOW_DATAGRAM };

/** Words for COF_FOLLOW_SOCKET_OPTIONS. */
extern const char *const cof_follow_socket_types[];

/* Their arguments are types and fields, which take no parentheses.
   NOLINTBEGIN(bugprone-macro-parentheses) */

/**
 * Rows of an option table: `structure` is the plugin's configuration, `field` its struct
 * cof_follow_conf, `following` the default of `follow`, "yes" or "no".
 */
#define COF_FOLLOW_PATH_OPTIONS(structure, field, following)                                       \
  {.name = "path",                                                                                 \
   .help = "Files, globs, directories (the files in them that are not hidden), or - for standard " \
           "input.",                                                                               \
   .type = COF_OPT_LIST,                                                                           \
   .flags = COF_OPT_MULTI,                                                                         \
   COF_FIELD(structure, field.path)},                                                              \
  {                                                                                                \
    .name = "follow",                                                                              \
    .help = "Go on reading as files grow, are rotated or appear, instead of reading them once.",   \
    .dflt = following, .type = COF_OPT_BOOL, COF_FIELD(structure, field.follow)                    \
  }

/** Bounds of lines and batches, and how files are followed. */
#define COF_FOLLOW_BATCH_OPTIONS(structure, field)                                                 \
  {.name = "max_line",                                                                             \
   .help = "Longest line or record; longer ones are rejected. Bounds memory.",                     \
   .dflt = "1M",                                                                                   \
   .type = COF_OPT_BYTES,                                                                          \
   .min = 1024,                                                                                    \
   .max = INT64_C(64) << 20,                                                                       \
   COF_FIELD(structure, field.max_line)},                                                          \
      {.name = "batch_records",                                                                    \
       .help = "Records after which a batch is handed on.",                                        \
       .dflt = "4096",                                                                             \
       .type = COF_OPT_INT,                                                                        \
       .min = 1,                                                                                   \
       .max = 65536,                                                                               \
       .unit = "records",                                                                          \
       COF_FIELD(structure, field.batch_records)},                                                 \
      {.name = "batch_bytes",                                                                      \
       .help = "Memory of a batch after which it is handed on.",                                   \
       .dflt = "4M",                                                                               \
       .type = COF_OPT_BYTES,                                                                      \
       .min = 65536,                                                                               \
       .max = INT64_C(256) << 20,                                                                  \
       COF_FIELD(structure, field.batch_bytes)},                                                   \
      {.name = "batch_time",                                                                       \
       .help = "Time after which a batch is handed on though it is not full.",                     \
       .dflt = "200ms",                                                                            \
       .type = COF_OPT_DURATION,                                                                   \
       .min = 1,                                                                                   \
       .max = 3600000,                                                                             \
       COF_FIELD(structure, field.batch_time)},                                                    \
      {.name = "poll_interval",                                                                    \
       .help =                                                                                     \
           "How often followed files are looked at where the kernel does not tell of changes: "    \
           "without inotify, on network file systems, behind symbolic links, and once another "    \
           "file took their name.",                                                                \
       .dflt = "1s",                                                                               \
       .type = COF_OPT_DURATION,                                                                   \
       .min = 10,                                                                                  \
       .max = 3600000,                                                                             \
       COF_FIELD(structure, field.poll_interval)},                                                 \
  {                                                                                                \
    .name = "rotate_wait",                                                                         \
    .help = "How long a followed file may rest before it has ended, once another file took its "   \
            "name, or when its compressed data is incomplete.",                                    \
    .dflt = "5s", .type = COF_OPT_DURATION, .max = 3600000,                                        \
    COF_FIELD(structure, field.rotate_wait)                                                        \
  }

/** A Unix socket to listen on. Needs COF_FOLLOW_PEER_OPTIONS too. */
#define COF_FOLLOW_SOCKET_OPTIONS(structure, field)                                                \
  {.name = "socket",                                                                               \
   .help = "Unix socket to make and listen on; at most 107 octets.",                               \
   .type = COF_OPT_PATH,                                                                           \
   COF_FIELD(structure, field.socket)},                                                            \
      {.name = "socket_mode",                                                                      \
       .help = "Permissions of the socket, three or four octal digits: who may write to it may "   \
               "send.",                                                                            \
       .dflt = "0660",                                                                             \
       .type = COF_OPT_STR,                                                                        \
       COF_FIELD(structure, field.socket_mode)},                                                   \
  {                                                                                                \
    .name = "socket_type",                                                                         \
    .help = "stream: connections that send lines; dgram: datagrams of one or more lines.",         \
    .dflt = "stream", .type = COF_OPT_ENUM, .choices = cof_follow_socket_types,                    \
    COF_FIELD(structure, field.socket_type)                                                        \
  }

/** A TCP address to listen on. Needs COF_FOLLOW_PEER_OPTIONS too. */
#define COF_FOLLOW_LISTEN_OPTIONS(structure, field)                                                \
  {                                                                                                \
    .name = "listen",                                                                              \
    .help = "TCP address to listen on for connections that send lines; whoever reaches it may "    \
            "send.",                                                                               \
    .type = COF_OPT_ADDR, COF_FIELD(structure, field.listen)                                       \
  }

/** Bounds of connections. */
#define COF_FOLLOW_PEER_OPTIONS(structure, field)                                                  \
  {.name = "max_peers",                                                                            \
   .help = "Most connections at once; further ones are closed and counted. Each takes up to "      \
           "max_line and 64K of memory.",                                                          \
   .dflt = "64",                                                                                   \
   .type = COF_OPT_INT,                                                                            \
   .min = 1,                                                                                       \
   .max = 1024,                                                                                    \
   .unit = "connections",                                                                          \
   COF_FIELD(structure, field.max_peers)},                                                         \
  {                                                                                                \
    .name = "peer_timeout", .help = "Silence after which a connection is closed; 0s: never.",      \
    .dflt = "0s", .type = COF_OPT_DURATION, .max = INT64_C(7) * 86400000,                          \
    COF_FIELD(structure, field.peer_timeout)                                                       \
  }

/* NOLINTEND(bugprone-macro-parentheses) */

/**
 * Check across these options: something to read has to be named, and the socket's options have to
 * be right. From the plugin's check().
 * @param size  sizeof(struct cof_follow_conf)
 * @return COF_OK, or COF_REJECT with at least one cof_diag_error()
 */
enum cof_result cof_follow_check(const struct cof_follow_conf *conf, size_t size,
                                 struct cof_diag *diag);

/* --- what the plugin does ------------------------------------------------------------------- */

/** A line, beside its text. Fields are only ever appended. */
struct cof_follow_line {
  size_t struct_size; /**< as the library knows it */
  const char *source; /**< where it comes from: a path, `-`, or a peer; valid during the call */
  uint64_t number;    /**< of the line in the source, from 1; of its first line for an object */
  void *state;        /**< what begin() gave for this source */
  bool unfinished;    /**< the source ended before the line did: it may have been cut off */
  bool replayed;      /**< handed again for its context alone: what is appended is dropped */
  bool context;       /**< out, false at first: later lines cannot be read without this one */
  uint64_t refused;   /**< out, 1 at first: how many records a COF_REJECT stands for */
};

/** How text is cut. */
enum cof_follow_cut {
  COF_FOLLOW_LINES = 0, /**< at line ends */
  COF_FOLLOW_OBJECTS,   /**< JSON objects wherever they begin and end */
  COF_FOLLOW_EITHER     /**< one of the two, told by how a source begins */
};

/**
 * Callbacks, all from the one thread of the instance, between start() and stop().
 */
struct cof_follow_ops {
  size_t struct_size; /**< sizeof(struct cof_follow_ops) */
  size_t conf_size;   /**< sizeof(struct cof_follow_conf) */
  enum cof_follow_cut cut;

  /**
   * Read one line and append its records.
   *
   * A source is not always read in one go: a followed file may be closed and opened again, and
   * reading goes on in the middle of it after a restart. Lines that later ones depend on (a header
   * that names columns) are marked by setting `line->context`; the last unbroken run of them, up to
   * 64 KiB of it, is then handed again with `replayed` set, before the next line; so may be the
   * line behind the run, by which the library sees that it ended.
   *
   * @param text   without line end (a carriage return may be left); not NUL-terminated; may be
   *               empty
   * @param batch  receives the records
   * @param err    the reason, without file and line, which the log adds. It must not quote what
   *               is private
   * @return COF_OK; COF_REJECT: all or a part of the line was refused (what was appended stays);
   *         COF_FATAL: out of memory, nothing was appended: the same line comes again
   */
  enum cof_result (*line)(void *arg, struct cof_follow_line *line, const char *text, size_t len,
                          struct cof_batch *batch, struct cof_error *err);

  /**
   * Make what is to be known of one source between its lines. May be NULL.
   * @return owned by the plugin until end(); NULL when out of memory
   */
  void *(*begin)(void *arg, const char *source);
  /** Free it. NULL where begin() is. */
  void (*end)(void *arg, void *state);
};

/* --- life ----------------------------------------------------------------------------------- */

/** Most octets of a run of context lines. */
#define COF_FOLLOW_CONTEXT_MAX 65536

/** Reads lines for one instance of a plugin. */
struct cof_follow;

/**
 * From the plugin's create(). Makes the metrics `records`, `bytes`, `files`, `lines`, `errors`, and
 * where there is a socket `peers`, `connections`, `peers_refused`.
 * @param conf  copied; the texts in it have to stay valid until cof_follow_destroy(), as those of
 *              the host do
 * @param ops   copied
 * @param arg   for the callbacks
 * @return owned by the caller; NULL after logging why
 */
struct cof_follow *cof_follow_create(struct cof_host *host, const struct cof_follow_conf *conf,
                                     const struct cof_follow_ops *ops, void *arg)
    __attribute__((warn_unused_result));

/**
 * From start(): read what is remembered, open the sockets, start the thread. A Unix socket that
 * nobody listens on any more is replaced; one that is in use, or a file that is none, is left alone
 * and is an error. Positions are kept in `<state_dir>/<instance>.positions`.
 * @return COF_OK, or COF_FATAL after logging why
 */
enum cof_result cof_follow_start(struct cof_follow *follow);

/** See cof_input_ops.load; sockets and `path` are left out. */
enum cof_result cof_follow_load(struct cof_follow *follow, const char *const *paths, size_t count);
/** See cof_input_ops.progress. */
void cof_follow_progress(struct cof_follow *follow, uint64_t *done, uint64_t *total);
/** See cof_input_ops.ack. */
void cof_follow_ack(struct cof_follow *follow, uint64_t token, enum cof_result result);

/** From stop(): end the thread, remember positions, remove the socket. @return COF_OK, or
 *  COF_TIMEOUT where the thread did not end in time */
enum cof_result cof_follow_stop(struct cof_follow *follow, uint64_t deadline_ns);

/** From destroy(); waits for the thread. Tolerates NULL and sets the caller's pointer to NULL. */
void cof_follow_destroy(struct cof_follow **follow);

/**
 * Callbacks for an input that does nothing but follow (with <cofd/plugin.h>): put this after
 * `structure`, its instance, which has a member `follow` as cof_follow_create() gave it. Defines
 * follow_start and follow_stop, for the descriptor, and follow_ops, its `ops`; all of them only
 * hand on to the functions above.
 */
#define COF_FOLLOW_CALLBACKS(structure)                                                            \
  static enum cof_result follow_start(void *self)                                                  \
  {                                                                                                \
    return cof_follow_start(((structure *)self)->follow);                                          \
  }                                                                                                \
  static enum cof_result follow_stop(void *self, uint64_t deadline_ns)                             \
  {                                                                                                \
    return cof_follow_stop(((structure *)self)->follow, deadline_ns);                              \
  }                                                                                                \
  static void follow_ack(void *self, uint64_t token, enum cof_result result)                       \
  {                                                                                                \
    cof_follow_ack(((structure *)self)->follow, token, result);                                    \
  }                                                                                                \
  static enum cof_result follow_load(void *self, const char *const *paths, size_t count)           \
  {                                                                                                \
    return cof_follow_load(((structure *)self)->follow, paths, count);                             \
  }                                                                                                \
  static void follow_progress(void *self, uint64_t *done, uint64_t *total)                         \
  {                                                                                                \
    cof_follow_progress(((structure *)self)->follow, done, total);                                 \
  }                                                                                                \
  static const struct cof_input_ops follow_ops = {.struct_size = sizeof follow_ops,                \
                                                  .ack = follow_ack,                               \
                                                  .load = follow_load,                             \
                                                  .progress = follow_progress}

#ifdef __cplusplus
}
#endif
#endif
