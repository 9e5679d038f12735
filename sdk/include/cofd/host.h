/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What the host gives each instance of a plugin: log, metrics, clock, a way to emit batches, and a
 * way to query. Everything here is thread safe unless it says otherwise, and may be called from
 * create() until destroy() returns.
 */
#ifndef COFD_HOST_H
#define COFD_HOST_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/query.h>
#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Severity of a message; the numbers are those of syslog (RFC 5424) and journald. */
enum cof_log_level {
  COF_LOG_ERROR = 3,   /**< something is lost or does not work until an operator acts */
  COF_LOG_WARNING = 4, /**< something is wrong, and was dealt with */
  COF_LOG_INFO = 6,    /**< a change of state, worth a line in normal operation */
  COF_LOG_DEBUG = 7    /**< for finding faults */
};

struct cof_metric;
struct cof_ticket;
struct cof_cursor;
struct cof_host;

/** What a metric is. */
enum cof_metric_kind {
  COF_COUNTER = 1, /**< only ever grows */
  COF_GAUGE,       /**< goes up and down */
  COF_HISTOGRAM    /**< how many values fell into which range; since ABI 1.1 */
};

/** Most bounds of a histogram. */
#define COF_HISTOGRAM_MAX 24
/** What an output wants to be told of (cof_want()); or-ed. */
enum cof_want {
  COF_WANT_STORED = 1u << 0, /**< what was written: cof_output_ops.stored() */
  COF_WANT_NEW = 1u << 1     /**< with it, which tuples are new; costs a look-up for each record */
};

/** One metric as cof_metrics_each shows it; texts are valid during the call. */
struct cof_metric_view {
  const char *kind;     /**< of the instance: "input", "filter", "storage", "output", "chain" */
  const char *instance; /**< name of the instance in the configuration */
  const char *plugin;   /**< name of the plugin; "" for a chain */
  const char *name, *unit, *help;
  enum cof_metric_kind type;
  int64_t value; /**< of a histogram: how many values it has seen */
  /* Since ABI 1.1, of a histogram: */
  const int64_t *bounds;  /**< ascending; range i is what is at most bounds[i] and above the ones
                               before */
  size_t bounds_count;    /**< 0: no histogram */
  const uint64_t *counts; /**< values in each range, and behind them those above all bounds */
  int64_t sum;            /**< of all values */
};

/** Receives one metric. */
typedef void (*cof_metric_fn)(void *arg, const struct cof_metric_view *view);

/**
 * The host's functions. Plugins use the wrappers below, which state purpose and rules. Fields are
 * only ever appended; a plugin's abi_minor tells which it may use.
 */
struct cof_host_api {
  size_t struct_size;
  void (*log)(struct cof_host *, enum cof_log_level, const char *fmt, va_list);
  int (*log_enabled)(struct cof_host *, enum cof_log_level);
  void (*reject)(struct cof_host *, uint64_t records, const char *fmt, va_list);
  struct cof_metric *(*metric)(struct cof_host *, enum cof_metric_kind, const char *name,
                               const char *unit, const char *help);
  void (*metric_add)(struct cof_metric *, int64_t);
  void (*metric_set)(struct cof_metric *, int64_t);
  void (*metrics_each)(struct cof_host *, cof_metric_fn, void *arg);
  uint64_t (*clock_ns)(struct cof_host *);
  const char *(*instance_name)(struct cof_host *);
  const char *(*state_dir)(struct cof_host *);
  struct cof_batch *(*batch_get)(struct cof_host *);
  void (*batch_put)(struct cof_host *, struct cof_batch **);
  enum cof_result (*emit)(struct cof_host *, struct cof_batch **, uint64_t token, int wait_ms);
  void (*finished)(struct cof_host *);
  void (*ticket_done)(struct cof_host *, struct cof_ticket *, enum cof_result);
  void (*ticket_reject)(struct cof_host *, struct cof_ticket *, size_t index, const char *reason);
  uint64_t (*storage_caps)(struct cof_host *);
  enum cof_result (*query_open)(struct cof_host *, const struct cof_query *, struct cof_cursor **,
                                struct cof_error *);
  enum cof_result (*query_next)(struct cof_cursor *, size_t max, struct cof_batch *into,
                                struct cof_error *);
  enum cof_result (*query_token)(struct cof_cursor *, void *buf, size_t cap, size_t *len);
  void (*query_close)(struct cof_cursor **);
  enum cof_result (*storage_stats)(struct cof_host *, struct cof_storage_stats *, cof_sensor_fn,
                                   void *arg, struct cof_error *);
  /* Since ABI 1.1: */
  struct cof_metric *(*histogram)(struct cof_host *, const char *name, const char *unit,
                                  const char *help, const int64_t *bounds, size_t count);
  void (*metric_observe)(struct cof_metric *, int64_t);
  int (*ticket_wants_new)(struct cof_host *, struct cof_ticket *);
  void (*ticket_new)(struct cof_host *, struct cof_ticket *, size_t index);
  void (*want)(struct cof_host *, unsigned wants);
  int (*stopping)(struct cof_host *);
  const char *(*node)(struct cof_host *);
  enum cof_result (*via)(struct cof_host *, const char *text, size_t len, uint32_t *via,
                         struct cof_error *);
  const char *(*via_text)(struct cof_host *, uint32_t via);
};

