/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include <cofd/plugin.h>

#include "fakehost.h"

extern const struct cof_plugin cof_plugin;

struct fixture {
  struct fakehost *host;
  void *conf;
  void *self;
};

static const struct cof_filter_ops *ops(void)
{
  return cof_plugin.ops;
}

static void *configure(const char *setting)
{
  return fakehost_conf(&cof_plugin, (const char *const[]){setting, NULL});
}

static void begin(struct fixture *f, const char *setting)
{
  char text[512];
  f->host = fakehost_create("types", NULL);
  f->conf = configure(setting);
  assert_int_equal(fakehost_check(&cof_plugin, f->conf, text, sizeof text), COF_OK);
  assert_int_equal(cof_plugin.create(fakehost_host(f->host), f->conf, &f->self), COF_OK);
  assert_int_equal(cof_plugin.start(f->self), COF_OK);
}

static void end(struct fixture *f)
{
  assert_int_equal(cof_plugin.stop(f->self, 0), COF_OK);
  cof_plugin.destroy(f->self);
  fakehost_conf_free(&cof_plugin, &f->conf);
  fakehost_destroy(&f->host);
}

static struct cof_batch *batch_of(const uint16_t *types, size_t count)
{
  struct cof_batch *b = cof_batch_create();
  assert_non_null(b);
  for (size_t i = 0; i < count; i++) {
    struct cof_record r = {.rrname = "example.com",
                           .rrname_len = 11,
                           .rdata = "x",
                           .rdata_len = 1,
                           .rrtype = types[i],
                           .count = 1};
    assert_non_null(cof_batch_add(b, &r));
  }
  return b;
}

/* Verdicts of records of these types, as a text of k and d. */
static void verdicts(struct fixture *f, const uint16_t *types, size_t count, char *out)
{
  struct cof_batch *b = batch_of(types, count);
  ops()->process(f->self, b);
  for (size_t i = 0; i < count; i++)
    out[i] = cof_batch_at(b, i)->verdict == COF_KEEP ? 'k' : 'd';
  out[count] = '\0';
  cof_batch_destroy(&b);
}

static const uint16_t some[] = {0, 1, 28, 63, 64, 65, 65280, 65535};
#define SOME (sizeof some / sizeof *some)

static void test_accept(void **state)
{
  (void)state;
  struct fixture f;
  char got[SOME + 1];
  begin(&f, "accept=A, aaaa, TYPE65280, 64, 65535");
  verdicts(&f, some, SOME, got);
  assert_string_equal(got, "dkkdkdkk");
  assert_int_equal(fakehost_metric(f.host, "dropped"), 3);
  end(&f);
}

static void test_reject(void **state)
{
  (void)state;
  struct fixture f;
  char got[SOME + 1];
  begin(&f, "reject=A, https, 0, TYPE65535");
  verdicts(&f, some, SOME, got);
  assert_string_equal(got, "ddkkkdkd");
  end(&f);
}

static void test_leaves_other_verdicts(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, "accept=A");
  struct cof_batch *b = batch_of((const uint16_t[]){28, 28, 1}, 3);
  cof_batch_at(b, 0)->verdict = COF_REFUSE;
  cof_batch_at(b, 2)->verdict = COF_DROP;
  ops()->process(f.self, b);
  assert_int_equal(cof_batch_at(b, 0)->verdict, COF_REFUSE);
  assert_int_equal(cof_batch_at(b, 1)->verdict, COF_DROP);
  assert_int_equal(cof_batch_at(b, 2)->verdict, COF_DROP);
  assert_int_equal(fakehost_metric(f.host, "dropped"), 1);
  cof_batch_destroy(&b);
  end(&f);
}

static void expect_mistake(const char *const *settings, const char *option, const char *word)
{
  char text[512];
  void *conf = fakehost_conf(&cof_plugin, settings);
  assert_int_equal(fakehost_check(&cof_plugin, conf, text, sizeof text), COF_REJECT);
  assert_non_null(strstr(text, word));
  assert_int_equal(strncmp(text, option, strlen(option)), 0);
  fakehost_conf_free(&cof_plugin, &conf);
}

static void test_check(void **state)
{
  (void)state;
  expect_mistake((const char *const[]){"accept=A, FOO, AAAA", NULL}, "accept:", "\"FOO\"");
  expect_mistake((const char *const[]){"reject=65536", NULL}, "reject:", "\"65536\"");
  expect_mistake((const char *const[]){"accept=A", "reject=MX", NULL},
                 "reject:", "accept is given");
  expect_mistake((const char *const[]){NULL}, ":", "neither accept nor reject");
}

static void test_reload(void **state)
{
  (void)state;
  struct fixture f;
  char got[SOME + 1];
  begin(&f, "accept=A");
  void *fresh = configure("reject=A"), *bad = configure("accept=NONSENSE");
  assert_int_equal(cof_plugin.reload(f.self, fresh), COF_OK);
  verdicts(&f, some, SOME, got);
  assert_string_equal(got, "kdkkkkkk");
  assert_int_equal(cof_plugin.reload(f.self, bad), COF_REJECT);
  assert_true(fakehost_logged(f.host, "\"NONSENSE\""));
  verdicts(&f, some, SOME, got);
  assert_string_equal(got, "kdkkkkkk");
  fakehost_conf_free(&cof_plugin, &bad);
  end(&f);
  fakehost_conf_free(&cof_plugin, &fresh);
}

struct racer {
  struct fixture *f;
  bool done, mixed;
};

static void *race(void *arg)
{
  struct racer *r = arg;
  char got[3];
  while (!__atomic_load_n(&r->done, __ATOMIC_ACQUIRE)) {
    verdicts(r->f, (const uint16_t[]){1, 65535}, 2, got);
    if (strcmp(got, "kd") != 0 && strcmp(got, "dk") != 0)
      r->mixed = true;
  }
  return NULL;
}

/* A batch is judged by the old settings or by the new ones, never by a mixture. */
static void test_reload_while_working(void **state)
{
  (void)state;
  struct fixture f;
  begin(&f, "accept=A");
  void *other = configure("reject=A"), *same = configure("accept=A");
  struct racer racer = {.f = &f};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, race, &racer), 0);
  for (int i = 0; i < 200; i++)
    assert_int_equal(cof_plugin.reload(f.self, i % 2 == 0 ? other : same), COF_OK);
  __atomic_store_n(&racer.done, true, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  assert_false(racer.mixed);
  end(&f);
  fakehost_conf_free(&cof_plugin, &other);
  fakehost_conf_free(&cof_plugin, &same);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accept),
      cmocka_unit_test(test_reject),
      cmocka_unit_test(test_leaves_other_verdicts),
      cmocka_unit_test(test_check),
      cmocka_unit_test(test_reload),
      cmocka_unit_test(test_reload_while_working),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
