/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_private.h"
#include "guard_private.h"
#include "suggest_private.h"

enum { EXIT_USAGE = 2 };

/* Options without a short form. */
enum {
  OPT_CHAIN = 256,
  OPT_OPTION,
  OPT_OUTPUT,
  OPT_FROM,
  OPT_TO,
  OPT_STATE,
  OPT_RRTYPE,
  OPT_UNDER,
  OPT_TIME_LAST_AFTER
};

struct command {
  const char *name;
  int (*run)(const struct cli *);
  const char *options; /* letters of those it takes, as in option_help */
  int args_min, args_max;
  const char *usage, *help;
};

static const struct command commands[] = {
    {"run", cmd_run, "cp", 0, 0, "[run] [-c FILE] [-p DIR[:DIR...]]",
     "Run what the configuration file says until SIGTERM or SIGINT. SIGHUP reads it again."},
    {"check", cmd_check, "cp", 0, 0, "check [-c FILE] [-p DIR[:DIR...]]",
     "Check a configuration file and report every mistake in it."},
    {"plugins", cmd_plugins, "cp", 0, 1, "plugins [-c FILE] [-p DIR[:DIR...]] [NAME | KIND/NAME]",
     "List the installed plugins, or describe one with its options."},
    {"import", cmd_import, "cpkC", 1, -1,
     "import [-c FILE] [-p DIR[:DIR...]] [--chain NAME] [-o KEY=VALUE]... PATH...",
     "Load files once through a chain, and exit."},
    {"migrate", cmd_migrate, "cpFTS", 0, 0,
     "migrate [-c FILE] [-p DIR[:DIR...]] --from STORAGE --to STORAGE [--state FILE]",
     "Copy every record of one storage into another one, and verify that it is there."},
    {"export", cmd_export, "cpFSORUA", 0, 0,
     "export [-c FILE] [-p DIR[:DIR...]] [--from STORAGE] [--state FILE] [-o FILE] "
     "[--rrtype LIST] [--under DOMAIN] [--time-last-after TIME]",
     "Write the records of a storage as COF, one JSON object a line."},
    {"plugin", cmd_plugin, "", 0, 0, "plugin new NAME --kind KIND | test FILE.so [-- KEY=VALUE...]",
     "Make the sources of a new plugin, or run the conformance tests over one."},
    {"version", cmd_version, "", 0, 0, "version", "Print the version of cofd and its plugin ABI."}};
static const size_t commands_count = sizeof commands / sizeof *commands;

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"plugin-path", required_argument, NULL, 'p'},
    {"option", required_argument, NULL, OPT_OPTION},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"state", required_argument, NULL, OPT_STATE},
    {"rrtype", required_argument, NULL, OPT_RRTYPE},
    {"under", required_argument, NULL, OPT_UNDER},
    {"time-last-after", required_argument, NULL, OPT_TIME_LAST_AFTER},
    {"chain", required_argument, NULL, OPT_CHAIN},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0}};

static const struct {
  char letter;
  int value;        /* that getopt_long gives */
  const char *name; /* for messages */
  const char *text;
} option_help[] = {
    {'c', 'c', "-c", "  -c, --config FILE          configuration file (" COFD_CONF_FILE ")\n"},
    {'p', 'p', "-p",
     "  -p, --plugin-path DIR:...  where plugins are looked for (" COFD_PLUGIN_DIR ")\n"},
    {'C', OPT_CHAIN, "--chain",
     "      --chain NAME           the chain to load through, where there are several\n"},
    {'k', OPT_OPTION, "--option",
     "  -o, --option KEY=VALUE     option of the input that reads the files; repeatable\n"},
    {'F', OPT_FROM, "--from", "      --from STORAGE         NAME of the [storage.NAME] to read\n"},
    {'T', OPT_TO, "--to", "      --to STORAGE           NAME of the [storage.NAME] to write\n"},
    {'O', OPT_OUTPUT, "--output",
     "  -o, --output FILE          file to write (standard output, also -)\n"},
    {'S', OPT_STATE, "--state",
     "      --state FILE           remember there how far it is; with it a second run goes on\n"},
    {'R', OPT_RRTYPE, "--rrtype",
     "      --rrtype LIST          only records of these types, as in A,AAAA\n"},
    {'U', OPT_UNDER, "--under", "      --under DOMAIN         only this name and those below it\n"},
    {'A', OPT_TIME_LAST_AFTER, "--time-last-after",
     "      --time-last-after TIME only records seen at TIME or later; seconds UTC, or a date as\n"
     "                             in 2026-01-31 or 2026-01-31T12:00:00Z\n"},
    {'o', 'o', "-o", NULL}}; /* --option or --output, as the command has the one or the other */
static const size_t option_help_count = sizeof option_help / sizeof *option_help;

