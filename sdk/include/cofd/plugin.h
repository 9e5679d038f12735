/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The plugin contract. A plugin is a shared object that exports one symbol, the descriptor
 * `cof_plugin` (COF_PLUGIN_EXPORT), and is installed as `<kind>/<name>.so` in a plugin directory.
 *
 * ABI. COF_ABI_MAJOR changes when anything here changes its meaning or layout; COF_ABI_MINOR when
 * something is appended. The host loads a plugin of its own major number and of its own or a lower
 * minor number. Each structure that may grow begins with, or has, its size as the plugin knew it.
 *
 * Threads. "Main thread" is the host's; lifecycle callbacks of one instance never overlap. A
 * plugin has no global state of its own: one shared object serves any number of instances.
 */
#ifndef COFD_PLUGIN_H
#define COFD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include <cofd/cofjson.h>
#include <cofd/dns.h>
#include <cofd/host.h>
#include <cofd/option.h>
#include <cofd/query.h>
#include <cofd/record.h>
#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COF_ABI_MAGIC UINT32_C(0x634f4644) /**< "cOFD" */
#define COF_ABI_MAJOR 1u
#define COF_ABI_MINOR 3u

/** What a plugin is; the word before the dot in a section of the configuration. */
enum cof_kind { COF_KIND_INPUT = 1, COF_KIND_FILTER, COF_KIND_STORAGE, COF_KIND_OUTPUT };

/** What a plugin can do, beyond what its kind demands. */
enum cof_caps {
  COF_CAP_THREAD_SAFE = 1u << 0, /**< filter, storage: callbacks may overlap in several threads;
                                      without it none of an instance does, reload() included */
  COF_CAP_LOAD = 1u << 1,        /**< input: has load(), for `cofd import` */
  COF_CAP_RRNAME = 1u << 8,      /**< storage: the query kinds it answers (cofd/query.h) */
  COF_CAP_SUBDOMAINS = 1u << 9,
  COF_CAP_RDATA = 1u << 10,
  COF_CAP_ADDR_RANGE = 1u << 11,
  COF_CAP_RDATA_TEXT = 1u << 12,
  COF_CAP_SCAN = 1u << 13,
  COF_CAP_PREFIX = 1u << 14,
  COF_CAP_RDATA_SUBDOMAINS = 1u << 15,
  COF_CAP_RRTYPE = 1u << 16,       /**< storage: filters an answer by type */
  COF_CAP_FENCES = 1u << 17,       /**< storage: filters an answer by time */
  COF_CAP_RESUME = 1u << 18,       /**< storage: gives and takes resume tokens */
  COF_CAP_RDATA_PREFIX = 1u << 19, /**< storage: a query kind, as those from 1 << 8 on */
  COF_CAP_NEW = 1u << 20, /**< storage: tells by cof_ticket_new() which records of a write were
                               not there before, where it is asked to; since ABI 1.1 */
  COF_CAP_BAILIWICK = 1u << 21, /**< storage: keeps cof_record.zones, and filters an answer by
                                     bailiwick; since ABI 1.2 */
  COF_CAP_SENSOR = 1u << 22     /**< storage: keeps what each sensor saw, which chains then tell it
                                     (cof_batch_sights()), and answers with it; since ABI 1.3 */
};

/** Callbacks of an input. */
struct cof_input_ops {
  size_t struct_size; /**< sizeof(struct cof_input_ops) */

  /**
   * The batch emitted with `token` is settled. Called exactly once for each batch that emit took,
   * in the order of emission, from a thread of the host, never twice at once; must not block, and
   * must not emit. Required.
   * @param result  COF_OK: durable (or filtered, or rejected for good): take it off the source.
   *                COF_STOPPED: not stored before the host stopped: leave it on the source.
   */
  void (*ack)(void *self, uint64_t token, enum cof_result result);

  /**
   * There is room again after cof_emit() returned COF_AGAIN. From a thread of the host, possibly
   * while stop() runs; must not block; may emit. NULL for inputs that only use cof_emit_wait().
   */
  void (*resume)(void *self);

