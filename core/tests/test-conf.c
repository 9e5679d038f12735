/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf_private.h"
#include "ini_private.h"
#include "plugin_private.h"
#include "support_private.h"

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
  support_remove(fixture->directory);
  free(fixture);
  return 0;
}

/* A small file that is right. */
#define GOOD                                                                                       \
  "[input.in]\nplugin = feed\npath = a\n"                                                          \
  "[filter.junk]\nplugin = sieve\npath = b\n"                                                      \
  "[storage.db]\nplugin = plain\npath = c\n"                                                       \
  "[output.api]\nplugin = api\npath = d\n"                                                         \
  "[chain.main]\nroute = in -> junk -> db -> api\n"

/* The problems of a read, one a line. */
static void join(const struct problems *problems, char *text, size_t size)
{
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < problems_count(problems) && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s\n", problems_text(problems, i));
}

static struct conf *read_octets(struct fixture *f, const char *text, size_t len,
                                const char *const *overrides, size_t count, char *said, size_t size)
{
  struct problems *problems = problems_create();
  FILE *stream = tmpfile();
  assert_non_null(stream);
  assert_int_equal(fwrite(text, 1, len, stream), len);
  rewind(stream);
  struct conf *conf = conf_read_stream(stream, "f", f->loader, overrides, count, problems);
  fclose(stream);
  join(problems, said, size);
  assert_true((conf == NULL) == (problems_errors(problems) > 0));
  problems_destroy(&problems);
  assert_null(problems);
  return conf;
}

/* Read a text that is wrong, and compare all that is said about it. */
static void assert_said(struct fixture *f, const char *text, const char *expected)
{
  char said[8192];
  struct conf *conf = read_octets(f, text, strlen(text), NULL, 0, said, sizeof said);
  assert_string_equal(said, expected);
  conf_destroy(&conf);
}

static struct conf *read_good(struct fixture *f, const char *text)
{
  char said[8192];
  struct conf *conf = read_octets(f, text, strlen(text), NULL, 0, said, sizeof said);
  assert_string_equal(said, "");
  assert_non_null(conf);
  return conf;
}

static void test_good_file(void **state)
{
  struct fixture *f = *state;
  struct conf *conf = read_good(f, GOOD);
  assert_string_equal(conf->file, "f");
  assert_int_equal(conf->instances_count, 4);
  assert_int_equal(conf->chains_count, 1);
  assert_string_equal(conf->instances[2].source, "storage.db");
  assert_string_equal(conf->instances[2].name, "db");
  assert_int_equal(conf->instances[2].kind, COF_KIND_STORAGE);
  assert_int_equal(conf->instances[2].line, 7);
  assert_true(conf->instances[2].used);
  const struct conf_chain *chain = &conf->chains[0];
  assert_string_equal(chain->name, "main");
  assert_string_equal(chain->source, "chain.main");
  assert_int_equal(chain->inputs_count, 1);
  assert_int_equal(chain->inputs[0], 0);
  assert_int_equal(chain->filters[0], 1);
  assert_int_equal(chain->storages[0], 2);
  assert_int_equal(chain->outputs[0], 3);
  assert_int_equal(chain->conf.window_records, 262144);
  assert_int_equal(chain->conf.window_time, 1000);
  assert_int_equal(chain->conf.queue_batches, 8);
  assert_int_equal(chain->conf.queue_bytes, 32 << 20);
  assert_int_equal(chain->conf.window_bytes, 64 << 20);
  assert_int_equal(chain->conf.retry_min, 100);
  assert_int_equal(chain->conf.retry_max, 30000);
  assert_int_equal(conf->host.log_level, 2);
  assert_int_equal(conf->host.stop_timeout, 30000);
  assert_null(conf->host.state_dir);
  conf_destroy(&conf);
  assert_null(conf);
  conf_destroy(&conf);
}

