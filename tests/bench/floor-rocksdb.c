/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plainest import there can be: lines of gencof, fields found by strstr, two keys a record in
   plain text, batches of 1,000 through the RocksDB C API as it comes. What cofd's import is
   compared with. It checks nothing of its input and counts nothing, so it does less than cofd must.
   usage: floor-rocksdb FILE DATABASE */
#include "floor-line.h"

#include <rocksdb/c.h>

#define BATCH 1000

static void add_line(rocksdb_writebatch_t *batch, const char *text)
{
  char key[KEY_MAX];
  struct line line = take_line(text);
  size_t len = make_key(key, 'f', &line);
  rocksdb_writebatch_put(batch, key, len, (const char *)line.values, sizeof line.values);
  len = make_key(key, 'r', &line);
  rocksdb_writebatch_put(batch, key, len, "", 0);
}

static void flush(rocksdb_t *db, const rocksdb_writeoptions_t *options, rocksdb_writebatch_t *batch)
{
  char *error = NULL;
  rocksdb_write(db, options, batch, &error);
  if (error != NULL)
    die("write", error);
  rocksdb_writebatch_clear(batch);
}

static unsigned long import(rocksdb_t *db, FILE *in)
{
  rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
  rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
  char *line = NULL;
  size_t room = 0;
  unsigned long records = 0;
  while (getline(&line, &room, in) > 0) {
    add_line(batch, line);
    if (++records % BATCH == 0)
      flush(db, options, batch);
  }
  flush(db, options, batch);
  free(line);
  rocksdb_writebatch_destroy(batch);
  rocksdb_writeoptions_destroy(options);
  return records;
}

int main(int argc, char **argv)
{
  if (argc != 3)
    die("usage", "floor-rocksdb FILE DATABASE");
  FILE *in = fopen(argv[1], "r");
  if (in == NULL)
    die(argv[1], "cannot be read");
  char *error = NULL;
  rocksdb_options_t *options = rocksdb_options_create();
  rocksdb_options_set_create_if_missing(options, 1);
  double start = seconds();
  rocksdb_t *db = rocksdb_open(options, argv[2], &error);
  if (error != NULL)
    die(argv[2], error);
  unsigned long records = import(db, in);
  rocksdb_close(db);
  rocksdb_options_destroy(options);
  double took = seconds() - start;
  fclose(in);
  printf("%lu records in %.2f s: %.0f records/s\n", records, took, (double)records / took);
  return 0;
}
