/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * The REST output: one instance, its workers (threads of the HTTP library), and the answers they
 * work on. A request is served by one worker from beginning to end, so that answers and their
 * memory need no lock.
 */
#ifndef COFD_REST_PRIVATE_H
#define COFD_REST_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <microhttpd.h>

#include <cofd/plugin.h>

#include "cursors_private.h"
#include "format_private.h"
#include "dnsdb_private.h"
#include "gzip_private.h"
#include "guard_private.h"
#include "params_private.h"
#include "question_private.h"
#include "tls_private.h"

/** Octets of body up to which an answer is sent whole, with its length: a thousand records in one
 *  write take a fifth less than in chunks. */
#define SMALL_BODY ((size_t)256 * 1024)
/** Octets of text that an answer has room for at first. */
#define TEXT_FIRST ((size_t)16 * 1024)
/** Octets that a streamed answer renders at a time. */
#define STREAM_STEP ((size_t)32 * 1024)
/** Octets of body from which compression pays. */
#define GZIP_MIN ((size_t)256)
/** Records that a storage is asked for at first. */
#define ASK_FIRST ((size_t)64)
/** Octets of body at which a page ends early, with a cursor. */
#define PAGE_OCTETS ((size_t)1024 * 1024)
/** Most records of a page: of an answer that is made as a whole, so that its header can tell the
 *  cursor. */
#define PAGE_RECORDS UINT64_C(1000)
/** Most octets of a request's path. */
#define PATH_MAX_OCTETS ((size_t)8 * 1024)
/** Octets of memory that a connection may take for its request, and then for its reply. */
#define CONNECTION_MEMORY ((size_t)32 * 1024)
/** Most octets of the option `origin`. */
#define ORIGIN_MAX 1024

/** What the options fill. */
struct rest_conf {
  struct cof_endpoint listen;
  char *origin;
  int ip_query; /**< index into exact, pivot */
  bool gzip;
  int64_t max_records;
  int64_t query_timeout; /**< ms */
  int64_t max_connections;
  int64_t per_ip_connections;
  int64_t idle_timeout; /**< ms */
  int64_t threads;
  struct dnsdb_conf dnsdb;
  char *tls_certificate, *tls_key, *tls_priorities;
  char *users;
  struct cof_list anonymous;
  char *anonymous_rate;
  int64_t anonymous_quota;
  int64_t auth_failures;
  int64_t tracked_addresses;
  struct cof_list allow, deny, trusted_proxies;
  int proxy_header; /**< index into x-forwarded-for, forwarded */
  struct cof_list cors_origin;
  char *access_log;
  int access_log_format;                   /**< enum access_format */
  int access_log_query;                    /**< index into full, hidden */
  int64_t request_timeout, answer_timeout; /**< ms */
  int ready_inputs;                        /**< enum ready_inputs */
  int64_t cursor_memory;
  int64_t cursor_expire; /**< ms */
  int64_t bulk_items;
  int64_t bulk_bytes;
  int64_t sort_records;
  int64_t stats_records;
  int64_t stats_age; /**< ms */
};

/** Which inputs have to be connected for /readyz: indices of the option's words. */
enum ready_inputs { READY_ALL, READY_ANY, READY_NONE };

struct rest;

/** The reloadable options. Immutable and shared; freed with the last reference. */
struct settings {
  atomic_uint references;
  bool pivot; /**< /query/<address> answers like /fquery/<address> */
  bool gzip;
  uint64_t max_records; /**< 0: no bound */
  uint64_t timeout_ns;
  struct dnsdb_conf dnsdb;
  uint64_t request_ns, answer_ns; /**< bounds of a request and of its answer */
  enum ready_inputs ready;
  struct guard *guard; /**< NULL: everybody may do everything, and nothing is noted */
  uint64_t bulk_items, bulk_bytes, sort_records;
  size_t origin_len;
  char origin[];
};

/**
 * @param before  settings so far, whose users keep what they have used; or NULL
 * @return NULL after logging why
 */
