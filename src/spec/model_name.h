/* SPDX-License-Identifier: Apache-2.0 */
/* The default name of a model. */
#ifndef KO_SPEC_MODEL_NAME_H
#define KO_SPEC_MODEL_NAME_H

#include "src/base/error.h"

/* The name of a checkpoint's folder: the last component, or ORG/NAME for a hub cache's
   models--ORG--NAME/snapshots/HASH. *name: free(). KO_E_INPUT if the path has no name ("."). */
KO_MUST_CHECK enum ko_code ko_model_name_of_folder(const char *path, char **name,
                                                   struct ko_error *err);

#endif
