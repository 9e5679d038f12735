/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ws_private.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cofd/secret.h>

static bool refuse(struct cof_host *host, const char *option, const char *file)
{
  const char *why = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  cof_log(host, COF_LOG_ERROR, "%s: %s cannot be used: %s", option, file,
          why != NULL ? why : "unknown reason");
  return false;
}

/* That the file keeps its key from others; OpenSSL opens it itself. */
static bool key_is_kept(struct cof_host *host, const char *key)
{
  struct cof_error err;
  FILE *in = cof_secret_open(key, &err);
  if (in != NULL)
    fclose(in);
  else
    cof_log(host, COF_LOG_ERROR, "key: %s", err.text);
  return in != NULL;
}

struct ssl_ctx_st *tls_read(struct cof_host *host, const struct conf *c)
{
  SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
  bool good = tls != NULL;
  if (!good)
    cof_log(host, COF_LOG_ERROR, "out of memory");
  if (good && SSL_CTX_use_certificate_chain_file(tls, c->certificate) != 1)
    good = refuse(host, "certificate", c->certificate);
  if (good && !key_is_kept(host, c->key))
    good = false;
  if (good && SSL_CTX_use_PrivateKey_file(tls, c->key, SSL_FILETYPE_PEM) != 1)
    good = refuse(host, "key", c->key);
  if (good && SSL_CTX_check_private_key(tls) != 1)
    good = refuse(host, "key", c->key);
  if (!good)
    tls_free(&tls);
  return tls;
}

void tls_free(struct ssl_ctx_st **tls)
{
  SSL_CTX_free(*tls);
  *tls = NULL;
}

/* Within a handshake: show the pair that is in force now, whatever kind of key it has. */
static int choose(SSL *ssl, void *arg)
{
  struct ws *ws = arg;
  STACK_OF(X509) *chain = NULL;
  pthread_mutex_lock(&ws->lock);
  SSL_CTX *tls = ws->tls;
  SSL_CTX_up_ref(tls);
  pthread_mutex_unlock(&ws->lock);
  SSL_certs_clear(ssl);
  int good = SSL_CTX_get0_chain_certs(tls, &chain) == 1 &&
             SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(tls), SSL_CTX_get0_privatekey(tls),
                                  chain, 1) == 1;
  SSL_CTX_free(tls);
  return good;
}

void tls_serve(struct ws *ws, struct ssl_ctx_st *server)
{
  SSL_CTX_set_cert_cb(server, choose, ws);
}