  /**
   * In place of start(), for `cofd import`: read each of `paths` once from beginning to end,
   * without regard to remembered positions and without remembering any, then call cof_finished().
   * Main thread; must not block. `paths` is valid until destroy(). Needs COF_CAP_LOAD.
   */
  enum cof_result (*load)(void *self, const char *const *paths, size_t count);

  /**
   * How far load() is, in octets of the files as they lie on disk; `total` is 0 where unknown (a
   * pipe). Main thread, several times a second. Needs COF_CAP_LOAD.
   */
  void (*progress)(void *self, uint64_t *done, uint64_t *total);
};

/** Callbacks of a filter. */
struct cof_filter_ops {
  size_t struct_size; /**< sizeof(struct cof_filter_ops) */

  /**
   * Judge each record whose verdict is COF_KEEP by setting its verdict. Nothing else of a record
   * may be changed, and none be added. From the chain's thread; from several at once where the
   * filter is in several chains and has COF_CAP_THREAD_SAFE. Must not block.
   */
  void (*process)(void *self, struct cof_batch *batch);
};

/** Callbacks of a storage. */
struct cof_storage_ops {
  size_t struct_size; /**< sizeof(struct cof_storage_ops) */

  /**
   * Capabilities of this instance, where they depend on its configuration or its data; a part of
   * those in the descriptor. NULL: the descriptor's. Any thread, after start().
   */
  uint64_t (*caps)(void *self);

  /**
   * Apply every record with verdict COF_KEEP (struct cof_record says how), and add the tallies and
   * observations; with COF_CAP_SENSOR also what of a record cof_batch_sights() tells. The batch is
   * the host's, unchanged until cof_ticket_done(), which is called exactly once, from here or from
   * any thread later. From a thread of the chain; never twice at once for one chain. No tuple
   * occurs twice in a batch.
   */
  void (*write)(void *self, const struct cof_batch *batch, struct cof_ticket *ticket);

  /** Open a cursor. See cof_query_open. Any thread. `cursor` is the plugin's own pointer. */
  enum cof_result (*open)(void *self, const struct cof_query *query, void **cursor,
                          struct cof_error *err);
  /** See cof_query_next. Any thread, one at a time for each cursor. */
  enum cof_result (*next)(void *self, void *cursor, size_t max, struct cof_batch *into,
                          struct cof_error *err);
  /** See cof_query_token. NULL without COF_CAP_RESUME. */
  enum cof_result (*token)(void *self, void *cursor, void *buf, size_t cap, size_t *len);
  /** Free a cursor. Every cursor is closed before stop(). */
  void (*close)(void *self, void *cursor);

  /** See cof_storage_stats. Any thread. */
  enum cof_result (*stats)(void *self, struct cof_storage_stats *stats, cof_sensor_fn fn, void *arg,
                           struct cof_error *err);
};

/** What one write of a chain made durable. All of it is borrowed, and valid during the call. */
struct cof_stored {
  size_t struct_size; /**< as the host knows it; fields are only ever appended */
  size_t count;       /**< elements of `records` */
  /**
   * Each record as a change, in the form that struct cof_record describes: what was observed since
   * the tuple was told of before, not what is stored now. Who applies all changes has what the
   * storage has. Without those that a filter dropped or the chain's first storage refused. A tuple
   * occurs more than once only where observations of it came by different paths (cof_via()): then
   * once for each of them. Without sensor_id.
   */
  const struct cof_record *const *records;
  /**
   * For each record, 1 where the storage did not hold its tuple before this write. NULL where that
   * was not asked for (COF_WANT_NEW) when the write began, or the storage cannot tell
   * (COF_CAP_NEW). After a write that was repeated because it failed half-way, a record that was
   * new may be shown as known; never the other way round.
   */
  const uint8_t *news;
};

/** Callbacks of an output. An output asks by cof_query_open(); these are for what comes unasked. */
struct cof_output_ops {
  size_t struct_size; /**< sizeof(struct cof_output_ops) */

