/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Addresses of websockets, and lists in which a comma may belong to an item.
 */
#ifndef COF_WS_URL_PRIVATE_H
#define COF_WS_URL_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/option.h>
#include <cofd/result.h>

/** Octets that libwebsockets has room for in a Host field, the port left out. */
#define WS_HOST_MAX 110
/** Octets of path and query; libwebsockets has room for a request line of 2048. */
#define WS_PATH_MAX 1900
/** Octets that ws_url_show() may write, NUL included. */
#define WS_SHOWN_MAX (WS_HOST_MAX + WS_PATH_MAX + 32)

struct ws_url {
  bool tls; /**< wss */
  uint16_t port;
  char host[WS_HOST_MAX + 1]; /**< lower case, without brackets */
  char path[WS_PATH_MAX + 1]; /**< with the query; begins with a slash */
};

/** @return COF_OK, or COF_REJECT with a reason that does not repeat the text */
enum cof_result ws_url_parse(const char *text, struct ws_url *url, struct cof_error *err);

/** For logs: without the query, which may hold a secret. @return `out` */
const char *ws_url_show(const struct ws_url *url, char out[WS_SHOWN_MAX]);

/** Value of the Host field: the port only where it is not the scheme's. @return `out` */
const char *ws_url_authority(const struct ws_url *url, char out[WS_HOST_MAX + 16]);

/** The host as a text can hold it beside a port: IPv6 in brackets. @return `out` */
const char *ws_url_host(const struct ws_url *url, char out[WS_HOST_MAX + 3]);

/** Texts of an option, put together again. */
struct texts {
  char **items;
  size_t count;
};

/** Whether a piece between commas begins a new item; `before` is the item so far, or NULL. */
typedef bool (*texts_begin_fn)(const char *piece, const char *before);

/**
 * Put pieces together that a comma parted: each one that begins nothing goes on with the item
 * before it, behind `glue`.
 * @return false when out of memory
 */
bool texts_join(const struct cof_list *list, texts_begin_fn begins, const char *glue,
                struct texts *texts);
void texts_free(struct texts *texts);

/** For addresses: a scheme begins one, and only a query may hold a comma. */
bool texts_begin_url(const char *piece, const char *before);
/** For header fields: a name and a colon begin one. */
bool texts_begin_header(const char *piece, const char *before);

#endif
