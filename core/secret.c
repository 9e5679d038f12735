/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "secret_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cofd/secret.h>

/* Take the first line of a file, without its end. */
static enum cof_result take_line(FILE *in, const char *path, char line[SECRET_OCTETS_MAX + 3],
                                 struct cof_error *err)
{
  size_t len = fread(line, 1, SECRET_OCTETS_MAX + 2, in);
  if (ferror(in))
    return cof_fail(err, COF_REJECT, "%s: %s", path, strerror(errno));
  line[len] = '\0';
  size_t end = strcspn(line, "\n");
  if (end == len && end > SECRET_OCTETS_MAX)
    return cof_fail(err, COF_REJECT, "%s: its first line is longer than %d octets", path,
                    SECRET_OCTETS_MAX);
  if (end < len && line[end] == '\0')
    return cof_fail(err, COF_REJECT, "%s: holds a NUL octet; expected a line of text", path);
  if (end > 0 && line[end - 1] == '\r')
    end--;
  line[end] = '\0';
  for (size_t i = 0; i < end; i++)
    if ((unsigned char)line[i] < ' ' || line[i] == '\x7f')
      return cof_fail(err, COF_REJECT, "%s: holds a control character; expected a line of text",
                      path);
  return end > 0
             ? COF_OK
             : cof_fail(err, COF_REJECT, "%s: its first line is empty; expected the secret", path);
}

static enum cof_result from_file(const char *path, const char **secret, struct conf_memory **memory,
                                 struct cof_error *err)
{
  char line[SECRET_OCTETS_MAX + 3];
  FILE *in = cof_secret_open(path, err);
  if (in == NULL)
    return COF_REJECT;
  setvbuf(in, NULL, _IONBF, 0); /* no copy of it stays in a buffer */
  enum cof_result result = take_line(in, path, line, err);
  fclose(in);
  if (result == COF_OK) {
    *secret = conf_memory_text(memory, line, strlen(line));
    if (*secret == NULL)
      result = cof_fail(err, COF_FATAL, "out of memory");
  }
  explicit_bzero(line, sizeof line);
  return result;
}

static enum cof_result from_credential(const char *name, const char **secret,
                                       struct conf_memory **memory, struct cof_error *err)
{
  const char *directory = getenv("CREDENTIALS_DIRECTORY");
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return cof_fail(err, COF_REJECT, "no name after '@'; expected @/PATH/OF/A/FILE or @CREDENTIAL");
  if (directory == NULL || directory[0] == '\0')
    return cof_fail(err, COF_REJECT,
                    "there is no $CREDENTIALS_DIRECTORY to find the credential in; expected "
                    "LoadCredential= in the unit of systemd, or a file: @/PATH or @./PATH");
  char *path = conf_memory_format(memory, "%s/%s", directory, name);
  if (path == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  return from_file(path, secret, memory, err);
}

static enum cof_result check_place(const struct secret_place *place, struct cof_error *err)
{
  if (place->command_line)
    return cof_fail(err, COF_REJECT,
                    "a command line is seen in the list of processes; expected @FILE with a file "
                    "that holds it");
  if ((place->mode & (S_IRWXO | S_IWGRP)) != 0)
    return cof_fail(err, COF_REJECT,
                    "this file, whose mode is %04o, does not keep it from others; expected a mode "
                    "such as 0640 or 0600 (chmod o=,g-w), or @FILE with a file that holds it",
                    (unsigned)(place->mode & 07777));
  return COF_OK;
}

enum cof_result secret_resolve(const char *value, const struct secret_place *place,
                               const char **secret, struct conf_memory **memory,
                               struct cof_error *err)
{
  if (value[0] == '@' && value[1] != '@')
    return strchr(value, '/') != NULL ? from_file(value + 1, secret, memory, err)
                                      : from_credential(value + 1, secret, memory, err);
  *secret = value[0] == '@' ? value + 1 : value;
  return value[0] != '\0' ? check_place(place, err) : COF_OK; /* an empty one is refused anyway */
}
