/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Records and batches: what flows from inputs through filters to storages, and what queries return.
 *
 * A batch holds any number of records and all their strings. It never moves a string once added,
 * and keeps its memory when cleared, so that a batch in steady use allocates nothing per record.
 */
#ifndef COFD_RECORD_H
#define COFD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofd/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest count cofd keeps; counts saturate here. 2^63 - 1, the most that JSON clients take. */
#define COF_COUNT_MAX ((uint64_t)INT64_MAX)
/** Largest time cofd takes, in seconds UTC: 9999-12-31T23:59:59Z. The smallest is 0. */
#define COF_TIME_MAX INT64_C(253402300799)
/** Most octets of an rrname in presentation form: 255 octets on the wire (RFC 1035 section 3.1),
 *  each content octet spelled \DDD at worst. */
#define COF_NAME_MAX 1008
/** Most octets of an rdata in presentation form. */
#define COF_RDATA_MAX 65535
/** Most octets of a sensor_id. */
#define COF_SENSOR_MAX 255

/** What the chain does with a record. Filters write it; it is COF_KEEP in a fresh record. */
enum cof_verdict {
  COF_KEEP = 0,  /**< goes on */
  COF_DROP = 1,  /**< not wanted; counted as filtered */
  COF_REFUSE = 2 /**< bad; counted as rejected */
};

/**
 * One Passive DNS record (Common Output Format, draft-dulaunoy-dnsop-passive-dns-cof).
 *
 * Strings are NUL-terminated, canonical (see cofd/dns.h), and belong to the batch that holds the
 * record; their lengths exclude the NUL. Between input and storage a record is a change to what is
 * stored, which becomes
 *
 *     first = min(first, time_first), last = max(last, time_last), n = max(n + count, total)
 *
 * so an observation has count = how often it was seen and total = 0, and a statement "seen that
 * often so far" (an import with `counts = total`) has count = 0 and total = the number. Changes of
 * this form compose into one of the same form (cof_record_fold), whatever their order of kinds.
 * In the answer to a query, count is the stored number and total is 0; sensor_id is that of the
 * question, or NULL.
 *
 * `via` is the path by which a record came here through other cofd (cof_via()); an input that knows
 * none leaves it 0.
 *
 * `zones` is in which zones the record was seen, its bailiwicks: those of the servers that were
 * asked. Each is the owner name or above it, so bit n stands for the zone that is the last n labels
 * of rrname, bit 0 for the root; a zone of over 31 labels is not kept. A change adds its bits to
 * the stored ones. See cof_zone_bit().
 *
 * Fields are only ever appended.
 */
struct cof_record {
  const char *rrname;    /**< owner name: lower case, no trailing dot, root is "." */
  const char *rdata;     /**< canonical presentation text */
  const char *sensor_id; /**< who observed it, or NULL. Empty after the window; see cof_tally and
                              cof_batch_sights() */
  uint64_t hash;         /**< cof_record_hash() of the tuple, or 0 where not computed yet */
  int64_t time_first;    /**< seconds UTC, 0 to COF_TIME_MAX, never after time_last */
  int64_t time_last;     /**< seconds UTC */
  uint64_t count;        /**< observations to add, at most COF_COUNT_MAX */
  uint64_t total;        /**< what the stored count must at least become; 0: no statement */
  uint32_t rdata_len;    /**< octets */
  uint32_t observations; /**< input records folded into this one; the window's alone to write, for
                              a record of an input is always one */
  uint16_t rrname_len;   /**< octets */
  uint16_t rrtype;       /**< type number (IANA DNS parameters) */
  uint16_t sensor_len;   /**< octets; 0 where sensor_id is NULL */
  uint8_t verdict;       /**< enum cof_verdict */
  uint8_t reserved;      /**< zero */
  uint32_t via;          /**< COF_VIA_NONE, or as cof_via() gave it; since ABI 1.1 */
  uint32_t parts;        /**< the window's alone; zero elsewhere; since ABI 1.1 */
  uint32_t zones;        /**< bailiwicks, as bits; 0: not known; since ABI 1.2 */
  uint32_t sights;       /**< the batch's alone; see cof_batch_sights(); since ABI 1.3 */
};

/** Values of cof_record.via besides the numbers of paths. */
#define COF_VIA_NONE   UINT32_C(0)      /**< it did not come from another cofd */
#define COF_VIA_MIXED  (UINT32_MAX - 1) /**< the window's: observations of several paths in one */
#define COF_VIA_LOOPED UINT32_MAX       /**< it was here before: the chain drops it, as `looped` */
/** Most octets of a path: 32 names of nodes, each of at most 63 octets, and the commas. */
#define COF_VIA_TEXT_MAX  2047
#define COF_VIA_NODES_MAX 32
#define COF_NODE_MAX      63

/** How many input records one sensor contributed to a batch. */
struct cof_tally {
  const char *sensor_id; /**< NUL-terminated; owned by the batch */
  uint16_t sensor_len;   /**< octets */
  uint64_t records;      /**< input records, before the window folded them */
};

/** How often one TTL was seen in the input records of a batch. */
struct cof_ttl {
  uint32_t ttl;  /**< seconds */
  uint64_t hits; /**< input records */
};

/** Most different TTLs that a batch tells apart exactly; see cof_batch_ttl(). */
#define COF_TTLS_MAX 1024

/** Records, their strings, and the tallies of those who sent them. Not thread safe. */
struct cof_batch;

/**
 * Make an empty batch.
 * @return the batch, which the caller owns, or NULL when out of memory
 */
struct cof_batch *cof_batch_create(void) __attribute__((warn_unused_result));

/** Free a batch and all it holds; tolerates NULL and sets the caller's pointer to NULL. */
void cof_batch_destroy(struct cof_batch **batch);

