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
#include "option_private.h"

/* One field of each type. */
struct fields {
  char *text;
  int64_t number;
  bool flag;
  int choice;
  struct cof_endpoint endpoint;
  struct cof_list list;
};

static const char *const colours[] = {"red", "green", NULL};

static const struct cof_option text_option = {
    .name = "text", .help = "T.", .type = COF_OPT_STR, COF_FIELD(struct fields, text)};
static const struct cof_option number_option = {
    .name = "n", .help = "N.", .type = COF_OPT_INT, COF_FIELD(struct fields, number)};

static struct conf_memory *memory;
static struct cof_error why;

static int clean(void **state)
{
  (void)state;
  conf_memory_free(&memory);
  return 0;
}

static struct cof_option number_of(enum cof_opt_type type, int64_t min, int64_t max)
{
  struct cof_option option = number_option;
  option.type = type;
  option.min = min;
  option.max = max;
  return option;
}

static void assert_number(const struct cof_option *option, const char *text, int64_t value)
{
  struct fields fields = {.number = -77};
  assert_int_equal(option_parse(option, text, &fields, &memory, &why), COF_OK);
  assert_int_equal(fields.number, value);
}

static void assert_refused(const struct cof_option *option, const char *text, const char *reason)
{
  struct fields fields = {.number = -77};
  assert_int_equal(option_parse(option, text, &fields, &memory, &why), COF_REJECT);
  assert_string_equal(why.text, reason);
  assert_int_equal(fields.number, -77);
}

static void test_int(void **state)
{
  (void)state;
  assert_number(&number_option, "0", 0);
  assert_number(&number_option, "-5", -5);
  assert_number(&number_option, "007", 7);
  assert_number(&number_option, "9223372036854775807", INT64_MAX);
  assert_number(&number_option, "-9223372036854775808", INT64_MIN);
  assert_refused(&number_option, "9223372036854775808", "out of bounds; expected a whole number");
  static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1x", "0x10", "1.5", "many", "1e3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_refused(&number_option, bad[i], "not a number; expected a whole number");
  struct cof_option bounded = number_of(COF_OPT_INT, 1, 16);
  assert_number(&bounded, "1", 1);
  assert_number(&bounded, "16", 16);
  assert_refused(&bounded, "0", "out of bounds; expected 1 to 16");
  assert_refused(&bounded, "17", "out of bounds; expected 1 to 16");
  assert_refused(&bounded, "many", "not a number; expected 1 to 16");
  struct cof_option least = number_of(COF_OPT_INT, 1, INT64_MAX);
  assert_refused(&least, "0", "out of bounds; expected at least 1");
}

static void test_duration(void **state)
{
  (void)state;
  struct cof_option option = number_of(COF_OPT_DURATION, 0, 0);
  assert_number(&option, "0", 0);
  assert_number(&option, "5ms", 5);
  assert_number(&option, "10s", 10000);
  assert_number(&option, "2m", 120000);
  assert_number(&option, "3h", 10800000);
  assert_number(&option, "1d", 86400000);
  assert_refused(&option, "10", "no unit; expected a number with ms, s, m, h or d, such as 10s");
  assert_refused(&option, "10S",
                 "unknown unit; expected a number with ms, s, m, h or d, such as 10s");
  assert_refused(&option, "1.5s",
                 "unknown unit; expected a number with ms, s, m, h or d, such as 10s");
  assert_refused(&option, "-1s",
                 "not a number with a unit; expected a number with ms, s, m, h or d, such as 10s");
  assert_refused(&option, "s",
                 "not a number with a unit; expected a number with ms, s, m, h or d, such as 10s");
  assert_refused(&option, "9223372036854775807d",
                 "out of bounds; expected a number with ms, s, m, h or d, such as 10s");
  struct cof_option bounded = number_of(COF_OPT_DURATION, 10, 5400000);
  assert_refused(
      &bounded, "9ms",
      "out of bounds; expected a number with ms, s, m, h or d, such as 10s, 10ms to 90m");
}

static void test_bytes(void **state)
{
  (void)state;
  struct cof_option option = number_of(COF_OPT_BYTES, 0, 0);
  assert_number(&option, "0", 0);
  assert_number(&option, "1000", 1000);
  assert_number(&option, "4K", 4096);
  assert_number(&option, "4k", 4096);
  assert_number(&option, "4KiB", 4096);
  assert_number(&option, "3M", 3145728);
  assert_number(&option, "3MiB", 3145728);
  assert_number(&option, "2G", INT64_C(2147483648));
  assert_number(&option, "2GiB", INT64_C(2147483648));
  static const char expected[] = "expected a number of octets, such as 64M (K, M, G)";
  char text[200];
  snprintf(text, sizeof text, "unknown unit; %s", expected);
  assert_refused(&option, "1KB", text);
  assert_refused(&option, "1T", text);
  assert_refused(&option, "1 K", text);
  snprintf(text, sizeof text, "out of bounds; %s", expected);
  assert_refused(&option, "9223372036854775807G", text);
  struct cof_option bounded = number_of(COF_OPT_BYTES, 1 << 20, INT64_C(4) << 30);
  snprintf(text, sizeof text, "out of bounds; %s, 1M to 4G", expected);
  assert_refused(&bounded, "5", text);
}

