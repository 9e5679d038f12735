/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "descriptor_private.h"
#include "loader_private.h"
#include "support_private.h"

/* A plugin directory and a loader that searches it. */
struct fixture {
  char *directory;
  struct loader *loader;
};

static int setup(void **state)
{
  struct fixture *fixture = calloc(1, sizeof *fixture);
  assert_non_null(fixture);
  fixture->directory = support_plugins();
  fixture->loader = loader_create(fixture->directory);
  assert_non_null(fixture->loader);
  *state = fixture;
  return 0;
}

static int teardown(void **state)
{
  struct fixture *fixture = *state;
  loader_destroy(&fixture->loader);
  assert_null(fixture->loader);
  loader_destroy(&fixture->loader);
  support_remove(fixture->directory);
  free(fixture);
  return 0;
}

static void test_good_ones_load(void **state)
{
  struct fixture *f = *state;
  static const char *const names[] = {NULL, "feed", "sieve", "plain", "api"};
  for (enum cof_kind kind = COF_KIND_INPUT; kind <= COF_KIND_OUTPUT; kind++) {
    const struct cof_plugin *plugin = NULL, *again = NULL;
    struct cof_error err = {""};
    assert_int_equal(loader_get(f->loader, kind, names[kind], &plugin, &err), COF_OK);
    assert_string_equal(plugin->name, names[kind]);
    assert_int_equal(plugin->kind, kind);
    assert_int_equal(loader_get(f->loader, kind, names[kind], &again, &err), COF_OK);
    assert_ptr_equal(plugin, again);
  }
}

/* Load a broken plugin, and compare the reason, whose `%s` is the path. */
static void assert_broken(struct fixture *f, enum cof_kind kind, const char *object,
                          const char *name, const char *reason)
{
  char file[64], path[256];
  snprintf(file, sizeof file, "%s/%s.so", kind_name(kind), name);
  snprintf(path, sizeof path, "%s/%s: %s", f->directory, file, reason);
  if (object != NULL)
    support_plugin(f->directory, object, file);
  const struct cof_plugin *plugin = NULL;
  struct cof_error err = {""};
  assert_int_equal(loader_get(f->loader, kind, name, &plugin, &err), COF_REJECT);
  assert_null(plugin);
  assert_memory_equal(loader_reason(f->loader), err.text, strlen(err.text));
  if (strlen(loader_reason(f->loader)) > strlen(path))
    assert_memory_equal(loader_reason(f->loader), path, strlen(path));
  else
    assert_string_equal(loader_reason(f->loader), path);
}

static void expect_abi(struct fixture *f, const char *object, const char *name, const char *major,
                       unsigned minor)
{
  char reason[256];
  snprintf(
      reason, sizeof reason,
      "its plugin ABI is %s.%u, expected 1.0 to 1.%u; upgrade cofd, or rebuild it with its SDK",
      major, minor, COF_ABI_MINOR);
  assert_broken(f, COF_KIND_STORAGE, object, name, reason);
}

static void test_wrong_abi(void **state)
{
  struct fixture *f = *state;
  char reason[256];
  assert_broken(f, COF_KIND_STORAGE, "no_symbol", "no-symbol",
                "exports no symbol 'cof_plugin'; expected a descriptor marked COF_PLUGIN_EXPORT "
                "(is it a cofd plugin?)");
  assert_broken(f, COF_KIND_STORAGE, "bad_magic", "bad-magic",
                "its magic number is 0x00001234, expected 0x634f4644; begin the descriptor with "
                "COF_PLUGIN_HEADER");
  expect_abi(f, "bad_major", "bad-major", "7", COF_ABI_MINOR);
  expect_abi(f, "new_minor", "new-minor", "1", 99);
  snprintf(reason, sizeof reason, "its descriptor has 16 octets, expected at least %zu; rebuild it",
           sizeof(struct cof_plugin));
  assert_broken(f, COF_KIND_STORAGE, "small_struct", "small-struct", reason);
  snprintf(reason, sizeof reason, "its options have 16 octets, expected %zu; rebuild it",
           sizeof(struct cof_option));
  assert_broken(f, COF_KIND_STORAGE, "small_option", "small-option", reason);
  snprintf(reason, sizeof reason, "its ops have 16 octets, expected at least %zu; rebuild it",
           sizeof(struct cof_storage_ops));
  assert_broken(f, COF_KIND_STORAGE, "small_ops", "small-ops", reason);
}

