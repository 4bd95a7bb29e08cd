/* SPDX-License-Identifier: Apache-2.0 */
/* A short convolution that is itself the mixer (LFM2: Liquid AI 2025; transformers' Lfm2ShortConv):
   a norm, the input projection to B, C and X, y = C conv(B X) without an activation, the output
   projection. An edge of it is a tap. */
#ifndef KO_MODELS_SUBLAYERS_SHORT_CONV_H
#define KO_MODELS_SUBLAYERS_SHORT_CONV_H

#include "src/models/model.h"

/* What a family sets. It has d_model channels. */
struct ko_short_conv_spec {
    int32_t n_taps;
    const char *norm_name;
    struct ko_norm norm; /* kind and eps */
    const char *stem;    /* in front of in_proj, conv, out_proj */
    bool bias;           /* of all three */
};

/* Declares the weights and appends the sublayer to the model. */
void ko_short_conv_add(struct ko_builder *b, const struct ko_short_conv_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_short_conv;

#endif