/** An instance's way to the host; given to create(), valid until destroy() returns. */
struct cof_host {
  const struct cof_host_api *api;
};

/* --- for every kind ----------------------------------------------------------------------- */

/** Write a line to the log; the host adds time, severity and the instance. No trailing newline. */
__attribute__((format(printf, 3, 4))) static inline void
cof_log(struct cof_host *host, enum cof_log_level level, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  host->api->log(host, level, fmt, ap);
  va_end(ap);
}

/** Whether a line of this severity would be written, for messages costly to prepare. */
static inline int cof_log_enabled(struct cof_host *host, enum cof_log_level level)
{
  return host->api->log_enabled(host, level);
}

/**
 * Count input records that were refused before they reached a batch, in this instance's counter
 * `rejected`, and log why. The host bounds the rate of these lines and says how many it left out.
 * @param fmt  where it came from, what was wrong, what was expected
 */
__attribute__((format(printf, 3, 4))) static inline void
cof_reject(struct cof_host *host, uint64_t records, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  host->api->reject(host, records, fmt, ap);
  va_end(ap);
}

/**
 * A counter or gauge of this instance, made at first use; the same name gives the same metric.
 * An input that connects to something keeps a gauge `connected` above 0 as long as it is, by which
 * outputs tell whether all is ready.
 * @param name  lower case with underscores, without the instance
 * @param unit  what it counts ("records", "bytes", "seconds")
 * @param help  one sentence
 * @return owned by the host, valid until destroy(); never NULL (out of memory: one that is not
 *         shown)
 */
static inline struct cof_metric *cof_metric(struct cof_host *host, enum cof_metric_kind kind,
                                            const char *name, const char *unit, const char *help)
{
  return host->api->metric(host, kind, name, unit, help);
}

/** Add to a counter or gauge. */
static inline void cof_add(struct cof_host *host, struct cof_metric *metric, int64_t n)
{
  host->api->metric_add(metric, n);
}

/** Set a gauge. */
static inline void cof_set(struct cof_host *host, struct cof_metric *metric, int64_t value)
{
  host->api->metric_set(metric, value);
}

/**
 * A histogram of this instance, made at first use; the same name gives the same one. Since ABI 1.1.
 * @param unit           of the values: "us", "ms", "bytes"
 * @param bounds, count  upper ends of the ranges, ascending, 1 to COF_HISTOGRAM_MAX; copied
 * @return as cof_metric()
 */
static inline struct cof_metric *cof_histogram(struct cof_host *host, const char *name,
                                               const char *unit, const char *help,
                                               const int64_t *bounds, size_t count)
{
  return host->api->histogram(host, name, unit, help, bounds, count);
}

/** Put a value into a histogram. Since ABI 1.1. */
static inline void cof_observe(struct cof_host *host, struct cof_metric *metric, int64_t value)
{
  host->api->metric_observe(metric, value);
}

/** Call `fn` for every metric of every instance, in a stable order, in this thread. */
static inline void cof_metrics_each(struct cof_host *host, cof_metric_fn fn, void *arg)
{
  host->api->metrics_each(host, fn, arg);
}

/** Monotonic time in nanoseconds; the base of every deadline in this interface. */
static inline uint64_t cof_clock_ns(struct cof_host *host)
{
  return host->api->clock_ns(host);
}

/** Name of this instance in the configuration; owned by the host. */
static inline const char *cof_instance_name(struct cof_host *host)
{
  return host->api->instance_name(host);
}

/**
 * Directory for what an instance must remember between runs (`state_dir` of the configuration);
 * exists and is writable; owned by the host. NULL where the operator configured none, or where
 * `cofd import` runs as somebody who may not write it: then the instance remembers nothing, and
 * says so.
 */
