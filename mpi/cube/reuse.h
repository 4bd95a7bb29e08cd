/* SPDX-License-Identifier: Apache-2.0 */
/* Takes cells from an earlier cube, in place of computing them again. */
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

/* Whether runs of this backend and precision can take cells of the cube: it is a sweep with this
   program's cube_format. KO_E_INPUT names both values that differ. */
KO_MUST_CHECK enum ko_code ko_cube_reuse_check(const struct ko_cube_view *view, const char *backend,
                                               const char *precision, struct ko_error *err);

struct ko_cube_reuse {
    const struct ko_plan *plan;           /* of the new cube */
    const char *path;                     /* the new cube, which exists */
    const char (*content_hash)[33];       /* [n_models] of the weights; "" if not known */
    const uint8_t *done;                  /* [n_models * n_facts] 1: complete in the new cube */
    struct ko_taken *taken;               /* cells that the new cube has taken; the call adds to
                                             them. NULL: the new cube does not mark taken cells */
    bool (*stop_wanted)(void);            /* NULL: never */
    void (*remark)(void *, const char *); /* called with lines for the user; may be NULL */
    void *context;                        /* of remark */
    const struct ko_consent *consent;     /* asked before every commit; NULL; borrowed */
    int64_t n_cells;                      /* out: cells that were taken */
    int32_t n_records;                    /* out: models x prompts with such cells */
    int32_t n_whole;                      /* out: models x prompts with nothing left to compute */
    struct ko_reuse_missing missing[KO_N_REUSE_REASONS]; /* out: cells left to compute, by reason */
};

/* Copies every planned cell that is done in the old cube into the new one, with the prompt's clean
   run. The two must have the same model (fingerprints of checkpoint and tokenizer, content hash),
   prompt (id, text, subject, answer, tokens, foil), route, class and layers of the window. Copied
   cells are marked as taken, sizes that are then complete are flagged as done, and the models'
   content hashes are written. If reuse->taken is NULL, only complete prompts are copied. Routes
   over named spans are never copied: cubes do not keep the spans. One process opens both cubes.
   KO_E_STOPPED after a polite stop; copied cells stay. */
KO_MUST_CHECK enum ko_code ko_cube_reuse_take(struct ko_cube_view *old, struct ko_cube_reuse *reuse,
                                              struct ko_error *err);

/* Flags sizes whose cells are all taken as done, for the prompts marked in unsettled [n_models *
   n_facts] (ko_cube_view_taken). One process. */
KO_MUST_CHECK enum ko_code ko_cube_reuse_settle(const struct ko_cube_reuse *reuse,
                                                const uint8_t *unsettled, struct ko_error *err);

#endif
