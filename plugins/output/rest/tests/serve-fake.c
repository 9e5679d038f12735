/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Serves records in memory until standard input ends, for measuring:
 *     serve-fake PORT [RECORDS [THREADS]]
 * Names are h0.example to h<RECORDS - 1>.example, each with one AAAA record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fake-host_private.h"
#include "rest_private.h"

extern const struct cof_plugin cof_plugin;

static void fill(struct fake *fake, unsigned records)
{
  char name[64];
  for (unsigned i = 0; i < records; i++) {
    snprintf(name, sizeof name, "h%u.example", i);
    fake_add(fake, name, COF_TYPE_AAAA, "2a02:250:0:8::53", 1, 1657878272, 1657878272);
  }
  fake_sort(fake);
  fake_generate(fake, "big.example", 1000000);
}

int main(int argc, char **argv)
{
  if (argc < 2) {
    fprintf(stderr, "usage: %s PORT [RECORDS [THREADS]]\n", argv[0]);
    return 2;
  }
  static char host[] = "127.0.0.1", origin[] = "origin not configured";
  const struct rest_conf conf = {.listen = {host, (uint16_t)strtoul(argv[1], NULL, 10)},
                                 .origin = origin,
                                 .gzip = true,
                                 .max_records = 1000000,
                                 .query_timeout = 30000,
                                 .max_connections = 1024,
                                 .idle_timeout = 60000,
                                 .request_timeout = 30000,
                                 .answer_timeout = 300000,
                                 .tracked_addresses = 64,
                                 .dnsdb = {.limit = 10000, .max_limit = 1000000},
                                 .threads = argc > 3 ? strtol(argv[3], NULL, 10) : 0};
  struct fake *fake = fake_create();
  fill(fake, argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000);
  void *self;
  int status = 1;
  if (cof_plugin.create(fake_host(fake), &conf, &self) == COF_OK) {
    char c;
    status = cof_plugin.start(self) == COF_OK ? 0 : 1;
    while (status == 0 && read(STDIN_FILENO, &c, 1) > 0)
      continue;
    cof_plugin.stop(self, cof_clock_ns(fake_host(fake)) + UINT64_C(1000000000));
    cof_plugin.destroy(self);
  }
  fake_destroy(&fake);
  return status;
}
