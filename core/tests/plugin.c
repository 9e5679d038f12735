/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A plugin that does nothing, for tests of the loader. Macros make it a good one of any kind, or
 * break it in one place.
 */
#include <cofd/plugin.h>

#include "plugin_private.h"

#ifndef KIND
#define KIND COF_KIND_STORAGE
#endif
#ifndef MAGIC
#define MAGIC COF_ABI_MAGIC
#endif
#ifndef MAJOR
#define MAJOR COF_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR COF_ABI_MINOR
#endif
#ifndef STRUCT_SIZE
#define STRUCT_SIZE sizeof(struct cof_plugin)
#endif
#ifndef OPTION_SIZE
#define OPTION_SIZE sizeof(struct cof_option)
#endif
#ifndef OPS_SIZE
#define OPS_SIZE sizeof storage_ops
#endif
#ifndef CAPS
#define CAPS 0
#endif
#ifndef OPS
#define OPS &storage_ops
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef WRITE
#define WRITE write_batch
#endif
#ifndef LOAD
#define LOAD NULL
#endif
#ifndef RELOAD
#define RELOAD reload
#endif
#ifndef NUMBER_DEFAULT
#define NUMBER_DEFAULT "4"
#endif
#ifndef NUMBER_TYPE
#define NUMBER_TYPE COF_OPT_INT
#endif

#ifdef NO_SYMBOL
COF_PLUGIN_EXPORT const int something_else = 1;
#else

#ifdef UNDEFINED
extern int cofd_test_function_that_nobody_has(void);
#endif

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct cof_option options[] = {
    {.name = "text",
     .help = "A text.",
     .type = COF_OPT_STR,
     .dflt = "hello",
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct test_conf, text)},
    {.name = "number",
     .help = "A number.",
     .type = NUMBER_TYPE,
     .dflt = NUMBER_DEFAULT,
     .min = 1,
     .max = 16,
     .unit = "things",
     COF_FIELD(struct test_conf, number)},
    {.name = "flag", .help = "A flag.", .type = COF_OPT_BOOL, COF_FIELD(struct test_conf, flag)},
    {.name = "choice",
     .help = "A choice.",
     .type = COF_OPT_ENUM,
     .choices = colours,
     .dflt = "green",
     COF_FIELD(struct test_conf, choice)},
    {.name = "pause",
     .help = "A duration.",
     .type = COF_OPT_DURATION,
     .dflt = "1s",
     .max = 60000,
     .flags = COF_OPT_RELOADABLE,
     COF_FIELD(struct test_conf, pause)},
    {.name = "size",
     .help = "A size.",
     .type = COF_OPT_BYTES,
     .dflt = "64M",
     COF_FIELD(struct test_conf, size)},
    {.name = "listen",
     .help = "An address.",
     .type = COF_OPT_ADDR,
     .dflt = "127.0.0.1:8400",
     COF_FIELD(struct test_conf, listen)},
    {.name = "path",
     .help = "A file name.",
     .type = COF_OPT_PATH,
     .flags = COF_OPT_REQUIRED,
     COF_FIELD(struct test_conf, path)},
    {.name = "password",
     .help = "A secret.",
     .type = COF_OPT_SECRET,
     COF_FIELD(struct test_conf, password)},
    {.name = "names",
     .help =
         "Names, any number of them, which this help tells in a sentence that is long enough to "
         "be broken into two lines of eighty columns.",
     .type = COF_OPT_LIST,
     .flags = COF_OPT_MULTI,
     COF_FIELD(struct test_conf, names)},
    {.name = "few",
     .help = "One to three names.",
     .type = COF_OPT_LIST,
     .dflt = "a, b",
     .min = 1,
     .max = 3,
     COF_FIELD(struct test_conf, few)},
    {.name = "old",
     .help = "Use text.",
     .type = COF_OPT_STR,
     .flags = COF_OPT_DEPRECATED,
     COF_FIELD(struct test_conf, old)},
    {0}};

