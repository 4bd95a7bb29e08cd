/* SPDX-License-Identifier: Apache-2.0 */
/* Reads two small datasets of an open cube: which prompts each sweep block selected, and the text
   of the run log. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/read/view.h"

enum ko_code ko_cube_view_selected(struct ko_cube_view *view, uint8_t *out, struct ko_error *err)
{
    return ko_cube_view_transfer(view, "selected", 0, view->lengths.n[KO_AXIS_SWEEP_BLOCK],
                                 H5T_NATIVE_UINT8, out, err);
}

enum ko_code ko_cube_view_run_log(struct ko_cube_view *view, char **out, struct ko_error *err)
{
    const hsize_t n = view->lengths.n[KO_AXIS_RUN_LOG_BYTE];
    char *text = ko_new((size_t)n + 1, 1, err);
    enum ko_code code = text ? KO_OK : KO_E_MEMORY;

    if (code == KO_OK && n > 0) {
        code = ko_cube_view_transfer(view, "run_log", 0, n, H5T_NATIVE_UINT8, text, err);
    }
    if (code == KO_OK) {
        *out = text;
    } else {
        free(text);
    }
    return code;
}