static void test_bool_and_enum(void **state)
{
  (void)state;
  struct cof_option flag = {.name = "f", .type = COF_OPT_BOOL, COF_FIELD(struct fields, flag)};
  static const char *const yes[] = {"yes", "true", "on", "1", "YES"};
  static const char *const no[] = {"no", "false", "off", "0", "Off"};
  for (size_t i = 0; i < 5; i++) {
    struct fields fields = {.flag = false};
    assert_int_equal(option_parse(&flag, yes[i], &fields, &memory, &why), COF_OK);
    assert_true(fields.flag);
    assert_int_equal(option_parse(&flag, no[i], &fields, &memory, &why), COF_OK);
    assert_false(fields.flag);
  }
  assert_refused(&flag, "2", "neither yes nor no; expected yes or no");
  assert_refused(&flag, "", "neither yes nor no; expected yes or no");
  struct cof_option choice = {
      .name = "c", .type = COF_OPT_ENUM, .choices = colours, COF_FIELD(struct fields, choice)};
  struct fields fields = {.choice = -1};
  assert_int_equal(option_parse(&choice, "green", &fields, &memory, &why), COF_OK);
  assert_int_equal(fields.choice, 1);
  assert_refused(&choice, "gren", "unknown choice; expected one of red, green");
}

static void test_texts(void **state)
{
  (void)state;
  struct fields fields = {0};
  assert_int_equal(option_parse(&text_option, "", &fields, &memory, &why), COF_OK);
  assert_string_equal(fields.text, "");
  assert_int_equal(option_parse(&text_option, "a, b", &fields, &memory, &why), COF_OK);
  assert_string_equal(fields.text, "a, b");
  struct cof_option required = text_option;
  required.flags = COF_OPT_REQUIRED;
  assert_refused(&required, "", "empty; expected a text");
  struct cof_option path = text_option;
  path.type = COF_OPT_PATH;
  assert_refused(&path, "", "empty; expected a file name");
}

static void assert_endpoint(const struct cof_option *option, const char *text, const char *host,
                            uint16_t port)
{
  struct fields fields = {0};
  assert_int_equal(option_parse(option, text, &fields, &memory, &why), COF_OK);
  assert_string_equal(fields.endpoint.host, host);
  assert_int_equal(fields.endpoint.port, port);
}

