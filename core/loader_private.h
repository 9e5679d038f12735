/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Finding and loading plugins by libltdl. Main thread only.
 *
 * A plugin `name` of a kind is, in each directory of the search path in turn, `<kind>/<name>.so`,
 * `<kind>/<name>.la`, or `<kind>/<name>/<name>.la` (a build tree). The first directory that has the
 * file decides; a later one of the same name is shadowed, which `cofd plugins` shows.
 */
#ifndef COFD_LOADER_PRIVATE_H
#define COFD_LOADER_PRIVATE_H

#include <stddef.h>

#include <cofd/plugin.h>

struct loader;

/**
 * @param path  directories separated by ':'; NULL: the environment's COFD_PLUGIN_PATH, else the
 *              directory chosen when built
 * @return owned by the caller; NULL when out of memory or libltdl does not start
 */
struct loader *loader_create(const char *path);
/** Close all plugins; no descriptor may be used after. Tolerates NULL, nulls the pointer. */
void loader_destroy(struct loader **loader);

/**
 * Load a plugin, or give the one loaded before.
 * @param plugin  COF_OK: the checked descriptor, owned by the loader
 * @param err     else: path, what was expected, what was found, how to mend it; for a missing one
 *                the nearest installed name; for one that does not open the text of the dynamic
 *                linker
 * Refused (COF_REJECT): no cof_plugin symbol, magic, ABI major or newer minor, struct_size or
 * option_size smaller than this host's oldest, wrong kind for its folder, name other than its file,
 * missing callbacks that its kind or capabilities demand, a broken option table.
 */
enum cof_result loader_get(struct loader *loader, enum cof_kind kind, const char *name,
                           const struct cof_plugin **plugin, struct cof_error *err);

/** The search path, as one text; owned by the loader. */
const char *loader_path(const struct loader *loader);

/** The whole text of the last refusal, of which a cof_error holds the beginning. Owned by the
 * loader, until the next call. */
const char *loader_reason(const struct loader *loader);

/** What is installed, as `cofd plugins` lists it. */
struct loader_entry {
  enum cof_kind kind;
  const char *name, *path;
  const struct cof_plugin *plugin; /**< NULL where it does not load: see error */
  const char *error;               /**< reason, or "shadowed by PATH", or NULL */
};

/** Call `fn` for each plugin found, by kind and name. */
void loader_each(struct loader *loader, void (*fn)(void *arg, const struct loader_entry *entry),
                 void *arg);

/**
 * The first plugin of a kind, by name, that has all of `caps`; those behind it are not loaded, and
 * those that do not load are passed over.
 * @return owned by the loader; NULL where there is none
 */
const struct cof_plugin *loader_first(struct loader *loader, enum cof_kind kind, uint64_t caps);

/** "input", "filter", "storage", "output"; NULL for anything else. */
const char *kind_name(enum cof_kind kind);
/** @return 0 for an unknown word */
enum cof_kind kind_parse(const char *word);

#endif
