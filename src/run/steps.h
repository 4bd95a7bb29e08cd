/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a run, on the root: evaluate, select, sweep. */
#ifndef KO_RUN_STEPS_H
#define KO_RUN_STEPS_H

#include "src/base/error.h"
#include "src/run/evaluation.h"
#include "src/run/inputs.h"
#include "src/run/output.h"
#include "src/run/session.h"

/* Completes the evaluation cube at `path`: creates it, or continues it (resume). */
KO_MUST_CHECK enum ko_code ko_step_evaluate(struct ko_session *session,
                                            const struct ko_inputs *inputs, const char *path,
                                            bool resume, struct ko_error *err);
/* Completes the sweep's cube. The evaluation at evaluation_path selects the prompts, unless the
   cube already stores a selection (inputs->selected): then no evaluation is read. */
KO_MUST_CHECK enum ko_code ko_step_sweep(struct ko_session *session, const struct ko_inputs *inputs,
                                         const char *evaluation_path,
                                         const struct ko_output *output, struct ko_error *err);

#endif
