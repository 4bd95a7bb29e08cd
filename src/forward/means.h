/* SPDX-License-Identifier: Apache-2.0 */
/* The means that ~mean puts in the place of components: over the positions of a route's set in the
   clean runs of its references (ko_plan_is_reference). They are sums in double precision: of each
   group in the order of its prompts and positions, then of the groups in their order. So they are
   the same for any number of workers. */
#ifndef KO_FORWARD_MEANS_H
#define KO_FORWARD_MEANS_H

#include <stddef.h>
#include <stdint.h>

#include "src/forward/forward.h"

/* Prompts whose clean runs pass the layers together. */
struct ko_mean_group {
    int32_t first, n; /* of ko_mean_groups.fact */
};
struct ko_mean_groups {
    int32_t *fact; /* references of any route, ascending; owned */
    struct ko_mean_group *group;
    int32_t n;
};

/* Cuts the references of a model into groups of at most its row budget. A function of the plan. No
   groups without a class ~mean. Free with ko_mean_groups_free. */
KO_MUST_CHECK enum ko_code ko_mean_groups_make(const struct ko_plan *plan, int32_t model,
                                               struct ko_mean_groups *out, struct ko_error *err);
void ko_mean_groups_free(struct ko_mean_groups *groups); /* leaves {0} */

/* The numbers of a group's sums: [ko_plan_mean_values], then the positions of each mean [n_means]. */
size_t ko_mean_sums(const struct ko_plan *plan, int32_t model);
/* Runs a group and writes its sums [ko_mean_sums], which must be 0 before. */
KO_MUST_CHECK enum ko_code ko_engine_sum_means(struct ko_engine *engine,
                                               const struct ko_mean_groups *groups, int32_t group,
                                               double *sums, struct ko_error *err);
/* Divides the sums of all groups: mean [ko_plan_mean_values]; NaN where there is no position. */
void ko_means_divide(const struct ko_plan *plan, int32_t model, const double *sums, float *mean);
/* Gives the engine its means [ko_plan_mean_values], from host memory. Needed before it runs a class
   ~mean. */
KO_MUST_CHECK enum ko_code ko_engine_set_means(struct ko_engine *engine, const float *mean,
                                               struct ko_error *err);
/* All of the above in one process. */
KO_MUST_CHECK enum ko_code ko_engine_make_means(struct ko_engine *engine, struct ko_error *err);

#endif
