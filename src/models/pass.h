/* SPDX-License-Identifier: Apache-2.0 */
/* One forward pass over the rows of a wave: what a sublayer's computation needs, and the steps that
   all kinds share. */
#ifndef KO_MODELS_PASS_H
#define KO_MODELS_PASS_H

#include "src/models/model.h"

struct ko_pass {
    const struct ko_model *model;
    struct ko_arena arena;
    const struct ko_kernels *kernels;
    struct ko_backend *be;
    const struct ko_rows *rows;
    const uint8_t *masks;        /* [n_masks, n_layers, n_features] backend memory; may be NULL */
    const uint8_t *conv_masks;   /* [n_masks, n_layers, conv_channels] */
    float *x;                    /* [n_rows, d_model] the residual stream */
    float *buffer[KO_N_BUFFERS]; /* [n_rows, width], see ko_model_widths */
};

/* A weight among the values; NULL for KO_NO_WEIGHT. */
const float *ko_pass_weight(const struct ko_pass *pass, size_t weight);
/* A weight among the matrices; data NULL for KO_NO_WEIGHT. */
struct ko_matrix ko_model_matrix(const struct ko_model *model, const struct ko_arena *arena,
                                 size_t weight);
/* y [n, n_out] (ldy) = x [n, n_in] (ldx) W + bias for rows [0, n); y += with accumulate. */
KO_MUST_CHECK enum ko_code ko_pass_linear(const struct ko_pass *pass, int32_t n, const float *x,
                                          int32_t ldx, struct ko_projection w, bool accumulate,
                                          float *y, int32_t ldy, struct ko_error *err);
/* y [n, d_model] = norm(x [n, d_model]); y may be x. */
KO_MUST_CHECK enum ko_code ko_pass_norm(const struct ko_pass *pass, const struct ko_norm *norm,
                                        int32_t n, const float *x, float *y, struct ko_error *err);

/* The ends of a pass: the embedding of the trunk rows into x, the final norm of n rows in place,
   and the unembedding matrix. */
KO_MUST_CHECK enum ko_code ko_pass_embed(const struct ko_pass *pass, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_pass_final_norm(const struct ko_pass *pass, int32_t n, float *x,
                                              struct ko_error *err);
struct ko_matrix ko_model_unembedding(const struct ko_model *model, const struct ko_arena *arena);

#endif
