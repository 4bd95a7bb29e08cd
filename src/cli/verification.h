/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of a cube beside what was computed again of them, and whether they agree. */
#ifndef KO_CLI_VERIFICATION_H
#define KO_CLI_VERIFICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cli/cli.h"
#include "src/cli/sample.h"
#include "src/cube/read/read.h"
#include "src/forward/forward.h"
#include "src/run/inputs.h"

struct ko_verification {
    struct ko_cube_view *view;
    const struct ko_cube_axes *axes;
    struct ko_inputs inputs;
    struct ko_plan *plan; /* an evaluation's, with the cube's routes, classes and windows */
    struct ko_sampled *cell;
    struct ko_metrics *again; /* [n_cells] what the full forward passes say */
    int64_t n_cells;
    double atol;
};

/* Prints the verdict and, where there are any, the worst cells by name. *passed: no cell beyond the
   bound, and near-ties, which may turn a rank or the first token, are rare. Comparisons fail on
   NaN, but for the log-probability of a foil that neither has. */
KO_MUST_CHECK enum ko_code ko_verification_report(struct ko_cli *cli,
                                                  const struct ko_verification *v, bool *passed,
                                                  struct ko_error *err);

#endif
