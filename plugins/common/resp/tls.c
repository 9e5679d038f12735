/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "inner_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#ifdef RESP_HAVE_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cofd/dns.h>
#include <string.h>

struct tls_context {
  SSL_CTX *ctx;
};

struct tls {
  SSL *ssl;
  short events; /* what the last call waits for, beyond what the caller does */
};

bool resp_has_tls(void)
{
  return true;
}

static const char *reason(void)
{
  unsigned long e = ERR_peek_last_error();
  const char *text = e != 0 ? ERR_reason_error_string(e) : NULL;
  return text != NULL ? text : "unknown";
}

void tls_context_destroy(struct tls_context **ctx)
{
  if (*ctx != NULL)
    SSL_CTX_free((*ctx)->ctx);
  free(*ctx);
  *ctx = NULL;
}

struct tls_context *tls_context_create(const char *ca_file, struct cof_error *err)
{
  struct tls_context *t = calloc(1, sizeof *t);
  ERR_clear_error();
  if (t == NULL || (t->ctx = SSL_CTX_new(TLS_client_method())) == NULL) {
    cof_fail(err, COF_FATAL, "TLS: out of memory");
    tls_context_destroy(&t);
    return NULL;
  }
  SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  int ok = SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) == 1;
  if (ok == 1)
    ok = ca_file != NULL ? SSL_CTX_load_verify_locations(t->ctx, ca_file, NULL)
                         : SSL_CTX_set_default_verify_paths(t->ctx);
  if (ok != 1) {
    cof_fail(err, COF_REJECT, "TLS: cannot load authorities from %s: %s",
             ca_file != NULL ? ca_file : "the system", reason());
    tls_context_destroy(&t);
  }
  return t;
}

void tls_destroy(struct tls **tls)
{
  if (*tls != NULL)
    SSL_free((*tls)->ssl);
  free(*tls);
  *tls = NULL;
}

/* The certificate has to be for this very host. */
static bool expect_host(SSL *ssl, const char *host)
{
  struct cof_addr addr;
  if (cof_addr_parse(host, strlen(host), &addr))
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
  return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct tls *tls_create(struct tls_context *ctx, int fd, const char *host)
{
  struct tls *t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  t->ssl = SSL_new(ctx->ctx);
  if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1 || !expect_host(t->ssl, host)) {
    tls_destroy(&t);
    return NULL;
  }
  SSL_set_connect_state(t->ssl);
  return t;
}

/* What a call of OpenSSL that moved nothing means: 0 waits, -1 failed. */
static int waits(struct tls *t, int n)
{
  int error = errno;
  switch (SSL_get_error(t->ssl, n)) {
  case SSL_ERROR_WANT_READ:
    t->events = POLLIN;
    return 0;
  case SSL_ERROR_WANT_WRITE:
    t->events = POLLOUT;
    return 0;
  case SSL_ERROR_SYSCALL:
    errno = error;
    return -1;
  case SSL_ERROR_ZERO_RETURN:
    errno = 0;
    return -1;
  default:
    errno = EPROTO;
    return -1;
  }
}

int tls_handshake(struct tls *t, short *events, struct cof_error *err)
{
  ERR_clear_error();
  errno = 0;
  int n = SSL_do_handshake(t->ssl);
  if (n == 1) {
    t->events = 0;
    return 1;
  }
  if (waits(t, n) == 0) {
    *events = t->events;
    return 0;
  }
  long verified = SSL_get_verify_result(t->ssl);
  cof_fail(err, COF_RETRY, "handshake failed: %s",
           verified != X509_V_OK ? X509_verify_cert_error_string(verified) : reason());
  return -1;
}

ssize_t tls_write(struct tls *t, const void *data, size_t len)
{
  ERR_clear_error();
  errno = 0;
  t->events = 0;
  int n = SSL_write(t->ssl, data, len > INBOX ? INBOX : (int)len);
  return n > 0 ? n : waits(t, n);
}

ssize_t tls_read(struct tls *t, void *buf, size_t cap)
{
  ERR_clear_error();
  errno = 0;
  t->events = 0;
  int n = SSL_read(t->ssl, buf, cap > INBOX ? INBOX : (int)cap);
  return n > 0 ? n : waits(t, n);
}

short tls_events(const struct tls *t)
{
  return t->events;
}

bool tls_buffered(const struct tls *t)
{
  return SSL_pending(t->ssl) > 0;
}

#else

bool resp_has_tls(void)
{
  return false;
}

struct tls_context *tls_context_create(const char *ca_file, struct cof_error *err)
{
  (void)ca_file;
  cof_fail(err, COF_REJECT, "built without TLS");
  return NULL;
}

void tls_context_destroy(struct tls_context **ctx)
{
  *ctx = NULL;
}

struct tls *tls_create(struct tls_context *ctx, int fd, const char *host)
{
  (void)ctx;
  (void)fd;
  (void)host;
  return NULL;
}

void tls_destroy(struct tls **tls)
{
  *tls = NULL;
}

int tls_handshake(struct tls *t, short *events, struct cof_error *err)
{
  (void)t;
  (void)events;
  cof_fail(err, COF_REJECT, "built without TLS");
  return -1;
}

ssize_t tls_write(struct tls *t, const void *data, size_t len)
{
  (void)t;
  (void)data;
  (void)len;
  errno = EPROTO;
  return -1;
}

ssize_t tls_read(struct tls *t, void *buf, size_t cap)
{
  (void)t;
  (void)buf;
  (void)cap;
  errno = EPROTO;
  return -1;
}

short tls_events(const struct tls *t)
{
  (void)t;
  return 0;
}

bool tls_buffered(const struct tls *t)
{
  (void)t;
  return false;
}

#endif
