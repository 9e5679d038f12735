/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "loader_private.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <ltdl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "descriptor_private.h"
#include "suggest_private.h"

#define REASON_MAX 2048

static const char *const kind_names[] = {NULL, "input", "filter", "storage", "output"};

/* A plugin that is open. */
struct loaded {
  struct loaded *next;
  enum cof_kind kind;
  char *name;
  lt_dlhandle handle;
  const struct cof_plugin *plugin;
};

struct loader {
  char **dirs; /* search path, NULL-terminated */
  char *path;  /* the same as one text, for messages */
  struct loaded *loaded;
  lt_dladvise advise;
  char reason[REASON_MAX];
};

/* One file that was found. */
struct found {
  enum cof_kind kind;
  char *name, *path;
  size_t order; /* in the search path */
};

struct found_list {
  struct found *items;
  size_t count, cap;
  bool failed;
};

const char *kind_name(enum cof_kind kind)
{
  return kind >= COF_KIND_INPUT && kind <= COF_KIND_OUTPUT ? kind_names[kind] : NULL;
}

enum cof_kind kind_parse(const char *word)
{
  for (enum cof_kind kind = COF_KIND_INPUT; kind <= COF_KIND_OUTPUT; kind++)
    if (strcmp(kind_names[kind], word) == 0)
      return kind;
  return 0;
}

static const char *with_article(enum cof_kind kind)
{
  static const char *const names[] = {"", "an input", "a filter", "a storage", "an output"};
  return kind >= COF_KIND_INPUT && kind <= COF_KIND_OUTPUT ? names[kind] : "no";
}

/* --- beginning and end ---------------------------------------------------------------------- */

static bool split_path(struct loader *loader)
{
  size_t count = 1;
  for (const char *s = loader->path; *s != '\0'; s++)
    count += *s == ':';
  loader->dirs = calloc(count + 1, sizeof *loader->dirs);
  if (loader->dirs == NULL)
    return false;
  size_t n = 0;
  for (const char *s = loader->path; *s != '\0'; s += *s == ':') {
    size_t len = strcspn(s, ":");
    if (len > 0 && (loader->dirs[n++] = strndup(s, len)) == NULL)
      return false;
    s += len;
  }
  return true;
}

struct loader *loader_create(const char *path)
{
  if (path == NULL)
    path = getenv("COFD_PLUGIN_PATH");
  if (path == NULL)
    path = COFD_PLUGIN_DIR;
  if (lt_dlinit() != 0)
    return NULL;
  struct loader *loader = calloc(1, sizeof *loader);
  if (loader == NULL) {
    lt_dlexit();
    return NULL;
  }
  loader->path = strdup(path);
  if (loader->path == NULL || !split_path(loader) || lt_dladvise_init(&loader->advise) != 0 ||
      lt_dladvise_local(&loader->advise) != 0)
    loader_destroy(&loader);
  return loader;
}

void loader_destroy(struct loader **loader)
{
  if (loader == NULL || *loader == NULL)
    return;
  struct loader *l = *loader;
  while (l->loaded != NULL) {
    struct loaded *first = l->loaded;
    l->loaded = first->next;
    lt_dlclose(first->handle);
    free(first->name);
    free(first);
  }
  for (size_t i = 0; l->dirs != NULL && l->dirs[i] != NULL; i++)
    free(l->dirs[i]);
  free(l->dirs);
  free(l->path);
  if (l->advise != NULL)
    lt_dladvise_destroy(&l->advise);
  lt_dlexit();
  free(l);
  *loader = NULL;
}

const char *loader_path(const struct loader *loader)
{
  return loader->path;
}

const char *loader_reason(const struct loader *loader)
{
  return loader->reason;
}

/* Keep the whole reason, and give its beginning. */
__attribute__((format(printf, 3, 4))) static enum cof_result
refuse(struct loader *loader, struct cof_error *err, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(loader->reason, sizeof loader->reason, fmt, ap);
  va_end(ap);
  return cof_fail(err, COF_REJECT, "%s", loader->reason);
}

