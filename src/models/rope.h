/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary position embedding: what a configuration says of it, and its tables. Su et al. 2021;
   transformers' LlamaRotaryEmbedding. */
#ifndef KO_MODELS_ROPE_H
#define KO_MODELS_ROPE_H

#include <json-c/json.h>

#include "src/models/model.h"

/* Angles a position, before the tables: theta^(-2 k / d_head), scaled as Llama 3 does where
   `scaled` (transformers' _compute_llama3_parameters). */
struct ko_rope_config {
    double theta;
    bool scaled;
    double factor, low, high, original; /* of the scaling; original: positions */
};

/* The tables of a model, derived from the configuration. */
struct ko_rope_table {
    struct ko_rope_config config;
    int32_t d_head;
    size_t cos, sin; /* offsets among the values of [max_tokens, d_head / 2] */
};

/* Reads rope_parameters, or the older rope_theta and rope_scaling. max_positions: the model's
   max_position_embeddings. KO_E_INPUT for a type other than default and llama3. */
KO_MUST_CHECK enum ko_code ko_rope_configure(const struct ko_model *model, json_object *config,
                                             int32_t max_positions, struct ko_rope_config *out,
                                             struct ko_error *err);
/* Angle a position of the pair k of d_head / 2. */
double ko_rope_frequency(const struct ko_rope_config *rope, int32_t d_head, int32_t k);
/* cos, sin [n_positions, d_head / 2], computed in double precision. */
void ko_rope_tables(const struct ko_rope_config *rope, int32_t n_positions, int32_t d_head,
                    float *cos_table, float *sin_table);

#endif
