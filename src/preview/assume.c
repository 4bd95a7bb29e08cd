/* SPDX-License-Identifier: Apache-2.0 */
/* Narrows each selection that needs ranks to the first N prompts, so that `plan` can estimate a
   sweep before the evaluation exists. */
#include "src/preview/assume.h"

#include <stdlib.h>

#include "src/base/memory.h"

static bool is_selected(const struct ko_plan *plan, const struct ko_plan_block *block, int32_t fact)
{
    for (int32_t m = 0; m < plan->n_models; m++) {
        if (block->selected[(size_t)m * (size_t)plan->n_facts + (size_t)fact]) {
            return true;
        }
    }
    return false;
}

/* Adds the ids of the block's first selected facts. */
static enum ko_code first_ids(const struct ko_plan *plan, const struct ko_plan_block *block,
                              int64_t n_prompts, struct ko_strings *ids, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t f = 0; code == KO_OK && f < plan->n_facts && (int64_t)ids->n < n_prompts; f++) {
        if (is_selected(plan, block, f)) {
            code = ko_strings_add(ids, plan->fact[f].id, err);
        }
    }
    return code;
}

/* Replaces the block's selection by {all-of: [the old selection, {id: ids}]}. Takes ids on success.
   */
static enum ko_code narrow_block(struct ko_spec_block *block, struct ko_strings *ids,
                                 struct ko_error *err)
{
    struct ko_select *both = ko_new(1, sizeof *both, err), *few = ko_new(1, sizeof *few, err);
    struct ko_select **part = ko_new(2, sizeof(struct ko_select *), err);
    char *where[2] = {ko_copy(block->where, err), ko_copy(block->where, err)};
    if (!both || !few || !part || !where[0] || !where[1]) {
        free(both);
        free(few);
        free(part);
        free(where[0]);
        free(where[1]);
        return KO_E_MEMORY;
    }
    *few = (struct ko_select){.kind = KO_SELECT_ID, .names = *ids, .where = where[0]};
    part[0] = block->select;
    part[1] = few;
    *both =
        (struct ko_select){.kind = KO_SELECT_ALL_OF, .part = part, .n_parts = 2, .where = where[1]};
    block->select = both;
    block->sample_n = -1;
    *ids = (struct ko_strings){0};
    return KO_OK;
}

enum ko_code ko_assume_prompts(struct ko_spec *spec, const struct ko_plan *plan, int64_t n_prompts,
                               struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t b = 0; code == KO_OK && b < spec->n_blocks; b++) {
        struct ko_strings ids = {0};
        if (!ko_select_needs_ranks(spec->block[b].select)) {
            continue;
        }
        code = first_ids(plan, &plan->block[b], n_prompts, &ids, err);
        if (code == KO_OK) {
            code = narrow_block(&spec->block[b], &ids, err);
        }
        ko_strings_free(&ids);
    }
    return code;
}
