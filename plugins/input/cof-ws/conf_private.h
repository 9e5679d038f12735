/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What the operator configured.
 */
#ifndef COF_WS_CONF_PRIVATE_H
#define COF_WS_CONF_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include <cofd/option.h>

/** Addresses of one instance. */
#define WS_URLS_MAX 64

struct conf {
  struct cof_list url;
  int counts; /* enum cof_counts */
  char *sensor_id;
  char *ca_file;
  bool insecure;
  char *user, *password, *password_file;
  char *token, *token_file;
  struct cof_list header;
  char *header_file;
  struct cof_list subprotocol;
  struct cof_endpoint proxy;
  char *proxy_user, *proxy_password, *proxy_password_file;
  int64_t max_message;
  int64_t batch_records, batch_bytes, batch_time;
  int64_t connect_timeout, ping_interval, idle_timeout;
  int64_t reconnect_min, reconnect_max;
};

#endif
