/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Cuts a stream of text into lines, or JSON objects wherever they begin and end
 * (an array of records, objects over several lines, several on one line). Nothing is copied.
 */
#ifndef COFD_FOLLOW_SPLIT_PRIVATE_H
#define COFD_FOLLOW_SPLIT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How text is cut. UNKNOWN: decided by its beginning. */
enum split_mode { SPLIT_UNKNOWN, SPLIT_LINES, SPLIT_OBJECTS };

/** What is being passed over, up to where the next object can begin. */
enum split_skip {
  SKIP_NONE,
  SKIP_LINE,   /**< the rest of a line that is too long */
  SKIP_OBJECT, /**< the rest of an object that is too long */
  SKIP_JUNK    /**< what is no object, up to the next brace */
};

/** A place in a stream at which reading can go on, now or in another run. */
struct place {
  uint64_t offset;        /**< octets before it, uncompressed */
  uint64_t line;          /**< line ends before it */
  uint32_t depth;         /**< SKIP_OBJECT: braces still open */
  uint8_t mode;           /**< enum split_mode */
  uint8_t skip;           /**< enum split_skip */
  bool in_string, escape; /**< SKIP_OBJECT: within a string, after a backslash */
  bool in_context;        /**< the last line was a context line; not remembered between runs */
  uint64_t context;       /**< where the last run of context lines begins */
};

/** Where in an unfinished object the search for its end stands. */
struct scan {
  size_t at;
  uint64_t lines;
  uint32_t depth;
  bool in_string, escape;
};

/** One cutter; belongs to the buffer whose text it cuts. */
struct split {
  size_t max_len; /**< most octets of an object */
  /** Receives an object; place is behind it already. @return false to stop */
  bool (*object)(void *arg, const char *text, size_t len, uint64_t line);
  /** Receives what is wrong with the text that begins in that line; it is passed over. */
  void (*broken)(void *arg, uint64_t line, const char *what);
  void *arg;
  bool unfinished; /**< during object(): the source ended before this line did */
  size_t searched; /* octets of the unfinished line that hold no line end */
  struct scan scan;
};

/** Forget what is known of the text that the last split_take() left. */
void split_reset(struct split *split);

/**
 * Cut text that begins at `place`, which advances.
 * @param end  nothing comes after this text: an unfinished line is taken as it is
 * @return octets taken. The rest is an unfinished object, never longer than max_len, and has to be
 *         given again with more text behind it. After object() returned false: behind that object.
 */
size_t split_take(struct split *split, struct place *place, const char *text, size_t len, bool end);

#endif
