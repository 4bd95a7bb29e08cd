/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that begin with ~, where no shell expands them. */
#ifndef KO_BASE_USER_HOME_H
#define KO_BASE_USER_HOME_H

#include "src/base/error.h"

/* Replaces ~ in "~" and "~/x" by the variable HOME and copies any other path. *out: free() it.
   KO_E_INPUT for "~user", or if HOME is not set. The error names the path but not its origin; the
   caller adds that. */
KO_MUST_CHECK enum ko_code ko_home_expand(const char *path, char **out, struct ko_error *err);

#endif
