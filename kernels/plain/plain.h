/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the plain backend share. It computes in plain loops on libm and one thread, and
   sums in double precision. A row's result depends on the values of its own path alone, never on
   its place among the rows. */
#ifndef KO_KERNELS_PLAIN_PLAIN_H
#define KO_KERNELS_PLAIN_PLAIN_H

#include "kernels/at.h"
#include "kernels/kernels.h"

struct ko_backend {
    struct ko_rows rows; /* of the latest set_rows; its arrays are borrowed */
};

/* The path of one row in one stage: the rows of the positions 0 .. i, where i is the row's own
   position, and the edges into that row that are removed. */
struct ko_plain_path {
    int32_t *row; /* [max_tokens]; row[j] holds the values of position j in this stage */
    int32_t i;
    const struct ko_branch *cut;       /* the branch whose edges are removed here, or NULL */
    const struct ko_edge_set *removed; /* its edges, or NULL */
};

/* Fills *path, whose row array is the caller's, with the rows that hold the values of the path. */
void ko_plain_walk(const struct ko_rows *rows, int32_t row, int32_t stage, enum ko_mixer mixer,
                   ko_row_source *source, struct ko_plain_path *path);

/* Whether the edge from position j to the path's row is removed, at least in masked features. */
static inline bool ko_plain_removes(const struct ko_plain_path *path, int32_t j)
{
    return path->removed && ko_edge_set_has(path->removed, path->i, j);
}

/* The branch of row r whose edges are removed in this stage, in a mixer of this kind, or
   NULL. */
const struct ko_branch *ko_plain_cut(const struct ko_rows *rows, int32_t row, int32_t stage,
                                     enum ko_mixer mixer);

/* Whether the branch `cut` loses its edges in this feature; false where cut is NULL. masks
   [n_masks, n_stages, n_features]. */
bool ko_plain_masked(const struct ko_rows *rows, const struct ko_branch *cut, const uint8_t *masks,
                     int32_t stage, int32_t n_features, int32_t feature);

double ko_plain_silu(double x);

/* The operations: ko_plain_embed and the others, as in operations.h. */
#define KO_DECLARE(name, args)                                                                     \
    enum ko_code ko_plain_##name(struct ko_backend *be, const struct args *args,                   \
                                 struct ko_error *err);
KO_OPERATIONS(KO_DECLARE)
#undef KO_DECLARE

#endif
