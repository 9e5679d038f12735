/* SPDX-License-Identifier: MIT */
#include "paths_private.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void path_list_free(struct path_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    free(list->items[i]);
  free(list->items);
  *list = (struct path_list){0};
}

/* Takes the path over, also when it fails. */
static bool adopt(struct path_list *list, char *path)
{
  if (path == NULL)
    return false;
  if (list->count == list->room) {
    size_t room = list->room != 0 ? list->room * 2 : 64;
    char **items = realloc(list->items, room * sizeof *items);
    if (items == NULL) {
      free(path);
      return false;
    }
    list->items = items;
    list->room = room;
  }
  list->items[list->count++] = path;
  return true;
}

bool path_list_add(struct path_list *list, const char *path)
{
  return adopt(list, strdup(path));
}

bool path_is_stdin(const char *spec)
{
  return strcmp(spec, "-") == 0;
}

static bool is_glob(const char *spec)
{
  return strpbrk(spec, "*?[") != NULL;
}

static bool is_directory(const char *path)
{
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool exists(const char *path)
{
  struct stat st;
  return lstat(path, &st) == 0;
}

bool path_is_pattern(const char *spec)
{
  return is_directory(spec) || (is_glob(spec) && !exists(spec));
}

/* Directory part; "" where there is none. */
static char *parent_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    return strdup("");
  while (slash > path && slash[-1] == '/')
    slash--;
  return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

char *path_join(const char *directory, const char *name)
{
  size_t len = strlen(directory), name_len = strlen(name);
  while (len > 1 && directory[len - 1] == '/')
    len--;
  char *path = malloc(len + name_len + 2);
  if (path == NULL)
    return NULL;
  memcpy(path, directory, len);
  if (len > 0 && directory[len - 1] != '/')
    path[len++] = '/';
  memcpy(path + len, name, name_len + 1);
  return path;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether a directory entry is a file that is meant. Where the kernel does not tell, stat() does.
 */
static bool is_file(const struct dirent *entry, const char *path)
{
  if (entry->d_type == DT_REG)
    return true;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
    return false;
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool add_entries(DIR *dir, const char *path, struct path_list *list)
{
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] == '.')
      continue;
    char *file = path_join(path, entry->d_name);
    if (file == NULL)
      return false;
    if (!is_file(entry, file))
      free(file);
    else if (!adopt(list, file))
      return false;
    errno = 0;
  }
  return true;
}

static bool add_directory(struct cof_host *host, const char *path, bool log_errors,
                          struct path_list *list)
{
  size_t before = list->count;
  DIR *dir = opendir(path);
  bool done = true;
  errno = dir != NULL ? 0 : errno;
  if (dir != NULL)
    done = add_entries(dir, path, list);
  if (errno != 0 && done && log_errors)
    cof_log(host, COF_LOG_ERROR, "directory %s: %s", path, strerror(errno));
  if (dir != NULL)
    closedir(dir);
  if (list->count > before)
    qsort(list->items + before, list->count - before, sizeof *list->items, by_name);
  return done;
}

static bool add_any(struct cof_host *host, const char *path, bool log_errors,
                    struct path_list *list)
{
  if (is_directory(path))
    return add_directory(host, path, log_errors, list);
  return path_list_add(list, path);
}

static bool add_glob(struct cof_host *host, const char *spec, bool log_errors,
                     struct path_list *list)
{
  glob_t found = {0};
  int result = glob(spec, GLOB_NOSORT, NULL, &found);
  bool done = result != GLOB_NOSPACE;
  if (result == GLOB_ABORTED && log_errors)
    cof_log(host, COF_LOG_ERROR, "%s: %s", spec, strerror(errno));
  if (result == 0)
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_name);
  for (size_t i = 0; i < found.gl_pathc && done; i++)
    done = add_any(host, found.gl_pathv[i], log_errors, list);
  globfree(&found);
  return done;
}

bool paths_expand(struct cof_host *host, const char *spec, bool log_errors, struct path_list *list)
{
  if (!exists(spec) && is_glob(spec))
    return add_glob(host, spec, log_errors, list);
  return add_any(host, spec, log_errors, list);
}

bool path_matches(const char *spec, const char *path)
{
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  if (strcmp(spec, path) == 0 ||
      (is_glob(spec) && fnmatch(spec, path, FNM_PATHNAME | FNM_PERIOD) == 0))
    return true;
  if (name[0] == '.')
    return false;
  char *parent = parent_of(path), *whole = path_join(spec, "");
  bool matches = false;
  if (parent != NULL && whole != NULL) {
    size_t len = strlen(whole);
    if (len > 1)
      whole[len - 1] = '\0'; /* without its last slash */
    matches = *parent != '\0' &&
              (strcmp(whole, parent) == 0 ||
               (is_glob(spec) && fnmatch(whole, parent, FNM_PATHNAME | FNM_PERIOD) == 0));
  }
  free(parent);
  free(whole);
  return matches;
}

/* The directory itself, or its nearest ancestor that exists. */
static bool add_existing(const char *path, struct path_list *list)
{
  char *at = strdup(path);
  while (at != NULL && *at != '\0' && !is_directory(at)) {
    char *up = parent_of(at);
    free(at);
    at = up;
  }
  return adopt(list, at);
}

/* Every directory on the way that a glob's wildcards range over. */
static bool add_levels(const char *spec, struct path_list *list)
{
  char *level = strdup(spec);
  bool done = level != NULL;
  while (done && is_glob(level)) {
    char *up = parent_of(level);
    free(level);
    level = up;
    if (level == NULL)
      return false;
    if (!is_glob(level))
      break;
    glob_t found = {0};
    done = glob(level, GLOB_NOSORT, NULL, &found) != GLOB_NOSPACE;
    for (size_t i = 0; i < found.gl_pathc && done; i++)
      if (is_directory(found.gl_pathv[i]))
        done = path_list_add(list, found.gl_pathv[i]);
    globfree(&found);
  }
  if (done)
    done = add_existing(level, list);
  free(level);
  return done;
}

/* Directories that a glob matches, whose files are meant. */
static bool add_matched(const char *spec, struct path_list *list)
{
  glob_t found = {0};
  bool done = glob(spec, GLOB_NOSORT | GLOB_ONLYDIR, NULL, &found) != GLOB_NOSPACE;
  for (size_t i = 0; i < found.gl_pathc && done; i++)
    if (is_directory(found.gl_pathv[i]))
      done = path_list_add(list, found.gl_pathv[i]);
  globfree(&found);
  return done;
}

bool paths_directories(const char *spec, struct path_list *list)
{
  if (is_directory(spec))
    return path_list_add(list, spec);
  if (is_glob(spec) && !exists(spec))
    return add_levels(spec, list) && add_matched(spec, list);
  char *parent = parent_of(spec);
  bool done = parent != NULL && add_existing(parent, list);
  free(parent);
  return done;
}
