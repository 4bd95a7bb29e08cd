/* SPDX-License-Identifier: Apache-2.0 */
/* The selection of prompts that a cube was created with: a resume takes it as it is, and needs no
   evaluation. */
#ifndef KO_RUN_FROZEN_H
#define KO_RUN_FROZEN_H

#include "src/base/error.h"
#include "src/run/inputs.h"

/* Reads the selection of the sweep's cube at `path`, which exists, into inputs->selected. It stays
   NULL where the cube has none (an older one). KO_E_INPUT where the cube is no sweep, or of other
   models, prompts or selections than the inputs', naming both. */
KO_MUST_CHECK enum ko_code ko_frozen_read(const char *path, struct ko_inputs *inputs,
                                          struct ko_error *err);

#endif
