/* What the families share: reading config.json, finding weights, naming tensors. */
#ifndef KO_MODELS_FAMILY_H
#define KO_MODELS_FAMILY_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/models/model.h"

enum {
    KO_MAX_WIDTH = 1 << 20, /* of a layer, per key of config.json */
    KO_MAX_LAYERS = 1 << 14,
    KO_MAX_VOCABULARY = 1 << 26,
};

/* The index of a weight that a model does not have (a bias). */
#define KO_NO_WEIGHT SIZE_MAX

/* ---- config.json. Absent and null take the default; errors are KO_E_INPUT "MODEL: KEY: ...". */

/* A size from 1 to max. alias: another key for the same, NULL: none. */
KO_MUST_CHECK enum ko_code ko_config_size(const struct ko_model *model, json_object *config,
                                          const char *key, const char *alias, int32_t fallback,
                                          int32_t max, int32_t *out, struct ko_error *err);
/* A size that a family reads in a row of a table. */
struct ko_size_row {
    const char *key, *alias; /* alias NULL: none */
    int32_t fallback, max;
    int32_t *out;
};
/* Reads the rows [n] in their order. */
KO_MUST_CHECK enum ko_code ko_config_sizes(const struct ko_model *model, json_object *config,
                                           const struct ko_size_row *rows, size_t n,
                                           struct ko_error *err);
/* A norm's epsilon, from 0 to 1. */
KO_MUST_CHECK enum ko_code ko_config_epsilon(const struct ko_model *model, json_object *config,
                                             const char *key, double fallback, float *out,
                                             struct ko_error *err);
/* Refuses a key whose value is not the only supported one, which is also its default. */
KO_MUST_CHECK enum ko_code ko_config_only_bool(const struct ko_model *model, json_object *config,
                                               const char *key, bool supported,
                                               struct ko_error *err);
/* The same for words: those in `supported` [n], whose first is the default. */
KO_MUST_CHECK enum ko_code ko_config_only_words(const struct ko_model *model, json_object *config,
                                                const char *key, const char *const *supported,
                                                size_t n, struct ko_error *err);
/* bos_token_id: the default where absent, -1 where null or not in the vocabulary
 * (model->shape.vocabulary is read). */
KO_MUST_CHECK enum ko_code ko_config_bos(const struct ko_model *model, json_object *config,
                                         int32_t fallback, int32_t *out, struct ko_error *err);

/* The inner width of an SSM into model->shape.d_inner (d_model is read): intermediate_size, else
   the whole part of expand (2) * hidden_size. */
KO_MUST_CHECK enum ko_code ko_config_inner(struct ko_model *model, json_object *config,
                                           struct ko_error *err);
/* What the families of Mamba have in common: an activation that must be SiLU, and three switches,
   each at its default before the call. */
KO_MUST_CHECK enum ko_code ko_config_mamba(const struct ko_model *model, json_object *config,
                                           bool *tied, bool *bias, bool *conv_bias,
                                           struct ko_error *err);
/* Two numbers from 0, the second no smaller than the first and perhaps infinite ("WHERE: KEY:
 * ..."). */
KO_MUST_CHECK enum ko_code ko_config_range(const char *where, json_object *config, const char *key,
                                           double range[2], struct ko_error *err);

/* ---- Tensors. */

/* Mamba's names begin with "backbone.", or with nothing where the model was saved without its head;
   the embedding is "embeddings.weight", or "embedding.weight" as in the original release. */
const char *ko_backbone_prefix(const struct ko_checkpoint *checkpoint);
const char *ko_backbone_embedding(const struct ko_checkpoint *checkpoint);

/* Whether the file has the tensor; without a checkpoint (a plan without weights) `canonical` is the
 * answer. */
bool ko_tensor_exists(const struct ko_checkpoint *checkpoint, const char *name, bool canonical);
bool ko_name_ends(const char *name, const char *ending);
/* Whether the two tensors have the same dtype, shape and bytes. */
bool ko_tensor_equals(const struct ko_tensor *a, const struct ko_tensor *b);

/* A weight that a family declares in a row of a table. */
struct ko_weight_row {
    const char *name; /* follows the prefix */
    size_t *index;    /* set to the weight's number, or KO_NO_WEIGHT */
    bool absent;
    enum ko_transform transform;
    int32_t n_dims;
    int64_t shape[4];
};
/* Adds the rows [n] as PREFIXNAME. layer: -1: none. */
KO_MUST_CHECK enum ko_code ko_model_add_rows(struct ko_model *model, int32_t layer,
                                             const char *prefix, const struct ko_weight_row *rows,
                                             size_t n, struct ko_error *err);

/* A weight among the values; NULL for KO_NO_WEIGHT. */
const float *ko_pass_weight(const struct ko_pass *pass, size_t index);
/* A weight among the matrices. */
struct ko_matrix ko_model_matrix(const struct ko_model *model, const struct ko_arena *arena,
                                 size_t index);
/* y [n, n_out] (+)= x [n, n_in] W (+ bias) for rows [0, n); bias may be KO_NO_WEIGHT. */
KO_MUST_CHECK enum ko_code ko_pass_linear(const struct ko_pass *pass, int32_t n, const float *x,
                                          int32_t ldx, size_t weight, size_t bias, bool accumulate,
                                          float *y, int32_t ldy, struct ko_error *err);

#endif
