/* SPDX-License-Identifier: Apache-2.0 */
/* Reads from a prompt's tree which cells are planned and which of them are vacuous. */
#include "src/tree/statuses.h"

#include <stdlib.h>
#include <string.h>

#include "src/tree/prompt_tree.h"

/* The status of one size of a member. vacuous [n_starts]: set as ko_tree_statuses says; may be
   NULL. */
static uint8_t status_of_size(const struct ko_tree *tree, const struct ko_tree_member *member,
                              int32_t size, uint8_t *vacuous)
{
    const struct ko_plan *plan = tree->model->plan;
    const uint8_t *asked = ko_tree_asked(tree, member->route, member->class) + size;
    bool planned = false, exists = false;
    for (int32_t s = 0; s < plan->n_starts; s++) {
        if (asked[(size_t)s * (size_t)plan->n_sizes]) {
            planned = true;
            exists = exists || !ko_tree_is_vacuous(tree, member, size, s);
        }
    }
    for (int32_t s = 0; vacuous && exists && s < plan->n_starts; s++) {
        vacuous[s] =
            asked[(size_t)s * (size_t)plan->n_sizes] && ko_tree_is_vacuous(tree, member, size, s);
    }
    return exists ? KO_PENDING : planned ? KO_VACUOUS : KO_NOT_PLANNED;
}

static void fill_statuses(const struct ko_tree *tree, uint8_t *status, uint8_t *vacuous)
{
    const struct ko_plan *plan = tree->model->plan;
    for (size_t i = 0; i < tree->n_members; i++) {
        const struct ko_tree_member *member = &tree->member[i];
        for (int32_t size = 0; size < plan->n_sizes; size++) {
            const int64_t slot = ko_plan_status_slot(plan, member->route, member->class,
                                                     member->source_position, size);
            status[slot] = status_of_size(tree, member, size,
                                          vacuous ? vacuous + slot * plan->n_starts : NULL);
        }
    }
}

enum ko_code ko_tree_statuses(const struct ko_plan *plan, int32_t model, int32_t fact,
                              uint8_t *status, uint8_t *vacuous, struct ko_error *err)
{
    struct ko_tree_model tree_model = {0};
    struct ko_tree tree = {0};
    memset(status, KO_NOT_PLANNED, (size_t)ko_plan_n_statuses(plan));
    if (vacuous) {
        memset(vacuous, 0, (size_t)ko_plan_n_values(plan));
    }
    if (ko_plan_prompt(plan, model, fact)->reason != KO_RUNNABLE) {
        return KO_OK;
    }
    enum ko_code code = ko_tree_model_open(plan, model, &tree_model, err);
    if (code == KO_OK) {
        code = ko_tree_build(&tree_model, fact, NULL, &tree, err);
    }
    if (code == KO_OK) {
        fill_statuses(&tree, status, vacuous);
    }
    ko_tree_free(&tree);
    ko_tree_model_close(&tree_model);
    return code;
}
