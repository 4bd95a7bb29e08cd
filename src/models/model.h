/* SPDX-License-Identifier: Apache-2.0 */
/* A model: its shape, its sublayers, and where its weights lie. */
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
#include "src/models/rope.h"
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
    KO_ONE_PLUS,           /* 1 + x */
    KO_AS_VALUES,          /* as stored, and never a matrix (biases of all experts) */
    /* [.., k, 16] bytes and their scales -> [.., 32 k] numbers, see mxfp4.h. A matrix. */
    KO_FROM_MXFP4,
    /* [a, b] -> [a] doubles, sum over b of exp(-exp(x)). Exact thirds need more than float32. */
    KO_DECAY_NORMS,
};

/* One weight of the model: a tensor, its expected shape, and its place. */
struct ko_weight {
    char *tensor; /* name in the file; owned */
    char *scales; /* KO_FROM_MXFP4: name of the tensor of scales, shaped as all but the last
                     dimension; else NULL; owned */
    int32_t n_dims;
    int64_t shape[4]; /* as in the file */
    enum ko_transform transform;
    int32_t layer;  /* -1: none */
    bool shared;    /* sublayers of several layers read it (Zamba2) */
    int32_t expert; /* whose matrix it is, where each expert has its own; 0 for other weights too */
    bool matrix;    /* one of the matrices, else one of the values, see struct ko_arena */
    bool in_first;  /* a matrix stored [in, out], else [out, in] */
    size_t offset;  /* elements from the start of the matrices or values; a multiple of 16 */
    size_t n;       /* elements in memory */
    bool exact;     /* a matrix whose numbers are bfloat16 exactly, see ko_model_find_exact */
    /* of a matrix: how the file has its numbers (of MXFP4: BF16, which they become exactly); BF16
       until a checkpoint is looked at */
    enum ko_element stored;
    /* elements between the start of the matrices and this one that belong to exact matrices */
    size_t exact_before;
};

/* A weight takes a multiple of so many elements in memory. */
enum { KO_WEIGHT_ELEMENTS = 16 };

/* What n elements take. */
static inline size_t ko_weight_room(size_t n)
{
    return (n + KO_WEIGHT_ELEMENTS - 1) / KO_WEIGHT_ELEMENTS * KO_WEIGHT_ELEMENTS;
}

/* Where a model's weights lie. The matrices are the weights of two or three dimensions that keep
   their stored layout (with three, the first counts experts, or blocks of channels), and those from
   MXFP4: nearly all of a model, and the only weights that matrix products read. The values are all
   other weights and the rotary tables. A backend may hold matrices in another type than float32.
   Where weights stream, only a few layers' matrices are in memory at a time. */
struct ko_arena {
    const float *values;  /* [value_floats] backend memory */
    const void *matrices; /* [matrix_elements] of `type`, backend memory. In BF16X2, exact matrices
                             are BF16, and all lie closer together for it (ko_weight_at). */
    enum ko_element type;
    const float *host_values; /* the values again in host memory */
    /* Weights that stream: what brings them (src/forward/layer_stream.h), and [n_weights] the bytes
       before each matrix while its layer is entered. NULL: all weights are resident. */
    struct ko_layer_stream *stream;
    const size_t *at;
};

/* The weights before the first layer and after the last. */
struct ko_ends {
    bool tied;               /* the unembedding is the embedding */
    int32_t embedding_width; /* d_model, or narrower, with the projections below (OPT-350m) */
    size_t embedding;        /* [vocabulary, embedding_width] */
    float embedding_scale;   /* 1; Gemma: sqrt(d_model); Granite: embedding_multiplier */
    size_t positions;        /* learned positions [.., d_model], or KO_NO_WEIGHT */
    int32_t first_position;  /* their row for position 0 */
    bool kept;               /* x after the embedding stays in KO_EMBEDDED_BUFFER (Zamba2) */
    struct ko_projection project_in, project_out; /* to and from d_model, or KO_NO_WEIGHT */
    struct ko_norm final_norm;                    /* KO_NO_NORM: none */
    size_t head;           /* [vocabulary, embedding_width]; the embedding's number where tied */
    const char *head_name; /* of its tensor; static */
    size_t head_bias;      /* [vocabulary] or KO_NO_WEIGHT */
    float logit_scale;     /* 1; Granite: 1 / logits_scaling */
    float logit_cap;       /* 0: none */
};

/* A run of equal values that the configuration gives, in the arena's values. */
struct ko_constant {
    size_t offset, n;
    float value;
};

struct ko_builder;

struct ko_family {
    const char *name;           /* "mamba": the architecture in the cube */
    const char *title;          /* "Mamba-1": the name in messages */
    const char *model_types[8]; /* config.json's model_type; NULL-terminated */
    bool in_first; /* the layers' matrices are [in, out] in the file (GPT-2's Conv1D) */
    bool mxfp4;    /* it can read weights of quantization_config's quant_method mxfp4 */
    /* Endings of names of tensors that may be left over (stored masks); NULL-terminated. */
    const char *ignored_endings[4];
    /* Beginnings of such names (parts that a text does not need); NULL-terminated. */
    const char *ignored_beginnings[10];

