/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a run, on the root: evaluate, select, sweep. */
#ifndef KO_RUN_STEPS_H
#define KO_RUN_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/run/evaluation.h"
#include "src/run/inputs.h"
#include "src/run/output.h"
#include "src/run/session.h"

struct ko_evaluating {
    const char *path;   /* of the evaluation's cube; borrowed */
    bool resume;        /* an existing one is continued */
    int32_t last_model; /* of the inputs' models this one is evaluated last, so that its weights are
                           there when the sweep begins with it; -1: no sweep follows */
};
/* Completes the evaluation's cube: creates it, or continues it. */
KO_MUST_CHECK enum ko_code ko_step_evaluate(struct ko_session *session,
                                            const struct ko_inputs *inputs,
                                            const struct ko_evaluating *evaluating,
                                            struct ko_error *err);
/* Completes the sweep's cube. The evaluation at evaluation_path selects the prompts, unless the
   cube already stores a selection (inputs->selected): then no evaluation is read. */
KO_MUST_CHECK enum ko_code ko_step_sweep(struct ko_session *session, const struct ko_inputs *inputs,
                                         const char *evaluation_path,
                                         const struct ko_output *output, struct ko_error *err);

#endif
