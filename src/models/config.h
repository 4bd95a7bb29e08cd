/* SPDX-License-Identifier: Apache-2.0 */
/* Reading config.json: what the families share. Absent and null take the default; errors are
   KO_E_INPUT "MODEL: KEY: ...". */
#ifndef KO_MODELS_CONFIG_H
#define KO_MODELS_CONFIG_H

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
   (model->shape.vocabulary is read). */
KO_MUST_CHECK enum ko_code ko_config_bos(const struct ko_model *model, json_object *config,
                                         int32_t fallback, int32_t *out, struct ko_error *err);

/* The inner width of an SSM (model->shape.d_model is read): intermediate_size, else the whole part
   of expand (2) * hidden_size. */
KO_MUST_CHECK enum ko_code ko_config_inner(const struct ko_model *model, json_object *config,
                                           int32_t *d_inner, struct ko_error *err);
/* What the families of Mamba have in common: an activation that must be SiLU, and three switches,
   each at its default before the call. */
KO_MUST_CHECK enum ko_code ko_config_mamba(const struct ko_model *model, json_object *config,
                                           bool *tied, bool *bias, bool *conv_bias,
                                           struct ko_error *err);
/* Two numbers from 0, the second no smaller than the first and perhaps infinite ("WHERE: KEY:
   ..."). */
KO_MUST_CHECK enum ko_code ko_config_range(const char *where, json_object *config, const char *key,
                                           double range[2], struct ko_error *err);

#endif