static void test_values(void **state)
{
  struct fixture *f = *state;
  struct conf *conf = read_good(
      f, "\xef\xbb\xbf; a comment\r\n[cofd]\r\nlog_level = debug\r\nstate_dir: /var/lib/x\r\n\r\n"
         "  [storage.db]  # another\nplugin = plain\npath = /a b/c#d\nnumber = 7\nflag = on\n"
         "choice = blue ; and another\npause = 50s\nsize = 1G\nlisten = [::1]:0\n"
         "password = se;cret\nnames = a, b\n  c,\n# in between\n\n\td, [::1]:53\nnames = e\n"
         "few = x\n"
         "[output.api]\nplugin = api\npath = d\n[chain.q]\nroute = db->api\nqueue_batches = 2");
  const struct test_conf *values = conf->instances[0].values;
  assert_int_equal(conf->host.log_level, 3);
  assert_string_equal(conf->host.state_dir, "/var/lib/x");
  assert_string_equal(values->text, "hello");
  assert_string_equal(values->path, "/a b/c#d");
  assert_int_equal(values->number, 7);
  assert_true(values->flag);
  assert_int_equal(values->choice, 2);
  assert_int_equal(values->pause, 50000);
  assert_int_equal(values->size, INT64_C(1) << 30);
  assert_string_equal(values->listen.host, "::1");
  assert_int_equal(values->listen.port, 0);
  assert_string_equal(values->password, "se;cret");
  static const char *const names[] = {"a", "b", "c", "d", "[::1]:53", "e"};
  assert_int_equal(values->names.count, 6);
  for (size_t i = 0; i < 6; i++)
    assert_string_equal(values->names.items[i], names[i]);
  assert_int_equal(values->few.count, 1);
  assert_null(values->old);
  assert_int_equal(conf->chains[0].conf.queue_batches, 2);
  assert_int_equal(conf->chains[0].inputs_count, 0);
  conf_destroy(&conf);
}

static void test_lines(void **state)
{
  struct fixture *f = *state;
  assert_said(f, "early = 1\n[cofd]\nnonsense\n= 1\n[cofd\nlost = 1\n[chain.a] x\nroute = db\n",
              "f:1: error: an option before any section; expected [cofd] or [kind.name] above it\n"
              "f:3: error: neither 'key = value' nor '[section]' nor a comment (#, ;)\n"
              "f:4: error: no key before '='; expected 'key = value'\n"
              "f:5: error: a section without ']'; expected [kind.name]\n"
              "f:7: error: text after ']'; a section stands on a line of its own\n"
              "f:8: error: route: no instance 'db'; expected the name of a section [kind.name]\n");
  char said[512];
  static const char binary[] = "[cofd]\nlog_level\0 = info\nlog\rlevel = info\n" GOOD;
  struct conf *conf = read_octets(f, binary, sizeof binary - 1, NULL, 0, said, sizeof said);
  assert_null(conf);
  assert_string_equal(said, "f:2: error: control characters; expected text\n"
                            "f:3: error: control characters; expected text\n");
}

static void test_sections(void **state)
{
  struct fixture *f = *state;
  assert_said(
      f,
      GOOD "[storage.db]\n[outputs.x]\n[storage]\n[nonsense]\n[cof]\n[input.a b]\n[input.]\n"
           "[filter.in]\nplugin = sieve\npath = x\n[input.x]\n",
      "f:15: error: section [storage.db] is there already, in line 7; put all its options there\n"
      "f:16: error: unknown section [outputs.x]; did you mean [output.x]?\n"
      "f:17: error: unknown section [storage]; did you mean [storage.NAME]?\n"
      "f:18: error: unknown section [nonsense]; expected [cofd], [input.NAME], [filter.NAME], "
      "[storage.NAME], [output.NAME] or [chain.NAME]\n"
      "f:19: error: unknown section [cof]; did you mean [cofd]?\n"
      "f:20: error: [input.a b]: the name after the dot has 1 to 63 letters, digits, '-' and '_'\n"
      "f:21: error: [input.]: the name after the dot has 1 to 63 letters, digits, '-' and '_'\n"
      "f:22: error: [filter.in] has the name of [input.in] in line 1, and a route could not tell "
      "them apart; rename one\n"
      "f:22: warning: [filter.in] is in no route, so it does nothing; name it in one\n"
      "f:25: error: [input.x] has no 'plugin'; expected 'plugin = NAME' with the name of an input "
      "plugin: feed\n"
      "f:25: warning: [input.x] is in no route, so it does nothing; name it in one\n");
  assert_said(f, "",
              "f: error: no [chain.NAME]; expected one with 'route = INPUT -> STORAGE -> "
              "OUTPUT'\n");
}

