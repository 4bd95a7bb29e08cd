/* SPDX-License-Identifier: Apache-2.0 */
/* A sublayer: one residual write of a layer, with its norms and its weights. A layer, as the
   checkpoint counts them, is a list of sublayers; a family lists them, the engine runs them:

     for each sublayer: mix (norm, projections, mixing between positions), finish (add to x)

   Sublayers that mix move information between positions, so they have edges. An MLP does not. */
#ifndef KO_MODELS_SUBLAYER_H
#define KO_MODELS_SUBLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

struct ko_pass;

/* Buffers of a pass, [n_rows, width]. Buffer 0 is free once `mix` has returned; the result of `mix`
   lies in buffer 1 and is as wide as that buffer's width says; the others are a kind's own. */
enum { KO_N_BUFFERS = 8 };

/* The sizes of a sublayer. Those that its kind does not have are 0. */
struct ko_sizes {
    int32_t d_inner, d_state, d_conv, dt_rank; /* state-space models */
    int32_t n_ssm_heads, d_ssm_head;           /* Mamba-2 */
    int32_t n_groups;                          /* of heads that share B and C (Mamba-2) */
    int32_t conv_channels;
    int32_t n_features; /* what a feature class selects from: channels (Mamba-1), heads (Mamba-2) */
    int32_t n_heads, n_kv_heads, d_head; /* attention */
    int32_t reach;                       /* attention's sliding window; INT32_MAX: none */
    int32_t d_ff;                        /* MLP */
};

struct ko_sublayer {
    const struct ko_sublayer_kind *kind;
    int32_t layer;
    struct ko_sizes size;
    size_t decay_norms; /* weight of transform KO_DECAY_NORMS [n_features]; KO_NO_WEIGHT: none */
    void *self;         /* the kind's weights; owned, freed with free() */
};

struct ko_sublayer_kind {
    const char *name; /* "attention", "mamba1", "mamba2", "mlp" */
    /* Widths (floats a row) of the buffers that it uses; the others are left alone. */
    void (*widths)(const struct ko_sublayer *sublayer, int32_t d_model,
                   int32_t widths[KO_N_BUFFERS]);
    /* FLOP of the matrix products of one row: before the convolution, after it up to the mixing,
       after the mixing. */
    void (*row_flop)(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3]);
    /* Norm, projections and mixing for rows [0, n_active): result in buffer 1. pass->x is not
       changed. NULL: the sublayer does not mix. */
    enum ko_code (*mix)(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                        struct ko_error *err);
    /* Adds the sublayer's output to x [n, d_model]. mixed [n, ld_mixed]: the result of `mix` for
       these rows (not read where there is none). Buffers 2 and up may be used. */
    enum ko_code (*finish)(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                           struct ko_error *err);
    /* Channels of the convolution that a mask of features removes: conv [conv_channels] from mask
       [n_features]. NULL: there is no convolution. */
    void (*conv_mask)(const struct ko_sublayer *sublayer, const uint8_t *mask, uint8_t *conv);
};

#endif
