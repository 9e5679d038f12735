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

#include "route_private.h"

static struct conf_instance instances[] = {
    {.kind = COF_KIND_INPUT, .name = "in", .source = "input.in", .line = 1},
    {.kind = COF_KIND_INPUT, .name = "in2", .source = "input.in2", .line = 2},
    {.kind = COF_KIND_FILTER, .name = "junk", .source = "filter.junk", .line = 3},
    {.kind = COF_KIND_FILTER, .name = "types", .source = "filter.types", .line = 4},
    {.kind = COF_KIND_STORAGE, .name = "db", .source = "storage.db", .line = 5},
    {.kind = COF_KIND_STORAGE, .name = "copy", .source = "storage.copy", .line = 6},
    {.kind = COF_KIND_OUTPUT, .name = "api", .source = "output.api", .line = 7},
    {.kind = COF_KIND_OUTPUT, .name = "live", .source = "output.live", .line = 8}};

/* Resolve one route, and write what it resolves to, or what is wrong with it. */
static const char *resolved(const char *route)
{
  static char text[2048];
  struct conf conf = {.file = "f", .instances = instances, .instances_count = 8};
  struct conf_chain chain = {.source = "chain.main", .conf = {.route = strdup(route)}};
  struct problems *problems = problems_create();
  assert_true(route_resolve(&conf, &chain, 9, problems));
  const size_t *lists[] = {chain.inputs, chain.filters, chain.storages, chain.outputs};
  const size_t counts[] = {chain.inputs_count, chain.filters_count, chain.storages_count,
                           chain.outputs_count};
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < 4 && problems_count(problems) == 0; i++) {
    for (size_t j = 0; j < counts[i]; j++)
      used += (size_t)snprintf(text + used, sizeof text - used, "%s ", instances[lists[i][j]].name);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s", i < 3 ? "/ " : "");
  }
  for (size_t i = 0; i < problems_count(problems); i++)
    used += (size_t)snprintf(text + used, sizeof text - used, "%s\n", problems_text(problems, i));
  problems_destroy(&problems);
  conf_memory_free(&conf.memory);
  free(chain.conf.route);
  return text;
}

static void test_good(void **state)
{
  (void)state;
  assert_string_equal(resolved("in -> db"), "in / / db / ");
  assert_string_equal(resolved("db -> api"), "/ / db / api ");
  assert_string_equal(resolved("in,in2->types->junk->db,copy->live,api"),
                      "in in2 / types junk / db copy / live api ");
  assert_string_equal(resolved("  in ,  in2  ->\tjunk , types -> db  "),
                      "in in2 / junk types / db / ");
}

static void test_names(void **state)
{
  (void)state;
  assert_string_equal(resolved("im -> db"),
                      "f:9: error: route: no instance 'im'; did you mean 'in'?\n");
  assert_string_equal(
      resolved("zebra -> db"),
      "f:9: error: route: no instance 'zebra'; expected the name of a section [kind.name]\n");
  assert_string_equal(resolved("in -> db -> in"),
                      "f:9: error: route: 'in' is in it twice; name each instance once\n");
  static const char missing[] = "f:9: error: route: a name is missing beside '->' or ','; expected "
                                "inputs -> filters -> storages -> outputs\n";
  static const char *const routes[] = {"",          "in -> ",    "-> db", "in -> -> db",
                                       "in, -> db", ", in -> db"};
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
    assert_string_equal(resolved(routes[i]), missing);
  assert_string_equal(
      resolved("in > db"),
      "f:9: error: route: no instance 'in > db'; expected the name of a section [kind.name]\n");
}

