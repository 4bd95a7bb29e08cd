"""Write tiny random checkpoints of hybrid models, laid out as the real repositories are.

Usage: make_hybrids.py FACTS_JSONL OUT_DIR [--set public|heldout] [--seed S] [--only a,b]

Configuration keys, tensor names, data types and sharding are those of the repository named beside each; the weights are
random but scaled so that a knockout changes the answer.  The held-out set has other shapes, patterns and seeds.
"""
import argparse
import json
import math
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file

from make_variants import with_bos
from train_demo_models import byte_level_tokenizer, sentencepiece_like_tokenizer

BF16, F32, F16 = torch.bfloat16, torch.float32, torch.float16
INF = float("inf")
VOCAB = {"bytes": 512, "bytes-bos": 512, "sp": 608}
IDS = {"bytes": dict(bos_token_id=0, eos_token_id=0, pad_token_id=0),
       "bytes-bos": dict(bos_token_id=500, eos_token_id=0, pad_token_id=0),
       "sp": dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)}


class Layout:
    """Names, shapes and scales of a checkpoint's tensors."""

    def __init__(self):
        self.shapes, self.gain, self.dtypes = {}, {}, {}

    def add(self, name, *shape, gain=1.0, dtype=None):
        self.shapes[name], self.gain[name], self.dtypes[name] = shape, gain, dtype

    def linear(self, name, n_out, n_in, bias=False, gain=1.0):
        self.add(name + ".weight", n_out, n_in, gain=gain)
        if bias:
            self.add(name + ".bias", n_out)

    def attention(self, p, d, heads, kv, dh, out="o_proj", bias=False, q_wide=1, n_in=None, k_gain=1.0):
        self.linear(p + ".q_proj", heads * dh * q_wide, n_in or d, bias)
        self.linear(p + ".k_proj", kv * dh, n_in or d, bias, gain=k_gain)
        self.linear(p + ".v_proj", kv * dh, n_in or d, bias)
        self.linear(p + "." + out, d, heads * dh, bias)

    def mamba2(self, p, d, H, P, N, G, K=4, in_bias=False, out_bias=False, conv_bias=True, norm=True):
        inner, channels = H * P, H * P + 2 * G * N
        self.linear(p + ".in_proj", inner + channels + H, d, in_bias)
        self.add(p + ".conv1d.weight", channels, 1, K)
        if conv_bias:
            self.add(p + ".conv1d.bias", channels)
        for n in ("A_log", "D", "dt_bias"):
            self.add(f"{p}.{n}", H)
        if norm:
            self.add(p + ".norm.weight", inner)
        self.linear(p + ".out_proj", d, inner, out_bias)

    def glu(self, p, d, inner, names=("gate_proj", "up_proj", "down_proj"), bias=False):
        for n in names[:2]:
            self.linear(f"{p}.{n}", inner, d, bias)
        self.linear(f"{p}.{names[2]}", d, inner, bias)

    def values(self, seed, dtype, zero_centred=(), more=None):
        """As make_variants.randomise.  zero_centred: how the names of norms end that multiply by 1 + w; more: factors by part of a name."""
        g = torch.Generator().manual_seed(seed)
        out = {}
        for name, shape in self.shapes.items():
            leaf = name.rsplit(".", 1)[-1]
            noise = torch.randn(shape, generator=g)
            if leaf == "A_log":
                v = torch.log(0.3 + 12 * torch.rand(shape, generator=g))
            elif name.endswith("dt_proj.bias") or leaf == "dt_bias":
                dt = torch.exp(math.log(0.02) + torch.rand(shape, generator=g) * math.log(25.0))
                v = dt + torch.log(-torch.expm1(-dt))
            elif leaf == "D":
                v = 0.3 + 0.1 * noise
            elif leaf == "recurrent_param":                  # decays of about 0.3 to 0.99 at an open gate
                v = torch.log(torch.expm1(torch.exp(math.log(0.002) + torch.rand(shape, generator=g) * math.log(150.0))))
            elif leaf == "bias" or leaf.endswith("_bias"):
                v = 0.1 * noise
            elif len(shape) == 1:
                v = (0.0 if name.endswith(zero_centred) and zero_centred else 1.0) + 0.1 * noise
            elif "embed" in name:
                v = 0.6 * noise
            elif len(shape) == 3 and shape[1] == 1:
                v = 0.6 * noise
            else:
                v = 1.3 * noise / math.sqrt(shape[-1])
            gain = self.gain[name] * math.prod(f for end, f in (more or {}).items() if end in name)
            out[name] = (v * gain).to(self.dtypes[name] or dtype).contiguous()
        return out


# ---------------------------------------------------------------- families: (options) -> config, layout, zero-centred norms
def falcon_h1(o):
    """tiiuae/Falcon-H1-0.5B/1.5B/3B/7B/34B-Base (untied), Falcon-H1-Tiny-90M (tied)."""
    d, L, H, P, N, G, heads, kv, dh = o["d"], o["L"], o["H"], o["P"], o["N"], o["G"], o["heads"], o["kv"], o["dh"]
    e, lm, key = o.get("embedding", 5.656854249492381), o.get("lm_head", 0.0390625), o.get("key", 0.39)
    config = dict(
        architectures=["FalconH1ForCausalLM"], attention_bias=False, attention_dropout=0.0,
                  attention_in_multiplier=o.get("attention_in", 1.0),
        attention_out_multiplier=o.get("attention_out", 0.9375), attn_layer_indices=None, embedding_multiplier=e, head_dim=dh,
                  hidden_act="silu",
        hidden_size=d, initializer_range=0.02, intermediate_size=o["ff"], key_multiplier=key, lm_head_multiplier=lm,
                  mamba_chunk_size=128,
        mamba_conv_bias=True, mamba_d_conv=4, mamba_d_head=P, mamba_d_ssm=H * P, mamba_d_state=N, mamba_expand=2, mamba_n_groups=G,
                  mamba_n_heads=H,
        mamba_norm_before_gate=o.get("before", False), mamba_proj_bias=False, mamba_rms_norm=o.get("norm", False),
                  mamba_use_mlp=True,
        max_position_embeddings=16384, mlp_bias=False, mlp_expansion_factor=8,
                  mlp_multipliers=o.get("mlp", [0.8838834764831844, 0.5859375]),
        model_type="falcon_h1", num_attention_heads=heads, num_hidden_layers=L, num_key_value_heads=kv, num_logits_to_keep=1,
                  projectors_bias=False,
        rms_norm_eps=1e-5, rope_scaling=None, rope_theta=o.get("theta", 100000000000.0), ssm_in_multiplier=o.get("ssm_in", 1.25),
        ssm_multipliers=o.get("ssm", [0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738]),
                  ssm_out_multiplier=o.get("ssm_out", 0.23570226039551587),
        tie_word_embeddings=o["tied"], torch_dtype="bfloat16", transformers_version="4.52.0.dev0", use_cache=True,
                  vocab_size=VOCAB[o["tok"]])
    if "limit" in o:
        config["time_step_limit"] = o["limit"]
    t = Layout()
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d, gain=o.get("embed_gain", 1.0) / (1.0 if o["tied"] else e))
    for l in range(L):
        p = f"model.layers.{l}."
        t.add(p + "input_layernorm.weight", d), t.add(p + "pre_ff_layernorm.weight", d)
        t.mamba2(p + "mamba", d, H, P, N, G, norm=o.get("norm", False))
        for n, row in zip(("in_proj", "out_proj"), (1 / o.get("ssm_in", 1.25) * 2.5, 1 / o.get("ssm_out", 0.23570226039551587))):
            t.gain[p + f"mamba.{n}.weight"] = row
        t.attention(p + "self_attn", d, heads, kv, dh, k_gain=1 / key)
        t.gain[p + "self_attn.v_proj.weight"] = 1 / o.get("attention_in", 1.0)
        t.glu(p + "feed_forward", d, o["ff"])
    t.add("model.final_layernorm.weight", d)
    if not o["tied"]:
        t.linear("lm_head", VOCAB[o["tok"]], d, gain=1 / lm)
    return config, t, ()


