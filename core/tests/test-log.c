/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <config.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "log_private.h"

/* stderr goes into a file while lines are written. */
struct capture {
  FILE *file;
  int saved;
};

static struct capture capture_begin(void)
{
  fflush(stderr);
  struct capture capture = {tmpfile(), dup(STDERR_FILENO)};
  assert_non_null(capture.file);
  assert_true(capture.saved >= 0);
  assert_true(dup2(fileno(capture.file), STDERR_FILENO) >= 0);
  return capture;
}

static char *capture_end(struct capture *capture)
{
  assert_true(dup2(capture->saved, STDERR_FILENO) >= 0);
  close(capture->saved);
  off_t size = lseek(fileno(capture->file), 0, SEEK_END);
  char *text = calloc(1, (size_t)size + 1);
  assert_non_null(text);
  assert_int_equal(pread(fileno(capture->file), text, (size_t)size, 0), size);
  fclose(capture->file);
  return text;
}

static char *written(enum log_format format, enum cof_log_level level, const char *message)
{
  log_setup(format, COF_LOG_DEBUG);
  struct capture capture = capture_begin();
  log_write("input.samples", level, "%s", message);
  return capture_end(&capture);
}

/* `YYYY-MM-DDTHH:MM:SS.mmmZ` */
static void assert_time(const char *text)
{
  static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
  for (size_t i = 0; i < sizeof form - 1; i++)
    assert_true(form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i]);
}

static void test_text(void **state)
{
  (void)state;
  char *line = written(LOG_FORMAT_TEXT, COF_LOG_WARNING, "a\nb\x1b[31m\x7f\xc2\x85 \xff é");
  assert_time(line);
  assert_string_equal(line + 24,
                      " warning input.samples: a\\x0ab\\x1b[31m\\x7f\\xc2\\x85 \\xff é\n");
  free(line);
}

