/* SPDX-License-Identifier: AGPL-3.0-or-later */
/**
 * @file
 * What a storage should hold, in memory; random records; and the check that it does.
 */
#ifndef REDISSTORE_COMPACTMODEL_H
#define REDISSTORE_COMPACTMODEL_H

#include "storehost.h"

struct model {
  struct cof_batch *all; /**< settled records */
  size_t *slots;         /**< by hash: 1 + index, or 0 */
  size_t slots_count;
};

void model_init(struct model *model, size_t most);
void model_free(struct model *model);

/** Random changes, no tuple twice: names and targets out of few, some long; many rdata of one name.
 *  @param variety  how many names there are, about */
struct cof_batch *model_batch(size_t count, unsigned variety);
void model_apply(struct model *model, const struct cof_batch *batch);
/** A random question that some records answer; its texts belong to the model. */
struct cof_query model_question(const struct model *model);
/** Ask the storage and fail where the answer is not what it should be: in whole pages, by token. */
void model_check(const struct model *model, struct storehost *host, const struct cof_query *query);

#endif
