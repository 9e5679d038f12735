/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tls_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cofd/secret.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "secret_private.h"

/* Most octets of a file, and certificates of a chain. */
#define FILE_MAX  ((size_t)256 * 1024)
#define CHAIN_MAX 16

struct identity {
  atomic_uint references;
  unsigned count;
  gnutls_pcert_st chain[CHAIN_MAX];
  gnutls_privkey_t key;
  int64_t expires;
};

/* --- files ---------------------------------------------------------------------------------- */

static enum cof_result read_all(const char *path, FILE *in, gnutls_datum_t *out,
                                struct cof_error *err)
{
  char *text = malloc(FILE_MAX + 1);
  if (text == NULL)
    return cof_fail(err, COF_FATAL, "out of memory");
  size_t len = fread(text, 1, FILE_MAX + 1, in);
  out->data = (unsigned char *)text;
  out->size = (unsigned)len;
  if (ferror(in))
    return cof_fail(err, COF_REJECT, "%s: %s", path, strerror(errno));
  if (len > FILE_MAX)
    return cof_fail(err, COF_REJECT, "%s: more than %zu octets", path, FILE_MAX);
  return COF_OK;
}

static void release(gnutls_datum_t *data)
{
  if (data->data != NULL)
    secret_wipe(data->data, data->size);
  free(data->data);
}

static enum cof_result take_chain(struct identity *id, const char *path, const gnutls_datum_t *pem,
                                  struct cof_error *err)
{
  gnutls_x509_crt_t certs[CHAIN_MAX];
  unsigned count = CHAIN_MAX;
  int rc = gnutls_x509_crt_list_import(certs, &count, pem, GNUTLS_X509_FMT_PEM,
                                       GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
  if (rc < 1)
    return cof_fail(err, COF_REJECT, "%s: %s; expected up to %d certificates in PEM", path,
                    rc == 0 ? "no certificate" : gnutls_strerror(rc), CHAIN_MAX);
  id->expires = (int64_t)gnutls_x509_crt_get_expiration_time(certs[0]);
  count = (unsigned)rc;
  rc = 0;
  for (unsigned i = 0; i < count; i++) {
    if (rc == 0 && (rc = gnutls_pcert_import_x509(&id->chain[i], certs[i], 0)) == 0)
      id->count++;
    gnutls_x509_crt_deinit(certs[i]);
  }
  return rc == 0 ? COF_OK : cof_fail(err, COF_REJECT, "%s: %s", path, gnutls_strerror(rc));
}

static enum cof_result read_chain(struct identity *id, const char *path, struct cof_error *err)
{
  gnutls_datum_t pem = {NULL, 0};
  FILE *in = fopen(path, "re");
  if (in == NULL)
    return cof_fail(err, COF_REJECT, "%s: %s", path, strerror(errno));
  enum cof_result r = read_all(path, in, &pem, err);
  fclose(in);
  if (r == COF_OK)
    r = take_chain(id, path, &pem, err);
  free(pem.data);
  return r;
}

static enum cof_result read_key(struct identity *id, const char *path, struct cof_error *err)
{
  gnutls_datum_t pem = {NULL, 0};
  FILE *in = cof_secret_open(path, err);
  if (in == NULL)
    return COF_REJECT;
  enum cof_result r = read_all(path, in, &pem, err);
  fclose(in);
  if (r == COF_OK) {
    int rc = gnutls_privkey_init(&id->key);
    if (rc == 0)
      rc = gnutls_privkey_import_x509_raw(id->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc != 0)
      r = cof_fail(err, COF_REJECT, "%s: %s; expected a private key in PEM without password", path,
                   gnutls_strerror(rc));
  }
  release(&pem);
  return r;
}

/* A key that belongs to another certificate would fail every handshake. */
static enum cof_result check_pair(const struct identity *id, const char *certificate,
                                  const char *key, struct cof_error *err)
{
  unsigned char a[64], b[64];
  size_t a_len = sizeof a, b_len = sizeof b;
  gnutls_pubkey_t pubkey;
  if (gnutls_pubkey_init(&pubkey) != 0)
    return cof_fail(err, COF_FATAL, "out of memory");
  bool same =
      gnutls_pubkey_import_privkey(pubkey, id->key, 0, 0) == 0 &&
      gnutls_pubkey_get_key_id(pubkey, GNUTLS_KEYID_USE_SHA256, a, &a_len) == 0 &&
      gnutls_pubkey_get_key_id(id->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &b_len) == 0 &&
      a_len == b_len && memcmp(a, b, a_len) == 0;
  gnutls_pubkey_deinit(pubkey);
  if (!same)
    return cof_fail(err, COF_REJECT, "%.100s: not the key of the certificate in %.100s", key,
                    certificate);
  return COF_OK;
}

struct identity *identity_read(const char *certificate, const char *key, struct cof_error *err)
{
  struct identity *id = calloc(1, sizeof *id);
  if (id == NULL) {
    (void)cof_fail(err, COF_FATAL, "out of memory");
    return NULL;
  }
  atomic_init(&id->references, 1);
  if (read_chain(id, certificate, err) != COF_OK || read_key(id, key, err) != COF_OK ||
      check_pair(id, certificate, key, err) != COF_OK)
    identity_drop(&id);
  return id;
}

struct identity *identity_hold(struct identity *identity)
{
  atomic_fetch_add_explicit(&identity->references, 1, memory_order_relaxed);
  return identity;
}

void identity_drop(struct identity **identity)
{
  struct identity *id = *identity;
  *identity = NULL;
  if (id == NULL || atomic_fetch_sub_explicit(&id->references, 1, memory_order_acq_rel) != 1)
    return;
  for (unsigned i = 0; i < id->count; i++)
    gnutls_pcert_deinit(&id->chain[i]);
  if (id->key != NULL)
    gnutls_privkey_deinit(id->key);
  free(id);
}

int64_t identity_expires(const struct identity *identity)
{
  return identity->expires;
}

/* --- handshakes ----------------------------------------------------------------------------- */

static int certificate_of(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithms_count,
                          gnutls_pcert_st **certificates, unsigned *certificates_count,
                          gnutls_privkey_t *key)
{
  (void)authorities;
  (void)count;
  (void)algorithms;
  (void)algorithms_count;
  /* The library makes its connection the session's pointer. */
  struct identity *id = links_identity(gnutls_session_get_ptr(session));
  if (id == NULL)
    return -1;
  *certificates = id->chain;
  *certificates_count = id->count;
  *key = id->key;
  return 0;
}

void *tls_callback(void)
{
  return (void *)(intptr_t)certificate_of;
}

bool tls_priorities_known(const char *text, const char **at)
{
  gnutls_priority_t priorities;
  if (gnutls_priority_init(&priorities, text, at) != 0)
    return false;
  gnutls_priority_deinit(priorities);
  return true;
}