static void test_options(void **state)
{
  struct fixture *f = *state;
  char expected[2048];
  snprintf(expected, sizeof expected,
           "f:2: error: plugin = plian: no storage plugin 'plian' in %s; did you mean 'plain'?\n"
           "f:3: error: [storage.b] has no 'path', which is required; expected a file name\n"
           "f:5: error: number = many: not a number; expected 1 to 16\n"
           "f:6: error: 'number' is given again, first in line 5; keep one of them\n"
           "f:7: error: choice = gren: unknown choice; expected one of red, green, blue; did you "
           "mean 'green'?\n"
           "f:8: error: txet = 1"
           "\n",
           f->directory);
  char *tail = strstr(expected, "f:8: error:");
  strcpy(tail, "f:8: error: unknown option 'txet'; did you mean 'text'?\n"
               "f:9: error: unknown option 'zzzzzzz'; valid here: text, number, flag, choice, "
               "pause, size, listen, path, password, names, few\n"
               "f:10: error: pause = 61s: out of bounds; expected a number with ms, s, m, h or d, "
               "such as 10s, 0 to 1m\n"
               "f:11: warning: 'old' is deprecated: Use text.\n"
               "f:12: error: few = a, b, c, d: wrong number of texts; expected 1 to 3 texts "
               "separated by commas\n"
               "f:14: error: route: no storage; expected inputs -> filters -> storages -> "
               "outputs\n");
  assert_said(f,
              "[storage.a]\nplugin = plian\n"
              "[storage.b]\nplugin = plain\nnumber = many\nnumber = 3\nchoice = gren\ntxet = 1\n"
              "zzzzzzz = 1\npause = 61s\nold = x\nfew = a, b, c, d\n[chain.x]\nroute = in\n"
              "[input.in]\nplugin = feed\npath = x\n",
              expected);
}

static void test_secrets_are_not_shown(void **state)
{
  struct fixture *f = *state;
  assert_said(f, "[output.api]\nplugin = api\npath = d\npassword =\n",
              "f: error: no [chain.NAME]; expected one with 'route = INPUT -> STORAGE -> OUTPUT'\n"
              "f:4: error: password: empty; expected a text, @FILE or @CREDENTIAL\n");
}

static void test_indented_lines(void **state)
{
  struct fixture *f = *state;
  assert_said(f,
              "[storage.db]\nplugin = plain\npath = c\n  text = a\nnames = a\n  number = 3\n"
              "  ok, = fine\ntext = a\n  b\n[output.api]\nplugin = api\npath = d\n[chain.q]\n"
              "route = db -> api\n  queue_batches = 2\n",
              "f:4: error: 'text = a' is indented, so it continues 'path'; begin it in the first "
              "column\n"
              "f:6: error: 'number = 3' is indented, so it continues 'names'; begin it in the "
              "first column\n"
              "f:9: error: an indented line continues 'text', which takes one line; join the two, "
              "or begin this one in the first column\n"
              "f:15: error: 'queue_batches = 2' is indented, so it continues 'route'; begin it in "
              "the first column\n");
}

static void test_plugin_check(void **state)
{
  struct fixture *f = *state;
  assert_said(f,
              "[storage.db]\nplugin = plain\npath = c\nnumber = 9\n[output.api]\nplugin = api\n"
              "path = d\n[chain.q]\nroute = db -> api\nretry_min = 2s\nretry_max = 1s\n",
              "f:4: error: number: 9 is too much without flag; expected at most 8\n"
              "f:10: error: retry_min (2000ms) is above retry_max (1000ms); expected at most "
              "that\n");
}

