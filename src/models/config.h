/* SPDX-License-Identifier: Apache-2.0 */
/* Reading config.json. A key that is absent or null takes the default. Errors are KO_E_INPUT
   "MODEL: KEY: ..." in b->code; after an error these functions only set the defaults. */
#ifndef KO_MODELS_CONFIG_H
#define KO_MODELS_CONFIG_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/models/model.h"

/* The largest values of keys of config.json. */
enum {
    KO_MAX_WIDTH = 1 << 20,
    KO_MAX_LAYERS = 1 << 14,
    KO_MAX_VOCABULARY = 1 << 26,
};

/* A size from 1 to max. */
struct ko_size_row {
    const char *key, *alias; /* alias: another key for the same size, or NULL */
    int32_t fallback, max;
    int32_t *out;
};
void ko_config_size(struct ko_builder *b, const struct ko_size_row *row);
/* The same, but "auto" stands for the default too. */
void ko_config_auto_size(struct ko_builder *b, const struct ko_size_row *row);
/* Reads the rows [n] in their order. */
void ko_config_sizes(struct ko_builder *b, const struct ko_size_row *rows, size_t n);
/* *out holds the default before the call. */
void ko_config_bool(struct ko_builder *b, const char *key, bool *out);
/* A norm's epsilon, from 0 to 1. */
void ko_config_epsilon(struct ko_builder *b, const char *key, double fallback, float *out);
/* Refuses a key whose value is not the supported one, which is also the default. */
void ko_config_only_bool(struct ko_builder *b, const char *key, bool supported);
/* Refuses a key that is not null. */
void ko_config_only_null(struct ko_builder *b, const char *key);
/* The same as ko_config_only_bool for words: `supported` [n], whose first is the default. */
void ko_config_only_words(struct ko_builder *b, const char *key, const char *const *supported,
                          size_t n);
/* hidden_act, which must be SiLU. */
void ko_config_only_silu(struct ko_builder *b);
/* A number above 0, or 0 or more. */
void ko_config_positive(struct ko_builder *b, const char *key, double fallback, float *out);
void ko_config_not_negative(struct ko_builder *b, const char *key, double fallback, float *out);
/* tie_word_embeddings into model->ends.tied. */
void ko_config_tied(struct ko_builder *b, bool fallback);
/* bos_token_id into model->shape.bos_id: the default if absent; -1 if null or not in the vocabulary
   (reads model->shape.vocabulary). */
void ko_config_bos(struct ko_builder *b, int32_t fallback);
/* The inner width of an SSM: intermediate_size, else the whole part of expand (2) * hidden_size
   (reads model->shape.d_model). */
void ko_config_inner(struct ko_builder *b, int32_t *d_inner);
/* What a family supports of rotary settings. */
struct ko_rope_support {
    const char *theta_key; /* "rope_theta"; GPT-NeoX: "rotary_emb_base" */
    double theta;          /* the default */
    const char *part_key;  /* "partial_rotary_factor", "rotary_pct"; NULL: the whole head turns */
    double part;           /* the default */
    unsigned scalings;     /* bits 1 << enum ko_rope_scaling; default is always supported */
    /* Newer files may have rope_parameters for each kind of layer: the kind that is read here, such
       as "full_attention". NULL: only one set for all layers is supported. */
    const char *layers;
    /* One set for all layers is not meant for these, which have theta_key alone (Gemma 3's sliding
       layers). */
    bool own_theta;
};
/* Rotary settings: rope_parameters, or the older theta_key, part_key and rope_scaling (transformers'
   standardize_rope_params). Inside an object the keys are rope_theta and partial_rotary_factor, and
   count. d_head: of a head; max_positions: the model's max_position_embeddings. Sets n_rotated =
   (int)(d_head * part), which must be even. */
void ko_config_rope(struct ko_builder *b, const struct ko_rope_support *support, int32_t d_head,
                    int32_t max_positions, struct ko_rope_config *out);
/* The kinds of the layers: a list of one of two words for each. second [n_layers] 1: the layer has the
   second word. False, and zeros, if the key is absent. */
bool ko_config_two_kinds(struct ko_builder *b, const char *key, const char *const kinds[2],
                         uint8_t *second);
/* The same for sliding windows: layer_types (a list of "full_attention" and "sliding_attention"), or if
   absent sliding_window_pattern p (layer l is full if (l + 1) % p == 0), or fallback_pattern (the
   same; 0: all full; 1: all full). sliding [n_layers] 1: the layer slides. */
void ko_config_layer_types(struct ko_builder *b, int32_t fallback_pattern, uint8_t *sliding);
/* A list of layers, which count from `first`: listed [n_layers] becomes 1 for each of them. Nothing
   if the key is absent. */
void ko_config_layer_list(struct ko_builder *b, const char *key, int32_t first, uint8_t *listed);

/* Sets b->code to KO_E_INPUT and the text to "MODEL: KEY: ...", unless an error came before. */
void ko_config_fail(struct ko_builder *b, const char *key, const char *format, ...) KO_PRINTF(3, 4);

/* Two numbers from 0, the second no smaller than the first and perhaps infinite. Needs no builder.
   "WHERE: KEY: ...". */
KO_MUST_CHECK enum ko_code ko_config_range(const char *where, json_object *config, const char *key,
                                           double range[2], struct ko_error *err);

#endif
