/* SPDX-License-Identifier: Apache-2.0 */
/* Appends the run table and the run log of each shard to those of the merged cube. */
#include "src/cube/merge/merge_runs.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/merge/merge_copy.h"

/* All rows of a dataset of the run table: [rows, width] elements. free(). */
static enum ko_code read_rows(const struct ko_cube_view *from,
                              const struct ko_cube_dataset *dataset, size_t *width, char **values,
                              struct ko_error *err)
{
    const hsize_t n = from->lengths.n[KO_AXIS_RUN];
    enum ko_code code = ko_cube_n_elements(dataset, &from->lengths, 1, width, err);

    if (code != KO_OK) {
        return code;
    }
    char *read = ko_new((size_t)n * *width, ko_cube_type_bytes(dataset->type), err);
    code = read ? ko_cube_view_read_stored(from, dataset->name, 0, n, read, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        *values = read;
    } else {
        free(read);
    }
    return code;
}

/* The label width may differ in the new cube; longer labels are truncated. */
static enum ko_code add_rows(const struct ko_merge_runs *runs, const struct ko_cube_view *from,
                             struct ko_cube_new *to, size_t index, size_t n, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    const size_t bytes = ko_cube_type_bytes(dataset->type);
    const hsize_t first[KO_CUBE_MAX_AXES] = {runs->row, 0};
    size_t width = 0, to_width = 0;
    char *values = NULL, *rows = NULL;
    enum ko_code code = ko_cube_n_elements(dataset, &to->lengths, 1, &to_width, err);

    if (code == KO_OK) {
        code = read_rows(from, dataset, &width, &values, err);
    }
    if (code != KO_OK) {
        return code;
    }
    const hsize_t count[KO_CUBE_MAX_AXES] = {n, to_width};
    rows = ko_new(n * to_width, bytes, err);
    if (!rows) {
        code = KO_E_MEMORY;
    }
    for (size_t i = 0; i < n && code == KO_OK; i++) {
        memcpy(rows + i * to_width * bytes, values + i * width * bytes,
               (width < to_width ? width : to_width) * bytes);
    }
    if (code == KO_OK) {
        code = ko_merge_write(to, index, first, count, rows, err);
    }
    free(rows);
    free(values);
    return code;
}

static enum ko_code add_log(struct ko_merge_runs *runs, const struct ko_cube_view *from,
                            struct ko_cube_new *to, struct ko_error *err)
{
    const size_t index = (size_t)(ko_cube_find("run_log") - ko_cube_table);
    const hsize_t n = from->lengths.n[KO_AXIS_RUN_LOG_BYTE];
    const hsize_t room = to->lengths.n[KO_AXIS_RUN_LOG_BYTE] - runs->log_byte;
    char *log = ko_new((size_t)n + 1, 1, err);
    enum ko_code code =
        log ? ko_cube_view_transfer(from, "run_log", 0, n, H5T_NATIVE_UINT8, log, err)
            : KO_E_MEMORY;

    if (code == KO_OK) {
        const hsize_t used = strlen(log), count = used < room ? used : room;
        if (count > 0) {
            code = ko_merge_write(to, index, &runs->log_byte, &count, log, err);
        }
        runs->log_byte += count;
    }
    free(log);
    return code;
}

/* Counts the rows that runs have filled: the first ones of the table. */
static enum ko_code count_rows(const struct ko_cube_view *from, size_t *n, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = ko_cube_find("run_ranks");
    char *values = NULL;
    size_t width = 0;
    enum ko_code code = read_rows(from, dataset, &width, &values, err);

    *n = 0;
    while (code == KO_OK && *n < from->lengths.n[KO_AXIS_RUN] && ((int32_t *)values)[*n] >= 0) {
        ++*n;
    }
    free(values);
    return code;
}

enum ko_code ko_merge_runs_add(struct ko_merge_runs *runs, const struct ko_cube_view *from,
                               struct ko_cube_new *to, struct ko_error *err)
{
    const hsize_t room = to->lengths.n[KO_AXIS_RUN] - 1 - runs->row;
    size_t n = 0;
    enum ko_code code = count_rows(from, &n, err);

    n = n < room ? n : (size_t)room;
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK && n > 0; i++) {
        if (ko_cube_table[i].axis[0] == KO_AXIS_RUN && ko_cube_table[i].field != KO_FIELD_LENGTH) {
            code = add_rows(runs, from, to, i, n, err);
        }
    }
    runs->row += n;
    return code == KO_OK ? add_log(runs, from, to, err) : code;
}
