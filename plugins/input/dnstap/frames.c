/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "frames_private.h"

#include <string.h>

static size_t number(const uint8_t *p)
{
  return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

enum cut frame_cut(const uint8_t *octets, size_t len, size_t most, struct frame *frame)
{
  size_t head = FRAME_HEAD;
  *frame = (struct frame){0};
  if (len < head)
    return CUT_MORE;
  frame->len = number(octets);
  if (frame->len == 0) {
    frame->control = true;
    head = CONTROL_HEAD;
    most = FSTRM_CONTROL_FRAME_LENGTH_MAX;
    if (len < head)
      return CUT_MORE;
    frame->len = number(octets + FRAME_HEAD);
  }
  frame->data = octets + head;
  frame->whole = head + frame->len;
  if (frame->len > most)
    return CUT_TOO_BIG;
  return len < frame->whole ? CUT_MORE : CUT_FRAME;
}

bool stream_begin(struct stream *s, enum stream_kind kind)
{
  *s = (struct stream){.kind = kind, .open = kind == STREAM_REST};
  s->control = fstrm_control_init();
  return s->control != NULL;
}

void stream_end(struct stream *s)
{
  fstrm_control_destroy(&s->control);
}

static enum stream_step broken(struct cof_error *err, const char *why)
{
  cof_fail(err, COF_REJECT, "%s", why);
  return STREAM_BROKEN;
}

/* Content types that the control frame names. */
static size_t contents(const struct stream *s)
{
  size_t n = 0;
  return fstrm_control_get_num_field_content_type(s->control, &n) == fstrm_res_success ? n : 0;
}

/* Whether ours is among the content types, or there is none. */
static bool is_ours(const struct stream *s)
{
  return fstrm_control_match_field_content_type(s->control, (const uint8_t *)CONTENT_TYPE,
                                                sizeof CONTENT_TYPE - 1) == fstrm_res_success;
}

static enum stream_step reply(struct stream *s, fstrm_control_type type, bool with_content,
                              enum stream_step step, struct cof_error *err)
{
  size_t len = sizeof s->reply;
  fstrm_control_reset(s->control);
  if (fstrm_control_set_type(s->control, type) != fstrm_res_success ||
      (with_content &&
       fstrm_control_add_field_content_type(s->control, (const uint8_t *)CONTENT_TYPE,
                                            sizeof CONTENT_TYPE - 1) != fstrm_res_success) ||
      fstrm_control_encode(s->control, s->reply, &len, FSTRM_CONTROL_FLAG_WITH_HEADER) !=
          fstrm_res_success)
    return broken(err, "out of memory for a control frame");
  s->reply_len = len;
  return step;
}

static enum stream_step take_ready(struct stream *s, struct cof_error *err)
{
  if (s->kind != STREAM_PEER || s->ready || s->open)
    return broken(err, "a READY frame where none is expected");
  if (!is_ours(s))
    return broken(err, "offers other content than " CONTENT_TYPE);
  s->ready = true;
  return reply(s, FSTRM_CONTROL_ACCEPT, contents(s) != 0, STREAM_QUIET, err);
}

static enum stream_step take_start(struct stream *s, struct cof_error *err)
{
  if (s->open && s->kind == STREAM_PEER)
    return broken(err, "a second START frame");
  if (!is_ours(s))
    return broken(err, "begins with other content than " CONTENT_TYPE);
  s->open = true;
  return STREAM_OPENED;
}

static enum stream_step take_stop(struct stream *s, struct cof_error *err)
{
  if (!s->open)
    return broken(err, "a STOP frame before the START frame");
  if (s->kind != STREAM_PEER)
    return STREAM_QUIET;
  return s->ready ? reply(s, FSTRM_CONTROL_FINISH, false, STREAM_CLOSED, err) : STREAM_CLOSED;
}

enum stream_step stream_take(struct stream *s, const struct frame *frame, struct cof_error *err)
{
  fstrm_control_type type;
  s->reply_len = 0;
  if (!frame->control)
    return s->open ? STREAM_PAYLOAD : broken(err, "a data frame before the START frame");
  if (frame->len < sizeof(uint32_t))
    return broken(err, "a control frame without a type");
  size_t stated = number(frame->data);
  if (stated < FSTRM_CONTROL_ACCEPT || stated > FSTRM_CONTROL_FINISH)
    return s->ready || s->open ? STREAM_QUIET
                               : broken(err, "begins with no frame of this protocol");
  if (fstrm_control_decode(s->control, frame->data, frame->len, 0) != fstrm_res_success ||
      fstrm_control_get_type(s->control, &type) != fstrm_res_success)
    return broken(err, "a control frame that cannot be read");
  switch (type) {
  case FSTRM_CONTROL_READY:
    return take_ready(s, err);
  case FSTRM_CONTROL_START:
    return take_start(s, err);
  case FSTRM_CONTROL_STOP:
    return take_stop(s, err);
  default:
    return broken(err, "a control frame that is for senders");
  }
}
