/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a fact on a prompt axis. */
#ifndef KO_CUBE_FORMAT_FACT_INDEX_H
#define KO_CUBE_FORMAT_FACT_INDEX_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/format/datasets.h"
#include "src/plan/plan.h"

/* The index of every fact on the prompt, heat_prompt or eval_prompt axis, -1 where the axis lacks
   it: [n_facts], free(). */
KO_MUST_CHECK enum ko_code ko_cube_fact_index(const struct ko_plan *plan, enum ko_cube_axis axis,
                                              int32_t **index, struct ko_error *err);

#endif
