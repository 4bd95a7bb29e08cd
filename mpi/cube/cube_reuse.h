/* Cells of an earlier cube in place of computing them again. */
#ifndef KO_MPI_CUBE_CUBE_REUSE_H
#define KO_MPI_CUBE_CUBE_REUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/cube/cube_read.h"
#include "src/base/consent.h"
#include "src/base/error.h"
#include "src/plan/plan.h"

/* Whether the cube at path can serve runs of this backend and precision: a sweep of this program's
   cube_format. KO_E_INPUT naming both values of what differs. */
KO_MUST_CHECK enum ko_code ko_cube_reuse_check(const struct ko_cube_view *view, const char *backend,
                                               const char *precision, struct ko_error *err);

struct ko_cube_reuse {
    const struct ko_plan *plan;           /* of the new cube */
    const char *path;                     /* the new cube, which exists */
    const char (*content_hash)[33];       /* [n_models] of the weights as far as known, else "" */
    const uint8_t *done;                  /* [n_models * n_facts] what is there already */
    bool (*stop_wanted)(void);            /* NULL: never */
    void (*remark)(void *, const char *); /* told what a user should know: one line each */
    void *context;                        /* of remark */
    const struct ko_consent *consent;     /* asked before every commit; NULL; borrowed */
    int64_t n_cells;                      /* out: that were taken and are not vacuous */
    int32_t n_records;                    /* out: models x prompts that were taken */
};

/* Copies into the new cube, flagged done, every record (a prompt under a model) whose planned cells
   are all done in the old one under the same model (fingerprints of checkpoint and tokenizer, and
   content hash), prompt (id, text, subject, answer, tokens), route, class, size and start, with its
   clean run; and the content hashes of their models. Routes over named spans are never taken: cubes
   do not keep the spans. For one process: the cubes are opened by it alone. KO_E_STOPPED after a
   polite stop; what was copied stays. */
KO_MUST_CHECK enum ko_code ko_cube_reuse(struct ko_cube_view *old, struct ko_cube_reuse *reuse,
                                         struct ko_error *err);

#endif
