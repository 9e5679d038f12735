/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rest_private.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

struct settings *settings_create(struct rest *rest, const struct rest_conf *conf,
                                 const struct settings *before)
{
  size_t len = strlen(conf->origin);
  struct settings *s = malloc(sizeof *s + len + 1);
  struct cof_error err;
  const char *option = "";
  if (s == NULL) {
    cof_log(rest->host, COF_LOG_ERROR, "out of memory");
    return NULL;
  }
  if (guard_create(rest, conf, before != NULL ? before->guard : NULL, &s->guard, &option, &err) !=
      COF_OK) {
    cof_log(rest->host, COF_LOG_ERROR, "%s: %s", option, err.text);
    free(s);
    return NULL;
  }
  atomic_init(&s->references, 1);
  s->pivot = conf->ip_query == 1;
  s->gzip = conf->gzip;
  s->max_records = (uint64_t)conf->max_records;
  s->timeout_ns = (uint64_t)conf->query_timeout * NS_PER_MS;
  s->dnsdb = conf->dnsdb;
  s->request_ns = (uint64_t)conf->request_timeout * NS_PER_MS;
  s->answer_ns = (uint64_t)conf->answer_timeout * NS_PER_MS;
  s->ready = (enum ready_inputs)conf->ready_inputs;
  s->bulk_items = (uint64_t)conf->bulk_items;
  s->bulk_bytes = (uint64_t)conf->bulk_bytes;
  s->sort_records = (uint64_t)conf->sort_records;
  s->origin_len = len;
  memcpy(s->origin, conf->origin, len + 1);
  return s;
}

struct settings *settings_hold(struct settings *settings)
{
  atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
  return settings;
}

void settings_drop(struct settings **settings)
{
  struct settings *s = *settings;
  *settings = NULL;
  if (s == NULL || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
    return;
  guard_destroy(&s->guard);
  free(s);
}
