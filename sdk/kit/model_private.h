/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What a storage should hold, in memory, and random records and questions for it: for the
 * conformance kit, and for the tests of storages. All of it draws on rand().
 */
#ifndef COFD_KIT_MODEL_PRIVATE_H
#define COFD_KIT_MODEL_PRIVATE_H

#include <cofd/plugin.h>

/** Sensors that random records have: `sensor0` and so on. */
#define MODEL_SENSORS 5

struct model {
  struct cof_batch *all;                    /**< settled records: count is the number, total 0 */
  struct cof_batch *sensors[MODEL_SENSORS]; /**< the same as each sensor alone saw it */
  uint64_t observations;                    /**< input records behind them */
};

void model_init(struct model *model);
void model_free(struct model *model);

/** A random canonical name out of few. */
void model_name(char out[COF_NAME_MAX]);
/** Random rdata of a random type. @param known_types  only types that have a mnemonic */
void model_rdata(uint16_t *rrtype, char *out, size_t room, bool known_types);
/**
 * Fill a batch with at most `count` random changes, no tuple twice, some with another verdict.
 * @param known_types  only types that have a mnemonic
 */
void model_batch(struct cof_batch *batch, size_t count, bool known_types);
/** A copy of what one of `rivals` writers writes, told apart from all else by its name. */
void model_rival(struct cof_batch *batch, size_t count, unsigned round);

/** Apply a batch, but for records whose index is set in `refused` (may be NULL). */
void model_apply(struct model *model, const struct cof_batch *batch, const bool *refused);

/** Whether a record answers a question, but for limit, token and deadline. */
bool model_matches(const struct cof_record *record, const struct cof_query *query);
/** All answers to a question. */
void model_query(const struct model *model, const struct cof_query *query,
                 struct cof_batch *answer);
/** A random question of a kind; its texts lie in `name`. */
void model_question(const struct model *model, enum cof_query_kind kind, struct cof_query *query,
                    char name[COF_RDATA_MAX + 1]);
/** The settled records that a question is about: all, or those of its sensor. NULL: there are none.
 */
const struct cof_batch *model_about(const struct model *model, const struct cof_query *query);
/** A random sensor for a question, a static text; now and then one that saw nothing. */
const char *model_sensor(void);
/** A random bailiwick for a question: its name, or a static text. */
const char *model_bailiwick(const struct cof_query *query);

/** The record of that tuple, or NULL. */
struct cof_record *model_find(const struct cof_batch *batch, const struct cof_record *record);
/** The records of a batch by tuple; a malloced array of pointers into it. */
const struct cof_record **model_sorted(const struct cof_batch *batch);

#endif
