/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "secret_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

bool secret_same(const void *a, const void *b, size_t len)
{
  return gnutls_memcmp(a, b, len) == 0;
}

bool secret_digest(const char *salt, const char *secret, uint8_t out[DIGEST_OCTETS])
{
  gnutls_hash_hd_t hash;
  if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
    return false;
  bool ok =
      gnutls_hash(hash, salt, strlen(salt)) == 0 && gnutls_hash(hash, secret, strlen(secret)) == 0;
  gnutls_hash_deinit(hash, out);
  return ok;
}

bool secret_mac(const uint8_t key[DIGEST_OCTETS], const char *name, const char *secret,
                uint8_t out[DIGEST_OCTETS])
{
  gnutls_hmac_hd_t mac;
  if (gnutls_hmac_init(&mac, GNUTLS_MAC_SHA256, key, DIGEST_OCTETS) != 0)
    return false;
  /* With its NUL, so that where the name ends counts. */
  bool ok = gnutls_hmac(mac, name, strlen(name) + 1) == 0 &&
            gnutls_hmac(mac, secret, strlen(secret)) == 0;
  gnutls_hmac_deinit(mac, out);
  return ok;
}

bool secret_random(void *out, size_t len)
{
  return gnutls_rnd(GNUTLS_RND_KEY, out, len) == 0;
}

bool secret_crypt_matches(const char *hash, const char *password)
{
  struct crypt_data *data = calloc(1, sizeof *data); /* 32 KiB, too much for a stack */
  if (data == NULL)
    return false;
  const char *made = crypt_rn(password, hash, data, (int)sizeof *data);
  size_t len = strlen(hash);
  bool same = made != NULL && strlen(made) == len && secret_same(made, hash, len);
  secret_wipe(data, sizeof *data);
  free(data);
  return same;
}

void secret_wipe(void *at, size_t len)
{
  explicit_bzero(at, len);
}

/* --- credentials ---------------------------------------------------------------------------- */

/* @return false: it does not fit, or holds a NUL */
static bool copy(char *out, size_t most, const char *text, size_t len)
{
  if (len == 0 || len > most || memchr(text, '\0', len) != NULL)
    return false;
  memcpy(out, text, len);
  out[len] = '\0';
  return true;
}

/* Name and secret on both sides of a separator. */
static bool split(struct credentials *c, const char *text, size_t len, char separator)
{
  const char *at = memchr(text, separator, len);
  return at != NULL && copy(c->name, NAME_MAX_OCTETS, text, (size_t)(at - text)) &&
         copy(c->secret, SECRET_MAX_OCTETS, at + 1, len - (size_t)(at - text) - 1);
}

static void read_basic(struct credentials *c, const char *text)
{
  gnutls_datum_t in = {(unsigned char *)(uintptr_t)text, (unsigned)strnlen(text, 1024)};
  gnutls_datum_t out = {NULL, 0};
  if (text[in.size] == '\0' && in.size > 0 && gnutls_base64_decode2(&in, &out) == 0 &&
      split(c, (const char *)out.data, out.size, ':'))
    c->kind = CREDENTIAL_BASIC;
  if (out.data != NULL) {
    secret_wipe(out.data, out.size);
    gnutls_free(out.data);
  }
}

static void read_token(struct credentials *c, const char *text)
{
  if (split(c, text, strlen(text), '.'))
    c->kind = CREDENTIAL_TOKEN;
}

/* What follows a scheme and blanks; NULL where it is another scheme. */
static const char *after_scheme(const char *text, const char *scheme)
{
  size_t len = strlen(scheme);
  if (strncasecmp(text, scheme, len) != 0 || (text[len] != ' ' && text[len] != '\0'))
    return NULL;
  return text + len + strspn(text + len, " ");
}

void credentials_read(struct credentials *out, const char *authorization, const char *api_key)
{
  const char *text;
  memset(out, 0, sizeof *out);
  if (authorization == NULL && api_key == NULL)
    return;
  out->kind = CREDENTIAL_BROKEN;
  if (authorization == NULL)
    read_token(out, api_key);
  else if ((text = after_scheme(authorization, "Basic")) != NULL)
    read_basic(out, text);
  else if ((text = after_scheme(authorization, "Bearer")) != NULL)
    read_token(out, text);
  else
    read_token(out, authorization);
}