def nemotron_h(o):
    """nvidia/Nemotron-H-4B/8B-Base-8K, NVIDIA-Nemotron-Nano-9B-v2; with experts NVIDIA-Nemotron-3-Nano-30B-A3B."""
    d, H, P, N, G, heads, kv, dh = o["d"], o["H"], o["P"], o["N"], o["G"], o["heads"], o["kv"], o["dh"]
    config = dict(
        architectures=["NemotronHForCausalLM"], attention_bias=False, attention_dropout=0.0, **{o.get("head_key", "head_dim"): dh},
        auto_map={"AutoConfig": "configuration_nemotron_h.NemotronHConfig",
                  "AutoModelForCausalLM": "modeling_nemotron_h.NemotronHForCausalLM"},
        chunk_size=128, conv_kernel=4, expand=2, hidden_dropout=0.0, hidden_size=d, hybrid_override_pattern=o["pattern"],
                  initializer_range=0.02,
        intermediate_size=o["ff"], layer_norm_epsilon=1e-5, mamba_head_dim=P, mamba_hidden_act="silu", mamba_num_heads=H,
                  mamba_proj_bias=False,
        max_position_embeddings=8192, mlp_bias=False, mlp_hidden_act="relu2", model_type="nemotron_h", n_groups=G,
                  num_attention_heads=heads,
        num_hidden_layers=len(o["pattern"]), num_key_value_heads=kv, num_logits_to_keep=1, rescale_prenorm_residual=True,
                  residual_in_fp32=False,
        rms_norm_eps=1e-5, sliding_window=None, ssm_state_size=N, tie_word_embeddings=False, time_step_floor=0.0001,
                  time_step_limit=o.get("limit", [0.0, INF]),
        time_step_max=0.1, time_step_min=o.get("dt_min", 0.001), torch_dtype="bfloat16", transformers_version="4.48.0.dev0",
                  use_bias=False, use_cache=True,
        use_conv_bias=True, use_mamba_kernels=True, vocab_size=VOCAB[o["tok"]])
    if o.get("no_limit"):
        del config["time_step_limit"]
    E = o.get("experts", 0)
    if E:
        config |= dict(n_routed_experts=E, num_experts_per_tok=o["top"], moe_intermediate_size=o["moe_ff"],
                       moe_shared_expert_intermediate_size=o["shared_ff"],
                       n_shared_experts=1, norm_topk_prob=True, routed_scaling_factor=2.5, n_group=o.get("n_group", 1),
                       topk_group=o.get("topk_group", 1))
    t = Layout()
    t.add("backbone.embeddings.weight", VOCAB[o["tok"]], d)
    for l, kind in enumerate(o["pattern"]):
        p = f"backbone.layers.{l}."
        t.add(p + "norm.weight", d)
        p += "mixer"
        if kind == "M":
            t.mamba2(p, d, H, P, N, G)
        elif kind == "*":
            t.attention(p, d, heads, kv, dh)
        elif kind == "-":
            t.linear(p + ".up_proj", o["ff"], d, gain=0.8), t.linear(p + ".down_proj", d, o["ff"], gain=0.8)
        else:
            t.add(p + ".gate.weight", E, d), t.add(p + ".gate.e_score_correction_bias", E, dtype=F32)
            for x, ff in [(f"experts.{e}", o["moe_ff"]) for e in range(E)] + [("shared_experts", o["shared_ff"])]:
                t.linear(f"{p}.{x}.up_proj", ff, d, gain=0.8), t.linear(f"{p}.{x}.down_proj", d, ff, gain=0.8)
    t.add("backbone.norm_f.weight", d), t.linear("lm_head", VOCAB[o["tok"]], d)
    return config, t, ()


