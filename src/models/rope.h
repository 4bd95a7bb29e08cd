/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary positions (Su et al. 2021): frequencies and tables. ko_config_rope reads the settings. */
#ifndef KO_MODELS_ROPE_H
#define KO_MODELS_ROPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the angles are scaled (transformers' modeling_rope_utils.py). Linear: all by 1 / factor
   (_compute_linear_scaling_rope_parameters). Llama 3: by wavelength (_compute_llama3_parameters).
   YaRN: interpolated between both (_compute_yarn_parameters; Peng et al. 2023). LongRoPE: each pair
   by a factor of its own, and by others in long prompts (_compute_longrope_parameters). */
enum ko_rope_scaling {
    KO_ROPE_DEFAULT,
    KO_ROPE_LINEAR,
    KO_ROPE_LLAMA3,
    KO_ROPE_YARN,
    KO_ROPE_LONGROPE,
};

/* The word for it in config.json: "llama3". */
const char *ko_rope_scaling_name(enum ko_rope_scaling scaling);

/* The most pairs of a head that LongRoPE turns. */
enum { KO_MAX_ROPE_PAIRS = 512 };
/* The most positions of the tables, even if max_position_embeddings is larger. */
enum { KO_MAX_POSITIONS = 1 << 14 };

/* Pair k of n_rotated / 2 turns by theta^(-2 k / n_rotated) per position, scaled. */
struct ko_rope_config {
    double theta;
    int32_t n_rotated; /* numbers of a head that turn: even, at most d_head */
    bool interleaved;  /* pairs (2 k, 2 k + 1), else (k, k + n_rotated / 2) */
    enum ko_rope_scaling scaling;
    double factor;
    double original;         /* positions; max_position_embeddings if not given */
    double low, high;        /* Llama 3: factors of frequencies; YaRN: beta_slow, beta_fast */
    bool truncate;           /* YaRN: the two bounds are whole numbers */
    double attention_factor; /* of cos and sin: YaRN, LongRoPE; 0: 1 */
    /* M-RoPE: the pairs of each axis, and how they lie (struct ko_rope); all 0: one position. */
    int32_t section[3];
    bool woven;
    double short_factor[KO_MAX_ROPE_PAIRS], long_factor[KO_MAX_ROPE_PAIRS]; /* LongRoPE */
};

/* The tables of a model, derived from the configuration. */
struct ko_rope_table {
    struct ko_rope_config config;
    size_t cos, sin;           /* offsets among the values of [max_tokens, n_rotated / 2] */
    size_t long_cos, long_sin; /* LongRoPE: of prompts with more than `original` tokens */
};

/* The angle per position of pair k. is_long: of a prompt with more than `original` tokens. */
double ko_rope_frequency(const struct ko_rope_config *rope, int32_t k, bool is_long);
/* cos, sin [n_positions, n_rotated / 2], computed in double precision. */
void ko_rope_tables(const struct ko_rope_config *rope, int32_t n_positions, bool is_long,
                    float *cos_table, float *sin_table);

#endif
