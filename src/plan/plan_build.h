/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of building a plan, for the files of this folder alone. */
#ifndef KO_PLAN_PLAN_BUILD_H
#define KO_PLAN_PLAN_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"

/* Cells that the axes of a plan may span, planned or not: the cube has a place for each. */
#define KO_PLAN_CELLS 1e12

/* What the steps share. */
struct ko_plan_builder {
    const struct ko_plan_input *input; /* NULL: the plan is built without a spec */
    const struct ko_facts *facts;      /* [n_files] */
    size_t n_files;
    struct ko_plan *plan; /* models and prompts borrowed from the caller until the end */
    int32_t *file_begin;  /* [n_files + 1] first fact of each prompt file */
    uint8_t *block_model; /* [n_blocks, n_models] the block asks for the model */
    struct ko_error *err;
};

/* The model of a block's i-th entry, -1 where it is not among the plan's. */
int32_t ko_plan_block_model(const struct ko_plan_input *input, const struct ko_spec_block *block,
                            size_t i);
/* Adds "formatted" to the input's warnings, if there is an input and it takes any. */
KO_MUST_CHECK enum ko_code ko_plan_warn(const struct ko_plan_builder *builder, const char *format,
                                        ...) KO_PRINTF(2, 3);

/* The facts of all files, whose ids must differ; and whether any runnable prompt has a foil. */
KO_MUST_CHECK enum ko_code ko_plan_build_facts(struct ko_plan_builder *builder);
/* Names of the spans of all prompt files. The caller frees them, also after a failure. */
KO_MUST_CHECK enum ko_code ko_plan_gather_spans(const struct ko_plan_builder *builder,
                                                struct ko_strings *names);
/* Appends one label to an axis that has room for it. Errors do not name the place of the label. */
KO_MUST_CHECK enum ko_code ko_plan_add_route(struct ko_plan *plan, const char *label,
                                             const struct ko_strings *spans, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_plan_add_class(struct ko_plan *plan, const char *label,
                                             struct ko_error *err);
/* Routes and feature classes in order of first use, and each block's. */
KO_MUST_CHECK enum ko_code ko_plan_build_routes(struct ko_plan_builder *builder);
KO_MUST_CHECK enum ko_code ko_plan_build_features(struct ko_plan_builder *builder);
/* Checks the names in a selection from a file's prompts: an unknown model is an error, a relation or
   id that no prompt has a warning, and the first such one a sentence in *unmatched. */
KO_MUST_CHECK enum ko_code ko_plan_select_check_names(const struct ko_plan_builder *builder,
                                                      const struct ko_select *select, size_t file,
                                                      struct ko_text *unmatched);
/* Each block's prompts, model by model. */
KO_MUST_CHECK enum ko_code ko_plan_build_selection(struct ko_plan_builder *builder);
/* Sizes and starts that fit a model of the block with a selected prompt and a class. */
KO_MUST_CHECK enum ko_code ko_plan_build_windows(struct ko_plan_builder *builder);
/* The prompt axes: facts with a planned cell. */
KO_MUST_CHECK enum ko_code ko_plan_build_prompts(struct ko_plan_builder *builder);

#endif
