/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as bytes: rank 0 sends its plan to the other ranks, and the cube has a hash of it. */
#ifndef KO_PLAN_PACK_H
#define KO_PLAN_PACK_H

#include "src/plan/plan.h"

void ko_plan_pack(const struct ko_plan *plan, struct ko_bytes *to);
KO_MUST_CHECK enum ko_code ko_plan_unpack(struct ko_bytes *from, struct ko_plan **out,
                                          struct ko_error *err);
/* The plan hash of the cube: XXH3-128 of the packed plan without paths, 32 hex digits. A shard has
   the hash of the whole plan. */
KO_MUST_CHECK enum ko_code ko_plan_hash(const struct ko_plan *plan, char text[33],
                                        struct ko_error *err);

#endif
