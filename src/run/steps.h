/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a run on the root: evaluate, select, sweep. */
#ifndef KO_RUN_STEPS_H
#define KO_RUN_STEPS_H

#include "src/base/error.h"
#include "src/run/evaluation.h"
#include "src/run/inputs.h"
#include "src/run/output.h"
#include "src/run/session.h"

/* Makes the evaluation cube at `path` complete: creates it, continues it (resume) or finds it
   complete. */
KO_MUST_CHECK enum ko_code ko_step_evaluate(struct ko_session *session,
                                            const struct ko_inputs *inputs, const char *path,
                                            bool resume, struct ko_error *err);
/* Makes the sweep's cube complete, selecting prompts by the evaluation at evaluation_path: where it
   exists already (inputs->selected), nothing is selected and no evaluation is read. */
KO_MUST_CHECK enum ko_code ko_step_sweep(struct ko_session *session, const struct ko_inputs *inputs,
                                         const char *evaluation_path,
                                         const struct ko_output *output, struct ko_error *err);

#endif
