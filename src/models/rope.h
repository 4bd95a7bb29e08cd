/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary positions (Su et al. 2021): frequencies and tables. ko_config_rope reads the settings. */
#ifndef KO_MODELS_ROPE_H
#define KO_MODELS_ROPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pair k turns by theta^(-2 k / d_head) per position, scaled as in Llama 3 if `scaled`
   (transformers' _compute_llama3_parameters). */
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

/* The angle per position of pair k of d_head / 2. */
double ko_rope_frequency(const struct ko_rope_config *rope, int32_t d_head, int32_t k);
/* cos, sin [n_positions, d_head / 2], computed in double precision. */
void ko_rope_tables(const struct ko_rope_config *rope, int32_t n_positions, int32_t d_head,
                    float *cos_table, float *sin_table);

#endif
