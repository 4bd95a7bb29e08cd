/* SPDX-License-Identifier: Apache-2.0 */
/* The selection of prompts that a cube stores. A resumed run uses it and needs no evaluation. */
#ifndef KO_RUN_FROZEN_H
#define KO_RUN_FROZEN_H

#include "src/base/error.h"
#include "src/run/inputs.h"

/* Reads the selection of the existing sweep's cube at `path` into inputs->selected, which stays
   NULL for an older cube without one. KO_E_INPUT if the cube is not a sweep, or if its models,
   prompts or selections differ from the inputs'; the error names both. */
KO_MUST_CHECK enum ko_code ko_frozen_read(const char *path, struct ko_inputs *inputs,
                                          struct ko_error *err);

#endif
