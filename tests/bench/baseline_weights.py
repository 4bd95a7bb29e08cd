"""Random weights of a Shape under Hugging Face's names, scaled so that activations stay finite and a knockout changes the answer."""
import math

import torch


def ssd_names(s):
    """{name: shape} of a Mamba-2 mixer whose output has no norm."""
    conv = s.inner + 2 * s.groups * s.state
    return {"conv1d.weight": (conv, 1, s.taps), "conv1d.bias": (conv,), "out_proj.weight": (s.d, s.inner),
            "in_proj.weight": (s.inner + conv + s.heads, s.d), "dt_bias": (s.heads,), "A_log": (s.heads,), "D": (s.heads,)}


def names(s):
    """{name: shape} of every tensor of the model; GPT-2's products are [in, out], the others [out, in]."""
    d, out = s.d, {}
    if s.family in ("mamba", "mamba2"):
        out |= {"backbone.embeddings.weight": (s.vocab, d), "backbone.norm_f.weight": (d,)}
        if s.family == "mamba":
            mixer = {"conv1d.weight": (s.inner, 1, s.taps), "conv1d.bias": (s.inner,), "out_proj.weight": (d, s.inner),
                     "in_proj.weight": (2 * s.inner, d), "x_proj.weight": (s.rank + 2 * s.state, s.inner),
                     "dt_proj.weight": (s.inner, s.rank), "dt_proj.bias": (s.inner,), "A_log": (s.inner, s.state), "D": (s.inner,)}
        else:
            mixer = ssd_names(s) | {"norm.weight": (s.inner,)}
        layer = {"norm.weight": (d,)} | {f"mixer.{n}": shape for n, shape in mixer.items()}
        prefix = "backbone.layers"
    elif s.family == "gpt2":
        out |= {"transformer.wte.weight": (s.vocab, d), "transformer.wpe.weight": (s.positions, d),
                "transformer.ln_f.weight": (d,), "transformer.ln_f.bias": (d,)}
        layer = {f"{n}.{p}": (d,) for n in ("ln_1", "ln_2") for p in ("weight", "bias")}
        for n, n_in, n_out in (("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, s.ff), ("mlp.c_proj", s.ff, d)):
            layer |= {f"{n}.weight": (n_in, n_out), f"{n}.bias": (n_out,)}
        prefix = "transformer.h"
    else:
        final, second, mlp = (("final_layernorm", "pre_ff_layernorm", "feed_forward") if s.family == "falcon_h1" else
                              ("norm", "post_attention_layernorm", "mlp"))
        out |= {"model.embed_tokens.weight": (s.vocab, d), f"model.{final}.weight": (d,)}
        q, kv = s.heads * s.head_dim, s.groups * s.head_dim
        layer = {"input_layernorm.weight": (d,), f"{second}.weight": (d,), "self_attn.q_proj.weight": (q, d),
                 "self_attn.k_proj.weight": (kv, d), "self_attn.v_proj.weight": (kv, d), "self_attn.o_proj.weight": (d, q),
                 f"{mlp}.gate_proj.weight": (s.ff, d), f"{mlp}.up_proj.weight": (s.ff, d), f"{mlp}.down_proj.weight": (d, s.ff)}
        if s.ssm:
            layer |= {f"mamba.{n}": shape for n, shape in ssd_names(s.ssm).items()}
        prefix = "model.layers"
    for i in range(s.layers):
        out |= {f"{prefix}.{i}.{n}": shape for n, shape in layer.items()}
    if not s.tied:
        out["lm_head.weight"] = (s.vocab, d)
    return out


def draw(name, shape, s, make, uniform):
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "A_log":
        return torch.log(0.3 + 12 * uniform(shape))
    if leaf == "dt_bias" or name.endswith("dt_proj.bias"):
        dt = torch.exp(math.log(0.02) + uniform(shape) * math.log(25.0))
        return dt + torch.log(-torch.expm1(-dt))
    noise = make(shape)
    if leaf == "D":
        return noise.mul_(0.1).add_(0.3)
    if leaf == "bias":
        return noise.mul_(0.1)
    if len(shape) == 1:                                      # norms
        return noise.mul_(0.1).add_(1)
    if len(shape) == 3:                                      # conv1d
        return noise.mul_(0.6)
    if "embed" in name or "wte" in name or "wpe" in name:    # logits with a deviation of about 3
        return noise.mul_((1 if "wpe" in name else 3) / math.sqrt(s.d))
    return noise.mul_(1.3 / math.sqrt(shape[0 if s.family == "gpt2" and "lm_head" not in name else 1]))


def random_tensors(s, dtype, device, seed=0):
    """Every (name, tensor) of the model, one after the other."""
    g = torch.Generator(device).manual_seed(seed)
    make = lambda shape: torch.randn(shape, generator=g, dtype=dtype, device=device)
    uniform = lambda shape: torch.rand(shape, generator=g, dtype=torch.float32, device=device)
    for name, shape in names(s).items():
        yield name, draw(name, shape, s, make, uniform).to(dtype)


def random_weights(s, dtype, device, seed=0):
    return dict(random_tensors(s, dtype, device, seed))