/* --- finding -------------------------------------------------------------------------------- */

static bool is_file(const char *path)
{
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file of a plugin within one directory; NULL: none there, or out of memory. */
static char *file_in(const char *dir, enum cof_kind kind, const char *name)
{
  /* What stands between the folder of the kind and the file name. */
  const char *const middle[] = {"", "", name};
  const char *const end[] = {".so", ".la", ".la"};
  for (size_t i = 0; i < sizeof end / sizeof *end; i++) {
    char *path = NULL;
    if (asprintf(&path, "%s/%s/%s%s%s%s", dir, kind_name(kind), middle[i],
                 middle[i][0] != '\0' ? "/" : "", name, end[i]) < 0)
      return NULL;
    if (is_file(path))
      return path;
    free(path);
  }
  return NULL;
}

static char *find_file(const struct loader *loader, enum cof_kind kind, const char *name)
{
  char *path = NULL;
  for (size_t i = 0; loader->dirs[i] != NULL && path == NULL; i++)
    path = file_in(loader->dirs[i], kind, name);
  return path;
}

static void add_found(struct found_list *list, enum cof_kind kind, const char *name, char *path,
                      size_t order)
{
  if (list->count == list->cap) {
    size_t cap = list->cap == 0 ? 32 : list->cap * 2;
    struct found *items = realloc(list->items, cap * sizeof *items);
    if (items == NULL) {
      free(path);
      list->failed = true;
      return;
    }
    list->items = items;
    list->cap = cap;
  }
  char *copy = strdup(name);
  if (copy == NULL) {
    free(path);
    list->failed = true;
    return;
  }
  list->items[list->count++] = (struct found){kind, copy, path, order};
}

static bool is_found(const struct found_list *list, enum cof_kind kind, const char *name,
                     size_t order)
{
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i].kind == kind && list->items[i].order == order &&
        strcmp(list->items[i].name, name) == 0)
      return true;
  return false;
}

/* A name in a plugin directory: a file NAME.so or NAME.la, or a folder NAME with NAME.la. */
static void take_file(struct found_list *list, const char *dir, size_t order, enum cof_kind kind,
                      const char *file)
{
  char name[PLUGIN_NAME_MAX + 8];
  size_t len = strlen(file);
  if (file[0] == '.' || len >= sizeof name)
    return;
  memcpy(name, file, len + 1);
  if (len > 3 && (strcmp(name + len - 3, ".so") == 0 || strcmp(name + len - 3, ".la") == 0))
    name[len - 3] = '\0';
  if (is_found(list, kind, name, order))
    return;
  char *path = file_in(dir, kind, name);
  if (path != NULL)
    add_found(list, kind, name, path, order);
}

static void scan(struct found_list *list, const char *dir, size_t order, enum cof_kind kind)
{
  char *path = NULL;
  if (asprintf(&path, "%s/%s", dir, kind_name(kind)) < 0) {
    list->failed = true;
    return;
  }
  DIR *stream = opendir(path);
  free(path);
  if (stream == NULL)
    return;
  const struct dirent *entry;
  while ((entry = readdir(stream)) != NULL)
    take_file(list, dir, order, kind, entry->d_name);
  closedir(stream);
}

static int by_kind_and_name(const void *a, const void *b)
{
  const struct found *x = a, *y = b;
  if (x->kind != y->kind)
    return x->kind < y->kind ? -1 : 1;
  int names = strcmp(x->name, y->name);
  if (names != 0)
    return names;
  return x->order < y->order ? -1 : x->order > y->order;
}

static void find_all(const struct loader *loader, struct found_list *list)
{
  *list = (struct found_list){0};
  for (size_t i = 0; loader->dirs[i] != NULL; i++)
    for (enum cof_kind kind = COF_KIND_INPUT; kind <= COF_KIND_OUTPUT; kind++)
      scan(list, loader->dirs[i], i, kind);
  if (list->count > 1)
    qsort(list->items, list->count, sizeof *list->items, by_kind_and_name);
}

