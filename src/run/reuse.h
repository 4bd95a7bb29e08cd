/* SPDX-License-Identifier: Apache-2.0 */
/* --reuse: a run takes the cells that earlier cubes have. */
#ifndef KO_RUN_REUSE_H
#define KO_RUN_REUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/options/options.h"
#include "src/plan/plan.h"
#include "src/run/session.h"
#include "src/tree/taken.h"

/* Before anything is created: every cube named by --reuse is a sweep of this backend, precision and
   cube_format, and is not the output. KO_E_INPUT naming the first that is not, and why. */
KO_MUST_CHECK enum ko_code ko_reuse_check(const struct ko_options *options, const char *backend,
                                          const char *output, struct ko_error *err);

struct ko_reuse_request {
    const struct ko_plan *plan;     /* borrowed, as all */
    const char *path;               /* the new cube, which exists */
    const uint8_t *done;            /* [n_models * n_facts] there already */
    const char (*content_hash)[33]; /* [n_models] "": not known */
};
/* Copies what the cubes of --reuse have, in their order, and logs how many cells each gave, and why
   it did not give the others. *taken: what the new cube has of earlier cubes by then, from this run
   or those before; NULL where it does not say so of each cell; free with ko_taken_free. *changed:
   whether anything was written. */
KO_MUST_CHECK enum ko_code ko_reuse_cells(struct ko_session *session,
                                          const struct ko_reuse_request *request,
                                          struct ko_taken **taken, bool *changed,
                                          struct ko_error *err);

#endif