def bamba(o):
    """ibm-ai-platform/Bamba-9B-v1, -v2."""
    d, L, H, N, G, heads, kv = o["d"], o["L"], o["H"], o["N"], o["G"], o["heads"], o["kv"]
    config = dict(
        architectures=["BambaForCausalLM"], attention_bias=False, attention_dropout=0.0, attn_layer_indices=o["attn"],
                  attn_rotary_emb=d // heads // 2,
        hidden_act="silu", hidden_size=d, initializer_range=0.02, intermediate_size=o["ff"], mamba_chunk_size=256,
                  mamba_conv_bias=True, mamba_d_conv=4,
        mamba_d_head=2 * d // H, mamba_d_state=N, mamba_expand=2, mamba_n_groups=G, mamba_n_heads=H, mamba_proj_bias=False,
        max_position_embeddings=4096, mlp_bias=False, model_type="bamba", num_attention_heads=heads, num_hidden_layers=L,
                  num_key_value_heads=kv,
        num_logits_to_keep=1, output_router_logits=False, rms_norm_eps=1e-5, rope_theta=10000.0, router_aux_loss_coef=0.001,
                  tie_word_embeddings=False,
        torch_dtype="bfloat16", transformers_version="4.48.0.dev0", use_cache=True, use_mamba_kernels=True,
                  vocab_size=VOCAB[o["tok"]])
    if "limit" in o:
        config["time_step_limit"] = o["limit"]
    t = Layout()
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d)
    for l in range(L):
        p = f"model.layers.{l}."
        t.add(p + "input_layernorm.weight", d), t.add(p + "pre_ff_layernorm.weight", d)
        if l in o["attn"]:
            t.attention(p + "self_attn", d, heads, kv, d // heads)
        else:
            t.mamba2(p + "mamba", d, H, 2 * d // H, N, G)
        t.glu(p + "feed_forward", d, o["ff"])
    t.add("model.final_layernorm.weight", d), t.linear("lm_head", VOCAB[o["tok"]], d)
    return config, t, ()


def granite(o):
    """ibm-granite/granite-4.0-h-350m, -1b, -micro (nope, dense); granite-4.0-micro (attention only, rope); -h-tiny (experts)."""
    d, H, N, G, heads, kv, E = o["d"], o["H"], o["N"], o["G"], o["heads"], o["kv"], o.get("experts", 0)
    types = [{"M": "mamba", "*": "attention"}[x] for x in o["pattern"]]
    rm, em = o.get("residual", 0.246), o.get("embedding", 3)
    config = dict(
        architectures=["GraniteMoeHybridForCausalLM"], attention_bias=False, attention_dropout=0.0,
                  attention_multiplier=o.get("attention", 0.0625),
        embedding_multiplier=em, hidden_act="silu", hidden_size=d, init_method="mup", initializer_range=0.1,
                  intermediate_size=o["ff"],
        layer_types=types, logits_scaling=o.get("logits", 1.5), mamba_chunk_size=256, mamba_conv_bias=True, mamba_d_conv=4,
                  mamba_d_head=2 * d // H, mamba_d_state=N,
        mamba_expand=2, mamba_n_groups=G, mamba_n_heads=H, mamba_proj_bias=False, max_position_embeddings=32768,
                  model_type="granitemoehybrid",
        normalization_function="rmsnorm", num_attention_heads=heads, num_experts_per_tok=o.get("top", 0),
                  num_hidden_layers=len(types), num_key_value_heads=kv,
        num_local_experts=E, output_router_logits=False, position_embedding_type=o["pos"], residual_multiplier=rm,
                  rms_norm_eps=1e-5, rope_scaling=None,
        rope_theta=10000, router_aux_loss_coef=0.01, shared_intermediate_size=o["shared"], tie_word_embeddings=o["tied"],
                  torch_dtype="bfloat16",
        transformers_version="4.56.0", use_cache=True, vocab_size=VOCAB[o["tok"]], **IDS[o["tok"]])
    if "limit" in o:
        config["time_step_limit"] = o["limit"]
    t, up = Layout(), 1.5 / rm
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d, gain=o.get("embed_gain", 2.5 / em))
    for l, kind in enumerate(types):
        p = f"model.layers.{l}."
        t.add(p + "input_layernorm.weight", d), t.add(p + "post_attention_layernorm.weight", d)
        if kind == "mamba":
            t.mamba2(p + "mamba", d, H, 2 * d // H, N, G)
            t.gain[p + "mamba.out_proj.weight"] = up
        else:
            t.attention(p + "self_attn", d, heads, kv, d // heads, k_gain=(d // heads) ** -0.5 / o.get("attention", 0.0625))
            t.gain[p + "self_attn.o_proj.weight"] = up
        t.add(p + "shared_mlp.input_linear.weight", 2 * o["shared"], d), t.add(p + "shared_mlp.output_linear.weight", d,
                                                                               o["shared"], gain=up)
        if E:
            t.add(p + "block_sparse_moe.input_linear.weight", E, 2 * o["ff"], d), t.add(p + "block_sparse_moe.output_linear.weight",
                E, d, o["ff"], gain=up)
            t.add(p + "block_sparse_moe.router.layer.weight", E, d)
    t.add("model.norm.weight", d)
    if not o["tied"]:
        t.linear("lm_head", VOCAB[o["tok"]], d, gain=o.get("logits", 1.5))
    return config, t, ()


def jamba(o):
    """ai21labs/AI21-Jamba-Reasoning-3B (dense: num_experts 1); Jamba-v0.1, AI21-Jamba-1.5-Mini (16 experts)."""
    d, L, N, R, heads, kv, E = o["d"], o["L"], o["N"], o["R"], o["heads"], o["kv"], o.get("experts", 1)
    inner = 2 * d
    config = dict(
        architectures=["JambaForCausalLM"], attention_dropout=0.0, attn_layer_offset=o["offset"], attn_layer_period=o["period"],
                  expert_layer_offset=1,
        expert_layer_period=2, hidden_act="silu", hidden_size=d, initializer_range=0.02, intermediate_size=o["ff"],
                  mamba_conv_bias=True, mamba_d_conv=4,
        mamba_d_state=N, mamba_dt_rank=R, mamba_expand=2, mamba_proj_bias=False, max_position_embeddings=262144, model_type="jamba",
                  num_attention_heads=heads,
        num_experts=E, num_experts_per_tok=o.get("top", 2), num_hidden_layers=L, num_key_value_heads=kv, num_logits_to_keep=1,
                  output_router_logits=False,
        rms_norm_eps=1e-6, router_aux_loss_coef=0.001, sliding_window=None, tie_word_embeddings=o["tied"], torch_dtype="bfloat16",
                  transformers_version="4.54.0",
        use_cache=True, use_mamba_kernels=True, vocab_size=VOCAB[o["tok"]], **IDS[o["tok"]])
    t = Layout()
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d)
    for l in range(L):
        p = f"model.layers.{l}."
        t.add(p + "input_layernorm.weight", d), t.add(p + "pre_ff_layernorm.weight", d)
        if l % o["period"] == o["offset"]:
            t.attention(p + "self_attn", d, heads, kv, d // heads)
        else:
            m = p + "mamba"
            t.add(m + ".A_log", inner, N), t.add(m + ".D", inner), t.add(m + ".conv1d.weight", inner, 1,
                                                                         4), t.add(m + ".conv1d.bias", inner)
            t.linear(m + ".in_proj", 2 * inner, d), t.linear(m + ".x_proj", R + 2 * N, inner), t.linear(m + ".dt_proj", inner, R,
                bias=True)
            t.linear(m + ".out_proj", d, inner)
            t.add(m + ".dt_layernorm.weight", R), t.add(m + ".b_layernorm.weight", N), t.add(m + ".c_layernorm.weight", N)
        if E > 1 and l % 2 == 1:
            t.add(p + "feed_forward.router.weight", E, d)
            for e in range(E):
                t.glu(f"{p}feed_forward.experts.{e}", d, o["ff"])
        else:
            t.glu(p + "feed_forward", d, o["ff"])
    t.add("model.final_layernorm.weight", d)
    if not o["tied"]:
        t.linear("lm_head", VOCAB[o["tok"]], d)
    return config, t, ()


def zamba2(o):
    """Zyphra/Zamba2-1.2B (one block, attention adapters, rotary), Zamba2-2.7B (two blocks, no rotary), Zamba2-7B (two groups)."""
    d, H, N, G, heads, blocks, rank, kv = o["d"], o["H"], o["N"], o["G"], o["heads"], o["blocks"], o["rank"], o["heads"]
    types = [{"m": "mamba", "g": "hybrid"}[x] for x in o["pattern"]]
    hybrid = [l for l, x in enumerate(types) if x == "hybrid"]
    dh, adapter = 2 * d // heads, o["adapter"]
    config = dict(
        adapter_rank=rank, add_bias_linear=False, architectures=["Zamba2ForCausalLM"], attention_dropout=0.0, attention_head_dim=dh,
                  attention_hidden_size=2 * d,
        chunk_size=256, hidden_act="gelu", hidden_size=d, hybrid_layer_ids=hybrid, initializer_range=0.02,
                  intermediate_size=o["ff"], kv_channels=d // heads,
        layers_block_type=types, mamba_d_conv=4, mamba_d_state=N, mamba_expand=2, mamba_headdim=2 * d // H, mamba_ngroups=G,
                  max_position_embeddings=4096,
        model_type="zamba2", n_mamba_heads=H, num_attention_heads=heads, num_hidden_layers=len(types), num_key_value_heads=kv,
                  num_logits_to_keep=1,
        num_mem_blocks=blocks, num_query_groups=heads, rms_norm_eps=1e-5, rope_theta=10000, time_step_floor=0.0001,
                  time_step_limit=None, time_step_max=0.1,
        time_step_min=o.get("dt_min", 0.001), torch_dtype="bfloat16", transformers_version="4.49.0.dev0", use_cache=True,
                  use_conv_bias=True, use_long_context=False,
        use_mamba_kernels=True, use_mem_eff_path=False, use_mem_rope=o["rope"], use_shared_attention_adapter=adapter,
                  vocab_size=VOCAB[o["tok"]], **IDS[o["tok"]])
    t = Layout()
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d)
    for l, kind in enumerate(types):
        p = f"model.layers.{l}."
        if kind == "hybrid":
            h = hybrid.index(l)
            t.linear(p + "linear", d, d)
            if h < blocks:                                   # shared: stored where the block first occurs
                s = p + "shared_transformer."
                t.add(s + "input_layernorm.weight", 2 * d), t.add(s + "pre_ff_layernorm.weight", d)
                t.attention(s + "self_attn", d, heads, kv, dh, n_in=2 * d)
                t.linear(s + "feed_forward.gate_up_proj", 2 * o["ff"], d), t.linear(s + "feed_forward.down_proj", d, o["ff"])
                for i in range(h, len(hybrid), blocks):
                    for n in "qkv" if adapter else "":
                        t.linear(f"{s}self_attn.linear_{n}_adapter_list.{i}.0", rank,
                                 2 * d), t.linear(f"{s}self_attn.linear_{n}_adapter_list.{i}.1", 2 * d, rank, gain=0.5)
                    t.linear(f"{s}feed_forward.gate_up_proj_adapter_list.{i}.0", rank,
                             d), t.linear(f"{s}feed_forward.gate_up_proj_adapter_list.{i}.1", 2 * o["ff"], rank, gain=0.5)
            p += "mamba_decoder."
        t.add(p + "input_layernorm.weight", d)
        t.mamba2(p + "mamba", d, H, 2 * d // H, N, G)
    t.add("model.final_layernorm.weight", d)
    return config, t, ()


def lfm2(o):
    """LiquidAI/LFM2-350M, -700M, -1.2B (full_attn_idxs, block_ff_dim, tie_embedding), -2.6B (layer_types)."""
    d, heads, kv, K = o["d"], o["heads"], o["kv"], o.get("K", 3)
    L, full = len(o["pattern"]), [l for l, x in enumerate(o["pattern"]) if x == "*"]
    ff = o["ff"]
    config = dict(
        architectures=["Lfm2ForCausalLM"], block_auto_adjust_ff_dim=o["adjust"], block_dim=d, block_ff_dim=ff,
                  block_ffn_dim_multiplier=1.0, block_mlp_init_scale=1.0,
        block_multiple_of=o.get("multiple", 16), block_norm_eps=1e-5, block_out_init_scale=1.0, block_use_swiglu=True,
                  block_use_xavier_init=True, conv_L_cache=K,
        conv_bias=o.get("bias", False), conv_dim=d, conv_dim_out=d, conv_use_xavier_init=True, eos_token_id=0, bos_token_id=500,
                  pad_token_id=0, hidden_size=d, initializer_range=0.02,
        max_position_embeddings=128000, model_type="lfm2", norm_eps=1e-5, num_attention_heads=heads, num_heads=heads,
                  num_hidden_layers=L, num_key_value_heads=kv,
        rope_theta=1000000.0, theta=1000000.0, torch_dtype="bfloat16", transformers_version="4.54.0", use_cache=True,
                  use_pos_enc=True, vocab_size=VOCAB[o["tok"]])
    if o.get("types"):
        config["layer_types"] = ["full_attention" if x == "*" else "conv" for x in o["pattern"]]
        config["tie_word_embeddings"] = o["tied"]
    else:
        config["full_attn_idxs"], config["tie_embedding"] = full, o["tied"]
    if o["adjust"]:
        m = o.get("multiple", 16)
        ff = -(-int(2 * ff / 3) // m) * m
    t = Layout()
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d)
    for l, x in enumerate(o["pattern"]):
        p = f"model.layers.{l}."
        t.add(p + "operator_norm.weight", d), t.add(p + "ffn_norm.weight", d)
        if x == "*":
            t.attention(p + "self_attn", d, heads, kv, d // heads, out="out_proj")
            t.add(p + "self_attn.q_layernorm.weight", d // heads), t.add(p + "self_attn.k_layernorm.weight", d // heads)
        else:
            t.linear(p + "conv.in_proj", 3 * d, d, o.get("bias", False)), t.linear(p + "conv.out_proj", d, d, o.get("bias", False))
            t.add(p + "conv.conv.weight", d, 1, K)
            if o.get("bias"):
                t.add(p + "conv.conv.bias", d)
        t.glu(p + "feed_forward", d, ff, names=("w1", "w3", "w2"))
    t.add("model.embedding_norm.weight", d)
    if not o["tied"]:
        t.linear("lm_head", VOCAB[o["tok"]], d)
    return config, t, ()


def qwen(o):
    """Qwen/Qwen3-Next-80B-A3B (fused projections, experts; here also dense), Qwen/Qwen3.5-0.8B/2B/4B (text_config, dense)."""
    new, d, L, heads, kv, dh = o["new"], o["d"], o["L"], o["heads"], o["kv"], o["dh"]
    HK, HV, dk, dv, E = o["HK"], o["HV"], o["dk"], o["dv"], o.get("experts", 0)
    every = o.get("every", 4)
    types = ["linear_attention" if (l + 1) % every else "full_attention" for l in range(L)]
    text = dict(
        attention_bias=False, attention_dropout=0.0, bos_token_id=0, eos_token_id=0, full_attention_interval=every, head_dim=dh,
                hidden_act="silu", hidden_size=d,
        initializer_range=0.02, intermediate_size=o["ff"], linear_conv_kernel_dim=4, linear_key_head_dim=dk,
                linear_num_key_heads=HK, linear_num_value_heads=HV,
        linear_value_head_dim=dv, max_position_embeddings=262144, num_attention_heads=heads, num_hidden_layers=L,
                num_key_value_heads=kv, rms_norm_eps=1e-6,
        tie_word_embeddings=o["tied"], use_cache=True, vocab_size=VOCAB[o["tok"]])
    if new:
        text |= dict(attn_output_gate=True, dtype="bfloat16", layer_types=types, mamba_ssm_dtype="float32", mlp_only_layers=[],
                     model_type="qwen3_5_text",
                     mtp_num_hidden_layers=1, mtp_use_dedicated_embeddings=False,
                     rope_parameters=dict(mrope_interleaved=True, mrope_section=o["mrope"], rope_type="default",
                                          rope_theta=10000000, partial_rotary_factor=o.get("part", 0.25)))
        config = dict(architectures=["Qwen3_5ForConditionalGeneration"], image_token_id=506, model_type="qwen3_5", text_config=text,
                      tie_word_embeddings=o["tied"],
                      transformers_version="4.57.0.dev0", video_token_id=507, vision_end_token_id=504, vision_start_token_id=505,
                      vision_config=dict(deepstack_visual_indexes=[], depth=1, hidden_act="gelu_pytorch_tanh", hidden_size=16,
                                         in_channels=3, initializer_range=0.02,
                                         intermediate_size=16, model_type="qwen3_5", num_heads=2, num_position_embeddings=16,
                                         out_hidden_size=d, patch_size=2,
                                         spatial_merge_size=2, temporal_patch_size=2))
        if o.get("text_only"):
            config = text | dict(architectures=["Qwen3_5ForCausalLM"])
    else:
        config = text | dict(architectures=["Qwen3NextForCausalLM"], decoder_sparse_step=1,
                             mlp_only_layers=[] if E else list(range(L)), model_type="qwen3_next",
                             moe_intermediate_size=o.get("moe_ff", 16), norm_topk_prob=True, num_experts=E or 4,
                             num_experts_per_tok=o.get("top", 2), output_router_logits=False,
                             partial_rotary_factor=o.get("part", 0.25), rope_scaling=None, rope_theta=10000000,
                             router_aux_loss_coef=0.001,
                             shared_expert_intermediate_size=o.get("shared_ff", 16), torch_dtype="bfloat16",
                             transformers_version="4.57.0.dev0", use_sliding_window=False)
    base = "model.language_model." if new and not o.get("text_only") else "model."
    t = Layout()
    t.add(base + "embed_tokens.weight", VOCAB[o["tok"]], d)
    for l, kind in enumerate(types):
        p = f"{base}layers.{l}."
        t.add(p + "input_layernorm.weight", d), t.add(p + "post_attention_layernorm.weight", d)
        if kind == "full_attention":
            t.attention(p + "self_attn", d, heads, kv, dh, q_wide=2)
            t.add(p + "self_attn.q_norm.weight", dh), t.add(p + "self_attn.k_norm.weight", dh)
        else:
            a = p + "linear_attn."
            f32 = F32 if new else None
            t.add(a + "A_log", HV, dtype=f32), t.add(a + "dt_bias", HV), t.add(a + "norm.weight", dv, dtype=f32)
            t.add(a + "conv1d.weight", 2 * HK * dk + HV * dv, 1, 4), t.linear(a + "out_proj", d, HV * dv)
            if new:
                for n, rows in (("qkv", 2 * HK * dk + HV * dv), ("z", HV * dv), ("b", HV), ("a", HV)):
                    t.linear(a + "in_proj_" + n, rows, d)
            else:
                t.linear(a + "in_proj_qkvz", 2 * HK * dk + 2 * HV * dv, d), t.linear(a + "in_proj_ba", 2 * HV, d)
        if E:
            t.add(p + "mlp.gate.weight", E, d), t.add(p + "mlp.shared_expert_gate.weight", 1, d)
            t.glu(p + "mlp.shared_expert", d, o["shared_ff"])
            for e in range(E):
                t.glu(f"{p}mlp.experts.{e}", d, o["moe_ff"])
        else:
            t.glu(p + "mlp", d, o["ff"])
    t.add(base + "norm.weight", d)
    if not o["tied"]:
        t.linear("lm_head", VOCAB[o["tok"]], d)
    if new and not o.get("text_only"):                       # what a text run has to ignore
        t.add("mtp.fc.weight", d, 2 * d), t.add("mtp.norm.weight", d), t.add("mtp.layers.0.input_layernorm.weight", d)
        t.add("model.visual.patch_embed.proj.bias", 16), t.add("model.visual.merger.norm.weight", 16)
    elif not new:
        t.add("mtp.fc.weight", d, 2 * d), t.add("mtp.norm.weight", d)
    return config, t, ("layernorm.weight", "q_norm.weight", "k_norm.weight", base + "norm.weight")


def recurrent_gemma(o):
    """google/recurrentgemma-2b, -9b: RG-LRU and local attention; biases everywhere; intermediate_size is twice the MLP's width."""
    d, L, heads, kv, w = o["d"], o["L"], o["heads"], o["kv"], o["lru"]
    config = dict(
        architectures=["RecurrentGemmaForCausalLM"], attention_bias=False, attention_dropout=0.0, attention_window_size=o["window"],
                  block_types=o["types"], bos_token_id=1,
        conv1d_width=4, embeddings_scale_by_sqrt_dim=True, eos_token_id=2, final_w_init_variance_scale=2.0 / L, head_dim=d // heads,
                  hidden_activation="gelu_pytorch_tanh",
        hidden_size=d, intermediate_size=2 * o["ff"], logits_soft_cap=o.get("cap", 30.0), lru_width=w, model_type="recurrent_gemma",
                  num_attention_heads=heads,
        num_hidden_layers=L, num_key_value_heads=kv, pad_token_id=0, partial_rotary_factor=0.5, rms_norm_eps=1e-6,
                  rope_theta=10000.0, torch_dtype="bfloat16",
        transformers_version="4.40.0.dev0", use_cache=True, vocab_size=VOCAB[o["tok"]], w_init_variance_scale=0.01)
    t = Layout()
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d, gain=0.35)
    for l in range(L):
        p = f"model.layers.{l}."
        b = p + "temporal_block."
        t.add(p + "temporal_pre_norm.weight", d), t.add(p + "channel_pre_norm.weight", d)
        if o["types"][l % len(o["types"])] == "attention":
            for n, rows in (("q", heads), ("k", kv), ("v", kv)):
                t.linear(f"{b}{n}_proj", rows * (d // heads), d)
            t.linear(b + "o_proj", d, d, bias=True)
        else:
            t.linear(b + "linear_x", w, d, bias=True), t.linear(b + "linear_y", w, d, bias=True), t.linear(b + "linear_out", d, w,
                bias=True)
            t.add(b + "conv_1d.weight", w, 1, 4), t.add(b + "conv_1d.bias", w)
            t.add(b + "rg_lru.recurrent_param", w)
            for n in ("input", "recurrent"):
                t.add(f"{b}rg_lru.{n}_gate_weight", heads, w // heads, w // heads), t.add(f"{b}rg_lru.{n}_gate_bias", heads,
                    w // heads)
        for n in ("gate_proj", "up_proj"):
            t.linear(f"{p}mlp_block.{n}", o["ff"], d, bias=True)
        t.linear(p + "mlp_block.down_proj", d, o["ff"], bias=True)
    t.add("model.final_norm.weight", d)
    return config, t, ("_norm.weight",)


def kimi_linear(o):
    """moonshotai/Kimi-Linear-48B-A3B: KDA and latent attention; experts after the first layer (here also dense)."""
    d, H, dk, heads, E, L = o["d"], o["H"], o["dk"], o["heads"], o.get("experts", 0), len(o["pattern"])
    full = [l + 1 for l, x in enumerate(o["pattern"]) if x == "*"]
    dense = o.get("dense", L)
    config = dict(
        architectures=["KimiLinearForCausalLM"], auto_map={"AutoConfig": "configuration_kimi.KimiLinearConfig",
                                                           "AutoModel": "modeling_kimi.KimiLinearModel",
                                                           "AutoModelForCausalLM": "modeling_kimi.KimiLinearForCausalLM"},
        bos_token_id=500, dtype="bfloat16", eos_token_id=0, first_k_dense_replace=dense, head_dim=o["nope"] + o["rope"],
                  hidden_act="silu", hidden_size=d, initializer_range=0.02,
        intermediate_size=o["ff"], kv_lora_rank=o["rank"],
        linear_attn_config=dict(full_attn_layers=full, head_dim=dk, kda_layers=[l + 1 for l in range(L) if l + 1 not in full],
                                num_heads=H, short_conv_kernel_size=4),
        mla_use_nope=True, model_max_length=1048576, model_type="kimi_linear", moe_intermediate_size=o.get("moe_ff", 16),
                  moe_layer_freq=1, moe_renormalize=True,
        moe_router_activation_func="sigmoid", num_attention_heads=heads, num_expert_group=1, num_experts=E or 4,
                  num_experts_per_token=o.get("top", 2),
        num_hidden_layers=L, num_key_value_heads=heads, num_nextn_predict_layers=0, num_shared_experts=1, pad_token_id=0,
                  q_lora_rank=None, qk_nope_head_dim=o["nope"],
        qk_rope_head_dim=o["rope"], rms_norm_eps=1e-5, rope_scaling=None, rope_theta=10000.0, routed_scaling_factor=2.446,
                  tie_word_embeddings=False, topk_group=1,
        transformers_version="4.56.2", use_cache=True, use_grouped_topk=True, v_head_dim=o["dv"], vocab_size=VOCAB[o["tok"]])
    t = Layout()
    t.add("model.embed_tokens.weight", VOCAB[o["tok"]], d)
    for l, x in enumerate(o["pattern"]):
        p = f"model.layers.{l}."
        a = p + "self_attn."
        t.add(p + "input_layernorm.weight", d), t.add(p + "post_attention_layernorm.weight", d)
        if x == "*":
            t.linear(a + "q_proj", heads * (o["nope"] + o["rope"]), d), t.linear(a + "kv_a_proj_with_mqa", o["rank"] + o["rope"], d)
            t.add(a + "kv_a_layernorm.weight", o["rank"]), t.linear(a + "kv_b_proj", heads * (o["nope"] + o["dv"]), o["rank"])
            t.linear(a + "o_proj", d, heads * o["dv"])
        else:
            for n in "qkv":
                t.linear(f"{a}{n}_proj", H * dk, d), t.add(f"{a}{n}_conv1d.weight", H * dk, 1, 4)
            t.add(a + "A_log", 1, 1, H, 1, dtype=F32), t.add(a + "dt_bias", H * dk, dtype=F32)
            t.linear(a + "f_a_proj", dk, d), t.linear(a + "f_b_proj", H * dk, dk), t.linear(a + "b_proj", H, d)
            t.linear(a + "g_a_proj", dk, d), t.linear(a + "g_b_proj", H * dk, dk)
            t.add(a + "o_norm.weight", dk), t.linear(a + "o_proj", d, H * dk)
        if l < dense:
            t.glu(p + "mlp", d, o["ff"])
        else:
            m = p + "block_sparse_moe."
            t.add(m + "gate.weight", E, d), t.add(m + "gate.e_score_correction_bias", E, dtype=F32)
            t.glu(m + "shared_experts", d, o["moe_ff"])
            for e in range(E):
                t.glu(f"{m}experts.{e}", d, o["moe_ff"], names=("w1", "w3", "w2"))
    t.add("model.norm.weight", d), t.linear("lm_head", VOCAB[o["tok"]], d)
    return config, t, ()


# ---------------------------------------------------------------- the checkpoints
def checkpoints(which):
    """name -> (family, options, how it is stored)"""
    public = {
        "falcon-h1": (falcon_h1, dict(tok="bytes", d=40, L=5, H=6, P=8, N=12, G=1, heads=5, kv=1, dh=8, ff=56, tied=False),
                      "bf16-sharded"),
        "falcon-h1-tied-norm": (falcon_h1, dict(tok="bytes", d=48, L=4, H=8, P=12, N=8, G=2, heads=4, kv=2, dh=16, ff=40, tied=True,
                                                norm=True, before=False,
                                                embedding=2.5, lm_head=0.35, key=0.7, attention_in=1.2, ssm_in=0.8, ssm_out=0.6,
                                                embed_gain=0.8,
                                                ssm=[1.1, 0.9, 1.3, 0.8, 0.7], mlp=[1.5, 0.8], limit=[0.02, 0.5]), "bf16"),
        "nemotron-h": (nemotron_h, dict(tok="bytes-bos", d=48, pattern="M-M*-M-M*-", H=7 * 2, P=6, N=10, G=2, heads=4, kv=2, dh=10,
                                        ff=72, head_key="attention_head_dim"), "bf16-sharded"),
        "bamba": (bamba, dict(tok="bytes-bos", d=48, L=6, H=6, N=12, G=1, heads=4, kv=2, attn=[2, 5], ff=88), "bf16-sharded"),
        "granite-h": (granite, dict(tok="bytes", d=48, pattern="MM*MM*", H=12, N=14, G=1, heads=6, kv=2, ff=40, shared=56,
                                    pos="nope", tied=True), "bf16"),
        "granite-micro": (granite, dict(tok="bytes", d=40, pattern="****", H=8, N=16, G=1, heads=5, kv=5, ff=40, shared=72,
                                        pos="rope", tied=True, attention=0.125), "bf16"),
        "jamba": (jamba, dict(tok="sp", d=40, L=6, N=9, R=5, heads=5, kv=1, period=4, offset=2, ff=72, tied=True), "bf16-sharded"),
        "zamba2": (zamba2, dict(tok="sp", d=32, pattern="mgmmgmg", H=8, N=10, G=1, heads=4, blocks=1, rank=6, ff=48, adapter=True,
                                rope=True, dt_min=0.03), "bf16"),
        "zamba2-two-blocks": (zamba2, dict(tok="sp", d=40, pattern="mmgmggg", H=10, N=8, G=2, heads=5, blocks=2, rank=5, ff=44,
                                           adapter=False, rope=False), "bf16-sharded"),
        "lfm2": (lfm2, dict(tok="bytes-bos", d=48, pattern="cc*c*c", heads=6, kv=2, ff=90, adjust=True, tied=True), "bf16"),
        "qwen3-next-dense": (qwen, dict(tok="bytes", new=False, d=48, L=6, every=3, heads=4, kv=2, dh=16, HK=2, HV=6, dk=10, dv=8,
                                        ff=80, tied=False), "bf16-sharded"),
        "qwen3.5": (qwen, dict(tok="bytes", new=True, d=48, L=8, heads=3, kv=1, dh=24, HK=3, HV=6, dk=8, dv=12, ff=64, tied=True,
                               mrope=[1, 1, 1]), "bf16"),
    }
    public |= {
        "recurrent-gemma": (recurrent_gemma, dict(tok="sp", d=40, L=6, heads=5, kv=1, lru=50, ff=56, window=6,
                                                  types=["recurrent", "recurrent", "attention"]), "bf16"),
        "kimi-linear-dense": (kimi_linear, dict(tok="bytes-bos", d=48, pattern="KKK*K*", H=3, dk=10, heads=4, nope=8, rope=6, dv=9,
                                                rank=14, ff=72), "bf16-sharded"),
    }
    moe = {
        "granite-h-experts": (granite, dict(tok="bytes", d=40, pattern="M*MM", H=10, N=8, G=1, heads=5, kv=1, ff=12, shared=24,
                                            pos="nope", tied=True, experts=6, top=3), "bf16"),
        "jamba-experts": (jamba, dict(tok="sp", d=32, L=4, N=8, R=4, heads=4, kv=2, period=3, offset=1, ff=28, tied=False,
                                      experts=5, top=2), "bf16"),
        "nemotron-h-experts": (nemotron_h, dict(tok="bytes-bos", d=40, pattern="ME*MEM-", H=10, P=8, N=8, G=2, heads=5, kv=1, dh=8,
                                                ff=40, experts=8, top=2, moe_ff=12, shared_ff=20,
                                                n_group=2, topk_group=1), "bf16"),
        "kimi-linear-experts": (kimi_linear, dict(tok="bytes-bos", d=36, pattern="KK*K", H=4, dk=8, heads=3, nope=6, rope=4, dv=8,
                                                  rank=10, ff=40, dense=1, experts=6, top=2, moe_ff=10), "bf16"),
        "qwen3-next-experts": (qwen, dict(tok="bytes", new=False, d=40, L=4, every=4, heads=4, kv=1, dh=16, HK=2, HV=4, dk=8, dv=8,
                                          ff=40, tied=False, experts=5, top=2, moe_ff=12, shared_ff=20), "bf16"),
    }
    heldout = {
        "falcon-h1": (falcon_h1, dict(tok="bytes", d=56, L=6, H=9, P=6, N=7, G=3, heads=7, kv=7, dh=6, ff=44, tied=False, norm=True,
                                      before=True, embedding=3.1, lm_head=0.08,
                                      key=0.5, attention_in=0.7, attention_out=0.6, ssm_in=1.7, ssm_out=0.4,
                                      ssm=[0.6, 0.5, 0.7, 1.4, 0.9], mlp=[0.9, 1.3], theta=10000.0), "f16"),
        "falcon-h1-tied": (falcon_h1, dict(tok="bytes", d=44, L=4, H=5, P=10, N=11, G=1, heads=4, kv=1, dh=12, ff=60, tied=True,
                                           embedding=1.7, lm_head=0.5, embed_gain=0.7,
                                           ssm=[0.8, 0.7, 1.2, 0.9, 1.1], limit=[0.0, {"__float__": "Infinity"}]), "bf16-sharded"),
        "nemotron-h": (nemotron_h, dict(tok="bytes-bos", d=40, pattern="*M-MM-*-M", H=9, P=8, N=6, G=3, heads=5, kv=1, dh=8, ff=64,
                                        dt_min=0.04), "bf16"),
        "nemotron-h-limit": (nemotron_h, dict(tok="bytes-bos", d=36, pattern="MM*-M", H=8, P=9, N=12, G=4, heads=6, kv=3, dh=6,
                                              ff=50, dt_min=0.001, limit=[0.05, 0.3]), "f32"),
        "bamba": (bamba, dict(tok="bytes-bos", d=60, L=5, H=10, N=6, G=2, heads=5, kv=5, attn=[0, 3], ff=52, limit=[0.03, 0.6]),
                  "bf16"),
        "granite-h": (granite, dict(tok="bytes", d=60, pattern="*MM*M", H=8, N=9, G=2, heads=5, kv=1, ff=40, shared=44, pos="nope",
                                    tied=False, attention=0.2, embedding=7, residual=0.4, logits=5), "bf16-sharded"),
        "granite-rope": (granite, dict(tok="bytes", d=48, pattern="M*M*", H=6, N=8, G=1, heads=4, kv=2, ff=40, shared=60,
                                       pos="rope", tied=True, attention=0.3, embedding=6, residual=0.22, logits=2), "f32"),
        "jamba": (jamba, dict(tok="sp", d=52, L=5, N=6, R=4, heads=4, kv=2, period=3, offset=0, ff=64, tied=False), "bf16"),
        "zamba2": (zamba2, dict(tok="sp", d=36, pattern="gmmggm", H=6, N=7, G=2, heads=6, blocks=2, rank=4, ff=40, adapter=True,
                                rope=True, dt_min=0.05), "bf16-sharded"),
        "lfm2": (lfm2, dict(tok="bytes-bos", d=60, pattern="*ccc*cc", heads=5, kv=1, ff=72, adjust=False, tied=False, types=True,
                            bias=True, K=4), "f16"),
        "qwen3-next-dense": (qwen, dict(tok="bytes", new=False, d=40, L=5, every=2, heads=5, kv=1, dh=16, HK=3, HV=3, dk=7, dv=9,
                                        ff=70, tied=True, part=0.5), "f32"),
        "qwen3.5": (qwen, dict(tok="bytes", new=True, d=56, L=6, every=3, heads=4, kv=2, dh=20, HK=2, HV=8, dk=12, dv=6, ff=60,
                               tied=False, mrope=[1, 1, 0], part=0.4, text_only=True), "bf16-sharded"),
    }
    heldout |= {
        "recurrent-gemma": (recurrent_gemma, dict(tok="sp", d=48, L=5, heads=4, kv=2, lru=40, ff=44, window=9,
                                                  types=["recurrent", "attention"], cap=8.0), "f16"),
        "kimi-linear-dense": (kimi_linear, dict(tok="bytes-bos", d=40, pattern="*KK*K", H=5, dk=8, heads=3, nope=10, rope=4, dv=12,
                                                rank=9, ff=60), "f16"),
    }
    held_moe = {
        "granite-h-experts": (granite, dict(tok="bytes", d=36, pattern="*MM*M", H=6, N=10, G=1, heads=6, kv=3, ff=10, shared=20,
                                            pos="nope", tied=False, experts=5, top=2, attention=0.3, embedding=8, residual=0.5,
                                            logits=4), "f32"),
        "jamba-experts": (jamba, dict(tok="sp", d=36, L=5, N=5, R=3, heads=3, kv=1, period=2, offset=1, ff=20, tied=True, experts=4,
                                      top=2), "bf16-sharded"),
        "nemotron-h-experts": (nemotron_h, dict(tok="bytes-bos", d=32, pattern="*EMEM", H=6, P=10, N=9, G=3, heads=4, kv=4, dh=9,
                                                ff=40, experts=6, top=3, moe_ff=10, shared_ff=16), "bf16"),
        "qwen3-next-experts": (qwen, dict(tok="bytes", new=False, d=36, L=4, every=2, heads=3, kv=3, dh=12, HK=1, HV=5, dk=9, dv=7,
                                          ff=40, tied=True, experts=6, top=3, moe_ff=10, shared_ff=14, part=0.5), "bf16"),
    }
    return public | moe if which == "public" else heldout | held_moe


def gains(config, o):
    """Factors that keep the random models well conditioned: float32's rounding of the weights moves log p by about 1e-5."""
    kind, out = config["model_type"], {}
    if kind == "zamba2":
        out = {"mamba.in_proj": 0.8, "self_attn": 0.7, "feed_forward": 0.8, "adapter": 0.6, "linear.weight": 0.6}
    if kind.startswith("qwen3"):
        out = {"linear_attn.norm": 0.6, "conv1d": 1.6}
    if kind == "jamba":
        out = {"b_layernorm": 0.6, "c_layernorm": 0.6}
    if kind in ("zamba2", "jamba", "lfm2") or kind.startswith("qwen3"):
        out["embed_tokens"] = 0.6 if o.get("tied", True) else 1.0
    return out


def store(path, config, tensors, how):
    path.mkdir(parents=True, exist_ok=True)
    for old in path.glob("*.safetensors*"):
        old.unlink()
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if "sharded" not in how:
        save_file(tensors, str(path / "model.safetensors"), metadata={"format": "pt"})
        return
    size = lambda v: v.numel() * v.element_size()
    limit, shards = sum(map(size, tensors.values())) / 2.6, [{}]
    for name, v in tensors.items():
        if shards[-1] and sum(map(size, shards[-1].values())) + size(v) > limit:
            shards.append({})
        shards[-1][name] = v
    names = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards):
        save_file(shard, str(path / name), metadata={"format": "pt"})
    (path / "model.safetensors.index.json").write_text(json.dumps(dict(
        metadata=dict(total_size=sum(map(size, tensors.values()))), weight_map={k: n for n, s in zip(names, shards) for k in s}),
                                                                  indent=2) + "\n")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("facts"), ap.add_argument("out", type=Path)
    ap.add_argument("--set", default="public", choices=["public", "heldout"])
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--only", default="")
    a = ap.parse_args()
    seed = a.seed if a.seed is not None else {"public": 0, "heldout": 11}[a.set]
    lines = [f["prompt"] + f["target"] + "." for f in map(json.loads, open(a.facts))]
    tokenizers = {"bytes": byte_level_tokenizer(lines, 500), "sp": sentencepiece_like_tokenizer(lines, 600)}
    tokenizers["bytes-bos"] = with_bos(tokenizers["bytes"])
    for name, (family, o, how) in checkpoints(a.set).items():
        if a.only and name not in a.only.split(","):
            continue
        config, layout, centred = family(o)
        dtype = {"bf16": BF16, "f32": F32, "f16": F16}[how.split("-")[0]]
        if dtype != BF16:
            config = json.loads(json.dumps(config).replace('"bfloat16"', json.dumps(str(dtype).removeprefix("torch."))))
        store(a.out / name, config, layout.values(seed * 1000 + zlib.crc32(name.encode()) % 997, dtype, centred, gains(config, o)),
              how)
        tokenizers[o["tok"]].save(str(a.out / name / "tokenizer.json"))
        size = sum(f.stat().st_size for f in (a.out / name).iterdir())
        print(f"{name}: {config['model_type']}, {how}, {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
