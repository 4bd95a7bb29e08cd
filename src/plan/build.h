/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of building a plan, for the files of this folder alone. */
#ifndef KO_PLAN_BUILD_H
#define KO_PLAN_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"

/* The most cells that the axes of a plan may span. The cube has a place for each, planned or not. */
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

/* The plan's model of a block's i-th entry, -1 where the plan does not have it. */
int32_t ko_plan_block_model(const struct ko_plan_input *input, const struct ko_spec_block *block,
                            size_t i);
/* Adds a line to the input's warnings, if there is an input and it wants warnings. */
KO_MUST_CHECK enum ko_code ko_plan_warn(const struct ko_plan_builder *builder, const char *format,
                                        ...) KO_PRINTF(2, 3);

/* Copies the facts of all files, checks that their ids differ, and looks for foils. */
KO_MUST_CHECK enum ko_code ko_plan_build_facts(struct ko_plan_builder *builder);
/* Adds the names of all prompt files' spans. Caller frees them, also after a failure. */
KO_MUST_CHECK enum ko_code ko_plan_gather_spans(const struct ko_plan_builder *builder,
                                                struct ko_strings *names);
/* Appends one label to an axis that has room for it. Errors do not name the place of the label. */
KO_MUST_CHECK enum ko_code ko_plan_add_route(struct ko_plan *plan, const char *label,
                                             const struct ko_strings *spans, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_plan_add_class(struct ko_plan *plan, const char *label,
                                             struct ko_error *err);
/* Collects routes and feature classes in order of first use, and marks each block's. */
KO_MUST_CHECK enum ko_code ko_plan_build_routes(struct ko_plan_builder *builder);
KO_MUST_CHECK enum ko_code ko_plan_build_classes(struct ko_plan_builder *builder);
/* Checks the names in a selection from a file's prompts. An unknown model is an error. A relation or
   id that no prompt has is a warning; the first one also puts a sentence into *unmatched. */
KO_MUST_CHECK enum ko_code ko_plan_select_check_names(const struct ko_plan_builder *builder,
                                                      const struct ko_select *select, size_t file,
                                                      struct ko_text *unmatched);
/* Selects each block's prompts, model by model. */
KO_MUST_CHECK enum ko_code ko_plan_build_selection(struct ko_plan_builder *builder);
/* Collects the sizes and starts that fit a model with a selected prompt and a class. */
KO_MUST_CHECK enum ko_code ko_plan_build_windows(struct ko_plan_builder *builder);
/* Lists the facts with a planned cell: the prompt axes. */
KO_MUST_CHECK enum ko_code ko_plan_build_prompts(struct ko_plan_builder *builder);

#endif