static inline const char *cof_state_dir(struct cof_host *host)
{
  return host->api->state_dir(host);
}

/**
 * Name of this cofd among those it exchanges records with (`node` of the configuration): 1 to
 * COF_NODE_MAX letters, digits, dots, hyphens and underscores; owned by the host. NULL where it has
 * none. Since ABI 1.1.
 */
static inline const char *cof_node(struct cof_host *host)
{
  return host->api->node != NULL ? host->api->node(host) : NULL;
}

/**
 * The path behind cof_record.via: names of nodes separated by commas, the oldest first; owned by
 * the host. "" for COF_VIA_NONE and what is no path. Since ABI 1.1.
 */
static inline const char *cof_via_text(struct cof_host *host, uint32_t via)
{
  return via != COF_VIA_NONE && host->api->via_text != NULL ? host->api->via_text(host, via) : "";
}

/* --- for inputs --------------------------------------------------------------------------- */

/**
 * An empty batch out of the host's pool.
 * @return owned by the caller until emitted or given back; NULL when out of memory
 */
static inline struct cof_batch *cof_batch_get(struct cof_host *host)
{
  return host->api->batch_get(host);
}

/** Give an unneeded batch back; tolerates NULL and sets the caller's pointer to NULL. */
static inline void cof_batch_put(struct cof_host *host, struct cof_batch **batch)
{
  host->api->batch_put(host, batch);
}

/**
 * Hand a batch to the chain without waiting.
 *
 * @param batch  COF_OK: the host owns it and sets the pointer to NULL. Else the caller keeps it.
 *               May be empty, to have a token acknowledged in its turn. The host tallies its
 *               sensors itself.
 * @param token  comes back in ack(), once for each batch taken, in the order of emission
 * @return COF_OK; COF_AGAIN: the chain is full, resume() will be called once there is room, emit
 *         nothing until then; COF_STOPPED: stop() was called, or the chain failed
 */
static inline enum cof_result cof_emit(struct cof_host *host, struct cof_batch **batch,
                                       uint64_t token)
{
  return host->api->emit(host, batch, token, 0);
}

/**
 * As cof_emit, waiting up to `wait_ms` milliseconds (at least 1) for room; for inputs with a thread
 * of their own. Returns COF_STOPPED as soon as stop() is called. COF_AGAIN here means that the wait
 * was over; resume() is not called for it.
 */
static inline enum cof_result cof_emit_wait(struct cof_host *host, struct cof_batch **batch,
                                            uint64_t token, int wait_ms)
{
  return host->api->emit(host, batch, token, wait_ms < 1 ? 1 : wait_ms);
}

/**
 * Number of the path by which a record came, for cof_record.via. A path with this node's own name
 * in it gives COF_VIA_LOOPED: emit such a record like any other, the chain drops and counts it. The
 * reader of COF objects does all this by itself (cof_reader_set_host()). Since ABI 1.1.
 *
 * @param text,len  names of nodes separated by commas; untrusted
 * @param via       COF_OK: set
 * @return COF_OK; COF_REJECT: it is no path, or one too many of those that were ever seen (4096),
 *         with a reason in `err`
 */
static inline enum cof_result cof_via(struct cof_host *host, const char *text, size_t len,
                                      uint32_t *via, struct cof_error *err)
{
  *via = COF_VIA_NONE;
  return host->api->via != NULL ? host->api->via(host, text, len, via, err) : COF_OK;
}

/** Say that this input has emitted all it ever will (a file that is not followed). Once. */
static inline void cof_finished(struct cof_host *host)
{
  host->api->finished(host);
}

/* --- for storages ------------------------------------------------------------------------- */

/**
 * Conclude a write(): once for each ticket, from any thread, also from within write().
 * @param result  COF_OK: every record not refused is durable. COF_RETRY: none may be taken as
 *                written; the host writes the same batch again after a pause. COF_FATAL: the host
 *                stops the chain; the batch stays unacknowledged.
 * The batch must not be touched afterwards.
 */
static inline void cof_ticket_done(struct cof_host *host, struct cof_ticket *ticket,
                                   enum cof_result result)
{
  host->api->ticket_done(host, ticket, result);
}

/**
 * Refuse one record of a batch before its ticket is done; it counts as rejected, in this instance's
 * counter `rejected` once the rest is durable, with the reason in the log at a bounded rate.
 * @param index  of the record in the batch; the same one once in a write
 */
