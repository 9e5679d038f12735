/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A process that writes is killed; what it acknowledged is there, and of every batch all or
   nothing. The writer is this program run again, since threads do not survive a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host_private.h"

#define RECORDS 40 /* in a batch */

static const char *program;

/* Batch `number`: names of its own, one address shared by all. */
static void fill(struct cof_batch *b, unsigned number)
{
  cof_batch_clear(b);
  for (unsigned i = 0; i < RECORDS; i++) {
    char name[64];
    int len = snprintf(name, sizeof name, "r%u.b%u.example.com", i, number);
    struct cof_record r = {.rrname = name,
                           .rrname_len = (uint16_t)len,
                           .rrtype = COF_TYPE_A,
                           .rdata = "192.0.2.1",
                           .rdata_len = 9,
                           .time_first = 1,
                           .time_last = 1,
                           .count = 1};
    if (cof_batch_add(b, &r) == NULL || !cof_batch_tally(b, "s", 1, 1))
      abort();
  }
}

/* Write batch after batch, and each one's number to stdout when it is acknowledged. */
static int writer(char *path, long bulk_records)
{
  struct test_host h;
  struct cof_batch *b = cof_batch_create();
  test_host_init(&h, path);
  h.conf.bulk_records = bulk_records;
  if (b == NULL || test_host_start(&h) != COF_OK)
    return 1;
  for (unsigned number = 0; number < 100000; number++) {
    fill(b, number);
    if (test_host_write(&h, b).result != COF_OK ||
        write(STDOUT_FILENO, &number, sizeof number) != sizeof number)
      return 1;
  }
  return 1; /* it should have been killed long ago */
}

static pid_t spawn(const char *path, const char *bulk_records, int *from)
{
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    dup2(fds[1], STDOUT_FILENO);
    close(fds[0]);
    close(fds[1]);
    execl(program, program, "writer", path, bulk_records, (char *)NULL);
    _exit(127);
  }
  close(fds[1]);
  *from = fds[0];
  return pid;
}

static size_t answers(struct test_host *h, struct cof_query *q, struct cof_batch *into)
{
  void *cursor;
  cof_batch_clear(into);
  q->struct_size = sizeof *q;
  assert_int_equal(test_ops()->open(h->self, q, &cursor, NULL), COF_OK);
  assert_int_equal(test_ops()->next(h->self, cursor, 10000000, into, NULL), COF_OK);
  test_ops()->close(h->self, cursor);
  return cof_batch_count(into);
}

/* Batches 0 to `acked` - 1 must be there, one more may be, and each as a whole. */
static void check(struct test_host *h, unsigned acked)
{
  struct cof_batch *got = cof_batch_create();
  struct cof_query q = COF_QUERY_INIT;
  struct cof_storage_stats stats = {.struct_size = sizeof stats};
  char name[64];
  q.kind = COF_QUERY_SUBDOMAINS;
  q.name = name;
  for (unsigned number = 0; number < acked; number++) {
    snprintf(name, sizeof name, "b%u.example.com", number);
    assert_int_equal(answers(h, &q, got), RECORDS);
  }
  snprintf(name, sizeof name, "example.com");
  size_t all = answers(h, &q, got);
  assert_true(all == (size_t)acked * RECORDS || all == ((size_t)acked + 1) * RECORDS);
  q.kind = COF_QUERY_RDATA_ADDR;
  cof_addr_parse("192.0.2.1", 9, &q.first);
  q.last = q.first;
  assert_int_equal(answers(h, &q, got), all);
  assert_int_equal(h->dangling, 0);
  assert_int_equal(test_ops()->stats(h->self, &stats, NULL, NULL, NULL), COF_OK);
  assert_int_equal(stats.observations, all);
  cof_batch_destroy(&got);
}

static void run(const char *bulk_records, unsigned batches)
{
  char *path = test_directory(), left[512];
  unsigned number = 0, acked = 0;
  int from, status;
  pid_t pid = spawn(path, bulk_records, &from);
  while (acked < batches && read(from, &number, sizeof number) == sizeof number)
    assert_int_equal(number, acked++);
  assert_int_equal(kill(pid, SIGKILL), 0);
  while (read(from, &number, sizeof number) == sizeof number)
    assert_int_equal(number, acked++);
  close(from);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  assert_true(acked >= batches);
  snprintf(left, sizeof left, "%s/ingest/7.sst", path);
  int fd = open(left, O_CREAT | O_WRONLY, 0600);
  assert_true(fd >= 0);
  close(fd);
  struct test_host h;
  test_host_init(&h, path);
  assert_int_equal(test_host_start(&h), COF_OK);
  assert_int_equal(access(left, F_OK), -1);
  check(&h, acked);
  assert_int_equal(test_host_stop(&h), COF_OK);
  test_remove(path);
}

static void test_small(void **state)
{
  (void)state;
  for (unsigned i = 0; i < 4; i++)
    run("1000", 1 + 37 * i);
}

static void test_bulk(void **state)
{
  (void)state;
  for (unsigned i = 0; i < 4; i++)
    run("1", 1 + 11 * i);
}

int main(int argc, char **argv)
{
  if (argc == 4 && strcmp(argv[1], "writer") == 0)
    return writer(argv[2], atol(argv[3]));
  char self[4096];
  ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
  if (len < 0)
    return EXIT_FAILURE;
  self[len] = '\0';
  program = self; /* by its name: under valgrind /proc/self/exe would run that */
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_small), cmocka_unit_test(test_bulk)};
  return cmocka_run_group_tests_name("rocksdb crash", tests, NULL, NULL);
}
