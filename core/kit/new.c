/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `cofd plugin new`: the template, with the names filled in. */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../descriptor_private.h"
#include "../loader_private.h"
#include "kit_private.h"

#define TEXT_MAX 65536 /* octets of one file of the template */

struct names {
  const char *name, *kind;
  char ident[PLUGIN_NAME_MAX + 1]; /* the name as C and make take it */
  const char *directory;
  unsigned files;
};

static const char *sdk_dir(void)
{
  const char *dir = getenv("COFD_SDK_DIR");
  return dir != NULL ? dir : COFD_SDK_DIR;
}

static char *read_whole(const char *path)
{
  FILE *file = fopen(path, "re");
  char *text = calloc(1, TEXT_MAX + 1);
  size_t len = file != NULL && text != NULL ? fread(text, 1, TEXT_MAX, file) : 0;
  bool whole = file != NULL && text != NULL && len < TEXT_MAX && ferror(file) == 0;
  if (!whole)
    fprintf(stderr, "cofd: %s: %s\n", path,
            file == NULL ? strerror(errno) : "is longer than a file of a template may be");
  if (file != NULL)
    fclose(file);
  if (!whole) {
    free(text);
    return NULL;
  }
  return text;
}

/* Copies text with each @name@, @ident@ and @kind@ replaced. */
static void write_filled(FILE *out, const char *text, const struct names *n)
{
  const char *const words[][2] = {{"@name@", n->name}, {"@ident@", n->ident}, {"@kind@", n->kind}};
  while (*text != '\0') {
    size_t i = 0;
    while (i < 3 && strncmp(text, words[i][0], strlen(words[i][0])) != 0)
      i++;
    if (i < 3) {
      fputs(words[i][1], out);
      text += strlen(words[i][0]);
    } else {
      fputc(*text++, out);
    }
  }
}

/* A file of the template named plugin.EXT becomes NAME.EXT. */
static bool copy_file(const char *from, const char *base, struct names *n)
{
  char path[4096];
  if (strncmp(base, "plugin.", 7) == 0)
    snprintf(path, sizeof path, "%s/%s.%s", n->directory, n->name, base + 7);
  else
    snprintf(path, sizeof path, "%s/%s", n->directory, base);
  char *text = read_whole(from);
  FILE *out = text != NULL ? fopen(path, "wxe") : NULL;
  if (text != NULL && out == NULL)
    fprintf(stderr, "cofd: %s: %s\n", path, strerror(errno));
  if (out != NULL)
    write_filled(out, text, n);
  free(text);
  if (out == NULL)
    return false;
  bool written = ferror(out) == 0;
  if (fclose(out) != 0 || !written) {
    fprintf(stderr, "cofd: %s: %s\n", path, strerror(errno));
    return false;
  }
  printf("%s\n", path);
  n->files++;
  return true;
}

static bool copy_directory(const char *part, struct names *n)
{
  char dir[2048], from[4096];
  snprintf(dir, sizeof dir, "%s/template/%s", sdk_dir(), part);
  DIR *stream = opendir(dir);
  if (stream == NULL) {
    fprintf(stderr, "cofd: %s: %s; it comes with the SDK (COFD_SDK_DIR says where that is)\n", dir,
            strerror(errno));
    return false;
  }
  bool ok = true;
  const struct dirent *entry;
  while (ok && (entry = readdir(stream)) != NULL) {
    size_t len = strlen(entry->d_name);
    if (entry->d_name[0] == '.' || entry->d_name[len - 1] == '~')
      continue;
    snprintf(from, sizeof from, "%s/%s", dir, entry->d_name);
    ok = copy_file(from, entry->d_name, n);
  }
  closedir(stream);
  return ok;
}

int kit_new(const char *name, enum cof_kind kind, const char *directory)
{
  struct names n = {.name = name, .kind = kind_name(kind), .directory = directory};
  if (!is_plugin_name(name) || name[0] < 'a' || name[0] > 'z') {
    fprintf(stderr,
            "cofd: '%s' is no name for a plugin; expected a lower case letter, then lower case "
            "letters, digits and hyphens, %d at most\n",
            name, PLUGIN_NAME_MAX);
    return 1;
  }
  for (size_t i = 0; name[i] != '\0'; i++)
    n.ident[i] = name[i] == '-' ? '_' : name[i];
  if (mkdir(directory, 0777) != 0) {
    fprintf(stderr, "cofd: %s: %s; expected a directory that is not there yet\n", directory,
            strerror(errno));
    return 1;
  }
  if (!copy_directory("common", &n) || !copy_directory(n.kind, &n))
    return 1;
  printf("Made %u files. Next: cd %s && make -f Makefile.simple && make -f Makefile.simple check\n",
         n.files, directory);
  return fflush(stdout) == 0 ? 0 : 1;
}
