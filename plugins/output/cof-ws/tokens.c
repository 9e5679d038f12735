/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ws_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/secret.h>

/* Most tokens; all are looked through for each connection. */
#define TOKENS_MAX 1024

struct token {
  size_t len;
  char text[TOKEN_MAX];
};

struct tokens {
  size_t count;
  struct token list[TOKENS_MAX];
};

/* White space around it, and a comment, do not belong to a token. */
static bool take_line(struct tokens *t, char *line, unsigned number, const char *file,
                      struct cof_error *err)
{
  char *p = line + strspn(line, " \t\r\n");
  if (*p == '\0' || *p == '#')
    return true;
  size_t len = strcspn(p, " \t\r\n");
  for (size_t i = 0; i < len; i++)
    if (p[i] < 0x21 || p[i] > 0x7e)
      len = 0;
  if (len < TOKEN_MIN || len > TOKEN_MAX || p[len + strspn(p + len, " \t\r\n")] != '\0') {
    cof_fail(err, COF_REJECT,
             "%s:%u: is no token; expected %d to %d printable ASCII characters without blanks",
             file, number, TOKEN_MIN, TOKEN_MAX);
    return false;
  }
  if (t->count == TOKENS_MAX) {
    cof_fail(err, COF_REJECT, "%s:%u: expected at most %d tokens", file, number, TOKENS_MAX);
    return false;
  }
  struct token *token = &t->list[t->count++];
  token->len = len;
  memcpy(token->text, p, len);
  return true;
}

static bool take_all(struct tokens *t, FILE *in, const char *file, struct cof_error *err)
{
  char line[1024];
  unsigned number = 1;
  for (; fgets(line, sizeof line, in) != NULL; number++) {
    if (strchr(line, '\n') == NULL && !feof(in)) {
      cof_fail(err, COF_REJECT, "%s:%u: expected at most %zu octets a line", file, number,
               sizeof line - 2);
      return false;
    }
    if (!take_line(t, line, number, file, err))
      return false;
  }
  if (ferror(in) || t->count == 0)
    cof_fail(err, COF_REJECT, "%s: %s", file,
             ferror(in) ? strerror(errno) : "has no token in it; expected one a line");
  explicit_bzero(line, sizeof line);
  return !ferror(in) && t->count != 0;
}

struct tokens *tokens_read(const char *file, struct cof_error *err)
{
  struct tokens *t = calloc(1, sizeof *t);
  FILE *in = NULL;
  if (t == NULL)
    cof_fail(err, COF_FATAL, "%s: out of memory", file);
  else
    in = cof_secret_open(file, err);
  if (in == NULL) {
    free(t);
    return NULL;
  }
  if (!take_all(t, in, file, err))
    tokens_free(&t);
  fclose(in);
  return t;
}

void tokens_free(struct tokens **tokens)
{
  if (*tokens != NULL)
    explicit_bzero(*tokens, sizeof **tokens);
  free(*tokens);
  *tokens = NULL;
}

bool tokens_match(const struct tokens *t, const char *token, size_t len)
{
  unsigned char given[TOKEN_MAX] = {0};
  unsigned found = 0;
  if (len > TOKEN_MAX)
    return false;
  memcpy(given, token, len);
  for (size_t i = 0; i < t->count; i++) {
    size_t differ = t->list[i].len ^ len;
    for (size_t k = 0; k < TOKEN_MAX; k++)
      differ |= (size_t)(unsigned char)t->list[i].text[k] ^ given[k];
    found |= differ == 0;
  }
  explicit_bzero(given, sizeof given);
  return found != 0;
}