static void test_wrong_identity(void **state)
{
  struct fixture *f = *state;
  assert_broken(f, COF_KIND_STORAGE, "bad_kind", "bad-kind",
                "its kind is 9, expected 1 to 4 (enum cof_kind)");
  assert_broken(f, COF_KIND_STORAGE, "sieve", "sieve",
                "is of kind filter, expected storage here; move it to the folder 'filter'");
  assert_broken(f, COF_KIND_STORAGE, "plain", "other",
                "is named 'plain', expected 'other' as its file; rename the file");
}

static void test_broken_tables(void **state)
{
  struct fixture *f = *state;
  assert_broken(f, COF_KIND_STORAGE, "bad_type", "bad-type",
                "its option table is broken: option 'number': its field has 8 octets, its type "
                "needs 1; use COF_FIELD");
  assert_broken(f, COF_KIND_STORAGE, "bad_default", "bad-default",
                "its option table is broken: option 'number': its default '17' is out of bounds; "
                "expected 1 to 16");
  assert_broken(f, COF_KIND_STORAGE, "no_reload", "no-reload",
                "its option table is broken: option 'text' is COF_OPT_RELOADABLE, and the plugin "
                "has no reload()");
}

static void test_missing_callbacks(void **state)
{
  struct fixture *f = *state;
  assert_broken(f, COF_KIND_STORAGE, "no_ops", "no-ops",
                "has no ops; expected a struct cof_storage_ops");
  assert_broken(f, COF_KIND_STORAGE, "no_create", "no-create", "lacks the callback create()");
  assert_broken(f, COF_KIND_STORAGE, "no_write", "no-write", "lacks the callback write()");
  assert_broken(f, COF_KIND_INPUT, "no_load", "no-load",
                "lacks the callback load(), which COF_CAP_LOAD needs");
}

static void test_files_that_do_not_open(void **state)
{
  struct fixture *f = *state;
  free(support_file(f->directory, "storage/text.so",
                    "This is a text that is as long as the header of a shared "
                    "object, and yet it is none.\n"));
  assert_broken(f, COF_KIND_STORAGE, NULL, "text", "does not open: ");
  assert_non_null(strstr(loader_reason(f->loader), "invalid ELF header"));
  assert_broken(f, COF_KIND_STORAGE, "undefined", "undefined", "does not open: ");
  assert_non_null(strstr(loader_reason(f->loader), "undefined symbol: "
                                                   "cofd_test_function_that_nobody_has"));
  free(support_file(f->directory, "storage/empty.so", ""));
  assert_broken(f, COF_KIND_STORAGE, NULL, "empty", "does not open: ");
}