/** Empty a batch, keeping its memory for the next use. All its record pointers become invalid. */
void cof_batch_clear(struct cof_batch *batch);

/**
 * Append a copy of a record and of its strings.
 *
 * @param batch   where to append
 * @param record  what to copy; its strings need not be NUL-terminated and are trusted to be
 *                canonical. `verdict`, `reserved` and `sights` are not copied
 * @param size    sizeof(struct cof_record) as the caller knows it
 * @return the record within the batch, valid until the batch is cleared or destroyed or another
 *         record is added; NULL when out of memory, with the batch unchanged
 *
 * Use the macro cof_batch_add(batch, record).
 */
struct cof_record *cof_batch_add_sized(struct cof_batch *batch, const struct cof_record *record,
                                       size_t size) __attribute__((warn_unused_result));
#define cof_batch_add(batch, record)                                                               \
  cof_batch_add_sized((batch), (record), sizeof(struct cof_record))

/**
 * Reserve `len` + 1 octets in the batch's arena for a string that will be written in place.
 * @return the octets, owned by the batch until it is cleared or destroyed; NULL when out of memory
 */
char *cof_batch_alloc(struct cof_batch *batch, size_t len) __attribute__((warn_unused_result));

/**
 * Append a record whose strings already lie in this batch's arena (cof_batch_alloc), without
 * copying them. Otherwise as cof_batch_add_sized. Use the macro cof_batch_adopt(batch, record).
 */
struct cof_record *cof_batch_adopt_sized(struct cof_batch *batch, const struct cof_record *record,
                                         size_t size) __attribute__((warn_unused_result));
#define cof_batch_adopt(batch, record)                                                             \
  cof_batch_adopt_sized((batch), (record), sizeof(struct cof_record))

/** Number of records, whatever their verdict. */
size_t cof_batch_count(const struct cof_batch *batch);

/**
 * A record by its index, 0 to cof_batch_count() - 1 (not checked). Valid until the batch is cleared
 * or destroyed or another record is added.
 */
struct cof_record *cof_batch_at(const struct cof_batch *batch, size_t index);

/** Octets of memory in use for records and strings: what bounds are measured by. */
size_t cof_batch_bytes(const struct cof_batch *batch);

/** Drop the last records so that `count` remain; no effect when there are fewer. */
void cof_batch_truncate(struct cof_batch *batch, size_t count);

/**
 * Add `records` input records of one sensor to the batch's tallies; a NULL sensor_id is counted in
 * the total alone.
 * @return false when out of memory, with the batch unchanged
 */
bool cof_batch_tally(struct cof_batch *batch, const char *sensor_id, size_t sensor_len,
                     uint64_t records) __attribute__((warn_unused_result));

/**
 * The tallies of a batch.
 * @param tallies  set to an array owned by the batch, valid until the batch changes
 * @return number of elements
 */
size_t cof_batch_tallies(const struct cof_batch *batch, const struct cof_tally **tallies);

/** Input records behind this batch, those without a sensor included: what /info calls stats. */
uint64_t cof_batch_observations(const struct cof_batch *batch);

/**
 * What one sensor saw of a record of the batch: a change of the same tuple, which is a part of the
 * record's. The window keeps it for storages that ask for it (COF_CAP_SENSOR). A new one changes
 * nothing; fold into it what the sensor saw (cof_record_fold()). Since ABI 1.3.
 *
 * @param record      of this batch
 * @param sensor_len  1 to COF_SENSOR_MAX octets; what is longer is cut off there
 * @return the part, with the record's texts and `sensor_id`, valid until this is called again or
 *         the batch is cleared; NULL when out of memory, with the batch unchanged
 */
struct cof_record *cof_batch_sight(struct cof_batch *batch, struct cof_record *record,
                                   const char *sensor_id, size_t sensor_len)
    __attribute__((warn_unused_result));

/**
 * The parts that sensors have in a record, each sensor once, in no order. They need not add up to
 * the record: what came without a sensor_id is in none. Since ABI 1.3.
 *
 * @param record  of this batch: gives the first part; or a part: gives the next one
 * @return the part, owned by the batch; NULL: there is none (any more)
 */
const struct cof_record *cof_batch_sights(const struct cof_batch *batch,
                                          const struct cof_record *record);

/**
 * Count a TTL that came with input records of this batch: for statistics alone, which storages may
 * keep. An input calls it for what it appends; filters do not change it, and the window adds it up.
 * Beyond COF_TTLS_MAX different values, a new one is counted as the power of two below it.
 * @return false when out of memory, with the batch unchanged
 */
bool cof_batch_ttl(struct cof_batch *batch, uint32_t ttl, uint64_t hits)
    __attribute__((warn_unused_result));

/**
 * The TTLs of a batch.
 * @param ttls  set to an array owned by the batch, in no order, valid until the batch changes
 * @return number of elements
 */
size_t cof_batch_ttls(const struct cof_batch *batch, const struct cof_ttl **ttls);

/**
 * Hash of the tuple (rrname, rrtype, rdata), never 0. Seeded at random per process, so that nobody
 * can prepare names that collide; not for storing. Thread safe.
 */
uint64_t cof_record_hash(const struct cof_record *record);

/** Whether two records have the same tuple (rrname, rrtype, rdata). Thread safe. */
bool cof_record_same(const struct cof_record *a, const struct cof_record *b);

/**
 * Fold a later change of the same tuple into an earlier one, so that applying `into` afterwards is
 * applying both in that order. Counts saturate at COF_COUNT_MAX; zones are those of both. Thread
 * safe.
 */
void cof_record_fold(struct cof_record *into, const struct cof_record *later);

#ifdef __cplusplus
}
#endif
#endif
