/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How fast COF lines become records: jansson's parse alone, and the reader's whole way from text to
   canonical records in a batch, on the same lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include <cofd/cofjson.h>

#define BATCH  4096
#define ROUNDS 5

struct input {
  char *text;
  size_t len;
};

/* Of this thread's processor, which other work on the machine does not disturb as much. */
static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int read_all(const char *path, struct input *in)
{
  FILE *f = fopen(path, "rb");
  if (f == NULL || fseek(f, 0, SEEK_END) != 0 || ftell(f) <= 0) {
    fprintf(stderr, "bench-parse: %s: %s\n", path, f == NULL ? strerror(errno) : "empty");
    if (f != NULL)
      fclose(f);
    return -1;
  }
  in->len = (size_t)ftell(f);
  in->text = malloc(in->len);
  rewind(f);
  int ok = in->text != NULL && fread(in->text, 1, in->len, f) == in->len;
  fclose(f);
  return ok ? 0 : -1;
}

static const char *line_end(const char *p, const char *end)
{
  const char *eol = memchr(p, '\n', (size_t)(end - p));
  return eol != NULL ? eol : end;
}

static double jansson_rate(const struct input *in)
{
  size_t objects = 0;
  double start = now();
  const char *end = in->text + in->len;
  for (const char *p = in->text; p < end;) {
    const char *eol = line_end(p, end);
    json_t *root = json_loadb(p, (size_t)(eol - p), 0, NULL);
    if (root != NULL)
      objects++;
    json_decref(root);
    p = eol + 1;
  }
  return (double)objects / (now() - start);
}

static double reader_rate(const struct input *in, struct cof_reader *reader,
                          struct cof_batch *batch, size_t *refused)
{
  size_t records = 0;
  *refused = 0;
  double start = now();
  const char *end = in->text + in->len;
  for (const char *p = in->text; p < end;) {
    const char *eol = line_end(p, end);
    size_t added, bad;
    cof_reader_object(reader, p, (size_t)(eol - p), batch, &added, &bad, NULL);
    records += added;
    *refused += bad;
    if (cof_batch_count(batch) >= BATCH)
      cof_batch_clear(batch);
    p = eol + 1;
  }
  return (double)records / (now() - start);
}

int main(int argc, char **argv)
{
  struct input in;
  if (argc != 2) {
    fprintf(stderr, "usage: bench-parse FILE\n");
    return 2;
  }
  if (read_all(argv[1], &in) != 0)
    return 1;
  struct cof_reader *reader = cof_reader_create(COF_COUNTS_ADD);
  struct cof_batch *batch = cof_batch_create();
  if (reader == NULL || batch == NULL)
    return 1;
  double jansson = 0, cofd = 0;
  size_t refused = 0;
  for (int i = 0; i < ROUNDS; i++) {
    double rate = jansson_rate(&in);
    jansson = rate > jansson ? rate : jansson;
    rate = reader_rate(&in, reader, batch, &refused);
    cofd = rate > cofd ? rate : cofd;
  }
  printf("jansson json_loadb  %12.0f objects/s\n", jansson);
  printf("cof_reader_object   %12.0f records/s  (%zu refused)\n", cofd, refused);
  printf("ratio               %12.2f\n", cofd / jansson);
  cof_batch_destroy(&batch);
  cof_reader_destroy(&reader);
  free(in.text);
  return 0;
}