static inline void cof_ticket_reject(struct cof_host *host, struct cof_ticket *ticket, size_t index,
                                     const char *reason)
{
  host->api->ticket_reject(host, ticket, index, reason);
}

/**
 * Whether somebody asks which records of this write are new: then a storage with COF_CAP_NEW calls
 * cof_ticket_new() for each of them; else it saves the effort. Since ABI 1.1.
 */
static inline int cof_ticket_wants_new(struct cof_host *host, struct cof_ticket *ticket)
{
  return host->api->ticket_wants_new != NULL && host->api->ticket_wants_new(host, ticket);
}

/**
 * The tuple of a record was not stored before this write. Before the ticket is done, also in a
 * write that ends with COF_RETRY: it is remembered for when the batch comes again, whose tuples may
 * be there by then. Since ABI 1.1.
 * @param index  of the record in the batch
 */
static inline void cof_ticket_new(struct cof_host *host, struct cof_ticket *ticket, size_t index)
{
  host->api->ticket_new(host, ticket, index);
}

/* --- for outputs: what is stored ------------------------------------------------------------- */

/**
 * Say what this output wants to be told of, from the next write on; nothing until it is called.
 * What nobody wants costs nothing. Since ABI 1.1.
 * @param wants  enum cof_want, or-ed; 0: nothing (any more)
 */
static inline void cof_want(struct cof_host *host, unsigned wants)
{
  host->api->want(host, wants);
}

/**
 * Whether the host wants its thread back from stored(), because the chain was cut off: what is not
 * taken by now is given up. Since ABI 1.1.
 */
static inline int cof_stopping(struct cof_host *host)
{
  return host->api->stopping(host);
}

/* --- for outputs: queries to the chain's (first) storage ----------------------------------- */

/** Capabilities of the storage (enum cof_caps), so far as it can answer. */
static inline uint64_t cof_storage_caps(struct cof_host *host)
{
  return host->api->storage_caps(host);
}

/**
 * Ask the storage. The query and what it points to may go away when this returns.
 * @param cursor  COF_OK: set to a cursor that the caller owns and closes; one thread at a time
 * @return COF_OK; COF_UNSUPPORTED with the missing capability in `err`; COF_REJECT: bad token or
 *         query; COF_RETRY: storage not reachable now; COF_FATAL
 */
static inline enum cof_result cof_query_open(struct cof_host *host, const struct cof_query *query,
                                             struct cof_cursor **cursor, struct cof_error *err)
{
  return host->api->query_open(host, query, cursor, err);
}

/**
 * Append the next records of an answer to a batch of the caller's.
 * @param max   most records to append, at least 1
 * @param into  whose count tells what came; it is not cleared first
 * @return COF_OK, with nothing appended at the end of the answer; COF_TIMEOUT past the deadline
 *         (records appended before it are good, and the cursor may be asked for its token);
 *         COF_RETRY or COF_FATAL with a reason
 */
static inline enum cof_result cof_query_next(struct cof_host *host, struct cof_cursor *cursor,
                                             size_t max, struct cof_batch *into,
                                             struct cof_error *err)
{
  return host->api->query_next(cursor, max, into, err);
}

/**
 * A token for going on after the last record that next() gave, in another cursor with the same
 * question. Opaque octets; stays good while data is written.
 * @param buf, cap  where to write; COF_TOKEN_MAX octets are always enough
 * @return COF_OK; COF_UNSUPPORTED; COF_REJECT: `cap` is too small
 */
static inline enum cof_result cof_query_token(struct cof_host *host, struct cof_cursor *cursor,
                                              void *buf, size_t cap, size_t *len)
{
  return host->api->query_token(cursor, buf, cap, len);
}

/** Close a cursor; tolerates NULL and sets the caller's pointer to NULL. */
static inline void cof_query_close(struct cof_host *host, struct cof_cursor **cursor)
{
  host->api->query_close(cursor);
}

/**
 * Statistics of the storage.
 * @param stats  filled in
 * @param fn     called for each sensor, by descending number of records, equal ones by name in
 *               reverse order; may be NULL; must not ask the storage anything
 */
static inline enum cof_result cof_storage_stats(struct cof_host *host,
                                                struct cof_storage_stats *stats, cof_sensor_fn fn,
                                                void *arg, struct cof_error *err)
{
  stats->struct_size = sizeof *stats;
  return host->api->storage_stats(host, stats, fn, arg, err);
}

#ifdef __cplusplus
}
#endif
#endif