/* Read octets that are wrong, and look for one of the problems. */
static void assert_mentioned(struct fixture *f, const char *text, size_t len, const char *expected)
{
  struct problems *problems = problems_create();
  FILE *stream = fmemopen((void *)(uintptr_t)text, len, "r");
  assert_non_null(stream);
  assert_null(conf_read_stream(stream, "f", f->loader, NULL, 0, problems));
  fclose(stream);
  bool found = false;
  for (size_t i = 0; i < problems_count(problems); i++)
    found = found || strcmp(problems_text(problems, i), expected) == 0;
  assert_true(found);
  problems_destroy(&problems);
}

static void test_bounds_of_the_file(void **state)
{
  struct fixture *f = *state;
  char said[8192], *text = malloc(INI_FILE_MAX + 4096);
  assert_non_null(text);
  /* The longest line that is taken, and one octet more. */
  size_t head = (size_t)sprintf(text, "[cofd]\nlog_format = ");
  size_t len = INI_FILE_LINE_MAX - strlen("log_format = ");
  memset(text + head, 'x', len + 1);
  strcpy(text + head + len, "\n" GOOD);
  struct conf *conf = read_octets(f, text, strlen(text), NULL, 0, said, sizeof said);
  assert_null(conf);
  assert_memory_equal(said, "f:2: error: log_format = xxx", 28);
  assert_true(strlen(said) < 300);
  memset(text + head, 'x', len + 1);
  strcpy(text + head + len + 1, "\n" GOOD);
  conf = read_octets(f, text, strlen(text), NULL, 0, said, sizeof said);
  assert_null(conf);
  assert_string_equal(said,
                      "f:2: error: line longer than 65536 octets; break it into indented lines\n");
  memset(text, '\n', INI_FILE_MAX + 4096);
  assert_mentioned(f, text, INI_FILE_MAX + 1,
                   "f:1048577: error: the file goes on beyond 1048576 octets; expected less");
  free(text);
}

static void test_bounds_of_sections(void **state)
{
  struct fixture *f = *state;
  char *text = malloc(65536);
  assert_non_null(text);
  size_t used = 0;
  for (int i = 0; i < INI_SECTIONS_MAX + 9; i++)
    used += (size_t)sprintf(text + used, "[x]\n");
  assert_mentioned(f, text, used, "f:1025: error: too many sections; expected at most 1024");
  used = (size_t)sprintf(text, "[cofd]\n");
  for (int i = 0; i < INI_KEYS_MAX + 9; i++)
    used += (size_t)sprintf(text + used, "x%d = 1\n", i);
  assert_mentioned(f, text, used,
                   "f:1026: error: too many lines in this section; expected at most 1024");
  free(text);
}

static void test_overrides(void **state)
{
  struct fixture *f = *state;
  char said[2048];
  const char *good[] = {"storage.db.path=/other", "storage.db.names=x,y", "cofd.log_level=error",
                        "storage.db.text=a=b"};
  static const char text[] = "[cofd]\nlog_level = debug\n" GOOD;
  struct conf *conf = read_octets(f, text, sizeof text - 1, good, 4, said, sizeof said);
  assert_string_equal(said, "");
  const struct test_conf *values = conf->instances[2].values;
  assert_string_equal(values->path, "/other");
  assert_string_equal(values->text, "a=b");
  assert_int_equal(values->names.count, 2);
  assert_int_equal(conf->host.log_level, 0);
  conf_destroy(&conf);
  const char *bad[] = {"path=x", "storage.x.path=x", "storage.db.number=0", "storage.db", "a.=x"};
  conf = read_octets(f, text, sizeof text - 1, bad, 5, said, sizeof said);
  assert_null(conf);
  assert_string_equal(
      said, "command line: error: 'path=x' is no setting; expected SECTION.KEY=VALUE\n"
            "command line: error: 'storage.x.path=x': no section [storage.x] in f; expected one "
            "that is there\n"
            "command line: error: 'storage.db' is no setting; expected SECTION.KEY=VALUE\n"
            "command line: error: 'a.=x' is no setting; expected SECTION.KEY=VALUE\n"
            "command line: error: number = 0: out of bounds; expected 1 to 16\n");
}

