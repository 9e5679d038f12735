/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "rest_private.h"

/* How long what the storage said holds, and how long it may take to say it. */
#define FRESH_NS UINT64_C(1000000000)
#define WAIT_NS  UINT64_C(2000000000)

/* What the storage said last. One thread asks at a time; others get what was said before. */
struct readiness {
  pthread_mutex_t lock;
  bool asked, asking, answers;
  uint64_t at_ns;
  char why[COF_ERROR_MAX];
};

struct readiness *readiness_create(void)
{
  struct readiness *r = calloc(1, sizeof *r);
  if (r != NULL && pthread_mutex_init(&r->lock, NULL) != 0) {
    free(r);
    r = NULL;
  }
  return r;
}

void readiness_destroy(struct readiness **readiness)
{
  struct readiness *r = *readiness;
  *readiness = NULL;
  if (r == NULL)
    return;
  pthread_mutex_destroy(&r->lock);
  free(r);
}

/* One look-up of a name that no record should have: cheap, and it goes all the way. */
static enum cof_result ask_storage(struct rest *rest, struct cof_error *err)
{
  struct cof_query query = COF_QUERY_INIT;
  struct cof_cursor *cursor = NULL;
  struct cof_batch *batch = cof_batch_create();
  query.kind = COF_QUERY_RRNAME;
  query.name = "readyz.invalid";
  query.limit = 1;
  query.deadline_ns = cof_clock_ns(rest->host) + WAIT_NS;
  enum cof_result r = batch != NULL ? cof_query_open(rest->host, &query, &cursor, err)
                                    : cof_fail(err, COF_RETRY, "out of memory");
  if (r == COF_OK)
    r = cof_query_next(rest->host, cursor, 1, batch, err);
  cof_query_close(rest->host, &cursor);
  cof_batch_destroy(&batch);
  return r;
}

static bool storage_answers(struct rest *rest, char why[COF_ERROR_MAX])
{
  struct readiness *r = rest->readiness;
  struct cof_error err = {""};
  pthread_mutex_lock(&r->lock);
  uint64_t now = cof_clock_ns(rest->host);
  bool ask = !r->asking && (!r->asked || now - r->at_ns >= FRESH_NS);
  if (ask) {
    r->asking = true;
    pthread_mutex_unlock(&r->lock);
    enum cof_result result = ask_storage(rest, &err);
    pthread_mutex_lock(&r->lock);
    r->answers = result == COF_OK;
    snprintf(r->why, sizeof r->why, "%s", result == COF_OK ? "" : err.text);
    r->at_ns = cof_clock_ns(rest->host);
    r->asking = false;
    r->asked = true;
  }
  bool answers = r->asked && r->answers;
  snprintf(why, COF_ERROR_MAX, "%s", r->asked ? r->why : "it has not answered yet");
  pthread_mutex_unlock(&r->lock);
  return answers;
}

/* --- inputs --------------------------------------------------------------------------------- */

/* Inputs that say whether they are connected, by a gauge of that name. */
struct inputs {
  json_t *lost;
  size_t connected, unconnected;
};

static void look_at(void *arg, const struct cof_metric_view *view)
{
  struct inputs *in = arg;
  if (strcmp(view->kind, "input") != 0 || strcmp(view->name, "connected") != 0)
    return;
  if (view->value > 0) {
    in->connected++;
    return;
  }
  in->unconnected++;
  if (in->lost != NULL)
    (void)json_array_append_new(in->lost,
                                json_string(view->instance)); /* a name is shown, or not */
}

static bool inputs_suffice(const struct inputs *in, enum ready_inputs demand)
{
  switch (demand) {
  case READY_ALL:
    return in->unconnected == 0;
  case READY_ANY:
    return in->connected > 0 || in->unconnected == 0;
  default:
    return true;
  }
}

/* JSON takes nothing but UTF-8. */
static json_t *reason(const char *why)
{
  json_t *text = json_string(why);
  return text != NULL ? text : json_string("it failed");
}

static char *dump(bool ready, const char *why, json_t *lost)
{
  json_t *root = json_object();
  char *text = NULL, *out = NULL;
  if (root != NULL && json_object_set_new(root, "ready", json_boolean(ready)) == 0 &&
      (why == NULL || *why == '\0' || json_object_set_new(root, "storage", reason(why)) == 0) &&
      (lost == NULL || json_array_size(lost) == 0 ||
       json_object_set(root, "unconnected", lost) == 0))
    text = json_dumps(root, JSON_ENSURE_ASCII);
  json_decref(root);
  if (text == NULL)
    return NULL;
  size_t len = strlen(text);
  out = realloc(text, len + 2);
  if (out == NULL) {
    free(text);
    return NULL;
  }
  memcpy(out + len, "\n", 2);
  return out;
}

char *ready_text(struct rest *rest, enum ready_inputs demand, bool detail, bool *ready)
{
  char why[COF_ERROR_MAX];
  struct inputs in = {detail ? json_array() : NULL, 0, 0};
  bool answers = storage_answers(rest, why);
  cof_metrics_each(rest->host, look_at, &in);
  *ready = answers && inputs_suffice(&in, demand);
  char *text = dump(*ready, detail ? why : NULL, in.lost);
  json_decref(in.lost);
  return text;
}
