/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What the plugins of these tests read from a section.
 */
#ifndef COFD_TESTS_PLUGIN_PRIVATE_H
#define COFD_TESTS_PLUGIN_PRIVATE_H

#include <cofd/option.h>

struct test_conf {
  char *text;
  int64_t number;
  bool flag;
  int choice;
  int64_t pause;
  int64_t size;
  struct cof_endpoint listen;
  char *path;
  char *password;
  struct cof_list names;
  struct cof_list few;
  char *old;
};

#endif