struct settings *settings_create(struct rest *rest, const struct rest_conf *conf,
                                 const struct settings *before);
struct settings *settings_hold(struct settings *settings);
/** Give a reference back; tolerates NULL and sets the caller's pointer to NULL. */
void settings_drop(struct settings **settings);

/** Counters and gauges of an instance. */
struct rest_metrics {
  struct cof_metric *requests, *active, *ok, *refused, *failed;
  struct cof_metric *records, *bytes, *limited, *broken;
  struct cof_metric *denied, *throttled, *slow, *latency;
};

/** One instance. */
struct rest {
  struct cof_host *host;
  const struct rest_conf *conf;
  struct rest_metrics metrics;
  struct MHD_Daemon *daemon;
  int listen_fd;
  struct cursors *cursors; /**< thread safe */
  struct tally *tally;     /**< thread safe */
  pthread_key_t key;       /**< a thread's worker */
  atomic_uint generation;  /**< grows with each change of `settings` */
  atomic_uint active;      /**< requests begun and not completed */
  atomic_bool stopping;    /**< new requests are refused */
  atomic_bool cut;         /**< streams end at once */
  atomic_uint closed;      /**< connections that have come and gone */
  pthread_mutex_t lock;    /**< guards the fields below */
  pthread_cond_t idle;     /**< `active` fell to 0 while stopping, or `links` to none */
  struct settings *settings;
  struct worker *workers;
  struct link *links;                     /**< connections */
  struct identity *identity;              /**< NULL: without TLS */
  struct addresses *addresses, *failures; /**< see quota_private.h; NULL until needed */
  struct sweeper *sweeper;
  struct acceptor *acceptor;
  struct readiness *readiness;
};

/** One connection, in the instance's list. */
struct link {
  struct link *next, **prev;
  struct rest *rest;
  int fd;
  _Atomic uint64_t deadline_ns; /**< when what it does now has taken too long */
  struct answer *answer;        /**< to the request under way; of the serving thread */
  struct identity *identity;    /**< what it began with */
};

/** The link of a connection; NULL when there was no memory for it. */
struct link *link_of(struct MHD_Connection *connection);
/** Hang up on those whose time is over. @return how many these were */
unsigned links_sweep(struct rest *rest, uint64_t now_ns);

/** A thread that calls links_sweep(). NULL when it cannot be made. */
struct sweeper *sweeper_start(struct rest *rest);
void sweeper_stop(struct sweeper **sweeper);

/** A thread that takes connections from the listening socket, so many at once at most, and hands
 * them to the library, until `cut` is set and the socket shut down. NULL when it cannot be made. */
struct acceptor *acceptor_start(struct rest *rest, unsigned max_connections);
/** Wait for its end; tolerates NULL and sets the caller's pointer to NULL. */
void acceptor_stop(struct acceptor **acceptor);

/** Start listening and serving. */
enum cof_result server_start(struct rest *rest);
/** Refuse new requests, wait for the answers under way, hang up, end the threads. */
enum cof_result server_stop(struct rest *rest, uint64_t deadline_ns);

/** MHD_OPTION_NOTIFY_CONNECTION; `cls` is the instance. */
void links_notify(void *cls, struct MHD_Connection *connection, void **context,
                  enum MHD_ConnectionNotificationCode code);
/**
 * Hang up on all clients, and wait until the library has let go of them. Call once `cut` is set
 * and listening has ended.
 * @param until  on CLOCK_MONOTONIC
 * @return whether none is left
 */
bool links_end(struct rest *rest, const struct timespec *until);

/** What one thread keeps between requests. Only its own thread touches it. */
struct worker {
  struct worker *next;
  struct rest *rest;
  struct settings *settings;
  unsigned generation; /**< of `settings` */
  struct answer *spare;
  unsigned spare_count;
  struct gzip *gzip; /**< for small answers; made at first use */
};

