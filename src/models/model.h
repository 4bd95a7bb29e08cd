/* A model: what its configuration says, where its weights lie, and how one of its layers is
 * computed over the rows of a wave. */
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

enum ko_mixer { KO_MIXER_SSM, KO_MIXER_ATTENTION };

/* The sizes of a model. Fields that a family does not use are 0. */
struct ko_shape {
    int32_t n_layers, d_model, vocabulary;
    int32_t max_tokens; /* 0: unlimited */
    int32_t bos_id;     /* -1: the configuration names none */
    int32_t d_inner, d_state, d_conv, dt_rank;
    int32_t n_heads, n_kv_heads, d_head, d_ff;
    int32_t n_groups;   /* of heads that share B and C (Mamba-2) */
    int32_t reach;      /* sliding window; INT32_MAX: none */
    int32_t n_features; /* features that a class is a third of: channels (Mamba-1), heads (Mamba-2);
                           0: attention */
    int32_t conv_channels;
    float norm_eps;
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
    size_t offset; /* float32 elements from the start of the arena; multiples of 16 */
    size_t n;      /* float32 elements in the arena */
    int32_t layer; /* -1: none */
};

enum { KO_N_BUFFERS = 8 };

struct ko_model;

/* Everything that a layer's computation needs. */
struct ko_pass {
    const struct ko_model *model;
    const float *arena; /* the weights, backend memory */
    const struct ko_kernels *k;
    struct ko_backend *be;
    const struct ko_rows *rows;
    const uint8_t
        *masks; /* [n_masks, n_layers, n_features] backend memory; NULL where there is none */
    const uint8_t *conv_masks;   /* [n_masks, n_layers, conv_channels] */
    float *x;                    /* [n_rows, d_model] the residual stream */
    float *buffer[KO_N_BUFFERS]; /* [n_rows, shape-dependent width], see ko_family.widths */
};

struct ko_family {
    const char *name;           /* "mamba": what the cube calls the architecture */
    const char *title;          /* "Mamba-1", for people */
    const char *model_types[4]; /* config.json's model_type; NULL-terminated */
    enum ko_mixer mixer;

    /* config.json -> shape. KO_E_INPUT "MODEL: KEY: ...", for missing keys without a default and
       for keys that change the result and are not supported at their value. */
    enum ko_code (*configure)(struct ko_model *model, json_object *config, struct ko_error *err);
    /* Declares every weight (ko_model_add_weight). `has(name)` tells names in the file, for
     * prefixes and tied heads. */
    enum ko_code (*declare)(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                            struct ko_error *err);
    /* Writes what follows from the configuration (rotary tables) into its places in the arena
       [arena_floats] (ko_model_reserve), host memory. NULL: there is nothing of the kind. */
    void (*derive)(const struct ko_model *model, float *arena);
    /* Whether a leftover tensor may be ignored (mask buffers, a repeated tied head). */
    bool (*ignores)(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                    const struct ko_tensor *tensor);
    /* Widths (floats a row) of the buffers, 0: unused. Buffer 0 is free once `mix` has returned,
       and the result of `mix` lies in buffer 1 with the width widths[1]. */
    void (*widths)(const struct ko_model *model, int32_t widths[KO_N_BUFFERS]);
    /* Embedding of the trunk rows into x. */
    enum ko_code (*embed)(const struct ko_pass *pass, struct ko_error *err);
    /* Norm, projections, mixing of layer l for rows [0, n_active): result in buffer 1. x is not
     * changed. */
    enum ko_code (*mix)(const struct ko_pass *pass, int32_t layer, struct ko_error *err);
    /* The rest of layer l for n rows: x += output projection(mixed), then the MLP where there is
       one. mixed is [n, widths[1]]; buffers 2 and up may be used. */
    enum ko_code (*finish)(const struct ko_pass *pass, int32_t layer, int32_t n, float *x,
                           const float *mixed, int32_t ld_mixed, struct ko_error *err);
    /* Final norm of n rows, in place. */
    enum ko_code (*final_norm)(const struct ko_pass *pass, int32_t n, float *x,
                               struct ko_error *err);
    /* The unembedding matrix [vocabulary, d_model] in the arena. */
    struct ko_matrix (*unembedding)(const struct ko_model *model, const float *arena);
    /* FLOP of the matrix products of one row in one layer: before the convolution, after it up to
     * the mixing, after the mixing. */
    void (*row_flop)(const struct ko_model *model, double flop[3]);
    /* Index of layer l's KO_DECAY_NORMS weight; -1: the family has no features. */
    int32_t (*decay_weight)(const struct ko_model *model, int32_t layer);
    /* Channels of the convolution that a mask of features removes: conv[conv_channels] from
     * mask[n_features]. NULL: the same. */
    void (*conv_mask)(const struct ko_model *model, const uint8_t *mask, uint8_t *conv);
};