static void test_archives(void **state)
{
  struct fixture *f = *state;
  const struct cof_plugin *plugin = NULL;
  struct cof_error err = {""};
  char text[1024], *target = NULL;
  /* An installed archive names the directory, one in a build tree lies above .libs. */
  snprintf(text, sizeof text,
           "# Generated by libtool\ndlname='plain.so'\nlibrary_names='plain.so'\n"
           "old_library=''\ndependency_libs=''\ninstalled=yes\nlibdir='%s'\n",
           TEST_PLUGINS);
  char *other = support_directory();
  free(support_file(other, "storage/plain.la", text));
  struct loader *loader = loader_create(other);
  assert_int_equal(loader_get(loader, COF_KIND_STORAGE, "plain", &plugin, &err), COF_OK);
  assert_string_equal(plugin->name, "plain");
  loader_destroy(&loader);
  free(support_file(other, "storage/plain.la", "dlname='gone.so'\ninstalled=no\nlibdir=''\n"));
  loader = loader_create(other);
  assert_int_equal(loader_get(loader, COF_KIND_STORAGE, "plain", &plugin, &err), COF_REJECT);
  assert_non_null(strstr(loader_reason(loader), "/storage/.libs/gone.so"));
  free(support_file(other, "storage/plain.la", "nothing\n"));
  assert_int_equal(loader_get(loader, COF_KIND_STORAGE, "plain", &plugin, &err), COF_REJECT);
  assert_non_null(strstr(err.text, "not a libtool archive of a module"));
  loader_destroy(&loader);
  support_remove(other);
  /* The folder of a plugin in a build tree. */
  other = support_directory();
  snprintf(text, sizeof text, "%.*s/plain.la", (int)(sizeof TEST_PLUGINS - sizeof "/.libs"),
           TEST_PLUGINS);
  free(support_file(other, "storage/plain/README", ""));
  assert_true(asprintf(&target, "%s/storage/plain/plain.la", other) > 0);
  assert_int_equal(symlink(text, target), 0);
  free(target);
  assert_true(asprintf(&target, "%s/storage/plain/.libs", other) > 0);
  assert_int_equal(symlink(TEST_PLUGINS, target), 0);
  free(target);
  loader = loader_create(other);
  assert_int_equal(loader_get(loader, COF_KIND_STORAGE, "plain", &plugin, &err), COF_OK);
  loader_destroy(&loader);
  support_remove(other);
  (void)f;
}

static void test_missing_ones(void **state)
{
  struct fixture *f = *state;
  const struct cof_plugin *plugin = NULL;
  struct cof_error err;
  char expected[512];
  assert_int_equal(loader_get(f->loader, COF_KIND_STORAGE, "plian", &plugin, &err), COF_REJECT);
  snprintf(expected, sizeof expected, "no storage plugin 'plian' in %s; did you mean 'plain'?",
           f->directory);
  assert_string_equal(err.text, expected);
  assert_int_equal(loader_get(f->loader, COF_KIND_STORAGE, "mysql", &plugin, &err), COF_REJECT);
  snprintf(expected, sizeof expected,
           "no storage plugin 'mysql' in %s; 'cofd plugins' lists what is installed", f->directory);
  assert_string_equal(err.text, expected);
  assert_int_equal(loader_get(f->loader, COF_KIND_STORAGE, "feed", &plugin, &err), COF_REJECT);
  assert_string_equal(err.text,
                      "'feed' is an input plugin, not a storage plugin; expected [input.NAME]");
  static const char *const bad[] = {"", "../input/feed", "Plain", "a.b", "a/b"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(loader_get(f->loader, COF_KIND_STORAGE, bad[i], &plugin, &err), COF_REJECT);
    assert_non_null(strstr(err.text, "is no plugin name"));
  }
}

/* What loader_each shows, one line each. */
struct seen {
  char text[4096];
};

static void see(void *arg, const struct loader_entry *entry)
{
  struct seen *seen = arg;
  size_t used = strlen(seen->text);
  snprintf(seen->text + used, sizeof seen->text - used, "%s/%s %s %s\n", kind_name(entry->kind),
           entry->name, entry->plugin != NULL ? "good" : "bad",
           entry->error != NULL ? entry->error : entry->path);
}

static void test_first_directory_wins(void **state)
{
  struct fixture *f = *state;
  char *second = support_directory();
  support_plugin(second, "no_symbol", "storage/plain.so");
  support_plugin(second, "bad_magic", "storage/bad-magic.so");
  free(support_file(second, "storage/notes.txt", "not a plugin"));
  char path[512], expected[4096];
  snprintf(path, sizeof path, "%s/nothing-here::%s:%s", f->directory, f->directory, second);
  struct loader *loader = loader_create(path);
  struct seen seen = {""};
  loader_each(loader, see, &seen);
  snprintf(expected, sizeof expected,
           "input/feed good %1$s/input/feed.so\n"
           "filter/sieve good %1$s/filter/sieve.so\n"
           "storage/bad-magic bad %2$s/storage/bad-magic.so: its magic number is 0x00001234, "
           "expected 0x634f4644; begin the descriptor with COF_PLUGIN_HEADER\n"
           "storage/plain good %1$s/storage/plain.so\n"
           "storage/plain bad shadowed by %1$s/storage/plain.so\n"
           "output/api good %1$s/output/api.so\n",
           f->directory, second);
  assert_string_equal(seen.text, expected);
  loader_destroy(&loader);
  support_remove(second);
}

