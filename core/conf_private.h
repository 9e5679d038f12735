/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The configuration: an INI file, read by inih, checked as a whole against the option tables of
 * the plugins it names. Main thread only. Immutable once made.
 */
#ifndef COFD_CONF_PRIVATE_H
#define COFD_CONF_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cofd/plugin.h>

#include "loader_private.h"
#include "memory_private.h"

/** Mistakes found, in the order of their lines; each is `file:line: what; what would be right`. */
struct problems;
struct problems *problems_create(void);
void problems_destroy(struct problems **problems);
/** Add one; `line` 0 leaves the number out; `warning` ones do not make the check fail. */
void problems_add(struct problems *problems, bool warning, const char *file, int line,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
size_t problems_errors(const struct problems *problems);
size_t problems_count(const struct problems *problems);
/** Text of one, sorted by line: "cofd.conf:3: error: …" / "…: warning: …". Owned by problems. */
const char *problems_text(const struct problems *problems, size_t index);

/** Section [cofd]. Its option table is `conf_host_options`. */
struct host_conf {
  int log_level;         /**< index into error, warning, info, debug */
  int log_format;        /**< enum log_format */
  char *plugin_path;     /**< directories separated by ':'; NULL: the default */
  char *node;            /**< name among cofd that exchange records; NULL: none */
  char *user;            /**< to run as when started as root; NULL: the one that started it */
  char *group;           /**< first group of that user; NULL: its own */
  int confine;           /**< enum confine */
  char *state_dir;       /**< what inputs remember lies here; NULL: nothing is remembered */
  int64_t stop_timeout;  /**< ms */
  int64_t slow_callback; /**< ms */
};
extern const struct cof_option conf_host_options[];

/** Section [chain.NAME]. Its option table is `conf_chain_options`. */
struct chain_conf {
  char *route;
  int64_t queue_batches;  /**< batches waiting before the filters */
  int64_t queue_bytes;    /**< octets waiting before the filters */
  int64_t window_records; /**< unique records folded before a write */
  bool small_first;       /**< fewer of them at first; set by the engine, not by an option */
  int64_t window_bytes;   /**< octets of them */
  int64_t window_time;    /**< ms a record waits at most */
  int64_t retry_min;      /**< ms before the first repetition of a write */
  int64_t retry_max;      /**< ms between repetitions at most */
  int64_t nice;           /**< added to the nice value of the chain's threads */
};
extern const struct cof_option conf_chain_options[];

/** One instance: a section [kind.name]. */
struct conf_instance {
  enum cof_kind kind;
  const char *name;                /**< instance name */
  const char *source;              /**< "kind.name", for logs */
  const struct cof_plugin *plugin; /**< descriptor, owned by the loader */
  void *values;                    /**< filled structure of plugin->conf_size octets */
  int line;                        /**< of the section */
  bool used;                       /**< some route names it */
};

/** One chain, its route resolved. Indices go into conf->instances. */
struct conf_chain {
  const char *name;
  const char *source; /**< "chain.name" */
  struct chain_conf conf;
  size_t *inputs, inputs_count;
  size_t *filters, filters_count; /**< in the order of the route */
  size_t *storages, storages_count;
  size_t *outputs, outputs_count;
  int line;
};

struct conf {
  const char *file;
  struct host_conf host;
  struct conf_instance *instances;
  size_t instances_count;
  struct conf_chain *chains;
  size_t chains_count;
  struct conf_memory *memory; /**< all that the above points to */
};

/**
 * Read only [cofd] of a file (for log and plugin path), leniently, before plugins are loaded:
 * what is wrong in it keeps its default, and is left to conf_read to report.
 * @return false when the file cannot be read (reported in `problems`)
 */
bool conf_read_host(const char *file, struct host_conf *host, struct conf_memory **memory,
                    struct problems *problems);

/** Set up the log as [cofd] says. */
void conf_apply_log(const struct host_conf *host);

/**
 * Read and check a whole file.
 * @param overrides  texts "kind.instance.key=value" laid over the file, or NULL
 * @return the configuration, owned by the caller, or NULL where `problems` has an error. All
 *         mistakes are reported, not only the first.
 */
struct conf *conf_read(const char *file, struct loader *loader, const char *const *overrides,
                       size_t overrides_count, struct problems *problems);
/** As conf_read, from an open stream; `file` is its name in messages. */
struct conf *conf_read_stream(FILE *stream, const char *file, struct loader *loader,
                              const char *const *overrides, size_t overrides_count,
                              struct problems *problems);
void conf_destroy(struct conf **conf);

/**
 * Values for an instance that no section names: all defaults, with "key=value" texts laid over.
 * The plugin's check() is not asked: it may demand what load() gets in another way.
 * @return filled structure owned by `memory`, or NULL with problems reported
 */
void *conf_defaults(const struct cof_plugin *plugin, const char *source,
                    const char *const *settings, size_t settings_count, struct conf_memory **memory,
                    struct problems *problems);

/**
 * For a reload: copy into `fresh` the old values of options that are not reloadable.
 * @param note  called with the name of each of them whose value differs in the file (it needs a
 *              restart to take effect)
 * Pointers of `old` are shared; `old`'s conf must outlive `fresh`.
 * @return true when any reloadable option differs
 */
bool conf_merge_reloadable(const struct cof_plugin *plugin, const void *old, void *fresh,
                           void (*note)(void *arg, const char *option), void *arg);

/** Print an option table as `cofd plugins NAME` shows it: name, type, default, bounds, help. */
void conf_print_options(FILE *out, const struct cof_option *options);

#endif