    /* Reads config.json into the shape, then lists the model's weights and sublayers, layer by
       layer (src/models/config.h, declare.h). KO_E_INPUT "MODEL: KEY: ..." in b->code for a missing
       key without a default, and for a value that changes the result and is not supported. */
    void (*build)(struct ko_builder *b);
};

struct ko_model {
    char *name; /* owned */
    const struct ko_family *family;
    struct ko_shape shape;
    struct ko_ends ends;
    struct ko_sublayer *sublayer; /* [n_sublayers], layers ascending, in each in order; owned */
    size_t n_sublayers, sublayers_capacity;
    int32_t n_stages;           /* steps that mix positions, see kernels/rows.h */
    struct ko_rope_table *rope; /* [n_ropes]; owned */
    size_t n_ropes, ropes_capacity;
    struct ko_constant *constant; /* [n_constants]; owned */
    size_t n_constants, constants_capacity;
    struct ko_weight *weights; /* [n_weights], ordered as declared; owned */
    size_t n_weights, weights_capacity;
    size_t value_floats, matrix_elements; /* multiples of 16 */
    const char *tie_key; /* key of config.json that ties the unembedding to the embedding */
    const struct ko_stop *load_stop; /* ends loading early; NULL: never; borrowed */
};

/* A model while its family builds it. Errors are sticky: after the first, `code` is set and every
   function that takes a builder returns at once. So a family checks `code` once at the end, and
   before it computes with a value that it has read. */
struct ko_builder {
    struct ko_model *model;
    json_object *config;                    /* an object; borrowed */
    const char *where;                      /* begins the errors: the model's name */
    const struct ko_checkpoint *checkpoint; /* NULL: a plan without weights; borrowed */
    struct ko_error *err;
    enum ko_code code;
    /* Where declared weights belong, see ko_declare_layer. */
    int32_t layer; /* -1: no layer */
    bool shared;   /* sublayers of several layers read them */
    /* Of the language part of a larger model: the prefix of its names, and the name of its head, in
       place of those that its family gives; static. NULL: those. */
    const char *language, *head;
    const char *root; /* prefix of all names but the head's: "model."; static */
    char prefix[64];  /* prefix of the names in this layer: "model.layers.7." */
};

void ko_model_free(struct ko_model *model);

/* The outputs and inputs of a matrix; of one for all experts, those of one expert. */
void ko_weight_sides(const struct ko_weight *weight, int32_t *n_out, int32_t *n_in);
/* A matrix where the arena has this type: its own type, and the bytes before it. */
enum ko_element ko_weight_type(const struct ko_weight *weight, enum ko_element arena);
size_t ko_weight_at(const struct ko_weight *weight, enum ko_element arena);
/* The bytes of the matrices' elements [0, offset) where the arena has this type. No matrix lies on
   both sides of `offset`. */
size_t ko_model_matrix_bytes(const struct ko_model *model, enum ko_element arena, size_t offset);
/* The share of the matrices' elements that lies in exact matrices, 0 to 1. */
double ko_model_exact_share(const struct ko_model *model);

/* Weights in host memory are one array of float32: the values, then the matrices. */
static inline size_t ko_model_floats(const struct ko_model *model)
{
    return model->value_floats + model->matrix_elements;
}
/* The arena of such an array [ko_model_floats], borrowed. */
struct ko_arena ko_model_host_arena(const struct ko_model *model, const float *floats);

/* The sublayer that feature classes select from: the first of the model's that has features (all
   such sublayers have the same sizes), or NULL. */
const struct ko_sublayer *ko_model_featured(const struct ko_model *model);
/* || exp(-exp(A_log)) ||_1 over the state axis, in double precision: norm [n_stages, n_features]
   from the values (host memory). Writes nothing if no sublayer has features. */
void ko_model_decay_norms(const struct ko_model *model, const float *values, double *norm);
/* The largest of each size over the sublayers. */
struct ko_sizes ko_model_sizes(const struct ko_model *model);
/* FLOP of one row's matrix products in a stage and the sublayers up to the next: before the
   convolution, between it and the mixing, after the mixing. Sublayers before the first stage count
   as its first part. */
void ko_model_stage_flop(const struct ko_model *model, int32_t stage, double flop[3]);

/* Floats of one row of the workspace (x and all buffers). */
size_t ko_model_row_floats(const struct ko_model *model);
/* Widths of the buffers: for each, the widest of the sublayers. Buffer 0 also holds the last rows
   of x and of the results of mixers, so it is at least as wide as these together. */
void ko_model_widths(const struct ko_model *model, int32_t widths[KO_N_BUFFERS]);

#endif
