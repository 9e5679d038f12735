/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "support_private.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(int condition, const char *what)
{
  if (condition)
    return;
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(99);
}

char *support_directory(void)
{
  const char *parent = getenv("TMPDIR");
  char *path = NULL;
  need(asprintf(&path, "%s/cofd-test-XXXXXX", parent != NULL ? parent : "/tmp") > 0, "asprintf");
  need(mkdtemp(path) != NULL, path);
  return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

void support_remove(char *directory)
{
  need(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, directory);
  free(directory);
}

/* The path of a file to be made, with the folders above it made. */
static char *path_for(const char *directory, const char *name)
{
  char *path = NULL;
  need(asprintf(&path, "%s/%s", directory, name) > 0, "asprintf");
  for (char *slash = strchr(path + strlen(directory) + 1, '/'); slash != NULL;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    need(mkdir(path, 0700) == 0 || errno == EEXIST, path);
    *slash = '/';
  }
  return path;
}

char *support_file(const char *directory, const char *name, const char *text)
{
  char *path = path_for(directory, name);
  FILE *file = fopen(path, "w");
  need(file != NULL, path);
  need(fputs(text, file) >= 0 && fclose(file) == 0, path);
  return path;
}

void support_plugin(const char *directory, const char *object, const char *name)
{
  char *path = path_for(directory, name);
  char *target = NULL;
  need(asprintf(&target, "%s/%s.so", TEST_PLUGINS, object) > 0, "asprintf");
  need(access(target, R_OK) == 0, target);
  need(symlink(target, path) == 0, path);
  free(target);
  free(path);
}

char *support_plugins(void)
{
  char *directory = support_directory();
  support_plugin(directory, "feed", "input/feed.so");
  support_plugin(directory, "sieve", "filter/sieve.so");
  support_plugin(directory, "plain", "storage/plain.so");
  support_plugin(directory, "api", "output/api.so");
  return directory;
}
