/* What Mamba-1 and the families that refine it share: Gu & Dao 2023; transformers' MambaMixer. */
#ifndef KO_MODELS_SELECTIVE_H
#define KO_MODELS_SELECTIVE_H

#include <json-c/json.h>

#include "src/models/ends.h"
#include "src/models/model.h"

/* Weight numbers. */
struct ko_selective_layer {
    size_t norm;               /* [d_model] */
    size_t in_proj, in_bias;   /* [2 d_inner, d_model]: x, then z; [2 d_inner] or none */
    size_t conv, conv_bias;    /* [d_conv, d_inner]; [d_inner] or none */
    size_t x_proj;             /* [dt_rank + 2 d_state, d_inner]: delta's input, B, C */
    size_t dt_proj, dt_bias;   /* [d_inner, dt_rank]; [d_inner] */
    size_t a, decay_norms;     /* [d_state, d_inner]; [d_inner] */
    size_t d;                  /* [d_inner] */
    size_t out_proj, out_bias; /* [d_model, d_inner]; [d_model] or none */
};

/* model->bound. */
struct ko_selective {
    struct ko_ends ends; /* first: src/models/ends.h */
    bool bias, conv_bias;
    float mixer_eps;                   /* of the norms that a refining family adds; 0: none */
    struct ko_selective_layer layer[]; /* [n_layers] */
};

/* What a family does to delta's input, B and C of rows [0, n) before they are used: projected
   [n, dt_rank + 2 d_state]. */
typedef enum ko_code ko_selective_refine(const struct ko_pass *pass, int32_t n, float *projected,
                                         struct ko_error *err);

/* The functions of a struct ko_family. refine: NULL for none. */
KO_MUST_CHECK enum ko_code ko_selective_configure(struct ko_model *model, json_object *config,
                                                  struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_selective_declare(struct ko_model *model,
                                                const struct ko_checkpoint *checkpoint,
                                                struct ko_error *err);
void ko_selective_widths(const struct ko_model *model, int32_t widths[KO_N_BUFFERS]);
KO_MUST_CHECK enum ko_code ko_selective_mix(const struct ko_pass *pass, int32_t layer,
                                            ko_selective_refine *refine, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_selective_finish(const struct ko_pass *pass, int32_t layer, int32_t n,
                                               float *x, const float *mixed, int32_t ld_mixed,
                                               struct ko_error *err);
void ko_selective_row_flop(const struct ko_model *model, double flop[3]);
int32_t ko_selective_decay_weight(const struct ko_model *model, int32_t layer);

#endif