static void test_defaults(void **state)
{
  struct fixture *f = *state;
  const struct cof_plugin *plugin = NULL;
  struct cof_error err;
  assert_int_equal(loader_get(f->loader, COF_KIND_STORAGE, "plain", &plugin, &err), COF_OK);
  struct problems *problems = problems_create();
  struct conf_memory *memory = NULL;
  const char *good[] = {"path=x", "number=5", "names=a", "names=b"};
  const struct test_conf *values =
      conf_defaults(plugin, "input.import", good, 4, &memory, problems);
  assert_non_null(values);
  assert_string_equal(values->path, "x");
  assert_int_equal(values->number, 5);
  assert_string_equal(values->text, "hello");
  assert_int_equal(values->names.count, 2);
  const char *bad[] = {"number=99", "path=x", "path=y", "nothing"};
  assert_null(conf_defaults(plugin, "input.import", bad, 1, &memory, problems));
  assert_null(conf_defaults(plugin, "input.import", bad, 2, &memory, problems));
  assert_null(conf_defaults(plugin, "input.import", bad + 1, 3, &memory, problems));
  char said[2048];
  join(problems, said, sizeof said);
  assert_string_equal(
      said, "command line: error: number = 99: out of bounds; expected 1 to 16\n"
            "command line: error: [input.import] has no 'path', which is required; expected a "
            "file name\n"
            "command line: error: number = 99: out of bounds; expected 1 to 16\n"
            "command line: error: 'nothing' is no setting; expected KEY=VALUE\n"
            "command line: error: 'path' is given again; keep one of them\n");
  problems_destroy(&problems);
  conf_memory_free(&memory);
}

static void test_read_host(void **state)
{
  struct fixture *f = *state;
  struct problems *problems = problems_create();
  struct conf_memory *memory = NULL;
  struct host_conf host;
  char *file = support_file(f->directory, "x.conf",
                            "[cofd]\nlog_level = nonsense\nlog_format = json\nbroken\n[nothing]\n"
                            "[cofd]\nplugin_path = /late\n");
  assert_true(conf_read_host(file, &host, &memory, problems));
  assert_int_equal(host.log_level, 2);
  assert_int_equal(host.log_format, 2);
  assert_null(host.plugin_path);
  assert_int_equal(problems_count(problems), 0);
  free(file);
  assert_false(conf_read_host("/nonexistent/x", &host, &memory, problems));
  assert_string_equal(problems_text(problems, 0),
                      "/nonexistent/x: error: cannot be opened: No such file or directory");
  assert_null(conf_read(f->directory, f->loader, NULL, 0, problems));
  assert_non_null(strstr(problems_text(problems, 1), "cannot be read: Is a directory"));
  conf_memory_free(&memory);
  problems_destroy(&problems);
}

static void note(void *arg, const char *option)
{
  strcat(strcat((char *)arg, option), " ");
}

static void test_merge(void **state)
{
  struct fixture *f = *state;
  struct conf *old = read_good(f, GOOD);
  struct conf *fresh = read_good(f, "[storage.db]\nplugin = plain\npath = new\nnumber = 5\n"
                                    "names = a\ntext = changed\n[output.api]\nplugin = api\n"
                                    "path = d\n[chain.main]\nroute = db -> api\n");
  const struct cof_plugin *plugin = old->instances[2].plugin;
  struct test_conf *values = fresh->instances[0].values;
  char noted[128] = "";
  assert_true(conf_merge_reloadable(plugin, old->instances[2].values, values, note, noted));
  assert_string_equal(noted, "number path names ");
  assert_string_equal(values->text, "changed");
  assert_string_equal(values->path, "c");
  assert_int_equal(values->number, 4);
  assert_int_equal(values->names.count, 0);
  noted[0] = '\0';
  assert_false(conf_merge_reloadable(plugin, values, values, note, noted));
  assert_string_equal(noted, "");
  conf_destroy(&fresh);
  conf_destroy(&old);
}