int cmd_version(const struct cli *cli)
{
  (void)cli;
  printf("cofd %s\nplugin ABI %u.%u\n", PACKAGE_VERSION, COF_ABI_MAJOR, COF_ABI_MINOR);
  return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct command *find_command(const char *name)
{
  for (size_t i = 0; i < commands_count; i++)
    if (strcmp(commands[i].name, name) == 0)
      return &commands[i];
  return NULL;
}

static int help_all(void)
{
  printf("cofd, a Passive DNS server\n\nUsage:\n");
  for (size_t i = 0; i < commands_count; i++)
    printf("  cofd %s\n      %s\n", commands[i].usage, commands[i].help);
  printf("\n'cofd COMMAND --help' tells more. See cofd(8) and cofd.conf(5).\n");
  return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int help_command(const struct command *command)
{
  printf("Usage: cofd %s\n%s\n", command->usage, command->help);
  if (command->options[0] != '\0')
    printf("\n");
  for (size_t i = 0; i < option_help_count; i++)
    if (option_help[i].text != NULL && strchr(command->options, option_help[i].letter) != NULL)
      fputs(option_help[i].text, stdout);
  return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int wrong_command(const char *name)
{
  struct suggest search;
  suggest_begin(&search, name);
  for (size_t i = 0; i < commands_count; i++)
    suggest_offer(&search, commands[i].name);
  if (search.best != NULL)
    fprintf(stderr, "cofd: unknown command '%s'; did you mean '%s'?\n", name, search.best);
  else
    fprintf(stderr, "cofd: unknown command '%s'; 'cofd --help' lists them\n", name);
  return EXIT_USAGE;
}

static int wrong_usage(const struct command *command, const char *what, const char *word)
{
  if (what != NULL)
    fprintf(stderr, "cofd: %s '%s'\n", what, word);
  fprintf(stderr, "Usage: cofd %s\n",
          command != NULL ? command->usage : "COMMAND; see cofd --help");
  return EXIT_USAGE;
}

/* What getopt found, before it is known which command it is for. */
struct parsed {
  struct cli cli;
  char given[16]; /* letters of the options that were there */
  size_t given_count;
  bool help, version, wrong;
};

/* Where a text that is given once goes. */
static const char **text_of(struct cli *cli, int option)
{
  switch (option) {
  case 'c':
    return &cli->conf_file;
  case 'p':
    return &cli->plugin_path;
  case OPT_CHAIN:
    return &cli->chain;
  case OPT_FROM:
    return &cli->from;
  case OPT_TO:
    return &cli->to;
  case OPT_STATE:
    return &cli->state_file;
  case OPT_RRTYPE:
    return &cli->rrtypes;
  case OPT_UNDER:
    return &cli->under;
  case OPT_TIME_LAST_AFTER:
    return &cli->time_last_after;
  default:
    return NULL;
  }
}

static void note_given(struct parsed *parsed, int option)
{
  for (size_t i = 0; i < option_help_count; i++)
    if (option_help[i].value == option &&
        memchr(parsed->given, option_help[i].letter, parsed->given_count) == NULL)
      parsed->given[parsed->given_count++] = option_help[i].letter;
}

static void take_option(struct parsed *parsed, int option)
{
  struct cli *cli = &parsed->cli;
  const char **text = text_of(cli, option);
  if (option == 'h')
    parsed->help = true;
  else if (option == 'V')
    parsed->version = true;
  else if (text != NULL)
    *text = optarg;
  else if (option == 'o' || option == OPT_OPTION || option == OPT_OUTPUT)
    cli->output = cli->settings[cli->settings_count++] = optarg;
  else
    parsed->wrong = true;
  cli->conf_file_given = cli->conf_file_given || option == 'c';
  note_given(parsed, option);
}

static bool takes(const struct command *command, char letter)
{
  if (letter == 'o')
    return strchr(command->options, 'k') != NULL || strchr(command->options, 'O') != NULL;
  return strchr(command->options, letter) != NULL;
}

static const char *option_name(char letter)
{
  for (size_t i = 0; i < option_help_count; i++)
    if (option_help[i].letter == letter)
      return option_help[i].name;
  return "";
}

static int dispatch(struct parsed *parsed)
{
  struct cli *cli = &parsed->cli;
  if (parsed->version)
    return cmd_version(cli);
  const struct command *command = &commands[0];
  if (cli->args_count > 0) {
    command = find_command(cli->args[0]);
    if (command == NULL)
      return wrong_command(cli->args[0]);
    cli->args++;
    cli->args_count--;
  } else if (parsed->help) {
    return help_all();
  }
  if (parsed->help)
    return help_command(command);
  if (parsed->wrong)
    return wrong_usage(command, NULL, NULL);
  for (size_t i = 0; i < parsed->given_count; i++)
    if (!takes(command, parsed->given[i]))
      return wrong_usage(command, "this command takes no option", option_name(parsed->given[i]));
  if (cli->args_count < command->args_min)
    return wrong_usage(command, "an argument is missing after", command->name);
  if (command->args_max >= 0 && cli->args_count > command->args_max)
    return wrong_usage(command, "unexpected argument", cli->args[command->args_max]);
  return command->run(cli);
}

int main(int argc, char **argv)
{
  guard_install();
  if (argc > 1 && strcmp(argv[1], "plugin") == 0)
    return cmd_plugin_main(argc - 1, argv + 1);
  struct parsed parsed = {.cli = {.conf_file = COFD_CONF_FILE}};
  parsed.cli.settings = calloc((size_t)argc + 1, sizeof *parsed.cli.settings);
  if (parsed.cli.settings == NULL) {
    fprintf(stderr, "cofd: out of memory\n");
    return EXIT_FAILURE;
  }
  int option;
  while ((option = getopt_long(argc, argv, "c:p:o:hV", long_options, NULL)) != -1)
    take_option(&parsed, option);
  parsed.cli.args = argv + optind;
  parsed.cli.args_count = argc - optind;
  int status = dispatch(&parsed);
  free(parsed.cli.settings);
  return status;
}
