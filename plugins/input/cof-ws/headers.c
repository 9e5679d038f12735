/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "headers_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include <cofd/secret.h>

#include "url_private.h"

/* --- fields ----------------------------------------------------------------------------------- */

size_t header_name_len(const char *text)
{
  static const char signs[] = "!#$%&'*+-.^_`|~";
  size_t len = 0;
  while ((text[len] >= 'a' && text[len] <= 'z') || (text[len] >= 'A' && text[len] <= 'Z') ||
         (text[len] >= '0' && text[len] <= '9') ||
         (text[len] != '\0' && strchr(signs, text[len]) != NULL))
    len++;
  return text[len] == ':' ? len : 0;
}

static bool is_reserved(const char *name, size_t len)
{
  static const char *const reserved[] = {"Host",           "Upgrade",           "Connection",
                                         "Content-Length", "Transfer-Encoding", NULL};
  static const char prefix[] = "Sec-WebSocket-";
  for (size_t i = 0; reserved[i] != NULL; i++)
    if (strlen(reserved[i]) == len && strncasecmp(reserved[i], name, len) == 0)
      return true;
  return len >= sizeof prefix - 1 && strncasecmp(prefix, name, sizeof prefix - 1) == 0;
}

enum cof_result header_check(const char *text, bool login, struct cof_error *err)
{
  size_t len = header_name_len(text);
  if (len == 0)
    return cof_fail(err, COF_REJECT, "is no header field; expected NAME: VALUE");
  if (is_reserved(text, len))
    return cof_fail(err, COF_REJECT, "%.*s is set by the websocket itself",
                    (int)(len < 40 ? len : 40), text);
  if (login && len == 13 && strncasecmp(text, "Authorization", len) == 0)
    return cof_fail(err, COF_REJECT, "Authorization is set by user or token already");
  for (const char *p = text + len; *p != '\0'; p++)
    if ((unsigned char)*p < ' ' ? *p != '\t' : *p == '\x7f')
      return cof_fail(err, COF_REJECT, "the value of %.*s holds a control character",
                      (int)(len < 40 ? len : 40), text);
  return COF_OK;
}

/* --- files ------------------------------------------------------------------------------------ */

/* A whole file. */
static enum cof_result read_file(const char *path, char *out, size_t cap, size_t *len,
                                 struct cof_error *err)
{
  struct cof_error why_not;
  FILE *in = cof_secret_open(path, &why_not);
  if (in == NULL)
    return cof_fail(err, COF_RETRY, "cannot open %s", why_not.text);
  *len = fread(out, 1, cap, in);
  bool failed = ferror(in) != 0, more = !failed && getc(in) != EOF;
  int why = errno;
  fclose(in);
  if (failed)
    return cof_fail(err, COF_RETRY, "cannot read %s: %s", path, strerror(why));
  if (more)
    return cof_fail(err, COF_RETRY, "%s is longer than %zu octets", path, cap);
  if (memchr(out, '\0', *len) != NULL)
    return cof_fail(err, COF_RETRY, "%s holds a NUL octet", path);
  return COF_OK;
}

/* Cut white space off both ends of a line. */
static char *trim(char *line)
{
  size_t len = strlen(line);
  while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
    line[--len] = '\0';
  return line + strspn(line, " \t");
}

enum cof_result secret_read(const char *path, char out[SECRET_MAX + 1], struct cof_error *err)
{
  size_t len;
  enum cof_result result = read_file(path, out, SECRET_MAX, &len, err);
  if (result != COF_OK)
    return result;
  out[len] = '\0';
  out[strcspn(out, "\n")] = '\0';
  char *secret = trim(out);
  memmove(out, secret, strlen(secret) + 1);
  for (const char *p = out; *p != '\0'; p++)
    if ((unsigned char)*p < ' ' || *p == '\x7f')
      return cof_fail(err, COF_RETRY, "the secret in %s holds a control character", path);
  return out[0] != '\0' ? COF_OK
                        : cof_fail(err, COF_RETRY, "%s has no secret in its first line", path);
}

/* A secret out of the configuration or out of a file. */
static enum cof_result secret_get(const char *text, const char *path, char out[SECRET_MAX + 1],
                                  struct cof_error *err)
{
  if (path != NULL)
    return secret_read(path, out, err);
  if (strlen(text) > SECRET_MAX)
    return cof_fail(err, COF_RETRY, "a secret is longer than %d octets", SECRET_MAX);
  strcpy(out, text);
  return COF_OK;
}

/* --- the request ------------------------------------------------------------------------------ */

/* Fields being written. */
struct fields {
  char *out;
  size_t len;
  struct cof_error *err;
};