struct ko_model {
    char *name; /* owned */
    const struct ko_family *family;
    struct ko_shape shape;
    struct ko_weight *weights; /* [n_weights], ordered as declared; owned */
    size_t n_weights, weights_capacity;
    size_t arena_floats;
    const char *tie_key; /* of config.json, that ties the unembedding to the embedding */
    const struct ko_stop *load_stop; /* looked at while the weights are loaded; NULL: never;
                                        borrowed */
    void *bound; /* the family's typed struct of weight indices or offsets; owned, freed with free()
                  */
};

/* The registry: all families, NULL-terminated; the one that reads this model_type, or NULL. */
extern const struct ko_family *const ko_families[];
const struct ko_family *ko_family_find(const char *model_type);

/* Reads the configuration, declares the weights and checks that each is in the file with its shape
   and a float dtype
   ("MODEL: TENSOR: expected [..], file has [..]"), and that nothing is left over. Reads no weight.
   Free with ko_model_free. */
KO_MUST_CHECK enum ko_code ko_model_open(const struct ko_checkpoint *checkpoint,
                                         struct ko_model **out, struct ko_error *err);
/* The same from a configuration alone, for plans without weights and for random weights. has_tensor
   answers are then "yes" for the family's own naming. */
KO_MUST_CHECK enum ko_code ko_model_from_config(const char *name, json_object *config,
                                                struct ko_model **out, struct ko_error *err);
/* Adds a line for everything that keeps ko_model_open from opening, as far as it can be known: of
   the configuration its first fault, of the weights every one. */
KO_MUST_CHECK enum ko_code ko_model_problems(const struct ko_checkpoint *checkpoint,
                                             struct ko_strings *problems, struct ko_error *err);
void ko_model_free(struct ko_model *model);

/* For families. Shape in the file's order; the arena's layout is the transform's. *index: its
 * number (may be NULL). */
KO_MUST_CHECK enum ko_code ko_model_add_weight(struct ko_model *model, int32_t layer,
                                               enum ko_transform transform, int32_t n_dims,
                                               const int64_t *shape, size_t *index,
                                               struct ko_error *err, const char *tensor_format, ...)
    KO_PRINTF(8, 9);

/* For families: n floats of the arena for what `derive` writes, from *offset on. */
KO_MUST_CHECK enum ko_code ko_model_reserve(struct ko_model *model, size_t n, size_t *offset,
                                            struct ko_error *err);

/* Loads part `part` of n_parts of the weights (each part about equal in bytes; a weight is in one
   part) into arena [arena_floats] float32 host memory, checking that every value is finite ("MODEL:
   TENSOR: element 17 is not finite"), and writes the XXH3-64 of each of its tensors into hash
   [n_weights], leaving the others alone. Part 0 also derives what is not in the file. KO_E_STOPPED
   where model->load_stop says so. */
KO_MUST_CHECK enum ko_code ko_model_load(const struct ko_model *model,
                                         const struct ko_checkpoint *checkpoint, int32_t part,
                                         int32_t n_parts, float *arena, uint64_t *hash,
                                         struct ko_error *err);
/* XXH3-128 of the tensors' hashes, names and shapes: the content hash, 32 hex digits. */
void ko_model_content_hash(const struct ko_model *model, const uint64_t *hash, char text[33]);
/* Random weights of reasonable scale (decays spread, norms near one), for measuring. */
void ko_model_fill_random(const struct ko_model *model, uint64_t seed, float *arena);

/* n = || exp(-exp(A_log)) ||_1 over the state axis, in double precision: norm [n_layers,
   n_features] from the arena (host); nothing where n_features is 0. */
void ko_model_decay_norms(const struct ko_model *model, const float *arena, double *norm);

/* Floats a row of the workspace (x and all buffers; buffer 0 at least d_model + widths[1]). */
size_t ko_model_row_floats(const struct ko_model *model);
/* The same widths, with buffer 0 widened. */
void ko_model_widths(const struct ko_model *model, int32_t widths[KO_N_BUFFERS]);

/* config.json text of the model shapes that `bench --shape` knows; NULL for an unknown one. */
const char *ko_shape_config(const char *shape_name);
/* All those names; *n of them. */
const char *const *ko_shape_names(size_t *n);

#endif