static void free_found(struct found_list *list)
{
  for (size_t i = 0; i < list->count; i++) {
    free(list->items[i].name);
    free(list->items[i].path);
  }
  free(list->items);
}

/* Say what there is in place of a plugin that is not there. */
static enum cof_result not_found(struct loader *loader, enum cof_kind kind, const char *name,
                                 struct cof_error *err)
{
  struct found_list list;
  find_all(loader, &list);
  struct suggest search;
  suggest_begin(&search, name);
  enum cof_kind other = 0;
  for (size_t i = 0; i < list.count; i++) {
    if (list.items[i].kind == kind)
      suggest_offer(&search, list.items[i].name);
    else if (strcmp(list.items[i].name, name) == 0)
      other = list.items[i].kind;
  }
  enum cof_result result;
  if (other != 0)
    result = refuse(loader, err, "'%s' is %s plugin, not %s plugin; expected [%s.NAME]", name,
                    with_article(other), with_article(kind), kind_name(other));
  else if (search.best != NULL)
    result = refuse(loader, err, "no %s plugin '%s' in %s; did you mean '%s'?", kind_name(kind),
                    name, loader->path, search.best);
  else
    result = refuse(loader, err, "no %s plugin '%s' in %s; 'cofd plugins' lists what is installed",
                    kind_name(kind), name, loader->path);
  free_found(&list);
  return result;
}

/* --- opening -------------------------------------------------------------------------------- */

/* The shared object that a libtool archive stands for; NULL: it does not say. */
static char *object_of_archive(const char *path)
{
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return NULL;
  char line[4096], object[512] = "", libdir[1024] = "";
  bool installed = true;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strcmp(line, "installed=no\n") == 0)
      installed = false;
    /* Neither text is there when its pattern does not match. */
    if (sscanf(line, "dlname='%511[^']'", object) < 1)
      (void)sscanf(line, "libdir='%1023[^']'", libdir);
  }
  fclose(file);
  const char *slash = strrchr(path, '/');
  char *result = NULL;
  int len = -1;
  if (object[0] != '\0' && !installed)
    len = asprintf(&result, "%.*s/.libs/%s", slash != NULL ? (int)(slash - path) : 1,
                   slash != NULL ? path : ".", object);
  else if (object[0] != '\0')
    len = asprintf(&result, "%s/%s", libdir, object);
  return len < 0 ? NULL : result;
}

/*
 * Open for trial, with everything bound. libltdl binds lazily, so that a missing function would
 * show under traffic only, and it words any failure as "file not found".
 */
static void *open_for_trial(struct loader *loader, const char *path, struct cof_error *err)
{
  size_t len = strlen(path);
  bool archive = len > 3 && strcmp(path + len - 3, ".la") == 0;
  char *object = archive ? object_of_archive(path) : NULL;
  if (archive && object == NULL) {
    refuse(loader, err, "%s: not a libtool archive of a module; expected one with a dlname", path);
    return NULL;
  }
  void *handle = dlopen(archive ? object : path, RTLD_NOW | RTLD_LOCAL);
  const char *why = handle == NULL ? dlerror() : NULL;
  if (handle == NULL)
    refuse(loader, err, "%s: does not open: %s; rebuild or reinstall it for this system", path,
           why != NULL ? why : "no reason given");
  free(object);
  return handle;
}

static lt_dlhandle open_file(struct loader *loader, const char *path, struct cof_error *err)
{
  void *trial = open_for_trial(loader, path, err);
  if (trial == NULL)
    return NULL;
  lt_dlhandle handle = lt_dlopenadvise(path, loader->advise);
  if (handle == NULL) {
    const char *why = lt_dlerror();
    refuse(loader, err, "%s: does not open: %s", path, why != NULL ? why : "no reason given");
  }
  dlclose(trial);
  return handle;
}

