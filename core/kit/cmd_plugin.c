/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `cofd plugin`, for people who write plugins. It reads its own arguments, unlike other commands.
 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cli_private.h"
#include "kit_private.h"

enum { EXIT_USAGE = 2 };
enum {
  OPT_KIND = 256,
  OPT_DIRECTORY,
  OPT_FEED,
  OPT_PREPARE,
  OPT_LOAD,
  OPT_RECORDS,
  OPT_TIMEOUT,
  OPT_ONLY,
  OPT_SEED,
  OPT_KNOWN_TYPES
};

static const struct option new_options[] = {{"kind", required_argument, NULL, OPT_KIND},
                                            {"directory", required_argument, NULL, OPT_DIRECTORY},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
static const struct option test_options[] = {{"feed", required_argument, NULL, OPT_FEED},
                                             {"prepare", required_argument, NULL, OPT_PREPARE},
                                             {"load", required_argument, NULL, OPT_LOAD},
                                             {"records", required_argument, NULL, OPT_RECORDS},
                                             {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                             {"seed", required_argument, NULL, OPT_SEED},
                                             {"only", required_argument, NULL, OPT_ONLY},
                                             {"known-types", no_argument, NULL, OPT_KNOWN_TYPES},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static const char usage_text[] =
    "Usage: cofd plugin new NAME --kind input|filter|storage|output [--directory DIR]\n"
    "           Make the sources of a new plugin in DIR (./NAME).\n"
    "       cofd plugin test FILE.so [OPTION...] [-- KEY=VALUE...]\n"
    "           Run the conformance tests over a plugin, with these options of it; prints TAP.\n"
    "           In a VALUE, @dir@ stands for a directory, @port@ for a free port and @n@ for a\n"
    "           number that an instance has for itself.\n"
    "\n"
    "      --prepare COMMAND  shell command before the first instance of a case is made; it\n"
    "                         gets COFD_TEST_DIR and COFD_TEST_PORT\n"
    "      --feed COMMAND     shell command that sends traffic to a running instance; it gets\n"
    "                         COFD_TEST_DIR and COFD_TEST_PORT, and is ended with the instance\n"
    "      --records N        how many records come of what is prepared or fed\n"
    "      --load FILE        file for load(), of inputs that `cofd import` uses\n"
    "      --only TEXT        run the cases whose title has this text, and those they build on\n"
    "      --timeout SECONDS  for each case (180)\n"
    "      --known-types      write only types that have a mnemonic into a storage\n"
    "      --seed N           of random numbers, to repeat a run\n";

static int usage(FILE *out, int status)
{
  fputs(usage_text, out);
  return fflush(out) == 0 ? status : EXIT_FAILURE;
}

static int wrong(const char *what, const char *word)
{
  fprintf(stderr, "cofd: %s '%s'\n", what, word);
  return usage(stderr, EXIT_USAGE);
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *text != '-' && *out <= max;
}

static int run_new(int argc, char **argv)
{
  const char *directory = NULL, *kind = NULL;
  int option;
  while ((option = getopt_long(argc, argv, "h", new_options, NULL)) != -1) {
    if (option == OPT_KIND)
      kind = optarg;
    else if (option == OPT_DIRECTORY)
      directory = optarg;
    else
      return usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : EXIT_USAGE);
  }
  if (argc - optind != 1)
    return wrong("expected one NAME after", argv[0]);
  if (kind == NULL || kind_parse(kind) == 0)
    return wrong("expected input, filter, storage or output as --kind, not",
                 kind != NULL ? kind : "");
  return kit_new(argv[optind], kind_parse(kind), directory != NULL ? directory : argv[optind]);
}

static bool take(struct kit_plan *plan, int option)
{
  uint64_t n = 0;
  switch (option) {
  case OPT_FEED:
    plan->feed = optarg;
    return true;
  case OPT_PREPARE:
    plan->prepare = optarg;
    return true;
  case OPT_ONLY:
    plan->only = optarg;
    return true;
  case OPT_LOAD:
    plan->load = optarg;
    return true;
  case OPT_KNOWN_TYPES:
    plan->known_types = true;
    return true;
  case OPT_RECORDS:
    return number(optarg, INT64_MAX, &plan->records);
  case OPT_TIMEOUT:
    if (!number(optarg, 86400, &n) || n == 0)
      return false;
    plan->timeout_s = (unsigned)n;
    return true;
  case OPT_SEED:
    if (!number(optarg, UINT32_MAX, &n))
      return false;
    plan->seed = (unsigned)n;
    return true;
  default:
    return false;
  }
}

static int run_test(int argc, char **argv)
{
  struct kit_plan plan = {.timeout_s = 180 * KIT_SLOWNESS, .seed = (unsigned)time(NULL)};
  int option;
  while ((option = getopt_long(argc, argv, "h", test_options, NULL)) != -1) {
    if (option == 'h')
      return usage(stdout, 0);
    if (!take(&plan, option))
      return option == '?' ? usage(stderr, EXIT_USAGE) : wrong("expected a number, not", optarg);
  }
  if (optind >= argc)
    return wrong("expected a FILE.so after", argv[0]);
  plan.file = argv[optind];
  plan.settings = (const char *const *)argv + optind + 1;
  plan.settings_count = (size_t)(argc - optind - 1);
  for (size_t i = 0; i < plan.settings_count; i++)
    if (strchr(plan.settings[i], '=') == NULL)
      return wrong("expected KEY=VALUE, not", plan.settings[i]);
  return kit_run(&plan);
}

int cmd_plugin_main(int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "new") == 0)
    return run_new(argc - 1, argv + 1);
  if (argc > 1 && strcmp(argv[1], "test") == 0)
    return run_test(argc - 1, argv + 1);
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
    return usage(stdout, 0);
  return wrong("expected new or test after", "plugin");
}

int cmd_plugin(const struct cli *cli)
{
  (void)cli;
  return usage(stderr, EXIT_USAGE);
}