/** The calling thread's worker, with the present settings; NULL when out of memory. */
struct worker *worker_self(struct rest *rest);
/** Free all workers; their threads have ended. */
void workers_destroy(struct rest *rest);
/** An answer in its initial state; NULL when out of memory. */
struct answer *worker_take(struct worker *worker);
/** Take an answer back: close its cursors, keep its memory for the next where that is little. */
void worker_give(struct answer *answer);

/** A cursor and the batch it is read through. */
struct source {
  struct cof_cursor *cursor;
  struct cof_batch *batch;
  size_t at;                /**< next record of the batch */
  size_t ask;               /**< records to ask for next */
  size_t cap;               /**< most records to ask for next; 0: no bound of its own */
  size_t peak;              /**< most octets that the batch has held */
  enum cof_result ended;    /**< COF_OK until the cursor failed */
  struct cof_error failure; /**< why it failed; its good records are still given */
  bool dry;                 /**< the cursor has no more */
};

/** One request under way. */
struct answer {
  struct answer *next; /**< among the worker's spare ones */
  struct worker *worker;
  struct settings *settings; /**< the worker's; a reference while streaming */
  bool holds;                /**< `settings` is a reference */
  struct source records;     /**< what is sent */
  struct source owners;      /**< pivot: records whose rrnames are asked for in turn */
  struct dnsdb *dnsdb;       /**< of a question by DNSDB's API; owned */
  bool pivot;
  bool complete; /**< nothing is left to render */
  bool limited;  /**< max_records cut the answer */
  bool head;     /**< the client asked for headers only */
  struct visit visit;
  unsigned status;   /**< sent; 0: none yet */
  uint64_t sent;     /**< octets of the body */
  uint64_t begun_ns; /**< when the header was read */
  uint64_t written;
  uint64_t deadline_ns;
  enum format format;
  uint16_t types[TYPES_MAX];       /**< rrtypes that are asked for */
  size_t types_count;              /**< 0: all */
  char bailiwick[COF_NAME_MAX];    /**< that is asked for; empty: any or none */
  char sensor[COF_SENSOR_MAX + 1]; /**< that is asked for; empty: all together */
  uint64_t max;                    /**< most records to send; 0: no bound */
  bool begun;                      /**< what stands before the first record is rendered */
  bool more;                       /**< there was more than `max` records, or than a page takes */
  bool paging;                     /**< the client gets a cursor where there is more */
  bool whole;                      /**< a page: rendered to its end before it is sent */
  bool cut;                        /**< records were left out before they were to be sent */
  bool uploads;                    /**< the request's body is taken */
  bool sorts;                      /**< the records are sorted before they are sent */
  bool circl;                      /**< the headers are those of CIRCL's service */
  bool varies;                     /**< the answer depends on Accept */
  struct place *place;             /**< where the next page begins */
  size_t place_len;
  uint64_t question; /**< fingerprint of what is asked, for the cursor */
  uint64_t came_by;  /**< cursor that this page was asked for by; 0: none */
  uint64_t cursor;   /**< where the next page begins; 0: nowhere */
  struct fences fences;
  const struct api_path *path; /**< of the API */
  const char *trouble;         /**< static: JSON for x-dribble-errors; NULL: none */
  struct bulk *bulk;           /**< the questions of a bulk look-up */
  struct sorted *sorted;       /**< records in the order they are sent in */
  char *text;                  /**< rendered; sent up to `pos` */
  size_t text_room, text_len, pos;
  struct gzip *gzip;                 /**< a streamed and compressed answer's */
  struct MHD_Response *response;     /**< of a streamed answer; owned by the connection */
  struct MHD_Connection *connection; /**< of a streamed answer */
  char owner[COF_NAME_MAX];          /**< pivot: rrname asked for last */
  bool owner_found;                  /**< pivot: whether the storage has records of it */
};

void answer_destroy(struct answer **answer);
/** Close cursors and give up references; memory stays. */
void answer_reset(struct answer *answer);

