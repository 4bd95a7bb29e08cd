/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces the ~ at the start of a path. Refuses ~USER. */
#include "src/base/user/home.h"

#include <stdlib.h>

#include "src/base/file.h"
#include "src/base/memory.h"

enum ko_code ko_home_expand(const char *path, char **out, struct ko_error *err)
{
    const char *home = getenv("HOME");
    if (path[0] != '~') {
        *out = ko_copy(path, err);
        return *out ? KO_OK : KO_E_MEMORY;
    }
    if (path[1] != '\0' && path[1] != '/') {
        return ko_fail(err, KO_E_INPUT,
                       "'%s': a path with ~ must begin with ~/, write the folder out (or ./~...)",
                       path);
    }
    if (!home || home[0] == '\0') {
        return ko_fail(err, KO_E_INPUT, "'%s': the variable HOME is not set, write the folder out",
                       path);
    }
    const char *rest = path + 1;
    while (*rest == '/') {
        rest++;
    }
    *out = *rest ? ko_path_join(home, rest, err) : ko_copy(home, err);
    return *out ? KO_OK : KO_E_MEMORY;
}
