/* SPDX-License-Identifier: Apache-2.0 */
/* A model: what its configuration says, its sublayers, and where its weights lie. */
#ifndef KO_MODELS_MODEL_H
#define KO_MODELS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/base/stop.h"
#include "src/base/text.h"
#include "src/checkpoint/checkpoint.h"
#include "src/models/sublayer.h"

/* The sizes of a model that its layers share. */
struct ko_shape {
    int32_t n_layers, d_model, vocabulary;
    int32_t max_tokens; /* 0: unlimited */
    int32_t bos_id;     /* -1: the configuration names none */
};

/* How a weight in memory comes from a tensor in the file. */
enum ko_transform {
    KO_AS_STORED,
    KO_TRANSPOSED,         /* [a, b] (or [a, 1, b]) -> [b, a] */
    KO_NEG_EXP_TRANSPOSED, /* -exp(x), transposed; exp in double precision */
    KO_DECAY_NORMS, /* [a, b] -> [a] doubles, sum over b of exp(-exp(x)): exact thirds need more
                       than float32 */
};

/* One weight of the model: a tensor, its expected shape, and its place. */
struct ko_weight {
    char *tensor; /* name in the file; owned */
    int32_t n_dims;
    int64_t shape[4]; /* as in the file */
    enum ko_transform transform;
    int32_t layer; /* -1: none */
    bool matrix;   /* lies among the matrices, else among the values, see struct ko_arena */
    bool in_first; /* of a matrix: stored [in, out], else [out, in] */
    size_t offset; /* elements from the start of those; multiples of 16 */
    size_t n;      /* elements there */
};

/* Where a model's weights lie. The matrices are the weights of two dimensions that are taken as
   they are stored, the embedding among them: nearly all of a model, and all that products read. The
   values are the rest and the rotary tables. A backend's memory may hold matrices in another
   type than float32. */
struct ko_arena {
    const float *values;  /* [value_floats] backend memory */
    const void *matrices; /* [matrix_elements] of `type`, backend memory */
    enum ko_element type;
    const float *host_values; /* the values again in host memory */
};

/* The number of a weight that a model does not have (a bias). */
#define KO_NO_WEIGHT SIZE_MAX

/* A norm over d_model. */
enum ko_norm_kind { KO_RMS_NORM, KO_LAYER_NORM };
struct ko_norm {
    enum ko_norm_kind kind;
    float eps;
    size_t weight, bias; /* [d_model] each; bias: of LayerNorm */
};

/* A matrix with its bias. */
struct ko_projection {
    size_t weight, bias; /* bias [n_out] or KO_NO_WEIGHT */
};

/* What comes before the layers and after them. */
struct ko_ends {
    bool tied;        /* the unembedding is the embedding */
    size_t embedding; /* [vocabulary, d_model] */
    size_t positions; /* [max_tokens, d_model] learned positions, or KO_NO_WEIGHT */
    struct ko_norm final_norm;
    size_t head; /* [vocabulary, d_model]; the embedding's number where tied */
};

struct ko_model;

struct ko_family {
    const char *name;           /* "mamba": what the cube calls the architecture */
    const char *title;          /* "Mamba-1", for people */
    const char *model_types[4]; /* config.json's model_type; NULL-terminated */
    bool in_first; /* the layers' matrices are [in, out] in the file (GPT-2's Conv1D) */
    /* Endings of names of tensors that may be left over (stored masks); NULL-terminated. */
    const char *ignored_endings[4];

    /* Reads config.json into the shape, and lists the model's weights and sublayers, layer by
       layer. checkpoint: for prefixes of names; NULL: a plan without weights, under the family's
       own naming. KO_E_INPUT "MODEL: KEY: ...", for missing keys without a default and for keys
       that change the result and are not supported at their value. */
    enum ko_code (*build)(struct ko_model *model, json_object *config,
                          const struct ko_checkpoint *checkpoint, struct ko_error *err);
};

struct ko_model {
    char *name; /* owned */
    const struct ko_family *family;
    struct ko_shape shape;
    struct ko_ends ends;
    struct ko_sublayer *sublayer; /* [n_sublayers], layers ascending, in each in order; owned */
    size_t n_sublayers, sublayers_capacity;
    struct ko_rope_table *rope; /* [n_ropes]; owned */
    size_t n_ropes, ropes_capacity;
    struct ko_weight *weights; /* [n_weights], ordered as declared; owned */
    size_t n_weights, weights_capacity;
    size_t value_floats, matrix_elements; /* multiples of 16 */
    const char *tie_key; /* of config.json, that ties the unembedding to the embedding */
    const struct ko_stop *load_stop; /* looked at while the weights are loaded; NULL: never;
                                        borrowed */
};

void ko_model_free(struct ko_model *model);

/* Weights in host memory are one array of float32: the values, behind them the matrices. */
static inline size_t ko_model_floats(const struct ko_model *model)
{
    return model->value_floats + model->matrix_elements;
}
/* The arena of such an array [ko_model_floats], borrowed. */
struct ko_arena ko_model_host_arena(const struct ko_model *model, const float *floats);

/* The mixer that feature classes select from, in every layer of one size: the first of the model's
   sublayers with features, or NULL. */
const struct ko_sublayer *ko_model_featured(const struct ko_model *model);
/* n = || exp(-exp(A_log)) ||_1 over the state axis, in double precision: norm [n_layers,
   n_features] from the values (host memory); nothing where no sublayer has features. */
void ko_model_decay_norms(const struct ko_model *model, const float *values, double *norm);
/* The largest of each size over the sublayers. */
struct ko_sizes ko_model_sizes(const struct ko_model *model);
/* FLOP of the matrix products of one row in one layer, the mean over the layers: before the
   convolution, after it up to the mixing, after the mixing. */
void ko_model_row_flop(const struct ko_model *model, double flop[3]);

/* Floats a row of the workspace (x and all buffers). */
size_t ko_model_row_floats(const struct ko_model *model);
/* Widths of the buffers: the widest of the sublayers; buffer 0 holds the last rows of x and of a
   mixer's result too, d_model + widths[1]. */
void ko_model_widths(const struct ko_model *model, int32_t widths[KO_N_BUFFERS]);

#endif
