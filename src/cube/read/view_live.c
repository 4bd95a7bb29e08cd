/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the progress, host and job of the current run from the run table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/view.h"

/* Finds the row of the current run, as mpi/cube/run_table.c chooses it. */
static enum ko_code find_row(const struct ko_cube_view *view, hsize_t *row, struct ko_error *err)
{
    const hsize_t n = view->lengths.n[KO_AXIS_RUN];
    int32_t ranks[KO_CUBE_RUNS];

    if (n == 0 || n > KO_CUBE_RUNS) {
        return ko_fail(err, KO_E_INPUT, "%s: the run table has %llu rows, expected 1 to %d",
                       view->path, (unsigned long long)n, KO_CUBE_RUNS);
    }
    const enum ko_code code =
        ko_cube_view_transfer(view, "run_ranks", 0, n, H5T_NATIVE_INT32, ranks, err);
    if (code != KO_OK) {
        return code;
    }
    for (*row = 0; *row < n && ranks[*row] >= 0;) {
        ++*row;
    }
    return KO_OK;
}

static enum ko_code read_text(const struct ko_cube_view *view, const char *name, hsize_t row,
                              char out[256], struct ko_error *err)
{
    const size_t width = (size_t)view->lengths.n[KO_AXIS_LABEL_LENGTH];
    char *bytes = ko_new(width + 1, 1, err);

    if (!bytes) {
        return KO_E_MEMORY;
    }
    const enum ko_code code = ko_cube_view_read_stored(view, name, row, 1, bytes, err);
    size_t n = strnlen(bytes, width < 255 ? width : 255);
    while (n && !ko_utf8_valid(bytes, n)) {
        n--;
    }
    memcpy(out, bytes, n);
    out[n] = '\0';
    free(bytes);
    return code;
}

enum ko_code ko_cube_view_live(struct ko_cube_view *view, struct ko_cube_live *out,
                               struct ko_error *err)
{
    struct ko_cube_live live = {.begun = true};
    const struct {
        const char *name;
        double *to;
    } number[] = {{"run_start", &live.started},
                  {"run_updated", &live.updated},
                  {"run_cells", &live.cells},
                  {"run_work_share", &live.work_share}};
    hsize_t row = 0;
    enum ko_code code = find_row(view, &row, err);

    if (code == KO_OK && row == view->lengths.n[KO_AXIS_RUN]) {
        *out = (struct ko_cube_live){0};
        return KO_OK;
    }
    for (size_t i = 0; i < sizeof number / sizeof *number && code == KO_OK; i++) {
        code = ko_cube_view_transfer(view, number[i].name, row, 1, H5T_NATIVE_DOUBLE, number[i].to,
                                     err);
        live.begun = live.begun && isfinite(*number[i].to);
    }
    if (code == KO_OK) {
        code = read_text(view, "run_host", row, live.host, err);
    }
    if (code == KO_OK) {
        code = read_text(view, "run_job", row, live.job, err);
    }
    if (code == KO_OK) {
        *out = live.begun ? live : (struct ko_cube_live){0};
    }
    return code;
}