static enum cof_result check(const void *conf, struct cof_diag *diag)
{
  const struct test_conf *c = conf;
  if (c->number <= 8 || c->flag)
    return COF_OK;
  cof_diag_error(diag, "number", "%d is too much without flag; expected at most 8", (int)c->number);
  return COF_REJECT;
}

static enum cof_result create(struct cof_host *host, const void *conf, void **self)
{
  (void)host;
  (void)conf;
  *self = NULL;
#ifdef UNDEFINED
  if (cofd_test_function_that_nobody_has() != 0)
    return COF_FATAL;
#endif
  return COF_OK;
}

static enum cof_result start(void *self)
{
  (void)self;
  return COF_OK;
}

static enum cof_result reload(void *self, const void *conf)
{
  (void)self;
  (void)conf;
  return COF_OK;
}

static enum cof_result stop(void *self, uint64_t deadline_ns)
{
  (void)self;
  (void)deadline_ns;
  return COF_OK;
}

static void destroy(void *self)
{
  (void)self;
}

static void ack(void *self, uint64_t token, enum cof_result result)
{
  (void)self;
  (void)token;
  (void)result;
}

static void process(void *self, struct cof_batch *batch)
{
  (void)self;
  (void)batch;
}

static void write_batch(void *self, const struct cof_batch *batch, struct cof_ticket *ticket)
{
  (void)self;
  (void)batch;
  (void)ticket;
}

static enum cof_result open_cursor(void *self, const struct cof_query *query, void **cursor,
                                   struct cof_error *err)
{
  (void)self;
  (void)query;
  (void)cursor;
  return cof_fail(err, COF_UNSUPPORTED, "nothing is stored here");
}

static enum cof_result next(void *self, void *cursor, size_t max, struct cof_batch *into,
                            struct cof_error *err)
{
  (void)self;
  (void)cursor;
  (void)max;
  (void)into;
  return cof_fail(err, COF_UNSUPPORTED, "nothing is stored here");
}

static void close_cursor(void *self, void *cursor)
{
  (void)self;
  (void)cursor;
}

static enum cof_result stats(void *self, struct cof_storage_stats *into, cof_sensor_fn fn,
                             void *arg, struct cof_error *err)
{
  (void)self;
  (void)into;
  (void)fn;
  (void)arg;
  (void)err;
  return COF_OK;
}

__attribute__((unused)) static const struct cof_input_ops input_ops = {
    .struct_size = sizeof input_ops, .ack = ack, .load = LOAD};
__attribute__((unused)) static const struct cof_filter_ops filter_ops = {
    .struct_size = sizeof filter_ops, .process = process};
__attribute__((unused)) static const struct cof_storage_ops storage_ops = {.struct_size = OPS_SIZE,
                                                                           .write = WRITE,
                                                                           .open = open_cursor,
                                                                           .next = next,
                                                                           .close = close_cursor,
                                                                           .stats = stats};
__attribute__((unused)) static const struct cof_output_ops output_ops = {.struct_size =
                                                                             sizeof output_ops};
/* Some of these are left out of a broken plugin. */
__attribute__((unused)) static const void *const unused[] = {
    (const void *)create, (const void *)write_batch, (const void *)reload};

COF_PLUGIN_EXPORT const struct cof_plugin cof_plugin = {.magic = MAGIC,
                                                        .abi_major = MAJOR,
                                                        .abi_minor = MINOR,
                                                        .struct_size = STRUCT_SIZE,
                                                        .option_size = OPTION_SIZE,
                                                        .kind = KIND,
                                                        .caps = CAPS,
                                                        .name = PLUGIN_NAME,
                                                        .version = "1.2.3",
                                                        .summary = "Does nothing",
                                                        .options = options,
                                                        .conf_size = sizeof(struct test_conf),
                                                        .check = check,
                                                        .create = CREATE,
                                                        .start = start,
                                                        .reload = RELOAD,
                                                        .stop = stop,
                                                        .destroy = destroy,
                                                        .ops = OPS};
#endif