static void test_addr(void **state)
{
  (void)state;
  struct cof_option option = {
      .name = "a", .type = COF_OPT_ADDR, COF_FIELD(struct fields, endpoint)};
  assert_endpoint(&option, "192.0.2.1:80", "192.0.2.1", 80);
  assert_endpoint(&option, "[2001:db8::1]:65535", "2001:db8::1", 65535);
  assert_endpoint(&option, "[fe80::1%eth0]:1", "fe80::1%eth0", 1);
  assert_endpoint(&option, "localhost:0", "localhost", 0);
  assert_endpoint(&option, "a-b.example_c.org:443", "a-b.example_c.org", 443);
  static const struct {
    const char *text, *what;
  } bad[] = {{"", "no port"},
             {"192.0.2.1", "no port"},
             {"[2001:db8::1]", "no port"},
             {"[2001:db8::1]80", "no port"},
             {"[2001:db8::1:80", "no port"},
             {"2001:db8::1:80", "an IPv6 address needs brackets"},
             {"[192.0.2.1]:80", "not an address or host name"},
             {"192.0.2.256:80", "not an address or host name"},
             {"192.0.2:80", "not an address or host name"},
             {":80", "not an address or host name"},
             {"a b:80", "not an address or host name"},
             {"-a:80", "not an address or host name"},
             {"[]:80", "not an address or host name"},
             {"a:", "port not within 0 to 65535"},
             {"a:65536", "port not within 0 to 65535"},
             {"a:-1", "port not within 0 to 65535"},
             {"a:000080", "port not within 0 to 65535"},
             {"a:http", "port not within 0 to 65535"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char reason[160];
    snprintf(reason, sizeof reason,
             "%s; expected HOST:PORT, such as 192.0.2.1:80 or [2001:db8::1]:80", bad[i].what);
    assert_refused(&option, bad[i].text, reason);
  }
}

static void test_list(void **state)
{
  (void)state;
  struct cof_option option = {.name = "l", .type = COF_OPT_LIST, COF_FIELD(struct fields, list)};
  struct fields fields = {0};
  assert_int_equal(option_parse(&option, " a ,, b c ,\td", &fields, &memory, &why), COF_OK);
  assert_int_equal(fields.list.count, 3);
  assert_string_equal(fields.list.items[0], "a");
  assert_string_equal(fields.list.items[1], "b c");
  assert_string_equal(fields.list.items[2], "d");
  assert_int_equal(option_parse(&option, " , ", &fields, &memory, &why), COF_OK);
  assert_int_equal(fields.list.count, 0);
  option.min = 1;
  option.max = 2;
  assert_refused(&option, ",", "empty; expected 1 to 2 texts separated by commas");
  assert_refused(&option, "a,b,c",
                 "wrong number of texts; expected 1 to 2 texts separated by commas");
}

static void test_equal_and_copy(void **state)
{
  (void)state;
  struct cof_option list = {.name = "l", .type = COF_OPT_LIST, COF_FIELD(struct fields, list)};
  struct cof_option addr = {.name = "a", .type = COF_OPT_ADDR, COF_FIELD(struct fields, endpoint)};
  struct fields a = {0}, b = {0};
  assert_true(option_equal(&text_option, &a, &b));
  assert_int_equal(option_parse(&text_option, "x", &a, &memory, &why), COF_OK);
  assert_false(option_equal(&text_option, &a, &b));
  assert_int_equal(option_parse(&text_option, "x", &b, &memory, &why), COF_OK);
  assert_true(option_equal(&text_option, &a, &b));
  assert_int_equal(option_parse(&list, "x,y", &a, &memory, &why), COF_OK);
  assert_int_equal(option_parse(&list, "x,z", &b, &memory, &why), COF_OK);
  assert_false(option_equal(&list, &a, &b));
  assert_int_equal(option_parse(&list, "x , y", &b, &memory, &why), COF_OK);
  assert_true(option_equal(&list, &a, &b));
  assert_int_equal(option_parse(&addr, "a:1", &a, &memory, &why), COF_OK);
  assert_int_equal(option_parse(&addr, "a:2", &b, &memory, &why), COF_OK);
  assert_false(option_equal(&addr, &a, &b));
  option_copy(&addr, &a, &b);
  assert_true(option_equal(&addr, &a, &b));
  a.number = 3;
  assert_false(option_equal(&number_option, &a, &b));
}

/* --- tables --------------------------------------------------------------------------------- */

static void assert_table(const struct cof_option *first, const struct cof_option *second,
                         const char *reason)
{
  struct cof_option table[3] = {*first};
  if (second != NULL)
    table[1] = *second;
  enum cof_result result = option_check_table(table, sizeof(struct fields), false, &why);
  if (reason == NULL) {
    assert_int_equal(result, COF_OK);
    return;
  }
  assert_int_equal(result, COF_REJECT);
  assert_string_equal(why.text, reason);
}

static void test_broken_tables(void **state)
{
  (void)state;
  assert_int_equal(option_check_table(NULL, 0, false, &why), COF_OK);
  assert_table(&text_option, &number_option, NULL);
  assert_table(&text_option, &text_option, "option 'text' is in the table twice");
  struct cof_option o = number_option;
  o.offset = offsetof(struct fields, text);
  assert_table(&text_option, &o, "options 'text' and 'n' fill the same field");
  o = number_option;
  o.name = "Bad-Name";
  assert_table(&o, NULL,
               "option 'Bad-Name': a name has 1 to 48 lower case letters, digits, "
               "underscores");
  o.name = "plugin";
  assert_table(&o, NULL, "option 'plugin': the name is the host's own");
  o = number_option;
  o.size = 4;
  assert_table(&o, NULL, "option 'n': its field has 4 octets, its type needs 8; use COF_FIELD");
  o = number_option;
  o.offset = sizeof(struct fields);
  char text[COF_ERROR_MAX];
  snprintf(text, sizeof text, "option 'n': its field at offset %zu is not within conf_size (%zu)",
           sizeof(struct fields), sizeof(struct fields));
  assert_table(&o, NULL, text);
  o.offset = SIZE_MAX - 3;
  assert_int_equal(option_check_table(&o, 64, false, &why), COF_REJECT);
  o = number_option;
  o.type = 99;
  assert_table(&o, NULL, "option 'n': type 99 is unknown to this host");
  o = number_option;
  o.help = NULL;
  assert_table(&o, NULL, "option 'n' has no help");
}

static void test_broken_properties(void **state)
{
  (void)state;
  struct cof_option o = number_option;
  o.flags = COF_OPT_REQUIRED;
  o.dflt = "1";
  assert_table(&o, NULL, "option 'n' is required and has a default; remove one of the two");
  o = number_option;
  o.flags = COF_OPT_MULTI;
  assert_table(&o, NULL, "option 'n' is COF_OPT_MULTI and no list");
  o.flags = 1u << 20;
  assert_table(&o, NULL, "option 'n' has unknown flags");
  o.flags = COF_OPT_RELOADABLE;
  assert_table(&o, NULL, "option 'n' is COF_OPT_RELOADABLE, and the plugin has no reload()");
  o = number_option;
  o.min = 2;
  o.max = 1;
  assert_table(&o, NULL, "option 'n' has a min above its max");
  o.max = 4;
  o.dflt = "5";
  assert_table(&o, NULL, "option 'n': its default '5' is out of bounds; expected 2 to 4");
  struct cof_option e = {
      .name = "e", .help = "E.", .type = COF_OPT_ENUM, COF_FIELD(struct fields, choice)};
  assert_table(&e, NULL, "option 'e' is an ENUM without choices");
  e.choices = colours;
  assert_table(&e, NULL, NULL);
}

static void test_endless_table(void **state)
{
  (void)state;
  static struct cof_option table[OPTION_TABLE_MAX + 2];
  static char names[OPTION_TABLE_MAX + 1][8];
  for (size_t i = 0; i <= OPTION_TABLE_MAX; i++) {
    snprintf(names[i], sizeof names[i], "o%zu", i);
    table[i] = (struct cof_option){
        .name = names[i], .help = "H.", .type = COF_OPT_BOOL, .offset = i, .size = sizeof(bool)};
  }
  assert_int_equal(option_check_table(table, 4096, false, &why), COF_REJECT);
  table[OPTION_TABLE_MAX].name = NULL;
  assert_int_equal(option_check_table(table, 4096, false, &why), COF_OK);
}

static void test_host_tables_are_sound(void **state)
{
  (void)state;
  assert_int_equal(option_check_table(conf_host_options, sizeof(struct host_conf), true, &why),
                   COF_OK);
  assert_int_equal(option_check_table(conf_chain_options, sizeof(struct chain_conf), true, &why),
                   COF_OK);
}

static void test_print(void **state)
{
  (void)state;
  struct cof_option table[] = {
      {.name = "n",
       .help = "A number whose help is a sentence so long that it does not fit on one line of the "
               "terminal.",
       .type = COF_OPT_INT,
       .dflt = "4",
       .min = 1,
       .max = 16,
       .unit = "records",
       .flags = COF_OPT_RELOADABLE,
       COF_FIELD(struct fields, number)},
      {.name = "c",
       .help = "A choice.",
       .type = COF_OPT_ENUM,
       .choices = colours,
       .flags = COF_OPT_REQUIRED,
       COF_FIELD(struct fields, choice)},
      {.name = "s",
       .help = "A secret.",
       .type = COF_OPT_SECRET,
       .dflt = "hunter2",
       COF_FIELD(struct fields, text)},
      {0}};
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  conf_print_options(out, table);
  assert_int_equal(fclose(out), 0);
  assert_string_equal(
      text, "  n = NUMBER\n"
            "      A number whose help is a sentence so long that it does not fit on one line\n"
            "      of the terminal.\n"
            "      A number, 1 to 16 (records); default: 4; taken anew on SIGHUP\n"
            "  c = CHOICE\n"
            "      A choice.\n"
            "      One of red, green; required\n"
            "  s = SECRET\n"
            "      A secret.\n"
            "      A text, @FILE or @CREDENTIAL; default: not shown\n");
  free(text);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_int, clean),
                                     cmocka_unit_test_teardown(test_duration, clean),
                                     cmocka_unit_test_teardown(test_bytes, clean),
                                     cmocka_unit_test_teardown(test_bool_and_enum, clean),
                                     cmocka_unit_test_teardown(test_texts, clean),
                                     cmocka_unit_test_teardown(test_addr, clean),
                                     cmocka_unit_test_teardown(test_list, clean),
                                     cmocka_unit_test_teardown(test_equal_and_copy, clean),
                                     cmocka_unit_test(test_broken_tables),
                                     cmocka_unit_test(test_broken_properties),
                                     cmocka_unit_test(test_endless_table),
                                     cmocka_unit_test(test_host_tables_are_sound),
                                     cmocka_unit_test(test_print)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
