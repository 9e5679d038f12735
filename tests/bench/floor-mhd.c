/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The floor for answers over HTTP: libmicrohttpd, with the flags of output/rest, giving a constant
 * record, or many of them, to whatever is asked.
 *
 *     cc -O2 -o floor-mhd floor-mhd.c -lmicrohttpd
 *     ./floor-mhd PORT [THREADS [RECORDS]]   serves on 127.0.0.1 until its standard input ends;
 *                                            THREADS 0: as many as there are processors
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

static char record[] =
    "{\"time_first\": 1657878272, \"time_last\": 1657878272, \"count\": 1, \"rrtype\": \"AAAA\", "
    "\"rrname\": \"xn--ihuvudetpevap-xfb.se\", \"rdata\": \"2a02:250:0:8::53\", "
    "\"origin\": \"origin not configured\"}\n";

struct body {
  char *text;
  size_t len;
};

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **context)
{
  static char seen;
  const struct body *body = cls;
  (void)url;
  (void)method;
  (void)version;
  (void)upload;
  (void)upload_size;
  if (*context == NULL) {
    *context = &seen;
    return MHD_YES;
  }
  struct MHD_Response *response =
      MHD_create_response_from_buffer(body->len, body->text, MHD_RESPMEM_PERSISTENT);
  if (response == NULL || MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                                  "application/x-ndjson") != MHD_YES)
    return MHD_NO;
  enum MHD_Result r = MHD_queue_response(connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return r;
}

static struct body make_body(size_t records)
{
  struct body body = {malloc(records * (sizeof record - 1) + 1), 0};
  for (; body.text != NULL && records > 0; records--) {
    memcpy(body.text + body.len, record, sizeof record - 1);
    body.len += sizeof record - 1;
  }
  return body;
}

int main(int argc, char **argv)
{
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: %s PORT [THREADS [RECORDS]]\n", argv[0]);
    return 2;
  }
  unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
  if (threads == 0)
    threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
  struct body body = make_body(argc > 3 ? strtoul(argv[3], NULL, 10) : 1);
  if (body.text == NULL)
    return 1;
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct MHD_Daemon *daemon = MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, answer, &body,
      MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at, MHD_OPTION_THREAD_POOL_SIZE, threads,
      MHD_OPTION_CONNECTION_LIMIT, 1024u, MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_END);
  if (daemon == NULL) {
    fprintf(stderr, "cannot serve on 127.0.0.1:%s\n", argv[1]);
    return 1;
  }
  char c;
  while (read(STDIN_FILENO, &c, 1) > 0)
    continue;
  MHD_stop_daemon(daemon);
  free(body.text);
  return 0;
}
