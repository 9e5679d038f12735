/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config.h"

#include "reader_private.h"

#include <stdlib.h>

/* Octets of buffer that a reader keeps when idle. */
#define READER_KEEP ((size_t)1 << 20)

#if HIREDIS_MAJOR < 1
/* What redisReader does by default, but for the bound: hiredis takes memory for all elements that
   an array announces before any of them has come. */
static void *create_array(const redisReadTask *task, int elements)
{
  if (elements < 0 || elements > RESP_ELEMENTS_MAX)
    return NULL;
  redisReply *reply = calloc(1, sizeof *reply);
  if (reply == NULL)
    return NULL;
  reply->type = REDIS_REPLY_ARRAY;
  if (elements > 0 && (reply->element = calloc((size_t)elements, sizeof(redisReply *))) == NULL) {
    free(reply);
    return NULL;
  }
  reply->elements = (size_t)elements;
  if (task->parent != NULL)
    ((redisReply *)task->parent->obj)->element[task->idx] = reply;
  return reply;
}

static redisReader *create_bounded(void)
{
  redisReader *usual = redisReaderCreate();
  if (usual == NULL)
    return NULL;
  redisReplyObjectFunctions *functions = malloc(sizeof *functions);
  redisReader *reader = NULL;
  if (functions != NULL) {
    *functions = *usual->fn;
    functions->createArray = create_array;
    reader = redisReaderCreateWithFunctions(functions);
  }
  redisReaderFree(usual);
  if (reader == NULL)
    free(functions);
  return reader;
}

void reader_destroy(redisReader **reader)
{
  if (*reader == NULL)
    return;
  redisReplyObjectFunctions *functions = (*reader)->fn;
  redisReaderFree(*reader);
  free(functions);
  *reader = NULL;
}
#else
static redisReader *create_bounded(void)
{
  redisReader *reader = redisReaderCreate();
  if (reader != NULL)
    reader->maxelements = RESP_ELEMENTS_MAX;
  return reader;
}

void reader_destroy(redisReader **reader)
{
  if (*reader != NULL)
    redisReaderFree(*reader);
  *reader = NULL;
}
#endif

redisReader *reader_create(void)
{
  redisReader *reader = create_bounded();
  if (reader != NULL)
    reader->maxbuf = READER_KEEP;
  return reader;
}
