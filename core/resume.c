/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include "resume_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cofd/query.h>

#include "instance_private.h"

#define HEAD "cofd-resume 1\n"
/* `what`, a token in hexadecimal, and the rest. */
#define FILE_SIZE_MAX (RESUME_WHAT_MAX + 2 * COF_TOKEN_MAX + 512)

bool resume_set_token(struct resume *r, const void *token, size_t len)
{
  uint8_t *copy = malloc(len + 1);
  if (copy == NULL)
    return false;
  memcpy(copy, token, len);
  free(r->token);
  r->token = copy;
  r->token_len = len;
  return true;
}

void resume_free(struct resume *r)
{
  free(r->token);
  r->token = NULL;
  r->token_len = 0;
}

static int digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_token(struct resume *r, const char *text)
{
  size_t len = strlen(text) / 2;
  uint8_t *token = malloc(len + 1);
  bool ok = token != NULL && strlen(text) % 2 == 0 && len <= COF_TOKEN_MAX;
  for (size_t i = 0; ok && i < len; i++) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    ok = high >= 0 && low >= 0;
    token[i] = (uint8_t)(high << 4 | low);
  }
  if (!ok) {
    free(token);
    return false;
  }
  free(r->token);
  r->token = token;
  r->token_len = len;
  return true;
}

/* The value of the next line, which must have that key; it is cut out of the text. */
static const char *take(char **text, const char *key)
{
  size_t len = strlen(key);
  char *line = *text, *end = strchr(line, '\n');
  if (end == NULL || strncmp(line, key, len) != 0 || line[len] != ' ')
    return NULL;
  *end = '\0';
  *text = end + 1;
  return line + len + 1;
}

static bool take_number(char **text, const char *key, uint64_t *number)
{
  char *end;
  const char *value = take(text, key);
  if (value == NULL || digit(*value) < 0)
    return false;
  errno = 0;
  *number = strtoull(value, &end, 10);
  return errno == 0 && *end == '\0';
}

static enum cof_result parse(struct resume *r, char *text, struct cof_error *err)
{
  struct resume got = *r;
  uint64_t fresh;
  const char *what, *token;
  got.token = NULL;
  if (strncmp(text, HEAD, sizeof HEAD - 1) != 0)
    return cof_fail(err, COF_REJECT, "%s: not a state file of cofd; name another", r->file);
  text += sizeof HEAD - 1;
  what = take(&text, "what");
  if (what != NULL && strcmp(what, r->what) != 0)
    return cof_fail(err, COF_REJECT,
                    "%s: belongs to \"%.60s\", and this is \"%.60s\"; name another, or remove it",
                    r->file, what, r->what);
  bool ok = what != NULL && take_number(&text, "records", &got.records) &&
            take_number(&text, "refused", &got.refused) && take_number(&text, "sum", &got.sum) &&
            take_number(&text, "octets", &got.octets) && take_number(&text, "fresh", &fresh) &&
            (token = take(&text, "token")) != NULL && *text == '\0' && parse_token(&got, token);
  if (!ok)
    return cof_fail(err, COF_REJECT, "%s: damaged; remove it to begin anew", r->file);
  got.fresh = fresh != 0;
  free(r->token);
  *r = got;
  return COF_OK;
}

static enum cof_result failed(const char *file, const char *what, struct cof_error *err)
{
  return cof_fail(err, COF_FATAL, "%s: cannot %s: %s", file, what, strerror(errno));
}

enum cof_result resume_load(struct resume *r, bool *found, struct cof_error *err)
{
  *found = false;
  FILE *file = r->file != NULL ? fopen(r->file, "re") : NULL;
  if (file == NULL)
    return r->file == NULL || errno == ENOENT ? COF_OK : failed(r->file, "be read", err);
  char *text = calloc(1, FILE_SIZE_MAX + 1);
  size_t len = text != NULL ? fread(text, 1, FILE_SIZE_MAX, file) : 0;
  enum cof_result result = COF_OK;
  if (text == NULL || ferror(file))
    result = failed(r->file, "be read", err);
  fclose(file);
  if (result == COF_OK) {
    text[len] = '\0';
    result = parse(r, text, err);
  }
  free(text);
  *found = result == COF_OK;
  return result;
}

static bool print(FILE *file, const struct resume *r)
{
  fprintf(file,
          HEAD "what %s\nrecords %" PRIu64 "\nrefused %" PRIu64 "\nsum %" PRIu64 "\noctets %" PRIu64
               "\nfresh %d\ntoken ",
          r->what, r->records, r->refused, r->sum, r->octets, r->fresh ? 1 : 0);
  for (size_t i = 0; i < r->token_len; i++)
    fprintf(file, "%02x", r->token[i]);
  fputc('\n', file);
  return fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
}

/* The name of a file is durable once its folder is. */
static bool sync_folder(const char *path)
{
  char *folder = strdup(path);
  if (folder == NULL)
    return false;
  char *slash = strrchr(folder, '/');
  if (slash != NULL)
    slash[slash == folder ? 1 : 0] = '\0';
  int fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0)
    close(fd);
  free(folder);
  return ok;
}

enum cof_result resume_save(struct resume *r, struct cof_error *err)
{
  char *fresh = NULL;
  if (r->file == NULL)
    return COF_OK;
  if (asprintf(&fresh, "%s.new", r->file) < 0)
    return failed(r->file, "be written", err);
  FILE *file = fopen(fresh, "we");
  bool ok = file != NULL && print(file, r);
  int error = errno;
  if (file != NULL && fclose(file) != 0 && ok) {
    error = errno;
    ok = false;
  }
  errno = error;
  ok = ok && rename(fresh, r->file) == 0 && sync_folder(r->file);
  enum cof_result result = ok ? COF_OK : failed(r->file, "be written", err);
  if (!ok && file != NULL)
    unlink(fresh);
  free(fresh);
  r->saved_ns = clock_ns();
  return result;
}

enum cof_result resume_remove(const struct resume *r, struct cof_error *err)
{
  if (r->file == NULL || unlink(r->file) == 0 || errno == ENOENT)
    return COF_OK;
  return failed(r->file, "be removed", err);
}