static enum cof_result keep(struct loader *loader, enum cof_kind kind, const char *name,
                            lt_dlhandle handle, const struct cof_plugin *plugin,
                            struct cof_error *err)
{
  struct loaded *loaded = calloc(1, sizeof *loaded);
  char *copy = strdup(name);
  if (loaded == NULL || copy == NULL) {
    free(loaded);
    free(copy);
    refuse(loader, err, "out of memory");
    return COF_FATAL;
  }
  *loaded = (struct loaded){loader->loaded, kind, copy, handle, plugin};
  loader->loaded = loaded;
  return COF_OK;
}

static enum cof_result load(struct loader *loader, enum cof_kind kind, const char *name,
                            const char *path, const struct cof_plugin **plugin,
                            struct cof_error *err)
{
  lt_dlhandle handle = open_file(loader, path, err);
  if (handle == NULL)
    return COF_REJECT;
  struct cof_error why;
  enum cof_result result;
  const struct cof_plugin *descriptor = lt_dlsym(handle, COF_PLUGIN_SYMBOL);
  if (descriptor == NULL)
    result = refuse(loader, err,
                    "%s: exports no symbol '%s'; expected a descriptor marked "
                    "COF_PLUGIN_EXPORT (is it a cofd plugin?)",
                    path, COF_PLUGIN_SYMBOL);
  else if (descriptor_check(descriptor, kind, name, &why) != COF_OK)
    result = refuse(loader, err, "%s: %s", path, why.text);
  else
    result = keep(loader, kind, name, handle, descriptor, err);
  if (result != COF_OK)
    lt_dlclose(handle);
  else
    *plugin = descriptor;
  return result;
}

enum cof_result loader_get(struct loader *loader, enum cof_kind kind, const char *name,
                           const struct cof_plugin **plugin, struct cof_error *err)
{
  loader->reason[0] = '\0';
  for (const struct loaded *l = loader->loaded; l != NULL; l = l->next)
    if (l->kind == kind && strcmp(l->name, name) == 0) {
      *plugin = l->plugin;
      return COF_OK;
    }
  if (kind_name(kind) == NULL || !is_plugin_name(name))
    return refuse(loader, err,
                  "'%.60s' is no plugin name; expected 1 to %d lower case letters, digits, hyphens",
                  name, PLUGIN_NAME_MAX);
  char *path = find_file(loader, kind, name);
  if (path == NULL)
    return not_found(loader, kind, name, err);
  enum cof_result result = load(loader, kind, name, path, plugin, err);
  free(path);
  return result;
}

static void show(struct loader *loader, const struct found *found, const struct found *winner,
                 void (*fn)(void *arg, const struct loader_entry *entry), void *arg)
{
  char shadowed[REASON_MAX];
  struct cof_error why;
  struct loader_entry entry = {.kind = found->kind, .name = found->name, .path = found->path};
  if (found != winner) {
    snprintf(shadowed, sizeof shadowed, "shadowed by %s", winner->path);
    entry.error = shadowed;
  } else if (loader_get(loader, found->kind, found->name, &entry.plugin, &why) != COF_OK) {
    entry.plugin = NULL;
    entry.error = loader->reason;
  }
  fn(arg, &entry);
}

void loader_each(struct loader *loader, void (*fn)(void *arg, const struct loader_entry *entry),
                 void *arg)
{
  struct found_list list;
  find_all(loader, &list);
  const struct found *winner = NULL;
  for (size_t i = 0; i < list.count; i++) {
    const struct found *found = &list.items[i];
    if (winner == NULL || winner->kind != found->kind || strcmp(winner->name, found->name) != 0)
      winner = found;
    show(loader, found, winner, fn, arg);
  }
  free_found(&list);
}

const struct cof_plugin *loader_first(struct loader *loader, enum cof_kind kind, uint64_t caps)
{
  struct found_list list;
  const struct cof_plugin *first = NULL;
  find_all(loader, &list);
  for (size_t i = 0; first == NULL && i < list.count; i++) {
    const struct found *found = &list.items[i];
    const struct cof_plugin *plugin = NULL;
    struct cof_error why;
    if (found->kind == kind && loader_get(loader, kind, found->name, &plugin, &why) == COF_OK &&
        (plugin->caps & caps) == caps)
      first = plugin;
  }
  free_found(&list);
  return first;
}
