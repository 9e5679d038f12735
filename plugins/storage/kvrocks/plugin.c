/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "options_private.h"

static const struct flavour flavour = {.name = "kvrocks", .kvrocks = true, .port = 6666};

static const struct cof_option options[] = {
    STORE_OPTIONS_SERVER("6666"),
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
    {.name = "token",
     .help = "token of the namespace that holds the records; the server's password is the token of "
             "the default namespace",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct conf, password)},
    {.name = "sentinel_password",
     .help = "password of the sentinels themselves",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct conf, sentinel_password)},
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
    .name = "kvrocks",
    .version = PACKAGE_VERSION,
    .summary = "Storage in Kvrocks: a single server, Sentinel, or a cluster",
    .options = options,
    .conf_size = sizeof(struct conf),
    .check = check,
    .create = create,
    .start = store_start,
    .stop = store_stop,
    .destroy = store_destroy,
    .ops = &store_ops};
