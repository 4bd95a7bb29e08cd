/* SPDX-License-Identifier: Apache-2.0 */
/* --reuse: a run takes finished cells from earlier cubes. */
#ifndef KO_RUN_REUSE_H
#define KO_RUN_REUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/options/options.h"
#include "src/plan/plan.h"
#include "src/run/session.h"
#include "src/tree/taken.h"

/* Checks, before anything is created, that every cube of --reuse is a sweep of this backend,
   precision and cube_format and is not the output. KO_E_INPUT naming the first that is not, and
   why. */
KO_MUST_CHECK enum ko_code ko_reuse_check(const struct ko_options *options, const char *backend,
                                          const char *output, struct ko_error *err);

struct ko_reuse_request {
    const struct ko_plan *plan;     /* borrowed, like every pointer here */
    const char *path;               /* of the new cube, which exists */
    const uint8_t *done;            /* [n_models * n_facts] already in the new cube */
    const char (*content_hash)[33]; /* [n_models] "": not known */
};
/* Copies what the cubes of --reuse have, in their order. Logs how many cells each gave, and why not
   the others. *taken: all cells of the new cube that came from other cubes, in this run or earlier
   ones; NULL if the cube does not record that for each cell; free with ko_taken_free. *changed:
   whether anything was written. */
KO_MUST_CHECK enum ko_code ko_reuse_cells(const struct ko_session *session,
                                          const struct ko_reuse_request *request,
                                          struct ko_taken **taken, bool *changed,
                                          struct ko_error *err);

#endif
