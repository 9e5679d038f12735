/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "options_private.h"

static const struct flavour flavour = {.name = "redis", .kvrocks = false, .port = 6379};

static const struct cof_option options[] = {
    STORE_OPTIONS_SERVER("6379"),
    {.name = "mode",
     .help = "a single server, one found by its sentinels, or a cluster",
     .dflt = "standalone",
     .type = COF_OPT_ENUM,
     .choices = store_modes,
     COF_FIELD(struct conf, mode)},
    {.name = "master",
     .help = "name of the master, as the sentinels know it",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, master)},
    {.name = "database",
     .help = "number of the database; 0 to 65535",
     .dflt = "0",
     .type = COF_OPT_INT,
     .min = 0,
     .max = 65535,
     COF_FIELD(struct conf, database)},
    {.name = "user",
     .help = "ACL user to log in as, with password",
     .type = COF_OPT_STR,
     COF_FIELD(struct conf, user)},
    {.name = "password",
     .help = "password to log in with",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct conf, password)},
    {.name = "sentinel_password",
     .help = "password of the sentinels themselves",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct conf, sentinel_password)},
    {.name = "wait_replica",
     .help = "whether a replica has to confirm a write before it counts as done: yes, try (for "
             "250 ms, and not again for 10 s after it did not), no, or auto: try with sentinel and "
             "in a cluster, else no",
     .dflt = "auto",
     .type = COF_OPT_ENUM,
     .choices = store_wait_replica,
     COF_FIELD(struct conf, wait_replica)},
    STORE_OPTIONS_COMMON,
    {.name = NULL}};

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  return conf_check(conf, &flavour, diag);
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  return store_create(host, conf, &flavour, self);
}

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {
    COF_PLUGIN_HEADER,
    .kind = COF_KIND_STORAGE,
    .caps = STORE_CAPS,
    .name = "redis",
    .version = PACKAGE_VERSION,
    .summary = "Storage in Redis: a single server, Sentinel, or a cluster",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = store_start,
    .stop = store_stop,
    .destroy = store_destroy,
    .ops = &store_ops};
