/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * A host for one instance of the storage: keeps the last message, and the result of each ticket.
 */
#ifndef ROCKSDB_TEST_HOST_PRIVATE_H
#define ROCKSDB_TEST_HOST_PRIVATE_H

#include <stdatomic.h>

#include <cofd/plugin.h>

#include "store_private.h"

extern const struct cof_plugin cof_plugin;

struct cof_ticket {
  int done; /**< how often cof_ticket_done() was called */
  enum cof_result result;
  size_t rejected; /**< records refused */
  size_t last;     /**< index of the last one */
};

struct test_host {
  struct cof_host host; /**< first, so that the one is the other */
  char log[1024];       /**< last message of severity warning or worse */
  unsigned errors;      /**< number of such messages */
  atomic_int_fast64_t dangling;
  uint64_t fake_clock; /**< what the clock shows, one more each time; 0: the real time */
  struct conf conf;
  void *self;
};

/** Prepare a host with the options' defaults and this path, which must outlive it. */
void test_host_init(struct test_host *host, char *path);

/** Create and start an instance. */
enum cof_result test_host_start(struct test_host *host);

/** Stop and destroy the instance. */
enum cof_result test_host_stop(struct test_host *host);

/** Write a batch and return its ticket. */
struct cof_ticket test_host_write(struct test_host *host, const struct cof_batch *batch);

/** The storage's callbacks. */
const struct cof_storage_ops *test_ops(void);

/** A fresh directory below TMPDIR; the caller frees the name after test_remove(). */
char *test_directory(void);

/** Remove a directory with all in it, and free its name. */
void test_remove(char *directory);

#endif
