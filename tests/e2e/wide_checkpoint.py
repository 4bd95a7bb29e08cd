"""Writes a checkpoint of 40 to 60 million random parameters, without a tokenizer: wide_checkpoint.py FAMILY FOLDER"""
import json
import struct
import sys

import numpy as np

VOCABULARY, LAYERS = 16384, 4


def mamba():
    layers, d, state, rank = 6, 768, 16, 48
    inner = 2 * d
    shapes = {"backbone.embeddings.weight": [VOCABULARY, d], "backbone.norm_f.weight": [d]}
    for i in range(layers):
        mixer = {"A_log": [inner, state], "D": [inner], "conv1d.bias": [inner], "conv1d.weight": [inner, 1, 4],
                 "dt_proj.bias": [inner], "dt_proj.weight": [inner, rank], "in_proj.weight": [2 * inner, d],
                 "out_proj.weight": [d, inner], "x_proj.weight": [rank + 2 * state, inner]}
        shapes |= {f"backbone.layers.{i}.mixer.{k}": v for k, v in mixer.items()}
        shapes[f"backbone.layers.{i}.norm.weight"] = [d]
    return {"model_type": "mamba", "hidden_size": d, "num_hidden_layers": layers, "state_size": state, "time_step_rank": rank}, shapes


def llama_like(kind, d, ff, heads, norms, mlp, **config):
    """mlp: the shapes of a layer's MLP, by name."""
    shapes = {"model.embed_tokens.weight": [VOCABULARY, d], "model.norm.weight": [d]}
    for i in range(LAYERS):
        layer = {f"self_attn.{k}_proj.weight": [d, d] for k in "qkvo"} | mlp | {f"{n}.weight": [d] for n in norms}
        shapes |= {f"model.layers.{i}.{k}": v for k, v in layer.items()}
    return {"model_type": kind, "hidden_size": d, "intermediate_size": ff, "num_hidden_layers": LAYERS, "num_attention_heads": heads,
            "num_key_value_heads": heads, "head_dim": d // heads, "tie_word_embeddings": True} | config, shapes


def gated(d, ff, at="mlp"):
    return {f"{at}.gate_proj.weight": [ff, d], f"{at}.up_proj.weight": [ff, d], f"{at}.down_proj.weight": [d, ff]}


def gemma2():
    norms = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
    return llama_like("gemma2", 768, 3072, 6, norms, gated(768, 3072))


def olmoe():
    d, ff, experts = 512, 512, 16
    mlp = {"mlp.gate.weight": [experts, d], "self_attn.q_norm.weight": [d], "self_attn.k_norm.weight": [d]}
    for e in range(experts):
        mlp |= gated(d, ff, f"mlp.experts.{e}")
    return llama_like("olmoe", d, ff, 8, ["input_layernorm", "post_attention_layernorm"], mlp, num_experts=experts, num_experts_per_tok=8)


def gpt_oss():
    d, ff, heads, experts = 512, 512, 8, 16
    mlp = {"mlp.router.weight": [experts, d], "mlp.router.bias": [experts], "self_attn.sinks": [heads],
           "mlp.experts.gate_up_proj": [experts, d, 2 * ff], "mlp.experts.gate_up_proj_bias": [experts, 2 * ff],
           "mlp.experts.down_proj": [experts, ff, d], "mlp.experts.down_proj_bias": [experts, d]}
    return llama_like("gpt_oss", d, ff, heads, ["input_layernorm", "post_attention_layernorm"], mlp, attention_bias=False,
                      num_local_experts=experts, num_experts_per_tok=4)


def gpt_neox():
    d, ff = 768, 3072
    shapes = {"gpt_neox.embed_in.weight": [VOCABULARY, d], "embed_out.weight": [VOCABULARY, d]}
    shapes |= {f"gpt_neox.final_layer_norm.{k}": [d] for k in ("weight", "bias")}
    for i in range(LAYERS):
        for name, (n_out, n_in) in {"attention.query_key_value": (3 * d, d), "attention.dense": (d, d), "mlp.dense_h_to_4h": (ff, d),
                                    "mlp.dense_4h_to_h": (d, ff)}.items():
            shapes |= {f"gpt_neox.layers.{i}.{name}.weight": [n_out, n_in], f"gpt_neox.layers.{i}.{name}.bias": [n_out]}
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes |= {f"gpt_neox.layers.{i}.{name}.{k}": [d] for k in ("weight", "bias")}
    return {"model_type": "gpt_neox", "hidden_size": d, "intermediate_size": ff, "num_hidden_layers": LAYERS, "num_attention_heads": 12,
            "tie_word_embeddings": False}, shapes


FAMILIES = {f.__name__: f for f in (mamba, gpt_neox, gemma2, olmoe, gpt_oss)}


def main():
    config, shapes = FAMILIES[sys.argv[1]]()
    random, header, data, at = np.random.default_rng(0), {}, [], 0
    for name, shape in shapes.items():
        values = (random.standard_normal(shape, np.float32) * 0.02).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(values)]}
        at += len(values)
        data.append(values)
    text = json.dumps(header).encode()
    with open(f"{sys.argv[2]}/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))
    with open(f"{sys.argv[2]}/config.json", "w") as f:
        json.dump(config | {"vocab_size": VOCABULARY}, f)


if __name__ == "__main__":
    main()
