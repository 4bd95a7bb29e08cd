/* What Llama, Mistral and Qwen2 share: pre-norm layers of rotary attention with grouped keys
   (Ainslie et al. 2023) and a gated MLP (Shazeer 2020); transformers' LlamaForCausalLM. */
#ifndef KO_MODELS_TRANSFORMER_H
#define KO_MODELS_TRANSFORMER_H

#include <json-c/json.h>

#include "src/models/ends.h"
#include "src/models/model.h"
#include "src/models/rope.h"

/* Positions that the rotary tables hold at most, whatever max_position_embeddings says. */
enum { KO_MAX_POSITIONS = 1 << 14 };

/* Weight numbers. Queries are n_heads * d_head wide, keys and values n_kv_heads * d_head. */
struct ko_transformer_layer {
    size_t norm;                            /* [d_model] */
    size_t q, k, v, q_bias, k_bias, v_bias; /* [width, d_model]; [width] or none */
    size_t o, o_bias;                       /* [d_model, n_heads * d_head]; [d_model] or none */
    size_t mlp_norm;                        /* [d_model] */
    size_t gate, up, gate_bias, up_bias;    /* [d_ff, d_model]; [d_ff] or none */
    size_t down, down_bias;                 /* [d_model, d_ff]; [d_model] or none */
};

/* model->bound. */
struct ko_transformer {
    struct ko_ends ends; /* first: src/models/ends.h */
    bool qkv_bias, o_bias, mlp_bias;
    struct ko_rope_config rope;
    size_t cos, sin;                     /* offsets among the values of [max_tokens, d_head / 2] */
    struct ko_transformer_layer layer[]; /* [n_layers] */
};

/* What a family takes for keys that config.json does not have. n_kv_heads 0: as many as heads. */
struct ko_transformer_defaults {
    int32_t d_model, d_ff, n_layers, n_heads, n_kv_heads, vocabulary, max_positions, bos_id;
};

/* Shape, activation, head and rotation from config.json; model->bound, whose biases are false. */
KO_MUST_CHECK enum ko_code ko_transformer_configure(struct ko_model *model, json_object *config,
                                                    const struct ko_transformer_defaults *defaults,
                                                    struct ko_error *err);

/* layer_types of config.json: KO_E_INPUT for layers that differ in kind or a kind that is neither
   full nor sliding attention. */
enum ko_layers { KO_LAYERS_NOT_GIVEN, KO_LAYERS_FULL, KO_LAYERS_SLIDING };
KO_MUST_CHECK enum ko_code ko_transformer_layer_types(const struct ko_model *model,
                                                      json_object *config, enum ko_layers *out,
                                                      struct ko_error *err);
/* sliding_window into *reach: the default where absent, INT32_MAX (none) where null. */
KO_MUST_CHECK enum ko_code ko_transformer_window(const struct ko_model *model, json_object *config,
                                                 int32_t fallback, int32_t *reach,
                                                 struct ko_error *err);

/* The functions of a struct ko_family. */
KO_MUST_CHECK enum ko_code ko_transformer_declare(struct ko_model *model,
                                                  const struct ko_checkpoint *checkpoint,
                                                  struct ko_error *err);
void ko_transformer_derive(const struct ko_model *model, float *values);
void ko_transformer_widths(const struct ko_model *model, int32_t widths[KO_N_BUFFERS]);
KO_MUST_CHECK enum ko_code ko_transformer_mix(const struct ko_pass *pass, int32_t layer,
                                              struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_transformer_finish(const struct ko_pass *pass, int32_t layer,
                                                 int32_t n, float *x, const float *mixed,
                                                 int32_t ld_mixed, struct ko_error *err);
void ko_transformer_row_flop(const struct ko_model *model, double flop[3]);
int32_t ko_transformer_decay_weight(const struct ko_model *model, int32_t layer); /* -1 */

#endif
