/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "resp_private.h"

#include <string.h>
#include <strings.h>

static const char *const passing_words[] = {"LOADING",    "BUSY",     "CLUSTERDOWN", "TRYAGAIN",
                                            "MASTERDOWN", "READONLY", "OOM",         "MISCONF",
                                            "NOREPLICAS", "MOVED",    "ASK"};
/* Faults of the server that pass, and that it reports as plain ERR. */
static const char *const passing_phrases[] = {
    "max number of clients", "No space left", "OOM command", "IO error", "is loading", "restoring",
    "reached max-db-size"};

static bool begins(const char *text, size_t len, const char *word)
{
  size_t n = strlen(word);
  return len >= n && memcmp(text, word, n) == 0 && (len == n || text[n] == ' ' || text[n] == ':');
}

static bool contains(const char *text, size_t len, const char *phrase)
{
  size_t n = strlen(phrase);
  for (size_t i = 0; i + n <= len; i++)
    if (strncasecmp(text + i, phrase, n) == 0)
      return true;
  return false;
}

bool resp_is_error(const redisReply *reply, const char *word)
{
  static const char wrapped[] = "ERR Invalid argument: ";
  if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
    return false;
  const char *text = reply->str;
  size_t len = (size_t)reply->len;
  if (len >= sizeof wrapped - 1 && memcmp(text, wrapped, sizeof wrapped - 1) == 0 &&
      begins(text + sizeof wrapped - 1, len - (sizeof wrapped - 1), word))
    return true;
  return begins(text, len, word);
}

enum resp_result resp_classify(const redisReply *reply)
{
  if (reply == NULL)
    return RESP_PASSING;
  if (reply->type != REDIS_REPLY_ERROR)
    return RESP_OK;
  for (size_t i = 0; i < sizeof passing_words / sizeof *passing_words; i++)
    if (begins(reply->str, (size_t)reply->len, passing_words[i]))
      return RESP_PASSING;
  if (begins(reply->str, (size_t)reply->len, "ERR"))
    for (size_t i = 0; i < sizeof passing_phrases / sizeof *passing_phrases; i++)
      if (contains(reply->str, (size_t)reply->len, passing_phrases[i]))
        return RESP_PASSING;
  return RESP_FATAL;
}
