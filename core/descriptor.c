/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "descriptor_private.h"

#include <inttypes.h>
#include <string.h>

#include "loader_private.h"
#include "option_private.h"

bool is_plugin_name(const char *name)
{
  size_t len = strlen(name);
  return len > 0 && len <= PLUGIN_NAME_MAX &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* Numbers first: until they are right no other field may be read. */
static enum cof_result check_abi(const struct cof_plugin *plugin, struct cof_error *err)
{
  if (plugin->magic != COF_ABI_MAGIC)
    return cof_fail(err, COF_REJECT,
                    "its magic number is 0x%08" PRIx32 ", expected 0x%08" PRIx32
                    "; begin the descriptor with COF_PLUGIN_HEADER",
                    plugin->magic, COF_ABI_MAGIC);
  if (plugin->abi_major != COF_ABI_MAJOR || plugin->abi_minor > COF_ABI_MINOR)
    return cof_fail(
        err, COF_REJECT, "its plugin ABI is %" PRIu32 ".%" PRIu32 ", expected %u.0 to %u.%u; %s",
        plugin->abi_major, plugin->abi_minor, COF_ABI_MAJOR, COF_ABI_MAJOR, COF_ABI_MINOR,
        plugin->abi_major < COF_ABI_MAJOR ? "rebuild it with this cofd's SDK"
                                          : "upgrade cofd, or rebuild it with its SDK");
  if (plugin->struct_size < sizeof(struct cof_plugin))
    return cof_fail(err, COF_REJECT,
                    "its descriptor has %" PRIu32 " octets, expected at least %zu; rebuild it",
                    plugin->struct_size, sizeof(struct cof_plugin));
  if (plugin->option_size != sizeof(struct cof_option))
    return cof_fail(err, COF_REJECT,
                    "its options have %" PRIu32 " octets, expected %zu; rebuild it",
                    plugin->option_size, sizeof(struct cof_option));
  return COF_OK;
}

static enum cof_result check_identity(const struct cof_plugin *plugin, enum cof_kind kind,
                                      const char *name, struct cof_error *err)
{
  const char *found = kind_name((enum cof_kind)plugin->kind);
  if (found == NULL)
    return cof_fail(err, COF_REJECT, "its kind is %" PRIu32 ", expected 1 to 4 (enum cof_kind)",
                    plugin->kind);
  if (plugin->kind != kind)
    return cof_fail(err, COF_REJECT, "is of kind %s, expected %s here; move it to the folder '%s'",
                    found, kind_name(kind), found);
  if (plugin->name == NULL || !is_plugin_name(plugin->name))
    return cof_fail(err, COF_REJECT,
                    "has no valid name; expected 1 to %d lower case letters, digits, hyphens",
                    PLUGIN_NAME_MAX);
  if (strcmp(plugin->name, name) != 0)
    return cof_fail(err, COF_REJECT, "is named '%s', expected '%s' as its file; rename the file",
                    plugin->name, name);
  if (plugin->version == NULL || plugin->summary == NULL)
    return cof_fail(err, COF_REJECT, "has no %s; expected a text",
                    plugin->version == NULL ? "version" : "summary");
  return COF_OK;
}

static const char *missing_lifecycle(const struct cof_plugin *plugin)
{
  if (plugin->create == NULL)
    return "create()";
  if (plugin->start == NULL)
    return "start()";
  if (plugin->stop == NULL)
    return "stop()";
  return plugin->destroy == NULL ? "destroy()" : NULL;
}

static const char *missing_input(const struct cof_plugin *plugin)
{
  const struct cof_input_ops *ops = plugin->ops;
  bool loads = (plugin->caps & COF_CAP_LOAD) != 0;
  if (ops->ack == NULL)
    return "ack()";
  if (loads && ops->load == NULL)
    return "load(), which COF_CAP_LOAD needs";
  return loads && ops->progress == NULL ? "progress(), which COF_CAP_LOAD needs" : NULL;
}

static const char *missing_storage(const struct cof_plugin *plugin)
{
  const struct cof_storage_ops *ops = plugin->ops;
  if (ops->write == NULL)
    return "write()";
  if (ops->open == NULL)
    return "open()";
  if (ops->next == NULL)
    return "next()";
  if (ops->close == NULL)
    return "close()";
  if (ops->stats == NULL)
    return "stats()";
  bool resumes = (plugin->caps & COF_CAP_RESUME) != 0;
  return resumes && ops->token == NULL ? "token(), which COF_CAP_RESUME needs" : NULL;
}

static const char *missing_callback(const struct cof_plugin *plugin)
{
  const char *missing = missing_lifecycle(plugin);
  if (missing != NULL)
    return missing;
  switch ((enum cof_kind)plugin->kind) {
  case COF_KIND_INPUT:
    return missing_input(plugin);
  case COF_KIND_FILTER:
    return ((const struct cof_filter_ops *)plugin->ops)->process == NULL ? "process()" : NULL;
  case COF_KIND_STORAGE:
    return missing_storage(plugin);
  case COF_KIND_OUTPUT:
    break;
  }
  return NULL;
}

static enum cof_result check_callbacks(const struct cof_plugin *plugin, struct cof_error *err)
{
  /* As ABI 1.0 had them; what was appended since is looked for where it is used. */
  static const size_t sizes[] = {0, sizeof(struct cof_input_ops), sizeof(struct cof_filter_ops),
                                 sizeof(struct cof_storage_ops), sizeof(size_t)};
  if (plugin->ops == NULL)
    return cof_fail(err, COF_REJECT, "has no ops; expected a struct cof_%s_ops",
                    kind_name((enum cof_kind)plugin->kind));
  size_t size = *(const size_t *)plugin->ops; /* each of them begins with its size */
  if (size < sizes[plugin->kind])
    return cof_fail(err, COF_REJECT, "its ops have %zu octets, expected at least %zu; rebuild it",
                    size, sizes[plugin->kind]);
  const char *missing = missing_callback(plugin);
  if (missing != NULL)
    return cof_fail(err, COF_REJECT, "lacks the callback %s", missing);
  return COF_OK;
}

enum cof_result descriptor_check(const struct cof_plugin *plugin, enum cof_kind kind,
                                 const char *name, struct cof_error *err)
{
  struct cof_error why;
  enum cof_result result = check_abi(plugin, err);
  if (result == COF_OK)
    result = check_identity(plugin, kind, name, err);
  if (result == COF_OK)
    result = check_callbacks(plugin, err);
  if (result != COF_OK)
    return result;
  if (option_check_table(plugin->options, plugin->conf_size, plugin->reload != NULL, &why) !=
      COF_OK)
    return cof_fail(err, COF_REJECT, "its option table is broken: %s", why.text);
  return COF_OK;
}
