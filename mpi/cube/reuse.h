/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of an earlier cube in place of computing them again. */
#ifndef KO_MPI_CUBE_REUSE_H
#define KO_MPI_CUBE_REUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/consent.h"
#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/cube/reuse/missing.h"
#include "src/plan/plan.h"
#include "src/tree/taken.h"

/* Whether the cube at path can serve runs of this backend and precision: a sweep of this program's
   cube_format. KO_E_INPUT naming both values of what differs. */
KO_MUST_CHECK enum ko_code ko_cube_reuse_check(const struct ko_cube_view *view, const char *backend,
                                               const char *precision, struct ko_error *err);

struct ko_cube_reuse {
    const struct ko_plan *plan;           /* of the new cube */
    const char *path;                     /* the new cube, which exists */
    const char (*content_hash)[33];       /* [n_models] of the weights as far as known, else "" */
    const uint8_t *done;                  /* [n_models * n_facts] what is there already */
    struct ko_taken *taken;               /* cells that the new cube has taken already, and after
                                             the call those of this old cube too; NULL: the new cube
                                             does not say of each cell whether it was taken */
    bool (*stop_wanted)(void);            /* NULL: never */
    void (*remark)(void *, const char *); /* told what a user should know: one line each */
    void *context;                        /* of remark */
    const struct ko_consent *consent;     /* asked before every commit; NULL; borrowed */
    int64_t n_cells;                      /* out: that were taken */
    int32_t n_records;                    /* out: models x prompts that have some of them */
    int32_t n_whole;                      /* out: models x prompts with nothing left to compute */
    struct ko_reuse_missing missing[KO_N_REUSE_REASONS]; /* out: cells that are left, by reason */
};

/* Copies into the new cube every planned cell that is done in the old one under the same model
   (fingerprints of checkpoint and tokenizer, and content hash), prompt (id, text, subject, answer,
   tokens, foil), route, class and layers of the window, with the prompt's clean run; marks it as
   taken, and flags sizes of which no cell is left as done; and writes the content hashes of the
   models. Where reuse->taken is NULL, only prompts of which no cell is left are taken. Routes over
   named spans are never taken: cubes do not keep the spans. For one process: the cubes are opened
   by it alone. KO_E_STOPPED after a polite stop; what was copied stays. */
KO_MUST_CHECK enum ko_code ko_cube_reuse_take(struct ko_cube_view *old, struct ko_cube_reuse *reuse,
                                              struct ko_error *err);

/* Flags as done the sizes whose cells are all taken, of the prompts that unsettled [n_models *
   n_facts] names (ko_cube_view_taken). For one process. */
KO_MUST_CHECK enum ko_code ko_cube_reuse_settle(const struct ko_cube_reuse *reuse,
                                                const uint8_t *unsettled, struct ko_error *err);

#endif
