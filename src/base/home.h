/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that begin with the home folder, as people write them where no shell expands them. */
#ifndef KO_BASE_HOME_H
#define KO_BASE_HOME_H

#include "src/base/error.h"

/* "~" and "~/x" through the variable HOME, any other path as it is. *out: free(). KO_E_INPUT, which
   names the path but not where it stands: "~user", or HOME is not set. */
KO_MUST_CHECK enum ko_code ko_home_expand(const char *path, char **out, struct ko_error *err);

#endif
