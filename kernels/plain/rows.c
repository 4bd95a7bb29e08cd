/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and copies rows in plain loops. It also answers what the other plain files ask about a row:
   which rows lie on its path, and which edges into it are removed. */
#include "kernels/plain/plain.h"

#include <string.h>

const struct ko_branch *ko_plain_cut(const struct ko_rows *rows, int32_t row, int32_t stage,
                                     enum ko_mixer mixer)
{
    int32_t b = rows->branch[row];
    return b >= 0 && ko_branch_cuts(&rows->branches[b], stage, mixer) ? &rows->branches[b] : NULL;
}

void ko_plain_walk(const struct ko_rows *rows, int32_t row, int32_t stage, enum ko_mixer mixer,
                   ko_row_source *source, struct ko_plain_path *path)
{
    path->i = rows->position[row];
    path->cut = ko_plain_cut(rows, row, stage, mixer);
    path->removed = path->cut ? &rows->edges[path->cut->edge_set] : NULL;
    for (int32_t at = row, j = path->i; j >= 0; j--, at = rows->previous[at]) {
        path->row[j] = source(rows, at, stage);
    }
}

bool ko_plain_masked(const struct ko_rows *rows, const struct ko_branch *cut, const uint8_t *masks,
                     int32_t stage, int32_t n_features, int32_t feature)
{
    if (!cut) {
        return false;
    }
    return cut->mask < 0 ||
           masks[ko_at3(cut->mask, rows->n_stages, stage, n_features, feature)] != 0;
}

/* x [n_embedded, d] = scale tokens [vocabulary, d] + positions [positions, d] */
enum ko_code ko_plain_embed(struct ko_backend *be, const struct ko_embed *args,
                            struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    const float *token = args->tokens.data, *position = args->positions.data;
    int32_t d = token ? args->tokens.n_in : args->positions.n_in;
    for (int32_t r = 0; r < rows->n_embedded; r++) {
        int32_t place = args->first_position + rows->position[r];
        for (int32_t c = 0; c < d; c++) {
            double x = token ? (double)args->scale * (double)token[ko_at(rows->token[r], d, c)] : 0;
            x += position ? (double)position[ko_at(place, d, c)] : 0.0;
            args->x[ko_at(r, d, c)] = (float)x;
        }
    }
    return KO_OK;
}

/* x [rows, d]: the rows [first, first + n) from their parents' */
enum ko_code ko_plain_branch_rows(struct ko_backend *be, const struct ko_branch_rows *args,
                                  struct ko_error *err)
{
    (void)err;
    int32_t d = args->d;
    for (int32_t r = args->first; r < args->first + args->n; r++) {
        memcpy(args->x + ko_at(r, d, 0), args->x + ko_at(be->rows.parent_row[r], d, 0),
               (size_t)d * sizeof *args->x);
    }
    return KO_OK;
}

/* to [n, d] from the rows index [n] of `from` */
enum ko_code ko_plain_gather(struct ko_backend *be, const struct ko_gather *args,
                             struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t k = 0; k < args->n; k++) {
        memcpy(args->to + ko_at(k, args->ld_to, 0),
               args->from + ko_at(args->index[k], args->ld_from, 0),
               (size_t)args->d * sizeof *args->to);
    }
    return KO_OK;
}

/* to [row[k], column[k] + c] = from [n, d], or 0 */
enum ko_code ko_plain_scatter(struct ko_backend *be, const struct ko_scatter *args,
                              struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t k = 0; k < args->n; k++) {
        for (int32_t c = 0; c < args->d; c++) {
            args->to[ko_at(args->row[k], args->ld_to, args->column[k] + c)] =
                args->from ? args->from[ko_at(k, args->ld_from, c)] : 0.0F;
        }
    }
    return KO_OK;
}

/* to [n, n_heads, d] from parts of rows */
enum ko_code ko_plain_copy_heads(struct ko_backend *be, const struct ko_copy_heads *args,
                                 struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        for (int32_t h = 0; h < args->n_heads; h++) {
            memcpy(args->to + ko_at(r, args->ld_to, h * args->stride_to),
                   args->from + ko_at(r, args->ld_from, h * args->stride_from),
                   (size_t)args->d * sizeof *args->to);
        }
    }
    return KO_OK;
}