static void test_json(void **state)
{
  (void)state;
  char *line = written(LOG_FORMAT_JSON, COF_LOG_ERROR, "say \"a\\b\"\n\x01\x7f\xff\xed\xa0\x80 é");
  json_error_t error;
  json_t *object = json_loads(line, 0, &error);
  assert_non_null(object);
  const char *time, *level, *source, *message;
  assert_int_equal(json_unpack(object, "{s:s,s:s,s:s,s:s!}", "time", &time, "level", &level,
                               "source", &source, "message", &message),
                   0);
  assert_time(time);
  assert_string_equal(level, "error");
  assert_string_equal(source, "input.samples");
  assert_string_equal(message, "say \"a\\b\"\n\x01\x7f\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                               "\xef\xbf\xbd é");
  assert_int_equal(line[strlen(line) - 1], '\n');
  assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
  json_decref(object);
  free(line);
}

static void test_journal(void **state)
{
  (void)state;
  char *line = written(LOG_FORMAT_JOURNAL, COF_LOG_INFO, "started");
  assert_string_equal(line, "<6>input.samples: started\n");
  free(line);
}

static void test_auto(void **state)
{
  (void)state;
  struct capture capture = capture_begin();
  struct stat st;
  assert_int_equal(fstat(STDERR_FILENO, &st), 0);
  char stream[64];
  snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
  setenv("JOURNAL_STREAM", stream, 1);
  log_setup(LOG_FORMAT_AUTO, COF_LOG_INFO);
  log_write("cofd", COF_LOG_WARNING, "one");
  setenv("JOURNAL_STREAM", "1:1", 1);
  log_setup(LOG_FORMAT_AUTO, COF_LOG_INFO);
  log_write("cofd", COF_LOG_WARNING, "two");
  unsetenv("JOURNAL_STREAM");
  char *text = capture_end(&capture);
  assert_memory_equal(text, "<4>cofd: one\n", 13);
  assert_time(text + 13);
  assert_non_null(strstr(text, " warning cofd: two\n"));
  free(text);
}

static void test_levels(void **state)
{
  (void)state;
  static const enum cof_log_level levels[] = {COF_LOG_ERROR, COF_LOG_WARNING, COF_LOG_INFO,
                                              COF_LOG_DEBUG};
  for (int least = 0; least < 4; least++) {
    log_setup(LOG_FORMAT_JOURNAL, log_level_at(least));
    struct capture capture = capture_begin();
    for (int i = 0; i < 4; i++) {
      assert_int_equal(log_enabled(levels[i]), i <= least);
      log_write("x", levels[i], "%d", i);
    }
    char *text = capture_end(&capture);
    size_t lines = 0;
    for (const char *s = text; *s != '\0'; s++)
      lines += *s == '\n';
    assert_int_equal(lines, least + 1);
    free(text);
  }
}

static void test_long_messages_are_cut(void **state)
{
  (void)state;
  char *message = calloc(1, 3 * LOG_MESSAGE_MAX);
  assert_non_null(message);
  memset(message, 'a', LOG_MESSAGE_MAX);
  char *line = written(LOG_FORMAT_JOURNAL, COF_LOG_INFO, message);
  assert_int_equal(strlen(line), strlen("<6>input.samples: ") + LOG_MESSAGE_MAX + 1);
  free(line);
  message[LOG_MESSAGE_MAX] = 'b';
  line = written(LOG_FORMAT_JOURNAL, COF_LOG_INFO, message);
  assert_string_equal(line + strlen(line) - 6, "aa…\n");
  assert_int_equal(strlen(line), strlen("<6>input.samples: ") + LOG_MESSAGE_MAX + 1);
  free(line);
  for (size_t i = 0; i + 1 < LOG_MESSAGE_MAX * 2; i += 2)
    memcpy(message + i, "é", 2); /* the cut falls within a character */
  line = written(LOG_FORMAT_JOURNAL, COF_LOG_INFO, message);
  assert_string_equal(line + strlen(line) - 6, "é…\n");
  free(line);
  memset(message, '\x01', LOG_MESSAGE_MAX * 2); /* the longest escapes */
  line = written(LOG_FORMAT_JSON, COF_LOG_INFO, message);
  assert_string_equal(line + strlen(line) - 6, "…\"}\n");
  free(line);
  free(message);
}

enum { THREADS = 4, LINES = 500 };

static void *write_many(void *arg)
{
  for (int i = 0; i < LINES; i++)
    log_write((const char *)arg, COF_LOG_INFO, "a line that stays whole");
  return NULL;
}

static void test_lines_never_mix(void **state)
{
  (void)state;
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  log_setup(LOG_FORMAT_JOURNAL, COF_LOG_INFO);
  int saved = dup(STDERR_FILENO);
  assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
  close(fds[1]);
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, write_many, "x"), 0);
  FILE *file = fdopen(fds[0], "r");
  assert_non_null(file);
  char line[128];
  for (int i = 0; i < THREADS * LINES; i++) {
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "<6>x: a line that stays whole\n");
  }
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_true(dup2(saved, STDERR_FILENO) >= 0);
  close(saved);
  fclose(file);
}

static void test_limit(void **state)
{
  (void)state;
  const uint64_t second = UINT64_C(1000000000);
  struct log_limit limit = {0};
  uint64_t left_out = 99, now = 5 * second;
  for (int i = 0; i < 10; i++) {
    assert_true(log_limit_allow(&limit, now, &left_out));
    assert_int_equal(left_out, 0);
  }
  for (int i = 0; i < 7; i++)
    assert_false(log_limit_allow(&limit, now, &left_out));
  assert_false(log_limit_allow(&limit, now + second - 1, &left_out));
  assert_true(log_limit_allow(&limit, now + second, &left_out));
  assert_int_equal(left_out, 8);
  assert_false(log_limit_allow(&limit, now + second, &left_out));
  assert_true(log_limit_allow(&limit, now + 2 * second, &left_out));
  assert_int_equal(left_out, 1);
  for (int i = 0; i < 10; i++) /* after a pause there are ten again */
    assert_true(log_limit_allow(&limit, now + 100 * second, &left_out));
  assert_false(log_limit_allow(&limit, now + 100 * second, &left_out));
  assert_int_equal(log_limit_left_out(&limit), 1);
  assert_int_equal(log_limit_left_out(&limit), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),
                                     cmocka_unit_test(test_json),
                                     cmocka_unit_test(test_journal),
                                     cmocka_unit_test(test_auto),
                                     cmocka_unit_test(test_levels),
                                     cmocka_unit_test(test_long_messages_are_cut),
                                     cmocka_unit_test(test_lines_never_mix),
                                     cmocka_unit_test(test_limit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
