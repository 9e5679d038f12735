/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Runs a fuzz target over files instead of under libFuzzer, and prints TAP: each file of the corpus
 * directory that bears the target's name, in $srcdir/tests/fuzz/corpus, or those named as
 * arguments.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX ((size_t)1024 * 1024)

/* @return whether the file could be read; what the target finds wrong ends the process */
static int replay(const char *path)
{
  uint8_t *data = malloc(FILE_MAX);
  FILE *in = fopen(path, "rb");
  size_t size = 0;
  int ok = data != NULL && in != NULL;
  if (ok) {
    size = fread(data, 1, FILE_MAX, in);
    ok = !ferror(in) && feof(in);
  }
  if (in != NULL)
    fclose(in);
  uint8_t *exact = ok ? malloc(size > 0 ? size : 1) : NULL; /* so that reading beyond it shows */
  ok = exact != NULL;
  if (ok) {
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
  }
  free(exact);
  free(data);
  return ok;
}

static int not_hidden(const struct dirent *entry)
{
  return entry->d_name[0] != '.';
}

static int replay_dir(const char *dir)
{
  struct dirent **entries = NULL;
  int count = scandir(dir, &entries, not_hidden, alphasort), bad = 0;
  if (count <= 0) {
    printf("1..1\nnot ok 1 - no corpus in %s: %s\n", dir, count < 0 ? strerror(errno) : "empty");
    free(entries);
    return 1;
  }
  printf("1..%d\n", count);
  for (int i = 0; i < count; i++) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
    int ok = len > 0 && (size_t)len < sizeof path && replay(path);
    printf("%s %d - %s\n", ok ? "ok" : "not ok", i + 1, entries[i]->d_name);
    fflush(stdout);
    bad += !ok;
    free(entries[i]);
  }
  free(entries);
  return bad != 0;
}

int main(int argc, char **argv)
{
  const char *srcdir = getenv("srcdir"), *slash = strrchr(argv[0], '/');
  const char *name = slash != NULL ? slash + 1 : argv[0];
  char dir[PATH_MAX];
  for (int i = 1; i < argc; i++)
    if (!replay(argv[i]))
      return fprintf(stderr, "%s: cannot be read\n", argv[i]), 1;
  if (argc > 1)
    return 0;
  const char *dash = strstr(name, "fuzz-"); /* libtool may have put "lt-" before it */
  name = dash != NULL ? dash + 5 : name;
  int len =
      snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".", name);
  return len > 0 && (size_t)len < sizeof dir ? replay_dir(dir) : 1;
}