static void test_problems(void **state)
{
  (void)state;
  struct problems *problems = problems_create();
  problems_add(problems, false, "f", 9, "late");
  problems_add(problems, true, "f", 2, "first of 2\x1b[0m");
  problems_add(problems, false, "f", 2, "second of 2");
  problems_add(problems, false, "f", 0, "whole");
  char said[512];
  join(problems, said, sizeof said);
  assert_string_equal(said, "f: error: whole\nf:2: warning: first of 2?[0m\n"
                            "f:2: error: second of 2\nf:9: error: late\n");
  assert_int_equal(problems_errors(problems), 3);
  for (int i = 0; i < 2000; i++)
    problems_add(problems, false, "f", 3, "again");
  assert_int_equal(problems_errors(problems), 2003);
  assert_true(problems_count(problems) <= 1001);
  assert_string_equal(problems_text(problems, 1), "f: warning: more mistakes than are shown here");
  problems_destroy(&problems);
}

/* --- the manual ----------------------------------------------------------------------------- */

static char *read_manual(void)
{
  FILE *file = fopen(TEST_SOURCES "/cofd.conf.5", "r");
  assert_non_null(file);
  char *text = calloc(1, 65536);
  assert_non_null(text);
  size_t len = fread(text, 1, 65535, file);
  assert_true(len > 0 && len < 65535);
  fclose(file);
  return text;
}

/* Each option of a table has an item, which gives its default; @return how many there are. */
static size_t assert_documented(const char *manual, const struct cof_option *table)
{
  size_t count = 0;
  for (const struct cof_option *o = table; o->name != NULL; o++, count++) {
    char item[64], dflt[64];
    snprintf(item, sizeof item, "\n.It Ic %s ", o->name);
    const char *begin = strstr(manual, item);
    if (begin == NULL) {
      fail_msg("cofd.conf(5) has no item for %s", o->name);
      return count;
    }
    const char *end = strstr(begin + 1, "\n.It Ic ");
    if (o->dflt == NULL)
      continue;
    snprintf(dflt, sizeof dflt, "Default: %s.\n", o->dflt);
    const char *found = strstr(begin, dflt);
    if (found == NULL || (end != NULL && found > end))
      fail_msg("cofd.conf(5) does not give the default of %s as %s", o->name, o->dflt);
  }
  return count;
}

static size_t count_items(const char *manual)
{
  static const char item[] = "\n.It Ic ";
  size_t count = 0;
  size_t len = strlen(manual);
  for (size_t i = 0; i + sizeof item <= len; i++)
    count += memcmp(manual + i, item, sizeof item - 1) == 0;
  return count;
}

static void test_manual(void **state)
{
  (void)state;
  char *manual = read_manual();
  size_t options = assert_documented(manual, conf_host_options);
  options += assert_documented(manual, conf_chain_options);
  assert_int_equal(count_items(manual), options + 1); /* and `plugin` */
  free(manual);
}

#define WITH_PLUGINS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {WITH_PLUGINS(test_good_file),
                                     WITH_PLUGINS(test_values),
                                     WITH_PLUGINS(test_lines),
                                     WITH_PLUGINS(test_sections),
                                     WITH_PLUGINS(test_options),
                                     WITH_PLUGINS(test_secrets_are_not_shown),
                                     WITH_PLUGINS(test_indented_lines),
                                     WITH_PLUGINS(test_plugin_check),
                                     WITH_PLUGINS(test_bounds_of_the_file),
                                     WITH_PLUGINS(test_bounds_of_sections),
                                     WITH_PLUGINS(test_overrides),
                                     WITH_PLUGINS(test_defaults),
                                     WITH_PLUGINS(test_read_host),
                                     WITH_PLUGINS(test_merge),
                                     cmocka_unit_test(test_problems),
                                     cmocka_unit_test(test_manual)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