static void test_order(void **state)
{
  (void)state;
  assert_string_equal(resolved("in -> in2 -> db"),
                      "f:9: error: route: 'in2' follows another of its kind; separate those by "
                      "commas, not by '->'\n");
  assert_string_equal(resolved("db -> in"),
                      "f:9: error: route: 'in' comes too late; the order is inputs -> filters -> "
                      "storages -> outputs\n");
  assert_string_equal(resolved("in -> db -> junk"),
                      "f:9: error: route: 'junk' comes too late; the order is inputs -> filters -> "
                      "storages -> outputs\n");
  assert_string_equal(resolved("in -> api"),
                      "f:9: error: route: 'api' is an output and has no storage before it; the "
                      "order is inputs -> filters -> storages -> outputs\n");
  assert_string_equal(resolved("in, junk -> db"),
                      "f:9: error: route: 'junk' is of another kind than the names before its "
                      "comma; put '->' between kinds\n");
}

static void test_incomplete(void **state)
{
  (void)state;
  assert_string_equal(resolved("in -> junk"),
                      "f:9: error: route: no storage; expected inputs -> filters -> storages -> "
                      "outputs\n");
  assert_string_equal(resolved("junk -> db"),
                      "f:9: error: route: neither input nor output; expected one or the other\n");
}

static void test_many_names(void **state)
{
  (void)state;
  enum { COUNT = ROUTE_MAX + 1 };
  static struct conf_instance many[COUNT];
  static char names[COUNT][8], route[COUNT * 8];
  for (size_t i = 0; i < COUNT; i++) {
    snprintf(names[i], sizeof names[i], "i%zu", i);
    many[i] = (struct conf_instance){.kind = COF_KIND_INPUT, .name = names[i], .line = 1};
    strcat(strcat(route, i > 0 ? "," : ""), names[i]);
  }
  struct conf conf = {.file = "f", .instances = many, .instances_count = COUNT};
  struct conf_chain chain = {.source = "chain.main", .conf = {.route = route}};
  struct problems *problems = problems_create();
  assert_true(route_resolve(&conf, &chain, 9, problems));
  assert_int_equal(problems_count(problems), 1);
  assert_string_equal(problems_text(problems, 0), "f:9: error: route: 'i256' is one too many; "
                                                  "expected at most 256 instances");
  problems_destroy(&problems);
  conf_memory_free(&conf.memory);
}

static void test_two_chains(void **state)
{
  (void)state;
  for (size_t i = 0; i < 8; i++)
    instances[i].used = false;
  struct conf_chain chains[] = {
      {.source = "chain.a", .conf = {.route = strdup("in->junk->db->api")}},
      {.source = "chain.b", .conf = {.route = strdup("in->junk->db->api")}}};
  struct conf conf = {.file = "f",
                      .instances = instances,
                      .instances_count = 8,
                      .chains = chains,
                      .chains_count = 2};
  const int lines[] = {20, 30};
  struct problems *problems = problems_create();
  for (size_t i = 0; i < 2; i++)
    assert_true(route_resolve(&conf, &chains[i], lines[i], problems));
  assert_int_equal(problems_count(problems), 0);
  route_check_all(&conf, lines, true, problems);
  static const char *const expected[] = {
      "f:2: warning: [input.in2] is in no route, so it does nothing; name it in one",
      "f:4: warning: [filter.types] is in no route, so it does nothing; name it in one",
      "f:6: warning: [storage.copy] is in no route, so it does nothing; name it in one",
      "f:8: warning: [output.live] is in no route, so it does nothing; name it in one",
      "f:30: error: route: 'in' is in [chain.a] already; an input belongs to one chain",
      "f:30: error: route: 'api' is in [chain.a] already; an output belongs to one chain"};
  assert_int_equal(problems_count(problems), 6);
  for (size_t i = 0; i < 6; i++)
    assert_string_equal(problems_text(problems, i), expected[i]);
  problems_destroy(&problems);
  conf_memory_free(&conf.memory);
  free(chains[0].conf.route);
  free(chains[1].conf.route);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good),       cmocka_unit_test(test_names),
      cmocka_unit_test(test_order),      cmocka_unit_test(test_incomplete),
      cmocka_unit_test(test_many_names), cmocka_unit_test(test_two_chains)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
