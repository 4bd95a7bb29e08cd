/* SPDX-License-Identifier: Apache-2.0 */
/* A sublayer: one residual write of a layer, with its norms and its weights. A layer, as the
   checkpoint counts them, is a list of sublayers; a family lists them, the engine runs them:

     for each sublayer: mix (norm, projections, mixing between positions), finish (add to x)

   Sublayers that mix move information between positions, so they have edges. An MLP does not.

   Sublayers that are `parallel` read the same x as the ones before them (GPT-NeoX, GPT-J, Phi-2,
   Falcon-H1). Such a group begins with a mixer. The engine runs the `mix` of all its mixers, then
   the `finish` of all. At most KO_GROUP_MIXERS of them mix.

   A mixer and the mixers parallel to it are a stage, see kernels/rows.h. */
#ifndef KO_MODELS_SUBLAYER_H
#define KO_MODELS_SUBLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/mixer.h"

struct ko_details;
struct ko_model;
struct ko_pass;

/* The number of a weight that a model does not have (a bias). */
#define KO_NO_WEIGHT SIZE_MAX

/* A norm of whole rows. KO_NO_NORM: the rows stay as they are. */
enum ko_norm_kind { KO_NO_NORM, KO_RMS_NORM, KO_LAYER_NORM };
struct ko_norm {
    enum ko_norm_kind kind;
    float eps;
    bool one_plus;       /* the file holds weight - 1 (Gemma); memory holds the weight */
    size_t weight, bias; /* [width] each; only a LayerNorm has a bias */
};

/* A matrix with its bias. */
struct ko_projection {
    size_t weight, bias; /* bias [n_out] or KO_NO_WEIGHT */
};

/* Buffers of a pass, [n_rows, width]. `mix` leaves its result in buffer 1, which is as wide as the
   result. Buffer 0 is free again when `mix` returns. Each kind uses the others as it likes. Buffer 2
   also takes a sublayer's output where it is not added to x directly. */
enum { KO_N_BUFFERS = 11, KO_OUTPUT_BUFFER = 2 };
/* In a group of two mixers, the result of the first is kept here. */
enum { KO_GROUP_MIXERS = 2, KO_KEPT_BUFFER = 8 };
/* Two that only Zamba2 has. What a sublayer hands to the next one beside x, for the rows that it
   finishes; and x as the embedding left it, for all rows (see struct ko_ends). */
enum { KO_SIDE_BUFFER = 9, KO_EMBEDDED_BUFFER = 10 };

/* The sizes of a sublayer; 0 where its kind has no such size. */
struct ko_sizes {
    int32_t d_inner, d_state, d_conv, dt_rank; /* state-space models */
    int32_t n_ssm_heads, d_ssm_head;           /* Mamba-2 */
    int32_t n_groups;                          /* groups of heads that share B and C (Mamba-2) */
    int32_t conv_channels;
    int32_t
        n_features; /* channels (Mamba-1) or heads (Mamba-2): feature classes select among them */
    int32_t n_heads, n_kv_heads, d_head; /* attention */
    int32_t reach; /* attention's sliding window, or INT32_MAX; taps of a convolution that mixes */
    int32_t d_ff;  /* MLP */
};

struct ko_sublayer {
    const struct ko_sublayer_kind *kind;
    int32_t layer;
    int32_t stage; /* the mixer's; of a kind that does not mix, the last mixer's before it, or -1 */
    struct ko_sizes size;
    bool parallel;            /* see above; never a model's first sublayer */
    struct ko_projection out; /* from the kind's last activations to d_model */
    struct ko_norm post_norm; /* of the output, before it is added (Gemma 2, OLMo 2) */
    float out_scale;          /* of the output: 1, or Granite's residual_multiplier */
    struct ko_norm sum_norm;  /* of x after the addition (OPT-350m) */
    size_t decay_norms;       /* weight of transform KO_DECAY_NORMS [n_features], or KO_NO_WEIGHT */
    void *self;               /* the kind's weights; owned, freed with free() */
};

/* What a family says about how an output is added to x, see struct ko_sublayer. Each may be left
   out. */
struct ko_output_spec {
    bool parallel;
    float scale;                /* 0: 1 */
    const char *post_norm_name; /* NULL: none */
    struct ko_norm post_norm;   /* kind, eps and one_plus */
    const char *sum_norm_name;
    struct ko_norm sum_norm;
};

/* Whether the output projection accumulates into x, without a buffer between them. */
static inline bool ko_sublayer_adds_directly(const struct ko_sublayer *sublayer)
{
    return sublayer->post_norm.kind == KO_NO_NORM && sublayer->out_scale == 1;
}

struct ko_sublayer_kind {
    const char *name; /* "attention", "mamba1", "rglru", "short_conv", "shared_block", "mlp", .. */
    uint8_t mixer;    /* one of enum ko_mixer; 0: it does not mix */
    /* The kinds of what it adds to x (src/base/mixer.h): the mixer's, or KO_COMPONENT_MLP. */
    uint8_t components;
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
       ko_pass_finish, others end with ko_step_output or ko_step_add_output. */
    enum ko_code (*finish)(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                           struct ko_error *err);
    /* The channels of the convolution that a mask of features removes: conv [conv_channels] from mask
       [n_features]. NULL: the kind has no convolution. */
    void (*conv_mask)(const struct ko_sublayer *sublayer, const uint8_t *mask, uint8_t *conv);
    /* What `inspect` says of it beside its sizes, see src/models/details.h. NULL: nothing. */
    void (*details)(const struct ko_model *model, const struct ko_sublayer *sublayer,
                    struct ko_details *out);
};

/* The heads side by side in the result of `mix`; 0: it has none (Mamba-1, RG-LRU, short convolutions),
   or the sublayer does not mix. */
static inline int32_t ko_sublayer_heads(const struct ko_sublayer *sublayer)
{
    switch (sublayer->kind->mixer) {
    case KO_MIXER_ATTENTION:
        return sublayer->size.n_heads;
    case KO_MIXER_SSM:
        return sublayer->size.n_ssm_heads;
    default:
        return 0;
    }
}

#endif
