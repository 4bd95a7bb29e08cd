/* SPDX-License-Identifier: Apache-2.0 */
/* The cube: one HDF5 file that is also valid netCDF-4. Created serially and whole, then written raw
   and collectively by the workers (mpi/cube/cube.h); no metadata changes after creation, so a kill
   at any moment leaves a file that opens, in which every flagged cell is right. */
#ifndef KO_CUBE_CREATE_CREATE_H
#define KO_CUBE_CREATE_CREATE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/consent.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"
#include "src/tokenizer/tokenizer.h"

struct ko_cube_attribute {
    const char *name, *value; /* UTF-8 */
};

/* The clean runs of an evaluation: [n_models * n_facts] by the axes of the plan that is created;
   NaN / -1 where not run. */
struct ko_cube_evaluation {
    const float *logprob;
    const int32_t *target_rank, *top1_id;
};

/* How a cube that is written whole gets its name. */
struct ko_cube_placing {
    const struct ko_consent *consent; /* asked last before it does; NULL; borrowed */
    bool keeps; /* what has the name then stays, and the new cube is refused */
};

struct ko_cube_content {
    const struct ko_plan *plan; /* sweep or evaluation */
    const struct ko_cube_attribute
        *attribute; /* root attributes besides plan_hash, cube_format, kind, title, Conventions; in
                       order; at most 60,000 bytes each, but `spec` may be of any length */
    size_t n_attributes;
    const struct ko_cube_evaluation *
        evaluation; /* sweep: eval_*; NULL for an evaluation, whose eval_* are written by commits */
    char (*content_hash)[33]; /* [n_models] of the weights that the evaluation ran, "": not known;
                                 NULL: of no model; borrowed */
    bool reused; /* cells may be taken from earlier cubes: the cube says of each whether it was */
    struct ko_tokenizer *const
        *tokenizer; /* [n_models] for token_text, which stays empty where NULL; borrowed */
    const struct ko_cube_content *whole; /* the plan is a shard's: plan, evaluation and tokenizer of
                                            the whole cube, which the file outlines; else NULL */
    const struct ko_cube_placing *placing; /* NULL: replaces what is there; borrowed */
};

/* Writes the whole file under a temporary name that begins with `path` and renames it into place.
   An existing `path` is replaced, or is KO_E_FAILED where content->placing keeps it. KO_E_INPUT
   where the folder cannot be written, KO_E_FAILED where the disk is full; nothing is left behind
   then. */
KO_MUST_CHECK enum ko_code ko_cube_create(const char *path, const struct ko_cube_content *content,
                                          struct ko_error *err);

#endif
