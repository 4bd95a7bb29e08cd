/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the plain backend share: loops on libm, sums in double precision, one thread. A
   row's result depends on the values of its own path alone, never on its place among the rows. */
#ifndef KO_KERNELS_PLAIN_PLAIN_H
#define KO_KERNELS_PLAIN_PLAIN_H

#include "kernels/kernels.h"

struct ko_backend {
    struct ko_rows rows; /* of the latest set_rows; its arrays are borrowed */
};

/* The rows of the positions 0 .. i of row r's path, i its position, into chain [i + 1]: walks
   `previous`. Returns i. */
int32_t ko_plain_chain(const struct ko_rows *rows, int32_t row, int32_t *chain);

/* The branch of row r whose edges are removed in this layer, or NULL. */
const struct ko_branch *ko_plain_cut(const struct ko_rows *rows, int32_t row, int32_t layer);

/* Whether the feature is one that the branch loses. masks [n_masks, n_layers, n_features]. */
bool ko_plain_masked(const struct ko_rows *rows, const struct ko_branch *branch,
                     const uint8_t *masks, int32_t layer, int32_t n_features, int32_t feature);

double ko_plain_silu(double x);

/* The operations: ko_plain_embed and the others, as operations.h says. */
#define KO_DECLARE(name, args)                                                                     \
    enum ko_code ko_plain_##name(struct ko_backend *be, const struct args *args,                   \
                                 struct ko_error *err);
KO_OPERATIONS(KO_DECLARE)
#undef KO_DECLARE

#endif
