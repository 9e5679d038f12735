/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "layout_private.h"

#include <string.h>

const struct layout *const layouts[] = {&layout_d4, &layout_compact, NULL};
const char *const layout_words[] = {"auto", "d4", "compact", NULL};

enum resp_result layout_choose(struct store *s, struct resp *client, const struct layout **chosen,
                               struct cof_error *err)
{
  const struct layout *wanted = s->conf->layout != 0 ? layouts[s->conf->layout - 1] : NULL;
  const struct layout *held = NULL, *last = NULL;
  for (size_t i = 0; layouts[i] != NULL; i++) {
    bool holds = false;
    enum resp_result result = layouts[i]->probe(client, &holds, err);
    if (result != RESP_OK)
      return result;
    last = layouts[i];
    if (holds && (held == NULL || layouts[i] == wanted))
      held = layouts[i];
  }
  if (wanted != NULL && held != NULL && wanted != held) {
    cof_fail(err, COF_FATAL,
             "the database holds the layout %s, and the configuration says %s; use another "
             "database, or layout = %s",
             held->name, wanted->name, held->name);
    return RESP_FATAL;
  }
  *chosen = wanted != NULL ? wanted : held != NULL ? held : last;
  return RESP_OK;
}