/**
 * Open the cursors for a question.
 * @param from  where to go on; NULL: at the beginning
 * @return as cof_query_open
 */
enum cof_result answer_ask(struct answer *answer, const struct question *question, bool pivot,
                           const struct place *from, struct cof_error *err);
/** As answer_ask(), for any question; deadline, limit, types and token are filled in here. */
enum cof_result answer_open(struct answer *answer, struct cof_query *query, bool pivot,
                            const struct place *from, struct cof_error *err);
/** Pivot: ask for the records of the rrname in `owner`, from a place on (NULL: all). */
enum cof_result answer_open_owner(struct answer *answer, const void *token, size_t token_len,
                                  struct cof_error *err);
/** The next record that the storage has for the question; NULL at the end. */
enum cof_result answer_next(struct answer *answer, const struct cof_record **record,
                            struct cof_error *err);
/** All text is sent: begin anew, and give memory back that only an answer's first part needed. */
void answer_rewind(struct answer *answer);
/** Room for so many octets behind the text. False when out of memory. */
bool answer_room(struct answer *answer, size_t need);

/** Ask a cursor's question anew. @return as cof_query_open */
enum cof_result source_open(struct answer *answer, struct source *source,
                            const struct cof_query *query, struct cof_error *err);
void source_close(struct answer *answer, struct source *source);

/** Remember where the answer stands, in `place`. */
enum cof_result place_take(struct answer *answer, struct cof_error *err);
/** Open the cursors so as to go on at a place. */
enum cof_result place_resume(struct answer *answer, struct cof_query *query,
                             const struct place *place, struct cof_error *err);
/** Give the client a cursor for `place`. */
enum cof_result cursor_give(struct answer *answer, struct cof_error *err);
/**
 * The place of a cursor that a client sent back, with the fences it was asked with.
 * @param place  COF_OK: of the C heap, the caller's; NULL where `id` is 0
 */
enum cof_result cursor_take(struct answer *answer, uint64_t id, struct place **place,
                            struct cof_error *err);

/** Sort what the storage has for the question, and keep the first of it. @return as answer_next */
enum cof_result sorted_make(struct answer *answer, enum sort_key key, bool descending,
                            struct cof_error *err);
enum cof_result sorted_next(struct answer *answer, const struct cof_record **record);
void sorted_destroy(struct sorted **sorted);

/** The next record of a bulk look-up. */
enum cof_result bulk_next(struct answer *answer, const struct cof_record **record,
                          struct cof_error *err);
void bulk_destroy(struct bulk **bulk);
/**
 * Take a part of a request's body.
 * @return false when it is not taken: the request was refused, or is now
 */
bool bulk_upload(struct answer *answer, const char *data, size_t len);
/** Answer POST /api/v1/bulk; the body is complete. */
enum MHD_Result bulk_serve(struct MHD_Connection *connection, struct answer *answer);

/** Read the dribble headers into an answer. @param cursor  the page asked for; 0: the first */
enum cof_result circl_headers(struct MHD_Connection *connection, struct answer *answer,
                              uint64_t *cursor, struct cof_error *err);
/** Fingerprint of a question on /query or /fquery. */
uint64_t circl_fingerprint(const struct answer *answer, const struct question *question,
                           bool pivot);

/** Whether a path, without its leading slashes, is of the API. */
bool api_owns(const char *path);
/** As refusal() in route.c. @return the status; 0: serve it */
unsigned api_refusal(struct MHD_Connection *connection, struct answer *answer, const char *path,
                     const char *method, const char **why);
/** Answer a request of the API. */
enum MHD_Result api_serve(struct MHD_Connection *connection, struct answer *answer,
                          const char *path);
/** Read the parameters of a request, and set what they say of the answer. */
enum cof_result api_read(struct MHD_Connection *connection, struct answer *answer,
                         struct params *params, struct cof_error *err);
/** Answer why api_read() failed; COF_AGAIN of it means that no format is acceptable. */
enum MHD_Result api_refuse(struct MHD_Connection *connection, struct answer *answer,
                           enum cof_result result, const struct cof_error *err);
