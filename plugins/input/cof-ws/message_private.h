/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Messages: put together of what the network gives, and taken apart into records.
 */
#ifndef COF_WS_MESSAGE_PRIVATE_H
#define COF_WS_MESSAGE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/cofjson.h>

#include "split_private.h"

/** A message on its way; zero but for `max`. */
struct message {
  size_t max; /**< octets; one that is longer is passed over */
  char *bytes;
  size_t len, room;
  bool open;     /**< it began and did not end */
  bool too_long; /**< its rest is passed over */
};

/** What a part completed. */
enum message_state {
  MESSAGE_MORE,     /**< nothing */
  MESSAGE_WHOLE,    /**< the message */
  MESSAGE_LONG,     /**< a message longer than `max`, none of which is to be had */
  MESSAGE_NO_MEMORY /**< the part was not taken; give it again */
};

/**
 * Add a part.
 * @param first, final  whether it is the first, the last of its message
 * @param text, len     WHOLE: set to the message, valid until the next part
 */
enum message_state message_add(struct message *message, const char *part, size_t part_len,
                               bool first, bool final, const char **text, size_t *len);
/** Forget what is unfinished. */
void message_reset(struct message *message);
/** Give its memory back too. */
void message_free(struct message *message);

/**
 * Takes messages apart: an object, or several in lines, in an array or one after the other, as
 * files have them.
 */
struct take {
  struct cof_reader *reader;
  struct cof_batch **batch; /**< where records go to; whole() may change it */
  size_t max;               /**< octets of a message */
  /** Memory is out. @return whether to try again */
  bool (*starved)(void *arg);
  /** Records were refused, or text that is no record, in that line of the message. */
  void (*refused)(void *arg, uint64_t records, uint64_t line, const char *why);
  /** An object was read whole, with so many records. @return whether to go on */
  bool (*whole)(void *arg, size_t records);
  void *arg;
};

/** Take one message. @return false when a callback said to stop */
bool take_message(const struct take *take, const char *text, size_t len);

#endif
