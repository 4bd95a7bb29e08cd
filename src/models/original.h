/* SPDX-License-Identifier: Apache-2.0 */
/* The original layout of config.json: mamba_ssm's MambaConfig, of the state-spaces release. It has
   d_model and ssm_cfg, and no model_type. */
#ifndef KO_MODELS_ORIGINAL_H
#define KO_MODELS_ORIGINAL_H

#include <json-c/json.h>
#include <stdbool.h>

#include "src/base/error.h"

bool ko_config_is_original(json_object *config);

/* The same configuration in the layout of Hugging Face, missing keys with mamba_ssm's defaults, the
   vocabulary padded as its embedding is; *out: json_object_put() it. KO_E_INPUT "NAME: KEY: ..." or
   "NAME: ssm_cfg: KEY: ..." for wrong values, and for values and keys of ssm_cfg that change the
   result and are not supported. */
KO_MUST_CHECK enum ko_code ko_config_from_original(const char *name, json_object *config,
                                                   json_object **out, struct ko_error *err);

#endif
