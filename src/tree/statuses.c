/* SPDX-License-Identifier: Apache-2.0 */
/* Reads from a prompt's tree which cells are planned and which of them are vacuous. */
#include "src/tree/statuses.h"

#include <stdlib.h>
#include <string.h>

#include "src/tree/prompt_tree.h"

static bool any_start(const struct ko_tree *tree, const uint8_t *asked, int32_t size)
{
    const struct ko_plan *plan = tree->model->plan;
    for (int32_t s = 0; s < plan->n_starts; s++) {
        if (asked[(size_t)s * (size_t)plan->n_sizes + (size_t)size]) {
            return true;
        }
    }
    return false;
}

static void fill_statuses(const struct ko_tree *tree, uint8_t *status)
{
    const struct ko_plan *plan = tree->model->plan;
    for (size_t i = 0; i < tree->n_members; i++) {
        const struct ko_tree_member *member = &tree->member[i];
        const uint8_t *asked = ko_tree_asked(tree, member->route, member->class);
        for (int32_t size = 0; size < plan->n_sizes; size++) {
            if (any_start(tree, asked, size)) {
                status[ko_plan_status_slot(plan, member->route, member->class,
                                           member->source_position, size)] =
                    member->group >= 0 ? KO_PENDING : KO_VACUOUS;
            }
        }
    }
}

enum ko_code ko_tree_statuses(const struct ko_plan *plan, int32_t model, int32_t fact,
                              uint8_t *status, struct ko_error *err)
{
    struct ko_tree_model tree_model = {0};
    struct ko_tree tree = {0};
    memset(status, KO_NOT_PLANNED, (size_t)ko_plan_n_statuses(plan));
    if (ko_plan_prompt(plan, model, fact)->reason != KO_RUNNABLE) {
        return KO_OK;
    }
    enum ko_code code = ko_tree_model_open(plan, model, &tree_model, err);
    if (code == KO_OK) {
        code = ko_tree_build(&tree_model, fact, NULL, &tree, err);
    }
    if (code == KO_OK) {
        fill_statuses(&tree, status);
    }
    ko_tree_free(&tree);
    ko_tree_model_close(&tree_model);
    return code;
}
