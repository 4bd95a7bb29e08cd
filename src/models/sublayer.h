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

/* The number of a weight that a model does not have (a bias). */
#define KO_NO_WEIGHT SIZE_MAX

/* A norm over d_model. */
enum ko_norm_kind { KO_RMS_NORM, KO_LAYER_NORM };
struct ko_norm {
    enum ko_norm_kind kind;
    float eps;
    size_t weight, bias; /* [d_model] each; only a LayerNorm has a bias */
};

/* A matrix with its bias. */
struct ko_projection {
    size_t weight, bias; /* bias [n_out] or KO_NO_WEIGHT */
};

/* Buffers of a pass, [n_rows, width]. `mix` leaves its result in buffer 1, which is as wide as the
   result. Buffer 0 is free again when `mix` returns. Each kind uses the others as it likes. */
enum { KO_N_BUFFERS = 8 };

/* The sizes of a sublayer; 0 where its kind has no such size. */
struct ko_sizes {
    int32_t d_inner, d_state, d_conv, dt_rank; /* state-space models */
    int32_t n_ssm_heads, d_ssm_head;           /* Mamba-2 */
    int32_t n_groups;                          /* groups of heads that share B and C (Mamba-2) */
    int32_t conv_channels;
    int32_t
        n_features; /* channels (Mamba-1) or heads (Mamba-2): feature classes select among them */
    int32_t n_heads, n_kv_heads, d_head; /* attention */
    int32_t reach;                       /* attention's sliding window; INT32_MAX: none */
    int32_t d_ff;                        /* MLP */
};

struct ko_sublayer {
    const struct ko_sublayer_kind *kind;
    int32_t layer;
    struct ko_sizes size;
    struct ko_projection out; /* from the result of `mix` to d_model; only if the kind mixes */
    size_t decay_norms;       /* weight of transform KO_DECAY_NORMS [n_features], or KO_NO_WEIGHT */
    void *self;               /* the kind's weights; owned, freed with free() */
};

struct ko_sublayer_kind {
    const char *name; /* "attention", "mamba1", "mamba2", "mlp" */
    /* Sets the widths (floats a row) of the buffers that the kind uses. */
    void (*widths)(const struct ko_sublayer *sublayer, int32_t d_model,
                   int32_t widths[KO_N_BUFFERS]);
    /* FLOP of one row's matrix products: before the convolution, between it and the mixing, after
       the mixing. */
    void (*row_flop)(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3]);
    /* Norm, projections and mixing for rows [0, n_active): result in buffer 1. Does not change
       pass->x. NULL: the sublayer does not mix. */
    enum ko_code (*mix)(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                        struct ko_error *err);
    /* Adds the sublayer's output to x [n, d_model]. mixed [n, ld_mixed]: the result of `mix` for
       these rows (not read if the kind does not mix). May use buffers 2 and up. Kinds that mix use
       ko_pass_finish. */
    enum ko_code (*finish)(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                           struct ko_error *err);
    /* The channels of the convolution that a mask of features removes: conv [conv_channels] from mask
       [n_features]. NULL: the kind has no convolution. */
    void (*conv_mask)(const struct ko_sublayer *sublayer, const uint8_t *mask, uint8_t *conv);
};

#endif
