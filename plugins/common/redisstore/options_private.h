/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Options that both plugins have, as elements of their option tables.
 */
#ifndef REDISSTORE_OPTIONS_PRIVATE_H
#define REDISSTORE_OPTIONS_PRIVATE_H

#include "layout_private.h"

/** Where servers are. @param port  text of the port that is the default */
#define STORE_OPTIONS_SERVER(port)                                                                 \
  {.name = "server",                                                                               \
   .help = "servers as host:port; of several, the first that takes writes; with mode = sentinel "  \
           "the sentinels, with mode = cluster some of the nodes; at most 64; 127.0.0.1:" port     \
           " where neither this nor a socket is given",                                            \
   .type = COF_OPT_LIST,                                                                           \
   .flags = COF_OPT_MULTI,                                                                         \
   .min = 0,                                                                                       \
   .max = RESP_ENDPOINTS_MAX,                                                                      \
   COF_FIELD(struct conf, server)},                                                                \
  {                                                                                                \
    .name = "socket", .help = "path of the server's socket, in place of server",                   \
    .type = COF_OPT_PATH, COF_FIELD(struct conf, socket)                                           \
  }

/** TLS, bounds and layout. */
#define STORE_OPTIONS_COMMON                                                                       \
  {.name = "tls",                                                                                  \
   .help = "whether connections use TLS; the server's certificate must bear its name",             \
   .dflt = "no",                                                                                   \
   .type = COF_OPT_BOOL,                                                                           \
   COF_FIELD(struct conf, tls)},                                                                   \
      {.name = "ca_file",                                                                          \
       .help = "PEM file of the authorities to trust with tls; those of the system where not "     \
               "given",                                                                            \
       .type = COF_OPT_PATH,                                                                       \
       COF_FIELD(struct conf, ca_file)},                                                           \
      {.name = "connect_timeout",                                                                  \
       .help = "to connect and log in; 10ms to 5m",                                                \
       .dflt = "5s",                                                                               \
       .type = COF_OPT_DURATION,                                                                   \
       .min = 10,                                                                                  \
       .max = 300000,                                                                              \
       COF_FIELD(struct conf, connect_timeout)},                                                   \
      {.name = "command_timeout",                                                                  \
       .help = "without any sign from a server that owes answers; 10ms to 5m",                     \
       .dflt = "10s",                                                                              \
       .type = COF_OPT_DURATION,                                                                   \
       .min = 10,                                                                                  \
       .max = 300000,                                                                              \
       COF_FIELD(struct conf, command_timeout)},                                                   \
      {.name = "pipeline",                                                                         \
       .help = "most commands sent to a server and not answered yet; bounds the memory that the "  \
               "server needs for answers; 1 to 1000000",                                           \
       .dflt = "10000",                                                                            \
       .type = COF_OPT_INT,                                                                        \
       .min = 1,                                                                                   \
       .max = 1000000,                                                                             \
       .unit = "commands",                                                                         \
       COF_FIELD(struct conf, pipeline)},                                                          \
      {.name = "readers",                                                                          \
       .help = "most connections for questions, to each server; more questions at once wait; "     \
               "1 to 64",                                                                          \
       .dflt = "8",                                                                                \
       .type = COF_OPT_INT,                                                                        \
       .min = 1,                                                                                   \
       .max = 64,                                                                                  \
       .unit = "connections",                                                                      \
       COF_FIELD(struct conf, readers)},                                                           \
      {.name = "read_from",                                                                        \
       .help = "who answers questions: primary, or a replica where there is one, which may lag",   \
       .dflt = "primary",                                                                          \
       .type = COF_OPT_ENUM,                                                                       \
       .choices = store_read_from,                                                                 \
       COF_FIELD(struct conf, read_from)},                                                         \
      {.name = "layout",                                                                           \
       .help = "how records lie in keys; auto takes the one that the database holds",              \
       .dflt = "auto",                                                                             \
       .type = COF_OPT_ENUM,                                                                       \
       .choices = layout_words,                                                                    \
       COF_FIELD(struct conf, layout)},                                                            \
  {                                                                                                \
    .name = "expire",                                                                              \
    .help = "types whose records expire, each with the seconds after its last sighting, as in "    \
            "TXT:24000, SPF:26000; at most 256 types, 1 to 3153600000 seconds",                    \
    .type = COF_OPT_LIST, .flags = COF_OPT_MULTI, .min = 0, .max = EXPIRE_MAX,                     \
    COF_FIELD(struct conf, expire)                                                                 \
  }

/** Words of `mode` (enum resp_mode), `read_from` and `wait_replica`. */
extern const char *const store_modes[];
extern const char *const store_read_from[];
extern const char *const store_wait_replica[];

#endif
