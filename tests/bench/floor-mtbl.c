/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How small the same records are as one sorted table of libmtbl, which DNSDB keeps its data in:
   lines of gencof, the plain keys of floor-rocksdb in both directions, times and count as varints,
   zstd. usage: floor-mtbl FILE.ndjson FILE.mtbl DIRECTORY, the last for temporary files */
#include "floor-line.h"

#include <stdint.h>

#include <mtbl.h>

#define MEMORY     ((size_t)256 << 20)
#define VARINT_MAX 10

static size_t encode(uint8_t value[3 * VARINT_MAX], const unsigned long long values[3])
{
  size_t len = 0;
  len += mtbl_varint_encode64(value + len, values[0]);
  len += mtbl_varint_encode64(value + len, values[1] - values[0]);
  len += mtbl_varint_encode64(value + len, values[2]);
  return len;
}

static void decode(const uint8_t *value, uint64_t values[3])
{
  for (int i = 0; i < 3; i++)
    value += mtbl_varint_decode64(value, &values[i]);
  values[1] += values[0];
}

/* Earliest first, latest last, counts added. */
static void merge(void *unused, const uint8_t *key, size_t key_len, const uint8_t *a, size_t a_len,
                  const uint8_t *b, size_t b_len, uint8_t **merged, size_t *merged_len)
{
  (void)unused, (void)key, (void)key_len, (void)b_len;
  uint64_t x[3], y[3];
  *merged = malloc(3 * VARINT_MAX);
  *merged_len = 0;
  if (*merged == NULL || a_len == 0)
    return;
  decode(a, x);
  decode(b, y);
  *merged_len = encode(*merged, (unsigned long long[3]){x[0] < y[0] ? x[0] : y[0],
                                                        x[1] > y[1] ? x[1] : y[1], x[2] + y[2]});
}

static void add_line(struct mtbl_sorter *sorter, const char *text)
{
  char key[KEY_MAX];
  uint8_t value[3 * VARINT_MAX];
  struct line line = take_line(text);
  size_t len = make_key(key, 'f', &line);
  mtbl_res result = mtbl_sorter_add(sorter, (uint8_t *)key, len, value, encode(value, line.values));
  len = make_key(key, 'r', &line);
  if (result != mtbl_res_success ||
      mtbl_sorter_add(sorter, (uint8_t *)key, len, value, 0) != mtbl_res_success)
    die("mtbl_sorter_add", "failed");
}

static void sort_file(FILE *in, struct mtbl_sorter *sorter, struct mtbl_writer *writer)
{
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, in) > 0)
    add_line(sorter, line);
  free(line);
  if (mtbl_sorter_write(sorter, writer) != mtbl_res_success)
    die("mtbl_sorter_write", "failed");
}

int main(int argc, char **argv)
{
  if (argc != 4)
    die("usage", "floor-mtbl FILE.ndjson FILE.mtbl DIRECTORY");
  FILE *in = fopen(argv[1], "r");
  if (in == NULL)
    die(argv[1], "cannot be read");
  struct mtbl_sorter_options *sorting = mtbl_sorter_options_init();
  mtbl_sorter_options_set_merge_func(sorting, merge, NULL);
  mtbl_sorter_options_set_max_memory(sorting, MEMORY);
  mtbl_sorter_options_set_temp_dir(sorting, argv[3]);
  struct mtbl_writer_options *writing = mtbl_writer_options_init();
  mtbl_writer_options_set_compression(writing, MTBL_COMPRESSION_ZSTD);
  struct mtbl_sorter *sorter = mtbl_sorter_init(sorting);
  struct mtbl_writer *writer = mtbl_writer_init(argv[2], writing);
  if (sorter == NULL || writer == NULL)
    die(argv[2], "cannot be written");
  sort_file(in, sorter, writer);
  mtbl_writer_destroy(&writer);
  mtbl_sorter_destroy(&sorter);
  mtbl_writer_options_destroy(&writing);
  mtbl_sorter_options_destroy(&sorting);
  fclose(in);
  return 0;
}