/** Methods of the paths of the API, for the header Allow; NULL: not of the API. */
const char *api_allow(const char *path);
/** The document at /openapi.json, of the C heap; NULL when out of memory. */
char *openapi_text(const struct settings *settings);

/** The scan behind /api/v1/stats: one thread, at most one scan at a time. */
struct tally *tally_create(const struct rest_conf *conf);
/** Tolerates NULL and sets the caller's pointer to NULL. */
void tally_destroy(struct tally **tally);
enum cof_result tally_start(struct rest *rest);
void tally_stop(struct rest *rest);
/** The object that /api/v1/stats shows. @param text  COF_OK: of the C heap, the caller's */
enum cof_result tally_text(struct rest *rest, char **text, struct cof_error *err);

/**
 * Render records behind the text until it has at least `target` octets or the answer is complete.
 * @return COF_OK, or why the storage failed
 */
enum cof_result answer_render(struct answer *answer, size_t target, struct cof_error *err);
/** Headers of an answer's end: what cut it, and the cursor. False when out of memory. */
bool reply_end_headers(struct answer *answer, struct MHD_Response *response, bool trailer);
/** MHD_ContentReaderCallback of a streamed answer; `cls` is the answer. */
ssize_t answer_stream(void *cls, uint64_t pos, char *buf, size_t max);

/** Access handler and completion callback of the HTTP library; `cls` is the instance. */
enum MHD_Result route_request(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **context);
void route_completed(void *cls, struct MHD_Connection *connection, void **context,
                     enum MHD_RequestTerminationCode code);

/** Send what answer_render() gave: whole where it is complete, else as a stream. */
enum MHD_Result reply_answer(struct MHD_Connection *connection, struct answer *answer);
/** Send a text of the C heap, which this takes, with a media type. */
enum MHD_Result reply_text(struct MHD_Connection *connection, struct answer *answer, char *text,
                           size_t len, const char *type);
/** Send a status with a JSON text of the C heap, which this takes. */
enum MHD_Result reply_state(struct MHD_Connection *connection, struct answer *answer,
                            unsigned status, char *text);
/** Answer a preflight of CORS. */
enum MHD_Result reply_preflight(struct MHD_Connection *connection, struct answer *answer);
/** Refuse a method, telling those that are served, and close the connection afterwards. */
enum MHD_Result reply_method(struct MHD_Connection *connection, struct rest *rest,
                             const char *allow);
/** Send a status with `{"error": "…"}`. */
enum MHD_Result reply_error(struct MHD_Connection *connection, struct rest *rest, unsigned status,
                            const char *text);
/** As reply_error(), and close the connection afterwards. */
enum MHD_Result reply_last(struct MHD_Connection *connection, struct rest *rest, unsigned status,
                           const char *text);
/** Send the status that tells why the storage did not answer. */
enum MHD_Result reply_failure(struct MHD_Connection *connection, struct rest *rest,
                              enum cof_result result, const struct cof_error *err);

/** Count the status, queue a response, and give it up. */
enum MHD_Result reply_queue(struct MHD_Connection *connection, struct rest *rest, unsigned status,
                            struct MHD_Response *response);

/**
 * The object that /info shows, without a trailing newline.
 * @param text  COF_OK: set to a text of the C heap, which the caller frees
 */
enum cof_result info_text(struct rest *rest, char **text, struct cof_error *err);

/** What /metrics shows, of the C heap; NULL when out of memory. */
char *prom_text(struct rest *rest);

/** What /readyz knows: whether the storage answers, asked once a second at most. */
struct readiness *readiness_create(void);
void readiness_destroy(struct readiness **readiness);
/**
 * Whether the storage answers and the inputs are connected.
 * @param detail  tell why not
 * @return text of the C heap, NULL when out of memory; `ready` is set
 */
char *ready_text(struct rest *rest, enum ready_inputs inputs, bool detail, bool *ready);

#endif
