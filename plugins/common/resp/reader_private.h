/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A hiredis reader whose answers are bounded. */
#ifndef COFD_RESP_READER_PRIVATE_H
#define COFD_RESP_READER_PRIVATE_H

#include <hiredis/hiredis.h>

/* Most elements of one array in an answer; a server that announces more is not one of ours. */
#define RESP_ELEMENTS_MAX (1 << 20)

/* The caller owns the reader; NULL when out of memory. */
redisReader *reader_create(void);

/* Free a reader with what it has read; tolerates NULL and sets the caller's pointer to NULL. */
void reader_destroy(redisReader **reader);

#endif
