/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tls_private.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <cofd/dns.h>

static const char *reason(void)
{
  unsigned long e = ERR_peek_last_error();
  const char *text = e != 0 ? ERR_reason_error_string(e) : NULL;
  return text != NULL ? text : "unknown";
}

SSL_CTX *tls_create(const char *ca_file, struct cof_error *err)
{
  ERR_clear_error();
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (ctx == NULL) {
    cof_fail(err, COF_FATAL, "TLS: out of memory");
    return NULL;
  }
  int ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  if (ok == 1)
    ok = ca_file != NULL ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
                         : SSL_CTX_set_default_verify_paths(ctx);
  if (ok == 1)
    return ctx;
  cof_fail(err, COF_REJECT, "ca_file: cannot load authorities from %s: %s",
           ca_file != NULL ? ca_file : "the system", reason());
  SSL_CTX_free(ctx);
  return NULL;
}

static bool is_for(X509 *cert, const char *host)
{
  struct cof_addr addr;
  if (cof_addr_parse(host, strlen(host), &addr))
    return X509_check_ip(cert, addr.bytes, cof_addr_len(&addr), 0) == 1;
  return X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

bool tls_judge(X509_STORE_CTX *verify, bool good, const char *host, struct cof_error *why)
{
  if (!good) {
    cof_fail(why, COF_REJECT, "the server's certificate is not trusted: %s",
             X509_verify_cert_error_string(X509_STORE_CTX_get_error(verify)));
    return false;
  }
  if (X509_STORE_CTX_get_error_depth(verify) > 0)
    return true;
  X509 *cert = X509_STORE_CTX_get_current_cert(verify);
  if (cert != NULL && is_for(cert, host))
    return true;
  X509_STORE_CTX_set_error(verify, X509_V_ERR_HOSTNAME_MISMATCH);
  cof_fail(why, COF_REJECT, "the server's certificate is not for %s", host);
  return false;
}
