/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * Frame Streams: octets into frames, and the conversation around them. Pure: no descriptor, no
 * host.
 *
 * All numbers are 32 bits, big endian. A data frame is its length, not 0, and so many octets. A
 * control frame is 0, its length, and so many octets, which begin with its type.
 */
#ifndef DNSTAP_FRAMES_PRIVATE_H
#define DNSTAP_FRAMES_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fstrm.h>

#include <cofd/result.h>

#define CONTENT_TYPE     "protobuf:dnstap.Dnstap"
#define FRAME_HEAD       4
#define CONTROL_HEAD     8
#define FRAME_LEAST_ROOM ((size_t)FSTRM_CONTROL_FRAME_LENGTH_MAX + CONTROL_HEAD)

enum cut {
  CUT_FRAME,
  CUT_MORE,   /* the frame goes on beyond what is there */
  CUT_TOO_BIG /* a data frame over the bound, or a control frame over that of the protocol */
};

struct frame {
  const uint8_t *data; /* behind the head; borrowed */
  size_t len;          /* of data; CUT_TOO_BIG: as stated */
  size_t whole;        /* the head included */
  bool control;
};

/** Cut the first frame off octets. @param most  octets that a data frame may have */
enum cut frame_cut(const uint8_t *octets, size_t len, size_t most, struct frame *frame);

/** Who wrote the stream. */
enum stream_kind {
  STREAM_PEER, /* a connection: READY, ACCEPT, START, ..., STOP, FINISH; or one way from START on */
  STREAM_FILE, /* START, ..., STOP; perhaps several of them one after another */
  STREAM_REST  /* a file from some frame on */
};

enum stream_step {
  STREAM_PAYLOAD, /* the frame is a payload */
  STREAM_QUIET,   /* the frame is dealt with; there may be a reply */
  STREAM_OPENED,  /* as QUIET: payloads come from here on */
  STREAM_CLOSED,  /* the end was said; there may be a reply, then the connection is closed */
  STREAM_BROKEN   /* not this protocol, or not this content: go no further */
};

struct stream {
  struct fstrm_control *control;
  enum stream_kind kind;
  bool ready, open; /* READY was seen; payloads may come */
  uint8_t reply[FSTRM_CONTROL_FRAME_LENGTH_MAX + CONTROL_HEAD];
  size_t reply_len; /* to be sent to the peer after a step; 0: nothing */
};

/** @return false when out of memory */
bool stream_begin(struct stream *stream, enum stream_kind kind);
/** Tolerates one that did not begin, if it is zero. */
void stream_end(struct stream *stream);

/** Take a frame. @param err  STREAM_BROKEN: why */
enum stream_step stream_take(struct stream *stream, const struct frame *frame,
                             struct cof_error *err);

#endif
