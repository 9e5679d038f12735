/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The floor for a websocket feed: a client of libwebsockets with the library's own defaults that
 * counts messages and does nothing with them.
 *
 *     cc -O2 -o floor-lws-client floor-lws-client.c -lwebsockets
 *     ./floor-lws-client PORT MESSAGES    reads so many from 127.0.0.1:PORT, prints how fast
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libwebsockets.h>

struct feed {
  unsigned long wanted, messages;
  unsigned long long octets;
  struct timespec begin;
  int over;
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
  struct feed *f = lws_context_user(lws_get_context(wsi));
  (void)user;
  (void)in;
  if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED) {
    clock_gettime(CLOCK_MONOTONIC, &f->begin);
  } else if (reason == LWS_CALLBACK_CLIENT_RECEIVE) {
    f->octets += len;
    f->messages += lws_is_final_fragment(wsi) != 0;
    f->over |= f->messages == f->wanted;
  } else if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR ||
             reason == LWS_CALLBACK_CLIENT_CLOSED) {
    f->over = 1;
  }
  return 0;
}

static const struct lws_protocols protocols[] = {{.name = "feed", .callback = on_event},
                                                 {.name = NULL}};

static struct lws_context *connect_to(struct feed *f, int port)
{
  struct lws_context_creation_info info = {
      .port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .fd_limit_per_thread = 4, .user = f};
  struct lws_context *context = lws_create_context(&info);
  if (context == NULL)
    return NULL;
  struct lws_client_connect_info to = {.context = context,
                                       .address = "127.0.0.1",
                                       .port = port,
                                       .path = "/",
                                       .host = "127.0.0.1",
                                       .protocol = NULL,
                                       .local_protocol_name = "feed"};
  if (lws_client_connect_via_info(&to) == NULL)
    f->over = 1;
  return context;
}

int main(int argc, char **argv)
{
  struct feed f = {0};
  struct timespec end;
  if (argc != 3) {
    fprintf(stderr, "usage: %s PORT MESSAGES\n", argv[0]);
    return 2;
  }
  f.wanted = strtoul(argv[2], NULL, 10);
  lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
  struct lws_context *context = connect_to(&f, (int)strtol(argv[1], NULL, 10));
  if (context == NULL)
    return 1;
  while (!f.over && lws_service(context, 0) >= 0)
    continue;
  clock_gettime(CLOCK_MONOTONIC, &end);
  lws_context_destroy(context);
  double seconds =
      (double)(end.tv_sec - f.begin.tv_sec) + (double)(end.tv_nsec - f.begin.tv_nsec) / 1e9;
  printf("%lu messages, %llu octets, %.0f messages/s\n", f.messages, f.octets,
         (double)f.messages / seconds);
  return f.messages == f.wanted ? 0 : 1;
}