  /**
   * A write of the output's chain is durable, in every storage of the chain. Once for each write,
   * in their order, before the inputs hear of it by ack(): after a crash an input that can replay
   * gives again what an output was not told of. From a thread of the chain, never twice at once;
   * between start() and stop(), and only while the output asks for it (cof_want()). The chain
   * writes nothing meanwhile: it must not block, unless its operator demands that nothing be stored
   * that this output has not taken, and then no longer than until cof_stopping(). May be NULL.
   * Since ABI 1.1.
   */
  void (*stored)(void *self, const struct cof_stored *stored);
};

/** The descriptor, a plugin's only export. Fields are only ever appended. */
struct cof_plugin {
  uint32_t magic;       /**< COF_ABI_MAGIC */
  uint32_t abi_major;   /**< COF_ABI_MAJOR */
  uint32_t abi_minor;   /**< COF_ABI_MINOR */
  uint32_t struct_size; /**< sizeof(struct cof_plugin) */
  uint32_t kind;        /**< enum cof_kind */
  uint32_t option_size; /**< sizeof(struct cof_option) */
  uint64_t caps;        /**< enum cof_caps */
  const char *name;     /**< as in `plugin =` and in the file name: lower case, digits, hyphens */
  const char *version;
  const char *summary;              /**< one line, no full stop */
  const struct cof_option *options; /**< ends at name == NULL; NULL: no options */
  size_t conf_size;                 /**< of the structure the options fill */

  /**
   * Check across options. No input or output but reading files that options name; no instance yet.
   * Main thread. May be NULL. Not called for an instance without a section in the file, which
   * `cofd import` makes for load(). Called also for a section with mistakes in other options, with
   * the defaults in their place; what is said then is shown only of options that are given and
   * right. Required options are there always.
   * @return COF_OK, or COF_REJECT with at least one cof_diag_error()
   */
  enum cof_result (*check)(const void *conf, struct cof_diag *diag);

  /**
   * Make an instance: memory, and nothing that another process would notice. Main thread.
   * @param conf  the filled structure; the host owns it, and it stays valid and unchanged until
   *              destroy() returns or a reload() replaces it
   * @param self  COF_OK: set to the instance, which the plugin owns until destroy()
   * @return COF_OK, or COF_FATAL after logging why
   */
  enum cof_result (*create)(struct cof_host *host, const void *conf, void **self);

  /**
   * Open, bind, connect, start threads. Main thread; storages first, then filters, outputs, inputs.
   * @return COF_OK, or COF_FATAL after logging why: the host goes on to destroy()
   */
  enum cof_result (*start)(void *self);

  /**
   * Take new values of reloadable options, and read again what they name. Main thread, while the
   * instance works. NULL where nothing is reloadable.
   * @param conf  replaces the structure given before when this returns COF_OK; options that are not
   *              reloadable have their old values in it
   * @return COF_OK, or COF_REJECT after logging why, with the old settings still in force
   */
  enum cof_result (*reload)(void *self, const void *conf);

  /**
   * Stop. An input: emit no more (emit returns COF_STOPPED by now) and end its threads; acks still
   * come until destroy(). An output: finish what it answers. A storage: make all durable. Main
   * thread, once, also after a failed start(); inputs first, then outputs, filters, storages.
   * @param deadline_ns  cof_clock_ns() by which it must return
   * @return COF_OK; COF_TIMEOUT when something was cut off
   */
  enum cof_result (*stop)(void *self, uint64_t deadline_ns);

  /** Free the instance. Main thread, after stop(), also when start() failed or never ran. */
  void (*destroy)(void *self);

  const void *ops; /**< cof_input_ops, cof_filter_ops, cof_storage_ops or cof_output_ops */
};

/** Name of the exported symbol. */
#define COF_PLUGIN_SYMBOL "cof_plugin"

/** Put before the descriptor: `COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = { … };` */
#define COF_PLUGIN_EXPORT __attribute__((visibility("default")))

/** The descriptor's first fields. */
#define COF_PLUGIN_HEADER                                                                          \
  .magic = COF_ABI_MAGIC, .abi_major = COF_ABI_MAJOR, .abi_minor = COF_ABI_MINOR,                  \
  .struct_size = sizeof(struct cof_plugin), .option_size = sizeof(struct cof_option)

#ifdef __cplusplus
}
#endif
#endif