/* Storages by name: able, bad-magic, plain, zeal. */
static void test_first_that_can(void **state)
{
  struct fixture *f = *state;
  char *second = support_directory();
  support_plugin(second, "able", "storage/able.so");
  support_plugin(second, "bad_magic", "storage/bad-magic.so");
  support_plugin(second, "zeal", "storage/zeal.so");
  char path[512], zeal[512];
  snprintf(path, sizeof path, "%s:%s", f->directory, second);
  snprintf(zeal, sizeof zeal, "%s/storage/zeal.so", second);
  struct loader *loader = loader_create(path);
  const struct cof_plugin *found = loader_first(loader, COF_KIND_STORAGE, 0);
  assert_non_null(found);
  assert_string_equal(found->name, "able");
  found = loader_first(loader, COF_KIND_STORAGE, COF_CAP_RRNAME);
  assert_non_null(found);
  assert_string_equal(found->name, "plain");
  assert_null(dlopen(zeal, RTLD_NOW | RTLD_NOLOAD)); /* nor was it looked into */
  assert_null(loader_first(loader, COF_KIND_STORAGE, COF_CAP_RRNAME | UINT64_C(1) << 63));
  found = loader_first(loader, COF_KIND_INPUT, 0);
  assert_non_null(found);
  assert_string_equal(found->name, "feed");
  loader_destroy(&loader);
  support_remove(second);
}

static void test_environment(void **state)
{
  struct fixture *f = *state;
  const struct cof_plugin *plugin = NULL;
  struct cof_error err;
  assert_int_equal(setenv("COFD_PLUGIN_PATH", f->directory, 1), 0);
  struct loader *loader = loader_create(NULL);
  assert_int_equal(loader_get(loader, COF_KIND_STORAGE, "plain", &plugin, &err), COF_OK);
  loader_destroy(&loader);
  loader = loader_create(""); /* a path that is given counts, also an empty one */
  assert_int_equal(loader_get(loader, COF_KIND_STORAGE, "plain", &plugin, &err), COF_REJECT);
  loader_destroy(&loader);
  assert_int_equal(unsetenv("COFD_PLUGIN_PATH"), 0);
}

static void test_kinds(void **state)
{
  (void)state;
  assert_int_equal(kind_parse("input"), COF_KIND_INPUT);
  assert_int_equal(kind_parse("output"), COF_KIND_OUTPUT);
  assert_int_equal(kind_parse("outputs"), 0);
  assert_int_equal(kind_parse(""), 0);
  assert_string_equal(kind_name(COF_KIND_FILTER), "filter");
  assert_null(kind_name(0));
  assert_null(kind_name((enum cof_kind)5));
}

#define WITH_PLUGINS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {WITH_PLUGINS(test_good_ones_load),
                                     WITH_PLUGINS(test_wrong_abi),
                                     WITH_PLUGINS(test_wrong_identity),
                                     WITH_PLUGINS(test_broken_tables),
                                     WITH_PLUGINS(test_missing_callbacks),
                                     WITH_PLUGINS(test_files_that_do_not_open),
                                     WITH_PLUGINS(test_archives),
                                     WITH_PLUGINS(test_missing_ones),
                                     WITH_PLUGINS(test_first_directory_wins),
                                     WITH_PLUGINS(test_first_that_can),
                                     WITH_PLUGINS(test_environment),
                                     cmocka_unit_test(test_kinds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
