/* SPDX-License-Identifier: Apache-2.0 */
/* Shards: a deterministic part of a plan's batches, for one task of an array job. */
#ifndef KO_TREE_SHARD_H
#define KO_TREE_SHARD_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/batch.h"

enum { KO_MOST_SHARDS = 9999 };
/* The end of a shard's file name, by number and of: "cube.shard-0003-of-0016.h5". */
#define KO_SHARD_SUFFIX ".shard-%04d-of-%04d.h5"

struct ko_shard {
    int32_t number, of; /* from 1; of is 0 for the whole plan */
};

/* "3/16". KO_E_INPUT "WHERE: ..." for anything else than 1 <= K <= N <= KO_MOST_SHARDS. */
KO_MUST_CHECK enum ko_code ko_shard_parse(const char *text, const char *where, struct ko_shard *out,
                                          struct ko_error *err);

/* The batches [first, end) of a shard: those whose cumulative FLOP, taken at their middle, lie in
   [(number - 1) / of, number / of) of all. Every batch is in exactly one shard; first = end for an
   empty one. */
void ko_shard_range(const struct ko_batches *batches, struct ko_shard shard, int32_t *first,
                    int32_t *end);

/* The part of a whole plan that a shard computes: the models and prompts of its batches, and all
   other axes unchanged. An empty shard keeps the first model and no prompt. ko_batches_compose makes
   exactly the shard's batches from it. (*out)->shard says where it lies in the whole plan. Caller
   frees with ko_plan_free. */
KO_MUST_CHECK enum ko_code ko_shard_take(const struct ko_plan *whole, struct ko_shard shard,
                                         struct ko_plan **out, struct ko_error *err);

#endif
