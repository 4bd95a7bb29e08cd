/* SPDX-License-Identifier: Apache-2.0 */
/* The cube: one HDF5 file that is also valid netCDF-4. One process creates it whole, then the
   workers write values raw and collectively (mpi/cube/cube.h). Metadata never changes after
   creation, so a kill at any moment leaves a file that opens and whose flagged cells are right. */
#ifndef KO_CUBE_CREATE_CREATE_H
#define KO_CUBE_CREATE_CREATE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/consent.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"
#include "src/plan/stored_metrics.h"
#include "src/tokenizer/tokenizer.h"

struct ko_cube_attribute {
    const char *name, *value; /* UTF-8 */
};

/* The clean runs of an evaluation: [n_models * n_facts] on the axes of the created plan; NaN / -1
   where not run. */
struct ko_cube_evaluation {
    const float *logprob;
    const int32_t *target_rank, *top1_id;
    const struct ko_answer_metrics *answer; /* [.., n_answer_tokens] NULL where that is 0 */
    /* of several right answers or options, NULL where the plan has none; [.., n_options] NULL where
       that is 0 */
    const struct ko_choice_metrics *choice;
    const float *option_logprob;
};

/* How a finished cube gets its final name. */
struct ko_cube_placing {
    /* asked just before the renaming; NULL: not asked; borrowed */
    const struct ko_consent *consent;
    bool keeps; /* an existing file stays and the new cube is refused */
};

struct ko_cube_content {
    const struct ko_plan *plan; /* sweep or evaluation */
    /* root attributes besides plan_hash, cube_format, kind, title and Conventions, in this order;
       `spec` may have any length, the others at most 60,000 bytes */
    const struct ko_cube_attribute *attribute;
    size_t n_attributes;
    /* a sweep's eval_*; NULL for an evaluation: commits write its eval_* */
    const struct ko_cube_evaluation *evaluation;
    /* [n_models] of the weights of the evaluation, "": not known; NULL: no model is known;
       borrowed */
    char (*content_hash)[33];
    bool reused; /* the cube marks each cell that is taken from an earlier cube */
    /* [n_models] for token_text, which stays empty where NULL; borrowed */
    struct ko_tokenizer *const *tokenizer;
    /* for a shard: plan, evaluation and tokenizer of the whole cube, which the file outlines; else
       NULL */
    const struct ko_cube_content *whole;
    const struct ko_cube_placing *placing; /* NULL: replaces an existing file; borrowed */
};

/* Writes the whole file under a temporary name that begins with `path` and renames it. An existing
   `path` is replaced, or is KO_E_FAILED where content->placing keeps it. KO_E_INPUT where the
   folder cannot be written, KO_E_FAILED where the disk is full; then no file is left behind. */
KO_MUST_CHECK enum ko_code ko_cube_create(const char *path, const struct ko_cube_content *content,
                                          struct ko_error *err);

#endif