static enum cof_result put(struct fields *f, const char *a, const char *b)
{
  size_t len = strlen(a) + strlen(b) + 2;
  if (len >= HEADERS_MAX - f->len)
    return cof_fail(f->err, COF_RETRY, "the header fields are longer than %d octets", HEADERS_MAX);
  f->len += (size_t)sprintf(f->out + f->len, "%s%s\r\n", a, b);
  return COF_OK;
}

static enum cof_result put_basic(struct fields *f, const char *user, const char *password)
{
  unsigned char plain[2 * SECRET_MAX + 2], coded[4 * sizeof plain / 3 + 8];
  int n = snprintf((char *)plain, sizeof plain, "%s:%s", user, password);
  if (n < 0 || (size_t)n >= sizeof plain)
    return cof_fail(f->err, COF_RETRY, "user and password are too long");
  EVP_EncodeBlock(coded, plain, n);
  return put(f, "Authorization: Basic ", (const char *)coded);
}

bool headers_login(const struct conf *c)
{
  return c->user != NULL || c->token != NULL || c->token_file != NULL;
}

static enum cof_result put_login(struct fields *f, const struct conf *c)
{
  char secret[SECRET_MAX + 1];
  if (!headers_login(c))
    return COF_OK;
  enum cof_result result = c->user != NULL
                               ? secret_get(c->password, c->password_file, secret, f->err)
                               : secret_get(c->token, c->token_file, secret, f->err);
  if (result != COF_OK)
    return result;
  return c->user != NULL ? put_basic(f, c->user, secret) : put(f, "Authorization: Bearer ", secret);
}

static enum cof_result put_file(struct fields *f, const struct conf *c)
{
  char text[HEADERS_MAX + 1];
  size_t len;
  enum cof_result result = read_file(c->header_file, text, HEADERS_MAX, &len, f->err);
  if (result != COF_OK)
    return result;
  text[len] = '\0';
  unsigned number = 0;
  for (char *line = text, *next; line != NULL && result == COF_OK; line = next) {
    struct cof_error why;
    next = strchr(line, '\n');
    if (next != NULL)
      *next++ = '\0';
    number++;
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#')
      continue;
    if (header_check(line, headers_login(c), &why) != COF_OK)
      return cof_fail(f->err, COF_RETRY, "%s:%u: %s", c->header_file, number, why.text);
    result = put(f, line, "");
  }
  return result;
}

enum cof_result headers_make(const struct conf *c, char out[HEADERS_MAX], size_t *len,
                             struct cof_error *err)
{
  struct fields f = {.out = out, .err = err};
  struct texts texts;
  enum cof_result result = put_login(&f, c);
  if (result == COF_OK && c->header_file != NULL)
    result = put_file(&f, c);
  if (result == COF_OK && !texts_join(&c->header, texts_begin_header, ", ", &texts))
    result = cof_fail(err, COF_RETRY, "out of memory");
  if (result != COF_OK)
    return result;
  for (size_t i = 0; i < texts.count && result == COF_OK; i++)
    result = put(&f, texts.items[i], "");
  texts_free(&texts);
  *len = f.len;
  return result;
}

enum cof_result headers_proxy(const struct conf *c, char *out, size_t cap, struct cof_error *err)
{
  char secret[SECRET_MAX + 1] = "";
  const char *host = c->proxy.host;
  bool literal = host != NULL && strchr(host, ':') != NULL;
  /* Without an address libwebsockets would look into the environment; this means none. */
  if (host == NULL) {
    snprintf(out, cap, ":0");
    return COF_OK;
  }
  if (c->proxy_user != NULL) {
    enum cof_result result = secret_get(c->proxy_password, c->proxy_password_file, secret, err);
    if (result != COF_OK)
      return result;
    if (strlen(c->proxy_user) + 1 + strlen(secret) > PROXY_LOGIN_MAX)
      return cof_fail(err, COF_REJECT, "proxy_user and its password are longer than %d octets",
                      PROXY_LOGIN_MAX - 1);
  }
  int n = snprintf(out, cap, "%s%s%s%s%s%s%s:%u", c->proxy_user != NULL ? c->proxy_user : "",
                   c->proxy_user != NULL ? ":" : "", secret, c->proxy_user != NULL ? "@" : "",
                   literal ? "[" : "", host, literal ? "]" : "", c->proxy.port);
  if (n < 0 || (size_t)n >= cap || strlen(host) > WS_HOST_MAX)
    return cof_fail(err, COF_REJECT, "the proxy's name is longer than %d octets", WS_HOST_MAX);
  return COF_OK;
}
